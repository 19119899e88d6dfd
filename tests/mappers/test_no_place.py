"""What becomes of each field of an event, on each platform: it is sent, or a verdict names it, or it is declared to have no place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tracklayer import mappers
from tracklayer.domain.event import (
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    DEVICE_FIELDS,
    EVENT_FIELDS,
    GIVEN_IDS,
    USER_FIELDS,
    Event,
)
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import Mapped, Mapper, RuleVerdict
from tracklayer.mappers.outgoing import map_event, show_event
from tracklayer.services.destinations import check_settings, example_settings
from tracklayer.services.preview import prepare, preview

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
SOURCES = ("website", "app", "physical_store")
# Of each field two values that make a difference where they are sent. Not of the event's id, by which TrackLayer itself knows it:
# of a platform that knows an event by its order, its page says so.
ACTION: Mapping[str, tuple[Any, Any]] = {
    "event_name": ("Purchase", "Search"),
    "occurred_at": ("2026-11-20T14:59:00Z", "2026-11-20T14:58:00Z"),
    "action_source": ("website", "app"),
    "event_source_url": ("https://shop.example.com/thanks", "https://shop.example.com/done"),
}
PERSON: Mapping[str, tuple[Any, Any]] = {
    "email": ("jane@example.com", "joan@example.com"),
    "phone": ("+16505550177", "+16505550178"),
    "emails": (["jane@example.org"], ["joan@example.org"]),
    "phones": (["+16505550187"], ["+16505550188"]),
    "first_name": ("Jane", "Joan"),
    "last_name": ("Roe", "Doe"),
    "date_of_birth": ("1984-02-29", "1985-03-30"),
    "gender": ("f", "m"),
    "street": ("1 Main Street", "2 Side Street"),
    "city": ("Springfield", "Shelbyville"),
    "state": ("CA", "NY"),
    "zip": ("94107", "10001"),
    "country": ("US", "CA"),
    "external_id": ("customer-77", "customer-78"),
    "client_ip": ("203.0.113.42", "203.0.113.43"),
    "client_user_agent": ("Mozilla/5.0 (Windows NT 10.0)", "Mozilla/5.0 (X11; Linux x86_64)"),
    "lead_id": ("1234567890123456", "6543210987654321"),
    "job_title": ("Buyer", "Seller"),
    "company_name": ("Example Ltd", "Sample Ltd"),
}
CUSTOM: Mapping[str, tuple[Any, Any]] = {
    "value": (12.5, 13.5),
    "currency": ("EUR", "USD"),
    "order_id": ("order_1", "order_2"),
    "product_ids": (["p_1"], ["p_2"]),
    "num_items": (3, 4),
    "content_name": ("Boots", "Shoes"),
    "content_category": ("Winter", "Summer"),
    "content_type": ("product", "product_group"),
    "search_string": ("red boots", "blue shoes"),
    "status": ("completed", "pending"),
    "predicted_ltv": (77, 78),
}
LINE: Mapping[str, tuple[Any, Any]] = {
    "id": ("sku_1", "sku_2"),
    "quantity": (2, 3),
    "item_price": (12.5, 13.5),
    "title": ("Red boots", "Blue shoes"),
    "brand": ("Acme", "Bolt"),
    "category": ("Boots", "Shoes"),
    "variant": ("red", "blue"),
    "coupon": ("SPRING", "AUTUMN"),
    "discount": (1, 2),
}
DEVICE: Mapping[str, tuple[Any, Any]] = {
    "os": ("iOS", "Android"),
    "os_version": ("17.1", "18.2"),
    "app_id": ("com.example.one", "com.example.two"),
    "app_name": ("One", "Two"),
    "app_version": ("1.2.3", "2.3.4"),
    "model": ("iPhone15,2", "iPhone14,1"),
    "locale": ("en_US", "de_DE"),
    "time_zone": ("Europe/Berlin", "America/New_York"),
    "carrier": ("Telia", "Vodafone"),
    "screen_width": (1170, 1080),
    "screen_height": (2532, 1920),
    "advertising_id": ("B4F1A1C2-6F0E-4A39-9D9D-2A7F0B0C1D2E", "C4F1A1C2-6F0E-4A39-9D9D-2A7F0B0C1D2E"),
    "vendor_id": ("A4F1A1C2-6F0E-4A39-9D9D-2A7F0B0C1D2E", "D4F1A1C2-6F0E-4A39-9D9D-2A7F0B0C1D2E"),
    "tracking_allowed": (True, False),
}
CONSENT: Mapping[str, tuple[Any, Any]] = {
    "ad_user_data": ("granted", "denied"),
    "ad_personalization": ("granted", "denied"),
    "limited_data_use": (False, True),
}
VALUES: Mapping[str, Mapping[str, tuple[Any, Any]]] = {
    "": ACTION,
    "user_data": PERSON,
    "custom_data": CUSTOM,
    "custom_data.contents": LINE,
    "device": DEVICE,
    "consent": CONSENT,
}
# What platforms want besides of an event that they could match to somebody, or to a browser.
IDS = {"ga_client_id": "1234567890.1713877200", "gclid": "CjwKCAiA-xyz_0123", "twclid": "26l6412g5p4iyj65a2oic2ayg2"}
# Event name, system, and what is missing: where something is, another field may stand in for it or count instead.
KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Purchase", "iOS", ()),
    ("Purchase", "Android", ()),
    ("Search", "iOS", ()),
    ("Lead", "iOS", ("user_data.first_name", "user_data.last_name")),
    ("Purchase", "iOS", ("custom_data.contents",)),
    ("Purchase", "iOS", ("custom_data.contents", "custom_data.product_ids", "user_data.client_user_agent")),
    ("Purchase", "iOS", ("custom_data.content_category", "custom_data.product_ids")),
    ("Purchase", "iOS", ("user_data.email", "user_data.phone")),
)
ALL_PATHS = [f"{whole}.{name}".lstrip(".") for whole, names in VALUES.items() for name in names]


def test_there_are_two_values_of_every_field_of_the_data_model() -> None:
    assert {*ACTION, "event_id", "user_data", "custom_data", "device", "consent"} == set(EVENT_FIELDS)
    assert set(PERSON) | GIVEN_IDS == set(USER_FIELDS)
    assert not set(PERSON) & GIVEN_IDS
    assert {*CUSTOM, "contents", "properties"} == set(CUSTOM_FIELDS)
    assert (set(LINE), set(DEVICE)) == (set(CONTENT_FIELDS), set(DEVICE_FIELDS))


def part_of(event: dict[str, Any], whole: str) -> dict[str, Any]:
    if not whole:
        return event
    found: dict[str, Any] = event["custom_data"]["contents"][0] if whole == "custom_data.contents" else event[whole]
    return found


def drafts(source: str) -> Iterator[dict[str, Any]]:
    for name, os, missing in KINDS:
        draft: dict[str, Any] = {}
        for whole, values in VALUES.items():
            given = {field: value for field, (value, _) in values.items()}
            if whole == "custom_data.contents":
                draft["custom_data"]["contents"] = [given]
            elif not whole:
                draft |= {**given, "event_id": "event_1", "event_name": name, "action_source": source}
            else:
                draft[whole] = given
        draft["user_data"] |= IDS
        draft["device"]["os"] = os
        for path in missing:
            whole, _, field = path.rpartition(".")
            del draft[whole][field]
        yield draft


def with_another(draft: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The draft with another value in a field; None where it has none there."""
    whole, _, field = path.rpartition(".")
    if whole == "custom_data.contents" and "contents" not in draft["custom_data"]:
        return None
    given = part_of(draft, whole).get(field)
    if given is None:
        return None
    other = deepcopy(draft)
    part_of(other, whole)[field] = next(value for value in VALUES[whole][field] if value != given)
    return other


def read(draft: dict[str, Any]) -> Event:
    found = read_event(draft, NOW)
    assert isinstance(found, ReadEvent), found
    return found.event


def request_of(mapper: Mapper, event: Event, settings: Mapping[str, Any]) -> Any:
    """What goes out, as far as it goes out at all: the reason, where it does not."""
    found = map_event(mapper, event, settings, NOW)
    if not isinstance(found, Mapped):
        return found.reason
    request = mapper.build_request(found.group, [found.item], settings)
    return orjson.dumps([request.url, request.body])


def fields_left_out(mapper: Mapper, event: Event, settings: Mapping[str, Any]) -> set[str | None]:
    return {verdict.field for verdict in show_event(mapper, event, settings, NOW).verdicts if not verdict.ok}


def ways_to_set(platform: str) -> Iterator[dict[str, Any]]:
    """Settings: the invented ones, with each switch the other way but those by which a merchant keeps something back, and every
    setting there is.
    """
    mapper = mapper_for(platform)
    every = {setting.name: setting.example for setting in mapper.settings if setting.example is not None}
    for name in ("event_names", "require_consent", "test_event_code"):
        every.pop(name, None)
    for used in (example_settings(mapper), every):
        if check_settings(mapper, used):
            continue
        yield used
        for setting in mapper.settings:
            if isinstance(setting.example, bool) and not setting.name.startswith(("send_", "limited_")):
                yield {**used, setting.name: not used.get(setting.name, setting.example)}


def is_listed(path: str, listed: set[str]) -> bool:
    return path in listed or path.rpartition(".")[0] in listed


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_field_is_sent_or_said_to_be_left_out(platform: str, source: str) -> None:
    mapper = mapper_for(platform)
    silent, both = set[str](), set[str]()
    for settings in ways_to_set(platform):
        sent, told, there = set[str](), set[str](), False
        for draft in drafts(source):
            event = read(draft)
            found = show_event(mapper, event, settings, NOW)
            if not isinstance(found, Mapped):
                continue
            there = True
            request = request_of(mapper, event, settings)
            listed = {verdict.field or "" for verdict in found.verdicts if verdict.rule == "no_place"}
            listed |= mapper.no_place_for
            named = fields_left_out(mapper, event, settings)
            for path in ALL_PATHS:
                has_no_place = is_listed(path, listed)
                if path in sent and not has_no_place:
                    continue
                other = with_another(draft, path)
                if other is None:
                    continue
                event_of_other = read(other)
                if request_of(mapper, event_of_other, settings) != request:
                    sent.add(path)
                    both |= {path} if has_no_place else set()
                elif has_no_place or path in named | fields_left_out(mapper, event_of_other, settings):
                    told.add(path)
        if there:
            silent |= {path for path in ALL_PATHS if path not in sent | told}
    assert (silent, both) == (set(), set())


# What came with what, so that one of them may go nowhere.
TOGETHER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("product_ids", {"value": 5, "currency": "EUR", "product_ids": ["p_1"], "contents": [{"id": "sku_1"}]}),
    ("product_ids", {"product_ids": ["p_1"], "contents": [{"id": "sku_1", "quantity": 2, "item_price": 5}]}),
    ("currency", {"currency": "EUR"}),
    ("currency", {"currency": "EUR", "contents": [{"id": "sku_1", "quantity": 2}]}),
    ("currency", {"currency": "EUR", "predicted_ltv": 5}),
    ("currency", {"currency": "EUR", "value": 5}),
)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("source", SOURCES)
def test_what_goes_nowhere_for_what_came_with_it_is_named_and_nothing_that_is_sent(platform: str, source: str) -> None:
    mapper = mapper_for(platform)
    for settings in ways_to_set(platform):
        for name in ("Purchase", "AddToCart", "Search", "Lead", "earn_virtual_currency"):
            for field, custom in TOGETHER:
                given = next(drafts(source)) | {"event_name": name, "custom_data": custom}
                event, path = read(given), f"custom_data.{field}"
                if not isinstance(map_event(mapper, event, settings, NOW), Mapped):
                    continue
                other = with_another(given, path)
                assert other is not None
                is_sent = request_of(mapper, event, settings) != request_of(mapper, read(other), settings)
                is_named = path in fields_left_out(mapper, event, settings)
                assert is_sent is not is_named, (name, custom)


@pytest.mark.parametrize(
    ("platform", "custom", "field", "message"),
    [
        pytest.param(
            "tiktok", TOGETHER[0][1], "product_ids", "left out: TikTok takes the ids of `contents`", id="the ids of two"
        ),
        pytest.param("meta", TOGETHER[0][1], "product_ids", None, id="both"),
        pytest.param("tiktok", {"product_ids": ["p_1"]}, "product_ids", None, id="one"),
        pytest.param(
            "linkedin",
            {"currency": "EUR"},
            "currency",
            "left out: it goes with an amount, and none is sent",
            id="of none",
        ),
        pytest.param("meta", {"currency": "EUR"}, "currency", None, id="alone"),
        pytest.param("linkedin", {"currency": "EUR", "value": 5}, "currency", None, id="of an amount"),
    ],
)
def test_a_preview_says_for_what_a_field_goes_nowhere(
    platform: str, custom: dict[str, Any], field: str, message: str | None
) -> None:
    given = next(drafts("website")) | {"event_name": "AddToCart", "custom_data": custom}
    found = preview(given, prepare(platform, example_settings(mapper_for(platform))), NOW)
    assert {one.field: one.message for one in found.verdicts}.get(f"custom_data.{field}") == message


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_is_declared_to_have_no_place_is_of_the_data_model_and_stands_on_the_page(platform: str) -> None:
    declared = mapper_for(platform).no_place_for
    page = (Path(mappers.__file__).parent / f"{platform}.md").read_text("utf-8")
    _, _, section = page.partition("\n## What has no place\n")
    rows = re.findall(
        r"^- (?:`([a-z_.]+)`|of the event itself): (.*(?:\n  .*)*)$", section.partition("\n## ")[0], re.MULTILINE
    )
    listed = {
        whole if rest == "all of it" else f"{whole}.{name}".lstrip(".")
        for whole, rest in rows
        for name in re.findall(r"`(\w+)`", rest) or [""]
    }

    assert listed == declared
    assert declared <= {*ALL_PATHS, *VALUES}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_delivery_pays_nothing_for_what_only_a_preview_says(platform: str) -> None:
    mapper = mapper_for(platform)
    draft = next(drafts("website"))

    found = map_event(mapper, read(draft), example_settings(mapper), NOW)

    assert isinstance(found, Mapped)
    assert [verdict for verdict in found.verdicts if verdict.rule == "no_place"] == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_is_said_of_what_is_not_there(platform: str) -> None:
    mapper = mapper_for(platform)
    draft = next(drafts("website"))
    draft |= {"user_data": {name: draft["user_data"][name] for name in ("email", *IDS)}, "event_source_url": None}
    draft |= {"device": {"os": " "}, "consent": {"limited_data_use": False}}
    draft["custom_data"] = {"value": 5, "currency": "EUR"}

    found = show_event(mapper, read(draft), example_settings(mapper), NOW)

    assert isinstance(found, Mapped)
    assert [verdict for verdict in found.verdicts if verdict.rule == "no_place"] == []


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        pytest.param("meta", [], id="what Meta takes"),
        pytest.param("pinterest", ["status"], id="one that is not"),
        pytest.param(
            "x_ads", ["content_category", "content_name", "predicted_ltv", "search_string", "status"], id="all five"
        ),
    ],
)
def test_a_preview_names_what_stays_here(platform: str, said: list[str]) -> None:
    five = ("content_name", "content_category", "search_string", "status", "predicted_ltv")
    draft = next(drafts("website"))
    draft |= {"user_data": {"email": "jane@example.com"}, "device": {}, "consent": {}, "event_source_url": None}
    draft["custom_data"] = {name: draft["custom_data"][name] for name in (*five, "value", "currency")}

    found = preview(draft, prepare(platform, example_settings(mapper_for(platform))), NOW)

    title = mapper_for(platform).title
    assert [verdict for verdict in found.verdicts if verdict.rule == "no_place"] == [
        RuleVerdict("no_place", False, f"left out: {title} has no place for it", f"custom_data.{name}") for name in said
    ]


def test_a_whole_object_without_a_place_is_named_once() -> None:
    draft = next(drafts("website"))

    found = preview(draft, prepare("linkedin", example_settings(mapper_for("linkedin"))), NOW)

    named = [verdict.field for verdict in found.verdicts if "contents" in (verdict.field or "")]
    assert named == ["custom_data.contents"]


@pytest.mark.parametrize(
    ("source", "message"),
    [("website", "left out: Meta takes it of an app's event only"), ("app", None)],
)
def test_what_goes_with_an_apps_event_only_is_named_in_others(source: str, message: str | None) -> None:
    draft = next(drafts(source))

    found = preview(draft, prepare("meta", example_settings(mapper_for("meta"))), NOW)

    assert {verdict.field: verdict.message for verdict in found.verdicts}.get("device.carrier") == message


PAGE = "shop.example.com/thanks?email=jane@example.com&li_fat_id=8dc2b4ee-6c43-4bc8-9d3f-0f8a2c5d7e10&twclid=26l6412g5p4iyj65a2oi"


@pytest.mark.parametrize(
    ("platform", "source", "why"),
    [
        pytest.param("linkedin", "website", "left out: LinkedIn has no place for it", id="nowhere at LinkedIn"),
        pytest.param("x_ads", "app", "left out: X Ads has no place for it", id="nor at X"),
        pytest.param("google_ads", "website", "left out: Google Ads has no place for it", id="nor at Google"),
        pytest.param("pinterest", "app", "left out: Pinterest takes it of a website's event only", id="of no app"),
        pytest.param(
            "reddit", "physical_store", "left out: Reddit takes it of a website's event only", id="of no shop"
        ),
        pytest.param("pinterest", "website", None, id="of a website"),
        pytest.param("meta", "app", None, id="of an app, too"),
    ],
)
def test_a_page_that_stays_here_is_named_whatever_is_wrong_with_it(platform: str, source: str, why: str | None) -> None:
    draft = next(drafts(source)) | {"event_source_url": PAGE}

    found = show_event(mapper_for(platform), read(draft), example_settings(mapper_for(platform)), NOW)

    said = {one.message for one in found.verdicts if one.rule == "no_place" and one.field == "event_source_url"}
    assert said == ({why} if why else set())
    assert isinstance(found, Mapped)
    assert ("shop.example.com/thanks" in str(found.item)) == (why is None)


@pytest.mark.parametrize(("platform", "click"), [("linkedin", "8dc2b4ee-6c43"), ("x_ads", "26l6412g5p4iyj65a2oi")])
def test_the_click_in_a_page_that_stays_here_is_sent(platform: str, click: str) -> None:
    draft = next(drafts("website")) | {"event_source_url": PAGE}
    del draft["user_data"]["twclid"]
    settings = {**example_settings(mapper_for(platform)), "default_page_url": "https://shop.example.com/"}

    found = show_event(mapper_for(platform), read(draft), settings, NOW)

    assert isinstance(found, Mapped)
    assert click in str(found.item)
    told = [one for one in found.verdicts if one.field == "event_source_url"]
    assert [one.rule for one in told] == ["no_place"]


@pytest.mark.parametrize(
    ("platform", "source", "is_named"),
    [
        pytest.param("linkedin", "physical_store", True, id="a shop's at LinkedIn"),
        pytest.param("linkedin", "website", False, id="what counts where none is given"),
        pytest.param("ga4", "physical_store", True, id="a shop's at Google Analytics"),
        pytest.param("ga4", "app", False, id="an app's, whose device goes out"),
        pytest.param("meta", "physical_store", False, id="where it is sent"),
    ],
)
def test_a_source_that_stays_here_is_named(platform: str, source: str, is_named: bool) -> None:
    mapper = mapper_for(platform)

    found = show_event(mapper, read(next(drafts(source))), example_settings(mapper), NOW)

    named = [one.field for one in found.verdicts if one.rule == "no_place" and one.field == "action_source"]
    assert named == ["action_source"] * is_named


def test_what_a_refund_names_its_purchase_by_is_all_of_it_that_the_old_upload_takes() -> None:
    draft = next(drafts("website")) | {"event_name": "Refund"}
    draft["custom_data"]["properties"] = {"remaining_value": 5, "purchase_occurred_at": "2026-11-20T12:00:00Z"}
    settings = {**example_settings(mapper_for("google_ads")), "legacy_upload": True}

    found = preview(draft, prepare("google_ads", settings), NOW)

    named = {verdict.field for verdict in found.verdicts if "names its purchase" in verdict.message}
    assert named == {"user_data", "device", "custom_data.contents", "consent.ad_personalization"}
