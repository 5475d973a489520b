"""Which agencies an article credits where, in one number: what is known of it wherever its text is."""

from __future__ import annotations

from typing import Final

from dedup.model import Credit, CreditPlace

#: Agencies as carriers name them, by place in this list; new ones go to its end.
AGENCIES: Final = tuple(
    """AFP|AP|Reuters|dpa|EFE|ANSA|TASS|Xinhua|Kyodo|PA|UPI|Interfax|PTI|APP|Agencies|Bloomberg|Anadolu|Sputnik|Ukrinform
Agerpres|Télam|ISNA|Fars|SANA|KUNA|Oman News Agency|RAPSI|CNA|NNA""".replace("\n", "|").split("|")
)
#: Agencies that the carrier of one article has room for.
CREDITED: Final = 5
_CREDIT_BITS: Final = 12
_PLACES: Final = tuple(CreditPlace)


def credit_bits(credits: tuple[Credit, ...]) -> int:
    """Which agencies are credited where: of each the place in :data:`AGENCIES`, from 1, and a bit for every place.

    There is room for the first :data:`CREDITED`; the record of the article has them all.
    """
    places: dict[int, int] = {}
    for credit in credits:
        if credit.agency in AGENCIES:
            number = AGENCIES.index(credit.agency) + 1
            if number in places or len(places) < CREDITED:
                places[number] = places.get(number, 0) | 1 << (int(credit.place) - 1)
    bits = 0
    for number in sorted(places, reverse=True):
        bits = bits << _CREDIT_BITS | number << len(_PLACES) | places[number]
    return bits


def credits_of_bits(bits: int) -> tuple[Credit, ...]:
    """The agencies and places behind :func:`credit_bits`, without the words that named them."""
    found = []
    while bits:
        agency = AGENCIES[(bits >> len(_PLACES) & 0xFF) - 1]
        found += [
            Credit(agency=agency, place=place, text="", start=0, end=0)
            for place in _PLACES
            if bits >> int(place) - 1 & 1
        ]
        bits >>= _CREDIT_BITS
    return tuple(found)
