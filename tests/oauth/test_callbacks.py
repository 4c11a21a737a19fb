"""FAULTS row 26: callbacks that are not what they seem. At most one exchange, and nothing under another person's name."""

import asyncio
import random
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from consents import KEYS, USED, Ring, Site, site
from fake_provider import CLIENT_ID, CLIENT_SECRET, Surfer, fake_provider, query
from restpoint._storage import consents
from restpoint.errors import ConsentExpired
from restpoint.oauth.keyring import as_text, new_key
from restpoint.oauth.providers import Provider
from runners import answer, unloaded, until
from runners import asked as asked_prompt
from serving import whoever
from support import PATIENCE, ManualClock, dump, eventually, file_of, rows

ADA, GRACE = {"x-user": "ada"}, {"x-user": "grace"}


def content(path: Path) -> list[str]:
    """Everything in the file but the leases, which are renewed."""
    return [line for line in dump(path) if not line.startswith('INSERT INTO "leases"')]


async def refused(at: Site, told: dict[str, Any], back: str, status: int, outcome: str, **browser: Any) -> None:
    """A callback that is refused changes nothing in the file, and is counted."""
    before, counted = content(at.path), at.consents.callbacks[outcome]
    surfer = browser.get("browser") or at.browser
    reply = await surfer.http.get(back, headers=browser.get("headers"))
    assert reply.status_code == status, reply.text
    assert content(at.path) == before
    assert at.consents.callbacks[outcome] == counted + 1
    assert at.provider.asked == []
    assert at.consent(told["execution_id"])[0] == "pending"


async def completes(at: Site, told: dict[str, Any], back: str, exchanges: int = 1) -> None:
    """The right callback still comes to its end: one exchange, one token."""
    assert (await at.browser.http.get(back)).status_code == 200
    assert await at.ended(told["execution_id"]) == ["read", "write"]
    assert len(at.provider.asked) == exchanges


async def test_a_forged_state_is_refused(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        state = query(back)["state"]
        for forged in ("x", state[:-1], f"{state}x", state.upper(), told["oauth_state"]):
            url = f"{at.client.base_url}/auth/redirect?code=c&state={forged}"
            await refused(at, told, url, 400, "forged")
        await completes(at, told, back)


async def test_what_is_no_callback_is_refused(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        for parameters in ("", "code=c", "code=c&state=", "state=a&state=b&code=c", "state=a" + "&x" * 50):
            await refused(at, told, f"{at.client.base_url}/auth/redirect?{parameters}", 400, "malformed")


async def test_a_form_that_says_more_than_ours_decides_nothing(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        before = content(at.path)
        url = f"{at.client.base_url}/executions/{told['execution_id']}/consents/{told['oauth_state']}"
        reply = await at.browser.http.post(url, content="decision=allow&proof=p" + "&a=" * 100)
        assert reply.status_code == 403
        assert content(at.path) == before


async def test_a_state_without_a_code_is_refused_and_may_come_again_with_one(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        url = f"{at.client.base_url}/auth/redirect?state={query(back)['state']}&iss={at.provider.issuer}"
        await refused(at, told, url, 400, "malformed")
        await completes(at, told, back)


async def test_a_state_is_taken_once(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        await completes(at, told, back)
        for _ in range(2):
            assert (await at.browser.http.get(back)).status_code == 409
        assert len(at.provider.asked) == 1
        assert at.consents.callbacks == {"granted": 1, "replayed": 2}


async def test_of_two_callbacks_at_once_one_is_taken(path: Path) -> None:
    async with site(path) as at:
        at.provider.token = "hangs"
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        coming = [asyncio.ensure_future(at.browser.http.get(back)) for _ in range(5)]
        await at.provider.arrived.wait()
        await eventually(lambda: at.consents.callbacks["replayed"] >= 4)
        assert at.consent(told["execution_id"])[:3] == ("exchanging", 1, 0)
        at.provider.let_go.set()
        assert sorted(reply.status_code for reply in await asyncio.gather(*coming)) == [200, 409, 409, 409, 409]
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        assert len(at.provider.asked) == 1


async def test_a_callback_may_come_to_another_process_and_of_two_at_once_one_is_taken(path: Path) -> None:
    async with site(path) as at, site(path, at.provider) as beside:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        at.provider.token = "hangs"
        there = back.replace(str(at.client.base_url).rstrip("/"), str(beside.client.base_url).rstrip("/"))
        coming = [asyncio.ensure_future(at.browser.http.get(url)) for url in (back, there)]
        await at.provider.arrived.wait()
        await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
        at.provider.let_go.set()
        assert sorted(reply.status_code for reply in await asyncio.gather(*coming)) == [200, 409]
        assert await beside.ended(told["execution_id"]) == ["read", "write"]
        assert len(at.provider.asked) == 1


async def test_another_browser_is_refused(path: Path) -> None:
    async with site(path) as at, Surfer() as another:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        await refused(at, told, back, 403, "other_browser", browser=another)
        await another.to_the_callback((await at.asked())["auth_url"])  # it has a cookie, of another consent
        await refused(at, told, back, 403, "other_browser", browser=another)
        await completes(at, told, back)


async def test_another_person_is_refused(path: Path) -> None:
    async with site(path, authenticate=whoever) as at:
        told = await at.asked(**ADA)
        at.browser.http.headers.update(ADA)
        back = await at.browser.to_the_callback(told["auth_url"])
        await refused(at, told, back, 403, "other_person", headers=GRACE)
        await completes(at, told, back)
        assert at.consent(told["execution_id"])[4] == "ada"


async def test_another_person_does_not_see_the_page_and_cannot_set_out(path: Path) -> None:
    async with site(path, authenticate=whoever) as at, Surfer(**GRACE) as grace, Surfer(**ADA) as ada:
        told = await at.asked(**ADA)
        absent = told["auth_url"].replace(told["execution_id"], "nobody")
        seen, missing = await grace.http.get(told["auth_url"]), await grace.http.get(absent)
        assert (seen.status_code, missing.status_code) == (404, 404)
        assert seen.text == missing.text, "what is not yours is as absent as what is not there"
        page = await ada.http.get(told["auth_url"])
        grace_presses = await grace.press(page)
        assert grace_presses.status_code == 404
        assert at.consent(told["execution_id"]) == ("pending", None, 0, 0, None)
        assert (await at.client.get(f"/executions/{told['execution_id']}", headers=GRACE)).status_code == 404


async def test_the_link_is_shown_to_the_person_of_the_consent_only(path: Path) -> None:
    async with site(path, authenticate=whoever) as at:
        told = await at.asked(**ADA)
        for person, link in (("ada", True), ("op", False), ("eye", False)):
            body = (await at.client.get(f"/executions/{told['execution_id']}", headers={"x-user": person})).json()
            assert (bool(body["auth_url"]), bool(body["oauth_state"])) == (link, link)
            history = (
                await at.client.get(f"/executions/{told['execution_id']}/history", headers={"x-user": person})
            ).text
            assert "ticket" not in history


async def test_a_state_that_is_too_old_is_refused(path: Path, clock: ManualClock) -> None:
    async with site(path, clock=clock) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        ((until,),) = rows(path, "SELECT state_expires_at FROM consents")
        clock.step((until - clock.now()) / 1000)
        await refused(at, told, back, 410, "expired")
        parameters = {name: value for name, value in query(back).items() if name != "code"} | {"error": "access_denied"}
        denied = str(httpx.URL(f"{at.client.base_url}/auth/redirect", params=parameters))
        await refused(at, told, denied, 410, "expired")
        database = file_of(at.store).database
        assert database is not None
        (consent,) = await consents.of_execution(database, told["execution_id"])
        with pytest.raises(ConsentExpired):
            await database.write(partial(consents.redeem, consent=consent, lease=1))
        again = await at.browser.to_the_callback(await at.link(told["execution_id"]))
        await completes(at, told, again)


async def test_another_issuer_is_refused(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])  # the provider's metadata promise iss
        right = query(back)
        without = {name: value for name, value in right.items() if name != "iss"}
        for parameters in ({**right, "iss": "https://evil.example"}, {**right, "iss": ""}, without):
            url = str(httpx.URL(f"{at.client.base_url}/auth/redirect", params=parameters))
            await refused(at, told, url, 400, "wrong_issuer")
        await completes(at, told, back)


async def test_a_provider_that_promises_no_issuer_may_send_none_but_not_another(path: Path) -> None:
    async with site(path) as at:
        at.provider.iss = None
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        await refused(at, told, f"{back}&iss=https://evil.example", 400, "wrong_issuer")
        await completes(at, told, back)


async def test_one_provider_does_not_pass_for_another(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """RFC 9700, section 4.4: one that has no issuer here sends the person on to another, whose code comes back."""
    async with fake_provider(iss=None) as made:
        nameless = Provider(
            "fake", CLIENT_ID, CLIENT_SECRET,
            authorization_endpoint=f"{made.issuer}/authorize", token_endpoint=f"{made.issuer}/token",
        )  # fmt: skip
        other = Provider("other", CLIENT_ID, issuer="https://other.example")
        async with site(path, made, providers=[nameless, other]) as at:
            told = await at.asked()
            back = await at.browser.to_the_callback(told["auth_url"])
            await refused(at, told, f"{back}&iss=https://other.example", 400, "wrong_issuer")
            await completes(at, told, back)
    (warning,) = [record.getMessage() for record in caplog.records if "RFC 9207" in record.getMessage()]
    assert "/auth/redirect/fake" in warning


async def test_an_answer_at_another_address_than_it_was_asked_for_is_refused(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        await refused(at, told, back.replace("/auth/redirect", "/auth/redirect/fake"), 400, "wrong_address")
        await completes(at, told, back)


async def test_a_provider_may_have_a_redirect_uri_of_its_own(path: Path) -> None:
    async with site(path) as first:
        base = str(first.client.base_url)
    port = int(base.rpartition(":")[2])
    redirect_uri = f"http://127.0.0.1:{port}/auth/redirect/fake"
    async with site(path, redirect_uri=redirect_uri) as at:
        told = await at.asked()
        assert told["auth_url"].startswith(f"http://127.0.0.1:{port}/executions/")
        here = told["auth_url"].replace(f"http://127.0.0.1:{port}", str(at.client.base_url))
        back = await at.browser.to_the_callback(here)
        assert back.startswith(redirect_uri)
        back = back.replace(f"http://127.0.0.1:{port}", str(at.client.base_url))
        await refused(at, told, back.replace("/redirect/fake", "/redirect"), 400, "wrong_address")
        await completes(at, told, back)


async def test_a_provider_that_answers_nothing_of_use_is_tried_again(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        attempts = 0
        reply = None
        answers: list[Any] = [
            (None, 500),
            ({"error": "temporarily_unavailable"}, 503),
            ("later", 429),
            "html",
            ([], 200),
        ]
        for token in answers:
            at.provider.token = token
            attempts += 1
            reply = await at.browser.http.get(await at.browser.to_the_callback(told["auth_url"], page=reply))
            assert (reply.status_code, "Try again" in reply.text) == (502, True)
            assert at.consent(told["execution_id"]) == ("pending", attempts, 0, 0, "local")
        at.provider.token = "grants"
        again = await at.browser.http.get(await at.browser.to_the_callback("", page=reply))
        assert again.status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]
        codes = [form["code"] for form in at.provider.asked]
        assert len(set(codes)) == len(codes) == attempts + 1, "no code is sent twice"


async def test_a_token_endpoint_that_hangs_is_given_up(path: Path) -> None:
    async with site(path) as at:
        at.provider.token = "hangs"
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        at.consents._client._timeout = 0.1  # seconds; for nothing but this request
        reply = await at.browser.http.get(back)
        assert (reply.status_code, "Try again" in reply.text) == (502, True)
        assert at.consent(told["execution_id"])[:3] == ("pending", 1, 0)
        assert at.events(told["execution_id"])[-2:] == ["consent_exchanging", "consent_pending"]


async def test_a_provider_that_is_down_before_anyone_sets_out(path: Path) -> None:
    async with site(path) as at:
        nowhere = at.provider.provider(
            "fake", authorization_endpoint="http://127.0.0.1:9/a", token_endpoint="http://127.0.0.1:9/t"
        )
        at.consents.providers = {"fake": nowhere}
        told = await at.asked()
        away = await at.browser.decide(told["auth_url"])
        assert away.headers["location"].startswith("http://127.0.0.1:9/a?")
        state = query(away.headers["location"])["state"]
        reply = await at.browser.http.get(f"{at.client.base_url}/auth/redirect?code=c&state={state}")
        assert (reply.status_code, "Try again" in reply.text) == (502, True)
        assert at.consent(told["execution_id"])[:3] == ("pending", 1, 0)


async def test_a_cookie_of_one_exchange_is_not_sent_in_another(path: Path) -> None:
    async with site(path) as at:
        for _ in range(2):
            told = await at.asked()
            await at.browser.http.get(await at.browser.to_the_callback(told["auth_url"]))
            await at.ended(told["execution_id"])
        assert at.provider.cookies == [{}, {}]


async def test_a_client_that_leaves_during_the_exchange_loses_nothing(path: Path) -> None:
    async with site(path) as at:
        at.provider.token = "hangs"
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        leaving = asyncio.ensure_future(at.browser.http.get(back))
        await at.provider.arrived.wait()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        at.provider.let_go.set()
        assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_a_consent_that_ends_during_the_exchange_stores_no_token(path: Path) -> None:
    async with site(path) as at:
        at.provider.token = "hangs"
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        coming = asyncio.ensure_future(at.browser.http.get(back))
        await at.provider.arrived.wait()
        await at.client.post(f"/executions/{told['execution_id']}/cancel")
        at.provider.let_go.set()
        assert (await coming).status_code == 410
        assert at.consent(told["execution_id"]) == ("withdrawn", 1, 0, 0, "local")


# --- All of it, many times ---------------------------------------------------------------------------------------------


class Attacks:
    """What may happen to a consent of Ada before the right callback comes. Each leaves it open, and says what it did."""

    def __init__(self, at: Site, beside: Site, clock: ManualClock, chance: random.Random) -> None:
        self.at, self.beside, self.clock, self.chance = at, beside, clock, chance
        self.counts: Counter[str] = Counter()
        self.told: dict[str, Any] = {}
        self.back = ""

    async def set_out(self) -> None:
        self.back = await self.at.browser.to_the_callback(await self.at.link(self.told["execution_id"], **ADA))

    async def begin(self) -> None:
        self.told = await self.at.asked(**ADA)
        await self.set_out()

    def changed(self, **changes: str) -> str:
        """The right callback with other parameters."""
        return str(httpx.URL(self.back).copy_merge_params(changes))

    async def refused(self, url: str, status: int, browser: Surfer | None = None, person: Any = ADA) -> None:
        reply = await (browser or self.at.browser).http.get(self.anywhere(url), headers=person)
        assert reply.status_code == status, reply.text
        assert self.at.consent(self.told["execution_id"])[0] == "pending"

    def anywhere(self, url: str) -> str:
        """The same address at one of the two servers."""
        there = str(self.chance.choice((self.at, self.beside)).client.base_url).rstrip("/")
        return url.replace(str(self.at.client.base_url).rstrip("/"), there)

    async def forged(self) -> None:
        await self.refused(self.changed(state="x" * 43), 400)

    async def replaced(self) -> None:
        old = self.back
        await self.set_out()
        await self.refused(old, 400)

    async def expired(self) -> None:
        self.clock.step(601)
        await self.refused(self.back, 410)
        await self.set_out()

    async def other_browser(self) -> None:
        async with Surfer(**ADA) as other:
            await self.refused(self.back, 403, other)

    async def other_person(self) -> None:
        await self.refused(self.back, 403, person=GRACE)

    async def wrong_issuer(self) -> None:
        await self.refused(self.changed(iss="https://evil.example"), 400)

    async def without_code(self) -> None:
        await self.refused(self.changed(code=""), 400)

    async def error_of_the_provider(self) -> None:
        code, status = self.chance.choice((("server_error", 502), ("invalid_scope", 503), ("something_new", 502)))
        await self.refused(self.changed(error=code), status)
        await self.refused(self.back, 409)
        await self.set_out()

    async def error_of_the_token_endpoint(self) -> None:
        replies: list[tuple[Any, int]] = [
            ((None, 500), 502), (({"error": "invalid_client"}, 401), 503), (({"error": "invalid_grant"}, 400), 502),
            (({"access_token": "a\r\nb"}, 200), 503), ((b"<h1>Welcome</h1>", 200), 502), (("later", 429), 502),
        ]  # fmt: skip
        self.at.provider.token, status = self.chance.choice(replies)
        await self.refused(self.back, status)
        self.at.provider.token = "grants"
        await self.refused(self.back, 409)
        await self.set_out()

    async def hanging_token_endpoint(self) -> None:
        self.at.provider.token = "hangs"
        clients = [each.consents._client for each in (self.at, self.beside)]
        for client in clients:
            client._timeout = 0.1  # seconds; for nothing but this request
        await self.refused(self.back, 502)
        for client in clients:
            client._timeout = PATIENCE
        self.at.provider.token = "grants"
        await self.set_out()

    async def suffer(self) -> None:
        """Some of them, in any order."""
        attacks = [
            self.forged, self.replaced, self.expired, self.other_browser, self.other_person, self.wrong_issuer,
            self.without_code, self.error_of_the_provider, self.error_of_the_token_endpoint, self.hanging_token_endpoint,
        ]  # fmt: skip
        for attack in self.chance.sample(attacks, self.chance.randrange(1, len(attacks) + 1)):
            await attack()
            self.counts[attack.__name__] += 1

    async def complete(self) -> None:
        """Several right callbacks at once, at both servers, and one of Grace's browser among them."""
        coming = [self.at.browser.http.get(self.anywhere(self.back)) for _ in range(4)]
        coming.append(self.at.browser.http.get(self.anywhere(self.back), headers=GRACE))
        statuses = sorted([reply.status_code for reply in await asyncio.gather(*coming)])
        assert statuses[0] == 200
        assert set(statuses[1:]) <= {403, 409}
        self.counts["callbacks at once"] += len(statuses)


@pytest.mark.parametrize("rounds", [3, pytest.param(300, marks=pytest.mark.deep)])
async def test_26_whatever_calls_back_there_is_one_token_and_it_is_that_of_the_right_person(
    path: Path, clock: ManualClock, rounds: int
) -> None:
    seed = random.randrange(1 << 30)
    async with (
        site(path, authenticate=whoever, clock=clock) as at,
        site(path, at.provider, authenticate=whoever, clock=clock) as beside,
    ):
        at.browser.http.headers.update(ADA)
        attacks = Attacks(at, beside, clock, random.Random(seed))
        mine: dict[str, str] = {}
        for _ in range(rounds):
            await attacks.begin()
            await attacks.suffer()
            await attacks.complete()
            mine[attacks.told["execution_id"]] = query(attacks.back)["code"]
            assert await at.ended(attacks.told["execution_id"]) == ["read", "write"]
        provider = at.provider
        sent = [form["code"] for form in provider.asked]
        assert len(set(sent)) == len(sent), "a code was sent twice"
        # The token that a step got is the one that the provider made for the code of that execution.
        made = dict(zip(provider.redeemed, provider.access_tokens, strict=True))
        assert [token.access_token for token in USED[-rounds:]] == [made[code] for code in mine.values()]
        foreign = (
            "SELECT count(*) FROM consents c JOIN executions e ON e.key = c.execution_key WHERE c.begun_by != e.owner"
        )
        assert rows(path, foreign) == [(0,)]
        granted = "SELECT execution_id FROM history WHERE event = 'consent_granted'"
        assert sorted(id_ for (id_,) in rows(path, granted)) == sorted(mine), "each was granted once"
        print(
            f"seed {seed}: {rounds} consents, {dict(attacks.counts)}; {len(sent)} exchanges, {len(set(sent))} codes, "
            f"{len(mine)} tokens, 0 codes sent twice, 0 tokens under another person"
        )


# --- The page and its link -------------------------------------------------------------------------------------------


async def test_a_browser_without_credentials_comes_by_the_link_of_its_person(path: Path) -> None:
    async with site(path, authenticate=whoever) as at, Surfer() as browser, Surfer() as thief:
        told = await at.asked(**ADA)
        bare = told["auth_url"].partition("?")[0]
        other = (await at.asked(**GRACE))["auth_url"].partition("?ticket=")[2]
        for url in (bare, f"{bare}?ticket=x", f"{bare}?ticket={other}"):
            assert (await browser.http.get(url)).status_code == 404
        back = await browser.to_the_callback(told["auth_url"])
        assert at.consent(told["execution_id"])[4] == "ada"
        assert (await thief.http.get(told["auth_url"])).status_code == 404, "the link was used"
        assert (await browser.http.get(bare)).status_code == 200, "the browser that set out may do so again"
        assert (await browser.http.get(back)).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_who_cannot_go_on_is_told_how_to_get_a_new_link(path: Path, clock: ManualClock) -> None:
    async with site(path, authenticate=whoever, clock=clock) as at, Surfer() as other:
        told = await at.asked(**ADA)
        page = await at.browser.http.get(told["auth_url"])
        back = await at.browser.to_the_callback(told["auth_url"])
        seen = [
            await other.http.get(told["auth_url"]),  # the link was used
            await other.http.get(back),  # another browser set out
            await at.browser.http.get(f"{at.client.base_url}/auth/redirect?code=c&state=forged"),
            await at.browser.press(page),  # the form is of the attempt before
        ]
        clock.step(901)
        seen.append(await at.browser.press(page))  # the form is too old
        assert [reply.status_code for reply in seen] == [404, 403, 400, 409, 403]
        for reply in seen:
            assert "To get a new one" in reply.text, reply.text
            assert "restpoint authorize" in reply.text
        link = await at.link(
            told["execution_id"], **ADA
        )  # as the page says: whatever shows the execution has a new one
        assert (await other.consent(link)).status_code == 200


async def test_a_link_is_good_for_a_quarter_of_an_hour(path: Path, clock: ManualClock) -> None:
    async with site(path, authenticate=whoever, clock=clock) as at:
        told = await at.asked(**ADA)
        page = await at.browser.http.get(told["auth_url"])
        clock.step(901)
        assert (await at.browser.http.get(told["auth_url"])).status_code == 404
        assert (await at.browser.press(page)).status_code == 403
        assert (await at.browser.http.get(await at.link(told["execution_id"], **ADA))).status_code == 200


async def test_a_form_of_another_site_or_without_its_proof_changes_nothing(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        before = content(path)
        url = told["auth_url"].partition("?")[0]
        crossed = await at.browser.http.post(url, data={"decision": "allow"}, headers={"sec-fetch-site": "cross-site"})
        other = await at.browser.http.post(url, data={"decision": "allow"}, headers={"origin": "https://evil.example"})
        unproven = await at.browser.http.post(url, data={"decision": "allow"})
        stuffed = await at.browser.http.post(url, data={str(number): "x" for number in range(11)})
        assert [crossed.status_code, other.status_code, unproven.status_code, stuffed.status_code] == [403] * 4
        assert content(path) == before


async def test_a_form_that_someone_has_is_not_sent_by_the_browser_of_somebody_else(path: Path) -> None:
    async with site(path) as at, Surfer() as victim:
        told = await at.asked()
        page = await at.browser.http.get(told["auth_url"])
        (proof,) = re.findall(r'name="proof" value="([^"]+)"', page.text)
        url, form = str(page.url.copy_with(query=None)), {"proof": proof, "decision": "allow"}
        for sent in ({"origin": "null"}, {"origin": "http://["}, {"sec-fetch-site": "same-site"}):
            assert (await victim.http.post(url, data=form, headers=sent)).status_code == 403, sent
        assert at.consent(told["execution_id"])[:2] == ("pending", None)
        assert (await at.browser.press(page)).status_code == 303


async def test_without_a_proof_a_consent_is_as_absent_as_one_that_is_not_there(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        url = told["auth_url"].partition("?")[0]
        there = await at.browser.http.post(url, data={"proof": "x"})
        absent = await at.browser.http.post(url.replace(told["execution_id"], "nobody"), data={"proof": "x"})
        assert (there.status_code, there.text) == (absent.status_code, absent.text) == (403, there.text)


async def test_the_form_is_taken_behind_a_proxy_that_names_another_host(path: Path) -> None:
    async with site(path, redirect_uri="https://approvals.example/auth/redirect") as at:
        told = await at.asked()
        page = await at.browser.http.get(told["auth_url"].replace("https://approvals.example", str(at.client.base_url)))
        (proof,) = re.findall(r'name="proof" value="([^"]+)"', page.text)
        sent = {"origin": "https://approvals.example"}
        form = {"proof": proof, "decision": "allow"}
        assert (await at.browser.http.post(str(page.url), data=form, headers=sent)).status_code == 303


async def test_an_old_form_does_not_set_out_again(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        page = await at.browser.http.get(told["auth_url"])
        assert (await at.browser.press(page)).status_code == 303
        assert (await at.browser.press(page)).status_code == 409
        assert at.consent(told["execution_id"])[1] == 1


async def test_setting_out_again_takes_the_place_of_the_attempt_before(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        first = await at.browser.to_the_callback(told["auth_url"])
        second = await at.browser.to_the_callback(told["auth_url"])
        await refused(at, told, first, 400, "forged")
        await completes(at, told, second)


async def test_pages_stay_out_of_frames_caches_and_referrers(path: Path) -> None:
    async with site(path) as at:
        told = await at.asked()
        away = await at.browser.decide(told["auth_url"])
        pages = [
            await at.browser.http.get(told["auth_url"]),
            away,
            await at.browser.http.get(f"{at.client.base_url}/auth/redirect?state=forged"),
            await at.browser.http.get(told["auth_url"].replace(told["execution_id"], "nobody")),
        ]
        for reply in pages:
            assert reply.headers["cache-control"] == "no-store"
            # So that a form comes with its Origin; that is without path and query.
            wanted = "strict-origin" if "<form" in reply.text else "no-referrer"
            assert reply.headers["referrer-policy"] == wanted
            assert reply.headers["x-frame-options"] == "DENY"
        for reply in (page for page in pages if page is not away):
            policy = reply.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
        (cookie,) = away.headers.get_list("set-cookie")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/;" in cookie


async def test_on_https_the_cookie_is_the_hosts_alone(path: Path) -> None:
    async with site(path, redirect_uri="https://approvals.example/app/auth/redirect") as at:
        told = await at.asked()
        assert told["auth_url"].startswith("https://approvals.example/app/executions/")
        here = told["auth_url"].replace("https://approvals.example/app", str(at.client.base_url))
        away = await at.browser.decide(here)
        (cookie,) = away.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-restpoint-")
        assert "; Secure" in cookie
        assert "Path=/;" in cookie


async def test_on_https_a_cookie_that_a_neighbouring_host_can_set_is_no_proof_of_the_browser(path: Path) -> None:
    base = "https://approvals.example"
    async with site(path, redirect_uri=f"{base}/auth/redirect") as at:
        told = await at.asked()
        away = await at.browser.decide(told["auth_url"].replace(base, str(at.client.base_url)))
        cookie = away.headers["set-cookie"].partition(";")[0]
        back = (await at.browser.at_the_provider(away.headers["location"])).replace(base, str(at.client.base_url))
        planted = {"cookie": cookie.removeprefix("__Host-")}
        await refused(at, told, back, 403, "other_browser", headers=planted)
        assert (await at.browser.http.get(back, headers={"cookie": cookie})).status_code == 200
        assert await at.ended(told["execution_id"]) == ["read", "write"]


async def test_below_a_mount_the_cookie_goes_there_only(path: Path) -> None:
    async with site(path, mount="/approvals") as at:
        told = await at.asked()
        away = await at.browser.decide(told["auth_url"])
        (cookie,) = away.headers.get_list("set-cookie")
        assert "Path=/approvals;" in cookie
        back = await at.browser.at_the_provider(away.headers["location"])
        assert back.partition("?")[0] == f"{str(at.client.base_url).rstrip('/')}/auth/redirect"
        await completes(at, told, back)


# --- Keys ------------------------------------------------------------------------------------------------------------


async def test_a_lost_key_is_told_and_touches_nothing(path: Path) -> None:
    ring, other = Ring(), as_text(new_key())
    async with site(path, ring=ring) as at:
        told = await at.asked()
        back = await at.browser.to_the_callback(told["auth_url"])
        before = content(path)
        ring.keys = [other]
        reply = await at.browser.http.get(back)
        assert (reply.status_code, "cannot open what it sealed" in reply.text) == (503, True)
        assert content(path) == before
        assert at.consents.callbacks["sealed"] == 1
        ring.keys = [other, KEYS]  # the key is back, behind another one
        await completes(at, told, back)


async def test_who_sets_out_anew_does_not_need_the_lost_key(path: Path) -> None:
    ring = Ring()
    async with site(path, ring=ring) as at:
        told = await at.asked()
        await at.browser.to_the_callback(told["auth_url"])
        ring.keys = [as_text(new_key())]
        await completes(at, told, await at.browser.to_the_callback(await at.link(told["execution_id"])))


async def test_an_execution_whose_token_does_not_open_is_left_until_it_does(path: Path) -> None:
    ring, other = Ring(), as_text(new_key())
    async with site(path, ring=ring, hold=0.0) as at:
        told = await at.asked("connect_and_ask")
        await at.browser.consent(told["auth_url"])
        record = await at.store.get(told["execution_id"])
        assert record is not None
        await asked_prompt(record, "Go on?")
        await unloaded(at.runner)
        ring.keys = [other]
        healthy = await at.asked()
        await answer(at.store, record, "Go on?", "yes")
        await until(record, lambda: record.problem)
        assert "is not in the ring" in str(record.problem)
        assert record.status == "running"
        await completes(at, healthy, await at.browser.to_the_callback(healthy["auth_url"]), exchanges=2)
        provider = at.provider
    ring.keys = [other, KEYS]
    async with site(path, provider, ring=ring) as at:
        assert await at.ended(told["execution_id"]) == ["yes", ["read"]]
