"""Phone numbers: how each platform wants them before they are hashed, and the digests made of one at ingest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType

import phonenumbers

from tracklayer.domain.sha256 import sha256_hex


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
