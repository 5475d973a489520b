"""What an article says about its sources, and what a cluster's articles say about its origin."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.core.provenance import OriginEvidence, agencies_of, agency_of_source, credits, origin
from dedup.core.provenance.agencies import SCRIPTS
from dedup.model import Article, Credit, CreditPlace, Origin
from tests.data import beside

BYLINE, DATELINE, TEXT, PHOTO = (
    CreditPlace.BYLINE,
    CreditPlace.DATELINE,
    CreditPlace.TEXT,
    CreditPlace.PHOTO,
)

#: A report that credits nobody, long enough to have a first and a second half.
STORY = (
    "The harbor council of Tarn Hollow voted on Monday to close the old lock for nine weeks. "
    "Barges will wait in the outer basin, and the lock keeper has been lent a bicycle. "
    "Nobody spoke against the plan, which has been drawn up three times since the spring flood."
)
MORE = (
    "Work begins after the herring market. The council expects the stone for the new sill by rail, "
    "and has asked the quarry to send it in pieces that two men can carry."
)


def found(
    body: str, *, headline: str = "Lock to close for nine weeks", byline: str = ""
) -> set[tuple[str, str]]:
    """(agency, place) of every credit."""
    article = Article(id="a", headline=headline, body=body, byline=byline)
    return {(credit.agency, credit.place.name) for credit in credits(article)}


def opening(line: str) -> str:
    """A body that begins with ``line``."""
    return f"{line}\n\n{STORY}\n\n{MORE}"


def within(sentence: str) -> str:
    """A body with ``sentence`` in a paragraph of the middle."""
    return f"{STORY}\n\n{sentence} Two herons watched.\n\n{MORE}"


def closing(line: str) -> str:
    """A body that ends with ``line``."""
    return f"{STORY}\n\n{MORE}\n\n{line}"


DATELINES = [
    ("PARIS, Nov 11 (Reuters) - The lock will close.", "Reuters"),
    ("PARIS (AFP) — The lock will close.", "AFP"),
    ("Paris (AFP) - The lock will close.", "AFP"),
    ("(AFP) - The lock will close.", "AFP"),
    ("(Reuters) - The lock will close.", "Reuters"),
    ("TARN HOLLOW/SKERROW, Nov 1 (Reuters) - The lock will close.", "Reuters"),
    ("BEAR CREEK, N.C. (AP) _ The lock will close.", "AP"),
    ("ANN ARBOR, Pa. (AP) — The lock will close.", "AP"),
    ("UNITED NATIONS (APP / Harbor News) - The lock will close.", "APP"),
    ("ISLAMABAD, Nov 1 (APP): The lock will close.", "APP"),
    ("NEW DELHI: (PTI) The lock will close.", None),
    ("New Delhi, Nov 1 (PTI) - The lock will close.", "PTI"),
    ("Dec. 29 (UPI) -- The lock will close.", "UPI"),
    ("GAZA, Feb. 22 (Xinhua) -- The lock will close.", "Xinhua"),
    ("TOKYO, Feb. 22 (Kyodo) - The lock will close.", "Kyodo"),
    ("Valdemora, 3 mar (EFE).- La esclusa cierra nueve semanas.", "EFE"),
    ("Madrid, 1 nov (EFECOM).- La esclusa cierra nueve semanas.", "EFE"),
    ("VALDEMORA (EFE). La esclusa cierra nueve semanas.", "EFE"),
    ("(ANSA) - ROMA, 01 NOV - La chiusa resta ferma.", "ANSA"),
    ("Roma, 3 mar. (ANSA) - La chiusa resta ferma.", "ANSA"),
    ("ROMA, 14 NOV (ANSA) - A eclusa vai fechar.", "ANSA"),
    ("São Paulo, 1 nov 2019 (AFP) - A eclusa vai fechar.", "AFP"),
    ("MORVANE, 12 sept 2024 (AFP) - L’écluse fermera neuf semaines.", "AFP"),
    ("Berlin (dpa) - Die Schleuse schließt.", "dpa"),
    ("Berlin (dpa/tmn) - Die Schleuse schließt.", "dpa"),
    ("MOSCOW, November 1. /TASS/. The lock will close.", "TASS"),
    ("TASS, November 1. The lock will close.", "TASS"),
    ("МОСКВА, 3 марта. /ТАСС/. Шлюз закроют на девять недель.", "TASS"),
    ("Москва. 1 ноября. INTERFAX.RU - Шлюз закроют на девять недель.", "Interfax"),
    ("Россия, 15 ноября. /INTERFAX.RU/. Шлюз закроют.", "Interfax"),
    ("رويترز - أغلق المجلس الهويس تسعة أسابيع.", "Reuters"),
    ("بيروت (رويترز) - أغلق المجلس الهويس تسعة أسابيع.", "Reuters"),
    ("رأس الزهرة (أ ف ب) - أغلق المجلس الهويس.", "AFP"),
    ("موسكو (تاس) - أغلق المجلس الهويس.", "TASS"),
    ("بكين (شينخوا) - أغلق المجلس الهويس.", "Xinhua"),
    ("برلين (د ب أ) - أغلق المجلس الهويس.", "dpa"),
    ("نئی دہلی (اے ایف پی) کونسل نے نو ہفتوں کے لیے پھاٹک بند کر دیا۔", "AFP"),
    ("لاہور ۔ 3 مارچ (اے پی پی) کونسل نے پھاٹک بند کر دیا۔", "APP"),
    ("کراچی (سپورٹس ڈیسک/اے ایف پی ) کونسل نے پھاٹک بند کر دیا۔", "AFP"),
    ("لندن (رائٹرز) کونسل نے پھاٹک بند کر دیا۔", "Reuters"),
    ("واشنگٹن (اے پی) کونسل نے پھاٹک بند کر دیا۔", "AP"),
    ("新华社北京11月11日电 水闸将关闭九周。", "Xinhua"),
    ("（法新社巴黎11日電）水閘將關閉九週。", "AFP"),
    ("路透云泊5月13日 - 水闸将关闭九周。", "Reuters"),
    ("【北京共同】水門は九週間閉じる。", "Kyodo"),
    ("【パリAFP=時事】水門は九週間閉じる。", "AFP"),
    ("［ロンドン　１日　ロイター］ - 水門は九週間閉じる。", "Reuters"),
    ("【モスクワ＝タス通信】水門は九週間閉じる。", "TASS"),
    ("VALÈNCIA (M. G./AGENCIAS). La esclusa cierra.", "Agencies"),
    ("KABUL (Agencies) - The lock will close.", "Agencies"),
    ("وكالات - أغلق المجلس الهويس تسعة أسابيع.", "Agencies"),
    ("اسلام آباد (نیوز ایجنسیاں) کونسل نے پھاٹک بند کر دیا۔", "Agencies"),
    ("（中央社記者林小明台北1日電）水閘將關閉九週。", "CNA"),
    ("HARARE (Bloomberg) — The lock will close.", "Bloomberg"),
    ("(Bloomberg Opinion) -- The lock will close.", "Bloomberg"),
    ("MOSCOW (Sputnik) - The lock will close.", "Sputnik"),
    ("ANKARA (AA) - Havuz dokuz hafta kapanacak.", "Anadolu"),
    ("كونا - أغلق المجلس الهويس تسعة أسابيع.", "KUNA"),
]


@pytest.mark.parametrize(("line", "agency"), DATELINES)
def test_datelines(line: str, agency: str | None) -> None:
    """A dateline is a place and a date with the agency in brackets, between slashes or before a dash."""
    assert found(opening(line)) == ({(agency, "DATELINE")} if agency else set())


def test_a_dateline_of_foreign_wires_names_the_agency_that_compiled_them() -> None:
    """The agency of the dateline and the wires without a name are both credited."""
    body = opening("（中央社東京8日綜合外電報導）水閘將關閉九週。")
    assert found(body) == {("CNA", "DATELINE"), ("Agencies", "DATELINE")}


def test_a_dateline_may_stand_below_a_caption() -> None:
    """Pages begin with pictures; a dateline with a dash counts on any line."""
    body = f"A heron on the old lock, March 3. ─ AFP\n{STORY}\n\nTARN HOLLOW (AP) - {MORE}"
    assert found(body) == {("AFP", "PHOTO"), ("AP", "DATELINE")}


BYLINE_FIELDS = [
    ("AFP", {"AFP"}),
    ("By Jane Roe | AFP", {"AFP"}),
    ("By JANE ROE, AP Medical Writer", {"AP"}),
    ("Associated Press", {"AP"}),
    ("Jane Roe, Reuters", {"Reuters"}),
    ("reuters", {"Reuters"}),
    ("Thomson Reuters", {"Reuters"}),
    ("Von Ulf Musterfeld, dpa", {"dpa"}),
    ("Redacción / EFE", {"EFE"}),
    ("AFP and Reuters in Skerrow", {"AFP", "Reuters"}),
    ("By Stuart Venn, PA Sport", {"PA"}),
    ("Press Association", {"PA"}),
    ("PTI", {"PTI"}),
    ("Thibault Ronsard (avec l’AFP)", {"AFP"}),
    ("M.É. avec AFP", {"AFP"}),
    ("Staff and agencies", {"Agencies"}),
    ("Agencias", {"Agencies"}),
    ("أ ف ب", {"AFP"}),
    ("وكالات", {"Agencies"}),
    ("اے ایف پی", {"AFP"}),
    ("ТАСС", {"TASS"}),
    ("新华社", {"Xinhua"}),
    ("木曽川透、共同", {"Kyodo"}),
    ("Jane Roe", set()),
    ("Adolphus Reuter", set()),
    ("Efe Kocaman", set()),
    ("Matthias Tass", set()),
    ("By Pa Salieu", set()),
    ("Apps and games desk", set()),
]


@pytest.mark.parametrize(("byline", "agencies"), BYLINE_FIELDS)
def test_byline_field(byline: str, agencies: set[str]) -> None:
    """The byline field credits the agencies that it names as one of its parts."""
    article = Article(id="a", headline="Lock to close", body=STORY, byline=byline)
    given_credits = credits(article)
    assert {credit.agency for credit in given_credits} == agencies
    for credit in given_credits:
        assert credit.in_byline_field
        assert credit.place == BYLINE
        assert byline[credit.start : credit.end] == credit.text


BYLINE_LINES = [
    ("By Jane Roe | AFP", "AFP"),
    ("By Jane Roe, Reuters", "Reuters"),
    ("AFP", "AFP"),
    ("AFP, Paris", "AFP"),
    ("EFE | LA GACETA | Valdemora", "EFE"),
    ("Ambohitra (Madagascar) | AFP", "AFP"),
    ("By: Press Trust of India | New Delhi | January 8, 2015 2:10 pm", "PTI"),
    ("By AP Sports Writer Jane Roe", "AP"),
    ("Agence France Presse", "AFP"),
    ("Staff and agencies", "Agencies"),
    ("Agencias / Valdemora", "Agencies"),
    ("Agencies", "Agencies"),
]


@pytest.mark.parametrize(("line", "agency"), BYLINE_LINES)
def test_byline_on_its_own_line(line: str, agency: str) -> None:
    """A short line above the report is its byline."""
    assert found(opening(line)) == {(agency, "BYLINE")}


CLOSING_LINES = [
    ("Agencies contributed to this report.", "Agencies"),
    ("The Harbor Post with inputs from Agencies", "Agencies"),
    ("(With inputs from agencies)", "Agencies"),
    ("With agencies", "Agencies"),
    ("Source: Agencies", "Agencies"),
    ("- avec agences -", "Agencies"),
    ("(Avec agences)", "Agencies"),
    ("Con información de agencias", "Agencies"),
    ("(com agências)", "Agencies"),
    ("Con agenzie", "Agencies"),
    ("(mit Agenturen)", "Agencies"),
    ("По материалам информационных агентств", "Agencies"),
    ("المصدر: وكالات", "Agencies"),
    ("(With inputs from AFP)", "AFP"),
    ("with inputs from AFP", "AFP"),
    ("(With PTI inputs)", "PTI"),
    ("(With additional input from APP)", "APP"),
    ("With a report from the Associated Press", "AP"),
    ("The Associated Press contributed to this report.", "AP"),
    ("Reuters contributed to this report", "Reuters"),
    ("AP Sports Writer Jane Roe contributed to this report.", "AP"),
    ("More AP NFL: https://apnews.com/NFL", "AP"),
    ("© 2019 AFP", "AFP"),
    ("Copyright 2014 The Associated Press. All rights reserved.", "AP"),
    ("This article originally appeared at Reuters.", "Reuters"),
    ("©2019 Bloomberg L.P.", "Bloomberg"),
    ("“It leaks,” she said. - Bloomberg", "Bloomberg"),
    ("Con información de Télam", "Télam"),
    ("(AA)", "Anadolu"),
    ("फाटक नौ हफ्ते बंद रहेगा। (भाषा)", "PTI"),
    ("mak/lh (rtr, munzinger)", "Reuters"),
    ("المصدر: وكالة الصحافة الفرنسية", "AFP"),
    ("المصدر: وكالة سبوتنيك الروسية", "Sputnik"),
    ("المصدر: سانا", "SANA"),
    ("المصدر: الوكالة الوطنية للاعلام", "NNA"),
    ("Source: AFP", "AFP"),
    ("Fonte: Associated Press.", "AP"),
    ("Источник: ТАСС", "TASS"),
    ("المصدر: وكالة رويترز", "Reuters"),
    ("المصدر: تاس", "TASS"),
    ("来源：新华社", "Xinhua"),
    ("Avec l’Associated Press", "AP"),
    ("The Harbor Post with AFP", "AFP"),
    ("(HARBOR 24 with the Associated Press)", "AP"),
    ("avec AFP", "AFP"),
    ("Com informações da AFP", "AFP"),
    ("|| Con información de EFE ||", "EFE"),
    ("Por: EFE", "EFE"),
    ("EFE", "EFE"),
    ("– AFP", "AFP"),
    ("(AFP)", "AFP"),
    ("The Associated Press", "AP"),
    (" Reuter", "Reuters"),
    ("REUTER", "Reuters"),
    ("jj/ml (dpa)", "dpa"),
    ("wit/apr/dpa", "dpa"),
    ("(Von Ulf Musterfeld, dpa)", "dpa"),
    ("Two herons watched. — AFP", "AFP"),
    ("“Two herons watched,” he said. — AFP-Relaxnews", "AFP"),
    ("Dos garzas miraban. EFE", "EFE"),
    ("サギが二羽見ていた。（共同）", "Kyodo"),
]


@pytest.mark.parametrize(("line", "agency"), CLOSING_LINES)
def test_closing_lines(line: str, agency: str) -> None:
    """The last line of a report names its source."""
    assert found(closing(line)) == {(agency, "TEXT")}


def test_closing_list_names_every_agency() -> None:
    """Several agencies in one closing bracket are all credited, in the order they stand."""
    body = (
        closing("rc/msh (dpa, Reuters, AFP, AP)")
        + "\nThe editors send out a selection of news every evening."
    )
    assert [credit.agency for credit in credits(Article(id="a", body=body))] == [
        "dpa",
        "Reuters",
        "AFP",
        "AP",
    ]


def test_codes_of_german_desks() -> None:
    """Beside "dpa" a desk's codes in small letters name agencies too."""
    assert found(closing("jj/ml (afp, dpa, rtr)")) == {("AFP", "TEXT"), ("dpa", "TEXT"), ("Reuters", "TEXT")}
    assert found(closing("cht/dpa/AFP")) == {("AFP", "TEXT"), ("dpa", "TEXT")}
    assert found(closing("Zwei Reiher (afp) sahen zu, ap, rtr.")) == set()


PHRASES = [
    ("“It is only a lock,” the keeper told AFP.", "AFP"),
    ("“It is only a lock,” the keeper told\nReuters.", "Reuters"),
    ("A councillor told The Associated Press that the lock leaks.", "AP"),
    ("A councillor told Agence\xa0France-Presse.", "AFP"),
    ("The lock leaks, AFP reported.", "AFP"),
    ("According to Reuters, the lock leaks.", "Reuters"),
    ("According to the PA news agency, the lock leaks.", "PA"),
    ("Dame Agnes told the PA news agency: “I like locks.”", "PA"),
    ("The keeper told PA on Monday.", "PA"),
    ("The lock leaks, the Press Association news agency reported.", "PA"),
    ("Reuters could not verify the leak.", "Reuters"),
    ("A memo reviewed by Reuters describes the leak.", "Reuters"),
    ("Reuters reporters said the lock leaked.", "Reuters"),
    ("“I shall miss it,” he told PTI.", "PTI"),
    ("The keeper said in a statement emailed to APP.", "APP"),
    ("The official news agency Tass said the lock leaked.", "TASS"),
    ("The lock leaks, Kyodo News Agency reported.", "Kyodo"),
    ("The lock leaks, according to Xinhua.", "Xinhua"),
    ("The keeper told UPI in an interview.", "UPI"),
    ("“C’est fini”, a déclaré à l’AFP un éclusier.", "AFP"),
    ("L’écluse fuit, selon l'AFP.", "AFP"),
    ("L’écluse fuit, a constaté un correspondant de l'AFP.", "AFP"),
    ("«Se acabó», dijo a EFE el esclusero.", "EFE"),
    ("La esclusa pierde, informó la agencia de noticias EFE.", "EFE"),
    ("La esclusa pierde, según Efe.", "EFE"),
    ("“Acabou”, disse à AFP o guarda.", "AFP"),
    ("A eclusa vaza, segundo a agência Reuters.", "Reuters"),
    ("La chiusa perde, riferisce l’agenzia Ansa.", "ANSA"),
    ("Das sagte der Wärter der Deutschen Presse-Agentur.", "dpa"),
    ("Die Schleuse leckt, sagte der Wärter der dpa.", "dpa"),
    ("Wie die Nachrichtenagentur AFP meldet, leckt die Schleuse.", "AFP"),
    ("Шлюз течёт, сообщает ТАСС.", "TASS"),
    ("Шлюз течёт, передаёт «Интерфакс».", "Interfax"),
    ("Об этом «Интерфаксу» сообщил смотритель.", "Interfax"),
    ("Шлюз течёт, пишет агентство Reuters.", "Reuters"),
    ("Шлюз тече, повідомляє Інтерфакс-Україна.", "Interfax"),
    ("وقال الحارس لوكالة فرانس برس إن الهويس قديم.", "AFP"),
    ("وقال الحارس لرويترز إن الهويس قديم.", "Reuters"),
    ("ونقلت وكالة «رويترز» للأنباء عن الحارس قوله.", "Reuters"),
    ("ذكرت وكالة تاس للأنباء أن الهويس قديم.", "TASS"),
    ("اے ایف پی کے مطابق پھاٹک پرانا ہے۔", "AFP"),
    ("چوکیدار نے خبر رساں ادارے رائٹرز کو بتایا کہ پھاٹک پرانا ہے۔", "Reuters"),
    ("به گزارش رویترز، دریچه کهنه است.", "Reuters"),
    ("法新社報導，水閘很舊。", "AFP"),
    ("据路透社报道，水闸很旧。", "Reuters"),
    ("管理员告诉新华社，水闸很旧。", "Xinhua"),
    ("俄罗斯国际文传电讯社援引管理员的话称水闸很旧。", "Interfax"),
    ("ロイター通信によると、水門は古い。", "Reuters"),
    ("AP通信は、水門は古いと報じた。", "AP"),
    ("AFP통신은 수문이 낡았다고 보도했다.", "AFP"),
    ("चौकीदार ने पीटीआई से कहा कि फाटक पुराना है।", "PTI"),
    ("एएफपी के मुताबिक फाटक पुराना है।", "AFP"),
    ("Bekçi AFP’nin haberine göre emekli oldu.", "AFP"),
    ("Об этом Укринформу сообщил смотритель.", "Ukrinform"),
    ("Шлюз тече, передає «Укрінформ».", "Ukrinform"),
    ("Про це повідомляє Анадолу.", "Anadolu"),
    ("Шлюз течёт, сказал он в беседе с РАПСИ.", "RAPSI"),
    ("The lock leaks, the state-run Anadolu news agency reported.", "Anadolu"),
    ("The keeper told Bloomberg that the lock leaks.", "Bloomberg"),
    ("“Se acabó”, dijo a Télam el esclusero.", "Télam"),
    ("ونقلت وكالة (أناضول) التركية للأنباء عن الحارس قوله.", "Anadolu"),
    ("الهويس قديم، بحسب ما افادت الوكالة الوطنية للإعلام.", "NNA"),
    ("به گزارش ایسنا، دریچه کهنه است.", "ISNA"),
    ("دریچه‌بان به ایسنا گفت که دریچه کهنه است.", "ISNA"),
    ("به گزارش خبرنگاران خبرگزاری فارس، دریچه کهنه است.", "Fars"),
]


@pytest.mark.parametrize(("sentence", "agency"), PHRASES)
def test_phrases(sentence: str, agency: str) -> None:
    """Running text credits an agency where it hands its words over."""
    assert found(within(sentence)) == {(agency, "TEXT")}


LISTED = [
    ("La esclusa pierde, informaron Reuters y Télam.", {"Reuters", "Télam"}),
    ("Ecluza curge, relatează AFP și Agerpres.", {"AFP", "Agerpres"}),
]


@pytest.mark.parametrize(("sentence", "agencies"), LISTED)
def test_phrases_that_name_two(sentence: str, agencies: set[str]) -> None:
    """A phrase hands over from both agencies that "and" joins."""
    assert found(within(sentence)) == {(agency, "TEXT") for agency in agencies}


PICTURES = [
    ("A heron on the old lock on March 3. ─ AFP", "AFP"),
    ("A heron on the old lock. Photo: AFP", "AFP"),
    ("A heron on the old lock. / AFP PHOTO / OUTLET / Jane ROE", "AFP"),
    ("A heron on the old lock (AFP - Anne-Christine ROE)", "AFP"),
    ("A heron on the old lock (AFP/Archives - Anne ROE)", "AFP"),
    ("AFP/Getty", "AFP"),
    ("REUTERS/Jane Roe", "Reuters"),
    ("REUTERS/Stringer", "Reuters"),
    ("A heron on the old lock. (AP Photo/John Doe)", "AP"),
    ("A heron on the old lock. Photograph: Jane Roe/Reuters", "Reuters"),
    ("[Image via AP]", "AP"),
    ("Image Credits: AP", "AP"),
    ("Una garza en la esclusa. EFE/Archivo", "EFE"),
    ("Foto: Getty Images / EFE", "EFE"),
    ("Ein Reiher an der Schleuse. Bild: Georg Musterfeld/Keystone/dpa", "dpa"),
    ("Цапля на шлюзе. Фото: ТАСС", "TASS"),
    ("写真：共同", "Kyodo"),
    ("تصویر: اے ایف پی", "AFP"),
    ("مالك الحزين على الهويس (فرانس برس - أرشيفية)", "AFP"),
    ("A heron (Jane Roe / Associated Press)", "AP"),
    ("A heron on the old lock. Photographs: Lena Roe/PTI Photo", "PTI"),
]


@pytest.mark.parametrize(("line", "agency"), PICTURES)
def test_pictures(line: str, agency: str) -> None:
    """A caption credits the picture, not the report."""
    assert (agency, "PHOTO") in found(opening(line))
    assert {name for name, _ in found(opening(line))} == {agency}
    assert not {place for _, place in found(opening(line))} - {"PHOTO"}


def test_headline_attribution() -> None:
    """A headline that ends with its source credits it in the text."""
    assert found(STORY, headline="Lock may close for good: Reuters") == {("Reuters", "TEXT")}
    assert found(STORY, headline="Lock to close: Reuters/Ipsos poll") == set()


NEGATIVES = [
    "She takes AP classes in chemistry and sat the AP exam in May.",
    "The AP history course was dropped, and AP students were told AP scores would follow.",
    "The Gaels had four wins over teams who were ranked in the AP Top 10.",
    "He was a preseason Associated Press All-American.",
    "Adolphus Reuter, who keeps the lock, was born in Skerrow.",
    "Reuter told the council that the lock leaks.",
    "The PA system at the ferry terminal failed.",
    "They moved to Hershey, PA, in the spring, and then to Pittsburgh, Pa.",
    "Hershey, PA @ Harbor Park. Pittsburgh, PA @ Pavilion.",
    "The PA President said on Monday that talks with the PA would resume, and told PA officials so.",
    "The Palestinian Authority (PA) said nothing.",
    "The Hollywood Foreign Press Association announced its prizes.",
    "BENEFEL and EFECTIVO are words; an efe is a letter.",
    "The upi was low. The Unified Payments Interface (UPI) handled more, said the bank.",
    "All payments through UPI.",
    "Customers can pay with UPI.",
    "The council met with AFP.",
    "She told AP police, and AP High Court lawyers were told AP Congress would appeal.",
    "A detective told AFP officers, and according to AFP Commissioner Roe all is well.",
    "Reservas en agencias de viajes y agencias de seguridad privada.",
    "El dólar retrocede en agencias y bancos de la ciudad.",
    "Intelligence agencies and law enforcement agencies agreed. UN agencies said so.",
    "She books with travel agencies.",
    "The council works with agencies.\nIt also works with unions.",
    "Russian news agencies report, citing the Kremlin, that the lock leaks.",
    "Les agences sanitaires doivent prendre le relais.",
    "Nas agências da Caixa o pagamento é feito na hora.",
    "Tass added 22 points. “We moved the ball around,” Tass said.",
    "Sie trank eine Tasse Tee und gewann die Tass-Trophäe.",
    "The Reuters building in Skerrow was sold.",
    "The fund bought shares of Thomson Reuters and shares in Reuters Group.",
    "Analysts polled by Thomson Reuters expected more.",
    "Reuters reported a pretax profit of three million.",
    "The photo was shared on social media by AFP fans.",
    "The picture was praised by AFP officials.",
    "Foley disappeared while working for Agence France-Presse.",
    "She was a freelance photojournalist for the AFP and others.",
    "Sie absolvierte eine Ausbildung und arbeitete für die dpa.",
    "Las pensiones que entregan las AFP subieron.",
    "The Armed Forces of the Philippines (AFP) said the AFP reported two wounded.",
    "The minister told the AFP to stand down.",
    "Distributed Power Africa (DPA), a subsidiary, sells generators, said DPA’s CEO.",
    "Pakistan Tehreek-e-Insaf (PTI) leader Babar Roe was there, and the PTI reported no losses.",
    "پی ٹی آئی کے چیئرمین نے کہا کہ پھاٹک پرانا ہے۔",
    "پاکستان تحریک انصاف اور پی ٹی آئی نے کہا کہ پھاٹک پرانا ہے۔",
    "کپتان نے تاس جیت کر پہلے بیٹنگ کا فیصلہ کیا۔",
    "A$AP Rocky and the @AFP account and #Reuters and https://twitter.com/AP and www.example.com/AFP.",
    "CLICK HERE TO GET THE NEWS APP",
    "AN APP FOR THAT",
    "Follow UPI.com and AFP.com for more.",
    "Renault (PA:RENA) and <RHON.PA> rose.",
    "AFFILIATED PUBLICATIONS INC <AFP> SETS PAYOUT",
    "AFP said its products gained market share.",
    "Davi Roe (DEM-AP) e Rodrigo Roe (DEM-RJ) votaram.",
    "На пресс-конференции в ТАСС выступил смотритель.",
    "Заместитель генерального директора ТАСС Михаил Иванов приехал.",
    "Страны БРИКС и ЮАР, прокуратура АР Крым.",
    "أفادت السلطات بأن الهويس قديم، وشركة كانتاس وصلت.",
    "我們共同擁有的母親，共同體與共同點。",
    "香港時事與時事評論。",
    "(Reporting by Jane Roe; Editing by John Doe)",
    "The New York Times, Reuters and the Washington Post are newspapers or agencies.",
    "Central Intelligence Agency officers met the AAP and the WAPA board.",
    "REUTERS SEEKS SHARE LISTING IN TOKYO",
    "Uma aposta de Belém/PA acertou os números.",
    "Michael Bloomberg reported gifts of three million, and Mayor Bloomberg cited the lock.",
    "Gates, Bloomberg and other keepers of locks would pay more. Bloomberg would pay three million.",
    "Bloomberg did not immediately respond to a request for comment.",
    "She keeps AA batteries, the bond has a AA+ rating, and a report by the AA says so.",
    "Anadolu Efes beat the Gaels, according to Anadolu Efes fans.",
    "The launch of Sputnik was a surprise. Sputnik is a satellite.",
    "हिंदी भाषा में फाटक को द्वार भी कहते हैं, और भाषा के अनुसार नाम बदलता है।",
    "قالت سانا مارين إن الهويس قديم، وكانت فارس واحة.",
]


@pytest.mark.parametrize("sentence", NEGATIVES)
def test_negatives(sentence: str) -> None:
    """Names of other things, and stories about an agency, are no credits."""
    assert found(within(sentence)) == set()
    assert found(f"{sentence} {STORY}\n\n{MORE}") == set()


@pytest.mark.parametrize(
    "headline",
    [
        "REUTERS TO BUY I P SHARP OF CANADA",
        "AP classes dropped",
        "UPI president resigns",
        "PA system fails",
        "APP",
    ],
)
def test_headline_negatives(headline: str) -> None:
    """A headline about an agency credits nobody."""
    assert found(STORY, headline=headline) == set()


def test_at_most_one_credit_an_agency_and_place() -> None:
    """The first credit of an agency in a place stands for all; places are kept apart."""
    body = (
        f"A heron. Photo: AFP\n\nA lock. Photo: AFP\n\nTARN HOLLOW (AFP) - {STORY}\n\n"
        f"“It leaks,” he told AFP. “It does,” she told AFP.\n\n{MORE}\n\n- AFP"
    )
    article = Article(id="a", headline="Lock to close", body=body, byline="AFP, with AFP in Skerrow")
    given_credits = credits(article)
    assert [(credit.agency, credit.place) for credit in given_credits] == [
        ("AFP", BYLINE),
        ("AFP", PHOTO),
        ("AFP", DATELINE),
        ("AFP", TEXT),
    ]
    assert given_credits[0].start == 0
    assert given_credits[1].start == article.text.index("AFP")
    assert given_credits[3].start == article.text.index("told AFP") + len("told ")


def check_offsets(article: Article) -> None:
    """Every credit's text is the slice it points to, and no agency is credited twice in a place."""
    given_credits = credits(article)
    for credit in given_credits:
        source = article.byline if credit.in_byline_field else article.text
        assert credit.text
        assert source[credit.start : credit.end] == credit.text
        assert not credit.in_byline_field or credit.place == BYLINE
    assert len({(credit.agency, credit.place) for credit in given_credits}) == len(given_credits)


NAMES = [name for script in SCRIPTS for name in script] + [
    "Agencies",
    "agencias",
    "وكالات",
    "ایجنسیاں",
    "агентств",
]
PIECES = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(
        [
            "\n",
            "\n\n",
            " ",
            "(",
            ")",
            "/",
            " - ",
            " — ",
            ".",
            ": ",
            "told ",
            "Photo",
            "【",
            "】",
            "电",
            "by ",
            "а",
        ]
    ),
    st.text(max_size=8),
)


@given(headline=st.text(max_size=20), body=st.lists(PIECES, max_size=25), byline=st.lists(PIECES, max_size=6))
@settings(max_examples=300, deadline=None)
def test_never_raises_and_offsets_are_exact(headline: str, body: list[str], byline: list[str]) -> None:
    """Any text is read, and what it credits is where it says."""
    check_offsets(Article(id="a", headline=headline, body="".join(body), byline="".join(byline)))


def test_offsets_count_code_points_beyond_the_first_plane() -> None:
    """Offsets are code points, also behind characters that UTF-16 writes as two."""
    article = Article(id="a", headline="🐟🐟", body=closing("🐟 — AFP"))
    (credit,) = credits(article)
    assert article.text[credit.start : credit.end] == "AFP"


def lines_of(line: str) -> Callable[[int], str]:
    """A text of many times ``line``."""
    return lambda size: f"{line}\n" * (size // (len(line) + 1))


HOSTILE: list[Callable[[int], str]] = [
    lines_of("source: " + "e " * 40 + "q AFP"),
    lines_of("with " + "e " * 40 + "q AFP"),
    lines_of("photo: " + "a/ " * 25 + "(AFP"),
    lines_of("(" + "a-" * 40 + "q AFP"),
    lines_of("AFP" + " et " * 25 + "q!"),
    lines_of("Mr Roe (AFP" + " - " * 30 + "(q"),
    lines_of("AFP " + "A. " * 30 + "("),
    lines_of("dijo a " * 12 + "q AFP"),
    lines_of("told a " * 12 + "q AFP"),
    lines_of("сообщил а " * 9 + "в ТАСС"),
    lines_of("staff and " * 9 + "agencies a"),
    lines_of("(" * 60 + "AFP" + ")" * 60),
    lines_of("12 " * 28 + "(AFP) q"),
    lambda size: "AFP " * (size // 4),
    lambda size: "(AFP" * (size // 4),
    lambda size: "told the told the " * (size // 18),
    lambda size: "told a b c d Reuters and, " * (size // 26),
    lambda size: "Photo: a/b/c/d, " * (size // 16) + "AFP",
    lambda size: "Agencies, " * (size // 10),
    lambda size: "(" * size,
    lambda size: "A.-'" * (size // 4) + "(AFP)",
    lambda size: " " * size + "AFP",
    lambda size: "\n" * size + "AFP\n",
    lambda size: "with a, b, c, d and " * (size // 20) + "AFP",
    lambda size: "اے پی پی " * (size // 9),
    lambda size: "ل" * size + "رويترز",
    lambda size: "新华社" * (size // 3),
    lambda size: "сообщил он ТАСС " * (size // 16),
    lambda size: "aÀ" * (size // 2),
]


def operations(article: Article) -> int:
    """Lines of Python that reading ``article`` runs: a measure of work that no other process disturbs."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        credits(article)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("text", HOSTILE)
def test_work_is_bounded(text: Callable[[int], str]) -> None:
    """Eight times the text costs hardly more Python: mentions are capped, windows are fixed."""
    small = operations(Article(id="a", body=text(1 << 16)))
    large = operations(Article(id="a", body=text(1 << 19)))
    assert large < 1.2 * small + 1000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_mebibyte_of_hostile_text_is_read(text: Callable[[int], str]) -> None:
    """The longest body allowed is read whatever it holds; a regular expression that backtracks would not end."""
    body = text(1 << 20)
    check_offsets(Article(id="a", body=body, byline=body))


# -- agencies of several articles ---------------------------------------------------------------------


def credit(agency: str, place: CreditPlace = TEXT) -> Credit:
    """A credit wherever."""
    return Credit(agency, place, agency, 0, len(agency))


def test_agencies_by_number_of_articles() -> None:
    """An agency counts once an article; a named one stands before plain agencies at equal numbers."""
    members = [
        (credit("Reuters"), credit("Reuters", DATELINE)),
        (credit("Agencies"), credit("AFP", PHOTO)),
        (credit("Agencies"), credit("AFP")),
        (credit("EFE", PHOTO), credit("AP")),
        (),
    ]
    assert agencies_of(members) == ("AFP", "Agencies", "AP", "Reuters", "EFE")
    assert agencies_of([]) == ()


# -- origin ---------------------------------------------------------------------------------------------


def member(
    source: str, *given_credits: Credit, published: float | None = None, words: int = 400, name: str = ""
) -> OriginEvidence:
    """One article of a cluster."""
    return OriginEvidence(name or f"{source}-1", source, published, words, given_credits)


def test_origin_is_the_agency_that_most_outlets_name() -> None:
    """Bylines and datelines of most outlets are strong evidence."""
    result = origin(
        [
            member("Harbor Post", credit("AFP", DATELINE)),
            member("Northgate Times", credit("AFP", BYLINE), credit("AFP", TEXT)),
            member("Skerrow Echo", published=1.0),
        ]
    )
    assert result.name == "AFP"
    assert result.confidence >= 0.8
    assert "2 of 3" in result.reason


def test_origin_counts_an_outlet_once() -> None:
    """Ten articles of one outlet are one voice."""
    chorus = [member("Harbor Post", credit("EFE", DATELINE), name=str(i)) for i in range(10)]
    assert origin([*chorus, member("A"), member("B")]).confidence < 0.8


def test_origin_is_the_agency_whose_own_copy_is_among_them() -> None:
    """An outlet that is the agency settles the question, also by its site."""
    for source in ("Reuters", "reuters.com", "www.reuters.com", "REUTERS"):
        result = origin([member(source), member("Harbor Post", credit("AFP", DATELINE)), member("B")])
        assert result.name == "Reuters"
        assert result.confidence > 0.9
    assert agency_of_source("Harbor Post") is None
    assert agency_of_source("") is None
    assert agency_of_source("The Associated Press") == "AP"


def test_origin_evidence_falls_in_order() -> None:
    """Own copy, most datelines, some datelines, text of most, text of some, plain agencies, time."""
    others = [member("A"), member("B"), member("C")]
    evidence = [
        [member("AFP"), *others],
        [member(name, credit("AFP", DATELINE)) for name in ("P", "Q", "R")] + others[:2],
        [member("P", credit("AFP", DATELINE)), *others],
        [member(name, credit("AFP")) for name in ("P", "Q", "R")] + others[:2],
        [member("P", credit("AFP")), *others],
        [member("P", credit("Agencies")), *others],
    ]
    confidences = [origin(members).confidence for members in evidence]
    assert all(a > b for a, b in itertools.pairwise(confidences))
    assert confidences[-1] > 0


def test_origin_ignores_pictures() -> None:
    """A picture's credit says nothing about the words."""
    members = [member("A", credit("AFP", PHOTO)), member("B", credit("AFP", PHOTO))]
    assert origin(members).name == ""
    assert origin(members).confidence == 0


def test_origin_with_rivals_is_less_sure() -> None:
    """Two agencies with equal evidence take confidence from each other."""
    both = [member("A", credit("AFP", DATELINE)), member("B", credit("AP", DATELINE))]
    alone = [member("A", credit("AFP", DATELINE)), member("B")]
    assert origin(both).name == "AFP"
    assert origin(both).confidence < origin(alone).confidence
    assert "AP" in origin(both).reason


def test_origin_is_the_clearly_earliest_outlet() -> None:
    """Without credits the first publication counts, weakly, where the gap is clear and every time is known."""
    hours = origin([member("A", published=0.0), member("B", published=4 * 3600.0)])
    minutes = origin([member("A", published=0.0), member("B", published=1200.0)])
    stub = origin([member("A", published=0.0, words=60), member("B", published=4 * 3600.0, words=700)])
    assert {hours.name, minutes.name, stub.name} == {"A"}
    assert 0.5 > hours.confidence > minutes.confidence > 0
    assert stub.confidence < hours.confidence


@pytest.mark.parametrize(
    "members",
    [
        [],
        [member("A", published=0.0)],
        [member("A", published=0.0), member("A", published=9000.0, name="A-2")],
        [member("A", published=0.0), member("B", published=0.0)],
        [member("A", published=0.0), member("B", published=60.0)],
        [member("A", published=0.0), member("B")],
        [member("", published=0.0, name="x"), member("B", published=90000.0)],
    ],
)
def test_origin_is_unknown_without_evidence(members: list[OriginEvidence]) -> None:
    """No credits and no clear first publication: unknown, with the reason why."""
    result = origin(members)
    assert (result.name, result.confidence) == ("", 0.0)
    assert result.reason


PLACES = st.sampled_from(list(CreditPlace))
MEMBERS = st.lists(
    st.builds(
        OriginEvidence,
        id=st.text(max_size=3),
        source=st.sampled_from(["", "A", "B", "AFP", "reuters.com"]),
        published=st.one_of(st.none(), st.floats(0, 1e10)),
        words=st.integers(0, 5000),
        credits=st.lists(
            st.builds(credit, st.sampled_from(["AFP", "AP", "Agencies"]), PLACES), max_size=4
        ).map(tuple),
    ),
    max_size=8,
)


@given(members=MEMBERS, seed=st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_origin_does_not_depend_on_order(members: list[OriginEvidence], seed: object) -> None:
    """The settled state rests on the articles alone."""
    result = origin(members)
    shuffled = list(members)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert isinstance(result, Origin)
    assert origin(shuffled) == result
    assert 0.0 <= result.confidence <= 1.0
    assert (result.confidence > 0) == (result.name != "")
    assert agencies_of(m.credits for m in shuffled) == agencies_of(m.credits for m in members)


# -- the seeds --------------------------------------------------------------------------------------------


def families() -> list[Path]:
    """Label files of the invented story families."""
    return sorted((Path(__file__).parents[1] / "seeds").glob("*.labels.json"))


@pytest.mark.parametrize("labels", families(), ids=lambda path: path.name.split(".")[0])
def test_credits_of_the_seeds(labels: Path) -> None:
    """Every article of the families credits the agencies that its label names, in those places."""
    expected = json.loads(labels.read_text())["articles"]
    latest = {}
    for line in labels.with_name(labels.name.replace(".labels.json", ".jsonl")).read_text().splitlines():
        fields = json.loads(line)
        latest[fields["id"]] = fields
    for name, fields in latest.items():
        article = Article(
            id=name,
            headline=fields.get("headline", ""),
            body=fields["body"],
            byline=fields.get("byline", ""),
        )
        check_offsets(article)
        given_credits = {(credit.agency, credit.place.name.lower()) for credit in credits(article)}
        wanted = {(each["agency"], place) for each in expected[name]["agencies"] for place in each["places"]}
        assert given_credits == wanted, name


def test_credits_of_the_five_real_articles() -> None:
    """The five real articles credit exactly the agencies that are expected, AFP first."""
    expected = json.loads(beside("seeds/expected.json").read_text())
    members = []
    for line in beside("seeds/articles.jsonl").read_text().splitlines():
        fields = json.loads(line)
        article = Article(id=fields["id"], headline=fields["headline"], body=fields["body"])
        check_offsets(article)
        members.append(credits(article))
        assert list(agencies_of([members[-1]])) == expected["articles"][fields["id"]]["agencies"], fields[
            "id"
        ]
    assert agencies_of(members)[0] == expected["story_credits_first"]
