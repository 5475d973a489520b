"""Compiled kernels are kept in the directory asked for, or, where nothing can be written, nowhere, with one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

USE = "import numpy as np; from dedup import kernels; print(kernels.window_minima(np.arange(9, dtype=np.uint64), 3))"
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
        cwd=Path(__file__).resolve().parent.parent,
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
