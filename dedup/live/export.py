"""The whole collection as lines: articles sorted by id, then verified matches sorted by their two ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dedup.core.provenance import CREDITED, agencies_of, credits_of_bits
from dedup.live.listing import measured_pairs
from dedup.model import ExportedArticle, Match

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dedup.live.reading import Reading

_CHUNK: Final = 500
_PAIRS: Final = 200


async def export(reading: Reading) -> AsyncIterator[ExportedArticle | Match]:
    """Read everything once; what is ingested meanwhile may or may not be in it."""
    follower = reading.follower
    order: list[tuple[bytes, int]] = []
    after = 0
    while True:
        await follower.steady()
        numbers = follower.reader.articles_after(after, _CHUNK)
        order += [(follower.reader.id_of(n).encode(), n) for n in numbers]
        if len(numbers) < _CHUNK:
            break
        after = numbers[-1]
    order.sort()
    for start in range(0, len(order), _CHUNK):
        for line in await _lines(reading, [number for _, number in order[start : start + _CHUNK]]):
            yield line
    del order
    pairs: list[tuple[bytes, bytes, int, int]] = []
    last = (0, 0)
    while True:
        await follower.steady()
        reader = follower.reader
        found = reader.pairs_after(last, _CHUNK)
        for x, y in found:
            ends = sorted((reader.id_of(reader.smallest_id(t)).encode(), t) for t in (x, y))
            pairs.append((ends[0][0], ends[1][0], ends[0][1], ends[1][1]))
        if len(found) < _CHUNK:
            break
        last = found[-1]
    pairs.sort()
    for start in range(0, len(pairs), _PAIRS):
        for match in await measured_pairs(reading, [(a, b) for _, _, a, b in pairs[start : start + _PAIRS]]):
            yield match


async def _lines(reading: Reading, numbers: list[int]) -> list[ExportedArticle]:
    """Articles as lines; records are read only of those that are no texts or credit more than the state holds."""
    await reading.follower.steady()
    reader = reading.follower.reader
    articles = [article for n in numbers if (article := reader.article(n)) is not None]
    agencies = {a.number: agencies_of([credits_of_bits(a.credits)]) for a in articles}
    unread = [a.number for a in articles if not a.text or len(agencies[a.number]) >= CREDITED]
    kept = await reading.kept(unread)
    await reading.follower.steady()
    reader = reading.follower.reader
    lines = []
    for a in articles:
        own = kept.get(a.number)
        cluster = reader.cluster_of([a.text])[0] if a.text else 0
        view = reader.cluster(cluster) if cluster else None
        digest = reader.digest_of(a.text) if a.text else (own.digest if own is not None else b"")
        lines.append(
            ExportedArticle(
                id=a.id,
                text=digest.hex(),
                cluster=f"c{cluster}" if view is not None else None,
                story=f"s{view.story}" if view is not None and view.story else None,
                representative=view is not None and view.representative == a.number,
                agencies=agencies[a.number] if own is None else agencies_of([own.credits]),
            )
        )
    return lines
