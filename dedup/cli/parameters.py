"""What a collection is made with, as options of the commands that make one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from dedup.errors import InvalidArgument
from dedup.model import DEFAULT_RULES, CollectionParameters, Rules

#: What holds where an option is not given.
DEFAULTS: Final = CollectionParameters()

Profile = Annotated[
    str, typer.Option("--profile", metavar="PROFILE", help="passages, or copies: resemblance alone.")
]
Window = Annotated[int, typer.Option("--window", metavar="N", help="Shingles in a window, 1 to 64.")]
Landmarks = Annotated[
    int, typer.Option("--landmarks", metavar="N", help="Landmarks of a hot posting, 2 to 1000.")
]
MinimumWords = Annotated[
    int, typer.Option("--minimum-words", metavar="N", help="Fewest words of a body that is compared.")
]
MatchWindowDays = Annotated[
    int,
    typer.Option("--match-window-days", metavar="N", help="Compare articles at most N days apart; 0: all."),
]
StorySpanDays = Annotated[
    int, typer.Option("--story-span-days", metavar="N", help="Longest span of a story.")
]
KeepText = Annotated[
    bool, typer.Option("--keep-text/--no-keep-text", help="Whether headlines and bodies are kept.")
]
SameStory = Annotated[
    bool, typer.Option("--same-story", help="Articles of one event can be asked for, see find.")
]
Rule = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="NAME=VALUE", help="Where a kind of match begins; may be repeated."),
]


def read_rules(given: Sequence[str]) -> Rules:
    """The default rules with each ``NAME=VALUE`` in its place; the service checks their ranges.

    Raises:
        InvalidArgument: there is no such rule, or the value is not a number of its type.

    """
    kinds = {name: type(value) for name, value in dataclasses.asdict(DEFAULT_RULES).items()}
    found: dict[str, Any] = {}
    for each in given:
        name, _, value = each.partition("=")
        if name not in kinds:
            raise InvalidArgument(f"--rule {each}: the rules are {', '.join(kinds)}", field="rules")
        try:
            found[name] = kinds[name](value)
        except ValueError as error:
            what = "a whole number of words" if kinds[name] is int else "a share, such as 0.5"
            raise InvalidArgument(f"--rule {each}: {name} must be {what}", field=f"rules.{name}") from error
    return Rules(**found)
