"""Prompts that cost less to ask and to answer: triggers of assignments that fill no table of their own, and an index of deadlines.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Frozen: what schema.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "DROP TRIGGER interactions_are_assigned_no_more",
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) VALUES ('', "
        "min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), "
        "-coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, "
        "NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key)); INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) SELECT value, "
        "min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), "
        "-coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, "
        "NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM json_each(NEW.assignees) "
        "WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, "
        "interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM "
        "executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE "
        "key = NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND "
        "owner IS NOT NULL; END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status "
        "= 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(OLD.due_at, "
        "9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = "
        "-coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = "
        "OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NOT NULL AND name IN (SELECT value FROM "
        "json_each(OLD.assignees)) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority "
        "FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM assignments WHERE "
        "OLD.assignees IS NULL AND name = (SELECT owner FROM executions WHERE key = OLD.execution_key) AND due = "
        "min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND "
        "urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND "
        "opened = OLD.opened; INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, "
        "workflow) VALUES ('', min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, "
        "9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = "
        "NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, "
        "workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, "
        "9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = "
        "NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key) FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) SELECT owner, "
        "min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), "
        "-coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, "
        "NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) FROM executions WHERE key = "
        "NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL; END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status "
        "= 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = "
        "min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND "
        "urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND "
        "opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NOT NULL AND name IN (SELECT value "
        "FROM json_each(NEW.assignees)) AND due = min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority "
        "FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM assignments WHERE "
        "NEW.assignees IS NULL AND name = (SELECT owner FROM executions WHERE key = NEW.execution_key) AND due = "
        "min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND "
        "urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND "
        "opened = NEW.opened; END"
    ),
    "DROP INDEX interactions_open",
    (
        "CREATE INDEX interactions_with_a_deadline ON interactions (deadline_at) WHERE status = 'pending' AND "
        "deadline_at IS NOT NULL"
    ),
)

# Drops nothing that was written.
DOWNGRADE = (
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "DROP TRIGGER interactions_are_assigned_no_more",
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT INTO assignments "
        "(name, due, urgency, opened, interaction_key, workflow) SELECT name, min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT "
        "priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM "
        "executions WHERE key = NEW.execution_key) FROM (SELECT '' AS name UNION SELECT value FROM "
        "json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = NEW.execution_key AND "
        "NEW.assignees IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status "
        "= 'pending' BEGIN DELETE FROM assignments WHERE name IN (SELECT '' AS name UNION SELECT value FROM "
        "json_each(OLD.assignees) UNION SELECT owner FROM executions WHERE key = OLD.execution_key AND "
        "OLD.assignees IS NULL AND owner IS NOT NULL) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority "
        "FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT INTO assignments (name, "
        "due, urgency, opened, interaction_key, workflow) SELECT name, min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT "
        "priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM "
        "executions WHERE key = NEW.execution_key) FROM (SELECT '' AS name UNION SELECT value FROM "
        "json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = NEW.execution_key AND "
        "NEW.assignees IS NULL AND owner IS NOT NULL); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status "
        "= 'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name IN (SELECT '' AS name "
        "UNION SELECT value FROM json_each(NEW.assignees) UNION SELECT owner FROM executions WHERE key = "
        "NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT NULL) AND due = min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = "
        "-coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = "
        "NEW.opened; END"
    ),
    "DROP INDEX interactions_with_a_deadline",
    "CREATE INDEX interactions_open ON interactions (deadline_at) WHERE status = 'pending'",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
