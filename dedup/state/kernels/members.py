"""What belongs together as of the last events: the texts of a cluster or a story, and their carriers."""

from __future__ import annotations

import numpy as np

from dedup.state.kernels.base import (
    ALIVE,
    ARTICLES,
    DUE_COUNT,
    EVENTS,
    LATE_COUNT,
    PAIRED,
    TEXTS,
    jit,
    making,
)
from dedup.state.kernels.components import SMALL, gather, links_story, may_join
from dedup.state.kernels.edges import following
from dedup.state.kernels.told import is_named_before, next_mark

_SHARED_QUOTE = 5
#: Texts of a component that are asked whether they wait.
_FAR = 10_000


@making
def cluster_texts(s, name):
    """The texts of the cluster named so, ascending, int64; none where there is no such cluster."""
    out = np.empty(16, np.int64)
    count = 0
    at = np.int64(name)
    while at != 0:
        t = s.texts[at]
        if s.dead[at] == 0 and (t.cluster == name or (at == name and t.cluster == 0)):
            if count == out.size:
                out = _larger(out)
            out[count] = at
            count += 1
        at = np.int64(s.told[at].next)
    return out[:count]


@making
def story_clusters(s, name):
    """The clusters of the story named so, by name, ascending, int64; none where there is no such story."""
    out = np.empty(16, np.int64)
    count = 0
    at = np.int64(name)
    while at != 0:
        if s.dead[at] == 0 and s.texts[at].story == name and s.texts[at].cluster == at:
            if count == out.size:
                out = _larger(out)
            out[count] = at
            count += 1
        at = np.int64(s.told[at].next_cluster)
    return out[:count]


@making
def _larger(array):
    out = np.empty(2 * array.size, array.dtype)
    out[: array.size] = array
    return out


@jit
def revision_of(s, texts):
    """The position of the last change of an edge or carrier of some texts."""
    last = np.uint64(0)
    for text in texts:
        last = max(last, s.texts[text].touched)
    return last


@jit
def is_named(s, names, since):
    """Whether an event from a place on names one of some clusters or stories, ascending."""
    for i in range(since, s.meta[EVENTS]):
        e = s.events[i]
        for name in (np.int64(e.old), np.int64(e.new)):
            low, high = 0, names.size
            while low < high:
                middle = (low + high) // 2
                if names[middle] < name:
                    low = middle + 1
                else:
                    high = middle
            if low < names.size and names[low] == name:
                return True
    return False


@making
def linked_to(s, texts, rules):
    """The clusters that share copied text with these texts, which are one cluster, without being it; may repeat."""
    out = np.empty(16, np.int64)
    count = 0
    for text in texts:
        mine = s.texts[text].cluster
        at = np.int64(s.texts[text].edges)
        while at != 0:
            e = s.edges[at]
            other = np.int64(e.b if e.a == text else e.a)
            theirs = s.texts[other].cluster
            if e.kind != _SHARED_QUOTE and theirs != mine and theirs != 0:
                if may_join(s.texts, e, rules) or links_story(s.texts, e, rules):
                    if count == out.size:
                        larger = np.empty(2 * count, np.int64)
                        larger[:count] = out
                        out = larger
                    out[count] = theirs
                    count += 1
            at = following(s.edges, at, text)
    return np.unique(out[:count])


@making
def rows_of(s, texts):
    """The versions that stand of all carriers of texts, uint32."""
    total = np.int64(0)
    for text in texts:
        total += np.int64(s.texts[text].count)
    out = np.empty(total, np.uint32)
    count = 0
    for text in texts:
        at = np.int64(s.texts[text].carriers)
        while at != 0:
            if s.rows[at].removed == 0 and count < total:
                out[count] = at
                count += 1
            at = np.int64(s.rows[at].next)
    return out[:count]


@jit
def smallest_named(s, text):
    """The carrier of a text whose id comes first by its bytes, 0 where none stands."""
    best = np.int64(0)
    at = np.int64(s.texts[text].carriers)
    while at != 0:
        if s.rows[at].removed == 0:
            article = np.int64(s.rows[at].article)
            if best == 0 or is_named_before(s, article, best):
                best = article
        at = np.int64(s.rows[at].next)
    return best


@making
def carriers_by_name(s, text, limit):
    """The articles that carry a text, by the bytes of their ids, the first ``limit``; int64."""
    out = np.empty(min(limit, np.int64(s.texts[text].count)), np.int64)
    count = 0
    at = np.int64(s.texts[text].carriers)
    while at != 0 and out.size > 0:
        article = np.int64(s.rows[at].article)
        if s.rows[at].removed == 0 and (count < out.size or is_named_before(s, article, out[count - 1])):
            low, high = 0, count
            while low < high:
                middle = (low + high) // 2
                if is_named_before(s, article, out[middle]):
                    high = middle
                else:
                    low = middle + 1
            count = min(count + 1, out.size)
            for i in range(count - 1, low, -1):
                out[i] = out[i - 1]
            out[low] = article
        at = np.int64(s.rows[at].next)
    return out[:count]


@jit
def first_carriers(s, text, before_row, before_article, source, out):
    """The earliest carrier of a text that came before an article, and the earliest of an outlet; rows, 0 for none.

    ``before_row``: the version with which the article came; those that carried the text then count, removed since or
    not. 0: those that carry it now.
    """
    first, own = np.int64(0), np.int64(0)
    at = np.int64(s.texts[text].carriers)
    while at != 0:
        row = s.rows[at]
        stands = (
            row.removed == 0 if before_row == 0 else at < before_row and not 0 < row.removed_by <= before_row
        )
        if stands and row.article < before_article:
            if first == 0 or row.article < s.rows[first].article:
                first = at
            if row.source == source and (own == 0 or row.article < s.rows[own].article):
                own = at
        at = np.int64(row.next)
    out[0], out[1] = first, own


@jit
def next_articles(s, after, out):
    """The next articles that stand, by number; how many."""
    count = 0
    number = after + 1
    while number <= s.meta[ARTICLES] and count < out.size:
        if s.articles[number].flags & ALIVE:
            out[count] = number
            count += 1
        number += 1
    return count


@jit
def next_flagged(s, after, flag, out):
    """The next texts with a flag of what was told of them, by number; how many."""
    count = 0
    for text in range(after + 1, s.meta[TEXTS] + 1):
        if s.told_flags[text] & flag:
            if count == out.size:
                break
            out[count] = text
            count += 1
    return count


@making
def pairs_after(s, a, b, limit):
    """The next pairs of texts with an edge, the smaller number first, in order: int64 (pairs, 2)."""
    out = np.empty((limit, 2), np.int64)
    count = 0
    text = max(np.int64(1), np.int64(a))
    while text <= s.meta[TEXTS] and count < limit:
        if s.told_flags[text] & PAIRED:
            others = np.empty(np.int64(s.texts[text].degree), np.int64)
            n = 0
            at = np.int64(s.texts[text].edges)
            while at != 0:
                e = s.edges[at]
                other = np.int64(e.b if e.a == text else e.a)
                if other > text and (text > a or other > b):
                    others[n] = other
                    n += 1
                at = following(s.edges, at, text)
            others = others[:n]
            others.sort()
            for k in range(min(n, limit - count)):
                out[count, 0], out[count, 1] = text, others[k]
                count += 1
        text += 1
    return out[:count]


@making
def is_waiting(s, text, rules):
    """Whether some text of the component of a text waits for events.

    Of a component of more than ``_FAR`` texts the nearest are looked at; it is said to wait if any other one does.
    """
    if s.meta[LATE_COUNT] == 0:
        return False
    nodes, _ = gather(s, text, SMALL, rules)
    if nodes.size != 0:
        return False
    late = next_mark(s)
    for i in range(s.meta[LATE_COUNT]):
        s.texts[np.int64(s.late[i])].mark = late
    if s.texts[text].mark == late:
        return True
    mark = next_mark(s)
    found = np.empty(1024, np.int64)
    found[0] = text
    s.texts[text].mark = mark
    count, done = 1, 0
    while done < count:
        one = found[done]
        done += 1
        at = np.int64(s.texts[one].edges)
        while at != 0:
            e = s.edges[at]
            other = np.int64(e.b if e.a == one else e.a)
            if s.texts[other].mark != mark and (
                may_join(s.texts, e, rules) or links_story(s.texts, e, rules)
            ):
                if s.texts[other].mark == late:
                    return True
                s.texts[other].mark = mark
                if count == _FAR:
                    return True
                if count == found.size:
                    found = _larger(found)
                found[count] = other
                count += 1
            at = following(s.edges, at, one)
    return False


@making
def due_texts(s):
    """All texts that are due, ascending, int64; the last that came are looked at first."""
    out = np.empty(s.meta[DUE_COUNT], np.int64)
    count, text = out.size, s.meta[TEXTS]
    while count > 0:
        if s.texts[text].due != 0:
            count -= 1
            out[count] = text
        text -= 1
    return out
