"""Which agencies an article credits, in one number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dedup.core.provenance import AGENCIES, CREDITED, agencies, credit_bits, credits_of_bits
from dedup.model import Credit, CreditPlace


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
