"""What a wider window and fewer landmarks would save, and what they would lose: speed, memory and recall on real news.

One parameter is changed at a time from the default. Every row is a new store with the same real articles.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Final

from bench import brute, load, recall
from bench.options import Options
from bench.processes import Stack, fresh_stack, used_memory
from bench.report import Cell, Grid, Part, Plot
from dedup.client import AsyncDedupClient
from dedup.model import Article, CollectionParameters

WINDOWS: Final = (4, 8, 16, 32)
LANDMARKS: Final = (5, 10, 30)
COLLECTION: Final = "bench"


@dataclass(frozen=True, slots=True)
class Point:
    """One setting on one set of articles; ``recall`` by kind, and of all pairs under ``all``."""

    data: str
    parameters: CollectionParameters
    articles: int
    rate: float
    bytes_per_article: float
    recall: dict[str, float | None]


async def _measure(
    stack: Stack,
    name: str,
    articles: list[Article],
    parameters: CollectionParameters,
    reference: dict[tuple[str, str], str],
) -> Point:
    async with AsyncDedupClient(stack.target) as client:
        await load.prepare(client, COLLECTION, parameters)
        with stack.redis() as store:
            before = used_memory(store)
            seconds = await load.batches(client, articles, COLLECTION)
            await load.settled(client, COLLECTION)
            size = (used_memory(store) - before) / len(articles)
        found = set((await load.exported(client, COLLECTION)).kinds)
    shares = {kind: recall.share(reference, found, kind) for kind in recall.KINDS}
    shares["all"] = recall.share(reference, found)
    return Point(name, parameters, len(articles), len(articles) / seconds, size, shares)


def run(options: Options) -> Part:
    """Every setting on every set of real news that is there."""
    default = CollectionParameters()
    settings = [replace(default, window=window) for window in WINDOWS]
    settings += [replace(default, landmarks=number) for number in LANDMARKS if number != default.landmarks]
    points: list[Point] = []
    notes: list[str] = []
    for name, quick in recall.SETS.items():
        path = options.data / f"{name}.jsonl.gz"
        if not path.exists():
            notes.append(f"{name} is skipped: {path} is not there")
            continue
        articles = brute.real(path, options.count(quick=quick, full=1_000_000))
        reference = brute.pairs(articles, options.output / "cache")
        for parameters in settings:
            options.say(f"tradeoff: {name}, w={parameters.window}, landmarks {parameters.landmarks}")
            with fresh_stack("everysec") as stack:
                points.append(asyncio.run(_measure(stack, name, articles, parameters, reference)))
    rows: list[tuple[Cell, ...]] = [
        (
            p.data,
            p.parameters.window,
            p.parameters.landmarks,
            p.rate,
            p.bytes_per_article,
            *(p.recall[kind] for kind in ("all", *recall.KINDS)),
        )
        for p in points
    ]
    columns = ("data", "window", "landmarks", "articles/s", "B/article", "recall", *recall.KINDS)
    return Part(
        "tradeoff",
        {"append-only": "everysec", "pairs": recall.PAIRS},
        (Grid("Window and landmarks against speed, memory and recall", columns, tuple(rows)),)
        if rows
        else (),
        {"points": [asdict(point) for point in points]},
        _plots(points, default.landmarks),
        tuple(notes),
    )


def _plots(points: list[Point], landmarks: int) -> tuple[Plot, ...]:
    series = {
        name: tuple(
            p.recall["all"] or 0.0 for p in points if p.data == name and p.parameters.landmarks == landmarks
        )
        for name in dict.fromkeys(point.data for point in points)
    }
    windows = tuple(float(window) for window in WINDOWS)
    return (
        (Plot("tradeoff", "Recall by window", "share of pairs", windows, series, "window"),) if series else ()
    )
