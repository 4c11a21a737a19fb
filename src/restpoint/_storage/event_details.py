"""The details of history: what a row tells beside its columns, as a JSON object whose fields have a fixed order.

The chain has the SHA-256 of each detail, and exports have its bytes, so what is written for an event stays as it is. A prompt or
a response comes first in its detail, exactly as the tables store it: ``differs`` compares the two as text and parses neither.
A file with ``history="digest"`` has the SHA-256 of the payload in its place.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal_column

from restpoint._core.changes import NO_TERMS, Terms
from restpoint._core.execution_row import LABELS, ExecutionRow
from restpoint._core.serialization import check_text, encode
from restpoint._storage.sqlite.connection import word
from restpoint.access import Actor

APPLICATION: Final = "application"
"""The authority of an actor whom an application named to the store itself, where no policy was asked."""


_labels: Final = attrgetter(*LABELS)
_NO_LABELS: Final = tuple(ExecutionRow._field_defaults[name] for name in LABELS)


def created(row: ExecutionRow, begins_with: str | None = None) -> str | None:
    """An execution was created, with these labels, and as a run with this input, which is JSON.

    Of the input it tells the SHA-256, unless it is null. There is no detail where there is nothing to tell.
    """
    labels, told = _labels(row), {}
    if labels != _NO_LABELS:  # most have none, and pay for no loop
        told = {name: value for name, value, none in zip(LABELS, labels, _NO_LABELS, strict=True) if value != none}
    if begins_with not in {None, "null"}:
        told["input_sha256"] = _sha256(str(begins_with))
    return encode(told) if told else None


def failed(error: str, code: str | None, *, digest: bool) -> str:
    """An execution failed."""
    told = {"error_sha256": _sha256(error)} if digest else {"error": error}
    return encode({**told, "code": code})


def asked(
    prompt: str, terms: Terms = NO_TERMS, *, digest: bool, position: str | None = None, timeout: int | None = None
) -> str:
    """A prompt, which is JSON: whom it is addressed to, at which call of its workflow it was asked, and its deadline.

    ``timeout`` is in milliseconds from the asking. What the deadline does is told where that is not to expire; the prompts whose
    answerers must not answer it, its own priority, its due date, how many equal votes answer it, its reminders and its escalation
    where it has any.
    """
    fields = [_payload("prompt", prompt, digest=digest)]
    if terms.assignees is not None or terms.four_eyes:
        fields.append(f'"assignees":{terms.assignees or "null"}')
        fields.append(f'"four_eyes":{"true" if terms.four_eyes else "false"}')
    if position is not None:
        fields.append(f'"position":{encode(position)}')
    if timeout is not None:
        fields.append(f'"timeout_ms":{timeout}')
    if terms.on_deadline is not None:
        fields.append(f'"on_deadline":"{terms.on_deadline}"')
    if terms.other_than is not None:
        fields.append(f'"other_than":{terms.other_than}')
    if terms.priority is not None:
        fields.append(f'"priority":{terms.priority}')
    if terms.due is not None:
        fields.append(f'"due_ms":{terms.due}')
    if terms.votes is not None:
        fields.append(f'"votes":{terms.votes}')
    return _object(*fields, *_planned(terms))


def _planned(terms: Terms) -> list[str]:
    fields = []
    if terms.remind_after:
        fields.append(f'"remind_after_ms":{encode(list(terms.remind_after))}')
    if terms.escalate_after is not None:
        fields += [f'"escalate_after_ms":{terms.escalate_after}', f'"escalate_to":{terms.escalate_to}']
    return fields


def reworded(asked: str, now: str, *, digest: bool) -> str:
    """A prompt, which is JSON, as it was asked, and as the code of the workflow would ask it now."""
    return _object(_payload("asked", asked, digest=digest), _payload("now", now, digest=digest))


def shown(name: str, payload: str, position: str) -> str:
    """Something that a workflow told: the call that the journal has the payload of, and the SHA-256 of that payload.

    ``name`` is what an event calls the payload; a reader of events sees it under that name.
    """
    return _object(f'"position":{encode(position)}', _payload(name, payload, digest=True))


def answered(response: str, *, digest: bool, actor: Actor | None = None, authority: str | None = None) -> str:
    """A response, which is JSON, with the right by which the actor gave it, their groups and roles, and what they were known by.

    Raises ``NotJSON`` for an authority that is no text. Without an actor, as for a default at the deadline, it has none of these.
    """
    payload = _payload("response", response, digest=digest)
    return _object(payload) if actor is None else _object(payload, _credentials(actor, authority or APPLICATION))


def claimed(actor: Actor, authority: str | None = None) -> str:
    """A claim: by what right the actor made it, with their groups and roles."""
    return _object(_credentials(actor, authority or APPLICATION))


def readdressed(assignees: str, actor: Actor | None = None, authority: str | None = None) -> str:
    """Whom a prompt is addressed to now, which is a JSON list, and by what right the actor did that."""
    told = f'"assignees":{assignees}'
    return _object(told) if actor is None else _object(told, _credentials(actor, authority or APPLICATION))


def reminded(people: Sequence[str]) -> str:
    """Those who are reminded of a prompt: people, and groups as ``group:NAME``."""
    return encode({"to": list(people)})


def escalated(assignees: Sequence[str], kept_out: Sequence[str]) -> str:
    """Whom a prompt is addressed to now, and those of the escalation who must not answer it, where there are any."""
    told = {"assignees": list(assignees)} if assignees else {}
    return encode({**told, "kept_out": list(kept_out)} if kept_out else told)


def consent(provider: str, scopes: tuple[str, ...]) -> str:
    """The provider of a consent, and the scopes: those that are asked for, or those that were granted."""
    return encode({"provider": provider, "scopes": list(scopes)})


def denied(provider: str, code: str) -> str:
    """The provider of a consent, and the code of its denial."""
    return encode({"provider": provider, "code": code})


def differs(name: str, detail: ColumnElement[Any], stored: ColumnElement[Any]) -> ColumnElement[bool]:
    """SQL: whether a detail of the history tells another payload than the column ``stored`` has.

    ``name`` is ``prompt`` or ``response``. The detail has the whole payload, at its beginning, or its SHA-256; an erased detail
    differs from nothing. The connection must have the function ``sha256_hex``.
    """
    begin = f'{{"{name}":'
    first: ColumnElement[int] = literal_column("1")
    after: ColumnElement[int] = literal_column(str(len(begin) + 1))
    is_whole = func.substr(detail, first, literal_column(str(len(begin)))) == word(begin)
    whole_differs = func.substr(detail, after, func.length(stored)).is_distinct_from(stored)
    hash_differs = func.json_extract(detail, word(f"$.{name}_sha256")) != func.sha256_hex(stored)
    return (is_whole & whole_differs) | hash_differs


def _object(*fields: str) -> str:
    return f"{{{','.join(fields)}}}"


def _payload(name: str, text: str, *, digest: bool) -> str:
    return f'"{name}_sha256":"{_sha256(text)}"' if digest else f'"{name}":{text}'


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1_024)
def _credentials(actor: Actor, authority: str) -> str:
    told: dict[str, Any] = {"authority": check_text("authority", authority, limit=1_000)}
    told |= {name: sorted(getattr(actor, name)) for name in ("groups", "roles") if getattr(actor, name)}
    if actor.known_by is not None:
        told["known_by"] = check_text("known_by", actor.known_by, limit=1_000)
    return encode(told)[1:-1]
