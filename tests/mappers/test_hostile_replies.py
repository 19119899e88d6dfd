"""No answer, whatever is in it, keeps a mapper from saying what became of each event.

The bodies are made of the words that a mapper itself looks for, at any depth and with any kind of value in any place: a
new platform needs no line here.
"""

from __future__ import annotations

import ast
import inspect
import math
import random
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, get_args

import orjson
import pytest

from tracklayer.domain.delivery import Acknowledged, BatchRejected, Outcome, PlatformReply, RateLimited, Unreachable
from tracklayer.domain.waits import LONGEST_WAIT, http_date
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import plain_words, quiet_message, retry_after, safe_message

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
REPLIES = 4000  # of each platform: a second or two for all of them
STATUSES = (200, 200, 200, 201, 202, 204, 207, 302, 400, 401, 403, 404, 408, 413, 422, 423, 429, 500, 502, 503)

# With these, a failing status too may hold the word that one event was taken, or is there already, as its page says.
EVENT_BY_EVENT: dict[str, Collection[int]] = {"pinterest": (422,), "google_ads": range(400, 500)}


def deep(depth: int) -> Any:
    found: Any = []
    for level in range(depth):
        found = [found] if level % 2 else {"error": found}
    return found


DEEP = deep(1020)  # a little less than orjson reads
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 200, 201, 400, 404, 500, 2**31, 2**63 - 1, -(2**63), 2**64 - 1),
    *(0.0, 1.0, 1.5, -1.5, 1e308, math.inf, -math.inf, math.nan),
    *("", " ", "0", "1", "-1", "OK", "error", "\x00", "a\x00b", "\ud800", "\u2028", "\n\r\t", "☃", "x" * 5000, "1e999"),
    *([], {}, [[]], [{}], {"": {}}, [None], [0, 0, 0], DEEP),
)


@cache
def vocabulary(platform: str) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """(keys, values) that reading a reply of this platform compares something with."""
    module = sys.modules[mapper_for(platform).read_reply.__module__]
    tree = ast.parse(inspect.getsource(module))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    keys: set[str] = set()
    values: set[Any] = set()
    todo, seen = [mapper_for(platform).read_reply.__name__], set()  # type: ignore[attr-defined]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40:
                keys.add(node.value)
            if isinstance(node, ast.Constant) and isinstance(node.value, int):
                values.add(node.value)
            if isinstance(node, ast.Name) and node.id in functions:
                todo.append(node.id)
            elif isinstance(node, ast.Name):
                table = getattr(module, node.id, None)
                if isinstance(table, Mapping | frozenset | set | tuple):
                    values.update(value for value in list(table)[:40] if isinstance(value, str | int))
    return tuple(sorted(keys)), (*sorted(values, key=str), *sorted(keys))


class Maker:
    """Replies, the same ones each time."""

    def __init__(self, platform: str) -> None:
        self.random = random.Random(platform)
        self.keys, self.values = vocabulary(platform)

    def value(self, depth: int) -> Any:
        kind = self.random.random()
        if depth <= 0 or kind < 0.25:
            return self.random.choice(HOSTILE if self.random.random() < 0.6 else self.values)
        if kind < 0.45:
            return [self.value(depth - 1) for _ in range(self.random.choice((0, 1, 1, 2, 3, 5)))]
        if kind < 0.5:
            return [self.value(depth - 1)] * self.random.choice((1, 2, 3))  # the same index twice
        return {self.random.choice(self.keys): self.value(depth - 1) for _ in range(self.random.randint(1, 4))}

    def replies(self, count: int) -> Iterator[tuple[PlatformReply, int]]:
        for _ in range(count):
            status = self.random.choice(STATUSES) if self.random.random() < 0.8 else self.random.randint(100, 599)
            body = self.value(6)
            headers = {
                name: str(self.random.choice(WAITS))
                for name in ("retry-after", "date", *(key for key in self.keys if key.startswith("x-")))
                if self.random.random() < 0.3
            }
            yield PlatformReply(status, body, headers, "", NOW), self.random.choice((1, 2, 3, 5))


WAITS = (
    *(
        "0",
        "1",
        "-1",
        "1.5",
        "30",
        "999999",
        "9" * 20,
        "9" * 400,
        "1e999",
        "nan",
        "inf",
        "٣",
        "²",
        "",
        " ",
        "soon",
        "{}",
    ),
    *("Fri, 20 Nov 2026 15:01:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 99 Nov 2026 15:01:00 GMT", "Fri, 20 Nov"),
    *('{"1": [{"estimated_time_to_regain_access": 99999}]}', '{"estimated_time_to_regain_access": -1}', "1770000000"),
)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_whatever_a_platform_answers_every_event_gets_an_outcome(platform: str) -> None:
    read_reply = mapper_for(platform).read_reply
    for reply, count in Maker(platform).replies(REPLIES):
        verdict = read_reply(reply, count)
        if isinstance(verdict, BatchRejected):
            assert count > 1, reply
            outcomes: list[Outcome] = [verdict.rejected]
        else:
            outcomes = list(verdict)
            assert len(outcomes) == count, reply
        for outcome in outcomes:
            check(platform, outcome, reply)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_praise_with_a_status_that_fails_acknowledges_nothing(platform: str) -> None:
    count = 3
    counts = dict.fromkeys(
        ("events_received", "num_events_processed", "conversions_processed", "eventsReceived"), count
    )
    praise = {
        **counts,
        "code": 0,
        "status": "OK",
        "requestId": "r",
        "success": True,
        "data": {"conversions_processed": count},
        "elements": [{"status": 201}] * count,
        "events": [{"status": "processed"}] * count,
        "results": [{"name": "n"}] * count,
    }
    for status in (status for status in range(100, 600) if not 200 <= status < 300):
        for body in (praise, {"code": 0}, {"code": 20001}, {}, None):
            verdict = mapper_for(platform).read_reply(PlatformReply(status, body), count)
            if not isinstance(verdict, BatchRejected) and status not in EVENT_BY_EVENT.get(platform, ()):
                assert not any(isinstance(outcome, Acknowledged) for outcome in verdict), (status, body)


def check(platform: str, outcome: Outcome, reply: PlatformReply) -> None:
    """What can be stored, and waited for."""
    assert isinstance(outcome, get_args(Outcome)), reply
    status = getattr(outcome, "http_status", None)
    assert status is None or (isinstance(status, int) and 100 <= status < 600), reply
    if isinstance(outcome, Acknowledged):
        assert 200 <= reply.status < 300 or reply.status in EVENT_BY_EVENT.get(platform, ()), reply
        return
    if isinstance(outcome, RateLimited | Unreachable) and outcome.retry_after_seconds is not None:
        assert 0 <= outcome.retry_after_seconds <= LONGEST_WAIT, reply
        timedelta(seconds=outcome.retry_after_seconds)
    code = getattr(outcome, "code", "")
    for text in (outcome.message, code):
        assert isinstance(text, str), reply
        assert text.isprintable(), reply
        assert len(text) <= 300, reply
    assert outcome.message.strip(), reply
    orjson.dumps([outcome.message, code])  # as the log of attempts is written


def test_the_words_that_a_mapper_looks_for_are_found() -> None:
    keys, values = vocabulary("google_ads")
    assert {"error", "details", "fieldPathElements", "index", "partialFailureError", "retryDelay"} <= set(keys)
    assert {"QUOTA_ERROR", "RESOURCE_EXHAUSTED"} & set(values)


# Retry-After --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        pytest.param("120", None, 120.0, id="seconds"),
        pytest.param(" 0 ", None, 0.0, id="none at all"),
        pytest.param("1.5", None, 1.5, id="with a fraction"),
        pytest.param("999999999", None, 999999999.0, id="years"),
        pytest.param("9" * 400, None, LONGEST_WAIT, id="no time any more"),
        pytest.param("Fri, 20 Nov 2026 15:02:00 GMT", None, 120.0, id="date, from when it arrived"),
        pytest.param("Fri, 20 Nov 2026 15:02:00 GMT", "Fri, 20 Nov 2026 15:01:30 GMT", 30.0, id="date, from its Date"),
        pytest.param("Fri, 20 Nov 2026 15:02:00 GMT", "yesterday", 120.0, id="date, from no Date at all"),
        pytest.param("Friday, 20-Nov-26 15:02:00 GMT", None, 120.0, id="date of RFC 850"),
        pytest.param("Fri Nov 20 15:02:00 2026", None, 120.0, id="date of asctime"),
        pytest.param("Fri, 20 Nov 2026 14:00:00 GMT", None, 0.0, id="date that has passed"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", None, LONGEST_WAIT, id="date at the end of all time"),
        pytest.param("Fri, 99 Nov 2026 15:02:00 GMT", None, None, id="no date of any calendar"),
        *(
            pytest.param(text, None, None, id=repr(text))
            for text in (
                "",
                "-1",
                "1e3",
                "+5",
                "٣",
                "²",
                "soon",
                "nan",
                "inf",
                "1,5",
                ".5",
                "0x10",
                "2026-11-20",
                "Fri",
            )
        ),
    ],
)
def test_retry_after_is_a_number_or_a_date_or_nothing(text: str, date: str | None, seconds: float | None) -> None:
    headers = {"retry-after": text, **({"date": date} if date else {})}
    assert retry_after(PlatformReply(429, None, headers, "", NOW)) == seconds


def test_a_date_needs_another_one_to_be_measured_from() -> None:
    assert retry_after(PlatformReply(429, None, {"retry-after": "Fri, 20 Nov 2026 15:02:00 GMT"})) is None
    assert retry_after(PlatformReply(429, None, {})) is None


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_may_name_a_date(platform: str) -> None:
    headers = {"retry-after": "Fri, 20 Nov 2026 15:02:00 GMT", "date": "Fri, 20 Nov 2026 15:00:30 GMT"}
    (limited,) = mapper_for(platform).read_reply(PlatformReply(429, None, headers), 1)  # type: ignore[misc]
    assert isinstance(limited, RateLimited)
    assert limited.retry_after_seconds == 90.0


def test_any_text_is_a_date_or_none() -> None:
    made = random.Random(7)
    pieces = (
        "Fri",
        "Friday",
        ", ",
        " ",
        "20",
        "Nov",
        "-",
        "99",
        "2026",
        "15:02:00",
        ":",
        "GMT",
        "+9999",
        "99999999999",
    )
    for _ in range(5000):
        found = http_date("".join(made.choice(pieces) for _ in range(made.randint(0, 9))))
        assert found is None or found.utcoffset() == timedelta(0)


# Words --------------------------------------------------------------------------------------------------------------


def test_words_are_text_and_short_whatever_stands_in_their_place() -> None:
    assert [plain_words(value) for value in (None, True, [], {}, ["a"], {"a": 1}, DEEP)] == [""] * 7
    assert [plain_words(value) for value in ("a", 7, 1.5, " a\x00\nb ")] == ["a", "7", "1.5", "a  b"]
    assert plain_words("word " * 1000) == "word " * 198 + "word …"
    assert plain_words("x" * 5000) == "…"


def test_a_long_text_is_read_quickly_and_its_end_tells_nobodys_address() -> None:
    long = "no " + "x" * 4_000_000  # in which every place could begin an address, were all of it looked at
    assert safe_message(long) == "no …"
    cut_in_the_address = "words " * 165 + "jane.doe@example.com " * 20
    assert "jane" not in safe_message(cut_in_the_address, 5000)


ECHOED = (
    "203.0.113.42",
    "198.51.100.7:8080",
    "2001:db8::7",
    "2001:db8:0:0:8:800:200c:417a",
    "::1",
    "+1 415 555 0132",
    "415.555.0132",
    "+1/415/555/0132",
    "jane@example.com",
    "jane%40example.com",
    "4a1f0c9e2b7d4e3f8a6b5c4d3e2f1a0b",
    "F5C2A1D0-8b7e-4c3d-9a21-0e6b5d4c3b2a",
    "https://shop.example.com/thanks?name=jane",
    "https://shop.example.com/#token=secret",
)


def saying(words: str) -> dict[str, tuple[int, Any]]:
    """By platform, an answer in which it says something of an event that it refuses: status and body."""
    fault = {"@type": "x.BadRequest", "fieldViolations": [{"field": "events.events[0].x", "description": words}]}
    return {
        "meta": (400, {"error": {"code": 100, "message": words}}),
        "tiktok": (200, {"code": 40002, "message": words}),
        "google_ads": (
            400,
            {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": words, "details": [fault]}},
        ),
        "ga4": (200, {"validationMessages": [{"description": words, "validationCode": "VALUE_INVALID"}]}),
        "pinterest": (422, {"events": [{"status": "failed", "error_message": words}]}),
        "snapchat": (400, {"status": "INVALID", "reason": words}),
        "linkedin": (422, {"status": 422, "message": words}),
        "reddit": (400, {"error": {"code": 400, "message": words}}),
        "microsoft_ads": (400, {"error": {"code": "ValidationError", "message": words}}),
        "x_ads": (400, {"errors": [{"code": "INVALID", "message": words}]}),
    }


@pytest.mark.parametrize("platform", saying(""))
@pytest.mark.parametrize("echoed", ECHOED)
def test_no_platforms_words_repeat_what_was_sent(platform: str, echoed: str) -> None:
    status, body = saying(f"badly written {echoed} here")[platform]
    found = mapper_for(platform).read_reply(PlatformReply(status, body, {}, orjson.dumps(body).decode()), 1)
    assert isinstance(found, list)
    (outcome,) = found
    assert not isinstance(outcome, Acknowledged)
    message = outcome.message
    assert "badly written" in message, message
    assert "…" in message
    private = (echoed, "203.0.113", "198.51", "db8", "0132", "jane", "secret", "2b7d", "8b7e")
    assert [part for part in private if part in message] == []


@pytest.mark.parametrize(
    "words",
    [
        "Field user_data.em at 14:03:12 is no SHA-256, see https://example.com/docs/v26.0/events#hashing",
        "Version 26.0.1 wants 12.50 USD, not 3,00; events 1, 2 and 17 of 2026 (code 100/2804019)",
        "std::vector of Error::Field",
    ],
)
def test_words_that_repeat_nothing_stay_as_they_are(words: str) -> None:
    assert safe_message(words) == words


@pytest.mark.parametrize(
    "address",
    [
        "jane\u200b@example.com",
        "jane\u00ad@example.com",
        "jane＠example.com",
        "ｊａｎｅ@example.com",
        "jane.doe @ example.com",
        "jane.doe@\nexample.com",
        '"jane.doe"@example.com',
        '"Jane Doe"@example.com',
        "'jane'@example.com",
        "o'jane@example.com",
        "jane@@example.com",
        "jane%2540example.com",
        "jane%252540example.com",
        "jane&#64;example.com",
        "jane&#x40;example.com",
        "jane&commat;example.com",
        "jane&amp;#064; example.com",
        "jane\\u0040example.com",
        "jane\\\\u0040example.com",
        "jane\\u{40}example.com",
        "jane\\x40example.com",
    ],
)
def test_an_address_is_masked_however_it_is_written(address: str) -> None:
    assert safe_message(f"not known: {address}, sorry") == "not known: … sorry"
    assert safe_message(f"the value '{address}' of em").startswith("the value '…")
    assert "jane" not in quiet_message(f"the value {address}").lower()


@pytest.mark.parametrize(
    "number",
    [
        "0170/1234567",
        "030 / 123 45-67",
        "0170\u200b/1234567",
        "０１７０/1234567",
        "+49\u2011151\u201123456789",
        "+49 – 151 – 23456789",
        "+49·151·23456789",
        "+49_151_23456789",
        "0170\u20111234567",
        "0170–1234567",
        "0170·1234567",
        "0170_1234567",
        "650\u2011555\u20110123",
        "030/123–45·67",
    ],
)
def test_a_number_is_masked_whatever_parts_its_digits(number: str) -> None:
    assert safe_message(f"call {number} now") == "call … now"


def test_what_only_looks_a_little_like_one_is_told() -> None:
    for words in (
        "07/08/2026",
        "3/4 of 100/120 events",
        "注文が見つかりません。",
        "naïve – café",
        "5 pieces @ 12.50 USD",
        'field "em" @ events[0].user_data, asked by @graphql',
        "100%40 of C:\\u0040",
        "inv_2026_11_30_000123, shop_0151_2345678 and 1001_2002_3003",
        "orders 00012_345678 and ORD_2026_11_30_1234567",
        "events 1 – 100 of 2000 • 20 refused · 3 taken, 2026–2027",
    ):
        assert safe_message(words) == words


def calls_of(read: Any) -> int:
    """Of functions of Python."""
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        read()
    finally:
        sys.setprofile(None)
    return count


WARNINGS = 500
WARNED: dict[str, Any] = {
    "google_ads": {
        "requestId": "a",
        "fieldWarnings": [
            {"field": f"event {n}", "reason": "R", "description": f"not used {n}"} for n in range(WARNINGS)
        ],
    },
    "microsoft_ads": {
        "eventsReceived": WARNINGS,
        "error": {"details": [{"index": n, "isWarning": True, "errorMessage": f"m{n}"} for n in range(WARNINGS)]},
    },
    "meta": {"events_received": WARNINGS, "messages": [f"warning {n}" for n in range(WARNINGS)]},
}


@pytest.mark.parametrize("platform", WARNED)
def test_many_warnings_of_many_events_are_read_once(platform: str) -> None:
    reply = PlatformReply(200, WARNED[platform])
    read = mapper_for(platform).read_reply
    verdict = read(reply, WARNINGS)
    assert isinstance(verdict, list)
    assert all(isinstance(outcome, Acknowledged) and outcome.note for outcome in verdict)
    assert calls_of(lambda: read(reply, WARNINGS)) < 60 * WARNINGS
