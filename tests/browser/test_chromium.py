"""The browser is had on a fresh machine too: by npm, without root, and it shows letters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import NAMED_BY, PACKAGE, Chromium, find_chromium, must_be_had
from tests.browser.conftest import launch


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_one_that_is_named_goes_before_one_on_path(tmp_path: Path) -> None:
    named, other = program(tmp_path, "mine"), program(tmp_path, "chromium")
    assert find_chromium({"PATH": str(tmp_path), NAMED_BY: str(named)}) == Chromium(named)
    assert find_chromium({"PATH": str(tmp_path)}) == Chromium(other)


def test_where_there_is_none_a_sentence_says_so(tmp_path: Path) -> None:
    assert find_chromium({NAMED_BY: "/nowhere/chromium"}) == f"{NAMED_BY} names no program: /nowhere/chromium"
    said = find_chromium({"PATH": str(tmp_path)}, package=tmp_path)
    assert isinstance(said, str)
    assert said.startswith("There is no Chromium here: put one on PATH")


def test_tests_are_skipped_only_where_nobody_counts_on_them() -> None:
    assert not must_be_had({})
    assert not must_be_had({"CI": ""})
    assert must_be_had({"CI": "true"})
    assert must_be_had({NAMED_BY: "/usr/bin/chromium"})


def test_the_packages_browser_shows_letters(playwright: Playwright, tmp_path: Path) -> None:
    if not PACKAGE.exists() and not must_be_had(os.environ):
        pytest.skip("What builds and tests the dashboard is not installed here; `make test` installs it.")
    found = find_chromium({"PATH": str(tmp_path)})
    assert isinstance(found, Chromium), found
    assert found.path.is_relative_to(PACKAGE.parents[1])
    with launch(playwright, found) as browser:
        page = browser.new_page(locale="en-GB")
        page.set_content("<button>Orders</button><i>iiii</i><b>MMMM</b>")
        assert page.get_by_role("button").inner_text() == "Orders"
        wide, narrow = page.locator("b").bounding_box(), page.locator("i").bounding_box()
        assert wide is not None
        assert narrow is not None
        assert wide["width"] > narrow["width"] * 2 > 0
        assert page.evaluate("navigator.language") == "en-GB"
