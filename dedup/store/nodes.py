"""The nodes of a store, and which of them has a key: one server, the master of a Sentinel's service, or a cluster.

Connections and pools are those of redis-py. Its cluster client is not used: it sends what got no answer again by
itself, up to three times, and what was moved it sends again one by one after the rest of a pipeline has run, so that
a second entry could be appended before the first. Here nothing is sent again but by :mod:`dedup.store.connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import redis.asyncio
import redis.asyncio.sentinel
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from dedup.store import addresses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from redis.asyncio.connection import AbstractConnection

Argument = bytes | str | int | float

CONNECT_SECONDS: Final = 5.0
#: Connections to a node; who finds all taken waits.
MOST_CONNECTIONS: Final = 128
#: Seconds for a node to say how the slots lie, before another one is asked; and between two such questions.
_MAP_SECONDS: Final = 2.0
_MAP_PAUSE: Final = 0.2
_SLOTS: Final = 16384


def _options(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a pool: no decoding, no sending again, and no task of redis-py's for every command to time it."""
    return {
        "protocol": 2,
        "decode_responses": False,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": MOST_CONNECTIONS,
        **options,
    }


class Node:
    """A server with a pool of connections. ``replicas``: those it told of when last ``asked``, in monotonic seconds."""

    def __init__(self, pool: redis.asyncio.ConnectionPool, name: str = "") -> None:
        self.pool = pool
        self.name = name
        self.replicas = 0
        self.asked = float("-inf")
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)

    async def exchange(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands in one go; the answers in order, errors of single ones among them.

        Raises:
            redis.exceptions.RedisError, OSError: the connection was lost, or never made.
        """
        async with self.connected() as connection:
            return await exchange(connection, commands)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[AbstractConnection]:
        """A connection that nothing else uses meanwhile; waits where all are taken.

        It is closed if anything goes wrong, as an answer may be under way.
        """
        async with self._room:
            connection: AbstractConnection = await self.pool.get_connection()  # type: ignore[no-untyped-call]
            try:
                yield connection
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            finally:
                await self.pool.release(connection)


async def exchange(connection: AbstractConnection, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """Send commands and read as many answers; an error that is an answer stands among them.

    A connection to what turns out to be a replica is closed: the address may lead to another server by now.
    """
    packed = connection.pack_commands(commands)
    await connection.send_packed_command(packed, check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except redis.exceptions.ResponseError as error:
            answers.append(error)
    if any(isinstance(answer, redis.exceptions.ReadOnlyError) for answer in answers):
        await connection.disconnect(nowait=True)
    return answers


class Nodes(Protocol):
    """What there is of a store. ``is_patient``: a node that fails is replaced by another one, so it pays to wait."""

    is_cluster: bool
    is_patient: bool

    async def of(self, key: bytes | str | None) -> Node:
        """The node that has a key; any node where there is none."""

    async def at(self, host: str, port: int) -> Node:
        """The node at an address that another node named."""

    async def everyone(self) -> list[Node]:
        """Every node that holds data."""

    def lost(self, node: Node | None = None) -> None:
        """A node did not answer: look anew which there are."""

    def moved(self, slot: int, host: str, port: int) -> None:
        """A slot lies elsewhere."""

    async def close(self) -> None:
        """Close all connections."""


class OneNode:
    """One server, or whichever one Sentinel says is the master."""

    is_cluster = False

    def __init__(self, address: addresses.Address) -> None:
        self.is_patient = address.kind == "sentinel"
        self._sentinel: redis.asyncio.sentinel.Sentinel | None = None
        options = _options(address.options)
        if not self.is_patient:
            self._node = Node(redis.asyncio.ConnectionPool(**options))
            return
        options.pop("connection_class", None)
        patience = {
            "socket_connect_timeout": 1.0,
            "socket_timeout": _MAP_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        of_sentinel = {**patience, **address.of_sentinel, **({"ssl": True} if address.is_tls else {})}
        self._sentinel = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs=of_sentinel
        )
        pool = redis.asyncio.sentinel.SentinelConnectionPool(  # type: ignore[no-untyped-call]
            address.service, self._sentinel, **options, **({"ssl": True} if address.is_tls else {})
        )
        self._node = Node(pool)

    async def of(self, key: bytes | str | None) -> Node:
        """The one there is."""
        del key
        return self._node

    async def at(self, host: str, port: int) -> Node:
        """The one there is."""
        del host, port
        return self._node

    async def everyone(self) -> list[Node]:
        """The one there is."""
        return [self._node]

    def lost(self, node: Node | None = None) -> None:
        """Another master may have other replicas."""
        del node
        self._node.asked = float("-inf")

    def moved(self, slot: int, host: str, port: int) -> None:
        """Nothing moves."""

    async def close(self) -> None:
        """Close all connections."""
        await self._node.pool.aclose()
        if self._sentinel is not None:
            for client in self._sentinel.sentinels:
                await client.aclose()


class ClusterNodes:
    """A cluster: which node has which slot is asked once, and again when a node is lost or says otherwise."""

    is_cluster = True
    is_patient = True

    def __init__(self, address: addresses.Address) -> None:
        self._seeds = address.hosts
        self._options = _options(address.options)
        self._nodes: dict[tuple[str, int], Node] = {}
        self._slots: list[tuple[str, int] | None] = [None] * _SLOTS
        self._stale = True
        self._looked = float("-inf")
        self._looking = asyncio.Lock()
        self._silent: Node | None = None

    async def of(self, key: bytes | str | None) -> Node:
        """The node that has a key's slot.

        Raises:
            redis.exceptions.ConnectionError: no node says which.
        """
        if self._stale:
            await self._look()
        if key is None:
            known = next((place for place in self._slots if place), None)
        else:
            known = self._slots[key_slot(key if isinstance(key, bytes) else key.encode())]
        if known is None:
            self._stale = True
            message = "CLUSTERDOWN no node has the slot"
            raise redis.exceptions.ClusterDownError(message)
        return self._node(*known)

    async def at(self, host: str, port: int) -> Node:
        """The node at an address that another node named."""
        return self._node(host, port)

    async def everyone(self) -> list[Node]:
        """Every master."""
        if self._stale:
            await self._look()
        return [self._node(*place) for place in sorted({place for place in self._slots if place})]

    def lost(self, node: Node | None = None) -> None:
        """Ask anew which node has which slot, before the next command, and this one last."""
        self._stale = True
        self._silent = node
        for each in self._nodes.values():
            each.asked = float("-inf")

    def moved(self, slot: int, host: str, port: int) -> None:
        """A slot lies elsewhere, and perhaps others do."""
        self._slots[slot] = (host, port)
        self._stale = asyncio.get_running_loop().time() - self._looked > 1.0

    async def close(self) -> None:
        """Close all connections."""
        for node in self._nodes.values():
            await node.pool.aclose()

    def _node(self, host: str, port: int) -> Node:
        if (host, port) not in self._nodes:
            pool = redis.asyncio.ConnectionPool(host=host, port=port, **self._options)
            self._nodes[host, port] = Node(pool, f"{host}:{port}")
        return self._nodes[host, port]

    async def _look(self) -> None:
        async with self._looking:
            if not self._stale:
                return
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, self._looked + _MAP_PAUSE - now))
            error: Exception = redis.exceptions.ConnectionError("no node of the cluster")
            places = dict.fromkeys([*filter(None, self._slots[:: _SLOTS // 16]), *self._nodes, *self._seeds])
            for place in sorted(places, key=lambda place: self._node(*place) is self._silent):
                try:
                    async with asyncio.timeout(_MAP_SECONDS):
                        (found,) = await self._node(*place).exchange([("CLUSTER", "SLOTS")])
                    if isinstance(found, Exception):
                        raise found
                except (redis.exceptions.RedisError, OSError) as failure:
                    error = failure
                    continue
                self._slots = _map(found, place[0])
                self._stale = False
                self._looked = asyncio.get_running_loop().time()
                return
            self._looked = asyncio.get_running_loop().time()
            raise error


def _map(found: Iterable[Sequence[Any]], asked: str) -> list[tuple[str, int] | None]:
    """Host and port of the master of each slot, of an answer to CLUSTER SLOTS; a node knows not always its own host."""
    slots: list[tuple[str, int] | None] = [None] * _SLOTS
    for first, last, master, *_ in found:
        host = master[0].decode() if master[0] else asked
        for slot in range(int(first), int(last) + 1):
            slots[slot] = (host, int(master[1]))
    return slots


def open_nodes(url: str) -> Nodes:
    """The nodes at an address; connects to nothing yet.

    Raises:
        ValueError, TypeError: the address is wrong.
    """
    address = addresses.parse(url)
    return ClusterNodes(address) if address.kind == "cluster" else OneNode(address)
