"""What a page shows of a click: parameters of its address and the platforms' own cookies, raw, become identifiers.

A page's script sends values as it found them; everything about their form is decided here. Values in, values out.
Sources: the platforms' pages on their parameters and cookies, and what their tags write, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tracklayer.domain.contact import holds_contact
from tracklayer.domain.identifiers import usable, without_name

MAX_VALUE = 1024  # bytes
MAX_KINDS = 20  # of one call
CLOCKS = timedelta(minutes=5)  # that a browser's may be ahead
OLDEST = timedelta(days=400)  # what a cookie may say of its own age: browsers keep none longer

# Opaque to everyone but its platform: the letters that URLs and cookies are written with, case kept.
_OPAQUE = r"[A-Za-z0-9._~=+/:|-]{1,1024}"
_LABEL = r"[A-Za-z0-9_-]{1,1000}"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_META_TAIL = r"(?:\.(?:[A-Za-z0-9_-]{2}|[A-Za-z0-9_-]{8}))?"  # that Meta's own builder puts behind


class _Form(NamedTuple):
    """``kind``: the identifier that a value is; its part ``value`` where it holds one, else the whole. A part ``s`` or ``ms``
    says when it was first seen, in Unix seconds or milliseconds.
    """

    kind: str
    pattern: re.Pattern[str]


def _form(kind: str, pattern: str = _OPAQUE) -> _Form:
    return _Form(kind, re.compile(pattern))


PARAMETERS: Mapping[str, _Form] = {
    "fbclid": _form("fbclid", _LABEL),
    "gclid": _form("gclid", _LABEL),
    "gbraid": _form("gbraid", _LABEL),
    "wbraid": _form("wbraid", _LABEL),
    "ttclid": _form("ttclid", r"[A-Za-z0-9._-]{1,1000}"),
    "msclkid": _form("msclkid", r"[0-9a-fA-F-]{32,36}"),
    "twclid": _form("twclid"),
    "li_fat_id": _form("li_fat_id", r"[A-Za-z0-9-]{1,128}"),
    "rdt_cid": _form("rdt_cid"),
    "epik": _form("epik"),
    "ScCid": _form("sc_click_id"),
}
COOKIES: Mapping[str, _Form] = {
    "_fbc": _form("fbc", rf"fb\.[0-9]\.(?P<ms>[0-9]{{13}})\.{_LABEL}{_META_TAIL}"),
    "_fbp": _form("fbp", rf"fb\.[0-9]\.[0-9]{{13}}\.[0-9]{{1,32}}{_META_TAIL}"),
    "_gcl_aw": _form("gclid", rf"(?:1\.[0-9]\.k?)?GCL\.(?P<s>[0-9]{{10}})\.(?P<value>{_LABEL})"),
    # The names mislead: the one with "gb" holds a wbraid.
    "_gcl_gb": _form("wbraid", rf"GCL\.(?P<s>[0-9]{{10}})\.(?P<value>{_LABEL})"),
    "_gcl_ag": _form("gbraid", rf"2\.[0-9]\.k(?P<value>{_LABEL})\$i(?P<s>[0-9]{{10}})(?:\$.*)?"),
    "_ga": _form("ga_client_id", r"GA[0-9]\.[0-9-]+\.(?P<value>[0-9]{1,20}\.[0-9]{9,10})"),
    "_ttp": _form("ttp", r"[A-Za-z0-9._-]{1,128}"),
    "ttclid": PARAMETERS["ttclid"],
    "_uetmsclkid": _form("msclkid", r"(?:_uet)?(?P<value>[0-9a-fA-F-]{32,36})"),
    "twclid": PARAMETERS["twclid"],
    "li_fat_id": PARAMETERS["li_fat_id"],
    "_rdt_uuid": _form("rdt_uuid", rf"[0-9]{{13}}\.{_UUID}"),
    "_rdt_cid": PARAMETERS["rdt_cid"],
    "_epik": PARAMETERS["epik"],
    "_scid": _form("sc_cookie1", r"[A-Za-z0-9._-]{1,128}"),
    "_scclid": PARAMETERS["ScCid"],
}
_ANY_PARAMETER = re.compile(rf"(?:{'|'.join(PARAMETERS)})=").search
# Of Google Analytics' sessions there is a cookie for each stream, GS1.1.1747123456.5.1.…, GS2.1.s1747123456$o5$g1$…
_STREAM = "_ga_"
_SESSION = re.compile(r"GS1\.[0-9-]+\.([0-9]{9,11})(?:\..*)?|GS2\.[0-9-]+\.(?:[a-rt-z][^$]*\$)*s([0-9]{9,11})(?:\$.*)?")


class Seen(NamedTuple):
    """An identifier, and since when it is known: since before now where its cookie says so."""

    kind: str
    value: str
    since: datetime


def seen_in(parameters: Mapping[str, Any], cookies: Mapping[str, Any], now: datetime) -> list[Seen]:
    """One identifier of a kind at most: what stands in the address goes before a cookie, and a cookie of the very same click
    says since when it is known. What is not of the known form is left out.
    """
    found: dict[str, Seen] = {}
    for sent, forms in ((parameters, PARAMETERS), (cookies, COOKIES)):
        for name, raw in sent.items():
            form = forms.get(name)
            if form is None or (seen := _read(form, raw, now)) is None:
                continue
            known = found.setdefault(seen.kind, seen)
            if seen.value == known.value and seen.since < known.since:
                found[seen.kind] = seen
    session = max((read for name, raw in cookies.items() if (read := _session(name, raw))), default=None, key=int)
    if session is not None:
        found["ga_session_id"] = Seen("ga_session_id", session, now)
    return list(found.values())[:MAX_KINDS]


def click_in(url: str | None, parameter: str, rule: Callable[[str], str | None]) -> tuple[str | None, bool]:
    """The first click id of a name in the query of a URL that ``rule`` makes something of, percent-decoded once, case kept; and
    whether it refused any before. None where the URL has none or cannot be taken apart.

    No click id holds a blank, so a ``+`` in it is one.
    """
    is_refused = False
    if url is None or f"{parameter}=" not in url:
        return None, is_refused
    try:
        query = urlsplit(url).query
    except ValueError:
        return None, is_refused
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == parameter and value:
            if (found := rule(unquote(value))) is not None:
                return found, is_refused
            is_refused = True
    return None, is_refused


def clicks_in(url: str | None) -> dict[str, str]:
    """The click ids in the address of an event's page, by kind. What no platform takes for one, or may get, is left out: a stored
    click may stand in for it.
    """
    if url is None or "?" not in url or _ANY_PARAMETER(url) is None:
        return {}
    return {
        kind: click
        for parameter, (kind, _) in PARAMETERS.items()
        if (click := click_in(url, parameter, _RULES[kind])[0]) is not None
    }


def sendable(kind: str, value: str) -> str | None:
    """An identifier as it goes out, wherever it is found; None of what no platform takes for one, or may get: it holds an e-mail
    address or a phone number.
    """
    found = usable(kind, value)
    return None if found is None or holds_contact(found) else found


_RULES = {kind: partial(sendable, kind) for kind, _ in PARAMETERS.values()}


def _read(form: _Form, raw: Any, now: datetime) -> Seen | None:
    text = _text(raw)
    if text is None:
        return None
    match = form.pattern.fullmatch(text)
    if match is None:  # as in an event: copied along with something
        match = form.pattern.fullmatch(without_name(form.kind, text) or "")
    if match is None:
        return None
    parts = match.groupdict()
    value = parts.get("value") or match[0]
    if sendable(form.kind, value) is None:
        return None
    since = now
    if stamp := parts.get("ms") or parts.get("s"):
        said = datetime.fromtimestamp(int(stamp) / (1000 if "ms" in parts else 1), UTC)
        if now - OLDEST <= said < now:
            since = said
        elif form.kind == "fbc" and not now - OLDEST <= said <= now + CLOCKS:
            # A clock that is wrong: of the cookie the click is left, and when it was seen is for us to say.
            return Seen("fbclid", value.split(".")[3], now)
    return Seen(form.kind, value, since)


def _session(name: str, raw: Any) -> str | None:
    if not name.startswith(_STREAM) or (text := _text(raw)) is None or (match := _SESSION.fullmatch(text)) is None:
        return None
    return match[1] or match[2]


def _text(raw: Any) -> str | None:
    """As it was meant: cookies are percent-encoded at times."""
    if not isinstance(raw, str) or len(raw) > MAX_VALUE:
        return None
    return unquote(raw, errors="replace") if "%" in raw else raw
