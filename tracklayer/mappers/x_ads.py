"""X Conversion API, Ads API version 12. Merchant's page: x_ads.md.

Source: X's documentation, "Web conversions" under Measurement, and "Error codes", "Rate limiting" and "Versioning"
under Fundamentals, in the revisions of 2026; for the pixel token and the layout of identifiers, connectors that agree
with each other. Read 2026-11-24.

Two names to keep apart: X's ``event_id`` is the id of an event tag, the kind of conversion; our event_id is its
``conversion_id``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    Auth,
    BatchRejected,
    CredentialsRefused,
    DropReason,
    HeaderToken,
    OAuth1,
    Outcome,
    PlatformReply,
    PlatformRequest,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import Content, CustomData, Event
from tracklayer.domain.identifiers import machine_address, usable
from tracklayer.domain.problem import Problem
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
    click_id,
    first_email,
    first_phone,
    is_given,
    no_answer_of_the_platform,
    omit_empty,
    only_the_first,
    plain_text,
    plain_words,
    quiet_message,
    retry_after,
    safe_message,
    seconds_until,
    taken,
    whole_number,
    within,
)

API_VERSION = "12"

# The type to give an event tag in Events Manager: no name travels, the tag says what a conversion is. A custom event's
# tag is of type CUSTOM.
EVENT_NAMES = {
    "Purchase": "PURCHASE",
    "AddToCart": "ADD_TO_CART",
    "InitiateCheckout": "CHECKOUT_INITIATED",
    "AddPaymentInfo": "ADDED_PAYMENT_INFO",
    "Lead": "SIGN_UP",
    "CompleteRegistration": "SIGN_UP",
    "ViewContent": "CONTENT_VIEW",
    "Search": "SEARCH",
    "Subscribe": "SUBSCRIBE",
    "StartTrial": "START_TRIAL",
    "AddToWishlist": "ADD_TO_WISHLIST",
    "Contact": "CUSTOM",
    "PageView": "SITE_VISIT",
}

MAX_AGE_DAYS = 90  # the longest attribution window of a tag: X names no limit of its own
MAX_AHEAD_MINUTES = 5

_OAUTH_KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_TAG = re.compile(r"(?:tw-([a-z0-9]{3,12})-)?[a-z0-9]{3,12}")


def _email(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).email_sha256("basic")


def _phone(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).phone_sha256("e164", settings.get("default_country"))


def _ipv4(value: str, settings: Settings) -> str | None:
    address = machine_address(value)
    return address if address and ":" not in address else None


def _click_id(value: str) -> str | None:
    return usable("twclid", value)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "client_ip": _ipv4,
    "client_user_agent": lambda value, settings: plain_text(value),
    "twclid": lambda value, settings: _click_id(value),
}

_RENEW = "Make a new token in Events Manager (Install Pixel, Manual, Conversions API) and set it on the destination."
_WAIT = "Nothing to do: it is tried again with the same conversion id."
_TEMPORARY = Explanation("A temporary fault at X.", _WAIT)
_WRONG_EVENT = Explanation(
    "X refused the conversion: an identifier, the time or the event tag has the wrong form, or the tag is not a single "
    "event tag.",
    "The message names the parameter. Compare the ids in event_ids with Events Manager.",
)
_NO_ACCESS = Explanation(
    "The token has no right on the ad account, or the account is suspended.",
    "Use a token of the account that owns the pixel, of a user who is its ad manager or administrator.",
)
EXPLANATIONS: Mapping[str, Explanation] = {
    "INVALID_PARAMETER": _WRONG_EVENT,
    "MISSING_PARAMETER": Explanation(
        "A parameter is missing: an identifier, the time or the event tag.",
        "The message names the parameter. Compare the event with the field table of this page.",
    ),
    "400": _WRONG_EVENT,
    "UNAUTHORIZED_ACCESS": Explanation("The credentials are missing or wrong.", _RENEW),
    "401": Explanation("The credentials are missing or wrong.", _RENEW),
    "UNAUTHORIZED_CLIENT_APPLICATION": Explanation(
        "The app behind the OAuth keys has no access to the Ads API.",
        "Set a pixel token instead of the four keys, or ask X for Ads API access for the app.",
    ),
    "ACCOUNT_NOT_FOUND": _NO_ACCESS,
    "403": _NO_ACCESS,
    "ROUTE_NOT_FOUND": Explanation("X does not know the pixel.", "Compare the pixel ID with Events Manager."),
    "NOT_FOUND": Explanation(
        "The event tag is not one of this account, or the token's user may not use the account that owns the pixel.",
        "Compare the id in event_ids with Events Manager.",
        "event_name",
    ),
    "404": Explanation("X does not know the pixel.", "Compare the pixel ID with Events Manager."),
    "405": Explanation("X refused the kind of request.", "Tell the operator of TrackLayer: this is a fault of ours."),
    "CANCELLED_REQUEST": _TEMPORARY,
    "LOCK_ACQUISITION_TIMEOUT": _TEMPORARY,
    "413": Explanation("The request was too large.", "Nothing to do: it is sent again in smaller parts."),
    "TOO_MANY_REQUESTS": Explanation(
        "Too many conversions within 15 minutes.", "Nothing to do: TrackLayer waits and goes on by itself."
    ),
    "429": Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "INTERNAL_ERROR": _TEMPORARY,
    "SERVICE_UNAVAILABLE": _TEMPORARY,
    "OVER_CAPACITY": _TEMPORARY,
    **dict.fromkeys(("408", "423", "500", "502", "503", "504"), _TEMPORARY),
}
_FAULT_OF_AN_EVENT = frozenset({400, 404, 413, 422})  # the whole batch is refused and nothing of it stored
_ABOUT_AN_EVENT = frozenset({"NOT_FOUND", "INVALID_PARAMETER", "MISSING_PARAMETER"})

_TAG_OK = RuleVerdict("event_name", True, "has an event tag", "event_name")
_TAG_STAR = RuleVerdict("event_name", True, "goes to the event tag of every other event", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "not too old and not in the future", "occurred_at")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough to be matched", "user_data")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``conversions``: time as text with milliseconds, money as text with two decimals at least."""
    verdicts = Verdicts()
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    if event.consent.limited_data_use:
        message = "X wants no events of people who opted out of the sale of their data"
        return verdicts.refuse(DropReason.CONSENT_DENIED, "consent", "consent.limited_data_use", message)
    verdicts.ok(CONSENT_OK)
    no_refund = "X has no refund: it would be counted as one more conversion"
    if refused := verdicts.refuse_refund(event.event_name, settings, "event_ids", no_refund):
        return refused
    tags = settings.get("event_ids") or {}
    if tag := tags.get(event.event_name):
        verdicts.ok(_TAG_OK)
    elif tag := tags.get("*"):
        verdicts.ok(_TAG_STAR)
    else:
        message = "no event tag is set for this event name in event_ids"
        return verdicts.refuse_unlisted(event.event_name, "event_ids", message)
    limit = _age_limit(event.action_source, settings)
    if now - event.occurred_at > limit:
        message = f"older than the {limit.days} days that are set for X"
        return verdicts.refuse(DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", message)
    verdicts.ok(_AGE_OK)
    identifiers = _identifiers(event, settings, verdicts)
    if not identifiers:
        message = "X wants a twclid, an email or a phone, or an IPv4 address together with the user agent"
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {
        # UTC already; what is below the millisecond is cut off
        "conversion_time": event.occurred_at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
        "event_id": tag,
        "identifiers": identifiers,
        "conversion_id": event.event_id,
    }
    return Mapped(item | _details(event.custom_data, verdicts), tuple(verdicts))


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"conversions": [...]}`` with the pixel token; signed with the four OAuth keys where there is no token."""
    token = str(settings.get("pixel_token") or "")
    auth: Auth = HeaderToken("X-Pixel-Token", token)
    if not token and all(settings.get(name) for name in _OAUTH_KEYS):
        auth = OAuth1(*(str(settings[name]) for name in _OAUTH_KEYS))
    return PlatformRequest(
        f"https://ads-api.x.com/{API_VERSION}/measurement/conversions/{settings['pixel_id']}",
        {"conversions": list(items)},
        auth,
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """One verdict for the whole request: one bad conversion fails all of it, and nothing says at which position."""
    body: Mapping[str, Any] = reply.json if isinstance(reply.json, Mapping) else {}
    listed = body.get("errors")
    errors = [error for error in listed if isinstance(error, Mapping)] if isinstance(listed, list) else []
    status = reply.status
    is_good = 200 <= status < 300
    if is_good and not errors:
        data = body.get("data")
        if isinstance(data, Mapping) and whole_number(data.get("conversions_processed")) == count:
            return [_taken(reply, data)] * count
        unconfirmed = Unreachable("the answer does not confirm every event", status, code="unconfirmed")
        return [no_answer_of_the_platform(reply) or unconfirmed] * count
    code, message = _code(status, errors), _message(errors)
    about_an_event = any(plain_words(error.get("code")) in _ABOUT_AN_EVENT for error in errors)
    if status == 404 and not about_an_event:
        return [CredentialsRefused(code, message, status)] * count
    if is_good or status in _FAULT_OF_AN_EVENT:
        rejected = Rejected(code, message, status)
        return BatchRejected(rejected) if count > 1 else [rejected]
    outcome: Outcome = by_status(reply, code, message)
    if status == 423:
        outcome = Unreachable(message, status, retry_after(reply), code=code)
    if isinstance(outcome, RateLimited) and outcome.retry_after_seconds is None:
        outcome = replace(outcome, retry_after_seconds=_until_reset(reply))
    return [outcome] * count


def _taken(reply: PlatformReply, data: Mapping[str, Any]) -> Acknowledged:
    """``x-api-warn`` is of a version that ends; ``debug_id`` is what X finds the request by."""
    warned = plain_words(reply.headers.get("x-api-warn"))
    if not warned:
        return Acknowledged(reply.status)
    version = plain_words(reply.headers.get("x-current-api-version"))
    told = [f"x-api-warn: {_quiet(warned)}", f"X's current version is {version}" if version else ""]
    request = plain_words(data.get("debug_id"))
    return taken(reply.status, (), [*told, f"debug_id {request}" if request else ""])


def _code(status: int, errors: Sequence[Mapping[str, Any]]) -> str:
    """The first of X's codes that the catalogue knows; else the status, with X's word behind it."""
    words = [word for error in errors if isinstance(word := error.get("code"), str)]
    known = next((word for word in words if word in EXPLANATIONS), None)
    if known is not None:
        return known
    word = next((word for word in words if re.fullmatch(r"[A-Z_]{1,64}", word)), None)
    return f"{status}/{word}" if word else str(status)


def _message(errors: Sequence[Mapping[str, Any]]) -> str:
    """What X says of each parameter, every saying once."""
    sayings: dict[str, None] = {}
    for error in errors:
        words, parameter = _quiet(error.get("message")), error.get("parameter")
        named = isinstance(parameter, str) and re.fullmatch(r"[\w.\[\]]{1,60}", parameter)
        sayings[f"{parameter}: {words}" if named else words] = None
    return safe_message("; ".join(sayings)) or "X gave no reason"


def _quiet(text: Any) -> str:
    """X's words repeat what was sent: without quotations, addresses and ids."""
    return quiet_message(text) or "X gave no reason"


def _until_reset(reply: PlatformReply) -> float | None:
    """Seconds to the end of the limit that was hit, from the reply's own Date: X names it in Unix seconds."""
    for name in ("x-account-rate-limit-reset", "x-rate-limit-reset"):
        reset = reply.headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,10}", reset):
            return seconds_until(datetime.fromtimestamp(int(reset), UTC), reply)
    return None


def _age_limit(action_source: str, settings: Settings) -> timedelta:
    return timedelta(days=int(settings.get("max_age_days") or MAX_AGE_DAYS))


def _max_ahead(settings: Settings) -> timedelta:
    minutes = settings.get("max_ahead_minutes")
    return timedelta(minutes=MAX_AHEAD_MINUTES if minutes in (None, "") else int(str(minutes)))


def _identifiers(event: Event, settings: Settings, verdicts: Verdicts) -> list[dict[str, str]]:
    """One object an identifier. IP and user agent need a second one: each other, or the first of the rest."""
    person = event.user_data
    found: list[dict[str, str]] = []
    why = "left out: nothing that X takes as twclid"
    click = click_id(person, "twclid", event.clicked_url, _click_id, verdicts, why)
    if click is not None:
        found.append({"twclid": click})
    if person.email is not None or person.emails:
        _add(found, verdicts, "hashed_email", "email", first_email(person, "basic"))
    if person.phone is not None or person.phones:
        digest = first_phone(person, "e164", settings.get("default_country"))
        _add(found, verdicts, "hashed_phone_number", "phone", digest)
    if person.emails or person.phones:
        only_the_first(person, "X", verdicts)
    device: list[dict[str, str]] = []
    if person.client_ip is not None:
        _add(device, verdicts, "ip_address", "client_ip", _ipv4(person.client_ip, settings))
    if person.client_user_agent is not None:
        _add(device, verdicts, "user_agent", "client_user_agent", plain_text(person.client_user_agent))
    if len(device) == 2:
        found.append(device[0] | device[1])
    elif device and found:
        found[0] |= device[0]
    return found


def _add(found: list[dict[str, str]], verdicts: Verdicts, key: str, name: str, value: str | None) -> None:
    if value is not None:
        found.append({key: value})
    else:
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that X takes as {key}")


def _details(given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    """No money without its currency: X would take it for US dollars."""
    has_currency = given.currency is not None
    priced = any(content.item_price is not None for content in given.contents)
    if not has_currency and given.value is not None:
        verdicts.left_out("value", "custom_data.value", "left out: without a currency X would count US dollars")
    if not has_currency and priced:
        message = "prices left out: without a currency X would count US dollars"
        verdicts.left_out("contents", "custom_data.contents", message)
    if given.num_items == 0:
        verdicts.left_out("num_items", "custom_data.num_items", "left out: X wants a number above 0")
    if any(content.quantity == 0 for content in given.contents):
        verdicts.left_out(
            "contents", "custom_data.contents.quantity", "left out where it is 0: X wants a number above 0"
        )
    description = given.properties.get("description")
    if is_given(description) and not isinstance(description, str):
        verdicts.left_out("description", "custom_data.properties.description", "left out: X takes text")
    verdicts.own_left_out(given.properties, "X", ("description",))
    return omit_empty(
        {
            "value": _money(given.value) if has_currency else None,
            "price_currency": given.currency,
            "number_items": given.num_items or None,
            "contents": [_content(content, with_price=has_currency) for content in given.contents]
            or [{"content_id": product_id} for product_id in given.product_ids],
            "description": description.strip() if isinstance(description, str) else None,
        }
    )


def _content(content: Content, *, with_price: bool) -> dict[str, Any]:
    return omit_empty(
        {
            "content_id": content.id,
            "content_name": content.title,
            "content_type": content.category,
            "content_price": _money(content.item_price) if with_price else None,
            "num_items": content.whole_quantity or None,
        }
    )


def _money(value: Decimal | None) -> str | None:
    """Two decimals, and more where more were given: a bare whole number is misread, nothing is rounded."""
    if value is None:
        return None
    whole, _, fraction = format(value, "f").partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _pixel(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9]{3,12}", value)
    return None if fits else "must be 3 to 12 lower-case letters and digits, as Events Manager shows it"


def _tags(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not value:
        return 'must be an object of event name and event tag id, such as {"Purchase": "tw-o8z6j-ol288"}'
    if not all(isinstance(name, str) and name.strip() for name in value):
        return "must have event names as keys"
    if not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in value.values()):
        return "must have event tag ids as values, such as ol288 or tw-o8z6j-ol288"
    return None


def _whole(least: int, most: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        fits = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,3}", str(value))
        return None if fits and least <= int(value) <= most else f"must be a whole number from {least} to {most}"

    return check


def _check_settings(settings: Settings) -> list[Problem]:
    """Full tag ids name the pixel that is set; a token, or all four OAuth keys."""
    problems = []
    for tag in settings["event_ids"].values():
        named = _TAG.fullmatch(tag)
        if named and named[1] and named[1] != settings["pixel_id"]:
            message = "An event tag of event_ids names another pixel than pixel_id: one destination serves one pixel."
            problems.append(Problem(("event_ids",), "INVALID_SETTING", message))
            break
    missing = [name for name in _OAUTH_KEYS if not settings.get(name)]
    if not settings.get("pixel_token") and missing:
        message = "A pixel token (pixel_token) is required."
        if len(missing) < len(_OAUTH_KEYS):
            message = f"Set a pixel token, or all four OAuth keys: {', '.join(missing)} not set."
        problems.append(Problem(("pixel_token",), "INVALID_SETTING", message))
    return problems


_OAUTH_HELP = (
    "Only where no pixel token can be had: X Developer Portal, the app's Keys and tokens. All four are needed."
)

MAPPER = Mapper(
    title="X Ads",
    settings=(
        Setting(
            "pixel_id",
            "Pixel ID",
            "X Ads Manager, Events Manager: the ID of the X pixel (event source), such as o8z6j.",
            example="o8z6j",
            check=_pixel,
        ),
        Setting(
            "event_ids",
            "Event tags",
            "Event name -> the id of its event tag: Events Manager, the event's Event ID. Take the ids that your pixel "
            "uses already, or copies are not recognised. * stands for every other event name.",
            example={"Purchase": "tw-o8z6j-ol288", "Lead": "tw-o8z6j-ol289", "*": "tw-o8z6j-ol291"},
            check=_tags,
            counts=True,
        ),
        Setting(
            "pixel_token",
            "Pixel token",
            "Events Manager, Install Pixel, Manual, Conversions API, Generate access token.",
            required=False,
            secret=True,
            example="sandbox-pixel-token",
        ),
        *(
            Setting(
                name,
                label,
                _OAUTH_HELP,
                required=False,
                secret=True,
                example=f"sandbox-{name.replace('_', '-')}",
            )
            for name, label in zip(
                _OAUTH_KEYS,
                (
                    "OAuth consumer key",
                    "OAuth consumer secret",
                    "OAuth access token",
                    "OAuth access token secret",
                ),
                strict=True,
            )
        ),
        Setting(
            "max_age_days",
            "Oldest event, in days",
            f"Older events are not sent: {MAX_AGE_DAYS} where this is left out, and at most: X attributes over no longer time.",
            required=False,
            example=90,
            check=_whole(1, MAX_AGE_DAYS),
        ),
        Setting(
            "max_ahead_minutes",
            "Furthest event ahead, in minutes",
            f"Events further in the future wait until their time has come: {MAX_AHEAD_MINUTES} where this is left out, and "
            "at most.",
            required=False,
            example=5,
            check=_whole(0, MAX_AHEAD_MINUTES),
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=500,
    max_event_age=timedelta(days=MAX_AGE_DAYS),
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    identifiers=("email", "phone", "client_ip", "client_user_agent", "twclid"),
    no_place_for=within(
        "user_data",
        "first_name last_name date_of_birth gender street city state zip country external_id lead_id job_title "
        "company_name",
    )
    | within("custom_data", "order_id content_name content_category content_type search_string status predicted_ltv")
    | within("custom_data.contents", "brand variant coupon discount")
    | {"device", "consent.ad_personalization", "action_source", "event_source_url"},
    deduplication="X does not promise to recognise two copies that both came over the API: a repeat may count twice.",
    copy_memory=lambda event_name, action_source: None,
    age_limit=_age_limit,
    ahead_limit=_max_ahead,
    instead_of_test="Make an event tag of type CUSTOM that no campaign uses: its status in Ads Manager turns to TRACKING "
    "12 to 24 hours after the first conversion arrives.",
    check_settings=_check_settings,
)
