"""The signatures of webhooks, against the reference implementation's own vectors and against receivers' packages."""

import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from restpoint.errors import InvalidArgument
from restpoint.notify import signatures

ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_a_shared_secret_signs_as_the_reference_implementation_does() -> None:
    signer = signatures.read_signer(SECRET, "It")

    assert (
        signatures.signature_header([signer], ID, TIMESTAMP, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_private_key_signs_as_the_reference_implementation_does() -> None:
    signer = signatures.read_signer(PRIVATE, "It")

    assert isinstance(signer, signatures.PrivateKey)
    assert signer.public == PUBLIC
    assert signatures.signature_header([signer], ID, TIMESTAMP, BODY) == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )


def test_a_private_key_may_be_given_without_its_public_one() -> None:
    seed = "whsk_" + b64encode(b64decode(PRIVATE.removeprefix("whsk_"))[:32]).decode()
    signer = signatures.read_signer(seed, "It")

    assert isinstance(signer, signatures.PrivateKey)
    assert signer.public == PUBLIC


def test_two_secrets_sign_with_a_space_between_the_signatures() -> None:
    signers = [signatures.read_signer(text, "It") for text in (SECRET, PRIVATE)]

    both = signatures.signature_header(signers, ID, TIMESTAMP, BODY)

    assert both.split(" ") == [signatures.signature_header([each], ID, TIMESTAMP, BODY) for each in signers]


def test_cryptography_verifies_a_signature_of_a_new_key_and_of_nothing_else() -> None:
    signer = signatures.read_signer(signatures.new_private_key(), "It")
    assert isinstance(signer, signatures.PrivateKey)
    public = Ed25519PublicKey.from_public_bytes(b64decode(signer.public.removeprefix("whpk_")))
    signature = b64decode(signatures.signature_header([signer], ID, TIMESTAMP, BODY).removeprefix("v1a,"))

    public.verify(signature, b"%b.%d.%b" % (ID.encode(), TIMESTAMP, BODY))
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"%b.%d.%b" % (ID.encode(), TIMESTAMP + 1, BODY))


def test_openssl_verifies_a_signature_too(tmp_path: Path) -> None:
    signer = signatures.read_signer(signatures.new_private_key(), "It")
    assert isinstance(signer, signatures.PrivateKey)
    signature = b64decode(signatures.signature_header([signer], ID, TIMESTAMP, BODY).removeprefix("v1a,"))
    # SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, section 4) is these twelve bytes and the key.
    info = bytes.fromhex("302a300506032b6570032100") + b64decode(signer.public.removeprefix("whpk_"))
    (tmp_path / "key.der").write_bytes(info)
    (tmp_path / "signature").write_bytes(signature)
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"]

    def verdict(content: bytes) -> int:
        (tmp_path / "content").write_bytes(content)
        command = [*verify, "-in", "content", "-sigfile", "signature"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert verdict(b"%b.%d.%b" % (ID.encode(), TIMESTAMP, BODY)) == 0
    assert verdict(b"%b.%d.%b" % (ID.encode(), TIMESTAMP, BODY + b" ")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no secret of a webhook"),
        ("canary", "restpoint routes keygen"),
        (PUBLIC, "public key"),
        ("whsec_canary!", "other than base64"),
        ("whsec_cänary", "other than base64"),
        ("whsec_" + b64encode(b"canary").decode(), "6 bytes"),
        ("whsec_" + b64encode(b"canary" * 20).decode(), "120 bytes"),
        ("whsk_" + b64encode(b"canary").decode(), "6 bytes"),
        ("whsk_" + b64encode(b"canary33" * 4 + b"?" * 32).decode(), "the public key of another one"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        signatures.read_signer(text, "The file hook.secret")

    message = str(refused.value)
    assert message.startswith(("The file hook.secret holds", "The file hook.secret has"))
    assert said in message
    assert "canary" not in message
    assert "Y2FuYXJ5" not in message


def test_a_secret_without_padding_is_the_same_secret() -> None:
    padded = signatures.new_secret()
    assert padded.endswith("=")

    assert signatures.read_signer(padded.rstrip("=") + "\n", "It") == signatures.read_signer(padded, "It")


def test_nothing_that_signs_shows_its_secret() -> None:
    for text in (signatures.new_secret(), signatures.new_private_key()):
        signer = signatures.read_signer(text, "It")
        raw = b64decode(text.partition("_")[2])
        assert text not in repr(signer)
        assert repr(raw)[2:-1] not in repr(signer)
