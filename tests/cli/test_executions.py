"""The commands for people, as they type them: on a file while others use it, and by way of a server."""

import asyncio
import functools
import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

import serving
from inside import Command
from prefork import Forked
from restpoint import ExecutionStore
from restpoint.cli import abbreviations, terminal
from restpoint.errors import ExecutionNotFound, InteractionAlreadyResolved
from restpoint.http.app import create_app
from restpoint.models import ExecutionListItem
from restpoint.prompts import (
    HumanPrompt,
    HumanPromptRadio,
    HumanPromptText,
    HumanResponse,
    HumanResponseText,
    MultipleChoiceOption,
)
from served import PATIENCE, TARGET, Served, Terminal, environment, served, typed
from support import ADA, PAIRS, TEXT, rows

ME = pwd.getpwuid(os.getuid()).pw_name

FLAGS = {
    "text": ("--text", "Ada"),
    "notification": ("--acknowledge",),
    "binary_choice": ("--yes",),
    "radio": ("--choose", "call"),
    "checkbox": ("--choose", "mail", "-c", "Call"),
    "dropdown": ("--choose", "E-mail"),
}
TYPED = {
    "text": ["", "Ada"],
    "notification": [""],
    "binary_choice": ["perhaps", "y"],
    "radio": ["0", "3", "2"],
    "checkbox": ["", "1,1", "1, Call"],
    "dropdown": ["fax", "mail"],
}
QUESTION = {"text": "> ", "notification": "acknowledge: ", "checkbox": "Which? (several: 1,3) "}


@pytest.fixture
def here(fresh: Path, tmp_path: Path) -> Path:
    """A folder with a file in it, where the commands look for one."""
    shutil.copyfile(fresh, tmp_path / "restpoint.db")
    return tmp_path


def in_a_shell(*arguments: str, redirected: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command, with its streams where a shell has put them."""
    line = f"{shlex.join([sys.executable, '-m', 'restpoint.cli', *arguments])} {redirected}"
    return subprocess.run(
        ["sh", "-c", line], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def store_in(here: Path) -> ExecutionStore:
    return ExecutionStore(database=here / "restpoint.db")


async def paused(here: Path, *prompts: HumanPrompt, **about: Any) -> str:
    """An execution that waits for answers to these prompts."""
    async with store_in(here) as store:
        record = await store.create_execution(**about)
        for prompt in prompts:
            await store.set_interaction_required(record.execution_id, prompt)
    return record.execution_id


def answers(here: Path) -> list[tuple[Any, str]]:
    """The accepted responses and who gave them."""
    found = rows(
        here / "restpoint.db",
        "SELECT detail, actor FROM history WHERE event = 'interaction_answered' ORDER BY sequence",
    )
    return [(json.loads(detail)["response"], actor) for detail, actor in found]


# --- Looking ---------------------------------------------------------------------------------------------------------


async def test_what_is_there_is_listed_and_shown_in_each_form(here: Path) -> None:
    waiting = await paused(here, *(prompt for prompt, _ in PAIRS[:3]), workflow="greeting", owner="ada")
    async with store_in(here) as store:
        failed = (await store.create_execution(workflow="import")).execution_id
        await store.set_failed(failed, "The disk\nis full.", code="no_space")

    table = typed("list", cwd=here)
    assert table.returncode == 0
    heads, first, second = table.stdout.splitlines()
    assert heads.split()[:4] == ["ID", "STATUS", "WORKFLOW", "OWNER"]
    assert first.split()[:3] == [failed, "failed", "import"]
    assert second.split()[:4] == [waiting, "interaction_required", "greeting", "ada"]
    assert "3 open" in second
    assert "\x1b" not in table.stdout  # nobody looks: no colours

    listed = json.loads(typed("list", "-o", "json", cwd=here).stdout)
    assert [item["execution_id"] for item in listed] == [failed, waiting]
    lines = typed("list", "-o", "jsonl", "--status", "failed", "-s", "completed", cwd=here).stdout.splitlines()
    assert [json.loads(line)["error_code"] for line in lines] == ["no_space"]
    cut = typed("list", "--limit", "1", cwd=here)
    assert len(cut.stdout.splitlines()) == 2
    assert "--limit 10" in cut.stderr
    none = typed("list", "--workflow", "absent", cwd=here)
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "No executions.\n")

    shown = typed("show", waiting, cwd=here).stdout
    for text in (waiting, "interaction_required", "What is your name?", "Go on?", "yes          Yes"):
        assert text in shown
    data = json.loads(typed("show", waiting, "-o", "json", cwd=here).stdout)
    assert [each["prompt"]["text"] for each in data["interactions"]] == [prompt.text for prompt, _ in PAIRS[:3]]

    told = typed("history", failed, cwd=here).stdout.splitlines()
    assert [line.split()[3] for line in told[1:]] == ["execution_created", "execution_failed"]
    assert "The disk is full." in told[2]
    items = json.loads(typed("history", failed, "-o", "json", cwd=here).stdout)
    assert [item["event"] for item in items] == ["execution_created", "execution_failed"]


async def test_what_nobody_goes_on_with_is_listed(here: Path) -> None:
    await paused(here, PAIRS[0][0])
    async with store_in(here) as store:
        left = (await store.create_execution(workflow="import")).execution_id
    listed = json.loads(typed("list", "--problem", "-o", "json", cwd=here).stdout)
    assert [(item["execution_id"], item["status"]) for item in listed] == [(left, "running")]
    assert listed[0]["problem"].startswith("The process that ran it is gone")
    other = typed("list", "--problem", "--workflow", "absent", cwd=here)
    assert (other.returncode, other.stdout, other.stderr) == (0, "", "No executions.\n")


async def test_show_and_inbox_tell_of_reminders_and_of_the_escalation(here: Path) -> None:
    async with ExecutionStore(database=here / "restpoint.db") as store:
        execution_id = (await store.create_execution(owner="ada")).execution_id
        await store.set_interaction_required(
            execution_id,
            TEXT,
            assignees=["joan"],
            remind_after=[0.01, 9_000],
            escalate_after=18_000,
            escalate_to=["boss"],
        )
    shown = typed("show", execution_id, cwd=here).stdout  # a command that opens the file does what is due
    while "reminded" not in shown:
        shown = typed("show", execution_id, cwd=here).stdout
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines() if line.startswith(("remind", "escalate")))
    assert "UTC (" in lines["reminded"]
    assert "UTC (in " in lines["remind"]
    assert lines["escalate"].startswith("to boss, ")
    assert "reminded: What is your name?" in typed("inbox", cwd=here).stdout
    (line,) = [line for line in typed("history", execution_id, cwd=here).stdout.splitlines() if "reminded" in line]
    assert "to joan" in line


async def test_an_id_may_be_cut_at_either_end_as_long_as_it_names_one(here: Path) -> None:
    first, second = await paused(here, TEXT), await paused(here, TEXT)
    length = next(at for at in range(len(first)) if first[at] != second[at])
    common = first[:length]
    for part in (first[: length + 1], first[-8:], first):
        ran = typed("show", part, "-o", "json", cwd=here)
        assert json.loads(ran.stdout)["execution_id"] == first, ran.stderr
    ran = typed("show", common, cwd=here)
    assert ran.returncode == 2
    assert first in ran.stderr
    assert second in ran.stderr
    async with store_in(here) as store:
        await store.remove(second)
    ran = typed("history", second[: length + 1], cwd=here)  # it left the file, and its history did not
    assert ran.stdout.splitlines()[-1].split()[3] == "execution_removed"


class Newest:
    """A server that tells the ids of three executions, the newest first."""

    async def list(self, page_size: int) -> AsyncIterator[ExecutionListItem]:
        assert page_size
        for number in (3, 2, 1):
            yield ExecutionListItem.model_validate(
                {"execution_id": f"{number}-execution", "status": "running", "created_at": 0}
            )


async def test_an_id_that_is_not_among_the_newest_of_a_server_is_not_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = cast("Any", Newest())
    assert await abbreviations.find_on_server(server, "1-") == "1-execution"
    with pytest.raises(ExecutionNotFound):
        await abbreviations.find_on_server(server, "0-")
    monkeypatch.setattr(abbreviations, "_MAX_SCANNED", 3)
    with pytest.raises(ExecutionNotFound):
        await abbreviations.find_on_server(server, "0-")
    monkeypatch.setattr(abbreviations, "_MAX_SCANNED", 2)
    assert await abbreviations.find_on_server(server, "2-") == "2-execution"
    with pytest.raises(terminal.Usage, match=r"(?s)newest 2 .*the whole id"):
        await abbreviations.find_on_server(server, "1-")


async def test_a_prompt_cannot_paint_the_terminal(here: Path) -> None:
    evil = await paused(
        here, HumanPromptText(text="\x1b[2J\x1b]0;owned\x07 \u202ecod.exe \x9b31m"), workflow="w\x1b[31m"
    )
    for form in ("table", "json", "jsonl"):
        for command in (("list",), ("show", evil), ("history", evil), ("watch", evil)):
            if command[0] == "watch":
                continue
            ran = typed(*command, "-o", form, cwd=here)
            assert ran.returncode == 0, ran.stderr
            assert not set("\x1b\x07\u202e\x9b") & set(ran.stdout + ran.stderr), (form, command)
    with Terminal("answer", evil, cwd=here) as terminal:
        assert "\x1b[2J" not in terminal.until("> ")
        terminal.type("fine\n")
        assert terminal.ended() == 0


HIDDEN = "\u200b\u200d\u2060\u00ad\u034f\u115f\u180e\u3164\ufe0f\ufeff\uffa0\U000e0041"


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
async def test_two_options_never_look_alike_by_a_character_that_is_not_shown(here: Path, hidden: str) -> None:
    yes, other = (
        MultipleChoiceOption(id="yes", label="Yes"),
        MultipleChoiceOption(id=f"yes{hidden}", label=f"Yes{hidden}"),
    )
    alike = await paused(here, HumanPromptRadio(text="Pay?", options=[yes, other]))
    for form in ("table", "json", "jsonl"):
        ran = typed("show", alike, "-o", form, cwd=here)
        assert ran.returncode == 0, ran.stderr
        assert hidden not in ran.stdout
        assert hidden.encode("unicode_escape").decode() in ran.stdout or json.dumps(hidden)[1:-1] in ran.stdout
        if form != "table":
            options = json.loads(ran.stdout)["interactions"][0]["prompt"]["options"]
            assert [option["label"] for option in options] == ["Yes", f"Yes{hidden}"]


# --- Answering -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=list(FLAGS))
async def test_each_kind_is_answered_by_options(here: Path, prompt: HumanPrompt, response: HumanResponse) -> None:
    execution_id = await paused(here, prompt)
    wrong = typed("answer", execution_id, "--choose", "a choice that is none", cwd=here)
    assert wrong.returncode == 2
    for option in getattr(prompt, "options", []):
        assert option.id in wrong.stderr
    nobody = typed("answer", execution_id, cwd=here)
    assert nobody.returncode == 2
    assert "There is no terminal to ask at" in nobody.stderr
    assert answers(here) == []
    ran = typed("answer", execution_id[-10:], *FLAGS[prompt.input_type], cwd=here)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert answers(here) == [(response.model_dump(mode="json"), ME)]


WORDS = {
    "text": "Ada",
    "notification": "",
    "binary_choice": "yes",
    "radio": "call",
    "checkbox": "mail, Call",
    "dropdown": "1",
}


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=list(FLAGS))
async def test_each_kind_is_answered_by_words_behind_the_id(
    here: Path, prompt: HumanPrompt, response: HumanResponse
) -> None:
    execution_id = await paused(here, prompt)
    twice = typed("answer", execution_id, WORDS[prompt.input_type], *FLAGS[prompt.input_type], cwd=here)
    assert (twice.returncode, answers(here)) == (2, [])
    assert "Several answers" in twice.stderr
    ran = typed("answer", execution_id[-10:], WORDS[prompt.input_type], cwd=here)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert answers(here) == [(response.model_dump(mode="json"), ME)]


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=list(FLAGS))
async def test_an_answer_may_have_a_comment_which_the_history_shows(
    here: Path, prompt: HumanPrompt, response: HumanResponse
) -> None:
    execution_id = await paused(here, prompt)
    ran = typed("answer", execution_id, *FLAGS[prompt.input_type], "--comment", "Only after Friday", cwd=here)
    assert ran.returncode == 0, ran.stderr
    assert answers(here) == [({"comment": "Only after Friday", **response.model_dump(mode="json")}, ME)]
    assert "(comment: Only after Friday)" in typed("history", execution_id, cwd=here).stdout


async def test_show_tells_who_answered_what_and_their_comment(here: Path) -> None:
    execution_id = await paused(here, TEXT, HumanPromptText(text="And your town?"))
    (first, _) = json.loads(typed("show", execution_id, "-o", "json", cwd=here).stdout)["interactions"]
    typed("answer", execution_id, "Ada", "-i", first["interaction_id"], "--comment", "Not for long", cwd=here)
    (line,) = [line for line in typed("show", execution_id, cwd=here).stdout.splitlines() if "answered" in line]
    assert line.endswith(f"UTC by {ME}: Ada (comment: Not for long)")


@pytest.mark.parametrize("number", ["-5", "-1,000.5"])
async def test_a_negative_number_is_an_answer_and_no_option(here: Path, number: str) -> None:
    for behind in (("--comment", "cold"), ()):
        execution_id = await paused(here, TEXT)
        ran = typed("answer", execution_id, number, *behind, cwd=here)
        assert ran.returncode == 0, ran.stderr
    execution_id = await paused(here, TEXT)
    ran = typed("answer", execution_id, "--text", number, "--comment", number, cwd=here)
    assert ran.returncode == 0, ran.stderr
    assert [response["text"] for response, _ in answers(here)] == [number] * 3
    assert answers(here)[2][0]["comment"] == number
    wrong = typed("answer", execution_id, "-x5", cwd=here)
    assert (wrong.returncode, len(answers(here))) == (2, 3)


async def test_open_prompts_with_the_same_question_are_told_apart(here: Path) -> None:
    async with store_in(here) as store:
        execution_id = (await store.create_execution()).execution_id
        for assignee in ("ada", "bob"):
            await store.set_interaction_required(execution_id, TEXT, assignees=[assignee])
    ran = typed("answer", execution_id, "yes", cwd=here)
    assert ran.returncode == 2
    lines = ran.stderr.splitlines()[1:]
    assert [line.split("  (")[1].split(";")[0] for line in lines] == ["for ada", "for bob"]
    chosen = lines[1].split()[:2]
    assert chosen[0] == "-i"
    assert typed("answer", execution_id, "Ada", *chosen, cwd=here).returncode == 0
    (left,) = json.loads(typed("show", execution_id, "-o", "json", cwd=here).stdout)["interactions"]
    assert left["assignees"] == ["ada"]


async def test_a_list_shows_the_question_and_the_deadline_of_what_waits(here: Path) -> None:
    async with store_in(here) as store:
        execution_id = (await store.create_execution()).execution_id
        await store.set_interaction_required(execution_id, TEXT, timeout=86_400)
    (line,) = typed("list", cwd=here).stdout.splitlines()[1:]
    assert f"{TEXT.text}; until 20" in line


async def test_an_ambiguous_id_is_shown_with_ends_that_are_enough(here: Path) -> None:
    first, second = await paused(here, TEXT), await paused(here, TEXT)
    ran = typed("show", first[:4], cwd=here)
    assert ran.returncode == 2
    ends = {line.split()[0]: line.split()[2] for line in ran.stderr.splitlines()[1:]}
    assert set(ends) == {first, second}
    for execution_id, end in ends.items():
        shown = json.loads(typed("show", end, "-o", "json", cwd=here).stdout)
        assert shown["execution_id"] == execution_id


async def test_a_second_answer_is_told_when_the_first_one_came_as_people_read_times(here: Path) -> None:
    async with store_in(here) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        ids = record.execution_id, pending.interaction_id
        await store.resolve_interaction(*ids, ADA, actor="ada")
        with pytest.raises(InteractionAlreadyResolved, match=r"by ada at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"):
            await store.resolve_interaction(*ids, HumanResponseText(text="Grace"), actor="grace")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("command", [("list",), ("--help",)], ids=" ".join)
def test_output_that_cannot_be_written_is_told_without_a_traceback(here: Path, command: tuple[str, ...]) -> None:
    asyncio.run(paused(here, TEXT))
    ran = in_a_shell(*command, redirected=">/dev/full", cwd=here)
    assert ran.returncode == 5
    assert ran.stderr == "restpoint: The output could not be written: No space left on device.\n"


def test_a_closed_standard_output_changes_nothing_of_what_is_done(here: Path) -> None:
    execution_id = asyncio.run(paused(here, TEXT))
    assert in_a_shell("answer", execution_id, "Ada", redirected="<&- >&- 2>&-", cwd=here).returncode == 0
    assert [response["text"] for response, _ in answers(here)] == ["Ada"]


def test_to_list_the_keys_makes_no_key(here: Path) -> None:
    before = set(here.iterdir())
    ran = typed("keys", "list", cwd=here)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "no keys yet" in ran.stderr
    assert not [path for path in set(here.iterdir()) - before if "key" in path.name]


async def test_a_comment_alone_is_no_answer(here: Path) -> None:
    execution_id = await paused(here, TEXT)
    ran = typed("answer", execution_id, "--comment", "Only after Friday", cwd=here)
    assert (ran.returncode, answers(here)) == (2, [])


async def test_a_blank_answer_to_a_required_prompt_is_refused_at_the_command_line(here: Path) -> None:
    execution_id = await paused(here, TEXT)
    ran = typed("answer", execution_id, "", cwd=here)
    assert (ran.returncode, answers(here)) == (1, [])
    assert "blank" in ran.stderr


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=list(FLAGS))
async def test_each_kind_is_asked_at_the_terminal_until_it_is_answered(
    here: Path, prompt: HumanPrompt, response: HumanResponse
) -> None:
    execution_id = await paused(here, prompt)
    with Terminal("answer", execution_id, cwd=here) as terminal:
        for line in TYPED[prompt.input_type]:
            terminal.until(QUESTION.get(prompt.input_type, "Which? "))
            terminal.type(f"{line}\n")
        assert terminal.ended() == 0, terminal.shown
    assert prompt.text in terminal.shown
    assert answers(here) == [(response.model_dump(mode="json"), ME)]


async def test_of_two_people_at_two_terminals_one_is_told_that_the_other_was_first(here: Path) -> None:
    execution_id = await paused(here, TEXT)
    with Terminal("answer", execution_id, cwd=here) as one, Terminal("answer", execution_id, cwd=here) as other:
        one.until("> ")
        other.until("> ")
        one.type("Ada\n")
        assert one.ended() == 0
        other.type("Grace\n")
        assert other.ended() == 1
    told = other.shown.replace("\r", "").splitlines()[-3:]
    assert "already been resolved" in told[0]
    assert told[2] == f"  Try: restpoint history {execution_id}"
    assert [response["text"] for response, _ in answers(here)] == ["Ada"]


async def test_several_open_prompts_are_chosen_among(here: Path) -> None:
    execution_id = await paused(here, TEXT, HumanPromptText(text="And your town?"))
    ran = typed("answer", execution_id, "--text", "Ada", cwd=here)
    assert ran.returncode == 2
    assert "--interaction" in ran.stderr
    assert "And your town?" in ran.stderr
    with Terminal("answer", execution_id, cwd=here) as terminal:
        terminal.until("Which of the 2? ")
        terminal.type("2\n")
        terminal.until("> ")
        terminal.type("London\n")
        assert terminal.ended() == 0
    (left,) = json.loads(typed("show", execution_id, "-o", "json", cwd=here).stdout)["interactions"]
    assert left["prompt"]["text"] == TEXT.text
    ran = typed("answer", execution_id, "-i", left["interaction_id"][-6:], "--text", "Ada", cwd=here)
    assert ran.returncode == 0
    assert [response["text"] for response, _ in answers(here)] == ["London", "Ada"]


@pytest.mark.parametrize("end", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
async def test_whoever_leaves_the_question_answers_nothing(here: Path, end: str) -> None:
    execution_id = await paused(here, TEXT)
    with Terminal("answer", execution_id, cwd=here) as terminal:
        terminal.until("> ")
        if end == "\x03":
            terminal.press_ctrl_c()
        else:
            terminal.type(end)
        assert terminal.ended() == 130
        assert "Traceback" not in terminal.shown
    assert answers(here) == []


# --- Refusals --------------------------------------------------------------------------------------------------------


async def test_each_kind_of_refusal_has_its_exit_code_and_says_what_to_do(here: Path) -> None:
    ended = await paused(here, TEXT)
    assert typed("cancel", ended, "--reason", "a mistake", cwd=here).returncode == 0
    assert typed("cancel", ended, cwd=here).returncode == 0
    async with store_in(here) as store:
        record = await store.create_execution(owner=ME)
        await store.set_interaction_required(record.execution_id, TEXT, four_eyes=True)
        done = await store.create_execution()
        await store.set_completed(done.execution_id, None)
    for arguments, code, told in [
        (("cancel", done.execution_id), 1, "is final"),
        (("show", "nothing-of-the-kind"), 3, "restpoint list"),
        (("show", "0" * 36), 3, "restpoint list"),
        (("answer", record.execution_id, "--text", "me"), 4, "second pair of eyes"),
        (("answer", ended, "--text", "late"), 2, "asks nothing"),
        (("answer", record.execution_id, "--text", "a", "--yes"), 2, "Give one of"),
        (("list", "--status", "sleeping"), 2, "sleeping"),
        (("list", "--output", "xml"), 2, "xml"),
        (("start", "greet"), 2, "--url"),
        (("list", "--database", "absent.db"), 5, "restpoint db upgrade"),
        (("list", "--url", "http://127.0.0.1:1"), 5, "Check the address"),
        (("list", "--url", "nonsense"), 2, "is no address"),
        (("cancel", ended, "--ttl", "soon"), 2, "never"),
    ]:
        ran = typed(*arguments, cwd=here)
        assert (ran.returncode, ran.stdout) == (code, ""), (arguments, ran.stderr)
        assert told in ran.stderr, (arguments, ran.stderr)
        assert "Traceback" not in ran.stderr
    assert not (here / "absent.db").exists()
    told = json.loads(typed("history", ended, "-o", "json", cwd=here).stdout)
    assert [(item["actor"], item["cause"]) for item in told if item["event"] == "execution_cancelled"] == [
        (ME, "a mistake")
    ]


async def test_a_reader_that_has_seen_enough_ends_the_command_quietly(here: Path) -> None:
    async with store_in(here) as store:
        for _ in range(300):
            await store.create_execution(workflow="w" * 400)
    command = f"{shlex.quote(sys.executable)} -m restpoint.cli list -o jsonl -n 300 | head -1; exit ${{PIPESTATUS[0]}}"
    ran = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", command],
        cwd=here,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(ran.stdout.splitlines()) == 1


# --- Watching --------------------------------------------------------------------------------------------------------


class Watching:
    """A running ``restpoint watch``, and what it prints."""

    def __init__(self, process: Forked, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader) -> None:
        self.process, self.stdout, self.stderr = process, stdout, stderr

    async def ended(self) -> tuple[int, str, str]:
        """The exit code, and what was left of what it prints."""
        said, words = await asyncio.gather(self.stdout.read(), self.stderr.read())
        return await asyncio.to_thread(self.process.wait, PATIENCE), said.decode(), words.decode()


@asynccontextmanager
async def watching_process(here: Path, *arguments: str) -> AsyncIterator[Watching]:
    """``restpoint watch`` in a process of its own, which is gone afterwards; what happens to it happens within ``PATIENCE``."""
    async with AsyncExitStack() as stack:
        streams: list[asyncio.StreamReader] = []
        ends: list[int] = []
        for _ in ("stdout", "stderr"):
            ours, theirs = os.pipe()
            ends.append(theirs)
            streams.append(asyncio.StreamReader())
            made = functools.partial(asyncio.StreamReaderProtocol, streams[-1])
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(made, os.fdopen(ours, "rb"))
            stack.callback(transport.close)
        with Path(os.devnull).open("rb") as nothing:  # noqa: ASYNC230 - nothing is read
            given = (nothing.fileno(), *ends)
            process = Forked("watch", *arguments, cwd=here, environment=environment(), standard=given)
        for each in ends:
            os.close(each)
        try:
            async with asyncio.timeout(PATIENCE):
                yield Watching(process, *streams)
        finally:
            process.kill()
            await asyncio.to_thread(process.wait, PATIENCE)


async def test_one_execution_is_watched_until_it_ends(here: Path) -> None:
    execution_id = await paused(here, TEXT)
    async with watching_process(here, execution_id, "-o", "jsonl") as watching:
        seen = [json.loads(await watching.stdout.readline())["event"] for _ in range(2)]
        async with store_in(here) as store:
            record = await store.get(execution_id)
            assert record is not None
            assert record.pending_interaction is not None
            await store.resolve_interaction(execution_id, record.pending_interaction.interaction_id, ADA)
            await store.set_completed(execution_id, None)
        code, rest, _ = await watching.ended()
    seen += [json.loads(line)["event"] for line in rest.splitlines()]
    assert seen == ["execution_created", "interaction_asked", "interaction_answered", "execution_completed"]
    assert code == 0


async def test_all_executions_are_watched_by_workflow_and_event(here: Path) -> None:
    wanted = ("--workflow", "refund", "--event", "interaction_asked", "--event", "execution_failed")
    async with watching_process(here, *wanted, "-o", "jsonl") as watching, store_in(here) as store:
        first = asyncio.create_task(watching.stdout.readline())
        while not first.done():  # whoever watches hears of what happens from then on, and does not say when that is
            for workflow in ("other", "refund"):
                record = await store.create_execution(workflow=workflow)
                await store.set_interaction_required(record.execution_id, TEXT)
            await asyncio.wait([first], timeout=0.1)
        last = await store.create_execution(workflow="refund")
        await store.set_failed(last.execution_id, "no")
        seen = [json.loads(await first)]
        while seen[-1]["event"] != "execution_failed":
            seen.append(json.loads(await watching.stdout.readline()))
        assert {item["event"] for item in seen} == {"interaction_asked", "execution_failed"}
        refunds = {row[0] for row in rows(here / "restpoint.db", "SELECT id FROM executions WHERE workflow = 'refund'")}
        assert {item["execution_id"] for item in seen} <= refunds


def test_what_to_watch_is_an_event_and_for_one_execution_everything(restpoint: Command) -> None:
    wrong = restpoint("watch", "--event", "asked")
    assert (wrong.returncode, "'asked' is no event" in wrong.stderr) == (2, True)
    narrowed = restpoint("watch", "4f1c09", "--workflow", "refund")
    assert (narrowed.returncode, "Of one execution every event is shown" in narrowed.stderr) == (2, True)


@pytest.mark.parametrize("whom", ["one", "all"])
async def test_whoever_watches_is_told_of_what_nobody_goes_on_with(here: Path, whom: str) -> None:
    async with store_in(here) as store:
        execution_id = (await store.create_execution()).execution_id
    async with watching_process(here, *([execution_id] if whom == "one" else [])) as watching:
        if whom == "all":
            await watching.stderr.readline()
        told = (await watching.stderr.readline()).decode()
        assert told.startswith(f"Nobody goes on with {execution_id}: The process that ran it is gone")
        watching.process.send_signal(signal.SIGINT)
        code, _, words = await watching.ended()
    assert code == 0
    assert "Traceback" not in words


@pytest.mark.parametrize("through", ["the file", "a server"])
async def test_everything_is_watched_until_ctrl_c(here: Path, through: str) -> None:
    if through == "the file":
        await watched_until_ctrl_c(here)
        return
    async with serving.served(create_app([], database=here / "restpoint.db")) as http:
        await watched_until_ctrl_c(here, "--url", str(http.base_url))


async def watched_until_ctrl_c(here: Path, *arguments: str) -> None:
    made: list[str] = []

    async def busy() -> None:
        # From when on it looks nobody can see from here, so something happens until it has seen something.
        async with store_in(here) as store:
            while True:
                made.append((await store.create_execution()).execution_id)
                await asyncio.sleep(0.05)

    async with watching_process(here, *arguments) as watching:
        assert await watching.stderr.readline() == b"Watching; Ctrl-C ends it.\n"
        working = asyncio.create_task(busy())
        try:
            line = (await watching.stdout.readline()).decode()
        finally:
            working.cancel()
        assert line.split()[1] in made
        assert "execution_created" in line
        watching.process.send_signal(signal.SIGINT)
        code, _, words = await watching.ended()
    assert code == 0
    assert "Traceback" not in words


# --- By way of a server ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str], Path]]:
    """A server with tokens for an operator and for two people, each of whom sees their own."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "target.py").write_text(TARGET)
    tokens = {}
    for name, more in (("op", ("--role", "operator")), ("ada", ()), ("grace", ("-g", "finance"))):
        ran = typed("tokens", "add", name, "--tokens-file", "tokens.json", *more, cwd=folder)
        assert ran.returncode == 0, ran.stderr
        tokens[name] = ran.stdout.strip()
        assert ran.stdout not in ran.stderr
    assert (folder / "tokens.json").stat().st_mode & 0o777 == 0o600
    with served("target.py", folder, "--tokens-file", "tokens.json", "--ttl", "never") as server:
        yield server, tokens, folder


def test_a_server_is_used_as_a_file_is(guarded: tuple[Served, dict[str, str], Path], tmp_path: Path) -> None:
    server, tokens, _ = guarded

    def ask(who: str, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        return typed(*arguments, cwd=tmp_path, given=given, RESTPOINT_URL=server.url, RESTPOINT_TOKEN=tokens[who])

    ran = ask("ada", "start", "greet", "--input", '"Ada"', "--wait", "20", "-o", "json", "--idempotency-key", "k")
    assert ran.returncode == 0, ran.stderr
    started = json.loads(ran.stdout)
    execution_id = started["execution_id"]
    assert (started["status"], started["owner"]) == ("interaction_required", "ada")
    (tmp_path / "name.json").write_text('"Ada"')
    for given, piped in (("@name.json", ""), ("@-", '"Ada"')):
        again = ask("ada", "start", "greet", "--input", given, "--idempotency-key", "k", "-o", "json", given=piped)
        assert json.loads(again.stdout)["execution_id"] == execution_id
    for wrong, told in (("Ada", "is not JSON"), ("@absent.json", "cannot be read")):
        ran = ask("ada", "start", "greet", "--input", wrong)
        assert (ran.returncode, told in ran.stderr) == (2, True), ran.stderr
    assert ask("ada", "start", "echo", "--input", '"x"').returncode == 1
    assert ask("ada", "start", "farewell").returncode == 3

    assert [json.loads(line)["execution_id"] for line in ask("ada", "list", "-o", "jsonl").stdout.splitlines()] == [
        execution_id
    ]
    assert ask("grace", "list").stderr == "No executions.\n"
    for who, code in (("grace", 3), ("op", 0)):
        assert ask(who, "show", execution_id).returncode == code
    assert ask("grace", "answer", execution_id, "--text", "me").returncode == 3
    assert ask("ada", "show", execution_id[-8:]).returncode == 0

    assert ask("ada", "answer", execution_id, "--text", "Lovelace").returncode == 0
    watched = ask("ada", "watch", execution_id, "-o", "jsonl")
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [event["event"] for event in events][-1] == "execution_completed"
    kept = [json.loads(line) for line in ask("ada", "history", execution_id, "-o", "jsonl").stdout.splitlines()]
    assert events == kept
    assert ask("ada", "cancel", execution_id).returncode == 1
    nobody = typed("list", cwd=tmp_path, RESTPOINT_URL=server.url)
    assert nobody.returncode == 4
    assert "TOKEN" in nobody.stderr
    wrong_token = typed("list", cwd=tmp_path, RESTPOINT_URL=server.url, RESTPOINT_TOKEN="rp_wrong")
    assert wrong_token.returncode == 4
    assert "rp_wrong" not in wrong_token.stderr


def test_a_file_that_is_named_goes_before_a_server_of_the_environment(here: Path) -> None:
    file = str(here / "restpoint.db")
    for command in (("list",), ("audit", "head"), ("outbox", "list"), ("sessions", "list")):
        named = typed(*command, "-d", file, cwd=here, RESTPOINT_URL="no-server")
        assert named.returncode == 0, named.stderr
        both_in_the_environment = typed(*command, cwd=here, RESTPOINT_URL="no-server", RESTPOINT_DATABASE=file)
        both_named = typed(*command, "-d", file, "--url", "no-server", cwd=here)
        for asked in (both_in_the_environment, both_named):
            assert (asked.returncode, "'no-server' is no address" in asked.stderr) == (2, True), asked.stderr


def test_the_file_is_used_while_the_server_runs(guarded: tuple[Served, dict[str, str], Path]) -> None:
    server, tokens, folder = guarded
    ran = typed(
        *("start", "greet", "--input", '"G"', "--wait", "20", "-o", "json"),
        cwd=folder, RESTPOINT_URL=server.url, RESTPOINT_TOKEN=tokens["op"],
    )  # fmt: skip
    execution_id = json.loads(ran.stdout)["execution_id"]
    assert typed("answer", execution_id, "--text", "H", cwd=folder).returncode == 0
    watched = typed("watch", execution_id, "-o", "jsonl", cwd=folder)
    last = [json.loads(line) for line in watched.stdout.splitlines()][-1]
    assert last["event"] == "execution_completed"
    assert json.loads(typed("show", execution_id, "-o", "json", cwd=folder).stdout)["result"] == "G H"


def test_a_token_for_a_role_that_there_is_none_of_is_refused(tmp_path: Path) -> None:
    ran = typed("tokens", "add", "ada", "--role", "emperor", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "operator, reader" in ran.stderr
    assert list(tmp_path.iterdir()) == []


async def test_at_a_terminal_a_list_is_a_table_whose_ids_are_whole(here: Path) -> None:
    made = await paused(here, HumanPromptText(text="\x1b[2JWho?"), workflow="[red]x\x1b[2J", owner="o" * 200)
    for command in (("list",), ("history", made)):
        with Terminal(*command, cwd=here, COLUMNS="80") as terminal:
            assert terminal.ended() == 0, terminal.shown
        assert "\x1b[2J" not in terminal.shown
        assert "\x1b[1m" in terminal.shown  # bold heads: somebody looks
        assert terminal.shown.count("\n") == len(terminal.shown.splitlines()) == (2 if command == ("list",) else 3)
        if command == ("list",):
            assert made in terminal.shown
            assert "[red" in terminal.shown  # nobody's text is markup
    with Terminal("list", cwd=here, TERM="dumb") as terminal:
        assert terminal.ended() == 0
    assert "\x1b" not in terminal.shown
