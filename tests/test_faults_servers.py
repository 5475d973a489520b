"""Servers that are killed or frozen in the middle of ingest: the others go on, and nothing is lost or done twice.

Processes of their own, as in service: see :mod:`tests.fault_processes`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import pytest

from dedup.model import Article, DecisionKind
from tests import data
from tests import fault_processes as faults
from tests.fault_processes import Caller, ServerProcess, StoreProcess

_SERVERS = 4
_WRITERS = 8
_SETS, _COPIES = 20, 24


def copy_sets(rng: random.Random, sets: int, size: int) -> list[Article]:
    """Sets of one text each: exact, trimmed and extended copies, each of another outlet; ids begin with the set's."""
    made = []
    for number in range(sets):
        parts = [data.prose(rng, 40) for _ in range(3)]
        for copy in range(size):
            body = rng.choice(
                [
                    "\n".join(parts),
                    "\n".join(parts[:2]),
                    "\n".join([*parts, data.prose(rng, 30)]),
                ]
            )
            made.append(
                Article(
                    f"s{number:02}-{copy:02}",
                    f"Head {copy}",
                    body,
                    f"Outlet {number}/{copy}",
                    published=1.6e9,
                )
            )
    rng.shuffle(made)
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store that writes to disk every second."""
    with faults.store_process(tmp_path_factory.mktemp("store"), fsync="everysec") as made:
        yield made


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, store: StoreProcess) -> Iterator[list[ServerProcess]]:
    """Four servers on it; whoever kills one starts it again."""
    with faults.servers(tmp_path_factory.mktemp("servers"), store.url, _SERVERS) as made:
        yield made


async def _write(
    rng: random.Random, articles: Sequence[Article], targets: Sequence[str], collection: str, caller: Caller
) -> None:
    at = 0
    while at < len(articles):
        size = rng.randrange(1, 9)
        await caller.ingest(articles[at : at + size], collection)
        at += size


async def _disturb(
    victim: ServerProcess,
    callers: Sequence[Caller],
    after: int,
    *,
    kill: bool,
    store: StoreProcess,
    name: str,
) -> None:
    """Kill or freeze a server once so many articles are acknowledged; let a frozen one go on once it is retired."""
    while sum(len(caller.answers) for caller in callers) < after:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    if kill:
        victim.kill()
        return
    victim.pause()
    deadline = time.monotonic() + 12
    while not await asyncio.to_thread(faults.retired, store, name) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # it is not retired where it had nothing to do
    victim.resume()


async def _one_seed(seed: int, store: StoreProcess, four: list[ServerProcess]) -> dict[str, object]:
    began = time.monotonic()
    rng = random.Random(seed)
    name = f"seed-{seed}"
    articles = copy_sets(rng, _SETS, _COPIES)
    victim, kill = rng.choice(four), rng.random() < 0.5
    parts = [  # some are sent by two writers
        articles[i::_WRITERS] + rng.sample(articles, 3) for i in range(_WRITERS)
    ]
    targets = [server.target for server in four]
    callers = [Caller(targets[i % 4 :] + targets[: i % 4]) for i in range(_WRITERS)]
    try:
        await asyncio.gather(
            *(
                _write(random.Random(seed * 100 + i), part, targets, name, caller)
                for i, (part, caller) in enumerate(zip(parts, callers, strict=True))
            ),
            _disturb(
                victim,
                callers,
                int(len(articles) * rng.uniform(0.05, 0.8)),
                kill=kill,
                store=store,
                name=name,
            ),
        )
    finally:
        for caller in callers:
            await caller.__aexit__()
    living = [server for server in four if server.is_running]
    found = faults.same(await asyncio.to_thread(faults.settled, [s.target for s in living], name))
    assert found.articles == len(articles)
    kept = await asyncio.to_thread(faults.stored, living[0].target, name)
    news: defaultdict[str, list[str]] = defaultdict(list)
    for article_id, each in kept.items():
        assert each.decision is not None
        if each.decision.kind is DecisionKind.NEW:
            news[article_id[:3]].append(article_id)
    assert {of: len(ids) for of, ids in news.items()} == {f"s{n:02}": 1 for n in range(_SETS)}, news
    for caller in callers:
        for article_id, answer in caller.answers.items():
            assert kept[article_id].decision == answer.decision, article_id
            assert kept[article_id].number == answer.number
    if kill:
        victim.start()
    alone = await asyncio.to_thread(faults.single_writer, living[0].target, f"{name}-alone", articles)
    assert found.content_digest == alone.content_digest
    gone = faults.retired(store, name)
    if kill:
        await asyncio.to_thread(victim.ready)
        faults.same(await asyncio.to_thread(faults.settled, [s.target for s in four], name))
    return {
        "killed" if kill else "frozen": 1,
        "seconds": round(time.monotonic() - began, 1),
        "retired": gone,
        **sum((caller.refusals for caller in callers), Counter()),
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_server_killed_or_frozen(seed: int, store: StoreProcess, four: list[ServerProcess]) -> None:
    """Four servers, eight writers of copies, one server killed or frozen: one new a set, as if nothing had happened.

    Exact, trimmed and extended copies of each text come through all servers at once. A frozen server goes on after
    another one has retired it. In the end exactly one article of each set is new, every answer holds, nothing is
    pending or dirty, all servers have equal log digests, and the content digest is that of a single writer.
    """
    await _one_seed(seed, store, four)


@pytest.mark.faults
@pytest.mark.timeout(3600)
async def test_forty_servers_killed_or_frozen(store: StoreProcess, four: list[ServerProcess]) -> None:
    """The same with 40 seeds."""
    total: Counter[str] = Counter()
    for seed in range(100, 140):
        said = await _one_seed(seed, store, four)
        total.update(said)
        print(f"seed {seed}: {said}", flush=True)
    print(dict(total))
