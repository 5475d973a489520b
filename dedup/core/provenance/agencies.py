"""The news agencies, their names in the scripts of news, and where a text mentions them.

A *mention* is only a name between word boundaries. Whether it is a credit, and where it stands, is decided
by :mod:`dedup.core.provenance` from the words around it.

Most articles mention no agency, so finding out must cost next to nothing: Latin names are one regular
expression that branches on the first letter (20 microseconds for 3,000 characters, a tenth of a plain
alternation), the other scripts are looked at only when a letter that their names need occurs.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import NamedTuple

#: Mentions looked at from the start of a text; after them only the last :data:`TAIL` characters.
MAX_MENTIONS = 400
TAIL = 2000


class Clarity(enum.IntEnum):
    """How sure a bare name is to mean the agency."""

    SURE = 0  #: hardly anything else: "Reuters", "Associated Press", "路透社"
    SHORT = 1  #: needs a phrase that credits: "AP classes", a player named Tass
    RISKY = 2  #: needs such a phrase and a clean end: "PA" is also a state, an authority and a loudspeaker


SURE, SHORT, RISKY = Clarity.SURE, Clarity.SHORT, Clarity.RISKY


class Mention(NamedTuple):
    """A name of an agency at ``[start, end)`` of a text."""

    agency: str
    start: int
    end: int
    clarity: Clarity


_Names = dict[str, tuple[str, Clarity]]

LATIN: _Names = {
    "AFP": ("AFP", SHORT),
    "Agence France-Presse": ("AFP", SURE),
    "Agence France Presse": ("AFP", SURE),
    "AGENCE FRANCE-PRESSE": ("AFP", SURE),
    "France-Presse": ("AFP", SURE),
    "France Presse": ("AFP", SURE),
    "France Press": ("AFP", SURE),
    "AP": ("AP", SHORT),
    "Associated Press": ("AP", SURE),
    "ASSOCIATED PRESS": ("AP", SURE),
    "Reuters": ("Reuters", SURE),
    "REUTERS": ("Reuters", SURE),
    "Reuter": ("Reuters", RISKY),
    "REUTER": ("Reuters", RISKY),
    "Thomson Reuters Foundation": ("Reuters", SURE),
    "dpa": ("dpa", SHORT),
    "DPA": ("dpa", SHORT),
    "Deutsche Presse-Agentur": ("dpa", SURE),
    "Deutschen Presse-Agentur": ("dpa", SURE),
    "EFE": ("EFE", SHORT),
    "Efe": ("EFE", SHORT),
    "EFECOM": ("EFE", SURE),
    "ANSA": ("ANSA", SHORT),
    "Ansa": ("ANSA", SHORT),
    "TASS": ("TASS", SHORT),
    "Tass": ("TASS", SHORT),
    "ITAR-TASS": ("TASS", SURE),
    "Itar-Tass": ("TASS", SURE),
    "Xinhua": ("Xinhua", SURE),
    "XINHUA": ("Xinhua", SURE),
    "Kyodo": ("Kyodo", SHORT),
    "KYODO": ("Kyodo", SHORT),
    "Kyodo News": ("Kyodo", SURE),
    "PA": ("PA", RISKY),
    "PA Media": ("PA", SURE),
    "PA Sport": ("PA", SURE),
    "Press Association": ("PA", RISKY),
    "UPI": ("UPI", SHORT),
    "United Press International": ("UPI", SURE),
    "Interfax": ("Interfax", SURE),
    "INTERFAX": ("Interfax", SURE),
    "PTI": ("PTI", RISKY),
    "Press Trust of India": ("PTI", SURE),
    "APP": ("APP", RISKY),
    "Associated Press of Pakistan": ("APP", SURE),
    "Bloomberg": ("Bloomberg", RISKY),
    "Bloomberg News": ("Bloomberg", SURE),
    "AA": ("Anadolu", RISKY),
    "Anadolu": ("Anadolu", RISKY),
    "Anadolu Agency": ("Anadolu", SURE),
    "Anadolu Ajansı": ("Anadolu", SURE),
    "Sputnik": ("Sputnik", SHORT),
    "Ukrinform": ("Ukrinform", SURE),
    "Agerpres": ("Agerpres", SURE),
    "AGERPRES": ("Agerpres", SURE),
    "Télam": ("Télam", SURE),
    "Telam": ("Télam", SURE),
    "TÉLAM": ("Télam", SURE),
    "ISNA": ("ISNA", SHORT),
    "Fars News Agency": ("Fars", SURE),
    "SANA": ("SANA", SHORT),
    "KUNA": ("KUNA", SHORT),
    "Kuwait News Agency": ("KUNA", SURE),
    "Oman News Agency": ("Oman News Agency", SURE),
}

CYRILLIC: _Names = {
    "АФП": ("AFP", SHORT),
    "Франс-Пресс": ("AFP", SURE),
    "Франс Пресс": ("AFP", SURE),
    "Ассошиэйтед Пресс": ("AP", SURE),
    "Рейтер": ("Reuters", SURE),
    "Рейтерс": ("Reuters", SURE),
    "Ройтерс": ("Reuters", SURE),
    "ДПА": ("dpa", SHORT),
    "ЭФЭ": ("EFE", SHORT),
    "АНСА": ("ANSA", SHORT),
    "ТАСС": ("TASS", SURE),
    "ИТАР-ТАСС": ("TASS", SURE),
    "Синьхуа": ("Xinhua", SURE),
    "Киодо": ("Kyodo", SHORT),
    "ЮПИ": ("UPI", SHORT),
    "Интерфакс": ("Interfax", SURE),
    "Интерфаксу": ("Interfax", SURE),
    "Интерфакса": ("Interfax", SURE),
    "Интерфаксом": ("Interfax", SURE),
    "ИНТЕРФАКС": ("Interfax", SURE),
    "Інтерфакс": ("Interfax", SURE),
    "Інтерфаксу": ("Interfax", SURE),
    "Анадолу": ("Anadolu", SHORT),
    "РАПСИ": ("RAPSI", SURE),
    "Укринформ": ("Ukrinform", SURE),
    "Укринформу": ("Ukrinform", SURE),
    "Укринформа": ("Ukrinform", SURE),
    "Укринформом": ("Ukrinform", SURE),
    "Укрінформ": ("Ukrinform", SURE),
    "Укрінформу": ("Ukrinform", SURE),
    "Укрінформом": ("Ukrinform", SURE),
}

HAN_KANA: _Names = {
    "法新社": ("AFP", SURE),
    "ＡＦＰ": ("AFP", SHORT),
    "美联社": ("AP", SURE),
    "美聯社": ("AP", SURE),
    "ＡＰ": ("AP", SHORT),
    "路透": ("Reuters", SURE),
    "路透社": ("Reuters", SURE),
    "ロイター": ("Reuters", SURE),
    "ロイター通信": ("Reuters", SURE),
    "德新社": ("dpa", SURE),
    "埃菲社": ("EFE", SURE),
    "安莎社": ("ANSA", SURE),
    "安莎通讯社": ("ANSA", SURE),
    "塔斯社": ("TASS", SURE),
    "塔斯通讯社": ("TASS", SURE),
    "タス通信": ("TASS", SURE),
    "新华社": ("Xinhua", SURE),
    "新華社": ("Xinhua", SURE),
    "共同社": ("Kyodo", SURE),
    "共同通信": ("Kyodo", SURE),
    "共同": ("Kyodo", SHORT),
    "合众国际社": ("UPI", SURE),
    "国际文传": ("Interfax", SURE),
    "国际文传电讯社": ("Interfax", SURE),
    "國際文傳": ("Interfax", SURE),
    "インタファクス通信": ("Interfax", SURE),
    "中央社": ("CNA", SURE),
}

#: A longer name stands before those it contains.
ARABIC: _Names = {
    "فرانس برس": ("AFP", SURE),
    "فرانس بريس": ("AFP", SURE),
    "أ ف ب": ("AFP", SHORT),
    "ا ف ب": ("AFP", SHORT),
    "أ.ف.ب": ("AFP", SHORT),
    "ا.ف.ب": ("AFP", SHORT),
    "أف ب": ("AFP", SHORT),
    "رويترز": ("Reuters", SURE),
    "أسوشيتد برس": ("AP", SURE),
    "أسوشييتد برس": ("AP", SURE),
    "اسوشيتد برس": ("AP", SURE),
    "د ب أ": ("dpa", SHORT),
    "د.ب.أ": ("dpa", SHORT),
    "إفي": ("EFE", RISKY),
    "أنسا": ("ANSA", RISKY),
    "تاس": ("TASS", RISKY),
    "شينخوا": ("Xinhua", SURE),
    "كيودو": ("Kyodo", SURE),
    "إنترفاكس": ("Interfax", SURE),
    "انترفاكس": ("Interfax", SURE),
    "يونايتد برس إنترناشونال": ("UPI", SURE),
    "وكالة الصحافة الفرنسية": ("AFP", SURE),
    "الأناضول": ("Anadolu", SHORT),
    "الاناضول": ("Anadolu", SHORT),
    "أناضول": ("Anadolu", SHORT),
    "سبوتنيك": ("Sputnik", SHORT),
    "وكالة الأنباء السورية": ("SANA", SURE),
    "سانا": ("SANA", RISKY),
    "وكالة الأنباء الكويتية": ("KUNA", SURE),
    "كونا": ("KUNA", RISKY),
    "وكالة الأنباء العمانية": ("Oman News Agency", SURE),
    "الوكالة الوطنية للإعلام": ("NNA", SURE),
    "الوكالة الوطنية للاعلام": ("NNA", SURE),
}

#: A longer name stands before those it contains.
URDU_PERSIAN: _Names = {
    "فرانس پرس": ("AFP", SURE),
    "اے ایف پی": ("AFP", SURE),
    "رائٹرز": ("Reuters", SURE),
    "روئٹرز": ("Reuters", SURE),
    "آسوشیتدپرس": ("AP", SURE),
    "ایسوسی ایٹڈ پریس آف پاکستان": ("APP", SURE),
    "ایسوسی ایٹڈ پریس": ("AP", SURE),
    "اے پی پی": ("APP", SHORT),
    "اے پی": ("AP", RISKY),
    "شینہوا": ("Xinhua", SURE),
    "شنہوا": ("Xinhua", SURE),
    "ژنہوا": ("Xinhua", SURE),
    "کیوڈو": ("Kyodo", SURE),
    "پی ٹی آئی": ("PTI", RISKY),
    "ایسنا": ("ISNA", SURE),
    "خبرگزاری فارس": ("Fars", SURE),
}

DEVANAGARI: _Names = {
    "एएफपी": ("AFP", SURE),
    "एपी": ("AP", RISKY),
    "रॉयटर्स": ("Reuters", SURE),
    "रायटर्स": ("Reuters", SURE),
    "रायटर": ("Reuters", SHORT),
    "पीटीआई": ("PTI", SHORT),
    "भाषा": ("PTI", RISKY),
    "शिन्हुआ": ("Xinhua", SURE),
}

#: Codes of German desks in small letters, whose first letters are too frequent to branch on.
CODES: _Names = {"rtr": ("Reuters", RISKY)}

SCRIPTS = (LATIN, CYRILLIC, HAN_KANA, ARABIC, URDU_PERSIAN, DEVANAGARI)

#: Signs before a name that make it a handle, a share or a rapper.
_NOT_BEFORE = "$@#&_"
_PROCLITICS = "لوبـ"


def _branching(names: Iterable[str], boundary: str) -> re.Pattern[str]:
    """A regular expression for ``names``, longest first, that branches on the first letter."""
    by_letter: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda each: (-len(each), each)):
        by_letter.setdefault(name[0], []).append(re.escape(name[1:]).replace("\\ ", "\\s"))
    branches = (f"{letter}(?:{'|'.join(rests)}){boundary}" for letter, rests in sorted(by_letter.items()))
    return re.compile("|".join(branches))


_LATIN = _branching(LATIN, r"(?![A-Za-z0-9À-ɏ_])")
_CYRILLIC = _branching(CYRILLIC, r"(?![A-Za-z0-9Ѐ-ӿ])")
#: "共同" alone means "joint": it counts only behind a colon, a slash or a comma, or before a bracket.
_HAN_KANA = _branching(HAN_KANA, r"(?![Ａ-Ｚａ-ｚ])(?:(?<!共同)|(?<=[：:／/＝=、・]共同)|(?=[】）)\]］=＝]))")


def fold_arabic(text: str) -> str:
    """``text`` with the letters that Arabic, Persian and Urdu write differently made equal; offsets stay."""
    return text.replace("ي", "ی").replace("ى", "ی").replace("ك", "ک")


_FOLDED_ARABIC = {fold_arabic(name): meant for name, meant in ARABIC.items()}
_FOLDED_URDU = {fold_arabic(name): meant for name, meant in URDU_PERSIAN.items()}


def mentions(text: str) -> list[Mention]:
    """Every mention of an agency in ``text``, in order, none inside another.

    Of a text that mentions agencies more than :data:`MAX_MENTIONS` times the first are given and those of
    its last :data:`TAIL` characters, so that no text costs more than a scan.
    """
    found: list[Mention] = []
    _by_pattern(_LATIN, LATIN, text, found)
    _by_name(CODES, text, found)
    if not text.isascii():
        _other_scripts(text, found)
    if len(found) > 1:
        found.sort(key=lambda mention: mention.start)
    return found


def _other_scripts(text: str, found: list[Mention]) -> None:
    """Mentions outside the Latin script, looked for where a letter occurs that texts with such names have."""
    if "о" in text or "а" in text or "С" in text or "А" in text or "е" in text:
        _by_pattern(_CYRILLIC, CYRILLIC, text, found)
    if "社" in text or "ロ" in text or "通" in text or "共" in text or "路" in text or "Ａ" in text:
        _by_pattern(_HAN_KANA, HAN_KANA, text, found)
    if "ا" in text or "ر" in text or "ب" in text or "پ" in text:
        folded = fold_arabic(text)
        _by_name(_FOLDED_ARABIC, folded, found)
        if "ے" in text or "ہ" in text or "پ" in text or "ٹ" in text or "گ" in text:
            _by_name(_FOLDED_URDU, folded, found)
    if "य" in text or "प" in text or "श" in text or "भ" in text:
        _by_name(DEVANAGARI, text, found)


def _by_pattern(pattern: re.Pattern[str], names: _Names, text: str, found: list[Mention]) -> None:
    taken = 0
    at = 0
    while (match := pattern.search(text, at)) is not None:
        start, at = match.span()
        if start and (
            text[start - 1] in _NOT_BEFORE or (_is_latin(text[start - 1]) and _is_latin(text[start]))
        ):
            continue
        name = match.group()
        agency, clarity = names.get(name) or names[" ".join(name.split())]
        found.append(Mention(agency=agency, start=start, end=at, clarity=clarity))
        taken += 1
        if taken == MAX_MENTIONS:
            at = max(at, len(text) - TAIL)


def _is_latin(letter: str) -> bool:
    return letter.isalnum() and (letter < "\u0530" or "Ａ" <= letter <= "ｚ")


def _by_name(names: _Names, text: str, found: list[Mention]) -> None:
    covered: set[int] = set()  # characters of names already found: "اے پی" stands in "اے پی پی"
    for name, (agency, clarity) in names.items():
        if name not in text:
            continue
        at = taken = 0
        while (start := text.find(name, at)) >= 0:
            at = start + len(name)
            if start in covered or not _stands_alone(text, start, at):
                continue
            covered.update(range(start, at))
            found.append(Mention(agency=agency, start=start, end=at, clarity=clarity))
            taken += 1
            if taken == MAX_MENTIONS:
                at = max(at, len(text) - TAIL)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no letter joins the name, other than particles written together with it in Arabic."""
    if end < len(text) and text[end].isalnum():
        return False
    particles = 0
    while start and particles < 3 and text[start - 1] in _PROCLITICS:
        start -= 1
        particles += 1
    return not start or not text[start - 1].isalnum()
