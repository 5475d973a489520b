"""Servers, stores and the way between them, as processes that a test starts, kills, freezes and starts again.

Only what was started here is ended, each by its process id; should the test itself be killed, the kernel ends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import grpc
import redis
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dedup.client import AsyncDedupClient, DedupClient
from dedup.errors import DedupError, Reason, StoreUnavailable
from dedup.model import Article, CollectionStatus, IngestResult, StoredArticle
from dedup.store import keys
from dedup.store.embedded import preloaded, valkey_binary
from tests import data

Fsync = Literal["always", "everysec"]
T = TypeVar("T")

#: Seconds that a server may take until it serves, on a machine that has other work.
START_SECONDS = 240.0
#: What a caller sends again: the store does not serve now, its log went back, too much is under way.
PASSING = frozenset(
    {
        Reason.STORE_UNAVAILABLE,
        Reason.STORE_OUT_OF_MEMORY,
        Reason.LOG_DIVERGED,
        Reason.TOO_MANY_UNDER_WAY,
    }
)

# The kernel ends the process when the test's ends; a parent that ended in between would not be noticed.
_BEGIN = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
owner, *sys.argv[1:] = sys.argv[1:]
if os.getppid() != int(owner):
    sys.exit("its owner has ended")
"""
_SERVE = _BEGIN + 'import runpy; runpy.run_module("dedup.cli", run_name="__main__", alter_sys=True)'
_EXECUTE = _BEGIN + "os.execv(sys.argv[1], sys.argv[1:])"


def free_port() -> int:
    """A port that nothing listens on, a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A process that a test owns."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def _spawn(self, script: str, *words: object, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-c", script, str(os.getpid()), *map(str, words)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=data.ROOT, env=env
            )

    def kill(self) -> None:
        """As ``kill -9``."""
        if self.is_running:
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """Freeze it."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


class StoreProcess(Process):
    """A store on a port of its own, started again at the same one; ``redis``: Debian's, else the embedded binary."""

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Fsync = "always",
        redis_server: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder / "log")
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        binary = shutil.which("redis-server") if redis_server else str(valkey_binary())
        assert binary is not None
        values = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": fsync,
            "auto-aof-rewrite-percentage": "0",
            "repl-diskless-sync-delay": "0",
        }
        self._command = [binary, *(word for name, value in values.items() for word in (f"--{name}", value))]
        self._command += options
        self.client = redis.Redis(port=self.port, socket_timeout=30)

    def start(self) -> Self:
        """Start it and wait until it has loaded what it has."""
        self._spawn(_EXECUTE, *self._command, env={**os.environ, "LD_PRELOAD": preloaded()})
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(redis.exceptions.RedisError):
                self.client.ping()
                return self
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            assert self.is_running, self.log.read_text()[-2000:]
            time.sleep(0.005)

    def command(self, *words: object) -> Any:
        """Send a command as it is spelled."""
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    def save(self, to: Path) -> None:
        """Copy the append-only files as they are now."""
        shutil.copytree(self.folder / "appendonlydir", to)

    def put_back(self, saved: Path) -> None:
        """Have the files that were copied; the store must not run."""
        assert not self.is_running
        shutil.rmtree(self.folder / "appendonlydir")
        shutil.copytree(saved, self.folder / "appendonlydir")


class ServerProcess(Process):
    """``dedup serve`` on a port of its own, started again at the same one."""

    def __init__(self, folder: Path, name: str, store: str, **settings: object) -> None:
        super().__init__(folder / f"{name}.log")
        self.target = f"127.0.0.1:{free_port()}"
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("DEDUP_")}
        if "DEDUP_KERNEL_CACHE_DIR" in os.environ:
            self._env["DEDUP_KERNEL_CACHE_DIR"] = os.environ["DEDUP_KERNEL_CACHE_DIR"]
        self._env |= {"DEDUP_LISTEN": self.target, "DEDUP_STORE": store, "DEDUP_WORKERS": "1"}
        self._env |= {f"DEDUP_{name.upper()}": str(value) for name, value in settings.items()}

    def start(self) -> Self:
        """Start it; it need not serve yet."""
        self._spawn(_SERVE, "serve", env=self._env)
        return self

    def ready(self) -> Self:
        """Wait until it serves."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_serving():
            assert self.is_running, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.02)
        return self

    def is_serving(self) -> bool:
        """What health says; False where nothing answers within a second."""
        with grpc.insecure_channel(self.target) as channel, contextlib.suppress(grpc.RpcError):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    def said(self) -> str:
        """Its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def store_process(folder: Path, **options: Any) -> Iterator[StoreProcess]:
    """A store for the block."""
    store = StoreProcess(folder, **options)
    try:
        yield store.start()
    finally:
        store.client.close()
        store.kill()


@contextmanager
def servers(folder: Path, store: str, count: int, **settings: object) -> Iterator[list[ServerProcess]]:
    """Servers on a store for the block, ready at its start."""
    settings = {"recovery_seconds": 2, **settings}
    folder.mkdir(parents=True, exist_ok=True)
    made = [ServerProcess(folder, f"server-{n}", store, **settings) for n in range(count)]
    try:
        for server in made:
            server.start()
        for server in made:
            server.ready()
        yield made
    finally:
        for server in made:
            server.kill()


class Proxy:
    """The way to a store, in a thread: cut off (nothing comes through, nothing is refused), or led elsewhere."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._flows.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(back)
        for source, sink in ((reader, back), (there, writer)):
            task = self._loop.create_task(self._pump(source, sink, (writer, back)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, both: Sequence[asyncio.StreamWriter]
    ) -> None:
        with contextlib.suppress(OSError):
            while some := await source.read(1 << 16):
                await self._flows.wait()
                sink.write(some)
                await sink.drain()
        for each in both:
            self._open.discard(each)
            each.transport.abort()

    def cut(self) -> None:
        """Let nothing through."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def mend(self) -> None:
        """Let it through again, what was held back too."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def lead_to(self, port: int) -> None:
        """Break all connections; those that come are led to another store."""

        async def change() -> None:
            self._to = port
            for each in list(self._open):
                each.transport.abort()

        self._do(change())

    def close(self) -> None:
        """Break all connections and end."""

        async def end() -> None:
            self._server.close()
            for each in list(self._open):
                each.transport.abort()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0.05)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A way to a store for the block."""
    made = Proxy(port)
    try:
        yield made
    finally:
        made.close()


# -- callers -----------------------------------------------------------------------------------------------------------


class Caller:
    """Ingests through several servers with our client: what is refused for the moment is sent again, elsewhere.

    ``answers`` is the first answer about each article, ``refusals`` counts why calls failed.
    """

    def __init__(self, targets: Sequence[str], *, timeout: float = 1.0, seconds: float = 120.0) -> None:
        self._clients = [AsyncDedupClient(target, timeout=timeout) for target in targets]
        self._turn = itertools.cycle(range(len(targets)))
        self._at = next(self._turn)
        self._seconds = seconds
        self.answers: dict[str, IngestResult] = {}
        self.refusals: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.close()

    async def ingest(self, articles: Sequence[Article], collection: str) -> None:
        """Until every article is acknowledged."""
        left = list(articles)
        deadline = time.monotonic() + self._seconds
        while left:
            refused: list[Article] = []
            try:
                answers = await self._clients[self._at].ingest_batch(left, collection=collection)
            except StoreUnavailable as error:
                self._count(error)
                refused = left
            else:
                for article, answer in zip(left, answers, strict=True):
                    if isinstance(answer, DedupError):
                        self._count(answer)
                        refused.append(article)
                    else:
                        self.answers.setdefault(article.id, answer)
            left = refused
            if left:
                assert time.monotonic() < deadline, f"{len(left)} articles were refused: {self.refusals}"
                self._at = next(self._turn)
                await asyncio.sleep(0.1)

    def _count(self, error: DedupError) -> None:
        assert error.reason in PASSING, error
        self.refusals[error.reason.name] += 1


def until(call: Callable[[], T], seconds: float = 60.0, *, pause: float = 0.02) -> T:
    """What a call says once it is not refused for the moment; typed errors alone are passing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            if error.reason not in PASSING or time.monotonic() > deadline:
                raise
        time.sleep(pause)


def settled(targets: Sequence[str], collection: str, seconds: float = 90.0) -> list[CollectionStatus]:
    """What each server says of a collection, once all have settled at one position of the log."""
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(DedupClient(target, timeout=5.0)) for target in targets]
        while True:
            found = [
                until(lambda client=client: client.get_collection(collection), seconds)  # type: ignore[misc]
                for client in clients
            ]
            unsettled = [s for s in found if s.pending or s.dirty or s.position != found[0].position]
            if not unsettled:
                return found
            assert time.monotonic() < deadline, f"not settled: {found}"
            time.sleep(0.1)


def same(found: Sequence[CollectionStatus]) -> CollectionStatus:
    """The one thing that all servers say."""
    assert len({(s.position, s.log_digest, s.content_digest) for s in found}) == 1, found
    return found[0]


def stored(target: str, collection: str) -> dict[str, StoredArticle]:
    """All articles of a collection."""
    with DedupClient(target, timeout=10.0) as client:
        return {a.article.id: a for a in client.list_articles(collection=collection)}


def single_writer(target: str, collection: str, articles: Sequence[Article]) -> CollectionStatus:
    """What a fresh collection says of the same articles, written one after another by one writer; it is deleted."""
    with DedupClient(target, timeout=20.0) as client:
        for answer in client.ingest_batch(articles, collection=collection):
            assert not isinstance(answer, DedupError), answer
        found = same(settled([target], collection))
        client.delete_collection(collection)
    return found


def retired(store: StoreProcess, collection: str) -> int:
    """How many servers were retired in a collection."""
    fields: Any = store.client.hgetall(keys.own(collection))
    return sum(value == b"retired" for name, value in fields.items() if name.startswith(b"i"))
