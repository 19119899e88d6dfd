"""TikTok Events API 2.0, Business API v1.3. Merchant's page: tiktok.md.

Source: TikTok API for Business portal, Events API 2.0 (v1.3 event/track), as others read and tried it in
September 2026; TikTok Business Help Centre, "Standard events and parameters". Read 2026-11-23.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    CredentialsRefused,
    DropReason,
    HeaderToken,
    Outcome,
    PlatformReply,
    PlatformRequest,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import Content, CustomData, Event, UserData
from tracklayer.domain.identifiers import machine_address, usable, web_url
from tracklayer.domain.normalise import Matchable, hashed
from tracklayer.domain.personal import without_personal_url
from tracklayer.domain.shown import click_in
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_OK,
    Explanation,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    by_status,
    content_type_of,
    has_fractions,
    number,
    of_apps_only,
    omit_empty,
    retry_after,
    safe_message,
    taken,
    texts_blanked,
    unix_seconds,
    whole_number,
    within,
    without_amounts,
    wrong_with_flag,
)
from tracklayer.mappers.tiktok_app import APP_NAMES, app_of, put_device

_Rule = Callable[[str, str | None], str | None]  # (value, the person's country) -> what TikTok gets

_SAME_NAME = (
    "Purchase AddToCart InitiateCheckout AddPaymentInfo Lead CompleteRegistration ViewContent Search "
    "Subscribe StartTrial AddToWishlist Contact ApplicationApproval SubmitApplication CustomizeProduct "
    "Download FindLocation Schedule"
).split()
EVENT_NAMES = {
    **{name: name for name in _SAME_NAME},
    "PageView": "Pageview",
}  # others but Refund go out as they are

MAX_AGE = timedelta(days=7)  # a choice: TikTok names no limit for web events
QUOTA_PAUSE = 300.0  # seconds to wait once the quota of a minute is used up

_EVENT_SOURCES = {"website": "web", "app": "app"}  # everything else happened offline
# Group of items -> event_source of the request, the setting with its event_source_id.
_GROUPS = {
    "": ("web", "pixel_code"),
    "no_page": ("web", "pixel_code"),  # apart: should TikTok refuse these, it refuses the whole request
    "app": ("app", "tiktok_app_id"),
    "offline": ("offline", "offline_event_set_id"),
}
_IDENTIFYING = frozenset({"email", "phone", "external_id", "ttclid", "ttp", "idfa", "gaid", "idfv"})
_CURRENCIES = frozenset(
    "AED ARS AUD BDT BHD BIF BOB BRL CAD CHF CLP CNY COP CRC CZK DKK DZD EGP EUR GBP GTQ HKD HNL HUF IDR "
    "ILS INR ISK JPY KES KHR KRW KWD KZT MAD MOP MXN MYR NGN NIO NOK NZD OMR PEN PHP PKR PLN PYG QAR RON "
    "RUB SAR SEK SGD THB TRY TWD UAH USD VES VND ZAR".split()
)
_RESERVED = frozenset(
    "value currency order_id content_ids contents content_type num_items search_string content_name "
    "content_category status predicted_ltv".split()
)
_ELSEWHERE = frozenset({"referrer_url", "locale"})  # properties that TikTok takes in page and user
PARTIAL = 20001  # some of a request was not taken; which, no page says
_TAKEN = frozenset({0, PARTIAL})
_CREDENTIALS = frozenset({40001, 40101, 40104, 40105, 40110})


def _digest(rule: normalise.Rule) -> _Rule:
    return lambda value, country: hashed(value, rule)


def _readable(rule: _Rule) -> _Rule:
    """For what TikTok takes as plain text: a digest in its place says nothing there."""
    return lambda value, country: None if normalise.is_sha256(value) else rule(value, country)


def _untouched(value: str, country: str | None) -> str | None:
    return normalise.trimmed(value)


def _click_id(value: str) -> str | None:
    return usable("ttclid", value)


# Field of user_data -> key of user, rule. Email, phone and the click id follow by themselves.
_USER: Mapping[str, tuple[str, _Rule]] = {
    "external_id": ("external_id", _digest(normalise.lower_composed)),
    "ttp": ("ttp", lambda value, country: usable("ttp", value)),
    "client_ip": ("ip", lambda value, country: machine_address(value)),
    "client_user_agent": ("user_agent", _untouched),
    "first_name": ("first_name", _digest(normalise.letters_and_digits)),
    "last_name": ("last_name", _digest(normalise.letters_and_digits)),
    "city": ("city", _readable(lambda value, country: normalise.letters_and_digits(value))),
    "state": ("state", _readable(lambda value, country: normalise.state(value, country or "US"))),
    "zip": ("zip_code", lambda value, country: hashed(value, lambda v: normalise.zip_code(v, country))),
    "country": ("country", lambda value, country: normalise.country(value)),
}


def _email(given: Matchable) -> str | None:
    return given.email_sha256("basic")


def _phone(given: Matchable, settings: Settings) -> str | None:
    return given.phone_sha256("e164", settings.get("default_country"))


def _alone(rule: _Rule) -> Callable[[str, Settings], str | None]:
    return lambda value, settings: rule(value, None)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": lambda value, settings: _email(Matchable.read(value)),
    "phone": lambda value, settings: _phone(Matchable.read(value), settings),
    "ttclid": lambda value, settings: _click_id(value),
    **{name: _alone(rule) for name, (_, rule) in _USER.items()},
}

_RENEW = "Generate an access token in Events Manager (the pixel's Settings, Events API) and set it here."
_BY_ITSELF = "Nothing to do: it is tried again by itself; a second copy within 48 hours is not counted."
EXPLANATIONS: Mapping[str, Explanation] = {
    "20001": Explanation(
        "TikTok took the request only in part, and does not say which events.",
        "Look in Events Manager whether this event is there. It is not sent again by itself.",
    ),
    "40001": Explanation(
        "The access token may not send to this pixel.",
        "Compare the pixel code with Events Manager and generate the token on that very pixel.",
    ),
    "40002": Explanation(
        "A parameter is invalid; the message names its path.",
        "Compare it with the field table of this page and correct it in your next events. Where it is the page of a "
        "website event, set default_page_url: it stands in where an event has none.",
    ),
    "40100": Explanation("Too many requests.", "Nothing to do: TrackLayer waits five minutes and goes on by itself."),
    "40101": Explanation("The id or secret of the developer app is wrong.", _RENEW),
    "40104": Explanation("The access token is missing.", _RENEW),
    "40105": Explanation("The access token is wrong, expired or was revoked.", _RENEW),
    "40110": Explanation("The authorization code of the developer app is not valid.", _RENEW),
    "unconfirmed": Explanation("The answer was none of TikTok's: it holds no code.", _BY_ITSELF),
    **{str(status): Explanation("TikTok is not available.", _BY_ITSELF) for status in (500, 502, 503, 504)},
}

_NAME_OK = RuleVerdict("event_name", True, "a standard event of TikTok", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "no standard event of TikTok: goes out as a custom event", "event_name")
_NAME_SET = RuleVerdict("event_name", True, "named as the setting event_names says", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "young enough", "occurred_at")
_PAGE_OK = RuleVerdict("page_url", True, "a web event with its page", "event_source_url")
_NO_PAGE = RuleVerdict(
    "page_url",
    False,
    "a web event without its page: sent without, TikTok's answer decides; default_page_url would stand in",
    "event_source_url",
)
_NO_VALUE = RuleVerdict(
    "value", False, "a Purchase without value: sent without, and missing in reports of revenue", "custom_data.value"
)
_NO_CURRENCY = RuleVerdict(
    "currency",
    False,
    "none given: sent without the value, which nobody could read; default_currency would stand in",
    "custom_data.currency",
)
_WHOLE_QUANTITY = RuleVerdict(
    "quantity", True, "TikTok counts pieces: fractions are sent as whole numbers", "custom_data.contents"
)
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough to be matched with a person", "user_data")
_CLICK_OF_URL = RuleVerdict("ttclid", True, "taken from the URL, which is newer than the cookie", "user_data.ttclid")
_PHONE_AS_GIVEN = RuleVerdict(
    "phone",
    True,
    "already hashed: right for TikTok only where the + was hashed with the number",
    "user_data.phone",
)


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data``: whole Unix seconds, money as numbers in major units, places plain."""
    verdicts = Verdicts()
    source = _EVENT_SOURCES.get(event.action_source, "offline")
    group = "" if source == "web" else source
    is_limited = event.consent.limited_data_use or settings.get("limited_data_use") is True
    name = _taken_as(event, source, _GROUPS[group][1], is_limited, settings, now, verdicts)
    if isinstance(name, Refused):
        return name
    url = verdicts.page_of(event, "page_url")
    if source == "web":
        if url is not None:
            verdicts.ok(_PAGE_OK)
        else:
            verdicts.ok(_NO_PAGE)
            group = "no_page"
    if event.event_name == "Purchase" and event.custom_data.value is None:
        verdicts.ok(_NO_VALUE)
    user = _user(event, settings, verdicts)
    if source == "app":
        put_device(user, event.device, verdicts)
    if _IDENTIFYING.isdisjoint(user) and not user.keys() >= {"ip", "user_agent"}:
        return verdicts.refuse(
            DropReason.MISSING_IDENTIFIERS,
            "identifiers",
            "user_data",
            "nobody to match: send an email, phone, external id, ttclid, ttp, an app's device ids, or IP with user agent",
        )
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {
        "event": name,
        "event_time": unix_seconds(event.occurred_at),
        "event_id": event.event_id,
    }
    item["user"] = user
    properties = _properties(event.custom_data, verdicts)
    if properties:
        item["properties"] = properties
    page = _page(url, source, event.custom_data, verdicts)
    if page:
        item["page"] = page
    if source == "app":
        app = app_of(event.device, verdicts)
        if app:
            item["app"] = app
    if is_limited:
        item["limited_data_use"] = True
    return Mapped(item, tuple(verdicts), group)


def _taken_as(
    event: Event, source: str, asset: str, is_limited: bool, settings: Settings, now: datetime, verdicts: Verdicts
) -> str | Refused:
    """TikTok's name of the event, where it is one that TikTok takes from that source."""
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    verdicts.ok(CONSENT_OK)
    no_refund = "TikTok has no refund that would take back a sale"
    if refused := verdicts.refuse_refund(event.event_name, settings, "event_names", no_refund):
        return refused
    if not settings.get(asset):
        return verdicts.refuse(
            DropReason.UNSUPPORTED_EVENT,
            "action_source",
            "action_source",
            f"for TikTok its source is {source}, and the destination names none of these: set {asset}",
        )
    if is_limited and source == "offline":
        return verdicts.refuse(
            DropReason.CONSENT_DENIED,
            "limited_data_use",
            "consent.limited_data_use",
            "TikTok limits its use of web and app events only: an offline one would be used without limits",
        )
    name, verdict = _name(event.event_name, source, settings)
    verdicts.ok(verdict)
    limit = _age_limit(event.action_source, settings)
    if now - event.occurred_at > limit:
        return verdicts.refuse(
            DropReason.EVENT_TOO_OLD,
            "event_age",
            "occurred_at",
            f"older than the {limit.days} days it may be",
        )
    verdicts.ok(_AGE_OK)
    return name


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """One event source a request: the pixel, the app, or the offline event set."""
    source, asset = _GROUPS[group]
    body: dict[str, Any] = {
        "event_source": source,
        "event_source_id": str(settings[asset]),
        "data": list(items),
    }
    if settings.get("test_event_code"):
        body["test_event_code"] = settings["test_event_code"]
    return PlatformRequest(
        "https://business-api.tiktok.com/open_api/v1.3/event/track/",  # the slash at the end belongs to it
        body,
        HeaderToken("Access-Token", str(settings.get("access_token", ""))),
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """One verdict for the whole request, by ``code`` of the body: HTTP 200 says nothing, nor does 401."""
    outcome = _outcome(reply)
    if isinstance(outcome, Rejected) and count > 1:
        return BatchRejected(outcome)
    return [outcome] * count


def _outcome(reply: PlatformReply) -> Outcome:
    body = reply.json if isinstance(reply.json, Mapping) else {}
    code = whole_number(body.get("code"))
    status = reply.status
    is_good = 200 <= status < 300
    if code is None or (code in _TAKEN and not is_good):
        if status == 401 or is_good:  # 401 is also how TikTok says "too fast"
            return Unreachable("the answer holds no code of TikTok", status, retry_after(reply), code="unconfirmed")
        return by_status(reply)
    message = safe_message(body.get("message")) or "TikTok gave no reason"
    if code == PARTIAL:
        return taken(status, (message, _form_of(body.get("data"))), code=str(code))
    if code in _TAKEN:
        return Acknowledged(status)
    if code == 40100:
        told = retry_after(reply)
        return RateLimited(QUOTA_PAUSE if told is None else told, str(code), message, status)
    if code in _CREDENTIALS:
        return CredentialsRefused(str(code), message, status)
    if 50000 <= code < 60000:
        return Unreachable(message, status, retry_after(reply), code=str(code))
    if 40000 <= code < 50000 or is_good:
        return Rejected(str(code), message, status)
    return by_status(reply, str(code), message)


def _form_of(data: Any) -> str:
    """What a partial success brings beside its words: no page describes it, so that it is kept, without its texts."""
    if not data:
        return ""
    form = texts_blanked(data)
    return f"data: {json.dumps(form, ensure_ascii=False, separators=(',', ':'))}"


def _name(event_name: str, source: str, settings: Settings) -> tuple[str, RuleVerdict]:
    names: Mapping[str, str] = settings.get("event_names") or {}
    chosen = names.get(event_name) or names.get("*")
    if chosen:
        return chosen, _NAME_SET
    if source == "app" and event_name in APP_NAMES:
        return APP_NAMES[event_name], _NAME_OK
    if event_name in EVENT_NAMES:
        return EVENT_NAMES[event_name], _NAME_OK
    return event_name, _NAME_CUSTOM


def _age_limit(action_source: str, settings: Settings) -> timedelta:
    return timedelta(days=int(settings["max_age_days"])) if settings.get("max_age_days") else MAX_AGE


def _user(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    person = event.user_data
    found: dict[str, Any] = {}

    def put(key: str, name: str, value: str | None) -> None:
        if value is not None:
            found[key] = value
        else:
            verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that TikTok could use as {key}")

    of_url, _ = click_in(event.clicked_url, "ttclid", _click_id)
    if of_url:
        found["ttclid"] = of_url
        if person.ttclid is not None and person.ttclid.strip() != of_url:
            verdicts.ok(_CLICK_OF_URL)
    elif person.ttclid is not None:
        put("ttclid", "ttclid", _click_id(person.ttclid))
    if person.emails or person.phones:
        _put_several(found, person, settings, verdicts)
    else:
        if person.email is not None:
            put("email", "email", _email(person.email))
        if person.phone is not None:
            put("phone", "phone", _phone(person.phone, settings))
    if person.phone is not None and "as_given" in person.phone.digests:
        verdicts.ok(_PHONE_AS_GIVEN)
    for name, (key, rule) in _USER.items():
        value = getattr(person, name)
        if value is not None:
            put(key, name, rule(value, person.country))
    locale = event.custom_data.properties.get("locale") or event.device.locale
    if isinstance(locale, str) and locale.strip():
        found["locale"] = locale.strip().replace("_", "-")  # systems write de_AT, TikTok de-AT
    return found


def _put_several(found: dict[str, Any], person: UserData, settings: Settings, verdicts: Verdicts) -> None:
    """Every email and phone of the person, each once: one as text, several as a list."""
    emails = [_email(given) for given in person.all_emails]
    phones = [_phone(given, settings) for given in person.all_phones]
    for key, digests in (("email", emails), ("phone", phones)):
        good = list(dict.fromkeys(digest for digest in digests if digest is not None))
        if good:
            found[key] = good if len(good) > 1 else good[0]
        if None in digests:
            message = f"{digests.count(None)} of {len(digests)} left out: nothing that TikTok could use as {key}"
            verdicts.left_out(key, f"user_data.{key}", message)


def _properties(given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    takes_currency = given.currency in _CURRENCIES
    if not takes_currency:
        if given.currency is not None:
            message = "value and currency left out: TikTok does not take this currency"
            verdicts.left_out("currency", "custom_data.currency", message)
            given = without_amounts(given, "TikTok", verdicts)
        elif given.value is not None:
            verdicts.ok(_NO_CURRENCY)
    content_type = content_type_of(given, verdicts)
    if content_type is None and (given.contents or given.product_ids):
        content_type = "product"
    found = omit_empty(
        {
            "value": number(given.value) if takes_currency else None,
            "currency": given.currency if takes_currency else None,
            "order_id": given.order_id,
            "content_type": content_type,
            "contents": _contents(given.contents, verdicts) if given.contents else None,
            "content_ids": [] if given.contents else list(given.product_ids),
            "num_items": given.num_items,
            "content_name": given.content_name,
            "content_category": given.content_category,
            "search_string": given.search_string,
            "status": given.status,
            "predicted_ltv": number(given.predicted_ltv),
        }
    )
    for key, value in given.properties.items():
        if key in _RESERVED or (key == "query" and given.search_string):
            verdicts.left_out(
                "properties", f"custom_data.properties.{key}", "left out: the name is one of TikTok's own"
            )
        elif key not in _ELSEWHERE and value is not None and value != "":
            found[key] = value
    return found


def _contents(given: Sequence[Content], verdicts: Verdicts) -> list[dict[str, Any]]:
    if has_fractions(given):
        verdicts.ok(_WHOLE_QUANTITY)
    return [
        omit_empty(
            {
                "content_id": content.id,
                "content_name": content.title,
                "content_category": content.category,
                "brand": content.brand,
                "price": number(content.item_price),
                "quantity": content.whole_quantity,
            }
        )
        for content in given
    ]


def _page(url: str | None, source: str, given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    """The page of a web or offline event; its referrer goes out beside it only."""
    referrer = given.properties.get("referrer_url")
    if source == "app":
        if url is not None:
            verdicts.left_out("page_url", "event_source_url", "left out: TikTok has no page of an app event")
        url = None
    page = {} if url is None else {"url": url}
    if not referrer:
        return page
    if url is None:
        verdicts.left_out("referrer_url", "custom_data.properties.referrer_url", "left out: there is no page beside it")
    elif isinstance(referrer, str) and (shown := web_url(referrer)):
        page["referrer"] = shown if shown == referrer else without_personal_url(shown)[0]
    else:
        verdicts.left_out("referrer_url", "custom_data.properties.referrer_url", "left out: not an http(s) URL")
    return page


def _pixel_code(value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]{8,64}", value) and not value.isdigit():
        return None
    return "must be the pixel's code such as C4ABCDEFGHIJKLMNOPQR, not the number of the advertiser"


def _names(value: Any) -> str | None:
    pairs = value.items() if isinstance(value, Mapping) else [("", "")]
    if all(isinstance(text, str) and text.strip() for pair in pairs for text in pair):
        return None
    return 'must map event names to names of TikTok, such as {"Purchase": "CompletePayment"}'


def _days(value: Any) -> str | None:
    is_good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 28
    return None if is_good else "must be a whole number of days from 1 to 28"


def _word(value: Any) -> str | None:
    return None if re.fullmatch(r"[!-~]{1,128}", str(value)) else "must be copied as it is shown, without spaces"


MAPPER = Mapper(
    title="TikTok",
    settings=(
        Setting(
            "pixel_code",
            "Pixel code",
            "Events Manager: the ID of the pixel, letters and digits.",
            example="C4ABCDEFGHIJKLMNOPQR",
            check=_pixel_code,
        ),
        Setting(
            "access_token",
            "Access token",
            "Events Manager, the pixel's Settings, Events API, Generate access token; or the token of a "
            "developer app that was given the pixel.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "test_event_code",
            "Test event code",
            "Events Manager, the pixel's Test events. It may change from session to session: remove it for production.",
            required=False,
            example="TEST04030",
            check=_word,
        ),
        Setting(
            "event_names",
            "Event names",
            "Our event name -> TikTok's, where your pixel sends another, such as CompletePayment; Events "
            "Manager shows the names it sends. * stands for every other event name, the standard ones too.",
            required=False,
            example={"PageView": "Pageview"},
            check=_names,
        ),
        Setting(
            "limited_data_use",
            "Limited data use for every event",
            "True asks TikTok to limit its use of every event; otherwise only of those whose own flag says "
            "so. It stands on no page of TikTok.",
            required=False,
            example=False,
            check=wrong_with_flag,
        ),
        Setting(
            "max_age_days",
            "Oldest event, in days",
            "Older events are dropped, after 7 days where this is left out. TikTok itself names no limit.",
            required=False,
            example=7,
            check=_days,
        ),
        Setting(
            "offline_event_set_id",
            "Offline event set ID",
            "Events Manager: the ID of your offline event set. Events that happened neither on a website nor in an "
            "app go there, those of a physical_store, a phone_call or a chat; without it they are not sent.",
            required=False,
            example="7123456789012345678",
            check=_word,
        ),
        Setting(
            "tiktok_app_id",
            "TikTok App ID",
            "Events Manager, your app: its TikTok App ID. Events of an app go there; without it they are not sent.",
            required=False,
            example="7219876543210987654",
            check=_word,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    own_names=frozenset(
        {"CompletePayment", "SubmitForm"}
    ),  # its older names of Purchase and Lead, which it still takes
    batch_size=1000,
    max_event_age=MAX_AGE,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    identifiers=(
        "email",
        "phone",
        "first_name",
        "last_name",
        "city",
        "state",
        "zip",
        "country",
        "external_id",
        "client_ip",
        "client_user_agent",
        "ttp",
        "ttclid",
    ),
    no_place_for=within("user_data", "date_of_birth gender street lead_id job_title company_name")
    | within("custom_data.contents", "variant coupon discount")
    | within("device", "os_version model time_zone carrier screen_width screen_height")
    | {"consent.ad_personalization"},
    no_place_in=of_apps_only(
        "TikTok",
        within("device", "os app_id app_name app_version advertising_id vendor_id tracking_allowed"),
    ),
    deduplication="TikTok recognises a copy for 48 hours.",
    copy_memory=lambda event_name, action_source: timedelta(hours=48),
    age_limit=_age_limit,
    supports_test_events=True,
    test_mode={"test_event_code": None},
)
