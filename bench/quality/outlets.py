"""Outlets that repeat their boilerplate on every page, as old as one, seven and thirty days: what is welded by it.

Twelve made-up outlets of a footer each, of which one changes it after two weeks, a blurb on every third article and a
list of the most read that is new every day. Each prints five items of its own a day, on which it shares nothing
with anybody but its boilerplate, and four outlets print each of two wire stories a day: verbatim, trimmed, or under
a lead of their own. All of one outlet that is found copied or stands in one cluster is wrong, and so is every
decision that such an item is something else than new.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from bench import corpus
from bench.report import Cell, Grid, Part
from dedup.core.tuning import wilson
from dedup.model import Article, DecisionKind

if TYPE_CHECKING:
    from numpy.random import Generator

    from bench.quality.finders import Finder, Found
    from bench.quality.measures import Pair

AGES: Final = (1, 7, 30)
OUTLETS: Final = 12
OWN_ITEMS: Final = 5
STORIES: Final = 2
TAKERS: Final = 4
CHANGE: Final = 15  # the day on which the first outlet has a new footer
SEED: Final = 8
#: Who is asked: the service and peers.
FINDERS: Final = ("dedup", "datasketch k=5 J>=0.5", "winnowing", "TF-IDF")
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class World:
    """Articles by time, and of each the story that it tells: a wire story, or its own id."""

    articles: tuple[Article, ...]
    stories: dict[str, str]

    def until(self, day: int) -> World:
        """What was printed on the first days."""
        end = corpus.START + day * _DAY
        kept = tuple(a for a in self.articles if a.published is not None and a.published < end)
        return World(kept, {article.id: self.stories[article.id] for article in kept})


def world(days: int = max(AGES), seed: int = SEED) -> World:
    """The news of so many days."""
    rng = np.random.default_rng(seed)
    footers = [_run(rng, 2) for _ in range(OUTLETS)]
    blurbs = [_run(rng, 1) for _ in range(OUTLETS)]
    articles: list[Article] = []
    stories: dict[str, str] = {}
    for day in range(days):
        if day == CHANGE:
            footers[0] = _run(rng, 2)
        most_read = ["\n".join(line[:60] for line in corpus.paragraphs(rng, 5)) for _ in range(OUTLETS)]
        bodies = [(outlet, "", _run(rng, 4)) for outlet in range(OUTLETS) for _ in range(OWN_ITEMS)]
        for story in range(STORIES):
            wire = corpus.paragraphs(rng, 5)
            takers = rng.permutation(OUTLETS)[:TAKERS].tolist()
            ways = (wire, wire[:-2], [*corpus.paragraphs(rng, 1), *wire[1:]], wire)
            bodies += [
                (taker, f"wire-{day}-{story}", "".join(way)) for taker, way in zip(takers, ways, strict=True)
            ]
        for number in rng.permutation(len(bodies)).tolist():
            outlet, story_id, body = bodies[number]
            blurb = blurbs[outlet] if number % 3 == 0 else ""
            article = Article(
                f"{day:02}-{number:03}",
                "",
                f"{body}{blurb}{most_read[outlet]}\n{footers[outlet]}",
                f"outlet{outlet}",
                published=float(corpus.START + day * _DAY + 600 * number),
            )
            articles.append(article)
            stories[article.id] = story_id or article.id
    return World(tuple(sorted(articles, key=lambda a: (a.published or 0, a.id))), stories)


def _run(rng: Generator, count: int) -> str:
    return "".join(corpus.paragraphs(rng, count))


def part(finders: Mapping[str, Finder], ages: Sequence[int] = AGES) -> Part:
    """One table: every finder on the news of each age."""
    everything = world(max(ages))
    rows: list[tuple[Cell, ...]] = []
    for name in FINDERS:
        for age in ages if name in finders else ():
            young = everything.until(age)
            rows.append((name, age, *_row(young, finders[name](young.articles))))
    columns = (
        *("finder", "days", "articles", "pairs wrongly copied", "in false clusters", "share, 95 %"),
        *("largest false cluster", "own items called new", "recall of copies"),
    )
    settings = {"outlets": OUTLETS, "articles of all days": len(everything.articles)}
    grid = Grid("outlets by their age: what their boilerplate welds", columns, tuple(rows))
    note = "pairs of one outlet that share much are listed as matches; they join a cluster only if nearly all is shared"
    return Part("outlets", settings, (grid,), {}, notes=(note,))


def _row(young: World, found: Found) -> tuple[Cell, ...]:
    wrong = sum(young.stories[a] != young.stories[b] for a, b in found.pairs)
    members: dict[str, list[str]] = defaultdict(list)
    for article in young.articles:
        members[found.clusters.get(article.id, f"alone {article.id}")].append(article.id)
    false = [ids for ids in members.values() if len({young.stories[i] for i in ids}) > 1]
    inside, count = sum(map(len, false)), len(young.articles)
    copies = _copies(young)
    return (
        count,
        wrong,
        inside,
        "{:.4f} to {:.4f}".format(*wilson(inside, count)),
        max(map(len, false), default=0),
        _called_new(young, found),
        len(copies & found.pairs) / len(copies) if copies else None,
    )


def _called_new(young: World, found: Found) -> float | None:
    """Of what an outlet wrote itself, the share that was new when it arrived."""
    if found.decisions is None:
        return None
    own = [article for article, story in young.stories.items() if story == article]
    return sum(found.decisions.get(article) is DecisionKind.NEW for article in own) / len(own)


def _copies(young: World) -> set[Pair]:
    """Pairs of outlets that print one wire story."""
    reprints: dict[str, list[str]] = defaultdict(list)
    for article, story in young.stories.items():
        reprints[story].append(article)
    return {
        pair for ids in reprints.values() for pair in itertools.combinations(sorted(ids, key=str.encode), 2)
    }
