"""Names of events that may take a sale back, by the words in them: as BigCommerce, Shopware, Shopify, Magento, Klaviyo, PayPal and
people name it, in the languages of ``_LANGUAGES``.

Which names surely are refunds is in ``event_names.py``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from tracklayer.domain.contact import folded


class _Words(NamedTuple):
    """Of one language, lower case, without accents, as regular expressions. ``back``: beginnings of words that say it wherever they
    stand. ``cancels``: beginnings that say it beside one of ``orders``. ``done``: ends of words for what was done, as in cancelled.
    ``denies`` stands in front of what it denies; ``free`` beside what costs nothing. ``keeps``: ends of words, or words behind, for what
    only promises or describes it; ``keeps_before``: words for that in front. ``sales``: words of a sale, besides ``orders``.
    """

    back: str
    orders: str
    cancels: str
    done: str
    denies: str
    free: str
    keeps: str
    keeps_before: str
    sales: str


# Who pays cash on delivery (contra reembolso, contre-remboursement) gets nothing back; nor does who may have it back (stornierbar).
_LANGUAGES = {
    "English": _Words(
        back=r"(?<!p)refund(?!able|ability)|credit_?(?:memo|note)|charge_?back",
        orders="",  # see ``_ENGLISH``
        cancels="",
        done="ed",
        denies="no|non|not|never|without",
        free="free|easy",
        keeps="polic(?:y|ies)|guarantee|protect|insurance",
        keeps_before="",
        sales="orders?|purchases?|purchased|bought|sold|sales?|bookings?|booked|checkout|paid",
    ),
    "German": _Words(
        back=r"(?<!bericht)(?<!bericht_)(?<!anzeige_)erstatt(?:et|ung)|gutschrift|(?:retour(?:en?|nier)|rue?ckgabe)(?!n?(?:recht|richt|beding|frist))"
        r"|(?<!tra)storn(?:o(?!way|frei|beding|(?:kosten_?)?(?:schutz|versicher))|ier(?!bar))",
        orders="bestellung(?:en)?|auftrag",
        cancels="annull",
        done="iert(?:e[mnrs]?)?|erstattet",
        denies="ohne|kein(?:e[mnrs]?)?|nicht|nie",
        free="(?:kostenlos|kostenfrei|gratis)(?:e[mnrs]?)?",
        keeps="garantie",
        keeps_before="",
        sales="kauf|gekauft|bestellt|buchung|gebucht|bezahlt",
    ),
    "French": _Words(
        back=r"(?<!contr[ae])(?<!contr[ae]_)rembours(?!ab)|retournee",
        orders="commandes?|achats?",
        cancels="annul(?!ab)",
        done="ule(?:e?s?)|(?:ourn|ours)e(?:e?s?)",
        denies="sans|pas",
        free="gratuite?s?",
        keeps="",
        keeps_before="garantie|assurance|politique",
        sales="achete|reservation|paye",
    ),
    "Spanish and Portuguese": _Words(
        back=r"(?<!contr[ae])(?<!contr[ae]_)reembols(?!ab)|devol(?:uc|vid)|devuel|(?<!tra)storna[dt]",
        orders="pedidos?|orden|compras?|encomendas?",
        cancels="(?:anul|cancel)(?!ab)",
        done="[ai]d[ao]s?|uelt[ao]s?",
        denies="sin|sem|nao",
        free="gratis|gratuit[ao]s?",
        keeps="",
        keeps_before="garanti[az]|seguro|politica",
        sales="comprad[ao]|pagad[ao]|reserva",
    ),
    "Italian": _Words(
        back="rimbors(?!ab)",
        orders="ordin[ei]|acquist[oi]",
        cancels=r"annull(?!ab)|res[io](?![^\W_])",
        done="at[aeio]",
        denies="senza",
        free="gratis|gratuit[aeio]",
        keeps="",
        keeps_before="garanzia|assicurazione|politica",
        sales="acquistato|pagato|prenotazione",
    ),
    "Dutch": _Words(
        back="terugbeta(?!albaar)",
        orders="bestelling(?:en)?",
        cancels="(?:ge)?annul",
        done="eerd|aald",
        denies="zonder|geen|niet",
        free="gratis",
        keeps="garantie",
        keeps_before="",
        sales="aankoop|gekocht|betaald",
    ),
    "Scandinavian": _Words(
        back="aterbetal|tilba[gk]ebetal",
        orders="ordren?",
        cancels="annul",
        done="eret|ert|erad",
        denies="utan|uden",
        free="gratis",
        keeps="garanti",
        keeps_before="",
        sales="kop|kjop",
    ),
    "Polish": _Words(
        back="",
        orders="zamowieni[ea]",
        cancels="anulowan|zwro[ct]",
        done="owan[aey]|con[aey]",
        denies="bez",
        free="darmow[aey]|gratis",
        keeps="",
        keeps_before="gwarancj[ai]",
        sales="zakup",
    ),
    "Russian": _Words(
        back="возврат|возвращен",
        orders="заказ[аыов]{0,2}|покупк[аи]",
        cancels="отмен",
        done="енн?[аоы]?",
        denies="без|не",
        free="бесплатн[а-я]{1,3}",
        keeps="",
        keeps_before="гаранти",
        sales="куплено|оплачен",
    ),
}


def _any(name: str) -> str:
    return "(?:" + "|".join(words for one in _LANGUAGES.values() if (words := getattr(one, name))) + ")"


# Where no blank parts words, as ``folded`` leaves them: what says it, unless it may be had back or is free, and what keeps it.
_BACK_THERE = (
    "(?<!可)(?<!免费)(?<!免費)(?<!无忧)(?<!無憂)(?<!無料)(?<!무료)(?<!무료_)"
    "(?:[返退](?:金|款|品|货|貨)|환불|반품|(?:注文|订单|訂單|주문)[をの]?_?(?:キャンセル|取消|취소)|取消_?(?:订单|訂單))"
)
_KEPT_THERE = "(?:保[证証證障]|政策|ホリシー|不可|無料|免费|免費|보증|보장|정책|불가|무료)"

# Words that mean something else in other places have their places in English: an order that was cancelled, an item that was returned.
_SOLD = r"(?:order|item|product|good|purchase|parcel)s?"
# What was sold, or can be sent back, is a sale, whatever that says of returns.
_BETWEEN = r"(?:(?!(?:placed|sold|bought|with|including)_)[a-z]+_){0,2}"
_CANCEL = r"cancel(?:l?ed|l?ations?)?"
# Who comes back, or takes something back to a list or a form, gives nothing back; nor does who buys the way back.
_ONLY_COMES_BACK = (
    r"(?!_(?:customer|visitor|visit|user|buyer|form|ticket|fare|flight|trip|journey"
    r"|to_(?:[a-z]+_)?(?:cart|basket|bag|wishlist|list|favou?rites?|checkout|page|site)))"
)
_ENGLISH = (
    rf"(?:charge|payment|capture|transaction|sale)s?_{_BETWEEN}(?:reversed|reversal|disputed?)(?:_|\Z)"
    r"|(?:order|purchase)s?_(?:reversed|reversal)(?:_|\Z)"
    rf"|(?:charge|payment|capture|transaction|sale|order|purchase|invoice)s?_{_BETWEEN}void(?:ed)?(?:_(?!fill)|\Z)"
    rf"|(?:order|purchase)s?_{_BETWEEN}{_CANCEL}(?:_(?!any|within|until)|\Z)|order_status_(?:[a-z]+_){{0,4}}to_cancelled"
    rf"|{_SOLD}_{_BETWEEN}return(?:s|ed)?{_ONLY_COMES_BACK}(?:_|\Z)"
    rf"|(?:\A|(?<!tax)_)(?:return(?:s|ed)?|reversed|disputed|void(?:ed)?|{_CANCEL}(?:_of)?)_"
    rf"(?:{_SOLD}|charges?|payments?){_ONLY_COMES_BACK}(?:_|\Z)"
    # Who files a tax return, or asks for a demo, buys.
    r"|(?:\A|(?<!tax)(?<!vat)(?<!gst)(?<!federal)(?<!assessment)(?<!sold)(?<!with)_)"
    r"returns?_(?:request(?!_(?:a_)?(?:demo|quote))|creat|approv|accept|receiv|process|clos|complet)"
)
_TAKES_BACK = re.compile(
    rf"{_any('back')}|{_any('orders')}_{_BETWEEN}{_any('cancels')}"
    rf"|(?<![^\W_]){_any('cancels')}[^\W_]*_(?:(?:d[aeiou]s?|del|d|van|la|el|l)_){{0,2}}{_any('orders')}(?:_|\Z)|{_ENGLISH}"
    # Alone such a word says so, too.
    rf"|\A_?(?:return(?:s|ed)?|reversed|reversal|voided|retour|zwrot|{_CANCEL}|отмена|キャンセル|取消|취소)_?\Z"
    rf"|{_BACK_THERE}(?!_?{_KEPT_THERE})"
)
_DONE = rf"(?:[^\W_]*{_any('done')}(?:_|\Z))"
# A word for it, or for what is one only in its place; and one that is for nothing that was done.
_SAYS_IT = rf"[^\W_]*?(?:{_any('back')}|{_any('cancels')}|return|cancel|retour|zwrot)[^\W_]*"
_WAY_BACK = rf"(?!{_DONE}){_SAYS_IT}"
# Phrases that take nothing back, each with the word that it is about: what else stands in the name says what it says.
_ARTICLE = r"(?:(?:a|an|any|the|be|been|yet|d[aeiu]s?|d|l[ae]s?|el|l)_)?"
_IS_SOLD = rf"(?:(?:{_any('orders')}|{_any('sales')}|{_SOLD})(?:_|\Z))"
_TAKES_NOTHING_BACK = re.compile(
    r"(?<![^_])(?:"
    # No refund, without returns, sin devolución.
    rf"{_any('denies')}_{_ARTICLE}(?!{_IS_SOLD})[^\W_]+"
    # Who only reads about a refund, reckons with one, or insures against needing one; what is refunded or cancelled was so.
    rf"|{_SAYS_IT}(?<!ed)_?{_any('keeps')}[^\W_]*"
    rf"|{_any('keeps_before')}[^\W_]*_(?:(?:d[aei][a-z]*|l[ae]s?)_){{0,2}}{_WAY_BACK}"
    r"|(?:[a-z]+(?<!ed)_){1,2}(?:pages?|views?|viewed|clicks?|clicked|button|faq|info|terms|calculator|estimates?)"
    r"|(?:page|views?|viewed|clicks?|clicked)_(?:on_)?[a-z]+"
    # Who buys the way back, or takes up a cancelled order.
    r"|return_label_(?:purchased|bought)|ret(?:our|oure|ouren)_?(?:label|etikett)_gekauft"
    r"|un_cancel[a-z]*|(?:recovered|reinstated|reactivated|reopened)_cancell?ed"
    r"|cancell?ed_(?:[a-z]+_){0,2}(?:recovered|reinstated|reactivated|reopened)"
    r")(?:_|\Z)"
)
# Free returns are what a sale comes with, where the name speaks of one; alone they are returns, and what was done is done, free or not.
_FREE = re.compile(
    rf"(?<![^_])(?:{_any('free')}_{_ARTICLE}{_WAY_BACK}|{_WAY_BACK}_(?!free|easy){_any('free')})(?:_|\Z)"
)
_SALE = re.compile(rf"(?<![^_])(?:{_any('orders')}|{_any('sales')})(?:_|\Z)")
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_LETTER = re.compile(r"[\W_]+")


@lru_cache(maxsize=1024)
def may_be_refund(name: str) -> bool:
    """Whether a shop may mean one by it, or surely does: enough not to count it as a conversion, and to ask the shop."""
    words = _NO_LETTER.sub("_", _CAPITAL.sub("_", folded(name)).lower())
    words = _TAKES_NOTHING_BACK.sub("", words)
    paid = _FREE.sub("", words)
    return _TAKES_BACK.search(paid if _SALE.search(paid) else words) is not None
