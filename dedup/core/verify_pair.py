"""A pair of articles: which of them is text a, what their texts share, the match that is made of it, and its rank.

Service, listings, export and bulk all go through here, so that a pair is measured, named and ranked the same wherever
it is met.

Text a is the one with the smaller body digest: what two texts share depends on the texts alone, on no id and no order.
Of equal bodies, what is quoted and what is known as boilerplate decide; where that is equal too, so is all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from dedup.core.probability import probability
from dedup.core.verify import ComparableText, Evidence, to_passages, verify, verify_many
from dedup.model import DEFAULT_RULES, Match, MatchKind, Rules

if TYPE_CHECKING:
    from collections.abc import Sequence


class Identified(Protocol):
    """What a text belongs to: an article, or a stored text under the smallest id of its carriers."""

    @property
    def id(self) -> str:
        """The id that answers show, and that orders equally good matches in them."""


Other = TypeVar("Other", bound=Identified)
Other_co = TypeVar("Other_co", bound=Identified, covariant=True)


class VerifiedMatch(msgspec.Struct, Generic[Other_co], frozen=True, gc=False):
    """What an article shares with ``other``, seen from the article; ``evidence.kind`` is None where that is nothing."""

    #: Whom it was compared with.
    other: Other_co
    #: The text of ``other``, as it was compared.
    text: ComparableText
    #: What they share, of text a and text b.
    evidence: Evidence
    #: Whether the article's text is text a.
    first: bool

    @property
    def containment(self) -> float:
        """Share of the article's words that stand in the other."""
        return self.evidence.a_containment if self.first else self.evidence.b_containment

    @property
    def other_containment(self) -> float:
        """Share of the other text's words that stand in the article."""
        return self.evidence.b_containment if self.first else self.evidence.a_containment


def verify_pair(
    query: ComparableText, other: Other, text: ComparableText, rules: Rules = DEFAULT_RULES
) -> VerifiedMatch[Other]:
    """Order and measure one pair; all measures are taken, also where nothing counts as a match."""
    first = is_text_a(query, text)
    evidence = verify(query, text, rules) if first else verify(text, query, rules)
    return VerifiedMatch(other=other, text=text, evidence=evidence, first=first)


def verify_each(
    query: ComparableText, others: Sequence[tuple[Other, ComparableText]], rules: Rules = DEFAULT_RULES
) -> list[VerifiedMatch[Other]]:
    """The matches of one text with many, in their order; those that share nothing that counts are left out."""
    first = [is_text_a(query, text) for _, text in others]
    measured = verify_many(query, [text for _, text in others], first, rules)
    return [
        VerifiedMatch(other=other, text=text, evidence=evidence, first=ahead)
        for (other, text), ahead, evidence in zip(others, first, measured, strict=True)
        if evidence is not None
    ]


def to_match(
    article_id: str, query: ComparableText, found: VerifiedMatch[Identified], carriers: tuple[str, ...] = ()
) -> Match:
    """The match as callers see it from the article; ``carriers`` are other articles with the text of the other.

    Raises:
        ValueError: there is no match.
    """
    evidence = found.evidence
    if evidence.kind is None:
        message = "no match to convert"
        raise ValueError(message)
    return Match(
        article=article_id,
        other=found.other.id,
        kind=evidence.kind,
        jaccard=evidence.jaccard,
        containment=found.containment,
        other_containment=found.other_containment,
        shared_words=evidence.shared // 2,
        quoted_words=evidence.quoted // 2,
        longest_unquoted_run=evidence.longest_unquoted // 2,
        passages=to_passages(evidence, query.tokens, found.text.tokens, query_first=found.first),
        other_carriers=carriers,
        probability=probability(
            evidence.kind, (evidence.shared - evidence.quoted) / 2, evidence.trigram_share
        ),
    )


def best_first(
    kind: MatchKind | None, containments: tuple[float, float], shared: int, quoted: int, other_id: str
) -> tuple[int, float, int, bytes]:
    """What matches of one article are sorted by: kind, greater containment, unquoted words, the other's id.

    ``shared`` and ``quoted`` are half words.
    """
    return int(kind or 0), -max(containments), quoted // 2 - shared // 2, other_id.encode()


def rank(found: VerifiedMatch[Identified]) -> tuple[int, float, int, bytes]:
    """The place of a match among those of its article, see :func:`best_first`."""
    e = found.evidence
    return best_first(e.kind, (e.a_containment, e.b_containment), e.shared, e.quoted, found.other.id)


def is_text_a(query: ComparableText, other: ComparableText) -> bool:
    """Whether the first of two texts is text a of the pair."""
    if query.digest != other.digest:
        return query.digest < other.digest
    return query.units.tobytes() < other.units.tobytes()
