"""The context: what a workflow may ask of the world so that it can go on after a restart.

The journal records every call, and a replay returns what it has recorded. So a workflow's own code must do the same every time it
runs on the same journal: whatever is random, reads a clock or talks to the world goes into a ``step``. Branches that run beside
each other get the outcomes of their calls one at a time, in the same order on every replay (``replay.py``).

A workflow begins while its start is being written, so its first call costs no commit of its own. A step waits for that commit;
the workflow's own code does not, and may run for a start that is refused or was made before. ``ExecutionStore.get`` with
``ctx.execution_id`` waits for it too.

Work that takes long belongs in a step or ``ctx.sleep`` too: a replay whose own code comes to nothing recorded for five minutes
(``replay.STALLED_AFTER``) counts as changed code, and is left with a ``ReplayMismatch``.

A call gets its position when it is made, also where it is awaited later or in another task, as with
``asyncio.gather(ctx.ask(...), ctx.ask(...))``.
"""

import difflib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Required, TypedDict, TypeVar, Unpack, overload

from pydantic import BaseModel

from restpoint._core.oauth_token import OAuthToken
from restpoint._core.retention_rules import milliseconds
from restpoint._core.serialization import check_text, decode, encode
from restpoint._core.timestamps import MAX_TIMEOUT_SECONDS
from restpoint._engine import waiting
from restpoint._engine.answers import Answer, answer_of, votes_of
from restpoint._engine.calls import asked_for, fingerprint, fingerprint_of
from restpoint._engine.run import Run
from restpoint._engine.steps import Trying, name_of, result_type, stepped
from restpoint._storage import journal
from restpoint._store.prompt_request import Duration, Durations, PromptRequest
from restpoint.errors import InteractionExpired, InvalidArgument
from restpoint.oauth.providers import read_scopes
from restpoint.prompts import (
    HumanPrompt,
    HumanPromptBase,
    HumanPromptNotification,
    HumanResponse,
    HumanResponseBase,
    read_prompt,
    write_prompt,
)
from restpoint.prompts.form_models import default_of, form_of

T = TypeVar("T")
R = TypeVar("R", bound=HumanResponseBase)


M = TypeVar("M", bound=BaseModel)


class AskTerms(TypedDict, total=False):
    """The options of ``Context.ask`` and ``Context.answer_to``."""

    name: str | None
    timeout: float | timedelta | None
    assignees: Sequence[str] | None
    four_eyes: bool
    on_deadline: Literal["raise", "fail"]
    default: HumanResponse | BaseModel | Mapping[str, Any] | None
    other_than: str | BaseModel | Sequence[str | BaseModel] | None
    priority: int | None
    due: float | timedelta | None
    votes: int | None
    remind_after: Durations | None
    escalate_after: Duration | None
    escalate_to: Sequence[str] | None


class FormOptions(TypedDict, total=False):
    """What is said of the form that asks for a model."""

    text: Required[str]
    initial: BaseModel | Mapping[str, Any] | None
    actions: Sequence[Literal["submit", "decline"]]


class FormTerms(AskTerms, FormOptions, total=False):
    """The options of ``Context.ask`` and ``Context.answer_to`` where they ask for a model."""


class Context:
    """The first argument of a workflow. Its methods work only in the tasks of that workflow.

    Each may also raise ``asyncio.CancelledError``, when the execution is cancelled or leaves memory until its answer comes.
    A ``finally`` of a workflow runs then too, so effects do not belong there.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def execution_id(self) -> str:
        """The id of this execution."""
        return self._run.claim.execution_id

    @property
    def workflow(self) -> str:
        """The name of this workflow."""
        return self._run.workflow.name

    @property
    def owner(self) -> str | None:
        """The owner of this execution; None where it has none."""
        return self._run.record.owner

    # --- People ---

    # Prompts are BaseModels too; a type checker takes the first signature that fits.
    @overload
    def ask(self, prompt: type[M], **terms: Unpack[FormTerms]) -> Coroutine[Any, Any, M]: ...
    @overload
    def ask(  # type: ignore[overload-overlap]
        self, prompt: HumanPromptBase[R], **terms: Unpack[AskTerms]
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def ask(
        self, prompt: BaseModel | Mapping[str, Any], **terms: Unpack[AskTerms]
    ) -> Coroutine[Any, Any, HumanResponse]: ...
    def ask(self, prompt: Any, **terms: Any) -> Coroutine[Any, Any, Any]:
        """Ask a person and wait for the response, which a restart does not lose.

        The prompt is one of ``restpoint.prompts``, and its response is returned. Or it is a class of pydantic models: then a form
        asks for the fields, and the model is returned. A model has fields of str, int, float, bool, date, datetime and AnyUrl,
        Enums and Literals of texts and lists of these two, and says no more than the schema of a form can.

        - ``text``: what a form says, and only that takes it. ``initial``: values that it shows at first. ``actions``:
          ``("submit", "decline")`` if it may be declined, with a reason; then ``PromptDeclined`` is raised.
        - ``name``: what the prompt is called in the journal; by default its kind. Changed code may word a prompt otherwise, and
          gets the answer that was given; a prompt of another name it is not.
        - ``timeout``: seconds from now, or a ``timedelta``; overrides the prompt's own.
        - ``assignees``: the people and groups that it is addressed to. With ``four_eyes`` the owner must not answer it.
        - ``other_than``: what an earlier ``ask`` of this execution returned, or the id of its interaction; or several of these.
          Who answered that must not answer this one.
        - ``priority``: a whole number from -100 to 100, for the order of inboxes; by default that of the execution.
        - ``due``: when it should be answered, in seconds from now or as a ``timedelta``, for the order of inboxes. Nothing
          happens then.
        - ``votes``: how many of the ``assignees`` (members of groups among them) must give the same answer. Each votes once, and
          the vote stays. The first answer that so many gave is returned; the comment does not count, and ``answer_to`` has every
          vote. Where no answer can get so many votes any more, what the deadline would do happens at once.
        - ``remind_after``: when those who have the prompt are reminded of it: seconds from now or a ``timedelta``, or a list of
          these. ``escalate_after`` and ``escalate_to``: when, and to whom, it is addressed instead, which ends a claim of it. See
          ``ExecutionStore.set_interaction_required``. Changed code may give other values; an open prompt keeps its own.
        - At the deadline this raises ``InteractionExpired``; or with ``on_deadline="fail"`` the execution fails with the
          code ``deadline_passed``; or the prompt is answered with ``default``, a response or a model of the form.
        - A time limit of asyncio around it, such as ``asyncio.timeout``, fails the execution with ``time_limit_refused``: it
          would not reach a run that has left memory.

        Raises ``PromptNotAccepted``, ``ResponseNotAccepted`` (the default), ``InvalidArgument``; ``InteractionExpired``, whose
        ``votes`` are those that were given by then, each as an ``Answer``;
        ``InteractionWithdrawn`` when someone took the prompt back; ``PromptDeclined``.
        """
        return self._ask(prompt, is_whole=False, **terms)

    @overload
    def answer_to(self, prompt: type[M], **terms: Unpack[FormTerms]) -> Coroutine[Any, Any, Answer[M]]: ...
    @overload
    def answer_to(  # type: ignore[overload-overlap]
        self, prompt: HumanPromptBase[R], **terms: Unpack[AskTerms]
    ) -> Coroutine[Any, Any, Answer[R]]: ...
    @overload
    def answer_to(
        self, prompt: BaseModel | Mapping[str, Any], **terms: Unpack[AskTerms]
    ) -> Coroutine[Any, Any, Answer[HumanResponse]]: ...
    def answer_to(self, prompt: Any, **terms: Any) -> Coroutine[Any, Any, Any]:
        """Ask as ``ask`` does, and return the ``Answer``: the value, who answered, when, and with which comment.

        To the journal it is the same call, so code may change from one to the other.
        """
        return self._ask(prompt, is_whole=True, **terms)

    def _ask(
        self,
        prompt: HumanPrompt | BaseModel | Mapping[str, Any] | type[BaseModel],
        *,
        is_whole: bool,
        name: str | None = None,
        timeout: float | timedelta | None = None,
        assignees: Sequence[str] | None = None,
        four_eyes: bool = False,
        on_deadline: Literal["raise", "fail"] = "raise",
        default: HumanResponse | BaseModel | Mapping[str, Any] | None = None,
        other_than: str | BaseModel | Sequence[str | BaseModel] | None = None,
        priority: int | None = None,
        due: float | timedelta | None = None,
        votes: int | None = None,
        remind_after: Durations | None = None,
        escalate_after: Duration | None = None,
        escalate_to: Sequence[str] | None = None,
        **form: Unpack[FormOptions],
    ) -> Coroutine[Any, Any, Any]:
        model: type[BaseModel] | None = None
        if unknown := next((option for option in form if option not in FormOptions.__annotations__), None):
            near = difflib.get_close_matches(unknown, FormTerms.__annotations__, 1)
            raise InvalidArgument(f"A prompt has no option {unknown}{f'; did you mean {near[0]}?' if near else '.'}")
        if isinstance(prompt, type):
            model = prompt
            prompt, default = form_of(model, **form), default_of(model, default)
        elif form:
            raise InvalidArgument(f"A prompt says {', '.join(form)} itself; give it there, or ask for a model.")
        others = None if other_than is None else self._run.answered.ids_of(other_than)
        asked = PromptRequest.read(
            *(prompt, _seconds(timeout), assignees, four_eyes, on_deadline, default, others, priority, _seconds(due)),
            *(votes, remind_after, escalate_after, escalate_to),
        )
        terms = asked.terms
        called = asked.prompt.input_type if name is None else check_text("name", name, limit=1_000)
        call, entry = self._run.call("ask", called, asked_for(asked.text, terms, terms.default_response), asked)

        async def answered() -> Any:
            run = self._run
            if entry is None:
                await run.first_time(call)
                wait_id = run.file.identifiers.new()
                detail = asked.detail(run.file.keeping, call.position)
                await waiting.begin(run, wait_id, journal.ask, call, wait_id, asked.text, asked.timeout, detail, terms)
            else:
                wait_id = await waiting.opened(run, entry)
            try:
                closed = await waiting.answer(run, wait_id, call, takes_votes=terms.votes is not None)
            except InteractionExpired as expired:
                expired.votes = votes_of(run, call, model, expired.votes)
                raise
            answer = answer_of(run, call, model, *closed)
            given = answer if is_whole else answer.value
            run.answered.add(wait_id, given)
            return given

        return answered()

    def notify(self, message: str | HumanPromptNotification) -> Coroutine[Any, Any, None]:
        """Show people a message, without waiting: pollers, streams and the command line show it.

        Raises ``PromptNotAccepted`` and ``NotJSON``.
        """
        prompt = HumanPromptNotification(text=check_text("message", message)) if isinstance(message, str) else message
        asked = read_prompt(prompt)
        if not isinstance(asked, HumanPromptNotification):
            raise InvalidArgument(
                f"notify takes text or a notification; ask the {asked.input_type} prompt with ctx.ask."
            )
        return self._shown("notify", "notification", write_prompt(asked))

    def emit(self, data: Any) -> Coroutine[Any, Any, None]:
        """Give out a part of the result or the progress, as any JSON, to pollers, streams and the command line.

        It is kept with the execution. Raises ``NotJSON``.
        """
        return self._shown("emit", "data", encode(data))

    def _shown(self, kind: str, name: str, text: str) -> Coroutine[Any, Any, None]:
        call, entry = self._run.call(kind, name, fingerprint(text), text)

        return waiting.shown(self._run, call, entry, text)

    @overload
    def authorize(
        self, provider: str, *, scopes: Sequence[str] | None = None, timeout: float | timedelta | None = None
    ) -> Coroutine[Any, Any, OAuthToken]: ...
    @overload
    def authorize(
        self, *, auth_url: str, oauth_state: str, timeout: float | timedelta | None = None
    ) -> Coroutine[Any, Any, None]: ...
    def authorize(
        self,
        provider: str | None = None,
        *,
        scopes: Sequence[str] | None = None,
        auth_url: str | None = None,
        oauth_state: str | None = None,
        timeout: float | timedelta | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Ask the execution's owner for an OAuth consent, and wait for it, which a restart does not lose.

        With the name of a ``provider`` that is configured here, restpoint sends the person there and returns the token:

        - ``scopes``: the scopes to ask for; by default those of the provider's configuration.
        - ``timeout``: seconds from now, or a ``timedelta``.
        - Raises ``ConsentDenied`` (its ``denial_code`` says why), ``ConsentExpired``, ``ConsentWithdrawn``, and
          ``InvalidArgument``. Where no process here knows the provider, the execution is left until one does.

        With ``auth_url`` and ``oauth_state``, the application drives the consent, and these are shown as they are. Returns
        None when it calls ``store.set_running(execution_id)``, or the consent is closed otherwise; the application has the token.
        Raises ``NotJSON`` and ``InvalidArgument``.
        """
        seconds = _seconds(timeout)
        due = None if seconds is None else milliseconds("timeout", seconds)
        if provider is not None:
            if auth_url is not None or oauth_state is not None:
                raise InvalidArgument("authorize takes a provider, or auth_url and oauth_state, and not both.")
            return self._authorize_at(provider, None if scopes is None else read_scopes(scopes), due)
        if auth_url is None or oauth_state is None or scopes is not None:
            raise InvalidArgument("authorize takes a provider (and scopes), or auth_url and oauth_state.")
        return self._authorize_elsewhere(auth_url, oauth_state, due)

    def _authorize_at(
        self, provider: str, scopes: tuple[str, ...] | None, due: int | None
    ) -> Coroutine[Any, Any, OAuthToken]:
        wanted_scopes = None if scopes is None else encode(list(scopes))
        name, asked_for = check_text("provider", provider, limit=1_000), fingerprint(wanted_scopes)
        call, entry = self._run.call(journal.AUTHORIZE, name, asked_for, wanted_scopes)

        return waiting.granted(self._run, call, entry, provider, scopes, due)

    def _authorize_elsewhere(self, auth_url: str, oauth_state: str, due: int | None) -> Coroutine[Any, Any, None]:
        check_text("auth_url", auth_url)
        check_text("oauth_state", oauth_state)
        # The state is new in every run of the code, so it is not part of the fingerprint.
        call, entry = self._run.call(journal.AUTHORIZE_EXTERNAL, "consent", "")

        return waiting.consented(self._run, call, entry, auth_url, oauth_state, due)

    # --- Steps ---

    @overload
    def step(
        self,
        function: Callable[..., Awaitable[T]],
        /,
        *arguments: object,
        name: str | None = None,
        retries: int = 0,
        backoff: float = 1.0,
        timeout: float | timedelta | None = None,
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def step(
        self,
        function: Callable[..., T],
        /,
        *arguments: object,
        name: str | None = None,
        retries: int = 0,
        backoff: float = 1.0,
        timeout: float | timedelta | None = None,
    ) -> Coroutine[Any, Any, T]: ...
    def step(
        self,
        function: Callable[..., Any],
        /,
        *arguments: object,
        name: str | None = None,
        retries: int = 0,
        backoff: float = 1.0,
        timeout: float | timedelta | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Call a function, sync (in a thread) or async, and record its result: it does not run again once that is written.

        Its effect happens at least once: if the process dies before the result is written, another process calls it again.
        Inside it, ``restpoint.step_key()`` returns a key that is the same at every attempt. The result is JSON, typed by the
        function's annotation. It is read back before it is recorded, and must be equal and of the same types; so the workflow
        gets the same on its first run as on every replay.

        - ``name``: its name in the journal; by default the function's own.
        - ``retries``: how often it is tried again when it raises, whatever it raises: after ``backoff`` seconds, then twice
          that and so on, at most five minutes. Failed attempts are counted in the file, so a restart does not begin anew. A
          ``WorkflowFailed`` is not tried again.
        - ``timeout``: the most seconds that one attempt may take, or a ``timedelta``; none by default. One that takes longer
          has failed with ``TimeoutError``: an async function is cancelled. A sync one cannot be stopped; its thread goes on,
          and its result is not used.

        Raises ``StepFailed`` when the last attempt raised, or ``WorkflowFailed`` if that is what it raised; ``NotJSON`` for a
        result that does not read back as it was; and ``InvalidArgument``.
        """
        if not callable(function):
            raise InvalidArgument(
                f"A step is a function and its arguments, not {function!r}; leave its call to ctx.step."
            )
        if type(retries) is not int or retries < 0:
            raise InvalidArgument(f"retries is {retries!r}; give a whole number from 0.")
        if not _is_number(backoff) or not 0 <= backoff <= MAX_TIMEOUT_SECONDS:
            raise InvalidArgument(f"backoff is {backoff!r}; give seconds from 0.")
        limit = _seconds(timeout)
        if limit is not None and not (_is_number(limit) and 0 < limit <= MAX_TIMEOUT_SECONDS):
            raise InvalidArgument(f"timeout is {timeout!r}; give seconds above 0, or None for none.")
        trying = Trying(retries, backoff, limit)
        chosen = check_text("name", name or name_of(function), limit=1_000)
        call, entry = self._run.call("step", chosen, fingerprint_of(arguments))
        returned = result_type(function)

        return stepped(self._run, call, entry, function, arguments, trying, returned)

    # --- Time ---

    def sleep(self, duration: float | timedelta) -> Coroutine[Any, Any, None]:
        """Sleep for some seconds, or a ``timedelta``, from now; a restart does not start it again. Raises ``InvalidArgument``."""
        length = milliseconds("duration", _seconds(duration))
        call, entry = self._run.call("sleep", "sleep", fingerprint(length), length)

        return waiting.slept(self._run, call, entry, length)

    def now(self) -> Coroutine[Any, Any, datetime]:
        """The time, in UTC, when the call was first made; a replay returns the same time."""
        call, entry = self._run.call("now", "now", "")

        async def known() -> datetime:
            run = self._run
            if entry is None:
                await run.first_time(call)
                instant = run.file.clock.now()
                with run.busy():
                    await run.outcome(journal.record, call, encode(instant))
            else:
                instant = int(decode((await run.replayed(entry)).result))
            return datetime.fromtimestamp(instant / 1000, UTC)

        return known()


@overload
def _seconds(duration: None) -> None: ...
@overload
def _seconds(duration: float | timedelta) -> float: ...
@overload
def _seconds(duration: float | timedelta | None) -> float | None: ...
def _seconds(duration: float | timedelta | None) -> float | None:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def _is_number(seconds: object) -> bool:
    return isinstance(seconds, int | float)
