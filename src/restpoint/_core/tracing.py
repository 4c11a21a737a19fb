"""Spans of OpenTelemetry around what workflows do, where the application traces; nothing at all where it does not.

The trace of an execution hangs on one short span, ``start_span``, whose W3C trace context (https://www.w3.org/TR/trace-context/)
is stored with the execution. Every run of it, in whatever process, is a child of that span, and so is every pause: it is
told when it ends, with the time of its beginning, so that it spans restarts. Nothing here outlives a process but that context.

The application traces if it has configured a tracer provider. Its API is not imported for it: a process in which nobody
imported ``opentelemetry.trace`` has no provider, and then each call costs less than a microsecond.

Spans carry names and ids. They carry no input, no answer and no message of an error: only the type of the error.
"""

import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry import trace
    from opentelemetry.context import Context

# https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE: Final = re.compile(r"[\x20-\x7e\t]{1,512}")

_stored: ContextVar["Context | None"] = ContextVar("restpoint_stored_trace", default=None)
"""The context that came with the execution: what a pause belongs to, rather than the run that happens to end it."""

_MOST_TOLD: Final = 10_000
_told: dict[str, None] = {}
"""The waits whose spans this process has told lately, the oldest first."""

_tracer_of: tuple[object, "trace.Tracer"] | None = None


def _tracer() -> "trace.Tracer | None":
    """The tracer of the application's provider; None while it has none."""
    global _tracer_of  # noqa: PLW0603 - one tracer for each provider
    trace = sys.modules.get("opentelemetry.trace")  # only where the application has imported it
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    if _tracer_of is None or _tracer_of[0] is not provider:
        _tracer_of = provider, provider.get_tracer("restpoint")
    return _tracer_of[1]


def is_configured() -> bool:
    """Whether this process traces, counts or logs by OpenTelemetry, as far as can be told: it has an SDK of it loaded."""
    return _tracer() is not None or any(name.startswith("opentelemetry.sdk") for name in sys.modules)


class Span:
    """One span, as a context manager. Entered and left in the same task.

    ``carrier`` is what to store to go on with the trace later: the headers ``traceparent`` and ``tracestate``, or nothing.
    """

    __slots__ = ("_before", "_context", "_span", "_token", "carrier")

    def __init__(
        self,
        span: "trace.Span | None" = None,
        carrier: Mapping[str, str] | None = None,
        stored: "Context | None" = None,
    ) -> None:
        self.carrier: dict[str, str] = dict(carrier or {})
        self._span = span
        self._context = stored
        self._token: Token[Context] | None = None
        self._before: Context | None = None

    def annotate(self, **attributes: str | int) -> None:
        """Say more about it: each becomes an attribute ``restpoint.<name>``. Names and ids only."""
        if self._span is not None:
            self._span.set_attributes({f"restpoint.{name}": value for name, value in attributes.items()})

    def fail(self, name: str) -> None:
        """Say that what it is about failed: with the name of an error's type, or its code."""
        if self._span is not None:
            from opentelemetry import trace

            self._span.set_attribute("error.type", name)
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, name))

    def __enter__(self) -> Self:
        if self._span is not None:
            from opentelemetry import context, trace

            self._token = context.attach(trace.set_span_in_context(self._span))
            if self._context is not None:
                self._before = _stored.get()
                _stored.set(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        from opentelemetry import context, trace

        if self._token is not None and trace.get_current_span() is self._span:
            context.detach(self._token)
            if self._context is not None:
                _stored.set(self._before)
        # A cancelled task, which is no Exception, has not failed.
        if isinstance(error, Exception):
            self.fail(type(error).__qualname__)
        self._span.end()


_NOTHING: Final = Span()


def carrier() -> dict[str, str]:
    """The trace context of here and now, as headers; empty where nothing is traced."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carried)
    return carried


def accepted(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Of headers that a client sent, the trace context, where it is one. Never raises: a bad one is no trace."""
    given = {name.lower(): value for name, value in (headers or {}).items()}
    parent, state = given.get("traceparent", "").strip(), given.get("tracestate", "")
    if not _TRACEPARENT.fullmatch(parent):
        return {}
    return {"traceparent": parent, **({"tracestate": state} if _TRACESTATE.fullmatch(state) else {})}


def start_span(workflow: str, carrier: Mapping[str, str] | None = None) -> Span:
    """The start of an execution. Inside it, its ``carrier`` is what to store with the execution.

    The parent is the span around it, else the ``carrier`` of the caller, else none. Where this process does not trace, the
    caller's context is handed on as it is, for a process that does.
    """
    tracer = _tracer()
    given = accepted(carrier)
    if tracer is None:
        return Span(carrier=given)
    from opentelemetry import trace

    around = trace.get_current_span().get_span_context().is_valid
    parent = None if around or not given else _read(given)
    span = tracer.start_span(
        f"start {workflow}", parent, trace.SpanKind.PRODUCER, attributes={"restpoint.workflow": workflow}
    )
    return Span(span, _written(span))


def run_span(workflow: str, execution_id: str, carrier: Mapping[str, str] | None) -> Span:
    """One run of an execution's function, from its start or its rebuilding to its end or the next pause.

    ``carrier`` is what ``start_span`` gave, read back from the file; the run belongs to that trace, whatever runs around it.
    """
    tracer = _tracer()
    if tracer is None:
        return _NOTHING
    from opentelemetry import trace

    stored = _read(accepted(carrier))
    span = tracer.start_span(
        f"workflow {workflow}",
        stored,
        trace.SpanKind.CONSUMER,
        attributes={"restpoint.workflow": workflow, "restpoint.execution_id": execution_id},
    )
    parent = stored or trace.set_span_in_context(span, stored)
    return Span(span, _written(span), parent)


def step_span(name: str, attempt: int = 1) -> Span:
    """One attempt of a step, inside a run."""
    tracer = _tracer()
    if tracer is None:
        return _NOTHING
    return Span(
        tracer.start_span(f"step {name}", attributes={"restpoint.step": name, "restpoint.attempt": attempt}),
    )


def wait_span(
    kind: Literal["interaction", "consent", "sleep"],
    wait_id: str,
    started_at_ns: int,
    *,
    outcome: str | None = None,
    ended_at_ns: int | None = None,
) -> None:
    """A pause that has ended, told inside the run that goes on. A process tells each wait once, whoever calls this again.

    Times are nanoseconds since the epoch; ``ended_at_ns`` is now unless given. ``outcome`` is a word such as ``answered``.
    """
    tracer = _tracer()
    if tracer is None or wait_id in _told:
        return
    if wait_id:
        _told[wait_id] = None
        if len(_told) > _MOST_TOLD:
            del _told[next(iter(_told))]
    attributes: dict[str, Any] = {"restpoint.wait.kind": kind, "restpoint.wait.id": wait_id}
    if outcome is not None:
        attributes["restpoint.wait.outcome"] = outcome
    span = tracer.start_span(f"wait {kind}", _stored.get(), attributes=attributes, start_time=started_at_ns)
    span.end(None if ended_at_ns is None else max(started_at_ns, ended_at_ns))


def ids() -> tuple[str, str] | None:
    """Trace and span of here and now in hexadecimal, for the log; None where nothing is traced."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    here = trace.get_current_span().get_span_context()
    return (trace.format_trace_id(here.trace_id), trace.format_span_id(here.span_id)) if here.is_valid else None


def _read(carried: Mapping[str, str]) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carried, Context())


def _written(span: "trace.Span") -> dict[str, str]:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carried, trace.set_span_in_context(span))
    return carried
