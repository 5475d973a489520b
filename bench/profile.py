"""Where the time of one article goes: stages of the service, scripts and commands of the store, processors by process.

A stage is timed by the clock: what it waits for is in it, and stages of several batches run side by side, so that
their sum is more than the time that passed. The processors' time below is what the two cores are busy with.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Final

from bench import corpus, load, metrics
from bench.metrics import Total
from bench.options import Options
from bench.processes import Stack, fresh_stack
from bench.report import Cell, Grid, Part, Plot
from dedup.client import AsyncDedupClient
from dedup.model import Article

COLLECTION: Final = "bench"
#: Microseconds from which on a command is logged: all scripts, and few of the commands inside them, which are so many
#: that the log would not hold them.
_SCRIPTS: Final = 30


@dataclass(frozen=True, slots=True)
class Profile:
    """Totals of one load."""

    name: str
    articles: int
    seconds: float
    cpu: dict[str, float]
    stages: dict[str, Total]
    commands: dict[str, Total]
    scripts: dict[str, Total]


async def _measure(stack: Stack, name: str, articles: list[Article], one_by_one: bool) -> Profile:
    async with AsyncDedupClient(stack.target) as client:
        await load.prepare(client, COLLECTION)
        with stack.redis() as store:
            metrics.watch_slow(store, _SCRIPTS)
            stages, cpu = metrics.stages(stack.metrics), stack.cpu()
            started = time.perf_counter()
            if one_by_one:
                await load.unary(client, articles, COLLECTION)
            else:
                await load.batches(client, articles, COLLECTION)
            await load.settled(client, COLLECTION)
            seconds = time.perf_counter() - started
            used = {role: now - cpu[role] for role, now in stack.cpu().items()}
            later = metrics.stages(stack.metrics)
            commands = metrics.commands(store)
            scripts: dict[str, Total] = defaultdict(Total)
            for entry in metrics.slow(store):
                if entry.script:
                    so_far = scripts[entry.script]
                    scripts[entry.script] = Total(so_far.times + 1, so_far.seconds + entry.microseconds / 1e6)
    spent = {stage: total.since(stages.get(stage, Total())) for stage, total in later.items()}
    return Profile(name, len(articles), seconds, used, spent, commands, dict(scripts))


def run(options: Options) -> Part:
    """Batches, then unary calls, each on a new store."""
    count = options.count(quick=500, full=10_000)
    articles = corpus.articles(count)
    found: list[Profile] = []
    for name, one_by_one in (("batches of 100", False), ("32 callers", True)):
        options.say(f"profile: {name}")
        with fresh_stack("everysec") as stack:
            found.append(asyncio.run(_measure(stack, name, articles, one_by_one)))
    grids = [_processors(found)]
    for profile in found:
        grids.append(_totals(f"Stages of the service, {profile.name}", profile, profile.stages))
        grids.append(_totals(f"Scripts of the store, {profile.name}", profile, profile.scripts))
        title = f"Commands of the store, those inside scripts too, {profile.name}"
        grids.append(_totals(title, profile, profile.commands, shares=False))
    stages = sorted(found[0].stages, key=lambda name: -found[0].stages[name].seconds)
    series = {
        p.name: tuple(1000 * p.stages.get(stage, Total()).seconds / p.articles for stage in stages)
        for p in found
    }
    notes = ["stages are timed by the clock, waiting included, side by side: they add up to more than passed"]
    notes += [
        f"{profile.name}: {profile.articles / total.times:.1f} articles a call of the script ingest"
        for profile in found
        if (total := profile.scripts.get("ingest"))
    ]
    return Part(
        "profile",
        {"articles": count, "append-only": "everysec"},
        tuple(grids),
        {"profiles": [asdict(profile) for profile in found]},
        (Plot("profile", "Stages of the service, by the clock", "ms an article", tuple(stages), series),),
        tuple(notes),
    )


def _processors(found: list[Profile]) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (
            p.name,
            p.articles / p.seconds,
            *(1000 * p.cpu[role] / p.articles for role in ("server", "store", "client")),
            1000 * sum(p.cpu.values()) / p.articles,
            sum(p.cpu.values()) / p.seconds,
        )
        for p in found
    ]
    columns = ("load", "articles/s, settled", "server ms", "store ms", "client ms", "sum ms", "cores busy")
    return Grid("Processor time of an article", columns, tuple(rows))


def _totals(title: str, profile: Profile, totals: dict[str, Total], *, shares: bool = True) -> Grid:
    whole = sum(total.seconds for total in totals.values()) or 1.0
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            1000 * total.seconds / profile.articles,
            f"{total.seconds / whole:.0%}" if shares else "",
            total.times / profile.articles,
            1e6 * total.seconds / total.times,
        )
        for name, total in sorted(totals.items(), key=lambda item: -item[1].seconds)
        if total.times and total.seconds / whole > 0.001
    ]
    return Grid(title, ("", "ms an article", "share", "times an article", "us each"), tuple(rows))
