"""What of a mapped event may be shown: what is kept sealed stays so, whatever a platform makes of it.

No list says which of a platform's keys hold what: the event is mapped once more without what is sealed, and whatever
differs, or is missing then, comes from there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from tracklayer.db.events import EventRow, EventToMap
from tracklayer.domain.event import Event
from tracklayer.domain.normalise import is_sha256, sha256_hex
from tracklayer.domain.stitching import Enriched, enriched
from tracklayer.mappers.base import Mapped, Mapper
from tracklayer.mappers.outgoing import map_event, show_event
from tracklayer.sealing import Sealer
from tracklayer.services.credentials import HIDDEN
from tracklayer.services.persist import SEALED_FIELDS, to_event
from tracklayer.services.preview import Preview, as_json

View = Callable[[Event], Any]  # what becomes of an event; None: the mapper refuses it

# In place of what is sealed, where a platform takes no event without it: whatever somebody's own value is, one of the two
# differs from it in every part.
_OTHERS: tuple[Mapping[str, str], ...] = (
    {
        "first_name": "Aude",
        "last_name": "Moreau",
        "date_of_birth": "1961-02-03",
        "gender": "f",
        "street": "1 Alder Way",
        "city": "Albany",
        "state": "NY",
        "zip": "12207",
        "job_title": "Gardener",
        "company_name": "Alder Works",
    },
    {
        "first_name": "Bo",
        "last_name": "Ziegler",
        "date_of_birth": "1984-11-27",
        "gender": "m",
        "street": "29 Birch Road",
        "city": "Houston",
        "state": "TX",
        "zip": "77002",
        "job_title": "Plumber",
        "company_name": "Birch Brothers",
    },
)
_UNLIKE_ANYTHING = object()
_SHORT = 3  # characters: so short a text is looked for as a word of its own, as it was sent
_FEWEST = 6  # characters of a name that is found anywhere in words: a shorter one is a part of other words
_WORD = re.compile(r"[a-z]+|[0-9]+")  # and so is one that is a word, or a number, itself
_CUT = 200  # characters of words that may have been cut off
_LONGEST = 500  # characters at their end in which such a name begins
_BEGINS = 4  # characters by which names are looked up
_BEHIND_PAGE = re.compile(r"[?#]")


def payload_of(
    row: EventRow,
    mapper: Mapper,
    settings: Mapping[str, Any],
    as_of: datetime,
    sealer: Sealer,
    fields: Iterable[Enriched] = (),
) -> Any:
    """The request body of a stored event as mapped, with dots for what is kept sealed; None: the mapper refuses it.

    ``fields``: what was added to it.
    """

    def body(event: Event) -> Any:
        mapped = map_event(mapper, event, settings, as_of)
        return mapper.build_request(mapped.group, [mapped.item], settings).body if isinstance(mapped, Mapped) else None

    event = enriched(to_event(row, sealer), fields)
    found = body(event)
    return found if found is None or row.sealed is None else _covered(found, _comparable(event, body), [])


def preview_stored(
    row: EventRow,
    mapper: Mapper,
    settings: Mapping[str, Any],
    now: datetime,
    sealer: Sealer,
    fields: Iterable[Enriched] = (),
) -> Preview:
    """The request for a stored event as of ``now``, covered as ``payload_of`` does, and every rule it was held against.

    Rules speak of fields and never quote what is kept sealed.
    """

    def request(event: Event) -> Any:
        mapped = map_event(mapper, event, settings, now)
        return (
            as_json(mapper.build_request(mapped.group, [mapped.item], settings)) if isinstance(mapped, Mapped) else None
        )

    event = enriched(to_event(row, sealer), fields)
    mapped = show_event(mapper, event, settings, now)
    if not isinstance(mapped, Mapped):
        return Preview(None, list(mapped.verdicts), mapped.reason.value.upper())
    found = as_json(mapper.build_request(mapped.group, [mapped.item], settings))
    if row.sealed is not None:
        found = _covered(found, _comparable(event, request), [])
    return Preview(found, list(mapped.verdicts))


def without_sealed(
    words: str,
    sent: Sequence[tuple[EventToMap, Any]],
    mapper: Mapper,
    settings: Mapping[str, Any],
    as_of: datetime,
    sealer: Sealer,
    stitched: Mapping[str, Event] = MappingProxyType({}),
) -> str:
    """A platform's words about some events, without what it quotes of what is kept sealed.

    ``sent``: each event and the item that it was mapped to. ``stitched``: by event id, as it was mapped, where something was
    added to it: that comes from nothing sealed. A platform can quote nothing else, so an event of whose item
    nothing stands in the words is not looked at any closer.
    """

    def item(event: Event) -> Any:
        mapped = map_event(mapper, event, settings, as_of)
        return mapped.item if isinstance(mapped, Mapped) else None

    quoted: set[str] = set()
    folded = words.casefold()
    for row, found in sent:
        if row.sealed is not None and any(_stands_in(text, words, folded) for text in _texts(found)):
            covered: list[Any] = []
            event = stitched.get(row.event_id) or to_event(row, sealer)
            _covered(found, _comparable(event, item), covered)
            quoted.update(text for text in _texts(covered) if _stands_in(text, words, folded))
    for text in sorted(quoted, key=len, reverse=True):
        words = _pattern(text).sub("…", words)
    return words


class Names(NamedTuple):
    """By what one event can be told from all others: its id, and its order's id and page, as it has them and as they were sent."""

    event_id: str
    others: tuple[str, ...]


def names_within(row: EventToMap, item: Any, words: Iterable[str]) -> Names:
    """Of an event, and the item that it was mapped to, what may stand in some words. A page that only says which shop it is of
    names none.
    """
    others, page = set[str](), row.event_source_url
    if any("//" in one for one in words):
        pages = [text for text in _texts(item) if text[:4].lower() == "http"]
    else:
        pages = []
        page = page if page and "//" not in page else None
    if page:
        pages.append(page)
    if pages:
        # What stands in the query of a page is taken out of a platform's words before.
        pages += [_BEHIND_PAGE.split(one, maxsplit=1)[0].rstrip("/") for one in pages]
        others.update(one for one in pages if "/" in one.rpartition("//")[2].rstrip("/"))
    if '"order_id"' in row.custom_data and (order_id := orjson.loads(row.custom_data).get("order_id")):
        others.add(str(order_id))
    return Names(row.event_id, tuple(others))


class Many:
    """The names of some events, looked up in words by how they begin: it takes as long as the words are, however many these are."""

    def __init__(self, names: Iterable[Names]) -> None:
        self._of: dict[str, list[tuple[str, Names]]] = {}  # by the name, folded
        self._lengths: dict[str, set[int]] = {}  # of those that begin so
        self._short: list[tuple[str, Names]] = []
        for one in names:
            for name in (*one.others, one.event_id):
                folded = name.casefold()
                if len(name) <= _SHORT or len(folded) < _BEGINS:
                    self._short.append((name, one))
                else:
                    self._of.setdefault(folded, []).append((name, one))
                    self._lengths.setdefault(folded[:_BEGINS], set()).add(len(folded))
        self._sorted = sorted((name, one) for found in self._of.values() for name, one in found)

    def within(self, words: str, own: Names | None) -> set[str]:
        """Those that stand in the words, but for the id of ``own``."""
        folded, found = words.casefold(), set[str]()
        for at in range(len(folded) - _BEGINS + 1):
            for length in self._lengths.get(folded[at : at + _BEGINS], ()):
                for name, one in self._of.get(folded[at : at + length], ()):
                    if one is not own or name != one.event_id or name in one.others:
                        found.add(name)
        found.update(
            name
            for name, one in self._short
            if (one is not own or name != one.event_id) and _stands_in(name, words, folded)
        )
        return found

    def cut_off(self, words: str, own: Names | None) -> int:
        """How many characters at the end are the beginning of a name, of another event than ``own``."""
        for at in range(max(0, len(words) - _LONGEST), len(words) - _FEWEST + 1):
            end = words[at:]
            place = bisect_left(self._sorted, (end,))
            while place < len(self._sorted) and self._sorted[place][0].startswith(end):
                if self._sorted[place][1] is not own and self._sorted[place][0] != end:
                    return len(end)
                place += 1
        return 0


def without_names(words: str, names: Many, own: Names | None = None) -> str:
    """A platform's words without what names one of some events. ``own``: of the one that they are about, whose id stays."""
    before = words
    if found := names.within(words, own):
        kept = own.event_id.casefold() if own is not None else None
        every = sorted(found | ({own.event_id} if own is not None else set()), key=len, reverse=True)
        # With what was taken out behind it, such as a page's query.
        pattern = re.compile(f"({'|'.join(map(_pattern_of_name, every))})…?", re.IGNORECASE)
        words = pattern.sub(lambda match: match[0] if match[1].casefold() == kept else "…", words)
    if len(before) >= _CUT and (length := names.cut_off(words, own)):
        return f"{words[:-length]}…"
    return words


def _pattern_of_name(name: str) -> str:
    if len(name) >= _FEWEST and not _WORD.fullmatch(name):
        return re.escape(name)
    exact = f"(?-i:{re.escape(name)})" if len(name) <= _SHORT else re.escape(name)
    return rf"(?<!\w){exact}(?!\w)"


def _comparable(event: Event, view: View) -> list[Any]:
    """What becomes of the event without what is sealed; where that is refused, with two other values in each."""
    person = event.user_data
    names = [name for name in SEALED_FIELDS if getattr(person, name) is not None]
    bare = view(_with(event, dict.fromkeys(names)))
    if bare is not None:
        return [bare]
    found = []
    for values in _OTHERS:
        others = {
            name: sha256_hex(values[name]) if is_sha256(getattr(person, name)) else values[name] for name in names
        }
        found.append(view(_with(event, others)))
    return found if None not in found else [_UNLIKE_ANYTHING]


def _with(event: Event, values: Mapping[str, str | None]) -> Event:
    changed: Mapping[str, Any] = values
    return replace(event, user_data=replace(event.user_data, **changed))


def _covered(found: Any, others: Sequence[Any], covered: list[Any]) -> Any:
    """``found`` with dots for every value that is not the same in each of ``others``; those go into ``covered``.

    In a list an element that stands elsewhere in the other one is the same all the same; any other is held against the
    one in its place, where both lists are of one length.
    """
    if all(type(other) is type(found) and other == found for other in others):
        return found
    if isinstance(found, Mapping):
        return {
            key: _covered(
                value,
                [
                    other.get(key, _UNLIKE_ANYTHING) if isinstance(other, Mapping) else _UNLIKE_ANYTHING
                    for other in others
                ],
                covered,
            )
            for key, value in found.items()
        }
    if isinstance(found, list | tuple):
        lists = [other if isinstance(other, list | tuple) else () for other in others]
        return [
            value
            if all(value in other for other in lists)
            else _covered(
                value, [other[place] if len(other) == len(found) else _UNLIKE_ANYTHING for other in lists], covered
            )
            for place, value in enumerate(found)
        ]
    covered.append(found)
    return HIDDEN


def _texts(found: Any) -> Iterator[str]:
    """Every value as a platform might quote it."""
    if isinstance(found, Mapping):
        for value in found.values():
            yield from _texts(value)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from _texts(value)
    elif isinstance(found, str):
        if found:
            yield found
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield str(found)


def _stands_in(text: str, words: str, folded: str) -> bool:
    if len(text) > _SHORT:
        return text.casefold() in folded
    return text in words and _pattern(text).search(words) is not None


def _pattern(text: str) -> re.Pattern[str]:
    if len(text) > _SHORT:
        return re.compile(re.escape(text), re.IGNORECASE)
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
