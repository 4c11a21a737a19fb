"""What only SQLite has: opening a file, its writer, triggers and views, revisions, backups, checks and giving space back.

Statements are SQLAlchemy Core also here. Raw are ``PRAGMA``, ``BEGIN``, ``COMMIT``, ``ROLLBACK`` and ``VACUUM``, the
triggers and the views, because Core has no word for them.
"""
