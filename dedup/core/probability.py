"""How probable it is that a match is copy: that one text was made from the other, or both from the same copy.

A logistic regression on two measures that verification gives anyway: the words that both texts write outside
quotation marks, and the share of word trigrams in common. Its weights were fitted to 258 matches that people or
readers had labelled copied or not (COUNTER, Urdu; Telegram news of 2019; the project's seeds and five articles),
with a penalty of half the squared weights; more measures did not make it better. ``make quality`` fits it again,
cross-validates it, and prints and plots how well it is calibrated (``bench/quality/calibration.py``).

It is calibrated on news in English and Urdu. Where copies are rarer, or quoting more common, than among those
pairs, it says too much, and a threshold of one's own (``dedup tune``) is the better judge.
"""

from __future__ import annotations

import math
from typing import Final

from dedup.model import MatchKind

#: Intercept; weight of the natural logarithm of 1 + shared unquoted words; weight of the trigram share.
WEIGHTS: Final = (-4.23, 1.33, 1.64)
#: Equal bodies, however short: all 43 labelled ones were copies (rule of succession: 44 / 45).
EXACT: Final = 0.98


def probability(kind: MatchKind, unquoted_words: float, trigram_share: float) -> float:
    """Probability in (0, 1) that a match is copy.

    Args:
        kind: of the match.
        unquoted_words: words shared and quoted in neither text.
        trigram_share: of the clear trigrams of the text that has fewer, in [0, 1]; see :mod:`dedup.core.verify`.
    """
    intercept, words, share = WEIGHTS
    logit = intercept + words * math.log1p(unquoted_words) + share * trigram_share
    found = 1 / (1 + math.exp(-logit))
    return max(found, EXACT) if kind is MatchKind.EXACT else found
