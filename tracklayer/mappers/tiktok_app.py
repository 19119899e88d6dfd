"""What TikTok gets of an app's event besides the rest: the app, the device and its ids. See tiktok.py.

Source: the connector for app events that TikTok keeps for Segment (tiktok-app-events). Read 2026-11-28.
"""

from __future__ import annotations

import re
from typing import Any

from tracklayer.domain.event import Device
from tracklayer.domain.identifiers import is_uuid
from tracklayer.mappers.base import Verdicts, omit_empty

# Standard events of apps that have another name than those of the web.
APP_NAMES = {"InitiateCheckout": "Checkout", "Lead": "GenerateLead", "CompleteRegistration": "Registration"}
# What somebody answered whom iOS asked for App Tracking Transparency; None: nobody was asked yet.
_ATT = {True: "AUTHORIZED", False: "DENIED", None: "NOT_DETERMINED"}
_FIRST_ATT = 14  # version of iOS


def put_device(found: dict[str, Any], device: Device, verdicts: Verdicts) -> None:
    """What an app was told of its device: ids plain, Apple's in capitals and Google's in small letters."""
    system = device.system
    if system is not None:
        found["att_status"] = _ATT[device.tracking_allowed] if _asks_for_tracking(device) else "NOT_APPLICABLE"
    if device.advertising_id is not None:
        wrong = None
        if device.tracking_allowed is False:
            wrong = "tracking is not allowed"
        elif not is_uuid(device.advertising_id):
            wrong = "no UUID"
        elif system is None:
            wrong = "device.os names neither iOS nor Android"
        elif system == "ios":
            found["idfa"] = device.advertising_id.strip().upper()
        else:
            found["gaid"] = device.advertising_id.strip().lower()
        if wrong:
            verdicts.left_out("advertising_id", "device.advertising_id", f"left out: {wrong}")
    if device.vendor_id is not None:
        if system == "ios" and is_uuid(device.vendor_id):
            found["idfv"] = device.vendor_id.strip().upper()
        else:
            verdicts.left_out("vendor_id", "device.vendor_id", "left out: TikTok takes that of iOS alone, a UUID")


def _asks_for_tracking(device: Device) -> bool:
    version = re.match(r"[0-9]+", (device.os_version or "").strip())
    return device.system == "ios" and (version is None or int(version[0]) >= _FIRST_ATT)


def app_of(device: Device, verdicts: Verdicts) -> dict[str, Any]:
    """Of an app without its id TikTok takes neither name nor version."""
    if device.app_id is None:
        if device.app_name or device.app_version:
            verdicts.left_out(
                "app", "device.app_id", "name and version of the app left out: TikTok wants its id with them"
            )
        return {}
    return omit_empty({"app_id": device.app_id, "app_name": device.app_name, "app_version": device.app_version})
