"""Stores that are killed, full, frozen, cut off or busy under real servers, and servers that are killed.

Processes of their own, as in service: see :mod:`tests.fault_processes`.
"""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from dedup.client import DedupClient
from dedup.errors import DedupError, Reason, StoreUnavailable
from dedup.model import Article
from tests import data
from tests import fault_processes as faults
from tests.fault_processes import Caller, ServerProcess, StoreProcess

#: Seconds until a server serves again once its store is there; the target is 3 and 5 on a machine without other work.
_AGAIN_SECONDS = 10.0
_RECOVERY_SECONDS = 15.0
_STORES = ["embedded", "redis-server"]


def _make(folder: Path, kind: str, fsync: faults.Fsync) -> StoreProcess:
    if kind == "redis-server" and shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (Debian: apt-get install redis-server)")
    return StoreProcess(folder, fsync=fsync, redis_server=kind == "redis-server")


@contextmanager
def one_server(
    folder: Path, kind: str = "embedded", fsync: faults.Fsync = "always"
) -> Iterator[tuple[StoreProcess, ServerProcess]]:
    """A store and a server on it."""
    store = _make(folder / "store", kind, fsync)
    try:
        store.start()
        with faults.servers(folder / "servers", store.url, 1) as (server,):
            yield store, server
    finally:
        store.client.close()
        store.kill()


# -- kill -9 -----------------------------------------------------------------------------------------------------------


def _again(server: ServerProcess, collection: str) -> float:
    """Seconds until health says that a server serves, and it answers."""
    began = time.monotonic()
    with DedupClient(server.target, timeout=1.0, options=[("grpc.enable_retries", 0)]) as client:
        faults.until(lambda: client.get_collection(collection), 60)
    while not server.is_serving():
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    return time.monotonic() - began


async def _kills(folder: Path, kind: str, points: int, seed: int) -> dict[str, list[float]]:
    """Kill store and server in turn at so many random points each; the seconds until it serves again."""
    rng = random.Random(seed)
    articles = data.corpus(2 * points * 24 + 60, seed=seed)
    rng.shuffle(articles)
    seconds: dict[str, list[float]] = {"store": [], "server": []}
    with one_server(folder, kind) as (store, server):
        first, second = Caller([server.target]), Caller([server.target])
        done = asyncio.Event()

        async def write(caller: Caller, part: list[Article], size: int) -> None:
            for start in range(0, len(part), size):
                await caller.ingest(part[start : start + size], "killed")

        async def kill() -> None:
            for number, what in enumerate(["store", "server"] * points, 1):
                while len(first.answers) + len(second.answers) < 24 * number and not done.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                await asyncio.sleep(rng.uniform(0, 0.03))
                if what == "store":
                    store.kill()
                    await asyncio.to_thread(store.start)
                else:
                    server.kill()
                    server.start()
                seconds[what].append(await asyncio.to_thread(_again, server, "killed"))

        async def write_all() -> None:
            half = len(articles) // 2
            await asyncio.gather(write(first, articles[:half], 3), write(second, articles[half:], 7))
            done.set()

        try:
            await asyncio.gather(write_all(), kill())
        finally:
            await first.__aexit__()
            await second.__aexit__()
        found = faults.same(await asyncio.to_thread(faults.settled, [server.target], "killed"))
        assert found.articles == len(articles)
        kept = await asyncio.to_thread(faults.stored, server.target, "killed")
        answers = first.answers | second.answers
        assert kept.keys() == answers.keys() == {a.id for a in articles}
        for article_id, answer in answers.items():
            assert kept[article_id].decision == answer.decision
            assert kept[article_id].number == answer.number
        alone = await asyncio.to_thread(faults.single_writer, server.target, "undisturbed", articles)
        assert found.content_digest == alone.content_digest
        print(f"{kind}: {dict(first.refusals + second.refusals)}")
    assert max(seconds["store"]) < _AGAIN_SECONDS, seconds
    return seconds


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_kill_nine_of_store_and_server(tmp_path: Path) -> None:
    """With ``always``, nothing acknowledged is lost, decisions stay, and the content is as undisturbed.

    Two callers send again what is refused. Once the store is there again, the server serves within seconds.
    """
    await _kills(tmp_path, "embedded", 2, 1)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", _STORES)
async def test_kill_nine_at_twenty_points_each(tmp_path: Path, kind: str) -> None:
    """The same at 20 random points each, on both stores."""
    for what, took in (await _kills(tmp_path, kind, 20, 7)).items():
        print(f"{kind}, {what} killed: median {statistics.median(took):.2f} s, most {max(took):.2f} s")


# -- stores that live and do not serve ---------------------------------------------------------------------------------


class Watch:
    """What health says of a server, several times a second, in a thread."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[tuple[float, bool]] = []

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.seen.append((time.monotonic(), self._server.is_serving()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def served(self, after: float, before: float) -> set[bool]:
        """What was said between two moments."""
        return {serving for at, serving in self.seen if after < at < before}


def _refused(call: Callable[[], object]) -> tuple[Reason | None, float]:
    """Why a call is refused, None where it is not, and after how many seconds; never by the caller's own clock."""
    began = time.monotonic()
    try:
        answer = call()
    except StoreUnavailable as error:
        if error.metadata.get("code") == "DEADLINE_EXCEEDED":
            raise
        return error.reason, time.monotonic() - began
    for each in answer if isinstance(answer, list) else []:
        if isinstance(each, DedupError):
            return each.reason, time.monotonic() - began
    return None, time.monotonic() - began


@contextmanager
def frozen(store: StoreProcess, way: faults.Proxy, seconds: float) -> Iterator[None]:
    """The store's process is frozen."""
    del way, seconds
    store.pause()
    try:
        yield
    finally:
        store.resume()


@contextmanager
def cut_off(store: StoreProcess, way: faults.Proxy, seconds: float) -> Iterator[None]:
    """Nothing comes through to the store or back, and no connection breaks."""
    del store, seconds
    way.cut()
    try:
        yield
    finally:
        way.mend()


@contextmanager
def busy(store: StoreProcess, way: faults.Proxy, seconds: float) -> Iterator[None]:
    """Somebody's script runs on the store."""
    del way
    script = """
    local began = redis.call('TIME')
    repeat
        local now = redis.call('TIME')
    until tonumber(now[1]) - tonumber(began[1]) >= tonumber(ARGV[1])
    return 1
    """
    running = threading.Thread(target=lambda: store.command("EVAL", script, 0, int(seconds)))
    running.start()
    time.sleep(0.1)
    try:
        yield
    finally:
        running.join()


@contextmanager
def full_disk(store: StoreProcess, way: faults.Proxy, seconds: float) -> Iterator[None]:
    """The append-only file may not grow any more."""
    del way, seconds
    size = max(path.stat().st_size for path in (store.folder / "appendonlydir").iterdir())
    soft, hard = resource.prlimit(store.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(store.pid, resource.RLIMIT_FSIZE, (size + 2000, hard))
    try:
        yield
    finally:
        resource.prlimit(store.pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(store: StoreProcess, way: faults.Proxy, seconds: float) -> Iterator[None]:
    """The store is made a replica of one that is not there."""
    del way, seconds
    store.command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        store.command("REPLICAOF", "NO", "ONE")


_Trouble = Callable[[StoreProcess, faults.Proxy, float], AbstractContextManager[None]]


def _trouble(folder: Path, kind: str, trouble: _Trouble, seconds: float, *, reads: bool) -> dict[str, float]:
    """One trouble of a store under a server; how long refusals, health and recovery took."""
    articles = data.corpus(400, seed=4)
    store = _make(folder / "store", kind, "everysec")
    try:
        with (
            faults.proxy(store.start().port) as way,
            faults.servers(folder / "servers", way.url, 1) as (server,),
            DedupClient(server.target, timeout=25.0, options=[("grpc.enable_retries", 0)]) as client,
            Watch(server) as watch,
        ):
            first = client.ingest_batch(articles[:50], collection="trouble")
            took: list[float] = []
            read = partial(client.get_article, articles[0].id, collection="trouble")
            with trouble(store, way, seconds):
                began, at = time.monotonic(), 50
                refusals: list[Reason] = []
                while time.monotonic() - began < seconds or not refusals:
                    send = partial(client.ingest_batch, articles[at : at + 4], collection="trouble")
                    reason, lasted = _refused(send)
                    at = min(at + 4, 396)
                    if reason is not None:
                        refusals.append(reason)
                        took.append(lasted)
                    assert time.monotonic() - began < seconds + 60
                    reason, lasted = _refused(read)
                    assert not reads or reason is None
                    if reason is not None:
                        took.append(lasted)
                    time.sleep(0.05)
                assert set(refusals) == {Reason.STORE_UNAVAILABLE}
                trouble_ends = time.monotonic()
            over = time.monotonic()
            faults.until(lambda: client.ingest_batch(articles[:50], collection="trouble"), 60)
            answered = time.monotonic() - over
            while not server.is_serving():
                assert time.monotonic() < over + 60
                time.sleep(0.02)
            served = time.monotonic() - over
            assert False in watch.served(began, trouble_ends + 1), "health did not say so"
            silent = next(when for when, serving in watch.seen if when > began and not serving) - began
            again = client.ingest_batch(articles[:50], collection="trouble")
            assert [a.decision for a in again] == [a.decision for a in first]  # type: ignore[union-attr]
            faults.until(lambda: client.ingest_batch(articles, collection="trouble"), 60)
            found = faults.same(faults.settled([server.target], "trouble"))
            alone = faults.single_writer(server.target, "alone", articles)
            assert (found.articles, found.content_digest) == (len(articles), alone.content_digest)
    finally:
        store.client.close()
        store.kill()
    assert max(answered, served) < _RECOVERY_SECONDS
    return {"refused after": max(took), "not serving after": silent, "answered": answered, "serving": served}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("trouble", "seconds", "reads"),
    [(frozen, 3, False), (full_disk, 3, True), (read_only, 3, True)],
    ids=["frozen", "full disk", "read-only"],
)
def test_a_store_that_does_not_serve(tmp_path: Path, trouble: _Trouble, seconds: float, reads: bool) -> None:
    """Typed errors within the caller's deadline, health says NOT_SERVING, and all goes on when the store does.

    What the server still answers from memory it answers where the store can be asked for the log's end.
    """
    _trouble(tmp_path, "embedded", trouble, seconds, reads=reads)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", _STORES)
@pytest.mark.parametrize(
    ("trouble", "seconds", "reads"),
    [
        (frozen, 20, False),
        (cut_off, 10, False),
        (busy, 8, False),
        (full_disk, 6, True),
        (read_only, 6, True),
    ],
    ids=["frozen", "cut off", "busy", "full disk", "read-only"],
)
def test_stores_that_do_not_serve(
    tmp_path: Path, kind: str, trouble: _Trouble, seconds: float, reads: bool
) -> None:
    """The same for longer, with a way that is cut off and a script that runs, on both stores."""
    took = _trouble(tmp_path, kind, trouble, seconds, reads=reads)
    print(
        f"{kind}, {trouble.__name__}: " + ", ".join(f"{name} {value:.2f} s" for name, value in took.items())
    )
