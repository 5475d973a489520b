"""What is boilerplate: of one outlet, or of all. The rules stand in :mod:`dedup.core.candidates`.

A list's *group* decides: its landmarks if it is hot, else all its texts. An entry of a group is a text and, above it,
16 bits of its only outlet (0 where it has several), so that most lists are judged without a look at their texts. An
outlet's days are those of all carriers; in the rule for all outlets a text counts with its earliest day.
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    DAY,
    E_BOILERPLATE,
    EVERYWHERE,
    FLAGS,
    FREE_FLAG,
    L_WORK,
    SPREAD,
    WORK_BASE,
    WORK_TAIL,
    content_add,
    inline,
    jit,
    log_add,
    mix,
)

#: Texts and days that make an outlet's boilerplate; days between the first and the last are more than SPAN.
TEXTS_OF_ONE, DAYS_OF_ONE, SPAN = 3, 3, 5
#: Texts from which on a list can be boilerplate of all outlets, and texts of its group.
EVERYBODYS, GROUP_OF_ALL = 100, 4
_S32 = np.uint64(32)
_TEXT = np.uint64(0xFFFFFFFF)


@inline
def entry_of(texts, text):
    """A text as it stands in groups."""
    if texts[text].outlets != 0:
        return np.uint64(text)
    tag = mix(texts[text].source) & np.uint64(0xFFFF)
    return np.uint64(text) | (tag if tag != 0 else np.uint64(1)) << _S32


@inline
def text_of(entry):
    """The text of an entry of a group."""
    return np.int64(entry & _TEXT)


@jit
def outlet_of(texts, outlets, text, source):
    """Where a text's days for an outlet stand: 0 in the text, else the number of a row; -1 where it is not its."""
    if texts[text].source == source:
        return np.int64(0)
    at = np.int64(texts[text].outlets)
    while at != 0:
        if outlets[at].source == source:
            return at
        at = np.int64(outlets[at].next)
    return np.int64(-1)


@jit
def repeats(texts, outlets, groups, at, size, source):
    """Whether an outlet has at least three texts of a group, on at least three days, more than five days apart."""
    tag = mix(source) & np.uint64(0xFFFF)
    if tag == 0:
        tag = np.uint64(1)
    maybe = 0
    for i in range(at, at + size):
        mine = groups[i] >> _S32
        maybe += 1 if mine == tag or mine == 0 else 0
    if maybe < TEXTS_OF_ONE:
        return False
    count, low, high = 0, 0, 0
    for turn in range(2):
        between = False
        for i in range(at, at + size):
            mine = groups[i] >> _S32
            if mine != tag and mine != 0:
                continue
            text = text_of(groups[i])
            row = outlet_of(texts, outlets, text, source)
            if row < 0:
                continue
            if row == 0:
                first, middle, last = texts[text].low_day, texts[text].mid_day, texts[text].high_day
            else:
                first, middle, last = outlets[row].low_day, outlets[row].mid_day, outlets[row].high_day
            if turn == 0:
                low = first if count == 0 else min(low, first)
                high = last if count == 0 else max(high, last)
                count += 1
            elif low < first < high or low < middle < high or low < last < high:
                between = True
        if turn == 0 and (count < TEXTS_OF_ONE or high - low <= SPAN):
            return False
        if turn == 1 and not between:
            return False
    return True


@jit
def everybodys(texts, groups, at, size, alive):
    """Whether a hot list of so many texts is boilerplate whoever writes it."""
    if alive < EVERYBODYS or size < GROUP_OF_ALL:
        return False
    quarter = size // 4
    return (
        _day_in_order(texts, groups, at, size, size - 1 - quarter)
        - _day_in_order(texts, groups, at, size, quarter)
        > SPAN
    )


@jit
def _day_in_order(texts, groups, at, size, place):
    """The day of the text of a group that is at a place in the order of days; groups are small."""
    found = np.int64(0)
    for i in range(at, at + size):
        day = np.int64(np.floor(texts[text_of(groups[i])].first / DAY))
        less, equal = 0, 0
        for j in range(at, at + size):
            other = np.int64(np.floor(texts[text_of(groups[j])].first / DAY))
            less += 1 if other < day else 0
            equal += 1 if other == day else 0
        if less <= place < less + equal:
            found = day
    return found


@jit
def is_flagged(lists, flagged, number, source):
    """Whether a list is boilerplate of an outlet."""
    at = np.int64(lists[number].outlets)
    while at != 0:
        if flagged[at].source == source:
            return True
        at = np.int64(flagged[at].next)
    return False


@jit
def is_boilerplate(lists, flagged, texts, outlets, number, text):
    """Whether a list is boilerplate for a text: of all outlets or of one of its own."""
    if lists[number].flags & EVERYWHERE:
        return True
    at = np.int64(lists[number].outlets)
    while at != 0:
        if outlet_of(texts, outlets, text, flagged[at].source) >= 0:
            return True
        at = np.int64(flagged[at].next)
    return False


@jit
def sum_work(sums, item, sign):
    """Put an item of work into the log digest, or take it out."""
    log_add(
        sums, sign, L_WORK, np.uint64(item.kind) << _S32 | np.uint64(item.what), item.source, item.position
    )


@jit
def queue_work(work, meta, sums, kind, what, source, position):
    """Leave work to this entry's end and later ones."""
    item = work[meta[WORK_TAIL]]
    item.kind, item.what, item.source = kind, what, source
    item.position, item.cursor = position, 0
    meta[WORK_TAIL] += 1
    sum_work(sums, item, 1)


@jit
def _spread(spreads, work, meta, sums, number, source, position):
    """The texts of a list are due for a change of its boilerplate; changes that wait are one item of work."""
    if spreads[number] == 0:
        spreads[number] = meta[WORK_BASE] + meta[WORK_TAIL] + 1
        queue_work(work, meta, sums, SPREAD, number, source, position)
        return
    item = work[np.int64(spreads[number]) - 1 - meta[WORK_BASE]]
    sum_work(sums, item, -1)
    if item.source != source:
        item.source = np.uint64(0)  # several outlets: all texts are looked at
    item.position, item.cursor = position, 0
    sum_work(sums, item, 1)


@jit
def flag(lists, spreads, flagged, work, meta, sums, number, source, on, position):
    """A list begins or ceases to be boilerplate of an outlet, 0 of all; its texts are due."""
    row = lists[number]
    content_add(sums, 1 if on else -1, E_BOILERPLATE, row.posting, source)
    if source == 0:
        row.flags ^= EVERYWHERE
    elif on:
        fresh = meta[FREE_FLAG]
        if fresh != 0:
            meta[FREE_FLAG] = np.int64(flagged[fresh].next)
        else:
            meta[FLAGS] += 1
            fresh = meta[FLAGS]
        flagged[fresh].source, flagged[fresh].next = source, row.outlets
        row.outlets = fresh
    else:
        before, at = np.int64(0), np.int64(row.outlets)
        while flagged[at].source != source:
            before, at = at, np.int64(flagged[at].next)
        if before == 0:
            row.outlets = flagged[at].next
        else:
            flagged[before].next = flagged[at].next
        flagged[at].next = meta[FREE_FLAG]
        meta[FREE_FLAG] = at
    _spread(spreads, work, meta, sums, number, source, position)


@jit
def judge_outlet(lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, source, position):
    """Whether a list is boilerplate of an outlet may have changed."""
    row = lists[number]
    now = repeats(texts, outlets, groups, np.int64(row.group_at), np.int64(row.group), source)
    if now != is_flagged(lists, flagged, number, source):
        flag(lists, spreads, flagged, work, meta, sums, number, source, now, position)


@jit
def judge_flagged(lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, position):
    """A text left a list's group: what the list was boilerplate of it may no longer be."""
    row = lists[number]
    at = np.int64(row.outlets)
    while at != 0:
        following = np.int64(flagged[at].next)
        source = flagged[at].source
        if not repeats(texts, outlets, groups, np.int64(row.group_at), np.int64(row.group), source):
            flag(lists, spreads, flagged, work, meta, sums, number, source, False, position)
        at = following


@jit
def judge_all(lists, spreads, flagged, texts, groups, work, meta, sums, number, position):
    """Whether a list is boilerplate of all outlets may have changed."""
    row = lists[number]
    hot = np.int64(row.alive) > np.int64(row.group)
    now = hot and everybodys(texts, groups, np.int64(row.group_at), np.int64(row.group), np.int64(row.alive))
    if now != (row.flags & EVERYWHERE != 0):
        flag(lists, spreads, flagged, work, meta, sums, number, np.uint64(0), now, position)
