"""The benchmark suite runs and measures what it says. No test here asserts a time."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench import brute, corpus, metrics, report, sketch
from dedup.model import Article

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("sketch", "index", "cluster", "fold", "latency", "growth", "store", "profile")


def run_bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    """``python -m bench`` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )


def test_articles_are_the_same_for_the_same_seed_and_begin_every_longer_stream() -> None:
    """So that contenders of unequal speed are given the same articles."""
    few = corpus.articles(50)
    assert few == list(itertools.islice(corpus.stream(5000), 50))
    assert few != corpus.articles(50, seed=2)


def test_generated_news_has_words_families_outlets_and_boilerplate() -> None:
    """About 500 words, one id each, a tenth of verbatim copies or so, footers that outlets repeat, rising times."""
    made = corpus.articles(2 * corpus.CHUNK)
    words = [len(article.body.split()) for article in made]
    assert 450 < sum(words) / len(words) < 600
    assert min(words) > 50
    assert len({article.id for article in made}) == len(made)
    assert len({article.source for article in made}) > 200
    assert sorted(made, key=lambda article: article.published or 0) == made
    assert any("“" in article.body and "\n" in article.body for article in made)
    footers = Counter(article.body[-40:] for article in made)
    assert footers.most_common(1)[0][1] > 20
    beginnings = Counter(article.body[:80].partition(") - ")[2] or article.body[:60] for article in made)
    assert 0.05 < sum(count - 1 for count in beginnings.values()) / len(made) < 0.3


def test_the_hot_story_and_the_footer_are_what_they_are_called() -> None:
    """Copies share most words with the wire and are not equal to it; every footer is the same 80 words."""
    wire, *copies = corpus.hot_story(30)
    assert len({article.body for article in copies}) == len(copies)
    kept = [
        len(set(wire.body.split()) & set(copy.body.split())) / len(set(copy.body.split())) for copy in copies
    ]
    assert min(kept) > 0.9
    footers = {" ".join(article.body.split()[-80:]) for article in corpus.boilerplate(700)}
    assert len(footers) == 1
    assert len({article.id for article in corpus.boilerplate(700)}) == 700


def test_brute_force_splits_pairs_by_kind(tmp_path: Path) -> None:
    """A copy, an excerpt and a rewrite of one wire are found as such; one outlet's own repetition is not asked for."""
    blocks = corpus.paragraphs(np.random.default_rng(3), 40)
    wire = "".join(blocks[:10])
    given = [
        Article("a", "One", wire, "A"),
        Article("b", "Two", wire, "B"),
        Article("c", "Three", "".join(blocks[:4]), "C"),
        Article("d", "Four", "".join([*blocks[10:18], blocks[3], blocks[4]]), "D"),
        Article("e", "Five", "".join(blocks[20:30]), "E"),
        Article("f", "Six", wire, "A"),
    ]
    found = brute.pairs(given, tmp_path)
    assert found["a", "b"] == "copy"
    assert found["a", "c"] == "excerpt"
    assert found["a", "d"] == "rewrite"
    assert ("a", "f") not in found
    assert not any("e" in pair for pair in found)
    assert brute.pairs(given, tmp_path) == found, "kept results are read back"


def test_signatures_are_compared_with_datasketch() -> None:
    """The check that the sketch part makes before it measures."""
    assert sketch.check_equal(corpus.articles(5)) == 5


def test_percentiles_and_totals() -> None:
    """Small arithmetic that every figure rests on."""
    values = [float(value) for value in range(100, 0, -1)]
    assert report.percentile(values, 0.5) == 51
    assert report.percentile(values, 0.99) == 100
    assert report.percentile([7.0], 0.99) == 7
    assert metrics.Total(5, 2.0).since(metrics.Total(2, 0.5)) == metrics.Total(3, 1.5)
    assert [report.shown(cell) for cell in (None, "x", 12345, 12345.6, 1.234, 0.01234)] == [
        "-", "x", "12,345", "12,346", "1.23", "0.0123",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_part_runs_and_leaves_results_and_plots(tmp_path: Path) -> None:
    """Tiny sizes, no real news: every part prints a table, is in the JSON file and says what it skipped."""
    done = run_bench(
        *PARTS,
        *("--quick", "--articles", 40, "--rounds", 1, "--seconds", 0.5, "--sizes", "40,120"),
        *("--output", tmp_path, "--data", tmp_path / "nothing"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert tuple(result["parts"]) == PARTS
    assert result["machine"]["cores_used"] <= 2
    assert result["versions"]["datasketch"]
    runs = result["parts"]["index"]["data"]["rounds"]
    assert all(run["articles"] and run["seconds"] > 0 for run in runs)
    assert {"datasketch", "dedup, batches of 100", "dedup, 32 callers"} <= {run["contender"] for run in runs}
    assert all(run["appended_bytes"] > 1000 for run in runs if run["contender"].startswith("dedup"))
    assert result["parts"]["cluster"]["data"]["ratio"] > 0
    assert not any(result["parts"]["cluster"]["data"]["differing lines"].values())
    steps = result["parts"]["growth"]["data"]["steps"]
    assert all(step["appended_per_article"] > 500 for step in steps)
    assert [step["articles"] for step in steps][:2] == [40, 120]
    assert [[stage["articles"] for stage in step["stages"]] for step in steps][:2] == [[40], [120]]
    assert all(stage["rate"] > 0 and stage["server_resident"] > 0 for stage in steps[1]["stages"])
    marks = result["parts"]["fold"]["data"]["marks"]
    assert [mark["articles"] for mark in marks] == [100, 200]
    assert all(mark["us"] > 0 and mark["bytes"] > 0 and mark["edges"] > 0 for mark in marks[1:])
    assert "recall on telegram_2019 is skipped" in done.stdout
    for part in PARTS:
        assert f"\n{part}  " in done.stdout
    for plot in ("index", "cluster", "sketch", "latency", "growth-rate", "profile"):
        assert (tmp_path / f"{plot}.png").stat().st_size > 1000
        assert (tmp_path / f"{plot}.svg").stat().st_size > 1000


def test_an_unknown_part_is_refused() -> None:
    """One line on what parts there are."""
    done = run_bench("speed")
    assert done.returncode == 2
    assert "'sketch'" in done.stderr
