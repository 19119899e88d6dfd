"""For everybody: axe finds nothing, in light, dark and twice as large; no screen scrolls sideways; pictures of them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import ROOT
from tests.browser.conftest import Visitors
from tests.browser.installation import Installation
from tests.browser.screens import LivedIn, lived_in

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    # A window of 1,280 points at 200 % is one of 640; the narrowest is a small phone.
    "twice": {"viewport": {"width": 640, "height": 450}},
    "narrow": {"viewport": {"width": 320, "height": 640}},
}
SIDEWAYS = """
() => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth
  if (wide <= 0) return []
  const edge = document.documentElement.clientWidth
  return [...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > edge + 1)
    .map((one) => `${one.tagName.toLowerCase()}.${one.className}`).slice(0, 10)
}
"""
UNFOLD = "() => document.querySelectorAll('details').forEach((one) => (one.open = true))"
# (screen, what opens it)
DIALOGS = (
    ("home", "?"),
    ("event", "Redeliver …"),
    ("deliveries", "Redeliver all failed and dropped …"),
    ("deliveries", "Deliver stored events …"),
    ("destination", "Pause …"),
    ("destination", "Remove Meta …"),
    ("settings", "Create a key …"),
    ("settings", "Add a channel …"),
)


@pytest.fixture(scope="module")
def house(installed: Installation) -> LivedIn:
    return lived_in(installed)


def arrive(page: Page, path: str) -> None:
    """Until everything that was asked for is there."""
    page.goto(path, wait_until="networkidle")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)


def violations(page: Page) -> list[str]:
    """What axe finds: rule, how bad, where."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(node['target'])}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def faults_of(page: Page, *, with_axe: bool) -> list[str]:
    """As it is, and with all that is folded away on it open."""
    found = [f"too wide: {one}" for one in page.evaluate(SIDEWAYS)]
    page.evaluate(UNFOLD)
    found += [f"too wide, unfolded: {one}" for one in page.evaluate(SIDEWAYS)]
    return [*found, *(violations(page) if with_axe else [])]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    visit: Visitors, house: LivedIn, look: str, screens: Path | None
) -> None:
    """In the narrowest window there is the same as at 200 %: only its width is looked at."""
    page, stranger = visit(house.shop.key, **LOOKS[look]), visit(**LOOKS[look])
    faults = {}
    for name, path in {**house.paths, "sign-in": "/"}.items():
        looked_at = stranger if name == "sign-in" else page
        arrive(looked_at, path)
        if screens is not None:
            looked_at.screenshot(path=screens / f"{name}-{look}.png", full_page=True)
            if look == "light" and name in ("home", "event"):  # as the guides show them
                looked_at.screenshot(path=screens / f"dashboard-{name}.png")
        faults[name] = faults_of(looked_at, with_axe=look != "narrow")
    assert {name: found for name, found in faults.items() if found} == {}


def test_on_a_phone_the_platforms_are_cards(visit: Visitors, house: LivedIn) -> None:
    page = visit(house.shop.key, viewport={"width": 360, "height": 780})
    arrive(page, house.paths["home"])
    table = page.get_by_role("group", name="Platforms, the worst first")
    assert table.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    expect(table.locator("thead")).to_be_hidden()


def test_on_a_phone_the_deliveries_are_cards_with_all_that_a_row_has(visit: Visitors, house: LivedIn) -> None:
    page = visit(house.shop.key, viewport={"width": 360, "height": 780})
    arrive(page, f"{house.paths['deliveries']}?status=FAILED&platform=META")
    table = page.get_by_role("group", name="Deliveries", exact=True)
    assert table.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    expect(table.locator("thead")).to_be_hidden()
    card = table.locator("tbody tr").first
    for name in ("Name", "Platform and status", "What was said", "Next", "Attempts", "Queued"):
        cell = card.locator(f"td[data-name='{name}']")
        expect(cell).to_be_visible()
        assert cell.evaluate("(one) => getComputedStyle(one, '::before').content") == f'"{name}"'
    assert violations(page) == []

    # By keyboard alone: to the first card, choose it, unfold what was said, and ask to send it again.
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("j")
    expect(card.get_by_role("link").first).to_be_focused()
    page.keyboard.press("x")
    expect(card.get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("Tab")
    expect(card.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card.locator("details p")).to_be_visible()
    assert table.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
    page.keyboard.press("r")
    expect(page.get_by_role("dialog")).to_contain_text("1")
    assert page.get_by_role("dialog").evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    expect(page).to_have_url(re.compile(r"/events/order-10(07|13)$"))


@pytest.mark.parametrize("screen", ["home", "alert", "event", "why"])
def test_on_a_phone_no_table_is_cut_off(visit: Visitors, house: LivedIn, screen: str) -> None:
    page = visit(house.shop.key, viewport={"width": 360, "height": 780})
    arrive(page, "/why" if screen == "why" else house.paths[screen])
    page.evaluate(UNFOLD)
    cut = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)"
    assert page.locator(".table").evaluate_all(cut) == []


def test_what_is_demanded_of_a_new_destination_is_in_sight(visit: Visitors, house: LivedIn) -> None:
    page = visit(house.shop.key)
    arrive(page, "/destinations/snapchat")
    expect(page.get_by_label("Pixel ID")).to_be_visible()
    expect(page.get_by_text("or snap_app_id and app_id for app events.")).to_be_visible()
    page.get_by_text("9 more settings, each optional").click()
    expect(page.get_by_label("Require consent").locator("option").first).to_have_text(
        "not set: as Settings say for all platforms"
    )


@pytest.mark.parametrize("look", ["dark", "narrow"])
def test_axe_finds_nothing_in_dialogs(visit: Visitors, house: LivedIn, look: str, screens: Path | None) -> None:
    """The narrow ones are light."""
    page = visit(house.shop.key, **LOOKS[look])
    faults = {}
    for screen, button in DIALOGS:
        arrive(page, house.paths[screen])
        page.get_by_role("main").or_(page.get_by_role("banner")).get_by_text(button).first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect(dialog.locator(".loading")).to_have_count(0)
        wide = dialog.evaluate("(one) => one.scrollWidth - one.clientWidth")
        faults[f"{screen}: {button}"] = [*violations(page), *(["too wide"] if wide > 0 else [])]
        if screens is not None:
            page.screenshot(path=screens / f"dialog-{screen}-{DIALOGS.index((screen, button))}-{look}.png")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    assert {name: found for name, found in faults.items() if found} == {}


def test_axe_would_tell(visit: Visitors) -> None:
    page = visit()
    page.set_content("<html lang=en><title>T</title><main><h1>T</h1><img src=data:,><input></main>")
    assert [line.partition(" ")[0] for line in violations(page)] == ["image-alt", "label"]


@pytest.mark.parametrize("width", [320, 1280])
def test_a_property_with_the_longest_name_scrolls_nothing_sideways(visit: Visitors, house: LivedIn, width: int) -> None:
    name = "shelf" * 40
    house.shop.send(f"long_name_{width}", customData={"value": 1, "currency": "EUR", "properties": {name: "7"}})
    page = visit(house.shop.key, viewport={"width": width, "height": 640})
    arrive(page, f"/events/long_name_{width}")
    page.evaluate(UNFOLD)
    expect(page.get_by_text(name).first).to_be_attached()
    assert page.evaluate(SIDEWAYS) == []
