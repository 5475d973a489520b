"""What a collection's state says: articles, texts, matches, clusters and stories, as plain values."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from dedup.core.clustering import Carrier, Edge, TextNode
from dedup.core.provenance import AGENCIES
from dedup.model import ArticleNumber, Decision, DecisionKind, MatchKind, TextNumber
from dedup.state.collection import Collection
from dedup.state.kernels import base, components, looking_up, summing


class Division(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Clusters and stories of all living texts, every array of shape (texts,), ascending by text.

    ``cluster`` and ``story`` are the numbers they are named after, ``story`` 0 where there is none; ``representative``
    is the number of the article that stands for the text's cluster; ``links`` (links, 2) are clusters that share copied
    text without being one.
    """

    texts: NDArray[np.int64]
    cluster: NDArray[np.int64]
    story: NDArray[np.int64]
    representative: NDArray[np.int64]
    links: NDArray[np.int64]


class ArticleState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An article that stands; ``text`` 0 where it is not comparable; ``record`` is what its arrival named."""

    number: int
    id: str
    text: int
    record: int
    arrival: float
    words: int
    decision: Decision | None


class CollectionReader:
    """Reads a :class:`~dedup.state.collection.Collection`; nothing is kept from one call to the next."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    @property
    def _tables(self) -> base.Tables:
        return self._collection.tables

    def id_of(self, article: int) -> str:
        """The id of an article."""
        row = self._tables.articles[article]
        at = int(row["name_at"])
        return self._tables.names[at : at + int(row["name_size"])].tobytes().decode()

    def article(self, number: int) -> ArticleState | None:
        """An article by number, None where it was removed."""
        a = self._tables.articles[number]
        if not a["flags"] & base.ALIVE:
            return None
        row = self._tables.rows[a["row"]]
        return ArticleState(
            number=number,
            id=self.id_of(number),
            text=int(row["text"]),
            record=int(row["record"]),
            arrival=float(row["arrival"]),
            words=int(row["words"]),
            decision=self.decision(number),
        )

    def record_of(self, article: int) -> int:
        """What the version of an article that stands named as its record."""
        tables = self._tables
        return int(tables.rows["record"][tables.articles["row"][article]])

    def decision(self, article: int) -> Decision | None:
        """The decision about an article, if it was made."""
        a = self._tables.articles[article]
        if not a["flags"] & base.DECIDED:
            return None
        copied = int(a["copied"])
        words = a["words"].tolist()
        return Decision(
            kind=DecisionKind(int(a["kind"])),
            copies=self.id_of(copied) if copied else "",
            covered=float(a["covered"]),
            words_copied=words[0],
            words_quoted=words[1],
            words_boilerplate=words[2],
            words_new=words[3],
        )

    def is_decided(self, article: int) -> bool:
        """Whether the decision about an article was made."""
        return bool(self._tables.articles["flags"][article] & base.DECIDED)

    def has_boilerplate(self, text: int) -> bool:
        """Whether some posting of a text is boilerplate for it."""
        return int(looking_up.mask_of(self._tables, text, _NO_POSTINGS)) > 0

    def standing(self) -> NDArray[np.int64]:
        """The numbers of all articles that stand, ascending."""
        last = self._collection.highest_article
        return np.flatnonzero(self._tables.articles["flags"][1 : last + 1] & base.ALIVE) + 1

    def standing_articles(self) -> list[tuple[bytes, int, int, int]]:
        """All articles that stand, by number: the bytes of the id, the number, its text and its record."""
        tables, numbers = self._tables, self.standing()
        articles = tables.articles[numbers]
        rows = tables.rows[articles["row"]]
        starts = articles["name_at"].tolist()
        stops = (articles["name_at"] + articles["name_size"]).tolist()
        return [
            (tables.names[start:stop].tobytes(), number, text, record)
            for start, stop, number, text, record in zip(
                starts, stops, numbers.tolist(), rows["text"].tolist(), rows["record"].tolist(), strict=True
            )
        ]

    def digest_of(self, text: int) -> bytes:
        """The 16 bytes of a text."""
        row = self._tables.texts[text]
        return int(row["high"]).to_bytes(8, "big") + int(row["low"]).to_bytes(8, "big")

    def carriers(self, text: int, before: int = 0) -> list[Carrier]:
        """The articles that carry a text, in the order of the log.

        With ``before``, the number of an article, those that carried it when that one came, removed since or not.
        """
        rows = self._rows(text)
        if before:
            came = int(self._tables.articles[before]["asked"])
            kept = [row for n, row in rows if n < came and not 0 < int(row["removed_by"]) <= came]
        else:
            kept = [row for _, row in rows if row["removed"] == 0]
        return [
            Carrier(
                number=ArticleNumber(int(r["article"])),
                source=int(r["source"]),
                published=float(r["published"]),
                dated=bool(r["flags"] & base.DATED),
                words=int(r["words"]),
                agency=_agency(int(r["flags"]) >> 8 & 0xFF),
                credits=int(r["credits"]),
            )
            for r in reversed(kept)
        ]

    def _rows(self, text: int) -> list[tuple[int, np.void]]:
        """The versions that carry a text, or did and are still looked up, the last first: number and row."""
        found = []
        at = int(self._tables.texts[text]["carriers"])
        while at:
            row = self._tables.rows[at]
            found.append((at, row))
            at = int(row["next"])
        return found

    def reading_of(self, text: int) -> tuple[int, int]:
        """The article, and the record, with whose words a text is compared: those with the least reading."""
        t, rows = self._tables.texts[text], self._tables.rows
        if t["count"] == 1 and rows["removed"][t["carriers"]] == 0:
            row = rows[t["carriers"]]
            return int(row["article"]), int(row["record"])
        every = [row for _, row in self._rows(text)]
        kept = [row for row in every if row["removed"] == 0 and row["reading"] == t["reading"]]
        row = (kept or every)[-1]  # a text that was removed may still be looked up
        return int(row["article"]), int(row["record"])

    def records_of(self, texts: Sequence[int]) -> list[int]:
        """The record of each of many texts, see :meth:`reading_of`."""
        tables = self._tables
        chosen = tables.texts[np.array(texts, np.int64)]
        rows = tables.rows[chosen["carriers"]]
        plain = (chosen["count"] == 1) & (rows["removed"] == 0)
        return [
            record if is_plain else self.reading_of(text)[1]
            for text, record, is_plain in zip(texts, rows["record"].tolist(), plain.tolist(), strict=True)
        ]

    def is_kept(self, text: int) -> bool:
        """Whether a text is carried, or was when something came that is undecided."""
        return bool(self._tables.dead[text] != 2)

    def smallest_id(self, text: int) -> int:
        """The carrier of a text with the smallest id."""
        numbers = [int(row["article"]) for _, row in self._rows(text) if row["removed"] == 0]
        return min(numbers, key=lambda number: self.id_of(number).encode())

    def node(self, text: int) -> TextNode:
        """A text with its carriers."""
        return TextNode(TextNumber(text), self.digest_of(text), tuple(self.carriers(text)))

    def edges(self) -> NDArray[np.void]:
        """Every edge once, as rows of the state."""
        last = self._collection.number(base.EDGES)
        rows = self._tables.edges[1 : last + 1]
        kept: NDArray[np.void] = rows[rows["a"] != 0].copy()
        return kept

    def edges_of(self, text: int) -> list[Edge]:
        """The edges of a text."""
        found = []
        at = int(self._tables.texts[text]["edges"])
        while at:
            e = self._tables.edges[at]
            found.append(
                Edge(
                    a=TextNumber(int(e["a"])),
                    b=TextNumber(int(e["b"])),
                    kind=MatchKind(int(e["kind"])),
                    unquoted=int(e["unquoted"]),
                    quoted=int(e["quoted"]),
                    a_containment=float(e["a_containment"]),
                    b_containment=float(e["b_containment"]),
                    min_coverage=float(e["min_coverage"]),
                )
            )
            at = int(e["next_a"] if int(e["a"]) == text else e["next_b"])
        return found

    def cluster_of(self, texts: list[int]) -> list[int]:
        """The cluster of each text, as of the last event; a text that stands in none yet is one of its own."""
        return [int(self._tables.texts[text]["cluster"]) or text for text in texts]

    def resolve(self, number: int) -> int:
        """The cluster that a name leads to now, 0 where none is left."""
        if not 0 < number <= self._collection.highest_text:
            return 0
        text = int(components.resolve(self._tables, number))
        return self.cluster_of([text])[0] if text else 0

    def revision(self, texts: list[int]) -> int:
        """The revision of a cluster of these texts: the position of the last change of an edge or carrier of one."""
        return max(int(self._tables.texts[text]["touched"]) for text in texts)

    def divide(self) -> Division:
        """Clusters, stories and representatives of everything there is."""
        texts, cluster, story, links = summing.divide(self._tables, self._collection.rules)
        chosen, _ = summing.summarize(self._tables, texts, cluster, story)
        return Division(
            texts=texts, cluster=cluster, story=story, representative=chosen, links=np.unique(links, axis=0)
        )

    def content_digest(self) -> str:
        """32 hexadecimal digits of what there is, whatever the order it came in: see ``docs/architecture.md``."""
        texts, cluster, story, _ = summing.divide(self._tables, self._collection.rules)
        _, sums = summing.summarize(self._tables, texts, cluster, story)
        kept = self._collection.content_sums()
        lanes = [(kept[i] + int(sums[i])) % (1 << 64) for i in range(2)]
        return f"{lanes[0]:016x}{lanes[1]:016x}"

    def events(self, after: int = 0) -> list[tuple[int, str, int, int]]:
        """What happened to clusters and stories after a position: position, kind, old number, new number."""
        rows = self._tables.events[: self._collection.number(base.EVENTS)]
        first = int(np.searchsorted(rows["position"], after, side="right"))
        return [
            (int(r["position"]), _EVENT_KINDS[int(r["kind"])], int(r["old"]), int(r["new"]))
            for r in rows[first:]
        ]


_NO_POSTINGS = np.empty(0, np.uint64)
_EVENT_KINDS = {
    base.CLUSTER_CHANGED: "cluster_changed",
    base.CLUSTER_MERGED: "cluster_merged",
    base.CLUSTER_SPLIT: "cluster_split",
    base.CLUSTER_ENDED: "cluster_ended",
    base.STORY_CHANGED: "story_changed",
    base.STORY_ENDED: "story_ended",
}


@functools.cache
def _agency(number: int) -> str:
    return AGENCIES[number - 1] if 0 < number <= len(AGENCIES) else ""
