"""Settling: dirty components become clusters and stories.

A settler takes the lease of a collection for one pass. It takes dirty texts, follows the edges that can join or
link to the whole component, runs :func:`dedup.core.clustering.settle`, gives the groups their stable ids and writes
what changed, and gives the lease back, in one script. Members of the clusters and stories it meets belong to the
component too, so that what falls apart is seen. An entry that became dirty again meanwhile stays in the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from dedup.core.cluster_summary import (
    ClusterRecord,
    Number,
    StoryRecord,
    assign,
    describe,
    describe_story,
    representative,
)
from dedup.core.clustering import EDGES, Settlement, SettlingRules, linking, settle
from dedup.errors import StoreUnavailable
from dedup.live.worker import Worker
from dedup.model import ArticleNumber, ClusterChange, TextNumber
from dedup.observability import stage
from dedup.store.summaries import Settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from dedup.core.clustering import Edges, TextNode
    from dedup.store.records import TextState
    from dedup.store.redis_index import RedisIndex

#: Dirty texts taken up in one pass.
BATCH: Final = 2000
#: How long the lease of a settler that died on the way is honored.
LEASE_MILLISECONDS: Final = 15_000
#: Seconds until a settler asks again for a lease that another server holds.
CONTENDED: Final = 0.005
#: Edges from which a component is settled beside the event loop.
LARGE: Final = 500
#: A pass over more texts and edges than this is followed by a rest, so that one huge story cannot hold up ingest.
LIGHT: Final = 4000
#: Seconds of rest for each of them, about twice what it takes to settle it.
REST: Final = 20e-6


@dataclass(slots=True)
class Component:
    """What one pass works on."""

    states: dict[TextNumber, TextState] = field(default_factory=dict)
    edges: Edges = field(default_factory=lambda: np.empty(0, EDGES))
    clusters: dict[TextNumber, ClusterRecord] = field(default_factory=dict)
    stories: dict[int, StoryRecord] = field(default_factory=dict)
    gone: set[TextNumber] = field(default_factory=set)


@dataclass(slots=True)
class Changes(Settled):
    """What one pass writes, and what it tells those that wait."""

    events: list[ClusterChange] = field(default_factory=list)


@dataclass(slots=True)
class Waiter:
    """Somebody who waits until none of ``texts`` is dirty; ``events`` collects ids of clusters that changed."""

    texts: set[TextNumber]
    events: list[ClusterChange]
    future: asyncio.Future[list[ClusterChange]]


class Settler:
    """Settles one collection; :meth:`settled` waits for given texts."""

    def __init__(self, index: RedisIndex, rules: SettlingRules) -> None:
        self._index = index
        self._summaries = index.summaries
        self._rules = rules
        self._token = secrets.token_hex(8)
        self._waiting: list[Waiter] = []
        self._weight = 0  # texts and edges of the last pass
        self._loop = Worker("settling", index.collection, self._work)

    def start(self) -> None:
        """Settle in the background until :meth:`stop`."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop; what is dirty stays in the store, and the lease, if stopped within a pass, is given back."""
        await self._loop.stop()
        with contextlib.suppress(StoreUnavailable):
            await self._summaries.return_lease(self._token)

    def wake(self) -> None:
        """Something became dirty."""
        self._loop.wake()

    async def settled(self, texts: Iterable[TextNumber], seconds: float) -> list[ClusterChange] | None:
        """Wait until none of ``texts`` is dirty; cluster ids that changed meanwhile, or None after ``seconds``."""
        waiter = Waiter(set(texts), [], asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._loop.wake()
        try:
            async with asyncio.timeout(seconds):
                return await waiter.future
        except TimeoutError:
            return None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    async def _work(self) -> float | None:
        self._weight = 0
        with stage("settle"):
            rest = await self._pass()
        return REST * self._weight if self._weight > LIGHT else rest

    async def _pass(self) -> float | None:
        """One pass; the rest before the next one, None where nothing is left to do."""
        waiters = list(self._waiting)
        dirty = await self._index.peek("dirty", BATCH)
        if dirty:
            if not await self._summaries.take_lease(self._token, LEASE_MILLISECONDS):
                return CONTENDED if waiters else None
            component = await self._gather([text for text, _ in dirty])
            self._weight = len(component.states) + len(component.edges)
            changes = await self._settle(component)
            if not await self._summaries.write(self._token, changes, dirty):
                return CONTENDED
            for waiter in self._waiting:
                waiter.events.extend(changes.events)
        left = {text for text, _ in await self._index.peek("dirty", BATCH)} if dirty and waiters else set()
        for waiter in waiters:
            if not waiter.texts & left and not waiter.future.done():
                waiter.future.set_result(waiter.events)
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
        return 0.0 if left or len(dirty) == BATCH else None

    # -- reading -------------------------------------------------------------------------------------

    async def _gather(self, seeds: list[TextNumber]) -> Component:
        found = Component()
        frontier = set(seeds)
        parts = [found.edges]
        known: dict[TextNumber, TextState] = {}  # read in this pass: who changes meanwhile is dirty again
        while frontier:
            known |= await self._index.texts(sorted(frontier - known.keys()), carriers=True)
            states = {t: known[t] for t in sorted(frontier) if t in known and not known[t].dead}
            read = np.fromiter(found.states, np.uint32)  # their edges are known already
            found.states |= states
            found.gone |= frontier - states.keys()
            edges = await self._index.edges_once(list(states))
            edges = edges[~(np.isin(edges["a"], read) | np.isin(edges["b"], read))]
            beside = await self._beside(found, states.values())
            ahead = {*edges["a"].tolist(), *edges["b"].tolist(), *beside}
            known |= await self._index.texts(sorted(ahead - known.keys() - found.gone), carriers=True)
            alive = {t: state.node for t, state in known.items() if not state.dead}
            edges = _between(alive, edges)
            edges = edges[linking(alive, edges, self._rules)]
            parts.append(edges)
            following = {*edges["a"].tolist(), *edges["b"].tolist(), *beside}
            frontier = following - found.states.keys() - found.gone
        # where an end died while the component was read, whoever it left is dirty
        found.edges = _between(found.states, np.concatenate(parts))
        return found

    async def _beside(self, found: Component, states: Iterable[TextState]) -> set[TextNumber]:
        """Read the clusters and stories of texts that were not met before; all texts in them."""
        beside: set[TextNumber] = set()
        wanted = {s.cluster for s in states if s.cluster} - found.clusters.keys()
        stories: set[int] = set()
        while wanted:
            records = await self._summaries.clusters(wanted)
            found.clusters.update(records)
            wanted = set()
            for record in records.values():
                beside.update(record.texts)
                if record.story and record.story not in found.stories:
                    stories.add(record.story)
            fresh = await self._summaries.stories(stories - found.stories.keys())
            found.stories.update(fresh)
            for story in fresh.values():
                wanted |= set(story.clusters) - found.clusters.keys()
        return beside

    # -- deciding ------------------------------------------------------------------------------------

    async def _settle(self, component: Component) -> Changes:
        nodes = {t: s.node for t, s in component.states.items()}
        if len(component.edges) > LARGE:
            settlement = await asyncio.to_thread(settle, nodes, component.edges, self._rules)
        else:
            settlement = settle(nodes, component.edges, self._rules)
        changes = Changes()
        old = {t: s.cluster or t for t, s in component.states.items()}
        kept, moved = assign(settlement.clusters, old)
        ids = await _numbered(kept, self._summaries.new_clusters)
        stories = await self._stories(component, settlement, changes)
        linked: dict[int, set[TextNumber]] = {}
        for x, y in settlement.linked:
            linked.setdefault(x, set()).add(ids[y])
            linked.setdefault(y, set()).add(ids[x])
        names = await self._names_of_ties(settlement, nodes)
        made: dict[TextNumber, ClusterRecord] = {}
        for index, members in enumerate(settlement.clusters):
            group = [nodes[t] for t in members]
            before = component.clusters.get(ids[index])
            record = describe(
                group, before.revision if before else 1, stories.get(index, 0), linked.get(index, ()), names
            )
            alone = record.size == 1 and not record.story and not record.linked
            if before is None and alone and ids[index] == members[0]:
                continue
            if record != before:
                if before is not None:
                    record.revision += 1
                changes.clusters.append((ids[index], record))
            made[ids[index]] = record
            changes.texts += [(t, ids[index]) for t in members if component.states[t].cluster != ids[index]]
        self._retire(
            component, set(ids), moved, old, dict(zip(ids, settlement.clusters, strict=True)), changes
        )
        await self._write_stories(component, settlement, stories, ids, made, nodes, changes)
        return changes

    async def _names_of_ties(
        self, settlement: Settlement, nodes: dict[TextNumber, TextNode]
    ) -> dict[ArticleNumber, str]:
        tied: set[ArticleNumber] = set()
        for members in settlement.clusters:
            choice = representative([nodes[t] for t in members])
            if len(choice.candidates) > 1:
                tied |= {c.number for c in choice.candidates}
        return await self._index.ids(sorted(tied)) if tied else {}

    def _retire(
        self,
        component: Component,
        used: set[TextNumber],
        moved: dict[TextNumber, TextNumber],
        old: dict[TextNumber, TextNumber],
        members: dict[TextNumber, tuple[TextNumber, ...]],
        changes: Changes,
    ) -> None:
        """Ids no longer used: those that merged resolve to where they went, those without texts end."""
        where = {text: number for number, texts in members.items() for text in texts}
        by_old: dict[TextNumber, set[TextNumber]] = {}
        for text, number in old.items():
            by_old.setdefault(number, set()).add(where[text])
        for number in sorted(by_old):
            target = moved.get(number)
            if number not in used and target is None:
                target = min(by_old[number])
            if target is not None and number != target:
                changes.events.append(ClusterChange("merged", f"c{number}", f"c{target}"))
                record = component.clusters.get(number)
                if record is not None:
                    record.merged_into = target
                    changes.merged_clusters.append((number, record))
            kept = target if target is not None else number
            changes.events += [
                ClusterChange("split", f"c{number}", f"c{part}")
                for part in sorted(by_old[number])
                if part != kept
            ]
        for number in component.clusters:
            if number not in by_old:
                changes.ended_clusters.append(number)

    async def _stories(
        self, component: Component, settlement: Settlement, changes: Changes
    ) -> dict[int, int]:
        """The story of each cluster index, and the stories that ended."""
        old = {}
        for text, state in component.states.items():
            record = component.clusters.get(state.cluster) if state.cluster else None
            if record is not None and record.story:
                old[text] = record.story
        groups = [
            sorted(text for index in story for text in settlement.clusters[index])
            for story in settlement.stories
        ]
        kept, moved = assign(groups, old)
        ids = await _numbered(kept, self._summaries.new_stories)
        for number, record_ in component.stories.items():
            if number in moved:
                record_.merged_into = moved[number]
                changes.merged_stories.append((number, record_))
            elif number not in ids:
                changes.ended_stories.append(number)
        return {
            index: number for number, story in zip(ids, settlement.stories, strict=True) for index in story
        }

    async def _write_stories(
        self,
        component: Component,
        settlement: Settlement,
        stories: dict[int, int],
        ids: list[TextNumber],
        made: dict[TextNumber, ClusterRecord],
        nodes: dict[TextNumber, TextNode],
        changes: Changes,
    ) -> None:
        for story in settlement.stories:
            number = stories[story[0]]
            parts = [
                (ids[index], [nodes[t] for t in settlement.clusters[index]], made[ids[index]].representative)
                for index in story
            ]
            before = component.stories.get(number)
            record = describe_story(parts, before.revision if before else 1)
            if record != before:
                if before is not None:
                    record.revision += 1
                changes.stories.append((number, record))


async def _numbered(
    ids: Sequence[Number | None], new: Callable[[int], Awaitable[Sequence[Number]]]
) -> list[Number]:
    """Fresh numbers where there is none."""
    wanted = sum(number is None for number in ids)
    fresh = iter(await new(wanted) if wanted else ())
    return [next(fresh) if number is None else number for number in ids]


def _between(texts: Iterable[TextNumber], edges: Edges) -> Edges:
    """The edges both ends of which are among ``texts``."""
    wanted = np.fromiter(texts, np.uint32)
    kept: Edges = edges[np.isin(edges["a"], wanted) & np.isin(edges["b"], wanted)]
    return kept
