"""Google Ads conversions by the Data Manager API v1; by the Google Ads API v26 where that is set. Page: google_ads.md.

Here are the settings, and what is decided before an API is chosen. ``data_manager`` and ``google_ads_api`` are the two APIs,
``conversion`` is what both tell of one, ``answers`` what both answer. Accounts that uploaded before June 2026 may go on with
the old one; to all others Google refuses it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain.delivery import Auth, DropReason, PlatformRequest, RefreshedToken, ServiceAccount
from tracklayer.domain.event import Event
from tracklayer.domain.event_names import is_made_purchase, is_refund, is_refund_among_others, may_be_purchase
from tracklayer.domain.problem import Problem
from tracklayer.domain.values import read_decimal, read_instant
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_OK,
    Mapped,
    Mapper,
    NoPlace,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    is_given,
    within,
    wrong_with_flag,
)
from tracklayer.mappers.google_ads import data_manager, google_ads_api
from tracklayer.mappers.google_ads.answers import EXPLANATIONS, read_reply
from tracklayer.mappers.google_ads.conversion import NORMALISE, Sale

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address

# What to create in Google Ads for each of our events; what is sent is the id of the conversion action.
EVENT_NAMES = {
    "Purchase": "Purchase",
    "AddToCart": "Add to cart",
    "InitiateCheckout": "Begin checkout",
    "AddPaymentInfo": "Other",
    "ViewContent": "Page view",
    "Search": "Other",
    "AddToWishlist": "Other",
    "PageView": "Page view",
    "Lead": "Submit lead form",
    "CompleteRegistration": "Sign-up",
    "Subscribe": "Subscribe",
    "StartTrial": "Subscribe",
    "Contact": "Contact",
    "Refund": "Purchase",  # restates the purchase's value
}
BATCH_SIZE = 2000

# Properties that have a place at Google without being mapped to a custom variable.
_KNOWN_PROPERTIES = frozenset({"coupon", "discount", "customer_type", "remaining_value", "purchase_occurred_at"})

_ACTION_OK = RuleVerdict("event_name", True, "mapped to a conversion action", "event_name")
_ACTION_OF_PURCHASE = RuleVerdict("event_name", True, "goes to the conversion action of the purchase", "event_name")
_SEVERAL_ACTIONS = (
    "its purchase may have gone to several conversion actions: add Refund to conversion_actions, with the action whose value "
    "refunds restate"
)
_ACTION_STAR = RuleVerdict("event_name", True, "mapped to the conversion action of every other event", "event_name")
_ACTION_OF_PURCHASES = RuleVerdict(
    "event_name", True, "a purchase by another name: goes to the conversion action of purchases", "event_name"
)
_RESTATED = RuleVerdict("refund", True, "restates the value of the purchase", "custom_data.properties.remaining_value")
_NO_CURRENCY = RuleVerdict(
    "currency", True, "none given: Google counts the value in the conversion action's own", "custom_data.currency"
)
_NO_PLACE = RuleVerdict("properties", False, "left out: not mapped in custom_variables", "custom_data.properties")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """An element of ``events``, or a row of the old upload; its group is what shares a request."""
    verdicts = Verdicts()
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    verdicts.ok(CONSENT_OK)
    actions: Mapping[str, Any] = settings.get("conversion_actions") or {}
    is_restatement = is_refund(event.event_name, actions)
    if is_restatement:
        found, verdict = _actions_to_restate(actions), _ACTION_OF_PURCHASE
        if len(found) > 1:
            return verdicts.refuse(DropReason.INVALID_FIELD, "event_name", "event_name", _SEVERAL_ACTIONS)
        action = next(iter(found), None)
    elif is_refund_among_others(event.event_name, actions):
        return verdicts.refuse_among_others(event.event_name, "conversion_actions")
    else:
        action, verdict = _conversion_action(event.event_name, actions)
    if action is None:
        message = "no conversion action is set for this event name in conversion_actions"
        if is_restatement:
            message = (
                "no conversion action of purchases is set in conversion_actions, whose value a refund would restate"
            )
        return verdicts.refuse_unlisted(event.event_name, "conversion_actions", message)
    verdicts.ok(verdict)
    is_tagged = action in [str(tagged) for tagged in settings.get("tag_conversion_actions") or ()]
    if is_tagged and event.action_source != "website":
        message = "its conversion action belongs to the website's tag and takes website events only"
        return verdicts.refuse(DropReason.INVALID_FIELD, "action_source", "action_source", message)
    sale = Sale(event.occurred_at, event.custom_data.value)
    if is_restatement:
        restated = _restated(event)
        if not isinstance(restated, Sale):
            return verdicts.refuse(DropReason.INVALID_FIELD, "refund", *restated)
        sale = restated
        verdicts.ok(_RESTATED)
    if sale.value is not None and event.custom_data.currency is None:
        verdicts.ok(_NO_CURRENCY)
    properties = event.custom_data.properties
    if properties and any(
        key not in _KNOWN_PROPERTIES and key not in (settings.get("custom_variables") or {}) and is_given(value)
        for key, value in properties.items()
    ):
        verdicts.ok(_NO_PLACE)
    if settings.get("legacy_upload") is True:
        return google_ads_api.map_conversion(event, settings, verdicts, action, sale, is_tagged)
    return data_manager.map_conversion(event, settings, verdicts, action, sale)


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """By the group, which the old upload's methods have and a conversion action's id is else."""
    customer, manager = str(settings["customer_id"]), str(settings.get("login_customer_id") or "")
    if method := google_ads_api.METHODS.get(group):
        body = google_ads_api.request_body(group, items)
        url = f"{google_ads_api.URL}/{customer}:{method}"
        headers = {"login-customer-id": manager} if manager else {}
    else:
        body = data_manager.request_body(group, items, customer, manager)
        url, headers = data_manager.URL, {}
    if settings.get("validate_only") is True:
        body["validateOnly"] = True
    return PlatformRequest(url, body, _auth(settings), headers=headers)


def _conversion_action(event_name: str, actions: Mapping[str, Any]) -> tuple[str | None, RuleVerdict]:
    """That of its name. ``*`` is of every other name but those of a purchase, where another one has one action: a purchase has one
    value, which is restated in one place.
    """
    if actions.get(event_name):
        return str(actions[event_name]), _ACTION_OK
    if not actions.get("*"):
        return None, _ACTION_STAR
    if is_made_purchase(event_name) and len(purchases := _actions_of_purchases(actions)) == 1:
        return next(iter(purchases)), _ACTION_OF_PURCHASES
    return str(actions["*"]), _ACTION_STAR


def _actions_to_restate(actions: Mapping[str, Any]) -> set[str]:
    """Where the purchase of a refund may have gone: anywhere else the restatement would become a new conversion.

    ``Refund`` itself says it, where it is mapped; else the names that are purchases do. What may be one is taken for it only
    where none is, and then purchases may have gone to ``*`` as well.
    """
    if actions.get("Refund"):
        return {str(actions["Refund"])}
    return _actions_of_purchases(actions) or {
        str(action) for name, action in actions.items() if action and (name == "*" or may_be_purchase(name))
    }


def _actions_of_purchases(actions: Mapping[str, Any]) -> set[str]:
    return {str(action) for name, action in actions.items() if action and is_made_purchase(name)}


def _restated(event: Event) -> Sale | tuple[str, str]:
    """What the purchase is worth after a refund; or the field that is missing or wrong, and why it is needed.

    The count of conversions never falls, and a restatement that finds no purchase becomes a new conversion: so
    nothing is guessed here.
    """
    given = event.custom_data
    if given.order_id is None:
        return "custom_data.order_id", "a refund without the purchase's order id would be a new conversion"
    what_remains = given.properties.get("remaining_value")
    field = "custom_data.properties.remaining_value"
    if not is_given(what_remains):
        return field, "a refund needs the value that remains of the purchase, 0 for a full refund"
    left = read_decimal(what_remains)
    if left is None:
        return field, "remaining_value must be a number, or one written as text: 10.50"
    if left < 0:
        return (
            field,
            "remaining_value is below zero: it must be what remains of the purchase's value, 0 for a full refund",
        )
    name, given_time = "purchase_occurred_at", given.properties.get("purchase_occurred_at")
    field = f"custom_data.properties.{name}"
    if not is_given(given_time):
        return field, "a refund needs the time that was sent with the purchase, such as 2026-11-20T14:03:12Z"
    bought_at = read_instant(given_time)
    if not isinstance(bought_at, datetime):
        return field, f"{name} {bought_at}"
    if bought_at > event.occurred_at:
        return field, f"{name} is later than the refund: it must be the time that was sent with the purchase"
    return Sale(bought_at, left, event.occurred_at)


_OAUTH = ("client_id", "client_secret", "refresh_token")


def _auth(settings: Settings) -> Auth:
    """The service account where there is one, else the refresh token."""
    key = _service_account_key(settings.get("service_account"))
    if key is not None:
        return ServiceAccount(
            key, google_ads_api.SCOPE if settings.get("legacy_upload") is True else data_manager.SCOPE
        )
    form = {name: str(settings.get(name) or "") for name in _OAUTH}
    return RefreshedToken(TOKEN_URL, {"grant_type": "refresh_token", **form})


def _service_account_key(value: Any) -> Mapping[str, Any] | None:
    """The key file as an object; it may come as an object or as its text."""
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) else None


def _check_service_account(value: Any) -> str | None:
    key = _service_account_key(value) or {}
    parts = (key.get("client_email"), key.get("private_key"))
    if key.get("type") != "service_account" or not all(isinstance(part, str) and part.strip() for part in parts):
        return "must be the JSON key file of a service account"
    # Signed assertions go to Google and nowhere else, whatever the file says.
    if key.get("token_uri", TOKEN_URL) != TOKEN_URL:
        return f"must name {TOKEN_URL} as its token_uri"
    return None


def _account(value: Any) -> str | None:
    fits = re.fullmatch(r"[0-9]{10}", str(value))
    return None if fits else "must be 10 digits without hyphens"


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and re.fullmatch(r"[0-9]{1,20}", str(value)) is not None


def _check_actions(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not value or not all(isinstance(n, str) and n.strip() for n in value):
        return 'must map event names to conversion action ids, such as {"Purchase": "7000000001"}'
    if not all(map(_is_id, value.values())):
        return "must give ids of digits only: the ctId of the action's address, not the AW-... label of the tag"
    return None


def _check_tagged(value: Any) -> str | None:
    is_good = isinstance(value, list) and all(map(_is_id, value))
    return None if is_good else 'must be a list of conversion action ids, such as ["8000000001"]'


def _check_variables(value: Any) -> str | None:
    is_good = isinstance(value, Mapping) and all(
        isinstance(text, str) and text.strip() for pair in value.items() for text in pair
    )
    return None if is_good else 'must map names of your properties to custom variables, such as {"score": "quiz_score"}'


def _check_label(value: Any) -> str | None:
    labels = list(value.values()) if isinstance(value, Mapping) else [value]
    fits = all(isinstance(label, str) and re.fullmatch(r"[A-Z0-9_-]{1,20}", label) for label in labels)
    return None if labels and fits else 'must be a feed label such as US, or one for each currency: {"GBP": "GB"}'


def _check_language(value: Any) -> str | None:
    return None if re.fullmatch(r"[a-z]{2}", str(value)) else "must be a two-letter language code such as en"


def _digits(value: Any) -> str | None:
    return None if _is_id(value) else "must be digits only"


def check_settings(settings: Settings) -> list[Problem]:
    """One complete set of credentials; ids that fit each other."""
    problems = []
    missing = [name for name in _OAUTH if not settings.get(name)]
    if missing and not settings.get("service_account"):
        message = f"Set client_id, client_secret and refresh_token, or service_account: {missing[0]} is not set."
        problems.append(Problem((missing[0],), "INVALID_SETTING", message))
    actions = {name: str(action) for name, action in settings["conversion_actions"].items()}
    refund, others = actions.get("Refund"), {name: action for name, action in actions.items() if name != "Refund"}
    purchases = _actions_of_purchases(others)
    # In a shop with names of its own, any other may be its purchase; beside known ones, only what * takes.
    if refund is not None and refund not in ({*purchases, others.get("*")} if purchases else set(others.values())):
        message = (
            "Refund must have the conversion action of the purchase, whose value it restates, or that of *, or none."
        )
        problems.append(Problem(("conversion_actions",), "INVALID_SETTING", message))
    if not {str(tagged) for tagged in settings.get("tag_conversion_actions") or ()} <= set(actions.values()):
        message = "tag_conversion_actions must name ids that conversion_actions has too."
        problems.append(Problem(("tag_conversion_actions",), "INVALID_SETTING", message))
    if settings.get("legacy_upload") is True and not all(
        map(_is_id, (settings.get("custom_variables") or {}).values())
    ):
        message = "With legacy_upload, custom_variables must give the variables' ids, of digits only."
        problems.append(Problem(("custom_variables",), "INVALID_SETTING", message))
    return problems


def _no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    if mapped.group in google_ads_api.METHODS:
        return google_ads_api.no_place_in(event, mapped)
    return data_manager.no_place_in(event, mapped)


MAPPER = Mapper(
    title="Google Ads",
    settings=(
        Setting(
            "customer_id",
            "Customer ID",
            "Google Ads, at the top right: the number of the account that owns the conversion actions, without hyphens.",
            example="1234567890",
            check=_account,
        ),
        Setting(
            "login_customer_id",
            "Manager account ID",
            "Where the credentials have access through a manager account: its number, without hyphens.",
            required=False,
            example="9876543210",
            check=_account,
        ),
        Setting(
            "conversion_actions",
            "Conversion actions",
            "Event name -> id of the conversion action: Google Ads, Goals, Conversions, open the action, ctId in its "
            "address. Events that are not listed are not sent; * stands for every other event name, but a purchase by another "
            "name (orders/paid) goes where the listed one does.",
            example={"Purchase": "7000000001", "*": "7000000002"},
            check=_check_actions,
            counts=True,
        ),
        Setting(
            "tag_conversion_actions",
            "Actions of the website tag",
            "Ids of those conversion actions that your website's tag reports as well: TrackLayer then adds to what the "
            "tag sent under the same transaction id.",
            required=False,
            example=["7000000001"],
            check=_check_tagged,
        ),
        Setting(
            "client_id",
            "OAuth client ID",
            "Google Cloud console, APIs and Services, Credentials: an OAuth client of a project with the Data Manager "
            "API enabled.",
            required=False,
            secret=True,
            example="sandbox-client-id",
        ),
        Setting(
            "client_secret",
            "OAuth client secret",
            "Beside the OAuth client ID.",
            required=False,
            secret=True,
            example="sandbox-client-secret",
        ),
        Setting(
            "refresh_token",
            "OAuth refresh token",
            f"Of a user with access to the account, granted to that client for the scope {data_manager.SCOPE}.",
            required=False,
            secret=True,
            example="sandbox-refresh-token",
        ),
        Setting(
            "service_account",
            "Service account key",
            "Instead of the three above: the JSON key file of a service account that was given access to the account "
            "in Google Ads, Access and security.",
            required=False,
            secret=True,
            example={
                "type": "service_account",
                "client_email": "tracklayer@sandbox-project.iam.gserviceaccount.com",
                "private_key": "sandbox-private-key",
                "token_uri": TOKEN_URL,
            },
            check=_check_service_account,
        ),
        Setting(
            "merchant_center_id",
            "Merchant Center ID",
            "For cart data: Merchant Center, at the top right, the number of the account that holds your products.",
            required=False,
            example="5551234",
            check=_digits,
        ),
        Setting(
            "feed_label",
            "Feed label",
            'For cart data: Merchant Center, Data sources. One label, or one for each currency: {"USD": "US", "*": "GB"}.',
            required=False,
            example={"USD": "US", "*": "GB"},
            check=_check_label,
            keys="Currency",
        ),
        Setting(
            "feed_language",
            "Feed language",
            "For cart data: the two-letter language of that feed.",
            required=False,
            example="en",
            check=_check_language,
        ),
        Setting(
            "custom_variables",
            "Custom variables",
            "Name of your property -> name of the conversion custom variable: Google Ads, Goals, Custom variables.",
            required=False,
            example={"score": "quiz_score"},
            check=_check_variables,
            keys="Property",
            others=False,
        ),
        Setting(
            "validate_only",
            "Validation only",
            "True: Google checks every event and records none. Remove it for production.",
            required=False,
            example=False,
            check=wrong_with_flag,
        ),
        Setting(
            "legacy_upload",
            "Old upload",
            "True: send by the Google Ads API instead. Only for accounts that uploaded conversions by it before June "
            "2026; to all others Google refuses it.",
            required=False,
            example=False,
            check=wrong_with_flag,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=BATCH_SIZE,
    max_event_age=None,
    max_ahead=timedelta(seconds=5),  # it documents EVENT_TIME_INVALID, and nothing that it would forgive
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
        "zip",
        "country",
        "client_ip",
        "client_user_agent",
        "gclid",
        "gbraid",
        "wbraid",
    ),
    no_place_for=within("user_data", "date_of_birth gender external_id lead_id job_title company_name")
    | within(
        "custom_data",
        "product_ids num_items content_name content_category content_type search_string status predicted_ltv",
    )
    | within("custom_data.contents", "title brand category variant")
    | within("device", "app_id app_name app_version time_zone carrier vendor_id")
    | {"event_source_url"},
    no_place_in=_no_place_in,
    deduplication="Google Ads recognises a copy by its transaction id and conversion action, however late it arrives.",
    copy_memory=lambda event_name, action_source: timedelta.max,
    supports_test_events=True,
    test_mode={"validate_only": True},
    test_effect="Google checks every event and records none, so that no conversion is counted.",
    check_settings=check_settings,
)
