"""A brute-force reference for tokens, passages, measures, kinds and candidate pairs.

Nothing here is shared with the ``dedup`` package: it is the second opinion that the package is tested
against, so it is written for plainness, one character and one token at a time. Only
:func:`candidate_pairs` uses arrays, because it has to look at every pair of several thousand articles.

Lengths are kept in *half words* (see :mod:`tests.oracle_text`): every threshold is compared exactly;
lengths given in words are rounded down.

The text of an article is its body; its headline counts for nothing, unless the body has no token: then it is the
body. Of two texts, text a is the one with the smaller digest.

A token of an article is boilerplate if any shingle that covers it is boilerplate of the article's source; such
a token equals nothing.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import xxhash

from tests.oracle_text import SHINGLE, Token, half_words, quoted_characters, shingles, tokenize

MINIMUM_PASSAGE_WORDS = 6
MINIMUM_BODY_WORDS = 12

__all__ = [
    "Measures",
    "OracleArticle",
    "OraclePassage",
    "Token",
    "boilerplate",
    "candidate_pairs",
    "compare",
    "half_words",
    "kind_of",
    "quoted_characters",
    "shingles",
    "tile",
    "tokenize",
]


@dataclass(frozen=True, slots=True)
class OracleArticle:
    """The fields of an input line that matter here. ``published`` is RFC 3339, a bare date or ""."""

    id: str
    headline: str
    body: str
    source: str = ""
    published: str = ""

    @classmethod
    def from_json(cls, line: Mapping[str, object]) -> OracleArticle:
        """An article from one decoded input line; ``title`` stands in for ``headline``."""
        return cls(
            id=str(line["id"]),
            headline=str(line.get("headline") or line.get("title") or ""),
            body=str(line.get("body") or ""),
            source=str(line.get("source") or ""),
            published=str(line.get("published") or ""),
        )

    @property
    def text(self) -> str:
        """Headline, line feed, body: the text that offsets point into."""
        return f"{self.headline}\n{self.body}"

    @property
    def tokens(self) -> tuple[Token, ...]:
        """What the article is compared by: the tokens of its body, or of its headline where the body has none."""
        return _tokens(self.headline, self.body)

    @property
    def words(self) -> int:
        """The length of that, rounded down."""
        return half_words(self.tokens) // 2

    @property
    def digest(self) -> bytes:
        """What says which of two texts is text a: XXH3-128 of the normal forms joined by spaces."""
        return _digest(self.headline, self.body)


@dataclass(frozen=True, slots=True)
class OraclePassage:
    """A shared run: token positions in both texts, offsets of both, length and quoted part in half words."""

    first: int
    other_first: int
    tokens: int
    start: int
    end: int
    other_start: int
    other_end: int
    half_words: int
    quoted_half_words: int

    @property
    def words(self) -> int:
        """Length in words, rounded down."""
        return self.half_words // 2

    @property
    def quoted(self) -> int:
        """Words inside quotation marks in either text, rounded down."""
        return self.quoted_half_words // 2


@dataclass(frozen=True, slots=True)
class Measures:
    """Two articles compared; ``article`` is the one with the smaller id (by UTF-8 bytes), whichever is text a."""

    article: str
    other: str
    equal_bodies: bool
    comparable: bool
    jaccard: float
    containment: float
    other_containment: float
    shared_half_words: int
    quoted_half_words: int
    quoted_in_long_passages: int
    longest_unquoted_half_words: int
    quoted_in_both_half_words: int
    longest_not_quoted_in_both: int
    shorter_unquoted_half_words: int
    shorter_half_words: int
    shared_trigrams: int
    fewer_trigrams: int
    passages: tuple[OraclePassage, ...]

    @property
    def shared_words(self) -> int:
        """Words in passages, rounded down."""
        return self.shared_half_words // 2

    @property
    def quoted_words(self) -> int:
        """Shared words that stand inside quotation marks in either text, rounded down."""
        return self.quoted_half_words // 2

    @property
    def unquoted_words(self) -> float:
        """Shared words that are quoted in neither text."""
        return (self.shared_half_words - self.quoted_half_words) / 2

    @property
    def unquoted_share(self) -> float:
        """Shared unquoted words over the unquoted words of the shorter text."""
        total = self.shorter_unquoted_half_words
        return (self.shared_half_words - self.quoted_half_words) / total if total else 0.0


# -- boilerplate -------------------------------------------------------------------------------------


def boilerplate(
    articles: Iterable[OracleArticle],
    *,
    minimum_articles: int = 3,
    minimum_days: int = 3,
    span_days: float = 5,
) -> dict[str, set[tuple[str, ...]]]:
    """The shingles that each named source repeats: in enough articles, on enough days, far enough apart."""
    seen: dict[tuple[str, tuple[str, ...]], dict[str, datetime]] = defaultdict(dict)
    for article in articles:
        if article.source and article.published:
            when = published_at(article.published)
            for shingle in shingles(article.tokens):
                seen[article.source, shingle][article.id] = when
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for (source, shingle), times in seen.items():
        days = {when.date() for when in times.values()}
        if len(times) < minimum_articles or len(days) < minimum_days:
            continue
        if (max(times.values()) - min(times.values())).total_seconds() > span_days * 86400:
            found[source].add(shingle)
    return dict(found)


def published_at(published: str) -> datetime:
    """A publication time in UTC; a bare date is its midnight."""
    moment = datetime.fromisoformat(published)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _boilerplate_mask(tokens: Sequence[Token], known: set[tuple[str, ...]]) -> list[bool]:
    mask = [False] * len(tokens)
    if known:
        for i in range(len(tokens) - SHINGLE + 1):
            if tuple(t.text for t in tokens[i : i + SHINGLE]) in known:
                mask[i : i + SHINGLE] = [True] * SHINGLE
    return mask


# -- passages --------------------------------------------------------------------------------------


def tile(
    a: Sequence[Token],
    b: Sequence[Token],
    *,
    minimum_words: float = MINIMUM_PASSAGE_WORDS,
    blocked: Sequence[bool] = (),
    other_blocked: Sequence[bool] = (),
) -> list[OraclePassage]:
    """Greedy string tiling (Wise 1993), exact: the longest run first, in order of position in ``a``.

    ``blocked`` tokens (boilerplate) match nothing. Ties go to the earlier position in ``a``, then in ``b``.
    """
    needed = round(2 * minimum_words)
    used_a = list(blocked) or [False] * len(a)
    used_b = list(other_blocked) or [False] * len(b)
    heap: list[tuple[int, int, int, int]] = []

    def push_free_parts(i: int, j: int, count: int) -> None:
        free = 0
        for k in range(count + 1):
            if k < count and not used_a[i + k] and not used_b[j + k]:
                free += 1
                continue
            length = half_words(a[i + k - free : i + k])
            if length >= needed:
                heapq.heappush(heap, (-length, i + k - free, j + k - free, free))
            free = 0

    for i, j, count in _maximal_runs([t.text for t in a], [t.text for t in b], max(1, -(-needed // 2))):
        push_free_parts(i, j, count)
    passages = []
    while heap:
        _, i, j, count = heapq.heappop(heap)
        if any(used_a[i : i + count]) or any(used_b[j : j + count]):
            push_free_parts(i, j, count)
            continue
        used_a[i : i + count] = [True] * count
        used_b[j : j + count] = [True] * count
        passages.append(_passage(a, b, i, j, count))
    return sorted(passages, key=lambda passage: passage.first)


def _maximal_runs(a: Sequence[str], b: Sequence[str], seed: int) -> Iterator[tuple[int, int, int]]:
    """All maximal runs of at least ``seed`` equal tokens, as (position in a, position in b, tokens).

    A run of enough words never has fewer tokens than words, so ``seed`` tokens are always found in it.
    """
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for j in range(len(b) - seed + 1):
        places[tuple(b[j : j + seed])].append(j)
    open_runs: dict[int, int] = {}  # diagonal -> position in a just after the run found last on it
    for i in range(len(a) - seed + 1):
        for j in places.get(tuple(a[i : i + seed]), ()):
            if open_runs.get(j - i, 0) >= i + seed:
                continue
            count = seed
            while i + count < len(a) and j + count < len(b) and a[i + count] == b[j + count]:
                count += 1
            open_runs[j - i] = i + count
            yield i, j, count


def _passage(a: Sequence[Token], b: Sequence[Token], i: int, j: int, count: int) -> OraclePassage:
    run, other = a[i : i + count], b[j : j + count]
    return OraclePassage(
        first=i,
        other_first=j,
        tokens=count,
        start=run[0].start,
        end=run[-1].end,
        other_start=other[0].start,
        other_end=other[-1].end,
        half_words=half_words(run),
        quoted_half_words=sum(x.half_words for x, y in zip(run, other, strict=True) if x.quoted or y.quoted),
    )


def _turned(passage: OraclePassage) -> OraclePassage:
    """The same passage seen from the other text."""
    return replace(
        passage,
        first=passage.other_first,
        other_first=passage.first,
        start=passage.other_start,
        end=passage.other_end,
        other_start=passage.start,
        other_end=passage.end,
    )


# -- measures and kinds ----------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _tokens(headline: str, body: str) -> tuple[Token, ...]:
    before = len(headline) + 1
    of_body = tuple(replace(t, start=t.start + before, end=t.end + before) for t in tokenize(body))
    return of_body or tuple(tokenize(headline))


@functools.lru_cache(maxsize=4096)
def _digest(headline: str, body: str) -> bytes:
    return xxhash.xxh3_128_digest(" ".join(token.text for token in _tokens(headline, body)).encode())


def _unquoted(tokens: Iterable[Token]) -> int:
    return sum(token.half_words for token in tokens if not token.quoted)


def compare(
    x: OracleArticle,
    y: OracleArticle,
    *,
    boilerplate_of: Mapping[str, set[tuple[str, ...]]] | None = None,
    quote_passage_words: int = 8,
) -> Measures:
    """Every measure of two articles. ``boilerplate_of`` gives the shingles to leave out, by source."""
    first, second = sorted((x, y), key=lambda article: article.id.encode())
    a, b = first.tokens, second.tokens
    known = boilerplate_of or {}
    boilerplate_a = _boilerplate_mask(a, known.get(first.source, set()))
    boilerplate_b = _boilerplate_mask(b, known.get(second.source, set()))
    if first.digest <= second.digest:
        passages = tile(a, b, blocked=boilerplate_a, other_blocked=boilerplate_b)
    else:
        turned = map(_turned, tile(b, a, blocked=boilerplate_b, other_blocked=boilerplate_a))
        passages = sorted(turned, key=lambda passage: passage.first)
    trigrams_a, trigrams_b = _plain_trigrams(a, boilerplate_a), _plain_trigrams(b, boilerplate_b)
    shared = sum(p.half_words for p in passages)
    sets = shingles(a), shingles(b)
    union = len(sets[0] | sets[1])
    shorter = min(a, b, key=lambda tokens: (half_words(tokens), _unquoted(tokens)))
    return Measures(
        article=first.id,
        other=second.id,
        equal_bodies=[t.text for t in a] == [t.text for t in b],
        comparable=min(half_words(a), half_words(b)) >= 2 * MINIMUM_BODY_WORDS,
        jaccard=len(sets[0] & sets[1]) / union if union else 0.0,
        containment=shared / half_words(a) if a else 0.0,
        other_containment=shared / half_words(b) if b else 0.0,
        shared_half_words=shared,
        quoted_half_words=sum(p.quoted_half_words for p in passages),
        quoted_in_long_passages=sum(
            p.quoted_half_words for p in passages if p.half_words >= 2 * quote_passage_words
        ),
        longest_unquoted_half_words=max((_longest(a, b, p, any) for p in passages), default=0),
        quoted_in_both_half_words=sum(_quoted_in_both(a, b, p) for p in passages),
        longest_not_quoted_in_both=max((_longest(a, b, p, all) for p in passages), default=0),
        shorter_unquoted_half_words=_unquoted(shorter),
        shorter_half_words=half_words(shorter),
        shared_trigrams=len(trigrams_a & trigrams_b) if passages else 0,
        fewer_trigrams=min(len(trigrams_a), len(trigrams_b)),
        passages=tuple(passages),
    )


def _plain_trigrams(tokens: Sequence[Token], is_boilerplate: Sequence[bool]) -> set[tuple[str, ...]]:
    """Runs of three words none of which is quoted or boilerplate."""
    plain = [
        not token.quoted and not left_out for token, left_out in zip(tokens, is_boilerplate, strict=True)
    ]
    return {
        tuple(token.text for token in tokens[i : i + 3])
        for i in range(len(tokens) - 2)
        if all(plain[i : i + 3])
    }


def _longest(
    a: Sequence[Token], b: Sequence[Token], passage: OraclePassage, ends: Callable[[Iterable[bool]], bool]
) -> int:
    """The longest run that no word ends which is quoted in any, or all, of the texts."""
    longest = run = 0
    for k in range(passage.tokens):
        left, right = a[passage.first + k], b[passage.other_first + k]
        run = 0 if ends((left.quoted, right.quoted)) else run + left.half_words
        longest = max(longest, run)
    return longest


def _quoted_in_both(a: Sequence[Token], b: Sequence[Token], passage: OraclePassage) -> int:
    pairs = ((a[passage.first + k], b[passage.other_first + k]) for k in range(passage.tokens))
    return sum(left.half_words for left, right in pairs if left.quoted and right.quoted)


def kind_of(
    m: Measures,
    *,
    near: float = 0.8,
    excerpt: float = 0.8,
    rewrite_words: float = 20,
    rewrite_share: float = 0.1,
    rewrite_run: float = 10,
    rewrite_half: float = 0.5,
    rewrite_half_run: float = 20,
    rewrite_trigrams: float = 20,
    rewrite_trigram_share: float = 0.3,
    quote_words: float = 12,
) -> str | None:
    """The first kind that holds, as written in ``matches.jsonl``, or None for no match."""
    if not m.comparable:
        return None
    if m.equal_bodies:
        return "exact"
    if min(m.containment, m.other_containment) >= near:
        return "near_duplicate"
    if max(m.containment, m.other_containment) >= excerpt:
        return "excerpt"
    if (
        m.unquoted_words >= rewrite_words
        and m.unquoted_share >= rewrite_share
        and m.longest_unquoted_half_words >= 2 * rewrite_run
    ):
        return "rewrite"
    if (
        m.shared_half_words - m.quoted_in_both_half_words >= rewrite_half * m.shorter_half_words
        and m.longest_not_quoted_in_both >= 2 * rewrite_half_run
    ):
        return "rewrite"
    if m.shared_trigrams >= max(rewrite_trigrams, rewrite_trigram_share * m.fewer_trigrams):
        return "rewrite"
    return "shared_quote" if m.quoted_in_long_passages >= 2 * quote_words else None


# -- every pair of many articles -------------------------------------------------------------------


def candidate_pairs(
    articles: Sequence[OracleArticle],
    *,
    words: float = 20,
    passage_words: int = 8,
    same_source: bool = True,
) -> list[tuple[str, str]]:
    """All pairs (smaller id first) sharing ``words`` words in passages of ``passage_words`` words and more.

    Exhaustive: a pair is tiled if it shares enough runs of ``passage_words`` tokens for such passages to be
    possible. ``same_source=False`` leaves out pairs whose articles name the same source.
    """
    ordered = sorted(articles, key=lambda article: article.id.encode())
    tokens = [article.tokens for article in ordered]
    sources: dict[str, int] = {}
    owner = np.array(
        [sources.setdefault(a.source, len(sources)) if a.source else -1 - i for i, a in enumerate(ordered)],
        dtype=np.int64,
    )
    found = []
    for first, second in _sharing(tokens, passage_words, max(1, int(words // passage_words))):
        if not same_source and owner[first] == owner[second]:
            continue
        passages = tile(tokens[first], tokens[second])
        if sum(p.half_words for p in passages if p.half_words >= 2 * passage_words) >= 2 * words:
            found.append((ordered[first].id, ordered[second].id))
    return found


def _sharing(tokens: Sequence[Sequence[Token]], size: int, at_least: int) -> Iterator[tuple[int, int]]:
    """Pairs of texts with at least ``at_least`` places of a shared run of ``size`` tokens each."""
    text_of, run_of = _numbered_runs(tokens, size)
    order = np.lexsort((text_of, run_of))
    text_of, run_of = text_of[order], run_of[order]
    bounds = np.flatnonzero(np.diff(run_of, prepend=-1, append=-1))
    counts: dict[int, int] = defaultdict(int)
    n = len(tokens)
    for low, high in itertools.pairwise(bounds.tolist()):
        if text_of[low] == text_of[high - 1]:
            continue
        members, times = np.unique(text_of[low:high], return_counts=True)
        for i in range(len(members) - 1):
            shared = np.minimum(times[i + 1 :], times[i])
            for other, count in zip(members[i + 1 :].tolist(), shared.tolist(), strict=True):
                counts[int(members[i]) * n + other] += count
    yield from sorted(divmod(key, n) for key, count in counts.items() if count >= at_least)


def _numbered_runs(
    tokens: Sequence[Sequence[Token]], size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For every run of ``size`` tokens: the number of its text, and a number equal for equal runs only."""
    names: dict[str, int] = {}
    flat = np.array([names.setdefault(t.text, len(names)) for text in tokens for t in text], dtype=np.int64)
    text_of = np.repeat(np.arange(len(tokens)), [len(text) for text in tokens])
    if len(flat) < size:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    runs = flat[: len(flat) - size + 1]
    for k in range(1, size):
        longer = runs * len(names) + flat[k : len(flat) - size + 1 + k]
        runs = np.unique(longer, return_inverse=True)[1].astype(np.int64)
    whole = text_of[: len(runs)] == text_of[size - 1 :]
    return text_of[: len(runs)][whole], runs[whole]
