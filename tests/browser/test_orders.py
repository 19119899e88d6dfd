"""Where is order 4711? Found by its id, explained, sent again; and whatever others wrote of it stays text."""

from __future__ import annotations

import re
from urllib.parse import unquote

from playwright.sync_api import Dialog, Page, Route, expect

from tests.browser.installation import Installation, Shop

HOSTILE_ID = "4711/<img src=x onerror=alert(1)>\"'"
HOSTILE_NAME = "<script>alert(2)</script>"
HOSTILE_WORDS = "<img src=x onerror=alert(3)>"


def test_an_order_is_found_by_its_id(page: Page, shop: Shop) -> None:
    shop.send("order-4710", "order-4711", "order-4712")
    page.goto("/events")
    search = page.get_by_label("Event id begins with")
    search.fill("order-471")
    expect(page.get_by_role("link", name=re.compile("^order-471"))).to_have_text(
        ["order-4712", "order-4711", "order-4710"]
    )
    expect(page).to_have_url(re.compile(r"/events\?id=order-471$"))
    search.fill("order-4711")
    search.press("Enter")
    expect(page).to_have_url(re.compile("/events/order-4711$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("order-4711")
    expect(page.get_by_role("article", name="Meta")).to_contain_text("Delivered")


def test_an_order_that_never_came_is_told_as_such(page: Page) -> None:
    page.goto("/events/order-of-nobody")
    expect(page.get_by_role("heading", level=1)).to_have_text("order-of-nobody")
    expect(page.get_by_role("heading", level=2)).to_contain_text(re.compile("no .*event", re.IGNORECASE))


def test_a_refused_delivery_is_explained_and_sent_again(page: Page, shop: Shop, installed: Installation) -> None:
    installed.fault("meta", "refuse", event_ids=["refused-once"])
    shop.send("refused-once")
    shop.wait_for("refused-once", "META", "FAILED")
    page.goto("/deliveries?platform=META&status=FAILED")
    page.get_by_role("group", name="Deliveries").get_by_role("link", name="refused-once").click()
    meta = page.get_by_role("article", name="Meta")
    expect(meta).to_contain_text("Retrying")
    expect(meta).to_contain_text("A parameter is invalid.")
    expect(meta.locator("q")).to_have_text("400 data[0] is refused on request of a fault.")
    expect(meta).to_contain_text("Next:")
    assert installed.accepted("meta", "refused-once") == 0

    installed.mend()
    meta.get_by_role("button", name="Redeliver").click()
    dialog = page.get_by_role("dialog", name="Redeliver")
    expect(dialog).to_contain_text("1 delivery would be queued again")
    dialog.get_by_role("button", name="Redeliver 1").click()
    expect(dialog).to_contain_text("1 delivery is queued again.")
    dialog.get_by_role("button", name="Close").last.click()
    expect(meta).to_contain_text("Delivered")
    expect(meta.get_by_role("button", name="Redeliver")).to_have_count(0)
    assert installed.accepted("meta", "refused-once") == 1


def test_what_others_wrote_stays_text(page: Page, shop: Shop, installed: Installation) -> None:
    alerts: list[str] = []

    def hear(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", hear)
    installed.fault("meta", "refuse", event_ids=[HOSTILE_ID])
    shop.send(HOSTILE_ID, eventName=HOSTILE_NAME)
    shop.wait_for(HOSTILE_ID, "META", "FAILED")

    def speak(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("data[0] is refused", HOSTILE_WORDS))

    page.route("**/graphql", speak)
    page.goto("/events")
    row = page.get_by_role("row").filter(has_text=HOSTILE_ID)
    expect(row).to_contain_text(HOSTILE_NAME)
    row.get_by_role("link", name=HOSTILE_ID).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE_ID)
    assert unquote(page.url).endswith(f"/events/{HOSTILE_ID}")
    expect(page.get_by_role("article", name="Meta").locator("q")).to_have_text(
        f"400 {HOSTILE_WORDS} on request of a fault."
    )
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE_ID)
    page.goto("/deliveries?platform=META&status=FAILED")
    expect(page.get_by_role("main")).to_contain_text(HOSTILE_WORDS)
    assert page.locator("main img, main script, main iframe").count() == 0
    assert alerts == []
    page.unroute_all(behavior="ignoreErrors")


def test_numbers_are_as_they_were_sent(page: Page, shop: Shop) -> None:
    shop.send(
        "exact",
        customData={
            "value": "1234567.10",
            "currency": "EUR",
            "properties": {"sum": 0.1 + 0.2, "large": 12345678901234567890, "small": 0.000001},
        },
    )
    page.goto("/events/exact")
    expect(page.get_by_role("main")).to_contain_text("1,234,567.10 EUR")
    page.get_by_text("As JSON, every number as it was sent").click()
    kept = page.get_by_label("The event as it is kept")
    expect(kept).to_contain_text('"value": 1234567.10')
    expect(kept).to_contain_text('"sum": 0.30000000000000004')
    expect(kept).to_contain_text('"large": 12345678901234567890')
    page.goto("/events?id=exact")
    expect(page.get_by_role("row").filter(has_text="exact")).to_contain_text("1,234,567.10 EUR")
