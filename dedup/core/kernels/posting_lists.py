"""Reading posting lists, see :mod:`dedup.core.candidates`."""

from __future__ import annotations

import numba as nb
import numpy as np

#: Texts from which on a list can be boilerplate of all outlets.
EVERYWHERE = 100
#: Texts from which on only half of a list's landmarks open it; the same number in ``common.lua``.
CROWD = 100


@nb.njit(cache=True, nogil=True)
def _repeats(sources, days, count, source):
    """Whether ``source`` stands at least three times, on three days, more than five days apart."""
    total, distinct, low, high = 0, 0, 0, 0
    for i in range(count):
        if sources[i] != source:
            continue
        new = True
        for j in range(i):
            if sources[j] == source and days[j] == days[i]:
                new = False
        distinct += 1 if new else 0
        low = days[i] if total == 0 else min(low, days[i])
        high = days[i] if total == 0 else max(high, days[i])
        total += 1
    return total >= 3 and distinct >= 3 and high - low > 5


@nb.njit(cache=True, nogil=True)
def _everywhere(days, count, texts):
    """Whether a hot list of so many texts, with landmarks of these days, is boilerplate, whoever writes it."""
    if texts < EVERYWHERE or count < 4:
        return False
    ordered = np.sort(days[:count])
    quarter = count // 4
    return ordered[count - 1 - quarter] - ordered[quarter] > 5


@nb.njit(cache=True, nogil=True)
def _opening(texts, landmarks):
    """How many landmarks, the smallest first, may be compared with all others of a hot list of so many texts."""
    return landmarks if texts < CROWD else (landmarks + 1) // 2


@nb.njit(cache=True, nogil=True)
def scan_postings(lists, texts, sources, days, own, own_source, own_day, size, leaving):
    """Read posting lists: which are boilerplate, who may be compared, whose boilerplate changed.

    ``lists`` uint32 is a sequence of entries (index, e, m, moved, texts of a hot list, e other texts, m landmarks, of
    which the first open the list: may be compared with all; without others the own text is no landmark);
    ``texts``, ascending, with their sources and days are all texts in them that are alive; ``own`` is that of the query
    text, which stands among no others. With ``leaving`` False the own text came in and ``moved`` is the landmark it
    pushed out; with True it went out and ``moved`` is the one that took its place.
    Returns boilerplate bool (size,), eligible bool (texts,), changes as rows (index, source; 0: of every source).
    """
    boilerplate = np.zeros(size, np.bool_)
    eligible = np.zeros(texts.size, np.bool_)
    in_hot = np.zeros(texts.size, np.bool_)  # met in one hot list
    change_index = np.empty(2 * size, np.int32)
    change_source = np.empty(2 * size, np.uint64)
    changes = 0
    group = np.empty(64, np.int64)
    group_source = np.empty(64, np.uint64)
    group_day = np.empty(64, np.int32)
    was_source = np.empty(64, np.uint64)
    was_day = np.empty(64, np.int32)
    p = 0
    while p < lists.size:
        index, e, m, moved, now = lists[p], lists[p + 1], lists[p + 2], lists[p + 3], np.int64(lists[p + 4])
        p += 5
        first = p if m == 0 else p + e
        length = e if m == 0 else m
        if length + 2 > group.size:
            group = np.empty(2 * length + 2, np.int64)
            group_source = np.empty(2 * length + 2, np.uint64)
            group_day = np.empty(2 * length + 2, np.int32)
            was_source = np.empty(2 * length + 2, np.uint64)
            was_day = np.empty(2 * length + 2, np.int32)
        count, own_inside = 0, m == 0
        opens = m == 0  # whether the own text may be compared with all others
        for q in range(first, first + length):
            if lists[q] == own:
                own_inside = True
                opens |= q - first < _opening(now, m)
                continue
            at = np.searchsorted(texts, lists[q])
            if at < texts.size and texts[at] == lists[q]:
                group[count], group_source[count], group_day[count] = lists[q], sources[at], days[at]
                count += 1
        moved_at = np.searchsorted(texts, moved) if moved != 0 else texts.size
        if moved_at < texts.size and texts[moved_at] != moved:
            moved_at = texts.size
        others = count  # without the own text
        if own_inside and own != 0 and not leaving:
            group[count], group_source[count], group_day[count] = own, own_source, own_day
            count += 1
        everyones = m > 0 and now > m and _everywhere(group_day, count, now)
        mine = everyones or _repeats(group_source, group_day, count, own_source)
        boilerplate[index] = mine
        was_inside = m == 0 or moved != 0 if leaving else own_inside
        if own != 0 and (was_inside or m > 0):
            # the list as it was before: without who came, with who went
            held = 0
            for g in range(others):
                if not (leaving and group[g] == moved):
                    was_source[held], was_day[held] = group_source[g], group_day[g]
                    held += 1
            if leaving and was_inside:
                was_source[held], was_day[held] = own_source, own_day
                held += 1
            elif not leaving and moved_at < texts.size:
                was_source[held], was_day[held] = sources[moved_at], days[moved_at]
                held += 1
            before_now = now + 1 if leaving else now - 1
            if everyones != (m > 0 and before_now > m and _everywhere(was_day, held, before_now)):
                change_index[changes], change_source[changes] = index, 0
                changes += 1
            elif not everyones and _repeats(was_source, was_day, held, own_source) != mine:
                change_index[changes], change_source[changes] = index, own_source
                changes += 1
            if not everyones and moved_at < texts.size and sources[moved_at] != own_source:
                before = _repeats(was_source, was_day, held, sources[moved_at])
                if before != _repeats(group_source, group_day, count, sources[moved_at]):
                    change_index[changes], change_source[changes] = index, sources[moved_at]
                    changes += 1
        first, length = (p, e) if opens else (p + e, _opening(now, m))
        for q in range(first, first + length):
            at = np.searchsorted(texts, lists[q])
            if at < texts.size and texts[at] == lists[q] and not eligible[at] and not mine:
                if count < 3 or not _repeats(group_source, group_day, count, sources[at]):
                    eligible[at] = m == 0 or in_hot[at]
                    in_hot[at] = True
        p += e + m
    return boilerplate, eligible, change_index[:changes].copy(), change_source[:changes].copy()


@nb.njit(cache=True, nogil=True)
def usable(postings, minima, positions, boilerplate, tokens, k):
    """Which of so many tokens are no boilerplate, bool (tokens,).

    ``boilerplate`` bool (postings,) says which postings are. ``minima``, each of which is a posting, stand at
    ``positions``; one covers its k tokens, two neighbors all between them.
    """
    out = np.ones(tokens, np.bool_)
    stop = 0  # of the boilerplate so far, where the minimum before was some
    for i in range(positions.size):
        if not boilerplate[np.searchsorted(postings, minima[i])]:
            stop = 0
            continue
        start = positions[i]
        for t in range(stop if stop > 0 else start, min(start + k, tokens)):
            out[t] = False
        stop = start + k
    return out


@nb.njit(cache=True, nogil=True)
def unmasked(minima, positions, mask, tokens, k):
    """The same, where ``mask``, ascending, has the postings that are boilerplate."""
    out = np.ones(tokens, np.bool_)
    stop = 0
    for i in range(positions.size):
        at = np.searchsorted(mask, minima[i])
        if at == mask.size or mask[at] != minima[i]:
            stop = 0
            continue
        start = positions[i]
        for t in range(stop if stop > 0 else start, min(start + k, tokens)):
            out[t] = False
        stop = start + k
    return out


@nb.njit(cache=True, nogil=True)
def members(lists, placed_only):
    """All texts named in posting lists, in order, with repetition; or only those that decide about boilerplate.

    These are the landmarks of a list that has some, and all members of another.
    """
    out = np.empty(lists.size, np.uint32)
    n, p = 0, 0
    while p < lists.size:
        e, m, moved = lists[p + 1], lists[p + 2], lists[p + 3]
        p += 5
        if moved != 0:
            out[n] = moved
            n += 1
        first = p + e if placed_only and m > 0 else p
        for q in range(first, p + e + m):
            out[n] = lists[q]
            n += 1
        p += e + m
    return out[:n].copy()
