"""What is read of a state: equal to what the definitions say, over random histories."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bench.oracle import families
from dedup.core.decision import first_of_each
from dedup.model import ArticleNumber
from dedup.state import entries
from dedup.state.collection import Collection
from dedup.state.kernels import base, components
from dedup.state.reading import CollectionReader
from tests.state_log import Log, article, folded, pair, replaced, result
from tests.state_reads import Slow
from tests.test_state_invariants import Drawn

_STEPS = 40


class Loose(Drawn):
    """A log whose texts share little: links, quotes and stories."""

    def found(self, text: int, other: int) -> entries.Pair:
        """What two texts are to each other, always the same."""
        chosen = random.Random(min(text, other) << 20 | max(text, other))
        kind = chosen.choice((0, 2, 3, 4, 4, 4, 5, 5))
        share = chosen.choice((0.9, 0.9, 0.3, 0.1))
        if not kind:
            return entries.Pair(partner=other)
        return entries.Pair(
            partner=other,
            kind=kind,
            unquoted=chosen.randrange(1000),
            quoted=chosen.randrange(9),
            a_containment=share,
            b_containment=chosen.choice((0.9, 0.2)),
            min_coverage=min(share, 0.5) if kind > 2 else share,
        )


def histories(count: int = 10) -> Iterator[Drawn]:
    """Logs that grow by an entry with each step, read every third."""
    for seed in range(count):
        kind = Drawn if seed % 3 == 2 else Loose
        drawn = kind(1000 + seed, (2, 3, 10)[seed % 3], window=(0, 4)[seed % 2])
        yield drawn


def growing(count: int = 10) -> Iterator[tuple[Drawn, Slow]]:
    """Each history again and again as it grows, at last settled."""
    for drawn in histories(count):
        for step in range(_STEPS):
            drawn.step()
            if step % 3 == 0:
                yield drawn, Slow(drawn.log.collection)
        drawn.log.decide_all()
        drawn.log.settle()
        yield drawn, Slow(drawn.log.collection)


def pages(read: Callable[[int, int], list[int]], size: int) -> list[int]:
    """All that is listed, page by page."""
    out: list[int] = []
    while page := read(out[-1] if out else 0, size):
        assert len(page) <= size
        out += page
    return out


def test_clusters_and_stories_are_as_described() -> None:
    """Every number there is or was: record and articles; one reader all the time, so that nothing stale is kept."""
    readers: dict[int, CollectionReader] = {}
    found = 0
    for drawn, slow in growing():
        collection = drawn.log.collection
        reader = readers.setdefault(id(collection), drawn.log.reader)
        for number in range(collection.highest_text + 2):
            record = slow.cluster(number)
            assert reader.cluster(number) == record
            articles = (
                [c.number for text in record.texts for c in slow.nodes[text].carriers] if record else []
            )
            assert reader.articles_of_cluster(number) == sorted(articles)
            story = slow.story(number)
            assert reader.story(number) == story
            found += bool(story)
    assert found > 20


@pytest.mark.parametrize("same_story", [False, True])
def test_nothing_is_read_of_an_empty_collection(same_story: bool) -> None:
    """Every question has an answer before the first article, and about number 0."""
    log = Log(same_story=same_story)
    for _ in range(2):
        reader, collection = log.reader, log.collection
        numbers = [reader.number_of("a"), reader.text_of_article(0), reader.text_of_digest(bytes(16))]
        for number in (0, 1):
            numbers += [reader.resolve(number), reader.resolve_story(number)]
            assert reader.cluster(number) is None
            assert reader.story(number) is None
            assert reader.articles_of_cluster(number) == []
            assert not reader.is_living(number)
            assert not reader.is_waiting(number)
        assert not any(numbers)
        assert reader.article(0) is None
        assert reader.decision(0) is None
        assert reader.clusters_after(0, 9) == reader.stories_after(0, 9) == reader.articles_after(0, 9) == []
        assert reader.pairs_after((0, 0), 9) == []
        assert reader.events() == []
        assert reader.counts() == (0, 0)
        assert reader.content_digest() == reader.computed_digest()
        assert reader.unchanged("a", content=1, version=1, version_time=None, canceled=False) is None
        assert collection.undecided_articles() == []
        assert collection.due_of(0) == collection.due_now([1]) == []
        assert collection.owners_with_work() == set()
        assert collection.erased_after(0).tolist() == []
        assert collection.same_event_candidates(bytes(12), 1, 9) == []
        met, mask = collection.look_up_unstored(
            digest=bytes(16), source=1, published=0.0, postings=np.arange(5, dtype=np.uint64)
        )
        assert (met.size, mask.size) == (0, 0)
        log.append(entries.settle())


@pytest.mark.parametrize("variant", ["small", "window", "two landmarks"])
def test_collections_of_real_words(variant: str) -> None:
    """The same of bodies that are compared, with credits and several carriers, settled and while operations come."""

    @settings(max_examples=6, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(history=families.histories(20, 50))
    def compare(history: list[families.Operation]) -> None:
        for cut in (len(history) // 2, len(history)):
            with folded(history[:cut], families.VARIANTS[variant]) as made:
                check_records(made.collection)

    compare()


def test_a_crowd() -> None:
    """Clusters of a hundred articles, removals among them."""
    with folded(families.crowd(random.Random(3)), families.CROWDED) as made:
        check_records(made.collection)


def check_records(collection: Collection) -> None:
    """Every cluster and story, what is listed, and the digest of a settled collection."""
    reader, slow = CollectionReader(collection), Slow(collection)
    for number in range(1, collection.highest_text + 1):
        assert reader.cluster(number) == slow.cluster(number)
        assert reader.story(number) == slow.story(number)
    assert reader.clusters_after(0, 10_000) == slow.listed()
    assert reader.stories_after(0, 10_000) == sorted(slow.stories())
    assert reader.pairs_after((0, 0), 10_000) == slow.pairs()
    assert reader.content_digest() == reader.computed_digest()


def test_lists_and_counts() -> None:
    """Clusters, stories, articles and pairs, in pages of any size; counts are those of the lists."""
    for drawn, slow in growing():
        reader = drawn.log.reader
        size = drawn.rng.randrange(1, 6)
        listed, stories = slow.listed(), sorted(slow.stories())
        assert pages(reader.clusters_after, size) == listed
        assert pages(reader.stories_after, size) == stories
        assert reader.counts() == (len(listed), len(stories))
        assert pages(reader.articles_after, size) == reader.standing().tolist()
        pairs: list[tuple[int, int]] = []
        while page := reader.pairs_after(pairs[-1] if pairs else (0, 0), size):
            assert len(page) <= size
            pairs += page
        assert pairs == slow.pairs()
        assert reader.pairs_after((0, 0), 10_000) == pairs


def test_names_lead_to_what_stands() -> None:
    """Numbers of removed texts follow texts they had an edge with; stories are those of the cluster."""
    for drawn, slow in growing(6):
        reader, s = drawn.log.reader, drawn.log.collection.tables
        for number in range(-1, drawn.log.collection.highest_text + 3):
            text = number if 0 < number <= drawn.log.collection.highest_text else 0
            while text and s.dead[text]:
                text = int(s.texts["cluster"][text])
            assert reader.resolve(number) == (slow.cluster_of[text] if text else 0)
            assert reader.resolve_story(number) == (int(s.texts["story"][text]) if text else 0)
            assert reader.is_living(number) == (number in slow.cluster_of)


def test_articles_and_carriers() -> None:
    """Numbers of ids, the smallest id of a text, the first carriers now and as an article came."""
    for drawn, slow in growing():
        reader, collection = drawn.log.reader, drawn.log.collection
        numbers: dict[str, int] = {}
        for number in range(1, collection.highest_article + 1):
            numbers[reader.id_of(number)] = number
        assert {id: reader.number_of(id) for id in numbers} == numbers
        assert reader.number_of("nobody") == 0
        for text in slow.living:
            carriers = reader.carriers(text)
            assert reader.carrier_count(text) == len(carriers)
            names = {reader.id_of(c.number).encode(): c.number for c in carriers}
            assert reader.smallest_id(text) == names[min(names)]
            in_order = [names[name] for name in sorted(names)]
            for limit in (0, 1, 2, 100):
                assert reader.carrier_numbers(text, limit) == in_order[:limit]
            last = ArticleNumber(collection.highest_article + 1)
            for source in range(5):
                expected = first_of_each(carriers, last, source)
                assert reader.first_carriers(text, before=0, source=source) == expected
        articles = [a for a in map(reader.article, reader.standing().tolist()) if a is not None]
        assert reader.standing_articles() == [(a.id.encode(), a.number, a.text, a.record) for a in articles]
        assert all(reader.record_of(a.number) == a.record for a in articles)
        assert reader.records_of(slow.living) == [reader.reading_of(text)[1] for text in slow.living]
        for number, text, _, _ in collection.undecided_articles():
            for other in {text, *slow.living[:10]}:
                for source in range(1, 4):
                    then = first_of_each(reader.carriers(other, number), ArticleNumber(number), source)
                    assert reader.first_carriers(other, before=number, source=source) == then


def test_a_delivery_that_changes_nothing_is_known() -> None:
    """What ``unchanged`` says is what the fold says of the same delivery, which then changes nothing; else it does."""
    seen = set()
    for seed in range(12):
        drawn = Drawn(2000 + seed, 3)
        sent: list[entries.Arrival] = []
        for _ in range(_STEPS):
            drawn.step()
            if sent and drawn.rng.random() < 0.5:
                made = drawn.rng.choice(sent)
                drawn.log.arrive(replaced(made, record=0))
            else:
                made = drawn.article()
            sent.append(made)
            times = (None, None, 1e9, 2e9)
            made = replaced(made, record=0, version_time=drawn.rng.choice(times))
            said = drawn.log.reader.unchanged(
                made.id,
                content=made.content,
                version=made.version,
                version_time=made.version_time,
                canceled=made.canceled,
            )
            twin = drawn.log.again()
            (outcome,) = twin.apply(twin.position + 1, entries.arrive([made]))
            if said is not None:
                assert said == outcome
                seen.add(outcome.outcome)
            else:
                assert twin.log_digest() != drawn.log.collection.log_digest()
    assert seen == {2, 4}


def test_who_has_to_decide() -> None:
    """Articles whose text came, until somebody decides; the server that brought them first, or its successor."""
    for seed in range(10):
        rng = random.Random(seed)
        log = Log(landmarks=3)
        waiting: dict[int, tuple[int, int]] = {}
        servers = [rng.getrandbits(63) for _ in range(5)]
        heir = {server: server for server in servers}
        for _ in range(50):
            owner, kind = rng.choice(servers), rng.random()
            if kind < 0.5:
                made = [
                    article(
                        f"a{rng.randrange(20)}",
                        [rng.randrange(9), 20 + rng.randrange(9)] * (rng.random() < 0.9),
                    )
                    for _ in range(3)
                ]
                for found in log.arrive(*made, owner=owner):
                    if found.outcome in (1, 3) and found.text and not log.reader.is_decided(found.article):
                        waiting.setdefault(found.article, (owner, log.position))
            elif kind < 0.65:
                log.remove(f"a{rng.randrange(20)}")
            elif kind < 0.75:
                gone = rng.choice(servers)
                log.append(entries.retired(gone), owner=owner)
                if gone != owner:
                    heir[gone] = owner
            else:
                decided = rng.sample(sorted(waiting), min(len(waiting), 3))
                log.decide(*decided)
                for number in decided:
                    del waiting[number]
            check_who(log.collection, waiting, heir)
        check_who(log.again(), waiting, heir)


def heir_of(heir: dict[int, int], server: int) -> int:
    """Who does the work of a server now; of a circle, whoever is met twice."""
    seen: set[int] = set()
    while heir[server] != server and server not in seen:
        seen.add(server)
        server = heir[server]
    return server


def check_who(collection: Collection, waiting: dict[int, tuple[int, int]], heir: dict[int, int]) -> None:
    """Undecided articles and texts that are due belong to whom they should."""
    s = collection.tables
    asked = {number: s.rows[s.articles["asked"][number]] for number in waiting}
    expected = [
        (number, int(asked[number]["text"]), heir_of(heir, owner), position)
        for number, (owner, position) in waiting.items()
    ]
    assert sorted(collection.undecided_articles()) == sorted(expected)
    assert collection.undecided == len(expected)
    due = {
        text: bool(s.texts["flags"][text] & base.WHOLE)
        for text in range(1, collection.highest_text + 1)
        if s.texts["due"][text]
    }
    owners: dict[int, list[tuple[int, bool]]] = {}
    for text, whole in due.items():
        owners.setdefault(collection.owner_of(text), []).append((text, whole))
    assert {server: collection.due_of(server) for server in owners} == owners
    assert not collection.due_of(12345)
    assert collection.owners_with_work() == set(owners) | {who for _, _, who, _ in expected}
    last = collection.highest_text
    some = [*range(1, last + 1, 2), last + 9]
    assert collection.due_now(some) == [(text, due[text]) for text in some if text in due]


# -- large components --------------------------------------------------------------------------------


def star(log: Log, first: int, size: int) -> list[int]:
    """Texts that all match the first of them, verified: a component of so many edges and one."""
    made = [
        article(f"s{first}-{n}", [first, first + 1, 10_000_000 + first + n], source=n + 1)
        for n in range(size)
    ]
    texts = [found.text for found in log.arrive(*made)]
    at = log.position
    log.verify(*(result(t, at, *(pair(texts[0]),) * (t != texts[0])) for t in texts))
    return texts


def test_only_components_that_wait_are_said_to_wait() -> None:
    """One of more edges than are told at once does until its events are made; another large one, told, does not."""
    log = Log(landmarks=2000)
    large, other, small = star(log, 1000, 600), star(log, 10_000, 600), star(log, 20_000, 10)
    log.settle()
    assert not any(log.reader.is_waiting(text) for text in (*large, *other, *small))
    (late,) = log.arrive(article("late", [1000, 77], source=9))
    log.verify(result(late.text, log.position, pair(large[5])))
    assert log.collection.number(base.LATE_COUNT) > 0
    assert all(log.reader.is_waiting(text) for text in (*large[:20], late.text))
    assert not any(log.reader.is_waiting(text) for text in (*other[:20], *small))
    assert log.reader.cluster_of([late.text]) == [late.text]
    for _ in range(components.PATIENCE):
        log.append(entries.arrive([]))
    assert not log.reader.is_waiting(late.text)
    assert log.reader.cluster_of([late.text]) == [large[0]]
    assert not log.reader.is_waiting(0)
    assert not log.reader.is_waiting(10**6)


def test_marks_begin_again() -> None:
    """Look-ups are counted in 32 bits: after the last, all texts are without a mark."""
    log = Log(landmarks=2000)
    large, other = star(log, 1000, 600), star(log, 10_000, 600)
    log.settle()
    log.collection.tables.meta[base.MARK] = (1 << 32) - 3
    (late,) = log.arrive(article("late", [1000, 77], source=9))
    log.verify(result(late.text, log.position, pair(large[5])))
    for _ in range(3):
        assert log.reader.is_waiting(large[0])
        assert not log.reader.is_waiting(other[0])
    log.settle()
    assert log.reader.cluster(large[0]) == Slow(log.collection).cluster(large[0])
    assert log.collection.number(base.MARK) < 100


def test_large_clusters_while_they_wait() -> None:
    """As of the last events: texts that were removed are left out, also the one that gave the name."""
    log = Log(landmarks=2000)
    texts = star(log, 1000, 700)
    log.settle()
    reader = log.reader
    assert reader.cluster(texts[0]) == Slow(log.collection).cluster(texts[0])
    log.decide_all()
    log.remove("s1000-3")
    record = reader.cluster(texts[0])
    assert record is not None
    assert record.size == 699
    assert record == Slow(log.collection).cluster(texts[0])
    for n in range(5, 40, 7):
        log.arrive(article(f"s1000-{n}", [n]))
        assert reader.cluster(texts[0]) == Slow(log.collection).cluster(texts[0])
        assert reader.story(texts[0]) == Slow(log.collection).story(texts[0])


def test_what_is_kept_of_a_large_cluster_holds() -> None:
    """Read after every entry by one reader that keeps, and by another one: links, carriers, members, names, stories."""
    log = Log(landmarks=2000)
    big = star(log, 1000, 80)
    kept = CollectionReader(log.collection)

    def check() -> None:
        fresh = CollectionReader(log.collection)
        for number in range(1, log.collection.highest_text + 1):
            assert kept.cluster(number) == fresh.cluster(number)
            assert kept.story(number) == fresh.story(number)

    def one(name: str, kind: int, *others: int, words: int = 80) -> int:
        (found,) = log.arrive(
            article(name, [1000, 1001, len(name) * 1000 + hash_of(name)], source=hash_of(name))
        )
        log.verify(result(found.text, log.position, *(pair(other, kind, words) for other in others)))
        return found.text

    check()
    linked = one("linked", 4, big[0])
    check()
    near = one("near", 2, linked)
    check()
    log.verify(result(linked, log.position, pair(big[0], 5), everybody=True, complete=False))
    check()
    one("third", 3, big[1], near)
    check()
    log.arrive(replaced(article("x", [1000, 1001, 10_001_003]), digest=log.reader.digest_of(big[3])))
    check()
    log.remove("linked")
    check()
    log.remove("s1000-0")
    check()
    log.settle()
    check()


def hash_of(name: str) -> int:
    """A small number of a name."""
    return sum(name.encode()) % 997


# -- cost --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_reads_of_a_large_cluster_are_quick() -> None:
    """5,000 articles: under 15 ms at first, under 1 ms again; the limits here allow for a busy machine."""
    log = Log(landmarks=10_000)
    texts = star(log, 1_000_000, 5000)
    log.settle()
    reader = log.reader
    reader.cluster(texts[0])
    cold, warm = [], []
    for n in range(5):
        log.arrive(article(f"s1000000-{n + 1}", [n]))
        began = time.perf_counter()
        record = reader.cluster(texts[0])
        cold.append(time.perf_counter() - began)
        log.arrive(article(f"other{n}", [5_000 + n]))
        began = time.perf_counter()
        assert reader.cluster(texts[0]) is record
        warm.append(time.perf_counter() - began)
    print(f"cold {min(cold) * 1e3:.2f} ms, again {min(warm) * 1e3:.3f} ms")
    assert min(cold) < 0.03
    assert min(warm) < 0.002


def test_an_answer_is_the_same_from_columns_of_any_width() -> None:
    """Credits, agencies and outlets put together first say what each article by itself says."""
    rng = random.Random(5)
    for _ in range(40):
        log = Log()
        made = []
        for n in range(rng.randrange(1, 12)):
            each = article(f"a{n}", [1, 2], source=rng.randrange(1, 5), day=rng.choice((0, 0.001, 0.2, 3)))
            bits = rng.choice((0, 0, 1 << 4 | 1, 2 << 4 | 8, (3 << 4 | 4) << 12 | 1 << 4 | 2))
            made.append(
                replaced(
                    each,
                    credits=bits,
                    agency=rng.choice((0, 0, 0, 1, 2, 200)),
                    dated=rng.random() < 0.8,
                    words=rng.choice((50, 100, 30)),
                    content=n,
                )
            )
        log.arrive(*made)
        log.verify(result(1, log.position))
        assert log.reader.cluster(1) == Slow(log.collection).cluster(1)


def test_the_digest_is_that_of_everything_divided_anew() -> None:
    """What was added up with each event, whenever nothing waits and every text was verified."""
    compared = 0
    for drawn, _ in growing():
        collection, reader = drawn.log.collection, drawn.log.reader
        s = collection.tables
        joined = s.texts["flags"][1 : collection.highest_text + 1] & base.JOINED > 0
        if np.all(joined | (s.dead[1 : collection.highest_text + 1] > 0)) and not collection.number(
            base.LATE_COUNT
        ):
            compared += 1
            assert reader.content_digest() == reader.computed_digest()
    for drawn in islice(histories(), 6):
        for _ in range(_STEPS):
            drawn.step()
        while due := drawn.due():
            drawn.log.verify(*drawn.results(due))
        drawn.log.settle()
        compared += 1
        assert drawn.log.reader.content_digest() == drawn.log.reader.computed_digest()
    assert compared > 6
