"""Alerts as people see them: in a list that moves nothing, and each on a page of its own, whatever its words are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitors, hold
from tests.browser.installation import INGEST, Installation, Shop, purchase
from tests.servers import wait_until
from tracklayer.db.embedded import EmbeddedPostgres
from tracklayer.domain.alert import AlertKind
from tracklayer.mappers import mapper_for
from tracklayer.services.destinations import example_settings

HOSTILE = "<img src=x onerror=violated('seen')>"
SAID = "96.2% of"  # 25 of 26
SET = """
mutation($input: SetDestinationInput!) { setDestination(input: $input) { userErrors { message } } }
"""
CHANNEL = "mutation($input: SetAlertChannelInput!) { setAlertChannel(input: $input) { userErrors { message } } }"
OPEN = "{ alerts(filter: {state: OPEN}) { nodes { id title note acknowledgedAt snoozedUntil } } }"


def refuse(shop: Shop, name: str) -> str:
    """The id of the alert that tells of it: nearly all events of a name are refused at the door, and no others."""
    shop.send(*(f"fine-{name}-{n}" for n in range(5)))
    shop.send(f"first-{name}", eventName=name)
    bad = [purchase(f"bad-{name}-{n}", eventName=name, customData={"currency": "Euros"}) for n in range(25)]
    assert shop.ask(INGEST, inputs=bad)["ingestEvents"]["rejected"] == len(bad)
    return wait_for_alert(shop, f"{SAID} {name} events are refused")


def refuse_at_meta(installed: Installation, shop: Shop, *event_ids: str) -> None:
    """Meta refuses these, which is all that it gets."""
    set_destination(shop, "meta")
    installed.fault("meta", "refuse", event_ids=event_ids)
    shop.send(*event_ids)


def set_destination(shop: Shop, platform: str, **changes: str) -> None:
    settings = {**example_settings(mapper_for(platform)), **changes}
    assert shop.ask(SET, input={"platform": platform.upper(), "settings": settings})["setDestination"] == {
        "userErrors": []
    }


def wait_for_alert(shop: Shop, title: str) -> str:
    found: list[str] = []

    def is_open() -> bool:
        found[:] = [one["id"] for one in shop.ask(OPEN)["alerts"]["nodes"] if title in one["title"]]
        return bool(found)

    wait_until(is_open, f"an alert that says {title}")
    return found[0]


@pytest.fixture(autouse=True)
def mended(installed: Installation) -> Iterator[None]:
    """No platform has a fault when a test ends."""
    yield
    installed.mend()


def titles(page: Page) -> list[str]:
    return page.locator("tbody tr td:first-child").all_inner_texts()


def test_an_alert_is_read_snoozed_woken_and_acknowledged(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Hostile Words")
    refuse_at_meta(installed, shop, *(f"{HOSTILE}{n}" for n in range(25)))
    alert = wait_for_alert(shop, "Meta refuses every event")
    page = visit(shop.key)
    page.goto(f"/notifications/{alert}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Meta refuses every event")
    expect(page.get_by_role("region", name="What happened, and what to do")).to_contain_text(f"Event {HOSTILE}")
    figures = page.get_by_role("region", name="Figures")
    expect(figures).to_contain_text("Causethe platform refuses them")
    expect(figures.get_by_role("link", name=HOSTILE)).to_be_visible()
    expect(page.get_by_role("region", name="What was seen")).to_contain_text("0 % accepted since it began")
    row = page.get_by_role("region", name="Deliveries meanwhile").get_by_role("row", name=f"{HOSTILE}0")
    expect(row).to_contain_text("Retrying")
    expect(page.locator("main img")).to_have_count(0)

    care = page.get_by_role("region", name="Who takes care of it")
    note = care.get_by_label("Note for the others, if any")
    note.fill("half a word")
    care.get_by_label("Tell nobody of it for").select_option("4 hours")
    care.get_by_role("button", name="Snooze").click()
    expect(care.get_by_text("Snoozed until")).to_be_visible()
    expect(note).to_have_value("half a word")  # what is heard meanwhile takes nothing from who is typing
    care.get_by_role("button", name="Wake it now").click()
    expect(care.get_by_text("Snoozed until")).to_have_count(0)

    note.fill(f"We are on it. {HOSTILE}")
    care.get_by_role("button", name="Acknowledge").click()
    expect(care.get_by_text(f"We are on it. {HOSTILE}").first).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="It is acknowledged.")).to_be_visible()
    (told,) = shop.ask(OPEN)["alerts"]["nodes"]
    assert (told["note"], told["snoozedUntil"]) == (f"We are on it. {HOSTILE}", None)
    page.goto("/notifications")
    expect(page.get_by_role("row", name="Meta refuses every event")).to_contain_text("acknowledged")
    expect(page.locator("main img")).to_have_count(0)


def test_what_stands_above_the_alerts_comes_no_later_than_they(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Pushed down")
    refuse(shop, "Lead")
    page = visit(shop.key)
    held = hold(page, "WhoIsTold")
    with page.expect_response(lambda answer: "query OpenNotifications" in (answer.request.post_data or "")):
        page.goto("/notifications")
    expect(page.get_by_role("main").get_by_role("status").filter(has_text="Loading")).to_have_count(1)
    row = page.get_by_role("row", name=f"{SAID} Lead events are refused")
    expect(row).to_have_count(0)
    for route in held:
        route.continue_()
    expect(row).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Nobody is told of alerts")


def test_channels_that_take_no_alerts_leave_nobody_told(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Told of nothing")
    page = visit(shop.key)
    main = page.get_by_role("main")
    port = 1

    def add(**wishes: Any) -> None:
        nonlocal port
        told = {"kind": "WEBHOOK", "url": f"http://127.0.0.1:{port}/x", **wishes}
        assert shop.ask(CHANNEL, input=told)["setAlertChannel"]["userErrors"] == []
        port += 1
        page.goto("/notifications")

    add(topics=["redelivery.finished"])
    expect(main).to_contain_text("Nobody is told of alerts: no channel takes any.")
    add(topics=[kind.value for kind in AlertKind if kind != AlertKind.VALUE_LOST])
    expect(main).to_contain_text("Nobody is told of alerts of these kinds: Value lost.")
    add(topics=["*"], minSeverity="CRITICAL")
    expect(main).to_contain_text("Of these kinds nobody is told of warnings: Value lost.")
    add(topics=["*"])
    expect(main.get_by_text("There has never been an alert.")).to_be_visible()
    expect(main).not_to_contain_text("is told of")


def top(part: Locator) -> float:
    box = part.bounding_box()
    assert box is not None
    return box["y"]


def test_what_is_over_pushes_no_open_alert_as_it_comes(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Pushed up")
    refuse(shop, "Lead")
    page = visit(shop.key)
    held = hold(page, "ResolvedNotifications")
    page.goto("/notifications")
    row = page.get_by_role("row", name=f"{SAID} Lead events are refused")
    expect(row).to_be_visible()
    loading = page.get_by_role("main").get_by_role("status").filter(has_text="Loading")
    expect(loading).to_have_count(1)
    before = top(row)
    for route in held:
        route.continue_()
    expect(loading).to_have_count(0)
    assert top(row) == before


@pytest.mark.parametrize("width", [1280, 390])
def test_a_chart_pushes_nothing_down_as_it_comes(visit: Visitors, installed: Installation, width: int) -> None:
    shop = installed.new_shop(f"Drawn late, {width} wide")
    alert = refuse(shop, "Lead")
    page = visit(shop.key, viewport={"width": width, "height": 900})
    held = hold(page, "ChartOfAlert")
    page.goto(f"/notifications/{alert}")
    care = page.get_by_role("heading", name="Who takes care of it")
    expect(care).to_be_visible()
    while not held:
        page.wait_for_timeout(20)
    before = top(care)
    for route in held:
        route.continue_()
    expect(page.locator("figure.chart canvas")).to_have_count(2)
    assert top(care) == before


def test_an_outage_is_announced_shown_and_resolves_where_it_stands(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Live List")
    refuse(shop, "Lead")
    page = visit(shop.key)
    page.goto("/notifications")
    expect(page.get_by_role("row", name=f"{SAID} Lead events are refused")).to_be_visible()
    before = page.locator("tbody tr").first.bounding_box()

    refuse_at_meta(installed, shop, *(f"refused-{n}" for n in range(25)))
    news = page.get_by_role("status").filter(has_text="New: Meta refuses every event")
    expect(news).to_be_visible()
    assert titles(page) == ["96.2% of Lead events are refused"]  # nothing moves under the eyes of who reads
    assert page.locator("tbody tr").first.bounding_box() == before
    news.get_by_role("button").click()
    row = page.get_by_role("row", name="Meta refuses")
    expect(row).to_contain_text("Critical")
    placed = titles(page)
    assert len(placed) == 2
    expect(page.get_by_role("link", name="Notifications 2 open alerts")).to_be_visible()

    installed.mend()
    shop.send(*(f"taken-{n}" for n in range(30)))
    expect(row).to_contain_text("Resolved", timeout=60_000)
    assert [title.partition(" ")[0] for title in titles(page)] == [title.partition(" ")[0] for title in placed]
    expect(page.get_by_role("link", name="Notifications 1 open alerts")).to_be_visible()
    row.get_by_role("link").click()
    expect(page.get_by_text("Resolved", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Snooze")).to_have_count(0)
    # What is over is told as that.
    expect(page.get_by_role("region", name="It is over: what was told when it opened")).to_contain_text(
        "Meta has accepted none"
    )
    figures = page.get_by_role("region", name="Figures of then")
    expect(figures).to_contain_text("Causethe platform refuses them")
    expect(figures).not_to_contain_text("Waiting")
    seen = page.get_by_role("region", name="What was seen")
    expect(seen).to_contain_text("% accepted at worst")
    expect(seen).to_contain_text("from when it began until it was resolved")


def test_what_a_platform_says_to_a_test_is_told_with_what_to_do(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Trials")
    set_destination(shop, "meta", access_token="expired-token", test_event_code="TEST123")
    set_destination(shop, "linkedin", access_token="expired-token")
    shop.send("order-1")
    page = visit(shop.key)
    page.goto(f"/notifications/{wait_for_alert(shop, 'Meta refuses your access token')}")
    tried = page.get_by_role("region", name="Try it")
    tried.get_by_role("button", name="Send a test").click()
    expect(tried).to_contain_text("Credentials refused")
    expect(tried).to_contain_text("What to do")
    page.goto(f"/notifications/{wait_for_alert(shop, 'LinkedIn refuses your access token')}")
    expect(tried).to_contain_text("LinkedIn has no test mode")


def test_the_list_is_walked_by_keys_and_its_filters_are_the_address(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("By Keys")
    alert = refuse(shop, "Lead")
    page = visit(shop.key)
    page.goto("/notifications?state=RESOLVED")
    expect(page.get_by_role("heading", name="No alert is like that.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("row", name=f"{SAID} Lead events are refused")).to_be_visible()
    page.get_by_label("State").select_option("Open")
    expect(page).to_have_url("/notifications?state=OPEN")
    page.go_back()
    expect(page).to_have_url("/notifications")
    expect(page.get_by_label("State")).to_have_value("")
    expect(page.get_by_role("row", name=f"{SAID} Lead events are refused")).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name=f"{SAID} Lead events are refused")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"/notifications/{alert}")
    expect(page.get_by_role("heading", level=1)).to_have_text("96.2% of Lead events are refused")
    expect(page.get_by_label("Note for the others, if any")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_label("Note for the others, if any")).to_be_focused()


def open_many(installed: Installation, merchant: str, count: int) -> None:
    """Alerts about event names ``Name 1`` and so on, the first the oldest, as only monitors open them."""
    database = EmbeddedPostgres(Path(installed.environ["TRACKLAYER_DATA_DIR"]))
    with closing(psycopg2.connect(database.start())) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts"
            " (merchant_id, kind, severity, platform, event_name, title, message, details, opened_at, last_seen_at)"
            " SELECT merchant_id, 'value_lost', 'warning', 'meta', 'Name ' || n, 'Name ' || n || ' has lost its value',"
            " 'It has.', '{}', at, at FROM merchants, generate_series(1, %s) AS n,"
            " LATERAL (SELECT now() - (%s - n) * interval '1 second' AS at) AS opened WHERE name = %s",
            (count, count, merchant),
        )
    database.stop()


def test_however_many_alerts_are_open_all_can_be_reached(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Many Alerts", "meta")
    shop.send("one")
    open_many(installed, "Many Alerts", 101)
    page = visit(shop.key)
    page.goto("/notifications")
    rows = page.get_by_role("group", name="Alerts").locator("tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Name 1 has lost its value")
    page.get_by_role("link", name="Newest").click()
    expect(rows).to_have_count(100)
    page.goto("/")
    page.get_by_role("link", name="All open alerts of Meta").click()
    expect(rows).to_have_count(100)


def test_who_may_only_read_is_told_which_scope_is_missing(visit: Visitors, installed: Installation) -> None:
    shop = installed.new_shop("Readers")
    alert = refuse(shop, "Lead")
    page = visit(shop.new_key("reader", "READ")[1])
    page.goto(f"/notifications/{alert}")
    acknowledge = page.get_by_role("button", name="Acknowledge")
    expect(acknowledge).to_have_attribute("title", "Your key lacks the scope ADMIN.")
    acknowledge.press("Enter")
    expect(page.get_by_role("status").filter(has_text="lacks the scope ADMIN")).to_be_visible()
    assert shop.ask(OPEN)["alerts"]["nodes"][0]["acknowledgedAt"] is None


@pytest.fixture
def elsewhere(installed: Installation) -> Any:
    """The id of an alert of another merchant."""
    return refuse(installed.new_shop("Elsewhere"), "Lead")


def test_a_link_that_leads_nowhere_says_what_may_be(visit: Visitors, shop: Shop, elsewhere: str) -> None:
    page = visit(shop.key)
    for one in ("nonsense", "%E0%A4%A", "WyJNZXJjaGFudCIsMV0", elsewhere):
        page.goto(f"/notifications/{one}")
        expect(page.get_by_role("heading", name="There is no such alert here.")).to_be_visible()
        expect(page.get_by_text("you are signed in as default")).to_be_visible()
