"""What an entry leaves to be done: spreading, checking, mending, burying, expiring.

It is done at the end of later entries, in slices whose size the log alone decides.
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.arriving import article_named, cancel, has_room, is_older, new_article
from dedup.state.kernels.base import (
    ALIVE,
    AWAITED,
    BURIAL_HEAD,
    BURIAL_TAIL,
    BURIED,
    CHECK,
    CHECKING,
    DECIDED,
    EXPIRE,
    FIRST_UNDECIDED,
    HAS_MEMBERS,
    L_UNINDEXED,
    MEND,
    NEVER,
    POSITION,
    ROWS,
    SERIAL,
    SPREAD,
    WANTING,
    WORK_HEAD,
    WORK_TAIL,
    jit,
    log_add,
    making,
)
from dedup.state.kernels.boilerplate import outlet_of, sum_work, text_of
from dedup.state.kernels.carriers import erase
from dedup.state.kernels.due import queue_check, set_due
from dedup.state.kernels.edges import cut_edge, following, is_eligible
from dedup.state.kernels.lists import mend, unindex

#: Marks of edges have 32 bits.
_LAST_MARK = (1 << 32) - 1


@making
def work_off(s, budget):
    """Do so much of the waiting work; what is left of the budget. An item may take more than is left.

    Stops where an arena has no room, ``WANTING`` of meta.
    """
    while budget > 0 and s.meta[WORK_HEAD] < s.meta[WORK_TAIL]:
        item = s.work[s.meta[WORK_HEAD]]
        if item.kind == MEND and not has_room(s, 1):
            return budget
        finished = True
        sum_work(s.sums, item, -1)
        if item.kind == SPREAD:
            finished, budget = _spread(s, item, budget)
            if finished:
                s.spreads[np.int64(item.what)] = 0
        elif item.kind == CHECK:
            finished, budget = _check(s, item, budget)
        elif item.kind == MEND:
            budget -= 1 + np.int64(s.lists[item.what].count) // 8
            mend(
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
                np.int64(item.what),
                np.uint64(s.meta[POSITION]),
            )
        elif item.kind == EXPIRE:
            finished, budget = _expire(s, item, budget)
        if finished:
            s.meta[WORK_HEAD] += 1
        else:
            sum_work(s.sums, item, 1)
            if s.meta[WANTING]:
                return budget
    return _bury(s, budget)


@jit
def _spread(s, item, budget):
    """A list has begun or ceased to be boilerplate: its texts are due, for their words that count are others now."""
    number = np.int64(item.what)
    row = s.lists[number]
    members = row.flags & HAS_MEMBERS != 0
    count = np.int64(row.count) if members else np.int64(row.group)
    at = np.int64(row.members_at) if members else np.int64(row.group_at)
    i = np.int64(0)
    if members and item.cursor > 0:  # after the last text that was met, wherever it stands now
        low, high = np.int64(0), count
        while low < high:
            middle = (low + high) // 2
            if s.members[at + middle] <= item.cursor:
                low = middle + 1
            else:
                high = middle
        i = low
    while i < count:
        if budget <= 0 and members:
            return False, budget
        text = np.int64(s.members[at + i]) if members else text_of(s.groups[at + i])
        item.cursor = text
        i += 1
        budget -= 1
        t = s.texts[text]
        if s.dead[text] != 0 or t.arrived >= item.position:
            continue
        # one whose carriers changed since may have had the outlet when the list changed
        another = item.source != 0 and outlet_of(s.texts, s.outlets, text, item.source) < 0
        if another and t.touched < item.position:
            continue
        queue_check(s.texts, s.work, s.meta, s.sums, text, item.position)
        if t.covered < item.position:
            set_due(s.texts, s.due, s.meta, s.sums, text, item.position, True)
    return True, budget


@jit
def _check(s, item, budget):
    """Cut the edges of a text that are no longer eligible."""
    text = np.int64(item.what)
    if s.dead[text] != 0:
        return True, budget
    if item.cursor == 0:
        s.meta[SERIAL] = s.meta[SERIAL] % _LAST_MARK + 1
        item.cursor = s.meta[SERIAL]
    now = np.uint64(s.meta[POSITION])
    at = np.int64(s.texts[text].edges)
    while at != 0:
        if budget <= 0:
            return False, budget
        after = following(s.edges, at, text)
        e = s.edges[at]
        if e.mark != item.cursor:
            budget -= 1
            e.mark = item.cursor
            a, b = np.int64(e.a), np.int64(e.b)
            if not is_eligible(s.lists, s.groups, s.text_lists, s.flagged, s.texts, s.outlets, s.meta, a, b):
                cut_edge(s.texts, s.edges, s.dirty, s.meta, s.sums, at, now)
        at = after
    s.texts[text].flags &= ~np.uint16(CHECKING)
    return True, budget


@jit
def _expire(s, item, budget):
    """Remove articles whose version that stands arrived before a position."""
    number = np.int64(max(np.int64(item.cursor), np.int64(1)))
    while number <= s.meta[ROWS] and s.rows[number].position < item.position:
        if budget <= 0:
            item.cursor = number
            return False, budget
        row = s.rows[number]
        article = np.int64(row.article)
        if s.articles[article].flags & ALIVE and np.int64(s.articles[article].row) == number:
            lists = np.int64(s.texts[row.text].lists)
            if not has_room(s, lists):
                item.cursor = number
                return False, budget
            cancel(s, article, NEVER, np.nan, np.uint64(0), np.uint64(s.meta[POSITION]))
            budget -= 10 + lists
        else:
            budget -= 1
        number += 1
    item.cursor = number
    return True, budget


@jit
def _bury(s, budget):
    """Take removed versions out of texts, removed texts out of lists, once all that came before are decided."""
    first = s.meta[FIRST_UNDECIDED]
    while first <= s.meta[ROWS]:
        flags = s.articles[s.rows[first].article].flags
        if flags & AWAITED != 0 and flags & DECIDED == 0:
            break
        first += 1
    s.meta[FIRST_UNDECIDED] = first
    while budget > 0 and s.meta[BURIAL_HEAD] < s.meta[BURIAL_TAIL]:
        number = np.int64(s.burials[s.meta[BURIAL_HEAD]])
        row = s.rows[number]
        if first <= s.meta[ROWS] and s.rows[first].position <= row.removed:
            break
        s.meta[BURIAL_HEAD] += 1
        budget -= 1
        text = np.int64(row.text)
        t = s.texts[text]
        before, at = np.int64(0), np.int64(t.carriers)
        while at != number:
            before, at = at, np.int64(s.rows[at].next)
            budget -= 1
        if before == 0:
            t.carriers = row.next
        else:
            s.rows[before].next = row.next
        row.flags |= BURIED
        erase(s, row.record)
        if s.dead[text] == 1 and t.carriers == 0:
            for i in range(np.int64(t.lists_at), np.int64(t.lists_at) + np.int64(t.lists)):
                moved = unindex(s.lists, s.members, s.free, s.sums, np.int64(s.text_lists[i]), text)
                budget -= moved // 64
            budget -= np.int64(t.lists)
            s.dead[text] = 2
            log_add(s.sums, 1, L_UNINDEXED, text, 0, 0)
    return budget


@jit
def remove(s, e, i):
    """Kill or delete article i of an entry, unless what stands is newer; False where there is no room yet."""
    number = article_named(s, e.name_hash[i], e.names, e.names_at[i], e.names_at[i + 1])
    if number == 0:
        number = new_article(s, e.name_hash[i], e.names, e.names_at[i], e.names_at[i + 1])
    else:
        row = s.rows[np.int64(s.articles[number].row)]
        if is_older(e.version[i], e.version_time[i], row):
            return True
        if not has_room(s, np.int64(s.texts[row.text].lists)):
            return False
    cancel(s, number, e.version[i], e.version_time[i], np.uint64(0), np.uint64(s.meta[POSITION]))
    return True
