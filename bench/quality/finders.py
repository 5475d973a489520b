"""Who looks for pairs: the service, and peers on the same articles. Each peer is used at its usual settings."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from bench import load, peers
from bench.processes import fresh_stack
from bench.quality import rarity
from bench.quality.measures import Pair
from dedup.client import AsyncDedupClient
from dedup.core import kernels
from dedup.core.text import QUOTE_MARKS, tokenize
from dedup.model import COPY_KINDS, Article, CollectionParameters, DecisionKind, IngestResult, MatchKind

COLLECTION: Final = "quality"
_TEXT_DEDUP: Final = Path(__file__).with_name("text_dedup_groups.py")
_RETSIM: Final = Path(__file__).with_name("retsim_pairs.py")
#: From this cosine on RETSim's package calls two texts a match.
ALIKE: Final = 0.9
#: Bits that two SimHash values of near-duplicates differ in at most (Manku, Jain and Das Sarma, WWW 2007).
HAMMING: Final = 3
#: Fingerprints that more texts have say nothing in a plain winnowing index, and cost a square of time.
COMMON: Final = 500
#: Fingerprints that two texts of a plain winnowing index have in common at least.
FINGERPRINTS: Final = 3
COSINE: Final = 0.5
#: Jaccard similarity that bands are made for in the ablation: low enough that window minima do not imply them.
BANDS: Final = 0.5
#: Quotation marks as the service knows them; between letters an apostrophe is none.
_APOSTROPHES: Final = "'\N{FULLWIDTH APOSTROPHE}\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_OTHERS: Final = "".join(mark for mark in QUOTE_MARKS if mark not in _APOSTROPHES)
_MARKS: Final = re.compile(rf"[{_OTHERS}]|(?<!\w)[{_APOSTROPHES}]|[{_APOSTROPHES}](?!\w)")


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs called copied, smaller id first by its bytes; clusters by id; of the service also more."""

    pairs: set[Pair]
    clusters: dict[str, str]
    seconds: float
    kinds: dict[Pair, MatchKind] | None = None
    stories: dict[str, str] | None = None
    decisions: dict[str, DecisionKind] | None = None


Finder = Callable[[Sequence[Article]], Found]


def finders(text_dedup: Path | None = None, retsim: Path | None = None) -> dict[str, Finder]:
    """All of them: the service, the service without one of its parts or with one more, peers.

    ``text_dedup`` is a Python that has text-dedup installed, ``retsim`` one that has unisim.
    """
    default = CollectionParameters()
    found: dict[str, Finder] = {
        "dedup": lambda articles: _ours(articles, default),
        "dedup, resemblance only": lambda articles: _ours(articles, replace(default, profile="copies")),
        "dedup, both channels": lambda articles: _ours(articles, replace(default, band_threshold=BANDS)),
        "dedup, marks ignored": lambda articles: _ours(_unmarked(articles), default),
        "dedup, runs alone": lambda articles: _ours(articles, replace(default, rules=rarity.RUNS_ALONE)),
        "dedup, rarity weights": _by_rarity,
    }
    for size in (5, 2):
        for threshold in (0.3, 0.5, 0.8):
            found[f"datasketch k={size} J>={threshold}"] = _minhash(size, threshold)
    found["SimHash"] = _timed(_simhash)
    found["winnowing"] = _timed(_winnowing)
    found["TF-IDF"] = _timed(_cosine)
    if text_dedup is not None:
        for threshold in (0.5, 0.7):
            found[f"text-dedup k=5 J>={threshold}"] = _text_dedup(text_dedup, threshold)
    if retsim is not None:
        for unit in ("whole", "chunk"):
            found[f"RETSim {unit} >={ALIKE}"] = _retsim(retsim, unit)
    return found


def _ours(articles: Sequence[Article], parameters: CollectionParameters) -> Found:
    decisions: dict[str, DecisionKind] = {}

    def decided(answer: IngestResult) -> None:
        if answer.decision is not None:
            decisions[answer.id] = answer.decision.kind

    async def go(target: str) -> tuple[load.Exported, float]:
        async with AsyncDedupClient(target) as client:
            await client.create_collection(COLLECTION, parameters)
            started = time.perf_counter()
            await load.batches(client, articles, COLLECTION, decided)
            await load.settled(client, COLLECTION)
            seconds = time.perf_counter() - started
            return await load.exported(client, COLLECTION), seconds

    with fresh_stack("everysec") as stack:
        exported, seconds = asyncio.run(go(stack.target))
    kinds = {_ordered(*pair): kind for pair, kind in exported.kinds.items()}
    copied = {pair for pair, kind in kinds.items() if kind in COPY_KINDS}
    return Found(copied, exported.clusters, seconds, kinds, exported.stories, decisions)


def _by_rarity(articles: Sequence[Article]) -> Found:
    """The service with trigrams weighted by their rarity among these articles; clusters are those of the service."""
    loose = _ours(articles, replace(CollectionParameters(), rules=rarity.LOOSE))
    kinds = rarity.weighed(articles, loose.kinds or {})
    copied = {pair for pair, kind in kinds.items() if kind in COPY_KINDS}
    return replace(loose, pairs=copied, kinds=kinds)


def _unmarked(articles: Sequence[Article]) -> list[Article]:
    """The same words, none of them quoted."""
    return [replace(article, body=_MARKS.sub(" ", article.body)) for article in articles]


def _ordered(one: str, other: str) -> Pair:
    a, b = sorted((one, other), key=str.encode)
    return a, b


def _timed(find: Callable[[Sequence[Article]], Iterable[tuple[int, int]]]) -> Finder:
    """A finder of one that gives pairs of positions; its clusters are the components of them."""

    def timed(articles: Sequence[Article]) -> Found:
        started = time.perf_counter()
        places = np.array(sorted(find(articles)), np.int64).reshape(-1, 2)
        seconds = time.perf_counter() - started
        graph = coo_array(
            (np.ones(len(places)), (places[:, 0], places[:, 1])), (len(articles), len(articles))
        )
        component = connected_components(graph, directed=False)[1].tolist()
        pairs = {_ordered(articles[i].id, articles[j].id) for i, j in places.tolist()}
        return Found(pairs, {a.id: str(c) for a, c in zip(articles, component, strict=True)}, seconds)

    return timed


def _minhash(size: int, threshold: float) -> Finder:
    """Whatever datasketch's index answers, which is what its users get."""

    def find(articles: Sequence[Article]) -> Iterable[tuple[int, int]]:
        index = peers.datasketch_index(threshold=threshold)
        for number, article in enumerate(articles):
            made = peers.datasketch_signature(article, size)
            yield from ((other, number) for other in index.query(made))
            index.insert(number, made)

    return _timed(find)


def _text_dedup(python: Path, threshold: float) -> Finder:
    """All pairs of the groups that text-dedup makes, in a process of its own."""

    def find(articles: Sequence[Article]) -> Iterable[tuple[int, int]]:
        members: dict[int, list[int]] = defaultdict(list)
        for number, group in enumerate(_answer_of(python, _TEXT_DEDUP, articles, threshold)):
            members[group].append(number)
        return [pair for each in members.values() for pair in combinations(each, 2)]

    return _timed(find)


def _retsim(python: Path, unit: str) -> Finder:
    """Pairs that the neural model of unisim calls alike, in a process of its own."""

    def find(articles: Sequence[Article]) -> Iterable[tuple[int, int]]:
        return [(one, other) for one, other in _answer_of(python, _RETSIM, articles, ALIKE, unit)]

    return _timed(find)


def _answer_of(python: Path, script: Path, articles: Sequence[Article], *options: object) -> Any:
    """What a script says about the bodies of articles, run by another Python."""
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "articles.jsonl", Path(folder) / "answer.json"
        given.write_bytes(b"".join(orjson.dumps({"text": a.body}) + b"\n" for a in articles))
        command = [str(each) for each in (python, "-P", script, given, answer, *options)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return orjson.loads(answer.read_bytes())


def _simhash(articles: Sequence[Article]) -> Iterable[tuple[int, int]]:
    """64 bits over 3-word shingles (Charikar 2002), every pair compared."""
    values = np.zeros(len(articles), np.uint64)
    for number, article in enumerate(articles):
        hashes = [xxhash.xxh3_64_intdigest(s.encode()) for s in set(peers.word_shingles(article, 3))]
        bits = np.unpackbits(np.array(hashes, "<u8").view(np.uint8).reshape(-1, 8), axis=1)
        values[number] = np.packbits(bits.mean(0) > 0.5).view("<u8")[0]
    for number in range(1, len(values)):
        near = np.bitwise_count(values[:number] ^ values[number]) <= HAMMING
        yield from ((other, number) for other in np.flatnonzero(near).tolist())


def _winnowing(articles: Sequence[Article]) -> Iterable[tuple[int, int]]:
    """Winnowing (Schleimer, Wilkerson and Aiken 2003) of 5-word shingles in windows of 8; nothing is verified."""
    holders: dict[int, list[int]] = defaultdict(list)
    for number, article in enumerate(articles):
        hashes: NDArray[np.uint64] = kernels.shingles(tokenize("", article.body).hashes, 5)
        for fingerprint in np.unique(hashes[kernels.window_minima(hashes, 8)]).tolist():
            holders[fingerprint].append(number)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for members in holders.values():
        if 1 < len(members) <= COMMON:
            for pair in combinations(members, 2):
                shared[pair] += 1
    return (pair for pair, count in shared.items() if count >= FINGERPRINTS)


def _cosine(articles: Sequence[Article]) -> Iterable[tuple[int, int]]:
    """Words weighted by rarity (TF-IDF, logarithmic), every pair compared."""
    words: dict[int, int] = {}
    rows, columns = [], []
    for number, article in enumerate(articles):
        for word in tokenize("", article.body).hashes.tolist():
            rows.append(number)
            columns.append(words.setdefault(word, len(words)))
    counts = csr_array((np.ones(len(rows)), (rows, columns)), (len(articles), len(words)))
    held = np.bincount(counts.indices, minlength=len(words))
    weights = csr_array(
        (
            (1 + np.log(counts.data)) * np.log(len(articles) / held)[counts.indices],
            counts.indices,
            counts.indptr,
        ),
        counts.shape,
    )
    lengths = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel())
    weights = csr_array(weights.multiply(1 / np.maximum(lengths, 1e-12)[:, None]))
    for start in range(0, len(articles), 500):
        near = (weights[start : start + 500] @ weights.T).tocoo()
        for i, j, value in zip(near.row.tolist(), near.col.tolist(), near.data.tolist(), strict=True):
            if value >= COSINE and start + i < j:
                yield start + i, j
