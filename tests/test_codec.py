"""Payloads of records: what was written with or without a dictionary is read by every server; damage is typed."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from dedup.errors import StoreUnavailable
from dedup.live import training
from dedup.model import Article
from dedup.store import codec as codec_module
from dedup.store.codec import Codec, UnknownDictionary
from tests import data, flow


def lines(count: int) -> list[bytes]:
    """Texts that share phrases, as news in one language does."""
    rng = random.Random(8)
    phrases = [data.prose(rng, 6) for _ in range(60)]
    return [" ".join(rng.choices(phrases, k=40)).encode() for _ in range(count)]


def test_with_and_without_a_dictionary() -> None:
    """Both are read after the dictionary is trained, from several threads; with it payloads are smaller."""
    texts = lines(400)
    codec = Codec()
    plain = [codec.encode(text) for text in texts]
    dictionary = codec.train(plain, 65_536)
    assert dictionary is not None
    codec.add(1, dictionary)
    with ThreadPoolExecutor(4) as pool:
        packed = list(pool.map(codec.encode, texts))
        assert list(pool.map(codec.decode, [*plain, *packed])) == texts + texts
    assert sum(map(len, packed)) < 0.9 * sum(map(len, plain))


def test_what_cannot_be_read_is_typed() -> None:
    """A dictionary that is not known yet is named by its number; bytes of another format are refused."""
    codec = Codec()
    dictionary = codec.train([codec.encode(text) for text in lines(400)], 65_536)
    assert dictionary is not None
    codec.add(2, dictionary)
    stored = codec.encode(b"one two three")
    with pytest.raises(UnknownDictionary) as caught:
        Codec().decode(stored)
    assert caught.value.number == 2
    for damaged in (b"", b"\x09\x00\x00abc"):
        with pytest.raises(StoreUnavailable):
            codec.decode(damaged)


def test_too_few_articles_train_nothing() -> None:
    """A collection of a few articles goes on without a dictionary."""
    codec = Codec()
    assert codec.train([codec.encode(b"short")] * 3, 65_536) is None


async def test_a_collection_trains_its_dictionaries_and_other_servers_read_them(
    store_url: str, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From so many articles on payloads are written with them; what a second server reads is what was sent."""
    trainings = (codec_module.Training(200, 100, 16_384, 3), codec_module.Training(300, 150, 32_768, 5))
    monkeypatch.setattr(codec_module, "TRAININGS", trainings)
    monkeypatch.setattr(training, "_LOOK_SECONDS", 0.01)
    rng = random.Random(9)
    articles = [Article(f"a{i:03}", f"H{i}", data.prose(rng, 150), f"S{i}") for i in range(360)]
    first = await flow.open_pipeline(store_url)
    try:
        for number, (start, stop) in enumerate(((0, 220), (220, 320)), 1):
            await flow.ingest(first, collection, articles[start:stop])
            opened = await first._collections.get(collection)
            async with asyncio.timeout(30):
                while opened.archive.codec.current < number:  # noqa: ASYNC110 - training looks by itself
                    await asyncio.sleep(0.05)
        await flow.ingest(first, collection, articles[320:])
        second = await flow.open_pipeline(store_url)
        try:
            for article in (articles[0], articles[250], articles[350]):
                assert (await second.get_article(collection, article.id)).article == article
        finally:
            await second.close()
    finally:
        await first.close()


def test_lessons_are_due_in_turn() -> None:
    """No dictionary for a few texts, the second for many."""
    assert [codec_module.due(texts) for texts in (0, 1999, 2000, 7999, 8000, 10**6)] == [0, 0, 1, 1, 2, 2]
