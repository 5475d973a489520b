"""The connection to a store of the Redis protocol: one server, a service of Sentinel, or a cluster.

Everything else in ``store/`` asks through :class:`Store`: single commands, pipelines of commands of one key each,
scripts, and blocking reads. Every command has a time limit. Failures come as our errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import redis.exceptions

from dedup.errors import Reason, StoreUnavailable
from dedup.store.addresses import wrong as wrong_address
from dedup.store.failures import CollectionGone, translate
from dedup.store.nodes import Argument, open_nodes
from dedup.store.scratch import Scratch
from dedup.store.sending import Acknowledgement, Command, Sending

if TYPE_CHECKING:
    from dedup.store.nodes import Node

__all__ = ["Argument", "Store", "wrong_address"]

#: Seconds after which a store that holds the connection open is taken for one that does not answer.
ANSWER_SECONDS: Final = 10.0
#: Seconds after which a read that waited, and should have been answered, is taken for lost.
BLOCKED_SECONDS: Final = 3.0
#: Seconds that replicas have to acknowledge what was written, if the time limit leaves them so much.
ACKNOWLEDGE_SECONDS: Final = 4.0
#: Seconds for which it is taken for known how many replicas a node has.
_REPLICAS_SECONDS: Final = 5.0
#: The two forms a script is loaded in: what a store that is out of memory refuses, and what it does all the same.
_HEADERS: Final = {"append": "#!lua\n", "append+oom": "#!lua flags=allow-oom\n"}
#: Eviction policies under which a full store refuses writes instead of dropping keys.
_SAFE_POLICIES: Final = ("noeviction",)


@cache
def script_source(name: str) -> str:
    """A script in one of its forms, ``append`` or ``append+oom``."""
    source = (files("dedup.store") / "scripts" / "append.lua").read_text(encoding="utf-8")
    return _HEADERS[name] + source


@cache
def _script_hash(name: str) -> str:
    return hashlib.sha1(script_source(name).encode(), usedforsecurity=False).hexdigest()


class Store:
    """One store. Every method raises :class:`StoreUnavailable` when it does not serve.

    ``acks``: how many replicas must have what was appended before it counts as appended; None: one, where a node says
    that it has any. ``answer_seconds``: the time limit of a command, and of all commands sent in one go.
    """

    def __init__(
        self,
        url: str,
        *,
        acks: int | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._nodes = open_nodes(url)
        self._seconds = answer_seconds
        self._acks = acks

    @property
    def is_cluster(self) -> bool:
        """Whether keys lie on several nodes."""
        return self._nodes.is_cluster

    async def close(self) -> None:
        """Close all connections."""
        await self._nodes.close()

    # -- commands ----------------------------------------------------------------------------------------

    async def call(self, *command: Argument) -> Any:
        """Run one command."""
        (answer,) = await Sending(self._nodes, [command], self._seconds).run()
        if isinstance(answer, Exception):
            raise translate(answer, str(command[0])) from answer
        return answer

    async def pipeline(
        self, commands: Sequence[Command], *, acknowledged: bool = False, raise_on_error: bool = True
    ) -> list[Any]:
        """Run commands in one round trip to each node, not as a transaction, each of one key; answers in order.

        ``acknowledged``: replicas must have what was written, as after :meth:`run_each`. Where errors are not raised
        they stand among the answers, as ours.
        """
        acknowledge = self._acknowledgement if acknowledged else None
        answers = await Sending(self._nodes, commands, self._seconds, acknowledge=acknowledge).run()
        for index, answer in enumerate(answers):
            if isinstance(answer, Exception):
                answers[index] = translate(answer, str(commands[index][0]))
                if raise_on_error:
                    raise answers[index] from answer
        return answers

    async def run(self, script: str, names: Sequence[str], *arguments: Argument) -> Any:
        """Run a script in one of its forms; raises what it answers as an error."""
        (answer,) = await self.run_each([(script, names, arguments)])
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    async def run_each(
        self,
        calls: Sequence[tuple[str, Sequence[str], Sequence[Argument]]],
        *,
        ordered: bool = True,
        acknowledged: bool = False,
        on_doubt: Callable[[], None] | None = None,
    ) -> list[Any]:
        """Run scripts in one round trip; answers in order, errors (ours) among them.

        Args:
            calls: of each the form of the script, its keys, its arguments.
            ordered: all are of one slot, and none may run before one that stands before it.
            acknowledged: so many replicas as are wanted must have what was written.
            on_doubt: called where a connection was lost with scripts under way: they may yet run, even after others
                that are sent later.

        Raises:
            StoreUnavailable: no answer, or too few replicas: the scripts may have run, or may yet run.
        """
        commands = [
            ("EVALSHA", _script_hash(script), len(names), *names, *arguments)
            for script, names, arguments in calls
        ]
        sending = Sending(
            self._nodes,
            commands,
            self._seconds,
            ordered=ordered,
            load=self._load,
            acknowledge=self._acknowledgement if acknowledged else None,
            on_doubt=on_doubt,
        )
        return [translate(a, "EVALSHA") if isinstance(a, Exception) else a for a in await sending.run()]

    async def read_streams(
        self, after: dict[str, str], milliseconds: int, count: int
    ) -> dict[bytes, list[tuple[bytes, list[bytes]]]]:
        """New entries of streams of one slot, after an id of each: id, and fields with values, one after another.

        Waits so many milliseconds for the first (0: not at all), on a connection that nothing else uses meanwhile.
        At most ``count`` of each stream. A connection that is lost is not made again here: the store may have gone
        back, and who reads must know.
        """
        command: list[Argument] = ["XREAD", "COUNT", count]
        if milliseconds:
            command += ["BLOCK", milliseconds]
        command += ["STREAMS", *after.keys(), *after.values()]
        seconds = min(self._seconds, BLOCKED_SECONDS) + milliseconds / 1000 if milliseconds else self._seconds
        (answer,) = await Sending(self._nodes, [command], seconds, reads_on=True).run()
        if isinstance(answer, Exception):
            raise translate(answer, "XREAD") from answer
        return {key: [tuple(entry) for entry in entries] for key, entries in answer or ()}

    # -- scripts and replicas ----------------------------------------------------------------------------

    @staticmethod
    async def _load(node: Node) -> None:
        """Give a node the script in both forms."""
        for answer in await node.exchange([("SCRIPT LOAD", script_source(name)) for name in _HEADERS]):
            if isinstance(answer, Exception):
                raise translate(answer, "SCRIPT LOAD") from answer

    async def _acknowledgement(self, node: Node) -> Acknowledgement | None:
        wanted = self._acks if self._acks is not None else min(1, await self._replicas(node))
        return (
            Acknowledgement(node, wanted, min(ACKNOWLEDGE_SECONDS, 0.4 * self._seconds)) if wanted else None
        )

    @staticmethod
    async def _replicas(node: Node) -> int:
        """Replicas that a node says it has; 0 where it does not say."""
        now = asyncio.get_running_loop().time()
        if now - node.asked > _REPLICAS_SECONDS:
            (role,) = await node.exchange([("ROLE",)])
            node.replicas = len(role[2]) if isinstance(role, list) and role[0] == b"master" else 0
            node.asked = now
        return node.replicas

    async def acks(self) -> int:
        """Replicas that have what was appended before it counts as appended; the fewest, where nodes differ."""
        if self._acks is not None:
            return self._acks
        async with self._limited("ROLE"):
            return min([min(1, await self._replicas(node)) for node in await self._nodes.everyone()])

    @contextlib.asynccontextmanager
    async def _limited(self, command: str) -> Any:
        """The time limit, and failures as our errors, around what is sent to nodes one by one."""
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except (redis.exceptions.RedisError, OSError) as error:
            raise translate(error, command, self._seconds) from error

    # -- whether it serves -------------------------------------------------------------------------------

    async def ping(self) -> bool:
        """Whether the store answers."""
        try:
            return bool(await self.call("PING"))
        except StoreUnavailable:
            return False

    async def check(self) -> None:
        """See whether the store can do what is needed, by doing all of it under keys that are removed again.

        A store that is out of memory passes: it can still be read, and articles can be killed.

        Raises:
            StoreUnavailable: it does not answer, or cannot; the message names the first command that it refuses.
        """
        await self.call("PING")
        scratch = Scratch(secrets.token_hex(4))
        try:
            for command in scratch.commands():
                with _suppressed_if_full():
                    await self.call(*command)
            for script, names, arguments in scratch.scripts():
                with _suppressed_if_full():
                    await self.run(script, names, *arguments)
        finally:
            with contextlib.suppress(StoreUnavailable):
                await self.pipeline([("UNLINK", key) for key in scratch.keys])
        async with self._limited("WAIT"):
            for node in await self._nodes.everyone():
                for answer in await node.exchange([("WAIT", 0, 1)]):
                    if isinstance(answer, Exception):
                        raise translate(answer, "WAIT") from answer

    async def memory_bytes(self) -> int:
        """Memory that the store uses for data, all collections and nodes together; 0 where it does not tell."""
        return sum(int(each.get("used_memory", 0)) for each in await self._memory())

    async def eviction_risk(self) -> str | None:
        """The eviction policy, where it could drop parts of the index; None where it cannot or is not told."""
        for each in await self._memory():
            policy = each.get("maxmemory_policy", "")
            if policy and policy not in _SAFE_POLICIES and int(each.get("maxmemory", 0)):
                return policy
        return None

    async def _memory(self) -> list[dict[str, str]]:
        found = []
        with contextlib.suppress(StoreUnavailable):
            async with self._limited("INFO"):
                for node in await self._nodes.everyone():
                    (told,) = await node.exchange([("INFO", "memory")])
                    lines = told.decode().splitlines() if isinstance(told, bytes) else []
                    found.append(dict(line.split(":", 1) for line in lines if ":" in line))
        return found

    async def fsync(self) -> str:
        """When the store writes to its disk: always, everysec, no; empty where it does not tell."""
        try:
            found = await self.call("CONFIG GET", "append*")
        except StoreUnavailable:
            return ""
        told = {name.decode(): value.decode() for name, value in zip(found[::2], found[1::2], strict=True)}
        return told.get("appendfsync", "") if told.get("appendonly") == "yes" else "no" if told else ""


@contextlib.contextmanager
def _suppressed_if_full() -> Iterator[None]:
    """What a store that is out of memory answers, also to what needs the keys that it refused to make."""
    try:
        yield
    except CollectionGone:
        pass
    except StoreUnavailable as error:
        if error.reason is not Reason.STORE_OUT_OF_MEMORY and "no such key" not in error.message:
            raise
