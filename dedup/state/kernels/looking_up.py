"""Whom a text may be compared with: now, or as it was when it came."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels import table
from dedup.state.kernels.base import HAS_MEMBERS, LANDMARKS, TEXTS, WINDOW_DAYS, jit, making, mix
from dedup.state.kernels.boilerplate import is_boilerplate, text_of
from dedup.state.kernels.edges import within_window
from dedup.state.kernels.lists import is_before, opening, place_in_group

#: Names in lists from which on candidates are counted by text, instead of sorted.
_MANY = 4096


@jit
def _named(s, text):
    """How many texts the lists of a text could name as candidates."""
    t = s.texts[text]
    landmarks = s.meta[LANDMARKS]
    total = np.int64(0)
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        row = s.lists[np.int64(s.text_lists[i])]
        if row.alive <= landmarks:
            total += np.int64(row.group)
        else:
            opens = min(opening(np.int64(row.alive), landmarks), np.int64(row.group))
            inside = place_in_group(s.groups, np.int64(row.group_at), opens, text) >= 0
            total += np.int64(row.count if inside else opens)
    return total


@making
def look_up(s, text, below, met):
    """The texts that a living text may be compared with now, ascending; how many, or -1 where ``met`` is too small.

    With ``below`` only those with smaller numbers. Eligible: in a list that is not hot, or in two hot ones.
    """
    t = s.texts[text]
    landmarks = s.meta[LANDMARKS]
    named = _named(s, text)
    if named > _MANY:
        return _look_up_many(s, text, below, met)
    pairs = np.empty(named, np.int64)  # twice the text, one more where the list is not hot
    n = 0
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        number = np.int64(s.text_lists[i])
        row = s.lists[number]
        judged = row.outlets != 0 or row.flags & 2 != 0
        if judged and is_boilerplate(s.lists, s.flagged, s.texts, s.outlets, number, text):
            continue
        cold = row.alive <= landmarks
        at, size = np.int64(row.group_at), np.int64(row.group)
        whole = cold
        if not cold:
            size = min(opening(np.int64(row.alive), landmarks), size)
            whole = place_in_group(s.groups, at, size, text) >= 0
        if whole and not cold:
            size = np.int64(row.count)
            at = np.int64(row.members_at)
        for j in range(at, at + size):
            other = np.int64(s.members[j]) if whole and not cold else text_of(s.groups[j])
            if other == text or (below and other > text) or s.dead[other] != 0:
                continue
            if judged and is_boilerplate(s.lists, s.flagged, s.texts, s.outlets, number, other):
                continue
            pairs[n] = other << 1 | np.int64(cold)
            n += 1
    found = pairs[:n]
    found.sort()
    return eligible(s, text, found, met)


@jit
def eligible(s, text, found, met):
    """Of sorted names the texts that stand in a list that is not hot, or in two, and within the window."""
    days = s.meta[WINDOW_DAYS]
    count, i = 0, 0
    while i < found.size:
        j = i
        other = found[i] >> 1
        cold = False
        while j < found.size and found[j] >> 1 == other:
            cold |= found[j] & 1 == 1
            j += 1
        if (cold or j - i >= 2) and within_window(s.texts, text, other, days):
            if count == met.size:
                return -1
            met[count] = other
            count += 1
        i = j
    return count


@making
def _look_up_many(s, text, below, met):
    """The same for a text that opens long lists."""
    t = s.texts[text]
    landmarks, days = s.meta[LANDMARKS], s.meta[WINDOW_DAYS]
    seen = np.zeros(s.meta[TEXTS] + 1, np.uint8)
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        number = np.int64(s.text_lists[i])
        row = s.lists[number]
        judged = row.outlets != 0 or row.flags & 2 != 0
        if judged and is_boilerplate(s.lists, s.flagged, s.texts, s.outlets, number, text):
            continue
        cold = row.alive <= landmarks
        at, size = np.int64(row.group_at), np.int64(row.group)
        whole = cold
        if not cold:
            size = min(opening(np.int64(row.alive), landmarks), size)
            whole = place_in_group(s.groups, at, size, text) >= 0
        if whole and not cold:
            size = np.int64(row.count)
            at = np.int64(row.members_at)
        for j in range(at, at + size):
            other = np.int64(s.members[j]) if whole and not cold else text_of(s.groups[j])
            if seen[other] >= 2 or other == text or (below and other > text) or s.dead[other] != 0:
                continue
            if judged and is_boilerplate(s.lists, s.flagged, s.texts, s.outlets, number, other):
                continue
            seen[other] += 2 if cold else 1
    count = 0
    for other in range(1, seen.size):
        if seen[other] >= 2 and within_window(s.texts, text, other, days):
            if count == met.size:
                return -1
            met[count] = other
            count += 1
    return count


@making
def look_up_each(s, wanted, first, below, met, met_at):
    """Look texts up, one after another; the one to go on with where ``met`` is too small.

    Those that text ``wanted[i]`` meets stand before ``met_at[i + 1]``.
    """
    i = first
    while i < wanted.size:
        text = np.int64(wanted[i])
        count = 0 if s.dead[text] != 0 else look_up(s, text, bool(below[i]), met[met_at[i] :])
        if count < 0:
            return i
        met_at[i + 1] = met_at[i] + count
        i += 1
    return i


@jit
def _prefix(s, number, text, row_of_text, landmarks, best, names):
    """The members of a list when a text came, itself included, and the landmarks they had: (members, landmarks)."""
    row = s.lists[number]
    count, size = 0, 0
    members = row.flags & HAS_MEMBERS != 0
    at = np.int64(row.members_at) if members else np.int64(row.group_at)
    for j in range(np.int64(row.count)):
        other = np.int64(s.members[at + j]) if members else text_of(s.groups[at + j])
        if other > text or (s.dead[other] != 0 and np.int64(s.texts[other].story) < row_of_text):
            continue
        names[count] = other
        count += 1
        if size == landmarks and not is_before(s.texts, other, best[size - 1]):
            continue
        place = size if size < landmarks else size - 1
        while place > 0 and is_before(s.texts, other, best[place - 1]):
            if place < landmarks:
                best[place] = best[place - 1]
            place -= 1
        best[place] = other
        size = min(landmarks, size + 1)
    return count, size


@making
def look_up_late(s, text, came, met):
    """The texts that a text met when row ``came`` brought it, whoever came or was removed since.

    Returns how many, or -1 where ``met`` is too small. What is boilerplate counts as it is now: a decision that is
    made late knows no less.
    """
    t = s.texts[text]
    landmarks, days = s.meta[LANDMARKS], s.meta[WINDOW_DAYS]
    best = np.empty(landmarks, np.int64)
    seen = np.zeros(text + 1, np.uint8)
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        number = np.int64(s.text_lists[i])
        if is_boilerplate(s.lists, s.flagged, s.texts, s.outlets, number, text):
            continue
        names = np.empty(np.int64(s.lists[number].count), np.int64)
        count, _ = _prefix(s, number, text, came, landmarks, best, names)
        cold = count <= landmarks
        whole = cold
        if not cold:
            opens = opening(count, landmarks)
            for k in range(opens):
                whole |= best[k] == text
        for j in range(count if whole else opens):
            other = names[j] if whole else best[j]
            if other == text or seen[other] >= 2:
                continue
            if not is_boilerplate(s.lists, s.flagged, s.texts, s.outlets, number, other):
                seen[other] += 2 if cold else 1
    found = 0
    for other in range(1, text):
        if seen[other] >= 2 and within_window(s.texts, text, other, days):
            if found == met.size:
                return -1
            met[found] = other
            found += 1
    return found


@jit
def mask_of(s, text, postings):
    """How many postings of a text are boilerplate; they are written to ``postings``, which may be empty, unsorted."""
    t = s.texts[text]
    count = 0
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        number = np.int64(s.text_lists[i])
        row = s.lists[number]
        if (row.outlets != 0 or row.flags & 2 != 0) and is_boilerplate(
            s.lists, s.flagged, s.texts, s.outlets, number, text
        ):
            if count < postings.size:
                postings[count] = row.posting
            count += 1
    return count


@jit
def masks_of(s, wanted, counts, sums):
    """Of each text how many postings are boilerplate, and a number that changes with which; no number for none."""
    for i in range(wanted.size):
        text = np.int64(wanted[i])
        t = s.texts[text]
        counts[i], sums[i] = 0, 0
        for j in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
            number = np.int64(s.text_lists[j])
            row = s.lists[number]
            if (row.outlets != 0 or row.flags & 2 != 0) and is_boilerplate(
                s.lists, s.flagged, s.texts, s.outlets, number, text
            ):
                counts[i] += 1
                sums[i] += np.int64(mix(row.posting) >> np.uint64(1))


@jit
def list_of(s, key):
    """What stands under a posting (scattered): a text, minus a list, or 0."""
    value = table.find(s.slots, s.slots_before, s.slots_meta, np.uint64(key))
    return -(value >> 1) if value & 1 else value >> 1
