"""A client of the HTTP interface: it starts, waits, answers and follows, and never opens the file itself.

Every call may be sent again after a lost reply, because each is idempotent: a start carries an ``Idempotency-Key``, the
same answer twice counts once, and cancelling or removing what is cancelled or removed changes nothing. So transport errors
and the replies 429, 502, 503 and 504 are retried, a bounded number of times, with pauses that grow and that ``Retry-After``
may lengthen. What the server refuses raises the same error as the store would: ``except InteractionExpired`` works here too.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Self, Unpack
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel, TypeAdapter

from restpoint import errors
from restpoint._core.execution_row import StartOptions
from restpoint._core.serialization import encode
from restpoint.client import responses
from restpoint.client.connection import Connection
from restpoint.client.outbox import Outbox
from restpoint.client.sse import followed
from restpoint.lifecycle import ExecutionStatus
from restpoint.models import (
    Event,
    Execution,
    ExecutionList,
    ExecutionListItem,
    HistoryItem,
    HistoryList,
    InboxItem,
    InboxList,
    SessionItem,
    SessionList,
    WorkflowItem,
)

POLL_SECONDS: Final = 25
"""Seconds that one long poll waits."""

_WORKFLOWS: Final = TypeAdapter(list[WorkflowItem])


class Client:
    """A client of one server, as ``async with Client("http://127.0.0.1:8000") as client``.

    - ``base_url``: where the server is, with any path it is mounted under.
    - ``token``: the bearer token, where the server asks for one (RFC 6750).
    - ``attempts``: how often a request is sent before the client gives up.
    - ``timeout``: seconds to wait for a connection, or for the next byte of a reply.

    Every method may raise ``ServerUnreachable``, and ``RestpointError`` of the kind that the server's reply names.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        attempts: int = 6,
        timeout: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._server = Connection(base_url, token, attempts, timeout, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    @property
    def outbox(self) -> Outbox:
        """What is still to be told to people, for operators."""
        return Outbox(self._server)

    # --- Executions ---

    async def start(
        self,
        workflow: str | None = None,
        input: Any = None,  # noqa: A002 - what the workflow calls it; any JSON
        *,
        wait: float = 0,
        **options: Unpack[StartOptions],
    ) -> Execution:
        """Start a workflow and return its execution; without a name, start the server's default or only workflow.

        The server waits up to ``wait`` seconds for an outcome. A failed execution is returned like any other and raises
        nothing. By default every call has a new idempotency key. Raises ``NotJSON``, and the errors of what the server refuses.
        The options are:
        """
        key = options.pop("idempotency_key", None)
        key = str(uuid4()) if key is None else _header("idempotency_key", key)
        labels: dict[str, Any] = {
            "workflow": workflow,
            **options,
        }  # which the reply of one that has ended does not name
        path = "/v1/workflow" if workflow is None else f"/v1/workflows/{_segment(workflow)}"
        reply = await self._server.send(
            "POST",
            path,
            body=encode(input),
            params={"wait": _number(wait), **options},
            headers={"idempotency-key": key},
            patience=wait,
            accept={409, 422},
        )
        if reply.status_code == HTTPStatus.OK:
            return Execution(
                **labels,
                execution_id=responses.id_in(reply),
                status=ExecutionStatus.COMPLETED,
                result=responses.body(reply),
            )
        if reply.status_code == HTTPStatus.ACCEPTED:
            return responses.read(Execution, reply)
        problem = responses.problem_in(reply)
        if "execution_id" not in problem:
            raise responses.error_in(reply, problem)
        ended: dict[str, Any] = {**labels, "execution_id": str(problem["execution_id"])}
        if problem.get("code") == errors.ExecutionCancelled.code:
            return Execution(**ended, status=ExecutionStatus.CANCELLED)
        return Execution(
            **ended, status=ExecutionStatus.FAILED, error=problem.get("detail"), error_code=problem.get("code")
        )

    async def status(self, execution_id: str) -> Execution:
        """The execution as it is now. Raises ``ExecutionNotFound``."""
        return responses.read(Execution, await self._server.send("GET", _path(execution_id)))

    async def wait_until_ended(self, execution_id: str, *, timeout: float | None = None) -> Execution:
        """Wait until an execution is completed, failed or cancelled, and return it.

        Raises ``TimeoutError`` after ``timeout`` seconds; the execution goes on.
        """
        return await self._until(execution_id, timeout, lambda execution: execution.has_ended)

    async def wait_until_asked(self, execution_id: str, *, timeout: float | None = None) -> Execution:
        """Wait until an execution waits for a person or has ended. Raises ``TimeoutError`` after ``timeout`` seconds."""
        return await self._until(
            execution_id, timeout, lambda execution: execution.needs_someone or execution.has_ended
        )

    async def answer(self, execution_id: str, interaction_id: str, response: BaseModel | Mapping[str, Any]) -> None:
        """Answer a prompt. The same response of the same person again is a success.

        Raises ``ResponseNotAccepted``, ``InteractionAlreadyResolved``, ``InteractionExpired``, ``InteractionWithdrawn``,
        ``ExecutionNotFound`` and ``InteractionNotFound``.
        """
        path = f"{_path(execution_id)}/interactions/{_segment(interaction_id)}/response"
        await self._server.send("POST", path, body=encode({"response": response}))

    async def claim(self, execution_id: str, interaction_id: str) -> None:
        """Claim a prompt, so that nobody else answers it meanwhile; nothing happens where this client has done so already.

        Raises ``InteractionClaimed`` (by somebody else), ``NotAllowed``, and why the prompt is not open.
        """
        await self._on_prompt(execution_id, interaction_id, "claim", None)

    async def release(self, execution_id: str, interaction_id: str, reason: str | None = None) -> None:
        """End the claim of a prompt; nothing happens where there is none. Operators end that of anyone.

        Raises ``InteractionClaimed`` (by somebody else), ``NotAllowed``, and why the prompt is not open.
        """
        await self._on_prompt(execution_id, interaction_id, "release", {"reason": reason})

    async def delegate(self, execution_id: str, interaction_id: str, to: str, reason: str | None = None) -> None:
        """Hand a prompt that is addressed to this client on to a person, or to a group as ``group:NAME``.

        Raises ``InteractionClaimed`` (by somebody else), ``AlreadyVoted``, ``NotAllowed``, ``InvalidArgument``, and why the
        prompt is not open.
        """
        await self._on_prompt(execution_id, interaction_id, "delegate", {"to": to, "reason": reason}, accept={403, 404})

    async def reassign(
        self, execution_id: str, interaction_id: str, to: Sequence[str], reason: str | None = None
    ) -> None:
        """Address a prompt to these people and groups and to nobody else. That takes the role operator.

        Raises ``NotAllowed``, ``InvalidArgument``, and why the prompt is not open.
        """
        await self._on_prompt(execution_id, interaction_id, "reassign", {"to": list(to), "reason": reason})

    async def _on_prompt(
        self,
        execution_id: str,
        interaction_id: str,
        verb: str,
        body: Mapping[str, Any] | None,
        accept: Collection[int] = (),
    ) -> None:
        path = f"{_path(execution_id)}/interactions/{_segment(interaction_id)}/{verb}"
        said = None if body is None else encode({name: value for name, value in body.items() if value is not None})
        reply = await self._server.send("POST", path, body=said, accept=set(accept))
        # Where it was sent again, the first one may have handed the prompt on already.
        if not reply.is_success and reply.extensions.get("attempts", 1) == 1:
            raise responses.error_in(reply)

    async def cancel(self, execution_id: str, reason: str | None = None) -> None:
        """Cancel an execution; does nothing if it is cancelled already. Raises ``IllegalTransition`` if it ended otherwise."""
        body = encode({} if reason is None else {"reason": reason})
        await self._server.send("POST", f"{_path(execution_id)}/cancel", body=body)

    async def retry(self, execution_id: str, reason: str | None = None) -> None:
        """Let a failed execution go on at the call that failed; what people answered is kept. That takes the role operator.

        Raises ``ExecutionNotFound``, ``NotAllowed``, ``IllegalTransition`` unless it has failed, and ``CannotRetry``.
        """
        body = encode({} if reason is None else {"reason": reason})
        reply = await self._server.send("POST", f"{_path(execution_id)}/retry", body=body, accept={409})
        if reply.is_success:
            return
        error = responses.error_in(reply)
        # Where the request was sent again, the first one may have had the execution running already.
        if reply.extensions.get("attempts", 1) == 1 or not isinstance(error, errors.IllegalTransition):
            raise error

    async def remove(self, execution_id: str) -> None:
        """Delete an execution that has ended; its history stays.

        Raises ``ExecutionNotFound``, ``Refused`` and ``ExecutionHeld``.
        """
        reply = await self._server.send("DELETE", _path(execution_id), accept={404, 410})
        sent_again = reply.extensions.get("attempts", 1) > 1
        if not reply.is_success and not sent_again:
            raise responses.error_in(reply)

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        workflow: str | None = None,
        version: int | None = None,
        owner: str | None = None,
        problem: bool = False,
        page_size: int = 100,
    ) -> AsyncIterator[ExecutionListItem]:
        """Executions that this client may see, the newest first, page after page. Raises ``InvalidArgument``.

        With ``problem``, only those that nobody goes on with.
        """
        cursor = None
        wanted = [status] if isinstance(status, str) else list(status or ())
        while True:
            params: dict[str, Any] = {"limit": page_size, "status": wanted}
            params |= {"workflow": workflow, "version": version, "owner": owner, "cursor": cursor}
            params["problem"] = "true" if problem else None
            params = {name: value for name, value in params.items() if value not in (None, [])}
            page = responses.read(ExecutionList, await self._server.send("GET", "/executions", params=params))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def inbox(self, *, workflow: str | None = None, page_size: int = 100) -> AsyncIterator[InboxItem]:
        """The open prompts that this client may answer, the most urgent first, page after page. Raises ``InvalidArgument``."""
        cursor = None
        while True:
            given = {"limit": page_size, "workflow": workflow, "cursor": cursor}
            params = {name: value for name, value in given.items() if value is not None}
            page = responses.read(InboxList, await self._server.send("GET", "/inbox", params=params))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def history(self, execution_id: str) -> Sequence[HistoryItem]:
        """Everything that happened to an execution, in order. Raises ``ExecutionNotFound``."""
        items: list[HistoryItem] = []
        after: int | None = 0
        while after is not None:
            reply = await self._server.send(
                "GET", f"{_path(execution_id)}/history", params={"after": str(after)} if after else None
            )
            page = responses.read(HistoryList, reply)
            items += page.items
            after = page.next_after
        return items

    async def sessions(self, *, of: str | None = None) -> Sequence[SessionItem]:
        """Who is signed in at a browser, the oldest session first, or the sessions ``of`` one person. Raises ``NotAllowed``."""
        reply = await self._server.send("GET", "/sessions", params=None if of is None else {"of": of})
        return responses.read(SessionList, reply).items

    async def end_sessions(self, *, session: str | None = None, of: str | None = None, every: bool = False) -> int:
        """End the session that ``session`` is the id of, or begins it, those ``of`` a person, or ``every`` one; their number.

        Raises ``NotAllowed``, and ``InvalidArgument`` unless exactly one of the three is given.
        """
        given = {"session": session, "of": of, "all": every or None}
        body = {name: value for name, value in given.items() if value is not None}
        reply = responses.body(await self._server.send("POST", "/sessions/revoke", body=encode(body)))
        return int(reply["ended"])

    async def workflows(self) -> Sequence[WorkflowItem]:
        """The workflows that the server can start."""
        body = responses.body(await self._server.send("GET", "/workflows"))
        return _WORKFLOWS.validate_python(body.get("items", []) if isinstance(body, dict) else body)

    def events(
        self,
        execution_id: str | None = None,
        *,
        after: int | None = None,
        workflow: str | None = None,
        events: Collection[str] = (),
        follow: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """Stream what happens to an execution: each row of its history once, from the row after ``after`` until its end.

        Without an id, what happens to all executions that this client may see, from now on or from the row after ``after``; only
        of one ``workflow`` and only some ``events``, where these are given. It goes on without end, or until there is no more now
        where ``follow`` is false. There the event ``gap`` says what cannot be shown any more: its data has a ``code`` and a
        ``detail``.
        Resumes after a lost connection or a restart of the server (``Last-Event-ID``). Raises ``InvalidArgument``.
        """
        if execution_id is None:
            params = {"workflow": workflow, "event": ",".join(events) or None, "follow": None if follow else "false"}
            return followed(self._server, "/events", params, after)
        if workflow is not None or events or not follow:
            raise errors.InvalidArgument(
                "Of one execution every event is streamed; leave workflow, events and follow out."
            )
        return followed(self._server, f"{_path(execution_id)}/events", {}, after or 0)

    async def audit(self, what: str, **params: Any) -> AsyncGenerator[bytes, None]:
        """Stream the reply of ``GET /audit/...`` in pieces: JSON Lines, or the bytes of an export.

        ``what`` is the rest of the path, such as ``report/approvals``; parameters that are None are left out. Raises
        ``NotAllowed``, the errors of what the server refuses, and ``ServerUnreachable`` for a reply that is cut off.
        """
        sent = {name: value for name, value in params.items() if value is not None}
        try:
            # The first row may take long.
            async with self._server.stream(f"/audit/{quote(what)}", params=sent, patience=None) as reply:
                if reply.status_code != HTTPStatus.OK:
                    await reply.aread()
                    raise responses.error_in(reply)
                async for piece in reply.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise self._server.unreachable(error) from None

    # --- Inside ---

    async def _until(self, execution_id: str, timeout: float | None, enough: Callable[[Execution], bool]) -> Execution:
        try:
            async with asyncio.timeout(timeout):
                reply = await self._server.send("GET", _path(execution_id))
                execution = responses.read(Execution, reply)
                while not enough(execution):
                    # With the tag of the last reply, a change between two polls is returned by the second one at once.
                    known = reply.headers.get("etag")
                    again = await self._server.send(
                        "GET",
                        _path(execution_id),
                        params={"wait": POLL_SECONDS},
                        headers={} if known is None else {"if-none-match": known},
                        patience=POLL_SECONDS,
                        accept={304},
                    )
                    if again.status_code != HTTPStatus.NOT_MODIFIED:
                        reply, execution = again, responses.read(Execution, again)
        except TimeoutError as error:
            if isinstance(error, errors.RestpointError):
                raise
            raise TimeoutError(f"Execution {execution_id} has not got so far within {timeout} s; it goes on.") from None
        return execution


# --- Addresses -----------------------------------------------------------------------------------------------------------


def _segment(name: str) -> str:
    if name in {"", ".", ".."}:
        raise errors.InvalidArgument(f"{name!r} is no id and no name; give one.")
    return quote(name, safe="")


def _path(execution_id: str) -> str:
    if execution_id in {"", ".", ".."}:
        raise errors.ExecutionNotFound(execution_id)
    return f"/executions/{quote(execution_id, safe='')}"


def _header(name: str, value: str) -> str:
    """A value that is sent in a header, which has ASCII only and no space at its ends (RFC 9110, section 5.5)."""
    if not value or not value.isascii() or not value.isprintable() or value.strip() != value:
        raise errors.InvalidArgument(
            f"{name} is {value!r}; give printable ASCII characters, such as a UUID, and no space at its ends."
        )
    return value


def _number(seconds: float) -> str:
    return f"{seconds:g}"
