"""What every mapper is made of, and what at least three platforms share by the same rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple, Protocol

from tracklayer.domain import normalise, waits
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.delivery import (
    INTERCEPTED,
    INTERFACE_VERSION,
    MAYBE_REFUND,
    NO_REFUND,
    NOTED,
    Acknowledged,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    RateLimited,
    Refusal,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import ACTION_SOURCES, Content, CustomData, Device, Event, UserData
from tracklayer.domain.event_names import is_refund, is_refund_among_others, may_be_refund
from tracklayer.domain.identifiers import is_web_url
from tracklayer.domain.problem import Problem
from tracklayer.domain.shown import click_in
from tracklayer.domain.text import bare, without_invisible

Settings = Mapping[str, Any]
KEEPS_PLAIN = "keeps_plain"  # beside a destination's settings: true where its merchant has hashing off


class RuleVerdict(NamedTuple):
    """One rule of a platform, held against one event. ``ok`` False in a sent event: that field was left out."""

    rule: str
    ok: bool
    message: str
    field: str | None = None


class Mapped(NamedTuple):
    """``item`` is one event in the platform's schema; only items of one ``group`` share a request."""

    item: dict[str, Any]
    verdicts: tuple[RuleVerdict, ...] = ()
    group: str = ""
    not_before: datetime | None = None  # it happened ahead of the clock, further than the platform forgives: it waits


@dataclass(frozen=True, slots=True)
class Refused:
    """Not to be sent. The last verdict is the one that decided."""

    reason: DropReason
    message: str
    field: str | None = None
    verdicts: tuple[RuleVerdict, ...] = ()
    code: str | None = None  # where it says more than the reason

    def as_refusal(self) -> Refusal:
        return Refusal(self.reason, self.message, self.field, self.code)


class SettingKind(Enum):
    """What the value of a setting is: a form has a field of its own for each."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    MAP = "map"
    LIST = "list"
    DOCUMENT = "document"


@dataclass(frozen=True)
class Setting:
    """One thing a merchant tells us about a destination. ``check`` returns what is wrong, or None.

    ``example`` is well-formed and invented: the sandbox and the docs use it, and it shows what kind of value this is.
    ``choices``: all values there are. ``unset``: what counts where an optional one is not set, as the end of a sentence; of a
    flag it is its example. Of a map, ``keys``: what its left side names, ``others``: whether ``*`` stands there for all
    the rest, and ``counts``: whether each thing on its right side is a conversion that is counted.
    """

    name: str
    label: str
    help: str
    required: bool = True
    secret: bool = False
    example: Any = None
    check: Callable[[Any], str | None] | None = None
    choices: tuple[str, ...] = ()
    keys: str = "Event name"
    others: bool = True
    counts: bool = False
    unset: str | None = None

    def __post_init__(self) -> None:
        if self.kind is SettingKind.FLAG and self.unset is None:
            object.__setattr__(self, "unset", "yes" if self.example else "no")

    @property
    def kind(self) -> SettingKind:
        match self.example:
            case _ if self.choices:
                return SettingKind.CHOICE
            case bool():
                return SettingKind.FLAG
            case int():
                return SettingKind.NUMBER
            case list():
                return SettingKind.LIST
            case Mapping():
                return SettingKind.DOCUMENT if self.secret else SettingKind.MAP
        return SettingKind.TEXT


@dataclass(frozen=True)
class Explanation:
    """What a platform's code means. ``field`` is a path of our Event; ``next_step`` is for the merchant."""

    summary: str
    next_step: str
    field: str | None = None


@dataclass(frozen=True)
class Lifetime:
    """How long a secret is good for where its kind ends. ``condition``: which kind that is, in words: "a member's token"."""

    length: timedelta
    condition: str


class MapEvent(Protocol):
    def __call__(self, event: Event, settings: Settings, now: datetime) -> Mapped | Refused: ...


class NoPlace(NamedTuple):
    """Fields of an event that go nowhere: dotted paths, and in the words of a verdict why."""

    fields: frozenset[str]
    why: str


class NoPlaceIn(Protocol):
    def __call__(self, event: Event, mapped: Mapped) -> Sequence[NoPlace]: ...


class AgeLimit(Protocol):
    def __call__(self, action_source: str, settings: Settings) -> timedelta | None: ...


class CopyMemory(Protocol):
    def __call__(self, event_name: str, action_source: str) -> timedelta | None: ...


class BuildRequest(Protocol):
    def __call__(self, group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest: ...


class ReadReply(Protocol):
    def __call__(self, reply: PlatformReply, count: int) -> Verdict: ...


# Of all platforms only GA4 documents one that deletes what was sent; the others' pages, and the connectors of others, were
# searched.
NO_DELETION = (
    "No documented interface deletes single events that were sent. They age out by the platform's own rules; ask its support "
    "for more, and take the person out of your audiences and customer lists there."
)


@dataclass(frozen=True)
class Mapper:
    """One platform, declared: what it wants, how an event becomes its item, how its answer is read.

    ``test_mode``: settings that turn a request into a test; None: the merchant must have set it. ``marks_of_tests``: others that
    make every event one where they are set. Where
    ``supports_test_events`` is False, ``instead_of_test`` says in a sentence how else to try a destination.
    ``normalise``: field of ``user_data`` -> rule(value, settings) giving what the platform would get (hash or plain).
    ``explanations``: platform code -> Explanation. ``max_event_age`` None: the platform names no limit. ``age_limit``:
    the exact one, where that depends on the event's source or the settings; ``map_event`` judges by it too.
    ``deduplication``: in a sentence, which copies that both came over the API are counted once; it stands on the page.
    ``deletion``: what can be done there about a person who was erased, in sentences; only what a documented interface does.
    ``max_ahead``: how far ahead of the clock an event may be when it is sent; what is further waits until then.
    ``ahead_limit``: the exact one, where that depends on the settings.
    ``identifiers``: fields of ``user_data`` that make a difference to what is sent, under some settings at least; in the
    order of ``domain.facts.IDENTIFIERS``.
    ``no_place_for``: fields that the platform has none for, whatever the event: dotted paths such as ``custom_data.status``, or
    of a whole object of which it takes nothing (``device``). Other platforms' own ids (``GIVEN_IDS``) go without saying.
    ``no_place_in``: further ones, of an event and what it was mapped to.
    ``own_names``: further names that the platform itself takes for one of its events, sent as they are.
    ``points``: names of events whose value counts points: no default currency is theirs.
    ``test_effect``: in a sentence, what the platform does with an event in test mode that was not meant as a test.
    ``lifetimes``: secret -> how long it is good for, where the platform's page says so.
    ``copy_memory``: how long after one copy of an event the platform recognises the next; None: it recognises none.
    """

    title: str
    settings: tuple[Setting, ...]
    event_names: Mapping[str, str]
    batch_size: int
    max_event_age: timedelta | None
    normalise: Mapping[str, Callable[[str, Settings], str | None]]
    explanations: Mapping[str, Explanation]
    map_event: MapEvent
    build_request: BuildRequest
    read_reply: ReadReply
    deduplication: str
    copy_memory: CopyMemory
    identifiers: tuple[str, ...] = ()
    no_place_for: frozenset[str] = frozenset()
    no_place_in: NoPlaceIn | None = None
    deletion: str = NO_DELETION
    age_limit: AgeLimit | None = None
    supports_test_events: bool = False
    check_settings: Callable[[Settings], list[Problem]] | None = None
    max_batch_bytes: int | None = None
    test_mode: Mapping[str, Any] = field(default_factory=dict)
    marks_of_tests: tuple[str, ...] = ()
    instead_of_test: str = ""
    test_effect: str = "it shows such events among its tests, and they may not count."
    lifetimes: Mapping[str, Lifetime] = field(default_factory=dict)
    max_ahead: timedelta = timedelta(minutes=5)
    ahead_limit: Callable[[Settings], timedelta] | None = None
    points: frozenset[str] = frozenset()
    own_names: frozenset[str] = frozenset()

    def oldest_age(self, action_source: str, settings: Settings) -> timedelta | None:
        """How old an event of a source may be when it is sent; None: as old as it likes."""
        return self.max_event_age if self.age_limit is None else self.age_limit(action_source, settings)

    def oldest_ages(self, settings: Settings) -> dict[str, float]:
        """The same in seconds, by source; without those that may be as old as they like."""
        ages = {source: self.oldest_age(source, settings) for source in ACTION_SOURCES}
        return {source: age.total_seconds() for source, age in ages.items() if age is not None}

    def furthest_ahead(self, settings: Settings) -> timedelta:
        """How far ahead of the clock an event may be when it is sent."""
        return self.max_ahead if self.ahead_limit is None else self.ahead_limit(settings)


def within(whole: str, names: str) -> frozenset[str]:
    """The paths of fields of an object: of ``device`` and ``os model``, ``device.os`` and ``device.model``."""
    return frozenset(f"{whole}.{name}" for name in names.split())


def of_apps_only(title: str, fields: frozenset[str]) -> NoPlaceIn:
    """``no_place_in`` of a platform (``title``) that takes some fields of an app's events, and of no others."""
    left_out = (NoPlace(fields, f"left out: {title} takes it of an app's event only"),)
    return lambda event, mapped: () if event.action_source == "app" else left_out


DEFAULT_COUNTRY = Setting(
    "default_country",
    "Default country",
    "Two-letter country code, such as US: phone numbers without a country code are read as numbers of this country. "
    "Without it they are left out.",
    required=False,
    example="US",
    check=lambda value: (
        None
        if isinstance(value, str) and re.fullmatch(r"[A-Z]{2}", value) and normalise.country(value) == value.lower()
        else "must be a two-letter country code in capitals, such as US"
    ),
)


def wrong_with_currency(value: Any) -> str | None:
    """The end of a sentence that says what is wrong; None where nothing is."""
    is_code = isinstance(value, str) and value in normalise.monies()
    return None if is_code else "must be an ISO 4217 code in capitals, such as USD"


def wrong_with_page_url(value: Any) -> str | None:
    """The end of a sentence that says what is wrong; None where nothing is."""
    is_url = isinstance(value, str) and len(value) <= 2048 and is_web_url(value)
    return None if is_url else "must be an absolute URL that starts with http:// or https://"


def wrong_with_flag(value: Any) -> str | None:
    """The end of a sentence that says what is wrong; None where nothing is."""
    return None if isinstance(value, bool) else "must be true or false"


CONSENT_RULES = ("never", "eea", "always")
DEFAULT_CURRENCY = Setting(
    "default_currency",
    "Default currency",
    "Three-letter ISO 4217 code: amounts that come without a currency are sent as amounts of this one. Without it the "
    "merchant's own default counts, and without that nothing is filled in.",
    required=False,
    example="USD",
    check=wrong_with_currency,
)
DEFAULT_PAGE_URL = Setting(
    "default_page_url",
    "Default page",
    "The page of website events that come without one, such as the shop's start page. Without it the merchant's own "
    "default counts, and without that nothing is filled in.",
    required=False,
    example="https://shop.example.com/",
    check=wrong_with_page_url,
)
REQUIRE_CONSENT = Setting(
    "require_consent",
    "Require consent",
    "Whose events are sent only where consent.ad_user_data is granted: always everybody's, eea those of people in the EEA, "
    "the United Kingdom and Switzerland and of those whose country is not known, never nobody's: it is not asked for. Without "
    "it the merchant's own rule counts. Of people whom the rule does not ask, and who denied it, nothing is sent, or the event "
    "without email, phone and name: this platform's page says which, under Consent.",
    required=False,
    example="eea",
    choices=CONSENT_RULES,
    unset="as Settings say for all platforms",
    check=lambda value: None if isinstance(value, bool) or value in CONSENT_RULES else "must be never, eea or always",
)
COMMON_SETTINGS = (DEFAULT_COUNTRY, DEFAULT_CURRENCY, DEFAULT_PAGE_URL, REQUIRE_CONSENT)  # every platform takes these


CONSENT_FIELD = "consent.ad_user_data"
CONSENT_DENIED = "consent to use the data for ads is denied"
CONSENT_OK = RuleVerdict("consent", True, "not denied", CONSENT_FIELD)


class Verdicts(list[RuleVerdict]):
    """Collects the rules an event was held against."""

    __slots__ = ()

    ok = list.append  # no method of its own around it: every mapper calls it half a dozen times an event

    def left_out(self, rule: str, field: str, message: str) -> None:
        self.append(RuleVerdict(rule, False, message, field))

    def refuse(self, reason: DropReason, rule: str, field: str | None, message: str) -> Refused:
        self.append(RuleVerdict(rule, False, message, field))
        return Refused(reason, message, field, tuple(self))

    def refuse_name(self, name: str, message: str) -> Refused:
        """Of an event that the platform, or this destination, has no name for. Its code says where that is a refund, or may be one:
        the next step is another one then.
        """
        refused = self.refuse(DropReason.UNSUPPORTED_EVENT, "event_name", "event_name", message)
        code = NO_REFUND if is_refund(name) else MAYBE_REFUND if may_be_refund(name) else None
        return replace(refused, code=code) if code else refused

    def refuse_unlisted(self, name: str, setting: str, message: str) -> Refused:
        """Of an event whose name a setting gives no place; of what may be a refund nobody is told to give it one."""
        if may_be_refund(name) and not is_refund(name):
            message = f"its name may be a refund's: send Refund, or name it in {setting} where it is none"
        return self.refuse_name(name, message)

    def own_left_out(self, given: Mapping[str, Any], title: str, taken: Container[str] = ()) -> None:
        """Says that a platform (``title``) gets none of the merchant's own properties but those that it has fields for."""
        if given and any(key not in taken and is_given(value) for key, value in given.items()):
            self.left_out("properties", "custom_data.properties", f"left out: {title} has no place for own properties")

    def refuse_refund(self, name: str, settings: Settings, setting: str, message: str) -> Refused | None:
        """Of what takes back a purchase, which the platform has nothing for; None of any other name. ``setting``: has the names that
        the merchant has mapped to something of the platform's.
        """
        own = settings.get(setting) or {}
        if is_refund(name, own):
            return self.refuse_name(name, message)
        return self.refuse_among_others(name, setting) if is_refund_among_others(name, own) else None

    def refuse_among_others(self, name: str, setting: str) -> Refused:
        """Of what may be a refund, which ``*`` of a setting does not take."""
        return self.refuse_name(
            name,
            f"its name may be a refund's, which * does not take: send Refund, or name it in {setting} where it is none",
        )

    def page_of(self, event: Event, rule: str = "event_source_url") -> str | None:
        """The address of the event's page; None, which is said, for what is none."""
        url = event.event_source_url
        if url is None or event.has_plain_url or is_web_url(url):
            return url
        self.left_out(rule, "event_source_url", "left out: not an absolute http(s) URL")
        return None

    def refuse_denied(self) -> Refused:
        """Of an event whose person does not want it used for ads."""
        return self.refuse(DropReason.CONSENT_DENIED, "consent", CONSENT_FIELD, CONSENT_DENIED)


def is_given(value: Any) -> bool:
    """Whether a property says anything: a blank text says as much as none."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def omit_empty(item: Mapping[str, Any]) -> dict[str, Any]:
    """Without None, "", [] and {}: platforms take a missing key for unknown, and an empty one for a fault."""
    return {key: value for key, value in item.items() if value or value == 0}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unix_seconds(instant: datetime) -> int:
    """Whole seconds since 1970, the fraction cut off."""
    since = instant - _EPOCH  # whole numbers: half the price of a float, and no rounding to think about
    return since.days * 86400 + since.seconds


def unix_milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970, without a float in between."""
    return unix_seconds(instant) * 1000 + instant.microsecond // 1000


def number(value: Decimal | None) -> int | float | None:
    """A JSON number: 50 stays 50, 39.95 is written 39.95."""
    if value is None:
        return None
    short = float(value)
    if not short.is_integer():
        return short
    whole = int(value)
    return whole if whole == value and abs(whole) < 2**63 else short  # more is no JSON integer to most readers


def has_fractions(contents: Sequence[Content]) -> bool:
    """Whether something is sold by weight: to a platform that counts pieces it goes as ``whole_quantity``."""
    return any(type(content.quantity) is not int for content in contents)


def without_amounts(given: CustomData, title: str, verdicts: Verdicts) -> CustomData:
    """Without what a platform (``title``) that does not take the currency would read in another one, besides the value."""
    message = f"left out: {title} does not take its currency"
    if given.predicted_ltv is not None:
        verdicts.left_out("currency", "custom_data.predicted_ltv", message)
    if any(line.item_price is not None for line in given.contents):
        verdicts.left_out("currency", "custom_data.contents.item_price", message)
    lines = tuple([replace(line, item_price=None) for line in given.contents])
    return replace(given, predicted_ltv=None, contents=lines)


def content_type_of(given: CustomData, verdicts: Verdicts) -> str | None:
    """What the ids are of: ``product`` and ``product_group`` in any case, and anything else as it was given. Catalogues of travel and
    of vehicles have others (``hotel``), and no platform is known to refuse one.
    """
    text = given.content_type
    if text is None or text in CONTENT_TYPES:
        return text
    text = bare(text)
    if text.lower() in CONTENT_TYPES:
        text = text.lower()
        verdicts.ok(RuleVerdict("content_type", True, f"sent as {text}", "custom_data.content_type"))
    else:
        verdicts.ok(_OTHER_CONTENT_TYPE)
    return text


_OTHER_CONTENT_TYPE = RuleVerdict(
    "content_type", True, "sent as given, though neither product nor product_group", "custom_data.content_type"
)
CONTENT_TYPES = frozenset({"product", "product_group"})


def plain_text(value: str) -> str | None:
    """Text as it is sent in plain: outer spaces off, case kept; None for what only stands for a value, and for what holds
    an e-mail address or a phone number. Characters that nobody sees are no part of it.
    """
    text = (value if value.isascii() else without_invisible(value)).strip()
    return text if text and not normalise.is_placeholder(text) and not holds_contact(text) else None


def plain_id(value: str) -> str | None:
    """``plain_text`` of the merchant's own id for somebody; None for the digest of nothing, and no builder's tail."""
    text = plain_text(value)
    if text is None or len(text) < 64 or (digest := normalise.digest_in(text)) is None:
        return text
    if digest in normalise.digests_of_nothing():
        return None
    return text if len(text) == 64 else digest


def first_email(person: UserData, rule: str) -> str | None:
    """The digest of the first of somebody's addresses that has one, for a platform that takes one."""
    if person.email is not None and (digest := person.email.email_sha256(rule)):
        return digest
    return next((digest for email in person.emails if (digest := email.email_sha256(rule))), None)


def first_phone(person: UserData, rule: str, default_country: str | None) -> str | None:
    """The digest of the first of somebody's numbers that has one, for a platform that takes one."""
    if person.phone is not None and (digest := person.phone.phone_sha256(rule, default_country)):
        return digest
    return next((digest for phone in person.phones if (digest := phone.phone_sha256(rule, default_country))), None)


def only_the_first(
    person: UserData, title: str, verdicts: Verdicts, names: Sequence[str] = ("emails", "phones")
) -> None:
    """Says of further addresses and numbers that a platform gets none of them."""
    for name in names:
        given = getattr(person, name)
        if given and (len(given) > 1 or getattr(person, name[:-1]) is not None):
            verdicts.left_out(name, f"user_data.{name}", f"only one of them goes out: {title} takes one")


def advertising_id(device: Device, verdicts: Verdicts) -> tuple[str, str] | None:
    """``ios`` or ``android``, and the id as given. None where there is none to send, and a verdict says why."""
    if device.advertising_id is None:
        return None
    if device.tracking_allowed is False:
        message = "left out: the person does not allow tracking"
        verdicts.left_out("advertising_id", "device.advertising_id", message)
        return None
    system = device.system
    if system is None:
        message = "left out: device.os says of neither iOS nor Android, and the two have an id each"
        verdicts.left_out("advertising_id", "device.advertising_id", message)
        return None
    return system, device.advertising_id.strip()


def click_id(
    person: UserData,
    name: str,
    url: str | None,
    rule: Callable[[str], str | None],
    verdicts: Verdicts,
    why: str,
    parameter: str | None = None,
) -> str | None:
    """A click id as given; where there is none, or ``rule`` makes nothing of it, that of the page's URL.

    ``why`` is said where something was left out. ``parameter``: its name in the URL, where it has another one there.
    """
    given = getattr(person, name)
    if given is not None:
        found = rule(given)
        if found is not None:
            return found
        verdicts.left_out(name, f"user_data.{name}", why)
    found, is_refused = click_in(url, parameter or name, rule)
    if found is None and is_refused and given is None:
        verdicts.left_out(name, f"user_data.{name}", why)
    return found


def by_status(reply: PlatformReply, code: str = "", message: str = "") -> Outcome:
    """What an HTTP status means where the platform says nothing more exact."""
    status = reply.status
    code = code or str(status)
    message = message or "the platform gave no reason"
    if 200 <= status < 300:
        return no_answer_of_the_platform(reply) or Acknowledged(status)
    if status == 429:
        return RateLimited(retry_after(reply), code, message, status)
    if status in (401, 403):
        return CredentialsRefused(code, message, status)
    if status in (408, 425) or status >= 500:
        return Unreachable(message, status, retry_after(reply), code=code)
    if 300 <= status < 400 or status == 407:  # a proxy or a portal in between: no API of these answers so
        message = "something in between answered, such as a proxy: the event has not reached the platform"
        return Unreachable(message, status, retry_after(reply), may_have_arrived=False, code=INTERCEPTED)
    return Rejected(code, message, status)


MOST_SAID = 5  # texts that a note is made of: it has room for no more, and each is looked through
LONGEST_NOTE = 200  # characters: it stands in each delivery that it was said of


def taken(status: int, said: Iterable[Any] = (), of_versions: Iterable[Any] = (), code: str = NOTED) -> Acknowledged:
    """The platform took it, and what it said besides, as far as that is text: ``said`` of what was sent, ``code`` with it, and
    ``of_versions`` of its interface. Of each the first ``MOST_SAID``.
    """
    about_events = _each_once(said)
    about_versions = _each_once(of_versions)
    if not about_events and not about_versions:
        return Acknowledged(status)
    note = safe_message("; ".join([*about_events, *about_versions]), LONGEST_NOTE)
    return Acknowledged(status, note, code if about_events else INTERFACE_VERSION)


def _each_once(said: Iterable[Any]) -> list[str]:
    return [words for words in dict.fromkeys(map(safe_message, islice(said, MOST_SAID))) if words]


def texts_blanked(value: Any) -> Any:
    """JSON of a platform whose form nobody has described: its keys, numbers and flags, with dots for every text."""
    if isinstance(value, Mapping):
        return {str(key): texts_blanked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [texts_blanked(inner) for inner in value]
    return "…" if isinstance(value, str) else value


_PAGE = re.compile(r"\s*(?:<!doctype|<html|<head|<body|<\?xml)", re.IGNORECASE)


def no_answer_of_the_platform(reply: PlatformReply) -> Unreachable | None:
    """A web page where an API answers in JSON, whatever its status: a portal or a proxy wrote it. None: it is no such page."""
    if reply.json is not None:
        return None
    if not reply.headers.get("content-type", "").lower().startswith("text/html") and not _PAGE.match(reply.text):
        return None
    message = "a web page came back instead of the platform's answer, such as a proxy's"
    return Unreachable(message, reply.status, retry_after(reply), may_have_arrived=False, code=INTERCEPTED)


def retry_after(reply: PlatformReply) -> float | None:
    """Seconds that its Retry-After asks for; None: it says none that can be read. How long is really waited is not decided here."""
    return waits.retry_after(reply.headers, reply.received_at)


def seconds_until(instant: datetime | None, reply: PlatformReply) -> float | None:
    """By the platform's own clock, where its answer tells that."""
    return waits.seconds_until(instant, reply.headers, reply.received_at)


# What platforms' words may repeat of what was sent, whichever platform it is: one rule for all of them.
_REPEATED = re.compile(
    r"(?<=[A-Za-z0-9/])[?#][^\s?#\"'<>]*=[^\s\"'<>]*"  # the query of a URL: where a page is, tells nobody's name
    r"|[A-Za-z0-9_\-]{40,}"  # a token or a digest
    r"|\b[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\b"  # the id of a device, a browser or a click
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b|(?:[0-9A-Fa-f]{0,4}:){3,}[0-9A-Fa-f.]*"  # an address of a machine
    r"|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:)*[0-9A-Fa-f]{0,4}::[0-9A-Fa-f:.]*[0-9A-Fa-f]"
)
# An @ as programs write it as well: in URLs, in HTML, in JSON and in JavaScript, also of what was written so before.
_AT = r"(?:@|%(?:25){0,3}40|&(?:amp;){0,3}(?:#0{0,5}64|#[xX]0{0,4}40|commat);|\\{1,4}(?:u0040|u\{0{0,4}40\}|x40))"
_APART = r"\s@\"'<>"
_LOCAL = rf"(?:\"[^\"@]{{1,100}}\"|'[^'\s@]{{1,100}}'|(?<![^{_APART}])(?!(?<=\w')\w)[^{_APART}]+(?:(?<=\w)'(?=\w)[^{_APART}]+)*)"
# With blanks around the @ only where what follows looks like a host: "5 pieces @ 12.50" does not.
_HOST = rf"(?:[^{_APART}.,;:()\[\]]+\.)+[^\W\d_][^{_APART}]*"
_ADDRESS = re.compile(rf"{_LOCAL}(?:{_AT}{{1,3}}[^{_APART}]+|\s{{0,3}}{_AT}\s{{0,3}}{_HOST})")
_HAS_AT = re.compile(_AT).search
# Signs that part the digits of a number. An underscore parts those of ids, too, and counts where a number begins so.
_HYPHENS = r"\u2010-\u2012\u2212-"
_DASHES = rf"\u2013-\u2015\u2043\u30fb\u00b7\u2022\u2219{_HYPHENS}"
_NUMBER_LIKE = re.compile(
    rf"\+\d(?:[ ()./_{_DASHES}]{{0,3}}\d){{6,}}|\+?\d[\d (){_HYPHENS}]{{7,}}\d|\d(?:[ ().{_DASHES}]{{0,3}}\d){{8,}}"
    rf"|\b0\d{{1,5}} ?/ ?(?!\d\d?/\d{{4}}\b)\d(?:[ ()./{_DASHES}]{{0,3}}\d){{4,}}"  # as numbers are written in Germany
    r"|(?<!\w)0[1-9]\d{1,4}_\d(?:_?\d){4,}"
)
_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|https?://\S+")


_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0xFE6B: "@"}
LONGEST_WORDS = 1000  # characters that are looked at: nobody reads more, and a reply may have millions


def plain_words(value: Any) -> str:
    """What a platform says at a place where it should say something, as a line of text; empty where that is no text.

    A number is text as well. Objects, lists and flags say nothing: they may hold anything, at any depth.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    if len(value) > LONGEST_WORDS:
        # Not in the midst of a word: half an address is no longer recognised as one.
        head, *rest = value[:LONGEST_WORDS].rsplit(None, 1)
        value = f"{head} …" if rest else "…"
    words: str = value
    if not words.isascii():  # as where an address is read: signs that nobody sees, and such as are wider than usual
        words = without_invisible(words).translate(_FULL_WIDTH)
    if not words.isprintable():  # a NUL could not be stored, and a line break would be a second line in a log
        words = "".join(character if character.isprintable() else " " for character in words)
    return words.strip()


def safe_message(text: Any, limit: int = 200) -> str:
    """A platform's own words, without anything that could be a token, an e-mail or IP address, a phone number, the id of a
    device or a click, or what stands in the query of a URL.
    """
    words = plain_words(text)
    if _HAS_AT(words):
        words = _ADDRESS.sub("…", words)
    return _NUMBER_LIKE.sub("…", _REPEATED.sub("…", words))[:limit]


def quiet_message(text: Any) -> str:
    """``safe_message`` of a platform that quotes what was sent: also without quotations and URLs."""
    return safe_message(_QUOTED.sub("…", plain_words(text)))


def whole_number(value: Any) -> int | None:
    """A number without a fraction; None for anything else, and for a flag, which Python takes for one."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
