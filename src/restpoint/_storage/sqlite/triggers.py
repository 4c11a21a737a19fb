"""The triggers: what the file itself refuses, whatever program asks. They say in SQL what ``lifecycle.py`` says in Python.

Four of them write: three keep the tables of ``assignments`` and ``reminders`` as the open prompts are, and one keeps the
``outbox`` as the history tells: whatever program appends an event writes its notices in the same transaction.
"""

from typing import Final

from restpoint.events import EventKind
from restpoint.lifecycle import OPEN, TERMINAL, initial, legal_moves, statuses

RETIRED: Final = "~"
"""Stands in the position of a call that a retry has the workflow make again, before the ``history.sequence`` of that retry. No
call has such a position, so no replay sees it."""


NOTICE_STATUSES: Final = ("pending", "delivered", "moot", "given_up", "dropped")

UNTRIED: Final = 7 * 86_400_000
"""Milliseconds after which a notice is given up that no process has tried to deliver."""


def one_of(column: str, values: tuple[str, ...]) -> str:
    """A condition: the column has one of these values."""
    # Not IN: SQLite builds an index of the list at every evaluation, which costs a check 4 us and this one 0.1 us.
    return "(" + " OR ".join(f"{column} = '{value}'" for value in values) + ")"


_IS_NOT_ERASED: Final = (
    "NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence)"
    " WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key))"
)


def triggers(history_columns: tuple[str, ...]) -> tuple[str, ...]:
    """The statements that make them, by the columns of ``history``, of which only ``detail`` may ever change."""
    return (
        *_lifecycle_triggers(
            "execution",
            "executions",
            ("created_at",),
            (),
            # What it ended with stays for as long as it has ended, which a retry of one that failed undoes.
            f" OR ({one_of('OLD.status', TERMINAL)} AND NEW.status = OLD.status"
            f" AND ({_differ(('completed_at', 'result', 'error', 'error_code'))}))",
        ),
        *_lifecycle_triggers(
            "interaction",
            "interactions",
            (
                "execution_key",
                "opened",
                "created_at",
                "four_eyes",
                "on_deadline",
                "priority",
                "due_at",
                "excluded",
                "votes",
            ),
            ("status", "answered_by", "closed_at", "assignees", "claimed_by", "claimed_at"),
            # Four eyes: the owner of the execution does not answer this prompt, through any program.
            " OR (NEW.status = 'answered' AND OLD.four_eyes = 1"
            " AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key))"
            # Nor does anybody who answered another prompt that this one must not be answered with.
            " OR (NEW.status = 'answered' AND OLD.excluded IS NOT NULL"
            " AND NEW.answered_by IN (SELECT value FROM json_each(OLD.excluded)))"
            # While somebody has claimed it nobody else answers it, and nobody else's claim takes the place of theirs.
            " OR (NEW.status = 'answered' AND NEW.answered_by <> OLD.claimed_by) OR NEW.claimed_by <> OLD.claimed_by"
            # Where votes answer it, enough equal ones do, or the default; and nobody claims it.
            " OR (OLD.votes IS NOT NULL AND (NEW.claimed_by IS NOT NULL OR (OLD.status = 'pending' AND NEW.status = 'answered'"
            " AND (NEW.answered_by IS NOT NULL OR (NEW.response IS NOT OLD.default_response AND OLD.votes >"
            f" (SELECT count(*) FROM votes WHERE interaction_key = OLD.key AND {choice('response')} = NEW.response))))))"
            # What was said stays too, unless an erasure names a row of history that told of it.
            f" OR (OLD.status <> 'pending' AND {_differ(('response',))} AND {_IS_NOT_ERASED})",
        ),
        _refuse(
            "interactions_prompts_stay",
            "interactions",
            "UPDATE OF prompt, default_response",
            f"({_differ(('prompt', 'default_response'))}) AND (OLD.status = 'pending' OR {_IS_NOT_ERASED})",
            "illegal transition of an interaction, or a change of what stays",
        ),
        *_lifecycle_triggers(
            "consent",
            "consents",
            ("execution_key", "opened", "created_at", "provider", "scopes"),
            ("status", "closed_at", "denial", "begun_by"),
        ),
        # Each says who may do what, or what a workflow went by. They name columns that no program of ours updates, so they fire
        # at no write of ours and cost nothing.
        _stays("executions", "labels", ("workflow", "owner", "priority"), "what an execution was started with stays"),
        _stays("interactions", "deadlines", ("deadline_at",), "the deadline of a prompt stays"),
        _stays("consents", "deadlines", ("deadline_at",), "the deadline of a consent stays"),
        _stays(
            "sessions",
            "rights",
            ("token_sha256", "id", "actor", "groups", "roles", "provider", "bearer_sha256", "created_at", "expires_at"),
            "what a session began with stays",
        ),
        _stays("runs", "beginnings", ("execution_key", "version", "input"), "what a run began with stays"),
        *_assignment_triggers(),
        *_vote_triggers(),
        *_outbox_triggers(),
        _refuse(
            "journal_results_stay",
            "journal",
            "UPDATE OF execution_key, position, kind, name, result",
            # A retry sets the call aside that is made again, by a suffix of its position.
            f"OLD.result IS NOT NULL AND ({_differ(('execution_key', 'kind', 'name', 'result'))}"
            f" OR (NEW.position IS NOT OLD.position AND instr(NEW.position, OLD.position || '{RETIRED}') <> 1))",
            "what was recorded stays",
        ),
        _refuse(
            "executions_live_ones_stay",
            "executions",
            "DELETE",
            f"NOT {one_of('OLD.status', TERMINAL)}",
            "an execution that has not ended cannot be deleted",
        ),
        _refuse(
            "history_is_only_appended_to",
            "history",
            "INSERT",
            "NEW.sequence IS NOT 1 + coalesce((SELECT max(sequence) FROM history), (SELECT sequence FROM history_anchor))",
            "history is append-only",
        ),
        _refuse(
            "history_is_never_changed",
            "history",
            "UPDATE",
            f"NEW.detail IS NOT NULL OR {_differ(tuple(name for name in history_columns if name != 'detail'))}"
            " OR NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence)",
            "history is append-only",
        ),
        # So that no detail can go without a row of the chain that says so.
        _refuse(
            "erasures_are_told_of",
            "erasures",
            "INSERT",
            "NOT EXISTS (SELECT 1 FROM history AS e, json_each(e.detail, '$.sequences') AS named WHERE e.sequence = NEW.ordered"
            f" AND e.event = '{EventKind.PAYLOADS_ERASED}' AND e.sequence > NEW.sequence AND named.value = NEW.sequence)",
            "an erasure is told of by a later row of history that names it",
        ),
        _refuse("erasures_are_never_changed", "erasures", "UPDATE", "", "an erasure stays"),
        _refuse(
            "erasures_go_with_the_history",
            "erasures",
            "DELETE",
            "OLD.sequence > (SELECT sequence FROM history_anchor)",
            "an erasure stays",
        ),
        _refuse(
            "history_goes_only_by_retention",
            "history",
            "DELETE",
            "OLD.sequence > (SELECT sequence FROM history_anchor)",
            "history is append-only",
        ),
        _refuse(
            "history_anchor_moves_only_forward",
            "history_anchor",
            "UPDATE",
            "NEW.sequence <= OLD.sequence OR NEW.sequence >= (SELECT max(sequence) FROM history)"
            " OR NEW.digest IS NOT (SELECT digest FROM history WHERE sequence = NEW.sequence)",
            "the anchor moves forward, to a row of history",
        ),
        *(
            _refuse(
                f"{table}_go_with_their_execution",
                table,
                "DELETE",
                "EXISTS (SELECT 1 FROM executions WHERE key = OLD.execution_key)",
                "what was asked goes only with its execution",
            )
            for table in ("interactions", "consents")
        ),
        _refuse(
            "history_anchor_is_not_replaced",
            "history_anchor",
            "INSERT",
            "EXISTS (SELECT 1 FROM history_anchor)",
            "there is one anchor of the history",
        ),
        _refuse("history_anchor_stays", "history_anchor", "DELETE", "", "the anchor of the history stays"),
    )


def choice(response: str) -> str:
    """SQL: what a vote is for: its response without the comment."""
    return f"json_remove({response}, '$.comment')"


def _vote_triggers() -> tuple[str, ...]:
    """What keeps votes to one of each person who may answer, while the prompt is open."""
    return (
        _refuse(
            "votes_are_of_those_who_may_answer",
            "votes",
            "INSERT",
            # REPLACE would put a vote in the place of another.
            "EXISTS (SELECT 1 FROM votes WHERE interaction_key = NEW.interaction_key AND voter = NEW.voter)"
            " OR NOT EXISTS (SELECT 1 FROM interactions AS i WHERE i.key = NEW.interaction_key AND i.status = 'pending'"
            " AND i.votes IS NOT NULL"
            " AND NOT (i.four_eyes IS 1 AND NEW.voter IS (SELECT owner FROM executions WHERE key = i.execution_key))"
            " AND (i.excluded IS NULL OR NEW.voter NOT IN (SELECT value FROM json_each(i.excluded))))",
            "one vote of each person who may answer, while the prompt is open",
        ),
        _refuse(
            "votes_stay",
            "votes",
            "UPDATE",
            f"{_differ(('interaction_key', 'voter', 'sequence', 'voted_at'))} OR (NEW.response IS NOT OLD.response"
            " AND NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence))",
            "a vote stays",
        ),
        _refuse(
            "votes_go_with_their_prompt",
            "votes",
            "DELETE",
            "EXISTS (SELECT 1 FROM interactions WHERE key = OLD.interaction_key)",
            "a vote goes only with its prompt",
        ),
    )


def _assignment_triggers() -> tuple[str, ...]:
    """What keeps ``assignments`` as the open prompts are."""
    return (
        f"CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN {_assign('NEW')}; END",
        (
            "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions"
            f" WHEN NEW.status = 'pending' BEGIN {_unassign('OLD')}; {_assign('NEW')}; END"
        ),
        (
            "CREATE TRIGGER interactions_are_closed AFTER UPDATE OF status ON interactions"
            f" WHEN OLD.status = 'pending' AND NEW.status <> 'pending' BEGIN {_unassign('NEW')};"
            " DELETE FROM reminders WHERE interaction_key = NEW.key; END"
        ),
    )


_NEW_ID: Final = (
    # A UUID of version 7 (RFC 9562, section 5.7): the time in milliseconds, then random bits.
    "printf('%08x-%04x-7%03x-%04x-%012x', NEW.time >> 16, NEW.time & 65535, random() & 4095, 32768 | (random() & 16383),"
    " random() & 281474976710655)"
)
_IS_OPEN_WAIT: Final = (
    "EXISTS (SELECT 1 FROM executions AS e JOIN interactions AS i ON i.execution_key = e.key"
    " WHERE e.id = NEW.execution_id AND i.id = NEW.wait_id AND i.status = 'pending')"
    " OR EXISTS (SELECT 1 FROM executions AS e JOIN consents AS c ON c.execution_key = e.key"
    f" WHERE e.id = NEW.execution_id AND c.id = NEW.wait_id AND {one_of('c.status', OPEN)})"
)


def _outbox_triggers() -> tuple[str, ...]:
    """What makes notices of the rows of history, and what makes those moot that nobody needs any more.

    Rows of history come in their order, at the end of a transaction. So a prompt that was asked and settled in one transaction
    has its notice, which is moot.
    """
    about_wait = "execution_id = NEW.execution_id AND wait_id = NEW.wait_id"
    unsent = f"{one_of('status', ('pending', 'given_up'))} AND asks = 1"
    has_notices = f"NEW.wait_id IS NOT NULL AND EXISTS (SELECT 1 FROM outbox WHERE {about_wait})"
    is_told = "EXISTS (SELECT 1 FROM routes WHERE event = NEW.event)"
    # One trigger, because each that fires costs a row of history 2 us, also where there are no routes and no notices.
    return (
        (
            "CREATE TRIGGER history_is_told AFTER INSERT ON history WHEN NEW.execution_id IS NOT NULL"
            f" AND ({is_told} OR ({has_notices})) BEGIN"
            f" UPDATE outbox SET status = 'moot', ended_at = NEW.time, due_at = NULL WHERE {about_wait}"
            f" AND sequence < NEW.sequence AND {unsent}"
            # The wait is over, or the event tells of other people whom it is addressed to.
            f" AND (json_extract(NEW.detail, '$.assignees') IS NOT NULL OR NOT ({_IS_OPEN_WAIT}));"
            " INSERT INTO outbox (id, sequence, route, channel, execution_id, wait_id, asks, status, attempts, created_at,"
            f" due_at, give_up_at) SELECT {_NEW_ID}, NEW.sequence, r.name, r.channel, NEW.execution_id, NEW.wait_id, r.asks,"
            f" 'pending', 0, NEW.time, CASE WHEN r.disabled_at IS NULL THEN NEW.time END, NEW.time + {UNTRIED}"
            " FROM routes AS r JOIN executions AS e ON e.id = NEW.execution_id WHERE r.event = NEW.event"
            " AND (r.workflows IS NULL OR e.workflow IN (SELECT value FROM json_each(r.workflows)))"
            " AND (r.owners IS NULL OR e.owner IN (SELECT value FROM json_each(r.owners)))"
            " AND (r.assignees IS NULL OR EXISTS (SELECT 1 FROM interactions AS i, json_each(i.assignees) AS a"
            " WHERE i.execution_key = e.key AND i.id = NEW.wait_id"
            " AND a.value IN (SELECT value FROM json_each(r.assignees)))); END"
        ),
    )


_NEVER: Final = 9223372036854775807


def _names(row: str) -> str:
    """SQL: those who find a prompt in their inbox; a name that stands twice in its list is one."""
    return (
        f"SELECT '' AS name UNION SELECT value FROM json_each({row}.assignees) UNION SELECT owner FROM executions"
        f" WHERE key = {row}.execution_key AND {row}.assignees IS NULL AND owner IS NOT NULL"
    )


def _place(row: str) -> tuple[str, str]:
    """SQL: where a prompt stands among the others of an inbox, before its age: when it is due, and how urgent it is."""
    due = f"min(coalesce({row}.due_at, {_NEVER}), coalesce({row}.deadline_at, {_NEVER}))"
    return due, f"-coalesce({row}.priority, (SELECT priority FROM executions WHERE key = {row}.execution_key))"


def _workflow(row: str) -> str:
    return f"(SELECT workflow FROM executions WHERE key = {row}.execution_key)"


def _is_assigned(row: str, assignment: str) -> str:
    """SQL: whether an assignment says of an open prompt what it must, but for the name."""
    due, urgency = _place(row)
    return (
        f"{assignment}.due = {due} AND {assignment}.urgency = {urgency} AND {assignment}.opened = {row}.opened"
        f" AND {assignment}.interaction_key = {row}.key AND {assignment}.workflow IS {_workflow(row)}"
    )


# One statement for each kind of name: a UNION of them fills a table of its own at each prompt, which costs more than all of this.
# A name that stands twice in a list is one.
def _assign(row: str) -> str:
    due, _ = _place(row)
    insert = "INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT"
    place = f"{due}, -coalesce({row}.priority, e.priority), {row}.opened, {row}.key, e.workflow"
    its = f"executions AS e WHERE e.key = {row}.execution_key"
    return (
        f"{insert} '', {place} FROM {its};"
        f" {insert} value, {place} FROM json_each({row}.assignees), {its} AND {row}.assignees IS NOT NULL;"
        f" {insert} e.owner, {place} FROM {its} AND {row}.assignees IS NULL AND e.owner IS NOT NULL"
    )


def _unassign(row: str) -> str:
    due, urgency = _place(row)
    delete, place = "DELETE FROM assignments WHERE", f"due = {due} AND urgency = {urgency} AND opened = {row}.opened"
    owner = f"(SELECT owner FROM executions WHERE key = {row}.execution_key)"
    return (
        f"{delete} name = '' AND {place};"
        f" {delete} {row}.assignees IS NOT NULL AND name IN (SELECT value FROM json_each({row}.assignees)) AND {place};"
        f" {delete} {row}.assignees IS NULL AND name = {owner} AND {place}"
    )


UNASSIGNED: Final = (
    "SELECT e.id, i.id FROM interactions AS i JOIN executions AS e ON e.key = i.execution_key WHERE i.status = 'pending'"
    f" AND EXISTS (SELECT 1 FROM ({_names('i')}) AS n WHERE NOT EXISTS (SELECT 1 FROM assignments AS a"
    f" WHERE a.name = n.name AND {_is_assigned('i', 'a')})) LIMIT :most"
)
"""Open prompts that are not in every inbox that they should be in: the execution and the prompt."""
WRONGLY_ASSIGNED: Final = (
    "SELECT a.name, a.interaction_key FROM assignments AS a WHERE NOT EXISTS (SELECT 1 FROM interactions AS i"
    f" WHERE i.key = a.interaction_key AND i.status = 'pending' AND {_is_assigned('i', 'a')}"
    f" AND a.name IN ({_names('i')})) LIMIT :most"
)
"""Assignments of what is not open, or not for them: the name, and the key of the prompt."""


def _refuse(name: str, table: str, event: str, when: str, message: str) -> str:
    condition = f" WHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} BEFORE {event} ON {table}{condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _stays(table: str, what: str, columns: tuple[str, ...], message: str) -> str:
    """Refuse every change of these columns. A change of the rowid is refused by the triggers of the lifecycle."""
    return _refuse(f"{table}_{what}_stay", table, f"UPDATE OF {', '.join(columns)}", _differ(columns), message)


def _differ(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in columns)


def _lifecycle_triggers(
    kind: str, table: str, fixed: tuple[str, ...], frozen: tuple[str, ...], nor: str = ""
) -> list[str]:
    """What the lifecycle forbids. ``fixed`` columns never change; ``frozen`` ones do not once it has ended; nor what else."""
    its_id = "id = NEW.id" if kind == "execution" else "execution_key = NEW.execution_key AND id = NEW.id"
    article = "an" if kind[0] in "aei" else "a"
    moves: dict[str, list[str]] = {}
    for source, dest in legal_moves(kind):
        moves.setdefault(source, []).append(dest)
    ends = tuple(status for status in statuses(kind) if status not in moves)
    stays = f" OR ({one_of('OLD.status', ends)} AND ({_differ(frozen)}))" if frozen else ""
    legal = " OR ".join(f"OLD.status = '{source}' AND {one_of('NEW.status', tuple(moves[source]))}" for source in moves)
    refusal = f"illegal transition of {article} {kind}, or a change of what stays"
    return [
        # One trigger for all that a write of ours changes, because each that fires costs a write 2 us; and on every update,
        # because one of rowid fires no trigger that names columns.
        _refuse(
            f"{table}_move_as_the_lifecycle_allows",
            table,
            "UPDATE",
            f"NEW.key IS NOT OLD.key OR (OLD.status <> NEW.status AND NOT ({legal})){stays}{nor}",
            refusal,
        ),
        # This one names columns that no write of ours changes, so that it costs none of them anything.
        _stays(table, "beginnings", ("id", *fixed), refusal),
        # REPLACE would delete the row it conflicts with and fire no DELETE trigger (https://www.sqlite.org/lang_conflict.html).
        _refuse(
            f"{table}_begin_at_the_beginning",
            table,
            "INSERT",
            f"NEW.status <> '{initial(kind)}' OR EXISTS (SELECT 1 FROM {table} WHERE key = NEW.key)"
            f" OR EXISTS (SELECT 1 FROM {table} WHERE {its_id})",
            f"{article} {kind} begins as {initial(kind)}, with a key and an id of its own",
        ),
    ]
