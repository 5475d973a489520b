"""From what was found to the tables of one data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from bench.quality import credits, measures, slices
from bench.quality.datasets import Dataset, LabelSet
from bench.quality.finders import BANDS, COMMON, COSINE, FINGERPRINTS, HAMMING, Found
from bench.report import Cell, Grid, Part
from dedup.core.tuning import wilson
from dedup.model import MatchKind

OURS: Final = "dedup"
_KINDS: Final = (*(kind.name.lower() for kind in MatchKind if kind.value), "none")
#: What the short names of the peers stand for.
PEERS: Final = (
    "dedup: passages, the default; resemblance only: bands of the signature, profile copies; both channels: with "
    f"bands for J >= {BANDS} beside passages; marks ignored: the same words, none of them quoted; "
    "runs alone: without word trigrams; rarity weights: trigrams weighted by how rare they are among these articles; "
    "datasketch: MinHash LSH of k-word shingles, 128 permutations, pairs as its index answers; SimHash: 64 bits, "
    f"Hamming distance up to {HAMMING}; winnowing: {FINGERPRINTS} common fingerprints of 5-word shingles in windows "
    f"of 8, those of over {COMMON} texts left out; TF-IDF: cosine from {COSINE}; clusters of peers are components"
)
#: Kinds on which a service would drop an article.
SUPPRESSED: Final = frozenset({MatchKind.EXACT, MatchKind.NEAR_DUPLICATE, MatchKind.EXCERPT})


def part(data: Dataset, found: Mapping[str, Found]) -> Part:
    """All tables of one data set."""
    grids: list[Grid] = []
    articles = {article.id: article for article in data.articles}
    for labels in data.labels:
        if labels.copied:
            grids.append(_pairs(labels, found))
        if labels.copied and labels.independent:
            grids += [_decisions(labels, found), slices.grid(labels, articles, found[OURS])]
        grids.append(_classes(labels, found))
        grids.append(_kinds(labels, found[OURS]))
    grids += [_groups(what, truth, found) for what, truth in _truths(data)]
    details = _details(data, found)
    if data.credited:
        compared = credits.compare(data.credited, articles)
        grids.append(credits.grid(compared))
        details["credits"] = credits.details(compared)
    settings = {
        "articles": len(data.articles),
        **{s.name: f"{len(s.pairs)} pairs by {s.by}" for s in data.labels},
    }
    return Part(data.name, settings, tuple(grids), details, notes=_notes(data, found))


def _truths(data: Dataset) -> list[tuple[str, dict[str, str]]]:
    both = (("clusters", data.clusters), ("stories", data.stories))
    return [(what, truth) for what, truth in both if truth]


def _pairs(labels: LabelSet, found: Mapping[str, Found]) -> Grid:
    rows: list[tuple[Cell, ...]] = []
    for name, each in found.items():
        s = measures.scores(labels, each.pairs)
        shares = (s.f1, s.precision, s.recall) if labels.independent else (None, None, s.recall)
        rows.append((name, *shares, s.right, s.wrong, s.missed, each.seconds))
    columns = ("finder", "F1", "precision", "recall", "right", "wrong", "missed", "seconds")
    return Grid(f"{labels.name} (by {labels.by}): copied or not", columns, tuple(rows))


def _decisions(labels: LabelSet, found: Mapping[str, Found]) -> Grid:
    """Articles wrongly suppressed among those that are independent, copies missed among those that are copied."""
    copied = sum(p.label in labels.copied for p in labels.pairs)
    independent = sum(p.label in labels.independent for p in labels.pairs)
    rows: list[tuple[Cell, ...]] = []
    for name, each in found.items():
        kinds = each.kinds
        dropped = each.pairs if kinds is None else {p for p in each.pairs if kinds[p] in SUPPRESSED}
        wrong, missed = measures.scores(labels, dropped).wrong, measures.scores(labels, each.pairs).missed
        rows.append((name, _per_10000(wrong, independent), _per_10000(missed, copied)))
    columns = ("finder", "wrongly suppressed", "copies missed")
    return Grid(f"{labels.name}: per 10,000 labelled pairs, with 95 % intervals", columns, tuple(rows))


def _per_10000(part_: int, whole: int) -> str:
    if not whole:
        return "-"
    low, high = wilson(part_, whole)
    return f"{1e4 * part_ / whole:,.0f} ({1e4 * low:,.0f} to {1e4 * high:,.0f})"


def _classes(labels: LabelSet, found: Mapping[str, Found]) -> Grid:
    classes = list(dict.fromkeys(p.label for p in labels.pairs))
    rows: list[tuple[Cell, ...]] = []
    for name, each in found.items():
        shares: list[Cell] = []
        for label in classes:
            of = [(p.a, p.b) in each.pairs for p in labels.pairs if p.label == label]
            shares.append(sum(of) / len(of))
        rows.append((name, *shares))
    return Grid(f"{labels.name}: share of each label called copied", ("finder", *classes), tuple(rows))


def _kinds(labels: LabelSet, ours: Found) -> Grid:
    counts = measures.confusion(labels, ours.kinds or {})
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (label, *(of[kind] for kind in _KINDS)) for label, of in counts.items()
    )
    return Grid(f"{labels.name}: kinds that the service gives", ("label", *_KINDS), rows)


def _groups(what: str, truth: dict[str, str], found: Mapping[str, Found]) -> Grid:
    rows: list[tuple[Cell, ...]] = []
    for name, each in found.items():
        groups = each.stories if what == "stories" and each.stories is not None else each.clusters
        precision, recall = measures.b_cubed(truth, groups)
        spanning, beyond = measures.false_clusters(truth, each.clusters)
        rows.append((name, measures.adjusted_rand(truth, groups), precision, recall, spanning, beyond))
    columns = (
        "finder",
        "adjusted Rand",
        "B3 precision",
        "B3 recall",
        "clusters of two labels",
        "most strangers",
    )
    return Grid(f"{what} of {len(truth)} labelled articles", columns, tuple(rows))


def _details(data: Dataset, found: Mapping[str, Found]) -> dict[str, Any]:
    """What the JSON file has beside the tables: counts of every label set, and the pairs the service gets wrong."""
    details: dict[str, Any] = {}
    for labels in data.labels:
        ours = found[OURS].pairs
        details[labels.name] = {
            "scores": {name: asdict(measures.scores(labels, each.pairs)) for name, each in found.items()},
            "wrong": [
                asdict(p) for p in labels.pairs if p.label in labels.independent and (p.a, p.b) in ours
            ],
            "missed": [
                asdict(p) for p in labels.pairs if p.label in labels.copied and (p.a, p.b) not in ours
            ],
        }
    return details


def _notes(data: Dataset, found: Mapping[str, Found]) -> tuple[str, ...]:
    sizes: dict[str, int] = {}
    for cluster in found[OURS].clusters.values():
        sizes[cluster] = sizes.get(cluster, 0) + 1
    notes = [PEERS] if len(found) > 1 else []
    notes += [f"largest cluster of the service: {max(sizes.values(), default=0)} articles"]
    for labels in data.labels:
        together = sum(
            found[OURS].clusters.get(p.a, p.a) == found[OURS].clusters.get(p.b, p.b)
            for p in labels.pairs
            if p.label == "same_event"
        )
        if any(p.label == "same_event" for p in labels.pairs):
            notes.append(
                f"{labels.name}: pairs of one event that the service puts into one cluster: {together}"
            )
    return tuple(notes)
