"""``dedup create``: a collection with parameters of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dedup.cli.console import printable, say
from dedup.cli.fields import to_object
from dedup.cli.options import DEFAULT_TARGET, AsJson, Target, connect
from dedup.errors import InvalidArgument
from dedup.model import DEFAULT_RULES, CollectionParameters, Rules
from dedup.sources.formats import to_line

_DEFAULTS = CollectionParameters()


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 63 of a-z, 0-9, - and _.")],
    target: Target = DEFAULT_TARGET,
    profile: Annotated[
        str, typer.Option("--profile", metavar="PROFILE", help="passages, or copies: resemblance alone.")
    ] = _DEFAULTS.profile,
    window: Annotated[
        int, typer.Option("--window", metavar="N", help="Shingles in a window, 1 to 64.")
    ] = _DEFAULTS.window,
    landmarks: Annotated[
        int, typer.Option("--landmarks", metavar="N", help="Landmarks of a hot posting, 2 to 1000.")
    ] = _DEFAULTS.landmarks,
    minimum_words: Annotated[
        int, typer.Option("--minimum-words", metavar="N", help="Fewest words of a body that is compared.")
    ] = _DEFAULTS.minimum_words,
    match_window_days: Annotated[
        int,
        typer.Option(
            "--match-window-days", metavar="N", help="Compare articles at most N days apart; 0: all."
        ),
    ] = _DEFAULTS.match_window_days,
    story_span_days: Annotated[
        int, typer.Option("--story-span-days", metavar="N", help="Longest span of a story.")
    ] = _DEFAULTS.story_span_days,
    keep_text: Annotated[
        bool, typer.Option("--keep-text/--no-keep-text", help="Whether headlines and bodies are kept.")
    ] = _DEFAULTS.keep_text,
    same_story: Annotated[
        bool, typer.Option("--same-story", help="Articles of one event can be asked for, see find.")
    ] = _DEFAULTS.same_story,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="NAME=VALUE", help="Where a kind of match begins; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a collection; its parameters are fixed for its life.

    Ingest creates a collection with default parameters where there is none; this command is for others. The
    rules say where the kinds of a match begin, in words or shares: covered, rewrite_words, rewrite_share,
    rewrite_run, rewrite_half, rewrite_half_run, quote_words, quote_passage, rewrite_trigrams, rewrite_trigram_share.

    Examples:
      dedup create wires
      dedup create archive --window 16 --no-keep-text
      dedup create strict --rule rewrite_words=40 --rule rewrite_share=0.2

    """
    parameters = CollectionParameters(
        profile=profile,
        window=window,
        landmarks=landmarks,
        minimum_words=minimum_words,
        match_window_days=match_window_days,
        story_span_days=story_span_days,
        keep_text=keep_text,
        same_story=same_story,
        rules=read_rules(rule or ()),
    )
    with connect(target) as client:
        made = client.create_collection(name, parameters)
    say(to_line(to_object(made)) if as_json else f"created collection {printable(made.name)}")


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
