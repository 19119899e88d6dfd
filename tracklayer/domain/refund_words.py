"""Names of events that may take a sale back, by the words in them: as BigCommerce, Shopware, Shopify, Magento, Klaviyo, PayPal and
people name it.

The words of each language are in ``refund_vocabulary.py``; which names surely are refunds is in ``event_names.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from tracklayer.domain.contact import folded
from tracklayer.domain.refund_vocabulary import LANGUAGES, WITHOUT_BLANKS

_WITH_BLANKS = tuple(one for one in LANGUAGES if one not in WITHOUT_BLANKS)
_UMLAUTS = str.maketrans({"ä": "a(e)", "ö": "o(e)", "ü": "u(e)"})
_REST, _WORD_ENDS, _ENDS = r"[^\W_]*", r"(?![^\W_])", r"(?:_|\Z)"


def _words(columns: str, languages: Iterable[str] = LANGUAGES) -> list[str]:
    return [word for name in columns.split() for one in languages for word in getattr(LANGUAGES[one], name).split()]


def _any(patterns: Iterable[str]) -> str:
    # The longer first: where 不可 stands, it is not 不.
    return f"(?:{'|'.join(sorted(dict.fromkeys(patterns), key=len, reverse=True)) or '(?!)'})"


def _plain(word: str) -> str:
    """What stands in a folded name for a word of the table, without its hyphens."""
    optional = re.sub(r"\(([^)]+)\)", r"(?:\1)?", folded(word.strip("-").translate(_UMLAUTS)))
    return optional.replace("/", "|")


def _beginnings(columns: str, languages: Iterable[str]) -> list[str]:
    return [_plain(word) for word in _words(columns, languages) if word[0] != "-" and word[-1] == "-"]


def _begin(columns: str, languages: Iterable[str] = LANGUAGES) -> str:
    """What begins with a word of these columns."""
    return _any(_plain(word) for word in _words(columns, languages) if word[0] != "-")


def _end(columns: str, languages: Iterable[str] = LANGUAGES) -> str:
    """What stands in these columns as ends of words."""
    return _any(
        _plain(word) + (_REST if word[-1] == "-" else "") for word in _words(columns, languages) if word[0] == "-"
    )


def _whole(columns: str, languages: Iterable[str] = LANGUAGES) -> str:
    """A word of these columns up to its end."""
    words = [_plain(word) for word in _words(columns, languages) if "-" not in word]
    return rf"(?:{_any(words)}{_WORD_ENDS}|{_any(_beginnings(columns, languages))}{_REST})"


# Where no blank parts words, those of the table are parted here, each with what was done behind it and without its particles.
_NAMES_IT = _begin("orders bookings money goods sold", WITHOUT_BLANKS)
_SAYS_OF_IT = _begin(
    "refunds cancels returns able able_before denies denied free covers promises unlike comes_with", WITHOUT_BLANKS
)
_PARTICLE = rf"(?:(?!{_SAYS_OF_IT}){_begin('particles', WITHOUT_BLANKS)})?"
_DENSE = rf"({_NAMES_IT}){_PARTICLE}|({_SAYS_OF_IT}){_PARTICLE}(?:_?((?:{_begin('done', WITHOUT_BLANKS)})+))?"

# English words that mean something else in other places have theirs: a charge that was reversed, a payment that is void.
_REVERSED, _DISPUTED, _VOID = "revers(?:ed|al)", "disputed?", "void(?:ed)?"
_SMALL = rf"(?:{_whole('particles')}_){{0,2}}"
# What was sold, or can be sent back, is a sale, whatever that says of returns.
_BETWEEN = rf"(?:(?!{_whole('comes_with')}_)[^\W\d_]+_){{0,2}}"
# Who comes back, or takes something back to a list or a form, gives nothing back; nor does who buys the way back.
_ONLY_COMES_BACK = (
    r"(?!_(?:customer|visitor|visit|user|buyer|form|ticket|fare|flight|trip|journey"
    r"|to_(?:[a-z]+_)?(?:cart|basket|bag|wishlist|list|favou?rites?|checkout|page|site)))"
)
_CANCELS, _RETURNS = (
    _any((_whole(column, _WITH_BLANKS), _begin(column, WITHOUT_BLANKS) + _REST)) for column in ("cancels", "returns")
)
_DONE = rf"(?:[^\W_]*{_any((_whole('done', _WITH_BLANKS), _begin('done', WITHOUT_BLANKS)))}{_ENDS})"
_IS_SOLD = rf"(?:{_whole('orders bookings sold goods')}{_ENDS})"
_PAID = "charge|payment|capture|transaction|sale"
_GIVEN_BACK, _BOOKED = "orders money goods", "bookings"
_TAKES_BACK = (
    rf"{_begin('refunds')}"
    rf"|(?:{_begin('orders')}|(?<![^\W_]){_begin('money goods')})_{_BETWEEN}(?:{_CANCELS}|{_RETURNS}{_ONLY_COMES_BACK})|{_begin(_BOOKED)}_{_BETWEEN}{_CANCELS}"
    rf"|(?<![^\W_])(?:(?:{_CANCELS}|{_RETURNS}|{_REVERSED}|{_DISPUTED}|{_VOID})_{_SMALL}(?:{_whole(_GIVEN_BACK)}|(?:charge|payment)s?{_ENDS})"
    rf"|{_CANCELS}_{_SMALL}{_whole(_BOOKED)}){_ONLY_COMES_BACK}"
    # Alone such a word says so, too, or with what became of it.
    rf"|\A_?{_SMALL}{_any((_CANCELS, _RETURNS, _REVERSED, 'voided'))}(?:_(?!{_whole('sold')}){_DONE})?_?\Z"
    rf"|(?:{_PAID})s?_{_BETWEEN}(?:{_REVERSED}|{_DISPUTED}){_ENDS}|(?:order|purchase)s?_{_REVERSED}{_ENDS}"
    rf"|(?:{_PAID}|order|purchase|invoice)s?_{_BETWEEN}{_VOID}(?:_(?!fill)|\Z)"
    rf"|order_status_(?:[a-z]+_){{0,4}}to_cancelled"
    # Who asks for a demo buys.
    r"|(?<![^\W_])(?<!sold_)(?<!with_)returns?_(?:request(?!_(?:a_)?(?:demo|quote))|creat|approv|accept|receiv|process|clos|complet)"
)

# A word for it, or for what is one only in its place; and one that is for nothing that was done.
_STEM = _any((_begin("refunds cancels returns"), _REVERSED, _DISPUTED, _VOID))
_SAYS_IT = rf"[^\W_]*?{_STEM}[^\W_]*"
_WAY_BACK = rf"(?!{_DONE}){_SAYS_IT}"
_RIGHT_TO = rf"{_begin('covers_before')}[^\W_]*_{_SMALL}"
_BEHIND = "covers denied able"
_KEEPS = _any((_begin(_BEHIND, _WITH_BLANKS) + _REST, _begin(_BEHIND, WITHOUT_BLANKS) + _WORD_ENDS))
# As in refundable: an end right behind a word of the same language.
_ABLE = _any(
    _any([*map(_plain, _words("refunds", (one,))), *_beginnings("cancels returns", (one,))]) + _end("able", (one,))
    for one in LANGUAGES
)
# Phrases that take nothing back, each with the word that it is about: what else stands in the name says what it says.
_TAKES_NOTHING_BACK = (
    rf"(?<![^_])(?:{_whole('promises')}"
    # No refund, without returns, sin devolución, без права отмены.
    rf"|{_whole('denies able_before')}_(?:{_begin('free')}_)?(?:{_RIGHT_TO})?{_SMALL}(?!{_IS_SOLD})[^\W_]+"
    # Who only reads about a refund, reckons with one, or insures against needing one; what is refunded or cancelled was so.
    rf"|{_SAYS_IT}(?<!ed)(?:{_KEEPS}|{_end('covers')}[^\W_]*)|{_WAY_BACK}_{_KEEPS}|{_RIGHT_TO}{_WAY_BACK}"
    rf"|[^\W_]*?{_ABLE}[^\W_]*"
    r"|(?:[a-z]+(?<!ed)_){1,2}(?:pages?|views?|viewed|clicks?|clicked|button|faq|info|terms|calculator|estimates?)"
    # A lead is none, whatever it asks about.
    r"|(?:[^\W_]+(?<!ed)_){1,6}leads?"
    r"|(?:page|views?|viewed|clicks?|clicked)_(?:on_)?[a-z]+"
    # Who buys the way back, or takes up a cancelled order.
    r"|return_label_(?:purchased|bought)|ret(?:our|oure|ouren)_?(?:label|etikett)_gekauft"
    r"|(?:recovered|reinstated|reactivated|reopened)_cancell?ed"
    r"|cancell?ed_(?:[a-z]+_){0,2}(?:recovered|reinstated|reactivated|reopened)"
    rf"){_ENDS}|{_whole('unlike')}{_ENDS}"
)
# Free returns are what a sale comes with, where the name speaks of one; alone they are returns, and what was done is done, free or not.
_FREE = rf"(?<![^_])(?:{_whole('free')}_{_SMALL}{_WAY_BACK}|{_WAY_BACK}_(?!free|easy){_whole('free')}){_ENDS}"
_SALE = rf"(?<![^_]){_whole('orders bookings sold')}{_ENDS}"
_MAY_TAKE_BACK = _STEM
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTER = re.compile(r"[\W_]+")


# When the first name is looked at, and those that are long when the first has such a word in it: forty milliseconds at each start.
_compiled = cache(re.compile)


@lru_cache(maxsize=1024)
def may_be_refund(name: str) -> bool:
    """Whether a shop may mean one by it, or surely does: enough not to count it as a conversion, and to ask the shop."""
    words = _NO_LETTER.sub("_", _CAPITAL.sub("_", folded(name)).lower())
    if _compiled(_MAY_TAKE_BACK).search(words) is None:
        return False
    if not words.isascii():
        words = re.sub("_+", "_", _compiled(_DENSE).sub(r"_\1\2\3_", words))
    words = _compiled(_TAKES_NOTHING_BACK).sub("", words)
    paid = _compiled(_FREE).sub("", words)
    return _compiled(_TAKES_BACK).search(paid if _compiled(_SALE).search(paid) else words) is not None
