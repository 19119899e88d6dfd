"""What happens to the machine in front, and on the way to the one behind: the dashboard goes on by itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from playwright.sync_api import Dialog, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import Visitors
from tests.browser.installation import Installation, Shop
from tests.browser.test_stale import FRAMES


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


@pytest.mark.parametrize("what", ["part-", "dashboard-"])
def test_a_page_whose_first_script_did_not_come_says_so_and_is_loaded_again(
    visit: Visitors, installed: Installation, what: str
) -> None:
    page = visit(installed.shop.key)
    away = re.compile(rf"/static/{what}\w+\.js$|/healthz$")
    page.route(away, lambda route: route.abort())
    page.goto("/settings")
    expect(page.get_by_role("alert")).to_contain_text("A part of the dashboard could not be loaded.")
    expect(page.get_by_role("link", name="Docs")).to_be_visible()
    page.unroute(away)
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    visit.complaints.clear()  # browsers write down what did not come


def test_a_clock_that_is_wrong_hides_nothing_and_is_told(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Slow clock", "meta")
    shop.send("seen-by-a-slow-clock")
    page = visit(shop.key)
    page.clock.install(time=datetime.now(UTC) - timedelta(minutes=30))
    page.goto("/?range=1h")
    main = page.get_by_role("main")
    expect(main).to_contain_text(re.compile("This computer’s clock is (29|30) min slow"))
    figure = main.get_by_role("listitem").filter(has_text="New events")
    expect(figure.locator(".home-figure")).to_have_text("1")


def test_back_leads_to_where_one_was(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Long lists")
    shop.send(*(f"scrolled-{number}" for number in range(50)))
    page = visit(shop.key)
    page.goto("/events")
    row = page.get_by_role("link", name="scrolled-10", exact=True)
    row.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    row.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("scrolled-10")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(row).to_be_visible()
    page.wait_for_function("(before) => scrollY === before", arg=before)
    page.go_forward()
    expect(page.get_by_role("heading", level=1)).to_have_text("scrolled-10")
    page.go_back()
    page.reload()
    page.wait_for_function("(before) => scrollY === before", arg=before)


def test_notifications_say_when_nothing_is_heard(visit: Visitors, installed: Installation) -> None:
    page = visit(installed.shop.key)
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        if sockets:
            return  # nobody answers
        sockets.append(socket)
        socket.connect_to_server()

    page.route_web_socket(re.compile("/graphql$"), through)
    page.goto("/notifications")
    expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    sockets[0].close(code=1012)
    expect(page.get_by_role("button", name="Connecting …")).to_be_visible()
    expect(page.get_by_role("button", name="Live", exact=True)).to_have_count(0)


def test_a_connection_on_which_nothing_comes_any_more_is_none(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Black hole")
    page = visit(shop.key)
    page.clock.install()
    is_mute = False
    pongs: list[str | bytes] = []

    def through(socket: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            if is_mute:
                return
            socket.send(message)
            if orjson.loads(message)["type"] == "pong":
                pongs.append(message)

        socket.connect_to_server().on_message(pass_on)

    page.route_web_socket(re.compile("/graphql$"), through)
    page.goto("/notifications")
    live = page.get_by_role("button", name="Live", exact=True)
    lost = page.get_by_role("button", name="Connecting …")
    expect(live).to_be_visible()
    page.clock.run_for(16_000)  # asked, and answered
    while not pongs:
        page.wait_for_timeout(20)
    page.evaluate(FRAMES)
    page.clock.run_for(11_000)
    expect(live).to_be_visible()
    is_mute = True
    page.clock.run_for(16_000)
    page.clock.run_for(11_000)
    expect(lost).to_be_visible()
    is_mute = False
    page.clock.run_for(40_000)
    expect(live).to_be_visible()

    # Neither does a question wait for ever, and no screen is live whose questions nobody answers.
    page.goto("/events")
    expect(live).to_be_visible()
    held: list[Route] = []
    page.route("**/graphql", lambda route: held.append(route))
    with page.expect_request(lambda request: "query EventList" in (request.post_data or "")):
        page.clock.run_for(10_000)
    page.clock.run_for(31_000)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("TrackLayer does not answer. It is asked again in a moment.")
    expect(lost).to_be_visible()
    page.unroute_all()
    page.clock.run_for(40_000)
    expect(live).to_be_visible()
    expect(alert).to_have_count(0)


def test_charts_are_drawn_whatever_a_browser_calls_its_language(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("C")
    shop.send("in-no-language")
    page = visit(shop.key)
    page.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US@posix', configurable: true })"
    )
    page.goto("/")
    expect(page.locator(".home-charts canvas")).to_have_count(2)

    # A part that is broken comes no better when the page is loaded anew.
    broken = "throw new RangeError('of its own')"
    page.route(re.compile("/static/part-"), lambda route: route.fulfill(body=broken, content_type="text/javascript"))
    page.add_init_script("globalThis.begun = performance.now()")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Settings").click()
    expect(page.get_by_role("alert")).to_contain_text("met a fault of its own")
    assert page.evaluate("'begun' in globalThis") is False
    assert visit.complaints  # the console says which
    visit.complaints.clear()


@pytest.mark.parametrize(
    ("screen", "path", "label"),
    [("Settings", "/settings", "Currency, where"), ("Destinations", "/destinations/meta", "Dataset")],
)
def test_what_is_not_saved_is_not_lost_without_a_word(
    visit: Visitors, installed: Installation, screen: str, path: str, label: str
) -> None:
    page = visit(installed.shop.key)
    asked: list[str] = []
    leaves = False

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if leaves:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    page.goto("/events")
    links = page.get_by_role("navigation", name="Screens")
    links.get_by_role("link", name=screen).click()
    if path != "/settings":
        page.locator(f"main a[href='{path}']").first.click()
    field = page.get_by_label(re.compile(f"^{label}")).first
    expect(field).to_be_visible()
    links.get_by_role("link", name="Home").click()
    expect(page).to_have_url("/")
    page.go_back()
    assert asked == []  # nothing is changed yet
    field.fill("123")
    links.get_by_role("link", name="Home").click()
    assert asked == ["confirm"]
    page.evaluate("new Promise((done) => { addEventListener('popstate', done, { once: true }); history.back() })")
    assert asked == ["confirm", "confirm"]
    expect(page).to_have_url(re.compile(f"{path}$"))
    expect(field).to_have_value("123")
    leaves = True
    links.get_by_role("link", name="Home").click()
    expect(page).to_have_url(re.compile(r"\d/$"))
    assert asked == ["confirm"] * 3


def test_a_destination_that_was_removed_meanwhile_is_told(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Removed", "meta")
    shop.ask("mutation { pauseDestination(platform: META) { userErrors { message } } }")
    page = visit(shop.key)
    page.goto("/destinations/META")
    page.get_by_role("button", name="Resume").click()
    shop.ask("mutation { removeDestination(platform: META) { userErrors { message } } }")
    expect(page.get_by_role("alert").filter(has_text="Meta was removed meanwhile")).to_be_visible()


def test_filters_that_are_not_understood_are_named(page: Page, shop: Shop) -> None:
    shop.send("understood")  # before its first event a shop has nothing to filter
    main = page.get_by_role("main")
    page.goto("/events?status=NOPE&status=DELIVERED&since=then&colour=red")
    expect(main).to_contain_text("Not understood, and left out: status=NOPE, since=then, colour=red")
    page.get_by_role("button", name="Clear filters").click()
    expect(main).not_to_contain_text("Not understood")
    page.goto("/deliveries?platform=FRIENDSTER&queuedSince=2026-01-01T00:00:00Z&errorCode=-")
    expect(main).to_contain_text("Not understood, and left out: platform=FRIENDSTER")
    expect(main).not_to_contain_text("queuedSince")
    page.goto("/notifications?kind=NOPE&state=OPEN")
    expect(main).to_contain_text("Not understood, and left out: kind=NOPE")
    page.goto("/?range=5y&platform=Q")
    expect(main).to_contain_text("Not understood, and left out: range=5y, platform=Q")
    page.goto("/why?platform=x")
    expect(main).to_contain_text("Not understood, and left out: platform=x")
    page.goto("/deliveries?receivedUntil=2026-11-30T01:00:00Z&dropReason=ERASED")
    expect(main).to_contain_text("before 30 Nov, 02:00 CET")
    expect(main).not_to_contain_text("Not understood")
