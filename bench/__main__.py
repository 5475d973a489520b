"""First throughput table: sketching, and ingest through the pipeline, beside datasketch on the same Valkey.

    python -m bench [ARTICLES]

Prints articles/s, ratios and bytes an article in the store. Articles are generated: 500 words with the frequencies of
language, one in four a copy with another beginning. The append-only file is on, ``everysec``, for both.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import datasketch
import xxhash
from rich.console import Console
from rich.table import Table

from dedup.config import load_settings
from dedup.embedded import EmbeddedValkey
from dedup.index.store import Store
from dedup.model import Article, CollectionParameters
from dedup.pipeline import Pipeline
from dedup.pipeline.prepare import prepare
from dedup.shingle import shingle_strings
from dedup.sketch import SketchParameters, signature
from dedup.text import tokenize

BATCH = 100


def articles(count: int) -> list[Article]:
    """Generated articles of 500 words."""
    rng = random.Random(1)
    made: list[Article] = []
    for number in range(count):
        words = [f"w{min(int(rng.paretovariate(0.7)), 40_000)}" for _ in range(500)]
        if made and rng.random() < 0.25:
            words = words[:60] + rng.choice(made[-2000:]).body.split()[:440]
        made.append(Article(f"a{number}", " ".join(words[:8]), " ".join(words), f"Outlet {number % 50}"))
    return made


def peer_signature(article: Article) -> datasketch.MinHash:
    """Datasketch over 5-word shingles made in Python."""
    words = article.body.casefold().split()
    peer = datasketch.MinHash(num_perm=128, seed=1, hashfunc=xxhash.xxh32_intdigest)
    peer.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
    return peer


def sketching(given: list[Article]) -> tuple[float, float]:
    """Articles/s of ours (tokens, credits, signature, window minima) and of datasketch; signatures checked equal."""
    parameters = CollectionParameters()
    for article in given[:20]:
        tokens = tokenize(article.headline, article.body)
        peer = datasketch.MinHash(num_perm=128, seed=1, hashfunc=xxhash.xxh32_intdigest)
        peer.update_batch(shingle_strings(tokens, 5))
        if (signature(tokens, SketchParameters()) != peer.hashvalues).any():
            message = "signatures differ from datasketch's"
            raise SystemExit(message)
    started = time.perf_counter()
    for article in given:
        prepare(article, parameters)
    ours = len(given) / (time.perf_counter() - started)
    few = given[: max(100, len(given) // 5)]
    started = time.perf_counter()
    for article in few:
        peer_signature(article)
    return ours, len(few) / (time.perf_counter() - started)


async def ours_on_store(url: str, given: list[Article]) -> tuple[float, float]:
    """Articles/s and bytes an article, everything stored and settled."""
    store = Store(url)
    pipeline = await Pipeline.open(load_settings(store=url))
    try:
        before = await store.memory_bytes()
        started = time.perf_counter()
        for start in range(0, len(given), BATCH):
            await pipeline.ingest("bench", given[start : start + BATCH])
        rate = len(given) / (time.perf_counter() - started)
        return rate, (await store.memory_bytes() - before) / len(given)
    finally:
        await pipeline.close()
        await store.close()


async def peer_on_store(url: str, given: list[Article]) -> tuple[float, float]:
    """Datasketch MinHashLSH on the same store: sketch, query and insert each article."""
    store = Store(url)
    before = await store.memory_bytes()
    config = {
        "type": "redis",
        "basename": b"peer",
        "redis": {"unix_socket_path": url.removeprefix("unix://")},
    }
    index = datasketch.MinHashLSH(threshold=0.5, num_perm=128, storage_config=config)
    started = time.perf_counter()
    for article in given:
        made = peer_signature(article)
        index.query(made)
        index.insert(article.id, made)
    rate = len(given) / (time.perf_counter() - started)
    size = (await store.memory_bytes() - before) / len(given)
    await store.close()
    return rate, size


def main() -> None:
    """Run and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    given = articles(count)
    sketch_ours, sketch_peer = sketching(given)
    with tempfile.TemporaryDirectory() as folder, EmbeddedValkey(Path(folder), fsync="everysec") as store:
        url = store.url or ""
        peer_rate, peer_bytes = asyncio.run(peer_on_store(url, given[: max(200, count // 5)]))
        our_rate, our_bytes = asyncio.run(ours_on_store(url, given))
    table = Table("", "dedup", "datasketch", "ratio")
    table.add_row(
        "sketch, articles/s", f"{sketch_ours:,.0f}", f"{sketch_peer:,.0f}", f"{sketch_ours / sketch_peer:.1f}"
    )
    table.add_row(
        "ingest, articles/s", f"{our_rate:,.0f}", f"{peer_rate:,.0f}", f"{our_rate / peer_rate:.1f}"
    )
    table.add_row(
        "store, bytes/article", f"{our_bytes:,.0f}", f"{peer_bytes:,.0f}", f"{our_bytes / peer_bytes:.2f}"
    )
    Console().print(table)


if __name__ == "__main__":
    main()
