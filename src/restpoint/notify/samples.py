"""Samples: what an operator sends to try a route. A sample is marked, nothing has happened, and nothing of it is in the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from restpoint._core.clock import Clock
from restpoint._core.ids import Identifiers
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.lifecycle import ExecutionStatus
from restpoint.notify.addresses import Addresses
from restpoint.notify.notices import Channel, DeliveryFailed, Notice, Recipient
from restpoint.notify.routes_file import ASSIGNEES, OWNER, RouteSettings
from restpoint.prompts import BinaryHumanPromptOption, HumanPromptBinary

_PROMPT: Final = HumanPromptBinary(
    text="This is a sample, by which an operator tries a route. Nobody waits for an answer.",
    options=[
        BinaryHumanPromptOption(id="yes", label="Yes", value=True),
        BinaryHumanPromptOption(id="no", label="No", value=False),
    ],
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a sample. ``person`` is None for a channel with one receiver, and ``problem`` where it was delivered."""

    route: str
    channel: str
    person: str | None
    problem: str | None


async def send(
    route: RouteSettings, channel: Channel, addresses: Addresses, clock: Clock, *, to: Sequence[str] = ()
) -> list[Outcome]:
    """Send a sample by a route, and return what came of it, for each person whom it tells.

    ``to`` names people, for a route that tells whom a prompt is addressed to, or the owner: a sample has neither. Raises
    ``InvalidArgument`` where there is nobody to tell.
    """
    if not route.to and not to:
        return [Outcome(route.name, route.channel, None, await _problem(channel, _sample(route, clock, None)))]
    named = tuple(to) or tuple(name for name in route.to if name not in {ASSIGNEES, OWNER})
    if not named:
        raise InvalidArgument(
            f"The route {route.name!r} tells {' and '.join(route.to)}, and a sample has neither; name whom to send it to, as: "
            "--to anna"
        )
    outcomes = []
    for person, missing in (await addresses.people(named, assignees=(), owner=None)).items():
        problem = missing
        if problem is None:
            address = await addresses.address(person, route.channel)
            if address is None:
                problem = f"Nobody knows where {route.channel} reaches {person}."
            else:
                recipient = Recipient(name=person, address=address)
                problem = await _problem(channel, _sample(route, clock, recipient))
        outcomes.append(Outcome(route.name, route.channel, person, problem))
    return outcomes


async def _problem(channel: Channel, notice: Notice) -> str | None:
    try:
        await channel.send(notice)
    except DeliveryFailed as failed:
        return failed.problem
    return None


def _sample(route: RouteSettings, clock: Clock, recipient: Recipient | None) -> Notice:
    identifiers, kind = Identifiers(clock.now), route.kinds[0]
    asks = kind.wait == "interaction"
    return Notice(
        id=identifiers.new(),
        event=kind,
        sequence=0,
        time=clock.now(),
        route=route.name,
        attempt=1,
        is_sample=True,
        execution_id=identifiers.new(),
        workflow=next(iter(route.workflows), "sample"),
        owner=next(iter(route.owners), None),
        status=str(_status(kind)),
        interaction_id=identifiers.new() if asks else None,
        prompt=_PROMPT if asks else None,
        assignees=route.stored().assignees if asks else (),
        recipient=recipient,
    )


def _status(kind: EventKind) -> ExecutionStatus:
    if kind.ends_as is not None:
        return kind.ends_as
    return ExecutionStatus.INTERACTION_REQUIRED if kind.opens_wait else ExecutionStatus.RUNNING
