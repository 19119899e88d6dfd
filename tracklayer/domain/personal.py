"""Finds personal data in plain text where no platform may get it: in URLs, and in properties of the merchant's own.

An ad platform gets people in hashed fields made for it. What else names a person is taken out, and the name of the
parameter or property is told, never its value:

- **By name**: what says email, phone, a person's name, street, postcode, date of birth, gender, an identity document, a
  password, an IP address, in the usual spellings (``firstName``, ``customer[email]``, ``billing_phone``, ``vorname``),
  and holds what could be one. A flag, a count, a placeholder or a digest stays (``email=1``, ``mobile=true``), and so
  does what only begins so (``email_campaign``, ``phone_model``, ``product_name``).
- **By value, whatever the name**: an e-mail address, a phone number with + that is valid, a ``tel:`` link, also inside
  longer text, escaped for a URL, HTML or JSON, or inside a URL or JSON within the value. Bare digits are an order number.

Where the name alone does not tell, what stands beside it does:

- ``city``, ``state``, ``country`` and their like choose a shop or filter a list in a URL far more often than they tell
  where somebody lives: there they go beside an email, phone, name, street or date of birth (a form that was sent with
  GET), or when their own name says whose they are (``billing_city``). As properties the three always go.
- ``gender`` goes as a property; in a URL ``gender=female`` goes, ``gender=women`` is a filter and goes beside others only.
- ``name``, ``customer``, ``contact`` name a product, a plan or a segment as often: they go with a title or a common
  given name and a surname (``Jane Doe``), and beside others. ``username`` goes: Google counts it among personal data.
- A postcode whose name does not say whose it is looks for a shop in a URL: there it goes beside others. ``shipping_name``
  and ``ansprechpartner`` go with two words that name no way to ship.
- Meta's short names (``em``, ``ph``, ``fn``, ``ln``, ``db``, ``ge``, ``ct``, ``st``, ``zp``) go beside something that
  identifies, and where two of them but ``ct`` and ``st`` hold what they promise, of which one is a name, a
  phone or a date of birth.
- ``mail`` and ``email_id`` name a mailing as often: they go by value only.

What no list knows stays: a name under ``x``, a national phone number under ``q``, the base64 of an address under ``id``.
What looks like an address is taken for one: a campaign called ``DE@Brand.Search`` goes.

How an address or a number is found in text is told in ``contact``, what a name promises in ``personal_names``, and how much
a value weighs under it in ``personal_values``; here URLs and properties are taken apart by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

from tracklayer.domain.contact import (
    PLUS,
    WIDE,
    decoded,
    folded,
    holds_address_or_number,
    holds_contact_or_link,
    holds_encoded_sign,
    unescaped,
    unquoted,
)
from tracklayer.domain.personal_names import MOST_OF_NAME, Kind, kind_by_name
from tracklayer.domain.personal_values import Weight, least_taken, weigh, weigh_text

MAX_URL = 32 * 1024  # characters: browsers and servers give up before

_PLAIN = frozenset({str, int, float, bool, Decimal, type(None)})
_SCHEME = 8  # characters of https://
_MOST_OF_EVERYDAY = 2000  # characters of a URL whose names of parameters are kept in memory
_COLON = re.compile(r"[LOPSlops\"\s]:").search  # behind tel, sms, http, a name in JSON


def without_personal_url(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL without the parameters, path segments and credentials that hold personal data, and what was taken.

    Taken are names of parameters (decoded), ``path``, ``fragment`` and ``query`` for what has no name of its own, and
    ``userinfo`` for ``user:password@``. What stays, stays byte for byte, but for escapes of HTML and of JSON, which are read, or of a
    blank become those of URLs; where all does, the very same text comes back.
    Never raises, of any text; the time grows with its length. One that is too long to be searched goes as a whole.
    """
    if len(url) > MAX_URL:
        return "", ("url",)
    # An escape of HTML ends in a semicolon, one of JSON begins with a backslash.
    if ";" in url or "\\" in url or not url.isascii():
        return _clean_url(url)
    if "?" not in url and "@" not in url and "%" not in url and "#" not in url and "+" not in url:
        return url, ()
    if url[:4] != "http" or url.find(":", _SCHEME) > 0 or "@" in url or "#" in url:
        return _clean_url(url)
    query = url.partition("?")[2]
    if (
        "?" in query
        or query.count("=") > query.count("&") + 1
        or len(url) > _MOST_OF_EVERYDAY
        or ("%" in url and holds_encoded_sign(url))
        or ("+" in url and PLUS(url))
    ):
        return _clean_url(url)
    for part in query.split("&"):
        if kind_by_name(part.partition("=")[0]):
            return _clean_url(url)
    return url, ()


def without_personal_properties(properties: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The properties without those that hold personal data, and the names of these.

    One that is a web address keeps its place and loses its personal parameters only; its name is among the names, too.
    Where nothing is taken the very same mapping comes back. Never raises, of any values.
    """
    for key, value in properties.items():
        if kind_by_name(key):
            return _clean_properties(properties)
        if value.__class__ is str:
            if not value.isalnum() and _may_hold_contact(value):
                return _clean_properties(properties)
        elif value.__class__ not in _PLAIN:
            return _clean_properties(properties)
    return properties, ()


def _may_hold_contact(text: str) -> bool:
    """False for most texts, as they are sent, that hold neither a contact nor names inside."""
    if not text.isascii() and ("+" in text or WIDE(text)):
        return True
    return (
        "@" in text
        or holds_encoded_sign(text)
        or ("+" in text and PLUS(text) is not None)
        or (":" in text and _COLON(text) is not None)
        or "=" in text
    )


# URLs --------------------------------------------------------------------------------------------------------------

_AUTHORITY = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.\-]*:)?//([^/?#\\]*)")
_CREDENTIALS = re.compile(r".*(?:@|%(?:25)*40)", re.DOTALL)
_IN_PATH = re.compile(r"([/;])")
_IN_QUERY = re.compile(r"([&;?])")
_IN_ROUTE = re.compile(r"([/&;])")
_IN_FRAGMENT = re.compile(r"([&;])")
_BLANK = re.compile(r"\s")
_PLUS_AND_DIGITS = re.compile(r"(?<![^\W_])\+(?:[\d\W](?<!\s\+))+")


_FEWEST_OF_CONTACT = 6  # characters: a@b.de


class _Part(NamedTuple):
    """The path, the query or the fragment of a URL, cut at its separators: each piece and the separator before it."""

    place: str
    separators: list[str]
    pieces: list[str]
    weights: list[Weight]


def _part(place: str, first: str, text: str, separators: re.Pattern[str]) -> _Part:
    cut = separators.split(text)
    signs, pieces = [first, *cut[1::2]], cut[0::2]
    if place == "path":  # between slashes stand no parameters, behind a semicolon they do
        weights = [_weigh_piece(piece, sign == ";") for sign, piece in zip(signs, pieces, strict=True)]
    else:
        weights = [_weigh_piece(piece, True) for piece in pieces]
    return _Part(place, signs, pieces, weights)


def _weigh_piece(piece: str, is_parameter: bool) -> Weight:
    name, equals, value = piece.partition("=") if is_parameter else ("", "", piece)
    if not equals:
        value = piece
    kind = _kind_of(name) if name and equals else None
    if kind is None and (len(value) < _FEWEST_OF_CONTACT or not _may_hold_contact(value)):
        return Weight.NONE
    plain = decoded(value)
    if "+" in plain and _holds_sent_phone(plain):
        return Weight.IDENTIFYING
    if equals and "+" in value:
        plain = decoded(value.replace("+", " "))
    if not is_parameter and "%" not in value:
        return Weight.IDENTIFYING if holds_address_or_number(plain) else Weight.NONE
    weight = weigh_text(plain, in_url=True)
    if not weight and "%25" in value:  # a query within the query, whose own + are blanks
        weight = weigh_text(folded(unquoted(unquoted(value, 1).replace("+", " "))), in_url=True)
    return weigh(kind, plain, in_url=True) if kind and not weight else weight


def _holds_sent_phone(text: str) -> bool:
    """Whether a phone number stands in a value whose + were kept, as each of them may be a blank or itself.

    It is itself behind a blank, for who writes + for a blank writes it for all, and where it is the first one and stands behind
    no letter or digit. Between digits it is a blank.
    """
    first = text.find("+")
    return any(
        holds_address_or_number("+" + found[0][1:].replace("+", " "))
        for found in _PLUS_AND_DIGITS.finditer(text)
        if found.start() == first or text[found.start() - 1].isspace()
    )


def _clean_url(url: str) -> tuple[str, tuple[str, ...]]:
    # In HTML an & or a ; may be a part of a character, and is no separator then.
    cleaned, names = _without_personal(unescaped(url))
    if not names:
        return url, ()
    # No address holds a blank: one that was escaped stays so, as in URLs.
    return (cleaned if _BLANK.search(url) else _BLANK.sub(lambda blank: quote(blank[0]), cleaned)), names


def _without_personal(url: str) -> tuple[str, tuple[str, ...]]:
    cleaned, rest, names = "", url, []
    if authority := _AUTHORITY.match(url):
        cleaned, rest = authority[0], url[authority.end() :]
        if credentials := _CREDENTIALS.match(authority[1]):
            cleaned = url[: authority.start(1)] + authority[1][credentials.end() :]
            names.append("userinfo")
    before, hash_, fragment = rest.partition("#")
    path, mark, query = before.partition("?")
    route, route_mark, route_query = fragment.partition("?")
    parts = [_part("path", "", path, _IN_PATH)]
    if mark:
        parts.append(_part("query", "?", query, _IN_QUERY))
    if hash_:
        parts.append(_part("fragment", "#", route, _IN_ROUTE if route.startswith(("/", "!")) else _IN_FRAGMENT))
    if route_mark:
        parts.append(_part("fragment", "?", route_query, _IN_QUERY))
    weights = [weight for part in parts for weight in part.weights]
    heaviest, least = max(weights), least_taken(weights)
    if heaviest < least:
        return (cleaned + rest, tuple(names)) if names else (url, ())
    for part in parts:
        kept, of_part = _without(part, least)
        cleaned += kept
        names += of_part
    if authority is None and cleaned.startswith("//"):  # what stood in the path is a host now
        cleaned, of_rest = without_personal_url(cleaned)
        names += of_rest
    return cleaned, tuple(dict.fromkeys(names))


def _without(part: _Part, least: Weight) -> tuple[str, list[str]]:
    """A part without its pieces of this weight or more, and their names."""
    kept: list[str] = []
    names: list[str] = []
    is_taken = False
    for sign, piece, weight in zip(part.separators, part.pieces, part.weights, strict=True):
        # What has no name behind ; or ? belongs to the value before it: "address=Main St 5; Berlin".
        belongs = is_taken and sign in (";", "?") and "=" not in piece
        is_taken = belongs or weight >= least
        if not is_taken:
            kept += [sign if kept else part.separators[0] or sign, piece]
        elif not belongs:
            name, equals, _ = piece.partition("=")
            names.append(_shown(name) if equals else part.place)
    return "".join(kept), names


def _kind_of(name: str) -> Kind | None:
    if len(name) <= MOST_OF_NAME:
        return kind_by_name(name)
    return Kind.CONTACT if holds_contact_or_link(decoded(name)) else None


def _shown(name: str) -> str:
    """A name as it may be told, decoded: none that is an address itself, or unreadable."""
    plain = unquoted(name.replace("+", " "))
    is_fit = plain.isprintable() and len(plain) <= MOST_OF_NAME and not holds_contact_or_link(folded(plain))
    return plain if is_fit else _UNNAMED


_UNNAMED = "(a name that is not shown)"


# Properties --------------------------------------------------------------------------------------------------------

_NUMBERED = frozenset(
    {Kind.PHONE, Kind.HOUSE, Kind.ZIP, Kind.ANY_ZIP, Kind.BIRTH, Kind.DOCUMENT}
    | {Kind.SHORT_PHONE, Kind.SHORT_BIRTH, Kind.SHORT_ZIP}
)


def _clean_properties(properties: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    weights = [_weigh_property(key, value) for key, value in properties.items()]
    least = least_taken(weights)
    kept: dict[str, Any] = {}
    names = []
    for (key, value), weight in zip(properties.items(), weights, strict=True):
        if weight >= least:
            names.append(_shown(key))
        elif isinstance(value, str) and _AS_WEB_ADDRESS(
            value
        ):  # with blanks it may be a sentence: weighed as that, too
            kept[key], of_url = without_personal_url(value)
            if of_url:
                names.append(_shown(key))
        else:
            kept[key] = value
    return (kept, tuple(dict.fromkeys(names))) if names else (properties, ())


def _weigh_property(name: str, value: Any) -> Weight:
    """The heaviest of what the value holds, however deep."""
    heaviest, left = Weight.NONE, [(name, value)]
    while left and heaviest is not Weight.IDENTIFYING:
        name, value = left.pop()
        if isinstance(value, Mapping):
            left += value.items()
        elif isinstance(value, list | tuple):
            left += [(name, inner) for inner in value]
        else:
            heaviest = max(heaviest, _weigh_plain(str(name), value))
    return heaviest


def _weigh_plain(name: str, value: Any) -> Weight:
    kind = _kind_of(name)
    if kind is Kind.CONTACT:
        return Weight.IDENTIFYING
    if isinstance(value, str):
        if _is_web_address(value):
            return Weight.NONE  # cleaned as a URL
        plain = decoded(value)
        weight = weigh_text(plain, in_url=False)
        return weigh(kind, plain, in_url=False) if kind and not weight else weight
    if kind in _NUMBERED and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        # "4915112345678.0" of a float is the same number; one of hundreds of digits is none of these.
        text = str(value).removesuffix(".0") if not isinstance(value, int) or abs(value) < _TOO_LONG else ""
        return weigh(kind, text, in_url=False)
    return Weight.NONE


_TOO_LONG = 10**50


def _is_web_address(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://")) and not any(map(str.isspace, text))


# As ``identifiers.web_url`` reads it.
_AS_WEB_ADDRESS = re.compile(r"\s*https?://[^\s/?#]*(?:[/?#]|\Z)", re.IGNORECASE).match
