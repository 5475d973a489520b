"""The same log is the same state, after every entry and in every process."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.oracle import families
from bench.oracle.families import VARIANTS, Operation
from dedup.model import CollectionParameters
from dedup.state import entries
from dedup.state.collection import Arrival, Collection
from dedup.state.kernels import base
from dedup.state.reading import CollectionReader
from tests.state_log import (
    DAY,
    Log,
    Recorded,
    article,
    decided,
    folded,
    replaced,
)

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


# -- replaying ---------------------------------------------------------------------------------------


class Watched(Recorded):
    """A recorded collection, and what it said after each entry."""

    def __init__(self, parameters: CollectionParameters | None = None) -> None:
        self.said: list[tuple[object, ...]] = []
        super().__init__(parameters)

    def _append(self, raw: bytes, *, collect: bool = False) -> list[Arrival]:
        found = super()._append(raw, collect=collect)
        self.said.append(said_by(self.collection))
        return found


def said_by(collection: Collection) -> tuple[object, ...]:
    """Everything that two processes can compare."""
    reader = CollectionReader(collection)
    texts = list(range(1, collection.highest_text + 1))
    return (
        collection.log_digest(),
        reader.content_digest(),
        reader.events(),
        reader.cluster_of(texts),
        [reader.resolve(text) for text in texts],
        [reader.decision(number) for number in range(1, collection.highest_article + 1)],
        (collection.articles, collection.texts, collection.edges, collection.due, collection.undecided),
        collection.waiting,
    )


@settings(max_examples=12, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(history=families.histories(), variant=st.sampled_from(sorted(VARIANTS)))
def test_a_log_folded_again_says_the_same_after_every_entry(history: list[Operation], variant: str) -> None:
    """In one go or in slices; each process draws a salt of its own, so that its tables lie otherwise."""
    parameters = VARIANTS[variant]
    made = Watched(parameters)
    try:
        for operation in history:
            if isinstance(operation, families.Remove):
                made.remove(operation.id)
            else:
                list(made.ingest((each, operation.now) for each in operation.articles))
        made.settle()
    finally:
        made.close()
    at_once, sliced = Collection(parameters), Collection(parameters)
    salts = {each.number(base.SALT) for each in (made.collection, at_once, sliced)}
    assert len(salts) == 3
    for (position, raw), said in zip(made.log, made.said, strict=True):
        at_once.apply(position, raw, collect=True)
        assert said_by(at_once) == said
        for _ in sliced.slices(position, raw):
            pass
        assert sliced.log_digest() == said[0]
    assert said_by(sliced) == made.said[-1]
    due = [text for text in range(1, at_once.highest_text + 1) if at_once.tables.texts[text]["due"]]
    assert sorted(at_once.take_due(1 << 30)[0]) == due


def test_what_is_due_is_handed_out_in_every_prefix() -> None:
    """A state that has folded a prefix hands out, one by one, what is due in it, each text once."""
    history = families.crowd(random.Random(1))
    with folded(history, families.CROWDED) as made:
        log = made.log
    fold = Collection(families.CROWDED)
    for i, (position, raw) in enumerate(log):
        fold.apply(position, raw)
        if i % 5 == 0 or i > len(log) - 8:
            again = Collection(families.CROWDED)
            for p, r in log[: i + 1]:
                again.apply(p, r)
            due = [t for t in range(1, again.highest_text + 1) if again.tables.texts[t]["due"]]
            out: list[int] = []
            whole: list[bool] = []
            while (some := again.take_due(3))[0]:
                out += some[0]
                whole += some[1]
            assert sorted(out) == due
            assert whole == [bool(again.tables.texts[t]["flags"] & base.WHOLE) for t in out]


_DIFFERENT: dict[str, Callable[[entries.Arrival], entries.Arrival]] = {
    "id": lambda a: replaced(a, id="b"),
    "content": lambda a: replaced(a, content=7),
    "body": lambda a: replaced(a, digest=b"x" * 16),
    "outlet": lambda a: replaced(a, source=9),
    "time": lambda a: replaced(a, published=DAY),
    "dated": lambda a: replaced(a, dated=False),
    "arrival": lambda a: replaced(a, arrival=2e9),
    "words": lambda a: replaced(a, words=51),
    "credits": lambda a: replaced(a, credits=4),
    "record": lambda a: replaced(a, record=2),
    "reading": lambda a: replaced(a, reading=3),
    "version": lambda a: replaced(a, version=3),
    "version time": lambda a: replaced(a, version_time=3.0),
    "agency": lambda a: replaced(a, agency=2),
    "kill": lambda a: replaced(a, canceled=True),
}


@pytest.mark.parametrize("what", list(_DIFFERENT))
def test_the_log_digest_tells_arrivals_apart(what: str) -> None:
    """Whatever an article came with is in it."""
    digests = []
    for make in (lambda a: a, _DIFFERENT[what]):
        log = Log()
        log.arrive(make(article("a", [1, 2])))
        digests.append(log.collection.log_digest())
    assert digests[0] != digests[1]


@pytest.mark.parametrize("what", ["kind", "copied", "covered", "words"])
def test_the_log_digest_tells_decisions_apart(what: str) -> None:
    """All of a decision is in it."""
    values = {"kind": 3, "copied": 1, "covered": 0.25, "words": (1, 2, 3, 5)}
    digests = []
    for changes in ({}, {what: values[what]}):
        log = Log()
        log.arrive(article("a", [1, 2]), article("b", [1, 3]))
        log.verify(decisions=[replaced_decision(decided(2), **changes)])
        digests.append(log.collection.log_digest())
    assert digests[0] != digests[1]


def replaced_decision(made: entries.Decided, **changes: object) -> entries.Decided:
    """A decision with other values."""
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    return entries.Decided(**(fields | changes))
