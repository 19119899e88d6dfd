"""The guides in a browser: their search, the buttons that copy, and for everybody. No test may leave a complaint of the policy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitors
from tests.browser.test_everybody import LOOKS, SIDEWAYS, violations
from tracklayer.web import docs

LONG, PLATFORM = "/docs/errors", "/docs/platforms-meta"


@pytest.fixture
def reader(visit: Visitors) -> Page:
    """Somebody without a key, who may use the clipboard."""
    return visit(permissions=["clipboard-read", "clipboard-write"])


def test_a_search_by_keyboard_leads_to_the_section(reader: Page) -> None:
    reader.goto("/docs/quickstart")
    reader.keyboard.press("/")
    box = reader.get_by_role("searchbox", name="Search the documentation")
    expect(box).to_be_focused()
    reader.keyboard.type("event_id_conflict")
    results = reader.get_by_role("list", name="Search results").get_by_role("link")
    expect(results.first).to_be_visible()
    expect(reader.get_by_role("status")).to_have_text(re.compile(r"^\d+ results$"))
    expect(reader.locator(".search mark").first).to_have_text(re.compile("event_id_conflict", re.IGNORECASE))
    assert violations(reader) == []

    box.fill("event")
    expect(reader.get_by_role("status")).to_have_text(re.compile(r"^The best 12 of \d{2,} results$"))
    expect(results).to_have_count(12)
    box.fill("choosing an id")
    expect(results.first).to_have_text("Deduplication › Choosing ids")
    reader.keyboard.press("ArrowDown")
    expect(results.first).to_be_focused()
    reader.keyboard.press("ArrowUp")
    expect(box).to_be_focused()
    reader.keyboard.press("ArrowDown")
    reader.keyboard.press("Enter")
    reader.wait_for_url("**/docs/dedup#choosing-ids")
    expect(reader.get_by_role("heading", level=1)).to_have_text("Deduplication")


def test_what_is_not_found_is_said_and_escape_closes(reader: Page) -> None:
    reader.goto("/docs")
    box = reader.get_by_role("searchbox", name="Search the documentation")
    box.fill("xyzzy quickstart")
    expect(reader.get_by_text("Nothing has all of these words.")).to_be_visible()
    expect(reader.get_by_role("status")).to_have_text("No results")
    reader.keyboard.press("Escape")
    expect(reader.get_by_role("list", name="Search results")).to_have_count(0)
    expect(box).to_have_value("")
    box.fill("quickstart")
    box.press("Enter")
    reader.wait_for_url("**/docs/quickstart")


def test_an_index_that_does_not_come_is_said_and_asked_for_again(reader: Page) -> None:
    reader.route(f"**{docs.INDEX}", lambda route: route.fulfill(status=204))
    reader.goto("/docs")
    box = reader.get_by_role("searchbox", name="Search the documentation")
    box.fill("quick")
    expect(reader.get_by_text("The search could not be loaded.").first).to_be_visible()
    reader.unroute(f"**{docs.INDEX}")
    box.fill("quickstart")
    expect(reader.get_by_role("link", name="Quickstart", exact=True).first).to_be_visible()


def test_code_is_copied_as_it_stands_and_that_is_said(reader: Page) -> None:
    reader.goto("/docs/quickstart")
    buttons = reader.get_by_role("button", name="Copy this code")
    assert buttons.count() == reader.locator("pre").count() > 10
    text = reader.locator("pre").nth(2).text_content()
    buttons.nth(2).press("Enter")
    expect(reader.get_by_role("status")).to_have_text("Copied")
    assert reader.evaluate("navigator.clipboard.readText()") == text


def test_without_scripts_all_is_there_to_read(visit: Visitors) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/docs/quickstart")
    expect(page.get_by_role("heading", name="Send an event")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_count(0)
    expect(page.get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="Next: Data model").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Data model")


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_in_the_guides_and_nothing_scrolls_sideways(visit: Visitors, look: str) -> None:
    options: dict[str, Any] = LOOKS[look]
    page = visit(**options)
    faults = {}
    for path in ("/docs", "/docs/quickstart", LONG, PLATFORM):
        page.goto(path)
        found = [f"too wide: {one}" for one in page.evaluate(SIDEWAYS)]
        faults[path] = [*found, *(violations(page) if look != "narrow" else [])]
    assert {path: found for path, found in faults.items() if found} == {}
