"""Datelines and bylines: credits at the head of a report."""

from __future__ import annotations

import re

from dedup.core.provenance.agencies import RISKY, SURE
from dedup.core.provenance.context import Around
from dedup.core.provenance.photo_credits import looks_like_picture

_LONGEST = 90  # of a dateline before the name, and of a byline on a line of its own

# -- datelines --------------------------------------------------------------------------------------

_HAN = "\u2e80"  # letters above it: scripts without spaces
_UNCASED = "\u0590"  # letters above it: scripts without capitals
_DASH = tuple("-–—―─_:：ー−")
_LOWERCASE_IN_PLACES = frozenset(
    """de la le les el los las du des da do dos das di del della dei van von am im an der den die and the of on in al
    bin st y e et und i и в на г от th nd rd am pm gmt est ist utc
    jan feb mar apr may jun jul aug sep sept oct nov dec janv févr mars avril mai juin juil août janvier février juillet
    septembre octobre novembre décembre fév avr aoû déc ene abr ago dic enero febrero marzo abril mayo junio julio
    agosto septiembre octubre noviembre diciembre fev set out dez janeiro fevereiro março maio junho julho
    setembro outubro novembro dezembro gen mag giu lug
    ott gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    okt januar februar märz april juni juli august september oktober dezember
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
    січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня""".split()
)
_WORD = re.compile(r"[^\W_]+")
_CLOSE = re.compile(r"([^()（）\[\]\n]{0,40})[)）\]]\s*")
_PHOTO_INSIDE = re.compile(r"photo|foto|getty|archiv|file|pool|imag", re.IGNORECASE)
_DESK = re.compile(r"\s?(?:Health|Breakingviews|Life!|News|Newswire|Español|TVNS|tmn|news aktuell)?\s?$")
_BARE_DATELINE = re.compile(r"(?:\.RU|[-–][A-Za-zА-Яа-я.]{2,12})?\s*(?:[-–—―:]|--|\.\s?[-–—])\s+\S")
_NAME_FIRST = re.compile(r",\s(?:[A-Z][a-z]{2,8}\s\d{1,2}|\d{1,2}\s[а-я]{3,8})[.,]\s")
_AGENCY_BEFORE = re.compile(r"(?:و[كک]الة|خبرگزار[یي]|ا[یي]جنس[یي]|ادارے)\s*$")
_WIRED = re.compile(r"[^。，\n]{0,18}(?:[电電](?![视視影话話子力台])|\d\s?日\s?[-–—])")
_LENTICULAR = re.compile(r"[^】］\]）)\n]{0,12}[】］\]）)]\s*\S")


def is_dateline(here: Around) -> bool:
    """``PARIS, Nov 11 (Reuters) -``, ``МОСКВА, 3 марта. /ТАСС/.``, ``【パリ共同】``, ``新华社北京11月11日电``."""
    before, after = here.before, here.after
    if len(before) > _LONGEST:
        return False
    if (here.name[0] > _HAN or "【" in before[:3]) and _is_han_dateline(before.strip(), after):
        return True
    opened = max(before.rfind("("), before.rfind("（"), before.rfind("["))
    if opened >= 0 and not any(mark in before[opened:] for mark in ")）]"):
        return _is_in_brackets(here, before[:opened], before[opened + 1 :].strip())
    head = before.strip(" \t\"“«'")
    if head[-1:] == "/" and after.removeprefix(".RU")[:2].lstrip().startswith("/"):
        return is_place(head[:-1])
    if not head:
        if _NAME_FIRST.match(after):
            return True
        colon = here.mention.clarity != SURE and after[:1] == ":"
        return here.opening and not colon and _BARE_DATELINE.match(after) is not None
    return (
        head[-1] in ",./:–—-"
        and here.opening
        and here.mention.clarity != RISKY
        and _BARE_DATELINE.match(after) is not None
        and is_place(head)
    )


def _is_in_brackets(here: Around, place: str, inside: str) -> bool:
    """Whether ``place (inside NAME ...)`` opens a line as a dateline does."""
    close = _CLOSE.match(here.after)
    if close is None or len(inside) > 60 or _PHOTO_INSIDE.search(inside + close.group(1)):
        return False
    trailer, rest = close.group(1), here.after[close.end() :]
    dashed = rest.lstrip(".")[:1] in _DASH
    if inside and inside[-1] not in "/,،+&=-–;":
        return False
    if trailer and not dashed and not _DESK.match(trailer) and trailer.lstrip()[:1] not in tuple("/,،+&="):
        return False
    if not place.strip():
        return dashed or (here.opening and rest != "" and here.name[0] > _UNCASED)
    if not is_place(place) or expands(place, here.name) or _AGENCY_BEFORE.search(place[-20:]) is not None:
        return False
    return dashed or (rest != "" and here.opening and _starts(here, place, rest))


def _starts(here: Around, place: str, rest: str) -> bool:
    """Whether ``rest`` after ``place (NAME)`` without a dash begins a report."""
    if rest[0] in ".,،۔":
        start = rest[1:].lstrip()[:1]
        return here.mention.clarity != RISKY and (start.isupper() or start > _UNCASED or start == '"')
    if not any(letter.isupper() for letter in place):
        return True  # a script without capitals
    return here.mention.clarity != RISKY and (rest[0].isupper() or rest[0] in '"“«„')


def _is_han_dateline(before: str, after: str) -> bool:
    if not before or before in "（(【据據":
        return _WIRED.match(after) is not None
    opened = max(before.rfind(mark) for mark in "【［[（(")
    if opened != 0 or any(mark in before for mark in "】］]）)写図图圖"):
        return False
    return _LENTICULAR.match(after) is not None


def is_place(text: str) -> bool:
    """Whether ``text`` reads as place and date: names, numbers, months and particles, nothing else."""
    if any(mark in text for mark in '?!"“”«»;。、，'):
        return False
    words = _WORD.findall(text)
    if not words or len(words) > 12:
        return False
    if text[0] > _UNCASED and (len(words) > 8 or len(max(words, key=len)) > 20):
        return False
    return all(not word[0].islower() or word.lower() in _LOWERCASE_IN_PLACES for word in words)


def expands(text: str, name: str) -> bool:
    """Whether the words before ``(NAME)`` spell it out, as in "Unified Payments Interface (UPI)"."""
    segment = text.rsplit(",", 1)[-1]
    if len(name) > 4 or segment.isupper():
        return False
    capitals = "".join(word[0] for word in _WORD.findall(segment) if word[0].isupper())
    return capitals.endswith(name.upper())


# -- bylines ----------------------------------------------------------------------------------------

_BY = re.compile(
    r"\s*(?:by|par|por|von|di|da|de|text|story by|written by|reported by|from|автор|текст|بقلم|文|文／)\b[:：]?"
    r"[^.!?。]{0,70}$",
    re.IGNORECASE,
)
_SEGMENT_END = re.compile(r"(?:^|[|,/–—―─·•(&-]|\s{2}|\band|\by|\bet|\bund)\s*$")
_SEGMENT_START = re.compile(r"\s*(?:$|[|,/–—―─·•)&]|-\s|and\b|y\b|et\b|und\b|with\b)")
_STAFF = re.compile(
    r"(?:\s[A-Z][\w-]+){0,3}\s(?:Writers?|Correspondents?|Reporters?|Columnist|Staff|News|Editors?)\b"
)


def is_byline(here: Around) -> bool:
    """A short line of its own near the start: ``By Jane Roe | AFP``, ``AFP, Paris``, ``EFE``."""
    before, after = here.before, here.after
    if not here.opening or here.late or here.last_line or len(before) + len(after) > _LONGEST:
        return False
    if looks_like_picture(before, after):
        return False
    lead = _BY.match(before)
    if lead is not None and _STAFF.match(after):
        return True
    if not _SEGMENT_START.match(after):
        return False
    if lead is not None and len(before.split()) == 1:
        return not after.strip() or is_place(after)
    if lead is not None:
        return _SEGMENT_END.search(before) is not None
    rest = f"{before} {after}"
    return _SEGMENT_END.search(before) is not None and (not _WORD.search(rest) or is_place(rest))
