"""Whether the words around a mention of an agency make it a credit, and where it stands.

Precision comes first: a bare name in running text is never a credit. What counts is a fixed place (a
dateline, a byline on its own line, the end of a caption, a tail line that names the source) or a phrase
that hands the words over ("told AFP", "selon l'AFP", "передаёт ТАСС"; see :mod:`dedup.core.provenance.phrases`).
The dear patterns are tried only where the sign or the word before the name lets them match.
"""

from __future__ import annotations

import re

from dedup.core.provenance.context import Around
from dedup.core.provenance.datelines import is_byline, is_dateline
from dedup.core.provenance.line_endings import line_ending
from dedup.core.provenance.photo_credits import is_photo
from dedup.core.provenance.phrases import cues, hands_over
from dedup.model import CreditPlace


def place_of(here: Around, *, in_text_already: bool = False) -> CreditPlace | None:
    """Where the mention credits its agency, or None where it does not.

    With ``in_text_already`` phrases of running text are not looked for: one such credit is enough.
    """
    if not here.in_headline:
        if is_dateline(here):
            return CreditPlace.DATELINE
        if is_byline(here):
            return CreditPlace.BYLINE
    if _ABOUT.match(here.right):
        return None
    last, cue = cues(here.left)
    if _is_no_source(here.left, last, cue):
        return None
    mark = here.before.rstrip()[-1:]
    if is_photo(here, mark, last, cue):
        return CreditPlace.PHOTO
    ending = line_ending(here, mark, last, cue)
    if ending is not None or in_text_already:
        return ending
    return CreditPlace.TEXT if hands_over(here.mention, here.left, here.right, last, cue) else None


# -- a story about the agency, or about something of the same name ---------------------------------

_ABOUT = re.compile(
    r"""['’]?s?(?:
        [/-]\s?(?:Ipsos|NORC|Kantar)
      | \.(?:com|org|net|de|fr|co|info|gov)\b
      | \s+(?:Top\s\d|Top-\d|poll\b(?!\sof)|All-|Player|Coach|preseason|class(?:es)?\b|exams?\b|courses?\b
            |tests?\b|history\b|biology\b|calculus\b|English\b|credits?\b|scores?\b|students?\b
            |Holdings?|Group\b|Plc\b|PLC\b|Corp\b|Corporation|Inc\b|Ltd\b|Limited|Co\b|shares?\b|stock\b
            |shareholders?|building|headquarters|Institute\b|terminals?\b|subsidiary
            |system\b|speakers?\b|announce(?:ment|r)|turnpike|President\b|officials?\b|leaders?\b|fans?\b
            |leadership|workers?\b|supporters?|chief\b|chairman|government|party\b|lawmakers?|senator
            |officers?\b|[Cc]ommissioner|[Ss]pokes|troops|soldiers|[Pp]olice|[Aa]ssembly|[Cc]ourt|High\sCourt|CM\b|Congress\b|[Bb]oard\b
            |Hydraulics|Imaging|Precision|Rocky|Dhillon|code\b|number\b|platforms?\b|payments?\b|transactions?)
      | \s(?:reported|posted|reports)\s[^.\n]{0,40}(?:profits?|revenues?|earnings|results|income|loss|losses)\b
      | \s(?:did|has|had)\snot\s(?:immediately\s)?(?:respond|return|repl)
    )""",
    re.VERBOSE,
)
_NO_SOURCE_CUES = frozenset(
    "thomson for at with in of joined bought acquire acquired owns owned own sue sued sues against foreign f für fur à "
    "pour michael mike mayor mr".split()
)
_NO_SOURCE = re.compile(
    r"""(?:\b(?:Thomson|Michael|Mike|Mayor|Mr\.?)\s
      | \b(?:work(?:s|ed|ing)?|freelanc\w+|wrote|writes|photojournalist|stringer)\s(?:for|at|with)\s(?:the\s)?
      | \b(?:joined|bought|acquired?|owns?|owned|sue[ds]?|against|Foreign)\s(?:the\s)?
      | \b(?:shares?|stake|head|chief|editor|director|president|owner|founder|boss)\s(?:of|in|at)\s(?:the\s)?
      | \bf[üu]r\s(?:die\s)?
      | \btravaill\w+\s(?:à|pour)\s(?:l['’])?
      | (?:директор\w*|глав[аыеу]|руководител\w+|основател\w+)[^.,\n]{0,40}\s
      | \w\.\w{2,4}/\S{0,60}
    )$""",
    re.VERBOSE,
)


def _is_no_source(left: str, last: str, cue: str) -> bool:
    if (
        left[-1:] == "/"
        or cue in _NO_SOURCE_CUES
        or last in _NO_SOURCE_CUES
        or "\u0400" <= cue[-1:] <= "\u052f"
    ):
        return _NO_SOURCE.search(left[-90:]) is not None
    return False
