"""What several articles together say about where their text comes from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from dedup.core.provenance.credit import BYLINE_NAMES
from dedup.core.provenance.unnamed_agencies import UNNAMED
from dedup.model import Credit, CreditPlace, Origin


def agencies_of(credits_of_members: Iterable[Sequence[Credit]]) -> tuple[str, ...]:
    """The agencies that articles credit, by the number of articles, most often credited first."""
    return agencies_of_groups((member, 1) for member in credits_of_members)


def agencies_of_groups(credits_of_groups: Iterable[tuple[Sequence[Credit], int]]) -> tuple[str, ...]:
    """The same of so many articles with the same credits each.

    At equal numbers a named agency comes before plain "Agencies", then the one with more credits outside
    picture captions, then the alphabet decides.
    """
    articles: Counter[str] = Counter()
    outside_pictures: Counter[str] = Counter()
    for credits, count in credits_of_groups:
        for agency in {credit.agency for credit in credits}:
            articles[agency] += count
        for agency in {credit.agency for credit in credits if credit.place != CreditPlace.PHOTO}:
            outside_pictures[agency] += count
    return tuple(
        sorted(articles, key=lambda name: (-articles[name], name == UNNAMED, -outside_pictures[name], name))
    )


class OriginEvidence(msgspec.Struct, frozen=True, gc=False):
    """What is known of one article of a cluster. ``published`` is in Unix seconds."""

    id: str
    source: str
    published: float | None
    words: int
    credits: tuple[Credit, ...]


#: Confidence for each kind of evidence; nobody has measured it, it orders the kinds.
_OWN_COPY = 0.95
_NAMED_BY_MOST = 0.85
_NAMED_BY_SOME = 0.6
_MENTIONED_BY_MOST = 0.5
_MENTIONED_BY_SOME = 0.35
_EARLIEST_BY_HOURS = 0.4
_EARLIEST_BY_MINUTES = 0.3
_CLEAR_GAP = 600.0
_WIDE_GAP = 3 * 3600.0
_RIVALS = 0.7  # factor where two agencies have equal evidence

_SITES = {
    "reuters.com": "Reuters",
    "apnews.com": "AP",
    "afp.com": "AFP",
    "dpa.com": "dpa",
    "efe.com": "EFE",
    "ansa.it": "ANSA",
    "tass.com": "TASS",
    "tass.ru": "TASS",
    "xinhuanet.com": "Xinhua",
    "kyodonews.net": "Kyodo",
    "pa.media": "PA",
    "upi.com": "UPI",
    "interfax.ru": "Interfax",
    "interfax.com": "Interfax",
    "ptinews.com": "PTI",
    "app.com.pk": "APP",
    "bloomberg.com": "Bloomberg",
    "aa.com.tr": "Anadolu",
    "sputniknews.com": "Sputnik",
    "ukrinform.net": "Ukrinform",
    "ukrinform.ua": "Ukrinform",
    "ukrinform.ru": "Ukrinform",
    "agerpres.ro": "Agerpres",
    "telam.com.ar": "Télam",
    "isna.ir": "ISNA",
    "farsnews.com": "Fars",
    "farsnews.ir": "Fars",
    "sana.sy": "SANA",
    "kuna.net.kw": "KUNA",
    "omannews.gov.om": "Oman News Agency",
    "nna-leb.gov.lb": "NNA",
    "cna.com.tw": "CNA",
    "rapsinews.ru": "RAPSI",
}


def agency_of_source(source: str) -> str | None:
    """The agency that an outlet's name or site means, if the outlet is one."""
    name = source.strip().casefold().removeprefix("www.")
    return BYLINE_NAMES.get(name.removeprefix("the ")) or _SITES.get(name)


def origin(members: Sequence[OriginEvidence]) -> Origin:
    """Where the text of a cluster comes from: an agency, an outlet, or unknown.

    Evidence in falling order: the agency's own copy; credits in bylines and datelines of most outlets, then
    of some; credits in the text; an outlet that published clearly before all others. Credits of pictures
    never count. Articles of one outlet count once.
    """
    outlets = {member.source or member.id for member in members}
    if not outlets:
        return Origin(reason="no articles")
    candidates = _agency_candidates(members, len(outlets))
    if candidates:
        best = candidates[0]
        rivals = [each for each in candidates[1:] if each[:2] == best[:2]]
        confidence = best[0] * (_RIVALS if rivals else 1.0)
        reason = f"{best[3]}; {rivals[0][2]} has equal evidence" if rivals else best[3]
        return Origin(best[2], round(confidence, 3), reason)
    return _earliest(members)


def _agency_candidates(members: Sequence[OriginEvidence], outlets: int) -> list[tuple[float, int, str, str]]:
    """(confidence, outlets, agency, reason) of each agency, best first; plain "Agencies" only if alone."""
    own: dict[str, set[str]] = defaultdict(set)
    placed: dict[str, set[str]] = defaultdict(set)
    mentioned: dict[str, set[str]] = defaultdict(set)
    for member in members:
        outlet = member.source or member.id
        agency = agency_of_source(member.source)
        if agency is not None:
            own[agency].add(outlet)
        for credit in member.credits:
            if credit.place in (CreditPlace.BYLINE, CreditPlace.DATELINE):
                placed[credit.agency].add(outlet)
            if credit.place != CreditPlace.PHOTO:
                mentioned[credit.agency].add(outlet)
    candidates: list[tuple[float, int, str, str]] = []
    for agency in {*own, *mentioned}:
        named, told = len(placed[agency]), len(mentioned[agency])
        if own[agency]:
            entry = (_OWN_COPY, told, "its own copy is among them")
        elif 2 * named > outlets:
            entry = (_NAMED_BY_MOST, named, f"bylines or datelines of {named} of {outlets} outlets")
        elif named:
            entry = (_NAMED_BY_SOME, named, f"byline or dateline of {named} of {outlets} outlets")
        elif 2 * told > outlets:
            entry = (_MENTIONED_BY_MOST, told, f"credited in the text by {told} of {outlets} outlets")
        else:
            entry = (_MENTIONED_BY_SOME, told, f"credited in the text by {told} of {outlets} outlets")
        candidates.append((entry[0], entry[1], agency, entry[2]))
    named_agencies = [each for each in candidates if each[2] != UNNAMED]
    candidates = named_agencies or [(each[0] / 2, *each[1:]) for each in candidates]
    return sorted(candidates, key=lambda each: (-each[0], -each[1], each[2]))


def _earliest(members: Sequence[OriginEvidence]) -> Origin:
    """The outlet that published clearly before all others, where every article has a time."""
    first: dict[str, float] = {}
    names: dict[str, str] = {}
    for member in members:
        if member.published is None:
            return Origin(reason="no credits, and not every article has a time")
        outlet = member.source or member.id
        names[outlet] = member.source
        first[outlet] = min(member.published, first.get(outlet, member.published))
    if len(first) == 1:
        return Origin(reason="no credits, and one outlet only")
    order = sorted(first, key=lambda outlet: (first[outlet], outlet))
    gap = first[order[1]] - first[order[0]]
    name = names[order[0]]
    if gap < _CLEAR_GAP or not name:
        return Origin(reason="no credits, and no clear first publication")
    confidence = _EARLIEST_BY_HOURS if gap >= _WIDE_GAP else _EARLIEST_BY_MINUTES
    longest = max(member.words for member in members)
    words = max(member.words for member in members if (member.source or member.id) == order[0])
    if 2 * words < longest:
        return Origin(name, confidence / 2, "published first, but much shorter than the longest")
    return Origin(name, confidence, f"published {int(gap // 60)} minutes before the next outlet")
