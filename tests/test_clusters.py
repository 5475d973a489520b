"""Records of clusters: the quick way for a single article says what the long one does."""

from __future__ import annotations

import itertools

import pytest

from dedup.cluster import Carrier, TextNode
from dedup.index.records import credit_bits
from dedup.model import Credit, CreditPlace
from dedup.pipeline.clusters import describe, describe_one

AFP = Credit("AFP", CreditPlace.DATELINE, "AFP", 0, 3)
PHOTO = Credit("Reuters", CreditPlace.PHOTO, "Reuters", 0, 7)
PLAIN = Credit("Agencies", CreditPlace.BYLINE, "Agencies", 0, 8)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("agency", ["", "AFP"])
@pytest.mark.parametrize(
    "credits",
    list(itertools.chain.from_iterable(itertools.combinations((AFP, PHOTO, PLAIN), n) for n in range(4))),
)
def test_one_article_is_described_alike_both_ways(
    credits: tuple[Credit, ...], agency: str, dated: bool
) -> None:
    """With and without a time, an agency's own copy or not, any credits: the same record."""
    carrier = Carrier(7, 99, 1.5e9, dated, 300, agency, credit_bits(credits))
    node = TextNode(4, b"digest", (carrier,))
    assert describe_one(node) == describe([node], 1, 0, (), {})
