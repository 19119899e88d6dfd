"""Which identifiers a platform uses: what its mapper declares is what makes a difference to what it sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tracklayer.domain.event import ACTION_SOURCES
from tracklayer.domain.facts import IDENTIFIERS
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.mappers import PLATFORMS, mapper_for, outgoing
from tracklayer.mappers.base import Mapped
from tracklayer.services.destinations import example_settings
from tracklayer.services.preview import normalise_value

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
VALUES = {
    "email": "jane@example.com",
    "phone": "+16505550177",
    "first_name": "Jane",
    "last_name": "Roe",
    "date_of_birth": "1984-02-29",
    "gender": "f",
    "street": "1 Main Street",
    "city": "Springfield",
    "state": "CA",
    "zip": "94107",
    "country": "US",
    "external_id": "customer-77",
    "client_ip": "203.0.113.42",
    "client_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    "browser_id": "tl.1.1713877200000.4f9c2b7a61d84e0f",
    "fbp": "fb.1.1713877200000.1234567890",
    "fbc": "fb.1.1713877200000.AQzXy1abcDEFghiJKlMNopQR",
    "fbclid": "IwAR2F4dqqXyZ",
    "ttp": "94e2a4j9-h3ss-k5cz-a1b2-c3d4e5f60718",
    "ttclid": "E.C.P.abcdef0123456789",
    "gclid": "CjwKCAiA-xyz_0123",
    "gbraid": "0AAAAAabcdef0123",
    "wbraid": "CkEKCQiAabcdef01",
    "ga_client_id": "1234567890.1713877200",
    "ga_session_id": "1713877200",
    "epik": "dj0yJnU9abcdef0123",
    "sc_click_id": "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "sc_cookie1": "c5f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "li_fat_id": "d6f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "rdt_cid": "5316480811201435000",
    "rdt_uuid": "1713877200000.e7f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e",
    "msclkid": "3b2f0a4c5d6e7f8091a2b3c4d5e6f708",
    "twclid": "26l6412g5p4iyj65a2oic2ayg2",
    "lead_id": "1234567890123456",
    "job_title": "Buyer",
    "company_name": "Example Ltd",
}
# With everything, without what stands in for others, and with little besides.
SETS = (
    set(VALUES),
    set(VALUES) - {"fbc", "gclid"},
    set(VALUES) - {"fbc", "gclid", "gbraid"},
    {"email", "client_ip", "client_user_agent", "ga_client_id"},
    {"client_ip", "client_user_agent", "ga_client_id", "msclkid", "twclid", "gclid"},
)


def sent(platform: str, user: set[str], source: str, name: str, settings: dict[str, Any]) -> bytes:
    event = {
        "event_name": name,
        "event_id": "order_1",
        "occurred_at": "2026-11-20T14:59:00Z",
        "action_source": source,
        "event_source_url": "https://shop.example.com/thanks",
        "user_data": {field: VALUES[field] for field in user},
        "custom_data": {"value": 129.99, "currency": "USD", "order_id": "order_1"},
        "consent": {"ad_user_data": "granted", "ad_personalization": "granted"},
    }
    read = read_event(event, NOW)
    assert isinstance(read, ReadEvent), read
    found = mapper_for(platform).map_event(read.event, settings, NOW)
    return orjson.dumps([found.item, found.group] if isinstance(found, Mapped) else None)


def used(platform: str) -> tuple[str, ...]:
    """Identifiers without which another item, or none, goes out: of some event, under some settings."""
    examples = example_settings(mapper_for(platform))
    flags = {
        setting.name: setting.check is None or setting.check(True) is None
        for setting in mapper_for(platform).settings
        if setting.name not in examples or isinstance(examples[setting.name], bool)
    }
    all_on = {**examples, **{name: True for name, takes in flags.items() if takes and name.startswith("send")}}
    found = set()
    for source in ACTION_SOURCES:
        for name, users in (("Purchase", SETS), ("Lead", SETS[:1])):
            for user in users:
                whole = sent(platform, user, source, name, all_on)
                found |= {each for each in user if sent(platform, user - {each}, source, name, all_on) != whole}
                found |= {
                    each for each in set(VALUES) - user if sent(platform, user | {each}, source, name, all_on) != whole
                }
    return tuple(name for name in IDENTIFIERS if name in found)


def test_there_is_a_value_of_each_identifier() -> None:
    assert set(VALUES) == set(IDENTIFIERS)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_mapper_declares_the_identifiers_that_it_uses(platform: str) -> None:
    assert mapper_for(platform).identifiers == used(platform)


# Platform, field of user_data, the parameter of a page's URL, what no platform could read as such an id.
CLICK_IDS = [
    ("meta", "fbclid", "fbclid", "a b"),
    ("tiktok", "ttclid", "ttclid", "a b"),
    *[("google_ads", name, name, "a b") for name in ("gclid", "gbraid", "wbraid")],
    ("pinterest", "epik", "epik", "a b"),
    ("snapchat", "sc_click_id", "ScCid", "a b"),
    ("linkedin", "li_fat_id", "li_fat_id", "x y"),
    ("reddit", "rdt_cid", "rdt_cid", "a b"),
    ("microsoft_ads", "msclkid", "msclkid", "xyz"),
    ("x_ads", "twclid", "twclid", "a b"),
]


def mapped(platform: str, query: str, **user: str) -> Mapped:
    event = {
        "event_name": "Purchase",
        "event_id": "order_1",
        "occurred_at": "2026-11-20T14:59:00Z",
        "event_source_url": f"https://shop.example.com/thanks?{query}",
        "user_data": {"email": "jane@example.com", **user},
        "custom_data": {"value": 129.99, "currency": "USD", "order_id": "order_1"},
        "consent": {"ad_user_data": "granted", "ad_personalization": "granted"},
    }
    read = read_event(event, NOW)
    assert isinstance(read, ReadEvent), read
    mapper = mapper_for(platform)
    found = outgoing.map_event(mapper, read.event, example_settings(mapper), NOW)
    assert isinstance(found, Mapped), found
    return found


@pytest.mark.parametrize(("platform", "field", "parameter", "malformed"), CLICK_IDS)
@pytest.mark.parametrize("of_urls", ["once", "twice"])
def test_a_malformed_click_id_does_not_hide_the_good_one_of_the_url(
    platform: str, field: str, parameter: str, malformed: str, of_urls: str
) -> None:
    good = VALUES[field]
    query = f"{parameter}={good}" + (f"&{parameter}={good[:-1]}0" if of_urls == "twice" else "")
    given = mapped(platform, query, **{field: good})
    assert good in str(given.item)
    assert mapped(platform, query).item == given.item  # the first of two
    bad = mapped(platform, query, **{field: malformed})
    assert bad.item == given.item
    if platform != "tiktok":  # which takes the URL's before any other
        assert [verdict.field for verdict in bad.verdicts if not verdict.ok] == [f"user_data.{field}"]


@pytest.mark.parametrize(("platform", "field", "parameter", "malformed"), CLICK_IDS)
def test_a_click_id_that_is_malformed_everywhere_is_left_out_and_told_once(
    platform: str, field: str, parameter: str, malformed: str
) -> None:
    bad = mapped(platform, f"{parameter}=a%20b", **{field: malformed})
    assert bad.item | mapped(platform, f"{parameter}=a%20b").item == mapped(platform, f"{parameter}=a%20b").item
    assert [verdict.field for verdict in bad.verdicts if not verdict.ok] == [f"user_data.{field}"]


@pytest.mark.parametrize(("platform", "field", "parameter", "malformed"), CLICK_IDS)
def test_a_plus_in_the_click_id_of_a_url_is_one(platform: str, field: str, parameter: str, malformed: str) -> None:
    if field == "msclkid":
        return  # hexadecimal digits
    assert "AbCdEfGh+1234" in str(mapped(platform, f"{parameter}=AbCdEfGh+1234").item)


@pytest.mark.parametrize("platform", ["meta", "tiktok", "pinterest", "snapchat"])
@pytest.mark.parametrize("country", [{"country": "US"}, {}])
def test_a_state_by_its_whole_code_is_the_one_without_its_country(platform: str, country: dict[str, str]) -> None:
    short = mapped(platform, "", **country, state="CA").item
    assert mapped(platform, "", **country, state="US-CA").item == short
    assert mapped(platform, "", **country).item != short


# As they arrive; of some the reader makes another text, of some no platform gets anything.
AS_SENT = [
    *VALUES.items(),
    *[(name, f" {value} ") for name, value in VALUES.items() if name != "browser_id"],
    ("gclid", "GCL.1794000000.Cj0KCQiA_exampleGclid"),
    ("gclid", "1.1.k9GCL.1794000000.Cj0KCQiA_exampleGclid"),
    ("fbclid", "fbclid=IwAR2F4dqqXyZ"),
    ("client_ip", "unknown, 203.0.113.42:80"),
    ("client_ip", "203.0.113.256"),
    ("client_user_agent", "Mozilla/5.0 jane@example.com"),
    ("client_user_agent", "Mozilla/5.0 +14155550132"),
    ("city", "jane@example.com"),
    ("state", "US-CA"),
    ("zip", "jane@example.com"),
    *[
        (name, "jane@example.com")
        for name in ("ttclid", "gclid", "epik", "sc_click_id", "li_fat_id", "rdt_cid", "twclid")
    ],
    *[(name, "a b") for name in ("ttclid", "gclid", "epik", "sc_click_id", "li_fat_id", "rdt_cid", "twclid", "ttp")],
    *[(name, "null") for name in VALUES],
    ("external_id", "jane@example.com"),
    ("external_id", "5f4dcc3b5aa765d61d8327deb882cf99"),
    ("gclid", "G" * 3000),
]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_normalize_says_what_is_sent(platform: str) -> None:
    mapper = mapper_for(platform)
    settings = example_settings(mapper)
    base = {"email": "sam@example.com", "first_name": "Sam", "last_name": "Poe", "country": "US", "zip": "10001"}
    if platform == "ga4":
        base["ga_client_id"] = VALUES["ga_client_id"]
    told = 0
    for field, value in AS_SENT:
        if field not in mapper.normalise or field in base:
            continue
        out = normalise_value(platform, field, value, settings)
        without = leaves(mapped(platform, "", **base).item)
        there = leaves(mapped(platform, "", **{**base, field: value}).item) - without
        if out is None:
            assert not there, (field, value, there)
        elif field in PLAINLY.get(platform, ()):
            assert out in there, (field, value, out, there)
            told += 1
    assert told or platform not in PLAINLY


# Fields that stand as such in an item of a website's event by these settings.
PLAINLY = {
    "google_ads": ("gclid", "gbraid", "wbraid", "client_ip", "client_user_agent"),
    "pinterest": ("client_ip", "client_user_agent", "epik", "state", "city", "external_id"),
    "tiktok": ("client_ip", "client_user_agent", "ttp", "ttclid", "state", "city", "external_id"),
    "snapchat": ("client_ip", "client_user_agent", "sc_click_id", "state", "city", "external_id"),
    "meta": ("client_ip", "client_user_agent", "state", "city", "external_id"),
    "linkedin": ("li_fat_id", "client_ip", "external_id"),
    "reddit": ("rdt_cid", "client_ip", "client_user_agent", "external_id"),
    "microsoft_ads": ("msclkid", "client_ip", "client_user_agent", "external_id"),
    "x_ads": ("twclid", "client_ip", "client_user_agent"),
}


def leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(leaves, value.values()))
    if isinstance(value, list):
        return set().union(*map(leaves, value))
    return {str(value)}
