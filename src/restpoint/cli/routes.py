"""Commands for routes: the secrets that webhooks are signed with."""

from pathlib import Path
from typing import Annotated

import typer

from restpoint.cli import terminal

routes = typer.Typer(help="The routes by which people and programs are told of events.", no_args_is_help=True)


@routes.command()
def keygen(
    file: Annotated[
        Path | None, typer.Argument(help="The new file to write; without one the secret is printed.")
    ] = None,
    *,
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="Make a key pair, of which receivers get the public key only.")
    ] = False,
) -> None:
    """Make what a webhook is signed with: a secret that its receiver gets too, or an Ed25519 key and its public key."""
    from restpoint._core import secret_files
    from restpoint.errors import UnusableFile
    from restpoint.notify import signatures

    text = signatures.new_private_key() if ed25519 else signatures.new_secret()
    if file is None:
        terminal.print_data(f"{text}\n")
    else:
        try:
            secret_files.write_whole(file, [f"{text}\n".encode()], replace=False)
        except FileExistsError:
            raise UnusableFile(f"{file} exists; name a new file, so that no secret is lost.") from None
        except OSError as error:
            raise UnusableFile(f"{file} cannot be written: {error.strerror}.") from error
    signer = signatures.read_signer(text, "The new secret")
    if isinstance(signer, signatures.PrivateKey):
        if file is not None:
            terminal.print_data(f"{signer.public}\n")
        else:  # what is printed is the private key alone, so that it can be piped
            terminal.print_message(f"The public key, for receivers: {signer.public}")
    elif file is not None:
        terminal.print_message(f"Give the receiver what {file} holds, by a way that nobody else reads.")
