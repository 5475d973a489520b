"""Clusters and stories of a component of texts, and the events of what changed in them.

The procedure is that of :mod:`dedup.core.clustering`; here it runs on rows of the state, without a Python object.
"""

from __future__ import annotations

import numpy as np

from dedup.core.kernels.grouping import join_all, join_supported, join_within, neighbors
from dedup.state.kernels.base import (
    CLUSTER_CHANGED,
    CLUSTER_ENDED,
    CLUSTER_MERGED,
    CLUSTER_SPLIT,
    DIRTY,
    DIRTY_COUNT,
    EVENTS,
    JOINED,
    L_CLUSTER,
    L_EVENT,
    L_STORY,
    LATE_AGE,
    LATE_COUNT,
    POSITION,
    STORY_CHANGED,
    STORY_ENDED,
    TEXTS,
    jit,
    log_add,
    log_swap,
    making,
)
from dedup.state.kernels.edges import following
from dedup.state.kernels.told import forget, next_mark, note_groups, note_pairs

_SHARED_QUOTE, _NEAR_DUPLICATE = 5, 2
#: Edges from which on the places of their ends are written down instead of searched.
_MANY_EDGES = 1000
#: Edges up to which a component gets its events at once; entries after which a larger one does.
SMALL, PATIENCE = 500, 16


@jit
def is_within(texts, a, b):
    """Whether all carriers of two texts are one outlet's."""
    return texts[a].outlets == 0 and texts[b].outlets == 0 and texts[a].source == texts[b].source


@jit
def may_join(texts, e, rules):
    """Whether an edge can join clusters."""
    return e.kind != _SHARED_QUOTE and (
        not is_within(texts, e.a, e.b) or e.min_coverage >= rules.same_source_share
    )


@jit
def links_story(texts, e, rules):
    """Whether an edge can link clusters in a story."""
    covers = max(e.a_containment, e.b_containment) >= rules.covered
    return not is_within(texts, e.a, e.b) or (e.kind != _SHARED_QUOTE and covers)


@making
def _larger(array):
    out = np.empty(2 * array.size, array.dtype)
    out[: array.size] = array
    return out


@making
def gather(s, seed, limit, rules):
    """The texts of a component, ascending, and its edges; no texts where it has more than ``limit`` edges."""
    mark = next_mark(s)
    texts, edges = np.empty(16, np.int64), np.empty(16, np.int64)
    texts[0] = seed
    s.texts[seed].mark = mark
    count, done, found = 1, 0, 0
    while done < count:
        text = texts[done]
        done += 1
        at = np.int64(s.texts[text].edges)
        while at != 0:
            e = s.edges[at]
            if may_join(s.texts, e, rules) or links_story(s.texts, e, rules):
                mine = e.a == text
                if mine:
                    if found == limit:
                        return texts[:0], edges[:0]
                    if found == edges.size:
                        edges = _larger(edges)
                    edges[found] = at
                    found += 1
                other = np.int64(e.b if mine else e.a)
                if s.texts[other].mark != mark:
                    s.texts[other].mark = mark
                    if count == texts.size:
                        texts = _larger(texts)
                    texts[count] = other
                    count += 1
            at = following(s.edges, at, text)
    nodes = texts[:count]
    nodes.sort()
    return nodes, edges[:found]


@making
def _ranks(s, nodes):
    """The places of texts in the order of their digests."""
    high = np.empty(nodes.size, np.uint64)
    for i in range(nodes.size):
        high[i] = s.texts[nodes[i]].high
    order = np.argsort(high)
    for i in range(1, order.size):
        j = i
        while j > 0 and (
            high[order[j - 1]] == high[order[j]]
            and s.texts[nodes[order[j - 1]]].low > s.texts[nodes[order[j]]].low
        ):
            order[j - 1], order[j] = order[j], order[j - 1]
            j -= 1
    rank = np.empty(nodes.size, np.int64)
    for i in range(order.size):
        rank[order[i]] = i
    return rank


@making
def _strongest_first(s, edges, a, b, rank):
    """The order of edges: kind, then unquoted words, quoted ones, and the digests of the two texts."""
    most = np.uint64((1 << 28) - 1)
    ends, strength = np.empty(edges.size, np.uint64), np.empty(edges.size, np.uint64)
    for i in range(edges.size):
        x, y = rank[a[i]], rank[b[i]]
        ends[i] = np.uint64(min(x, y)) << np.uint64(32) | np.uint64(max(x, y))
        e = s.edges[edges[i]]
        strength[i] = (
            np.uint64(e.kind) << np.uint64(56)
            | (most - np.uint64(e.unquoted)) << np.uint64(28)
            | (most - np.uint64(e.quoted))
        )
    order = np.argsort(ends, kind="mergesort")
    return order[np.argsort(strength[order], kind="mergesort")]


@making
def partition(s, nodes, edges, rules):
    """Clusters, stories and links of texts, ascending, and all edges among them.

    Returns the first text of the cluster of each, the first text of the story of each (0: none), both int64 (nodes,),
    and pairs of clusters, by their first texts, that are linked, int64 (links, 2), with repetition.
    """
    n, m = nodes.size, edges.size
    a, b = np.empty(m, np.int64), np.empty(m, np.int64)
    joins, links = np.empty(m, np.bool_), np.empty(m, np.bool_)
    a_containment, b_containment = np.empty(m, np.float64), np.empty(m, np.float64)
    copies = 0
    many = m > _MANY_EDGES
    place = np.empty(s.meta[TEXTS] + 1 if many else 1, np.int32)
    if many:
        for i in range(n):
            place[nodes[i]] = i
    for i in range(m):
        e = s.edges[edges[i]]
        if many:
            a[i], b[i] = place[e.a], place[e.b]
        else:
            a[i], b[i] = np.searchsorted(nodes, e.a), np.searchsorted(nodes, e.b)
        a_containment[i], b_containment[i] = e.a_containment, e.b_containment
        joins[i], links[i] = may_join(s.texts, e, rules), links_story(s.texts, e, rules)
        copies += 1 if joins[i] and e.kind <= _NEAR_DUPLICATE else 0
    copy_a, copy_b = np.empty(copies, np.int64), np.empty(copies, np.int64)
    copies = 0
    for i in range(m):
        if joins[i] and s.edges[edges[i]].kind <= _NEAR_DUPLICATE:
            copy_a[copies], copy_b[copies] = a[i], b[i]
            copies += 1
    groups = join_all(n, copy_a, copy_b)
    between = np.empty(m, np.int64)
    count, weaker = 0, 0
    for i in range(m):
        if groups[a[i]] != groups[b[i]]:
            between[count] = i
            count += 1
            weaker += 1 if joins[i] else 0
    between = between[:count]
    if count > 0:
        rank = _ranks(s, nodes)
        between = between[_strongest_first(s, edges[between], a[between], b[between], rank)]
    if weaker > 0:
        groups = _join_weaker(
            n, groups, between[joins[between]], joins, a, b, a_containment, b_containment, rules
        )
    cluster = np.empty(n, np.int64)
    first = np.full(n, -1, np.int64)
    for i in range(n):
        if first[groups[i]] < 0:
            first[groups[i]] = i
        cluster[i] = nodes[first[groups[i]]]
    story, linked = _stories(s, nodes, edges, cluster, between, a, b, links, rules)
    return cluster, story, linked


@making
def _join_weaker(n, groups, weaker, joins, a, b, a_containment, b_containment, rules):
    start, others, shares = neighbors(n, a[joins], b[joins], a_containment[joins], b_containment[joins])
    return join_supported(
        groups,
        start,
        others,
        shares,
        a[weaker],
        b[weaker],
        a_containment[weaker],
        b_containment[weaker],
        rules.support,
        rules.hub_share,
        rules.thin_share,
        rules.covered,
    )


@making
def _stories(s, nodes, edges, cluster, between, a, b, links, rules):
    """Stories of clusters, strongest links first, and the pairs of clusters that copies link."""
    n = nodes.size
    story = np.zeros(n, np.int64)
    pairs = np.empty((between.size, 2), np.int64)
    x, y = np.empty(between.size, np.int64), np.empty(between.size, np.int64)
    count, told = 0, 0
    for k in range(between.size):
        i = between[k]
        one, other = cluster[a[i]], cluster[b[i]]
        if one == other:
            continue
        if s.edges[edges[i]].kind != _SHARED_QUOTE:
            pairs[count, 0], pairs[count, 1] = min(one, other), max(one, other)
            count += 1
        if links[i]:
            x[told], y[told] = np.searchsorted(nodes, one), np.searchsorted(nodes, other)
            told += 1
    if told > 0:
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        for i in range(n):
            c = np.searchsorted(nodes, cluster[i])
            low[c] = min(low[c], s.texts[nodes[i]].first)
            high[c] = max(high[c], s.texts[nodes[i]].last)
        label = join_within(low, high, x[:told], y[:told], rules.story_span)
        size, first = np.zeros(n, np.int64), np.full(n, -1, np.int64)
        for i in range(n):
            if cluster[i] == nodes[i]:
                size[label[i]] += 1
                if first[label[i]] < 0:
                    first[label[i]] = i
        for i in range(n):
            mine = label[np.searchsorted(nodes, cluster[i])]
            if size[mine] > 1:
                story[i] = nodes[first[mine]]
    return story, pairs[:count]


@jit
def _tell(s, kind, old, new):
    e = s.events[s.meta[EVENTS]]
    e.position, e.kind, e.old, e.new = s.meta[POSITION], kind, old, new
    s.meta[EVENTS] += 1
    log_add(s.sums, 1, L_EVENT, kind, np.uint64(old) << np.uint64(32) | np.uint64(new), s.meta[POSITION])


@jit
def resolve(s, text):
    """The living text that a text's number leads to, 0 where none is left."""
    while text != 0 and s.dead[text] != 0:
        text = np.int64(s.texts[text].cluster)
    return text


@making
def _distinct(pairs, count):
    """Sorted, without repetition: how many."""
    found = pairs[:count]
    found.sort()
    kept = 0
    for i in range(count):
        if i == 0 or found[i] != found[i - 1]:
            pairs[kept] = found[i]
            kept += 1
    return kept


@making
def _name_clusters(s, nodes, cluster, story):
    """Events of a component: which clusters changed, which names lead elsewhere now; every text gets its cluster."""
    n = nodes.size
    changed = np.empty(n, np.int64)
    moved = np.empty(n, np.uint64)
    changes, moves = 0, 0
    for i in range(n):
        t = s.texts[nodes[i]]
        old, new = np.int64(t.cluster), cluster[i]
        alone = (n == 1 or (new == nodes[i] and (i == 0 or cluster[i] != cluster[i - 1]))) and story[i] == 0
        if old != new or t.flags & DIRTY or np.int64(t.story) != story[i]:
            if not (alone and n == 1 and t.count == 1):
                changed[changes] = new
                changes += 1
        if old != 0 and old != new:
            moved[moves] = np.uint64(old) << np.uint64(32) | np.uint64(new)
            moves += 1
        if old != new:
            log_swap(s.sums, L_CLUSTER, nodes[i], np.uint64(old), np.uint64(new))
            t.cluster = new
    for i in range(_distinct(moved, moves)):
        old, new = np.int64(moved[i] >> np.uint64(32)), np.int64(moved[i] & np.uint64(0xFFFFFFFF))
        home = resolve(s, old)
        if home != 0:
            home = np.int64(s.texts[home].cluster)
        if home == new or home == 0:
            _tell(s, CLUSTER_MERGED if home != old else CLUSTER_CHANGED, old, new)
        else:
            _tell(s, CLUSTER_SPLIT, old, new)
    for i in range(_distinct(changed, changes)):
        _tell(s, CLUSTER_CHANGED, changed[i], changed[i])


@making
def _name_stories(s, nodes, story):
    n = nodes.size
    changed = np.empty(2 * n, np.int64)
    changes = 0
    for i in range(n):
        t = s.texts[nodes[i]]
        old = np.int64(t.story)
        if old != story[i] or (t.flags & DIRTY and story[i] != 0):
            for name in (old, story[i]):
                if name != 0:
                    changed[changes] = name
                    changes += 1
        log_swap(s.sums, L_STORY, nodes[i], np.uint64(old), np.uint64(story[i]))
        t.story = story[i]
    for i in range(_distinct(changed, changes)):
        stands = False
        for j in range(n):
            stands |= story[j] == changed[i]
        _tell(s, STORY_CHANGED if stands else STORY_ENDED, changed[i], changed[i])


@making
def tell_changes(s, forced, steps, rules):
    """Events for the components that an entry changed; how many of its dirty texts are left to do.

    Those of more than ``SMALL`` edges wait until ``PATIENCE`` entries found one waiting, or an entry forces it.
    """
    done = 0
    while s.meta[DIRTY_COUNT] > 0:
        if done > steps:
            return s.meta[DIRTY_COUNT]
        s.meta[DIRTY_COUNT] -= 1
        text = np.int64(s.dirty[s.meta[DIRTY_COUNT]])
        t = s.texts[text]
        note_pairs(s, text)
        if t.flags & DIRTY == 0:
            continue
        if s.dead[text] != 0:
            forget(s, text)
            t.flags &= ~np.uint16(DIRTY)
            name = np.int64(t.mid_day) if t.mid_day != 0 else text
            if t.cluster == 0 and t.flags & JOINED and resolve(s, name) == 0:
                _tell(s, CLUSTER_ENDED, name, 0)
            continue
        if t.flags & JOINED == 0 and t.cluster == 0:
            t.flags &= ~np.uint16(DIRTY)
            continue
        nodes, edges = gather(s, text, np.int64(1) << 60 if forced else SMALL, rules)
        if nodes.size == 0:
            t.flags &= ~np.uint16(DIRTY)
            s.late[s.meta[LATE_COUNT]] = text
            s.meta[LATE_COUNT] += 1
            done += SMALL
            continue
        cluster, story, links = partition(s, nodes, edges, rules)
        note_groups(s, nodes, cluster, story, links)
        _name_clusters(s, nodes, cluster, story)
        _name_stories(s, nodes, story)
        for i in range(nodes.size):
            s.texts[nodes[i]].flags &= ~np.uint16(DIRTY)
        done += 10 + nodes.size + edges.size
    return 0


@jit
def wake_late(s, forced):
    """Whether the large components that wait get their events now; if so their texts are dirty again."""
    if s.meta[LATE_COUNT] == 0:
        s.meta[LATE_AGE] = 0
        return False
    s.meta[LATE_AGE] += 1
    if not forced and s.meta[LATE_AGE] < PATIENCE:
        return False
    for i in range(s.meta[LATE_COUNT]):
        text = np.int64(s.late[i])
        if s.dead[text] == 0 and s.texts[text].flags & DIRTY == 0:
            s.texts[text].flags |= DIRTY
            s.dirty[s.meta[DIRTY_COUNT]] = text
            s.meta[DIRTY_COUNT] += 1
    s.meta[LATE_COUNT], s.meta[LATE_AGE] = 0, 0
    return True
