"""Who did it. An actor comes from credentials, never from what a request says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Someone or something that acts: ``id`` is the name that credentials gave, as history will show it."""

    id: str


def actor_id(actor: Actor | str) -> str:
    """The id of an actor given as one or as its id."""
    return actor.id if isinstance(actor, Actor) else actor
