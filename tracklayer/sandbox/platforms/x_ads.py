"""X Conversion API, Ads API version 12, as the API answers.

Source: X's documentation, "Web conversions", "Error codes", "Rate limiting" and "Versioning"; for the pixel token public
connectors; read 2026-11-24. One bad conversion fails its whole request and nothing of it is stored; the errors name a
parameter and repeat its value, but no position. Any pixel token works but ``bad-token`` and ``expired-token`` (401) and
``foreign-token`` (403); so does any OAuth 1.0a header that is complete, unless its consumer key is
``app-without-access`` (403); its signature is not checked. The event tag ``missing`` does not exist. Refused is what X's
pages name, and money that is a bare whole number, which clients of X report. X says of the pixel's copy only that tag and
``conversion_id`` make it one with the API's for 48 hours; here two copies over the API are one as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from tracklayer.sandbox.platforms import checks
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.checks import fields, list_of, matching, sha256, text, whole

MOST_EVENTS = 500
DEDUP_WINDOW = timedelta(hours=48)
BAD_TOKENS = frozenset({"bad-token", "expired-token"})
FOREIGN_TOKEN = "foreign-token"  # noqa: S105  a token without a right on the account
APP_WITHOUT_ACCESS = "app-without-access"
MISSING_TAG = "missing"
VERSION = "12"
SERVER_ERRORS = {
    408: "CANCELLED_REQUEST",
    423: "LOCK_ACQUISITION_TIMEOUT",
    500: "INTERNAL_ERROR",
    503: "OVER_CAPACITY",
}
OAUTH_PARTS = (
    *("oauth_consumer_key", "oauth_nonce", "oauth_signature", "oauth_signature_method", "oauth_timestamp"),
    "oauth_token",
)

TAG = re.compile(r"(?:tw-(?P<pixel>[a-z0-9]{3,12})-)?(?P<tag>[a-z0-9]{3,12})")
MONEY_TEXT = re.compile(r"-?[0-9]+\.[0-9]+")


def money(value: object) -> str | None:
    """As text or as a number, but with a decimal point in it."""
    fits = MONEY_TEXT.fullmatch(value) if isinstance(value, str) else isinstance(value, float)
    return None if fits else " must be an amount with a decimal point"


def ipv4(value: object) -> str | None:
    try:
        ipaddress.IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        return " must be an IPv4 address"
    return None


def positive(value: object) -> str | None:
    return whole(value) or (None if isinstance(value, int) and value > 0 else " must be greater than zero")


IDENTIFIER = fields(
    {
        "twclid": text,
        **dict.fromkeys(("hashed_email", "hashed_phone_number"), sha256),
        "ip_address": ipv4,
        "user_agent": text,
    },
    others=checks.anything,
)
CONVERSION = fields(
    {
        "conversion_time": matching(
            r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z", " must be of the form yyyy-MM-ddTHH:mm:ss.SSSZ"
        ),
        "event_id": matching(TAG.pattern, " must be the id of a single event tag"),
        "identifiers": list_of(IDENTIFIER),
        "conversion_id": text,
        "value": money,
        "price_currency": matching(r"[A-Z]{3}", " must be a currency code of three capitals"),
        "number_items": positive,
        "contents": list_of(
            fields(
                {
                    **dict.fromkeys(("content_id", "content_name", "content_type", "content_group_id"), text),
                    "content_price": money,
                    "num_items": whole,
                },
                others=checks.anything,
            ),
            least=0,
        ),
        "description": text,
    },
    required=("conversion_time", "event_id", "identifiers"),
    others=checks.anything,
)


class Problem(NamedTuple):
    """One entry of ``errors``."""

    code: str
    message: str
    parameter: str | None = None
    status: int = 400


def answer_conversions(call: Call) -> Answer:
    """``POST /12/measurement/conversions/{pixel}``."""
    if refused := _credentials_problem(call):
        return _refusal(call, [refused])
    try:
        body: Any = call.json()
    except ValueError:
        return _refusal(call, [Problem("INVALID_PARAMETER", "The body is no JSON")])
    conversions = body.get("conversions") if isinstance(body, dict) else None
    if not isinstance(conversions, list) or not conversions:
        message = "The body must be an object of conversions, a list with one at least"
        return _refusal(call, [Problem("MISSING_PARAMETER", message, "conversions")])
    if len(conversions) > MOST_EVENTS:
        return _refusal(call, [Problem("INVALID_PARAMETER", f"Conversion count limit is {MOST_EVENTS}", "conversions")])
    problems = [problem for conversion in conversions for problem in _problems(call, conversion)]
    items = [_item(call, conversion, accepted=not problems) for conversion in conversions]
    if problems:
        return _refusal(call, problems, items)
    done = {"conversions_processed": len(conversions), "debug_id": _debug_id(call)}
    reply = {"request": {"params": {"account_id": "18ce552mlaq"}}, "data": done}
    return json_answer(200, reply, _version(), items)


def answer_wrong_method(call: Call) -> Answer:
    return _refusal(call, [Problem("METHOD_NOT_ALLOWED", f"{call.method} is not allowed here", status=405)])


def answer_no_route(call: Call) -> Answer:
    return _refusal(call, [Problem("ROUTE_NOT_FOUND", "The requested resource could not be found", status=404)])


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    """The end of the limit in Unix seconds, where the fault names it."""
    headers = {}
    if retry_after is not None:
        headers["x-account-rate-limit-reset"] = str(int(call.now.timestamp()) + retry_after)
    return _refusal(call, [Problem("TOO_MANY_REQUESTS", "Too many requests", status=429)], headers=headers)


def answer_server_error(call: Call, status: int) -> Answer:
    """X's own words, a proxy's page for 502 and 504, nothing at all for what has no code."""
    if status in SERVER_ERRORS:
        return _refusal(call, [Problem(SERVER_ERRORS[status], "The request was not processed", status=status)])
    return html_answer(status) if status >= 500 else Answer(status, headers=_version())


def answer_credentials_refused(call: Call) -> Answer:
    return _refusal(call, [_unauthorized()])


def _credentials_problem(call: Call) -> Problem | None:
    token = call.headers.get("x-pixel-token", "")
    if token in BAD_TOKENS:
        return _unauthorized()
    if token == FOREIGN_TOKEN:
        return Problem("ACCOUNT_NOT_FOUND", "The account was not found for this user", status=403)
    if token:
        return None
    scheme, _, rest = call.headers.get("authorization", "").partition(" ")
    given = dict(re.findall(r'(oauth_\w+)="([^"]+)"', rest))
    is_signed = scheme == "OAuth" and all(given.get(part) for part in OAUTH_PARTS)
    if not is_signed or given["oauth_signature_method"] != "HMAC-SHA1" or given["oauth_token"] in BAD_TOKENS:
        return _unauthorized()
    if given["oauth_consumer_key"] == APP_WITHOUT_ACCESS:
        return Problem("UNAUTHORIZED_CLIENT_APPLICATION", "The client application has no access", status=403)
    return None


def _unauthorized() -> Problem:
    return Problem("UNAUTHORIZED_ACCESS", "This request is not properly authenticated", status=401)


def _problems(call: Call, conversion: Any) -> list[Problem]:
    """What is wrong with one conversion."""
    if not isinstance(conversion, dict):
        return [Problem("INVALID_PARAMETER", "A conversion must be an object", "conversions")]
    if call.refuses(conversion.get("conversion_id")):
        return [_invalid(conversion, ".conversion_id is refused on request of a fault")]
    identifiers = conversion.get("identifiers")
    if isinstance(identifiers, list) and not any(_is_someone(identifier) for identifier in identifiers):
        message = "At least one user identifier must be provided"
        return [Problem("MISSING_PARAMETER", message, "identifiers")]
    if complaint := CONVERSION(conversion):
        return [_invalid(conversion, complaint)]
    if lonely := _lonely_identifier(conversion["identifiers"]):
        message = f"{lonely} must be sent together with another identifier"
        return [Problem("INVALID_PARAMETER", message, "identifiers")]
    return _tag_problems(call, conversion["event_id"])


def _is_someone(identifier: Any) -> bool:
    return isinstance(identifier, dict) and any(isinstance(value, str) and value for value in identifier.values())


def _lonely_identifier(identifiers: Sequence[Mapping[str, Any]]) -> str | None:
    """The address or the user agent that stands alone in its object: each needs a second one beside it."""
    for identifier in identifiers:
        for key in ("ip_address", "user_agent"):
            if key in identifier and len(identifier) == 1:
                return key
    return None


def _tag_problems(call: Call, event_id: str) -> list[Problem]:
    """A tag of another pixel, or of none, is both not found and invalid."""
    found = TAG.fullmatch(event_id)
    if found and found["pixel"] in (None, call.parts["pixel"]) and found["tag"] != MISSING_TAG:
        return []
    return [
        Problem("NOT_FOUND", f'Event tag "{event_id}" was not found', "event_id", 404),
        Problem("INVALID_PARAMETER", f'Expected a single event tag, got "{event_id}"', "event_id", 404),
    ]


def _invalid(conversion: Mapping[str, Any], complaint: str) -> Problem:
    """Names the innermost parameter and repeats a text's value, as X does."""
    path, _, rule = complaint.partition(" ")
    names = re.findall(r"[a-z_]+", path)
    value: Any = conversion
    for key in re.findall(r"[^.\[\]]+", path):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            value = None
    code = "MISSING_PARAMETER" if rule == "is required" else "INVALID_PARAMETER"
    got = f', got "{value}"' if isinstance(value, str) else ""
    return Problem(code, f"{path.lstrip('.') or 'conversion'} {rule}{got}", names[-1] if names else None)


def _item(call: Call, conversion: Any, *, accepted: bool) -> Item:
    """Two conversions are one where pixel, tag and id agree within 48 hours; a tag has a short and a full name."""
    pixel, event_id = call.parts["pixel"], checks.text_at(conversion, "event_id") or ""
    conversion_id = checks.text_at(conversion, "conversion_id")
    return Item(
        destination=pixel,
        event_name=event_id or None,
        event_id=conversion_id,
        body=conversion,
        accepted=accepted,
        dedup_key=(pixel, event_id.removeprefix(f"tw-{pixel}-"), conversion_id) if conversion_id else None,
        dedup_window=DEDUP_WINDOW,
    )


def _refusal(
    call: Call,
    problems: Sequence[Problem],
    items: Sequence[Item] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """All problems at once; the status is that of the first."""
    errors = []
    for problem in problems:
        error = {"code": problem.code, "message": problem.message}
        errors.append({**error, "parameter": problem.parameter} if problem.parameter else error)
    body = {"errors": errors, "request": {"params": {}}}
    return json_answer(problems[0].status, body, {**_version(), **(headers or {})}, items)


def _version() -> dict[str, str]:
    return {"x-current-api-version": VERSION}


def _debug_id(call: Call) -> str:
    return f"00000000-0000-4000-8000-{call.serial:012d}"


_CONVERSIONS = re.compile(rf"/{VERSION}/measurement/conversions/(?P<pixel>[a-z0-9]{{3,12}})")

PLATFORM = Platform(
    title="X Conversion API",
    routes=(
        Route("POST", _CONVERSIONS, answer_conversions),
        *(Route(method, _CONVERSIONS, answer_wrong_method) for method in ("GET", "PUT", "PATCH", "DELETE")),
    ),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"x-pixel-token"}),
)
