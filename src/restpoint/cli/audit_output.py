"""Output of the audit commands: verdicts, rows, reports, and files of exports."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from restpoint._core.secret_files import write_whole
from restpoint._storage import verification
from restpoint.audit.reports import Answer, Question
from restpoint.cli import output, terminal
from restpoint.cli.options import Format
from restpoint.errors import UnusableFile

_HEADS: Final = {"sequence": "#", "to_status": "status", "actor": "by", "execution_id": "id", "at": "at (UTC)"}


def show_verdict(verdict: verification.Verdict, kept: list[int], form: Format) -> None:
    """Print the verdict of a verification. ``kept`` are the sequences of the given heads."""
    if form is not Format.TABLE:
        output.show_json(_as_data(verdict), form)
        return
    pruned = f", rows up to {verdict.anchor} were deleted by retention" if verdict.anchor else ""
    erased = f", {verdict.erased} details were erased" if verdict.erased else ""
    if verdict.holds:
        proven = f", rows up to {max(kept)} match the heads that were given" if kept else ""
        terminal.print_data(f"ok     {verdict.rows} rows, each follows from the one before{pruned}{erased}{proven}\n")
        terminal.print_data(f"head   {verdict.head}\n")
    for finding in verdict.findings:
        place = "tables" if finding.sequence is None else f"row {finding.sequence}"
        word = "UNKNOWN" if finding.problem == "event_unknown" else "WRONG"
        terminal.print_data(f"{word}  {place}: {terminal.printable(finding.what)}\n")
        terminal.print_data(f"       {terminal.printable(finding.meaning)}\n")
    if verdict.may_have_more:
        terminal.print_data("       Only some differences of each kind are named; there may be more.\n")


def _as_data(verdict: verification.Verdict) -> dict[str, Any]:
    return {
        "holds": verdict.holds,
        "rows": verdict.rows,
        "anchor": verdict.anchor,
        "head": None if verdict.head is None else str(verdict.head),
        "erased": verdict.erased,
        "may_have_more": verdict.may_have_more,
        "findings": [
            {name: getattr(finding, name) for name in ("problem", "sequence", "what", "meaning")}
            for finding in verdict.findings
        ],
    }


def show_rows(rows: Iterator[Answer], form: Format, columns: tuple[str, ...]) -> None:
    """Print rows; a table shows only these columns of them."""
    if form is Format.JSONL:
        for row in rows:
            output.show_json(row, form)
        return
    found = list(rows)
    if form is Format.JSON:
        output.show_items(found, form)
    elif not found:
        terminal.print_data("none\n")
    else:
        cells = [[_cell(row, name) for name in columns] for row in found]
        output.table([_HEADS.get(name, name) for name in columns], cells)


def show_report(answered: Iterable[tuple[Question, Iterator[Answer]]], form: Format) -> None:
    """Print every report with its rows."""
    for number, (asked, found) in enumerate(answered):
        if form is Format.TABLE:
            terminal.print_data(f"{chr(10) if number else ''}{asked.title} ({asked.name}, view {asked.view})\n")
            show_rows(found, form, asked.shown)
        elif form is Format.JSONL:
            show_rows(({"asked": asked.name, **row} for row in found), form, ())
        else:
            terminal.print_data(f"{',' if number else '{'}\n{json.dumps(asked.name)}: ")
            show_rows(found, form, ())
    if form is Format.JSON:
        terminal.print_data("}\n")


def _cell(row: Answer, name: str) -> str:
    value = row.get(name)
    if name == "about" and name not in row:
        return output.about_detail(row["detail"], row["cause"])
    if name in {"at", "ended_at"} and isinstance(value, str):
        return value.replace("T", " ").removesuffix("Z")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return terminal.one_line(output.to_json(value))
    return "" if value is None else terminal.one_line(str(value))


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a new file whole or not at all, readable by its owner only: an export contains prompts and responses.

    Raises ``UnusableFile`` if the file exists or cannot be written.
    """
    try:
        write_whole(path, pieces, replace=False)
    except FileExistsError:
        raise UnusableFile(f"{path} exists; name a new file, so that no evidence is overwritten.") from None
    except OSError as error:
        if error.strerror is None:  # an error of restpoint, raised by ``pieces``
            raise
        raise UnusableFile(f"{path} cannot be written: {error.strerror}.") from error
