"""The compiled loops: code points to tokens, shingles, signatures, window minima, alignment, posting lists, clusters.

Everything here is a Numba function that releases the interpreter lock and is compiled once into a cache. The callers in
text, shingle, sketch, align, candidates and clustering document what is computed and where it comes from; nothing else
in the project is compiled. Conventions: arrays of numbers, C order, no Python objects, no exceptions.
"""

# ruff: noqa: E402 - the place of the cache is chosen before the first kernel is declared
from dedup.core.kernels import place

place.choose()

from dedup.core.kernels.grouping import join_all, join_supported, join_within, neighbors
from dedup.core.kernels.passages import length, mark, offsets
from dedup.core.kernels.posting_lists import unmasked, usable
from dedup.core.kernels.quotation import (
    K_CHARACTER,
    K_IGNORED,
    K_MARK,
    K_NEWLINE,
    K_OPENING,
    K_OTHER,
    K_SPACE,
    K_WORD,
    Q_ANGLE_LEFT,
    Q_ANGLE_RIGHT,
    Q_APOSTROPHE,
    Q_CORNER_LEFT,
    Q_CORNER_RIGHT,
    Q_GUILLEMET_LEFT,
    Q_GUILLEMET_RIGHT,
    Q_LEFT,
    Q_LOW,
    Q_NONE,
    Q_PRIME_LEFT,
    Q_PRIME_RIGHT,
    Q_RIGHT,
    Q_SINGLE_LEFT,
    Q_SINGLE_LOW,
    Q_SINGLE_RIGHT,
    Q_STRAIGHT,
    Q_WHITE_CORNER_LEFT,
    Q_WHITE_CORNER_RIGHT,
)
from dedup.core.kernels.sketching import (
    band_keys,
    prefer_open,
    shingles,
    signature,
    sketch,
    window_minima,
    xxh32,
)
from dedup.core.kernels.tiling import (
    BLOCKED,
    OCCURRENCES,
    QUOTED_OR_BLOCKED,
    SEED,
    TRIGRAM,
    compare,
    shingle_table,
    units_of,
)
from dedup.core.kernels.tokens import beyond_ascii, runs, spell, tokenize

__all__ = [
    "BLOCKED",
    "K_CHARACTER",
    "K_IGNORED",
    "K_MARK",
    "K_NEWLINE",
    "K_OPENING",
    "K_OTHER",
    "K_SPACE",
    "K_WORD",
    "OCCURRENCES",
    "QUOTED_OR_BLOCKED",
    "Q_ANGLE_LEFT",
    "Q_ANGLE_RIGHT",
    "Q_APOSTROPHE",
    "Q_CORNER_LEFT",
    "Q_CORNER_RIGHT",
    "Q_GUILLEMET_LEFT",
    "Q_GUILLEMET_RIGHT",
    "Q_LEFT",
    "Q_LOW",
    "Q_NONE",
    "Q_PRIME_LEFT",
    "Q_PRIME_RIGHT",
    "Q_RIGHT",
    "Q_SINGLE_LEFT",
    "Q_SINGLE_LOW",
    "Q_SINGLE_RIGHT",
    "Q_STRAIGHT",
    "Q_WHITE_CORNER_LEFT",
    "Q_WHITE_CORNER_RIGHT",
    "SEED",
    "TRIGRAM",
    "band_keys",
    "beyond_ascii",
    "compare",
    "join_all",
    "join_supported",
    "join_within",
    "length",
    "mark",
    "neighbors",
    "offsets",
    "prefer_open",
    "runs",
    "shingle_table",
    "shingles",
    "signature",
    "sketch",
    "spell",
    "tokenize",
    "units_of",
    "unmasked",
    "usable",
    "window_minima",
    "xxh32",
]
