"""Text that rows can hold and people can read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

# No row holds a NUL or half a character.
_NOT_STORABLE = re.compile(r"[\x00\ud800-\udfff]")
# In a name, besides: control characters, ends of lines, and what turns the direction of the text around it.
_NOT_READABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Default_Ignorable_Code_Point of Unicode: marks of direction, joiners, soft hyphens, byte order marks and their like.
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_UNSEEN}]+")
_SEEN = re.compile(rf"[^\s{_UNSEEN}]")
_BARE = re.compile(rf"[\s{_UNSEEN}]*(.*[^\s{_UNSEEN}])?", re.DOTALL)


def without_invisible(text: str) -> str:
    """The text without the characters that nobody sees and that come along when one copies."""
    return _INVISIBLE.sub("", text)


def is_blank(text: str) -> bool:
    """Whether nobody sees anything of it: white space, and characters that nobody sees, alone."""
    return not text or text.isspace() if text.isascii() else _SEEN.search(text) is None


def bare(text: str) -> str:
    """The text without white space and characters that nobody sees at its ends."""
    if text.isascii():
        return text.strip()
    found = _BARE.match(text)
    return (found[1] or "") if found else text


_MOST_MARKS = 30  # on one letter: no script needs more (UAX 15, Stream-Safe Text Format)
_FEW = 500  # characters of which every one may be a mark


def with_few_marks(text: str) -> str:
    """The same without the marks that are too many on one letter: ``unicodedata.normalize`` takes n² steps for n of them."""
    if len(text) <= _FEW:
        return text
    kept, count = [], 0
    for sign in text:
        count = count + 1 if sign > "\u02ff" and unicodedata.combining(sign) else 0
        if count <= _MOST_MARKS:
            kept.append(sign)
    return "".join(kept)


def as_typed(code: str) -> str:
    """A code of letters and digits as a plain keyboard writes it: digits of whatever script, blanks and full-width letters as ASCII has
    them, and nothing that nobody sees.
    """
    if code.isascii():
        return code
    text = unicodedata.normalize("NFKC", with_few_marks(without_invisible(code)))
    return "".join([str(int(sign)) if sign.isdecimal() else sign for sign in text])


def decimal_digits(text: str) -> str:
    """The decimal digits that stand in a text, of whatever script, as ASCII has them."""
    return "".join([str(int(sign)) for sign in text if sign.isdecimal()])


def is_storable(text: str) -> bool:
    return _NOT_STORABLE.search(text) is None


def is_storable_json(value: Any) -> bool:
    """Whether a row holds all the texts of a JSON value, names of fields too."""
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, str):
            if not is_storable(found):
                return False
        elif isinstance(found, Mapping):
            left += [*found.keys(), *found.values()]
        elif isinstance(found, list | tuple):
            left += found
    return True


def wrong_with_name(text: str, most: int) -> str | None:
    """The end of a sentence that says what is wrong with the name of something; None where nothing is.

    A name stands in lists, e-mails and logs beside other text, and must leave that as it is.
    """
    if not 0 < len(text.strip()) <= most:
        return f"must have 1 to {most} characters"
    if _NOT_READABLE.search(text):
        return "must be one line without control characters"
    return None
