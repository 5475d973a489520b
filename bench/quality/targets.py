"""What the project set out to reach on labelled news, held against what a run found."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.quality import measures
from bench.quality.datasets import Dataset, LabelSet
from bench.quality.finders import Found
from bench.report import Grid, Part
from dedup.core import tuning
from dedup.model import COPY_KINDS, LabelledPair, MatchKind

OURS: Final = "dedup"
FOLDS: Final = 10
SEED: Final = 1
#: Thresholds tried in cross-validation: quantiles of the measure.
THRESHOLDS: Final = 60
_SHARED_QUOTE: Final = frozenset({MatchKind.SHARED_QUOTE})
_WHOLE: Final = frozenset({MatchKind.EXACT, MatchKind.NEAR_DUPLICATE, MatchKind.EXCERPT})
#: Kinds that a label of readers stands for; None is no match.
DIAGONAL: Final[Mapping[str, frozenset[MatchKind | None]]] = {
    "same_copy": _WHOLE,
    "excerpt": frozenset({MatchKind.EXCERPT}),
    "derived": frozenset({MatchKind.REWRITE}),
    "quotes_only": _SHARED_QUOTE | {None},
    "same_event": _SHARED_QUOTE | {None},
    "other": _SHARED_QUOTE | {None},
}


@dataclass(frozen=True, slots=True)
class Aim:
    """One line: ``least`` or ``most`` is what ``measured`` is held against."""

    data: str
    what: str
    measured: float
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is reached."""
        return (self.least is None or self.measured >= self.least) and (
            self.most is None or self.measured <= self.most
        )

    @property
    def bound(self) -> str:
        """What is aimed at, in words."""
        return f">= {self.least:.3g}" if self.least is not None else f"<= {self.most:.3g}"


def part(seen: Sequence[tuple[Dataset, Mapping[str, Found]]]) -> Part | None:
    """The table; None where nothing was looked at."""
    aims = [aim for data, found in seen for aim in _aims(data, found)]
    if not aims:
        return None
    rows = tuple(
        (f"{aim.data}: {aim.what}", aim.bound, aim.measured, "yes" if aim.holds else "NO") for aim in aims
    )
    missed = sum(not aim.holds for aim in aims)
    notes = (f"{len(aims) - missed} of {len(aims)} targets are reached",)
    return Part(
        "targets", {}, (Grid("targets", ("measure", "target", "measured", "holds"), rows),), {}, (), notes
    )


def _aims(data: Dataset, found: Mapping[str, Found]) -> Iterator[Aim]:
    ours = found[OURS]
    by_people = data.name in ("seeds", "five")
    for labels in data.labels:
        if by_people:
            scores = measures.scores(labels, ours.pairs)
            right = (scores.right + scores.passed) / len(labels.pairs)
            yield Aim(data.name, "pairs told copied or not as people do", right, least=1)
        if labels.name == "derivation":
            yield from _derivation(data, labels)
        if labels.by == "reading":
            yield Aim(data.name, "read pairs, F1", measures.scores(labels, ours.pairs).f1, least=0.95)
            least, overall = _diagonal(labels, ours)
            yield Aim(data.name, "read pairs on the diagonal of kinds", overall, least=0.8)
            yield Aim(data.name, "the same, of the label with the least", least, least=0.8)
        if labels.name == "silver":
            yield from _silver(data, labels, ours)
        if labels.name == "same event":
            yield Aim(data.name, "pairs of one event in one cluster", _together(labels, ours), most=0.01)
        if labels.copied and labels.independent and len(found) > 1:
            best = max(
                measures.scores(labels, f.pairs).f1 for name, f in found.items() if not name.startswith(OURS)
            )
            lead = measures.scores(labels, ours.pairs).f1 - best
            yield Aim(
                data.name, f"{labels.name}: F1 beyond that of the best peer ({best:.3f})", lead, least=1e-9
            )
    if by_people and data.clusters:
        rand = measures.adjusted_rand(data.clusters, ours.clusters)
        yield Aim(data.name, "clusters, adjusted Rand index", rand, least=1)
    if by_people and data.stories:
        rand = measures.adjusted_rand(data.stories, ours.stories or {})
        yield Aim(data.name, "stories, adjusted Rand index", rand, least=1)
    if data.stories and not by_people:
        spanning, _ = measures.false_clusters(data.stories, ours.clusters)
        yield Aim(data.name, "clusters of copies that span two stories", spanning, most=0)


def _silver(data: Dataset, labels: LabelSet, ours: Found) -> Iterator[Aim]:
    kinds = ours.kinds or {}
    for label, aim, good in (
        ("copy", 0.99, frozenset(COPY_KINDS)),
        ("partial", 0.97, frozenset(MatchKind)),
        ("quotes", 0.97, _SHARED_QUOTE | {None}),
    ):
        of = [kinds.get((p.a, p.b)) in good for p in labels.pairs if p.label == label]
        if of:
            yield Aim(data.name, f"silver {label}, found as such", sum(of) / len(of), least=aim)


def _together(labels: LabelSet, ours: Found) -> float:
    at = ours.clusters
    return sum(at.get(p.a, p.a) == at.get(p.b, p.b) for p in labels.pairs) / len(labels.pairs)


def _diagonal(labels: LabelSet, ours: Found) -> tuple[float, float]:
    """Pairs whose kind is one that the label stands for: the least share of a label, and the share of all."""
    right: Counter[str] = Counter()
    kinds = ours.kinds or {}
    for p in labels.pairs:
        right[p.label] += kinds.get((p.a, p.b)) in DIAGONAL[p.label]
    every = Counter(p.label for p in labels.pairs)
    least = min(right[label] / count for label, count in every.items())
    return least, right.total() / every.total()


def _derivation(data: Dataset, labels: LabelSet) -> Iterator[Aim]:
    """What the measures of a pair tell of how it was labelled, thresholds chosen on nine folds, tried on the tenth."""
    articles = {article.id: article for article in data.articles}
    pairs = [LabelledPair(p.a, p.b, p.label in labels.copied) for p in labels.pairs]
    measured = tuning.measure(pairs, articles)
    crossed = tuning.tune(measured, folds=FOLDS, seed=SEED).crossed
    truth = measured.copied.astype(np.int64)
    counts = np.array([[crossed.passed, crossed.wrong], [crossed.missed, crossed.right]])
    yield Aim(data.name, "derived or not, rules of dedup tune, weighted F1", _weighted_f1(counts), least=0.87)
    share = measured.trigrams / np.maximum(1, measured.fewer)
    two = _crossed(share, truth, 2)
    yield Aim(data.name, "derived or not, trigram share, weighted F1", two, least=0.87)
    order = {"non": 0, "partially": 1, "wholly": 2}
    three = _crossed(share, np.array([order[p.label] for p in labels.pairs]), 3)
    yield Aim(data.name, "wholly, partially or not, trigram share, weighted F1", three, least=0.8)


def _crossed(values: NDArray[np.float64], truth: NDArray[np.int64], classes: int) -> float:
    """Weighted F1 of ascending thresholds between ordered classes, cross-validated."""
    fold = np.random.default_rng(SEED).permutation(len(values)) % FOLDS
    counts = np.zeros((classes, classes), np.int64)
    for k in range(FOLDS):
        rest, here = fold != k, fold == k
        tried = np.unique(np.quantile(values[rest], np.linspace(0, 1, THRESHOLDS)))
        choices = itertools.combinations(tried.tolist(), classes - 1)
        best = max(choices, key=lambda c: _weighted_f1(_confusion(values[rest], truth[rest], c, classes)))
        counts += _confusion(values[here], truth[here], best, classes)
    return _weighted_f1(counts)


def _confusion(
    values: NDArray[np.float64], truth: NDArray[np.int64], thresholds: Sequence[float], classes: int
) -> NDArray[np.int64]:
    """Counts by class (rows) and class told (columns)."""
    told = np.searchsorted(np.array(thresholds), values, side="right")
    return np.bincount(truth * classes + told, minlength=classes * classes).reshape(classes, classes)


def _weighted_f1(counts: NDArray[np.int64]) -> float:
    """F1 of every class, weighted by how many there are of it."""
    support, told, right = counts.sum(1), counts.sum(0), np.diag(counts)
    f1 = 2 * right / np.maximum(1, support + told)
    return float((f1 * support).sum() / max(1, support.sum()))
