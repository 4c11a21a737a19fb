"""Actors, and the policy: what an actor may do. An application may replace the policy.

An actor comes from credentials, never from the content of a request. A prompt may be addressed to *assignees*: people by id
(``"ada"``) and groups by name with the prefix ``group:`` (``"group:finance"``). The two cannot be confused, because the id
of an actor never begins with ``group:``.

The rules of ``Policy``:

- The *owner* of an execution is who started it. They see it, read its history, cancel it, remove it after it has ended, and
  answer its prompts that have no assignees.
- An *assignee* of an open prompt sees the execution while the prompt is open, sees the prompts that are addressed to them,
  and answers those, claims them, or hands them on. Whoever has answered a prompt sees its execution from then on.
- The role ``operator`` sees, answers, reassigns, cancels, removes and retries everything. The role ``reader``, for auditors, sees
  everything with its history and changes nothing. Both may audit the whole file.
- The owner of the execution never answers a prompt with *four eyes*, not even as an operator. Where the owner or the actor is
  ``local``, nobody can tell whether they are one person, so the answer is refused too. The same goes for whoever answered a
  prompt that another one names as *other than*.
- A consent (``auth_url``, ``oauth_state``) is shown to the owner only; if the execution has no owner, to operators.
- For everyone else the execution does not exist.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final

from restpoint._core.serialization import check_text
from restpoint.errors import InvalidArgument

GROUP: Final = "group:"
"""The prefix of a group's name among assignees."""

LOCAL: Final = "local"
"""The id of whoever uses a server without authentication. It may be anybody on that machine, so it tells nobody apart."""

OPERATOR: Final = "operator"
READER: Final = "reader"
ROLES: Final = (OPERATOR, READER)


def normal(name: str) -> str:
    """A name of a person or group as it is compared and stored: composed (NFC of Unicode Standard Annex #15).

    A keyboard writes ``é`` as one character and a file system as two, and they are one name.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def spellings(name: str) -> frozenset[str]:
    """A name as it is stored, and as files may have it from before names were composed."""
    return frozenset((name, normal(name), unicodedata.normalize("NFD", name)))


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or program that acts. ``id`` is the name from their credentials, and history shows it.

    ``groups`` are the names of their groups, without ``group:``. Names are taken as ``normal`` has them. ``known_by`` is for the
    history: what they were known by where that is not what people sign in with, such as the ticket of a mail. Raises
    ``InvalidArgument``.
    """

    id: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    known_by: str | None = None

    def __post_init__(self) -> None:
        if self.id.startswith(GROUP):
            raise InvalidArgument(f"{self.id!r} cannot be the id of an actor: {GROUP!r} begins the name of a group.")
        for name in ("groups", "roles"):
            value = getattr(self, name)
            if type(value) is not frozenset:
                if isinstance(value, str):
                    raise InvalidArgument(f"{name} of an actor is a set of names, not the text {value!r}.")
                object.__setattr__(self, name, frozenset(value))
        object.__setattr__(self, "id", normal(self.id))
        object.__setattr__(self, "groups", frozenset(map(normal, self.groups)))

    @property
    def names(self) -> frozenset[str]:
        """The assignees that reach this actor: their id and their groups, with the prefix ``group:``."""
        return frozenset((self.id, *(f"{GROUP}{group}" for group in self.groups)))


def read_assignee(name: str) -> str:
    """The assignee as it is stored. Raises ``InvalidArgument`` for one that can reach nobody, and ``NotJSON``."""
    name = normal(check_text("assignees", name, limit=1_000))
    whom = name.removeprefix(GROUP)
    if not whom.strip() or whom != whom.strip() or name != name.strip():
        raise InvalidArgument(
            f"The assignee {name[:80]!r} can reach nobody: give the id of a person, or the name of a group behind {GROUP!r}, "
            "without blanks around it."
        )
    return name


def who(name: str | None) -> str:
    """A person or a group, as people say it."""
    if name is None:
        return "nobody by name"
    return f"the group {name.removeprefix(GROUP)}" if name.startswith(GROUP) else name


ActorLike = Actor | str | None
"""An actor or the id of one; None if the actor is unknown."""


def actor_name(actor: ActorLike) -> str | None:
    """Return the id of an actor for the history. Raises ``NotJSON`` if it cannot be stored."""
    return name_of("actor", actor.id if isinstance(actor, Actor) else actor)


def name_of(what: str, name: str | None) -> str | None:
    """Return the name of a person as it is stored; None for none. ``what`` says whose it is, for ``NotJSON``."""
    return None if name is None else normal(check_text(what, name, limit=1_000))


@dataclass(frozen=True, slots=True)
class Subject:
    """The facts of an execution that the policy uses. ``assignees`` are those of all its open prompts.

    ``answered_by`` are people who have answered a prompt of it; for ``may_see`` the one who asks is among them if they have.
    """

    owner: str | None
    assignees: frozenset[str] = frozenset()
    answered_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """The facts of a prompt that the policy uses. Only ``assignees`` may change while it is open.

    ``owner`` is who started the execution (None if that is unknown). ``assignees`` are the people and groups that the prompt is
    addressed to; none means the owner. With ``four_eyes`` the owner must not answer it. ``excluded`` are the people who must not
    answer it because they answered another prompt.
    """

    owner: str | None
    assignees: tuple[str, ...] = ()
    four_eyes: bool = False
    excluded: tuple[str, ...] = ()


class Policy:
    """Who may do what. Every method is pure: the same facts give the same answer. Override single methods in a subclass."""

    def sees_everything(self, actor: Actor) -> bool:
        """Whether they see every execution and its history, including those of executions that have left the file."""
        return OPERATOR in actor.roles or READER in actor.roles

    def may_audit(self, actor: Actor) -> bool:
        """Whether they may read and export the history of the whole file."""
        return self.sees_everything(actor)

    def may_start(self, actor: Actor, workflow: str) -> bool:  # noqa: ARG002 - subclasses use them
        """Whether they may start this workflow."""
        return True

    def may_see(self, actor: Actor, execution: Subject) -> bool:
        """Whether the execution exists for them."""
        if self.owns(actor, execution.owner) or self.sees_everything(actor):
            return True
        if actor.id in execution.answered_by:
            return True
        return bool(execution.assignees) and not actor.names.isdisjoint(execution.assignees)

    def may_see_prompt(self, actor: Actor, prompt: Question) -> bool:
        """Whether they see this prompt of an execution that they see."""
        if self.owns(actor, prompt.owner) or self.sees_everything(actor):
            return True
        return not actor.names.isdisjoint(prompt.assignees)

    def may_answer(self, actor: Actor, prompt: Question) -> bool:
        """Whether they may answer this prompt."""
        owns = self.owns(actor, prompt.owner)
        if prompt.four_eyes and (owns or (prompt.owner is not None and LOCAL in {actor.id, prompt.owner})):
            return False
        if prompt.excluded and (actor.id in prompt.excluded or LOCAL in {actor.id, *prompt.excluded}):
            return False
        if OPERATOR in actor.roles:
            return True
        return not actor.names.isdisjoint(prompt.assignees) if prompt.assignees else owns

    def inbox_names(self, actor: Actor) -> frozenset[str] | None:
        """The names whose prompts they may be able to answer; None: all. Their inbox has those of them that they may answer.

        A prompt goes by the names of its assignees, or by that of the owner where it has none.
        """
        return None if OPERATOR in actor.roles else actor.names

    def may_delegate(self, actor: Actor, prompt: Question) -> bool:
        """Whether they may hand this prompt on to somebody else: it is addressed to them, and they may answer it."""
        reached = not actor.names.isdisjoint(prompt.assignees) if prompt.assignees else self.owns(actor, prompt.owner)
        return reached and self.may_answer(actor, prompt)

    def may_reassign(self, actor: Actor, prompt: Question) -> bool:  # noqa: ARG002 - subclasses use it
        """Whether they may address this prompt to others, whoever it is addressed to, and end the claims of others."""
        return OPERATOR in actor.roles

    def authority(self, actor: Actor, prompt: Question) -> str:
        """Return by what right they answer this prompt, for the history.

        It is the first that they have of ``assignee`` (by id), ``group:NAME``, ``owner`` and ``operator``; otherwise it is
        ``policy``, when an application's own policy allowed it. It is called after ``may_answer`` returned true.
        """
        if actor.id in prompt.assignees:
            return "assignee"
        if groups := sorted(actor.names.intersection(prompt.assignees)):
            return groups[0]
        if not prompt.assignees and self.owns(actor, prompt.owner):
            return "owner"
        return OPERATOR if OPERATOR in actor.roles else "policy"

    def may_see_consent(self, actor: Actor, execution: Subject) -> bool:
        """Whether they see the URL where the consent is granted, and its state."""
        return self.owns(actor, execution.owner) or (execution.owner is None and OPERATOR in actor.roles)

    def may_cancel(self, actor: Actor, execution: Subject) -> bool:
        """Whether they may cancel the execution."""
        return OPERATOR in actor.roles or self.owns(actor, execution.owner)

    def may_remove(self, actor: Actor, execution: Subject) -> bool:
        """Whether they may delete the execution after it has ended."""
        return OPERATOR in actor.roles or self.owns(actor, execution.owner)

    def may_retry(self, actor: Actor, execution: Subject) -> bool:  # noqa: ARG002 - subclasses use it
        """Whether they may have the execution go on after it has failed."""
        return OPERATOR in actor.roles

    def may_deliver(self, actor: Actor) -> bool:
        """Whether they may have notices of the outbox tried again or dropped, and enable routes."""
        return OPERATOR in actor.roles

    def may_see_failure(self, actor: Actor, execution: Subject) -> bool:  # noqa: ARG002 - subclasses use it
        """Whether they see what a workflow raised, with its traceback, beside the public message of a failure."""
        return OPERATOR in actor.roles

    def may_end_sessions(self, actor: Actor) -> bool:
        """Whether they may list the sessions of everybody who signed in at a browser, and end them."""
        return OPERATOR in actor.roles

    def may_read_history(self, actor: Actor, execution: Subject) -> bool:
        """Whether they may read the whole history, including the prompts and responses of others."""
        return self.owns(actor, execution.owner) or self.sees_everything(actor)

    def owns(self, actor: Actor, owner: str | None) -> bool:
        """Whether they started the execution."""
        return owner is not None and owner == actor.id


DEFAULT_POLICY: Final = Policy()
