"""Which identifiers an event gets that it did not bring: one hop, no profiles, no chains. Values in, values out.

A *signal* is something that a browser showed: a click id of its address, a platform's own cookie. A *link* says that a
browser and an email (or phone) came together in one authenticated call. From these, for one event and as of its own time:

- ``cookie``: the event names a browser, and gets what that browser showed; and its email or phone, where the browser was
  seen with exactly one person of late, and within a day. One that was seen with two is shared, and gives its anonymous events
  to neither. An email and a phone are one person's where one call said both, and else two people's.
- ``email``: the event names no browser but an email or phone, and gets the newest click of the browsers that were seen with
  it; of a shared one only what came after the others were last seen there, and before this person was. One that was seen
  with many browsers, or has very many events, is a mailbox of many, and gives and takes nothing.

A browser that was seen with many people is nobody's: a till, a call centre. It gives nothing to anybody.

An event's own value always wins, and a click id in the address of its page is its own, and so is Meta's in that of its referrer. What no
platform takes for one is none. Where consent was denied, nothing is added. Nothing that was added is ever linked on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import combinations
from typing import NamedTuple

from tracklayer.domain.contact import may_hold_contact
from tracklayer.domain.event import Event, UserData, made_of
from tracklayer.domain.identifiers import FORMATS, usable, web_url
from tracklayer.domain.normalise import Matchable, is_somebodys_number, phone_at_home, phone_e164
from tracklayer.domain.normalise import email as usual_email
from tracklayer.domain.shown import clicks_in, sendable

COOKIE, EMAIL = "cookie", "email"

SOON = timedelta(minutes=5)  # a browser's call may arrive after its event: what it showed so shortly after counts
VISIT = timedelta(minutes=30)  # without a sign of life a visit is over
LATE = timedelta(days=30)  # of late: whom a browser was seen with, and where a mailbox was seen
SURE = timedelta(days=1)  # after which that somebody was seen in a browser does not say any more who uses it
MOST_BROWSERS = 10  # of one person of late; with more it is a mailbox of many
MOST_EVENTS_A_DAY = 50  # of one email; with more it is a shop's counter
MOST_IN_A_BROWSER = 5  # emails, or phones, of late; with more it is a browser of many
MOST_PEOPLE = 2 * (MOST_IN_A_BROWSER + 1)  # emails and phones that are remembered of a browser: as many as tell that
MOST_VALUES = 3  # of one kind that are remembered of a browser: the present one and two before
PAIR = 16  # letters of what says that an email and a phone came together
MOST_PAIRS = 6  # that are remembered of an email in a browser
LINK_GRAIN = timedelta(hours=1)  # a browser and a person that are seen together again so soon are not noted once more

# What stands before the @ of mailboxes that are nobody's, or a whole shop's.
NOBODYS_MAILBOXES = frozenset(
    "noreply no-reply no_reply no.reply donotreply do-not-reply do_not_reply do.not.reply "
    "guest test testing pos till kasse counter checkout register walkin walk-in anonymous unknown nobody none null undefined nan nil na invalid noemail "
    "no-email no_email no.email nomail no-mail no_mail noname notprovided not-provided not_provided notgiven dummy fake asdf unbekannt keineemail "
    "keine-email keine.email semail sememail sem-email sinemail sin-email sincorreo pasdemail pas-de-mail".split()
)
# Domains under which nobody has one, that programs and people write who have none.
_NOBODYS_DOMAINS = frozenset(
    "null.com undefined.com none.com noemail.com no-email.com nomail.com noreply.com unknown.com nan.com".split()
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
_CLICKS = frozenset(name for name, kind in KINDS.items() if kind.window is not None)
_PLACES = {kind: place for place, kind in enumerate(KINDS)}
_GROUP_OF = {kind: group for group in _GROUPS for kind in group}


class Signal(NamedTuple):
    kind: str
    value: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """An email or phone that a browser was seen with. ``kind``: email or phone. ``digests``: by rule name. ``is_of_many``: it
    is a mailbox of many. ``pairs``: of an email ``pair_of`` it and each phone that one call said it with.
    """

    kind: str
    digest: str
    digests: Mapping[str, str]
    first_seen_at: datetime
    last_seen_at: datetime
    is_of_many: bool = False
    pairs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The same for each spelling of a mailbox that is known to be one."""
        get = self.digests.get
        return get("gmail") or get("google") or min(self.digest, get("other_host") or self.digest)


class Browser(NamedTuple):
    browser_id: str
    signals: Sequence[Signal] = ()
    people: Sequence[Person] = ()
    is_refused: bool = False  # whoever uses it denied consent


Showing = tuple[Signal, Browser]  # and which browser showed it


class Enriched(NamedTuple):
    """One identifier that was added. ``value``: text; of an email or phone its digests by rule name. ``browser_id``: which
    browser showed it, where the event does not name one.
    """

    field: str
    value: str | Mapping[str, str]
    source: str
    seen_at: datetime
    browser_id: str | None = None


class Note(StrEnum):
    """Why something was not added to an event."""

    CONSENT_DENIED = "consent_denied"
    SHARED_BROWSER = "shared_browser"  # seen with two people of late: whose anonymous event it is cannot be known
    MAILBOX_OF_MANY = "mailbox_of_many"
    BROWSER_OF_MANY = "browser_of_many"
    NO_BROWSER_KNOWN = "no_browser_known"  # its browser, or each browser of its email or phone, never showed anything
    OUT_OF_TIME = "out_of_time"  # what is known is past its window, or came after the event


class Known(NamedTuple):
    """What is known when an event is first looked at.

    ``browser``: the one that the event names, if it was ever seen. ``browsers``: those that its email or phone was seen
    with of late, ``MOST_BROWSERS`` + 1 at most. ``person``: the digest of that email or phone. ``events_today``: of it,
    within 24 hours. ``names``: the digests of all emails and phones of the event.
    """

    browser: Browser | None = None
    browsers: Sequence[Browser] = ()
    person: str | None = None
    events_today: int = 0
    names: frozenset[str] = frozenset()


class Stitched(NamedTuple):
    """What is added to an event, and why not more."""

    fields: tuple[Enriched, ...] = ()
    note: Note | None = None


def stitch(event: Event, known: Known) -> tuple[Enriched, ...]:
    """What is added to an event: the same for the same event and the same knowledge, in a fixed order."""
    return judge_event(event, known).fields


def judge_event(event: Event, known: Known, *, names_browser: bool | None = None) -> Stitched:
    """What ``stitch`` gives, with a note. ``names_browser``: whether ``browser_of`` it is one, where that is known."""
    if event.consent.ad_user_data == "denied":
        return Stitched(note=Note.CONSENT_DENIED)
    known = _first_told(known)
    if browser_of(event.user_data) is not None if names_browser is None else names_browser:
        return _by_browser(event, known.browser)
    return _by_person(event, known)


def _first_told(known: Known) -> Known:
    """The same, each click as of when it is first known by any telling of it, and in the first of Meta's cookies that hold it.

    An address that is opened again shows its click as if it were new; a cookie, or another browser, may know it for longer.
    """
    browsers = known.browsers if known.browser is None else (known.browser, *known.browsers)
    first: dict[tuple[str, str], datetime] = {}
    cookies: dict[tuple[str, str], Signal] = {}
    is_told_twice = False
    for browser in browsers:
        for signal in browser.signals:
            if signal.kind not in _CLICKS:
                continue
            click, at = _click_of(signal), signal.first_seen_at
            is_told_twice = is_told_twice or click in first
            first[click] = min(at, first.get(click, at))
            if signal.kind == "fbc" and at <= cookies.get(click, signal).first_seen_at:
                cookies[click] = signal
    if not is_told_twice:
        return known

    def told(browser: Browser) -> Browser:
        signals = []
        for signal in browser.signals:
            if signal.kind in _CLICKS:
                click = _click_of(signal)
                value = cookies[click].value if signal.kind == "fbc" else signal.value
                signal = signal._replace(value=value, first_seen_at=first[click])
            signals.append(signal)
        return browser._replace(signals=signals)

    return known._replace(
        browser=known.browser and told(known.browser), browsers=[told(browser) for browser in known.browsers]
    )


def _click_of(signal: Signal) -> tuple[str, str]:
    """The click that a signal tells: that of Meta's cookie is its click id, with the tail of a builder or without."""
    if signal.kind != "fbc":
        return signal.kind, signal.value
    return "fbclid", "".join(signal.value.split(".")[3:4])


def browser_of(user_data: UserData) -> str | None:
    """The browser that an event names; what is no browser's id is none."""
    browser_id = user_data.browser_id
    return browser_id.strip() if browser_id is not None and FORMATS["browser_id"].is_right(browser_id) else None


def _by_browser(event: Event, browser: Browser | None) -> Stitched:
    if browser is None:
        return Stitched(note=Note.NO_BROWSER_KNOWN)
    if browser.is_refused:
        return Stitched(note=Note.CONSENT_DENIED)
    if _is_of_many(event, browser):
        return Stitched(note=Note.BROWSER_OF_MANY)
    late = _of_late(event, browser)
    people, note = _people(event, late)
    shown = [(signal, browser) for signal in browser.signals]
    fields = (*_signals(event, shown, COOKIE), *people)
    if not fields and note is None:
        # An anonymous event could have had the person of its browser.
        note = Note.OUT_OF_TIME if late and not names_somebody(event.user_data) else _why_nothing(event, shown, COOKIE)
    return Stitched(fields, note)


def _by_person(event: Event, known: Known) -> Stitched:
    if len(known.browsers) > MOST_BROWSERS or known.events_today > MOST_EVENTS_A_DAY:
        return Stitched(note=Note.MAILBOX_OF_MANY)
    names = known.names | {known.person or ""}
    of_theirs = [(browser, _of_late(event, browser)) for browser in known.browsers]
    with_them = [
        (browser, late)
        for browser, late in of_theirs
        if any(one.digest == known.person and _is_late(event, one) for one in late)
    ]
    if not with_them:
        return Stitched(note=Note.OUT_OF_TIME if known.browsers else Note.NO_BROWSER_KNOWN)
    allowed = [(browser, late) for browser, late in with_them if not browser.is_refused]
    if not allowed:
        return Stitched(note=Note.CONSENT_DENIED)
    of_few = [(browser, late) for browser, late in allowed if not _is_of_many(event, browser)]
    if not of_few:
        return Stitched(note=Note.BROWSER_OF_MANY)
    if not _came_with_two_emails(known.person, [late for _, late in with_them], names):
        theirs = [(signal, browser) for browser, late in of_few for signal in _of_person(event, browser, late, names)]
        if fields := _signals(event, theirs, EMAIL):
            return Stitched(fields)
    shown = [(signal, browser) for browser, _ in of_few for signal in browser.signals]
    if _signals(event, shown, EMAIL):
        return Stitched(note=Note.SHARED_BROWSER)
    return Stitched(note=_why_nothing(event, shown, EMAIL))


def _why_nothing(event: Event, shown: Sequence[Showing], source: str) -> Note | None:
    """Of an event that nothing of this was added to; None: it has all of it itself."""
    known = [(signal, KINDS[signal.kind]) for signal, _ in shown if _is_given(signal, source)]
    if not known:
        return Note.NO_BROWSER_KNOWN
    return None if any(_is_in_time(event.occurred_at, signal, kind) for signal, kind in known) else Note.OUT_OF_TIME


def _is_given(signal: Signal, source: str) -> bool:
    """Whether it may be added to events at all."""
    kind = KINDS.get(signal.kind)
    return kind is not None and (source == COOKIE or kind.travels) and _is_sendable(signal)


def _is_sendable(signal: Signal) -> bool:
    """Of what was stored before it was known that no platform may get it: it keeps nothing out that one may.

    What a browser calls itself goes out without the contact that it names.
    """
    return signal.kind == "client_user_agent" or sendable(signal.kind, signal.value) is not None


def _is_of_many(event: Event, browser: Browser) -> bool:
    """Whether many people use it, also where only those after the event are still remembered."""
    if len(browser.people) <= MOST_IN_A_BROWSER:
        return False
    names: dict[str, set[str]] = {}
    for person in browser.people:
        if event.occurred_at - person.last_seen_at <= LATE:
            names.setdefault(person.kind, set()).add(person.name)
    return any(len(of_kind) > MOST_IN_A_BROWSER for of_kind in names.values())


def pair_of(email: str, phone: str) -> str:
    """What says that one call had this email and this phone, by their digests. It names neither."""
    return sha256(f"{email} {phone}".encode()).hexdigest()[:PAIR]


def are_one(one: Person, other: Person) -> bool:
    """Whether two emails or phones of a browser are known to be one person's: spellings of one mailbox, or an email and a phone
    that one call said. It is the same for what an event gets and for what is erased.
    """
    if one.kind == other.kind:
        return one.name == other.name
    email, phone = (one, other) if one.kind == "email" else (other, one)
    return pair_of(email.digest, phone.digest) in email.pairs


def _came_with_two_emails(digest: str | None, seen: Sequence[Sequence[Person]], names: frozenset[str]) -> bool:
    """Whether a phone is of two people, or a till's: calls said it with two emails, in whichever of its browsers. ``seen``: whom
    each of these was seen with. Emails that the event itself says together are one person's.
    """
    emails = [
        one
        for late in seen
        for phone in late
        if phone.digest == digest and phone.kind == "phone"
        for one in late
        if one.kind == "email" and are_one(one, phone)
    ]
    own = {one.name for one in emails if one.digest in names}
    return len({"" if one.name in own else one.name for one in emails}) > 1


def _of_person(event: Event, browser: Browser, late: Sequence[Person], names: frozenset[str]) -> Sequence[Signal]:
    """What a browser showed while one of its people used it, as far as that is certain."""
    own = [person for person in late if person.digest in names]
    user_data = event.user_data
    told = {kind for kind, given in (("email", user_data.all_emails), ("phone", user_data.all_phones)) if given}
    # Of a kind that the event says itself, whoever it does not say is another.
    theirs = [
        person
        for person in late
        if any(are_one(person, one) and (person.kind == one.kind or person.kind not in told) for one in own)
    ]
    emails = [person for person in theirs if person.kind == "email"]
    pairs = ((one, other) for one, other in combinations(emails, 2) if one not in own or other not in own)
    if not all(are_one(one, other) for one, other in pairs):
        return ()  # two who have one telephone
    others = [person.last_seen_at for person in late if person not in theirs]
    if not others:
        return browser.signals
    since, until = max(others) + LINK_GRAIN, max(_seen_before(event, one) for one in own)
    return [signal for signal in browser.signals if since < signal.first_seen_at <= until]


def _signals(event: Event, shown: Sequence[Showing], source: str) -> tuple[Enriched, ...]:
    """The newest of each kind that the event has not, and whose time has not passed."""
    own, of_page = event.user_data, _clicks_of_page(event)
    newest: dict[str, Signal] = {}
    where: dict[str, str] = {}
    occurred_at, is_by_person = event.occurred_at, source == EMAIL
    for signal, browser in shown:
        name = signal.kind
        kind = KINDS.get(name)
        if kind is None or (is_by_person and not kind.travels) or not _is_in_time(occurred_at, signal, kind):
            continue
        best = newest.get(name)
        if (best is None or _age(signal) > _age(best)) and _is_sendable(signal):
            newest[name] = signal
            where[name] = browser.browser_id
    clicks = [newest.pop(name) for name in GOOGLE_CLICKS if name in newest]
    if clicks:
        last = max(clicks, key=_age)
        newest[last.kind] = last
    if _build_fbc(newest):
        where["fbc"] = where["fbclid"]
    found = []
    for name in sorted(newest, key=_PLACES.__getitem__):
        for other in _GROUP_OF.get(name) or (name,):
            if other in of_page or ((given := getattr(own, other)) and sendable(other, given)):
                break
        else:
            signal = newest[name]
            by = where[name] if is_by_person else None
            found.append(Enriched(name, signal.value, source, signal.first_seen_at, by))
    click = usable("fbclid", own.fbclid) if own.fbclid else None
    return (*found, *_own_click(event, click or of_page.get("fbclid"), shown, source))


def _clicks_of_page(event: Event) -> dict[str, str]:
    """The click ids of its page, by kind; where that has none of Meta's, the one of its referrer, which Meta's own script takes."""
    found = clicks_in(event.event_source_url)
    referrer = event.custom_data.properties.get("referrer_url")
    if isinstance(referrer, str) and "fbclid" not in found and (click := clicks_in(web_url(referrer)).get("fbclid")):
        found["fbclid"] = click
    return found


def _age(signal: Signal) -> tuple[datetime, str]:
    return signal.first_seen_at, signal.value


def _is_in_time(occurred_at: datetime, signal: Signal, kind: Kind) -> bool:
    if signal.first_seen_at > occurred_at + SOON:
        return False
    if kind.visit:
        # Seen before and after it, or shortly before: the visit that the event is part of.
        return signal.last_seen_at >= occurred_at - VISIT
    return kind.window is None or occurred_at - signal.first_seen_at <= kind.window


def _build_fbc(newest: dict[str, Signal]) -> bool:
    """Meta's cookie of the newest click, with the time at which that click was first seen, in place of the click id alone;
    whether it was built.
    """
    click = newest.pop("fbclid", None)
    cookie = newest.get("fbc")
    if click is None:
        return False
    # Meta's own cookie of the same click is sent as it is.
    if cookie is not None and (_click_of(cookie) == _click_of(click) or _age(cookie) > _age(click)):
        return False
    newest["fbc"] = click._replace(kind="fbc", value=fbc_of(click.value, click.first_seen_at))
    return True


def fbc_of(fbclid: str, first_seen_at: datetime) -> str:
    """``fb.1.<ms>.<click id>``, as Meta's own script writes it."""
    since = first_seen_at - _EPOCH
    ms = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    return f"fb.1.{ms}.{fbclid}"


def _own_click(event: Event, click: str | None, shown: Sequence[Showing], source: str) -> tuple[Enriched, ...]:
    """Where an event brings Meta's click id alone: since when that very ``click`` is known, as Meta's cookie or we saw it. However
    long ago: the click is the event's own and goes out, and another time would be made up.
    """
    own = event.user_data.fbc
    if click is None or (own is not None and sendable("fbc", own)):
        return ()
    for kind in ("fbc", "fbclid"):
        for signal, browser in shown:
            if signal.kind != kind or _click_of(signal) != ("fbclid", click):
                continue
            if signal.first_seen_at <= event.occurred_at + SOON:
                value = signal.value if kind == "fbc" else fbc_of(click, signal.first_seen_at)
                by = browser.browser_id if source == EMAIL else None
                return (Enriched("fbc", value, source, signal.first_seen_at, by),)
    return ()


def _of_late(event: Event, browser: Browser) -> list[Person]:
    """Whom a browser was seen with before an event, and not long before it."""
    if not browser.people:
        return []
    return [
        person
        for person in browser.people
        if person.first_seen_at <= event.occurred_at + SOON and event.occurred_at - person.last_seen_at <= LATE
    ]


def _seen_before(event: Event, person: Person) -> datetime:
    """When one of ``_of_late`` was last seen before the event, as far as that is known: a later time takes the place of those
    between.
    """
    return person.last_seen_at if person.last_seen_at <= event.occurred_at + SOON else person.first_seen_at


def _is_late(event: Event, person: Person) -> bool:
    return event.occurred_at - _seen_before(event, person) <= LATE


def names_somebody(own: UserData) -> bool:
    """Whether an event says itself whose it is: then it gets nobody else's email or phone."""
    return bool(
        own.all_emails
        or own.all_phones
        or own.external_id
        or own.first_name
        or own.last_name
        or own.date_of_birth
        or own.street
        or own.lead_id
    )


def _people(event: Event, late: Sequence[Person]) -> tuple[tuple[Enriched, ...], Note | None]:
    """The one email, and the one phone, that the browser was seen with of late: of an event that names nobody."""
    if names_somebody(event.user_data) or not late:
        return (), None
    if not all(are_one(one, other) for one, other in combinations(late, 2)):
        return (), Note.SHARED_BROWSER
    if any(person.is_of_many for person in late):
        return (), Note.MAILBOX_OF_MANY
    found = []
    for kind in ("email", "phone"):
        seen = [(_seen_before(event, one), one) for one in late if one.kind == kind]
        if not seen:
            continue
        at, person = max(seen, key=lambda each: (each[0], each[1].digest))
        # A browser of two looks like one's until both are seen: what was long ago does not say whose this visit is.
        # One without digests was erased: that somebody else uses the browser is all that is known.
        if person.digests and event.occurred_at - at <= SURE:
            found.append(Enriched(kind, dict(person.digests), COOKIE, at))
    return tuple(found), None


def without_refused(decided: Stitched, browser_id: str | None, refused: Collection[str]) -> Stitched:
    """What is left of what was decided about an event once browsers refused. ``browser_id``: the one that it names."""
    fields = () if browser_id in refused else tuple(one for one in decided.fields if one.browser_id not in refused)
    return decided if len(fields) == len(decided.fields) else Stitched(fields, Note.CONSENT_DENIED)


def is_somebodys(email: Matchable) -> bool:
    """Whether an email may be a person's, in whatever spelling; of a digest nobody can tell."""
    if email.plain is None:
        return True
    local, _, domain = (usual_email(email.plain) or "").partition("@")
    if not local or domain in _NOBODYS_DOMAINS:
        return False
    return local.partition("+")[0] not in NOBODYS_MAILBOXES


def is_somebodys_phone(phone: Matchable) -> bool:
    """Whether a phone may be a person's; of a digest nobody can tell."""
    if phone.plain is None:
        return True
    number = phone_e164(phone.plain) or (phone_at_home(phone.plain, phone.country) if phone.country else None)
    return number is None or is_somebodys_number(number)


def enriched(event: Event, fields: Iterable[Enriched]) -> Event:
    """The event as a mapper gets it: its own values, and beside them what was added."""
    added: dict[str, str | Matchable] = {}
    for one in fields:
        value = one.value
        own = getattr(event.user_data, one.field, None)
        if own and (not isinstance(own, str) or sendable(one.field, own)):
            continue
        added[one.field] = value if isinstance(value, str) else Matchable(None, value)
    if not added:
        return event
    person = made_of(UserData, {**vars(event.user_data), **added})
    # What a browser showed was never looked at with the event. Of a digest nothing can be read.
    shown = " ".join([value for value in added.values() if isinstance(value, str)])
    may_hold = event.may_hold_contact or may_hold_contact(shown)
    return made_of(Event, {**vars(event), "user_data": person, "may_hold_contact": may_hold})
