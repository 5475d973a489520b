"""Articles of one event: how many of those that the service names are, and how many it names, by similarity."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from bench import load
from bench.processes import fresh_stack
from bench.quality.datasets import Dataset
from bench.quality.measures import Pair
from bench.report import Cell, Grid, Part
from dedup.client import AsyncDedupClient
from dedup.core.same_event import MIN_COSINE
from dedup.core.tuning import wilson
from dedup.model import Article, CollectionParameters, MatchKind

SIMILARITIES: Final = (MIN_COSINE, 0.15, 0.2)
COLLECTION: Final = "same-story"
_CALLS: Final = 8
_MAX: Final = 1000


def part(data: Sequence[Dataset]) -> Part | None:
    """Tables of every data set with stories by people or pairs of one event; None where there is none."""
    grids = []
    for each in data:
        events = {(p.a, p.b) for s in each.labels for p in s.pairs if p.label == "same_event"}
        if each.stories or events:
            grids.append(_grid(each, events))
    return Part("same story", {}, tuple(grids), {}) if grids else None


def _grid(data: Dataset, events: set[Pair]) -> Grid:
    labelled = set(data.stories) | {name for pair in events for name in pair}
    told, matched = _asked(data.articles, labelled)
    same = events | _pairs_of(data.stories)
    rows: list[tuple[Cell, ...]] = []
    for least in SIMILARITIES:
        found = {pair for pair, alike in told.items() if alike >= least}
        judged = [pair in same for pair in found if pair[0] in data.stories and pair[1] in data.stories]
        right, reachable = sum(judged), same - matched
        rows.append(
            (
                f">= {least:g}",
                len(found),
                len(judged),
                right / len(judged) if judged else None,
                "{:.3f} to {:.3f}".format(*wilson(right, len(judged))) if judged else "-",
                len(found & reachable) / len(reachable) if reachable else None,
            )
        )
    columns = (
        "similarity",
        "pairs found",
        "both labelled",
        "precision",
        "95 % interval",
        "recall of the others",
    )
    return Grid(f"{data.name}: pairs of one event that share nothing that counts", columns, tuple(rows))


def _pairs_of(stories: dict[str, str]) -> set[Pair]:
    members: dict[str, list[str]] = defaultdict(list)
    for name, story in stories.items():
        members[story].append(name)
    return {
        pair
        for names in members.values()
        for pair in itertools.combinations(sorted(names, key=str.encode), 2)
    }


def _asked(articles: Sequence[Article], labelled: set[str]) -> tuple[dict[Pair, float], set[Pair]]:
    """Pairs of one event with their similarity, and pairs that are matches of another kind, of labelled articles."""
    told: dict[Pair, float] = {}
    matched: set[Pair] = set()

    async def go(target: str) -> None:
        slots = asyncio.Semaphore(_CALLS)
        async with AsyncDedupClient(target) as client:
            await client.create_collection(COLLECTION, CollectionParameters(same_story=True))
            await load.batches(client, articles, COLLECTION)
            await load.settled(client, COLLECTION)

            async def ask(article: Article) -> None:
                async with slots:
                    found = await client.find(
                        article, max_matches=_MAX, same_story=True, collection=COLLECTION
                    )
                for match in found.matches:
                    for other in (match.other, *match.other_carriers):
                        a, b = sorted((article.id, other), key=str.encode)
                        if match.kind is MatchKind.SAME_STORY:
                            told[a, b] = match.similarity
                        else:
                            matched.add((a, b))

            await asyncio.gather(*(ask(article) for article in articles if article.id in labelled))

    with fresh_stack("everysec") as stack:
        asyncio.run(go(stack.target))
    return told, matched
