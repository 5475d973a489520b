"""Texts and the articles that carry them: outlets, days, coming and going."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels import arena, table
from dedup.state.kernels.base import (
    BURIAL_TAIL,
    BURIED,
    BURIED_COUNT,
    CONTENT,
    CONTENT_2,
    DAY,
    E_CARRIER,
    FREE_OUTLET,
    L_CLUSTER,
    L_ROW_GONE,
    L_STORY,
    LIST_WORDS,
    LIVING,
    MAX_LISTS,
    MAX_OUTLETS,
    NEVER,
    OUTLETS,
    SALT,
    WINDOW_DAYS,
    absorb,
    inline,
    jit,
    log_add,
    log_swap,
    scatter,
    start,
)
from dedup.state.kernels.boilerplate import is_flagged, judge_all, judge_outlet, outlet_of
from dedup.state.kernels.due import discharge, make_dirty, queue_check, set_due, touch
from dedup.state.kernels.edges import cut_edge, following
from dedup.state.kernels.lists import leave, place_in_group, retag


@jit
def _sum_carrier(texts, sums, text, name_hash, sign):
    t = texts[text]
    for lane in range(2):
        h = absorb(absorb(absorb(absorb(start(lane + 1), E_CARRIER), t.high), t.low), name_hash)
        place = CONTENT if lane == 0 else CONTENT_2
        if sign > 0:
            sums[place] += h
        else:
            sums[place] -= h


@inline
def day_of(published):
    """Days since 1970 in UTC."""
    return np.int64(np.floor(published / DAY))


@jit
def _add_day(row, day):
    """An outlet's days with one more; whether that changes anything the rules look at."""
    if day < row.low_day:
        if row.low_day < row.high_day:
            row.mid_day = row.low_day
        row.low_day = day
        if row.mid_day < day:
            row.mid_day = day
        return True
    if day > row.high_day:
        if row.low_day < row.high_day:
            row.mid_day = row.high_day
        row.high_day = day
        return True
    if row.low_day < day < row.high_day and not row.low_day < row.mid_day < row.high_day:
        row.mid_day = day
        return True
    return False


@inline
def _set_day(row, day):
    row.low_day, row.mid_day, row.high_day = day, day, day


@jit
def _new_outlet(t, outlets, meta, source, day):
    fresh = meta[FREE_OUTLET]
    if fresh != 0:
        meta[FREE_OUTLET] = np.int64(outlets[fresh].next)
    else:
        meta[OUTLETS] += 1
        fresh = meta[OUTLETS]
    outlets[fresh].source, outlets[fresh].next = source, t.outlets
    _set_day(outlets[fresh], day)
    t.outlets = fresh


@jit
def _count_outlets(s, text):
    """Remember how many outlets a text has at most: what one change of a list can flag."""
    count, at = 1, np.int64(s.texts[text].outlets)
    while at != 0:
        count += 1
        at = np.int64(s.outlets[at].next)
    s.meta[MAX_OUTLETS] = max(s.meta[MAX_OUTLETS], count)


@jit
def add_carrier(s, text, number, position):
    """A version of an article carries a text: ``number`` is its row."""
    t, row = s.texts[text], s.rows[number]
    row.text, row.next = text, t.carriers
    t.carriers = number
    t.count += 1
    name_hash = s.articles[row.article].name_hash
    _sum_carrier(s.texts, s.sums, text, name_hash, 1)
    day = day_of(row.published)
    if t.count == 1:
        t.source, t.first, t.last = row.source, row.published, row.published
        t.reading = row.reading
        _set_day(t, day)
        touch(s.texts, s.dirty, s.meta, s.sums, text, position)
        return
    if row.reading < t.reading:
        t.reading = row.reading
        set_due(s.texts, s.due, s.meta, s.sums, text, position, True)
    wider = row.published < t.first or row.published > t.last
    t.first, t.last = min(t.first, row.published), max(t.last, row.published)
    if wider and s.meta[WINDOW_DAYS] > 0:
        set_due(s.texts, s.due, s.meta, s.sums, text, position, True)
    where = outlet_of(s.texts, s.outlets, text, row.source)
    if where < 0:
        second = t.outlets == 0
        _new_outlet(t, s.outlets, s.meta, row.source, day)
        _count_outlets(s, text)
        _outlet_changed(s, text, row.source, position, True, second)
    elif _add_day(t, day) if where == 0 else _add_day(s.outlets[where], day):
        _outlet_changed(s, text, row.source, position, False, False)
    if wider:
        _first_changed(s, text, position)
    touch(s.texts, s.dirty, s.meta, s.sums, text, position)


@jit
def _first_changed(s, text, position):
    """The day of a text may be another: lists that were judged by it are judged again."""
    t = s.texts[text]
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        number = np.int64(s.text_lists[i])
        row = s.lists[number]
        if (
            row.alive >= 100
            and place_in_group(s.groups, np.int64(row.group_at), np.int64(row.group), text) >= 0
        ):
            judge_all(
                s.lists, s.spreads, s.flagged, s.texts, s.groups, s.work, s.meta, s.sums, number, position
            )


@jit
def _outlet_changed(s, text, source, position, other, tag):
    """An outlet of a text came or went (``other``), or its days did: its lists are judged, its mask may be another."""
    t = s.texts[text]
    at = np.int64(t.edges) if other else 0
    while at != 0:  # edges may be within one outlet now, or no longer
        end = np.int64(s.edges[at].b if s.edges[at].a == text else s.edges[at].a)
        make_dirty(s.texts, s.dirty, s.meta, end)
        at = following(s.edges, at, text)
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        number = np.int64(s.text_lists[i])
        row = s.lists[number]
        if tag:
            inside = retag(s.lists, s.groups, s.texts, number, text)
        else:
            inside = place_in_group(s.groups, np.int64(row.group_at), np.int64(row.group), text) >= 0
        if other and row.outlets != 0 and is_flagged(s.lists, s.flagged, number, source):
            set_due(s.texts, s.due, s.meta, s.sums, text, position, True)
            queue_check(s.texts, s.work, s.meta, s.sums, text, position)
        if inside:
            judge_outlet(
                s.lists,
                s.spreads,
                s.flagged,
                s.texts,
                s.outlets,
                s.groups,
                s.work,
                s.meta,
                s.sums,
                number,
                source,
                position,
            )


@jit
def _refresh_outlet(s, text, source, position):
    """The days of one outlet of a text from the carriers that are left, the outlet gone where there are none."""
    t = s.texts[text]
    where = outlet_of(s.texts, s.outlets, text, source)
    count = 0
    low, high, middle = np.int64(0), np.int64(0), np.int64(0)
    for turn in range(2):
        at = np.int64(t.carriers)
        while at != 0:
            row = s.rows[at]
            if row.removed == 0 and row.source == source:
                day = day_of(row.published)
                if turn == 0:
                    low = day if count == 0 else min(low, day)
                    high = day if count == 0 else max(high, day)
                    middle = low
                    count += 1
                elif low < day < high:
                    middle = day
            at = np.int64(row.next)
    if count > 0:
        if where == 0:
            t.low_day, t.mid_day, t.high_day = low, middle, high
        else:
            o = s.outlets[where]
            o.low_day, o.mid_day, o.high_day = low, middle, high
        _outlet_changed(s, text, source, position, False, False)
        return
    if where == 0:
        where = np.int64(t.outlets)  # another takes its place
        o = s.outlets[where]
        t.source, t.low_day, t.mid_day, t.high_day = o.source, o.low_day, o.mid_day, o.high_day
        t.outlets = o.next
    else:
        before, at = np.int64(0), np.int64(t.outlets)
        while at != where:
            before, at = at, np.int64(s.outlets[at].next)
        if before == 0:
            t.outlets = s.outlets[where].next
        else:
            s.outlets[before].next = s.outlets[where].next
    s.outlets[where].next = s.meta[FREE_OUTLET]
    s.meta[FREE_OUTLET] = where
    _outlet_changed(s, text, source, position, True, t.outlets == 0)


@jit
def erase(s, record):
    """Nobody will ever read a record again; 0 is none."""
    if record != 0:
        s.buried[s.meta[BURIED_COUNT]] = record
        s.meta[BURIED_COUNT] += 1


@jit
def remove_carrier(s, number, by, position):
    """A version of an article no longer carries its text since row ``by`` came; a text without carriers is removed."""
    row = s.rows[number]
    text = np.int64(row.text)
    row.removed, row.removed_by = position, by
    log_add(s.sums, 1, L_ROW_GONE, number, position, 0)
    if text == 0:  # nobody compares it: its record is not needed any more
        row.flags |= BURIED
        erase(s, row.record)
        return
    t = s.texts[text]
    s.burials[s.meta[BURIAL_TAIL]] = number
    s.meta[BURIAL_TAIL] += 1
    name_hash = s.articles[row.article].name_hash
    _sum_carrier(s.texts, s.sums, text, name_hash, -1)
    t.count -= 1
    if t.count == 0:
        _remove_text(s, text, by, position)
        return
    first, last, reading = np.inf, -np.inf, NEVER
    at = np.int64(t.carriers)
    while at != 0:
        if s.rows[at].removed == 0:
            reading = min(reading, s.rows[at].reading)
            first, last = min(first, s.rows[at].published), max(last, s.rows[at].published)
        at = np.int64(s.rows[at].next)
    if reading != t.reading:
        t.reading = reading
        set_due(s.texts, s.due, s.meta, s.sums, text, position, True)
    narrower = first != t.first or last != t.last
    t.first, t.last = first, last
    _refresh_outlet(s, text, row.source, position)
    if narrower:
        _first_changed(s, text, position)
        if s.meta[WINDOW_DAYS] > 0:
            queue_check(s.texts, s.work, s.meta, s.sums, text, position)
    touch(s.texts, s.dirty, s.meta, s.sums, text, position)


@jit
def _remove_text(s, text, by, position):
    t = s.texts[text]
    s.dead[text] = 1
    s.meta[LIVING] -= 1
    discharge(s.texts, s.meta, s.sums, text)
    leads_to = np.int64(0)
    at = np.int64(t.edges)
    while at != 0:
        other = np.int64(s.edges[at].b if s.edges[at].a == text else s.edges[at].a)
        same = t.cluster != 0 and s.texts[other].cluster == t.cluster
        if same and (leads_to == 0 or other < leads_to):
            leads_to = other
        at = following(s.edges, at, text)
    while t.edges != 0:
        cut_edge(s.texts, s.edges, s.dirty, s.meta, s.sums, np.int64(t.edges), position)
    touch(s.texts, s.dirty, s.meta, s.sums, text, position)
    for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
        leave(
            s.lists,
            s.spreads,
            s.groups,
            s.members,
            s.free,
            s.flagged,
            s.texts,
            s.dead,
            s.outlets,
            s.work,
            s.due,
            s.meta,
            s.sums,
            np.int64(s.text_lists[i]),
            text,
            position,
        )
    log_swap(s.sums, L_CLUSTER, text, np.uint64(t.cluster), np.uint64(leads_to))
    log_swap(s.sums, L_STORY, text, np.uint64(t.story), np.uint64(0))
    t.mid_day = t.cluster  # the name it stood under
    t.cluster, t.story = leads_to, by


@jit
def text_with(s, high, low):
    """The living text with a digest, 0 where there is none."""
    key = scatter(low & np.uint64((1 << 42) - 1), s.meta[SALT])
    at = table.find(s.digests, s.digests_before, s.digests_meta, key)
    while at != 0:
        if s.dead[at] == 0 and s.texts[at].high == high and s.texts[at].low == low:
            return at
        at = np.int64(s.texts[at].next_digest)
    return np.int64(0)


@jit
def add_to_lists(texts, text_lists, free, meta, text, number):
    """A list is written down with one of its texts; numbers only grow, so that they stay ascending."""
    t = texts[text]
    count = np.int64(t.lists)
    if count == 0:
        t.lists_at = arena.take(text_lists, free, arena.TEXT_LISTS, meta, LIST_WORDS, 1)
    elif count >= 2 and count & (count - 1) == 0:
        exponent = arena.size_class(count)
        larger = arena.take(text_lists, free, arena.TEXT_LISTS, meta, LIST_WORDS, exponent + 1)
        old = np.int64(t.lists_at)
        for i in range(count):
            text_lists[larger + i] = text_lists[old + i]
        arena.give_back(text_lists, free, arena.TEXT_LISTS, old, exponent)
        t.lists_at = larger
    text_lists[np.int64(t.lists_at) + count] = number
    t.lists += 1
    meta[MAX_LISTS] = max(meta[MAX_LISTS], count + 1)
