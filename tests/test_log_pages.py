"""Records on pages: written once, read one by one, erased without a trace."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.text import tokenize
from dedup.errors import LimitExceeded, StoreUnavailable
from dedup.model import Article, Credit, CreditPlace
from dedup.store import keys, pages, payload
from dedup.store.codec import Codec, UnknownDictionary, dictionary_of
from dedup.store.connection import Store
from dedup.store.dictionaries import Dictionaries
from dedup.store.failures import UnknownFormat
from dedup.store.pages import PAGE_BYTES, Records
from dedup.store.registry import Registered, Registry
from tests import data
from tests.test_log_store import PARAMETERS

EPOCH = "0123456789abcdef"


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """The embedded store."""
    opened = Store(store_url)
    yield opened
    await opened.close()


@pytest.fixture
def records(store: Store, collection: str) -> Records:
    """The records of a collection."""
    return Records(store, collection, EPOCH)


async def written(records: Records, payloads: list[bytes], first: int = 1) -> list[int]:
    """Write payloads on pages from a number on; the number of each."""
    numbers = [0] * len(payloads)
    made = records.pages_of(payloads)
    assert await records.write([(first + i, content) for i, (_, content) in enumerate(made)]) == [True] * len(
        made
    )
    for page, (indexes, content) in enumerate(made, first):
        for index, number in zip(indexes, records.numbers(page, content), strict=True):
            numbers[index] = number
    return numbers


async def page_keys(store: Store, name: str) -> set[int]:
    """The pages that there are."""
    found = await store.call("KEYS", f"dedup:r:{name}:*")
    return {int(key.rpartition(b":")[2]) for key in found}


@given(st.lists(st.binary(max_size=3000) | st.integers(0, 200_000).map(bytes), max_size=40))
def test_every_payload_has_a_place(payloads: list[bytes]) -> None:
    """Each is on one page, in order; numbers differ, none is 0; a page is no larger than it may be or one record."""
    made = Records.pages_of(payloads)
    assert [index for indexes, _ in made for index in indexes] == list(range(len(payloads)))
    found = []
    for page, (indexes, content) in enumerate(made, 1):
        numbers = Records.numbers(page, content)
        assert len(numbers) == len(indexes)
        assert len(content) <= PAGE_BYTES or len(indexes) == 1
        assert len(content) % keys.UNIT == 0
        for number in numbers:
            at_page, at, size = pages.place_of(number)
            assert at_page == page
            raw = content[at : at + size] if size else content
            found.append((number, pages._payload(number, raw)))
    assert [kept for _, kept in found] == payloads
    assert len({number for number, _ in found}) == len(payloads)
    assert 0 not in {number for number, _ in found}
    assert all(number < 1 << 64 for number, _ in found)


def test_numbers_reach_far() -> None:
    """Pages up to 2^40, the last place of a page, and a payload that no page holds."""
    (_, content), *_ = Records.pages_of([bytes(65_500)])
    (number,) = Records.numbers((1 << 40) - 1, content)
    assert pages.place_of(number) == ((1 << 40) - 1, 0, 65_504)
    (_, content), *_ = Records.pages_of([bytes(65_520)])
    (number,) = Records.numbers(3, content)
    assert pages.place_of(number) == (3, 0, 0)
    with pytest.raises(LimitExceeded):
        Records.pages_of([bytes(1 << 24)])


async def test_what_was_written_is_read(records: Records) -> None:
    """In any order, some twice, large and small, empty, together with what is not there."""
    draw = random.Random(3)
    payloads = [draw.randbytes(draw.choice([0, 1, 500, 1265, 3000, 70_000, 300_000])) for _ in range(60)]
    numbers = await written(records, payloads)
    expected = dict(zip(numbers, payloads, strict=True))
    missing = [999 << keys.PAGE_SHIFT, 999 << keys.PAGE_SHIFT | 5, numbers[0] | 1 << 60]
    asked = draw.sample(numbers, 40) + numbers[:5] + missing
    found = await records.read(asked)
    assert found == {n: expected.get(n) for n in asked}
    assert await records.read([]) == {}


async def test_a_page_is_written_once(records: Records) -> None:
    """The same bytes again count as written; other bytes do not, and what stands there stays."""
    (_, ours), *_ = records.pages_of([b"ours" * 100])
    (_, theirs), *_ = records.pages_of([b"theirs" * 100])
    assert await records.write([(1, ours)]) == [True]
    assert await records.write([(1, ours), (1, theirs), (2, theirs)]) == [True, False, True]
    (number,) = records.numbers(1, ours)
    assert await records.read([number]) == {number: b"ours" * 100}


async def test_erasing_leaves_no_byte(store: Store, records: Records, collection: str) -> None:
    """The text is in no key's dump any more; others on the page stay; an empty page goes, and does not come back."""
    payloads = [f"secret-{i:04}-".encode() * 60 for i in range(80)] + [b"secret-long-" * 9000]
    numbers = await written(records, payloads)
    gone = [n for i, n in enumerate(numbers) if i % 3 == 0 or i == 80]
    await records.erase(gone)
    await records.erase(gone)  # once more does no harm
    found = await records.read(numbers)
    for index, number in enumerate(numbers):
        assert found[number] == (None if number in gone else payloads[index])
    dumps = b"".join([await store.call("DUMP", key) for key in await store.call("KEYS", f"*{collection}*")])
    for index, number in enumerate(numbers):
        whole = payloads[index][:24]
        plain = b"".join(
            [await store.call("GET", key) for key in await store.call("KEYS", f"dedup:r:{collection}:*")]
        )
        assert (whole in plain) == (number not in gone)
    assert b"secret-0000" not in dumps
    assert b"secret-long" not in dumps
    left = [n for n in numbers if n not in gone]
    pages_left = await page_keys(store, collection)
    on_first = [n for n in left if pages.place_of(n)[0] == 1]
    await records.erase(on_first)
    assert await page_keys(store, collection) == pages_left - {1}
    await records.erase(numbers)
    assert await page_keys(store, collection) == set()
    await records.erase(numbers)
    assert await page_keys(store, collection) == set()


async def test_pages_are_unlinked(store: Store, records: Records, collection: str) -> None:
    """Many at a time, also such as are not there."""
    await written(records, [bytes(9000) + b"x"] * 30)
    await records.unlink(range(1, 1500))
    await records.unlink([])
    assert await page_keys(store, collection) == set()


async def test_a_page_of_another_format(store: Store, records: Records, collection: str) -> None:
    """What this release does not read is a typed error that says so; so is a record that is cut off."""
    (number,) = await written(records, [b"x" * 100])
    key = keys.page(collection, EPOCH, 1)
    for at, raw in ((3, b"\x07"), (0, b"\xff\x00\x00\x01")):
        before = await store.call("GET", key)
        await store.call("SETRANGE", key, at, raw)
        with pytest.raises(
            UnknownFormat, match=f"record {number} has a format that this release does not read"
        ):
            await records.read([number])
        await store.call("SET", key, before)
    await store.call("SET", key, before[:50])
    with pytest.raises(UnknownFormat):
        await records.read([number])


# -- payloads and dictionaries ------------------------------------------------------------------------


def article(**fields: object) -> Article:
    """An article with every field that is kept."""
    values: dict[str, object] = {
        "id": "a",
        "headline": "«Новость»",
        "body": "Ten words of a text that says nothing at all.",
        "source": "wire",
        "byline": "By N. N.",
        "located": "Oslo",
        "url": "https://example.com/a",
        "language": "en",
        "published": 1.5,
        "published_is_date": True,
    }
    return Article(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("keep_text", [True, False])
def test_an_article_comes_back(keep_text: bool) -> None:
    """With its text, or with its tokens alone."""
    one = article()
    tokens = tokenize(one.headline, one.body)
    credit = Credit(
        agency="ap", place=CreditPlace.DATELINE, text="(AP)", start=3, end=7, in_byline_field=True
    )
    packed = payload.encode(
        one,
        words=10,
        credits=(credit,),
        tokens=tokens if keep_text else tokens.reduced(),
        digest=b"d" * 16,
        codec=Codec(),
    )
    kept = payload.decode(packed, Codec())
    for name in ("source", "byline", "located", "url", "language", "published", "published_is_date"):
        assert getattr(kept, name) == getattr(one, name)
    assert (kept.words, kept.digest) == (10, b"d" * 16)
    assert (kept.headline, kept.body) == ((one.headline, one.body) if keep_text else ("", ""))
    assert (kept.reduced is None) == keep_text
    assert kept.credits[0].agency == "ap"
    assert kept.credits[0].text == ("(AP)" if keep_text else "")


async def test_dictionaries(store: Store, collection: str) -> None:
    """The first of several stays; what was written with it is read with it; without it the error says which."""
    registered = await Registry(store).create(collection, PARAMETERS, 1.0)
    assert registered is not None
    samples = [a.body.encode() for a in data.corpus(300, seed=2)]
    codec = Codec()
    raw = codec.train([codec.encode(sample) for sample in samples], 4096)
    assert raw is not None
    held = Dictionaries(store, collection, registered.epoch)
    assert not await held.read(codec, 1, missing=True)
    await held.put(1, raw)
    await held.put(1, b"another")
    assert await held.read(codec, 1)
    packed = codec.encode(samples[0])
    assert dictionary_of(packed) == 1
    assert codec.has(1)
    with pytest.raises(UnknownDictionary):
        Codec().decode(packed)
    with pytest.raises(StoreUnavailable, match="dictionary 2 of collection"):
        await held.read(codec, 2)
    await deleted(store, collection, registered)
    await held.put(2, raw)  # somebody who has not heard of it yet
    assert await store.call("KEYS", f"*:{collection}:*") == []


async def deleted(store: Store, name: str, registered: Registered) -> None:
    """Delete a collection."""
    await Registry(store).delete(name, registered.epoch)
