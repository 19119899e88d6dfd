"""No text that somebody sends takes more than linear time to judge, and none stays in memory whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tracklayer.domain import identifiers, normalise, phone
from tracklayer.domain.normalise import hashed_once, state_in, zip_code_in
from tracklayer.domain.personal import MAX_URL, without_personal_properties, without_personal_url
from tracklayer.domain.read_event import ReadEvent, read_event

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
DE = frozenset({"DE"})
CARD = "4111 1111 1111 1111"

UNITS = {
    "pluses": "+", "pluses and blanks": "+ ", "full-width pluses": "\uff0b", "zeros behind a plus": "+00", "numbers": "+49 151 23 ",
    "digits": "1", "single digits": "1 2 3 4 ", "with hyphens": "4-1-", "fours": "4111 1111 ", "other digits": "٤", "hidden digits": "1x",
    "marks": "\u0301\u0316", "an address and marks": "a@\u0301\u0316", "a long ligature": "\ufdfa", "invisible": "\u200b",
    "at": "@", "addresses": "a@b.", "brackets": "<", "blanks": " ", "braces": "{{", "percent": "%%", "underlines": "__A", "encoded": "%25",
    "equals": "=", "pairs": "a=1&", "phones by name": "&phone=+1", "names in quotes": '"a":"', "octets": "1.", "colons": "1:",
    "entities": "&amp;", "half entities": "&amp;#", "entities without an end": "&amp", "zeros of an entity": "&#00", "ampersands": "&", "backslashes": "\\", "signs of JSON": r"\u0040",
    "labels": "a.", "cookies": "fb.1.", "hexadecimal": "0123456789abcdef-",
}  # fmt: skip


def draft(**user_data: Any) -> dict[str, Any]:
    return {
        "event_name": "purchase",
        "event_id": "order-1",
        "occurred_at": "2026-11-20T14:00:00Z",
        "user_data": {"email": "jane@example.com", **user_data},
    }


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    **{
        name: lambda text, name=name: draft(**{name: text})  # type: ignore[misc]
        for name in ("email", "phone", "country", "client_ip", "client_user_agent", "fbc", "fbp", "ga_session_id", "rdt_uuid",
                     "gclid", "street", "date_of_birth")
    },
    "a phone behind a plus": lambda text: draft(phone=f"+{text}"),
    "a phone at home": lambda text: draft(phone=f"0171{text}", country="DE"),
    "further phones": lambda text: draft(phones=[text[: len(text) // 9]] * 9),
    "a parameter": lambda text: {**draft(), "event_source_url": f"https://a.example/?q={text}"},
    "a path": lambda text: {**draft(), "event_source_url": f"https://a.example/{text}#x=y"},
    "a url": lambda text: {**draft(), "event_source_url": text},
    "a property": lambda text: {**draft(), "custom_data": {"properties": {"x": text}}},
    "a title": lambda text: {**draft(), "custom_data": {"content_name": text}},
    "a device": lambda text: {**draft(), "device": {"model": text}},
    "an event id": lambda text: {**draft(), "event_id": text},
}  # fmt: skip


def _seconds(of: dict[str, Any]) -> float:
    phone._phone_e164.cache_clear()
    phone._read.cache_clear()
    started = time.process_time()
    read_event(of, NOW, DE)
    return time.process_time() - started


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_four_times_the_text_takes_about_four_times_the_time(unit: str) -> None:
    slow = {}
    for place, made in PLACES.items():
        shorter, longer = (made(unit * (size // len(unit))) for size in (7_500, 30_000))
        for _ in range(3):
            ratio = _seconds(longer) / max(_seconds(shorter), 0.004)  # less than 4 ms is nothing to compare with
            if ratio < 8:
                break
        else:
            slow[place] = ratio
    assert slow == {}


@pytest.mark.parametrize("rule", [normalise.name, normalise.lower_composed, normalise.composed, normalise.state])
def test_many_marks_on_a_letter_take_linear_time(rule: Callable[[str], str]) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        rule("a" + "\u0301\u0316" * count)
        return time.process_time() - started

    assert min(seconds(32_000) / max(seconds(8_000), 0.004) for _ in range(3)) < 8


def test_marks_that_a_script_needs_are_kept() -> None:
    text = "שָׁלוֹם " * 200

    assert normalise.composed(text) == normalise.composed("שָׁלוֹם ") * 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phone", "+" * 2049),
        ("email", "a" * 2049),
        ("client_user_agent", "Mozilla/5.0 " + "x" * 2048),
        ("street", "x" * 2049),
        ("fbc", "fb.1.1596403881668." + "x" * 2048),
        ("ttclid", "x" * 2049),
        ("rdt_uuid", "1" * 2049 + ".2b2ea2ba-0000-4000-8000-000000000000"),
        ("external_id", CARD + "x" * 2048),
    ],
)
def test_an_identifier_that_is_too_long_is_named_and_not_kept(name: str, value: str) -> None:
    read = read_event(draft(**{name: value}), NOW, DE)

    assert isinstance(read, ReadEvent)
    assert getattr(read.event.user_data, name) is None
    (warning,) = read.warnings
    assert (warning.field, warning.code) == (("user_data", name), "IDENTIFIER_MALFORMED")
    assert warning.message == f"user_data.{name} may have 2,048 characters. The event is taken without it."


def test_identifiers_of_2048_characters_are_kept() -> None:
    values = {"client_user_agent": "Mozilla/5.0 " + "x" * 2036, "gclid": "x" * 2048, "street": "x" * 2048}

    read = read_event(draft(**values), NOW, DE)

    assert isinstance(read, ReadEvent)
    assert read.warnings == ()
    assert {name: getattr(read.event.user_data, name) for name in values} == values


def test_a_click_id_of_tiktok_that_is_longer_than_it_takes_is_told() -> None:
    read = read_event(draft(ttclid="x" * 1001), NOW, DE)

    assert isinstance(read, ReadEvent)
    (warning,) = read.warnings
    assert (warning.field, warning.code) == (("user_data", "ttclid"), "IDENTIFIER_MALFORMED")
    assert "1,000 characters at most" in warning.message


def test_of_further_phones_only_the_long_one_is_not_kept() -> None:
    read = read_event(draft(phones=["+" * 3000, "+4915112345678"]), NOW, DE)

    assert isinstance(read, ReadEvent)
    assert [found.plain for found in read.event.user_data.phones] == ["+4915112345678"]
    assert [warning.field for warning in read.warnings] == [("user_data", "phones", "0")]


def test_a_url_that_is_too_long_is_named_and_not_kept() -> None:
    url = "https://a.example/?q=" + "=" * MAX_URL

    read = read_event({**draft(), "event_source_url": f"{url}{CARD}"}, NOW)

    assert isinstance(read, ReadEvent)
    assert read.event.event_source_url is None
    assert [(warning.field, warning.code) for warning in read.warnings] == [
        (("event_source_url",), "IDENTIFIER_MALFORMED")
    ]
    assert without_personal_url(url) == ("", ("url",))
    longest = url[:MAX_URL]
    assert without_personal_url(longest) == (longest, ())


def test_what_is_kept_beside_a_long_text_is_searched_for_cards() -> None:
    given = {**draft(street="x" * 3000), "custom_data": {"content_name": CARD}}

    read = read_event(given, NOW)

    assert isinstance(read, list)
    assert [(problem.field, problem.code) for problem in read] == [(("custom_data", "content_name"), "CARD_DATA")]


@pytest.mark.parametrize(("size", "code"), [(300_000, "CARD_DATA"), (600_000, "TOO_LARGE"), (3_600_000, "TOO_LARGE")])
def test_of_an_event_that_is_far_too_large_nothing_else_is_said(size: int, code: str) -> None:
    given = {**draft(), "custom_data": {"content_name": "x" * size, "content_category": CARD}}

    read = read_event(given, NOW)

    assert isinstance(read, list)
    assert [problem.code for problem in read] == [code]


def test_a_phone_may_have_250_characters() -> None:
    assert normalise.phone_e164("+4915112345678" + " " * 300) == "+4915112345678"
    assert normalise.phone_e164("+4915112345678 (" + "m" * 234) == "+4915112345678"
    assert normalise.phone_e164("+4915112345678 (" + "m" * 235) is None


def test_no_cache_keeps_a_long_text() -> None:
    text = "9" * 300
    caches = (phone._phone_e164, phone._phone_at_home, identifiers._machine_address, normalise._hashed_once)
    before = [cache.cache_info().currsize for cache in caches]

    assert normalise.phone_e164(text, "DE") is None
    assert normalise.phone_at_home(text, "DE") is None
    assert identifiers.machine_address(text) is None
    assert hashed_once(text, normalise.city) is None

    assert [cache.cache_info().currsize for cache in caches] == before
    assert state_in("x" * 1000) is state_in("DE")
    assert zip_code_in("x" * 1000) is zip_code_in(None)
    assert zip_code_in("FR") is zip_code_in("DE")
    assert (state_in("USA"), state_in(None)) == (state_in("us"), state_in("US"))


def test_a_list_of_proxies_may_be_long() -> None:
    assert identifiers.machine_address("203.0.113.42, " + "10.0.0.1, " * 50) == "203.0.113.42"


def test_marks_do_not_hide_an_address() -> None:
    assert without_personal_properties({"x": "jane@e" + "\u0301" * 4000 + "xample.com"})[1] == ("x",)


@pytest.mark.parametrize("text", ["ℌ@b.de", "ﬁ@b.de"])
def test_an_address_is_not_made_of_letters_that_only_look_like_its_own(text: str) -> None:
    assert normalise.email(text) == text.lower()


@pytest.mark.parametrize("text", ["ｊａｎｅ@example.com", "JANE＠ｅxample．com", "ＪANE@example.com"])
def test_full_width_letters_of_an_address_are_those_of_ascii(text: str) -> None:
    assert normalise.email(text) == "jane@example.com"
