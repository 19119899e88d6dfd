"""What an event carries, as bits of one number: what is counted of events without keeping anything of anybody.

Counted by minute, event name, action source, host of the page and facts, these numbers say which share of a merchant's
events carries an email, a value, a click id; see ``db/coverage.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from tracklayer.domain.contact import holds_contact
from tracklayer.domain.event import MATCHABLE_LISTS, NO_CONSENT, Event
from tracklayer.domain.problem import Problem

AHEAD_FROM = timedelta(seconds=5)  # of the clock here: less is how long a request takes, and how clocks differ
LATE_FROM = timedelta(days=2)  # after it happened: a nightly import is not late

# Identifiers of a person by the names of ``user_data``, then what else is worth counting. A place is stored: it never
# moves, and new ones are added at the end. At most 62.
FACTS: tuple[str, ...] = (
    "email",
    "phone",
    "first_name",
    "last_name",
    "date_of_birth",
    "gender",
    "street",
    "city",
    "state",
    "zip",
    "country",
    "external_id",
    "client_ip",
    "client_user_agent",
    "browser_id",
    "fbp",
    "fbc",
    "fbclid",
    "ttp",
    "ttclid",
    "gclid",
    "gbraid",
    "wbraid",
    "ga_client_id",
    "ga_session_id",
    "epik",
    "sc_click_id",
    "sc_cookie1",
    "li_fat_id",
    "rdt_cid",
    "rdt_uuid",
    "msclkid",
    "twclid",
    "lead_id",
    "job_title",
    "company_name",
    "event_source_url",
    "value",  # above zero
    "currency",
    "contents",
    "order_id",
    "consent_denied",  # of ad_user_data
    "ahead",  # by AHEAD_FROM or more
    "late",  # by LATE_FROM or more
    "zero_value",  # a value is there, and it is zero
)
BITS: dict[str, int] = {name: 1 << place for place, name in enumerate(FACTS)}
# Further addresses and numbers are as good as the first.
_FIELDS = {**BITS, **{name: BITS[name[:-1]] for name in MATCHABLE_LISTS}}
# Facts that are no field of ``user_data``: whatever stands in FACTS besides is an identifier, wherever it stands.
NO_IDENTIFIERS = frozenset(
    (
        "event_source_url",
        "value",
        "currency",
        "contents",
        "order_id",
        "consent_denied",
        "ahead",
        "late",
        "zero_value",
    )
)
IDENTIFIERS = tuple(name for name in FACTS if name not in NO_IDENTIFIERS)
_NOTHING_PERSONAL = sum(BITS[name] for name in NO_IDENTIFIERS)
_URL, _VALUE, _CURRENCY = BITS["event_source_url"], BITS["value"], BITS["currency"]
_CONTENTS, _ORDER, _ZERO = BITS["contents"], BITS["order_id"], BITS["zero_value"]
_AHEAD, _IS_AHEAD, _DENIED = -AHEAD_FROM, BITS["ahead"], BITS["consent_denied"]


def facts_of(event: Event, now: datetime, unusable: Sequence[tuple[str, ...]] = ()) -> int:
    """The facts of an event that arrives at ``now``. What no platform can use, as ``ReadEvent`` names it, is not there, as if it
    had not been sent.
    """
    given = vars(event.user_data)
    facts = _mask_of(tuple(given if all(given.values()) else [name for name, value in given.items() if value]))
    if event.event_source_url:
        facts |= _URL
    custom = event.custom_data
    if custom.value is not None:
        facts |= _VALUE if custom.value > 0 else _ZERO
    if custom.currency:
        facts |= _CURRENCY
    if custom.contents or custom.product_ids:
        facts |= _CONTENTS
    if custom.order_id:
        facts |= _ORDER
    if event.consent is not NO_CONSENT and event.consent.ad_user_data == "denied":
        facts |= _DENIED
    if unusable:
        facts &= ~_not_there(event, unusable)
    age = now - event.occurred_at
    if age >= LATE_FROM:
        return facts | BITS["late"]
    return facts | _IS_AHEAD if age <= _AHEAD else facts


@lru_cache(maxsize=4096)  # a merchant's events carry the same few sets of identifiers
def _mask_of(names: tuple[str, ...]) -> int:
    mask = 0
    for name in names:
        mask |= _FIELDS.get(name, 0)
    return mask


def _not_there(event: Event, unusable: Iterable[tuple[str, ...]]) -> int:
    """The facts for which an event has nothing but what is of no use."""
    mask = emails = phones = lines = 0
    for path in unusable:
        match path:
            case ("user_data", "email" | "emails", *_):
                emails += 1
            case ("user_data", "phone" | "phones", *_):
                phones += 1
            case ("custom_data", "contents", _, "id"):
                lines += 1
            case (name,) | (_, name):
                mask |= BITS.get(name, 0)
    person, custom = event.user_data, event.custom_data
    if emails >= len(person.all_emails):
        mask |= BITS["email"]
    if phones >= len(person.all_phones):
        mask |= BITS["phone"]
    if lines >= len(custom.contents) and all(map(holds_contact, custom.product_ids)):
        mask |= _CONTENTS
    return mask


def facts_left_alone(facts: int) -> int:
    """The facts of an event whose person is left alone: it goes nowhere, as if they had denied consent, and says nothing of who
    it was.
    """
    return facts & _NOTHING_PERSONAL | _DENIED


def mask_of(names: Iterable[str]) -> int:
    mask = 0
    for name in names:
        mask |= BITS[name]
    return mask


_HOST = re.compile(r"https?://(?:[^/?#@\s]*@)?([^/?#:@\s]{1,253})(?=[/?#:]|$)", re.IGNORECASE)


def host_of(url: str | None) -> str:
    """The host of a page's URL, in lower case; empty where there is none."""
    if not url:
        return ""
    end = url.find("/", 8)  # behind the two slashes of either scheme: no host has one
    head = url if end < 0 else url[:end]
    return _host_of(head) if len(head) <= _MOST_OF_HEAD else _found_host(head)


_MOST_OF_HEAD = 300  # characters that are remembered


def _found_host(head: str) -> str:
    found = _HOST.match(head)
    return found[1].lower() if found else ""


_host_of = lru_cache(maxsize=2048)(_found_host)  # a shop has a few, in all of its events


OTHERS = "*"  # a name, host or field that is not counted by itself
_COUNTED_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}\Z")


def refusal_of(problems: Iterable[Problem]) -> tuple[str, str]:
    """(code, field) that a refused event is counted under: of its first problem, without places in lists.

    What a merchant calls a field of its own may be anything, an address too: only what looks like a name is kept.
    """
    for problem in problems:
        path = [part for part in problem.field if not part.isdigit()]
        return problem.code, ".".join(part if _COUNTED_FIELD.match(part) else OTHERS for part in path)
    return "", ""
