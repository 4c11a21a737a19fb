"""Logging as JSON or text, one line per record, with the execution that the record is about.

``about(execution_id=...)`` is a context manager: it sets the context of the code inside it and of the tasks started there. A
handler with ``ContextFilter`` adds that context to every record, whichever library logs it. ``restpoint serve`` calls
``setup``. An application that embeds restpoint keeps its own logging, adds ``ContextFilter`` to its handlers and may use one
of the formatters.

restpoint logs ids, names and statuses. It logs no input, prompt, response or token, and no query string of a request. The logger
``restpoint.events`` has one line at level info for each event that this process committed: a start, a prompt, an answer, a
failure, an end. What workflows emit and notify is at level debug there.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TextIO

from restpoint._core import tracing
from restpoint._core.changes import Change

EVENTS: Final = logging.getLogger("restpoint.events")
"""The logger that has the events which this process committed."""

_about: ContextVar[Mapping[str, Any]] = ContextVar("restpoint_about", default=MappingProxyType({}))

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "about",
    "color_message",
}
"""The attributes that are left out of the line: those that every record has. The others came with ``extra=``."""


class _About:
    """The context manager of ``about``. It is a class because that is faster than a generator, and every request enters one."""

    __slots__ = ("_names", "_token")

    def __init__(self, names: Mapping[str, str | int | None]) -> None:
        self._names = names

    def __enter__(self) -> None:
        context = _about.get()
        if self._names:
            context = {**context, **{name: value for name, value in self._names.items() if value is not None}}
        self._token = _about.set(context)

    def __exit__(self, *_: object) -> None:
        # A generator may be closed in another context than the one it started in; then there is nothing to reset.
        with suppress(ValueError):
            _about.reset(self._token)


def about(**names: str | int | None) -> _About:
    """Add names such as ``execution_id`` and ``workflow`` to the log context of the code inside. None values are left out."""
    return _About(names)


def add(**names: str | int | None) -> None:
    """Add names to the log context of the innermost ``about`` around the caller. None values are left out."""
    more = {name: value for name, value in names.items() if value is not None}
    if more:
        _about.set({**_about.get(), **more})


def context() -> Mapping[str, Any]:
    """Return the log context, with ``trace_id`` and ``span_id`` if there is a current span."""
    names = _about.get()
    trace = tracing.ids()
    return names if trace is None else {**names, "trace_id": trace[0], "span_id": trace[1]}


class ContextFilter(logging.Filter):
    """Sets ``record.about`` to the log context of each record. Add it to a handler, not to a logger. It drops no record.

    It also removes the query from the request lines of uvicorn's access log: consent callbacks have their secrets there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the context to the record and return True."""
        if "about" not in record.__dict__:
            record.about = context()
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):
            record.args = tuple(
                part.partition("?")[0] if isinstance(part, str) and part.startswith("/") else part
                for part in record.args
            )
        return True


class JSONFormatter(logging.Formatter):
    """One JSON object per line, in ASCII: time, level, logger, message, log context, members of ``extra=``, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break at its end."""
        line = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in _extras(record).items() if name not in {"time", "level", "logger"}},
        }
        if exception := _exception(self, record):
            line["exception"] = exception
        try:
            return json.dumps(line, default=str, allow_nan=False)
        except ValueError:  # a NaN, or a list that contains itself
            return json.dumps({name: str(value) for name, value in line.items()})


class TextFormatter(logging.Formatter):
    """Text for people: time, level, logger, message, then ``name=value`` pairs.

    Control characters are escaped and the lines of a traceback are indented, so no logged value can imitate another line of
    the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break at its end; a traceback adds lines."""
        rest = "".join(f" {name}={_quoted(value)}" for name, value in _extras(record).items())
        line = _printable(f"{_instant(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{rest}")
        exception = _exception(self, record)
        return "\n    ".join([line, *map(_printable, exception.splitlines())])


def log_event(event: Change, workflow: str | None = None) -> None:
    """Log an event of an execution: its name, and what it is about. ``workflow`` is that of the execution, where it is known."""
    created, wait = event.execution, event.wait
    told = {
        "execution_id": event.execution_id,
        "workflow": workflow if created is None else created.workflow,
        "owner": None if created is None else created.owner,
        "wait_id": None if wait is None else wait.id,
        "status": event.status if event.status != event.before else None,
        "actor": event.actor,
        "code": event.code,
    }
    level = logging.INFO if event.event.journal_field is None else logging.DEBUG
    EVENTS.log(level, str(event.event), extra={name: value for name, value in told.items() if value is not None})


def setup(*, json: bool, level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs of this process to ``stream`` (default: standard error) as JSON lines or text. It replaces earlier handlers.

    Run uvicorn with ``log_config=None``, or it sets up its own logging.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if json else TextFormatter())
    handler.addFilter(ContextFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _instant(record: logging.LogRecord) -> str:
    """Return the record's time as RFC 3339 text in UTC with milliseconds."""
    instant = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return instant.removesuffix("+00:00") + "Z"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    return {**getattr(record, "about", {}), **extra}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    if record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(each in text for each in ' ="\\') else text


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
