"""What each kind of entry means to the fold: articles, results, what is due, decisions, names."""

from __future__ import annotations

import dataclasses

import pytest

from bench.oracle import families
from dedup.model import Article, DecisionKind, PubStatus
from dedup.state import entries
from tests.state_invariants import check
from tests.state_log import (
    CANCELED,
    COPY,
    CREATED,
    EXCERPT,
    REPLACED,
    STALE,
    UNCHANGED,
    Log,
    Recorded,
    article,
    decided,
    pair,
    replaced,
    result,
)

# -- which article stands ----------------------------------------------------------------------------


def test_what_becomes_of_deliveries() -> None:
    """Created, unchanged, replaced, stale, canceled; a kill may come before what it kills."""
    log = Log()
    first, second = article("a", [1, 2], version=2), article("a", [1, 3], version=3)
    steps = [
        (first, CREATED),
        (first, UNCHANGED),
        (second, REPLACED),
        (first, STALE),
        (article("a", [], canceled=True, version=2), STALE),
        (article("a", [], canceled=True, version=3), CANCELED),
        (first, STALE),
        (second, CREATED),
        (article("b", [], canceled=True, version=5), CANCELED),
        (article("b", [5], version=4), STALE),
        (article("b", [5], version=5), CREATED),
        (article("c", [6], version_time=-100.0), CREATED),
        (article("c", [7], version_time=-200.0), STALE),
    ]
    for made, outcome in steps:
        (found,) = log.arrive(made)
        assert found.outcome == outcome, made
        check(log.collection)
    assert log.collection.articles == 3


def test_a_new_article_is_new_by_number_too() -> None:
    """After a kill the id stands for another article; a replacement keeps number and time of arrival."""
    log = Log()
    (first,) = log.arrive(article("a", [1, 2]))
    (again,) = log.arrive(replaced(article("a", [1, 3]), arrival=2e9))
    assert again.article == first.article
    state = log.reader.article(first.article)
    assert state is not None
    assert (state.arrival, state.text) == (1e9, again.text)
    log.remove("a")
    assert log.reader.article(first.article) is None
    (later,) = log.arrive(article("a", [1, 2]))
    assert later.article != first.article
    assert later.text not in (first.text, again.text)


def test_unchanged_deliveries_move_the_version_on() -> None:
    """And only that; without a version the one that stands stays."""
    log = Log()
    for version in (None, 4, None):
        log.arrive(article("a", [1, 2], version=version))
    (found,) = log.arrive(article("a", [9], version=3))
    assert found.outcome == STALE


@pytest.mark.parametrize(("version", "removed"), [(None, True), (1, False), (2, True), (3, True)])
def test_a_kill_of_an_older_version_is_passed_over(version: int | None, removed: bool) -> None:
    """A delete has no version."""
    log = Log()
    log.arrive(article("a", [1, 2], version=2))
    log.remove("a", "nobody", version=version)
    assert log.collection.articles == (0 if removed else 1)
    check(log.collection)


def test_expired_articles_go() -> None:
    """Those whose standing version arrived before the position; the others stay, and nobody is undecided by that."""
    log = Log(landmarks=2)
    for n in range(6):
        log.arrive(article(f"a{n}", [1, 2, 10 + n]), article(f"b{n}", [1, 3, 20 + n], source=2))
    log.arrive(article("a1", [1, 99]))
    middle = log.written[3][0]
    log.decide_all()
    log.append(entries.horizon(middle))
    log.settle()
    left = [log.reader.id_of(number) for number in log.reader.standing().tolist()]
    assert left == ["a1", "a3", "b3", "a4", "b4", "a5", "b5"]
    check(log.collection)
    assert log.again(sliced=True).log_digest() == log.collection.log_digest()


# -- what is verified --------------------------------------------------------------------------------


def edges(log: Log) -> dict[tuple[int, int], tuple[int, int]]:
    """Kind and words of each edge, by its texts, the smaller number first."""
    return {
        (min(int(e["a"]), int(e["b"])), max(int(e["a"]), int(e["b"]))): (int(e["kind"]), int(e["unquoted"]))
        for e in log.reader.edges()
    }


def two_texts() -> Log:
    """Two texts that share a posting."""
    log = Log()
    log.arrive(article("a", [1, 2]), article("b", [2, 3], source=2))
    return log


def test_an_earlier_result_never_replaces_a_later_one() -> None:
    """Whichever of the two texts was looked up, and with whomever."""
    for late in (result(2, 1, pair(1, EXCERPT, 20)), result(1, 1, pair(2, EXCERPT, 20), everybody=True)):
        log = two_texts()
        log.settle()
        at = log.position
        log.verify(result(1, at, pair(2, words=90), everybody=True))
        log.verify(late)
        assert edges(log) == {(1, 2): (2, 90)}


def test_a_late_entry_does_not_bring_an_edge_back() -> None:
    """That nothing was found is remembered; the same holds for whom the other was verified with."""
    for late in (result(2, 1, pair(1)), result(1, 1, pair(2), everybody=True)):
        log = two_texts()
        log.settle()
        log.verify(result(2, 1, pair(1)))
        log.verify(result(1, log.position, pair(2, 0), everybody=True))
        assert edges(log) == {}
        log.verify(late)
        assert edges(log) == {}


def test_a_result_twice_is_a_result() -> None:
    """The second changes nothing that can be read."""
    log = two_texts()
    for _ in range(2):
        log.verify(result(2, 1, pair(1)), result(1, 1))
        assert edges(log) == {(1, 2): (2, 80)}
        assert log.reader.cluster_of([1, 2]) == [1, 1]
    assert len(log.reader.events()) == len(log.reader.events(log.written[1][0] - 1))


def test_only_a_complete_look_up_of_all_discharges_a_text_due_whole() -> None:
    """Not one of those before it, not a part, not one from before it became due."""
    log = Log(landmarks=2)
    log.arrive(*(article(f"a{n}", [1, 2, 10 + n]) for n in range(3)))
    log.verify(*(result(text, log.position, everybody=True) for text in (1, 2, 3)))
    assert log.collection.due == 0
    before = log.position
    log.remove("a2")
    at = log.position
    assert log.collection.due == 2
    for wrong in (
        result(1, before, pair(2), everybody=True),
        result(1, at, pair(2)),
        result(1, at, pair(2), everybody=True, complete=False),
    ):
        log.verify(wrong)
        assert log.collection.due == 2
    log.verify(result(1, at, pair(2), everybody=True))
    assert log.collection.due == 1


def test_a_pair_that_is_not_eligible_has_no_edge() -> None:
    """A result about two texts that share nothing is no match; it may have been eligible when looked up."""
    log = Log()
    log.arrive(article("a", [1]), article("b", [2]))
    log.verify(result(2, 1, pair(1)))
    assert edges(log) == {}


def test_what_is_due_again_is_handed_out_again() -> None:
    """A text that got due while somebody verified it is not forgotten when that result comes."""
    log = Log(landmarks=3)
    for n in range(5):
        log.arrive(article(f"a{n}", [1, 2, 10 + n]))
    assert log.collection.take_due(100) == ([1, 2, 3, 4, 5], [False] * 5)
    assert log.collection.take_due(100) == ([], [])
    at = log.position
    log.remove("a4", "a3")
    log.verify(*(result(text, at) for text in (1, 2, 3)))
    assert log.collection.due == 3
    assert log.collection.take_due(100) == ([1, 2, 3], [True] * 3)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_boilerplate_that_ends_while_an_outlet_leaves_is_noticed(order: tuple[int, int]) -> None:
    """In one entry a list ceases to be an outlet's boilerplate, and a text of the list ceases to be that outlet's."""
    log = Log()
    bodies = [article(f"a{n}", [1, 10 + n], day=3 * n) for n in range(3)]
    log.arrive(*bodies)
    log.decide_all()
    log.settle()
    log.verify(*(result(text, log.position, everybody=True) for text in (1, 2, 3)))
    assert log.collection.due == 0
    assert log.collection.mask(2).tolist() == [1]
    changes = [article("a0", [99]), replaced(bodies[1], source=2, content=7)]
    log.arrive(*(changes[n] for n in order))
    log.settle()
    assert log.collection.mask(2).size == 0
    assert log.collection.tables.texts[2]["due"]
    assert sorted(log.collection.take_due(10)[0]) == [2, 3, 4]


def test_due_work_has_an_owner() -> None:
    """The server whose entry caused it; whoever retires that one inherits it, over any number of steps."""
    log = Log(landmarks=2)
    log.arrive(article("a", [1, 2]), owner=1)
    log.arrive(article("b", [1, 2, 3]), article("c", [1, 2, 4]), owner=2)
    assert [log.collection.owner_of(text) for text in (1, 2, 3)] == [1, 2, 2]
    log.append(entries.retired(1), owner=3)
    log.append(entries.retired(3), owner=4)
    assert [log.collection.owner_of(text) for text in (1, 2, 3)] == [4, 2, 2]
    log.verify(*(result(text, 3, everybody=True) for text in (1, 2, 3)))
    log.append(entries.remove([entries.Removal(id="c")]), owner=5)
    assert [log.collection.owner_of(text) for text in (1, 2)] == [5, 5]
    again = log.again()
    assert [again.owner_of(text) for text in (1, 2)] == [5, 5]


def test_owners_are_incarnations_of_63_bits() -> None:
    """Whatever their numbers and the order in which they appear; one that retires may never have written."""
    one, two, three, never = (1 << 63) - 1, 1 << 40, 7, 12345
    log = Log()
    log.arrive(article("a", [1, 2]), owner=one)
    log.arrive(article("b", [3, 4]), owner=two)
    assert [log.collection.owner_of(text) for text in (1, 2)] == [one, two]
    log.append(entries.retired(never), owner=three)
    log.append(entries.retired(one), owner=three)
    log.append(entries.retired(three), owner=three)
    assert [log.collection.owner_of(text) for text in (1, 2)] == [three, two]
    again = log.again()
    assert again.log_digest() == log.collection.log_digest()
    assert again.owners_with_work() == log.collection.owners_with_work() == {two, three}


def test_more_servers_than_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever appears takes the place of the one that appeared first, and the work with it: no log is ever too long."""
    monkeypatch.setattr("dedup.state.duties._SERVERS", 4)
    log = Log()
    for n in range(6):
        log.arrive(article(f"a{n}", [10 * n, 10 * n + 1]), owner=100 + n)
    assert [log.collection.owner_of(text) for text in range(1, 7)] == [104, 105, 102, 103, 104, 105]
    log.append(entries.retired(102), owner=103)
    log.arrive(article("b", [1000]), owner=106)  # in the place of 102: that it retired is forgotten
    assert [log.collection.owner_of(text) for text in range(3, 8)] == [106, 103, 104, 105, 106]
    log.append(entries.retired(100), owner=107)  # both appear anew
    assert [log.collection.owner_of(text) for text in (1, 4)] == [107, 107]
    assert log.again().log_digest() == log.collection.log_digest()


# -- decisions ---------------------------------------------------------------------------------------


def test_of_several_decisions_the_first_stands() -> None:
    """In one entry and in later ones, after replacement and removal."""
    log = two_texts()
    log.verify(decisions=[decided(2, kind=COPY, copied=1), decided(2)])
    log.arrive(article("b", [8, 9]))
    log.decide(2)
    log.remove("b")
    log.decide(2)
    found = log.reader.decision(2)
    assert found is not None
    assert (found.kind, found.copies) == (DecisionKind.COPY, "a")


def test_an_undecided_article_keeps_what_it_met() -> None:
    """Copies removed since, and later ones, do not count; what is removed stays until it is decided."""
    log = Log(landmarks=3)
    log.arrive(*(article(f"a{n}", [1, 2, 3, 10 + n], source=n + 1) for n in range(3)))
    log.arrive(article("late", [1, 2, 3, 50], source=8), article("twin", [1, 2, 3, 10], source=9))
    log.decide(1, 2, 3)
    for n in range(30):
        log.arrive(article(f"b{n}", [1, 2, 3, 100 + n], source=20 + n))
    log.decide(*range(6, 36))
    log.remove("a0", "twin", "a1", *(f"b{n}" for n in range(10)))
    log.settle()
    assert log.collection.look_up_late(4, 4).tolist() == [1, 2, 3]
    assert all(log.reader.is_kept(text) for text in (1, 2, 3))
    assert [c.number for c in log.reader.carriers(1, before=5)] == [1]
    assert log.reader.carriers(1) == []
    check(log.collection)
    log.decide(4)
    log.settle()
    assert log.reader.is_kept(1), "twin has not been decided"
    log.decide(5)
    log.settle()
    assert not log.reader.is_kept(1)
    assert log.collection.is_settled or log.collection.due
    check(log.collection)


@pytest.mark.parametrize("then", ["replaced", "removed", "killed"])
def test_carriers_are_those_at_the_first_arrival(then: str) -> None:
    """Whatever became of the article that is decided late."""
    log = Log()
    log.arrive(article("x", [1, 2]))
    log.arrive(article("y", [1, 2], source=2))
    log.decide(1)
    log.remove("x")
    if then == "replaced":
        log.arrive(article("y", [7, 8], source=2))
    elif then == "removed":
        log.remove("y")
    else:
        log.arrive(article("y", [], canceled=True))
    log.settle()
    assert [c.number for c in log.reader.carriers(1, before=2)] == [1]


def test_what_was_removed_within_an_entry_was_not_met() -> None:
    """A late look-up finds what the article met when it came, in the order of the entry."""
    log = Log()
    log.arrive(article("x", [1, 2, 3]))
    found = log.arrive(article("x", [7, 8]), article("y", [1, 2, 4]), article("z", [1, 2, 3]), collect=True)
    for each in found:
        assert each.met is not None
        assert log.collection.look_up_late(each.article, each.text).tolist() == each.met.tolist()
    assert log.reader.carriers(found[2].text, before=found[2].article) == []


# -- names -------------------------------------------------------------------------------------------


def test_a_cluster_is_named_after_its_first_text() -> None:
    """Joining and parting say so; a name that is gone leads on."""
    log = Log()
    log.arrive(*(article(f"a{n}", [1, 10 + n], source=n + 1) for n in range(4)))
    at = log.position
    log.verify(result(2, at, pair(1)), result(4, at, pair(3)), result(1, at), result(3, at))
    assert log.reader.cluster_of([1, 2, 3, 4]) == [1, 1, 3, 3]
    log.verify(result(3, at, pair(2)))
    assert log.reader.cluster_of([1, 2, 3, 4]) == [1] * 4
    assert [kind for _, kind, old, new in log.reader.events(log.written[-2][0]) if old != new] == [
        "cluster_merged"
    ]
    assert log.reader.resolve(3) == 1
    revision = log.reader.revision([1, 2, 3, 4])
    assert revision == log.position
    log.remove("a0")
    assert log.reader.cluster_of([2, 3, 4]) == [2] * 3
    assert log.reader.resolve(1) == 2
    assert log.reader.revision([2, 3, 4]) > revision
    log.remove("a1")
    assert (log.reader.resolve(1), log.reader.resolve(2)) == (3, 3)
    log.remove("a2", "a3")
    assert log.reader.resolve(5) == 0
    check(log.collection)
    assert log.again().log_digest() == log.collection.log_digest()


@pytest.mark.parametrize("way", ["away", "back"])
def test_an_outlet_that_changes_parts_clusters(way: str) -> None:
    """What one outlet's texts share joins them only if it is nearly all of both; both texts learn of that."""
    weak = entries.Pair(
        partner=1, kind=EXCERPT, unquoted=24, a_containment=0.7, b_containment=0.3, min_coverage=0.25
    )
    log = Log()
    body = article("a", [1, 10], source=1 if way == "away" else 3)
    log.arrive(body, article("b", [1, 11], source=3))
    log.verify(result(2, log.position, weak), result(1, log.position))
    for source in (3, 1) if way == "away" else (1, 3, 1):
        log.arrive(replaced(body, source=source, content=source))
        log.settle()
        expected = [1, 2] if source == 3 else [1, 1]
        assert log.reader.divide().cluster.tolist() == expected
        assert log.reader.cluster_of([1, 2]) == expected


def quotes_of_forty() -> Log:
    """Forty texts that share a quote, each with each, none a copy of another: over 500 links of one story."""
    log = Log(landmarks=50)
    log.arrive(*(article(f"a{n:02}", [1, 10 + n], source=n + 1) for n in range(40)))
    log.decide_all()
    at = log.position
    log.verify(
        *(result(text, at, *(pair(other, 5, 10) for other in range(1, text))) for text in range(1, 41))
    )
    assert log.collection.edges == 780
    return log


def test_a_name_that_was_never_told_leads_nowhere() -> None:
    """A text that is removed before its story got its events was in no cluster with those it shares a quote with."""
    log = quotes_of_forty()
    log.remove("a39")
    log.settle()
    assert log.reader.resolve(40) == 0


@pytest.mark.parametrize("ids", [("a0", "a1", "a2"), ("a2", "a1", "a0"), ("a1", "a2", "a0")])
def test_a_cluster_that_goes_at_once_ends_under_its_name(ids: tuple[str, ...]) -> None:
    """Whichever of its texts goes first; its name leads nowhere then."""
    log = Log()
    log.arrive(*(article(f"a{n}", [1, 10 + n], source=n) for n in range(3)))
    log.verify(*(result(n, log.position, *(pair(o) for o in range(1, n))) for n in range(1, 4)))
    log.remove(*ids)
    log.settle()
    assert [event[1:] for event in log.reader.events()][-1:] == [("cluster_ended", 1, 0)]
    assert [log.reader.resolve(n) for n in (1, 2, 3)] == [0, 0, 0]


def test_a_removed_text_that_stood_alone_ends_its_cluster_once() -> None:
    """While the events of its story, of hundreds of links, wait."""
    log = quotes_of_forty()
    log.settle()
    log.verify(result(40, log.position, pair(39, 5, 11)))
    log.remove("a39")
    for n in range(20):
        log.arrive(article(f"more{n}", []))
    log.settle()
    ended = [(kind, old, new) for _, kind, old, new in log.reader.events() if kind == "cluster_ended"]
    assert ended == [("cluster_ended", 40, 0)]


def test_articles_without_outlet_kills_and_versions_as_the_driver_has_them() -> None:
    """What a publisher sends, twice, is unchanged; a kill without version keeps the one it kills."""
    sent = Article("a", body=families.passage("a"), version=3)
    kill = Article("a", pubstatus=PubStatus.CANCELED)
    history = [sent, sent, kill, dataclasses.replace(sent, version=2), dataclasses.replace(sent, version=3)]
    made = Recorded(families.SMALL)
    words = [taken.outcome for each in history for taken in made.ingest([(each, 1.6e9)])]
    made.close()
    assert words == ["created", "unchanged", "canceled", "stale_version", "created"]
