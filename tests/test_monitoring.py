"""The guide, the board and the alerts name what is exported, and real Prometheus understands all of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.factories import INGEST, camel, draft
from tests.servers import free_port, running, wait_for_api, wait_until
from tracklayer import metrics, web
from tracklayer.mappers import PLATFORMS

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy/prometheus/rules.yml"
RULES_TEST = RULES.with_name("rules_test.yml")
BOARD = json.loads((ROOT / "deploy/grafana/tracklayer.json").read_text())
DOCS = Path(web.__file__).parent / "docs"
GUIDE = (DOCS / "metrics.md").read_text()
OTHERS = {"up"}  # what Prometheus itself says of what it scrapes
LABELS = {"job", "instance", "le"}  # that no metric names, and all or some have


def rules() -> dict[str, str]:
    """Alert -> expression. Read as it is written: nothing here reads YAML."""
    found = re.findall(r"- alert: (\w+)\n +expr: >-\n((?: {10}.+\n)+)", RULES.read_text())
    return {alert: " ".join(lines.split()) for alert, lines in found}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def on_board() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def metrics_in(expression: str) -> set[str]:
    found = set(re.findall(r"\b(?:tracklayer|process)_\w+", re.sub(r"\"[^\"]*\"", "", expression)))
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in metrics.EXPORTED else name for name in found}


def test_the_guide_describes_what_is_exported_and_nothing_else() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \| (.*) \|$", GUIDE, re.MULTILINE)
    described = {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), meaning) for name, kind, labels, meaning in rows}
    assert described == {name: tuple(known) for name, known in metrics.EXPORTED.items()}
    assert list(described) == list(metrics.EXPORTED)


def test_board_and_rules_name_only_what_is_exported() -> None:
    assert len(rules()) == RULES.read_text().count("- alert:")
    for expression in (*on_board(), *rules().values()):
        assert metrics_in(expression) | OTHERS > OTHERS or "up{" in expression, expression
        assert metrics_in(expression) <= set(metrics.EXPORTED), expression
        known = {label for name in metrics_in(expression) for label in metrics.EXPORTED[name].labels} | LABELS
        asked = re.findall(r"[{,]\s*(\w+)(?:=~|!~|!=|=)\"", expression)
        by = re.findall(r"(?:by|on) \(([^)]*)\)", expression)
        assert {*asked, *(label for labels in by for label in labels.split(", "))} <= known | {"version", "python"}


def test_everything_that_is_exported_is_on_the_board() -> None:
    shown = {name for expression in on_board() for name in metrics_in(expression)}
    looks = {"tracklayer_look_timestamp_seconds", "tracklayer_queue_look_timestamp_seconds"}
    assert set(metrics.EXPORTED) - shown == looks


def test_the_board_can_be_imported() -> None:
    """As far as its shape goes: each panel in its place, with a source that is chosen and an id of its own."""
    assert BOARD["uid"] == "tracklayer"
    assert "id" not in BOARD
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["datasource", "instance"]
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    for panel in panels():
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]), panel["title"]


def test_every_alert_says_what_it_means_where_to_read_on_and_is_tried() -> None:
    text = RULES.read_text()
    count = len(rules())
    for part in ("summary: ", "description: ", "severity: "):
        assert text.count(part) == count
    links = set(re.findall(r"runbook_url: \"(.*)\"", text))
    assert links == {"{{ $externalLabels.tracklayer_url }}/docs/runbooks#what-to-look-at-first"}
    assert "\n## What to look at first\n" in (DOCS / "runbooks.md").read_text()
    tried = RULES_TEST.read_text()
    for alert in rules():
        assert f"- name: {alert}\n" in tried
        assert tried.count(f"alertname: {alert}\n        exp_alerts: []") == 2


# With the real thing ---------------------------------------------------------------------------------------------------


def binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on PATH: Debian has it in the package prometheus")
    return found


def test_promtool_finds_each_alert_where_it_should_be_and_none_where_all_is_well() -> None:
    promtool = binary("promtool")
    for command in (("check", "rules", str(RULES)), ("test", "rules", str(RULES_TEST))):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_likes_the_names() -> None:
    promtool = binary("promtool")
    done = subprocess.run([promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """(what `up --sandbox` serves, its first key, a Prometheus that scrapes it each second)."""
    server = binary("prometheus")
    port, asked = free_port(), free_port()
    address = f"http://127.0.0.1:{port}"
    environ = {"TRACKLAYER_DATA_DIR": str(tmp_path / "data")}
    config = tmp_path / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{RULES}]\n"
        f"scrape_configs: [{{job_name: tracklayer, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
    command = [server, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    with running("up", "--sandbox", "--port", str(port), environ=environ) as process:
        wait_for_api(process, address)
        wait_until(lambda: "API key" in process.output(), "the key to be shown")
        key = re.findall(r"API key +(\S+)", process.output())[0]
        scraping = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{asked}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield address, key, f"http://127.0.0.1:{asked}"
        finally:
            scraping.kill()
            scraping.wait()
            process.stop()


def _of(server: str, path: str, **params: str) -> Any:
    try:
        answer = httpx.get(f"{server}/api/v1/{path}", params=params)
    except httpx.TransportError:
        return None
    return answer.json()["data"] if answer.status_code == 200 else None


def _send(address: str, key: str, number: int, **changes: Any) -> None:
    event = draft(f"order_{number}", **{"occurred_at": datetime.now(UTC).isoformat(), **changes})
    body = {"query": INGEST, "variables": {"input": camel(event)}}
    httpx.post(f"{address}/graphql", json=body, headers={"authorization": f"Bearer {key}"}).raise_for_status()


def unfiltered(expression: str) -> str:
    """What an expression compares, without the comparison: something, where nothing is wrong."""
    bare = re.sub(r"absent\((\w+)\)", r"\1", expression)
    bare = re.sub(r" and sum by \(platform\).*", "", bare)
    return re.sub(r" (==|>) [\d.]+$", "", bare)


def test_every_expression_finds_something_in_a_real_prometheus(prometheus: tuple[str, str, str]) -> None:
    address, key, server = prometheus
    asked = [
        unfiltered(one).replace("$__rate_interval", "1m").replace("$instance", ".*")
        for one in (*on_board(), *rules().values())
    ]
    left = dict.fromkeys(asked)
    number = 0

    def all_found() -> bool:
        nonlocal number
        for changes in ({}, {}, {"custom_data": {"value": 1, "currency": "XXZ"}}):
            number += 1
            _send(address, key, number, **changes)
        for one in list(left):
            found = _of(server, "query", query=one)
            if found is not None and found["result"]:
                del left[one]
        return not left

    try:
        wait_until(all_found, "each expression to find something", 120)
    except pytest.fail.Exception:
        pytest.fail(f"nothing is found by {list(left)}")
    groups = _of(server, "rules")["groups"]
    evaluated = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert evaluated == dict.fromkeys(rules(), "ok")
    (target,) = _of(server, "targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    delivered = _of(server, "query", query="count by (platform) (tracklayer_deliveries_total{outcome='delivered'} > 0)")
    assert {found["metric"]["platform"] for found in delivered["result"]} <= set(PLATFORMS)
