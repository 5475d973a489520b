"""Rules proposed from labelled pairs: where a rewrite should begin for somebody's own news.

Every pair is verified once, and what was measured is held against every combination of :data:`GRID`: an
exhaustive search over where the three ways to be a REWRITE begin. EXACT, NEAR_DUPLICATE and EXCERPT are what
they are by default. The best F1 of *copied or not* wins; of equal ones the combination nearest to the
defaults, by the sum of the absolute logarithms of the ratios.

What the winner reaches on the pairs it was chosen on flatters it, so the choice is also cross-validated: the
pairs are dealt into folds, those copied and those not alike (stratified, Kohavi 1995); rules are chosen
without each fold and measured on it. Intervals are Wilson's (1927); that of F1 = 2 J / (1 + J) is the
interval of J carried over, where J is the share of pairs both copied and found among those either.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dedup.core.text import tokenize
from dedup.core.verify import ComparableText, comparable, shorter
from dedup.core.verify_pair import verify_pair
from dedup.model import COPY_KINDS, DEFAULT_RULES, Article, LabelledPair, MatchKind, Rules

Interval = tuple[float, float]

#: What is tried for each rule; the defaults are among them.
GRID: Final[Mapping[str, tuple[float, ...]]] = {
    "rewrite_words": (
        *(6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 35, 40, 45, 50, 60, 70, 80, 100, 120, 150, 200),
    ),
    "rewrite_share": (0.02, 0.03, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    "rewrite_run": (6, 8, 10, 12, 14, 16, 18, 20, 25, 30, 40),
    "rewrite_half": (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0),
    "rewrite_trigram_share": (0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 1.0),
}
#: Fewer pairs than this of either label are too few to trust a proposal.
ENOUGH_PAIRS: Final = 30
FOLDS: Final = 10

_SHINGLE_SIZE: Final = 5
_AT_ONCE: Final = 2048  # pairs held against the whole grid at a time: about 50 MB

# Combinations of the first three rules, shape (combinations, 3), and of the other two, shape (combinations, 2).
_FIRST: Final = np.array(list(itertools.product(*list(GRID.values())[:3])), np.float64)
_OTHERS: Final = np.array(list(itertools.product(*list(GRID.values())[3:])), np.float64)


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts of pairs: copied and found, not copied but found, copied but missed, neither."""

    right: int
    wrong: int
    missed: int
    passed: int

    @property
    def precision(self) -> float | None:
        """Share of the pairs found that are copied; None where none was found."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        """Share of the copied pairs that were found; None where there are none."""
        return self.right / (self.right + self.missed) if self.right + self.missed else None

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where no copied pair was found."""
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)

    @property
    def precision_interval(self) -> Interval:
        """The 95 % interval of precision."""
        return wilson(self.right, self.right + self.wrong)

    @property
    def recall_interval(self) -> Interval:
        """The 95 % interval of recall."""
        return wilson(self.right, self.right + self.missed)

    @property
    def f1_interval(self) -> Interval:
        """The 95 % interval of F1, see above."""
        low, high = wilson(self.right, self.right + self.wrong + self.missed)
        return 2 * low / (1 + low), 2 * high / (1 + high)


@dataclass(frozen=True, slots=True)
class Measures:
    """What the rules are held against, one entry a pair, each of shape (pairs,); lengths in half words.

    ``covered`` are pairs that are copied whatever the rules of a rewrite say; ``unnamed_agencies`` and ``own`` the
    words shared and quoted in neither text, or in one at most, with the longest run of each; ``unquoted`` and
    ``words`` those of the shorter text; ``trigrams`` how many are shared, ``fewer`` how many the text of fewer has.
    """

    copied: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    unquoted_shared: NDArray[np.int64]
    plain_run: NDArray[np.int64]
    not_quoted_in_both: NDArray[np.int64]
    own_run: NDArray[np.int64]
    unquoted: NDArray[np.int64]
    words: NDArray[np.int64]
    trigrams: NDArray[np.int64]
    fewer: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.copied)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What came of it; ``over_words`` are scores by ``rewrite_words``, the other rules as proposed.

    ``crossed`` adds up the folds, each measured with rules that were chosen without it.
    """

    copied: int
    not_copied: int
    defaults: Scores
    rules: Rules
    proposed: Scores
    crossed: Scores
    folds: int
    seed: int
    over_words: tuple[tuple[int, Scores], ...]


def measure(pairs: Sequence[LabelledPair], articles: Mapping[str, Article]) -> Measures:
    """Verify every pair; ``articles`` has the article of every id.

    Boilerplate is not known here: a text is what a service without other articles would see.
    """
    ready: dict[str, ComparableText] = {}
    rows = []
    for pair in pairs:
        other = articles[pair.other]
        a, b = _ready(articles[pair.article], ready), _ready(other, ready)
        found, short = verify_pair(a, other, b).evidence, shorter(a, b)
        rows.append(
            (
                pair.copied,
                found.kind in COPY_KINDS and found.kind is not MatchKind.REWRITE,
                found.shared - found.quoted,
                found.longest_unquoted,
                found.shared - found.quoted_in_both,
                found.longest_run,
                short.unquoted_half_words,
                short.half_words,
                found.trigrams,
                min(a.trigrams, b.trigrams),
            )
        )
    columns = np.array(rows, np.int64).reshape(-1, 10).T
    return Measures(columns[0] > 0, columns[1] > 0, *columns[2:])


def _ready(article: Article, ready: dict[str, ComparableText]) -> ComparableText:
    if article.id not in ready:
        tokens = tokenize(article.headline, article.body)
        ready[article.id] = comparable(tokens, tokens.body_digest(), _SHINGLE_SIZE)
    return ready[article.id]


def is_copied(measures: Measures, rules: Rules) -> NDArray[np.bool_]:
    """Which pairs are copied by ``rules``, their ``covered`` aside; shape (pairs,)."""
    first = (
        (measures.unquoted_shared >= 2 * rules.rewrite_words)
        & (measures.unquoted_shared >= rules.rewrite_share * measures.unquoted)
        & (measures.plain_run >= 2 * rules.rewrite_run)
    )
    half = (measures.not_quoted_in_both >= rules.rewrite_half * measures.words) & (
        measures.own_run >= 2 * rules.rewrite_half_run
    )
    low = measures.trigrams >= np.maximum(
        rules.rewrite_trigrams, rules.rewrite_trigram_share * measures.fewer
    )
    found: NDArray[np.bool_] = measures.covered | first | half | low
    return found


def scores(measures: Measures, rules: Rules) -> Scores:
    """How ``rules`` do on all pairs."""
    found, copied = is_copied(measures, rules), measures.copied
    return Scores(
        right=int((found & copied).sum()),
        wrong=int((found & ~copied).sum()),
        missed=int((~found & copied).sum()),
        passed=int((~found & ~copied).sum()),
    )


def tune(measures: Measures, *, folds: int = FOLDS, seed: int = 1) -> Tuning:
    """The rules of the best F1 on these pairs, and how they do.

    Raises:
        ValueError: no pair is copied, or every one is.
    """
    total = int(measures.copied.sum())
    if not 0 < total < len(measures):
        raise ValueError("there must be pairs that are copied and pairs that are not")
    fold = _deal(measures.copied, folds, seed)
    # found[k, 1] are pairs of fold k that are copied and found, found[k, 0] that are found and not copied
    found = np.array(
        [[_found(measures, (fold == k) & (measures.copied == side)) for side in (0, 1)] for k in range(folds)]
    )
    copied = np.array([int((measures.copied & (fold == k)).sum()) for k in range(folds)])
    everything = found.sum(axis=0)
    rules = _rules(_best(everything, total))
    right = wrong = 0
    for k in range(folds):
        chosen = _best(everything - found[k], total - int(copied[k]))
        right += int(found[k, 1][chosen])
        wrong += int(found[k, 0][chosen])
    rest = len(measures) - total
    over_words = [(int(words), replace(rules, rewrite_words=int(words))) for words in GRID["rewrite_words"]]
    return Tuning(
        copied=total,
        not_copied=rest,
        defaults=scores(measures, DEFAULT_RULES),
        rules=rules,
        proposed=scores(measures, rules),
        crossed=Scores(right=right, wrong=wrong, missed=total - right, passed=rest - wrong),
        folds=folds,
        seed=seed,
        over_words=tuple((words, scores(measures, each)) for words, each in over_words),
    )


def wilson(part: int, whole: int, z: float = 1.96) -> Interval:
    """The interval of a share (Wilson 1927), by default of 95 %; (0, 1) of nothing."""
    if not whole:
        return 0.0, 1.0
    share, square = part / whole, z * z / whole
    center = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / whole + square / (4 * whole)) / (1 + square)
    return max(0.0, center - half), min(1.0, center + half)


def _deal(copied: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each pair: those copied and those not are shuffled and dealt out one after the other."""
    fold = np.zeros(len(copied), np.int64)
    rng = random.Random(seed)  # noqa: S311 - chance, not secrecy
    dealt = 0
    for side in (True, False):
        members = np.flatnonzero(copied == side).tolist()
        rng.shuffle(members)
        for member in members:
            fold[member] = dealt % folds
            dealt += 1
    return fold


def _found(measures: Measures, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of the chosen pairs each combination finds, shape (first three rules, other two)."""
    found = np.zeros((len(_FIRST), len(_OTHERS)), np.int64)
    words, share, run = (column[:, None] for column in _FIRST.T)
    halves, shares = (column[:, None] for column in _OTHERS.T)
    members = np.flatnonzero(chosen)
    for start in range(0, len(members), _AT_ONCE):
        part = members[start : start + _AT_ONCE]
        shared = measures.unquoted_shared[part]
        first = (shared >= 2 * words) & (shared >= share * measures.unquoted[part])
        first &= measures.plain_run[part] >= 2 * run
        first |= measures.covered[part]
        other = measures.not_quoted_in_both[part] >= halves * measures.words[part]
        other &= measures.own_run[part] >= 2 * DEFAULT_RULES.rewrite_half_run
        trigrams = measures.trigrams[part]
        other |= (trigrams >= DEFAULT_RULES.rewrite_trigrams) & (trigrams >= shares * measures.fewer[part])
        missed = (~first).astype(np.float32) @ (~other).astype(np.float32).T
        found += len(part) - missed.astype(np.int64)
    return found


def _best(found: NDArray[np.int64], copied: int) -> tuple[int, int]:
    """The combination of the best F1, of equal ones the nearest to the defaults; ``found`` by label."""
    wrong, right = found
    f1 = 2 * right / np.maximum(1, right + wrong + copied)
    distance = np.where(f1 == f1.max(), _DISTANCE, np.inf)
    at = divmod(int(distance.argmin()), len(_OTHERS))
    return at[0], at[1]


def _rules(at: tuple[int, int]) -> Rules:
    words, share, run = _FIRST[at[0]].tolist()
    half, trigram_share = _OTHERS[at[1]].tolist()
    return replace(
        DEFAULT_RULES,
        rewrite_words=int(words),
        rewrite_share=share,
        rewrite_run=int(run),
        rewrite_half=half,
        rewrite_trigram_share=trigram_share,
    )


def _distances() -> NDArray[np.float64]:
    """How far each combination is from the defaults, shape (first three rules, other two)."""
    defaults = np.array([getattr(DEFAULT_RULES, name) for name in GRID], np.float64)
    first = np.abs(np.log(_FIRST / defaults[:3])).sum(axis=1)
    others = np.abs(np.log(_OTHERS / defaults[3:])).sum(axis=1)
    distances: NDArray[np.float64] = first[:, None] + others
    return distances.round(9)


_DISTANCE: Final = _distances()
