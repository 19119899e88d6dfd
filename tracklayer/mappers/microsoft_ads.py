"""Microsoft Advertising UET Conversions API (CAPI) v1. Merchant's page: microsoft_ads.md.

Source: Microsoft Learn, the help page and answers on the UET Conversions API, and its guide as quoted by connectors
that agree with each other. Read 2026-11-24. Offline conversions, which take refunds, are another API and no part of
this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    NO_REFUND,
    Acknowledged,
    BatchRejected,
    BearerToken,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import NO_DEVICE, Event
from tracklayer.domain.identifiers import is_uuid, is_zero_uuid, machine_address, usable, web_url
from tracklayer.domain.personal import without_personal_url
from tracklayer.domain.values import read_decimal
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_DENIED,
    CONSENT_FIELD,
    CONSENT_OK,
    Explanation,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    advertising_id,
    by_status,
    click_id,
    first_email,
    first_phone,
    is_given,
    no_answer_of_the_platform,
    number,
    omit_empty,
    only_the_first,
    plain_id,
    plain_text,
    quiet_message,
    taken,
    unix_seconds,
    whole_number,
    within,
)

# The event action that a conversion goal waits for. Any other name but Refund goes out unchanged.
EVENT_NAMES = {
    "Purchase": "purchase",
    "AddToCart": "add_to_cart",
    "InitiateCheckout": "begin_checkout",
    "AddPaymentInfo": "add_payment_info",
    "Lead": "generate_lead",
    "CompleteRegistration": "sign_up",
    "ViewContent": "view_item",
    "Search": "search",
    "Subscribe": "subscribe",
    "StartTrial": "start_trial",
    "AddToWishlist": "add_to_wishlist",
    "Contact": "contact",
    "PageView": "pageLoad",  # the type of the event: a page load has no action
}
_PAGE_TYPES = {
    "Purchase": "purchase",
    "AddToCart": "cart",
    "InitiateCheckout": "cart",
    "AddPaymentInfo": "cart",
    "ViewContent": "product",
    "Search": "searchresults",
}
_PAGE_KINDS = frozenset({"home", "product", "category", "searchresults", "cart", "purchase", "other"})
_PROPERTIES = frozenset(  # that Microsoft has fields for
    "uetvid idfa gaid referrer_url page_load_id page_title keywords page_type event_value event_category event_label "
    "ecomm_category".split()
)
_WITH_TOTAL = frozenset({"Purchase", "AddToCart", "InitiateCheckout", "AddPaymentInfo"})

MAX_AGE = timedelta(days=7)
MAX_AHEAD = timedelta(
    seconds=5
)  # two clocks that differ by this much are no event of the future, which Microsoft refuses
MAX_BATCH_BYTES = 1_000_000

_IDENTITY = frozenset({"anonymousId", "externalId", "em", "ph", "msclkid", "idfa", "gaid"})
_CONSENT_LETTERS = {"granted": "G", "denied": "D"}
_UUID_4 = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
_ADVERTISING_IDS = {"ios": "idfa", "android": "gaid"}


def _email(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).email_sha256("without_alias")


def _phone(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).phone_sha256("e164", settings.get("default_country"))


def _ip(value: str, settings: Settings) -> str | None:
    return machine_address(value)


def _click_id(value: str) -> str | None:
    """32 hexadecimal digits with or without hyphens; the cookie's prefix is off."""
    found = usable("msclkid", value)
    return None if found is None else found.removeprefix("_uet")


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "external_id": lambda value, settings: plain_id(value),
    "client_ip": _ip,
    "client_user_agent": lambda value, settings: plain_text(value),
    "msclkid": lambda value, settings: _click_id(value),
}

_RENEW = "Copy the token of this UET tag again (UET tags, Use Conversions API) and set it on the destination."
_WRONG_EVENT = Explanation(
    "Microsoft refused the event: a field is missing or has the wrong form.",
    "The message names the field. Mend it at the source; this event is tried again when settings change.",
)
_WRONG_TAG = Explanation(
    "Microsoft does not know the UET tag.",
    "Compare the tag ID with Microsoft Advertising, Conversions, UET tag.",
)
_TEMPORARY = Explanation("A temporary fault at Microsoft.", "Nothing to do: it is tried again with the same event id.")
EXPLANATIONS: Mapping[str, Explanation] = {
    NO_REFUND: Explanation(
        "The Conversions API has nothing that takes a purchase back.",
        "Leave the name out with the destination's event names. Do not map it in the settings: each refund would count as one more"
        " sale. Microsoft takes refunds as adjustments of offline conversions, which TrackLayer does not send.",
        "event_name",
    ),
    "ValidationError": _WRONG_EVENT,
    "400": _WRONG_EVENT,
    "422": _WRONG_EVENT,
    "Unauthorized": Explanation("The token is not the one of this UET tag.", _RENEW),
    "401": Explanation("The token is not the one of this UET tag.", _RENEW),
    "403": Explanation(
        "The account is not enrolled in the Conversions API, or the token may not write to this tag.",
        "Ask your Microsoft contact to enrol the account; then make the token of the tag.",
    ),
    "404": _WRONG_TAG,
    "410": _WRONG_TAG,
    "413": Explanation("The request was too large.", "Nothing to do: it is sent again in smaller parts."),
    "429": Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself."),
    **dict.fromkeys(("408", "500", "502", "503", "504"), _TEMPORARY),
}
_FAULT_OF_AN_EVENT = frozenset({400, 413, 422})  # the whole batch is refused and nothing of it stored

_CONSENT_D = RuleVerdict(
    "consent", True, "denied: goes out as such, without email, phone and external id", "consent.ad_user_data"
)
_CONSENT_D_BY_DEFAULT = RuleVerdict(
    "consent",
    True,
    "none given, and default_consent is denied: goes out as such, without email, phone and external id",
    "consent.ad_user_data",
)
_NAME_OK = RuleVerdict("event_name", True, "goes out with its event action", "event_name")
_NAME_PAGE = RuleVerdict("event_name", True, "goes out as a page load", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "its own name is the event action", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "at most 7 days old", "occurred_at")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough to be matched", "user_data")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data``: time in whole Unix seconds, every identifier a single text, value a number."""
    verdicts = Verdicts()
    consent = _consent(event, settings)
    if consent == "denied" and not _is_on(settings.get("send_denied")):
        limited = event.consent.limited_data_use and event.consent.ad_user_data != "denied"
        field = "consent.limited_data_use" if limited else CONSENT_FIELD
        message = "limited data use is asked for" if limited else CONSENT_DENIED
        if not _says_consent(event):
            message = "the event says nothing of consent, and the destination's default_consent is denied"
        return verdicts.refuse(DropReason.CONSENT_DENIED, "consent", field, message)
    verdicts.ok(CONSENT_OK if consent != "denied" else _CONSENT_D if _says_consent(event) else _CONSENT_D_BY_DEFAULT)
    no_refund = "the Conversions API has no refund: it would be counted as one more conversion"
    if refused := verdicts.refuse_refund(event.event_name, settings, "event_names", no_refund):
        return refused
    is_page = event.event_name == "PageView"
    if is_page:
        verdicts.ok(_NAME_PAGE)
    else:
        action = _action(event.event_name, settings)
        verdicts.ok(_NAME_CUSTOM if action == event.event_name else _NAME_OK)
    if now - event.occurred_at > MAX_AGE:
        message = "older than the 7 days that Microsoft takes"
        return verdicts.refuse(DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", message)
    verdicts.ok(_AGE_OK)
    url = verdicts.page_of(event)
    if is_page and url is None:
        message = "Microsoft refuses a page load without the address of the page"
        return verdicts.refuse(DropReason.INVALID_FIELD, "event_source_url", "event_source_url", message)
    user_data = _user_data(event, settings, verdicts, is_denied=consent == "denied")
    if not user_data.keys() & _IDENTITY:
        message = (
            "Microsoft wants an email, phone, external id, msclkid, uetvid or device id; IP and user agent do not count"
        )
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {"eventType": "pageLoad" if is_page else "custom", "eventId": event.event_id}
    if not is_page:
        item["eventName"] = action
    item["eventTime"] = unix_seconds(event.occurred_at)
    if url is not None:
        item["eventSourceUrl"] = url.partition("#")[0]
    if event.custom_data.properties:
        item |= _page(event.custom_data.properties, verdicts)
    if consent is not None:
        item["adStorageConsent"] = _CONSENT_LETTERS[consent]
    item["userData"] = user_data
    custom_data = _custom_data(event, verdicts, is_page=is_page)
    if custom_data:
        item["customData"] = custom_data
    return Mapped(item, tuple(verdicts))


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"data": [...]}``, with the wish that good events are taken where others of the request are bad."""
    return PlatformRequest(
        f"https://capi.uet.microsoft.com/v1/{settings['tag_id']}/events",
        {"data": list(items), "dataProvider": "TrackLayer", "continueOnValidationError": True},
        BearerToken(str(settings.get("capi_token", ""))),
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """A 200 lists the events that were not taken, by position; any other answer is one for the whole request."""
    body: Mapping[str, Any] = reply.json if isinstance(reply.json, Mapping) else {}
    error = body.get("error")
    error = error if isinstance(error, Mapping) else {}
    details = error.get("details")
    named = [detail for detail in (details if isinstance(details, list) else []) if isinstance(detail, Mapping)]
    faults = [detail for detail in named if detail.get("isWarning") is not True]
    if 200 <= reply.status < 300:
        verdict = _read_received(reply, body, error, faults, count)
        return _with_notes(verdict, [detail for detail in named if detail.get("isWarning") is True])
    status = reply.status
    code = _code(status, error)
    message = _message(faults[0]) if faults else _quiet(error.get("message") or body.get("message"))
    if status in _FAULT_OF_AN_EVENT:
        rejected = Rejected(_detail_code(faults[0], code) if faults else code, message, status)
        return BatchRejected(rejected) if count > 1 else [rejected]
    if status in (404, 410):
        return [CredentialsRefused(code, message, status)] * count
    return [by_status(reply, code, message)] * count


def _read_received(
    reply: PlatformReply,
    body: Mapping[str, Any],
    error: Mapping[str, Any],
    faults: Sequence[Mapping[str, Any]],
    count: int,
) -> Verdict:
    """Faults by position are refusals. The others were taken if the number received says so, else nobody knows."""
    if nothing := no_answer_of_the_platform(reply):
        return [nothing] * count
    code = _code(reply.status, error, default="ValidationError")
    refused: dict[int, Outcome] = {}
    for fault in faults:
        index = 0 if count == 1 else whole_number(fault.get("index"))
        if index is not None and 0 <= index < count and index not in refused:
            refused[index] = Rejected(_detail_code(fault, code), _message(fault), reply.status)
    received = whole_number(body.get("eventsReceived"))
    received = -1 if received is None else received
    if received == 0 and error and not refused:
        rejected = Rejected(code, _quiet(error.get("message")), reply.status)
        return BatchRejected(rejected) if count > 1 else [rejected]
    rest: Outcome = Acknowledged(reply.status)
    if received < count - len(refused):
        rest = Unreachable("the answer does not confirm every event", reply.status, code="unconfirmed")
    return [refused.get(index, rest) for index in range(count)]


def _with_notes(verdict: Verdict, warnings: Sequence[Mapping[str, Any]]) -> Verdict:
    """Warnings are of fields that were left out of events that were taken: each is told of the event that it names."""
    if not warnings or isinstance(verdict, BatchRejected):
        return verdict
    noted = list(verdict)
    said: dict[int | None, list[Mapping[str, Any]]] = {}
    for one in warnings:
        said.setdefault(0 if len(noted) == 1 else whole_number(one.get("index")), []).append(one)
    for index, of_it in said.items():
        if index is not None and 0 <= index < len(noted):
            outcome = noted[index]
            if isinstance(outcome, Acknowledged):
                noted[index] = taken(outcome.http_status or 200, map(_message, of_it))
    return noted


def _code(status: int, error: Mapping[str, Any], default: str = "") -> str:
    """Microsoft's word where the catalogue knows it; else the status, with the word behind it."""
    word = error.get("code")
    if not isinstance(word, str) or not re.fullmatch(r"[A-Za-z_]{1,64}", word):
        return default or str(status)
    return word if word in EXPLANATIONS else f"{default or status}/{word}"


def _detail_code(detail: Mapping[str, Any], code: str) -> str:
    word = detail.get("errorCode")
    return f"{code}/{word}" if isinstance(word, str) and re.fullmatch(r"[A-Za-z_]{1,64}", word) else code


def _message(detail: Mapping[str, Any]) -> str:
    """The field and what is wrong with it, without the value that was tried."""
    text, tried = detail.get("errorMessage"), detail.get("attemptedValue")
    if isinstance(text, str) and isinstance(tried, str | int | float) and str(tried).strip():
        text = text.replace(str(tried), "…")
    words, field = _quiet(text), detail.get("propertyName")
    return f"{field}: {words}" if isinstance(field, str) and re.fullmatch(r"[\w.\[\]]{1,80}", field) else words


def _quiet(text: Any) -> str:
    """Microsoft's words may repeat what was sent: without quotations, addresses and ids."""
    return quiet_message(text) or "Microsoft gave no reason"


def _consent(event: Event, settings: Settings) -> str | None:
    """``granted``, ``denied``, or None where neither the event nor the merchant says. Limited use is a denial."""
    if event.consent.limited_data_use:
        return "denied"
    if event.consent.ad_user_data != "unspecified":
        return event.consent.ad_user_data
    return settings.get("default_consent") or None


def _says_consent(event: Event) -> bool:
    return event.consent.limited_data_use is True or event.consent.ad_user_data != "unspecified"


def _action(name: str, settings: Settings) -> str:
    names = settings.get("event_names") or {}
    return str(names.get(name) or names.get("*") or EVENT_NAMES.get(name) or name)


def _user_data(event: Event, settings: Settings, verdicts: Verdicts, *, is_denied: bool) -> dict[str, Any]:
    person, properties = event.user_data, event.custom_data.properties
    found: dict[str, Any] = {}
    if is_denied:
        for name in ("email", "phone", "emails", "phones", "external_id"):
            if getattr(person, name):
                verdicts.left_out("consent", f"user_data.{name}", "left out: consent is denied")
    else:
        if person.email is not None or person.emails:
            _put(found, verdicts, "em", "email", first_email(person, "without_alias"))
        if person.phone is not None or person.phones:
            _put(found, verdicts, "ph", "phone", first_phone(person, "e164", settings.get("default_country")))
        if person.emails or person.phones:
            only_the_first(person, "Microsoft", verdicts)
        if person.external_id is not None:
            _put(found, verdicts, "externalId", "external_id", plain_id(person.external_id))
    visitor = _text(properties, "uetvid") if properties else None
    if visitor and (visitor := plain_text(visitor)):
        found["anonymousId"] = visitor
    why = "left out: nothing that Microsoft takes as msclkid"
    click = click_id(person, "msclkid", event.clicked_url, _click_id, verdicts, why)
    if click is not None:
        found["msclkid"] = click
    found |= _advertising_ids(event, verdicts)
    if person.client_ip is not None:
        _put(found, verdicts, "clientIpAddress", "client_ip", _ip(person.client_ip, settings))
    if person.client_user_agent is not None:
        _put(found, verdicts, "clientUserAgent", "client_user_agent", plain_text(person.client_user_agent))
    return found


def _advertising_ids(event: Event, verdicts: Verdicts) -> dict[str, str]:
    """The device's own, else the properties ``idfa`` and ``gaid``; none where the person does not allow tracking."""
    device, properties = event.device, event.custom_data.properties
    found: dict[str, str] = {}
    if device is not NO_DEVICE and device.advertising_id is not None:
        given = advertising_id(device, verdicts)
        if given is not None and is_uuid(given[1]) and not is_zero_uuid(given[1]):
            found[_ADVERTISING_IDS[given[0]]] = given[1]
        elif given is not None:
            message = "left out: not the advertising id of a device, which is a UUID"
            verdicts.left_out("advertising_id", "device.advertising_id", message)
        return found
    if not properties:
        return found
    for name in _ADVERTISING_IDS.values():
        value = _text(properties, name)
        if value is None:
            continue
        if is_uuid(value) and not is_zero_uuid(value) and device.tracking_allowed is not False:
            found[name] = value
        else:
            message = "left out: not the advertising id of a device whose owner allows tracking"
            verdicts.left_out(name, f"custom_data.properties.{name}", message)
    return found


def _put(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, value: str | None) -> None:
    if value is not None:
        found[key] = value
    else:
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that Microsoft takes as {key}")


def _page(properties: Mapping[str, Any], verdicts: Verdicts) -> dict[str, str]:
    """What is known of the page besides its address."""
    referrer, page_load = _text(properties, "referrer_url"), _text(properties, "page_load_id")
    if referrer is not None:
        field = "custom_data.properties.referrer_url"
        referrer = web_url(referrer)
        if referrer is None:
            verdicts.left_out("referrer_url", field, "left out: not an absolute http(s) URL")
        else:
            referrer, taken = without_personal_url(referrer)
            if taken:
                verdicts.left_out("personal_data", field, f"taken out of the URL: {', '.join(taken)}")
    if page_load and not _UUID_4.fullmatch(page_load):
        field = "custom_data.properties.page_load_id"
        verdicts.left_out("page_load_id", field, "left out: not a UUID of version 4")
        page_load = None
    return omit_empty(
        {
            "referrerUrl": referrer,
            "pageTitle": _text(properties, "page_title"),
            "keywords": _text(properties, "keywords"),
            "pageLoadId": page_load,
        }
    )


def _custom_data(event: Event, verdicts: Verdicts, *, is_page: bool) -> dict[str, Any]:
    given, properties = event.custom_data, event.custom_data.properties
    value, currency = number(given.value), given.currency
    if is_page:
        if value is not None:
            verdicts.left_out("value", "custom_data.value", "left out: a page load carries no revenue")
        value = currency = None
    elif value is not None and currency is None:
        verdicts.left_out("value", "custom_data.value", "left out: a value needs its currency")
        value = None
    kind = _text(properties, "page_type")
    if kind is not None and kind not in _PAGE_KINDS:
        field = "custom_data.properties.page_type"
        verdicts.left_out("page_type", field, "left out: not one of Microsoft's page types")
        kind = None
    verdicts.own_left_out(properties, "Microsoft", _PROPERTIES)
    goal_value = read_decimal(properties.get("event_value"))
    if goal_value is None and is_given(properties.get("event_value")):
        verdicts.left_out("event_value", "custom_data.properties.event_value", "left out: not a number")
    return omit_empty(
        {
            "value": value,
            "currency": currency,
            "transactionId": given.order_id,
            "pageType": kind or _PAGE_TYPES.get(event.event_name),
            "ecommTotalValue": value if event.event_name in _WITH_TOTAL else None,
            "searchTerm": given.search_string,
            "itemIds": list(given.product_ids) or [content.id for content in given.contents],
            "items": [
                omit_empty(
                    {
                        "id": content.id,
                        "name": content.title,
                        "price": number(content.item_price),
                        "quantity": content.whole_quantity,
                    }
                )
                for content in given.contents
            ],
            "eventCategory": _text(properties, "event_category"),
            "eventLabel": _text(properties, "event_label"),
            "eventValue": number(goal_value),
            "ecommCategory": _text(properties, "ecomm_category"),
        }
    )


def _text(properties: Mapping[str, Any], name: str) -> str | None:
    value = properties.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _is_on(value: Any) -> bool:
    return value is True or value == "true"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) or value in ("true", "false") else "must be true or false"


def _digits(value: Any) -> str | None:
    fits = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,20}", str(value))
    return None if fits else "must be digits only, as Microsoft Advertising shows it"


def _actions(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.strip() for name in value):
        return 'must be an object of event name and event action, such as {"Lead": "generate_lead"}'
    if "PageView" in value:
        return "must not name PageView: it is a page load, which has no event action"
    if not all(isinstance(action, str) and action and action.strip() == action for action in value.values()):
        return "must have event actions as values: text without spaces around it"
    return None


MAPPER = Mapper(
    title="Microsoft Advertising",
    settings=(
        Setting(
            "tag_id",
            "UET tag ID",
            "Microsoft Advertising, Conversions, UET tag: the number in the column Tag ID.",
            example="187012345",
            check=_digits,
        ),
        Setting(
            "capi_token",
            "Conversions API token",
            "The UET tag's settings, Use Conversions API: the token belongs to this one tag. Microsoft must have enrolled "
            "the account first.",
            secret=True,
            example="sandbox-capi-token",
        ),
        Setting(
            "event_names",
            "Event actions",
            "Event name -> the action of its event goal (Conversions, Conversion goals), where it is not the usual one. "
            "* stands for every other event name.",
            required=False,
            example={"Lead": "generate_lead", "QuoteRequested": "request_quote"},
            check=_actions,
        ),
        Setting(
            "default_consent",
            "Consent where the event says nothing",
            "granted or denied, as your consent banner starts out. Without it such events carry no consent at all.",
            required=False,
            example="granted",
            choices=tuple(_CONSENT_LETTERS),
            unset="such events carry no consent",
            check=lambda value: None if value in tuple(_CONSENT_LETTERS) else "must be granted or denied",
        ),
        Setting(
            "send_denied",
            "Send events with consent denied",
            "True sends them marked as denied and without email, phone and external id; otherwise they are not sent.",
            required=False,
            example=False,
            check=_flag,
        ),
        Setting(
            "customer_id",
            "Customer ID",
            "Microsoft Advertising: the cid in the address of any of its pages. Only for the browser's ID sync: no event "
            "carries it.",
            required=False,
            example="9876543",
            check=_digits,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=1000,
    max_event_age=MAX_AGE,
    max_ahead=MAX_AHEAD,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    identifiers=("email", "phone", "external_id", "client_ip", "client_user_agent", "msclkid"),
    no_place_for=within(
        "user_data",
        "first_name last_name date_of_birth gender street city state zip country lead_id job_title company_name",
    )
    | within("custom_data", "num_items content_name content_category content_type status predicted_ltv")
    | within("custom_data.contents", "brand category variant coupon discount")
    | within(
        "device",
        "os_version app_id app_name app_version model locale time_zone carrier screen_width screen_height vendor_id",
    )
    | {"consent.ad_personalization", "action_source"},
    deduplication="Microsoft does not promise to recognise two copies that both came over the API: a repeat may count twice.",
    copy_memory=lambda event_name, action_source: None,
    instead_of_test="Make a separate UET tag, set it on the destination for a while, and look at that tag's diagnostics.",
    max_batch_bytes=MAX_BATCH_BYTES,
)
