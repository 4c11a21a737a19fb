"""Whom open prompts are for, as a table with an index; who has claimed one; who must not answer it; its own priority and due date.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "ALTER TABLE interactions ADD COLUMN priority INTEGER",
    "ALTER TABLE interactions ADD COLUMN due_at INTEGER",
    "ALTER TABLE interactions ADD COLUMN excluded TEXT",
    "ALTER TABLE interactions ADD COLUMN claimed_by TEXT",
    "ALTER TABLE interactions ADD COLUMN claimed_at INTEGER",
    # Where a file was downgraded before, its history still tells these.
    (
        "UPDATE interactions SET priority = json_extract(h.detail, '$.priority'), due_at = h.time + "
        "json_extract(h.detail, '$.due_ms'), excluded = nullif((SELECT json_group_array(actor) FROM (SELECT "
        "DISTINCT a.actor FROM history AS a WHERE a.execution_id = h.execution_id AND a.event = "
        "'interaction_answered' AND a.actor IS NOT NULL AND a.wait_id IN (SELECT value FROM json_each(h.detail, "
        "'$.other_than')) ORDER BY a.actor)), '[]') FROM history AS h WHERE h.sequence = interactions.opened AND "
        "(json_type(h.detail, '$.priority') = 'integer' OR json_type(h.detail, '$.due_ms') = 'integer' OR "
        "json_type(h.detail, '$.other_than') = 'array')"
    ),
    (
        "UPDATE interactions SET claimed_by = h.actor, claimed_at = h.time FROM history AS h, executions AS e "
        "WHERE h.event = 'interaction_claimed' AND e.id = h.execution_id AND interactions.execution_key = e.key "
        "AND interactions.id = h.wait_id AND NOT EXISTS (SELECT 1 FROM history AS l WHERE l.execution_id = "
        "h.execution_id AND l.wait_id = h.wait_id AND l.sequence > h.sequence AND l.event IN "
        "('interaction_claimed', 'interaction_released', 'interaction_delegated', 'interaction_reassigned'))"
    ),
    (
        "CREATE INDEX interactions_by_answerer ON interactions (answered_by, execution_key) WHERE answered_by IS "
        "NOT NULL"
    ),
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
        "INSERT INTO assignments (name, due, urgency, opened, interaction_key) SELECT n.name, "
        "min(coalesce(i.due_at, 9223372036854775807), coalesce(i.deadline_at, 9223372036854775807)), "
        "-coalesce(i.priority, e.priority), i.opened, i.key FROM (SELECT key, '' AS name FROM interactions WHERE "
        "status = 'pending' UNION SELECT i.key, each.value FROM interactions AS i, json_each(i.assignees) AS each "
        "WHERE i.status = 'pending' UNION SELECT i.key, e.owner FROM interactions AS i JOIN executions AS e ON "
        "e.key = i.execution_key WHERE i.status = 'pending' AND i.assignees IS NULL AND e.owner IS NOT NULL) AS n "
        "JOIN interactions AS i ON i.key = n.key JOIN executions AS e ON e.key = i.execution_key"
    ),
    (
        "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS "
        "NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT "
        "OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.four_eyes IS NOT OLD.four_eyes OR "
        "NEW.on_deadline IS NOT OLD.on_deadline OR NEW.priority IS NOT OLD.priority OR NEW.due_at IS NOT "
        "OLD.due_at OR NEW.excluded IS NOT OLD.excluded OR (OLD.status <> NEW.status AND NOT (OLD.status = "
        "'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR "
        "((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT "
        "OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at OR "
        "NEW.assignees IS NOT OLD.assignees OR NEW.claimed_by IS NOT OLD.claimed_by OR NEW.claimed_at IS NOT "
        "OLD.claimed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner "
        "FROM executions WHERE key = OLD.execution_key)) OR (NEW.status = 'answered' AND OLD.excluded IS NOT NULL "
        "AND NEW.answered_by IN (SELECT value FROM json_each(OLD.excluded))) OR (NEW.status = 'answered' AND "
        "NEW.answered_by <> OLD.claimed_by) OR NEW.claimed_by <> OLD.claimed_by OR ((NEW.prompt IS NOT OLD.prompt "
        "OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT "
        "OLD.response)) AND (OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING "
        "(sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = "
        "OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of "
        "what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT INTO assignments "
        "(name, due, urgency, opened, interaction_key) SELECT name, min(coalesce(NEW.due_at, 9223372036854775807),"
        " coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM "
        "executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key FROM (SELECT '' AS name UNION SELECT "
        "value FROM json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = NEW.execution_key AND "
        "NEW.assignees IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status ="
        " 'pending' BEGIN DELETE FROM assignments WHERE name IN (SELECT '' AS name UNION SELECT value FROM "
        "json_each(OLD.assignees) UNION SELECT owner FROM executions WHERE key = OLD.execution_key AND "
        "OLD.assignees IS NULL AND owner IS NOT NULL) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority "
        "FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT INTO assignments (name, "
        "due, urgency, opened, interaction_key) SELECT name, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions"
        " WHERE key = NEW.execution_key)), NEW.opened, NEW.key FROM (SELECT '' AS name UNION SELECT value FROM "
        "json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = NEW.execution_key AND "
        "NEW.assignees IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status ="
        " 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name IN (SELECT '' AS name "
        "UNION SELECT value FROM json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = "
        "NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL) AND due = min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = "
        "-coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = "
        "NEW.opened; END"
    ),
    "DROP VIEW answers",
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, "
        "'$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, '$.prompt.text')"
        " AS question, json_extract(q.detail, '$.position') AS position, coalesce(json_extract(a.detail, "
        "'$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM "
        "json_each(a.detail, '$.response.selected_options')), json_extract(a.detail, '$.response.text'), CASE "
        "json_extract(a.detail, '$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ':"
        " ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(a.detail, "
        "'$.response.content')) END) AS decision, CASE WHEN json_type(a.detail, '$.response.selected_option.value') = "
        "'true' THEN 1 WHEN json_type(a.detail, '$.response.selected_option.value') = 'false' THEN 0 WHEN "
        "json_extract(a.detail, '$.response.action') = 'decline' THEN 0 WHEN lower(json_extract(a.detail, "
        "'$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', "
        "'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN "
        "('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 "
        "WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', "
        "'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, "
        "'$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', "
        "'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause = 'deadline', 0) AS by_default, "
        "coalesce((SELECT json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id"
        " AND d.wait_id = a.wait_id AND d.event IN ('interaction_delegated', 'interaction_reassigned') AND d.sequence <"
        " a.sequence ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees')) AS assignees, "
        "coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS "
        "authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS "
        "actor_roles, json_extract(a.detail, '$.response.comment') AS comment FROM history AS a LEFT JOIN history AS q "
        "ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN "
        "history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event = "
        "'interaction_answered'"
    ),
    "DROP VIEW execution_timeline",
    (
        "CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, "
        "'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS "
        "status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'),"
        " json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), "
        "(SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, "
        "'$.response.selected_options')), json_extract(h.detail, '$.response.text'), CASE json_extract(h.detail, "
        "'$.response.action') WHEN 'decline' THEN 'declined' ELSE (SELECT group_concat(key || ': ' || CASE type WHEN "
        "'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ') FROM json_each(h.detail, '$.response.content'))"
        " END), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = "
        "h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence,"
        " strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - "
        "c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, "
        "'$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = "
        "'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept'"
    ),
)

# Drops the claims, due dates and priorities of prompts, and who must not answer them beside the owner, all of which the history
# keeps. A prompt that was delegated stays addressed to whom it was addressed to last.
DOWNGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "DROP TRIGGER interactions_are_assigned_no_more",
    "DROP TABLE assignments",
    "DROP INDEX interactions_by_answerer",
    "ALTER TABLE interactions DROP COLUMN claimed_at",
    "ALTER TABLE interactions DROP COLUMN claimed_by",
    "ALTER TABLE interactions DROP COLUMN excluded",
    "ALTER TABLE interactions DROP COLUMN due_at",
    "ALTER TABLE interactions DROP COLUMN priority",
    (
        "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS "
        "NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT "
        "OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes"
        " IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR (OLD.status <> NEW.status AND NOT "
        "(OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = "
        "'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND "
        "(NEW.status IS NOT OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT "
        "OLD.closed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner "
        "FROM executions WHERE key = OLD.execution_key)) OR ((NEW.prompt IS NOT OLD.prompt OR NEW.default_response"
        " IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response)) AND "
        "(OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id"
        " = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key)))) BEGIN SELECT "
        "RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END"
    ),
    "DROP VIEW answers",
    (
        "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, "
        "json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, "
        "a.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, "
        "json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, "
        "json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, "
        "coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT "
        "group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, "
        "'$.response.selected_options')), json_extract(a.detail, '$.response.text')) AS decision, CASE WHEN "
        "json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, "
        "'$.response.selected_option.value') = 'false' THEN 0 WHEN lower(json_extract(a.detail, "
        "'$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow',"
        " 'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN "
        "('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN"
        " 1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', "
        "'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, "
        "'$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', "
        "'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause = 'deadline', 0) AS "
        "by_default, json_extract(q.detail, '$.assignees') AS assignees, coalesce(json_extract(q.detail, "
        "'$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, "
        "json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles, "
        "json_extract(a.detail, '$.response.comment') AS comment FROM history AS a LEFT JOIN history AS q ON "
        "q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN "
        "history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event = "
        "'interaction_answered'"
    ),
    "DROP VIEW execution_timeline",
    (
        "CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, "
        "'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS "
        "status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'),"
        " json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), "
        "(SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, "
        "'$.response.selected_options')), json_extract(h.detail, '$.response.text')), h.cause) AS about, h.wait_id, "
        "h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = "
        "'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - "
        "c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, "
        "'$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = "
        "'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept'"
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
