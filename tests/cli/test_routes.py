"""The commands for routes."""

from pathlib import Path

import standardwebhooks

from inside import Command
from restpoint.notify.signatures import PrivateKey, read_signer


def test_a_secret_is_printed_alone_so_that_it_can_be_piped(restpoint: Command) -> None:
    made = restpoint("routes", "keygen")

    assert made.returncode == 0
    assert made.stderr == ""
    standardwebhooks.Webhook(made.stdout.strip())
    assert read_signer(made.stdout, "It") != read_signer(restpoint("routes", "keygen").stdout, "It")


def test_a_secret_in_a_file_is_its_owners_and_is_not_shown(restpoint: Command, tmp_path: Path) -> None:
    made = restpoint("routes", "keygen", "crm.secret")

    text = (tmp_path / "crm.secret").read_text()
    assert (made.returncode, made.stdout) == (0, "")
    assert text.strip() not in made.stderr
    assert (tmp_path / "crm.secret").stat().st_mode & 0o777 == 0o600
    standardwebhooks.Webhook(text.strip())
    assert restpoint("routes", "keygen", "crm.secret").returncode == 5, "no secret is written over"
    assert (tmp_path / "crm.secret").read_text() == text
    assert restpoint("routes", "keygen", "nowhere/crm.secret").returncode == 5


def test_of_a_key_pair_the_public_key_is_printed(restpoint: Command, tmp_path: Path) -> None:
    kept = restpoint("routes", "keygen", "crm.key", "--ed25519")
    printed = restpoint("routes", "keygen", "--ed25519")

    for private, public in (
        ((tmp_path / "crm.key").read_text(), kept.stdout.strip()),
        (printed.stdout, printed.stderr.split()[-1]),
    ):
        signer = read_signer(private, "It")
        assert isinstance(signer, PrivateKey)
        assert signer.public == public
