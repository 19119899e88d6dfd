"""Which names are one another misspelt, and which are steps before a conversion."""

from __future__ import annotations

import pytest

from tracklayer.domain.event_names import (
    is_made_purchase,
    is_purchase,
    is_refund,
    is_step,
    may_be_purchase,
    may_be_refund,
    meant,
    most_wanted,
)
from tracklayer.mappers import PLATFORMS, mapper_for

KNOWN = ("Purchase", "AddToCart", "Lead", "Contact", "Search", "Subscribe", "ViewContent", "CompleteRegistration")


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("purchase", "Purchase"),
        ("PURCHASE", "Purchase"),
        ("add_to_cart", "AddToCart"),
        ("Add To Cart", "AddToCart"),
        ("lead", "Lead"),
        ("Purchse", "Purchase"),
        ("Purchasse", "Purchase"),
        ("Purhcase", "Purchase"),
        ("Purchese", "Purchase"),
        ("Purchases", "Purchase"),
        ("AddToCard", "AddToCart"),
        ("complete_registraton", "CompleteRegistration"),
        ("Purchase", None),
        ("Purchase2", None),
        ("Purchase_EU", None),
        ("Load", None),
        ("Leads", None),
        ("Contract", None),
        ("Research", None),
        ("Unsubscribe", None),
        ("Newsletter", None),
        ("Contact\N{ZERO WIDTH SPACE} ", "Contact"),
        ("Purchasé", "Purchase"),
        ("未purchase", None),
        ("Purchase ❌", None),
        ("購入", None),
        ("", None),
    ],
)
def test_another_spelling_is_told_from_another_name(name: str, right: str | None) -> None:
    assert meant(name, KNOWN) == right


def test_no_name_of_a_platform_is_taken_for_another_one() -> None:
    for key in PLATFORMS:
        names = mapper_for(key).event_names
        assert [name for name in names if meant(name, names) is not None] == []


def test_steps_and_purchases_are_known_under_several_names() -> None:
    assert all(map(is_step, ("PageView", "page_view", "AddToCart", "begin_checkout", "ViewContent")))
    assert not any(map(is_step, ("Purchase", "Lead", "Subscribe", "Booking")))
    assert all(map(is_purchase, ("Purchase", "purchase", "CompletePayment")))
    assert not any(map(is_purchase, ("Lead", "Refund", "AddToCart")))


@pytest.mark.parametrize(
    "name", ["purchase", "Order Completed", "orderCompleted", "orders/paid", "checkout_completed", "CompletePayment"]
)
def test_what_can_be_nothing_but_a_purchase_is_one(name: str) -> None:
    assert is_made_purchase(name)
    assert is_purchase(name)
    assert may_be_purchase(name)


@pytest.mark.parametrize(
    "name",
    [
        "未purchase",
        "Order Paid ❌",
        "Purchase（テスト）",
        "покупка: purchase",
        "não purchase",
        "purchasé",
        "購入purchase",
    ],
)
def test_what_letters_and_signs_of_other_scripts_say_is_not_overheard(name: str) -> None:
    refund = name.replace("purchase", "refund").replace("Purchase", "Refund").replace("Order Paid", "Refund")
    assert not any(is_it(name) for is_it in (is_made_purchase, is_purchase, may_be_purchase, is_step))
    assert not is_refund(refund)


@pytest.mark.parametrize(
    "around", ["\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}", "\N{RIGHT-TO-LEFT MARK}", "\ufeff", "\ufe0f"]
)
def test_what_nobody_sees_says_nothing_of_a_name(around: str) -> None:
    assert is_made_purchase(f"{around}Order{around}Paid{around}")
    assert is_refund(f"order{around}refunded{around}")


@pytest.mark.parametrize(
    "name",
    [
        "order.created",
        "orders/create",
        "charge.succeeded",
        "payment_intent.succeeded",
        "PAYMENT.CAPTURE.COMPLETED",
        "woocommerce_payment_complete",
        "order_placed",
    ],
)
def test_what_may_be_a_purchase_is_counted_as_none(name: str) -> None:
    assert may_be_purchase(name)
    assert not is_made_purchase(name)


def test_what_is_no_purchase_is_not_asked_about() -> None:
    assert not any(map(may_be_purchase, ("Lead", "Refund", "charge.refunded", "AddToCart", "order_cancelled")))


def test_purchases_come_before_what_comes_more_often() -> None:
    names = {"PageView": 900, "video_played": 50, "Lead": 7, "Purchase": 1, "AddToCart": 90, "order_placed": 2}
    assert most_wanted(names, 4) == ["order_placed", "Purchase", "video_played", "Lead"]
    assert most_wanted(names, 6)[-2:] == ["PageView", "AddToCart"]


@pytest.mark.parametrize(
    "name",
    [
        "Refund",
        "refund",
        "Refund ",
        "REFUNDED",
        "order_refunded",
        "Order Refunded",
        "refunds/create",
        "order.refunded",
        "charge.refunded",
        "charge_refunded",
        "PAYMENT.CAPTURE.REFUNDED",
        "payment_capture_refunded",
        "woocommerce_order_refunded",
        "woocommerce-order-refunded",
    ],
)
def test_a_refund_is_one_however_a_shop_writes_it(name: str) -> None:
    assert is_refund(name)


@pytest.mark.parametrize(
    "name",
    [
        "Refund",
        "charge.refunded",
        "store/order/refund/created",
        "state_enter.order_transaction.state.refunded",
        "state_enter.order_transaction.state.refunded_partially",
        "sales_order_creditmemo_save_after",
        "Credit Memo",
        "Refunded Order",
        "order_partially_refunded",
        "orderpartiallyrefunded",
        "Partial Refund",
        "RefundCompleted",
        "refund.succeeded",
        "charge.refund.updated",
        "customer_refunded",
        "PAYMENT.CAPTURE.REVERSED",
        "charge.dispute.created",
        "Chargeback",
        "Returned Order",
        "orders/returned",
        "order_item_returned",
        "paymentReversed",
        "ChargeDisputeCreated",
        "orderItemReturned",
        "returnedOrder",
        "creditMemoCreated",
        "chargeBack",
        "Rückerstattung",
        "Remboursement",
        "refund_申請",
        "Retoure",
        "Retouren angemeldet",
        "Rückgabe",
        "Ru\u0308ckgabe",
        "Devolución",
        "Devolução",
        "credit_note.created",
        "CreditNoteCreated",
        "state_enter.order_delivery.state.returned",
        "state_enter.order_delivery.state.returned_partially",
        "state_enter.order_transaction.state.cancelled",
        "returns/approve",
        "return_requested",
        "Storniert",
        "Bestellstornierung",
        "Order Voided",
        "payment_void",
        "orders/cancelled",
        "order_canceled",
        "Cancelled Order",
        "item_returned_to_store",
        "parcel_returned_to_sender",
        "reembolso",
        "Contra reembolso reembolsado",
        "Teilerstattung",
        "Commande remboursée",
        "Commande rembourse\u0301e",
        "REMBOURSÉ",
        "Bestellung erstattet",
        "Rückerstattet",
        "Rueckerstattet",
        "Ordine stornato",
        "Pedido estornado",
        "Bestelling terugbetaald",
        "Order Cancellation",
        "order_cancellation_requested",
        "Cancellation of order",
        "Commande annulée",
        "Ordine annullato",
        "Pedido cancelado",
        "Bestelling geannuleerd",
        "Refund Estimated",
        "Order Return Created",
        "Sales Return Processed",
        "shopify/returns/close",
        "ebay.return.created",
        "RMA Return Approved",
        "Order Confirmed Cancelled",
        "Demo Order Refunded",
        "Quote Order Cancelled",
        "Recovery Order Refunded",
        "Pedido anulado",
        "Bestellung retourniert",
        "Commande retournée",
        "Refund Item Not Received",
        "Refund Without Return",
        "Refund - No Return Needed",
        "Order Cancelled - Not Paid",
        "Order Cancelled No Stock",
        "Order Free Shipping Cancelled",
        "Free Order Returned",
        "Order Returned Not As Described",
        "Bestellung storniert - nicht bezahlt",
        "Pedido cancelado sin pago",
        "Commande annulée sans frais",
        "Un remboursement",
        "Insurance Refund",
        "Travel Insurance Refund",
        "PayPal Buyer Protection Refund",
        "eBay Money Back Guarantee Refund",
        "Refund Protection Refunded",
        "Order Cancelled Insurance",
        "Product Page Refund",
        "Storno Versicherung",
        "order_cancel_after",
        "sales_order_cancel_after",
        "woocommerce_order_status_on-hold_to_cancelled",
        "cancel_order",
        "CancelOrder",
        "void_order",
        "Void Payment",
        "Returned",
        "Cancelled",
        "Pedido devuelto",
        "Pedido devolvido",
        "Ordine reso",
        "Zamówienie anulowane",
        "Återbetalning",
        "Tilbagebetaling",
        "返金",
        "退款",
        "возврат",
        "Recovered Order Cancelled",
        "Order Reversed",
        "PurchaseReversal",
        "PurchaseVoided",
        "Bestellung kostenlos storniert",
        "Kostenlose Stornierung bestätigt",
        "Kostenlose Retoure eingegangen",
        "free refund issued",
        "Free Return Received",
        "Easy Return Completed",
        "Pedido cancelado gratis",
        "Ordine annullato gratuitamente",
        "Annulation de commande",
        "Annulation gratuite de la commande annulée",
        "Cancelación del pedido",
        "Annullamento ordine",
        "Annulering van bestelling",
        "Zwrot zamówienia",
        "Заказ отменён",
        "Отмена заказа",
        "注文キャンセル",
        "注文をキャンセル",
        "订单取消",
        "取消订单",
        "주문 취소",
        "キャンセル",
        "환불 완료",
        "免费退款成功",
        "订单免费退款成功",
        "免费退货完成",
        "免費退貨成功",
        "无忧退款成功",
        "免费试用退款",
        "无料返金",
        "無料返品完了",
        "注文 無料返品完了",
        "返品送料無料完了",
        "無料返金済み",
        "送料無料返金",
        "注文 送料無料返金",
        "무료 환불 완료",
        "주문 무료 환불 완료",
        "认可退款",
        "许可退款",
        "返品許可",
        "可退款已退款",
        "退款政策变更后退款",
        "退款不可抗力",
        "退款完成 免费",
        "未发货退款",
        "不退货仅退款",
        "未支付订单取消",
        "订单已取消",
        "购买取消",
        "購入キャンセル",
        "결제 취소",
        "注文がキャンセルされました",
        "주문이 취소되었습니다",
        "Bestellung storniert Garantie",
        "Возвращён",
        "Заказ возвращён",
        "Возвращение товара",
        "Деньги возвращены",
        "Бесплатный возврат средств",
        "Заказ бесплатно отменён",
        "Anulacja zamówienia",
        "Zamówienie zwrócono",
        "Pengar tillbaka",
        "lineitem_returned",
        "Zwrot pieniędzy",
        "Zwrot towaru",
        "Zakup anulowany",
        "Order annullerad",
        "Beställning annullerad",
        "Reservation annullerad",
        "Reserva cancelada",
        "Venta anulada",
        "Prenotazione annullata",
        "Reso ricevuto",
        "Boeking geannuleerd",
        "Annulering",
        "Annulation",
        "Cancelación",
        "Vente annulée",
        "Produit retourné",
        "Rücksendung eingegangen",
        "Rückzahlung",
        "Buchung annulliert",
        "Бронирование отменено",
        "Booking Cancelled",
        "Sale Cancelled",
        "予約キャンセル",
        "払い戻し",
        "예약취소",
        "预订取消",
        "退费",
        "Retour reçu",
        "Artikel geretourneerd",
        "Отменён",
        "Аннулирование заказа",
        "Köp makulerat",
        "취소완료",
        "已取消",
        "予約がキャンセルされました",
    ],
)
def test_what_has_a_word_for_a_refund_may_be_one(name: str) -> None:
    assert may_be_refund(name)


@pytest.mark.parametrize(
    "name",
    [
        "Purchase",
        "Lead",
        "RefundPolicyViewed",
        "refund_policy",
        "refundpolicyviewed",
        "NonRefundable",
        "non_refundable_booking",
        "Refund Page",
        "RefundPageOpened",
        "purchaseByReturnedCustomer",
        "refund_button_click",
        "no_refund",
        "Prefunded",
        "RefundProtectionPurchased",
        "Chargeback Insurance Sold",
        "ReturningCustomerPurchase",
        "Returned Customer Purchase",
        "purchase_by_returned_customer",
        "returned_visitor",
        "order_sort_reversed_list",
        "Gutschein",
        "Pedido contra reembolso",
        "contra_reembolso",
        "PagoContrareembolso",
        "Commande contre-remboursement",
        "Berichterstattung Abo",
        "purchase_return_visit",
        "item_returned_to_wishlist",
        "ItemReturnedToWishList",
        "return_order_form",
        "return_to_cart",
        "tax_refund_estimate",
        "Rückgaberecht",
        "Política de devoluciones",
        "Trastorno",
        "avoid_payment_fees",
        "subscription_cancelled",
        "Tax Return Completed",
        "tax_return_created",
        "VAT Return Processed",
        "Tax Return Accepted",
        "Returns - Request Demo",
        "Cancelled Order Recovered",
        "Order cancelled and reactivated",
        "Order Un-Cancelled",
        "Uncancelled Order",
        "Un-cancelled Order",
        "Order Placed (Free Returns)",
        "Order Placed - Free Cancellation",
        "Purchase with easy returns",
        "Free Returns Order",
        "Product Sold - Returns Accepted",
        "Order Including Free Return",
        "Federal Return Accepted",
        "Purchase Return Flight",
        "return_ticket_purchased",
        "Bericht erstattet",
        "Stornoway Ferry Booking",
        "Billet remboursable acheté",
        "Tarifa no reembolsable",
        "Hotel kostenlos stornierbar",
        "Pedido cancelable",
        "trastornado",
        "Recovered Cancelled Order",
        "Reinstated cancelled order",
        "self_assessment_return_completed",
        "Tax Return Purchase",
        "Stornokosten Versicherung",
        "Stornofrei bestellt",
        "Retourenlabel gekauft",
        "Order Return Label Purchased",
        "Order Cancellation Insurance",
        "Commande avec assurance annulation",
        "Compra con seguro de cancelación",
        "Pedido con cancelación gratuita",
        "Order - Cancel Anytime",
        "Order Placed (cancel within 14 days)",
        "cancel_order_form",
        "返金不可",
        "返品無料",
        "購入 返金保証",
        "购买 退货保证",
        "退款保障 购买",
        "无忧退货 购买",
        "可退款 购买",
        "환불보증 구매",
        "구매 (무료 반품)",
        "注文 (キャンセル無料)",
        "Rückgabegarantie Kauf",
        "Kauf mit Rückgabe-Garantie",
        "Achat garantie remboursement",
        "Покупка с гарантией возврата",
        "Покупка без возврата",
        "Заказ с бесплатной отменой",
        "Zamówienie z gwarancją zwrotu",
        "Zwrot gratis - zakup",
        "Buchung mit kostenloser Stornierung",
        "Order Void Fill",
        "Order Void Protection",
        "Payment Dispute Protection Purchased",
        "Purchase Reversal Insurance",
        "Rückerstattungspolitik akzeptiert",
        "Tilbagebetalingspolitik accepteret",
        "Terugbetalingsbeleid geaccepteerd",
        "Compra con derecho a devolución",
        "Zamówienie z prawem zwrotu",
        "Zamówienie bez prawa zwrotu",
        "Zamówienie z bezpłatnym zwrotem",
        "Zamówienie opakowania zwrotnego",
        "Заказ без права отмены",
        "Заказ со страховкой от отмены",
        "Отменная покупка",
        "Заказ отменного качества",
        "Возвращение клиента",
        "Клиент возвращён",
        "Ordine annullabile",
        "Commande annulable",
        "Bestellung annullierbar",
        "可退款",
        "订单无法取消",
        "可取消购买",
        "预订 免费退款",
        "商品可退款 购买",
        "不支持退款 购买",
        "7天无理由退货 购买",
        "退货运费险 购买",
        "订单取消险购买",
        "注文（キャンセル保険付き）",
        "注文 キャンセル料無料",
        "注文（返品送料無料）",
        "送料無料返品 購入",
        "購入（返品可能）",
        "주문 취소 보험 구매",
        "주문 취소 수수료 무료",
        "환불 가능 구매",
        "Невозвратный билет куплен",
        "Återbetalningsbar biljett köpt",
        "Kauf erstattungsfähig",
        "Stornierungsversicherung gekauft",
        "Bestelling met annuleringsverzekering",
        "Ordre annulleringsforsikring",
        "返品無料の注文",
        "返品送料無料の注文",
        "可免费取消的订单",
        "Purchase Refund Cover",
        "Acquisto soddisfatti o rimborsati",
        "Commande satisfait ou remboursé",
        "Ordine con reso incluso",
        "Tax Refund Lead",
        "Steuererstattung Lead",
        "Заказ (можно отменить)",
        "Commande annulation possible",
        "Acquisto con reso facile",
        "購入ノイズキャンセルヘッドホン",
        "Retourenmanagement Lead",
        "Return On Investment Lead",
        "Réservation vol retour",
        "payment_return",
        "Tax Software Return Filed",
        "Ecommerce Returns Management Demo",
        "Аренда просторной квартиры",
        "일반품 주문",
    ],
)
def test_what_only_speaks_of_refunds_is_none(name: str) -> None:
    assert not may_be_refund(name)


@pytest.mark.parametrize(
    "words",
    [
        "no refund",
        "never returned",
        "without a refund",
        "ohne Retoure",
        "keine Rückgabe",
        "sans remboursement",
        "pas de retour",
        "sin devolución",
        "sem devolução",
        "não reembolsado",
        "senza rimborso",
        "zonder retouren",
        "utan återbetalning",
        "bez zwrotu",
        "без возврата",
        "refund policy",
        "refund protection",
        "refund page viewed",
    ],
)
def test_what_is_denied_or_only_spoken_of_takes_nothing_back_and_acquits_no_other_word(words: str) -> None:
    assert not may_be_refund(f"Order with {words}")
    assert not may_be_refund(words)
    assert may_be_refund(f"Refund with {words}")
    assert may_be_refund(f"Order cancelled, {words}")
    assert may_be_refund(f"{words}: order cancelled")


@pytest.mark.parametrize(
    "words",
    [
        "free returns",
        "free refund",
        "easy cancellation",
        "mit kostenloser Stornierung",
        "kostenlos stornieren",
        "kostenlose Retouren",
        "remboursement gratuit",
        "devolución gratis",
        "gratis devoluciones",
        "rimborso gratuito",
        "darmowy zwrot",
        "бесплатный возврат",
    ],
)
@pytest.mark.parametrize(
    "sale",
    "Order|Purchase|Hotel booking|Bestellung|Kauf|Commande|Achat|Pedido|Compra|Ordine|Bestelling|Zamówienie|Заказ".split(
        "|"
    ),
)
def test_what_is_free_is_promised_with_a_sale_and_was_done_without_one(words: str, sale: str) -> None:
    assert not may_be_refund(f"{sale} - {words}")
    assert not may_be_refund(f"{words} - {sale}")
    assert may_be_refund(f"Refund - {words}")
    assert may_be_refund(f"{sale} refunded - {words}")


@pytest.mark.parametrize(
    "words",
    ["free refund", "kostenlose Stornierung", "kostenlose Retouren", "remboursement gratuit", "devolución gratis"],
)
def test_what_is_free_without_a_sale_may_have_been_given_back(words: str) -> None:
    assert may_be_refund(words)
    assert may_be_refund(f"{words}: 12345")


# Of each language: a sale, it taken back, what comes back for nothing in each form of the words, and what is refused in each.
_FORMS = {
    "English": (
        "Order",
        "Order returned",
        "free {}",
        "no {}",
        "return|returns|refund|refunds|cancellation|cancellations",
    ),
    "German": (
        "Bestellung",
        "Bestellung storniert",
        "{} kostenlos",
        "ohne {}",
        "Retoure|Retouren|Rückgabe|Erstattung|Stornierungen",
    ),
    "French": ("Commande", "Commande annulée", "{} gratuit", "sans {}", "remboursement|remboursements|annulation"),
    "Spanish": (
        "Pedido",
        "Pedido devuelto",
        "{} gratis",
        "sin {}",
        "devolución|devoluciones|reembolso|anulación|cancelación",
    ),
    "Italian": ("Ordine", "Ordine annullato", "{} gratuito", "senza {}", "rimborso|rimborsi|annullamento"),
    "Dutch": ("Bestelling", "Bestelling geannuleerd", "gratis {}", "zonder {}", "terugbetaling|retouren|annulering"),
    "Polish": (
        "Zamówienie",
        "Zamówienie zwrócone",
        "darmowy {}",
        "bez {}",
        "zwrot|zwrotu|zwrotem|zwroty|zwrotów|anulowanie|anulowaniem",
    ),
    "Polish of it": ("Zamówienia", "Zwrot zamówienia", "bezpłatnego {}", "bez {}", "zwrotu|anulowania|anulacji"),
    "Polish with it": ("Zamówieniem", "Anulowanie zamówienia", "z darmowym {}", "bez {}", "zwrotem|anulowaniem"),
    "Polish of many": ("Zamówień zakup", "Zamówienie anulowane", "darmowych {}", "bez {}", "zwrotów|anulowań"),
    "Russian": (
        "Заказ",
        "Заказ отменён",
        "бесплатно: {}",
        "без {}",
        "возврат|возврата|возвраты|отмена|отмены|отмену|отменой",
    ),
    "Russian with it": ("Покупкой", "Отмена покупки", "с бесплатным {}", "без {}", "возвратом|отменой|возвратами"),
    "Chinese": ("购买", "订单退款", "免费{}", "不{}", "退款|退货|退貨"),
    "Japanese": ("購入", "注文返品", "無料{}", "{}なし", "返金|返品"),
    "Korean": ("구매", "주문 환불", "무료 {}", "{} 없음", "환불|반품"),
}


@pytest.mark.parametrize(
    ("sale", "taken_back", "free", "refused", "word"),
    [(*said, word) for *said, words in _FORMS.values() for word in words.split("|")],
)
def test_what_a_sale_promises_takes_it_back_in_no_language_and_no_form(
    sale: str, taken_back: str, free: str, refused: str, word: str
) -> None:
    for promise in (free.format(word), refused.format(word)):
        assert not may_be_refund(f"{sale} - {promise}")
        assert not may_be_refund(f"{promise} - {sale}")
        assert may_be_refund(f"{taken_back} - {promise}")
        assert may_be_refund(f"{promise} - {taken_back}")


@pytest.mark.parametrize(
    ("kept", "word"),
    [
        (kept, word)
        for words, keeps in [
            (
                "Refund|Return|Cancellation|Reversal|Dispute|Void|Chargeback",
                "{} Protection|{} Insurance|{} Policy|{} Guarantee",
            ),
            ("Rückerstattungs|Stornierungs|Retouren", "{}garantie|{}politik|{}richtlinie"),
            ("remboursement|annulation", "garantie de {}|assurance {}|politique de {}|droit de {}"),
            ("zwrotu|anulowania", "gwarancja {}|prawo {}|polityka {}|bez prawa {}"),
            ("возврата|отмены", "гарантия {}|право {}|правила {}|без права {}"),
            ("退款|退货|订单取消", "{}险|{}保险|{}保障|{}政策"),
            ("返金|返品|注文キャンセル", "{}保証|{}保険|{}ポリシー|{}不可"),
            ("환불|반품|주문 취소", "{}보증|{} 보험|{} 정책|{} 불가"),
        ]
        for word in words.split("|")
        for kept in keeps.split("|")
    ],
)
def test_what_insures_or_rules_a_return_is_none_in_any_language(kept: str, word: str) -> None:
    for sale in ("Order", "Payment", "Заказ", "购买", "購入", "구매"):
        assert not may_be_refund(f"{sale} - {kept.format(word)}")
        assert not may_be_refund(f"{kept.format(word)} - {sale}")
        assert may_be_refund(f"{kept.format(word)} - {sale} refunded")


@pytest.mark.parametrize("word", "退款|退货|返金|返品|환불|반품".split("|"))
@pytest.mark.parametrize("free", "免费|無料|무료 |送料無料".split("|"))
@pytest.mark.parametrize("done", "|完成|成功|完了|済み| 완료".split("|"))
def test_what_is_free_where_no_blank_parts_words_was_done_without_a_sale(word: str, free: str, done: str) -> None:
    assert may_be_refund(f"{free}{word}{done}")
    if done:
        assert may_be_refund(f"订单{free}{word}{done}")


@pytest.mark.parametrize("name", ["Purchase", "RefundRequested", "Prefund", "NoRefund", "Return"])
def test_what_only_sounds_like_a_refund_is_none(name: str) -> None:
    assert not is_refund(name)


def test_a_name_that_the_merchant_mapped_is_no_refund_but_for_the_one_of_the_data_model() -> None:
    own = {"refund": "ol1aa", "Refund": "ol2aa"}
    assert not is_refund("refund", own)
    assert is_refund("Refund", own)
    assert is_refund("order_refunded", own)
