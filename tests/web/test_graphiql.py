"""GraphiQL at ``/graphql``: for browsers, from here alone, and in nobody else's way."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping

import httpx
import pytest
from graphql import build_schema, parse, validate

from tests.factories import Api
from tracklayer.schema import schema
from tracklayer.web.graphiql import FOLDER, OWN, VENDORED

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def get(api: Api, path: str = "/graphql", **headers: str) -> httpx.Response:
    return await api.client.get(path, headers={"host": "localhost:8000", "accept": HTML, **headers})


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/graphql?operationName=x"])
async def test_a_browser_gets_a_page_that_loads_nothing_from_elsewhere(api: Api, path: str) -> None:
    answer = await get(api, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["vary"] == "accept"
    assert re.findall(r"<script[^>]*>[^<]|<style|\s(?:style|on\w+)=|https?://", answer.text) == []
    again = await get(api, path, **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.headers["content-security-policy"]) == (304, policy)
    loaded = re.findall(r'(?:src|href)="(/static/graphiql/[^"]+)"', answer.text)
    assert len(loaded) == len(VENDORED) + len(OWN)
    for file in loaded:
        found = await get(api, file)
        assert found.status_code == 200
        assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert found.headers["content-encoding"] == "gzip"
        assert found.headers["content-type"].startswith("text/javascript" if file.endswith(".js") else "text/css")
        if file.endswith(".css"):
            assert re.findall(r"@import|@font-face|url\((?!\"?data:)", found.text) == []


@pytest.mark.parametrize(
    ("params", "headers", "status"),
    [
        pytest.param({"query": "{ platforms { title } }"}, {}, 200, id="a query"),
        pytest.param({"query": "{ platforms { title } }"}, {"accept": "*/*"}, 200, id="a query of a program"),
        pytest.param({"query": ""}, {}, 400, id="an empty query"),
        pytest.param({}, {"accept": "*/*"}, 400, id="a program"),
        pytest.param({}, {"accept": "application/json"}, 400, id="JSON"),
    ],
)
async def test_whoever_asks_something_or_reads_no_html_gets_an_answer(
    api: Api, params: Mapping[str, str], headers: Mapping[str, str], status: int
) -> None:
    answer = await api.client.get("/graphql", params=params, headers={"accept": HTML, **headers})
    assert not answer.headers["content-type"].startswith("text/html")
    assert answer.status_code == status  # as it was before there was a page


async def test_a_post_is_answered_whatever_it_accepts(api: Api) -> None:
    answer = await api.post("{ platforms { title } }", accept=HTML)
    assert answer.headers["content-type"].startswith("application/json")


async def test_under_another_name_there_is_no_page(api: Api) -> None:
    for path in ("/graphql", f"/static/graphiql/{VENDORED[0]}"):
        answer = await get(api, path, host="evil.example")
        assert answer.status_code == 421
        assert "TRACKLAYER_PUBLIC_URL" in answer.text


def test_what_is_not_ours_is_what_was_recorded() -> None:
    recorded = {}
    for line in (FOLDER / "SOURCES").read_text().splitlines():
        found = re.match(r"([0-9a-f]{64})  (\S+)  ", line)
        if found is not None:
            recorded[found[2]] = found[1]
    assert set(recorded) == set(VENDORED)
    assert {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in VENDORED} == recorded
    assert {file.name for file in FOLDER.iterdir()} == {*VENDORED, *OWN, "SOURCES", "LICENSES"}


def test_its_first_query_is_a_good_one() -> None:
    script = (FOLDER / "graphiql.js").read_text()
    (query,) = re.findall(r"const FIRST = `([^`]*)`", script)
    assert validate(build_schema(schema.as_str()), parse(query)) == []
    for word in ("innerHTML", "eval(", "localStorage", "cookie", "http://", "https://"):
        assert word not in script


def test_its_script_is_javascript() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("There is no Node.js here to read it.")
    subprocess.run([node, "--check", FOLDER / "graphiql.js"], check=True)
