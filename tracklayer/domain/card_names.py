"""What the name of a field, a property or a URL parameter says of its value: text, an id, a phone, or data of a card.

Names alone: in an id bare digits are an id, and under a name of card data what could be that is refused. Whether a value could
be is told in ``card``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

TEXT, ID, PHONE = "text", "id", "phone"

_WORDS = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+")
_ID_WORDS = (
    "ean gtin upc isbn issn asin sku mpn imei imeisv iccid imsi sscc barcode serial article item product variant offer "
    "listing lot batch order invoice receipt ticket booking reservation confirmation transaction txn purchase cart "
    "basket tracking parcel shipment consignment waybill awb campaign adset adgroup ad advertising creative placement "
    "click session cookie visitor external reference uuid guid utm hsa fbp fbc ttp epik gbraid wbraid ga gcl awc "
    "customer po voucher idempotency "
    # In the languages of most shops, without accents.
    "bestell bestellung bestellungs auftrag auftrags artikel rechnung rechnungs kunde kunden sendung sendungs paket liefer "
    "lieferschein produkt beleg vorgang vorgangs buchung buchungs vertrag vertrags "
    "commande facture colis suivi produit panier expedition livraison client siret siren "
    "pedido factura referencia producto articulo envio seguimiento cliente reserva compra guia "
    "fatura produto artigo rastreio rastreamento encomenda cnpj cpf nfe "
    "ordine fattura prodotto articolo spedizione tracciamento prenotazione "
    "bestelling bestel factuur klant zending pakket verzend "
    "zamowienie zamowienia faktura faktury przesylka przesylki paczka paczki regon nip "
    "ordre bestallning bestallnings bestilling bestillings forsandelse forsendelse sporing sparning kund kunde tilaus lasku "
    "objednavka objednavky zasilka zasilky rendeles szamla comanda siparis fatura kargo takip urun pesanan resi faktur "
    # Of times as numbers the same is true: ticks of .NET are 18 digits that begin with 63.
    "time timestamp ts date datetime ticks millis micros nanos epoch"
)
_IS_ID = re.compile(
    rf"(?:{'|'.join(_ID_WORDS.split())})(?:s|ids?|nos?|nr|num|nummer|numbers?|numero|codes?|refs?|keys?)?"
)
_NO_IDS = frozenset(
    "paid unpaid prepaid bid bids valid invalid void avoid grid grids aid kid kids mid lid rapid solid liquid fluid "
    "hybrid android covid raid said".split()
)
# Of cards, and of a date that is no number of anything: birth_date.
_NO_ID_WORDS = frozenset(
    "card cards cc creditcard debitcard bankcard paymentcard giftcard pan birth birthday carte karte kreditkarte tarjeta cartao "
    "carta karta karty kart karti kort kaart creditcardnummer kartennummer".split()
)
# The same in scripts that write no words apart: part of a name.
_IDS_ELSEWHERE = re.compile(
    "注文|受注|商品|伝票|追跡|予約|会員番号|请求書|請求書|顧客|订单|訂單|运单|運單|单号|單號|快递|物流|编号|編號|주문|상품|송장|운송장|예약"
    "|заказ|артикул|накладн|посылк|трек|счет|замовлен|поръчк|παραγγελ|הזמנה|משלוח|الطلب|الشحنة|คำสั่งซื้อ|พัสดุ|ऑर्डर"
)
_NO_IDS_ELSEWHERE = re.compile("カード|卡|카드|карт|κάρτα|כרטיס|بطاقة|บัตร|कार्ड")
_MARKS = re.compile(r"[\u0300-\u036f]")
_WHOLE_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "ı": "i", "æ": "ae", "Æ": "AE", "đ": "d"}
)
_NO_PAYMENT = ("gift", "loyalty", "membership")  # cards that no bank pays: their numbers are judged as any text is
_PHONE_WORDS = frozenset("phone phones telephone tel mobile cell cellphone msisdn fax whatsapp".split())
# These say text or money beside a word that says id: product_name, order_note, item_price.
_TEXT_WORDS = re.compile(
    r".*(?:name|title|text|notes?|comments?|message|description|subject|query|search|string|remarks?|memo|instructions?"
    r"|price|value|amount|total|revenue|agent|category|brand|type|status)"
)


@lru_cache(maxsize=4096)  # the same few names in every event
def kind_by_name(name: str) -> str:
    """What stands under that name, of a field, a property or a URL parameter alike: text, an id or a phone."""
    if not name.isascii():
        whole = unicodedata.normalize("NFC", name).lower()
        if _NO_IDS_ELSEWHERE.search(whole):
            return TEXT
        if _IDS_ELSEWHERE.search(whole):
            return ID
        name = _MARKS.sub("", unicodedata.normalize("NFKD", name.translate(_WHOLE_LETTERS)))
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or not _NO_ID_WORDS.isdisjoint(words) or any(map(_TEXT_WORDS.fullmatch, words)):
        return TEXT
    if words[-1] == "at" or any(_IS_ID.fullmatch(word) for word in words):
        return ID
    if any(word.endswith(("id", "ids")) and word not in _NO_IDS for word in words):
        return ID
    return PHONE if any(word in _PHONE_WORDS for word in words) else TEXT


_NOT_LETTERS = re.compile(r"[\W_]+")
_CARD_NAMES = {
    name: kind
    for kind, names in {
        "number": "pan panno pannumber cardno cardnr cardpan primaryaccountnumber cc ccno ccnum ccnumber card creditcard "
        "debitcard paymentcard bankcard creditcardno debitcardno",
        "code": "ccv csc cvn cid2 cardcsc cardcode securitycode",
        "expiry": "cardexp cardexpiry cardexpirydate cardexpiration cardexpirationdate ccexp ccexpiry",
        "holder": "cardholder cardholdername nameoncard",
        "track": "pinblock track1 track2 trackdata track1data track2data magstripe magneticstripe",
        "pin": "cardpin",
    }.items()
    for name in names.split()
}
_CODE = re.compile(r"cvv|cvc|cardverification|cardsecurity")
_RESULT = re.compile(
    r"(?:cvv|cvc|csc|ccv|code|verification|security).*"
    r"(?:check|result|response|status|match|verified|valid|present|provided|required|outcome|passed|error|attempt)"
)


@lru_cache(maxsize=4096)
def card_name(name: str) -> str:
    """Which card data that name says (``number``, ``code``, ...), or nothing."""
    letters = _NOT_LETTERS.sub("", name).lower()
    if letters.startswith(_NO_PAYMENT):
        return ""
    known = _CARD_NAMES.get(letters)
    if known or len(letters) < 3:
        return known or ""
    if "cardnum" in letters:
        return "number"
    # Word by word, because two of them make one by chance: recv_value.
    words = [word.lower() for word in _WORDS.findall(name)]
    is_one_word = "card" in letters or len(words) == len(letters) or letters.startswith(("cvv", "cvc"))
    if any(map(_CODE.search, (letters,) if is_one_word else words)):
        return "" if _RESULT.search(letters) else "code"
    return ""
