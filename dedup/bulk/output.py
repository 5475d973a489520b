"""A collection as the lines of ``dedup export``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.bulk.archive import Archive
from dedup.bulk.texts import masked
from dedup.bulk.verifying import MatchedText, Workers
from dedup.core.clustering import TextNode
from dedup.core.prepare import read_body
from dedup.core.verify import ComparableText
from dedup.core.verify_pair import to_match, verify_each
from dedup.model import ExportedArticle, Match, TextNumber
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader

#: Other carriers of a matched text that are named.
MAX_CARRIERS: Final = 100
#: Pairs that are measured together.
_PAIRS: Final = 4000


class Output:
    """Reads a settled collection; pairs are measured anew, for the passages that they share."""

    def __init__(self, collection: Collection, archive: Archive, workers: Workers) -> None:
        self._collection = collection
        self._reader = CollectionReader(collection)
        self._archive = archive
        self._workers = workers

    def articles(self) -> Iterator[ExportedArticle]:
        """All articles, by the bytes of their ids."""
        division = self._reader.divide()
        place = {text: i for i, text in enumerate(division.texts.tolist())}
        clusters, stories = division.cluster.tolist(), division.story.tolist()
        chosen = division.representative.tolist()
        states = [s for n in self._reader.standing().tolist() if (s := self._reader.article(n)) is not None]
        for state in sorted(states, key=lambda s: s.id.encode()):
            digest, agencies = self._archive.described(state.record)
            i = place.get(state.text, -1)
            yield ExportedArticle(
                id=state.id,
                text=digest.hex(),
                cluster=f"c{clusters[i]}" if i >= 0 else None,
                story=f"s{stories[i]}" if i >= 0 and stories[i] else None,
                representative=i >= 0 and chosen[i] == state.number,
                agencies=agencies,
            )

    def matches(self) -> Iterator[Match]:
        """All matches between texts, as their carriers with the smallest ids have them, by the bytes of both ids."""
        shown: dict[int, tuple[str, int]] = {}
        pairs = []
        for e in self._reader.edges():
            ends = []
            for text in (int(e["a"]), int(e["b"])):
                if text not in shown:
                    number = self._reader.smallest_id(text)
                    shown[text] = self._reader.id_of(number), number
                ends.append((shown[text][0].encode(), text))
            ends.sort()
            pairs.append((*ends[0], *ends[1]))
        pairs.sort(key=lambda pair: (pair[0], pair[2]))
        for start in range(0, len(pairs), _PAIRS):
            part = [(a, b) for _, a, _, b in pairs[start : start + _PAIRS]]
            yield from self._measured(part, shown)

    def _measured(self, pairs: list[tuple[int, int]], shown: Mapping[int, tuple[str, int]]) -> list[Match]:
        texts = sorted({text for pair in pairs for text in pair})
        masks = {text: self._collection.mask(text) for text in texts}

        def make(some: Sequence[int]) -> list[ComparableText]:
            return [self._printed(text, shown[text][1], masks[text]) for text in some]

        ready = dict(zip(texts, self._workers.spread(make, texts), strict=True))

        groups = [(a, [b for _, b in same]) for a, same in groupby(pairs, key=lambda pair: pair[0])]

        def match(some: Sequence[tuple[int, list[int]]]) -> list[list[Match]]:
            return [self._matches_of(a, others, shown, ready) for a, others in some]

        return [found for part in self._workers.spread(match, groups) for found in part]

    def _printed(self, text: int, number: int, mask: NDArray[np.uint64]) -> ComparableText:
        """A text as it is compared, with the places of its words in the article that it is shown with."""
        parameters = self._collection.parameters
        _, record = self._reader.reading_of(text)
        state = self._reader.article(number)
        tokens = read_body(*self._archive.text(record), parameters)
        if not parameters.keep_text:  # such a collection has no text to point into
            nowhere = np.zeros(len(tokens), np.int32)
            tokens = msgspec.structs.replace(tokens, starts=nowhere, ends=nowhere)
        elif state is not None and state.record != record:
            other = read_body(*self._archive.text(state.record), parameters)
            tokens = msgspec.structs.replace(tokens, starts=other.starts, ends=other.ends)
        return masked(tokens, self._reader.digest_of(text), mask, None, parameters)

    def _matches_of(
        self,
        a: int,
        others: list[int],
        shown: Mapping[int, tuple[str, int]],
        ready: Mapping[int, ComparableText],
    ) -> list[Match]:
        """The matches of one text with others, in their order."""
        texts = [
            (MatchedText(TextNode(TextNumber(b), ready[b].digest, ()), shown[b][0]), ready[b]) for b in others
        ]
        matches = []
        for found in verify_each(ready[a], texts, self._collection.parameters.rules):
            b = found.other.node.text
            rest = [c.number for c in self._reader.carriers(b) if c.number != shown[b][1]]
            carriers = tuple(self._reader.id_of(number) for number in rest[:MAX_CARRIERS])
            matches.append(to_match(shown[a][0], ready[a], found, carriers))
        return matches
