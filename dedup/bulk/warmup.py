"""Every kernel that tasks call, and those of the state: compiled, or read from the cache."""

from __future__ import annotations

from typing import Final

import numpy as np

from dedup.bulk.storage import Memory
from dedup.bulk.tasks import Delivery, Part, Ref, ShownText, Space, Tasks, record_bytes
from dedup.core.article_rules import ArticleRules
from dedup.model import Article, CollectionParameters, MatchKind
from dedup.state import entries
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader

_WORDS: Final = " ".join(f"word{i}" for i in range(600))
_QUOTED: Final = f"“{_WORDS}” 北京 don't"


def warm_up(parameters: CollectionParameters, rules: ArticleRules) -> None:
    """Prepare two texts, compare them with and without a mask, and print their match."""
    tasks = Tasks(parameters=parameters, rules=rules, lines=Memory(), texts=Memory(), words=Memory())
    deliveries: list[Delivery] = [
        (Article(id="a", headline="One", body=f"{_WORDS} {_QUOTED}"), 0.0),
        (Article(id="b", headline="Two", body=f"{_WORDS} more {_QUOTED}"), 0.0),
    ]
    part = tasks.prepare(
        deliveries, -1, Space(at=0, size=record_bytes(deliveries), words_at=0, words_size=1 << 20)
    )
    first, second = _refs(part)
    tasks.verify([first, second], [(0, [1], 1)])
    tasks.print_matches(
        [ShownText(ref=ref, id=ref.digest.hex(), at=ref.at, size=ref.size) for ref in (first, second)],
        [(0, [1])],
    )


def load_state(parameters: CollectionParameters) -> None:
    """The kernels of the state: a few texts arrive, meet, match and are settled."""
    collection = Collection(parameters)
    reader = CollectionReader(collection)
    arrivals = [_arrival(i) for i in range(2 * parameters.landmarks)]
    collection.apply(1, entries.arrive(arrivals), collect=True)
    texts, whole = collection.take_due(1 << 30)
    met = collection.look_up(texts, below=[not each for each in whole])
    collection.masks(texts)
    found = [
        entries.LookedUp(text=text, position=1, pairs=[_match(other) for other in others.tolist()])
        for text, others in zip(texts, met, strict=True)
    ]
    decided = [
        entries.Decided(article=text, kind=1, copied=0, covered=0.0, words=(0, 0, 0, 0)) for text in texts
    ]
    collection.apply(2, entries.verified(found, decided))
    collection.apply(3, entries.settle())
    reader.divide()


def _arrival(number: int) -> entries.Arrival:
    return entries.Arrival(
        id=str(number),
        content=number,
        digest=number.to_bytes(16, "big"),
        source=number,
        published=0.0,
        dated=True,
        arrival=0.0,
        words=50,
        credits=0,
        record=0,
        reading=0,
        postings=np.array([1, 2, 3 + number // 2], np.uint64),
    )


def _match(partner: int) -> entries.Pair:
    return entries.Pair(
        partner=partner,
        kind=int(MatchKind.REWRITE),
        unquoted=50,
        quoted=0,
        a_containment=0.5,
        b_containment=0.5,
        min_coverage=0.5,
    )


def _refs(part: Part) -> list[Ref]:
    refs, at = [], 0
    for i, (size, (words_at, tokens, minima)) in enumerate(
        zip(part.sizes.tolist(), part.words.tolist(), strict=True)
    ):
        refs.append(
            Ref(
                text=i,
                digest=bytes([i] * 16),
                record=i,
                at=at,
                size=size,
                words_at=words_at if i else -1,
                tokens=tokens,
                minima=minima,
                name=0,
                mask=bytes(range(8)),
            )
        )
        at += size
    return refs
