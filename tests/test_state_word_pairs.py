"""Texts by the word pairs they share: as brute force finds them, whoever came first and whatever has gone since."""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest

from dedup.bulk.local import LocalCollection
from dedup.core import same_event
from dedup.core.prepare import prepare
from dedup.model import CollectionParameters
from dedup.state import entries
from dedup.state.collection import Collection
from dedup.state.entry_reading import Reader
from dedup.state.kernels import table, word_pairs
from tests.data import START, reports
from tests.state_log import Log, article, replaced
from tests.test_state_entries import refuse


def as_bytes(postings: Iterable[int]) -> bytes:
    """Postings as the service asks with them."""
    return b"".join(posting.to_bytes(same_event.FIELD, "little") for posting in postings)


def found(collection: Collection, postings: Iterable[int], least: int = 2, most: int = 100) -> list[int]:
    """The candidates for these pairs."""
    return collection.same_event_candidates(as_bytes(postings), least, most)


class Told:
    """A log of articles with word pairs drawn by chance, and what each text has as plain sets."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.log = Log(same_story=True)
        self.pairs: dict[str, tuple[int, frozenset[int]]] = {}

    def article(self) -> entries.Arrival:
        """One of few bodies and days: a body has its own pairs, others each day; some bodies share most pairs."""
        rng = self.rng
        body, day = rng.randrange(30), rng.randrange(4)
        of_body = random.Random(body)
        words = of_body.sample(range(14), of_body.randrange(1, 9)) if body % 7 else []
        return article(
            f"a{rng.randrange(40)}",
            [1000 + body] if body % 11 else [],
            day=day,
            pairs=[(word * 7919 + day * 104729) % (1 << 42) for word in words] if body % 11 else [],
            version=rng.choice((None, None, 1, 2)),
            canceled=rng.random() < 0.1,
        )

    def step(self) -> None:
        """One entry more."""
        rng, log = self.rng, self.log
        kind = rng.random()
        if kind < 0.6:
            made = [self.article() for _ in range(rng.randrange(1, 8))]
            for each, what in zip(made, log.arrive(*made), strict=True):
                if what.outcome in (1, 3):
                    self.pairs[each.id] = what.text, frozenset(each.pairs.tolist())
        elif kind < 0.75:
            log.remove(*(f"a{rng.randrange(40)}" for _ in range(rng.randrange(1, 5))))
        elif kind < 0.8:
            log.append(entries.horizon(rng.randrange(log.position + 1)))
        elif kind < 0.9:
            log.decide_all()
        else:
            log.append(entries.settle())

    def standing(self) -> dict[int, set[int]]:
        """The pairs that carriers of each text have now."""
        reader, out = self.log.reader, defaultdict[int, set[int]](set)
        for id, (text, pairs) in self.pairs.items():
            article = reader.article(reader.number_of(id))
            if article is not None and text:
                assert article.text == text
                out[text] |= pairs
        return dict(out)


def expected(collection: Collection, texts: dict[int, set[int]], postings: set[int], least: int) -> list[int]:
    """Brute force: of each pair the texts with the smallest digests count."""
    rows = collection.tables.texts
    order = sorted(texts, key=lambda text: (int(rows[text]["high"]), int(rows[text]["low"])))
    shared: dict[int, int] = defaultdict(int)
    for posting in postings:
        for text in [text for text in order if posting in texts[text]][: word_pairs.MOST]:
            shared[text] += 1
    return sorted((t for t in order if shared[t] >= least), key=lambda t: (-shared[t], order.index(t)))


def check_tables(collection: Collection, texts: dict[int, set[int]]) -> None:
    """Every pair leads to just its texts, in the order of a heap; nothing else is kept."""
    pairs = collection._pairs
    assert pairs is not None
    p, s = pairs.tables, collection.tables
    of_pair: dict[int, set[int]] = defaultdict(set)
    for text, own in texts.items():
        for posting in own:
            of_pair[posting].add(text)
    lists = 0
    for posting, members in of_pair.items():
        key = np.uint64(word_pairs._key_of(s, np.uint64(posting)))
        there = int(word_pairs._value_of(p, key))
        if len(members) == 1:
            assert {there - 1} == members
            continue
        lists += 1
        row = p.lists[-there]
        at, count = int(row["at"]), int(row["count"])
        assert count == len(members)
        heap = p.members[at : at + count].tolist()
        assert set(heap) == members
        keys = [(int(s.texts[text]["high"]), int(s.texts[text]["low"])) for text in heap]
        assert all(keys[(i - 1) // 2] <= keys[i] for i in range(1, count))
    free, at = 0, int(p.meta[word_pairs.FREE_LIST])
    while at:
        free, at = free + 1, int(p.lists[at]["at"])
    assert lists + free == p.meta[word_pairs.LISTS]
    used = int(p.slots_meta[table.USED])
    assert used - int(p.meta[word_pairs.NOBODY]) == len(of_pair)
    kept, at = 0, int(p.meta[word_pairs.FREE_SET])
    while at:
        kept, at = kept + 1, int(p.sets[at]["next"])
    sets = sum(int(row["count"]) > 0 for row in p.sets[1 : int(p.meta[word_pairs.SETS]) + 1])
    assert sets + kept == p.meta[word_pairs.SETS]
    assert not any(p.of_text[text] for text in range(1, collection.highest_text + 1) if not texts.get(text))


@pytest.mark.parametrize("seed", range(20))
def test_candidates_are_those_of_brute_force(seed: int) -> None:
    """After any arrivals, versions, kills, deletes and expiries; and the log folded again finds the same."""
    told = Told(seed)
    log = told.log
    for step in range(60):
        told.step()
        texts = told.standing()
        if step % 5 == 0:
            check_tables(log.collection, texts)
        of_all = sorted({posting for own in texts.values() for posting in own} | {5, 9})
        asked = set(told.rng.sample(of_all, min(len(of_all), 12)))
        least = told.rng.randrange(1, 4)
        assert found(log.collection, asked, least) == expected(log.collection, texts, asked, least)
        assert found(log.collection, asked, least, 2) == expected(log.collection, texts, asked, least)[:2]
    again = log.again(sliced=bool(seed % 2))
    assert again.log_digest() == log.collection.log_digest()
    assert found(again, asked, 1) == found(log.collection, asked, 1)
    log.remove(*(f"a{n}" for n in range(40)))
    check_tables(log.collection, {})


def test_the_order_of_arrival_decides_nothing() -> None:
    """The same survivors in any order: the same digests are found of a pair that more have than are looked at."""
    count = word_pairs.MOST + 60
    made = [article(f"a{n}", [n], pairs=[7, 8, 100 + n % 9]) for n in range(count)]
    answers = []
    for seed in range(4):
        rng = random.Random(seed)
        rng.shuffle(made)
        gone = [article(f"gone{n}", [10_000 + n], pairs=[7, 8]) for n in range(50)]
        log = Log(same_story=True)
        for start in range(0, count, 40):
            log.arrive(*made[start : start + 40], *gone[start // 8 : start // 8 + 5])
        log.remove(*(f"gone{n}" for n in range(50)))
        texts = found(log.collection, [7, 8], 2, 1000)
        assert len(texts) == word_pairs.MOST
        answers.append([log.reader.digest_of(text) for text in texts])
        assert answers[-1] == sorted(answers[-1])
        assert sorted(answers[-1]) == sorted(a.digest for a in made)[: word_pairs.MOST]
    assert all(answer == answers[0] for answer in answers)


def test_a_text_stands_in_the_spans_of_all_its_carriers() -> None:
    """Each article brings its own; they go with the last article that brought them."""
    log = Log(same_story=True)
    body = article("a", [1, 2], pairs=[10, 11])
    later = replaced(body, id="b", pairs=np.array([11, 20], np.uint64), content=5)
    log.arrive(body, later, replaced(body, id="c", content=6))
    assert [found(log.collection, [p], 1) for p in (10, 11, 20)] == [[1], [1], [1]]
    log.remove("a")
    assert [found(log.collection, [p], 1) for p in (10, 11, 20)] == [[1], [1], [1]]
    log.remove("c")
    assert [found(log.collection, [p], 1) for p in (10, 11, 20)] == [[], [1], [1]]
    log.arrive(replaced(later, content=7, pairs=np.array([30], np.uint64)))
    assert [found(log.collection, [p], 1) for p in (10, 11, 20, 30)] == [[], [], [], [1]]


def test_a_table_that_grows_forgets_pairs_that_nobody_has() -> None:
    """A window of days passes over a collection: the table keeps the size of what stands."""
    log = Log(same_story=True)
    sizes = []
    for day in range(60):
        made = [
            article(f"d{day}-{n}", [day * 100 + n], pairs=[(day * 100 + n) * 50 + k for k in range(40)])
            for n in range(40)
        ]
        log.arrive(*made)
        log.decide_all()
        if day >= 3:
            log.remove(*(f"d{day - 3}-{n}" for n in range(40)))
        log.settle()
        sizes.append(log.collection.nbytes()["pairs"])
    assert max(sizes[20:]) <= 2 * max(sizes[:10])
    texts = {
        log.reader.text_of_article(log.reader.number_of(f"d{day}-{n}")): {
            (day * 100 + n) * 50 + k for k in range(40)
        }
        for day in (57, 58, 59)
        for n in range(40)
    }
    check_tables(log.collection, texts)


def test_a_collection_without_them_has_none() -> None:
    """Nothing is allocated, nothing is found, and an entry that has some is refused."""
    log = Log()
    log.arrive(article("a", [1, 2]))
    refuse(log, entries.arrive([article("b", [3]), article("c", [4], pairs=[1])]), says="word pairs")
    assert log.collection._pairs is None
    assert not found(log.collection, [1], 1)
    assert not any("pair" in name for name in log.collection.nbytes())


def test_an_entry_has_no_byte_more_where_there_are_none() -> None:
    """Six bytes for each there is."""
    plain, some = article("a", [1, 2]), article("a", [1, 2], pairs=[3, 4, 5])
    assert len(entries.arrive([some])) == len(entries.arrive([plain])) + 18
    read = Reader(entries.arrive([plain, replaced(some, agency=255), plain]), 1).arrived()
    assert (read.pairs.tolist(), read.pairs_at.tolist()) == ([3, 4, 5], [0, 0, 3, 3])
    assert read.flags.tolist() == [1, 0xFF01, 1]


_BAD = {
    "unsorted": [
        article("x", [1], pairs=[4]),
        replaced(article("y", [1]), pairs=np.array([5, 4], np.uint64)),
    ],
    "twice": [replaced(article("x", [1]), pairs=np.array([5, 5], np.uint64))],
    "of 43 bits": [article("x", [1], pairs=[1 << 42])],
    "too many": [article("x", [1], pairs=range(same_event.PAIRS + 1))],
    "of an article that is not comparable": [article("x", [], pairs=[1])],
}


@pytest.mark.parametrize("what", list(_BAD))
def test_word_pairs_that_cannot_be(what: str) -> None:
    """The entry is refused whole."""
    log = Log(same_story=True)
    log.arrive(article("a", [1, 2], pairs=[7]))
    refuse(log, entries.arrive([article("good", [5], pairs=[7]), *_BAD[what]]))
    assert found(log.collection, [7], 1) == [1]


def test_an_entry_cut_off_within_its_word_pairs() -> None:
    """As within anything else, and with any count of them."""
    log = Log(same_story=True)
    log.arrive(article("a", [1, 2], pairs=[7]))
    raw = entries.arrive([article("b", [5], pairs=[7, 8]), article("c", [6], pairs=[9])])
    for size in range(len(raw) - 30, len(raw)):
        refuse(log, raw[:size])
    at = 8 + entries.ARRIVED.fields["flags"][1]  # type: ignore[index]
    flags = struct.unpack_from("<I", raw, at)[0]
    for count in (0, 1, 3, 255):
        other = flags & ~(0xFF << entries.PAIRS_SHIFT) | count << entries.PAIRS_SHIFT
        refuse(log, raw[:at] + struct.pack("<I", other) + raw[at + 4 :])
    log.append(raw)
    assert found(log.collection, [7], 1) == [1, 2] or found(log.collection, [7], 1) == [2, 1]


def test_the_log_digest_knows_them() -> None:
    """Which version has which pairs; what is left after a removal is what there was before."""
    digests = set()
    for pairs in ([], [7], [8], [7, 8]):
        log = Log(same_story=True)
        log.arrive(article("a", [1, 2], pairs=pairs), article("b", [3]))
        digests.add(log.collection.log_digest())
        log.remove("a")
        digests.add(log.collection.log_digest())
    assert len(digests) == 5


def test_strange_questions() -> None:
    """Nothing asked, nothing stored, pairs that cannot be, a pair twice."""
    log = Log(same_story=True)
    assert not found(log.collection, [1, 2], 1)
    log.arrive(article("a", [1, 2], pairs=[7, 8]))
    assert not found(log.collection, [], 1)
    assert not found(log.collection, [7, 7], 2)
    assert not found(log.collection, [7 | 1 << 42, 8], 2)
    assert not found(log.collection, [7, 8], 2, 0)
    assert found(log.collection, [7, 8], 0) == [1]


def test_a_collection_without_a_store_has_them_too() -> None:
    """The pairs of real bodies, each in the span of its publication; the same whoever comes first."""
    parameters = CollectionParameters(same_story=True)
    made = [(article, START) for seed in range(3) for article in reports(seed, 5)]
    answers = []
    for seed in range(2):
        random.Random(seed).shuffle(made)
        local = LocalCollection(parameters, workers=0)
        try:
            list(local.ingest(made))
            local.settle()
            (asked,) = reports(1, 1)
            ready = prepare(asked, parameters)
            span = same_event.span_of(START, parameters.story_span_days)
            postings = same_event.fields(ready.pairs, span - 1, span, span + 1)
            texts = local.collection.same_event_candidates(postings, 2, 100)
            answers.append([local.reader.id_of(local.reader.smallest_id(text)) for text in texts])
        finally:
            local.close()
    assert answers[0] == answers[1]
    assert set(answers[0][:5]) == {f"e1-{n}" for n in range(5)}
    assert answers[0][0] == "e1-0"
