"""Everything without a mouse."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop
from tests.browser.test_notifications import open_many

CHANNEL = "mutation($input: SetAlertChannelInput!) { setAlertChannel(input: $input) { userErrors { message } } }"


def tab_to(page: Page, wanted: Locator) -> None:
    """Tab, until it has the focus."""
    expect(wanted).to_be_enabled()
    for _ in range(60):
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {wanted}")


def test_from_the_door_to_a_redelivery_by_keyboard_alone(visit: Visitors, shop: Shop, installed: Installation) -> None:
    installed.fault("meta", "refuse", event_ids=["by-keyboard-2"])
    shop.send("by-keyboard-1", "by-keyboard-2", "by-keyboard-3")
    shop.wait_for("by-keyboard-2", "META", "FAILED")
    installed.mend()
    page = visit()
    page.goto("/")
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.insert_text(shop.key)
    page.keyboard.press("Enter")
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("Home")

    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("Go to Events")
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(title).to_have_text("Events")
    expect(title).to_be_focused()
    expect(page.get_by_role("table")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Event id begins with")).to_be_focused()
    page.keyboard.insert_text("by-keyboard-")
    links = page.get_by_role("link", name=re.compile("^by-keyboard-"))
    expect(links).to_have_text(["by-keyboard-3", "by-keyboard-2", "by-keyboard-1"])
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(title).to_have_text("by-keyboard-2")
    meta = page.get_by_role("article", name="Meta")
    expect(meta).to_contain_text("Retrying")

    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Redeliver")
    tab_to(page, dialog.get_by_role("button", name="Redeliver 1"))
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("1 delivery is queued again.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(meta).to_contain_text("Delivered")

    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("API key")).to_be_focused()


def test_whoever_presses_a_button_stays_there(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Focus", "meta")
    open_many(installed, "Focus", 1)
    (alert,) = shop.ask("{ alerts(filter: {state: OPEN}) { nodes { id } } }")["alerts"]["nodes"]
    page = visit(shop.key, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/notifications/{alert['id']}")
    care = page.get_by_role("region", name="Who takes care of it")
    snooze = care.get_by_role("button", name="Snooze")
    snooze.press("Enter")
    expect(care.get_by_text("Snoozed until")).to_be_visible()
    expect(snooze).to_be_focused()
    care.get_by_role("button", name="Wake it now").press("Enter")
    expect(care.get_by_text("Snoozed until")).to_have_count(0)
    expect(care.get_by_role("heading")).to_be_focused()  # what was pressed is gone
    care.get_by_label("Note for the others").fill("Anna looks")
    care.get_by_role("button", name="Acknowledge").press("Enter")
    save = care.get_by_role("button", name="Save the note")
    expect(save).to_be_disabled()
    expect(save).to_be_focused()

    made = shop.ask(CHANNEL, input={"kind": "WEBHOOK", "url": "https://127.0.0.1:1/", "topics": ["*"]})
    assert made["setAlertChannel"]["userErrors"] == []
    page.goto("/settings")
    channels = page.get_by_role("region", name="Alert channels")
    test = channels.get_by_role("button", name="Send a test")
    test.press("Enter")
    expect(channels.get_by_role("status")).not_to_be_empty()
    expect(test).to_be_focused()
    channels.get_by_role("button", name="Remove").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Remove").press("Enter")
    expect(test).to_have_count(0)
    expect(channels.get_by_role("heading")).to_be_focused()

    # The same words are heard again, and boxes say what they are of.
    shop.send("order-1")
    shop.wait_for("order-1", "META", "DELIVERED")
    page.goto("/deliveries")
    expect(page.get_by_role("checkbox", name="Select order-1, Meta")).to_be_visible()
    page.goto("/events/order-1")
    copy = page.get_by_role("button", name="Copy id")
    said = page.locator(".said")
    copy.click()
    expect(said).to_have_text("Copied.")
    first = said.locator("span").element_handle()
    copy.click()
    page.wait_for_function("(one) => !one.isConnected", arg=first)
    expect(said).to_have_text("Copied.")


def test_enter_does_what_a_dialog_with_one_field_is_for(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Enter")
    page = visit(shop.key)
    page.goto("/settings")
    page.get_by_role("button", name="Create a key …").click()
    dialog = page.get_by_role("dialog", name="Create a key")
    name = dialog.get_by_label("Name")
    name.press("Enter")  # without a name nothing can be made
    expect(dialog).to_be_visible()
    name.fill("by enter")
    name.press("Enter")
    expect(dialog).to_have_count(0)
    names = [one["name"] for one in shop.ask("{ merchant { apiKeys { name } } }")["merchant"]["apiKeys"]]
    assert names.count("by enter") == 1
