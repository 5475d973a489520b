"""All that the second opinion takes from the package: words, postings, credits, and what two texts share.

These have oracles of their own (``tests/oracle.py``, ``tests/oracle_text.py``). A text is its body and nothing else, so
it is always tokenized without a headline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash

from bench.oracle.clusters import Edge
from dedup.core.provenance import AGENCIES, agency_of_source, credit_bits, credits
from dedup.core.sketch import SketchParameters, sketch
from dedup.core.text import Tokens, tokenize
from dedup.core.verify import ComparableText, comparable, verify_many
from dedup.model import Article, CollectionParameters, PubStatus, Rules

__all__ = [
    "Article",
    "Body",
    "CollectionParameters",
    "ComparableText",
    "PubStatus",
    "Rules",
    "agency",
    "credited",
    "read",
    "ready",
    "verified",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Body:
    """A body with its postings; ``minima`` are those of windows with the tokens they stand at, in that order.

    ``reading`` hashes which words are quoted.
    """

    digest: bytes
    half_words: int
    reading: int
    tokens: Tokens
    postings: frozenset[int]
    minima: tuple[tuple[int, int], ...]


def read(article: Article, parameters: CollectionParameters) -> Body:
    """The body of an article; its headline where the body has no token."""
    tokens = tokenize("", article.body)
    if not len(tokens):
        tokens = tokenize("", article.headline)
    digest = tokens.body_digest()
    kept = tokens if parameters.keep_text else tokens.reduced()
    made = sketch(kept, SketchParameters.of(parameters))
    minima = zip(made.minima.tolist(), made.positions.tolist(), strict=True)
    reading = xxhash.xxh3_64_intdigest(tokens.flags.tobytes())
    return Body(digest, tokens.half_words(), reading, kept, frozenset(made.postings.tolist()), tuple(minima))


def agency(article: Article) -> str:
    """The agency that an article's outlet is, or "": only those that carriers have a number for."""
    name = agency_of_source(article.source)
    return name if name in AGENCIES else ""


def credited(article: Article) -> int:
    """The agencies that an article credits, packed."""
    return credit_bits(credits(article))


def ready(body: Body, unusable: set[int], parameters: CollectionParameters) -> ComparableText:
    """A body made ready to be verified; tokens at the places given are no evidence."""
    usable = np.ones(len(body.tokens), np.bool_)
    usable[sorted(unusable)] = False
    return comparable(body.tokens, body.digest, parameters.shingle_size, usable if unusable else None)


def verified(
    a: ComparableText, others: Sequence[ComparableText], parameters: CollectionParameters
) -> list[Edge | None]:
    """What text a, which has the smaller digest, shares with each of others; None where no kind is found."""
    found = verify_many(a, others, [True] * len(others), parameters.rules)
    return [
        Edge(int(e.kind), e.shared - e.quoted, e.quoted, e.a_containment, e.b_containment, e.min_coverage)
        if e is not None and e.kind is not None
        else None
        for e in found
    ]
