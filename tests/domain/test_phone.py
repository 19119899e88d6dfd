"""Phone numbers as people write them, against the fact sheets' own digests and their stored digests.

A row that is named after a platform is a row of section 4 of that platform's sheet, copied as it stands.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracklayer.domain import phone
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.phone import PHONE_RULES, phone_digests, phone_digits, phone_e164
from tracklayer.domain.sha256 import sha256_hex

REPEATABLE = settings(max_examples=1500, deadline=None, derandomize=True)


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
        pytest.param("1-650-555-0123", "US", "+16505550123", id="the country code without a plus"),
        pytest.param("+44 20 7946 0958", "US", "+442079460958", id="a plus wins over the default country"),
        pytest.param("0044 20 7946 0958", "US", "+442079460958", id="00 wins over the default country"),
        pytest.param(" +1 650 555 0123\n", None, "+16505550123", id="blanks around"),
        pytest.param("+1 650 555 0123 ext. 5", None, "+16505550123", id="an extension"),
        pytest.param("+44 (0)20 7946 0958", None, "+442079460958", id="a trunk zero in brackets"),
    ],
)
def test_a_phone_is_read_as_people_write_it(raw: str, country: str | None, normal: str) -> None:
    assert phone_e164(raw, country) == normal
    assert phone_digits(raw, country) == normal.removeprefix("+")


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


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
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


def test_a_phone_kept_for_one_country_is_not_given_for_another() -> None:
    kept = Matchable(digests=phone_digests("(650) 555-0123", frozenset({"US"})))
    assert kept.phone_sha256("digits", "US") == "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec"
    assert kept.phone_sha256("digits", "DE") is None
    assert kept.phone_sha256("digits", None) is None


COUNTRIES = ("DE", "GB", "JP", "US")


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
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


@settings(max_examples=6000, deadline=None, derandomize=True)
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
