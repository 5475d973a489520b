"""What is said of every cluster at once: its representative, and its part of the content digest."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    CONTENT,
    CONTENT_2,
    DATED,
    E_CLUSTER,
    E_STORY,
    EDGES,
    TEXTS,
    absorb,
    jit,
    making,
    start,
)
from dedup.state.kernels.components import links_story, may_join, partition

#: A version is complete if it has at least this share of the words of the longest (cluster_summary.COMPLETE).
COMPLETE = 0.8


@making
def divide(s, rules):
    """All living texts, ascending; the first text of the cluster and of the story (0: none) of each; links."""
    count = 0
    nodes = np.empty(s.meta[TEXTS], np.int64)
    for text in range(1, s.meta[TEXTS] + 1):
        if s.dead[text] == 0:
            nodes[count] = text
            count += 1
    edges = np.empty(s.meta[EDGES], np.int64)
    found = 0
    for number in range(1, s.meta[EDGES] + 1):
        e = s.edges[number]
        if e.a != 0 and (may_join(s.texts, e, rules) or links_story(s.texts, e, rules)):
            edges[found] = number
            found += 1
    cluster, story, links = partition(s, nodes[:count], edges[:found], rules)
    return nodes[:count], cluster, story, links


@jit
def _is_named_before(s, x, y):
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
    return _is_named_before(s, np.int64(a.article), np.int64(b.article))


@making
def summarize(s, nodes, cluster, story):
    """For each living text the article that represents its cluster, and the content digest of clusters and stories.

    Returns int64 (nodes,) and uint64 (2,).
    """
    sums = np.zeros(2, np.uint64)
    chosen = np.empty(nodes.size, np.int64)
    order = np.argsort(cluster, kind="mergesort")
    sizes, hashes = np.zeros(nodes.size, np.uint64), np.zeros(nodes.size, np.uint64)
    for i in range(nodes.size):
        at = np.int64(s.texts[nodes[i]].carriers)
        while at != 0:
            if s.rows[at].removed == 0:
                sizes[i] += np.uint64(1)
                hashes[i] += s.articles[s.rows[at].article].name_hash
            at = np.int64(s.rows[at].next)
    i = 0
    while i < nodes.size:
        j = i
        total, size = np.uint64(0), np.uint64(0)
        while j < nodes.size and cluster[order[j]] == cluster[order[i]]:
            total += hashes[order[j]]
            size += sizes[order[j]]
            j += 1
        article = representative(s, nodes[order[i:j]])
        for k in range(i, j):
            chosen[order[k]] = article
        name = s.articles[article].name_hash
        for lane in range(2):
            h = absorb(absorb(absorb(absorb(start(lane + 1), E_CLUSTER), total), size), name)
            sums[CONTENT if lane == 0 else CONTENT_2] += h
        i = j
    order = np.argsort(story, kind="mergesort")
    i = 0
    while i < nodes.size:
        j = i
        total, size = np.uint64(0), np.uint64(0)
        while j < nodes.size and story[order[j]] == story[order[i]]:
            total += hashes[order[j]]
            size += sizes[order[j]]
            j += 1
        if story[order[i]] != 0:
            for lane in range(2):
                h = absorb(absorb(absorb(start(lane + 1), E_STORY), total), size)
                sums[CONTENT if lane == 0 else CONTENT_2] += h
        i = j
    return chosen, sums
