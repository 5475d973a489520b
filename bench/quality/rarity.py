"""Trigrams weighted by how rare they are, as a variant of the service: whether such weights would earn their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.quality.measures import Pair
from dedup.core.text import QUOTED, Tokens, tokenize
from dedup.core.verify import ComparableText, comparable, verify
from dedup.model import COPY_KINDS, DEFAULT_RULES, Article, MatchKind, Rules

#: Rules by which trigrams play no part.
RUNS_ALONE: Final = replace(DEFAULT_RULES, rewrite_trigrams=1000, rewrite_trigram_share=1.0)
#: Rules that let every pair through that weights might call a rewrite.
LOOSE: Final = replace(DEFAULT_RULES, rewrite_trigram_share=0.15)
_SHINGLE_SIZE: Final = 5
_FACTORS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_HALF: Final = np.uint64(32)


def weighed(
    articles: Sequence[Article], kinds: dict[Pair, MatchKind], rules: Rules = DEFAULT_RULES
) -> dict[Pair, MatchKind]:
    """The kinds of pairs found by :data:`LOOSE` with trigrams weighing ln((n + 1) / texts that have it), of n."""
    tokens = {article.id: tokenize(article.headline, article.body) for article in articles}
    trigrams = {name: _trigrams(each) for name, each in tokens.items()}
    known, held = np.unique(np.concatenate(list(trigrams.values())), return_counts=True)
    weights = np.log((len(articles) + 1) / held)

    def weight(of: NDArray[np.uint64]) -> float:
        return float(weights[np.searchsorted(known, of)].sum())

    ready: dict[str, ComparableText] = {}
    out: dict[Pair, MatchKind] = {}
    for pair, kind in kinds.items():
        if kind is not MatchKind.REWRITE:
            out[pair] = kind
            continue
        texts = (_ready(name, tokens[name], ready) for name in pair)
        a, b = sorted(texts, key=lambda text: text.digest)
        plain = verify(a, b, RUNS_ALONE).kind
        common = np.intersect1d(trigrams[pair[0]], trigrams[pair[1]], assume_unique=True)
        fewer = min(weight(trigrams[name]) for name in pair)
        enough = len(common) >= rules.rewrite_trigrams
        if plain not in COPY_KINDS and enough and weight(common) >= rules.rewrite_trigram_share * fewer:
            plain = MatchKind.REWRITE
        if plain is not None:
            out[pair] = plain
    return out


def _trigrams(tokens: Tokens) -> NDArray[np.uint64]:
    """Distinct runs of three words none of which is quoted, hashed."""
    h, plain = tokens.hashes, tokens.flags & QUOTED == 0
    if len(h) < 3:
        return np.empty(0, np.uint64)
    mixed = h[:-2]
    for following, factor in zip((h[1:-1], h[2:]), _FACTORS, strict=True):
        mixed = (mixed ^ (mixed >> _HALF)) * factor + following
    found: NDArray[np.uint64] = np.unique(mixed[plain[:-2] & plain[1:-1] & plain[2:]])
    return found


def _ready(name: str, tokens: Tokens, ready: dict[str, ComparableText]) -> ComparableText:
    if name not in ready:
        ready[name] = comparable(tokens, tokens.body_digest(), _SHINGLE_SIZE)
    return ready[name]
