"""The content of a collection, made from its surviving articles alone: the second opinion on the compiled fold.

Plain dicts and sets, every pair of texts that share a list looked at, nothing kept from one call to the next. Texts go
by the 16 bytes of their digests, articles by their ids, never by numbers, so that nothing can depend on an order.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

import xxhash

from bench.oracle import clusters as settling
from bench.oracle import package
from bench.oracle.clusters import Edge, Pair
from bench.oracle.content import ALL, DAY, PlainCarrier, PlainContent, difference, digest
from bench.oracle.package import Article, Body, CollectionParameters, PubStatus

__all__ = ["PlainCarrier", "PlainContent", "PlainFold", "Survivor", "content_of", "difference", "digest"]

#: Texts from which on a list can be boilerplate of all, and only half of its landmarks open it.
CROWD: Final = 100
#: A version is complete if it has this share of the words of the longest.
COMPLETE: Final = 0.8

Masks = Mapping[bytes, AbstractSet[int]]


# -- which article stands for an id ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Survivor:
    """An article that stands for its id, and when it arrived."""

    article: Article
    arrived: float


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of an id: the article that stands, None after a kill, and the versions to compare with."""

    survivor: Survivor | None
    version: int | None
    version_time: float | None


class PlainFold:
    """Holds what survives of the arrivals and removals of a collection."""

    def __init__(self, parameters: CollectionParameters | None = None) -> None:
        self.parameters = parameters or CollectionParameters()
        self._held: dict[str, _Held] = {}

    def arrive(self, articles: Sequence[Article], now: float) -> list[str]:
        """Articles in the order of the log; what became of each."""
        return [self._arrive(article, now) for article in articles]

    def remove(self, id: str) -> None:
        """A delete: a kill without version."""
        self.arrive([Article(id, pubstatus=PubStatus.CANCELED)], 0.0)

    def survivors(self) -> dict[str, Survivor]:
        """The articles that stand, by id."""
        return {id: held.survivor for id, held in self._held.items() if held.survivor is not None}

    def content(self) -> PlainContent:
        """Everything, from the survivors alone."""
        return content_of(self.survivors().values(), self.parameters)

    def _arrive(self, article: Article, now: float) -> str:
        held = self._held.get(article.id, _Held(None, None, None))
        if _is_older(article, held):
            return "stale"
        version = held.version if article.version is None else article.version
        version_time = held.version_time if article.version_time is None else article.version_time
        if article.pubstatus == PubStatus.CANCELED:
            self._held[article.id] = _Held(None, version, version_time)
            return "canceled"
        if held.survivor is not None and _sent(held.survivor.article) == _sent(article):
            self._held[article.id] = _Held(held.survivor, version, version_time)
            return "unchanged"
        self._held[article.id] = _Held(Survivor(article, now), article.version, article.version_time)
        return "created" if held.survivor is None else "replaced"


def _is_older(article: Article, held: _Held) -> bool:
    if article.version is not None and held.version is not None:
        return article.version < held.version
    if article.version_time is not None and held.version_time is not None:
        return article.version_time < held.version_time
    return False


def _sent(article: Article) -> Article:
    """What the publisher sent, without version and status."""
    return replace(article, version=None, version_time=None, pubstatus=PubStatus.USABLE)


# -- texts and posting lists -------------------------------------------------------------------------


def content_of(survivors: Iterable[Survivor], parameters: CollectionParameters) -> PlainContent:
    """The content that surviving articles make. Of equal bodies that with the smallest reading is verified."""
    bodies: dict[bytes, Body] = {}
    carriers: dict[bytes, list[PlainCarrier]] = defaultdict(list)
    for survivor in sorted(survivors, key=lambda s: s.article.id.encode()):
        body = package.read(survivor.article, parameters)
        if body.half_words >= 2 * parameters.minimum_words:
            known = bodies.setdefault(body.digest, body)
            if body.reading < known.reading:
                bodies[body.digest] = body
            carriers[body.digest].append(_carrier(survivor, body.half_words // 2))

    def verify(masks: Masks, pairs: AbstractSet[Pair]) -> dict[Pair, Edge]:
        return _verify(bodies, masks, pairs, parameters)

    postings = {text: body.postings for text, body in bodies.items()}
    return content_of_texts({t: tuple(c) for t, c in carriers.items()}, postings, parameters, verify)


def _carrier(survivor: Survivor, words: int) -> PlainCarrier:
    article = survivor.article
    dated = article.published is not None
    return PlainCarrier(
        id=article.id,
        outlet=outlet_of(article),
        published=survivor.arrived if article.published is None else article.published,
        dated=dated,
        words=words,
        agency=package.agency(article),
        credits=package.credited(article),
    )


def outlet_of(article: Article) -> int:
    """64 bits of the source; an article without one is an outlet of its own."""
    name = "s" + article.source if article.source else "a" + article.id
    return xxhash.xxh3_64_intdigest(name.encode())


def content_of_texts(
    texts: dict[bytes, tuple[PlainCarrier, ...]],
    postings: Mapping[bytes, frozenset[int]],
    parameters: CollectionParameters,
    verify: Callable[[Masks, AbstractSet[Pair]], dict[Pair, Edge]],
) -> PlainContent:
    """The content of texts with these postings; ``verify`` finds the edges among eligible pairs."""
    landmarks = parameters.landmarks
    collected: dict[int, set[bytes]] = defaultdict(set)
    for text in texts:
        for posting in postings[text]:
            collected[posting].add(text)
    lists = {posting: frozenset(members) for posting, members in collected.items()}
    boilerplate = {
        p: found for p, members in lists.items() if (found := _boilerplate(members, texts, landmarks))
    }
    masks = {}
    for text, carriers in texts.items():
        outlets = {ALL, *(c.outlet for c in carriers)}
        masks[text] = frozenset(p for p in postings[text] if outlets & boilerplate.get(p, frozenset()))
    eligible = frozenset(_eligible_pairs(texts, postings, lists, masks, parameters))
    edges = verify(masks, eligible)
    clusters, stories = _settle(texts, edges, parameters)
    groups = {posting: group_of(members, landmarks) for posting, members in lists.items()}
    return PlainContent(texts, lists, groups, boilerplate, masks, eligible, edges, clusters, stories)


def is_hot(members: frozenset[bytes], landmarks: int) -> bool:
    """Whether a list is too long for all its pairs to be compared."""
    return len(members) > landmarks


def group_of(members: frozenset[bytes], landmarks: int) -> frozenset[bytes]:
    """Those of a list that decide about boilerplate: its landmarks if it is hot, else all."""
    return frozenset(sorted(members)[:landmarks]) if is_hot(members, landmarks) else members


def opening_of(members: frozenset[bytes], landmarks: int) -> frozenset[bytes]:
    """The landmarks of a hot list that may be compared with all its texts."""
    return frozenset(sorted(members)[: landmarks if len(members) < CROWD else (landmarks + 1) // 2])


def _boilerplate(
    members: frozenset[bytes], texts: Mapping[bytes, Sequence[PlainCarrier]], landmarks: int
) -> frozenset[int]:
    """The outlets whose boilerplate a list is."""
    if len(members) < 3:
        return frozenset()
    group = group_of(members, landmarks)
    found = set()
    for outlet in {carrier.outlet for text in group for carrier in texts[text]}:
        days = [{c.day for c in texts[text] if c.outlet == outlet} for text in group]
        having = [theirs for theirs in days if theirs]
        distinct = set().union(*having)
        if len(having) >= 3 and len(distinct) >= 3 and max(distinct) - min(distinct) > 5:
            found.add(outlet)
    d = sorted(min(carrier.day for carrier in texts[text]) for text in group)
    n = len(d)
    crowded = len(members) >= CROWD and is_hot(members, landmarks) and n >= 4
    if crowded and d[n - 1 - n // 4] - d[n // 4] > 5:
        found.add(ALL)
    return frozenset(found)


# -- pairs -------------------------------------------------------------------------------------------


def _eligible_pairs(
    texts: Mapping[bytes, Sequence[PlainCarrier]],
    postings: Mapping[bytes, frozenset[int]],
    lists: Mapping[int, frozenset[bytes]],
    masks: Masks,
    parameters: CollectionParameters,
) -> Iterable[Pair]:
    hot = {posting for posting, members in lists.items() if is_hot(members, parameters.landmarks)}
    opening = {posting: opening_of(lists[posting], parameters.landmarks) for posting in hot}
    times = {t: (min(c.published for c in cs), max(c.published for c in cs)) for t, cs in texts.items()}
    window = parameters.match_window_days * DAY
    for a in texts:
        for b in {other for posting in postings[a] for other in lists[posting] if other > a}:
            if window and max(0, times[b][0] - times[a][1], times[a][0] - times[b][1]) > window:
                continue
            shared = (postings[a] & postings[b]) - masks[a] - masks[b]
            if shared - hot or sum(a in opening[p] or b in opening[p] for p in shared) >= 2:
                yield a, b


def _verify(
    bodies: Mapping[bytes, Body], masks: Masks, pairs: AbstractSet[Pair], parameters: CollectionParameters
) -> dict[Pair, Edge]:
    ready = {
        text: package.ready(body, unusable_tokens(body, masks[text], parameters.shingle_size), parameters)
        for text, body in bodies.items()
    }
    edges = {}
    for a, same in itertools.groupby(sorted(pairs), key=lambda pair: pair[0]):
        others = [b for _, b in same]
        found = package.verified(ready[a], [ready[b] for b in others], parameters)
        edges.update({(a, b): edge for b, edge in zip(others, found, strict=True) if edge is not None})
    return edges


def unusable_tokens(body: Body, mask: AbstractSet[int], shingle_size: int) -> set[int]:
    """Tokens that are no evidence: those of masked minima, and all between two neighboring ones that are masked."""
    places: set[int] = set()
    before = None  # the token after the minimum before, where that is masked
    for posting, position in body.minima:
        end = min(position + shingle_size, len(body.tokens))
        if posting in mask:
            places.update(range(position if before is None else min(before, position), end))
        before = end if posting in mask else None
    return places


# -- clusters ----------------------------------------------------------------------------------------


def _settle(
    texts: Mapping[bytes, Sequence[PlainCarrier]],
    edges: Mapping[Pair, Edge],
    parameters: CollectionParameters,
) -> tuple[dict[frozenset[str], str], frozenset[frozenset[str]]]:
    nodes = {}
    for text, carriers in texts.items():
        times = [carrier.published for carrier in carriers]
        nodes[text] = settling.Node(frozenset(c.outlet for c in carriers), min(times), max(times))
    settled = settling.settle(
        nodes, edges, settling.Rules(story_span=parameters.story_span_days * float(DAY))
    )
    members = [[carrier for text in cluster for carrier in texts[text]] for cluster in settled.clusters]
    ids = [frozenset(carrier.id for carrier in carriers) for carriers in members]
    stories = frozenset(frozenset().union(*(ids[place] for place in story)) for story in settled.stories)
    return {named: representative(of) for named, of in zip(ids, members, strict=True)}, stories


def representative(carriers: Sequence[PlainCarrier]) -> str:
    """The id of the earliest complete version, the longest of these, the one with the smallest id."""
    complete = [c for c in carriers if c.words >= COMPLETE * max(c.words for c in carriers)]
    left = [c for c in complete if c.dated] or complete
    if left[0].dated:
        left = [c for c in left if c.published == min(c.published for c in left)]
    left = [c for c in left if c.words == max(c.words for c in left)]
    return min((c.id for c in left), key=str.encode)
