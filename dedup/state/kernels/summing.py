"""What is said of every cluster at once: its representative, and its part of the content digest."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    CONTENT,
    CONTENT_2,
    EDGES,
    TEXTS,
    making,
)
from dedup.state.kernels.components import links_story, may_join, partition
from dedup.state.kernels.told import cluster_hash, representative, story_hash


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
            sums[CONTENT if lane == 0 else CONTENT_2] += cluster_hash(lane, total, size, name)
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
                sums[CONTENT if lane == 0 else CONTENT_2] += story_hash(lane, total, size)
        i = j
    return chosen, sums
