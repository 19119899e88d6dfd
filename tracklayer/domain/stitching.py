"""Which identifiers an event gets that it did not bring: one hop, no profiles, no chains. Values in, values out.

A *signal* is something that a browser showed: a click id of its address, a platform's own cookie. A *link* says that a
browser and an email (or phone) came together in one authenticated call. From these, for one event and as of its own time:

- ``cookie``: the event names a browser, and gets what that browser showed; and its email or phone, where the browser was
  seen with exactly one of late. One that was seen with two is shared, and gives its anonymous events to neither.
- ``email``: the event names no browser but an email or phone, and gets the newest click of the browsers that were seen with
  it. One that was seen with many browsers is a mailbox of many, and gives and takes nothing.

An event's own value always wins. Where consent was denied, nothing is added. Nothing that was added is ever linked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracklayer.domain.event import Event, UserData, made_of
from tracklayer.domain.normalise import Matchable

COOKIE, EMAIL = "cookie", "email"

SOON = timedelta(minutes=5)  # a browser's call may arrive after its event: what it showed so shortly after counts
VISIT = timedelta(minutes=30)  # without a sign of life a visit is over
LATE = timedelta(days=30)  # of late: whom a browser was seen with, and where a mailbox was seen
MOST_BROWSERS = 10  # of one person of late; with more it is a mailbox of many
MOST_EVENTS_A_DAY = 50  # of one email; with more it is a shop's counter
MOST_PEOPLE = 5  # that are remembered of a browser
MOST_VALUES = 3  # of one kind that are remembered of a browser: the present one and two before

_DAYS_28, _DAYS_30, _DAYS_60, _DAYS_90 = (timedelta(days=days) for days in (28, 30, 60, 90))


@dataclass(frozen=True)
class Kind:
    """A kind of signal. ``window``: how long before the event a click may lie, by its platform's own rule; None: as long as
    it is kept. ``visit``: only of a visit that is not over. ``travels``: a person takes it from one browser to another.
    """

    window: timedelta | None = None
    visit: bool = False
    travels: bool = True


# The name of a kind is that of its identifier. Windows: the platforms' own (sheets of each), read 2026-11.
KINDS: Mapping[str, Kind] = {
    "fbclid": Kind(_DAYS_90),
    "fbc": Kind(_DAYS_90),
    "fbp": Kind(),
    "gclid": Kind(_DAYS_90),
    "gbraid": Kind(_DAYS_90),
    "wbraid": Kind(_DAYS_90),
    "ga_client_id": Kind(travels=False),
    "ga_session_id": Kind(visit=True, travels=False),
    "ttclid": Kind(_DAYS_28),
    "ttp": Kind(travels=False),
    "msclkid": Kind(_DAYS_90),
    "twclid": Kind(_DAYS_90),
    "li_fat_id": Kind(_DAYS_90),
    "rdt_cid": Kind(_DAYS_30),
    "rdt_uuid": Kind(travels=False),
    "epik": Kind(_DAYS_60),
    "sc_click_id": Kind(_DAYS_28),
    "sc_cookie1": Kind(travels=False),
    "client_ip": Kind(visit=True, travels=False),
    "client_user_agent": Kind(visit=True, travels=False),
}
# Of these an event has one at most, and the newest is it: a platform takes one, or one is made of the other.
GOOGLE_CLICKS = ("gclid", "gbraid", "wbraid")
_GROUPS: tuple[tuple[str, ...], ...] = (
    GOOGLE_CLICKS,
    ("fbc", "fbclid"),
    ("client_ip", "client_user_agent"),
)
_GROUP_OF = {kind: group for group in _GROUPS for kind in group}


@dataclass(frozen=True, slots=True)
class Signal:
    kind: str
    value: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """An email or phone that a browser was seen with. ``kind``: email or phone. ``digests``: by rule name."""

    kind: str
    digest: str
    digests: Mapping[str, str]
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class Browser:
    browser_id: str
    signals: Sequence[Signal] = ()
    people: Sequence[Person] = ()
    is_refused: bool = False  # whoever uses it denied consent


@dataclass(frozen=True, slots=True)
class Enriched:
    """One identifier that was added. ``value``: text; of an email or phone its digests by rule name."""

    field: str
    value: str | Mapping[str, str]
    source: str
    seen_at: datetime


@dataclass(frozen=True)
class Known:
    """What is known when an event is first looked at.

    ``browser``: the one that the event names, if it was ever seen. ``browsers``: those that its email or phone was seen
    with of late, ``MOST_BROWSERS`` + 1 at most. ``events_today``: of the same email or phone, within 24 hours.
    """

    browser: Browser | None = None
    browsers: Sequence[Browser] = ()
    events_today: int = 0


def stitch(event: Event, known: Known) -> tuple[Enriched, ...]:
    """What is added to an event: the same for the same event and the same knowledge, in a fixed order."""
    if event.consent.ad_user_data == "denied":
        return ()
    own = event.user_data
    if own.browser_id is not None:
        browser = known.browser
        if browser is None or browser.is_refused:
            return ()
        found = _signals(event, browser.signals, COOKIE, travelling=False)
        return (*found, *_person(event, browser))
    if len(known.browsers) > MOST_BROWSERS or known.events_today > MOST_EVENTS_A_DAY:
        return ()
    signals = [signal for browser in known.browsers if not browser.is_refused for signal in browser.signals]
    return _signals(event, signals, EMAIL, travelling=True)


def _signals(event: Event, signals: Iterable[Signal], source: str, *, travelling: bool) -> tuple[Enriched, ...]:
    """The newest of each kind that the event has not, and whose time has not passed."""
    own = event.user_data
    newest: dict[str, Signal] = {}
    for signal in signals:
        kind = KINDS.get(signal.kind)
        if kind is None or (travelling and not kind.travels) or not _is_in_time(event.occurred_at, signal, kind):
            continue
        best = newest.get(signal.kind)
        if best is None or _age(signal) > _age(best):
            newest[signal.kind] = signal
    clicks = [newest.pop(kind) for kind in GOOGLE_CLICKS if kind in newest]
    if clicks:
        last = max(clicks, key=_age)
        newest[last.kind] = last
    _build_fbc(own, newest)
    return tuple(
        Enriched(kind, newest[kind].value, source, newest[kind].first_seen_at)
        for kind in KINDS
        if kind in newest and not any(getattr(own, other) for other in _GROUP_OF.get(kind, (kind,)))
    ) + _own_click(event, signals, source)


def _age(signal: Signal) -> tuple[datetime, str]:
    return signal.first_seen_at, signal.value


def _is_in_time(occurred_at: datetime, signal: Signal, kind: Kind) -> bool:
    if signal.first_seen_at > occurred_at + SOON:
        return False
    if kind.visit:
        # Seen before and after it, or shortly before: the visit that the event is part of.
        return signal.last_seen_at >= occurred_at - VISIT
    return kind.window is None or occurred_at - signal.first_seen_at <= kind.window


def _build_fbc(own: UserData, newest: dict[str, Signal]) -> None:
    """Meta's cookie of a click, with the time at which that click was first seen, in place of the click id alone."""
    click = newest.get("fbclid")
    cookie = newest.pop("fbc", None)
    if click is not None:
        newest.pop("fbclid")
        # The cookie says when the page itself first saw the same click, which may be before we did.
        # Behind the click id a builder may have put a tail of its own.
        if cookie is None or cookie.value.split(".")[3:4] != [click.value]:
            cookie = replace(click, kind="fbc", value=fbc_of(click.value, click.first_seen_at))
    if cookie is not None:
        newest["fbc"] = cookie


def fbc_of(fbclid: str, first_seen_at: datetime) -> str:
    """``fb.1.<ms>.<click id>``, as Meta's own script writes it."""
    return f"fb.1.{int(first_seen_at.timestamp() * 1000)}.{fbclid}"


def _own_click(event: Event, signals: Iterable[Signal], source: str) -> tuple[Enriched, ...]:
    """Where an event brings a click id alone: since when that very click is known."""
    own = event.user_data
    if own.fbclid is None or own.fbc is not None or source != COOKIE:
        return ()
    for signal in signals:
        if (
            signal.kind == "fbclid"
            and signal.value == own.fbclid
            and _is_in_time(event.occurred_at, signal, KINDS["fbclid"])
        ):
            return (Enriched("fbc", fbc_of(signal.value, signal.first_seen_at), source, signal.first_seen_at),)
    return ()


def _person(event: Event, browser: Browser) -> tuple[Enriched, ...]:
    """The one email, and the one phone, that the browser was seen with of late: of an event that names nobody."""
    own = event.user_data
    if own.all_emails or own.all_phones or own.external_id:
        return ()
    late = [
        person
        for person in browser.people
        if person.first_seen_at <= event.occurred_at + SOON and event.occurred_at - person.last_seen_at <= LATE
    ]
    found = []
    for kind in ("email", "phone"):
        seen = [person for person in late if person.kind == kind]
        if len({person.digest for person in seen}) > 1:
            return ()  # shared: whose event it is cannot be known
        if seen:
            found.append(Enriched(kind, dict(seen[0].digests), COOKIE, seen[0].last_seen_at))
    return tuple(found)


def enriched(event: Event, fields: Iterable[Enriched]) -> Event:
    """The event as a mapper gets it: its own values, and beside them what was added."""
    added: dict[str, str | Matchable] = {}
    for one in fields:
        value = one.value
        if getattr(event.user_data, one.field, None):
            continue
        added[one.field] = value if isinstance(value, str) else Matchable(None, value)
    if not added:
        return event
    return made_of(Event, {**vars(event), "user_data": made_of(UserData, {**vars(event.user_data), **added})})
