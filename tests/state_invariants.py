"""What must hold of a collection's arrays after every entry, checked the slow way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import numpy as np

from dedup.state.collection import Collection
from dedup.state.kernels import base, members
from dedup.state.kernels.boilerplate import entry_of
from dedup.state.kernels.looking_up import list_of
from dedup.state.reading import CollectionReader

_TEXT = np.uint64(0xFFFFFFFF)


def check(collection: Collection, postings: Mapping[int, AbstractSet[int]] | None = None) -> None:
    """Everything; ``postings`` of each text as they were written."""
    check_room(collection)
    check_lists(collection, postings or {})
    check_edges(collection)
    check_carriers(collection)
    check_due(collection)
    check_told(collection)


def check_room(collection: Collection) -> None:
    """Nothing has been written behind the end of an array."""
    columns = collection._state.columns
    numbered = {
        "rows": base.ROWS,
        "articles": base.ARTICLES,
        "texts": base.TEXTS,
        "dead": base.TEXTS,
        "lists": base.LISTS,
        "edges": base.EDGES,
        "outlets": base.OUTLETS,
        "flagged": base.FLAGS,
    }
    for name, place in numbered.items():
        last = collection.number(place)
        assert last == 0 or last < len(columns[name].array), name
    counted = {
        "groups": base.GROUP_WORDS,
        "members": base.MEMBER_WORDS,
        "text_lists": base.LIST_WORDS,
        "names": base.NAME_BYTES,
        "work": base.WORK_TAIL,
        "burials": base.BURIAL_TAIL,
        "due": base.DUE_TAIL,
        "events": base.EVENTS,
        "dirty": base.DIRTY_COUNT,
        "late": base.LATE_COUNT,
    }
    for name, place in counted.items():
        used = collection.number(place)
        assert used <= max(2, len(columns[name].array)), name


def members_of(collection: Collection, number: int) -> list[int]:
    """The texts of a list, ascending, removed ones that are still looked up too."""
    s = collection.tables
    row = s.lists[number]
    if row["flags"] & base.HAS_MEMBERS:
        at = int(row["members_at"])
        return [int(text) for text in s.members[at : at + int(row["count"])]]
    return sorted(group_of(collection, number))


def group_of(collection: Collection, number: int) -> list[int]:
    """The texts of a list's group."""
    s = collection.tables
    at, size = int(s.lists[number]["group_at"]), int(s.lists[number]["group"])
    return [int(entry & _TEXT) for entry in s.groups[at : at + size]]


def check_lists(collection: Collection, postings: Mapping[int, AbstractSet[int]]) -> None:
    """Texts know their lists and lists their texts; groups are the smallest digests of the living."""
    s = collection.tables
    standing: dict[int, set[int]] = defaultdict(set)
    for text in range(1, collection.highest_text + 1):
        row = s.texts[text]
        numbers = s.text_lists[int(row["lists_at"]) : int(row["lists_at"]) + int(row["lists"])].tolist()
        assert numbers == sorted(set(numbers)), f"lists of text {text} ascend"
        for number in numbers:
            standing[number].add(text)
    landmarks = collection.parameters.landmarks
    for number in range(1, collection.number(base.LISTS) + 1):
        row, members, group = s.lists[number], members_of(collection, number), group_of(collection, number)
        living = [text for text in members if s.dead[text] == 0]
        assert members == sorted(set(members))
        assert (len(members), len(living)) == (row["count"], row["alive"])
        assert set(members) == {text for text in standing[number] if s.dead[text] != 2}
        hot = len(living) > landmarks
        in_order = sorted(living, key=lambda text: _digest(collection, text))
        first = in_order[:landmarks] if hot else living
        if row["flags"] & base.REPAIR:
            assert set(group) < set(first)
        else:
            assert set(group) == set(first)
        assert len(set(group)) == len(group)
        if hot:
            assert group == sorted(group, key=lambda text: _digest(collection, text)), "landmarks in order"
        at = int(row["group_at"])
        assert [int(each) for each in s.groups[at : at + len(group)]] == [
            int(entry_of(s.texts, text)) for text in group
        ]
        for text in members:
            assert not postings or int(row["posting"]) in postings[text]
    for text, all_of in postings.items():
        if s.dead[text] != 2:
            _check_postings(collection, text, all_of)


def _check_postings(collection: Collection, text: int, postings: AbstractSet[int]) -> None:
    """The table leads from each posting of a text to it, or to a list in which it stands."""
    s = collection.tables
    for posting in postings:
        key = base.scatter(np.uint64(posting), s.meta[base.SALT])
        found = int(list_of(s, key))
        assert found == text or (found < 0 and text in members_of(collection, -found))


def _digest(collection: Collection, text: int) -> tuple[int, int]:
    row = collection.tables.texts[text]
    return int(row["high"]), int(row["low"])


def check_edges(collection: Collection) -> None:
    """Each edge stands with both of its texts, a before b by digest, once a pair; degrees and the count agree."""
    s, reader = collection.tables, CollectionReader(collection)
    edges = reader.edges()
    pairs = [(int(e["a"]), int(e["b"])) for e in edges]
    assert len(set(pairs)) == len(pairs) == collection.edges
    degree: dict[int, int] = defaultdict(int)
    for a, b in pairs:
        assert s.dead[a] == s.dead[b] == 0
        assert _digest(collection, a) < _digest(collection, b)
        degree[a] += 1
        degree[b] += 1
    for text in range(1, collection.highest_text + 1):
        own = [(int(e.a), int(e.b)) for e in reader.edges_of(text)]
        assert len(own) == len(set(own)) == degree[text] == s.texts[text]["degree"]
        assert all(pair in pairs and text in pair for pair in own)
        before = 0
        at = int(s.texts[text]["edges"])
        while at:
            e = s.edges[at]
            mine = int(e["a"]) == text
            assert int(e["before_a" if mine else "before_b"]) == before
            before, at = at, int(e["next_a" if mine else "next_b"])


def check_carriers(collection: Collection) -> None:
    """Counts of articles, texts, carriers and outlets agree with the rows."""
    s, reader = collection.tables, CollectionReader(collection)
    assert len(reader.standing()) == collection.articles
    living = [text for text in range(1, collection.highest_text + 1) if s.dead[text] == 0]
    assert len(living) == collection.texts
    carried: dict[int, list[int]] = defaultdict(list)
    for number in reader.standing().tolist():
        state = reader.article(number)
        assert state is not None
        if state.text:
            carried[state.text].append(number)
    assert sorted(carried) == living
    for text in living:
        carriers, row = reader.carriers(text), s.texts[text]
        assert sorted(c.number for c in carriers) == sorted(carried[text])
        assert row["count"] == len(carriers)
        times = [c.published for c in carriers]
        assert (row["first"], row["last"]) == (min(times), max(times))
        days: dict[int, set[int]] = defaultdict(set)
        for c in carriers:
            days[c.source].add(int(c.published // 86400))
        assert _outlets(collection, text) == {
            source: (min(some), max(some), len(some) > 2) for source, some in days.items()
        }


def _outlets(collection: Collection, text: int) -> dict[int, tuple[int, int, bool]]:
    """First and last day of each outlet of a text, and whether there is another between them."""
    s = collection.tables
    rows = [s.texts[text]]
    at = int(s.texts[text]["outlets"])
    while at:
        rows.append(s.outlets[at])
        at = int(s.outlets[at]["next"])
    found = {}
    for row in rows:
        low, middle, high = int(row["low_day"]), int(row["mid_day"]), int(row["high_day"])
        assert int(row["source"]) not in found
        found[int(row["source"])] = low, high, low < middle < high
    return found


def check_due(collection: Collection) -> None:
    """The texts that are due are counted, alive, and in the queue of a state that has given nothing out yet."""
    s = collection.tables
    due = [text for text in range(1, collection.highest_text + 1) if s.texts[text]["due"]]
    assert len(due) == collection.due
    assert not any(s.dead[text] for text in due)
    queue = s.due[: collection.number(base.DUE_TAIL)].tolist()
    assert set(due) <= set(queue)
    waiting = [
        number
        for number in range(1, collection.highest_article + 1)
        if s.articles[number]["flags"] & (base.AWAITED | base.DECIDED) == base.AWAITED
    ]
    assert len(waiting) == collection.undecided


def check_told(collection: Collection) -> None:
    """What is kept of clusters and stories adds up, and is what texts say of themselves where nothing waits."""
    s, last = collection.tables, collection.highest_text
    told, flags = s.told[: last + 1], s.told_flags[: last + 1]
    for lane in (0, 1):
        parts = int(told[f"cluster_{lane + 1}"].sum()) + int(told[f"story_{lane + 1}"].sum())
        assert int(s.told_sums[lane]) == parts % (1 << 64)
    assert s.told_sums[base.TOLD_CLUSTERS] == np.count_nonzero(flags & base.LISTED)
    assert s.told_sums[base.TOLD_STORIES] == np.count_nonzero(flags & base.STORY)
    assert ((flags & base.PAIRED > 0) == (s.texts["degree"][: last + 1] > 0)).all()
    dead = s.dead[: last + 1] > 0
    assert not flags[dead].any()
    assert not (told["cluster_1"] | told["story_1"])[dead].any()
    if collection.number(base.LATE_COUNT):
        return
    groups: dict[int, list[int]] = defaultdict(list)
    stories: dict[int, set[int]] = defaultdict(set)
    for text in range(1, last + 1):
        if s.dead[text] == 0 and s.texts[text]["cluster"]:
            groups[int(s.texts[text]["cluster"])].append(text)
            stories[int(s.texts[text]["story"])].add(int(s.texts[text]["cluster"]))
    stories.pop(0, None)
    for text in range(1, last + 1):
        alone = [text] if s.dead[text] == 0 and s.texts[text]["cluster"] == 0 else []
        assert members.cluster_texts(s, text).tolist() == groups.get(text, alone)
        assert members.story_clusters(s, text).tolist() == sorted(stories.get(text, ()))
        assert bool(told["cluster_1"][text]) == (text in groups)
        assert bool(told["story_1"][text]) == (text in stories)
