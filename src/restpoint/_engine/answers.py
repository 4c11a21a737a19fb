"""What a workflow is told of an answer: the value, and who gave it, when, and with which comment."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from restpoint._core.changes import Wait
from restpoint._core.serialization import decode, first_problem
from restpoint._storage import Call
from restpoint.errors import PromptDeclined
from restpoint.prompts.form_models import read_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restpoint._engine.run import Run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An answer as ``Context.answer_to`` gives it, the same on every replay.

    ``value`` is what ``Context.ask`` returns. ``answered_by`` is the id of the actor; None where nobody was named, and where the
    deadline gave the default. ``answered_at`` is in UTC. ``comment`` is what the person said beside the answer.
    """

    value: T
    comment: str | None
    answered_by: str | None
    answered_at: datetime


def answer_of(run: "Run", call: Call, model: type[BaseModel] | None, response: Any, closed: Wait) -> Answer[Any]:
    """The answer of an interaction that was closed with one; of a form that asks for a ``model``, as that.

    Raises ``PromptDeclined``. Where the model has changed so that the answer is none of it, the code does not fit the journal.
    """
    stored: Mapping[str, Any] = decode(closed.response) or {}
    comment, at = stored.get("comment"), closed.closed_at or 0
    value = response
    if model is not None:
        if stored.get("content") is None:
            raise PromptDeclined(comment or "no reason was given", closed.answered_by, at / 1000)
        try:
            value = read_model(model, stored["content"])
        except ValidationError as error:
            recorded = f"{call.kind} {call.name} with an answer of {closed.response or ''}"[:300]
            run.mismatch(call.position, recorded, f"{model.__name__}, which takes another: {first_problem(error)}")
    return Answer(value, comment, closed.answered_by, datetime.fromtimestamp(at / 1000, UTC))
