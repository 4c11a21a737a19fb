"""What only SQLite has: the connection, the writer, triggers, views, backups."""
