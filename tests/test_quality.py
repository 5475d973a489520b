"""Measures of the quality benchmark, against examples worked by hand, and its data sets."""

from __future__ import annotations

import pytest

from bench.quality import datasets, measures
from bench.quality.datasets import LabelSet, pair
from dedup.model import MatchKind
from dedup.tuning import wilson
from tests import data

LABELS = LabelSet(
    "made up",
    "people",
    (pair("b", "a", "copy"), pair("a", "c", "copy"), pair("a", "d", "own"), pair("c", "d", "unsure")),
    frozenset({"copy"}),
    frozenset({"own"}),
)


def test_pairs_are_counted_by_their_labels() -> None:
    """Of two copies one is found, the independent pair is found too, and the unsure one does not count."""
    found = measures.scores(LABELS, {("a", "b"), ("a", "d"), ("c", "d")})
    assert (found.right, found.wrong, found.missed, found.passed) == (1, 1, 1, 0)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    nothing = measures.scores(LABELS, set())
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, 0.0, 0.0)


def test_kinds_are_counted_by_label() -> None:
    """Every pair of a label stands under its kind, or under none."""
    kinds = {("a", "b"): MatchKind.EXACT, ("c", "d"): MatchKind.REWRITE}
    assert measures.confusion(LABELS, kinds) == {
        "copy": {"exact": 1, "none": 1},
        "own": {"none": 1},
        "unsure": {"rewrite": 1},
    }


def test_clusterings_are_compared() -> None:
    """Six articles: two families of three, of which one member stands with the others."""
    truth = dict(zip("abcdef", "111222", strict=True))
    found = dict(zip("abcdef", "xxyyyy", strict=True))
    # pairs together in both 1 + 3, in the truth 3 + 3, in the clusters 1 + 6, of 15; expected 6 * 7 / 15
    assert measures.adjusted_rand(truth, found) == pytest.approx((4 - 2.8) / (6.5 - 2.8))
    precision, recall = measures.b_cubed(truth, found)
    assert precision == pytest.approx((2 * 1 + 1 / 4 + 3 * 3 / 4) / 6)
    assert recall == pytest.approx((2 * 2 / 3 + 1 / 3 + 3 * 1) / 6)
    assert measures.false_clusters(truth, found) == (1, 1)
    assert measures.adjusted_rand(truth, truth) == 1.0
    assert measures.b_cubed(truth, truth) == (1.0, 1.0)
    assert measures.b_cubed(truth, {}) == pytest.approx((1.0, 1 / 3))


def test_intervals_hold_the_share() -> None:
    """Wilson's interval of 8 in 10, and of nothing."""
    low, high = wilson(8, 10)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0.0


def test_data_sets_name_articles_that_they_have() -> None:
    """Every label of every data set that is here is about two of its articles; others say why they are missing."""
    loaded = list(datasets.load(data.SHARED / "data"))
    assert isinstance(loaded[0], datasets.Dataset)
    for each in loaded:
        if isinstance(each, str):
            assert "is not there" in each
            continue
        ids = {article.id for article in each.articles}
        for labels in each.labels:
            assert labels.pairs
            assert all(p.a in ids and p.b in ids and p.a.encode() < p.b.encode() for p in labels.pairs)
            assert labels.copied | labels.independent
        assert set(each.clusters) <= ids
        assert set(each.stories) <= ids
