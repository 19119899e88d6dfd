"""Takes the ids of erased events out of what mentions them: alerts, messages, advice, redeliveries."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Collection
from typing import Any

import orjson

from tracklayer.db import erasures as db

PAGE = 500  # rows that are read at once
ERASED = "erased"  # what stands in the place of an id
_NO_IDS = frozenset(
    {"code", "kind", "platform", "reason", "severity", "state", "status"}
)  # an event may be called as these
_QUOTED = re.compile(r"`([^`\n]+)`")


def remove_traces(merchant_id: int, ids: Collection[str]) -> tuple[int, bool]:
    """(how many rows mentioned one, whether none does any more): a row that changes meanwhile is left for the next time.

    Needs a transaction; safe to do again.
    """
    found, is_done = 0, True
    for place in db.PLACES:
        after: tuple[Any, ...] | None = None
        while True:
            page = db.page_of_place(place, merchant_id, after, PAGE)
            for row in page:
                key, values = row[: len(place.key)], dict(zip(place.columns, row[len(place.key) :], strict=True))
                cleaned = {
                    name: _clean(value, ids, is_json=name in place.json) if value is not None else None
                    for name, value in values.items()
                }
                if cleaned != values:
                    changed = db.rewrite(place, merchant_id, key, values, cleaned)
                    found, is_done = found + changed, is_done and bool(changed)
            if len(page) < PAGE:
                break
            after = page[-1][: len(place.key)]
    return found, is_done


def _clean(text: str, ids: Collection[str], *, is_json: bool) -> str:
    if not is_json:
        return _clean_text(text, ids)
    value = orjson.loads(text)
    cleaned = _clean_value(value, ids)
    return text if cleaned == value else orjson.dumps(cleaned).decode()


def _clean_text(text: str, ids: Collection[str]) -> str:
    if text in ids:
        return ERASED
    return _QUOTED.sub(lambda found: f"`{ERASED}`" if found[1] in ids else found[0], text)


def _clean_value(value: Any, ids: Collection[str]) -> Any:
    if isinstance(value, str):
        return ERASED if _is_node_of(value, ids) else _clean_text(value, ids)
    if isinstance(value, list):
        return [_clean_value(one, ids) for one in value]
    if isinstance(value, dict):
        return {name: one if name in _NO_IDS else _clean_value(one, ids) for name, one in value.items()}
    return value


def _is_node_of(text: str, ids: Collection[str]) -> bool:
    """Whether it is the opaque id of an erased event, or of a delivery of one."""
    if len(text) < 12 or not text.replace("-", "").replace("_", "").replace("=", "").isalnum():
        return False
    try:
        parts = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return False
    return isinstance(parts, list) and any(isinstance(part, str) and part in ids for part in parts[2:])
