"""The ``restpoint`` command, made of its subcommands. Each imports what it needs when it runs, so ``--help`` is fast."""

from typing import Annotated, Final

import typer

from restpoint.cli import audit, executions, files, inbox, oauth, outbox, retention, routes, servers, sessions, terminal

EXAMPLES: Final = {
    "list": ("restpoint list --status interaction_required", "restpoint list --url http://127.0.0.1:8000 -o jsonl"),
    "show": ("restpoint show 4f1c09",),
    "answer": (
        "restpoint answer 4f1c09",
        "restpoint answer 4f1c09 yes",
        "restpoint answer 4f1c09 'As agreed on Monday'",
        "restpoint answer 4f1c09 --choose red --choose blue",
        "restpoint answer 4f1c09 --set amount=70 --set note='As agreed on Monday'",
        "restpoint answer 4f1c09 --decline --comment 'Not my customer'",
    ),
    "inbox": ("restpoint inbox", "restpoint inbox --workflow refund --url http://127.0.0.1:8000 -o jsonl"),
    "claim": ("restpoint claim 4f1c09",),
    "unclaim": ("restpoint unclaim 4f1c09",),
    "delegate": ("restpoint delegate 4f1c09 grace", "restpoint delegate 4f1c09 group:legal --reason 'Your contract'"),
    "reassign": ("restpoint reassign 4f1c09 grace group:finance --reason 'Ada is on holiday'",),
    "authorize": ("restpoint authorize 4f1c09 --url http://127.0.0.1:8000",),
    "cancel": ("restpoint cancel 4f1c09 --reason 'The order was withdrawn'",),
    "retry": ("restpoint retry 4f1c09", "restpoint retry 4f1c09 --reason 'The bank answers again'"),
    "watch": ("restpoint watch", "restpoint watch 4f1c09 -o jsonl"),
    "history": ("restpoint history 4f1c09",),
    "start": (
        """restpoint start refund --input '{"customer": "Ada", "amount": 120}' --url http://127.0.0.1:8000""",
        "restpoint start refund --input @order.json --wait 10 --url http://127.0.0.1:8000",
    ),
    "serve": (
        "restpoint serve hello.py --database hello.db",
        "restpoint serve orders.py refunds.py --database shop.db",
        "restpoint serve approvals.flows --tokens-file tokens.json --host 0.0.0.0 --workers 2",
        "restpoint serve app.py --ttl 600 --ttl failed=never --ttl refund:86400",
    ),
    "demo": ("restpoint demo",),
    "tokens add": (
        "restpoint tokens add ada --group finance",
        "restpoint tokens add carol --role reader --expires 90d",
    ),
    "tokens list": ("restpoint tokens list",),
    "tokens revoke": ("restpoint tokens revoke 9f86d081884c", "restpoint tokens revoke --of ada"),
    "sessions list": ("restpoint sessions list", "restpoint sessions list --of ada -o json"),
    "sessions revoke": ("restpoint sessions revoke 019ac0de", "restpoint sessions revoke --of ada"),
    "providers check": (
        "restpoint providers check --providers providers.toml --public-url https://approvals.example.com",
        "restpoint providers check github --providers providers.toml -o json",
    ),
    "outbox list": (
        "restpoint outbox list --status given_up",
        "restpoint outbox list --url http://127.0.0.1:8000 -o jsonl",
    ),
    "outbox show": ("restpoint outbox show 019ac0de-0000-7000-8000-000000000001",),
    "outbox retry": (
        "restpoint outbox retry 019ac0de-0000-7000-8000-000000000001",
        "restpoint outbox retry --given-up --route finance-mail",
    ),
    "outbox drop": ("restpoint outbox drop 019ac0de-0000-7000-8000-000000000001 --reason 'They were called'",),
    "routes check": ("restpoint routes check --routes routes.toml",),
    "routes list": ("restpoint routes list",),
    "routes enable": ("restpoint routes enable questions",),
    "keys generate": ("restpoint keys generate --keys /etc/restpoint/keys",),
    "keys rotate": ("restpoint keys rotate",),
    "keys list": ("restpoint keys list",),
    "sweep": ("restpoint sweep --dry-run",),
    "hold": ("restpoint hold 4f1c09 --reason 'Audit of November'",),
    "release": ("restpoint release 4f1c09",),
    "erase": ("restpoint erase 4f1c09 --reason 'Request 17'", "restpoint erase --person ada@example.org --dry-run"),
    "routes test": ("restpoint routes test finance --routes routes.toml", "restpoint routes test mails --to anna"),
    "routes keygen": ("restpoint routes keygen", "restpoint routes keygen crm.key --ed25519"),
    "db upgrade": ("restpoint db upgrade --dry-run", "restpoint db upgrade --database orders.db"),
    "db downgrade": ("restpoint db downgrade 0003 --dry-run",),
    "db current": ("restpoint db current",),
    "db check": ("restpoint db check", "restpoint db check --quick -o json"),
    "db backup": ("restpoint db backup", "restpoint db backup /backups --keep 7"),
    "db restore": ("restpoint db restore /backups/restpoint.db.20261125T093414273729Z.backup",),
    "db vacuum": ("restpoint db vacuum",),
    "audit verify": (
        "restpoint audit verify",
        "restpoint audit verify --head 5210:9342d2ca…",
        "restpoint audit verify --export november.jsonl --public-key audit.key.pub",
    ),
    "audit head": ("restpoint audit head --key audit.key",),
    "audit keygen": ("restpoint audit keygen audit.key",),
    "audit query": ("restpoint audit query --from 2026-11-01 --to 2026-11-30 --actor ada",),
    "audit timeline": ("restpoint audit timeline 4f1c09",),
    "audit report": ("restpoint audit report", "restpoint audit report approvals --from 2026-11-01 -o jsonl"),
    "audit export": ("restpoint audit export --from 2026-11-01 --out november.jsonl --key audit.key",),
}
"""The examples in the help of each command. A test parses every line as the command line does."""

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 refused by the rules or ended without a result, 2 wrong usage, 3 not found, 4 not allowed, "
    "5 the file or the server failed, 130 ended by Ctrl-C."
)


def application() -> typer.Typer:
    """Return the ``restpoint`` command."""
    app = typer.Typer(
        name="restpoint",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        epilog=f"{EXIT_CODES}\n\nEach command has examples: restpoint answer --help",
    )
    app.callback()(about)
    waiting, running, the_file = "What waits and runs", "Serving", "The file"
    for command, name in (
        (executions.list_executions, "list"),
        (executions.show, "show"),
        (oauth.authorize, "authorize"),
        (executions.cancel, "cancel"),
        (executions.retry, "retry"),
        (executions.watch, "watch"),
        (executions.history, "history"),
        (inbox.inbox, "inbox"),
        (inbox.claim, "claim"),
        (inbox.unclaim, "unclaim"),
        (inbox.delegate, "delegate"),
        (inbox.reassign, "reassign"),
        (executions.start, "start"),
    ):
        app.command(name, rich_help_panel=waiting)(command)
    app.command("answer", rich_help_panel=waiting, cls=terminal.TakesNegativeNumbers)(executions.answer)
    app.command("serve", rich_help_panel=running)(servers.serve)
    app.command("demo", rich_help_panel=running)(demo)
    app.add_typer(servers.tokens, name="tokens", rich_help_panel=running)
    app.add_typer(sessions.sessions, name="sessions", rich_help_panel=running)
    app.add_typer(oauth.providers, name="providers", rich_help_panel=running)
    app.add_typer(oauth.keys, name="keys", rich_help_panel=running)
    app.add_typer(routes.routes, name="routes", rich_help_panel=running)
    app.add_typer(outbox.outbox, name="outbox", rich_help_panel=running)
    app.command("sweep", rich_help_panel=the_file)(files.sweep)
    app.command("hold", rich_help_panel=the_file)(retention.hold)
    app.command("release", rich_help_panel=the_file)(retention.release)
    app.command("erase", rich_help_panel=the_file)(retention.erase)
    app.add_typer(files.db, name="db", rich_help_panel=the_file)
    app.add_typer(audit.audit, name="audit", rich_help_panel=the_file)
    _show_examples(app)
    return app


def _show_examples(app: typer.Typer, group: str = "") -> None:
    for command in app.registered_commands:
        lines = EXAMPLES[f"{group}{command.name or getattr(command.callback, '__name__', '')}"]
        command.epilog = "\n\n".join(("Examples:" if len(lines) > 1 else "Example:", *lines))
    for subgroup in app.registered_groups:
        if subgroup.typer_instance is not None:
            _show_examples(subgroup.typer_instance, f"{subgroup.name} ")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        terminal.print_data(f"restpoint {version('restpoint')}\n")
        raise typer.Exit


def about(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Interactive workflow executions that survive restarts, in one SQLite file."""


def demo(*, keep: Annotated[bool, typer.Option("--keep", help="Keep the file, to look into it.")] = False) -> None:
    """Watch a prompt survive kill -9: a real server, a real file, your own answer."""
    from rich.console import Console

    from restpoint.cli import demo as demonstration

    demonstration.run(Console(), keep=keep)
