"""One named rule per kind of value: what a platform wants to see before it is hashed, or plain.

A rule takes what a merchant sent and returns the normalised text, or None where nothing usable is left. Which
platform follows which rule is that platform's own business; where the rule comes from stands beside it. The rules of
e-mail addresses and phones live in ``email_address.py`` and ``phone.py`` and are named here too.
"""

from __future__ import annotations

import gettext
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import pycountry

from tracklayer.domain.email_address import EMAIL_RULES as EMAIL_RULES
from tracklayer.domain.email_address import email as email
from tracklayer.domain.email_address import email_alphanumeric as email_alphanumeric
from tracklayer.domain.email_address import email_digests as email_digests
from tracklayer.domain.email_address import email_google as email_google
from tracklayer.domain.email_address import email_without_alias as email_without_alias
from tracklayer.domain.email_address import is_read_without_blanks as is_read_without_blanks
from tracklayer.domain.phone import PHONE_RULES as PHONE_RULES
from tracklayer.domain.phone import UNSENT as UNSENT
from tracklayer.domain.phone import is_somebodys_number as is_somebodys_number
from tracklayer.domain.phone import phone_at_home as phone_at_home
from tracklayer.domain.phone import phone_digests as phone_digests
from tracklayer.domain.phone import phone_digests_to_keep as phone_digests_to_keep
from tracklayer.domain.phone import phone_digits as phone_digits
from tracklayer.domain.phone import phone_e164 as phone_e164
from tracklayer.domain.phone import phone_of as phone_of
from tracklayer.domain.sha256 import sha256_hex as sha256_hex
from tracklayer.domain.text import as_typed, bare, with_few_marks, without_invisible

Rule = Callable[[str], str | None]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# 64 hexadecimal digits in lower case, as nearly all write them: ``digest_in`` of such a text is itself.
is_plain_digest = re.compile(r"[0-9a-f]{64}").fullmatch
# Meta's parameter builder hangs two known or eight characters behind a digest; the digest is what is in front.
_TAGGED_SHA256 = re.compile(r"([0-9a-fA-F]{64})\.(?:AQ|Ag|Aw|BA|BQ|Bg|[A-Za-z0-9_-]{8})")
_OTHER_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}")  # MD5 and SHA-1: no platform takes them
_ZIP_PLUS_4 = re.compile(r"\d{5}-\d{4}")
_ISO_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_SLASH_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


def is_sha256(value: str) -> bool:
    """True for 64 hexadecimal digits in any case: a value its sender hashed already, also with a builder's tail."""
    return len(value) >= 64 and digest_in(value) is not None


def digest_in(value: str) -> str | None:
    """The digest that its sender made, in lower case, without a parameter builder's tail; None: it is none."""
    text = value.strip()
    if len(text) == 64:
        return text.lower() if _SHA256.fullmatch(text) else None
    tagged = _TAGGED_SHA256.fullmatch(text)
    return tagged[1].lower() if tagged else None


# What programs and people write where they have nothing, in lower case: the digests of these are nobody's either.
_NOTHINGS = frozenset(
    "null|undefined|none|nan|nil|n/a|-|--|false|0|(none)|(null)|(not set)|[object object|undefined undefined|null null".split(
        "|"
    )
)
# Spellings that no person and no id has.
_PLACEHOLDERS = frozenset("null undefined NaN None nil false False 0 - NULL nan N/A n/a N/a n/A".split())
# In double braces, and behind a $, programs put a name: what was filled in is a number or a UUID there, and nothing else. In one
# pair shops have ids, too. One is a number, with one word in front at most, of three digits or behind a capital and a hyphen:
# {1001}, {WC1001}, {SO-2024-7}, {Order-7}; or, in capitals, among more words where it has three digits: {DE-SHOP-1001}. {0} is a
# place, {order-id-2}, {ORDER-ID-2} and {field1} are names, and JSON is neither.
_UUID = r"[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}"
_PARTS = r"(?:[-_./#:][0-9][0-9A-Za-z]*)*"
_NUMBERED = (
    rf"[#\u2116]?(?:[0-9][0-9A-Za-z]+(?:[-_./#:][0-9A-Za-z]+)*"
    rf"|(?:[^\W\d_]+[-_./# ]?(?=[0-9]{{3}})|[A-Z][A-Za-z]*-)[0-9][0-9A-Za-z]*{_PARTS}"
    r"|(?=[^{}]*[-./#:][0-9]{3})[0-9A-Z]+(?:[-./#:][0-9A-Z]+)+)"
)
_IN_BRACES = (
    rf"(?:\$\{{|\{{\{{)(?!\s*(?:[0-9]{{2,}}|{_UUID})\s*\}})[^{{}}]*\}}?\}}"
    rf"|\{{(?!\s*[\"'])(?!\s*(?:{_NUMBERED}|{_UUID})\s*\}})[^{{}}]*\}}"
)
_IN_BRACKETS = rf"\[\[(?!\s*(?:[\"']|(?:[0-9]{{2,}}|{_UUID})\s*\]))[^\[\]]*\]\]"
# As Go and Objective-C print nothing, Go's templates too, and what Go's formats say of what is nil or missing.
_PRINTED = r"<(?i:nil|null|none|no value)>|%![A-Za-z]\((?:<nil>|MISSING)\)"
_TEMPLATE = re.compile(
    rf"\[object [A-Za-z]+\]|{_IN_BRACES}|{_IN_BRACKETS}|%%[^%]*%%|\*\|[^|]*\|\*|<[%?][^<>]*[%?]>"
    rf"|(?<![^\W_])__[A-Z_]+__(?![^\W_])|{_PRINTED}"
)
# What nobody filled in, in an id: the name of a variable of PHP or a shell, too, and the place of a text or a number in a format, by
# order, by name, with its width: %1$s, %(id)s, %05d. %2d is no such place but a hyphen in a URL. Behind words neither is %20d: a
# blank and a letter. %32x is one, as nobody escapes a digit, and so is %25s: a %s that was escaped.
_NAMED_PLACE = (
    r"(?<![^\W_])\$[^\W\d]+[0-9]{0,2}(?:(?:\??->|\.)[^\W\d]+|\[(?:[0-9]{1,2}|[^\[\]0-9]*|[\"'][^\[\]]*)\])*(?!\w)"
)
_OF_A_FORMAT = r"(?:\(\w+\)|[0-9]\$)?[-+#]?[0-9]*(?:\.[0-9]+)?(?:hh?|ll?|z)?[sdiuxXfgv@](?![A-Za-z0-9])"
_VARIABLE = rf"{_NAMED_PLACE}|(?<![0-9])%(?![0-9][A-Fa-f]){_OF_A_FORMAT}"
_ESCAPED = r"2[0-46-9]|40|60|[89][0-9]"  # of two digits, as URLs have other signs than letters and digits
_UNFILLED = re.compile(rf"{_TEMPLATE.pattern}|{_NAMED_PLACE}|(?<![0-9])%(?![0-9][A-Fa-f]|{_ESCAPED}){_OF_A_FORMAT}")
# The empty UUID of C#; a long number as Excel shows it, without its last digits; Excel's errors, and a cell that is too narrow;
# nothing as Swift and Java print it, an empty list, an object of PHP's without a class, and any list as PHP does.
_NO_UUID = r"[{(]?0{8}(?:-?0{4}){3}-?0{12}[)}]?"
_NO_OPTIONAL = r"Optional(?:\(nil\)|\.empty)|\[\]|stdClass"
_NO_VALUE = rf"{_NO_UUID}|[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{{2}}|#(?:[^\W\d_]|[¡¿/0])+[!?]|#N/[A-Z]|#NV|#+|{_NO_OPTIONAL}"
_ARRAYS = r"(?:Array[, ]{0,2})+"
_NO_ID = re.compile(rf"{_NO_VALUE}|{_ARRAYS}|{_VARIABLE}")
# Behind words alone: ``order_undefined``. Of what has a digit in front, such as ``1001-null``, that tells it from others. A template or
# a variable stands here as {}: see ``_bare_id``. An Array is behind some words the product: ``Solar-Array``.
_NEVER_A_NAME = rf"(?ai:\(?(?:undefined|null)\)?|\((?:none|nan|nil|not set)\))|NaN|None|{_NO_VALUE}"
# Names of people have blanks, dots and apostrophes in them.
_NOTHING_BEHIND = re.compile(
    rf"\D*(?:[-_#:/]|[^\w\s\x00-\x7f\u00b7\u2019]) ?(?:{_NEVER_A_NAME})[-_#:/ ]*|\D*(?ai:undefined)|\D*\{{\}}\D*"
)
# Of an event or an order behind whatever is no letter and no digit, and in front of words or between them, too: they have no names of
# people, who may be called Nan.
_SIGN = r"[\W_ªº]"
_NOTHING_BESIDE = re.compile(
    rf"\D*{_SIGN}(?:{_NEVER_A_NAME}|(?ai:none|nan)){_SIGN}*"
    rf"|(?:\D*{_SIGN})?(?:(?ai:undefined|null)|NaN|None|{_NO_UUID}|{_NO_OPTIONAL}){_SIGN}\D*"
)
# What ends the ids of people, too, as in ``oz-nil`` and ``anna_``: a nothing that may be a name, and nothing at all, as PHP and Ruby
# print null. Behind words of ``_WORDS_OF_IDS`` alone it is none, and so is what was put right behind one. A picture is as good as a word.
_BETWEEN = r"(?:[^\w\u2190-\u2bff\U0001f000-\U0010ffff]|[_ªº])"
_MAYBE_NOTHING_BEHIND = re.compile(
    rf"(\D*?)(?:{_BETWEEN}(?ai:\(?(?:none|nan|nil|n/a|false|null)\)?)?|(?ai:null)|NaN|None|{_ARRAYS}){_BETWEEN}*"
)
_BETWEEN_WORDS_OF_IDS = re.compile(rf"{_BETWEEN}+")
# What shops put in front of the number of an order, an event or a person.
_WORDS_OF_IDS = {""} | frozenset(
    "order orders ord orderid orderno ordernr ordernumber orderref po so bestellung bestell bestellnr bestellnummer auftrag auftragsnr "
    "auftragsnummer invoice inv rechnung rechnungsnr rechnungsnummer quote commande facture pedido factura fatura ordine fattura "
    "bestelling bestelnummer zamówienie objednávka beställning bestilling заказ 注文 订单 訂單 주문 purchase purchases checkout cart "
    "basket warenkorb transaction transactionid transaktion transactie tx txid txn trx payment sale event eventid evt lead leadid "
    "booking buchung reservation ticket subscription sub customer customers customerid cust cus kunde kunden kundennr kundennummer "
    "client cliente klant user users userid account member mitglied contact visitor profile id uid uuid nr no number nummer ref wc woo "
    "woocommerce web shop store shopify gid".split()
)
# The name of an id where the id should be, as manuals print it: ORDER_ID_PLACEHOLDER, your-order-id, INSERT_ORDER_ID_HERE.
_WORDS_OF_MANUALS = frozenset("placeholder your the insert enter replace with me here".split())
_OF_AN_ID = frozenset(
    "id uid uuid no nr number nummer ref orderid orderno ordernr ordernumber transactionid leadid customerid userid".split()
)
_WORD_IN_A_NAME = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")  # orderId, ORDER_ID
# A name between signs that an id is not put between: <ORDER_ID>, [ORDER_ID], #ORDER_ID#. A Message-ID has an @ and digits.
_NAME_BETWEEN_SIGNS = re.compile(
    r"[<\[(#%@~|!*$]{1,2}(?:[A-Z]+(?:[_.-][A-Z]+)+|(?<=<)[a-z]+(?:[_.-][a-z]+)+)[>\])#%@~|!*$]{1,2}"
)
# Of what a template is to be filled with: where it is the id itself, a shop's number or a year beside it tells no two apart.
_OF_ORDERS = frozenset(
    "order orders orderid orderno ordernr ordernumber orderref bestellung bestellnr bestellnummer auftrag auftragsnr auftragsnummer invoice "
    "commande pedido purchase checkout transaction transactionid txid txn event eventid lead leadid booking".split()
)
_OF_PEOPLE = frozenset(
    "customer customers customerid cust kunde kundennr kundennummer client cliente klant user userid member account contact".split()
)
_NO_NUMBER_OF_ITS_OWN = re.compile(r"\D*(?:[0-9]\D*){1,3}|\D*20[0-9]{2}\D*")
_LONGEST_ID = 255  # characters: a longer one was not made of a word and nothing


def is_placeholder(value: str) -> bool:
    """True for what a program or a template wrote where it had no value: ``null``, ``{gclid}``, ``[object Object]``."""
    text = value.strip()
    return text in _PLACEHOLDERS or (not text[:1].isalnum() and _TEMPLATE.fullmatch(text) is not None)


def is_nobodys(value: str) -> bool:
    """As ``is_placeholder``, of ids: in any case, in quotes, percent-encoded or cut off. A person may be called Null."""
    text = without_invisible(value).strip().strip("\"'")
    if text.lower() in _NOTHINGS or is_placeholder(text):
        return True
    # Of a link that was put into another one a template is encoded twice.
    return "%" in text and (is_placeholder(once := unquote(text)) or ("%" in once and is_placeholder(unquote(once))))


def is_no_id(value: str) -> bool:
    """As ``is_nobodys``, of the ids of products: what tables and C# write in the place of one is none either. 0 is, as somebody
    counts from it.
    """
    if value.strip() == "0":
        return False
    return is_nobodys(value) or _NO_ID.fullmatch(bare(value).strip("\"'")) is not None


def is_one_for_all(value: str) -> bool:
    """As ``is_of_many``, of the ids of events and orders: the name of one is none, either."""
    if _is_of_many(value, _OF_ORDERS) or _NOTHING_BESIDE.fullmatch(text := _bare_id(value)):
        return True
    if any(sign in "123456789" for sign in text):
        return False
    words = _words_of(text)
    return _NAME_BETWEEN_SIGNS.fullmatch(text) is not None or (
        not words.isdisjoint(_OF_AN_ID) and not words.isdisjoint(_OF_ORDERS) and words <= _WORDS_OF_IDS
    )


def is_of_many(value: str) -> bool:
    """As ``is_no_id``, of the ids of people: words with nothing behind them tell no two apart. A name does, with whatever sign behind
    it.
    """
    return _is_of_many(value, _OF_PEOPLE)


def _is_of_many(value: str, own: frozenset[str]) -> bool:
    """``own``: words for whatever the id is one of."""
    text = _bare_id(value)
    if is_no_id(value) or _NOTHING_BEHIND.fullmatch(text) or _is_of_a_manual(text):
        return True
    maybe = _MAYBE_NOTHING_BEHIND.fullmatch(text)
    if maybe is not None and _WORDS_OF_IDS.issuperset(_BETWEEN_WORDS_OF_IDS.split(maybe[1].lower())):
        return True
    given = bare(value)
    if len(given) > _LONGEST_ID:
        return False
    for found in (*_UNFILLED.finditer(given), *_NAME_BETWEEN_SIGNS.finditer(given)):
        words = _words_of(found[0])
        if words <= _WORDS_OF_IDS and not words.isdisjoint(own):
            return _NO_NUMBER_OF_ITS_OWN.fullmatch(given[: found.start()] + given[found.end() :]) is not None
    return False


def _is_of_a_manual(text: str) -> bool:
    words = _words_of(text)
    of_manuals = words & _WORDS_OF_MANUALS
    if not of_manuals or any(map(str.isdigit, text)) or not words - of_manuals <= _WORDS_OF_IDS:
        return False
    return {"placeholder"} < words or {"replace", "me"} <= words or not words.isdisjoint(_OF_AN_ID)


def _words_of(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD_IN_A_NAME.findall(name))


def _bare_id(value: str) -> str:
    """An id without what stands around it, and with {} for a template or a variable; "" for one that is too long to have been made of
    a word and nothing.
    """
    text = bare(value).strip("\"' ")
    return _UNFILLED.sub("{}", text) if len(text) <= _LONGEST_ID else ""


def hashed(value: str | None, rule: Rule) -> str | None:
    """The digest of ``rule(value)``; what is a digest already is lower-cased and never hashed again.

    The digest of nothing is None.
    """
    if value is None:
        return None
    if len(value) >= 64 and (digest := digest_in(value)) is not None:
        return None if digest in digests_of_nothing() else digest
    normal = rule(value)
    return sha256_hex(normal) if normal else None


@cache
def digests_of_nothing() -> frozenset[str]:
    """SHA-256 of the empty text and of what programs write where they have nothing, in their spellings."""
    spellings = {
        form for text in ("", *_NOTHINGS, *_PLACEHOLDERS) for form in (text, text.upper(), text.title(), f" {text}")
    }
    others = {"[object Object]", "[object object]", "\n", "\t", "\0", "  ", "true", "unknown", "[]", "{}"}
    return frozenset(map(sha256_hex, spellings | others))


def hashed_once(value: str, rule: Rule) -> str | None:
    """As ``hashed``, and remembered: for what many people share, such as cities. ``rule`` is the same function each time."""
    return _hashed_once(value, rule) if len(value) <= _MOST_SHARED else hashed(value, rule)


_MOST_SHARED = 100  # characters: nobody shares a longer one


@lru_cache(maxsize=8192)  # at most 8 MiB of 8,192 texts of _MOST_SHARED, their digests and keys
def _hashed_once(value: str, rule: Rule) -> str | None:
    return hashed(value, rule)


# Digests that fit each platform ------------------------------------------------------------------------------------


_NO_DIGESTS: Mapping[str, str] = {}  # shared, and never written to


class Matchable(NamedTuple):
    """An email or phone as the pipeline carries it: ``plain``, or ``digests`` of it by rule name.

    ``digests`` made at ingest hold the ``basic`` rule and those of the others that differ from it; a phone read in a
    country is kept under ``rule:COUNTRY``. ``as_given`` is a digest its sender made: it serves every rule. ``country``
    (``own_country``) is the person's own: a national phone that is valid there is read there, whatever a
    destination's default, and one that is none there is not guessed (``phone_of``).
    """

    plain: str | None = None
    digests: Mapping[str, str] = _NO_DIGESTS
    country: str | None = None

    @classmethod
    def read(cls, value: str, country: str | None = None) -> Matchable:
        if len(value) >= 64 and (digest := digest_in(value)) is not None:
            return cls(None, _NO_DIGESTS if digest in digests_of_nothing() else {"as_given": digest})
        return cls(value, _NO_DIGESTS, country)

    def __repr__(self) -> str:
        """Without what is plain: a repr ends up in logs."""
        return f"Matchable(digests={dict(self.digests)!r}, country={self.country!r})"

    def email_sha256(self, rule: str) -> str | None:
        if self.plain is not None:
            return hashed(self.plain, EMAIL_RULES[rule])
        digests = self.digests
        return digests.get("as_given") or digests.get(rule, digests.get("basic")) or None

    def phone_sha256(self, rule: str, default_country: str | None) -> str | None:
        country = default_country or self.country
        if self.plain is not None:
            own = self.country
            if own is None or self.plain[:1] == "+":
                return hashed(self.plain, lambda value: PHONE_RULES[rule](value, country))
            number = phone_of(self.plain, country, own)
            return number and sha256_hex(number[1:] if rule == "digits" else number)
        digests = self.digests
        return digests.get("as_given") or digests.get(rule) or digests.get(f"{rule}:{country}")


# People and places -------------------------------------------------------------------------------------------------


def lower_trimmed(value: str) -> str | None:
    """Outer spaces off, lower case."""
    return value.strip().lower() or None


def lower_composed(value: str) -> str | None:
    """Outer spaces off, lower case, letters with accents composed (NFC): ``o'connor`` keeps its sign. Google.

    Without the characters that nobody sees, and with a plain blank for every other: they came along when the name was copied.
    """
    text = value if value.isascii() else _OTHER_BLANK.sub(" ", without_invisible(value))
    return composed(text.strip().lower()) or None


_OTHER_BLANK = re.compile(r"[^\S ]")


def composed(value: str) -> str:
    """The same text with each letter and its accents as one character (NFC), as others write it."""
    return value if value.isascii() else unicodedata.normalize("NFC", with_few_marks(value))


def trimmed(value: str) -> str | None:
    """Outer spaces off, case kept."""
    return value.strip() or None


def name(value: str) -> str | None:
    """Lower case; no punctuation, symbols, digits or spaces; letters of every script stay, accents kept."""
    return _only("LM", value)


def city(value: str) -> str | None:
    """Lower case; no punctuation, digits or spaces; letters of every script stay, accents kept."""
    return _only("LM", value)


def letters_and_digits(value: str) -> str | None:
    """Lower case; letters and digits of every script, accents kept; neither spaces nor punctuation."""
    return _only("LMN", value)


def state(value: str, country_code: str | None = None) -> str | None:
    """Lower case, no punctuation or spaces; a US state's full name becomes its code, unless it lies in another country.

    Of a code of ISO 3166-2, such as ``US-CA``, what is behind the country's.
    """
    text = _only("LMN", without_country(value))
    if text and (not country_code or country(country_code) == "us"):
        return _us_states().get(text, text)
    return text


def without_country(value: str) -> str:
    """Of a code of ISO 3166-2, such as ``US-CA``, what is behind the country's; any other text as it is."""
    text = value.strip().upper()
    return text[3:] if text[2:3] == "-" and text in regions() else value


def zip_code(value: str, country_code: str | None = None) -> str | None:
    """Lower case, letters and digits only, those of any script as ASCII digits; of the nine digits of a US code, whatever stands
    between, the first five. Five and four digits with a hyphen are one where the country is not known.
    """
    value = as_typed(value)
    text = _only("LMN", value)
    if text and len(text) == 9 and text.isdecimal():
        code = country(country_code) if country_code else None
        is_us = code == "us" or (code is None and _ZIP_PLUS_4.fullmatch(value.strip()))
        return text[:5] if is_us else text
    return text


def country(value: str) -> str | None:
    """ISO 3166-1 alpha-2, lower case, also of an alpha-3 code or a name in English or a language of ``_LANGUAGES``, without its accents,
    too, and of two of these for one country: ``United Kingdom (UK)``. None for anything else. Without what nobody sees, and full-width
    letters as any others.
    """
    text = value if value.isascii() else unicodedata.normalize("NFKC", with_few_marks(without_invisible(value)))
    text = text.strip().lower()
    if text in _countries():
        return text
    text = " ".join(text.split()).replace(" & ", " and ").replace("\u2019", "'")
    found = _country_called(text)
    if found is None and len(text) <= _MOST_SHARED and (twice := _SAID_TWICE.fullmatch(text)):
        first, second = map(_country_called, twice.groups())
        return first if first == second else None
    return found


_SAID_TWICE = re.compile(r"([^(/]+?) ?(?:\(|/ ?|(?<= )[-\u2013\u2014] )([^()/]+)\)?")
_ABBREVIATED = re.compile(r"(?:([a-z])\1?\. ?)+[a-z]?")  # U.S.A. and EE. UU.


def _country_called(text: str) -> str | None:
    if text in _countries():
        return text
    if _ABBREVIATED.fullmatch(text):
        return _country_words().get(text.replace(".", "").replace(" ", ""))
    found = _country_words().get(text)
    if found is None and (len(text) > 2 or not text.isascii()):
        found = _country_names().get(text) or _country_names().get(_in_plain_letters(text))
    return found


# In place of a country's code, as the phone library has it: one was given, and nobody can tell which.
UNREADABLE = "ZZ"


@lru_cache(maxsize=512)  # at most 1 MiB of texts of 2,048 characters
def own_country(given: str | None) -> str | None:
    """The country that a person gives, as two capitals, also of its SHA-256; ``UNREADABLE``, or None where none is given."""
    if not given:
        return None
    code = country(given) or _countries_by_digest().get(digest_in(given) or "")
    return code.upper() if code else UNREADABLE


def state_in(country_code: str | None) -> Rule:
    """``state`` of one country, the same function each time: whether it is the US, or unknown, is all that counts."""
    return state if not country_code or country(country_code) == "us" else _state_abroad


def zip_code_in(country_code: str | None) -> Rule:
    """``zip_code`` of one country, the same function each time: whether it is the US, or unknown, is all that counts."""
    code = country(country_code) if country_code else None
    return zip_code if code is None else _zip_code_in_us if code == "us" else _zip_code_abroad


def _state_abroad(value: str) -> str | None:
    return letters_and_digits(without_country(value))


def _zip_code_in_us(value: str) -> str | None:
    return zip_code(value, "us")


def _zip_code_abroad(value: str) -> str | None:
    return _only("LMN", as_typed(value))


def gender(value: str) -> str | None:
    """``f`` or ``m``, also of a word that can only mean one of them; anything else is None."""
    return _GENDERS.get(composed(value.strip().lower()))


def gender_or_neither(value: str) -> str | None:
    """As ``gender``, and ``n`` of a word for neither."""
    return "n" if value.strip().lower() in _NEITHER else gender(value)


_FEMALE = (
    "f|female|woman|girl|mrs|mrs.|ms|ms.|miss|she|her|w|weiblich|frau|femme|féminin|madame|mme|mujer|femenino|señora|donna|femmina|"
    "signora|vrouw|mulher|feminino|kvinna|kvinde|kvinne|kobieta"
)
_MALE = (
    "m|male|man|boy|mr|mr.|he|him|männlich|maennlich|mann|herr|homme|masculin|monsieur|hombre|masculino|señor|uomo|maschio|signore|homem|"
    "mężczyzna"
)
_GENDERS = {**dict.fromkeys(_FEMALE.split("|"), "f"), **dict.fromkeys(_MALE.split("|"), "m")}
_NEITHER = frozenset({"n", "x", "non-binary", "nonbinary", "non binary"})


def date_of_birth(value: str) -> date | None:
    """From ``YYYY-MM-DD`` or ``YYYYMMDD``; slashes only where one number is above 12, so that it reads one way."""
    text = value.strip()
    if iso := _ISO_DATE.fullmatch(text):
        year, month, day = int(iso[1]), int(iso[2]), int(iso[3])
    elif slashes := _SLASH_DATE.fullmatch(text):
        first, second, year = int(slashes[1]), int(slashes[2]), int(slashes[3])
        if first <= 12 and second <= 12 and first != second:
            return None
        month, day = (second, first) if first > 12 else (first, second)
    else:
        return None
    try:
        # Nobody alive was born before 1900: 0001-01-01 is a program's way to say nothing.
        return date(year, month, day) if year >= 1900 else None
    except ValueError:
        return None


def date_of_birth_digits(value: str) -> str | None:
    """``YYYYMMDD``."""
    born = date_of_birth(value)
    return born.isoformat().replace("-", "") if born else None


def is_foreign_digest(value: str) -> bool:
    """True for MD5 and SHA-1 hex: hashed by a method that no platform takes."""
    return _OTHER_DIGEST.fullmatch(value.strip().lower()) is not None


def _only(categories: str, value: str) -> str | None:
    text = value.strip().lower()
    if text.isascii():
        return (text if text.isalpha() else text.translate(_OTHERS_IN_ASCII[categories])) or None
    # One letter has two spellings in Unicode, é and e with an accent: only the composed one is what others hash.
    text = composed(text)
    if text.isalpha():
        return text
    return "".join(c for c in text if unicodedata.category(c)[0] in categories) or None


_OTHERS_IN_ASCII = {
    categories: {code: None for code in range(128) if unicodedata.category(chr(code))[0] not in categories}
    for categories in ("LM", "LMN")
}


@cache
def _countries() -> frozenset[str]:
    return frozenset(found.alpha_2.lower() for found in pycountry.countries) | {
        "xk"
    }  # Kosovo: not in the standard, and in use


@cache
def _countries_by_digest() -> dict[str, str]:
    return {sha256_hex(code): code for code in _countries()}


# As people and shops write them, in plain letters, where the standard has another name.
_USUAL_NAMES = {
    word: code
    for code, words in {
        "gb": "uk|great britain|britain|england|scotland|wales|northern ireland|grossbritannien|schottland|nordirland|grande-bretagne|"
        "angleterre|gran bretana|inglaterra|gran bretagna|inghilterra|groot-brittannie|engeland",
        "us": "us|usa|america|eeuu|vereinigte staaten von amerika|etats-unis d'amerique|estados unidos de america|stati uniti d'america",
        "nl": "holland|the netherlands|holanda|hollande",
        "tr": "turkey|turkiye",
        "va": "vatican|vatican city|vaticano",
        "cd": "dr congo|democratic republic of the congo|congo (kinshasa)|congo - kinshasa",
        "cg": "congo (brazzaville)|congo - brazzaville",
        "xk": "xkx|kosovo|kosova|косово",
        "gr": "el",  # as the European Union writes it
        "ru": "russia|россия|russland|russie|rusia|rosja|ryssland|rusko|rusya",
        "de": "brd|bundesrepublik deutschland",
        "cz": "ceska republika|tschechische republik|republique tcheque|republica checa|repubblica ceca",
        "sk": "slovenska republika|slowakische republik",
        "kr": "republic of korea|korea (south)|한국",
        "cn": "prc|pr china|p.r. china",
        "hk": "hong kong sar|hong kong sar china",
        "mo": "macau|macao sar|macao sar china",
        "ae": "uae|الإمارات|الإمارات العربية المتحدة",
        "tw": "台灣",
        "ba": "bosnia",
        "sa": "ksa|السعودية",
        "by": "weissrussland",
        "mk": "macedonia|mazedonien",
        "md": "moldawien",
        "lu": "letzebuerg",
        "al": "shqiperia",
        "ci": "ivory coast|elfenbeinkuste",
        "mm": "burma",
        "sz": "swaziland",
        "cv": "cape verde",
        "bn": "brunei",
        "ps": "palestine|palestinian territories",
        "tl": "east timor",
        "fm": "micronesia",
        "re": "reunion",
        "cw": "curacao",
        "gm": "the gambia",
        "bs": "the bahamas",
        "fk": "falkland islands",
        "vi": "us virgin islands|u.s. virgin islands",
        "sx": "sint maarten",
        "ie": "republic of ireland",
    }.items()
    for word in words.split("|")
}


@cache
def _country_words() -> dict[str, str]:
    """By alpha-3 code, name, official name and common name, in lower case: the alpha-2 code in lower case."""
    words = dict(_USUAL_NAMES)
    for found in pycountry.countries:
        for key in ("alpha_3", "name", "official_name", "common_name"):
            word = getattr(found, key, None)
            if word:
                words.setdefault(str(word).lower(), found.alpha_2.lower())
    return words


_LANGUAGES = "de fr es it nl pt pl sv da fi nb cs hu ro tr ru ja el uk bg sr hr sl lt lv et is ga ko zh_CN zh_TW ar he hi th".split()
_FEWEST_LETTERS = 4  # of a name in plain letters: a shorter one is a code, or some other word


@cache
def _country_names() -> dict[str, str]:
    """By name in these languages, in lower case, and in plain letters: the alpha-2 code in lower case, where it is one country's name in
    all of them. Takes 80 ms and 4 MiB, once, where no code and no English name is given.
    """
    found: dict[str, set[str]] = {}
    for name, code in _country_words().items():
        found.setdefault(_in_plain_letters(name), set()).add(code)
    for language in _LANGUAGES:
        translated = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language], fallback=True).gettext
        for one in pycountry.countries:
            for given in {one.name, getattr(one, "common_name", one.name)}:
                for name in _spellings(translated(given).lower().replace("\u2019", "'")):
                    found.setdefault(name, set()).add(one.alpha_2.lower())
    return {name: codes.pop() for name, codes in found.items() if len(codes) == 1}


_WITHOUT_MARKS = str.maketrans({"ß": "ss", "ł": "l", "ø": "o", "đ": "d", "ı": "i"})
_TWO_FOR_ONE = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def _in_plain_letters(text: str) -> str:
    """Of a text in lower case: without the accents of its letters."""
    letters = unicodedata.normalize("NFD", text.translate(_WITHOUT_MARKS))
    return "".join(sign for sign in letters if not "\u0300" <= sign <= "\u036f")


def _spellings(name: str) -> set[str]:
    """As it is and in plain letters: ``österreich``, ``osterreich`` and ``oesterreich``."""
    in_plain = {_in_plain_letters(name), _in_plain_letters(name.translate(_TWO_FOR_ONE))}
    return {name, *(spelling for spelling in in_plain if len(spelling) >= _FEWEST_LETTERS)}


@cache
def currencies() -> frozenset[str]:
    """ISO 4217 codes in upper case: list one, and the withdrawn ones that a platform still takes."""
    return frozenset(found.alpha_3 for found in pycountry.currencies) | _WITHDRAWN


# Codes of list three (withdrawn: the kuna since 2023, the lev since 2026) that stand on Snapchat's list. A shop's books may
# have them still, and what a platform takes is not refused here.
_WITHDRAWN = frozenset({"BGN", "HRK"})


# Codes of ISO 4217 (list one, 2026-01) that nobody pays in: none and a test, metals, and units of the bond markets and banks.
_NO_MONEY = frozenset("XXX XTS XAG XAU XPD XPT XBA XBB XBC XBD XSU XUA".split())


@cache
def monies() -> frozenset[str]:
    """ISO 4217 codes of what somebody can pay in."""
    return currencies() - _NO_MONEY


@cache
def regions() -> frozenset[str]:
    """Codes of ISO 3166-2 in upper case: ``US-CA``."""
    return frozenset(area.code for area in pycountry.subdivisions)


def region(value: str, country_code: str) -> str | None:
    """The code of ISO 3166-2, such as ``CA-ON``, of a region of a country: of that code, of what is behind the country's in it,
    or of the name that the standard has for it. None where nothing is meant by it, or more than one region.
    """
    code = country_code.upper()
    text = value.strip().upper()
    if not text.startswith(f"{code}-"):
        text = f"{code}-{text}"
    return text if text in regions() else _regions_by_name().get((code, _without_accents(value)))


@cache
def _regions_by_name() -> dict[tuple[str, str], str | None]:
    """By country and name; None where several regions of a country have one name."""
    found: dict[tuple[str, str], str | None] = {}
    for area in pycountry.subdivisions:
        key = (area.country_code, _without_accents(area.name))
        found[key] = None if key in found else area.code
    return found


def _without_accents(value: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", _only("LMN", value) or "") if not unicodedata.combining(c))


@cache
def _us_states() -> dict[str, str]:
    found = [area for area in pycountry.subdivisions if area.country_code == "US"]
    return {_only("LMN", area.name) or "": area.code.removeprefix("US-").lower() for area in found}
