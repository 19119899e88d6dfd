"""A town of shoppers and their browsers, run through the rules of stitching without a database: what events get, and whose it is.

``python -m tests.domain.world [--people 1000] [--days 30] [--seed 1]`` prints the figures.

Each person has three browsers; of all browsers one in ten is shared with somebody else. One mailbox in a hundred is a shop's
counter, that orders from many browsers. One visitor in twenty is a bot. People come by clicks of ads, look around without
telling who they are, and order: in the browser, or by telephone, where the backend knows the email alone.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random

from tracklayer.domain.event import Consent, Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import (
    COOKIE,
    KINDS,
    LATE,
    LINK_GRAIN,
    MOST_BROWSERS,
    MOST_EVENTS_A_DAY,
    MOST_PEOPLE,
    MOST_VALUES,
    Browser,
    Known,
    Person,
    Signal,
    Stitched,
    is_somebodys,
    judge_event,
)

START = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RETENTION = timedelta(days=90)
CLICKS = ("gclid", "fbclid", "ttclid", "msclkid", "epik", "sc_click_id", "rdt_cid", "twclid", "li_fat_id")
OF_PAGE = {"fbp": "fb.1.1.{}", "ga_client_id": "{}", "ttp": "{}", "client_ip": "{}", "client_user_agent": "{}"}
BROWSERS_EACH, SHARED, OF_MANY, BOTS, DENIED = 3, 0.10, 0.01, 0.05, 0.03


@dataclass(frozen=True)
class Shopper:
    name: int
    email: str
    browsers: tuple[str, ...]
    has_denied: bool = False
    is_counter: bool = False
    is_bot: bool = False


@dataclass(frozen=True)
class Happening:
    """Something that a shopper does. ``kind``: click, look, order, telephone."""

    at: datetime
    kind: str
    shopper: Shopper
    browser: str
    click: tuple[str, str] | None = None


@dataclass
class Memory:
    """What the tables hold, in their bounds."""

    signals: dict[str, dict[tuple[str, str], Signal]] = field(default_factory=lambda: defaultdict(dict))
    people: dict[str, dict[str, Person]] = field(default_factory=lambda: defaultdict(dict))  # browser -> digest
    browsers_of: dict[str, dict[str, datetime]] = field(default_factory=lambda: defaultdict(dict))  # digest -> browser
    events_of: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))

    def show(self, browser: str, kind: str, value: str, at: datetime) -> None:
        kept = self.signals[browser]
        first = kept[kind, value].first_seen_at if (kind, value) in kept else at
        kept[kind, value] = Signal(kind, value, first, at)
        alike = sorted((one for one in kept.values() if one.kind == kind), key=lambda one: one.last_seen_at)
        for old in alike[:-MOST_VALUES]:
            del kept[old.kind, old.value]

    def link(self, browser: str, email: Matchable, at: datetime) -> None:
        if not is_somebodys(email):
            return
        digest = email.email_sha256("basic") or ""
        known = self.people[browser].get(digest)
        if known is not None and at <= known.last_seen_at + LINK_GRAIN:
            return
        first = known.first_seen_at if known is not None else at
        self.people[browser][digest] = Person("email", digest, {"basic": digest}, first, at)
        self.browsers_of[digest][browser] = at
        for old in sorted(self.people[browser].values(), key=lambda one: one.last_seen_at)[:-MOST_PEOPLE]:
            self._forget(browser, old.digest)
        for name, _ in sorted(self.browsers_of[digest].items(), key=lambda one: one[1])[: -MOST_BROWSERS - 1]:
            self._forget(name, digest)

    def _forget(self, browser: str, digest: str) -> None:
        self.people[browser].pop(digest, None)
        self.browsers_of[digest].pop(browser, None)

    def note(self, event_id: str, digest: str, at: datetime) -> None:
        """An event of a person was decided about."""
        self.events_of[digest].append(at)

    def is_of_many(self, digest: str, now: datetime) -> bool:
        late = [at for at in self.browsers_of[digest].values() if at >= now - LATE]
        return len(late) > MOST_BROWSERS or self._today(digest, now) > MOST_EVENTS_A_DAY

    def _today(self, digest: str, now: datetime) -> int:
        return sum(at > now - DAY for at in self.events_of[digest])

    def browser(self, name: str, now: datetime, *, is_named: bool) -> Browser | None:
        signals = tuple(one for one in self.signals[name].values() if one.last_seen_at >= now - RETENTION)
        people = tuple(
            replace(one, is_of_many=is_named and self.is_of_many(one.digest, now)) for one in self.people[name].values()
        )
        return Browser(name, signals, people) if signals or people else None

    def known(self, event: Event, now: datetime) -> Known:
        own = event.user_data
        if own.browser_id is not None:
            return Known(self.browser(own.browser_id, now, is_named=True))
        digest = own.email.email_sha256("basic") if own.email is not None else None
        names = [name for name, at in self.browsers_of[digest or ""].items() if at >= now - LATE]
        found = [self.browser(name, now, is_named=False) or Browser(name) for name in names[: MOST_BROWSERS + 1]]
        return Known(None, found, digest, self._today(digest or "", now))


@dataclass
class Figures:
    """``wrong``: fields that are another person's: an email that is not theirs, or what a browser showed that they never used.
    ``others_clicks``: clicks that the other one of a shared browser made in it, which a platform's own cookie there says as well.
    """

    events: int = 0
    fields: int = 0
    wrong: int = 0
    emails: int = 0
    wrong_emails: int = 0
    others_clicks: int = 0
    expected_clicks: int = 0
    found_clicks: int = 0
    through_many: int = 0
    with_consent_denied: int = 0
    overwritten: int = 0
    chains: int = 0
    by_source: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        yield f"events: {self.events:,}; fields added: {self.fields:,} ({dict(self.by_source)})"
        yield f"another person's: {self.wrong} ({1000 * self.wrong / max(1, self.fields):.3f} of 1,000); of {self.emails:,} emails {self.wrong_emails}"
        yield f"clicks of the other one at a shared browser: {self.others_clicks}"
        share = self.found_clicks / max(1, self.expected_clicks)
        yield f"clicks found within their window: {self.found_clicks:,} of {self.expected_clicks:,} ({share:.4f})"
        yield f"through mailboxes of many: {self.through_many}; chains: {self.chains}"
        yield f"with consent denied: {self.with_consent_denied}; own values overwritten: {self.overwritten}"


def shoppers(random: Random, count: int) -> list[Shopper]:
    browsers = [[f"browser_{person:05}_{number}" for number in range(BROWSERS_EACH)] for person in range(count)]
    for person in range(count):
        for number in range(BROWSERS_EACH):
            if random.random() < SHARED / 2:  # of each pair one gives theirs up: so one in ten is shared
                other = random.randrange(count)
                if other != person:
                    browsers[person][number] = f"browser_{other:05}_{random.randrange(BROWSERS_EACH)}"
    found = []
    for person in range(count):
        is_counter = random.random() < OF_MANY
        own = tuple(f"till_{person:05}_{n}" for n in range(40)) if is_counter else tuple(browsers[person])
        is_bot = not is_counter and random.random() < BOTS
        email = f"person{person}@example.com"
        found.append(Shopper(person, email, own, random.random() < DENIED, is_counter, is_bot))
    return found


def happenings(random: Random, people: Sequence[Shopper], days: int) -> list[Happening]:
    found = []
    for shopper in people:
        for day in range(days):
            begin = START + day * DAY
            if shopper.is_counter:
                for _ in range(4):
                    at = begin + DAY * random.random()
                    found.append(Happening(at, "order", shopper, random.choice(shopper.browsers)))
                    found.append(Happening(at + timedelta(hours=1), "telephone", shopper, ""))
                    found.append(Happening(at + timedelta(hours=2), "look", shopper, random.choice(shopper.browsers)))
                continue
            if shopper.is_bot:
                name, kind = f"bot_{shopper.name:05}_{day}", random.choice(CLICKS)
                at = begin + DAY * random.random()
                found.append(Happening(at, "click", shopper, name, (kind, _click("bot", kind, shopper.name, day))))
                found.append(Happening(at + timedelta(minutes=1), "look", shopper, name))
                continue
            if random.random() > 0.35:
                continue
            at, browser = begin + DAY * random.random(), random.choice(shopper.browsers)
            if random.random() < 0.5:
                kind = random.choice(CLICKS)
                found.append(Happening(at, "click", shopper, browser, (kind, _click(kind, shopper.name, day))))
            for step in range(random.randrange(1, 4)):
                found.append(Happening(at + timedelta(minutes=2 + 3 * step), "look", shopper, browser))
            if random.random() < 0.5:
                found.append(Happening(at + timedelta(minutes=15), "order", shopper, browser))
            if random.random() < 0.08:
                found.append(Happening(at + timedelta(hours=6), "telephone", shopper, ""))
    return sorted(found, key=lambda one: (one.at, one.shopper.name, one.kind))


def _click(*parts: object) -> str:
    """An id of a click, in a form that every platform has."""
    return sha256(".".join(map(str, parts)).encode()).hexdigest()[:32]


def run(people: int = 1000, days: int = 30, seed: int = 1, memory: Memory | None = None) -> Figures:
    """``memory``: where what is known is kept; left out: in this process alone."""
    random = Random(seed)
    town = shoppers(random, people)
    by_digest = {sha256(one.email.encode()).hexdigest(): one for one in town}
    users: dict[str, set[int]] = defaultdict(set)
    for shopper in town:
        for name in shopper.browsers:
            users[name].add(shopper.name)
    clicks: dict[tuple[str, str], Happening] = {}
    memory, figures = memory or Memory(), Figures()
    ordered: dict[int, dict[str, datetime]] = defaultdict(dict)  # who was seen in which browser, last
    for number, one in enumerate(happenings(random, town, days)):
        if one.click is not None:
            clicks[one.click] = one
        if one.browser and not one.shopper.has_denied:  # the browser's side keeps nothing of who denied consent
            for kind, value in (*OF_PAGE.items(), *([one.click] if one.click is not None else ())):
                memory.show(one.browser, kind, value.format(one.browser), one.at)
        if one.kind == "click":
            continue
        event = _event(number, one, random)
        known = memory.known(event, one.at)
        found = judge_event(event, known)
        _count(figures, one, event, found, by_digest, clicks, users, memory)
        if one.kind != "look":
            memory.note(event.event_id, _digest(one.shopper), one.at)
        if one.kind == "order" and not one.shopper.has_denied:
            memory.link(one.browser, Matchable.read(one.shopper.email), one.at)
            ordered[one.shopper.name][one.browser] = one.at
        _expect(figures, one, event, found, clicks, ordered)
    linked = {digest for kept in memory.people.values() for digest in kept}
    figures.chains = len(linked - by_digest.keys())
    return figures


def _event(number: int, one: Happening, random: Random) -> Event:
    user_data = UserData(
        email=Matchable.read(one.shopper.email) if one.kind != "look" else None,
        browser_id=one.browser or None,
        gclid=f"own.{number}" if random.random() < 0.05 else None,
    )
    consent = Consent(ad_user_data="denied" if one.shopper.has_denied else "granted")
    return Event("Purchase", f"event_{number}", one.at, user_data=user_data, consent=consent)


def _count(
    figures: Figures,
    one: Happening,
    event: Event,
    found: Stitched,
    by_digest: dict[str, Shopper],
    clicks: dict[tuple[str, str], Happening],
    users: dict[str, set[int]],
    memory: Memory,
) -> None:
    figures.events += 1
    for added in found.fields:
        figures.fields += 1
        figures.by_source[added.source] += 1
        if one.shopper.has_denied:
            figures.with_consent_denied += 1
        if getattr(event.user_data, added.field):
            figures.overwritten += 1
        if not isinstance(added.value, str):
            figures.emails += 1
            whose = by_digest[added.value["basic"]]
            if whose.name != one.shopper.name:
                figures.wrong += 1
                figures.wrong_emails += 1
            if whose.is_counter and memory.is_of_many(added.value["basic"], one.at):
                figures.through_many += 1
            continue
        if one.shopper.is_counter and added.source != COOKIE and memory.is_of_many(_digest(one.shopper), one.at):
            figures.through_many += 1
        if added.field in OF_PAGE:
            if one.shopper.name not in users[added.value.removeprefix("fb.1.1.")] and not one.shopper.is_bot:
                figures.wrong += 1
            continue
        clicked = clicks.get(_click_of(added.field, added.value))
        if clicked is None or clicked.shopper.name == one.shopper.name:
            continue
        if added.source == COOKIE and clicked.browser == one.browser:
            figures.others_clicks += 1
        else:
            figures.wrong += 1


def _digest(shopper: Shopper) -> str:
    return sha256(shopper.email.encode()).hexdigest()


def _click_of(name: str, value: str) -> tuple[str, str]:
    return ("fbclid", value.split(".", 3)[3]) if name == "fbc" else (name, value)


def _expect(
    figures: Figures,
    one: Happening,
    event: Event,
    found: Stitched,
    clicks: dict[tuple[str, str], Happening],
    ordered: dict[int, dict[str, datetime]],
) -> None:
    """The newest own click of each platform within its window, where it was in this browser, or of an order by telephone in
    one that the person ordered in before.
    """
    if one.shopper.has_denied or one.shopper.is_counter or one.shopper.is_bot:
        return
    where = {one.browser} if one.browser else set(ordered[one.shopper.name])
    newest: dict[str, Happening] = {}
    for clicked in _of(clicks, one.shopper.name):
        assert clicked.click is not None
        window = KINDS[clicked.click[0]].window
        if clicked.browser in where and (window is None or one.at - clicked.at <= window):
            newest[clicked.click[0]] = max(newest.get(clicked.click[0], clicked), clicked, key=lambda each: each.at)
    got = {_click_of(added.field, added.value) for added in found.fields if isinstance(added.value, str)}
    for kind, clicked in newest.items():
        if kind == "gclid" and event.user_data.gclid:
            continue
        figures.expected_clicks += 1
        figures.found_clicks += clicked.click in got or _has_newer(got, kind, clicked, clicks)


def _of(clicks: dict[tuple[str, str], Happening], name: int) -> list[Happening]:
    return [one for one in clicks.values() if one.shopper.name == name]


def _has_newer(got: set[tuple[str, str]], kind: str, than: Happening, clicks: dict[tuple[str, str], Happening]) -> bool:
    """Whether a later click on the same platform stands in its place: the other one's, at a shared browser."""
    return any(click[0] == kind and clicks[click].at >= than.at for click in got if click in clicks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for line in run(given.people, given.days, given.seed).lines():
        print(line)


if __name__ == "__main__":
    main()
