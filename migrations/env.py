"""Run by Alembic, whether `restpoint db ...` or the `alembic` command began it."""

from alembic import context

from restpoint._storage.sqlite.migrations import run_environment

run_environment(context)  # type: ignore[arg-type]  # the proxy module stands for the environment
