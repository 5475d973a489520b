"""Rules proposed from labelled pairs: the search, the labels that are refused, the command."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dedup.cli import main
from dedup.core import tuning
from dedup.core.text import tokenize
from dedup.core.tuning import GRID, Measures, is_copied, measure, scores, tune, wilson
from dedup.core.verify import ComparableText, comparable
from dedup.core.verify_pair import verify_pair
from dedup.model import COPY_KINDS, DEFAULT_RULES, Article, LabelledPair, Rules
from tests import data
from tests.cli_process import one_line

#: What the labels of the pairs that were read mean.
READ = {
    "same_copy": "near_duplicate", "excerpt": "excerpt", "derived": "rewrite",
    "quotes_only": "shared_quote", "same_event": "same_story", "other": "none",
}  # fmt: skip

Pairs = list[LabelledPair]
Articles = dict[str, Article]


def words(prefix: str, count: int) -> str:
    """Words that nothing else has."""
    return " ".join(f"{prefix}{n}" for n in range(count))


def sharing(name: str, runs: Sequence[int], *, own: int, copied: bool) -> tuple[LabelledPair, Articles]:
    """Two articles that share runs of so many words, each with ``own`` words of its own between them."""
    bodies = []
    for side in ("left", "right"):
        parts = [words(f"{name}shared{n}x", run) for n, run in enumerate(runs)]
        between = [words(f"{name}{side}{n}x", own // (len(runs) + 1)) for n in range(len(runs) + 1)]
        bodies.append(
            "\n".join([between[0], *(p for pair in zip(parts, between[1:], strict=True) for p in pair)])
        )
    a, b = (Article(f"{name}-{side}", body=body) for side, body in zip("ab", bodies, strict=True))
    return LabelledPair(a.id, b.id, copied), {a.id: a, b.id: b}


def gathered(made: Iterator[tuple[LabelledPair, Articles]]) -> tuple[Pairs, Articles]:
    """Pairs and all their articles."""
    pairs: Pairs = []
    articles: Articles = {}
    for pair, both in made:
        pairs.append(pair)
        articles |= both
    return pairs, articles


def separable() -> tuple[Pairs, Articles]:
    """Copies share 30 words and more in runs of 10, others 24 to 26 in one, in shorter texts: 28 tells them."""

    def made() -> Iterator[tuple[LabelledPair, Articles]]:
        for n in range(12):
            yield sharing(f"c{n}", [10, 10, 10 + n], own=160, copied=True)
            yield sharing(f"n{n}", [26 - n % 3], own=80, copied=False)

    return gathered(made())


def of_seeds() -> tuple[Pairs, Articles]:
    """The labelled pairs of the story families."""
    articles = {article.id: article for article in data.latest(data.seeds())}
    copies = {kind.name.lower() for kind in COPY_KINDS}
    pairs = []
    for family in data.labels():
        about: Any = family
        pairs += [
            LabelledPair(p["article"], p["other"], bool(copies & set(p["kinds"]))) for p in about["pairs"]
        ]
    return pairs, articles


def combinations(count: int) -> Iterator[tuple[tuple[int, int], Rules]]:
    """Combinations of the grid by their place in it."""
    rng = random.Random(3)
    for _ in range(count):
        at = (rng.randrange(len(tuning._FIRST)), rng.randrange(len(tuning._OTHERS)))
        yield at, tuning._rules(at)


# -- the search -------------------------------------------------------------------------------------


def test_the_best_threshold_is_found() -> None:
    """Of all combinations that tell every pair the nearest to the defaults, with the scores of its rules."""
    pairs, articles = separable()
    found = tune(measure(pairs, articles))
    assert found.rules == Rules(rewrite_words=28)
    assert (found.copied, found.not_copied) == (12, 12)
    assert (found.defaults.right, found.defaults.wrong) == (12, 12)
    assert (found.defaults.precision, found.defaults.recall, found.defaults.f1) == (0.5, 1.0, 2 / 3)
    assert (found.proposed.precision, found.proposed.recall, found.proposed.f1) == (1.0, 1.0, 1.0)
    assert found.crossed.f1 > 0.9
    over = dict(found.over_words)
    assert list(over) == list(GRID["rewrite_words"])
    assert over[28] == found.proposed
    assert (over[24].wrong, over[26].wrong, over[30].missed, over[35].missed) == (12, 4, 0, 5)


def test_rules_that_cannot_be_bettered_stay() -> None:
    """Where the defaults tell every pair they are proposed, whatever else would."""
    made = (sharing(f"p{n}", [60] if n % 2 else [], own=160, copied=bool(n % 2)) for n in range(20))
    found = tune(measure(*gathered(made)))
    assert found.rules == DEFAULT_RULES
    assert found.crossed == found.proposed == found.defaults


def test_thresholds_are_chosen_without_the_fold() -> None:
    """A copy of 14 words moves the proposal, which finds it; chosen without it, no rule does."""

    def made() -> Iterator[tuple[LabelledPair, Articles]]:
        for n in range(15):
            yield sharing(f"c{n}", [60], own=160, copied=True)
            yield sharing(f"n{n}", [], own=160, copied=False)
        yield sharing("odd", [14], own=120, copied=True)

    found = tune(measure(*gathered(made())))
    assert found.rules == Rules(rewrite_words=14)
    assert (found.proposed.missed, found.crossed.missed) == (0, 1)
    assert (found.crossed.right, found.crossed.wrong) == (15, 0)


def test_what_is_counted_is_what_verification_says() -> None:
    """For rules anywhere in the grid, on the story families in seven languages."""
    pairs, articles = of_seeds()
    measures = measure(pairs, articles)
    ready: dict[str, ComparableText] = {}
    for name, article in articles.items():
        tokens = tokenize(article.headline, article.body)
        ready[name] = comparable(tokens, tokens.body_digest(), 5)
    for _, rules in combinations(60):
        expected = []
        for pair in pairs:
            found = verify_pair(ready[pair.article], articles[pair.other], ready[pair.other], rules)
            expected.append(found.evidence.kind in COPY_KINDS)
        assert is_copied(measures, rules).tolist() == expected, rules


def test_the_search_is_exhaustive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are those of the rules; none is better than the proposal, no equal one nearer."""
    monkeypatch.setattr(tuning, "_AT_ONCE", 7)  # pairs are taken in parts
    seeds, hand_made = of_seeds(), separable()
    measures = measure([*seeds[0], *hand_made[0]], seeds[1] | hand_made[1])
    found = tune(measures)
    right, wrong = (tuning._found(measures, measures.copied == side) for side in (True, False))
    for at, rules in combinations(400):
        counted = scores(measures, rules)
        assert (int(right[at]), int(wrong[at])) == (counted.right, counted.wrong)
        assert counted.f1 <= found.proposed.f1
    f1 = 2 * right / (right + wrong + int(measures.copied.sum()))
    assert f1.max() == found.proposed.f1
    nearest = tuning._DISTANCE[f1 == f1.max()].min()
    chosen = {name: getattr(found.rules, name) / getattr(DEFAULT_RULES, name) for name in GRID}
    assert sum(abs(np.log(ratio)) for ratio in chosen.values()) == pytest.approx(nearest)


def test_the_defaults_are_in_the_grid() -> None:
    """Every default can be proposed, and every value is one that a collection can have."""
    for name, values in GRID.items():
        default = getattr(DEFAULT_RULES, name)
        assert default in values
        assert list(values) == sorted(set(values))
        limits = (0.01, 1.0) if isinstance(default, float) else (1, 1000)
        assert limits[0] <= values[0] <= values[-1] <= limits[1]


def test_folds_are_stratified_and_seeded() -> None:
    """Both labels are spread evenly over the folds; a seed always deals the same."""
    copied = np.arange(130) < 43
    fold = tuning._deal(copied, 10, 1)
    assert set(np.bincount(fold[copied])) == {4, 5}
    assert set(np.bincount(fold[~copied])) == {8, 9}
    assert set(np.bincount(fold)) == {13}
    assert fold.tolist() == tuning._deal(copied, 10, 1).tolist()
    assert fold.tolist() != tuning._deal(copied, 10, 2).tolist()


def test_one_label_is_not_enough() -> None:
    """There is nothing to choose where every pair is copied."""
    pairs, articles = separable()
    with pytest.raises(ValueError, match="pairs that are copied and pairs that are not"):
        tune(measure([replace(pair, copied=True) for pair in pairs], articles))
    with pytest.raises(ValueError, match="pairs that are copied"):
        tune(measure([], {}))


def test_intervals() -> None:
    """Wilson's interval as published tables have it, and of nothing everything."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)
    all_right = tuning.Scores(10, 0, 0, 10)
    low, high = all_right.f1_interval
    assert 0 < low < all_right.f1 == high
    assert tuning.Scores(0, 0, 3, 3).precision is None
    assert tuning.Scores(0, 0, 3, 3).f1 == 0


def test_many_pairs_take_a_moment() -> None:
    """Counts of 20,000 pairs are those of as many repetitions: memory is bounded, sums are exact."""
    small = measure(*separable())
    many = Measures(*(np.tile(getattr(small, name), 800) for name in Measures.__dataclass_fields__))
    everything = np.ones(len(small), np.bool_)
    expected = tuning._found(small, everything) * 800
    assert (tuning._found(many, np.ones(len(many), np.bool_)) == expected).all()


# -- the command ------------------------------------------------------------------------------------


def write(path: Path, lines: Sequence[Mapping[str, object]]) -> Path:
    """A file of JSON Lines, packed if its name says so."""
    raw = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Labels and articles of the pairs that 28 words tell apart."""
    pairs, articles = separable()
    labels: list[dict[str, object]] = [
        {"article": pair.article, "other": pair.other, "copied": pair.copied} for pair in pairs
    ]
    for label, kind in zip(labels, ("rewrite", "none", "near_duplicate", "same_story"), strict=False):
        del label["copied"]
        label["kind"] = kind
    bodies = [{"id": a.id, "headline": a.headline, "body": a.body} for a in articles.values()]
    return (
        write(tmp_path / "labels.jsonl", labels),
        write(tmp_path / "articles.jsonl.gz", [{"id": bodies[0]["id"], "body": "an older version"}, *bodies]),
    )


def test_tune_for_people(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The table, the three scores, and how to make a collection of it; few pairs are warned about."""
    labels, articles = files
    assert main(["tune", str(labels), "--articles", str(articles)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "24 pairs: 12 copied, 12 not"
    assert lines[2].split() == ["rewrite_words", "precision", "recall", "F1"]
    assert "           20      0.500   1.000  0.667  default" in lines
    assert "           28      1.000   1.000  1.000  proposed" in lines
    assert any(line.startswith("10-fold") and line.endswith("cross-validated") for line in lines)
    assert "Proposed: rewrite_words 28 (20)" in lines
    assert lines[-1] == "  dedup create NAME --rule rewrite_words=28"
    assert [line.split(":")[:2] for line in err.splitlines()] == [
        ["warning", " only 12 pairs labelled as copied"],
        ["warning", " only 12 pairs labelled as not copied"],
    ]


def test_tune_for_programs(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object with all of it; the same labels and seed give the same bytes."""
    labels, articles = files
    half = write(articles.with_name("more.jsonl"), [{"id": "unused", "body": "x"}])
    outs = []
    for _ in range(2):
        assert main(["tune", str(labels), "--json", "--articles", str(half), str(articles)]) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1]
    (line,) = outs[0].splitlines()
    found = json.loads(line)
    assert found["pairs"] == {"copied": 12, "not_copied": 12}
    assert found["defaults"]["rules"]["rewrite_words"] == 20
    assert (found["defaults"]["precision"], found["defaults"]["wrong"]) == (0.5, 12)
    assert found["proposed"]["rules"] == {**found["defaults"]["rules"], "rewrite_words": 28}
    assert found["proposed"]["f1"] == 1.0
    crossed = found["cross_validation"]
    assert (crossed["folds"], crossed["seed"]) == (10, 1)
    for name in ("precision", "recall", "f1"):
        low, high = crossed[f"{name}_interval"]
        assert 0 <= low <= crossed[name] <= high <= 1
    assert [entry["rewrite_words"] for entry in found["over_rewrite_words"]] == list(GRID["rewrite_words"])
    assert len(found["warnings"]) == 2
    assert found["create"] == "dedup create NAME --rule rewrite_words=28"


GOOD = {"article": "a", "other": "b", "copied": True}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([GOOD, {"article": "a", "other": "x", "copied": False}], "2: no article 'x' in {articles}"),
        ([GOOD, {"article": "b", "other": "a", "copied": False}],
         "2: 'b' and 'a' are labelled as not copied, but at {labels}:1 as copied"),
        ([GOOD, {"article": "a", "other": "b", "kind": "none"}],
         "2: 'a' and 'b' are labelled as not copied, but at {labels}:1 as copied"),
        ([{"article": "a", "other": "b", "kind": "rewritten"}],
         "1: kind must be one of exact, near_duplicate, excerpt, rewrite, shared_quote, same_story, none"),
        ([{"article": "a", "other": "b", "kind": 3}], "1: kind must be one of"),
        ([{"article": "a", "other": "b", "copied": "yes"}], "1: copied must be true or false"),
        ([{"article": "a", "other": "b"}], "1: neither copied nor kind is given"),
        ([{"article": "a", "other": "b", "kind": "exact", "copied": False}],
         "1: kind exact is copied, but copied says otherwise"),
        ([GOOD, {"article": "a", "copied": True}], "2: other is missing"),
        ([{"article": 7, "other": "b", "copied": True}], "1: article must be the id of an article, a string"),
        ([{"article": "a", "other": "a", "copied": True}], "1: article and other are the same"),
        ([], " there are no labelled pairs"),
        ([GOOD, GOOD], " no pair is labelled as not copied"),
        ([{**GOOD, "kind": None, "copied": False}], " no pair is labelled as copied"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[dict[str, object]], message: str
) -> None:
    """One line with file, line and reason, and status 2."""
    labels = write(tmp_path / "labels.jsonl", lines)
    articles = write(tmp_path / "articles.jsonl", [{"id": "a", "body": "x"}, {"id": "b", "body": "y"}])
    expect_error(capsys, labels, articles, message.format(labels=labels, articles=articles))


def test_a_line_of_labels_that_is_no_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused with its column; control characters in ids reach no terminal."""
    labels = tmp_path / "labels.jsonl"
    labels.write_text('\n{"article": "a",\n')
    articles = write(tmp_path / "articles.jsonl", [{"id": "a", "body": "x"}])
    expect_error(capsys, labels, articles, "2: malformed JSON at column 17")
    write(labels, [{"article": "a", "other": "\x1b]0;x\x07\n", "copied": bool(n)} for n in range(2)])
    expect_error(capsys, labels, articles, "2: ")


def expect_error(capsys: pytest.CaptureFixture[str], labels: Path, articles: Path, message: str) -> None:
    """The command ends with status 2, one line and nothing else."""
    assert main(["tune", str(labels), "--articles", str(articles)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    line = one_line(err)
    assert line.startswith(f"{labels}:{message}")
    assert "\x1b" not in line


def test_bad_lines_of_articles_are_reported(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """They do not matter where every labelled article is there; a kill takes no version away."""
    labels, articles = files
    more = articles.with_name("more.jsonl")
    more.write_text('{"id": "x"}\n{"id": "c0-a", "pubstatus": "canceled"}\n')
    assert main(["tune", str(labels), "--articles", str(articles), "--articles", str(more)]) == 0
    assert capsys.readouterr().err.splitlines()[0] == f"{more}:1: body is missing"
    assert main(["tune", str(labels), "--articles", str(more.with_name("none"))]) == 1
    assert "No such file" in one_line(capsys.readouterr().err)


def test_a_choice_that_does_not_hold_is_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where cross-validation is no better than the defaults, that is said."""

    def made() -> Iterator[tuple[LabelledPair, Articles]]:
        for n in range(30):
            yield sharing(f"c{n}", [60], own=160, copied=True)
            yield sharing(f"n{n}", [], own=160, copied=False)
        yield sharing("odd", [14], own=120, copied=True)

    pairs, articles = gathered(made())
    labels = write(
        tmp_path / "l.jsonl", [{"article": p.article, "other": p.other, "copied": p.copied} for p in pairs]
    )
    bodies = write(tmp_path / "a.jsonl", [{"id": a.id, "body": a.body} for a in articles.values()])
    assert main(["tune", str(labels), "--articles", str(bodies)]) == 0
    out, err = capsys.readouterr()
    assert "rewrite_words=14" in out
    assert err == (
        "warning: cross-validated, rules chosen from these pairs do no better than the defaults: keep those\n"
    )


def test_real_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pairs of real news labelled by reading: a proposal with its cross-validated F1."""
    read = data.beside("data/telegram_2019.read_pairs.jsonl.gz")
    with gzip.open(read, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    labels = write(
        tmp_path / "labels.jsonl.gz",
        [{"article": r["article"], "other": r["other"], "kind": READ[r["label"]]} for r in rows],
    )
    assert (
        main(["tune", str(labels), "--articles", str(data.beside("data/telegram_2019.jsonl.gz")), "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == {"copied": 26, "not_copied": 44}
    print(f"cross-validated F1 {found['cross_validation']['f1']}, defaults {found['defaults']['f1']}")
    assert 0 <= found["cross_validation"]["f1"] <= 1
    assert found["defaults"]["f1"] <= found["proposed"]["f1"] <= 1
