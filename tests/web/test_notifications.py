"""An alert's page: what is served, to whom, and what its script does with the API.

No browser is needed: the script runs in Node.js, in a document that knows as little as it needs. Where there is no Node.js,
those tests are skipped.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.factories import Api, Merchant
from tests.live import LiveServer
from tests.services.test_alert import Monitor
from tracklayer.clock import FrozenClock
from tracklayer.runtime import Runtime
from tracklayer.services.alert import alert_url
from tracklayer.services.merchants import create_api_key
from tracklayer.web.docs import HERE

NODE = shutil.which("node")


@pytest.mark.parametrize("path", ["/notifications", "/notifications/WyJBbGVydCIsMSwxXQ", "/notifications/nonsense"])
async def test_the_page_is_the_same_for_everybody_and_runs_nothing_but_its_script(api: Api, path: str) -> None:
    answer = await api.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
    assert "form-action 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"<script[^>]*>[^<]", answer.text) == []
    assert re.findall(r"\s(?:style|on\w+)=", answer.text) == []
    assert set(re.findall(r'(?:src|href)="([^"]+)"', answer.text)) == {
        "/static/docs.css",
        "/static/notifications.css",
        "/static/notifications.js",
        "#content",
        "/",
        "/notifications",
        "/docs",
    }
    assert re.findall(r"<(?:input|textarea|select)[^>]*\sname=", answer.text) == []  # nothing that a form could send
    again = await api.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.headers["content-security-policy"]) == (304, policy)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("notifications.js", "text/javascript; charset=utf-8"), ("notifications.css", "text/css; charset=utf-8")],
)
async def test_its_files_load_nothing_from_elsewhere(api: Api, name: str, media_type: str) -> None:
    answer = await api.client.get(f"/static/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    for word in (
        "http://",
        "https://",
        "@import",
        "url(",
        "innerHTML",
        "eval(",
        "localStorage",
        "sessionStorage",
        "cookie",
    ):
        assert word not in answer.text


async def test_every_element_that_the_script_asks_for_is_on_the_page(api: Api) -> None:
    page, script = [(await api.client.get(path)).text for path in ("/notifications", "/static/notifications.js")]
    asked_for = set(re.findall(r'\bat\("([\w-]+)"\)', script)) | {"acknowledge-now", "snooze-now", "wake"}
    assert asked_for <= set(re.findall(r'\bid="([\w-]+)"', page))
    labelled = re.findall(r"<label>.*?<(?:input|textarea|select) id=\"([\w-]+)\"", page)
    assert labelled == ["key", "new-note", "hours"]


class Page:
    """The script in Node.js, on the address of a live server."""

    def __init__(self, server: LiveServer, path: str, folder: Path) -> None:
        assert NODE is not None
        html, origin = folder / "page.html", server.http.removesuffix("/graphql")
        html.write_text(httpx.get(f"{origin}{path}").raise_for_status().text)
        runner = Path(__file__).parent / "notifications_page.mjs"
        script = HERE / "static" / "notifications.js"
        self._process = subprocess.Popen(
            [NODE, str(runner), origin, path, str(html), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def __call__(self, do: str, **step: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **step}) + "\n")
        self._process.stdin.flush()
        self.last = json.loads(self._process.stdout.readline())
        return self.last

    def text(self, name: str) -> str:
        shown = self.last["shown"][name]
        text: str = shown["text"]
        return "" if shown["hidden"] else text

    def visible(self) -> set[str]:
        return {name for name in ("sign-in", "list", "alert") if not self.last["shown"][name]["hidden"]}


@pytest.fixture
def server(runtime: Runtime) -> Iterator[LiveServer]:
    if NODE is None:
        pytest.skip("no Node.js on PATH")
    with LiveServer(runtime) as live:
        yield live


def path_of(merchant: Merchant, alert_id: int) -> str:
    return alert_url("", merchant.merchant_id, alert_id)


def test_an_alert_is_shown_acknowledged_and_snoozed(
    server: LiveServer, runtime: Runtime, merchant: Merchant, clock: FrozenClock, tmp_path: Path
) -> None:
    clock.instant = datetime.now(UTC)  # the page snoozes by its machine's clock
    monitor = Monitor(runtime, merchant, clock)
    monitor.finds(message="<img src=x onerror=alert(1)> nothing arrives.")
    with Page(server, path_of(merchant, 1), tmp_path) as page:
        page("start")
        assert page.visible() == {"sign-in"}
        assert page.last["requests"] == []
        page("sign_in", key=f" {merchant.key} ")
        assert page.visible() == {"alert"}
        assert page.last["shown"]["key"]["value"] == ""
        assert page.text("title") == "Meta is down"
        assert page.text("message") == "<img src=x onerror=alert(1)> nothing arrives."
        assert "Failures|20" in page.text("figures")
        assert page.text("tags") == "Open|Critical|Platform down|Meta"
        assert page.last["waits"] == [15000]
        page("type", note="half a word")
        page("later")
        assert page.last["shown"]["new-note"]["value"] == "half a word"  # a look takes nothing from who is typing
        page("acknowledge", note="We are on it.")
        assert page.text("note") == "Note: We are on it."
        assert "Acknowledged" in page.text("since")
        assert page.text("status") == "It is acknowledged."
        page("snooze", hours="4")
        assert "Snoozed until" in page.text("since")
        assert not page.last["shown"]["wake"]["hidden"]
        page("wake")
        assert "Snoozed" not in page.text("since")
        assert page.last["waits"] == [15000]
        monitor.looks(after=15)
        monitor.looks(after=15)
        page("later")
        assert "Resolved" in page.text("since")
        assert page.last["shown"]["snooze"]["hidden"]
        page("all")
        assert (page.last["path"], page.visible()) == ("/notifications", {"list"})
        assert page.text("none") == "No alert is open."
        assert {(r["to"], r["credentials"]) for r in page.last["requests"]} == {("/graphql", "omit")}
        assert merchant.key not in page.last["path"]


def test_the_list_leads_to_each_alert_without_asking_for_the_key_again(
    server: LiveServer, runtime: Runtime, merchant: Merchant, clock: FrozenClock, tmp_path: Path
) -> None:
    Monitor(runtime, merchant, clock).finds()
    with Page(server, "/notifications", tmp_path) as page:
        page("sign_in", key=merchant.key)
        assert page.visible() == {"list"}
        assert "Meta is down" in page.text("alerts")
        page("open", number=0)
        assert (page.last["path"], page.visible()) == (path_of(merchant, 1), {"alert"})
        assert page.text("title") == "Meta is down"


def test_a_key_that_may_not_is_told_so(
    server: LiveServer, runtime: Runtime, merchant: Merchant, clock: FrozenClock, tmp_path: Path
) -> None:
    Monitor(runtime, merchant, clock).finds()
    made = create_api_key(runtime, merchant.merchant_id, "reader", ["read"])
    assert isinstance(made, tuple)
    with Page(server, path_of(merchant, 1), tmp_path) as page:
        page("sign_in", key="tl_unknown")
        assert page.visible() == {"sign-in"}
        assert page.text("status") == "This API key is not known, or was revoked. Give another one."
        assert page.last["waits"] == []
        page("sign_in", key="two words")
        assert page.text("status") == "An API key is one word that begins with tl_."
        page("sign_in", key=made[1])
        assert page.visible() == {"alert"}
        page("acknowledge", note="")
        assert page.text("status").startswith("This API key may not do that")
        assert page.visible() == {"alert"}
    for path in ("/notifications/nonsense", "/notifications/%E0%A4%A"):
        with Page(server, path, tmp_path) as page:
            page("sign_in", key=merchant.key)
            assert page.text("status") == "There is no such alert of this key's merchant."
