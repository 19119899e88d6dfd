"""How a row is named outside: one text that no other row of any merchant has."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import orjson


def node_id(kind: str, *parts: Any) -> str:
    """Opaque to clients; safe in a URL. ``parts``: the row's key, the merchant first."""
    return urlsafe_b64encode(orjson.dumps([kind, *parts])).decode().rstrip("=")
