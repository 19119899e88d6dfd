"""What a merchant sets for its shop's pages, and what a call of theirs comes to. Values in, values out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from html import escape
from typing import Any, Self
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from tracklayer.domain.problem import Problem

COOKIE = "_tlb"
REFUSED = "0"  # what the cookie holds of a browser whose user refused: nothing that tells it from others
LONGEST = timedelta(days=400)  # browsers keep no cookie longer
REFUSED_FOR = timedelta(days=180)  # then one may be asked anew
MAX_ORIGINS = 20
MOST_NAMES = 6  # of a host and what it lies below, whose cookies are ended
MAX_ORIGIN = 253 + len("https://:65535")  # characters
HALF_IPV4, HALF_IPV6 = 16, 64  # bits of an address that Safari compares

_BROWSER_ID = re.compile(r"[0-9a-f]{32}")  # 128 random bits
_PUBLIC_KEY = re.compile(r"tlp_[A-Za-z0-9_-]{22}")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}

is_browser_id = _BROWSER_ID.fullmatch
is_public_key = _PUBLIC_KEY.fullmatch


@dataclass(frozen=True, slots=True)
class Collector:
    """``origins``: of the pages that may call. ``cookie_domain``: whose hosts share the cookie; None: the collector's own alone.
    ``consent_required``: nothing is kept of a browser before its user agreed.
    """

    enabled: bool = False
    origins: tuple[str, ...] = ()
    cookie_domain: str | None = None
    consent_required: bool = False

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Self:
        """From the column ``collector``."""
        if stored is None:
            return cls()
        return cls(
            bool(stored.get("enabled")),
            tuple(stored.get("origins") or ()),
            stored.get("cookie_domain"),
            bool(stored.get("consent_required")),
        )

    def stored(self) -> dict[str, Any]:
        return {
            "enabled": self.enabled,
            "origins": list(self.origins),
            "cookie_domain": self.cookie_domain,
            "consent_required": self.consent_required,
        }

    def domain_at(self, host: str) -> str | None:
        """The cookie's ``Domain`` in an answer under this host name; None: the exact host, as a browser would take no other."""
        domain = self.cookie_domain
        return domain if domain is not None and lies_within(host, domain) else None


def is_one_site(origin: str, host: str) -> bool:
    """Whether a page may be given a cookie by this host: both are one owner's. A browser takes none of another's in a page's
    call, but it does where the page sends a form there.
    """
    page = host_of(origin)
    if page == host:
        return bool(page)
    site = registrable(page)
    return site is not None and site == registrable(host)


def lifetime_of(retention_days: int) -> timedelta:
    """Of the cookie: it tells of nobody longer than what it names is kept."""
    return min(timedelta(days=retention_days), LONGEST)


class Verdict(Enum):
    TAKE = "take"  # what it shows is kept
    IGNORE = "ignore"  # nothing is kept, nothing is set
    FORGET = "forget"  # what is known of it goes
    REFUSE = "refuse"  # nothing is known of it, and its refusal is to be remembered


def judge_call(said: str | None, *, is_known: bool, has_refused: bool, must_ask: bool, opts_out: bool) -> Verdict:
    """What a call comes to. ``said``: granted or denied, by the page; None: it says nothing. ``is_known``: it brings an id of
    ours. ``has_refused``: it brings a refusal of before. ``must_ask``: the tag or the merchant wants consent first.
    ``opts_out``: the browser's own setting refuses (Sec-GPC), whatever a page says.
    """
    if opts_out or said == "denied":
        if is_known:
            return Verdict.FORGET
        return Verdict.IGNORE if opts_out or must_ask or has_refused else Verdict.REFUSE
    if said == "granted" or not (must_ask or has_refused):
        return Verdict.TAKE
    return Verdict.IGNORE


def changed(before: Collector, given: Mapping[str, Any]) -> Collector | list[Problem]:
    """The settings with ``given`` (enabled, origins, cookie_domain, consent_required) in place of what was; or what is wrong.

    Where nobody has named a cookie's domain, it is the one that all origins have in common; empty text or None: none.
    """
    problems = [
        Problem((name,), "REQUIRED", "Leave it out to keep it; it cannot be null.")
        for name in ("enabled", "consent_required")
        if name in given and given[name] is None
    ]
    origins = before.origins
    if "origins" in given:
        found = _origins(given["origins"] or ())
        if isinstance(found, list):
            problems += found
        else:
            origins = found
    domain = before.cookie_domain
    if "cookie_domain" in given:
        text = (given["cookie_domain"] or "").strip()
        domain = _plain_name(text.removeprefix(".")) if text else None
        if text and (wrong := _wrong_with_domain(domain, origins)):
            problems.append(Problem(("cookie_domain",), "INVALID_VALUE", wrong))
    elif origins != before.origins and (domain is None or not _within(domain, origins)):
        domain = _domain_of_all(origins)
    elif origins != before.origins and domain is not None and (outside := _outside(domain, origins)):
        message = (
            f"{outside[0]} does not lie within the cookie's domain, {domain}: set another domain, or none, with it."
        )
        problems.append(Problem(("origins",), "INVALID_VALUE", message))
    enabled = bool(given.get("enabled", before.enabled))
    if enabled and not origins and not problems:
        message = "Name the shop's own origins, such as https://www.shop.example.com: pages of others may not call."
        problems.append(Problem(("origins",), "REQUIRED", message))
    if problems:
        return problems
    return Collector(enabled, origins, domain, bool(given.get("consent_required", before.consent_required)))


def _origins(texts: Sequence[str]) -> tuple[str, ...] | list[Problem]:
    if len(texts) > MAX_ORIGINS:
        return [Problem(("origins",), "TOO_LARGE", f"There may be {MAX_ORIGINS} origins.")]
    found = [origin_of(text) for text in texts]
    message = "An origin must look like https://www.shop.example.com: without a path, and without a star."
    wrong = [
        Problem(("origins", str(place)), "INVALID_VALUE", message) for place, one in enumerate(found) if one is None
    ]
    return wrong or tuple(dict.fromkeys(one for one in found if one is not None))


def origin_of(text: str) -> str | None:
    """As a browser writes it in ``Origin``; None: it is none."""
    text = text.strip()
    if len(text) > MAX_ORIGIN or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port  # which may be none, too
    except ValueError:
        return None
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in _DEFAULT_PORTS or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    is_ipv6 = ":" in host and _address(host) is not None
    name = f"[{host}]" if is_ipv6 else _plain_name(host)
    if name is None:
        return None
    return f"{scheme}://{name}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{name}:{port}"


def host_of(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _plain_name(text: str) -> str | None:
    """A host name in lower case and ASCII; None: it is none."""
    try:
        name = text.lower() if text.isascii() else text.lower().encode("idna").decode()
    except UnicodeError:
        return None
    return name if _NAME.fullmatch(name) else None


def _wrong_with_domain(domain: str | None, origins: Sequence[str]) -> str | None:
    """A sentence that says what is wrong with a cookie's domain."""
    if domain is None or _address(domain) is not None:
        return "The cookie's domain must be a name such as shop.example.com."
    if registrable(domain) is None:
        return "Anybody can have a name below this one, so browsers share no cookie on it: name your own domain."
    if outside := _outside(domain, origins):
        return f"{outside[0]} does not lie within the cookie's domain, so its pages cannot have the cookie."
    return None


def _within(domain: str, origins: Sequence[str]) -> list[str]:
    return [origin for origin in origins if lies_within(host_of(origin), domain)]


def _outside(domain: str, origins: Sequence[str]) -> list[str]:
    return [origin for origin in origins if not lies_within(host_of(origin), domain)]


def _domain_of_all(origins: Sequence[str]) -> str | None:
    domains = {registrable(host_of(origin)) for origin in origins}
    return domains.pop() if len(domains) == 1 else None


def lies_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def registrable(host: str) -> str | None:
    """The domain that one owner has registered, by the public suffix list; None: an address, a single label, a suffix."""
    if _address(host) is not None:
        return None
    found: str | None = _suffixes().privatesuffix(host)
    return found


@cache
def _suffixes() -> PublicSuffixList:
    """Reading it takes a tenth of a second, once."""
    return PublicSuffixList()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def cookie_header(value: str, lifetime: timedelta, domain: str | None, *, is_secure: bool) -> str:
    """``Set-Cookie``; a lifetime of nothing takes the cookie away."""
    seconds = max(0, int(min(lifetime, LONGEST).total_seconds()))
    where = f"; Domain={domain}" if domain is not None else ""
    return (
        f"{COOKIE}={value}; Max-Age={seconds}{where}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if is_secure else ''}"
    )


def ours_of(held: Sequence[str], host: str, domain: str | None) -> str | None:
    """Of the values that a call brings of the cookie, in the browser's order, the one that this server set; None: it cannot be
    told. ``domain``: of the cookie, as this host sets it.

    Another host below the shop's domain can add cookies of this name, but not replace one that is ``HttpOnly`` by a script. On
    the registered domain itself, it can do so only with a longer path: browsers send that one first.
    """
    if len(set(held)) < 2 or (domain is not None and domain == registrable(host)):
        return held[-1] if held else None
    return None


def ends_of_others(host: str, domain: str | None) -> list[str]:
    """``Set-Cookie`` headers that end what others can have put beside the cookie, and leave that itself."""
    names = [host]
    while (site := registrable(host)) is not None and names[-1] != site and len(names) < MOST_NAMES:
        names.append(names[-1].partition(".")[2])
    return [
        f"{COOKIE}=; Max-Age=0{'' if name is None else f'; Domain={name}'}; Path={path}"
        for name in (None, *(names if registrable(host) else ()))
        for path in ("/", "/t")
        if (name, path) != (domain, "/")
    ]


def snippet(address: str, public_key: str, *, consent_required: bool) -> str:
    """The tag for the shop's pages. ``address``: of the collector, without a slash at the end."""
    asks = ' data-consent="required"' if consent_required else ""
    return f'<script src="{escape(address)}/tl.js?m={public_key}"{asks} defer></script>'


def address_of(collector: Collector, hosts: Sequence[str], public_url: str) -> str:
    """Where a shop's pages find the collector: under a name of its own domain that is set (``hosts``), else under ``t.`` of it;
    of a shop without a domain, under the public URL.
    """
    domain = collector.cookie_domain
    if domain is None:
        return public_url
    named = [host for host in hosts if "*" not in host and lies_within(host, domain)]
    return f"https://{named[0] if named else f't.{domain}'}"


def shares_half(ours: Iterable[str], theirs: Iterable[str]) -> bool:
    """Whether two hosts share the first half of an address: only then Safari lets the cookie live longer than a week."""
    return not _halves(ours).isdisjoint(_halves(theirs))


def _halves(addresses: Iterable[str]) -> set[str]:
    found = set()
    for text in addresses:
        address = _address(text.partition("%")[0])
        if address is not None:
            bits = HALF_IPV4 if address.version == 4 else HALF_IPV6
            found.add(str(ipaddress.ip_network((address, bits), strict=False)))
    return found
