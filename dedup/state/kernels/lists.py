"""Posting lists: who joins, who leaves, who is a landmark."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels import arena
from dedup.state.kernels.base import (
    GROUP_WORDS,
    HAS_MEMBERS,
    L_GROUP,
    L_LISTED,
    LANDMARKS,
    MEMBER_WORDS,
    MEND,
    REPAIR,
    inline,
    jit,
    log_add,
    making,
)
from dedup.state.kernels.boilerplate import (
    entry_of,
    judge_all,
    judge_flagged,
    judge_outlet,
    queue_work,
    text_of,
)
from dedup.state.kernels.due import queue_check, set_due

#: Texts from which on only half of the landmarks open a list.
CROWD = 100


@inline
def opening(alive, landmarks):
    """How many landmarks, the smallest first, may be compared with all others of a hot list of so many texts."""
    return landmarks if alive < CROWD else (landmarks + 1) // 2


@inline
def is_before(texts, x, y):
    """Whether the digest of text x is smaller than that of y."""
    if texts[x].high != texts[y].high:
        return texts[x].high < texts[y].high
    return texts[x].low < texts[y].low


@jit
def place_among(texts, groups, at, size, text):
    """The place that a text has, or would have, among landmarks in the order of their digests."""
    place = size
    while place > 0 and is_before(texts, text, text_of(groups[at + place - 1])):
        place -= 1
    return place


@jit
def place_in_group(groups, at, size, text):
    """The place of a text in a group, -1 where it is in none."""
    for i in range(size):
        if text_of(groups[at + i]) == text:
            return i
    return -1


@jit
def _make_room(groups, free, meta, row):
    """Room for one more in a list's group."""
    if np.int64(row.group) < np.int64(1) << np.int64(row.group_class):
        return
    larger = arena.take(groups, free, arena.GROUPS, meta, GROUP_WORDS, np.int64(row.group_class) + 1)
    old = np.int64(row.group_at)
    for i in range(np.int64(row.group)):
        groups[larger + i] = groups[old + i]
    arena.give_back(groups, free, arena.GROUPS, old, np.int64(row.group_class))
    row.group_at = larger
    row.group_class += 1


@jit
def _put_in_group(groups, free, meta, sums, row, place, entry):
    _make_room(groups, free, meta, row)
    at = np.int64(row.group_at)
    for i in range(np.int64(row.group), place, -1):
        groups[at + i] = groups[at + i - 1]
    groups[at + place] = entry
    row.group += 1
    log_add(sums, 1, L_GROUP, row.posting, text_of(entry), 0)


@jit
def _take_from_group(groups, sums, row, place):
    at = np.int64(row.group_at)
    log_add(sums, -1, L_GROUP, row.posting, text_of(groups[at + place]), 0)
    for i in range(place + 1, np.int64(row.group)):
        groups[at + i - 1] = groups[at + i]
    row.group -= 1


@jit
def members_needed(row):
    """Words of the arena of members that one more member could take."""
    if row.flags & HAS_MEMBERS:
        return (
            np.int64(2) << np.int64(row.members_class)
            if np.int64(row.count) == np.int64(1) << np.int64(row.members_class)
            else 0
        )
    return np.int64(4) << arena.size_class(np.int64(row.count) + 1)


@jit
def _list_members(groups, members, free, meta, row):
    """Write the members of a list apart from its group, which has held them all, ascending."""
    exponent = max(1, arena.size_class(np.int64(row.count) + 1))
    at = arena.take(members, free, arena.MEMBERS, meta, MEMBER_WORDS, exponent)
    for i in range(np.int64(row.group)):
        text = text_of(groups[np.int64(row.group_at) + i])
        j = i
        while j > 0 and members[at + j - 1] > text:
            members[at + j] = members[at + j - 1]
            j -= 1
        members[at + j] = text
    row.members_at, row.members_class = at, exponent
    row.flags |= HAS_MEMBERS


@jit
def _append_member(members, free, meta, row, text):
    at = np.int64(row.members_at)
    if np.int64(row.count) == np.int64(1) << np.int64(row.members_class):
        larger = arena.take(members, free, arena.MEMBERS, meta, MEMBER_WORDS, np.int64(row.members_class) + 1)
        for i in range(np.int64(row.count)):
            members[larger + i] = members[at + i]
        arena.give_back(members, free, arena.MEMBERS, at, np.int64(row.members_class))
        row.members_at = larger
        row.members_class += 1
        at = larger
    members[at + np.int64(row.count)] = text


@jit
def found(lists, groups, free, meta, sums, texts, number, posting, text):
    """A list of one text begins."""
    row = lists[number]
    row.posting, row.members_at, row.outlets, row.flags = posting, 0, 0, 0
    row.group_class = 1
    row.group_at = arena.take(groups, free, arena.GROUPS, meta, GROUP_WORDS, 1)
    row.group, row.count, row.alive = 0, 1, 1
    _put_in_group(groups, free, meta, sums, row, 0, entry_of(texts, text))
    log_add(sums, 1, L_LISTED, posting, text, 0)


@jit
def bury_in(lists, groups, members, free, meta, sums, number):
    """The only text of a list was removed, but is still looked up by those that arrived before."""
    row = lists[number]
    _list_members(groups, members, free, meta, row)
    _take_from_group(groups, sums, row, 0)
    row.alive = 0


@jit
def join(
    lists, spreads, groups, members, free, flagged, texts, outlets, work, meta, sums, number, text, position
):
    """A new text joins a list: edges that may be lost by that are queued, what is boilerplate now is flagged."""
    row = lists[number]
    landmarks = meta[LANDMARKS]
    alive = np.int64(row.alive)
    log_add(sums, 1, L_LISTED, row.posting, text, 0)
    inside, lost = True, False
    if alive < landmarks:
        if row.flags & HAS_MEMBERS:
            _append_member(members, free, meta, row, text)
        row.count += 1
        row.alive += 1
        _put_in_group(groups, free, meta, sums, row, np.int64(row.group), entry_of(texts, text))
    else:
        if alive == landmarks:
            if row.flags & HAS_MEMBERS == 0:
                _list_members(groups, members, free, meta, row)
            _order(groups, texts, row)
            for i in range(np.int64(row.group)):
                queue_check(texts, work, meta, sums, text_of(groups[np.int64(row.group_at) + i]), position)
        _append_member(members, free, meta, row, text)
        row.count += 1
        row.alive += 1
        at, size = np.int64(row.group_at), np.int64(row.group)
        place = place_among(texts, groups, at, size, text)
        opened = opening(alive, landmarks) if alive > landmarks else size
        opens = opening(alive + 1, landmarks)
        stay = opens - 1 if place < opens else opens
        for i in range(max(0, stay), min(opened, size)):
            queue_check(texts, work, meta, sums, text_of(groups[at + i]), position)
        inside = place < size
        if inside:
            if size == landmarks:
                _take_from_group(groups, sums, row, size - 1)
                lost = True
            _put_in_group(groups, free, meta, sums, row, place, entry_of(texts, text))
    if lost:
        judge_flagged(lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, position)
    if inside:
        source = texts[text].source
        judge_outlet(
            lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, source, position
        )
    if alive + 1 >= CROWD and (inside or alive + 1 == CROWD):
        judge_all(lists, spreads, flagged, texts, groups, work, meta, sums, number, position)


@jit
def _order(groups, texts, row):
    """The group of a list that becomes hot, in the order of digests."""
    at = np.int64(row.group_at)
    for i in range(1, np.int64(row.group)):
        entry = groups[at + i]
        j = i
        while j > 0 and is_before(texts, text_of(entry), text_of(groups[at + j - 1])):
            groups[at + j] = groups[at + j - 1]
            j -= 1
        groups[at + j] = entry


@jit
def judge_outlets_of(
    lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, text, position
):
    """A text came into the group of a list: what its outlets repeat there may be boilerplate now."""
    source = texts[text].source
    judge_outlet(lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, source, position)
    at = np.int64(texts[text].outlets)
    while at != 0:
        source = outlets[at].source
        judge_outlet(
            lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, source, position
        )
        at = np.int64(outlets[at].next)


@jit
def leave(
    lists,
    spreads,
    groups,
    members,
    free,
    flagged,
    texts,
    dead,
    outlets,
    work,
    due,
    meta,
    sums,
    number,
    text,
    position,
):
    """A text that was removed leaves a list, but for those that arrived before: its place among members stays."""
    row = lists[number]
    landmarks = meta[LANDMARKS]
    if row.flags & HAS_MEMBERS == 0:
        _list_members(groups, members, free, meta, row)
    before = np.int64(row.alive)
    row.alive -= 1
    alive = before - 1
    place = place_in_group(groups, np.int64(row.group_at), np.int64(row.group), text)
    if place >= 0:
        _take_from_group(groups, sums, row, place)
    if before > landmarks and alive <= landmarks:
        row.flags &= ~np.uint8(REPAIR)
        _make_cold(
            lists,
            spreads,
            groups,
            members,
            free,
            flagged,
            texts,
            dead,
            outlets,
            work,
            due,
            meta,
            sums,
            number,
            position,
        )
    elif alive > landmarks:
        if place >= 0 and row.flags & REPAIR == 0:
            row.flags |= REPAIR
            queue_work(work, meta, sums, MEND, number, np.uint64(0), position)
        opened, opens = opening(before, landmarks), opening(alive, landmarks)
        # who moved up among those that open the list
        first = opened if place < 0 or place >= opened else opened - 1
        for i in range(first, min(opens, np.int64(row.group))):
            set_due(texts, due, meta, sums, text_of(groups[np.int64(row.group_at) + i]), position, True)
    if place >= 0:
        judge_flagged(lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, position)
    judge_all(lists, spreads, flagged, texts, groups, work, meta, sums, number, position)


@jit
def _make_cold(
    lists,
    spreads,
    groups,
    members,
    free,
    flagged,
    texts,
    dead,
    outlets,
    work,
    due,
    meta,
    sums,
    number,
    position,
):
    """A list is hot no longer: its group is all its texts, and any two of them may be compared."""
    row = lists[number]
    for i in range(np.int64(row.count)):
        text = np.int64(members[np.int64(row.members_at) + i])
        if dead[text] != 0:
            continue
        set_due(texts, due, meta, sums, text, position, True)
        if place_in_group(groups, np.int64(row.group_at), np.int64(row.group), text) < 0:
            _put_in_group(groups, free, meta, sums, row, np.int64(row.group), entry_of(texts, text))
            judge_outlets_of(
                lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, text, position
            )


@making
def mend(
    lists,
    spreads,
    groups,
    members,
    free,
    flagged,
    texts,
    dead,
    outlets,
    work,
    due,
    meta,
    sums,
    number,
    position,
):
    """A hot list that lost landmarks gets the texts with the next smallest digests; these are due."""
    row = lists[number]
    if row.flags & REPAIR == 0:
        return
    row.flags &= ~np.uint8(REPAIR)
    landmarks = meta[LANDMARKS]
    best = np.empty(landmarks, np.int64)
    size = 0
    for i in range(np.int64(row.count)):
        text = np.int64(members[np.int64(row.members_at) + i])
        if dead[text] != 0 or (size == landmarks and not is_before(texts, text, best[size - 1])):
            continue
        place = size if size < landmarks else size - 1
        while place > 0 and is_before(texts, text, best[place - 1]):
            if place < landmarks:
                best[place] = best[place - 1]
            place -= 1
        best[place] = text
        size = min(landmarks, size + 1)
    opens = opening(np.int64(row.alive), landmarks)
    for i in range(size):
        if i < np.int64(row.group) and text_of(groups[np.int64(row.group_at) + i]) == best[i]:
            continue
        _put_in_group(groups, free, meta, sums, row, i, entry_of(texts, best[i]))
        if i < opens:
            set_due(texts, due, meta, sums, best[i], position, True)
        judge_outlets_of(
            lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, best[i], position
        )
    while np.int64(row.group) > size:
        _take_from_group(groups, sums, row, np.int64(row.group) - 1)
    judge_flagged(lists, spreads, flagged, texts, outlets, groups, work, meta, sums, number, position)
    judge_all(lists, spreads, flagged, texts, groups, work, meta, sums, number, position)


@jit
def unindex(lists, members, free, sums, number, text):
    """A removed text goes out of the members of a list; how many members moved up."""
    row = lists[number]
    at, low, high = np.int64(row.members_at), np.int64(0), np.int64(row.count)
    while low < high:
        middle = (low + high) // 2
        if members[at + middle] < text:
            low = middle + 1
        else:
            high = middle
    for i in range(low + 1, np.int64(row.count)):
        members[at + i - 1] = members[at + i]
    moved = np.int64(row.count) - low
    row.count -= 1
    log_add(sums, -1, L_LISTED, row.posting, text, 0)
    if row.count == row.alive and row.alive == row.group:
        arena.give_back(members, free, arena.MEMBERS, at, np.int64(row.members_class))
        row.flags &= ~np.uint8(HAS_MEMBERS)
        row.members_at = 0
    return moved


@jit
def retag(lists, groups, texts, number, text):
    """A text has got, or lost, its second outlet: how it stands in a group. Whether it stands in it."""
    row = lists[number]
    place = place_in_group(groups, np.int64(row.group_at), np.int64(row.group), text)
    if place >= 0:
        groups[np.int64(row.group_at) + place] = entry_of(texts, text)
    return place >= 0
