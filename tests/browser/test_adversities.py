"""What happens to the machine in front, and on the way to the one behind: the dashboard goes on by itself."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation


def test_a_screen_whose_script_did_not_come_is_there_once_somebody_answers(
    visit: Visitors, installed: Installation
) -> None:
    page = visit(installed.shop.key)
    page.goto("/settings")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    away = re.compile("/static/part-|/healthz$")
    page.route(away, lambda route: route.abort())
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Events").click()
    expect(page.get_by_role("main")).to_contain_text("could not be loaded")
    page.unroute(away)
    expect(page.get_by_role("heading", level=1)).to_have_text("Events")
    expect(page).to_have_url(re.compile("/events$"))
    visit.complaints.clear()  # browsers write down what did not come
