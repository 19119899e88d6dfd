"""A caller's foreseeable mistake, as a value, and the codes that one may have."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Name(NamedTuple):
    """A field in a sentence, by its snake_case path: whoever words the sentence spells it."""

    path: tuple[str, ...]


class Choice(NamedTuple):
    """One of the values that a field takes, in a sentence."""

    value: str


Part = str | Name | Choice

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]{0,63}")


def shown_name(key: str, digits: int = 3) -> str:
    """As a key that a caller made stands in a path or a sentence: one that is no plain word could be anything, a value in the
    wrong place too. ``digits``: that a name of its kind may have.
    """
    is_plain = _PLAIN_NAME.fullmatch(key) and sum(map(str.isdigit, key)) <= digits
    return key if is_plain else "(a key)"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and what to do. ``field`` is a snake_case path; ``message`` never quotes a value, and in both of them
    a key that the caller made is its ``shown_name``.

    ``code``: one of ``CODES``. ``message``: in the spelling of the data model. ``parts``: the same sentence, where it
    names fields or choices.
    """

    field: tuple[str, ...]
    code: str
    message: str
    parts: tuple[Part, ...] = dataclasses.field(default=(), compare=False, repr=False)

    @classmethod
    def said(cls, path: tuple[str, ...], code: str, *parts: Part) -> Problem:
        """One whose sentence names fields or choices."""
        return cls(path, code, _said(parts), parts)

    def under(self, *parents: str) -> Problem:
        return Problem((*parents, *self.field), self.code, self.message, self.parts)


@lru_cache(maxsize=1024)  # the same few sentences are said of event after event
def _said(parts: tuple[Part, ...]) -> str:
    return worded(parts, ".".join, str)


def worded(parts: tuple[Part, ...], name: Callable[[tuple[str, ...]], str], choice: Callable[[str], str]) -> str:
    """A sentence, with fields and choices as somebody spells them."""
    return "".join(
        name(part.path) if isinstance(part, Name) else choice(part.value) if isinstance(part, Choice) else part
        for part in parts
    )


class Meaning(NamedTuple):
    """A line of the guide. ``is_warning``: stands beside what was taken all the same."""

    meaning: str
    what_to_do: str
    is_warning: bool = False


# Every code that a Problem may have. They stay: a new kind of mistake gets a new one.
CODES: dict[str, Meaning] = {
    "REQUIRED": Meaning("A field that must be there is missing, empty or null.", "Send it."),
    "UNKNOWN_FIELD": Meaning(
        "There is no such field, or no such setting of this platform.",
        "Send the field that its message names. `customData.properties` takes fields of your own, but none of a line of the basket.",
    ),
    "INVALID_TYPE": Meaning(
        "The value is of another kind: text instead of an object, say.", "Send the kind that the message names."
    ),
    "INVALID_VALUE": Meaning("The value is none that the field takes.", "Send one that the message names."),
    "INVALID_CHARACTER": Meaning(
        "Text holds a control character, or half of one that takes two.", "Take it out; often the encoding is wrong."
    ),
    "INVALID_NUMBER": Meaning(
        "The number is not finite, not whole, or out of bounds.",
        "Send a number within the bounds that the message names.",
    ),
    "INVALID_CURRENCY": Meaning("The currency is no ISO 4217 code.", "Send a code such as `USD`."),
    "INVALID_TIME": Meaning(
        "The time is no date with time and offset.", "Send RFC 3339 or ISO 8601, such as `2026-04-23T14:12:33.000Z`."
    ),
    "TIME_IN_FUTURE": Meaning("The time lies ahead of the clock.", "Check the server's clock and the offset."),
    "TOO_LONG": Meaning("Text has more characters than the field takes.", "Shorten it."),
    "TOO_LARGE": Meaning(
        "The event has more than 256 KiB of JSON, its `properties` more than 8 KiB, or a list too many items.",
        "Send less.",
    ),
    "CARD_DATA": Meaning(
        "Something in it looks like payment card data, which TrackLayer never takes.",
        "Remove it and send the event again.",
    ),
    "EVENT_ID_CONFLICT": Meaning(
        "The `eventId` is stored already, with another event name.", "Give each business action an id of its own."
    ),
    "INTERNAL": Meaning(
        "TrackLayer failed to judge this event, and stored nothing of it; its operator finds the trace in the log.",
        "Tell the operator, then send it again.",
    ),
    "INVALID_JSON": Meaning("A line of an imported file is not JSON.", "Correct the line and import the file again."),
    "INVALID_SETTING": Meaning(
        "A setting of a destination is not as its platform writes it.", "Look at the platform's page."
    ),
    "NOT_LINKED": Meaning(
        "`identify` found nobody whom a browser could be linked with.", "Send the email or phone of a person."
    ),
    "SEALED": Meaning(
        "`exportPerson`: some of it is sealed with a secret key that this server has no more.",
        "Start TrackLayer with the keys of before as well.",
    ),
    "TOO_MANY_ERASURES": Meaning(
        "So many people of this merchant are being erased that no further one is begun.",
        "Ask again when some have finished.",
    ),
    "NOT_FOUND": Meaning("There is no such thing of this merchant.", "Check the id or the platform."),
    "EMPTY_FILTER": Meaning(
        "Neither a filter nor ids say which are meant.",
        "Narrow it; `redeliver` and `deliverStored` also take `all`.",
    ),
    "PRIVATE_ADDRESS": Meaning(
        "The address of a webhook leads into a private network.", "Give one that the internet reaches."
    ),
    "NOT_TAKEN": Meaning(
        "The receiver of a webhook did not take the test message.", "Look at what it answered, and at its log."
    ),
    "NO_TEST_MODE": Meaning("The platform has no test mode.", "Look at `preview`."),
    "TEST_SETTING_MISSING": Meaning(
        "The destination lacks the setting that test events need.", "Set it on the destination."
    ),
    "SETTINGS_INVENTED": Meaning(
        "The destination has the invented settings of a trial, and there is no sandbox.", "Give it real settings."
    ),
    "UNSUPPORTED_EVENT": Meaning(
        "A test event has a name that the platform, or the destination, does not take.", "Send one that it takes."
    ),
    "MISSING_IDENTIFIERS": Meaning(
        "Nothing in a test event tells the platform who it was.", "Send an identifier that the platform uses."
    ),
    "INVALID_FIELD": Meaning(
        "A field of a test event that the platform demands is missing or wrong.", "Correct the field named."
    ),
    "EVENT_TOO_OLD": Meaning("A test event is older than the platform takes.", "Send a fresh one."),
    "CONSENT_DENIED": Meaning("The person of a test event refused.", "Send one with consent."),
    "IDENTIFIER_PLACEHOLDER": Meaning(
        "An identifier or a text only stands for a value (null, undefined, {gclid}), or is the digest of one, or a line of the basket has "
        "no id. It counts as absent.",
        "Leave the field out where there is nothing to send.",
        is_warning=True,
    ),
    "CURRENCY_NO_MONEY": Meaning(
        "The currency is a code of ISO 4217 for what nobody pays in: `XXX`, `XTS`, gold. It is sent, and platforms may not count it.",
        "Send the code of the currency that was paid in.",
        is_warning=True,
    ),
    "QUANTITY_NEGATIVE": Meaning(
        "A quantity is below zero. In a refund it is read without its minus, as the pieces that go back; elsewhere its line is left out, "
        "which was not bought.",
        "Nothing in a refund; the minus may be left out. Elsewhere send what goes back as `Refund`.",
        is_warning=True,
    ),
    "PERSONAL_DATA": Meaning(
        "Personal data in plain text stands where none belongs, such as in a page's URL, a property of your own or an id. No platform "
        "gets that part; an event id leaves as its SHA-256.",
        "Send emails, phones and names in the fields for them, and keep them out of ids, URLs, texts and properties.",
        is_warning=True,
    ),
    "IDENTIFIER_MALFORMED": Meaning(
        "An identifier is written wrong. Platforms that would refuse it do not get it.",
        "Correct how it is read on your side.",
        is_warning=True,
    ),
    "REFUND_COUNTED": Meaning(
        "The settings of a destination give a name that tells of a refund what counts as a sale. They are set all the same.",
        "Take the name out there, unless it is no refund's.",
        is_warning=True,
    ),
    "EVENT_ERASED": Meaning(
        "The event was erased with its person. Its repeat is counted, and nothing of it is stored. A key that may only send is not told.",
        "Nothing; whatever sends it again may stop.",
        is_warning=True,
    ),
    "PERSON_SUPPRESSED": Meaning(
        "The person was erased, and is to be left alone: the event is stored without identifiers, and sent nowhere. A key that may only "
        "send is not told.",
        "Nothing; where the person has changed their mind, `unsuppressPerson`.",
        is_warning=True,
    ),
    "COALESCED_DIFFERENT_CONTENT": Meaning(
        "A repeat differs from what was stored the first time; the first content stays.",
        "Give another action another id.",
        is_warning=True,
    ),
}
