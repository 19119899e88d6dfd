"""E-mail addresses and phone numbers in plain text, by what they look like and whatever stands around them.

A phone number counts with + and a valid country code alone: bare digits are an order number. Full-width ones are found, too, and
those that were escaped for a URL, HTML or JSON: here it is told how a text is brought into the plain form in which anything is
looked for. What a name promises, and what becomes of what is found, is told elsewhere.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from html.entities import html5
from urllib.parse import unquote

import phonenumbers

from tracklayer.domain.text import decimal_digits, with_few_marks, without_invisible

# Only what stands right before the @ and behind it is looked at: any text takes linear time.
_ADDRESS = re.compile(
    r"(?<=[\w.\-'\"~!$])@(?!v?\d+\.\d)(?:[\w\-]{1,63}\.){1,10}(xn--[\w\-]{1,59}|[^\W\d_]{2,63})", re.IGNORECASE
)
# With blanks at its @, as an email may have them: of hosts whose end says that they are some, as "live @ Studio.Recorded" does not.
_BLANKS = r"[^\S\r\n]{1,3}"
_ADDRESS_APART = re.compile(
    rf"(?:(?<=\s)@(?:{_BLANKS})?|@{_BLANKS})(?:[\w\-]{{1,63}}\.){{1,10}}"
    r"([a-z]{2}|com|net|org|info|biz|edu|gov|mil|name|pro|app|dev|email|mail|online|shop|store|site|cloud)(?![\w\-])",
    re.IGNORECASE,
)
_BEFORE_APART = re.compile(rf"[\w.\-'\"~!$](?:{_BLANKS})?\Z")
_LOCAL_PART = re.compile(r"[^\s@<>()\[\]{},:;|/\\=&?#\"]{1,64}\Z")
_FILES = frozenset("png jpg jpeg gif svg webp avif ico css js mjs json htm html php pdf mp4 webm txt xml woff".split())
_BETWEEN = r"[\s().\-/\u2010-\u2015]{0,3}"
_PHONE = re.compile(rf"(?<![^\W_])(?<!\+)\+{_BETWEEN}\d(?:{_BETWEEN}\d){{6,14}}(?!\d)")
_PHONE_LINK = re.compile(rf"(?<![a-z])(?:tel|callto|sms|smsto):(?:{_BETWEEN}\+?{_BETWEEN}\d){{6}}", re.IGNORECASE)
_COORDINATE = re.compile(r"\+\d{1,3}\.\d{4,}")  # with its sign
_LAST_GROUP = re.compile(r"[^0-9]+\d+\Z")
_FEWEST_BEFORE_OTHERS = 9  # digits of a phone that others follow
# What stands between the two may be escaped for a URL.
PLUS = re.compile(r"\+(?:[\s().\-/\u2010-\u2015]|%[0-9A-Fa-f]{2}){0,9}\d").search
# In a URL those of " # % & + @ : ; = ? \ and the first byte of full-width and invisible characters.
_ENCODED_SIGN = r"%(?:2[2356Bb]|40|3[ABDFabdf]|5[Cc]|[Ee][Ff2])"
# In HTML all that are numbers, and the names of @ + % \; in JSON and JavaScript all that are numbers.
_HTML_SIGN = r"&(?:amp;?)*(?:#|commat;|plus;|percnt;|bsol;)"
_JSON_SIGN = r"\\[ux][0-9A-Fa-f{]"
_find_encoded_sign = re.compile(f"{_ENCODED_SIGN}|{_HTML_SIGN}|{_JSON_SIGN}").search
# The same in UTF-8, apart: what begins with one sign is found several times as fast.
HTML_SIGN, JSON_SIGN = [re.compile(sign.encode()).search for sign in (_HTML_SIGN, _JSON_SIGN)]
WIDE = re.compile(r"[\ufe50-\ufe6f\uff00-\uffef]").search


def holds_contact(text: str) -> bool:
    """Whether an e-mail address or a phone number with + stands in a text, such as a title or what somebody searched for.

    By value alone: full-width, escaped and within longer text, too. Never raises; most texts take 0.2 µs.
    """
    if text.isascii():
        may_hold = "@" in text or ("+" in text and PLUS(text) is not None) or holds_encoded_sign(text)
    else:
        may_hold = may_hold_contact(text)
    return may_hold and holds_address_or_number(decoded(text))


def contacts_within(text: str) -> tuple[list[str], list[str]]:
    """The addresses and the phone numbers with + that stand in a text, as ``holds_contact`` finds them: the latter without what
    stands behind them. Of an address what stands before it without a blank or a sign between them is taken for a part of it.
    """
    plain = decoded(text)
    emails = [
        before[0] + found[0]
        for found in _hosts_in(plain)
        if (before := _LOCAL_PART.search(plain[: found.start()].rstrip()))
    ]
    return emails, list(_phones_in(plain))


def may_hold_contact(text: str) -> bool:
    """False where ``holds_contact`` finds nothing in any part of a text, such as the JSON of many fields."""
    return "@" in text or "+" in text or holds_encoded_sign(text) or not (text.isascii() or WIDE(text) is None)


def holds_encoded_sign(text: str) -> bool:
    """Whether a sign by which a contact is known may stand in a text as it is written in URLs, in HTML or in JSON."""
    return ("%" in text or "&" in text or "\\" in text) and _find_encoded_sign(text) is not None


def holds_contact_or_link(text: str) -> bool:
    """Whether an e-mail address, a phone number or a ``tel:`` link stands in plain text that was decoded and folded."""
    return holds_address_or_number(text) or (":" in text and _PHONE_LINK.search(text) is not None)


def holds_address_or_number(text: str) -> bool:
    return any(True for _ in _hosts_in(text)) or any(True for _ in _phones_in(text))


def _hosts_in(text: str) -> Iterator[re.Match[str]]:
    """Of each address in a text the part from its @ on."""
    if "@" in text:
        for found in _ADDRESS.finditer(text):
            if found[1].lower() not in _FILES:
                yield found
        for found in _ADDRESS_APART.finditer(text):
            if found[1].lower() not in _FILES and _BEFORE_APART.search(text[: found.start()][-4:]):
                yield found


def _phones_in(text: str) -> Iterator[str]:
    """Each valid number with + in a text, without what stands behind it."""
    if "+" in text:
        for found in _PHONE.finditer(text):
            if (number := _phone_of(found[0])) is not None:
                yield number


def _phone_of(found: str) -> str | None:
    """The valid number of a + and digits with signs between them; behind it other digits may stand."""
    if _COORDINATE.match(found):
        return None
    while True:
        digits = decimal_digits(found)
        if _is_valid_phone(digits):
            return f"+{digits}"
        shorter = _LAST_GROUP.sub("", found)
        if shorter == found or sum(map(str.isdecimal, shorter)) < _FEWEST_BEFORE_OTHERS:
            return None
        found = shorter


@lru_cache(maxsize=1024)
def _is_valid_phone(digits: str) -> bool:
    """Digits with the country code, a 0 behind it forgiven, as in +49 (0)171: valid, says the phone library."""
    for length in (1, 2, 3):
        code = int(digits[:length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            national = digits[length:]
            return _is_valid_in(code, national) or (national[:1] == "0" and _is_valid_in(code, national[1:]))
    return False


def _is_valid_in(code: int, national: str) -> bool:
    if not any(pattern.fullmatch(national) for pattern in _numbering_plan(code)):
        return False
    zeros = len(national) - len(national.lstrip("0"))
    number = phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
    return bool(phonenumbers.is_valid_number(number))


@cache
def _numbering_plan(code: int) -> tuple[re.Pattern[str], ...]:
    found = (
        phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    )
    plans = (plan.general_desc.national_number_pattern for plan in found if plan and plan.general_desc)
    return tuple(re.compile(pattern) for pattern in plans if pattern)


# Plain text --------------------------------------------------------------------------------------------------------

_MOST_ENCODINGS = 4
_MARKS = re.compile(r"[\u0300-\u036f\u3099\u309a]")


def decoded(text: str) -> str:
    """Without escapes, however often they were put on, then folded."""
    return folded(unquoted(text))


def folded(text: str) -> str:
    """Without accents and invisible characters, in plain forms of full-width and the like."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", with_few_marks(without_invisible(text)))
    letters = _MARKS.sub("", apart).replace("ß", "ss").replace("ł", "l").replace("ø", "o")
    return unicodedata.normalize("NFC", letters)


# As HTML writes a character, once or again and again, and as JSON and JavaScript do. A number needs no ; behind it and may have
# zeros in front, and each time that a text is written as JSON doubles its backslashes. An @ that was escaped stays one.
_ESCAPE = re.compile(
    r"&(?:amp;?)*(?:#0*([0-9]{1,7})(?![0-9]);?|#[xX]0*([0-9A-Fa-f]{1,6})(?![0-9A-Fa-f]);?|([A-Za-z][A-Za-z0-9]{1,31});)"
    r"|(?<!\\)\\++(?:u([0-9A-Fa-f]{4})|u\{0*([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|(@))"
)


def unquoted(text: str, most: int = _MOST_ENCODINGS) -> str:
    """Without the escapes of URLs, taken off ``most`` times, and those of HTML and of JSON within."""
    for _ in range(most):
        plain = unescaped(unquote(text) if "%" in text else text)
        if plain == text:
            break
        text = plain
    return text


def unescaped(text: str) -> str:
    """Without the escapes of HTML and of JSON, however often they were put on."""
    for _ in range(_MOST_ENCODINGS):
        if ("&" not in text and "\\" not in text) or (plain := _ESCAPE.sub(_character, text)) == text:
            break
        text = plain
    return text


def _character(found: re.Match[str]) -> str:
    """What no text may hold stays escaped: a control character, or half of another."""
    decimal, hexadecimal, name, *codes, at = found.groups()
    if number := decimal or hexadecimal:
        sign = html.unescape(f"&#{'' if decimal else 'x'}{number};")
    elif name:
        sign = html.unescape(f"&{name};") if f"{name};" in html5 else ""
    elif at:
        sign = at
    else:
        code = int("".join(filter(None, codes)), 16)
        sign = chr(code) if code < 0xD800 or 0xDFFF < code < 0x110000 else ""
    return found[0] if not sign or unicodedata.category(sign[0]) == "Cc" else sign
