"""Every pair of real articles from different sources that shares copied text, found by looking at all of them.

The reference shares nothing with the index but the tokenizer, which the tests compare with one of their own: runs of
tokens are numbered exactly, pairs that share two runs are aligned by the reference of the tests
(:mod:`tests.oracle`), and those that share at least 20 words in passages of at least 8 count. The kinds are the
reference's, too. Results are kept in the output directory, named by the articles and the reference's code.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import xxhash

from dedup.core.text import tokenize
from dedup.model import Article
from tests import oracle, oracle_text

PASSAGE_WORDS: Final = 8
SHARED_WORDS: Final = 20
#: The names that recall is reported under, by the reference's kind.
GROUPS: Final = {
    "exact": "copy",
    "near_duplicate": "copy",
    "excerpt": "excerpt",
    "rewrite": "rewrite",
    "shared_quote": "shared quote",
}
#: A pair with enough shared words that is no match by definition: too small a part of both texts.
BELOW: Final = "below"


def real(path: Path, count: int) -> list[Article]:
    """The first ``count`` articles of a JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        read = [json.loads(line) for line in itertools.islice(lines, count)]
    return [
        Article(
            id=str(line["id"]),
            headline=str(line.get("headline") or ""),
            body=str(line.get("body") or ""),
            source=str(line.get("source") or ""),
            published=_seconds(str(line.get("published") or "")),
        )
        for line in read
    ]


def _seconds(published: str) -> float | None:
    try:
        return datetime.fromisoformat(published).timestamp()
    except ValueError:
        return None


def pairs(articles: Sequence[Article], cache: Path) -> dict[tuple[str, str], str]:
    """Pairs of ids, smaller first, with their group."""
    named = xxhash.xxh3_128()
    for module in (oracle, oracle_text):
        named.update(Path(str(module.__file__)).read_bytes())
    named.update(Path(__file__).read_bytes())
    for article in articles:
        named.update(f"{article.id}\0{article.source}\0{article.text}\0".encode())
    kept = cache / f"pairs-{named.hexdigest()}.json"
    if kept.exists():
        return {(a, b): group for a, b, group in json.loads(kept.read_text(encoding="utf-8"))}
    found = dict(_pairs(articles))
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([(*pair, group) for pair, group in found.items()]), encoding="utf-8")
    return found


def _pairs(articles: Sequence[Article]) -> Iterator[tuple[tuple[str, str], str]]:
    ordered = sorted(articles, key=lambda article: article.id.encode())
    plain = [oracle.OracleArticle(a.id, a.headline, a.body, a.source) for a in ordered]
    for first, second in _sharing(ordered):
        a, b = plain[first], plain[second]
        if a.source and a.source == b.source:
            continue
        measures = oracle.compare(a, b)
        if not _enough(measures.passages):
            continue
        kind = oracle.kind_of(measures)
        yield (a.id, b.id), BELOW if kind is None else GROUPS[kind]


def _enough(passages: Iterable[oracle.OraclePassage]) -> bool:
    return sum(p.half_words for p in passages if p.half_words >= 2 * PASSAGE_WORDS) >= 2 * SHARED_WORDS


def _sharing(ordered: Sequence[Article]) -> list[tuple[int, int]]:
    """Pairs with as many equal runs of 8 tokens as two passages of 8 words, or one of 20, have at least."""
    hashes = [tokenize(article.headline, article.body).hashes for article in ordered]
    flat = np.unique(np.concatenate(hashes), return_inverse=True)[1].astype(np.int64)
    text_of = np.repeat(np.arange(len(hashes)), [len(h) for h in hashes])
    tokens = int(flat.max()) + 1
    runs = flat[: len(flat) - PASSAGE_WORDS + 1]
    for k in range(1, PASSAGE_WORDS):
        runs = np.unique(runs * tokens + flat[k : k + len(runs)], return_inverse=True)[1].astype(np.int64)
    whole = text_of[: len(runs)] == text_of[PASSAGE_WORDS - 1 :]
    run_of, text_of = runs[whole], text_of[: len(runs)][whole]
    order = np.lexsort((text_of, run_of))
    run_of, text_of = run_of[order], text_of[order]
    counts: dict[tuple[int, int], int] = defaultdict(int)
    bounds = np.flatnonzero(np.diff(run_of, prepend=-1, append=-1)).tolist()
    for low, high in itertools.pairwise(bounds):
        if text_of[low] != text_of[high - 1]:
            for pair in itertools.combinations(np.unique(text_of[low:high]).tolist(), 2):
                counts[pair] += 1
    return sorted(pair for pair, count in counts.items() if count >= SHARED_WORDS // PASSAGE_WORDS)
