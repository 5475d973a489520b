"""Servers of the real code, clients that try again, and whatever befalls them.

Nothing in a simulation depends on the machine: time is virtual, chance is drawn from one seed, threads are none. So a
simulation with the same arguments is the same to the last entry.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import structlog

from bench.oracle.content import DAY
from bench.oracle.families import START, Arrive, Operation, Remove
from dedup import live
from dedup.config import load_settings
from dedup.errors import AlreadyExists, DedupError, LimitExceeded, NotFound, StoreUnavailable
from dedup.live import Pipeline, collections, follower, incarnation, ingest, recording
from dedup.live.follower import Follower
from dedup.live.open_collection import OpenCollection
from dedup.model import Article, CollectionParameters, IngestResult
from dedup.store import registry
from tests.simulation.store import Fate, View, World
from tests.simulation.virtual_time import Inline

NAME: Final = "news"
#: Seconds without a sign of life after which a server is taken for dead.
RECOVERY_SECONDS: Final = 2
#: Seconds after which a client asks another server.
DEADLINE: Final = 5.0
_OK: Final = Fate()
#: Lines of a server's log that say that something went wrong which nobody expects.
_UNEXPECTED: Final = frozenset({
    "unfinished_work_failed",
    "log_cannot_be_folded",
    "collection_cannot_be_read",
    "log_cannot_be_followed",
})  # fmt: skip


class Event(tuple[int, str, tuple[Any, ...]]):
    """Something that befalls the servers: with which exchange it does, what, and the rest."""

    __slots__ = ()


@dataclass(slots=True)
class Answer:
    """What a client was told: the article or the id to delete, the answer, and when it was asked for."""

    article: Article | str
    result: IngestResult | None
    asked: float


class Clock:
    """Stands for the module ``time``."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.monotonic = now

    def time(self) -> float:
        """Unix seconds."""
        return START + 5 * DAY + self.monotonic()

    @staticmethod
    def perf_counter() -> float:
        """It takes no time to compute."""
        return 0.0


class Secrets:
    """Stands for the module ``secrets``."""

    def __init__(self, rng: random.Random) -> None:
        self.randbits = rng.getrandbits
        self._rng = rng

    def token_hex(self, size: int) -> str:
        """Random digits."""
        return f"{self._rng.getrandbits(8 * size):0{2 * size}x}"


class Server:
    """One server on a view of the world."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        self._simulation = simulation
        self.number = number
        self.view = View(simulation.world, self._fate)
        self.is_dead = False
        self.died = asyncio.Event()
        self.cut_until = 0.0
        self.slow_until = 0.0
        #: What becomes of the next exchanges of a kind, for cases written by hand.
        self.next_fates: dict[str, list[Fate]] = {}
        self.pipeline: Pipeline | None = None

    def _fate(self, kind: str) -> Fate:
        planned = self.next_fates.get(kind)
        if planned:
            return planned.pop(0)
        return self._simulation.fate(self, kind)

    async def start(self) -> None:
        """Come up, as ``dedup serve`` does."""
        settings = load_settings(
            store="redis://simulated", recovery_seconds=RECOVERY_SECONDS, settle_wait_milliseconds=100
        )
        while True:
            live.Store = lambda *_, **__: self.view  # type: ignore[attr-defined,assignment]
            try:
                self.pipeline = await Pipeline.open(settings)
            except StoreUnavailable:
                await asyncio.sleep(0.2)
            else:
                return

    @property
    def is_up(self) -> bool:
        """Whether it takes calls."""
        return self.pipeline is not None and not self.is_dead

    @property
    def running(self) -> Pipeline:
        """What takes its calls."""
        assert self.pipeline is not None
        return self.pipeline

    def crash(self) -> None:
        """Die: nothing more comes of it, but what it sent before may arrive."""
        self.is_dead = True
        self.view.freeze()
        self.died.set()

    async def opened(self) -> OpenCollection | None:
        """The collection as it is open in it."""
        return await self.running._collections.find(NAME)


@dataclass
class Simulation:
    """Servers on one world.

    Args:
        seed: of all chance.
        parameters: of the collection.
        trouble: the share of exchanges that are disturbed.
        plan: what befalls the servers, by the number of the exchange.
        slices: whether the fold lets others run at every chance.
    """

    seed: int = 0
    parameters: CollectionParameters = field(default_factory=CollectionParameters)
    trouble: float = 0.0
    plan: Sequence[tuple[int, str, tuple[Any, ...]]] = ()
    slices: bool = False
    block: int = 4

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = Clock(lambda: asyncio.get_running_loop().time())
        self.world = World(self.clock.monotonic)
        self.servers: list[Server] = []
        self.exchanges = 0
        self.is_calm = True
        self.answers: list[Answer] = []
        self.lost_at = -1.0
        #: How often something happened.
        self.seen: Counter[str] = Counter()
        self._backup: Any = None
        self._left = sorted(self.plan, key=lambda event: event[0])
        self._tasks: set[asyncio.Task[None]] = set()
        self.logged: list[Any] = []

    # -- running -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """The real code without its clocks, chance, threads and log lines."""
        secret = Secrets(random.Random(self.seed + 1))
        with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as self.logged:
            patch.setattr(live, "Store", None)
            patch.setattr(live, "ThreadPoolExecutor", Inline)
            patch.setattr(live, "warm_up", lambda: None)
            for module in (ingest, collections, follower):
                patch.setattr(module, "time", self.clock)
            for each in (incarnation, registry):
                patch.setattr(each, "secrets", secret)
            patch.setattr(recording, "_BLOCK", self.block)
            patch.setattr(follower, "SLICE_SECONDS", -1.0 if self.slices else 1.0)
            patch.setattr(Follower, "feed", self._feeding_twice(Follower.feed))
            yield

    def _feeding_twice(self, feed: Callable[..., None]) -> Callable[..., None]:
        """Entries come once more now and then, as from another connection."""

        def both(folding: Follower, entries: Sequence[Any]) -> None:
            feed(folding, entries)
            told = folding.__dict__.setdefault("_told_before", [])
            if not self.is_calm and told and self.rng.random() < 0.1:
                generation, old = self.rng.choice(told)
                if generation == folding.generation:
                    feed(folding, old)
            told.append((folding.generation, entries))

        return both

    async def start(self, servers: int) -> None:
        """Bring servers up and make the collection."""
        for _ in range(servers):
            await self.add_server()
        await self.servers[0].running.create_collection(NAME, self.parameters)

    async def add_server(self) -> Server:
        """Bring one more server up."""
        server = Server(self, len(self.servers))
        self.servers.append(server)
        await server.start()
        return server

    @property
    def up(self) -> list[Server]:
        """The servers that take calls."""
        return [server for server in self.servers if server.is_up]

    def spawn(self, work: Awaitable[None]) -> None:
        """Let something go on by itself."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what befalls --------------------------------------------------------------------------------------

    def fate(self, server: Server, kind: str) -> Fate:
        """What becomes of an exchange."""
        if self.is_calm:
            return _OK
        self.exchanges += 1
        while self._left and self._left[0][0] <= self.exchanges:
            _, what, rest = self._left.pop(0)
            self.seen[what] += 1
            getattr(self, f"_befall_{what}")(*rest)
        rng, now = self.rng, asyncio.get_running_loop().time()
        before, after = rng.choice((0.0, 0.0005, 0.002)), rng.choice((0.0, 0.0005, 0.002))
        if rng.random() < 0.02 or now < server.slow_until:
            before, after = rng.choice((0.0, 0.1, 1.0)), rng.choice((0.0, 0.1, 1.0))
        again = rng.randrange(4) if kind == "XREAD" and rng.random() < 0.2 else 0
        if now < server.cut_until:
            return self._cut(before, after)
        if rng.random() < self.trouble:
            return (
                self._cut(before, after)
                if rng.random() < 0.8
                else Fate(before, after, late=rng.choice((0.01, 1.0)))
            )
        return Fate(before, after, again=again)

    def _cut(self, before: float, after: float) -> Fate:
        """A connection that is lost at some point."""
        rng = self.rng
        match rng.randrange(4):
            case 0:
                return Fate(before, after, part=0)
            case 1:
                return Fate(before, after, answered=False)
            case 2:
                return Fate(before, after, part=rng.randrange(3))
        return Fate(before, after, part=0, late=rng.choice((0.001, 0.05, 3.0)))

    def _of(self, number: int) -> Server | None:
        up = self.up
        return up[number % len(up)] if up else None

    def _befall_crash(self, number: int, seconds: float) -> None:
        server = self._of(number)
        if server is not None:
            server.crash()
            self.spawn(self._restart(seconds))

    async def _restart(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.add_server()

    def _befall_pause(self, number: int, seconds: float) -> None:
        server = self._of(number)
        if server is not None:
            server.view.freeze()
            self.spawn(self._resume(server, seconds))

    @staticmethod
    async def _resume(server: Server, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not server.is_dead:
            server.view.thaw()

    def _befall_cut(self, number: int, seconds: float) -> None:
        server = self._of(number)
        if server is not None:
            server.cut_until = asyncio.get_running_loop().time() + seconds

    def _befall_slow(self, number: int, seconds: float) -> None:
        server = self._of(number)
        if server is not None:
            server.slow_until = asyncio.get_running_loop().time() + seconds

    def _befall_lose(self, writes: int) -> None:
        self.world.lose(writes)
        self.lost_at = asyncio.get_running_loop().time()

    def _befall_backup(self) -> None:
        self._backup = self.world.copy()

    def _befall_restore(self) -> None:
        if self._backup is not None:
            self.world.restore(self._backup)
            self.lost_at = asyncio.get_running_loop().time()

    def _befall_flush(self) -> None:
        self.world.flush()
        self.lost_at = asyncio.get_running_loop().time()

    def _befall_full(self, seconds: float) -> None:
        self.world.is_full = True
        asyncio.get_running_loop().call_later(seconds, setattr, self.world, "is_full", False)

    # -- clients -------------------------------------------------------------------------------------------

    async def work(self, operations: Sequence[Operation], clients: int) -> None:
        """Have clients do operations, each those that fall to it, in order; all are answered in the end."""
        parts: list[list[Operation]] = [[] for _ in range(clients)]
        for operation in operations:
            if isinstance(operation, Remove):
                self.rng.choice(parts).append(operation)
                continue
            left = list(operation.articles)
            while left:
                size = self.rng.randrange(1, 5)
                self.rng.choice(parts).append(Arrive(tuple(left[:size]), 0.0))
                left = left[size:]
        await asyncio.gather(*(self._client(number, part) for number, part in enumerate(parts)))

    async def _client(self, number: int, operations: Sequence[Operation]) -> None:
        for operation in operations:
            await asyncio.sleep(self.rng.choice((0.0, 0.001, 0.01, 0.01, 0.1, 3.0)))
            at = number
            while not await self._ask(at, operation):
                server = self._of(at)
                if server is None or self.rng.random() < 0.2:
                    at += 1
                await asyncio.sleep(self.rng.choice((0.01, 0.2)))

    async def _ask(self, number: int, operation: Operation) -> bool:
        """Ask a server; whether it answered."""
        server = self._of(number)
        if server is None:
            await asyncio.sleep(0.2)
            return False
        asked = asyncio.get_running_loop().time()
        task = asyncio.ensure_future(self._call(server, operation))
        died = asyncio.ensure_future(server.died.wait())
        await asyncio.wait([task, died], timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if not task.done():
            if not server.is_dead:
                task.cancel()
                self.seen["deadline"] += 1
            return False
        try:
            results = task.result()
        except NotFound:
            results = [None]
        except (StoreUnavailable, LimitExceeded) as error:
            self.seen[type(error).__name__ + error.reason.name] += 1
            return False
        asked_for: Sequence[Article | str] = (
            [operation.id] if isinstance(operation, Remove) else operation.articles
        )
        for each, result in zip(asked_for, results, strict=True):
            if isinstance(result, DedupError):
                raise result
            self.answers.append(Answer(each, result, asked))
        return True

    async def _call(self, server: Server, operation: Operation) -> list[Any]:
        if isinstance(operation, Remove):
            await server.running.delete_article(NAME, operation.id)
            return [None]
        if len(operation.articles) == 1:
            return [await server.running.ingest_one(NAME, operation.articles[0])]
        return list(await server.running.ingest(NAME, operation.articles))

    # -- the end -------------------------------------------------------------------------------------------

    async def calm_down(self) -> None:
        """From here on nothing befalls anybody; who stands still goes on."""
        self.is_calm = True
        self.world.is_full = False
        while self._tasks:
            await asyncio.wait(self._tasks)
        for server in self.up:
            server.view.thaw()
        if not self.up:
            await self.add_server()

    async def settle(self, seconds: float = 60.0) -> list[OpenCollection]:
        """Give the servers time until nothing is left to do; the collection in each."""
        await self.calm_down()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            state = await self._states()
            if state and all(state):
                return [each for each in state if each is not None]
            assert loop.time() < deadline, self.unsettled()
            await asyncio.sleep(0.5)

    async def _states(self) -> list[OpenCollection | None]:
        out: list[OpenCollection | None] = []
        for server in self.up:
            try:
                opened = await server.opened()
                if opened is None:
                    with contextlib.suppress(AlreadyExists):
                        await server.running.create_collection(NAME, self.parameters)
                    out.append(None)
                    continue
                await opened.ready()
            except StoreUnavailable:
                out.append(None)
                continue
            state = opened.follower.collection
            erased = opened.unfinished._erased
            done = state.is_settled and not opened.follower.is_loading
            out.append(opened if done and (erased >= state.erased_count or len(self.up) > 1) else None)
        return out

    def unsettled(self) -> str:
        """What is left to do."""
        lines = []
        for server in self.up:
            opened = server.running._collections._opened.get(NAME)
            if opened is None:
                lines.append(f"{server.number}: not open")
                continue
            s, f = opened.follower.collection, opened.follower
            lines.append(
                f"{server.number}: position {s.position} due {s.due} undecided {s.undecided} waiting {s.waiting} "
                f"loading {f.is_loading} ahead {sorted(f._ahead)} last {f.last_nonce} "
                f"ours {server.running._incarnations.all} owners {s.owners_with_work()}"
            )
        return "not settled:\n" + "\n".join(lines)

    def complaints(self) -> list[Any]:
        """What the servers logged that nobody expects."""
        return [line for line in self.logged if line["event"] in _UNEXPECTED and line["log_level"] == "error"]
