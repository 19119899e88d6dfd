"""Names of events that may take a sale back, by the words in them: as BigCommerce, Shopware, Shopify, Magento, Klaviyo, PayPal and
people name it, in the languages of ``_LANGUAGES``.

Which names surely are refunds is in ``event_names.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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


_ANNUL = "annul(?!l?(?:ab|i?erbar|eerbaar))"
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
        cancels=_ANNUL,
        done="iert(?:e[mnrs]?)?|erstattet",
        denies="ohne|kein(?:e[mnrs]?)?|nicht|nie",
        free="(?:kostenlos|kostenfrei|gratis)(?:e[mnrs]?)?",
        keeps="garantie|politik|richtlinie|bedingung",
        keeps_before="",
        sales="kauf|gekauft|bestellt|buchung|gebucht|bezahlt",
    ),
    "French": _Words(
        back=r"(?<!contr[ae])(?<!contr[ae]_)rembours(?!ab)|retournee",
        orders="commandes?|achats?",
        cancels=_ANNUL,
        done="ule(?:e?s?)|(?:ourn|ours)e(?:e?s?)",
        denies="sans|pas",
        free="gratuite?s?",
        keeps="",
        keeps_before="garantie|assurance|politique|droit",
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
        keeps_before="garanti[az]|seguro|politica|derecho|direito",
        sales="comprad[ao]|pagad[ao]|reserva",
    ),
    "Italian": _Words(
        back="rimbors(?!ab)",
        orders="ordin[ei]|acquist[oi]",
        cancels=rf"{_ANNUL}|res[io](?![^\W_])",
        done="at[aeio]",
        denies="senza",
        free="gratis|gratuit[aeio]",
        keeps="",
        keeps_before="garanzia|assicurazione|politica|diritto",
        sales="acquistato|pagato|prenotazione",
    ),
    "Dutch": _Words(
        back="terugbeta(?!albaar)",
        orders="bestelling(?:en)?",
        cancels=rf"(?:ge)?{_ANNUL}",
        done="eerd|aald",
        denies="zonder|geen|niet",
        free="gratis",
        keeps="garantie|beleid",
        keeps_before="",
        sales="aankoop|gekocht|betaald",
    ),
    "Scandinavian": _Words(
        back="aterbetal|tilba[gk]ebetal",
        orders="ordren?",
        cancels=_ANNUL,
        done="eret|ert|erad",
        denies="utan|uden",
        free="gratis",
        keeps="garanti|politik",
        keeps_before="",
        sales="kj?op|kob",
    ),
    "Polish": _Words(
        back="",
        orders="zamowieni(?:[aeu]|em)",
        cancels="anul(?:owan|acj)|zwro(?:t(?!n)|c)",
        done="owan[aeoy]|con[aeoy]",
        denies="bez",
        free="(?:darmow|bezplatn)(?:[aey]|ego|ej|ych|ymi?)|gratis",
        keeps="",
        keeps_before="gwarancj|praw[aeo]|polityk|ubezpieczeni",
        sales="zakup(?:u|em|y)?|kupion[aeoy]|oplacon[aeoy]",
    ),
    # отменный is excellent, and who comes back (возвращение) gives nothing back, but for money and goods.
    "Russian": _Words(
        back="возврат|возвращен[а-я]*_(?:товар|ден|средств|оплат|платеж)|(?:товар[а-я]*|деньги|средства|оплата|платеж)_возвращен",
        orders="заказ(?:[аеуы]|о[вм])?|покупк(?:[аеиу]|ои)",
        cancels="отмен(?!н)|возвращен",
        done="(?:енен|щен)(?:[аоы]|н[а-я]+)?",
        denies="без|не",
        free="бесплатн[а-я]{1,3}",
        keeps="",
        keeps_before="гаранти|прав(?!ильн)|политик|страхов|услови",
        sales="купл?ен[аоы]?|оплачен[аоы]?",
    ),
    # 可 in front is what may be had back, but for what was approved (认可, 许可).
    "Chinese": _Words(
        back="退(?:金|款|品|货|貨)",
        orders="订单|訂單|购买|購買",
        cancels="取消",
        done="完成|完毕|完畢|成功|通过|通過|批准|申请|申請|了",
        denies="不支持|[无無]法|不可|不能|不|支持|(?<![认認许許])可|未|[无無](?!料)",
        free="免费|免費|无忧|無憂|[无無]理由",
        keeps=r"保[证證障]|保?[险險]|政策|(?:免费|免費)(?![^\W_])",
        keeps_before="",
        sales="下单|下單|支付|[预預][订訂]",
    ),
    # With free shipping (送料無料) a return is free, but no refund is.
    "Japanese": _Words(
        back="返(?:金|品)",
        orders="(?:注文|購入)[をの]?",
        cancels="キャンセル|取り?消",
        done="完了|済み?|しました|された|申請|成功",
        denies="",
        free="(?<!送料)無料|送料無料(?=_返品)",
        keeps=r"保[証険]|ホリシー|政策|不可(?![抗避])|(?<!許)可(?:能|(?![^\W_]))|待ち|なし|無料(?![^\W_])",
        keeps_before="",
        sales="予約",
    ),
    "Korean": _Words(
        back="환불|반품",
        orders="(?:주문|구매|결제)[을의]?",
        cancels="취소",
        done="_?(?:완료|승인|신청|처리)|됨|되었습니다|했습니다",
        denies="",
        free="무료",
        keeps=r"보증|보장|정책|불가|가능|없[음이]|보험|(?:수수료_?)?무료(?![^\W_])",
        keeps_before="",
        sales="구입|예약",
    ),
}
_WITHOUT_BLANKS = ("Chinese", "Japanese", "Korean")


def _any(name: str, languages: Iterable[str] = _LANGUAGES) -> str:
    return "(?:" + "|".join(words for one in languages if (words := getattr(_LANGUAGES[one], name))) + ")"


# Where no blank parts words, one is put in front of those of the table, and behind a sale.
_BEGINS = re.compile("|".join(_any(name, _WITHOUT_BLANKS) for name in ("denies", "free", "back", "cancels")))
_SALE_WITHIN = re.compile("|".join(_any(name, _WITHOUT_BLANKS) for name in ("orders", "sales")))

# Words that mean something else in other places have their places in English: an order that was cancelled, an item that was returned.
_SOLD = r"(?:order|item|product|good|purchase|parcel)s?"
# What was sold, or can be sent back, is a sale, whatever that says of returns.
_BETWEEN = r"(?:(?!(?:placed|sold|bought|with|including)_)[^\W\d_]+_){0,2}"
_RETURN, _CANCEL = r"return(?:s|ed)?", r"cancel(?:l?ed|l?ations?)?"
_REVERSED, _DISPUTED, _VOID = "revers(?:ed|al)", "disputed?", "void(?:ed)?"
# Who comes back, or takes something back to a list or a form, gives nothing back; nor does who buys the way back.
_ONLY_COMES_BACK = (
    r"(?!_(?:customer|visitor|visit|user|buyer|form|ticket|fare|flight|trip|journey"
    r"|to_(?:[a-z]+_)?(?:cart|basket|bag|wishlist|list|favou?rites?|checkout|page|site)))"
)
_ENGLISH = (
    rf"(?:charge|payment|capture|transaction|sale)s?_{_BETWEEN}(?:{_REVERSED}|{_DISPUTED})(?:_|\Z)"
    rf"|(?:order|purchase)s?_{_REVERSED}(?:_|\Z)"
    rf"|(?:charge|payment|capture|transaction|sale|order|purchase|invoice)s?_{_BETWEEN}{_VOID}(?:_(?!fill)|\Z)"
    rf"|(?:order|purchase)s?_{_BETWEEN}{_CANCEL}(?:_(?!any|within|until)|\Z)|order_status_(?:[a-z]+_){{0,4}}to_cancelled"
    rf"|{_SOLD}_{_BETWEEN}{_RETURN}{_ONLY_COMES_BACK}(?:_|\Z)"
    rf"|(?:\A|(?<!tax)_)(?:{_RETURN}|reversed|disputed|{_VOID}|{_CANCEL}(?:_of)?)_"
    rf"(?:{_SOLD}|charges?|payments?){_ONLY_COMES_BACK}(?:_|\Z)"
    # Who files a tax return, or asks for a demo, buys.
    r"|(?:\A|(?<!tax)(?<!vat)(?<!gst)(?<!federal)(?<!assessment)(?<!sold)(?<!with)_)"
    r"returns?_(?:request(?!_(?:a_)?(?:demo|quote))|creat|approv|accept|receiv|process|clos|complet)"
)
_TAKES_BACK = re.compile(
    rf"{_any('back')}|{_any('orders')}_{_BETWEEN}{_any('cancels')}"
    rf"|(?<![^\W_]){_any('cancels')}[^\W_]*_(?:(?:d[aeiou]s?|del|d|van|la|el|l)_){{0,2}}{_any('orders')}(?:_|\Z)|{_ENGLISH}"
    # Alone such a word says so, too.
    rf"|\A_?(?:{_RETURN}|{_REVERSED}|voided|retour|zwrot|{_CANCEL}|отмена|возвращен[аоы]?|キャンセル|取消|취소)_?\Z"
)
_DONE = rf"(?:[^\W_]*{_any('done')}(?:_|\Z))"
_IN_PLACE = f"retour|{_RETURN}|{_CANCEL}|{_REVERSED}|{_DISPUTED}|{_VOID}"
# A word for it, or for what is one only in its place; and one that is for nothing that was done.
_SAYS_IT = rf"[^\W_]*?(?:{_any('back')}|{_any('cancels')}|{_IN_PLACE})[^\W_]*"
_WAY_BACK = rf"(?!{_DONE}){_SAYS_IT}"
# Phrases that take nothing back, each with the word that it is about: what else stands in the name says what it says.
_ARTICLE = r"(?:(?:a|an|any|the|be|been|yet|d[aeiu]s?|d|l[ae]s?|el|l)_)?"
_IS_SOLD = rf"(?:(?:{_any('orders')}|{_any('sales')}|{_SOLD})(?:_|\Z))"
_RIGHT_TO = rf"{_any('keeps_before')}[^\W_]*_(?:(?:d[aei][a-z]*|l[ae]s?|al?|do|od|na|на|от)_){{0,2}}"
_TAKES_NOTHING_BACK = re.compile(
    r"(?<![^_])(?:"
    # No refund, without returns, sin devolución, без права отмены.
    rf"{_any('denies')}_(?:{_RIGHT_TO})?{_ARTICLE}(?!{_IS_SOLD})[^\W_]+"
    # Who only reads about a refund, reckons with one, or insures against needing one; what is refunded or cancelled was so.
    rf"|(?:{_SAYS_IT}(?<!ed)|{_WAY_BACK}_){_any('keeps')}[^\W_]*"
    rf"|{_RIGHT_TO}{_WAY_BACK}"
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
    parted = _SALE_WITHIN.sub(r" \g<0> ", _BEGINS.sub(r" \g<0>", _CAPITAL.sub("_", folded(name))))
    words = _NO_LETTER.sub("_", parted.lower())
    words = _TAKES_NOTHING_BACK.sub("", words)
    paid = _FREE.sub("", words)
    return _TAKES_BACK.search(paid if _SALE.search(paid) else words) is not None
