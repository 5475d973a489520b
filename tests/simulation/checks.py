"""What must hold when all is settled, whatever befell the servers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from bench.oracle.families import Arrive, Operation, Remove
from dedup.core.prepare import prepare_each
from dedup.live.open_collection import OpenCollection
from dedup.model import Article, CollectionParameters, Decision, DecisionKind, Outcome
from dedup.state import entries
from dedup.state.arrivals import arrival_of
from dedup.state.collection import Collection
from dedup.state.entries import CANCELED_FLAG, Kind
from dedup.state.entry_reading import Arrived, Reader
from dedup.state.reading import CollectionReader
from dedup.store import keys, payload
from dedup.store.codec import Codec
from dedup.store.log import LogEntry, entry_of
from dedup.store.pages import Records, _payload, place_of
from tests.simulation.servers import NAME, Simulation
from tests.simulation.store import World
from tests.state_log import folded

Key = tuple[Any, ...]
_NOBODY: Final = object()


def log_of(world: World, opened: OpenCollection) -> list[LogEntry]:
    """All entries of the log."""
    found = world.run(("XRANGE", opened.log.key, "0-0", "+"))
    return [entry_of(raw_id, fields) for raw_id, fields in found]


def _keys_of(a: Arrived) -> list[Key]:
    names = a.names.tobytes()
    return [
        (
            names[a.names_at[i] : a.names_at[i + 1]].decode(),
            int(a.content[i]),
            int(a.version[i]),
            float(a.version_time[i]).hex(),
            bool(a.flags[i] & CANCELED_FLAG),
        )
        for i in range(len(a.status))
    ]


def key_of(article: Article, parameters: CollectionParameters) -> Key:
    """What an entry says of an article, but for when it came."""
    (prepared,) = prepare_each([article], parameters)
    raw = entries.arrive([arrival_of(prepared, arrived=0.0, record=0, parameters=parameters)])
    return _keys_of(Reader(raw, 1).arrived())[0]


class Told:
    """What a log tells, with the articles that clients sent."""

    def __init__(
        self, log: Sequence[LogEntry], articles: Sequence[Article], parameters: CollectionParameters
    ) -> None:
        known = {key_of(article, parameters): article for article in articles}
        self.history: list[Operation] = []
        self.arrived: Counter[Key] = Counter()
        self.removed: set[str] = set()
        self.state = Collection(parameters)
        self.reader = CollectionReader(self.state)
        decisions: dict[int, Decision] = {}
        before: tuple[int, ...] = (0, 0)
        for position, entry in enumerate(log, 1):
            assert (entry.position, tuple(entry.before)) == (position, before), "the chain is broken"
            before = tuple(entry.nonce)
            read = Reader(entry.raw, entry.position)
            if read.kind is Kind.ARRIVE:
                arrived = read.arrived()
                for key, moment in zip(_keys_of(arrived), arrived.arrival.tolist(), strict=True):
                    self.arrived[key] += 1
                    self.history.append(Arrive((known[key],), moment))
            elif read.kind is Kind.REMOVE:
                removed = read.removed()
                names, at = removed.names.tobytes(), removed.names_at.tolist()
                for first, last in pairwise(at):
                    self.history.append(Remove(names[first:last].decode()))
                    self.removed.add(names[first:last].decode())
            self.state.apply(entry.position, entry.raw, owner=entry.nonce.incarnation)
            for number in range(1, self.state.highest_article + 1):
                decision = self.reader.decision(number)
                assert decisions.get(number, decision) == decision, "a decision changed"
                if decision is not None:
                    decisions[number] = decision
        self.decisions = decisions
        #: Ids with contents that arrived.
        self.contents = {key[:2] for key in self.arrived}


def check(
    simulation: Simulation, opened: Sequence[OpenCollection], articles: Sequence[Article], *, lossy: bool
) -> Told:
    """All that must hold; ``lossy``: what clients were told may be lost."""
    world, parameters = simulation.world, opened[0].parameters
    assert not simulation.complaints(), simulation.complaints()
    assert len({each.registered.epoch for each in opened}) == 1
    log = log_of(world, opened[0])
    told = Told(log, articles, parameters)
    assert {each.follower.position for each in opened} == {len(log)}
    assert {each.follower.collection.log_digest() for each in opened} == {told.state.log_digest()}
    assert {each.follower.reader.content_digest() for each in opened} == {told.reader.content_digest()}
    with folded(told.history, parameters) as made:
        assert told.reader.content_digest() == made.reader.content_digest()
        _check_decisions(told, made.reader)
    _check_answers(simulation, told, parameters, lossy=lossy)
    _check_records(world, opened[0], told, articles)
    return told


def _check_answers(
    simulation: Simulation, told: Told, parameters: CollectionParameters, *, lossy: bool
) -> None:
    """What was acknowledged is in the log, and decided as it was told."""
    for answer in simulation.answers:
        if lossy and answer.asked <= simulation.lost_at:
            continue
        if isinstance(answer.article, str):
            continue
        result = answer.result
        assert result is not None
        key = key_of(answer.article, parameters)
        if result.outcome is Outcome.UNCHANGED:
            assert key[:2] in told.contents, f"{answer.article.id} was unchanged and is lost"
        elif result.outcome is not Outcome.STALE_VERSION:
            assert told.arrived[key], f"{answer.article.id} was acknowledged and lost"
        if result.decision is not None:
            assert told.decisions[result.number] == result.decision
            assert told.reader.id_of(result.number) == result.id


def _check_decisions(told: Told, plain: CollectionReader) -> None:
    """Of articles with one text the first is new at most; where nothing is boilerplate all is decided as at once."""
    altered = {o.id for o in told.history if isinstance(o, Remove)}
    first: dict[str, bytes] = {}
    groups: dict[bytes, list[str]] = defaultdict(list)
    for operation in told.history:
        if isinstance(operation, Remove):
            continue
        for article in operation.articles:
            body = article.body.encode()
            if first.setdefault(article.id, body) != body:
                altered.add(article.id)
            elif article.id not in groups[body]:
                groups[body].append(article.id)
            if article.pubstatus.name == "CANCELED":
                altered.add(article.id)
    for ids in groups.values():
        if altered.intersection(ids):
            continue
        numbers = [told.reader.number_of(each) for each in ids]
        kinds = [told.decisions[n].kind for n in numbers if told.reader.text_of_article(n)]
        new = [place for place, kind in enumerate(kinds) if kind is DecisionKind.NEW]
        assert new in ([], [0]), f"{ids} are copies, and new are {new}"
    del plain


def _check_records(world: World, opened: OpenCollection, told: Told, articles: Sequence[Article]) -> None:
    """Every record of an article that stands is there and is its own; nothing else is."""
    name, epoch = NAME, opened.registered.epoch
    contents = {
        (key[0], key[1]): article for article in articles for key in [key_of(article, opened.parameters)]
    }
    named = set()
    for number in told.reader.standing().tolist():
        article = told.reader.article(number)
        assert article is not None
        if not article.record:
            continue
        page, at, size = place_of(article.record)
        named.add(article.record)
        held = world.keys.get(keys.page(name, epoch, page).encode(), b"")
        assert isinstance(held, bytes)
        raw = _payload(article.record, held[at : at + size] if size else held)
        assert raw, f"the record of {article.id} is lost"
        content = int(told.reader._tables.rows["content"][told.reader._tables.articles["row"][number]])
        kept = payload.decode(raw, Codec())
        assert not kept.body or kept.body == contents[article.id, content].body, f"the record of {article.id}"
    found = set()
    for key, value in world.keys.items():
        prefix = keys.page(name, "", 0).encode()[: -len(b":0")]
        if key.startswith(prefix):
            assert isinstance(value, bytes)
            of_epoch, number_of_page = key.decode().split(":")[-2:]
            assert of_epoch == epoch, f"page {key!r} is of a deleted collection"
            for record in Records.numbers(int(number_of_page), value):
                _, at, size = place_of(record)
                if any(value[at : at + size]):
                    found.add(record)
    if found != named and ORPHANS:
        raise Orphans(f"records that nobody names: {sorted(found - named)}")


ORPHANS = False


class Orphans(AssertionError):
    """Records are left that no article names."""


_ = np
