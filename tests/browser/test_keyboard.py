"""Everything without a mouse."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop


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
