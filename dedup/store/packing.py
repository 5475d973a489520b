"""What goes to the scripts: articles and commits, many in one argument, cut so that no call takes long.

Commands of many arguments cost redis-py more than the store needs to read one. The layouts are those that ingest.lua
and commit.lua spell out.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import numpy as np

from dedup.model import ArticleNumber, TextNumber
from dedup.store import keys
from dedup.store.records import encode_edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dedup.core.clustering import Edge

#: Bytes of postings stored in one call, six articles of 500 words: some 3 ms of the store. More of them are stored no
#: faster, and calls of others wait longer; with 2,500 the articles of 32 single writers come three a call, not four.
_PART_BYTES: Final = 3500
#: Edges committed in one call, some 2 ms of the store.
MAX_EDGES: Final = 250
_Queried = TypeVar("_Queried", "Arrival", "PostingQuery")
_ARRIVAL: Final = struct.Struct("<12s1s8s8sdB16s29sIIII")
_COMMIT: Final = struct.Struct("<IIdBIIII")
_EDGE_TO: Final = struct.Struct("<II")
_DELETION: Final = struct.Struct("<IddI")


def packed(numbers: Sequence[int]) -> bytes:
    """Numbers of texts or articles, 4 bytes each."""
    return struct.pack(f"<{len(numbers)}I", *numbers)


def in_parts(batch: Sequence[_Queried]) -> Iterable[Sequence[_Queried]]:
    """Cut a batch so that no call holds the store for more than a few milliseconds."""
    start, held = 0, 0
    for stop, one in enumerate(batch):
        if stop > start and held + len(one.postings) > _PART_BYTES:
            yield batch[start:stop]
            start, held = stop, 0
        held += len(one.postings)
    yield batch[start:]


def pack_arrival(a: Arrival) -> bytes:
    """An article as ingest.lua reads it."""
    name = a.id.encode()
    head = _ARRIVAL.pack(
        a.name_hash,
        b"c" if a.canceled else b"u",
        a.content,
        keys.NO_VERSION if a.version is None else a.version.to_bytes(8, "big"),
        -1.0 if a.version_time is None else a.version_time,
        keys.FLAG_COMPARABLE if a.comparable else 0,
        a.digest,
        a.carrier,
        len(name),
        len(a.postings),
        len(a.payload),
        len(a.word_pairs),
    )
    return b"".join((head, name, a.postings, a.payload, a.word_pairs))


def _pack_commit(c: TextCommit) -> list[bytes]:
    recheck, boilerplate = c.recheck.encode(), c.boilerplate or b""
    known = (1 if c.replace else 0) | (2 if c.boilerplate is not None else 0)
    sequence = -1.0 if c.sequence is None else c.sequence
    sizes = (len(recheck), len(boilerplate), len(c.placement), len(c.stay))
    head = _COMMIT.pack(c.text, c.revision, sequence, known, *sizes)
    parts = [head, recheck, boilerplate, c.placement, c.stay, packed([len(c.edges)])]
    parts += [_EDGE_TO.pack(other, revision) + encode_edge(edge) for other, revision, edge in c.edges]
    return parts


def pack_commits(
    texts: Sequence[TextCommit],
    invalidated: Sequence[TextNumber] = (),
    decisions: Sequence[tuple[ArticleNumber, bytes]] = (),
) -> bytes:
    """What commit.lua reads: commits, texts whose boilerplate changed, decisions by article number."""
    parts = [packed([len(texts), len(invalidated), len(decisions)])]
    for c in texts:
        parts += _pack_commit(c)
    parts.append(packed(invalidated))
    parts += [struct.pack(f"<II{len(raw)}s", number, len(raw), raw) for number, raw in decisions]
    return b"".join(parts)


def commits_in_parts(texts: Iterable[TextCommit]) -> list[list[TextCommit]]:
    """Cut commits so that no call writes more than ``MAX_EDGES`` edges; the last of a text's ends it."""
    parts: list[list[TextCommit]] = [[]]
    room = MAX_EDGES
    for c in texts:
        start = 0
        while len(c.edges) - start > room:
            stop = start + room
            parts[-1].append(msgspec.structs.replace(c, replace=False, recheck="", edges=c.edges[start:stop]))
            parts.append([])
            start, room = stop, MAX_EDGES
        stay = packed([other for other, _, _ in c.edges[:start]]) if c.replace else b""
        parts[-1].append(msgspec.structs.replace(c, edges=c.edges[start:], stay=stay))
        room -= len(c.edges) - start
    return parts


def deletions_in_parts(deletions: Iterable[EdgeDeletion]) -> list[bytes]:
    """What delete_edges.lua reads: at most ``MAX_EDGES`` edges a call; a text's last part ends its entry."""
    parts: list[list[bytes]] = [[]]
    room = MAX_EDGES
    for deletion in deletions:
        left = list(deletion.others)
        while len(left) > room:
            parts[-1].append(
                _DELETION.pack(deletion.text, -1.0, deletion.sequence, room) + packed(left[:room])
            )
            parts.append([])
            left, room = left[room:], MAX_EDGES
        parts[-1].append(
            _DELETION.pack(deletion.text, float(deletion.entry), deletion.sequence, len(left)) + packed(left)
        )
        room -= len(left)
    return [b"".join(part) for part in parts if part]


class PostingQuery(msgspec.Struct, frozen=True, gc=False):
    """A text whose posting lists are asked for; its number is one that no text has where it is not stored."""

    text: TextNumber
    digest: bytes
    postings: bytes


class EdgeDeletion(msgspec.Struct, frozen=True, gc=False):
    """A text that lost a place as landmark: its entry in the queue, its look-up's sequence, whom it may not meet."""

    text: TextNumber
    entry: str
    sequence: int
    others: Sequence[TextNumber]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """An article on its way into the index; byte layouts as in ``ingest.lua``."""

    name_hash: bytes
    id: str
    canceled: bool
    content: bytes
    version: int | None
    version_time: float | None
    comparable: bool
    digest: bytes
    carrier: bytes
    postings: bytes
    payload: bytes
    word_pairs: bytes = b""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """What ``ingest.lua`` answers for one article.

    ``text`` is 0 where the article is not comparable; ``new_text`` tells that its postings were stored now and
    ``lists`` holds what they met; ``previous`` is the text it carried before, 0 if none; ``edges`` are given for
    a canceled article. ``sequence`` marks the moment.
    """

    outcome: str
    number: ArticleNumber
    text: TextNumber
    head: bytes
    new_text: bool
    revision: int
    previous: TextNumber
    lists: NDArray[np.uint32]
    edges: list[Edge]
    sequence: int


class TextCommit(msgspec.Struct, frozen=True, gc=False):
    """What verification found for one text: boilerplate (None: as it was) and edges (other, its revision, edge).

    ``stay``, texts of 4 bytes each: where ``replace`` ends all other edges, those to these stay.
    """

    text: TextNumber
    revision: int
    sequence: int | None
    replace: bool
    recheck: str
    boilerplate: bytes | None
    placement: bytes
    edges: list[tuple[TextNumber, int, Edge]]
    stay: bytes = b""


def posting_bytes(postings: NDArray[np.uint64]) -> bytes:
    """Postings as the scripts take them: 42 bits in 6 bytes each, most significant first."""
    wide = postings.astype(">u8").view(np.uint8).reshape(-1, 8)
    return wide[:, 2:].tobytes()
