"""The peers, each used as its own documentation says, on the same 5-word shingles."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import datasketch
import xxhash

from dedup.model import Article

SHINGLE: Final = 5
PERMUTATIONS: Final = 128
#: Jaccard threshold of every peer's index. A lower one finds more and costs more bands.
THRESHOLD: Final = 0.5

#: Permutations of a signature in rensa's index, which wants a multiple of its bands.
RENSA_INDEXED: Final = 125

#: Peers that may be absent, and what they are installed by.
OPTIONAL: Final = {"rensa": "rensa", "gaoya": "gaoya", "FastSketchLSH": "FastSketchLSH"}


def optional(module: str) -> Any:
    """A peer's module, or None where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def missing() -> list[str]:
    """One sentence for each peer that is skipped."""
    return [
        f"{module} is skipped: no wheel of it is installed (pip install {package})"
        for module, package in OPTIONAL.items()
        if optional(module) is None
    ]


def word_shingles(article: Article, size: int = SHINGLE) -> list[str]:
    """The word shingles of the body as users of these libraries make them: lower case, split at spaces."""
    words = article.body.lower().split()
    return [" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))]


@cache
def _empty() -> datasketch.MinHash:
    return datasketch.MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=xxhash.xxh32_intdigest)


def datasketch_signature(article: Article, size: int = SHINGLE) -> datasketch.MinHash:
    """Datasketch's fastest way: xxhash, one update_batch an article, permutations drawn once (as its ``bulk`` does)."""
    made = _empty().copy()
    made.update_batch([shingle.encode() for shingle in word_shingles(article, size)])
    return made


def datasketch_index(socket_path: str | None = None, threshold: float = THRESHOLD) -> datasketch.MinHashLSH:
    """Datasketch's index, on a store or in memory."""
    config = None
    if socket_path is not None:
        config = {"type": "redis", "basename": b"peer", "redis": {"unix_socket_path": socket_path}}
    return datasketch.MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, storage_config=config)


def rensa_signature(article: Article, permutations: int = PERMUTATIONS) -> Any:
    """R-MinHash over the whole set of shingles."""
    made = optional("rensa").RMinHash(num_perm=permutations, seed=1)
    made.update(word_shingles(article))
    return made


def rensa_index() -> Any:
    """Rensa's index, in memory: 25 bands of 5 rows, as datasketch chooses for the same threshold."""
    return optional("rensa").RMinHashLSH(threshold=THRESHOLD, num_perm=RENSA_INDEXED, num_bands=25)


def sketchers() -> dict[str, Callable[[Article], object]]:
    """Text to signature, by name: each makes the signature of one article."""
    found: dict[str, Callable[[Article], object]] = {"datasketch": datasketch_signature}
    if optional("rensa") is not None:
        found["rensa R-MinHash"] = rensa_signature
    if (fast := optional("FastSketchLSH")) is not None:
        sketcher = fast.FastSimilaritySketch(size=PERMUTATIONS, seed=1)
        found["FastSketchLSH"] = lambda article: sketcher(word_shingles(article))
    if (gaoya := optional("gaoya.minhash")) is not None:
        # It makes signatures only inside its index, with shingles of its own: an empty one is asked.
        asked = gaoya.MinHashStringIndex(32, THRESHOLD, 25, 5, None, "word", True, (SHINGLE, SHINGLE))
        found["gaoya"] = lambda article: asked.query(article.body)
    return found
