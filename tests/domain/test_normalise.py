"""Every rule against the fact sheets' own digests, and a stored digest against the plain value it was made from.

A row that is named after a platform is a row of section 4 of that platform's sheet, copied as it stands.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tracklayer.domain import normalise
from tracklayer.domain.normalise import EMAIL_RULES, PHONE_RULES, Matchable, hashed

SHA = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
OTHER_SHA = "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a"


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
        pytest.param("US-CA", "US", "ca", id="a code of ISO 3166-2"),
        pytest.param(" us-ny ", None, "ny", id="a code of ISO 3166-2 without a country"),
        pytest.param("DE-BY", "DE", "by", id="a code of ISO 3166-2 in Germany"),
        pytest.param("US-XX", "US", "usxx", id="no code of ISO 3166-2"),
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
        pytest.param("94107 1234", "US", "94107", id="nine digits with a space in the US"),
        pytest.param("94107 1234", None, "941071234", id="nine digits with a space of nowhere"),
        pytest.param("94107 - 1234", "United States", "94107", id="a dash and spaces in the US"),
        pytest.param("94107\u20131234", "us", "94107", id="a long dash in the US"),
        pytest.param("94107_1234", "USA", "94107", id="an underscore in the US"),
        pytest.param("94107\u00a01234", "US", "94107", id="a space that does not break in the US"),
        pytest.param("94107 1234", "DE", "941071234", id="nine digits with a space elsewhere"),
        pytest.param("１５０-０００２", "JP", "1500002", id="full-width digits"),
        pytest.param("١١٥١١", "EG", "11511", id="Arabic digits"),
        pytest.param("٩٤١٠٧-١٢٣٤", "US", "94107", id="Arabic digits in the US"),
        pytest.param("12345-6789", "SA", "123456789", id="five and four digits elsewhere"),
        pytest.param("12345-6789", None, "12345", id="five and four digits of a country that is not known"),
        pytest.param("12345-6789", "?", "12345", id="five and four digits of what is no country"),
        pytest.param("9410712345", "US", "9410712345", id="ten digits in the US"),
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
    assert normalise.zip_code_in(country)(raw) == normal


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        pytest.param(" gb ", "gb", id="blanks around"),
        pytest.param("UK", "gb", id="what people write"),
        pytest.param("USA", "us", id="three letters"),
        pytest.param(" germany", "de", id="a name"),
        pytest.param("\u00d6sterreich", "at", id="a name in German"),
        pytest.param("royaume-uni", "gb", id="a name in French"),
        pytest.param("Nederland", "nl", id="a name in Dutch"),
        pytest.param("\u65e5\u672c", "jp", id="a name of two signs"),
        pytest.param("\u200bAT\ufeff", "at", id="marks that nobody sees"),
        pytest.param("\uff21\uff34", "at", id="full-width letters"),
        pytest.param("EL", "gr", id="Greece, as the European Union writes it"),
        pytest.param("XK", "xk", id="Kosovo"),
        pytest.param("U.K.", "gb", id="with dots"),
        pytest.param("u.s.a", "us", id="with all dots but the last"),
        pytest.param("EE. UU.", "us", id="a Spanish plural"),
        pytest.param("Espana", "es", id="without accents"),
        pytest.param("OESTERREICH", "at", id="umlauts in two letters"),
        pytest.param("Osterreich", "at", id="umlauts in one letter"),
        pytest.param("T\u00dcRK\u0130YE", "tr", id="a Turkish capital"),
        pytest.param("Cote d\u2019Ivoire", "ci", id="another apostrophe"),
        pytest.param("Gro\u00dfbritannien", "gb", id="a usual name in German"),
        pytest.param("\u0420\u043e\u0441\u0441\u0438\u044f", "ru", id="a usual name in Russian"),
        pytest.param("\u0395\u03bb\u03bb\u03ac\u03b4\u03b1", "gr", id="a name in Greek"),
        pytest.param("\ub300\ud55c\ubbfc\uad6d", "kr", id="a name in Korean"),
        pytest.param("Hrvatska", "hr", id="a name in Croatian"),
        pytest.param("United Kingdom (UK)", "gb", id="a name and its code"),
        pytest.param("DE - Germany", "de", id="a code and its name"),
        pytest.param("\u00d6sterreich/Austria", "at", id="two names of one country"),
        pytest.param("Congo - Brazzaville", "cg", id="a name with a hyphen"),
        pytest.param("Atlantis", None, id="the name of none"),
        pytest.param("Germany (US)", None, id="two countries"),
        pytest.param("Germany/Austria", None, id="two countries by name"),
        pytest.param("Springfield (US)", None, id="a city"),
        pytest.param("Korea", None, id="either of two"),
        pytest.param("N.A.", None, id="not available, and no Namibia"),
        pytest.param("D", None, id="a letter"),
        pytest.param("276", None, id="a number"),
        pytest.param("uc", None, id="a short word"),
        pytest.param("(DE)", None, id="nothing in front"),
        pytest.param("a - " * 500, None, id="long"),
        pytest.param("ZZ", None, id="assigned to nobody"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_country_is_an_assigned_iso_code(raw: str, normal: str | None) -> None:
    assert normalise.country(raw) == normal


def test_a_name_in_any_language_is_no_other_countrys_code_or_english_name() -> None:
    known = {name: code for name, code in normalise._country_names().items() if normalise.country(name) != code}
    assert known == {}


@pytest.mark.parametrize(
    ("given", "own"),
    [
        (None, None), ("", None), ("de", "DE"), ("Germany", "DE"), (normalise.sha256_hex("de"), "DE"), ("EL", "GR"),
        ("Atlantis", normalise.UNREADABLE), ("A", normalise.UNREADABLE), (normalise.sha256_hex("Atlantis"), normalise.UNREADABLE),
    ],
)  # fmt: skip
def test_a_country_is_absent_known_or_given_and_unreadable(given: str | None, own: str | None) -> None:
    assert normalise.own_country(given) == own


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        *[
            ("F", "f"),
            (" m ", "m"),
            ("Male", "m"),
            ("Mrs.", "f"),
            ("x", None),
            ("diverse", None),
            ("", None),
            ("1", None),
        ],
        *[
            ("w", "f"),
            ("Frau", "f"),
            ("M\u00c4NNLICH", "m"),
            ("ma\u0308nnlich", "m"),
            ("homme", "m"),
            ("Mujer", "f"),
            ("h", None),
            ("Fran", None),
        ],
    ],
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
    assert {"BGN", "HRK"} <= normalise.monies()
    assert not {"usd", "US", "BTC", "EURO", "DEM"} & normalise.currencies()


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


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Russia", "ru"),
        ("Turkey", "tr"),
        ("Holland", "nl"),
        ("the  Netherlands", "nl"),
        ("Scotland", "gb"),
        ("UAE", "ae"),
        ("Trinidad & Tobago", "tt"),
        ("Côte d\u2019Ivoire", "ci"),
    ],
)
def test_a_country_is_read_by_the_name_that_english_speakers_use(name: str, code: str) -> None:
    assert normalise.country(name) == code


def test_each_usual_name_of_a_country_leads_to_one_that_exists() -> None:
    assert {normalise.country(code) for code in normalise._USUAL_NAMES.values()} == set(normalise._USUAL_NAMES.values())
