"""How each identifier of ``user_data`` is written, so that a wrong one is named the moment it arrives.

A wrong identifier never costs a conversion: it is kept as sent, named in a warning, and the mappers of the
platforms that would refuse it leave it out. Only formats that their owners publish are checked; what is opaque to
everyone but its owner is checked for spaces alone.
"""

from __future__ import annotations

import html
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from html.entities import html5
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from tracklayer.domain import normalise
from tracklayer.domain.contact import unescaped
from tracklayer.domain.google_tag import client_id, is_everyday_client, is_everyday_session, session_id
from tracklayer.domain.text import bare, without_invisible

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID_ALONE = re.compile(_UUID)
_WITHOUT_SCHEME = re.compile(
    r"(?://)?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,63}(?::[0-9]{1,5})?(?:[/?#]|\Z)"
)
# As Meta's own builder reads them: any number of labels, any time, of the rest any text without a dot; of what cookies are
# written with, which is visible ASCII (RFC 6265).
_META_CLICK = r"[!-\-/-~]+(?:\.(?:[!-~]{2}|[!-~]{8}))?"
_META_COOKIE = re.compile(rf"fb\.[0-9]+\.[0-9]+\.{_META_CLICK}")
_EVERYDAY_META_COOKIE = re.compile(r"fb\.[0-9]\.[0-9]{13}\.(?:[0-9]{2,500}|[A-Za-z0-9_-]{12,500})")
_META_MILLISECONDS = re.compile(rf"fb\.[0-9]+\.[0-9]{{13}}\.{_META_CLICK}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# The everyday cases, ten times as fast as parsing them.
_EVERYDAY_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_BRACKETED_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_IPV4_AND_MORE = re.compile(
    rf"({_OCTET}(?:\.{_OCTET}){{3}})(?::[0-9]{{1,5}}|\.[A-Za-z0-9_-]{{8}}|\.(?:AQ|Ag|Aw|BA|BQ|Bg))"
)
_MOST_OF_ADDRESS = 100  # characters, with blanks, brackets, a port and a tail
_TAGGED = re.compile(r"([0-9A-Fa-f:.]+)\.(?:[A-Za-z0-9_-]{8}|AQ|Ag|Aw|BA|BQ|Bg)")
_EVERYDAY_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?#]\S*)?")
# A URL that is nothing but scheme, host and path in plain letters: it is a web URL, and holds neither card data under a
# name nor anything that ``personal.py`` takes out.
is_plain_url = re.compile(r"https?://[A-Za-z0-9.-]++(?::[0-9]++)?(?:/[A-Za-z0-9/._~-]*+)?").fullmatch
_EVERYDAY_EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,30}){1,4}")
_URL_BEGINNING = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?#]|\Z)")
_WEB_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)
_HOST_AND_MORE = re.compile(r"((?:(?:https?:)?//)?+[^\s/?#]+)([/?#].*)", re.IGNORECASE | re.DOTALL)
_BLANK = re.compile(r"\s")
# As PHP's htmlspecialchars() and WordPress's esc_url() write what an attribute of HTML cannot hold, once or again and again.
_ESCAPED = re.compile(r"&(?:amp;)*((?:amp|apos|quot|lt|gt|#0*(?:34|38|39|60|62)|#[xX]0*(?:22|26|27|3[cCeE]));)")
# What may stand for a value, or be the digest of nothing, is looked at closely: ``normalise`` knows them all.
_NO_PLACEHOLDER = r"(?i:(?!(?:null|undefined|nan|none|nil|n/a|false|0|--?)[\"']*\Z|[0-9a-f]{64})(?=[A-Za-z0-9.-]))"
_NO_NAME = r"(?![A-Za-z_]{3,11}+[0-9]?[=:%])"  # of a parameter or a cookie, and no URL: see ``without_name``
# Visible ASCII but for &, which parts parameters, and for quotes, brackets and backslashes: no id of a click has any, and JSON and HTML do.
_VISIBLE = r"!#-%*-;=?-Z^-z|~"
_OPAQUE = re.compile(rf"(?!https?:)[{_VISIBLE}]{{1,2048}}")
_TTCLID = re.compile(rf"(?!https?:)[{_VISIBLE}]{{1,1000}}")
_NO_QUOTE = r"(?<![\"'])"  # at the end
_NO_ESCAPE = r"(?<!%2[027])"  # at the end, of a blank or a quote
_EVERYDAY_OPAQUE = re.compile(rf"{_NO_NAME}{_NO_PLACEHOLDER}[{_VISIBLE}]{{1,2048}}{_NO_ESCAPE}")
_EVERYDAY_FBCLID = re.compile(rf"{_NO_NAME}{_NO_PLACEHOLDER}[!#-%*-\-/-;=?-Z^-z|~]{{1,2048}}{_NO_ESCAPE}")
_LEAD_ID = re.compile(r"[!-~]{1,128}")
_RDT_UUID = re.compile(rf"(\d{{1,30}}\.)?{_UUID}")
_MSCLKID = re.compile(r"(_uet)?[0-9a-fA-F-]{32,36}")
_BROWSER_ID = re.compile(r"[A-Za-z0-9._~-]{8,128}")
_EVERYDAY_BROWSER_ID = re.compile(rf"{_NO_PLACEHOLDER}(?:{_BROWSER_ID.pattern})")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_FEW = 4  # different letters and digits: 00000000-0000-4000-8000-000000000000
_COUNTED = "01234567890123456789"
_SEPARATORS = frozenset("._~-")
_NO_SEPARATOR = str.maketrans("", "", "._~-")

MAX_IDENTIFIER = 2048  # characters: what is longer identifies nobody, and is not kept

Check = Callable[[str], bool]


def is_meta_cookie(value: str) -> bool:
    """``fb.{labels of the domain}.{time}.{id}``, as Meta's builder reads it; an id that stands for none is none."""
    text = value.strip()
    return _META_COOKIE.fullmatch(text) is not None and not normalise.is_nobodys(text.split(".")[3])


def machine_address(value: str) -> str | None:
    """An IPv4 address, or an IPv6 one in its canonical form (RFC 5952): one address is one text, also where it is hashed.

    Without a port, brackets, or a builder's tail; an IPv4 address in IPv6 is the IPv4 one, and of a list of proxies the
    first counts. None for no address, and for one with a zone: it means nothing beyond its own network.
    """
    if _EVERYDAY_IPV4.fullmatch(value):
        return value
    hops = [hop.strip().strip("\"'") for hop in value[:_MOST_OF_HOPS].split(",", _MOST_HOPS)]
    known = [hop for hop in hops if hop.lower() not in ("", "unknown")]
    # Of a list of proxies the first is who asked, unless that is an address inside of somebody's own network.
    first = next((hop for hop in known if not _INSIDE.match(hop)), known[0] if known else "")
    return _machine_address(first) if len(first) < _MOST_OF_ADDRESS else None


_MOST_OF_HOPS = 1000  # characters of a list of proxies


@lru_cache(maxsize=1024)  # at most half a MiB of 1,024 texts of _MOST_OF_ADDRESS
def _machine_address(first: str) -> str | None:
    if bracketed := _BRACKETED_IPV6.fullmatch(first):
        first = bracketed[1]
    elif found := _IPV4_AND_MORE.fullmatch(first):
        first = found[1]
    elif ":" in first and "." in first and (tagged := _TAGGED.fullmatch(first)) and _is_ipv6(tagged[1]):
        first = tagged[1]
    try:
        address = ipaddress.ip_address(first)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return str(address.ipv4_mapped or address)
    return str(address)


_MOST_HOPS = 20
_INSIDE = re.compile(
    r"(?:10|127|0|192\.168|169\.254|172\.(?:1[6-9]|2[0-9]|3[01])|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7]))\."
    r"|\[?(?:::1?(?:\]|\Z)|f[cd]|fe[89ab])",
    re.IGNORECASE,
)


# The everyday ones of these that the internet reaches.
_EVERYDAY_PUBLIC_IPV4 = re.compile(
    r"(?!10\.|127\.|0\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.)"
    rf"{_EVERYDAY_IPV4.pattern}"
)


def is_public(value: str) -> bool:
    """Whether its ``machine_address`` is of somebody on the internet: one inside of a network tells no platform anything."""
    address = machine_address(value)
    return address is not None and not _INSIDE.match(address)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def is_ip(value: str) -> bool:
    """An address of a machine, in any of the spellings that ``machine_address`` reads."""
    return machine_address(value) is not None


# Texts as people and shops write them: neither a digest nor what only stands for a value.
_EVERYDAY_TEXT = re.compile(
    r"(?!(?:null|undefined|NaN|None|nil|false|False|0|NULL|nan|[Nn]/[Aa])\s*\Z)[^\W_][^&\n]{0,62}"
)
_EVERYDAY_AGENT = re.compile(r"[A-Za-z]{1,40}/[0-9].{0,2000}")
# Neither a placeholder, nor a sign that one may begin with or be hidden by, nor anything around it, nor a character that nobody sees.
# Where no digit tells it from others, it has no nothing between words either: see ``normalise.is_one_for_all``.
_EVERYDAY_ID = re.compile(
    # Most of them, found so in half the time: they begin as no nothing does, and end in a digit.
    r"(?!stdClass|Optional)[A-MO-TV-Za-mo-tv-z1-9][A-Za-z0-9_-]{0,62}+(?<=[1-9])|"
    r"(?:(?!0\Z|stdClass|Optional|[0NUnu](?=[/0AINOUainou])(?i:an|il|/a|ull|one|ndefined|0{7}(?:0{24})?)(?![A-Za-z0-9]))"
    r"(?=[^1-9]*+[1-9]|(?:[A-Za-z0-9]++[^A-Za-z0-9](?=[A-Za-z])(?![NUnu]|stdClass|Optional))*+[A-Za-z0-9]++\Z)"
    r"[A-Za-z0-9](?:[ -#&-;=-Z\\-z|}~]{0,61}[A-Za-z0-9])?"
    r"(?<!(?i:ined|null|none|alse|ject|mpty|(?-i:rray)|[^a-z0-9](?:nan|nil|n/a|#nv)|(?-i:[A-Za-z]NaN)|#n/[a-z]|e\+[0-9][0-9]|0000))"
    r"(?<!stdClass)(?<!(?i:lder|here|e.me|mber|..id|..n[or]|.ref)))"  # as the name of an id ends, and what manuals write there
)
is_everyday_text = _EVERYDAY_TEXT.fullmatch
is_everyday_id = _EVERYDAY_ID.fullmatch
# Neither a placeholder nor a digest: whether it is somebody's number, ``phone.py`` says.
is_everyday_phone = re.compile(r"\+?[0-9][0-9 ().-]{5,29}").fullmatch
# Not as tables write a number: see ``zip_of_table``. What stands for none has no digit but zeros.
is_everyday_zip = re.compile(r"(?![0-9]+\.0)(?=[\w -]{0,20}[1-9])[^\W_][^&\n]{0,62}").fullmatch
_ZIP_AS_A_FLOAT = re.compile(r"([0-9]{3,10})\.0{1,2}")
# Where a person's own words stand: there Null is a name.
WORDS = frozenset(
    ("first_name", "last_name", "street", "city", "state", "gender", "date_of_birth", "job_title", "company_name")
)


def is_everyday_url(value: str) -> bool:
    """True for most URLs; of others ask ``is_web_url``."""
    return value.isascii() and " " not in value and value.isprintable() and _URL_BEGINNING.match(value) is not None


def is_web_url(value: str) -> bool:
    """An absolute http or https URL without white space."""
    if _EVERYDAY_URL.fullmatch(value):
        return True
    if not _WEB_URL.fullmatch(value):
        return False
    try:
        return bool(urlsplit(value).hostname)
    except ValueError:
        return False


_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


_ESCAPED_FIELDS = WORDS | {"zip", "country"}
# What a card number, an email or a phone is made of stays as it is: those are looked for in what was sent.
_KEPT_ESCAPED = re.compile(r"[\d@+%\ufffd]")


def unescaped_words(name: str, value: str) -> str:
    """Words of a person or any part of the address, as they are where they stand in HTML: ``O'Brien`` for
    ``O&#039;Brien``, ``New York`` for ``New&nbsp;York``.
    """
    if "&" not in value or name not in _ESCAPED_FIELDS:
        return value
    return _ENTITY.sub(_unescaped, value)


def unescaped_email(value: str) -> str:
    """An address without the escapes of HTML, of JSON and of URLs, where it is one without them: ``&``, ``%`` may stand in one."""
    plain = unescaped(value)
    if "%" in plain and "\ufffd" not in (unquoted := unquote(plain)):
        plain = unescaped(unquoted)
    plain = without_json_ends(plain)
    return value if plain == value or normalise.email(plain) is None else plain


_JSON_QUOTE = re.compile(r"\\+([\"'/])")
_JSON_END = re.compile(r"(?:\\+[nrt])+(?=[\"']*\Z)")


def without_json_ends(text: str) -> str:
    """Without the backslashes of quotes, and the line's end behind, of a text that stood in JSON: ``\\"jane@example.com\\"``."""
    return _JSON_END.sub("", _JSON_QUOTE.sub(r"\1", text)) if "\\" in text else text


def _unescaped(found: re.Match[str]) -> str:
    name = f"{found[1]};"
    if name[0] != "#" and name not in html5:
        return found[0]
    sign = html.unescape(f"&{name}")
    if sign.isspace():
        return " "
    sign = without_invisible(sign)
    is_read = sign.isprintable() and not _KEPT_ESCAPED.search(unicodedata.normalize("NFKC", sign))
    return sign if is_read else found[0]


def unescaped_url(value: str) -> str:
    """An address as a browser reads it where it stands in HTML: ``&`` for ``&amp;`` and ``&#038;``. No address that is right as it is
    changes.
    """
    if "&amp;" not in value and "&#" not in value:
        return value
    return _ESCAPED.sub(lambda found: html.unescape(f"&{found[1]}"), value)


def web_url(value: str) -> str | None:
    """An absolute http or https URL; one without a scheme that begins with a host gets ``https://``, blanks behind the host
    are percent-encoded, as browsers have them, and escapes of HTML are read. None: it is none.
    """
    value = unescaped_url(value)
    if is_web_url(value):
        return value
    text = bare(value)
    if found := _HOST_AND_MORE.fullmatch(text):
        text = found[1] + _BLANK.sub(lambda blank: quote(blank[0]), found[2])
    if is_web_url(text):
        return text
    if _WITHOUT_SCHEME.match(text) and is_web_url(mended := f"https://{text.removeprefix('//')}"):
        return mended
    return None


def is_uuid(value: str) -> bool:
    """A UUID with hyphens, in any case: how systems write advertising and vendor ids."""
    return _UUID_ALONE.fullmatch(value.strip()) is not None


def is_zero_uuid(value: str) -> bool:
    """The id that a system gives where tracking is not allowed: nobody's."""
    return not value.strip("0-")


def is_browser_id(value: str) -> bool:
    """An id that one browser can have. What many send in place of one is none: zeros, ``anonymous``, ``NO_COOKIE``, ``unknown1``."""
    text = value.strip()
    return _BROWSER_ID.fullmatch(text) is not None and _is_of_one(text)


@lru_cache(maxsize=1024)  # of one event it is asked several times
def _is_of_one(text: str) -> bool:
    return len(set(text) - _SEPARATORS) > _FEW and not _is_words(text) and text not in _COUNTED


def _is_words(text: str) -> bool:
    """Words, and a small number at most behind them. Of letters by chance a change of case makes words of one or two."""
    if len(text) > 24:
        return False
    bare = text.rstrip("0123456789")
    if len(text) - len(bare) > 3 or not bare.translate(_NO_SEPARATOR).isalpha():
        return False
    lengths = [len(word) for word in _WORD.findall(bare)]
    return min(lengths) > 1 and sum(lengths) >= (3 if len(text) < 16 else 5) * len(lengths)


class Format(NamedTuple):
    """``is_everyday`` is the quick test that most values pass; only those that fail it are asked ``is_right``."""

    is_everyday: Callable[[str], object]
    is_right: Check
    what: str  # it must be


def _format(pattern: re.Pattern[str], what: str, unless: str = "", end: str = _NO_QUOTE) -> Format:
    """``unless``: how a value begins that is looked at closely; ``end``: how others end."""
    unusual = f"(?!{unless})" if unless else ""
    everyday = re.compile(f"{unusual}{_NO_NAME}{_NO_PLACEHOLDER}(?:{pattern.pattern}){end}", pattern.flags)
    return Format(everyday.fullmatch, lambda value: pattern.fullmatch(value.strip()) is not None, what)


def _meta_cookie(what: str) -> Format:
    def is_right(value: str) -> bool:
        return _META_MILLISECONDS.fullmatch(value.strip()) is not None and is_meta_cookie(value)

    return Format(_EVERYDAY_META_COOKIE.fullmatch, is_right, what)


def _email(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.email(value) is not None


def _birth(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.date_of_birth(value) is not None


def _gender(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.gender_or_neither(value) is not None


def _country(value: str) -> bool:
    return normalise.is_sha256(value) or normalise.country(value) is not None


_OPAQUE_ID = Format(
    _EVERYDAY_OPAQUE.fullmatch,
    lambda value: _OPAQUE.fullmatch(value.strip()) is not None,
    "must be given as it was found in the URL or cookie, without spaces",
)
_GOOGLE_CLICK = _OPAQUE_ID._replace(is_everyday=re.compile(rf"(?!GCL\.|[12]\.){_EVERYDAY_OPAQUE.pattern}").fullmatch)
_META = "must look like fb.1.1596403881668.1116446470: the third part is the creation time in milliseconds, 13 digits"
_EMAIL = "must be an address such as jane@example.com, or its SHA-256 as 64 hexadecimal digits"

# A phone needs to know the default countries: see ``event_fields.py``.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "email": Format(_EVERYDAY_EMAIL.fullmatch, _email, _EMAIL),
        "date_of_birth": Format(lambda value: len(value) < 64 and _birth(value), _birth, "must be written YYYY-MM-DD"),
        "gender": Format(
            lambda value: len(value) < 64 and _gender(value),
            _gender,
            "must be f or m, or a word such as female or male; platforms that know a third one take non-binary",
        ),
        "country": Format(
            lambda value: len(value) == 2 and _country(value),
            _country,
            "must be a two-letter ISO 3166-1 code such as US",
        ),
        "client_ip": Format(_EVERYDAY_PUBLIC_IPV4.fullmatch, is_public, "must be an IPv4 or IPv6 address"),
        "external_id": Format(_EVERYDAY_ID.fullmatch, lambda value: True, ""),
        "client_user_agent": Format(_EVERYDAY_AGENT.fullmatch, lambda value: True, ""),
        "browser_id": Format(
            lambda value: _EVERYDAY_BROWSER_ID.fullmatch(value) is not None and is_browser_id(value),
            is_browser_id,
            "must be the id that /tl.js gives a browser, which is the value of the cookie _tlb",
        ),
        "fbp": _meta_cookie(_META),
        "fbc": _meta_cookie(_META.replace("1116446470", "IwAR2F4d...")),
        "fbclid": Format(
            _EVERYDAY_FBCLID.fullmatch,
            lambda value: _OPAQUE.fullmatch(value.strip()) is not None and is_meta_cookie(f"fb.1.0.{value.strip()}"),
            "must be given as it was found in the URL, without spaces and dots",
        ),
        "ttp": _OPAQUE_ID,
        "ttclid": _format(_TTCLID, f"{_OPAQUE_ID.what}, with 1,000 characters at most", end=_NO_ESCAPE),
        "gclid": _GOOGLE_CLICK,
        "gbraid": _GOOGLE_CLICK,
        "wbraid": _GOOGLE_CLICK,
        "lead_id": _format(_LEAD_ID, "must be the id of the lead form's entry, without spaces"),
        "ga_client_id": Format(
            is_everyday_client,
            lambda value: client_id(value) is not None,
            "must be the client id, such as 1234567890.1713877200",
        ),
        "ga_session_id": Format(
            is_everyday_session,
            lambda value: session_id(value) is not None,
            "must be digits, or the session's cookie as it was found",
        ),
        "epik": _OPAQUE_ID,
        "sc_click_id": _OPAQUE_ID,
        "sc_cookie1": _OPAQUE_ID,
        "li_fat_id": _OPAQUE_ID,
        "rdt_cid": _OPAQUE_ID,
        "rdt_uuid": _format(
            _RDT_UUID, "must be the value of the _rdt_uuid cookie: milliseconds, a dot, a UUID", r"[0.-]+\Z"
        ),
        "msclkid": _format(_MSCLKID, "must be 32 hexadecimal digits, with or without hyphens", r"[0-]+\Z"),
        "twclid": _OPAQUE_ID,
    }
)


# Of these more is taken than is right, and told.
_TAKEN: Mapping[str, Check] = MappingProxyType({"client_ip": is_ip, "fbp": is_meta_cookie, "fbc": is_meta_cookie})


def usable(name: str, value: str) -> str | None:
    """An identifier that has a format, as it goes out: without blanks around it. None where no platform takes it: it is malformed,
    or only stands for one. What is None here is as good as missing, wherever it is found.
    """
    wanted = FORMATS[name]
    if wanted.is_everyday(value):
        return value
    text = value.strip()
    is_taken = _TAKEN.get(name, wanted.is_right)
    return text if text and is_taken(text) and not stands_for_none(name, text) else None


# What an identifier is called in the URL or among the cookies that it is found in, besides its own name, which may have a _ in
# front.
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "browser_id": "_tlb",
        "gclid": "_gcl_aw",
        "gbraid": "_gcl_ag",
        "wbraid": "_gcl_gb",
        "msclkid": "_uetmsclkid",
        "sc_click_id": "_?sccid|_scclid",
        "sc_cookie1": "_scid",
    }
)
_NAMED: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        name: re.compile(
            rf"(?:\A|[?&;,{{\s])[\"']?(?:_?{name}|{_OTHER_NAMES.get(name, name)})[\"']?\s*[=:](?!\{{[\"'])\s*(?:\"([^&;#\s\"]*)|'([^&;#\s']*)|([^&;#\s\"',)\]}}]*))",
            re.IGNORECASE,
        )
        for name in (
            "browser_id fbp fbc fbclid ttp ttclid gclid gbraid wbraid epik sc_click_id sc_cookie1 li_fat_id rdt_cid rdt_uuid "
            "msclkid twclid"
        ).split()
    }
)


def without_name(name: str, text: str) -> str | None:
    """A click id, or a platform's cookie, without the name and the quotation marks that were copied along with it, and out of the URL,
    the cookies, the JSON, in whatever escapes, or what PHP serialised, in which it stood; None: there are none. Empty where what stands
    there is no id: a list, ``(not set)``.
    """
    named = _NAMED.get(name)
    if named is None:
        return None
    plain = without_json_ends(unescaped(text))
    unquoted = unquote(plain) if "%" in plain else plain
    if (held := _held(named, unquoted)) is not None:
        return held
    if "=" in unquoted or ":" in unquoted:
        found = named.search(unquoted)
        if found:
            value = found[1] or found[2] or found[3] or ""
            return "" if value.startswith(("(", "[", "{", "<")) else value
    # What is escaped within an id is left to its owner.
    alone = (plain if unquoted.strip(_QUOTES) == unquoted else unquoted).strip(_QUOTES).lstrip("?&").strip(_QUOTES)
    if parameters := _PARAMETERS_BEHIND.fullmatch(alone):
        alone = parameters[1]
    return None if alone == text.strip() else alone


_QUOTES = " \t\r\n\u00a0\"'"
_PARAMETERS_BEHIND = re.compile(r"([^&]+)&[A-Za-z_][A-Za-z0-9_.-]*=.*", re.DOTALL)
# A list of one, or of the same again, as JSON and Python write it, also under a name.
_LIST = re.compile(r"(?:\{\s*[\"']?\w+[\"']?\s*:\s*)?\[\s*([\"'])([^\"']+)\1\s*(?:,\s*\1\2\1\s*)*\](?:\s*\})?")
# As Google's own sample for websites keeps a gclid: {"value":"Cj0_x","expiryDate":1793877200123}.
_VALUE = re.compile(r"\{(?:[^{}]*,)?\s*[\"']value[\"']\s*:\s*([\"'])([^\"']*)\1[^{}]*\}")
_SERIALISED = re.compile(r"\bs:[0-9]+:\"([^\"]*)\";")


def _held(named: re.Pattern[str], text: str) -> str | None:
    """The id of a list of one, of an object with a ``value``, or of what PHP serialised; None: the text is none of these."""
    text = text.strip(_QUOTES)
    if text == "[]":
        return ""
    if text[:1] in ("[", "{") and (found := _LIST.fullmatch(text) or _VALUE.fullmatch(text)):
        return found[2] if found.re is _VALUE or text[0] == "[" or named.match(text) else None
    strings = _SERIALISED.findall(text)
    before = [place for place, one in enumerate(strings[:-1]) if named.match(f"{one}=")]
    return strings[before[0] + 1] if before else strings[0] if len(strings) == 1 else None


# As Google's tag writes _gcl_aw and _gcl_gb, and as it writes _gcl_ag.
_GOOGLE_COOKIE = re.compile(
    r"(?:1\.[0-9]\.k?)?GCL\.[0-9]{10}\.([!-~]+)|2\.[0-9]\.k([!-#%-~]+)\$i[0-9]{10}(?:\$[!-~]*)?"
)


def out_of_cookie(name: str, text: str) -> str | None:
    """A click id of Google's out of the cookie that its tag keeps it in; None: it stands in none."""
    if FORMATS.get(name) is not _GOOGLE_CLICK or not (found := _GOOGLE_COOKIE.fullmatch(text.strip())):
        return None
    return found[1] or found[2]


def zip_of_table(text: str) -> str | None:
    """The digits of a postal code that a table wrote as a number: ``94107.0``; None for any other text."""
    found = _ZIP_AS_A_FLOAT.fullmatch(text.strip())
    return found[1] if found else None


# As Cloudflare names the country of who is on Tor, or of whom it knows none, and Unicode any that is not known.
_NO_COUNTRY = frozenset(
    spelling for word in ("unknown", "xx", "t1", "zz") for spelling in (word, normalise.sha256_hex(word))
)


def stands_for_none(name: str, text: str) -> bool:
    """Whether a text in this field of ``user_data`` is what somebody writes who has no value."""
    if name in WORDS:
        return normalise.is_placeholder(text)
    if name == "external_id":
        return text.strip() == "0" or normalise.is_of_many(text)
    if normalise.is_nobodys(text) or (name == "country" and text.strip().lower() in _NO_COUNTRY):
        return True
    if name == "ga_client_id":  # GA1.1.1.null is one
        return any(normalise.is_nobodys(part) and not part.isdigit() for part in text.split("."))
    return name in ("msclkid", "rdt_uuid") and not text.strip(" 0.-")
