"""Credits that end a line, a caption or a report."""

from __future__ import annotations

import re

from dedup.core.provenance.agencies import RISKY, SURE
from dedup.core.provenance.context import Around
from dedup.core.provenance.datelines import expands, is_place
from dedup.model import CreditPlace

# A list is one class of characters with one separator at its end, never a repeated group of names: repeated
# groups whose names may hold spaces backtrack for minutes.

_LONGEST_CAPTION = 60  # of a caption in the lower half, where a longer line is the end of a report

_NOTHING_BEFORE = re.compile(r"\W{0,8}(?:[Tt]he |[Ll]['’]|[Ll]a |[Dd]ie )?$")
_NOTHING_AFTER = re.compile(r"[\W_]{0,8}(?:\^?M)?$")
_DASH_END = re.compile(r"(?:^|[\s\d.!?\"”’»…)\]])[-–—―─|/]{1,2}\s*$")
_AFTER_DASH = re.compile(r"(?:\s?[/,+-]\s?[\w ]{1,20}){0,3}[\W_]{0,3}$")
_SENTENCE_END = re.compile(r"[.!?。][\"”’»)]{0,2}\s+(?:[a-z]{1,4}/){0,4}$")
_SOURCE = re.compile(
    r"""(?:(?:\b(?:sources?|fuentes?|fontes?|quellen?|bron|(?:ek\s)?kaynak(?:lar)?|sursa|źródło|zdroj|источник(?:и)?|джерело
          |contributing) | المصدر | المصادر | ذریعہ | منبع | 来源 | 來源 | 出典 | 资料来源 )\s?[:：•|/-]\s?
      | \b(?:copyright(?:\s\(c\))?(?:\s\d{4})?|originally\sappeared\s(?:at|on|in)|with\s(?:(?:a\s)?files?\sfrom
          |reports?\sfrom|a\sreport\sfrom|reporting\s(?:from|by)|inputs?\sfrom|information\sfrom|additional\sinputs?\sfrom)
          |(?:con|incluye)\s(?:información|datos|informaciones)\sde|com\s(?:informações|informação)\s(?:da|do|de)
          |mit\smaterial\s(?:von|der)|con\sinformazioni\sda):?\s
      | ©(?:\s?\d{4})?\s | المصدر\s)
      (?:و[كک]الة\s|agencia\s|agência\s|agence\s|the\s|l['’]|la\s)?
      (?:[\w.&'’,/;، -]{1,90}(?:[,/;،]|\s(?:and|y|et|e|und))\s?)?(?:the\s)?$""",
    re.VERBOSE | re.IGNORECASE,
)
_LIST_CUES = frozenset(
    "and y et e und with avec con com mit z cu por source sources fuente fuentes fonte fontes quelle quellen bron "
    "kaynak kaynaklar sursa źródło zdroj источник источники джерело contributing copyright from at on in by de da do "
    "di von der the l la المصدر المصادر وكالة وکالة ذریعہ منبع agencia agência agence c".split()
)
_LIST_MARKS = frozenset(":：•|/-,;،©")
_WITH = re.compile(
    r"""(?:^|[\s(\[/–—-])(with|avec|con|com|mit|z|cu|Por:)\s(?:the\s|l['’]|la\s)?
        (?:[\w.&'’,/; -]{1,60}(?:[,/;]|\s(?:and|y|et|e|und))\s?)?(?:the\s)?$""",
    re.VERBOSE | re.IGNORECASE,
)
_WITH_END = re.compile(r"(?:(?:[,/;]|\s(?:and|y|et|e|und)\s)[\w.&'’,/; -]{1,100})?[\s.)\]–—-]{0,4}$")
_NAMED_BEFORE = re.compile(r"\W{0,3}(?:[A-Z][\w.'’ -]{1,30}[,/;&+]\s?){0,4}(?:The )?$")
_NAMED_AFTER = re.compile(r"(?:\s?[,/;&+]\s?[A-Z][\w.'’ -]{1,30}){0,4}\W{0,3}$")
_DESK_LIST = re.compile(r"(?:^|[(.!?\"”»]\s?)(?:[A-Za-zäöü]{1,5}/){1,5}$")
_OPEN = re.compile(r"[(\[（［]")
_BRACKET_END = re.compile(r"[(\[（［](?:[\w.&'’ :=,/;،–-]{0,80}[,/;–-]\s?)?(?:via\s|by\s)?$")
_BRACKETED = re.compile(r"(?:[,/;-][\w.&'’,/; -]{0,110})?\s?[)\]）］][\s.。]{0,3}$")
_CITED = re.compile(r"[^()\n]{0,40}\)\s?\.")
_PHOTOGRAPHER = re.compile(r"[.!?)”\"]\s+[A-Z][\w.'’-]+(?:\s[A-Z][\w.'’-]+){0,2}\s?/\s?$")
_CODE = re.compile(r"(?:(?<=[(/,])|(?<=[(/,]\s))(?:afp|rtr|efe|ap)(?=[,/)]|$)")
_AGENCY_OF_CODE = {"afp": "AFP", "rtr": "Reuters", "efe": "EFE", "ap": "AP"}
_SENTENCE_BEFORE = re.compile(r"[.!?。]\W*$")


def line_ending(here: Around, mark: str, last: str, cue: str) -> CreditPlace | None:
    """A credit that ends a line or stands alone on one, and whether it belongs to a picture."""
    before, after = here.before, here.after
    short = here.mention.clarity
    if _NOTHING_AFTER.match(after) is not None:
        if here.in_headline:
            return CreditPlace.TEXT if mark in (":", "-", "–", "—") and short != RISKY else None
        if _NOTHING_BEFORE.match(before):
            return CreditPlace.TEXT
        if _DASH_END.search(before[-12:]) and (short != RISKY or here.last_line):
            return _under_picture_or_text(here)
        if _SENTENCE_END.search(before[-30:]) and (
            short == SURE or here.last_line or (short != RISKY and here.late)
        ):
            return _under_picture_or_text(here)
    if here.in_headline:
        return None
    if (mark in _LIST_MARKS or cue in _LIST_CUES or last in _LIST_CUES or last.isdigit()) and _names_source(
        here
    ):
        return CreditPlace.TEXT
    return _closing_list(here)


def _names_source(here: Around) -> bool:
    """``Source: AFP``, ``With Reuters and ...``, ``con información de EFE``."""
    before = here.before[-110:]
    if _SOURCE.search(before) is not None:
        return True
    if len(here.before) >= 110 or _WITH_END.match(here.after) is None:
        return False
    joined = _WITH.search(before)
    if joined is None:
        return False
    # "THE POST with AFP" and "... he said. With AFP", not "pay with UPI"
    head = before[: joined.start(1)].rstrip()
    return not head.strip("-–—|(/[ ") or head[-1] in '([/–—-|.!?”"»' or is_place(head.rpartition("(")[2])


def _closing_list(here: Around) -> CreditPlace | None:
    """``— AFP-Relaxnews``, ``AFP, Reuters``, ``jj/ml (dpa, rtr)``, ``[Jane Roe/Reuters]`` at the end of a line."""
    before, after = here.before, here.after
    risky = here.mention.clarity == RISKY
    if not risky and _AFTER_DASH.match(after) is not None:
        if _DASH_END.search(before[-12:]):
            return _under_picture_or_text(here)
        if _DESK_LIST.search(before[-40:]):
            return CreditPlace.TEXT
    if (
        not risky
        and here.late
        and here.whole_line
        and _NAMED_BEFORE.match(before)
        and _NAMED_AFTER.match(after)
    ):
        return CreditPlace.TEXT
    if _BRACKETED.match(after) is None or _BRACKET_END.search(before) is None:
        return None
    heads = _OPEN.split(before)
    return None if expands(heads[-2] if len(heads) > 1 else "", here.name) else _under_picture_or_text(here)


def _under_picture_or_text(here: Around) -> CreditPlace:
    """The place of a credit that ends a line: under a picture early on, below the report later."""
    before = here.before
    if not before.strip(" -–—―─([") or _CITED.match(here.after):
        return CreditPlace.TEXT
    if _PHOTOGRAPHER.search(before[-60:]):
        return CreditPlace.PHOTO
    if _DESK_LIST.search(_OPEN.split(before)[0].rstrip()[-40:] + "/"):
        return CreditPlace.TEXT
    caption = (
        len(before) < _LONGEST_CAPTION and not here.last_line and _SENTENCE_BEFORE.search(before[-8:]) is None
    )
    return CreditPlace.TEXT if here.late and not caption else CreditPlace.PHOTO


def codes_beside(here: Around) -> list[tuple[str, int, int]]:
    """(agency, start, end) of the codes that German desks write beside "dpa": ``jj/ml (afp, dpa)``."""
    start = here.mention.start - len(here.before)
    line = f"{here.before}{here.name}{here.after}"
    return [
        (_AGENCY_OF_CODE[code.group()], start + code.start(), start + code.end())
        for code in _CODE.finditer(line)
        if abs(code.start() - len(here.before)) < 40
    ]
