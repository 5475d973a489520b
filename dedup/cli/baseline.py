"""What a document-level MinHash index finds: datasketch, as its users run it, on the articles of the demo."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dedup.model import Article

_SHINGLE = 5
# A character of a script without spaces is a word, as in the core; others are runs of letters and digits.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")


def minhash_pairs(articles: Sequence[Article], threshold: float) -> set[tuple[str, str]] | None:
    """Pairs that datasketch's MinHashLSH (128 permutations) answers at ``threshold``; None if not installed.

    Of several versions of one article the last counts.
    """
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        return None
    index = MinHashLSH(threshold=threshold, num_perm=128)
    pairs: set[tuple[str, str]] = set()
    for article_id, text in {article.id: article.text for article in articles}.items():
        words = _WORD.findall(text.lower())
        shingles = {" ".join(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1))}
        signature = MinHash(num_perm=128)
        signature.update_batch([shingle.encode() for shingle in sorted(shingles)])
        pairs.update((min(article_id, other), max(article_id, other)) for other in index.query(signature))
        index.insert(article_id, signature)
    return pairs
