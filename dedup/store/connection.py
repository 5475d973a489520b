"""The connection to a Redis-protocol server: scripts by name, and failures as our errors."""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio
import redis.exceptions

from dedup.errors import Reason, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument = bytes | str | int | float

#: Seconds after which a store that holds the connection open is taken for one that does not answer.
ANSWER_SECONDS: Final = 30.0

#: Eviction policies under which a full store refuses writes instead of dropping parts of the index.
_SAFE_POLICIES: Final = ("noeviction",)


@cache
def script_source(name: str) -> str:
    """The source of a script with what all scripts share before it."""
    folder = files("dedup.store") / "scripts"
    shared = (folder / "common.lua").read_text(encoding="utf-8")
    return shared + (folder / f"{name}.lua").read_text(encoding="utf-8")


@cache
def _script_hash(name: str) -> str:
    return hashlib.sha1(script_source(name).encode(), usedforsecurity=False).hexdigest()


class CollectionGone(StoreUnavailable):
    """The collection that was written to is no longer in the store: another server deleted it, or the store is new."""


def translate(error: redis.exceptions.RedisError | OSError) -> StoreUnavailable:
    """The typed error for a failure of the store; the message says what to do where that is known."""
    text = str(error)
    if text.startswith("OOM") or "maxmemory" in text:
        return StoreUnavailable("the store is out of memory and refuses writes", Reason.STORE_OUT_OF_MEMORY)
    if text.startswith("NOCOLLECTION"):
        return CollectionGone("the collection was deleted meanwhile")
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return StoreUnavailable("the store is loading its data")
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return StoreUnavailable("the store is a read-only replica")
    refused = isinstance(error, redis.exceptions.AuthenticationError | redis.exceptions.NoPermissionError)
    if refused or "NOAUTH" in text or "username-password" in text:
        return StoreUnavailable(f"the store refuses the credentials: {text}")
    if isinstance(error, redis.exceptions.ResponseError):
        return StoreUnavailable(f"the store refuses a command: {text}")
    return StoreUnavailable(f"the store does not answer: {text}")


def wrong_address(url: str) -> str:
    """What is wrong with an address, "" where nothing is; it may hold a password and is not shown."""
    try:
        redis.asyncio.ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except TypeError as error:
        return f"there is no option {str(error).rpartition(' ')[2]}"
    except ValueError as error:
        return str(error).rstrip(".") if "connection URL" in str(error) else "host or port is malformed"
    return ""


class Store:
    """One server. Every method raises :class:`StoreUnavailable` when it does not serve."""

    def __init__(self, url: str) -> None:
        self._client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            url,
            decode_responses=False,
            retry=None,
            max_connections=256,
            socket_connect_timeout=5,
            # redis-py would make a task for every command to time it; ours is asyncio.timeout
            socket_timeout=None,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def run(self, script: str, keys: Sequence[str], *arguments: Argument) -> Any:
        """Run a script of ``dedup/store/scripts``; loads it where the server does not have it yet."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                try:
                    return await self._client.evalsha(_script_hash(script), len(keys), *keys, *arguments)
                except redis.exceptions.NoScriptError:
                    return await self._client.eval(script_source(script), len(keys), *keys, *arguments)
        except (redis.exceptions.RedisError, OSError) as error:
            raise translate(error) from error

    async def run_each(
        self, script: str, keys: Sequence[str], calls: Sequence[tuple[Argument, ...]]
    ) -> list[Any]:
        """Run a script several times in order, in one round trip; others may run in between. Answers in order."""
        if len(calls) == 1:
            return [await self.run(script, keys, *calls[0])]
        name = _script_hash(script)
        commands = [("EVALSHA", name, len(keys), *keys, *arguments) for arguments in calls]
        answers = await self._pipelined(commands)
        if any(isinstance(answer, redis.exceptions.NoScriptError) for answer in answers):
            # it is loaded with the first that runs again; those that ran already are not run twice
            for index, arguments in enumerate(calls):
                if isinstance(answers[index], redis.exceptions.NoScriptError):
                    answers[index] = await self.run(script, keys, *arguments)
        for answer in answers:
            if isinstance(answer, redis.exceptions.RedisError):
                raise translate(answer) from answer
        return answers

    async def call(self, *command: Argument) -> Any:
        """Run one command."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (redis.exceptions.RedisError, OSError) as error:
            raise translate(error) from error

    async def pipeline(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """Run commands in one round trip, not as a transaction; answers in order."""
        answers = await self._pipelined(commands)
        for answer in answers:
            if isinstance(answer, redis.exceptions.RedisError):
                raise translate(answer) from answer
        return answers

    async def _pipelined(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        if not commands:
            return []
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._client.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute(raise_on_error=False))
        except (redis.exceptions.RedisError, OSError) as error:
            raise translate(error) from error

    async def connect(self) -> None:
        """Ask the server for a sign of life."""
        await self.call("PING")

    async def ping(self) -> bool:
        """Whether the server answers and can be written to."""
        try:
            return bool(await self.call("PING"))
        except StoreUnavailable:
            return False

    async def memory_bytes(self) -> int:
        """Memory the server uses for data, all collections together."""
        info = await self.call("INFO", "memory")
        return int(info.get("used_memory", 0)) if isinstance(info, dict) else 0

    async def eviction_risk(self) -> str | None:
        """The eviction policy, where it could drop parts of the index; None where it cannot or is not told."""
        info = await self.call("INFO", "memory")
        policy = info.get("maxmemory_policy") if isinstance(info, dict) else None
        if isinstance(policy, bytes):
            policy = policy.decode()
        limit = int(info.get("maxmemory", 0)) if isinstance(info, dict) else 0
        return str(policy) if policy and policy not in _SAFE_POLICIES and limit else None
