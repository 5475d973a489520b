"""Signatures against datasketch, window minima against their definition, bands against the S-curve."""

from __future__ import annotations

import random
from typing import Any

import datasketch
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.core import kernels, lsh
from dedup.core.candidates import unmasked_tokens, usable_tokens
from dedup.core.shingle import shingle_hashes, shingle_strings
from dedup.core.sketch import SketchParameters, signature, sketch
from dedup.core.text import QUOTED, tokenize
from dedup.core.verify import comparable

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


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 7))
def test_windows_choose_open_shingles_first(words: list[int], size: int) -> None:
    """Below all others are the shingles whose smallest token stands in the middle; else the hash decides."""
    tokens = np.array(words, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashes = kernels.shingles(tokens, size)
    ranks = hashes.copy()
    kernels.prefer_open(ranks, tokens, size)
    order = {token: position for position, token in enumerate(_by_hash(set(words)))}
    for start, rank in enumerate(ranks.tolist()):
        inside = [order[word] for word in words[start : start + size]]
        is_open = inside[size // 2] == min(inside)
        assert rank == (int(hashes[start]) >> 1) | (0 if is_open else 1 << 63)


def _by_hash(words: set[int]) -> list[int]:
    """Words as :data:`tokens` above, smallest by the hash that ranks tokens: XOR with the multiplier, mixed."""

    def mixed(x: int) -> int:
        x ^= x >> 32
        x = x * 0xD6E8FEB86659FD93 % (1 << 64)
        x ^= x >> 32
        x = x * 0xD6E8FEB86659FD93 % (1 << 64)
        return x ^ (x >> 32)

    multiplier = 0x9E3779B97F4A7C15
    return sorted(words, key=lambda word: mixed(word * multiplier % (1 << 64) ^ multiplier))


@given(st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_bands_add_nothing_to_short_windows(seed: int) -> None:
    """Texts of the Jaccard similarity that bands are for share a window minimum, however their edits lie."""
    rng = random.Random(seed)
    parameters = SketchParameters()
    assert not parameters.bands_add
    words = [f"w{rng.randrange(10**6)}" for _ in range(rng.randrange(30, 300))]
    edited = list(words)
    step = rng.randrange(5, 60)
    for place in range(rng.randrange(step), len(words), step):
        edit = rng.randrange(3)
        edited[place] = ("", f"x{place}", f"{edited[place]} x{place}")[edit]
    first, second = (sketch(tokenize("", " ".join(body)), parameters) for body in (words, edited))
    shingles = [set(shingle_hashes(tokenize("", " ".join(body)), 5).tolist()) for body in (words, edited)]
    jaccard = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    if jaccard >= parameters.band_threshold:
        assert set(first.postings.tolist()) & set(second.postings.tolist())


@pytest.mark.parametrize(
    ("changed", "bands"),
    [
        ({}, False),
        ({"window": 16}, True),
        ({"window": 16, "band_threshold": 0.8}, False),
        ({"band_threshold": 0.5}, True),
        ({"passages": False}, True),
    ],
)
def test_bands_stand_where_they_add_something(changed: dict[str, Any], bands: bool) -> None:
    """A sketch has bands and, for them, a signature where windows are too wide for the threshold."""
    parameters = SketchParameters(**changed)
    tokens = tokenize("", " ".join(f"word{i}" for i in range(80)))
    made = sketch(tokens, parameters)
    assert len(made.postings) - len(set(made.minima.tolist())) == (parameters.banding.bands if bands else 0)
    assert len(made.signature) == (parameters.permutations if bands else 0)
    signed = sketch(tokens, parameters, signed=True)
    np.testing.assert_array_equal(signed.signature, signature(tokens, parameters))
    np.testing.assert_array_equal(signed.postings, made.postings)


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


@given(st.randoms(use_true_random=False), st.sampled_from(["latin", "thai"]), st.integers(2, 9))
@settings(deadline=None)
def test_boilerplate_covers_its_shingles_and_what_is_between(
    rng: random.Random, script: str, window: int
) -> None:
    """A minimum covers its shingle, two neighbors all words between them; lengths agree."""
    tokens = tokenize("A headline of five words", _text(rng, ALPHABETS[script]))
    made = sketch(tokens, SketchParameters(window=window))
    boilerplate = np.array([rng.random() < 0.6 for _ in made.postings], np.bool_)
    known = set(made.postings[boilerplate].tolist())
    covered: set[int] = set()
    before = None
    for minimum, position in zip(made.minima.tolist(), made.positions.tolist(), strict=True):
        if minimum in known:
            covered |= set(range(position if before is None else before, position + 5))
        before = position if minimum in known else None
    usable = usable_tokens(made, boilerplate, len(tokens), 5)
    assert set(np.flatnonzero(~usable).tolist()) == covered & set(range(len(tokens)))
    mask = np.append(made.postings[boilerplate], np.uint64(1 << 43))  # and a posting of no text
    unmasked = unmasked_tokens(made.minima, made.positions, mask, len(tokens), 5)
    np.testing.assert_array_equal(unmasked, usable)
    text = comparable(tokens, b"", 5, usable)
    assert text.half_words == tokens.half_words()
    assert text.boilerplate_half_words == tokens.half_words_of(~usable)
    assert text.unquoted_half_words == tokens.half_words_of(tokens.flags & QUOTED == 0)


def test_sketches_do_not_depend_on_the_headline() -> None:
    """The same body under another headline is the same text: postings, positions and signature."""
    body = "one two three four five six seven eight nine ten eleven twelve thirteen"
    first, second = (
        sketch(tokenize(headline, body), SketchParameters(), signed=True)
        for headline in ("", "Quite another one")
    )
    for name in ("postings", "minima", "positions", "signature"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert len(shingle_hashes(tokenize("x", body), 5)) == 9


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
