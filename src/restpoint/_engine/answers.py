"""What a workflow is told of an answer: the value, and who gave it, when, and with which comment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from restpoint._core.changes import Wait
from restpoint._core.serialization import decode, encode, first_problem
from restpoint._storage import Call
from restpoint.errors import PromptDeclined
from restpoint.prompts.form_models import read_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restpoint._engine.run import Run
    from restpoint._storage import queries

T = TypeVar("T")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Answer(Generic[T]):
    """An answer as ``Context.answer_to`` gives it, the same on every replay.

    ``value`` is what ``Context.ask`` returns. ``answered_by`` is the id of the actor; None where nobody was named, where the
    deadline gave the default, and where votes did. ``answered_at`` is in UTC. ``comment`` is what the person said beside the
    answer. ``votes`` are all votes on a prompt that takes some, the first one first; one that declined a form has no value.
    """

    value: T
    comment: str | None
    answered_by: str | None
    answered_at: datetime
    votes: "tuple[Answer[T | None], ...]" = ()


def answer_of(
    run: "Run",
    call: Call,
    model: type[BaseModel] | None,
    response: Any,
    closed: Wait,
    voted: "Sequence[queries.Vote]" = (),
) -> Answer[Any]:
    """The answer of an interaction that was closed with one; of a form that asks for a ``model``, as that.

    Raises ``PromptDeclined``. Where the model has changed so that the answer is none of it, the code does not fit the journal.
    """
    stored: Mapping[str, Any] = decode(closed.response) or {}
    votes = votes_of(run, call, model, voted)
    comment, who, at = stored.get("comment"), closed.answered_by, closed.closed_at or 0
    if model is not None and stored.get("content") is None:
        if any(vote.value is None for vote in votes):
            declined = [vote for vote in votes if vote.value is None]
            comment = "; ".join(vote.comment for vote in declined if vote.comment)
            who = ", ".join(vote.answered_by or "" for vote in declined)
        raise PromptDeclined(comment or "no reason was given", who, at / 1000)
    value = response if model is None else _filled_in(run, call, model, stored)
    return Answer(value, comment, who, _moment(at / 1000), votes)


def votes_of(
    run: "Run", call: Call, model: type[BaseModel] | None, voted: "Sequence[queries.Vote]"
) -> tuple[Answer[Any], ...]:
    """Votes as the workflow gets them. Where one is none of the model, which has changed, the code does not fit the journal."""
    found = []
    for vote in voted:
        said = vote.response or {}
        value: Any = None
        if model is None:
            value = None if vote.response is None else run.record.models.response(encode(said))
        elif said.get("content") is not None:
            value = _filled_in(run, call, model, said)
        found.append(Answer(value, said.get("comment"), vote.voter, _moment(vote.voted_at)))
    return tuple(found)


def _filled_in(run: "Run", call: Call, model: type[BaseModel], stored: "Mapping[str, Any]") -> BaseModel:
    try:
        return read_model(model, stored["content"])
    except ValidationError as error:
        recorded = f"{call.kind} {call.name} with an answer of {encode(stored)}"[:300]
        run.mismatch(call.position, recorded, f"{model.__name__}, which takes another: {first_problem(error)}")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
