"""A collection's log: an ordered list of entries that servers append to and fold.

The log is a chain. Every entry carries its *nonce*, the incarnation of the server that wrote it and its number among
those, and the nonce of the entry before. Whoever finds another nonce than he folded knows that the store has lost a
tail, or was put back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dedup.errors import Reason, StoreUnavailable
from dedup.store import keys
from dedup.store.failures import CollectionGone, LogDiverged, MayYetCome, Retired, UnknownFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dedup.store.connection import Argument, Store

#: Bytes that a reader asks for at a time, by the sizes that it has seen.
READ_BYTES: Final = 1 << 20
#: Entries asked for at a time: at first, when none has been seen (one article may have 200 KB), and at most.
FIRST_ENTRIES: Final = 4
MOST_ENTRIES: Final = 256
#: Bytes of an entry that fill a size class of the store's allocator (57,344 bytes) but for what the store adds.
ENTRY_BYTES: Final = 57_344 - 96


class Nonce(NamedTuple):
    """Who wrote an entry, and the entry's number among those that he wrote."""

    incarnation: int
    counter: int


class LogEntry(NamedTuple):
    """An entry of a log; ``raw`` as in :mod:`dedup.state.entries`."""

    position: int
    nonce: Nonce
    before: Nonce
    raw: bytes


class End(NamedTuple):
    """The last entry of a log; position 0 in an empty one."""

    position: int
    nonce: Nonce


class Outgoing(NamedTuple):
    """An entry to be appended; ``is_arrival``: a store that is out of memory refuses it; ``retires`` an incarnation."""

    counter: int
    raw: bytes
    is_arrival: bool
    retires: int = 0


class Appended(NamedTuple):
    """An entry stands in the log.

    ``seen``: it was appended before; ``before`` is None then, and ``position`` 0 where only the log itself tells it.
    Position 0 and not ``seen``: the incarnation that it retires is retired already, nothing was appended.
    """

    position: int
    before: Nonce | None
    seen: bool


class Log:
    """The log of one collection in one epoch."""

    def __init__(self, store: Store, name: str, epoch: str, fingerprint: str) -> None:
        self._store = store
        self.name = name
        self.key = keys.log(name, epoch)
        self.tag = keys.tag(name)
        self._own = keys.own(name)
        self._made = first_line(epoch, fingerprint)
        #: How large entries are, as seen by all who read through this object.
        self.sizes = Sizes()
        #: Of an incarnation the last counter that may yet be appended under after its answer, see :meth:`append`.
        self._doubtful: dict[int, int] = {}

    def _command(self, incarnation: int, *arguments: Argument) -> tuple[Argument, ...]:
        return (self._made, str(incarnation), *arguments)

    async def end(self) -> End:
        """The last entry.

        Raises:
            CollectionGone: the collection was deleted.
        """
        made, position, nonce = await self._store.call("HMGET", self._own, "d", "p", "n")
        if made is None or not made.startswith(self._made[:17].encode()):
            raise CollectionGone("the collection was deleted meanwhile")
        return End(int(position or 0), Nonce(*keys.NONCE.unpack(nonce)) if nonce else Nonce(0, 0))

    async def append(
        self, incarnation: int, entries: Sequence[Outgoing]
    ) -> list[Appended | StoreUnavailable]:
        """Append entries in order, and wait for replicas; what became of each.

        Behind one that is refused all are refused, as the order would be lost. One that is refused for lack of memory
        may be given up, and gives its number to the next one; unless it was ever sent without an answer: that copy may
        yet arrive, and would be taken for the next one. It is answered ``MayYetCome`` then: its server has to go on
        under a new incarnation, and keeps what the entry names. After any other failure the same has to be sent again.

        Args:
            incarnation: who appends.
            entries: ascending by counter, without gaps.

        Raises:
            StoreUnavailable: no answer came, or replicas are missing: nobody knows what was appended. Sending the same
                again appends nothing twice.
        """
        calls = []
        for e in entries:
            arguments: list[Argument] = ["append", e.counter, keys.NONCE.pack(incarnation, e.counter), e.raw]
            if e.retires:
                arguments.append(str(e.retires))
            script = "append" if e.is_arrival else "append+oom"
            calls.append((script, [self._own, self.key], self._command(incarnation, *arguments)))

        def doubt() -> None:
            last = max(self._doubtful.get(incarnation, 0), entries[-1].counter)
            self._doubtful[incarnation] = last

        answers = await self._store.run_each(calls, acknowledged=True, on_doubt=doubt)
        return self._outcomes(incarnation, entries, answers)

    def _outcomes(
        self, incarnation: int, entries: Sequence[Outgoing], answers: Sequence[Any]
    ) -> list[Appended | StoreUnavailable]:
        outcomes: list[Appended | StoreUnavailable] = []
        refused: StoreUnavailable | None = None
        for entry, said in zip(entries, answers, strict=True):
            answer = said
            if isinstance(answer, LogDiverged) and refused is not None:
                outcomes.append(StoreUnavailable("an entry before this one was refused", refused.reason))
            elif isinstance(answer, StoreUnavailable):
                refused = refused or answer
                full = answer.reason is Reason.STORE_OUT_OF_MEMORY
                if full and entry.counter <= self._doubtful.get(incarnation, 0):
                    answer = MayYetCome(
                        f"{answer.message}; an earlier copy may yet be appended", answer.reason
                    )
                outcomes.append(answer)
            else:
                position, before, seen = answer
                if not position and not seen:
                    refused = StoreUnavailable("the incarnation is retired already")
                outcomes.append(
                    Appended(int(position), Nonce(*keys.NONCE.unpack(before)) if before else None, bool(seen))
                )
        return outcomes

    async def read(self, after: int) -> list[LogEntry]:
        """The next entries, at most some megabyte of them by the sizes seen; none at the end of the log.

        Raises:
            UnknownFormat: an entry is of another release.
        """
        found = await self._store.call("XRANGE", self.key, f"{after + 1}-0", "+", "COUNT", self.sizes.entries)
        entries = [entry_of(raw_id, fields) for raw_id, fields in found]
        self.sizes.see(entries)
        return entries

    async def reserve(self, incarnation: int, pages: int, release: Sequence[int] = ()) -> int:
        """Take so many page numbers; the first of them. Blocks that begin with ``release`` need not be known more."""
        arguments = self._command(incarnation, "reserve", pages, *release)
        return int(await self._store.run("append", [self._own, self.key], *arguments))

    async def note_erased(self, incarnation: int, count: int) -> None:
        """Remember how many records of those that are gone have been erased."""
        arguments = self._command(incarnation, "erased", count)
        await self._store.run("append+oom", [self._own, self.key], *arguments)

    async def erased(self) -> int:
        """How many have been."""
        return int(await self._store.call("HGET", self._own, "x") or 0)

    async def blocks(self) -> dict[int, list[tuple[int, int]]]:
        """Pages reserved, by incarnation: the first of a block, and how many."""
        found: dict[int, list[tuple[int, int]]] = {}
        for field, value in (await self._fields()).items():
            if field[:1] == b"w":
                incarnation, _, first = field[1:].partition(b":")
                found.setdefault(int(incarnation), []).append((int(first), int(value)))
        return found

    async def incarnations(self) -> dict[int, tuple[int, int] | None]:
        """The servers that have written here: number and position of the last entry of each; None: retired."""
        found: dict[int, tuple[int, int] | None] = {}
        for field, value in (await self._fields()).items():
            if field[:1] == b"i":
                counter, _, position = value.partition(b":")
                found[int(field[1:])] = None if value == b"retired" else (int(counter), int(position))
        return found

    async def _fields(self) -> dict[bytes, bytes]:
        """All fields of the own key; none where the collection was deleted or made again."""
        flat = await self._store.call("HGETALL", self._own)
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return fields if fields.get(b"d", b"").startswith(self._made.encode()) else {}


class Sizes:
    """How large the entries of a log are, and so how many a reader asks for at a time."""

    def __init__(self) -> None:
        self.entries = FIRST_ENTRIES
        #: Bytes of the largest entry of the last answer; what a large one may have, where none has been seen.
        self.largest = ENTRY_BYTES

    def see(self, seen: Sequence[LogEntry]) -> None:
        """Learn from what was read: the largest of it decides, and it is at most twice as many as the last time."""
        if seen:
            self.largest = max(len(entry.raw) for entry in seen) + keys.CHAIN_BYTES
            self.entries = max(1, min(READ_BYTES // self.largest, 2 * self.entries, MOST_ENTRIES))


def first_line(epoch: str, fingerprint: str) -> str:
    """How what a collection was made with begins: epoch and fingerprint."""
    return f"{epoch}:{fingerprint}\n"


def entry_of(raw_id: bytes, fields: Sequence[bytes]) -> LogEntry:
    """An entry as a stream has it: its id, and fields and values in turn.

    Raises:
        UnknownFormat: it is of another release.
    """
    position, _, rest = raw_id.partition(b"-")
    if len(fields) != 2 or fields[0] != keys.ENTRY or len(fields[1]) < keys.CHAIN_BYTES or rest != b"0":
        message = f"entry {raw_id.decode()} of a log has a format that this release does not read"
        raise UnknownFormat(message)
    value = fields[1]
    return LogEntry(
        position=int(position),
        nonce=Nonce(*keys.NONCE.unpack_from(value)),
        before=Nonce(*keys.NONCE.unpack_from(value, keys.NONCE.size)),
        raw=value[keys.CHAIN_BYTES :],
    )


__all__ = [
    "Appended",
    "CollectionGone",
    "End",
    "Log",
    "LogDiverged",
    "LogEntry",
    "MayYetCome",
    "Nonce",
    "Outgoing",
    "Retired",
    "UnknownFormat",
    "entry_of",
    "first_line",
]
