"""Where compiled kernels are kept, so that they are compiled once.

``DEDUP_KERNEL_CACHE_DIR`` where it is set; else beside the code, or in the user's cache directory where the
installation cannot be written to. Where nothing can, they live in a temporary directory as long as the process: a start
then takes the half minute that compiling takes, and one line of the log says so.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile

import numba as nb

VARIABLE = "DEDUP_KERNEL_CACHE_DIR"


def choose() -> None:
    """Tell Numba; called before the first kernel is declared."""
    if chosen := os.environ.get(VARIABLE):
        nb.config.CACHE_DIR = chosen
    try:
        nb.njit(cache=True)(_probe)
    except (RuntimeError, OSError) as error:  # Numba found no place it may write to
        place = tempfile.mkdtemp(prefix="dedup-kernels-")
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        nb.config.CACHE_DIR = place
        logging.getLogger(__name__).warning(
            "compiled kernels are not kept, every start compiles them anew: %s; %s may name a place for them",
            error,
            VARIABLE,
        )


def _probe() -> None:
    """Only declared, to learn whether Numba may keep what it compiles."""
