"""What an event tells: its parameters and the lines of its basket, in the names and lengths that GA4 takes.

Source: Google Analytics, "Send Measurement Protocol events", "Measurement Protocol reference"; limits of values also from
public connectors. Read 2026-11-23.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import orjson

from tracklayer.domain import normalise
from tracklayer.domain.email_address import holds_email
from tracklayer.domain.event import Content, Event
from tracklayer.domain.google_tag import session_id
from tracklayer.domain.identifiers import web_url
from tracklayer.domain.values import read_decimal
from tracklayer.mappers.base import RuleVerdict, Settings, Verdicts, has_fractions, number

MAX_PARAMETERS = 25
MAX_NAME = 40  # characters, of an event and of a parameter
MAX_VALUE = 100
MAX_VALUE_360 = 500
MAX_ITEMS = 200
MAX_BODY_BYTES = 130_000
_ROOM = MAX_BODY_BYTES - 100  # for what the validation server wants besides
_FEW_ITEMS = 10  # as many have 6 texts of 500 characters, of 4 bytes at most, and their numbers: they fit
POINTS = frozenset({"earn_virtual_currency", "spend_virtual_currency"})  # their value counts points, of no currency
_MAX_OF = {"page_location": 1000, "page_referrer": 420, "page_title": 300}
_RESERVED = ("firebase_", "ga_", "google_", "gtag.", "_")  # prefixes; firebase_conversion is one of them
# Properties that would pass by a rule for a field of ours, or stand against what TrackLayer sets itself.
_OURS = frozenset(
    "value currency transaction_id items session_id engagement_time_msec page_location debug_mode".split()
)
_ITEM_TEXTS = (
    ("item_id", "id"),
    ("item_name", "title"),
    ("item_brand", "brand"),
    ("item_category", "category"),
    ("item_variant", "variant"),
    ("coupon", "coupon"),
)
Line = TypeVar("Line", Content, str)
NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}")

_NO_SESSION = RuleVerdict(
    "session", True, "without a session id it is missing from session reports", "user_data.ga_session_id"
)
_NO_CURRENCY = RuleVerdict(
    "currency", True, "none given: the value is missing from revenue reports", "custom_data.currency"
)
_OF_POINTS = RuleVerdict("currency", False, "left out: the value counts points", "custom_data.currency")
_TAKES_BACK = RuleVerdict(
    "value", True, "sent without its minus: GA4 takes the value of a refund off", "custom_data.value"
)
_LINES_TAKE_BACK = RuleVerdict(
    "contents", True, "sent without their minus: GA4 takes the lines of a refund off", "custom_data.contents"
)
# Properties that are money: numbers, and taken off with the value of a refund.
_AMOUNTS = frozenset({"tax", "shipping"})
_WHOLE_PIECES = RuleVerdict(
    "contents", True, "quantities with a fraction are sent as whole pieces", "custom_data.contents.quantity"
)


def mended_name(given: str) -> str:
    """As it is where GA4 takes it; else with _ for every other character, and cut."""
    return given if NAME.fullmatch(given) else re.sub(r"[^A-Za-z0-9_]", "_", normalise.composed(given))[:MAX_NAME]


def params_of(
    event: Event, settings: Settings, name: str, transaction: str | None, limit: int, verdicts: Verdicts
) -> dict[str, Any]:
    """At most 25 parameters, ours first. GA4 gets text, numbers and flags; text is cut to what GA4 takes."""
    given = event.custom_data
    params: dict[str, Any] = {}

    def put_text(key: str, field: str, value: Any) -> None:
        if isinstance(value, str) and value:
            if holds_email(value):
                verdicts.left_out(key, field, "left out: an address may not be sent to GA4 in plain text")
            else:
                text = value if value.isascii() else normalise.composed(value)
                params[key] = _cut(text, _MAX_OF.get(key, limit), key, field, verdicts)

    session = event.user_data.ga_session_id
    if session is not None and (digits := session_id(session)):
        params["session_id"] = digits
    elif session is not None:
        verdicts.left_out("session", "user_data.ga_session_id", "left out: neither digits nor the cookie of a session")
    else:
        verdicts.ok(_NO_SESSION)
    params["engagement_time_msec"] = 1  # without it the event is missing from realtime reports
    put_text("page_location", "event_source_url", _page(event.event_source_url, "event_source_url", verdicts))
    referrer = given.properties.get("referrer_url", given.properties.get("page_referrer"))
    field = "custom_data.properties.referrer_url"
    put_text("page_referrer", field, _page(referrer, field, verdicts))
    if name in POINTS:
        if given.currency is not None:
            verdicts.ok(_OF_POINTS)
    elif given.currency is not None:
        params["currency"] = given.currency
    elif given.value is not None:
        verdicts.ok(_NO_CURRENCY)
    if given.value is not None:
        value = given.value
        if value < 0 and name == "refund":
            value = -value
            verdicts.ok(_TAKES_BACK)
        params["value"] = number(value)
    if transaction is not None:
        params["transaction_id"] = transaction
    items = _items(event, limit, verdicts)
    if name == "refund":
        _without_minus(items, verdicts)
    if items:
        params["items"] = items
    put_text("search_term", "custom_data.search_string", given.search_string)
    for key in ("content_name", "content_category", "status"):
        put_text(key, f"custom_data.{key}", getattr(given, key))
    if given.predicted_ltv is not None:
        params["predicted_ltv"] = number(given.predicted_ltv)
    if settings.get("debug_mode") is True:
        params["debug_mode"] = True
    for key, value in given.properties.items():
        if key in ("referrer_url", "page_referrer"):
            continue
        field = f"custom_data.properties.{key}"
        mended = mended_name(key)
        wrong = _wrong_property(key, mended, value, params)
        if wrong is None and mended != key and _can_be_sent(right := given.properties.get(mended)) and right != "":
            wrong = _TAKEN_NAME  # by the one that is spelt so, wherever it stands
        if wrong:
            verdicts.left_out("properties", field, f"left out: {wrong}")
            continue
        if mended != key:
            message = f"sent as {mended}: GA4 takes A to Z, digits and _, {MAX_NAME} at most"
            verdicts.ok(RuleVerdict("properties", True, message, field))
        if mended in _AMOUNTS and (amount := read_decimal(value)) is not None:
            value = amount
            if name == "refund" and amount < 0:
                value = -amount
                message = f"sent without its minus: GA4 takes the {mended} of a refund off"
                verdicts.ok(RuleVerdict("properties", True, message, field))
        if isinstance(value, str):
            put_text(mended, field, value)
        else:
            params[mended] = number(value) if isinstance(value, Decimal) else value
    return params


_TAKEN_NAME = "the name belongs to a field of TrackLayer, or to another property"


def _can_be_sent(value: Any) -> bool:
    return isinstance(value, str | int | float | Decimal)


def _wrong_property(key: str, name: str, value: Any, params: Mapping[str, Any]) -> str | None:
    """Why GA4 would not take a property, as the end of a sentence. ``name`` is the key as it would be sent."""
    if not _can_be_sent(value):
        return "GA4 takes text, numbers, true and false"
    if name in _OURS or name in params:
        return _TAKEN_NAME
    if key.startswith(_RESERVED):
        return "the name is reserved by Google"
    if not NAME.fullmatch(name):
        return "a name begins with a letter from A to Z"
    if name.startswith(_RESERVED):
        return "the name is reserved by Google"
    return f"GA4 takes {MAX_PARAMETERS} parameters of an event" if len(params) >= MAX_PARAMETERS else None


def without_what_is_too_much(body: dict[str, Any], event: Event, verdicts: Verdicts) -> None:
    """Takes lines of the basket off the end of a body's only event, until GA4 takes it; the rest of it always fits."""
    params = body["events"][0]["params"]
    items: list[dict[str, Any]] = params.get("items", [])
    if len(items) < _FEW_ITEMS:
        return
    size = len(orjson.dumps(body))
    if size < _ROOM:
        return
    while items and size >= _ROOM:
        size -= len(orjson.dumps(items.pop())) + 1  # and a comma
    field = "custom_data.contents" if event.custom_data.contents else "custom_data.product_ids"
    message = f"left out: all but the first {len(items)}, which fill the {MAX_BODY_BYTES:,} bytes that GA4 takes"
    verdicts.left_out("contents", field, message)


def _items(event: Event, limit: int, verdicts: Verdicts) -> list[dict[str, Any]]:
    given = event.custom_data
    contents = given.contents
    if not contents:
        return [
            {"item_id": _cut(item, limit, "contents", "custom_data.product_ids", verdicts)}
            for item in _most(given.product_ids, "product_ids", verdicts)
        ]
    items = []
    for content in _most(contents, "contents", verdicts):
        item: dict[str, Any] = {"quantity": content.whole_quantity}
        for key, name in _ITEM_TEXTS:
            text = getattr(content, name)
            if text:
                text = text if text.isascii() or name == "id" else normalise.composed(text)
                item[key] = _cut(text, limit, "contents", f"custom_data.contents.{name}", verdicts)
        if content.item_price is not None:
            item["price"] = number(content.item_price)
        if content.discount is not None:
            item["discount"] = number(content.discount)
        items.append(item)
    if has_fractions(contents):
        verdicts.ok(_WHOLE_PIECES)
    return items


def _without_minus(items: list[dict[str, Any]], verdicts: Verdicts) -> None:
    """Of a refund each amount counts what goes back: with a minus it would be added to the revenue of its product."""
    wrong = [(item, key) for item in items for key in ("price", "discount") if item.get(key, 0) < 0]
    for item, key in wrong:
        item[key] = -item[key]
    if wrong:
        verdicts.ok(_LINES_TAKE_BACK)


def _most(lines: tuple[Line, ...], name: str, verdicts: Verdicts) -> tuple[Line, ...]:
    if len(lines) > MAX_ITEMS:
        verdicts.left_out("contents", f"custom_data.{name}", f"left out: all but the first {MAX_ITEMS}")
        return lines[:MAX_ITEMS]
    return lines


def _cut(value: str, limit: int, rule: str, field: str, verdicts: Verdicts) -> str:
    if len(value) <= limit:
        return value
    verdicts.left_out(rule, field, f"cut to the {limit} characters that GA4 takes")
    return value[:limit]


def _page(url: Any, field: str, verdicts: Verdicts) -> str | None:
    if url is None:
        return None
    page = web_url(url) if isinstance(url, str) else None
    if page is None:
        verdicts.left_out("page", field, "left out: not an absolute http(s) URL")
    return page
