"""Events and deliveries of a time, page by page, for whoever keeps them elsewhere. Changes nothing.

Newest received first, by the same index as the lists: the last page costs what the first does, and no transaction is open
between two pages. An event that arrives meanwhile lies behind the end that was set, so each is told once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import orjson
import peewee
import psycopg2

from tracklayer.db import event_search as db
from tracklayer.db import standby
from tracklayer.db.connection import bounded_read, lend
from tracklayer.db.deliveries import DeliveryRow, deliveries_of_events
from tracklayer.db.event_search import EventSearch
from tracklayer.db.events import EventRow
from tracklayer.db.sessions import Session
from tracklayer.db.stored_json import loads
from tracklayer.runtime import Runtime
from tracklayer.services.credentials import HIDDEN
from tracklayer.services.stored import let_writers_end

T = TypeVar("T")
PAGE = 500  # events of one statement
PATIENCE = timedelta(seconds=30)  # for a standby that is behind: an export takes longer anyway

log = logging.getLogger(__name__)

Place = tuple[datetime, str]  # received_at and event id


@dataclass(frozen=True, slots=True)
class Page:
    """``place``: of its last event; what follows lies behind it. ``deliveries``: where they were asked for."""

    events: list[EventRow]
    deliveries: list[DeliveryRow]
    place: Place


def export_pages(
    runtime: Runtime,
    merchant_id: int,
    since: datetime | None,
    until: datetime,
    after: Place | None,
    *,
    deliveries: bool,
) -> Iterator[Page]:
    """Events received from ``since`` until before ``until``, behind ``after``, or with their deliveries.

    From the standby where there is one that serves. Raises ReadTimeoutError, and DatabaseAwayError.
    """
    let_writers_end()
    with closing(_Source(runtime)) as source:
        while True:
            search = EventSearch(received_since=since, received_until=until, after=after)
            page = source.read(partial(_page, merchant_id, search, deliveries=deliveries))
            if page is None:
                return
            yield page
            after = page.place
            if len(page.events) < PAGE:
                return


def _page(merchant_id: int, search: EventSearch, *, deliveries: bool) -> Page | None:
    events = db.page_of_events(merchant_id, search, PAGE)
    if not events:
        return None
    found: list[DeliveryRow] = []
    if deliveries:
        of_events = deliveries_of_events(merchant_id, [event.event_id for event in events])
        found = [row for event in events for row in of_events[event.event_id]]
    return Page(events, found, (events[-1].received_at, events[-1].event_id))


class _Source:
    """The standby as long as it serves, then the primary."""

    def __init__(self, runtime: Runtime) -> None:
        url = runtime.settings.read_database_url
        self._session: Session | None = None
        if url is None:
            return
        try:
            self._session = standby.connect(str(url), PATIENCE)
        except standby.NotServedError as error:
            log.warning("%s", standby.sentence_of(error.why or "does not serve now"))

    def read(self, call: Callable[[], T]) -> T:
        if self._session is not None:
            try:
                with lend(self._session), bounded_read():
                    return call()
            except (peewee.DatabaseError, peewee.InterfaceError, psycopg2.Error) as error:
                log.warning("the standby ended a query (%s): the primary serves the rest", type(error).__name__)
                self.close()
        with bounded_read():
            return call()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def event_as_sent(row: EventRow) -> dict[str, Any]:
    """An event as ``tracklayer import`` takes it: what is persisted of it, without what is sealed.

    Email and phone are digests where the merchant hashes; with the rules of platforms that differ, they cannot be made anew.
    """
    user_data = {name: value for name, value in loads(row.user_data).items() if value != HIDDEN}
    event: dict[str, Any] = {
        "event_name": row.event_name,
        "event_id": row.event_id,
        "occurred_at": row.occurred_at,
        "action_source": row.action_source,
    }
    if row.event_source_url is not None:
        event["event_source_url"] = row.event_source_url
    event |= {"user_data": user_data, "custom_data": orjson.Fragment(row.custom_data)}
    if row.device:
        event["device"] = orjson.Fragment(row.device)
    if row.consent:
        event["consent"] = orjson.Fragment(row.consent)
    return event
