"""Whose event it is: the ids of Google's own tag and SDK, the person and the device, and what was consented to.

Source: Google Analytics, "Send user-provided data with User-ID", "Measurement Protocol reference". Read 2026-11-23.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.email_address import holds_email
from tracklayer.domain.event import NO_DEVICE, Device, Event, UserData
from tracklayer.domain.google_tag import client_id, session_id
from tracklayer.domain.identifiers import machine_address
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.text import as_typed
from tracklayer.mappers.base import RuleVerdict, Settings, Verdicts, omit_empty

MAX_USER_ID = 256
MAX_CONTACTS = 3  # emails, and phones
_APP_INSTANCE = re.compile(r"[0-9A-Fa-f]{32}")

_DENIED = RuleVerdict("consent", False, "customer data left out: its use for ads is denied", "consent.ad_user_data")
_LIMITED = RuleVerdict(
    "limited_data_use", True, "sent as consent.ad_personalization DENIED", "consent.limited_data_use"
)


def app_instance_id(value: str | None) -> str | None:
    """The id that Firebase's SDK gives an installed app: 32 hexadecimal digits, which no cookie of the tag looks like."""
    text = (value or "").strip()
    return text if _APP_INSTANCE.fullmatch(text) else None


def _email(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).email_sha256("google")


def _phone(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).phone_sha256("e164", settings.get("default_country"))


def _letters(value: str) -> str | None:
    return _without("NPS", value)


def _letters_and_digits(value: str) -> str | None:
    return _without("PS", value)


def _without(categories: str, value: str) -> str | None:
    """Lower case, composed, without characters of these Unicode categories; inner spaces stay."""
    text = normalise.lower_composed(value)
    if text is None or text.isalpha():
        return text
    return "".join(c for c in text if unicodedata.category(c)[0] not in categories).strip() or None


def _is_digest(value: str) -> bool:
    return len(value) >= 32 and (normalise.is_sha256(value) or normalise.is_foreign_digest(value))


def _name_sha256(value: str) -> str | None:
    """Of letters and spaces alone."""
    return None if _is_foreign(value) else normalise.hashed(value, _letters)


def _street_sha256(value: str) -> str | None:
    """Of letters, digits and spaces."""
    return None if _is_foreign(value) else normalise.hashed(value, _letters_and_digits)


def _is_foreign(value: str) -> bool:
    return len(value) >= 32 and normalise.is_foreign_digest(value)


def _place(value: str) -> str | None:
    """Plain: a digest would be no place."""
    return None if _is_digest(value) else _without("NPS", value)


def _zip(value: str) -> str | None:
    return None if _is_digest(value) else as_typed(value).replace(".", "").replace("~", "").strip() or None


def _country(value: str) -> str | None:
    code = normalise.country(value)
    return code.upper() if code else None


def _user_id(value: str) -> str | None:
    """As it is, without blanks around it, unless it holds an address or a number: Google forbids personal data here."""
    text = value.strip()
    return None if holds_email(text) or holds_contact(text) or len(text) > MAX_USER_ID else text


# Key of an address, field of user_data, rule.
_ADDRESS_PARTS: tuple[tuple[str, str, normalise.Rule], ...] = (
    ("sha256_first_name", "first_name", _name_sha256),
    ("sha256_last_name", "last_name", _name_sha256),
    ("sha256_street", "street", _street_sha256),
    ("city", "city", _place),
    ("region", "state", lambda value: _place(normalise.without_country(value))),
    ("postal_code", "zip", _zip),
    ("country", "country", _country),
)


def _alone(rule: normalise.Rule) -> Callable[[str, Settings], str | None]:
    """Of a value that no reader has seen before."""
    return lambda value, settings: None if normalise.is_placeholder(value) else rule(value)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    **{name: _alone(rule) for _, name, rule in _ADDRESS_PARTS},
    "external_id": _alone(_user_id),
    "client_ip": _alone(machine_address),
    "client_user_agent": _alone(normalise.trimmed),
    "ga_client_id": _alone(client_id),
    "ga_session_id": _alone(session_id),
}


def shared_by_the_request(event: Event, settings: Settings, is_app: bool, verdicts: Verdicts) -> dict[str, Any]:
    """What stands in a body once: who it was, with what, and what they agreed to."""
    person = event.user_data
    found: dict[str, Any] = {}

    def put(key: str, name: str, rule: normalise.Rule, switch: str) -> None:
        value = getattr(person, name)
        if value is None or settings.get(switch) is False:
            return
        result = rule(value)
        if result is not None:
            found[key] = result
        else:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that GA4 takes as {key}")

    put("user_id", "external_id", _user_id, "send_user_id")
    if event.consent.ad_user_data == "denied":
        verdicts.ok(_DENIED)
    elif settings.get("send_user_data") is not False:
        user_data = _user_data(person, settings, verdicts)
        if user_data:
            found["user_data"] = user_data
    put("ip_override", "client_ip", machine_address, "send_ip")
    put("user_agent", "client_user_agent", normalise.trimmed, "send_user_agent")
    # It goes before the user agent at Google, which of a website knows more: the browser.
    if event.device is not NO_DEVICE and (is_app or event.action_source == "app" or "user_agent" not in found):
        device = _device(event.device) if settings.get("send_user_agent") is not False else None
        if device:
            found["device"] = device
    consent = _consent(event, verdicts)
    if consent:
        found["consent"] = consent
    return found


def _consent(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """Google's way to limit the use of data is to refuse the consent to personalised ads, whatever else was said of it."""
    given = event.consent
    found = {}
    if given.ad_user_data != "unspecified":
        found["ad_user_data"] = given.ad_user_data.upper()
    if given.limited_data_use:
        verdicts.ok(_LIMITED)
        found["ad_personalization"] = "DENIED"
    elif given.ad_personalization != "unspecified":
        found["ad_personalization"] = given.ad_personalization.upper()
    return found


def _device(device: Device) -> dict[str, Any]:
    size = f"{device.screen_width}x{device.screen_height}" if device.screen_width and device.screen_height else None
    return omit_empty(
        {
            "operating_system": device.os,
            "operating_system_version": device.os_version,
            "model": device.model,
            "language": device.language,
            "screen_resolution": size,
        }
    )


def _user_data(person: UserData, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if person.email is not None or person.emails:
        digests = [email.email_sha256("google") for email in person.all_emails]
        if usable := _usable("sha256_email_address", "email", digests, verdicts):
            found["sha256_email_address"] = usable
    if person.phone is not None or person.phones:
        country = settings.get("default_country")
        digests = [phone.phone_sha256("e164", country) for phone in person.all_phones]
        if usable := _usable("sha256_phone_number", "phone", digests, verdicts):
            found["sha256_phone_number"] = usable
    address = {}
    for key, name, rule in _ADDRESS_PARTS:
        value = getattr(person, name)
        if value is None:
            continue
        part = rule(value)
        if part is not None:
            address[key] = part
        else:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that GA4 takes as {key}")
    if address:
        found["address"] = [address]
    return found


def _usable(key: str, name: str, digests: list[str | None], verdicts: Verdicts) -> list[str]:
    """Each once, at most as many as GA4 takes."""
    found = [digest for digest in digests if digest is not None]
    if len(found) < len(digests):
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that GA4 takes as {key}")
    if len(found) < 2:
        return found
    found = list(dict.fromkeys(found))
    if len(found) > MAX_CONTACTS:
        verdicts.left_out(name, f"user_data.{name}s", f"left out: all but the first {MAX_CONTACTS}, which GA4 takes")
    return found[:MAX_CONTACTS]
