"""Kinds of code points, and the state of quotation marks; the rules stand in :mod:`dedup.core.text`."""

from __future__ import annotations

import numba as nb
import numpy as np

# Kinds of code points.
K_OTHER, K_WORD, K_CHARACTER, K_MARK, K_IGNORED, K_NEWLINE, K_SPACE, K_OPENING = range(8)

# Quotation marks. Those from Q_APOSTROPHE on are tracked apart: single quotations inside double ones.
(
    Q_NONE,
    Q_STRAIGHT,
    Q_LEFT,
    Q_RIGHT,
    Q_LOW,
    Q_GUILLEMET_LEFT,
    Q_GUILLEMET_RIGHT,
    Q_CORNER_LEFT,
    Q_CORNER_RIGHT,
    Q_WHITE_CORNER_LEFT,
    Q_WHITE_CORNER_RIGHT,
    Q_PRIME_LEFT,
    Q_PRIME_RIGHT,
    Q_APOSTROPHE,
    Q_SINGLE_LEFT,
    Q_SINGLE_RIGHT,
    Q_SINGLE_LOW,
    Q_ANGLE_LEFT,
    Q_ANGLE_RIGHT,
) = range(19)

_QUOTED = np.uint8(2)


@nb.njit(cache=True, nogil=True, inline="always")
def is_word(kind):
    """Whether a code point is part of a token."""
    return kind == K_WORD or kind == K_CHARACTER or kind == K_MARK


@nb.njit(cache=True, nogil=True)
def next_kind(points, i, kinds):
    """Kind of the next visible code point after i; the end counts as a newline."""
    j = i + 1
    while j < points.size:
        k = kinds[points[j]]
        if k != K_IGNORED:
            return k
        j += 1
    return K_NEWLINE


@nb.njit(cache=True, nogil=True)
def _closes(opened, mark):
    if opened == Q_STRAIGHT:
        return mark == Q_STRAIGHT or mark == Q_RIGHT
    if opened == Q_LEFT:
        return mark == Q_RIGHT or mark == Q_STRAIGHT
    if opened == Q_LOW:
        return mark == Q_LEFT or mark == Q_RIGHT or mark == Q_STRAIGHT
    if opened == Q_RIGHT:
        return mark == Q_RIGHT
    if opened == Q_GUILLEMET_LEFT:
        return mark == Q_GUILLEMET_RIGHT
    if opened == Q_GUILLEMET_RIGHT:
        return mark == Q_GUILLEMET_LEFT or mark == Q_GUILLEMET_RIGHT
    if opened == Q_CORNER_LEFT:
        return mark == Q_CORNER_RIGHT
    if opened == Q_WHITE_CORNER_LEFT:
        return mark == Q_WHITE_CORNER_RIGHT
    if opened == Q_PRIME_LEFT:
        return mark == Q_PRIME_RIGHT
    return False


@nb.njit(cache=True, nogil=True)
def _opens(mark, opening, closing):
    if mark == Q_STRAIGHT or mark == Q_LEFT or mark == Q_GUILLEMET_LEFT:
        return not closing
    if mark == Q_RIGHT or mark == Q_GUILLEMET_RIGHT:
        return opening
    return mark == Q_LOW or mark == Q_CORNER_LEFT or mark == Q_WHITE_CORNER_LEFT or mark == Q_PRIME_LEFT


@nb.njit(cache=True, nogil=True)
def _single_closes(opened, mark):
    if opened == Q_APOSTROPHE:
        return mark == Q_APOSTROPHE or mark == Q_SINGLE_RIGHT
    if opened == Q_ANGLE_LEFT:
        return mark == Q_ANGLE_RIGHT
    return (
        mark == Q_SINGLE_RIGHT or mark == Q_APOSTROPHE or (opened == Q_SINGLE_LOW and mark == Q_SINGLE_LEFT)
    )


@nb.njit(cache=True, nogil=True)
def quote(flags, first, last):
    """Mark tokens first to last (left out) as quoted."""
    for t in range(first, last):
        flags[t] |= _QUOTED


@nb.njit(cache=True, nogil=True)
def double_mark(mark, opening, closing, state, tokens, flags):
    """Advance ``state`` = (open mark, token where it opened) of double quotations by one mark."""
    opened = state[0]
    if opened == Q_NONE:
        if _opens(mark, opening, closing):
            state[0], state[1] = mark, tokens
    elif mark == Q_STRAIGHT and opened == Q_STRAIGHT and opening and not closing:
        state[1] = tokens  # the mark before it was never closed
    elif _closes(opened, mark) or (opened == Q_LEFT and mark == Q_LEFT and closing):
        quote(flags, state[1], tokens)
        state[0] = Q_NONE


@nb.njit(cache=True, nogil=True)
def single_mark(mark, before, after, state, tokens, flags):
    """The same for single quotations, which share their marks with the apostrophe."""
    if mark <= Q_SINGLE_RIGHT and is_word(before) and is_word(after):
        return
    opened = state[0]
    if opened != Q_NONE and _single_closes(opened, mark) and before != K_SPACE and before != K_NEWLINE:
        quote(flags, state[1], tokens)
        state[0] = Q_NONE
    elif mark == Q_SINGLE_LEFT or mark == Q_SINGLE_LOW or mark == Q_ANGLE_LEFT:
        state[0], state[1] = mark, tokens
    elif mark == Q_APOSTROPHE and not is_word(before) and is_word(after):
        state[0], state[1] = mark, tokens
