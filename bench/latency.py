"""Latency of IngestArticle and FindMatches at 10, 50 and 80 % of the capacity measured just before.

Capacity is what 32 callers get that each wait for their answer. Then calls arrive at random (Poisson), whether earlier
ones have been answered or not, and each is counted from the moment it was due.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from bench import corpus, load
from bench.options import Options
from bench.processes import Stack, fresh_stack
from bench.report import Grid, Part, Plot, percentile
from dedup.client import AsyncDedupClient
from dedup.model import Article

SHARES: Final = (0.1, 0.5, 0.8)
COLLECTION: Final = "bench"

#: Percentiles in the JSON file.
_KEPT: Final = (1, 5, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.9, 100)

Verb = Callable[[Article], Awaitable[object]]


async def _capacity(call: Verb, source: Iterator[Article], count: int) -> float:
    articles = list(itertools.islice(source, count))
    started = time.perf_counter()
    await load.closed_loop(call, articles)
    return count / (time.perf_counter() - started)


async def _measure(stack: Stack, options: Options, stored: int) -> dict[str, dict[str, Any]]:
    seconds = options.seconds or (2.0 if options.quick else 20.0)
    probe = min(options.count(quick=200, full=4000), 4000)
    found: dict[str, dict[str, Any]] = {}
    source = corpus.stream(10**9)
    async with AsyncDedupClient(stack.target) as client:
        await load.prepare(client, COLLECTION)
        options.say(f"latency: {stored} articles stored first")
        await load.batches(client, itertools.islice(source, stored), COLLECTION)
        verbs: dict[str, Verb] = {
            "IngestArticle": lambda article: client.ingest(article, collection=COLLECTION),
            "FindMatches": lambda article: client.find(article, collection=COLLECTION),
        }
        for name, call in verbs.items():
            await load.settled(client, COLLECTION)
            capacity = await _capacity(call, source, probe)
            found[name] = {"capacity": capacity, "seconds": {}}
            for share in SHARES:
                rate = share * capacity
                options.say(f"latency: {name} at {rate:.0f}/s")
                articles = list(itertools.islice(source, max(10, round(rate * seconds))))
                await load.settled(client, COLLECTION)
                found[name]["seconds"][share] = await load.open_loop(call, articles, rate)
    return found


def run(options: Options) -> Part:
    """Both methods at every share of their capacity."""
    stored = options.count(quick=600, full=20_000)
    with fresh_stack("everysec") as stack:
        found = asyncio.run(_measure(stack, options, stored))
    rows = []
    for name, measured in found.items():
        for share, taken in measured.pop("seconds").items():
            times = [1000 * percentile(taken, p) for p in (0.5, 0.95, 0.99)]
            measured[f"{share:.0%} ms"] = {f"p{p}": 1000 * percentile(taken, p / 100) for p in _KEPT}
            rate = share * measured["capacity"]
            rows.append((f"{name} at {share:.0%}", rate, len(taken), *times, 1000 * max(taken)))
    columns = ("", "calls/s", "calls", "p50 ms", "p95 ms", "p99 ms", "max ms")
    series = {name: tuple(float(row[5]) for row in rows if row[0].startswith(name)) for name in found}
    return Part(
        "latency",
        {"articles stored": stored, "append-only": "everysec", "arrivals": "Poisson, open loop"},
        (Grid("Latency from the moment a call was due", columns, tuple(rows)),),
        {"measured": found},
        (Plot("latency", "p99 by share of capacity", "ms", tuple(f"{s:.0%}" for s in SHARES), series),),
        tuple(
            f"capacity of {name}: {measured['capacity']:,.0f}/s with 32 callers"
            for name, measured in found.items()
        ),
    )
