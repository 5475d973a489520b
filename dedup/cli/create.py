"""``dedup create``: a collection with parameters of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from dedup.cli.console import printable, say
from dedup.cli.fields import to_object
from dedup.cli.options import DEFAULT_TARGET, AsJson, Target, connect
from dedup.cli.parameters import (
    DEFAULTS,
    KeepText,
    Landmarks,
    MatchWindowDays,
    MinimumWords,
    Profile,
    Rule,
    SameStory,
    StorySpanDays,
    Window,
    read_rules,
)
from dedup.model import CollectionParameters
from dedup.sources.formats import to_line


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 63 of a-z, 0-9, - and _.")],
    target: Target = DEFAULT_TARGET,
    profile: Profile = DEFAULTS.profile,
    window: Window = DEFAULTS.window,
    landmarks: Landmarks = DEFAULTS.landmarks,
    minimum_words: MinimumWords = DEFAULTS.minimum_words,
    match_window_days: MatchWindowDays = DEFAULTS.match_window_days,
    story_span_days: StorySpanDays = DEFAULTS.story_span_days,
    keep_text: KeepText = DEFAULTS.keep_text,
    same_story: SameStory = DEFAULTS.same_story,
    rule: Rule = None,
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
