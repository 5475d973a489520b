"""The whole collection as lines: articles sorted by id, then verified matches sorted by their two ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dedup.core.provenance import agencies_of
from dedup.live.listing import verified_pairs
from dedup.model import ArticleNumber, ExportedArticle, Match, TextNumber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dedup.live.reading import CollectionReader

_CHUNK: Final = 500
_PAIRS: Final = 200


async def export(reader: CollectionReader) -> AsyncIterator[ExportedArticle | Match]:
    """Read everything once; what is ingested meanwhile may or may not be in it."""
    index = reader.index
    last = await index.highest_number()
    order: list[tuple[bytes, ArticleNumber]] = []
    for start in range(1, last + 1, _CHUNK):
        found = await index.records(map(ArticleNumber, range(start, min(start + _CHUNK, last + 1))))
        order += [(r.id.encode(), n) for n, r in found.items() if not r.tombstone]
    order.sort()
    texts: set[TextNumber] = set()
    for start in range(0, len(order), _CHUNK):
        numbers = [n for _, n in order[start : start + _CHUNK]]
        records = await index.records(numbers)
        wanted = [records[n] for n in numbers if n in records and not records[n].tombstone]
        texts |= {r.text for r in wanted if r.text}
        for article, record in zip(await reader.articles(wanted), wanted, strict=True):
            yield ExportedArticle(
                id=article.article.id,
                text=article.text_digest,
                cluster=article.cluster,
                story=article.story,
                representative=article.representative,
                agencies=agencies_of([record.credits]),
            )
    del order
    pairs: list[tuple[bytes, bytes, TextNumber, TextNumber]] = []
    numbered = sorted(texts)
    for start in range(0, len(numbered), _CHUNK):
        edges = await index.edges(numbered[start : start + _CHUNK])
        found_pairs = [(e.a, e.b) for text, own in edges.items() for e in own if e.a == text]
        states = await index.texts(sorted({t for pair in found_pairs for t in pair}))
        for x, y in found_pairs:
            if x in states and y in states:
                a, b = sorted((x, y), key=lambda t: states[t].id.encode())
                pairs.append((states[a].id.encode(), states[b].id.encode(), a, b))
    pairs.sort()
    for start in range(0, len(pairs), _PAIRS):
        for match in await verified_pairs(reader, [(a, b) for _, _, a, b in pairs[start : start + _PAIRS]]):
            yield match
