"""What a collection's state says: articles, texts, matches, clusters and stories, as plain values."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from dedup.core.cluster_summary import ClusterRecord, StoryRecord, describe_one
from dedup.core.clustering import Carrier, Edge, TextNode
from dedup.core.provenance import AGENCIES
from dedup.model import ArticleNumber, Decision, DecisionKind, MatchKind, TextNumber
from dedup.state.collection import Arrival, Collection
from dedup.state.kernels import arriving, base, carriers, components, looking_up, members, summing
from dedup.state.summaries import Summaries
from dedup.state.values import ArticleState, Division


class CollectionReader:
    """Reads a :class:`~dedup.state.collection.Collection`; only what is said of large clusters and stories is kept."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._summaries = Summaries(collection)

    @property
    def _tables(self) -> base.Tables:
        return self._collection._state.tables  # noqa: SLF001 - asked for many times an article

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
            published=float(row["published"]),
            words=int(row["words"]),
            credits=int(row["credits"]),
            version=None if row["version"] == base.NEVER else int(row["version"]),
            version_time=None if np.isnan(row["version_time"]) else float(row["version_time"]),
            decision=self.decision(number),
        )

    def number_of(self, article_id: str) -> int:
        """The number of the last article of an id, removed or not; 0 where there was none."""
        name = article_id.encode()
        raw = np.frombuffer(name, np.uint8)
        digest = np.uint64(xxhash.xxh3_64_intdigest(name))
        return int(arriving.article_named(self._tables, digest, raw, 0, len(raw)))

    def text_of_digest(self, digest: bytes) -> int:
        """The text with this digest, 0 where none is carried."""
        high, low = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
        return int(carriers.text_with(self._tables, np.uint64(high), np.uint64(low)))

    def text_of_article(self, number: int) -> int:
        """The text of an article that stands; 0 where it is not comparable or does not."""
        if not number:
            return 0
        a = self._tables.articles[number]
        return int(self._tables.rows["text"][a["row"]]) if a["flags"] & base.ALIVE else 0

    def arrival_of(self, number: int) -> float:
        """When an article arrived, in Unix seconds."""
        return float(self._tables.rows["arrival"][self._tables.articles["row"][number]])

    def words_of(self, number: int) -> int:
        """Words of the first version of an article that is undecided."""
        return int(self._tables.rows["words"][self._tables.articles["asked"][number]])

    def source_of(self, number: int) -> int:
        """The outlet of an article's last version."""
        return int(self._tables.rows["source"][self._tables.articles["row"][number]])

    def unchanged(
        self,
        article_id: str,
        *,
        content: int,
        version: int | None,
        version_time: float | None,
        canceled: bool,
    ) -> Arrival | None:
        """What the fold would say of a delivery that changes nothing; None where it would change something."""
        number = self.number_of(article_id)
        if not number:
            return None
        row = self._tables.rows[self._tables.articles["row"][number]]
        alive = bool(self._tables.articles["flags"][number] & base.ALIVE)
        text = int(row["text"]) if alive else 0
        stored = None if row["version"] == base.NEVER else int(row["version"])
        stored_time = None if np.isnan(row["version_time"]) else float(row["version_time"])
        if version is not None and stored is not None:
            older = version < stored
        else:
            older = version_time is not None and stored_time is not None and version_time < stored_time
        outcome = 0
        if older:
            outcome = arriving.STALE
        elif alive and not canceled and int(row["content"]) == content:
            moves = (version is not None and version != stored) or (
                version_time is not None and version_time != stored_time
            )
            outcome = 0 if moves else arriving.UNCHANGED
        if not outcome:
            return None
        return Arrival(
            outcome=outcome, article=number, text=text, is_new_text=False, previous_text=0, met=None
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
        return [self._carrier(row) for row in reversed(kept)]

    @staticmethod
    def _carrier(r: np.void) -> Carrier:
        return Carrier(
            number=ArticleNumber(int(r["article"])),
            source=int(r["source"]),
            published=float(r["published"]),
            dated=bool(r["flags"] & base.DATED),
            words=int(r["words"]),
            agency=_agency(int(r["flags"]) >> 8 & 0xFF),
            credits=int(r["credits"]),
        )

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
        return 0 < text <= self._collection.highest_text and bool(self._tables.dead[text] != 2)

    def smallest_id(self, text: int) -> int:
        """The carrier of a text with the smallest id, 0 where none stands."""
        return int(members.smallest_named(self._tables, text))

    def is_living(self, text: int) -> bool:
        """Whether some article carries a text."""
        return 0 < text <= self._collection.highest_text and self._tables.dead[text] == 0

    def carrier_count(self, text: int) -> int:
        """How many articles carry a text."""
        return int(self._tables.texts["count"][text])

    def carrier_numbers(self, text: int, limit: int) -> list[int]:
        """Articles that carry a text, by the bytes of their ids, the first ``limit``."""
        found: list[int] = members.carriers_by_name(self._tables, text, limit).tolist()
        return found

    def first_carriers(self, text: int, *, before: int, source: int) -> list[Carrier]:
        """The earliest carrier of a text, and the earliest of an outlet if that is another.

        With ``before``, an article that is undecided, of those that carried it when that one came, removed since or
        not, and came before it; with 0 of those that carry it now.
        """
        out = np.zeros(2, np.int64)
        came = int(self._tables.articles["asked"][before]) if before else 0
        limit = before or self._collection.highest_article + 1
        members.first_carriers(self._tables, text, came, limit, np.uint64(source), out)
        first, own = out.tolist()
        return [self._carrier(self._tables.rows[row]) for row in dict.fromkeys((first, own)) if row]

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

    # -- clusters and stories ------------------------------------------------------------------------------

    def cluster(self, number: int) -> ClusterRecord | None:
        """What is said of a cluster as of the last event; None where there is none of this number."""
        if not 0 < number <= self._collection.highest_text:
            return None
        t = self._tables.texts[number]
        alone = t["edges"] == 0 and t["story"] == 0 and self._tables.told[number]["next"] == 0
        if alone and t["count"] == 1 and t["cluster"] in (0, number):
            record = describe_one(self.node(number))
            return msgspec.structs.replace(record, revision=int(t["touched"]))
        return self._summaries.cluster(number)

    def articles_of_cluster(self, number: int) -> list[int]:
        """The articles of a cluster, ascending; none where there is no cluster of this number."""
        if not 0 < number <= self._collection.highest_text:
            return []
        rows = members.rows_of(self._tables, members.cluster_texts(self._tables, number))
        return list(np.sort(self._tables.rows["article"][rows]).tolist())

    def story(self, number: int) -> StoryRecord | None:
        """What is said of a story as of the last event; None where there is none of this number."""
        return self._summaries.story(number) if 0 < number <= self._collection.highest_text else None

    def resolve_story(self, number: int) -> int:
        """The story that a name leads to now: that of the text it was named after; 0 where there is none."""
        text = (
            int(components.resolve(self._tables, number))
            if 0 < number <= self._collection.highest_text
            else 0
        )
        return int(self._tables.texts["story"][text]) if text else 0

    def is_waiting(self, text: int) -> bool:
        """Whether the cluster of a text may be another once events are made."""
        if not self.is_living(text):
            return False
        return bool(members.is_waiting(self._tables, text, self._collection.rules))

    def articles_after(self, after: int, limit: int) -> list[int]:
        """The next articles that stand, by number."""
        out = np.empty(limit, np.int64)
        count = members.next_articles(self._tables, after, out)
        return list(out[:count].tolist())

    def clusters_after(self, after: int, limit: int) -> list[int]:
        """The next clusters of more than one article, with a link or a story, by number, as of the last event."""
        out = np.empty(limit, np.int64)
        count = members.next_flagged(self._tables, after, base.LISTED, out)
        return list(out[:count].tolist())

    def stories_after(self, after: int, limit: int) -> list[int]:
        """The next stories by number, as of the last event."""
        out = np.empty(limit, np.int64)
        count = members.next_flagged(self._tables, after, base.STORY, out)
        return list(out[:count].tolist())

    def pairs_after(self, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
        """The next pairs of texts that share an edge, the smaller number first, in order."""
        found = members.pairs_after(self._tables, after[0], after[1], limit)
        return [(a, b) for a, b in found.tolist()]

    def counts(self) -> tuple[int, int]:
        """How many clusters :meth:`clusters_after` lists, and how many stories there are."""
        sums = self._tables.told_sums
        return int(sums[base.TOLD_CLUSTERS]), int(sums[base.TOLD_STORIES])

    def divide(self) -> Division:
        """Clusters, stories and representatives of everything there is."""
        texts, cluster, story, links = summing.divide(self._tables, self._collection.rules)
        chosen, _ = summing.summarize(self._tables, texts, cluster, story)
        return Division(
            texts=texts, cluster=cluster, story=story, representative=chosen, links=np.unique(links, axis=0)
        )

    def content_digest(self) -> str:
        """32 hexadecimal digits of what there is, clusters and stories as of the last event: costs nothing.

        Once the collection is settled, it depends on what survives alone: see ``docs/architecture.md``.
        """
        kept, sums = self._collection.content_sums(), self._tables.told_sums
        lanes = [(kept[i] + int(sums[i])) % (1 << 64) for i in range(2)]
        return f"{lanes[0]:016x}{lanes[1]:016x}"

    def computed_digest(self) -> str:
        """The same with clusters and stories found anew from all edges, whatever waits for events."""
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
