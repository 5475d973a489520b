"""From texts that are due to an entry of the log: whom they may be compared with, what they share, what was decided.

Whoever judges needs nothing but the log: the server that took the articles in, the one that took over its work, and
one that met a retry of an article that nobody had decided about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from dedup.core.decision import (
    EarlierMatch,
    WordCounts,
    against_equal,
    count_words,
    decide,
)
from dedup.live.comparing import Pairing
from dedup.model import ArticleNumber, Decision, TextNumber
from dedup.observability import stage
from dedup.state import entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dedup.core.clustering import Carrier
    from dedup.core.verify import ComparableText
    from dedup.core.verify_pair import VerifiedMatch
    from dedup.live.comparing import Comparer, MatchedText
    from dedup.live.follower import Follower
    from dedup.live.writer import Writer

#: Pairs of one entry, so that it stays below 64 KB.
_PAIRS: Final = 1000


class Due(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A text to be verified: with all its partners, or with those that came before it.

    ``met`` are those that it might have been compared with when it came, where that is known.
    """

    text: int
    whole: bool
    met: NDArray[np.int64] | None = None


class Undecided(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An article that waits for its decision; ``is_first`` where its text came with it."""

    article: int
    text: int
    source: int
    words: int
    is_first: bool


class Judged(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What was found: matches by text, decisions by article, and the texts as they were compared."""

    found: dict[int, dict[int, VerifiedMatch[MatchedText]]]
    decisions: dict[int, Decision]
    ready: dict[int, ComparableText]
    candidates: dict[int, int]


class _Verifying(msgspec.Struct, gc=False, kw_only=True):
    """A text that is due, with the partners it has now; ``entry`` are those that the entry speaks of."""

    due: Due
    pairing: Pairing
    entry: list[int]


class Judge:
    """Verifies and decides; one a collection."""

    def __init__(self, follower: Follower, writer: Writer, comparer: Comparer) -> None:
        self._follower = follower
        self._writer = writer
        self._comparer = comparer

    async def judge(self, due: Sequence[Due], undecided: Sequence[Undecided]) -> Judged:
        """Verify texts, decide about articles, and append both; returns when that is folded.

        Raises:
            StoreUnavailable: the store does not answer, or its log went back.
        """
        await self._follower.steady()
        position, generation = self._follower.position, self._follower.generation
        with stage("look_up"):
            jobs = self._look_up(due)
            late = self._late(undecided, {job.due.text: job for job in jobs})
            pairings = [job.pairing for job in jobs] + list(late.values())
            texts = {p.text for p in pairings if p.others}.union(*(p.others for p in pairings))
            texts |= {u.text for u in undecided}
            plan = self._comparer.plan(texts)
        ready = await self._comparer.make(plan)
        await self._comparer.compare(pairings, ready)
        await self._follower.steady()
        if generation != self._follower.generation:
            raise self._follower.divergence()
        with stage("decide"):
            decided, decisions = self._decide(undecided, {j.due.text: j.pairing for j in jobs}, late, ready)
        with stage("append_verified"):
            await self._append(jobs, position, decided, ready)
        return Judged(
            found={p.text: p.found for p in pairings},
            decisions=decisions,
            ready=ready,
            candidates={p.text: len(p.others) for p in pairings},
        )

    # -- looking up --------------------------------------------------------------------------------------

    def _look_up(self, due: Sequence[Due]) -> list[_Verifying]:
        """Partners of each text now; a pair of two texts that are due stands with one of them."""
        state, reader = self._follower.collection, self._follower.reader
        looked_up = state.look_up([d.text for d in due], below=[not d.whole for d in due])
        seen: set[tuple[int, int]] = set()
        jobs = []
        for each, now in zip(due, looked_up, strict=True):
            text = each.text
            eligible = [o for o in now.tolist() if (min(text, o), max(text, o)) not in seen]
            seen.update((min(text, o), max(text, o)) for o in eligible)
            late: list[int] = []
            if each.met is not None:
                late = [o for o in each.met.tolist() if o not in eligible and reader.is_kept(o)]
            jobs.append(
                _Verifying(due=each, pairing=Pairing(text=text, others=[*eligible, *late]), entry=eligible)
            )
        return jobs

    def _late(self, undecided: Sequence[Undecided], jobs: dict[int, _Verifying]) -> dict[int, Pairing]:
        """Pairings of articles whose text is not looked up as it came: they are decided about late."""
        late = {}
        for each in undecided:
            job = jobs.get(each.text)
            known = each.is_first and job is not None and job.due.met is not None
            if not known and not self._equals(each):
                met = self._follower.collection.look_up_late(each.article, each.text).tolist()
                late[each.article] = Pairing(text=each.text, others=met)
        return late

    # -- deciding ----------------------------------------------------------------------------------------

    def _equals(self, each: Undecided) -> list[Carrier]:
        """The articles that carried the text before this one came."""
        return self._follower.reader.first_carriers(each.text, before=each.article, source=each.source)

    def _decide(
        self,
        undecided: Sequence[Undecided],
        pairings: dict[int, Pairing],
        late: dict[int, Pairing],
        ready: dict[int, ComparableText],
    ) -> tuple[list[entries.Decided], dict[int, Decision]]:
        reader = self._follower.reader
        raw, decisions = [], {}
        for each in undecided:
            if each.article in decisions or reader.is_decided(each.article):
                continue
            pairing = late.get(each.article) or pairings.get(each.text)
            decision, copied = self._decision(each, pairing, ready.get(each.text))
            raw.append(
                entries.Decided(
                    article=each.article,
                    kind=int(decision.kind),
                    copied=copied,
                    covered=decision.covered,
                    words=(
                        decision.words_copied,
                        decision.words_quoted,
                        decision.words_boilerplate,
                        decision.words_new,
                    ),
                )
            )
            decisions[each.article] = replace(decision, copies=reader.id_of(copied) if copied else "")
        return raw, decisions

    def _decision(
        self, each: Undecided, pairing: Pairing | None, text: ComparableText | None
    ) -> tuple[Decision, ArticleNumber]:
        equal = self._equals(each)
        if text is None:  # its record is lost: nothing can be counted
            return decide(each.source, [], WordCounts(new=each.words))
        if equal:
            earlier, counts = against_equal(text, equal)
            return decide(each.source, earlier, counts)
        matches = self._earlier(each, pairing) if pairing is not None else []
        if not matches and not self._follower.reader.has_boilerplate(each.text):
            return decide(each.source, [], WordCounts(new=each.words))
        earlier, counts = count_words(text, each.source, matches)
        return decide(each.source, earlier, counts)

    def _earlier(self, each: Undecided, pairing: Pairing) -> list[EarlierMatch]:
        """The matches with texts that some article carried when this one came."""
        reader = self._follower.reader
        matches = []
        for other, match in pairing.found.items():
            if other >= each.text:
                continue
            carriers = reader.first_carriers(other, before=each.article, source=each.source)
            if carriers:
                cluster = TextNumber(reader.cluster_of([other])[0])
                matches.append(EarlierMatch(match=match, cluster=cluster, carriers=carriers))
        return matches

    # -- appending ---------------------------------------------------------------------------------------

    async def _append(
        self,
        jobs: Sequence[_Verifying],
        position: int,
        decided: Sequence[entries.Decided],
        ready: dict[int, ComparableText],
    ) -> None:
        """Entries of what was verified, all decisions with the first; a partner whose record is lost is left out."""
        looked_up: list[entries.LookedUp] = []
        pairs = 0
        waiting = list(decided)
        for job in jobs:
            lost = [o for o in job.entry if o not in ready]
            if job.entry and job.due.text not in ready:
                lost = job.entry
            found = [_pair(o, job.pairing.found.get(o)) for o in job.entry if o not in lost]
            parts = [found[i : i + _PAIRS] for i in range(0, len(found), _PAIRS)] or [[]]
            for number, part in enumerate(parts, 1):
                looked_up.append(
                    entries.LookedUp(
                        text=job.due.text,
                        position=position,
                        pairs=part,
                        all_partners=job.due.whole,
                        complete=number == len(parts),
                    )
                )
                pairs += len(part) + 1
                if pairs >= _PAIRS:
                    await self._writer.append(entries.verified(looked_up, waiting))
                    looked_up, waiting, pairs = [], [], 0
        if looked_up or waiting:
            await self._writer.append(entries.verified(looked_up, waiting))


def _pair(other: int, match: VerifiedMatch[MatchedText] | None) -> entries.Pair:
    kind = None if match is None else match.evidence.kind
    if match is None or kind is None:
        return entries.Pair(partner=other)
    evidence = match.evidence
    return entries.Pair(
        partner=other,
        kind=int(kind),
        unquoted=evidence.shared - evidence.quoted,
        quoted=evidence.quoted,
        a_containment=evidence.a_containment,
        b_containment=evidence.b_containment,
        min_coverage=evidence.min_coverage,
    )
