"""Measures of pairs and of clusterings, with intervals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from bench.quality.datasets import LabelSet
from dedup.core.tuning import Scores
from dedup.model import MatchKind

Pair = tuple[str, str]


def scores(labels: LabelSet, found: Collection[Pair]) -> Scores:
    """Copied or not, over the labels that say so."""
    right = wrong = missed = passed = 0
    for p in labels.pairs:
        hit = (p.a, p.b) in found
        if p.label in labels.copied:
            right, missed = right + hit, missed + (not hit)
        elif p.label in labels.independent:
            wrong, passed = wrong + hit, passed + (not hit)
    return Scores(right, wrong, missed, passed)


def confusion(labels: LabelSet, kinds: Mapping[Pair, MatchKind]) -> dict[str, Counter[str]]:
    """For every label, how many of its pairs got which kind ("none": no match)."""
    out: dict[str, Counter[str]] = defaultdict(Counter)
    for p in labels.pairs:
        kind = kinds.get((p.a, p.b))
        out[p.label]["none" if kind is None else kind.name.lower()] += 1
    return dict(out)


def adjusted_rand(truth: Mapping[str, str], found: Mapping[str, str]) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985) over the ids of ``truth``; an id without a cluster is alone."""
    together: Counter[tuple[str, str]] = Counter()
    for one, label in truth.items():
        together[label, found.get(one, f"alone {one}")] += 1
    rows: Counter[str] = Counter()
    columns: Counter[str] = Counter()
    for (label, cluster), count in together.items():
        rows[label] += count
        columns[cluster] += count
    agreed = sum(math.comb(n, 2) for n in together.values())
    of_rows, of_columns = (
        sum(math.comb(n, 2) for n in rows.values()),
        sum(math.comb(n, 2) for n in columns.values()),
    )
    all_pairs = math.comb(len(truth), 2)
    expected = of_rows * of_columns / all_pairs if all_pairs else 0.0
    most = (of_rows + of_columns) / 2
    return (agreed - expected) / (most - expected) if most != expected else 1.0


def b_cubed(truth: Mapping[str, str], found: Mapping[str, str]) -> tuple[float, float]:
    """B-cubed precision and recall (Bagga and Baldwin 1998) over the ids of ``truth``."""
    both: Counter[tuple[str, str]] = Counter()
    labels: Counter[str] = Counter()
    clusters: Counter[str] = Counter()
    for one, label in truth.items():
        cluster = found.get(one, f"alone {one}")
        both[label, cluster] += 1
        labels[label] += 1
        clusters[cluster] += 1
    if not truth:
        return 1.0, 1.0
    precision = sum(n * n / clusters[cluster] for (_, cluster), n in both.items()) / len(truth)
    recall = sum(n * n / labels[label] for (label, _), n in both.items()) / len(truth)
    return precision, recall


def false_clusters(truth: Mapping[str, str], found: Mapping[str, str]) -> tuple[int, int]:
    """How many clusters hold articles of two labels, and the most articles of one beyond its main label."""
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for one, label in truth.items():
        if one in found:
            members[found[one]][label] += 1
    beyond = [sum(labels.values()) - max(labels.values()) for labels in members.values()]
    return sum(n > 0 for n in beyond), max(beyond, default=0)
