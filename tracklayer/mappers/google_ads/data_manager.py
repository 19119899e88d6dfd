"""The Data Manager API v1: ``events:ingest``.

Source: Google for Developers, Data Manager API: "Send events", "Conversion adjustments", "Limits and quotas", package
google-ads-datamanager 0.9.4. Read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracklayer.domain.delivery import DropReason
from tracklayer.domain.event import Event
from tracklayer.domain.identifiers import is_ip
from tracklayer.mappers.base import Mapped, Refused, Settings, Verdicts, number, omit_empty
from tracklayer.mappers.google_ads.conversion import (
    IDENTIFIERS_OK,
    Sale,
    address_of,
    cart_of,
    clicks_of,
    contacts_of,
    custom_variables_of,
    customer_type_of,
)

URL = "https://datamanager.googleapis.com/v1/events:ingest"
SCOPE = "https://www.googleapis.com/auth/datamanager"

_SOURCES = {
    "website": "WEB",
    "app": "APP",
    "physical_store": "IN_STORE",
    "phone_call": "PHONE",
    "chat": "MESSAGE",
    "business_messaging": "MESSAGE",
}
_CONSENT_STATES = {"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}


def map_conversion(event: Event, settings: Settings, verdicts: Verdicts, action: str, sale: Sale) -> Mapped | Refused:
    """One element of ``events``; its group is the conversion action, since a request has one destination."""
    clicks = clicks_of(event, verdicts)
    identifiers = _user_identifiers(event, settings, verdicts)
    if not clicks and not identifiers:
        message = "Google wants a click id, an email, a phone, or first and last name with country and postal code"
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(IDENTIFIERS_OK)
    given = event.custom_data
    item = omit_empty(
        {
            "transactionId": given.order_id or event.event_id,
            "eventTimestamp": _rfc3339(sale.at),
            "lastUpdatedTimestamp": _rfc3339(sale.changed_at) if sale.changed_at else None,
            "eventSource": _SOURCES.get(event.action_source, "OTHER"),
            "adIdentifiers": clicks,
            "userData": omit_empty({"userIdentifiers": identifiers}),
            "eventDeviceInfo": _device(event, verdicts),
            "conversionValue": number(sale.value),
            "currency": given.currency,
            "cartData": None if sale.changed_at else cart_of(event, settings, clicks, verdicts),
            "userProperties": omit_empty({"customerType": customer_type_of(event, verdicts)}),
            "customVariables": [
                {"variable": name, "value": value} for name, value in custom_variables_of(event, settings)
            ],
            "consent": omit_empty(
                {
                    "adUserData": _CONSENT_STATES.get(event.consent.ad_user_data),
                    "adPersonalization": _CONSENT_STATES.get(event.consent.ad_personalization),
                }
            ),
        }
    )
    return Mapped(item, tuple(verdicts.rules), action)


def request_body(action: str, items: Sequence[dict[str, Any]], customer: str, manager: str) -> dict[str, Any]:
    """``{"destinations": [one], "events": [...]}``."""
    destination: dict[str, Any] = {"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": customer}}
    if manager:
        destination["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": manager}
    destination["productDestinationId"] = action
    body: dict[str, Any] = {"destinations": [destination], "events": list(items)}
    if any("userData" in item for item in items):
        body["encoding"] = "HEX"
    return body


def _user_identifiers(event: Event, settings: Settings, verdicts: Verdicts) -> list[dict[str, Any]]:
    """One object for each identifier."""
    names = {"email": "emailAddress", "phone": "phoneNumber"}
    found: list[dict[str, Any]] = [
        {names[name]: digest} for name, digest in contacts_of(event, settings, verdicts).items()
    ]
    if address := address_of(event, verdicts):
        keys = ("givenName", "familyName", "regionCode", "postalCode")
        found.append({"address": dict(zip(keys, address, strict=True))})
    return found


def _device(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Of the conversion; the device of the landing is not known here."""
    person = event.user_data
    found = {}
    if person.client_user_agent is not None:
        found["userAgent"] = person.client_user_agent.strip()
    if person.client_ip is not None:
        if is_ip(person.client_ip):
            found["ipAddress"] = person.client_ip.strip()
        else:
            verdicts.left_out("client_ip", "user_data.client_ip", "left out: not an IP address")
    return found


def _rfc3339(instant: datetime) -> str:
    """``2026-11-20T14:03:12.345Z``: UTC, with as many digits of the second's fraction as there are, in threes."""
    places = "seconds" if not instant.microsecond else "microseconds" if instant.microsecond % 1000 else "milliseconds"
    return instant.isoformat(timespec=places).removesuffix("+00:00") + "Z"
