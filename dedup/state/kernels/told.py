"""What is known of clusters and stories as of the last events: who belongs to them, which are listed, their digests.

Written when the events of a component are made, so that reading a cluster costs what it has, and counting nothing.
The texts of a cluster are a chain that begins at the text it is named after and ascends; so are the clusters of a
story.
"""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    DATED,
    E_CLUSTER,
    E_STORY,
    LISTED,
    MARK,
    PAIRED,
    STORY,
    TOLD_CLUSTERS,
    TOLD_STORIES,
    absorb,
    jit,
    making,
    start,
)

#: A version is complete if it has at least this share of the words of the longest (cluster_summary.COMPLETE).
COMPLETE = 0.8
_LAST_MARK = np.int64((1 << 32) - 1)


@jit
def next_mark(s):
    """A mark that no text has."""
    if s.meta[MARK] >= _LAST_MARK:
        for text in range(s.texts.size):
            s.texts[text].mark = 0
        s.meta[MARK] = 0
    s.meta[MARK] += 1
    return s.meta[MARK]


# -- representatives ---------------------------------------------------------------------------------


@jit
def is_named_before(s, x, y):
    """Whether the id of article x comes before that of y, by their bytes."""
    a, b = s.articles[x], s.articles[y]
    i, j = np.int64(a.name_at), np.int64(b.name_at)
    for k in range(min(np.int64(a.name_size), np.int64(b.name_size))):
        if s.names[i + k] != s.names[j + k]:
            return s.names[i + k] < s.names[j + k]
    return a.name_size < b.name_size


@jit
def representative(s, texts):
    """The article that stands for a cluster: the earliest complete version, the longest of these, the smallest id."""
    most = np.int64(0)
    for text in texts:
        at = np.int64(s.texts[text].carriers)
        while at != 0:
            if s.rows[at].removed == 0:
                most = max(most, np.int64(s.rows[at].words))
            at = np.int64(s.rows[at].next)
    best, dated = np.int64(0), False
    for text in texts:
        at = np.int64(s.texts[text].carriers)
        while at != 0:
            row = s.rows[at]
            if row.removed == 0 and row.words >= COMPLETE * most:
                has_time = row.flags & DATED != 0
                if best == 0 or has_time > dated:
                    best, dated = at, has_time
                elif has_time == dated and _is_better(s, at, best, dated):
                    best = at
            at = np.int64(row.next)
    return np.int64(s.rows[best].article)


@jit
def _is_better(s, x, y, dated):
    a, b = s.rows[x], s.rows[y]
    if dated and a.published != b.published:
        return a.published < b.published
    if a.words != b.words:
        return a.words > b.words
    return is_named_before(s, np.int64(a.article), np.int64(b.article))


# -- what was told of a component --------------------------------------------------------------------


@jit
def cluster_hash(lane, total, size, name):
    """A cluster in a lane of the content digest: sum of its ids, number of its articles, id of its representative."""
    return absorb(absorb(absorb(absorb(start(lane + 1), E_CLUSTER), total), np.uint64(size)), name)


@jit
def story_hash(lane, total, size):
    """A story in a lane of the content digest: sum of its ids, number of its articles."""
    return absorb(absorb(absorb(start(lane + 1), E_STORY), total), np.uint64(size))


@jit
def _set_cluster(s, text, first, second):
    """What the cluster that is named after a text adds to the content digest, 0 and 0 where there is none."""
    t = s.told[text]
    s.told_sums[0] += first - t.cluster_1
    s.told_sums[1] += second - t.cluster_2
    t.cluster_1, t.cluster_2 = first, second


@jit
def _set_story(s, text, first, second):
    t = s.told[text]
    s.told_sums[0] += first - t.story_1
    s.told_sums[1] += second - t.story_2
    t.story_1, t.story_2 = first, second


@jit
def _set_flags(s, text, listed, story):
    old = s.told_flags[text]
    new = old & np.uint8(PAIRED)
    if listed:
        new |= np.uint8(LISTED)
    if story:
        new |= np.uint8(STORY)
    if new == old:
        return
    s.told_flags[text] = new
    one = np.uint64(1)
    if (old ^ new) & np.uint8(LISTED):
        s.told_sums[TOLD_CLUSTERS] += one if listed else -one
    if (old ^ new) & np.uint8(STORY):
        s.told_sums[TOLD_STORIES] += one if story else -one


@jit
def note_pairs(s, text):
    """Edges of a text came or went."""
    if s.texts[text].degree != 0:
        s.told_flags[text] |= np.uint8(PAIRED)
    else:
        s.told_flags[text] &= np.uint8(0xFF ^ PAIRED)


@jit
def forget(s, text):
    """A text was removed: nothing is named after it; those of its cluster that stay are found until the next events."""
    zero = np.uint64(0)
    _set_cluster(s, text, zero, zero)
    _set_story(s, text, zero, zero)
    _set_flags(s, text, False, False)


@jit
def _carriers(s, text):
    """How many articles carry a text, and the sum of their ids."""
    size, total = np.int64(0), np.uint64(0)
    at = np.int64(s.texts[text].carriers)
    while at != 0:
        row = s.rows[at]
        if row.removed == 0:
            size += 1
            total += s.articles[row.article].name_hash
        at = np.int64(row.next)
    return size, total


@jit
def _note_one(s, nodes):
    """A text without company."""
    text = nodes[0]
    size, total = _carriers(s, text)
    name = total if size == 1 else s.articles[representative(s, nodes)].name_hash
    _set_cluster(s, text, cluster_hash(0, total, size, name), cluster_hash(1, total, size, name))
    _set_story(s, text, np.uint64(0), np.uint64(0))
    _set_flags(s, text, size > 1, False)
    s.told[text].next, s.told[text].next_cluster = 0, 0


@making
def note_groups(s, nodes, cluster, story, links):
    """Events of a component are made: texts, ascending, and what :func:`.components.partition` says of them."""
    n = nodes.size
    if n == 1:
        _note_one(s, nodes)
        return
    home = np.searchsorted(nodes, cluster)
    begin = np.zeros(n + 1, np.int64)
    for c in home:
        begin[c + 1] += 1
    for c in range(n):
        begin[c + 1] += begin[c]
    place, members = begin[:n].copy(), np.empty(n, np.int64)
    size, total = np.zeros(n, np.int64), np.zeros(n, np.uint64)
    for i in range(n):
        c = home[i]
        members[place[c]] = nodes[i]
        place[c] += 1
        carriers, names = _carriers(s, nodes[i])
        size[c] += carriers
        total[c] += names
    linked = np.zeros(n, np.bool_)
    for k in range(links.shape[0]):
        linked[np.searchsorted(nodes, links[k, 0])] = True
        linked[np.searchsorted(nodes, links[k, 1])] = True
    story_size, story_total = np.zeros(n, np.int64), np.zeros(n, np.uint64)
    next_cluster = np.zeros(n, np.int64)
    for c in range(n - 1, -1, -1):
        if size[c] == 0:
            continue
        following = np.int64(0)
        if story[c] != 0:
            at = np.searchsorted(nodes, story[c])
            story_size[at] += size[c]
            story_total[at] += total[c]
            following = next_cluster[at]
            next_cluster[at] = nodes[c]
        s.told[nodes[c]].next_cluster = following
    zero = np.uint64(0)
    for c in range(n):
        text, count = nodes[c], begin[c + 1] - begin[c]
        for k in range(begin[c], begin[c + 1]):
            s.told[members[k]].next = members[k + 1] if k + 1 < begin[c + 1] else 0
        if count > 0:
            name = s.articles[representative(s, members[begin[c] : begin[c + 1]])].name_hash
            first, second = cluster_hash(0, total[c], size[c], name), cluster_hash(1, total[c], size[c], name)
            _set_cluster(s, text, first, second)
        else:
            _set_cluster(s, text, zero, zero)
            s.told[text].next_cluster = 0
        if story_size[c] > 0:
            _set_story(
                s,
                text,
                story_hash(0, story_total[c], story_size[c]),
                story_hash(1, story_total[c], story_size[c]),
            )
        else:
            _set_story(s, text, zero, zero)
        _set_flags(s, text, count > 0 and (size[c] > 1 or story[c] != 0 or linked[c]), story_size[c] > 0)
