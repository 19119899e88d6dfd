"""The one digest that every platform takes."""

from __future__ import annotations

import hashlib


def sha256_hex(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
