"""Many copies, long lists, tables that grow: the same answers, no slice that holds anybody up, little memory."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.corpus import boilerplate, hot_story
from dedup.model import Article, CollectionParameters, Decision, DecisionKind
from dedup.state import entries, tables
from dedup.state.collection import Arrival, Collection
from dedup.state.kernels import base, table
from dedup.state.kernels.looking_up import list_of
from tests.state_invariants import check_edges, check_room
from tests.state_log import UNCHANGED, Log, Recorded, article

_KINDS = {1: "arrive", 2: "verified", 3: "remove", 4: "horizon", 5: "retired", 6: "settle"}
#: Longest slice that is accepted on a busy machine, in seconds of its thread; the aim is 10 ms.
_BOUND = 0.1


def longest_slices(parameters: CollectionParameters, log: Iterable[tuple[int, bytes]]) -> dict[str, float]:
    """Seconds of its thread that the longest slice of each kind of entry takes, folding a log again."""
    longest: dict[str, float] = {}
    collection = Collection(parameters)
    for position, raw in log:
        steps = collection.slices(position, raw, collect=True)
        ended = False
        while not ended:
            began = time.thread_time()
            ended = next(steps, steps) is steps
            took = time.thread_time() - began
            kind = _KINDS[raw[2]]
            longest[kind] = max(longest.get(kind, 0.0), took)
    return longest


def show(what: str, longest: dict[str, float]) -> None:
    """For the reader of a log."""
    print(f"{what}: longest slices", {kind: f"{1000 * took:.1f} ms" for kind, took in longest.items()})


def remove_some(made: Recorded, ids: Sequence[str]) -> None:
    """Removals, 200 an entry, worked off."""
    for start in range(0, len(ids), 200):
        gone = [entries.Removal(id=id) for id in ids[start : start + 200]]
        made._append(entries.remove(gone))
    made.settle()


# -- copies of a story -------------------------------------------------------------------------------


class Silent(Recorded):
    """The server of one article, named by its number, says nothing until :meth:`speak`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.kept: list[tuple[Arrival, int, int]] = []
        self.speaks = False

    def _verify_due(
        self,
        met: dict[int, NDArray[np.int64]],
        arrived: list[tuple[Arrival, int, int]],
    ) -> dict[int, Decision]:
        if not self.speaks:
            self.kept += [each for each in arrived if each[0].article == self.number]
            arrived = [each for each in arrived if each[0].article != self.number]
        return super()._verify_due(met, arrived)

    def keep_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its text is verified by nobody."""
        take = self.collection.take_due

        def take_due(limit: int) -> tuple[list[int], list[bool]]:
            found = [each for each in zip(*take(limit), strict=True) if self.speaks or each[0] != self.number]
            return [text for text, _ in found], [whole for _, whole in found]

        monkeypatch.setattr(self.collection, "take_due", take_due)

    def speak(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """First the verification, then, in an entry of its own, the decision."""
        self.speaks = True
        texts = self.collection.tables.texts
        if texts[self.number]["due"]:
            whole = bool(texts[self.number]["flags"] & base.WHOLE)
            monkeypatch.setattr(self.collection, "take_due", lambda _: ([self.number], [whole]))
            self._verify_due({}, [])
        monkeypatch.setattr(self.collection, "take_due", lambda _: ([], []))
        self._verify_due({}, self.kept)
        monkeypatch.undo()


def decisions(made: Recorded) -> Counter[str]:
    """How often each kind was decided, of all articles that ever came."""
    found = [made.reader.decision(n) for n in range(1, made.collection.highest_article + 1)]
    assert None not in found
    return Counter(each.kind.name for each in found if each is not None)


def check_one_new(copies: int, silent: int, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All copies arrive while the owner of one is silent; some go; then it speaks."""
    articles = hot_story(copies)
    made = Silent(silent)
    try:
        made.keep_silent(monkeypatch)
        for start in range(0, copies, 100):
            list(made.ingest((a, 1.7e9) for a in articles[start : start + 100]))
        assert made.collection.undecided == 1
        if gone:
            remove_some(made, [a.id for a in articles[:gone]])
        made.speak(monkeypatch)
        made.settle()
        assert made.collection.is_settled
        found = decisions(made)
        assert found["NEW"] == 1, found
        first = made.reader.decision(1)
        assert first is not None
        assert first.kind is DecisionKind.NEW
        show(f"{copies} copies", longest_slices(made.parameters, made.log))
    finally:
        made.close()


@pytest.mark.parametrize(("silent", "gone"), [(1, 0), (1, 300), (40, 0), (40, 39), (40, 300)])
def test_of_copies_exactly_one_is_new(silent: int, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that came, whoever is judged last, and whatever was removed until then."""
    check_one_new(400, silent, gone, monkeypatch)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("silent", "gone"), [(1, 0), (40, 4000)])
def test_of_thousands_of_copies_exactly_one_is_new(
    silent: int, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with 5,000."""
    check_one_new(5000, silent, gone, monkeypatch)


# -- a footer ----------------------------------------------------------------------------------------


def fold_of(articles: Sequence[Article]) -> Recorded:
    """The settled fold of articles in their order."""
    made = Recorded()
    list(made.ingest((a, 1.7e9) for a in articles))
    made.settle()
    return made


def check_footer(count: int, bound: float) -> None:
    """A footer is boilerplate of all while a hundred articles have it, and then copied text."""
    articles = list(boilerplate(count))
    made, left = fold_of(articles), articles[-95:]
    orders = [articles[::-1]] if count <= 5000 else []
    try:
        known = made.reader.content_digest()
        assert made.collection.edges <= count // 10_000, "two reports of many thousands may share a phrase"
        for order in orders:
            other = fold_of(order)
            assert other.reader.content_digest() == known
            other.close()
        remove_some(made, [a.id for a in articles[:-95]])
        fresh = fold_of(left)
        assert made.collection.edges == fresh.collection.edges > 0
        assert made.reader.content_digest() == fresh.reader.content_digest()
        fresh.close()
        list(made.ingest((a, 1.7e9) for a in articles[:-95]))
        made.settle()
        assert made.reader.content_digest() == known
        longest = longest_slices(made.parameters, made.log)
        show(f"footer of {count}", longest)
        assert max(longest.values()) <= bound
    finally:
        made.close()


def test_a_footer_becomes_boilerplate_and_ceases_to_be() -> None:
    """Digests are those of a fold that knew it from the start, and of one that knew the survivors alone."""
    check_footer(800, 10.0)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [5000, 50_000])
def test_a_footer_of_thousands(count: int) -> None:
    """No slice takes long, whether it begins or ceases to be boilerplate."""
    check_footer(count, _BOUND)


# -- tables that grow --------------------------------------------------------------------------------


def some_articles(rng: random.Random, first: int, count: int) -> list[entries.Arrival]:
    """Articles with twenty postings of their own and two that some others have."""
    return [
        article(f"a{n}", [*(1_000_000 + 32 * n + k for k in range(20)), *rng.sample(range(400), 2)], source=n)
        for n in range(first, first + count)
    ]


def check_found(log: Log, made: Sequence[entries.Arrival]) -> None:
    """Every id, body and posting is found."""
    assert {found.outcome for found in log.arrive(*made)} <= {UNCHANGED}
    s = log.collection.tables
    for each in made:
        for posting in each.postings[::7].tolist():
            assert int(list_of(s, base.scatter(np.uint64(posting), s.meta[base.SALT]))) != 0


@pytest.mark.parametrize("smallest", [4, 64])
def test_tables_grow_while_they_are_used(smallest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """PartnerMatch before, during and after a growth; single postings of removed texts are left behind."""
    monkeypatch.setattr(tables, "_SMALLEST", smallest)
    monkeypatch.setattr(tables, "_FEW", 64)
    rng = random.Random(smallest)
    log = Log(landmarks=3)
    made: list[entries.Arrival] = []
    sizes = set()
    growing = 0
    for turn in range(60):
        some = some_articles(rng, 10_000 * turn, rng.randrange(1, 30))
        log.arrive(*some)
        log.decide_all()
        made += some
        meta = log.collection.tables.slots_meta
        sizes.add(int(meta[table.CAPACITY]))
        growing += bool(meta[table.OLD_CAPACITY])
        if turn % 6 == 5:
            gone = made[: len(made) // 4]
            log.remove(*(a.id for a in gone))
            made = made[len(made) // 4 :]
            check_room(log.collection)
        check_found(log, made)
    assert len(sizes) > 4
    assert growing > 0
    log.settle()
    assert log.again(sliced=True).log_digest() == log.collection.log_digest()


def jumped(log: Log, texts: int, lists: int, articles: int) -> None:
    """As if so many texts, lists and articles had come and gone."""
    state = log.collection._state
    state.reserve(
        {"texts": texts + 1, "dead": texts + 1, "lists": lists + 1, "articles": articles + 1, "rows": 2}
    )
    state.columns["dead"].array[1 : texts + 1] = 2
    state.meta[base.TEXTS], state.meta[base.LISTS], state.meta[base.ARTICLES] = texts, lists, articles


@pytest.mark.parametrize(
    ("texts", "lists", "articles"),
    [(0, 1_834_000, 0), (1_834_000, 0, 0), (4_194_000, 4_194_000, 4_194_000), (0, 0, 4_194_000)],
)
def test_numbers_outgrow_a_small_table(texts: int, lists: int, articles: int) -> None:
    """Numbers of texts, lists and articles pass what the slots of a small table hold; nothing else changes."""
    rng = random.Random(1)
    log, plain = Log(landmarks=3), Log(landmarks=3)
    jumped(log, texts, lists, articles)
    made: list[entries.Arrival] = []
    for turn in range(30):
        some = some_articles(rng, 1000 * turn, 20)
        found, expected = log.arrive(*some, collect=True), plain.arrive(*some, collect=True)
        for one, other in zip(found, expected, strict=True):
            assert one.met is not None
            assert other.met is not None
            assert (one.outcome, one.article - articles, one.text - texts) == (
                other.outcome,
                other.article,
                other.text,
            )
            assert (one.met - texts).tolist() == other.met.tolist()
        made += some
        check_found(log, made)
    for each in (log, plain):
        each.remove(*(a.id for a in made[::3]))
        each.settle()
    assert log.collection.content_sums() == plain.collection.content_sums()
    check_found(log, [a for n, a in enumerate(made) if n % 3])
    check_room(log.collection)


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_large_table_grows_into_a_larger_one() -> None:
    """Slots of six bytes keep few bits of a key; where they lie tells the rest."""
    log = Log(landmarks=3)
    rng = np.random.default_rng(1)
    made = []
    for turn in range(60):
        drawn = np.unique(rng.integers(0, 1 << 42, 60_000, np.uint64))
        some = article(f"a{turn}", drawn.tolist())
        made.append(some)
        log.arrive(some)
        log.decide_all()
    meta = log.collection.tables.slots_meta
    assert (meta[table.OLD_WIDTH], meta[table.WIDTH]) == (6, 6)
    assert meta[table.TAG] < 32
    check_found(log, made)
    shared = article("shared", {int(a.postings[k]) for a in made for k in range(0, 3000, 1000)})
    (found,) = log.arrive(shared, collect=True)
    assert found.met is not None
    assert found.met.tolist() == list(range(1, 61))
    check_edges(log.collection)


@pytest.mark.parametrize(("highest", "used"), [(1, {6}), (40, {6}), (1 << 12, {6, 8}), (1 << 32, {6, 8})])
def test_a_table_holds_what_a_dict_holds(
    highest: int, used: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys far from each other and next to each other, values that rise, slots of six and eight bytes, growths."""
    monkeypatch.setattr(tables, "_FEW", 64)
    rng = random.Random(highest)
    held = tables.HashTable(of_texts=False)
    dead = np.zeros(0, np.uint8)
    expected: dict[int, int] = {}
    widths = set()
    for turn in range(100):
        value = max(1, highest * turn // 100)
        some = [rng.randrange(1 << 42) for _ in range(99)]
        some += [key ^ rng.randrange(4) for key in rng.sample(sorted(expected), min(len(expected), 20))]
        held.make_room(len(some), value, dead)
        widths.add(int(held.meta[table.WIDTH]))
        for key in some[: 60 if turn % 2 else None]:
            table.put(held.slots.array, held.before.array, held.meta, np.uint64(key), value)
            expected[key] = value
        held.move(rng.choice((1000, 5000)), dead)
        for key in some:
            found = table.find(held.slots.array, held.before.array, held.meta, np.uint64(key))
            assert found == expected.get(key, 0)
    assert held.meta[table.USED] == len(expected)
    assert widths == used
    for key, value in expected.items():
        assert table.find(held.slots.array, held.before.array, held.meta, np.uint64(key)) == value


def test_keys_that_crowd_are_told() -> None:
    """Where keys lie too close, which mixing makes impossible, the table is not trusted."""
    log = Log(landmarks=3)
    held = log.collection._state.postings
    held.make_room(200, 1, np.zeros(0, np.uint8))
    log.collection._state.tables = log.collection._state._gather()
    for key in range(table.TOO_FAR + 1):
        table.put(held.slots.array, held.before.array, held.meta, np.uint64(key), 1)
    with pytest.raises(RuntimeError, match="crowd"):
        log.arrive(article("a", [1]))


def test_keys_where_low_bits_repeat_survive_a_growth() -> None:
    """The first key of every 2^32 is found after a growth, though slots keep low bits of keys alone."""
    held = tables.HashTable(of_texts=False)
    keys = [(group << 32) + more for group in range(1, 1024) for more in (0, 1 << 31)]
    for size in (3_000_000, 5_000_000):  # no multiples of 1024: homes are rounded
        held.grow(size, 1 << 22)
        for number, key in enumerate(keys, 1):
            table.put(held.slots.array, held.before.array, held.meta, np.uint64(key), number)
        while not held.move(1 << 18, np.zeros(0, np.uint8)):
            pass
        found = [table.find(held.slots.array, held.before.array, held.meta, np.uint64(key)) for key in keys]
        assert found == list(range(1, len(keys) + 1))
        assert int(held.meta[table.USED]) == len(keys)


# -- memory ------------------------------------------------------------------------------------------


def resident() -> int:
    """Bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_an_empty_collection_is_small() -> None:
    """Under 20 KB: the arrays that it reports, what Python allocates, and what the process gets."""
    parameters = CollectionParameters()
    assert sum(Collection(parameters).nbytes().values()) < 20_000
    tracemalloc.start()
    made = [Collection(parameters) for _ in range(10)]
    allocated = tracemalloc.get_traced_memory()[0] / len(made)
    tracemalloc.stop()
    assert allocated < 20_000
    gc.collect()
    before = resident()
    made = [Collection(parameters) for _ in range(1500)]
    assert (resident() - before) / len(made) < 20_000


def test_reported_bytes_are_those_in_use() -> None:
    """The sum of all arrays is near what the process got for a collection."""
    log = Log()
    rng = random.Random(2)
    gc.collect()
    before = resident()
    for turn in range(40):
        log.arrive(*some_articles(rng, 1000 * turn, 200))
    log.written.clear()
    grown = resident() - before
    reported = sum(log.collection.nbytes().values())
    print(f"8,000 articles: {reported:,} bytes reported, {grown:,} resident")
    assert 0.4 * grown < reported < 1.6 * grown + 2_000_000
