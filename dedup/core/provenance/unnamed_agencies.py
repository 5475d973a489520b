"""Credits of agencies that are not named: "Agencies", "avec agences", "المصدر: وكالات", "(نیوز ایجنسیاں)".

The word itself is common ("intelligence agencies", "agencias de viajes"), so only a fixed place counts: the
brackets of a dateline, a byline on its own line, or the last line of a report, at either end of the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from dedup.core.provenance.agencies import RISKY, Mention
from dedup.core.provenance.context import Around, around
from dedup.core.provenance.datelines import is_place
from dedup.model import CreditPlace

#: The canonical name of agencies without a name.
UNNAMED = "Agencies"

_HEAD = 500
_TAIL = 600
_MAX = 20  # occurrences of the word looked at

#: Occurs in every text that credits plain agencies. Each branch begins with one letter that is not frequent,
#: which is what makes the search fast.
_HINT = re.compile(
    r"g(?:enci[ea]|ences|entur|enzie|ênci)|G(?:ENCI|ÊNCI|ENCES)|wire serv|Wire serv|гентств"
    r"|كالات|کالات|جنس[یي]ا|外[电電]"
)
_NOUN = re.compile(
    r"(?<![A-Za-zÀ-ɏ])(?:(?:[Nn]ews |[Ww]ire )?[Aa]gencies|(?:NEWS )?AGENCIES|[Ww]ire services"
    r"|[Aa]gencias(?: internacionales)?|AGENCIAS|[Aa]gences(?: de presse)?|AGENCES|[Aa]genturen|[Aa]genturmaterial"
    r"|[Aa]genzie|[Aa]gências(?: internacionais)?|AGÊNCIAS(?: INTERNACIONAIS)?)(?![A-Za-zÀ-ɏ])"
    r"|(?:информ)?агентств(?!\w)|(?<!\w)(?:ال)?و[كک]الات(?!\w)|ا[یي]جنس[یي]ا ?ں(?!\w)|综合外电|綜合外電"
)

_DATELINE_END = re.compile(r"(?:\s?[/,،+][^()\n]{1,60})?\s?\)\s?(?:[-–—:.]{1,3}\s?\S|[^\sa-z.,;)])")
_DATELINE_LIST = re.compile(r"(?:[^()\n]{0,90}[/,،+&]\s?)?(?:ن[یي]وز|خبر|[Nn]ews)?\s?$")
_BY_AND = re.compile(
    r"(?:^|.{0,40}[|/,–—-]|.{0,40}\b(?:staff|staffs|writers?|reporters?|correspondents?|desk|monitor|bureau|redacción|rédaction"
    r"|redação|redaktion|redazione|AFP|AP|Reuters|EFE|dpa)\s(?:and|y|et|e|und|with|avec|con))\s?$",
    re.IGNORECASE,
)
_BY = re.compile(r"\s*(?:By|Por|Par|Von|Di|From)\s")
_BY_END = re.compile(r"(?:\s?[|/,–—-][^\n.]{0,40}|\sin\s[A-Z][\w ]{1,30})?\s*$")
_REPORT_END = re.compile(r"[\s.)\]–—|-]{0,4}$")
_INPUTS = re.compile(
    r"\b(?:with|using|from)\s(?:additional\s)?(?:inputs?|reports?|reporting|information|material|files)\s(?:from|by)\s"
    r"(?:(?:other|various|international|foreign|the|news|wire)\s)*$",
    re.IGNORECASE,
)
_WITH = re.compile(
    r"(.*?)(?:^|[\s(\[/–—.-])(?:with|avec|con|com|mit|e|y|and|et|und)\s(?:les\s|news\s|other\s)?$",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    r"(?:\b(?:sources?|fuentes?|fontes?|quellen?|compiled from|información de|informações d[ea]s?|redacción(?: y)?"
    r"|المصدر|المصادر)\s?[:：/]?\s?|[.!?\"”»]\s?[-–—]{1,2}\s?|^\W{0,4}|[-–—(\[]\s?|[(\[][^()\[\]\n]{1,40}[,/+]\s?)$",
    re.IGNORECASE,
)
_RUSSIAN = re.compile(r"\b[Пп]о\s(?:материалам|сообщениям|информации|данным)\s(?:\w+ых\s)?$")


def unnamed_agencies(text: str, body: int) -> Iterator[tuple[CreditPlace, int, int]]:
    """(place, start, end) of each credit of unnamed agencies in the first and last characters of the body."""
    head_end = body + _HEAD
    tail = max(head_end, len(text) - _TAIL)
    for start, end in ((body, head_end), (tail, len(text))):
        if _HINT.search(text, start, end) is None:
            continue
        for match in islice(_NOUN.finditer(text, start, end), _MAX):
            place = _place(
                around(
                    text, body, Mention(agency=UNNAMED, start=match.start(), end=match.end(), clarity=RISKY)
                )
            )
            if place is not None:
                yield place, match.start(), match.end()


def _place(here: Around) -> CreditPlace | None:
    before, after = here.before, here.after
    if here.name[0] > "\u2e80":
        return CreditPlace.DATELINE if here.opening and len(before) < 30 else CreditPlace.TEXT
    if here.opening:
        if _is_dateline(before, after):
            return CreditPlace.DATELINE
        if not here.late and not here.last_line and here.whole_line and _is_byline(before, after):
            return CreditPlace.BYLINE
    if after.startswith(" contributed to ") or _INPUTS.search(here.left):
        return CreditPlace.TEXT
    if here.name[0] in "иа" and _RUSSIAN.search(here.left):
        return CreditPlace.TEXT
    if here.name[0] not in "иа" and _REPORT_END.match(after) and _ends_report(here):
        return CreditPlace.TEXT
    return None


def _is_dateline(before: str, after: str) -> bool:
    """``MADRID (Agencias).-``, ``VALENCIA (M. G./AGENCIAS).``, ``اسلام آباد (نیوز ایجنسیاں)``, ``وكالات -``."""
    if not before.strip():
        return after[:3] in (" - ", " – ", " — ")
    opened = max(
        before.rfind("("), before.rfind(")")
    )  # mirrored brackets occur in scripts from right to left
    if opened < 0 or _DATELINE_LIST.match(before[opened + 1 :]) is None or _DATELINE_END.match(after) is None:
        return False
    place = before[:opened]
    if before[opened] == ")" and place[:1] < "\u0590":
        return False
    return len(place) < 80 and is_place(place)


def _is_byline(before: str, after: str) -> bool:
    """``Staff and agencies``, ``Agencias / Madrid``, ``By News Agencies``."""
    if len(before) + len(after) > 80 or _BY_END.match(after) is None:
        return False
    if _BY.match(before) is not None:
        return True
    return _BY_AND.match(before) is not None and "." not in before.strip()[:-1]


def _ends_report(here: Around) -> bool:
    """Whether the words before name agencies as the source of what stands above."""
    before = here.before[-100:]
    if _SOURCE.search(before) is not None:
        return True
    joined = _WITH.match(before)
    if joined is None:
        return False
    names = joined.group(1).strip(" (-–—/[")
    return not names or names[-1] in '.!?”"»/' or (len(before) < 60 and is_place(names))
