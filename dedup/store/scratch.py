"""What a store must be able to do, as commands that do it under keys of their own, all in one slot.

Commands that only the script runs stand here too: a refusal from inside a script does not say which it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from dedup.store import keys
from dedup.store.nodes import Argument


class Scratch:
    """Commands and scripts to try; ``keys`` is what they leave behind."""

    def __init__(self, name: str) -> None:
        parts = ("text", "hash", "set", "stream", "own", "log", "gone", "all")
        self.keys = [keys.scratch(name, part) for part in parts]

    def commands(self) -> Iterator[tuple[Argument, ...]]:
        """Every command that this layer needs, but for those of a cluster, of replicas and of scripts."""
        text, field, names, stream, own, *_ = self.keys
        yield ("SET", text, "1", "NX", "GET", "PX", 10_000)
        yield ("GET", text)
        yield ("GETRANGE", text, 0, 0)
        yield ("SETRANGE", text, 0, "2")
        yield ("EXISTS", text)
        yield ("PEXPIRE", text, 10_000)
        yield ("HSETNX", field, "a", "1")
        yield ("HSET", field, "b", "1")
        yield ("HINCRBY", field, "c", 1)
        yield ("HGET", field, "a")
        yield ("HMGET", field, "a", "b")
        yield ("HGETALL", field)
        yield ("HDEL", field, "b")
        yield ("SADD", names, "a")
        yield ("SREM", names, "b")
        yield ("SMEMBERS", names)
        yield ("SISMEMBER", names, "a")
        yield ("XADD", stream, "MAXLEN", 1, "*", "e", "1")
        yield ("XRANGE", stream, "-", "+", "COUNT", 1)
        yield ("XREAD", "COUNT", 1, "BLOCK", 1, "STREAMS", stream, "0-0")
        yield ("HSETNX", own, "d", "e:f\n")
        yield ("RENAME", own, own)
        yield ("UNLINK", text)

    def scripts(self) -> Iterator[tuple[str, list[str], tuple[Argument, ...]]]:
        """The script in both forms: its form, keys and arguments."""
        nonce = keys.NONCE.pack(1, 1)
        *_, own, log, gone, all_gone = self.keys
        both = [own, log]
        yield ("append", both, ("e:f\n", "1", "append", 1, nonce, "1"))
        yield ("append+oom", both, ("e:f\n", "1", "append", 1, nonce, "1"))
        yield ("append+oom", [own, gone, all_gone], ("e:f\n", "0", "delete", "a"))
