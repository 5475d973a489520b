"""Word n-grams of a text, as hashes and as the UTF-8 strings that a signature is defined over.

A shingle is ``size`` consecutive tokens (Broder 1997). In scripts without spaces tokens are characters, so
that a shingle there is five characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dedup.core import kernels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dedup.core.text import Tokens


def shingle_hashes(tokens: Tokens, size: int) -> NDArray[np.uint64]:
    """64-bit hashes of the shingles, by position; shape (max(0, n - size + 1),)."""
    hashes: NDArray[np.uint64] = kernels.shingles(tokens.hashes, size)
    return hashes


def shingle_strings(tokens: Tokens, size: int) -> list[bytes]:
    """The shingles as UTF-8, tokens joined by one space: what :func:`dedup.core.sketch.signature` hashes."""
    raw = tokens.utf8.tobytes()
    last = len(tokens) - size + 1
    return [raw[tokens.byte_starts[i] : tokens.byte_ends[i + size - 1]] for i in range(last)]
