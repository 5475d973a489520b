"""Who has what to do: texts that are due, articles that are undecided, and the servers whose work they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dedup.model import CollectionParameters
from dedup.state.entry_reading import Reader
from dedup.state.kernels import base, members
from dedup.state.standing import Standing

#: Servers that work can belong to: whoever appears as one more takes the place, and the work, of the first.
_SERVERS: Final = 1 << 16


class Duties(Standing):
    """What the entries folded so far have left to whom."""

    def __init__(self, parameters: CollectionParameters) -> None:
        super().__init__(parameters)
        self._numbers: dict[int, int] = {}
        self._incarnations: dict[int, int] = {}
        self._appeared = 0
        self._successors: dict[int, int] = {}
        self._undecided: dict[int, int] = {}
        self._due_head = 0

    # -- told by the fold --------------------------------------------------------------------------------

    @staticmethod
    def _check_incarnation(incarnation: int, read: Reader) -> None:
        if not 0 <= incarnation < 1 << 63:
            raise read.error(f"names server {incarnation}, which is no number of 63 bits")

    def _number_of(self, incarnation: int) -> int:
        """The number of a server here: they are counted as they appear in the log."""
        number = self._numbers.get(incarnation)
        if number is None:
            number = self._appeared % _SERVERS
            self._appeared += 1
            self._numbers.pop(self._incarnations.get(number, -1), None)
            self._successors.pop(number, None)
            self._numbers[incarnation], self._incarnations[number] = number, incarnation
        return number

    def _retire(self, incarnation: int, owner: int, position: int) -> None:
        """The work of a server is another one's."""
        gone, number = self._number_of(incarnation), self._number_of(owner)
        if gone != number:
            self._successors[gone] = number
        said = (np.uint64(gone), np.uint64(number), np.uint64(position))
        base.log_add(self._state.sums, 1, base.L_RETIRED, *said)

    def _note_undecided(self, articles: NDArray[np.int64]) -> None:
        """Whoever brought articles decides about them, but those that somebody else has brought before."""
        flags, owner = self._state.tables.articles["flags"][articles], self.number(base.OWNER)
        for article in articles[flags & (base.AWAITED | base.DECIDED) == base.AWAITED].tolist():
            self._undecided.setdefault(article, owner)

    # -- asked for -----------------------------------------------------------------------------------------

    def take_due(self, limit: int) -> tuple[list[int], list[bool]]:
        """The next texts that are due, and whether for all partners; each is given once until it gets due again."""
        state = self._state
        found: list[int] = []
        whole: list[bool] = []
        while self._due_head < state.number(base.DUE_TAIL) and len(found) < limit:
            text = int(state.tables.due[self._due_head])
            self._due_head += 1
            row = state.tables.texts[text]
            row["flags"] &= ~np.uint16(base.QUEUED)
            if row["due"]:
                found.append(text)
                whole.append(bool(row["flags"] & base.WHOLE))
        last = state.number(base.DUE_TAIL)
        if self._due_head == last or (self._due_head > 1 << 12 and 2 * self._due_head > last):
            state.tables.due[: last - self._due_head] = state.tables.due[self._due_head : last].copy()
            state.meta[base.DUE_TAIL], self._due_head = last - self._due_head, 0
        return found, whole

    def owner_of(self, text: int) -> int:
        """The incarnation of the server that a text's verification belongs to."""
        return self._successor(int(self._state.tables.texts["owner"][text]))

    def _successor(self, number: int) -> int:
        """Who does the work of a server now."""
        seen = set()
        while number in self._successors and number not in seen:
            seen.add(number)
            number = self._successors[number]
        return self._incarnations[number]

    def due_now(self, texts: Sequence[int]) -> list[tuple[int, bool]]:
        """Those of some texts that are due, and whether for all partners."""
        rows = self._state.tables.texts
        return [
            (text, bool(rows["flags"][text] & base.WHOLE))
            for text in texts
            if text <= self.highest_text and rows["due"][text]
        ]

    def due_of(self, incarnation: int) -> list[tuple[int, bool]]:
        """All texts that a server has to verify, ascending, and whether for all partners."""
        due = members.due_texts(self._state.tables)
        owners = self._state.tables.texts["owner"][due]
        theirs = [n for n in np.unique(owners).tolist() if self._successor(n) == incarnation]
        return self.due_now(due[np.isin(owners, theirs)].tolist())

    def has_just_come(self, text: int) -> bool:
        """Whether a text is due because it came, and for nothing since."""
        row = self._state.tables.texts[text]
        return bool(row["due"] == row["arrived"])

    def owners_with_work(self) -> set[int]:
        """The servers that texts wait for to be verified, or articles to be decided."""
        found = set()
        if self.due:
            due = members.due_texts(self._state.tables)
            owners = np.unique(self._state.tables.texts["owner"][due]).tolist()
            found |= {self._successor(number) for number in owners}
        return found | {self._successor(number) for number in set(self._undecided.values())}

    def undecided_articles(self) -> list[tuple[int, int, int, int]]:
        """Articles that wait for their decision: number, text, server that has to decide, position of arrival."""
        s, found = self._state.tables, []
        for article, owner in self._undecided.items():
            row = s.rows[s.articles["asked"][article]]
            found.append((article, int(row["text"]), self._successor(owner), int(row["position"])))
        return found
