"""A look-up of a text that is not stored: exactly what its arrival would meet and mask, and nothing changes by it."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest

from dedup.state import entries
from dedup.state.collection import Collection
from dedup.state.kernels import base
from dedup.state.kernels.lists import CROWD
from tests.state_log import Log, article
from tests.test_state_invariants import Drawn


def arrays_of(collection: Collection) -> dict[str, bytes]:
    """Everything a state holds, but for room that is not used."""
    found = {}
    for name, array in collection.tables._asdict().items():
        raw = array.tobytes()
        found[name] = raw.rstrip(b"\0") if array.ndim == 1 else raw
    return found


def ask(collection: Collection, asked: entries.Arrival) -> tuple[list[int], list[int]]:
    """Whom it would meet, and its postings that are boilerplate; nothing changes."""
    digests = collection.log_digest(), collection.content_sums()
    before = arrays_of(collection)
    met, mask = collection.look_up_unstored(
        digest=asked.digest, source=asked.source, published=asked.published, postings=asked.postings
    )
    assert arrays_of(collection) == before
    assert (collection.log_digest(), collection.content_sums()) == digests
    return met.tolist(), mask.tolist()


def check(log: Log, asked: Iterable[entries.Arrival]) -> tuple[int, int, int]:
    """What is said of texts beforehand is what is said of each as it comes; how often something was met and masked."""
    counted = [0, 0, 0]
    for each in asked:
        if log.reader.text_of_digest(each.digest):
            continue
        met, mask = ask(log.collection, each)
        twin = log.again()
        (found,) = twin.apply(twin.position + 1, entries.arrive([each]), collect=True)
        then = found.met
        if then is None:  # too many to be listed at once
            (then,) = twin.look_up([found.text], below=[True])
        assert met == then.tolist()
        assert mask == twin.mask(found.text).tolist()
        counted[0] += 1
        counted[1] += bool(met)
        counted[2] += bool(mask)
    return counted[0], counted[1], counted[2]


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries leave all work to settle entries: what is boilerplate is read as it is at the arrival itself."""
    monkeypatch.setattr("dedup.state.collection.WORK_OF_AN_ENTRY", 0)


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize("landmarks", [1, 2, 3, 10])
def test_what_an_arrival_would_meet(landmarks: int) -> None:
    """Lists that are hot or become so, landmarks pushed out, boilerplate that begins and ends with this very text."""
    total = np.zeros(3, np.int64)
    for seed in range(10):
        drawn = Drawn(3000 + seed, landmarks, window=(0, 0, 4)[seed % 3])
        drawn.postings = {}
        for step in range(45):
            drawn.step()
            if step % 3 == 0:
                some = [drawn.article() for _ in range(4)]
                asked = [
                    article(
                        f"q{n}",
                        [*each.postings.tolist(), 5000 + n],
                        day=each.published / 86400,
                        source=each.source,
                    )
                    for n, each in enumerate(some)
                ]
                total += check(drawn.log, asked)
    assert total[1] > total[0] // 4
    assert total[2] > 20 or landmarks < 3


def crowd(rng: random.Random, landmarks: int, texts: int, *, days: int) -> Log:
    """A log whose lists 1 to 6 get so many texts, of some outlets and days."""
    log = Log(landmarks=landmarks)
    for first in range(0, texts, 10):
        log.arrive(*(crowd_article(rng, n, days) for n in range(first, min(texts, first + 10))))
    return log


def crowd_article(rng: random.Random, n: int, days: int) -> entries.Arrival:
    """One of a crowd."""
    shared = rng.sample(range(2, 7), 2)
    return article(f"c{n}", [1, *shared, 1000 + n], day=rng.randrange(days), source=rng.randrange(1, 60))


@pytest.mark.usefixtures("_no_work")
@pytest.mark.parametrize("landmarks", [4, 8, 99, 100, 130])
def test_lists_of_a_crowd(landmarks: int) -> None:
    """From a hundred texts on half of the landmarks open a list, and it may be boilerplate of all."""
    masked = 0
    for seed, days in ((1, 2), (2, 30), (3, 9)):
        rng = random.Random(seed)
        log = crowd(rng, landmarks, CROWD - 4, days=days)
        for n in range(12):
            asked = [crowd_article(rng, 500 + k, days) for k in range(6)]
            masked += check(log, asked)[2]
            log.arrive(crowd_article(rng, 200 + n, days))
            if n == 6:
                log.decide(*range(1, 60))
                log.remove(*(f"c{k}" for k in rng.sample(range(CROWD - 4), 5)))
            if n == 9:
                log.append(entries.settle())
    assert masked or landmarks >= CROWD


@pytest.mark.usefixtures("_no_work")
def test_landmarks_that_wait_to_be_mended() -> None:
    """A hot list that lost some: whoever comes behind those that are left is none, though there is room."""
    for seed in range(6):
        rng = random.Random(seed)
        log = crowd(rng, 6, 40, days=8)
        s = log.collection.tables
        order = sorted(range(40), key=lambda n: log.reader.digest_of(n + 1))
        log.decide_all()
        log.remove(*(f"c{n}" for n in order[:4]))
        assert any(row["flags"] & base.REPAIR for row in s.lists[1 : log.collection.number(base.LISTS) + 1])
        assert check(log, [crowd_article(rng, 100 + n, 8) for n in range(20)])[1]


def test_nothing_there_and_strange_texts() -> None:
    """An empty collection, no postings, a text whose equal was removed, postings of removed texts alone."""
    log = Log(landmarks=2)
    asked = article("q", [1, 2, 3], day=2)
    assert ask(log.collection, asked) == ([], [])
    log.arrive(asked, article("b", [1, 9]))
    assert ask(log.collection, article("q", [])) == ([], [])
    log.remove("q")
    assert check(log, [asked]) == (1, 1, 0)
    log.decide_all()
    log.remove("b")
    log.settle()
    assert ask(log.collection, asked) == ([], [])


def test_boilerplate_of_many_outlets() -> None:
    """A list that is boilerplate of more outlets than there is room for at first."""
    log = Log(landmarks=200)
    made = [
        article(f"a{source}-{n}", [1, 10 * source + n + 100], day=4 * n, source=source)
        for source in range(1, 31)
        for n in range(3)
    ]
    log.arrive(*made)
    flags = [int(row["outlets"]) for row in log.collection.tables.lists[1:2]]
    assert flags[0]
    for source in (1, 17, 30, 31):
        assert check(log, [article("q", [1, 5000], source=source)])[2] == (source < 31)
