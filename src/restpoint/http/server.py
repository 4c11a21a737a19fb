"""The ready server: serves the workflows of a target from one file on one port, in one process or several.

The parent binds the port before anything else starts, so that a port in use is reported at once and every worker answers on
the same one. It supervises its workers: one that dies is replaced, SIGTERM and Ctrl-C end all of them, and they end by
themselves when the parent is gone.
"""

import contextlib
import errno
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Literal

import uvicorn
from uvicorn.supervisors import Multiprocess

from restpoint import logs
from restpoint._core.addresses import is_loopback
from restpoint._core.retention_rules import SERVER_EXECUTION_TTL, TimeToLive
from restpoint._storage import locate, migrations
from restpoint._store.owner_limits import OwnerLimits
from restpoint.errors import InvalidArgument, RestpointError
from restpoint.http import loader
from restpoint.http.bearer_tokens import Tokens
from restpoint.http.connections import MAX_CONNECTIONS, Config, ConnectionLimits, limit_log_lines
from restpoint.http.requests import check_origin
from restpoint.http.sessions import IDLE_SECONDS, LIFETIME_SECONDS, SessionLimits
from restpoint.notify import routes_file
from restpoint.oauth import providers
from restpoint.oauth.keyring import vault_for

if TYPE_CHECKING:
    from starlette.applications import Starlette

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 3
"""Seconds that open requests may take after SIGTERM. With the closing of the store that stays under five seconds."""

_LAST_SECONDS: Final = 4.0
"""Seconds after SIGTERM at which a process ends whatever blocks it; with what the parent takes that is under five seconds."""

_READY_SECONDS: Final = 60
_HUNG_SECONDS: Final = 30  # after which a worker that gives no sign is replaced
_QUEUED: Final = 2048  # connections that the kernel keeps until they are accepted
_LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of ``restpoint serve``.

    ``ttl`` to ``abandoned_after`` are those of ``ExecutionStore``, in seconds; so are ``session_idle`` and ``session_lifetime``.
    ``concurrency`` is for each worker.
    """

    targets: tuple[str, ...]
    database: str
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    tokens_file: str | None = None
    ttl: TimeToLive = SERVER_EXECUTION_TTL
    history: Literal["full", "digest"] | None = None
    history_retention: float | None = None
    idempotency_retention: float | None = None
    abandoned_after: float | None = None
    concurrency: int = 100
    max_connections: int = MAX_CONNECTIONS
    owner_limits: OwnerLimits | None = None
    default: str | None = None
    log_json: bool = False
    log_level: str = "WARNING"
    providers_file: str | None = None
    routes_file: str | None = None
    keys_file: str | None = None
    public_url: str | None = None
    trusted_origins: tuple[str, ...] = ()
    session_idle: float = IDLE_SECONDS
    session_lifetime: float = LIFETIME_SECONDS
    create: bool = False
    address: str | None = None
    """The base URL at which it listens, once it does."""


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Before anything has started, raises ``InvalidArgument`` if the target, the tokens, the address or a name is wrong, and
    ``StorageError`` if the file cannot be used.
    """
    seals = _check(settings)
    with contextlib.closing(listen(settings.host, settings.port)) as listening:
        _prepare_file(settings, seals=seals)
        _run(settings, listening)


def _run(settings: Settings, listening: socket.socket) -> None:
    url = _url(settings.host, listening)
    settings = replace(settings, address=url)
    config = Config(
        partial(make_app, settings),
        ConnectionLimits(settings.max_connections),
        factory=True,
        host=settings.host,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=_HUNG_SECONDS,
    )
    logs.setup(json=settings.log_json, level=settings.log_level)
    limit_log_lines()
    # uvicorn raises the signal again after a clean end, and the process should exit with 0 then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    if settings.workers == 1:
        _SingleServer(config, url).run([listening])
    else:
        _Supervisor(config, [listening], url).run()


def make_app(settings: Settings) -> "Starlette":
    """Make the application of one worker."""
    from restpoint.http.app import create_app

    parent = multiprocessing.parent_process()
    if parent is not None:
        logs.setup(json=settings.log_json, level=settings.log_level)
        limit_log_lines()
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, partial(_told_to_end, signal.getsignal(number)))
    return create_app(
        loader.load(*settings.targets),
        database=settings.database,
        tokens_file=settings.tokens_file,
        ttl_seconds=settings.ttl,
        history=settings.history,
        history_retention_seconds=settings.history_retention,
        idempotency_retention_seconds=settings.idempotency_retention,
        abandoned_after_seconds=settings.abandoned_after,
        concurrency=settings.concurrency,
        owner_limits=settings.owner_limits,
        default=settings.default,
        providers=settings.providers_file,
        keys=settings.keys_file,
        routes=settings.routes_file,
        public_url=settings.public_url,
        trusted_origins=settings.trusted_origins,
        session_idle_seconds=settings.session_idle,
        session_lifetime_seconds=settings.session_lifetime,
        address=settings.address,
    )


def _check(settings: Settings) -> bool:
    """Check what can be wrong before a worker starts, because the parent reports it better. Returns whether it seals secrets."""
    found = loader.load(*settings.targets)
    names = sorted({each.name for each in found})
    if settings.default is not None and settings.default not in names:
        raise InvalidArgument(
            f"{' and '.join(settings.targets)}: no workflow {settings.default!r}. It has: {', '.join(names)}."
        )
    if settings.workers < 1:
        raise InvalidArgument(f"workers is {settings.workers}; give a whole number from 1.")
    SessionLimits(settings.session_idle, settings.session_lifetime)
    known = () if settings.providers_file is None else providers.read(settings.providers_file, os.environ)
    providers.by_name(known)
    if settings.tokens_file is not None:
        Tokens(settings.tokens_file)
    elif not is_loopback(settings.host) and not any(provider.sign_in for provider in known):
        raise InvalidArgument(
            f"Without tokens the server answers this machine only, and {settings.host} is open to others. "
            "Make tokens with `restpoint tokens add NAME` and name their file with --tokens-file, have people sign in with a "
            "provider (sign_in = true in the file of --providers), or leave out --host."
        )
    told = None if settings.routes_file is None else routes_file.read(Path(settings.routes_file))
    if told is not None:
        told.channels(os.environ, settings.public_url)
    if settings.public_url is not None:
        providers.check_url("public_url", settings.public_url)
    for origin in settings.trusted_origins:
        check_origin(origin)
    return settings.providers_file is not None or (told is not None and told.has_tickets)


def _prepare_file(settings: Settings, *, seals: bool) -> None:
    """Make the file, or check it, and the key ring where there is something to seal."""
    path = locate(settings.database)
    migrations.prepare(path, "refuse", create=settings.create)
    if seals:
        vault_for(path, settings.keys_file, os.environ)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ``InvalidArgument``."""
    if not 0 <= port <= _LARGEST_PORT:
        raise InvalidArgument(f"port is {port}; give one from 0 to {_LARGEST_PORT}, 0 for any that is free.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InvalidArgument(f"{host} is no address of this machine: {error.strerror}.") from None
    made = _Listening(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen()
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            why = "another program answers there. Choose another with --port, or 0 for any that is free"
        elif error.errno == errno.EACCES:
            why = "this user may not. Choose a port from 1024 up"
        else:
            why = f"{error.strerror}"
        raise InvalidArgument(f"The server cannot listen at {host}, port {port}: {why}.") from None
    made.set_inheritable(True)
    return made


def _url(host: str, listening: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _announce(url: str, workers: int) -> None:
    by = "" if workers == 1 else f" by {workers} processes"
    print(f"Serving {url}{by}; Ctrl-C ends it.", file=sys.stderr, flush=True)


def _end_with_parent(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _Listening(socket.socket):
    """A listening socket, which asyncio may not make listen with its own, short queue.

    asyncio takes one number for the queue of the kernel and for how many connections it accepts in one turn of the loop. The
    queue should be long, and the turn short.
    """

    def listen(self, backlog: int = 0, /) -> None:
        super().listen(max(backlog, _QUEUED))

    def __reduce__(self) -> tuple[Any, ...]:
        """How it goes to a worker process, as ``multiprocessing`` does it for a socket itself."""
        return _listening, (DupFd(self.fileno()), self.family, self.type, self.proto)


def _listening(descriptor: Any, family: int, kind: int, protocol: int) -> _Listening:
    return _Listening(family, kind, protocol, fileno=descriptor.detach())


def _told_to_end(then: Any, number: int, frame: FrameType | None) -> None:
    _end_in_time()
    if callable(then):
        then(number, frame)


def _end_in_time() -> None:
    """From now on, end within ``_LAST_SECONDS``, also where a step blocks the event loop or the application's threads.

    What was acknowledged is in the file, and the runs of this process are found by another one.
    """

    def end() -> None:
        time.sleep(_LAST_SECONDS)
        log.warning("something blocks this process, so it ends now; what it was running is left to the next process")
        os._exit(0)

    threading.Thread(target=end, name="restpoint-end", daemon=True).start()


class _SingleServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            _end_in_time()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _announce(self._url, 1)


class _Supervisor(Multiprocess):
    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], url: str) -> None:
        super().__init__(config, sockets)
        self._url = url

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_READY_SECONDS, self.should_exit) for process in self.processes):
            _announce(self._url, len(self.processes))

    def run(self) -> None:
        super().run()
        if any(process.exitcode not in {0, None, -signal.SIGTERM, -signal.SIGKILL} for process in self.processes):
            raise RestpointError("A worker could not start; its own message is above.")
