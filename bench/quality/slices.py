"""What the service gets right and wrong by the script and the length of the texts."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from bench.quality.datasets import LabelSet
from bench.quality.finders import Found
from bench.report import Cell, Grid
from dedup.core.tuning import wilson
from dedup.model import Article

#: Upper ends of the bins of length, in white-space separated words of the shorter body.
LENGTHS: Final = (100, 300)
_SAMPLE: Final = 400


def script(text: str) -> str:
    """The script that most letters of the beginning of a text are of, by their Unicode names."""
    names = [unicodedata.name(letter, "") for letter in text[:_SAMPLE] if letter.isalpha()]
    counted = Counter(name.partition(" ")[0].title() for name in names if name)
    return min(counted, key=lambda name: (-counted[name], name)) if counted else "none"


def length(a: Article, b: Article) -> str:
    """The bin of the shorter body."""
    words = min(len(a.body.split()), len(b.body.split()))
    low = 0
    for high in LENGTHS:
        if words < high:
            return f"{low} to {high - 1} words"
        low = high
    return f"{low} words and more"


def grid(labels: LabelSet, articles: Mapping[str, Article], ours: Found) -> Grid:
    """Copies missed and independent pairs taken for copies, with intervals, by script and by length."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for p in labels.pairs:
        if p.label not in labels.copied | labels.independent:
            continue
        a, b = articles[p.a], articles[p.b]
        is_copy, found = p.label in labels.copied, (p.a, p.b) in ours.pairs
        for name in (script(a.body or a.headline), length(a, b)):
            of = counts[name]
            of[0 if is_copy else 2] += 1
            of[1 if is_copy else 3] += found != is_copy
    rows: list[tuple[Cell, ...]] = [
        (name, of[0], of[1], _interval(of[1], of[0]), of[2], of[3], _interval(of[3], of[2]))
        for name, of in sorted(counts.items())
    ]
    columns = ("texts", "copies", "missed", "share, 95 %", "independent", "taken for copies", "share, 95 %")
    return Grid(f"{labels.name}: the service by script and length of the texts", columns, tuple(rows))


def _interval(part: int, whole: int) -> str:
    return "{:.3f} to {:.3f}".format(*wilson(part, whole)) if whole else "-"
