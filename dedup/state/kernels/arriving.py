"""Folding what arrived: articles, texts and their postings, one article after the other."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels import arena, table
from dedup.state.kernels.base import (
    ALIVE,
    ARTICLES,
    AWAITED,
    BURIED,
    DECIDED,
    FLAGS,
    GROUP_WORDS,
    HAS_MEMBERS,
    L_NAME,
    L_RECORD,
    L_ROW,
    L_VERSION,
    LANDMARKS,
    LIST_WORDS,
    LISTS,
    LIVING,
    MAX_LISTS,
    MAX_OUTLETS,
    MEMBER_WORDS,
    NAME_BYTES,
    NEED_FLAGS,
    NEED_GROUPS,
    NEED_MEMBERS,
    NEED_TEXT_LISTS,
    NEVER,
    POSITION,
    ROWS,
    SALT,
    STANDING,
    TEXTS,
    UNDECIDED,
    WANTING,
    absorb,
    inline,
    jit,
    log_add,
    log_swap,
    making,
    scatter,
)
from dedup.state.kernels.boilerplate import text_of
from dedup.state.kernels.carriers import add_carrier, add_to_lists, erase, remove_carrier, text_with
from dedup.state.kernels.due import set_due
from dedup.state.kernels.lists import bury_in, found, join, members_needed
from dedup.state.kernels.looking_up import look_up
from dedup.state.kernels.memory import prefetch

CREATED, UNCHANGED, REPLACED, STALE, CANCELED = 1, 2, 3, 4, 5
#: Status of an article of an entry: it takes its article back; the record of what it repeats is lost.
CANCELS, HEALS = 1, 2
_42 = np.uint64((1 << 42) - 1)


@jit
def article_named(s, name_hash, names, start, stop):
    """The number of an article by its id, 0 where there is none."""
    key = scatter(name_hash & _42, s.meta[SALT])
    at = table.find(s.ids, s.ids_before, s.ids_meta, key)
    while at != 0:
        a = s.articles[at]
        if a.name_hash == name_hash and np.int64(a.name_size) == stop - start:
            same = True
            base = np.int64(a.name_at)
            for i in range(stop - start):
                if s.names[base + i] != names[start + i]:
                    same = False
                    break
            if same:
                return at
        at = np.int64(a.next_name)
    return np.int64(0)


@jit
def new_article(s, name_hash, names, start, stop):
    """An article with a number of its own, under an id that is not known or stands for nothing any more."""
    s.meta[ARTICLES] += 1
    number = s.meta[ARTICLES]
    a = s.articles[number]
    a.name_hash, a.name_at, a.name_size = name_hash, s.meta[NAME_BYTES], stop - start
    base = s.meta[NAME_BYTES]
    for i in range(stop - start):
        s.names[base + i] = names[start + i]
    s.meta[NAME_BYTES] += stop - start
    key = scatter(name_hash & _42, s.meta[SALT])
    a.next_name = table.find(s.ids, s.ids_before, s.ids_meta, key)
    table.put(s.ids, s.ids_before, s.ids_meta, key, number)
    log_add(s.sums, 1, L_NAME, name_hash, number, 0)
    return number


@jit
def _forget_alive(s, number):
    """An id stands for nothing from now on; a later delivery of it is a new article, with a number of its own."""
    s.articles[number].flags &= ~np.uint8(ALIVE)
    s.meta[STANDING] -= 1


@inline
def is_older(version, version_time, row):
    """Whether a delivery is older than the version that stands."""
    if version != NEVER and row.version != NEVER:
        return version < row.version
    if not np.isnan(version_time) and not np.isnan(row.version_time):
        return version_time < row.version_time
    return False


@jit
def has_room(s, lists):
    """Whether there is room to remove a text of so many lists, or mend as many; what is missing is asked for."""
    words = lists * (np.int64(4) << arena.size_class(s.meta[LANDMARKS] + 1))
    s.meta[NEED_GROUPS], s.meta[NEED_MEMBERS], s.meta[NEED_TEXT_LISTS] = words, words, 0
    s.meta[NEED_FLAGS] = lists * (1 + s.meta[MAX_OUTLETS]) * (1 + s.meta[LANDMARKS])
    if (
        s.meta[GROUP_WORDS] + words <= s.groups.size
        and s.meta[MEMBER_WORDS] + words <= s.members.size
        and s.meta[FLAGS] + s.meta[NEED_FLAGS] < s.flagged.size
    ):
        return True
    s.meta[WANTING] = 1
    return False


@jit
def _survey_room(s, keys, found, leaving):
    """Look a text's postings up; whether the arenas have room for it, what it needs being asked for.

    ``found`` gets what stands under each: twice a text, twice a list and one, or 0. ``leaving`` is how many lists a
    text stands in that may be removed for it.
    """
    for i in range(keys.size):
        there = table.find(s.slots, s.slots_before, s.slots_meta, keys[i])
        found[i] = there
        if there & 1:
            prefetch(s.lists, there >> 1)
        elif there != 0:
            prefetch(s.texts, there >> 1)
    members, text_lists = np.int64(0), np.int64(4) << arena.size_class(keys.size + 1)
    for i in range(keys.size):
        there = found[i]
        if there & 1:
            row = s.lists[there >> 1]
            members += members_needed(row)
            prefetch(s.groups, np.int64(row.group_at))
            if row.flags & HAS_MEMBERS:
                prefetch(s.members, np.int64(row.members_at) + np.int64(row.count))
        elif there != 0:
            text_lists += np.int64(4) << arena.size_class(np.int64(s.texts[there >> 1].lists) + 1)
            members += 8
    largest = np.int64(4) << arena.size_class(s.meta[LANDMARKS] + 1)
    groups = (keys.size + leaving) * largest
    members += leaving * largest
    s.meta[NEED_GROUPS], s.meta[NEED_MEMBERS], s.meta[NEED_TEXT_LISTS] = groups, members, text_lists
    flags = keys.size + leaving * (1 + s.meta[MAX_OUTLETS]) * (1 + s.meta[LANDMARKS])
    s.meta[NEED_FLAGS] = flags + s.meta[MAX_LISTS]
    s.meta[MAX_LISTS] = max(s.meta[MAX_LISTS], keys.size)
    return (
        s.meta[GROUP_WORDS] + groups <= s.groups.size
        and s.meta[MEMBER_WORDS] + members <= s.members.size
        and s.meta[LIST_WORDS] + text_lists <= s.text_lists.size
        and s.meta[FLAGS] + s.meta[NEED_FLAGS] < s.flagged.size
    )


@jit
def _index(s, text, postings, keys, joined, position):
    """Put a new text under its postings; ``joined``, what was found under each, gets the lists it joins."""
    count = 0
    for i in range(keys.size):
        there = joined[i] >> 1
        if joined[i] & 1:
            joined[count] = there
            count += 1
            continue
        if there == 0 or s.dead[there] == 2:
            table.put(s.slots, s.slots_before, s.slots_meta, keys[i], 2 * text)
            continue
        s.meta[LISTS] += 1
        number = s.meta[LISTS]
        found(s.lists, s.groups, s.free, s.meta, s.sums, s.texts, number, postings[i], there)
        if s.dead[there]:
            bury_in(s.lists, s.groups, s.members, s.free, s.meta, s.sums, number)
        add_to_lists(s.texts, s.text_lists, s.free, s.meta, there, number)
        table.put(s.slots, s.slots_before, s.slots_meta, keys[i], 2 * number + 1)
        joined[count] = number
        count += 1
    if count > 0:
        arena.sort(joined, count)
        exponent = max(1, arena.size_class(count))
        t = s.texts[text]
        t.lists_at = arena.take(s.text_lists, s.free, arena.TEXT_LISTS, s.meta, LIST_WORDS, exponent)
        t.lists = count
        for i in range(count):
            s.text_lists[np.int64(t.lists_at) + i] = joined[i]
            row = s.lists[joined[i]]
            prefetch(s.texts, text_of(s.groups[np.int64(row.group_at) + np.int64(row.group) - 1]))
        for i in range(count):
            join(
                s.lists,
                s.spreads,
                s.groups,
                s.members,
                s.free,
                s.flagged,
                s.texts,
                s.outlets,
                s.work,
                s.meta,
                s.sums,
                joined[i],
                text,
                position,
            )
    if s.slots_meta[table.OLD_CAPACITY] > 0:
        steps = table.STEP * keys.size
        with_dead = s.meta[TEXTS] != s.meta[LIVING]
        table.advance(s.slots, s.slots_before, s.slots_meta, steps, s.dead, with_dead)


@jit
def _new_text(s, high, low, position):
    s.meta[TEXTS] += 1
    s.meta[LIVING] += 1
    text = s.meta[TEXTS]
    t = s.texts[text]
    t.high, t.low, t.arrived = high, low, position
    key = scatter(low & _42, s.meta[SALT])
    t.next_digest = table.find(s.digests, s.digests_before, s.digests_meta, key)
    table.put(s.digests, s.digests_before, s.digests_meta, key, text)
    return text


@inline
def _scatter_postings(s, e, i, keys):
    """The keys of article i of an entry, at its turn of two; what the table has there is fetched."""
    size = e.postings_at[i + 1] - e.postings_at[i]
    for j in range(size):
        key = scatter(e.postings[e.postings_at[i] + j], s.meta[SALT])
        table.fetch(s.slots, s.slots_before, s.slots_meta, key)
        keys[i & 1, j] = key


@making
def arrive(s, e, first, steps, collect, out, met, met_at, keys):
    """Fold the articles of an entry from ``first`` on; the one to go on with, as many as there are when all are in.

    Stops where an arena has no room (``NEED_...`` of meta) or ``steps`` postings have been put in. ``out`` int64
    (articles, 5): outcome, article, text, whether the text is new, text it had before. With ``collect``, ``met`` gets
    the texts that each new text may be compared with as of its coming, those of article i before ``met_at[i + 1]``;
    where there is no room for them the text is told to be new with a 2: it is looked up later. ``keys`` uint64
    (2, most postings of an article) is for the postings of an article and those of the next one, whose places in memory
    are fetched meanwhile.
    """
    position = np.uint64(s.meta[POSITION])
    joined = np.empty(keys.shape[1], np.int64)
    done = 0
    i = first
    if i < e.status.size:
        _scatter_postings(s, e, i, keys)
    while i < e.status.size:
        size = e.postings_at[i + 1] - e.postings_at[i]
        if done > steps and i > first:
            return i
        if i + 1 < e.status.size:
            _scatter_postings(s, e, i + 1, keys)
        mine = keys[i & 1, :size]
        text = np.int64(0)
        if size > 0:
            text = text_with(s, e.high[i], e.low[i])
        number = article_named(s, e.name_hash[i], e.names, e.names_at[i], e.names_at[i + 1])
        before = np.int64(s.rows[np.int64(s.articles[number].row)].text)
        if not _survey_room(s, mine, joined, np.int64(s.texts[before].lists)):
            return -1 - i
        _take(s, e, i, number, text, mine, joined, position, out)
        if s.rows[np.int64(s.articles[out[i, 1]].row)].record != e.record[i]:  # it became no version
            erase(s, e.record[i])
        met_at[i + 1] = met_at[i]
        if collect and out[i, 3] == 1:
            count = look_up(s, out[i, 2], True, met[met_at[i] :])
            if count < 0:
                out[i, 3] = 2
            else:
                met_at[i + 1] = met_at[i] + count
        done += size + 20
        if out[i, 0] == CANCELED or out[i, 0] == REPLACED:
            done += np.int64(s.texts[before].count)
        i += 1
    return i


@jit
def _sum_row(s, e, i, fresh, size):
    """Put a version that has come into the log digest, with all that is kept of it."""
    h = absorb(absorb(np.uint64(s.rows[fresh].article), e.high[i]), e.low[i])
    h = absorb(absorb(absorb(h, e.source[i]), np.float64(e.published[i]).view(np.uint64)), e.words[i])
    h = absorb(absorb(h, np.float64(s.rows[fresh].arrival).view(np.uint64)), e.flags[i])
    h = absorb(absorb(absorb(h, e.credits[i]), e.record[i]), e.reading[i])
    h = absorb(absorb(h, e.version[i]), np.float64(e.version_time[i]).view(np.uint64))
    log_add(s.sums, 1, L_ROW, fresh, e.content[i], absorb(h, size))


@jit
def _take(s, e, i, number, text, keys, joined, position, out):
    """What becomes of article i of an entry."""
    size = keys.size
    flags, row = np.int64(0), np.int64(0)
    if number != 0:
        row, flags = np.int64(s.articles[number].row), np.int64(s.articles[number].flags)
    alive = flags & ALIVE != 0
    out[i, 1], out[i, 2], out[i, 3], out[i, 4] = number, 0, 0, 0
    if alive:
        out[i, 2] = s.rows[row].text
    if number != 0 and is_older(e.version[i], e.version_time[i], s.rows[row]):
        out[i, 0] = STALE
        return
    if e.status[i] == CANCELS:
        out[i, 0] = CANCELED
        if number == 0:
            number = new_article(s, e.name_hash[i], e.names, e.names_at[i], e.names_at[i + 1])
            out[i, 1] = number
        cancel(s, number, e.version[i], e.version_time[i], e.content[i], position)
        return
    if alive and s.rows[row].content == e.content[i]:
        out[i, 0] = UNCHANGED
        if e.status[i] == HEALS and e.record[i] != 0:
            _heal(s, row, e.record[i], position)
        if e.version[i] != NEVER:
            log_swap(s.sums, L_VERSION, row, s.rows[row].version, e.version[i])
            s.rows[row].version = e.version[i]
        if not np.isnan(e.version_time[i]):
            before = np.float64(s.rows[row].version_time).view(np.uint64)
            after = np.float64(e.version_time[i]).view(np.uint64)
            log_swap(s.sums, L_VERSION, -row, before, after)
            s.rows[row].version_time = e.version_time[i]
        return
    if number == 0 or not alive:
        out[i, 0] = CREATED
        number = new_article(s, e.name_hash[i], e.names, e.names_at[i], e.names_at[i + 1])
        s.articles[number].flags = ALIVE
        s.meta[STANDING] += 1
        arrival = e.arrival[i]
    else:
        out[i, 0] = REPLACED
        arrival = s.rows[row].arrival
        out[i, 4] = s.rows[row].text
    s.meta[ROWS] += 1
    fresh = s.meta[ROWS]
    r = s.rows[fresh]
    r.article, r.source, r.published, r.arrival = number, e.source[i], e.published[i], arrival
    r.words, r.position, r.content, r.version = e.words[i], position, e.content[i], e.version[i]
    r.version_time, r.credits, r.record, r.flags = e.version_time[i], e.credits[i], e.record[i], e.flags[i]
    r.reading = e.reading[i]
    _sum_row(s, e, i, fresh, size)
    s.articles[number].row = fresh
    if size > 0 and text != 0:
        add_carrier(s, text, fresh, position)
    if out[i, 0] == REPLACED:
        remove_carrier(s, row, fresh, position)
    if size > 0 and text == 0:
        if out[i, 0] == REPLACED:  # lists may have come and gone with the version before
            _survey_room(s, keys, joined, np.int64(0))
        text = _new_text(s, e.high[i], e.low[i], position)
        add_carrier(s, text, fresh, position)
        postings = e.postings[e.postings_at[i] : e.postings_at[i + 1]]
        _index(s, text, postings, keys, joined, position)
        set_due(s.texts, s.due, s.meta, s.sums, text, position, False)
        out[i, 3] = 1
    if size > 0 and s.articles[number].flags & (DECIDED | AWAITED) == 0:
        s.articles[number].flags |= AWAITED
        s.articles[number].asked = fresh
        s.meta[UNDECIDED] += 1
    out[i, 1], out[i, 2] = number, text if size > 0 else 0


@jit
def _heal(s, row, record, position):
    """A version gets a new record in place of one that is lost; its text is verified again."""
    old = s.rows[row].record
    if old == record:
        return
    erase(s, old)
    log_swap(s.sums, L_RECORD, row, old, record)
    s.rows[row].record = record
    text = np.int64(s.rows[row].text)
    if text != 0:
        set_due(s.texts, s.due, s.meta, s.sums, text, position, True)


@jit
def cancel(s, number, version, version_time, content, position):
    """An article is removed; its id keeps the version, for later deliveries to be compared with."""
    a = s.articles[number]
    row = np.int64(a.row)
    if a.flags & ALIVE:
        remove_carrier(s, row, s.meta[ROWS] + 1, position)
        _forget_alive(s, number)
    s.meta[ROWS] += 1
    fresh = s.meta[ROWS]
    r = s.rows[fresh]
    r.article, r.position, r.removed, r.flags, r.content = number, position, position, BURIED, content
    r.version, r.version_time = version, version_time
    if row != 0:
        if version == NEVER:
            r.version = s.rows[row].version
        if np.isnan(version_time):
            r.version_time = s.rows[row].version_time
        r.arrival = s.rows[row].arrival
    a.row = fresh
    h = absorb(absorb(np.uint64(number), r.version), np.float64(r.version_time).view(np.uint64))
    log_add(s.sums, 1, L_ROW, fresh, content, h)
