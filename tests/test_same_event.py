"""Articles of one event: word pairs, how they are found, and who does not see them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedup.core import same_event
from dedup.core.text import tokenize
from dedup.core.verify import comparable
from dedup.errors import InvalidArgument
from dedup.live import Pipeline
from dedup.model import Article, CollectionParameters, DecisionKind, MatchKind
from tests import data, flow
from tests.data import DAY, START, reports

WITH = CollectionParameters(same_story=True)


def pairs(text: str) -> NDArray[np.uint64]:
    """Word pairs of a body."""
    return same_event.word_pairs(comparable(tokenize("", text), b"", 5).units)


def pairs_of(words: Iterable[str]) -> set[tuple[str, str]]:
    """Pairs of neighbors, the plain way."""
    listed = list(words)
    return set(itertools.pairwise(listed))


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40), st.lists(st.sampled_from("abcdefgh"), max_size=40))
@settings(max_examples=200, deadline=None)
def test_similarity_is_the_cosine_of_the_sets(x: list[str], y: list[str]) -> None:
    """As counted with sets, where enough is shared."""
    a, b = pairs_of(x), pairs_of(y)
    expected = len(a & b) / (len(a) * len(b)) ** 0.5 if len(a & b) >= same_event.MIN_PAIRS else 0.0
    assert same_event.similarity(pairs(" ".join(x)), pairs(" ".join(y))) == pytest.approx(expected)


def test_pairs_of_characters_and_of_what_is_left_out() -> None:
    """Four characters without spaces are a pair; none goes over to another kind of script or over boilerplate."""
    assert len(pairs("北京大学生前来应聘")) == 6
    assert len(pairs("one two 北京大学 three four")) == 3
    assert len(pairs("北京大")) == len(pairs("one")) == len(pairs("")) == 0
    tokens = tokenize("", "one two three four five six")
    usable = np.array([True, True, False, True, True, True])
    blocked = comparable(tokens, b"", 5, usable).units
    assert len(same_event.word_pairs(blocked)) == 3
    assert len(same_event.word_pairs(blocked, np.array([True, False, False, False, False, False]))) == 2
    assert same_event.similarity(pairs("a b c d e f g h i"), pairs("a b c d e f g h i")) == 1.0


def test_postings_are_those_of_their_span() -> None:
    """The smallest pairs, in each span others; times of one span have one."""
    made = pairs(data.prose(random.Random(1), 200))
    one, two = same_event.fields(made, 7), same_event.fields(made, 8)
    assert len(one) == same_event.PAIRS * same_event.FIELD
    both = np.union1d(same_event.postings(made, 7), same_event.postings(made, 8))
    assert same_event.postings(made, 7, 8).tolist() == both.tolist()
    assert int(both.max()) < 1 << same_event.BITS
    cut = {one[i : i + same_event.FIELD] for i in range(0, len(one), same_event.FIELD)}
    assert cut == {int(p).to_bytes(same_event.FIELD, "little") for p in same_event.postings(made, 7)}
    assert len(cut) == same_event.PAIRS
    assert not cut & {two[i : i + same_event.FIELD] for i in range(0, len(two), same_event.FIELD)}
    assert same_event.fields(made, -1) != one
    assert same_event.span_of(START, 3) == same_event.span_of(START + 60, 3)
    assert same_event.span_of(-1.0, 1) == -1
    assert same_event.fields(np.empty(0, np.uint64), 1) == b""


async def test_reports_of_one_event_are_found(pipeline: Pipeline, collection: str) -> None:
    """Every other report of the event, most similar first, none of another; found without it, nothing is."""
    await pipeline.create_collection(collection, WITH)
    event, other = reports(1, 6), reports(2, 6)
    noise = [
        Article(f"n{n}", "", data.prose(random.Random(100 + n), 200), f"N{n}", published=START)
        for n in range(40)
    ]
    await flow.ingest(pipeline, collection, [*event[1:], *other, *noise])
    found = await pipeline.find(collection, event[0], same_story=True)
    assert {match.other for match in found.matches} == {article.id for article in event[1:]}
    assert {match.kind for match in found.matches} == {MatchKind.SAME_STORY}
    similarities = [match.similarity for match in found.matches]
    assert similarities == sorted(similarities, reverse=True)
    assert min(similarities) >= same_event.MIN_COSINE
    assert all(match.probability < 0.5 for match in found.matches)
    assert (found.total_matches, found.matches_truncated) == (5, False)
    assert found.decision is not None
    assert found.decision.kind is DecisionKind.NEW
    fewer = await pipeline.find(collection, event[0], 2, same_story=True)
    assert (fewer.matches, fewer.total_matches, fewer.matches_truncated) == (found.matches[:2], 5, True)
    assert (await pipeline.find(collection, event[0])).matches == ()
    state = await flow.state(pipeline, collection)
    assert not state.matches
    assert not state.stories


async def test_copies_come_first_and_once(pipeline: Pipeline, collection: str) -> None:
    """A stored copy of a report is its match, and no teller of the same story besides; nor is the article itself."""
    await pipeline.create_collection(collection, WITH)
    event = reports(3, 4)
    copy = replace(
        event[0], id="copy", source="Copyist", body=event[0].body + " One more sentence of seven words."
    )
    await flow.ingest(pipeline, collection, [*event, copy])
    found = await pipeline.find(collection, event[0], same_story=True)
    kinds = {match.other: match.kind for match in found.matches}
    assert kinds.pop("copy") is MatchKind.NEAR_DUPLICATE
    assert kinds == {article.id: MatchKind.SAME_STORY for article in event[1:]}
    assert found.matches[0].other == "copy"


@pytest.mark.parametrize(("days", "count"), [(0.0, 3), (2.5, 3), (3.5, 0), (-2.5, 3), (-9.0, 0)])
async def test_events_have_their_time(pipeline: Pipeline, collection: str, days: float, count: int) -> None:
    """Only articles published within the span of a story are compared, whatever span of days theirs is."""
    await pipeline.create_collection(collection, WITH)
    asked, *told = reports(4, 4)
    await flow.ingest(pipeline, collection, [replace(a, published=START + days * DAY) for a in told])
    found = await pipeline.find(collection, replace(asked, published=START), same_story=True)
    assert len(found.matches) == count


async def test_what_was_removed_is_not_found(pipeline: Pipeline, collection: str) -> None:
    """A killed report and the old text of a replaced one are passed over."""
    await pipeline.create_collection(collection, WITH)
    asked, first, second, third = reports(5, 4)
    await flow.ingest(pipeline, collection, [first, second, third])
    await pipeline.delete_article(collection, first.id)
    await flow.ingest(pipeline, collection, [replace(second, body=data.prose(random.Random(9), 150))])
    await flow.settled(pipeline, collection)
    found = await pipeline.find(collection, asked, same_story=True)
    assert [match.other for match in found.matches] == [third.id]


async def test_an_event_that_hundreds_tell_of(pipeline: Pipeline, collection: str) -> None:
    """Long lists of a word pair are kept apart, and hundreds of reports of one event leave each of them findable."""
    await pipeline.create_collection(collection, WITH)
    event = reports(6, 150)
    await flow.ingest(pipeline, collection, event[1:])
    found = await pipeline.find(collection, event[0], 1000, same_story=True)
    assert len(found.matches) == same_event.MAX_CANDIDATES


async def test_it_must_be_asked_for_in_time(pipeline: Pipeline, collection: str) -> None:
    """A collection made without it says so; one without text cannot have it."""
    await pipeline.create_collection(collection, CollectionParameters())
    with pytest.raises(InvalidArgument, match="made with same_story") as raised:
        await pipeline.find(collection, reports(7, 1)[0], same_story=True)
    assert raised.value.metadata["field"] == "same_story"
    with pytest.raises(InvalidArgument, match="needs keep_text") as raised:
        await pipeline.create_collection(f"{collection}-x", replace(WITH, keep_text=False))
    assert raised.value.metadata["field"] == "same_story"
