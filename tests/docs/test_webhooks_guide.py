"""The page on webhooks, from its secret to its receiver, with a real server that is killed between question and answer."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from notices import settled
from receivers import ASKED
from restpoint.client.client import Client
from restpoint.notify.signatures import PrivateKey, new_private_key, read_signer, signature_header
from restpoint.notify.webhook_bodies import body_of
from restpoint.prompts import HumanResponseText
from served import PATIENCE, TARGET, environment, served, typed
from support import line_of
from transcripts import DOCS, block

PAGE = DOCS / "how-to" / "webhooks.md"


@contextmanager
def receiving(folder: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """The receiver of the page."""
    secret = (folder / "crm.secret").read_text().strip()
    (folder / "receiver.py").write_text(block(PAGE, "webhook receiver"))
    with subprocess.Popen(
        [sys.executable, "receiver.py"],
        cwd=folder,
        env=environment(CRM_SECRET=secret, PORT=str(port)),
        stdout=subprocess.PIPE,
        text=True,
    ) as receiver:
        try:
            yield receiver
        finally:
            receiver.kill()


async def test_the_receiver_of_the_page_hears_of_each_event_once_over_a_kill(tmp_path: Path) -> None:
    held = socket.socket()
    held.bind(("127.0.0.1", 0))  # so that nobody else has the port, and nobody answers there
    port = held.getsockname()[1]
    assert typed("routes", "keygen", "crm.secret", cwd=tmp_path).returncode == 0
    (tmp_path / "routes.toml").write_text(block(PAGE, "webhook routes").replace(":9000", f":{port}"))
    (tmp_path / "flows.py").write_text(TARGET)
    options = ("--database", "told.db", "--routes", "routes.toml", "--public-url", "https://flows.example.com")
    assert typed("routes", "check", "--routes", "routes.toml", cwd=tmp_path).returncode == 0
    refused = typed("routes", "test", "crm-hears", "--routes", "routes.toml", cwd=tmp_path)
    assert "nothing answered at 127.0.0.1" in refused.stdout

    with served("flows.py", tmp_path, *options) as server:  # nobody receives yet
        async with Client(server.url) as client:
            started = await client.start("greet", "Ada", wait=20)
            (asked,) = started.interactions
        server.end(signal.SIGKILL)
    held.close()
    with receiving(tmp_path, port) as receiver, served("flows.py", tmp_path, *options) as server:
        assert receiver.stdout is not None
        subject = started.execution_id
        assert line_of(receiver.stdout) == f"restpoint.interaction_asked {subject}\n"
        tried = typed("routes", "test", "crm-hears", "--routes", "routes.toml", cwd=tmp_path)
        assert (tried.returncode, tried.stdout) == (0, "crm-hears by crm: delivered\n")
        async with Client(server.url) as client:
            await client.answer(subject, asked.interaction_id, HumanResponseText(text="Lovelace"))
            await client.wait_until_ended(subject, timeout=PATIENCE)
        told = {line_of(receiver.stdout), line_of(receiver.stdout)}
        assert told == {f"restpoint.interaction_answered {subject}\n", f"restpoint.execution_completed {subject}\n"}
        await settled(tmp_path / "told.db", ["delivered"] * 3)


def test_the_verifier_of_the_page_takes_what_a_key_pair_signed_and_nothing_else() -> None:
    made: dict[str, Any] = {}
    exec(compile(block(PAGE, "webhook verifier"), str(PAGE), "exec"), made)
    now = int(made["time"].time())
    signer, other = (read_signer(new_private_key(), "It") for _ in range(2))
    assert isinstance(signer, PrivateKey)
    body = body_of(ASKED, "full", "/restpoint")

    def request(timestamp: int, *signers: Any) -> dict[str, str]:
        signature = signature_header(signers, ASKED.id, timestamp, body)
        return {"webhook-id": ASKED.id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}

    public = signer.public
    made["verify"](public, body, request(now, signer))
    made["verify"](public, body, request(now, other, signer))
    for text, headers in (
        (body, request(now, other)),
        (body + b" ", request(now, signer)),
        (body, request(now - 400, signer)),
    ):
        with pytest.raises(ValueError, match=r"signature|old"):
            made["verify"](public, text, headers)
