"""What is stored about a person, in Settings: downloaded, erased, and taken back; of whom is said before and stands in no URL."""

from __future__ import annotations

from pathlib import Path

import orjson
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop
from tests.browser.test_drafts import questions
from tests.browser.test_stale import intercept

MARIA = {"email": "maria@example.com", "clientIp": "203.0.113.42", "clientUserAgent": "Mozilla/5.0"}


def asked(page: Page, email: str) -> None:
    page.get_by_role("region", name="A person’s data").get_by_label("Email").fill(email)


def test_a_persons_data_is_downloaded_and_erased_and_counts_as_no_failure(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("People", "meta")
    shop.send("hers", userData=MARIA)
    shop.send("his")
    for event_id in ("hers", "his"):
        shop.wait_for(event_id, "META", "DELIVERED")
    page = visit(shop.key)
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto("/settings")
    asked(page, "maria@example.com")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download what is stored").click()
    package = orjson.loads(Path(download.value.path()).read_bytes())
    assert [event["event_id"] for event in package["events"]] == ["hers"]
    expect(page.locator(".said")).to_have_text("1 event and 0 browsers: keep the file as what it is.")

    page.get_by_role("button", name="See what would go").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Whoever fits email maria@example.com. They are left alone from now on")
    expect(dialog).to_contain_text("1 event, 1 delivery and 0 browsers would go.")
    dialog.get_by_role("textbox").fill("erase")
    dialog.get_by_role("button", name="Erase").click()
    erasures = page.get_by_role("group", name="Erasures")
    expect(erasures).to_contain_text("Finished")

    shop.send("again", userData=MARIA)
    shop.wait_for("again", "META", "DROPPED")
    page.goto("/")
    figures = page.locator(".home-headline li")
    expect(figures.filter(has_text="Success rate")).to_contain_text("100 %")
    expect(page.get_by_role("list", name="What became of it at all destinations")).to_contain_text(
        "Left alone: suppressed"
    )
    page.get_by_role("link", name="Left alone: suppressed").click()
    expect(page.get_by_role("heading", name="Deliveries that match, newest first")).to_be_visible()
    expect(page.get_by_role("group", name="Deliveries").get_by_role("link")).to_have_text(["again"])
    expect(page.get_by_role("main")).not_to_contain_text("Not understood")
    page.goto("/events/again")
    expect(page.get_by_role("article", name="Meta")).to_contain_text("Left alone")
    expect(page.get_by_role("button", name="Redeliver")).to_have_count(0)

    page.goto("/settings")
    asked(page, "maria@example.com")
    page.get_by_role("button", name="Let this person back").click()
    expect(page.locator(".said")).to_have_text(
        "Later events with this are taken as anybody’s again. What else the erasure named is still left alone."
    )
    assert not [url for url in urls if "maria" in url]


def test_what_may_be_somebody_elses_is_told_where_nothing_else_is_stored(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Either")
    shop.ask("mutation { updateMerchant(input: {hashUserData: false}) { merchant { id } } }")
    shop.send("either", userData={"phone": "0151 23456789"})
    page = visit(shop.key)
    page.goto("/settings")
    page.get_by_role("region", name="A person’s data").get_by_label("Phone").fill("+49 151 23456789")
    page.get_by_role("button", name="Download what is stored").click()
    expect(page.locator(".said")).to_have_text(
        "Nothing is stored that is surely this person’s. 1 event may be theirs or somebody else’s: “See what would go” says which."
    )


def test_who_was_looked_at_is_who_is_erased(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Wrong person", "meta")
    shop.send("hers", userData=MARIA)
    shop.send("his", "his-too")
    page = visit(shop.key)
    page.goto("/settings")
    asked_for = questions(page)
    held: list[Route] = []
    intercept(page, "ErasePerson", held.append)
    asked(page, "maria@example.com")
    with page.expect_request(lambda request: "mutation ErasePerson" in (request.post_data or "")):
        page.get_by_role("button", name="See what would go").click()
    asked(page, "jane@example.com")
    page.get_by_label("Leave this person alone from now on").uncheck()
    held[0].continue_()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Whoever fits email maria@example.com. They are left alone from now on")
    expect(dialog).to_contain_text("1 event,")
    page.unroute_all()
    dialog.get_by_role("textbox").fill("erase")
    dialog.get_by_role("button", name="Erase").click()
    expect(page.get_by_role("group", name="Erasures")).to_contain_text("Finished")
    kept = shop.ask("{ events(first: 10) { nodes { eventId } } }")["events"]["nodes"]
    assert [one["eventId"] for one in kept] == ["his-too", "his"]
    expect(page.get_by_label("Email", exact=True)).to_have_value("jane@example.com")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Home").click()
    assert asked_for == ["confirm"]


def test_every_receipt_can_be_reached(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Many receipts")
    for number in range(11):
        erase = "mutation($ids: [String!]!) { erasePerson(input: {eventIds: $ids}, suppress: false) { userErrors { code } } }"
        assert shop.ask(erase, ids=[f"nobody-has-{number}"])["erasePerson"]["userErrors"] == []
    page = visit(shop.key)
    page.goto("/settings")
    name = page.get_by_role("region", name="General").get_by_label("Name", exact=True)
    name.fill("Typed before")
    rows = page.get_by_role("group", name="Erasures").locator("tbody tr")
    expect(rows).to_have_count(10)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(1)
    expect(rows.get_by_role("button", name="Download")).to_be_visible()
    expect(name).to_have_value("Typed before")
    # What is begun here stands on the newest page.
    page.get_by_label("Event ids, one a line").fill("nobody-has-this-either")
    page.get_by_role("button", name="See what would go").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("erase")
    dialog.get_by_role("button", name="Erase").click()
    expect(rows).to_have_count(10)
    expect(page).to_have_url(f"{installed.address}/settings")
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="Newest").click()
    expect(rows).to_have_count(10)


def test_who_would_be_erased_is_told_as_it_is_read(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("As it is read")
    shop.send("order 12", "order", "12")
    page = visit(shop.key)
    page.goto("/settings")
    form = page.get_by_role("region", name="A person’s data")
    form.get_by_label("Phone").fill(" +49 170 1234567 ")
    form.get_by_label("Event ids, one a line").fill(" order 12\n\nnobody-has-this\n")
    page.get_by_role("button", name="See what would go").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Whoever fits phone +49 170 1234567, or events order 12, nobody-has-this. They")
    expect(dialog.locator("code")).to_have_text(["+49 170 1234567", "order 12", "nobody-has-this"])
    dialog.get_by_role("textbox").fill("erase")
    dialog.get_by_role("button", name="Erase").click()
    expect(page.get_by_role("group", name="Erasures")).to_contain_text("Finished")
    kept = shop.ask("{ events(first: 10) { nodes { eventId } } }")["events"]["nodes"]
    assert {one["eventId"] for one in kept} == {"order", "12"}


def test_a_key_that_only_reads_gets_no_data_of_a_person(visit: Visitors, shop: Shop) -> None:
    page = visit(shop.new_key("Reader", "READ")[1])
    page.goto("/settings")
    button = page.get_by_role("button", name="Download what is stored")
    expect(button).to_be_disabled()
