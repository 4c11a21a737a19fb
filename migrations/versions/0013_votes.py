"""Prompts that several people vote on; the workflow in the table of assignments; what somebody answered, by when.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "ALTER TABLE interactions ADD COLUMN votes INTEGER CONSTRAINT interactions_votes_are_several CHECK (votes > 1)",
    """CREATE TABLE votes (
    interaction_key INTEGER NOT NULL,
    voter TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    voted_at INTEGER NOT NULL,
    response TEXT NOT NULL,
    PRIMARY KEY (interaction_key, voter),
    CONSTRAINT votes_response_is_json CHECK (json_valid(response)),
    FOREIGN KEY(interaction_key) REFERENCES interactions ("key") ON DELETE CASCADE
)
 WITHOUT ROWID""",
    "CREATE INDEX votes_by_voter ON votes (voter, voted_at)",
    # Where a file was downgraded before, its history still tells these.
    (
        "UPDATE interactions SET votes = json_extract(h.detail, '$.votes') FROM history AS h WHERE h.sequence = "
        "interactions.opened AND json_type(h.detail, '$.votes') = 'integer'"
    ),
    (
        "INSERT INTO votes (interaction_key, voter, sequence, voted_at, response) SELECT i.key, h.actor, h.sequence, "
        "h.time, json_extract(h.detail, '$.response') FROM history AS h JOIN executions AS e ON e.id = h.execution_id"
        " JOIN interactions AS i ON i.execution_key = e.key AND i.id = h.wait_id WHERE h.event = 'interaction_voted' "
        "AND i.votes IS NOT NULL AND json_type(h.detail, '$.response') = 'object' ORDER BY h.sequence"
    ),
    "DROP INDEX interactions_by_answerer",
    (
        "CREATE INDEX interactions_by_answerer ON interactions (answered_by, execution_key, closed_at) WHERE "
        "answered_by IS NOT NULL"
    ),
    "DROP TABLE assignments",
    """CREATE TABLE assignments (
    name TEXT NOT NULL,
    due INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    interaction_key INTEGER NOT NULL,
    workflow TEXT,
    PRIMARY KEY (name, due, urgency, opened)
)
 WITHOUT ROWID""",
    (
        "INSERT INTO assignments (name, due, urgency, opened, interaction_key, workflow) SELECT n.name, "
        "min(coalesce(i.due_at, 9223372036854775807), coalesce(i.deadline_at, 9223372036854775807)), "
        "-coalesce(i.priority, e.priority), i.opened, i.key, e.workflow FROM (SELECT key, '' AS name FROM "
        "interactions WHERE status = 'pending' UNION SELECT i.key, each.value FROM interactions AS i, "
        "json_each(i.assignees) AS each WHERE i.status = 'pending' UNION SELECT i.key, e.owner FROM interactions AS i"
        " JOIN executions AS e ON e.key = i.execution_key WHERE i.status = 'pending' AND i.assignees IS NULL AND "
        "e.owner IS NOT NULL) AS n JOIN interactions AS i ON i.key = n.key JOIN executions AS e ON e.key = "
        "i.execution_key"
    ),
    (
        "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT "
        "OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT "
        "OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline "
        "IS NOT OLD.on_deadline OR NEW.priority IS NOT OLD.priority OR NEW.due_at IS NOT OLD.due_at OR NEW.excluded "
        "IS NOT OLD.excluded OR NEW.votes IS NOT OLD.votes OR (OLD.status <> NEW.status AND NOT (OLD.status = "
        "'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR "
        "((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT "
        "OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at OR NEW.assignees "
        "IS NOT OLD.assignees OR NEW.claimed_by IS NOT OLD.claimed_by OR NEW.claimed_at IS NOT OLD.claimed_at)) OR "
        "(NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner FROM executions WHERE key"
        " = OLD.execution_key)) OR (NEW.status = 'answered' AND OLD.excluded IS NOT NULL AND NEW.answered_by IN "
        "(SELECT value FROM json_each(OLD.excluded))) OR (NEW.status = 'answered' AND NEW.answered_by <> "
        "OLD.claimed_by) OR NEW.claimed_by <> OLD.claimed_by OR (OLD.votes IS NOT NULL AND (NEW.claimed_by IS NOT "
        "NULL OR (OLD.status = 'pending' AND NEW.status = 'answered' AND (NEW.answered_by IS NOT NULL OR "
        "(NEW.response IS NOT OLD.default_response AND OLD.votes > (SELECT count(*) FROM votes WHERE interaction_key "
        "= OLD.key AND json_remove(response, '$.comment') = NEW.response)))))) OR ((NEW.prompt IS NOT OLD.prompt OR "
        "NEW.default_response IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT "
        "OLD.response)) AND (OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING "
        "(sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = "
        "OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what "
        "stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT INTO assignments (name, "
        "due, urgency, opened, interaction_key, workflow) SELECT name, min(coalesce(NEW.due_at, 9223372036854775807),"
        " coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key) FROM (SELECT '' AS name UNION SELECT value FROM json_each(NEW.assignees) UNION SELECT "
        "owner FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status = "
        "'pending' BEGIN DELETE FROM assignments WHERE name IN (SELECT '' AS name UNION SELECT value FROM "
        "json_each(OLD.assignees) UNION SELECT owner FROM executions WHERE key = OLD.execution_key AND OLD.assignees "
        "IS NULL AND owner IS NOT NULL) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM "
        "executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT INTO assignments (name, due, "
        "urgency, opened, interaction_key, workflow) SELECT name, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key) FROM (SELECT '' AS name UNION SELECT value FROM json_each(NEW.assignees) UNION SELECT "
        "owner FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER votes_are_of_those_who_may_answer BEFORE INSERT ON votes WHEN EXISTS (SELECT 1 FROM votes "
        "WHERE interaction_key = NEW.interaction_key AND voter = NEW.voter) OR NOT EXISTS (SELECT 1 FROM interactions"
        " AS i WHERE i.key = NEW.interaction_key AND i.status = 'pending' AND i.votes IS NOT NULL AND NOT "
        "(i.four_eyes IS 1 AND NEW.voter IS (SELECT owner FROM executions WHERE key = i.execution_key)) AND "
        "(i.excluded IS NULL OR NEW.voter NOT IN (SELECT value FROM json_each(i.excluded)))) BEGIN SELECT "
        "RAISE(ABORT, 'one vote of each person who may answer, while the prompt is open'); END"
    ),
    (
        "CREATE TRIGGER votes_stay BEFORE UPDATE ON votes WHEN NEW.interaction_key IS NOT OLD.interaction_key OR "
        "NEW.voter IS NOT OLD.voter OR NEW.sequence IS NOT OLD.sequence OR NEW.voted_at IS NOT OLD.voted_at OR "
        "(NEW.response IS NOT OLD.response AND NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence)) "
        "BEGIN SELECT RAISE(ABORT, 'a vote stays'); END"
    ),
    (
        "CREATE TRIGGER votes_go_with_their_prompt BEFORE DELETE ON votes WHEN EXISTS (SELECT 1 FROM interactions "
        "WHERE key = OLD.interaction_key) BEGIN SELECT RAISE(ABORT, 'a vote goes only with its prompt'); END"
    ),
    "DROP VIEW answers",
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, "
        "'$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, "
        "'$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, "
        "coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT "
        "group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')),"
        " json_extract(a.detail, '$.response.text'), CASE json_extract(a.detail, '$.response.action') WHEN 'decline' "
        "THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN "
        "'no' ELSE value END, ', ') FROM json_each(a.detail, '$.response.content')) END) AS decision, CASE WHEN "
        "json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, "
        "'$.response.selected_option.value') = 'false' THEN 0 WHEN json_extract(a.detail, '$.response.action') = "
        "'decline' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true',"
        " 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR "
        "lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', "
        "'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, "
        "'$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny',"
        " 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', "
        "'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS "
        "approved, coalesce(a.cause IN ('deadline', 'undecided'), 0) AS by_default, coalesce((SELECT "
        "json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id AND d.wait_id "
        "= a.wait_id AND d.event IN ('interaction_delegated', 'interaction_reassigned') AND d.sequence < a.sequence "
        "ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees')) AS assignees, "
        "coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS "
        "authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS "
        "actor_roles, json_extract(a.detail, '$.response.comment') AS comment, a.event = 'interaction_voted' AS "
        "is_vote, CASE a.event WHEN 'interaction_voted' THEN (SELECT coalesce(json_extract(o.detail, "
        "'$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM "
        "json_each(o.detail, '$.response.selected_options')), json_extract(o.detail, '$.response.text'), CASE "
        "json_extract(o.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || "
        "': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM "
        "json_each(o.detail, '$.response.content')) END) FROM history AS o WHERE o.execution_id = a.execution_id AND "
        "o.wait_id = a.wait_id AND o.event = 'interaction_answered') END AS outcome FROM history AS a LEFT JOIN "
        "history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' "
        "LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event IN"
        " ('interaction_voted', 'interaction_answered') AND a.cause IS NOT 'votes'"
    ),
    "DROP VIEW approvals",
    (
        "CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, "
        "approved, answered_by AS approved_by, authority, by_default, interaction_id, comment, is_vote, outcome FROM "
        "answers WHERE coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification')"
    ),
)

# Drops the votes, and how many of them a prompt takes, which the history keeps (of a file with history="digest", all but the
# responses). A prompt that took votes and is open takes the answer of one person until the file is upgraded again.
DOWNGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "DROP TABLE votes",
    "ALTER TABLE interactions DROP COLUMN votes",
    "DROP INDEX interactions_by_answerer",
    (
        "CREATE INDEX interactions_by_answerer ON interactions (answered_by, execution_key) WHERE answered_by IS NOT "
        "NULL"
    ),
    "DROP TABLE assignments",
    """CREATE TABLE assignments (
    name TEXT NOT NULL,
    due INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    interaction_key INTEGER NOT NULL,
    PRIMARY KEY (name, due, urgency, opened)
)
 WITHOUT ROWID""",
    (
        "INSERT INTO assignments (name, due, urgency, opened, interaction_key) SELECT n.name, min(coalesce(i.due_at, "
        "9223372036854775807), coalesce(i.deadline_at, 9223372036854775807)), -coalesce(i.priority, e.priority), "
        "i.opened, i.key FROM (SELECT key, '' AS name FROM interactions WHERE status = 'pending' UNION SELECT i.key, "
        "each.value FROM interactions AS i, json_each(i.assignees) AS each WHERE i.status = 'pending' UNION SELECT "
        "i.key, e.owner FROM interactions AS i JOIN executions AS e ON e.key = i.execution_key WHERE i.status = "
        "'pending' AND i.assignees IS NULL AND e.owner IS NOT NULL) AS n JOIN interactions AS i ON i.key = n.key JOIN"
        " executions AS e ON e.key = i.execution_key"
    ),
    (
        "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT "
        "OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT "
        "OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline "
        "IS NOT OLD.on_deadline OR NEW.priority IS NOT OLD.priority OR NEW.due_at IS NOT OLD.due_at OR NEW.excluded "
        "IS NOT OLD.excluded OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = "
        "'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR "
        "OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.answered_by IS "
        "NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at OR NEW.assignees IS NOT OLD.assignees OR "
        "NEW.claimed_by IS NOT OLD.claimed_by OR NEW.claimed_at IS NOT OLD.claimed_at)) OR (NEW.status = 'answered' "
        "AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key)) OR"
        " (NEW.status = 'answered' AND OLD.excluded IS NOT NULL AND NEW.answered_by IN (SELECT value FROM "
        "json_each(OLD.excluded))) OR (NEW.status = 'answered' AND NEW.answered_by <> OLD.claimed_by) OR "
        "NEW.claimed_by <> OLD.claimed_by OR ((NEW.prompt IS NOT OLD.prompt OR NEW.default_response IS NOT "
        "OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response)) AND (OLD.status = "
        "'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND "
        "execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, "
        "'illegal transition of an interaction, or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT INTO assignments (name, "
        "due, urgency, opened, interaction_key) SELECT name, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key FROM (SELECT '' AS name UNION SELECT value FROM "
        "json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = NEW.execution_key AND NEW.assignees "
        "IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status = "
        "'pending' BEGIN DELETE FROM assignments WHERE name IN (SELECT '' AS name UNION SELECT value FROM "
        "json_each(OLD.assignees) UNION SELECT owner FROM executions WHERE key = OLD.execution_key AND OLD.assignees "
        "IS NULL AND owner IS NOT NULL) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM "
        "executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT INTO assignments (name, due, "
        "urgency, opened, interaction_key) SELECT name, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key FROM (SELECT '' AS name UNION SELECT value FROM "
        "json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = NEW.execution_key AND NEW.assignees "
        "IS NULL AND owner IS NOT NULL); END"
    ),
    "DROP VIEW answers",
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, "
        "'$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, "
        "'$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, "
        "coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT "
        "group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')),"
        " json_extract(a.detail, '$.response.text'), CASE json_extract(a.detail, '$.response.action') WHEN 'decline' "
        "THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN "
        "'no' ELSE value END, ', ') FROM json_each(a.detail, '$.response.content')) END) AS decision, CASE WHEN "
        "json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, "
        "'$.response.selected_option.value') = 'false' THEN 0 WHEN json_extract(a.detail, '$.response.action') = "
        "'decline' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true',"
        " 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR "
        "lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', "
        "'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, "
        "'$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny',"
        " 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', "
        "'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS "
        "approved, coalesce(a.cause = 'deadline', 0) AS by_default, coalesce((SELECT json_extract(d.detail, "
        "'$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id AND d.wait_id = a.wait_id AND d.event"
        " IN ('interaction_delegated', 'interaction_reassigned') AND d.sequence < a.sequence ORDER BY d.sequence DESC"
        " LIMIT 1), json_extract(q.detail, '$.assignees')) AS assignees, coalesce(json_extract(q.detail, "
        "'$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, "
        "'$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles, json_extract(a.detail, "
        "'$.response.comment') AS comment FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id"
        " AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = "
        "a.execution_id AND c.event = 'execution_created' WHERE a.event = 'interaction_answered'"
    ),
    "DROP VIEW approvals",
    (
        "CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, "
        "approved, answered_by AS approved_by, authority, by_default, interaction_id, comment FROM answers WHERE "
        "coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification')"
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
