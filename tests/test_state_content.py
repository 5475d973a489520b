"""A settled state holds what the surviving articles make of it, whatever the way there; the plain fold says what."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.oracle import families
from bench.oracle.content import PlainContent
from bench.oracle.families import CROWDED, SMALL, VARIANTS, Arrive, Operation, Remove
from bench.oracle.fold import difference, digest
from bench.quality import datasets
from dedup.model import Article, CollectionParameters
from tests import state_content
from tests.state_invariants import check
from tests.state_log import Recorded, folded

_DATA = Path("../shared/data")
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


def said(made: Recorded, content: PlainContent) -> list[str]:
    """What a state and the plain fold disagree in; lists of one text are not read back from a state."""
    shared = {posting for posting, members in content.lists.items() if len(members) > 1}
    found = state_content.content_of_state(made.collection)
    plain = replace(content, groups={p: group for p, group in content.groups.items() if p in shared})
    read = replace(
        found, groups={p: group for p, group in found.groups.items() if p in shared or len(group) > 1}
    )
    return difference(read, plain, parts=state_content.PARTS)


def check_content(made: Recorded, content: PlainContent) -> None:
    """The settled state has this content."""
    assert made.collection.is_settled
    if made.reader.content_digest() != digest(content):
        lines = said(made, content)
        pytest.fail("\n".join([f"{len(lines)} differences, state | oracle:", *lines[:20]]))


def check_names(made: Recorded) -> None:
    """Clusters as they were told are those there are; a name that ever was leads to one, or to nothing that stands."""
    reader, division = made.reader, made.reader.divide()
    texts, clusters = division.texts.tolist(), division.cluster.tolist()
    assert reader.cluster_of(texts) == clusters
    assert made.collection.tables.texts["story"][division.texts].tolist() == division.story.tolist()
    names = {
        name for _, kind, *both in reader.events() if kind.startswith("cluster") for name in both if name
    }
    for name in names | set(texts):
        assert reader.resolve(name) in {0, *clusters}
    assert all(reader.resolve(name) == name for name in clusters)
    sizes = Counter(made.reader.cluster_of([text for text in texts for _ in reader.carriers(text)]))
    assert {name for name, articles in sizes.items() if articles > 1} <= told_by(made) <= set(clusters)


def told_by(made: Recorded) -> set[int]:
    """The clusters that whoever follows the events knows of: all of several articles."""
    known: set[int] = set()
    for position, kind, old, new in made.reader.events():
        assert 0 < position <= made.collection.position
        assert old > 0
        if kind in {"cluster_merged", "cluster_ended"}:
            known.discard(old)
        if kind in {"cluster_changed", "cluster_merged", "cluster_split"}:
            known.add(new)
    return known


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_the_content_is_that_of_the_plain_fold(variant: str) -> None:
    """Under any parameters, after versions, kills and deletes: carriers, boilerplate, edges, clusters and stories."""
    parameters = VARIANTS[variant]

    @settings(
        max_examples=25,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(families.histories())
    def compare(history: list[Operation]) -> None:
        with folded(history, parameters) as made:
            check_content(made, families.replay(history, parameters).content())
            check(made.collection)
            check_names(made)

    compare()


@settings(max_examples=4, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    history=families.histories(25, 60),
    variant=st.sampled_from(sorted(VARIANTS)),
    seed=st.integers(0, 1 << 30),
)
def test_twenty_orders_have_one_content(history: list[Operation], variant: str, seed: int) -> None:
    """The same operations in ten other orders and batches, and the survivors alone in ten, settle to the same."""
    parameters, rng = VARIANTS[variant], random.Random(seed)
    plain = families.replay(history, parameters)
    expected = digest(plain.content())
    survivors = list(plain.survivors().values())
    others = [families.reordered(history, rng) for _ in range(10)]
    others += [families.survivors_in_any_order(survivors, rng) for _ in range(10)]
    for other in others:
        with folded(other, parameters) as made:
            assert made.collection.is_settled
            assert made.reader.content_digest() == expected, said(made, plain.content())[:20]


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_in_any_order(seed: int) -> None:
    """Lists of over a hundred texts, of which one is boilerplate of all until some are removed."""
    rng = random.Random(seed)
    history = families.crowd(rng)
    content = families.replay(history, CROWDED).content()
    for other in (history, families.reordered(history, rng)):
        with folded(other, CROWDED) as made:
            check_content(made, content)
            check(made.collection)
            check_names(made)


@pytest.mark.parametrize("pairs", [1, 7])
def test_results_in_many_entries(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an entry begins makes texts due again whose results stand in the next; all is verified in the end."""
    monkeypatch.setattr("dedup.bulk.local._PAIRS", pairs)
    for seed, parameters in enumerate((SMALL, CROWDED)):
        history = families.crowd(random.Random(seed))
        with folded(history, parameters) as made:
            check_content(made, families.replay(history, parameters).content())
            check(made.collection)


@pytest.mark.parametrize("parameters", [SMALL, CROWDED], ids=["small", "crowded"])
def test_removing_all_leaves_nothing(parameters: CollectionParameters) -> None:
    """The content digest is that of an empty collection."""
    history = families.crowd(random.Random(7))
    ids = [a.id for operation in history if isinstance(operation, Arrive) for a in operation.articles]
    with folded([*history, *(Remove(id) for id in ids)], parameters) as made:
        with folded([], parameters) as empty:
            assert made.reader.content_digest() == empty.reader.content_digest()
        assert (made.collection.articles, made.collection.texts, made.collection.edges) == (0, 0, 0)
        check(made.collection)


def _in_batches(articles: Sequence[Article], size: int) -> list[Operation]:
    return [Arrive(tuple(articles[i : i + size]), 1.6e9) for i in range(0, len(articles), size)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["emergent", "telegram"])
def test_real_news_has_the_content_of_the_plain_fold(name: str) -> None:
    """Thousands of articles of real outlets."""
    if not list(_DATA.glob(f"{name}_*.jsonl.gz")):
        pytest.skip(f"{_DATA} has no {name}")
    articles = list(getattr(datasets, name)(_DATA).articles)
    random.Random(3).shuffle(articles)
    parameters = CollectionParameters()
    content = families.replay(_in_batches(articles, 1000), parameters).content()
    began = time.perf_counter()
    with folded(_in_batches(articles, 400), parameters) as made:
        print(f"{name}: {len(articles)} articles in {time.perf_counter() - began:.1f} s")
        check_content(made, content)


def test_seeds_have_the_content_of_the_plain_fold() -> None:
    """The story families of seeds/, in any order."""
    articles = list(datasets.seeds(Path("seeds")).articles)
    content = families.replay(_in_batches(articles, 1000), CollectionParameters()).content()
    for seed in range(3):
        random.Random(seed).shuffle(articles)
        with folded(_in_batches(articles, 50), CollectionParameters()) as made:
            check_content(made, content)
