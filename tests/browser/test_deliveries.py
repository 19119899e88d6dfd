"""Deliveries: from what happened to sending it again, looked at before it is done, and followed over a reload."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitors, hold
from tests.browser.installation import Installation, Shop
from tests.browser.test_stale import AWAY, FRAMES, intercept

SET = "mutation($input: SetDestinationInput!) { setDestination(input: $input) { userErrors { message } } }"
MANY = 1_205  # a page of a redelivery and some more
META: dict[str, Any] = {"pixel_id": "8234567890123456", "access_token": "token-of-the-tests"}
TIKTOK: dict[str, Any] = {"pixel_code": "C4A1B2C3D4E5F6G7H8I9", "access_token": "token-of-the-tests"}


def shop_with(installed: Installation, name: str, platform: str | None = "META") -> Shop:
    made = installed.new_shop(name)
    if platform is not None:
        add_destination(made, platform)
    return made


def add_destination(shop: Shop, platform: str) -> None:
    settings = {"META": META, "TIKTOK": TIKTOK}[platform]
    assert shop.ask(SET, input={"platform": platform, "settings": settings})["setDestination"]["userErrors"] == []


def groups(page: Page) -> Locator:
    return page.get_by_role("region", name="What happened, the worst first").get_by_role("listitem")


def test_a_group_is_sent_again_in_the_background_and_followed_over_a_reload(
    visit: Visitors, installed: Installation
) -> None:
    shop = shop_with(installed, "Refunds")
    ids = [f"refund_{n}" for n in range(MANY)]
    for start in range(0, MANY, 300):
        shop.send(*ids[start : start + 300], eventName="Refund")
    shop.wait_for(ids[-1], "META", "DROPPED")

    page = visit(shop.key)
    page.goto("/deliveries")
    group = groups(page).filter(has_text="Unsupported event")
    expect(group).to_contain_text("1,000")
    expect(group).to_contain_text("or more")
    expect(group).to_contain_text(f"{MANY:,} exactly")
    group.get_by_role("link", name="Show them").click()
    expect(page).to_have_url(re.compile("platform=META&status=DROPPED&dropReason=UNSUPPORTED_EVENT"))

    group.get_by_role("button", name="Redeliver").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{MANY:,} of {MANY:,} deliveries would be queued again. None is left out.")
    expect(dialog).to_contain_text("Not likely: none of them was left without an answer for longer")
    shop.wait_for(ids[0], "META", "DROPPED")  # nothing is done yet
    dialog.get_by_role("button", name=f"Redeliver {MANY:,}").click()

    progress = page.get_by_role("region", name="Redelivery", exact=True)
    expect(page).to_have_url(re.compile(f"job=[^&]+&of={MANY}"))
    expect(progress).to_contain_text("Finished")
    expect(progress).to_contain_text(f"{MANY:,} deliveries looked at")
    page.reload()
    expect(progress).to_contain_text(f"{MANY:,} queued again, 0 left as they are")
    recent = page.get_by_role("region", name="Redeliveries in the background")
    expect(recent.get_by_role("row")).to_have_count(2)  # its head, and this one
    expect(recent).to_contain_text("Meta · Dropped · Unsupported event")


def test_rows_come_no_sooner_than_the_groups_above_them(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Pushed down")
    shop.send("refunded", eventName="Refund")
    shop.send("bought")
    shop.wait_for("refunded", "META", "DROPPED")
    shop.wait_for("bought", "META", "DELIVERED")
    page = visit(shop.key)
    held = hold(page, "DeliveryGroups")
    answered = re.compile(r"query DeliveryRows\b")
    rows = page.get_by_role("region", name=re.compile("newest first$")).locator("tbody tr")
    with page.expect_response(lambda answer: answered.search(answer.request.post_data or "") is not None):
        page.goto("/deliveries")
    expect(page.get_by_role("main").get_by_role("status").filter(has_text="Loading")).to_have_count(2)
    assert rows.count() == 0
    for route in held:
        route.continue_()
    expect(rows).to_have_count(2)
    page.unroute_all()

    # The rows before stay until the groups of other filters are there as well.
    held = hold(page, "DeliveryGroups")
    with page.expect_response(lambda answer: answered.search(answer.request.post_data or "") is not None):
        groups(page).get_by_role("link", name="Show them").click()
    page.evaluate(FRAMES)
    assert rows.count() == 2
    for route in held:
        route.continue_()
    expect(rows).to_have_count(1)


def test_what_would_be_refused_is_told_beforehand_by_reason(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Old events")
    shop.send("new_1", "new_2", eventName="Refund")
    shop.wait_for("new_2", "META", "DROPPED")
    shop.send("fine")
    shop.wait_for("fine", "META", "DELIVERED")
    page = visit(shop.key)
    page.goto("/deliveries?status=DROPPED&status=DELIVERED")
    page.get_by_role("button", name="Redeliver all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 of 3 deliveries would be queued again. The other is left as it is.")
    row = dialog.get_by_role("row").filter(has_text="Already delivered")
    expect(row).to_contain_text("fine")


def test_what_would_be_dropped_again_is_told_and_no_success(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Dropped again")
    shop.send("bare_1", "bare_2", userData={})
    shop.wait_for("bare_2", "META", "DROPPED")
    page = visit(shop.key)
    page.goto("/deliveries?status=DROPPED")
    page.get_by_role("button", name="Redeliver all that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("All 2 would be dropped again at once")
    again = dialog.get_by_role("group", name="Dropped again, by reason").get_by_role("row")
    expect(again.filter(has_text="Missing identifiers")).to_contain_text("userData")
    expect(dialog.get_by_role("button", name="Redeliver")).to_have_count(0)
    dialog.get_by_role("button", name="Close", exact=True).last.click()

    shop.send("priced", customData={"value": "5.00"})
    shop.wait_for("priced", "META", "DROPPED")
    shop.set_destination("meta", default_currency="EUR")
    page.get_by_role("button", name="Redeliver all that match").click()
    expect(dialog).to_contain_text("2 of them would be dropped again at once")
    dialog.get_by_role("button", name="Redeliver 3").click()
    told = "3 deliveries are queued again; 2 of these are dropped again at once: missing identifiers."
    expect(page.locator(".said.bad")).to_have_text(told)
    shop.wait_for("priced", "META", "DELIVERED")


def test_both_dialogs_say_how_many_may_count_twice_however_many_are_newer(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("May count twice", "meta")
    unanswered, refused = [f"risk-{n}" for n in range(3)], [f"plain-{n}" for n in range(60)]
    installed.fault("meta", "drop_after_accept", event_ids=unanswered)
    try:
        shop.send(*unanswered)
        for event_id in unanswered:
            shop.wait_for(event_id, "META", "FAILED")
        installed.mend()
        installed.fault("meta", "refuse", event_ids=refused)
        shop.send(*refused)
        for event_id in refused:
            shop.wait_for(event_id, "META", "FAILED")
        page = visit(shop.key)
        risk = page.get_by_role("dialog").locator(".risk")
        page.goto("/deliveries?platform=META")
        page.get_by_role("button", name="Redeliver all that match …").click()
        expect(risk).to_contain_text("3 of these 63 may: an attempt got no answer")
        page.goto("/events?id=risk-")
        page.locator("tbody input").first.check()
        page.get_by_role("button", name="Redeliver …").click()
        expect(risk).to_contain_text("It may: an attempt got no answer")
        intercept(page, "Redeliver", lambda route: route.fulfill(json=AWAY))
        page.goto("/deliveries?platform=META")
        page.get_by_role("button", name="Redeliver all that match …").click()
        expect(page.get_by_role("dialog")).to_contain_text("Away.")
        expect(risk).to_have_count(0)
    finally:
        installed.mend()


def test_rows_are_chosen_and_sent_again_by_keys_alone(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Keys")
    installed.fault("meta", "refuse", event_ids=["kept", "again"])
    shop.send("kept", "again")
    shop.wait_for("kept", "META", "FAILED")
    shop.wait_for("again", "META", "FAILED")
    installed.mend()

    page = visit(shop.key)
    page.goto("/deliveries?status=FAILED")
    rows = page.get_by_role("region", name="Deliveries that match, newest first").locator("tbody tr")
    expect(rows).to_have_count(2)
    chosen = rows.nth(1).get_by_role("link").inner_text()
    for key in ("j", "j", "x", "r"):
        page.keyboard.press(key)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 selected delivery")
    dialog.get_by_role("button", name="Redeliver 1").press("Enter")
    shop.wait_for(chosen, "META", "DELIVERED")
    (other,) = {"kept", "again"} - {chosen}
    assert installed.accepted("meta", other) == 0


def test_stored_events_get_the_deliveries_that_they_never_had(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Late destination", None)
    shop.send("early_1", "early_2", "early_3")
    add_destination(shop, "TIKTOK")
    page = visit(shop.key)
    page.goto("/deliveries?stored=TIKTOK")
    dialog = page.get_by_role("dialog", name="Deliver stored events")
    dialog.get_by_role("button", name="Count what would be made").click()
    expect(dialog).to_contain_text("3 of 3 stored events would get a delivery to TikTok. None is left out.")
    dialog.get_by_role("button", name="Make 3 deliveries").click()
    expect(dialog).to_have_count(0)
    assert "stored" not in page.url
    shop.wait_for("early_3", "TIKTOK", "DELIVERED")


def test_a_key_that_reads_sees_all_and_is_told_what_it_lacks(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Readers")
    shop.send("refund", eventName="Refund")
    shop.wait_for("refund", "META", "DROPPED")
    page = visit(shop.new_key("reader", "READ")[1])
    page.goto("/deliveries")
    button = groups(page).get_by_role("button", name="Redeliver")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_accessible_name(re.compile(r"needs the scope ADMIN"))
    button.click(force=True)
    expect(page.get_by_role("status").filter(has_text="lacks the scope ADMIN")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_what_a_platform_puts_off_is_told_with_all_that_waits_for_it(visit: Visitors, installed: Installation) -> None:
    shop = shop_with(installed, "Too fast")
    installed.fault("meta", "rate_limit", retry_after=3000)
    shop.send("too-fast-1", "too-fast-2")
    page = visit(shop.key)
    page.goto("/deliveries")
    card = groups(page).filter(has_text="Queued")
    expect(card.locator("code").first).to_be_visible()  # the platform's code of those that it was sent
    shop.send("behind-1", "behind-2", "behind-3")
    expect(card.locator(".figure strong")).to_have_text("5")
    card.get_by_role("link", name="Show them").click()
    rows = page.get_by_role("region", name="Deliveries that match, newest first").locator("tbody tr")
    expect(rows).to_have_count(5)
