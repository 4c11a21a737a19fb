"""The routes file: what is told to whom, and by which channel.

It is TOML, and like the providers' file it holds no secret::

    [people.anna]
    mail = "anna@example.com"

    [groups]
    finance = ["anna", "ben"]

    [channels.office]
    kind = "webhook"
    url = "https://hooks.example.com/restpoint"

    [[routes]]
    name = "questions"
    channel = "office"
    events = ["interaction_asked"]
    groups = ["finance"]

A channel has the settings of its kind, which the module of the kind describes; they name the environment variables or the files
that have the secrets. An application may bring channels of its own, which the file then names without describing them.
"""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from restpoint._core.mail_addresses import check_address
from restpoint._storage import outbox
from restpoint.access import GROUP
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.notify.hours import Hours
from restpoint.notify.notices import Channel
from restpoint.notify.tickets import Tickets

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook": ("restpoint.notify.webhooks", "WebhookSettings"),
    "mail": ("restpoint.notify.mail", "MailSettings"),
    "apprise": ("restpoint.notify.apprise", "AppriseSettings"),
}
"""The kinds of channels, each with the module and the class of its settings, which is imported where a file names it."""

MAIL: Final = "mail"

ASSIGNEES: Final = "assignees"
OWNER: Final = "owner"

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
_TOLD: Final = tuple(kind for kind in EventKind if kind.can_be_told)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelContext:
    """What a channel is made with, beside its settings.

    ``environ`` has the secrets that the settings name; files that they name are in ``folder`` unless their path is absolute.
    ``templates`` are files too, by the name of the route that has one. ``public_url`` is where people reach the server, without
    a slash at its end; None where that is unknown. ``tickets`` makes the links of the routes that are ``ticketed``; it
    is None where there is no key ring.
    """

    name: str
    environ: Mapping[str, str]
    folder: Path
    public_url: str | None = None
    templates: Mapping[str, Path] = field(default_factory=dict)
    tickets: Tickets | None = None
    ticketed: Collection[str] = ()


class ChannelSettings(Protocol):
    """The settings of one kind of channel: a pydantic model."""

    default_to: ClassVar[tuple[str, ...]]
    """Whom a route tells that does not say it; nobody by name for a channel that has one receiver."""
    needs_address: ClassVar[bool]
    """Whether the channel needs the address of each person whom it tells; one that has one receiver only says who is meant."""

    def channel(self, context: ChannelContext) -> Channel:
        """Make the channel. Raises ``InvalidArgument``, for instance for a secret that the environment does not have."""


class RouteSettings(BaseModel):
    """One route of the file: which events are told, by which channel, and to whom.

    Without ``workflows``, ``owners``, ``groups`` or ``assignees`` it is for all; with groups and assignees, for prompts that are
    addressed to one of either. ``to`` lists people, groups (``"group:finance"``), ``"assignees"`` (whom the prompt is addressed
    to; the owner where nobody is named) and ``"owner"``; each person gets a notice of their own. With ``tickets`` the link in a
    mail lets whom it is sent to answer without an account. Outside of its ``hours`` nothing is sent: what falls due then goes out
    when they begin, unless it is moot by then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name
    channel: _Name
    events: tuple[str, ...] = Field(default=(EventKind.INTERACTION_ASKED.value,), min_length=1)
    workflows: tuple[_Text, ...] = Field(default=())
    owners: tuple[_Text, ...] = Field(default=())
    groups: tuple[_Text, ...] = Field(default=())
    assignees: tuple[_Text, ...] = Field(default=())
    to: tuple[_Text, ...] = Field(default=())
    template: _Text | None = None
    tickets: bool = False
    hours: Hours | None = None

    @field_validator("events")
    @classmethod
    def _are_events(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if EventKind.named(name) not in _TOLD:
                raise ValueError(f"{name!r} is no event that can be told; use some of {', '.join(_TOLD)}")
        return names

    @field_validator("groups")
    @classmethod
    def _have_no_prefix(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name.startswith(GROUP):
                raise ValueError(
                    f"give the name of the group without {GROUP!r} before it: {name.removeprefix(GROUP)!r}"
                )
        return names

    @property
    def kinds(self) -> tuple[EventKind, ...]:
        """The events as members of the one list."""
        return tuple(kind for kind in map(EventKind.named, self.events) if kind is not None)

    def stored(self) -> outbox.Route:
        """The route as the file with the executions has it: what the trigger that writes notices goes by."""
        addressed = (*self.assignees, *(f"{GROUP}{name}" for name in self.groups))
        return outbox.Route(self.name, self.channel, self.kinds, self.workflows, self.owners, addressed)


@dataclass(frozen=True, slots=True)
class Routes:
    """What a routes file says.

    ``people`` has, by the id of a person, where they are reached: an address by the name or the kind of a channel. ``groups``
    has the people of a group. ``settings`` are those of the channels by name, without those that an application brings.
    """

    routes: tuple[RouteSettings, ...] = ()
    settings: Mapping[str, ChannelSettings] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folder: Path = Path()

    def route(self, name: str) -> RouteSettings | None:
        """The route with this name; None where there is none."""
        return next((route for route in self.routes if route.name == name), None)

    def needs_address(self, channel: str) -> bool:
        """Whether a channel needs the address of each person; one that an application brings does."""
        settings = self.settings.get(channel)
        return settings is None or settings.needs_address

    def without_address(self) -> list[tuple[str, str]]:
        """The people whom a route names, with the channel, whose address for it is not in the file."""
        found: dict[tuple[str, str], None] = {}
        for route in self.routes:
            if not self.needs_address(route.channel):
                continue
            names = [each for name in route.to for each in self.groups.get(name.removeprefix(GROUP), (name,))]
            for name in names:
                known = self.people.get(name, {})
                if name not in {ASSIGNEES, OWNER} and not {route.channel, self.kinds.get(route.channel)} & set(known):
                    found[name, route.channel] = None
        return list(found)

    @property
    def has_tickets(self) -> bool:
        """Whether a route has links with tickets, for which there must be a key ring."""
        return any(route.tickets for route in self.routes)

    def channels(
        self, environ: Mapping[str, str], public_url: str | None = None, tickets: Tickets | None = None
    ) -> dict[str, Channel]:
        """Make the channels that the file describes. Raises ``InvalidArgument``."""
        made = {}
        for name, settings in self.settings.items():
            theirs = [route for route in self.routes if route.channel == name]
            context = ChannelContext(
                name=name,
                environ=environ,
                folder=self.folder,
                public_url=public_url,
                templates={route.name: self.folder / route.template for route in theirs if route.template is not None},
                tickets=tickets,
                ticketed=frozenset(route.name for route in theirs if route.tickets),
            )
            try:
                made[name] = settings.channel(context)
            except InvalidArgument as error:
                place = f"The channel {name!r}"
                raise error if str(error).startswith(place) else InvalidArgument(f"{place}: {error}") from None
        return made


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    people: dict[_Text, dict[_Name, _Text]] = Field(default_factory=dict)
    groups: dict[_Text, tuple[_Text, ...]] = Field(default_factory=dict)
    channels: dict[_Name, dict[str, Any]] = Field(default_factory=dict)
    routes: tuple[RouteSettings, ...] = Field(default=())


def read(path: Path, brought: Collection[str] = ()) -> Routes:
    """Read a routes file. ``brought`` names the channels that the application brings.

    Raises ``InvalidArgument`` for what cannot be read or is wrong, and names the place.
    """
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise InvalidArgument(f"The routes file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"The routes file {path} is not TOML: {error}.") from None
    try:
        given = _File.model_validate(tables)
    except ValidationError as error:
        raise InvalidArgument(f"The routes file {path}: {_first_error(error, tables, _File)}") from None
    settings, kinds = {}, {}
    for name, table in given.channels.items():
        kinds[name], settings[name] = _settings(path, name, table)
    return _checked(path, given, settings, kinds, brought)


def _settings(path: Path, name: str, table: Mapping[str, Any]) -> tuple[str, ChannelSettings]:
    kind = str(table.get("kind"))
    if kind not in KINDS:
        raise InvalidArgument(
            f"The routes file {path}: the channel {name!r} has the kind {kind}; use one of {', '.join(KINDS)}."
        )
    module, class_name = KINDS[kind]
    try:
        model: type[BaseModel] = getattr(import_module(module), class_name)
    except ImportError as missing:
        raise InvalidArgument(
            f"The channel {name!r} is of the kind {kind}, which needs {missing.name}, and that is not installed."
        ) from None
    try:
        made = model.model_validate({key: value for key, value in table.items() if key != "kind"})
    except ValidationError as error:
        where = f"The routes file {path}: the channel {name!r}: "
        raise InvalidArgument(where + _first_error(error, table, model)) from None
    return kind, cast("ChannelSettings", made)


def _first_error(error: ValidationError, given: Mapping[str, Any], model: type[BaseModel]) -> str:
    """What is wrong, with its place. A setting that there is not goes first: it may be a misspelling of one that is missing."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    place: list[str] = []
    inner: Any = given
    for part in first["loc"]:
        inner = _part(inner, part)
        named = inner.get("name") if isinstance(inner, dict) and isinstance(part, int) else None
        place.append(repr(named) if named is not None else str(part))
    if first["type"] == "extra_forbidden" and (fields := _settings_at(first["loc"][:-1], model)):
        return f"{' '.join(place)}: there is no such setting; those here are {', '.join(fields)}."
    return f"{' '.join(place)}: {first['msg'].removeprefix('Value error, ')}."


def _settings_at(place: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """The names of the settings of a table; none where the place is inside a setting."""
    if place and place[0] == "routes":
        model = Hours if place[-1] == "hours" else RouteSettings
    elif place:
        return []
    return [each.alias or name for name, each in model.model_fields.items()]


def _part(of: Any, name: int | str) -> Any:
    if isinstance(of, dict):
        return of.get(name)
    return of[name] if isinstance(of, list) and isinstance(name, int) and name < len(of) else None


def _checked(
    path: Path,
    given: _File,
    settings: Mapping[str, ChannelSettings],
    kinds: Mapping[str, str],
    brought: Collection[str],
) -> Routes:
    """Put together what was read. Raises ``InvalidArgument`` for what does not fit together."""
    known, routes, names = {*settings, *brought}, [], set()
    _check_people(path, given, kinds)
    for route in given.routes:
        where = f"The routes file {path}: the route {route.name!r}"
        if route.name in names:
            raise InvalidArgument(f"{where} is there twice; give each route its own name.")
        names.add(route.name)
        if route.channel not in known:
            raise InvalidArgument(
                f"{where} names the channel {route.channel!r}; the file has {', '.join(sorted(known)) or 'none'}."
            )
        if route.tickets and kinds.get(route.channel) != MAIL:
            raise InvalidArgument(f"{where} has tickets, which only a channel of mail has a place for.")
        default = getattr(settings.get(route.channel), "default_to", ())
        to = route.to or default
        for name in to:
            group = name.removeprefix(GROUP)
            if name.startswith(GROUP) and group not in given.groups:
                raise InvalidArgument(f"{where} tells {name!r}; there is no {group!r} under [groups].")
            of_no_prompt = [kind.value for kind in route.kinds if kind.wait != "interaction"]
            if name == ASSIGNEES and of_no_prompt:
                raise InvalidArgument(
                    f"{where} tells the assignees of {of_no_prompt[0]}, which is about no prompt; tell 'owner', or name people."
                )
        routes.append(route.model_copy(update={"to": to}))
    return Routes(tuple(routes), settings, kinds, given.people, given.groups, path.parent)


def _check_people(path: Path, given: _File, kinds: Mapping[str, str]) -> None:
    """Raise ``InvalidArgument`` for a mail address that is none, before somebody waits for a mail."""
    for name, addresses in given.people.items():
        for channel, address in addresses.items():
            if kinds.get(channel, channel) == MAIL:
                try:
                    check_address(address)
                except ValueError as error:
                    raise InvalidArgument(f"The routes file {path}: people {name!r} {channel}: {error}") from None
