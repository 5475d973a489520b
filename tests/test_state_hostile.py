"""What nobody would publish: ids that fall together, endless lists, one body of thousands, kills by the hundred."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import xxhash

from dedup.state import entries
from dedup.state.kernels import base, table
from tests.state_invariants import check, check_carriers, check_due, check_edges, check_lists, check_room
from tests.state_log import CANCELED, CREATED, UNCHANGED, Log, article, pair, replaced, result

_42 = (1 << 42) - 1


def crafted_ids(share: float, count: int, *, upper: bool) -> Iterator[str]:
    """Ids whose hashes lie in a small share of all 42-bit keys, at one end."""
    number = 0
    while count:
        number += 1
        id = f"x{number}"
        key = xxhash.xxh3_64_intdigest(id.encode()) & _42
        if (_42 - key if upper else key) < share * _42:
            count -= 1
            yield id


@pytest.mark.parametrize("upper", [True, False])
def test_ids_that_hash_alike_fill_no_corner(upper: bool) -> None:
    """Tables choose slots by a key of each process; what lies together by its hash is spread."""
    log = Log()
    ids = list(crafted_ids(0.01, 4500, upper=upper))
    for start in range(0, len(ids), 300):
        log.arrive(*(article(id, []) for id in ids[start : start + 300]))
    meta = log.collection.tables.ids_meta
    capacity = int(meta[table.CAPACITY])
    slots = np.any(log.collection.tables.ids[: -table.BEYOND].reshape(-1, int(meta[table.WIDTH])), axis=1)
    assert isinstance(slots, np.ndarray)
    assert int(slots[capacity:].sum()) < 64
    parts = [int(part.sum()) for part in (slots[: capacity // 2], slots[capacity // 2 : capacity])]
    assert min(parts) > 0.4 * sum(parts)
    assert {found.outcome for found in log.arrive(*(article(id, []) for id in ids))} == {UNCHANGED}


def test_bodies_whose_digests_are_alike_fill_no_corner() -> None:
    """The same for the digests of bodies."""
    log = Log()
    made = [article(f"a{n}", [n], digest=n << 100 | (_42 - n % 7)) for n in range(3000)]
    for start in range(0, len(made), 300):
        log.arrive(*made[start : start + 300])
    assert log.collection.texts == 3000
    assert {found.outcome for found in log.arrive(*made[:50])} == {UNCHANGED}
    found = log.arrive(*(replaced(each, id=f"b{n}") for n, each in enumerate(made[:50])))
    assert [(each.text, each.is_new_text) for each in found] == [(n + 1, False) for n in range(50)]


def test_ids_with_one_hash_are_different_articles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all 64 bits are equal or the 42 of the table; each is found, removed and made anew by its bytes."""
    hashes = {f"id{n}".encode(): (n // 4) << 42 | 5 for n in range(12)}
    alike = SimpleNamespace(xxh3_64_intdigest=lambda raw: hashes[bytes(raw)])
    monkeypatch.setattr("dedup.state.entry_reading.xxhash", alike)
    log = Log()
    made = [article(f"id{n}", [1, n + 10], source=n) for n in range(12)]
    found = log.arrive(*made)
    assert [each.outcome for each in found] == [CREATED] * 12
    assert [each.outcome for each in log.arrive(*made)] == [UNCHANGED] * 12
    log.remove("id3", "id7")
    (again,) = log.arrive(made[3])
    assert (again.outcome, again.article) == (CREATED, 13)
    left = sorted(log.reader.id_of(number) for number in log.reader.standing().tolist())
    assert left == sorted(f"id{n}" for n in range(12) if n != 7)
    check(log.collection)


def test_any_bytes_may_name_an_article() -> None:
    """Ids that begin alike, of any script, with zeros and line feeds, up to 512 bytes."""
    ids = [
        "a",
        "a\0",
        "a\n",
        "\0",
        "é",
        "e\u0301",
        "🗞" * 128,
        "x" * 511,
        "x" * 512,
        "articles/../a",
        " a",
        "A",
    ]
    log = Log()
    log.arrive(*(article(id, [1, 2, 10 + n]) for n, id in enumerate(ids)))
    assert [log.reader.id_of(n + 1) for n in range(len(ids))] == ids
    log.remove(*ids[::2])
    assert [log.reader.id_of(n) for n in log.reader.standing().tolist()] == ids[1::2]
    check(log.collection)


def test_kills_by_the_hundred() -> None:
    """One entry takes away landmarks of thousands of lists, after entries of one article each."""
    log = Log(landmarks=3)
    postings = {}
    for family in range(40):
        for n in range(5):
            made = article(
                f"f{family}-{n}", [*range(family * 100, family * 100 + 60), 10**6 + family * 10 + n]
            )
            (found,) = log.arrive(made)
            postings[found.text] = set(made.postings.tolist())
    log.decide_all()
    log.settle()
    kills = [article(f"f{family}-{n}", [], canceled=True) for family in range(40) for n in range(2)]
    assert {each.outcome for each in log.arrive(*kills)} == {CANCELED}
    check_room(log.collection)
    log.settle(400)
    check(log.collection, postings)
    assert log.again(sliced=True).log_digest() == log.collection.log_digest()


def test_corrections_by_the_hundred() -> None:
    """Long texts that stood in hot lists are replaced by short ones, all at once."""
    log = Log(landmarks=2)
    for family in range(30):
        shared = range(family * 1000, family * 1000 + 200)
        log.arrive(*(article(f"f{family}-{n}", [*shared, 10**6 + family * 10 + n]) for n in range(5)))
    log.arrive(*(article(f"f{family}-{n}", [family + n]) for family in range(30) for n in range(5)))
    check_room(log.collection)
    log.decide_all()
    log.settle(400)
    check(log.collection)
    assert log.again(sliced=True).log_digest() == log.collection.log_digest()


@pytest.mark.parametrize("outlets", [40, 150])
def test_boilerplate_of_hundreds_of_outlets(outlets: int) -> None:
    """Three bodies of the same outlets on three days; a fourth moves one of them out of all groups, and goes again."""
    log = Log(landmarks=3)
    shared = range(1000, 1060)
    texts = sorted((article(f"t{n}", [*shared, n]) for n in range(4)), key=lambda a: a.digest)
    for outlet in range(outlets):
        days = [
            replaced(t, id=f"{outlet}-{n}", content=n, source=50 + outlet) for n, t in enumerate(texts[1:])
        ]
        log.arrive(*(replaced(each, published=n * 4 * 86400.0) for n, each in enumerate(days)))
    log.decide_all()
    log.settle()
    full = log.reader.content_digest()
    assert len(log.collection.mask(1)) == len(shared)
    log.arrive(texts[0])
    check_room(log.collection)
    log.decide_all()
    log.settle(400)
    assert log.collection.mask(1).size == 0
    check_lists(log.collection, {})
    log.remove(texts[0].id)
    check_room(log.collection)
    log.settle(400)
    assert len(log.collection.mask(1)) == len(shared)
    assert log.reader.content_digest() == full
    check_carriers(log.collection)


def test_a_body_of_thousands() -> None:
    """4,096 articles of one outlet, then of many, carry one text; they go in any order."""
    log = Log()
    body = article("a", range(100, 160))
    other = article("b", [*range(100, 130), 1])
    ids = [f"a{n}" for n in range(4096)]
    log.arrive(other)
    for start in range(0, 4096, 256):
        some = range(start, start + 256)
        log.arrive(*(replaced(body, id=ids[n], published=n * 60.0, content=n) for n in some))
    at = log.position
    log.verify(result(1, at), result(2, at, pair(1)))
    log.decide_all()
    check_carriers(log.collection)
    random.Random(1).shuffle(ids)
    for start in range(0, 4000, 200):
        log.remove(*ids[start : start + 200])
    log.settle(400)
    assert log.collection.edges == 1
    assert len(log.reader.carriers(2)) == 96
    check(log.collection)
    log.remove(*ids[4000:])
    log.settle()
    assert (log.collection.texts, log.collection.edges) == (1, 0)
    check(log.collection)


def test_a_text_of_many_postings() -> None:
    """As many as a body of a megabyte has, and more; it is looked up, replaced and removed as any."""
    log = Log(landmarks=3)
    many = range(60_000)
    found = [log.arrive(article(f"a{n}", [*many, 10**6 + n]), collect=True)[0] for n in range(5)]
    assert [each.met is None or each.met.size <= 3 for each in found] == [True] * 5
    check_room(log.collection)
    log.arrive(article("a0", [5, 6]), article("a1", [], canceled=True))
    check_room(log.collection)
    log.decide_all()
    log.settle(2000)
    assert [met.tolist() for met in log.collection.look_up([3, 4, 5])] == [[4, 5, 6], [3, 5, 6], [3, 4, 6]]
    log.remove(*(f"a{n}" for n in range(5)))
    log.settle(2000)
    check_room(log.collection)
    check_edges(log.collection)
    check_due(log.collection)
    assert log.collection.is_settled
    assert log.collection.articles == 0


def test_room_that_is_asked_for_is_bounded() -> None:
    """A text of many postings and another of many outlets together need no more than both: memory is not free."""
    log = Log()
    log.arrive(article("long", range(10**6, 10**6 + 30_000)))
    for outlet in range(300):
        log.arrive(article(f"a{outlet}", range(60), source=1000 + outlet))
    log.arrive(article("other", [1, 2, 3]))
    log.decide_all()
    log.remove("other", "a7")
    log.settle()
    reserved = sum(column.array.nbytes for column in log.collection._state.columns.values())
    assert reserved < 1 << 30


def test_an_article_that_changes_its_mind() -> None:
    """One id between two bodies, a thousand times, and killed and sent again as often: numbers grow, nothing else."""
    log = Log()
    bodies = [article("a", [1, 2, 3]), article("a", [1, 2, 4])]
    for turn in range(300):
        log.arrive(bodies[turn % 2])
        if turn % 3 == 0:
            log.remove("a")
        if turn % 10 == 0:
            log.decide_all()
    log.decide_all()
    log.settle()
    assert log.collection.articles == log.collection.texts == 1
    lists = log.collection.tables.lists[1 : log.collection.number(base.LISTS) + 1]
    assert int(lists["count"].sum()) <= 3
    check(log.collection)


def test_published_at_the_ends_of_time() -> None:
    """From the year 1 to 9999; the window is measured as always."""
    first, last = -62_135_596_800.0, 253_402_300_799.0
    log = Log(match_window_days=3)
    for n, time in enumerate((first, first + 1, 0.0, -0.5, last - 1, last)):
        log.arrive(replaced(article(f"a{n}", [1, 2, 10 + n], source=n), published=time))
    met = [each.tolist() for each in log.collection.look_up([1, 2, 3, 4, 5, 6])]
    assert met == [[2], [1], [4], [3], [6], [5]]
    check(log.collection)
    assert all(math.isfinite(c.published) for text in range(1, 7) for c in log.reader.carriers(text))


def test_empty_and_strange_arrivals() -> None:
    """Articles without postings are in no text, though their digests are equal; nor is one killed before it came."""
    log = Log()
    log.arrive(article("a", []), article("b", []), article("c", [], canceled=True), article("d", [0]))
    assert (log.collection.articles, log.collection.texts, log.collection.undecided) == (3, 1, 1)
    log.append(entries.arrive([]), collect=True)
    check(log.collection)
