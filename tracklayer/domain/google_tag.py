"""The ids that Google's website tag keeps in cookies, however they were copied out of them: of a browser, and of its session.

Source: Google Analytics, "Send Measurement Protocol events", and the cookies of gtag.js. Read 2026-11-23.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from tracklayer.domain import normalise

_CLIENT = re.compile(r"[!-~]{1,255}")
is_everyday_client = re.compile(r"(?!0+\.0+\Z)[0-9]{1,20}\.[0-9]{1,20}").fullmatch
is_everyday_session = re.compile(r"[1-9][0-9]{0,18}|GS1\.[0-9-]+\.[1-9][0-9]{0,18}\.[0-9.]{1,100}").fullmatch
_NAMED_CLIENT = re.compile(r"(?:^|[;\s])_ga=([^;\s]+)")
_CLIENT_COOKIE = re.compile(r"GA\d+\.[\d-]+\.(\S+)")
# A name of any kind before what only the tag writes.
_NAME = re.compile(r"[\w.-]+\s*[=:]\s*[\"']?(?=G[AS]\d\.|\d+\.\d+[\"']?\Z)", re.ASCII)
# Of the session, or too short to hold a client id; another cookie with its name, or a part of JSON; a number cut off. An id of a
# server's own may be any other text, and ends with = where it is Base64, as that of Google's server container is.
_NO_CLIENT = re.compile(
    r"(?:.*[^A-Za-z0-9])?G[AS]\d+\..*|.*[:\"].*|(?![A-Za-z0-9+/_-]{16,}={1,2}(?:\.[0-9]+)?\Z).*=.*|\..*|.*\.|[0.]+"
)
_NAMED_SESSION = re.compile(r"(?:^|[;\s])_ga_\w+=([^;\s]+)")
# GS1.1.1747123456.5.1.…, and GS2.1.s1747123456$o5$g1$…, where each part is named by its letter.
_SESSION_COOKIE = re.compile(
    r"GS1\.[\d-]+\.(\d{1,19})(?:\..*)?|(?:GS2\.[\d-]+\.|(?=.*\$))(?:[a-rt-z][^$]*\$)*s(\d{1,19})(?:\$.*)?"
)


def client_id(value: str) -> str | None:
    """``1234567890.1794000000``, also out of the whole ``_ga`` cookie, however it was copied. Never made up."""
    text = value.strip()
    if is_everyday_client(text):
        return text
    text = _copied(text, _NAMED_CLIENT)
    if cookie := _CLIENT_COOKIE.fullmatch(text):
        text = cookie[1]
    if _NO_CLIENT.fullmatch(text) or normalise.is_placeholder(text):
        return None
    return text if _CLIENT.fullmatch(text) else None


def session_id(value: str) -> str | None:
    """Digits, also out of the cookie ``_ga_`` with the stream's id, in its older and its newer form."""
    text = value.strip()
    if not text.isdecimal():
        text = _copied(text, _NAMED_SESSION)
    if not text.isdecimal():
        found = _SESSION_COOKIE.fullmatch(text)
        text = (found[1] or found[2]) if found else ""
    return text if text.isascii() and 0 < len(text) <= 19 and text != "0" else None


def _copied(text: str, named: re.Pattern[str]) -> str:
    """A cookie's value, of one that was percent-encoded, or copied together with its name or what stood around it."""
    if "%" in text:
        text = unquote(text)
    found = named.search(text) if "=" in text else None
    text = found[1] if found else text.partition(";")[0]
    text = text.strip(_AROUND)
    return _NAME.sub("", text, count=1) if _NAME.match(text) else text


_AROUND = " \t\r\n\"'"
