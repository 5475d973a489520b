"""What is due: texts whose edges rest on something that has changed since they were verified."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    CHECK,
    CHECKING,
    DIRTY,
    DIRTY_COUNT,
    DUE_COUNT,
    DUE_TAIL,
    L_COVERED,
    L_DUE,
    L_TOUCHED,
    OWNER,
    QUEUED,
    WHOLE,
    jit,
    log_swap,
    mix,
)
from dedup.state.kernels.boilerplate import queue_work


@jit
def _due_of(row):
    """Position, breadth and server of what is due, as one number; 0 where nothing is."""
    if row.due == 0:
        return np.uint64(0)
    return mix(row.due << np.uint64(1) | np.uint64(row.flags & WHOLE)) + np.uint64(row.owner)


@jit
def set_due(texts, due, meta, sums, text, position, whole):
    """A text is due at a position, for the partners that arrived before it or, ``whole``, for all."""
    row = texts[text]
    old = _due_of(row)
    if row.due == 0:
        meta[DUE_COUNT] += 1
    if row.flags & QUEUED == 0:  # it may have been handed out for an earlier reason, which is no longer all
        row.flags |= QUEUED
        due[meta[DUE_TAIL]] = text
        meta[DUE_TAIL] += 1
    row.due = max(row.due, np.uint64(position))
    row.owner = meta[OWNER]
    if whole:
        row.flags |= WHOLE
    log_swap(sums, L_DUE, text, old, _due_of(row))


@jit
def discharge(texts, meta, sums, text):
    """A text is no longer due."""
    row = texts[text]
    if row.due != 0:
        log_swap(sums, L_DUE, text, _due_of(row), np.uint64(0))
        row.due = np.uint64(0)
        row.flags &= ~np.uint16(WHOLE)
        meta[DUE_COUNT] -= 1


@jit
def cover(texts, sums, text, position):
    """A text was verified with all partners as of a look-up."""
    row = texts[text]
    if position > row.covered:
        log_swap(sums, L_COVERED, text, row.covered, position)
        row.covered = position


@jit
def make_dirty(texts, dirty, meta, text):
    """The component of a text gets its events anew."""
    row = texts[text]
    if row.flags & DIRTY == 0:
        row.flags |= DIRTY
        dirty[meta[DIRTY_COUNT]] = text
        meta[DIRTY_COUNT] += 1


@jit
def touch(texts, dirty, meta, sums, text, position):
    """An edge or a carrier of a text changed; its component gets its events anew."""
    row = texts[text]
    log_swap(sums, L_TOUCHED, text, row.touched, np.uint64(position))
    row.touched = position
    make_dirty(texts, dirty, meta, text)


@jit
def queue_check(texts, work, meta, sums, text, position):
    """The edges of a text may no longer be eligible."""
    row = texts[text]
    if row.degree != 0 and row.flags & CHECKING == 0:
        row.flags |= CHECKING
        queue_work(work, meta, sums, CHECK, text, np.uint64(0), position)
