"""What both APIs of Google's share: who is let in, how an error is worded, and values that both check."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from tracklayer.sandbox.platforms.base import Answer, Call, json_answer
from tracklayer.sandbox.platforms.checks import matching

MOST_EVENTS = 2000
TOKEN_PATH = "/token"  # noqa: S105 - a path
REFUSED_TOKENS = frozenset({"bad-token", "expired-token"})
FOREIGN_TOKENS = frozenset({"foreign-token"})
CLOSED_ACCOUNT = "0000000000"
STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

CURRENCY = matching(r"[A-Z]{3}", " must be a currency code of three capitals")


def int64(value: object) -> str | None:
    """A whole number, or one written as text: both are JSON of an int64."""
    is_text = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value)
    return None if is_text or type(value) is int else " must be a whole number"


def answer_credentials_refused(call: Call) -> Answer:
    """The token endpoint speaks OAuth 2.0 (RFC 6749, 5.2), everything else Google's own way."""
    if call.path == TOKEN_PATH:
        words = "Token has been expired or revoked."
        return json_answer(400, {"error": "invalid_grant", "error_description": words})
    return answer_error(call, 401, "Request had invalid authentication credentials.", "ACCESS_TOKEN_EXPIRED")


def token_refusal(call: Call) -> Answer | None:
    token = call.bearer()
    if token is None or token in REFUSED_TOKENS:
        return answer_credentials_refused(call)
    if token in FOREIGN_TOKENS:
        return answer_error(call, 403, "The caller does not have permission.", "PERMISSION_DENIED")
    return None


def is_time(given: str) -> bool:
    """Digits that are a date and a time of day; fractions finer than Python's count too."""
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", given))
    except ValueError:
        return False
    return True


def answer_error(call: Call, status: int, message: str, reason: str | None = None) -> Answer:
    details = [error_info(call, reason)] if reason else []
    error = {"code": status, "message": message, "status": STATUS_NAMES.get(status, "INTERNAL"), "details": details}
    return json_answer(status, {"error": error})


def error_info(call: Call, reason: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "datamanager.googleapis.com",
        "metadata": {"requestId": request_id(call)},
    }


def request_id(call: Call) -> str:
    return f"t-sandbox-{call.serial}"
