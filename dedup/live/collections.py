"""Collections: creating, opening, describing and deleting them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Final

import orjson

from dedup.core.clustering import SettlingRules
from dedup.core.lsh import choose
from dedup.core.sketch import SketchParameters
from dedup.errors import AlreadyExists, InvalidArgument, NotFound, ParametersMismatch, Reason
from dedup.live.ingest import Ingest
from dedup.live.listing import bad_token
from dedup.live.matching import Matcher, TextCache
from dedup.live.room import Room
from dedup.live.settling import Settler
from dedup.live.sweeping import Sweeper
from dedup.model import CollectionParameters, CollectionStatus, Page, Rules
from dedup.store import keys
from dedup.store.redis_index import RedisIndex

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dedup.config import Settings
    from dedup.store.connection import Store

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PROFILES: Final = ("passages", "copies")
_RANGES: Final = {
    "shingle_size": (2, 16),
    "window": (1, 64),
    "permutations": (16, 1024),
    "seed": (0, 2**32 - 1),
    "landmarks": (2, 1000),
    "minimum_words": (1, 10_000),
    "match_window_days": (0, 36_500),
    "story_span_days": (0, 36_500),
}
#: Most words that a rule may ask for; shares are above 0 and up to 1.
_RULE_WORDS: Final = 1_000


def fingerprint(parameters: CollectionParameters) -> str:
    """What an index built with these parameters by this release is known by."""
    return f"{SketchParameters.of(parameters).fingerprint()}-{keys.LAYOUT_VERSION}"


def check_parameters(parameters: CollectionParameters) -> None:
    """Raises InvalidArgument naming the first parameter that is out of range and its limits."""
    if parameters.profile not in _PROFILES:
        message = f"profile must be one of {', '.join(_PROFILES)}, not {parameters.profile!r}"
        raise InvalidArgument(message, field="profile")
    for name, (low, high) in _RANGES.items():
        value = getattr(parameters, name)
        if not low <= value <= high:
            message = f"{name} must be from {low} to {high}, not {value}"
            raise InvalidArgument(message, field=name, minimum=low, maximum=high)
    try:
        choose(parameters.band_threshold, parameters.permutations)
    except ValueError as error:
        raise InvalidArgument(str(error), field="band_threshold") from error
    if parameters.same_story and not parameters.keep_text:
        raise InvalidArgument(
            "same_story needs keep_text: seven bits a word tell no pairs", field="same_story"
        )
    _check_rules(parameters.rules)


def _check_rules(rules: Rules) -> None:
    for field in fields(Rules):
        name, value = f"rules.{field.name}", getattr(rules, field.name)
        if isinstance(field.default, float):
            if not 0 < value <= 1:
                message = f"{name} must be above 0 and up to 1, not {value}"
                raise InvalidArgument(message, field=name, minimum=0, maximum=1)
        elif not 1 <= value <= _RULE_WORDS:
            message = f"{name} must be from 1 to {_RULE_WORDS}, not {value}"
            raise InvalidArgument(message, field=name, minimum=1, maximum=_RULE_WORDS)


def _decode(raw: bytes) -> CollectionParameters:
    """Parameters as stored: what an older release did not know has its default, what this one does not is left out."""
    known = {f.name for f in fields(CollectionParameters)}
    given = {name: value for name, value in orjson.loads(raw).items() if name in known}
    of_rules = {f.name for f in fields(Rules)}
    rules = {name: value for name, value in given.pop("rules", {}).items() if name in of_rules}
    return CollectionParameters(**given, rules=Rules(**rules))


class Collections:
    """The collections of one store; each is opened once and kept."""

    def __init__(self, store: Store, settings: Settings, pool: Executor, cache: TextCache) -> None:
        self._store = store
        self._settings = settings
        self._pool = pool
        self._cache = cache
        self._rooms: dict[str, Room] = {}
        self._opening = asyncio.Lock()

    async def open_all(self) -> None:
        """Open every collection of the store: check its parameters, take up unfinished work.

        Raises:
            ParametersMismatch: one was built by a release that computes other postings.
        """
        for name in await self.names():
            await self.get(name)

    async def names(self) -> list[str]:
        """All collections, sorted."""
        return sorted(name.decode() for name in await self._store.call("SMEMBERS", keys.COLLECTIONS))

    async def find(self, name: str) -> Room | None:
        """An open collection, or None where it does not exist."""
        room = self._rooms.get(name)
        if room is not None:
            return room
        async with self._opening:
            if name in self._rooms:
                return self._rooms[name]
            if not await self._store.call("SISMEMBER", keys.COLLECTIONS, name):
                return None
            return await self._open(name)

    async def get(self, name: str) -> Room:
        """An open collection; raises NotFound where it does not exist."""
        room = await self.find(name)
        if room is None:
            message = f"there is no collection {name!r}"
            raise NotFound(message, Reason.COLLECTION_NOT_FOUND, collection=name)
        return room

    async def for_writing(self, name: str) -> Room:
        """An open collection, created with default parameters where it does not exist."""
        room = self._rooms.get(name) or await self.find(name)
        if room is None:
            with contextlib.suppress(AlreadyExists):  # another writer was first
                await self.create(name, CollectionParameters())
            room = await self.get(name)
        return room

    async def create(self, name: str, parameters: CollectionParameters) -> None:
        """Create a collection; raises AlreadyExists or InvalidArgument."""
        if not _NAME.fullmatch(name):
            message = f"collection {name!r}: a name is 1 to 63 of a-z, 0-9, '-', '_', and begins with a letter or digit"
            raise InvalidArgument(message, field="collection", limit=63)
        check_parameters(parameters)
        meta = f"{keys.prefix(name)}m"
        described = orjson.dumps(asdict(parameters))
        first = await self._store.call("HSETNX", meta, "parameters", described)
        if not first and await self._store.call("SISMEMBER", keys.COLLECTIONS, name):
            message = f"collection {name!r} exists"
            raise AlreadyExists(message, Reason.COLLECTION_EXISTS, collection=name)
        await self._store.call(
            "HSET", meta, "fingerprint", fingerprint(parameters), "created", repr(time.time())
        )
        await self._store.call("SADD", keys.COLLECTIONS, name)

    async def _open(self, name: str) -> Room:
        parameters, stored, _ = await self._meta(name)
        if stored != fingerprint(parameters):
            message = (
                f"collection {name!r} was built with parameters {stored}, this server has {fingerprint(parameters)}: "
                "use the release that built it, or export and ingest it anew"
            )
            raise ParametersMismatch(
                message, collection=name, stored=stored, computed=fingerprint(parameters)
            )
        index = RedisIndex(self._store, name, parameters.landmarks)
        matcher = Matcher(index, parameters, self._cache, self._pool)
        room = Room(name, parameters, index, matcher)
        room.settler = Settler(index, SettlingRules(story_span=parameters.story_span_days * 86400.0))
        room.ingest = Ingest(
            room,
            self._pool,
            max_matches=self._settings.max_matches,
            settle_seconds=self._settings.settle_wait_milliseconds / 1000,
        )
        room.sweeper = Sweeper(
            index,
            parameters,
            matcher,
            self._settings.recovery_seconds,
            room.ingest.finish,
            room.settler.wake,
            lambda: room.ingest.running > 0,
        )
        room.settler.start()
        room.sweeper.start()
        room.settler.wake()
        room.sweeper.wake()
        self._rooms[name] = room
        return room

    async def _meta(self, name: str) -> tuple[CollectionParameters, str, float]:
        raw, stored, created = await self._store.call(
            "HMGET", f"{keys.prefix(name)}m", "parameters", "fingerprint", "created"
        )
        if raw is None or stored is None or created is None:
            message = f"collection {name!r} has no parameters in the store"
            raise ParametersMismatch(message, collection=name)
        return _decode(raw), stored.decode(), float(created)

    async def status(self, name: str) -> CollectionStatus:
        """A collection with its counters; raises NotFound."""
        room = await self.get(name)
        _, stored, created = await self._meta(name)
        counts = await room.index.counts()
        return CollectionStatus(
            name=name,
            parameters=room.parameters,
            fingerprint=stored,
            articles=counts["articles"],
            texts=counts["texts"],
            clusters=counts["clusters"],
            stories=counts["stories"],
            pending=counts["pending"] + counts["recheck"] + counts["shrink"] + counts["dead"],
            dirty=counts["dirty"],
            store_memory_bytes=await self._store.memory_bytes(),
            created=created,
        )

    async def list(self, page_size: int, page_token: str) -> Page[CollectionStatus]:
        """Collections by name; a token is the last name of its page."""
        if page_token and not _NAME.fullmatch(page_token):
            raise bad_token()
        names = [name for name in await self.names() if name > page_token]
        items = []
        for name in names[:page_size]:
            with contextlib.suppress(NotFound):  # deleted in between
                items.append(await self.status(name))
        return Page(tuple(items), names[page_size - 1] if len(names) > page_size else "")

    async def leave(self, room: Room) -> None:
        """Close a collection that is no longer in the store, so that it is looked for anew."""
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]
        await room.settler.stop()
        await room.sweeper.stop()

    async def delete(self, name: str) -> None:
        """Remove a collection and all its keys; raises NotFound."""
        room = await self.get(name)
        await self._store.call("SREM", keys.COLLECTIONS, name)
        await self.leave(room)
        cursor: int | bytes = 0
        while True:
            cursor, found = await self._store.call(
                "SCAN", cursor, "MATCH", f"{keys.prefix(name)}*", "COUNT", 1000
            )
            if found:
                await self._store.call("UNLINK", *found)
            if int(cursor) == 0:
                return

    async def close(self) -> None:
        """Stop all background work."""
        for room in self._rooms.values():
            await room.settler.stop()
            await room.sweeper.stop()
