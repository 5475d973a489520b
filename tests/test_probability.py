"""The probability that a match is copy: its shape, and that its weights are those that the labels give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.quality import calibration, datasets
from dedup.core.probability import EXACT, WEIGHTS, probability
from dedup.model import MatchKind
from tests import data


def test_more_in_common_is_more_probable() -> None:
    """It grows with the unquoted words and with the trigram share, and stays inside (0, 1)."""
    words, shares = (0, 1, 5, 20, 100, 1000, 10**7), (0.0, 0.1, 0.3, 0.8, 1.0)
    by_words = [[probability(MatchKind.REWRITE, w, s) for w in words] for s in shares]
    for row in (*by_words, *zip(*by_words, strict=True)):
        assert all(0 < x < y < 1 for x, y in itertools.pairwise(row))
    assert probability(MatchKind.SHARED_QUOTE, 0, 0.0) < 0.05
    assert probability(MatchKind.NEAR_DUPLICATE, 300, 0.95) > 0.95


def test_equal_bodies_are_copies_however_short() -> None:
    """Twelve equal words are few, and the whole text."""
    assert probability(MatchKind.EXACT, 12, 1.0) == EXACT
    assert probability(MatchKind.EXACT, 2000, 1.0) > EXACT


def test_a_fit_finds_the_weights_that_made_the_labels() -> None:
    """Labels drawn with known weights: the fit comes near them, and what it says is calibrated."""
    rng = np.random.default_rng(4)
    words, shares = rng.integers(0, 300, 20_000), rng.random(20_000)
    given = np.array([probability(MatchKind.REWRITE, w, s) for w, s in zip(words, shares, strict=True)])
    labelled = calibration.Labelled(
        words=words.astype(float),
        shares=shares,
        copied=rng.random(20_000) < given,
        exact=np.zeros(20_000, bool),
    )
    assert calibration.fit(labelled) == pytest.approx(WEIGHTS, abs=0.25)
    said = calibration.crossed(labelled, seed=1)
    for low, high in itertools.pairwise((0.0, 0.5, 0.9, 1.0)):
        chosen = (low <= said) & (said < high)
        assert said[chosen].mean() == pytest.approx(labelled.copied[chosen].mean(), abs=0.05)


def test_the_weights_are_those_of_the_labels() -> None:
    """What is shipped is what the labelled matches give when fitted again."""
    loaded = [each for each in datasets.load(data.beside("data")) if isinstance(each, datasets.Dataset)]
    labelled = calibration.labelled(loaded, calibration.PEOPLE)
    assert len(labelled) >= 250
    assert calibration.fit(labelled) == pytest.approx(WEIGHTS, abs=0.02)
