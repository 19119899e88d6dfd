"""One named rule per kind of value: what a platform wants to see before it is hashed, or plain.

A rule takes what a merchant sent and returns the normalised text, or None where nothing usable is left. Which
platform follows which rule is that platform's own business; where the rule comes from stands beside it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from types import MappingProxyType

import phonenumbers
import pycountry

Rule = Callable[[str], str | None]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Meta's parameter builder hangs two known or eight characters behind a digest; the digest is what is in front.
_TAGGED_SHA256 = re.compile(r"([0-9a-fA-F]{64})\.(?:AQ|Ag|Aw|BA|BQ|Bg|[A-Za-z0-9_-]{8})")
_EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]]+@[^@\s.<>,;:\"()\[\]]+(\.[^@\s.<>,;:\"()\[\]]+)+")
_OTHER_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}")  # MD5 and SHA-1: no platform takes them
_SIGNS = re.compile(r"[\W_]+")  # all that is no letter and no digit of any script
_WHITESPACE = re.compile(r"\s+")
_ZIP_PLUS_4 = re.compile(r"\d{5}-\d{4}")
_US_ZIP = re.compile(r"(\d{5})(-?\d{4})?")
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


def sha256_hex(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


# What programs write where they have nothing. In lower case: the digests of these are nobody's either.
_NOTHINGS = ("", "null", "undefined", "none", "nan", "nil", "n/a", "-", "false", "0", "[object object]")
# Spellings that no person and no id has.
_PLACEHOLDERS = frozenset({"null", "undefined", "NaN", "None", "nil", "false", "False", "0", "-", "NULL", "nan"})
_TEMPLATE = re.compile(r"\[object [A-Za-z]+\]|\{\{?[^{}]*\}?\}|%%[^%]*%%|\$\{[^{}]*\}|<[%?][^<>]*[%?]>|__[A-Z_]+__")


def is_placeholder(value: str) -> bool:
    """True for what a program or a template wrote where it had no value: ``null``, ``{gclid}``, ``[object Object]``."""
    text = value.strip()
    return text in _PLACEHOLDERS or (not text[:1].isalnum() and _TEMPLATE.fullmatch(text) is not None)


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
        form for text in (*_NOTHINGS, *_PLACEHOLDERS) for form in (text, text.upper(), text.title(), f" {text}")
    }
    return frozenset(map(sha256_hex, {*spellings, "[object Object]", "NaN", "\n", "\0"}))


@lru_cache(maxsize=8192)
def hashed_once(value: str, rule: Rule) -> str | None:
    """As ``hashed``, and remembered: for what many people share, such as cities. ``rule`` is the same function each time."""
    return hashed(value, rule)


# E-mail ------------------------------------------------------------------------------------------------------------


def email(value: str) -> str | None:
    """No whitespace, lower case; dots and +tag stay. Meta, TikTok, Pinterest, Snapchat, LinkedIn, X."""
    text = value.lower()
    if len(text) <= 254 and _EMAIL.fullmatch(text):  # which holds no whitespace
        return text
    text = _WHITESPACE.sub("", value).lower()
    return text if len(text) <= 254 and _EMAIL.fullmatch(text) else None


def email_google(value: str) -> str | None:
    """``email``, and for gmail.com and googlemail.com without dots and +tag. Google Ads, GA4."""
    text = email(value)
    return text if text is None or not text.endswith(_GOOGLES) else _without_alias(text)


def email_without_alias(value: str) -> str | None:
    """``email``, and on every domain without dots and +tag before the @. Microsoft Advertising."""
    return _without_alias(email(value) or "")


def email_alphanumeric(value: str) -> str | None:
    """``email``, and on every domain only letters and digits before the @ or the +tag. Reddit."""
    return _alphanumeric(email(value) or "")


_GOOGLES = ("@gmail.com", "@googlemail.com")


def _without_alias(basic: str) -> str | None:
    local, _, domain = basic.partition("@")
    return _address(_bare(local), domain)


def _alphanumeric(basic: str) -> str | None:
    local, _, domain = basic.partition("@")
    return _address(_letters_and_digits(_bare(local)), domain)


def _bare(local: str) -> str:
    return local.partition("+")[0].replace(".", "")


def _letters_and_digits(text: str) -> str:
    return text if text.isalnum() else _SIGNS.sub("", text)


def _address(local: str, domain: str) -> str | None:
    return f"{local}@{domain}" if local and domain else None


EMAIL_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "basic": email,
        "google": email_google,
        "without_alias": email_without_alias,
        "alphanumeric": email_alphanumeric,
    }
)


# Phone -------------------------------------------------------------------------------------------------------------


def phone_e164(value: str, default_country: str | None = None) -> str | None:
    """``+`` and digits with the country code. Google, TikTok, Reddit, Microsoft, X.

    A number written without ``+`` or ``00`` is read in ``default_country`` (ISO alpha-2); without one it is None:
    nobody can tell its country, and a guessed one is a stranger's number.
    """
    return _phone_e164(value.strip(), default_country)


def phone_digits(value: str, default_country: str | None = None) -> str | None:
    """As ``phone_e164`` without the ``+``. Meta, Pinterest, Snapchat."""
    number = phone_e164(value, default_country)
    return number[1:] if number else None


_INTERNATIONAL = re.compile(r"\+[1-9](?:[ ().-]{0,3}[0-9]){6,14}")
_PUNCTUATION = str.maketrans("", "", " ().-")


def _international(text: str) -> str | None:
    """What ``_phone_e164`` would say of a number with ``+`` and country code, at a tenth of the price; None: ask it.

    Takes only what the library takes as it stands: a known country code, then no national prefix to think about, and
    as many digits as numbers of that country have.
    """
    if not _INTERNATIONAL.fullmatch(text):
        return None
    digits = text[1:]
    if not digits.isdigit():
        digits = digits.translate(_PUNCTUATION)
    plans = _numbering_plans()
    plan = plans.get(digits[:1]) or plans.get(digits[:2]) or plans.get(digits[:3])
    if plan is None:
        return None
    code_length, lengths, prefix = plan
    national = digits[code_length:]
    if len(national) not in lengths or national[0] == "0" or (prefix and prefix.match(national)):
        return None
    return f"+{digits}"


@cache
def _numbering_plans() -> dict[str, tuple[int, frozenset[int], re.Pattern[str] | None]]:
    """By country code: its length, how many digits a national number may have, how a national prefix would begin."""
    plans = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        found = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        if found is None or found.general_desc is None:
            continue
        general, prefix = found.general_desc, found.national_prefix_for_parsing
        plans[str(code)] = (
            len(str(code)),
            frozenset(general.possible_length) | frozenset(general.possible_length_local_only),
            re.compile(prefix) if prefix else None,
        )
    return plans


@lru_cache(maxsize=1024)  # one event asks for the same number in two forms and for several platforms
def _phone_e164(text: str, default_country: str | None) -> str | None:
    return _international(text) or _parsed_e164(text, default_country)


def _parsed_e164(text: str, default_country: str | None) -> str | None:
    if text.startswith("00"):
        text = "+" + text[2:].lstrip("0")
    if not text.startswith("+") and default_country is None:
        return None
    try:
        number = phonenumbers.parse(text, default_country)
    except phonenumbers.NumberParseException:
        return None
    # "Possible" (length fits the country) and not "valid" (range is assigned): ranges open faster than tables are
    # updated, and a platform shrugs at a number it cannot match.
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


PhoneRule = Callable[[str, str | None], str | None]
PHONE_RULES: Mapping[str, PhoneRule] = MappingProxyType({"digits": phone_digits, "e164": phone_e164})


# Digests that fit each platform ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Matchable:
    """An email or phone as the pipeline carries it: ``plain``, or ``digests`` of it by rule name.

    ``digests`` made at ingest hold the ``basic`` rule and those of the others that differ from it; a phone read in a
    country is kept under ``rule:COUNTRY``. ``as_given`` is a digest its sender made: it serves every rule. ``country``
    (ISO alpha-2, upper case) is the person's own: a national phone is read in it where a destination names none.
    """

    plain: str | None = field(default=None, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict)
    country: str | None = None

    @classmethod
    def read(cls, value: str, country: str | None = None) -> Matchable:
        if len(value) >= 64 and (digest := digest_in(value)) is not None:
            return cls(None, {} if digest in digests_of_nothing() else {"as_given": digest})
        return cls(value, {}, country)

    def email_sha256(self, rule: str) -> str | None:
        if self.plain is not None:
            return hashed(self.plain, EMAIL_RULES[rule])
        digests = self.digests
        return digests.get("as_given") or digests.get(rule, digests.get("basic")) or None

    def phone_sha256(self, rule: str, default_country: str | None) -> str | None:
        country = default_country or self.country
        if self.plain is not None:
            return hashed(self.plain, lambda value: PHONE_RULES[rule](value, country))
        digests = self.digests
        return digests.get("as_given") or digests.get(rule) or digests.get(f"{rule}:{country}")


def email_digests(value: str) -> dict[str, str]:
    """Every digest some platform needs of a plain address, by rule name; "" where a rule leaves nothing of it.

    Rules that agree with ``basic`` are left out; no entry at all: it is no address.
    """
    basic = email(value)
    if basic is None:
        return {}
    digests = {"basic": sha256_hex(basic)}
    local, _, domain = basic.partition("@")
    if local.isalnum():
        return digests  # neither dot nor tag nor sign: every rule leaves it as it is
    bare = _bare(local)
    of_bare = sha256_hex(f"{bare}@{domain}") if bare else ""
    if bare != local:
        if basic.endswith(_GOOGLES):
            digests["google"] = of_bare
        digests["without_alias"] = of_bare
    alphanumeric = _letters_and_digits(bare)
    if alphanumeric != local:
        same = alphanumeric == bare
        digests["alphanumeric"] = of_bare if same else sha256_hex(f"{alphanumeric}@{domain}") if alphanumeric else ""
    return digests


def phone_digests(value: str, default_countries: frozenset[str]) -> dict[str, str]:
    """Every digest some platform needs of a plain number: ``digits`` and ``e164``, or each by default country."""
    number = phone_e164(value)
    if number is not None:
        return {"digits": sha256_hex(number[1:]), "e164": sha256_hex(number)}
    digests = {}
    for country in sorted(default_countries):
        number = phone_e164(value, country)
        if number is not None:
            digests[f"digits:{country}"] = sha256_hex(number[1:])
            digests[f"e164:{country}"] = sha256_hex(number)
    return digests


# People and places -------------------------------------------------------------------------------------------------


def lower_trimmed(value: str) -> str | None:
    """Outer spaces off, lower case."""
    return value.strip().lower() or None


def lower_composed(value: str) -> str | None:
    """Outer spaces off, lower case, letters with accents composed (NFC): ``o'connor`` keeps its sign. Google."""
    text = value.strip().lower()
    return (text if text.isascii() else unicodedata.normalize("NFC", text)) or None


def composed(value: str) -> str:
    """The same text with each letter and its accents as one character (NFC), as others write it."""
    return value if value.isascii() else unicodedata.normalize("NFC", value)


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
    """Lower case, no punctuation or spaces; a US state's full name becomes its code, unless it lies in another country."""
    text = _only("LMN", value)
    if text and (not country_code or country(country_code) == "us"):
        return _us_states().get(text, text)
    return text


def zip_code(value: str, country_code: str | None = None) -> str | None:
    """Lower case, no spaces or dashes; a US code keeps its first five digits."""
    text = value.strip().lower()
    us = _US_ZIP.fullmatch(text)
    if us and (_ZIP_PLUS_4.fullmatch(text) or (country_code and country(country_code) == "us")):
        return us[1]
    return _only("LMN", text)


def country(value: str) -> str | None:
    """ISO 3166-1 alpha-2, lower case, also of an alpha-3 code or an English name; None for anything else."""
    text = value.strip().lower()
    return text if text in _countries() else _country_words().get(" ".join(text.split()))


@lru_cache(maxsize=512)
def state_in(country_code: str | None) -> Rule:
    """``state`` of one country, the same function each time."""
    return lambda value: state(value, country_code)


@lru_cache(maxsize=512)
def zip_code_in(country_code: str | None) -> Rule:
    """``zip_code`` of one country, the same function each time."""
    return lambda value: zip_code(value, country_code)


def gender(value: str) -> str | None:
    """``f`` or ``m``, also of a word that can only mean one of them; anything else is None."""
    return _GENDERS.get(value.strip().lower())


_GENDERS = {
    **dict.fromkeys(("f", "female", "woman", "girl", "mrs", "mrs.", "ms", "ms.", "miss", "she", "her"), "f"),
    **dict.fromkeys(("m", "male", "man", "boy", "mr", "mr.", "he", "him"), "m"),
}


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
    text = unicodedata.normalize("NFC", text)
    if text.isalpha():
        return text
    return "".join(c for c in text if unicodedata.category(c)[0] in categories) or None


_OTHERS_IN_ASCII = {
    categories: {code: None for code in range(128) if unicodedata.category(chr(code))[0] not in categories}
    for categories in ("LM", "LMN")
}


@cache
def _countries() -> frozenset[str]:
    return frozenset(found.alpha_2.lower() for found in pycountry.countries)


@cache
def _country_words() -> dict[str, str]:
    """By alpha-3 code, name, official name and common name, in lower case: the alpha-2 code in lower case."""
    words = {"uk": "gb", "great britain": "gb", "england": "gb", "usa": "us", "u.s.a.": "us", "u.s.": "us"}
    for found in pycountry.countries:
        for key in ("alpha_3", "name", "official_name", "common_name"):
            word = getattr(found, key, None)
            if word:
                words.setdefault(str(word).lower(), found.alpha_2.lower())
    return words


@cache
def currencies() -> frozenset[str]:
    """ISO 4217 codes in upper case."""
    return frozenset(found.alpha_3 for found in pycountry.currencies)


@cache
def _us_states() -> dict[str, str]:
    found = [area for area in pycountry.subdivisions if area.country_code == "US"]
    return {_only("LMN", area.name) or "": area.code.removeprefix("US-").lower() for area in found}
