"""Which browsers and people come together: in an event, or in a call of ``identify``. Needs no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tracklayer.clock import elapsed
from tracklayer.db.identities import Link, link_record
from tracklayer.domain import normalise
from tracklayer.domain.event import Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import LINK_GRAIN, browser_of, is_somebodys, is_somebodys_phone, pair_of

MOST_KNOWN = 50_000  # links that are remembered, twice: some 10 MB
KNOWN_SECONDS = 1800.0  # that one is remembered, and once more as long
_NO_TIME = timedelta()
PROMPT_SECONDS = 5.0  # from an event's arrival: of one that waited for longer, nothing is known by heart


def digest_of(kind: str, value: Matchable) -> str | None:
    """SHA-256 of an email's or phone's usual form, hex; the digest that was sent, where it came as one."""
    return value.email_sha256("basic") if kind == "email" else value.phone_sha256("digits", None)


def people_of(user_data: UserData) -> Iterator[str]:
    """The digests under which the person of an event may be known, in the order in which they are asked: of the email, of the
    phone, of further ones.
    """
    email, phone = user_data.email, user_data.phone
    emails, phones = user_data.emails, user_data.phones
    firsts = (
        ("email", email if email is not None else emails[0] if emails else None),
        ("phone", phone if phone is not None else phones[0] if phones else None),
    )
    for kind, value in firsts:
        if value is not None and (digest := digest_of(kind, value)) is not None:
            yield digest
    if emails or phones:
        given = (("email", user_data.all_emails), ("phone", user_data.all_phones))
        for kind, value in [(kind, value) for kind, values in given for value in values[1:]]:
            if (digest := digest_of(kind, value)) is not None:
                yield digest


def links_of(event: Event, at: datetime) -> list[Link]:
    """The browser and the people that an event brings together; none where consent was denied."""
    browser_id = browser_of(event.user_data)
    if browser_id is None or event.consent.ad_user_data == "denied":
        return []
    people = _people(event.user_data)
    pair = _pair_of(people)
    return [Link(browser_id, *one, at, pair if one.kind == "email" else None) for one in people]


class Named(NamedTuple):
    """An email or phone as it is linked. ``digests``: by rule name."""

    kind: str
    digest: str
    digests: Mapping[str, str]


@dataclass(slots=True)
class Together:
    """A browser and the people that an event brings together, if any. ``record``: the event as it is stored. ``arrived``: by
    ``clock.elapsed``. What it says is made when somebody asks: mostly it is known.
    """

    event: Event
    record: Mapping[str, Any]
    now: datetime
    arrived: float

    @property
    def at(self) -> datetime:
        """When they were seen together: when it happened."""
        return min(self.event.occurred_at, self.now)

    def people(self) -> list[Named]:
        """At most an email and a phone; none where it says of nobody in which browser they were."""
        return [] if browser_of(self.event.user_data) is None else _people(self.event.user_data, self.record["digests"])

    def records(self) -> list[dict[str, Any]]:
        """As the statement takes them that stores the event, which is when they were seen together."""
        browser_id = browser_of(self.event.user_data)
        if browser_id is None:
            return []
        stored: Mapping[str, Any] = self.record["digests"] or {}
        people = _people(self.event.user_data, stored)
        merchant_id, pair = self.record["merchant_id"], _pair_of(people)
        return [
            link_record(
                merchant_id,
                self.event.event_id,
                browser_id,
                kind,
                digest,
                None if stored.get(kind) else digests,
                pair if kind == "email" else None,
            )
            for kind, digest, digests in people
        ]

    def key(self, epoch: int) -> int:
        """By which it is remembered: 64 bits that say of nobody who they are."""
        user_data = self.record["user_data"]
        get = user_data.get
        email = get("email") or ("emails" in user_data and user_data["emails"][0])
        phone = get("phone") or ("phones" in user_data and user_data["phones"][0])
        # The country: where nothing is hashed, the same phone in national form is another number in another one.
        browser_id = self.event.user_data.browser_id
        return hash((self.record["merchant_id"], epoch, browser_id, email, phone, get("country")))


def together_of(event: Event, record: Mapping[str, Any], now: datetime, arrived: float) -> Together | None:
    """Of an event as it is stored with its ``record``; None where it names no browser, or consent was denied."""
    if event.user_data.browser_id is None or event.consent.ad_user_data == "denied":
        return None
    return Together(event, record, now, arrived)


class KnownLinks:
    """Of one process: which browsers and people it has stored together within the hour. Those are not written again, and need
    not be looked for in the database to know that.

    What it says holds as long as nobody deletes links. A refusal does, for ever: then nothing is to be written. So does what
    is past its retention, days later. And so does an erasure: it has a number, and what was stored is remembered by the number
    of its merchant's last one. While one goes on nothing is remembered, and nothing is taken to be known (``store`` asks for both
    where it asks for marks). Before a merchant's first, which other processes hear of within ``erase.SETTLE``, the delete comes
    ``erase.ON_ITS_WAY`` after the request at the earliest; of an event that waits for half of the rest, nothing is taken to be
    known. Whom others have crowded out of a browser is not written there again within the hour: a browser of so many gives
    nothing.
    """

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._young: dict[int, datetime] = {}
        self._old: dict[int, datetime] = {}
        self._turned_at = elapsed()

    def has(self, one: Together, epoch: int) -> bool:
        """Whether it need not be stored: whoever asked the database would find it, and write nothing."""
        now = elapsed()
        if now - one.arrived > PROMPT_SECONDS:
            return False
        self._turn(now)
        key = one.key(epoch)
        at = self._young.get(key) or self._old.get(key)
        return at is not None and _NO_TIME <= one.at - at <= LINK_GRAIN

    def note(self, one: Together, epoch: int, known: Mapping[tuple[int, str, str], datetime]) -> None:
        """It is committed. ``known``: as ``db.storing.Stored``; what is not there was written."""
        at = one.at
        if known:
            merchant_id, browser_id = one.record["merchant_id"], browser_of(one.event.user_data) or ""
            at = min(known.get((merchant_id, browser_id, person.digest), at) for person in one.people())
        self._young[one.key(epoch)] = at

    def _turn(self, now: float) -> None:
        if len(self._young) >= self._most or now - self._turned_at > KNOWN_SECONDS:
            is_long_ago = now - self._turned_at > 2 * KNOWN_SECONDS
            self._young, self._old = {}, {} if is_long_ago else self._young
            self._turned_at = now


def _people(user_data: UserData, kept: Mapping[str, Any] | None = None) -> list[Named]:
    """An email and a phone that are worth linking.

    ``kept``: digests by field that were made of it already, as ``persist.to_record`` has them.
    """
    found: list[Named] = []
    for kind, value, more in (
        ("email", user_data.email, user_data.emails),
        ("phone", user_data.phone, user_data.phones),
    ):
        if value is None:  # a further one does as well
            if not more:
                continue
            value = more[0]
        if not (is_somebodys(value) if kind == "email" else is_somebodys_phone(value)):
            continue
        digests = (kept or {}).get(kind) or _digests_of(kind, value)
        digest = digests.get("as_given") or digests.get("basic" if kind == "email" else "digits")
        if digest:
            found.append(Named(kind, digest, digests))
    return found


def _pair_of(people: Sequence[Named]) -> str | None:
    """Of an email and the phone that came with it."""
    return pair_of(people[0].digest, people[1].digest) if len(people) == 2 else None


def _digests_of(kind: str, value: Matchable) -> Mapping[str, str]:
    """All digests that mappers ask for, by rule."""
    if value.plain is None:
        return value.digests
    if kind == "email":
        return normalise.email_digests(value.plain)
    return normalise.phone_digests(value.plain, frozenset(), value.country)
