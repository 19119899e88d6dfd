"""``GET /tl.js`` and ``POST /t``: what shops' pages load, and where it tells which click led to them.

Public: whoever has a shop's page can call. So a call tells of its own browser alone, names a merchant by a key that opens
nothing else, and is refused early and cheaply where it is too large, too frequent, of another origin, or of nobody's key.
``/t`` takes JSON as text, so that no page asks beforehand:

``{"m": public key, "s": "granted" | "denied" | null, "q": whether the tag asks for consent first, "i": whether the page wants
the browser's id, "p": {parameter: value}, "c": {cookie: value}}``

and answers 204, or 200 with ``{"browserId": text or null}``. Both mean that what was to be kept is committed; 503 means that it
may not be, and that the page should tell it again. The cookie is given with either.
"""

from __future__ import annotations

import gzip
import hashlib
import ipaddress
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any

from starlette.types import Receive, Scope, Send

from tracklayer.buckets import Buckets
from tracklayer.clock import elapsed
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.db.lateness import arrival
from tracklayer.domain.address import networks
from tracklayer.domain.collector import (
    COOKIE,
    REFUSED,
    REFUSED_FOR,
    Verdict,
    cookie_header,
    ends_of_others,
    is_browser_id,
    is_one_site,
    is_public_key,
    judge_call,
    ours_of,
)
from tracklayer.domain.identifiers import machine_address
from tracklayer.domain.json_text import read_json, write_json
from tracklayer.domain.shown import MAX_KINDS, MAX_VALUE, seen_in
from tracklayer.domain.wire import RETRY_AFTER_SECONDS
from tracklayer.runtime import Runtime
from tracklayer.services.collect import (
    ANSWER_SECONDS,
    Call,
    Collection,
    Directory,
    Named,
    Outcome,
    OverloadedError,
    new_browser_id,
)
from tracklayer.web.docs import HERE

log = logging.getLogger(__name__)

SCRIPT = HERE / "static" / "tl.js"
MAX_BODY = 4 * 1024  # bytes
OF_ADDRESS = 60  # calls a minute of one address, or of one IPv6 /64
# Calls a minute of one merchant from one IPv4 /24 or IPv6 /48: a carrier has many customers behind each.
OF_NETWORK = 1_200
OF_MERCHANT = 5_000  # calls a second of all pages of a merchant
# New browsers a minute of a merchant, and how many at once: of a shop with 250 million visitors a month, and its campaign.
NEW_OF_MERCHANT, NEW_AT_ONCE = 6_000, 60_000
ADDRESSES = 50_000  # that are remembered, and as many networks
TELL_SECONDS = 600.0  # between two lines of the log about pages of another site
FOR_EVER = b"public, max-age=31536000, immutable"
FOR_AN_HOUR = b"public, max-age=3600, stale-while-revalidate=86400"

# Programs that visit pages for no person: they would make a browser at every call.
_BOTS = re.compile(
    r"(?<!cu)bot\b|bot[/_;]|crawl|spider|slurp|headless|lighthouse|pagespeed|gtmetrix|pingdom|uptime|phantom|puppeteer|playwright"
    r"|selenium|facebookexternalhit|embedly|preview|scrap|\bcurl|wget|python|httpclient|okhttp|go-http|libwww|^java/|axios|node-fetch",
    re.IGNORECASE,
)
_AGENT = re.compile(rf"[ -~]{{1,{MAX_VALUE}}}")
_WANTED = frozenset(
    (b"host", b"origin", b"user-agent", b"sec-purpose", b"purpose", b"sec-gpc", b"content-length", b"if-none-match")
)
_ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_POLICY = b"default-src 'none'; frame-ancestors 'none'"

Headers = list[tuple[bytes, bytes]]


class RefusedError(Exception):
    """An answer without anything: its status and headers."""

    def __init__(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers


@dataclass(slots=True)
class _Asked:
    """A call as it came. ``held``: the cookie's values that are of our form, as the browser orders them."""

    host: str
    origin: str
    agent: str
    address: str
    held: Sequence[str]
    opts_out: bool
    is_speculative: bool
    is_secure: bool
    length: int


@dataclass(slots=True)
class _Cookies:
    """What the answer to a call of the collector's own site sets."""

    asked: _Asked
    domain: str | None
    lifetime: timedelta

    def of(self, value: str | None) -> Headers:
        """None: the cookie goes, and nothing need be remembered in its place."""
        lifetime = min(self.lifetime, REFUSED_FOR) if value == REFUSED else self.lifetime
        cookie = cookie_header(
            value or "", lifetime if value else timedelta(0), self.domain, is_secure=self.asked.is_secure
        )
        ends = ends_of_others(self.asked.host, self.domain) if len(self.asked.held) > 1 else ()
        return [(b"set-cookie", one.encode()) for one in (*ends, cookie)]


class CollectorDoor:
    """Of one process, on its event loop. ``now``: seconds, for the limits. ``answer_seconds``: that a call waits for its commit."""

    def __init__(
        self, runtime: Runtime, now: Callable[[], float] = elapsed, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.directory, self.collection = Directory(runtime), Collection(answer_seconds)
        self._runtime = runtime
        self._now = now
        self._addresses = Buckets(OF_ADDRESS / 60, OF_ADDRESS, ADDRESSES)
        self._networks = Buckets(OF_NETWORK / 60, OF_NETWORK, ADDRESSES)
        self._merchants = Buckets(OF_MERCHANT, OF_MERCHANT)
        self._new = Buckets(NEW_OF_MERCHANT / 60, NEW_AT_ONCE)
        self._told_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``/tl.js`` or ``/t``."""
        if scope["path"] == "/tl.js":
            await _script(scope, send)
            return
        headers: Headers = []
        body = b""
        try:
            status, body = await self._take(scope, receive, headers)
        except RefusedError as refusal:
            status = refusal.status
            headers += refusal.headers
        except (DatabaseAwayError, OverloadedError):
            status = 503
            headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
        headers += _ALWAYS
        headers.append((b"cache-control", b"no-store"))
        headers.append((b"cross-origin-resource-policy", b"same-site"))
        if status != 204:
            headers.append((b"content-length", str(len(body)).encode()))
        if body:
            headers.append((b"content-type", b"application/json"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive, headers: Headers) -> tuple[int, bytes]:
        """(status, body); what goes into the answer whatever becomes of it is put into ``headers``."""
        if scope["method"] != "POST":
            raise RefusedError(405, (b"allow", b"POST"))
        asked = _read(scope)
        own, network = networks(asked.address)
        _limit(self._addresses.take(own, 1, self._now()))
        text = await _body(asked.length, receive)
        if asked.is_speculative or _is_no_visitor(asked.agent):
            return 204, b""
        sent = _call_in(text)
        named = await self._named(sent.get("m"))
        if asked.origin not in named.collector.origins:
            raise RefusedError(403)
        headers += [
            (b"access-control-allow-origin", asked.origin.encode()),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        ]
        _limit(self._networks.take((named.merchant_id, network), 1, self._now()))
        _limit(self._merchants.take(named.merchant_id, 1, self._now()))
        browser_id = await self._keep(asked, sent, named, headers)
        if sent.get("i") is True:
            return 200, write_json({"browserId": browser_id})
        return 204, b""

    async def _named(self, public_key: Any) -> Named:
        """Raises RefusedError where it names nobody who collects."""
        if not isinstance(public_key, str) or not is_public_key(public_key):
            raise RefusedError(404)
        named = self.directory.recall(public_key, elapsed()) or await self.directory.find(public_key)
        if named is None or not named.collector.enabled:
            raise RefusedError(404)
        return named

    async def _keep(self, asked: _Asked, sent: Mapping[str, Any], named: Named, headers: Headers) -> str | None:
        """The browser's id, where anything is kept of it."""
        said = sent.get("s")
        domain = named.collector.domain_at(asked.host)
        ours = ours_of(asked.held, asked.host, domain)
        browser = None if ours == REFUSED else ours
        verdict = judge_call(
            said if said in ("granted", "denied") else None,
            is_known=browser is not None,
            has_refused=ours == REFUSED or (ours is None and REFUSED in asked.held),
            must_ask=sent.get("q") is True or named.collector.consent_required,
            opts_out=asked.opts_out,
        )
        if verdict is Verdict.IGNORE:
            return None
        is_own = _is_one_site(asked.origin, asked.host)
        if not is_own:
            self._tell_of_another_site(named.merchant_id)
            if verdict is Verdict.TAKE and sent.get("i") is not True:
                return None  # nobody would ever know this browser again
        cookies = _Cookies(asked, domain, named.lifetime) if is_own else None
        if verdict is Verdict.TAKE:
            return await self._take_in(asked, sent, named, browser, cookies, headers)
        if verdict is Verdict.FORGET and browser is not None:
            # The id goes only once what is known of it is gone: else nobody could ask for that again.
            now = self._runtime.clock.now()
            call = Call(named.merchant_id, browser, now, "denied", forgets=True, mark=self._mark(named, browser))
            call.arrived = arrival(named.asked_at)
            await self.collection.keep(call)
        if cookies is not None:
            # What opts out by itself says it again at every call.
            headers += cookies.of(None if asked.opts_out else REFUSED)
        return None

    async def _take_in(
        self,
        asked: _Asked,
        sent: Mapping[str, Any],
        named: Named,
        browser: str | None,
        cookies: _Cookies | None,
        headers: Headers,
    ) -> str | None:
        """The browser's id; None where it turns out that nothing may be kept of it."""
        now = self._runtime.clock.now()
        merchant_id = named.merchant_id
        consent = "granted" if sent.get("s") == "granted" else None
        signals = [(seen.kind, seen.value, seen.since) for seen in seen_in(_map(sent, "p"), _map(sent, "c"), now)]
        signals += [(kind, text, now) for kind, text in _machine(asked)]
        signals = signals[:MAX_KINDS]
        value: str | None = browser
        try:
            if browser is not None:
                call = Call(merchant_id, browser, now, consent, signals, mark=self._mark(named, browser))
                call.arrived = arrival(named.asked_at)
                call.only_known = self._new.left(merchant_id, self._now()) < 1
                outcome = await self.collection.keep(call)
                if outcome is Outcome.KEPT_NEW:
                    self._new.charge(merchant_id, 1, self._now())
                elif outcome is Outcome.SUPPRESSED:
                    # The id stays, and is not renewed: by it alone the next call is known to be of whom nothing may be kept.
                    cookies, value = None, None
                elif outcome is Outcome.DENIED and consent is None:
                    value = None
                elif outcome is not Outcome.KEPT:  # a refused id stays refused, and an erased one is nobody's
                    browser = None
            if browser is None:
                _limit(self._new.take(merchant_id, 1, self._now()))
                value = new_browser_id()
                await self.collection.keep(Call(merchant_id, value, now, consent, signals))
        except RefusedError:
            cookies = None
            raise
        finally:
            # Also where it is not known whether it was kept: an id that nothing is known of does no harm, and the next call has it.
            if cookies is not None:
                headers += cookies.of(value or REFUSED)
        return value

    def _mark(self, named: Named, browser: str) -> bytes | None:
        """By which it is known whether a browser's person was erased."""
        if not named.is_marked:
            return None
        mark: bytes = self._runtime.marker.mark(named.merchant_id, f"browser_id:{browser}")
        return mark

    def _tell_of_another_site(self, merchant_id: int) -> None:
        now = self._now()
        if now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            log.warning(
                "pages call the collector under a name of another site, so they get no cookie: what passes /t on must keep "
                "the Host header (merchant %s)",
                merchant_id,
            )


_is_one_site = lru_cache(maxsize=4096)(is_one_site)


def _read(scope: Scope) -> _Asked:
    found: dict[bytes, bytes] = {}
    held: list[str] = []
    for name, value in scope["headers"]:
        if name in _WANTED:
            found.setdefault(name, value)
        elif name == b"cookie" and COOKIE.encode() in value:
            for part in value.decode("latin-1").split(";"):
                key, _, value = part.strip().partition("=")
                if key == COOKIE and (value == REFUSED or is_browser_id(value)):
                    held.append(value)
    origin = found.get(b"origin", b"").decode("latin-1")
    length = found.get(b"content-length", b"0")
    purpose = found.get(b"sec-purpose", b"") + found.get(b"purpose", b"")
    client = scope.get("client")
    return _Asked(
        host=_name(found.get(b"host", b"")),
        origin=origin,
        agent=found.get(b"user-agent", b"")[: MAX_VALUE + 1].decode("latin-1").strip(),
        address=machine_address(client[0]) or "" if client else "",
        held=held,
        opts_out=found.get(b"sec-gpc", b"").strip() == b"1",
        is_speculative=b"prefetch" in purpose or b"prerender" in purpose,
        # A page over https calls nothing that is not; behind a proxy the server itself may not know.
        is_secure=scope.get("scheme") == "https" or origin.startswith("https://"),
        length=int(length) if length.isdigit() and len(length) < 10 else MAX_BODY + 1,
    )


def _name(host: bytes) -> str:
    """Of a ``Host`` header, without its port; empty of one that is too long for a name."""
    text = host[:300].decode("latin-1").lower()
    name = text if text.endswith("]") else text.rpartition(":")[0] or text
    return name.removeprefix("[").removesuffix("]") if len(name) < 256 else ""


async def _body(length: int, receive: Receive) -> bytes:
    """Raises RefusedError for one that is too large: the rest of it is not read."""
    body = b""
    while length <= MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400)  # nobody gets it
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MAX_BODY:
            break
        if not message.get("more_body"):
            return body
    raise RefusedError(413, (b"connection", b"close"))


def _call_in(body: bytes) -> Mapping[str, Any]:
    try:
        sent = read_json(body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise RefusedError(400)
    return sent


def _map(sent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = sent.get(name)
    return found if isinstance(found, dict) else {}


def _machine(asked: _Asked) -> Sequence[tuple[str, str]]:
    """The address and the program that a visit comes from: both or none, and only of somebody on the internet."""
    address = _public(asked.address)
    if address is None or not _AGENT.fullmatch(asked.agent):
        return ()
    return (("client_ip", address), ("client_user_agent", asked.agent))


# What IPv4 addresses begin with of which all are somebody's: the others are looked at closely.
_EVERYBODYS = frozenset(str(first) for first in range(1, 224)) - frozenset("10 100 127 169 172 192 198 203".split())


# Looked at closely once: of both there are few, for how often they come. What is kept is a few megabytes.
def _public(text: str) -> str | None:
    """An address as ``machine_address`` has it, if it is somebody's on the internet."""
    return text if text.partition(".")[0] in _EVERYBODYS else _looked_at(text)


@lru_cache(maxsize=4096)
def _looked_at(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return str(address) if address.is_global else None


@lru_cache(maxsize=4096)
def _is_no_visitor(agent: str) -> bool:
    return not agent or _BOTS.search(agent) is not None


def _limit(wait: float) -> None:
    """Raises RefusedError where something is to be waited for, so many seconds."""
    if wait:
        raise RefusedError(429, (b"retry-after", str(max(1, math.ceil(wait))).encode()))


@cache
def _packed() -> tuple[bytes, bytes, str]:
    """The script as it is, packed, and its hash."""
    plain = SCRIPT.read_bytes()
    return plain, gzip.compress(plain, 9, mtime=0), hashlib.sha256(plain).hexdigest()[:16]


async def _script(scope: Scope, send: Send) -> None:
    """``/tl.js?m=KEY``, looked at anew every hour; with ``&v=HASH`` of its own for ever."""
    plain, small, mark = _packed()
    sent = dict(scope["headers"])
    body, headers, status = plain, list(_ALWAYS), 200
    headers += [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"cache-control", FOR_EVER if f"v={mark}".encode() in scope["query_string"].split(b"&") else FOR_AN_HOUR),
        (b"etag", f'"{mark}"'.encode()),
        (b"vary", b"accept-encoding"),
        (b"access-control-allow-origin", b"*"),
        # Any page may load it, those that are kept apart from other origins too: it is no secret.
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"content-security-policy", _POLICY),
    ]
    if scope["method"] not in ("GET", "HEAD"):
        body, headers, status = b"", [(b"allow", b"GET, HEAD")], 405
    elif f'"{mark}"'.encode() in sent.get(b"if-none-match", b""):
        body, status = b"", 304
    elif b"gzip" in sent.get(b"accept-encoding", b""):
        body = small
        headers.append((b"content-encoding", b"gzip"))
    if status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
