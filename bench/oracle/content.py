"""The content of a collection as plain values, its digest, and what two contents disagree in."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import xxhash

from bench.oracle.clusters import Edge, Pair

DAY: Final = 86400
#: The outlet under which a list is boilerplate of all.
ALL: Final = 0


@dataclass(frozen=True, slots=True)
class PlainCarrier:
    """An article that carries a text; ``published`` is its time of arrival where it is not ``dated``."""

    id: str
    outlet: int
    published: float
    dated: bool
    words: int
    agency: str = ""
    credits: int = 0

    @property
    def day(self) -> int:
        """Days since 1970."""
        return int(self.published // DAY)


@dataclass(frozen=True, slots=True)
class PlainContent:
    """Everything that the surviving articles decide.

    ``texts`` are carriers by digest, ascending by the bytes of their ids. ``lists``, ``groups`` and ``boilerplate``
    (outlets, :data:`ALL` for all) go by posting, lists that are nobody's boilerplate left out there; ``masks`` by text.
    Pairs have the smaller digest first. ``clusters`` are sets of article ids, each with its representative.
    """

    texts: dict[bytes, tuple[PlainCarrier, ...]]
    lists: dict[int, frozenset[bytes]]
    groups: dict[int, frozenset[bytes]]
    boilerplate: dict[int, frozenset[int]]
    masks: dict[bytes, frozenset[int]]
    eligible: frozenset[Pair]
    edges: dict[Pair, Edge]
    clusters: dict[frozenset[str], str]
    stories: frozenset[frozenset[str]]


PARTS: Final = tuple(PlainContent.__dataclass_fields__)


# -- digest ------------------------------------------------------------------------------------------

_ALL_BITS: Final = (1 << 64) - 1


def digest(content: PlainContent) -> str:
    """Both lanes of the content digest, 32 hexadecimal digits."""
    elements = list(_elements(content))
    lanes = (sum(hashed(seed, *words) for words in elements) & _ALL_BITS for seed in (1, 2))
    return "".join(f"{lane:016x}" for lane in lanes)


def hashed(seed: int, *words: int) -> int:
    """64 bits of a seed and words of 64 bits."""
    h = mix(seed + 0x9E3779B97F4A7C15 & _ALL_BITS)
    for word in words:
        h = mix(h ^ word) * 0x9E3779B97F4A7C15 + 1 & _ALL_BITS
    return h


def mix(x: int) -> int:
    """64 bits to 64 bits, one to one."""
    for _ in range(2):
        x = (x ^ x >> 32) * 0xD6E8FEB86659FD93 & _ALL_BITS
    return x ^ x >> 32


def _elements(content: PlainContent) -> Iterator[tuple[int, ...]]:
    for text, carriers in content.texts.items():
        yield from ((1, *_halves(text), _name(carrier.id)) for carrier in carriers)
    for (a, b), edge in content.edges.items():
        shares = (_bits(edge.a_share), _bits(edge.b_share), _bits(edge.own))
        yield 2, *_halves(a), *_halves(b), edge.kind, edge.unquoted, edge.quoted, *shares
    for posting, outlets in content.boilerplate.items():
        yield from ((3, posting, outlet) for outlet in outlets)
    for ids, chosen in content.clusters.items():
        yield 4, sum(map(_name, ids)) & _ALL_BITS, len(ids), _name(chosen)
    for ids in content.stories:
        yield 5, sum(map(_name, ids)) & _ALL_BITS, len(ids)


def _halves(text: bytes) -> tuple[int, int]:
    return int.from_bytes(text[:8], "big"), int.from_bytes(text[8:], "big")


def _name(id: str) -> int:
    return xxhash.xxh3_64_intdigest(id.encode())


def _bits(share: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", share))[0])


# -- what two contents disagree in -------------------------------------------------------------------


def difference(a: PlainContent, b: PlainContent, *, parts: Iterable[str] = PARTS) -> list[str]:
    """What two contents disagree in, a line each: where, what the first says | what the second says.

    Digests are shown by their first four bytes and their first carrier; of sets what only one of them has.
    """
    name = {text: carriers[0].id for c in (b, a) for text, carriers in c.texts.items() if carriers}
    lines = []
    for part in parts:
        x, y = _by_key(getattr(a, part)), _by_key(getattr(b, part))
        different = [key for key in x.keys() | y.keys() if x.get(key) != y.get(key)]
        said = [(_shown(key, name), *_apart(x.get(key), y.get(key))) for key in different]
        lines += sorted(
            f"{part} {key}: {_shown(left, name)} | {_shown(right, name)}" for key, left, right in said
        )
    return lines


def _by_key(part: object) -> Mapping[object, object]:
    if isinstance(part, dict):
        return part
    return dict.fromkeys(part, "there") if isinstance(part, frozenset) else {}


def _apart(x: object, y: object) -> tuple[object, object]:
    return (x - y, y - x) if isinstance(x, frozenset) and isinstance(y, frozenset) else (x, y)


def _shown(value: object, name: Mapping[bytes, str]) -> str:
    match value:
        case None:
            return "missing"
        case bytes():
            return f"{value[:4].hex()}({name.get(value, '?')})"
        case Edge() | PlainCarrier():
            return str(value)
        case frozenset():
            return "{" + ", ".join(sorted(_shown(each, name) for each in value)) + "}"
        case tuple():
            return "(" + ", ".join(_shown(each, name) for each in value) + ")"
        case _:
            return str(value)
