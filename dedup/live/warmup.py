"""Every kernel compiled, or read from its cache, before the first request: for what the pipeline calls it with."""

from __future__ import annotations

import numpy as np

from dedup.core.prepare import Prepared, prepare_each
from dedup.core.same_event import fields
from dedup.core.text import of_letters
from dedup.core.verify import coverage, verify
from dedup.live.comparing import masked
from dedup.live.search import Search
from dedup.model import Article, CollectionParameters
from dedup.state import entries
from dedup.state.arrivals import arrival_of
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader
from dedup.state.tables import HashTable
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
    _grow()


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
    """Two texts that come, match, are read in every way there is, and go."""
    state = Collection(parameters)
    reader = CollectionReader(state)
    arrivals = [
        arrival_of(p, arrived=0.0, record=number, parameters=parameters)
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
    state.owners_with_work()
    state.due_of(1)
    state.apply(2, entries.verified(looked_up, decided), owner=1)
    state.apply(3, entries.settle(), owner=1)
    _look_up(state, prepared[0])
    _read(reader)
    state.apply(4, entries.remove([entries.Removal(id="a")]), owner=1)
    state.apply(5, entries.settle(), owner=1)


def _grow() -> None:
    """A table that grows."""
    for of_texts in (True, False):
        table = HashTable(of_texts=of_texts)
        table.grow(1, 1)
        table.grow(1, 1)
        table.move(1, np.zeros(1, np.uint8))


def _look_up(state: Collection, asked: Prepared) -> None:
    """The look-ups of ingest and of questions."""
    state.take_due(8)
    state.look_up([1, 2], below=[True, False])
    state.look_up_late(2, 2)
    state.masks([1, 2])
    state.mask(1)
    postings = asked.sketch.postings if asked.sketch is not None else np.empty(0, np.uint64)
    state.look_up_unstored(digest=bytes(16), source=1, published=0.0, postings=postings)
    state.same_event_candidates(fields(asked.pairs, 0), 1, 8)


def _read(reader: CollectionReader) -> None:
    """What answers and listings read."""
    reader.number_of("a")
    reader.text_of_digest(reader.digest_of(1))
    reader.has_boilerplate(1)
    reader.first_carriers(1, before=0, source=1)
    reader.carrier_numbers(1, 8)
    reader.smallest_id(1)
    reader.cluster(1)
    reader.articles_of_cluster(1)
    reader.story(1)
    reader.resolve(1)
    reader.resolve_story(1)
    reader.is_waiting(1)
    reader.articles_after(0, 8)
    reader.clusters_after(0, 8)
    reader.stories_after(0, 8)
    reader.pairs_after((0, 0), 8)
    reader.counts()
    reader.content_digest()
