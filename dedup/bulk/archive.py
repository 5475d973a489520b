"""Where the text and the words of every article are, under the number of its record."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from dedup.bulk.storage import Storage
from dedup.bulk.tasks import Delivery, Part

#: Articles whose words are kept are those of so many parts.
WORD_SLOTS: Final = 400
#: Bytes that the words of one part may take.
WORD_SLOT_BYTES: Final = 1 << 19
#: Bytes that the lines of one part may take, else they go through the connection.
LINE_SLOT_BYTES: Final = 1 << 20
_PAGE: Final = 4096


class LineSlots:
    """Space for lines on their way to a worker, so that they need not go through its connection."""

    def __init__(self, storage: Storage, count: int) -> None:
        self._storage = storage
        self._free = [place * LINE_SLOT_BYTES for place in range(count)]

    def put(self, deliveries: Sequence[Delivery]) -> tuple[Sequence[Delivery], int]:
        """The same with the bytes of each line instead of the line, and where they are; or as it is and -1."""
        lines = [each for each, _ in deliveries if isinstance(each, bytes)]
        if not self._free or len(lines) < len(deliveries) or sum(map(len, lines)) > LINE_SLOT_BYTES:
            return deliveries, -1
        at = self._free.pop()
        self._storage.write(at, lines)
        return [(len(line), time) for line, (_, time) in zip(lines, deliveries, strict=True)], at

    def give_back(self, at: int) -> None:
        """The lines there have been read."""
        if at >= 0:
            self._free.append(at)


class Archive:
    """Gives out room in two storages, and knows what came to stand where.

    Records of texts stay. Words of the last :data:`WORD_SLOTS` parts are kept. What comes later is written over the
    oldest; so a slot is asked for only while nobody reads words.
    """

    def __init__(self, texts: Storage, words: Storage) -> None:
        self._texts = texts
        self._words = words
        self._stop = 0
        self._at = array("Q", [0])
        self._size = array("I", [0])
        self._digests = bytearray(16)
        self._agencies: dict[int, tuple[str, ...]] = {}
        self._words_of: dict[int, tuple[int, int, int]] = {}
        self._filled: deque[tuple[int, range]] = deque()
        self._slots = 0

    def __len__(self) -> int:
        return len(self._at) - 1

    def reserve(self, size: int) -> int:
        """Where ``size`` bytes of records may be written, on pages of their own."""
        at = self._stop
        self._stop += -(-size // _PAGE) * _PAGE
        return at

    def slot(self) -> int:
        """Where the words of one part may be written, :data:`WORD_SLOT_BYTES`."""
        if len(self._filled) < WORD_SLOTS:
            self._slots += 1
            return (self._slots - 1) * WORD_SLOT_BYTES
        at, records = self._filled.popleft()
        gone = [self._words_of.pop(record, _NOWHERE)[0] for record in records]
        self._words.forget(gone)
        return at

    def add(self, part: Part, slot: int) -> range:
        """Keep where the articles of a part are; the numbers of their records."""
        at = part.at
        if part.late:
            at = self.reserve(sum(map(len, part.late)))
            self._texts.write(at, part.late)
        first = len(self._at)
        ends = np.cumsum(part.sizes)
        self._at.frombytes((at + ends - part.sizes).astype(np.uint64).tobytes())
        self._size.frombytes(part.sizes.astype(np.uint32).tobytes())
        rows = part.packed.rows
        self._digests += np.stack([rows["high"], rows["low"]], axis=1).astype(">u8").tobytes()
        for i, agencies in part.agencies.items():
            self._agencies[first + i] = agencies
        for record, words in enumerate(part.words.tolist(), first):
            if words[0] >= 0:
                self._words_of[record] = tuple(words)
        records = range(first, len(self._at))
        self._filled.append((slot, records))
        return records

    def place(self, record: int) -> tuple[int, int]:
        """Where the text is, and of how many bytes."""
        return self._at[record], self._size[record]

    def words(self, record: int) -> tuple[int, int, int]:
        """Where the words are, how many tokens and window minima; -1, 0, 0 where they are not kept."""
        return self._words_of.get(record, _NOWHERE)

    def described(self, record: int) -> tuple[bytes, tuple[str, ...]]:
        """The digest of the body, and the agencies credited."""
        return bytes(self._digests[16 * record : 16 * record + 16]), self._agencies.get(record, ())


_NOWHERE: Final = (-1, 0, 0)
