"""A platform goes down while somebody looks, and comes back."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation

TITLE = "LinkedIn refuses your access token: set a new one now"


def test_an_outage_appears_by_itself_and_ends_by_itself(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Outage", "meta")
    shop.set_destination("linkedin", access_token="expired-token")
    page, elsewhere = visit(shop.key), visit(shop.key)
    page.goto("/notifications")
    expect(page.get_by_role("heading", name="There has never been an alert.")).to_be_visible()
    elsewhere.goto("/settings")
    header = elsewhere.get_by_role("navigation", name="Screens").get_by_role("link", name="Notifications")
    expect(header).to_have_text("Notifications")

    shop.send("during-the-outage")
    row = page.get_by_role("row").filter(has_text=TITLE)
    expect(row).to_contain_text("Critical")
    expect(header).to_have_text("Notifications1 open alerts")
    row.get_by_role("link", name=TITLE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    expect(page.get_by_role("main")).to_contain_text("during-the-outage")
    page.go_back()

    shop.set_destination("linkedin")
    expect(row).to_contain_text("Resolved", timeout=60_000)
    expect(header).to_have_text("Notifications")
    expect(row.get_by_role("link")).to_have_attribute("href", re.compile("^/notifications/"))
