"""Verification: what two texts really share, measured exactly, and what that makes them to each other.

The kind of a match is the first definition that holds; the numbers are the fields of :class:`Rules`:

``EXACT``
    the normalized bodies are equal.
``NEAR_DUPLICATE``
    containment of at least ``covered`` both ways.
``EXCERPT``
    containment of at least ``covered`` one way.
``REWRITE``
    at least ``rewrite_words`` shared words outside quotation marks, ``rewrite_share`` of the unquoted words of the
    shorter text, and an unquoted run of at least ``rewrite_run``. Read off 320 labelled pairs of real news.
``SHARED_QUOTE``
    at least ``quote_words`` shared words quoted in both, in passages of at least ``quote_passage`` words.

Containment of A in B is the share of A's words that stand in passages; Jaccard is over the sets of shingles
of both texts; furniture of a source is left out of passages. All of it is symmetric: the text given first
only breaks ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dedup import kernels
from dedup.align import MINIMUM_WORDS
from dedup.model import Match, MatchKind, Passage
from dedup.shingle import shingle_set
from dedup.text import QUOTED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dedup.text import Tokens


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the kinds begin; lengths in words, shares in [0, 1]."""

    covered: float = 0.8
    rewrite_words: int = 20
    rewrite_share: float = 0.1
    rewrite_run: int = 10
    quote_words: int = 12
    quote_passage: int = 8


DEFAULT_RULES: Final = Rules()


@dataclass(frozen=True, slots=True)
class ComparableText:
    """A text made ready to be verified against many others.

    ``usable`` is False for tokens that are furniture of the text's source. ``half_words`` and
    ``unquoted_half_words`` count the whole text, headline included.
    """

    tokens: Tokens
    digest: bytes
    shingles: NDArray[np.uint64]
    usable: NDArray[np.bool_]
    half_words: int
    unquoted_half_words: int


def comparable(
    tokens: Tokens, digest: bytes, shingle_size: int, usable: NDArray[np.bool_] | None = None
) -> ComparableText:
    """Everything about one text that does not depend on the other."""
    quoted = tokens.flags & QUOTED > 0
    units = 2 - (tokens.flags & 1).astype(np.int64)
    return ComparableText(
        tokens=tokens,
        digest=digest,
        shingles=shingle_set(tokens, shingle_size),
        usable=np.ones(len(tokens), np.bool_) if usable is None else usable,
        half_words=int(units.sum()),
        unquoted_half_words=int(units[~quoted].sum()),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """The measured relation of text a to text b; half words, tokens, and rows as in :mod:`dedup.align`.

    ``own`` is the least share covered of either text, of all its words and of its unquoted words.
    """

    kind: MatchKind | None
    jaccard: float
    a_containment: float
    b_containment: float
    shared: int
    quoted: int
    longest_unquoted: int
    rows: NDArray[np.int32]
    row_units: NDArray[np.int32]

    own: float

    @property
    def unquoted_words(self) -> int:
        """Shared words outside quotation marks."""
        return (self.shared - self.quoted) // 2


def verify(a: ComparableText, b: ComparableText, rules: Rules = DEFAULT_RULES) -> Evidence:
    """Align two texts and name their relation; ``kind`` is None where nothing of weight is shared.

    Give the text of the article with the smaller id first: ties between equally long passages go by position
    in it.
    """
    rows = kernels.passages(
        a.tokens.hashes, b.tokens.hashes, a.usable, b.usable, a.tokens.flags, 2 * MINIMUM_WORDS
    )
    shared, quoted, longest, spoken, each = kernels.measure(
        rows, a.tokens.flags, b.tokens.flags, 2 * rules.quote_passage
    )
    both = kernels.intersection(a.shingles, b.shingles)
    union = len(a.shingles) + len(b.shingles) - both
    a_containment = shared / a.half_words if a.half_words else 0.0
    b_containment = shared / b.half_words if b.half_words else 0.0
    kind = _kind(a, b, rules, shared, quoted, longest, spoken)
    unquoted = min(1.0, (shared - quoted) / max(a.unquoted_half_words, b.unquoted_half_words, 1))
    return Evidence(
        kind=kind,
        jaccard=both / union if union else 0.0,
        a_containment=a_containment,
        b_containment=b_containment,
        shared=shared,
        quoted=quoted,
        longest_unquoted=longest,
        rows=rows,
        row_units=each,
        own=min(a_containment, b_containment, unquoted),
    )


def _kind(
    a: ComparableText, b: ComparableText, rules: Rules, shared: int, quoted: int, longest: int, spoken: int
) -> MatchKind | None:
    if a.digest == b.digest:
        return MatchKind.EXACT
    covers_a, covers_b = shared >= rules.covered * a.half_words, shared >= rules.covered * b.half_words
    if shared and covers_a and covers_b:
        return MatchKind.NEAR_DUPLICATE
    if shared and (covers_a or covers_b):
        return MatchKind.EXCERPT
    shorter = a if a.half_words <= b.half_words else b
    if a.half_words == b.half_words and b.unquoted_half_words < a.unquoted_half_words:
        shorter = b
    unquoted = shared - quoted
    if (
        unquoted >= 2 * rules.rewrite_words
        and unquoted >= rules.rewrite_share * shorter.unquoted_half_words
        and longest >= 2 * rules.rewrite_run
    ):
        return MatchKind.REWRITE
    if spoken >= 2 * rules.quote_words:
        return MatchKind.SHARED_QUOTE
    return None


def to_match(evidence: Evidence, a: ComparableText, b: ComparableText, a_id: str, b_id: str) -> Match:
    """The match as callers see it, from a to b; ``evidence.kind`` must not be None.

    Raises:
        ValueError: there is no match.
    """
    if evidence.kind is None:
        message = "no match to convert"
        raise ValueError(message)
    return Match(
        article=a_id,
        other=b_id,
        kind=evidence.kind,
        jaccard=evidence.jaccard,
        containment=evidence.a_containment,
        other_containment=evidence.b_containment,
        shared_words=evidence.shared // 2,
        quoted_words=evidence.quoted // 2,
        longest_unquoted_run=evidence.longest_unquoted // 2,
        passages=to_passages(evidence, a.tokens, b.tokens),
    )


def to_passages(evidence: Evidence, a: Tokens, b: Tokens) -> tuple[Passage, ...]:
    """The passages with offsets into both texts as received."""
    found = []
    for (i, j, length), (units, quoted) in zip(
        evidence.rows.tolist(), evidence.row_units.tolist(), strict=True
    ):
        found.append(
            Passage(
                int(a.starts[i]),
                int(a.ends[i + length - 1]),
                int(b.starts[j]),
                int(b.ends[j + length - 1]),
                units // 2,
                quoted // 2,
            )
        )
    return tuple(found)
