"""Story families for the demo: articles in order of arrival, and what is expected of each pair."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dedup.errors import DedupError, InvalidArgument
from dedup.model import COPY_KINDS, Article, ExportedArticle, Match, MatchKind
from dedup.sources import open_source, read_jsonl

Pair = tuple[str, str]

_COPY_NAMES = {kind.name.lower() for kind in COPY_KINDS}


@dataclass(frozen=True, slots=True)
class Family:
    """Versions of one story, its look-alikes among them."""

    name: str
    language: str
    note: str
    articles: tuple[Article, ...]
    expected_copies: frozenset[Pair]
    expected_others: frozenset[Pair]


def find_seeds(given: Path | None) -> Path:
    """The directory of the seeds: ``given``, else that of the checkout or of the wheel, else ``./seeds``."""
    package = Path(__file__).resolve().parents[1]
    places = [given] if given else [package.parent / "seeds", package / "seeds", Path("seeds")]
    for place in places:
        if any(place.glob("*.labels.json")):
            return place
    looked = given or "this installation"
    raise InvalidArgument(f"no *.labels.json in {looked}; name a directory with --seeds", field="seeds")


def load_families(directory: Path) -> list[Family]:
    """Every family of ``directory``, by name; raises DedupError for a file that is not as it should be."""
    return [_load(path) for path in sorted(directory.glob("*.labels.json"))]


def _load(labels_path: Path) -> Family:
    path = labels_path.with_name(labels_path.name.replace(".labels.json", ".jsonl"))
    articles = []
    with open_source(str(path)) as stream:
        for line in read_jsonl(stream, str(path)):
            if isinstance(line.outcome, DedupError):
                raise InvalidArgument(f"{line.place}: {line.outcome.message}")
            articles.append(line.outcome)
    try:
        labels = json.loads(labels_path.read_text("utf-8"))
        copies, others = set(), set()
        for pair in labels["pairs"]:
            kinds = set(pair["kinds"])
            name = _pair(pair["article"], pair["other"])
            if kinds and kinds <= _COPY_NAMES:
                copies.add(name)
            elif not kinds & _COPY_NAMES:
                others.add(name)
        return Family(
            name=labels["family"],
            language=labels["language"],
            note=labels.get("note", ""),
            articles=tuple(articles),
            expected_copies=frozenset(copies),
            expected_others=frozenset(others),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"{labels_path}: not a labels file: {error!r}") from error


def copy_pairs(items: list[ExportedArticle | Match]) -> set[Pair]:
    """Pairs that an export says are copies, articles with equal text counted with all their carriers."""
    carriers: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item, ExportedArticle) and item.cluster is not None:
            carriers.setdefault(item.text, []).append(item.id)
    first = {min(ids): ids for ids in carriers.values()}
    pairs = {_pair(a, b) for ids in carriers.values() for a, b in combinations(ids, 2)}
    for item in items:
        if isinstance(item, Match) and item.kind is not MatchKind.SHARED_QUOTE:
            for a in first.get(item.article, [item.article]):
                pairs.update(_pair(a, b) for b in first.get(item.other, [item.other]))
    return pairs


def _pair(a: str, b: str) -> Pair:
    return (a, b) if a < b else (b, a)
