"""What ours and the peers find of the pairs that brute force finds in real news, by kind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench import brute, load, peers
from bench.options import Options
from bench.processes import fresh_stack
from bench.report import Cell, Grid, Plot
from dedup.client import AsyncDedupClient
from dedup.model import Article, CollectionParameters

#: Data sets, with how many articles a quick run takes.
SETS: Final = {"telegram_2019": 1500, "emergent_2014": 300}
#: Kinds that recall is given for.
KINDS: Final = ("copy", "excerpt", "rewrite", "shared quote")

#: The pairs that are to be found, in words.
PAIRS: Final = "different sources, bodies share >= 20 words in passages of >= 8"

Pairs = set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """The part of the index's report that is about recall."""

    grids: tuple[Grid, ...]
    data: dict[str, Any]
    plots: tuple[Plot, ...]
    notes: tuple[str, ...]


#: What is reported where recall is not measured.
NOTHING: Final = Found((), {}, (), ())


def ours(articles: Sequence[Article], parameters: CollectionParameters | None = None) -> Pairs:
    """Pairs that the service exports as matches."""

    async def go(target: str) -> Pairs:
        async with AsyncDedupClient(target) as client:
            await client.create_collection("recall", parameters or CollectionParameters())
            await load.batches(client, articles, "recall")
            await load.settled(client, "recall")
            return set((await load.exported(client, "recall")).kinds)

    with fresh_stack("everysec") as stack:
        return asyncio.run(go(stack.target))


def datasketch_pairs(articles: Sequence[Article]) -> Pairs:
    """Pairs that datasketch's index answers; the same in memory as on a store."""
    index = peers.datasketch_index()
    found: Pairs = set()
    for article in articles:
        made = peers.datasketch_signature(article)
        found.update((min(article.id, other), max(article.id, other)) for other in index.query(made))
        index.insert(article.id, made)
    return found


def share(reference: dict[tuple[str, str], str], found: Pairs, kind: str | None = None) -> float | None:
    """The share of the reference's pairs (of a kind) that were found; None where there are none."""
    wanted = [pair for pair, of in reference.items() if of in KINDS and kind in {None, of}]
    return sum(pair in found for pair in wanted) / len(wanted) if wanted else None


def run(options: Options) -> Found:
    """Recall on every data set that lies beside the repository."""
    from bench.index import economy

    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    data: dict[str, Any] = {}
    for name, quick in SETS.items():
        path = options.data / f"{name}.jsonl.gz"
        if not path.exists():
            notes.append(f"recall on {name} is skipped: {path} is not there")
            continue
        options.say(f"index: recall on {name}")
        articles = brute.real(path, quick if options.quick else 1_000_000)
        reference = brute.pairs(articles, options.output / "cache")
        counts = Counter(reference.values())
        finders = {"dedup": ours(articles), "datasketch": datasketch_pairs(articles)}
        finders["dedup, w=16, no text"] = ours(articles, economy())
        total = sum(counts[kind] for kind in KINDS)
        rows.append((f"{name}: pairs", total, *(counts[kind] for kind in KINDS)))
        rows += [
            (f"  {who}", share(reference, found), *(share(reference, found, kind) for kind in KINDS))
            for who, found in finders.items()
        ]
        data[name] = {
            "articles": len(articles),
            "pairs": dict(counts),
            "missed by dedup": [
                (*pair, kind)
                for pair, kind in reference.items()
                if kind in KINDS and pair not in finders["dedup"]
            ][:100],
            "recall": {
                who: {kind: share(reference, found, kind) for kind in KINDS}
                | {"all": share(reference, found)}
                for who, found in finders.items()
            },
        }
        notes.append(
            f"{name}: {len(articles)} articles. Beside these, {counts[brute.BELOW]} pairs share as much but are no "
            "match by definition"
        )
    grid = Grid(
        f"Recall of pairs: {PAIRS}",
        ("", "all", *KINDS),
        tuple(rows),
    )
    return Found((grid,) if rows else (), data, (), tuple(notes))
