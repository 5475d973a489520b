"""``dedup tune``: rules proposed from labelled pairs of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dedup.cli.console import report, say, show_table, waiting
from dedup.cli.options import AsJson
from dedup.config import load_settings
from dedup.core.article_rules import ArticleRules
from dedup.errors import DedupError, InvalidArgument
from dedup.model import DEFAULT_RULES, Article, LabelledPair, PubStatus, Rules
from dedup.sources import open_source, read_jsonl
from dedup.sources.formats import share, to_line
from dedup.sources.jsonl import source_name
from dedup.sources.labels import read_labels

if TYPE_CHECKING:
    from dedup.core.tuning import Scores, Tuning

#: Exit status where the labels cannot be used.
BAD_LABELS = 2

_NUMBERS = ("precision", "recall", "F1")


def run(
    labels: Annotated[
        str, typer.Argument(metavar="LABELS", help="JSON Lines, a labelled pair a line; - is standard input.")
    ],
    articles: Annotated[
        list[str],
        typer.Option("--articles", metavar="FILE", help="Articles as ingest takes them; may be repeated."),
    ],
    more: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="More files of articles.")] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Deals the pairs into folds.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Propose rules for your own news from pairs that you labelled.

    A line of LABELS is one JSON object: article and other (ids) and either copied (true or false) or kind:
    exact, near_duplicate, excerpt and rewrite are copied; shared_quote, same_story and none are not. Of
    several versions of an article the last counts. No service is needed.

    Shown are precision, recall and F1 of "copied or not" over rewrite_words, the rules of the best F1 among
    all combinations tried, what the defaults and these reach, and what such a choice reaches on pairs that
    it was not made on (10-fold cross-validation, with 95 % intervals). Exit status 2: the labels cannot be
    used.

    Examples:
      dedup tune labels.jsonl --articles articles.jsonl
      dedup tune labels.jsonl --articles archive/*.jsonl.gz
      dedup tune labels.jsonl --articles articles.jsonl --json

    """
    try:
        with waiting("read the pairs"):
            pairs, known = _load(labels, [*articles, *(more or ())])
    except InvalidArgument as error:
        report("dedup: " + " ".join(error.message.split()))
        raise typer.Exit(BAD_LABELS) from error
    from dedup.core.tuning import measure, tune

    with waiting("verify the pairs"):
        tuning = tune(measure(pairs, known), seed=seed)
    warnings = _warnings(tuning)
    for warning in warnings:
        report(f"warning: {warning}")
    if as_json:
        say(to_line(tuning_fields(tuning, warnings)))
    else:
        _show(tuning)


def _load(labels: str, files: Sequence[str]) -> tuple[list[LabelledPair], dict[str, Article]]:
    """The labelled pairs and their articles; raises InvalidArgument that names file and line."""
    name = source_name(labels)
    with open_source(labels) as stream:
        pairs = read_labels(stream, name)
    for copied, word in ((True, "copied"), (False, "not copied")):
        if not any(pair.copied is copied for pair in pairs):
            what = f"no pair is labelled as {word}" if pairs else "there are no labelled pairs"
            raise InvalidArgument(f"{name}: {what}")
    articles = _articles(files, {name for pair in pairs for name in (pair.article, pair.other)})
    for pair in pairs:
        for wanted in (pair.article, pair.other):
            if wanted not in articles:
                where = ", ".join(map(source_name, files))
                raise InvalidArgument(f"{pair.place}: no article {wanted[:80]!r} in {where}")
    return pairs, articles


def _articles(files: Sequence[str], wanted: set[str]) -> dict[str, Article]:
    """The articles that are wanted, each as it stands last; lines that hold none are reported."""
    rules = ArticleRules.of(load_settings())
    found: dict[str, Article] = {}
    for path in files:
        with open_source(path) as stream:
            for line in read_jsonl(stream, source_name(path), rules):
                if isinstance(line.outcome, DedupError):
                    report(f"{line.place}: {line.outcome.message}")
                elif line.outcome.id in wanted and line.outcome.pubstatus is not PubStatus.CANCELED:
                    found[line.outcome.id] = line.outcome
    return found


def _warnings(tuning: Tuning) -> list[str]:
    from dedup.core.tuning import ENOUGH_PAIRS

    counts = {"copied": tuning.copied, "not copied": tuning.not_copied}
    found = [
        f"only {count} pair{'' if count == 1 else 's'} labelled as {word}: with fewer than {ENOUGH_PAIRS} "
        "the proposal may not hold for other articles"
        for word, count in counts.items()
        if count < ENOUGH_PAIRS
    ]
    if tuning.rules != DEFAULT_RULES and tuning.crossed.f1 <= tuning.defaults.f1:
        found.append(
            "cross-validated, rules chosen from these pairs do no better than the defaults: keep those"
        )
    return found


def create_command(rules: Rules) -> str:
    """How to make a collection with these rules."""
    changed = "".join(f" --rule {name}={value:g}" for name, value in _changed(rules).items())
    return f"dedup create NAME{changed}"


def _changed(rules: Rules) -> dict[str, float]:
    before = dataclasses.asdict(DEFAULT_RULES)
    return {name: value for name, value in dataclasses.asdict(rules).items() if value != before[name]}


def tuning_fields(tuning: Tuning, warnings: Sequence[str]) -> dict[str, object]:
    """All of it for a program."""
    return {
        "pairs": {"copied": tuning.copied, "not_copied": tuning.not_copied},
        "defaults": {"rules": dataclasses.asdict(DEFAULT_RULES), **_fields(tuning.defaults)},
        "proposed": {"rules": dataclasses.asdict(tuning.rules), **_fields(tuning.proposed)},
        "cross_validation": {
            "folds": tuning.folds,
            "seed": tuning.seed,
            **_fields(tuning.crossed),
            "precision_interval": [*map(share, tuning.crossed.precision_interval)],
            "recall_interval": [*map(share, tuning.crossed.recall_interval)],
            "f1_interval": [*map(share, tuning.crossed.f1_interval)],
        },
        "over_rewrite_words": [
            {"rewrite_words": words, **_fields(scores)} for words, scores in tuning.over_words
        ],
        "warnings": list(warnings),
        "create": create_command(tuning.rules),
    }


def _fields(scores: Scores) -> dict[str, object]:
    numbers = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
    return {
        **dataclasses.asdict(scores),
        **{name: None if value is None else share(value) for name, value in numbers.items()},
    }


def _show(tuning: Tuning) -> None:
    say(f"{tuning.copied + tuning.not_copied:,} pairs: {tuning.copied:,} copied, {tuning.not_copied:,} not")
    say("")
    rows = []
    for words, scores in tuning.over_words:
        notes = [
            note
            for note, rules in (("default", DEFAULT_RULES), ("proposed", tuning.rules))
            if rules.rewrite_words == words
        ]
        rows.append([str(words), *_cells(scores), ", ".join(notes)])
    show_table(("rewrite_words", *_NUMBERS, ""), rows, right=("rewrite_words", *_NUMBERS))
    say("")
    crossed = tuning.crossed
    intervals = (crossed.precision_interval, crossed.recall_interval, crossed.f1_interval)
    rows = [
        ["defaults", *_cells(tuning.defaults), ""],
        ["proposed", *_cells(tuning.proposed), "on the pairs it was chosen on"],
        [f"{tuning.folds}-fold", *_cells(crossed), "cross-validated"],
        ["95 % from", *(_number(low) for low, _ in intervals), ""],
        ["95 % to", *(_number(high) for _, high in intervals), ""],
    ]
    show_table(("rules", *_NUMBERS, ""), rows, right=_NUMBERS)
    say("")
    changed = _changed(tuning.rules)
    if not changed:
        say("The default rules are the best on these pairs; a collection has them unless told otherwise.")
        return
    before = dataclasses.asdict(DEFAULT_RULES)
    say("Proposed: " + ", ".join(f"{name} {value:g} ({before[name]:g})" for name, value in changed.items()))
    say("A collection keeps its rules for life. To make one with these, and ingest into it:")
    say(f"  {create_command(tuning.rules)}")


def _cells(scores: Scores) -> list[str]:
    return [_number(value) for value in (scores.precision, scores.recall, scores.f1)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
