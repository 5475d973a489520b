"""Lists: pages of any size together are the one big page, in its order; a token that no page gave is refused."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio

from dedup.errors import InvalidArgument, NotFound, Reason
from dedup.live import Pipeline
from dedup.model import Article, Match, MatchKind, Page
from tests import data, flow

SIZES = (1, 2, 7)
BIG = 1000


@dataclass(frozen=True)
class Stocked:
    """A settled collection, an article with many matches in it, and a cluster with many articles."""

    pipeline: Pipeline
    name: str
    article: str
    cluster: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stocked(store_url: str) -> AsyncIterator[Stocked]:
    """Families, seeds, copies, texts that tie in every measure, short texts, and gaps of removed articles."""
    pipeline = await flow.open_pipeline(store_url, settle_wait_milliseconds=30_000)
    name = f"paging-{uuid.uuid4().hex[:8]}"
    articles = data.corpus(120, seed=9)
    hot = articles[0]
    # each has one other word at its end: against the wire all of them measure alike
    tied = [
        replace(hot, id=f"tied-{9 - i}", source=f"Tied {i}", body=f"{hot.body} final{i}", headline="Tied")
        for i in range(9)
    ]
    copies = [replace(hot, id=f"copy-{i}", source=f"Copy {i}", headline=f"Copy {i}") for i in range(4)]
    short = [Article(f"short-{i}", "Flash", "") for i in range(3)]
    everything = [*articles, *tied, *copies, *short, *data.latest(data.seeds())]
    await flow.ingest(pipeline, name, everything, 50)
    for article in articles[3::11]:
        await pipeline.delete_article(name, article.id)
    await flow.settled(pipeline, name)
    wire = await pipeline.get_article(name, hot.id)
    assert wire.cluster is not None
    yield Stocked(pipeline, name, hot.id, wire.cluster)
    await pipeline.delete_collection(name)
    await pipeline.close()


Ask = Callable[[Stocked, int, str], Awaitable[Page[Any]]]
LISTS: dict[str, Ask] = {
    "articles": lambda s, size, token: s.pipeline.list_articles(s.name, page_size=size, page_token=token),
    "matches": lambda s, size, token: s.pipeline.list_matches(
        s.name, article_id=None, page_size=size, page_token=token
    ),
    "matches of an article": lambda s, size, token: s.pipeline.list_matches(
        s.name, article_id=s.article, page_size=size, page_token=token
    ),
    "clusters": lambda s, size, token: s.pipeline.list_clusters(
        s.name, min_size=1, page_size=size, page_token=token
    ),
    "clusters of two": lambda s, size, token: s.pipeline.list_clusters(
        s.name, min_size=2, page_size=size, page_token=token
    ),
    "articles of a cluster": lambda s, size, token: s.pipeline.list_cluster_articles(
        s.name, s.cluster, page_size=size, page_token=token
    ),
    "stories": lambda s, size, token: s.pipeline.list_stories(s.name, page_size=size, page_token=token),
    "collections": lambda s, size, token: s.pipeline.list_collections(page_size=size, page_token=token),
}


def key(item: Any) -> object:
    """What an item is told from others by; statuses of collections change with the store's memory."""
    return item.name if hasattr(item, "fingerprint") else item


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def collections(stocked: Stocked) -> AsyncIterator[list[str]]:
    """Some empty collections beside the stocked one."""
    names = [f"paging-{i}-{uuid.uuid4().hex[:6]}" for i in range(4)]
    parameters = (await stocked.pipeline.get_collection(stocked.name)).parameters
    for name in names:
        await stocked.pipeline.create_collection(name, parameters)
    yield names
    for name in names:
        with contextlib.suppress(NotFound):
            await stocked.pipeline.delete_collection(name)


@pytest.mark.parametrize("listing", LISTS)
@pytest.mark.parametrize("size", SIZES)
async def test_pages_together_are_the_big_page(
    stocked: Stocked, collections: list[str], listing: str, size: int
) -> None:
    """The same items in the same order, each once, no page longer than asked for, none empty but a last one."""
    ask = LISTS[listing]
    big = await ask(stocked, BIG, "")
    assert big.next_page_token == ""
    expected = [key(item) for item in big.items]
    assert len(expected) > 7 or listing == "collections"
    assert all(expected.count(item) == 1 for item in expected)
    found: list[object] = []
    tokens = {""}
    token = ""
    while True:
        page = await ask(stocked, size, token)
        assert len(page.items) <= size
        found += [key(item) for item in page.items]
        token = page.next_page_token
        if not token:
            break
        assert len(page.items) == size
        assert token not in tokens
        tokens.add(token)
    assert found == expected


@pytest.mark.parametrize("listing", LISTS)
async def test_a_token_can_be_used_again_and_with_another_size(
    stocked: Stocked, collections: list[str], listing: str
) -> None:
    """A token stands for a place: what follows it is the same however often and in whatever portion it is asked for."""
    ask = LISTS[listing]
    expected = [key(item) for item in (await ask(stocked, BIG, "")).items]
    first = await ask(stocked, 3, "")
    for size in (BIG, 2, BIG):
        rest = await ask(stocked, size, first.next_page_token)
        assert [key(item) for item in rest.items] == expected[3 : 3 + size]


async def test_status_counts_the_clusters_that_are_listed(stocked: Stocked) -> None:
    """Of two articles and more, and of one where it stands in a story, is linked or stood with others before."""
    listed = (await LISTS["clusters"](stocked, BIG, "")).items
    status = await stocked.pipeline.get_collection(stocked.name)
    assert status.clusters == len(listed)
    alone = [c for c in listed if c.size == 1]
    assert all(c.story or c.linked or c.revision > 1 for c in alone)
    assert any(c.story for c in alone)
    assert status.stories == len((await LISTS["stories"](stocked, BIG, "")).items)


async def test_matches_of_a_collection_are_those_of_its_export(stocked: Stocked) -> None:
    """Every verified pair, in pages that end anywhere, also between two pairs of one text."""
    exported = [line async for line in stocked.pipeline.export(stocked.name) if isinstance(line, Match)]
    page = await LISTS["matches"](stocked, BIG, "")
    assert sorted(page.items, key=lambda m: (m.article.encode(), m.other.encode())) == exported


async def test_matches_of_an_article_that_tie_come_once_each(stocked: Stocked) -> None:
    """The copies come first, as one; then all others with the same measures, in an order that pages keep."""
    items = (await LISTS["matches of an article"](stocked, BIG, "")).items
    assert items[0].kind == MatchKind.EXACT
    assert {items[0].other, *items[0].other_carriers} >= {f"copy-{i}" for i in range(4)}
    tied = [m for m in items if m.other.startswith("tied")]
    assert len({m.other for m in tied}) == 9
    assert len({(m.kind, m.containment, m.other_containment, m.shared_words) for m in tied}) == 1


async def test_pages_while_articles_come_and_go(stocked: Stocked) -> None:
    """What was there before and stays is listed exactly once, whatever is added or removed between two pages."""
    name = f"paging-{uuid.uuid4().hex[:8]}"
    pipeline = stocked.pipeline
    rng = random.Random(3)
    articles = data.family(rng, "m", 30)
    await flow.ingest(pipeline, name, articles)
    await flow.settled(pipeline, name)
    gone = {article.id for article in articles[1::5]}
    more = data.family(rng, "n", len(articles))
    seen: dict[str, list[object]] = {"articles": [], "matches": []}
    tokens = {"articles": "", "matches": ""}
    going, coming = sorted(gone), iter(more)
    done: set[str] = set()
    while len(done) < 2:
        for listing in seen.keys() - done:
            page = await LISTS[listing](replace(stocked, name=name), 4, tokens[listing])
            seen[listing] += [
                item.article.id if listing == "articles" else (item.article, item.other)
                for item in page.items
            ]
            tokens[listing] = page.next_page_token
            if not page.next_page_token:
                done.add(listing)
        if going:
            await pipeline.delete_article(name, going.pop())
        await flow.ingest(pipeline, name, [a for a in (next(coming, None),) if a is not None])
    await flow.settled(pipeline, name)
    for listed in seen.values():
        assert len(listed) == len(set(listed))
    assert {a.id for a in articles} - gone <= set(seen["articles"])
    await pipeline.delete_collection(name)


WRONG = ("-1", "1 ", "١", "1:", ":1", "1:x", "1:2:3", "Ä", "\0", " ", "/")
#: Wrong but where a token is a name, as in the list of collections.
NAMES = ("x", "9" * 40)


@pytest.mark.parametrize(
    ("listing", "token"),
    [(each, token) for each in LISTS for token in WRONG + (() if each == "collections" else NAMES)],
)
async def test_a_token_that_no_page_gave(stocked: Stocked, listing: str, token: str) -> None:
    """INVALID_PAGE_TOKEN, naming the field, in every list."""
    with pytest.raises(InvalidArgument) as error:
        await LISTS[listing](stocked, 5, token)
    assert error.value.reason == Reason.INVALID_PAGE_TOKEN
    assert error.value.metadata == {"field": "page_token"}
