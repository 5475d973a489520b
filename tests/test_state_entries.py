"""Entries of a log: bytes there and back; what cannot be folded is refused whole, and says where it stands."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dedup.core.article_rules import FIRST_SECOND, LAST_SECOND
from dedup.state import entries
from dedup.state.collection import Collection
from dedup.state.entries import InvalidEntry
from dedup.state.entry_reading import Reader
from dedup.state.kernels import base
from tests.state_invariants import check
from tests.state_log import Log, article, decided, pair, replaced, result

_HEADER = 8


def some_log() -> Log:
    """Three texts, the first of two articles, one article removed, one edge; the fold of six entries."""
    log = Log(landmarks=3)
    log.arrive(article("a", [1, 2, 3]), article("b", [2, 3, 4], source=2), article("é", [1, 2, 3], source=3))
    log.arrive(article("d", [2, 9]), article("short", []))
    log.verify(result(2, log.position, pair(1)), result(1, log.position), decisions=[decided(1), decided(2)])
    log.remove("d")
    log.append(entries.horizon(0))
    log.append(entries.retired(7), owner=2)
    return log


def some_entries() -> dict[str, bytes]:
    """An entry of each kind that :func:`some_log` can go on with, and that changes it."""
    at = some_log().position
    return {
        "arrive": entries.arrive(
            [
                article("a", [1, 5], version=2, version_time=1.6e9),
                article("z" * 512, [2, 3, (1 << 42) - 1], day=3),
                article("b", [], canceled=True),
            ]
        ),
        "verified": entries.verified(
            [
                result(1, at, pair(2), everybody=True),
                result(2, at, pair(1, 0), complete=False),
                result(1, at),
            ],
            [decided(3, kind=2, copied=1)],
        ),
        "remove": entries.remove([entries.Removal(id="a"), entries.Removal(id="nobody", version=3)]),
        "horizon": entries.horizon(2),
        "retired": entries.retired(2),
        "settle": entries.settle(),
    }


def state_of(collection: Collection) -> tuple[object, ...]:
    """Digest, position and all counters of the fold."""
    counters = collection.tables.meta.copy()
    counters[base.NEED_GROUPS : base.SALT + 1] = (
        0  # room that was asked for, and what only this process knows
    )
    return (
        collection.log_digest(),
        collection.content_sums(),
        collection.position,
        counters.tolist(),
        [collection.owner_of(text) for text in range(1, collection.highest_text + 1)],
    )


def refuse(log: Log, raw: bytes, *, position: int | None = None, says: str = "") -> None:
    """The entry is refused with its position named, and nothing has changed."""
    before = state_of(log.collection)
    at = log.position + 5 if position is None else position
    with pytest.raises(InvalidEntry, match=f"(?s)log entry {at} .*{says}") as caught:
        log.collection.apply(at, raw)
    assert caught.value.metadata["position"] == str(at)
    assert state_of(log.collection) == before


def accepted(log: Log, raw: bytes) -> bool:
    """Whether bytes are an entry; then it is folded."""
    try:
        log.append(raw)
    except InvalidEntry:
        return False
    return True


def test_an_arrival_comes_back_as_it_was_written() -> None:
    """Every field of every article, in the order of the entry."""
    written = [
        article("a", [0, 5, (1 << 42) - 1], day=-3.5, source=(1 << 64) - 1, version=(1 << 63) - 1, reading=9),
        article("ß" * 256, [], version_time=2e9, canceled=True, record=(1 << 64) - 1),
        replaced(article("c", [7]), dated=False, agency=3, credits=12, words=(1 << 32) - 1, arrival=5.25),
    ]
    read = Reader(entries.arrive(written), 1).arrived()
    for i, made in enumerate(written):
        assert bytes(read.names[read.names_at[i] : read.names_at[i + 1]]).decode() == made.id
        own = read.postings[read.postings_at[i] : read.postings_at[i + 1]]
        assert own.tolist() == made.postings.tolist()
        assert (int(read.high[i]) << 64 | int(read.low[i])).to_bytes(16, "big") == made.digest
        for name in ("content", "source", "published", "arrival", "credits", "record", "reading", "words"):
            assert getattr(read, name)[i] == getattr(made, name)
        assert int(read.version[i]) == (int(base.NEVER) if made.version is None else made.version)
        assert int(read.flags[i]) == int(made.dated) | made.agency << 8
        assert bool(read.status[i]) == made.canceled


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_packed_arrivals_are_split_and_joined(count: int) -> None:
    """Articles that were packed apart make the same entry, wherever the line between them is."""
    written = [article("a", [3, 5]), article("ß" * 9, []), article("", [1 << 41], day=4)]
    packed = entries.pack_arrivals(written)
    first, rest = packed.split(count)
    assert (first.ids(), rest.ids()) == (packed.ids()[:count], packed.ids()[count:])
    assert packed.ids() == [each.id for each in written]
    for joined in (entries.join_arrivals([first, rest]), entries.join_arrivals([packed])):
        assert entries.arrive_packed(joined) == entries.arrive(written)
    assert entries.arrive_packed(first) == entries.arrive(written[:count])


def test_results_and_decisions_come_back_as_they_were_written() -> None:
    """Partners with and without an edge, in their order."""
    texts = [
        result(1, 9, pair(2), pair(3, 0), pair(4, 3), everybody=True),
        result(7, 8),
        result(8, 8, pair(1, 0)),
    ]
    read = Reader(entries.verified(texts, [decided(5, kind=2, copied=4)]), 1).verified()
    assert read.partners_at.tolist() == [0, 3, 3, 4]
    assert read.partners.tolist() == [2, 3, 4, 1]
    assert read.edges["kind"].tolist() == [2, 0, 3, 0]
    assert read.edges["unquoted"].tolist() == [80, 0, 80, 0]
    assert read.edges["min_coverage"].tolist() == [0.9, 0, 0.9, 0]
    assert read.flags.tolist() == [3, 2, 2]
    assert read.decisions["article"].tolist() == [5]
    assert read.decisions["words"].tolist() == [[1, 2, 3, 4]]


def test_entries_without_items_are_folded() -> None:
    """They move the position and nothing else."""
    log = some_log()
    digest = log.collection.log_digest()
    for raw in (entries.arrive([]), entries.verified([]), entries.remove([])):
        log.append(raw)
        assert log.collection.log_digest() == digest


@pytest.mark.parametrize("kind", list(some_entries()))
def test_an_entry_cut_off_anywhere_is_refused(kind: str) -> None:
    """Whatever its kind, after any of its bytes; and so is one with bytes too many."""
    log, raw = some_log(), some_entries()[kind]
    for size in range(len(raw)):
        refuse(log, raw[:size])
    refuse(log, raw + b"\0")
    log.append(raw)


@pytest.mark.parametrize("kind", list(some_entries()))
def test_what_a_header_says_must_be_so(kind: str) -> None:
    """Format, fold version, kind, a zero and the number of items: nothing else is read."""
    log, raw = some_log(), some_entries()[kind]
    for place, values in {0: (0, 2, 255), 1: (0, 2, 255), 2: (0, 7, 255), 3: (1, 128)}.items():
        for value in values:
            refuse(log, raw[:place] + bytes([value]) + raw[place + 1 :])
    items = struct.unpack_from("<I", raw, 4)[0]
    for other in {items + 1, items + 2, 1 << 20, (1 << 32) - 1} | ({items - 1} if items else set()):
        refuse(log, raw[:4] + struct.pack("<I", other) + raw[8:])
    log.append(raw)


def test_a_newer_release_wrote_it() -> None:
    """The message says which format and fold version it has, and which are read."""
    log, raw = some_log(), entries.settle()
    refuse(log, b"\x02" + raw[1:], says="format 2")
    refuse(log, raw[:1] + b"\x03" + raw[2:], says="fold version 3")


@pytest.mark.parametrize("step", [0, -1, -100])
def test_positions_ascend(step: int) -> None:
    """An entry stands after all that were folded."""
    log = some_log()
    at = log.position + step
    for raw in some_entries().values():
        refuse(log, raw, position=at)


@pytest.mark.parametrize("owner", [-1, 1 << 63, 1 << 64])
def test_servers_have_numbers_of_63_bits(owner: int) -> None:
    """The entry of another is refused."""
    log = some_log()
    before = state_of(log.collection)
    with pytest.raises(InvalidEntry, match="63 bits"):
        log.collection.apply(log.position + 1, entries.settle(), owner=owner)
    assert state_of(log.collection) == before


_ARTICLES: dict[str, Callable[[], Sequence[entries.Arrival]]] = {
    "an empty id": lambda: [article("", [1])],
    "an id of 513 bytes": lambda: [article("x" * 513, [1])],
    "an id of 257 letters and 514 bytes": lambda: [article("é" * 257, [1])],
    "a posting of 43 bits": lambda: [article("x", [1, 1 << 42])],
    "a posting twice": lambda: [replaced(article("x", [1]), postings=np.array([4, 4], np.uint64))],
    "unsorted postings": lambda: [replaced(article("x", [1]), postings=np.array([5, 4], np.uint64))],
    "unsorted postings of a second article": lambda: [
        article("x", [7]),
        replaced(article("y", [1]), postings=np.array([5, 4], np.uint64)),
    ],
    "no number as time": lambda: [replaced(article("x", [1]), published=float("nan"))],
    "no number as time of arrival": lambda: [replaced(article("x", [1]), arrival=float("inf"))],
    "no number as time of its version": lambda: [article("x", [1], version_time=float("inf"))],
    "a time after the year 9999": lambda: [replaced(article("x", [1]), published=LAST_SECOND + 1e6)],
    "a time before the year 1": lambda: [replaced(article("x", [1]), published=FIRST_SECOND - 1e6)],
    "an absurd time": lambda: [replaced(article("x", [1]), published=1e300)],
}


@pytest.mark.parametrize("what", list(_ARTICLES))
def test_articles_that_cannot_be(what: str) -> None:
    """One is enough; the others of the entry are not folded either."""
    refuse(some_log(), entries.arrive([article("good", [1, 2]), *_ARTICLES[what]()]))


@pytest.mark.parametrize("id", ["", "x" * 513])
def test_removed_ids_that_cannot_be(id: str) -> None:
    """As those that arrive."""
    refuse(some_log(), entries.remove([entries.Removal(id="a"), entries.Removal(id=id)]))


@pytest.mark.parametrize("make", [entries.arrive, entries.remove], ids=["arrive", "remove"])
def test_ids_are_unicode(make: Callable[[Sequence[object]], bytes]) -> None:
    """Bytes that are no UTF-8 name no article."""
    item = article("ab", [1]) if make is entries.arrive else entries.Removal(id="ab")
    refuse(some_log(), make([item]).replace(b"ab", b"\xffa"))


def _verified(**changes: object) -> Callable[[int], bytes]:
    return lambda at: entries.verified([result(2, at, replaced_pair(pair(1), **changes))])


def replaced_pair(made: entries.Pair, **changes: object) -> entries.Pair:
    """A pair with other values."""
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    return entries.Pair(**(fields | changes))


_RESULTS: dict[str, Callable[[int], bytes]] = {
    "text 0": lambda at: entries.verified([result(0, at)]),
    "a text that does not exist": lambda at: entries.verified([result(4, at)]),
    "a text far away": lambda at: entries.verified([result((1 << 32) - 1, at)]),
    "partner 0": lambda at: entries.verified([result(1, at, pair(0))]),
    "a partner that does not exist": lambda at: entries.verified([result(1, at, pair(2), pair(4))]),
    "a text with itself": lambda at: entries.verified([result(1, at, pair(1))]),
    "a look-up in the future": lambda at: entries.verified([result(1, at + 1)]),
    "a look-up before the text came": lambda _: entries.verified([result(3, 1)]),
    "a look-up before the partner came": lambda _: entries.verified([result(1, 1, pair(3))]),
    "a look-up at 0": lambda _: entries.verified([result(1, 0)]),
    "a kind that does not exist": _verified(kind=6),
    "a share over 1": _verified(a_containment=1.0000001),
    "a share under 0": _verified(b_containment=-0.1),
    "no number as share": _verified(min_coverage=float("nan")),
    "an endless share": _verified(a_containment=float("inf")),
    "article 0": lambda _: entries.verified([], [decided(0)]),
    "an article that does not exist": lambda _: entries.verified([], [decided(6)]),
    "a decision of no kind": lambda _: entries.verified([], [decided(3, kind=0)]),
    "a decision of an unknown kind": lambda _: entries.verified([], [decided(3, kind=6)]),
    "a copy of an article that does not exist": lambda _: entries.verified(
        [], [decided(3, kind=2, copied=6)]
    ),
    "a copy of itself": lambda _: entries.verified([], [decided(3, kind=2, copied=3)]),
    "a copy of a later article": lambda _: entries.verified([], [decided(3, kind=2, copied=4)]),
}


@pytest.mark.parametrize("what", list(_RESULTS))
def test_results_that_cannot_be(what: str) -> None:
    """Numbers that do not exist, measures that are none, look-ups that could not have been."""
    log = some_log()
    refuse(log, _RESULTS[what](log.position))


@pytest.mark.parametrize("covered", [-0.5, 1.5, float("nan"), float("inf")])
def test_a_decision_covers_a_share(covered: float) -> None:
    """From 0 to 1."""
    made = entries.Decided(article=3, kind=2, copied=1, covered=covered, words=(1, 0, 0, 0))
    refuse(some_log(), entries.verified([], [made]))


@pytest.mark.parametrize("counts", [((1 << 64) - 1, 1), (1 << 63, 1 << 63), (1 << 62, 0), (1 << 32, 0)])
def test_counts_of_partners_that_overflow(counts: tuple[int, int]) -> None:
    """Their sum is no way around the end of the entry."""
    log = some_log()
    raw = bytearray(entries.verified([result(1, log.position), result(2, log.position)]))
    size = (len(raw) - _HEADER - 8) // 2
    for i, count in enumerate(counts):
        struct.pack_into("<Q", raw, _HEADER + 8 + (i + 1) * size - 8, count)
    refuse(log, bytes(raw))


def test_a_count_of_decisions_that_overflows() -> None:
    """Nor is theirs."""
    raw = bytearray(entries.verified([result(1, 9)]))
    for count in (1, 1 << 40, 1 << 63, (1 << 64) - 1):
        struct.pack_into("<Q", raw, _HEADER, count)
        refuse(some_log(), bytes(raw))


@pytest.mark.parametrize("until", [1 << 20, 1 << 63, (1 << 64) - 1])
def test_a_horizon_lies_behind(until: int) -> None:
    """What is to come has not expired."""
    refuse(some_log(), entries.horizon(until))


@pytest.mark.parametrize("server", [1 << 63, (1 << 64) - 1])
def test_servers_that_do_not_exist_do_not_retire(server: int) -> None:
    """Their numbers have 63 bits."""
    refuse(some_log(), entries.retired(server), says="63 bits")


@settings(max_examples=400, database=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(sorted(some_entries())),
    changes=st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(-8, 0),
)
def test_any_bytes_are_folded_or_refused(kind: str, changes: list[tuple[int, int]], cut: int) -> None:
    """Bytes changed anywhere: the entry is refused and nothing has changed, or the state holds together after it."""
    log = some_log()
    raw = bytearray(some_entries()[kind])
    for place, value in changes:
        raw[place % len(raw)] = value
    mutated = bytes(raw)[: cut or None]
    before = state_of(log.collection)
    if not accepted(log, mutated):
        assert state_of(log.collection) == before
        return
    _read_everything(log)
    check(log.collection)
    log.settle()
    assert log.again().log_digest() == log.collection.log_digest()


@settings(max_examples=100, database=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200), st.integers(1, 6))
def test_noise_is_refused(noise: bytes, kind: int) -> None:
    """Behind a valid header too."""
    log = some_log()
    for raw in (noise, bytes([1, 1, kind, 0]) + noise):
        if accepted(log, raw):
            _read_everything(log)


def _read_everything(log: Log) -> None:
    """All that is shown of a state can be."""
    log.reader.content_digest()
    for number in range(1, log.collection.highest_article + 1):
        log.reader.article(number)
        log.reader.decision(number)
    for text in range(1, log.collection.highest_text + 1):
        log.reader.carriers(text)
        log.reader.edges_of(text)
