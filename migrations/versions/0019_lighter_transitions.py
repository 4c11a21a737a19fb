"""Transitions that cost less: fewer triggers fire at a write, and those that do compare only what a write can change.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Frozen: what triggers.py says later is a later revision's matter.
UPGRADE = (
    "DROP TRIGGER executions_move_as_the_lifecycle_allows",
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP TRIGGER consents_move_as_the_lifecycle_allows",
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "DROP TRIGGER interactions_are_assigned_no_more",
    "DROP TRIGGER interactions_remind_no_more",
    "DROP TRIGGER history_makes_notices_moot",
    "DROP TRIGGER history_is_told",
    (
        "CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT "
        "OLD.key OR (OLD.status <> NEW.status AND NOT (OLD.status = 'running' AND (NEW.status = "
        "'interaction_required' OR NEW.status = 'oauth_required' OR NEW.status = 'completed' OR NEW.status = 'failed'"
        " OR NEW.status = 'cancelled') OR OLD.status = 'interaction_required' AND (NEW.status = 'oauth_required' OR "
        "NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = "
        "'oauth_required' AND (NEW.status = 'interaction_required' OR NEW.status = 'running' OR NEW.status = 'failed'"
        " OR NEW.status = 'cancelled') OR OLD.status = 'failed' AND (NEW.status = 'running'))) OR ((OLD.status = "
        "'completed' OR OLD.status = 'failed' OR OLD.status = 'cancelled') AND NEW.status = OLD.status AND "
        "(NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT OLD.result OR NEW.error IS NOT OLD.error OR "
        "NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT, 'illegal transition of an execution, or a "
        "change of what stays'); END"
    ),
    (
        "CREATE TRIGGER executions_beginnings_stay BEFORE UPDATE OF id, created_at ON executions WHEN NEW.id IS NOT "
        "OLD.id OR NEW.created_at IS NOT OLD.created_at BEGIN SELECT RAISE(ABORT, 'illegal transition of an "
        "execution, or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_move_as_the_lifecycle_allows BEFORE UPDATE ON interactions WHEN NEW.key IS NOT "
        "OLD.key OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'answered' OR "
        "NEW.status = 'expired' OR NEW.status = 'withdrawn'))) OR ((OLD.status = 'answered' OR OLD.status = 'expired'"
        " OR OLD.status = 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.answered_by IS NOT OLD.answered_by OR"
        " NEW.closed_at IS NOT OLD.closed_at OR NEW.assignees IS NOT OLD.assignees OR NEW.claimed_by IS NOT "
        "OLD.claimed_by OR NEW.claimed_at IS NOT OLD.claimed_at)) OR (NEW.status = 'answered' AND OLD.four_eyes = 1 "
        "AND NEW.answered_by = (SELECT owner FROM executions WHERE key = OLD.execution_key)) OR (NEW.status = "
        "'answered' AND OLD.excluded IS NOT NULL AND NEW.answered_by IN (SELECT value FROM json_each(OLD.excluded))) "
        "OR (NEW.status = 'answered' AND NEW.answered_by <> OLD.claimed_by) OR NEW.claimed_by <> OLD.claimed_by OR "
        "(OLD.votes IS NOT NULL AND (NEW.claimed_by IS NOT NULL OR (OLD.status = 'pending' AND NEW.status = "
        "'answered' AND (NEW.answered_by IS NOT NULL OR (NEW.response IS NOT OLD.default_response AND OLD.votes > "
        "(SELECT count(*) FROM votes WHERE interaction_key = OLD.key AND json_remove(response, '$.comment') = "
        "NEW.response)))))) OR (OLD.status <> 'pending' AND NEW.response IS NOT OLD.response AND NOT EXISTS (SELECT 1"
        " FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND execution_id = (SELECT id FROM "
        "executions WHERE key = OLD.execution_key))) BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction,"
        " or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_beginnings_stay BEFORE UPDATE OF id, execution_key, opened, created_at, "
        "four_eyes, on_deadline, priority, due_at, excluded, votes ON interactions WHEN NEW.id IS NOT OLD.id OR "
        "NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR NEW.created_at IS NOT "
        "OLD.created_at OR NEW.four_eyes IS NOT OLD.four_eyes OR NEW.on_deadline IS NOT OLD.on_deadline OR "
        "NEW.priority IS NOT OLD.priority OR NEW.due_at IS NOT OLD.due_at OR NEW.excluded IS NOT OLD.excluded OR "
        "NEW.votes IS NOT OLD.votes BEGIN SELECT RAISE(ABORT, 'illegal transition of an interaction, or a change of "
        "what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_prompts_stay BEFORE UPDATE OF prompt, default_response ON interactions WHEN "
        "(NEW.prompt IS NOT OLD.prompt OR NEW.default_response IS NOT OLD.default_response) AND (OLD.status = "
        "'pending' OR NOT EXISTS (SELECT 1 FROM history JOIN erasures USING (sequence) WHERE wait_id = OLD.id AND "
        "execution_id = (SELECT id FROM executions WHERE key = OLD.execution_key))) BEGIN SELECT RAISE(ABORT, "
        "'illegal transition of an interaction, or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key "
        "OR (OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = "
        "'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status"
        " = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = "
        "'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status "
        "= 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at OR NEW.denial IS NOT "
        "OLD.denial OR NEW.begun_by IS NOT OLD.begun_by)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent,"
        " or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER consents_beginnings_stay BEFORE UPDATE OF id, execution_key, opened, created_at, provider, "
        "scopes ON consents WHEN NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS "
        "NOT OLD.opened OR NEW.created_at IS NOT OLD.created_at OR NEW.provider IS NOT OLD.provider OR NEW.scopes IS "
        "NOT OLD.scopes BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent, or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) SELECT '', min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, e.priority), "
        "NEW.opened, NEW.key, e.workflow FROM executions AS e WHERE e.key = NEW.execution_key; INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, e.priority), "
        "NEW.opened, NEW.key, e.workflow FROM json_each(NEW.assignees), executions AS e WHERE e.key = "
        "NEW.execution_key AND NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, "
        "opened, interaction_key, workflow) SELECT e.owner, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, e.priority), NEW.opened, NEW.key, "
        "e.workflow FROM executions AS e WHERE e.key = NEW.execution_key AND NEW.assignees IS NULL AND e.owner IS NOT"
        " NULL; END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status = "
        "'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(OLD.due_at, "
        "9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, "
        "(SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM "
        "assignments WHERE OLD.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(OLD.assignees)) AND due"
        " = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND "
        "urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND "
        "opened = OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NULL AND name = (SELECT owner FROM "
        "executions WHERE key = OLD.execution_key) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM "
        "executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT OR IGNORE INTO assignments (name,"
        " due, urgency, opened, interaction_key, workflow) SELECT '', min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, e.priority), NEW.opened, NEW.key, "
        "e.workflow FROM executions AS e WHERE e.key = NEW.execution_key; INSERT OR IGNORE INTO assignments (name, "
        "due, urgency, opened, interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, e.priority), "
        "NEW.opened, NEW.key, e.workflow FROM json_each(NEW.assignees), executions AS e WHERE e.key = "
        "NEW.execution_key AND NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due, urgency, "
        "opened, interaction_key, workflow) SELECT e.owner, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, e.priority), NEW.opened, NEW.key, "
        "e.workflow FROM executions AS e WHERE e.key = NEW.execution_key AND NEW.assignees IS NULL AND e.owner IS NOT"
        " NULL; END"
    ),
    (
        "CREATE TRIGGER interactions_are_closed AFTER UPDATE OF status ON interactions WHEN OLD.status = 'pending' "
        "AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(NEW.due_at,"
        " 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority,"
        " (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM "
        "assignments WHERE NEW.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(NEW.assignees)) AND due"
        " = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND "
        "urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND "
        "opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NULL AND name = (SELECT owner FROM "
        "executions WHERE key = NEW.execution_key) AND due = min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM "
        "executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; DELETE FROM reminders WHERE "
        "interaction_key = NEW.key; END"
    ),
    (
        "CREATE TRIGGER history_is_told AFTER INSERT ON history WHEN NEW.execution_id IS NOT NULL AND (EXISTS (SELECT"
        " 1 FROM routes WHERE event = NEW.event) OR (NEW.wait_id IS NOT NULL AND EXISTS (SELECT 1 FROM outbox WHERE "
        "execution_id = NEW.execution_id AND wait_id = NEW.wait_id))) BEGIN UPDATE outbox SET status = 'moot', "
        "ended_at = NEW.time, due_at = NULL WHERE execution_id = NEW.execution_id AND wait_id = NEW.wait_id AND "
        "sequence < NEW.sequence AND (status = 'pending' OR status = 'given_up') AND asks = 1 AND "
        "(json_extract(NEW.detail, '$.assignees') IS NOT NULL OR NOT (EXISTS (SELECT 1 FROM executions AS e JOIN "
        "interactions AS i ON i.execution_key = e.key WHERE e.id = NEW.execution_id AND i.id = NEW.wait_id AND "
        "i.status = 'pending') OR EXISTS (SELECT 1 FROM executions AS e JOIN consents AS c ON c.execution_key = e.key"
        " WHERE e.id = NEW.execution_id AND c.id = NEW.wait_id AND (c.status = 'pending' OR c.status = "
        "'exchanging')))); INSERT INTO outbox (id, sequence, route, channel, execution_id, wait_id, asks, status, "
        "attempts, created_at, due_at, give_up_at) SELECT printf('%08x-%04x-7%03x-%04x-%012x', NEW.time >> 16, "
        "NEW.time & 65535, random() & 4095, 32768 | (random() & 16383), random() & 281474976710655), NEW.sequence, "
        "r.name, r.channel, NEW.execution_id, NEW.wait_id, r.asks, 'pending', 0, NEW.time, CASE WHEN r.disabled_at IS"
        " NULL THEN NEW.time END, NEW.time + 604800000 FROM routes AS r JOIN executions AS e ON e.id = "
        "NEW.execution_id WHERE r.event = NEW.event AND (r.workflows IS NULL OR e.workflow IN (SELECT value FROM "
        "json_each(r.workflows))) AND (r.owners IS NULL OR e.owner IN (SELECT value FROM json_each(r.owners))) AND "
        "(r.assignees IS NULL OR EXISTS (SELECT 1 FROM interactions AS i, json_each(i.assignees) AS a WHERE "
        "i.execution_key = e.key AND i.id = NEW.wait_id AND a.value IN (SELECT value FROM json_each(r.assignees)))); "
        "END"
    ),
)

# Triggers only: nothing is lost.
DOWNGRADE = (
    "DROP TRIGGER executions_move_as_the_lifecycle_allows",
    "DROP TRIGGER executions_beginnings_stay",
    "DROP TRIGGER interactions_move_as_the_lifecycle_allows",
    "DROP TRIGGER interactions_beginnings_stay",
    "DROP TRIGGER interactions_prompts_stay",
    "DROP TRIGGER consents_move_as_the_lifecycle_allows",
    "DROP TRIGGER consents_beginnings_stay",
    "DROP TRIGGER interactions_are_assigned",
    "DROP TRIGGER interactions_are_assigned_anew",
    "DROP TRIGGER interactions_are_closed",
    "DROP TRIGGER history_is_told",
    (
        "CREATE TRIGGER executions_move_as_the_lifecycle_allows BEFORE UPDATE ON executions WHEN NEW.key IS NOT "
        "OLD.key OR NEW.id IS NOT OLD.id OR NEW.created_at IS NOT OLD.created_at OR (OLD.status <> NEW.status AND NOT"
        " (OLD.status = 'running' AND (NEW.status = 'interaction_required' OR NEW.status = 'oauth_required' OR "
        "NEW.status = 'completed' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = "
        "'interaction_required' AND (NEW.status = 'oauth_required' OR NEW.status = 'running' OR NEW.status = 'failed'"
        " OR NEW.status = 'cancelled') OR OLD.status = 'oauth_required' AND (NEW.status = 'interaction_required' OR "
        "NEW.status = 'running' OR NEW.status = 'failed' OR NEW.status = 'cancelled') OR OLD.status = 'failed' AND "
        "(NEW.status = 'running'))) OR ((OLD.status = 'completed' OR OLD.status = 'failed' OR OLD.status = "
        "'cancelled') AND NEW.status = OLD.status AND (NEW.completed_at IS NOT OLD.completed_at OR NEW.result IS NOT "
        "OLD.result OR NEW.error IS NOT OLD.error OR NEW.error_code IS NOT OLD.error_code)) BEGIN SELECT RAISE(ABORT,"
        " 'illegal transition of an execution, or a change of what stays'); END"
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
        "CREATE TRIGGER consents_move_as_the_lifecycle_allows BEFORE UPDATE ON consents WHEN NEW.key IS NOT OLD.key "
        "OR NEW.id IS NOT OLD.id OR NEW.execution_key IS NOT OLD.execution_key OR NEW.opened IS NOT OLD.opened OR "
        "NEW.created_at IS NOT OLD.created_at OR NEW.provider IS NOT OLD.provider OR NEW.scopes IS NOT OLD.scopes OR "
        "(OLD.status <> NEW.status AND NOT (OLD.status = 'pending' AND (NEW.status = 'exchanging' OR NEW.status = "
        "'denied' OR NEW.status = 'expired' OR NEW.status = 'withdrawn') OR OLD.status = 'exchanging' AND (NEW.status"
        " = 'pending' OR NEW.status = 'granted' OR NEW.status = 'denied' OR NEW.status = 'expired' OR NEW.status = "
        "'withdrawn'))) OR ((OLD.status = 'granted' OR OLD.status = 'denied' OR OLD.status = 'expired' OR OLD.status "
        "= 'withdrawn') AND (NEW.status IS NOT OLD.status OR NEW.closed_at IS NOT OLD.closed_at OR NEW.denial IS NOT "
        "OLD.denial OR NEW.begun_by IS NOT OLD.begun_by)) BEGIN SELECT RAISE(ABORT, 'illegal transition of a consent,"
        " or a change of what stays'); END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned AFTER INSERT ON interactions BEGIN INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) VALUES ('', min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT "
        "priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM "
        "executions WHERE key = NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, "
        "interaction_key, workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key) FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO "
        "assignments (name, due, urgency, opened, interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT "
        "priority FROM executions WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM "
        "executions WHERE key = NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS"
        " NULL AND owner IS NOT NULL; END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_anew AFTER UPDATE OF assignees ON interactions WHEN NEW.status = "
        "'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = min(coalesce(OLD.due_at, "
        "9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, "
        "(SELECT priority FROM executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; DELETE FROM "
        "assignments WHERE OLD.assignees IS NOT NULL AND name IN (SELECT value FROM json_each(OLD.assignees)) AND due"
        " = min(coalesce(OLD.due_at, 9223372036854775807), coalesce(OLD.deadline_at, 9223372036854775807)) AND "
        "urgency = -coalesce(OLD.priority, (SELECT priority FROM executions WHERE key = OLD.execution_key)) AND "
        "opened = OLD.opened; DELETE FROM assignments WHERE OLD.assignees IS NULL AND name = (SELECT owner FROM "
        "executions WHERE key = OLD.execution_key) AND due = min(coalesce(OLD.due_at, 9223372036854775807), "
        "coalesce(OLD.deadline_at, 9223372036854775807)) AND urgency = -coalesce(OLD.priority, (SELECT priority FROM "
        "executions WHERE key = OLD.execution_key)) AND opened = OLD.opened; INSERT OR IGNORE INTO assignments (name,"
        " due, urgency, opened, interaction_key, workflow) VALUES ('', min(coalesce(NEW.due_at, 9223372036854775807),"
        " coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key)); INSERT OR IGNORE INTO assignments (name, due, urgency, opened, interaction_key, "
        "workflow) SELECT value, min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, "
        "9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = "
        "NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = NEW.execution_key) "
        "FROM json_each(NEW.assignees) WHERE NEW.assignees IS NOT NULL; INSERT OR IGNORE INTO assignments (name, due,"
        " urgency, opened, interaction_key, workflow) SELECT owner, min(coalesce(NEW.due_at, 9223372036854775807), "
        "coalesce(NEW.deadline_at, 9223372036854775807)), -coalesce(NEW.priority, (SELECT priority FROM executions "
        "WHERE key = NEW.execution_key)), NEW.opened, NEW.key, (SELECT workflow FROM executions WHERE key = "
        "NEW.execution_key) FROM executions WHERE key = NEW.execution_key AND NEW.assignees IS NULL AND owner IS NOT "
        "NULL; END"
    ),
    (
        "CREATE TRIGGER interactions_are_assigned_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = "
        "'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM assignments WHERE name = '' AND due = "
        "min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency ="
        " -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = "
        "NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NOT NULL AND name IN (SELECT value FROM "
        "json_each(NEW.assignees)) AND due = min(coalesce(NEW.due_at, 9223372036854775807), coalesce(NEW.deadline_at,"
        " 9223372036854775807)) AND urgency = -coalesce(NEW.priority, (SELECT priority FROM executions WHERE key = "
        "NEW.execution_key)) AND opened = NEW.opened; DELETE FROM assignments WHERE NEW.assignees IS NULL AND name = "
        "(SELECT owner FROM executions WHERE key = NEW.execution_key) AND due = min(coalesce(NEW.due_at, "
        "9223372036854775807), coalesce(NEW.deadline_at, 9223372036854775807)) AND urgency = -coalesce(NEW.priority, "
        "(SELECT priority FROM executions WHERE key = NEW.execution_key)) AND opened = NEW.opened; END"
    ),
    (
        "CREATE TRIGGER interactions_remind_no_more AFTER UPDATE OF status ON interactions WHEN OLD.status = "
        "'pending' AND NEW.status <> 'pending' BEGIN DELETE FROM reminders WHERE interaction_key = NEW.key; END"
    ),
    (
        "CREATE TRIGGER history_makes_notices_moot AFTER INSERT ON history WHEN NEW.wait_id IS NOT NULL AND EXISTS "
        "(SELECT 1 FROM outbox WHERE execution_id = NEW.execution_id AND wait_id = NEW.wait_id) BEGIN UPDATE outbox "
        "SET status = 'moot', ended_at = NEW.time, due_at = NULL WHERE execution_id = NEW.execution_id AND wait_id = "
        "NEW.wait_id AND sequence < NEW.sequence AND (status = 'pending' OR status = 'given_up') AND asks = 1 AND "
        "(json_extract(NEW.detail, '$.assignees') IS NOT NULL OR NOT (EXISTS (SELECT 1 FROM executions AS e JOIN "
        "interactions AS i ON i.execution_key = e.key WHERE e.id = NEW.execution_id AND i.id = NEW.wait_id AND "
        "i.status = 'pending') OR EXISTS (SELECT 1 FROM executions AS e JOIN consents AS c ON c.execution_key = e.key"
        " WHERE e.id = NEW.execution_id AND c.id = NEW.wait_id AND (c.status = 'pending' OR c.status = "
        "'exchanging')))); END"
    ),
    (
        "CREATE TRIGGER history_is_told AFTER INSERT ON history WHEN NEW.execution_id IS NOT NULL AND EXISTS (SELECT "
        "1 FROM routes WHERE event = NEW.event) BEGIN INSERT INTO outbox (id, sequence, route, channel, execution_id,"
        " wait_id, asks, status, attempts, created_at, due_at, give_up_at) SELECT "
        "printf('%08x-%04x-7%03x-%04x-%012x', NEW.time >> 16, NEW.time & 65535, random() & 4095, 32768 | (random() & "
        "16383), random() & 281474976710655), NEW.sequence, r.name, r.channel, NEW.execution_id, NEW.wait_id, r.asks,"
        " 'pending', 0, NEW.time, CASE WHEN r.disabled_at IS NULL THEN NEW.time END, NEW.time + 604800000 FROM routes"
        " AS r JOIN executions AS e ON e.id = NEW.execution_id WHERE r.event = NEW.event AND (r.workflows IS NULL OR "
        "e.workflow IN (SELECT value FROM json_each(r.workflows))) AND (r.owners IS NULL OR e.owner IN (SELECT value "
        "FROM json_each(r.owners))) AND (r.assignees IS NULL OR EXISTS (SELECT 1 FROM interactions AS i, "
        "json_each(i.assignees) AS a WHERE i.execution_key = e.key AND i.id = NEW.wait_id AND a.value IN (SELECT "
        "value FROM json_each(r.assignees)))); END"
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
