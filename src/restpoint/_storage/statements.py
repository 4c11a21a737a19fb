"""The SQL of ``executions.py`` and ``waits.py``: every statement that writes a status, and the reads that decisions rest on.

Compiled once, at import. A write names the state that it expects in its WHERE clause, so a lost update changes no row, and
the job sees that.
"""

from typing import Any, Final

from sqlalchemy import Table, and_, bindparam, case, exists, func, insert, null, select, union_all, update
from sqlalchemy.sql.expression import ColumnElement

from restpoint._core.execution_row import AT_FIRST
from restpoint._storage.schema import consents, executions, interactions, reminders
from restpoint._storage.sqlite.connection import ONE, ZERO, listed, prepare, word, words
from restpoint._storage.votes import VOTERS
from restpoint.access import LOCAL
from restpoint.lifecycle import OPEN

_e, _i, _c, _r = executions.c, interactions.c, consents.c, reminders.c


def _given(name: str) -> ColumnElement[Any]:
    return bindparam(name)


_THIS: Final = _e.id == _given("id")
_EXPECTED: Final = ("id", "expected_status", "expected_waits", "expected_epoch")
# Without an expected epoch any epoch will do: whoever writes drives nothing.
_AS_EXPECTED: Final = and_(
    _THIS,
    _e.status == _given("expected_status"),
    _e.open_waits == _given("expected_waits"),
    _e.epoch == func.coalesce(_given("expected_epoch"), _e.epoch),
)
_ITS_KEY: Final = select(_e.key).where(_THIS).scalar_subquery()
_OPEN_INTERACTION: Final = _i.status == word("pending")
_OPEN_CONSENT: Final = _c.status.in_(words(OPEN))

# --- Executions ------------------------------------------------------------------------------------------------------

EXPECTED: Final = ("status", "open_waits", "epoch", "lease", "hold", "secrets")
"""The columns that decisions rest on, in the order of ``executions.Execution``, after its id."""

EXECUTION: Final = prepare(select(*(_e[name] for name in EXPECTED)).where(_THIS))
WORKFLOW: Final = prepare(select(_e.workflow).where(_THIS))
CREATE: Final = prepare(
    insert(executions).values({name: _given(f"the_{name}") for name in AT_FIRST}),
    order=tuple(f"the_{name}" for name in AT_FIRST),
)


def _ready(value: ColumnElement[int]) -> ColumnElement[Any]:
    """The new value of ``ready``, which stays null where no runner runs the execution."""
    return case((_e.ready.is_not(None), value))


_MOVED: Final = {"status": _given("to_status"), "version": _e.version + ONE, "open_waits": _given("waits")}


def _move(where: ColumnElement[bool] = _AS_EXPECTED, *more: str, **also: ColumnElement[Any]) -> str:
    return prepare(
        update(executions).where(where).values({**_MOVED, **also}), order=("to_status", "waits", *more, *_EXPECTED)
    )


MOVE: Final = _move()
MOVE_AS_DRIVER: Final = _move(and_(_e.lease == _given("the_lease"), _AS_EXPECTED), "the_lease")
MOVE_AND_WAKE: Final = _move(ready=_ready(ONE))
# ``secrets`` is in the WHERE clause, so that the common case, without secrets, needs no further statement.
END: Final = prepare(
    update(executions)
    .where(_AS_EXPECTED, _e.secrets.is_(_given("expected_secrets")))
    .values(
        status=_given("to_status"),
        version=_e.version + ONE,
        open_waits=_given("waits"),
        lease=null(),
        ready=_ready(ZERO),
        wake_at=null(),
        problem=null(),
        completed_at=_given("now"),
        expires_at=_given("expires"),
        result=_given("the_result"),
        error=_given("the_error"),
        error_code=_given("the_code"),
    ),
    order=(
        "to_status", "waits", "now", "expires", "the_result", "the_error", "the_code", *_EXPECTED, "expected_secrets",
    ),
)  # fmt: skip

# --- Waits -----------------------------------------------------------------------------------------------------------

# The key is null where the execution is not as expected, and then the row is refused. An INSERT of a SELECT would say so by its
# count of rows; but where triggers fire it fills a table of its own first, which costs a tenth of a prompt.
_EXPECTED_KEY: Final = select(_e.key).where(_AS_EXPECTED).scalar_subquery()


def _open(table: Table, **given: str) -> str:
    """A new wait of an execution, with the parameters of its columns, which are given in the order of the table."""
    values = {column: _given(parameter) for column, parameter in given.items()}
    return prepare(
        insert(table).values(execution_key=_EXPECTED_KEY, status=word("pending"), **values),
        order=(*_EXPECTED, *given.values()),
    )


ASK: Final = _open(
    interactions,
    id="wait",
    opened="sequence",
    prompt="the_prompt",
    created_at="now",
    deadline_at="deadline",
    assignees="the_assignees",
    four_eyes="eyes",
    on_deadline="then",
    default_response="the_default",
    priority="the_priority",
    due_at="due",
    excluded="the_excluded",
    votes="the_votes",
)
AUTHORIZE: Final = _open(
    consents,
    id="wait",
    opened="sequence",
    auth_url="url",
    oauth_state="state",
    created_at="now",
    deadline_at="deadline",
    provider="the_provider",
    scopes="the_scopes",
)
KEEP_SECRETS: Final = prepare(update(executions).where(_THIS).values(secrets=ONE), order=("id",))
FORGET_SECRETS: Final = prepare(
    update(consents).where(_c.execution_key == _ITS_KEY).values(token=null(), lease=null()),
    order=("id",),
)
INTERACTION: Final = prepare(
    select(
        *(_e.status, _e.open_waits, _i.key, _i.status, _i.deadline_at, _i.response, _i.answered_by, _i.closed_at),
        *(_i.claimed_by, _i.claimed_at, _i.assignees, _i.excluded),
    )
    .select_from(executions.join(interactions, _i.execution_key == _e.key))
    .where(_THIS, _i.id == _given("wait"))
)
# Four eyes: someone with a name who is not the execution's owner, where that has a name, and neither is anybody.
_IS_NOT_THE_OWNER: Final = (
    _i.four_eyes.is_(None)
    | (_i.four_eyes == ZERO)
    | ~exists(
        select(_e.key).where(
            _THIS,
            (_e.owner == word(LOCAL)) | func.coalesce(_given("who"), _e.owner).in_([_e.owner, word(LOCAL)]),
            _e.owner.is_not(None),
        )
    )
)
_excluded: Final = func.json_each(_i.excluded).table_valued("value")
# As four eyes, for those who answered another prompt.
_IS_NOT_EXCLUDED: Final = _i.excluded.is_(None) | ~exists(
    select(_excluded.c.value)
    .where(
        (_excluded.c.value == word(LOCAL))
        | func.coalesce(_given("who"), word(LOCAL)).in_([_excluded.c.value, word(LOCAL)])
    )
    .correlate(interactions)
)
# Without the assignees that the actor's right was judged by, any will do; '' stands for none.
_IS_ADDRESSED_AS_KNOWN: Final = func.coalesce(_i.assignees, word("")) == func.coalesce(
    _given("addressed"), _i.assignees, word("")
)
_MAY: Final = (
    _i.execution_key == _ITS_KEY,
    _i.id == _given("wait"),
    _i.status == _given("expected_status"),
    _i.deadline_at.is_(None) | (_i.deadline_at > _given("at")),
    _IS_NOT_THE_OWNER,
    _IS_NOT_EXCLUDED,
    _i.claimed_by.is_(None) | (_i.claimed_by == _given("who")),
    _IS_ADDRESSED_AS_KNOWN,
)
RIGHTS: Final = ("id", "wait", "expected_status", "at", "id", "who", "who", "who", "addressed")
"""The parameters of what whoever answers or claims a prompt must meet; see ``waits.rights``."""

ANSWER: Final = prepare(
    update(interactions)
    .where(*_MAY, _i.votes.is_(None))
    .values(
        status=_given("to_status"),
        closed_at=_given("now"),
        response=_given("the_response"),
        answered_by=_given("actor"),
    ),
    order=("to_status", "now", "the_response", "actor", *RIGHTS),
)
CLAIM: Final = prepare(
    update(interactions).where(*_MAY).values(claimed_by=_given("actor"), claimed_at=_given("now")),
    order=("actor", "now", *RIGHTS),
)
MAY_ANSWER: Final = prepare(select(_i.key).where(*_MAY), order=RIGHTS)
RELEASE: Final = prepare(
    update(interactions)
    .where(_i.key == _given("wait_key"), _i.status == _given("expected_status"))
    .values(claimed_by=null(), claimed_at=null()),
    order=("wait_key", "expected_status"),
)
ADDRESS: Final = prepare(
    update(interactions)
    .where(_i.key == _given("wait_key"), _i.status == _given("expected_status"))
    .values(assignees=_given("the_assignees"), claimed_by=null(), claimed_at=null()),
    order=("the_assignees", "wait_key", "expected_status"),
)
ANSWERERS: Final = prepare(
    select(_i.id, _i.status, _i.answered_by, VOTERS).where(_i.execution_key == _ITS_KEY, _i.id.in_(listed("waits")))
)
PLAN: Final = prepare(
    insert(reminders).from_select(
        ["interaction_key", "at", "what", "assignees"],
        select(_i.key, _given("due"), _given("the_what"), _given("the_assignees"))
        .select_from(executions.join(interactions, _i.execution_key == _e.key))
        .where(_THIS, _i.id == _given("wait")),
    ),
    order=("due", "the_what", "the_assignees", "id", "wait"),
)
OF_A_PROMPT: Final = (
    *("id", "status", "opened", "created_at", "deadline_at", "prompt", "assignees", "four_eyes", "excluded"),
    *("priority", "due_at", "claimed_by", "claimed_at", "votes", "voters", "reminders"),
)
"""What the events of an interaction carry of it: its columns, who has voted, and what falls due. They are fields of ``Wait``."""

REMINDERS: Final = (
    select(func.nullif(func.json_group_array(func.json_array(_r.at, _r.what, _r.done_at, _r.assignees)), word("[]")))
    .where(_r.interaction_key == _i.key)
    .correlate(interactions)
    .scalar_subquery()
)
"""What falls due of a prompt, as ``Wait`` has it."""

_APART: Final = {"voters": VOTERS, "reminders": REMINDERS}
OPEN_INTERACTION: Final = prepare(
    select(
        *(_e.status, _e.owner, _i.key, _i.answered_by, _i.closed_at),
        *(_APART.get(name, _i.get(name)) for name in OF_A_PROMPT),
    )
    .select_from(executions.join(interactions, _i.execution_key == _e.key))
    .where(_THIS, _i.id == _given("wait"))
)
WAIT_STATUS: Final = prepare(
    union_all(
        select(word("interaction"), _i.status).where(_i.execution_key == _ITS_KEY, _i.id == _given("wait")),
        select(word("consent"), _c.status).where(_c.execution_key == _ITS_KEY, _c.id == _given("wait")),
    )
)
OPEN_WAITS: Final = prepare(
    union_all(
        select(
            _i.key,
            word("interaction").label("kind"),
            _i.id,
            _i.status,
            _i.opened.label("opened"),
            _i.created_at,
            _i.deadline_at,
        ).where(_i.execution_key == _ITS_KEY, _OPEN_INTERACTION),
        select(_c.key, word("consent"), _c.id, _c.status, _c.opened, _c.created_at, _c.deadline_at).where(
            _c.execution_key == _ITS_KEY, _OPEN_CONSENT
        ),
    ).order_by("opened")
)
OLDEST_OPEN_WAIT: Final = prepare(
    union_all(
        select(word("interaction").label("kind"), _i.opened.label("opened")).where(
            _i.execution_key == _ITS_KEY, _OPEN_INTERACTION
        ),
        select(word("consent"), _c.opened).where(_c.execution_key == _ITS_KEY, _OPEN_CONSENT),
    )
    .order_by("opened")
    .limit(ONE)
    .offset(ZERO)
)
AT_DEADLINE: Final = prepare(select(_i.on_deadline, _i.default_response).where(_i.key == _given("wait_key")))
ANSWER_BY_VOTES: Final = prepare(
    update(interactions)
    .where(_i.key == _given("wait_key"), _i.status == _given("expected_status"))
    .values(status=_given("to_status"), closed_at=_given("now"), response=_given("the_response")),
    order=("to_status", "now", "the_response", "wait_key", "expected_status"),
)
ANSWER_BY_DEFAULT: Final = prepare(
    update(interactions)
    .where(_i.key == _given("wait_key"), _i.status == _given("expected_status"))
    .values(status=_given("to_status"), closed_at=_given("now"), response=_i.default_response),
    order=("to_status", "now", "wait_key", "expected_status"),
)
CLOSE_INTERACTION: Final = prepare(
    update(interactions)
    .where(_i.key == _given("wait_key"), _i.status == _given("expected_status"))
    .values(status=_given("to_status"), closed_at=_given("now")),
    order=("to_status", "now", "wait_key", "expected_status"),
)
CLOSE_CONSENT: Final = prepare(
    update(consents)
    .where(_c.key == _given("wait_key"), _c.status == _given("expected_status"))
    .values(status=_given("to_status"), closed_at=_given("now"), verifier=null(), browser_sha256=null(), lease=null()),
    order=("to_status", "now", "wait_key", "expected_status"),
)
