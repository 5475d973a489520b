"""Which texts have a word pair in a span of days, see :mod:`dedup.core.same_event`; for collections that ask for it.

A version of an article brings a *set* of word pairs: those of its text, in the span of its publication. Equal sets of
one text are kept once and counted. A text stands under every pair of its sets. The texts of a pair are a binary heap
with the smallest digest first: the :data:`MOST` smallest are found without a look at the others, whoever came first.

The table has a slot for each pair: a text (its number and 1), a list of two texts and more, or ``_NOBODY``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dedup.state.kernels import arena, table
from dedup.state.kernels.base import L_PAIRS, SALT, absorb, jit, log_add, making, scatter, start
from dedup.state.kernels.lists import is_before

#: Texts of a pair that are looked at, those with the smallest digests.
MOST = 200

#: Texts of a pair, a heap of ``count`` numbers in a block of ``1 << exponent``.
PAIR_LIST = np.dtype([("at", "<u8"), ("count", "<u4"), ("exponent", "<u4")])
#: Pairs that versions of one text brought, ``count`` of which stand; ``next`` is another set of the text.
PAIR_SET = np.dtype(
    [("at", "<u8"), ("sum", "<u8"), ("next", "<u4"), ("count", "<u4"), ("size", "<u4"), ("exponent", "<u4")]
)
#: Places in ``meta``; pairs that nobody has any more, but that still have a slot.
LISTS, SETS, MEMBER_WORDS, SET_WORDS, FREE_LIST, FREE_SET, NOBODY = 0, 1, 2, 3, 4, 5, 6
NEED_MEMBERS, NEED_SETS = 7, 8
META_SIZE = 9
_MEMBERS, _SETS = 0, 1
_NOBODY = 1


class PairTables(NamedTuple):
    """The arrays of word pairs, as kernels take them."""

    slots: np.ndarray
    slots_before: np.ndarray
    slots_meta: np.ndarray
    gone: np.ndarray
    lists: np.ndarray
    members: np.ndarray
    sets: np.ndarray
    words: np.ndarray
    of_text: np.ndarray
    of_row: np.ndarray
    free: np.ndarray
    meta: np.ndarray


@jit
def _value_of(p, key):
    """What stands under a key: a text and 1, ``_NOBODY``, minus the number of a list, or 0."""
    value = table.find(p.slots, p.slots_before, p.slots_meta, key)
    return -(value >> 1) if value & 1 else value >> 1


@jit
def _put_value(p, key, value):
    stored = 2 * value if value >= 0 else 1 - 2 * value
    table.put(p.slots, p.slots_before, p.slots_meta, key, stored)


@jit
def _key_of(s, posting):
    return scatter(posting, s.meta[SALT])


# -- heaps of texts ----------------------------------------------------------------------------------


@jit
def _rise(texts, members, at, i):
    """A text of a heap moves up to its place."""
    text = np.int64(members[at + i])
    while i > 0 and is_before(texts, text, np.int64(members[at + (i - 1) // 2])):
        members[at + i] = members[at + (i - 1) // 2]
        i = (i - 1) // 2
    members[at + i] = text
    return i


@jit
def _sink(texts, members, at, count, i):
    """A text of a heap moves down to its place."""
    text = np.int64(members[at + i])
    while 2 * i + 1 < count:
        j = 2 * i + 1
        if j + 1 < count and is_before(texts, np.int64(members[at + j + 1]), np.int64(members[at + j])):
            j += 1
        if not is_before(texts, np.int64(members[at + j]), text):
            break
        members[at + i] = members[at + j]
        i = j
    members[at + i] = text


@jit
def _smallest(texts, members, at, count, limit, front, out, done):
    """The ``limit`` smallest texts of a heap go to ``out`` from place ``done`` on; how many there are then.

    ``front`` has room for one index more than ``limit``: a heap of those whose parents have gone out.
    """
    front[0] = 0
    size = 1
    while size > 0 and limit > 0:
        i = front[0]
        out[done] = members[at + i]
        done += 1
        limit -= 1
        size -= 1
        _sift(texts, members, at, front, size, np.int64(front[size]), 0)
        for child in (2 * i + 1, 2 * i + 2):
            if child < count and size < front.size:
                _sift(texts, members, at, front, size, child, size)
                size += 1
    return done


@jit
def _sift(texts, members, at, front, size, index, hole):
    """An index of a heap is put into the front, of ``size`` others, where there is a hole."""
    text = np.int64(members[at + index])
    while hole > 0 and is_before(texts, text, np.int64(members[at + front[(hole - 1) // 2]])):
        front[hole] = front[(hole - 1) // 2]
        hole = (hole - 1) // 2
    while 2 * hole + 1 < size:
        j = 2 * hole + 1
        if j + 1 < size and is_before(
            texts, np.int64(members[at + front[j + 1]]), np.int64(members[at + front[j]])
        ):
            j += 1
        if not is_before(texts, np.int64(members[at + front[j]]), text):
            break
        front[hole] = front[j]
        hole = j
    front[hole] = index


# -- a text under a pair -----------------------------------------------------------------------------


@jit
def _put(s, p, posting, text):
    """A text gets under a pair."""
    key = _key_of(s, posting)
    there = _value_of(p, key)
    if there >= 0 and there <= _NOBODY:
        p.meta[NOBODY] -= there
        _put_value(p, key, text + 1)
        return
    if there > 0:
        number = p.meta[FREE_LIST]
        if number != 0:
            p.meta[FREE_LIST] = np.int64(p.lists[number].at)
        else:
            p.meta[LISTS] += 1
            number = p.meta[LISTS]
        row = p.lists[number]
        row.at = arena.take(p.members, p.free, _MEMBERS, p.meta, MEMBER_WORDS, 1)
        row.exponent, row.count = 1, 1
        p.members[np.int64(row.at)] = there - 1
        _put_value(p, key, -number)
        there = -number
    row = p.lists[-there]
    count, at = np.int64(row.count), np.int64(row.at)
    if count == np.int64(1) << np.int64(row.exponent):
        larger = arena.take(p.members, p.free, _MEMBERS, p.meta, MEMBER_WORDS, np.int64(row.exponent) + 1)
        for i in range(count):
            p.members[larger + i] = p.members[at + i]
        arena.give_back(p.members, p.free, _MEMBERS, at, np.int64(row.exponent))
        row.at, row.exponent = larger, row.exponent + 1
        at = larger
    p.members[at + count] = text
    row.count += 1
    _rise(s.texts, p.members, at, count)


@jit
def _take_out(s, p, posting, text):
    """A text gets out from under a pair."""
    key = _key_of(s, posting)
    there = _value_of(p, key)
    if there > 0:
        _put_value(p, key, _NOBODY)
        p.meta[NOBODY] += 1
        return
    row = p.lists[-there]
    at, last = np.int64(row.at), np.int64(row.count) - 1
    i = np.int64(0)
    while p.members[at + i] != text:
        i += 1
    row.count -= 1
    if i < last:
        p.members[at + i] = p.members[at + last]
        _sink(s.texts, p.members, at, last, _rise(s.texts, p.members, at, i))
    if last == 1:
        _put_value(p, key, np.int64(p.members[at]) + 1)
        arena.give_back(p.members, p.free, _MEMBERS, at, np.int64(row.exponent))
        row.at = p.meta[FREE_LIST]
        p.meta[FREE_LIST] = -there


# -- sets --------------------------------------------------------------------------------------------


@jit
def _holds(p, number, posting, but):
    """Whether one of the sets from a number on, but one, has a pair."""
    while number != 0:
        row = p.sets[number]
        if number != but:
            low, high = np.int64(row.at), np.int64(row.at) + np.int64(row.size)
            end = high
            while low < high:
                middle = (low + high) // 2
                if p.words[middle] < posting:
                    low = middle + 1
                else:
                    high = middle
            if low < end and p.words[low] == posting:
                return True
        number = np.int64(row.next)
    return False


@jit
def _equal_set(p, number, postings, total):
    """The set from a number on that has just these pairs, 0 where there is none."""
    while number != 0:
        row = p.sets[number]
        if row.sum == total and np.int64(row.size) == postings.size:
            same = True
            for i in range(postings.size):
                same &= p.words[np.int64(row.at) + i] == postings[i]
            if same:
                return number
        number = np.int64(row.next)
    return np.int64(0)


@jit
def _has_room(s, p, postings):
    """Whether the arenas have room for a set; what is missing is asked for."""
    members = np.int64(0)
    for i in range(postings.size):
        there = _value_of(p, _key_of(s, postings[i]))
        members += np.int64(2) << np.int64(p.lists[-there].exponent) if there < 0 else 6
    words = np.int64(4) << arena.size_class(postings.size)
    p.meta[NEED_MEMBERS], p.meta[NEED_SETS] = members, words
    return p.meta[MEMBER_WORDS] + members <= p.members.size and p.meta[SET_WORDS] + words <= p.words.size


@jit
def advance(p, steps):
    """Move slots of a table that grows over; pairs that nobody has are left behind."""
    before = p.slots_meta[table.USED]
    table.advance(p.slots, p.slots_before, p.slots_meta, steps, p.gone, True)
    p.meta[NOBODY] -= before - p.slots_meta[table.USED]


@jit
def _add(s, p, number, postings):
    """A version of an article brings its pairs: ``number`` is its row."""
    text = np.int64(s.rows[number].text)
    total = start(postings.size)
    for i in range(postings.size):
        total = absorb(total, postings[i])
    log_add(s.sums, 1, L_PAIRS, number, total, 0)
    first = np.int64(p.of_text[text])
    known = _equal_set(p, first, postings, total)
    if known != 0:
        p.sets[known].count += 1
        p.of_row[number] = known
        return
    fresh = p.meta[FREE_SET]
    if fresh != 0:
        p.meta[FREE_SET] = np.int64(p.sets[fresh].next)
    else:
        p.meta[SETS] += 1
        fresh = p.meta[SETS]
    row = p.sets[fresh]
    row.exponent = max(1, arena.size_class(postings.size))
    row.at = arena.take(p.words, p.free, _SETS, p.meta, SET_WORDS, np.int64(row.exponent))
    row.sum, row.count, row.size, row.next = total, 1, postings.size, first
    for i in range(postings.size):
        p.words[np.int64(row.at) + i] = postings[i]
        if first == 0 or not _holds(p, first, postings[i], fresh):
            _put(s, p, postings[i], text)
    p.of_text[text], p.of_row[number] = fresh, fresh
    if p.slots_meta[table.OLD_CAPACITY] > 0:
        advance(p, table.STEP * postings.size)


@jit
def add_each(s, p, rows, postings, ends, first, steps):
    """Versions of an entry bring their pairs, those of article i before ``ends[i + 1]``; the one to go on with.

    ``rows`` are their rows, 0 for an article that became no version. Where an arena has no room for article i the
    answer is -1 - i.
    """
    done, i = 0, first
    while i < rows.size:
        if done > steps:
            return i
        size = ends[i + 1] - ends[i]
        if rows[i] != 0 and size > 0:
            own = postings[ends[i] : ends[i + 1]]
            if not _has_room(s, p, own):
                return -1 - i
            _add(s, p, rows[i], own)
            done += size
        i += 1
    return i


@jit
def remove_each(s, p, first, last, steps):
    """Versions that were removed, rows in the queue of burials, take their pairs along; the one to go on with."""
    done, i = np.int64(0), first
    while i < last:
        if done > steps:
            return i
        number = np.int64(s.burials[i])
        i += 1
        of = np.int64(p.of_row[number])
        if of == 0:
            continue
        row = p.sets[of]
        log_add(s.sums, -1, L_PAIRS, number, row.sum, 0)
        p.of_row[number] = 0
        row.count -= 1
        if row.count != 0:
            continue
        text = np.int64(s.rows[number].text)
        before, at = np.int64(0), np.int64(p.of_text[text])
        while at != of:
            before, at = at, np.int64(p.sets[at].next)
        if before == 0:
            p.of_text[text] = row.next
        else:
            p.sets[before].next = row.next
        for j in range(np.int64(row.at), np.int64(row.at) + np.int64(row.size)):
            if p.of_text[text] == 0 or not _holds(p, np.int64(p.of_text[text]), p.words[j], of):
                _take_out(s, p, p.words[j], text)
        done += np.int64(row.size)
        arena.give_back(p.words, p.free, _SETS, np.int64(row.at), np.int64(row.exponent))
        row.next = p.meta[FREE_SET]
        p.meta[FREE_SET] = of
    return i


# -- asking ------------------------------------------------------------------------------------------


@making
def candidates(s, p, postings, least, most):
    """The texts that have at least so many of some pairs, those with most first, then by digest; at most ``most``."""
    places = np.empty(postings.size, np.int64)
    total = np.int64(0)
    for i in range(postings.size):
        places[i] = _value_of(p, _key_of(s, postings[i]))
        total += min(np.int64(MOST), np.int64(p.lists[-places[i]].count)) if places[i] < 0 else np.int64(1)
    names, front = np.empty(total, np.int64), np.empty(MOST + 1, np.int64)
    n = 0
    for there in places:
        if there > _NOBODY:
            names[n] = there - 1
            n += 1
        elif there < 0:
            row = p.lists[-there]
            n = _smallest(s.texts, p.members, np.int64(row.at), np.int64(row.count), MOST, front, names, n)
    names = names[:n]
    names.sort()
    found, shared = np.empty(n, np.int64), np.empty(n, np.int64)
    count, i = 0, 0
    while i < n:
        j = i
        while j < n and names[j] == names[i]:
            j += 1
        if j - i >= least:
            found[count], shared[count] = names[i], j - i
            count += 1
        i = j
    order = _by_digest(s, found[:count])
    order = order[np.argsort(-shared[order], kind="mergesort")]
    return found[order[:most]]


@making
def _by_digest(s, texts):
    """The order of texts by their digests."""
    high = np.empty(texts.size, np.uint64)
    for i in range(texts.size):
        high[i] = s.texts[texts[i]].high
    order = np.argsort(high, kind="mergesort")
    for i in range(1, order.size):
        j = i
        while (
            j > 0
            and high[order[j - 1]] == high[order[j]]
            and is_before(s.texts, texts[order[j]], texts[order[j - 1]])
        ):
            order[j - 1], order[j] = order[j], order[j - 1]
            j -= 1
    return order
