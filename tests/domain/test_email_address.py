"""E-mail addresses as people send them, against the fact sheets' own digests and their stored digests.

A row that is named after a platform is a row of section 4 of that platform's sheet, copied as it stands.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer.domain import email_address
from tracklayer.domain.email_address import (
    EMAIL_RULES,
    OTHER_SPELLINGS,
    email,
    email_alphanumeric,
    email_digests,
    email_google,
    email_without_alias,
    holds_email,
)
from tracklayer.domain.normalise import Matchable, hashed
from tracklayer.domain.person import is_email, tokens_of_email, tokens_of_event, written_otherwise
from tracklayer.domain.sha256 import sha256_hex

REPEATABLE = drawn(300)


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
        pytest.param("jane@example.com jd@example.com", id="two addresses"),
        pytest.param("jane jd@example.com, jim", id="a comma"),
        pytest.param("jane; jd@example.com", id="a semicolon"),
        pytest.param("jane, doe@example.com", id="a comma for a dot"),
        pytest.param("Doe, Jane jd@example.com", id="a name, the surname first"),
        pytest.param("jane@example.com or by phone", id="words behind an address"),
        pytest.param("jane@example.com. thanks", id="a sentence behind an address"),
        pytest.param("jane@example.com,jd@example.com", id="two addresses and a comma"),
        pytest.param("jd@example.com <jane@example.com>", id="two addresses, one in brackets"),
        pytest.param('"jane doe"@example.com', id="a quoted name"),
        pytest.param("jane\x00@example.com", id="a control character"),
        pytest.param("j\u00f6rg \uff20 example.com com", id="a blank inside an address beyond ASCII"),
        pytest.param("jane@example.com" + " " * 100_000 + "x", id="far too long"),
        pytest.param("<>", id="brackets alone"),
        pytest.param("mailto:", id="a scheme alone"),
        pytest.param("jane@example..com", id="two dots in a row"),
        pytest.param("jane@home@example.com", id="two ats"),
        pytest.param("x" * 243 + "@example.com", id="255 characters"),
        *[
            pytest.param(f"jane@example.com{tail}", id=f"with {tail} behind")
            for tail in ("&nbsp", "&#8203", "%20", r"\n", "|", "/", "/x", "?", "?a=1", "!", "#", "*", "…", "–", "。/")
        ],
        pytest.param(r"\tjane@example.com", id="a backslash"),
        pytest.param("jane@exam/ple.com", id="a sign within the host"),
    ],
)
def test_what_is_no_address_has_no_digest(rule: str, text: str) -> None:
    assert EMAIL_RULES[rule](text) is None
    assert hashed(text, EMAIL_RULES[rule]) is None
    assert Matchable(plain=text).email_sha256(rule) is None
    assert email_digests(text) == {}


def test_an_address_with_a_blank_is_found_as_earlier_versions_stored_it() -> None:
    stored = {"email": sha256_hex("jane . doe@gmail.com")}  # of the text: it was no address
    assert tokens_of_event(stored, {"email": {}}, frozenset()) & tokens_of_email(" Jane . Doe@gmail.com")
    assert tokens_of_email("Jane . Doe@gmail.com") & tokens_of_email("jane.doe@gmail.com")


@pytest.mark.parametrize(
    ("stored", "text", "asked"),
    [
        pytest.param("kept as an address", "tail@example.com/", "Tail@example.com/", id="a slash behind"),
        pytest.param("kept as an address", "nb@example.com&nbsp", "nb@example.com&nbsp;", id="a blank of HTML behind"),
        pytest.param("kept as an address", r"\tjane@example.com", r"\tjane@example.com", id="a backslash"),
        pytest.param("kept as an address", "esc%2bold@example.com", "esc%2Bold@example.com", id="escapes as asked"),
        pytest.param("kept as an address", "esc%2bold@example.com", "esc+old@example.com", id="escapes, asked without"),
        pytest.param("kept as a text", "jane&#64;example.com", "jane&#64;example.com", id="an escaped @ as asked"),
        pytest.param("kept as a text", "jane&#64;example.com", "jane@example.com", id="an escaped @, asked without"),
    ],
)
def test_an_address_is_found_as_versions_before_read_it(stored: str, text: str, asked: str) -> None:
    digest = sha256_hex(text)
    found = {"basic": digest} if stored == "kept as an address" else {}
    assert is_email(asked)
    assert tokens_of_event({"email": digest}, {"email": found}, frozenset()) & tokens_of_email(asked)


def test_what_no_version_read_as_an_address_finds_nobody() -> None:
    assert not any(map(is_email, ("jane", "@", "jane@", "jane@example", "jane@example,com", "a@x.de, b@x.de")))


@pytest.mark.parametrize(
    ("asked", "spellings"),
    [("jane@example.com", 1), ("janedoe@gmail.com", 2), ("Jane.Doe+x@gmail.com", 6), ("jo.sé+x@gmail.com", 12)],
)
def test_an_address_is_looked_for_in_at_most_sixteen_ways_for_each_of_its_spellings(asked: str, spellings: int) -> None:
    tokens = tokens_of_email(asked)
    assert len(tokens - written_otherwise(email=asked)) == 2 * spellings
    assert len(tokens) <= 16 * spellings


@pytest.mark.parametrize("asked", ["Jane jane@example.com", "jane%2cbob@example.com"])
def test_an_address_with_a_name_or_an_escape_is_found_as_versions_before_read_it(asked: str) -> None:
    digest = sha256_hex(asked.replace(" ", "").lower())
    assert is_email(asked)
    assert tokens_of_event({"email": digest}, {"email": {"basic": digest}}, frozenset()) & tokens_of_email(asked)


def test_an_address_in_escaped_quotes_is_found_though_it_is_not_sent() -> None:
    stored = {"email": sha256_hex("%22jane%22@example.com")}
    assert tokens_of_event(stored, {"email": {}}, frozenset()) & tokens_of_email("jane@example.com")


def test_an_address_may_have_254_characters() -> None:
    longest = "x" * 242 + "@example.com"
    assert email(longest) == longest


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        pytest.param("jane\u00a0@\u2003example.com", "jane@example.com", id="blanks around the at"),
        pytest.param("Jane . Doe@gmail.com", "jane.doe@gmail.com", id="blanks around a dot"),
        pytest.param("jane doe@example.com", "janedoe@example.com", id="a blank inside the name"),
        pytest.param("jane\u00a0doe@example.com", "janedoe@example.com", id="a blank that does not break inside the name"),
        pytest.param("jane@exam ple.com", "jane@example.com", id="a blank inside the domain"),
        pytest.param("jane@example .com", "jane@example.com", id="a blank before a dot of the domain"),
        pytest.param("jane@mail.example  .com", "jane@mail.example.com", id="blanks before the last dot"),
        pytest.param("jane@mail. example.com", "jane@mail.example.com", id="a blank behind a dot of the domain"),
        pytest.param("jane@exam\r\nple.com", "jane@example.com", id="a line's end inside the domain"),
        pytest.param("jane@example.com\r\n", "jane@example.com", id="a line's end"),
        pytest.param("\tJANE@EXAMPLE.COM", "jane@example.com", id="a tab"),
        pytest.param("\u00a0jane@example.com\u202f", "jane@example.com", id="spaces that do not break"),
        pytest.param("j\u00f6rg@ex\u00e4mple.de", "j\u00f6rg@ex\u00e4mple.de", id="letters beyond ASCII"),
        pytest.param("J\u00d6RG\uff20EX\u00c4MPLE\u3002DE ", "j\u00f6rg@ex\u00e4mple.de", id="letters beyond ASCII, full-width signs"),
        pytest.param("\uff2a\uff41\uff4e\uff45\uff20\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45\uff0e\uff43\uff4f\uff4d", "jane@example.com", id="full width"),
        pytest.param("jane\ufe6bexample\uff61com", "jane@example.com", id="a small at and a half-width dot"),
        pytest.param('"jane@example.com"', "jane@example.com", id="quotes"),
        pytest.param("\u201ejane@example.com\u201c", "jane@example.com", id="German quotes"),
        pytest.param("\u00abjane@example.com\u00bb", "jane@example.com", id="French quotes"),
        pytest.param("'jane@example.com'", "jane@example.com", id="apostrophes"),
        pytest.param("jane@example.com'", "jane@example.com", id="an apostrophe at the end"),
        pytest.param("'jane@example.com", "'jane@example.com", id="an apostrophe at the beginning may be its own"),
        pytest.param("o'connor@example.com", "o'connor@example.com", id="an apostrophe inside"),
        pytest.param("<jane@example.com>", "jane@example.com", id="angle brackets"),
        pytest.param(' "Doe, Jane" <Jane@example.com>, ', "jane@example.com", id="a name before it"),
        pytest.param("(jane@example.com)", "jane@example.com", id="brackets"),
        pytest.param("jane@example.com,", "jane@example.com", id="a comma"),
        pytest.param("jane@example.com ;", "jane@example.com", id="a semicolon"),
        pytest.param("jane@example.com.", "jane@example.com", id="a dot at the end"),
        pytest.param(".jane@example.com", ".jane@example.com", id="a dot at the beginning may be its own"),
        pytest.param("mailto:Jane@Example.com", "jane@example.com", id="a link"),
        pytest.param("<MAILTO: jane@example.com?subject=Hello%20Jane>", "jane@example.com", id="a link with a subject"),
        pytest.param("jane?doe@example.com", "jane?doe@example.com", id="a question mark without a link"),
        pytest.param("a&b=c!#$*/^{|}~@example.com", "a&b=c!#$*/^{|}~@example.com", id="all that a name may hold"),
        pytest.param("jane@my_shop.example", "jane@my_shop.example", id="an underscore in the domain"),
        pytest.param("Jane Doe, jd@example.com", "jd@example.com", id="a name and a comma"),
        pytest.param('"Jane Doe" jd@example.com', "jd@example.com", id="a name in quotes"),
        pytest.param("Jane Doe (jd@example.com)", "jd@example.com", id="a name, the address in brackets"),
        pytest.param('Jane "jd@example.com"', "jd@example.com", id="a name, the address in quotes"),
        pytest.param("Jane mailto:jd@example.com?subject=Hello", "jd@example.com", id="a name and a link"),
        pytest.param("E-Mail: 'jane@example.com'", "jane@example.com", id="a word, a colon and apostrophes"),
        pytest.param("1) jane@example.com", "jane@example.com", id="a number"),
        pytest.param("\u738b\u5c0f\u660e wang@example.com", "wang@example.com", id="a Chinese name"),
        pytest.param("\u7530\u4e2d\u3000\u592a\u90ce\u3000taro\uff20example.jp", "taro@example.jp", id="a Japanese name, in full width"),
        pytest.param("\uae40\ucca0\uc218 kim@example.kr", "kim@example.kr", id="a Korean name"),
        pytest.param("\u0645\u062d\u0645\u062f m@example.com", "m@example.com", id="an Arabic name"),
        pytest.param("\u0418\u0432\u0430\u043d ivan@example.ru", "ivan@example.ru", id="a Russian name that reads like the address"),
        pytest.param("Jane doe@example.com", "janedoe@example.com", id="a blank inside the name, a capital before it"),
        pytest.param("Jos\u00e9 garcia@example.com", "jos\u00e9garcia@example.com", id="a blank inside the name, behind an accent"),
        pytest.param("o\u2019 neill@example.com", "o\u2019neill@example.com", id="a blank behind an apostrophe"),
        pytest.param("Kontakt: jane@example.com", "jane@example.com", id="a word and a colon"),
        pytest.param("\u0418\u0432\u0430\u043d\u043e\u0432 \u0418. ivan@example.ru", "ivan@example.ru", id="a Russian name and an initial"),
        pytest.param("J. Doe@example.com", "j.doe@example.com", id="a blank behind a dot"),
        pytest.param("j a n e . d o e@example.com", "jane.doe@example.com", id="blanks between letters and around a dot"),
        pytest.param("JANE DOE@EXAMPLE.COM", "janedoe@example.com", id="a blank inside the name, all capitals"),
        pytest.param("j a n e@example.com", "jane@example.com", id="blanks between letters"),
        pytest.param("jane - doe@example.com", "jane-doe@example.com", id="blanks around a hyphen"),
    ],
)  # fmt: skip
def test_an_address_is_read_out_of_what_stands_around_it(text: str, normal: str) -> None:
    assert email(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "Jane Doe jane@example.com", "Anne Marie Doe@example.com", "max muster mann@example.de", "J. Doe jd@example.com",
        "jane jane.doe@example.com", "jo jo@example.com", '"Jane jane@example.com"', "Jane Doe - jd@example.com",
        "E-Mail jane@example.com", "email marketing@example.com", "\u5f35\u5049 zhang wei@example.com", "J D jane@example.com",
        "José jose@example.com", "José jose.garcia@example.com", "Zoë zoe@example.com", "Müller mueller@example.com",
        "Muller anna.müller@example.com", "Łukasz lukasz@example.com", "Søren soren@example.com", "Søren soeren@example.com",
        "Åse aase@example.com", "A. B. jane@example.com", "courriel jane@example.com",
        "Kontakt jane@example.com", "posta jane@example.com", "adresse jane@example.com", "Sähköposti jane@example.com",
        "株式会社ABC info@example.com",
    ],
)  # fmt: skip
def test_words_that_may_be_a_name_or_a_part_of_the_address_make_none_and_are_found_as_they_were_sent(text: str) -> None:
    assert email(text) is None
    assert is_email(text)
    stored = {"email": sha256_hex(text.lower())}
    assert tokens_of_event(stored, {"email": {}}, frozenset()) & tokens_of_email(text.upper())
    of_last = {"email": sha256_hex(text.strip('"').split()[-1].lower())}
    assert not tokens_of_event(of_last, {"email": {"basic": of_last["email"]}}, frozenset()) & tokens_of_email(text)


def test_a_name_with_a_sharp_s_may_stand_in_the_address_with_two() -> None:
    assert email("Strauß strauss@example.com") is None


@pytest.mark.parametrize(
    "mark",
    ["\u00ad", "\u034f", "\u061c", "\u200b", "\u200c", "\u200d", "\u200e", "\u202a", "\u202c", "\u2060", "\u2068", "\ufe0f", "\ufeff"],
    ids=ascii,
)  # fmt: skip
def test_characters_that_nobody_sees_are_no_part_of_an_address(mark: str) -> None:
    assert email(f"{mark}jane{mark}@example{mark}.com{mark}") == "jane@example.com"
    assert email(f"j\u00f6rg@example.com{mark}") == "j\u00f6rg@example.com"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        pytest.param("jane@example.com", True, id="an address"),
        pytest.param("write to Jane@Mail.Example.com, please", True, id="a sentence with one"),
        pytest.param("jane doe@example.com", True, id="one with a blank inside"),
        pytest.param("jane @ example.com", True, id="one with blanks around the at"),
        pytest.param("jane\u200b\uff20example\u3002com", True, id="one with full-width and invisible characters"),
        pytest.param("j\u00f6rg@ex\u00e4mple.de", True, id="one beyond ASCII"),
        pytest.param("3 cups @ 2.50", False, id="a price"),
        pytest.param("@shop", False, id="a handle"),
        pytest.param("jane@localhost", False, id="no dot behind the at"),
        pytest.param("summer sale", False, id="words"),
        pytest.param(" " * 100_000 + "a" * 100_000 + "@", False, id="far too long"),
    ],
)
def test_an_address_is_found_within_a_text(text: str, holds: bool) -> None:
    assert holds_email(text) == holds


@REPEATABLE
@given(st.text("aZ0 .@'\"<>,;:?\u00a0\u200b\u00e9\uff20-", max_size=24))
def test_what_is_taken_for_an_address_stands_in_the_text(text: str) -> None:
    found = email(text)
    if found is not None:
        assert email(found) == found
        kept = re.sub(
            "[\u200b]| *@ *", lambda match: "@" if "@" in match[0] else "", text.translate({0xFF20: "@", 0xA0: " "})
        )
        assert found in kept.lower()


@drawn(200)
@given(st.from_regex(email_address._EVERYDAY_EMAIL, fullmatch=True))
def test_an_address_that_looks_everyday_is_one(text: str) -> None:
    assert email(text) == text.lower()
    assert email_address._EMAIL.fullmatch(text)
    assert len(text) <= 254


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
    assert email_google(text) == google
    assert email_without_alias(text) == without_alias
    assert email_alphanumeric(text) == alphanumeric


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


@pytest.mark.parametrize("rule", EMAIL_RULES)
@pytest.mark.parametrize("text", ["+x@example.com", "+x@gmail.com", "...@gmail.com", "__@example.com"])
def test_an_address_that_a_rule_drops_is_dropped_from_its_stored_digests_too(rule: str, text: str) -> None:
    assert Matchable(digests=email_digests(text)).email_sha256(rule) == Matchable(plain=text).email_sha256(rule)


LOCALS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.+_$-]{0,12}", fullmatch=True)
DOMAINS = st.sampled_from(
    ["gmail.com", "Gmail.COM", "googlemail.com", "example.com", "mail.example.co.uk", "localhost"]
)


@drawn(150)
@given(LOCALS, DOMAINS, st.sampled_from(["", " ", "\n"]))
def test_a_plain_email_and_its_stored_digests_are_one_to_every_rule(local: str, domain: str, blank: str) -> None:
    text = f"{blank}{local}@{domain}{blank}"
    for rule in EMAIL_RULES:
        assert Matchable(digests=email_digests(text)).email_sha256(rule) == Matchable(plain=text).email_sha256(rule)


_LOCAL_PARTS = st.text(st.sampled_from("aZ9é._+-'$\u0660\u00b2"), min_size=1, max_size=8)


@given(local=_LOCAL_PARTS, domain=st.sampled_from(["example.com", "gmail.com", "GoogleMail.com", "x.co.uk"]))
def test_the_digests_of_an_address_are_those_of_each_rule(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    digests = email_digests(text)
    for rule, normal in EMAIL_RULES.items():
        assert (digests.get(rule, digests.get("basic")) or None) == hashed(text, normal)


ADDRESSES = st.tuples(
    st.text("aZ0.+_-'é ", min_size=1, max_size=10),
    st.sampled_from(["@gmail.com", "@GoogleMail.com", "@shop.example", "@shop", "", "@ä.example"]),
).map("".join)


@REPEATABLE
@given(st.one_of(ADDRESSES, st.emails()))
def test_the_quick_digests_of_an_address_are_those_of_each_rule(text: str) -> None:
    basic = email(text)
    wanted = {}
    if basic is not None:
        wanted["basic"] = sha256_hex(basic)
        for name, rule in EMAIL_RULES.items():
            normal = rule(text)
            if normal != basic:
                wanted[name] = sha256_hex(normal) if normal else ""
    found = email_digests(text)
    assert {name: digest for name, digest in found.items() if name not in OTHER_SPELLINGS} == wanted


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("jose\u0301@example.com", "josé@example.com"),
        ("JOSE\u0301@example.com", "josé@example.com"),
        ("j@mu\u0308nchen.de", "j@münchen.de"),
        ("j@xn--mnchen-3ya.de", "j@xn--mnchen-3ya.de"),
    ],
)
def test_a_letter_and_its_accent_are_one_character(text: str, normal: str) -> None:
    assert email(text) == normal


def test_a_mailbox_is_known_by_its_other_spellings_too() -> None:
    of_gmail = sha256_hex("jd@gmail.com")
    assert email_digests("j.d+x@GoogleMail.com")["gmail"] == email_digests("jd@googlemail.com")["gmail"] == of_gmail
    assert "gmail" not in {*email_digests("j.d@gmail.com"), *email_digests("+x@googlemail.com")}
    assert set(email_digests("j@münchen.de")) == {"basic", "decomposed", "other_host"}
    assert email_digests("j@münchen.de")["other_host"] == sha256_hex("j@xn--mnchen-3ya.de")
    assert email_digests("j@xn--mnchen-3ya.de")["other_host"] == sha256_hex("j@münchen.de")
    assert email_digests("josé@example.com")["decomposed"] == sha256_hex("jose\u0301@example.com")
    assert set(email_digests("j@xn--.de")) == set(email_digests("j@example.com")) == {"basic"}
