"""Names of events: which are steps before a conversion, which are purchases, and which are one another misspelt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any

from tracklayer.domain.refund_words import may_be_refund as may_be_refund
from tracklayer.domain.text import without_invisible

_BETWEEN_WORDS = re.compile(r"(?:[^0-9a-z\u0080-\U0010ffff]|\s)+")


def canonical(name: str) -> str:
    """Lower case, without what stands between words and what nobody sees: ``AddToCart`` and ``add_to_cart`` are one.

    Letters and signs of other scripts stay, for they may say the opposite: no purchase is ``未purchase`` or ``Order Paid ❌``.
    """
    return _BETWEEN_WORDS.sub("", (name if name.isascii() else without_invisible(name)).lower())


# What one person does several times on the way to one conversion, also under the names of Google Analytics.
_STEPS = frozenset(
    "pageview screenview viewcontent viewitem viewitemlist viewcategory viewcart selectitem search customizeproduct "
    "findlocation addtocart removefromcart addtowishlist initiatecheckout begincheckout startcheckout addpaymentinfo "
    "addshippinginfo sessionstart userengagement scroll click adclick adview appopen".split()
)
# What names a purchase that was made, and can mean nothing else: our own, Segment's, Shopify's and TikTok's names of it. An order
# that was placed is none of these: with TikTok it is a step before the payment.
_MADE_PURCHASES = frozenset("purchase completepayment ordercompleted checkoutcompleted orderspaid orderpaid".split())
_PURCHASES = _MADE_PURCHASES | frozenset("orderplaced placeorder placeanorder order".split())
# As shops and payment services call what may be one: an order without its payment, or a payment of whatever it was for, which
# some of them tell under two of these names.
_MAYBE_PURCHASES = frozenset(
    "ordercreated orderscreate ordercreate chargesucceeded chargecaptured paymentintentsucceeded checkoutsessioncompleted "
    "paymentcapturecompleted checkoutordercompleted woocommercepaymentcomplete woocommerceorderpaymentcomplete "
    "woocommercethankyou woocommerceneworder woocommerceorderstatusprocessing woocommerceorderstatuscompleted".split()
)
# What else one person does once, and what costs money when it is counted again.
_OTHER_SALES = frozenset("ecommercepurchase inapppurchase subscribe starttrial donate".split())


# As Google Analytics, Shopify, WooCommerce, Segment, Stripe and PayPal name what takes a purchase back.
_REFUNDS = frozenset(
    "refund refunded refundcreate refundcreated refundscreate orderrefund orderrefunded ordersrefunded purchaserefund purchaserefunded "
    "chargerefund chargerefunded paymentrefunded paymentcapturerefunded paymentsalerefunded woocommerceorderrefunded "
    "woocommercerefundcreated woocommerceorderfullyrefunded woocommerceorderpartiallyrefunded "
    "woocommerceorderstatusrefunded".split()
)


def is_refund(name: str, own: Container[str] = ()) -> bool:
    """Whether it takes back what a purchase was. ``own``: names that the merchant has mapped to something of a platform: under
    those nothing but ``Refund`` itself, the data model's name, is taken for one.
    """
    return name == "Refund" or (name not in own and _is_refund(name))


@lru_cache(maxsize=1024)
def _is_refund(name: str) -> bool:
    return canonical(name) in _REFUNDS


def is_refund_among_others(name: str, own: Mapping[str, Any]) -> bool:
    """Whether it may be a refund that nothing but ``*`` takes, of the names that the merchant has mapped: ``*`` was written for
    conversions.
    """
    return bool(own.get("*")) and not own.get(name) and may_be_refund(name)


def is_step(name: str) -> bool:
    return canonical(name) in _STEPS


def is_purchase(name: str) -> bool:
    return canonical(name) in _PURCHASES


@lru_cache(maxsize=1024)
def is_made_purchase(name: str) -> bool:
    """Whether it cannot mean anything but a purchase that was made, so that it may go out as one."""
    return canonical(name) in _MADE_PURCHASES


def may_be_purchase(name: str) -> bool:
    """Whether a shop that sends no ``Purchase`` may mean one by it: enough to ask the shop, and not to count it."""
    return canonical(name) in _PURCHASES | _MAYBE_PURCHASES


def is_sale(name: str) -> bool:
    """A purchase, a donation, or the begin of a subscription: not what follows one, as a refund or a parcel on its way."""
    return canonical(name) in _PURCHASES | _OTHER_SALES


def most_wanted(names: Mapping[str, int], most: int) -> list[str]:
    """Up to ``most`` of (name -> how often it comes): purchases, then other conversions, then steps; the frequent first.

    Conversions are the rarest events of a shop, and the ones that must not be missed.
    """
    return sorted(names, key=lambda name: (not is_purchase(name), is_step(name), -names[name], name))[:most]


MOST_KNOWN = 1000  # names that another one is compared with
_LONG = 8  # letters: of shorter names one letter makes another word, as in Lead and Load


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name of which ``name`` is another spelling; None where it is one itself, or of none.

    Another spelling differs in case and in what stands between words, or, of a long name, in one letter that is missing,
    too many, another one, or swapped with its neighbour. A digit makes it another name: ``Purchase2`` is meant so. So does what
    is no Latin letter: ``未purchase``.
    """
    names = tuple(sorted(known))[:MOST_KNOWN]
    if name in names:
        return None
    short = canonical(name)
    if not short:
        return None
    by_form = _by_form(names)
    if short in by_form:
        return by_form[short]
    return next((one for form, one in by_form.items() if len(form) >= _LONG and _is_one_letter_off(short, form)), None)


@lru_cache(maxsize=256)  # the same few lists are asked about all the time
def _by_form(names: tuple[str, ...]) -> dict[str, str]:
    return {canonical(one): one for one in names}


def _is_one_letter_off(name: str, right: str) -> bool:
    if abs(len(name) - len(right)) > 1:
        return False
    start = 0
    while start < min(len(name), len(right)) and name[start] == right[start]:
        start += 1
    end = 0
    while end < min(len(name), len(right)) - start and name[-1 - end] == right[-1 - end]:
        end += 1
    given, wanted = name[start : len(name) - end], right[start : len(right) - end]
    if any(letter.isdigit() or not unicodedata.normalize("NFD", letter)[0].isascii() for letter in given + wanted):
        return False
    swapped = len(given) == len(wanted) == 2 and given == wanted[::-1]
    return swapped or (len(given) <= 1 and len(wanted) <= 1)
