"""A browser and a person, told by the merchant's own backend outside of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracklayer.clock import elapsed
from tracklayer.db import identities as db
from tracklayer.db.connection import in_transaction
from tracklayer.db.lateness import arrival, begin_storing, end_storing
from tracklayer.db.marks import is_any_suppressed
from tracklayer.db.merchants import KeyHolder
from tracklayer.domain.identifiers import FORMATS
from tracklayer.domain.person import of_browser, tokens_of_added, tokens_of_event
from tracklayer.domain.problem import Name, Problem, worded
from tracklayer.domain.read_event import read_event
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import LATE_SECONDS
from tracklayer.services.linking import links_of
from tracklayer.services.marks import marker_of

_BAD_BROWSER = Problem.said(("browser_id",), "INVALID_VALUE", Name(("browser_id",)), f" {FORMATS['browser_id'].what}.")
_TWO_BROWSERS = Problem.said(
    ("user_data", "browser_id"),
    "INVALID_VALUE",
    "names another browser than ",
    Name(("browser_id",)),
    ". Leave it out.",
)
_NOBODY = Problem.said(
    ("user_data",),
    "REQUIRED",
    "needs an ",
    Name(("user_data", "email")),
    " or a ",
    Name(("user_data", "phone")),
    ": nothing was linked.",
)
_UNUSABLE = Problem.said(
    ("user_data",),
    "NOT_LINKED",
    "has no email of a person and no phone with its country code that can exist: mailboxes such as noreply@ and numbers such as "
    "+11111111111 are nobody's. Nothing was linked.",
)
_REFUSED = Problem(("browser_id",), "CONSENT_DENIED", "Consent was denied in this browser: nothing was linked.")


_SUPPRESSED = Problem(
    ("user_data",), "PERSON_SUPPRESSED", "This person was erased, and is to be left alone: nothing was linked."
)


@dataclass(frozen=True)
class Identified:
    """``is_linked``: the browser is known to be seen with this person, as far as the caller may know; ``problems`` may hold
    warnings all the same.
    """

    is_linked: bool
    problems: tuple[Problem, ...]


def identify(
    runtime: Runtime,
    merchant: KeyHolder,
    browser_id: str,
    user_data: Mapping[str, Any],
    arrived: float | None = None,
) -> Identified:
    """Links a browser with an email, a phone, or both. ``user_data`` is judged as that of an event; safe to call again.

    A key that may only send is not told that a person is left alone: it hears that they are linked. ``arrived``: when the call
    did, by ``clock.elapsed``. Raises DatabaseAwayError where it is not in the database ``LATE_SECONDS`` later: then nothing is.
    """
    arrived = min(arrival(merchant.asked_at), elapsed() if arrived is None else arrived)
    now = runtime.clock.now()
    browser_id, given = browser_id.strip(), user_data.get("browser_id")
    problems = [] if FORMATS["browser_id"].is_right(browser_id) else [_BAD_BROWSER]
    if given is not None and given.strip() != browser_id:
        problems.append(_TWO_BROWSERS)
    draft = {
        "event_name": "Identify",
        "event_id": "identify",
        "occurred_at": now,
        "user_data": {**user_data, "browser_id": browser_id},
    }
    read = read_event(draft, now, merchant.default_countries)
    if isinstance(read, list):
        return Identified(False, (*problems, *read))
    warnings = tuple(map(_of_no_event, (one for one in read.warnings if one.field != ("user_data", "browser_id"))))
    if problems:
        return Identified(False, (*problems, *warnings))
    person = read.event.user_data
    if not person.all_emails and not person.all_phones:
        return Identified(False, (_NOBODY, *warnings))
    links = links_of(read.event, now)
    if not links:
        return Identified(False, (_UNUSABLE, *warnings))
    marks: Sequence[bytes] = ()
    if merchant.is_marked:
        tokens = tokens_of_added({"field": link.kind, "value": link.digests} for link in links)
        if person.external_id:
            tokens |= tokens_of_event({"external_id": person.external_id}, None, frozenset())
        marks = marker_of(runtime).marks(merchant.merchant_id, {*tokens, of_browser(browser_id)})
    with in_transaction():
        until = begin_storing(arrived + LATE_SECONDS - elapsed())
        if marks and is_any_suppressed(merchant.merchant_id, marks):
            # Whoever may only send could ask of anybody whether they were erased.
            return Identified(False, (_SUPPRESSED, *warnings)) if merchant.may_read else Identified(True, warnings)
        if db.has_refused(merchant.merchant_id, browser_id):
            return Identified(False, (_REFUSED, *warnings))
        db.link_people(merchant.merchant_id, links, now)
        end_storing(until)
    return Identified(True, warnings)


def _of_no_event(warning: Problem) -> Problem:
    """The same without what becomes of the event, as there is none."""
    *before, last = warning.parts or (warning.message,)
    parts = (*before, last.partition(" The event is taken")[0] if isinstance(last, str) else last)
    return replace(warning, message=worded(parts, ".".join, str), parts=parts)
