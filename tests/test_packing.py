"""What goes to the scripts is cut into calls that hold the store only briefly, and nothing is lost on the way."""

from __future__ import annotations

import struct

from hypothesis import example, given
from hypothesis import strategies as st

from dedup.core.provenance import AGENCIES, CREDITED, agencies, credit_bits, credits_of_bits
from dedup.model import Credit, CreditPlace, TextNumber
from dedup.store.packing import MAX_EDGES, EdgeDeletion, PostingQuery, deletions_in_parts, in_parts

_DELETION = struct.Struct("<IddI")


def read(part: bytes) -> list[tuple[int, float, float, tuple[int, ...]]]:
    """A part as delete_edges.lua reads it."""
    found, at = [], 0
    while at < len(part):
        text, entry, sequence, count = _DELETION.unpack_from(part, at)
        at += _DELETION.size
        found.append((text, entry, sequence, struct.unpack_from(f"<{count}I", part, at)))
        at += 4 * count
    return found


@given(st.lists(st.integers(0, 3 * MAX_EDGES), max_size=6))
def test_cuts_are_whole_in_parts_of_bounded_size(sizes: list[int]) -> None:
    """Every edge is in one part, no part has too many, and a text's entry ends with the last of its parts."""
    deletions = [
        EdgeDeletion(TextNumber(n + 1), str(100 + n), 7, [TextNumber(1000 + i) for i in range(size)])
        for n, size in enumerate(sizes)
    ]
    parts = [read(part) for part in deletions_in_parts(deletions)]
    assert all(sum(len(others) for *_, others in part) <= MAX_EDGES for part in parts)
    rows = [row for part in parts for row in part]
    for deletion in deletions:
        mine = [row for row in rows if row[0] == deletion.text]
        assert [other for *_, others in mine for other in others] == list(deletion.others)
        assert [entry for _, entry, _, _ in mine] == [-1.0] * (len(mine) - 1) + [float(deletion.entry)]
        assert {sequence for _, _, sequence, _ in mine} == {7.0}


@given(st.lists(st.integers(0, 4000), max_size=20))
@example([0, 834])
def test_a_batch_is_whole_in_parts(postings: list[int]) -> None:
    """All texts in order; more than one in a part only where their postings are few."""
    batch = [PostingQuery(TextNumber(n), b"", bytes(6 * size)) for n, size in enumerate(postings)]
    parts = list(in_parts(batch))
    assert [q for part in parts for q in part] == batch
    for part in parts:
        assert len(part) <= 1 or sum(len(q.postings) for q in part) <= 5000


def test_every_agency_has_a_place_in_carriers() -> None:
    """No agency that articles can credit is lost on the way to clusters."""
    assert {agency for script in agencies.SCRIPTS for agency, _ in script.values()} <= set(AGENCIES)
    assert len(set(AGENCIES)) == len(AGENCIES) <= 127


CREDITS = st.tuples(st.sampled_from(AGENCIES), st.sampled_from(CreditPlace))


@given(st.lists(CREDITS, max_size=12))
def test_credits_come_back_from_their_bits(given: list[tuple[str, CreditPlace]]) -> None:
    """Of the first five agencies every place; the bits fit into eight bytes."""
    bits = credit_bits(tuple(Credit(agency, place, "", 0, 0) for agency, place in given))
    assert 0 <= bits < 2**64
    kept = list(dict.fromkeys(agency for agency, _ in given))[:CREDITED]
    found = {(credit.agency, credit.place) for credit in credits_of_bits(bits)}
    assert found == {(agency, place) for agency, place in given if agency in kept}
