"""What it costs to verify, ask and export a long history.

    python benchmarks/verify.py [--events 1000000]

A file is made with a quarter as many executions, each asked, answered and completed. Columns: seconds by the clock, seconds
of this process's CPU, rows of history a second. The report's questions are asked one after another, each through its view.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from prefill import FINISHED, prefill, used_bytes  # type: ignore[import-not-found]

from restpoint._storage import verification
from restpoint._storage.sqlite.connection import reading
from restpoint.audit import export, reports
from restpoint.audit.reports import Filters


def exhaust(rows: Iterable[object]) -> None:
    for _ in rows:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events // 4 * 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "restpoint.db"
        prefill(path, events // 4, FINISHED)
        print(f"{events} events, {used_bytes(path) / 1e6:.0f} MB, SQLite read by Python {sys.version.split()[0]}")
        print(f"{'':<28}{'seconds':>9}{'CPU':>9}{'rows/s':>12}")

        def measure(name: str, work: Callable[[], object]) -> None:
            began, cpu = time.perf_counter(), time.process_time()
            work()
            took = time.perf_counter() - began
            print(f"{name:<28}{took:>9.2f}{time.process_time() - cpu:>9.2f}{events / took:>12,.0f}", flush=True)

        with reading(path) as connection:

            def verify() -> None:
                verdict = verification.verify(connection)
                assert verdict.holds, verdict.findings
                assert verdict.rows == events

            measure("verify", verify)
            for form in export.FORMATS:
                span = export.span(connection)
                measure(f"export {form}", lambda form=form, span=span: exhaust(export.Export(connection, span, form)))  # type: ignore[misc]
            for name in reports.QUESTIONS:
                measure(f"report {name}", lambda name=name: exhaust(reports.answers(connection, name, Filters())))  # type: ignore[misc]
            nobody = Filters(actor="nobody")
            measure("query --actor nobody", lambda: exhaust(reports.events(connection, nobody)))
        print(f"peak of resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
