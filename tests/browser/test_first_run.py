"""The first minutes: what a newcomer does, and steps that turn green by themselves."""

from __future__ import annotations

import os
import subprocess

from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import INGEST, Installation, purchase
from tests.browser.test_stale import AWAY, intercept
from tests.servers import wait_until


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


def test_who_was_refused_from_the_beginning_is_not_told_that_nothing_came(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Refused so far")
    page = visit(shop.key)
    steps = page.get_by_role("region", name="Your first event")
    refused = page.get_by_role("region", name="Refused at the door")
    page.goto("/")
    expect(steps).to_contain_text("The first event arrived Waiting for it")
    bad = [purchase(f"bad-{n}", customData={"value": 1, "currency": "Euros"}) for n in range(40)]
    assert shop.ask(INGEST, inputs=bad)["ingestEvents"]["rejected"] == len(bad)
    expect(steps).to_contain_text("40 events arrived and were refused: what was wrong stands below.")
    expect(steps).not_to_contain_text("The first event arrived")
    expect(refused).to_contain_text("40")
    page.reload()
    expect(refused).to_contain_text("40")
    expect(steps).to_have_count(0)


def test_a_shop_whose_events_were_all_erased_is_no_newcomer(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("All erased", "meta")
    shop.ingest(*(purchase(f"gone-{n}", userData={"email": "gone@example.com"}) for n in range(3)))
    erase = 'mutation { erasePerson(input: {email: "gone@example.com"}, suppress: false) { erasure { id } userErrors { message } } }'
    assert shop.ask(erase)["erasePerson"]["userErrors"] == []
    wait_until(lambda: not shop.ask("{ events(first: 1) { nodes { id } } }")["events"]["nodes"], "all being erased")
    page = visit(shop.key)
    page.goto("/")
    expect(page.get_by_role("region", name="What became of every event")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="New events stored")).to_contain_text("3")
    expect(page.get_by_role("region", name="Your first event")).to_have_count(0)


def test_home_says_what_was_not_answered_of_the_first_run_and_of_the_time_before(
    visit: Visitors, installed: Installation
) -> None:
    newcomer, shop = installed.new_shop("Not answered yet"), installed.new_shop("Not compared", "meta")
    shop.send("compared-1")
    for key, operation in ((newcomer.key, "FirstRun"), (newcomer.key, "EverCounted"), (shop.key, "HomeBefore")):
        page = visit(key)
        away = page.get_by_role("alert").filter(has_text="Away.")
        intercept(page, operation, lambda route: route.fulfill(json=AWAY))
        page.goto("/")
        expect(away).to_have_count(1)
        expect(page.get_by_role("region", name="What became of every event")).to_be_visible()
        page.unroute("**/graphql")
        away.get_by_role("button", name="Try again").click()
        expect(away).to_have_count(0)
