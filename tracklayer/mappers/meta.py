"""Meta Conversions API, Graph API v26.0. Merchant's page: meta.md.

Source: Meta for Developers, "Server event parameters", "Customer information parameters", "fbp and fbc parameters",
"Handling errors", "Data processing options"; facebook-business 26.0.3. Read 2026-11-23.
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
    BodyToken,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import CustomData, Event, UserData
from tracklayer.domain.identifiers import is_ip, is_meta_cookie, is_web_url
from tracklayer.domain.normalise import hashed, hashed_once
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    Explanation,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    by_status,
    number,
    omit_empty,
    retry_after,
    safe_message,
    unix_milliseconds,
    unix_seconds,
    url_parameter,
    whole_number,
)

API_VERSION = "v26.0"

_STANDARD_EVENTS = (
    "Purchase AddToCart InitiateCheckout AddPaymentInfo Lead CompleteRegistration ViewContent Search Subscribe "
    "StartTrial AddToWishlist Contact PageView CustomizeProduct Donate FindLocation Schedule SubmitApplication"
).split()
EVENT_NAMES = {name: name for name in _STANDARD_EVENTS}  # any other name but Refund goes out as a custom event

MAX_AGE = timedelta(days=7)
MAX_AGE_IN_STORE = timedelta(days=62)
MAX_AHEAD = timedelta(minutes=5)

# An event whose user_data all lies inside one of these is refused: code 100, subcode 2804050.
_TOO_VAGUE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
_VAGUE = frozenset().union(*_TOO_VAGUE)
_RESERVED = frozenset(
    "value currency order_id content_ids contents content_type content_name content_category num_items search_string "
    "status predicted_ltv net_revenue delivery_category".split()
)
_RATE_LIMITS = frozenset({4, 17, 32, 613})
_CREDENTIALS = frozenset({3, 10, 102, 104, 190})
_TRANSIENT = frozenset({1, 2, 341, 368})
_STATES = frozenset({0, *range(1000, 1014)})


def _email(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).email_sha256("basic")


def _phone(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).phone_sha256("digits", settings.get("default_country"))


def _digest(rule: normalise.Rule) -> Callable[[str, Settings], str | None]:
    return lambda value, settings: _hashed(value, rule)


def _plain(value: str, settings: Settings) -> str | None:
    return normalise.trimmed(value)


def _cookie(value: str, settings: Settings) -> str | None:
    return value.strip() if is_meta_cookie(value) else None


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "phone": _phone,
    "first_name": _digest(normalise.name),
    "last_name": _digest(normalise.name),
    "date_of_birth": _digest(normalise.date_of_birth_digits),
    "gender": _digest(normalise.gender),
    "city": _digest(normalise.city),
    "state": _digest(normalise.state),
    "zip": _digest(normalise.zip_code),
    "country": _digest(normalise.country),
    "external_id": _digest(normalise.lower_trimmed),
    "client_ip": lambda value, settings: value.strip() if is_ip(value) else None,
    "client_user_agent": _plain,
    "fbp": _cookie,
    "fbc": _cookie,
}

_BAD_FIELD = "Correct the field in your next events; this one is tried again when settings or mapping change."
EXPLANATIONS: Mapping[str, Explanation] = {
    "190": Explanation(
        "The access token is wrong, expired or was revoked.",
        "Generate a new token in Events Manager (dataset, Settings, Conversions API) and set it on the destination.",
    ),
    "190/463": Explanation(
        "The access token has expired.",
        "Generate a new token in Events Manager; a system user's token does not expire.",
    ),
    "102": Explanation("The session of the access token is not valid.", "Set a new access token on the destination."),
    "104": Explanation(
        "The app demands a proof (appsecret_proof) that came out wrong.",
        "Switch off 'Require app secret' for the app, or use a system user's token of another app.",
    ),
    "3": Explanation("The app lacks the permission for this call.", "Give the system user access to the dataset."),
    "10": Explanation("The token lacks the permission for this call.", "Give the system user access to the dataset."),
    "200": Explanation("The token lacks a permission.", "Give the token's user access to the dataset and try again."),
    "100/33": Explanation(
        "The dataset (pixel) id does not exist or the token has no access to it.",
        "Compare the pixel id with Events Manager and assign the dataset to the token's user.",
    ),
    "100": Explanation(
        "A parameter is invalid.", "Compare the payload with the field table of this page. " + _BAD_FIELD
    ),
    "100/2804003": Explanation(
        "The event is older than 7 days (62 for physical_store).",
        "Send events within 7 days; Meta takes none that are older.",
        "occurred_at",
    ),
    "100/2804009": Explanation(
        "A Purchase came without a value.",
        "Send custom_data.value and currency with every Purchase.",
        "custom_data.value",
    ),
    "100/2804050": Explanation(
        "Too little customer information to match anybody.",
        "Send an email, a phone, an external id, fbp or fbc, or the IP address together with the user agent.",
        "user_data",
    ),
    "105": Explanation(
        "Too many parameters in the request.", "Send fewer custom properties.", "custom_data.properties"
    ),
    "506": Explanation("Meta takes the event for a duplicate of another.", "Nothing to do when it was sent before."),
    "4": Explanation("Too many calls for this app.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "17": Explanation("Too many calls for this user.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "613": Explanation("A rate limit was reached.", "Nothing to do: TrackLayer waits and goes on by itself."),
    "368": Explanation("Meta blocks this account for a while.", "Look into Account Quality in Business Manager."),
    **{
        code: Explanation("A rate limit was reached.", "Nothing to do: TrackLayer waits and goes on by itself.")
        for code in ("32", *map(str, range(80000, 80015)))
    },
    **{
        str(code): Explanation(
            "The token lacks a permission.", "Give the token's user access to the dataset and try again."
        )
        for code in range(201, 300)
    },
    "341": Explanation("A limit of the application was reached for now.", "Nothing to do: it is tried again."),
    "400": Explanation(
        "Meta refused the request without a reason.", "Compare the payload with the field table of this page."
    ),
    "404": Explanation("Meta knows no such address.", "Check the pixel id and the API version of the destination."),
    "413": Explanation("The request was too large.", "Nothing to do: TrackLayer halves it and sends it again."),
    "1": Explanation("A temporary fault at Meta.", "Nothing to do: it is tried again."),
    "2": Explanation("Meta is temporarily unavailable.", "Nothing to do: it is tried again."),
}

_AGE_OK = RuleVerdict("event_age", True, "at most 7 days old (62 for physical_store)", "occurred_at")
_NAME_OK = RuleVerdict("event_name", True, "a standard event of Meta", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "no standard event of Meta: goes out as a custom event", "event_name")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough customer information to be matched", "user_data")
_FBC_BUILT = RuleVerdict("fbc", True, "built from the click id", "user_data.fbc")
_CONSENT_OK = RuleVerdict("consent", True, "not denied", "consent.ad_user_data")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data``: time in whole Unix seconds, value in major units as a number, identifiers hashed."""
    verdicts = Verdicts()
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse(
            DropReason.CONSENT_DENIED, "consent", "consent.ad_user_data", "consent to use the data for ads is denied"
        )
    verdicts.ok(_CONSENT_OK)
    if event.event_name == "Refund":
        return verdicts.refuse(
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            "event_name",
            "Meta has no refund: as a custom event it would take nothing off the Purchase",
        )
    verdicts.ok(_NAME_OK if event.event_name in EVENT_NAMES else _NAME_CUSTOM)
    limit = _age_limit(event.action_source, settings)
    if now - event.occurred_at > limit:
        return verdicts.refuse(
            DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", f"older than the {limit.days} days that Meta takes"
        )
    if event.occurred_at > now + MAX_AHEAD:
        return verdicts.refuse(
            DropReason.INVALID_FIELD, "event_age", "occurred_at", "more than 5 minutes ahead of the clock"
        )
    verdicts.ok(_AGE_OK)
    url = event.event_source_url
    if url is not None and not is_web_url(url):
        verdicts.left_out("event_source_url", "event_source_url", "left out: not an absolute http(s) URL")
        url = None
    if url is None and event.action_source == "website":
        verdicts.left_out(
            "event_source_url", "event_source_url", "Meta asks for the page of a website event; sent without"
        )
    if event.event_name == "Purchase":
        for name in ("value", "currency"):
            if getattr(event.custom_data, name) is None:
                return verdicts.refuse(
                    DropReason.INVALID_FIELD, name, f"custom_data.{name}", f"Meta refuses a Purchase without {name}"
                )
    user_data = _user_data(event, url, settings, verdicts)
    # Most have something that is in none of the vague groups, and are done with the first comparison.
    if user_data.keys() <= _VAGUE and any(user_data.keys() <= group for group in _TOO_VAGUE):
        return verdicts.refuse(
            DropReason.MISSING_IDENTIFIERS,
            "identifiers",
            "user_data",
            "too little customer information: Meta wants an email, phone, external id, fbp, fbc, or IP and user agent",
        )
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {
        "event_name": event.event_name,
        "event_time": unix_seconds(event.occurred_at),
        "event_id": event.event_id,
        "action_source": event.action_source,
    }
    if url is not None:
        item["event_source_url"] = url
    item["user_data"] = user_data
    custom_data = _custom_data(event.custom_data, verdicts)
    if custom_data:
        item["custom_data"] = custom_data
    if event.consent.limited_data_use:
        item["data_processing_options"] = ["LDU"]
        item["data_processing_options_country"] = int(settings.get("ldu_country") or 0)
        item["data_processing_options_state"] = int(settings.get("ldu_state") or 0)
    return Mapped(item, tuple(verdicts.rules))


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"data": [...], "test_event_code"?}``; the token travels in the body, where no access log sees it."""
    version = settings.get("api_version") or API_VERSION
    body: dict[str, Any] = {"data": list(items)}
    if settings.get("test_event_code"):
        body["test_event_code"] = settings["test_event_code"]
    return PlatformRequest(
        f"https://graph.facebook.com/{version}/{settings['pixel_id']}/events",
        body,
        BodyToken("access_token", str(settings.get("access_token", ""))),
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """One verdict for the whole request: a bad event fails all of it, and then nothing is stored."""
    body = reply.json if isinstance(reply.json, Mapping) else None
    error = body.get("error") if body else None
    if isinstance(error, Mapping):
        outcome = _read_error(reply, error)
        if isinstance(outcome, Rejected) and count > 1:
            return BatchRejected(outcome)
        return [outcome] * count
    if 200 <= reply.status < 300:
        if body is not None and whole_number(body.get("events_received")) == count:
            return [Acknowledged(reply.status)] * count
        return [Unreachable("the answer does not confirm every event", reply.status, code="unconfirmed")] * count
    if reply.status in (400, 413) and count > 1:
        return BatchRejected(Rejected(str(reply.status), "the request was refused without a reason", reply.status))
    return [by_status(reply)] * count


def _read_error(reply: PlatformReply, error: Mapping[str, Any]) -> Outcome:
    """By code, subcode and is_transient, never by text. ``type`` is OAuthException for nearly everything."""
    code = whole_number(error.get("code")) or 0
    subcode = whole_number(error.get("error_subcode")) or 0
    shown = f"{code}/{subcode}" if subcode else str(code)
    message = safe_message(error.get("error_user_msg")) or safe_message(error.get("message")) or "no reason given"
    if code in _RATE_LIMITS or 80000 <= code <= 80014:
        return RateLimited(_seconds_to_wait(reply), shown, message, reply.status)
    if code in _CREDENTIALS or 200 <= code <= 299 or (code == 100 and subcode == 33):
        return CredentialsRefused(shown, message, reply.status)
    if error.get("is_transient") is True or code in _TRANSIENT or reply.status >= 500:
        return Unreachable(message, reply.status, retry_after(reply), code=shown)
    if reply.status in (401, 408, 429):  # the status says what a code we do not know leaves open
        return by_status(reply, shown, message)
    return Rejected(shown, message, reply.status)


def _age_limit(action_source: str, settings: Settings) -> timedelta:
    return MAX_AGE_IN_STORE if action_source == "physical_store" else MAX_AGE


def _seconds_to_wait(reply: PlatformReply) -> float | None:
    """Retry-After where it is given, else the longest estimated_time_to_regain_access (minutes)."""
    told = retry_after(reply)
    if told is not None:
        return told
    minutes = re.findall(
        r'"estimated_time_to_regain_access"\s*:\s*(\d{1,5})', reply.headers.get("x-business-use-case-usage", "")
    )
    return max(map(int, minutes)) * 60.0 if any(map(int, minutes)) else None


def _user_data(event: Event, url: str | None, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    person = event.user_data
    found: dict[str, Any] = {}
    if person.email:
        _put_digest(found, verdicts, "em", "email", person.email.email_sha256("basic"))
    if person.phone:
        digest = person.phone.phone_sha256("digits", settings.get("default_country"))
        _put_digest(found, verdicts, "ph", "phone", digest)
    given = vars(person)
    for key, name, rule in _SHARED:
        value = given.get(name)
        if value is not None:
            _put_digest(found, verdicts, key, name, _hashed_once(value, rule))
    for key, name, rule in _OWN:
        value = given.get(name)
        if value is not None:
            _put_digest(found, verdicts, key, name, _hashed(value, rule))
    if person.state is not None:
        _put_digest(found, verdicts, "st", "state", _hashed_once(person.state, normalise.state_in(person.country)))
    if person.zip is not None:
        _put_digest(found, verdicts, "zp", "zip", _hashed_once(person.zip, normalise.zip_code_in(person.country)))
    if person.client_ip is not None:
        if is_ip(person.client_ip):
            found["client_ip_address"] = person.client_ip.strip()
        else:
            verdicts.left_out("client_ip", "user_data.client_ip", "left out: not an IP address")
    if person.client_user_agent is not None:
        found["client_user_agent"] = person.client_user_agent.strip()
    fbc = _fbc(event, person, url, verdicts)
    if fbc:
        found["fbc"] = fbc
    if person.fbp is not None:
        if is_meta_cookie(person.fbp):
            found["fbp"] = person.fbp.strip()
        else:
            verdicts.left_out("fbp", "user_data.fbp", "left out: not of the form fb.1.<13 digits>.<number>")
    return found


# Key of the payload, field of user_data, rule: of what many people share, and of what is one person's own. State and
# zip depend on the country and follow by themselves.
_SHARED: tuple[tuple[str, str, normalise.Rule], ...] = (
    ("fn", "first_name", normalise.name),
    ("ln", "last_name", normalise.name),
    ("ge", "gender", normalise.gender),
    ("ct", "city", normalise.city),
    ("country", "country", normalise.country),
)
_OWN: tuple[tuple[str, str, normalise.Rule], ...] = (
    ("db", "date_of_birth", normalise.date_of_birth_digits),
    ("external_id", "external_id", normalise.lower_trimmed),
)


def _hashed_once(value: str, rule: normalise.Rule) -> str | None:
    return None if len(value) >= 32 and normalise.is_foreign_digest(value) else hashed_once(value, rule)


def _hashed(value: str, rule: normalise.Rule) -> str | None:
    """MD5 and SHA-1 are refused by policy; an external id may look like one and still be an id."""
    if len(value) >= 32 and rule is not normalise.lower_trimmed and normalise.is_foreign_digest(value):
        return None
    return hashed(value, rule)


def _put_digest(found: dict[str, Any], verdicts: Verdicts, key: str, name: str, digest: str | None) -> None:
    if digest is not None:
        found[key] = [digest]
    else:
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that Meta could match as {key}")


def _fbc(event: Event, person: UserData, url: str | None, verdicts: Verdicts) -> str | None:
    """The cookie; or built from the click id where there is no good cookie, or one of another click."""
    cookie = person.fbc.strip() if person.fbc is not None and is_meta_cookie(person.fbc) else None
    click = (person.fbclid or "").strip() or url_parameter(url, "fbclid")
    if click and (cookie is None or cookie.split(".")[3] != click):
        built = f"fb.1.{unix_milliseconds(event.occurred_at)}.{click}"
        if is_meta_cookie(built):
            verdicts.ok(_FBC_BUILT)
            return built
        if person.fbclid:
            verdicts.left_out("fbclid", "user_data.fbclid", "left out: not a click id that Meta could read")
    if cookie is None and person.fbc is not None:
        verdicts.left_out("fbc", "user_data.fbc", "left out: not of the form fb.1.<13 digits>.<click id>")
    return cookie


def _custom_data(given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    content_ids = list(given.product_ids) or [content.id for content in given.contents]
    known: dict[str, Any] = {
        "value": number(given.value),
        "currency": given.currency,
        "order_id": given.order_id,
        "content_ids": content_ids,
        "contents": [
            omit_empty(
                {
                    "id": content.id,
                    "quantity": content.quantity,
                    "item_price": number(content.item_price),
                    "title": content.title,
                    "brand": content.brand,
                    "category": content.category,
                }
            )
            for content in given.contents
        ],
        "content_type": given.content_type or ("product" if content_ids else None),
        "num_items": given.num_items,
        "content_name": given.content_name,
        "content_category": given.content_category,
        "search_string": given.search_string,
        "status": given.status,
        "predicted_ltv": number(given.predicted_ltv),
    }
    found = omit_empty(known)
    for key, value in given.properties.items():
        if key in _RESERVED:
            verdicts.left_out("properties", f"custom_data.properties.{key}", "left out: the name is one of Meta's own")
        elif value is not None and value != "":
            found[key] = value
    return found


def _digits(value: Any) -> str | None:
    return None if re.fullmatch(r"[0-9]{5,20}", str(value)) else "must be digits only, as Events Manager shows it"


def _version(value: Any) -> str | None:
    return None if re.fullmatch(r"v[0-9]{2}\.0", str(value)) else "must look like v26.0"


def _ldu_state(value: Any) -> str | None:
    return None if re.fullmatch(r"[0-9]{1,4}", str(value)) and int(value) in _STATES else "must be 0 or 1000 to 1013"


MAPPER = Mapper(
    title="Meta",
    settings=(
        Setting(
            "pixel_id",
            "Dataset (pixel) ID",
            "Events Manager, Data sources: the number below the dataset's name.",
            example="1234567890123456",
            check=_digits,
        ),
        Setting(
            "access_token",
            "Access token",
            "Events Manager, the dataset's Settings, Conversions API, Generate access token; or the token of a system "
            "user to whom the dataset is assigned.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "test_event_code",
            "Test event code",
            "Events Manager, Test events. Every event then shows up there and still counts: remove it for production.",
            required=False,
            example="TEST12345",
        ),
        Setting(
            "ldu_country",
            "Limited Data Use country",
            "Sent with events whose limited_data_use is true: 1 for the USA, 0 to let Meta locate the person.",
            required=False,
            example=1,
            check=lambda value: None if str(value) in ("0", "1") else "must be 0 or 1",
        ),
        Setting(
            "ldu_state",
            "Limited Data Use state",
            "1000 for California and so on up to 1013, 0 to let Meta locate the person.",
            required=False,
            example=1000,
            check=_ldu_state,
        ),
        Setting(
            "api_version",
            "Graph API version",
            f"Leave it out for {API_VERSION}, which TrackLayer keeps up to date.",
            required=False,
            example=API_VERSION,
            check=_version,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=1000,
    max_event_age=MAX_AGE,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    deduplication="Meta does not promise to recognise two copies that both came over the API: a repeat may count twice.",
    copy_memory=lambda event_name, action_source: None,
    age_limit=_age_limit,
    supports_test_events=True,
    test_mode={"test_event_code": None},
)
