"""LinkedIn Conversions API, versions from 202512 on, as the API answers.

Source: Microsoft Learn for LinkedIn, "Conversions API", "Conversions API schema" and "Deduplication", and public
connectors' records of LinkedIn's answers; read 2026-11-24. One bad event fails its whole request and nothing of it is
stored. Any token works but ``empty-token``, ``bad-token``, ``expired-token`` and ``revoked-token`` (401) and
``foreign-token`` (403); any rule but ``400``, which is of another method, and ``404``, which does not exist. Refused is
what breaks the documented schema, and nothing more: LinkedIn's is a closed one, with no room for unknown keys. LinkedIn
says of the browser's copy only that an ``eventId`` makes it one with the API's; here two copies over the API with the same
rule are one as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, list_of, matching, text, whole

MOST_EVENTS = 5000
OLDEST_EVENT = timedelta(days=90)
FURTHEST_AHEAD = timedelta(seconds=5)  # what two clocks may differ by
FIRST_MILLISECONDS = 10**11  # in milliseconds 1973, in seconds the year 5138
OLDEST_VERSION = "202512"  # a version lives about a year: 202511 ended on 16 November 2026
TOKEN_FAULTS = {
    "empty-token": ("EMPTY_ACCESS_TOKEN", None),
    "bad-token": ("INVALID_ACCESS_TOKEN", 65600),
    "revoked-token": ("REVOKED_ACCESS_TOKEN", 65601),
    "expired-token": ("EXPIRED_ACCESS_TOKEN", 65602),
}
FOREIGN_TOKEN = "foreign-token"  # noqa: S105  a token of somebody without a role on the account
RULE_OF_ANOTHER_METHOD = "400"
MISSING_RULE = "404"

UUID = matching(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", " must be a UUID")


def ipv4(value: object) -> str | None:
    try:
        ipaddress.IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        return " must be an IPv4 address"
    return None


ID_TYPES = {
    "SHA256_EMAIL": checks.sha256,
    "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID": text,
    "PLAINTEXT_IP_ADDRESS": ipv4,
    "SHA256_IP_ADDRESS": checks.sha256,
    "GOOGLE_AID": UUID,
    "ACXIOM_ID": text,
    "ORACLE_MOAT_ID": text,
}
USER_ID = fields({"idType": checks.one_of(*ID_TYPES), "idValue": text}, required=("idType", "idValue"))
USER = fields(
    {
        "userIds": list_of(USER_ID, least=0),
        "userInfo": fields(
            {
                **dict.fromkeys(("firstName", "lastName", "companyName", "title"), text),
                "countryCode": matching(r"[A-Z]{2}", " must be a country code of two capitals"),
            },
            required=("firstName", "lastName"),
        ),
        "externalIds": list_of(text),
        "lead": matching(r"urn:li:[!-~]+", " must be a URN"),
    },
    required=("userIds",),
)
EVENT = fields(
    {
        "conversion": matching(r"urn:lla:llaPartnerConversion:[0-9]+", " must be the URN of a conversion rule"),
        "conversionHappenedAt": whole,
        "conversionValue": fields(
            {
                "currencyCode": matching(r"[A-Z]{3}", " must be a currency code of three capitals"),
                "amount": matching(r"-?[0-9]+(\.[0-9]+)?", " must be a decimal number written as a string"),
            },
            required=("currencyCode", "amount"),
        ),
        "eventId": text,
        "user": USER,
    },
    required=("conversion", "conversionHappenedAt", "user"),
)


class Problem(NamedTuple):
    """What is wrong with one event: ``what`` is a path, a space and the rule that was broken."""

    what: str
    status: int = 422


def answer_events(call: Call) -> Answer:
    """``POST /rest/conversionEvents``: one bare event, or ``elements`` with the header that says so."""
    if refused := _token_problem(call) or _header_problem(call):
        return refused
    try:
        body: Any = call.json()
    except ValueError:
        return _error(400, "Could not parse the body as JSON", "BAD_REQUEST")
    is_batch = call.headers.get("x-restli-method", "").upper() == "BATCH_CREATE"
    events = [body]
    if is_batch:
        events = body["elements"] if isinstance(body, dict) and body.keys() == {"elements"} else []
    if not isinstance(events, list) or not 1 <= len(events) <= MOST_EVENTS:
        return _error(400, f"elements, and nothing else, must hold 1 to {MOST_EVENTS} events", "BAD_REQUEST")
    found = {index: problem for index, event in enumerate(events) if (problem := _event_problem(call, event))}
    items = [_item(event, accepted=not found) for event in events]
    if found:
        return _refusal(found, items, is_batch=is_batch)
    if not is_batch:
        return Answer(201, items=tuple(items))
    return json_answer(200, {"elements": [{"status": 201} for _ in events]}, items=items)


def answer_no_route(call: Call) -> Answer:
    return _error(404, "No virtual resource found", "RESOURCE_NOT_FOUND")


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    return _error(429, "Resource level throttle limit for calls to this resource is reached", "TOO_MANY_REQUESTS")


def answer_server_error(call: Call, status: int) -> Answer:
    if status in (502, 504):
        return html_answer(status)
    return _error(status, "Internal Server Error" if status == 500 else "The request was not processed")


def answer_credentials_refused(call: Call) -> Answer:
    return _bad_token("EXPIRED_ACCESS_TOKEN", 65602)


def _token_problem(call: Call) -> Answer | None:
    token = call.bearer() or "empty-token"
    if token in TOKEN_FAULTS:
        return _bad_token(*TOKEN_FAULTS[token])
    if token == FOREIGN_TOKEN:
        return _error(403, "Not enough permissions to access: conversionEvents.BATCH_CREATE", "ACCESS_DENIED", 100)
    return None


def _bad_token(code: str, number: int | None) -> Answer:
    return _error(401, "The token used in the request is not usable", code, number)


def _header_problem(call: Call) -> Answer | None:
    version = call.headers.get("linkedin-version", "")
    if not re.fullmatch(r"[0-9]{4}(0[1-9]|1[0-2])", version):
        return _error(400, "A version must be given in the header LinkedIn-Version as YYYYMM", "VERSION_MISSING")
    if version < OLDEST_VERSION:
        return _error(426, f"Requested version {version} is not active", "NONEXISTENT_VERSION")
    if call.headers.get("x-restli-protocol-version") != "2.0.0":
        return _error(400, "X-Restli-Protocol-Version must be 2.0.0", "BAD_REQUEST")
    return None


def _event_problem(call: Call, event: Any) -> Problem | None:
    """The first thing wrong with one event."""
    if not isinstance(event, dict):
        return Problem(" must be an object")
    if call.refuses(event.get("eventId")):
        return Problem(".eventId is refused on request of a fault")
    if complaint := EVENT(event):
        return Problem(complaint)
    rule = event["conversion"].rpartition(":")[2]
    if rule == MISSING_RULE:
        return Problem(".conversion does not exist", 404)
    if rule == RULE_OF_ANOTHER_METHOD:
        return Problem(".conversion is not of the conversion method CONVERSIONS_API", 400)
    if problem := _time_problem(call, event["conversionHappenedAt"]) or _user_problem(event["user"]):
        return Problem(problem)
    return None


def _time_problem(call: Call, happened_at: int) -> str | None:
    if happened_at < FIRST_MILLISECONDS:
        return ".conversionHappenedAt must be in Unix milliseconds"
    age = call.now.timestamp() - happened_at / 1000
    if age > OLDEST_EVENT.total_seconds():
        return f".conversionHappenedAt is more than {OLDEST_EVENT.days} days ago"
    return ".conversionHappenedAt is in the future" if -age > FURTHEST_AHEAD.total_seconds() else None


def _user_problem(user: dict[str, Any]) -> str | None:
    for index, entry in enumerate(user["userIds"]):
        if complaint := ID_TYPES[entry["idType"]](entry["idValue"]):
            return f".user.userIds[{index}].idValue{complaint}"
    if len(user.get("externalIds", ())) > 1:
        return ".user.externalIds may hold one id"
    if not user["userIds"] and not user.keys() & {"userInfo", "externalIds", "lead"}:
        return ".user needs a userId, userInfo, an externalId or a lead"
    return None


def _item(event: Any, *, accepted: bool) -> Item:
    rule, event_id = checks.text_at(event, "conversion") or "", checks.text_at(event, "eventId")
    return Item(
        destination=rule.rpartition(":")[2],
        event_name=None,
        event_id=event_id,
        body=event,
        accepted=accepted,
        dedup_key=(rule, event_id) if event_id else None,
    )


def _refusal(found: dict[int, Problem], items: Sequence[Item], *, is_batch: bool) -> Answer:
    """422 with a line for each event; a wrong rule ends the message with all its positions."""
    status = next(iter(found.values())).status
    same = {index: problem for index, problem in found.items() if problem.status == status}
    if status != 422:
        message = f"{next(iter(same.values())).what.lstrip('.')}, indices {list(same)} (0-indexed)"
        return _error(status, message, items=items)
    lines = []
    for index, problem in same.items():
        path, _, rule = problem.what.partition(" ")
        pointer = "/" + re.sub(r"[.\[]", "/", path.replace("]", "")).lstrip("/")
        lines.append(f"{f'Index: {index}, ' if is_batch else ''}ERROR :: {pointer} :: {rule}")
    return _error(422, "\n".join(lines), items=items)


def _error(
    status: int, message: str, code: str | None = None, number: int | None = None, items: Sequence[Item] = ()
) -> Answer:
    body: dict[str, Any] = {"status": status}
    if number is not None:
        body["serviceErrorCode"] = number
    if code is not None:
        body["code"] = code
    return json_answer(status, {**body, "message": message}, items=items)


PLATFORM = Platform(
    title="LinkedIn Conversions API",
    routes=(Route("POST", re.compile(r"/rest/conversionEvents"), answer_events),),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
)
