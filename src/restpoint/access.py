"""Who did it, and what they may do: one pure policy, which an application may replace.

An actor comes from credentials, never from what a request says of itself. A prompt may be addressed to *assignees*: a
person by id (``"ada"``), a group by its name after ``group:`` (``"group:finance"``). The two forms never meet, because no
actor's id begins with ``group:``.

The rules of ``Policy``:

- The *owner* of an execution, who started it, sees it, reads its history, cancels it, removes it once it has ended, and
  answers those of its prompts that name no assignees.
- An *assignee* of an open prompt sees the execution while the prompt is open, and of its prompts those that are addressed
  to them, and answers these.
- The role ``operator`` sees, answers, cancels and removes everything. The role ``reader`` sees everything with its
  history, and changes nothing: it is the auditor's. Both may audit the whole file.
- A prompt with *four eyes* is never answered by the execution's owner, operator or not.
- A consent (``auth_url``, ``oauth_state``) is shown to the owner only; where an execution has none, to an operator.
- To everyone else the execution does not exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from restpoint._core.serialization import check_text
from restpoint.errors import InvalidArgument

GROUP: Final = "group:"
"""What a group's name stands behind among assignees."""

OPERATOR: Final = "operator"
READER: Final = "reader"
ROLES: Final = (OPERATOR, READER)


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone or something that acts: ``id`` is the name that credentials gave, as history will show it.

    ``groups`` are the names of the groups they belong to, without ``group:``. Raises ``InvalidArgument``.
    """

    id: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.id.startswith(GROUP):
            raise InvalidArgument(f"{self.id!r} is no actor's id: what begins with {GROUP!r} is the name of a group.")
        for name in ("groups", "roles"):
            value = getattr(self, name)
            if type(value) is not frozenset:
                if isinstance(value, str):
                    raise InvalidArgument(f"{name} of an actor is a set of names, not the text {value!r}.")
                object.__setattr__(self, name, frozenset(value))

    @property
    def names(self) -> frozenset[str]:
        """Everything that a prompt may be addressed to in order to reach this actor."""
        return frozenset((self.id, *(f"{GROUP}{group}" for group in self.groups)))


Who = Actor | str | None
"""An actor, or its id; None where nobody said."""


def actor_id(actor: Actor | str) -> str:
    """The id of an actor given as one or as its id."""
    return actor.id if isinstance(actor, Actor) else actor


def actor_name(actor: Who) -> str | None:
    """The id as the history will have it. Raises ``NotJSON`` for one that cannot be stored."""
    return None if actor is None else check_text("actor", actor_id(actor), limit=1_000)


@dataclass(frozen=True, slots=True)
class Subject:
    """An execution, as far as access depends on it. ``assignees`` are those of all its open prompts."""

    owner: str | None
    assignees: frozenset[str] = frozenset()


class Question(Protocol):
    """A prompt, as far as access depends on it; none of it ever changes. ``owner`` is the execution's."""

    @property
    def owner(self) -> str | None:
        """Who started the execution; None where nobody said."""

    @property
    def assignees(self) -> Iterable[str]:
        """People and groups that it is addressed to; none: to the owner."""

    @property
    def four_eyes(self) -> bool:
        """Whether the owner must not answer it."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """A ``Question`` made of its three facts."""

    owner: str | None
    assignees: tuple[str, ...] = ()
    four_eyes: bool = False


class Policy:
    """Who may do what. Pure: the same facts give the same answer. Replace single methods in a subclass."""

    def sees_everything(self, actor: Actor) -> bool:
        """Whether lists and histories hold back nothing, also of executions that have left the file."""
        return OPERATOR in actor.roles or READER in actor.roles

    def may_audit(self, actor: Actor) -> bool:
        """Whether they may read and export the history of the whole file."""
        return self.sees_everything(actor)

    def may_start(self, actor: Actor, workflow: str) -> bool:  # noqa: ARG002 - for policies that ask
        """Whether they may start this workflow."""
        return True

    def may_see(self, actor: Actor, execution: Subject) -> bool:
        """Whether the execution exists for them."""
        if self.owns(actor, execution.owner) or self.sees_everything(actor):
            return True
        return bool(execution.assignees) and not actor.names.isdisjoint(execution.assignees)

    def may_see_prompt(self, actor: Actor, prompt: Question) -> bool:
        """Whether they see this prompt of an execution that they see."""
        if self.owns(actor, prompt.owner) or self.sees_everything(actor):
            return True
        return not actor.names.isdisjoint(prompt.assignees)

    def may_answer(self, actor: Actor, prompt: Question) -> bool:
        """Whether their response counts."""
        owns = self.owns(actor, prompt.owner)
        if prompt.four_eyes and owns:
            return False
        if OPERATOR in actor.roles:
            return True
        assignees = tuple(prompt.assignees)
        return not actor.names.isdisjoint(assignees) if assignees else owns

    def authority(self, actor: Actor, prompt: Question) -> str:
        """By what right they answer this prompt, as the history will say: of those they have, the first.

        ``assignee`` (by name), ``group:NAME``, ``owner``, ``operator``; else ``policy``: only an application's own policy
        knows. Asked where ``may_answer`` said yes.
        """
        assignees = tuple(prompt.assignees)
        if actor.id in assignees:
            return "assignee"
        groups = sorted(actor.names.intersection(assignees))
        if groups:
            return groups[0]
        if not assignees and self.owns(actor, prompt.owner):
            return "owner"
        return OPERATOR if OPERATOR in actor.roles else "policy"

    def may_see_consent(self, actor: Actor, execution: Subject) -> bool:
        """Whether they are given the address at which the consent is granted, and its state."""
        return self.owns(actor, execution.owner) or (execution.owner is None and OPERATOR in actor.roles)

    def may_cancel(self, actor: Actor, execution: Subject) -> bool:
        """Whether they may end it."""
        return OPERATOR in actor.roles or self.owns(actor, execution.owner)

    def may_remove(self, actor: Actor, execution: Subject) -> bool:
        """Whether they may delete it once it has ended."""
        return OPERATOR in actor.roles or self.owns(actor, execution.owner)

    def may_read_history(self, actor: Actor, execution: Subject) -> bool:
        """Whether they may read all that happened, prompts and responses of others included."""
        return self.owns(actor, execution.owner) or self.sees_everything(actor)

    def owns(self, actor: Actor, owner: str | None) -> bool:
        """Whether they are the one who started it."""
        return owner is not None and owner == actor.id


DEFAULT_POLICY: Final = Policy()
