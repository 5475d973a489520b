"""Articles that are recorded together, each with what becomes known of it on its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedup.model import ArticleNumber, TextNumber
from dedup.store.packing import Stored, TextCommit
from dedup.store.records import RawDecision, decode_head, pack_number

if TYPE_CHECKING:
    from dedup.core.prepare import Prepared
    from dedup.live.matching import QueryResult
    from dedup.model import Article, Decision
    from dedup.store.records import TextState

_NOTHING: RawDecision = (0, ArticleNumber(0), 0.0, 0, 0, 0, 0)


@dataclass(slots=True)
class Item:
    """One article on its way; ``carrier`` is what it is in the list of its text."""

    prepared: Prepared
    stored: Stored
    carrier: bytes
    decided: bool = False
    decision: Decision | None = None
    raw_decision: RawDecision = _NOTHING
    arrival: float = 0.0
    matched: QueryResult | None = None
    late: bool = False  # its writer died between the two scripts

    @property
    def article(self) -> Article:
        """The article as received."""
        return self.prepared.article


@dataclass(slots=True)
class Batch:
    """Articles recorded together."""

    items: list[Item]
    matched: dict[TextNumber, QueryResult] = field(default_factory=dict)
    states: dict[TextNumber, TextState] = field(default_factory=dict)


def commit_of(stored: Stored, matched: QueryResult) -> TextCommit:
    """What is written of a text that has just come."""
    return TextCommit(
        text=stored.text,
        revision=stored.revision,
        sequence=stored.sequence,
        replace=False,
        recheck="",
        boilerplate=matched.boilerplate or None,
        placement=b"",
        edges=matched.edges(),
    )


def item_of(prepared: Prepared, stored: Stored, carrier: bytes) -> Item:
    """An article that has just been recorded."""
    decided, decision, arrival = decode_head(stored.head)
    return Item(
        prepared=prepared,
        stored=stored,
        carrier=pack_number(stored.number) + carrier,
        decided=decided,
        decision=None,
        raw_decision=decision,
        arrival=arrival,
    )
