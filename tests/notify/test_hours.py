"""The hours of a route: when they begin next, also where clocks are changed, and what waits for them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notices import TestChannel, deliverer_of, down, settled, write_routes
from restpoint import ExecutionStore
from restpoint._storage import counts, outbox
from restpoint.errors import InvalidArgument
from restpoint.notify import hours as module
from restpoint.notify import routes_file
from restpoint.notify.hours import Hours
from support import ADA, TEXT, ManualClock, file_of, rows
from transcripts import DOCS, block

BERLIN = "Europe/Berlin"
WEEK = 7 * 86_400_000
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WORK: dict[str, Any] = {"from": "08:00", "to": "18:00", "days": DAYS[:5], "timezone": BERLIN}


def at(shown: str, zone: str = BERLIN, fold: int = 0) -> int:
    """A moment, by what a clock shows then; ``fold`` 1 is the second time that it shows this."""
    return round(datetime.fromisoformat(shown).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def shown(moment: int, zone: str = BERLIN) -> str:
    return f"{datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %Z}"


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (WORK, "2026-11-27T17:59:59", "Fri 2026-11-27 17:59:59 CET"),
        (WORK, "2026-11-27T18:00:00", "Mon 2026-11-30 08:00:00 CET"),
        (WORK, "2026-11-30T07:59:59", "Mon 2026-11-30 08:00:00 CET"),
        (WORK, "2026-03-28T12:00:00", "Mon 2026-03-30 08:00:00 CEST"),
        ({"from": "22:00", "to": "06:00", "days": ["fri"]}, "2026-11-28T05:59:00", "Sat 2026-11-28 05:59:00 CET"),
        ({"from": "22:00", "to": "06:00", "days": ["fri"]}, "2026-11-28T06:00:00", "Fri 2026-12-04 22:00:00 CET"),
        ({"days": ["sun"]}, "2026-11-27T12:00:00", "Sun 2026-11-29 00:00:00 CET"),
        # Clocks are set forward from 2 to 3, and back from 3 to 2.
        ({"from": "02:30", "to": "05:00"}, "2026-03-29T01:00:00", "Sun 2026-03-29 03:00:00 CEST"),
        ({"from": "02:15", "to": "02:45", "days": ["sun"]}, "2026-03-28T12:00:00", "Sun 2026-04-05 02:15:00 CEST"),
        ({"from": "02:00", "to": "02:30"}, "2026-10-25T02:40:00", "Sun 2026-10-25 02:00:00 CET"),
        ({"from": "02:30", "to": "04:00"}, "2026-10-25T01:00:00", "Sun 2026-10-25 02:30:00 CEST"),
    ],
)
def test_hours_begin_when_the_clock_on_the_wall_shows_it(hours: dict[str, Any], now: str, opens: str) -> None:
    made = Hours.model_validate({"timezone": BERLIN, **hours})
    assert shown(made.next_opening(at(now))) == opens


TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
ZONES = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut",
     "Pacific/Apia", "Africa/Casablanca"]
)  # fmt: skip
SOME = st.builds(
    lambda begin, end, days, zone: {"from": begin, "to": end, "days": sorted(days, key=DAYS.index), "timezone": zone},
    TIMES,
    TIMES | st.just("24:00"),
    st.sets(st.sampled_from(DAYS), min_size=1),
    ZONES,
).filter(
    lambda hours: (
        hours["from"] != hours["to"] and (hours["from"], hours["to"], len(hours["days"])) != ("00:00", "24:00", 7)
    )
)
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - in UTC, below
    lambda moment: round(moment.replace(tzinfo=UTC).timestamp() * 1000)
)
APIA: dict[str, Any] = {"from": "09:00", "to": "10:00", "days": ["fri"], "timezone": "Pacific/Apia"}


@given(SOME, MOMENTS, st.lists(st.floats(0, 1, exclude_max=True), min_size=20, max_size=20))
@example(APIA, at("2011-12-29T12:00:00", "Pacific/Apia"), [0.5])  # which had no 30th of December 2011, a Friday
def test_the_next_opening_is_the_first_moment_within_the_hours_and_never_before_now(
    given_hours: dict[str, Any], now: int, between: list[float]
) -> None:
    hours = Hours.model_validate(given_hours)
    opens = hours.next_opening(now)
    assert now <= opens < now + 3 * WEEK
    assert hours.has(opens)
    assert opens == now or not hours.has(opens - 1)
    for part in between:
        before = now + int((opens - now) * part)
        assert before == opens or not hours.has(before), shown(before, given_hours["timezone"])


@pytest.mark.parametrize(
    ("hours", "why"),
    [
        ('{ from = "8:00", to = "18:00" }', "from: '8:00' is no time of day; give one such as 08:00"),
        ('{ from = "08:00", to = "25:00" }', "to: '25:00' is no time of day"),
        ('{ from = "08:00", to = "08:00" }', "to is another one"),
        ('{ from = "24:00", to = "08:00" }', "from is a time before 24:00"),
        ('{ days = ["monday"] }', "days 0: Input should be 'mon', 'tue'"),
        ("{ days = [] }", "days: Tuple should have at least 1 item"),
        ('{ timezone = "Europe/Berlin" }', "these are all hours; leave them out"),
        ('{ from = "08:00", to = "18:00", timezone = "Berlin" }', "'Berlin' is no time zone that this machine knows"),
        ('{ from = "08:00", to = "18:00", timezone = "../../etc/passwd" }', "is no time zone that this machine knows"),
        ('{ start = "08:00" }', "start: there is no such setting; those here are from, to, days, timezone"),
        ("8", "hours: "),
    ],
)
def test_hours_that_are_none_are_refused_by_the_place_in_the_file(tmp_path: Path, hours: str, why: str) -> None:
    file = write_routes(tmp_path, f'[[routes]]\nname = "questions"\nchannel = "office"\nhours = {hours}\n')
    with pytest.raises(InvalidArgument, match="routes 'questions' hours") as refused:
        routes_file.read(file, ["office"])
    assert why in str(refused.value)


def test_a_machine_without_time_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> ZoneInfo:
        raise ModuleNotFoundError("tzdata") if name == "" else LookupError(name)

    monkeypatch.setattr(module, "ZoneInfo", none)
    with pytest.raises(ValueError, match="pip install tzdata"):
        module.zone(BERLIN)
    assert module.zone("UTC") is UTC


def test_the_hours_of_the_documentation_are_some(tmp_path: Path) -> None:
    file = write_routes(tmp_path, block(DOCS / "how-to" / "notify.md", "hours of a route"))
    (route,) = routes_file.read(file, ["chat"]).routes
    shown = route.model_dump(mode="json")["hours"]
    assert (shown["from"], shown["to"], shown["timezone"]) == ("08:00", "18:00", "Europe/Berlin")
    assert str(route.hours) == "mon, tue, wed, thu, fri 08:00-18:00 Europe/Berlin"


# --- What waits for them ---

ROUTE = """
[[routes]]
name = "questions"
channel = "office"
events = ["interaction_asked", "interaction_reminded"]
hours = { from = "08:00", to = "18:00", days = ["mon", "tue", "wed", "thu", "fri"], timezone = "Europe/Berlin" }
[[routes]]
name = "always"
channel = "pager"
"""
EVENING, MORNING = at("2026-11-27T20:00:00"), at("2026-11-30T08:00:00")


@pytest.fixture
def clock() -> ManualClock:
    """It is Friday evening."""
    return ManualClock(EVENING)


def until(clock: ManualClock, moment: int) -> None:
    clock.step((moment - clock.now()) / 1000)


async def asked(store: ExecutionStore, **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(workflow="refund", owner="ada")
    return record.execution_id, (
        await store.set_interaction_required(record.execution_id, TEXT, **terms)
    ).interaction_id


async def test_a_notice_that_falls_due_outside_the_hours_goes_out_when_they_begin(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office, pager = TestChannel(), TestChannel()
    async with deliverer_of(store, tmp_path, ROUTE, office=office, pager=pager):
        answered, interaction = await asked(store)
        await asked(store)
        await pager.had(2)
        await settled(
            path,
            [("always", None), ("questions", MORNING), ("always", None), ("questions", MORNING)],
            "route, opens_at",
        )
        (entry, _) = (
            await outbox.page(
                file_of(store).database, status="pending", route="questions", execution_id=None, limit=10, cursor=None
            )
        ).items
        assert (entry.route, entry.due_at, entry.opens_at) == ("questions", MORNING / 1000, MORNING / 1000)
        await store.resolve_interaction(answered, interaction, ADA)
        until(clock, MORNING - 1)
        assert office.sent == []
        until(clock, MORNING)
        (sent,) = await office.had(1)
        assert sent.execution_id != answered, "what is answered meanwhile is moot"
        assert sent.attempt == 1, "waiting was no attempt"
        await settled(path, ["delivered", "moot", "delivered", "delivered"])
    assert rows(path, "SELECT count(*) FROM outbox WHERE status = 'pending'") == [(0,)]


async def test_within_the_hours_nothing_waits(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    until(clock, MORNING)
    office = TestChannel()
    async with deliverer_of(store, tmp_path, ROUTE, office=office, pager=TestChannel()):
        await asked(store)
        assert len(await office.had(1)) == 1


async def test_a_reminder_happens_when_it_is_due_and_is_told_when_the_hours_begin(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office, pager = TestChannel(), TestChannel()
    async with deliverer_of(store, tmp_path, ROUTE, office=office, pager=pager):
        await asked(store, remind_after=3_600)
        await pager.had(1)
        clock.step(3_600)
        await settled(path, [("always", None), ("questions", MORNING), ("questions", MORNING)], "route, opens_at")
        assert rows(path, "SELECT time FROM history WHERE event = 'interaction_reminded'") == [(EVENING + 3_600_000,)]
        until(clock, MORNING)
        assert {notice.event for notice in await office.had(2)} == {"interaction_asked", "interaction_reminded"}


async def test_an_attempt_after_a_failure_waits_for_the_hours_and_the_time_in_between_is_not_counted(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    until(clock, at("2026-11-27T17:59:59"))
    office = TestChannel()
    office.failures = [down()]
    async with deliverer_of(store, tmp_path, ROUTE, office=office, pager=TestChannel()):
        await asked(store)
        await office.had(1)
        await settled(path, ["delivered", "pending"])
        (before,) = rows(path, "SELECT give_up_at FROM outbox WHERE route = 'questions'")[0]
        clock.step(10)
        await settled(path, [("always", None), ("questions", MORNING)], "route, opens_at")
        (after,) = rows(path, "SELECT give_up_at FROM outbox WHERE route = 'questions'")[0]
        assert after - before == MORNING - clock.now()
        until(clock, MORNING)
        assert [notice.attempt for notice in await office.had(2)] == [1, 2]


async def test_other_hours_count_from_the_next_start_on(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    async with deliverer_of(store, tmp_path, ROUTE, office=office, pager=TestChannel()):
        await asked(store)
        await settled(path, [("always", None), ("questions", MORNING)], "route, opens_at")
    kept = rows(path, "SELECT give_up_at FROM outbox WHERE route = 'questions'")
    assert kept == [(EVENING + WEEK + MORNING - EVENING,)]
    later = ROUTE.replace("08:00", "09:00")
    async with deliverer_of(store, tmp_path, later, office=office, pager=TestChannel()):
        await settled(path, [("always", None), ("questions", MORNING + 3_600_000)], "route, opens_at")
    async with deliverer_of(store, tmp_path, ROUTE.replace("18:00", "21:00"), office=office, pager=TestChannel()):
        assert len(await office.had(1)) == 1
        await settled(path, ["delivered", "delivered"])


async def test_what_waits_for_the_hours_is_not_late(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    pager, office = TestChannel(), TestChannel()
    async with deliverer_of(store, tmp_path, ROUTE, office=office, pager=pager):
        await asked(store)
        await settled(path, [("always", None), ("questions", MORNING)], "route, opens_at")
        await settled(path, ["delivered", "pending"])
        clock.step(3_600)
        gauges = await counts.count(file_of(store).database, clock.now())
        assert (gauges.notices.count, gauges.notices.oldest) == (1, MORNING)
