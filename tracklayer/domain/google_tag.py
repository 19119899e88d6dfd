"""The ids that Google's website tag keeps in cookies, however they were copied out of them: of a browser, and of its session.

Source: Google Analytics, "Send Measurement Protocol events", and the cookies of gtag.js. Read 2026-11-23.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from tracklayer.domain import normalise

_CLIENT = re.compile(r"[!-~]{1,255}")
is_everyday_client = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}").fullmatch
is_everyday_session = re.compile(r"[1-9][0-9]{0,18}|GS1\.[0-9-]+\.[1-9][0-9]{0,18}\.[0-9.]{1,100}").fullmatch
_NAMED_CLIENT = re.compile(r"(?:^|[;\s])_ga=([^;\s]+)")
_CLIENT_COOKIE = re.compile(r"GA\d+\.[\d-]+\.(\S+)")
_OTHER_COOKIE = re.compile(r"G[AS]\d+\..*")  # of the session, or too short to hold a client id
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
    if _OTHER_COOKIE.fullmatch(text) or normalise.is_placeholder(text):
        return None
    return text if _CLIENT.fullmatch(text) else None


def session_id(value: str) -> str | None:
    """Digits, also out of the cookie ``_ga_`` with the stream's id, in its older and its newer form."""
    text = value.strip()
    if not text.isdecimal():
        found = _SESSION_COOKIE.fullmatch(_copied(text, _NAMED_SESSION))
        text = (found[1] or found[2]) if found else ""
    return text if text.isascii() and 0 < len(text) <= 19 and text != "0" else None


def _copied(text: str, named: re.Pattern[str]) -> str:
    """A cookie's value, of one that was percent-encoded or copied together with its name."""
    if "%" in text:
        text = unquote(text)
    found = named.search(text) if "=" in text else None
    return found[1] if found else text
