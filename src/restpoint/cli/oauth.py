"""Commands for OAuth: the link to a consent page, the check of providers, and the keys that seal tokens."""

import os
from dataclasses import asdict
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
    ProvidersFile,
    PublicUrl,
    Url,
    existing,
    path_of,
    user_name,
    with_database,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restpoint.oauth.keyring import KeyFile, KeyText
    from restpoint.oauth.provider_checks import Finding
    from restpoint.oauth.providers import Provider

providers = typer.Typer(help="The OAuth providers that workflows get consents of.", no_args_is_help=True)
keys = typer.Typer(help="The keys that seal secrets in the file.", no_args_is_help=True)


_CHECK_SECONDS = 10.0  # for each request to a provider


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


@providers.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="The providers to check; all by default.")] = None,
    providers: ProvidersFile = None,
    public_url: PublicUrl = None,
    output: Output = Format.TABLE,
) -> None:
    """Say what is wrong with the configuration of providers, and what to do. It asks them, and changes nothing there or here.

    Each provider is sent an authorization request that nobody follows, and a made-up code.
    """
    from restpoint.cli import output as shown
    from restpoint.oauth.providers import CALLBACK, check_url, read

    if providers is None:
        raise terminal.Usage("Name the file of providers with --providers, or in RESTPOINT_PROVIDERS_FILE.")
    known = {each.name: each for each in read(providers, os.environ)}
    if unknown := [name for name in names or () if name not in known]:
        raise terminal.Usage(f"{providers} has no provider {unknown[0]!r}. It has: {', '.join(known) or 'none'}.")
    base = None if public_url is None else check_url("public_url", public_url).rstrip("/")
    chosen = [known[name] for name in names or known]
    found = terminal.run(_findings(chosen, set(known), None if base is None else f"{base}{CALLBACK}"))
    if output is Format.TABLE:
        for finding in found:
            terminal.print_data(
                f"{finding.provider}: {finding.verdict}: {finding.subject}: {terminal.printable(finding.text)}\n"
            )
    else:
        shown.show_items([asdict(finding) for finding in found], output)
    verdicts = {finding.verdict for finding in found}
    if "wrong" in verdicts:
        raise typer.Exit(terminal.REFUSED)
    if "unreachable" in verdicts:
        raise typer.Exit(terminal.STORAGE)


async def _findings(chosen: "Sequence[Provider]", known: set[str], redirect_uri: str | None) -> "list[Finding]":
    from restpoint.oauth.provider_checks import check_endpoints, check_metadata
    from restpoint.oauth.provider_client import ProviderClient

    client, found = ProviderClient(_CHECK_SECONDS), []
    try:
        for provider in chosen:
            uri = provider.redirect_uri or redirect_uri
            findings, endpoints = await check_metadata(client, provider, uri, known - {provider.name})
            found += findings
            if endpoints is not None and uri is not None:
                found += await check_endpoints(client, provider, endpoints, uri)
    finally:
        await client.close()
    return found


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
    ring = _ring(path, keys).ring()

    uses = terminal.run(with_database(path, consents.uses))
    rows = [
        {
            "id": key.id,
            "created_at": key.created_at,
            "seals": key is ring[0],
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


def _ring(path: Path, file: Path | None) -> "KeyFile | KeyText":
    from restpoint.oauth import keyring

    return keyring.keys_for(path, file, os.environ)
