"""Where a text is code of its page: markup, style sheets, scripts. What no reader sees is no word of an article.

Extractors leave such scraps in bodies ("kmn_size = '300x250';", ".mobile { display: none; }"), and every page of
a site network has the same ones: taken for words, they join articles that have nothing in common. Code is known by
its syntax alone: comments, ``script`` and ``style`` elements and the tags of HTML (WHATWG HTML), blocks in braces
with declarations, statements or members (CSS Syntax Module Level 3, ECMA-262, RFC 8259), assignments and calls that
end in a semicolon.
"""

from __future__ import annotations

import re
from typing import Final

#: A block in braces of more code points is taken for text.
LONGEST_BLOCK: Final = 5000

_OPENING: Final = re.compile(r"<!--|<(?P<element>script|style)\b", re.IGNORECASE)
_TAG: Final = re.compile(
    r"</?(?:a|abbr|article|aside|b|blockquote|body|br|button|center|cite|div|dd|dl|dt|em|embed|figcaption|figure|font"
    r"|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|label|li|link|main|meta|nav|noscript|object|ol|option"
    r"|p|param|path|picture|script|section|select|small|source|span|strong|style|sub|sup|svg|table|tbody|td|th|thead"
    r"|title|tr|u|ul|video)(?:[ \t][^<>\n]{0,1000})?/?>",
    re.IGNORECASE,
)
_STATEMENT: Final = re.compile(
    r"""(?<![\w.$])(?:(?:var|let|const)\s)?
    (?: [\w.$]{1,80} \s?=\s? (?: '[^'\n]{0,300}' | "[^"\n]{0,300}" | [\w.\#]{1,80} )
      | [\w$]{1,40} (?:\.[\w$]{1,40}){1,4} \( [^()\n]{0,300} \)
    ) \s?;""",
    re.VERBOSE,
)
_BRACES: Final = re.compile(r"""[{};=]|["']\s?:""")
_DECLARATION: Final = re.compile(r"\s*[a-z-]{2,40}\s?:\s?[^\s{}]{1,80}\s*")
#: What stands before an opening brace and belongs to the block: a rule of a style sheet, the head of a function.
_HEAD: Final = re.compile(
    r"""(?: @[a-z-]{2,30}\b [^{}@\n]{0,200} | \bfunction\b [^{}\n]{0,100}
      | (?<!\S) (?=\S{0,80}[.\#*:\[(]) [^\s{}]{0,80} [\w\]*)] \s? | (?<!\S) [^\s{}]{1,80}
    )\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_HEAD: Final = 240


def code_spans(text: str) -> list[tuple[int, int]]:
    """Half-open spans of code points that are code, in no order; they may overlap. Time is linear in the text."""
    found: list[tuple[int, int]] = []
    if "<" in text:
        found += _elements(text)
        found += [tag.span() for tag in _TAG.finditer(text)]
    if ";" in text and ("=" in text or ");" in text):
        found += [statement.span() for statement in _STATEMENT.finditer(text)]
    if "{" in text:
        found += _blocks(text)
    return found


def _elements(text: str) -> list[tuple[int, int]]:
    """Comments, scripts and style sheets from their opening to their closing; one that never closes is left."""
    found: list[tuple[int, int]] = []
    never: set[str] = set()
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        at = opening.end()
        closing = f"</{opening['element']}>" if opening["element"] else "-->"
        if closing in never:
            continue
        end = text.find(closing, at)
        if end < 0:
            never.add(closing)
        else:
            at = end + len(closing)
            found.append((opening.start(), at))
    return found


def _blocks(text: str) -> list[tuple[int, int]]:
    """Blocks in braces that hold code, each with what heads it; of blocks in one another the outer ones too."""
    found: list[tuple[int, int]] = []
    open_blocks: list[tuple[int, bool]] = []
    for mark in _BRACES.finditer(text):
        sign = mark[0]
        if sign == "{":
            open_blocks.append((mark.start(), False))
        elif not open_blocks:
            continue
        elif sign != "}":
            open_blocks[-1] = open_blocks[-1][0], True
        else:
            start, is_code = open_blocks.pop()
            if mark.end() - start > LONGEST_BLOCK:
                continue
            if is_code or _DECLARATION.fullmatch(text, start + 1, mark.start()):
                if open_blocks:
                    open_blocks[-1] = open_blocks[-1][0], True
                line = max(
                    text.rfind("\n", max(0, start - _LONGEST_HEAD), start) + 1, start - _LONGEST_HEAD, 0
                )
                head = _HEAD.search(text[line:start])
                found.append((start if head is None else line + head.start(), mark.end()))
    return found
