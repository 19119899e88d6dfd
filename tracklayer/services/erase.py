"""Erases a person: what would go is counted first, then a job does it (``erase_jobs``), and leaves a signed receipt.

Here is whom a request means, what of a merchant's is theirs, and how an erasure begins.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import orjson

from tracklayer.db import erasures as db
from tracklayer.db import marks as db_marks
from tracklayer.db import merchants as db_merchants
from tracklayer.db import personal_data
from tracklayer.db.connection import bounded_read, in_transaction
from tracklayer.db.erasures import AskedBy, ErasureRow
from tracklayer.db.merchants import merchant_holder
from tracklayer.db.personal_data import Looked
from tracklayer.domain import normalise, person
from tracklayer.domain.identifiers import without_name
from tracklayer.domain.problem import Problem
from tracklayer.domain.stitching import are_one
from tracklayer.domain.text import is_blank, is_storable, without_invisible
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services.marks import PREFIX, Marker, marker_of, of_event
from tracklayer.services.merchants import holders_change

PAGE = 1000  # events that are looked at in one transaction
LOOK_SECONDS = 8.0  # of a dry run
MAX_IDS = 1000  # events that are named by their ids
MAX_OPEN = 1000  # of a merchant, that go on at once
MAX_VALUE = 1000  # characters of an identifier
MOST_BROUGHT = 5000  # links that erased events brought
MOST_VALUES = 1000  # different emails, phones or external ids that a dry run counts
MOST_EXAMPLES = 20  # ids of events that may be the person's
# What other processes know of a merchant is a second old: after this long all of them look for marks.
SETTLE = timedelta(seconds=10)
# What was judged by who knew of no erasure is in the database after this long, or never gets there. It came at most two seconds
# after its merchant was asked for, or counts as come then (``lateness.KNOWN_SECONDS``); twelve later it is told that it is late
# (``ingest.LATE_SECONDS``); and a statement or a commit that goes on then has five more. By ``received_at`` too, it came before
# ``SETTLE`` was over.
ON_ITS_WAY = timedelta(seconds=20)
RECEIPTS = timedelta(days=3 * 365)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
# What shops send as the external id of whoever has none.
EVERYBODYS = frozenset("guest anonymous unknown nobody user customer default test none n/a na".split())
_DIGESTS_OF_EVERYBODYS = frozenset(
    normalise.sha256_hex(spelling)
    for word in EVERYBODYS
    for spelling in (word, word.upper(), word.title(), word.capitalize())
)


@dataclass(frozen=True)
class Request:
    """Who is meant: any of these. Email and phone plain or as SHA-256 of their usual form."""

    email: str | None = None
    phone: str | None = None
    external_id: str | None = None
    browser_id: str | None = None
    event_ids: tuple[str, ...] = ()


@dataclass
class Counted:
    """What would go. ``browsers``: known to be the person's, or asked for; ``shared``: those of them that others use as well,
    which stay, and only lose the link. ``uncertain``: events that stay, as they may be somebody else's, with ``uncertain_ids``
    of a few. ``emails``, ``phones``, ``external_ids``: how many different ones the events have, 1,000 at most each.
    ``complete``: whether all events were looked at.
    """

    events: int = 0
    deliveries: int = 0
    browsers: int = 0
    shared: int = 0
    uncertain: int = 0
    uncertain_ids: list[str] = field(default_factory=list)
    emails: int = 0
    phones: int = 0
    external_ids: int = 0
    complete: bool = True


class Whose(Enum):
    THEIRS = "theirs"
    UNCERTAIN = "uncertain"  # it may be
    ANOTHERS = "anothers"  # or nobody's


@dataclass(frozen=True, slots=True)
class Facts:
    """What an event says of whose it is. ``own``: tokens of its own names, ``named``: besides, of what was added to it.
    ``lenders``: browsers that it does not name, and that something was added of.
    """

    looked: Looked
    own: set[str]
    named: set[str]
    browser: str | None
    lenders: set[str]

    @classmethod
    def of(cls, looked: Looked, countries: frozenset[str]) -> Facts:
        user_data = orjson.loads(looked.user_data)
        digests = orjson.loads(looked.digests) if looked.digests else None
        own = person.names_of(person.tokens_of_event(user_data, digests, countries))
        added = orjson.loads(looked.added) if looked.added else []
        lenders = {one["browser_id"] for one in added if "browser_id" in one}
        return cls(looked, own, own | person.tokens_of_added(added), person.browser_of(user_data), lenders)

    @property
    def known_by(self) -> set[str]:
        """All tokens by which it may be somebody's."""
        return self.named if self.browser is None else self.named | {person.of_browser(self.browser)}


@dataclass
class Wanted:
    """What a job looks for. ``tokens``: by which the person was asked for. ``browsers``: of the person alone. ``beside``: tokens
    of whom an asked browser was seen with, where that was one person: they count in that browser only. ``brought``: (browser,
    digest) of the person, as erased events have them together. ``spelled``: tokens of spellings of the person's own mailbox that
    erased events have, and that could not be told from how it was asked for. ``is_again``: it looks for what came with browsers
    of these, or so spelled.
    """

    tokens: frozenset[str]
    event_ids: list[str] = field(default_factory=list)
    browsers: set[str] = field(default_factory=set)
    beside: set[str] = field(default_factory=set)
    brought: set[tuple[str, str]] = field(default_factory=set)
    spelled: set[str] = field(default_factory=set)
    is_again: bool = False

    @cached_property
    def asked_names(self) -> set[str]:
        """Of ``names`` those that every process knew from the request on."""
        return person.names_of(self.tokens)

    @cached_property
    def names(self) -> set[str]:
        return self.asked_names | self.spelled

    @cached_property
    def maybe(self) -> set[str]:
        return person.maybe(self.tokens)

    @property
    def looked_for(self) -> set[str]:
        """All tokens of events that may be the person's: no other one is."""
        return self.names | self.maybe | set(map(person.of_browser, self.browsers | self.asked))

    @cached_property
    def asked(self) -> set[str]:
        """Browsers that were asked for."""
        return person.browsers_of(self.tokens)

    def judge(self, facts: Facts) -> Whose:
        """Whether an event is the person's: by its own identifiers, by what was added to it for that person, or because it
        names nobody and came with a browser that only the person uses, or that was asked for.
        """
        if not self.names.isdisjoint(facts.named):
            return Whose.THEIRS
        if facts.browser in self.browsers or facts.browser in self.asked:
            if not facts.named or not self.beside.isdisjoint(facts.named):
                return Whose.THEIRS
            if facts.browser in self.asked:
                return Whose.UNCERTAIN
        return Whose.ANOTHERS if self.maybe.isdisjoint(facts.own) else Whose.UNCERTAIN

    def bring(self, tales: Iterable[Tale]) -> bool:
        """Notes whom their browsers were seen with in events of the person, and how these spell the mailbox that was asked for;
        whether any of it is new.

        Where an event has the person's own email among several, the others are not the person's.
        """
        before, own = len(self.brought) + len(self.spelled), self.names | self.beside
        for browser, people in tales:
            for kind, _, tokens in people:
                if kind == "email" and len(self.spelled) < MOST_BROUGHT and not self.names.isdisjoint(tokens):
                    self._spell(tokens)
            if browser is None or len(self.brought) >= MOST_BROUGHT:
                continue
            known = {kind for kind, _, tokens in people if not own.isdisjoint(tokens)}
            self.brought |= {
                (browser, digest) for kind, digest, tokens in people if kind not in known or not own.isdisjoint(tokens)
            }
        return len(self.brought) + len(self.spelled) > before

    def _spell(self, tokens: Iterable[str]) -> None:
        for token in set(tokens) - self.names:
            new = person.tokens_of_email(token.partition(":")[2]) - self.names
            self.spelled |= new
            self.names |= new


class Tale(NamedTuple):
    """What an event tells of its browser: whom it was seen with, as ``person.people_of_event`` says it."""

    browser: str | None
    people: Sequence[tuple[str, str, set[str]]]


def tale_of(looked: Looked, countries: frozenset[str]) -> Tale:
    user_data = orjson.loads(looked.user_data)
    digests = orjson.loads(looked.digests) if looked.digests else None
    return Tale(person.browser_of(user_data), person.people_of_event(user_data, digests, countries))


@dataclass
class Linked:
    """Browsers of a person: those that nobody else was seen with, those that others were seen with as well, the person's links
    in the latter, and ``beside`` as in ``Wanted``.
    """

    alone: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    links: list[personal_data.LinkRow] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)


def check_request(request: Request, countries: frozenset[str]) -> list[Problem]:
    """What is wrong with it, without a value in it."""
    problems = []
    given = {name: getattr(request, name) for name in ("email", "phone", "external_id", "browser_id")}
    for name, value in given.items():
        if value is None:
            continue
        if is_blank(value) or len(value) > MAX_VALUE or not is_storable(value):
            problems.append(Problem((name,), "INVALID_VALUE", "It must be plain text, and not empty."))
        elif name == "email" and not person.is_email(value):
            problems.append(Problem((name,), "INVALID_VALUE", "It must be an e-mail address, or the SHA-256 of one."))
        elif name == "phone" and not normalise.is_sha256(value) and not person.is_phone(value, countries):
            message = "It must be a phone number with its country code, or the SHA-256 of one."
            problems.append(Problem((name,), "INVALID_VALUE", message))
        elif _is_of_many(without_name(name, value) or value, is_word=name == "external_id"):
            problems.append(Problem((name,), "INVALID_VALUE", "It stands for no value, and would mean many people."))
    if len(request.event_ids) > MAX_IDS:
        problems.append(Problem(("event_ids",), "TOO_LARGE", f"At most {MAX_IDS:,} events are named at once."))
    elif not all(one and len(one) <= MAX_VALUE and is_storable(one) for one in request.event_ids):
        problems.append(Problem(("event_ids",), "INVALID_VALUE", "An event id must be plain text, and not empty."))
    if not request.event_ids and all(value is None for value in given.values()):
        message = "Say who is meant: an email, a phone, an external id, a browser id or event ids."
        problems.append(Problem((), "REQUIRED", message))
    return problems


def _is_of_many(value: str, *, is_word: bool) -> bool:
    """Whether it is what shops send of whoever has none, as events are searched for it: without signs that nobody sees.

    ``is_word``: it may be a word such as ``guest`` itself, and not only the SHA-256 of one.
    """
    text = without_invisible(value).strip()
    digest = normalise.digest_in(text)
    if digest is not None:
        return digest in normalise.digests_of_nothing() or digest in _DIGESTS_OF_EVERYBODYS
    if is_word and (normalise.is_no_id(text) or text.strip("\"'").lower() in EVERYBODYS):
        return True
    return normalise.is_nobodys(text)


def tokens_of(request: Request, countries: frozenset[str]) -> frozenset[str]:
    """All that an event of the person may be known by."""
    found: set[str] = set()
    if request.email is not None:
        found |= person.tokens_of_email(request.email)
    if request.phone is not None:
        found |= person.tokens_of_phone(request.phone, countries)
    if request.external_id is not None:
        found |= person.tokens_of_external_id(request.external_id)
    if request.browser_id is not None:
        found.add(person.of_browser(without_name("browser_id", request.browser_id) or request.browser_id))
    return frozenset(found)


def count_person(
    runtime: Runtime, merchant_id: int, request: Request, seconds: float = LOOK_SECONDS
) -> Counted | list[Problem]:
    """What ``erase_person`` would delete, without deleting it: as much as can be looked at within ``seconds``."""
    countries = countries_of(merchant_id)
    problems = check_request(request, countries)
    if problems:
        return problems
    wanted = Wanted(tokens_of(request, countries), list(request.event_ids))
    counted, ends = Counted(), time.monotonic() + seconds
    different = {kind: Different() for kind in ("email", "phone", "external_id")}
    for page in look(runtime, merchant_id, wanted):
        with bounded_read():
            hits = [one.event_id for one in page.theirs]
            counted.events += len(hits)
            counted.deliveries += personal_data.deliveries_of(merchant_id, hits) if hits else 0
        counted.uncertain += len(page.uncertain)
        counted.uncertain_ids += [one.event_id for one in page.uncertain[: MOST_EXAMPLES - len(counted.uncertain_ids)]]
        for one in page.theirs:
            _tell_apart(one, countries, different)
        if time.monotonic() > ends and not page.is_last:
            counted.complete = False
            break
    counted.emails, counted.phones, counted.external_ids = (one.count for one in different.values())
    with bounded_read():
        linked = linked_browsers(merchant_id, wanted)
        counted.shared = len(linked.shared)
        counted.browsers = counted.shared + len(personal_data.known_browsers(merchant_id, sorted(linked.alone)))
    return counted


@dataclass
class Different:
    """Counts values that have nothing in common, up to ``MOST_VALUES``."""

    count: int = 0
    seen: set[str] = field(default_factory=set)

    def add(self, forms: set[str]) -> None:
        if forms and self.count < MOST_VALUES:
            self.count += self.seen.isdisjoint(forms)
            self.seen |= forms


def _tell_apart(looked: Looked, countries: frozenset[str], different: Mapping[str, Different]) -> None:
    user_data = orjson.loads(looked.user_data)
    digests = orjson.loads(looked.digests) if looked.digests else None
    for kind, _, tokens in person.people_of_event(user_data, digests, countries):
        different[kind].add({token.partition(":")[2] for token in tokens})
    if external_id := user_data.get("external_id"):
        different["external_id"].add(person.tokens_of_external_id(external_id))


@dataclass
class Page:
    """Events that were looked at, as far as they are the person's, or may be."""

    theirs: list[Looked]
    uncertain: list[Looked]
    is_last: bool = False


def look(runtime: Runtime, merchant_id: int, wanted: Wanted) -> Iterator[Page]:
    """All events of a person, page by page, without a change to any; ``wanted`` comes to know the person's browsers.

    As the job does it: those that the request names, those that are found by it, and then those that came with browsers that the
    found ones tell of, and name nobody.
    """
    countries = countries_of(merchant_id)
    with bounded_read():
        linked = linked_browsers(merchant_id, wanted)
        wanted.browsers, wanted.beside = linked.alone, linked.beside
        named = personal_data.looked_at(merchant_id, wanted.event_ids) if wanted.event_ids else []
    wanted.bring(tale_of(one, countries) for one in named)
    yield Page(named, [], is_last=not wanted.tokens)
    seen, judging, before = {one.event_id for one in named}, _as_known(wanted), wanted
    with bounded_read():
        until = max((runtime.clock.now() + SETTLE, ""), personal_data.behind_all(merchant_id))
    while wanted.tokens:
        after = (BEGINNING, "")
        while True:
            with bounded_read():
                page = personal_data.events_after(merchant_id, after, until, PAGE)
            found = Page([], [], is_last=len(page) < PAGE)
            for one in page:
                facts = Facts.of(one, countries)
                whose = judging.judge(facts)
                if one.event_id in seen or whose is Whose.ANOTHERS:
                    continue
                if not wanted.is_again:
                    (found.theirs if whose is Whose.THEIRS else found.uncertain).append(one)
                elif whose is Whose.THEIRS and before.judge(facts) is not whose:
                    found.theirs.append(one)
            wanted.bring(tale_of(one, countries) for one in found.theirs)
            yield found
            if found.is_last:
                break
            after = (page[-1].received_at, page[-1].event_id)
        with bounded_read():
            new = linked_browsers(merchant_id, wanted).alone - wanted.browsers
        if wanted.is_again or not (new or wanted.spelled - judging.spelled):
            return
        wanted.browsers, wanted.is_again = wanted.browsers | new, True
        before, judging = judging, _as_known(wanted)


def _as_known(wanted: Wanted) -> Wanted:
    """The same, which learns nothing of what is brought later."""
    return replace(wanted, browsers=set(wanted.browsers), spelled=set(wanted.spelled))


@dataclass(frozen=True)
class Begun:
    """``is_another``: it was there before this request, and does what this one asks for as well."""

    erasure: ErasureRow
    is_another: bool


def erase_person(
    runtime: Runtime, merchant_id: int, request: Request, requested_by: Mapping[str, Any], *, suppress: bool
) -> Begun | list[Problem]:
    """Begins to erase somebody; ``continue_erasures`` does it. ``requested_by``: a key's name and prefix, or the operator.

    With ``suppress``, events of that person that come from now on are kept without identifiers and sent nowhere. However often
    one and the same is asked for, two or three of them go on at most: see ``_that_does_it``.
    """
    countries = countries_of(merchant_id)
    problems = check_request(request, countries)
    if problems:
        return problems
    marker = marker_of(runtime)
    tokens = tokens_of(request, countries)
    identifiers = sorted(
        [kind, marker.mark(merchant_id, token).hex()[:PREFIX]] for kind, token in _told(request, tokens, countries)
    )
    with holders_change(runtime, merchant_id), in_transaction():
        is_full = db.count_open(merchant_id, MAX_OPEN) >= MAX_OPEN
        now = runtime.clock.now()  # from here on one request comes after the other
        wanted = Wanted(tokens, list(request.event_ids))
        linked = linked_browsers(merchant_id, wanted)
        wanted.browsers, wanted.beside = linked.alone, linked.beside
        # Neither an event's id nor a browser that others use says of any other event whose it is.
        suppress = suppress and bool(wanted.names or linked.alone)
        another = _that_does_it(runtime, merchant_id, identifiers, wanted, suppress, requested_by, now)
        if another is None and is_full:
            return [
                Problem(
                    (), "TOO_MANY_ERASURES", f"{MAX_OPEN:,} erasures go on already. Ask again when some have finished."
                )
            ]
        if another is None:
            row = db.insert_erasure(
                merchant_id, requested_by, identifiers, suppress, "ids" if request.event_ids else "walk", now
            )
            # What others judged before they knew of it is held against no mark: its event is there until that is stored.
            row.next_at = now + ON_ITS_WAY
            keep_wanted(runtime, row, wanted)
            db.save_erasures([row])
            db.add_requests(row, [AskedBy(dict(requested_by), now)])
            db_marks.mark_merchant(merchant_id)
        if suppress:  # by another, too: somebody may have been let back since that began
            db_marks.add_suppressions(merchant_id, _marks_of_names(marker, merchant_id, request, countries), now)
            mute(runtime, another or row, wanted, map(person.of_browser, linked.alone), now)
    return Begun(another or row, is_another=another is not None)


def _that_does_it(
    runtime: Runtime,
    merchant_id: int,
    identifiers: Sequence[Sequence[str]],
    wanted: Wanted,
    suppress: bool,
    requested_by: Mapping[str, Any],
    now: datetime,
) -> ErasureRow | None:
    """One that goes on, was asked for with the very same, and deletes whatever this request means; it is noted there.

    That is so where it has not begun to look: then it looks at what came until now as well. Or where nothing that it would have
    to look at came since: of whoever is left alone nothing can, and of the events that were named none is there any more.
    """
    those = db.open_alike(merchant_id, identifiers, suppress)
    if not those:
        return None
    marks = marker_of(runtime).marks(merchant_id, wanted.names | set(map(person.of_browser, wanted.browsers)))
    is_any_left = bool(wanted.event_ids and personal_data.still_there(merchant_id, wanted.event_ids))
    for row in those:
        try:
            kept = read_wanted(runtime, row)
        except (SealError, ValueError):  # whom it means cannot be read any more
            continue
        if (kept.tokens, set(kept.event_ids), kept.beside) != (wanted.tokens, set(wanted.event_ids), wanted.beside):
            continue
        is_left_alone = suppress and db_marks.are_all_suppressed(merchant_id, marks, row.requested_at)
        count = db.count_requests(row)
        if count >= db.MOST_REQUESTS:
            continue
        first = AskedBy(row.requested_by, row.requested_at)
        does_it = not is_any_left and (is_left_alone or not wanted.tokens)
        if does_it or (not kept.is_again and db.ask_again(row, now)):
            db.add_requests(row, [*([] if count else [first]), AskedBy(dict(requested_by), now)])
            return row
    return None


def mute(runtime: Runtime, row: ErasureRow, wanted: Wanted, tokens: Iterable[str], now: datetime) -> None:
    """What comes with these tokens is of the person as well, who is to be left alone: of browsers, where nothing else names
    anybody, and of spellings. A browser of two people, or of one and asked for alone, is let back by its own id only.
    """
    marker = marker_of(runtime)
    of_person = _mark_of_person(marker, row, wanted)
    marks = {mark: of_person or mark for mark in marker.marks(row.merchant_id, tokens)}
    db_marks.add_suppressions(row.merchant_id, marks, now)
    db_marks.disown_suppressions(row.merchant_id, marks)


def _marks_of_names(
    marker: Marker, merchant_id: int, request: Request, countries: frozenset[str]
) -> dict[bytes, bytes | None]:
    """Of what a person was asked for by, each mark -> that which all spellings of the same share; None of a digest: what else it
    may be spelled like is not known.
    """
    found: dict[bytes, bytes | None] = {}
    for kind in ("email", "phone", "external_id"):
        value = getattr(request, kind)
        if value is None:
            continue
        tokens = person.names_of(tokens_of(Request(**{kind: value}), countries))
        shared = None if normalise.is_sha256(value) else min(tokens)
        if kind == "email":
            shared = person.of_mailbox(value)
        of_mark = marker.mark(merchant_id, shared) if shared is not None else None
        found |= dict.fromkeys(marker.marks(merchant_id, tokens), of_mark)
    return found


def _mark_of_person(marker: Marker, row: ErasureRow, wanted: Wanted) -> bytes | None:
    """One of the request's marks, the same each time: whoever lets the person back may know less than was known then."""
    kinds = {
        kind: {token for token in wanted.asked_names if token.startswith(kind)}
        for kind in ("email", "phone", "external")
    }
    return min(marker.marks(row.merchant_id, next(filter(None, kinds.values()), ())), default=None)


def let_back(runtime: Runtime, merchant_id: int, those: Sequence[tuple[ErasureRow, Wanted]]) -> set[int]:
    """Ids of those erasures of a merchant whose person was let back since, and the person's browsers with them.

    Needs a transaction: until it ends nobody else of those is let back.
    """
    marker, asked, whose = marker_of(runtime), list[tuple[bytes, datetime]](), list[int]()
    for row, wanted in those:
        # Who was asked for by a browser alone is let back by that one.
        mark = _mark_of_person(marker, row, wanted) or min(
            marker.marks(merchant_id, map(person.of_browser, wanted.asked)), default=None
        )
        if row.suppress and mark is not None:
            asked.append((mark, row.requested_at))
            whose.append(row.erasure_id)
    return {whose[place] for place in db_marks.let_back(merchant_id, asked)} if asked else set()


def _told(request: Request, tokens: Iterable[str], countries: frozenset[str]) -> list[tuple[str, str]]:
    """(kind, token) of what was asked for: one of each form."""
    tokens = set(tokens)
    told = tokens - person.ends_of(tokens) - person.written_otherwise(request.email, request.phone, countries)
    found = [(token.partition(":")[0].removesuffix("_given"), token) for token in told]
    return found + [("event_id", of_event(event_id)) for event_id in request.event_ids]


def unsuppress_person(runtime: Runtime, merchant_id: int, request: Request) -> int | list[Problem]:
    """Somebody's events are taken in again as anybody's; how many marks were lifted. What was erased stays erased."""
    countries = countries_of(merchant_id)
    problems = check_request(request, countries)
    if problems:
        return problems
    marker, tokens = marker_of(runtime), tokens_of(request, countries)
    marks, names = marker.marks(merchant_id, tokens), marker.marks(merchant_id, person.names_of(tokens))
    with in_transaction():
        return db_marks.remove_suppressions(merchant_id, marks, names)


def linked_browsers(merchant_id: int, wanted: Wanted, until: datetime | None = None) -> Linked:
    """The browsers that this person was seen with, or that were asked for: one hop, no further.

    Of a browser's links those are the person's that fit what was asked for, that erased events of theirs brought, or that came
    in one call with such a one. All others are somebody else's. Where nothing but a browser was asked for, whoever was seen
    with it is meant, if that was one person. Events that were asked for by id take their links along, and no browser.
    ``until``: a browser that the person was seen with later only is none of these, and of a shared one such a link stays.
    """
    digests = sorted(token.partition(":")[2] for token in wanted.names if token.startswith(("email", "phone")))
    candidates = set(personal_data.browsers_with(merchant_id, digests)) if digests else set()
    candidates |= {browser_id for browser_id, _ in wanted.brought} | wanted.asked
    found = Linked()
    if not candidates:
        return found
    links: dict[str, list[personal_data.LinkRow]] = {browser_id: [] for browser_id in wanted.asked}
    for link in personal_data.links_of_browsers(merchant_id, sorted(candidates)):
        links.setdefault(link.browser_id, []).append(link)
    for browser_id, of_browser in links.items():
        named = [link for link in of_browser if link.person.digests]  # the others were of people who are erased
        own = [link for link in named if _is_of(link, wanted)]
        if browser_id in wanted.asked and not wanted.names:
            own = named if all(are_one(*both) for both in combinations([link.person for link in named], 2)) else []
        own = [link for link in named if any(link is one or are_one(link.person, one.person) for one in own)]
        is_alone = len(own) == len(named) and bool(wanted.tokens)
        if browser_id in wanted.asked or any(until is None or link.person.first_seen_at <= until for link in own):
            (found.alone if is_alone else found.shared).add(browser_id)
            lost = [link for link in own if until is None or link.person.last_seen_at <= until]
            found.links += [] if is_alone else lost
        if browser_id in wanted.asked and is_alone:
            found.beside.update(*map(_tokens, own))
    return found


def links_of_others(merchant_id: int, linked: Linked) -> list[personal_data.LinkRow]:
    """In the browsers that a person shares."""
    own = {(link.browser_id, link.person.digest) for link in linked.links}
    found = personal_data.links_of_browsers(merchant_id, sorted(linked.shared)) if linked.shared else []
    return [link for link in found if (link.browser_id, link.person.digest) not in own]


def _is_of(link: personal_data.LinkRow, wanted: Wanted) -> bool:
    return (link.browser_id, link.person.digest) in wanted.brought or not wanted.names.isdisjoint(_tokens(link))


def _tokens(link: personal_data.LinkRow) -> set[str]:
    return person.tokens_of_added([{"field": link.person.kind, "value": link.person.digests}])


def countries_of(merchant_id: int) -> frozenset[str]:
    """In which a merchant's phones without a country code are read."""
    holder = merchant_holder(merchant_id)
    return holder.default_countries if holder is not None else frozenset()


def context_of(merchant_id: int, erasure_id: int, what: str) -> str:
    return f"erasure/{merchant_id}/{erasure_id}/{what}"


def keep_wanted(runtime: Runtime, row: ErasureRow, wanted: Wanted) -> None:
    ends = person.ends_of(wanted.tokens)
    kept = {
        "tokens": sorted(wanted.tokens - ends),
        "ends": sorted(ends),  # apart: processes of the version before would take them for names
        "event_ids": wanted.event_ids,
        "browsers": sorted(wanted.browsers),
        "beside": sorted(wanted.beside),
        "met": sorted({browser_id for browser_id, _ in wanted.brought}),  # for processes of the version before
        "brought": sorted(wanted.brought),
        "spelled": sorted(wanted.spelled),
        "is_again": wanted.is_again,
    }
    row.wanted = runtime.sealer.seal(orjson.dumps(kept), context_of(row.merchant_id, row.erasure_id, "wanted"))


def read_wanted(runtime: Runtime, row: ErasureRow) -> Wanted:
    kept = orjson.loads(runtime.sealer.open(row.wanted, context_of(row.merchant_id, row.erasure_id, "wanted")))
    return Wanted(
        frozenset([*kept["tokens"], *kept.get("ends", ())]),
        kept["event_ids"],
        set(kept["browsers"]),
        set(kept.get("beside", ())),  # of one that began before this version
        {(browser_id, digest) for browser_id, digest in kept.get("brought", ())},
        set(kept.get("spelled", ())),
        kept.get("is_again", False),
    )


BY_COMMAND = {"operator": "command line"}  # who asks, where no key does


def requester(merchant_id: int, key_id: int) -> dict[str, Any]:
    """Who asks, as a receipt tells it."""
    row = db_merchants.api_key(merchant_id, key_id)
    return {"api_key": {"name": row.name, "prefix": row.prefix}} if row is not None else BY_COMMAND


def purge_erasures(runtime: Runtime, limit: int = 5000) -> int:
    """Forgets tombstones whose event would be gone by now, and receipts of more than three years; how many."""
    now = runtime.clock.now()
    with in_transaction():
        return db_marks.purge_tombstones(now, limit) + db.purge_erasures(now - RECEIPTS, limit)
