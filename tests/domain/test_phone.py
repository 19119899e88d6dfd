"""Phone numbers as people write them, against the fact sheets' own digests and their stored digests.

A row that is named after a platform is a row of section 4 of that platform's sheet, copied as it stands.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from itertools import product
from random import Random
from types import FrameType
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from tests.drawing import drawn
from tracklayer.domain import phone
from tracklayer.domain.normalise import UNREADABLE, Matchable
from tracklayer.domain.phone import (
    PHONE_RULES,
    is_somebodys_number,
    phone_digests,
    phone_digests_to_keep,
    phone_digits,
    phone_e164,
)
from tracklayer.domain.sha256 import sha256_hex

REPEATABLE = drawn(300)


@pytest.mark.parametrize(
    ("rule", "raw", "country", "normal", "digest"),
    [
        pytest.param("digits", "(650)555-1212", "US", "16505551212",
                     "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176", id="meta: national, in a country"),
        pytest.param("digits", "+1 (650) 555-0123", None, "16505550123",
                     "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec", id="meta: with a plus"),
        pytest.param("digits", "0044 20 7946 0958", None, "442079460958",
                     "35e206e5dec4c89b9e8b71b8c32724a5bb518483ac5a20c6617d738375b3b823", id="meta: with 00"),
        pytest.param("digits", "+1 (415) 555-0132", None, "14155550132",
                     "11072303eb5c8cb5c5a1ebb762f11b37b07131265b46fdfe1276196bfbd3ca51", id="pinterest and snapchat"),
        pytest.param("digits", "+44 844 412 4653", None, "448444124653",
                     "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383", id="snapchat: official sample"),
        pytest.param("digits", "+44 (0)844 412 4653", None, "448444124653",
                     "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383", id="snapchat: trunk zero in brackets"),
        pytest.param("digits", "0044 844 412 4653", None, "448444124653",
                     "dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383", id="snapchat: with 00"),
        pytest.param("e164", "+1 (650) 555-0123", None, "+16505550123",
                     "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0", id="ga4, google ads and tiktok: with a plus"),
        pytest.param("e164", "(650)555-1212", "US", "+16505551212",
                     "1e231c66011e7a2d867a9cfae267a6aff103cf4913640b6e71a99850fc0ffbc8", id="ga4, google ads and tiktok: national, in a country"),
        pytest.param("e164", "+44 20 7946 0958", None, "+442079460958",
                     "f0bf0228144d9fe2bdf1da2d8ca698f17bf1410ee688b075c27062e47b6f0b6d", id="google ads and tiktok: London"),
        pytest.param("e164", "+1 800 555 0100", None, "+18005550100",
                     "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30", id="google ads: free phone"),
        pytest.param("e164", "(800)555-0100", "US", "+18005550100",
                     "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30", id="google ads: free phone, national"),
        pytest.param("e164", "+1 (415) 555-0132", None, "+14155550132",
                     "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462", id="microsoft, reddit and x: with a plus"),
        pytest.param("e164", "+14255551234", None, "+14255551234",
                     "c59475d96e9f01d7d18d06cfad84dd02333207f02c0c2c5663ef2782cda0390e", id="microsoft: as it is"),
        pytest.param("e164", "+11234567890", None, "+11234567890",
                     "1fa6b8d986d9b9cd01bf36951815158bbde9f520c0567c835dfe34783d0a4231", id="x: official sample"),
    ],
)  # fmt: skip
def test_a_phone_gets_the_digest_of_its_platforms_sheet(
    rule: str, raw: str, country: str | None, normal: str, digest: str
) -> None:
    countries = frozenset({country} if country else ())
    assert PHONE_RULES[rule](raw, country) == normal
    assert Matchable(plain=raw).phone_sha256(rule, country) == digest
    assert Matchable(digests=phone_digests(raw, countries)).phone_sha256(rule, country) == digest


@pytest.mark.parametrize(
    ("raw", "country", "normal"),
    [
        pytest.param("020 7946 0958", "GB", "+442079460958", id="a trunk zero"),
        pytest.param("0170 1234567", "DE", "+491701234567", id="a German mobile phone"),
        pytest.param("+49 0049 170 1234567", None, "+491701234567", id="a code before a whole number"),
        pytest.param("+4900491701234567", "DE", "+491701234567", id="a code before a whole number, without blanks"),
        pytest.param("+49 0491 1234567", None, "+494911234567", id="an area that is called as the code"),
        pytest.param("1-650-555-0123", "US", "+16505550123", id="the country code without a plus"),
        pytest.param("+44 20 7946 0958", "US", "+442079460958", id="a plus wins over the default country"),
        pytest.param("0044 20 7946 0958", "US", "+442079460958", id="00 wins over the default country"),
        pytest.param(" +1 650 555 0123\n", None, "+16505550123", id="blanks around"),
        pytest.param("+1 650 555 0123 ext. 5", None, "+16505550123", id="an extension"),
        pytest.param("+44 (0)20 7946 0958", None, "+442079460958", id="a trunk zero in brackets"),
        pytest.param("0044 (0)20 7946 0958", None, "+442079460958", id="00 and a trunk zero in brackets"),
        pytest.param("+39 (0)6 69812345", None, "+390669812345", id="a zero in brackets that belongs to the number"),
        pytest.param("+34 (0)912 345 678", None, "+34912345678", id="a zero in brackets where none is dialled"),
        pytest.param("+36 (06) 1 234 5678", None, "+3612345678", id="a trunk prefix of two digits"),
        pytest.param("8 (912) 345-67-89", "RU", "+79123456789", id="a trunk eight"),
        pytest.param("(+44) 20 7946 0958", None, "+442079460958", id="the country code in brackets"),
        pytest.param("Tel.: +44 20 7946 0958", None, "+442079460958", id="a word before it"),
        pytest.param("Mobil 0171 2345678", "DE", "+491712345678", id="a word for a phone before it"),
        pytest.param("Tel. Nr.: 0171/2345678", "DE", "+491712345678", id="two words for a phone before it"),
        pytest.param(
            "T\u00e9l\u00e9phone (home): 01 42 68 53 00",
            "FR",
            "+33142685300",
            id="words for a phone with accents and brackets",
        ),
        pytest.param("M 0171 2345678", "DE", "+491712345678", id="a letter for a phone"),
        pytest.param("\u260e\ufe0f 0171 2345678", "DE", "+491712345678", id="a picture of a phone"),
        pytest.param("\u96fb\u8a71: 03-1234-5678", "JP", "+81312345678", id="a Japanese word for a phone"),
        pytest.param("# (650) 253-0000", "US", "+16502530000", id="a number sign"),
        pytest.param("Jane +44 20 7946 0958", None, "+442079460958", id="any word before a plus"),
        pytest.param("0171 2345678 und abends", "DE", "+491712345678", id="a note without a number"),
        pytest.param("0171 2345678 (Mo-Fr 09:00-18:00)", "DE", "+491712345678", id="hours behind it"),
        pytest.param('""0171 2345678""', "DE", "+491712345678", id="quotation marks that a table doubled"),
        pytest.param("0171 2345678; ext. 12", "DE", "+491712345678", id="an extension behind a semicolon"),
        pytest.param("tel:+44-20-7946-0958;ext=12", None, "+442079460958", id="a tel URI with an extension"),
        pytest.param("tel:171-2345678;phone-context=+49", "US", "+491712345678", id="a tel URI that names its country"),
        pytest.param("+44 20 7946 0958x5", None, "+442079460958", id="a short extension"),
        pytest.param("0171 2345678 (Büro)", "DE", "+491712345678", id="a note behind it"),
        pytest.param("+49 171 234567 mob", None, "+49171234567", id="a note that would be digits on a keypad"),
        pytest.param("1-800-FLOWERS", "US", "+18003569377", id="letters for digits"),
        pytest.param("++49 171 2345678", None, "+491712345678", id="two pluses"),
        pytest.param("+0049 171 2345678", None, "+491712345678", id="a plus and 00"),
        pytest.param("0171\t234/56.78", "DE", "+491712345678", id="a tab, a slash, a dot"),
        pytest.param("0171·234·5678", "DE", "+491712345678", id="middle dots"),
        pytest.param("\uff0b\uff14\uff14 \uff12\uff10 7946 0958", None, "+442079460958", id="full-width signs"),
        pytest.param("+٤٤٢٠٧٩٤٦٠٩٥٨", None, "+442079460958", id="Arabic digits"),
        pytest.param("۰۹۱۲۳۴۵۶۷۸۹", "IR", "+989123456789", id="Persian digits"),
        pytest.param("०९८७६५४३२१०", "IN", "+919876543210", id="Devanagari digits"),
        pytest.param("+52 1 55 1234 5678", None, "+525512345678", id="Mexico, the old mobile prefix"),
        pytest.param("5215512345678", "MX", "+525512345678", id="Mexico, the old mobile prefix without a plus"),
        pytest.param("044 55 1234 5678", "MX", "+525512345678", id="Mexico, the old 044"),
        pytest.param("045 33 1234 5678", "MX", "+523312345678", id="Mexico, the old 045"),
        pytest.param("01 33 1234 5678", "MX", "+523312345678", id="Mexico, the old trunk prefix"),
        pytest.param("+54 9 11 2345 6789", None, "+5491123456789", id="Argentina, mobile from abroad"),
        pytest.param("011 15 2345-6789", "AR", "+5491123456789", id="Argentina, mobile at home"),
    ],
)
def test_a_phone_is_read_as_people_write_it(raw: str, country: str | None, normal: str) -> None:
    assert phone_e164(raw, country) == normal
    assert phone_digits(raw, country) == normal.removeprefix("+")


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        pytest.param("+49 1512 3456789 / 12", None, "+4915123456789", id="an extension"),
        pytest.param("+49 1512 3456789/12", "US", "+4915123456789", id="an extension without blanks"),
        pytest.param("01512 3456789 / 12", "DE", "+4915123456789", id="an extension, at home"),
        pytest.param("0044 20 7946 0958 / 5", None, "+442079460958", id="an extension behind 00"),
        pytest.param("650-253-0000/12", "US", "+16502530000", id="an extension that makes it too long"),
        pytest.param("+49 30 1234567 / 12", None, "+49301234567", id="where fixed lines may be as long"),
        pytest.param("+49 1512 3456789 / 12 / 13", None, "+4915123456789", id="two of them"),
        pytest.param("+49 30 / 1234567 / 12", None, "+49301234567", id="behind a slash that parts"),
        pytest.param("(021) 5790 1234 / 56", "ID", "+622157901234", id="the end of a second number"),
        pytest.param("+49 1512 3456789 / +49 1512 3456780", None, None, id="a second number"),
        pytest.param("+49 30 123456 / 3456789", None, None, id="a second number that would fit"),
        pytest.param("+49 (0) 4921 / 123456", None, "+494921123456", id="an area code and a number"),
        pytest.param("030/123/45/67", "DE", "+49301234567", id="slashes between digits"),
        pytest.param("0664 1234 / 567", "AT", "+436641234567", id="a mobile phone in two parts"),
        pytest.param("+43 1 / 505 80 / 123", None, "+43150580123", id="as long as it may be"),
        pytest.param("+261 20 21 234 / 56", None, "+261202123456", id="half of which is read as another one"),
        pytest.param("+49 1512 3456789 /", None, "+4915123456789", id="nothing behind it"),
        pytest.param("+49/30/123/45/67", None, "+49301234567", id="as many slashes as a number has"),
        pytest.param("/".join("+49 1512 3456789") + "/1" * 60, None, None, id="slashes without end"),
    ],
)
def test_what_follows_a_slash_is_part_of_a_number_or_not(raw: str, country: str | None, number: str | None) -> None:
    assert phone_e164(raw, country) == number
    digests = phone_digests(raw, frozenset({country} if country else ()))
    kept, plain = Matchable(digests=digests), Matchable(plain=raw)
    assert kept.phone_sha256("e164", country) == plain.phone_sha256("e164", country)


@pytest.mark.parametrize(
    ("raw", "most"),
    [
        pytest.param("+49(0)30/1234/567/89", 2, id="a number that says its country"),
        pytest.param("0030/1234/567/89", 40, id="behind 00"),
        pytest.param("030/1234/567/89", 45, id="at home"),
        pytest.param("0(0)30/1234/567/89", 60, id="at home, with a zero in brackets"),
        pytest.param("0123456789/1/2/3/4", 45, id="single digits behind slashes"),
        pytest.param("0123456789 / 1 / 2 / 3 / 4", 45, id="and blanks"),
        pytest.param("030/1234/567/89/1/2/3", 1, id="more slashes than any number has"),
        pytest.param("4111 1111 " * 12, 1, id="more digits"),
    ],
)
def test_slashes_cost_a_number_little_work(monkeypatch: pytest.MonkeyPatch, raw: str, most: int) -> None:
    for remembers in (phone._phone_e164, phone._read, phone._phone_at_home, phone._valid_number, phone._is_written_for):
        remembers.cache_clear()
    asked = []
    parse = phonenumbers.parse

    def counted(*given: Any) -> PhoneNumber:
        asked.append(given)
        return parse(*given)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    phone_digests_to_keep(raw, frozenset({"DE", "US", "GB", "FR", "IT", "ES", "PL", "BR", "IN", "JP"}), None)
    assert len(asked) <= most


def test_numbers_of_all_countries_are_read_with_patterns_that_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [
        phonenumbers.format_number(found, PhoneNumberFormat.INTERNATIONAL)
        for region in phonenumbers.SUPPORTED_REGIONS
        if (found := phonenumbers.example_number(region)) is not None
    ]

    def read(extension: str) -> None:
        for number in numbers:
            phone_e164(f"{number} / {extension}")

    read("12")
    made = []
    compiled = re._compiler.compile  # type: ignore[attr-defined]

    def counted(pattern: Any, flags: int = 0) -> re.Pattern[str]:
        made.append(pattern)
        return compiled(pattern, flags)  # type: ignore[no-any-return]

    monkeypatch.setattr("re._compiler.compile", counted)
    read("34")
    assert made == []


@pytest.mark.parametrize(
    "mark",
    ["\u00ad", "\u061c", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202c", "\u2060", "\u2068", "\u2069", "\ufeff"],
    ids=ascii,
)  # fmt: skip
def test_marks_that_nobody_sees_are_no_part_of_a_phone(mark: str) -> None:
    assert phone_e164(f"{mark}+44 20{mark}7946 0958{mark}") == "+442079460958"
    assert phone_e164(f"{mark}020 79{mark}46 0958{mark}", "GB") == "+442079460958"


@pytest.mark.parametrize(
    "blank", ["\u00a0", "\u2007", "\u2009", "\u202f", "\u3000", "\u2011", "\u2013", "\u2212"], ids=ascii
)
def test_blanks_and_dashes_of_all_kinds_stand_between_digits(blank: str) -> None:
    assert phone_e164(f"+44{blank}20{blank}7946{blank}0958") == "+442079460958"


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        pytest.param("491712345678", "DE", "+491712345678", id="the country code without a plus, mobile"),
        pytest.param("49 30 12345678", "DE", "+493012345678", id="the country code without a plus, fixed line"),
        pytest.param("0491712345678", "DE", "+491712345678", id="a zero before the country code"),
        pytest.param("0919876543210", "IN", "+919876543210", id="a zero before the country code, India"),
        pytest.param("0923012345678", "PK", "+923012345678", id="a zero before the country code, Pakistan"),
        pytest.param("02348021234567", "NG", "+2348021234567", id="a zero before the country code, Nigeria"),
        pytest.param("04921 123456", "DE", "+494921123456", id="an area code that begins as the country code"),
        pytest.param("046-812 34 56", "SE", "+46468123456", id="an area code that is the country code"),
        pytest.param("084 199 2000", "VN", "+84841992000", id="a mobile prefix that is the country code"),
        pytest.param("391 234 5678", "IT", "+393912345678", id="a number at home that begins as the country code"),
        pytest.param("55 4004 1234", "BR", None, id="one that people at home write so, or with the country code"),
        pytest.param("659 812 3456", "US", "+16598123456", id="an American area code that begins as Singapore's code"),
        pytest.param("171 2345678", "DE", "+491712345678", id="a mobile phone that lost its zero"),
        pytest.param("447911123456", "DE", None, id="a mobile phone of another country without a plus"),
        pytest.param("33 6 12 34 56 78", "US", None, id="another country's code, too long at home"),
        pytest.param("65 9123 4567", "US", None, id="no number at home, one in Singapore"),
        pytest.param("123456789", "DE", "+49123456789", id="not assigned, and no other reading"),
        pytest.param("555-0123", "US", None, id="without an area code"),
        pytest.param("+1 555-0123", None, None, id="without an area code, with a plus"),
        pytest.param("0000000000", "US", None, id="zeros"),
        pytest.param("+49 171 23456O8", None, None, id="a letter in the middle of a number"),
        pytest.param("0171 2345678 / 0172 3456789", "DE", None, id="two numbers"),
    ],
)
def test_of_several_readings_it_is_the_likelier_or_none(raw: str, country: str | None, number: str | None) -> None:
    assert phone_e164(raw, country) == number


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        pytest.param("0011 44 20 7946 0958", "AU", "+442079460958", id="Australia"),
        pytest.param("0011 61 412 345 678", "AU", "+61412345678", id="Australia, at home"),
        pytest.param("001 65 8123 4567", "SG", "+6581234567", id="Singapore, not Jamaica"),
        pytest.param("001 662 253 0000", "US", "+16622530000", id="Mississippi, not Bangkok"),
        pytest.param("00700 1 650 253 0000", "KR", "+16502530000", id="Korea"),
        pytest.param("0016502530000", "KR", "+16502530000", id="00 in Korea, where 001 is one too"),
        pytest.param("00852 9123 4567", "HK", "+85291234567", id="00 in Hong Kong, where 008 is one too"),
        pytest.param("010 1 650 253 0000", "JP", "+16502530000", id="Japan"),
        pytest.param("8~10 44 20 7946 0958", "RU", "+442079460958", id="Russia"),
        pytest.param("009 234 802 123 4567", "NG", "+2348021234567", id="Nigeria"),
        pytest.param("011 44 20 7946 0958", "US", "+442079460958", id="America"),
        pytest.param("011 44 20 7946 0958", "DE", None, id="an exit code of another country"),
        pytest.param("011 44 20 7946 0958", None, None, id="an exit code of nobody knows which country"),
        pytest.param("0055 11 96123 4567", "BR", "+5511961234567", id="00 in Brazil, where 0055 is one too"),
        pytest.param("0057 384 593 8156", "CO", None, id="00 or 005, in Colombia or Russia"),
        pytest.param("02 48 6412345", "SC", None, id="02, or a zero before the country code"),
    ],
)
def test_an_exit_code_is_that_of_the_country_that_dials(raw: str, country: str | None, number: str | None) -> None:
    assert phone_e164(raw, country) == number


ANYTHING = st.text("+0123456789 ()-./~;x=tel,#\u0664\u200e\uff0b\u00e9\u00b2", max_size=24)


@REPEATABLE
@given(ANYTHING, st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_whatever_is_written_a_phone_is_a_possible_number_or_none(text: str, country: str) -> None:
    number = phone_e164(text, country)
    if number is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{4,16}", number)
        assert phone_e164(number) == number


@REPEATABLE
@given(ANYTHING.map("+".__add__), st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_a_phone_with_a_plus_is_the_same_whatever_the_default_country(text: str, country: str) -> None:
    assert phone_e164(text, country) == phone_e164(text)


TYPES = [kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN]


def exit_code(plan: PhoneMetadata) -> str:
    """One that this country dials."""
    if plan.preferred_international_prefix:
        return plan.preferred_international_prefix.replace("~", "")
    fitting = (text for length in range(1, 6) for text in map("".join, product("01289345", repeat=length)))
    return next(text for text in fitting if re.fullmatch(plan.international_prefix or "", text))


def spellings(number: PhoneNumber, plan: PhoneMetadata) -> dict[str, tuple[str, str | None]]:
    """Text and default country of one number, by how it is written."""
    code, region = str(number.country_code), plan.id
    national = phonenumbers.national_significant_number(number)
    at_home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    if plan.national_prefix:
        trunk = f"+{code} ({plan.national_prefix}) {national}"
    else:
        trunk = phonenumbers.format_number(number, PhoneNumberFormat.RFC3966) + ";ext=12"
    return {
        "E.164": (f"+{code}{national}", None),
        "international": (phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL), None),
        "national": (at_home, region),
        "country code without a plus": (code + national, region),
        "00": (f"00 {code} {national}", region),
        "exit code": (f"{exit_code(plan)} {code} {national}", region),
        "marks": ("\u202a" + at_home.replace(" ", "\u202f").replace("-", "\u2011") + "\u202c\u200b", region),
        "trunk prefix in brackets, or a tel URI": (trunk, None),
    }


def test_no_number_of_any_region_is_read_as_another_one() -> None:
    asked: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    strangers = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        plan = PhoneMetadata.metadata_for_region(region)
        assert plan is not None
        for kind in TYPES:
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            wanted = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            for name, (text, country) in spellings(number, plan).items():
                asked[name] += 1
                found = phone_e164(text, country)
                if found is None:
                    unread[name] += 1
                elif found != wanted:
                    strangers.append((region, kind, name, text, found))
    assert strangers == []
    # Every number of every region, and no spelling left out: a new version of the tables may move these a little.
    assert set(asked.values()) == {max(asked.values())}
    assert max(asked.values()) > 1000
    assert {name: count for name, count in unread.items() if count > asked[name] / 100} == {}


@pytest.mark.parametrize(
    ("raw", "country"),
    [
        pytest.param("650 555 0123", None, id="national, American"),
        pytest.param("(650)555-1212", None, id="national, with brackets"),
        pytest.param("0170 1234567", None, id="national, German"),
        pytest.param("16505550123", None, id="a country code without a plus is no certainty"),
        pytest.param("491701234567", None, id="nor is a German one"),
        pytest.param("650 555 0123", "", id="an empty default country"),
        pytest.param("650 555 0123", "ZZ", id="a default country that does not exist"),
        pytest.param("+1 650", None, id="too short"),
        pytest.param("+1 650 555 0123 4567 89", None, id="too long"),
        pytest.param("+999 123 456 789", None, id="a country code that does not exist"),
        pytest.param("call me", "US", id="words"),
        pytest.param("", "US", id="nothing"),
        pytest.param("+", None, id="a plus alone"),
        pytest.param("0000", None, id="zeros"),
    ],
)
def test_a_phone_whose_country_is_unknown_is_never_guessed(raw: str, country: str | None) -> None:
    assert phone_e164(raw, country) is None
    assert phone_digits(raw, country) is None
    for rule in PHONE_RULES:
        assert Matchable(plain=raw).phone_sha256(rule, country) is None
    assert phone_digests(raw, frozenset({country} if country else ())) == {}


@drawn(150)
@given(st.from_regex(r"[1-9(][0-9 ()/.-]{0,16}", fullmatch=True))
def test_no_number_without_plus_or_00_is_read_without_a_country(raw: str) -> None:
    assert phone_e164(raw) is None


def test_digests_of_a_phone_stand_for_the_country_they_were_read_in() -> None:
    international = {
        "digits": "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec",
        "e164": "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0",
    }
    assert phone_digests("+1 (650) 555-0123", frozenset()) == international
    assert phone_digests("+1 (650) 555-0123", frozenset({"DE", "US"})) == international
    assert phone_digests("(650) 555-0123", frozenset({"US"})) == {
        "digits:US": "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec",
        "e164:US": "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0",
    }
    assert set(phone_digests("(650) 555-0123", frozenset({"US", "DE"}))) == {
        "digits:US",
        "e164:US",
        "digits:DE",
        "e164:DE",
    }


def test_a_phone_that_countries_read_differently_stands_for_each_of_them() -> None:
    in_singapore, in_jamaica = sha256_hex("+6581234567"), sha256_hex("+16581234567")
    assert phone_digests("001 65 8123 4567", frozenset())["e164"] == in_jamaica
    kept = Matchable(digests=phone_digests("001 65 8123 4567", frozenset({"SG", "US"})))
    assert kept.phone_sha256("e164", "SG") == in_singapore
    assert kept.phone_sha256("e164", "US") == in_jamaica
    assert kept.phone_sha256("e164", None) is None


def test_a_phone_kept_for_one_country_is_not_given_for_another() -> None:
    kept = Matchable(digests=phone_digests("(650) 555-0123", frozenset({"US"})))
    assert kept.phone_sha256("digits", "US") == "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec"
    assert kept.phone_sha256("digits", "DE") is None
    assert kept.phone_sha256("digits", None) is None


COUNTRIES = ("DE", "GB", "JP", "US")


@drawn(150)
@given(
    st.from_regex(r"(\+|00|0|)[1-9][0-9 ()/-]{2,14}", fullmatch=True),
    st.sets(st.sampled_from(COUNTRIES)),
)
def test_a_plain_phone_and_its_stored_digests_are_one_to_every_rule(text: str, countries: set[str]) -> None:
    kept = Matchable(digests=phone_digests(text, frozenset(countries)))
    for rule in PHONE_RULES:
        for country in (None, *countries):
            assert kept.phone_sha256(rule, country) == Matchable(plain=text).phone_sha256(rule, country)


PUNCTUATED = st.tuples(
    st.sampled_from(["+", "00", "", "+0", " +"]),
    st.sampled_from(["1", "7", "31", "33", "34", "39", "44", "49", "52", "54", "55", "61", "81", "86", "91", "225", "353", "372", "420", "598", "881", "999"]),
    st.lists(st.sampled_from("0123456789 ().-"), min_size=3, max_size=18).map("".join),
).map("".join)  # fmt: skip


@drawn(1000)
@given(PUNCTUATED)
@example("+390612345678")
@example("+5491123456789")
@example("+5212221234567")
@example("+78005553535")
@example("+2250748123456")
def test_a_phone_number_is_read_as_the_library_reads_it(text: str) -> None:
    quick = phone._international(text)
    if quick is not None:
        assert quick == phone._parsed_e164(text, None)
        assert quick == phone._parsed_e164(text, "US")


@pytest.mark.parametrize("countries", [frozenset(), frozenset({"US", "DE"})], ids=["none", "two"])
@REPEATABLE
@given(text=st.one_of(PUNCTUATED, st.just("(650) 555-0123"), st.just("030 1234567")))
def test_the_digests_of_a_phone_number_are_those_of_each_rule(countries: frozenset[str], text: str) -> None:
    fitting: list[str | None] = [None]
    if not phone_e164(text):
        fitting = [country for country in sorted(countries) if phone_e164(text, country)]
    wanted = {
        name if country is None else f"{name}:{country}": sha256_hex(rule(text, country) or "")
        for country in fitting
        for name, rule in PHONE_RULES.items()
    }
    assert phone_digests(text, countries) == wanted


@pytest.mark.parametrize("country", ["DE", "US", "AT", "SE", "GB", "IT", "FI", None])
@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.042", "203.000.113.042", "12. 05. 1990", "12. 5.1990", "5 12 1990", "12 05 1990", "1990 05 12", "12 / 05 / 1990",
        "1990 - 05 - 12", "(12.05.1990)", "[12.05.1990]", "12.05.1990.", "geb. 12.05.1990", "12 05 1990 14:30", "1899-12-30", "31.12.1899",
        "01.01.0001", "0001-01-01 00:00:00", "9999-12-31",
        "93.184.216.34", "206.123.45.67", "Tel. 93.184.216.34", "93.184.216.34:8080", "2026-01-01", "2026/01/01", "1990-12-31 10:00:00",
        "2026-01-01T12:00:00Z", "31.12.1990", "12/31/1990", "01-01-2026",
    ],
)  # fmt: skip
def test_an_address_of_a_machine_and_a_date_are_nobodys_number(text: str, country: str | None) -> None:
    assert phone_e164(text, country) is None
    assert phone_digests(text, frozenset({country} if country else ())) == {}


@pytest.mark.parametrize(
    ("text", "country"),
    [("1) 0151 12345678", "DE"), ("2. 0151 12345678", "DE"), ("0 0151 12345678", "DE"), ("0 0151 12345678", None), ("1 020 7946 0958", "GB")],
)  # fmt: skip
def test_a_digit_before_a_whole_number_leaves_none_sure(text: str, country: str | None) -> None:
    assert phone_e164(text, country) is None
    assert phone_digests(text, frozenset({country} if country else ())) == {}


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("91.123.45.67", "ES", "+34911234567"),
        ("22.123.45.67", "PL", "+48221234567"),
        ("20.30.40.50", "DK", "+4520304050"),
        ("29.01.20.127", "LU", "+352290120127"),
        ("26.03.45.112", "LU", "+352260345112"),
        ("24.07.81.200", "LU", "+352240781200"),
        ("80.85.73.4", "LU", "+3528085734"),
        ("99.12.34.56", "MC", "+37799123456"),
        ("+49.151.123.45678", None, "+4915112345678"),
        ("01.42.68.53.00", "FR", "+33142685300"),
        ("6 01 23 45 67", "FR", "+33601234567"),
        ("1 650 253 0000", "US", "+16502530000"),
        ("0 044 20 7946 0958", "GB", "+442079460958"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("49 0151 12345678", "DE", "+4915112345678"),
        ("25 12 1990", "HT", "+50925121990"),
        ("12051990", "SE", "+4612051990"),
        ("12 05 19 90", "DK", "+4512051990"),
        ("11 9 2012 3456", "BR", "+5511920123456"),
        ("11 9 1999-1234", "BR", "+5511919991234"),
        ("(11) 9 2012-3456", "BR", "+5511920123456"),
        ("11.9.2012.3456", "BR", "+5511920123456"),
        ("22 12 19 90", "DK", "+4522121990"),
        ("22.12.19.90", "NO", "+4722121990"),
        ("01 205 1990", "AT", "+4312051990"),
        ("08-120 519 90", "SE", "+46812051990"),
    ],
)
def test_a_phone_with_groups_like_those_of_an_address_or_a_date_is_one(
    text: str, country: str | None, number: str
) -> None:
    assert phone_e164(text, country) == number


@pytest.mark.parametrize("country", ["US", "DE", "FR", None])
@pytest.mark.parametrize(
    "text",
    [
        "650-253-XXXX", "0171 234XXXX", "+33 6 12 34 XX XX", "+91 98765 XXXXX", "+49171XXXXXXX", "+49 171 2345 xxx", "+49171234****",
        "0171 234 ****", "415 555 home", "+49 171 unknown", "+44 20 redacted", "212 555 null", "089 1234 Oma", "+49 171 23•• ••78",
        "0171 23?? ????", "650 253 ##00", "******5678", "**** *** 45678", "xxxx xx345678", "XXXXX45678", "####345678", "?????345678",
        "\u2026345678", "...345678", "\u25a0\u25a0\u25a0\u25a0345678", "_____345678", "-----345678", "\uff0a\uff0a\uff0a\uff0a5678", "*7 345678", "Tel. ****345678",
        "0171 ???? 5678", "0171\u2026345678", "N/A 0171", "none 12345", "Raum 1234, kein Telefon", "siehe Kunde 4711", "Kd-Nr 100234",
        "K100234", "nope 0171 2345678",
    ],
)  # fmt: skip
def test_digits_that_somebody_hid_and_words_are_nobodys_number(text: str, country: str | None) -> None:
    assert phone_e164(text, country) is None


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("491712345678.0", "DE", "+491712345678"),
        ("01712345678.0", "DE", "+491712345678"),
        ("+491712345678.00", None, "+491712345678"),
        ("436641234567.0", "AT", "+436641234567"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+1 (800) GO-FEDEX", None, "+18004633339"),
    ],
)
def test_what_tables_and_advertisements_write_is_read(text: str, country: str | None, number: str) -> None:
    assert phone_e164(text, country) == number


@pytest.mark.parametrize(
    ("text", "own", "default", "number"),
    [
        ("0612345678", "FR", "DE", "+33612345678"),
        ("0664 1234567", "AT", "DE", "+436641234567"),
        ("079 123 45 67", "CH", "DE", "+41791234567"),
        ("9876543210", "IN", "US", "+919876543210"),
        ("0171 2345678", "US", "DE", "+491712345678"),
        ("+16505550123", "FR", "DE", "+16505550123"),
    ],
)
def test_a_persons_own_country_is_asked_first(text: str, own: str, default: str, number: str) -> None:
    digests = phone_digests(text, frozenset({default}), own)
    assert sha256_hex(number) in {digest for rule, digest in digests.items() if rule in ("e164", f"e164:{default}")}


@pytest.mark.parametrize(
    ("text", "own", "default", "number"),
    [
        pytest.param("555-0132", "US", "DE", None, id="a number without its area code"),
        pytest.param("555 01 32", "CH", "DE", None, id="as fixed lines let anything pass"),
        pytest.param("091234567", "GR", "DE", None, id="half a number that begins with a 0"),
        pytest.param("999999999", "US", "ES", None, id="a country without a trunk prefix"),
        pytest.param("98765 43210", "US", "IN", None, id="a mobile phone without its trunk prefix"),
        pytest.param("0171 2345678", "US", "DE", "+491712345678", id="with the trunk prefix"),
        pytest.param("030 12345678", "US", "DE", "+493012345678", id="a fixed line with the trunk prefix"),
        pytest.param("491712345678", "US", "DE", "+491712345678", id="with the country code"),
        pytest.param("0491712345678", "US", "DE", "+491712345678", id="with a zero and the country code"),
        pytest.param("1 415 555 2671", "DE", "US", "+14155552671", id="a trunk prefix that is the country code"),
        pytest.param(
            "01512345677", "DE", "GB", None, id="too short at home, with a trunk prefix that is the own country's"
        ),
        pytest.param("020 7946 0958", "ES", "GB", "+442079460958", id="a trunk prefix in a country without one"),
        pytest.param("020 7946 0958", "CH", "GB", None, id="a trunk prefix of both"),
        pytest.param("0620 123 254", "HU", "DE", None, id="a trunk prefix that begins the own country's"),
        pytest.param(
            "0171 23456789", "IT", "DE", None, id="a trunk prefix with which numbers of the own country begin"
        ),
        pytest.param("011 49 171 2345678", "GB", "US", "+491712345678", id="behind an exit code"),
        pytest.param("0041 79 123 45 67", "US", "DE", "+41791234567", id="behind 00"),
        pytest.param("1234567", "IE", None, "+3531234567", id="no default country"),
        pytest.param("1234567", "IE", "IE", "+3531234567", id="the same country"),
        pytest.param("0664 1234567", UNREADABLE, "DE", None, id="a country that nobody can read"),
        pytest.param("601 234 567", UNREADABLE, "DE", None, id="a country that nobody can read, no trunk prefix"),
        pytest.param("030 12345678", UNREADABLE, "DE", None, id="a country that nobody can read, a fixed line"),
        pytest.param("(650) 253-0000", UNREADABLE, "US", None, id="a country that nobody can read, any default"),
        pytest.param("49 171 2345678", UNREADABLE, "DE", "+491712345678", id="no country, and the default one's code"),
        pytest.param("0041 79 123 45 67", UNREADABLE, "DE", "+41791234567", id="no country, and 00"),
        pytest.param("0041 79 123 45 67", UNREADABLE, None, "+41791234567", id="no country, no default, and 00"),
        pytest.param("+41 79 123 45 67", UNREADABLE, "DE", "+41791234567", id="no country, and a plus"),
        pytest.param("0664 1234567", UNREADABLE, None, None, id="no country, no default"),
        pytest.param("0171 2345678", "AQ", "DE", None, id="a country without numbers of its own"),
    ],
)
def test_a_number_that_is_none_in_the_persons_country_is_not_guessed_in_another(
    text: str, own: str, default: str | None, number: str | None
) -> None:
    countries = frozenset({default} if default else ())
    for rule, wanted in (("e164", number), ("digits", number and number[1:])):
        digest = sha256_hex(wanted) if wanted else None
        assert Matchable(text, country=own).phone_sha256(rule, default) == digest
        for made in (phone_digests, phone_digests_to_keep):
            assert Matchable(None, made(text, countries, own), own).phone_sha256(rule, default) == digest


def test_what_is_not_sent_of_a_phone_is_kept_to_find_it_by() -> None:
    read = phone_digests("555-0132", frozenset({"DE"}))
    assert phone_digests("555-0132", frozenset({"DE"}), "US") == {}
    assert phone_digests_to_keep("555-0132", frozenset({"DE"}), "US") == {
        f"unsent_{rule}": digest for rule, digest in read.items()
    }
    for text, own in (("+495550132", "US"), ("555-0132", None), ("0171 2345678", "US"), ("079 123 45 67", "CH")):
        digests = phone_digests(text, frozenset({"DE"}), own)
        assert phone_digests_to_keep(text, frozenset({"DE"}), own) == digests


@pytest.mark.parametrize("first", ["+49 171 2345678", "0171 2345678", "030 12345678"])
@pytest.mark.parametrize(
    "between",
    ["; ", ";", " oder ", " or ", " ou ", " y ", " und ", " and ", " eller ", ", privat: ", " (or) ", " / ", " /or "],
)
@pytest.mark.parametrize("second", ["+49 30 1234567", "030 1234567", "0171-2345679", "01712345679", "2345 679"])
def test_of_two_numbers_in_one_text_none_is_guessed(first: str, between: str, second: str) -> None:
    assert phone_e164(f"{first}{between}{second}", "DE") is None


@pytest.mark.parametrize("hours", ["(9-17)", "9-17 Uhr", "8:30\N{EN DASH}12:00 h", "(9 - 5)"])
@pytest.mark.parametrize("text", ["+49 170 5551234", "0170/5551234", "+49 30 123456"])
def test_hours_behind_a_number_are_no_part_of_it(text: str, hours: str) -> None:
    assert phone_e164(f"{text} {hours}", "DE") == phone_e164(text, "DE")


def test_digits_that_may_be_hours_end_a_number_that_is_none_with_them() -> None:
    assert phone_e164("+1 650 555 0123 9-17") == "+16505550123"
    assert phone_e164("+49 170 5551234 9-17") == "+491705551234"
    assert phone_e164("+33 1 23 45 12-17") == "+33123451217"


def test_where_digits_may_be_hours_or_the_end_of_a_number_none_is_sure() -> None:
    assert phone_e164("+49 30 123456 8-16") is None
    assert phone_e164("(650) 555-0123 9-5", "DE") is None


def test_a_range_is_assigned_where_the_library_says_so() -> None:
    drawing = Random(1)
    found = Counter[bool]()
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            plan = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            assert plan is not None
            kinds = [getattr(plan, name) for name in ("general_desc", *phone._ASSIGNED)]
            for example_number in {kind.example_number for kind in kinds if kind is not None} - {None}:
                for _ in range(8):
                    kept = drawing.randint(0, len(example_number))
                    others = len(example_number) - kept + drawing.choice((0, 0, -1, 1))
                    number = f"+{code}{example_number[:kept]}" + "".join(
                        drawing.choices("0123456789", k=max(0, others))
                    )
                    try:
                        expected = phonenumbers.is_valid_number(phonenumbers.parse(number))
                    except phonenumbers.NumberParseException:
                        continue
                    assert phone.is_assigned(number) is expected, number
                    found[expected] += 1
    assert min(found[True], found[False]) > 1000


def test_of_a_new_customers_number_the_library_is_not_asked() -> None:
    called = []

    def note(frame: FrameType, what: str, _: Any) -> None:
        if what == "call" and "phonenumbers" in frame.f_code.co_filename:
            called.append(frame.f_code.co_name)

    phone.is_assigned("+4915112345678"), phone.is_assigned("+14155550123")  # what is known of their countries
    sys.setprofile(note)
    try:
        found = [
            is_somebodys_number(f"{code}{number}") for code in ("+491511", "+1415") for number in ("2345678", "0345678")
        ]
    finally:
        sys.setprofile(None)
    assert (found, called) == ([True, True, True, False], [])
