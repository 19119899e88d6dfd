"""What a page shows of a click, cookie by cookie: the form in which each tag writes it, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tracklayer.domain.shown import COOKIES, MAX_KINDS, MAX_VALUE, PARAMETERS, Seen, clicks_in, seen_in
from tracklayer.domain.stitching import KINDS

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
THEN = datetime(2026, 11, 17, 9, 30, 15, tzinfo=UTC)
S, MS = f"{int(THEN.timestamp())}", f"{int(THEN.timestamp())}123"
UUID = "2c0e7a9f-5f0b-4d5e-9a60-1f6f0a6b7c11"


@pytest.mark.parametrize(
    ("name", "raw", "kind", "value", "since"),
    [
        pytest.param("_fbc", f"fb.1.{MS}.IwAR2F4-dbP0", "fbc", f"fb.1.{MS}.IwAR2F4-dbP0", THEN, id="fbc"),
        pytest.param("_fbc", f"fb.1.{MS}.IwAR2F4-dbP0.AQ", "fbc", f"fb.1.{MS}.IwAR2F4-dbP0.AQ", THEN, id="with a tail"),
        pytest.param("_fbp", f"fb.1.{MS}.1116446470", "fbp", f"fb.1.{MS}.1116446470", NOW, id="fbp"),
        pytest.param("_gcl_aw", f"GCL.{S}.Cj0KCQ_x-1", "gclid", "Cj0KCQ_x-1", THEN, id="gclid"),
        pytest.param("_gcl_gb", f"GCL.{S}.Probe_W-3", "wbraid", "Probe_W-3", THEN, id="gb holds a wbraid"),
        pytest.param("_gcl_ag", f"2.1.kProbe_G-2$i{S}", "gbraid", "Probe_G-2", THEN, id="ag holds a gbraid"),
        pytest.param("_ga", "GA1.1.1234567890.1713877200", "ga_client_id", "1234567890.1713877200", NOW, id="ga"),
        pytest.param("_ga", "GA1.2-2.1234567890.1713877200", "ga_client_id", "1234567890.1713877200", NOW, id="deep"),
        pytest.param(
            "_ga_ABC123", "GS1.1.1747123456.5.1.1747123999.0.0.0", "ga_session_id", "1747123456", NOW, id="s1"
        ),
        pytest.param("_ga_ABC123", "GS2.1.s1747123456$o5$g1$t1747123999", "ga_session_id", "1747123456", NOW, id="s2"),
        pytest.param("_ga_ABC123", "GS2.1.s1747123456%24o5%24g1", "ga_session_id", "1747123456", NOW, id="encoded"),
        pytest.param("_ttp", "2Zf8Gk3JmN0pQ", "ttp", "2Zf8Gk3JmN0pQ", NOW, id="ttp"),
        pytest.param("ttclid", "E.C.P.CkdBQ0_x-1", "ttclid", "E.C.P.CkdBQ0_x-1", NOW, id="ttclid"),
        pytest.param("_uetmsclkid", f"_uet{'ab' * 16}", "msclkid", "ab" * 16, NOW, id="msclkid"),
        pytest.param("twclid", "2-4wlqhr7m6k0jfd", "twclid", "2-4wlqhr7m6k0jfd", NOW, id="twclid"),
        pytest.param("li_fat_id", UUID, "li_fat_id", UUID, NOW, id="li_fat_id"),
        pytest.param("_rdt_uuid", f"{MS}.{UUID}", "rdt_uuid", f"{MS}.{UUID}", NOW, id="rdt_uuid"),
        pytest.param("_rdt_cid", "4321", "rdt_cid", "4321", NOW, id="rdt_cid"),
        pytest.param("_epik", "dj0yJnU9Zz09", "epik", "dj0yJnU9Zz09", NOW, id="epik"),
        pytest.param("_scid", UUID, "sc_cookie1", UUID, NOW, id="scid"),
        pytest.param("_scclid", "8F2c-Ab", "sc_click_id", "8F2c-Ab", NOW, id="scclid"),
    ],
)
def test_a_cookie_is_read_as_its_tag_writes_it(name: str, raw: str, kind: str, value: str, since: datetime) -> None:
    (seen,) = seen_in({}, {name: raw}, NOW)
    assert (seen.kind, seen.value) == (kind, value)
    assert seen.since.replace(microsecond=0) == since
    assert since == NOW or name != "_fbc" or seen.since.microsecond == 123_000


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        pytest.param("_fbc", "IwAR2F4-dbP0", id="a click id where a cookie of it is wanted"),
        pytest.param("_fbp", "fb.1.1596403881668.11<b>", id="markup"),
        pytest.param("_gcl_aw", "GCL.1.x", id="no time"),
        pytest.param("_ga", "GA1.1.null.null", id="nobody"),
        pytest.param("_ga_ABC", "GS3.1.s1", id="another form"),
        pytest.param("twclid", "null", id="a word for nothing"),
        pytest.param("twclid", "a b", id="a blank"),
        pytest.param("twclid", "a%00b", id="a control character"),
        pytest.param("twclid", "x" * (MAX_VALUE + 1), id="too long"),
        pytest.param("twclid", "jane@example.com", id="an address"),
        pytest.param("twclid", "\ud800", id="half of a letter"),
        pytest.param("twclid", 5, id="a number"),
        pytest.param("twclid", ["a"], id="a list"),
        pytest.param("session", "abc", id="a cookie of the shop's own"),
        pytest.param("email", "abc", id="an email"),
    ],
)
def test_what_is_not_of_the_known_form_is_left_out(name: str, raw: object) -> None:
    assert seen_in({}, {name: raw}, NOW) == []
    assert seen_in({name: raw}, {}, NOW) == [] or name in PARAMETERS


@pytest.mark.parametrize(
    "raw",
    ['["Cj0_x"]', '{"value":"Cj0_x","expiryDate":1793877200123}', "Cj0_x&amp;utm_source=x", "%22Cj0_x%22", "Cj0_x&quot;", r"\"Cj0_x\"", "gclid=Cj0_x"],
)  # fmt: skip
def test_a_click_id_is_read_without_what_was_copied_with_it_as_in_an_event(raw: str) -> None:
    assert seen_in({"gclid": raw}, {}, NOW) == [Seen("gclid", "Cj0_x", NOW)]
    assert seen_in({}, {"_gcl_aw": raw.replace("Cj0_x", f"GCL.{S}.Cj0_x")}, NOW) == [Seen("gclid", "Cj0_x", THEN)]


@pytest.mark.parametrize("raw", ['["a1","b2"]', '["null"]', "[]", '{"fbclid":"a1"}', "gclid=(not set)"])
def test_of_what_holds_no_one_click_id_none_is_kept(raw: str) -> None:
    assert seen_in({"gclid": raw}, {}, NOW) == []


@pytest.mark.parametrize("name", ["twclid", "rdt_cid", "epik", "ScCid", "gclid"])
@pytest.mark.parametrize("raw", ["+4917612345678", "%2B49%20176%2012345678", "jane%40example.com", "null"])
def test_a_phone_or_an_email_in_the_place_of_a_click_id_is_none(name: str, raw: str) -> None:
    assert seen_in({name: raw}, {}, NOW) == []
    assert [one.value for one in seen_in({name: raw}, {"_gcl_aw": f"GCL.{int(NOW.timestamp())}.abc"}, NOW)] == ["abc"]


def test_the_address_goes_before_a_cookie() -> None:
    found = seen_in({"gclid": "New-1", "ScCid": "AbC"}, {"_gcl_aw": f"GCL.{S}.Old-1", "_scclid": "old"}, NOW)
    assert found == [Seen("gclid", "New-1", NOW), Seen("sc_click_id", "AbC", NOW)]


def test_a_cookie_of_the_click_in_the_address_says_since_when_it_is_known() -> None:
    address = {"gclid": "Old-1", "wbraid": "Old-2", "gbraid": "New-3"}
    cookies = {"_gcl_aw": f"GCL.{S}.Old-1", "_gcl_gb": f"GCL.{S}.Old-2", "_gcl_ag": f"2.1.kOld-3$i{S}"}
    assert seen_in(address, cookies, NOW) == [
        Seen("gclid", "Old-1", THEN),
        Seen("wbraid", "Old-2", THEN),
        Seen("gbraid", "New-3", NOW),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        "null",
        "NONE",
        "(none)",
        "(null)",
        "--",
        "%22null%22",
        "%7Bgclid%7D",
        "%257Bgclid%257D",
        "a%20b",
        "%E2%80%8B",
        "jane@example.com",
        "%2B4915112345678",
        "[%22a1%22,%22b2%22]",
        "a1%26b2",
    ],
)
def test_what_is_no_click_id_in_a_field_is_none_in_an_address(raw: str) -> None:
    assert clicks_in(f"/x?gclid={raw}") == {}
    assert clicks_in(f"/x?gclid={raw}&gclid=Real") == {"gclid": "Real"}


def test_of_an_address_every_kind_is_found_as_its_platform_writes_it() -> None:
    assert clicks_in(None) == clicks_in("https://[x?gclid=a") == clicks_in("/x#?gclid=a") == {}
    assert clicks_in("myapp://buy?ScCid=a%2Db&li_fat_id=c&fbclid=d.AQ&ttclid=e.f&msclkid=0") == {
        "sc_click_id": "a-b",
        "li_fat_id": "c",
        "fbclid": "d.AQ",
        "ttclid": "e.f",
    }


@pytest.mark.parametrize("raw", ["a.b", "Iw%E2%80%8BAR", "Iw%00AR", "Iw%C3%A4"])
def test_a_click_id_that_metas_cookie_cannot_hold_is_none(raw: str) -> None:
    assert clicks_in(f"/x?fbclid={raw}") == {}


def test_of_several_sessions_the_last_counts() -> None:
    cookies = {"_ga_A": "GS1.1.1747123456.1", "_ga_B": "GS2.1.s1747129999$o1", "_ga_C": "x"}
    assert seen_in({}, cookies, NOW) == [Seen("ga_session_id", "1747129999", NOW)]


@pytest.mark.parametrize("at", [NOW + timedelta(days=1), NOW - timedelta(days=401)])
def test_a_time_that_cannot_be_is_not_believed(at: datetime) -> None:
    (seen,) = seen_in({}, {"_gcl_aw": f"GCL.{int(at.timestamp())}.x"}, NOW)
    assert seen.since == NOW


@pytest.mark.parametrize(
    ("at", "kind"),
    [
        (NOW + timedelta(minutes=5), "fbc"),
        (NOW + timedelta(minutes=6), "fbclid"),
        (NOW + timedelta(days=300), "fbclid"),
        (NOW - timedelta(days=400), "fbc"),
        (NOW - timedelta(days=401), "fbclid"),
    ],
)
def test_of_a_cookie_whose_clock_is_wrong_the_click_is_left(at: datetime, kind: str) -> None:
    cookie = f"fb.1.{int(at.timestamp() * 1000)}.IwAR2F4-dbP0"
    for tail in ("", ".AQ"):
        (seen,) = seen_in({}, {"_fbc": cookie + tail}, NOW)
        if kind == "fbc":
            assert (seen.kind, seen.value, seen.since) == ("fbc", cookie + tail, min(at, NOW))
        else:
            assert seen == Seen("fbclid", "IwAR2F4-dbP0", NOW)
    # The address says which click it is.
    found = seen_in({"fbclid": "New-1"}, {"_fbc": cookie}, NOW)
    assert Seen("fbclid", "New-1", NOW) in found
    assert len(found) == (2 if kind == "fbc" else 1)


def test_every_kind_is_one_that_is_stitched_and_all_of_them_fit_into_a_call() -> None:
    kinds = {form.kind for form in (*PARAMETERS.values(), *COOKIES.values())} | {"ga_session_id"}
    assert kinds <= set(KINDS)
    assert len(kinds) + len(("client_ip", "client_user_agent")) == MAX_KINDS
