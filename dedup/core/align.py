"""Shared passages of token sequences: greedy string tiling (Wise 1993).

A passage is a maximal run of equal tokens of at least ``MINIMUM_WORDS`` words. Passages are found longest
first (in words), ties by position in the first text, then in the second, and overlap in neither text. Time is linear in
the lengths of the texts: of every 6-token seed at most ``kernels.OCCURRENCES`` places are looked at in either
text, which only texts that repeat themselves dozens of times can tell, so all runs together are never longer than
twice that many times both texts.

One text is compared with many in one compiled call: its seeds are put into a table once, and each of the others is
run over it. Which of the two is the first text of a pair changes no run, only the order in which runs are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.core import kernels

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Shortest passage, in words; two characters of a script without spaces are one word.
MINIMUM_WORDS: Final = 6


class Alignment(msgspec.Struct, frozen=True, gc=False):
    """What two texts share, in half words; columns of ``rows`` are start in a, start in b, length, in tokens.

    ``rows`` (m, 3) ascend by start in a; ``row_units`` (m, 2) are the half words and quoted half words of each.
    *Quoted* is what stands inside quotation marks in at least one of the texts, ``longest_unquoted`` the longest run
    quoted in neither, ``quoted_in_long_passages`` what is quoted in passages of at least the length asked for.
    ``quoted_in_both`` is quoted in both, ``longest_run`` the longest run of what is not. ``common`` are the distinct
    shingles in both (0 where there is no passage, unless asked for), ``trigrams`` the distinct runs of three tokens
    in both that are *clear*, quoted and unusable in neither (0 where there is no passage).
    """

    shared: int
    quoted: int
    longest_unquoted: int
    quoted_in_long_passages: int
    quoted_in_both: int
    longest_run: int
    common: int
    trigrams: int
    rows: NDArray[np.int32]
    row_units: NDArray[np.int32]


_NOTHING: Final = Alignment(
    shared=0,
    quoted=0,
    longest_unquoted=0,
    quoted_in_long_passages=0,
    quoted_in_both=0,
    longest_run=0,
    common=0,
    trigrams=0,
    rows=np.empty((0, 3), np.int32),
    row_units=np.empty((0, 2), np.int32),
)


def align(
    query: NDArray[np.uint64],
    others: Sequence[NDArray[np.uint64]],
    query_first: Sequence[bool],
    *,
    shingle_size: int,
    long_passage_words: int,
    always_count: bool = False,
) -> list[Alignment]:
    """Passages of one text with each of many, all as units.

    Args:
        query: the text compared with all others.
        others: the other texts.
        query_first: for each, whether ``query`` is text a of the pair.
        shingle_size: of the shingles that are counted.
        long_passage_words: least length of a passage whose quoted words count apart.
        always_count: count shared shingles also where there is no passage.
    """
    if not others:
        return []
    bounds = np.zeros(len(others) + 1, np.int64)
    np.cumsum([len(units) for units in others], out=bounds[1:])
    measures, rows, each = kernels.compare(
        query,
        np.concatenate(others),
        bounds,
        np.array(query_first, np.bool_),
        2 * MINIMUM_WORDS,
        2 * long_passage_words,
        shingle_size,
        always_count,
    )
    found, at = [], 0
    for (
        shared,
        quoted,
        unquoted,
        quoted_in_long_passages,
        quoted_in_both,
        longest,
        common,
        trigrams,
        passages,
    ) in measures.tolist():
        if passages:
            stop = at + passages
            lengths = (shared, quoted, unquoted, quoted_in_long_passages, quoted_in_both, longest)
            found.append(Alignment(*lengths, common, trigrams, rows[at:stop], each[at:stop]))
            at = stop
        elif common:
            found.append(msgspec.structs.replace(_NOTHING, common=common))
        else:
            found.append(_NOTHING)
    return found
