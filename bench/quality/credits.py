"""Precision and recall of the agencies that articles credit, on articles labelled by reading.

The labels hold ids and names of agencies, no text; how they were made stands beside them in ``labels/README.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import xxhash

from bench.report import Cell, Grid
from dedup.core.provenance import UNNAMED, credits
from dedup.core.provenance.agencies import SCRIPTS
from dedup.core.tuning import wilson
from dedup.model import Article, CreditPlace

FOLDER: Final = Path(__file__).parent / "labels"
KNOWN: Final = frozenset(agency for script in SCRIPTS for agency, _ in script.values()) | {UNNAMED}


@dataclass(frozen=True, slots=True)
class Credited:
    """The agencies that one article credits for words, and those that it credits for pictures alone."""

    id: str
    stratum: str
    text: frozenset[str]
    photo: frozenset[str]

    @property
    def half(self) -> str:
        """The half of the sample: rules were improved by the errors of one, the other was held out."""
        return "held-out half" if xxhash.xxh64_intdigest(self.id.encode()) % 2 else "half used for rules"


@dataclass(frozen=True, slots=True)
class Error:
    """An agency of one article, wrongly found or missed."""

    article: str
    agency: str
    place: str
    half: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One labelled article beside what was found on it."""

    label: Credited
    found: Credited

    def pairs(self, what: str) -> tuple[frozenset[str], frozenset[str]]:
        """Names labelled and names found of one row of the table."""
        if what == "photo":
            return self.label.photo, self.found.photo
        if what == "text":
            return self.label.text, self.found.text
        if what == "text, agencies it knows":
            return self.label.text & KNOWN, self.found.text
        sides = (self.label, self.found)
        labelled, found = (frozenset({"any"} if each.text | each.photo else ()) for each in sides)
        return labelled, found


#: Rows of the table.
ROWS: Final = ("text", "text, agencies it knows", "photo", "articles that credit any")


def load(path: Path) -> tuple[Credited, ...]:
    """The labels of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(
        Credited(row["id"], row["stratum"], frozenset(row["text"]), frozenset(row["photo"]))
        for row in map(json.loads, lines)
    )


def found_on(article: Article, stratum: str) -> Credited:
    """What the service finds: an agency credited for words and for a picture counts for the words."""
    places: dict[bool, set[str]] = {True: set(), False: set()}
    for credit in credits(article):
        places[credit.place == CreditPlace.PHOTO].add(credit.agency)
    return Credited(article.id, stratum, frozenset(places[False]), frozenset(places[True] - places[False]))


def compare(labels: Iterable[Credited], articles: Mapping[str, Article]) -> list[Comparison]:
    """Every labelled article beside what is found on it."""
    return [Comparison(label, found_on(articles[label.id], label.stratum)) for label in labels]


def grid(compared: list[Comparison]) -> Grid:
    """Precision and recall by stratum and by half, with intervals of 95 %."""
    slices = {"all": compared}
    for each in compared:
        slices.setdefault(f"stratum {each.label.stratum}", []).append(each)
    for half in sorted({each.label.half for each in compared}):
        slices[half] = [each for each in compared if each.label.half == half]
    rows = tuple(
        _row(f"{name} ({len(of)}): {what}", of, what) for name, of in slices.items() for what in ROWS
    )
    columns = ("credits", "precision, 95 %", "recall, 95 %", "right", "wrong", "missed")
    return Grid("agencies credited, labelled by reading", columns, rows)


def details(compared: list[Comparison]) -> dict[str, Any]:
    """What is wrong and what is missed, for the JSON file."""
    return {
        "wrong": [asdict(error) for each in compared for error in _errors(each, missed=False)],
        "missed": [asdict(error) for each in compared for error in _errors(each, missed=True)],
    }


def _errors(each: Comparison, *, missed: bool) -> Iterator[Error]:
    for place in ("text", "photo"):
        labelled, found = each.pairs(place)
        for agency in sorted(labelled - found if missed else found - labelled):
            yield Error(each.label.id, agency, place, each.label.half)


def _row(name: str, compared: list[Comparison], what: str) -> tuple[Cell, ...]:
    right = wrong = missed = 0
    for each in compared:
        labelled, found = each.pairs(what)
        right += len(labelled & found)
        wrong += len(found - labelled)
        missed += len(labelled - found)
    return name, _share(right, right + wrong), _share(right, right + missed), right, wrong, missed


def _share(part: int, whole: int) -> str:
    if not whole:
        return "-"
    low, high = wilson(part, whole)
    return f"{part / whole:.3f} ({low:.3f} to {high:.3f})"
