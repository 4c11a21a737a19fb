"""The deliverer: what it sends when, how often, and what the file tells of it."""

import asyncio
import json
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from notices import TestChannel, deliverer_of, down, notices, settled, until, write_routes
from restpoint import ExecutionStore
from restpoint._storage import outbox, verification
from restpoint.errors import Conflict, InvalidArgument, StorageFull
from restpoint.notify.deliverer import Deliverer
from restpoint.notify.notices import DeliveryFailed
from support import ADA, PATIENCE, TEXT, ManualClock, broken_history, dump, file_of, rows, sql

ONE = """
[[routes]]
name = "questions"
channel = "office"
"""
PEOPLE = """
[people.joan]
office = "joan@example.com"
[people.zoe]
office = "zoe@example.com"
[groups]
finance = ["joan", "zoe", "nemo"]
[[routes]]
name = "questions"
channel = "office"
to = ["assignees"]
"""

MAIL = """
[channels.office]
kind = "mail"
host = "127.0.0.1"
security = "none"
sender = "approvals@example.com"
"""


async def asked(store: ExecutionStore, owner: str = "ada", **terms: Any) -> tuple[str, str]:
    record = await store.create_execution(workflow="refund", owner=owner, priority=3)
    return record.execution_id, (
        await store.set_interaction_required(record.execution_id, TEXT, **terms)
    ).interaction_id


def told(path: Path, event: str) -> list[dict[str, Any]]:
    found = rows(path, "SELECT detail FROM history WHERE event = ? ORDER BY sequence", event)
    return [json.loads(detail) for (detail,) in found]


async def test_a_question_is_told_and_the_history_says_so(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    execution_id, interaction_id = await asked(store, assignees=["joan"], timeout=60)
    (notice,) = await office.had(1)
    await settled(path, ["delivered"])
    await deliverer.close()
    assert office.closed
    assert (notice.event, notice.route, notice.attempt, notice.is_sample) == (
        "interaction_asked",
        "questions",
        1,
        False,
    )
    assert (notice.execution_id, notice.interaction_id) == (execution_id, interaction_id)
    assert (notice.workflow, notice.owner, notice.status) == ("refund", "ada", "interaction_required")
    assert (notice.prompt, notice.assignees, notice.priority) == (TEXT, ("joan",), 3)
    assert (notice.time, notice.deadline_at) == (clock.now(), clock.now() + 60_000)
    (delivered,) = told(path, "notice_delivered")
    assert delivered == {
        "notice": notice.id, "of": notice.sequence, "event": "interaction_asked", "route": "questions",
        "channel": "office", "attempts": 1,
    }  # fmt: skip
    assert await broken_history(file_of(store).database) is None


async def test_a_notice_has_how_many_votes_are_needed_and_how_many_there_are(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office, reminded = TestChannel(), ONE + 'events = ["interaction_asked", "interaction_reminded"]\n'
    async with deliverer_of(store, tmp_path, reminded, office=office):
        execution_id, interaction_id = await asked(store, assignees=["joan", "zoe", "eve"], votes=2, remind_after=60)
        await office.had(1)
        await store.resolve_interaction(execution_id, interaction_id, ADA, actor="joan")
        clock.step(60)
        assert [(each.votes, each.voted) for each in await office.had(2)] == [(2, 0), (2, 1)]
        await asked(store)
        assert [(each.votes, each.voted) for each in (await office.had(3))[2:]] == [(None, 0)]


async def test_what_is_answered_at_once_is_told_to_nobody(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office, settle=200).open()
    execution_id, interaction_id = await asked(store)
    await asked(store)
    clock.step(0.1)
    await store.resolve_interaction(execution_id, interaction_id, ADA)
    clock.step(0.1)
    await settled(path, ["moot", "delivered"])
    await deliverer.close()
    assert len(office.sent) == 1


async def test_what_failed_is_tried_again_later_each_time_with_the_same_id(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.failures = [down(), down(), ValueError("a defect of the channel")]
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    began = clock.now()
    await asked(store)
    for attempt, delay in enumerate((10, 20, 40), 1):
        await office.had(attempt)
        await until(lambda: notices(path, "lease") == [None])
        (due,) = notices(path, "due_at")
        assert due == clock.now() + delay * 1_000
        clock.step(delay)
    await office.had(4)
    await settled(path, ["delivered"])
    await deliverer.close()
    assert len({notice.id for notice in office.sent}) == 1
    assert [notice.attempt for notice in office.sent] == [1, 2, 3, 4]
    assert [notice.time for notice in office.sent] == [began] * 4


async def test_the_log_warns_once_of_a_channel_that_fails_until_it_delivers_again(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    office = TestChannel()
    office.failures = [down(), down()]
    async with deliverer_of(store, tmp_path, ONE, office=office):
        for tries in (3, 2):
            had = len(office.sent)
            await asked(store)
            for attempt in range(1, tries + 1):
                await office.had(had + attempt)
                await until(lambda: notices(path, "lease")[-1] is None)
                clock.step(60)
            await until(lambda: notices(path)[-1] == "delivered")
            office.failures = [down()]
    warned = [record.getMessage() for record in caplog.records if "channel office did not deliver" in record.message]
    assert len(warned) == 2
    assert warned[0].endswith("is tried again: It is down.")


async def test_whatever_a_channel_raises_is_a_failed_attempt_and_holds_no_notice(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office, raised = (
        TestChannel(),
        [asyncio.CancelledError(), SystemExit(3), GeneratorExit(), BaseExceptionGroup("", [SystemExit()])],
    )
    odd: Any = ValueError("no text")
    office.failures = [
        *raised, down("half a character: \udcff"), down(odd), down(retry_after=float("nan")), down(retry_after=odd),
        down(retry_after=float("inf")), down(retry_after=-5.0),
    ]  # fmt: skip
    failures = list(office.failures)
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await asked(store)
    for attempt in range(1, len(failures) + 1):
        await office.had(attempt)
        await until(lambda: notices(path, "status, lease") == [("pending", None)])
        clock.step((notices(path, "due_at")[0] - clock.now()) / 1000)
    await settled(path, ["delivered"])
    await deliverer.close()
    assert len(office.sent) == len(failures) + 1
    assert max(each.retry_after or 0 for each in failures if isinstance(each, DeliveryFailed)) <= 86_400


async def test_what_was_due_while_the_disk_was_full_is_sent_once_there_is_room(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, refused = TestChannel(), asyncio.Event()
    office.failures = [down()]
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await asked(store)
    await office.had(1)
    await until(lambda: notices(path, "lease") == [None])
    # The look at what other processes wrote is over: from here on, nothing but the time says that something is due.
    clock.step(2)
    await asyncio.sleep(0)

    def full(*_: object, **__: object) -> None:
        monkeypatch.undo()
        refused.set()
        raise StorageFull("There is no room.")

    monkeypatch.setattr(outbox, "claim", full)
    clock.step(8)
    async with asyncio.timeout(PATIENCE):
        await refused.wait()
    await office.had(2)
    await settled(path, ["delivered"])
    await deliverer.close()


async def test_a_deliverer_opens_on_a_full_disk_and_begins_once_there_is_room(
    store: ExecutionStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = TestChannel()

    def full(*_: object) -> None:
        monkeypatch.undo()
        raise StorageFull("There is no room.")

    monkeypatch.setattr(outbox, "register", full)
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await until(lambda: rows(path, "SELECT count(*) FROM routes") == [(1,)])
    await asked(store)
    await settled(path, ["delivered"])
    await deliverer.close()


async def test_a_full_disk_keeps_no_deliverer_from_its_end(
    store: ExecutionStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, refused = TestChannel(), asyncio.Event()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()

    def full(*_: object, **__: object) -> None:
        refused.set()
        raise StorageFull("There is no room.")

    monkeypatch.setattr(outbox, "delivered", full)
    monkeypatch.setattr(outbox, "release", full)
    await asked(store)
    async with asyncio.timeout(PATIENCE):
        await refused.wait()
        await deliverer.close()
    assert office.closed
    assert notices(path) == ["pending"]


async def test_a_notice_is_given_up_three_days_after_its_first_attempt(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.always = down("It is down for good.")
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    began = clock.now()
    execution_id, interaction_id = await asked(store)
    while notices(path) == ["pending"]:
        attempts = len(office.sent)
        await until(lambda: notices(path, "lease") == [None])
        if notices(path) == ["pending"]:
            clock.step((notices(path, "due_at")[0] - clock.now()) / 1000)
            await office.had(attempts + 1)
    await deliverer.close()
    assert 3 * 86_400_000 - 7_200_000 <= clock.now() - began <= 3 * 86_400_000
    assert notices(path, "status, problem") == [("given_up", "It is down for good.")]
    (given_up,) = told(path, "notice_given_up")
    assert (given_up["attempts"], given_up["problem"]) == (len(office.sent), "It is down for good.")
    # An answer has it be moot, whatever became of it.
    await store.resolve_interaction(execution_id, interaction_id, ADA)
    assert notices(path) == ["moot"]


async def test_what_fails_for_good_is_given_up_at_once(store: ExecutionStore, path: Path, tmp_path: Path) -> None:
    office = TestChannel()
    office.always = down("There is no such mailbox.", is_final=True)
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await asked(store)
    await settled(path, ["given_up"])
    await deliverer.close()
    assert len(office.sent) == 1


async def test_a_receiver_that_asks_to_be_left_alone_is(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.failures = [down(retry_after=90)]
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await asked(store)
    await office.had(1)
    await until(lambda: notices(path, "lease") == [None])
    await asked(store)
    clock.step(89)
    await until(lambda: notices(path, "attempts") == [1, 0])
    assert len(office.sent) == 1
    clock.step(1)
    await office.had(3)
    await settled(path, ["delivered", "delivered"])
    await deliverer.close()


async def test_a_receiver_that_is_gone_disables_its_route_until_an_operator_enables_it(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.failures = [down("410 Gone", disables=True)]
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await asked(store)
    await until(lambda: bool(told(path, "route_disabled")))
    await asked(store)
    clock.step(86_400)
    assert notices(path, "status, attempts, due_at") == [("pending", 1, None), ("pending", 0, None)]
    database = file_of(store).database
    (route,) = await outbox.known_routes(database)
    assert (route.name, route.problem) == ("questions", "410 Gone")
    assert len(office.sent) == 1
    # It outlives the process.
    await deliverer.close()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=(again := TestChannel())).open()
    await asked(store)
    clock.step(1)
    assert again.sent == []
    await database.write(outbox.enable, "questions", "op")
    clock.step(1)
    await again.had(3)
    await settled(path, ["delivered"] * 3)
    await deliverer.close()
    assert rows(path, "SELECT actor, detail FROM history WHERE event = 'route_enabled'") == [
        ("op", '{"route":"questions"}')
    ]


async def test_a_slow_receiver_delays_no_other(store: ExecutionStore, path: Path, tmp_path: Path) -> None:
    routes = ONE + ONE.replace("questions", "others").replace("office", "quick")
    office, quick = TestChannel(), TestChannel()
    office.gate = asyncio.Event()
    deliverer = await deliverer_of(store, tmp_path, routes, office=office, quick=quick).open()
    for _ in range(40):
        await asked(store)
    await quick.had(40)
    assert len(office.sent) == 16
    office.gate.set()
    await office.had(40)
    await until(lambda: notices(path) == ["delivered"] * 80)
    await deliverer.close()
    assert len({notice.id for notice in office.sent}) == 40


async def test_a_function_of_the_application_that_never_answers_holds_no_notice(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, asked_for = TestChannel(), list[str]()

    async def lookup(person: str) -> dict[str, str]:
        asked_for.append(person)
        if len(asked_for) == 1:
            await asyncio.Event().wait()
        return {"office": f"{person}@example.com"}

    monkeypatch.setattr("restpoint.notify.deliverer.SEND_SECONDS", 0.1)
    file = write_routes(tmp_path, ONE + 'to = ["assignees"]')
    deliverer = await Deliverer.of_file(store, file, channels={"office": office}, lookup=lookup).open()
    await asked(store, assignees=["joan"])
    clock.step(1)
    await until(lambda: notices(path, "lease, problem") == [(None, "Nobody took it within 0.1 seconds.")])
    monkeypatch.undo()
    clock.step(11)
    await until(lambda: bool(notices(path, "recipient")[0]))
    clock.step(1)
    (notice,) = await office.had(1)
    await deliverer.close()
    assert notice.recipient is not None
    assert notice.recipient.address == "joan@example.com"


async def test_each_person_of_a_group_is_told_and_who_cannot_be_is_named(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    office = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, PEOPLE, office=office).open()
    await asked(store, assignees=["joan", "group:finance"])
    await office.had(2)
    await settled(path, [("joan", "delivered"), ("nemo", "given_up"), ("zoe", "delivered")], "recipient, status")
    await deliverer.close()
    reached = sorted((one.recipient.name, one.recipient.address) for one in office.sent if one.recipient)
    assert reached == [("joan", "joan@example.com"), ("zoe", "zoe@example.com")]
    (given_up,) = told(path, "notice_given_up")
    assert given_up["recipient"] == "nemo"
    assert "[people]" in given_up["problem"]


async def test_nobody_is_asked_who_must_not_answer(store: ExecutionStore, path: Path, tmp_path: Path) -> None:
    office = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, PEOPLE, office=office).open()
    await asked(store, owner="zoe", assignees=["joan", "zoe"], four_eyes=True)
    await settled(path, [("joan", "delivered")], "recipient, status")
    await deliverer.close()


async def test_a_name_is_one_name_however_an_editor_writes_it(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    office = TestChannel()
    composed, apart = (unicodedata.normalize(form, "josé") for form in ("NFC", "NFD"))
    assert composed != apart
    routes = f'''
        groups = {{ "{apart}s" = ["{apart}", "joan"] }}
        [people]
        "{apart}" = {{ office = "jose@example.com" }}
        joan = {{ office = "joan@example.com" }}
        [[routes]]
        name = "questions"
        channel = "office"
        owners = ["{apart}"]
        to = ["assignees"]
    '''
    deliverer = await deliverer_of(store, tmp_path, routes, office=office).open()
    await asked(store, owner=composed, assignees=[f"group:{composed}s"], four_eyes=True)
    await asked(store, owner=composed, assignees=[composed])
    await office.had(2)
    await settled(path, [("joan", "delivered"), (composed, "delivered")], "recipient, status")
    await deliverer.close()


async def test_whoever_has_voted_is_not_asked_again(store: ExecutionStore, path: Path, tmp_path: Path) -> None:
    office = TestChannel()
    await (await deliverer_of(store, tmp_path, PEOPLE, office=office).open()).close()
    ids = await asked(store, assignees=["joan", "zoe", "ada"], votes=2)
    await store.resolve_interaction(*ids, ADA, actor="joan")
    deliverer = await deliverer_of(store, tmp_path, PEOPLE, office=office).open()
    await settled(path, [("ada", "given_up"), ("zoe", "delivered")], "recipient, status")
    await deliverer.close()


async def test_whoever_has_claimed_a_prompt_is_reminded_and_nobody_else(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    reminded = PEOPLE + 'events = ["interaction_reminded"]\n'
    deliverer = await deliverer_of(store, tmp_path, reminded, office=office).open()
    ids = await asked(store, assignees=["group:finance"], remind_after=60)
    await store.claim_interaction(*ids, actor="zoe")
    clock.step(60)
    await settled(path, [("zoe", "delivered")], "recipient, status")
    await deliverer.close()


async def test_a_person_who_could_not_be_told_in_time_is_reminded_and_not_told_twice(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.always = down()
    routes = f'{PEOPLE}events = ["interaction_asked", "interaction_reminded"]\n{MAIL}'
    deliverer = await deliverer_of(store, tmp_path, routes, office=office).open()
    await asked(store, assignees=["joan"], remind_after=[timedelta(seconds=12)])
    await office.had(1)
    await until(lambda: notices(path, "lease") == [None])
    clock.step(12)  # the second attempt, and the reminder
    await office.had(3)
    await until(lambda: notices(path, "lease") == [None, None])
    office.always = None
    for _ in range(4):
        clock.step(10)
        await asyncio.sleep(0)
    await settled(path, ["moot", "delivered"])
    await deliverer.close()
    assert [notice.event for notice in office.sent][3:] == ["interaction_reminded"]
    assert await broken_history(file_of(store).database) is None


async def test_auditors_see_whom_a_notice_went_to_and_no_time_of_an_answer_before_it(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    both = PEOPLE + 'events = ["interaction_reminded", "interaction_answered"]\n'
    deliverer = await deliverer_of(store, tmp_path, both, office=office).open()
    ids = await asked(store, assignees=["joan"], remind_after=60)
    clock.step(60)
    await settled(path, ["delivered"])
    clock.step(5)
    await store.resolve_interaction(*ids, ADA, actor="joan")
    await settled(path, ["delivered", "delivered"])
    await deliverer.close()
    about = [about for (about,) in rows(path, "SELECT about FROM execution_timeline ORDER BY sequence")]
    assert about == [None, TEXT.text, "to joan", "to joan by office", ADA.text, "to joan by office"]
    answered = rows(path, "SELECT told, answered_by, answered_after_ms FROM told ORDER BY sequence")
    assert answered == [("interaction_reminded", "joan", 5_000), ("interaction_answered", "joan", None)]


async def test_a_prompt_for_nobody_by_name_is_told_to_the_owner(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    office = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, PEOPLE, office=office).open()
    await asked(store, owner="joan")
    await settled(path, [("joan", "delivered")], "recipient, status")
    await deliverer.close()


async def test_what_was_under_way_when_the_process_ended_is_tried_by_the_next_one(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    office = TestChannel()
    office.gate = asyncio.Event()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    await asked(store)
    await office.had(1)
    await deliverer.close()
    assert notices(path, "status, lease") == [("pending", None)]
    again = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=again).open()
    (notice,) = await again.had(1)
    await settled(path, ["delivered"])
    await deliverer.close()
    assert (notice.id, notice.attempt) == (office.sent[0].id, 2)


async def test_a_notice_that_becomes_moot_on_its_way_was_delivered(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    office = TestChannel()
    office.gate = asyncio.Event()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    ids = await asked(store)
    await office.had(1)
    await store.resolve_interaction(*ids, ADA)
    assert notices(path) == ["moot"]
    office.gate.set()
    await settled(path, ["delivered"])
    await deliverer.close()


async def test_a_notice_that_becomes_moot_on_its_way_is_not_tried_again(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.gate, office.always = asyncio.Event(), down()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    ids = await asked(store)
    await office.had(1)
    await store.resolve_interaction(*ids, ADA)
    office.gate.set()
    await settled(path, [("moot", None, None)], "status, due_at, lease")
    clock.step(86_400)
    await deliverer.close()
    assert len(office.sent) == 1


async def test_two_processes_deliver_beside_each_other_and_each_notice_once(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    one, two = TestChannel(), TestChannel()
    async with ExecutionStore(database=path, clock=clock) as other:
        first = await deliverer_of(store, tmp_path, ONE, office=one).open()
        second = await deliverer_of(other, tmp_path, ONE, office=two).open()
        for _ in range(20):
            await asyncio.gather(asked(store), asked(other))
        await settled(path, ["delivered"] * 40)
        await first.close()
        await second.close()
    sent = [notice.id for notice in (*one.sent, *two.sent)]
    assert len(sent) == len(set(sent)) == 40


async def test_a_notice_of_another_process_is_seen(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    async with ExecutionStore(database=path, clock=clock) as other:
        await asked(other)
    clock.step(1)
    await office.had(1)
    await settled(path, ["delivered"])
    await deliverer.close()


async def test_an_operator_drops_a_notice_or_has_it_tried_again(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock
) -> None:
    office = TestChannel()
    office.always = down(is_final=True)
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    ids = await asked(store)
    await settled(path, ["given_up"])
    (notice_id,) = notices(path, "id")
    database = file_of(store).database
    await database.write(outbox.drop, notice_id, "op", "enough")
    await database.write(outbox.drop, notice_id, "op", "enough")
    assert notices(path) == ["dropped"]
    office.always = None
    await database.write(outbox.retry, notice_id, "op")
    clock.step(1)
    await settled(path, ["delivered"])
    for job in (outbox.retry, partial(outbox.drop, reason=None)):
        with pytest.raises(Conflict, match="delivered"):
            await database.write(job, notice_id, "op")
    await store.resolve_interaction(*ids, ADA)
    await deliverer.close()
    told_events = rows(path, "SELECT event, actor, cause FROM history WHERE event LIKE 'notice%' ORDER BY sequence")
    assert told_events == [
        ("notice_given_up", None, None), ("notice_dropped", "op", "enough"), ("notice_retried", "op", None),
        ("notice_delivered", None, None),
    ]  # fmt: skip
    assert await broken_history(file_of(store).database) is None


def test_a_channel_that_nobody_brings_is_refused(store: ExecutionStore, tmp_path: Path) -> None:
    routes = deliverer_of(store, tmp_path, ONE, office=TestChannel()).routes
    with pytest.raises(InvalidArgument, match="office"):
        Deliverer(store, routes, {})


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE outbox SET status = 'pending', ended_at = NULL, due_at = 1",  # it would be sent again
        "UPDATE outbox SET status = 'dropped'",
        "UPDATE outbox SET sequence = 1000",
    ],
)
async def test_a_notice_that_another_program_changed_is_found(
    store: ExecutionStore, path: Path, tmp_path: Path, change: str
) -> None:
    deliverer = await deliverer_of(store, tmp_path, ONE, office=TestChannel()).open()
    await asked(store)
    await settled(path, ["delivered"])
    await deliverer.close()
    with sql(path) as connection:
        assert verification.verify(connection).holds
        connection.execute(change)
        (finding,) = verification.verify(connection).findings
    assert finding.problem == "notice_differs"


async def test_after_an_erasure_the_outbox_still_fits_the_history(
    store: ExecutionStore, path: Path, tmp_path: Path
) -> None:
    office = TestChannel()
    office.always = down("joan@example.com does not exist", is_final=True)
    deliverer = await deliverer_of(store, tmp_path, ONE, office=office).open()
    ids = await asked(store, assignees=["joan"])
    await settled(path, ["given_up"])
    await store.resolve_interaction(*ids, ADA, actor="joan")
    await store.set_completed(ids[0], None)
    await store.erase_person("joan")
    await deliverer.close()
    assert "joan@example.com" not in "\n".join(dump(path))
    assert await broken_history(file_of(store).database) is None


async def test_of_two_processes_with_different_routes_the_last_one_counts_and_the_other_says_so_once(
    store: ExecutionStore, path: Path, tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = TestChannel(), TestChannel()
    ours.failures = [down()]
    others = ONE.replace("questions", "others")
    async with deliverer_of(store, tmp_path, ONE, office=ours) as first:
        await asked(store)
        await settled(path, [("questions", 1, "It is down.")], "route, attempts, problem")
        async with ExecutionStore(database=path, clock=clock) as elsewhere:
            async with deliverer_of(elsewhere, tmp_path, others, office=theirs) as last:
                await stepped(clock, lambda: first.is_superseded and notices(path) == ["delivered"])
                assert [notice.route for notice in ours.sent] == ["questions"] * 2, "it still sends its own"
                await asked(store)
                await stepped(clock, lambda: notices(path) == ["delivered"] * 2)
                assert ([notice.route for notice in theirs.sent], len(ours.sent)) == (["others"], 2)
                assert not last.is_superseded
            async with deliverer_of(elsewhere, tmp_path, ONE, office=theirs):
                await stepped(clock, lambda: not first.is_superseded)
    assert rows(path, "SELECT count(*) FROM history WHERE event = 'routes_changed'") == [(3,)]
    said = [record.message for record in caplog.records if "routes of this process" in record.message]
    said += [record.message for record in caplog.records if "started with other routes" in record.message]
    assert len(said) == 2


async def stepped(clock: ManualClock, condition: Callable[[], bool]) -> None:
    """Return once the condition holds, while the clock goes on five seconds at a time, each after some looks at it."""
    looks = count()

    def step() -> bool:
        if next(looks) % 20 == 0:
            clock.step(5)
        return condition()

    await until(step)
