"""Query and insert through the whole service, beside datasketch on the same store binary and rensa in memory.

Every contender of every round has a new store with the same append-only setting, and the same articles in the same
order; slower ones take the first of them. Ours is counted from the first request to the last answer; the time until
nothing is pending is given beside it, and the rate that includes it. Processor time counts until then.

Where another commit was asked for, its service is a contender beside each of ours, in turns.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Final

from bench import beside, corpus, load, peers, recall
from bench.appended import Appended
from bench.options import Options
from bench.processes import OURS, Program, Stack, cpu_seconds, fresh_stack, fresh_store, used_memory
from bench.report import Grid, Part, Plot, median
from dedup.client import AsyncDedupClient
from dedup.model import Article, CollectionParameters

COLLECTION: Final = "bench"
ROLES: Final = ("server", "store", "client")
_SESSION_BUFFER: Final = 50_000


@dataclass(frozen=True, slots=True)
class Run:
    """One contender in one round. Bytes and seconds of processors are for one article.

    ``appended_bytes`` is what its file grew by, rewrites left out.
    """

    contender: str
    articles: int
    seconds: float
    settle_seconds: float = 0.0
    store_bytes: float | None = None
    cpu: dict[str, float] = field(default_factory=dict)
    appended_bytes: float | None = None
    round: int = 0

    @property
    def rate(self) -> float:
        """Articles a second until the last answer."""
        return self.articles / self.seconds

    @property
    def settled_rate(self) -> float:
        """Articles a second until everything was settled."""
        return self.articles / (self.seconds + self.settle_seconds)

    def figures(self) -> beside.Figures:
        """What is compared with the same contender of another commit."""
        return {
            "until settled": self.settled_rate,
            "articles/s": self.rate,
            "store B": self.store_bytes,
            "file B": self.appended_bytes,
            **{role: self.cpu.get(role) for role in ROLES},
            "all": sum(self.cpu.values()),
        }


def economy() -> CollectionParameters:
    """The parameters without text and with a window of 16; from 0.8 on it implies the bands."""
    return CollectionParameters(window=16, keep_text=False, band_threshold=0.8)


# -- ours ------------------------------------------------------------------------------------------


def ours(
    name: str,
    articles: Sequence[Article],
    *,
    parameters: CollectionParameters | None = None,
    one_by_one: bool = False,
    program: Program = OURS,
) -> Run:
    """One run of the service, or of another commit's, on a new store."""
    with fresh_stack("everysec", program) as stack:
        return asyncio.run(_ours(stack, name, articles, parameters, one_by_one))


async def _ours(
    stack: Stack,
    name: str,
    articles: Sequence[Article],
    parameters: CollectionParameters | None,
    one_by_one: bool,
) -> Run:
    async with AsyncDedupClient(stack.target) as client:
        await load.prepare(client, COLLECTION, parameters)
        with stack.redis() as store, Appended(store) as appended:
            before, appended_before, cpu_before = used_memory(store), appended.size(), stack.cpu()
            started = time.perf_counter()
            if one_by_one:
                await load.unary(client, articles, COLLECTION)
            else:
                await load.batches(client, articles, COLLECTION)
            seconds = time.perf_counter() - started
            settle_seconds = await load.settled(client, COLLECTION)
            cpu = {role: (used - cpu_before[role]) / len(articles) for role, used in stack.cpu().items()}
            size = (used_memory(store) - before) / len(articles)
            grown = (appended.size() - appended_before) / len(articles)
    return Run(name, len(articles), seconds, settle_seconds, size, cpu, grown)


# -- peers -----------------------------------------------------------------------------------------


def datasketch_query_insert(name: str, articles: Sequence[Article]) -> Run:
    """Sketch, query and insert each article, as its documentation shows it."""
    with fresh_store("everysec") as store:
        index = peers.datasketch_index(store.socket_path)
        before, cpu = store.used_memory(), (cpu_seconds(store.pid), cpu_seconds(os.getpid()))
        started = time.perf_counter()
        for article in articles:
            made = peers.datasketch_signature(article)
            index.query(made)
            index.insert(article.id, made)
        return _peer_run(name, articles, started, (store.used_memory, before), cpu, store.pid)


def datasketch_session(name: str, articles: Sequence[Article]) -> Run:
    """Sketch and insert through its buffered ``insertion_session``; nothing is asked."""
    with fresh_store("everysec") as store:
        index = peers.datasketch_index(store.socket_path)
        before, cpu = store.used_memory(), (cpu_seconds(store.pid), cpu_seconds(os.getpid()))
        started = time.perf_counter()
        with index.insertion_session(buffer_size=_SESSION_BUFFER) as session:
            for article in articles:
                session.insert(article.id, peers.datasketch_signature(article))
        return _peer_run(name, articles, started, (store.used_memory, before), cpu, store.pid)


def _peer_run(
    name: str,
    articles: Sequence[Article],
    started: float,
    memory: tuple[Callable[[], int], int],
    cpu: tuple[float, float],
    pid: int,
) -> Run:
    count = len(articles)
    seconds = time.perf_counter() - started
    used = {
        "store": (cpu_seconds(pid) - cpu[0]) / count,
        "client": (cpu_seconds(os.getpid()) - cpu[1]) / count,
    }
    return Run(name, count, seconds, 0.0, (memory[0]() - memory[1]) / count, used)


def rensa_in_process(name: str, articles: Sequence[Article]) -> Run:
    """Sketch, query and insert in this process: no store, no service, nothing kept; for scale."""
    index = peers.rensa_index()
    cpu = cpu_seconds(os.getpid())
    started = time.perf_counter()
    for number, article in enumerate(articles):
        made = peers.rensa_signature(article, peers.RENSA_INDEXED)
        index.query(made)
        index.insert(number, made)
    seconds = time.perf_counter() - started
    used = (cpu_seconds(os.getpid()) - cpu) / len(articles)
    return Run(name, len(articles), seconds, cpu={"client": used})


# -- the part --------------------------------------------------------------------------------------

BATCH, UNARY, ECONOMY = "dedup, batches of 100", "dedup, 32 callers", "dedup, w=16, no text"
DATASKETCH, SESSION, RENSA = "datasketch", "datasketch, insertion_session", "rensa, in process"


#: Ours, and how each is run.
SERVICE: Final[dict[str, dict[str, Any]]] = {
    BATCH: {},
    UNARY: {"one_by_one": True},
    ECONOMY: {"parameters": economy()},
}


def contenders(
    articles: Sequence[Article], few: Sequence[Article], options: Options, number: int
) -> dict[str, Callable[[], Run]]:
    """What to run in a round, by name, in this order."""
    found: dict[str, Callable[[], Run]] = {}
    if options.peers:
        found[DATASKETCH] = partial(datasketch_query_insert, DATASKETCH, few)
        found[SESSION] = partial(datasketch_session, SESSION, few)
    for name, how in SERVICE.items():
        for contender, program in beside.in_turns(name, options.beside, number):
            found[contender] = partial(ours, contender, articles, program=program, **how)
    if options.peers and peers.optional("rensa") is not None:
        found[RENSA] = partial(rensa_in_process, RENSA, few)
    return found


def run(options: Options) -> Part:
    """All contenders in several rounds, and what ours and the peers find in real news."""
    count = options.count(quick=600, full=20_000)
    few_count = max(min(200, count), count // (3 if options.quick else 8))
    articles = corpus.articles(count)
    rounds: list[Run] = []
    for number in range(options.rounds):
        for name, measure in contenders(articles, articles[:few_count], options, number).items():
            options.say(f"index: round {number + 1}, {name}")
            rounds.append(replace(measure(), round=number))
    notes = ["file B: what an article adds to the append-only file, rewrites left out"]
    if options.peers:
        notes += [
            "dedup keeps texts, decisions, clusters and stories, and answers verified passages",
            "datasketch keeps the bands of signatures alone; its insertion_session inserts without asking",
            "rensa in process keeps nothing: for scale",
            *peers.missing(),
        ]
    found = recall.run(options) if options.peers else recall.NOTHING
    ratios, data = _ratios(options.beside, rounds)
    names = list(dict.fromkeys(run.contender for run in rounds))
    rates = {name: median([r.rate for r in rounds if r.contender == name]) for name in names}
    settings = {
        "articles": count,
        "rounds": options.rounds,
        "append-only": "everysec",
        "collection": "w=8, texts kept, passages on",
    }
    if options.peers:
        settings["articles of peers"] = few_count
        settings["peers"] = f"128 permutations, threshold {peers.THRESHOLD}"
    if options.beside is not None:
        settings["dedup"] = options.beside.ours
        notes += options.beside.notes
    return Part(
        "index",
        settings,
        (_speed(names, rounds, rates), *ratios, *found.grids),
        {"rounds": [asdict(r) for r in rounds], "recall": found.data, **data},
        (
            Plot(
                "index", "Query and insert", "articles/s", tuple(names), {"articles/s": tuple(rates.values())}
            ),
            *found.plots,
        ),
        (*notes, *found.notes),
    )


def _ratios(other: beside.Beside | None, rounds: Sequence[Run]) -> tuple[tuple[Grid, ...], dict[str, Any]]:
    """Ours beside the same contenders of another commit, where there is one: a table, and every ratio."""
    if other is None:
        return (), {}
    found = {(run.contender, run.round): run.figures() for run in rounds}
    pairs = {
        name: [
            (figures, found[other.at(name), number]) for (of, number), figures in found.items() if of == name
        ]
        for name in SERVICE
    }
    data = other.about() | {"ratios": {name: beside.ratios(of_name) for name, of_name in pairs.items()}}
    return (beside.grid("Speed, bytes and processor time", other, pairs),), {"beside": data}


def _speed(names: Sequence[str], rounds: Sequence[Run], rates: dict[str, float]) -> Grid:
    rows = []
    for name in names:
        of_name = [r for r in rounds if r.contender == name]
        cpu = [1000 * median([r.cpu.get(role, 0.0) for r in of_name]) or None for role in ROLES]
        rows.append(
            (
                name,
                rates[name],
                median([r.settled_rate for r in of_name]),
                *([rates[name] / rates[DATASKETCH]] if DATASKETCH in rates else []),
                _middle([r.store_bytes for r in of_name]),
                _middle([r.appended_bytes for r in of_name]),
                *cpu,
            )
        )
    columns = (
        *("contender", "articles/s", "until settled"),
        *(("x datasketch",) if DATASKETCH in rates else ()),
        *("store B", "file B", "server ms", "store ms", "client ms"),
    )
    return Grid("Query and insert, medians; bytes and processor ms an article", columns, tuple(rows))


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
