"""What makes digits a card number: the ranges of its issuers, its length and check digit, and how cards are printed.

Besides what is none whatever its digits: UUIDs, digests, IPv6 addresses and IBANs. Where in an event such a number is looked
for, and where it is an id, is told in ``card``. Sources: issuer ranges and lengths of ISO/IEC 7812 as collected in
Braintree's credit-card-type (card-types.ts, read 2026-11-20) and, for the schemes of single countries, in Wikipedia, "Payment
card number"; check digit: Luhn, ISO/IEC 7812-1; IBAN: ISO 13616 and the lengths of SWIFT's IBAN registry.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain, pairwise

FEWEST, MOST = 14, 19  # digits of a card

_LONG_LENGTHS = range(16, 20)
# First digits from, to, and the lengths that are issued.
_ISSUERS = (
    ("2200", "2205", _LONG_LENGTHS),  # Mir, BORICA, PayPak
    ("2221", "2720", (16,)),  # Mastercard
    ("300", "305", range(14, 20)),  # Diners Club
    ("309", "309", range(14, 20)),
    ("34", "34", (15,)),  # American Express
    ("3528", "3589", _LONG_LENGTHS),  # JCB, LankaPay
    ("36", "36", range(14, 20)),  # Diners Club
    ("37", "37", (15,)),  # American Express
    ("38", "39", range(14, 20)),  # Diners Club
    ("4", "4", (16, 19)),  # Visa, Dankort, Elo
    ("50", "50", range(14, 20)),  # Maestro, Dankort 5019, Elo, RuPay, Verve
    ("51", "55", (16,)),  # Mastercard
    ("56", "58", range(14, 20)),  # Maestro, UzCard, Naranja
    ("60", "60", _LONG_LENGTHS),  # Discover, RuPay, Hipercard, Cabal
    ("62", "62", _LONG_LENGTHS),  # UnionPay, Elo
    ("63", "63", range(14, 20)),  # Maestro, Hiper, Elo, InstaPayment, InterPayment
    ("644", "649", _LONG_LENGTHS),  # Discover
    ("65", "65", _LONG_LENGTHS),  # Discover, Elo, RuPay, Troy
    ("67", "67", range(14, 20)),  # Maestro, Bancontact, Laser, Switch, Solo
    ("81", "82", _LONG_LENGTHS),  # UnionPay, RuPay
    ("8600", "8600", (16,)),  # UzCard
    ("9704", "9704", (16, 19)),  # NAPAS
    ("9792", "9792", (16,)),  # Troy
    ("9860", "9860", (16,)),  # Humo
)
_FIRST_DIGITS = [int(low.ljust(4, "0")) for low, _, _ in _ISSUERS]
# A card begins where a group does, and with an issuer's first digit.
BEGINS = re.compile(rf"(?<![0-9])[{''.join(sorted({low[0] for low, _, _ in _ISSUERS}))}]")


def is_card_number(digits: str) -> bool:
    if not FEWEST <= len(digits) <= MOST:
        return False
    place = bisect_right(_FIRST_DIGITS, int(digits[:4]))
    _, high, lengths = _ISSUERS[place - 1]
    return place > 0 and digits[: len(high)] <= high and len(digits) in lengths and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if index % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


# Groups --------------------------------------------------------------------------------------------------------------


def is_printed(groups: list[str], sizes: list[int], signs: list[str]) -> bool:
    """Whether some of the groups are those of a card as it is printed."""
    if len(groups) < 3:
        return False
    for start, end in chain(_stretches(sizes, 1), _stretches(sizes, 1, signs)):
        if FEWEST <= end - start <= MOST and is_card_number("".join(groups[start:end])):
            return True
    for start, end in _stretches(sizes, 4):
        if end - start in (4, 5) and is_card_number("".join(groups[start : start + 4])):
            return True
    for start, end in _stretches(sizes, 4, signs):
        count = end - start
        offsets = range(0, count, 4) if count % 4 == 0 else (0,) if count in (3, 5) else ()
        for first in offsets:
            digits = "".join(groups[start + first : min(start + first + 4, end)])
            if is_card_number(digits):
                return True
            last = start + first + 4 if count > 3 else end
            if last == end and _goes_on(signs, end) and sizes[end] < 4 and is_card_number(digits + groups[end]):
                return True
    if 6 not in sizes:
        return False
    return any(
        sizes[index : index + 2] == [4, 6]
        and signs[index] == signs[index + 1]
        and sizes[index + 2] in (4, 5)
        and is_card_number("".join(groups[index : index + 3]))
        for index in range(len(groups) - 2)
    )


def _stretches(sizes: list[int], size: int, signs: list[str] | None = None) -> Iterator[tuple[int, int]]:
    """From where to where groups of that size follow each other; of ``signs``, with the same one between them."""
    if size not in sizes:
        return
    start, count = 0, len(sizes)
    while start < count:
        end = start + 1
        if sizes[start] == size:
            sign = "" if signs is None or start == count - 1 else signs[start]
            while end < count and sizes[end] == size and (signs is None or signs[end - 1] == sign):
                end += 1
            yield start, end
            if end < count and sizes[end] == size and end - start > 1:
                end -= 1  # with another sign, the last of these is the first of the next
        start = end


def _goes_on(signs: list[str], end: int) -> bool:
    """Whether a group follows with the same sign before it as stands between the last two."""
    return 2 <= end < len(signs) + 1 and signs[end - 1] == signs[end - 2]


def is_grouped(groups: list[str], sizes: list[int], signs: list[str]) -> bool:
    """Whether some of the groups are those of a card in another way that people write it."""
    for size in (2, 3):
        for start, end in _stretches(sizes, size, signs):
            digits = "".join(groups[start:end])
            if len(digits) < FEWEST - 2 or _climbs(groups[start:end]):
                continue
            if is_card_number(digits):
                return True
            if _goes_on(signs, end) and sizes[end] < size and is_card_number(digits + groups[end]):
                return True
    return any(_is_in_blocks(groups, sizes, signs, start) for start, size in enumerate(sizes[:-1]) if size in _BLOCKS)


_BLOCKS = frozenset((4, 6, 8, 12))  # digits of what a number in blocks begins with


def _climbs(groups: list[str]) -> bool:
    """Sizes of clothes do: 36 38 40 42."""
    steps = {int(after) - int(before) for before, after in pairwise(groups)}
    return len(steps) == 1 and steps != {0}


def _is_in_blocks(groups: list[str], sizes: list[int], signs: list[str], start: int) -> bool:
    """4-12, 8-8, 4-8-4 and the like, or 6-13, with a space or a hyphen between them and no more groups beside them."""
    sign = signs[start]
    if sign not in (" ", "-") or (start and signs[start - 1] == sign):
        return False
    end = start + 1
    while end < len(groups) and signs[end - 1] == sign:
        end += 1
    stretch = sizes[start:end]
    in_fours = sum(stretch) == 16 and not any(size % 4 for size in stretch)
    return (in_fours or stretch == [6, 13]) and is_card_number("".join(groups[start:end]))


# What is no card whatever its digits ---------------------------------------------------------------------------------

_UUID = r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
_DIGEST = r"(?<![0-9A-Za-z])(?=[0-9]*[a-fA-F])(?:[0-9a-fA-F]{8}){3,16}(?![0-9A-Za-z])"
_IPV6 = (
    r"(?<![0-9A-Za-z:])(?:(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
    r"|(?=[0-9a-fA-F:]*::)[0-9a-fA-F]{1,4}(?::{1,2}[0-9a-fA-F]{1,4}){1,6}(?:::)?)(?![0-9A-Za-z:])"
)
_KNOWN = re.compile(f"{_UUID}|{_DIGEST}|{_IPV6}")
_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
        "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
        "LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 "
        "SK24 SM27 TN24 TR26 UA29 VA22 VG24 XK20"
    ).split()
}
_IBAN = re.compile(
    rf"(?<![0-9A-Za-z])({'|'.join(_IBAN_LENGTHS)})[0-9]{{2}}(?:[ \u00a0-]?[0-9A-Za-z]){{11,30}}",
    re.IGNORECASE | re.ASCII,
)


def without_known(text: str) -> str:
    """The same, as long, with UUIDs, digests, IPv6 addresses and IBANs crossed out."""
    return _IBAN.sub(_crossed_out_iban, _KNOWN.sub(lambda found: "x" * len(found[0]), text))


def _crossed_out_iban(found: re.Match[str]) -> str:
    places = [place for place, character in enumerate(found[0]) if character.isalnum()]
    length = _IBAN_LENGTHS[found[1].upper()]
    if len(places) < length:
        return found[0]
    end = places[length - 1] + 1
    iban = [found[0][place] for place in places[:length]]
    number = "".join(str(int(character, 36)) for character in (*iban[4:], *iban[:4]))
    return "x" * end + found[0][end:] if int(number) % 97 == 1 else found[0]
