"""Every kernel compiled, or read from its cache, before the first request: for what the pipeline calls it with."""

from __future__ import annotations

import numpy as np

from dedup.core.candidates import Neighbors, QueryPlace, scan_postings, texts_in
from dedup.core.clustering import EDGES, Carrier, TextNode, settle
from dedup.core.text import of_letters
from dedup.core.verify import coverage, verify
from dedup.live.arrivals import prepare_batch
from dedup.live.matching import pack_boilerplate, ready_text
from dedup.live.search import Search
from dedup.model import Article, ArticleNumber, CollectionParameters, MatchKind, TextNumber
from dedup.store.codec import Codec

_WORDS = " ".join(f"word{i}" for i in range(40))
_QUOTED = f"“{_WORDS}” 北京 don't"
_ARTICLES = (
    Article(id="a", headline="One", body=f"{_WORDS} {_QUOTED}"),
    Article(id="b", headline="Two", body=f"{_WORDS} more {_QUOTED}"),
)


def warm_up() -> None:
    """Compile (or load) every kernel, so that no request pays for it."""
    for parameters in (
        CollectionParameters(same_story=True),
        CollectionParameters(profile="copies"),
        CollectionParameters(keep_text=False),
    ):
        _prepare_and_compare(parameters)
    Search.compare_articles(*_ARTICLES, CollectionParameters())
    _scan()
    _settle()


def _prepare_and_compare(parameters: CollectionParameters) -> None:
    a, b = (ready for ready, _ in prepare_batch(_ARTICLES, parameters, Codec(), 0.0))
    if a.sketch is None:
        return
    boilerplate = np.zeros(len(a.sketch.postings), np.bool_)
    boilerplate[0] = True
    query = ready_text(a.tokens, a.digest, pack_boilerplate(boilerplate), a.sketch, parameters)
    other = ready_text(b.tokens, b.digest, b"", b.sketch, parameters)
    query.tokens.half_words_of(coverage(query, [(verify(query, other), other, True)])[0] > 0)
    if a.tokens.is_reduced:
        of_letters(np.frombuffer(a.tokens.letters().tobytes(), np.uint8), a.tokens.flags)


def _scan() -> None:
    """A posting list of one text, as the store gives it."""
    lists = np.frombuffer(np.array([0, 1, 0, 0, 0, 7], np.uint32).tobytes(), np.uint32)
    near = Neighbors(np.array([7], np.uint32), np.array([1], np.uint64), np.array([0], np.int32))
    scan_postings(lists, near, QueryPlace(TextNumber(8), 2, 0), 1)
    texts_in(lists)
    texts_in(lists.copy())


def _carrier(number: int) -> Carrier:
    return Carrier(number=ArticleNumber(number), source=number, published=0.0, dated=True, words=300)


def _settle() -> None:
    """A component whose texts join, and whose clusters make a story."""
    nodes = {
        text: TextNode(text, bytes([text] * 16), (_carrier(text),)) for text in map(TextNumber, range(1, 5))
    }
    edges = [
        (1, 2, MatchKind.REWRITE, 9, 0, 0.9, 0.9, 0.9),
        (3, 4, MatchKind.SHARED_QUOTE, 0, 9, 0.1, 0.1, 0.1),
    ]
    settle(nodes, np.array(edges, EDGES))
