"""Snapchat Conversions API v3. Merchant's page: snapchat.md.

Source: Snap for Developers, Conversions API: "Using the API", "Parameters", "Verify Set Up", "Best Practices";
where those are silent, independent public connectors that agree with each other. Read 2026-11-28.
"""

from __future__ import annotations

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
    PlatformReply,
    PlatformRequest,
    QueryToken,
    RateLimited,
    Rejected,
    Verdict,
)
from tracklayer.domain.event import NO_DEVICE, Content, CustomData, Event
from tracklayer.domain.identifiers import machine_address, usable
from tracklayer.domain.normalise import Matchable, hashed
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
    content_type_of,
    has_fractions,
    no_answer_of_the_platform,
    number,
    of_apps_only,
    omit_empty,
    plain_words,
    retry_after,
    safe_message,
    unix_seconds,
    whole_number,
    within,
    without_amounts,
)
from tracklayer.mappers.snapchat_app import APP_PROPERTIES, app_data, put_device_ids

CUSTOM_SLOTS = tuple(f"CUSTOM_EVENT_{slot}" for slot in range(1, 6))
_SNAP_NAMES = (
    "PURCHASE SAVE START_CHECKOUT ADD_CART VIEW_CONTENT ADD_BILLING SIGN_UP SEARCH PAGE_VIEW SUBSCRIBE AD_CLICK "
    "AD_VIEW COMPLETE_TUTORIAL LEVEL_COMPLETE INVITE LOGIN SHARE RESERVE ACHIEVEMENT_UNLOCKED ADD_TO_WISHLIST "
    "SPENT_CREDITS RATE START_TRIAL LIST_VIEW APP_INSTALL APP_OPEN"
)
_OWN_NAMES = (*_SNAP_NAMES.split(), *CUSTOM_SLOTS)
EVENT_NAMES = {
    "Purchase": "PURCHASE",
    "AddToCart": "ADD_CART",
    "InitiateCheckout": "START_CHECKOUT",
    "AddPaymentInfo": "ADD_BILLING",
    "Lead": "SIGN_UP",
    "CompleteRegistration": "SIGN_UP",
    "ViewContent": "VIEW_CONTENT",
    "Search": "SEARCH",
    "Subscribe": "SUBSCRIBE",
    "StartTrial": "START_TRIAL",
    "AddToWishlist": "ADD_TO_WISHLIST",
    "PageView": "PAGE_VIEW",
    **{name: name for name in _OWN_NAMES},
}
_MAPPABLE = frozenset(_OWN_NAMES)

MAX_AGE = timedelta(days=7)  # web and app; Snap names no limit for offline events
MAX_AHEAD = timedelta(seconds=5)  # Snap refuses a wrong time and does not say what it forgives
MAX_BATCH_BYTES = 2_000_000

_SOURCES = {"website": "WEB", "app": "MOBILE_APP"}  # every other action_source counts as OFFLINE
_CURRENCY_CODES = (
    "AED ALL AUD BGN BHD BRL CAD CHF CLP CNY COP CZK DKK DZD EGP EUR GBP GHS GIP HKD HRK HUF IDR ILS INR IQD ISK "
    "JOD JPY KES KRW KWD KZT LBP MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD "
    "TZS UAH USD VND XOF ZAR"
)
_CURRENCIES = frozenset(_CURRENCY_CODES.split())
_DELIVERY_CATEGORIES = frozenset({"in_store", "curbside", "home_delivery"})
_PROPERTIES = frozenset({"sign_up_method", "delivery_category"}) | APP_PROPERTIES
_LIMITED_USE = ("LMU", "LDU")
_REFUSED = frozenset({"INVALID", "FAILED", "ERROR"})
MOST_ERRORS = 20  # of one event that are read
# At the end of a group: should Snap refuse these, it refuses the whole request.
_NO_PAGE = "/no_page"
_NO_SYSTEM = "/no_system"
_VALIDATE = "validate_only"  # no setting of a merchant's: of a trial alone. Snap looks at the event and records none


def _email(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).email_sha256("basic")


def _phone(value: str, settings: Settings) -> str | None:
    return Matchable.read(value).phone_sha256("digits", settings.get("default_country"))


def _digest(rule: normalise.Rule) -> Callable[[str, Settings], str | None]:
    return lambda value, settings: _hashed(value, rule)


def _hashed(value: str, rule: normalise.Rule) -> str | None:
    """The digest, or None for what was hashed by MD5 or SHA-1: Snap could not match it."""
    return None if len(value) >= 32 and normalise.is_foreign_digest(value) else hashed(value, rule)


def _city(value: str) -> str | None:
    """Lower case, no spaces or punctuation; digits stay, unlike in ``normalise.city``."""
    return normalise.letters_and_digits(value)


def _state(value: str, country: str | None = None) -> str | None:
    """Lower-case letters only; in the US the two-letter code."""
    letters = normalise.city(normalise.without_country(value))
    return normalise.state(letters, country) if letters else None


def _opaque(name: str) -> Callable[[str, Settings], str | None]:
    return lambda value, settings: usable(name, value)


def _click_id(value: str) -> str | None:
    return NORMALISE["sc_click_id"](value, {})


def _ip(value: str, settings: Settings) -> str | None:
    return machine_address(value)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "first_name": _digest(normalise.name),
    "last_name": _digest(normalise.name),
    "gender": _digest(normalise.gender),
    "city": _digest(_city),
    "state": _digest(_state),
    "zip": _digest(normalise.zip_code),
    "country": _digest(normalise.country),
    "external_id": _digest(normalise.lower_trimmed),
    "client_ip": _ip,
    "client_user_agent": lambda value, settings: normalise.trimmed(value),
    "sc_click_id": _opaque("sc_click_id"),
    "sc_cookie1": _opaque("sc_cookie1"),
    "lead_id": _opaque("lead_id"),
}
# Key of the payload, field of user_data. State, zip and the click id depend on others and follow by themselves.
_HASHED = (
    ("fn", "first_name"),
    ("ln", "last_name"),
    ("ge", "gender"),
    ("ct", "city"),
    ("country", "country"),
    ("external_id", "external_id"),
)
_PLAIN = (
    ("client_ip_address", "client_ip"),
    ("client_user_agent", "client_user_agent"),
    ("sc_cookie1", "sc_cookie1"),
    ("lead_id", "lead_id"),
)

_MEND = "Compare the event with the field table of this page; it is tried again with your mended settings."
_WRONG_EVENT = Explanation("Snapchat refused the event: a field is missing or has the wrong form.", _MEND)
_TEMPORARY = Explanation("A temporary fault at Snapchat.", "Nothing to do: it is tried again.")
_NO_ASSET = Explanation(
    "Snapchat does not know the pixel or app.",
    "Compare the pixel ID with Events Manager, or the Snap App ID with your app in Business Manager.",
)
EXPLANATIONS: Mapping[str, Explanation] = {
    "200": Explanation(
        "A web page came back instead of Snapchat's answer: something in between wrote it, such as a proxy.",
        "Look at the proxy or firewall in front of TrackLayer. The event is tried again.",
    ),
    "INVALID": _WRONG_EVENT,
    "FAILED": _WRONG_EVENT,
    "ERROR": _WRONG_EVENT,
    "400": Explanation(
        "Snapchat refused the event: a field is missing, the time is wrong, a purchase has no price or currency, "
        "or there is too little to match a person by.",
        f"{_MEND} Where it is the page of a website event, set default_page_url: it stands in where an event has none.",
    ),
    "422": _WRONG_EVENT,
    "401": Explanation(
        "The access token is wrong or has expired.",
        "Have an organisation admin generate a new Conversions API token in Ads Manager and set it here.",
    ),
    "403": Explanation(
        "The access token may not write to this pixel or app.",
        "Use a token of the organisation that owns the pixel or app.",
    ),
    "404": _NO_ASSET,
    "410": _NO_ASSET,
    "413": Explanation("A single event was too large.", "Send fewer contents in one event.", "custom_data.contents"),
    "429": Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself."),
    **dict.fromkeys(("408", "425", "500", "502", "503", "504"), _TEMPORARY),
}

_NAME_OK = RuleVerdict("event_name", True, "an event of Snapchat", "event_name")
_NAME_MAPPED = RuleVerdict("event_name", True, "mapped by your custom_event_map", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "at most 7 days old", "occurred_at")
_AGE_FREE = RuleVerdict("event_age", True, "offline events have no age limit", "occurred_at")
_PAGE_MISSING = RuleVerdict(
    "event_source_url",
    False,
    "a website event without its page: sent without, Snapchat's answer decides; default_page_url would stand in",
    "event_source_url",
)
_WHOLE_QUANTITY = RuleVerdict(
    "quantity", True, "Snapchat counts pieces: fractions are sent as whole numbers", "custom_data.contents"
)
_PRICE_OK = RuleVerdict("price", True, "a PURCHASE with value and currency", "custom_data.value")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough customer information to be matched", "user_data")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data``: time in whole Unix seconds, value in major units as a number."""
    verdicts = Verdicts()
    source = _SOURCES.get(event.action_source, "OFFLINE")
    asset = "snap_app_id" if source == "MOBILE_APP" else "pixel_id"
    name = _taken_as(event, source, asset, settings, now, verdicts)
    if isinstance(name, Refused):
        return name
    group = asset
    url = verdicts.page_of(event)
    if source == "MOBILE_APP":
        if url is not None:
            verdicts.left_out("event_source_url", "event_source_url", "left out: Snapchat has no page of an app event")
        url = None
    elif url is None and source == "WEB":
        verdicts.ok(_PAGE_MISSING)
        group += _NO_PAGE
    if name == "PURCHASE":
        wrong = _price_fault(event.custom_data)
        if wrong is not None:
            return verdicts.refuse(DropReason.INVALID_FIELD, *wrong)
        verdicts.ok(_PRICE_OK)
    user_data = _user_data(event, settings, verdicts)
    if source == "MOBILE_APP" and event.device is not NO_DEVICE:
        put_device_ids(user_data, event.device, event.custom_data.properties, verdicts)
    if not (
        "em" in user_data
        or "ph" in user_data
        or "madid" in user_data
        or {"client_ip_address", "client_user_agent"} <= user_data.keys()
    ):
        return verdicts.refuse(
            DropReason.MISSING_IDENTIFIERS,
            "identifiers",
            "user_data",
            "Snapchat wants an email, a phone, the IP address together with the user agent, or an app's advertising id",
        )
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {
        "event_name": name,
        "event_time": unix_seconds(event.occurred_at),
        "event_id": event.event_id,
        "action_source": source,
    }
    if url is not None:
        item["event_source_url"] = url
    if event.consent.limited_data_use:
        item["data_processing_options"] = [settings.get("limited_use_option") or _LIMITED_USE[0]]
    if settings.get("test_event_code"):
        item["test_event_code"] = settings["test_event_code"]
    item["user_data"] = user_data
    custom_data = _custom_data(event.custom_data, verdicts)
    if custom_data:
        item["custom_data"] = custom_data
    if source == "MOBILE_APP":
        item["app_data"] = app_data(event.device, event.custom_data.properties, settings, verdicts)
        if "extinfo" not in item["app_data"]:
            group += _NO_SYSTEM
    return Mapped(item, tuple(verdicts), group)


def _taken_as(
    event: Event, source: str, asset: str, settings: Settings, now: datetime, verdicts: Verdicts
) -> str | Refused:
    """Snapchat's name of the event, where it is one that Snapchat takes."""
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    if event.consent.limited_data_use and source != "WEB":
        return verdicts.refuse(
            DropReason.CONSENT_DENIED,
            "consent",
            "consent.limited_data_use",
            "Snapchat can limit the use of website events only, and this one would be used without limits",
        )
    verdicts.ok(CONSENT_OK)
    if refused := verdicts.refuse_refund(event.event_name, settings, "custom_event_map", "Snapchat has no refund"):
        return refused
    name = _event_name(event.event_name, settings.get("custom_event_map") or {}, verdicts)
    if name is None:
        message = "no event of Snapchat: map it in custom_event_map to CUSTOM_EVENT_1 to CUSTOM_EVENT_5"
        return verdicts.refuse_unlisted(event.event_name, "custom_event_map", message)
    if not settings.get(asset):
        return verdicts.refuse(
            DropReason.UNSUPPORTED_EVENT,
            "asset",
            "action_source",
            f"the destination has no {asset} for such events",
        )
    limit = _age_limit(event.action_source, settings)
    if limit is None:
        verdicts.ok(_AGE_FREE)
    elif now - event.occurred_at > limit:
        return verdicts.refuse(
            DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", "older than the 7 days that Snapchat takes"
        )
    else:
        verdicts.ok(_AGE_OK)
    return name


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"data": [...]}``. ``group`` begins with the setting of the asset: a pixel and an app have their own URLs."""
    asset = group.removesuffix(_NO_PAGE).removesuffix(_NO_SYSTEM) or "pixel_id"
    path = "events/validate" if settings.get(_VALIDATE) is True else "events"
    return PlatformRequest(
        f"https://tr.snapchat.com/v3/{settings[asset]}/{path}",
        {"data": list(items)},
        QueryToken("access_token", str(settings.get("access_token", ""))),
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """A refused request is split: if its good events were kept after all, ``event_id`` makes two copies one."""
    body = reply.json if isinstance(reply.json, Mapping) else {}
    word = plain_words(body.get("status")).upper()
    faults = _faults(body, count)
    message = (
        _quiet(next(iter(faults.values()), "") or body.get("reason") or body.get("error")) or "Snapchat gave no reason"
    )
    if 200 <= reply.status < 300:
        if (stranger := no_answer_of_the_platform(reply)) is not None:
            return [stranger] * count
        if word not in _REFUSED and not (word == "" and (body.get("error") or body.get("errors"))):
            return [
                Rejected("INVALID", _quiet(faults[index]) or message, reply.status)
                if index in faults
                else Acknowledged(reply.status)
                for index in range(count)
            ]
        refused = Rejected(word or "ERROR", message, reply.status)
    elif reply.status in (400, 413, 422):
        refused = Rejected(str(reply.status), message, reply.status)
    elif reply.status in (404, 410):
        return [CredentialsRefused(str(reply.status), message, reply.status)] * count
    elif reply.status == 429:
        return [RateLimited(retry_after(reply), "429", message, 429)] * count
    else:
        return [by_status(reply, message=message)] * count
    return BatchRejected(refused) if count > 1 else [refused]


def _event_name(given: str, mapping: Mapping[str, str], verdicts: Verdicts) -> str | None:
    """The merchant's own entry, then Snap's event, then what the merchant set for every other name."""
    name: str | None = mapping.get(given) if given != "*" else None
    if name is None and given in EVENT_NAMES:
        verdicts.ok(_NAME_OK)
        return EVENT_NAMES[given]
    name = name or mapping.get("*")
    if name is not None:
        verdicts.ok(_NAME_MAPPED)
    return name


def _age_limit(action_source: str, settings: Settings) -> timedelta | None:
    return MAX_AGE if action_source in _SOURCES else None


def _price_fault(given: CustomData) -> tuple[str, str, str] | None:
    """(rule, field, message) of what Snap would refuse in a PURCHASE."""
    for name in ("value", "currency"):
        if getattr(given, name) is None:
            return name, f"custom_data.{name}", f"Snapchat refuses a PURCHASE without {name}"
    if given.currency not in _CURRENCIES:
        return "currency", "custom_data.currency", "not one of the currencies that Snapchat takes"
    return None


def _user_data(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    person = event.user_data
    found: dict[str, Any] = {}
    country_code = settings.get("default_country")
    if person.emails or person.phones:
        _put_all(found, verdicts, "em", "email", [given.email_sha256("basic") for given in person.all_emails])
        phones = [given.phone_sha256("digits", country_code) for given in person.all_phones]
        _put_all(found, verdicts, "ph", "phone", phones)
    else:
        if person.email is not None:
            _put(found, verdicts, "em", "email", person.email.email_sha256("basic"))
        if person.phone is not None:
            _put(found, verdicts, "ph", "phone", person.phone.phone_sha256("digits", country_code))
    for key, name in _HASHED:
        value = getattr(person, name)
        if value is not None:
            _put(found, verdicts, key, name, NORMALISE[name](value, settings))
    country = person.country
    if person.state is not None:
        _put(found, verdicts, "st", "state", _hashed(person.state, lambda value: _state(value, country)))
    if person.zip is not None:
        _put(
            found,
            verdicts,
            "zp",
            "zip",
            _hashed(person.zip, lambda value: normalise.zip_code(value, country)),
        )
    for key, name in _PLAIN:
        value = getattr(person, name)
        if value is None:
            continue
        plain = NORMALISE[name](value, settings)
        if plain is not None:
            found[key] = plain
        else:
            verdicts.left_out(name, f"user_data.{name}", "left out: not of the form that Snapchat gives or takes")
    why = "left out: not of the form that Snapchat gives or takes"
    click = click_id(person, "sc_click_id", event.clicked_url, _click_id, verdicts, why, "ScCid")
    if click is not None:
        found["sc_click_id"] = click
    return found


def _put(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, digest: str | None) -> None:
    if digest is not None:
        found[key] = [digest]
    else:
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that Snapchat could match as {key}")


def _put_all(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, digests: Sequence[str | None]) -> None:
    """Every digest once."""
    good = list(dict.fromkeys([digest for digest in digests if digest is not None]))
    if good:
        found[key] = good
    if None in digests:
        which = f"{digests.count(None)} of {len(digests)} " if len(digests) > 1 else ""
        verdicts.left_out(name, f"user_data.{name}", f"{which}left out: nothing that Snapchat could match as {key}")


def _custom_data(given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    value, currency = given.value, given.currency
    if currency is not None and currency not in _CURRENCIES:
        verdicts.left_out("currency", "custom_data.currency", "left out with the value: Snapchat does not take it")
        value = currency = None
        given = without_amounts(given, "Snapchat", verdicts)
    method = given.properties.get("sign_up_method")
    handed_over = given.properties.get("delivery_category")
    if handed_over is not None and handed_over not in _DELIVERY_CATEGORIES:
        field = "custom_data.properties.delivery_category"
        verdicts.left_out("delivery_category", field, "left out: not in_store, curbside or home_delivery")
        handed_over = None
    verdicts.own_left_out(given.properties, "Snapchat", _PROPERTIES)
    categories = dict.fromkeys(content.category for content in given.contents if content.category)
    return omit_empty(
        {
            "currency": currency,
            "value": number(value),
            "order_id": given.order_id,
            "num_items": given.num_items,
            "content_ids": list(given.product_ids) or [content.id for content in given.contents],
            "content_category": [given.content_category] if given.content_category else list(categories),
            "content_name": given.content_name,
            "content_type": content_type_of(given, verdicts),
            "contents": _contents(given.contents, handed_over, verdicts) if given.contents else None,
            "search_string": given.search_string,
            "sign_up_method": method if isinstance(method, str) and method.strip() else None,
            "predicted_ltv": number(given.predicted_ltv),
        }
    )


def _contents(given: Sequence[Content], delivery_category: Any, verdicts: Verdicts) -> list[dict[str, Any]]:
    if has_fractions(given):
        verdicts.ok(_WHOLE_QUANTITY)
    return [
        omit_empty(
            {
                "id": content.id,
                "quantity": content.whole_quantity,
                "item_price": number(content.item_price),
                "brand": content.brand,
                "delivery_category": delivery_category,
            }
        )
        for content in given
    ]


def _faults(body: Mapping[str, Any], count: int) -> dict[int, str]:
    """Index from 0 -> Snap's words. ``event_logs`` counts events from 1, the older ``error_records`` from 0."""
    found: dict[int, str] = {}
    for entry in _objects(body.get("event_logs")):
        position = whole_number(entry.get("event"))
        if plain_words(entry.get("status")).upper() in _REFUSED and position is not None and 1 <= position <= count:
            errors = entry.get("errors")
            texts = [errors.get(key) for key in ("codes", "error_msgs")] if isinstance(errors, Mapping) else []
            words = [plain_words(word) for text in texts if isinstance(text, list) for word in text[:MOST_ERRORS]]
            found[position - 1] = " ".join(word for word in words if word)
    for entry in _objects(body.get("error_records")):
        indexes = entry.get("record_indexes")
        for index in map(whole_number, indexes if isinstance(indexes, list) else ()):
            if index is not None and 0 <= index < count:
                found[index] = plain_words(entry.get("reason"))
    return found


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


_URL = re.compile(r"https?://\S+")


def _quiet(text: Any) -> str:
    """Snap's words may repeat the page that was sent: also without URLs."""
    return safe_message(_URL.sub("…", plain_words(text)))


def _uuid(value: Any) -> str | None:
    fits = re.fullmatch(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", str(value))
    return None if fits else "must be a UUID, as Events Manager shows it"


def _id(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,128}", value)
    return None if fits else "must be letters, digits, dots, hyphens and underscores only"


def _event_map(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.strip() for name in value):
        return 'must be an object of event name and Snapchat event, such as {"QuoteRequested": "CUSTOM_EVENT_1"}'
    if "Refund" in value:
        return "must not map Refund: Snapchat would take nothing off the PURCHASE"
    if not all(isinstance(slot, str) and slot in _MAPPABLE for slot in value.values()):
        return "must map to CUSTOM_EVENT_1 to CUSTOM_EVENT_5, or to another of Snapchat's event names"
    return None


def check_settings(settings: Settings) -> list[Problem]:
    """A pixel or an app must be there, and an app needs both of its ids."""
    pixel, snap_app, app = (bool(settings.get(name)) for name in ("pixel_id", "snap_app_id", "app_id"))
    if not (pixel or snap_app or app):
        message = "Set pixel_id for website and offline events, or snap_app_id and app_id for app events."
        return [Problem(("pixel_id",), "INVALID_SETTING", message)]
    if snap_app != app:
        missing, given = ("app_id", "snap_app_id") if snap_app else ("snap_app_id", "app_id")
        return [Problem((missing,), "INVALID_SETTING", f"App events need {missing} beside {given}.")]
    return []


MAPPER = Mapper(
    title="Snapchat",
    settings=(
        Setting(
            "pixel_id",
            "Pixel ID",
            "Ads Manager, Events Manager, your Snap Pixel: the ID below its name. For website and offline events.",
            required=False,
            example="1ec32188-754e-4be2-8e55-c949a984a39f",
            check=_uuid,
        ),
        Setting(
            "access_token",
            "Access token",
            "Ads Manager, Business Details, Conversions API Tokens, Generate Token: an organisation admin can. It "
            "serves the pixels and apps of that organisation and does not expire.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "snap_app_id",
            "Snap App ID",
            "Ads Manager, Business Settings, Snap Apps, your app: the Snap App ID. Only for app events.",
            required=False,
            example="7b2f0c52-91d4-4c0e-9a37-5d1e8f60ab42",
            check=_id,
        ),
        Setting(
            "app_id",
            "App ID",
            "The app's ID in its store: the package name on Google Play, the number on the App Store. For app events.",
            required=False,
            example="com.example.shop",
            check=_id,
        ),
        Setting(
            "custom_event_map",
            "Event map",
            "Event name to Snapchat event, for names that Snapchat has no event for: CUSTOM_EVENT_1 to "
            "CUSTOM_EVENT_5, which Events Manager lists with the pixel's events. * stands for every other event name. "
            "Snapchat's own names, such as SAVE, need no entry.",
            required=False,
            example={"QuoteRequested": "CUSTOM_EVENT_1"},
            check=_event_map,
        ),
        Setting(
            "test_event_code",
            "Test event code",
            "Events Manager, your pixel, Test Events. It marks every event for that tool: remove it for production.",
            required=False,
            example="TEST12345",
        ),
        Setting(
            "limited_use_option",
            "Limited use option",
            "Sent with website events whose limited_data_use is true. Leave it out for LMU; LDU is the older name. "
            "Snap's page on the parameter data_processing_options lists the current one.",
            required=False,
            example="LMU",
            choices=_LIMITED_USE,
            unset="LMU",
            check=lambda value: None if value in _LIMITED_USE else "must be LMU or LDU",
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=2000,
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
        "gender",
        "city",
        "state",
        "zip",
        "country",
        "external_id",
        "client_ip",
        "client_user_agent",
        "sc_click_id",
        "sc_cookie1",
        "lead_id",
    ),
    no_place_for=within("user_data", "date_of_birth street job_title company_name")
    | within("custom_data", "status")
    | within("custom_data.contents", "title variant coupon discount")
    | {"device.app_name", "consent.ad_personalization"},
    no_place_in=of_apps_only(
        "Snapchat",
        within(
            "device",
            "os os_version app_id app_version model locale time_zone carrier screen_width screen_height advertising_id "
            "vendor_id tracking_allowed",
        ),
    ),
    deduplication="Snapchat recognises a copy by its event id, but does not say for how long: TrackLayer counts on 24 hours.",
    copy_memory=lambda event_name, action_source: timedelta(hours=24),
    age_limit=_age_limit,
    supports_test_events=True,
    test_mode={_VALIDATE: True},
    marks_of_tests=("test_event_code",),
    check_settings=check_settings,
    max_batch_bytes=MAX_BATCH_BYTES,
    max_ahead=MAX_AHEAD,
)
