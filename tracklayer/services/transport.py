"""The only outgoing platform call: adds credentials, times out, turns errors into values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from tracklayer.domain.delivery import (
    Auth,
    BearerToken,
    BodyToken,
    HeaderToken,
    NoAnswer,
    NoAuth,
    NotSent,
    PlatformReply,
    PlatformRequest,
    QueryToken,
    Reply,
)

MAX_REPLY = 4 * 1024 * 1024  # bytes; a thousand items' worth of errors is far below
USER_AGENT = "TrackLayer/0.1"


def send(http: httpx.Client, platform: str, request: PlatformRequest, sandbox_url: str | None = None) -> Reply:
    """The platform's answer, or what became of the attempt to get one. Never raises for what a network does.

    With ``sandbox_url`` the call goes to ``{sandbox_url}/{platform}{path}`` instead of the platform's own host.
    """
    url = request.url if sandbox_url is None else _redirected(sandbox_url, platform, request.url)
    headers, params, body = _signed(request.auth, request)
    try:
        with http.stream(
            request.method, url, params=params or None, content=orjson.dumps(body), headers=headers
        ) as response:
            content = _read(response)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
        return NotSent(_words(error))
    except httpx.TimeoutException:
        return NoAnswer("no answer in time")
    except httpx.HTTPError as error:
        return NoAnswer(_words(error))
    if content is None:
        return NoAnswer("the answer was too long to be one")
    return PlatformReply(
        response.status_code,
        _json(content),
        {name.lower(): value for name, value in response.headers.items()},
        content[:2000].decode("utf-8", "replace"),
    )


def _read(response: httpx.Response) -> bytes | None:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_REPLY:
            return None
    return bytes(content)


def _redirected(sandbox_url: str, platform: str, url: str) -> str:
    parts = urlsplit(url)
    return f"{sandbox_url}/{platform}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _signed(auth: Auth, request: PlatformRequest) -> tuple[dict[str, str], dict[str, str], Any]:
    """(headers, query parameters, body) with the credentials where the platform wants them."""
    headers = {"content-type": "application/json", "user-agent": USER_AGENT, **request.headers}
    match auth:
        case NoAuth():
            return headers, {}, request.body
        case BearerToken(token=token):
            return {**headers, "authorization": f"Bearer {token}"}, {}, request.body
        case HeaderToken(name=name, token=token):
            return {**headers, name: token}, {}, request.body
        case QueryToken(name=name, token=token):
            return headers, {name: token}, request.body
        case BodyToken(name=name, token=token):
            body: Mapping[str, Any] = request.body
            return headers, {}, {**body, name: token}
    raise NotImplementedError(type(auth).__name__)


def _words(error: Exception) -> str:
    """The kind of error only: a message may quote the URL."""
    words: dict[type[Exception], str] = {
        httpx.ConnectError: "the connection failed",
        httpx.ConnectTimeout: "the connection timed out",
        httpx.RemoteProtocolError: "the connection was cut before the answer",
        httpx.ReadError: "the connection was cut while reading the answer",
        httpx.WriteError: "the connection was cut while sending",
    }
    return words.get(type(error), f"the connection failed ({type(error).__name__})")


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
