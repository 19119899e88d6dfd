"""Which identifiers an event gets that it did not bring: one hop, no profiles, no chains. Values in, values out.

A *signal* is something that a browser showed: a click id of its address, a platform's own cookie. A *link* says that a
browser and an email (or phone) came together in one authenticated call. From these, for one event and as of its own time:

- ``cookie``: the event names a browser, and gets what that browser showed; and its email or phone, where the browser was
  seen with exactly one of late, and within a day. One that was seen with two is shared, and gives its anonymous events to neither.
- ``email``: the event names no browser but an email or phone, and gets the newest click of the browsers that were seen with
  it; of a shared one only what came after the others were last seen there, and before this person was. One that was seen
  with many browsers, or has very many events, is a mailbox of many, and gives and takes nothing.

An event's own value always wins. Where consent was denied, nothing is added. Nothing that was added is ever linked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tracklayer.domain.event import Event, UserData, made_of
from tracklayer.domain.identifiers import FORMATS
from tracklayer.domain.normalise import Matchable

COOKIE, EMAIL = "cookie", "email"

SOON = timedelta(minutes=5)  # a browser's call may arrive after its event: what it showed so shortly after counts
VISIT = timedelta(minutes=30)  # without a sign of life a visit is over
LATE = timedelta(days=30)  # of late: whom a browser was seen with, and where a mailbox was seen
SURE = timedelta(days=1)  # after which that somebody was seen in a browser does not say any more who uses it
MOST_BROWSERS = 10  # of one person of late; with more it is a mailbox of many
MOST_EVENTS_A_DAY = 50  # of one email; with more it is a shop's counter
MOST_PEOPLE = 5  # that are remembered of a browser
MOST_VALUES = 3  # of one kind that are remembered of a browser: the present one and two before
LINK_GRAIN = timedelta(hours=1)  # a browser and a person that are seen together again so soon are not noted once more

# What stands before the @ of mailboxes that are nobody's, or a whole shop's.
NOBODYS_MAILBOXES = frozenset(
    "noreply no-reply no_reply donotreply do-not-reply do_not_reply guest test testing pos till kasse counter checkout "
    "register walkin walk-in anonymous unknown nobody none".split()
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS_28, _DAYS_30, _DAYS_60, _DAYS_90 = (timedelta(days=days) for days in (28, 30, 60, 90))


@dataclass(frozen=True)
class Kind:
    """A kind of signal. ``window``: how long before the event a click may lie, as its platform counts it; None: as long as
    it is kept. ``visit``: only of a visit that is not over. ``travels``: a person takes it from one browser to another.
    """

    window: timedelta | None = None
    visit: bool = False
    travels: bool = True


# The name of a kind is that of its identifier. Windows: Meta's parameter builder keeps a click 90 days, X's and LinkedIn's
# cookies live as long, Reddit's 30 (as stape sets it), Snapchat and TikTok attribute within 28 (TikTok by others' word). No
# page was read for Google's and Microsoft's 90 and Pinterest's 60: they are what the field goes by. Read 2026-11.
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
    """An email or phone that a browser was seen with. ``kind``: email or phone. ``digests``: by rule name. ``is_of_many``: it
    is a mailbox of many.
    """

    kind: str
    digest: str
    digests: Mapping[str, str]
    first_seen_at: datetime
    last_seen_at: datetime
    is_of_many: bool = False


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


class Note(StrEnum):
    """Why something was not added to an event."""

    CONSENT_DENIED = "consent_denied"
    SHARED_BROWSER = "shared_browser"  # seen with two people of late: whose anonymous event it is cannot be known
    MAILBOX_OF_MANY = "mailbox_of_many"
    NO_BROWSER_KNOWN = "no_browser_known"  # its browser, or a browser of its email or phone, was never seen


@dataclass(frozen=True)
class Known:
    """What is known when an event is first looked at.

    ``browser``: the one that the event names, if it was ever seen. ``browsers``: those that its email or phone was seen
    with of late, ``MOST_BROWSERS`` + 1 at most. ``person``: the digest of that email or phone. ``events_today``: of it,
    within 24 hours.
    """

    browser: Browser | None = None
    browsers: Sequence[Browser] = ()
    person: str | None = None
    events_today: int = 0


@dataclass(frozen=True)
class Stitched:
    """What is added to an event, and why not more."""

    fields: tuple[Enriched, ...] = ()
    note: Note | None = None


def stitch(event: Event, known: Known) -> tuple[Enriched, ...]:
    """What is added to an event: the same for the same event and the same knowledge, in a fixed order."""
    return judge_event(event, known).fields


def judge_event(event: Event, known: Known) -> Stitched:
    """What ``stitch`` gives, with a note."""
    if event.consent.ad_user_data == "denied":
        return Stitched(note=Note.CONSENT_DENIED)
    own = event.user_data
    if own.browser_id is not None:
        browser = known.browser
        if browser is None:
            return Stitched(note=Note.NO_BROWSER_KNOWN)
        if browser.is_refused:
            return Stitched(note=Note.CONSENT_DENIED)
        people, note = _people(event, browser)
        return Stitched((*_signals(event, browser.signals, COOKIE, travelling=False), *people), note)
    if len(known.browsers) > MOST_BROWSERS or known.events_today > MOST_EVENTS_A_DAY:
        return Stitched(note=Note.MAILBOX_OF_MANY)
    of_theirs = [(browser, _of_late(event, browser)) for browser in known.browsers]
    with_them = [(browser, late) for browser, late in of_theirs if any(one.digest == known.person for one in late)]
    if not with_them:
        return Stitched(note=Note.NO_BROWSER_KNOWN)
    allowed = [(browser, late) for browser, late in with_them if not browser.is_refused]
    if not allowed:
        return Stitched(note=Note.CONSENT_DENIED)
    signals = [signal for browser, late in allowed for signal in _of_person(browser, late, known.person)]
    return Stitched(_signals(event, signals, EMAIL, travelling=True))


def _of_person(browser: Browser, late: Sequence[Person], digest: str | None) -> Sequence[Signal]:
    """What a browser showed while one of its people used it, as far as that is certain."""
    own = next(person for person in late if person.digest == digest)
    others = [person.last_seen_at for person in late if person.kind == own.kind and person.digest != digest]
    if not others:
        return browser.signals
    since = max(others) + LINK_GRAIN
    return [signal for signal in browser.signals if since < signal.first_seen_at <= own.last_seen_at]


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
    _build_fbc(newest)
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


def _build_fbc(newest: dict[str, Signal]) -> None:
    """Meta's cookie of the newest click, with the time at which that click was first seen, in place of the click id alone."""
    click = newest.pop("fbclid", None)
    cookie = newest.get("fbc")
    if click is None:
        return
    if cookie is not None:
        # The cookie says when the page itself first saw the same click, which may be before we did.
        of_cookie = "".join(cookie.value.split(".", 3)[3:])
        if of_cookie == click.value or of_cookie.startswith(f"{click.value}.") or _age(cookie) > _age(click):
            return
    newest["fbc"] = replace(click, kind="fbc", value=fbc_of(click.value, click.first_seen_at))


def fbc_of(fbclid: str, first_seen_at: datetime) -> str:
    """``fb.1.<ms>.<click id>``, as Meta's own script writes it."""
    return f"fb.1.{(first_seen_at - _EPOCH) // timedelta(milliseconds=1)}.{fbclid}"


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


def _of_late(event: Event, browser: Browser) -> list[Person]:
    """Whom a browser was seen with before an event, and not long before it."""
    return [
        person
        for person in browser.people
        if person.first_seen_at <= event.occurred_at + SOON and event.occurred_at - person.last_seen_at <= LATE
    ]


def _people(event: Event, browser: Browser) -> tuple[tuple[Enriched, ...], Note | None]:
    """The one email, and the one phone, that the browser was seen with of late: of an event that names nobody."""
    own = event.user_data
    if own.all_emails or own.all_phones or own.external_id:
        return (), None
    late = _of_late(event, browser)
    found = []
    for kind in ("email", "phone"):
        seen = [person for person in late if person.kind == kind]
        if len({person.digest for person in seen}) > 1:
            return (), Note.SHARED_BROWSER
        # A browser of two looks like one's until both are seen: what was long ago does not say whose this visit is.
        # One without digests was erased: that somebody else uses the browser is all that is known.
        if seen and seen[0].digests and event.occurred_at - seen[0].last_seen_at <= SURE:
            found.append(Enriched(kind, dict(seen[0].digests), COOKIE, seen[0].last_seen_at))
    if any(person.is_of_many for person in late):
        return (), Note.MAILBOX_OF_MANY
    return tuple(found), None


def may_be_linked(browser_id: str, kind: str, value: Matchable) -> bool:
    """Whether a browser and an email or phone that come together are worth knowing: a mailbox that is nobody's is not."""
    if not FORMATS["browser_id"].is_right(browser_id):
        return False
    if kind != "email" or value.plain is None:
        return True
    local, at, domain = value.plain.strip().lower().rpartition("@")
    return bool(at and domain) and bool(local) and local.partition("+")[0] not in NOBODYS_MAILBOXES


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
