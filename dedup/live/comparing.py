"""Texts made ready to be compared, and pairs of them compared.

What a text looks like to a comparison depends on the record that is read (of equal bodies the one with the least
reading) and on what is boilerplate in it now, its mask. Both are told by the state at one position. So a *plan* is made
of the state without waiting for anything; then records are read and words made of them, in worker threads.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from dedup.core.candidates import usable_tokens
from dedup.core.prepare import read_body
from dedup.core.sketch import SketchParameters, sketch
from dedup.core.verify import ComparableText, comparable
from dedup.core.verify_pair import VerifiedMatch, verify_each
from dedup.model import TextNumber
from dedup.observability import CANDIDATES, MATCHES, stage
from dedup.store import payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from dedup.core.sketch import Sketch
    from dedup.core.text import Tokens
    from dedup.live.archive import Archive
    from dedup.live.follower import Follower
    from dedup.model import CollectionParameters

#: Articles whose words are kept as they came, until they are compared.
_FRESH: Final = 2048
#: Comparisons of one piece of work of a thread.
_PIECE: Final = 256
_NO_POSTINGS: Final = np.empty(0, np.uint64)


class MatchedText(msgspec.Struct, frozen=True, gc=False):
    """A text that another one was compared with: its number, and the id that it is shown under."""

    text: TextNumber
    id: str = ""


class Form(msgspec.Struct, frozen=True, gc=False):
    """What a text looks like now: whose record is read, under which mask."""

    record: int
    mask: int


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A text to be made ready, in a form, with the postings that are boilerplate in it."""

    text: int
    digest: bytes
    form: Form
    mask: NDArray[np.uint64]


class Plan(msgspec.Struct, frozen=True, gc=False):
    """Texts as they are compared at one position: those at hand, and those to be made."""

    ready: dict[int, ComparableText]
    missing: list[Wanted]


class TextCache:
    """Texts ready to be compared; the least recently used go first. One for all collections of a server."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[tuple[object, int], tuple[Form, ComparableText]] = OrderedDict()

    def get(self, owner: object, text: int, form: Form) -> ComparableText | None:
        """A text in a form, or None."""
        held = self._held.get((owner, text))
        if held is None or held[0] != form:
            return None
        self._held.move_to_end((owner, text))
        return held[1]

    def put(self, owner: object, text: int, form: Form, ready: ComparableText) -> None:
        """Hold a text in a form, instead of any other."""
        self._held[owner, text] = form, ready
        self._held.move_to_end((owner, text))
        while len(self._held) > self._limit:
            self._held.popitem(last=False)


class Pairing(msgspec.Struct, gc=False, kw_only=True):
    """A text and those it is to be compared with. ``found`` gets what it shares with whom it shares something."""

    text: int
    others: Sequence[int]
    found: dict[int, VerifiedMatch[MatchedText]] = msgspec.field(default_factory=dict)


class Comparer:
    """Makes texts ready and compares them; one a collection."""

    def __init__(
        self,
        follower: Follower,
        archive: Archive,
        parameters: CollectionParameters,
        cache: TextCache,
        pool: Executor,
    ) -> None:
        self._follower = follower
        self._archive = archive
        self._parameters = parameters
        self._cache = cache
        self._pool = pool
        self._fresh: OrderedDict[int, tuple[Tokens, Sketch]] = OrderedDict()

    def offer(self, record: int, tokens: Tokens, made: Sketch) -> None:
        """The words of an article that has just come: if they are compared soon, its record need not be read."""
        self._fresh[record] = tokens, made
        while len(self._fresh) > _FRESH:
            self._fresh.popitem(last=False)

    # -- making texts ready ------------------------------------------------------------------------------

    def plan(self, texts: Iterable[int]) -> Plan:
        """What texts look like now; the state is read, so nothing may be awaited since it was steady.

        Texts that were removed meanwhile, and that nobody has to decide about, are left out.
        """
        state, reader = self._follower.collection, self._follower.reader
        wanted = [text for text in sorted(set(texts)) if reader.is_kept(text)]
        counts, names = state.masks(wanted)
        ready: dict[int, ComparableText] = {}
        missing = []
        for text, count, name in zip(wanted, counts.tolist(), names.tolist(), strict=True):
            form = Form(reader.reading_of(text)[1], name)
            held = self._cache.get(state, text, form)
            if held is not None:
                ready[text] = held
                continue
            mask = state.mask(text) if count else _NO_POSTINGS
            missing.append(Wanted(text=text, digest=reader.digest_of(text), form=form, mask=mask))
        return Plan(ready, missing)

    async def make(self, plan: Plan) -> dict[int, ComparableText]:
        """The texts of a plan; those whose record is gone are left out."""
        if not plan.missing:
            return plan.ready
        state = self._follower.collection
        unread = [w.form.record for w in plan.missing if w.form.record not in self._fresh]
        packed: dict[int, bytes] = {}
        if unread:
            with stage("read_articles"):
                packed = await self._archive.packed(unread)
        fresh = {w.form.record: self._fresh.get(w.form.record) for w in plan.missing}
        made = await asyncio.get_running_loop().run_in_executor(
            self._pool, self._make_each, plan.missing, fresh, packed
        )
        for wanted, text in made:
            plan.ready[wanted.text] = text
            self._cache.put(state, wanted.text, wanted.form, text)
        return plan.ready

    def _make_each(
        self,
        missing: Sequence[Wanted],
        fresh: dict[int, tuple[Tokens, Sketch] | None],
        packed: dict[int, bytes],
    ) -> list[tuple[Wanted, ComparableText]]:
        out = []
        with stage("tokenize_stored"):
            for wanted in missing:
                known = fresh[wanted.form.record]
                if known is not None:
                    tokens, made = known
                    out.append((wanted, masked(tokens, wanted.digest, wanted.mask, made, self._parameters)))
                elif wanted.form.record in packed:
                    tokens = self.tokens_of(packed[wanted.form.record])
                    out.append((wanted, masked(tokens, wanted.digest, wanted.mask, None, self._parameters)))
        return out

    def tokens_of(self, packed: bytes) -> Tokens:
        """The words of a record; may be called by any thread."""
        kept = payload.decode(packed, self._archive.codec)
        return kept.reduced or read_body(kept.headline, kept.body, self._parameters)

    def plain(self, packed: bytes, digest: bytes) -> ComparableText:
        """A record ready to be compared, without a mask."""
        return masked(self.tokens_of(packed), digest, _NO_POSTINGS, None, self._parameters)

    async def ready(self, texts: Iterable[int]) -> dict[int, ComparableText]:
        """Texts as they are compared now; those whose record is gone are left out."""
        await self._follower.steady()
        return await self.make(self.plan(texts))

    async def shown(self, pairs: Iterable[tuple[int, int]]) -> dict[int, ComparableText]:
        """Texts as they are compared now, with the places of their words in given articles that carry them.

        Args:
            pairs: text and number of the article.
        """
        await self._follower.steady()
        wanted = dict(pairs)
        reader = self._follower.reader
        plan = self.plan(wanted)
        elsewhere: dict[int, int] = {}
        for text, number in wanted.items():
            article = reader.article(number)
            if article is not None and article.record != reader.reading_of(text)[1]:
                elsewhere[text] = article.record
        ready = dict(await self.make(plan))
        if elsewhere and self._parameters.keep_text:
            packed = await self._archive.packed(elsewhere.values())
            for text, record in elsewhere.items():
                if text in ready and record in packed:
                    tokens = self.tokens_of(packed[record])
                    ready[text] = with_places_of(ready[text], tokens)
        return ready

    # -- comparing ---------------------------------------------------------------------------------------

    async def compare(self, pairings: Sequence[Pairing], ready: dict[int, ComparableText]) -> None:
        """Fill in what texts share with others; what is not ``ready`` is passed over."""
        busy = [p for p in pairings if p.others and p.text in ready]
        parts: list[list[Pairing]] = [[]]
        size = 0
        for pairing in busy:
            if size >= _PIECE:
                parts.append([])
                size = 0
            parts[-1].append(pairing)
            size += len(pairing.others)
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._pool, self._compare, part, ready) for part in parts if part)
        )
        CANDIDATES.inc(sum(len(p.others) for p in busy))
        MATCHES.inc(sum(len(p.found) for p in busy))

    def _compare(self, part: Sequence[Pairing], ready: dict[int, ComparableText]) -> None:
        with stage("verify"):
            for pairing in part:
                others = [(MatchedText(TextNumber(o)), ready[o]) for o in pairing.others if o in ready]
                found = verify_each(ready[pairing.text], others, self._parameters.rules)
                pairing.found = {match.other.text: match for match in found}


def masked(
    tokens: Tokens,
    digest: bytes,
    mask: NDArray[np.uint64],
    made: Sketch | None,
    parameters: CollectionParameters,
) -> ComparableText:
    """A text of which the words behind some postings are no evidence."""
    if tokens.is_reduced:  # no text is kept that its words could point into
        nowhere = np.zeros(len(tokens), np.int32)
        tokens = msgspec.structs.replace(tokens, starts=nowhere, ends=nowhere)
    usable = None
    if len(mask):
        made = made or sketch(tokens, SketchParameters.of(parameters))
        flags = np.isin(made.postings, mask)
        usable = usable_tokens(made, flags, len(tokens), parameters.shingle_size)
    return comparable(tokens, digest, parameters.shingle_size, usable)


def with_places_of(text: ComparableText, tokens: Tokens) -> ComparableText:
    """A text whose words stand where they stand in another article that carries it."""
    moved = msgspec.structs.replace(text.tokens, starts=tokens.starts, ends=tokens.ends)
    return msgspec.structs.replace(text, tokens=moved)
