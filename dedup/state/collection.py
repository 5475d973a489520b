"""One collection: the fold of its log.

``apply`` takes an entry and its position, checks all of it, and folds it in slices of a few milliseconds. It knows no
clock, no chance and no order of a hash table, so whoever has folded the same entries has the same state:
:meth:`Collection.log_digest` says so. The kernels of :mod:`dedup.state.kernels` do the work, on arrays.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.core.clustering import DEFAULT_SETTLING
from dedup.model import CollectionParameters
from dedup.state.duties import Duties
from dedup.state.entries import InvalidEntry, Kind
from dedup.state.entry_reading import Arrived, Reader, Removed, Verified
from dedup.state.kernels import (
    arriving,
    base,
    components,
    verifying,
    working,
)
from dedup.state.look_ups import LookUps
from dedup.state.word_pairs import rows_of_arrivals

#: Work that an entry takes on of what those before it left, in texts, edges or list members looked at.
WORK_OF_AN_ENTRY: Final = 2000
#: Work of one slice.
_SLICE: Final = 4000
_SPARE: Final = 64


class Rules(NamedTuple):
    """The rules of clustering as the kernels take them."""

    same_source_share: float
    support: int
    hub_share: float
    thin_share: float
    covered: float
    story_span: float


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What became of one article of an entry.

    ``outcome`` as in :mod:`dedup.state.kernels.arriving`; ``met`` are the texts that its text, if that is new, might be
    compared with when it came, ascending; None where that was not asked, or they were too many to be listed at once.
    """

    outcome: int
    article: int
    text: int
    is_new_text: bool
    previous_text: int
    met: NDArray[np.int64] | None


class Collection(LookUps, Duties):
    """The state of a collection after the entries folded so far."""

    def __init__(self, parameters: CollectionParameters) -> None:
        super().__init__(parameters)
        s = DEFAULT_SETTLING
        self.rules = Rules(
            same_source_share=s.same_source_share,
            support=s.support,
            hub_share=s.hub_share,
            thin_share=s.thin_share,
            covered=s.covered,
            story_span=parameters.story_span_days * 86400.0,
        )

    # -- folding ---------------------------------------------------------------------------------------

    def apply(self, position: int, raw: bytes, *, owner: int = 0, collect: bool = False) -> list[Arrival]:
        """Fold an entry at once; see :meth:`slices`."""
        steps = self.slices(position, raw, owner=owner, collect=collect)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: list[Arrival] = end.value
                return found

    def slices(
        self, position: int, raw: bytes, *, owner: int = 0, collect: bool = False
    ) -> Generator[None, None, list[Arrival]]:
        """Fold an entry, a slice between two yields; in between the state is not to be read.

        Args:
            position: where the entry stands in the log, after all that were folded.
            raw: its bytes.
            owner: incarnation of the server that wrote it; work that the entry causes is that server's.
            collect: whether what its new texts met is wanted.

        Returns:
            For an *arrive* entry what became of each article, else nothing.

        Raises:
            InvalidEntry: it cannot be folded; nothing of it was.
        """
        state = self._state
        read = Reader(raw, position)
        if position <= self.position:
            raise read.error(f"does not come after {self.position}, which was folded last")
        self._check_incarnation(owner, read)
        out: list[Arrival] = []
        if read.kind is Kind.ARRIVE:
            arrived = read.arrived()
            if self._pairs is None and len(arrived.pairs):
                raise read.error("has word pairs, which its collection was not made for")
            self._begin(position, owner)
            out = yield from self._arrive(arrived, collect)
        elif read.kind is Kind.VERIFIED:
            verified = self._checked(read.verified(), read)
            self._begin(position, owner)
            yield from self._verify(verified)
        elif read.kind is Kind.REMOVE:
            removed = read.removed()
            self._begin(position, owner)
            yield from self._remove(removed)
        elif read.kind is Kind.HORIZON:
            until = read.number()
            if until > position:
                raise read.error(f"sets the horizon at {until}, which has not come")
            self._begin(position, owner)
            state.reserve_work(8, 0)
            self._queue_horizon(until)
        elif read.kind is Kind.RETIRED:
            retired = read.number()
            self._check_incarnation(retired, read)
            self._begin(position, owner)
            self._retire(retired, owner, position)
        else:
            read.end()
            self._begin(position, owner)
        yield from self._finish(forced=read.kind is Kind.SETTLE)
        state.move_tables(len(out))
        return out

    def _begin(self, position: int, owner: int) -> None:
        self._state.meta[base.POSITION] = position
        self._state.meta[base.OWNER] = self._number_of(owner)

    def _arrive(self, e: Arrived, collect: bool) -> Generator[None, None, list[Arrival]]:
        state, count, rows = self._state, len(e.status), self._state.number(base.ROWS)
        self._state.reserve_arrivals(e)
        out = np.zeros((count, 5), np.int64)
        met_at = np.zeros(count + 1, np.int64)
        largest = int(np.diff(e.postings_at).max(initial=0))
        keys = np.empty((2, largest), np.uint64)
        i = 0
        if collect and len(self._met) < 64 * count:
            self._met = np.empty(64 * count, np.int64)
        while i < count:
            at = arriving.arrive(state.tables, e, i, _SLICE, collect, out, self._met, met_at, keys)
            if at < 0:
                self._state.reserve_arenas()
                at = -1 - at
            i = at
            yield
        if self._pairs is not None:
            yield from self._pairs.add(state, e, rows_of_arrivals(out, rows))
        self._note_undecided(out[:, 1])
        found = []
        ends = met_at.tolist()
        for j, (outcome, article, text, fresh, previous) in enumerate(out.tolist()):
            met = self._met[ends[j] : ends[j + 1]].copy() if collect and fresh == 1 else None
            found.append(
                Arrival(
                    outcome=outcome,
                    article=article,
                    text=text,
                    is_new_text=fresh > 0,
                    previous_text=previous,
                    met=met,
                )
            )
        return found

    def _checked(self, e: Verified, read: Reader) -> Verified:
        """Numbers of an entry exist, and nobody is spoken of before he came."""
        state, last = self._state, self.highest_text
        texts, partners = e.texts, e.partners
        if texts.size and not (int(texts.min()) > 0 and int(texts.max()) <= last):
            raise read.error(f"names a text that does not exist; the last is {last}")
        if partners.size and not (int(partners.min()) > 0 and int(partners.max()) <= last):
            raise read.error(f"names a partner that does not exist; the last is {last}")
        if texts.size and int(e.looked_up.max()) > self.position:
            raise read.error(f"looked up at {int(e.looked_up.max())}, after the last entry")
        arrived = state.tables.texts["arrived"]
        of_pair = np.repeat(np.arange(len(texts)), np.diff(e.partners_at))
        if (arrived[texts] > e.looked_up).any() or (arrived[partners] > e.looked_up[of_pair]).any():
            raise read.error("speaks of a text that had not come when it looked up")
        if (partners == texts[of_pair]).any():
            raise read.error("compares a text with itself")
        if partners.size and int(e.edges["kind"].max()) > 5:
            raise read.error("has a match of an unknown kind")
        shares = [e.edges[name] for name in ("a_containment", "b_containment", "min_coverage")]
        if not all(bool(((x >= 0) & (x <= 1)).all()) for x in shares):
            raise read.error("has a share that is not between 0 and 1")
        d, articles = e.decisions, state.number(base.ARTICLES)
        if d.size and not (int(d["article"].min()) > 0 and int(d["article"].max()) <= articles):
            raise read.error(f"decides about an article that does not exist; the last is {articles}")
        if d.size and not ((d["copied"] < d["article"]) & (d["kind"] >= 1) & (d["kind"] <= 5)).all():
            raise read.error("has a decision that is none, or copies a later article")
        if not ((d["covered"] >= 0) & (d["covered"] <= 1)).all():
            raise read.error("has a share covered that is not between 0 and 1")
        return e

    def _verify(self, e: Verified) -> Generator[None]:
        state = self._state
        state.reserve_work(len(e.texts), 0)
        state.reserve({"edges": state.number(base.EDGES) + len(e.partners) + 1})
        i = 0
        while i < len(e.texts):
            i = verifying.verify(state.tables, e, i, _SLICE)
            yield
        if len(e.decisions):
            articles = np.ascontiguousarray(e.decisions["article"])
            verifying.decide(state.tables, articles, e.decisions)
            for article in articles.tolist():
                self._undecided.pop(article, None)

    def _remove(self, e: Removed) -> Generator[None]:
        """Kills and deletions; one that is older than the version that stands is passed over."""
        state, count = self._state, len(e.version)
        state.reserve({"names": state.number(base.NAME_BYTES) + len(e.names)})
        state.reserve_tables(0, count)
        for i in range(count):
            state.reserve_work(1, 0)
            while not working.remove(state.tables, e, i):
                state.reserve_arenas()
            yield

    def _queue_horizon(self, until: int) -> None:
        state = self._state
        item = state.tables.work[state.number(base.WORK_TAIL)]
        item["kind"], item["what"], item["source"], item["position"], item["cursor"] = (
            base.EXPIRE,
            0,
            0,
            until,
            0,
        )
        state.meta[base.WORK_TAIL] += 1

    def _finish(self, *, forced: bool) -> Generator[None]:
        """The end of an entry: a part of the work that waits, then events."""
        state = self._state
        budget = WORK_OF_AN_ENTRY * (8 if forced else 1)
        while budget > 0 and self.waiting:
            state.reserve_work(WORK_OF_AN_ENTRY // 10, 0)
            left = working.work_off(state.tables, min(budget, WORK_OF_AN_ENTRY))
            while state.number(base.WANTING):
                state.reserve_arenas()
                left = working.work_off(state.tables, left)
            yield
            if left > 0:
                break
            budget -= WORK_OF_AN_ENTRY
        if self._pairs is not None:
            yield from self._pairs.remove(state)
        self._state.tidy_queues()
        if self._pairs is not None:
            self._pairs.tidied(state)
        # while edges are still being cut, a large component would be told again and again
        forced = forced and state.number(base.WORK_HEAD) == state.number(base.WORK_TAIL)
        woken = components.wake_late(state.tables, forced)
        while state.number(base.DIRTY_COUNT):
            state.reserve({"events": state.number(base.EVENTS) + 6 * self.highest_text + _SPARE})
            components.tell_changes(state.tables, woken or forced, _SLICE, self.rules)
            yield


__all__ = ["Arrival", "Collection", "InvalidEntry"]
