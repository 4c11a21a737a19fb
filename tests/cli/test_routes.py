"""The commands for routes."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import standardwebhooks

from inside import Command
from receivers import Behaviour, Receiver, receiving, says
from restpoint.notify.signatures import PrivateKey, read_signer
from support import PATIENCE


def test_a_secret_is_printed_alone_so_that_it_can_be_piped(restpoint: Command) -> None:
    made = restpoint("routes", "keygen")

    assert made.returncode == 0
    assert made.stderr == ""
    standardwebhooks.Webhook(made.stdout.strip())
    assert read_signer(made.stdout, "It") != read_signer(restpoint("routes", "keygen").stdout, "It")


def test_a_secret_in_a_file_is_its_owners_and_is_not_shown(restpoint: Command, tmp_path: Path) -> None:
    made = restpoint("routes", "keygen", "crm.secret")

    text = (tmp_path / "crm.secret").read_text()
    assert (made.returncode, made.stdout) == (0, "")
    assert text.strip() not in made.stderr
    assert (tmp_path / "crm.secret").stat().st_mode & 0o777 == 0o600
    standardwebhooks.Webhook(text.strip())
    assert restpoint("routes", "keygen", "crm.secret").returncode == 5, "no secret is written over"
    assert (tmp_path / "crm.secret").read_text() == text
    assert restpoint("routes", "keygen", "nowhere/crm.secret").returncode == 5


def test_of_a_key_pair_the_public_key_is_printed(restpoint: Command, tmp_path: Path) -> None:
    kept = restpoint("routes", "keygen", "crm.key", "--ed25519")
    printed = restpoint("routes", "keygen", "--ed25519")

    for private, public in (
        ((tmp_path / "crm.key").read_text(), kept.stdout.strip()),
        (printed.stdout, printed.stderr.split()[-1]),
    ):
        signer = read_signer(private, "It")
        assert isinstance(signer, PrivateKey)
        assert signer.public == public


def test_what_is_wrong_in_a_routes_file_is_said_without_pointing_at_the_options(
    restpoint: Command, tmp_path: Path
) -> None:
    (tmp_path / "routes.toml").write_text('[[routes]]\nname = "one"\nchannel = "office"')
    ran = restpoint("routes", "check", "--routes", "routes.toml")
    assert ran.returncode == 2
    assert "The routes file routes.toml: the route 'one' names the channel 'office'." in ran.stderr
    assert "Try:" not in ran.stderr


# --- Trying a route ---

SECRET = "whsec_" + "A" * 43 + "="

ROUTES = """\
[channels.crm]
kind = "webhook"
url = "{url}"
secret_env = "CRM_SECRET"
allow_private = true

[[routes]]
name = "questions"
channel = "crm"
workflows = ["refund"]
groups = ["finance"]

[[routes]]
name = "ends"
channel = "crm"
events = ["execution_completed"]
"""


@contextmanager
def receiver_beside(*answers: Behaviour) -> Iterator[Receiver]:
    """A receiver in a thread of its own, because the command has the loop of this one."""
    ready: list[Receiver] = []
    is_up, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with receiving(*answers) as receiver:
            ready.append(receiver)
            is_up.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert is_up.wait(PATIENCE)
    try:
        yield ready[0]
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)


def test_a_route_is_tried_with_a_marked_sample(restpoint: Command, tmp_path: Path) -> None:
    with receiver_beside() as receiver:
        (tmp_path / "routes.toml").write_text(ROUTES.format(url=receiver.url()))
        ran = restpoint("routes", "test", "questions", "--routes", "routes.toml")
        ended = restpoint("routes", "test", "ends", "--routes", "routes.toml", "-o", "json")

    assert (ran.returncode, ran.stdout) == (0, "questions by crm: delivered\n")
    assert json.loads(ended.stdout)[0] == {"route": "ends", "channel": "crm", "person": None, "problem": None}
    for request in receiver.requests:
        standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    question, end = (json.loads(request.body) for request in receiver.requests)
    assert question["type"] == "restpoint.interaction_asked"
    assert question["data"]["is_sample"] is True
    assert question["data"]["workflow"] == "refund"
    assert question["data"]["assignees"] == ["group:finance"]
    assert "sample" in question["data"]["prompt"]["text"]
    assert (end["data"]["is_sample"], end["data"]["status"], end["data"]["prompt"]) == (True, "completed", None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["routes.toml"]


def test_a_sample_that_is_not_taken_is_told_with_its_reason(restpoint: Command, tmp_path: Path) -> None:
    with receiver_beside(says(401)) as receiver:
        (tmp_path / "routes.toml").write_text(ROUTES.format(url=receiver.url()))
        ran = restpoint("routes", "test", "questions", "--routes", "routes.toml")

    assert ran.returncode == 5
    assert "not delivered: The receiver http://127.0.0.1" in ran.stdout
    assert "401 (Unauthorized)" in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["questions"], "--routes"),
        (["other", "--routes", "routes.toml"], "It has: questions, ends"),
        (["questions", "--routes", "absent.toml"], "absent.toml cannot be read"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_what_to_do(
    restpoint: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "routes.toml").write_text(ROUTES.format(url="https://crm.example.com/hook"))

    ran = restpoint("routes", "test", *arguments)

    assert ran.returncode != 0
    assert said in ran.stderr


def test_a_route_without_its_secret_is_refused(
    restpoint: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_SECRET")
    (tmp_path / "routes.toml").write_text(ROUTES.format(url="https://crm.example.com/hook"))

    ran = restpoint("routes", "test", "questions", "--routes", "routes.toml")

    assert ran.returncode != 0
    assert "The channel 'crm': A webhook needs the environment variable CRM_SECRET, which is not set." in ran.stderr
