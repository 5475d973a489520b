"""The whole server: the real pipeline on the embedded store, in this process and in one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dedup.client import AsyncDedupClient, DedupClient
from dedup.config import load_settings
from dedup.errors import InvalidArgument, NotFound, Reason, StoreUnavailable
from dedup.model import (
    Article,
    CollectionParameters,
    DecisionKind,
    ExportedArticle,
    IngestResult,
    Match,
    MatchKind,
    Outcome,
    PubStatus,
)
from dedup.server import background_server, running_server

PARAGRAPHS = [
    "The harbor authority of Lindmouth closed its northern pier on Tuesday after divers found cracks in two piles.",
    "Ferries to the islands will leave from the grain quay until the piles are replaced, which may take nine weeks.",
    "Fishermen said they had reported the damage in March and had heard nothing since, a claim the authority denies.",
    "A spokeswoman promised a public hearing before the end of the month and a refund for holders of season tickets.",
]
WIRE = Article(
    "wire/1 é",
    "Cracks close pier",
    "\n".join(PARAGRAPHS),
    "Agency Daily",
    byline="AFP",
    published=1_510_387_200.0,
)
COPY = Article("copy", "Pier is closed", "\n".join(PARAGRAPHS), "The Islander", published=1_510_390_800.0)
PART = Article(
    "part", "Islands cut off?",
    "\n".join([*PARAGRAPHS[1:3], "Our reporter walked the pier on Sunday and counted eleven gulls and no divers."]),
    "Lindmouth Post", published=1_510_394_400.0,
)  # fmt: skip
OTHER = Article(
    "other", "Bakery wins prize", "A bakery in the hills won the regional prize for its rye bread for the third year.",
    "Hill Gazette", published=1_510_398_000.0,
)  # fmt: skip


# -- in this process --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def client(store_url: str) -> AsyncIterator[AsyncDedupClient]:
    """A client of a server with the real pipeline."""
    async with (
        running_server(load_settings(listen="127.0.0.1:0", store=store_url)) as address,
        AsyncDedupClient(address) as client,
    ):
        yield client


async def settled(client: AsyncDedupClient, collection: str) -> None:
    """Wait until nothing is pending and nothing dirty."""
    for _ in range(500):
        status = await client.get_collection(collection)
        if not status.pending and not status.dirty:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the collection does not settle")


async def test_copies_are_found_and_proved(client: AsyncDedupClient, collection: str) -> None:
    """New, copy, partial copy; the passages slice equal words out of both texts; clusters hold the copies."""
    here: dict[str, Any] = {"collection": collection}
    first = await client.ingest(WIRE, **here)
    assert (first.outcome, first.decision and first.decision.kind) == (Outcome.CREATED, DecisionKind.NEW)
    copy = await client.ingest(COPY, **here)
    assert copy.decision is not None
    assert (copy.decision.kind, copy.decision.copies) == (DecisionKind.COPY, WIRE.id)
    part = await client.ingest(PART, **here)
    assert part.decision is not None
    assert part.decision.kind is DecisionKind.PARTIAL_COPY
    assert part.matches[0].kind in {MatchKind.REWRITE, MatchKind.EXCERPT}
    (other,) = await client.ingest_batch([OTHER], **here)
    assert isinstance(other, IngestResult)
    assert other.matches == ()
    await settled(client, collection)

    comparison = await client.compare(PART.id, WIRE.id, **here)
    assert comparison.match is not None
    for passage in comparison.match.passages:
        one = PART.text[passage.start : passage.end]
        assert one == WIRE.text[passage.other_start : passage.other_end]
    (cluster,) = [each async for each in client.list_clusters(**here)]
    members = [each.article.id async for each in client.list_cluster_articles(cluster.id, **here)]
    assert sorted(members) == sorted([COPY.id, PART.id, WIRE.id])
    assert cluster.settled
    records = [each async for each in client.export(**here)]
    exported = [each.id for each in records if isinstance(each, ExportedArticle)]
    assert exported == sorted([COPY.id, OTHER.id, PART.id, WIRE.id], key=str.encode)
    assert all(each.article < each.other for each in records if isinstance(each, Match))
    stored = await client.get_article(WIRE.id, **here)
    assert (stored.article, stored.copies_of_text) == (WIRE, (COPY.id,))
    assert [each.agency for each in stored.credits] == ["AFP"]


async def test_redelivery_versions_and_kills(client: AsyncDedupClient, collection: str) -> None:
    """The same again changes nothing; an older version is stale; a kill names who still carries the text."""
    here: dict[str, Any] = {"collection": collection}
    second = Article("v", COPY.headline, COPY.body, COPY.source, version=2)
    first = await client.ingest(WIRE, **here)
    made = await client.ingest(second, **here)
    again = await client.ingest(second, **here)
    assert (again.outcome, again.decision) == (Outcome.UNCHANGED, made.decision)
    stale = await client.ingest(Article("v", "Old", "Old text.", COPY.source, version=1), **here)
    assert (stale.outcome, stale.decision) == (Outcome.STALE_VERSION, made.decision)
    killed = await client.ingest(Article(WIRE.id, pubstatus=PubStatus.CANCELED), **here)
    assert (killed.outcome, killed.carriers) == (Outcome.CANCELED, ("v",))
    assert first.number == 1
    with pytest.raises(NotFound):
        await client.get_article(WIRE.id, **here)


async def test_short_and_strange_texts_are_stored(client: AsyncDedupClient, collection: str) -> None:
    """An empty body, control characters and one enormous token are answered, not refused."""
    bodies = {
        "empty": "",
        "short": "Too short.",
        "controls": "\0\x01 " * 50,
        "token": "x" * 100_000,
        "emoji": "😀" * 500,
    }
    outcomes = await client.ingest_batch(
        [Article(name, body=body) for name, body in bodies.items()], collection=collection
    )
    assert [type(each) for each in outcomes] == [IngestResult] * len(bodies)
    assert [each.outcome for each in outcomes[:2] if isinstance(each, IngestResult)] == [
        Outcome.NOT_COMPARABLE
    ] * 2
    for name, body in bodies.items():
        assert (await client.get_article(name, collection=collection)).article.body == body


async def test_duplicate_ids_in_a_batch_are_applied_in_order(
    client: AsyncDedupClient, collection: str
) -> None:
    """The last one stands."""
    outcomes = await client.ingest_batch(
        [WIRE, Article(WIRE.id, "Later", COPY.body, WIRE.source)], collection=collection
    )
    assert [each.outcome for each in outcomes if isinstance(each, IngestResult)] == [
        Outcome.CREATED,
        Outcome.REPLACED,
    ]
    assert (await client.get_article(WIRE.id, collection=collection)).article.headline == "Later"


async def test_one_of_many_copies_is_new(client: AsyncDedupClient, collection: str) -> None:
    """Copies that arrive in one batch, in streams and in calls at the same time: one is new."""
    copies = [Article(f"c{n}", f"Headline {n}", WIRE.body, f"Outlet {n}") for n in range(40)]

    async def stream(articles: list[Article]) -> list[Any]:
        return [
            outcome
            async for _, outcome in client.ingest_stream(articles, collection=collection, batch_size=4)
        ]

    answers = await asyncio.gather(
        client.ingest_batch(copies[:10], collection=collection),
        stream(copies[10:20]),
        stream(copies[20:30]),
        *(client.ingest(each, collection=collection) for each in copies[30:]),
    )
    results = [*answers[0], *answers[1], *answers[2], *answers[3:]]
    kinds = [each.decision.kind for each in results if isinstance(each, IngestResult) and each.decision]
    assert len(kinds) == 40
    assert kinds.count(DecisionKind.NEW) == 1


async def test_reads_do_not_make_a_collection(client: AsyncDedupClient, collection: str) -> None:
    """Reads of what is not there are NOT_FOUND; bad page tokens are refused."""
    with pytest.raises(NotFound) as raised:
        await client.get_article("x", collection=collection)
    assert raised.value.reason is Reason.COLLECTION_NOT_FOUND
    with pytest.raises(NotFound):
        _ = [each async for each in client.export(collection=collection)]
    await client.create_collection(collection, CollectionParameters(window=16))
    assert (await client.get_collection(collection)).parameters.window == 16
    await client.delete_collection(collection)
    with pytest.raises(NotFound):
        await client.get_collection(collection)


# -- in a process of its own ------------------------------------------------------------------------

SERVE = """
import sys
from dedup.config import load_settings
from dedup.server import run

sys.exit(run(load_settings()))
"""


def start(directory: Path, **options: str) -> subprocess.Popen[str]:
    """A server process with its options in the environment; ``listen`` has a free port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEDUP_")}
    options = {"data_dir": str(directory), "log_format": "json", **options}
    environment |= {f"DEDUP_{name.upper()}": value for name, value in options.items()}
    return subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def process(directory: Path, **options: str) -> Iterator[tuple[subprocess.Popen[str], DedupClient]]:
    """A server process that is ready, and a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    server = start(directory, listen=listen, **options)
    try:
        with DedupClient(listen) as client:
            client.wait_ready(120)
            yield server, client
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def test_a_signal_stops_it_and_everything_is_kept(tmp_path: Path) -> None:
    """SIGTERM ends the process with 0; started again on its directory it has every article and decision."""
    with process(tmp_path) as (server, client):
        first = client.ingest(WIRE)
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=30)
        assert server.returncode == 0
        assert '"stopped"' in output
        assert PARAGRAPHS[0] not in output
    with process(tmp_path) as (server, client):
        again = client.ingest(WIRE)
        assert (again.outcome, again.decision, again.number) == (
            Outcome.UNCHANGED,
            first.decision,
            first.number,
        )
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
        assert server.returncode == 0


def test_what_prevents_a_start_is_one_line(tmp_path: Path) -> None:
    """An occupied port, a directory in use and a store that is down: one line, no traceback, status 1."""
    with process(tmp_path / "a") as (_, client):
        for expected, directory, options in [
            ("the address is in use", tmp_path / "b", {"listen": client.target}),
            ("is in use by another server", tmp_path / "a", {"listen": "127.0.0.1:0"}),
            ("127.0.0.1:1", tmp_path / "b", {"listen": "127.0.0.1:0", "store": "redis://127.0.0.1:1"}),
        ]:
            failed = start(directory, **options)
            output, _ = failed.communicate(timeout=60)
            assert failed.returncode == 1
            (line,) = output.splitlines()
            assert line.startswith("dedup: ")
            assert expected in line
        assert client.ingest(OTHER).outcome is Outcome.CREATED


def test_a_stream_survives_the_death_of_the_store(tmp_path: Path) -> None:
    """The store is killed and started again: the stream waits, health comes back, what was acknowledged is there."""
    with (
        background_server(load_settings(listen="127.0.0.1:0", data_dir=tmp_path)) as address,
        DedupClient(address) as client,
    ):
        client.ingest(WIRE)
        os.kill(store_process(tmp_path), signal.SIGKILL)
        outcomes = [outcome for _, outcome in client.ingest_stream([COPY, PART], batch_size=1)]
        assert [type(each) for each in outcomes] == [IngestResult, IngestResult]
        client.wait_ready(10)
        assert client.get_article(WIRE.id).article == WIRE
        assert client.get_collection().articles == 3


def store_process(directory: Path) -> int:
    """Process id of the Valkey that works in ``directory``."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words and b"valkey-server" in words[0] and os.path.realpath(entry / "cwd") == str(directory):
            return int(entry.name)
    raise AssertionError("no store runs there")


def test_options_that_make_no_sense_are_refused() -> None:
    """Before anything is started."""
    with pytest.raises(InvalidArgument):
        load_settings(listen="nonsense")
    with (
        pytest.raises(StoreUnavailable),
        background_server(load_settings(listen="127.0.0.1:0", store="redis://127.0.0.1:1")),
    ):
        pass
