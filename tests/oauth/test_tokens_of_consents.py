"""Tokens after the consent: refreshed when they have expired, sealed anew when keys are rotated, kept from everyone else."""

import asyncio
import copy
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consents import KEYS, USED, Ring, Site, site, use
from restpoint import Context, workflow
from restpoint._core.oauth_token import OAuthToken
from restpoint._storage import consents
from restpoint._store.records import ExecutionRecord
from restpoint.errors import StorageError
from restpoint.oauth import tokens
from restpoint.oauth.keyring import Key, Vault, as_text, new_key, sealed_with
from restpoint.oauth.tokens import reseal
from runners import answer, asked, unloaded
from support import PATIENCE, ManualClock, eventually, file_of, rows, sql


async def paused(at: Site) -> ExecutionRecord:
    """An execution that has its token, asks something, and is in nobody's memory."""
    told = await at.asked("connect_and_ask")
    await at.browser.consent(told["auth_url"])
    record = await at.store.get(told["execution_id"])
    assert record is not None
    await asked(record, "Go on?")
    await unloaded(at.runner)
    return record


async def goes_on(at: Site, record: ExecutionRecord) -> OAuthToken:
    """What the step is given after the question."""
    await answer(at.store, record, "Go on?", "yes")
    assert await at.ended(record.execution_id) == ["yes", ["read"]]
    return USED[-1]


async def outcome(at: Site, execution_id: str) -> OAuthToken:
    (token,) = (await at.consents.outcomes(execution_id)).values()
    assert isinstance(token, OAuthToken)
    return token


async def test_a_token_that_is_good_is_given_again_as_it_is(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(3000)
        token = await goes_on(at, record)
        assert token.access_token == at.provider.access_tokens[0]
        assert token.expires_at == (clock.now() - 3_000_000) / 1000 + 3600
        assert len(at.provider.asked) == 1


async def test_a_token_that_has_expired_is_refreshed_and_the_new_one_is_kept(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(3601)
        first = await outcome(at, record.execution_id)
        assert first.access_token == at.provider.access_tokens[1]
        assert first.scopes == ("read",)
        token = await goes_on(at, record)
        assert token.access_token == first.access_token
        assert [form["grant_type"] for form in at.provider.asked] == ["authorization_code", "refresh_token"]
        assert at.consents.refreshes == {"done": 1}


async def test_a_token_is_refreshed_again_with_the_refresh_token_that_came_last(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        for expected in (1, 2, 3):
            clock.step(3601)
            assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[expected]


async def test_two_at_once_refresh_once(path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, refused, take_token = asyncio.Event(), asyncio.Event(), consents.take_token
    loop = asyncio.get_running_loop()

    def told(*arguments: Any, **named: Any) -> bool:
        took = take_token(*arguments, **named)
        loop.call_soon_threadsafe((taken if took else refused).set)
        return took

    monkeypatch.setattr(consents, "take_token", told)
    async with site(path, clock=clock, hold=0.0) as at, site(path, at.provider, clock=clock, hold=0.0) as beside:
        record = await paused(at)
        await unloaded(beside.runner)
        clock.step(3601)
        at.provider.token = "hangs"
        asking = [asyncio.ensure_future(outcome(each, record.execution_id)) for each in (at, at, beside, beside)]
        async with asyncio.timeout(PATIENCE):
            await taken.wait()
            await refused.wait()
            await eventually(lambda: len(at.provider.asked) >= 2)
        at.provider.let_go.set()
        tokens = {token.access_token for token in await asyncio.gather(*asking)}
        assert tokens == {at.provider.access_tokens[1]}
        assert len(at.provider.asked) == 2


async def test_a_process_that_dies_while_it_refreshes_leaves_it_to_the_next(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        with sql(path) as connection:
            connection.execute("UPDATE consents SET lease = 999")  # of nobody alive
        clock.step(3601)
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[1]
        assert rows(path, "SELECT lease FROM consents") == [(None,)]


async def test_a_refresh_that_is_refused_gives_the_token_as_it_was(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(3601)
        at.provider.token = ({"error": "invalid_grant"}, 400)
        token = await goes_on(at, record)
        assert token.access_token == at.provider.access_tokens[0]
        assert at.consents.refreshes["refused"] >= 1


async def test_a_refresh_that_fails_is_tried_again_the_next_time(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(3601)
        at.provider.token = (None, 500)
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[0]
        at.provider.token = "grants"
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[1]


async def test_a_token_without_a_refresh_token_is_given_as_it_was(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        at.provider.gives_refresh_tokens = False
        record = await paused(at)
        clock.step(3601)
        assert (await goes_on(at, record)).access_token == at.provider.access_tokens[0]
        assert len(at.provider.asked) == 1


async def test_a_provider_may_say_nothing_of_the_end_of_a_token(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        at.provider.expires_in = None
        record = await paused(at)
        clock.step(1e8)
        token = await goes_on(at, record)
        assert (token.access_token, token.expires_at) == (at.provider.access_tokens[0], None)


async def test_what_a_provider_says_of_the_life_of_a_token_is_taken_with_care(path: Path, clock: ManualClock) -> None:
    said = (("3600", 3600), (1.5, 1.5), (0, 0), (-5, None), (1e300, None), (True, 1))
    async with site(path, clock=clock) as at:
        at.provider.gives_refresh_tokens = False
        for told, seconds in said:
            at.provider.expires_in = told
            started = await at.asked()
            await at.browser.consent(started["auth_url"])
            assert await at.ended(started["execution_id"]) == ["read", "write"]
            assert USED[-1].expires_at == (None if seconds is None else clock.now() / 1000 + seconds)


# --- Within a run ----------------------------------------------------------------------------------------------------


async def test_a_token_that_expires_within_a_run_is_fresh_at_the_next_step(path: Path, clock: ManualClock) -> None:
    @workflow
    async def long_run(ctx: Context) -> list[str]:
        token = await ctx.authorize("fake")
        await ctx.step(use, token)
        clock.step(7200)
        await ctx.step(use, token)
        return await ctx.step(use, token)

    async with site(path, clock=clock, workflows=[long_run]) as at:
        told = await at.asked("long_run")
        await at.browser.consent(told["auth_url"])
        assert await at.ended(told["execution_id"]) == ["read"]
        given = [(token.access_token, token.expires_at) for token in USED[-3:]]
        now = clock.now() / 1000
        old, new = at.provider.access_tokens
        assert given == [(old, now - 3600), (new, now + 3600), (new, now + 3600)]


async def test_each_attempt_of_a_step_gets_a_fresh_token(path: Path, clock: ManualClock) -> None:
    given: list[str] = []

    async def flaky(token: OAuthToken) -> str:
        given.append(token.access_token)
        if len(given) == 1:
            clock.step(7200)
            raise OSError("the service is down")
        return token.access_token

    @workflow
    async def tries(ctx: Context) -> str:
        return await ctx.step(flaky, await ctx.authorize("fake"), retries=1, backoff=0)

    async with site(path, clock=clock, workflows=[tries]) as at:
        told = await at.asked("tries")
        await at.browser.consent(told["auth_url"])
        assert await at.ended(told["execution_id"]) == at.provider.access_tokens[1]
        assert given == at.provider.access_tokens


async def test_a_token_is_fresh_in_a_partial_too_which_keeps_its_named_arguments(
    path: Path, clock: ManualClock
) -> None:
    async def call(greeting: str, token: OAuthToken, *, other: OAuthToken, times: int) -> list[Any]:
        return [greeting, token.access_token, other.access_token, times]

    @workflow
    async def partly(ctx: Context) -> list[Any]:
        token = await ctx.authorize("fake")
        clock.step(7200)
        return await ctx.step(partial(call, "hello", other=token, times=3), token)

    async with site(path, clock=clock, workflows=[partly]) as at:
        told = await at.asked("partly")
        await at.browser.consent(told["auth_url"])
        assert await at.ended(told["execution_id"]) == ["hello", *[at.provider.access_tokens[1]] * 2, 3]
        assert len(at.provider.asked) == 2


async def test_a_step_that_takes_long_asks_for_a_fresh_token_itself(path: Path, clock: ManualClock) -> None:
    async def long_step(box: list[OAuthToken]) -> list[str]:
        first = await box[0].fresh()
        clock.step(7200)
        second = await box[0].fresh()
        again = await second.fresh()
        return [first.access_token, second.access_token, again.access_token]

    @workflow
    async def careful(ctx: Context) -> list[str]:
        return await ctx.step(long_step, [await ctx.authorize("fake")])

    async with site(path, clock=clock, workflows=[careful]) as at:
        told = await at.asked("careful")
        await at.browser.consent(told["auth_url"])
        old, new = await at.ended(told["execution_id"]) and at.provider.access_tokens
        assert await at.ended(told["execution_id"]) == [old, new, new]


async def test_a_token_whose_execution_has_ended_is_as_it_was(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock) as at:
        told = await at.asked()
        await at.browser.consent(told["auth_url"])
        await at.ended(told["execution_id"])
        clock.step(7200)
        assert await USED[-1].fresh() is USED[-1]
        assert len(at.provider.asked) == 1


async def test_a_key_that_is_lost_within_a_run_fails_no_step(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    ring = Ring()

    @workflow
    async def loses_its_key(ctx: Context) -> list[str]:
        token = await ctx.authorize("fake")
        ring.keys = [as_text(new_key())]
        clock.step(7200)
        return await ctx.step(use, token)

    async with site(path, clock=clock, ring=ring, workflows=[loses_its_key]) as at:
        told = await at.asked("loses_its_key")
        await at.browser.consent(told["auth_url"])
        assert await at.ended(told["execution_id"]) == ["read"]
        assert USED[-1].access_token == at.provider.access_tokens[0]
    assert "is not in the ring" in caplog.text


async def test_a_token_may_be_copied_and_sent_to_another_process_where_it_stays_as_it_is(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        await at.browser.consent(told["auth_url"])
        await at.ended(told["execution_id"])
        token = USED[-1]
        assert copy.deepcopy(token) == token
        assert asdict(token)["access_token"] == token.access_token
        elsewhere = pickle.loads(pickle.dumps(token))
        assert (elsewhere, await elsewhere.fresh()) == (token, elsewhere)


async def test_a_token_of_a_short_life_is_not_refreshed_before_half_of_it_is_over(
    path: Path, clock: ManualClock
) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        at.provider.expires_in = 30
        record = await paused(at)
        clock.step(14)
        first = await outcome(at, record.execution_id)
        assert await first.fresh() == first
        clock.step(2)
        assert (await first.fresh()).access_token == at.provider.access_tokens[1]
        assert len(at.provider.asked) == 2


# --- A refresh token that the provider has replaced --------------------------------------------------------------------


async def test_a_wrong_member_beside_a_refreshed_token_costs_neither_of_the_tokens(
    path: Path, clock: ManualClock
) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        beside: tuple[dict[str, Any], ...] = (
            {"error": None}, {"error": ""}, {"token_type": None}, {"expires_in": "3600.0"}, {"scope": 5},
        )  # fmt: skip
        sent = at.provider.refresh_tokens[-1]
        for number, wrong in enumerate(beside):
            clock.step(7200)
            at.provider.token = (
                {
                    "access_token": f"a{number}",
                    "token_type": "Bearer",
                    "expires_in": 3600,
                    "refresh_token": f"r{number}",
                    **wrong,
                },
                200,
            )
            assert (await outcome(at, record.execution_id)).access_token == f"a{number}"
            assert at.provider.asked[-1]["refresh_token"] == sent
            sent = f"r{number}"


async def test_a_refresh_token_that_comes_without_a_usable_access_token_is_kept(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(7200)
        at.provider.token = ({"access_token": "", "refresh_token": "replaced"}, 200)
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[0]
        at.provider.token = ({"access_token": "new", "expires_in": 3600}, 200)
        assert (await outcome(at, record.execution_id)).access_token == "new"
        assert at.provider.asked[-1]["refresh_token"] == "replaced"


async def test_who_is_cancelled_while_a_token_is_refreshed_does_not_lose_the_new_one(
    path: Path, clock: ManualClock
) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(7200)
        at.provider.token = "grants and hangs"
        at.provider.arrived.clear()
        asking = asyncio.ensure_future(outcome(at, record.execution_id))
        await at.provider.arrived.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        waiting = asyncio.ensure_future(outcome(at, record.execution_id))  # joins the refresh that goes on
        at.provider.let_go.set()
        assert (await waiting).access_token == at.provider.access_tokens[1]
        assert len(at.provider.asked) == 2


async def test_a_rotation_of_keys_during_a_refresh_does_not_lose_the_new_token(path: Path, clock: ManualClock) -> None:
    ring, new = Ring(), as_text(new_key())
    async with site(path, ring=ring, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(7200)
        at.provider.token = "grants and hangs"
        at.provider.arrived.clear()
        asking = asyncio.ensure_future(outcome(at, record.execution_id))
        await at.provider.arrived.wait()
        ring.keys = [new, KEYS]
        assert await reseal(file_of(at.store).database, Vault(ring)) == (1, 0)
        at.provider.let_go.set()
        assert (await asking).access_token == at.provider.access_tokens[1]
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[1]
        assert rows(path, "SELECT lease FROM consents") == [(None,)]
        at.provider.token = "grants"
        clock.step(7200)
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[2]


async def test_a_new_token_is_stored_when_the_storage_works_again(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_token, failures = consents.replace_token, [1, 2]

    def replace(*arguments: Any, **named: Any) -> bool:
        if failures:
            failures.pop()
            raise StorageError("the disk is full")
        return replace_token(*arguments, **named)

    monkeypatch.setattr(consents, "replace_token", replace)
    monkeypatch.setattr(tokens, "_RETRY_DELAY", 0.0)
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(7200)
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[1]
        assert failures == []
        assert (await outcome(at, record.execution_id)).access_token == at.provider.access_tokens[1]
        assert len(at.provider.asked) == 2


async def test_a_server_that_ends_waits_for_the_reply_to_a_refresh(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock, hold=0.0) as at:
        record = await paused(at)
        clock.step(7200)
        at.provider.token = "grants and hangs"
        at.provider.arrived.clear()
        asking = asyncio.ensure_future(outcome(at, record.execution_id))
        await at.provider.arrived.wait()
        closing = asyncio.ensure_future(at.consents.close())
        at.provider.let_go.set()
        await closing
        assert (await asking).access_token == at.provider.access_tokens[1]
        provider = at.provider
    provider.token = "grants"
    async with site(path, provider, clock=clock) as at:
        assert (await outcome(at, record.execution_id)).access_token == provider.access_tokens[1]


# --- Rotation --------------------------------------------------------------------------------------------------------


def sealing_keys(path: Path) -> set[str | None]:
    values = rows(path, "SELECT verifier FROM consents UNION ALL SELECT token FROM consents")
    return {sealed_with(value) for (value,) in values if value is not None}


async def test_keys_are_rotated_while_consents_are_pending_and_tokens_wait(path: Path) -> None:
    ring, new = Ring(), as_text(new_key())
    async with site(path, ring=ring, hold=0.0) as at:
        record = await paused(at)
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        untouched = await at.asked()
        ring.keys = [new, KEYS]
        assert await reseal(file_of(at.store).database, Vault(ring), actor="op") == (2, 0)
        assert sealing_keys(path) == {new.partition(":")[0]}
        ring.keys = [new]  # the old key is not needed any more
        assert (await at.browser.http.get(back)).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        assert (await at.browser.http.get(untouched["auth_url"])).status_code == 200
        link = await at.link(untouched["execution_id"])
        assert (await at.browser.consent(link)).status_code == 200
        assert await at.ended(untouched["execution_id"]) == ["read", "write"]  # before the next one uses its token
        assert (await goes_on(at, record)).access_token == at.provider.access_tokens[0]
        ((actor, detail),) = rows(path, "SELECT actor, detail FROM history WHERE event = 'keys_rotated'")
        assert (actor, f'"current":"{new.partition(":")[0]}"' in detail, '"resealed":2' in detail) == ("op", True, True)


async def test_a_rotation_comes_to_its_end_where_another_begins_meanwhile(path: Path) -> None:
    second, third = as_text(new_key()), as_text(new_key())

    class Rotating(Ring):
        """Another key is put first once the first value was opened."""

        def ring(self, wanted: str | None = None) -> Sequence[Key]:
            if wanted is not None:
                self.keys = [third, second, KEYS]
            return super().ring(wanted)

    async with site(path, hold=0.0) as at:
        await paused(at)
        async with asyncio.timeout(PATIENCE):
            assert (await reseal(file_of(at.store).database, Vault(Rotating(second, KEYS))))[1] == 0
    assert sealing_keys(path) == {third.partition(":")[0]}


async def test_what_a_lost_key_sealed_is_left_as_it_is_by_a_rotation(path: Path) -> None:
    ring, new = Ring(), as_text(new_key())
    async with site(path, ring=ring, hold=0.0) as at:
        await paused(at)
        before = rows(path, "SELECT token FROM consents")
        ring.keys = [new]
        assert await reseal(file_of(at.store).database, Vault(ring)) == (0, 1)
        assert rows(path, "SELECT token FROM consents") == before
        ring.keys = [new, KEYS]
        assert await reseal(file_of(at.store).database, Vault(ring)) == (1, 0)


async def test_a_sealed_token_opens_in_no_other_row(path: Path) -> None:
    async with site(path, hold=0.0) as at:
        mine, other = await paused(at), await paused(at)
        with sql(path) as connection:
            connection.execute(
                "UPDATE consents SET token = (SELECT token FROM consents AS o JOIN executions AS e ON e.key = o.execution_key"
                " WHERE e.id = ?) WHERE execution_key = (SELECT key FROM executions WHERE id = ?)",
                (mine.execution_id, other.execution_id),
            )
        await answer(at.store, other, "Go on?", "yes")
        async with asyncio.timeout(PATIENCE):
            while other.problem is None:
                await other.changed()
        assert "does not open" in other.problem
        assert (await goes_on(at, mine)).access_token == at.provider.access_tokens[0]
