"""``/session``: a person signs in (POST), asks who is signed in (GET), signs out (DELETE).

The session is a cookie that no script reads. Each of the three counts only from a page of the dashboard's own
(``domain.site``), so that no other page signs anybody in, out, or learns who is there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracklayer.buckets import Buckets
from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door, run_in_db_thread
from tracklayer.domain.address import caller_at
from tracklayer.domain.json_text import read_json
from tracklayer.domain.node_id import node_id
from tracklayer.domain.text import without_invisible
from tracklayer.domain.wire import RETRY_AFTER_SECONDS
from tracklayer.runtime import Runtime
from tracklayer.services.merchants import SCOPES, hash_of_key
from tracklayer.services.sign_in import (
    SESSION_LIFETIME,
    Person,
    is_known_session,
    likeliest,
    may_sign_in,
    sign_in_with_code,
    sign_in_with_key,
    sign_out,
    who_is_there,
)
from tracklayer.web.hosts import MISDIRECTED, site_of, wrong_host

MAX_BODY = 4 * 1024  # bytes
TRIES, ALL_TRIES = (
    10,
    600,
)  # to sign in, in vain, a minute: from one address, and from all; who signs in never waits for them
LOOKUPS, ALL_LOOKUPS = 50, 500  # of keys and codes, a second: from one address, and from all
BEGUN = 30  # sessions that one key begins in a minute
LOOKS, LOOKS_AT_ONCE = 5, 100  # a second from one address: at sessions that this process has not seen
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

NOT_OURS = "Only a page of TrackLayer's own dashboard can sign in or out: open it in your browser."
NOT_SIGNED_IN = "You are not signed in."
BAD_KEY = "This API key is unknown or was revoked."
BAD_CODE = (
    "This link was used already, or is older than 15 minutes, or was made for another installation. `tracklayer sign-in` prints a "
    "new one, where it has the TRACKLAYER_DATA_DIR or TRACKLAYER_DATABASE_URL of this one."
)
AWAY = "The database is away, so nobody can be signed in or out now. Try again in a moment."


class RefusedError(Exception):
    """An answer that is an error: its status, its code, what to tell the person."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def session_routes(runtime: Runtime, now: Callable[[], float] = time.monotonic) -> list[Route]:
    """``now``: seconds, for the limits."""
    return [Route("/session", SessionDoor(runtime, now).answer, methods=["GET", "POST", "DELETE"], name="session")]


class SessionDoor:
    """Of one process, on its event loop."""

    def __init__(self, runtime: Runtime, now: Callable[[], float]) -> None:
        self._runtime = runtime
        self._now = now
        self._tries = Buckets(TRIES / 60, TRIES)
        self._all_tries = Buckets(ALL_TRIES / 60, ALL_TRIES)
        self._begun = Buckets(BEGUN / 60, BEGUN)
        # Keys and codes cannot be guessed: looking them up is bounded for the database's sake alone.
        self._lookups = Buckets(LOOKUPS)
        self._all_lookups = Buckets(ALL_LOOKUPS)
        self._looks = Buckets(LOOKS, LOOKS_AT_ONCE)

    async def answer(self, request: Request) -> Response:
        try:
            why = wrong_host(request)
            if why is not None:
                raise RefusedError(MISDIRECTED, "WRONG_HOST", why)
            if not site_of(request).is_own(request.headers.raw):
                raise RefusedError(403, "FORBIDDEN", NOT_OURS)
            if request.method == "POST":
                return await self._sign_in(request)
            if request.method == "DELETE":
                return await self._sign_out(request)
            return await self._who(request)
        except RefusedError as refusal:
            return _refused(refusal)
        except DatabaseAwayError:
            return _refused(RefusedError(503, "UNAVAILABLE", AWAY, **{"retry-after": str(RETRY_AFTER_SECONDS)}))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody gets it

    async def _sign_in(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "BAD_REQUEST", "Send JSON: Content-Type: application/json.")
        address = _address(request)
        sent = _credentials(await _body(request))
        kind, given = next(iter(sent.items()))
        if not may_sign_in(kind, given):
            self._count_vain(address)
            raise RefusedError(401, "UNAUTHENTICATED", BAD_KEY if kind == "key" else BAD_CODE)
        if kind == "key":
            self._admit(self._begun, hash_of_key(given), "This key has signed in too often")
        self._admit(self._lookups, address, "Too many tries to sign in")
        self._admit(self._all_lookups, "", "Too many tries to sign in")
        before = self._sessions(request)
        enter = sign_in_with_key if kind == "key" else sign_in_with_code
        begun = await run_in_db_thread(enter, self._runtime, given, before)
        if begun is None:
            self._count_vain(address)
            raise RefusedError(401, "UNAUTHENTICATED", BAD_KEY if kind == "key" else BAD_CODE)
        value, person = begun
        lifetime = int(SESSION_LIFETIME.total_seconds())
        return JSONResponse(_told(person), headers={**HEADERS, "set-cookie": _cookie(request, value, lifetime)})

    async def _who(self, request: Request) -> Response:
        there = []
        for session in self._sessions(request):
            if not is_known_session(self._runtime, session):
                self._admit(self._looks, _address(request), "Too many requests")
            person = await ask_at_the_door(who_is_there, self._runtime, session)
            if person is not None:
                there.append(person)
        if len(there) != 1:  # as where the API is asked
            raise RefusedError(401, "UNAUTHENTICATED", NOT_SIGNED_IN)
        return JSONResponse(_told(there[0]), headers=HEADERS)

    def _sessions(self, request: Request) -> list[str]:
        return likeliest(self._runtime, site_of(request).sessions_in(request.headers.raw))

    async def _sign_out(self, request: Request) -> Response:
        for session in self._sessions(request):
            await run_in_db_thread(sign_out, self._runtime, session)
        # What the browser was told to keep of the dashboard goes; answers with data it was told not to keep.
        ended = {"set-cookie": _cookie(request, "", 0), "clear-site-data": '"storage"'}
        return Response(status_code=204, headers={**HEADERS, **ended})

    def _admit(self, buckets: Buckets, whose: Hashable, what: str) -> None:
        wait = buckets.take(whose, 1, self._now())
        if wait:
            raise _limited(what, wait)

    def _count_vain(self, address: str) -> None:
        """Only what was wrong is counted, and only what is wrong is told to wait: who has a key, or a link, may share the
        address with whoever guesses, and behind a proxy all do.
        """
        self._admit(self._tries, address, "Too many tries to sign in")
        self._admit(self._all_tries, "", "Too many tries to sign in")


async def _body(request: Request) -> bytes:
    """Raises RefusedError for one that is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            message = f"The body may have {MAX_BODY:,} bytes."
            raise RefusedError(413, "TOO_LARGE", message, connection="close")  # the rest of it is not read
    return body


def _credentials(body: bytes) -> Mapping[str, str]:
    """``{"key": ...}`` or ``{"code": ...}``. Raises RefusedError for anything else."""
    try:
        sent = read_json(body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict) or set(sent) not in ({"key"}, {"code"}):
        raise RefusedError(400, "BAD_REQUEST", 'Send {"key": "tl_..."} or {"code": "..."}.')
    ((name, value),) = sent.items()
    if not isinstance(value, str):
        raise RefusedError(400, "BAD_REQUEST", f"The {name} must be text.")
    return {name: without_invisible(value).strip()}


def _told(person: Person) -> dict[str, Any]:
    merchant = {"id": node_id("Merchant", person.merchant_id), "name": person.merchant_name}
    return {"merchant": merchant, "scopes": [scope.upper() for scope in SCOPES if scope in person.scopes]}


def _cookie(request: Request, value: str, lifetime: int) -> str:
    """``lifetime``: seconds; 0 takes it away."""
    site = site_of(request)
    secure = "; Secure" if site.is_secure else ""
    return f"{site.cookie.decode()}={value}; Max-Age={lifetime}; Path=/; HttpOnly; SameSite=Lax{secure}"


def _address(request: Request) -> str:
    return caller_at(request.client.host) if request.client is not None else ""


def _limited(what: str, wait: float) -> RefusedError:
    seconds = max(1, math.ceil(wait))
    return RefusedError(429, "RATE_LIMITED", f"{what}. Try again in {seconds} s.", **{"retry-after": str(seconds)})


def _refused(refusal: RefusedError) -> Response:
    error = {"code": refusal.code, "message": refusal.message}
    return JSONResponse({"error": error}, refusal.status, {**HEADERS, **refusal.headers})
