"""Output of data: tables at a terminal, plain columns into pipes and files, and JSON for programs."""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from restpoint._core.timestamps import span
from restpoint.cli.options import Format
from restpoint.cli.terminal import HIDDEN, one_line, print_data, printable
from restpoint.models import (
    Execution,
    ExecutionLabels,
    ExecutionListItem,
    HistoryItem,
    InboxItem,
    OpenInteraction,
    StepUnderWay,
)
from restpoint.prompts import summary_of

T = TypeVar("T")

_UNSAFE: Final = re.compile(f"[{HIDDEN}]")  # the JSON encoder escapes the control characters of ASCII
_MIN_WIDTHS: Final = {"id": 36, "#": 8, "at (UTC)": 19, "event": 20, "status": 20, "created": 10, "by": 4}  # characters
_MAX_WIDTHS: Final = {"workflow": 24, "owner": 16, "by": 16}  # characters
_NARROW: Final = ("id", "status", "workflow", "created")
_LABEL_COLUMNS: Final = ("workflow", "owner")  # any other label that an execution has is in the note
_ANSWERS: Final = 5  # that are shown of one execution
_WIDE: Final = 120  # characters; a terminal this wide has room for full dates
_STYLES: Final = {
    "running": "cyan",
    "interaction_required": "yellow",
    "oauth_required": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "dim",
}


def is_rich_terminal() -> bool:
    """Whether standard output is a terminal that can show colours."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON text in Unicode, where what a terminal acts on or does not show is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def as_data(value: object) -> Any:
    """Return a model as JSON data; other values stay as they are."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def show_json(value: object, form: Format) -> None:
    """Print one value as JSON: indented for ``json``, on one line for ``jsonl``."""
    print_data(to_json(as_data(value), indent=2 if form is Format.JSON else None) + "\n")


def show_items(items: Iterable[object], form: Format) -> None:
    """Print several values: as one list for ``json``, one line each for ``jsonl``."""
    if form is Format.JSON:
        print_data(to_json([as_data(item) for item in items], indent=2) + "\n")
        return
    for item in items:
        show_json(item, form)


def show(value: T, form: Format, for_people: Callable[[T], None]) -> None:
    """Print a value: by ``for_people`` as a table; else as JSON, a list as ``show_items`` does."""
    if form is Format.TABLE:
        for_people(value)
    elif isinstance(value, list | tuple):
        show_items(value, form)
    else:
        show_json(value, form)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], styles: Mapping[str, str] | None = None) -> None:
    """Print a table. Control characters in cells are shown as escapes."""
    cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    if is_rich_terminal():
        _rich_table(heads, cells, styles or {})
        return
    widths = [max(len(line[column]) for line in [heads, *cells]) for column in range(len(heads))]
    for line in [[head.upper() for head in heads], *cells]:
        print_data("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")


def _rich_table(heads: Sequence[str], cells: Sequence[Sequence[str]], styles: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        widest = max((len(row[heads.index(head)]) for row in cells), default=0)
        least, most = min(widest, _MIN_WIDTHS.get(head, 1)), _MAX_WIDTHS.get(head)
        shown.add_column(head, no_wrap=True, overflow="ellipsis", min_width=least, max_width=most)
    for row in cells:
        shown.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    console = Console(soft_wrap=False)
    with console.capture() as captured:
        console.print(shown)
    print_data(captured.get())


# --- Executions ------------------------------------------------------------------------------------------------------


def show_list(items: Sequence[ExecutionListItem], asked: Mapping[str, OpenInteraction]) -> None:
    """Print executions, one line each; ``asked`` has the oldest open prompt of those that ask something, by their ids."""
    wide = not is_rich_terminal() or width() >= _WIDE
    rows: list[tuple[str, ...]] = [
        (
            item.execution_id,
            str(item.status),
            _workflow(item),
            item.owner or "",
            when(item.created_at) if wide else _relative_time(item.created_at),
            _note(item, asked.get(item.execution_id)),
        )
        for item in items
    ]
    if not wide:
        rows = [(row[0], row[1], row[2], row[4]) for row in rows]
    table(("id", "status", "workflow", "owner", "created (UTC)", "note") if wide else _NARROW, rows, _STYLES)


def show_inbox(items: Sequence[InboxItem]) -> None:
    """Print the prompts of an inbox, one line each."""
    wide = not is_rich_terminal() or width() >= _WIDE
    rows: list[tuple[str, ...]] = []
    for item in items:
        due = min((moment for moment in (item.due, item.deadline) if moment is not None), default=None)
        until = "" if due is None else when(due) if wide else _relative_time(due)
        note = f"claimed by {item.claimed_by}: " if item.claimed_by is not None else ""
        if item.votes is not None:
            note = f"{_votes(item)}: "
        pressed = "reminded: " if item.reminders is not None and item.reminders.reminded_at is not None else ""
        asked = f"{note}{pressed}{one_line(item.prompt.summary, 60)}"
        others = (str(item.priority or ""), item.owner or "", ", ".join(item.assignees)) if wide else ()
        rows.append((item.execution_id, item.workflow or "", until, *others, asked))
    more = ("priority", "owner", "for") if wide else ()
    table(("id", "workflow", "due (UTC)" if wide else "due", *more, "asks"), rows)


def _votes(item: InboxItem | OpenInteraction) -> str:
    """How many votes are in, and how many equal ones answer it."""
    return f"{len(item.voted)} voted, {item.votes} equal votes decide"


def _labels(item: ExecutionLabels) -> list[tuple[str, str]]:
    """The labels that an execution has, each with its name."""
    return [(name, str(value)) for name in ExecutionLabels.model_fields if (value := getattr(item, name))]


def _workflow(item: ExecutionListItem) -> str:
    """The name of its workflow, with the version where that is not the first."""
    return f"{item.workflow or ''}@{item.version}" if (item.version or 1) > 1 else item.workflow or ""


def _note(item: ExecutionListItem, asked: OpenInteraction | None) -> str:
    parts = [f"{name} {value}" for name, value in _labels(item) if name not in _LABEL_COLUMNS]
    parts += [f"held: {one_line(item.hold, 30)}"] if item.hold is not None else []
    parts += [one_line(item.problem)] if item.problem else []
    parts += [f"sleeps until {when(item.sleeping_until)}"] if item.sleeping_until else []
    if item.error:
        parts.append(one_line(item.error))
    elif asked is not None:
        parts.append(one_line(asked.prompt.summary, 40))
        parts += [f"until {when(asked.deadline)}"] if asked.deadline is not None else []
        parts += [f"{item.open_waits} open"] if item.open_waits > 1 else []
    elif item.open_waits:
        parts.append(f"{item.open_waits} open")
    return "; ".join(parts)


def show_execution(execution: Execution, answers: Sequence[HistoryItem] = ()) -> None:
    """Print one execution with its open prompts, and the newest of its answers."""
    lines = [("id", execution.execution_id), ("status", str(execution.status))]
    version = [] if execution.version is None else [("version", str(execution.version))]
    lines += [*_labels(execution), *version, *_times(execution)]
    told = {
        "held": execution.hold,
        "problem": execution.problem,
        "wakes": None if execution.sleeping_until is None else _moment(execution.sleeping_until),
        "error": execution.error,
        "code": execution.error_code,
        "result": to_json(execution.result) if execution.status == "completed" else None,
    }
    lines += [(name, str(value)) for name, value in told.items() if value is not None]
    lines += [
        ("notice", f"{_moment(each.created_at)}: {one_line(each.prompt.text)}") for each in execution.notifications
    ]
    lines += [("step", _step(step)) for step in execution.steps]
    if execution.auth_url is not None:
        lines.append(("consent at", execution.auth_url or f"(see: restpoint authorize {execution.execution_id})"))
    lines += _answered(answers)
    for name, value in lines:
        print_data(f"{name:<11} {printable(value)}\n")
    if execution.failure is not None:
        print_data(f"{'raised':<11} {printable(one_line(execution.failure.message))}\n")
        print_data("".join(f"  {printable(line)}\n" for line in execution.failure.traceback.splitlines()))
    for waiting in execution.interactions:
        print_data("\n" + _prompt(waiting))


def _answered(answers: Sequence[HistoryItem]) -> list[tuple[str, str]]:
    lines = [("answers", f"{len(answers)}, the newest of them are:")] if len(answers) > _ANSWERS else []
    for item in answers[-_ANSWERS:]:
        by = (
            f"by {item.actor}"
            if item.actor is not None
            else f"by its {item.cause}"
            if item.cause
            else "by nobody known"
        )
        lines.append(("answered", f"{when(item.time)} UTC {by}: {about_detail(item.detail, None)}"))
    return lines


def _times(execution: Execution) -> list[tuple[str, str]]:
    """When it was created, ended and expires, as far as it has."""
    moments = {name: getattr(execution, name) for name in ("created_at", "completed_at", "expires_at")}
    return [(name.removesuffix("_at"), _moment(moment)) for name, moment in moments.items() if moment is not None]


def _moment(moment: float) -> str:
    return f"{when(moment)} UTC ({_relative_time(moment)})"


def _step(step: StepUnderWay) -> str:
    tries = f"{step.attempts} attempt{'s' if step.attempts > 1 else ''} failed"
    return f"{step.name}: {tries}, the last with {step.error_type}: {one_line(step.error_message)}; next {_moment(step.next_at)}"


def _prompt(waiting: OpenInteraction) -> str:
    prompt = waiting.prompt
    lines = [f"{'waits for':<11} {waiting.interaction_id}  {prompt.input_type}"]
    if waiting.deadline is not None:
        lines.append(f"{'until':<11} {when(waiting.deadline)} UTC ({_relative_time(waiting.deadline)})")
    if waiting.assignees:
        lines.append(f"{'for':<11} {', '.join(waiting.assignees)}")
    if waiting.claimed_by is not None and waiting.claimed_at is not None:
        lines.append(f"{'claimed':<11} by {waiting.claimed_by}, {_moment(waiting.claimed_at)}")
    if waiting.votes is not None:
        who = f" ({', '.join(waiting.voted)})" if waiting.voted else ""
        lines.append(f"{'votes':<11} {_votes(waiting)}{who}")
    if waiting.due is not None:
        lines.append(f"{'due':<11} {_moment(waiting.due)}")
    lines += [f"{name:<11} {what}" for name, what in _reminders(waiting)]
    if waiting.four_eyes:
        lines.append(f"{'four eyes':<11} whoever started it cannot answer")
    lines += [f"  {line}" for line in prompt.text.splitlines() or [""]]
    options = prompt.offers
    lines += [f"    {option.id:<12} {option.label}" for option in options[:100]]
    if len(options) > 100:
        lines.append(f"    … and {len(options) - 100} more")
    for field in prompt.fields:
        lines.append(f"    {field.name:<12} {field.title} ({field.wanted}){'' if field.required else ', optional'}")
        lines += [f"      {option.id:<10} {option.label}" for option in field.options[:20]]
        if len(field.options) > 20:
            lines.append(f"      … and {len(field.options) - 20} more")
    return "".join(f"{printable(line)}\n" for line in lines)


def _reminders(waiting: OpenInteraction) -> list[tuple[str, str]]:
    """When people are and were reminded, and when and to whom the prompt escalates or did."""
    found = waiting.reminders
    if found is None:
        return []
    to = ", ".join(found.escalate_to)
    moments = {
        "reminded": found.reminded_at,
        "remind": found.remind_at,
        f"escalated to {to}": found.escalated_at,
        f"escalate to {to}": found.escalate_at,
    }
    told = [(name.partition(" "), moment) for name, moment in moments.items() if moment is not None]
    return [(name, f"{more}, {_moment(moment)}" if more else _moment(moment)) for (name, _, more), moment in told]


# --- History ---------------------------------------------------------------------------------------------------------


def show_history(items: Sequence[HistoryItem]) -> None:
    """Print rows of history as a table."""
    rows = [
        (
            str(item.sequence),
            when(item.time),
            item.event,
            item.to_status or "",
            item.actor or "",
            about_detail(item.detail, item.cause),
        )
        for item in items
    ]
    table(("#", "at (UTC)", "event", "status", "by", "what"), rows, _STYLES)


def event_line(item: HistoryItem, *, with_id: bool) -> str:
    """Return one row of history as a line."""
    clock = datetime.fromtimestamp(item.time, UTC).strftime("%H:%M:%S")
    parts = [clock, *([item.execution_id or "-"] if with_id else []), f"{item.event:<20}", item.to_status or ""]
    parts += [f"by {item.actor}" if item.actor else "", about_detail(item.detail, item.cause)]
    return printable("  ".join(part for part in parts if part)) + "\n"


def about_detail(detail: object, cause: str | None) -> str:
    """Return the summary of a detail; the cause if the detail has none."""
    if not isinstance(detail, dict):
        return cause or ""
    for name in ("prompt", "response"):
        if isinstance(said := detail.get(name), dict):
            comment = said.get("comment")
            return one_line(summary_of(said)) + (f" (comment: {one_line(comment)})" if comment else "")
    if isinstance(to := detail.get("assignees", detail.get("to", detail.get("kept_out"))), list):
        return one_line(f"to {', '.join(map(str, to))}" + (f": {cause}" if cause else ""))
    if isinstance(channel := detail.get("channel"), str):
        to = detail.get("recipient")
        problem = detail.get("problem", cause)
        return one_line((f"to {to} by {channel}" if to else f"by {channel}") + (f": {problem}" if problem else ""))
    for name in ("data", "error", "reason"):
        if name in detail:
            value = detail[name]
            return one_line(value if isinstance(value, str) else to_json(value))
    return cause or ""


def when(moment: float) -> str:
    """Return a time in UTC as text, without fractions of a second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _relative_time(moment: float) -> str:
    seconds = round(moment - time.time())
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def width() -> int:
    """Return the width of the terminal in characters."""
    return shutil.get_terminal_size((100, 24)).columns
