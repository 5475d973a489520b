"""The decision about an article, made once when it arrives, against what had arrived before."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
import numpy as np

from dedup.core.text import QUOTED
from dedup.core.verify import COPIED, SAID, coverage
from dedup.core.verify_pair import Identified, VerifiedMatch
from dedup.model import COPY_KINDS, ArticleNumber, Decision, DecisionKind, MatchKind, TextNumber

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dedup.core.clustering import Carrier, TextNode
    from dedup.core.text import Tokens
    from dedup.core.verify import ComparableText

#: From this share of its words on, found in one earlier article, an article is a copy of it.
COPY_SHARE: Final = 0.8
#: An outlet's own earlier text counts only where this share of either, boilerplate apart, is covered: less is
#: background.
SAME_SOURCE_SHARE: Final = 0.5
#: From this share of both texts on, an earlier text of the outlet is the same page and tells nothing of its habits.
SAME_PAGE: Final = 0.8
#: What pages of so many of an outlet's clusters share with its new article, the outlet repeats.
HABIT: Final = 3


class WordCounts(NamedTuple):
    """The words of an article in four parts, which add up to all of them."""

    #: In passages of earlier articles, quoted in neither text.
    copied: int = 0
    #: In such passages alone that are quoted in one of the texts.
    quoted: int = 0
    #: Known as boilerplate of the outlet.
    boilerplate: int = 0
    #: The rest.
    new: int = 0


class StoredText(Identified, Protocol):
    """A text with its carriers, and its cluster where it has one that is not its own."""

    @property
    def node(self) -> TextNode:
        """The text."""

    @property
    def cluster(self) -> TextNumber | None:
        """The number of its cluster."""


class EarlierArticle(msgspec.Struct, frozen=True, gc=False):
    """An earlier article that this one matches: its number and outlet, with the match of their texts.

    ``containment`` is the share of the article found in it; ``weight``, of the article's own outlet, the share covered
    of what is no boilerplate, of the text of which that is more.
    """

    carrier: Carrier
    kind: MatchKind
    containment: float
    weight: float


class EarlierMatch(msgspec.Struct, frozen=True, gc=False):
    """A match with an earlier text: the cluster that text stands in, and who of its carriers arrived first."""

    match: VerifiedMatch[Identified]
    cluster: TextNumber
    carriers: Sequence[Carrier]

    def is_of(self, source: int) -> bool:
        """Whether the outlet is one of these carriers."""
        return any(carrier.source == source for carrier in self.carriers)


def earliest(carriers: Sequence[Carrier], before: ArticleNumber) -> Carrier | None:
    """The first arrival among the carriers that arrived before ``before``."""
    return min((c for c in carriers if c.number < before), key=lambda c: c.number, default=None)


def first_of_each(carriers: Sequence[Carrier], before: ArticleNumber, source: int) -> list[Carrier]:
    """The earliest arrival before ``before``, and the earliest of the article's own outlet if that is another."""
    if len(carriers) == 1:
        return list(carriers) if carriers[0].number < before else []
    first = earliest(carriers, before)
    same_source = earliest([c for c in carriers if c.source == source], before)
    return list({c.number: c for c in (first, same_source) if c is not None}.values())


def decide(
    source: int, earlier: Sequence[EarlierArticle], counts: WordCounts
) -> tuple[Decision, ArticleNumber]:
    """The decision and the number of the article it copies (0: none).

    Args:
        source: the article's outlet.
        earlier: matches with earlier arrivals.
        counts: words copied, quoted, boilerplate and new, see :func:`count_words`.
    """
    same_source = [e for e in earlier if e.carrier.source == source]
    background = [e for e in same_source if e.weight < SAME_SOURCE_SHARE]
    counted = [e for e in earlier if e not in background]
    copies = [e for e in counted if e.kind in COPY_KINDS]
    best = max(
        copies,
        key=lambda e: (
            e.containment,
            e.kind == MatchKind.EXACT,
            e.carrier.source == source,
            -e.carrier.number,
        ),
        default=None,
    )
    if best is not None:
        if best.carrier.source == source:
            kind = DecisionKind.OWN_UPDATE
        else:
            kind = DecisionKind.COPY if best.containment >= COPY_SHARE else DecisionKind.PARTIAL_COPY
        return _decision(kind, best.containment, counts), best.carrier.number
    quotes = [e for e in counted if e.kind == MatchKind.SHARED_QUOTE and e.carrier.source != source]
    if quotes:
        most = max(quotes, key=lambda e: (e.containment, -e.carrier.number))
        return _decision(DecisionKind.QUOTES_ONLY, most.containment, counts), most.carrier.number
    return _decision(DecisionKind.NEW, 0.0, counts), ArticleNumber(0)


def _decision(kind: DecisionKind, covered: float, counts: WordCounts) -> Decision:
    """A decision that does not name the article it copies yet."""
    return Decision(
        kind=kind,
        covered=covered,
        words_copied=counts.copied,
        words_quoted=counts.quoted,
        words_boilerplate=counts.boilerplate,
        words_new=counts.new,
    )


def earlier_matches(
    found: Sequence[VerifiedMatch[StoredText]],
    states: Mapping[TextNumber, StoredText],
    before: ArticleNumber,
    source: int,
) -> list[EarlierMatch]:
    """The matches with texts that arrived before article number ``before``, of which ``states`` has all carriers."""
    met = []
    for match in found:
        state = states.get(match.other.node.text)
        if state is not None and (carriers := first_of_each(state.node.carriers, before, source)):
            met.append(EarlierMatch(match, state.cluster or state.node.text, carriers))
    return met


def count_words(
    query: ComparableText, source: int, met: Sequence[EarlierMatch]
) -> tuple[list[EarlierArticle], WordCounts]:
    """What an article met, for :func:`decide`, and its words copied, quoted, boilerplate and new: together all words.

    Words that its outlet repeats, see :func:`habits`, count as boilerplate against the outlet's own pages.
    """
    if not met and query.usable is None:
        return [], WordCounts(new=query.half_words // 2)
    marks = coverage(query, [(m.match.evidence, m.match.text, m.match.first) for m in met])
    repeated = habits(marks, source, met)
    fixed = query.boilerplate if repeated is None else query.boilerplate | repeated
    query_words = query.half_words - query.tokens.half_words_of(fixed)
    earlier: list[EarlierArticle] = []
    for m, shared in zip(met, marks > 0, strict=True):
        evidence, other = m.match.evidence, m.match.text
        if evidence.kind is None:
            continue
        lost, weight = 0, 1.0
        if m.is_of(source):
            lost = 0 if repeated is None else query.tokens.half_words_of(shared & repeated)
            other_words = other.half_words - other.boilerplate_half_words - lost
            weight = (evidence.shared - lost) / max(1, min(query_words, other_words))
        for carrier in m.carriers:
            mine = m.match.containment - (lost / query.half_words if carrier.source == source else 0.0)
            earlier.append(
                EarlierArticle(carrier=carrier, kind=evidence.kind, containment=mine, weight=weight)
            )
    seen = np.bitwise_or.reduce(marks, axis=0)
    return earlier, split_words(query.tokens, seen & COPIED > 0, seen == SAID, fixed)


def habits(marks: NDArray[np.uint8], source: int, met: Sequence[EarlierMatch]) -> NDArray[np.bool_] | None:
    """Which words of an article its outlet is seen to repeat before they can be known as its boilerplate: (tokens,).

    Boilerplate takes days to learn; an outlet's first pages would be updates of one another until then. Words that
    pages of :data:`HABIT` clusters of the outlet share with the article, and no other outlet, are taken for it.
    ``marks`` are those of :func:`~dedup.core.verify.coverage`, a row for each that was met. None where there are no
    words.
    """
    pages: dict[TextNumber, list[int]] = defaultdict(list)
    for row, m in enumerate(met):
        if m.match.evidence.min_coverage < SAME_PAGE and m.is_of(source):
            pages[m.cluster].append(row)
    if len(pages) < HABIT:
        return None
    held = np.zeros(marks.shape[1], np.int32)
    for rows in pages.values():
        held += marks[rows].any(axis=0)
    elsewhere = [row for row, m in enumerate(met) if any(c.source != source for c in m.carriers)]
    return (held >= HABIT) & ~marks[elsewhere].any(axis=0)


def against_equal(
    query: ComparableText, carriers: Sequence[Carrier]
) -> tuple[list[EarlierArticle], WordCounts]:
    """What :func:`count_words` gives for an article whose text stands word for word in earlier ones."""
    quoted = query.tokens.flags & QUOTED > 0
    earlier = [
        EarlierArticle(carrier=carrier, kind=MatchKind.EXACT, containment=1.0, weight=1.0)
        for carrier in carriers
    ]
    return earlier, split_words(query.tokens, ~quoted, quoted, query.boilerplate)


def split_words(
    tokens: Tokens, copied: NDArray[np.bool_], quoted: NDArray[np.bool_], boilerplate: NDArray[np.bool_]
) -> WordCounts:
    """Words in each of four parts; half words are rounded so that the parts add up to the whole."""
    shared = tokens.half_words_of(copied & ~boilerplate) // 2
    query_words = tokens.half_words_of(quoted & ~copied & ~boilerplate) // 2
    fixed = tokens.half_words_of(boilerplate) // 2
    new = tokens.half_words() // 2 - shared - query_words - fixed
    return WordCounts(copied=shared, quoted=query_words, boilerplate=fixed, new=new)
