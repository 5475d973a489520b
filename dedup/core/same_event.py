"""Articles that tell of one event though none copies another: the pairs of neighboring words that they share.

Two independent reports of an event share no passage, but names, numbers and terms in the same company. The cosine of
their sets of word pairs, |A n B| / sqrt(|A| |B|), needs to know nothing of other articles, so it is the same
whoever asks and when. Pairs inside shared passages are left out: too short to be copy, these are stock phrases and
boilerplate. Of the pairs found at :data:`MIN_COSINE`, 917 of 921 are of one story where people said which articles of
Emergent are, and 19 of 20 that were read of three hours of Telegram news; at 0.1 only 29 of 40 were. Found are a fifth
of the pairs of one story there, and two fifths of those of one event here.

Who may be compared is found by a bottom-k sketch (Cohen and Kaplan, PODC 2007) of the same sets: the
:data:`PAIRS` word pairs with the smallest hashes are postings, each under the span of days in which its article was
published. Candidates share :data:`MIN_SHARED` of them in the same or a neighboring span.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Word pairs of a text that are postings.
PAIRS: Final = 48
#: Postings that two texts share to be compared.
MIN_SHARED: Final = 2
#: Texts that are compared with one, those that share most first.
MAX_CANDIDATES: Final = 100
#: Cosine from which on two texts tell of one event.
MIN_COSINE: Final = 0.12
#: Word pairs that they share at least: short texts share a few by chance.
MIN_PAIRS: Final = 8
#: Bytes of a posting, and bits of its number.
FIELD: Final = 6
BITS: Final = 42
_DAY: Final = 86400.0
_FLAGS: Final = np.uint64(3)
_HALF_WORD, _BLOCKED = np.uint64(1), np.uint64(4)
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_HALF: Final = np.uint64(32)


def word_pairs(units: NDArray[np.uint64], left_out: NDArray[np.bool_] | None = None) -> NDArray[np.uint64]:
    """Hashes of the distinct pairs of neighboring words of a text, ascending.

    Four characters of a script without spaces are two words. Of tokens that may not be evidence there are no pairs.

    Args:
        units: of the body, as in :mod:`dedup.core.verify`.
        left_out: more tokens that no pair may hold, shape (tokens,).
    """
    barred = units & _BLOCKED > 0
    if left_out is not None:
        barred |= left_out
    half = units & _HALF_WORD > 0
    bare = _mixed(units >> _FLAGS)
    pairs = _runs(bare, 2)[_clear(barred | half, 2)]
    if not half.any():
        return np.unique(pairs)
    return np.unique(np.concatenate([pairs, _runs(bare, 4)[_clear(barred | ~half, 4)]]))


def _runs(bare: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """A hash of so many tokens from each position on."""
    count = max(0, len(bare) - length + 1)
    out = np.zeros(count, np.uint64)
    for i in range(length):
        out = _mixed(out * _FIRST + bare[i : i + count])
    return out


def _clear(barred: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Whether none of so many tokens from each position on is barred."""
    count = max(0, len(barred) - length + 1)
    out = np.ones(count, np.bool_)
    for i in range(length):
        out &= ~barred[i : i + count]
    return out


def similarity(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """Cosine of two sets of word pairs, in [0, 1]; 0 where they share fewer than :data:`MIN_PAIRS`."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / math.sqrt(len(a) * len(b)) if common >= MIN_PAIRS else 0.0


def span_of(published: float, days: int) -> int:
    """The span of so many days, 1 at least, that a time in Unix seconds lies in."""
    return math.floor(published / (_DAY * max(1, days)))


def postings(pairs: NDArray[np.uint64], *spans: int) -> NDArray[np.uint64]:
    """The postings of a text with these word pairs in each of the spans, numbers of :data:`BITS` bits, ascending."""
    smallest = pairs[:PAIRS]
    salted = [_mixed(smallest + np.uint64(span * int(_FIRST) % 2**64)) for span in spans]
    return np.unique(np.concatenate(salted) >> np.uint64(64 - BITS))


def fields(pairs: NDArray[np.uint64], *spans: int) -> bytes:
    """The same as bytes, :data:`FIELD` each, little-endian."""
    return postings(pairs, *spans).astype("<u8").view(np.uint8).reshape(-1, 8)[:, :FIELD].tobytes()


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each value to another, all bits of it anywhere (the finish of SplitMix64)."""
    mixed = (values ^ (values >> _HALF)) * _SECOND
    return mixed ^ (mixed >> _HALF)
