"""Checks of a JSON value's type and shape, to be put together in a platform's tables.

A check returns None for a good value, else a complaint that goes behind the value's path: " must be a
number", or from inside a structure "[0].item_price must be a number". Complaints name paths and rules, never
values.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Check = Callable[[object], str | None]

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
DEEPEST = 32  # far beyond any event, far below where Python's own recursion ends


def anything(value: object) -> str | None:
    return None


def text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else " must be a string with something in it"


def whole(value: object) -> str | None:
    return None if type(value) is int else " must be a whole number"


def number(value: object) -> str | None:
    return None if type(value) in (int, float) else " must be a number"


def flag(value: object) -> str | None:
    return None if type(value) is bool else " must be true or false"


def structure(value: object) -> str | None:
    return None if isinstance(value, dict) else " must be an object"


def url(value: object) -> str | None:
    """Absolute, with a host: ``https://shop.example.com/p``."""
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
        except ValueError:
            return " must be a complete URL"
        if parts.scheme and parts.netloc:
            return None
    return " must be a complete URL"


def ip_address(value: object) -> str | None:
    if isinstance(value, str):
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return " must be an IPv4 or IPv6 address"
        return None
    return " must be an IPv4 or IPv6 address"


def one_of(*allowed: str | int) -> Check:
    """Equal in value and in type: neither true nor 1.0 passes for 1."""
    complaint = f" must be one of {', '.join(map(str, allowed))}"

    def check(value: object) -> str | None:
        return None if type(value) in (str, int) and value in allowed else complaint

    return check


def matching(pattern: str, complaint: str) -> Check:
    """A string that fits the pattern from its first to its last character."""
    fits = re.compile(pattern).fullmatch

    def check(value: object) -> str | None:
        return None if isinstance(value, str) and fits(value) else complaint

    return check


sha256 = matching(r"[0-9a-f]{64}", " must be a SHA-256 digest in 64 lower-case hexadecimal characters")


def list_of(each: Check, least: int = 1) -> Check:
    """A list in which every element passes, with at least so many elements."""

    def check(value: object) -> str | None:
        if not isinstance(value, list):
            return " must be a list"
        if len(value) < least:
            return f" must have at least {least} element"
        for index, element in enumerate(value):
            if complaint := each(element):
                return f"[{index}]{complaint}"
        return None

    return check


def one_or_list(each: Check) -> Check:
    """The value itself, or a list of such values with at least one element."""
    many = list_of(each)

    def check(value: object) -> str | None:
        return many(value) if isinstance(value, list) else each(value)

    return check


def fields(known: Mapping[str, Check], required: Sequence[str] = (), others: Check | None = None) -> Check:
    """An object: required keys are there, known ones pass, all others pass ``others`` or are refused."""

    def check(value: object) -> str | None:
        if not isinstance(value, dict):
            return " must be an object"
        for key in required:
            if key not in value:
                return f".{key} is required"
        for key, inner in value.items():
            inner_check = known.get(key, others)
            if inner_check is None:
                return f" has the unknown key {key[:64]!r}"
            if complaint := inner_check(inner):
                return f".{key}{complaint}"
        return None

    return check


def nothing_hollow(value: object, depth: int = 0) -> str | None:
    """Complains of a null, an empty string or the digest of an empty string, however deep it lies."""
    if depth > DEEPEST:
        return " is nested too deeply"
    if isinstance(value, dict):
        for key, inner in value.items():
            if complaint := nothing_hollow(inner, depth + 1):
                return f".{key}{complaint}"
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if complaint := nothing_hollow(inner, depth + 1):
                return f"[{index}]{complaint}"
    elif value is None or value == "":
        return " must be left out where it has no value"
    elif value == EMPTY_SHA256:
        return " is the digest of an empty string"
    return None


def text_at(event: object, key: str) -> str | None:
    """The string under a key of what may be no object and no string; None where it is not."""
    value = event.get(key) if isinstance(event, dict) else None
    return value if isinstance(value, str) else None


def object_at(event: object, key: str) -> Mapping[str, Any]:
    """The object under a key of what may be no object; an empty one where there is none."""
    value = event.get(key) if isinstance(event, dict) else None
    return value if isinstance(value, dict) else {}
