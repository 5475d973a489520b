"""Lists, groups, edges, carriers and counters agree with each other after any operations on a collection."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
import xxhash

from bench.oracle.fold import group_of, opening_of
from dedup.state import entries
from dedup.state.kernels import base
from tests.state_invariants import check
from tests.state_invariants import group_of as group_in
from tests.state_log import Log, article, decided, pair, result

_STEPS = 45


class Drawn:
    """A log of operations drawn by chance, and the postings of each text."""

    def __init__(self, seed: int, landmarks: int, *, window: int = 0) -> None:
        self.rng = random.Random(seed)
        self.log = Log(landmarks=landmarks, match_window_days=window)
        self.postings: dict[int, set[int]] = {}
        self._content = 0

    def article(self) -> entries.Arrival:
        """An article of few ids, bodies, outlets and days; some are kills."""
        rng = self.rng
        body = rng.randrange(40)
        of_body = random.Random(body)
        shared = {of_body.randrange(10) + 100 * (body % 3) for _ in range(of_body.randrange(1, 7))}
        return article(
            f"a{rng.randrange(40)}",
            shared | {1000 + body} if rng.random() < 0.9 else [],
            day=rng.randrange(12),
            source=rng.randrange(1, 4),
            reading=rng.randrange(3),
            version=rng.choice((None, None, 1, 2)),
            canceled=rng.random() < 0.1,
        )

    def step(self) -> None:
        """One entry more."""
        rng, log = self.rng, self.log
        kind = rng.random()
        if kind < 0.5:
            made = [self.article() for _ in range(rng.randrange(1, 6))]
            for each, found in zip(made, log.arrive(*made, owner=rng.randrange(3)), strict=True):
                if found.is_new_text:
                    self.postings[found.text] = set(each.postings.tolist())
        elif kind < 0.6:
            log.remove(*(f"a{rng.randrange(40)}" for _ in range(rng.randrange(1, 5))))
        elif kind < 0.65:
            log.append(entries.settle())
        elif kind < 0.67:
            log.append(entries.horizon(rng.randrange(log.position + 1)))
        else:
            self.verify()

    def verify(self) -> None:
        """Some of what is due, by a look-up as of now; and some decisions."""
        due = self.due()
        some = self.rng.sample(due, min(len(due), self.rng.randrange(8)))
        last = self.log.collection.highest_article
        decisions = [decided(n) for n in range(1, last + 1) if self.rng.random() < 0.5]
        self.log.verify(*self.results(some), decisions=decisions)

    def due(self) -> list[int]:
        """The texts that are due."""
        texts = self.log.collection.tables.texts
        return [text for text in self.postings if texts[text]["due"]]

    def results(self, texts: list[int]) -> list[entries.LookedUp]:
        """What comes of a look-up of some texts as of now."""
        collection = self.log.collection
        whole = [bool(collection.tables.texts[text]["flags"] & base.WHOLE) for text in texts]
        met = collection.look_up(texts, below=[not each for each in whole])
        return [
            result(text, self.log.position, *(self.found(text, o) for o in others.tolist()), everybody=all_of)
            for text, others, all_of in zip(texts, met, whole, strict=True)
        ]

    def found(self, text: int, other: int) -> entries.Pair:
        """What two texts are to each other depends on them and on what is boilerplate in them."""
        ends = min(text, other), max(text, other)
        masks = [tuple(self.log.collection.mask(end).tolist()) for end in ends]
        chosen = xxhash.xxh3_64_intdigest(repr((ends, masks)).encode())
        return pair(other, (0, 2, 3, 4, 5)[chosen % 5], words=chosen % 1000)


@pytest.mark.parametrize("landmarks", [1, 2, 3, 10])
def test_the_state_holds_together_after_every_entry(landmarks: int) -> None:
    """Whatever arrives, goes, is verified and decided, in whatever order; and the log folded again is the same."""
    for seed in range(12):
        drawn = Drawn(seed, landmarks, window=(0, 4)[seed % 2])
        for _ in range(_STEPS):
            drawn.step()
            check(drawn.log.collection, drawn.postings)
        drawn.log.decide_all()
        drawn.log.settle()
        check(drawn.log.collection, drawn.postings)
        assert drawn.log.again(sliced=bool(seed % 2)).log_digest() == drawn.log.collection.log_digest()


@pytest.mark.parametrize("landmarks", [1, 2, 3, 10])
def test_look_ups_find_the_eligible_pairs(landmarks: int) -> None:
    """Once no work waits: exactly those that share a list that is not hot, or two that one of them opens."""
    for seed in range(12):
        drawn = Drawn(100 + seed, landmarks, window=(0, 4)[seed % 2])
        for _ in range(_STEPS):
            drawn.step()
        drawn.log.decide_all()
        drawn.log.settle()
        check_look_ups(drawn)


def check_look_ups(drawn: Drawn) -> None:
    """All look-ups against brute force over the postings of the living."""
    collection, reader = drawn.log.collection, drawn.log.reader
    s, parameters = collection.tables, collection.parameters
    living = {reader.digest_of(t): t for t in drawn.postings if s.dead[t] == 0}
    members: dict[int, set[bytes]] = defaultdict(set)
    for digest, text in living.items():
        for posting in drawn.postings[text]:
            members[posting].add(digest)
    masks = {text: set(collection.mask(text).tolist()) for text in living.values()}
    groups = {
        int(s.lists[n]["posting"]): set(group_in(collection, n))
        for n in range(1, collection.number(base.LISTS) + 1)
    }
    for posting, digests in members.items():
        if posting in groups:
            expected = group_of(frozenset(digests), parameters.landmarks)
            assert groups[posting] == {living[digest] for digest in expected}
    texts = sorted(living.values())
    everybody = collection.look_up(texts)
    below = collection.look_up(texts, below=[True] * len(texts))
    for text, found, before in zip(texts, everybody, below, strict=True):
        expected_texts = [
            other for other in texts if other != text and _is_eligible(drawn, members, masks, text, other)
        ]
        assert found.tolist() == expected_texts
        assert before.tolist() == [other for other in expected_texts if other < text]


def _is_eligible(
    drawn: Drawn, members: dict[int, set[bytes]], masks: dict[int, set[int]], a: int, b: int
) -> bool:
    collection, reader = drawn.log.collection, drawn.log.reader
    parameters, rows = collection.parameters, collection.tables.texts
    window = parameters.match_window_days * 86400
    apart = max(0, rows[a]["first"] - rows[b]["last"], rows[b]["first"] - rows[a]["last"])
    if window and apart > window:
        return False
    shared = (drawn.postings[a] & drawn.postings[b]) - masks[a] - masks[b]
    hot = {posting for posting in shared if len(members[posting]) > parameters.landmarks}
    ends = {reader.digest_of(a), reader.digest_of(b)}
    opened = [p for p in hot if ends & opening_of(frozenset(members[p]), parameters.landmarks)]
    return bool(shared - hot) or len(opened) >= 2


def test_a_late_look_up_finds_whom_the_text_met() -> None:
    """Whoever came and went since: an undecided article is judged as it would have been at once."""
    for seed in range(20):
        drawn = Drawn(seed, 3)
        met: dict[tuple[int, int], list[int]] = {}
        rng = drawn.rng
        for _ in range(30):
            # one outlet an article and one day, so that nothing is boilerplate; one article an entry
            n = len(met)
            made = article(f"a{n}", {*rng.sample(range(8), 3), 1000 + n}, source=n + 1)
            (found,) = drawn.log.arrive(made, collect=True)
            assert found.met is not None
            met[found.article, found.text] = found.met.tolist()
            if rng.random() < 0.3:
                drawn.log.remove(f"a{rng.randrange(n + 1)}")
            drawn.log.settle()
        for (number, text), then in met.items():
            assert drawn.log.collection.look_up_late(number, text).tolist() == then
        check(drawn.log.collection)


@pytest.mark.parametrize("landmarks", [2, 3, 10])
def test_results_that_come_late_or_twice_or_not_at_all(landmarks: int) -> None:
    """In whatever order: once nothing is due, the edges are those of the eligible pairs under present masks."""
    for seed in range(12):
        drawn = Drawn(200 + seed, landmarks, window=(0, 4)[seed % 2])
        rng, log = drawn.rng, drawn.log
        flying: list[entries.LookedUp] = []
        for _ in range(60):
            drawn.step()
            due = drawn.due()
            flying += drawn.results(rng.sample(due, min(len(due), 4)))
            rng.shuffle(flying)
            if rng.random() < 0.5:
                log.verify(*flying[: rng.randrange(4)])
                flying = flying[rng.randrange(3) :]
        log.decide_all()
        while drawn.due() or log.collection.waiting:
            log.verify(*drawn.results(drawn.due()[:5]))
            log.verify(*flying[:2])
            flying = flying[2:]
            log.append(entries.settle())
        log.verify(*flying)
        check(log.collection, drawn.postings)
        check_edges_are_what_is_found(drawn)


def check_edges_are_what_is_found(drawn: Drawn) -> None:
    """Every eligible pair has the edge that is found now, if one is; no other pair has one."""
    collection, reader = drawn.log.collection, drawn.log.reader
    texts = [text for text in drawn.postings if collection.tables.dead[text] == 0]
    expected = {}
    for text, others in zip(texts, collection.look_up(texts, below=[True] * len(texts)), strict=True):
        for other in others.tolist():
            found = drawn.found(text, other)
            if found.kind:
                expected[other, text] = found.kind, found.unquoted
    edges = {
        (min(int(e["a"]), int(e["b"])), max(int(e["a"]), int(e["b"]))): (int(e["kind"]), int(e["unquoted"]))
        for e in reader.edges()
    }
    assert edges == expected
