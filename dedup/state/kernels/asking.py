"""Whom a text that is not stored would be compared with if it came now, and what would be boilerplate in it.

The text is given a row after the last one for as long as a kernel looks, so that the rules see it as any other. Of each
of its lists the group, and what the list is boilerplate of, are found as they would be with the text in it: as
:func:`dedup.state.kernels.lists.join` makes them.
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    EVERYWHERE,
    HAS_MEMBERS,
    LANDMARKS,
    SALT,
    TEXTS,
    inline,
    jit,
    making,
    scatter,
)
from dedup.state.kernels.boilerplate import entry_of, everybodys, outlet_of, repeats, text_of
from dedup.state.kernels.carriers import day_of
from dedup.state.kernels.lists import CROWD, is_before, opening
from dedup.state.kernels.looking_up import eligible, list_of

#: Room for outlets that a list is boilerplate of, at first.
_FEW = 16


@jit
def _group_with(s, there, asked, group):
    """The group of what stands under a posting, with a text more.

    Returns its size, the place of the text (-1: none), how many texts stand in the list with it, and whether a landmark
    goes for it. ``there`` is a text, minus a list, or 0; ``group`` gets the entries, a hot list's in order of digests.
    """
    landmarks = s.meta[LANDMARKS]
    size, alive = np.int64(0), np.int64(0)
    if there > 0 and s.dead[there] == 0:
        group[0] = entry_of(s.texts, there)
        size, alive = np.int64(1), np.int64(1)
    elif there < 0:
        row = s.lists[-there]
        size, alive = np.int64(row.group), np.int64(row.alive)
        for i in range(size):
            group[i] = s.groups[np.int64(row.group_at) + i]
    place = size
    if alive >= landmarks:
        if alive == landmarks:
            for i in range(1, size):  # a list that becomes hot with this text is not ordered yet
                entry = group[i]
                j = i
                while j > 0 and is_before(s.texts, text_of(entry), text_of(group[j - 1])):
                    group[j] = group[j - 1]
                    j -= 1
                group[j] = entry
        while place > 0 and is_before(s.texts, asked, text_of(group[place - 1])):
            place -= 1
        if place == size:  # a place that waits to be mended stays so
            return size, np.int64(-1), alive + 1, False
    lost = size == landmarks
    last = size - 1 if lost else size
    for i in range(last, place, -1):
        group[i] = group[i - 1]
    group[place] = entry_of(s.texts, asked)
    return last + 1, place, alive + 1, lost


@jit
def _outlets_with(s, there, group, size, place, lost, source, outlets):
    """The outlets of which a list would be boilerplate; how many, or -1 where ``outlets`` is too small.

    The text's own stands first, if it is one.
    """
    count = 0
    own = place >= 0 and repeats(s.texts, s.outlets, group, 0, size, source)
    if place < 0 and there < 0:
        at = np.int64(s.lists[-there].outlets)
        while at != 0:
            own |= s.flagged[at].source == source
            at = np.int64(s.flagged[at].next)
    if own:
        outlets[0] = source
        count = 1
    at = np.int64(s.lists[-there].outlets) if there < 0 else np.int64(0)
    while at != 0:
        other = s.flagged[at].source
        at = np.int64(s.flagged[at].next)
        if other == source or (lost and not repeats(s.texts, s.outlets, group, 0, size, other)):
            continue
        if count == outlets.size:
            return -1
        outlets[count] = other
        count += 1
    return count


@jit
def _is_everybodys(s, there, group, size, place, alive):
    """Whether a list would be boilerplate of all."""
    if alive >= CROWD and (place >= 0 or alive == CROWD):
        return alive > size and everybodys(s.texts, group, 0, size, alive)
    return there < 0 and s.lists[-there].flags & EVERYWHERE != 0


@jit
def _is_masked(s, text, outlets, count):
    """Whether a text has one of some outlets."""
    found = False
    for k in range(count):
        found |= outlet_of(s.texts, s.outlets, text, outlets[k]) >= 0
    return found


@inline
def _named(s, there, group, j, whole):
    """The j-th text that a list would name."""
    if not whole:
        return text_of(group[j])
    if there > 0:
        return there
    row = s.lists[-there]
    if row.flags & HAS_MEMBERS:
        return np.int64(s.members[np.int64(row.members_at) + j])
    return text_of(s.groups[np.int64(row.group_at) + j])


@making
def _more(array):
    out = np.empty(2 * array.size, array.dtype)
    out[: array.size] = array
    return out


@making
def look_up_unstored(s, high, low, source, published, postings, met, masked):
    """The texts that a text would be compared with, ascending in ``met``: how many; ``masked`` bool (postings,).

    ``met`` has room for all texts. The row after the last text must exist.
    """
    asked = s.meta[TEXTS] + 1
    t = s.texts[asked]
    t.high, t.low, t.source, t.first, t.last = high, low, source, published, published
    t.low_day = t.mid_day = t.high_day = day_of(published)
    landmarks = s.meta[LANDMARKS]
    group = np.empty(landmarks + 1, np.uint64)
    outlets = np.empty(_FEW, np.uint64)
    names = np.empty(1024, np.int64)  # twice the text, one more where the list is not hot
    n = 0
    for k in range(postings.size):
        there = list_of(s, scatter(postings[k], s.meta[SALT]))
        if there == 0 or (there > 0 and s.dead[there] != 0):
            continue
        size, place, alive, lost = _group_with(s, there, asked, group)
        count = _outlets_with(s, there, group, size, place, lost, source, outlets)
        while count < 0:
            outlets = _more(outlets)
            count = _outlets_with(s, there, group, size, place, lost, source, outlets)
        if (count > 0 and outlets[0] == source) or _is_everybodys(s, there, group, size, place, alive):
            masked[k] = True
            continue
        cold = alive <= landmarks
        shown = size if cold else min(opening(alive, landmarks), size)
        whole = not cold and 0 <= place < shown
        if whole:
            shown = np.int64(s.lists[-there].count) if there < 0 else np.int64(1)
        for j in range(shown):
            other = _named(s, there, group, j, whole)
            if other == asked or s.dead[other] != 0 or _is_masked(s, other, outlets, count):
                continue
            if n == names.size:
                names = _more(names)
            names[n] = other << 1 | np.int64(cold)
            n += 1
    found = names[:n]
    found.sort()
    count = eligible(s, asked, found, met)
    t.high, t.low, t.source, t.first, t.last = 0, 0, 0, 0.0, 0.0
    t.low_day = t.mid_day = t.high_day = 0
    return count
