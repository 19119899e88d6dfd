"""Meta Conversions API, Graph API v26.0. Merchant's page: meta.md. What Meta answers is read in meta_answers.py.

Source: Meta for Developers, "Server event parameters", "Customer information parameters", "App data parameters", "fbp and
fbc parameters", "Data processing options"; facebook-business 26.0.3; Meta's parameter builder, which says what a cookie
looks like. Read 2026-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.delivery import BodyToken, DropReason, PlatformRequest
from tracklayer.domain.event import NO_DEVICE, Content, CustomData, Device, Event, UserData
from tracklayer.domain.event_names import is_refund
from tracklayer.domain.identifiers import FORMATS, is_meta_cookie, is_uuid, machine_address, usable, web_url
from tracklayer.domain.normalise import hashed, hashed_once
from tracklayer.domain.personal import without_personal_url
from tracklayer.domain.problem import Problem
from tracklayer.domain.shown import click_in
from tracklayer.domain.stitching import fbc_of
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_OK,
    Mapped,
    Mapper,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    click_id,
    content_type_of,
    has_fractions,
    number,
    of_apps_only,
    omit_empty,
    unix_seconds,
    within,
)
from tracklayer.mappers.meta_answers import EXPLANATIONS, read_reply

API_VERSION = "v26.0"

_STANDARD_EVENTS = (
    "Purchase AddToCart InitiateCheckout AddPaymentInfo Lead CompleteRegistration ViewContent Search Subscribe "
    "StartTrial AddToWishlist Contact PageView CustomizeProduct Donate FindLocation Schedule SubmitApplication"
).split()
EVENT_NAMES = {name: name for name in _STANDARD_EVENTS}  # any other name but Refund goes out as a custom event

MAX_AGE = timedelta(days=7)
MAX_AGE_IN_STORE = timedelta(days=62)
MAX_AHEAD = timedelta(minutes=5)  # Meta names no limit

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
# Of these the ones that our data model has no field for: a property of such a value is meant for them.
_FROM_PROPERTIES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "delivery_category": (
        lambda value: value in ("in_store", "curbside", "home_delivery"),
        "left out: Meta knows in_store, curbside and home_delivery",
    ),
    "net_revenue": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        "left out: Meta takes a number",
    ),
}
_REFERRER = "referrer_url"  # a property that Meta takes beside the page
WITHOUT_APP_DATA = "app"  # the group of apps' events that Meta might refuse, and with them all others of their request
_EXTINFO_VERSIONS = {"android": "a2", "ios": "i2"}
_ZONE_ABBREVIATION = re.compile(r"[A-Z]{2,5}")
_LEAD_ID = re.compile(r"[0-9]{1,19}")
_MILLISECONDS = re.compile(r"[0-9]{13}")
_is_usual_cookie = FORMATS["fbp"].is_everyday
_STATES = frozenset({0, *range(1000, 1014)})


Rule = Callable[[str, Settings], str | None]


def _email(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).email_sha256("basic")


def _phone(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).phone_sha256("digits", settings.get("default_country"))


def _digest(rule: normalise.Rule) -> Rule:
    return lambda value, settings: _hashed(value, rule)


def _plain(value: str, settings: Settings) -> str | None:
    return normalise.trimmed(value)


def _cookie(value: str, settings: Settings) -> str | None:
    return value.strip() if is_meta_cookie(value) else None


def _unless_placeholder(rule: Rule) -> Rule:
    return lambda value, settings: None if normalise.is_placeholder(value) else rule(value, settings)


_RULES: dict[str, Rule] = {
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
    "client_ip": lambda value, settings: machine_address(value),
    "client_user_agent": _plain,
    "fbp": _cookie,
    "fbc": _cookie,
    "lead_id": lambda value, settings: value.strip() if _LEAD_ID.fullmatch(value.strip()) else None,
}
NORMALISE: dict[str, Rule] = {name: _unless_placeholder(rule) for name, rule in _RULES.items()}

_AGE_OK = RuleVerdict("event_age", True, "at most 7 days old (62 for physical_store)", "occurred_at")
_NAME_OK = RuleVerdict("event_name", True, "a standard event of Meta", "event_name")
_NAME_CUSTOM = RuleVerdict("event_name", True, "no standard event of Meta: goes out as a custom event", "event_name")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough customer information to be matched", "user_data")
_FBC_BUILT = RuleVerdict("fbc", True, "built from the click id", "user_data.fbc")
_NO_USER_AGENT = RuleVerdict(
    "client_user_agent", True, "Meta asks for it in a website event; sent without", "user_data.client_user_agent"
)
_WHOLE_PIECES = RuleVerdict(
    "contents", True, "Meta counts whole pieces: a quantity with a fraction is rounded", "custom_data.contents"
)
_LDU_LOCATED = RuleVerdict(
    "limited_data_use", True, "Meta refuses the place that is set: it is left to Meta to locate the person", None
)
_NOT_ASKED = RuleVerdict(
    "app_data", True, "whether tracking is allowed is not said: sent as not allowed", "device.tracking_allowed"
)


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One element of ``data``: time in whole Unix seconds, value in major units as a number, identifiers hashed."""
    verdicts = Verdicts()
    if event.consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    verdicts.ok(CONSENT_OK)
    if is_refund(event.event_name):
        message = "Meta has no refund: as a custom event it would take nothing off the Purchase"
        return verdicts.refuse_name(event.event_name, message)
    verdicts.ok(_NAME_OK if event.event_name in EVENT_NAMES else _NAME_CUSTOM)
    age = now - event.occurred_at
    if age > MAX_AGE and age > (limit := _age_limit(event.action_source, settings)):
        return verdicts.refuse(
            DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", f"older than the {limit.days} days that Meta takes"
        )
    verdicts.ok(_AGE_OK)
    url = verdicts.page_of(event)
    if url is None and event.action_source == "website":
        verdicts.left_out(
            "event_source_url", "event_source_url", "Meta asks for the page of a website event; sent without"
        )
    custom = event.custom_data
    if event.event_name == "Purchase" and (custom.value is None or custom.currency is None):
        name = "value" if custom.value is None else "currency"
        return verdicts.refuse(
            DropReason.INVALID_FIELD, name, f"custom_data.{name}", f"Meta refuses a Purchase without {name}"
        )
    referrer = _referrer(custom, verdicts) if custom.properties else None
    # The page's own click is the newer one; Meta's parameter builder looks at the referrer where it has none.
    clicked = event.clicked_url
    if referrer is not None and click_in(clicked, "fbclid", _click_id)[0] is None:
        clicked = referrer
    user_data = _user_data(event, clicked, settings, verdicts)
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
    if referrer is not None:
        item["referrer_url"] = referrer
    item["user_data"] = user_data
    custom_data = _custom_data(custom, verdicts)
    if custom_data:
        item["custom_data"] = custom_data
    if event.consent.limited_data_use:
        _limit(item, settings, verdicts)
    if event.action_source != "app":
        return tuple.__new__(Mapped, (item, tuple(verdicts), "", None))  # as Mapped() does, with a call less
    app_data = _app_data(event, verdicts)
    if app_data is None:
        return Mapped(item, tuple(verdicts), WITHOUT_APP_DATA)
    item["app_data"] = app_data
    return Mapped(item, tuple(verdicts))


def _limit(item: dict[str, Any], settings: Settings, verdicts: Verdicts) -> None:
    """Asks for limited data use, in the place that is set."""
    country, state = _ldu_place(settings)
    if _wrong_with_place(country, state):  # of settings from before they were checked
        country = state = 0
        verdicts.ok(_LDU_LOCATED)
    item["data_processing_options"] = ["LDU"]
    item["data_processing_options_country"] = country
    item["data_processing_options_state"] = state


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """``{"data": [...], "test_event_code"?}``, whatever the group; the token is in the body, where no access log sees it."""
    version = settings.get("api_version") or API_VERSION
    body: dict[str, Any] = {"data": list(items)}
    if settings.get("test_event_code"):
        body["test_event_code"] = settings["test_event_code"]
    return PlatformRequest(
        f"https://graph.facebook.com/{version}/{settings['pixel_id']}/events",
        body,
        BodyToken("access_token", str(settings.get("access_token", ""))),
    )


def _age_limit(action_source: str, settings: Settings) -> timedelta:
    return MAX_AGE_IN_STORE if action_source == "physical_store" else MAX_AGE


def _referrer(given: CustomData, verdicts: Verdicts) -> str | None:
    """Where the page was reached from, which the data model has a property for."""
    referrer = given.properties.get(_REFERRER)
    if referrer is None or referrer == "":
        return None
    url = web_url(referrer) if isinstance(referrer, str) else None
    if url is None:
        verdicts.left_out(_REFERRER, f"custom_data.properties.{_REFERRER}", "left out: not an absolute http(s) URL")
    elif url != referrer:  # as what is no address it was searched otherwise
        url = without_personal_url(url)[0]
    return url


def _user_data(event: Event, url: str | None, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    person = event.user_data
    found: dict[str, Any] = {}
    if person.email:
        if (digest := person.email.email_sha256("basic")) is not None:
            found["em"] = [digest]
        else:
            _put_digest(found, verdicts, "em", "email", None)
    if person.phone:
        if (digest := person.phone.phone_sha256("digits", settings.get("default_country"))) is not None:
            found["ph"] = [digest]
        else:
            _put_digest(found, verdicts, "ph", "phone", None)
    if person.emails or person.phones:
        _put_further(found, person, settings, verdicts)
    if not _DESCRIBING.isdisjoint(vars(person)):
        _put_description(found, person, verdicts)
    if person.client_ip is not None:
        address = machine_address(person.client_ip)
        if address is not None:
            found["client_ip_address"] = address
        else:
            verdicts.left_out("client_ip", "user_data.client_ip", "left out: not an IP address")
    if person.client_user_agent is not None:
        found["client_user_agent"] = person.client_user_agent.strip()
    elif event.action_source == "website":
        verdicts.ok(_NO_USER_AGENT)
    fbc = _fbc(event, person, url, verdicts)
    if fbc:
        found["fbc"] = fbc
    if person.fbp is not None:
        if _is_usual_cookie(person.fbp):
            found["fbp"] = person.fbp
        elif is_meta_cookie(person.fbp):
            found["fbp"] = _with_its_time_told("fbp", person.fbp.strip(), verdicts)
        else:
            verdicts.left_out("fbp", "user_data.fbp", "left out: not of the form fb.1.<milliseconds>.<number>")
    if person.lead_id is not None:
        if _LEAD_ID.fullmatch(person.lead_id.strip()):
            found["lead_id"] = int(person.lead_id)
        else:
            verdicts.left_out("lead_id", "user_data.lead_id", "left out: an id of Meta's lead forms has digits only")
    if event.device is not NO_DEVICE:
        _put_advertising_id(found, event.device, verdicts)
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


_DESCRIBING = frozenset({*(name for _, name, _ in (*_SHARED, *_OWN)), "state", "zip"})


def _put_description(found: dict[str, Any], person: UserData, verdicts: Verdicts) -> None:
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


def _put_further(found: dict[str, Any], person: UserData, settings: Settings, verdicts: Verdicts) -> None:
    """What one person has more than one of, each once; what is no address or number is left out and named."""
    country = settings.get("default_country")
    emails = [email.email_sha256("basic") for email in person.emails]
    phones = [phone.phone_sha256("digits", country) for phone in person.phones]
    for key, name, digests in (("em", "emails", emails), ("ph", "phones", phones)):
        for place, digest in enumerate(digests):
            if digest is None:
                _put_digest(found, verdicts, key, f"{name}.{place}", None)
            elif digest not in (known := found.setdefault(key, [])):
                known.append(digest)


def _put_advertising_id(found: dict[str, Any], device: Device, verdicts: Verdicts) -> None:
    """Plain and in its case, as the system gives it."""
    given = device.advertising_id
    if given is None:
        return
    if device.tracking_allowed is False:
        message = "left out: the person does not allow tracking"
    elif not is_uuid(given):
        message = "left out: an advertising id is a UUID"
    else:
        found["madid"] = given.strip()
        return
    verdicts.left_out("advertising_id", "device.advertising_id", message)


def _app_data(event: Event, verdicts: Verdicts) -> dict[str, Any] | None:
    """What Meta asks for in an app's event; None where the device does not say what must stand in it."""
    device = event.device
    version = _EXTINFO_VERSIONS.get(device.system or "")
    if version is None or device.os_version is None:
        message = "Meta asks for app_data in an app's event, with device.os (iOS or Android) and device.os_version: "
        missing = "device.os" if version is None else "device.os_version"
        verdicts.left_out("app_data", missing, message + "sent without it, apart from other events")
        return None
    if device.tracking_allowed is None:
        verdicts.ok(_NOT_ASKED)
    zone = device.time_zone or ""
    return {
        "advertiser_tracking_enabled": device.tracking_allowed is True,
        "application_tracking_enabled": (
            device.tracking_allowed is not False and event.consent.ad_personalization != "denied"
        ),
        "extinfo": [  # 16 places, each with a text: an empty one where nothing is known
            version,
            device.app_id or "",
            device.app_version or "",
            "",  # the long form of the version
            device.os_version,
            device.model or "",
            device.locale or "",
            zone if _ZONE_ABBREVIATION.fullmatch(zone) else "",
            device.carrier or "",
            str(device.screen_width or ""),
            str(device.screen_height or ""),
            *("", "", "", ""),  # density, cores, and size of the storage and of what is free of it
            zone,
        ],
    }


def _with_its_time_told(name: str, cookie: str, verdicts: Verdicts) -> str:
    """The cookie as it is: Meta's own builder takes any time."""
    if not _MILLISECONDS.fullmatch(cookie.split(".")[2]):
        message = "its time is not in milliseconds, which have 13 digits: sent as it is"
        verdicts.ok(RuleVerdict(name, True, message, f"user_data.{name}"))
    return cookie


def _click_id(value: str) -> str | None:
    """What a cookie can be built of."""
    return usable("fbclid", value)


def _fbc(event: Event, person: UserData, url: str | None, verdicts: Verdicts) -> str | None:
    """The cookie; or built from the click id where there is no good cookie, or one of another click."""
    cookie = person.fbc
    if cookie is None and person.fbclid is None and (url is None or "=" not in url):
        return None
    is_usual = cookie is not None and _is_usual_cookie(cookie) is not None
    if cookie is not None and not is_usual:
        cookie = cookie.strip() if is_meta_cookie(cookie) else None
    click = click_id(person, "fbclid", url, _click_id, verdicts, "left out: not a click id that Meta could read")
    if click is not None and (cookie is None or cookie.split(".")[3] != click):
        verdicts.ok(_FBC_BUILT)
        return fbc_of(click, event.occurred_at)
    if cookie is None and person.fbc is not None:
        verdicts.left_out("fbc", "user_data.fbc", "left out: not of the form fb.1.<milliseconds>.<click id>")
    return cookie if cookie is None or is_usual else _with_its_time_told("fbc", cookie, verdicts)


def _custom_data(given: CustomData, verdicts: Verdicts) -> dict[str, Any]:
    found: dict[str, Any] = {} if given.value is None else {"value": number(given.value)}
    for name, value in vars(given).items():  # vars: of an event that was read only what was sent
        if name in _SAME_NAMES and value is not None:
            found[name] = value  # noqa: PERF403 - the value stands before them
    if (content_type := content_type_of(given, verdicts)) is not None:
        found["content_type"] = content_type
    contents = given.contents
    if contents:
        found["contents"] = [_content(content) for content in contents]
        if has_fractions(contents):
            verdicts.ok(_WHOLE_PIECES)
    content_ids = list(given.product_ids) or [content.id for content in contents]
    if content_ids:
        found["content_ids"] = content_ids
        found.setdefault("content_type", "product")
    if given.predicted_ltv is not None:
        found["predicted_ltv"] = number(given.predicted_ltv)
    for key, value in given.properties.items():
        if key in _RESERVED:
            is_meant, why_not = _FROM_PROPERTIES.get(key, (None, "left out: the name is one of Meta's own"))
            if is_meant is not None and is_meant(value):
                found[key] = value
            else:
                verdicts.left_out("properties", f"custom_data.properties.{key}", why_not)
        elif value is not None and value != "" and key != _REFERRER:
            found[key] = value
    return found


# Fields of ours that have the same name and form at Meta.
_SAME_NAMES = frozenset(
    "currency order_id num_items content_name content_category content_type search_string status".split()
)


def _content(content: Content) -> dict[str, Any]:
    return omit_empty(
        {
            "id": content.id,
            "quantity": content.whole_quantity,
            "item_price": number(content.item_price),
            "title": content.title,
            "brand": content.brand,
            "category": content.category,
        }
    )


def _digits(value: Any) -> str | None:
    return None if re.fullmatch(r"[0-9]{5,20}", str(value)) else "must be digits only, as Events Manager shows it"


def _version(value: Any) -> str | None:
    return None if re.fullmatch(r"v[0-9]{2}\.0", str(value)) else "must look like v26.0"


def _ldu_state(value: Any) -> str | None:
    return None if re.fullmatch(r"[0-9]{1,4}", str(value)) and int(value) in _STATES else "must be 0 or 1000 to 1013"


def _ldu_place(settings: Settings) -> tuple[int, int]:
    """Country and state for Limited Data Use; 0 for what is not set."""
    return int(settings.get("ldu_country") or 0), int(settings.get("ldu_state") or 0)


def _wrong_with_place(country: int, state: int) -> Problem | None:
    if country and not state:
        return Problem(
            ("ldu_state",),
            "INVALID_SETTING",
            "Meta refuses the country without a state: set ldu_state (1000 to 1013), or leave both out to let Meta locate "
            "the person.",
        )
    if state and not country:
        return Problem(
            ("ldu_country",),
            "INVALID_SETTING",
            "Meta refuses the state without its country: set ldu_country to 1, or leave both out to let Meta locate the "
            "person.",
        )
    return None


def check_settings(settings: Settings) -> list[Problem]:
    """A place for Limited Data Use is a country with its state, or neither."""
    wrong = _wrong_with_place(*_ldu_place(settings))
    return [] if wrong is None else [wrong]


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
            "Sent with events whose limited_data_use is true: 1 for the USA, with the state beside it; 0 or nothing to let Meta "
            "locate the person.",
            required=False,
            example=1,
            check=lambda value: None if str(value) in ("0", "1") else "must be 0 or 1",
        ),
        Setting(
            "ldu_state",
            "Limited Data Use state",
            "1000 for California and so on up to 1013, with 1 as the country; 0 or nothing to let Meta locate the person.",
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
    identifiers=(
        "email",
        "phone",
        "first_name",
        "last_name",
        "date_of_birth",
        "gender",
        "city",
        "state",
        "zip",
        "country",
        "external_id",
        "client_ip",
        "client_user_agent",
        "fbp",
        "fbc",
        "fbclid",
        "lead_id",
    ),
    no_place_for=within("user_data", "street job_title company_name")
    | within("custom_data.contents", "variant coupon discount")
    | within("device", "app_name vendor_id"),
    no_place_in=of_apps_only(
        "Meta",
        frozenset({"consent.ad_personalization"})
        | within(
            "device", "os os_version app_id app_version model locale time_zone carrier screen_width screen_height"
        ),
    ),
    deduplication="Meta does not promise to recognise two copies that both came over the API: a repeat may count twice.",
    copy_memory=lambda event_name, action_source: None,
    age_limit=_age_limit,
    check_settings=check_settings,
    max_ahead=MAX_AHEAD,
    supports_test_events=True,
    test_mode={"test_event_code": None},
    test_effect="they count, and show up under Test events, where they hide what you test.",
)
