"""Commands for auditors: is the history what was written, what does it tell, and evidence to take away. They write nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output

if TYPE_CHECKING:
    from restpoint.chain import Finding
    from restpoint.evidence import Verdict
    from restpoint.questions import Answer, Filters

audit = typer.Typer(
    help="The history as evidence: verify it, ask it, export it. Nothing here writes to the file.", no_args_is_help=True
)

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Since this day or moment, in UTC.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Through this day, or up to this moment, in UTC.")]
Workflow = Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this workflow.")]
Key = Annotated[
    Path | None,
    typer.Option("--key", envvar="RESTPOINT_AUDIT_KEY", help="Sign it with this private key; see keygen."),
]
PublicKey = Annotated[
    Path | None, typer.Option("--public-key", help="Ask for a signature, and check it with this public key.")
]


@audit.command()
def verify(
    database: Database = DEFAULT_DATABASE,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="SEQ:DIGEST", help="A head that was kept elsewhere; may be repeated."),
    ] = None,
    export_file: Annotated[
        Path | None, typer.Option("--export", help="Check this export instead, with no file of restpoint at hand.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="The manifest of the export; FILE.manifest.json, if that is there."),
    ] = None,
    public_key: PublicKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Go over the whole history and name the first row that is not what was written. Exit code 1 if there is one."""
    from restpoint import chain, evidence  # noqa: PLC0415 - `--help` need not wait for SQLAlchemy
    from restpoint.signing import VerifyingKey  # noqa: PLC0415

    with _cryptography():
        key = None if public_key is None else VerifyingKey.read(public_key)
        if export_file is not None:
            _verify_export(export_file, manifest, key, output)
            return
        heads = [chain.read_kept(each, key) for each in head or ()]
    if key is not None and not heads:
        raise terminal.Usage("There is nothing with a signature to check.\nGive a --head or an --export.")
    with _reading(database) as connection:
        verdict = evidence.verify(connection, heads)
    if output is Format.TABLE:
        _tell(verdict, [each.sequence for each in heads])
    else:
        _show_one(_as_data(verdict), output)
    if not verdict.holds:
        raise typer.Exit(terminal.REFUSED)


@audit.command()
def head(database: Database = DEFAULT_DATABASE, key: Key = None) -> None:
    """Print sequence and digest of the newest row, to be kept elsewhere for `verify --head`."""
    from restpoint import chain, exports  # noqa: PLC0415 - see verify
    from restpoint.signing import SigningKey  # noqa: PLC0415

    with _cryptography(), _reading(database) as connection:
        try:
            newest = chain.read_head(connection)
        except chain.Broken as broken:
            raise exports.damaged(broken) from None
        terminal.put(f"{newest if key is None else chain.seal(newest, SigningKey.read(key))}\n")


@audit.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="Where the private key goes; the public one gets .pub after it.")],
) -> None:
    """Make a key pair (Ed25519) to sign heads and exports with."""
    from restpoint import signing  # noqa: PLC0415 - see verify

    with _cryptography():
        public = signing.generate(path)
    terminal.say(f"The key {public.id}: {path} signs and stays secret; {path}{signing.PUBLIC} checks, for everyone.")


@audit.command()
def query(
    database: Database = DEFAULT_DATABASE,
    since: From = None,
    until: To = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what they did.")] = None,
    workflow: Workflow = None,
    event: Annotated[str | None, typer.Option("--event", help="Only this event, such as interaction_answered.")] = None,
    status: Annotated[str | None, typer.Option("--status", "-s", help="Only what led to this status.")] = None,
    after: Annotated[int, typer.Option("--after", min=0, help="Only rows after this one.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many, the oldest.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Rows of the history, the oldest first, also of executions that have left the file."""
    from itertools import islice  # noqa: PLC0415

    from restpoint import questions  # noqa: PLC0415 - see verify

    filters = _filters(since, until, workflow, actor=actor, event=event, status=status)
    with _reading(database) as connection:
        found = islice(questions.events(connection, filters, after), limit)
        _show_rows(
            found, output, ("sequence", "at", "event", "to_status", "actor", "workflow", "execution_id", "about")
        )


@audit.command()
def timeline(
    id: Annotated[str, typer.Argument(help="The execution's id, or its beginning or its end, if that names one only.")],  # noqa: A002
    database: Database = DEFAULT_DATABASE,
    output: Output = Format.TABLE,
) -> None:
    """Everything that happened to one execution, with the time since it began, its sweep included."""
    from restpoint import questions  # noqa: PLC0415 - see verify
    from restpoint.cli.places import CANDIDATES, ambiguous  # noqa: PLC0415
    from restpoint.errors import ExecutionNotFound  # noqa: PLC0415

    with _reading(database) as connection:
        found = questions.ids(connection, id, CANDIDATES + 1)
        if not found:
            raise ExecutionNotFound(id)
        if len(found) > 1:
            raise ambiguous(id, sorted(found))
        columns = ("sequence", "at", "after_ms", "event", "status", "actor", "cause", "about")
        _show_rows(questions.timeline(connection, found[0]), output, columns)


@audit.command()
def report(
    question: Annotated[str | None, typer.Argument(help="One question only; without it, all of them.")] = None,
    database: Database = DEFAULT_DATABASE,
    since: From = None,
    until: To = None,
    workflow: Workflow = None,
    output: Output = Format.TABLE,
) -> None:
    """The questions that auditors ask, answered from the history: who approved what, how long people took, and more."""
    from restpoint import questions  # noqa: PLC0415 - see verify

    filters = _filters(since, until, workflow)
    if question is not None:
        asked = questions.question(question)
        with _reading(database) as connection:
            _show_rows(questions.answers(connection, asked.name, filters), output, asked.shown)
        return
    with _reading(database) as connection:
        for number, asked in enumerate(questions.QUESTIONS.values()):
            found = questions.answers(connection, asked.name, filters)
            if output is Format.TABLE:
                terminal.put(f"{chr(10) if number else ''}{asked.title} ({asked.name}, view {asked.view})\n")
                _show_rows(found, output, asked.shown)
            elif output is Format.JSONL:
                _show_rows(({"asked": asked.name, **row} for row in found), output, ())
            else:
                terminal.put("{\n" if not number else ",\n")
                terminal.put(f"{json.dumps(asked.name)}: ")
                _show_rows(found, output, ())
        if output is Format.JSON:
            terminal.put("}\n")


@audit.command()
def export(
    database: Database = DEFAULT_DATABASE,
    form: Annotated[str, typer.Option("--format", "-f", help="jsonl or csv.")] = "jsonl",
    since: From = None,
    until: To = None,
    first: Annotated[int | None, typer.Option("--first", min=1, help="From this row on.")] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, help="Up to this row.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file to write, which must not exist; its manifest goes beside it."),
    ] = None,
    manifest: Annotated[Path | None, typer.Option("--manifest", help="Where the manifest goes.")] = None,
    key: Key = None,
) -> None:
    """Write a range of the history as bytes that are the same every time, with a manifest of their digests."""
    from restpoint import exports, moments  # noqa: PLC0415 - see verify
    from restpoint.signing import SigningKey  # noqa: PLC0415

    beside = manifest or (None if out is None else out.with_name(f"{out.name}.manifest.json"))
    if key is not None and beside is None:
        raise terminal.Usage("A signature goes into a manifest, and none is written.\nGive --out or --manifest.")
    with _cryptography(), _reading(database) as connection:
        signer, kind = None if key is None else SigningKey.read(key), exports.form_of(form)
        span = exports.span(
            connection,
            first=first,
            last=last,
            since=None if since is None else moments.since(since),
            until=None if until is None else moments.until(until),
        )
        export = exports.Export(connection, span, kind)
        if out is None:
            for data in export:
                terminal.put_bytes(data)
        else:
            _write(out, export)
        told = export.manifest(signer)
        if beside is not None:
            _write(beside, [f"{json.dumps(told, indent=2)}\n".encode()])
    where = f"; manifest: {beside}" if beside is not None else ""
    terminal.say(f"rows {told['first']} to {told['last']}, SHA-256 {told['sha256']}{where}")


# --- Reading -----------------------------------------------------------------------------------------------------------


@contextmanager
def _reading(database: str) -> Iterator[Any]:
    from restpoint.cli.files import existing  # noqa: PLC0415 - see verify
    from restpoint.engine import reading  # noqa: PLC0415

    with reading(existing(database)) as connection:
        yield connection


@contextmanager
def _cryptography() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name is None or not missing.name.startswith("cryptography"):
            raise
        raise terminal.Usage(
            "Signatures need cryptography, which is not installed.\nRun: pip install 'restpoint[server]'"
        ) from None


def _filters(since: str | None, until: str | None, workflow: str | None, **more: str | None) -> "Filters":
    from restpoint import moments, questions  # noqa: PLC0415 - see verify

    return questions.Filters(
        since=None if since is None else moments.since(since),
        until=None if until is None else moments.until(until),
        workflow=workflow,
        **more,
    )


def _write(path: Path, pieces: Any) -> None:  # noqa: ANN401 - bytes, some at a time
    """Write a file that does not exist, all of it or none."""
    from restpoint.errors import UnusableFile  # noqa: PLC0415 - see verify

    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        if path.exists() or path.is_symlink():
            raise UnusableFile(f"{path} exists; name a new file, so that no evidence is written over.")
        with unfinished.open("wb") as file:
            for data in pieces:
                file.write(data)
        unfinished.rename(path)
    except OSError as error:
        if isinstance(error, UnusableFile) or error.strerror is None:
            raise
        raise UnusableFile(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _verify_export(path: Path, manifest: Path | None, key: Any, output: Format) -> None:  # noqa: ANN401 - a public key
    from restpoint import exports  # noqa: PLC0415 - see verify
    from restpoint.errors import UnusableFile  # noqa: PLC0415

    beside = path.with_name(f"{path.name}.manifest.json")
    if manifest is None and beside.exists():
        manifest = beside
    if manifest is None and (key is not None or path.suffix == ".csv"):
        raise terminal.Usage(f"What {path.name} must be stands in its manifest, and there is none.\nGive --manifest.")
    try:
        told = None if manifest is None else json.loads(manifest.read_bytes())
        with path.open("rb") as lines:
            problems = exports.check_export(lines, told, key)
    except OSError as error:
        raise UnusableFile(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        if hasattr(error, "code"):
            raise
        raise UnusableFile(f"{manifest} is no manifest: {error}.") from error
    if output is not Format.TABLE:
        _show_one({"holds": not problems, "manifest": told, "problems": problems}, output)
    elif problems:
        terminal.put("".join(f"WRONG  {terminal.printable(problem)}\n" for problem in problems))
    else:
        about = "each row follows from the one before" if told is None else f"rows {told['first']} to {told['last']}"
        terminal.put(f"ok     {path.name}: {about}{'' if key is None else f', signed with {key.id}'}\n")
    if problems:
        raise typer.Exit(terminal.REFUSED)


# --- Showing -----------------------------------------------------------------------------------------------------------


def _tell(verdict: "Verdict", kept: list[int]) -> None:
    pruned = f", rows up to {verdict.anchor} went by retention" if verdict.anchor else ""
    erased = f", {verdict.erased} details were erased" if verdict.erased else ""
    if verdict.holds:
        proven = f", rows up to {max(kept)} are those that were kept" if kept else ""
        terminal.put(f"ok     {verdict.rows} rows, each follows from the one before{pruned}{erased}{proven}\n")
        terminal.put(f"head   {verdict.head}\n")
    for finding in verdict.findings:
        place = "tables" if finding.sequence is None else f"row {finding.sequence}"
        terminal.put(f"WRONG  {place}: {terminal.printable(finding.what)}\n")
        terminal.put(f"       {terminal.printable(finding.meaning)}\n")


def _as_data(verdict: "Verdict") -> dict[str, Any]:
    def told(finding: "Finding") -> dict[str, Any]:
        return {name: getattr(finding, name) for name in ("problem", "sequence", "what", "meaning")}

    return {
        "holds": verdict.holds,
        "rows": verdict.rows,
        "anchor": verdict.anchor,
        "head": None if verdict.head is None else str(verdict.head),
        "erased": verdict.erased,
        "findings": [told(finding) for finding in verdict.findings],
    }


def _show_one(value: object, form: Format) -> None:
    from restpoint.cli import output  # noqa: PLC0415 - see verify

    output.show_json(value, form)


def _show_rows(rows: "Iterator[Answer]", form: Format, columns: tuple[str, ...]) -> None:
    from restpoint.cli import output  # noqa: PLC0415 - see verify

    if form is Format.JSONL:
        for row in rows:
            output.show_json(row, form)
        return
    found = list(rows)
    if form is Format.JSON:
        output.show_items(found, form)
    elif not found:
        terminal.put("none\n")
    else:
        output.table(
            [_HEADS.get(name, name) for name in columns], [[_cell(row, name) for name in columns] for row in found]
        )


_HEADS = {"sequence": "#", "to_status": "status", "actor": "by", "execution_id": "id", "at": "at (UTC)"}


def _cell(row: "Answer", name: str) -> str:
    from restpoint.cli import output  # noqa: PLC0415 - see verify

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
