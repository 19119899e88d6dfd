"""LinkedIn Conversions API, version 202608. Merchant's page: linkedin.md.

Source: Microsoft Learn for LinkedIn, "Conversions API", "Conversions API schema", "Deduplication" and "FAQ", and what
independent connectors for these versions agree on. Read 2026-11-24. LinkedIn takes little: no phone, no address, no
user agent, no URL, no basket, no source of the action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tracklayer.domain import normalise
from tracklayer.domain.currencies import decimals
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    BearerToken,
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
from tracklayer.domain.event import NO_DEVICE, CustomData, Event
from tracklayer.domain.identifiers import is_uuid, is_zero_uuid, machine_address, usable
from tracklayer.mappers.base import (
    COMMON_SETTINGS,
    CONSENT_OK,
    Explanation,
    Lifetime,
    Mapped,
    Mapper,
    NoPlace,
    Refused,
    RuleVerdict,
    Setting,
    Settings,
    Verdicts,
    advertising_id,
    by_status,
    click_id,
    first_email,
    no_answer_of_the_platform,
    omit_empty,
    only_the_first,
    plain_id,
    plain_text,
    quiet_message,
    retry_after,
    unix_milliseconds,
    whole_number,
    within,
)

API_VERSION = "202608"

# The type to give a conversion rule in Campaign Manager: no name travels, the rule says what an event is. A custom
# event's rule is of type OTHER.
EVENT_NAMES = {
    "Purchase": "PURCHASE",
    "AddToCart": "ADD_TO_CART",
    "InitiateCheckout": "START_CHECKOUT",
    "AddPaymentInfo": "ADD_BILLING_INFO",
    "Lead": "LEAD",
    "CompleteRegistration": "COMPLETE_SIGNUP",
    "ViewContent": "VIEW_CONTENT",
    "Search": "SEARCH",
    "Subscribe": "SUBSCRIBE",
    "StartTrial": "START_TRIAL",
    "AddToWishlist": "ADD_TO_LIST",
    "Contact": "CONTACT",
    "PageView": "KEY_PAGE_VIEW",
}

MAX_AGE = timedelta(days=90)
MAX_AHEAD = timedelta(
    seconds=5
)  # two clocks that differ by this much are no event of the future, which LinkedIn refuses

_NAME_RULES = ("unless_denied", "granted", "never")
_URN = re.compile(r"urn:li:[!-~]{1,500}")


def _email(value: str, settings: Settings) -> str | None:
    return normalise.Matchable.read(value).email_sha256("basic")


def _name(value: str, settings: Settings) -> str | None:
    """Plain, case kept: a digest of a name is no name."""
    if normalise.is_sha256(value) or normalise.is_foreign_digest(value):
        return None
    return plain_text(value)


def _country(value: str, settings: Settings) -> str | None:
    code = normalise.country(value)
    return code.upper() if code else None


def _ipv4(value: str, settings: Settings) -> str | None:
    address = machine_address(value)
    return address if address and ":" not in address else None


def _click_id(value: str) -> str | None:
    return usable("li_fat_id", value)


NORMALISE: dict[str, Callable[[str, Settings], str | None]] = {
    "email": _email,
    "first_name": _name,
    "last_name": _name,
    "country": _country,
    "external_id": lambda value, settings: plain_id(value),
    "client_ip": _ipv4,
    "li_fat_id": lambda value, settings: _click_id(value),
    "job_title": _name,
    "company_name": _name,
}

_RENEW = "Make a new token in Campaign Manager (Signals Manager, Direct API) and set it on the destination."
_WAIT = "Nothing to do: it is tried again with the same event id."
_TEMPORARY = Explanation("A temporary fault at LinkedIn.", _WAIT)
EXPLANATIONS: Mapping[str, Explanation] = {
    "INVALID_ACCESS_TOKEN": Explanation("The access token is wrong.", _RENEW),
    "EXPIRED_ACCESS_TOKEN": Explanation("The access token has expired: tokens of a member last about 60 days.", _RENEW),
    "EMPTY_ACCESS_TOKEN": Explanation("No access token arrived.", _RENEW),
    "REVOKED_ACCESS_TOKEN": Explanation("The member took back the consent behind the access token.", _RENEW),
    "400": Explanation(
        "LinkedIn refused the request; often a conversion rule is not of the method CONVERSIONS_API.",
        "Compare the ids in conversion_rules with Campaign Manager: enabled, and made for the Conversions API.",
        "event_name",
    ),
    "401": Explanation("The access token was refused.", _RENEW),
    "403": Explanation(
        "The token may not report conversions to this ad account.",
        "Give its member the role of account, campaign or creative manager and the token the scope rw_conversions, "
        "or make a Direct API token.",
    ),
    "404": Explanation(
        "LinkedIn does not know the conversion rule.",
        "Compare the ids in conversion_rules with Campaign Manager.",
        "event_name",
    ),
    "408": _TEMPORARY,
    "413": Explanation("The request was too large.", "Nothing to do: it is sent again in smaller parts."),
    "422": Explanation(
        "A field of the event has the wrong form.",
        "The message names the field. Mend it at the source; this event is tried again when settings change.",
    ),
    "423": _TEMPORARY,
    "426": Explanation(
        "LinkedIn no longer serves the version of its API that is set.",
        "Remove api_version from the destination, or raise it to a version of the last twelve months.",
    ),
    "429": Explanation(
        "Too many requests for a minute or a day.", "Nothing to do: TrackLayer waits and goes on by itself."
    ),
    "500": _TEMPORARY,
    "501": Explanation(
        "LinkedIn does not offer what was asked.", "Remove api_version from the destination if it is set."
    ),
    "502": _TEMPORARY,
    "503": _TEMPORARY,
    "504": _TEMPORARY,
}
_TOKEN_CODES = {65600: "INVALID_ACCESS_TOKEN", 65601: "REVOKED_ACCESS_TOKEN", 65602: "EXPIRED_ACCESS_TOKEN"}
_PROPERTIES = frozenset({"acxiom_id", "gaid", "lead_urn", "company_name", "job_title"})  # that LinkedIn has fields for
_FAULT_OF_AN_EVENT = frozenset({400, 404, 413, 422})  # the whole batch is refused and nothing of it stored

_RULE_OK = RuleVerdict("event_name", True, "has a conversion rule", "event_name")
_RULE_STAR = RuleVerdict("event_name", True, "goes to the conversion rule of every other event", "event_name")
_AGE_OK = RuleVerdict("event_age", True, "at most 90 days old", "occurred_at")
_IDENTIFIERS_OK = RuleVerdict("identifiers", True, "enough to be matched", "user_data")


def map_event(event: Event, settings: Settings, now: datetime) -> Mapped | Refused:
    """One conversion event: time in Unix milliseconds, amount as decimal text, names plain, the email hashed."""
    verdicts = Verdicts()
    consent = event.consent
    if consent.ad_user_data == "denied":
        return verdicts.refuse_denied()
    if consent.limited_data_use:
        message = "LinkedIn has no limited data use: the event would be used without limits"
        return verdicts.refuse(DropReason.CONSENT_DENIED, "consent", "consent.limited_data_use", message)
    verdicts.ok(CONSENT_OK)
    no_refund = "LinkedIn has no refund: it would be counted as one more conversion"
    if refused := verdicts.refuse_refund(event.event_name, settings, "conversion_rules", no_refund):
        return refused
    rules = settings.get("conversion_rules") or {}
    if rule := rules.get(event.event_name):
        verdicts.ok(_RULE_OK)
    elif rule := rules.get("*"):
        verdicts.ok(_RULE_STAR)
    else:
        message = "no conversion rule is set for this event name in conversion_rules"
        return verdicts.refuse_unlisted(event.event_name, "conversion_rules", message)
    if now - event.occurred_at > MAX_AGE:
        message = "older than the 90 days that LinkedIn takes"
        return verdicts.refuse(DropReason.EVENT_TOO_OLD, "event_age", "occurred_at", message)
    verdicts.ok(_AGE_OK)
    user = _user(event, settings, verdicts)
    if user.keys() == {"userIds"} and not user["userIds"]:
        message = "LinkedIn wants an email, li_fat_id, an IPv4 address, an external id, or first and last name"
        return verdicts.refuse(DropReason.MISSING_IDENTIFIERS, "identifiers", "user_data", message)
    verdicts.ok(_IDENTIFIERS_OK)
    item: dict[str, Any] = {
        "conversion": f"urn:lla:llaPartnerConversion:{rule}",
        "conversionHappenedAt": unix_milliseconds(event.occurred_at),
    }
    value = _conversion_value(event.custom_data, verdicts)
    if value:
        item["conversionValue"] = value
    verdicts.own_left_out(event.custom_data.properties, "LinkedIn", _PROPERTIES)
    item["eventId"] = event.event_id
    item["user"] = user
    return Mapped(item, tuple(verdicts))


def build_request(group: str, items: Sequence[dict[str, Any]], settings: Settings) -> PlatformRequest:
    """One event is sent bare, several as ``{"elements": [...]}`` with the header that says so."""
    headers = {
        "LinkedIn-Version": str(settings.get("api_version") or API_VERSION),
        "X-Restli-Protocol-Version": "2.0.0",
    }
    body: dict[str, Any] = items[0]
    if len(items) > 1:
        headers["X-RestLi-Method"] = "BATCH_CREATE"
        body = {"elements": list(items)}
    return PlatformRequest(
        "https://api.linkedin.com/rest/conversionEvents",
        body,
        BearerToken(str(settings.get("access_token", ""))),
        headers=headers,
    )


def read_reply(reply: PlatformReply, count: int) -> Verdict:
    """201 without a body for one event, a status for each element of a batch; a refused batch leaves nothing stored."""
    body: Mapping[str, Any] = reply.json if isinstance(reply.json, Mapping) else {}
    inner = _status(body)
    if 200 <= reply.status < 300 and inner is not None and inner >= 400:
        reply = replace(reply, status=inner)
    if 200 <= reply.status < 300:
        elements = body.get("elements")
        if isinstance(elements, list) and len(elements) == count:
            return [_read_element(reply, element) for element in elements]
        if count == 1 and reply.status == 201 and elements is None:
            return [Acknowledged(201)]
        return [no_answer_of_the_platform(reply) or _unconfirmed(reply)] * count
    outcome = _read_error(reply, body)
    if isinstance(outcome, Rejected) and count > 1 and reply.status in _FAULT_OF_AN_EVENT:
        return BatchRejected(outcome)
    return [outcome] * count


def _read_element(reply: PlatformReply, element: Any) -> Outcome:
    """Its own status decides, and whatever it is above 400, it concerns this event alone."""
    status = _status(element) if isinstance(element, Mapping) else None
    if status is None or status < 200 or 300 <= status < 400:
        return _unconfirmed(reply)
    if status < 300:
        return Acknowledged(status)
    error = element.get("error")
    error = error if isinstance(error, Mapping) else element
    code, message = _code(status, error), _quiet(error.get("message"))
    if status == 429:
        return RateLimited(retry_after(reply), code, message, status)
    return Rejected(code, message, status)


def _read_error(reply: PlatformReply, body: Mapping[str, Any]) -> Outcome:
    status, code, message = reply.status, _code(reply.status, body), _quiet(body.get("message"))
    if status == 426:  # as with a token, nothing goes through until somebody changes a setting
        return CredentialsRefused(code, message, status)
    if status == 423:
        return Unreachable(message, status, retry_after(reply), code=code)
    if status == 501:
        return Rejected(code, message, status)
    return by_status(reply, code, message)


def _status(given: Mapping[str, Any]) -> int | None:
    """An HTTP status in a body; None where it is none."""
    status = whole_number(given.get("status"))
    return status if status is not None and 100 <= status < 600 else None


def _code(status: int, error: Mapping[str, Any]) -> str:
    """A token fault by its name; anything else by status, with LinkedIn's word behind it where there is one."""
    word = error.get("code")
    if isinstance(word, str) and word in EXPLANATIONS:
        return word
    number = error.get("serviceErrorCode")
    if isinstance(number, int) and number in _TOKEN_CODES:
        return _TOKEN_CODES[number]
    return f"{status}/{word}" if isinstance(word, str) and re.fullmatch(r"[A-Z_]{1,64}", word) else str(status)


def _unconfirmed(reply: PlatformReply) -> Outcome:
    return Unreachable("the answer does not confirm every event", reply.status, code="unconfirmed")


def _quiet(text: Any) -> str:
    """LinkedIn's words may repeat what was sent: without quotations, addresses and ids."""
    return quiet_message(text) or "LinkedIn gave no reason"


def _user(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, Any]:
    """``userIds`` always, empty too: LinkedIn answers 422 where it is missing."""
    person, properties = event.user_data, event.custom_data.properties
    ids: list[dict[str, str]] = []
    if person.email is not None or person.emails:
        _add_id(ids, verdicts, "SHA256_EMAIL", "email", first_email(person, "basic"))
    if person.emails:
        only_the_first(person, "LinkedIn", verdicts, ("emails",))
    kind = "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID"
    why = f"left out: nothing that LinkedIn takes as {kind}"
    click = click_id(person, "li_fat_id", event.clicked_url, _click_id, verdicts, why)
    if click is not None:
        ids.append({"idType": kind, "idValue": click})
    if person.client_ip is not None:
        _add_id(ids, verdicts, "PLAINTEXT_IP_ADDRESS", "client_ip", _ipv4(person.client_ip, settings))
    device = _android_id(event, verdicts)
    if device is not None:
        ids.append({"idType": "GOOGLE_AID", "idValue": device})
    acxiom_id = _text(properties, "acxiom_id") if properties else None
    if acxiom_id and (acxiom_id := plain_text(acxiom_id)):
        ids.append({"idType": "ACXIOM_ID", "idValue": acxiom_id})
    found: dict[str, Any] = {"userIds": ids}
    info = _user_info(event, settings, verdicts)
    if info:
        found["userInfo"] = info
    if person.external_id is not None:
        external_id = plain_id(person.external_id)
        if external_id is not None:
            found["externalIds"] = [external_id]
        else:
            message = "left out: LinkedIn takes it in plain text, so it may hold no e-mail and no phone"
            verdicts.left_out("external_id", "user_data.external_id", message)
    lead = _lead(event, verdicts)
    if lead:
        found["lead"] = lead
    return found


def _android_id(event: Event, verdicts: Verdicts) -> str | None:
    """The advertising id of an Android device: LinkedIn has no place for Apple's."""
    device = event.device
    if device is not NO_DEVICE and device.advertising_id is not None:
        found = advertising_id(device, verdicts)
        if found is None:
            return None
        system, value = found
        if system == "android" and is_uuid(value) and not is_zero_uuid(value):
            return value
        message = "left out: LinkedIn takes the advertising id of an Android device, a UUID"
        verdicts.left_out("advertising_id", "device.advertising_id", message)
        return None
    given = _text(event.custom_data.properties, "gaid") if event.custom_data.properties else None
    if given is None:
        return None
    if is_uuid(given) and not is_zero_uuid(given) and device.tracking_allowed is not False:
        return given
    message = "left out: not the advertising id of a device whose owner allows tracking"
    verdicts.left_out("gaid", "custom_data.properties.gaid", message)
    return None


def _lead(event: Event, verdicts: Verdicts) -> str | None:
    """The URN of an entry in a LinkedIn lead form; ``lead_id`` may as well be another platform's, which is no URN."""
    lead_id = event.user_data.lead_id
    if lead_id is not None and _URN.fullmatch(lead_id.strip()):
        return lead_id.strip()
    lead = _text(event.custom_data.properties, "lead_urn") if event.custom_data.properties else None
    if lead is None or _URN.fullmatch(lead):
        return lead
    verdicts.left_out("lead_urn", "custom_data.properties.lead_urn", "left out: not of the form urn:li:…")
    return None


def _add_id(ids: list[dict[str, str]], verdicts: Verdicts, kind: str, name: str, value: str | None) -> None:
    if value is not None:
        ids.append({"idType": kind, "idValue": value})
    else:
        verdicts.left_out(name, f"user_data.{name}", f"left out: nothing that LinkedIn takes as {kind}")


def _user_info(event: Event, settings: Settings, verdicts: Verdicts) -> dict[str, str]:
    """Both names, or nothing: LinkedIn takes neither a lone name nor a country without a person."""
    person = event.user_data
    if person.first_name is None and person.last_name is None:
        if person.company_name is not None or person.job_title is not None:
            field = "user_data.job_title" if person.company_name is None else "user_data.company_name"
            verdicts.left_out("names", field, "left out: LinkedIn takes it with first and last name only")
        return {}
    rule = settings.get("send_names") or _NAME_RULES[0]
    if rule == "never" or (rule == "granted" and event.consent.ad_user_data != "granted"):
        message = "left out: send_names does not allow plain names here"
        verdicts.left_out("send_names", "user_data.first_name", message)
        return {}
    first = _name(person.first_name, settings) if person.first_name is not None else None
    last = _name(person.last_name, settings) if person.last_name is not None else None
    if first is None or last is None:
        message = "left out: LinkedIn takes first and last name together, and as plain text"
        verdicts.left_out("names", "user_data.first_name", message)
        return {}
    country = _country(person.country, settings) if person.country is not None else None
    if country is None and person.country is not None:
        verdicts.left_out("country", "user_data.country", "left out: not a two-letter country code")
    return omit_empty(
        {
            "firstName": first,
            "lastName": last,
            "companyName": _work(event, "company_name", verdicts),
            "title": _work(event, "job_title", verdicts),
            "countryCode": country,
        }
    )


def _work(event: Event, name: str, verdicts: Verdicts) -> str | None:
    """Company or job title, in plain text; where the event has none, the property of that name."""
    given = getattr(event.user_data, name) or _text(event.custom_data.properties, name)
    if not given:
        return None
    found = _name(given, {})
    if found is None:
        verdicts.left_out(name, f"user_data.{name}", "left out: LinkedIn takes plain text only")
    return found


def _conversion_value(given: CustomData, verdicts: Verdicts) -> dict[str, str] | None:
    if given.value is None:
        return None
    if given.currency is None:
        verdicts.left_out("value", "custom_data.value", "left out: an amount needs its currency")
        return None
    return {"currencyCode": given.currency, "amount": _amount(given.value, given.currency)}


def _amount(value: Decimal, currency: str) -> str:
    """Digits as the currency writes them, and more where more were given: nothing is rounded."""
    whole, _, fraction = format(value, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(decimals(currency), "0")
    return f"{whole}.{fraction}" if fraction else whole


def _text(properties: Mapping[str, Any], name: str) -> str | None:
    value = properties.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _rules(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not value:
        return 'must be an object of event name and rule id, such as {"Purchase": 14488340}'
    if not all(isinstance(name, str) and name.strip() for name in value):
        return "must have event names as keys"
    if not all(_digits(rule) is None and int(rule) > 0 for rule in value.values()):
        return "must have the rules' ids as values, digits only, as Campaign Manager shows them"
    return None


def _digits(value: Any) -> str | None:
    fits = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,20}", str(value))
    return None if fits else "must be digits only, as Campaign Manager shows it"


def _version(value: Any) -> str | None:
    fits = re.fullmatch(r"20\d{2}(0[1-9]|1[0-2])", str(value))
    return None if fits else f"must be a year and a month, such as {API_VERSION}"


def _no_place_in(event: Event, mapped: Mapped) -> Sequence[NoPlace]:
    """The id of another platform's lead form is no URN."""
    lead_id = event.user_data.lead_id
    if lead_id is None or mapped.item["user"].get("lead") == lead_id.strip():
        return ()
    return (_NO_URN,)


_NO_URN = NoPlace(
    frozenset({"user_data.lead_id"}), "left out: LinkedIn takes the URN of an entry in a lead form of its own"
)


MAPPER = Mapper(
    title="LinkedIn",
    settings=(
        Setting(
            "conversion_rules",
            "Conversion rules",
            "Event name -> the id of its conversion rule: Campaign Manager, Measurement, Conversion tracking; the id is "
            "in the rule's address. Rules must be made for the Conversions API. * stands for every other event name.",
            example={"Purchase": 14488340, "Lead": 14488341, "*": 14488377},
            check=_rules,
            counts=True,
        ),
        Setting(
            "access_token",
            "Access token",
            "Campaign Manager, Measurement, Signals Manager, Direct API: a token made there does not expire. A member's "
            "token with the scopes rw_conversions and r_ads works too and lasts about 60 days.",
            secret=True,
            example="sandbox-access-token",
        ),
        Setting(
            "ad_account_id",
            "Ad account ID",
            "Campaign Manager: the number beside the account's name. Only for looking up rules: no event carries it.",
            required=False,
            example="507404993",
            check=_digits,
        ),
        Setting(
            "send_names",
            "Send names",
            "LinkedIn takes names in plain text only. unless_denied sends them unless consent is denied (the same as "
            "leaving this out), granted only with consent granted, never not at all.",
            required=False,
            example="granted",
            choices=_NAME_RULES,
            unset="as unless_denied",
            check=lambda value: None if value in _NAME_RULES else f"must be one of {', '.join(_NAME_RULES)}",
        ),
        Setting(
            "api_version",
            "API version",
            f"Leave it out for {API_VERSION}, which TrackLayer keeps up to date. LinkedIn serves a version for a year.",
            required=False,
            example=API_VERSION,
            check=_version,
        ),
        *COMMON_SETTINGS,
    ),
    event_names=EVENT_NAMES,
    batch_size=5000,
    max_event_age=MAX_AGE,
    max_ahead=MAX_AHEAD,
    normalise=NORMALISE,
    explanations=EXPLANATIONS,
    map_event=map_event,
    build_request=build_request,
    read_reply=read_reply,
    identifiers=(
        "email",
        "first_name",
        "last_name",
        "country",
        "external_id",
        "client_ip",
        "li_fat_id",
        "job_title",
        "company_name",
    ),
    no_place_for=within("user_data", "phone phones date_of_birth gender street city state zip client_user_agent")
    | within(
        "custom_data",
        "order_id product_ids contents num_items content_name content_category content_type search_string status "
        "predicted_ltv",
    )
    | within(
        "device",
        "os_version app_id app_name app_version model locale time_zone carrier screen_width screen_height vendor_id",
    )
    | {"consent.ad_personalization", "action_source", "event_source_url"},
    no_place_in=_no_place_in,
    deduplication="LinkedIn does not promise to recognise two copies that both came over the API: a repeat may count twice.",
    copy_memory=lambda event_name, action_source: None,
    lifetimes={"access_token": Lifetime(timedelta(days=60), "a member's token")},
    instead_of_test="Give the destination a conversion rule that no campaign uses: what is sent there is not attributed, "
    "and Campaign Manager shows within a day that it arrives.",
)
