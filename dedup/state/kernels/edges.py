"""Edges between texts, and which pairs of texts are eligible."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    CONTENT,
    CONTENT_2,
    DAY,
    E_EDGE,
    EDGE_COUNT,
    EDGES,
    FREE_EDGE,
    L_EDGE,
    LANDMARKS,
    WINDOW_DAYS,
    absorb,
    inline,
    jit,
    log_add,
    start,
)
from dedup.state.kernels.boilerplate import is_boilerplate
from dedup.state.kernels.due import touch
from dedup.state.kernels.lists import opening, place_in_group


@inline
def within_window(texts, a, b, days):
    """Whether two texts were published near enough to each other; 0 days: always."""
    if days == 0:
        return True
    apart = max(texts[a].first - texts[b].last, texts[b].first - texts[a].last)
    return apart <= days * DAY


@jit
def is_eligible(lists, groups, text_lists, flagged, texts, outlets, meta, a, b):
    """Whether two living texts may be compared; see :mod:`dedup.state.postings`."""
    if not within_window(texts, a, b, meta[WINDOW_DAYS]):
        return False
    landmarks = meta[LANDMARKS]
    i, j = np.int64(texts[a].lists_at), np.int64(texts[b].lists_at)
    end_i, end_j = i + np.int64(texts[a].lists), j + np.int64(texts[b].lists)
    in_hot = False
    while i < end_i and j < end_j:
        if text_lists[i] < text_lists[j]:
            i += 1
        elif text_lists[i] > text_lists[j]:
            j += 1
        else:
            number = np.int64(text_lists[i])
            i += 1
            j += 1
            row = lists[number]
            alive = np.int64(row.alive)
            if alive > landmarks:
                opens = min(opening(alive, landmarks), np.int64(row.group))
                at = np.int64(row.group_at)
                if place_in_group(groups, at, opens, a) < 0 and place_in_group(groups, at, opens, b) < 0:
                    continue
            if row.outlets != 0 or row.flags & 2:
                if is_boilerplate(lists, flagged, texts, outlets, number, a):
                    continue
                if is_boilerplate(lists, flagged, texts, outlets, number, b):
                    continue
            if alive <= landmarks or in_hot:
                return True
            in_hot = True
    return False


@inline
def _bits(value):
    """A double as the 64 bits it is stored in."""
    return np.float64(value).view(np.uint64)


@jit
def _sum_edge(texts, edges, sums, number, sign):
    """Put an edge into both digests, or take it out."""
    e = edges[number]
    a, b = texts[e.a], texts[e.b]
    for lane in range(2):
        h = absorb(absorb(absorb(start(lane + 1), E_EDGE), a.high), a.low)
        h = absorb(absorb(absorb(absorb(absorb(h, b.high), b.low), e.kind), e.unquoted), e.quoted)
        h = absorb(absorb(absorb(h, _bits(e.a_containment)), _bits(e.b_containment)), _bits(e.min_coverage))
        place = CONTENT if lane == 0 else CONTENT_2
        if sign > 0:
            sums[place] += h
        else:
            sums[place] -= h
        if lane == 0:
            log_add(sums, sign, L_EDGE, h, e.position, 0)


@jit
def edge_between(texts, edges, a, b):
    """The number of the edge of two texts, 0 where there is none."""
    near, far = (a, b) if texts[a].degree <= texts[b].degree else (b, a)
    at = np.int64(texts[near].edges)
    while at != 0:
        if edges[at].a == near:
            if edges[at].b == far:
                return at
            at = np.int64(edges[at].next_a)
        else:
            if edges[at].a == far:
                return at
            at = np.int64(edges[at].next_b)
    return np.int64(0)


@inline
def following(edges, number, text):
    """The next edge of a text, 0 after the last."""
    return np.int64(edges[number].next_a if edges[number].a == text else edges[number].next_b)


@jit
def _link(texts, edges, number, text, is_a):
    head = texts[text].edges
    if is_a:
        edges[number].next_a, edges[number].before_a = head, 0
    else:
        edges[number].next_b, edges[number].before_b = head, 0
    if head != 0:
        if edges[head].a == text:
            edges[head].before_a = number
        else:
            edges[head].before_b = number
    texts[text].edges = number
    texts[text].degree += 1


@jit
def _unlink(texts, edges, number, text, is_a):
    e = edges[number]
    before, after = (e.before_a, e.next_a) if is_a else (e.before_b, e.next_b)
    if before == 0:
        texts[text].edges = after
    elif edges[before].a == text:
        edges[before].next_a = after
    else:
        edges[before].next_b = after
    if after != 0:
        if edges[after].a == text:
            edges[after].before_a = before
        else:
            edges[after].before_b = before
    texts[text].degree -= 1


@jit
def put_edge(texts, edges, dirty, meta, sums, number, a, b, values, position, now):
    """Write the edge of texts a and b, a new one where ``number`` is 0; ``values`` are its measures."""
    if number == 0:
        number = meta[FREE_EDGE]
        if number != 0:
            meta[FREE_EDGE] = np.int64(edges[number].next_a)
        else:
            meta[EDGES] += 1
            number = meta[EDGES]
        edges[number].a, edges[number].b, edges[number].mark = a, b, 0
        _link(texts, edges, number, a, True)
        _link(texts, edges, number, b, False)
        meta[EDGE_COUNT] += 1
        changed = True
    else:
        _sum_edge(texts, edges, sums, number, -1)
        e = edges[number]
        changed = (
            e.kind != values.kind
            or e.unquoted != values.unquoted
            or e.quoted != values.quoted
            or e.a_containment != values.a_containment
            or e.b_containment != values.b_containment
            or e.min_coverage != values.min_coverage
        )
    e = edges[number]
    e.kind, e.unquoted, e.quoted = values.kind, values.unquoted, values.quoted
    e.a_containment, e.b_containment, e.min_coverage = (
        values.a_containment,
        values.b_containment,
        values.min_coverage,
    )
    e.position = position
    _sum_edge(texts, edges, sums, number, 1)
    if changed:
        touch(texts, dirty, meta, sums, a, now)
        touch(texts, dirty, meta, sums, b, now)


@jit
def cut_edge(texts, edges, dirty, meta, sums, number, now):
    """The edge is no more."""
    _sum_edge(texts, edges, sums, number, -1)
    a, b = np.int64(edges[number].a), np.int64(edges[number].b)
    _unlink(texts, edges, number, a, True)
    _unlink(texts, edges, number, b, False)
    edges[number].a = 0
    edges[number].next_a = meta[FREE_EDGE]
    meta[FREE_EDGE] = number
    meta[EDGE_COUNT] -= 1
    touch(texts, dirty, meta, sums, a, now)
    touch(texts, dirty, meta, sums, b, now)
