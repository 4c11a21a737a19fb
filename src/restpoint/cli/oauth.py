"""Commands for OAuth: the link to a consent page, and the keys that seal tokens."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restpoint.cli import terminal
from restpoint.cli.options import (
    DEFAULT_DATABASE,
    Database,
    Format,
    Id,
    KeysFile,
    Output,
    Url,
    existing,
    path_of,
    user_name,
    with_database,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restpoint.oauth.keyring import Key, KeyFile, KeyText

keys = typer.Typer(help="The keys that seal secrets in the file.", no_args_is_help=True)


def authorize(execution: Id, database: Database = DEFAULT_DATABASE, url: Url = None) -> None:
    """Print the link to a consent page, and wait for the decision. Any browser that can reach the server will do."""
    from restpoint.cli.backend import open_backend
    from restpoint.events import EventKind

    async def work() -> str:
        async with open_backend(database, url) as backend:
            execution_id = await backend.find(execution)
            consents: list[str] = []
            sequence = 0
            for item in await backend.history(execution_id):
                sequence = item.sequence
                if item.kind is EventKind.CONSENT_ASKED and item.wait_id is not None:
                    consents.append(item.wait_id)
                elif item.kind is not None and item.kind.closes_wait and item.wait_id in consents:
                    consents.remove(item.wait_id)
            if not consents:
                raise terminal.Usage(
                    f"Execution {execution_id} has no open consent.\nTry: restpoint show {execution_id}"
                )
            link = await backend.consent_url(execution_id, consents[0])
            if not link:
                raise terminal.Usage(
                    f"The consent of execution {execution_id} is for someone else, or the address of its server is unknown.\n"
                    "Give the server with --url (and RESTPOINT_TOKEN), or set RESTPOINT_PUBLIC_URL to its address."
                )
            terminal.print_data(f"{link}\n")
            terminal.print_message(
                "Open this in a browser within 15 minutes; waiting. Ctrl-C ends the waiting, not the consent."
            )
            async for item in backend.follow(execution_id, sequence):
                if item.wait_id == consents[0] and item.kind is not None and item.kind.closes_wait:
                    return str(item.kind.wait_status)
            return "over"

    outcome = terminal.run(work())
    terminal.print_message(f"The consent is {outcome}.")
    if outcome != "granted":
        raise typer.Exit(terminal.REFUSED)


@keys.command()
def generate(
    database: Database = DEFAULT_DATABASE,
    keys: KeysFile = None,
    *,
    text: Annotated[bool, typer.Option("--text", help="Print a key for RESTPOINT_KEYS, and write no file.")] = False,
) -> None:
    """Make a key file with one key. A server makes one itself if it has none."""
    from restpoint.errors import InvalidArgument
    from restpoint.oauth import keyring

    if text:
        terminal.print_data(f"{keyring.as_text(keyring.new_key())}\n")
        return
    path = keys or keyring.beside(path_of(database))
    if path.exists():
        raise InvalidArgument(f"The key file {path} exists; to put a new key into it, run: restpoint keys rotate")
    made = keyring.create(path)
    terminal.print_message(
        f"{made.place} has the key {made.ring()[0].id}. Keep a copy elsewhere: what it seals is lost without it."
    )


@keys.command()
def rotate(database: Database = DEFAULT_DATABASE, keys: KeysFile = None) -> None:
    """Put a new key first in the ring, and reseal all secrets with it while the file is in use. Old keys stay for backups."""
    from restpoint.oauth import keyring
    from restpoint.oauth.tokens import reseal

    path = existing(database)
    ring = _ring(path, keys)
    if isinstance(ring, keyring.KeyFile):
        key = keyring.rotate(ring.path)
        terminal.print_message(f"{ring.place} has the new key {key.id}.")
    else:
        terminal.print_message(
            f"{ring.place} comes from the environment: its first key, {ring.ring()[0].id}, seals from now on."
        )

    vault = keyring.Vault(ring)
    sealed, left = terminal.run(with_database(path, lambda file: reseal(file, vault, actor=user_name())))
    terminal.print_message(f"Resealed {sealed} secrets.")
    if left:
        terminal.print_message(f"{left} could not be opened: the ring lacks their keys. See: restpoint keys list")
        raise typer.Exit(terminal.REFUSED)


@keys.command(name="list")
def list_keys(database: Database = DEFAULT_DATABASE, keys: KeysFile = None, output: Output = Format.TABLE) -> None:
    """List the keys of the ring, and how many secrets in the file each of them sealed."""
    from restpoint._storage import consents
    from restpoint.cli import output as shown

    path = existing(database)
    ring = _keys(path, keys)

    uses = terminal.run(with_database(path, consents.uses))
    rows = [
        {
            "id": key.id,
            "created_at": key.created_at,
            "seals": key == ring[0],
            "secrets": uses.pop(key.id, 0),
            "here": True,
        }
        for key in ring
    ]
    rows += [
        {"id": key, "created_at": None, "seals": False, "secrets": count, "here": False} for key, count in uses.items()
    ]
    if output is not Format.TABLE:
        shown.show_items(rows, output)
        return
    if not rows:
        terminal.print_message("There are no keys yet: the first one is made when the first secret is sealed.")
        return
    shown.table(
        ("key", "created", "secrets", "note"),
        [
            (
                str(row["id"]),
                str(row["created_at"] or ""),
                str(row["secrets"]),
                "seals" if row["seals"] else "" if row["here"] else "MISSING: these secrets do not open",
            )
            for row in rows
        ],
    )


def _keys(path: Path, file: Path | None) -> "Sequence[Key]":
    """The keys that there are. Where a ring would only be made for them, there are none."""
    from restpoint.oauth import keyring

    chosen = file or os.environ.get("RESTPOINT_KEYS_FILE") or os.environ.get("RESTPOINT_KEYS")
    return _ring(path, file).ring() if chosen or keyring.beside(path).exists() else ()


def _ring(path: Path, file: Path | None) -> "KeyFile | KeyText":
    from restpoint.oauth import keyring

    return keyring.keys_for(path, file, os.environ)
