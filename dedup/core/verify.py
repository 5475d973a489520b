"""Verification: what two texts really share, measured exactly, and what that makes them to each other.

The kind of a match is the first definition that holds; the numbers are the fields of
:class:`~dedup.model.Rules`, settings of a collection:

``EXACT``
    the normalized bodies are equal, and have words.
``NEAR_DUPLICATE``
    containment of at least ``covered`` both ways.
``EXCERPT``
    containment of at least ``covered`` one way.
``REWRITE``
    at least ``rewrite_words`` shared words quoted in neither text, ``rewrite_share`` of the unquoted words of the
    shorter text, and a run of at least ``rewrite_run`` of them: read off 320 labelled pairs of real news. Or, whatever
    one of them has put between marks, ``rewrite_half`` of the shorter text's words, quoted in one text at most,
    with a run of at least ``rewrite_half_run``. Or, however short its runs, at least ``rewrite_trigrams`` runs of
    three words quoted in neither text, ``rewrite_trigram_share`` of those of the text that has fewer: sentences
    taken over with words put in, left out and exchanged, around one passage at least. Such low-order overlap tells
    derived from independent reports where runs are short (Sharjeel, Nawab and Rayson 2017, on Urdu news);
    independent reports of one event have up to 0.17.
``SHARED_QUOTE``
    at least ``quote_words`` shared words quoted in at least one of the texts, in passages of at least ``quote_passage``
    words: a statement, a post or a letter that one of them prints without marks is still somebody's words.

Containment of A in B is the share of A's words that stand in passages; Jaccard is over the sets of shingles
of both texts; boilerplate of a source is left out of passages. A text is the body of an article. All of it is
symmetric: the text given first only breaks ties, see :mod:`dedup.core.verify_pair`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.core import kernels
from dedup.core.align import Alignment, align
from dedup.model import DEFAULT_RULES, MatchKind, Passage, Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dedup.core.text import Tokens


class ComparableText(msgspec.Struct, frozen=True, dict=True):
    """A text made ready to be verified against many others.

    ``tokens`` are without their normal forms, and have the units for hashes; ``units`` as in :mod:`dedup.core.align`;
    ``usable`` is False for tokens that are boilerplate of the text's source, None where none is, and
    ``boilerplate_half_words`` their length. ``half_words`` and ``unquoted_half_words`` are of the whole text,
    boilerplate included.
    """

    tokens: Tokens
    digest: bytes
    units: NDArray[np.uint64]
    usable: NDArray[np.bool_] | None
    shingle_size: int
    half_words: int
    unquoted_half_words: int
    boilerplate_half_words: int

    # Most texts match no other, and are never asked for these two.
    @functools.cached_property
    def shingles(self) -> int:
        """How many distinct shingles the whole text has."""
        return int(kernels.shingle_table(self.units, self.shingle_size)[1])

    @functools.cached_property
    def trigrams(self) -> int:
        """How many distinct trigrams it has, clear as in :mod:`dedup.core.align`."""
        return int(kernels.shingle_table(self.units, kernels.TRIGRAM, kernels.QUOTED_OR_BLOCKED)[1])

    @property
    def boilerplate(self) -> NDArray[np.bool_]:
        """Which tokens are boilerplate, shape (tokens,)."""
        return np.zeros(len(self.tokens), np.bool_) if self.usable is None else ~self.usable


#: Bits of :func:`coverage`.
COPIED: Final = 1
SAID: Final = 2
_NO_BYTES: Final = np.empty(0, np.uint8)
_NO_PLACES: Final = np.empty(0, np.int32)


def comparable(
    tokens: Tokens, digest: bytes, shingle_size: int, usable: NDArray[np.bool_] | None = None
) -> ComparableText:
    """Everything about one text that does not depend on the other."""
    may_use = np.ones(len(tokens), np.bool_) if usable is None else usable
    units, whole, unquoted, boilerplate = kernels.units_of(tokens.hashes, tokens.flags, may_use)
    return ComparableText(
        # thousands of these are kept: places are copied, so that those of the bytes beside them in one array go
        tokens=msgspec.structs.replace(
            tokens,
            hashes=units,
            starts=tokens.starts.copy(),
            ends=tokens.ends.copy(),
            utf8=_NO_BYTES,
            byte_starts=_NO_PLACES,
            byte_ends=_NO_PLACES,
        ),
        digest=digest,
        units=units,
        usable=usable,
        shingle_size=shingle_size,
        half_words=whole,
        unquoted_half_words=unquoted,
        boilerplate_half_words=boilerplate,
    )


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """The measured relation of text a to text b; half words, tokens, and rows as in :mod:`dedup.core.align`.

    ``quoted`` are shared words that stand inside quotation marks in at least one of the texts, ``quoted_in_both`` in
    both; ``longest_unquoted`` is the longest run quoted in neither, ``longest_run`` that of what is not
    ``quoted_in_both``. ``min_coverage`` is the least share covered of either text, of all its words and of its
    unquoted words; ``trigrams`` are distinct clear ones in both, ``trigram_share`` what they are of those of the text
    that has fewer.
    """

    kind: MatchKind | None
    jaccard: float
    a_containment: float
    b_containment: float
    shared: int
    quoted: int
    longest_unquoted: int
    quoted_in_both: int
    longest_run: int
    rows: NDArray[np.int32]
    row_units: NDArray[np.int32]

    min_coverage: float
    trigrams: int
    trigram_share: float

    @property
    def unquoted_words(self) -> int:
        """Shared words quoted in neither text."""
        return (self.shared - self.quoted) // 2


def verify(a: ComparableText, b: ComparableText, rules: Rules = DEFAULT_RULES) -> Evidence:
    """Align two texts and name their relation; ``kind`` is None where nothing of weight is shared.

    Ties between equally long passages go by position in ``a``: :func:`~dedup.core.verify_pair.verify_pair` chooses it.
    """
    (found,) = align(
        a.units,
        [b.units],
        [True],
        shingle_size=a.shingle_size,
        long_passage_words=rules.quote_passage,
        always_count=True,
    )
    return _evidence(a, b, found, _kind(a, b, rules, found))


def verify_many(
    query: ComparableText,
    others: Sequence[ComparableText],
    query_first: Sequence[bool],
    rules: Rules = DEFAULT_RULES,
) -> list[Evidence | None]:
    """The relation of one text to each of others, None where nothing of weight is shared.

    ``query_first`` tells for each pair whether ``query`` is text a, as in :func:`verify`.
    """
    found = align(
        query.units,
        [other.units for other in others],
        query_first,
        shingle_size=query.shingle_size,
        long_passage_words=rules.quote_passage,
    )
    out: list[Evidence | None] = []
    for other, first, alignment in zip(others, query_first, found, strict=True):
        a, b = (query, other) if first else (other, query)
        kind = _kind(a, b, rules, alignment) if alignment.shared or a.digest == b.digest else None
        out.append(None if kind is None else _evidence(a, b, alignment, kind))
    return out


def _evidence(a: ComparableText, b: ComparableText, found: Alignment, kind: MatchKind | None) -> Evidence:
    union = a.shingles + b.shingles - found.common
    a_containment = found.shared / a.half_words if a.half_words else 0.0
    b_containment = found.shared / b.half_words if b.half_words else 0.0
    unquoted = min(
        1.0, (found.shared - found.quoted_in_both) / max(a.unquoted_half_words, b.unquoted_half_words, 1)
    )
    return Evidence(
        kind=kind,
        jaccard=found.common / union if union else 0.0,
        a_containment=a_containment,
        b_containment=b_containment,
        shared=found.shared,
        quoted=found.quoted,
        longest_unquoted=found.longest_unquoted,
        quoted_in_both=found.quoted_in_both,
        longest_run=found.longest_run,
        rows=found.rows,
        row_units=found.row_units,
        min_coverage=min(a_containment, b_containment, unquoted),
        trigrams=found.trigrams,
        trigram_share=found.trigrams / max(1, min(a.trigrams, b.trigrams)),
    )


def _kind(a: ComparableText, b: ComparableText, rules: Rules, found: Alignment) -> MatchKind | None:
    shared = found.shared
    if a.digest == b.digest:
        return MatchKind.EXACT if a.half_words else None
    covers_a, covers_b = shared >= rules.covered * a.half_words, shared >= rules.covered * b.half_words
    if shared and covers_a and covers_b:
        return MatchKind.NEAR_DUPLICATE
    if shared and (covers_a or covers_b):
        return MatchKind.EXCERPT
    short = shorter(a, b)
    unquoted = shared - found.quoted
    if (
        unquoted >= 2 * rules.rewrite_words
        and unquoted >= rules.rewrite_share * short.unquoted_half_words
        and found.longest_unquoted >= 2 * rules.rewrite_run
    ):
        return MatchKind.REWRITE
    half = shared - found.quoted_in_both >= rules.rewrite_half * short.half_words
    if half and found.longest_run >= 2 * rules.rewrite_half_run:
        return MatchKind.REWRITE
    least = max(rules.rewrite_trigrams, rules.rewrite_trigram_share * min(a.trigrams, b.trigrams))
    if found.trigrams >= least:
        return MatchKind.REWRITE
    if found.quoted_in_long_passages >= 2 * rules.quote_words:
        return MatchKind.SHARED_QUOTE
    return None


def shorter(a: ComparableText, b: ComparableText) -> ComparableText:
    """The text of fewer words; of two as long, the one of fewer unquoted words."""
    if a.half_words != b.half_words:
        return a if a.half_words < b.half_words else b
    return b if b.unquoted_half_words < a.unquoted_half_words else a


def to_passages(
    evidence: Evidence, query: Tokens, other: Tokens, *, query_first: bool = True
) -> tuple[Passage, ...]:
    """The passages with offsets into both texts, ascending in ``query``, which is text a if ``query_first``."""
    if not len(evidence.rows):
        return ()
    found = kernels.offsets(
        evidence.rows,
        evidence.row_units,
        0 if query_first else 1,
        query.starts,
        query.ends,
        other.starts,
        other.ends,
    )
    return tuple([Passage(*row) for row in found.tolist()])


def coverage(
    query: ComparableText, found: Sequence[tuple[Evidence, ComparableText, bool]]
) -> NDArray[np.uint8]:
    """Which tokens of a text stand in passages of each of some matches, uint8 of shape (found, tokens).

    :data:`COPIED`, or :data:`SAID` where it is quoted in either text; 0 elsewhere. ``found`` gives evidence, the other
    text, and whether ``query`` is text a of that pair.
    """
    marks = np.zeros((len(found), len(query.tokens)), np.uint8)
    for row, (evidence, other, query_first) in zip(marks, found, strict=True):
        kernels.mark(query.units, other.units, evidence.rows, 0 if query_first else 1, row)
    return marks
