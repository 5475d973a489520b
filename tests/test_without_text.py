"""Collections that keep no text: what is stored, what is found all the same, and what answers leave out."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from dedup.core.prepare import Prepared, prepare, read_body
from dedup.core.sketch import SketchParameters, sketch
from dedup.core.text import tokenize
from dedup.live import Pipeline
from dedup.model import Article, CollectionParameters, ExportedArticle, Match, Outcome
from dedup.store.codec import Codec
from dedup.store.payload import Kept
from tests import data, flow

WITHOUT = CollectionParameters(keep_text=False)
ECONOMY = CollectionParameters(keep_text=False, window=16, band_threshold=0.8)
WORDS = (
    "Ferry ‘Aurelia’ ran aground “near the harbor wall”, said the coast guard of Port Valmera on Tuesday. "
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pipeline(store_url: str) -> AsyncIterator[Pipeline]:
    """A pipeline with no limit on the wait for a cluster that these tests could meet."""
    opened = await flow.open_pipeline(store_url, settle_wait_milliseconds=30_000)
    yield opened
    await opened.close()


async def _collection(pipeline: Pipeline, parameters: CollectionParameters) -> str:
    name = f"without-{uuid.uuid4().hex[:8]}"
    await pipeline.create_collection(name, parameters)
    return name


async def _exported(pipeline: Pipeline, name: str) -> tuple[dict[tuple[str, str], Match], dict[str, str]]:
    matches: dict[tuple[str, str], Match] = {}
    stories: dict[str, str] = {}
    async for line in pipeline.export(name):
        if isinstance(line, ExportedArticle):
            stories[line.id] = f"{line.cluster} {line.story}"
        else:
            matches[line.article, line.other] = line
    return matches, stories


async def test_the_seeds_are_told_apart_as_with_text(pipeline: Pipeline) -> None:
    """Every pair, kind, cluster and story is the same, lengths differ by chance; passages have no offsets."""
    found = []
    for parameters in (CollectionParameters(), WITHOUT):
        name = await _collection(pipeline, parameters)
        await flow.ingest(pipeline, name, data.seeds())
        await flow.settled(pipeline, name)
        found.append(await _exported(pipeline, name))
    (with_text, placed), (without, placed_without) = found
    assert placed == placed_without
    assert with_text.keys() == without.keys()
    for pair, match in with_text.items():
        other = without[pair]
        assert match.kind == other.kind
        # a word beside a passage may agree by chance, and take one from the next passage
        assert abs(match.shared_words - other.shared_words) <= max(1, 0.03 * match.shared_words)
        assert {(p.start, p.end, p.other_start, p.other_end) for p in other.passages} <= {(0, 0, 0, 0)}


async def test_no_word_is_stored(pipeline: Pipeline) -> None:
    """Records hold neither words nor the credits' words; other fields are as they were sent."""
    name = await _collection(pipeline, WITHOUT)
    article = Article(
        "one", "Ferry aground", f"(Reuters) - {WORDS * 4}", "Gazette", url="https://a.example/1"
    )
    (answer,) = await flow.ingest(pipeline, name, [article])
    assert [(c.agency, c.text) for c in answer.credits] == [("Reuters", "Reuters")]
    stored = await pipeline.get_article(name, "one")
    assert (stored.article.headline, stored.article.body) == ("", "")
    assert (stored.article.source, stored.article.url) == ("Gazette", "https://a.example/1")
    assert [(c.agency, c.text, c.start, c.end) for c in stored.credits] == [("Reuters", "", 0, 0)]
    assert stored.words == answer.decision.words_new if answer.decision else False
    opened = await pipeline._collections.get(name)
    number = opened.follower.reader.article(answer.number)
    assert number is not None
    raw = (await opened.archive.records.read([number.record]))[number.record]
    assert raw is not None
    plain = opened.archive.codec.decode(raw)
    for word in ("Ferry", "ferry", "aurelia", "harbor", "Valmera"):
        assert word.encode() not in plain


async def test_offsets_are_those_of_the_article_that_asks(pipeline: Pipeline) -> None:
    """Ingest and find tell where a passage stands in the article given, not where it stands in a stored one."""
    name = await _collection(pipeline, WITHOUT)
    rng = random.Random(1)
    body = data.prose(rng, 80)
    first = Article("a", "", body, "One")
    second = Article("b", "Another", f"{data.prose(rng, 10)} {body}", "Two")
    await flow.ingest(pipeline, name, [first])
    found = await pipeline.find(name, second)
    (answer,) = await flow.ingest(pipeline, name, [second])
    for matches in (found.matches, answer.matches):
        ((passage,),) = [match.passages for match in matches]
        assert second.text[passage.start : passage.end] == body
        assert (passage.other_start, passage.other_end) == (0, 0)
    (again,) = await flow.ingest(pipeline, name, [second])
    assert again.outcome == Outcome.UNCHANGED
    assert again.matches[0].passages == answer.matches[0].passages


def _again(article: Article, kept: Kept, digest: bytes, parameters: CollectionParameters) -> Prepared:
    """What can be made of a record."""
    tokens = kept.reduced or read_body(kept.headline, kept.body, parameters)
    long_enough = tokens.half_words() >= 2 * parameters.minimum_words
    made = sketch(tokens, SketchParameters.of(parameters)) if long_enough else None
    return Prepared(
        article=article,
        tokens=tokens,
        digest=kept.digest or digest,
        sketch=made,
        words=kept.words,
        credits=kept.credits,
    )


@pytest.mark.parametrize("parameters", [WITHOUT, ECONOMY])
def test_everything_is_made_again_from_what_is_stored(parameters: CollectionParameters) -> None:
    """Tokens, digest, sketch and credits of a record are those that the article had when it came."""
    codec = Codec()
    for article in [
        *data.seeds(),
        Article("t", "ข่าว", "ภาษาไทยไม่มีช่องว่างระหว่างคำ " * 9, "Thai"),
        Article("h", "A headline that has enough words for a body where there is none at all", "…"),
        Article("e", "", "", ""),
    ]:
        ready = prepare(article, parameters)
        again = _again(article, flow.kept(ready, codec), ready.digest, parameters)
        np.testing.assert_array_equal(again.tokens.hashes, ready.tokens.hashes)
        np.testing.assert_array_equal(again.tokens.flags, ready.tokens.flags)
        assert (again.digest, again.words) == (ready.digest, ready.words)
        assert (again.sketch is None) == (ready.sketch is None)
        if again.sketch is not None and ready.sketch is not None:
            np.testing.assert_array_equal(again.sketch.postings, ready.sketch.postings)
        assert [(c.agency, c.place) for c in again.credits] == [(c.agency, c.place) for c in ready.credits]


def test_reduced_tokens_tell_texts_apart_nearly_as_well() -> None:
    """Seven bits a token, offsets and flags as before; reducing twice changes nothing."""
    tokens = tokenize("A headline", WORDS)
    reduced = tokens.reduced()
    np.testing.assert_array_equal(reduced.starts, tokens.starts)
    np.testing.assert_array_equal(reduced.flags, tokens.flags)
    assert reduced.letters().max() < 128
    np.testing.assert_array_equal(reduced.reduced().hashes, reduced.hashes)
    assert reduced.half_words() == tokens.half_words()
    assert len({int(h) for h in reduced.hashes}) <= 128


async def test_it_needs_about_half_of_the_memory(pipeline: Pipeline) -> None:
    """A record without text is little more than half as long, and so are its postings in the economy setting."""
    rng = random.Random(5)
    article = Article("m", "Headline", " ".join(data.prose(rng, 40) for _ in range(12)), "Outlet")
    sizes = []
    for parameters in (CollectionParameters(), ECONOMY):
        ready = prepare(article, parameters)
        assert ready.sketch is not None
        sizes.append((len(flow.payload(ready, Codec())), len(ready.sketch.postings)))
    (payload, postings), (small_payload, few_postings) = sizes
    assert small_payload < 0.6 * payload
    assert few_postings < 0.6 * postings


async def test_a_collection_tells_whether_it_keeps_text(pipeline: Pipeline) -> None:
    """The parameters of the collection say so, and its fingerprint differs."""
    names = [await _collection(pipeline, parameters) for parameters in (CollectionParameters(), WITHOUT)]
    kept, without = [await pipeline.get_collection(name) for name in names]
    assert (kept.parameters.keep_text, without.parameters.keep_text) == (True, False)
    assert kept.fingerprint != without.fingerprint
