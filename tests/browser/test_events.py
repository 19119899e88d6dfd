"""Events are found, and what became of one is told: in a drawing, in words, and as a call that anybody can send again."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop

BASKET = {
    "value": "1234567.90",
    "currency": "EUR",
    "orderId": "4711",
    "contents": [{"id": "sku_1", "quantity": 2, "itemPrice": "19.90", "title": "<b>Oak</b> table"}],
    "properties": {"customer_number": 9007199254740993},
}


@pytest.fixture(scope="module")
def stored(installed: Installation) -> Shop:
    """An order that Meta refuses, one of a name that most platforms have no event for, and a repeat that differs."""
    shop = installed.shop
    installed.fault("meta", "refuse", event_ids=["order_4711"])
    person = {"email": "jane@example.com", "firstName": "Jane", "clientIp": "203.0.113.42"}
    shop.send("order_4711", customData=BASKET, userData=person)
    shop.send("order_4712", "ütf/8 & <i>odd</i>?#")
    shop.wait_for("order_4711", "META", "FAILED")
    repeat = "mutation($input: IngestEventInput!) { ingestEvent(input: $input) { outcome } }"
    occurred = shop.ask('{ event(eventId: "order_4711") { occurredAt } }')["event"]["occurredAt"]
    again = {
        "eventName": "Purchase",
        "eventId": "order_4711",
        "occurredAt": occurred,
        "userData": person,
        "customData": {"value": 1},
    }
    assert shop.ask(repeat, input=again)["ingestEvent"]["outcome"] == "COALESCED"
    return shop


def test_an_order_is_found_by_the_beginning_of_its_id_and_opened_by_all_of_it(page: Page, stored: Shop) -> None:
    page.goto("/events")
    rows = page.get_by_role("row").filter(has=page.get_by_role("link"))
    expect(rows.filter(has_text="order_4711")).to_be_visible()

    page.keyboard.press("/")
    page.keyboard.type("order_471")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?id=order_471$"))
    row = rows.filter(has_text="order_4711")
    expect(row).to_contain_text("1,234,567.90 EUR")
    expect(row).to_contain_text("×2")
    expect(row).to_contain_text("email")
    expect(row).not_to_contain_text("jane@example.com")
    expect(row.locator("li").filter(has_text="Meta")).to_contain_text("Retrying")

    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("order_4711")
    page.go_back()
    expect(page.get_by_label("Event id begins with")).to_have_value("order_4711")
    expect(rows).to_have_count(1)


def test_filters_without_rows_say_how_to_widen_them(page: Page, stored: Shop) -> None:
    page.goto("/events?name=Nothing&id=zzz")
    expect(page.get_by_role("heading", name="No event fits these filters.")).to_be_visible()
    page.get_by_role("link", name="Look at every name").click()
    page.get_by_role("link", name="Look at every id").click()
    expect(page).to_have_url(re.compile(r"/events$"))
    expect(page.get_by_role("link", name="order_4712")).to_be_visible()


def test_what_comes_meanwhile_is_counted_and_moves_nothing(page: Page, stored: Shop) -> None:
    page.goto("/events?id=lead_")
    expect(page.get_by_role("heading", name="No event fits these filters.")).to_be_visible()
    stored.send("lead_1", eventName="Lead")
    expect(page.get_by_role("link", name="lead_1")).to_be_visible()  # an empty list fills by itself
    stored.send("lead_2", "lead_3", eventName="Lead")
    button = page.get_by_role("button", name="2 new events: show")
    expect(button).to_be_visible()
    expect(page.get_by_role("link", name="lead_2")).to_have_count(0)
    button.click()
    expect(page.get_by_role("link", name="lead_2")).to_be_visible()


def test_an_event_tells_what_became_of_it_and_what_to_do(page: Page, stored: Shop) -> None:
    page.goto("/events/order_4711")
    meta = page.get_by_role("article", name="Meta")
    expect(meta).to_contain_text("A parameter is invalid.")
    expect(meta).to_contain_text("In Meta's words")
    expect(meta).to_contain_text("Next:")
    expect(meta.get_by_role("link", name="What Meta takes")).to_have_attribute(
        "href", re.compile("^/docs/platforms-meta")
    )

    attempts = page.locator(".point")
    first = page.locator('.point[tabindex="0"]')
    expect(first).to_have_count(1)
    first.focus()
    page.keyboard.press("End")
    told = page.locator(".timeline-told")
    expect(told).to_contain_text("the next attempt")
    assert attempts.count() >= 10
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("group", name="Attempts", exact=True)).to_contain_text("400")

    meta.get_by_text("Today it would be sent").click()
    expect(meta.get_by_role("list", name="Rules")).to_contain_text("Event age")
    expect(meta.get_by_label("What Meta would get")).to_contain_text('"fn"')
    expect(meta.get_by_label("What Meta would get")).not_to_contain_text("ane")


def test_what_a_platform_noted_of_what_it_took_is_told(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Old version")
    shop.set_destination("meta", api_version="v20.0")
    shop.send("order_noted")
    shop.wait_for("order_noted", "META", "DELIVERED")
    page = visit(shop.key)
    page.goto("/events/order_noted")
    meta = page.get_by_role("article", name="Meta")
    said = "asked for v20.0 of the Graph API, answered by v21.0"
    expect(meta).to_contain_text("The platform took the event, and says that the version of its interface")
    expect(meta).to_contain_text(f"In Meta's words: {said}")
    expect(meta).to_contain_text("Next:")
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("group", name="Attempts", exact=True)).to_contain_text(said)
    page.goto("/destinations/meta")
    expect(page.locator("body")).to_contain_text(said)


def test_numbers_are_as_they_were_sent_and_text_is_text(page: Page, stored: Shop) -> None:
    page.goto("/events/order_4711")
    kept = page.get_by_role("region", name="What is kept")
    expect(kept).to_contain_text("1,234,567.90 EUR")
    expect(kept).to_contain_text("9007199254740993")
    expect(kept).to_contain_text("<b>Oak</b> table")
    kept.get_by_text("As JSON").click()
    text = kept.get_by_label("The event as it is kept")
    expect(text).to_contain_text('"value": 1234567.90')
    expect(text).to_contain_text('"customer_number": 9007199254740993')
    page.goto("/events/" + "%C3%BCtf%2F8%20%26%20%3Ci%3Eodd%3C%2Fi%3E%3F%23")
    expect(page.get_by_role("heading", level=1)).to_have_text("ütf/8 & <i>odd</i>?#")


def test_a_repeat_that_differed_is_told_by_its_fields(page: Page, stored: Shop) -> None:
    page.goto("/events/order_4711")
    repeats = page.get_by_role("region", name="Repeats")
    expect(repeats).to_contain_text("Received 2 times")
    expect(repeats).to_contain_text("customData.value")


def test_an_event_is_copied_as_a_command_that_can_be_run(visit: Visitors, shop: Shop, stored: Shop) -> None:
    page = visit(shop.key, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/events/order_4711")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    command: str = page.evaluate("navigator.clipboard.readText()")
    assert '"Authorization: Bearer $API_KEY"' in command
    assert shop.key not in command
    body: Any = orjson.loads(command.partition("<<'JSON'\n")[2].removesuffix("\nJSON"))
    assert '"value": 1234567.90' in command
    sent = body["variables"]["input"]
    assert "firstName" not in sent["userData"]  # it is kept sealed, and the page says that it is missing
    expect(page.get_by_role("region", name="As a call of the API")).to_contain_text("firstName")
    before = shop.ask(TIMES)["event"]["timesReceived"]
    assert shop.ask(body["query"], **body["variables"])["ingestEvent"]["outcome"] == "COALESCED"
    assert shop.ask(TIMES)["event"]["timesReceived"] == before + 1


TIMES = '{ event(eventId: "order_4711") { timesReceived } }'


def test_a_redelivery_says_first_what_would_happen(page: Page, installed: Installation, stored: Shop) -> None:
    installed.mend()
    page.goto("/events/order_4711")
    page.get_by_role("article", name="Meta").get_by_role("button", name="Redeliver").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 delivery would be queued again")
    assert installed.accepted("meta", "order_4711") == 0
    dialog.get_by_role("button", name="Redeliver 1").click()
    expect(dialog).to_contain_text("1 delivery is queued again.")
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    expect(page.get_by_role("article", name="Meta")).to_contain_text("Delivered")
    assert installed.accepted("meta", "order_4711") == 1


def test_an_id_that_is_not_there_says_what_may_be(page: Page, stored: Shop) -> None:
    page.goto("/events/order_47")
    expect(page.get_by_role("heading", name="There is no event with this id.")).to_be_visible()
    expect(page.get_by_role("link", name="order_4712")).to_be_visible()
    expect(page.get_by_text("Refused at the door?")).to_be_visible()
    expect(page.get_by_text("90 days")).to_be_visible()


def test_who_may_only_read_is_told_what_is_missing(visit: Visitors, shop: Shop, stored: Shop) -> None:
    _, key = shop.new_key("eyes", "READ")
    page = visit(key)
    page.goto("/events")
    page.get_by_role("row").filter(has_text="order_4712").get_by_role("checkbox").check()
    page.keyboard.press("r")
    expect(page.get_by_text("Your key lacks the scope ADMIN.")).to_be_visible()
