"""The second opinion says what the definition of a collection's content says, shown on examples made by hand."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import xxhash
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bench.oracle import families, fold
from bench.oracle.clusters import Edge, Pair
from bench.oracle.content import ALL, DAY, PlainCarrier, PlainContent, difference, digest, hashed, mix
from bench.oracle.families import CROWDED, SMALL, START, VARIANTS, Remove, body, kill, passage, replay
from bench.oracle.fold import PlainFold, content_of_texts, outlet_of, representative
from bench.oracle.package import Article, Body, CollectionParameters, PubStatus, read

X, Y, Z = 101, 102, 103  # outlets
NEAR_DUPLICATE, EXCERPT, REWRITE, SHARED_QUOTE = 2, 3, 4, 5


def text(number: int) -> bytes:
    """A digest; they ascend as their numbers do."""
    return number.to_bytes(16, "big")


def by(outlet: int, day: float = 0, id: str = "") -> PlainCarrier:
    """A carrier of an outlet on a day."""
    return PlainCarrier(id or f"{outlet}-{day}", outlet, day * DAY, dated=True, words=20)


def made(
    texts: Mapping[int, tuple[tuple[PlainCarrier, ...], set[int]]],
    edges: Mapping[Pair, Edge] | None = None,
    *,
    landmarks: int = 3,
    window: int = 0,
    span: int = 3,
) -> PlainContent:
    """The content of texts, by number, given as carriers and postings."""
    return content_of_texts(
        {text(n): carriers for n, (carriers, _) in texts.items()},
        {text(n): frozenset(postings) for n, (_, postings) in texts.items()},
        CollectionParameters(landmarks=landmarks, match_window_days=window, story_span_days=span),
        lambda _masks, _pairs: dict(edges or {}),
    )


def crowd_of(size: int, postings: set[int]) -> dict[int, tuple[tuple[PlainCarrier, ...], set[int]]]:
    """Texts 1 to ``size``, each an outlet's of its own and of one day, all with the same postings."""
    return {n: ((by(1000 + n),), postings) for n in range(1, size + 1)}


def pairs(*numbers: tuple[int, int]) -> frozenset[Pair]:
    """Pairs of texts."""
    return frozenset((text(a), text(b)) for a, b in numbers)


# -- texts and carriers ------------------------------------------------------------------------------


def only_text(*articles: Article, now: float = START) -> tuple[PlainCarrier, ...]:
    """The carriers of the one text that articles have."""
    held = PlainFold()
    held.arrive(articles, now)
    (carriers,) = held.content().texts.values()
    return carriers


def test_equal_bodies_are_one_text() -> None:
    """Under whatever headline, in whatever case and marks; its carriers ascend by the bytes of their ids."""
    words = passage("a")
    carriers = only_text(
        Article("ä", "One", words, "X", published=7.0),
        Article("z", "Two", f"“{words.upper()}”", "Y", published=9.5),
    )
    assert [(c.id, c.outlet, c.published, c.dated, c.words) for c in carriers] == [
        ("z", outlet_of(Article("z", source="Y")), 9.5, True, 12),
        ("ä", outlet_of(Article("", source="X")), 7.0, True, 12),
    ]


def test_without_time_an_article_has_that_of_its_arrival() -> None:
    """And is not dated."""
    (carrier,) = only_text(Article("a", "", passage("a"), "X"), now=START + 5)
    assert (carrier.published, carrier.dated, carrier.day) == (START + 5, False, START // DAY)


def test_without_source_an_article_is_an_outlet_of_its_own() -> None:
    """Two of them are two outlets, and neither is an outlet called by an id."""
    a, b, named = Article("a"), Article("b"), Article("c", source="a")
    assert len({outlet_of(a), outlet_of(b), outlet_of(named)}) == 3


def test_a_body_without_words_is_its_headline() -> None:
    """So that it may be the text of an article with that body."""
    words = passage("a")
    carriers = only_text(Article("a", words, "* * *"), Article("b", "Headline", words))
    assert [c.id for c in carriers] == ["a", "b"]


def test_short_bodies_are_no_texts() -> None:
    """Whatever their headline; a text has at least the words asked for."""
    held = PlainFold()
    held.arrive([Article("a", passage("a"), passage("b", 11)), Article("b", "", passage("c", 12))], START)
    assert [c.id for carriers in held.content().texts.values() for c in carriers] == ["b"]


def test_a_carrier_has_agency_and_credits() -> None:
    """The agency that its outlet is, and those that it credits."""
    (carrier,) = only_text(Article("a", "", f"PARIS (AFP) - {passage('a')}", "Reuters"))
    assert carrier.agency == "Reuters"
    assert carrier.credits


# -- posting lists -----------------------------------------------------------------------------------


def test_a_list_is_hot_from_more_texts_than_landmarks() -> None:
    """Its group are the texts with the smallest digests; that of another list are all."""
    found = made({n: ((by(n),), {7, 8} if n < 4 else {7}) for n in range(1, 5)})
    assert found.lists == {7: frozenset(map(text, (1, 2, 3, 4))), 8: frozenset(map(text, (1, 2, 3)))}
    assert found.groups == {7: frozenset(map(text, (1, 2, 3))), 8: frozenset(map(text, (1, 2, 3)))}


def test_digests_compare_as_bytes() -> None:
    """The landmarks of bytes 00.., 7f.., 80.. and ff.. are the first three."""
    digests = [bytes([first] * 16) for first in (0xFF, 0x80, 0x00, 0x7F)]
    assert sorted(fold.group_of(frozenset(digests), 3)) == [bytes([b] * 16) for b in (0x00, 0x7F, 0x80)]


@pytest.mark.parametrize(
    ("days", "begins"),
    [
        ((0, 6), False),
        ((0, 3, 6), True),
        ((0, 3, 5), False),
        ((0, 0, 6), False),
        ((0, 5.99, 0.5), False),
        ((-1, 0, 5), True),
        ((0, 0, 3, 6), True),
    ],
)
def test_an_outlet_repeats_its_boilerplate(days: tuple[float, ...], begins: bool) -> None:
    """In at least 3 texts, on at least 3 days, the first and last more than 5 days apart."""
    texts = {n: ((by(X, day),), {7}) for n, day in enumerate(days)}
    found = made({**texts, 9: ((by(Y),), {7})}, landmarks=9)
    assert found.boilerplate == ({7: frozenset({X})} if begins else {})
    masked = {text(n): frozenset({7} if begins and n != 9 else ()) for n in (*texts, 9)}
    assert found.masks == masked


def test_boilerplate_counts_all_carriers() -> None:
    """An outlet has a text by any carrier, on the days of all its own; other outlets' days do not count."""
    texts = {
        1: ((by(X, 0), by(Y, 9)), {7}),
        2: ((by(Y, 9), by(X, 2), by(X, 6)), {7}),
        3: ((by(Y, 9), by(X, 2)), {7}),
        4: ((by(Z, 4), by(X, 2)), {7}),
        5: ((by(Z, 9),), {7}),
    }
    found = made(texts, landmarks=9)
    assert found.boilerplate == {7: frozenset({X})}
    assert [n for n in texts if found.masks[text(n)]] == [1, 2, 3, 4]
    del texts[4], texts[3]
    assert made(texts, landmarks=9).boilerplate == {}  # three days, but two texts


def test_the_landmarks_of_a_hot_list_decide_about_boilerplate() -> None:
    """For all texts of the list; one that comes before them can end it."""
    texts = {n: ((by(X, 3 * n),), {7}) for n in range(1, 6)}
    found = made(texts)
    assert found.boilerplate == {7: frozenset({X})}
    assert [n for n in texts if found.masks[text(n)]] == [1, 2, 3, 4, 5]
    assert made({0: ((by(Y),), {7}), **texts}).boilerplate == {}


@pytest.mark.parametrize(
    ("size", "landmarks", "days", "begins"),
    [
        (100, 4, (0, 0, 6, 6), True),
        (99, 4, (0, 0, 6, 6), False),
        (100, 4, (0, 1, 6, 9), False),
        (100, 3, (0, 6, 12), False),
        (100, 5, (0, 0, 3, 6, 9), True),
        (100, 8, (0, 0, 1, 3, 3, 6, 90, 90), False),
        (100, 8, (0, 0, 1, 3, 3, 7, 90, 90), True),
        (100, 100, (0, 6) * 50, False),
        (101, 100, (0, 6) * 50, True),
    ],
)
def test_a_notice_is_boilerplate_of_all(
    size: int, landmarks: int, days: tuple[int, ...], begins: bool
) -> None:
    """A hot list of 100 texts whose landmarks, but for a quarter at either end, span more than 5 days."""
    texts = crowd_of(size, {7})
    for n, day in enumerate(days, 1):
        # a text's day is that of its earliest carrier
        texts[n] = (by(1000 + n, 500 + 9 * n), by(2000 + n, day)), {7}
    found = made(texts, landmarks=landmarks)
    assert found.boilerplate == ({7: frozenset({ALL})} if begins else {})
    assert {bool(mask) for mask in found.masks.values()} == {begins}


# -- eligible pairs ----------------------------------------------------------------------------------


def test_texts_of_a_list_that_is_not_hot_are_eligible() -> None:
    """One list is enough; texts without a list in common are not."""
    texts = {1: ((by(X),), {7}), 2: ((by(Y),), {7, 8}), 3: ((by(Z),), {8, 9})}
    assert made(texts).eligible == pairs((1, 2), (2, 3))


def test_hot_lists_are_opened_by_their_landmarks() -> None:
    """Two of them, and a landmark of each in the pair, which need not be the same text."""
    assert made(crowd_of(5, {7})).eligible == frozenset()
    both = made(crowd_of(5, {7, 8}))
    assert both.eligible == pairs((1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5), (3, 4), (3, 5))
    two = crowd_of(5, {7, 8}) | {0: ((by(X),), {8}), 6: ((by(Y),), {7})}
    # of list 7 texts 1, 2 and 3 are landmarks, of list 8 texts 0, 1 and 2
    assert made(two).eligible == pairs((1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5))


def test_half_of_the_landmarks_open_a_list_of_a_hundred() -> None:
    """Rounded up; the other half still decides about boilerplate."""
    assert len(fold.opening_of(frozenset(map(text, range(99))), 3)) == 3
    assert fold.opening_of(frozenset(map(text, range(100))), 3) == frozenset({text(0), text(1)})
    assert len(fold.opening_of(frozenset(map(text, range(100))), 10)) == 5
    assert len(fold.group_of(frozenset(map(text, range(100))), 10)) == 10
    assert made(crowd_of(99, {7, 8})).eligible == pairs(
        *[(a, b) for a in (1, 2, 3) for b in range(a + 1, 100)]
    )
    assert made(crowd_of(100, {7, 8})).eligible == pairs(*[(a, b) for a in (1, 2) for b in range(a + 1, 101)])


def test_boilerplate_of_either_text_makes_no_pair() -> None:
    """Not even with a text of another outlet, for which the list is none."""
    texts = {n: ((by(X, 3 * n),), {7}) for n in (1, 2, 3)}
    texts |= {0: ((by(Y),), {7}), 4: ((by(Z),), {7})}
    assert made(texts, landmarks=9).eligible == pairs((0, 4))


@pytest.mark.parametrize(("apart", "window", "eligible"), [(3, 3, True), (3.001, 3, False), (999, 0, True)])
def test_times_must_be_within_the_window(apart: float, window: int, eligible: bool) -> None:
    """From the last carrier of one text to the first of the other; 0 days are always enough."""
    early = (by(X, -50), by(X, 0))
    found = made({1: (early, {7}), 2: ((by(Y, apart), by(Y, 999)), {7})}, window=window)
    assert found.eligible == (pairs((1, 2)) if eligible else frozenset())
    turned = made({2: (early, {7}), 1: ((by(Y, apart), by(Y, 999)), {7})}, window=window)
    assert turned.eligible == found.eligible


# -- edges -------------------------------------------------------------------------------------------


def test_masked_tokens_are_those_of_minima_and_between_neighbors() -> None:
    """One covers its shingle, two neighbors all between them, and none goes beyond the end."""
    tokens = read(Article("a", "", passage("a", 14)), SMALL).tokens
    here = Body(b"", 28, 0, tokens, frozenset({7, 8, 9}), ((7, 0), (8, 4), (9, 12)))
    assert fold.unusable_tokens(here, {7}, 3) == {0, 1, 2}
    assert fold.unusable_tokens(here, {7, 8}, 3) == set(range(7))
    assert fold.unusable_tokens(here, {7, 9}, 3) == {0, 1, 2, 12, 13}
    assert fold.unusable_tokens(here, set(), 3) == set()


def edges_of(*articles: Article) -> dict[tuple[str, str], Edge]:
    """The edges of articles with bodies of their own, by id, the one with the smaller digest first."""
    held = PlainFold(replace(SMALL, landmarks=9))
    held.arrive(articles, START)
    found = held.content()
    return {(found.texts[a][0].id, found.texts[b][0].id): edge for (a, b), edge in found.edges.items()}


def test_an_edge_is_what_two_bodies_share() -> None:
    """In half words, quoted ones apart; text a is that with the smaller digest, whatever the ids."""
    shared, quoted = passage("s", 20), passage("q", 10)
    long = Article("long", "Same headline", f"{shared}\n“{quoted}”\n{passage('rest', 20)}", "X")
    # the own share is that of all words or of unquoted ones, whichever is less
    for name, statement, own in (
        ("a", quoted, 30 / 50),
        ("z", quoted, 30 / 50),
        ("z", f"“{quoted}”", 20 / 40),
    ):
        short = Article(name, "Same headline", f"{shared}\n{statement}", "Y")
        first, second = sorted((long, short), key=lambda article: read(article, SMALL).digest)
        shares = {"long": 30 / 50, name: 1.0}
        assert edges_of(long, short) == {
            (first.id, second.id): Edge(EXCERPT, 40, 20, shares[first.id], shares[second.id], own)
        }


def test_boilerplate_is_no_evidence() -> None:
    """A footer of twelve words joins two articles of an outlet until it has stood there on a third day."""
    footer = passage("footer")
    notices = [
        Article(f"a{n}", "", f"{passage(f'own {n}')}\n{footer}", "X", published=START + 3 * n * DAY)
        for n in range(4)
    ]
    assert {edge.kind for edge in edges_of(*notices[:2]).values()} == {REWRITE}
    assert edges_of(*notices[:3]) == {}
    assert len(edges_of(*notices[:2], replace(notices[2], source="Y"))) == 3
    assert edges_of(*notices[:3], replace(notices[3], source="Y")) == {}


# -- clusters and stories ----------------------------------------------------------------------------


def settled(
    texts: Mapping[int, tuple[PlainCarrier, ...]], edges: Mapping[tuple[int, int], Edge], span: int = 3
) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """Clusters and stories, as article ids."""
    found = made(
        {n: (carriers, set()) for n, carriers in texts.items()},
        {(text(a), text(b)): edge for (a, b), edge in edges.items()},
        span=span,
    )
    return set(found.clusters), set(found.stories)


WEAK = Edge(REWRITE, 40, 0, 0.3, 0.3, 0.3)


def test_within_an_outlet_most_of_both_texts_must_be_covered() -> None:
    """0.8 of both; a text is of one outlet only if all its carriers have that outlet."""
    x1, x2, x3, y = by(X, 0, "x1"), by(X, 0, "x2"), by(X, 0, "x3"), by(Y, 0, "y")
    apart = {frozenset({"x1"}), frozenset({"x2"})}
    assert settled({1: (x1,), 2: (x2,)}, {(1, 2): WEAK})[0] == apart
    assert settled({1: (x1,), 2: (x2,)}, {(1, 2): WEAK._replace(own=0.8)})[0] == {frozenset({"x1", "x2"})}
    assert settled({1: (x1,), 2: (x2, x3)}, {(1, 2): WEAK})[0] == {frozenset({"x1"}), frozenset({"x2", "x3"})}
    assert settled({1: (x1,), 2: (x2, y)}, {(1, 2): WEAK})[0] == {frozenset({"x1", "x2", "y"})}
    assert settled({1: (x1, y), 2: (x2,)}, {(1, 2): WEAK})[0] == {frozenset({"x1", "x2", "y"})}
    both = {1: (x1, y), 2: (x2, by(Y, 0, "y2"))}
    assert settled(both, {(1, 2): WEAK})[0] == {frozenset({"x1", "x2", "y", "y2"})}


def test_a_text_with_several_carriers_is_a_cluster() -> None:
    """Without any edge, as is a text with one."""
    assert settled({1: (by(X, 0, "a"), by(Y, 0, "b")), 2: (by(X, 0, "c"),)}, {}) == (
        {frozenset({"a", "b"}), frozenset({"c"})},
        set(),
    )


def test_weak_edges_attach_but_do_not_weld() -> None:
    """Two pairs of near duplicates and a rewrite between them: half of either has an edge, and is well held."""
    texts = {n: (by(n, 0, str(n)),) for n in range(1, 7)}
    near = Edge(NEAR_DUPLICATE, 90, 0, 0.9, 0.9, 0.9)
    two_pairs = {(1, 2): near, (3, 4): near, (2, 3): WEAK}
    assert frozenset("1234") in settled(texts, two_pairs)[0]
    three = {**two_pairs, (4, 5): near, (1, 6): near}
    assert settled(texts, three)[0] == {frozenset("126"), frozenset("345")}
    thin = WEAK._replace(unquoted=60, a_share=0.14, b_share=0.14)
    assert frozenset("1234") not in settled(texts, {(1, 2): thin, (3, 4): thin, (2, 3): WEAK})[0]
    thick = thin._replace(a_share=0.15, b_share=0.15)
    assert frozenset("1234") in settled(texts, {(1, 2): thick, (3, 4): thick, (2, 3): WEAK})[0]


def test_a_text_that_stands_whole_in_another_is_attached() -> None:
    """Without the merge test, if 0.3 of that one stands in its own cluster."""
    texts = {n: (by(n, 0, str(n)),) for n in range(1, 5)}
    whole = WEAK._replace(unquoted=20, a_share=0.8)  # of text 1, which stands in one of three others
    three = {(2, 3): WEAK, (2, 4): WEAK, (3, 4): WEAK}
    assert settled(texts, {**three, (1, 2): whole})[0] == {frozenset("1234")}
    assert settled(texts, {**three, (1, 2): WEAK._replace(unquoted=20, a_share=0.79)})[0] == {
        frozenset("1"),
        frozenset("234"),
    }
    thin = {pair: WEAK._replace(a_share=0.29, b_share=0.29) for pair in three}
    assert settled(texts, {**thin, (1, 2): whole})[0] == {frozenset("1"), frozenset("234")}


@pytest.mark.parametrize(
    ("day", "span", "together"), [(3, 3, True), (3.01, 3, False), (3.01, 4, True), (1, 0, False)]
)
def test_a_story_is_within_a_span_of_time(day: float, span: int, together: bool) -> None:
    """Clusters of two outlets that share a statement, if all their carriers are within so many days."""
    texts = {1: (by(X, 0, "a"),), 2: (by(Y, 1, "b"), by(Z, day, "c"))}
    quote = Edge(SHARED_QUOTE, 0, 30, 0.2, 0.2, 0.0)
    found, stories = settled(texts, {(1, 2): quote}, span)
    assert found == {frozenset({"a"}), frozenset({"b", "c"})}
    assert stories == ({frozenset({"a", "b", "c"})} if together else set())
    assert settled({1: (by(X, 0, "a"),), 2: (by(X, 0, "b"),)}, {(1, 2): quote})[1] == set()


def test_the_representative_is_the_earliest_complete_version() -> None:
    """Of those with a time if any has one; then the longest, then the smallest id."""

    def carrier(id: str, words: int, published: float, *, dated: bool = True) -> PlainCarrier:
        return PlainCarrier(id, X, published, dated, words)

    early, late, short = carrier("early", 80, 5), carrier("a", 100, 9), carrier("short", 79, 1)
    undated = carrier("undated", 100, 0, dated=False)
    assert representative([short, late, early, undated]) == "early"
    assert representative([short, late, undated]) == "a"
    assert representative([short, undated, replace(undated, id="b", words=99)]) == "undated"
    assert representative([replace(early, id="z"), early, replace(early, id="ä")]) == "early"
    assert representative([early, replace(early, id="longer", words=81)]) == "longer"


# -- which article stands for an id ------------------------------------------------------------------


def version(number: int | None = None, time: float | None = None, *, name: str = "first") -> Article:
    """A version of article ``a`` with the body of some name."""
    return Article("a", "", passage(name), "X", version=number, version_time=time)


CASES: dict[str, tuple[list[Article], list[str], str | None]] = {
    "an older version never replaces": (
        [version(2), version(1, name="second")],
        ["created", "stale"],
        "first",
    ),
    "an equal version may": ([version(2), version(2, name="second")], ["created", "replaced"], "second"),
    "versions go before their times": (
        [version(1, 9.0), version(2, 5.0, name="second")],
        ["created", "replaced"],
        "second",
    ),
    "times decide where a version is missing": (
        [version(1, 9.0), version(None, 5.0, name="second")],
        ["created", "stale"],
        "first",
    ),
    "else the last in the log": (
        [version(7), version(name="second"), version(1, name="third")],
        ["created", "replaced", "replaced"],
        "third",
    ),
    "equal content moves the version on": (
        [version(1), version(3), version(), version(2, name="second")],
        ["created", "unchanged", "unchanged", "stale"],
        "first",
    ),
    "an older one does not": (
        [version(3), version(1), version(2, name="second")],
        ["created", "stale", "stale"],
        "first",
    ),
    "a kill removes": ([version(1), kill("a", 2)], ["created", "canceled"], None),
    "a stale one does not": ([version(3), kill("a", 2)], ["created", "stale"], "first"),
    "its version is compared with later": (
        [version(1), kill("a", 3), version(2), version(3)],
        ["created", "canceled", "stale", "created"],
        "first",
    ),
    "without one that of the article": (
        [version(2), kill("a"), version(1), version(2)],
        ["created", "canceled", "stale", "created"],
        "first",
    ),
    "its time likewise": (
        [version(), kill("a", None, 5.0), version(None, 4.0), version(None, 6.0)],
        ["created", "canceled", "stale", "created"],
        "first",
    ),
    "a kill may come first": ([kill("a", 2), version(1)], ["canceled", "stale"], None),
    "equal content after a kill is new": (
        [version(), kill("a"), version()],
        ["created", "canceled", "created"],
        "first",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_versions_decide_who_stands(case: str) -> None:
    """Each case by its name; the text that is left is the standing article's."""
    arrivals, outcomes, stands = CASES[case]
    held = PlainFold()
    assert [held.arrive([article], START)[0] for article in arrivals] == outcomes
    left = None if stands is None else read(version(name=stands), held.parameters).digest
    assert [*held.content().texts] == ([] if left is None else [left])


def test_status_is_no_content() -> None:
    """An article withheld is the same article."""
    held = PlainFold()
    assert held.arrive([version(), replace(version(), pubstatus=PubStatus.WITHHELD)], START) == [
        "created",
        "unchanged",
    ]


def test_a_delete_is_a_kill_without_version() -> None:
    """The versions of what it removes stay; whom nobody knows may be deleted."""
    held = PlainFold()
    held.remove("a")
    held.arrive([version(3)], START)
    held.remove("a")
    assert held.content().texts == {}
    assert held.arrive([version(2), version(3)], START) == ["stale", "created"]


def test_an_article_keeps_its_arrival_until_it_is_replaced() -> None:
    """Delivered again it is as old as before; replaced or brought back it is as new as the delivery."""
    held = PlainFold()
    arrivals = []
    for now, article in enumerate((version(), version(2), version(3, name="second"), kill("a"), version(4))):
        held.arrive([article], float(now))
        arrivals += [s.arrived for s in held.survivors().values()]
    assert arrivals == [0.0, 0.0, 2.0, 4.0]


# -- digest and difference ---------------------------------------------------------------------------


def test_numbers_are_mixed_as_defined() -> None:
    """One step after the other, on numbers of unlimited size."""
    big, odd, golden = 2**64, 0xD6E8FEB86659FD93, 0x9E3779B97F4A7C15
    x = 0x0123456789ABCDEF
    once = ((x ^ (x >> 32)) * odd) % big
    twice = ((once ^ (once >> 32)) * odd) % big
    assert mix(x) == twice ^ (twice >> 32)
    start = mix((2 + golden) % big)
    first = (mix(start ^ 5) * golden + 1) % big
    assert hashed(2, 5) == first
    assert hashed(2, 5, x) == (mix(first ^ x) * golden + 1) % big


EMPTY = PlainContent({}, {}, {}, {}, {}, frozenset(), {}, {}, frozenset())


def test_the_digest_is_a_sum_over_elements() -> None:
    """Of two lanes: carriers, edges, boilerplate, clusters and stories; nothing else counts."""
    name = {id: xxhash.xxh3_64_intdigest(id.encode()) for id in "ab"}
    both = sum(name.values()) % 2**64
    here, there = text(5 << 64 | 6), text(5 << 64 | 7)
    shares = (0x3F847AE147AE147B, 0x3FF0000000000000, 0)  # 0.01, 1.0 and 0.0 as IEEE 754 has them
    steps: list[tuple[PlainContent, list[tuple[int, ...]]]] = [
        (replace(EMPTY, texts={here: (by(X, id="a"), by(Y, id="b"))}), [(1, 5, 6, name[id]) for id in "ab"]),
        (
            replace(EMPTY, edges={(here, there): Edge(REWRITE, 30, 8, 0.01, 1.0, 0.0)}),
            [(2, 5, 6, 5, 7, 4, 30, 8, *shares)],
        ),
        (replace(EMPTY, boilerplate={7: frozenset({ALL, X})}), [(3, 7, 0), (3, 7, X)]),
        (replace(EMPTY, clusters={frozenset("ab"): "b"}), [(4, both, 2, name["b"])]),
        (replace(EMPTY, stories=frozenset({frozenset("ab")})), [(5, both, 2)]),
        (replace(EMPTY, lists={7: frozenset({here})}, groups={7: frozenset({here})}), []),
        (replace(EMPTY, eligible=pairs((1, 2)), masks={here: frozenset({7})}), []),
    ]
    for found, elements in steps:
        lanes = [sum(hashed(seed, *words) for words in elements) % 2**64 for seed in (1, 2)]
        assert digest(found) == f"{lanes[0]:016x}{lanes[1]:016x}"
    assert digest(EMPTY) == "0" * 32


def test_differences_are_told_in_lines() -> None:
    """One for each text, list, pair, cluster or story that is not the same, named by an article."""
    a = made({1: ((by(X, 0, "a"),), {7}), 2: ((by(Y, 0, "b"),), {7})}, {(text(1), text(2)): WEAK})
    b = made({1: ((by(X, 0, "a"),), {7}), 2: ((by(Y, 0, "b"),), {8})})
    assert difference(a, a) == []
    assert difference(a, b) == [
        "lists 7: {00000000(b)} | {}",
        "lists 8: missing | {00000000(b)}",
        "groups 7: {00000000(b)} | {}",
        "groups 8: missing | {00000000(b)}",
        "eligible (00000000(a), 00000000(b)): there | missing",
        f"edges (00000000(a), 00000000(b)): {WEAK} | missing",
        "clusters {a, b}: a | missing",
        "clusters {a}: missing | a",
        "clusters {b}: missing | b",
    ]
    assert difference(a, b, parts=("masks", "boilerplate", "texts")) == []


# -- all together ------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=8)
@given(families.histories(), st.randoms(use_true_random=False))
def test_content_depends_on_the_survivors_alone(
    variant: str, history: list[families.Operation], rng: random.Random
) -> None:
    """Operations of different ids in any order, or the survivors alone in any order: the same content."""
    parameters = VARIANTS[variant]
    held = replay(history, parameters)
    wanted = held.content()
    again = replay(families.reordered(history, rng), parameters)
    assert again.survivors() == held.survivors()
    assert difference(again.content(), wanted) == []
    fresh = replay(families.survivors_in_any_order(held.survivors().values(), rng), parameters)
    assert difference(fresh.content(), wanted) == []
    assert digest(fresh.content()) == digest(wanted)


HAPPENINGS: dict[str, Callable[[PlainContent], bool]] = {
    "pairs kept out": lambda c: any(
        pair not in c.eligible
        for members in c.lists.values()
        for pair in itertools.combinations(sorted(members), 2)
    ),
    "several carriers": lambda c: any(len(carriers) > 2 for carriers in c.texts.values()),
    "boilerplate": lambda c: bool(c.boilerplate),
    "boilerplate of two outlets": lambda c: any(len(outlets) > 1 for outlets in c.boilerplate.values()),
    "every kind": lambda c: {edge.kind for edge in c.edges.values()} == {2, 3, 4, 5},
    "stories": lambda c: bool(c.stories),
    "clusters of several texts": lambda c: len(c.clusters) < len(c.texts) - 5,
}


def test_everything_happens_in_small_collections() -> None:
    """What the definition speaks of is found in some of a hundred histories."""
    seen: Counter[str] = Counter()

    @settings(max_examples=100, derandomize=True, database=None, phases=[Phase.generate])
    @given(families.histories())
    def look(history: list[families.Operation]) -> None:
        parts = (replay(history, VARIANTS[variant]).content() for variant in ("small", "many landmarks"))
        seen.update(name for found in parts for name, happens in HAPPENINGS.items() if happens(found))
        held = PlainFold()
        for operation in history:
            if isinstance(operation, families.Arrive):
                seen.update(held.arrive(operation.articles, operation.now))

    look()
    wanted = {*HAPPENINGS, "created", "replaced", "unchanged", "stale", "canceled"}
    assert {name: seen[name] for name in wanted if seen[name] < 3} == {}


def test_a_crowd_has_long_lists() -> None:
    """Of more than a hundred texts, opened by half of their landmarks, one boilerplate of all until removals."""
    rng = random.Random(1)
    history = families.crowd(rng)
    removals = sum(isinstance(operation, Remove) for operation in history)
    before, after = replay(history[:-removals], CROWDED).content(), replay(history, CROWDED).content()
    assert {frozenset({ALL})} == set(before.boilerplate.values())
    assert after.boilerplate == {}
    assert max(map(len, before.lists.values())) > 100 > max(map(len, after.lists.values()))
    assert difference(replay(families.reordered(history, rng), CROWDED).content(), after) == []


def test_bodies_have_the_shapes_they_are_named_for() -> None:
    """A copy with other marks is the same text, an excerpt is not."""
    digests = {
        shape: read(Article("a", "", body(shape, 0, 0)), SMALL).digest
        for shape in ("copy", "with other marks", "excerpt")
    }
    assert digests["copy"] == digests["with other marks"] != digests["excerpt"]
    assert body("copy", 0, 0, "Outlet 1").startswith(body("copy", 0, 0))
