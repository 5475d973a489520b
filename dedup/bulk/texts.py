"""Texts made ready to be verified, with what is boilerplate in them masked; those used last are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dedup.bulk.archive import Archive
from dedup.core.candidates import usable_tokens
from dedup.core.prepare import read_body
from dedup.core.sketch import Sketch, SketchParameters, sketch
from dedup.core.text import Tokens
from dedup.core.verify import ComparableText, comparable
from dedup.model import CollectionParameters
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader

#: Texts kept; one of 500 words takes some 10 KB.
KEPT: Final = 16_384
#: Articles whose words are kept as they came.
FRESH: Final = 4096


def masked(
    tokens: Tokens,
    digest: bytes,
    mask: NDArray[np.uint64],
    made: Sketch | None,
    parameters: CollectionParameters,
) -> ComparableText:
    """A text of which the words behind some postings are no evidence."""
    usable = None
    if len(mask):
        made = made or sketch(tokens, SketchParameters.of(parameters))
        flags = np.isin(made.postings, mask)
        usable = usable_tokens(made, flags, len(tokens), parameters.shingle_size)
    return comparable(tokens, digest, parameters.shingle_size, usable)


class Texts:
    """The texts of a collection as they are compared now."""

    def __init__(self, collection: Collection, archive: Archive) -> None:
        self._collection = collection
        self._reader = CollectionReader(collection)
        self._archive = archive
        self._held: OrderedDict[int, tuple[tuple[int, int], ComparableText]] = OrderedDict()
        self._fresh: OrderedDict[int, tuple[Tokens, Sketch]] = OrderedDict()

    def offer(self, record: int, tokens: Tokens, made: Sketch) -> None:
        """The words of an article that has just come; if they are to be compared, they need not be read again."""
        self._fresh[record] = tokens, made

    def plan(self, texts: Sequence[int]) -> list[tuple[int, tuple[int, int], NDArray[np.uint64]]]:
        """Text, what its form depends on (record, mask), and mask, of those that are not held in that form now."""
        counts, names = self._collection.masks(texts)
        missing = []
        for text, count, name in zip(texts, counts.tolist(), names.tolist(), strict=True):
            held = self._held.get(text)
            form = (self._reader.reading_of(text)[1], name)
            if held is not None and held[0] == form:
                self._held.move_to_end(text)
                continue
            missing.append((text, form, self._collection.mask(text) if count else _NONE))
        return missing

    def make(self, text: int, form: tuple[int, int], mask: NDArray[np.uint64]) -> ComparableText:
        """Make a text ready from its record; may be called by any thread."""
        parameters, fresh = self._collection.parameters, self._fresh.get(form[0])
        if fresh is not None:
            return masked(fresh[0], self._reader.digest_of(text), mask, fresh[1], parameters)
        tokens = read_body(*self._archive.text(form[0]), parameters)
        return masked(tokens, self._reader.digest_of(text), mask, None, parameters)

    def keep(self, text: int, form: tuple[int, int], ready: ComparableText) -> None:
        """Hold a text in a form."""
        self._held[text] = form, ready
        self._held.move_to_end(text)

    def get(self, text: int) -> ComparableText:
        """A text that was planned, and made."""
        return self._held[text][1]

    def prune(self) -> None:
        """Let go of those that were used least recently."""
        while len(self._held) > KEPT:
            self._held.popitem(last=False)
        while len(self._fresh) > FRESH:
            self._fresh.popitem(last=False)


_NONE: Final = np.empty(0, np.uint64)
