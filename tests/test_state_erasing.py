"""Records that nobody will read any more are named once, as soon as it is so; no other is."""

from __future__ import annotations

import random

import numpy as np
import pytest

from dedup.state import entries
from dedup.state.entry_reading import Reader
from tests.state_log import CANCELED, CREATED, REPLACED, UNCHANGED, Log, article, replaced
from tests.test_state_entries import refuse


class Recorded:
    """A log in which every delivery has a record of its own, and the plain account of them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.log = Log(landmarks=3)
        self.records = 0
        self.with_text: set[int] = set()
        self.standing: dict[str, int] = {}
        self.given: set[int] = set()
        self.gone_at: dict[int, int] = {}
        self.erased: list[int] = []

    def article(self) -> entries.Arrival:
        """One of few ids and bodies; some are not comparable, some kills, some heal, some have no record."""
        rng = self.rng
        body = rng.randrange(6)
        self.records += 1
        return article(
            f"a{rng.randrange(12)}",
            [body, 100 + body] if body else [],
            version=rng.choice((None, None, None, 1, 2)),
            canceled=rng.random() < 0.1,
            record=self.records if rng.random() < 0.95 else 0,
        )

    def step(self) -> None:
        """One entry more, and what it does to records."""
        rng, log = self.rng, self.log
        kind = rng.random()
        if kind < 0.6:
            self.arrive([self.article() for _ in range(rng.randrange(1, 6))])
        elif kind < 0.7:
            log.remove(f"a{rng.randrange(12)}", f"a{rng.randrange(12)}")
        elif kind < 0.75:
            log.append(entries.horizon(rng.randrange(log.position + 1)))
        elif kind < 0.85:
            last = log.collection.highest_article
            log.decide(*(n for n in range(1, last + 1) if rng.random() < 0.6))
        else:
            log.append(entries.settle())
        self.check()

    def arrive(self, made: list[entries.Arrival]) -> None:
        """Articles arrive, some of them to heal what they repeat."""
        made = [replaced(each, heals=self.rng.random() < 0.3) for each in made]
        for each, found in zip(made, self.log.arrive(*made), strict=True):
            self.given.add(each.record)
            if found.outcome in (CREATED, REPLACED) or (
                found.outcome == UNCHANGED and each.heals and each.record
            ):
                if found.outcome == UNCHANGED:
                    self.gone_at[self.standing[each.id]] = 0
                elif each.id in self.standing:
                    self.gone_at[self.standing[each.id]] = self.log.position
                self.standing[each.id] = each.record
                if found.text:
                    self.with_text.add(each.record)
            else:
                self.gone_at[each.record] = 0
                if found.outcome == CANCELED and each.id in self.standing:
                    self.gone_at[self.standing.pop(each.id)] = self.log.position

    def check(self) -> None:
        """What is named now that was not, and that all else stands or is still waited for."""
        log, reader = self.log, self.log.reader
        for id, record in list(self.standing.items()):
            found = reader.article(reader.number_of(id))
            if found is None:  # removed or expired
                self.gone_at[self.standing.pop(id)] = log.position
            else:
                assert found.record == record
        fresh = log.collection.erased_after(len(self.erased)).tolist()
        self.erased += fresh
        assert self.erased == log.collection.erased_after(0).tolist()
        assert len(set(self.erased)) == len(self.erased)
        assert 0 not in self.erased
        assert not set(self.erased) & set(self.standing.values())
        undecided = [position for _, _, _, position in log.collection.undecided_articles()]
        for record in fresh:
            assert record in self.gone_at
            assert record not in self.with_text or not any(
                p <= self.gone_at[record] for p in undecided if self.gone_at[record]
            )
        at_once = {r for r, at in self.gone_at.items() if at == 0 or r not in self.with_text}
        assert at_once - {0} <= set(self.erased)


@pytest.mark.parametrize("seed", range(25))
def test_each_record_is_named_once_when_nobody_reads_it(seed: int) -> None:
    """Through versions, kills, deletes, expiry, deliveries that change nothing, and heals; the same everywhere."""
    made = Recorded(seed)
    for _ in range(60):
        made.step()
    made.log.decide_all()
    made.log.settle()
    made.check()
    assert set(made.erased) == made.given - set(made.standing.values()) - {0}
    assert made.log.again(sliced=True).erased_after(0).tolist() == made.erased


def test_a_version_that_was_never_comparable() -> None:
    """Nobody compares it: its record goes with it, though others are undecided."""
    log = Log()
    log.arrive(article("short", [], record=5), article("other", [1], record=6))
    log.arrive(article("short", [2], record=7))
    assert log.collection.erased_after(0).tolist() == [5]
    log.arrive(article("short", [], record=8))
    log.remove("short")
    assert log.collection.erased_after(0).tolist() == [5, 8]
    log.decide_all()
    log.settle()
    assert log.collection.erased_after(0).tolist() == [5, 8, 7]
    assert log.collection.erased_after(2).tolist() == [7]
    assert log.collection.erased_after(3).tolist() == []


def test_a_delivery_heals_a_record_that_is_lost() -> None:
    """Its record takes the place of the other, and the text is verified again; without a word, its own record goes."""
    log = Log()
    log.arrive(article("a", [1, 2], record=5), article("b", [1, 3], record=6))
    log.decide_all()
    log.verify(*drawn_results(log))
    assert log.collection.due == 0
    log.arrive(article("a", [1, 2], record=7))
    assert log.reader.reading_of(1) == (1, 5)
    assert log.collection.due == 0
    log.arrive(replaced(article("a", [1, 2], record=8), heals=True))
    assert log.reader.reading_of(1) == (1, 8)
    assert log.collection.due_now([1, 2]) == [(1, True)]
    assert log.collection.erased_after(0).tolist() == [7, 5]
    digest = log.collection.log_digest()
    log.arrive(replaced(article("a", [1, 2], record=8), heals=True))  # the same again names the same record
    assert log.collection.log_digest() == digest
    assert log.collection.erased_after(2).tolist() == []
    log.arrive(replaced(article("b", [1, 4], record=9), heals=True))  # another body: a version like any
    assert log.again().log_digest() == log.collection.log_digest() != digest
    assert log.collection.erased_after(2).tolist() == [6]


def drawn_results(log: Log) -> list[entries.LookedUp]:
    """Nothing was found of any text."""
    last = log.collection.highest_text
    return [
        entries.LookedUp(text=text, position=log.position, pairs=[], all_partners=True)
        for text in range(1, last + 1)
    ]


def test_heals_is_a_flag_of_its_own() -> None:
    """It says nothing of a kill; other flags are refused."""
    made = [
        replaced(article("a", [1]), heals=True),
        replaced(article("b", [1]), heals=True, canceled=True),
        article("c", [1]),
    ]
    read = Reader(entries.arrive(made), 1).arrived()
    assert read.status.tolist() == [2, 1, 0]
    assert read.flags.tolist() == [1, 1, 1]
    raw = bytearray(entries.arrive(made[:1]))
    fields = entries.ARRIVED.fields
    assert fields is not None
    at = 8 + fields["flags"][1]
    for bit in (2, 1 << 24, 1 << 29):
        raw[at : at + 4] = np.uint32(1 | bit).tobytes()
        refuse(Log(), bytes(raw), says="flags")
