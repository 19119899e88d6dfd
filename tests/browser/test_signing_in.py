"""Who may look, how they come in, and that nothing of them stays behind."""

from __future__ import annotations

import itertools
import re

import httpx
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browser.conftest import Visitors, session_of
from tests.browser.installation import Installation, Shop

FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
HOME = re.compile("Home")

# What a script of the page, or the next person at this computer, could find.
TRACES = """
() => JSON.stringify([
  {...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state, document.referrer,
  performance.getEntriesByType('resource').map((entry) => entry.name),
])
"""


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Sign in").click()


def is_in(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("heading", level=1, name=HOME)).to_be_visible()


def is_out(page: Page) -> None:
    expect(page.get_by_label("API key", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


def hold_who(page: Page) -> list[tuple[Route, APIResponse]]:
    """The first answer to who is here, from now on: it is on its way until the test lets it come."""
    held: list[tuple[Route, APIResponse]] = []
    asked = itertools.count()

    def meet(route: Route) -> None:
        if route.request.method == "GET" and next(asked) == 0:
            held.append((route, route.fetch()))
        else:
            route.fallback()

    page.route("**/session", meet)
    return held


def come(page: Page, held: list[tuple[Route, APIResponse]]) -> None:
    """Until the page has heard the answer and shows what it made of it."""
    ((route, answer),) = held
    with page.expect_event("requestfinished", lambda request: request.url.endswith("/session")):
        route.fulfill(response=answer)
    page.evaluate(FRAMES)


def test_with_a_key_and_no_trace_of_it_is_left(visit: Visitors, shop: Shop) -> None:
    page = visit()
    page.goto("/")
    is_out(page)
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    sign_in(page, f"  {shop.key} ")
    is_in(page)
    expect(page.get_by_text("default", exact=True)).to_be_visible()

    assert shop.key not in page.evaluate(TRACES)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["value"] not in page.evaluate(TRACES)
    page.reload()
    is_in(page)


def test_with_the_printed_link_once(visit: Visitors, installed: Installation) -> None:
    code = installed.link.partition("#code=")[2]
    page = visit()
    page.goto(installed.link)
    is_in(page)
    assert page.url == f"{installed.address}/"
    assert code not in page.evaluate(TRACES)
    page.goto("/events")
    page.go_back()
    is_in(page)
    assert page.url == f"{installed.address}/"

    late = visit()
    late.goto(installed.link)
    expect(late.get_by_role("alert")).to_contain_text("This link was used already, or is older than 15 minutes,")
    is_out(late)
    assert late.url == f"{installed.address}/"


def test_with_a_link_for_another_time(visit: Visitors, installed: Installation) -> None:
    (link,) = re.findall(r"http\S+/#code=\S+", installed.tracklayer("sign-in"))
    page = visit()
    page.goto(link)
    is_in(page)


def test_a_wrong_key_opens_nothing_and_says_so(visit: Visitors, shop: Shop) -> None:
    page = visit()
    page.goto("/events")
    sign_in(page, shop.key[:-1] + ("A" if shop.key[-1] != "A" else "B"))
    expect(page.get_by_role("alert")).to_have_text("This API key is unknown or was revoked.")
    assert page.context.cookies() == []
    sign_in(page, shop.key)
    expect(page.get_by_role("heading", level=1, name="Events")).to_be_visible()
    assert page.url.endswith("/events")  # where one was going


def test_signed_out_nothing_is_left_to_go_back_to(visit: Visitors, shop: Shop) -> None:
    shop.send("left-behind")
    page = visit(shop.key)
    page.goto("/events/left-behind")
    expect(page.get_by_role("main")).to_contain_text("left-behind")
    page.goto("/events")
    expect(page.get_by_role("link", name="left-behind")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    is_out(page)
    assert page.context.cookies() == []
    page.go_back()
    is_out(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("TrackLayer")
    expect(page.get_by_text("Purchase")).to_have_count(0)


def test_a_revoked_key_ends_its_sessions(visit: Visitors, shop: Shop) -> None:
    id, key = shop.new_key("for a while", "READ")
    page = visit(key)
    page.goto("/")
    is_in(page)
    revoke = "mutation($id: ID!) { revokeApiKey(id: $id) { userErrors { message } } }"
    assert shop.ask(revoke, id=id)["revokeApiKey"]["userErrors"] == []
    is_out(page)  # by itself: somebody who looks is asked for
    page.goto("/events")
    is_out(page)


def test_a_key_that_may_only_read_sees_everything_and_is_told_what_a_button_needs(visit: Visitors, shop: Shop) -> None:
    shop.send("seen-by-a-reader")
    shop.wait_for("seen-by-a-reader", "META", "DELIVERED")
    _, key = shop.new_key("reader", "READ")
    page = visit(key)
    page.goto("/events/seen-by-a-reader")
    expect(page.get_by_text("read only")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("seen-by-a-reader")
    for path in ("/", "/events", "/deliveries", "/notifications", "/destinations", "/settings"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)

    page.goto("/destinations/meta")
    pause = page.get_by_role("button", name=re.compile(r"^Pause .*needs the scope ADMIN"))
    expect(pause).to_have_attribute("aria-disabled", "true")
    expect(pause).to_have_attribute("title", "Your key lacks the scope ADMIN.")
    pause.click(force=True)
    expect(page.get_by_role("status").filter(has_text="Your key lacks the scope ADMIN")).to_be_visible()
    state = shop.ask("{ merchant { destinations { platform state } } }")["merchant"]["destinations"]
    assert {"platform": "META", "state": "ACTIVE"} in state


def test_a_screen_goes_on_where_a_question_was_answered_for_a_session_whose_place_another_took(
    visit: Visitors, installed: Installation, shop: Shop
) -> None:
    shop.send("before-a-new-session")
    old = session_of(installed.address, shop.key)
    cookie = {"content-type": "application/json", "cookie": f"{old['name']}={old['value']}"}
    assert httpx.request("DELETE", f"{installed.address}/session", headers=cookie, timeout=30).is_success
    page = visit(shop.key)
    page.clock.install()
    page.goto("/events")
    expect(page.get_by_role("link", name="before-a-new-session")).to_be_visible()
    answered: list[str] = []

    def answer(route: Route) -> None:
        if answered or "query EventList" not in (route.request.post_data or ""):
            route.fallback()
            return
        url, content = route.request.url, route.request.post_data_buffer
        told = httpx.post(url, content=content, headers=cookie, timeout=30)
        answered.append(told.json()["errors"][0]["extensions"]["code"])
        route.fulfill(status=told.status_code, content_type="application/json", body=told.text)

    page.route("**/graphql", answer)
    page.clock.run_for(5_000)
    while not answered:
        page.wait_for_timeout(20)
    assert answered == ["UNAUTHENTICATED"]
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    shop.send("after-a-new-session")
    page.clock.run_for(10_000)
    page.get_by_role("button", name=re.compile("new events?: show")).click()
    expect(page.get_by_role("link", name="after-a-new-session")).to_be_visible()


def test_a_late_answer_about_a_session_that_is_over_ends_no_newer_one(visit: Visitors, shop: Shop) -> None:
    id, key = shop.new_key("for a while", "READ")
    page = visit(key)
    page.goto("/events")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    held = hold_who(page)
    revoke = "mutation($id: ID!) { revokeApiKey(id: $id) { userErrors { message } } }"
    assert shop.ask(revoke, id=id)["revokeApiKey"]["userErrors"] == []
    while not held:
        page.wait_for_timeout(20)
    assert [answer.status for _, answer in held] == [401]
    other = page.context.new_page()
    other.goto("/")
    with page.expect_response(lambda answer: answer.url.endswith("/session") and answer.status == 200):
        sign_in(other, shop.key)
    come(page, held)
    assert page.get_by_role("button", name="Sign out").is_visible()
    assert page.get_by_label("API key", exact=True).count() == 0


def test_a_late_answer_brings_back_nobody_who_signed_out(visit: Visitors, shop: Shop) -> None:
    page = visit(shop.key)
    page.goto("/deliveries")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    held = hold_who(page)
    other = page.context.new_page()
    other.goto("/")
    is_in(other)
    other.evaluate("new BroadcastChannel('tracklayer-session').postMessage('in')")  # as where a link was used there
    while not held:
        page.wait_for_timeout(20)
    assert [answer.status for _, answer in held] == [200]
    page.get_by_role("button", name="Sign out").click()
    is_out(page)
    come(page, held)
    assert page.get_by_role("button", name="Sign out").count() == 0
    assert page.get_by_label("API key", exact=True).is_visible()
    expect(page.get_by_text("your session is over")).to_have_count(0)
