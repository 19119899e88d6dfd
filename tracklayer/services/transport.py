"""The only outgoing platform call: adds credentials, times out, turns errors into values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt
import oauthlib.oauth1
import orjson

from tracklayer import files
from tracklayer.clock import Clock, SystemClock, elapsed
from tracklayer.domain.delivery import (
    NO_ANSWER_IN_TIME,
    BearerToken,
    BodyToken,
    HeaderToken,
    NoAnswer,
    NoAuth,
    NotSent,
    OAuth1,
    PlatformReply,
    PlatformRequest,
    QueryToken,
    RefreshedToken,
    Reply,
    ServiceAccount,
    TokenRefused,
)
from tracklayer.tokens import AccessToken, TokenCache

MAX_REPLY = 4 * 1024 * 1024  # bytes; a thousand items' worth of errors is far below
ALL_PATIENCE = 6  # times the client's limit for one part of an answer: what a call may take with its tokens, so that its lease lasts longer
USER_AGENT = "TrackLayer/0.1"
DEFAULT_LIFETIME = 3600  # seconds, where a token endpoint does not say (RFC 6749, 5.1 recommends that it does)
LONGEST_LIFETIME = 24 * 3600  # seconds; whatever it says, a token that is good no more is refused and fetched anew
ASSERTION_LIFETIME = timedelta(minutes=60)  # the longest Google takes: "Using OAuth 2.0 for Server to Server"

# Nothing of the request has left: no connection, or a proxy that makes none.
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class _TokenFailedError(Exception):
    """No access token: ``reply`` says why, as if the platform itself had answered."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class NotWrittenError(Exception):
    """A fault of ours in writing or signing a request: nothing left."""


class _UnsendableError(Exception):
    """A credential was pasted with something else."""


def send(
    http: httpx.Client,
    platform: str,
    request: PlatformRequest,
    sandbox_url: str | None = None,
    tokens: TokenCache | None = None,
    may_leave: Callable[[], bool] | None = None,
) -> Reply:
    """The platform's answer, or what became of the attempt to get one. Never raises for what a network does.

    With ``sandbox_url`` every call, a token endpoint's too, goes to ``{sandbox_url}/{platform}{path}``. A bearer token
    that was kept and is refused with 401 is fetched anew, and the request repeated, once, as long as there is time. What
    is signed is signed by the clock of ``tokens``. ``may_leave`` is asked in the moment before the request leaves, behind the
    token and the connection: where it says no, nothing is sent.
    """
    auth = request.auth
    cache = tokens if tokens is not None else TokenCache(SystemClock())
    clock = cache.clock
    if not isinstance(auth, RefreshedToken | ServiceAccount):
        return _call(http, clock, platform, request, sandbox_url, None, may_leave)
    ends = elapsed() + ALL_PATIENCE * (http.timeout.read or 0)
    key = _key(auth)
    try:
        token = cache.get(key, lambda: _fetch(http, clock, platform, auth, sandbox_url))
        if elapsed() > ends:
            return NotSent("a token took too long to get")
        reply = _call(http, clock, platform, request, sandbox_url, token, may_leave)
        # Where that took long, the refusal is the answer: nobody may still be sending when the lease has run out.
        if isinstance(reply, PlatformReply) and reply.status == 401 and elapsed() < ends:
            cache.forget(key, token)
            token = cache.get(key, lambda: _fetch(http, clock, platform, auth, sandbox_url))
            if elapsed() < ends:
                reply = _call(http, clock, platform, request, sandbox_url, token, may_leave)
    except _TokenFailedError as failed:
        return failed.reply
    return reply


def _call(
    http: httpx.Client,
    clock: Clock,
    platform: str,
    request: PlatformRequest,
    sandbox_url: str | None,
    token: str | None,
    may_leave: Callable[[], bool] | None,
) -> Reply:
    try:
        headers, params, body = _signed(request, token, clock.now())
        content = orjson.dumps(body)
    except Exception as error:
        raise NotWrittenError from error
    url = _redirected(sandbox_url, platform, request.url)
    reply = _exchange(http, clock, request.method, url, params, content, headers, may_leave)
    return replace(reply, url=request.url) if isinstance(reply, PlatformReply) else reply


def _exchange(
    http: httpx.Client,
    clock: Clock,
    method: str,
    url: str,
    params: Mapping[str, str],
    content: bytes,
    headers: Mapping[str, str],
    may_leave: Callable[[], bool] | None = None,
) -> Reply:
    try:
        # Added by hand: httpx would replace the query that the URL has already, or encode anew what stands in it.
        target = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        asked = {"may_leave": may_leave}
        with http.stream(method, target, content=content, headers=_headers(headers), extensions=asked) as response:
            answer = _read(response)
    except _UnsendableError:
        return NotSent("a setting holds a character that no request can carry", is_of_merchant=True)
    except _BEFORE_SENDING as error:
        if files.are_wanting(error):
            return NotSent(files.NONE_LEFT, is_ours=True)
        return NotSent(_words(error))
    except httpx.TimeoutException:
        return NoAnswer(NO_ANSWER_IN_TIME)
    except httpx.HTTPError as error:
        return NoAnswer(_words(error))
    if answer is None:
        return NoAnswer("the answer was too long to be one")
    return PlatformReply(
        response.status_code,
        _json(answer),
        {name.lower(): value for name, value in response.headers.items()},
        answer[:2000].decode("utf-8", "replace"),
        clock.now(),
    )


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    """Raises _UnsendableError for what no header can hold, before anything leaves: the client would not tell so."""
    if not all(value.isascii() and value.isprintable() for value in given.values()):
        raise _UnsendableError
    return dict(given)


def _read(response: httpx.Response) -> bytes | None:
    """The body; None of one that is too long, or may be: what is packed twice could be of any size."""
    if "," in response.headers.get("content-encoding", ""):
        return None
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_REPLY:
            return None
    return bytes(content)


def _redirected(sandbox_url: str | None, platform: str, url: str) -> str:
    if sandbox_url is None:
        return url
    parts = urlsplit(url)
    return f"{sandbox_url}/{platform}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def _signed(request: PlatformRequest, fetched: str | None, now: datetime) -> tuple[dict[str, str], dict[str, str], Any]:
    """(headers, query parameters, body) with the credentials where the platform wants them."""
    headers = {"content-type": "application/json", "user-agent": USER_AGENT, **request.headers}
    match request.auth:
        case NoAuth():
            return headers, {}, request.body
        case BearerToken(token=token):
            return {**headers, "authorization": f"Bearer {token}"}, {}, request.body
        case RefreshedToken() | ServiceAccount():
            return {**headers, "authorization": f"Bearer {fetched}"}, {}, request.body
        case HeaderToken(name=name, token=token):
            return {**headers, name: token}, {}, request.body
        case QueryToken(name=name, token=token):
            return headers, {name: token}, request.body
        case BodyToken(name=name, token=token):
            body: Mapping[str, Any] = request.body
            return headers, {}, {**body, name: token}
        case OAuth1() as keys:
            # Every platform call is a POST. Signed for the platform's own address, which is what it checks; a JSON body is not part of it (RFC 5849).
            signer = oauthlib.oauth1.Client(
                keys.consumer_key,
                keys.consumer_secret,
                keys.token,
                keys.token_secret,
                timestamp=str(int(now.timestamp())),
            )
            _, signed, _ = signer.sign(request.url, "POST")
            return {**headers, "authorization": signed["Authorization"]}, {}, request.body


def _key(auth: RefreshedToken | ServiceAccount) -> str:
    if isinstance(auth, RefreshedToken):
        parts: Any = [auth.token_url, sorted(auth.form.items())]
    else:
        parts = [auth.scope, sorted((name, str(value)) for name, value in auth.key.items())]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _fetch(
    http: httpx.Client, clock: Clock, platform: str, auth: RefreshedToken | ServiceAccount, sandbox_url: str | None
) -> AccessToken:
    """A fresh access token. Raises _TokenFailedError."""
    if isinstance(auth, RefreshedToken):
        url, form = auth.token_url, dict(auth.form)
    else:
        url = str(auth.key.get("token_uri") or "https://oauth2.googleapis.com/token")
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": _assertion(auth, url, clock.now()),
        }
    headers = {"content-type": "application/x-www-form-urlencoded", "user-agent": USER_AGENT}
    content = str(httpx.QueryParams(form)).encode()
    reply = _exchange(http, clock, "POST", _redirected(sandbox_url, platform, url), {}, content, headers)
    if not isinstance(reply, PlatformReply):
        # Whatever became of the token request, the events themselves never left.
        if isinstance(reply, NotSent) and reply.is_ours:
            raise _TokenFailedError(reply)
        raise _TokenFailedError(NotSent(f"no access token: {reply.reason}"))  # type: ignore[union-attr]
    given = reply.json if isinstance(reply.json, Mapping) else {}
    token, lifetime = given.get("access_token"), given.get("expires_in")
    if reply.status == 200 and isinstance(token, str) and token:
        seconds = lifetime if isinstance(lifetime, int | float) and lifetime > 0 else DEFAULT_LIFETIME
        return AccessToken(token, timedelta(seconds=min(seconds, LONGEST_LIFETIME)))
    if reply.status in (400, 401, 403):
        code = given.get("error")
        # RFC 6749, 5.2, has short words for it; anything else could be anything, what was sent too.
        is_word = isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", code)
        raise _TokenFailedError(TokenRefused(str(code) if is_word else str(reply.status), reply.status))
    raise _TokenFailedError(NotSent(f"no access token: the token endpoint answered {reply.status}"))


def _assertion(auth: ServiceAccount, audience: str, now: datetime) -> str:
    """A JWT signed with the account's private key. Raises _TokenFailedError where the key is none."""
    claims = {
        "iss": auth.key.get("client_email"),
        "scope": auth.scope,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int((now + ASSERTION_LIFETIME).timestamp()),
    }
    try:
        return jwt.encode(
            claims, str(auth.key.get("private_key", "")), "RS256", headers={"kid": auth.key.get("private_key_id")}
        )
    except (ValueError, TypeError, jwt.PyJWTError):
        raise _TokenFailedError(TokenRefused("invalid_key", None)) from None


def _words(error: Exception) -> str:
    """The kind of error only: a message may quote the URL."""
    words: dict[type[Exception], str] = {
        httpx.ConnectError: "the connection failed",
        httpx.ConnectTimeout: "the connection timed out",
        httpx.ProxyError: "the proxy made no connection",
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
