"""Names of events: which are steps before a conversion, which are purchases, and which are one another misspelt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any

from tracklayer.domain.contact import folded
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


# What else may be one, by a word in it, as BigCommerce, Shopware, Shopify, Magento, Klaviyo, PayPal and people name it. Who pays cash
# on delivery (contra reembolso, contre-remboursement) gets nothing back.
_SOLD = r"(?:order|item|product|good|purchase|parcel)s?"
_ORDER_ELSEWHERE = (
    r"(?:bestell(?:ung|ing)|commande|achat|ordine|acquisto|pedido|orden|compra|encomenda|ordre|zamowienie)(?:e?[ns])?"
)
# What was sold, or can be sent back, is a sale, whatever that says of returns.
_BETWEEN = r"(?:(?!(?:placed|sold|bought|with|including)_)[a-z]+_){0,2}"
_CANCEL = r"cancel(?:l?ed|l?ations?)?"
# Who comes back, or takes something back to a list or a form, gives nothing back; nor does who buys the way back.
_ONLY_COMES_BACK = (
    r"(?!_(?:customer|visitor|visit|user|buyer|form|ticket|fare|flight|trip|journey"
    r"|to_(?:[a-z]+_)?(?:cart|basket|bag|wishlist|list|favou?rites?|checkout|page|site)))"
)
_TAKES_BACK = re.compile(
    r"(?<!p)refund(?!able|ability)|credit_?(?:memo|note)|charge_?back|(?<!bericht)(?<!bericht_)(?<!anzeige_)erstatt(?:et|ung)|gutschrift"
    r"|(?<!contr[ae])(?<!contr[ae]_)(?:rembours|reembols)(?!ab)|rimbors(?!ab)|terugbeta(?!albaar)|aterbetal|tilba[gk]ebetal"
    r"|(?:retour(?:en?|nier|nee)|rue?ckgabe)(?!n?(?:recht|richt|beding|frist))|devol(?:uc|vid)|devuel"
    r"|(?<!tra)storn(?:o(?!way|frei|beding|(?:kosten_?)?(?:schutz|versicher))|ier(?!bar)|a[dt])"
    rf"|(?:charge|payment|capture|transaction|sale)s?_{_BETWEEN}(?:reversed|reversal|disputed?)(?:_|\Z)"
    rf"|(?:charge|payment|capture|transaction|sale|order|invoice)s?_{_BETWEEN}void(?:ed)?(?:_|\Z)"
    rf"|(?:order|purchase)s?_{_BETWEEN}{_CANCEL}(?:_(?!any|within|until)|\Z)|order_status_(?:[a-z]+_){{0,4}}to_cancelled"
    rf"|{_ORDER_ELSEWHERE}_{_BETWEEN}(?:(?:ge)?(?:ann?ul|cancel)(?!ab)|res[io](?:_|\Z)|anulowan|zwrocon)"
    rf"|{_SOLD}_{_BETWEEN}return(?:s|ed)?{_ONLY_COMES_BACK}(?:_|\Z)"
    rf"|(?:\A|(?<!tax)_)(?:return(?:s|ed)?|reversed|disputed|void(?:ed)?|{_CANCEL}(?:_of)?)_"
    rf"(?:{_SOLD}|charges?|payments?){_ONLY_COMES_BACK}(?:_|\Z)"
    # Who files a tax return, or asks for a demo, buys.
    r"|(?:\A|(?<!tax)(?<!vat)(?<!gst)(?<!federal)(?<!assessment)(?<!sold)(?<!with)_)"
    r"returns?_(?:request(?!_(?:a_)?(?:demo|quote))|creat|approv|accept|receiv|process|clos|complet)"
    # Alone such a word says so, too.
    rf"|\A_?(?:return(?:s|ed)?|reversed|voided|retour|zwrot|{_CANCEL})_?\Z"
    "|(?:[返退](?:金|款|品|货|貨)|환불|반품)(?!不可|無料|保証)|возврат"
)
# Phrases that take nothing back, each with the word that it is about: what else stands in the name says what it says.
_TAKES_NOTHING_BACK = re.compile(
    r"(?<![^_])(?:"
    # No refund, without returns, free cancellation, kostenlose Stornierung, sin devolución.
    r"(?:no|non|not|never|without|free|easy|ohne|kein(?:e[mnrs]?)?|nicht|nie|(?:kostenlos|kostenfrei)(?:e[mnrs]?)?|gratis|gratuit[aeos]{0,2}"
    r"|sans|pas|sin|sem|nao|senza|zonder|geen|niet|utan|uden|bez|darmow[aey])_"
    rf"(?:(?:a|an|any|the|be|been|yet|d[aeiu]s?|d|l[ae]s?|el|l)_)?(?!{_SOLD}(?:_|\Z))[^\W_]+"
    r"|(?:retour|res[io]|annulation|annullamento|(?:cancelac|devoluc)[a-z]+)_(?:gratis|gratuit[aeos]{0,2})"
    # Who only reads about a refund, reckons with one, or insures against needing one; what is refunded or cancelled was so.
    r"|[a-z]+(?<!ed)_?(?:polic(?:y|ies)[a-z]*|politi[ckq][a-z]*|guarantee[a-z]*|protect[a-z]*|insurance)"
    r"|(?:politi[ckq]|assurance|seguro|assicurazione|garant[iz])[a-z]*_(?:(?:d[aei][a-z]*|l[ae]s?)_){0,2}[a-z]+"
    r"|(?:[a-z]+(?<!ed)_){1,2}(?:pages?|views?|viewed|clicks?|clicked|button|faq|info|terms|calculator|estimates?)"
    r"|(?:page|views?|viewed|clicks?|clicked)_(?:on_)?[a-z]+"
    # Who buys the way back, or takes up a cancelled order.
    r"|return_label_(?:purchased|bought)|ret(?:our|oure|ouren)_?(?:label|etikett)_gekauft"
    r"|un_cancel[a-z]*|(?:recovered|reinstated|reactivated|reopened)_cancell?ed"
    r"|cancell?ed_(?:[a-z]+_){0,2}(?:recovered|reinstated|reactivated|reopened)"
    r")(?:_|\Z)"
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTER = re.compile(r"[\W_]+")


@lru_cache(maxsize=1024)
def may_be_refund(name: str) -> bool:
    """Whether a shop may mean one by it, or surely does: enough not to count it as a conversion, and to ask the shop."""
    words = _NO_LETTER.sub("_", _CAPITAL.sub("_", folded(name)).lower())
    return _TAKES_BACK.search(_TAKES_NOTHING_BACK.sub("", words)) is not None


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
