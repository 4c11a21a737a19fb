"""The tables of the processes that share the file: their leases, what their runners run, settings, and who is signed in."""

from typing import Final

from sqlalchemy import BLOB, INTEGER, TEXT, CheckConstraint, Column, Index, Table, UniqueConstraint

from restpoint._storage.schema.executions import metadata

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

settings: Final = Table(
    "settings",
    metadata,
    Column("name", TEXT, primary_key=True, nullable=False),
    Column("value", TEXT, nullable=False),
    Column("changed_at", INTEGER, nullable=False),
    CheckConstraint("json_valid(value)", name="settings_value_is_json"),
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

mail_addresses: Final = Table(
    "mail_addresses",
    metadata,
    Column("person", TEXT, primary_key=True, nullable=False),
    Column("address", TEXT, nullable=False, comment="as the provider vouched for it at the last sign-in"),
    Column("provider", TEXT, nullable=False),
    Column("salt", TEXT, nullable=False, comment="random; hashed with the address for the history"),
    Column("sequence", INTEGER, nullable=False, comment="history.sequence of that sign-in"),
    sqlite_with_rowid=False,
)
Index("mail_addresses_of_sign_in", mail_addresses.c.sequence)
