"""Answers that come when whoever asked is somewhere else: they close, replace and lead away from nothing but what asked."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop
from tests.browser.test_signing_in import sign_in
from tests.browser.test_stale import FRAMES, intercept

CHANNEL = "mutation($input: SetAlertChannelInput!) { setAlertChannel(input: $input) { channel { id } userErrors { message } } }"
CHANNELS = "{ merchant { alertChannels { url minSeverity } } }"
MAKING = (
    "A secret is being made. It is shown once, in this tab, as soon as it is there: who closes the tab or signs out never "
    "sees it. Leave?"
)
NOT_SAVED = "What you changed here is not saved. Leave it?"


class Person:
    """Somebody in front of a page. ``asked``: what the browser asked them; ``agrees``: what they say to it."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.agrees = True
        page.on("dialog", self._answer)

    def _answer(self, question: Dialog) -> None:
        self.asked.append(question.message)
        if self.agrees:
            question.accept()
        else:
            question.dismiss()


def add_channels(shop: Shop, *ports: int) -> None:
    for port in ports:
        told = {"kind": "WEBHOOK", "url": f"http://127.0.0.1:{port}/x", "topics": ["*"]}
        assert shop.ask(CHANNEL, input=told)["setAlertChannel"]["userErrors"] == []


def channel(page: Page, port: int) -> Locator:
    return page.get_by_role("article", name=f"Webhook http://127.0.0.1:{port}/")


def press(button: Locator, operation: str) -> None:
    """Until it is asked for what the button does."""
    with button.page.expect_request(lambda request: f"mutation {operation}" in (request.post_data or "")):
        button.click()


def answer(page: Page, route: Route, **answered: Any) -> None:
    """Until the page has done with the answer whatever it does with it."""
    with page.expect_response(lambda response: response.request == route.request) as came:
        if answered:
            route.fulfill(**answered)
        else:
            route.continue_()
    came.value.finished()
    page.evaluate(FRAMES)


def go_to(page: Page, screen: str) -> None:
    page.get_by_role("navigation", name="Screens").get_by_role("link", name=screen).click()


def test_a_save_that_was_left_closes_no_other_dialog(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Two channels")
    add_channels(shop, 1, 2)
    page = visit(shop.key)
    person = Person(page)
    held: list[Route] = []
    intercept(page, "SetAlertChannel", held.append)
    page.goto("/settings")
    dialog = page.get_by_role("dialog")
    channel(page, 1).get_by_role("button", name="Change …").click()
    dialog.get_by_label("Critical ones only").check()
    press(dialog.get_by_role("button", name="Save"), "SetAlertChannel")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    channel(page, 2).get_by_role("button", name="Change …").click()
    dialog.get_by_label("Address").fill("https://hooks.shop.example.com/typed")
    answer(page, held[0])
    expect(page.locator(".said")).to_have_text("Saved.")
    expect(dialog.get_by_label("Address")).to_have_value("https://hooks.shop.example.com/typed")
    assert [one["minSeverity"] for one in shop.ask(CHANNELS)["merchant"]["alertChannels"]].count("CRITICAL") == 1
    assert person.asked == [NOT_SAVED]


def test_a_secret_is_taken_from_the_screen_by_nobody_but_who_reads_it(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Shown over a save")
    add_channels(shop, 1, 2)
    page = visit(shop.key)
    Person(page)
    held: list[Route] = []
    intercept(page, "SetAlertChannel", held.append)
    page.goto("/settings")
    dialog = page.get_by_role("dialog")
    channel(page, 1).get_by_role("button", name="Change …").click()
    dialog.get_by_label("Critical ones only").check()
    press(dialog.get_by_role("button", name="Save"), "SetAlertChannel")
    page.keyboard.press("Escape")
    channel(page, 2).get_by_role("button", name="New secret …").click()
    press(dialog.get_by_role("button", name="Make a new one"), "SetAlertChannel")
    answer(page, held[1])
    once = page.get_by_role("dialog", name="The channel’s signing secret")
    secret = once.locator("code").inner_text()
    assert secret.startswith("whsec_")
    answer(page, held[0])
    expect(page.locator(".said")).to_have_text("Saved.")
    expect(once.locator("code")).to_have_text(secret)
    once.get_by_role("button", name="I have kept it").click()
    expect(dialog).to_have_count(0)


def test_of_two_secrets_each_is_seen(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Two keys")
    page = visit(shop.key)
    person = Person(page)
    held: list[Route] = []
    intercept(page, "CreateApiKey", held.append)
    page.goto("/settings")
    dialog = page.get_by_role("dialog", name="Create a key")
    for name in ("first", "second"):
        page.get_by_role("button", name="Create a key …").click()
        dialog.get_by_label("Name").fill(name)
        press(dialog.get_by_role("button", name="Create", exact=True), "CreateApiKey")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    assert person.asked == [MAKING, MAKING]

    page.get_by_role("button", name="Create a key …").click()
    dialog.get_by_label("Name").fill("typed meanwhile")
    once = page.get_by_role("dialog", name="Your new key")
    answer(page, held[1])
    second = once.locator("code").inner_text()
    answer(page, held[0])
    expect(once.locator("code")).to_have_text(second)
    once.get_by_role("button", name="I have kept it").click()
    expect(once).to_have_count(1)
    expect(once.locator("code")).not_to_have_text(second)
    first = once.locator("code").inner_text()
    once.get_by_role("button", name="I have kept it").click()
    expect(once).to_have_count(0)
    keys = {
        one["name"]: one["prefix"]
        for one in shop.ask("{ merchant { apiKeys { name prefix } } }")["merchant"]["apiKeys"]
    }
    assert (first[: len(keys["first"])], second[: len(keys["second"])]) == (keys["first"], keys["second"])
    expect(dialog.get_by_label("Name")).to_have_value("typed meanwhile")


def test_who_stops_waiting_for_a_secret_is_asked_and_sees_it_wherever_they_are(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Made slowly and left")
    add_channels(shop, 1)
    page = visit(shop.key)
    person = Person(page)
    held: list[Route] = []
    intercept(page, "SetAlertChannel", held.append)
    page.goto("/settings")
    dialog = page.get_by_role("dialog")
    channel(page, 1).get_by_role("button", name="New secret …").click()
    press(dialog.get_by_role("button", name="Make a new one"), "SetAlertChannel")
    person.agrees = False
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(1)
    assert person.asked == [MAKING] * 3
    person.agrees = True
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    person.agrees = False
    go_to(page, "Events")
    assert person.asked == [MAKING] * 5
    expect(page).to_have_url(f"{installed.address}/settings")
    person.agrees = True
    go_to(page, "Events")
    expect(page.get_by_role("heading", level=1)).to_have_text("Events")
    answer(page, held[0])
    once = page.get_by_role("dialog", name="The channel’s signing secret")
    expect(once.locator("code")).to_have_text(re.compile("^whsec_"))
    once.get_by_role("button", name="I have kept it").click()
    expect(dialog).to_have_count(0)


def test_a_secret_is_shown_to_nobody_who_signs_in_after_its_owner(visit: Visitors, installed: Installation) -> None:
    shop, other = installed.new_shop("Owner"), installed.new_shop("Next one")
    page = visit(shop.key)
    Person(page)
    held: list[Route] = []
    intercept(page, "CreateApiKey", held.append)
    page.goto("/settings")
    page.get_by_role("button", name="Create a key …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("late")
    press(dialog.get_by_role("button", name="Create", exact=True), "CreateApiKey")
    made = held[0].fetch()
    assert made.json()["data"]["createApiKey"]["key"].startswith("tl_")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page, other.key)
    expect(page.locator(".who")).to_have_text("Next one")
    answer(page, held[0], response=made)
    expect(dialog).to_have_count(0)


def test_a_removal_that_was_left_leads_nobody_away(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Removed late", "meta", "tiktok")
    page = visit(shop.key)
    person = Person(page)
    held: list[Route] = []
    intercept(page, "RemoveDestination", held.append)

    dialog = page.get_by_role("dialog")

    def remove(title: str) -> None:
        page.get_by_role("button", name=f"Remove {title} …").click()
        dialog.get_by_role("textbox").fill(title)
        press(dialog.get_by_role("button", name="Remove", exact=True), "RemoveDestination")

    page.goto("/destinations/meta")
    remove("Meta")
    page.keyboard.press("Escape")
    go_to(page, "Settings")
    name = page.get_by_role("region", name="General").get_by_label("Name", exact=True)
    name.fill("Typed for ten minutes")
    answer(page, held[0])
    expect(page.locator(".said")).to_have_text("Meta is removed.")
    expect(page).to_have_url(f"{installed.address}/settings")
    assert person.asked == []
    go_to(page, "Home")
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    assert person.asked == [NOT_SAVED]

    # Whoever waits for it is led to the others; what was typed of it is worth nothing any more.
    person.asked.clear()
    page.goto("/destinations/tiktok")
    page.get_by_role("region", name="Settings", exact=True).get_by_label("Only these").check()
    remove("TikTok")
    answer(page, held[1])
    expect(page).to_have_url(f"{installed.address}/destinations")
    assert person.asked == []


def test_deliveries_that_are_made_late_lead_nobody_to_their_job(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Stored and left")
    shop.send("stored-1")
    shop.set_destination("meta")
    page = visit(shop.key)
    held: list[Route] = []
    page.goto("/deliveries?stored=META")
    dialog = page.get_by_role("dialog", name="Deliver stored events")
    dialog.get_by_role("button", name="Count what would be made").click()
    make = dialog.get_by_role("button", name="Make 1 delivery")
    expect(make).to_be_visible()
    intercept(page, "DeliverStored", held.append)
    press(make, "DeliverStored")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    go_to(page, "Events")
    expect(page.get_by_role("heading", level=1)).to_have_text("Events")
    before = page.evaluate("history.length")
    answer(page, held[0])
    expect(page.locator(".said")).to_have_text("1 delivery to Meta made.")
    expect(page).to_have_url(f"{installed.address}/events")
    assert page.evaluate("history.length") == before


def test_a_redelivery_that_was_left_leads_nowhere_and_unselects_nothing(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Redelivered late", "meta")
    installed.fault("meta", "refuse", event_ids=["late-1", "late-2"])
    shop.send("late-1", "late-2")
    for event_id in ("late-1", "late-2"):
        shop.wait_for(event_id, "META", "FAILED")
    installed.mend()
    job = {
        "matched": 1,
        "requeued": 1,
        "complete": False,
        "duplicateRisk": 0,
        "refused": [],
        "check": None,
        "userErrors": [],
    }
    page = visit(shop.key)
    dialog, boxes = page.get_by_role("dialog"), page.locator("tbody input")
    said = page.locator(".said")
    for screen, operation in (("/deliveries?status=FAILED", "Redeliver"), ("/events?id=late-", "RedeliverThese")):
        held: list[Route] = []
        page.goto(screen)
        boxes.first.check()
        page.get_by_role("button", name=re.compile("^Redeliver .*…$")).first.click()
        send = dialog.get_by_role("button", name="Redeliver 1")
        expect(send).to_be_visible()
        intercept(page, operation, held.append)
        press(send, operation)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        boxes.last.check()
        before = page.url
        answer(page, held[0], json={"data": {"redeliver": {**job, "job": {"id": "x"}}}})
        expect(said).to_contain_text("1 delivery is queued again.")
        expect(boxes.last).to_be_checked()
        assert page.url == before
