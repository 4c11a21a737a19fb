"""The tables of telling people: the routes by which they are told, and the outbox of notices to be delivered."""

from typing import Final

from sqlalchemy import INTEGER, TEXT, CheckConstraint, Column, ForeignKey, Index, Table, text

from restpoint._storage.schema.executions import metadata
from restpoint._storage.sqlite.triggers import NOTICE_STATUSES, one_of

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
    Column(
        "opens_at",
        INTEGER,
        comment="when the hours of its route begin, which it waits for; none: it does not wait for them",
    ),
    CheckConstraint(one_of("status", NOTICE_STATUSES), name="outbox_status_is_known"),
    CheckConstraint("(status = 'pending') = (ended_at IS NULL)", name="outbox_ended_at_means_ended"),
    sqlite_with_rowid=False,
)
Index(
    "outbox_due",
    outbox.c.channel,
    outbox.c.due_at,
    outbox.c.route,  # so that what other processes send by the same channel is passed over in the index
    sqlite_where=text("status = 'pending' AND lease IS NULL"),
)
Index("outbox_of_execution", outbox.c.execution_id, outbox.c.wait_id)
Index("outbox_leased", outbox.c.lease, sqlite_where=text("lease IS NOT NULL"))
Index("outbox_given_up", outbox.c.route, sqlite_where=text("status = 'given_up'"))
