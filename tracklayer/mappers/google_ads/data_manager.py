"""The Data Manager API v1: ``events:ingest``.

Source: Google for Developers, Data Manager API: "Send events", "Conversion adjustments", "Limits and quotas", package
google-ads-datamanager 0.9.4. Read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tracklayer.domain.delivery import DropReason
from tracklayer.domain.event import NO_CONSENT, NO_DEVICE, Event
from tracklayer.domain.identifiers import is_uuid, machine_address
from tracklayer.mappers.base import (
    Mapped,
    NoPlace,
    Refused,
    RuleVerdict,
    Settings,
    Verdicts,
    number,
    of_apps_only,
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
MOST_IDENTIFIERS = 10  # of one event, its address among them
_CONTACTS = {"email": "emailAddress", "phone": "phoneNumber"}
_ADDRESS = ("givenName", "familyName", "regionCode", "postalCode")
_CONSENT_STATES = {"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}
_LIMITED = RuleVerdict(
    "limited_data_use", True, "sent as consent.adPersonalization CONSENT_DENIED", "consent.limited_data_use"
)
_NO_TRACKING = RuleVerdict(
    "advertising_id", False, "left out: the person does not let it be used", "device.advertising_id"
)


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
            "adIdentifiers": _ad_identifiers(clicks, event, verdicts),
            "userData": {"userIdentifiers": identifiers} if identifiers else None,
            "eventDeviceInfo": _device(event, verdicts),
            "conversionValue": number(sale.value),
            "currency": given.currency,
            "cartData": None if sale.changed_at else cart_of(event, settings, clicks, verdicts),
            "userProperties": {"customerType": kind} if (kind := customer_type_of(event, verdicts)) else None,
            "customVariables": [
                {"variable": name, "value": value} for name, value in custom_variables_of(event, settings)
            ],
            "consent": _consent(event, verdicts),
        }
    )
    return Mapped(item, tuple(verdicts), action)


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


def _consent(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Google's way to limit the use of data is to refuse the consent to personalised ads, whatever else was said of it."""
    given = event.consent
    personalization = given.ad_personalization
    if given.limited_data_use:
        verdicts.ok(_LIMITED)
        personalization = "denied"
    if given is NO_CONSENT:
        return {}
    return omit_empty(
        {
            "adUserData": _CONSENT_STATES.get(given.ad_user_data),
            "adPersonalization": _CONSENT_STATES.get(personalization),
        }
    )


def _user_identifiers(event: Event, settings: Settings, verdicts: Verdicts) -> list[dict[str, Any]]:
    """One object for each identifier, at most as many as Google takes."""
    address = address_of(event, verdicts)
    most = MOST_IDENTIFIERS - (address is not None)
    found: list[dict[str, Any]] = [
        {_CONTACTS[kind]: digest} for kind, digest in contacts_of(event, settings, verdicts, most)
    ]
    if address is not None:
        found.append({"address": dict(zip(_ADDRESS, address, strict=True))})
    return found


def _ad_identifiers(clicks: dict[str, str], event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Click ids, and of an app the id for advertisers (IDFA, AdID) where the person let it be used."""
    device = event.device
    if event.action_source != "app" or device.advertising_id is None:
        return clicks
    if device.tracking_allowed is False:
        verdicts.ok(_NO_TRACKING)
        return clicks
    if not is_uuid(device.advertising_id):
        verdicts.left_out("advertising_id", "device.advertising_id", "left out: not an advertising id")
        return clicks
    return {**clicks, "mobileDeviceId": device.advertising_id.strip()}


def _device(event: Event, verdicts: Verdicts) -> dict[str, Any]:
    """Of the conversion; the device of the landing is not known here."""
    person = event.user_data
    found: dict[str, Any] = {}
    if person.client_user_agent is not None:
        found["userAgent"] = person.client_user_agent.strip()
    if person.client_ip is not None:
        address = machine_address(person.client_ip)
        if address is not None:
            found["ipAddress"] = address
        else:
            verdicts.left_out("client_ip", "user_data.client_ip", "left out: not an IP address")
    device = event.device
    if device is not NO_DEVICE:
        found |= omit_empty(
            {
                "operatingSystem": device.os,
                "operatingSystemVersion": device.os_version,
                "model": device.model,
                "languageCode": device.language,
                "screenWidth": device.screen_width,
                "screenHeight": device.screen_height,
            }
        )
    return found


_NO_PLACE = NoPlace(within("user_data", "street city state"), "left out: Google Ads has no place for it")
_NO_NAME = NoPlace(within("user_data", "zip country"), "left out: Google takes it with first and last name only")
_of_apps_only = of_apps_only("Google Ads", within("device", "advertising_id tracking_allowed"))


def no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    """Fields that do not go out, of an event and what it was mapped to."""
    found = [_NO_PLACE]
    if event.user_data.first_name is None and event.user_data.last_name is None:
        found.append(_NO_NAME)
    return [*found, *_of_apps_only(event, mapped)]


def _rfc3339(instant: datetime) -> str:
    """``2026-11-20T14:03:12.345Z``: UTC, with as many digits of the second's fraction as there are, in threes."""
    places = "seconds" if not instant.microsecond else "microseconds" if instant.microsecond % 1000 else "milliseconds"
    return instant.isoformat(timespec=places).removesuffix("+00:00") + "Z"
