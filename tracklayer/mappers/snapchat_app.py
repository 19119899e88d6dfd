"""What Snapchat gets of an app's event besides the rest: the app, the device and its ids. See snapchat.py.

Source: Snap for Developers, Conversions API, "Parameters" (``app_data``), and the public connectors. Read 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tracklayer.domain.event import Device
from tracklayer.domain.identifiers import is_uuid
from tracklayer.mappers.base import RuleVerdict, Settings, Verdicts, omit_empty

APP_PROPERTIES = frozenset({"advertiser_tracking_enabled", "extinfo"})  # how apps told it before there was ``device``
_EXTINFO_SLOTS = 16
_VERSIONS = {"android": "a2", "ios": "i2"}  # what extinfo begins with
_TRACKING_UNKNOWN = RuleVerdict(
    "app_data", True, "nothing is known of tracking: sent as not allowed", "device.tracking_allowed"
)
_SYSTEM_UNKNOWN = RuleVerdict(
    "app_data",
    False,
    "Snapchat asks for extinfo, which begins with the system: sent without, apart from other events; device.os (iOS or Android) "
    "would tell it",
    "device.os",
)


def put_device_ids(found: dict[str, Any], device: Device, properties: Mapping[str, Any], verdicts: Verdicts) -> None:
    """Plain, the advertising id in small letters."""
    if device.advertising_id is not None:
        if _tracking_allowed(device, properties) is False:
            verdicts.left_out("advertising_id", "device.advertising_id", "left out: tracking is not allowed")
        elif is_uuid(device.advertising_id):
            found["madid"] = device.advertising_id.strip().lower()
        else:
            verdicts.left_out("advertising_id", "device.advertising_id", "left out: no UUID")
    if device.vendor_id is not None:
        if is_uuid(device.vendor_id):
            found["idfv"] = device.vendor_id.strip()
        else:
            verdicts.left_out("vendor_id", "device.vendor_id", "left out: no UUID")


def app_data(device: Device, properties: Mapping[str, Any], settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    """The app, the tracking permission, and the device as 16 texts: Snap wants all three of an app event.

    A permission that is not told is none. Without ``extinfo`` where nobody told the system that it must begin with: it is
    not to be known by the app, which may have the same id on both.
    """
    allowed = _tracking_allowed(device, properties)
    if allowed is None and properties.get("advertiser_tracking_enabled") is not None:
        field = "custom_data.properties.advertiser_tracking_enabled"
        verdicts.left_out("app_data", field, "left out: not true, false, 1 or 0")
    if allowed is None:
        verdicts.ok(_TRACKING_UNKNOWN)
    slots = None
    if properties.get("extinfo") is not None:
        slots = _extinfo(properties["extinfo"])
        if slots is None:
            field = "custom_data.properties.extinfo"
            verdicts.left_out("app_data", field, "left out: not a JSON list of 16 texts that begins with a2 or i2")
    if slots is None:
        slots = _described(device, str(settings.get("app_id", "")))
        if slots is None:
            verdicts.ok(_SYSTEM_UNKNOWN)
    return omit_empty(
        {
            "app_id": settings.get("app_id"),
            "advertiser_tracking_enabled": int(allowed is True),
            "extinfo": slots,
        }
    )


def _tracking_allowed(device: Device, properties: Mapping[str, Any]) -> bool | None:
    told = properties.get("advertiser_tracking_enabled")
    return bool(told) if device.tracking_allowed is None and told in (0, 1) else device.tracking_allowed


def _described(device: Device, app_id: str) -> list[str] | None:
    """The slots of extinfo; what nobody told is empty. None where the system is neither iOS nor Android, or not told."""
    version = _VERSIONS.get(device.system or "")
    if version is None:
        return None
    size = ["" if pixels is None else str(pixels) for pixels in (device.screen_width, device.screen_height)]
    return [
        version,
        device.app_id or ("" if app_id.isdigit() else app_id),  # the package; digits are a number of the App Store
        device.app_version or "",
        "",  # the longer version
        device.os_version or "",
        device.model or "",
        (device.locale or "").replace("-", "_"),
        "",  # abbreviation of the time zone
        device.carrier or "",
        *size,
        *("", "", "", ""),  # density, cores, storage and what is free of it
        device.time_zone or "",
    ]


def _extinfo(text: Any) -> list[str] | None:
    """From JSON text, since a property is flat."""
    try:
        slots = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(slots, list) or len(slots) != _EXTINFO_SLOTS or slots[0] not in _VERSIONS.values():
        return None
    return slots if all(isinstance(slot, str) for slot in slots) else None
