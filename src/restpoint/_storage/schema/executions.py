"""The tables of executions: what they are and were started with, what a replay goes by, and the history of everything.

``history`` outlives what it tells of, so it names executions by id and holds no key of theirs.
"""

from typing import Final

from sqlalchemy import (
    BLOB,
    INTEGER,
    TEXT,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from restpoint._storage.sqlite.triggers import one_of
from restpoint.lifecycle import PAUSED, TERMINAL, statuses

metadata: Final = MetaData()

executions: Final = Table(
    "executions",
    metadata,
    Column("key", INTEGER, primary_key=True),
    Column("id", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column("version", INTEGER, nullable=False, comment="one more at every transition"),
    Column("open_waits", INTEGER, nullable=False),
    Column("workflow", TEXT),
    Column("owner", TEXT),
    Column("lease", INTEGER, comment="leases.id of the process that drives it; none: nobody"),
    Column("created_at", INTEGER, nullable=False),
    Column("completed_at", INTEGER),
    Column("expires_at", INTEGER, comment="when the sweep may delete it; none: never"),
    Column("hold", TEXT, comment="why the sweep must leave it alone; none: it need not"),
    Column("result", TEXT),
    Column("error", TEXT),
    Column("error_code", TEXT),
    Column("secrets", INTEGER, comment="1: its consents may hold sealed secrets, which go when it ends"),
    Column(
        "priority", INTEGER, nullable=False, server_default=text("0"), comment="for lists; it changes no order of work"
    ),
    Column(
        "epoch",
        INTEGER,
        nullable=False,
        server_default=text("0"),
        comment="one more each time that another process claims it; fences off the claims before",
    ),
    Column(
        "ready",
        INTEGER,
        CheckConstraint("ready IN (0, 1)", name="executions_ready_is_yes_or_no"),
        comment="1: something happened that the workflow has not heard of; none: no runner runs it",
    ),
    Column(
        "attempts",
        INTEGER,
        nullable=False,
        server_default=text("0"),
        comment="how often its process died or gave it up since it last got on",
    ),
    Column("wake_at", INTEGER, comment="when it has slept enough"),
    Column("problem", TEXT, comment="why no runner can go on with it, until a process starts that may"),
    UniqueConstraint("id", name="executions_id_is_unique"),
    CheckConstraint(one_of("status", statuses("execution")), name="executions_status_is_known"),
    CheckConstraint(
        f"(completed_at IS NOT NULL) = {one_of('status', TERMINAL)}", name="executions_completed_at_means_ended"
    ),
    CheckConstraint("expires_at IS NULL OR completed_at IS NOT NULL", name="executions_only_ended_ones_expire"),
    CheckConstraint(
        f"(open_waits > 0) = {one_of('status', PAUSED)}",
        name="executions_paused_means_open_waits",
    ),
    CheckConstraint("result IS NULL OR json_valid(result)", name="executions_result_is_json"),
)
Index(
    "executions_to_sweep",
    executions.c.expires_at,
    sqlite_where=text("expires_at IS NOT NULL AND hold IS NULL"),
)
# Only of what a runner runs, so that the others cost nothing.
Index("executions_ready", executions.c.owner, executions.c.key, sqlite_where=text("ready = 1 AND lease IS NULL"))
Index(
    "executions_getting_nowhere",
    executions.c.attempts,
    executions.c.key,
    sqlite_where=text("ready = 1 AND lease IS NULL AND attempts > 0"),
)
Index("executions_claimed", executions.c.lease, sqlite_where=text("ready IS NOT NULL AND lease IS NOT NULL"))
Index("executions_asleep", executions.c.wake_at, sqlite_where=text("wake_at IS NOT NULL"))
Index("executions_by_status", executions.c.status)
Index("executions_by_workflow", executions.c.workflow, sqlite_where=text("workflow IS NOT NULL"))
Index("executions_by_owner", executions.c.owner, sqlite_where=text("owner IS NOT NULL"))
Index("executions_with_a_problem", executions.c.key, sqlite_where=text("problem IS NOT NULL"))

runs: Final = Table(
    "runs",
    metadata,
    Column("execution_key", INTEGER, ForeignKey("executions.key", ondelete="CASCADE"), primary_key=True),
    Column(
        "version", INTEGER, nullable=False, comment="of the workflow; a run is only gone on with by its own version"
    ),
    Column("input", TEXT, nullable=False),
    Column("trace", TEXT, comment="JSON: the trace that it belongs to, as W3C Trace Context headers"),
    Column("start_sha256", BLOB, comment="of the idempotency key and whose it is"),
    Column("request_sha256", BLOB, comment="of what the first start with this key asked for"),
    CheckConstraint("json_valid(input)", name="runs_input_is_json"),
    CheckConstraint("trace IS NULL OR json_valid(trace)", name="runs_trace_is_json"),
)
Index("runs_start_is_unique", runs.c.start_sha256, unique=True, sqlite_where=text("start_sha256 IS NOT NULL"))

journal: Final = Table(
    "journal",
    metadata,
    Column(
        "execution_key", INTEGER, ForeignKey("executions.key", ondelete="CASCADE"), nullable=False, primary_key=True
    ),
    Column("position", TEXT, nullable=False, primary_key=True, comment="assigned per call, in the order of the calls"),
    Column("kind", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("fingerprint", TEXT, nullable=False),
    Column("result", TEXT),
    Column("recorded_at", INTEGER, nullable=False),
    Column("error", TEXT, comment="JSON of what it raised instead of returning a result"),
    Column("settled", INTEGER, comment="the newest history.sequence when its outcome was recorded; none: begun"),
    Column("ordinal", INTEGER, comment="the place of its outcome among those that the workflow was given, one by one"),
    Column("seen", INTEGER, comment="the newest ordinal that the workflow had been given when it made the call"),
    CheckConstraint("result IS NULL OR json_valid(result)", name="journal_result_is_json"),
    sqlite_with_rowid=False,
)

step_attempts: Final = Table(
    "step_attempts",
    metadata,
    Column(
        "execution_key", INTEGER, ForeignKey("executions.key", ondelete="CASCADE"), nullable=False, primary_key=True
    ),
    Column("position", TEXT, nullable=False, primary_key=True, comment="of the step, which has no outcome yet"),
    Column("name", TEXT, nullable=False),
    Column("fingerprint", TEXT, nullable=False, comment="of its arguments, as the journal will have it"),
    Column("attempts", INTEGER, nullable=False, comment="how many have failed"),
    Column("error", TEXT, nullable=False, comment="JSON of what the last one raised, as the journal keeps errors"),
    Column("failed_at", INTEGER, nullable=False),
    Column("next_at", INTEGER, nullable=False, comment="when the next one begins"),
    CheckConstraint("attempts > 0", name="step_attempts_count_from_one"),
    CheckConstraint("json_valid(error)", name="step_attempts_error_is_json"),
    sqlite_with_rowid=False,
)

failures: Final = Table(
    "failures",
    metadata,
    Column("execution_key", INTEGER, ForeignKey("executions.key", ondelete="CASCADE"), primary_key=True),
    Column("type", TEXT, nullable=False, comment="the class of what the workflow raised"),
    Column("message", TEXT, nullable=False, comment="for operators"),
    Column("traceback", TEXT, nullable=False, comment="for operators"),
)

kept_keys: Final = Table(
    "kept_keys",
    metadata,
    Column("start_sha256", BLOB, nullable=False, primary_key=True, comment="as runs had it, of what has left the file"),
    Column("request_sha256", BLOB, nullable=False),
    Column("execution_id", TEXT, nullable=False, comment="the execution that was started with this key"),
    Column("expires_at", INTEGER, nullable=False, comment="when the key may start another one"),
    sqlite_with_rowid=False,
)
Index("kept_keys_expire", kept_keys.c.expires_at)

history: Final = Table(
    "history",
    metadata,
    Column("sequence", INTEGER, primary_key=True, comment="without gaps; the order of everything"),
    Column("execution_id", TEXT),
    Column("event", TEXT, nullable=False),
    Column("wait_id", TEXT),
    Column("from_status", TEXT),
    Column("to_status", TEXT),
    Column("actor", TEXT),
    Column("cause", TEXT),
    Column("time", INTEGER, nullable=False),
    Column("detail", TEXT),
    Column("detail_sha256", BLOB),
    Column("digest", BLOB, nullable=False),
    CheckConstraint("length(digest) = 32", name="history_digest_is_sha256"),
    CheckConstraint("detail IS NULL OR detail_sha256 IS NOT NULL", name="history_detail_is_hashed"),
)
Index("history_of_execution", history.c.execution_id, sqlite_where=text("execution_id IS NOT NULL"))
Index("history_of_file", history.c.event, sqlite_where=text("execution_id IS NULL"))

history_anchor: Final = Table(
    "history_anchor",
    metadata,
    Column("only", INTEGER, primary_key=True),
    Column("sequence", INTEGER, nullable=False, comment="the last row that retention removed, or 0"),
    Column("digest", BLOB, nullable=False, comment="that row's digest: what the oldest row left is chained to"),
    CheckConstraint("only = 1", name="history_anchor_is_one_row"),
    CheckConstraint("length(digest) = 32", name="history_anchor_digest_is_sha256"),
)

erasures: Final = Table(
    "erasures",
    metadata,
    Column("sequence", INTEGER, primary_key=True, comment="the row of history whose detail was erased"),
    Column("ordered", INTEGER, nullable=False, comment="history.sequence of the event that says so, and names the row"),
)
