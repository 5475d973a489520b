"""Phrases of running text that hand words over from an agency, in the languages of news.

A pattern that must end where a name begins is slow to search for, and most mentions are decided by one
word. So the word before the name, its *cue*, picks the few patterns that can end with it.
"""

from __future__ import annotations

import re

from dedup.core.provenance.agencies import RISKY, SURE, Mention, fold_arabic

#: How far before a name a phrase may begin.
SPAN = 80

_STRIPPED = " \t\n\"“”„«»'‘’‹›()[]{}—–-,;:.…*|/©"
_ARTICLES = frozenset("the a an l la le les il lo o der die dem das het de both".split())
_NOUNS = frozenset(
    "agency newswire wire service organisation organization nachrichtenagentur nachrichtenagenturen presseagentur "
    "agentur agenturen agence presse agencia noticias estatal oficial española agência notícias agenzia stampa "
    "ufficiale agenţia agenția agentury agencja agencji persagentschap persbureau ajansı pháp tin nyhetsbyrån".split()
)


def cues(left: str) -> tuple[str, str]:
    """The last word of ``left``, and the last that is no article, both in lower case ("" where none is)."""
    last = ""
    for word in reversed(left[-48:].split()):
        bare = word.strip(_STRIPPED).lower()
        if not bare:
            continue
        bare = bare[bare.rfind("'") + 1 :]
        bare = bare[bare.rfind("’") + 1 :]
        last = last or bare
        if bare not in _ARTICLES:
            return last, bare
    return last, ""


# The patterns see the text before the name in lower case.
_ENGLISH = re.compile(
    r"""\b(?:told|tell|tells|telling|shown?|showed|sent|per|citing|cites|cited|quoting|according\sto|as|given\sto
        |reports?\s(?:from|by|in)|reporting\s(?:from|by)|inputs?\s(?:from|by)|information\s(?:from|by)
        |(?:files?|material|more|details)\s(?:from|in)
        |interview(?:s|ed)?\s(?:with|to|by|for)|(?:spoke|spoken|speaking)\s(?:\w+\s)?(?:to|with)|sent\sto|comments\sto|respond(?:ed)?\sto
        |(?:said|confirmed|comment|commented|statement|emailed|e-mailed|provided|supplied|exclusively|response|indicated
          |email|message|letter|reply|replied|wrote|related|recounted)\s(?:\w+\s)?to
        |(?:seen|reviewed|obtained|interviewed|polled|contacted|reached|asked|quoted|cited|reported|carried|compiled
          |approached|viewed|verified|identified|heard|surveyed|released|witnessed|questioned|collected|distributed
          |broadcast|published|confirmed|counted|calculated|shared|issued|conducted|analy[sz]ed|received)\s(?:\w+\s)?(?:by|with)|quoted\s(?:in|on)
        |reported|reports|by\stelephone\sto)
        \s(?:also\s)?(?:both\s)?(?:the\s|an?\s)?
        (?:(?:[\w-]+\s)?(?:news\s(?:agency|service|organi[sz]ation)|newswire|wire\sservice|wire|agency)\s)?
        (?:\w+\sand\s(?:the\s)?)?[\"“«„'‘]?$""",
    re.VERBOSE,
)
_FRENCH = re.compile(
    r"""\b(?:selon|d['’]après|cit[ée]{1,2}e?s?\spar|rapport\w+|relat\w+|indiqu\w+|interrog\w+\spar|contact\w+\spar
        |consult[ée]+s?\spar|recueillis?\spar|joint\w*\spar|auprès\sde|interview\s\w*\s?(?:à|avec)|dépêche\sde
        |(?:sollicitations|queries?|demandes?|décompte|comptage|bilan)\s(?:établi\spar\s)?d[e'’]{1,2})
        \s?(?:l['’]|l['’]agence\s|reuters\set\s)?(?:agence\s(?:de\spresse\s)?(?:\w+\s)?)?$
      | \b(?:dit|déclar\w+|indiqu\w+|expliqu\w+|affirm\w+|assur\w+|confi\w+|précis\w+|racont\w+|estim\w+|ajout\w+
        |martèl\w+|témoign\w+|soulign\w+|confirm\w+|révél\w+|avou\w+|annonc\w+|lâch\w+|rappel\w+|not\w+|regrett\w+)
        [^.\n«»]{0,25}\s(?:à|auprès\sde)\s(?:l['’])?(?:agence\s(?:de\spresse\s)?(?:\w+\s)?)?$
      | \b(?:constaté|vu|rapporté|indiqué|observé)[^.\n]{0,30}
        \s(?:correspondante?s?|journalistes?|photographes?|équipes?)\sd[eu'’]{1,2}\s?(?:l['’])?$""",
    re.VERBOSE,
)
#: Spanish, Portuguese, Italian, Romanian
_ROMANCE = re.compile(
    r"""\b(?:según|segundo|secondo|de\sacuerdo\s(?:con|a)|de\sacordo\scom|conforme|citad[oa]s?\spor|consultad[oa]s?\spor
        |entrevist\w+\s(?:con|a|à|de|por)|información\sde|informaciones\sde|informações\sd[aoe]|despacho\sde|sondeo\sde
        |correspondente\sd[ae]|jornalistas?\sd[ae]|riferisce|riporta|riferito|intervista\sa(?:ll['’])?|rese[ñn]ó
        |(?:tenido|tuvo|tingut)\sacc[eé]so?|inform[óao]|informaron|reportó|publicó|reveló|noticiou|informou|potrivit
        |relatează|notează|informează|transmite|scrie|anunţă|anunță|spus\spentru|citat\sde|citează|a\sinformat)
        :?\s?(?:a\s|la\s|l['’]|o\s|pela\s|para\s)?(?:(?:agencia|agência|agenzia|agen[țţt]ia|publica[țţt]ia)\s(?:[\w]+\s){0,4}?)?
        (?:[\w-]+\s(?:y|e|și|şi)\s)?$
      | \b(?:di[jg]\w+|declar\w+|expl[ií]c\w+|coment\w+|asegur\w+|afirm\w+|agreg\w+|señal\w+|cuent\w+|cont\w+|indic\w+
        |confirm\w+|report\w+|relat\w+|inform\w+|manifest\w+|precis\w+|advirt\w+|admit\w+|revel\w+|detall\w+
        |disse\w*|detto|spieg\w+|raccont\w+|ammess\w+|ripet\w+|confid\w+|entrevist\w+|declaraciones|riferi\w+)
        [^.\n]{0,50}\s(?:a|à|ao|al|all['’]|con|dell['’])\s?(?:la\s|l['’]|the\s)?(?:(?:agencia|agência|agenzia)\s(?:[\w]+\s){0,4}?)?$""",
    re.VERBOSE,
)
#: German, Dutch, Swedish
_GERMANIC = re.compile(
    r"""\b(?:sagte|sagt|erklärte|berichte(?:t|te|ten)|teilte|bestätigte|so|meldet(?:e|en)?|zei|meldt|aldus)
        [^.\n]{0,40}?\s(?:(?:der|die|dem|het)\s)?(?:(?:[\w-]+\s)?(?:nachrichten|presse)?agentur\s|persbureau\s)?$
      | \b(?:laut|gegenüber|nach\s(?:angaben|informationen)\s(?:von|der)|wie|volgens|enligt|agenturen)
        \s?(?:der\s|die\s)?(?:(?:[\w-]+\s)?nachrichtenagentur(?:en)?\s)?$
      | ,\sder\s$""",
    re.VERBOSE,
)
#: an agency by that noun, in languages whose verbs are not listed here
_BY_NOUN = re.compile(
    r"""\b(?:nachrichtenagentur|presseagentur|agence\sde\spresse|agencia\sde\snoticias|agencia\s(?:española|oficial|estatal)
        |agência\sde\snotícias|agenzia(?:\sdi)?(?:\sstampa)?(?:\sufficiale)?|agentury|agencja|agencji|podaje|podała
        |hãng\stin(?:\spháp)?|persagentschap|haber\sajansı|ajansı|nyhetsbyrån)\s[«"“„]?$""",
    re.VERBOSE,
)
#: Russian, Ukrainian, Bulgarian
_SLAVIC = re.compile(
    r"""\b(?:сообщ\w+|переда[лёею]\w*|пиш\w+|рассказ\w+|заявил\w*|цитиру\w+|отмеча\w+|информиру\w+|уточн\w+|данным
        |информации|сообщению|словам|ссылкой\sна|ссылаясь\sна|напомина\w+|беседе\sс|интервью|источник\w*|привод\w+
        |пода[ёе]т|подає|повідомля\w+|передає|пише|съобщ\w+|предад\w*|предава|цитиран\w+\sот|опубликовал\w*|цитує|наводить
        |собеседник\w*|объясни\w+|подтверди\w+|сказал\w*|отмети\w+|посиланням\sна|розпові\w+|заявив|комментари\w*|коментар\w*
        |добавил\w*|указал\w*|говорится|мнению|версии|узнал\w*)
        (?:\s(?!в\s|на\s)[^.!?\n\s]{1,14}){0,3}[\s—–-]{0,3}(?:(?:информ)?агентств\w+\s|агенці\w+\s|агенция\w*\s)?[«"“„]?$
      | \bинформагентств\w+\s[«"“„]?$ | \bагентств[оа]\s[«"“„]?$""",
    re.VERBOSE,
)
#: Arabic, Persian, Urdu
_ARABIC = re.compile(
    fold_arabic(
        r"""(?:وكالة|لوكالة|وكالات|لوكالتي|وكالتي|بحسب|حسب|وفقا\sل|وفقاً\sل|وفق|نقلت|ذكرت|قالت|و?[أا]فادت|وقالت|وذكرت|نقلا\sعن|نقلاً\sعن|عن
        |أبلغ|أخبر|صرح|تصريحات\sل|تصريح\sل|مقابلة\sمع|مع|گزارش(?:\sخبرنگار(?:ان)?)?|نقل\sاز|خبرگزاری|(?:قال|وقال|قالوا|وقالوا)[^.\n]{0,30}\sل
        |خبر\sرساں\s(?:ادارے|ایجنسی)|نیوز\sایجنسی)
        \s?(?:أنباء\s|الأنباء\s|لوكالة\s|وكالة\s)?[ـ]?\s?[«"“(]?\s?$"""
    ),
    re.VERBOSE,
)
_HAN = re.compile(
    r"(?:[据據引][^。，\n]{0,6}|引述|援引|告诉|告訴|接受|受访|转引|轉引|[对對向]|译自|編譯自)[《「“]?$"
)

_CUES: dict[str, tuple[re.Pattern[str], ...]] = {}
_CUES_OF = {
    _ENGLISH: """told tell tells telling show shown showed sent per citing cites cited quoting to as from by in with for
        reported reports and""",
    _FRENCH: """selon après par à de avec auprès d rapporte rapportent rapportait relate relatait indique et du
        correspondant journaliste journalistes photographe""",
    _ROMANCE: """según segundo secondo con a à al ao all por de da do ha com conforme informa informó informo informaron
        informou reportó publicó reveló noticiou riferisce riporta riferito reseñó reseno acceso accés potrivit
        relatează notează informează transmite scrie anunţă anunță pentru citează informat agenzia dell the y
        e și şi""",
    _GERMANIC: """der die dem het sagte sagt erklärte berichtet berichtete berichteten teilte meldet meldete laut
        gegenüber von wie volgens enligt aldus so zei meldt""",
    _BY_NOUN: "podaje podała",
}
for _pattern, _words in _CUES_OF.items():
    for _word in _words.split():
        _CUES[_word] = (*_CUES.get(_word, ()), _pattern)
_EVERY_LATIN = (_ENGLISH, _FRENCH, _ROMANCE, _GERMANIC, _BY_NOUN)

_AGENCY_SAID = (
    r"\s(?:(?:state\s)?news\sagency|newswire|News\sAgency|News\sService|Agency|Service|news\sservice|agency)\b[^.\n]{0,30}?"
    r"(?:\b(?:said|says|reported|reports|reporting|quot\w+|that|cited|added|announced)\b|,\squot)"
)
_STAFF_SAID = (
    r"\s(?:[\w-]+\s){0,3}(?:reporters?|journalists?|correspondents?|photographers?|writers?|Writers?|witness(?:es)?|teams?)\b"
    r"[^\n]{0,100}?\b(?:said|saw|reported|contributed|heard|counted|witnessed|at\sthe\sscene|told)\b"
)
_SAID = (
    r"(?:\s\([A-Z]+\))?[”\"»]?,?\s(?:has\s|had\s|have\s|also\s|first\s|previously\s|later\s|earlier\s|then\s)*(?:reported|reports|report"
    r"|is\sreporting|quoted|quotes|quoting|cited|cites|learned|could\snot|was\sunable|was\snot\s(?:able|immediately)|contributed"
    r"|did\snot\simmediately|broke\sdown|is\ssolely\sresponsible)\b"
)
_ENCLOSED = (
    r"\sinputs?\b|\snewswires?\sreports?\b|\sstory\s(?:says|said|stated)|[^\n]{0,60}https?://(?:www\.)?apnews"
)
_AFTER_RISKY = re.compile(f"{_SAID}|{_AGENCY_SAID}|{_STAFF_SAID}|{_ENCLOSED}")
_AFTER = re.compile(
    f"{_SAID}|{_AGENCY_SAID}|{_STAFF_SAID}|{_ENCLOSED}"
    # Spanish, French, German, Italian, Portuguese, Russian, Ukrainian
    r"|[»\"“”]?\s(?:informó|reportó|señaló|publicó|reveló|rapporte|rapportait|indique|précise|berichtet(?:e)?|meldet(?:e)?"
    r"|riferisce|riporta|informou|noticiou|писал|сообщил[аои]?|сообщает|сообщало|переда[её]т|пишет|рассказал[аи]?"
    r"|заявил[аи]?|уточнил[аи]?|сказали|повідомив|повідомляє|розповів)\b"
    # Turkish
    r"|[’']?(?:nin|nın|ye|ya|in|e)?\s(?:haber\sajansı\w*|haberine|aktardığına|konuşan|göre)"
    # Hindi
    r"|\s(?:से\s(?:कहा|बातचीत|बात)|को\sबताया|के\sमुताबिक|के\sअनुसार|की\sरिपोर्ट|के\sहवाले|द्वारा)"
    # Korean, Chinese, Japanese
    r"|\s?통신[^.\n]{0,60}(?:보도|전했|따르면|밝혔)"
    r"|(?:通信|通訊社|通讯社|社)?[^。，、\n]{0,12}?(?:报道|報導|報道|[称稱](?![为為])|消息|引述|援引|透露|指出|获悉|獲悉|发稿|發稿"
    r"|[电電]\s|によると|によれば|に対し|に語|が伝え|が報じ|は[^。\n]{0,40}(?:報じ|伝え))"
)
_AFTER_ARABIC = re.compile(
    fold_arabic(
        r"[»\"”]?\s?(?:عن|أن\b|للأنباء|في\sتقرير|منتشر|نوشت|گزارش|اعلام|به\sنقل|خبر\sداد|گفت)"
        r"|\s(?:کے\sمطابق|نے\s(?:کہا|بتایا|رپورٹ|خبر|ذرائع)|کو\s(?:بتایا|دیے)|سے\s(?:بات|گفتگو)|کی\sرپورٹ|کے\sحوالے)"
    )
)
_AGENCY_SAID_AFTER = re.compile(_AGENCY_SAID)
_SURE_SAID = re.compile(
    r"[”\"»]?,?\s(?:has\s|had\s|also\s|first\s|later\s)*"
    r"(?:notes|noted|writes|wrote|adds|added|confirmed|revealed|found\sthat|said\son|said\sin|says)\b"
)
_COMMA = re.compile(r"[,”\"]\s(?:the\s)?$", re.IGNORECASE)
_SAID_LAST = re.compile(r"\ssaid[.,]")
_SAID_OF_AGENCY = re.compile(r",?\s(?:said|says|announced)\b")
_CLEAN_END = re.compile(
    r"\s(?:نے|کے\sمطابق|للأنباء|الروسية|الإسبانية|الإيطالية)|[’'”\"»)\]]{0,2}(?:\s*(?:[.,;:!?—–،؛؟۔]|-\s|$)|\s+(?:that|on|in|at|it|he"
    r"|she|they|we|the|his|her|their|there|news\sagency|by|via|from|during|after|before|while|last|this|over|about|when|but|and"
    r"|as|who|was|were|is|had|earlier|yesterday|today|\w+day|under|through|because|if|for)\b)"
)


def hands_over(mention: Mention, left: str, right: str, last: str, cue: str) -> bool:
    """Whether ``left NAME right`` reads as words taken from the agency or said to it.

    ``left`` and ``right`` are the running text beside the name, ``last`` and ``cue`` the :func:`cues` of
    ``left``. A name that is often something else must end cleanly: "told PA on Monday", not "told PA
    officials", and in English must not stand behind an article: "the PTI" is a party.
    """
    with_article = last == "the" and mention.clarity != SURE and mention.agency not in ("AP", "dpa")
    if with_article and mention.clarity == RISKY and not right.startswith(" news agency"):
        return _AGENCY_SAID_AFTER.match(right) is not None
    clean = (mention.clarity != RISKY and not with_article) or _CLEAN_END.match(right) is not None
    if clean and _taken_from(left, last, cue):
        return True
    if with_article:
        return _AGENCY_SAID_AFTER.match(right) is not None
    if mention.clarity == RISKY:
        return _AFTER_RISKY.match(right) is not None
    return (
        _AFTER.match(right) is not None
        or (right[1:3] > "\u0590" and _AFTER_ARABIC.match(fold_arabic(right)) is not None)
        or (mention.clarity == SURE and _SURE_SAID.match(right) is not None)
        or (
            mention.clarity == SURE
            and _SAID_LAST.match(right) is not None
            and _COMMA.search(left) is not None
        )
        or (last == "agency" and _SAID_OF_AGENCY.match(right) is not None)
    )


def _taken_from(left: str, last: str, cue: str) -> bool:
    """Whether ``left`` ends with a phrase that takes the words after it from an agency."""
    if not last:
        return False
    letter = last[-1]
    left = left[-SPAN:].lower()
    if letter < "\u0250" or "ḁ" <= letter <= "ỿ":
        if last in _NOUNS or cue in _NOUNS:
            patterns: tuple[re.Pattern[str], ...] = _EVERY_LATIN
        else:
            patterns = _CUES.get(cue, ())
            if last != cue:
                patterns = tuple({*patterns, *_CUES.get(last, ())})
        return any(pattern.search(left) for pattern in patterns)
    if "\u0400" <= letter <= "\u052f":
        return _SLAVIC.search(left) is not None
    if "\u0590" < letter < "\u0780":
        return _ARABIC.search(fold_arabic(left)) is not None
    return letter > "\u2e80" and _HAN.search(left) is not None
