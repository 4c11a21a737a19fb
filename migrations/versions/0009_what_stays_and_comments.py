"""What an execution was started with, a deadline and what a run recorded never change; the views of answers have the comments.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    (
        "CREATE TRIGGER executions_labels_stay BEFORE UPDATE OF workflow, owner, priority ON executions"
        " WHEN NEW.workflow IS NOT OLD.workflow OR NEW.owner IS NOT OLD.owner OR NEW.priority IS NOT OLD.priority"
        " BEGIN SELECT RAISE(ABORT, 'what an execution was started with stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_deadlines_stay BEFORE UPDATE OF deadline_at ON interactions"
        " WHEN NEW.deadline_at IS NOT OLD.deadline_at"
        " BEGIN SELECT RAISE(ABORT, 'the deadline of a prompt stays'); END"
    ),
    (
        "CREATE TRIGGER consents_deadlines_stay BEFORE UPDATE OF deadline_at ON consents"
        " WHEN NEW.deadline_at IS NOT OLD.deadline_at"
        " BEGIN SELECT RAISE(ABORT, 'the deadline of a consent stays'); END"
    ),
    (
        "CREATE TRIGGER runs_beginnings_stay BEFORE UPDATE OF execution_key, version, input ON runs"
        " WHEN NEW.execution_key IS NOT OLD.execution_key OR NEW.version IS NOT OLD.version OR NEW.input IS NOT OLD.input"
        " BEGIN SELECT RAISE(ABORT, 'what a run began with stays'); END"
    ),
    (
        "CREATE TRIGGER journal_results_stay BEFORE UPDATE OF execution_key, position, kind, name, result ON journal"
        " WHEN OLD.result IS NOT NULL AND (NEW.execution_key IS NOT OLD.execution_key"
        " OR NEW.kind IS NOT OLD.kind OR NEW.name IS NOT OLD.name OR NEW.result IS NOT OLD.result"
        " OR (NEW.position IS NOT OLD.position AND instr(NEW.position, OLD.position || '~') <> 1))"
        " BEGIN SELECT RAISE(ABORT, 'what was recorded stays'); END"
    ),
    "DROP VIEW approvals",
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
        "'$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', "
        "'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN "
        "('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN "
        "1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', "
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
    (
        "CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, "
        "approved, answered_by AS approved_by, authority, by_default, interaction_id, comment FROM answers WHERE "
        "coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification')"
    ),
)

DOWNGRADE = (
    "DROP TRIGGER executions_labels_stay",
    "DROP TRIGGER interactions_deadlines_stay",
    "DROP TRIGGER consents_deadlines_stay",
    "DROP TRIGGER runs_beginnings_stay",
    "DROP TRIGGER journal_results_stay",
    "DROP VIEW approvals",
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
        "'$.response.selected_option.id')) IN ('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', "
        "'confirm', 'continue', 'grant') OR lower(json_extract(a.detail, '$.response.selected_option.value')) IN "
        "('yes', 'y', 'true', 'ok', 'approve', 'approved', 'accept', 'allow', 'confirm', 'continue', 'grant') THEN "
        "1 WHEN lower(json_extract(a.detail, '$.response.selected_option.id')) IN ('no', 'n', 'false', 'cancel', "
        "'reject', 'rejected', 'decline', 'deny', 'denied', 'refuse', 'stop') OR lower(json_extract(a.detail, "
        "'$.response.selected_option.value')) IN ('no', 'n', 'false', 'cancel', 'reject', 'rejected', 'decline', "
        "'deny', 'denied', 'refuse', 'stop') THEN 0 END AS approved, coalesce(a.cause = 'deadline', 0) AS "
        "by_default, json_extract(q.detail, '$.assignees') AS assignees, coalesce(json_extract(q.detail, "
        "'$.four_eyes'), 0) AS four_eyes, json_extract(a.detail, '$.authority') AS authority, "
        "json_extract(a.detail, '$.groups') AS actor_groups, json_extract(a.detail, '$.roles') AS actor_roles FROM "
        "history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id AND "
        "q.event = 'interaction_asked' LEFT JOIN history AS c ON c.execution_id = a.execution_id AND c.event = "
        "'execution_created' WHERE a.event = 'interaction_answered'"
    ),
    (
        "CREATE VIEW approvals AS SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, "
        "approved, answered_by AS approved_by, authority, by_default, interaction_id FROM answers WHERE "
        "coalesce(json_extract(response, '$.type'), '') NOT IN ('text', 'notification')"
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
