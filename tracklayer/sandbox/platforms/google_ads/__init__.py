"""Google's Data Manager API v1 and the old upload of the Google Ads API, as they answer; with Google's token endpoint.

Source: Google for Developers, Data Manager API: "Send events", "Format user data", "Limits and quotas", error reasons of
package google-ads-datamanager 0.9.4; Google Ads API v26: conversion upload and adjustment services. Read 2026-11-23. The
Data Manager API refuses a request whole for one bad event, the old upload row by row. Tokens ``bad-token`` and
``expired-token`` are refused, as refresh tokens too, and so is the client secret ``bad-secret``; ``foreign-token`` has no
access (403), and neither has anybody to the account 0000000000; 9999999999 is not allowed the old upload, 0 is no
conversion action. Assertions of service accounts are not verified. Stricter than Google is known to be, so that a slip is seen here: empty values are refused, and so are parts
of an address. What becomes of an accepted event in the hours after is not here.
"""

from __future__ import annotations

import re

from tracklayer.sandbox.platforms.base import Answer, Call, Platform, Route, html_answer, json_answer
from tracklayer.sandbox.platforms.google_ads.data_manager import answer_events
from tracklayer.sandbox.platforms.google_ads.google_ads_api import OLD_PATTERN, answer_old_upload
from tracklayer.sandbox.platforms.google_ads.shared import (
    FOREIGN_TOKENS,
    REFUSED_TOKENS,
    STATUS_NAMES,
    TOKEN_PATH,
    answer_credentials_refused,
    answer_error,
)

REFUSED_CLIENT_SECRETS = frozenset({"bad-secret"})


def answer_token(call: Call) -> Answer:
    """``POST https://oauth2.googleapis.com/token``: a refresh token, or a service account's assertion."""
    form = call.form()
    if form.get("grant_type") == "refresh_token":
        token = form.get("refresh_token", "")
        secret = form.get("client_secret", "")
        if not (form.get("client_id") and secret) or secret in REFUSED_CLIENT_SECRETS:
            return json_answer(401, {"error": "invalid_client", "error_description": "The OAuth client was not found."})
        if not token or token in REFUSED_TOKENS:
            return answer_credentials_refused(call)
        granted = token if token in FOREIGN_TOKENS else f"sandbox-token-{call.serial}"
    elif form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
        if len(form.get("assertion", "").split(".")) != 3:
            return json_answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        granted = f"sandbox-token-{call.serial}"
    else:
        return json_answer(400, {"error": "unsupported_grant_type"})
    return json_answer(200, {"access_token": granted, "expires_in": 3599, "token_type": "Bearer"})


def answer_no_route(call: Call) -> Answer:
    return html_answer(404)


def answer_rate_limited(call: Call, retry_after: int | None) -> Answer:
    """The old API tells the delay in the body."""
    details = []
    if retry_after is not None and "/customers/" in call.path:
        quota = {"quotaErrorDetails": {"retryDelay": f"{retry_after}s"}}
        code = {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}
        details = [{"errors": [{"errorCode": code, "message": "Too many requests.", "details": quota}]}]
    error = {"code": 429, "message": "Resource has been exhausted.", "status": STATUS_NAMES[429], "details": details}
    return json_answer(429, {"error": error})


def answer_server_error(call: Call, status: int) -> Answer:
    return html_answer(status) if status == 502 else answer_error(call, status, "The request could not be served.")


PLATFORM = Platform(
    title="Google Ads",
    routes=(
        Route("POST", re.compile(TOKEN_PATH), answer_token),
        Route("POST", re.compile(r"/v1/events:ingest"), answer_events),
        Route("POST", re.compile(OLD_PATTERN, re.ASCII), answer_old_upload),
    ),
    no_route=answer_no_route,
    rate_limited=answer_rate_limited,
    server_error=answer_server_error,
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"client_id"}),
)
