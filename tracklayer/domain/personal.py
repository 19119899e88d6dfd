"""Personal data in plain text, where no platform may get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_personal_url(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL without what is personal in it, and the names of what was taken out."""
    return url, ()


def without_personal_properties(properties: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The properties without what is personal, and the names of those that were taken out."""
    return properties, ()
