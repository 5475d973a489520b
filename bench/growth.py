"""A growing collection, a story that everybody carries, and one footer under every article.

Articles are made two thousand at a time while the clock stands still; the pauses are reported. The rate at a size is
that of the last articles before it (at most 10,000), and the rate of the whole step includes settling at its end. On
the way to the largest size every tenth is reported: a rate that falls with size is told from one that fell once.

Where another commit was asked for, it grows each collection right after ours.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench import beside, brute, corpus, load, metrics
from bench.appended import Appended
from bench.options import Options
from bench.processes import Program, Stack, fresh_stack, memory, used_memory
from bench.report import Cell, Grid, Part, Plot, percentile
from dedup.client import AsyncDedupClient
from dedup.model import Article

COLLECTION: Final = "bench"
_LAST: Final = 10_000
_PROBE_CALLERS: Final = 4
_STAGES: Final = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """A tenth of the way to a size: articles stored at its end, their rate, memory in bytes.

    ``rewrites`` of its append-only file is what the store had begun by then, since it was started.
    """

    articles: int
    rate: float
    server_resident: int
    store_resident: int
    rewrites: int


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured when a collection had reached a size. Memory is in bytes, rates in articles a second.

    ``appended_per_article`` is what its articles added to the append-only file since the size before, in bytes.
    """

    name: str
    articles: int
    rate: float
    step_rate: float
    paused_seconds: float
    bytes_per_article: float
    appended_per_article: float
    ingest_p50_ms: float
    ingest_p99_ms: float
    find_p99_ms: float
    candidates: float | None
    server_resident: int
    store_resident: int
    stages: tuple[Stage, ...]

    def figures(self) -> beside.Figures:
        """What is compared with the same step of another commit."""
        return {
            "until settled": self.step_rate,
            "articles/s": self.rate,
            "store B": self.bytes_per_article,
            "file B": self.appended_per_article,
            "ingest p99": self.ingest_p99_ms,
            "find p99": self.find_p99_ms,
            "server MB": self.server_resident,
            "store MB": self.store_resident,
        }


@dataclass(slots=True)
class _Loaded:
    count: int = 0
    seconds: float = 0.0
    paused: float = 0.0


async def _load(
    client: AsyncDedupClient, source: Iterator[Article], count: int, tell: Callable[[int, float], None]
) -> tuple[_Loaded, float]:
    """Ingest ``count`` articles in batches; the totals, and the rate of the last ones.

    After each tenth ``tell`` is given how many are in and the rate since the tenth before.
    """
    whole, told = _Loaded(), _Loaded()
    parts: list[tuple[int, float]] = []
    while whole.count < count:
        paused = time.perf_counter()
        chunk = list(itertools.islice(source, min(corpus.CHUNK, count - whole.count)))
        if not chunk:
            break
        whole.paused += time.perf_counter() - paused
        seconds = await load.batches(client, chunk, COLLECTION)
        parts.append((len(chunk), seconds))
        whole.count += len(chunk)
        whole.seconds += seconds
        if (whole.count - told.count) * _STAGES >= count or whole.count == count:
            tell(whole.count, (whole.count - told.count) / (whole.seconds - told.seconds))
            told.count, told.seconds = whole.count, whole.seconds
    last, last_seconds = 0, 0.0
    for number, seconds in reversed(parts):
        if last and last + number > _LAST:
            break
        last, last_seconds = last + number, last_seconds + seconds
    return whole, last / last_seconds if last_seconds else 0.0


async def _grow(
    stack: Stack, name: str, source: Iterator[Article], sizes: Iterable[int], options: Options
) -> list[Step]:
    probes = _probes(options)
    steps: list[Step] = []
    stages: list[Stage] = []
    async with AsyncDedupClient(stack.target) as client:
        await load.prepare(client, COLLECTION)
        with stack.redis() as store, Appended(store) as appended:
            empty = used_memory(store)
            stored = 0

            def tell(count: int, rate: float) -> None:
                server, own = (memory(pid, "VmRSS")["VmRSS"] for pid in (stack.server_pid, stack.store_pid))
                rewrites = int(metrics.info(store, "persistence")["aof_rewrites"])
                stages.append(Stage(stored + count, rate, server, own, rewrites))

            for size in sizes:
                before = metrics.candidates(stack.metrics)
                stages.clear()
                appended_before = appended.size()
                loaded, rate = await _load(client, source, max(0, size - stored), tell)
                settle = await load.settled(client, COLLECTION)
                stored += loaded.count
                after = metrics.candidates(stack.metrics)
                sized = (used_memory(store) - empty) / stored
                grown = (appended.size() - appended_before) / loaded.count
                fresh = list(itertools.islice(source, 2 * probes))
                asked = await load.closed_loop(
                    lambda article: client.find(article, collection=COLLECTION),
                    fresh[probes:],
                    _PROBE_CALLERS,
                )
                taken = await load.unary(client, fresh[:probes], COLLECTION, callers=_PROBE_CALLERS)
                stored += probes
                steps.append(
                    Step(
                        name,
                        size,
                        rate,
                        loaded.count / (loaded.seconds + settle),
                        loaded.paused,
                        sized,
                        grown,
                        1000 * percentile(taken, 0.5),
                        1000 * percentile(taken, 0.99),
                        1000 * percentile(asked, 0.99),
                        (after - before) / loaded.count if after is not None and before is not None else None,
                        memory(stack.server_pid, "VmRSS")["VmRSS"],
                        memory(stack.store_pid, "VmRSS")["VmRSS"],
                        tuple(stages),
                    )
                )
                options.say(f"growth: {name}, {size}: {rate:.0f} articles/s")
    return steps


def _probes(options: Options) -> int:
    """How many articles more are ingested, and how many asked for, to see single calls at a size."""
    return min(options.count(quick=40, full=2000), 2000)


@dataclass(slots=True)
class _Grown:
    """Every step so far, and those of ours with the same ones of another commit, by name."""

    options: Options
    steps: list[Step] = field(default_factory=list)
    pairs: dict[str, list[beside.Round]] = field(default_factory=dict)

    def grow(self, name: str, source: Callable[[], Iterable[Article]], sizes: Sequence[int]) -> list[Step]:
        """Grow a collection of what a new ``source`` gives, and then another commit's; the steps of ours."""
        ours, *others = [
            _grow_on(program, contender, source(), sizes, self.options)
            for contender, program in beside.in_turns(name, self.options.beside)
        ]
        for steps in (ours, *others):
            self.steps += steps
        for theirs in others:
            for one, other in zip(ours, theirs, strict=True):
                pair = (one.figures(), other.figures())
                self.pairs.setdefault(f"{name}, {one.articles:,}", []).append(pair)
        return ours


def _grow_on(
    program: Program, name: str, source: Iterable[Article], sizes: Iterable[int], options: Options
) -> list[Step]:
    with fresh_stack("everysec", program) as stack:
        return asyncio.run(_grow(stack, name, iter(source), sizes, options))


def run(options: Options) -> Part:
    """Sizes, then the two difficult collections beside normal ones of the same size, then real short news."""
    sizes = options.sizes or ((400, 1200) if options.quick else (10_000, 100_000, 1_000_000))
    hot, footers = options.count(quick=100, full=5000), options.count(quick=100, full=50_000)
    more = 2 * _probes(options)
    grown = _Grown(options)
    shown = grown.grow("generated", lambda: corpus.stream(10**9), sizes)
    normal = {
        size: grown.grow("generated", lambda: corpus.stream(10**9), (size,))[0]
        for size in dict.fromkeys((hot, footers))
    }
    (hot_step,) = grown.grow("hot story", lambda: corpus.hot_story(hot + more), (hot,))
    (footer_step,) = grown.grow("one footer", lambda: corpus.boilerplate(footers + more), (footers,))
    notes = [
        f"hot story: {hot_step.rate / normal[hot].rate:.2f} x the articles/s of as many normal articles",
        f"one footer: {footer_step.rate / normal[footers].rate:.2f} x the articles/s of as many normal articles",
        f"the clock stood still while articles were made: {sum(s.paused_seconds for s in grown.steps):.1f} s in all",
        "file B: what an article adds to the append-only file, rewrites left out",
    ]
    if metrics_missing := all(step.candidates is None for step in grown.steps):
        notes.append("candidates an article: the server has no such metric")
    path = options.data / "reuters_1987.jsonl.gz"
    if path.exists():
        real = brute.real(path, 600 if options.quick else 21_578)
        grown.grow("reuters_1987", lambda: real, (len(real) - more,))
    else:
        notes.append(f"reuters_1987 is skipped: {path} is not there")
    settings: dict[str, Any] = {
        "batches": load.BATCH,
        "in flight": load.IN_FLIGHT,
        "append-only": "everysec",
    }
    data: dict[str, Any] = {"steps": [asdict(step) for step in grown.steps]}
    rows = tuple(_row(step, metrics_missing) for step in grown.steps)
    grids = [Grid("Growth", _columns(metrics_missing), rows), _way(shown[-1].stages)]
    if (other := options.beside) is not None:
        settings["dedup"] = other.ours
        notes += other.notes
        grids.insert(1, beside.grid("Growth", other, grown.pairs))
        found = {name: beside.ratios(pair) for name, pair in grown.pairs.items()}
        data["beside"] = other.about() | {"ratios": found}
    return Part(
        "growth",
        settings,
        tuple(grids),
        data,
        _plots(shown),
        tuple(notes),
    )


def _way(stages: tuple[Stage, ...]) -> Grid:
    columns = ("articles", "articles/s", "server MB", "store MB", "rewrites of its file")
    rows: list[tuple[Cell, ...]] = [
        (
            stage.articles,
            stage.rate,
            stage.server_resident / 1e6,
            stage.store_resident / 1e6,
            stage.rewrites,
        )
        for stage in stages
    ]
    return Grid("On the way to the largest size", columns, tuple(rows))


def _columns(without_candidates: bool) -> tuple[str, ...]:
    columns = "|articles|articles/s|until settled|store B|file B|ingest p50 ms|p99 ms|find p99 ms|server MB|store MB"
    return (*columns.split("|"), *(() if without_candidates else ("candidates an article",)))


def _row(step: Step, without_candidates: bool) -> tuple[Cell, ...]:
    row: tuple[Cell, ...] = (
        step.name,
        step.articles,
        step.rate,
        step.step_rate,
        step.bytes_per_article,
        step.appended_per_article,
        step.ingest_p50_ms,
        step.ingest_p99_ms,
        step.find_p99_ms,
        step.server_resident / 1e6,
        step.store_resident / 1e6,
    )
    return row if without_candidates else (*row, step.candidates)


def _plots(steps: list[Step]) -> tuple[Plot, ...]:
    sizes = tuple(float(step.articles) for step in steps)

    def plot(name: str, title: str, y: str, **series: Any) -> Plot:
        return Plot(
            name,
            title,
            y,
            sizes,
            {k.replace("_", " "): tuple(v) for k, v in series.items()},
            x_name="articles",
            log_x=True,
        )

    return (
        plot("growth-rate", "Articles a second by size", "articles/s", articles=[s.rate for s in steps]),
        plot("growth-bytes", "Store by size", "bytes/article", articles=[s.bytes_per_article for s in steps]),
        plot(
            "growth-p99",
            "p99 by size",
            "ms",
            ingest=[s.ingest_p99_ms for s in steps],
            find=[s.find_p99_ms for s in steps],
        ),
        plot(
            "growth-server", "Memory of the server", "MB", resident=[s.server_resident / 1e6 for s in steps]
        ),
    )
