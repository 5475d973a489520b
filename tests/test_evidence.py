"""What copies go through on their way, and what is no copy though words are the same: kinds that must come out."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from dedup.live import Pipeline
from dedup.model import COPY_KINDS, Article, DecisionKind, MatchKind
from tests import data, flow

PHRASE = (
    "told reporters on condition of anonymity because they were not authorized to speak publicly about it"
)


def _misread(rng: random.Random, words: list[str]) -> list[str]:
    """Optical character recognition that gets one word in twelve wrong."""
    return [f"{word[:-1]}rn" if rng.random() < 1 / 12 else word for word in words]


def _joined(rng: random.Random, words: list[str]) -> list[str]:
    """One space in fifteen is lost."""
    out = words[:1]
    for word in words[1:]:
        if rng.random() < 1 / 15:
            out[-1] += word
        else:
            out.append(word)
    return out


def _split(rng: random.Random, words: list[str]) -> list[str]:
    """One word in fifteen is broken in two, as at the end of a line."""
    return [
        part for w in words for part in ((w[:2], w[2:]) if len(w) > 3 and rng.random() < 1 / 15 else (w,))
    ]


def _spelled(rng: random.Random, words: list[str]) -> list[str]:
    """A name that stands in every tenth place is written another way."""
    del rng
    return [f"{word}yev" if i % 10 == 0 else word for i, word in enumerate(words)]


@pytest.mark.parametrize("damage", [_misread, _joined, _split, _spelled])
async def test_damaged_copies_are_found(
    pipeline: Pipeline, collection: str, damage: Callable[[random.Random, list[str]], list[str]]
) -> None:
    """Twenty stories of 250 words, each in a damaged copy: every pair is found as copy, and no other."""
    rng = random.Random(12)
    stories = [data.prose(rng, 250) for _ in range(20)]
    articles = [Article(f"a{i:02}", "", story, f"A{i}") for i, story in enumerate(stories)]
    articles += [
        Article(f"b{i:02}", "", " ".join(damage(rng, story.split(" "))), f"B{i}")
        for i, story in enumerate(stories)
    ]
    await flow.ingest(pipeline, collection, articles)
    state = await flow.state(pipeline, collection)
    found = {(m.article, m.other): m.kind for m in state.matches}
    assert set(found) == {(f"a{i:02}", f"b{i:02}") for i in range(20)}
    assert all(kind in COPY_KINDS for kind in found.values())
    assert state.clusters == frozenset((f"a{i:02}", f"b{i:02}") for i in range(20))


async def test_a_stock_phrase_makes_no_copy(pipeline: Pipeline, collection: str) -> None:
    """Forty independent reports with one phrase of an agency: no match, whoever writes it."""
    rng = random.Random(13)
    articles = [
        Article(
            f"p{i:02}", "", f"{data.prose(rng, 120)} An officer {PHRASE}. {data.prose(rng, 80)}", f"S{i % 7}"
        )
        for i in range(40)
    ]
    await flow.ingest(pipeline, collection, articles)
    state = await flow.state(pipeline, collection)
    assert not state.matches
    assert len(state.clusters) == 40


async def test_two_stories_in_one_article(pipeline: Pipeline, collection: str) -> None:
    """An article that prints two stories one after the other holds both; the two have nothing to do with each other."""
    rng = random.Random(14)
    first, second = data.prose(rng, 200), data.prose(rng, 200)
    articles = [
        Article("a", "", first, "A"),
        Article("b", "", second, "B"),
        Article("both", "", f"{first}\n{second}", "C"),
    ]
    await flow.ingest(pipeline, collection, articles)
    state = await flow.state(pipeline, collection)
    assert {(m.article, m.other): m.kind for m in state.matches} == {
        ("a", "both"): MatchKind.EXCERPT,
        ("b", "both"): MatchKind.EXCERPT,
    }


async def test_a_live_blog_quotes_the_day(pipeline: Pipeline, collection: str) -> None:
    """A live blog with two sentences of each of eight stories is no copy of any, and joins none."""
    rng = random.Random(15)
    stories = [[data.prose(rng, 16) for _ in range(15)] for _ in range(8)]
    articles = [Article(f"s{i}", "", ". ".join(story), f"S{i}") for i, story in enumerate(stories)]
    entries = [f"{data.prose(rng, 25)}. {story[3]}. {data.prose(rng, 25)}. {story[9]}" for story in stories]
    articles.append(Article("live", "", "\n".join(entries), "Live"))
    await flow.ingest(pipeline, collection, articles)
    state = await flow.state(pipeline, collection)
    touched = {m.article for m in state.matches} | {m.other for m in state.matches}
    assert "live" in touched
    assert {m.kind for m in state.matches} == {MatchKind.REWRITE}
    sizes = sorted(map(len, state.clusters), reverse=True)
    assert sizes[0] <= 2
    assert sizes[1:] == [1] * (len(sizes) - 1)


async def test_a_corrected_version_is_the_outlets_own_update(pipeline: Pipeline, collection: str) -> None:
    """The same outlet's text again with one sentence corrected: OWN_UPDATE, one cluster; of another outlet a copy."""
    rng = random.Random(16)
    sentences = [data.prose(rng, 14) for _ in range(16)]
    corrected = [*sentences[:5], data.prose(rng, 14), *sentences[6:]]
    articles = [
        Article("first", "", ". ".join(sentences), "A", published=1.7e9),
        Article("second", "", ". ".join(corrected), "A", published=1.7e9 + 3600),
        Article("third", "", ". ".join(corrected[:-1]), "B", published=1.7e9 + 7200),
    ]
    answers = [(await flow.ingest(pipeline, collection, [article]))[0] for article in articles]
    decisions = [answer.decision.kind for answer in answers if answer.decision is not None]
    assert decisions == [DecisionKind.NEW, DecisionKind.OWN_UPDATE, DecisionKind.COPY]
    state = await flow.state(pipeline, collection)
    assert state.clusters == frozenset({("first", "second", "third")})


@pytest.mark.parametrize("marks", ["“{}”", "'{}'"])
async def test_a_headline_put_between_marks_has_no_new_words(
    pipeline: Pipeline, collection: str, marks: str
) -> None:
    """The same body under the same words, quoted by one outlet alone: all of it is copied."""
    rng = random.Random(4)
    headline, body = "Harbor will reopen on Friday", data.prose(rng, 120)
    articles = [Article("a", headline, body, "A"), Article("b", marks.format(headline), body, "B")]
    for article in articles:
        await flow.ingest(pipeline, collection, [article])
    decision = (await pipeline.get_article(collection, "b")).decision
    assert decision is not None
    assert (decision.kind, decision.covered, decision.words_new) == (DecisionKind.COPY, 1.0, 0)
