"""The story families of ``seeds/`` are what their labels say, by the reference alone.

Nothing of the package is imported here: a failure means that a text or a label is wrong.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import oracle
from tests.oracle import OracleArticle

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
FAMILIES = sorted(path.name.removesuffix(".labels.json") for path in SEEDS.glob("*.labels.json"))

COPY = {"exact", "near_duplicate", "excerpt", "rewrite"}
KINDS = COPY | {"shared_quote"}
DECISIONS = {"new", "copy", "partial_copy", "own_update", "quotes_only", "not_comparable"}
ROLES = {
    "wire_original",
    "verbatim_new_headline",
    "trimmed_end",
    "middle_dropped",
    "merged",
    "rewritten_lead",
    "quote_only",
    "independent",
    "look_alike",
    "corrected",
    "site_boilerplate",
    "flash",
}
AGENCIES = {
    "AFP",
    "AP",
    "Reuters",
    "dpa",
    "EFE",
    "ANSA",
    "TASS",
    "Xinhua",
    "Kyodo",
    "PA",
    "UPI",
    "Interfax",
    "PTI",
    "Agencies",
}
FIELDS = {"id", "headline", "body", "source", "byline", "located", "url", "language", "published", "version"}


@functools.cache
def lines(family: str) -> tuple[dict[str, Any], ...]:
    """The input lines of a family, in file order."""
    text = (SEEDS / f"{family}.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


@functools.cache
def labels(family: str) -> dict[str, Any]:
    """The labels of a family."""
    loaded: dict[str, Any] = json.loads((SEEDS / f"{family}.labels.json").read_text(encoding="utf-8"))
    return loaded


@functools.cache
def articles(family: str) -> dict[str, OracleArticle]:
    """The articles of a family as they stand at the end: of two versions the higher."""
    found: dict[str, OracleArticle] = {}
    for line in sorted(lines(family), key=lambda line: int(line["version"])):
        found[line["id"]] = OracleArticle.from_json(line)
    return found


@functools.cache
def boilerplate() -> dict[str, set[tuple[str, ...]]]:
    """What the outlets of all families repeat."""
    return oracle.boilerplate(a for family in FAMILIES for a in articles(family).values())


@functools.cache
def measured(a: OracleArticle, b: OracleArticle, *, with_boilerplate: bool = False) -> oracle.Measures:
    """Two articles compared, boilerplate left out unless asked for."""
    return oracle.compare(a, b, boilerplate_of=None if with_boilerplate else boilerplate())


def pairs(family: str) -> dict[tuple[str, str], list[str]]:
    """The acceptable kinds of every labeled pair, smaller id first."""
    result: dict[tuple[str, str], list[str]] = {}
    for pair in labels(family)["pairs"]:
        first, second = sorted((pair["article"], pair["other"]))
        assert (first, second) not in result, "a pair is labeled once"
        result[first, second] = pair["kinds"]
    return result


def allowed(kinds: list[str]) -> set[str | None]:
    """What the reference may say about a pair: one of its kinds, or None where it has none."""
    return set(kinds) if kinds else {None}


def components(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Connected components, each sorted, sorted."""
    group = {node: {node} for node in nodes}
    for a, b in edges:
        if group[a] is not group[b]:
            group[a] |= group[b]
            for node in group[b]:
                group[node] = group[a]
    return sorted(sorted(g) for g in {id(g): g for g in group.values()}.values())


def describe(m: oracle.Measures) -> str:
    """The numbers a writer needs to see why a pair has its kind."""
    return (
        f"{m.article} / {m.other}: {oracle.kind_of(m)}, containment {m.containment:.2f}/{m.other_containment:.2f}, "
        f"unquoted {m.unquoted_words:.0f} = {m.unquoted_share:.2f}, run {m.longest_unquoted_half_words / 2:.0f}, "
        f"quoted {m.quoted_in_long_passages / 2:.0f}"
    )


def test_there_are_families_in_all_required_languages() -> None:
    """At least eight families, in English, French, Spanish, Arabic or Urdu, and Chinese or Japanese."""
    languages = {labels(family)["language"] for family in FAMILIES}
    assert len(FAMILIES) >= 8
    assert {"en", "fr", "es"} <= languages
    assert languages & {"ar", "ur"}
    assert languages & {"zh", "ja"}


def test_every_role_occurs_several_times() -> None:
    """Each way of re-using copy is tried in more than one family, a flash at least once."""
    seen: dict[str, set[str]] = defaultdict(set)
    for family in FAMILIES:
        for article in labels(family)["articles"].values():
            seen[article["role"]].add(family)
        if any(line["version"] > 1 for line in lines(family)):
            seen["corrected"].add(family)
        if any(article.get("boilerplate") for article in labels(family)["articles"].values()):
            seen["site_boilerplate"].add(family)
    assert set(seen) == ROLES
    assert {role for role, families in seen.items() if len(families) < 2} <= {"flash"}


def test_ids_and_texts_are_unique() -> None:
    """No id stands in two families; only a later version repeats one."""
    keys = [(line["id"], line["version"]) for family in FAMILIES for line in lines(family)]
    assert len(keys) == len(set(keys))
    owners: dict[str, set[str]] = defaultdict(set)
    for family in FAMILIES:
        for line in lines(family):
            owners[line["id"]].add(family)
    assert all(len(families) == 1 for families in owners.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_format(family: str) -> None:
    """Lines have the fields of the input format, labels name every article, pair and agency correctly."""
    label = labels(family)
    ids = {line["id"] for line in lines(family)}
    assert 5 <= len(ids) <= 9
    assert label["family"] == family
    assert label["note"]
    assert set(label["articles"]) == ids
    assert set(pairs(family)) == {tuple(sorted(pair)) for pair in itertools.combinations(sorted(ids), 2)}
    assert all(set(kinds) <= KINDS for kinds in pairs(family).values())
    for line in lines(family):
        assert set(line) == FIELDS
        assert line["language"] == label["language"]
        assert line["source"]
        assert oracle.published_at(line["published"]).year >= 2024
    for article in label["articles"].values():
        assert article["role"] in ROLES
        assert article["decision"] in DECISIONS
        for credit in article["agencies"]:
            assert credit["agency"] in AGENCIES
            assert set(credit["places"]) <= {"byline", "dateline", "text", "photo"}
            assert credit["places"]
    for group in [*label["clusters"], label["story"] or []]:
        assert set(group) <= ids


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_have_the_labeled_kinds(family: str) -> None:
    """Every pair of a family is of one of its kinds, or no match where it has none."""
    found = articles(family)
    wrong = []
    for (a, b), kinds in pairs(family).items():
        m = measured(found[a], found[b])
        if oracle.kind_of(m) not in allowed(kinds):
            wrong.append(f"{describe(m)}; expected {kinds}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_keep_their_distance_from_the_thresholds(family: str) -> None:
    """Moving every threshold by a few words or percent changes no kind."""
    found = articles(family)
    stricter = {"near": 0.84, "excerpt": 0.84, "rewrite_words": 24, "rewrite_share": 0.12, "rewrite_run": 12}
    looser = {"near": 0.76, "excerpt": 0.76, "rewrite_words": 17, "rewrite_share": 0.08, "rewrite_run": 8}
    wrong = []
    for (a, b), kinds in pairs(family).items():
        m = measured(found[a], found[b])
        moved = {oracle.kind_of(m, **stricter, quote_words=16), oracle.kind_of(m, **looser, quote_words=10)}
        if not moved <= allowed(kinds):
            wrong.append(f"{describe(m)}; at other thresholds {moved}")
    assert not wrong, "\n".join(wrong)


def test_articles_of_different_families_share_nothing() -> None:
    """No pair across families matches once boilerplate is left out."""
    wrong = []
    for one, two in itertools.combinations(FAMILIES, 2):
        for a in articles(one).values():
            for b in articles(two).values():
                m = measured(a, b)
                if oracle.kind_of(m, rewrite_words=17, rewrite_share=0.06, quote_words=10):
                    wrong.append(describe(m))
    assert not wrong, "\n".join(wrong)


def test_boilerplate_is_a_real_test() -> None:
    """With boilerplate counted as text, articles of one outlet in different families would be rewrites."""
    carriers = [
        found[article_id]
        for family in FAMILIES
        for found in [articles(family)]
        for article_id, label in labels(family)["articles"].items()
        if label.get("boilerplate")
    ]
    same = [(a, b) for a, b in itertools.combinations(carriers, 2) if a.source == b.source]
    kinds = [oracle.kind_of(measured(a, b, with_boilerplate=True)) for a, b in same]
    assert len({a.source for a, _ in same}) >= 2
    assert kinds.count("rewrite") >= 2, kinds
    for a in carriers:
        assert a.source in boilerplate(), a.id


@pytest.mark.parametrize("family", FAMILIES)
def test_clusters_and_story_follow_from_the_pairs(family: str) -> None:
    """Clusters are the components of copy edges; shared quotes between outlets join them into a story.

    Within one outlet an edge counts only where 0.8 of both texts is shared.
    """
    found, label = articles(family), labels(family)
    copies, quotes = [], []
    for a, b in pairs(family):
        m = measured(found[a], found[b])
        kind, same = oracle.kind_of(m), found[a].source == found[b].source
        if kind in COPY and (not same or min(m.containment, m.other_containment) >= 0.8):
            copies.append((a, b))
        elif kind == "shared_quote" and not same:
            quotes.append((a, b))
    assert sorted(map(sorted, label["clusters"])) == [c for c in components(found, copies) if len(c) > 1]
    if label["story"] is not None:
        assert sorted(label["story"]) in components(found, copies + quotes)


@pytest.mark.parametrize("family", FAMILIES)
def test_decisions_follow_from_what_came_before(family: str) -> None:
    """In file order, each first arrival is judged against the earlier ones as labeled."""
    arrived: dict[str, OracleArticle] = {}
    for line in lines(family):
        article = OracleArticle.from_json(line)
        if article.id not in arrived:
            expected = labels(family)["articles"][article.id]["decision"]
            assert decide(article, arrived.values()) == expected, article.id
        arrived[article.id] = article


def decide(article: OracleArticle, earlier: Iterable[OracleArticle]) -> str:
    """The decision about ``article``, from kinds and containment alone."""
    if oracle.half_words(article.tokens) < 2 * oracle.MINIMUM_BODY_WORDS:
        return "not_comparable"
    decision = "new"
    for other in earlier:
        m = measured(article, other)
        kind = oracle.kind_of(m)
        covered = m.containment if m.article == article.id else m.other_containment
        if kind in COPY and (kind == "exact" or covered >= 0.8):
            if other.source == article.source:
                return "own_update"
            decision = "copy"
        elif kind in COPY and decision != "copy":
            decision = "partial_copy"
        elif kind == "shared_quote" and decision == "new":
            decision = "quotes_only"
    return decision


# -- the reference itself --------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=40), st.lists(st.sampled_from("abc"), max_size=40))
def test_tiling_equals_its_definition(left: list[str], right: list[str]) -> None:
    """The longest free run of all is taken again and again, ties first in one text and then in the other."""
    a, b = oracle.tokenize(" ".join(left)), oracle.tokenize(" ".join(right))
    used_a, used_b, expected = set[int](), set[int](), []
    while True:
        best = (3, 0, 0)
        for i, j in itertools.product(range(len(a)), range(len(b))):
            k = 0
            while (
                i + k < len(a)
                and j + k < len(b)
                and a[i + k].text == b[j + k].text
                and i + k not in used_a
                and j + k not in used_b
            ):
                k += 1
            best = max(best, (k, -i, -j)) if k > 3 else best
        if best[0] <= 3:
            break
        count, i, j = best[0], -best[1], -best[2]
        used_a |= set(range(i, i + count))
        used_b |= set(range(j, j + count))
        expected.append((i, j, count))
    tiles = oracle.tile(a, b, minimum_words=4)
    assert [(p.first, p.other_first, p.tokens) for p in tiles] == sorted(expected)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('He said "one two" three', "one two"),
        ("He said “one two” three", "one two"),
        ("« un deux » trois", "un deux"),
        ("„eins zwei“ drei", "eins zwei"),
        ("»eins zwei« drei", "eins zwei"),
        ("「東京」大阪", "東 京"),
        ("‘one doesn’t two’ three", "one doesn t two"),
        ("'one doesn't two' three", "one doesn t two"),
        ("rock 'n roll", ""),
        ("“left open\nnext one", "left open"),
        ("the dogs’ bowl isn’t full", ""),
        ('a 5" pipe and "one" more', "one"),
    ],
)
def test_quotation_marks(text: str, quoted: str) -> None:
    """Marks of several languages; an apostrophe is none; the state starts anew with every paragraph."""
    assert " ".join(token.text for token in oracle.tokenize(text) if token.quoted) == quoted


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It’s well-known: 3.5%", "it s well known 3 5"),
        ("cafe\u0301 CAFÉ Straße", "café café strasse"),
        ("ＡＢＣ１２３ ٣٤ ４．６", "abc123 34 4 6"),
        ("كتـابٌ يَكتب", "\u06a9تاب \u06ccکتب"),
        ("東京タワー42年", "東 京 タ ワ ー 42 年"),
        ("ก่อน", "ก่ อ น"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
    ],
)
def test_tokens(text: str, tokens: str) -> None:
    """Tokens in their normal form, over several scripts."""
    assert " ".join(token.text for token in oracle.tokenize(text)) == tokens


def test_candidate_pairs_are_those_of_comparing_everything() -> None:
    """The exhaustive search over runs finds what tiling every pair finds."""
    everything = [article for family in FAMILIES[:6] for article in articles(family).values()]
    expected = []
    for a, b in itertools.combinations(sorted(everything, key=lambda article: article.id.encode()), 2):
        passages = measured(a, b, with_boilerplate=True).passages
        if sum(p.half_words for p in passages if p.half_words >= 16) >= 40:
            expected.append((a.id, b.id))
    assert oracle.candidate_pairs(everything) == expected
