"""What the sandbox shows of what arrived, and how much of it it keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tracklayer.sandbox import Limits, SandboxServer
from tracklayer.sandbox.platforms import PLATFORMS

EVENTS = "/meta/v26.0/1234567890/events"

Send = Callable[..., httpx.Response]
Make = Callable[..., dict[str, Any]]


def test_accepted_event_is_shown_whole(send: Send, event: Make, accepted: Make) -> None:
    send(event(), test_event_code="TEST1")

    assert accepted() == {
        "unique": 1,
        "received": 1,
        "items": [
            {
                "seq": 1,
                "platform": "meta",
                "event_id": "lead-1",
                "event_name": "Lead",
                "destination": "1234567890",
                "test": True,
                "received_at": "2026-11-20T15:00:00Z",
                "times": 1,
                "item": event(),
            }
        ],
    }


@pytest.mark.parametrize(
    ("query", "unique", "received", "ids"),
    [
        pytest.param({}, 4, 5, ["a", "b", "c", "d"], id="all, newest last"),
        pytest.param({"limit": 2}, 4, 5, ["c", "d"], id="newest two"),
        pytest.param({"limit": 0}, 4, 5, [], id="only the counts"),
        pytest.param({"since": 1, "limit": 2}, 4, 5, ["b", "c"], id="next two"),
        pytest.param({"since": 4}, 4, 5, [], id="nothing newer"),
        pytest.param({"event_id": "b"}, 1, 2, ["b"], id="one event"),
        pytest.param({"event_id": "x"}, 0, 0, [], id="unknown event"),
        pytest.param({"platform": "*"}, 4, 5, ["a", "b", "c", "d"], id="every platform"),
    ],
)
def test_accepted_events_are_filtered(
    send: Send, event: Make, accepted: Make, query: dict[str, Any], unique: int, received: int, ids: list[str]
) -> None:
    send(event("a"), event("b"), event("b"), event("c"), event("d"))

    answer = accepted(**query)

    assert (answer["unique"], answer["received"]) == (unique, received)
    assert [entry["event_id"] for entry in answer["items"]] == ids


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        pytest.param(
            "/_accepted?platform=mata", f"platform must be * or one of {', '.join(PLATFORMS)}.", id="platform"
        ),
        pytest.param("/_accepted?limit=-1", "limit must be a whole number, 0 or more.", id="limit"),
        pytest.param("/_accepted?since=x", "since must be a whole number, 0 or more.", id="since"),
        pytest.param(
            "/_requests?platform=mata",
            f"platform must be * or one of {', '.join(PLATFORMS)}.",
            id="requests' platform",
        ),
        pytest.param("/_requests?limit=", "limit must be a whole number, 0 or more.", id="requests' limit"),
    ],
)
def test_query_that_cannot_be_is_refused_in_one_sentence(http: httpx.Client, path: str, sentence: str) -> None:
    response = http.get(path)

    assert (response.status_code, response.json()) == (422, {"error": sentence})


@pytest.mark.parametrize(
    ("request_parts", "shown"),
    [
        pytest.param(
            {"json": {"data": [], "access_token": "s3cret", "nested": [{"appsecret_proof": "s3cret"}]}},
            {"data": [], "access_token": "•••", "nested": [{"appsecret_proof": "•••"}]},
            id="JSON body",
        ),
        pytest.param(
            {"data": {"data": "[]", "Access_Token": "s3cret"}},
            {"data": "[]", "Access_Token": "•••"},
            id="form body",
        ),
        pytest.param({"content": b'{"access_token": "s3cret"'}, None, id="unreadable body"),
        pytest.param({"params": {"access_token": "s3cret"}}, None, id="query"),
        pytest.param({"headers": {"Authorization": "Bearer s3cret", "Cookie": "s3cret"}}, None, id="headers"),
    ],
)
def test_requests_are_shown_without_credentials(
    http: httpx.Client, request_parts: dict[str, Any], shown: object
) -> None:
    http.post(EVENTS, **request_parts)

    answer = http.get("/_requests?platform=meta")

    (entry,) = answer.json()["requests"]
    assert "s3cret" not in answer.text
    assert entry["body"] == shown
    if "params" in request_parts:
        assert entry["query"] == {"access_token": "•••"}
    if "headers" in request_parts:
        assert (entry["headers"]["authorization"], entry["headers"]["cookie"]) == ("•••", "•••")


def test_request_is_shown_with_its_verdict(http: httpx.Client, send: Send, event: Make) -> None:
    send(event())
    send(event("a"), event(action_source="web"))

    entries = http.get("/_requests").json()["requests"]

    keys = ("seq", "platform", "method", "path", "status", "fault", "items", "accepted")
    assert [tuple(entry[key] for key in keys) for entry in entries] == [
        (1, "meta", "POST", "/v26.0/1234567890/events", 200, None, 1, 1),
        (2, "meta", "POST", "/v26.0/1234567890/events", 400, None, 2, 0),
    ]
    assert entries[0]["body"]["data"] == [event()]
    assert entries[0]["body_bytes"] == int(entries[0]["headers"]["content-length"])
    assert http.get("/_requests?limit=1").json()["requests"] == entries[1:]


def test_large_request_is_shown_by_its_size_alone(http: httpx.Client, send: Send, event: Make) -> None:
    send(event(custom_data={"note": "x" * 70_000}))

    (entry,) = http.get("/_requests").json()["requests"]

    assert entry["body"] is None
    assert entry["body_bytes"] == int(entry["headers"]["content-length"])


def test_large_event_is_remembered_without_its_body(send: Send, event: Make, accepted: Make) -> None:
    send(event(custom_data={"note": "x" * 20_000}))

    (entry,) = accepted()["items"]
    assert (entry["event_id"], entry["item"]) == ("lead-1", None)


def test_reset_forgets_everything(http: httpx.Client, send: Send, event: Make, set_fault: Make, accepted: Make) -> None:
    send(event())
    set_fault("down")

    assert http.post("/_reset").json() == {"reset": True}

    assert accepted() == {"unique": 0, "received": 0, "items": []}
    assert http.get("/_requests").json() == {"requests": []}
    assert http.get("/_faults").json() == {"faults": []}


def test_help_names_every_route_and_its_example_works(http: httpx.Client, accepted: Make, clock: Any) -> None:
    text = http.get("/").text

    assert http.get("/").headers["content-type"] == "text/plain; charset=utf-8"
    for route in ("/_faults", "/_faults/1", "/_accepted", "/_requests", "/_reset"):
        assert f"{str(http.base_url).rstrip('/')}{route}" in text
    example = text.split(" -d '")[1].split("}]}'")[0] + "}]}"
    body = example.replace("'$(date +%s)'", str(int(clock.now().timestamp())))
    path = text.split("curl ")[1].split(" ")[0]
    response = http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.json()["events_received"] == 1
    assert accepted()["items"][0]["event_id"] == "c-1"


def test_unknown_platform_is_told_the_known_ones(http: httpx.Client) -> None:
    response = http.post("/mata/v26.0/1/events", json={})

    assert response.status_code == 404
    assert response.json() == {"error": "There is no platform 'mata'.", "platforms": list(PLATFORMS)}


def test_body_over_eight_mebibytes_is_refused(http: httpx.Client, accepted: Make) -> None:
    response = http.post(EVENTS, content=b" " * (8 * 1024 * 1024 + 1))

    assert response.status_code == 413
    assert response.json() == {"error": "The body is larger than 8 MiB."}
    assert http.get("/_requests").json() == {"requests": []}


def test_memory_is_bounded(clock: Any, event: Make) -> None:
    limits = Limits(identities=4, bodies=2, requests=3)

    with (
        SandboxServer(clock=clock.now, limits=limits) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": "Bearer good"}) as http,
    ):
        for number in range(6):
            http.post(EVENTS, json={"data": [event(str(number))]})
        answer = http.get("/_accepted?platform=meta").json()
        requests = http.get("/_requests").json()["requests"]

        assert (answer["unique"], answer["received"]) == (6, 6)
        kept = [(entry["seq"], entry["event_id"], entry["item"] is not None) for entry in answer["items"]]
        assert kept == [(3, "2", False), (4, "3", False), (5, "4", True), (6, "5", True)]
        assert [entry["seq"] for entry in requests] == [4, 5, 6]

        http.post(EVENTS, json={"data": [event("5"), event("0")]})
        answer = http.get("/_accepted?platform=meta").json()
        assert (answer["unique"], answer["received"]) == (7, 8)


def test_nothing_that_was_sent_reaches_a_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], send: Send, event: Make
) -> None:
    with caplog.at_level(0):
        send(event("log-1"))
        send(event("log-1", action_source="log-2"))

    assert [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))] == []
    assert capfd.readouterr() == ("", "")


def test_accepted_json_has_the_event_as_it_came(http: httpx.Client, accepted: Make, event: Make) -> None:
    sent = event(custom_data={"value": 129.9, "note": "naïve ☃"})

    http.post(EVENTS, content=json.dumps({"data": [sent], "access_token": "good"}))

    assert accepted()["items"][0]["item"] == sent
