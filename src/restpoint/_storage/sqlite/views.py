"""The views: what auditors may rely on, with any SQL tool. ``audit_contract`` has the version of that promise.

Within a version, columns are only added, at the end. Every view but ``open_waits`` reads the history alone, which outlives the
executions, so it shows the same after a sweep. Each row has ``sequence``, the row of history that it comes from, and its time in
two forms: ``at`` for people (ISO 8601, UTC) and ``at_ms`` for programs (milliseconds since the epoch). The workflow and the
prompt are NULL where retention has removed the row that had them.

The SQL of a view is in the files of its revision, so a change of it takes a new revision.
"""

from typing import Final

from restpoint.events import DECISIONS, ENDINGS, READDRESSINGS, UNDOINGS, EventKind
from restpoint.prompts import PROMPTS
from restpoint.prompts.options import NO, YES

CONTRACT: Final = 1
"""The version of the views. It rises when something is taken away that the query of an auditor may rely on."""


def instant(column: str) -> str:
    """SQL: a time as ISO 8601 text with milliseconds, for people."""
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"


def _words(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _when(row: str) -> str:
    return f"{row}.sequence, {instant(f'{row}.time')} AS at, {row}.time AS at_ms"


def _created(row: str) -> str:
    """SQL: the join of a row of history to the row that created its execution."""
    return (
        f"LEFT JOIN history AS c ON c.execution_id = {row}.execution_id AND c.event = '{EventKind.EXECUTION_CREATED}'"
    )


_WHOSE: Final = "json_extract(c.detail, '$.workflow') AS workflow, json_extract(c.detail, '$.owner') AS owner"


def _decision(detail: str) -> str:
    """SQL: what was chosen or written, in words."""
    return (
        f"coalesce(json_extract({detail}, '$.response.selected_option.label'),"
        f" (SELECT group_concat(json_extract(value, '$.label'), ', ') FROM json_each({detail}, '$.response.selected_options')),"
        f" json_extract({detail}, '$.response.text'),"
        # A form: that it was declined, or its fields with what was entered.
        f" CASE json_extract({detail}, '$.response.action') WHEN 'decline' THEN 'declined' ELSE"
        " (SELECT group_concat(key || ': ' || CASE type WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE value END, ', ')"
        f" FROM json_each({detail}, '$.response.content')) END)"
    )


def _approved(detail: str) -> str:
    """SQL: 1 where the chosen option plainly means yes, 0 where it plainly means no or a form was declined, else NULL."""
    option = f"json_extract({detail}, '$.response.selected_option.%s')"
    kind = f"json_type({detail}, '$.response.selected_option.value')"
    word, value = f"lower({option % 'id'})", f"lower({option % 'value'})"
    return (
        f"CASE WHEN {kind} = 'true' THEN 1 WHEN {kind} = 'false' THEN 0"
        f" WHEN json_extract({detail}, '$.response.action') = 'decline' THEN 0"
        f" WHEN {word} IN ({_words(YES)}) OR {value} IN ({_words(YES)}) THEN 1"
        f" WHEN {word} IN ({_words(NO)}) OR {value} IN ({_words(NO)}) THEN 0 END"
    )


# Whom the prompt was addressed to when it was answered: as the last event before that told.
_ASSIGNEES: Final = (
    "coalesce((SELECT json_extract(d.detail, '$.assignees') FROM history AS d WHERE d.execution_id = a.execution_id"
    f" AND d.wait_id = a.wait_id AND d.event IN ({_words(READDRESSINGS)}) AND d.sequence < a.sequence"
    " ORDER BY d.sequence DESC LIMIT 1), json_extract(q.detail, '$.assignees'))"
)
# A vote is what a person decided, and what the votes came to is nobody's answer: it stands beside each of them.
_OUTCOME: Final = (
    f"CASE a.event WHEN '{EventKind.INTERACTION_VOTED}' THEN (SELECT {_decision('o.detail')} FROM history AS o"
    " WHERE o.execution_id = a.execution_id AND o.wait_id = a.wait_id"
    f" AND o.event = '{EventKind.INTERACTION_ANSWERED}') END"
)
_ANSWERS: Final = (
    "SELECT a.execution_id, a.wait_id AS interaction_id, a.actor AS answered_by,"
    f" {instant('a.time')} AS answered_at, a.time AS answered_ms, {instant('q.time')} AS asked_at,"
    " a.time - q.time AS waited_ms, json_extract(q.detail, '$.prompt') AS prompt,"
    " json_extract(a.detail, '$.response') AS response, a.sequence,"
    f" {instant('a.time')} AS at, a.time AS at_ms, {_WHOSE},"
    " json_extract(q.detail, '$.prompt.text') AS question, json_extract(q.detail, '$.position') AS position,"
    f" {_decision('a.detail')} AS decision, {_approved('a.detail')} AS approved,"
    f" coalesce(a.cause IN ('deadline', 'undecided'), 0) AS by_default, {_ASSIGNEES} AS assignees,"
    " coalesce(json_extract(q.detail, '$.four_eyes'), 0) AS four_eyes,"
    " json_extract(a.detail, '$.authority') AS authority, json_extract(a.detail, '$.groups') AS actor_groups,"
    " json_extract(a.detail, '$.roles') AS actor_roles, json_extract(a.detail, '$.response.comment') AS comment,"
    f" a.event = '{EventKind.INTERACTION_VOTED}' AS is_vote, {_OUTCOME} AS outcome"
    " FROM history AS a LEFT JOIN history AS q ON q.execution_id = a.execution_id AND q.wait_id = a.wait_id"
    f" AND q.event = '{EventKind.INTERACTION_ASKED}' {_created('a')} WHERE a.event IN ({_words(DECISIONS)})"
    " AND a.cause IS NOT 'votes'"
)

_ABOUT: Final = (
    "coalesce(json_extract(h.detail, '$.prompt.text'), json_extract(h.detail, '$.error'), json_extract(h.detail, '$.problem'),"
    f" {_decision('h.detail')}, (SELECT 'to ' || group_concat(value, ', ') FROM json_each(h.detail, '$.to')),"
    " (SELECT 'to ' || group_concat(value, ', ') FROM json_each(h.detail, '$.assignees')),"
    " coalesce('to ' || json_extract(h.detail, '$.recipient') || ' ', '') || 'by ' || json_extract(h.detail, '$.channel'),"
    " h.cause)"
)


def response_times(condition: str = "") -> str:
    """SQL: how long people took, by workflow and prompt, over the ``answers`` that meet a condition.

    A percentile is the smallest time that so many percent of the answers did not exceed (the nearest rank). Prompts are the same
    if a runner asked them at the same position of the workflow, or else if they have the same text. ``question`` is the text of
    one of them.
    """
    percentiles = ", ".join(
        f"max(CASE WHEN nth = (total * {percent} + 99) / 100 THEN waited_ms END) AS p{percent}_ms"
        for percent in (50, 90, 95, 99)
    )
    place = "PARTITION BY workflow, coalesce(position, question)"
    return (
        "SELECT workflow, position, min(question) AS question, max(total) AS answers, min(waited_ms) AS min_ms,"
        f" {percentiles}, max(waited_ms) AS max_ms FROM (SELECT workflow, position, question, waited_ms,"
        f" row_number() OVER ({place} ORDER BY waited_ms) AS nth, count(*) OVER ({place}) AS total FROM answers"
        f" WHERE by_default = 0 AND waited_ms IS NOT NULL{condition})"
        " GROUP BY workflow, coalesce(position, question)"
    )


def _of_wait(row: str, event: str) -> str:
    """SQL: the join of an event of telling to an event of the prompt that it tells of."""
    return (
        f" LEFT JOIN history AS {row} ON {row}.execution_id = h.execution_id AND {row}.wait_id = h.wait_id"
        f" AND {row}.event = '{event}'"
    )


_TOLD: Final = (
    f"SELECT {_when('h')}, h.execution_id, {_WHOSE},"
    f" CASE h.event WHEN '{EventKind.NOTICE_DELIVERED}' THEN 'delivered' ELSE 'given up' END AS outcome,"
    " json_extract(h.detail, '$.recipient') AS recipient, json_extract(h.detail, '$.channel') AS channel,"
    " json_extract(h.detail, '$.route') AS route, json_extract(h.detail, '$.event') AS told, h.wait_id AS interaction_id,"
    f" json_extract(q.detail, '$.prompt.text') AS question, {instant('o.time')} AS opened_at, a.actor AS answered_by,"
    f" {instant('a.time')} AS answered_at, CASE WHEN a.sequence > h.sequence THEN a.time - h.time END AS answered_after_ms,"
    " json_extract(h.detail, '$.attempts') AS attempts,"
    " json_extract(h.detail, '$.notice') AS notice"
    f" FROM history AS h {_created('h')}{_of_wait('q', EventKind.INTERACTION_ASKED)}"
    f"{_of_wait('a', EventKind.INTERACTION_ANSWERED)}{_of_wait('o', EventKind.NOTICE_OPENED)}"
    " AND json_extract(o.detail, '$.notice') = json_extract(h.detail, '$.notice')"
    f" WHERE h.event IN ('{EventKind.NOTICE_DELIVERED}', '{EventKind.NOTICE_GIVEN_UP}')"
)

_NO_DECISIONS: Final = tuple(str(kind.model_fields["input_type"].default) for kind in PROMPTS if not kind.is_decision)

VIEWS: Final = {
    "audit_contract": f"SELECT {CONTRACT} AS version",
    "execution_history": (
        f"SELECT sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, {instant('time')} AS at,"
        " time AS at_ms, detail, lower(hex(digest)) AS digest FROM history"
    ),
    "open_waits": (
        "SELECT e.id AS execution_id, e.workflow, e.owner, w.kind, w.id AS wait_id, w.text,"
        f" {instant('w.created_at')} AS asked_at, {instant('w.deadline_at')} AS deadline, w.deadline_at AS deadline_ms,"
        " w.assignees FROM (SELECT 'interaction' AS kind, execution_key, id, opened, created_at, deadline_at,"
        " json_extract(prompt, '$.text') AS text, assignees FROM interactions WHERE status = 'pending'"
        " UNION ALL SELECT 'consent', execution_key, id, opened, created_at, deadline_at, coalesce(provider, auth_url), NULL"
        " FROM consents WHERE status IN ('pending', 'exchanging')) AS w JOIN executions AS e ON e.key = w.execution_key"
    ),
    "answers": _ANSWERS,
    "approvals": (
        "SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, approved, answered_by AS approved_by,"
        " authority, by_default, interaction_id, comment, is_vote, outcome FROM answers"
        f" WHERE coalesce(json_extract(response, '$.type'), '') NOT IN ({_words(_NO_DECISIONS)})"
    ),
    "execution_timeline": (
        f"SELECT {_when('h')}, h.execution_id, h.time - c.time AS after_ms, h.event, h.to_status AS status, h.actor, h.cause,"
        f" {_ABOUT} AS about, h.wait_id, h.detail FROM history AS h {_created('h')} WHERE h.execution_id IS NOT NULL"
        f" UNION ALL SELECT {_when('s')}, gone.value, s.time - c.time, '{EventKind.SWEPT}', NULL, s.actor, s.cause, s.cause,"
        " NULL, NULL"
        " FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone LEFT JOIN history AS c"
        f" ON c.execution_id = gone.value AND c.event = '{EventKind.EXECUTION_CREATED}'"
        f" WHERE s.execution_id IS NULL AND s.event = '{EventKind.SWEPT}'"
    ),
    "answers_by_others": (
        "SELECT sequence, at, at_ms, execution_id, workflow, owner, question, assignees, answered_by, authority, actor_groups,"
        " CASE WHEN authority = 'operator' THEN 'an operator stepped in'"
        " WHEN authority IS NOT NULL THEN 'not an assignee, and in none of the groups'"
        " WHEN assignees LIKE '%\"group:%' THEN 'cannot be said: the groups were not recorded'"
        " ELSE 'not an assignee' END AS finding, decision, interaction_id FROM answers WHERE by_default = 0"
        " AND assignees IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(assignees) AS one WHERE one.value = answered_by"
        " OR one.value IN (SELECT 'group:' || value FROM json_each(actor_groups)))"
    ),
    "response_times": response_times(),
    "default_answers": (
        "SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, assignees, waited_ms, interaction_id"
        " FROM answers WHERE by_default = 1"
    ),
    "recoveries": (
        f"SELECT {_when('h')}, h.execution_id, {_WHOSE}, h.event, h.to_status AS status, h.cause,"
        " json_extract(h.detail, '$.attempt') AS attempt, json_extract(h.detail, '$.code') AS error_code"
        f" FROM history AS h {_created('h')} WHERE h.event = '{EventKind.EXECUTION_RECOVERED}'"
        f" OR (h.event = '{EventKind.EXECUTION_FAILED}' AND h.cause IN ('recover', 'attempts exhausted'))"
        f" OR h.event IN ({_words(UNDOINGS)})"
    ),
    "sweeps": (
        f"SELECT {_when('g')}, g.execution_id, {_WHOSE}, g.how, g.actor, e.to_status AS status, {instant('e.time')} AS ended_at"
        f" FROM (SELECT s.sequence, s.time, gone.value AS execution_id, 'swept' AS how, s.actor"
        " FROM history AS s JOIN json_each(s.detail, '$.execution_ids') AS gone"
        f" WHERE s.execution_id IS NULL AND s.event = '{EventKind.SWEPT}'"
        " UNION ALL SELECT sequence, time, execution_id, 'removed', actor FROM history"
        f" WHERE event = '{EventKind.EXECUTION_REMOVED}') AS g"
        f" {_created('g')} LEFT JOIN history AS e ON e.execution_id = g.execution_id"
        # One that was retried has ended more than once; the last end counts.
        " AND e.sequence = (SELECT max(l.sequence) FROM history AS l WHERE l.execution_id = g.execution_id"
        f" AND l.event IN ({_words(ENDINGS)}))"
    ),
    "told": _TOLD,
    "four_eyes_violations": (
        "SELECT sequence, at, at_ms, execution_id, workflow, owner, question, decision, answered_by, authority, interaction_id"
        " FROM answers WHERE four_eyes = 1 AND by_default = 0 AND owner = coalesce(answered_by, owner)"
    ),
    "file_changes": (
        f"SELECT {_when('h')}, h.event, h.execution_id, h.actor, h.cause, h.detail FROM history AS h"
        f" WHERE (h.execution_id IS NULL AND h.event <> '{EventKind.SWEPT}') OR h.event = '{EventKind.PAYLOADS_ERASED}'"
    ),
}
