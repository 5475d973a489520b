"""Logs, metrics and the :func:`stage` timer whose names metrics and benchmarks share.

Logs go to standard error, one event a line, by structlog; what other libraries log through :mod:`logging`
comes out in the same form. Metrics are in a registry of their own, so that a program that imports the client
is not given ours. No metric and no log line carries text of an article.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

import orjson
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

#: Seconds: from a tenth of a millisecond (a kernel) to half a minute (a batch on a slow disk).
_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip

CALLS = Counter("dedup_calls", "Calls answered.", ("method", "code"), registry=REGISTRY)
CALL_SECONDS = Histogram(
    "dedup_call_seconds", "Time of a call.", ("method",), buckets=_BUCKETS, registry=REGISTRY
)
STAGE_SECONDS = Histogram(
    "dedup_stage_seconds", "Time of one stage of the work.", ("stage",), buckets=_BUCKETS, registry=REGISTRY
)
ARTICLES = Counter("dedup_articles", "Articles ingested, by outcome.", ("outcome",), registry=REGISTRY)
CANDIDATES = Counter("dedup_candidates", "Pairs of texts compared word by word.", registry=REGISTRY)
MATCHES = Counter("dedup_matches", "Pairs compared that turned out to be matches.", registry=REGISTRY)

_stage_observers: dict[str, Callable[[float], None]] = {}


class stage:  # noqa: N801 - reads as a verb: with stage("align")
    """Time a block: ``with stage("align"): ...``; a few microseconds, so around a batch rather than each text.

    Names are few and fixed (they are label values): the steps of the work, such as ``tokenize`` or
    ``verify``. A stage that raises is timed too. One instance times one block.
    """

    __slots__ = ("_observe", "_started")

    def __init__(self, name: str) -> None:
        try:
            self._observe = _stage_observers[name]
        except KeyError:
            self._observe = _stage_observers[name] = STAGE_SECONDS.labels(name).observe

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._observe(time.perf_counter() - self._started)


class StageTotal(NamedTuple):
    """How often a stage ran and how long in all."""

    times: int
    seconds: float


def stage_totals() -> dict[str, StageTotal]:
    """Every stage timed in this process so far, by name; a benchmark subtracts two of these."""
    counts: dict[str, float] = {}
    sums: dict[str, float] = {}
    for metric in STAGE_SECONDS.collect():
        for sample in metric.samples:
            if sample.name.endswith("_count"):
                counts[sample.labels["stage"]] = sample.value
            elif sample.name.endswith("_sum"):
                sums[sample.labels["stage"]] = sample.value
    return {name: StageTotal(int(count), sums[name]) for name, count in counts.items()}


def serve_metrics(host: str, port: int) -> Callable[[], None]:
    """Answer Prometheus on ``http://host:port/metrics`` from a thread; the result stops it.

    Raises OSError when the port is taken.
    """
    server, thread = start_http_server(port, host.strip("[]"), registry=REGISTRY)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _to_json(event: Any, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def configure_logging(log_format: Literal["console", "json"] = "console", log_level: str = "info") -> None:
    """Send the logs of this program and of its libraries to standard error in one form."""
    level = logging.getLevelNamesMapping()[log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor]
    if log_format == "json":
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_to_json)]
    else:
        final = [
            structlog.dev.ConsoleRenderer(
                exception_formatter=structlog.dev.plain_traceback, colors=sys.stderr.isatty()
            )
        ]
    structlog.configure(
        processors=[*shared, structlog.processors.StackInfoRenderer(), *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The logger of this package; events are short lower-case phrases, facts go in keywords."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
