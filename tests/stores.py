"""Stores that tests start: single servers, clusters, Sentinel, replicas; all on 127.0.0.1, ended by their process ids.

Only binaries that are there: the embedded store's Valkey, and Debian's redis-server where it is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from dedup.store.embedded import valkey_binary


def redis_binary() -> str:
    """Debian's redis-server; skips the test where there is none."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server here (Debian: apt-get install redis-server)")
    return binary


def free_ports(count: int, *, bus: bool = False) -> list[int]:
    """Ports that nobody listens on; with ``bus`` those 10,000 above are free too."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if bus:
                if port > 55_000:
                    continue
                try:
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
            found.append(port)
    return found


def until(true: Callable[[], object], seconds: float = 30.0, pause: float = 0.02) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            if true():
                return
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)


class Server:
    """A server process with a directory of its own."""

    def __init__(
        self, place: Path, *options: str, binary: str = "", port: int = 0, tls: bool = False
    ) -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        self.port = port or free_ports(1)[0]
        self._command = [binary or str(valkey_binary()), *options, "--dir", str(place)]
        self._command += ["--logfile", str(place / "log"), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--tls-port" if tls else "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None
        self.is_frozen = False
        self.client = redis.Redis(port=self.port, socket_timeout=10, protocol=2, retry=Retry(NoBackoff(), 0))
        self.client.response_callbacks.clear()  # answers as they come
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
        )
        until(self._accepts)
        return self

    def _accepts(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """As ``kill -9`` does, also when it is frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def slowly(self) -> None:
        """Start it so that it loads its data for some seconds."""
        slow = [
            "--key-load-delay",
            "5000",
            "--rdbcompression",
            "no",
            "--loading-process-events-interval-bytes",
            "1024",
        ]
        self._command += slow
        self.start()

    def answers(self) -> bool:
        """Whether it answers, and not that it loads."""
        try:
            return bool(self.command("PING"))
        except redis.exceptions.RedisError:
            return False

    def freeze(self) -> None:
        """Let it hold its connections and do nothing."""
        self.is_frozen = True
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.is_frozen = False
        os.kill(self.pid, signal.SIGCONT)

    def command(self, *words: Any) -> Any:
        """Send a command."""
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """End it."""
        self.kill()
        self.client.close()


@contextlib.contextmanager
def server(place: Path, *options: str, **more: Any) -> Iterator[Server]:
    """A server that lives as long as the context."""
    one = Server(place, *options, **more).start()
    try:
        yield one
    finally:
        one.stop()


class Cluster:
    """A cluster of masters, each with so many replicas."""

    def __init__(self, place: Path, replicas: int = 0, binary: str = "") -> None:
        count = 3 * (1 + replicas)
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--appendonly", "yes"]
        options += ["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"]
        self.servers = [
            Server(place / str(port), *options, port=port, binary=binary)
            for port in free_ports(count, bus=True)
        ]
        for one in self.servers:
            one.start()
        self.masters = self.servers[:3]
        for number, one in enumerate(self.servers):
            one.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        first = self.masters[0]
        for one in self.servers[1:]:
            one.command("CLUSTER", "MEET", "127.0.0.1", first.port)
        for number, one in enumerate(self.masters):
            one.command("CLUSTER", "ADDSLOTSRANGE", number * 5462, min(16383, number * 5462 + 5461))
        until(lambda: all(len(self.nodes(one)) == count for one in self.servers))
        for number, one in enumerate(self.servers[3:]):
            one.command("CLUSTER", "REPLICATE", self.name(self.masters[number % 3]))
        until(lambda: all(b"cluster_state:ok" in one.command("CLUSTER", "INFO") for one in self.servers))
        if replicas:
            until(lambda: all(len(one.command("ROLE")[2]) == replicas for one in self.masters))
            until(lambda: all(one.command("ROLE")[3] == b"connected" for one in self.servers[3:]))
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{one.port}" for one in self.servers)

    @staticmethod
    def nodes(one: Server) -> list[list[str]]:
        """What a node knows of the nodes, a list of words each."""
        return [line.split() for line in one.command("CLUSTER", "NODES").decode().splitlines()]

    def name(self, one: Server) -> str:
        """The id of a node."""
        return str(one.command("CLUSTER", "MYID").decode())

    def master_of(self, key: str) -> Server:
        """The node that has a key now, as the nodes that answer say."""
        return self.master_of_slot(key_slot(key.encode()))

    def master_of_slot(self, slot: int) -> Server:
        """The node that has a slot now, as a node that answers says."""
        for asked in self.servers:
            if asked.is_frozen:
                continue
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                for first, last, master, *_ in asked.command("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(one for one in self.servers if one.port == master[1])
        raise AssertionError(slot)

    def move(self, slot: int, target: Server) -> None:
        """Move a slot with all its keys to another master, as redis-cli does."""
        source = self.master_of_slot(slot)
        if source is target:
            return
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.name(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.name(target))
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 10):
            for key in keys:  # one by one, so that for a while some are here and some there
                source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", key)
        for one in (target, source, *self.masters):
            with contextlib.suppress(redis.exceptions.ResponseError):
                one.command("CLUSTER", "SETSLOT", slot, "NODE", self.name(target))

    def stop(self) -> None:
        """End all nodes."""
        for one in self.servers:
            one.stop()


class Sentinel:
    """A master, a replica, and three Sentinels that agree by two."""

    def __init__(self, place: Path, binary: str = "") -> None:
        self.master = Server(place / "a", "--appendonly", "yes", binary=binary).start()
        self.replica = Server(
            place / "b",
            "--appendonly",
            "yes",
            "--replicaof",
            f"127.0.0.1 {self.master.port}",
            "--repl-diskless-sync-delay",
            "0",
            binary=binary,
        ).start()
        until(lambda: self.replica.command("ROLE")[3] == b"connected")
        self.sentinels = []
        for port in free_ports(3):
            own = place / str(port)
            own.mkdir()
            (own / "sentinel.conf").write_text(
                f"""port {port}
                sentinel monitor wire 127.0.0.1 {self.master.port} 2
                sentinel down-after-milliseconds wire 800
                sentinel failover-timeout wire 3000
                """
            )
            one = Server(own, str(own / "sentinel.conf"), "--sentinel", binary=binary, port=port)
            self.sentinels.append(one.start())
        until(lambda: all(len(s.command("SENTINEL", "SENTINELS", "wire")) == 2 for s in self.sentinels))
        until(lambda: all(len(s.command("SENTINEL", "REPLICAS", "wire")) == 1 for s in self.sentinels))
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels) + "/wire"

    def stop(self) -> None:
        """End all of them."""
        for one in (*self.sentinels, self.master, self.replica):
            one.stop()


class Proxy:
    """Passes bytes on to a server; can lose answers, hold requests, and cut connections."""

    def __init__(self, port: int) -> None:
        #: Port that new connections are passed on to.
        self.to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        #: Answers are dropped, requests pass.
        self.deaf = False
        #: Requests wait here until they may pass.
        self.passing = asyncio.Event()
        self.passing.set()
        self.connections = 0
        self.most_bytes = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.passing.set()
        self.cut()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Close all connections to clients; what they sent still goes to the server."""
        for writer in list(self._writers):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.to)
        back = asyncio.create_task(self._back(from_server, writer))
        try:
            while data := await reader.read(1 << 16):
                await self.passing.wait()
                to_server.write(data)
                await to_server.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            if self.deaf:  # the server may answer what it got, to nobody
                await asyncio.sleep(0.2)
            to_server.close()
            await asyncio.wait([back])
            writer.close()
            self._writers.discard(writer)

    async def _back(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await from_server.read(1 << 16):
                if not self.deaf:
                    writer.write(data)
                    await writer.drain()
        writer.close()
