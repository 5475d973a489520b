"""Digests of what a collection holds: the same for the same content, another where anything of it changes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import digests, goldens
from bench.digests import Export
from bench.goldens import Golden
from dedup.cli.export import write_export
from dedup.model import (
    Cluster,
    Decision,
    DecisionKind,
    ExportedArticle,
    IngestResult,
    Match,
    MatchKind,
    Origin,
    Outcome,
    Passage,
)

ARTICLES = (
    ExportedArticle("a", "11", "c1", "s1", representative=True, agencies=("AP",)),
    ExportedArticle("b", "22", "c1", "s1", representative=False),
    ExportedArticle("c", "33", "c3", "s1", representative=True, agencies=("AFP", "dpa")),
    ExportedArticle("d", "44", None, None, representative=False),
    ExportedArticle("e", "22", "c1", "s1", representative=False),
)
PASSAGES = (Passage(0, 9, 5, 14, 2, 0), Passage(20, 29, 0, 9, 2, 1))
MATCHES = (
    Match("a", "b", MatchKind.NEAR_DUPLICATE, 0.5, 0.9, 0.8, 40, 4, 30, PASSAGES, probability=0.9),
    Match("a", "c", MatchKind.SHARED_QUOTE, 0.1, 0.2, 0.3, 12, 12, 0, PASSAGES[:1], probability=0.1),
)
CLUSTERS = (
    Cluster(
        "c1", 7, 3, "a", "earliest published", "a", 1e9, True, "s1", ("c3",), Origin("AP", 0.8, "bylines")
    ),
    Cluster("c3", 2, 1, "c", "the only one", "c", None, True, "s1", ("c1",)),
    Cluster("c9", 2, 1, "d", "stood with others before", "d", None, True, None),
)
DECISION = Decision(DecisionKind.COPY, "a", 0.9, 30, 4, 2, 1)
ANSWERS = (
    IngestResult("b", Outcome.CREATED, True, DECISION, 2, 1e9),
    IngestResult("d", Outcome.NOT_COMPARABLE, False, None, 4, 1e9),
)


def lines(
    articles: tuple[ExportedArticle, ...] = ARTICLES,
    matches: tuple[Match, ...] = MATCHES,
    clusters: tuple[Cluster, ...] = CLUSTERS,
    answers: tuple[IngestResult, ...] = ANSWERS,
) -> digests.Lines:
    """All aspects."""
    export = Export.of([*articles, *matches])
    members = export.groups("cluster") | {"c9": ["d"]}
    return digests.of_files(export) | {
        "measures": digests.measures(matches, export.texts()),
        "clusters": digests.clusters(clusters, members),
        "earliest": digests.earliest(clusters, members),
        "decisions": digests.decisions(answers),
    }


def changed(one: digests.Lines, other: digests.Lines) -> set[str]:
    """The aspects whose digests differ."""
    return {aspect for aspect in one if digests.digest(one[aspect]) != digests.digest(other[aspect])}


def swapped(match: Match) -> Match:
    """The same match seen from its other side."""
    passages = [
        Passage(p.other_start, p.other_end, p.start, p.end, p.words, p.quoted) for p in match.passages
    ]
    return msgspec.structs.replace(
        match,
        article=match.other,
        other=match.article,
        containment=match.other_containment,
        other_containment=match.containment,
        passages=tuple(sorted(passages, key=lambda p: p.start)),
    )


def test_order_names_and_sides_do_not_count() -> None:
    """Lines in any order, clusters and stories with other names and revisions, pairs seen from the other side."""
    names = {"c1": "c8", "c3": "c2", "s1": "s77"}
    articles = [
        replace(a, cluster=names.get(a.cluster or ""), story=names.get(a.story or "")) for a in ARTICLES
    ]
    described = [
        replace(c, id=names[c.id], revision=1, story="s77", linked=tuple(names[n] for n in c.linked))
        for c in CLUSTERS[:2]
    ]
    export = Export.of([*articles, *MATCHES])
    members = export.groups("cluster")
    matches, answers = [*map(swapped, MATCHES)], [*ANSWERS]
    for one in (articles, matches, described, answers):
        random.Random(1).shuffle(one)
    again = digests.of_files(Export.of([*articles, *matches])) | {
        "measures": digests.measures(matches, export.texts()),
        "clusters": digests.clusters(described, members),
        "earliest": digests.earliest(described, members),
        "decisions": digests.decisions(answers),
    }
    assert again == lines()
    assert not changed(again, lines())


def match_with(**fields: Any) -> digests.Lines:
    """All aspects with one field of the first match changed."""
    return lines(matches=(msgspec.structs.replace(MATCHES[0], **fields), MATCHES[1]))


def article_with(**fields: Any) -> digests.Lines:
    """All aspects with one field of the second article changed."""
    return lines(articles=(ARTICLES[0], replace(ARTICLES[1], **fields), *ARTICLES[2:]))


CHANGES: dict[str, tuple[Callable[[], digests.Lines], set[str]]] = {
    "a kind": (lambda: match_with(kind=MatchKind.EXCERPT), {"matches", "measures"}),
    "Jaccard": (lambda: match_with(jaccard=0.500001), {"matches", "measures"}),
    "a digit that files round": (lambda: match_with(jaccard=0.50000001), {"measures"}),
    "containment": (lambda: match_with(containment=0.91), {"matches", "measures"}),
    "containment of the other": (lambda: match_with(other_containment=0.81), {"matches", "measures"}),
    "shared words": (lambda: match_with(shared_words=41), {"matches", "measures"}),
    "quoted words": (lambda: match_with(quoted_words=5), {"matches", "measures"}),
    "probability": (lambda: match_with(probability=0.8), {"matches", "measures"}),
    "the longest run": (lambda: match_with(longest_unquoted_run=31), {"measures"}),
    "a passage": (lambda: match_with(passages=PASSAGES[:1]), {"passages"}),
    "a match": (lambda: lines(matches=MATCHES[:1]), {"matches", "passages", "measures"}),
    "a text": (lambda: article_with(text="55"), {"texts", "matches", "passages", "measures"}),
    "an agency": (lambda: article_with(agencies=("Reuters",)), {"credits"}),
    "a cluster": (lambda: article_with(cluster="c3"), {"partition", "clusters", "earliest"}),
    "a story": (lambda: article_with(story=None), {"stories"}),
    "a representative": (lambda: article_with(representative=True), {"partition"}),
    "an origin": (
        lambda: lines(clusters=(replace(CLUSTERS[0], origin=Origin("AFP", 0.8, "bylines")), *CLUSTERS[1:])),
        {"clusters"},
    ),
    "a link": (lambda: lines(clusters=(replace(CLUSTERS[0], linked=()), *CLUSTERS[1:])), {"clusters"}),
    "who came first": (
        lambda: lines(clusters=(replace(CLUSTERS[0], earliest="b"), *CLUSTERS[1:])),
        {"earliest"},
    ),
    "a decision": (
        lambda: lines(answers=(replace(ANSWERS[0], decision=replace(DECISION, words_new=2)), ANSWERS[1])),
        {"decisions"},
    ),
    "an outcome": (
        lambda: lines(answers=(replace(ANSWERS[0], outcome=Outcome.REPLACED), ANSWERS[1])),
        {"decisions"},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_shows_in_its_aspects_alone(what: str) -> None:
    """So that the table says what kind of thing is not as it was."""
    make, aspects = CHANGES[what]
    assert changed(make(), lines()) == aspects


def test_a_cluster_of_one_without_links_is_left_out() -> None:
    """Whether the service has a record of it depends on what it stood with before."""
    assert lines(clusters=CLUSTERS[:2]) == lines()


def test_the_files_of_an_export_give_the_same_digests(tmp_path: Path) -> None:
    """Written by anybody, whatever the order of their lines; counts come from them too."""
    write_export([*ARTICLES, *MATCHES], tmp_path)
    whole = lines()
    made = digests.of_files(Export.read(tmp_path))
    assert made == {aspect: whole[aspect] for aspect in made}
    for path in tmp_path.iterdir():
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(reversed(rows)), encoding="utf-8")
    assert digests.of_files(Export.read(tmp_path)) == made
    counts = digests.counts(Export.read(tmp_path))
    assert counts["articles"] == 5
    assert (counts["comparable"], counts["texts"]) == (4, 3)
    assert (counts["clusters of two and more"], counts["largest cluster"], counts["stories"]) == (1, 3, 1)
    assert (counts["matches"], counts["matches: near_duplicate"], counts["passages"]) == (2, 1, 3)


def test_differing_lines_are_listed_and_kept(tmp_path: Path) -> None:
    """A line that stands twice on one side and once on the other differs, too."""
    assert digests.differing(["a", "b", "b", "c"], ["a", "b", "d"]) == ["- b", "- c", "+ d"]
    digests.save(["é\u2028", "b"], tmp_path / "kept")
    assert digests.saved(tmp_path / "kept") == ["é\u2028", "b"]
    digests.save([], tmp_path / "kept")
    assert digests.saved(tmp_path / "kept") == []


def test_a_golden_is_held_against_what_is_recorded(tmp_path: Path) -> None:
    """Equal, not recorded, different: only the first passes, and the last lists the lines that differ."""
    known = Golden(lines(), {"matches": 2, "decisions: copy": 1})
    recorded = {"digests": known.digests(), "counts": known.counts}
    assert goldens.compared("made", recorded, known, None, 5)[1]
    assert not goldens.compared("made", None, known, None, 5)[1]
    digests.save(known.lines["matches"], tmp_path / "made.matches.txt.gz")
    other = Golden({"matches": lines(matches=MATCHES[:1])["matches"]}, {"matches": 1})
    part, equal = goldens.compared("made", recorded, other, tmp_path, 5)
    assert not equal
    assert part.grids[0].rows[0][-1] == "NO"
    assert part.grids[1].rows == (("matches", 2, 1),), "an export does not show decisions"
    assert part.notes[0] == "matches: 1 lines differ"
    assert part.notes[1].startswith("- ")


def test_figures_of_the_quality_tables() -> None:
    """Numbers by table, row and column; time is left out, and rows with one name are told apart."""
    columns = ["finder", "days", "F1", "seconds"]
    grid = {"title": "pairs", "columns": columns, "rows": [["dedup", 1, 0.5, 3.2], ["dedup", 7, None, 3.3]]}
    words = {"title": "words", "columns": ["finder", "missed"], "rows": [["dedup", "1 (0 to 2)"]]}
    found = goldens.figures({"parts": {"seeds": {"grids": [grid, words]}}})
    assert found == {
        "seeds: pairs": {"dedup, days 1: days": 1, "dedup, days 1: F1": 0.5, "dedup, days 7: days": 7}
    }
    assert goldens.changed({"a": 1, "b": 2}, {"b": 3, "c": 4}) == (
        ("a", 1, None),
        ("b", 2, 3),
        ("c", None, 4),
    )


def test_what_is_recorded_holds_no_text() -> None:
    """The news is of others: digests, counts and figures alone may be kept."""
    recorded = json.loads(goldens.GOLDENS.read_text(encoding="utf-8"))
    assert list(recorded["datasets"]) == list(goldens.DATASETS)
    for about in recorded["datasets"].values():
        assert set(about["digests"]) == set(lines())
        assert all(len(bytes.fromhex(found)) == 16 for found in about["digests"].values())
        assert all(type(count) is int for count in about["counts"].values())
    assert all(
        type(f) in {int, float} for table in recorded["quality"]["figures"].values() for f in table.values()
    )
