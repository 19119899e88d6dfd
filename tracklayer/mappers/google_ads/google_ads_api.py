"""The Google Ads API v26: uploads of click conversions and adjustments, for accounts that used them before June 2026.

Source: Google Ads API, conversion upload and adjustment services, package google-ads 34.0.0. Read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.event import Event
from tracklayer.mappers.base import (
    Mapped,
    NoPlace,
    Refused,
    RuleVerdict,
    Settings,
    Verdicts,
    number,
    omit_empty,
    within,
)
from tracklayer.mappers.google_ads.conversion import (
    IDENTIFIERS_OK,
    Sale,
    address_of,
    cart_of,
    clicks_of,
    contacts_of,
    custom_variables_of,
    customer_type_of,
    feed_of,
    letters,
    street_sha256,
)

URL = "https://googleads.googleapis.com/v26/customers"
SCOPE = "https://www.googleapis.com/auth/adwords"

_ENVIRONMENTS = {"website": "WEB", "app": "APP"}
_UPLOADS = "conversions"
_ADJUSTMENTS = "conversionAdjustments"
METHODS = {_UPLOADS: "uploadClickConversions", _ADJUSTMENTS: "uploadConversionAdjustments"}
MOST_IDENTIFIERS = 5  # of one conversion, its address among them
_CONTACTS = {"email": "hashedEmail", "phone": "hashedPhoneNumber"}
_NO_LIMITED_USE = RuleVerdict(
    "limited_data_use",
    False,
    "left out: the old upload has no consent to personalised ads that it could refuse",
    "consent.limited_data_use",
)


def map_conversion(
    event: Event, settings: Settings, verdicts: Verdicts, action: str, sale: Sale, is_tagged: bool
) -> Mapped | Refused:
    """A row of the old upload: a conversion, an enhancement of the tag's conversion, or a refund's adjustment."""
    customer = settings["customer_id"]
    given = event.custom_data
    if event.consent.limited_data_use:
        verdicts.ok(_NO_LIMITED_USE)
    row: dict[str, Any] = {
        "conversionAction": f"customers/{customer}/conversionActions/{action}",
        "orderId": given.order_id or event.event_id,
    }
    if sale.changed_at is not None:
        row["adjustmentType"] = "RESTATEMENT" if sale.value else "RETRACTION"
        row["adjustmentDateTime"] = _legacy_time(sale.changed_at)
        if sale.value:
            worth = {"adjustedValue": number(sale.value), "currencyCode": given.currency}
            row["restatementValue"] = omit_empty(worth)
        return Mapped(row, tuple(verdicts), _ADJUSTMENTS)
    click = _one_click(clicks_of(event, verdicts), verdicts)
    address = _legacy_address(event, verdicts) if is_tagged else None
    most = MOST_IDENTIFIERS - (address is not None)
    identifiers: list[dict[str, Any]] = [
        {"userIdentifierSource": "FIRST_PARTY", _CONTACTS[kind]: digest}
        for kind, digest in contacts_of(event, settings, verdicts, most)
    ]
    if address is not None:
        identifiers.append({"userIdentifierSource": "FIRST_PARTY", "addressInfo": address})
    if not identifiers and (is_tagged or not click):
        message = "Google wants an email or a phone" + ("" if is_tagged else ", or a click id")
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(IDENTIFIERS_OK)
    if is_tagged:
        row["adjustmentType"] = "ENHANCEMENT"
        if "gclid" in click:
            row["gclidDateTimePair"] = {**click, "conversionDateTime": _legacy_time(sale.at)}
        row["userIdentifiers"] = identifiers
        row["userAgent"] = normalise.trimmed(event.user_data.client_user_agent or "")
        return Mapped(omit_empty(row), tuple(verdicts), _ADJUSTMENTS)
    customer_type = customer_type_of(event, verdicts)
    row |= {
        **click,
        "conversionDateTime": _legacy_time(sale.at),
        "conversionValue": number(sale.value),
        "currencyCode": given.currency,
        "userIdentifiers": identifiers,
        "conversionEnvironment": _ENVIRONMENTS.get(event.action_source),
        "cartData": _legacy_cart(event, settings, click, verdicts),
        "customVariables": [
            {"conversionCustomVariable": f"customers/{customer}/conversionCustomVariables/{name}", "value": value}
            for name, value in custom_variables_of(event, settings)
        ],
        "customerType": customer_type if customer_type != "REENGAGED" else None,
        "consent": {"adUserData": "GRANTED"} if event.consent.ad_user_data == "granted" else None,
    }
    return Mapped(omit_empty(row), tuple(verdicts), _UPLOADS)


def request_body(rows: str, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``{"conversions": [...]}`` or ``{"conversionAdjustments": [...]}``; without partialFailure it is refused whole."""
    return {rows: list(items), "partialFailure": True}


def _one_click(clicks: dict[str, str], verdicts: Verdicts) -> dict[str, str]:
    """The old upload takes one click id."""
    for name in list(clicks)[1:]:
        verdicts.left_out(name, f"user_data.{name}", "left out: the old upload takes one click id")
    return dict(list(clicks.items())[:1])


def _legacy_address(event: Event, verdicts: Verdicts) -> dict[str, str] | None:
    address = address_of(event, verdicts)
    if address is None:
        return None
    person = event.user_data
    first, last, country, code = address
    return omit_empty(
        {
            "hashedFirstName": first,
            "hashedLastName": last,
            "hashedStreetAddress": street_sha256(person.street) if person.street else None,
            "city": _place(person.city),
            "state": _place(normalise.without_country(person.state)) if person.state else None,
            "countryCode": country,
            "postalCode": code,
        }
    )


def _place(value: str | None) -> str | None:
    """Plain, so a digest has no place here."""
    return None if value is None or normalise.is_sha256(value) else letters(value) or None


def _legacy_cart(
    event: Event, settings: Settings, clicks: Mapping[str, str], verdicts: Verdicts
) -> dict[str, Any] | None:
    """Only with all three facts about the feed."""
    merchant, label, language = feed_of(event, settings)
    cart = cart_of(event, settings, clicks, verdicts) if merchant and label and language else {}
    if not cart.get("items"):
        return None
    return omit_empty(
        {
            "merchantId": merchant,
            "feedCountryCode": label,
            "feedLanguageCode": language,
            "localTransactionCost": cart.get("transactionDiscount"),
            "items": [
                omit_empty(
                    {
                        "productId": content.id,
                        "quantity": content.whole_quantity,
                        "unitPrice": number(content.item_price),
                    }
                )
                for content in event.custom_data.contents
            ],
        }
    )


_NO_PLACE = NoPlace(
    frozenset({"user_data.client_ip", "device", "consent.ad_personalization", "custom_data.contents.coupon"}),
    "left out: the old upload has no place for it",
)
_OF_THE_TAG = NoPlace(
    within("user_data", "first_name last_name street city state zip country client_user_agent"),
    "left out: the old upload takes it of an action of the website's tag only",
)
_SENT_BY_THE_TAG = NoPlace(
    within("custom_data", "value currency contents"), "left out: what the website's tag sent counts"
)
_OF_THE_PURCHASE = NoPlace(
    frozenset({"user_data", "device", "custom_data.contents", "consent.ad_personalization"}),
    "left out: a refund names its purchase by the order's id alone",
)
_NO_FEED = NoPlace(
    frozenset({"custom_data.contents"}),
    "left out: the old upload takes a basket with merchant_center_id, feed_label and feed_language only",
)


def no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    """Fields that do not go out, of an event and what it was mapped to."""
    if mapped.group == _UPLOADS:
        return (_NO_PLACE, _OF_THE_TAG) if "cartData" in mapped.item else (_NO_PLACE, _OF_THE_TAG, _NO_FEED)
    if mapped.item["adjustmentType"] == "ENHANCEMENT":
        return (_NO_PLACE, _SENT_BY_THE_TAG)
    return (_OF_THE_PURCHASE,)


def _legacy_time(instant: datetime) -> str:
    """``2026-11-20 14:03:12+00:00``; the fraction of the second is lost."""
    return instant.strftime("%Y-%m-%d %H:%M:%S+00:00")
