"""Metrics for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/.

Each ``Metrics`` has a registry of its own, so that two applications in one process do not collide.

What is counted as it happens (transitions, commits, sweeps, runs in memory) is of this process: if several processes serve one
file, add their numbers up. What is counted in the file (open waits, runs by state) is the same in every process: take the
maximum, not the sum.

Labels are names and statuses and never the id of an execution, because a series for each execution would be too many.
"""

import asyncio
import logging
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from restpoint._core.changes import Change
from restpoint._storage import Gauges
from restpoint._store.store import ExecutionStore
from restpoint.errors import RestpointError

if TYPE_CHECKING:
    from restpoint._engine.runner import Runner
    from restpoint.notify.deliverer import Deliverer
    from restpoint.oauth.flow import Consents

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""The content type of ``Metrics.text``."""

FRESH_SECONDS: Final = 5.0
"""Seconds for which numbers that were counted in the file are reused, so that frequent scrapes do not keep reading it."""

_BATCHES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics(Collector):
    """The metrics of one store, and of its runner and consents if there are any.

    It counts from its creation until ``close``, so create it before the store is used. It is the only observer of the store.
    ``registry`` is open to the application's own metrics.
    """

    def __init__(
        self,
        store: ExecutionStore,
        runner: "Runner | None" = None,
        consents: "Consents | None" = None,
        deliverer: "Deliverer | None" = None,
    ) -> None:
        self.registry: Final = CollectorRegistry()
        self._store = store
        self._runner = runner
        self._consents = consents
        self._deliverer = deliverer
        # Plain numbers, counted on the event loop: a Counter with labels costs ten times as much.
        self._transitions: Tally[str] = Tally()
        self._gauges: Gauges | None = None
        self._counted = 0.0
        self._counting = asyncio.Lock()
        self._batches = Histogram(
            "restpoint_commit_batch_jobs",
            "Writes that shared one transaction and its fsync.",
            buckets=_BATCHES,
            registry=self.registry,
        )
        self._commits = Histogram(
            "restpoint_commit_seconds",
            "Time of a transaction from BEGIN to COMMIT, the wait for other processes and the fsync included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._failures = Counter(
            "restpoint_storage_failures",
            "Writes that SQLite or the file system failed; their callers were told.",
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(self)
        self._unsubscribe: Callable[[], None] | None = store.subscribe(self._changed)
        store.observe(self._committed)

    def close(self) -> None:
        """Stop counting. A second call does nothing."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._store.observe(None)

    async def text(self) -> bytes:
        """All metrics in the text format of Prometheus. Numbers from the file are at most ``FRESH_SECONDS`` old.

        If the file cannot be read, ``restpoint_file_up`` is 0 and the numbers from it are missing.
        """
        async with self._counting:
            if self._gauges is None or time.monotonic() - self._counted > FRESH_SECONDS:
                try:
                    self._gauges = await self._store.gauges()
                except RestpointError:
                    log.exception("what is in the file could not be counted")
                    self._gauges = None
                self._counted = time.monotonic()
        return generate_latest(self.registry)

    # --- Called by the store ---

    def _changed(self, change: Change) -> None:
        self._transitions[change.event] += 1

    def _committed(self, jobs: int, seconds: float, failed: int) -> None:
        """Called by the writer thread; prometheus-client has locks of its own."""
        self._batches.observe(jobs)
        self._commits.observe(seconds)
        if failed:
            self._failures.inc(failed)

    # --- Called by the registry ---

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that registering does not read a file that is not open yet."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """The metrics that are kept as plain numbers, and those that were counted in the file."""
        what = "Changes that this process committed, by event."
        yield _labelled(CounterMetricFamily, "restpoint_transitions", what, "event", self._transitions)
        yield GaugeMetricFamily(
            "restpoint_file_up", "1 if the file could be read just now, else 0.", value=int(self._gauges is not None)
        )
        if self._gauges is not None:
            yield from _of_the_file(self._gauges)
        if self._consents is not None:
            what = "Callbacks of OAuth providers, by outcome; forged and replayed ones changed nothing."
            callbacks, refreshes = self._consents.callbacks, self._consents.refreshes
            yield _labelled(CounterMetricFamily, "restpoint_oauth_callbacks", what, "outcome", callbacks)
            what = "Refreshes of expired OAuth tokens, by outcome."
            yield _labelled(CounterMetricFamily, "restpoint_oauth_refreshes", what, "outcome", refreshes)
        if self._deliverer is not None:
            attempts = CounterMetricFamily(
                "restpoint_notice_attempts",
                "Attempts of this process to deliver a notice, by channel and outcome: delivered, failed, or given_up for good.",
                labels=["channel", "outcome"],
            )
            for (channel, outcome), count in sorted(self._deliverer.outcomes.items()):
                attempts.add_metric([channel, outcome], count)
            yield attempts
        if self._runner is not None:
            states = ("running", "paused_in_memory", "queued")
            yield _labelled(
                GaugeMetricFamily,
                "restpoint_runner_executions",
                "Executions that this process's runner holds, by state.",
                "state",
                {state: getattr(self._runner, state) for state in states},
            )


def _labelled(
    family: type[CounterMetricFamily | GaugeMetricFamily], name: str, what: str, label: str, counts: Mapping[str, float]
) -> Metric:
    """A metric with one label and a number for each of its values."""
    metric = family(name, what, labels=[label])
    for value, count in sorted(counts.items()):
        metric.add_metric([value], count)
    return metric


def _of_the_file(gauges: Gauges) -> Iterator[Metric]:
    what = "Prompts and consents in the file that are open."
    counts = {kind: wait.count for kind, wait in gauges.waits.items()}
    yield _labelled(GaugeMetricFamily, "restpoint_open_waits", what, "kind", counts)
    what = "Age of the one that has been open longest; 0: none."
    ages = {
        kind: 0 if wait.oldest is None else max(gauges.at - wait.oldest, 0) / 1000
        for kind, wait in gauges.waits.items()
    }
    yield _labelled(GaugeMetricFamily, "restpoint_oldest_open_wait_seconds", what, "kind", ages)
    yield GaugeMetricFamily(
        "restpoint_pending_notices", "Notices in the file that are still to be delivered.", value=gauges.notices.count
    )
    oldest = gauges.notices.oldest
    yield GaugeMetricFamily(
        "restpoint_oldest_pending_notice_seconds",
        "Age of the oldest notice that is still to be delivered; 0: none.",
        value=0 if oldest is None else max(gauges.at - oldest, 0) / 1000,
    )
    yield GaugeMetricFamily(
        "restpoint_given_up_notices", "Notices in the file that were given up.", value=gauges.given_up_notices
    )
    yield GaugeMetricFamily(
        "restpoint_disabled_routes",
        "Routes that are disabled because the receiver is gone.",
        value=gauges.disabled_routes,
    )
    what = "Executions of workflows in the file: claimed by a runner, ready for one, or left by one with a problem."
    yield _labelled(GaugeMetricFamily, "restpoint_runs", what, "state", gauges.runs)
    yield CounterMetricFamily(
        "restpoint_swept_executions",
        "Executions that this process deleted after their time to live.",
        value=gauges.swept,
    )
    if gauges.swept_at is not None:
        yield GaugeMetricFamily(
            "restpoint_last_sweep_timestamp_seconds",
            "When this process's last sweep ended, in seconds since the epoch.",
            value=gauges.swept_at / 1000,
        )
