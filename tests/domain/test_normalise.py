"""Every rule against the fact sheets' own digests, and a stored digest against the plain value it was made from.

A row that is named after a platform is a row of section 4 of that platform's sheet, copied as it stands.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklayer.domain import normalise
from tracklayer.domain.normalise import EMAIL_RULES, PHONE_RULES, Matchable, email_digests, hashed, phone_digests

SHA = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
OTHER_SHA = "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a"


# E-mail ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "raw", "normal", "digest"),
    [
        pytest.param("basic", "John_Smith@gmail.com", "john_smith@gmail.com",
                     "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f", id="meta: underscore"),
        pytest.param("basic", "Jane.Doe+News@Gmail.com", "jane.doe+news@gmail.com",
                     "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a", id="meta: dots and tag stay"),
        pytest.param("basic", "ANNA@example.org", "anna@example.org",
                     "a3bf86238a1c59bd2f0a648af9293620f90d18dad133d8fe2341cf9664a5d6d0", id="meta: capitals"),
        pytest.param("basic", "user.name+NYC@Example.com", "user.name+nyc@example.com",
                     "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac", id="meta: tag in capitals"),
        pytest.param("basic", "Jane.Doe+News@Gmail.com", "jane.doe+news@gmail.com",
                     "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a", id="tiktok: dots and tag stay"),
        pytest.param("basic", "John_Smith@gmail.com", "john_smith@gmail.com",
                     "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f", id="tiktok: underscore"),
        pytest.param("basic", "ANNA@example.org", "anna@example.org",
                     "a3bf86238a1c59bd2f0a648af9293620f90d18dad133d8fe2341cf9664a5d6d0", id="tiktok: capitals"),
        pytest.param("basic", "user.name+NYC@Example.com", "user.name+nyc@example.com",
                     "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac", id="tiktok: tag in capitals"),
        pytest.param("basic", "  Jane.Doe+News@Example.COM ", "jane.doe+news@example.com",
                     "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db", id="linkedin, pinterest, snapchat and x: blanks around"),
        pytest.param("basic", "jane @example.com", "jane@example.com",
                     "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d", id="linkedin: a blank inside"),
        pytest.param("basic", "sam@example.com", "sam@example.com",
                     "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16", id="linkedin: as it is"),
        pytest.param("basic", "Person@Example.com", "person@example.com",
                     "542d240129883c019e106e3b1b2d3f3cb3537c43c425364de8e951d5a3083345", id="snapchat: official sample"),
        pytest.param("basic", "test-email@test.com", "test-email@test.com",
                     "e586883b2b4faf78d48300a79e0e15138d664cdf796ffb86e533170a9893eda8", id="x: official sample"),
        pytest.param("basic", "Sam@Example.com", "sam@example.com",
                     "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16", id="x: capitals"),
        pytest.param("google", "Jane.Doe@Gmail.com", "janedoe@gmail.com",
                     "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69", id="ga4: dots of gmail"),
        pytest.param("google", "Jane.Doe+News@Gmail.com", "janedoe@gmail.com",
                     "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69", id="google ads: dots and tag of gmail"),
        pytest.param("google", "cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com",
                     "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4", id="google ads: official sample"),
        pytest.param("google", "user.name+NYC@Example.com", "user.name+nyc@example.com",
                     "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac", id="google ads: other domains keep dots and tag"),
        pytest.param("without_alias", "  Jane.Doe+News@Example.COM ", "janedoe@example.com",
                     "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6", id="microsoft: dots and tag of any domain"),
        pytest.param("without_alias", "Jane.Doe+Shopping@contoso.com", "janedoe@contoso.com",
                     "62a8040a00736e70808e43009b5c63c4f6229ced98f486d0968441b292b9858a", id="microsoft: shopping tag"),
        pytest.param("without_alias", "J.Doe@contoso.com", "jdoe@contoso.com",
                     "40180b296adc5c10a30f291244669b7ef458a2d037984502ce27b4f8c8dc546e", id="microsoft: dots alone"),
        pytest.param("alphanumeric", "Al.ice$+Apple@Example.Com", "alice@example.com",
                     "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976", id="reddit: official sample"),
        pytest.param("alphanumeric", "  Jane.Doe+News@Example.COM ", "janedoe@example.com",
                     "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6", id="reddit: dots and tag"),
        pytest.param("alphanumeric", "mary-ann_b@example.com", "maryannb@example.com",
                     "d49ceb6e6d806d5ac12dddfe99980fe2a1d5a0d83b989a8c5474887730da226f", id="reddit: hyphen and underscore"),
    ],
)  # fmt: skip
def test_an_email_gets_the_digest_of_its_platforms_sheet(rule: str, raw: str, normal: str, digest: str) -> None:
    assert EMAIL_RULES[rule](raw) == normal
    assert hashed(raw, EMAIL_RULES[rule]) == digest
    assert Matchable(plain=raw).email_sha256(rule) == digest
    assert Matchable(digests=email_digests(raw)).email_sha256(rule) == digest


@pytest.mark.parametrize("rule", EMAIL_RULES)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("   ", id="blanks"),
        pytest.param("jane", id="no at"),
        pytest.param("@example.com", id="nobody"),
        pytest.param("jane@", id="nowhere"),
        pytest.param("jane@localhost", id="no dot in the domain"),
        pytest.param("jane@.com", id="a domain that begins with a dot"),
        pytest.param("jane@example.com.", id="a domain that ends with a dot"),
        pytest.param("jane@example..com", id="two dots in a row"),
        pytest.param("jane@home@example.com", id="two ats"),
        pytest.param("x" * 243 + "@example.com", id="255 characters"),
    ],
)
def test_what_is_no_address_has_no_digest(rule: str, text: str) -> None:
    assert EMAIL_RULES[rule](text) is None
    assert hashed(text, EMAIL_RULES[rule]) is None
    assert Matchable(plain=text).email_sha256(rule) is None
    assert email_digests(text) == {}


def test_an_address_may_have_254_characters() -> None:
    longest = "x" * 242 + "@example.com"
    assert normalise.email(longest) == longest


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        pytest.param("jane\u00a0@example.com", "jane@example.com", id="a space that does not break"),
        pytest.param("jane@example.com\r\n", "jane@example.com", id="a line's end"),
        pytest.param("\tJANE@EXAMPLE.COM", "jane@example.com", id="a tab"),
        pytest.param("jörg@exämple.de", "jörg@exämple.de", id="letters beyond ASCII"),
    ],
)
def test_no_white_space_is_left_in_an_address(text: str, normal: str) -> None:
    assert normalise.email(text) == normal


@pytest.mark.parametrize(
    ("text", "google", "without_alias", "alphanumeric"),
    [
        pytest.param("J.D+x@googlemail.com", "jd@googlemail.com", "jd@googlemail.com", "jd@googlemail.com", id="googlemail"),
        pytest.param("j.d+x@gmail.de", "j.d+x@gmail.de", "jd@gmail.de", "jd@gmail.de", id="not every gmail is Google's"),
        pytest.param("j.d@mygmail.com", "j.d@mygmail.com", "jd@mygmail.com", "jd@mygmail.com", id="a longer domain"),
        pytest.param("a+b+c@x.org", "a+b+c@x.org", "a@x.org", "a@x.org", id="two tags"),
        pytest.param("a.-_b@x.org", "a.-_b@x.org", "a-_b@x.org", "ab@x.org", id="dots, hyphens, underscores"),
        pytest.param("a.b@sub.x.org", "a.b@sub.x.org", "ab@sub.x.org", "ab@sub.x.org", id="the domain keeps its dots"),
        pytest.param("+x@gmail.com", None, None, None, id="gmail, a tag alone"),
        pytest.param("+x@example.com", "+x@example.com", None, None, id="a tag alone"),
        pytest.param("__@example.com", "__@example.com", "__@example.com", None, id="underscores alone"),
    ],
)  # fmt: skip
def test_each_platform_family_reads_an_address_in_its_own_way(
    text: str, google: str | None, without_alias: str | None, alphanumeric: str | None
) -> None:
    assert normalise.email_google(text) == google
    assert normalise.email_without_alias(text) == without_alias
    assert normalise.email_alphanumeric(text) == alphanumeric


# Phone -------------------------------------------------------------------------------------------------------------


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
    assert normalise.phone_e164(raw, country) == normal
    assert normalise.phone_digits(raw, country) == normal.removeprefix("+")


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
    assert normalise.phone_e164(raw, country) is None
    assert normalise.phone_digits(raw, country) is None
    for rule in PHONE_RULES:
        assert Matchable(plain=raw).phone_sha256(rule, country) is None
    assert phone_digests(raw, frozenset({country} if country else ())) == {}


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.from_regex(r"[1-9(][0-9 ()/.-]{0,16}", fullmatch=True))
def test_no_number_without_plus_or_00_is_read_without_a_country(raw: str) -> None:
    assert normalise.phone_e164(raw) is None


# People and places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "raw", "normal", "digest"),
    [
        pytest.param(normalise.name, "Mary", "mary",
                     "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec", id="meta: first name"),
        pytest.param(normalise.name, "정", "정",
                     "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14", id="meta: a Korean first name"),
        pytest.param(normalise.name, "Valéry", "valéry",
                     "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c", id="meta: a last name with an accent"),
        pytest.param(normalise.name, "Anne-Marie", "annemarie",
                     "67495eb5715de43c26f7c18b25cc7f62a7540236516bd59d5162a6f743598083", id="meta: a first name with a hyphen"),
        pytest.param(normalise.name, "O'Neil", "oneil",
                     "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c", id="meta, ga4, google ads, snapchat and tiktok: a last name with an apostrophe"),
        pytest.param(normalise.name, " Jane", "jane",
                     "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2", id="ga4, google ads and tiktok: first name"),
        pytest.param(normalise.name, "Doe", "doe",
                     "799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f", id="google ads: last name"),
        pytest.param(normalise.name, "John", "john",
                     "96d9632f363564cc3032521409cf22a852f2032eec099ed5967c0d000cec607a", id="snapchat: official sample"),
        pytest.param(normalise.name, "Raphaël", "raphaël",
                     "e74bb89e718fe1e19c422a48382870399f8bf7ca8dfa008739e75b0be76627b7", id="snapchat: official sample with an accent"),
        pytest.param(normalise.lower_trimmed, " Jane", "jane",
                     "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2", id="pinterest: first name"),
        pytest.param(normalise.lower_trimmed, "O'Neil", "o'neil",
                     "eb1aed4f494ca276a88d3161252e48e0fe703f32666fe44fe4652f660b82cda4", id="pinterest: last name, punctuation kept"),
        pytest.param(normalise.city, "San Francisco", "sanfrancisco",
                     "1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac", id="meta, pinterest and snapchat: city"),
        pytest.param(normalise.city, "Saint-Étienne", "saintétienne",
                     "bb35a91d6f2bd7ba807fdd240cc838bdd3b20fe1a6fdedba60d941fbe8d5c10f", id="meta: a city with hyphen and accent"),
        pytest.param(normalise.state, "CA", "ca",
                     "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126", id="meta, pinterest and snapchat: state"),
        pytest.param(normalise.zip_code, "94107-1234", "94107",
                     "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead", id="meta: zip of nine digits"),
        pytest.param(normalise.zip_code, "94107", "94107",
                     "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead", id="pinterest, snapchat and tiktok: zip"),
        pytest.param(normalise.zip_code, "SW1A 1AA", "sw1a1aa",
                     "830e1d4b9838bab1f5c2acdb23e0b502ff13a9832c4632e8d67a1d43d3b7f614", id="snapchat and tiktok: a British postcode"),
        pytest.param(normalise.country, "US", "us",
                     "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621", id="meta, pinterest and snapchat: country"),
        pytest.param(normalise.country, "FR", "fr",
                     "67ad8f41a7bb0a18c45f3efd8f6a32bdcd832bcf8f3f2eb44006c03d53076e18", id="meta: France"),
        pytest.param(normalise.lower_trimmed, "Cust-7781", "cust-7781",
                     "005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4", id="meta and tiktok: external id"),
        pytest.param(normalise.lower_trimmed, "cust-8841", "cust-8841",
                     "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf", id="snapchat: external id"),
        pytest.param(normalise.trimmed, "cust-8841", "cust-8841",
                     "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf", id="pinterest: external id"),
        pytest.param(normalise.trimmed, " cust-8841", "cust-8841",
                     "570eb8528a396e3b7fed5d40ecfb706292bffcb1dc1aa3cef5cf769afa105fbf", id="reddit: external id"),
        pytest.param(normalise.trimmed, "203.0.113.24", "203.0.113.24",
                     "eacd5267d80f13eed692aff9d1608e048f9892a8d7ba0a74d4407a72ebecebad", id="reddit: IP address"),
        pytest.param(normalise.date_of_birth_digits, "2/16/1997", "19970216",
                     "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c", id="meta: date of birth with slashes"),
        pytest.param(normalise.date_of_birth_digits, "1990-02-16", "19900216",
                     "119708f926e82760ac09bbc34a1c9208e18fcda59ca7e4757e2c7de335e2da30", id="meta: date of birth"),
        pytest.param(normalise.gender, "F", "f",
                     "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111", id="meta: gender"),
    ],
)  # fmt: skip
def test_a_person_gets_the_digests_of_the_platforms_sheets(
    rule: Callable[[str], str | None], raw: str, normal: str, digest: str
) -> None:
    assert rule(raw) == normal
    assert hashed(raw, rule) == digest


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        pytest.param("Anne Marie", "annemarie", id="a space inside"),
        pytest.param("O’Neil", "oneil", id="a typographer's apostrophe"),
        pytest.param("Müller2", "müller", id="a digit"),
        pytest.param("JOSÉ", "josé", id="an accent in capitals"),
        pytest.param("Jose\u0301", "jos\u00e9", id="an accent of its own"),
        pytest.param("李 小龍", "李小龍", id="Chinese"),
        pytest.param("Ольга", "ольга", id="Cyrillic"),
        pytest.param("  -. ", None, id="nothing but punctuation"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_name_and_a_city_keep_letters_of_every_script_alone(raw: str, normal: str | None) -> None:
    assert normalise.name(raw) == normal
    assert normalise.city(raw) == normal


@pytest.mark.parametrize(
    ("raw", "country", "normal"),
    [
        pytest.param("California", "US", "ca", id="full name in the US"),
        pytest.param("new york", "us", "ny", id="two words, country in lower case"),
        pytest.param("District of Columbia", " US ", "dc", id="the district"),
        pytest.param("N.Y.", "US", "ny", id="a code with dots"),
        pytest.param("CA", "US", "ca", id="a code"),
        pytest.param("California", None, "ca", id="full name without a country"),
        pytest.param("California", "MX", "california", id="full name in another country"),
        pytest.param("Baden-Württemberg", "DE", "badenwürttemberg", id="a German state"),
        pytest.param("13", "JP", "13", id="a state that is a number"),
        pytest.param(" . ", "US", None, id="nothing left"),
    ],
)
def test_a_state_of_the_us_becomes_its_code(raw: str, country: str | None, normal: str | None) -> None:
    assert normalise.state(raw, country) == normal


@pytest.mark.parametrize(
    ("raw", "country", "normal"),
    [
        pytest.param("94107-1234", None, "94107", id="nine digits with a dash"),
        pytest.param("941071234", "US", "94107", id="nine digits in the US"),
        pytest.param("941071234", None, "941071234", id="nine digits of nowhere"),
        pytest.param("01234", "us", "01234", id="a leading zero"),
        pytest.param("01234", "DE", "01234", id="a German leading zero"),
        pytest.param("m1 1ae", "GB", "m11ae", id="a British postcode"),
        pytest.param("K1A-0B1", "CA", "k1a0b1", id="a Canadian code with a dash"),
        pytest.param("1234-567", "PT", "1234567", id="a Portuguese code"),
        pytest.param(" - ", "US", None, id="nothing left"),
    ],
)
def test_a_zip_code_has_no_spaces_and_in_the_us_five_digits(raw: str, country: str | None, normal: str | None) -> None:
    assert normalise.zip_code(raw, country) == normal


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        pytest.param(" gb ", "gb", id="blanks around"),
        pytest.param("UK", "gb", id="what people write"),
        pytest.param("USA", "us", id="three letters"),
        pytest.param(" germany", "de", id="a name"),
        pytest.param("Atlantis", None, id="the name of none"),
        pytest.param("ZZ", None, id="assigned to nobody"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_country_is_an_assigned_iso_code(raw: str, normal: str | None) -> None:
    assert normalise.country(raw) == normal


@pytest.mark.parametrize(
    ("raw", "normal"),
    [("F", "f"), (" m ", "m"), ("Male", "m"), ("Mrs.", "f"), ("x", None), ("diverse", None), ("", None)],
)
def test_gender_is_read_where_it_can_mean_only_one(raw: str, normal: str | None) -> None:
    assert normalise.gender(raw) == normal


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        pytest.param("1990-02-16", "19900216", id="ISO"),
        pytest.param("19900216", "19900216", id="digits"),
        pytest.param(" 1990-02-16 ", "19900216", id="blanks around"),
        pytest.param("2/16/1997", "19970216", id="American"),
        pytest.param("16/2/1997", "19970216", id="European"),
        pytest.param("02/02/1997", "19970202", id="reads one way"),
        pytest.param("02/03/1997", None, id="reads two ways"),
        pytest.param("1990-02-30", None, id="a day that never was"),
        pytest.param("13/13/1990", None, id="no month"),
        pytest.param("90-02-16", None, id="two-digit year"),
        pytest.param("0000-01-01", None, id="year zero"),
        pytest.param("16.02.1997", None, id="dots"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_date_of_birth_is_taken_only_where_it_reads_one_way(raw: str, normal: str | None) -> None:
    assert normalise.date_of_birth_digits(raw) == normal


def test_trimming_keeps_or_lowers_the_case() -> None:
    assert normalise.trimmed("  Cust-7781\n") == "Cust-7781"
    assert normalise.lower_trimmed("  Cust-7781\n") == "cust-7781"
    assert normalise.trimmed(" \t") is None
    assert normalise.lower_trimmed(" \t") is None


def test_currencies_are_iso_4217_in_capitals() -> None:
    assert {"USD", "EUR", "JPY", "KWD"} <= normalise.currencies()
    assert not {"usd", "US", "BTC", "EURO"} & normalise.currencies()


# Digests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        pytest.param(SHA, True, id="lower case"),
        pytest.param(SHA.upper(), True, id="upper case"),
        pytest.param(f" {SHA}\n", True, id="blanks around"),
        pytest.param(SHA[1:], False, id="63 digits"),
        pytest.param(SHA + "0", False, id="65 digits"),
        pytest.param(SHA[:-1] + "g", False, id="no hexadecimal digit"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_digest_is_64_hexadecimal_digits(text: str, is_one: bool) -> None:
    assert normalise.is_sha256(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        pytest.param("5D41402ABC4B2A76B9719D911017C592", True, id="MD5"),
        pytest.param("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", True, id="SHA-1"),
        pytest.param(SHA, False, id="SHA-256"),
        pytest.param("550e8400-e29b-41d4-a716-446655440000", False, id="a UUID"),
    ],
)
def test_md5_and_sha1_are_known_for_what_they_are(text: str, is_one: bool) -> None:
    assert normalise.is_foreign_digest(text) is is_one


@pytest.mark.parametrize(
    "rule",
    [*EMAIL_RULES.values(), normalise.phone_e164, normalise.name, normalise.city, normalise.state, normalise.zip_code,
     normalise.country, normalise.gender, normalise.date_of_birth_digits, normalise.lower_trimmed, normalise.trimmed],
)  # fmt: skip
def test_what_is_hashed_is_lowered_and_never_hashed_again(rule: normalise.Rule) -> None:
    assert hashed(f" {SHA.upper()} ", rule) == SHA
    assert hashed(None, rule) is None


@pytest.mark.parametrize("rule", EMAIL_RULES)
def test_a_digest_of_the_sender_serves_every_email_rule(rule: str) -> None:
    assert Matchable.read(f" {SHA.upper()} ").email_sha256(rule) == SHA


@pytest.mark.parametrize("country", [None, "US"])
@pytest.mark.parametrize("rule", PHONE_RULES)
def test_a_digest_of_the_sender_serves_every_phone_rule(rule: str, country: str | None) -> None:
    assert Matchable.read(SHA.upper()).phone_sha256(rule, country) == SHA


def test_a_plain_value_is_read_as_it_came_and_not_shown() -> None:
    value = Matchable.read(" Jane@Example.com ")
    assert value == Matchable(plain=" Jane@Example.com ")
    assert "ane" not in repr(value)
    assert "ane" not in str(value)


def test_digests_of_an_email_are_those_that_differ_from_the_basic_one() -> None:
    assert email_digests("jane@example.com") == {
        "basic": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"
    }
    assert email_digests("Jane.Doe+News@Example.COM") == {
        "basic": "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
        "without_alias": "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
        "alphanumeric": "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",
    }
    assert email_digests("Jane.Doe+News@Gmail.com") == {
        "basic": "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a",
        "google": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
        "without_alias": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
        "alphanumeric": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
    }


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


@pytest.mark.parametrize("rule", EMAIL_RULES)
@pytest.mark.parametrize("text", ["+x@example.com", "+x@gmail.com", "...@gmail.com", "__@example.com"])
def test_an_address_that_a_rule_drops_is_dropped_from_its_stored_digests_too(rule: str, text: str) -> None:
    assert Matchable(digests=email_digests(text)).email_sha256(rule) == Matchable(plain=text).email_sha256(rule)


LOCALS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.+_$-]{0,12}", fullmatch=True)
DOMAINS = st.sampled_from(
    ["gmail.com", "Gmail.COM", "googlemail.com", "example.com", "mail.example.co.uk", "localhost"]
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(LOCALS, DOMAINS, st.sampled_from(["", " ", "\n"]))
def test_a_plain_email_and_its_stored_digests_are_one_to_every_rule(local: str, domain: str, blank: str) -> None:
    text = f"{blank}{local}@{domain}{blank}"
    for rule in EMAIL_RULES:
        assert Matchable(digests=email_digests(text)).email_sha256(rule) == Matchable(plain=text).email_sha256(rule)


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


_LOCAL_PARTS = st.text(st.sampled_from("aZ9é._+-'$\u0660\u00b2"), min_size=1, max_size=8)


@given(local=_LOCAL_PARTS, domain=st.sampled_from(["example.com", "gmail.com", "GoogleMail.com", "x.co.uk"]))
def test_the_digests_of_an_address_are_those_of_each_rule(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    digests = email_digests(text)
    for rule, normal in EMAIL_RULES.items():
        assert (digests.get(rule, digests.get("basic")) or None) == hashed(text, normal)
