"""A collection as the lines of ``dedup export``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from dedup.bulk.archive import Archive
from dedup.bulk.pool import Call, Pool
from dedup.bulk.tasks import ShownText
from dedup.bulk.texts import Texts
from dedup.model import ExportedArticle
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader

#: Pairs that are measured by one call.
_PAIRS: Final = 250
#: Calls that are made ahead, for each worker.
_AHEAD: Final = 3

#: A pair: of each text the id of the carrier that it is shown with, in bytes, and its number.
_Pair = tuple[bytes, int, bytes, int]


class Output:
    """Reads a settled collection; pairs are measured anew, for the passages that they share."""

    def __init__(self, collection: Collection, archive: Archive, texts: Texts, pool: Pool) -> None:
        self._collection = collection
        self._reader = CollectionReader(collection)
        self._archive = archive
        self._texts = texts
        self._pool = pool

    def articles(self) -> Iterator[ExportedArticle]:
        """All articles, by the bytes of their ids."""
        division = self._reader.divide()
        place = {text: i for i, text in enumerate(division.texts.tolist())}
        clusters, stories = division.cluster.tolist(), division.story.tolist()
        chosen = division.representative.tolist()
        for name, number, text, record in sorted(self._reader.standing_articles()):
            digest, agencies = self._archive.described(record)
            i = place.get(text, -1)
            yield ExportedArticle(
                id=name.decode(),
                text=digest.hex(),
                cluster=f"c{clusters[i]}" if i >= 0 else None,
                story=f"s{stories[i]}" if i >= 0 and stories[i] else None,
                representative=i >= 0 and chosen[i] == number,
                agencies=agencies,
            )

    def match_lines(self) -> Iterator[tuple[int, str]]:
        """All matches between texts, as their carriers with the smallest ids have them, by the bytes of both ids.

        How many, and their lines.
        """
        shown: dict[int, tuple[bytes, int]] = {}
        pairs: list[_Pair] = []
        edges = self._reader.edges()
        for a, b in zip(edges["a"].tolist(), edges["b"].tolist(), strict=True):
            ends = []
            for text in (a, b):
                if text not in shown:
                    number = self._reader.smallest_id(text)
                    shown[text] = self._reader.id_of(number).encode(), number
                ends.append((shown[text][0], text))
            ends.sort()
            pairs.append((*ends[0], *ends[1]))
        pairs.sort(key=lambda pair: (pair[0], pair[2]))
        ahead: deque[tuple[int, Call]] = deque()
        for start in range(0, len(pairs), _PAIRS):
            part = pairs[start : start + _PAIRS]
            ahead.append((len(part), self._measured(part, shown)))
            if len(ahead) > _AHEAD * self._pool.size:
                count, call = ahead.popleft()
                yield count, self._pool.result(call)
        for count, call in ahead:
            yield count, self._pool.result(call)

    def _measured(self, pairs: list[_Pair], shown: dict[int, tuple[bytes, int]]) -> Call:
        texts = sorted({text for pair in pairs for text in (pair[1], pair[3])})
        places = {text: place for place, text in enumerate(texts)}
        named = []
        for ref in self._texts.refs(texts):
            name, number = shown[ref.text]
            at, size = self._archive.place(self._reader.record_of(number))
            named.append(ShownText(ref=ref, id=name.decode(), at=at, size=size))
        groups = [
            (places[a], [places[pair[3]] for pair in same])
            for a, same in groupby(pairs, key=lambda pair: pair[1])
        ]
        return self._pool.submit("print_matches", named, groups, weight=len(pairs) + len(texts))
