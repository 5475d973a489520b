"""Where each text of a collection is, and the form in which it is compared now, for those who compare."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from dedup.bulk.archive import Archive
from dedup.bulk.tasks import Ref
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader

#: Texts whose form is remembered; one takes some 500 bytes.
KEPT: Final = 1 << 17


class Texts:
    """The texts of a collection."""

    def __init__(self, collection: Collection, archive: Archive) -> None:
        self._collection = collection
        self._reader = CollectionReader(collection)
        self._archive = archive
        self._held: OrderedDict[int, Ref] = OrderedDict()

    def refs(self, texts: Sequence[int]) -> list[Ref]:
        """Each text as it is compared now."""
        counts, names = self._collection.masks(texts)
        records = self._reader.records_of(texts)
        found = []
        for text, count, name, record in zip(texts, counts.tolist(), names.tolist(), records, strict=True):
            held = self._held.get(text)
            words_at, tokens, minima = self._archive.words(record)
            if held is not None and held.record == record and held.name == name and held.words_at == words_at:
                self._held.move_to_end(text)
                found.append(held)
                continue
            at, size = self._archive.place(record)
            made = Ref(
                text=text,
                digest=self._reader.digest_of(text),
                record=record,
                at=at,
                size=size,
                words_at=words_at,
                tokens=tokens,
                minima=minima,
                name=name,
                mask=self._collection.mask(text).tobytes() if count else b"",
            )
            self._held[text] = made
            found.append(made)
        return found

    def prune(self) -> None:
        """Let go of those that were used least recently."""
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
