"""Which parameters a collection may be made with."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from dedup.core.lsh import choose
from dedup.errors import InvalidArgument
from dedup.model import CollectionParameters, Rules

#: What a collection may be made for.
PROFILES: Final = ("passages", "copies")
#: Lowest and highest value of each number.
RANGES: Final = {
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
RULE_WORDS: Final = 1_000


def check_parameters(parameters: CollectionParameters) -> None:
    """Raises InvalidArgument naming the first parameter that is out of range and its limits."""
    if parameters.profile not in PROFILES:
        message = f"profile must be one of {', '.join(PROFILES)}, not {parameters.profile!r}"
        raise InvalidArgument(message, field="profile")
    for name, (low, high) in RANGES.items():
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
        elif not 1 <= value <= RULE_WORDS:
            message = f"{name} must be from 1 to {RULE_WORDS}, not {value}"
            raise InvalidArgument(message, field=name, minimum=1, maximum=RULE_WORDS)
