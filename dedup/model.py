r"""The values that pass between the rooms: frozen, slotted, without behavior that reads or writes.

Offsets are Unicode code points into ``headline + "\n" + body`` as received (the newline also after an
empty headline), half-open. The text of an article is its body, see :mod:`dedup.core.text`. Lengths called *words*
count a character of a script without spaces as half a word and are rounded down. Times are Unix seconds in UTC.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, Generic, NewType, TypeVar

import msgspec

T = TypeVar("T")

#: The place of an article among the arrivals of its collection, from 1; 0 where there is none.
ArticleNumber = NewType("ArticleNumber", int)
#: The number of a text, from 1, which a cluster may have too; 0 where there is none.
TextNumber = NewType("TextNumber", int)


class MatchKind(enum.IntEnum):
    """How two texts are related; the first definition that holds, see :mod:`dedup.core.verify`."""

    EXACT = 1
    NEAR_DUPLICATE = 2
    EXCERPT = 3
    REWRITE = 4
    SHARED_QUOTE = 5
    SAME_STORY = 6  # only where it is asked for, see :mod:`dedup.core.same_event`


#: The kinds that mean *copied*: they may join clusters.
COPY_KINDS = (MatchKind.EXACT, MatchKind.NEAR_DUPLICATE, MatchKind.EXCERPT, MatchKind.REWRITE)


class Outcome(enum.IntEnum):
    """What an ingest call did with one article."""

    CREATED = 1
    UNCHANGED = 2
    REPLACED = 3
    STALE_VERSION = 4
    CANCELED = 5
    NOT_COMPARABLE = 6


class DecisionKind(enum.IntEnum):
    """What an article was when it first arrived, judged against everything that had arrived before."""

    NEW = 1
    COPY = 2
    PARTIAL_COPY = 3
    OWN_UPDATE = 4
    QUOTES_ONLY = 5


class PubStatus(enum.IntEnum):
    """Publishing status, IPTC ninjs ``pubstatus``."""

    USABLE = 1
    WITHHELD = 2
    CANCELED = 3


class CreditPlace(enum.IntEnum):
    """Where in an article an agency is credited."""

    BYLINE = 1
    DATELINE = 2
    TEXT = 3
    PHOTO = 4


@dataclass(frozen=True, slots=True)
class Article:
    """One article as received. ``published`` is None when the publisher gives no time."""

    id: str
    headline: str = ""
    body: str = ""
    source: str = ""
    byline: str = ""
    located: str = ""
    url: str = ""
    language: str = ""
    published: float | None = None
    published_is_date: bool = False
    version: int | None = None
    version_time: float | None = None
    pubstatus: PubStatus = PubStatus.USABLE

    @property
    def text(self) -> str:
        """The text that offsets point into."""
        return f"{self.headline}\n{self.body}"


class Passage(msgspec.Struct, frozen=True, gc=False):
    """A maximal run of words that stands in both texts; ``quoted`` words are inside marks in at least one."""

    start: int
    end: int
    other_start: int
    other_end: int
    words: int
    quoted: int


class Match(msgspec.Struct, frozen=True, gc=False):
    """A verified relation of ``article`` to ``other``, measured exactly.

    ``jaccard`` is over sets of 5-word shingles; ``containment`` the share of the words of ``article`` that
    stand in passages, ``other_containment`` that of ``other``; ``probability`` that of being copy, see
    :mod:`dedup.core.probability`; all in [0, 1].
    """

    article: str
    other: str
    kind: MatchKind
    jaccard: float
    containment: float
    other_containment: float
    shared_words: int
    quoted_words: int
    longest_unquoted_run: int
    passages: tuple[Passage, ...] = ()
    other_carriers: tuple[str, ...] = ()  # other articles with the text of ``other``
    probability: float = 0.0
    similarity: float = 0.0  # of SAME_STORY: cosine of the sets of word pairs


@dataclass(frozen=True, slots=True)
class Credit:
    """An agency named as a source; ``agency`` is the canonical name, ``text`` the words that name it.

    ``start`` and ``end`` point into the article's text, or into the byline when ``place`` is BYLINE and the
    credit stands in the byline field (``in_byline_field``).
    """

    agency: str
    place: CreditPlace
    text: str
    start: int
    end: int
    in_byline_field: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a cluster's text comes from: an agency or outlet with a confidence in [0, 1], or unknown ("")."""

    name: str = ""
    confidence: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Made once at first arrival and never changed.

    ``copies`` is the id of the earlier arrival it copies or "" ; ``covered`` the share of its words found in
    that article; the four counts add up to its words and are taken against all earlier arrivals.
    """

    kind: DecisionKind
    copies: str = ""
    covered: float = 0.0
    words_copied: int = 0
    words_quoted: int = 0
    words_boilerplate: int = 0
    words_new: int = 0


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """A cluster id that changed hands: ``old`` was merged into, or split to, ``new``."""

    change: str  # "merged" or "split"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Articles that carry the same copy. ``size`` counts articles.

    ``settled`` is False while edges of its component wait to be settled. ``linked`` names clusters that share
    copied text with it but were not joined.
    """

    id: str
    revision: int
    size: int
    representative: str
    representative_reason: str
    earliest: str
    first_published: float | None
    settled: bool
    story: str | None
    linked: tuple[str, ...] = ()
    origin: Origin = Origin()
    agencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """Clusters about one event. ``agencies`` are credited in its articles, most often credited first."""

    id: str
    revision: int
    clusters: tuple[str, ...]
    size: int
    first_published: float | None
    last_published: float | None
    agencies: tuple[str, ...] = ()
    headline: str = ""


@dataclass(frozen=True, slots=True)
class StoredArticle:
    """An article as kept, with what is known about it now."""

    article: Article
    number: int
    arrival_time: float
    comparable: bool
    text_digest: str
    words: int
    decision: Decision | None
    cluster: str | None
    story: str | None
    representative: bool
    credits: tuple[Credit, ...] = ()
    copies_of_text: tuple[str, ...] = ()  # other ids that carry exactly this text


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The answer to one ingested article."""

    id: str
    outcome: Outcome
    comparable: bool
    decision: Decision | None
    number: int
    arrival_time: float
    cluster: Cluster | None = None
    affected_clusters: tuple[ClusterChange, ...] = ()
    story: str | None = None
    matches: tuple[Match, ...] = ()
    total_matches: int = 0
    matches_truncated: bool = False
    credits: tuple[Credit, ...] = ()
    carriers: tuple[str, ...] = ()  # after a kill: articles that still carry the text or part of it
    # texts compared for this answer, where the pipeline tells: for the log line, not sent
    candidates: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class FindResult:
    """What an article would match, without storing it."""

    comparable: bool
    matches: tuple[Match, ...]
    total_matches: int
    matches_truncated: bool
    credits: tuple[Credit, ...] = ()
    decision: Decision | None = None
    # texts compared for this answer, where the pipeline tells: for the log line, not sent
    candidates: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two articles side by side; ``match`` is None when nothing that counts is shared."""

    article: Article
    other: Article
    match: Match | None
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the kinds of a match begin, see :mod:`dedup.core.verify`; lengths in words, shares in (0, 1]."""

    covered: float = 0.8
    rewrite_words: int = 20
    rewrite_share: float = 0.1
    rewrite_run: int = 10
    rewrite_half: float = 0.5
    rewrite_half_run: int = 20
    quote_words: int = 12
    quote_passage: int = 8
    rewrite_trigrams: int = 20
    rewrite_trigram_share: float = 0.3


#: The rules of a collection that has none of its own.
DEFAULT_RULES: Final = Rules()


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two articles by id, whether somebody says that one copies the other, and where that is said (``file:line``)."""

    article: str
    other: str
    copied: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class CollectionParameters:
    """What an index is built with; fixed for the life of a collection."""

    profile: str = "passages"  # or "copies": resemblance alone
    shingle_size: int = 5
    window: int = 8
    permutations: int = 128
    seed: int = 1
    band_threshold: float = 0.7
    landmarks: int = 10
    minimum_words: int = 12
    match_window_days: int = 0  # 0: no limit
    story_span_days: int = 3
    keep_text: bool = True  # or seven bits a word, from which no text can be read
    rules: Rules = DEFAULT_RULES
    same_story: bool = False  # whether articles of one event without copied passages can be asked for


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """A collection and its counters. ``pending`` and ``dirty`` are 0 when every answer is settled.

    ``clusters`` counts those of two articles and more, and those of one that stand in a story, are linked or
    stood with others before.
    """

    name: str
    parameters: CollectionParameters
    fingerprint: str
    articles: int
    texts: int
    clusters: int
    stories: int
    pending: int
    dirty: int
    store_memory_bytes: int
    created: float
    position: int = 0  # of the last entry of the log that was folded
    lag: int = 0  # entries that the server had to catch up with
    log_digest: str = ""
    content_digest: str = ""
    servers: int = 0  # alive, of those that have written to the log
    acks: int = 0  # replicas that have an entry before it is answered
    fsync: str = ""  # of the store: always, everysec, no, or not told


@dataclass(frozen=True, slots=True)
class ExportedArticle:
    """One line of ``articles.jsonl``."""

    id: str
    text: str
    cluster: str | None
    story: str | None
    representative: bool
    agencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``next_page_token`` is "" on the last."""

    items: tuple[T, ...]
    next_page_token: str = ""
    total: int | None = field(default=None)
