"""From posting lists to candidates: who may be compared, and what is boilerplate of a source.

*Eligible pairs.* A posting list is kept whole, however hot. All texts of a list may be compared with one another, until
it is *hot*: has more texts than landmarks. Then two of them may be if they share two hot lists, and in each of
these one of the two is among its *landmarks*, the texts with the smallest digests; from 100 texts on, among the smaller
half of them: versions of a hot story have different landmarks, and each is compared with those of every list it stands
in. That bounds the work and depends on content alone, not on the order of arrival. A single posting that many have is
mostly a stock phrase; of a run of 20 copied words windows of 8 take two postings at least.

*Boilerplate.* A posting that one source has in at least 3 texts, on at least 3 days, the first and last more than 5
days apart, is that source's boilerplate (footers, biographies, teasers): for its texts it counts neither as a
candidate nor as evidence. In a hot list the rule looks at the landmarks; and a list of at least 100 texts, of whose
landmarks the middle half spans more than 5 days, is boilerplate of every source: a legal notice of a chain of
outlets, a stock phrase of an agency. What a hundred outlets copy from a wire they copy within days. Between two
neighboring window minima that are both boilerplate, all words are; one alone covers its shingle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.core import kernels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dedup.core.sketch import Sketch


def usable_tokens(
    sketch: Sketch, boilerplate: NDArray[np.bool_], tokens: int, shingle_size: int
) -> NDArray[np.bool_]:
    """Which tokens of a text, shape (tokens,), may be evidence: those that are not boilerplate."""
    usable: NDArray[np.bool_] = kernels.usable(
        sketch.postings, sketch.minima, sketch.positions, boilerplate, tokens, shingle_size
    )
    return usable


def unmasked_tokens(
    minima: NDArray[np.uint64],
    positions: NDArray[np.int32],
    mask: NDArray[np.uint64],
    tokens: int,
    shingle_size: int,
) -> NDArray[np.bool_]:
    """:func:`usable_tokens` of window minima at their positions, where ``mask`` has the boilerplate, ascending."""
    usable: NDArray[np.bool_] = kernels.unmasked(minima, positions, mask, tokens, shingle_size)
    return usable
