"""Folding what was verified and decided."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    AWAITED,
    DECIDED,
    JOINED,
    L_DECISION,
    POSITION,
    UNDECIDED,
    WHOLE,
    absorb,
    jit,
    log_add,
)
from dedup.state.kernels.due import cover, discharge, touch
from dedup.state.kernels.edges import cut_edge, edge_between, is_eligible, put_edge
from dedup.state.kernels.lists import is_before

#: Flags of a text in an entry: all its partners were looked up; nothing more of this look-up follows.
ALL_PARTNERS, COMPLETE = 1, 2


@jit
def verify(s, e, first, steps):
    """Fold the texts of a *verified* entry from ``first`` on; the one to go on with."""
    now = np.uint64(s.meta[POSITION])
    done = 0
    i = first
    while i < e.texts.size:
        if done > steps and i > first:
            return i
        text, looked_up, flags = np.int64(e.texts[i]), e.looked_up[i], np.int64(e.flags[i])
        for j in range(e.partners_at[i], e.partners_at[i + 1]):
            _pair(s, e, j, text, looked_up, now)
        done += 5 + e.partners_at[i + 1] - e.partners_at[i]
        t = s.texts[text]
        if flags & COMPLETE and s.dead[text] == 0:
            if t.flags & JOINED == 0:
                t.flags |= JOINED
                touch(s.texts, s.dirty, s.meta, s.sums, text, now)
            if flags & ALL_PARTNERS:
                cover(s.texts, s.sums, text, looked_up)
            if t.due <= looked_up and (flags & ALL_PARTNERS or t.flags & WHOLE == 0):
                discharge(s.texts, s.meta, s.sums, text)
        i += 1
    return i


@jit
def _pair(s, e, j, text, looked_up, now):
    """The result for a text and its partner j, unless a later look-up has told about them."""
    other = np.int64(e.partners[j])
    if s.dead[text] != 0 or s.dead[other] != 0:
        return
    t, o = s.texts[text], s.texts[other]
    if (t.covered > looked_up and o.arrived <= t.covered) or (
        o.covered > looked_up and t.arrived <= o.covered
    ):
        return
    number = edge_between(s.texts, s.edges, text, other)
    if number != 0 and s.edges[number].position > looked_up:
        return
    eligible = e.edges[j].kind != 0 and is_eligible(
        s.lists, s.groups, s.text_lists, s.flagged, s.texts, s.outlets, s.meta, text, other
    )
    if eligible:
        a, b = (text, other) if is_before(s.texts, text, other) else (other, text)
        put_edge(s.texts, s.edges, s.dirty, s.meta, s.sums, number, a, b, e.edges[j], looked_up, now)
    elif number != 0:
        cut_edge(s.texts, s.edges, s.dirty, s.meta, s.sums, number, now)


@jit
def decide(s, articles, decisions):
    """Fold decisions; of several about an article the first stands."""
    for i in range(articles.size):
        a = s.articles[articles[i]]
        if a.flags & DECIDED:
            continue
        if a.flags & AWAITED:
            s.meta[UNDECIDED] -= 1
        a.flags |= DECIDED
        d = decisions[i]
        a.kind, a.copied, a.covered = d.kind, d.copied, d.covered
        for k in range(4):
            a.words[k] = d.words[k]
        said = np.float64(d.covered).view(np.uint64)
        for k in range(4):
            said = absorb(said, d.words[k])
        what = np.uint64(d.kind) << np.uint64(32) | np.uint64(d.copied)
        log_add(s.sums, 1, L_DECISION, articles[i], what, said)
