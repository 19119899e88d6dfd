"""Numbers of cards as people write them, and numbers of shops that only look like them, for the tests of card data."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

Draft = dict[str, Any]


def with_check_digit(digits: str) -> str:
    """The digits and the one that makes them right: ISO/IEC 7812-1, written anew."""
    doubled = [int(digit) * 2 if index % 2 == 0 else int(digit) for index, digit in enumerate(reversed(digits))]
    return digits + str(-sum(number // 10 + number % 10 for number in doubled) % 10)


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


# (scheme, how its numbers begin, their lengths): ISO/IEC 7812 prefixes as the schemes publish them.
SCHEMES: tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...] = (
    ("Visa", ("4", "4571", "401178", "438935"), (16, 16, 16, 19)),
    ("Mastercard", ("51", "52", "53", "54", "55", "2221", "2300", "2500", "2719", "2720"), (16,)),
    ("American Express", ("34", "37"), (15,)),
    ("Discover", ("6011", "644", "647", "649", "65"), (16, 16, 19)),
    ("Diners Club", ("300", "303", "305", "309", "36", "38", "39"), (14, 14, 16, 19)),
    ("JCB", ("3528", "3560", "3589"), (16, 16, 19)),
    ("UnionPay", ("62", "6222", "81"), (16, 17, 18, 19)),
    (
        "Maestro",
        (
            "5018",
            "5020",
            "5038",
            "5612",
            "5641",
            "5780",
            "5893",
            "6304",
            "6390",
            "6703",
            "6759",
            "6762",
            "6771",
            "6799",
        ),
        (16, 16, 17, 18, 19, 14, 15),
    ),
    ("Dankort and Elo", ("5019", "504175", "506699", "509000", "627780", "636297", "650031"), (16,)),
    ("Hipercard, Mir, RuPay and Troy", ("606282", "637095", "637599", "2200", "2204", "508500", "6521", "9792"), (16,)),
)


def card_number(random: Random) -> str:
    """A number that some scheme could issue."""
    _, beginnings, lengths = random.choice(SCHEMES)
    beginning = random.choice(beginnings)
    length = random.choice(lengths)
    return with_check_digit(beginning + _digits(random, length - len(beginning) - 1))


def _printed(number: str, sign: str) -> str:
    """In groups, as the schemes print them."""
    sizes = (4, 6, 5) if len(number) in (14, 15) else (4, 4, 4, 4, 3)
    groups, start = [], 0
    for size in sizes:
        groups.append(number[start : start + size])
        start += size
    return sign.join(filter(None, groups))


def _fours(number: str, sign: str) -> str:
    return sign.join(number[start : start + 4] for start in range(0, len(number), 4))


def _in(zero: str) -> Callable[[str], str]:
    return lambda number: "".join(chr(ord(zero) + int(digit)) for digit in number)


_SIGNS = (
    *(" ", "-", ".", "/", "_", ",", "+", ":", "|", "*", "\t", "\n", "\r\n", "    ", " - ", ", "),
    *("\u2009", "\u202f", "\u200b", "\u00a0", "\u2013", "\u2011", "\u00b7", "\ufeff"),
    *("%20", "%2D", "%2f", "%09", "%C2%A0", "%E2%80%89", "%2520", "%252D"),
)
# A number as it was noted down.
WAYS: tuple[Callable[[str], str], ...] = (
    *((lambda number, sign=sign: _printed(number, sign)) for sign in _SIGNS),
    lambda number: _fours(number, " "),
    lambda number: _fours(number, "-"),
    lambda number: number,
    lambda number: f"+{number}",
    lambda number: f"{number}.00",
    lambda number: f"{number}USD",
    lambda number: f"card{number}",
    lambda number: f"order_{number}_paid",
    lambda number: " ".join(number),
    lambda number: "-".join(number),
    lambda number: f"%B{number}^DOE/JANE^2712",
    lambda number: f"{number} 12/27 123",
    lambda number: f"12 {_fours(number, ' ')} 12",
    lambda number: f"2026-11-20 {number}",
    lambda number: "".join(f"%3{digit}" for digit in number),
    _in("\uff10"),
    _in("\u0660"),
    _in("\u0966"),
    lambda number: _printed(_in("\uff10")(number), "\u3000"),
)


def _property(name: str) -> Callable[[str], Draft]:
    return lambda text: {"custom_data": {"properties": {name: text}}}


def _url(before: str, after: str = "") -> Callable[[str], Draft]:
    safe = "%+:/|*,.-_"
    return lambda text: {"event_source_url": f"https://shop.example.com/{before}{quote(text, safe=safe)}{after}"}


# Where in an event text stands.
TEXTS: tuple[Callable[[str], Draft], ...] = (
    _property("note"),
    _property("comment"),
    _property("paymentDetails"),
    _property("order_note"),
    _property("x"),
    lambda text: {"event_name": text},
    lambda text: {"user_data": {"first_name": text}},
    lambda text: {"user_data": {"street": text}},
    lambda text: {"user_data": {"client_user_agent": f"Mozilla/5.0 ({text})"}},
    lambda text: {"custom_data": {"search_string": text}},
    lambda text: {"custom_data": {"content_name": text}},
    lambda text: {"custom_data": {"contents": [{"id": "1", "title": text}]}},
    lambda text: {"custom_data": {"status": f"please charge {text}, thanks"}},
    _url("pay?n="),
    _url("pay?utm_source=x&message=", "&gclid=abc"),
    _url("thanks/", "/done"),
    _url("thanks#"),
    _property("page_url"),
)


def _ean(random: Random, beginning: str, length: int) -> str:
    digits = beginning + _digits(random, length - len(beginning) - 1)
    total = sum(int(digit) * (1 if index % 2 else 3) for index, digit in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def _any_of(random: Random, *choices: str) -> str:
    return random.choice(choices)


def _id_places(*names: str) -> tuple[Callable[[str], Draft], ...]:
    return tuple(_property(name) for name in names)


_PRODUCT = (
    *_id_places("sku", "productId", "product-id", "variantIds", "item_number", "articleNo"),
    lambda text: {"custom_data": {"product_ids": ["a", text]}},
    lambda text: {"custom_data": {"contents": [{"id": text, "quantity": 1}]}},
    lambda text: {"event_source_url": f"https://shop.example.com/products/shirt?variant={text}&utm_source=x"},
    lambda text: {"event_source_url": f"https://shop.example.com/products/{text}"},
    lambda text: {"custom_data": {"product_ids": [f"shopify_DE_7283947293847_{text}"]}},
)
_ORDER = (
    *_id_places("orderNumber", "order_id", "invoice", "transaction-id", "receiptNo", "bookingReference", "ticket_id"),
    lambda text: {"event_id": text},
    lambda text: {"event_id": f"order_{text}"},
    lambda text: {"custom_data": {"order_id": text}},
    lambda text: {"event_source_url": f"https://shop.example.com/thanks?order={text}"},
    lambda text: {"event_source_url": f"https://shop.example.com/orders/{text}/thanks"},
)
_TITLE = (
    lambda text: {"custom_data": {"search_string": text}},
    lambda text: {"custom_data": {"content_name": f"Blue shirt {text}"}},
    lambda text: {"custom_data": {"contents": [{"id": "1", "title": f"EAN {text}"}]}},
)
_AD = (
    *_id_places("campaign_id", "adId", "adset-id", "adgroup", "creativeId", "hsa_cam"),
    lambda text: {
        "event_source_url": f"https://shop.example.com/?utm_source=fb&utm_campaign={text}&utm_content={text}"
    },
    lambda text: {"event_source_url": f"https://shop.example.com/?gad_source=1&campaignid={text}&adgroupid={text}"},
)

# (what, how it is made, where it stands in everyday life)
KINDS: tuple[tuple[str, Callable[[Random], str], tuple[Callable[[str], Draft], ...]], ...] = (
    ("variants of shops", lambda r: _any_of(r, "39", "40", "43", "47", "50") + _digits(r, 12), _PRODUCT),
    (
        "orders of shops",
        lambda r: _any_of(r, "55", "4", "62", "81") + _digits(r, 14 if r.random() < 0.7 else 13),
        _ORDER,
    ),
    (
        "orders of marketplaces",
        lambda r: r.choice(
            (
                lambda: f"30{r.randint(2, 5)}-{_digits(r, 7)}-{_digits(r, 7)}",
                lambda: f"GPA.{_digits(r, 4)}-{_digits(r, 4)}-{_digits(r, 4)}-{_digits(r, 5)}",
                lambda: f"{_digits(r, 6)}-{_digits(r, 8)}-{_digits(r, 10)}",
            )
        )(),
        (*_ORDER, *_TITLE),
    ),
    ("EAN-13", lambda r: _ean(r, _any_of(r, "4", "40", "50", "5", "36"), 13), (*_PRODUCT, *_TITLE, *_id_places("x"))),
    ("GTIN-14", lambda r: _ean(r, _any_of(r, "1", "3", "5", "50", "38"), 14), _id_places("gtin", "gtin14", "GTINs")),
    (
        "IMEI",
        lambda r: with_check_digit(_any_of(r, "35", "86", "01", "34", "37") + _digits(r, 12)),
        _id_places("imei", "deviceImei", "serialNumber"),
    ),
    (
        "parcels",
        lambda r: r.choice(
            (
                lambda: _digits(r, 14),
                lambda: f"00340{_digits(r, 15)}",
                lambda: f"9405 50{_digits(r, 2)} {_digits(r, 4)} {_digits(r, 4)} {_digits(r, 4)} {_digits(r, 2)}",
                lambda: f"6{_digits(r, 15)}",
                lambda: f"1Z{_digits(r, 16)}",
            )
        )(),
        _id_places("tracking_number", "trackingNumbers", "parcelId", "shipment", "waybill"),
    ),
    (
        "phones",
        lambda r: r.choice(
            (
                lambda: f"+49 17{_digits(r, 1)} {_digits(r, 8)}",
                lambda: f"+39 3{_digits(r, 2)} {_digits(r, 7)}",
                lambda: f"0049 151 {_digits(r, 8)}",
                lambda: f"+55 11 9{_digits(r, 4)}-{_digits(r, 4)}",
                lambda: f"+62 812-{_digits(r, 4)}-{_digits(r, 4)}",
                lambda: f"57{_digits(r, 10)}",
            )
        )(),
        (lambda text: {"user_data": {"phone": text}}, *_id_places("phone", "mobile", "contact")),
    ),
    (
        "time stamps",
        lambda r: r.choice(
            (
                lambda: str(1_700_000_000_000 + r.randrange(10**11)),
                lambda: str(1_700_000_000_000_000 + r.randrange(10**14)),
                lambda: str(1_700_000_000_000_000_000 + r.randrange(10**17)),
                lambda: f"2026{r.randint(1, 12):02}{r.randint(1, 28):02}{r.randint(0, 23):02}{_digits(r, 7)}",
                lambda: f"{r.randint(1, 31):02}.{r.randint(1, 12):02}.2026 {r.randint(10, 23)}:{r.randint(10, 59)}:00",
                lambda: f"2026-11-{r.randint(1, 30):02} 14:59:00.{_digits(r, 6)}",
                lambda: f"{r.randint(1, 30):02}-11-2026-14-{r.randint(10, 59)}-{r.randint(10, 59)}",
            )
        )(),
        (*_id_places("sentAt", "x"), *_TITLE),
    ),
    ("ticks", lambda r: f"63{_digits(r, 16)}", _id_places("timestamp", "createdAt", "event_time")),
    (
        "advertising ids",
        lambda r: _any_of(r, "120", "23", "6", "4", "55") + _digits(r, 15 if r.random() < 0.5 else 13),
        _AD,
    ),
    (
        "cookies and random ids",
        lambda r: r.choice(
            (
                lambda: f"fb.1.17{_digits(r, 11)}.{_digits(r, 18)}",
                lambda: f"GA1.1.{_digits(r, 10)}.17{_digits(r, 8)}",
                lambda: str(uuid.UUID(int=r.getrandbits(128), version=4)),
                lambda: f"{r.getrandbits(256):064x}",
                lambda: f"{r.getrandbits(128):032x}",
                lambda: f"2600:1700:{_digits(r, 4)}:{_digits(r, 4)}::{_digits(r, 1)}",
                lambda: ":".join(("2401", "4900", *(_digits(r, 4) for _ in range(6)))),
            )
        )(),
        (
            *_id_places("x", "note", "session"),
            lambda text: {"event_id": text},
            lambda text: {"event_id": f"1713877200123-{text}"},
            lambda text: {"user_data": {"external_id": text}},
            lambda text: {"user_data": {"client_ip": text}},
            lambda text: {"user_data": {"fbp": text, "ga_client_id": text, "rdt_uuid": text}},
        ),
    ),
)
