"""Compiled kernels are kept in the directory asked for, or, where nothing can be written, nowhere, with one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USE = (
    "import numpy as np; from dedup.core import kernels; "
    "print(kernels.window_minima(np.arange(9, dtype=np.uint64), 3))"
)
NOWHERE = (
    f"import numba.core.caching as c; c.CacheImpl._locator_classes = c.CacheImpl._locator_classes[:1]; {USE}"
)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )


def test_kernels_are_kept_where_asked(tmp_path: Path) -> None:
    """The directory of DEDUP_KERNEL_CACHE_DIR holds them; nothing is said."""
    done = run(USE, DEDUP_KERNEL_CACHE_DIR=str(tmp_path))
    assert done.stderr == ""
    assert any("window_minima" in path.name for path in tmp_path.rglob("*.nbi"))


def test_an_installation_that_cannot_be_written_to_works(tmp_path: Path) -> None:
    """Numba's places beside the code and in the user's cache are taken away: one line says it, results are the same."""
    done = run(NOWHERE, TMPDIR=str(tmp_path), DEDUP_KERNEL_CACHE_DIR="")
    assert done.stderr.count("\n") == 1
    assert "DEDUP_KERNEL_CACHE_DIR" in done.stderr
    assert done.stdout == run(USE).stdout
    assert list(tmp_path.iterdir()) == []


SIGNATURES = """
    import asyncio, sys
    from dataclasses import replace
    from dedup.core import kernels
    from dedup.model import CollectionParameters
    from tests import data, flow

    def compiled():
        return {name: k.signatures for name, k in vars(kernels).items() if hasattr(k, "signatures")}

    async def use(pipeline, name, parameters, articles):
        await pipeline.create_collection(name, parameters)
        await flow.ingest(pipeline, name, articles, 20)
        await pipeline.find(name, replace(articles[3], id="asked"), same_story=parameters.same_story)
        await pipeline.compare(name, articles[0].id, articles[1].id)
        for article in articles[:20]:
            await pipeline.delete_article(name, article.id)
        await flow.state(pipeline, name)

    async def main():
        pipeline = await flow.open_pipeline(sys.argv[1])
        warm = {name: list(found) for name, found in compiled().items()}
        articles = data.corpus(160)
        for number, parameters in enumerate((
            CollectionParameters(same_story=True),
            CollectionParameters(window=16, keep_text=False, landmarks=3),
            CollectionParameters(profile="copies"),
        )):
            await use(pipeline, f"warm-{sys.argv[2]}-{number}", parameters, articles)
        await pipeline.close()
        for name, found in compiled().items():
            if found != warm[name]:
                print(name, "was compiled for", [s for s in found if s not in warm[name]])
        print(sum(map(bool, warm.values())), "were warm")

    asyncio.run(main())
"""


def test_no_request_waits_for_a_compiler(store_url: str) -> None:
    """What the service uses once it is ready was compiled, for just these types, when it was warmed up."""
    code = textwrap.dedent(SIGNATURES)
    done = subprocess.run(
        [sys.executable, "-c", code, store_url, uuid.uuid4().hex[:8]],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    said = [line for line in done.stdout.splitlines() if "collection_opened" not in line]
    assert len(said) == 1, said
    assert re.fullmatch(r"\d\d were warm", said[0])
