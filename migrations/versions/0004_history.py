"""History for auditors and operators: their questions as views, four eyes in the file itself, erasures, settings of the file.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Frozen: what schema.py and views.py say later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP VIEW answers",
    "CREATE INDEX history_of_file ON history (event) WHERE execution_id IS NULL",
    "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key)) OR ((NEW.prompt IS NOT OLD.prompt OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response)) AND (OLD.status = 'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key)))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END",
    "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS at, a.time AS at_ms, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position, coalesce(json_extract(a.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(a.detail, '$.response.selected_options')), json_extract(a.detail, '$.response.text')) AS decision, CASE WHEN json_type(a.detail, '$.response.selected_option.value') = 'true' THEN 1 WHEN json_type(a.detail, '$.response.selected_option.value') = 'false' THEN 0 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN 1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause = 'deadline', 0) AS by_default, json_extract(q.detail, '$.assignees') AS assignees, coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = 'execution_created' WHERE a.event = 'interaction_answered'",
    "CREATE VIEW audit_contract AS SELECT 1 AS version",
    "CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, approved, answered_by AS approved_by, authority, by_default, interaction_id FROM answers WHERE coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification')",
    "CREATE VIEW execution_timeline AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS status, h.actor, h.cause, coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'), json_extract(h.detail, '$.problem'), coalesce(json_extract(h.detail, '$.response.selected_option.label'), (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each(h.detail, '$.response.selected_options')), json_extract(h.detail, '$.response.text')), h.cause) AS about, h.wait_id, h.detail FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.execution_id IS NOT NULL UNION ALL SELECT s.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', s.time / 1000.0, 'unixepoch') AS at, s.time AS at_ms, gone.value, s.time - c.time, 'swept', NULL, s.actor, s.cause, s.cause, NULL, NULL FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c ON c.execution_id = gone.value AND c.event = 'execution_created' WHERE s.execution_id IS NULL AND s.event = 'swept'",
    "CREATE VIEW answers_by_others AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, assignees, answered_by, authority, actor_groups, CASE WHEN authority = 'operator' THEN 'an operator stepped in' WHEN authority IS NOT NULL THEN 'not an assignee, and in none of the groups' WHEN assignees LIKE '%\"group:%' THEN 'cannot be said: the groups were not recorded' ELSE 'not an assignee' END AS finding, decision, interaction_id FROM answers WHERE by_default = 0 AND assignees IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(assignees) AS one WHERE one.value = answered_by OR one.value IN (SELECT 'group:' || value FROM json_each(actor_groups)))",
    "CREATE VIEW response_times AS SELECT workflow, position, min(question) AS question, max(total) AS answers, min(waited_ms) AS min_ms, max(CASE WHEN nth = (total * 50 + 99) / 100 THEN waited_ms END) AS p50_ms, max(CASE WHEN nth = (total * 90 + 99) / 100 THEN waited_ms END) AS p90_ms, max(CASE WHEN nth = (total * 95 + 99) / 100 THEN waited_ms END) AS p95_ms, max(CASE WHEN nth = (total * 99 + 99) / 100 THEN waited_ms END) AS p99_ms, max(waited_ms) AS max_ms FROM (SELECT workflow, position, question, waited_ms, row_number() OVER (PARTITION BY workflow, coalesce(position, question) ORDER BY waited_ms) AS nth, count(*) OVER (PARTITION BY workflow, coalesce(position, question)) AS total FROM answers WHERE by_default = 0 AND waited_ms IS NOT NULL) GROUP BY workflow, coalesce(position, question)",
    "CREATE VIEW default_answers AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, assignees, waited_ms, interaction_id FROM answers WHERE by_default = 1",
    "CREATE VIEW recoveries AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, h.event, h.to_status AS status, h.cause, json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code FROM history AS h LEFT JOIN history AS c ON c.execution_id = h.execution_id AND c.event = 'execution_created' WHERE h.event = 'execution_recovered' OR (h.event = 'execution_failed' AND h.cause IN ('recover', 'attempts exhausted'))",
    "CREATE VIEW sweeps AS SELECT g.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', g.time / 1000.0, 'unixepoch') AS at, g.time AS at_ms, g.execution_id, json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner, g.how, g.actor, e.to_status AS status, strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS ended_at FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone WHERE s.execution_id IS NULL AND s.event = 'swept' UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history WHERE event = 'execution_removed') AS g LEFT JOIN history AS c ON c.execution_id = g.execution_id AND c.event = 'execution_created' LEFT JOIN history AS e ON e.execution_id = g.execution_id AND e.event IN ('execution_completed', 'execution_failed', 'execution_cancelled')",
    "CREATE VIEW four_eyes_violations AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, answered_by, authority, interaction_id FROM answers WHERE four_eyes = 1 AND by_default = 0 AND owner = coalesce(answered_by, owner)",
    "CREATE VIEW file_changes AS SELECT h.sequence, strftime('%Y-%m-%dT%H:%M:%fZ', h.time / 1000.0, 'unixepoch') AS at, h.time AS at_ms, h.event, h.execution_id, h.actor, h.cause, h.detail FROM history AS h WHERE (h.execution_id IS NULL AND h.event <> 'swept') OR h.event = 'payloads_erased'",
    """CREATE TABLE erasures (
    sequence INTEGER NOT NULL,
    ordered INTEGER NOT NULL,
    PRIMARY KEY (sequence)
)""",
    """CREATE TABLE settings (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (name),
    CONSTRAINT settings_value_is_json CHECK (json_valid(value))
)
 WITHOUT ROWID""",
    "DROP TRIGGER history_is_never_changed",
    "CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history WHEN NEW.detail IS NOT NULL OR NEW.sequence IS NOT OLD.sequence OR NEW.execution_id IS NOT OLD.execution_id OR NEW.event IS NOT OLD.event OR NEW.wait_id IS NOT OLD.wait_id OR NEW.from_status IS NOT OLD.from_status OR NEW.to_status IS NOT OLD.to_status OR NEW.actor IS NOT OLD.actor OR NEW.cause IS NOT OLD.cause OR NEW.time IS NOT OLD.time OR NEW.detail_sha256 IS NOT OLD.detail_sha256 OR NEW.digest IS NOT OLD.digest OR NOT EXISTS (SELECT 1 FROM erasures WHERE sequence = OLD.sequence) BEGIN SELECT RAISE(ABORT, 'history is append-only'); END",
    "CREATE TRIGGER erasures_are_told_of BEFORE INSERT ON erasures WHEN NOT EXISTS (SELECT 1 FROM history AS e, json_each(e.detail, '$.sequences') AS named WHERE e.sequence = NEW.ordered AND e.event = 'payloads_erased' AND e.sequence > NEW.sequence AND named.value = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'an erasure is told of by a later row of history that names it'); END",
    "CREATE TRIGGER erasures_are_never_changed BEFORE UPDATE ON erasures BEGIN SELECT RAISE(ABORT, 'an erasure stays'); END",
    "CREATE TRIGGER erasures_go_with_the_history BEFORE DELETE ON erasures WHEN OLD.sequence > (SELECT sequence FROM history_anchor) BEGIN SELECT RAISE(ABORT, 'an erasure stays'); END",
    "ALTER TABLE journal ADD COLUMN seen INTEGER",
    # From now on the ordinal is the place of an outcome among all that the workflow was given; so far it told those apart
    # that were recorded after the same row of history, and the answers stood between them by their own rows.
    "UPDATE journal SET ordinal = given.nth FROM (SELECT execution_key, position, row_number() OVER (PARTITION BY execution_key ORDER BY at, own, ordinal) AS nth FROM (SELECT j.execution_key, j.position, j.settled AS at, 1 AS own, j.ordinal FROM journal AS j JOIN executions AS e ON e.key = j.execution_key WHERE e.status NOT IN ('completed', 'failed', 'cancelled') AND j.settled IS NOT NULL AND j.error IS NOT '\"abandoned\"' UNION ALL SELECT j.execution_key, j.position, max(h.sequence), 0, 0 FROM journal AS j JOIN executions AS e ON e.key = j.execution_key JOIN history AS h ON h.execution_id = e.id AND h.wait_id = json_extract(j.result, '$') WHERE e.status NOT IN ('completed', 'failed', 'cancelled') AND j.kind IN ('ask', 'authorize') AND j.settled IS NULL AND h.event NOT IN ('interaction_asked', 'consent_asked') GROUP BY j.execution_key, j.position HAVING max(h.sequence) <= (SELECT max(l.settled) FROM journal AS l WHERE l.execution_key = j.execution_key))) AS given WHERE journal.execution_key = given.execution_key AND journal.position = given.position",
    "UPDATE journal SET ordinal = NULL WHERE error = '\"abandoned\"'",
)

# Drops views and an index, which nobody wrote; the list of the details that were erased, which stay erased; and the settings
# of the file, which a program is then told again. Four eyes are held by the doors alone again.
DOWNGRADE = (
    "DROP TABLE erasures",
    "DROP TABLE settings",
    "DROP TRIGGER history_is_never_changed",
    "CREATE TRIGGER history_is_never_changed BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history is append-only'); END",
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP VIEW file_changes",
    "DROP VIEW four_eyes_violations",
    "DROP VIEW sweeps",
    "DROP VIEW recoveries",
    "DROP VIEW default_answers",
    "DROP VIEW response_times",
    "DROP VIEW answers_by_others",
    "DROP VIEW execution_timeline",
    "DROP VIEW approvals",
    "DROP VIEW audit_contract",
    "DROP VIEW answers",
    "DROP INDEX history_of_file",
    "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT OLD.key OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.prompt IS NOT OLD.prompt OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.assignees IS NOT OLD.assignees OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR NEW.default_response IS NOT OLD.default_response OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired' OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.response IS NOT OLD.response OR NEW.answered_by IS NOT OLD.answered_by OR NEW.closed_at IS NOT OLD.closed_at)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of what stays'); END",
    "CREATE VIEW answers AS SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by, strftime('%Y-%m-%dT%H:%M:%fZ', a.time / 1000.0, 'unixepoch') AS answered_at, a.time AS answered_ms, strftime('%Y-%m-%dT%H:%M:%fZ', q.time / 1000.0, 'unixepoch') AS asked_at, a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt, json_extract(a.detail, '$.response') AS response, a.sequence FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND q.event = 'interaction_asked' WHERE a.event = 'interaction_answered'",
    "UPDATE journal SET ordinal = NULL WHERE kind IN ('ask', 'authorize')",
    "UPDATE journal SET ordinal = own.nth FROM (SELECT execution_key, position, row_number() OVER (PARTITION BY execution_key ORDER BY ordinal) AS nth FROM journal WHERE ordinal IS NOT NULL) AS own WHERE journal.execution_key = own.execution_key AND journal.position = own.position",
    "ALTER TABLE journal DROP COLUMN seen",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement.replace(":", "\\:"))


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement.replace(":", "\\:"))
