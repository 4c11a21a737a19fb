"""OpenTelemetry spans around runs, steps and waits, if the application has configured a tracer provider.

The root of an execution's trace is one short span, ``start_span``. Its W3C trace context
(https://www.w3.org/TR/trace-context/) is stored with the execution. Every run of the execution, in any process, is a child
of that span, and so is every wait. The span of a wait is created when the wait ends, with the start time of the wait, so it
can cover restarts.

This module does not import OpenTelemetry by itself: a process in which nobody imported ``opentelemetry.trace`` has no
provider, and then each call here costs less than a microsecond.

Spans carry names and ids. They carry no input, no response and no message of an error, only the type of the error.
"""

import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
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
"""The trace context that is stored with the execution: the parent of its wait spans, instead of the current run."""

_MOST_RECORDED: Final = 10_000
_recorded: dict[str, None] = {}
"""The ids of the waits that this process has made spans of, the oldest first; the oldest are dropped."""


def _tracer() -> "trace.Tracer | None":
    """Return the tracer of the application's provider, or None while there is no provider."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    return _tracer_of(provider)


@lru_cache(maxsize=1)
def _tracer_of(provider: "trace.TracerProvider") -> "trace.Tracer":
    return provider.get_tracer("restpoint")


def is_configured() -> bool:
    """Whether this process seems to use OpenTelemetry: it has a tracer provider, or an OpenTelemetry SDK is imported."""
    return _tracer() is not None or any(name.startswith("opentelemetry.sdk") for name in sys.modules)


class Span:
    """One span, as a context manager. Enter and leave it in the same task.

    Store ``carrier`` to continue the trace later: it holds the headers ``traceparent`` and ``tracestate``, or nothing.
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
        """Set attributes ``restpoint.<name>`` of the span. Pass names and ids only, no payloads."""
        if self._span is not None:
            self._span.set_attributes({f"restpoint.{name}": value for name, value in attributes.items()})

    def fail(self, name: str) -> None:
        """Mark the span as failed; ``name`` is the type of the error, or its code."""
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
        # A cancelled task has not failed; CancelledError is not an Exception.
        if isinstance(error, Exception):
            self.fail(type(error).__qualname__)
        self._span.end()


_NO_SPAN: Final = Span()


def carrier() -> dict[str, str]:
    """Return the current trace context as headers; empty if there is no current span."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers


def accepted(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the trace context from a client's headers; empty if it is missing or malformed. Never raises."""
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    parent, state = sent.get("traceparent", "").strip(), sent.get("tracestate", "")
    if not _TRACEPARENT.fullmatch(parent):
        return {}
    return {"traceparent": parent, **({"tracestate": state} if _TRACESTATE.fullmatch(state) else {})}


def start_span(workflow: str, carrier: Mapping[str, str] | None = None) -> Span:
    """Return the span of an execution's start. Store its ``carrier`` with the execution.

    Its parent is the current span, otherwise the ``carrier`` of the caller, otherwise none. If this process does not trace,
    the caller's context is passed on unchanged, for a process that does.
    """
    tracer = _tracer()
    sent = accepted(carrier)
    if tracer is None:
        return Span(carrier=sent)
    from opentelemetry import trace

    has_current = trace.get_current_span().get_span_context().is_valid
    parent = None if has_current or not sent else _read(sent)
    span = tracer.start_span(
        f"start {workflow}", parent, trace.SpanKind.PRODUCER, attributes={"restpoint.workflow": workflow}
    )
    return Span(span, _headers_of(span))


def run_span(workflow: str, execution_id: str, carrier: Mapping[str, str] | None) -> Span:
    """Return the span of one run of an execution's function, from its start or replay to its end or the next pause.

    ``carrier`` is the one of ``start_span``, read back from the file. The run joins that trace, whatever the current span is.
    """
    tracer = _tracer()
    if tracer is None:
        return _NO_SPAN
    from opentelemetry import trace

    stored = _read(accepted(carrier))
    span = tracer.start_span(
        f"workflow {workflow}",
        stored,
        trace.SpanKind.CONSUMER,
        attributes={"restpoint.workflow": workflow, "restpoint.execution_id": execution_id},
    )
    parent = stored or trace.set_span_in_context(span, stored)
    return Span(span, _headers_of(span), parent)


def step_span(name: str, attempt: int = 1) -> Span:
    """Return the span of one attempt of a step, inside a run."""
    tracer = _tracer()
    if tracer is None:
        return _NO_SPAN
    return Span(tracer.start_span(f"step {name}", attributes={"restpoint.step": name, "restpoint.attempt": attempt}))


def wait_span(
    kind: Literal["interaction", "consent", "sleep"],
    wait_id: str,
    started_at_ns: int,
    *,
    outcome: str | None = None,
    ended_at_ns: int | None = None,
) -> None:
    """Record the span of a wait that has ended, inside the run that continues. A process records each wait once.

    Times are nanoseconds since the epoch; ``ended_at_ns`` defaults to now. ``outcome`` is a status such as ``answered``.
    """
    tracer = _tracer()
    if tracer is None or wait_id in _recorded:
        return
    if wait_id:
        _recorded[wait_id] = None
        if len(_recorded) > _MOST_RECORDED:
            del _recorded[next(iter(_recorded))]
    attributes: dict[str, Any] = {"restpoint.wait.kind": kind, "restpoint.wait.id": wait_id}
    if outcome is not None:
        attributes["restpoint.wait.outcome"] = outcome
    span = tracer.start_span(f"wait {kind}", _stored.get(), attributes=attributes, start_time=started_at_ns)
    span.end(None if ended_at_ns is None else max(started_at_ns, ended_at_ns))


def ids() -> tuple[str, str] | None:
    """Return the ids of the current trace and span in hexadecimal, for the log; None if there is no current span."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    here = trace.get_current_span().get_span_context()
    return (trace.format_trace_id(here.trace_id), trace.format_span_id(here.span_id)) if here.is_valid else None


def _read(headers: Mapping[str, str]) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers, Context())


def _headers_of(span: "trace.Span") -> dict[str, str]:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers, trace.set_span_in_context(span))
    return headers
