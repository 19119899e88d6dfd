"""The first minutes: what a newcomer does, and steps that turn green by themselves."""

from __future__ import annotations

import os
import subprocess

from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation


def test_three_steps_turn_green_by_themselves(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Newcomer")
    page = visit(shop.key)
    page.goto("/")
    steps = page.get_by_role("region", name="Your first event").get_by_role("listitem")
    expect(steps).to_have_count(3)

    def step(title: str) -> Locator:
        return steps.filter(has=page.get_by_role("heading", name=title))

    there, arrived, delivered = map(
        step, ("A destination is there", "The first event arrived", "It was delivered to a platform")
    )
    for one in (there, arrived, delivered):
        expect(one).to_contain_text("Waiting for it")

    shop.set_destination("meta")
    expect(there).to_contain_text("Done")
    expect(there).to_contain_text("Events go to 1 platform: Meta.")
    expect(arrived).to_contain_text("Waiting for it")

    command = page.get_by_label("A command that sends an event").inner_text()
    subprocess.run(["bash", "-c", command], env={**os.environ, "API_KEY": shop.key}, capture_output=True, check=True)
    expect(arrived).to_contain_text("Done")
    expect(delivered).to_contain_text("Done")
    expect(delivered).to_contain_text("Meta acknowledged order_")

    page.get_by_role("button", name="Go on to Home").click()
    expect(steps).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    expect(page.get_by_role("link", name="Meta").first).to_be_visible()
