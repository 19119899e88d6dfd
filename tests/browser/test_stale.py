"""What a screen says when answers fail, come late or tell of other rows than are seen: never more than is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browser.conftest import Visitors, hold
from tests.browser.installation import Installation, Shop
from tests.browser.test_notifications import SAID, refuse
from tests.browser.test_outage import TITLE

FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
AWAY: Mapping[str, Any] = {"data": None, "errors": [{"message": "Away.", "extensions": {"code": "AWAY"}}]}
PAGE = 50
OPEN_ROWS = """{ alerts(filter: {state: OPEN}) { nodes {
  __typename id kind severity state platform eventName title openedAt acknowledgedAt snoozedUntil resolvedAt } } }"""


def operation_of(route: Route) -> str:
    """The name of what is asked for; '' where it is no operation."""
    asked = re.match(r"(?:query|mutation) (\w+)", (route.request.post_data_json or {}).get("query", ""))
    return asked[1] if asked else ""


def intercept(page: Page, operation: str, answer: Callable[[Route], object]) -> None:
    """What answers an operation instead of the server."""
    page.route("**/graphql", lambda route: answer(route) if operation_of(route) == operation else route.fallback())


def listen(page: Page) -> list[str]:
    """The names of what is asked from now on, as it is asked."""
    asked: list[str] = []

    def note(route: Route) -> None:
        asked.append(operation_of(route))
        route.fallback()

    page.route("**/graphql", note)
    return asked


def test_an_alert_is_over_only_when_that_is_told(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Away")
    alert = refuse(shop, "Lead")
    page = visit(shop.key)
    page.clock.install()
    page.goto("/notifications")
    row = page.get_by_role("row", name=f"{SAID} Lead events are refused")
    expect(row).to_be_visible()

    # Others pushed it out of the answer.
    none = {"data": {"alerts": {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}}}
    intercept(page, "OpenNotifications", lambda route: route.fulfill(json=none))
    with page.expect_response(lambda answer: "NotificationsAgain" in (answer.request.post_data or "")):
        page.clock.run_for(31_000)
    page.evaluate(FRAMES)
    expect(row).not_to_contain_text("Resolved")

    # Nobody answers what the filters ask for now.
    intercept(page, "OpenNotifications", lambda route: route.fulfill(json=AWAY))
    page.get_by_role("combobox", name="Platform").select_option("Meta")
    expect(page.get_by_role("alert").filter(has_text="Away.")).to_be_visible()
    expect(row).not_to_contain_text("Resolved")
    expect(page.locator("table.stale")).to_be_visible()

    # What stands under "now" is renewed.
    page.goto(f"/notifications/{alert}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Lead events are refused")
    with page.expect_request(lambda request: "query AdviceNow" in (request.post_data or "")):
        page.clock.run_for(16_000)


def test_that_none_is_open_is_said_by_the_newest_whole_answer_alone(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("One after the other")
    refuse(shop, "Lead")
    page = visit(shop.key)
    page.clock.install()
    page.goto("/notifications")
    row = page.get_by_role("row", name=f"{SAID} Lead events are refused")
    clear = page.get_by_text("No alert is open")
    expect(row).to_be_visible()
    (known,) = shop.ask(OPEN_ROWS)["alerts"]["nodes"]
    over = {**known, "state": "RESOLVED", "resolvedAt": known["openedAt"]}
    last = {"hasNextPage": False, "endCursor": None}
    answers: list[dict[str, Any]] = [
        {
            "nodes": [{**known, "id": "another", "title": "Another one"}],
            "pageInfo": last,
        },  # it opened as the first one ended
        {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}},  # there are more of them
    ]
    current: Mapping[str, Any] = {}
    intercept(page, "OpenNotifications", lambda route: route.fulfill(json=current))
    intercept(page, "NotificationsAgain", lambda route: route.fulfill(json={"data": {"nodes": [over]}}))

    def ask_again() -> None:
        with page.expect_response(lambda answer: "query OpenNotifications" in (answer.request.post_data or "")) as came:
            page.clock.run_for(31_000)
        came.value.finished()
        page.evaluate(FRAMES)

    for answer in answers:
        current = {"data": {"alerts": answer}}
        ask_again()
        expect(row).to_contain_text("Resolved")
        expect(clear).to_have_count(0)
    current = {"data": {"alerts": {"nodes": [], "pageInfo": last}}}
    ask_again()
    expect(clear).to_have_count(1)
    current = AWAY  # from then on it is not known
    ask_again()
    expect(clear).to_have_count(0)


def test_rows_of_other_filters_are_marked_until_there_is_an_answer(page: Page, shop: Shop) -> None:
    shop.send("marked-1", "marked-2")
    page.goto("/events?id=marked-")
    links = page.get_by_role("link", name=re.compile("^marked-"))
    expect(links).to_have_count(2)
    expect(page.locator("table.stale")).to_have_count(0)
    intercept(page, "EventList", lambda route: route.fulfill(json=AWAY))
    page.get_by_label("Event name").fill("Lead")
    expect(page.get_by_role("alert").filter(has_text="Away.")).to_be_visible()
    expect(page.locator("table.stale")).to_be_visible()
    expect(links).to_have_count(2)
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="No event fits these filters.")).to_be_visible()


def test_rows_that_newer_ones_push_away_are_renewed_and_then_chosen_no_more(
    visit: Visitors, installed: Installation
) -> None:
    shop = installed.new_shop("Pushed Away", "meta")
    newer = [f"newer-{number}" for number in range(PAGE + 1)]
    installed.fault("meta", "refuse", event_ids=["older", *newer])
    shop.send("older")
    shop.wait_for("older", "META", "FAILED")
    page = visit(shop.key)
    page.goto("/deliveries?status=FAILED")
    older = page.get_by_role("row", name="older")
    expect(older).to_contain_text("Retrying")
    older.get_by_role("checkbox").check()
    expect(page.get_by_role("button", name="Redeliver 1 selected row")).to_be_visible()

    shop.send(*newer)
    shop.wait_for(newer[-1], "META", "FAILED")
    fresh = page.get_by_role("button", name="50 or more new rows: show")
    expect(fresh).to_be_visible()
    installed.mend()
    (delivery,) = shop.ask('{ event(eventId: "older") { deliveries { id } } }')["event"]["deliveries"]
    sent = shop.ask(
        "mutation($ids: [ID!]) { redeliver(filter: {}, ids: $ids) { requeued userErrors { message } } }",
        ids=[delivery["id"]],
    )
    assert sent["redeliver"] == {"requeued": 1, "userErrors": []}
    expect(older).to_contain_text("Delivered")

    fresh.click()
    expect(older).to_have_count(0)
    expect(page.get_by_role("button", name="selected row")).to_have_count(0)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("row", name=re.compile("newer-"))).to_have_count(1)


def test_home_stands_while_it_is_paused(page: Page, shop: Shop) -> None:
    shop.send("paused-at-home")
    page.clock.install()
    page.goto("/?range=1h")
    expect(page.get_by_role("heading", name="What became of every event")).to_be_visible()
    page.keyboard.press(".")
    expect(page.get_by_role("button", name="Paused")).to_be_visible()
    asked = listen(page)
    page.clock.run_for(180_000)  # three more minutes of the ledger
    page.evaluate(FRAMES)
    # The live connection, which had no time to answer by this clock, is no part of it.
    assert set(asked) <= {"OpenAlerts"}
    page.keyboard.press(".")
    with page.expect_request(lambda request: "query HomeLedger" in (request.post_data or "")):
        page.clock.run_for(1000)


def test_a_late_answer_takes_nobody_away(page: Page, shop: Shop) -> None:
    shop.send("looked-up-late")
    page.goto("/events")
    held: list[Route] = []
    intercept(page, "EventById", held.append)
    box = page.get_by_label("Event id begins with")
    box.fill("looked-up-late")
    with page.expect_request(lambda request: "query EventById" in (request.post_data or "")):
        box.press("Enter")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Destinations").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Destinations")
    with page.expect_response(lambda answer: "query EventById" in (answer.request.post_data or "")) as answered:
        held[0].continue_()
    answered.value.finished()
    page.evaluate(FRAMES)
    expect(page).to_have_url("/destinations")


def test_what_is_counted_for_one_platform_is_never_made_for_another(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Two Platforms")
    shop.send("stored-1", "stored-2")
    shop.set_destination("meta")
    shop.set_destination("tiktok")
    page = visit(shop.key)
    held: list[Route] = []
    intercept(page, "DeliverStored", held.append)
    page.goto("/deliveries?stored=META")
    dialog = page.get_by_role("dialog", name="Deliver stored events")
    look = dialog.get_by_role("button", name="Count what would be made")
    with page.expect_request(lambda request: "mutation DeliverStored" in (request.post_data or "")):
        look.click()
    dialog.get_by_label("To").select_option("TikTok")
    expect(look).to_be_enabled()
    expect(dialog.get_by_role("button", name="Make")).to_have_count(0)
    page.unroute_all()
    look.click()
    expect(dialog).to_contain_text("2 of 2 stored events would get a delivery to TikTok.")
    assert len(held) == 1


def test_the_menu_counts_no_alert_that_is_over(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Late Count", "meta")
    shop.set_destination("linkedin", access_token="expired-token")
    shop.send("before-the-count")
    page = visit(shop.key)
    page.goto("/notifications")
    row = page.get_by_role("row").filter(has_text=TITLE)
    expect(row).to_contain_text("Critical")
    menu = page.get_by_role("navigation", name="Screens").get_by_role("link", name="Notifications")
    expect(menu).to_have_text("Notifications1 open alerts")

    late: list[tuple[Route, APIResponse]] = []
    is_late = True
    intercept(page, "OpenAlerts", lambda route: late.append((route, route.fetch())) if is_late else route.fallback())
    page.reload()
    expect(row).to_contain_text("Critical")
    shop.set_destination("linkedin")
    expect(row).to_contain_text("Resolved", timeout=60_000)
    is_late = False
    for route, answer in late:
        route.fulfill(response=answer)
    page.evaluate(FRAMES)
    expect(menu).to_have_text("Notifications")


def test_an_unknown_count_of_alerts_looks_unknown_and_is_asked_again(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Uncounted")
    refuse(shop, "Lead")
    page = visit(shop.key)
    page.clock.install()
    is_away = True
    intercept(page, "OpenAlerts", lambda route: route.fulfill(json=AWAY) if is_away else route.fallback())
    page.goto("/destinations")
    menu = page.get_by_role("navigation", name="Screens").get_by_role("link", name="Notifications")
    unknown = "? open alerts: how many is not known now"
    expect(menu).to_have_text(f"Notifications{unknown}")
    is_away = False
    page.clock.run_for(4000)
    expect(menu).to_have_text("Notifications1 open alerts")

    # A change alone does not say how many there are.
    is_away = True
    page.reload()
    expect(menu).to_have_text(f"Notifications{unknown}")
    refuse(shop, "Search")
    page.clock.run_for(1000)
    expect(menu).to_have_text(f"Notifications{unknown}")
    is_away = False
    page.clock.run_for(4000)
    expect(menu).to_have_text("Notifications2 open alerts")


def test_what_is_not_answered_beside_a_list_is_said_there(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Not answered")
    alert = refuse(shop, "Lead")
    page = visit(shop.key)
    away = page.get_by_role("alert").filter(has_text="Away.")
    for operation in ("WhoIsTold", "AdviceNow", "Erasures", "EventsKept", "EventsAlike"):
        intercept(page, operation, lambda route: route.fulfill(json=AWAY))
    for path in (
        "/notifications",
        f"/notifications/{alert}",
        "/settings",
        "/events?id=nobody-has-this",
        "/events/nobody-has-this",
    ):
        page.goto(path)
        expect(away).to_have_count(1)
        expect(away.get_by_role("button", name="Try again")).to_be_visible()


def test_words_are_looked_for_in_a_part_and_that_is_said(page: Page, shop: Shop) -> None:
    page.goto("/deliveries?errorContains=nobody-ever-said-this")
    expect(
        page.get_by_role("heading", name="None of the newest 1,000 of each kind has these words in its error.")
    ).to_be_visible()


def test_what_a_change_answered_stands_there_before_it_is_asked_for_anew(
    visit: Visitors, installed: Installation
) -> None:
    page = visit(installed.new_shop("Paused slowly", "meta").key)
    page.goto("/destinations/meta")
    pause = page.get_by_role("button", name="Pause …")
    expect(pause).to_be_visible()
    hold(page, "Destinations")
    pause.click()
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".said")).to_have_text("Meta is paused.")
    expect(page.get_by_role("button", name="Resume …")).to_be_visible()
    expect(pause).to_have_count(0)


def test_a_platform_has_its_name_before_it_is_asked_for(visit: Visitors, installed: Installation) -> None:
    page = visit(installed.new_shop("Named at once").key)
    hold(page, "Platforms")
    hold(page, "PlatformForms")
    page.goto("/destinations/google_ads")
    expect(page.get_by_role("heading", level=1)).to_have_text("Google Ads")


def test_what_is_compared_on_the_home_screen_pushes_no_platform_down(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Compared late", "meta")
    shop.send("compared")
    page = visit(shop.key)
    held = hold(page, "HomeBefore")
    with (
        page.expect_response(lambda answer: "query HomeDestinations" in (answer.request.post_data or "")),
        page.expect_response(lambda answer: "query HomeLedger" in (answer.request.post_data or "")),
    ):
        page.goto("/?range=24h")
    page.evaluate(FRAMES)
    platforms = page.get_by_role("region", name="Platforms")
    assert platforms.count() == 0
    for route in held:
        route.continue_()
    expect(platforms).to_be_visible()
