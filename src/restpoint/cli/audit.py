"""Commands for auditors: verify, query, report and export the history. None of them writes to the database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restpoint.cli import terminal
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Id, Output, Url, existing

if TYPE_CHECKING:
    from restpoint.audit.reports import Filters

audit = typer.Typer(
    help="Verify, query and export the history. None of these commands writes to the database.", no_args_is_help=True
)

From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From this day or moment on, in UTC.")]
To = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Up to the end of this day, or up to this moment, in UTC.")
]
Workflow = Annotated[str | None, typer.Option("--workflow", "-w", help="Only rows of this workflow.")]
Execution = Annotated[
    str | None, typer.Option("--execution", help="Only rows of the execution whose id begins or ends so.")
]
Key = Annotated[
    Path | None, typer.Option("--key", envvar="RESTPOINT_AUDIT_KEY", help="Sign with this private key; see keygen.")
]
PublicKey = Annotated[
    Path | None, typer.Option("--public-key", help="Require a signature, and check it with this public key.")
]


@audit.command()
def verify(
    database: Database = DEFAULT_DATABASE,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="SEQ:DIGEST", help="A head that you stored elsewhere; may be repeated."),
    ] = None,
    export_file: Annotated[
        Path | None, typer.Option("--export", help="Check this export instead; no database is needed.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="The manifest of the export; by default FILE.manifest.json, if it exists."),
    ] = None,
    public_key: PublicKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Verify the whole history and print the first row that was changed. The exit code is 1 if there is one."""
    from restpoint._storage import reading, verification
    from restpoint.audit.signing import VerifyingKey, read_head
    from restpoint.cli import audit_output
    from restpoint.errors import InvalidArgument

    with _cryptography():
        key = None if public_key is None else VerifyingKey.read(public_key)
        try:
            if export_file is not None:
                _verify_export(export_file, manifest, key, output)
                return
            heads = [read_head(each, key) for each in head or ()]
        except InvalidArgument as error:  # evidence that does not hold is a result, not wrong usage
            terminal.print_restpoint_error(error)
            raise typer.Exit(terminal.REFUSED) from None
    if key is not None and not heads:
        raise terminal.Usage("--public-key needs a signature to check.\nGive a --head or an --export.")
    with reading(existing(database)) as connection:
        verdict = verification.verify(connection, heads)
    audit_output.show_verdict(verdict, [each.sequence for each in heads], output)
    if not verdict.holds:
        raise typer.Exit(terminal.REFUSED)


@audit.command()
def head(database: Database = DEFAULT_DATABASE, url: Url = None, key: Key = None) -> None:
    """Print sequence and digest of the newest row. Store them elsewhere, for `verify --head`."""
    from restpoint.cli.audit_backend import open_audit_backend

    with _cryptography(), open_audit_backend(database, url) as backend:
        terminal.print_data(f"{backend.head(key)}\n")


@audit.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="The file of the private key; the public key gets .pub after it.")],
) -> None:
    """Make a key pair (Ed25519) to sign heads and exports with."""
    from restpoint.audit import signing

    with _cryptography():
        public = signing.generate(path)
    terminal.print_message(
        f"Made the key {public.id}: keep {path} secret, it signs; give {path}{signing.PUBLIC} to whoever verifies."
    )


@audit.command()
def query(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    since: From = None,
    until: To = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only events caused by this actor.")] = None,
    workflow: Workflow = None,
    event: Annotated[
        str | None, typer.Option("--event", help="Only events of this kind, such as interaction_answered.")
    ] = None,
    status: Annotated[str | None, typer.Option("--status", "-s", help="Only transitions to this status.")] = None,
    execution: Execution = None,
    after: Annotated[int, typer.Option("--after", min=0, help="Only rows after this sequence.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most this many, the oldest.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Print rows of the history, the oldest first, also of executions that have left the file."""
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import open_audit_backend

    columns = ("sequence", "at", "event", "to_status", "actor", "workflow", "execution_id", "about")
    with open_audit_backend(database, url) as backend:
        of = None if execution is None else backend.find(execution)
        filters = _filters(since, until, workflow, actor=actor, event=event, status=status, execution_id=of)
        audit_output.show_rows(backend.events(filters, after, limit), output, columns)
        _tell_of_pruned(backend.pruned(), after)


@audit.command()
def timeline(
    execution: Id, database: Database = DEFAULT_DATABASE, url: Url = None, output: Output = Format.TABLE
) -> None:
    """Print the history of one execution, with the time since its start, up to its sweep."""
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import open_audit_backend

    columns = ("sequence", "at", "after_ms", "event", "status", "actor", "cause", "about")
    with open_audit_backend(database, url) as backend:
        audit_output.show_rows(backend.timeline(execution), output, columns)


@audit.command()
def report(
    question: Annotated[str | None, typer.Argument(help="One report; by default all of them.")] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    since: From = None,
    until: To = None,
    workflow: Workflow = None,
    execution: Execution = None,
    output: Output = Format.TABLE,
) -> None:
    """Print reports for auditors: who approved what, how long people took, and more."""
    from restpoint.audit import reports
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import open_audit_backend

    with open_audit_backend(database, url) as backend:
        of = None if execution is None else backend.find(execution)
        filters = _filters(since, until, workflow, execution_id=of)
        if question is not None:
            asked = reports.question(question)
            audit_output.show_rows(backend.answers(asked.name, filters), output, asked.shown)
        else:
            audit_output.show_report(
                ((asked, backend.answers(asked.name, filters)) for asked in reports.QUESTIONS.values()), output
            )
        _tell_of_pruned(backend.pruned())


@audit.command()
def export(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    form: Annotated[str, typer.Option("--format", "-f", help="jsonl or csv.")] = "jsonl",
    since: From = None,
    until: To = None,
    first: Annotated[int | None, typer.Option("--first", min=1, help="The sequence of the first row.")] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, help="The sequence of the last row.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The new file to write; its manifest goes beside it.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option("--manifest", help="The file of the manifest.")] = None,
    key: Key = None,
) -> None:
    """Export a range of the history, byte for byte the same every time, with a manifest of its digests."""
    from restpoint.audit import export as exports
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import open_audit_backend

    beside = manifest or (None if out is None else out.with_name(f"{out.name}.manifest.json"))
    if key is not None and beside is None:
        raise terminal.Usage("--key signs the manifest, and no manifest is written.\nGive --out or --manifest.")
    filters = _filters(since, until, None)
    selection = {"first": first, "last": last, "since": filters.since, "until": filters.until}
    with _cryptography(), open_audit_backend(database, url) as backend:
        pieces, manifest_of = backend.export(exports.form_of(form), selection, key)
        if out is None:
            for data in pieces:
                terminal.print_data(data)
        else:
            audit_output.write(out, pieces)
        document = manifest_of()
        if beside is not None:
            audit_output.write(beside, [f"{json.dumps(document, indent=2)}\n".encode()])
    where = f"; manifest: {beside}" if beside is not None else ""
    terminal.print_message(f"rows {document['first']} to {document['last']}, SHA-256 {document['sha256']}{where}")


# --- Helpers -----------------------------------------------------------------------------------------------------------


def _tell_of_pruned(pruned: int, after: int = 0) -> None:
    """Say that there were more rows than those that could be looked at."""
    if pruned > after:
        terminal.print_message(f"Rows up to {pruned} have left the file by retention; this does not tell of them.")


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
    from restpoint._core import timestamps
    from restpoint.audit import reports

    return reports.Filters(
        since=None if since is None else timestamps.since(since),
        until=None if until is None else timestamps.until(until),
        workflow=workflow,
        **more,
    )


def _verify_export(path: Path, manifest: Path | None, key: Any, output: Format) -> None:
    from restpoint.audit import export as exports
    from restpoint.errors import UnusableFile

    beside = path.with_name(f"{path.name}.manifest.json")
    if manifest is None and beside.exists():
        manifest = beside
    if manifest is None and (key is not None or path.suffix == ".csv"):
        raise terminal.Usage(
            f"{path.name} can only be checked with its manifest, and there is none beside it.\nGive --manifest."
        )
    try:
        document = None if manifest is None else json.loads(manifest.read_bytes())
        with path.open("rb") as lines:
            problems = exports.check_export(lines, document, key)
    except OSError as error:
        raise UnusableFile(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        if hasattr(error, "code"):
            raise
        raise UnusableFile(f"{manifest} is not a manifest: {error}.") from error
    if output is not Format.TABLE:
        from restpoint.cli import output as shown

        shown.show_json({"holds": not problems, "manifest": document, "problems": problems}, output)
    elif problems:
        terminal.print_data("".join(f"WRONG  {terminal.printable(problem)}\n" for problem in problems))
    else:
        about = (
            "each row follows from the one before"
            if document is None
            else f"rows {document['first']} to {document['last']}"
        )
        terminal.print_data(f"ok     {path.name}: {about}{'' if key is None else f', signed with {key.id}'}\n")
    if problems:
        raise typer.Exit(terminal.REFUSED)
