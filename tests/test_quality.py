"""Measures of the quality benchmark, against examples worked by hand, and its data sets."""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from bench.quality import credits, datasets, measures, rarity, retsim_pairs, slices, targets
from bench.quality.datasets import Dataset, LabelSet, pair
from bench.quality.finders import Found
from dedup.core.tuning import wilson
from dedup.model import Article, MatchKind
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
        assert {label.id for label in each.credited} <= ids


def test_weighted_f1() -> None:
    """Two of three, and three of five, told right: F1 of 2/3 * 2 and so on, weighted by three and five."""
    counts = np.array([[2, 1], [2, 3]])
    expected = (3 * (2 * 2 / (3 + 4)) + 5 * (2 * 3 / (5 + 4))) / 8
    assert targets._weighted_f1(counts) == pytest.approx(expected)
    assert targets._weighted_f1(np.diag([4, 9])) == 1.0


def test_thresholds_are_cross_validated() -> None:
    """Classes that a measure tells apart are told; of labels by chance nothing is learned that is not in the fold."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 300)
    assert targets._crossed(truth + rng.random(300) * 0.9, truth, 3) > 0.98
    assert targets._crossed(rng.random(300), truth, 3) < 0.45


def test_targets_are_held_against_what_was_found() -> None:
    """A copy that was found, a quotation taken for copy, one event in one cluster, and a peer that is better."""
    silver = LabelSet(
        "silver",
        "silver",
        (pair("a", "b", "copy"), pair("a", "c", "quotes")),
        frozenset({"copy"}),
        frozenset({"quotes"}),
    )
    event = LabelSet(
        "same event", "silver", (pair("c", "d", "same_event"),), frozenset(), frozenset({"same_event"})
    )
    articles = tuple(Article(name, body=name) for name in "abcd")
    kinds = {("a", "b"): MatchKind.REWRITE, ("a", "c"): MatchKind.REWRITE}
    ours = Found(set(kinds), {"c": "one", "d": "one"}, 0.0, kinds)
    peer = Found({("a", "b")}, {}, 0.0)
    found = targets.part([(Dataset("made up", articles, (silver, event)), {"dedup": ours, "peer": peer})])
    assert found is not None
    held = {row[0]: row[3] for row in found.grids[0].rows}
    assert held == {
        "made up: silver copy, found as such": "yes",
        "made up: silver quotes, found as such": "NO",
        "made up: pairs of one event in one cluster": "NO",
        "made up: silver: F1 beyond that of the best peer (1.000)": "NO",
    }
    assert found.notes == ("1 of 4 targets are reached",)


def test_scripts_and_lengths() -> None:
    """Texts are sliced by the script of most letters and by the shorter body; errors are counted by label."""
    assert [slices.script(text) for text in ("Ein Satz", "Это текст", "یہ متن ہے", "这是中文", "12")] == [
        "Latin", "Cyrillic", "Arabic", "Cjk", "none",
    ]  # fmt: skip
    long, short = Article("a", body="word " * 400), Article("b", body="word " * 99)
    assert slices.length(long, short) == "0 to 99 words"
    assert slices.length(long, long) == "300 words and more"
    articles = {"a": long, "b": short, "c": long, "d": short}
    kept = Found({("a", "d")}, {}, 0.0)
    rows = {str(row[0]): row[1:] for row in slices.grid(LABELS, articles, kept).rows}
    assert [rows["Latin"][n] for n in (0, 1, 3, 4)] == [2, 2, 1, 1]
    assert [rows["300 words and more"][n] for n in (0, 1, 3, 4)] == [1, 1, 0, 0]


def test_rare_trigrams_weigh_more() -> None:
    """Two reports share what sixty others have too, two others as much that nobody else has: only these stay."""
    rng = random.Random(8)
    stock, rare = data.prose(rng, 60).split(" "), data.prose(rng, 60).split(" ")

    def report(name: str, shared: list[str]) -> Article:
        edited = " ".join(word if i % 5 else f"{name}{i}" for i, word in enumerate(shared))
        return Article(name, body=f"{data.prose(rng, 100)} {edited}")

    articles = [report(f"s{n}", stock) for n in range(60)] + [report(f"r{n}", rare) for n in range(2)]
    found = {("r0", "r1"): MatchKind.REWRITE, ("s0", "s1"): MatchKind.REWRITE, ("r0", "s0"): MatchKind.EXACT}
    kept = rarity.weighed(
        articles, found, replace(rarity.RUNS_ALONE, rewrite_trigrams=20, rewrite_trigram_share=0.1)
    )
    assert kept == {("r0", "r1"): MatchKind.REWRITE, ("r0", "s0"): MatchKind.EXACT}


def test_credits_are_compared_by_agency_and_article() -> None:
    """One agency found, one wrongly, one missed; a picture beside words of the same agency counts for the words."""
    body = "The lock will close for nine weeks, the council said. " * 8
    articles = {
        "a": Article("a", body=f"PARIS (AFP) - {body}\n\nPhoto: AFP\n\n{body}\n\nSource: Reuters"),
        "b": Article("b", body=f"A heron on the lock. Photo: EFE\n\n{body}"),
        "c": Article("c", body=f"{body}\n\n(HNS)"),
    }
    labels = [
        credits.Credited("a", "any", frozenset({"AFP"}), frozenset()),
        credits.Credited("b", "mention", frozenset(), frozenset({"EFE"})),
        credits.Credited("c", "mention", frozenset({"Harbor News Service"}), frozenset()),
    ]
    compared = credits.compare(labels, articles)
    rows = {str(row[0]): row[1:] for row in credits.grid(compared).rows}
    assert rows["all (3): text"][2:] == (1, 1, 1)
    assert rows["all (3): text, agencies it knows"][2:] == (1, 1, 0)
    assert rows["all (3): photo"] == ("1.000 (0.207 to 1.000)", "1.000 (0.207 to 1.000)", 1, 0, 0)
    assert rows["stratum mention (2): text"] == ("-", "0.000 (0.000 to 0.793)", 0, 0, 1)
    assert rows["stratum mention (2): articles that credit any"][2:] == (1, 0, 1)
    found = credits.details(compared)
    assert [(e["article"], e["agency"], e["place"]) for e in found["wrong"]] == [("a", "Reuters", "text")]
    assert [(e["article"], e["agency"]) for e in found["missed"]] == [("c", "Harbor News Service")]


def test_labels_of_credits_name_each_article_once() -> None:
    """Two strata of 120 articles, sorted by id, in two halves."""
    labels = credits.load(credits.FOLDER / "telegram_2019.credits.jsonl")
    ids = [label.id for label in labels]
    assert ids == sorted(set(ids))
    assert [sum(label.stratum == name for label in labels) for name in ("any", "mention")] == [120, 120]
    assert all(not label.text & label.photo for label in labels)
    assert len({label.half for label in labels}) == 2


@pytest.mark.parametrize(("unit", "expected"), [("whole", [[0, 1]]), ("chunk", [[0, 1], [0, 2], [1, 2]])])
def test_texts_that_a_model_embeds_alike_are_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: str, expected: list[list[int]]
) -> None:
    """Whole texts are compared by one vector each, chunks one by one; the model here counts letters."""
    model = types.ModuleType("unisim")
    model.TextSim = _CountsLetters  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "unisim", model)
    texts = ["a" * 600, "a" * 700, "a" * 512 + "b" * 1024, ""]
    given, answer = tmp_path / "given.jsonl", tmp_path / "answer.json"
    given.write_bytes(b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts))
    retsim_pairs.main(str(given), str(answer), "0.9", unit)
    assert orjson.loads(answer.read_bytes()) == expected


class _CountsLetters:
    """The interface of unisim's TextSim."""

    def __init__(self, *, store_data: bool, use_accelerator: bool) -> None:
        assert not store_data
        assert not use_accelerator

    def embed(self, inputs: Sequence[str]) -> list[list[int]]:
        """One vector a text."""
        return [[text.count(letter) for letter in "ab"] for text in inputs]
