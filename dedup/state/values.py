"""Plain values that a collection's state is read as."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.model import Decision


class Division(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Clusters and stories of all living texts, every array of shape (texts,), ascending by text.

    ``cluster`` and ``story`` are the numbers they are named after, ``story`` 0 where there is none; ``representative``
    is the number of the article that stands for the text's cluster; ``links`` (links, 2) are clusters that share copied
    text without being one.
    """

    texts: NDArray[np.int64]
    cluster: NDArray[np.int64]
    story: NDArray[np.int64]
    representative: NDArray[np.int64]
    links: NDArray[np.int64]


class ArticleState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An article that stands; ``text`` 0 where it is not comparable; ``record`` is what its arrival named.

    Times in Unix seconds; ``credits`` as :func:`~dedup.core.provenance.credit_bits` packs them.
    """

    number: int
    id: str
    text: int
    record: int
    arrival: float
    published: float
    words: int
    credits: int
    version: int | None
    version_time: float | None
    decision: Decision | None
