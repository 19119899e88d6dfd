"""Two people at one form: what one stores is neither undone, nor hidden, nor turned round by what the other sees still."""

from __future__ import annotations

import re

from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Visitors, hold
from tests.browser.installation import Installation, Shop
from tests.browser.test_drafts import MEANWHILE, NOT_SAVED, REVOKE, SET, UNKNOWN, questions, save, update
from tests.browser.test_late import MAKING
from tests.browser.test_signing_in import is_out, sign_in
from tests.browser.test_stale import intercept
from tracklayer.mappers import mapper_for
from tracklayer.services.destinations import example_settings

# Whether somebody looks, as a browser says it: while nobody does, no screen asks again by itself.
LOOK_AWAY = "Object.defineProperty(document, 'hidden', { value: true, configurable: true })"
LOOK_BACK = "delete document.hidden"
# The names of dialogs that are called otherwise from now on.
HEED_DIALOGS = """
globalThis.asked = []
new MutationObserver((changes) => globalThis.asked.push(...changes.map((one) => one.target.getAttribute('aria-label'))))
  .observe(document.body, { subtree: true, attributes: true, attributeFilter: ['aria-label'] })
"""
CHANNEL = """
mutation($input: SetAlertChannelInput!) {
  setAlertChannel(input: $input) { channel { id url topics minSeverity } userErrors { message } }
}
"""
CHANNELS = "{ merchant { alertChannels { id url topics minSeverity } } }"
DESTINATIONS = "{ merchant { destinations { eventNames settings } } }"
REMOVE = "mutation { removeDestination(platform: META) { userErrors { message } } }"


def visit_without_looking(visit: Visitors, shop: Shop, path: str) -> Page:
    """A screen that shows what was there when it was opened, until somebody looks at it."""
    page = visit(shop.key)
    page.clock.install()
    page.add_init_script(LOOK_AWAY)
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    return page


def look(page: Page, operation: str) -> None:
    """Until the screen has asked again by itself."""
    asked = re.compile(rf"query {operation}\b")
    with page.expect_response(lambda answer: asked.search(answer.request.post_data or "") is not None):
        page.evaluate(LOOK_BACK)
        page.clock.run_for(16_000)
    page.evaluate(LOOK_AWAY)


def region(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def test_what_is_kept_is_not_shortened_without_a_question(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Kept by two")
    page = visit_without_looking(visit, shop, "/settings")
    kept = region(page, "What is kept")
    expect(kept.get_by_label("90 days")).to_be_checked()
    update(shop, retentionDays="DAYS_365")
    kept.get_by_label("180 days").check()
    expect(kept).to_contain_text("Nothing is deleted by this.")
    kept.get_by_role("button", name="Save").click()
    expect(page.locator(".said")).to_have_text(NOT_SAVED)
    expect(kept.get_by_role("alert").filter(has_text=MEANWHILE)).to_contain_text("Kept for, as it is now: 365 days")
    shorten = kept.get_by_role("button", name="Keep 180 days only …")
    expect(shorten).to_be_visible()
    expect(kept).not_to_contain_text("Nothing is deleted by this.")
    shorten.click()
    dialog = page.get_by_role("dialog", name="Keep 180 days only?")
    expect(dialog.get_by_role("button", name="Delete what is older")).to_be_visible()

    # What a colleague stores meanwhile is told where the question is asked, and can be taken there.
    update(shop, retentionDays="DAYS_30")
    look(page, "Settings")
    expect(dialog).to_have_count(0)  # 180 days are more than these
    update(shop, retentionDays="DAYS_365")
    look(page, "Settings")
    shorten.click()
    expect(dialog.get_by_role("alert").filter(has_text=MEANWHILE)).to_contain_text("Kept for, as it is now: 365 days")
    page.evaluate(HEED_DIALOGS)
    dialog.get_by_role("button", name="Take what is there now").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("globalThis.asked") == []  # not even for a moment whether to keep what is kept already
    expect(kept.get_by_label("365 days")).to_be_checked()
    assert shop.ask("{ merchant { retentionDays } }")["merchant"]["retentionDays"] == "DAYS_365"


def test_a_question_asks_the_same_until_it_is_answered(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Hashed by two")
    update(shop, hashUserData=False)
    page = visit_without_looking(visit, shop, "/settings")
    region(page, "What is kept").get_by_role("button", name="Hash them …").click()
    dialog = page.get_by_role("dialog")
    update(shop, hashUserData=True)
    look(page, "Settings")
    expect(page.get_by_text("They are hashed as they come in")).to_have_count(1)
    expect(dialog).to_have_attribute("aria-label", "Hash email and phone?")
    dialog.get_by_role("button", name="Hash from now on").click()
    expect(page.locator(".said")).to_have_text("Saved.")
    assert shop.ask("{ merchant { hashUserData } }")["merchant"]["hashUserData"] is True


def test_setting_up_what_a_colleague_has_just_set_up_keeps_what_it_takes(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Set up by two")
    page = visit_without_looking(visit, shop, "/destinations/snapchat")
    settings = example_settings(mapper_for("snapchat"))
    form = region(page, "Settings")
    for name, value in settings.items():
        field = form.locator(f"#setting-{name}:visible:not([type=password])")
        if field.count():
            field.fill(str(value))
    told = {"platform": "SNAPCHAT", "settings": settings, "eventNames": ["Purchase"]}
    assert shop.ask(SET, input=told)["setDestination"]["userErrors"] == []
    form.get_by_role("button", name="Set up Snapchat").click()
    expect(page.locator(".said")).to_have_text("Saved.")
    (found,) = shop.ask(DESTINATIONS)["merchant"]["destinations"]
    assert found["eventNames"] == ["Purchase"]


def test_a_secret_is_not_put_over_a_colleagues_without_a_word(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("A secret of two", "meta")
    page = visit_without_looking(visit, shop, "/destinations/meta")
    form = region(page, "Settings")
    token = form.locator("#setting-access_token")
    token.fill("EAAmine-111111111111111111111111")
    shop.ask(SET, input={"platform": "META", "settings": {"access_token": "EAAtheirs-2222222222222222222222"}})
    (stored,) = shop.ask(DESTINATIONS)["merchant"]["destinations"]
    waiting = hold(
        page, "Destinations", after=1
    )  # the look before it is saved is answered, what the screen asks then is not
    save(form)
    expect(page.locator(".said")).to_have_text(NOT_SAVED)
    moved = form.get_by_role("alert").filter(has_text=MEANWHILE)
    expect(moved).to_contain_text(f"as it is now: {stored['settings']['access_token']}")
    assert shop.ask(DESTINATIONS)["merchant"]["destinations"] == [stored]
    token.fill("")  # empty it keeps what is stored: nothing is changed here any more
    expect(moved).to_have_count(0)
    for route in waiting:
        route.continue_()
    page.unroute_all()
    token.fill("EAAmine-333333333333333333333333")
    save(form)
    expect(page.locator(".said")).to_have_text("Saved.")
    expect(token).to_have_value("")
    assert shop.ask(DESTINATIONS)["merchant"]["destinations"] != [stored]


def lose(route: Route) -> None:
    """It is done, and nobody hears of it."""
    route.fetch()
    route.abort()


def test_a_secret_whose_answer_was_lost_is_nobody_elses(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Lost on its way back", "meta")
    made = {"kind": "WEBHOOK", "url": "http://127.0.0.1:9/first", "topics": ["*"]}
    assert shop.ask(CHANNEL, input=made)["setAlertChannel"]["userErrors"] == []
    page = visit_without_looking(visit, shop, "/destinations/meta")
    form = region(page, "Settings")
    token = form.locator("#setting-access_token")
    intercept(page, "SetDestination", lose)
    token.fill(" EAAmine-111111111111111111117777 ")
    save(form)
    expect(page.locator(".said")).to_have_text(UNKNOWN)
    look(page, "Destinations")
    expect(token).to_have_value("")
    expect(form.locator("#setting-access_token-stored")).to_contain_text("••••7777")
    expect(form.get_by_role("alert").filter(has_text=MEANWHILE)).to_have_count(0)

    page.goto("/settings")
    page.get_by_role("button", name="Change …").click()
    dialog = page.get_by_role("dialog")
    intercept(page, "SetAlertChannel", lose)
    dialog.get_by_label("Address").fill("http://127.0.0.2:9/second")
    dialog.get_by_label("Fewer deliveries succeed").check()
    save(dialog)
    expect(dialog.get_by_role("alert")).to_have_text(UNKNOWN)
    look(page, "Settings")
    expect(dialog.get_by_label("Address")).to_have_value("")
    expect(dialog.get_by_role("alert").filter(has_text=MEANWHILE)).to_have_count(0)
    visit.complaints.clear()  # browsers write down what did not come


def test_a_colleagues_change_is_told_after_a_save_that_was_refused(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Refused, then changed")
    page = visit_without_looking(visit, shop, "/settings")
    general = region(page, "General")
    general.get_by_label("Currency, where an event brings none").fill("EURO")
    save(general)
    expect(page.locator(".said")).to_have_text("Not saved.")
    update(shop, requireConsent="ALWAYS")
    look(page, "Settings")
    expect(general.get_by_label("Ask for consent everywhere")).to_be_checked()
    general.get_by_label("Ask for consent in the EEA").check()
    update(shop, requireConsent="NEVER")
    look(page, "Settings")
    moved = general.get_by_role("alert").filter(has_text=MEANWHILE)
    expect(moved).to_contain_text("Consent, as it is now: Send unless consent is denied")


def test_a_channel_is_changed_in_what_was_changed_alone(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("A channel of two")
    made = {"kind": "WEBHOOK", "url": "http://127.0.0.1:9/first", "topics": ["*"], "minSeverity": "WARNING"}
    channel = shop.ask(CHANNEL, input=made)["setAlertChannel"]["channel"]
    page = visit_without_looking(visit, shop, "/settings")
    page.get_by_role("button", name="Change …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Address").fill("http://127.0.0.2:9/second")
    theirs = {"id": channel["id"], "topics": ["value_lost"], "minSeverity": "CRITICAL"}
    assert shop.ask(CHANNEL, input=theirs)["setAlertChannel"]["userErrors"] == []
    save(dialog)
    expect(page.locator(".said")).to_have_text("Saved.")
    (found,) = shop.ask(CHANNELS)["merchant"]["alertChannels"]
    assert found["url"] != channel["url"]
    assert (found["topics"], found["minSeverity"]) == (["value_lost"], "CRITICAL")

    page.get_by_role("button", name="Change …").click()
    dialog.get_by_label("Warnings and critical ones").check()
    assert shop.ask(CHANNEL, input={"id": channel["id"], "topics": ["*"]})["setAlertChannel"]["userErrors"] == []
    dialog.get_by_label("Fewer deliveries succeed").check()
    save(dialog)
    expect(dialog.get_by_role("alert").filter(has_text=MEANWHILE)).to_contain_text("Told of, as it is now: All alerts")
    assert shop.ask(CHANNELS)["merchant"]["alertChannels"] == [{**found, "topics": ["*"]}]
    save(dialog)
    expect(dialog).to_have_count(0)
    (found,) = shop.ask(CHANNELS)["merchant"]["alertChannels"]
    assert (sorted(found["topics"]), found["minSeverity"]) == (["delivery_rate_drop", "value_lost"], "WARNING")


def test_what_was_put_back_is_no_more_what_is_stored(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Put back")
    page = visit_without_looking(visit, shop, "/settings")
    general = region(page, "General")
    never = general.get_by_label("Send unless consent is denied")
    expect(never).to_be_checked()
    general.get_by_label("Ask for consent in the EEA").check()
    update(shop, requireConsent="ALWAYS")
    look(page, "Settings")
    moved = general.get_by_role("alert").filter(has_text=MEANWHILE)
    expect(moved).to_contain_text("Consent, as it is now: Ask for consent everywhere")
    never.check()
    expect(moved).to_be_visible()
    general.get_by_label("Ask for consent everywhere").check()
    expect(moved).to_have_count(0)
    expect(general.get_by_role("button", name="Save")).to_have_attribute("aria-disabled", "true")
    never.check()
    save(general)
    expect(page.locator(".said")).to_have_text("Saved.")
    assert shop.ask("{ merchant { requireConsent } }")["merchant"]["requireConsent"] == "NEVER"


def test_what_was_typed_stays_where_a_colleague_removes_the_destination(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Removed under one's hands", "meta")
    page = visit_without_looking(visit, shop, "/destinations/meta")
    form = region(page, "Settings")
    dataset = form.get_by_label(re.compile("^Dataset"))
    dataset.fill("999888777666555")
    assert shop.ask(REMOVE)["removeDestination"]["userErrors"] == []
    look(page, "Destinations")
    expect(page.get_by_role("alert").filter(has_text="Meta was removed meanwhile")).to_be_visible()
    expect(dataset).to_have_value("999888777666555")
    asked = questions(page)
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Home").click()
    assert asked == ["confirm"]


def test_a_secret_that_is_shown_once_is_not_lost_without_a_question(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Shown once")
    id, key = shop.new_key("for a while", "ADMIN")
    page = visit(key)
    asked = questions(page)
    page.goto("/settings")
    page.get_by_role("button", name="Create a key …").click()
    page.get_by_role("dialog").get_by_label("Name").fill("backend")
    page.get_by_role("dialog").get_by_role("button", name="Create", exact=True).click()
    once = page.get_by_role("dialog", name="Your new key")
    expect(once).to_contain_text("This is shown once.")
    page.keyboard.press("Escape")
    assert asked == ["confirm"]
    secret = once.locator("code").inner_text()
    assert shop.ask(REVOKE, id=id)["revokeApiKey"]["userErrors"] == []
    is_out(page)
    sign_in(page, shop.key)
    expect(once.locator("code")).to_have_text(secret)
    once.get_by_role("button", name="I have kept it").click()
    expect(once).to_have_count(0)
    assert asked == ["confirm"]


def test_who_leaves_while_a_secret_is_made_is_asked(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Made slowly")
    page = visit(shop.key)
    asked: list[str] = []
    held: list[Route] = []

    def stay(question: Dialog) -> None:
        asked.append(question.message)
        question.dismiss()

    page.on("dialog", stay)
    intercept(page, "CreateApiKey", held.append)
    page.goto("/")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Create a key …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("backend")
    create = dialog.get_by_role("button", name="Create", exact=True)
    create.click()
    expect(create).to_have_attribute("aria-disabled", "true")
    while not held:
        page.wait_for_timeout(20)
    page.evaluate("history.back()")
    while not asked:
        page.wait_for_timeout(20)
    assert asked == [MAKING]
    held[0].continue_()
    expect(page.get_by_role("dialog", name="Your new key").locator("code")).to_have_text(re.compile("^tl_"))
