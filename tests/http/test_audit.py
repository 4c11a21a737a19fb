"""The history over HTTP: for those who audit, streamed, and the same bytes as at the command line."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from restpoint._storage.sqlite.connection import reading
from restpoint.audit import export as exports
from restpoint.audit import signing
from restpoint.audit.reader import Auditor
from restpoint.audit.reports import QUESTIONS
from restpoint.errors import DamagedFile
from serving import TEXT_ANSWER, make_app, served, whoever
from support import sql

PLACES = ("query", "report", "report/approvals", "timeline/x", "export", "export/manifest", "head")


async def lived(client: httpx.AsyncClient, count: int = 3) -> list[str]:
    ids = []
    for _ in range(count):
        begun = (await client.post("/v1/workflows/greet", headers={"x-user": "ada"})).json()
        assert (
            await client.post(begun["response_url"], json=TEXT_ANSWER, headers={"x-user": "ada"})
        ).status_code == 204
        await client.get(f"{begun['status_url']}?wait=10", headers={"x-user": "ada"})
        ids.append(begun["execution_id"])
    return ids


def lines(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in reply.text.splitlines()]


@pytest.mark.parametrize("place", PLACES)
async def test_only_auditors_and_operators_are_told(guarded: httpx.AsyncClient, place: str) -> None:
    await lived(guarded, 1)
    assert (await guarded.get(f"/audit/{place}")).status_code == 401
    for user in ("ada", "joan"):
        reply = await guarded.get(f"/audit/{place}", headers={"x-user": user})
        assert (reply.status_code, reply.json()["code"]) == (403, "not_allowed")
    for user in ("eye", "op"):
        assert (await guarded.get(f"/audit/{place}", headers={"x-user": user})).status_code in {200, 404}


async def test_the_history_is_asked(client: httpx.AsyncClient) -> None:
    ids = await lived(client)
    every = lines(await client.get("/audit/query"))
    assert [row["sequence"] for row in every] == list(range(1, len(every) + 1))
    assert {row["workflow"] for row in every} == {"greet"}
    answered = lines(await client.get("/audit/query?event=interaction_answered&actor=local&limit=2&after=1"))
    assert [row["execution_id"] for row in answered] == ids[:2]
    assert lines(await client.get("/audit/query?to=2001-01-01")) == []
    one = lines(await client.get(f"/audit/query?event=interaction_answered&execution={ids[1]}"))
    assert [row["execution_id"] for row in one] == [ids[1]]
    assert lines(await client.get("/audit/report/told?execution=nothing")) == []
    timeline = lines(await client.get(f"/audit/timeline/{ids[1]}"))
    assert [row["event"] for row in timeline][-1] == "execution_completed"
    assert (await client.get("/audit/timeline/nothing")).json()["code"] == "execution_not_found"


async def test_every_question_is_answered(client: httpx.AsyncClient) -> None:
    await lived(client)
    asked = (await client.get("/audit/report")).json()["items"]
    assert [each["name"] for each in asked] == list(QUESTIONS)
    for each in asked:
        lines(await client.get(f"/audit/report/{each['name']}"))
    (times,) = lines(await client.get("/audit/report/response-times?workflow=greet"))
    assert times["answers"] == 3
    assert (await client.get("/audit/report/everything")).status_code == 422
    assert (await client.get("/audit/report/approvals?from=soon")).json()["code"] == "invalid_argument"


@pytest.mark.parametrize("form", exports.FORMATS)
async def test_an_export_has_the_same_bytes_as_at_the_command_line(
    client: httpx.AsyncClient, file: Path, form: exports.Format
) -> None:
    await lived(client)
    of = f"format={form}&first=2&last=9"
    reply = await client.get(f"/audit/export?{of}")
    with reading(file) as connection:
        export = exports.Export(connection, exports.span(connection, first=2, last=9), form)
        assert reply.content == b"".join(export)
        assert (await client.get(f"/audit/export/manifest?{of}")).json() == export.manifest()
    assert reply.headers["content-type"].partition(";")[0] == exports.MEDIA_TYPES[form]
    assert (await client.get("/audit/export?first=1000")).json()["code"] == "nothing_to_export"
    for wrong in ("xml", ""):
        assert (await client.get(f"/audit/export?format={wrong}")).status_code == 422


async def test_a_server_with_a_key_signs(file: Path, tmp_path: Path) -> None:
    public = signing.generate(tmp_path / "key")
    async with served(make_app(file, authenticate=whoever, audit_key=tmp_path / "key"), **{"x-user": "eye"}) as client:
        await lived(client)
        head = (await client.get("/audit/head")).json()
        number, digest, key, signature = head["head"].split(":")
        assert (int(number), digest, key) == (head["sequence"], head["digest"], public.id)
        assert public.verifies("head", f"{number}:{digest}".encode(), signature)
        data = (await client.get("/audit/export")).content
        manifest = (await client.get("/audit/export/manifest")).json()
        assert exports.check_export(data.splitlines(keepends=True), manifest, public) == []


async def test_an_export_of_an_altered_history_has_no_end(client: httpx.AsyncClient, file: Path) -> None:
    await lived(client)
    with sql(file) as connection:
        connection.execute("DROP TRIGGER history_is_never_changed")
        connection.execute("UPDATE history SET actor = 'eve' WHERE sequence = 1")
    assert (await client.get("/audit/export")).status_code == 503, "nothing was sent yet"
    assert (await client.get("/audit/query")).status_code == 200, "which claims nothing"


async def test_a_reader_who_leaves_leaves_nothing_open(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(make_app(file)) as client:
        await lived(client)
    monkeypatch.setattr(exports, "CHUNK", 1)
    auditor = Auditor(file)
    pieces = auditor.export("jsonl")
    assert (await anext(pieces)).count(b"\n") == 1
    await pieces.aclose()
    with sql(file) as connection:
        connection.execute("DROP TRIGGER history_is_never_changed")
        connection.execute("UPDATE history SET actor = 'eve' WHERE sequence = 3")
        connection.execute("VACUUM")  # which a reader who is still there would not let happen
    pieces = auditor.export("jsonl")
    assert (await anext(pieces)).count(b"\n") == 1
    assert (await anext(pieces)).count(b"\n") == 1
    with pytest.raises(DamagedFile, match="row 3"):
        await anext(pieces)
