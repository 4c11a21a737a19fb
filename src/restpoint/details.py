"""What the history tells of prompts and responses: all of them, or only their digests."""

from hashlib import sha256

from restpoint.changes import Terms


def full(name: str, text: str) -> str:
    """The detail of a row of history that keeps the payload ``text``, which is JSON."""
    return f'{{"{name}":{text}}}'


def digest(name: str, text: str) -> str:
    """The detail of a row of history that keeps only the SHA-256 of the payload."""
    return f'{{"{name}_sha256":"{sha256(text.encode()).hexdigest()}"}}'


def asked(detail: str, terms: Terms) -> str:
    """The detail of a prompt, with whom it is addressed to."""
    if terms.assignees is None and not terms.four_eyes:
        return detail
    about = f',"assignees":{terms.assignees or "null"},"four_eyes":{"true" if terms.four_eyes else "false"}'
    return f"{detail[:-1]}{about}}}"
