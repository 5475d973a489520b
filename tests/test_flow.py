"""The whole flow: many writers, the five real articles, kill -9, recall of what brute force finds."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from dedup.core.markup import code_spans
from dedup.core.sketch import SketchParameters, sketch
from dedup.core.text import tokenize
from dedup.live import Pipeline
from dedup.model import Article, DecisionKind, IngestResult
from dedup.store.embedded import EmbeddedValkey
from tests import data, flow, oracle


@pytest.mark.parametrize("servers", [1, 2])
async def test_many_writers_of_copies_get_one_new_each(store_url: str, collection: str, servers: int) -> None:
    """Eight concurrent writers, 1,000 copies of 50 texts: exactly 50 decisions are NEW, also through two servers."""
    pipelines = [await flow.open_pipeline(store_url) for _ in range(servers)]
    try:
        rng = random.Random(11)
        texts = [data.prose(rng, 60) for _ in range(50)]
        copies = [Article(f"{i}-{j}", f"H{j}", texts[i], f"S{j}") for i in range(50) for j in range(20)]
        rng.shuffle(copies)

        async def write(part: list[Article], pipeline: Pipeline) -> list[IngestResult]:
            return await flow.ingest(pipeline, collection, part, rng.randrange(3, 30))

        answers = await asyncio.gather(*(write(copies[i::8], pipelines[i % servers]) for i in range(8)))
        kinds = [a.decision.kind for part in answers for a in part if a.decision is not None]
        assert len(kinds) == 1000
        assert kinds.count(DecisionKind.NEW) == 50
        assert kinds.count(DecisionKind.COPY) == 950
        status = await flow.settled(pipelines[0], collection)
        assert (status.articles, status.texts) == (1000, 50)
    finally:
        for pipeline in pipelines:
            await pipeline.close()


def _pair(x: str, y: str) -> tuple[str, str]:
    return (x, y) if x < y else (y, x)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("crowded", [False, True])
async def test_the_five_articles(store_url: str, crowded: bool) -> None:
    """The real five come out as expected.json says, alone and among 11,000 others, shuffled; no large cluster."""
    path = data.beside("seeds/articles.jsonl")
    five = [data.to_article(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    expected = json.loads((path.parent / "expected.json").read_text(encoding="utf-8"))
    articles = list(five)
    if crowded:
        articles += [
            *data.shared("telegram_2019"),
            *data.shared("emergent_2014"),
            *data.shared("counter_urdu"),
        ]
    random.Random(3).shuffle(articles)
    pipeline = await flow.open_pipeline(store_url)
    name = f"five-{uuid.uuid4().hex[:8]}"
    try:
        await flow.ingest(pipeline, name, articles)
        await flow.settled(pipeline, name)
        stored = {a.id: await pipeline.get_article(name, a.id) for a in five}
        assert len({s.story for s in stored.values()}) == 1
        story = await pipeline.get_story(name, stored["dawn"].story or "")
        assert story.agencies[0] == expected["story_credits_first"]
        assert story.size == 5
        for x, y in expected["clusters"]["together"]:
            assert stored[x].cluster == stored[y].cluster
        for x, y in expected["clusters"]["apart"]:
            assert stored[x].cluster != stored[y].cluster
        for i, about in expected["articles"].items():
            assert sorted({c.agency for c in stored[i].credits}) == sorted(about["agencies"])
        matches = {}
        for article in five:
            page = await pipeline.list_matches(name, article_id=article.id, page_size=50, page_token="")
            matches.update({_pair(m.article, m.other): m.kind.name.lower() for m in page.items})
        for pair in expected["matches"]:
            assert matches[_pair(pair["article"], pair["other"])] in pair["kinds"]
        allowed = expected["matches"] + expected["may_match"]
        assert set(matches) <= {_pair(p["article"], p["other"]) for p in allowed}
        large = await pipeline.list_clusters(name, min_size=20, page_size=10, page_token="")
        assert large.items == ()
        await pipeline.delete_collection(name)
    finally:
        await pipeline.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from dedup.store.embedded import EmbeddedValkey
from tests import data, flow
async def main():
    store = EmbeddedValkey(Path(sys.argv[1]))
    pipeline = await flow.open_pipeline(store.start())
    articles = data.corpus(400)
    for start in range(int(sys.argv[2]), 400, 10):
        for answer in await flow.ingest(pipeline, "crash", articles[start : start + 10]):
            kind = answer.decision.kind if answer.decision else 0
            print("ack", answer.id, int(kind), answer.decision.copies if answer.decision else "", flush=True)
asyncio.run(main())
"""


@pytest.mark.timeout(280)
async def test_everything_acknowledged_survives_kill_nine(
    tmp_path: Path, store_url: str, collection: str
) -> None:
    """Service and store killed while writing, three times: everything acknowledged is there."""
    acknowledged: dict[str, tuple[int, str]] = {}
    for lines in (60, 110, 170):
        start = len(acknowledged) // 10 * 10
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(start)]
        writer = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs here
            command, stdout=subprocess.PIPE, text=True, cwd=data.ROOT, start_new_session=True
        )
        assert writer.stdout is not None
        for line in writer.stdout:
            if not line.startswith("ack "):
                continue  # a log line
            _, name, kind, copies = line.rstrip("\n").split(" ")
            acknowledged.setdefault(name, (int(kind), copies))
            if len(acknowledged) >= lines:
                break
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    with EmbeddedValkey(tmp_path) as store:
        assert store.url is not None
        pipeline = await flow.open_pipeline(store.url, recovery_seconds=1)
        try:
            for article_id, said in acknowledged.items():
                decision = (await pipeline.get_article("crash", article_id)).decision
                found = (int(decision.kind), decision.copies) if decision else (0, "")
                assert found == said
            survived = await flow.state(pipeline, "crash")
        finally:
            await pipeline.close()
    there = {i for i, _, _ in survived.articles}
    assert acknowledged.keys() <= there
    fresh = await flow.open_pipeline(store_url)
    try:
        await flow.ingest(fresh, collection, [a for a in data.corpus(400) if a.id in there])
        assert await flow.state(fresh, collection) == survived
    finally:
        await fresh.close()


def _without_code(body: str) -> str:
    """The body with spaces in place of code of its page, which the reference does not know of."""
    letters = list(body)
    for start, end in code_spans(body):
        letters[start:end] = " " * (end - start)
    return "".join(letters)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["telegram_2019", "emergent_2014"])
def test_candidates_are_those_of_brute_force(name: str) -> None:
    """At least 0.99 of the pairs of different outlets sharing 20 words in passages of 8 share a posting."""
    articles = data.shared(name)
    given = [oracle.OracleArticle(a.id, a.headline, _without_code(a.body), a.source) for a in articles]
    outlet = {a.id: a.source for a in articles}
    pairs = [(pair[0], pair[1]) for pair in oracle.candidate_pairs(given, same_source=False)]
    postings = {}
    for article in articles:
        postings[article.id] = set(
            sketch(tokenize(article.headline, article.body), SketchParameters()).postings.tolist()
        )
    found = sum(bool(postings[x] & postings[y]) for x, y in pairs)
    assert all(outlet[x] != outlet[y] for x, y in pairs)
    assert len(pairs) > 300
    assert found >= 0.99 * len(pairs), f"{found} of {len(pairs)}"
