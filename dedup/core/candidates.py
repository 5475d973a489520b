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

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.core import kernels
from dedup.model import TextNumber

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dedup.core.sketch import Sketch


class QueryPlace(msgspec.Struct, frozen=True, gc=False):
    """A text as the boilerplate rule sees it: number (0: not in the index), outlet of its first carrier, day."""

    text: TextNumber
    source: int
    day: int


class Neighbors(msgspec.Struct, frozen=True, gc=False):
    """Texts that posting lists name, as the boilerplate rule sees them; all of shape (texts,), ascending by number."""

    texts: NDArray[np.uint32]
    sources: NDArray[np.uint64]
    days: NDArray[np.int32]

    def of_sources(self, lists: NDArray[np.uint32], sources: Iterable[int]) -> set[TextNumber]:
        """The texts in ``lists`` that are these outlets'."""
        theirs = self.texts[np.isin(self.sources, np.array(list(sources), np.uint64))]
        return set(np.intersect1d(theirs, texts_in(lists)).tolist())


class PostingScan(msgspec.Struct, frozen=True, gc=False):
    """What posting lists say about the text that asked.

    ``boilerplate`` bool by posting; ``candidates`` the texts it may be compared with, ascending; ``changed`` the
    pairs (posting, source, or 0 for every source) for which boilerplate began or ended with the text's coming or going.
    """

    boilerplate: NDArray[np.bool_]
    candidates: NDArray[np.uint32]
    changed: list[tuple[int, int]]


def texts_in(lists: NDArray[np.uint32], *, placed_only: bool = False) -> NDArray[np.uint32]:
    """Every text that posting lists name, ascending; or only those that decide about boilerplate, see above."""
    members: NDArray[np.uint32] = kernels.members(lists, placed_only)
    return np.unique(members)


def scan_postings(
    lists: NDArray[np.uint32], near: Neighbors, query: QueryPlace, postings: int, *, leaving: bool = False
) -> PostingScan:
    """Read the posting lists of one text.

    Args:
        lists: entries as the store's scripts return them, see ``kernels.scan_postings``.
        near: at least the texts in the lists that decide about boilerplate and are known; of the others only those
            that stand here too are told to be candidates.
        query: the text that asks.
        postings: how many postings it has.
        leaving: the text has just been taken out rather than put in.
    """
    boilerplate, eligible, index, source = kernels.scan_postings(
        lists,
        near.texts,
        near.sources,
        near.days,
        query.text,
        np.uint64(query.source),
        query.day,
        postings,
        leaving,
    )
    changed = list(zip(index.tolist(), source.tolist(), strict=True))
    return PostingScan(boilerplate, near.texts[eligible], changed)


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
