"""Signatures against datasketch, window minima against their definition, bands against the S-curve."""

from __future__ import annotations

import random

import datasketch
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup import kernels, lsh
from dedup.shingle import shingle_hashes, shingle_strings
from dedup.sketch import SketchParameters, signature, sketch
from dedup.text import tokenize

ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyzéèüñß",
    "cyrillic": "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "greek": "αβγδεζηθικλμνξοπρστυφχψω",
    "arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهويى",
    "hebrew": "אבגדהוזחטיכלמנסעפצקרשת",
    "devanagari": "अआइईउऊकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीु",
    "thai": "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศษสหอ",
    "han": "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年",
    "kana": "あいうえおかきくけこさしすせそアイウエオカキクケコ",
    "hangul": "가나다라마바사아자차카타파하고노도로모보소",
}


def _text(rng: random.Random, alphabet: str) -> str:
    words = ["".join(rng.choices(alphabet, k=rng.randrange(1, 9))) for _ in range(rng.randrange(0, 120))]
    return " ".join(words)


@pytest.mark.parametrize("script", ALPHABETS)
def test_signatures_are_those_of_datasketch(script: str) -> None:
    """A hundred generated texts in each of ten scripts, bit for bit."""
    rng = random.Random(script)
    for _ in range(100):
        tokens = tokenize("", _text(rng, ALPHABETS[script]))
        peer = datasketch.MinHash(num_perm=128, seed=1, hashfunc=xxhash.xxh32_intdigest)
        peer.update_batch(shingle_strings(tokens, 5))
        np.testing.assert_array_equal(signature(tokens, SketchParameters()), peer.hashvalues)


@pytest.mark.parametrize(("permutations", "seed", "size"), [(64, 1, 5), (128, 7, 3), (256, 42, 2)])
def test_signatures_follow_their_parameters(permutations: int, seed: int, size: int) -> None:
    """Other numbers of permutations, seeds and shingle widths agree with datasketch too."""
    tokens = tokenize("A headline", "the quick brown fox jumps over the lazy dog and runs far away from it")
    peer = datasketch.MinHash(num_perm=permutations, seed=seed, hashfunc=xxhash.xxh32_intdigest)
    peer.update_batch(shingle_strings(tokens, size))
    parameters = SketchParameters(shingle_size=size, permutations=permutations, seed=seed)
    np.testing.assert_array_equal(signature(tokens, parameters), peer.hashvalues)


def test_xxh32_of_every_length() -> None:
    """The compiled XXH32 equals the library's for inputs below, at and over its stripe of 16 bytes."""
    data = np.random.default_rng(3).integers(0, 256, 80, dtype=np.uint8)
    for length in range(75):
        assert kernels.xxh32(data, 2, 2 + length) == xxhash.xxh32_intdigest(data[2 : 2 + length].tobytes())


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 12))
def test_window_minima_by_definition(values: list[int], window: int) -> None:
    """Of every window of hashes the rightmost smallest is kept."""
    hashes = np.array(values, np.uint64)
    expected: set[int] = set()
    for start in range(max(1, len(values) - window + 1) if values else 0):
        inside = values[start : start + window]
        expected.add(start + max(i for i, value in enumerate(inside) if value == min(inside)))
    assert kernels.window_minima(hashes, window).tolist() == sorted(expected)


@given(st.integers(0, 10**6), st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_a_shared_run_is_always_found(seed: int, window: int) -> None:
    """Two texts that share window + shingle size - 1 words share a posting, whatever stands around."""
    rng = random.Random(seed)
    parameters = SketchParameters(window=window)
    run = [f"r{rng.randrange(10**6)}" for _ in range(window + parameters.shingle_size - 1)]
    bodies = []
    for side in "ab":
        before = [f"{side}{rng.randrange(10**6)}" for _ in range(rng.randrange(0, 40))]
        after = [f"{side}{rng.randrange(10**6)}" for _ in range(rng.randrange(0, 40))]
        bodies.append(" ".join([*before, *run, *after]))
    a, b = (sketch(tokenize("", body), parameters).minima for body in bodies)
    assert set(a.tolist()) & set(b.tolist())


def test_postings_do_not_depend_on_the_headline() -> None:
    """The same body under another headline is the same text."""
    body = "one two three four five six seven eight nine ten eleven twelve thirteen"
    first, second = (
        sketch(tokenize(headline, body), SketchParameters()) for headline in ("", "Quite another one")
    )
    np.testing.assert_array_equal(first.postings, second.postings)
    assert len(shingle_hashes(tokenize("x", body), 5, 1)) == 9


def test_the_fingerprint_tells_every_parameter() -> None:
    """No two sets of parameters share a fingerprint."""
    changed = [
        SketchParameters(),
        SketchParameters(shingle_size=4),
        SketchParameters(window=9),
        SketchParameters(permutations=64),
        SketchParameters(seed=2),
        SketchParameters(band_threshold=0.5),
        SketchParameters(passages=False),
        SketchParameters(normalizer=99),
    ]
    assert len({p.fingerprint() for p in changed}) == len(changed)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
def test_bands_reach_their_recall(threshold: float) -> None:
    """At the threshold the chosen bands find 95 % of pairs, simulated and by the formula; one band less would not."""
    banding = lsh.choose(threshold, 128)
    assert banding.bands * banding.rows <= 128
    assert banding.probability(threshold) >= lsh.RECALL_AT_THRESHOLD
    assert lsh.Banding(banding.bands - 1, banding.rows).probability(threshold) < lsh.RECALL_AT_THRESHOLD
    agree = np.random.default_rng(1).random((4000, banding.bands, banding.rows)) < threshold
    found = np.any(np.all(agree, axis=2), axis=1)
    assert abs(float(np.mean(found)) - banding.probability(threshold)) < 0.03


def test_impossible_bands_are_refused() -> None:
    """A threshold outside (0, 1] or out of reach is an error, not a silent compromise."""
    for threshold, permutations in ((0.0, 128), (1.5, 128), (0.01, 16)):
        with pytest.raises(ValueError, match="threshold"):
            lsh.choose(threshold, permutations)
