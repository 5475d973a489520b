"""What a compiled state holds, as the second opinion has it, so that the two can be compared in words."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from bench.oracle.clusters import Edge
from bench.oracle.content import PlainCarrier, PlainContent
from dedup.state.collection import Collection
from dedup.state.kernels import base
from dedup.state.reading import CollectionReader

#: What the state holds of a content as such; lists of one text stand in a table from which they are not read back.
PARTS = ("texts", "groups", "boilerplate", "edges", "clusters", "stories")


def content_of_state(collection: Collection) -> PlainContent:
    """The content of a settled collection, read from its arrays one by one."""
    reader, s = CollectionReader(collection), collection.tables
    living = [t for t in range(1, collection.highest_text + 1) if s.dead[t] == 0]
    digest = {t: reader.digest_of(t) for t in living}
    texts = {}
    for t in living:
        carriers = [
            PlainCarrier(reader.id_of(c.number), c.source, c.published, c.dated, c.words, c.agency, c.credits)
            for c in reader.carriers(t)
        ]
        texts[digest[t]] = tuple(sorted(carriers, key=lambda c: c.id.encode()))
    groups, boilerplate = {}, {}
    for row in s.lists[1 : collection.number(base.LISTS) + 1]:
        at, size = int(row["group_at"]), int(row["group"])
        group = frozenset(digest[int(entry & np.uint64(0xFFFFFFFF))] for entry in s.groups[at : at + size])
        if group:
            groups[int(row["posting"])] = group
        outlets = {0} if row["flags"] & base.EVERYWHERE else set()
        flag = int(row["outlets"])
        while flag:
            outlets.add(int(s.flagged[flag]["source"]))
            flag = int(s.flagged[flag]["next"])
        if outlets:
            boilerplate[int(row["posting"])] = frozenset(outlets)
    edges = {}
    for e in reader.edges():
        values = (int(e["kind"]), int(e["unquoted"]), int(e["quoted"]))
        shares = (float(e["a_containment"]), float(e["b_containment"]), float(e["min_coverage"]))
        edges[digest[int(e["a"])], digest[int(e["b"])]] = Edge(*values, *shares)
    division = reader.divide()
    clusters: dict[int, set[str]] = defaultdict(set)
    stories: dict[int, set[str]] = defaultdict(set)
    chosen: dict[int, str] = {}
    for t, cluster, story, article in zip(
        division.texts.tolist(),
        division.cluster.tolist(),
        division.story.tolist(),
        division.representative.tolist(),
        strict=True,
    ):
        ids = {c.id for c in texts[digest[t]]}
        clusters[cluster] |= ids
        chosen[cluster] = reader.id_of(article)
        if story:
            stories[story] |= ids
    return PlainContent(
        texts=texts,
        lists={},
        groups=groups,
        boilerplate=boilerplate,
        masks={},
        eligible=frozenset(),
        edges=edges,
        clusters={frozenset(ids): chosen[cluster] for cluster, ids in clusters.items()},
        stories=frozenset(frozenset(ids) for ids in stories.values()),
    )
