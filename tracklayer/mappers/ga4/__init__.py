"""GA4 Measurement Protocol, for web and app streams. Merchant's page: ga4.md.

Source: Google Analytics, "Send Measurement Protocol events", "Measurement Protocol reference", "Validate events", "Send
user-provided data with User-ID", "Changelog", "Event naming rules"; limits of values and reserved names also from public
connectors. Read 2026-11-28. GA4 says 2xx to nearly anything, so whatever is wrong has to be caught here: nothing comes back.
``person`` is whose event it is, ``parameters`` what it tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    QueryToken,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import Event
from tracklayer.domain.event_names import is_made_purchase, is_refund, may_be_refund
from tracklayer.domain.google_tag import client_id
from tracklayer.domain.problem import Problem
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    Explanation,
    Mapped,
    Mapper,
    NoPlace,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    by_status,
    no_answer_of_the_platform,
    plain_words,
    retry_after,
    safe_message,
    unix_seconds,
    whole_number,
    within,
    wrong_with_flag,
)
from tracklayer.mappers.ga4.parameters import (
    MAX_BODY_BYTES,
    MAX_VALUE,
    MAX_VALUE_360,
    NAME,
    POINTS,
    mended_name,
    params_of,
    without_what_is_too_much,
)
from tracklayer.mappers.ga4.person import NORMALISE, app_instance_id, shared_by_the_request

EVENT_NAMES = {
    "Purchase": "purchase",
    "AddToCart": "add_to_cart",
    "InitiateCheckout": "begin_checkout",
    "AddPaymentInfo": "add_payment_info",
    "Lead": "generate_lead",
    "CompleteRegistration": "sign_up",
    "ViewContent": "view_item",
    "Search": "search",
    "AddToWishlist": "add_to_wishlist",
    "PageView": "page_view",
    "Refund": "refund",
    # Not among GA4's recommended events: they arrive as custom ones, as every other name does unchanged.
    "Subscribe": "subscribe",
    "StartTrial": "start_trial",
    "Contact": "contact",
}
_RESERVED_NAMES = frozenset(
    "ad_activeview ad_click ad_exposure ad_query ad_reward adunit_exposure app_clear_data app_exception app_install "
    "app_remove app_store_refund app_update app_upgrade dynamic_link_app_open dynamic_link_app_update "
    "dynamic_link_first_open error firebase_campaign first_open first_visit os_update session_start user_engagement "
    "app_store_subscription_cancel app_store_subscription_convert app_store_subscription_renew".split()
)
_RESERVED_IN_WEB_STREAMS = frozenset({"ad_impression", "screen_view", "in_app_purchase", "view_complete"})
_RESERVED_PREFIXES = ("firebase_in_app_message_", "notification_")
_RESERVED_PREFIXES_IN_WEB_STREAMS = ("query_id",)

_AS_KNOWN = frozenset({*EVENT_NAMES, "purchase", "refund"})  # as the data model and GA4 itself write it
MAX_AGE = timedelta(hours=72)
MAX_EVENTS = 25

_TEMPORARY = Explanation(
    "A temporary fault at Google.",
    "Nothing to do: it is tried again. An event other than a purchase may then be counted twice.",
)
_NOT_KNOWN = Explanation(
    "Google refused the request, though it documents no such answer.",
    "Make a new API secret in Admin, Data streams, and set it on the destination with the measurement ID.",
)
_MALFORMED = Explanation("Google refused the request.", "Compare the event with the field table of this page.")
EXPLANATIONS: Mapping[str, Explanation] = {
    "VALUE_INVALID": Explanation("A value is of the wrong form.", "Correct the field that the message names."),
    "VALUE_REQUIRED": Explanation("A value that GA4 needs is missing.", "Send the field that the message names."),
    "NAME_INVALID": Explanation(
        "A name has characters that GA4 does not take.", "Use letters, digits and _, a letter first.", "event_name"
    ),
    "NAME_RESERVED": Explanation("A name is reserved by Google.", "Choose another name.", "event_name"),
    "VALUE_OUT_OF_BOUNDS": Explanation("A value is too large, too small or too long.", "Send a shorter value."),
    "EXCEEDED_MAX_ENTITIES": Explanation(
        "Too many parameters or items.", "Send fewer properties.", "custom_data.properties"
    ),
    "NAME_DUPLICATED": Explanation("A name is there twice.", "Send each property once.", "custom_data.properties"),
    **dict.fromkeys(("400", "404", "error"), _MALFORMED),
    "413": Explanation("A single event was too large.", "Send fewer contents.", "custom_data.contents"),
    **dict.fromkeys(("401", "403"), _NOT_KNOWN),
    "429": Explanation("Too many requests.", "Nothing to do: TrackLayer waits and goes on by itself."),
    **dict.fromkeys(("408", "500", "502", "503", "504"), _TEMPORARY),
}

_NAME_OK = RuleVerdict("event_name", True, "an event that GA4 knows", "event_name")
_NAME_OF = {
    name: RuleVerdict("event_name", True, f"taken for a {name}: sent as {name}", "event_name")
    for name in ("refund", "purchase")
}
_MAYBE_REFUND = "left out: the name may be a refund's, whose value GA4 would add instead: send Refund"
_NAME_CUSTOM = RuleVerdict("event_name", True, "goes out as a custom event", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "at most 72 hours old", "occurred_at")
_CLIENT_OK = RuleVerdict("identifiers", True, "has the client id of the site's tag", "user_data.ga_client_id")
_APP_OK = RuleVerdict("identifiers", True, "has the app instance id of Firebase's SDK", "user_data.ga_client_id")
_NO_APP_STREAM = RuleVerdict(
    "stream", True, "goes to the web stream, though its id is an app's: set firebase_app_id", "user_data.ga_client_id"
)
_EVENT_ID = RuleVerdict("order_id", True, "none given: event_id is the transaction id", "custom_data.order_id")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """A whole body with one event in it; its group stands for all but the event, which a request has only once."""
    verdicts = Verdicts()
    is_app = _is_of_app(event, settings)
    name = _known_name(event.event_name)
    if name is not None:
        verdicts.ok(_NAME_OK if event.event_name in _AS_KNOWN else _NAME_OF[name])
    else:
        name = mended_name(event.event_name)
        if not NAME.fullmatch(name):
            message = "GA4 takes names that begin with a letter from A to Z"
            return verdicts.refuse(DropReason.INVALID_FIELD, "event_name", "event_name", message)
        if _is_reserved(name, is_app):
            message = "Google keeps this name for itself"
            return verdicts.refuse_name(event.event_name, message)
        verdicts.ok(_NAME_CUSTOM)
        if name != event.event_name:
            verdicts.left_out("event_name", "event_name", f"sent as {name}: GA4 takes A to Z, digits and _, 40 at most")
        if event.custom_data.value is not None and may_be_refund(event.event_name):
            verdicts.left_out("value", "custom_data.value", _MAYBE_REFUND)
            event = replace(event, custom_data=replace(event.custom_data, value=None))
    if now - event.occurred_at > MAX_AGE:
        message = "older than the 72 hours that GA4 takes: it would move the event to a wrong time"
        return verdicts.refuse(DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", message)
    verdicts.ok(_AGE_OK)
    given = event.custom_data
    if name == "purchase" and given.value is not None and given.currency is None:
        # Its value is all that a purchase is for, and GA4 takes what comes later under its id for a copy.
        message = "GA4 would count a purchase without currency as one without revenue, for good"
        return verdicts.refuse(DropReason.INVALID_FIELD, "currency", "custom_data.currency", message)
    transaction = given.order_id
    if transaction is None and name == "refund":
        message = "a refund without order id: nothing would tell whose purchase it takes back"
        return verdicts.refuse(DropReason.INVALID_FIELD, "order_id", "custom_data.order_id", message)
    if transaction is None and name == "purchase":
        transaction = event.event_id
        verdicts.ok(_EVENT_ID)
    limit = MAX_VALUE_360 if settings.get("analytics_360") is True else MAX_VALUE
    if transaction is not None and len(transaction) > limit:
        field = "custom_data.order_id" if given.order_id is not None else "event_id"
        message = f"GA4 takes {limit} characters of an order id, and cut it would be another order's"
        return verdicts.refuse(DropReason.INVALID_FIELD, "order_id", field, message)
    whose = _whose(event, settings, is_app, verdicts)
    if whose is None:
        message = "GA4 wants the client id of the site's tag, from the _ga cookie; without it the event is lost"
        if is_app:
            message = "GA4 wants the app instance id of Firebase's SDK in ga_client_id; without it the event is lost"
        field = "user_data.ga_client_id"
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", field, message)
    body = {**whose, **shared_by_the_request(event, settings, is_app, verdicts)}
    group = normalise.sha256_hex(orjson.dumps(body).decode())
    body["events"] = [
        {
            "name": name,
            "timestamp_micros": unix_seconds(event.occurred_at) * 1_000_000 + event.occurred_at.microsecond,
            "params": params_of(event, settings, name, transaction, limit, verdicts),
        }
    ]
    without_what_is_too_much(body, event, verdicts)
    return Mapped(body, tuple(verdicts), group)


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """One person's body with all the events. The API secret travels in the query: it is kept out of the URL here."""
    host = "region1.google-analytics.com" if settings.get("eu_endpoint") is True else "www.google-analytics.com"
    path = "/mp/collect"
    body = {key: value for key, value in items[0].items() if key != "events"}
    if settings.get("validate_only") is True:
        path = "/debug/mp/collect"
        body["validation_behavior"] = "ENFORCE_RECOMMENDATIONS"  # the default lets nearly everything pass
    body["events"] = [event for item in items for event in item["events"]]
    stream, secret = f"measurement_id={settings.get('measurement_id')}", settings.get("api_secret")
    if "app_instance_id" in body:
        stream = f"firebase_app_id={settings.get('firebase_app_id')}"  # its colons stay as they are
        secret = settings.get("app_api_secret") or secret
    return PlatformRequest(f"https://{host}{path}?{stream}", body, QueryToken("api_secret", str(secret or "")))


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """2xx means received, never valid. Only the validation server says what is wrong, for the request as a whole."""
    if 200 <= reply.status < 300:
        page = no_answer_of_the_platform(reply)
        if page is not None:
            return [page] * count
        # Google's APIs wrap some errors in a list.
        whole = reply.json[0] if isinstance(reply.json, list) and reply.json else reply.json
        body = whole if isinstance(whole, Mapping) else {}
        messages = body.get("validationMessages")
        outcome: Outcome
        if isinstance(messages, list) and messages:
            outcome = _invalid(messages[0], reply)
        elif error := body.get("error") or body.get("errors"):
            outcome = _error_in_a_yes(error, reply)
        else:
            return [Acknowledged(reply.status)] * count
    elif reply.status == 503:
        # Sent back at the door: the one server error after which nothing can have been counted.
        message = "Google takes no events at the moment"
        outcome = Unreachable(message, 503, retry_after(reply), may_have_arrived=False, code="503")
    else:
        outcome = by_status(reply)
    return BatchRejected(outcome) if isinstance(outcome, Rejected) and count > 1 else [outcome] * count


def _invalid(message: Any, reply: PlatformReply) -> Rejected:
    """The first message of the validation server."""
    first = message if isinstance(message, Mapping) else {}
    code = first.get("validationCode")
    shown = code if isinstance(code, str) and code in EXPLANATIONS else "VALUE_INVALID"
    words = (plain_words(first.get(key)) for key in ("fieldPath", "description"))
    return Rejected(shown, safe_message(": ".join(filter(None, words))) or "no reason given", reply.status)


def _error_in_a_yes(error: Any, reply: PlatformReply) -> Outcome:
    """Judged by the status that stands in it, in the envelope that Google's APIs have for errors; no delivery in any case."""
    found = error[0] if isinstance(error, list) and error else error
    told: Mapping[str, Any] = found if isinstance(found, Mapping) else {"message": found}
    status = whole_number(told.get("code"))
    message = safe_message(told.get("message")) or "an error inside of a good answer"
    if status is not None and 400 <= status < 600:
        return by_status(replace(reply, status=status), str(status), message)
    return Rejected("error", message, reply.status)


def _copy_memory(event_name: str, action_source: str) -> timedelta | None:
    name = _known_name(event_name) or mended_name(event_name)
    return timedelta.max if name == "purchase" else None


def _known_name(given: str) -> str | None:
    """GA4's own; a refund is one however a shop writes it: as a custom event its value would be added. So is a purchase: else its
    refund would take off what GA4 never counted.
    """
    if known := EVENT_NAMES.get(given):
        return known
    return "refund" if is_refund(given) else "purchase" if is_made_purchase(given) else None


def _is_of_app(event: Event, settings: Settings) -> bool:
    """Where both streams are set, an app's event goes to the app's, unless it has the id of a website's visitor."""
    if not settings.get("firebase_app_id"):
        return False
    if not settings.get("measurement_id"):
        return True
    return event.action_source == "app" and app_instance_id(event.user_data.ga_client_id) is not None


def _whose(event: Event, settings: Settings, is_app: bool, verdicts: Verdicts) -> dict[str, str] | None:
    """The id that the tag or the SDK gave; none is ever made up, since each would be a new user."""
    given = event.user_data.ga_client_id
    if is_app:
        instance = app_instance_id(given)
        if instance is None:
            return None
        verdicts.ok(_APP_OK)
        return {"app_instance_id": instance}
    client = client_id(given) if given is not None else None
    if client is None:
        return None
    verdicts.ok(_CLIENT_OK)
    if event.action_source == "app" and app_instance_id(client) is not None:
        verdicts.ok(_NO_APP_STREAM)
    return {"client_id": client}


def _is_reserved(name: str, is_app: bool) -> bool:
    if name in _RESERVED_NAMES or name.startswith(_RESERVED_PREFIXES):
        return True
    return not is_app and (name in _RESERVED_IN_WEB_STREAMS or name.startswith(_RESERVED_PREFIXES_IN_WEB_STREAMS))


def _check_measurement_id(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"G-[A-Z0-9]{1,20}", value)
    return None if fits else "must look like G-ABC123DEF4; the old UA-... ids do not work"


def _check_app_id(value: Any) -> str | None:
    fits = isinstance(value, str) and re.fullmatch(r"\d{1,20}:\d{1,20}:(ios|android):[0-9A-Fa-f]{1,40}", value)
    return None if fits else "must look like 1:1234567890:ios:321abc456def7890"


def _switch(name: str, label: str, help: str, example: bool) -> Setting:
    return Setting(name, label, help, required=False, example=example, check=wrong_with_flag)


def check_settings(settings: Settings) -> list[Problem]:
    """One stream at least, and an API secret for each: no secret belongs to two."""
    if not settings.get("measurement_id") and not settings.get("firebase_app_id"):
        message = "Set measurement_id for a web stream, firebase_app_id for an app stream, or both: neither is set."
        return [Problem(("measurement_id",), "REQUIRED", message)]
    if settings.get("measurement_id") and settings.get("firebase_app_id") and not settings.get("app_api_secret"):
        message = "An app stream has an API secret of its own: app_api_secret is not set."
        return [Problem(("app_api_secret",), "REQUIRED", message)]
    return []


def _no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    """Of the source of an event only that it is an app's makes a difference: to the stream that it goes to, or to its device."""
    found = () if "device" in mapped.item else _NO_DEVICE
    is_said = event.action_source == "app" and not mapped.item.keys().isdisjoint(("app_instance_id", "device"))
    return found if is_said else (*found, _NO_SOURCE)


_NO_SOURCE = NoPlace(frozenset({"action_source"}), "left out: Google Analytics 4 has no place for it")
_NO_DEVICE = (
    NoPlace(
        within("device", "os os_version model locale screen_width screen_height"),
        "left out: GA4 takes it of an app's event, or where there is no user agent",
    ),
)
MAPPER = Mapper(
    title="Google Analytics 4",
    settings=(
        Setting(
            "measurement_id",
            "Measurement ID",
            "Google Analytics, Admin, Data streams, the web stream: Measurement ID at the top right. It begins with G-.",
            required=False,
            example="G-ABC123DEF4",
            check=_check_measurement_id,
        ),
        Setting(
            "api_secret",
            "API secret",
            "The same page, Measurement Protocol API secrets, Create. It belongs to this stream alone, and no call can "
            "tell whether it is right: look into Realtime after the first events.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "firebase_app_id",
            "Firebase app ID",
            "For an app: Firebase console, Project settings, General, Your apps, App ID. Events of the app then go to its own "
            "stream, by the app instance id of Firebase's SDK in ga_client_id.",
            required=False,
            example="1:1234567890:ios:321abc456def7890",
            check=_check_app_id,
        ),
        Setting(
            "app_api_secret",
            "API secret of the app stream",
            "Where there is a web stream as well: the API secret of the app's stream, which is another one.",
            required=False,
            secret=True,
            example="sandbox-app-token",
        ),
        _switch("eu_endpoint", "Collect in the EU", "True: events go to Google's servers in the EU.", False),
        _switch("send_ip", "Send IP address", "False: client_ip stays here. Without it GA4 knows no place.", True),
        _switch("send_user_agent", "Send user agent", "False: client_user_agent and device stay here.", True),
        _switch("send_user_data", "Send customer data", "False: email, phone, name and address stay here.", True),
        _switch("send_user_id", "Send user ID", "False: external_id stays here.", True),
        _switch(
            "analytics_360",
            "Analytics 360",
            "True for properties of Analytics 360, which take values of 500 characters instead of 100.",
            False,
        ),
        _switch(
            "debug_mode",
            "Debug mode",
            "True: events show up in Admin, DebugView, as well. They still count: remove it for production.",
            False,
        ),
        _switch(
            "validate_only",
            "Validation only",
            "True: Google checks the form of every event and records none. Remove it for production.",
            False,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=MAX_EVENTS,
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
        "street",
        "city",
        "state",
        "zip",
        "country",
        "external_id",
        "client_ip",
        "client_user_agent",
        "ga_client_id",
        "ga_session_id",
    ),
    no_place_for=within("user_data", "date_of_birth gender lead_id job_title company_name")
    | within("custom_data", "num_items content_type")
    | within("device", "app_id app_name app_version time_zone carrier advertising_id vendor_id tracking_allowed"),
    no_place_in=_no_place_in,
    deletion="Google's User Deletion API deletes by client id, user id or app instance id; TrackLayer does not call it: do that with "
    "your own credentials. By Google's own word it takes 72 hours until reports show nothing, and up to two months on its servers; "
    "aggregated reports and exports to BigQuery stay.",
    deduplication="Google recognises a copy of a purchase only, by its transaction id; any other event that arrives twice counts twice.",
    copy_memory=_copy_memory,
    supports_test_events=True,
    test_mode={"validate_only": True},
    test_effect="Google checks every event and records none, so that no conversion is counted.",
    max_batch_bytes=MAX_BODY_BYTES,
    points=POINTS,
    max_ahead=timedelta(seconds=5),  # nothing is known of what GA4 does with a time that has not come
    check_settings=check_settings,
)
