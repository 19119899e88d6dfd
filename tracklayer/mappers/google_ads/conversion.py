"""What both APIs tell of a conversion: its clicks, its people, what it was worth, and what was bought.

Source: Google for Developers, Data Manager API: "Format user data", package google-ads-datamanager-util 0.4.0. Read 2026-11-23.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tracklayer.domain import normalise
from tracklayer.domain.event import CustomData, Event
from tracklayer.domain.identifiers import machine_address, usable
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.text import as_typed
from tracklayer.domain.values import read_decimal
from tracklayer.mappers.base import (
    RuleVerdict,
    Settings,
    Verdicts,
    click_id,
    has_fractions,
    is_given,
    number,
    omit_empty,
)

CLICK_IDS = ("gclid", "gbraid", "wbraid")
_CUSTOMER_TYPES = ("NEW", "RETURNING", "REENGAGED")
_US_ZIP = re.compile(r"\d{5}([ -]?\d{4})?")


def _email(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).email_sha256("google")


def _phone(value: str, settings: Settings) -> str | None:
    return _phone_sha256(Matchable.read(value), settings)


def letters(value: str) -> str:
    """Lower case, composed, neither punctuation nor symbols; spaces and digits stay. Of places, in the old upload."""
    text = normalise.lower_composed(value) or ""
    return "".join(c for c in text if unicodedata.category(c)[0] not in "PS").strip()


def _name_sha256(value: str) -> str | None:
    """Of ``o'connor``, ``anne-marie``: Google's own library lowers and trims a name and does nothing else to it."""
    return None if _is_foreign(value) else normalise.hashed(value, normalise.lower_composed)


def street_sha256(value: str) -> str | None:
    return None if _is_foreign(value) else normalise.hashed(value, letters)


def _is_foreign(value: str) -> bool:
    return len(value) >= 32 and normalise.is_foreign_digest(value)


def _country(value: str) -> str | None:
    code = normalise.country(value)
    return code.upper() if code else None


def _zip(value: str, country: str | None) -> str | None:
    """As it is, with ASCII digits; a US code has 5 or 5+4 of them. A digest is no postal code: Google wants it plain."""
    text = as_typed(value).strip()
    if normalise.is_sha256(text) or normalise.is_foreign_digest(text):
        return None
    return None if country == "US" and not _US_ZIP.fullmatch(text) else text or None


def _click_id(value: str) -> str | None:
    """As it is. What a template left where it had none is no click id."""
    return usable("gclid", value)


def _name(value: str, settings: Settings) -> str | None:
    return None if normalise.is_placeholder(value) else _name_sha256(value)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "first_name": _name,
    "last_name": _name,
    "zip": lambda value, settings: _zip(value, None),
    "country": lambda value, settings: _country(value),
    "client_ip": lambda value, settings: machine_address(value),
    "client_user_agent": lambda value, settings: normalise.trimmed(value),
    **dict.fromkeys(CLICK_IDS, lambda value, settings: _click_id(value)),
}

IDENTIFIERS_OK = RuleVerdict("identifiers", True, "a click id or customer data to match", "user_data")
_WHOLE_PIECES = RuleVerdict(
    "contents", True, "quantities with a fraction are sent as whole pieces", "custom_data.contents.quantity"
)
_NO_CLICK = "left out: a click id has no spaces, and is no placeholder"
_NO_CART = "left out: Google drops cart data that comes with gbraid or wbraid"


class Sale(NamedTuple):
    """When the conversion was made, what it is worth, and when that was last changed."""

    at: datetime
    value: Decimal | None
    changed_at: datetime | None = None


def clicks_of(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Click ids as given, else from the page's URL; their case counts and they are never cut."""
    found = {}
    for name in CLICK_IDS:
        click = click_id(event.user_data, name, event.clicked_url, _click_id, verdicts, _NO_CLICK)
        if click is not None:
            found[name] = click
    return found


def contacts_of(event: Event, settings: Settings, verdicts: Verdicts, most: int) -> list[tuple[str, str]]:
    """(``email`` or ``phone``, digest) of as many as Google takes: the main ones, then further emails and phones."""
    person = event.user_data
    found: list[tuple[str, str, str | None]] = []
    if person.email is not None:
        found.append(("email", "email", person.email.email_sha256("google")))
    if person.phone is not None:
        found.append(("phone", "phone", _phone_sha256(person.phone, settings)))
    if person.emails or person.phones:
        found += [("email", "emails", more.email_sha256("google")) for more in person.emails]
        found += [("phone", "phones", _phone_sha256(more, settings)) for more in person.phones]
    for kind, field, digest in found:
        if digest is None:
            verdicts.left_out(kind, f"user_data.{field}", f"left out: nothing that Google could match as {kind}")
    kept = [(kind, digest) for kind, _, digest in found if digest is not None]
    if person.emails or person.phones:
        kept = list(dict.fromkeys(kept))
    if len(kept) > most:
        message = f"left out: all but the first {most} emails and phones, which is what Google takes of one person"
        verdicts.left_out("identifiers", "user_data", message)
    return kept[:most]


def _phone_sha256(phone: Matchable, settings: Settings) -> str | None:
    return phone.phone_sha256("e164", settings.get("default_country"))


def address_of(event: Event, verdicts: Verdicts) -> tuple[str, str, str, str] | None:
    """First name, last name, country, postal code: all four, since Google takes no part of them alone."""
    person = event.user_data
    if person.first_name is None and person.last_name is None:
        return None
    country = _country(person.country) if person.country is not None else None
    found = {
        "first_name": _name_sha256(person.first_name) if person.first_name is not None else None,
        "last_name": _name_sha256(person.last_name) if person.last_name is not None else None,
        "country": country,
        "zip": _zip(person.zip, country) if person.zip is not None else None,
    }
    first, last, region, code = found.values()
    if first and last and region and code:
        return first, last, region, code
    missing = next(name for name, value in found.items() if not value)
    message = "the address is left out: Google takes first and last name only with country and postal code"
    verdicts.left_out("address", f"user_data.{missing}", message)
    return None


def cart_of(event: Event, settings: Settings, clicks: Mapping[str, str], verdicts: Verdicts) -> dict[str, Any]:
    """``{items, couponCodes, transactionDiscount, ...}``: coupons and discounts of the lines are those of the whole."""
    given = event.custom_data
    if not given.contents and not given.properties:
        return {}
    if has_fractions(given.contents):
        verdicts.ok(_WHOLE_PIECES)
    cart = omit_empty(
        {
            "items": [
                omit_empty(
                    {
                        "merchantProductId": content.id,
                        "quantity": str(content.whole_quantity),  # an int64 is text in Google's JSON
                        "unitPrice": number(content.item_price),
                    }
                )
                for content in given.contents
            ],
            "couponCodes": _coupons(given, verdicts),
            "transactionDiscount": number(_discount(given, verdicts)),
        }
    )
    if not cart:
        return {}
    if "gbraid" in clicks or "wbraid" in clicks:
        if "items" in cart:
            verdicts.left_out("contents", "custom_data.contents", _NO_CART)
        for key, name in (("couponCodes", "coupon"), ("transactionDiscount", "discount")):
            if key in cart and is_given(given.properties.get(name)):
                verdicts.left_out(name, f"custom_data.properties.{name}", _NO_CART)
        return {}
    merchant, label, language = feed_of(event, settings)
    return omit_empty(
        {"merchantId": merchant, "merchantFeedLabel": label, "merchantFeedLanguageCode": language, **cart}
    )


def _coupons(given: CustomData, verdicts: Verdicts) -> list[str]:
    """The order's own, then those of its lines, each once."""
    whole = given.properties.get("coupon")
    if not isinstance(whole, str) and is_given(whole):
        verdicts.left_out("coupon", "custom_data.properties.coupon", "left out: must be text")
    coupons = [whole, *[content.coupon for content in given.contents]]
    found = [coupon for coupon in coupons if isinstance(coupon, str) and coupon.strip()]
    return list(dict.fromkeys(found)) if len(found) > 1 else found


def _discount(given: CustomData, verdicts: Verdicts) -> Decimal | None:
    """As given for the order, else the sum of its lines' discounts, which are of one unit each."""
    whole = read_decimal(given.properties.get("discount"))
    if whole is None and is_given(given.properties.get("discount")):
        message = "left out: must be a number, or one written as text: 4.50"
        verdicts.left_out("discount", "custom_data.properties.discount", message)
    of_lines = [content.discount * content.quantity for content in given.contents if content.discount is not None]
    return whole if whole is not None or not of_lines else sum(of_lines, Decimal(0))


def feed_of(event: Event, settings: Settings) -> tuple[str | None, str | None, str | None]:
    """Merchant Center id, label and language of the feed that the products are in."""
    merchant = settings.get("merchant_center_id")
    label = settings.get("feed_label")
    if isinstance(label, Mapping):
        label = label.get(event.custom_data.currency) or label.get("*")
    return str(merchant) if merchant else None, label or None, settings.get("feed_language") or None


def customer_type_of(event: Event, verdicts: Verdicts) -> str | None:
    given = event.custom_data.properties.get("customer_type")
    if given is None:
        return None
    if isinstance(given, str) and given.upper() in _CUSTOMER_TYPES:
        return given.upper()
    message = f"left out: must be one of {', '.join(_CUSTOMER_TYPES)}"
    verdicts.left_out("customer_type", "custom_data.properties.customer_type", message)
    return None


def custom_variables_of(event: Event, settings: Settings) -> Iterator[tuple[str, str]]:
    """(name of the variable at Google, value as text)."""
    for key, name in (settings.get("custom_variables") or {}).items():
        value = event.custom_data.properties.get(key)
        if isinstance(value, bool):
            yield str(name), "true" if value else "false"
        elif value is not None and value != "":
            yield str(name), str(value)
