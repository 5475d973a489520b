"""A store of a few dicts: what :class:`dedup.store.connection.Store` is to the rest of ``store/``, without a server.

A :class:`World` holds what one store holds, and goes back to what it held earlier when it is told to. A :class:`View`
is the connection of one server to it. Whoever simulates decides what becomes of each exchange by a :class:`Fate`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import redis.exceptions

from dedup.errors import StoreUnavailable
from dedup.store.failures import translate
from dedup.store.nodes import Argument

Command = Sequence[Argument]
Stream = list[tuple[tuple[int, int], list[bytes]]]
Value = bytes | dict[bytes, bytes] | set[bytes] | Stream

#: Copies of earlier contents that are kept, one before each write.
COPIES: Final = 600
_REFUSED_IF_FULL: Final = frozenset({"SET", "SADD", "HSETNX", "HSET", "SETRANGE", "XADD"})
_WRITES: Final = _REFUSED_IF_FULL | {"UNLINK", "SREM"}


def to_bytes(value: Argument) -> bytes:
    """An argument as the protocol sends it."""
    return value if isinstance(value, bytes) else str(value).encode()


def _stream_id(text: bytes) -> tuple[int, int]:
    first, _, second = text.partition(b"-")
    return int(first), int(second or 0)


def _refusal(text: str) -> Exception:
    return redis.exceptions.ResponseError(text)


class World:
    """What a store holds, and the commands and the script that ``store/`` has it run."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.keys: dict[bytes, Value] = {}
        self._expires: dict[bytes, float] = {}
        #: Whether it is out of memory.
        self.is_full = False
        #: Writes so far.
        self.writes = 0
        self._copies: deque[tuple[dict[bytes, Value], dict[bytes, float]]] = deque(maxlen=COPIES)
        self._waiting: list[asyncio.Event] = []
        self._views: list[View] = []

    # -- earlier contents ----------------------------------------------------------------------------------

    def copy(self) -> tuple[dict[bytes, Value], dict[bytes, float]]:
        """All of it, as a backup."""
        kept = {
            key: value if isinstance(value, bytes) else cast("Value", value.copy())
            for key, value in self.keys.items()
        }
        return kept, dict(self._expires)

    def restore(self, backup: tuple[dict[bytes, Value], dict[bytes, float]]) -> None:
        """Hold what a backup holds; all connections break."""
        self.keys = {
            key: value if isinstance(value, bytes) else cast("Value", value.copy())
            for key, value in backup[0].items()
        }
        self._expires = dict(backup[1])
        self._copies.clear()
        self.break_connections()

    def lose(self, writes: int) -> None:
        """Go back to what was held before so many of the last writes."""
        if self._copies and writes:
            self.restore(self._copies[-min(writes, len(self._copies))])

    def flush(self) -> None:
        """Hold nothing."""
        self.restore(({}, {}))

    def break_connections(self) -> None:
        """Whoever waits for an answer does not get it."""
        for view in self._views:
            view.broken += 1
        self.wake()

    def connect(self, view: View) -> None:
        """A server connects."""
        self._views.append(view)

    # -- waiting for streams -------------------------------------------------------------------------------

    def wake(self) -> None:
        """Have all who wait look again."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()

    async def changed(self, seconds: float) -> None:
        """Until something was written, at most so long."""
        event = asyncio.Event()
        self._waiting.append(event)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    # -- commands ------------------------------------------------------------------------------------------

    def _begin_write(self) -> None:
        self._copies.append(self.copy())
        self.writes += 1

    def _held(self, key: bytes, empty: Any) -> Any:
        if key in self._expires and self._now() >= self._expires[key]:
            del self._expires[key]
            self.keys.pop(key, None)
        return self.keys.get(key, empty)

    def _make(self, key: bytes, empty: Any) -> Any:
        self._held(key, None)
        return self.keys.setdefault(key, empty)

    def _drop(self, key: bytes) -> int:
        self._expires.pop(key, None)
        return int(self.keys.pop(key, None) is not None)

    def run(self, command: Command) -> Any:
        """Run a command; what it answers, an error as it is."""
        name = str(command[0])
        arguments = [to_bytes(a) for a in command[1:]]
        if self.is_full and name in _REFUSED_IF_FULL:
            return redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        if name in _WRITES:
            self._begin_write()
        answer = getattr(self, f"_{name.lower()}")(*arguments)
        if name in _WRITES:
            self.wake()
        return answer

    def _ping(self) -> bytes:
        return b"PONG"

    def _get(self, key: bytes) -> bytes | None:
        return cast("bytes | None", self._held(key, None))

    def _exists(self, key: bytes) -> int:
        return int(self._held(key, None) is not None)

    def _unlink(self, *keys: bytes) -> int:
        return sum(self._drop(key) for key in keys)

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bytes | None:
        before = self._held(key, None)
        if b"NX" not in options or before is None:
            self.keys[key] = value
            self._expires.pop(key, None)
            if b"PX" in options:
                milliseconds = int(options[options.index(b"PX") + 1])
                self._expires[key] = self._now() + milliseconds / 1000
        if b"GET" in options:
            return cast("bytes | None", before)
        return b"OK" if b"NX" not in options or before is None else None

    def _getrange(self, key: bytes, first: bytes, last: bytes) -> bytes:
        return cast("bytes", self._held(key, b""))[int(first) : int(last) + 1]

    def _setrange(self, key: bytes, at: bytes, value: bytes) -> int:
        before = cast("bytes", self._held(key, b""))
        before += bytes(max(0, int(at) - len(before)))
        self.keys[key] = before[: int(at)] + value + before[int(at) + len(value) :]
        return len(self.keys[key])

    def _hget(self, key: bytes, field: bytes) -> bytes | None:
        return cast("bytes | None", self._held(key, {}).get(field))

    def _hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        return [self._held(key, {}).get(field) for field in fields]

    def _hgetall(self, key: bytes) -> list[bytes]:
        return [each for item in self._held(key, {}).items() for each in item]

    def _hset(self, key: bytes, *items: bytes) -> int:
        made = self._make(key, {})
        new = len(set(items[::2]) - set(made))
        made.update(zip(items[::2], items[1::2], strict=True))
        return new

    def _hsetnx(self, key: bytes, field: bytes, value: bytes) -> int:
        return 0 if field in self._held(key, {}) else self._hset(key, field, value)

    def _hdel(self, key: bytes, *fields: bytes) -> int:
        held = self._held(key, {})
        gone = sum(held.pop(field, None) is not None for field in fields)
        if gone and not held:
            self._drop(key)
        return gone

    def _sadd(self, key: bytes, *members: bytes) -> int:
        held = self._make(key, set())
        before = len(held)
        held.update(members)
        return len(held) - before

    def _srem(self, key: bytes, *members: bytes) -> int:
        held = self._held(key, set())
        before = len(held)
        held.difference_update(members)
        if before and not held:
            self._drop(key)
        return before - len(held)

    def _smembers(self, key: bytes) -> list[bytes]:
        return sorted(self._held(key, set()))

    def _sismember(self, key: bytes, member: bytes) -> int:
        return int(member in self._held(key, set()))

    def _xadd(self, key: bytes, at: tuple[int, int], *fields: bytes, most: int = 0) -> None:
        held = self._make(key, [])
        held.append((at, list(fields)))
        if most:
            del held[:-most]

    def _xrange(self, key: bytes, first: bytes, last: bytes, *options: bytes) -> list[list[Any]]:
        low, count = _stream_id(first), int(options[1]) if options else 1 << 30
        found = [e for e in self._held(key, []) if e[0] >= low and (last == b"+" or e[0] <= _stream_id(last))]
        return [[b"%d-%d" % at, list(fields)] for at, fields in found[:count]]

    def after(self, streams: dict[str, str], count: int) -> dict[bytes, list[tuple[bytes, list[bytes]]]]:
        """Entries of streams after an id of each."""
        found = {}
        for name, last in streams.items():
            low = _stream_id(last.encode())
            entries = [e for e in self._held(name.encode(), []) if e[0] > low][:count]
            if entries:
                found[name.encode()] = [(b"%d-%d" % at, list(fields)) for at, fields in entries]
        return found

    # -- the script ----------------------------------------------------------------------------------------

    def script(self, form: str, names: Sequence[Argument], arguments: Sequence[Argument]) -> Any:
        """``append.lua`` in one of its forms; an error as it is."""
        if self.is_full and form == "append":
            return redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        keys, values = [to_bytes(n) for n in names], [to_bytes(a) for a in arguments]
        verb = values[2].decode()
        if verb in ("erase", "beat", "ring"):
            self._begin_write()
            answer = getattr(self, f"_verb_{verb}")(keys[0], *values[3:])
            self.wake()
            return answer
        made, me = values[0], values[1]
        found = self._hget(keys[0], b"d")
        if found is None:
            return _refusal("NOCOLLECTION it was deleted")
        if not found.startswith(made):
            if found[:16] != made[:16]:
                return _refusal("NOCOLLECTION it was deleted and made again")
            return _refusal("FINGERPRINT it was made with other parameters")
        if self._hget(keys[0], b"i" + me) == b"retired":
            return _refusal("RETIRED by another server")
        self._begin_write()
        answer = getattr(self, f"_verb_{verb}")(keys, me, *values[3:])
        self.wake()
        return answer

    def _verb_erase(self, key: bytes, *parts: bytes) -> int:
        if not self._exists(key):
            return 0
        for at, size in zip(parts[::2], parts[1::2], strict=True):
            self._setrange(key, at, bytes(int(size)))
        if not any(cast("bytes", self.keys[key])):
            self._drop(key)
        return 1

    def _verb_beat(self, key: bytes, milliseconds: bytes) -> bytes | None:
        return self._set(key, b"1", b"PX", milliseconds)

    def _verb_ring(self, key: bytes, milliseconds: bytes) -> int:
        held = self._held(key, [])
        last = held[-1][0] if held else (0, 0)
        moment = int(1000 * self._now())
        at = (moment, 0) if (moment, 0) > last else (last[0], last[1] + 1)
        self._xadd(key, at, b"e", b"1", most=1)
        self._expires[key] = self._now() + int(milliseconds) / 1000
        return 1

    def _verb_append(
        self, keys: list[bytes], me: bytes, counter: bytes, nonce: bytes, entry: bytes, retires: bytes = b""
    ) -> Any:
        own, number = keys[0], int(counter)
        last = self._hget(own, b"i" + me)
        seen, where = (int(part) for part in last.split(b":")) if last else (0, 0)
        if number <= seen:
            return [where if number == seen else 0, b"", 1]
        if number > seen + 1:
            return _refusal(f"GAP after entry {seen}")
        if retires and self._hget(own, b"i" + retires) == b"retired":
            return [0, b"", 0]
        before = self._hget(own, b"n") or bytes(16)
        position = int(self._hget(own, b"p") or 0) + 1
        held = self._held(keys[1], [])
        if held and held[-1][0] >= (position, 0):
            return _refusal("ERR the stream has a later entry")
        self._xadd(keys[1], (position, 0), b"e", nonce + before + entry)
        self._hset(own, b"p", b"%d" % position, b"n", nonce, b"i" + me, b"%d:%d" % (number, position))
        if retires:
            self._hset(own, b"i" + retires, b"retired")
        return [position, before, 0]

    def _verb_reserve(self, keys: list[bytes], me: bytes, count: bytes, *release: bytes) -> int:
        last = int(self._hget(keys[0], b"g") or 0)
        self._hset(keys[0], b"g", b"%d" % (last + int(count)), b"w%s:%d" % (me, last + 1), count)
        self._hdel(keys[0], *(b"w%s:%s" % (me, first) for first in release))
        return last + 1

    def _verb_erased(self, keys: list[bytes], _: bytes, count: bytes) -> int:
        if int(self._hget(keys[0], b"x") or 0) < int(count):
            self._hset(keys[0], b"x", count)
        return 1

    def _verb_delete(self, keys: list[bytes], _: bytes, member: bytes) -> int:
        self.keys[keys[1]] = self.keys.pop(keys[0])
        self._sadd(keys[2], member)
        return 1


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one exchange with the store.

    It takes ``before`` seconds to get there and ``after`` to come back. ``part`` of its commands are done, of which
    others may come in between (None: all of them). ``answered``: the answer comes; else the connection is lost.
    ``late``: so many seconds later all commands arrive once more, as a lost connection had left them under way.
    ``again``: how many entries that were read before a read of streams gives once more.
    """

    before: float = 0.0
    after: float = 0.0
    part: int | None = None
    answered: bool = True
    late: float | None = None
    again: int = 0


class View:
    """The store as one server sees it; it stands for :class:`dedup.store.connection.Store`."""

    is_cluster = False

    def __init__(self, world: World, fate: Callable[[str], Fate]) -> None:
        self._world = world
        self._fate = fate
        self._gate = asyncio.Event()
        self._gate.set()
        self._late: set[asyncio.Task[None]] = set()
        #: Moves on when the connection breaks.
        self.broken = 0
        world.connect(self)

    def freeze(self) -> None:
        """Answer nothing until :meth:`thaw`: the server stands still."""
        self._gate.clear()

    def thaw(self) -> None:
        """Go on."""
        self._gate.set()

    @property
    def is_frozen(self) -> bool:
        """Whether the server stands still."""
        return not self._gate.is_set()

    async def _pass(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        while not self._gate.is_set():
            await self._gate.wait()

    async def _exchange(
        self, kind: str, work: Sequence[Callable[[], Any]], doubt: Callable[[], None] | None = None
    ) -> list[Any]:
        """Have commands done, in order; others may be done in between."""
        fate = self._fate(kind)
        await self._pass(fate.before)
        if fate.late is not None:
            task = asyncio.create_task(self._do_late(fate.late, work))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            if doubt is not None:
                doubt()
        answers = []
        for number, each in enumerate(work):
            if number == fate.part:
                break
            if number and fate.after:
                await asyncio.sleep(0)
            answers.append(each())
        await self._pass(fate.after)
        if not fate.answered or fate.part is not None:
            if doubt is not None:
                doubt()
            raise StoreUnavailable("the store does not answer: the connection was lost")
        return answers

    @staticmethod
    async def _do_late(seconds: float, work: Sequence[Callable[[], Any]]) -> None:
        await asyncio.sleep(seconds)
        for each in work:
            each()

    # -- as Store has them ---------------------------------------------------------------------------------

    async def call(self, *command: Argument) -> Any:
        """Run one command."""
        return (await self.pipeline([command]))[0]

    async def pipeline(
        self, commands: Sequence[Command], *, acknowledged: bool = False, raise_on_error: bool = True
    ) -> list[Any]:
        """Run commands in one round trip."""
        del acknowledged
        if not commands:
            return []
        work = [partial(self._world.run, each) for each in commands]
        answers = await self._exchange(str(commands[0][0]), work)
        for index, answer in enumerate(answers):
            if isinstance(answer, Exception):
                answers[index] = translate(answer, str(commands[index][0]))
                if raise_on_error:
                    raise answers[index]
        return answers

    async def run(self, script: str, names: Sequence[str], *arguments: Argument) -> Any:
        """Run a script in one of its forms."""
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
        """Run scripts in one round trip."""
        del ordered, acknowledged
        work = [partial(self._world.script, *each) for each in calls]
        answers = await self._exchange(str(calls[0][2][2]), work, on_doubt)
        return [translate(a, "EVALSHA") if isinstance(a, Exception) else a for a in answers]

    async def read_streams(
        self, after: dict[str, str], milliseconds: int, count: int
    ) -> dict[bytes, list[tuple[bytes, list[bytes]]]]:
        """New entries of streams."""
        fate = self._fate("XREAD")
        connection = self.broken
        await self._pass(fate.before)
        if fate.again:
            after = {key: _before(last, fate.again) for key, last in after.items()}
        deadline = asyncio.get_running_loop().time() + milliseconds / 1000
        while connection == self.broken:
            found = self._world.after(after, count + fate.again)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0:
                break
            await self._world.changed(left)
        await self._pass(fate.after)
        if connection != self.broken or not fate.answered or fate.part is not None:
            raise StoreUnavailable("the store does not answer: the connection was lost")
        return found

    async def acks(self) -> int:
        """No replicas."""
        return 0

    async def ping(self) -> bool:
        """Whether the store answers."""
        with contextlib.suppress(StoreUnavailable):
            return bool(await self.call("PING"))
        return False

    async def check(self) -> None:
        """It can do all that is needed."""
        await self.call("PING")

    async def close(self) -> None:
        """Nothing is open."""

    async def memory_bytes(self) -> int:
        """Not told."""
        return 0

    async def eviction_risk(self) -> str | None:
        """None."""
        return None

    async def fsync(self) -> str:
        """As if every write were on the disk at once."""
        return "always"


def _before(last: str, entries: int) -> str:
    position, _, rest = last.partition("-")
    return f"{max(0, int(position) - entries)}-{rest}" if rest == "0" else last


@contextlib.contextmanager
def full(world: World) -> Iterator[None]:
    """The world is out of memory meanwhile."""
    world.is_full = True
    try:
        yield
    finally:
        world.is_full = False
