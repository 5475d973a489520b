"""What a state says of clusters, stories and articles, found the slow way: by the definitions, over all rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from dedup.core.cluster_summary import ClusterRecord, StoryRecord, describe, describe_story
from dedup.core.clustering import TextNode
from dedup.model import ArticleNumber, TextNumber
from dedup.state.collection import Collection
from dedup.state.reading import CollectionReader

_SHARED_QUOTE = 5


class Slow:
    """Reads a collection as of its last events."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.reader = CollectionReader(collection)
        self.rows = collection.tables.texts
        dead = collection.tables.dead
        self.living = [t for t in range(1, collection.highest_text + 1) if dead[t] == 0]
        self.cluster_of = {t: int(self.rows["cluster"][t]) or t for t in self.living}
        self.nodes = {t: self.reader.node(t) for t in self.living}
        self.edges = [self.edge(e) for e in self.reader.edges()]
        self.clusters: dict[int, list[int]] = defaultdict(list)
        for text, name in self.cluster_of.items():
            self.clusters[name].append(text)

    @staticmethod
    def edge(e: np.void) -> tuple[int, int, int, float, float]:
        """Ends, kind, greater containment, least coverage."""
        most = max(float(e["a_containment"]), float(e["b_containment"]))
        return int(e["a"]), int(e["b"]), int(e["kind"]), most, float(e["min_coverage"])

    def is_within(self, a: int, b: int) -> bool:
        """Whether all carriers of two texts are one outlet's."""
        return len({c.source for text in (a, b) for c in self.nodes[text].carriers}) == 1

    def names(self) -> dict[ArticleNumber, str]:
        """All ids."""
        last = self.collection.highest_article
        return {ArticleNumber(n): self.reader.id_of(n) for n in range(1, last + 1)}

    def revision(self, texts: list[int]) -> int:
        """The last change of an edge or carrier."""
        return max(int(self.rows["touched"][text]) for text in texts)

    def linked(self, name: int) -> set[int]:
        """Clusters with copied text in common."""
        rules, found = self.collection.rules, set()
        for a, b, kind, most, coverage in self.edges:
            ends = {self.cluster_of[a], self.cluster_of[b]}
            unnamed = self.rows["cluster"][a] == 0 or self.rows["cluster"][b] == 0
            if name not in ends or len(ends) == 1 or kind == _SHARED_QUOTE or unnamed:
                continue
            within = self.is_within(a, b)
            if not within or coverage >= rules.same_source_share or most >= rules.covered:
                found |= ends - {name}
        return found

    def cluster(self, name: int) -> ClusterRecord | None:
        """The record of a cluster."""
        texts = self.clusters.get(name)
        if not texts:
            return None
        nodes = [self.nodes[text] for text in texts]
        linked = [TextNumber(n) for n in self.linked(name)]
        return describe(nodes, self.revision(texts), int(self.rows["story"][texts[0]]), linked, self.names())

    def stories(self) -> dict[int, list[int]]:
        """Clusters of each story."""
        found: dict[int, list[int]] = defaultdict(list)
        for name, texts in sorted(self.clusters.items()):
            stories = {int(self.rows["story"][text]) for text in texts}
            assert len(stories) == 1
            if stories != {0}:
                found[stories.pop()].append(name)
        return found

    def story(self, name: int) -> StoryRecord | None:
        """The record of a story."""
        clusters = self.stories().get(name)
        if not clusters:
            return None
        parts: list[tuple[TextNumber, list[TextNode], ArticleNumber]] = []
        for cluster in clusters:
            record = self.cluster(cluster)
            assert record is not None
            nodes = [self.nodes[text] for text in self.clusters[cluster]]
            parts.append((TextNumber(cluster), nodes, record.representative))
        return describe_story(parts, self.revision([t for c in clusters for t in self.clusters[c]]))

    def listed(self) -> list[int]:
        """Clusters of more than an article, with a link or in a story, of texts that were told of once."""
        found = []
        for name, texts in sorted(self.clusters.items()):
            record = self.cluster(name)
            assert record is not None
            if self.rows["cluster"][texts[0]] and (record.size > 1 or record.story or record.linked):
                found.append(name)
        return found

    def pairs(self) -> list[tuple[int, int]]:
        """Ends of all edges."""
        return sorted((min(a, b), max(a, b)) for a, b, *_ in self.edges)
