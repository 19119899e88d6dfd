"""The fields of a draft one by one: what each is read as, and what is wrong with it.

Which fields an event has, and in what order they are read, is in ``read_event.py``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson

from tracklayer.domain import identifiers, normalise
from tracklayer.domain.card import may_hold_card_number
from tracklayer.domain.card_names import card_name
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.event import (
    MATCHABLE_LISTS,
    MAX_AHEAD,
    MAX_EVENT,
    MAX_EVENT_ID,
    MAX_MORE,
    MAX_PROPERTIES,
    UNNAMED,
)
from tracklayer.domain.event_contacts import PERSON_WITHOUT_CONTACT
from tracklayer.domain.event_names import is_refund
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.personal import without_personal_properties
from tracklayer.domain.problem import Choice, Name, Part, Problem, shown_name
from tracklayer.domain.text import bare, is_blank, without_invisible
from tracklayer.domain.values import (
    NUMBERS,
    as_list,
    is_blank_text,
    is_nothing,
    is_numbered,
    read_decimal,
    read_instant,
)

MAX_PROBLEMS = 20  # are told of one event: a basket of thousands of wrong lines has one mistake, not thousands
MAX_UNKNOWN = 3  # fields that do not exist are named of one object: finding what was meant takes its time
FIRST_YEAR = 2000  # before it no conversion was counted: 0001, 1970 and the like stand for none

_MOST_JUDGED = 4 * MAX_PROPERTIES  # characters of properties: of larger ones nothing else is said
# What PostgreSQL cannot store, what breaks a log line, and half a character.
UNUSABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_OWN_IDS = ("event_id", "order_id", "id")  # the merchant's own, which many a shop keeps as numbers
# The end of a sentence that begins with the name of an id.
NO_ID = "is what programs write where they have no id, or tables where one is too long for them"
# Of texts that people read: a product may be called N/A or Nil, and a category Other or 0.
PRINTED_FOR_NOTHING = frozenset({"null", "undefined", "NaN", "None", "[object Object]"})


def read_identifier(name: str, value: str) -> str | None:
    """A text in a field of ``user_data`` as a mapper gets it: None for what is absent, or holds a contact where none belongs."""
    text = FieldReader(False, 0)._identifier(("user_data", name), name, value)
    return None if text is None or (name in PERSON_WITHOUT_CONTACT and holds_contact(text)) else text


# As shops, tags and platforms call what the data model has another word for; of several the first that an object has.
_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys("sku productid productsku itemid itemsku contentid articlenumber".split(), ("id",)),
    "variantid": ("id", "variant"),
    **dict.fromkeys("price unitprice productprice".split(), ("item_price",)),
    "amount": ("item_price", "value"),
    "qty": ("quantity",),
    "name": ("title", "event_name"),
    **dict.fromkeys("total revenue".split(), ("value",)),
    "transactionid": ("order_id",),
    **dict.fromkeys("items products lineitems".split(), ("contents",)),
    **dict.fromkeys("time timestamp eventtime".split(), ("occurred_at",)),
}


def _form(name: str) -> str:
    return name.replace("_", "").lower()


@lru_cache(maxsize=1024)  # the same slip in every event of a shop
def _nearest(key: str, names: tuple[str, ...]) -> str | None:
    forms = {_form(name): name for name in names}
    return next((forms[form] for form in difflib.get_close_matches(_form(key), forms, n=1, cutoff=0.6)), None)


def _meant(key: str, names: Sequence[str], given: Container[str]) -> str | None:
    """The field that a key stands for; None where it is in the object itself."""
    form = _form(key)
    if form in _OTHER_WORDS and form not in map(_form, names):
        words = [_form(word) for word in _OTHER_WORDS[form]]
        return next((name for name in names if _form(name) in words and name not in given), None)
    return _nearest(key, tuple(names))


def unknown_field(at: tuple[str, ...], key: str, names: Sequence[str], given: Container[str]) -> Problem:
    """What is wrong with a field that is none of ``names``, which those of ``at`` are. ``given``: all that stand beside it."""
    shown = shown_name(key)
    near = _meant(key, names, given) if shown == key else None
    hint: tuple[Part, ...] = ("; ", Name(("custom_data", "properties")), " takes fields of your own.")
    if near:
        hint = (", did you mean ", Name((near,)), "?")
    elif at[1:2] == ("contents",):  # among the event's own properties nothing would be left that says what was bought
        missing = "id" not in given
        hint = ("; its id is missing, which says what was bought.",) if missing else (": take it out.",)
    what = f"{shown} is not a field of "
    where: tuple[Part, ...] = (Name(at), ".", what, Name(at)) if at else (what, "an event")
    return Problem.said((*at, shown), "UNKNOWN_FIELD", *where, *hint)


class FieldReader:
    """Takes fields out of a draft and collects what is wrong with them. Paths in, values or None out."""

    __slots__ = (
        "clean",
        "event_name",
        "gone",
        "left_out",
        "may_hold_card",
        "may_hold_contact",
        "may_hold_personal",
        "problems",
        "size",
        "unusable",
        "warnings",
    )

    def __init__(self, clean: bool, size: int) -> None:
        self.clean = clean  # known to hold no character that PostgreSQL or a log could not take
        self.size = size  # of the draft, bytes of JSON
        self.event_name: str | None = None  # as soon as it is read
        self.may_hold_card = False  # a number, or a name of the merchant's own, that must be looked at closely
        self.may_hold_contact = True
        self.may_hold_personal = False  # in what was read so far
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.unusable: list[tuple[str, ...]] = []  # of what is kept all the same
        self.gone: list[tuple[str, ...]] = []  # of what is not kept
        self.left_out: list[tuple[str, ...]] = []  # what is so long that it is not even searched

    def problem(self, path: tuple[str, ...], code: str, *what: Part) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem.said(path, code, Name(path) if path else "The event", " ", *what, "."))

    def warn(self, path: tuple[str, ...], what: str) -> None:
        rest = f" {what}. The event is taken, and this is kept with it; platforms that would refuse it do not get it."
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
        self.unusable.append(path)

    def mended(self, path: tuple[str, ...], what: str) -> None:
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), f" {what}"))

    def left(self, path: tuple[str, ...], what: str) -> None:
        rest = f" {what}. The event is taken without it."
        self.gone.append(path)
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))

    def personal(self, path: tuple[str, ...], what: str) -> None:
        self.may_hold_personal = True
        rest = (
            f" {what} what looks like personal data in plain text. The event is taken, and no platform gets that part."
        )
        self.warnings.append(Problem.said(path, "PERSONAL_DATA", Name(path), rest))

    def contact(self, path: tuple[str, ...]) -> None:
        rest = _CONTACT_IN.get(path[-1]) if len(path) == 1 else None
        if path == ("user_data", "external_id"):
            rest = _CONTACT_AS_ID
        if rest is None:
            self.unusable.append(path)
        rest = rest or " The event is taken, and no platform gets that field."
        message = f" holds what looks like personal data in plain text.{rest}"
        if len(self.warnings) < MAX_PROBLEMS:
            self.warnings.append(Problem.said(path, "PERSONAL_DATA", Name(path), message))

    def too_long(self, path: tuple[str, ...], most: int) -> None:
        rest = f" may have {most:,} characters. The event is taken without it."
        self.gone.append(path)
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
        self.left_out.append(path)

    def absent(self, path: tuple[str, ...], what: str = "stands for no value, or is the digest of one") -> None:
        rest = f" {what}. The event is taken without it."
        self.gone.append(path)
        self.warnings.append(Problem.said(path, "IDENTIFIER_PLACEHOLDER", Name(path), rest))

    def known(self, at: tuple[str, ...], given: Mapping[str, Any], names: Sequence[str]) -> None:
        unknown = (key for key in given if key not in names)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems += [unknown_field(at, str(key), names, given) for key in islice(unknown, MAX_UNKNOWN)]

    def mapping(
        self, at: tuple[str, ...], given: Mapping[str, Any], name: str, *, required: bool = False
    ) -> Mapping[str, Any]:
        value = given.get(name)
        if value is None or is_blank_text(value):
            if required:
                self.problem((*at, name), "REQUIRED", "is required")
            return {}
        if type(value) is dict or isinstance(value, Mapping):
            return value
        if isinstance(value, Sequence) and not isinstance(value, str) and not value:
            return {}  # as PHP writes an object without fields
        self.problem((*at, name), "INVALID_TYPE", "must be an object")
        return {}

    def items(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> Sequence[Any]:
        """One that stands there itself is a list of one."""
        value = given.get(name)
        if type(value) is list:
            return value
        if is_nothing(value):
            return ()
        if isinstance(value, (str, *NUMBERS)) and name == "product_ids":
            return (value,)
        if (items := as_list(value)) is not None:
            return items
        if isinstance(value, Mapping) and name == "contents" and not is_numbered(value):
            return (value,)
        self.problem((*at, name), "INVALID_TYPE", _must_be_list(value))
        return ()

    def text(
        self,
        at: tuple[str, ...],
        given: Mapping[str, Any],
        name: str,
        max_length: int | None = None,
        *,
        required: bool = False,
    ) -> str | None:
        value = given.get(name)
        if type(value) is str and self.clean and 0 < len(value) <= (max_length or MAX_EVENT) and not is_blank(value):
            return value
        path = (*at, name)
        value = self.text_of(path, value)
        if value is None:
            if required and not any(p.field == path for p in self.problems):
                self.problem(path, "REQUIRED", "is required and must not be empty")
        elif max_length is not None and len(value) > max_length:
            self.problem(path, "TOO_LONG", f"may have {max_length} characters, this has {len(value)}")
            if len(value) > identifiers.MAX_IDENTIFIER:
                self.left_out.append(path)
            return None
        return value

    def text_of(self, path: tuple[str, ...], value: Any) -> str | None:
        """Text as sent, of a number in the place of a merchant's own id its digits; None for what is absent or blank. A blank
        optional field is the same as none.
        """
        if self.clean and type(value) is str and not is_blank(value):
            return value
        if value is None:
            return None
        if not isinstance(value, str):
            is_id = path[-1] in _OWN_IDS or path[1:2] == ("product_ids",)
            if is_id and (digits := digits_of(value)) is not None:
                if may_hold_card_number(int(digits)):
                    self.may_hold_card = True
                return digits
            self.problem(path, "INVALID_TYPE", "must be text or a whole number" if is_id else "must be text")
            return None
        if self._is_unusable(value):
            self.problem(path, "INVALID_CHARACTER", "holds a control character or half a character")
            return None
        return None if is_blank(value) else value

    def _is_unusable(self, text: str) -> bool:
        return not self.clean and UNUSABLE.search(text) is not None

    def identifier(self, name: str, value: Any) -> Any:
        """A field of ``user_data`` that the quick tests did not pass: as sent, with a warning where it is malformed.

        What only stands for a value, and the digest of nothing, are absent. An address of a machine is made canonical.
        """
        path = ("user_data", name)
        if name in MATCHABLE_LISTS:
            return self.more(path, value)
        return self._identifier(path, name, value)

    def _identifier(self, path: tuple[str, ...], name: str, value: Any) -> str | None:
        text = value if type(value) is str and self.clean else self.identifying(path, name, value)
        if text is None or is_blank(text):
            return None
        if name == "external_id" and not text.isascii() and (seen := without_invisible(text)) != text:
            self.mended(path, "holds characters that nobody sees. It is read without them.")
            text = seen
        if len(text) > identifiers.MAX_IDENTIFIER:
            self.too_long(path, identifiers.MAX_IDENTIFIER)
            return None
        if name == "email":
            if (plain := identifiers.unescaped_email(text)) != text:
                self.mended(path, "holds escapes, such as &#64; or %40 for @. It is read without them.")
                text = plain
            if normalise.is_read_without_blanks(text):
                self.mended(path, "holds a blank. It is read without it, as platforms have it.")
        elif (plain := identifiers.unescaped_words(name, text)) != text:
            self.mended(path, "holds escapes of HTML, such as &amp; for &. It is read without them.")
            text = plain
            if is_blank(text):
                self.absent(path)
                return None
        if (alone := identifiers.without_name(name, text)) is not None:
            text = alone
        text = identifiers.out_of_cookie(name, text) or text
        if not text:
            self.absent(path)
            return None
        if len(text) >= 64 and (digest := normalise.digest_in(text)) is not None:
            if digest in normalise.digests_of_nothing() or (
                name == "country" and identifiers.stands_for_none(name, digest)
            ):
                self.absent(path)
                return None
            if len(text.strip()) > 64:  # the tail of a builder is no part of it
                text = digest
        elif identifiers.stands_for_none(name, text):
            if name == "external_id":
                self.absent(path, NO_ID)
            else:
                self.absent(path)
            return None
        if name == "browser_id":
            text = text.strip()  # compared with others, by who stitches and who erases
        if name == "zip" and (digits := identifiers.zip_of_table(text)) is not None:
            rest = " is written as tables write a number: it is read as the digits before the point. Send it as it is written in an address."
            self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
            return digits
        if alone is not None:
            self.mended(path, "was copied with its name or quotation marks. It is read without them.")
        wanted = identifiers.FORMATS.get(name)
        if wanted is not None and not wanted.is_right(text):
            if name == "client_ip" and identifiers.is_ip(text):
                rest = (
                    " lies inside of a network, and tells a platform nothing: it should be the visitor's own, which a proxy has in "
                    "X-Forwarded-For. It is sent as it is."
                )
                self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
                self.unusable.append(path)
                return identifiers.machine_address(text)
            if name in ("fbp", "fbc") and identifiers.is_meta_cookie(text):
                rest = " has a time that is not in milliseconds (13 digits), as Meta documents it. It is sent as it is."
                self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
            else:
                self.warn(path, wanted.what)
        elif name == "client_ip":
            return identifiers.machine_address(text)
        return text

    def identifying(self, path: tuple[str, ...], name: str, value: Any) -> str | None:
        """The text of what is none, or is no plain one: of a number its digits, where it has no other; else None, and a warning."""
        if isinstance(value, str):
            if not self._is_unusable(value):
                return value
            self.left(path, "holds a control character or half a character")
            return None
        if value is None:
            return None
        digits = digits_of(value)
        if digits is None:
            self.may_hold_card = True  # whatever it is: it is searched to its depths
            self.left(path, "must be text")
            return None
        if may_hold_card_number(int(digits)):
            self.may_hold_card = True
        if name in ("phone", "zip"):
            self.read_as_digits(path)
        return digits

    def read_as_digits(self, path: tuple[str, ...]) -> None:
        rest = " is a number, and so has no zeros in front: it is read as its digits. Send it as text."
        self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))

    def more(self, path: tuple[str, ...], value: Any) -> tuple[Any, ...] | None:
        """Further emails as Matchables, or phones as (place, text): without a country nobody can read those yet."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, str) or (path[-1] == "phones" and digits_of(value) is not None):
            value = (value,)  # one is a list of one
        items = as_list(value)
        if items is None:
            self.may_hold_card = True
            self.left(path, _must_be_list(value))
            return None
        value = items
        if len(value) > MAX_MORE:
            rest = f" may have {MAX_MORE} entries: the first ones count."
            self.warnings.append(Problem.said(path, "IDENTIFIER_MALFORMED", Name(path), rest))
        kind = path[-1][:-1]
        found = []
        for place, item in enumerate(value[:MAX_MORE]):
            text = self._identifier((*path, str(place)), kind, item)
            if text is not None:
                found.append((place, text))
        if path[-1] == "emails":
            return tuple([Matchable.read(text) for _, text in found]) or None
        return tuple(found) or None

    def named(
        self, draft: Mapping[str, Any], name: str, most: int, is_none: Callable[[str], bool], why_not: str
    ) -> str | None:
        """What every event must have, where it is no text that programs write who have none. ``why_not``: of such a one, the end of
        a sentence. Digits are what they say: somebody counts from 0.
        """
        text = self.text((), draft, name, most, required=True)
        if text is None or text.strip() == "0" or not is_none(text):
            return text
        self.problem((name,), "REQUIRED", why_not)
        return None

    def instant(self, at: tuple[str, ...], given: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
        value = given.get(name)
        if value is None or value == "":
            self.problem((*at, name), "REQUIRED", "is required: when it happened, such as 2026-04-23T14:12:33.000Z")
            return None
        instant = read_instant(value)
        if isinstance(instant, str):
            self.problem((*at, name), "INVALID_TIME", instant)
            return None
        if instant.year < FIRST_YEAR:
            self.problem(
                (*at, name),
                "INVALID_TIME",
                f"is before {FIRST_YEAR}: most programs that write such a time have none; send when it happened",
            )
            return None
        if instant > now and instant > now + MAX_AHEAD:
            ahead = f"is more than {MAX_AHEAD.seconds // 60} minutes ahead"
            self.problem((*at, name), "TIME_IN_FUTURE", f"{ahead}: check the server's clock and the offset")
            return None
        return instant

    def choice(self, at: tuple[str, ...], given: Mapping[str, Any], name: str, choices: Sequence[str]) -> str | None:
        value = given.get(name)
        if value is None or value in choices:
            return value
        text = bare(value) if isinstance(value, str) else None
        if text == "":
            return None
        if text in choices:
            return text
        first, *others = choices
        listed = [part for choice in others for part in (", ", Choice(choice))]
        self.problem((*at, name), "INVALID_VALUE", "must be one of ", Choice(first), *listed)
        return None

    def flag(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> bool | None:
        value = given.get(name)
        if value is None or isinstance(value, bool):
            return value
        if not is_blank_text(value):
            self.problem((*at, name), "INVALID_TYPE", "must be true or false")
        return None

    def currency(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        text = given.get(name)
        if type(text) is str and text in normalise.monies():
            return text
        text = self.text(at, given, name)
        if text is None:
            return None
        if normalise.is_nobodys(text):
            self.absent((*at, name))
            return None
        code = text.strip().upper()
        if code not in normalise.currencies():
            code = without_invisible(code).strip()
        if code not in normalise.currencies():
            self.problem((*at, name), "INVALID_CURRENCY", "must be an ISO 4217 code such as USD")
            return None
        if code not in normalise.monies():
            path = (*at, name)
            rest = " is a code for what nobody pays in. It is sent, and platforms may not count it."
            self.warnings.append(Problem.said(path, "CURRENCY_NO_MONEY", Name(path), rest))
        return code

    def order_id(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        """Without what nobody sees around it. One id for all orders that have none would make them one order at the platforms: 0 is
        none, since an order needs no id as an event does.
        """
        text = self.text(at, given, name)
        if text is None:
            return None
        if text.strip() == "0" or normalise.is_one_for_all(text):
            self.absent((*at, name), NO_ID)
            return None
        return bare(text)

    def words(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> str | None:
        """A text for people to read; None, with a warning, for what a program printed where it had none."""
        text = self.text(at, given, name)
        if text in PRINTED_FOR_NOTHING:
            if len(self.warnings) < MAX_PROBLEMS:
                self.absent((*at, name))
            return None
        return text

    def product_id(self, path: tuple[str, ...], value: Any) -> str | None:
        """As it stands in the catalogue, without blanks around it; None, with a warning, for what only stands for one."""
        text = self.text_of(path, value)
        if text is None:
            return None
        if normalise.is_no_id(text):
            if len(self.warnings) < MAX_PROBLEMS:
                self.absent(path, NO_ID)
            return None
        return bare(text)

    def line_id(self, at: tuple[str, ...], value: Any) -> str | None:
        """``product_id`` of a line of the basket, in which it may not be missing; None, with a warning, where it is."""
        path = (*at, "id")
        if value is not None and (not isinstance(value, str) or not is_blank(value)):
            return self.product_id(path, value)
        if len(self.warnings) < MAX_PROBLEMS:
            self.gone.append(path)
            rest = " has no id: the line is left out."
            self.warnings.append(Problem.said(path, "IDENTIFIER_PLACEHOLDER", Name(at), rest))
        return None

    def below_zero(self, path: tuple[str, ...], rest: str) -> None:
        if len(self.warnings) < MAX_PROBLEMS:
            self.gone.append(path)
            self.warnings.append(Problem.said(path, "QUANTITY_NEGATIVE", Name(path), f" is below zero.{rest}"))

    def decimal(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> Decimal | None:
        value = given.get(name)
        if value is None or is_blank_text(value):
            return None
        number = read_decimal(value)
        if number is None:
            self.problem(
                (*at, name),
                "INVALID_NUMBER",
                "must be a number of at most 21 digits before the point, or one written as text: 129.99",
            )
        elif may_hold_card_number(number):
            self.may_hold_card = True
        return number

    def pieces(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | None:
        """A sum of quantities, as whole pieces."""
        number = self.quantity(at, given, name)
        if number is not None and number < 0:
            self.below_zero((*at, name), " The event is taken without it.")
            return None
        return number if number is None or isinstance(number, int) else max(1, round(number))

    def pixels(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | None:
        """Whole; as text, too. Browsers tell fractions, where a screen is zoomed: they are rounded."""
        number = self.quantity(at, given, name)
        return number if number is None or isinstance(number, int) else round(number)

    def quantity(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> int | Decimal | None:
        """Whole, or with a fraction where goods are sold by weight: 2, 2.0, "2" and 1.85. Of goods it may be below zero in what is no
        refund, as where one order holds what is bought and what goes back: that costs its line, and not the order.
        """
        value = given.get(name)
        if value is None or (type(value) is int and 0 <= value < 2**31):
            return value
        if is_blank_text(value):
            return None
        number = read_decimal(value)
        is_of_goods = name in ("quantity", "num_items")
        if number is not None and number < 0 and is_of_goods and is_refund(self.event_name or ""):
            number = -number  # as shops write what goes back
            if len(self.warnings) < MAX_PROBLEMS:
                rest = " is below zero in a refund. It is read without its minus, as the pieces that go back."
                self.warnings.append(Problem.said((*at, name), "QUANTITY_NEGATIVE", Name((*at, name)), rest))
        # What is rounded up from 2**31 - 1 fits nowhere.
        if number is None or not (1 - 2**31 if is_of_goods else 0) <= number <= 2**31 - 1:
            self.problem((*at, name), "INVALID_NUMBER", "must be a number from 0 to 2147483647, such as 2 or 1.85")
            return None
        if may_hold_card_number(abs(number)):
            self.may_hold_card = True
        return int(number) if number == number.to_integral_value() else number

    def properties(self, at: tuple[str, ...], given: Mapping[str, Any], name: str) -> dict[str, Any]:
        path = (*at, name)
        value = self.mapping(at, given, name)
        kept: dict[str, Any] = {}
        clean = self.clean
        if self.size > _MOST_JUDGED and sum(map(len, filter(_is_text, (*value, *value.values())))) > _MOST_JUDGED:
            self.problem(path, "TOO_LARGE", f"may have {MAX_PROPERTIES:,} bytes of JSON")
            self.left_out.append(path)
            return kept
        for key, inner in value.items():
            if not isinstance(key, str) or len(key) > 255 or not key.strip() or (not clean and UNUSABLE.search(key)):
                self.problem(path, "INVALID_TYPE", "must have names of 1 to 255 plain characters")
                continue
            if card_name(key):
                self.may_hold_card = True
            if isinstance(inner, str):
                if not clean and UNUSABLE.search(inner):
                    self.problem(
                        (*path, shown_name(key)), "INVALID_CHARACTER", "holds a control character or half a character"
                    )
                kept[key] = inner
            elif isinstance(inner, bool) or inner is None:
                kept[key] = inner
            elif isinstance(inner, NUMBERS):
                if read_decimal(inner) is None or (isinstance(inner, int) and not -(2**63) <= inner < 2**64):
                    self.problem(
                        (*path, shown_name(key)), "INVALID_NUMBER", "must be a finite number of 64 bits at most"
                    )
                else:
                    # What is no amount is kept as most programs read it.
                    kept[key] = float(inner) if isinstance(inner, Decimal) else inner
                    self.may_hold_card = self.may_hold_card or may_hold_card_number(inner)
            else:
                self.problem((*path, shown_name(key)), "INVALID_TYPE", "must be text, a number, true, false or null")
        # No part of a draft is longer than the whole.
        if self.size > MAX_PROPERTIES and not self.problems and len(orjson.dumps(kept, default=str)) > MAX_PROPERTIES:
            self.problem(path, "TOO_LARGE", f"may have {MAX_PROPERTIES:,} bytes of JSON")
        if not self.problems:  # what is refused is kept nowhere: nothing in it need be searched
            for key in without_personal_properties(kept)[1]:
                self.personal((*path, shown_name(key)), "holds")
        return kept


_CONTACT_IN = {
    "event_id": " The event is taken, and with hashing on every platform gets the SHA-256 of the whole id in its place: "
    "for deduplication a browser's pixel has to send the same, 64 hexadecimal digits in lower case.",
    "event_name": f" The event is taken, and platforms that it would go to under its own name get {UNNAMED}.",
}
_CONTACT_AS_ID = " The event is taken, and platforms get it as SHA-256 only, or not at all."
_LONGEST = 10**MAX_EVENT_ID  # of numbers that are read as ids


def digits_of(value: Any) -> str | None:
    """Of a whole JSON number that no reader has rounded, however long; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, NUMBERS) or not 0 <= value < _LONGEST:
        return None
    if isinstance(value, int):
        return str(value)
    whole = int(value)
    return str(whole) if whole == value and (whole < 2**53 or isinstance(value, Decimal)) else None


def _must_be_list(value: Any) -> str:
    if isinstance(value, Mapping) and value and is_numbered(value):
        return "must be a list: this is a PHP array whose keys have gaps, of which array_values() makes one"
    return "must be a list"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
