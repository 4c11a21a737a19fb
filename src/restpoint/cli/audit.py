"""Commands for auditors: is the history what was written, what does it tell, and evidence to take away. They write nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restpoint.cli import terminal
from restpoint.cli.local import existing
from restpoint.cli.options import DEFAULT_DATABASE, Database, Format, Output, Url

if TYPE_CHECKING:
    from restpoint.audit.reports import Filters

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
    from restpoint._storage import verification
    from restpoint._storage.sqlite.connection import reading
    from restpoint.audit import signed_heads
    from restpoint.audit.signing import VerifyingKey
    from restpoint.cli import audit_output
    from restpoint.errors import InvalidArgument

    with _cryptography():
        key = None if public_key is None else VerifyingKey.read(public_key)
        try:
            if export_file is not None:
                _verify_export(export_file, manifest, key, output)
                return
            heads = [signed_heads.read_kept(each, key) for each in head or ()]
        except InvalidArgument as error:  # evidence that is not what it should be is an answer, and no wrong usage
            terminal.tell_error(error)
            raise typer.Exit(terminal.REFUSED) from None
    if key is not None and not heads:
        raise terminal.Usage("There is nothing with a signature to check.\nGive a --head or an --export.")
    with reading(existing(database)) as connection:
        verdict = verification.verify(connection, heads)
    audit_output.show_verdict(verdict, [each.sequence for each in heads], output)
    if not verdict.holds:
        raise typer.Exit(terminal.REFUSED)


@audit.command()
def head(database: Database = DEFAULT_DATABASE, url: Url = None, key: Key = None) -> None:
    """Print sequence and digest of the newest row, to be kept elsewhere for `verify --head`."""
    from restpoint.cli.audit_backend import source

    with _cryptography(), source(database, url) as here:
        terminal.put(f"{here.head(key)}\n")


@audit.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="Where the private key goes; the public one gets .pub after it.")],
) -> None:
    """Make a key pair (Ed25519) to sign heads and exports with."""
    from restpoint.audit import signing

    with _cryptography():
        public = signing.generate(path)
    terminal.say(f"The key {public.id}: {path} signs and stays secret; {path}{signing.PUBLIC} checks, for everyone.")


@audit.command()
def query(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
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
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import source

    filters = _filters(since, until, workflow, actor=actor, event=event, status=status)
    columns = ("sequence", "at", "event", "to_status", "actor", "workflow", "execution_id", "about")
    with source(database, url) as here:
        audit_output.show_rows(here.events(filters, after, limit), output, columns)


@audit.command()
def timeline(
    id: Annotated[str, typer.Argument(help="The execution's id, or its beginning or its end, if that names one only.")],  # noqa: A002
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    output: Output = Format.TABLE,
) -> None:
    """Everything that happened to one execution, with the time since it began, its sweep included."""
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import source

    columns = ("sequence", "at", "after_ms", "event", "status", "actor", "cause", "about")
    with source(database, url) as here:
        audit_output.show_rows(here.timeline(id), output, columns)


@audit.command()
def report(
    question: Annotated[str | None, typer.Argument(help="One question only; without it, all of them.")] = None,
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
    since: From = None,
    until: To = None,
    workflow: Workflow = None,
    output: Output = Format.TABLE,
) -> None:
    """The questions that auditors ask, answered from the history: who approved what, how long people took, and more."""
    from restpoint.audit import reports
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import source

    filters = _filters(since, until, workflow)
    with source(database, url) as here:
        if question is not None:
            asked = reports.question(question)
            audit_output.show_rows(here.answers(asked.name, filters), output, asked.shown)
            return
        audit_output.show_report(
            ((asked, here.answers(asked.name, filters)) for asked in reports.QUESTIONS.values()), output
        )


@audit.command()
def export(
    database: Database = DEFAULT_DATABASE,
    url: Url = None,
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
    from restpoint.audit import export as exports
    from restpoint.cli import audit_output
    from restpoint.cli.audit_backend import source

    beside = manifest or (None if out is None else out.with_name(f"{out.name}.manifest.json"))
    if key is not None and beside is None:
        raise terminal.Usage("A signature goes into a manifest, and none is written.\nGive --out or --manifest.")
    filters = _filters(since, until, None)
    of = {"first": first, "last": last, "since": filters.since, "until": filters.until}
    with _cryptography(), source(database, url) as here:
        pieces, manifest_of = here.export(exports.form_of(form), of, key)
        if out is None:
            for data in pieces:
                terminal.put_bytes(data)
        else:
            audit_output.write(out, pieces)
        told = manifest_of()
        if beside is not None:
            audit_output.write(beside, [f"{json.dumps(told, indent=2)}\n".encode()])
    where = f"; manifest: {beside}" if beside is not None else ""
    terminal.say(f"rows {told['first']} to {told['last']}, SHA-256 {told['sha256']}{where}")


# --- Reading -----------------------------------------------------------------------------------------------------------


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
        from restpoint.cli import output as shown

        shown.show_json({"holds": not problems, "manifest": told, "problems": problems}, output)
    elif problems:
        terminal.put("".join(f"WRONG  {terminal.printable(problem)}\n" for problem in problems))
    else:
        about = "each row follows from the one before" if told is None else f"rows {told['first']} to {told['last']}"
        terminal.put(f"ok     {path.name}: {about}{'' if key is None else f', signed with {key.id}'}\n")
    if problems:
        raise typer.Exit(terminal.REFUSED)
