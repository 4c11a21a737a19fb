"""Values and rules. Nothing here opens a database or a socket; only ``secret_files`` touches the disk."""
