"""Memory of the store as the system counts it, at rest and during a rewrite of its file; the longest scripts.

The store's own count leaves out what its allocator has lost to fragments and what a rewrite copies: the child shares
pages with its parent until one of them is written to, so ingest goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Final

from bench import corpus, load, metrics
from bench.options import Options
from bench.processes import Fsync, Stack, children, fresh_stack, memory, private
from bench.report import Cell, Grid, Part
from dedup.client import AsyncDedupClient

COLLECTION: Final = "bench"
SLOW_MICROSECONDS: Final = 2000
LIMIT_MICROSECONDS: Final = 10_000
_SAMPLE_SECONDS: Final = 0.05
_REWRITE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes of memory, and microseconds of scripts, with one setting of the append-only file."""

    fsync: str
    articles: int
    rate: float
    own_count: int
    resident: int
    own_count_per_article: float
    resident_per_article: float
    peak_own_count: int
    peak_resident: int
    peak_with_child: int
    rewrite_seconds: float
    longest_script: int
    longest_script_name: str
    scripts_over_limit: int
    longest_other: int
    longest_other_name: str
    script_percentiles: dict[str, float]


@dataclass(slots=True)
class _Peak:
    own_count: int = 0
    resident: int = 0
    with_child: int = 0
    rewrite_seconds: float = 0.0


def _rewrite(stack: Stack) -> _Peak:
    """Rewrite the append-only file and watch memory until it is done."""
    peak = _Peak()
    with stack.redis() as store:
        started = time.monotonic()
        store.bgrewriteaof()
        while time.monotonic() - started < _REWRITE_SECONDS:
            found = metrics.info(store, "memory")
            resident = memory(stack.store_pid, "VmRSS")["VmRSS"]
            peak.own_count = max(peak.own_count, int(found["used_memory"]))
            peak.resident = max(peak.resident, resident)
            peak.with_child = max(peak.with_child, resident + sum(map(private, children(stack.store_pid))))
            state = metrics.info(store, "persistence")
            if not state["aof_rewrite_in_progress"] and not state.get("aof_rewrite_scheduled"):
                break
            time.sleep(_SAMPLE_SECONDS)
        peak.rewrite_seconds = time.monotonic() - started
    return peak


async def _measure(stack: Stack, fsync: str, count: int) -> Measured:
    source = corpus.articles(count + count // 2)
    async with AsyncDedupClient(stack.target) as client:
        await load.prepare(client, COLLECTION)
        with stack.redis() as store:
            metrics.watch_slow(store, SLOW_MICROSECONDS)
            empty, empty_resident = _sizes(stack)
            seconds = await load.batches(client, source[:count], COLLECTION)
            await load.settled(client, COLLECTION)
            own_count, resident = _sizes(stack)
            rewriting = asyncio.create_task(asyncio.to_thread(_rewrite, stack))
            await load.batches(client, source[count:], COLLECTION)
            peak = await rewriting
            await load.settled(client, COLLECTION)
            scripts, others = _slowest(metrics.slow(store))
            spread = metrics.percentiles(store, "evalsha") or metrics.percentiles(store, "fcall")
    longest, other = scripts[0], others[0]
    return Measured(
        fsync,
        count,
        count / seconds,
        own_count,
        resident,
        (own_count - empty) / count,
        (resident - empty_resident) / count,
        peak.own_count,
        peak.resident,
        peak.with_child,
        peak.rewrite_seconds,
        longest.microseconds,
        longest.script,
        sum(entry.microseconds > LIMIT_MICROSECONDS for entry in scripts),
        other.microseconds,
        other.command,
        spread,
    )


def _sizes(stack: Stack) -> tuple[int, int]:
    """The store's own count and its resident memory."""
    with stack.redis() as store:
        return int(metrics.info(store, "memory")["used_memory"]), memory(stack.store_pid, "VmRSS")["VmRSS"]


def _slowest(entries: list[metrics.Slow]) -> tuple[list[metrics.Slow], list[metrics.Slow]]:
    """Scripts and other commands, slowest first; neither is empty."""
    nothing = metrics.Slow("-", "-", 0)
    found = sorted(entries, key=lambda entry: -entry.microseconds)
    scripts = [entry for entry in found if entry.script]
    others = [entry for entry in found if not entry.script and entry.command != "slowlog"]
    return scripts or [nothing], others or [nothing]


def run(options: Options) -> Part:
    """Both settings of the append-only file."""
    count = options.count(quick=800, full=50_000)
    found: list[Measured] = []
    settings: tuple[Fsync, ...] = ("everysec", "always")
    for fsync in settings:
        options.say(f"store: {fsync}")
        with fresh_stack(fsync) as stack:
            found.append(asyncio.run(_measure(stack, fsync, count)))
    return Part(
        "store",
        {
            "articles": count,
            "during the rewrite": f"{count // 2} more",
            "slow log from": f"{SLOW_MICROSECONDS} us",
        },
        (_memory(found), _scripts(found)),
        {"measured": [asdict(one) for one in found]},
        notes=(
            "own: used_memory of the store; resident: its VmRSS; an article: what was added to an empty store",
            "peaks: during a rewrite while ingest goes on, sampled every 50 ms",
            "with child: what the rewriting process holds alone is added",
            "always: the store writes to disk before it answers",
        ),
    )


def _memory(found: list[Measured]) -> Grid:
    columns = (
        "append-only", "articles/s", "own MB", "resident MB", "own B/article", "resident B/article",
        "peak own MB", "peak resident MB", "with child MB", "rewrite s",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (
            one.fsync,
            one.rate,
            one.own_count / 1e6,
            one.resident / 1e6,
            one.own_count_per_article,
            one.resident_per_article,
            one.peak_own_count / 1e6,
            one.peak_resident / 1e6,
            one.peak_with_child / 1e6,
            one.rewrite_seconds,
        )
        for one in found
    ]
    return Grid("Memory of the store", columns, tuple(rows))


def _scripts(found: list[Measured]) -> Grid:
    columns = (
        "append-only",
        "longest script ms",
        "which",
        "over 10 ms",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "other ms",
        "which",
    )
    rows: list[tuple[Cell, ...]] = [
        (
            one.fsync,
            one.longest_script / 1000,
            one.longest_script_name,
            one.scripts_over_limit,
            *(one.script_percentiles.get(name) for name in ("p50", "p99", "p99.9")),
            one.longest_other / 1000,
            one.longest_other_name,
        )
        for one in found
    ]
    return Grid("How long one command holds the store", columns, tuple(rows))
