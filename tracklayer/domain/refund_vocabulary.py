"""The words that tell refunds from sales in the names of events, language by language. What is made of them: ``refund_words.py``.

To add a language, copy the entry of one that is like it and fill every column. Words are written as people write them, accents and
all, in lower case, with a blank between two:

    order(s)        order and orders
    заказ(а/ы)      заказ, заказа and заказы
    annul-          each word that begins so
    -bar            what ends so
    aller_retour    two words beside each other

Give each form that shops write: one and many, he and she, with and of it. A column is empty only where the language says it in
another; ``tests/domain/test_refund_words.py`` lists those, puts each word of each column beside the others in both orders, and prints
the names that are taken for what they are not.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    # What is cancelled, or given back: orders, purchases, sales. What is only cancelled: bookings, for a way back is booked, too, and
    # payments, where one word is for what comes back and for who comes back from paying.
    orders: str
    bookings: str
    # What is given back.
    money: str
    goods: str
    # What says it wherever it stands, within another word too; what says it beside one of the above, or alone.
    refunds: str
    cancels: str
    returns: str
    # Ends of words for what was done, as in cancelled; words that a sale was made.
    done: str
    sold: str
    # What can be had back: ends right behind a word for it, as in refundable, and words behind it; words in front.
    able: str
    able_before: str
    # What is denied: words in front, and behind.
    denies: str
    denied: str
    # What costs nothing, or comes with it: beside it.
    free: str
    # Guarantees, insurances, rules, rights: behind it or as its end, only as its end (``-x``), and in front.
    covers: str
    covers_before: str
    # Whole promises, and words that only look like one.
    promises: str
    unlike: str
    # Behind these stands what a sale comes with; the small words between two others, or behind one where no blank parts them.
    comes_with: str
    particles: str


LANGUAGES = {
    "English": Words(
        orders="order(s) purchase(s) sale(s)",
        bookings="booking(s) reservation(s) payment(s) transaction(s)",
        money="money",
        goods="item(s) lineitem(s) product(s) good(s) parcel(s) package(s) shipment(s)",
        refunds="refund credit(_)memo credit(_)note charge(_)back money(_)back",
        cancels="cancel cancel(l)ed cancel(l)ation(s)",
        returns="return(s) returned",
        done="ed",
        sold="purchased bought sold booked checkout paid",
        able="-able -ability",
        able_before="",
        denies="no non not never without",
        denied="",
        free="free easy",
        covers="policy policies guarantee protect- insurance cover coverage",
        covers_before="",
        promises="cancel_any(_)time cancel_within cancel_until satisfied_or_refunded un_cancel-",
        unlike="prefund- tax_return(s) vat_return(s) gst_return(s) federal_return(s) assessment_return(s)",
        comes_with="with including placed sold bought of",
        particles="a an any the be been yet of",
    ),
    "German": Words(
        orders="bestellung(en) auftrag kauf verkauf",
        bookings="buchung(en) reservierung(en) zahlung(en)",
        money="geld betrag",
        goods="ware(n) artikel produkt(e) paket(e)",
        refunds="erstattet erstattung gutschrift retoure(n) retouren retournier rückgabe rücksendung rückzahlung rückbuchung rücklastschrift storno stornier geld(_)zurück",
        cancels="annul- widerruf(en) kaufwiderruf abgesagt absage(n)",
        returns="retour zurückgegeben zurückgesendet zurückgeschickt",
        done="iert- erstattet eingegangen erhalten",
        sold="gekauft bestellt gebucht bezahlt",
        able="-bar -lierbar -fähig -sfähig möglich",
        able_before="",
        denies="ohne kein- nicht nie",
        denied="",
        free="kostenlos- kostenfrei- gratis einfach- inklusive",
        covers="garantie politik richtlinie bedingung -nbedingung -recht -nrecht -srecht -frist -nfrist -sbelehrung -richt -frei -schutz -versicherung -kosten(_)versicherung",
        covers_before="recht",
        promises="zufrieden_oder_geld_zurück",
        unlike="bericht(_)erstatt- anzeige_erstatt- stornoway",
        comes_with="mit",
        particles="der des die das von vom auf",
    ),
    "French": Words(
        orders="commande(s) achat(s) vente(s)",
        bookings="réservation(s) paiement(s)",
        money="argent montant",
        goods="produit(s) article(s) colis marchandise(s)",
        refunds="rembours note_de_crédit",
        cancels="annul-",
        returns="retour(s) retourn-",
        done="ulé(e)(s) oursé(e)(s) ourné(e)(s) reçu(e)(s) accepté(e)(s) effectué(e)(s)",
        sold="acheté(e)(s) payé(e)(s) réservé(e)(s)",
        able="-able possible",
        able_before="",
        denies="sans pas non aucun(e)",
        denied="",
        free="gratuit(e)(s) facile(s) inclus(e)(s)",
        covers="garanti(e)(s)",
        covers_before="garantie assurance politique droit option",
        promises="satisfait(e)(s)_ou_remboursé(e)(s)",
        unlike="contre(_)remboursement aller(_)retour vol_retour billet_retour ticket_retour train_retour",
        comes_with="avec",
        particles="de du des d la le les l un une",
    ),
    "Spanish and Portuguese": Words(
        orders="pedido(s) orden compra(s) encomenda(s) venta(s) venda(s) pago(s) pagamento(s)",
        bookings="reserva(s)",
        money="dinero dinheiro importe",
        goods="producto(s) produto(s) artículo(s) artigo(s) mercancía mercadoria",
        refunds="reembols devoluc devolvid devuel stornad stornat estorno contracargo nota_de_crédito",
        cancels="anulado(s) anulada(s) anulación anulaciones anulação anulações anular cancelado(s) cancelada(s) cancelación cancelaciones cancelamento(s) cancelar",
        returns="restituido(s) restituida(s)",
        done="ado(s) ada(s) ido(s) ida(s) uelto(s) uelta(s)",
        sold="comprado(s) comprada(s) pagado(s) pagada(s) reservado(s) reservada(s)",
        able="-able(s) -ável posible possível",
        able_before="",
        denies="sin sem não no",
        denied="",
        free="gratis gratuito(s) gratuita(s) fácil fáceis incluido(s) incluida(s)",
        covers="garantizad- garantid-",
        covers_before="garantía garantizad- seguro política derecho direito opción opção",
        promises="satisfacción_o_devolución satisfação_ou_devolução",
        unlike="contra(_)reembolso(s) trastorn- cancelación_de_ruido cancelación_ruido cancelamento_de_ruído cancelamento_ruído",
        comes_with="con com",
        particles="de del do da dos das la el los las a al",
    ),
    "Italian": Words(
        orders="ordine ordini acquisto acquisti vendita vendite pagamento pagamenti",
        bookings="prenotazione prenotazioni",
        money="denaro soldi importo",
        goods="prodotto prodotti articolo articoli merce",
        refunds="rimbors nota_di_credito nota_credito",
        cancels="annul- cancellato cancellata cancellati cancellate cancellazione cancellazioni",
        returns="reso resi restituito restituita restituiti restituite",
        done="ato ata ati ate ricevuto ricevuta ricevuti ricevute",
        sold="acquistato acquistata pagato pagata prenotato prenotata",
        able="-abil- -labil- possibile",
        able_before="",
        denies="senza non",
        denied="",
        free="gratis gratuit- facile facili incluso inclusa inclusi incluse",
        covers="garantit-",
        covers_before="garanzia assicurazione politica diritto opzione",
        promises="soddisfatti_o_rimborsati soddisfatto_o_rimborsato",
        unlike="cancellazione_del_rumore cancellazione_rumore",
        comes_with="con",
        particles="di del della dell dei il lo la l al un",
    ),
    "Dutch": Words(
        orders="bestelling(en) aankoop aankopen verkoop",
        bookings="boeking(en) reservering(en) betaling(en)",
        money="geld bedrag",
        goods="artikel(en) product(en) pakket goederen",
        refunds="terugbeta terugboek geld(_)terug creditnota creditfactuur",
        cancels="annul- geannul-",
        returns="retour retourzending(en) geretourneerd(e) teruggestuurd(e) retourgestuurd(e)",
        done="eerd(e) aald(e) ontvangen aangemeld",
        sold="gekocht besteld betaald geboekt",
        able="-albaar -leerbaar -eerbaar mogelijk",
        able_before="",
        denies="zonder geen niet",
        denied="",
        free="gratis kosteloos kosteloze eenvoudig inbegrepen",
        covers="garantie beleid -verzekering -srecht",
        covers_before="recht",
        promises="niet_goed_geld_terug",
        unlike="",
        comes_with="met",
        particles="van de het een op",
    ),
    "Scandinavian": Words(
        orders="ordre(n) ordern beställning(en/ar) bestilling(en/er) köp(et) kjøp(et) køb(et)",
        bookings="bokning(en) reservation(en) reservasjon(en) betalning(en) betaling(en)",
        money="pengar(na) penge(ne) penger belopp beløb",
        goods="vara varan varor vare varen varer produkt(en) paket pakke",
        refunds="återbetal tilbagebetal tilbakebetal pengar(na)_tillbaka penge(ne)_tilbage pengene_tilbake kreditnota refusjon",
        cancels="annul- makuler- kanseller- avbokad avbokning avbestill- avbruten avbrutet",
        returns="retur returen returnerad returnerat returneret returnert",
        done="eret ert erad mottagen modtaget mottatt",
        sold="köpt købt kjøpt betald betalt beställd bestilt bokad",
        able="-bar -ningsbar -lerbar möjlig mulig",
        able_before="",
        denies="utan uden uten ej inte ikke",
        denied="",
        free="gratis fri fria fritt kostnadsfri- enkel inkluderad",
        covers="garanti politik -skydd -sskydd -försäkring -sförsäkring -forsikring -beskyttelse",
        covers_before="rätt rett",
        promises="nöjd_eller_pengarna_tillbaka",
        unlike="tur(_)retur tur_och_retur tur_og_retur retur_biljett(er) retur_billet(ter) returbiljett(er) returbillet(ter)",
        comes_with="med",
        particles="av af till til den det",
    ),
    "Polish": Words(
        orders="zamówieni(e/a/u) zamówieniem zamówień zakup(u/y) zakupem zakupów płatność płatności sprzedaż sprzedaży",
        bookings="rezerwacja rezerwacji rezerwację rezerwacje",
        money="pieniędzy pieniądze środków środki kwoty kwota",
        goods="towar(u/y) towarów produkt(u/y) produktów przesyłka przesyłki",
        refunds="nota_kredytowa",
        cancels="anulowan- anulacj-",
        returns="zwrot(u/y) zwrotem zwrotów zwrotami zwróc-",
        done="owano owana owane owany cono cona cone cony przyjęty",
        sold="kupion- opłacon- zarezerwowan-",
        able="możliwy możliwa możliwe",
        able_before="można",
        denies="bez nie",
        denied="",
        free="darmow- bezpłatn- gratis łatw-",
        covers="gwarantowan-",
        covers_before="gwarancj- prawa prawo prawem polityk- ubezpieczeni- możliwość",
        promises="dni_na_zwrot",
        unlike="",
        comes_with="z ze",
        particles="od do na za",
    ),
    "Russian": Words(
        orders="заказ(а/е/у/ы) заказов заказом покупк(а/е/и/у) покупкой продажа продажи платёж платежа оплата оплаты",
        bookings="бронь брони бронирование бронирования",
        money="деньги денег средства средств",
        goods="товар(а/ы) товаров посылка посылки",
        refunds="возврат сторно",
        cancels="отмен- аннулир-",
        returns="возвращен(а/о/ы) возвращение возвращения возвращённ-",
        done="енен(а/о/ы) енённ- щен(а/о/ы) щённ- оформлен(а) получен(а) принят(а)",
        sold="куплен(а/о/ы) купен(а/о/ы) оплачен(а/о/ы)",
        able="-н- возможен возможна возможно",
        able_before="можно",
        denies="без не",
        denied="невозможен невозможна",
        free="бесплатн- лёгк-",
        covers="гарантирован-",
        covers_before="гаранти- права праве право правом правила политик- страхов- услови- возможность",
        promises="дней_на_возврат",
        unlike="просторн-",
        comes_with="с со",
        particles="на от в за",
    ),
    "Chinese": Words(
        orders="订单 訂單 购买 購買 下单 下單 支付 付款 交易",
        bookings="预订 預訂 预定 預定 预约 預約",
        money="货款 貨款 钱款 金额 金額",
        goods="商品 货物 貨物 产品 產品",
        refunds="退款 退金 退品 退货 退貨 退费 退費 退单 退單",
        cancels="取消 撤销 撤銷 撤单 撤單",
        returns="退回 退还 退還",
        done="完成 完毕 完畢 成功 通过 通過 批准 申请 申請 了",
        sold="已购 已購 成交",
        able="",
        able_before="支持 可以 可",
        denies="不支持 无法 無法 不可 不能 不 未 无 無",
        denied="",
        free="免费 免費 无料 无忧 無憂 无理由 無理由",
        covers="保证 保證 保障 保险 保險 运费险 運費險 险 險 政策 免费 免費",
        covers_before="",
        promises="包退款 包退货 包退貨",
        unlike="认可 認可 许可 許可 不可抗力",
        comes_with="含",
        particles="的 已 被",
    ),
    "Japanese": Words(
        orders="注文 購入 決済 支払い 支払 売上",
        bookings="予約",
        money="代金",
        goods="商品 品物",
        # With free shipping (送料無料) a return is free, but no refund is.
        refunds="返金 返品 払い戻し 払い戻 払戻し 払戻 送料無料返金",
        cancels="キャンセル 取消 取り消 取り消し",
        returns="返送",
        done="完了 済み 済 しました ました されました された 申請 成功",
        sold="買い上げ",
        able="可能 可",
        able_before="",
        denies="",
        denied="不可 なし 待ち",
        free="無料 送料無料 料無料",
        covers="保証 保険 ポリシー 政策 無料 送料無料 料無料",
        covers_before="",
        promises="返品自由",
        unlike="許可 不可避 ノイズキャンセル ノイズキャンセリング",
        comes_with="",
        particles="の が を は に な",
    ),
    "Korean": Words(
        orders="주문 구매 결제 구입 매출",
        bookings="예약",
        money="대금 금액",
        goods="상품 제품 물품",
        refunds="환불 반품",
        cancels="취소 철회",
        returns="반송",
        done="완료 승인 신청 처리 접수 됨 되었습니다 했습니다",
        sold="구매함",
        able="가능",
        able_before="",
        denies="",
        denied="불가 없음 없이",
        free="무료 수수료(_)무료",
        covers="보증 보장 정책 보험 무료 수수료(_)무료",
        covers_before="",
        promises="안심환불",
        unlike="노이즈(_)취소 일반품",
        comes_with="",
        particles="을 를 의 이 가 은 는",
    ),
}
WITHOUT_BLANKS = ("Chinese", "Japanese", "Korean")
