"""What the emulation of a platform consists of: the call it gets, its answer, its words for faults.

An emulation is pure: everything it may look at is in the ``Call``, everything it decides is in the
``Answer``. What was accepted before, duplicates and faults are the engine's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.client import responses
from urllib.parse import parse_qsl

import orjson


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as the platform's own host would see it.

    ``serial`` counts the requests of this sandbox from 1: build the reply's request id from it, and it is
    found again in ``/_requests``. ``path`` begins with a slash; ``parts`` are the named groups of the route's
    pattern; header names are lower-case; ``now`` is aware. An event whose id is in ``refused_ids`` is to be
    answered as the platform answers an invalid event.
    """

    serial: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now: datetime
    parts: Mapping[str, str] = field(default_factory=dict)
    refused_ids: frozenset[str] = frozenset()

    def json(self) -> object:
        """The body read as JSON. Raises ``ValueError`` where it is none."""
        return orjson.loads(self.body)

    def form(self) -> dict[str, str]:
        """The body read as ``application/x-www-form-urlencoded``; of a repeated name the last value."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def has_form(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")

    def bearer(self) -> str | None:
        """The token of ``Authorization: Bearer``, None where there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def refuses(self, event_id: object) -> bool:
        return isinstance(event_id, str) and event_id in self.refused_ids


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a request, with the platform's verdict.

    ``dedup_key`` is what makes two copies one event within the platform, ``dedup_window`` how long after the
    first copy that holds; with None every copy counts. ``newest_wins`` is for a platform on which a later
    copy changes the first one instead of being dropped.
    """

    destination: str
    event_name: str | None
    event_id: str | None
    body: object
    accepted: bool
    test: bool = False
    dedup_key: tuple[str, ...] | None = None
    dedup_window: timedelta = timedelta.max
    newest_wins: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP reply, and every event of the request in its order."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: ``pattern`` must match the whole path. A token endpoint is a route like any other."""

    method: str
    pattern: re.Pattern[str]
    answer: Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform's endpoints, and how it words what the engine is told to answer.

    ``rate_limited`` gets the seconds of the fault's Retry-After, if any, for headers of the platform's own;
    the engine adds ``Retry-After`` itself. ``server_error`` gets the HTTP status. ``credentials_refused`` is
    also asked for calls to a token endpoint. ``secret_names`` are the headers, query fields and body fields
    that carry credentials, in lower case, besides those OAuth names itself: ``/_requests`` never shows their
    values.
    """

    title: str
    routes: Sequence[Route]
    no_route: Callable[[Call], Answer]
    rate_limited: Callable[[Call, int | None], Answer]
    server_error: Callable[[Call, int], Answer]
    credentials_refused: Callable[[Call], Answer]
    secret_names: frozenset[str] = frozenset()

    def answer(self, call: Call) -> Answer:
        """What the platform would reply where nothing is wrong with it."""
        for route in self.routes:
            match = route.pattern.fullmatch(call.path)
            if match and route.method == call.method:
                return route.answer(replace(call, parts=match.groupdict()))
        return self.no_route(call)


def json_answer(
    status: int, value: object, headers: Mapping[str, str] | None = None, items: Sequence[Item] = ()
) -> Answer:
    """An ``Answer`` whose body is ``value`` as JSON."""
    head = {"content-type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(status, orjson.dumps(value), head, tuple(items))


def html_answer(status: int) -> Answer:
    """The page a proxy in front of an API sends when the API itself does not answer."""
    title = f"{status} {responses.get(status, 'Error')}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, page.encode(), {"content-type": "text/html; charset=utf-8"})
