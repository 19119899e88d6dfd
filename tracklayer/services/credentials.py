"""Destinations' secrets: split from the other settings, sealed, opened, shown as dots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tracklayer.db.destinations import Seen
from tracklayer.db.models import DestinationRow, MerchantRow
from tracklayer.mappers.base import KEEPS_PLAIN, Mapper
from tracklayer.sealing import Sealer, SealError

HIDDEN = "••••"


def split_settings(mapper: Mapper, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(settings that may be read, secrets)."""
    secret = {setting.name for setting in mapper.settings if setting.secret}
    return (
        {name: value for name, value in settings.items() if name not in secret},
        {name: value for name, value in settings.items() if name in secret},
    )


def seal_secrets(sealer: Sealer, merchant_id: int, platform: str, secrets: Mapping[str, Any]) -> bytes:
    return sealer.seal(orjson.dumps(dict(secrets)), _context(merchant_id, platform))


def open_secrets(sealer: Sealer, row: DestinationRow | Seen) -> dict[str, Any]:
    """Raises SealError where this process lacks the key."""
    opened: dict[str, Any] = orjson.loads(sealer.open(row.secrets, _context(row.merchant_id, row.platform)))
    return opened


def open_settings(sealer: Sealer, row: DestinationRow | Seen) -> dict[str, Any]:
    """A destination's own settings, secrets opened: for whoever changes them."""
    return {**row.settings, **open_secrets(sealer, row)}


def settings_to_map(sealer: Sealer, row: DestinationRow | Seen) -> dict[str, Any]:
    """All settings, secrets opened, for a mapper and the transport only: the merchant's where the destination has none."""
    return {
        **_of_merchant(row.merchant_currency, row.merchant_page_url, row.merchant_consent, row.merchant_hashes),
        **open_settings(sealer, row),
    }


def merchant_settings(row: MerchantRow) -> dict[str, Any]:
    """What a merchant sets for all platforms, in the words of a destination's settings."""
    return _of_merchant(row.default_currency, row.default_page_url, row.require_consent, row.hash_user_data)


def _of_merchant(currency: str | None, page_url: str | None, consent: str, hashes: bool) -> dict[str, Any]:
    given = {"default_currency": currency, "default_page_url": page_url, KEEPS_PLAIN: None if hashes else True}
    found = {name: value for name, value in given.items() if value is not None}
    return found if consent == "never" else {**found, "require_consent": consent}


def shown_settings(sealer: Sealer, row: DestinationRow) -> dict[str, Any]:
    """All settings, of each secret the last four characters, and none of a short one.

    Secrets that were sealed with a key that this process lacks are as good as missing, and left out.
    """
    try:
        secrets = open_secrets(sealer, row)
    except SealError:
        secrets = {}
    return {**row.settings, **{name: hide(value) for name, value in secrets.items()}}


def hide(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return HIDDEN + (text[-4:] if len(text) >= 12 else "")


def _context(merchant_id: int, platform: str) -> str:
    return f"destination/{merchant_id}/{platform}"
