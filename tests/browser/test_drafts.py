"""What somebody typed: neither lost without a word, nor put over what somebody else changed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop
from tests.browser.test_notifications import open_many
from tests.browser.test_signing_in import is_out, sign_in
from tests.browser.test_stale import intercept

UPDATE = "mutation($input: UpdateMerchantInput!) { updateMerchant(input: $input) { userErrors { message } } }"
SET = "mutation($input: SetDestinationInput!) { setDestination(input: $input) { userErrors { message } } }"
REVOKE = "mutation($id: ID!) { revokeApiKey(id: $id) { userErrors { message } } }"
NOTED = "mutation($id: ID!, $note: String) { acknowledgeAlert(id: $id, note: $note) { userErrors { message } } }"
OPEN = "{ alerts(filter: {state: OPEN}) { nodes { id note } } }"
MEANWHILE = "Somebody else changed this since you began."
NOT_SAVED = "Not saved: somebody else changed it meanwhile. Look at what it is now, then save again."
UNKNOWN = "TrackLayer does not answer. It is not known whether it was done: look, then try again."


def update(shop: Shop, **changes: Any) -> None:
    assert shop.ask(UPDATE, input=changes)["updateMerchant"]["userErrors"] == []


def save(form: Locator) -> None:
    form.get_by_role("button", name=re.compile("^Save")).click()


def questions(page: Page, agrees: Callable[[], bool] = lambda: False) -> list[str]:
    """What the browser itself asks from now on, by kind; ``agrees``: whether somebody says yes."""
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if agrees():
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    return asked


def test_a_form_of_settings_changes_only_what_was_changed_in_it(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Two at once")
    pages = ["https://www.shop.example.com"]
    update(shop, alertEmails=["a@shop.example.com"], collector={"enabled": True, "origins": pages})
    page = visit(shop.key)
    page.goto("/settings")
    said = page.locator(".said")

    collector = page.get_by_role("region", name="Clicks from your pages")
    collector.get_by_label("Your pages, one a line").fill("\n".join([*pages, "https://m.shop.example.com"]))
    update(shop, collector={"enabled": False, "consentRequired": True})  # a colleague
    save(collector)
    expect(said).to_have_text("Saved.")
    expect(collector.get_by_label("Pages may call")).not_to_be_checked()
    stored = shop.ask("{ merchant { collector { enabled origins consentRequired } } }")["merchant"]["collector"]
    assert stored == {"enabled": False, "origins": [*pages, "https://m.shop.example.com"], "consentRequired": True}

    emails = page.get_by_role("region", name="Alerts by e-mail")
    box = emails.get_by_label("Addresses, one a line")
    box.fill("a@shop.example.com\nmine@shop.example.com")
    theirs = ["a@shop.example.com", "colleague@shop.example.com"]
    update(shop, alertEmails=theirs)
    save(emails)
    expect(said).to_have_text(NOT_SAVED)
    told = emails.get_by_role("alert").filter(has_text=MEANWHILE)
    expect(told).to_contain_text("Addresses, as it is now: a@shop.example.com, colleague@shop.example.com")
    assert shop.ask("{ merchant { alertEmails } }")["merchant"]["alertEmails"] == theirs
    box.fill("\n".join([*theirs, "mine@shop.example.com"]))
    save(emails)
    expect(told).to_have_count(0)
    expect(said).to_have_text("Saved.")
    assert shop.ask("{ merchant { alertEmails } }")["merchant"]["alertEmails"] == [*theirs, "mine@shop.example.com"]
    box.fill("mine@shop.example.com")
    update(shop, alertEmails=theirs)
    save(emails)
    told.get_by_role("button", name="Take what is there now").click()
    expect(told).to_have_count(0)
    expect(box).to_have_value("\n".join(theirs))

    general = page.get_by_role("region", name="General")
    general.get_by_label("Name", exact=True).fill("Two at one time")
    save(general)
    expect(page.locator(".who")).to_have_text("Two at one time")


def test_what_a_destination_takes_and_a_note_are_not_put_over_a_colleagues(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Names at once", "meta")
    told = {"platform": "META", "eventNames": ["Purchase", "Lead"]}
    assert shop.ask(SET, input=told)["setDestination"]["userErrors"] == []
    page = visit(shop.key)
    page.goto("/destinations/meta")
    form = page.get_by_role("region", name="Settings", exact=True)
    form.get_by_label("AddToCart").first.check()
    told["eventNames"] = ["Purchase", "Lead", "ViewContent"]
    assert shop.ask(SET, input=told)["setDestination"]["userErrors"] == []
    save(form)
    expect(form.get_by_role("alert").filter(has_text=MEANWHILE)).to_contain_text(
        "Events, as it is now: Purchase, Lead, ViewContent"
    )
    (found,) = shop.ask("{ merchant { destinations { eventNames } } }")["merchant"]["destinations"]
    assert found == {"eventNames": ["Purchase", "Lead", "ViewContent"]}
    save(form)
    expect(page.locator(".said")).to_have_text("Saved.")
    (found,) = shop.ask("{ merchant { destinations { eventNames } } }")["merchant"]["destinations"]
    assert found == {"eventNames": ["Purchase", "Lead", "AddToCart"]}

    open_many(installed, "Names at once", 1)
    (alert,) = shop.ask(OPEN)["alerts"]["nodes"]
    asked = questions(page)
    page.goto(f"/notifications/{alert['id']}")
    care = page.get_by_role("region", name="Who takes care of it")
    note = care.get_by_label("Note for the others")
    note.fill("Nobody knows yet")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Home").click()
    assert asked == ["confirm"]
    shop.ask(NOTED, id=alert["id"], note="Anna took it")
    care.get_by_role("button", name="Acknowledge").click()
    expect(care.get_by_role("alert")).to_contain_text("The note, as it is now: Anna took it")
    expect(note).to_have_value("Nobody knows yet")
    assert [one["note"] for one in shop.ask(OPEN)["alerts"]["nodes"]] == ["Anna took it"]
    save(care)
    expect(page.locator(".said")).to_have_text("The note is saved.")
    assert [one["note"] for one in shop.ask(OPEN)["alerts"]["nodes"]] == ["Nobody knows yet"]


def test_a_dialog_says_in_itself_what_went_wrong_and_asks_before_it_forgets(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Lost answers")
    shop.new_key("till  two\u00a0old ", "INGEST")
    page = visit(shop.key)
    leaves = False
    asked = questions(page, lambda: leaves)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.goto("/settings")
    page.get_by_role("button", name="Create a key …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("backend")
    create = dialog.get_by_role("button", name="Create", exact=True)
    intercept(page, "CreateApiKey", lose)
    create.click()
    told = dialog.get_by_role("alert")
    expect(told).to_have_text(UNKNOWN)
    above, below = create.bounding_box(), told.bounding_box()
    assert above is not None
    assert below is not None
    assert below["y"] - (above["y"] + above["height"]) >= 8  # it touches no button
    expect(page.get_by_role("cell", name="backend")).to_have_count(0)  # it is there, and may be looked for
    page.unroute_all()
    page.context.set_offline(True)
    create.click()
    expect(dialog.get_by_role("alert")).to_have_text(
        "TrackLayer does not answer. This computer is offline: it was not done."
    )
    page.context.set_offline(False)
    for press in range(2):
        page.keyboard.press("Escape")
        assert len(asked) == press + 1
        expect(dialog.get_by_label("Name")).to_have_value("backend")
    leaves = True
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert asked == ["confirm"] * 3

    page.get_by_role("button", name="Revoke till two old").click()
    dialog.get_by_role("textbox").fill("till two old")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="till two old")).to_have_count(0)
    # The button that was pressed is gone: whoever pressed it is where it was.
    expect(page.get_by_role("heading", name="API keys")).to_be_focused()
    names = {
        one["name"]: one["revokedAt"] is None
        for one in shop.ask("{ merchant { apiKeys { name revokedAt } } }")["merchant"]["apiKeys"]
    }
    assert names["backend"] is True  # once
    assert names["till  two\u00a0old"] is False
    visit.complaints.clear()  # browsers write down what did not come


@pytest.mark.parametrize("body", ['{"message": "Bad gateway"}', "null", "[]", '{"data": null, "errors": []}'])
def test_a_change_that_something_on_the_way_answered_may_have_been_done(
    visit: Visitors, installed: Installation, body: str
) -> None:
    shop = installed.new_shop("Behind a gateway")
    page = visit(shop.key)
    page.goto("/settings")
    general = page.get_by_role("region", name="General")
    name = general.get_by_label("Name", exact=True)
    said = page.locator(".said")

    def garble(route: Route) -> None:
        route.fetch()
        route.fulfill(status=502, content_type="application/json", body=body)

    intercept(page, "UpdateMerchant", garble)
    name.fill("Behind two gateways")
    save(general)
    expect(said).to_have_text(
        "TrackLayer answered 502, and nothing that can be read. It is not known whether it was done: look, then try again."
    )
    assert shop.ask("{ merchant { name } }") == {"merchant": {"name": "Behind two gateways"}}
    page.unroute_all()
    name.fill("Behind three gateways")  # what is stored is one's own
    save(general)
    expect(said).to_have_text("Saved.")
    assert shop.ask("{ merchant { name } }") == {"merchant": {"name": "Behind three gateways"}}
    name.fill("Behind no gateway")
    page.context.set_offline(True)
    save(general)
    expect(said).to_have_text("TrackLayer does not answer. Nothing was changed: try again.")
    page.context.set_offline(False)
    visit.complaints.clear()  # browsers write down what did not come


def test_a_name_that_was_typed_and_not_added_is_saved_as_well(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Typed names", "meta")
    page = visit(shop.key)
    asked = questions(page)
    page.goto("/destinations/meta")
    form = page.get_by_role("region", name="Settings", exact=True)
    form.get_by_label("Only these").check()
    form.get_by_label("Another event name").fill("Lead2")
    form.get_by_label("Purchase").first.check()
    save(form)
    expect(page.locator(".said")).to_have_text("Saved.")
    (found,) = shop.ask("{ merchant { destinations { eventNames } } }")["merchant"]["destinations"]
    assert found == {"eventNames": ["Purchase", "Lead2"]}
    expect(form.get_by_label("Another event name")).to_have_value("")
    expect(form.get_by_label("Lead2")).to_be_checked()

    # What is asked about before one leaves can be given up, also where nothing of it would be sent.
    dataset = form.get_by_label(re.compile("^Dataset"))
    before = dataset.input_value()
    dataset.fill(f"{before} ")
    home = page.get_by_role("navigation", name="Screens").get_by_role("link", name="Home")
    home.click()
    assert asked == ["confirm"]
    form.get_by_role("button", name="Discard changes").click()
    expect(dataset).to_have_value(before)
    home.click()
    expect(page).to_have_url(f"{installed.address}/")
    assert asked == ["confirm"]


def test_who_may_only_read_types_no_note(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Read only")
    open_many(installed, "Read only", 1)
    (alert,) = shop.ask(OPEN)["alerts"]["nodes"]
    page = visit(shop.new_key("reader", "READ")[1])
    page.goto(f"/notifications/{alert['id']}")
    expect(page.get_by_label("Note for the others")).to_be_disabled()


def test_what_was_typed_when_the_session_ended_is_there_for_who_comes_back(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Ended", "meta")
    other = installed.new_shop("Another")

    def begin(dataset: str) -> Page:
        id, key = shop.new_key("for a while", "ADMIN")
        page = visit(key)
        page.goto("/destinations/meta")
        typed(page).fill(dataset)
        assert shop.ask(REVOKE, id=id)["revokeApiKey"]["userErrors"] == []
        is_out(page)
        expect(page.get_by_role("status").filter(has_text="You are signed out: your session is over")).to_be_visible()
        expect(page.get_by_role("status")).to_contain_text(["What you typed and did not save is still there"])
        return page

    def typed(page: Page) -> Locator:
        return page.get_by_role("region", name="Settings", exact=True).get_by_label(re.compile("^Dataset"))

    page = begin("2222222222222222")
    sign_in(page, shop.key)
    expect(typed(page)).to_have_value("2222222222222222")
    save(page.get_by_role("region", name="Settings", exact=True))
    expect(page.locator(".said")).to_have_text("Saved.")

    id, key = shop.new_key("for a dialog", "ADMIN")
    page = visit(key)
    page.goto("/settings")
    page.get_by_role("button", name="Create a key …").click()
    name = page.get_by_role("dialog").get_by_label("Name")
    name.fill("half typed")
    assert shop.ask(REVOKE, id=id)["revokeApiKey"]["userErrors"] == []
    is_out(page)
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    sign_in(page, shop.key)
    expect(name).to_have_value("half typed")

    page = begin("3333333333333333")
    sign_in(page, other.key)
    expect(page.locator(".who")).to_have_text("Another")
    expect(typed(page)).to_have_value("")
