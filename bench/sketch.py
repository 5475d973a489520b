"""Text to signature on one core: ours beside datasketch, rensa, FastSketchLSH and gaoya.

Ours is what the service does with a text, and the signature that it leaves out where bands would add nothing: tokens
with offsets and quotation marks, a signature equal to datasketch's, window minima and postings. Peers get what they
need for a signature alone: 5-word shingles of the lower-cased body, made in Python as their users make them (gaoya
makes its own).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import datasketch
import numpy as np
import xxhash

from bench import brute, corpus, peers
from bench.options import Options
from bench.report import Grid, Part, Plot, median
from dedup.core.shingle import shingle_strings
from dedup.core.sketch import Sketch, SketchParameters, sketch
from dedup.core.text import tokenize
from dedup.model import Article

OURS = "dedup"
_PARAMETERS = SketchParameters()


def ours(article: Article) -> Sketch:
    """Everything the index knows of one text."""
    return sketch(tokenize(article.headline, article.body), _PARAMETERS, signed=True)


def check_equal(articles: Sequence[Article]) -> int:
    """Compare our signatures with datasketch's over the same shingles; how many. Raises where one differs."""
    for article in articles:
        tokens = tokenize(article.headline, article.body)
        peer = datasketch.MinHash(
            num_perm=_PARAMETERS.permutations, seed=_PARAMETERS.seed, hashfunc=xxhash.xxh32_intdigest
        )
        peer.update_batch(shingle_strings(tokens, _PARAMETERS.shingle_size))
        if not np.array_equal(ours(article).signature, peer.hashvalues):
            raise RuntimeError(f"the signature of {article.id} is not datasketch's")
    return len(articles)


@contextmanager
def one_core() -> Iterator[None]:
    """Bind this process to one processor for the block."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _rate(make: Callable[[Article], object], articles: Sequence[Article]) -> float:
    started = time.perf_counter()
    for article in articles:
        make(article)
    return len(articles) / (time.perf_counter() - started)


def run(options: Options) -> Part:
    """All sketchers in interleaved rounds on one core."""
    count = options.count(quick=300, full=2000)
    rounds = options.rounds + 2
    articles = corpus.articles(count)
    checked = check_equal(articles[:200])
    path = options.data / "telegram_2019.jsonl.gz"
    notes = list(peers.missing())
    if path.exists():
        checked += check_equal([a for a in brute.real(path, 300) if len(a.body.split()) > 12])
    notes.append(f"{checked} signatures of ours compared with datasketch's on the same shingles: all equal")
    notes.append(
        "ours also makes offsets, quotation marks, window minima and postings; peers a signature alone"
    )
    notes.append("gaoya makes signatures only inside its index: an empty index is asked, with 125 hashes")
    sketchers: dict[str, Callable[[Article], object]] = {OURS: ours, **peers.sketchers()}
    rates: dict[str, list[float]] = {
        name: [] for name in (*sketchers, "5-word shingles in Python, no signature")
    }
    with one_core():
        for make in sketchers.values():
            make(articles[0])
        for number in range(rounds):
            options.say(f"sketch: round {number + 1}")
            for name, make in (*sketchers.items(), (list(rates)[-1], peers.word_shingles)):
                rates[name].append(_rate(make, articles))
    medians = {name: median(found) for name, found in rates.items()}
    rows = tuple((name, rate, medians[OURS] / rate) for name, rate in medians.items())
    return Part(
        "sketch",
        {"articles": count, "rounds": rounds, "cores": 1, "permutations": peers.PERMUTATIONS},
        (Grid("Text to signature on one core, medians", ("", "articles/s", "dedup / this"), rows),),
        {"rates": rates},
        (
            Plot(
                "sketch",
                "Text to signature, one core",
                "articles/s",
                tuple(medians),
                {"": tuple(medians.values())},
            ),
        ),
        tuple(notes),
    )
