"""The agencies that one article credits."""

from __future__ import annotations

import re

from dedup.core.provenance import agencies
from dedup.core.provenance.agencies import SURE, fold_arabic, mentions
from dedup.core.provenance.context import around
from dedup.core.provenance.line_endings import codes_beside
from dedup.core.provenance.places import place_of
from dedup.core.provenance.unnamed_agencies import UNNAMED, unnamed_agencies
from dedup.model import Article, Credit, CreditPlace


def credits(article: Article) -> tuple[Credit, ...]:
    """The agencies that ``article`` credits, at most one credit for each agency and place, the first.

    Credits of the byline field come first, the others in the order of the text. Offsets are code points:
    ``article.text[start:end]`` or, with ``in_byline_field``, ``article.byline[start:end]`` is the name.
    """
    found: list[Credit] = []
    seen: set[tuple[str, CreditPlace]] = set()
    if article.byline:
        _credits_of_byline(article.byline, found, seen)
    text = article.text
    body = len(article.headline) + 1
    in_text: list[Credit] = []
    for mention in mentions(text):
        here = around(text, body, mention)
        place = place_of(here, in_text_already=(mention.agency, CreditPlace.TEXT) in seen)
        if place is None:
            continue
        given = [(mention.agency, mention.start, mention.end)]
        if place == CreditPlace.TEXT and here.name == "dpa":
            given += codes_beside(here)
        for agency, start, end in given:
            if (agency, place) not in seen:
                seen.add((agency, place))
                in_text.append(Credit(agency=agency, place=place, text=text[start:end], start=start, end=end))
    for place, start, end in unnamed_agencies(text, body):
        if (UNNAMED, place) not in seen:
            seen.add((UNNAMED, place))
            in_text.append(Credit(agency=UNNAMED, place=place, text=text[start:end], start=start, end=end))
    if len(in_text) > 1:
        in_text.sort(key=lambda credit: credit.start)
    return tuple(found + in_text)


_SEGMENT = re.compile(
    r"[^,/|()&+·•–—;:、；・]+?(?=\s+(?:and|y|et|und|e|with|avec|con|com|mit)\s|\s+-\s|[,/|()&+·•–—;:、；・]|$)"
)
_LEAD = re.compile(
    r"\s*(?:(?:by|par|por|von|di|da|de|from|with|avec|con|com|mit|and|y|et|und|e|the|la|-|staff|agencia|agence|photo)\s+|l['’]|\W+)*",
    re.IGNORECASE,
)
_STAFF = re.compile(
    r"(?:\s+[\w-]+){0,3}\s+(?:writers?|correspondents?|reporters?|columnist|staff|news|editors?|newswires?)\.?$",
    re.IGNORECASE,
)
#: Names as they stand in bylines and as outlets, in lower case.
BYLINE_NAMES: dict[str, str] = {
    fold_arabic(name.casefold()): agency
    for script in agencies.SCRIPTS
    for name, (agency, _) in script.items()
    if name not in ("Reuter", "REUTER")
} | {"thomson reuters": "Reuters", "afp-relaxnews": "AFP", "epa-efe": "EFE"}
_BYLINE_PLAIN = re.compile(
    r"\b(?:news\s|wire\s)?(?:agencies|agencias|agences|agenturen|agenzie|agências|wire services|news services)\b"
    r"(?!\s+(?:de|of|for)\b)"
    r"|و[كک]الات|ا[یي]جنس[یي]اں|综合外电|綜合外電",
    re.IGNORECASE,
)
_LONGEST_BYLINE = 400


def _credits_of_byline(byline: str, found: list[Credit], seen: set[tuple[str, CreditPlace]]) -> None:
    hits: dict[int, tuple[int, str]] = {}
    byline = byline[:_LONGEST_BYLINE]
    for mention in mentions(byline):
        if mention.clarity == SURE:
            hits[mention.start] = (mention.end, mention.agency)
    for segment in _SEGMENT.finditer(byline):
        lead = _LEAD.match(byline, segment.start(), segment.end())
        start = lead.end() if lead is not None else segment.start()
        name = byline[start : segment.end()].rstrip()
        agency = BYLINE_NAMES.get(fold_arabic(name.rstrip(".").casefold()))
        if agency is None and (staff := _STAFF.search(name)) is not None:
            name = name[: staff.start()]
            agency = BYLINE_NAMES.get(name.casefold())
        if agency is not None:
            hits.setdefault(start, (start + len(name.rstrip(".")), agency))
    for match in _BYLINE_PLAIN.finditer(byline):
        hits.setdefault(match.start(), (match.end(), UNNAMED))
    for start, (end, agency) in sorted(hits.items()):
        if (agency, CreditPlace.BYLINE) not in seen:
            seen.add((agency, CreditPlace.BYLINE))
            found.append(
                Credit(
                    agency=agency,
                    place=CreditPlace.BYLINE,
                    text=byline[start:end],
                    start=start,
                    end=end,
                    in_byline_field=True,
                )
            )
