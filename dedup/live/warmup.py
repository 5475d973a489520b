"""Every kernel compiled, or read from its cache, before the first request: for what the pipeline calls it with."""

from __future__ import annotations

import numpy as np

from dedup.core.identity import source_hash
from dedup.core.prepare import Prepared, prepare_each
from dedup.core.text import of_letters
from dedup.core.verify import coverage, verify
from dedup.live.comparing import masked
from dedup.live.search import Search
from dedup.model import Article, CollectionParameters
from dedup.state import entries
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader
from dedup.store import payload
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
        prepared = prepare_each(_ARTICLES, parameters)
        _compare(prepared, parameters)
        _fold(prepared, parameters)
    Search.compare_articles(*_ARTICLES, CollectionParameters())


def _compare(prepared: list[Prepared], parameters: CollectionParameters) -> None:
    a, b = prepared
    if a.sketch is None:
        return
    packed = payload.encode(
        a.article, words=a.words, credits=a.credits, tokens=a.tokens, digest=b"", codec=Codec()
    )
    payload.decode(packed, Codec())
    query = masked(a.tokens, a.digest, a.sketch.postings[:1], a.sketch, parameters)
    other = masked(b.tokens, b.digest, np.empty(0, np.uint64), b.sketch, parameters)
    query.tokens.half_words_of(coverage(query, [(verify(query, other), other, True)])[0] > 0)
    if a.tokens.is_reduced:
        of_letters(np.frombuffer(a.tokens.letters().tobytes(), np.uint8), a.tokens.flags)


def _fold(prepared: list[Prepared], parameters: CollectionParameters) -> None:
    """Two texts that come, match, are read and go."""
    state = Collection(parameters)
    reader = CollectionReader(state)
    arrivals = [
        entries.Arrival(
            id=p.article.id,
            content=number,
            digest=p.digest,
            source=source_hash(p.article),
            published=0.0,
            dated=True,
            arrival=0.0,
            words=p.words,
            credits=0,
            record=number,
            reading=0,
            postings=p.sketch.postings if p.sketch is not None else np.empty(0, np.uint64),
        )
        for number, p in enumerate(prepared, 1)
    ]
    found = state.apply(1, entries.arrive(arrivals), owner=1, collect=True)
    edge = entries.Pair(
        partner=1, kind=4, unquoted=40, a_containment=0.5, b_containment=0.5, min_coverage=0.5
    )
    looked_up = [
        entries.LookedUp(text=1, position=1, pairs=[]),
        entries.LookedUp(text=2, position=1, pairs=[edge]),
    ]
    decided = [
        entries.Decided(article=a.article, kind=1, copied=0, covered=0.0, words=(0, 0, 0, 1)) for a in found
    ]
    state.apply(2, entries.verified(looked_up, decided), owner=1)
    state.apply(3, entries.settle(), owner=1)
    state.look_up([1, 2], below=[True, False])
    state.look_up_late(2, 2)
    state.masks([1, 2])
    postings = prepared[0].sketch.postings if prepared[0].sketch is not None else np.empty(0, np.uint64)
    state.look_up_unstored(digest=bytes(16), source=1, published=0.0, postings=postings)
    reader.cluster(1)
    reader.counts()
    state.apply(4, entries.remove([entries.Removal(id="a")]), owner=1)
    state.apply(5, entries.settle(), owner=1)
