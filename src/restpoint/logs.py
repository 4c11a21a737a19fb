"""Logs for programs and for people: one line each, with the execution that the line is about.

``about(execution_id=...)`` says what the code inside it, and every task that it starts, works on; a handler with
``ContextFilter`` puts that into each record, whoever logs it. ``setup`` is for a program of our own, such as ``restpoint
serve``; an application that embeds restpoint keeps its own logging and adds ``ContextFilter`` and, if it likes, one of the
formatters to its handlers.

restpoint logs ids, names and statuses. It logs no input, no prompt, no answer, no token, and no query string of a request.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from restpoint._core import tracing

_about: ContextVar[Mapping[str, Any]] = ContextVar("restpoint_about", default={})  # noqa: B039 - never changed in place

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "about", "color_message"}
"""What is in every record, and what is not for the line: all else was given with ``extra=`` and is."""


class _About:
    """What is said from where it is entered to where it is left: a class, because every request enters one."""

    __slots__ = ("_names", "_token")

    def __init__(self, names: Mapping[str, str | int | None]) -> None:
        self._names = names

    def __enter__(self) -> None:
        said = _about.get()
        if self._names:
            said = {**said, **{name: value for name, value in self._names.items() if value is not None}}
        self._token = _about.set(said)

    def __exit__(self, *_: object) -> None:
        # A generator may be closed in another context than it began in, where there is nothing to undo.
        with suppress(ValueError):
            _about.reset(self._token)


def about(**names: str | int | None) -> _About:
    """Say what the code inside works on, such as ``execution_id`` and ``workflow``. Adds to what was said around it."""
    return _About(names)


def add(**names: str | int | None) -> None:
    """Say more of what the code is about that is inside of ``about`` here, as far as that goes: what was learnt on the way."""
    more = {name: value for name, value in names.items() if value is not None}
    if more:
        _about.set({**_about.get(), **more})


def context() -> Mapping[str, Any]:
    """What ``about`` said here, and the trace, where there is one."""
    said = _about.get()
    trace = tracing.ids()
    return said if trace is None else {**said, "trace_id": trace[0], "span_id": trace[1]}


class ContextFilter(logging.Filter):
    """For a handler, not a logger: gives each record what it is about, in ``record.about``. Lets all of them pass.

    Takes the query out of the request lines of uvicorn's access log, because consent callbacks have their secrets there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if "about" not in record.__dict__:
            record.about = context()
        if record.name == "uvicorn.access" and isinstance(record.args, tuple):
            record.args = tuple(
                part.partition("?")[0] if isinstance(part, str) and part.startswith("/") else part
                for part in record.args
            )
        return True


class JSONFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: time, level, logger, message, what it is about, what ``extra=`` gave, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
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
    """For people: time, level, logger, message, then ``name=value``.

    Control characters in it are escaped and the lines of a traceback are indented, so nothing that was said to us can
    pretend to be another line of the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; more than one where there is a traceback."""
        rest = "".join(f" {name}={_word(value)}" for name, value in _extras(record).items())
        line = _printable(
            f"{_instant(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{rest}",
        )
        exception = _exception(self, record)
        return "\n    ".join([line, *map(_printable, exception.splitlines())])


def setup(*, json: bool, level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logs of this process to ``stream`` (standard error), as JSON lines or as text, in place of what was set up.

    uvicorn must then be run with ``log_config=None``, or it sets up its own.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if json else TextFormatter())
    handler.addFilter(ContextFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _instant(record: logging.LogRecord) -> str:
    """When, as RFC 3339 in UTC with milliseconds."""
    instant = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return instant.removesuffix("+00:00") + "Z"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in record.__dict__.items() if name not in _OWN}
    return {**getattr(record, "about", {}), **given}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    if record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _word(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(each in text for each in ' ="\\') else text


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
