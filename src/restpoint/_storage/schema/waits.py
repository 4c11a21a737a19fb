"""The tables of waits: prompts with what belongs to them (inboxes, reminders, votes), and consents."""

from typing import Final

from sqlalchemy import BLOB, INTEGER, TEXT, CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint, text

from restpoint._storage.schema.executions import metadata
from restpoint._storage.sqlite.triggers import one_of
from restpoint.lifecycle import OPEN, statuses

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
