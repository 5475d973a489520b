"""Credits of pictures."""

from __future__ import annotations

import re

from dedup.core.provenance.context import Around

_UNCASED = "\u0590"  # letters above it: scripts without capitals

_PHOTO_BEFORE = re.compile(
    r"""(?:(?:\b(?:photos?|photographs?|fotos?|images?|bild(?:er)?|pictures?|pics?|fotocredit|imagens?|imagen
          |photographie|clich[ée]|фото|снимок|снимка|ilustra\w+|video|vidéo|footage|fotografi\w+)\b
        |写真|画像|图片|图|圖|攝|摄|تصوير|الصورة|صورة|تصویر|فوٹو|عکس|फोटो|ภาพ)
        (?:\s(?:by|de|von|di|da|credits?|courtesy|crédit|source|via|files?|from|of|来源|來源)){0,2}[\])]?\s*[:：/|©—–-]?
      | \bcr[ée]dits?\s?(?:photos?\s?)?[:：/|]
      | \bcredit\s(?=[\w.'’ -]{3,40}/$)
      | ©(?!\s?\d))
        \s*(?:the\s|[l]['’])?
        (?:[\w.'’&\s-]{1,40}[/,|]\s?){0,3}$""",
    re.VERBOSE | re.IGNORECASE,
)
_PHOTO_MARKS = frozenset(":：/|©—–-,])>")
_PHOTO_CUES = frozenset(
    "photo photos photograph foto fotos image images bild bilder picture pictures pic fotocredit imagem imagen фото "
    "снимок video footage by de von di da credit credits courtesy via file files from of image fotografia".split()
)
_PHOTO_AFTER = re.compile(
    r"""\s?(?:
        (?i:photo(?:s|graphs?|\sfile)?\b|foto(?:s|grafía)?\b|file\s(?:photo|image|picture)|archiv\w*|images\b|pool\b)
      | Images?\b
      | \s?[/-]\s?(?:Getty|Shutterstock|Sputnik|SPUTNIK|Archiv|archiv|أرشيف|EPA|Pool|POOL|File|FILE|Handout
          |HANDOUT|Stringer|picture)
      | \s?(?:/|\s[-–]\s|\|)\s?(?:\w+\s?/\s?)?[A-Z]\w[\w.'’-]*
          (?:\s(?:[A-Za-z][\w'’-]{0,3}\s)?[A-Z][\w.'’-]+){1,2}\s?(?:[)\]/]|\s\s|$)
      | \s?via\s(?:Getty|AP|Reuters|REUTERS)
      | [发發]\s?[（(]
      | 记者[^。\n]{0,20}摄
    )""",
    re.VERBOSE,
)
_GIVEN = re.compile(r"\b(?:sent|show(?:n|ed)|gave|given|provided|told)\s$")


def looks_like_picture(before: str, after: str) -> bool:
    """Whether the rest of the line, ``before`` and ``after`` a name, credits a picture."""
    return _PHOTO_AFTER.match(after) is not None or _PHOTO_BEFORE.search(before[-90:]) is not None


def is_photo(here: Around, mark: str, last: str, cue: str) -> bool:
    """``Photo: AFP``, ``AFP PHOTO / X``, ``REUTERS/Jane Roe``, ``(AP Photo/John Doe)``, ``(AFP - Jeanne ROE)``.

    ``mark`` is the last sign before the name, ``last`` and ``cue`` are the :func:`cues` before it.
    """
    if _PHOTO_AFTER.match(here.after) is not None:
        return _GIVEN.search(here.left[-12:]) is None
    if mark in _PHOTO_MARKS or mark > _UNCASED or cue in _PHOTO_CUES or last in _PHOTO_CUES:
        return _PHOTO_BEFORE.search(here.before[-90:]) is not None
    return False
