"""What may be set of a collector, and what a call comes to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tracklayer.domain.collector import (
    Collector,
    Verdict,
    address_of,
    changed,
    cookie_header,
    ends_of_others,
    is_one_site,
    judge_call,
    origin_of,
    ours_of,
    registrable,
    shares_half,
    snippet,
)

SHOP = "https://www.shop.example"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (SHOP, SHOP),
        (" HTTPS://WWW.Shop.Example:443/ ", SHOP),
        ("http://shop.example:80", "http://shop.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://shop.example/cart", None),
        ("https://shop.example?x", None),
        ("https://jane@shop.example", None),
        ("https://*.shop.example", None),
        ("ftp://shop.example", None),
        ("shop.example", None),
        ("https://", None),
        ("https://shop.example:x", None),
        ("https://[::1", None),
        ("null", None),
        ("https://" + "a" * 300, None),
        ("https://shop.example\r\nx", None),
    ],
)
def test_an_origin_is_as_a_browser_writes_it(text: str, origin: str | None) -> None:
    assert origin_of(text) == origin


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ({"origins": [SHOP]}, "shop.example"),
        ({"origins": [SHOP, "https://m.shop.example"]}, "shop.example"),
        ({"origins": ["https://www.shop.co.uk"]}, "shop.co.uk"),
        ({"origins": [SHOP, "https://other.example"]}, None),
        ({"origins": ["https://shop.github.io"]}, "shop.github.io"),
        ({"origins": ["https://github.io"]}, None),
        ({"origins": ["http://localhost:8000"]}, None),
        ({"origins": ["http://127.0.0.1:8000"]}, None),
        ({"origins": [SHOP], "cookie_domain": None}, None),
        ({"origins": [SHOP], "cookie_domain": ""}, None),
        ({"origins": [SHOP], "cookie_domain": ".Shop.Example"}, "shop.example"),
        ({"origins": [SHOP], "cookie_domain": "www.shop.example"}, "www.shop.example"),
    ],
)
def test_a_cookies_domain_is_one_that_somebody_owns(given: dict[str, Any], domain: str | None) -> None:
    after = changed(Collector(), {"enabled": True, **given})
    assert isinstance(after, Collector)
    assert after.cookie_domain == domain


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"enabled": True}, ("origins",), "REQUIRED"),
        ({"enabled": None}, ("enabled",), "REQUIRED"),
        ({"consent_required": None}, ("consent_required",), "REQUIRED"),
        ({"origins": [SHOP, "shop"]}, ("origins", "1"), "INVALID_VALUE"),
        ({"origins": [f"https://a{n}.example" for n in range(21)]}, ("origins",), "TOO_LARGE"),
        ({"origins": ["https://www.shop.co.uk"], "cookie_domain": "co.uk"}, ("cookie_domain",), "INVALID_VALUE"),
        ({"origins": [SHOP], "cookie_domain": "example"}, ("cookie_domain",), "INVALID_VALUE"),
        ({"origins": ["https://shop.github.io"], "cookie_domain": "github.io"}, ("cookie_domain",), "INVALID_VALUE"),
        ({"origins": [SHOP], "cookie_domain": "other.example"}, ("cookie_domain",), "INVALID_VALUE"),
        (
            {"origins": [SHOP, "https://evil.example"], "cookie_domain": "shop.example"},
            ("cookie_domain",),
            "INVALID_VALUE",
        ),
        ({"origins": [SHOP], "cookie_domain": "127.0.0.1"}, ("cookie_domain",), "INVALID_VALUE"),
        ({"origins": [SHOP], "cookie_domain": "shop.example; Path=/x"}, ("cookie_domain",), "INVALID_VALUE"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: tuple[str, ...], code: str) -> None:
    problems = changed(Collector(), given)
    assert isinstance(problems, list)
    assert [(problem.field, problem.code) for problem in problems] == [(field, code)]


def test_what_is_left_out_stays() -> None:
    before = Collector(True, (SHOP,), "shop.example", True)
    assert changed(before, {}) == before
    assert changed(before, {"enabled": False}) == Collector(False, (SHOP,), "shop.example", True)
    assert changed(before, {"origins": ["https://other.example"]}) == Collector(
        True, ("https://other.example",), "other.example", True
    )
    both = (SHOP, "https://other.example")
    problems = changed(before, {"origins": both})  # the shop's backend would lose the cookie without a word
    assert isinstance(problems, list)
    assert [(problem.field, problem.code) for problem in problems] == [(("origins",), "INVALID_VALUE")]
    assert changed(before, {"origins": both, "cookie_domain": None}) == Collector(True, both, None, True)
    assert Collector.read(before.stored()) == before


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("has_refused", [False, True])
@pytest.mark.parametrize("must_ask", [False, True])
@pytest.mark.parametrize("said", [None, "granted", "denied"])
@pytest.mark.parametrize("opts_out", [False, True])
def test_nothing_is_kept_of_whom_nobody_asked_or_who_refused(
    said: str | None, is_known: bool, has_refused: bool, must_ask: bool, opts_out: bool
) -> None:
    verdict = judge_call(said, is_known=is_known, has_refused=has_refused, must_ask=must_ask, opts_out=opts_out)
    refuses = opts_out or said == "denied"
    assert (verdict is Verdict.FORGET) == (refuses and is_known)
    assert (verdict is Verdict.TAKE) == (not refuses and (said == "granted" or not (must_ask or has_refused)))
    # A refusal is remembered where nobody asks first, and where the browser does not say it again by itself.
    assert (verdict is Verdict.REFUSE) == (said == "denied" and not (is_known or opts_out or must_ask or has_refused))


def test_a_cookie_is_the_collectors_own_where_its_host_is_outside_the_domain() -> None:
    collector = Collector(True, (SHOP,), "shop.example")
    assert collector.domain_at("t.shop.example") == collector.domain_at("shop.example") == "shop.example"
    assert collector.domain_at("badshop.example") is None
    assert collector.domain_at("localhost") is None
    assert Collector(True, (SHOP,)).domain_at("t.shop.example") is None


@pytest.mark.parametrize(
    ("origin", "host", "is_one"),
    [
        (SHOP, "t.shop.example", True),
        (SHOP, "www.shop.example", True),
        (SHOP, "t.other.example", False),
        ("https://evil.example", "t.shop.example", False),
        ("https://a.github.io", "b.github.io", False),
        ("https://github.io", "github.io", True),
        ("http://127.0.0.1:9350", "127.0.0.1", True),
        ("http://[::1]:9350", "::1", True),
        ("http://localhost:9350", "localhost", True),
        ("http://localhost:9350", "127.0.0.1", False),
        ("http://127.0.0.1", "127.0.0.2", False),
        ("null", "", False),
    ],
)
def test_a_cookie_is_given_within_one_site(origin: str, host: str, is_one: bool) -> None:
    assert is_one_site(origin, host) is is_one


@pytest.mark.parametrize(
    ("held", "domain", "ours"),
    [
        ([], "shop.example", None),
        (["a"], "shop.example", "a"),
        (["a", "a"], None, "a"),
        (["planted", "a"], "shop.example", "a"),
        (["0", "a"], "shop.example", "a"),
        (["planted", "0"], "shop.example", "0"),
        # A cookie of the same path on the registered domain may be older or newer than ours.
        (["a", "planted"], "t.shop.example", None),
        (["planted", "a"], None, None),
    ],
)
def test_of_several_cookies_the_one_that_the_server_set_counts(
    held: list[str], domain: str | None, ours: str | None
) -> None:
    assert ours_of(held, "t.shop.example", domain) == ours


def test_what_others_put_beside_the_cookie_is_ended() -> None:
    found = ends_of_others("t.shop.example", "shop.example")
    assert [one.removeprefix("_tlb=; Max-Age=0; ") for one in found] == [
        "Path=/",
        "Path=/t",
        "Domain=t.shop.example; Path=/",
        "Domain=t.shop.example; Path=/t",
        "Domain=shop.example; Path=/t",
    ]
    assert "_tlb=; Max-Age=0; Domain=shop.example; Path=/" in ends_of_others("t.shop.example", None)
    assert ends_of_others("127.0.0.1", None) == ["_tlb=; Max-Age=0; Path=/t"]
    assert len(ends_of_others("a." * 100 + "shop.example", "shop.example")) == 14


def test_a_cookie_lives_at_most_400_days() -> None:
    assert (
        cookie_header("x", timedelta(days=500), "shop.example", is_secure=True)
        == "_tlb=x; Max-Age=34560000; Domain=shop.example; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert cookie_header("", timedelta(0), None, is_secure=False) == "_tlb=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"


def test_the_tag_names_a_host_of_the_shops_own() -> None:
    collector = Collector(True, (SHOP,), "shop.example", True)
    address = address_of(collector, (), "https://tl.example")
    assert (
        snippet(address, "tlp_x", consent_required=True)
        == '<script src="https://t.shop.example/tl.js?m=tlp_x" data-consent="required" defer></script>'
    )
    assert address_of(collector, ("*", "x.other.example", "data.shop.example"), "") == "https://data.shop.example"
    assert address_of(Collector(), ("t.shop.example",), "http://127.0.0.1:8000") == "http://127.0.0.1:8000"


def test_safari_compares_the_first_half_of_an_address() -> None:
    assert shares_half(["203.0.113.7"], ["198.51.100.1", "203.0.1.1"])
    assert not shares_half(["203.0.113.7"], ["203.1.113.7"])
    assert shares_half(["2001:db8:1:2::1"], ["2001:db8:1:2:ffff::"])
    assert not shares_half(["2001:db8:1:2::1"], ["2001:db8:1:3::1"])
    assert not shares_half([], [])


def test_suffixes_are_nobodys() -> None:
    assert registrable("a.b.shop.co.uk") == "shop.co.uk"
    assert [registrable(name) for name in ("co.uk", "localhost", "127.0.0.1", "github.io")] == [None] * 4
