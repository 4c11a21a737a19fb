"""The file: tables, named checks and indexes; its triggers are in ``triggers.py``, the auditors' views in ``views.py``.

The revisions in ``migrations/`` build the file; nothing here creates anything. A test holds that a file built by the
revisions has exactly this schema, so this is the place to read what is in it.

Inside the file keys are integers and times are integer milliseconds since the epoch, UTC. Ids seen outside are text.
Payloads are JSON text. ``history`` outlives what it tells of, so it names executions by id and holds no key of theirs.
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
    column,
    table,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from restpoint._storage.sqlite.triggers import NOTICE_STATUSES, one_of, triggers
from restpoint._storage.sqlite.views import VIEWS
from restpoint.lifecycle import OPEN, PAUSED, TERMINAL, statuses

REVISION: Final = "0019"
"""The newest revision in ``migrations/versions``; the only one this program reads and writes."""

APPLICATION_ID: Final = 0x72737470
"""``PRAGMA application_id`` of every restpoint file: the letters ``rstp`` (https://www.sqlite.org/fileformat2.html)."""

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

interactions: Final = Table(
    "interactions",
    metadata,
    Column("key", INTEGER, primary_key=True),
    Column("execution_key", INTEGER, ForeignKey("executions.key", ondelete="CASCADE"), nullable=False),
    Column("id", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column(
        "opened", INTEGER, nullable=False, comment="history.sequence of the asking; orders the waits of an execution"
    ),
    Column("prompt", TEXT, nullable=False),
    Column("created_at", INTEGER, nullable=False),
    Column("deadline_at", INTEGER),
    Column("closed_at", INTEGER),
    Column("response", TEXT),
    Column("answered_by", TEXT),
    Column(
        "assignees", TEXT, comment="JSON list of the people and groups that it is addressed to; none: nobody by name"
    ),
    Column("four_eyes", INTEGER, comment="1: the execution's owner must not answer it"),
    Column(
        "on_deadline", TEXT, comment="none: expires; 'default': is answered with default_response; 'fail': ends all"
    ),
    Column("default_response", TEXT),
    Column("priority", INTEGER, comment="for the order of inboxes; none: that of its execution"),
    Column("due_at", INTEGER, comment="when it should be answered; nothing happens then"),
    Column("excluded", TEXT, comment="JSON list of the people who must not answer it, having answered another one"),
    Column("claimed_by", TEXT, comment="who alone may answer it now"),
    Column("claimed_at", INTEGER),
    Column(
        "votes",
        INTEGER,
        CheckConstraint("votes > 1", name="interactions_votes_are_several"),
        comment="how many equal votes answer it; none: the answer of one person does",
    ),
    UniqueConstraint("execution_key", "id", name="interactions_id_is_unique_in_its_execution"),
    CheckConstraint(one_of("status", statuses("interaction")), name="interactions_status_is_known"),
    CheckConstraint("(status = 'answered') = (response IS NOT NULL)", name="interactions_answered_means_a_response"),
    CheckConstraint("(status = 'pending') = (closed_at IS NULL)", name="interactions_closed_at_means_closed"),
    CheckConstraint("json_valid(prompt)", name="interactions_prompt_is_json"),
    CheckConstraint("response IS NULL OR json_valid(response)", name="interactions_response_is_json"),
)
# Only of those that have one, so that the others cost nothing.
Index(
    "interactions_with_a_deadline",
    interactions.c.deadline_at,
    sqlite_where=text("status = 'pending' AND deadline_at IS NOT NULL"),
)
# By the age of the waits of an execution; with the names, so that whom a list is for is found without reading the rows.
Index(
    "interactions_open_of_execution",
    interactions.c.execution_key,
    interactions.c.opened,
    interactions.c.assignees,
    sqlite_where=text("status = 'pending'"),
)
Index(
    "interactions_by_answerer",
    interactions.c.answered_by,
    interactions.c.execution_key,
    interactions.c.closed_at,
    sqlite_where=text("answered_by IS NOT NULL"),
)

# Made of the open prompts by the triggers alone, so it is as they are whatever program writes them.
assignments: Final = Table(
    "assignments",
    metadata,
    Column(
        "name",
        TEXT,
        nullable=False,
        primary_key=True,
        comment="an assignee; the execution's owner where there are none; and '' for those who may answer everything",
    ),
    Column(
        "due", INTEGER, nullable=False, primary_key=True, comment="due_at or deadline_at; the largest number: neither"
    ),
    Column("urgency", INTEGER, nullable=False, primary_key=True, comment="the priority, with the opposite sign"),
    Column("opened", INTEGER, nullable=False, primary_key=True, comment="interactions.opened"),
    Column("interaction_key", INTEGER, nullable=False),
    Column("workflow", TEXT, comment="executions.workflow, so that an inbox of one workflow is read from here alone"),
    sqlite_with_rowid=False,
)

# What is still to come of an open prompt, and what of it has been. A trigger empties it when the prompt is closed.
reminders: Final = Table(
    "reminders",
    metadata,
    Column(
        "interaction_key",
        INTEGER,
        ForeignKey("interactions.key", ondelete="CASCADE"),
        nullable=False,
        primary_key=True,
    ),
    Column("at", INTEGER, nullable=False, primary_key=True, comment="when it falls due"),
    Column(
        "what",
        TEXT,
        nullable=False,
        primary_key=True,
        comment="'stay': it was to escalate, and none of them may answer it",
    ),
    Column("assignees", TEXT, comment="JSON list of the people and groups that the prompt escalates to"),
    Column("done_at", INTEGER, comment="when it was done; none: it is still to come"),
    CheckConstraint(one_of("what", ("remind", "escalate", "stay")), name="reminders_what_is_known"),
    CheckConstraint("assignees IS NULL OR json_valid(assignees)", name="reminders_assignees_is_json"),
    CheckConstraint("what <> 'stay' OR done_at IS NOT NULL", name="reminders_stay_when_they_were_due"),
    CheckConstraint("(what = 'remind') = (assignees IS NULL)", name="reminders_escalate_to_somebody"),
    sqlite_with_rowid=False,
)
Index("reminders_due", reminders.c.at, sqlite_where=text("done_at IS NULL"))
votes: Final = Table(
    "votes",
    metadata,
    Column(
        "interaction_key", INTEGER, ForeignKey("interactions.key", ondelete="CASCADE"), nullable=False, primary_key=True
    ),
    Column("voter", TEXT, nullable=False, primary_key=True, comment="the id of the actor; each has one vote"),
    Column("sequence", INTEGER, nullable=False, comment="history.sequence of the vote; orders those of a prompt"),
    Column("voted_at", INTEGER, nullable=False),
    Column("response", TEXT, nullable=False, comment="as interactions.response, with the comment of the voter"),
    CheckConstraint("json_valid(response)", name="votes_response_is_json"),
    sqlite_with_rowid=False,
)
Index("votes_by_voter", votes.c.voter, votes.c.voted_at)

consents: Final = Table(
    "consents",
    metadata,
    Column("key", INTEGER, primary_key=True),
    Column("execution_key", INTEGER, ForeignKey("executions.key", ondelete="CASCADE"), nullable=False),
    Column("id", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
    Column(
        "opened", INTEGER, nullable=False, comment="history.sequence of the asking; orders the waits of an execution"
    ),
    Column("auth_url", TEXT, nullable=False),
    Column("oauth_state", TEXT, nullable=False),
    Column("created_at", INTEGER, nullable=False),
    Column("deadline_at", INTEGER),
    Column("closed_at", INTEGER),
    Column("provider", TEXT, comment="whom restpoint sends the person to; none: the caller drives this consent"),
    Column(
        "scopes",
        TEXT,
        CheckConstraint("scopes IS NULL OR json_valid(scopes)", name="consents_scopes_is_json"),
        comment="JSON list of what is asked for",
    ),
    Column("denial", TEXT, comment="why it was denied, as OAuth has it"),
    Column("attempts", INTEGER, comment="how often someone set out to the provider; fences off the attempts before"),
    Column("begun_by", TEXT, comment="who set out the last time"),
    Column("state_sha256", BLOB, comment="of the state that went out with the last attempt"),
    Column("browser_sha256", BLOB, comment="of the cookie of the browser that set out"),
    Column("state_expires_at", INTEGER),
    Column("redirect_uri", TEXT, comment="as it went out with the last attempt"),
    Column(
        "verifier",
        TEXT,
        CheckConstraint(
            "verifier IS NULL OR (json_valid(verifier) AND status = 'pending')", name="consents_verifier_is_for_one_use"
        ),
        comment="sealed; gone once the code is redeemed",
    ),
    Column("lease", INTEGER, comment="leases.id of the process that talks to the provider's token endpoint"),
    Column(
        "token",
        TEXT,
        CheckConstraint(
            "token IS NULL OR (json_valid(token) AND status = 'granted')", name="consents_token_is_granted"
        ),
        comment="sealed; gone once the execution has ended",
    ),
    UniqueConstraint("execution_key", "id", name="consents_id_is_unique_in_its_execution"),
    CheckConstraint(one_of("status", statuses("consent")), name="consents_status_is_known"),
    CheckConstraint(f"{one_of('status', OPEN)} = (closed_at IS NULL)", name="consents_closed_at_means_closed"),
)
Index("consents_open", consents.c.deadline_at, sqlite_where=text("status IN ('pending', 'exchanging')"))
Index(
    "consents_state_is_unique",
    consents.c.state_sha256,
    unique=True,
    sqlite_where=text("state_sha256 IS NOT NULL"),
)
Index("consents_leased", consents.c.lease, sqlite_where=text("lease IS NOT NULL"))
Index("consents_sealed", consents.c.key, sqlite_where=text("verifier IS NOT NULL OR token IS NOT NULL"))

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

settings: Final = Table(
    "settings",
    metadata,
    Column("name", TEXT, primary_key=True, nullable=False),
    Column("value", TEXT, nullable=False),
    Column("changed_at", INTEGER, nullable=False),
    CheckConstraint("json_valid(value)", name="settings_value_is_json"),
    sqlite_with_rowid=False,
)

leases: Final = Table(
    "leases",
    metadata,
    Column("id", INTEGER, primary_key=True),
    Column("host", TEXT, nullable=False),
    Column("pid", INTEGER, nullable=False),
    Column("started", INTEGER, comment="when the process began, in the kernel's ticks; tells a reused pid"),
    Column("expires_at", INTEGER, nullable=False),
    sqlite_autoincrement=True,  # the id of a dead process must never name a living one
)


# Beside the leases, because a lease that was taken for a dead process's is made anew when it is renewed.
runners: Final = Table(
    "runners",
    metadata,
    Column("lease", INTEGER, nullable=False, primary_key=True, comment="leases.id of the process"),
    Column("workflow", TEXT, nullable=False, primary_key=True, comment="name@version of one that a runner of it runs"),
    sqlite_with_rowid=False,
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_sha256", BLOB, nullable=False, primary_key=True, comment="of what the cookie of the browser holds"),
    Column("id", TEXT, nullable=False, comment="what history and lists call it; it opens nothing"),
    Column("actor", TEXT, nullable=False),
    Column("groups", TEXT, nullable=False, comment="JSON list"),
    Column("roles", TEXT, nullable=False, comment="JSON list"),
    Column("provider", TEXT, comment="where the person signed in; none: with a bearer token"),
    Column("bearer_sha256", TEXT, comment="of that token, in hexadecimal, as the tokens file has it"),
    Column("created_at", INTEGER, nullable=False),
    Column("expires_at", INTEGER, nullable=False, comment="when it ends, however much it is used"),
    Column("used_at", INTEGER, nullable=False, comment="written at most once a minute"),
    Column("ends_at", INTEGER, nullable=False, comment="when it ends, unless it is used before"),
    UniqueConstraint("id", name="sessions_id_is_unique"),
    CheckConstraint("ends_at <= expires_at", name="sessions_end_when_they_expire"),
    CheckConstraint("length(token_sha256) = 32", name="sessions_token_is_hashed"),
    CheckConstraint("(provider IS NULL) = (bearer_sha256 IS NOT NULL)", name="sessions_begin_in_one_way"),
    CheckConstraint("json_valid(groups) AND json_valid(roles)", name="sessions_groups_and_roles_are_json"),
    sqlite_with_rowid=False,
)
Index("sessions_of_actor", sessions.c.actor)
Index("sessions_to_sweep", sessions.c.ends_at)

# Found by the event, at every row of history: a file without routes pays one seek in an empty table.
routes: Final = Table(
    "routes",
    metadata,
    Column("event", TEXT, nullable=False, primary_key=True),
    Column("name", TEXT, nullable=False, primary_key=True),
    Column("channel", TEXT, nullable=False),
    Column("workflows", TEXT, comment="JSON list of those whose executions are told of; none: all"),
    Column("owners", TEXT, comment="JSON list of those whose executions are told of; none: all"),
    Column("assignees", TEXT, comment="JSON list of the people and groups whose prompts are told of; none: all"),
    Column("asks", INTEGER, nullable=False, comment="1: a notice of it is moot once the wait of the event is over"),
    Column("disabled_at", INTEGER, comment="since when nothing is sent by it, because the receiver is gone"),
    Column("problem", TEXT, comment="what the receiver said then"),
    CheckConstraint("asks IN (0, 1)", name="routes_asks_is_yes_or_no"),
    CheckConstraint("workflows IS NULL OR json_valid(workflows)", name="routes_workflows_is_json"),
    CheckConstraint("owners IS NULL OR json_valid(owners)", name="routes_owners_is_json"),
    CheckConstraint("assignees IS NULL OR json_valid(assignees)", name="routes_assignees_is_json"),
    sqlite_with_rowid=False,
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", TEXT, primary_key=True, nullable=False, comment="the same at every attempt"),
    Column("sequence", INTEGER, nullable=False, comment="history.sequence of the event that is told"),
    Column("route", TEXT, nullable=False),
    Column("channel", TEXT, nullable=False),
    Column("execution_id", TEXT, ForeignKey("executions.id", ondelete="CASCADE"), nullable=False),
    Column("wait_id", TEXT, comment="history.wait_id of the event"),
    Column("asks", INTEGER, nullable=False, comment="1: it is moot once that wait is over"),
    Column("recipient", TEXT, comment="the person; none: the channel has one receiver, or nobody was looked up yet"),
    Column("status", TEXT, nullable=False),
    Column("attempts", INTEGER, nullable=False),
    Column("created_at", INTEGER, nullable=False),
    Column("due_at", INTEGER, comment="when it is tried next; none: not before its route is enabled"),
    Column("give_up_at", INTEGER, nullable=False),
    Column("lease", INTEGER, comment="leases.id of the process that sends it"),
    Column("ended_at", INTEGER),
    Column("opened_at", INTEGER, comment="when the recipient opened the page of the prompt"),
    Column("problem", TEXT, comment="why the last attempt failed, for operators"),
    CheckConstraint(one_of("status", NOTICE_STATUSES), name="outbox_status_is_known"),
    CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="outbox_ended_at_means_ended"),
    sqlite_with_rowid=False,
)
Index(
    "outbox_due",
    outbox.c.channel,
    outbox.c.due_at,
    sqlite_where=text("status = 'pending' AND lease IS NULL"),
)
Index("outbox_of_execution", outbox.c.execution_id, outbox.c.wait_id)
Index("outbox_leased", outbox.c.lease, sqlite_where=text("lease IS NOT NULL"))
Index("outbox_given_up", outbox.c.route, sqlite_where=text("status = 'given_up'"))

# Not ours to make, so not in the metadata: what SQLite and Alembic keep of the file.
sqlite_master: Final = table("sqlite_master", *map(column, ("type", "name", "sql", "rowid")))
alembic_version: Final = table("alembic_version", column("version_num"))


TRIGGERS: Final = triggers(tuple(column.name for column in history.c))


def ddl() -> dict[str, str]:
    """Every object of the schema by name, with the SQL that SQLite keeps of it in ``sqlite_master``."""
    objects = {}
    for made in metadata.sorted_tables:
        objects[made.name] = str(CreateTable(made).compile(dialect=sqlite.dialect()))
        for index in sorted(made.indexes, key=lambda index: str(index.name)):
            objects[str(index.name)] = str(CreateIndex(index).compile(dialect=sqlite.dialect()))
    for trigger in TRIGGERS:
        objects[trigger.split()[2]] = trigger
    for name, query in VIEWS.items():
        objects[name] = f"CREATE VIEW {name} AS {query}"
    return {name: "\n".join(line.rstrip() for line in sql.strip().splitlines()) for name, sql in objects.items()}
