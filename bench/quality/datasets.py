"""Labelled news: the project's own seeds, and real articles where they lie beside the repository."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import brute
from bench.quality import credits
from dedup.model import Article
from tests import data as seeds_of_tests

COPIES: Final = frozenset({"exact", "near_duplicate", "excerpt", "rewrite"})


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two articles, ``a`` before ``b`` by the bytes of their ids."""

    a: str
    b: str
    label: str


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels of one origin: ``by`` people, by reading (language models) or silver (exhaustive verbatim alignment).

    ``copied`` and ``independent`` are the labels that count in precision and recall; others are only listed.
    """

    name: str
    by: str
    pairs: tuple[LabelledPair, ...]
    copied: frozenset[str]
    independent: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Articles with their labels; ``clusters`` and ``stories`` by article id, {} where nobody labelled them.

    ``credited`` are the agencies that some of the articles credit.
    """

    name: str
    articles: tuple[Article, ...]
    labels: tuple[LabelSet, ...]
    clusters: dict[str, str] = field(default_factory=dict)
    stories: dict[str, str] = field(default_factory=dict)
    credited: tuple[credits.Credited, ...] = ()


class Missing(Exception):
    """A data set is not here; the message says what was looked for."""


def pair(one: str, other: str, label: str) -> LabelledPair:
    """A labelled pair in order."""
    a, b = sorted((one, other), key=str.encode)
    return LabelledPair(a, b, label)


def load(folder: Path) -> Iterator[Dataset | str]:
    """Every data set, or the reason why one is left out."""
    loaders: tuple[Callable[[Path], Dataset], ...] = (seeds, five, counter, telegram, emergent)
    for loader in loaders:
        try:
            yield loader(folder)
        except Missing as reason:
            yield f"{loader.__name__} is left out: {reason}"


def seeds(folder: Path) -> Dataset:
    """The story families of the project; ``folder`` is not used."""
    del folder
    articles = seeds_of_tests.latest(seeds_of_tests.seeds())
    pairs: list[LabelledPair] = []
    clusters: dict[str, str] = {}
    stories: dict[str, str] = {}
    for family in seeds_of_tests.labels():
        about: Any = family
        pairs += [pair(p["article"], p["other"], _first_kind(p["kinds"])) for p in about["pairs"]]
        clusters |= {i: i for i in about["articles"]}
        clusters |= {i: members[0] for members in about["clusters"] for i in members}
        stories |= {i: str(about["family"]) for i in about["story"]}
    labels = LabelSet("seeds", "people", tuple(pairs), COPIES, frozenset({"none", "shared_quote"}))
    return Dataset("seeds", tuple(articles), (labels,), clusters, stories)


def _first_kind(kinds: list[str]) -> str:
    return kinds[0] if kinds else "none"


def five(folder: Path) -> Dataset:
    """Five real articles about one event, with what is expected of them."""
    root = folder.parent / "seeds"
    if not (root / "articles.jsonl").exists():
        raise Missing(f"{root} is not there")
    lines = (root / "articles.jsonl").read_text(encoding="utf-8").splitlines()
    articles = tuple(seeds_of_tests.to_article(json.loads(line)) for line in lines)
    expected = json.loads((root / "expected.json").read_text(encoding="utf-8"))
    pairs = [pair(m["article"], m["other"], _first_kind(m["kinds"])) for m in expected["matches"]]
    known = {(p.a, p.b) for p in pairs}
    pairs += [p for p in _all_pairs(expected["articles"]) if (p.a, p.b) not in known]
    either = {tuple(sorted(p)) for p in expected["clusters"]["either"]}
    counted = tuple(p for p in pairs if (p.a, p.b) not in either)
    labels = LabelSet("five", "people", counted, COPIES, frozenset({"none", "shared_quote"}))
    return Dataset("five", articles, (labels,), stories=dict.fromkeys(expected["story"], "story"))


def _all_pairs(ids: Iterable[str]) -> list[LabelledPair]:
    ordered = sorted(ids)
    return [pair(x, y, "none") for i, x in enumerate(ordered) for y in ordered[i + 1 :]]


def counter(folder: Path) -> Dataset:
    """COUNTER (Sharjeel, Nawab, Rayson 2017), Urdu: agency report and newspaper story, derived or not, by people."""
    articles = _articles(folder / "counter_urdu.jsonl.gz")
    rows = _rows(folder / "counter_urdu.pairs.jsonl.gz")
    pairs = tuple(pair(row["agency"], row["newspaper"], row["derivation"]) for row in rows)
    copied = frozenset({"wholly", "partially"})
    return Dataset(
        "counter", articles, (LabelSet("derivation", "people", pairs, copied, frozenset({"non"})),)
    )


def telegram(folder: Path) -> Dataset:
    """Three hours of November 2019 from over 900 outlets."""
    articles = _articles(folder / "telegram_2019.jsonl.gz")
    read = _rows(folder / "telegram_2019.read_pairs.jsonl.gz")
    events = _rows(folder / "telegram_2019.same_event_pairs.jsonl.gz")
    labels = (
        LabelSet(
            "read",
            "reading",
            tuple(pair(row["article"], row["other"], row["label"]) for row in read),
            frozenset({"same_copy", "excerpt", "derived"}),
            frozenset({"quotes_only", "same_event", "other"}),
        ),
        _silver(folder / "telegram_2019.silver_pairs.jsonl.gz"),
        LabelSet(
            "same event",
            "silver",
            tuple(pair(row["article"], row["other"], "same_event") for row in events),
            frozenset(),
            frozenset({"same_event"}),
        ),
    )
    credited = credits.load(credits.FOLDER / "telegram_2019.credits.jsonl")
    return Dataset("telegram", articles, labels, credited=credited)


def emergent(folder: Path) -> Dataset:
    """Rumours of 2014 and 2015, many outlets copying one another; stories by people on a part of them."""
    path = folder / "emergent_2014.jsonl.gz"
    articles = _articles(path)
    stories = {str(row["id"]): str(row["story"]) for row in _rows(path) if row.get("story")}
    return Dataset(
        "emergent", articles, (_silver(folder / "emergent_2014.silver_pairs.jsonl.gz"),), stories=stories
    )


def _silver(path: Path) -> LabelSet:
    pairs = tuple(pair(row["article"], row["other"], row["silver"]) for row in _rows(path))
    return LabelSet("silver", "silver", pairs, frozenset({"copy"}), frozenset({"quotes"}))


def _articles(path: Path) -> tuple[Article, ...]:
    if not path.exists():
        raise Missing(f"{path} is not there")
    return tuple(brute.real(path, 1_000_000))


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        raise Missing(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
