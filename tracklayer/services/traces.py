"""Takes the ids of erased events out of what mentions them: alerts, messages, advice, redeliveries."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from tracklayer.db import traces as db

PAGE = 500  # rows that are read at once
ERASED = "erased"  # what stands in the place of an id
_NO_IDS = frozenset(
    {"code", "kind", "platform", "reason", "severity", "state", "status"}
)  # an event may be called as these
_QUOTED = re.compile(r"`([^`\n]+)`")
_FEWEST = 6  # characters of an id that is found anywhere in a text: a shorter one is part of other words
_WORD = re.compile(r"[a-z]+")  # and so is one that is a word itself


class Ids:
    """Ids of erased events, each with whose it is: found in a text in a time that does not grow with how many they are.

    ``found``: whose were cut out, until somebody clears it.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._all = ids
        self.found: set[int] = set()
        self._odd = sorted((one for one in self._all if "`" in one or "\n" in one), key=len, reverse=True)
        self._lengths: dict[str, set[int]] = {}  # beginning -> of how many characters those are that begin so
        for one in self._all:
            if len(one) >= _FEWEST and not _WORD.fullmatch(one):
                self._lengths.setdefault(one[:_FEWEST], set()).add(len(one))

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and text in self._all

    def cut_out(self, text: str) -> str:
        """The text without them: as a whole, in backticks, and, where they are no words, anywhere."""
        if text in self._all:
            return self._put_for(text)
        for one in self._odd:
            if f"`{one}`" in text:
                text = text.replace(f"`{one}`", f"`{self._put_for(one)}`")
        text = _QUOTED.sub(lambda found: f"`{self._put_for(found[1])}`" if found[1] in self._all else found[0], text)
        parts, done = list[str](), 0
        for at in range(len(text) - _FEWEST + 1 if self._lengths else 0):
            lengths = self._lengths.get(text[at : at + _FEWEST], ()) if at >= done else ()
            longest = max((length for length in lengths if self._is_at(text, at, length)), default=0)
            if longest:
                parts += [text[done:at], self._put_for(text[at : at + longest])]
                done = at + longest
        return "".join([*parts, text[done:]]) if parts else text

    def cut_node(self, node: str) -> str | None:
        """What is put in the place of an opaque id of an erased event, or of a delivery of one; None: it is of no such one."""
        if len(node) < 12 or not node.replace("-", "").replace("_", "").replace("=", "").isalnum():
            return None
        try:
            parts = orjson.loads(urlsafe_b64decode(node + "=" * (-len(node) % 4)))
        except ValueError:
            return None
        if not isinstance(parts, list):
            return None
        return next((self._put_for(part) for part in parts[2:] if isinstance(part, str) and part in self._all), None)

    def _put_for(self, event_id: str) -> str:
        self.found.add(self._all[event_id])
        return ERASED

    def _is_at(self, text: str, at: int, length: int) -> bool:
        found = text[at : at + length]
        if found.isdecimal() and (text[at - 1 : at].isdecimal() or text[at + length : at + length + 1].isdecimal()):
            return False  # a part of another number
        return found in self._all


def remove_traces(merchant_id: int, ids: Ids) -> tuple[Counter[int], bool]:
    """(how many rows mentioned one, by whose it is; whether none does any more): a row that changes meanwhile is left for the
    next time.

    Needs a transaction; safe to do again.
    """
    found, is_done = Counter[int](), True
    for place in db.PLACES:
        after: tuple[Any, ...] | None = None
        while True:
            page = db.page_of_place(place, merchant_id, after, PAGE)
            for row in page:
                key, values = row[: len(place.key)], dict(zip(place.columns, row[len(place.key) :], strict=True))
                ids.found.clear()
                cleaned = {
                    name: _clean(value, ids, is_json=name in place.json) if value is not None else None
                    for name, value in values.items()
                }
                if cleaned != values:
                    changed = db.rewrite(place, merchant_id, key, values, cleaned)
                    is_done = is_done and bool(changed)
                    found.update(dict.fromkeys(ids.found, changed))
            if len(page) < PAGE:
                break
            after = page[-1][: len(place.key)]
    return found, is_done


def _clean(text: str, ids: Ids, *, is_json: bool) -> str:
    if not is_json:
        return ids.cut_out(text)
    value = orjson.loads(text)
    cleaned = _clean_value(value, ids)
    return text if cleaned == value else orjson.dumps(cleaned).decode()


def _clean_value(value: Any, ids: Ids) -> Any:
    if isinstance(value, str):
        return ids.cut_node(value) or ids.cut_out(value)
    if isinstance(value, list):
        return [_clean_value(one, ids) for one in value]
    if isinstance(value, dict):
        return {name: one if name in _NO_IDS and one in ids else _clean_value(one, ids) for name, one in value.items()}
    return value
