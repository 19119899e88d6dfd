"""What a plug-in may be, with one unlike Meta: single verdicts, corrections, no body, a token endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tracklayer.sandbox import SandboxServer
from tracklayer.sandbox.platforms import PLATFORMS
from tracklayer.sandbox.platforms.base import Answer, Call, Item, Platform, Route, json_answer


def answer_events(call: Call) -> Answer:
    """Takes the good events of a request and leaves the bad; a later copy corrects an earlier one."""
    if call.headers.get("x-acme-key") != "key":
        return answer_credentials_refused(call)
    events: Any = call.json()
    items = [
        Item(
            destination=call.parts["tag"],
            event_name=event["name"],
            event_id=event["id"],
            body=event,
            accepted=not call.refuses(event["id"]),
            dedup_key=(call.parts["tag"], event["id"]),
            newest_wins=True,
        )
        for event in events
    ]
    return Answer(204, items=tuple(items))


def answer_token(call: Call) -> Answer:
    return json_answer(200, {"access_token": f"sandbox-{call.serial}", "grant": call.form()["grant_type"]})


def answer_credentials_refused(call: Call) -> Answer:
    return json_answer(400 if call.path == "/token" else 401, {})


ACME = Platform(
    title="Acme",
    routes=(
        Route("POST", re.compile(r"/v1/(?P<tag>\d+):collect"), answer_events),
        Route("POST", re.compile("/token"), answer_token),
    ),
    no_route=lambda call: json_answer(404, {}),
    rate_limited=lambda call, retry_after: json_answer(429, {}, {"x-acme-wait": str(retry_after)}),
    server_error=lambda call, status: json_answer(status, {}),
    credentials_refused=answer_credentials_refused,
    secret_names=frozenset({"x-acme-key"}),
)
EVENTS = [{"id": "a", "name": "buy", "value": 1}, {"id": "b", "name": "buy", "value": 2}]


@pytest.fixture
def acme(clock: Any) -> Iterator[httpx.Client]:
    with (
        SandboxServer(clock=clock.now, platforms={**PLATFORMS, "acme": ACME}) as server,
        httpx.Client(base_url=server.url, headers={"X-Acme-Key": "key"}) as http,
    ):
        yield http


def test_answer_without_a_body_has_no_length(acme: httpx.Client) -> None:
    response = acme.post("/acme/v1/7:collect", json=EVENTS)

    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers


def test_refused_event_leaves_its_neighbours(acme: httpx.Client) -> None:
    acme.post("/_faults", json={"platform": "acme", "kind": "refuse", "event_ids": ["a"], "count": 1})

    acme.post("/acme/v1/7:collect", json=EVENTS)

    assert [entry["event_id"] for entry in acme.get("/_accepted?platform=acme").json()["items"]] == ["b"]
    (entry,) = acme.get("/_requests?platform=acme").json()["requests"]
    assert (entry["items"], entry["accepted"], entry["headers"]["x-acme-key"]) == (2, 1, "•••")


def test_later_copy_corrects_the_first_where_the_platform_does_so(acme: httpx.Client) -> None:
    acme.post("/acme/v1/7:collect", json=EVENTS)
    acme.post("/acme/v1/7:collect", json=[{"id": "a", "name": "buy", "value": 9}])

    answer = acme.get("/_accepted?platform=acme").json()

    assert (answer["unique"], answer["received"]) == (2, 3)
    assert [entry["item"]["value"] for entry in answer["items"]] == [9, 2]


def test_token_endpoint_is_a_route_and_its_secrets_are_not_shown(acme: httpx.Client) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "s3cret", "client_secret": "s3cret"}

    assert acme.post("/acme/token", data=form).json() == {
        "access_token": "sandbox-1",
        "grant": "refresh_token",
    }

    shown = acme.get("/_requests").json()["requests"][0]["body"]
    assert shown == {"grant_type": "refresh_token", "refresh_token": "•••", "client_secret": "•••"}


def test_credentials_fault_reaches_the_token_endpoint_in_its_own_words(acme: httpx.Client) -> None:
    acme.post("/_faults", json={"platform": "acme", "kind": "credentials"})

    assert acme.post("/acme/token", data={"grant_type": "refresh_token"}).status_code == 400
    assert acme.post("/acme/v1/7:collect", json=EVENTS).status_code == 401


def test_rate_limit_has_the_platforms_status_and_headers_and_retry_after(acme: httpx.Client) -> None:
    acme.post("/_faults", json={"platform": "acme", "kind": "rate_limit", "retry_after": 7})

    response = acme.post("/acme/v1/7:collect", json=EVENTS)

    assert response.status_code == 429
    assert (response.headers["x-acme-wait"], response.headers["retry-after"]) == ("7", "7")


def test_half_of_no_body_is_no_answer(acme: httpx.Client) -> None:
    acme.post("/_faults", json={"platform": "acme", "kind": "half_body"})

    with pytest.raises(httpx.RemoteProtocolError):
        acme.post("/acme/v1/7:collect", json=EVENTS)

    assert acme.get("/_requests").json()["requests"][0]["status"] is None


def test_fault_of_one_platform_leaves_the_others(acme: httpx.Client) -> None:
    acme.post("/_faults", json={"platform": "meta", "kind": "down"})

    assert acme.post("/acme/v1/7:collect", json=EVENTS).status_code == 204


def test_counts_of_all_platforms_are_their_sum(acme: httpx.Client) -> None:
    meta = {"event_name": "Contact", "event_time": 1795183865, "action_source": "email"}
    acme.post("/acme/v1/7:collect", json=EVENTS)
    acme.post("/acme/v1/8:collect", json=EVENTS)
    acme.post("/meta/v26.0/1/events", json={"data": [{**meta, "user_data": {"lead_id": 1}}], "access_token": "x"})

    assert acme.get("/_accepted").json()["unique"] == 5
    assert acme.get("/_accepted?platform=acme").json()["unique"] == 4
    assert acme.get("/_accepted?event_id=a").json()["unique"] == 2
    assert [entry["platform"] for entry in acme.get("/_accepted?since=3").json()["items"]] == ["acme", "meta"]
