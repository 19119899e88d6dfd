"""Each kind of fault as a real HTTP client sees it, and what the platform remembers afterwards."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.servers import wait_until
from tracklayer.sandbox import SandboxServer
from tracklayer.sandbox.platforms import PLATFORMS

Send = Callable[..., httpx.Response]
Make = Callable[..., dict[str, Any]]


def last_request(http: httpx.Client) -> dict[str, Any]:
    entry: dict[str, Any] = http.get("/_requests").json()["requests"][-1]
    return entry


def test_down_cuts_the_connection_and_remembers_nothing(
    http: httpx.Client, send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("down")

    with pytest.raises(httpx.RemoteProtocolError):
        send(event())

    assert accepted()["received"] == 0
    assert (last_request(http)["status"], last_request(http)["fault"]) == (None, "down")


def test_drop_after_accept_remembers_and_cuts_the_connection(
    http: httpx.Client, send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("drop_after_accept", count=1)

    with pytest.raises(httpx.RemoteProtocolError):
        send(event())
    assert (accepted()["unique"], accepted()["received"]) == (1, 1)
    assert (last_request(http)["status"], last_request(http)["accepted"]) == (None, 1)

    assert send(event()).status_code == 200
    assert (accepted()["unique"], accepted()["received"]) == (1, 2)


def test_drop_after_accept_of_a_bad_event_remembers_nothing(
    send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("drop_after_accept")

    with pytest.raises(httpx.RemoteProtocolError):
        send(event(action_source="web"))

    assert accepted()["received"] == 0


def test_half_body_breaks_off_within_the_answer(
    http: httpx.Client, send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("half_body")
    body = {"data": [event()], "access_token": "good"}

    with http.stream("POST", "/meta/v26.0/1/events", json=body) as response:
        assert response.status_code == 200
        length = int(response.headers["content-length"])
        chunks = response.iter_raw()
        received = next(chunks)
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)

    assert len(received) == length // 2
    assert received.startswith(b'{"events_received":1')
    assert accepted()["received"] == 1


def test_hang_answers_nothing_and_forgets_a_client_that_left(
    http: httpx.Client, server: SandboxServer, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("hang", count=1)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.url}/meta/v26.0/1/events",
            json={"data": [event()], "access_token": "good"},
            timeout=httpx.Timeout(5, read=0.09),
        )

    wait_for(lambda: http.get("/_requests").json()["requests"])
    assert (last_request(http)["status"], last_request(http)["fault"]) == (None, "hang")
    assert accepted()["received"] == 0


def test_hang_handles_the_request_of_a_client_that_stays(
    send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("hang", delay_seconds=0.03)
    started = time.monotonic()

    assert send(event()).status_code == 200

    assert time.monotonic() - started > 0.03
    assert accepted()["received"] == 1


def test_slow_remembers_at_once_and_answers_late(
    http: httpx.Client, server: SandboxServer, send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("slow", delay_seconds=30, count=1)
    set_fault("slow", delay_seconds=0.03)

    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{server.url}/meta/v26.0/1/events",
            json={"data": [event("a")], "access_token": "good"},
            timeout=httpx.Timeout(5, read=0.09),
        )
    started = time.monotonic()
    assert send(event("b")).status_code == 200

    assert time.monotonic() - started > 0.03
    assert [entry["event_id"] for entry in accepted()["items"]] == ["a", "b"]


@pytest.mark.parametrize("status", [pytest.param(500, id="500"), pytest.param(503, id="503")])
def test_error_is_worded_as_metas_transient_one(
    send: Send, event: Make, set_fault: Make, accepted: Make, status: int
) -> None:
    set_fault("error", status=status)

    response = send(event())

    assert response.status_code == status
    assert response.json() == {
        "error": {
            "message": "An unexpected error has occurred. Please retry your request later.",
            "type": "OAuthException",
            "code": 2,
            "is_transient": True,
            "fbtrace_id": "Asandbox00000000000001",
        }
    }
    assert accepted()["received"] == 0


def test_error_502_is_a_page_of_the_proxy(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("error", status=502)

    response = send(event())

    assert response.status_code == 502
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>502 Bad Gateway</h1>" in response.text


def test_error_400_is_an_invalid_parameter(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("error", status=400)

    response = send(event())

    assert (response.status_code, response.json()["error"]["code"]) == (400, 100)


def test_rate_limit_is_metas_code_with_status_400(send: Send, event: Make, set_fault: Make, accepted: Make) -> None:
    set_fault("rate_limit")

    response = send(event())

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "(#80004) There have been too many calls to this ad-account. Wait a bit and try again.",
        "type": "OAuthException",
        "code": 80004,
        "error_subcode": 2446079,
        "is_transient": False,
        "fbtrace_id": "Asandbox00000000000001",
    }
    assert not {"retry-after", "x-business-use-case-usage"} & response.headers.keys()
    assert accepted()["received"] == 0


def test_rate_limit_says_when_to_come_back_if_the_fault_does(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("rate_limit", retry_after=90)

    headers = send(event()).headers

    assert headers["retry-after"] == "90"
    assert (
        headers["x-business-use-case-usage"] == '{"1":[{"type":"ads_management","estimated_time_to_regain_access":2}]}'
    )


def test_credentials_are_refused_whatever_the_token(send: Send, event: Make, set_fault: Make, accepted: Make) -> None:
    set_fault("credentials")

    response = send(event())

    assert response.status_code == 401
    assert (response.json()["error"]["code"], response.json()["error"]["error_subcode"]) == (190, 463)
    assert accepted()["received"] == 0


def test_refused_event_sinks_its_request_and_no_other(
    http: httpx.Client, send: Send, event: Make, set_fault: Make, accepted: Make
) -> None:
    set_fault("refuse", event_ids=["bad"])

    refused = send(event("good"), event("bad"))
    taken = send(event("good"))

    assert refused.status_code == 400
    assert (refused.json()["error"]["code"], refused.json()["error"]["error_subcode"]) == (100, 2804019)
    assert taken.status_code == 200
    assert (accepted()["unique"], accepted()["received"]) == (1, 1)
    assert http.get("/_faults").json()["faults"][0]["hits"] == 1


def test_count_of_a_refusal_is_spent_on_its_own_events_only(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("refuse", event_ids=["bad"], count=2)

    statuses = [send(event(event_id)).status_code for event_id in ("good", "bad", "good", "bad", "bad")]

    assert statuses == [200, 400, 200, 400, 200]


def test_count_ends_a_fault(http: httpx.Client, send: Send, event: Make, set_fault: Make) -> None:
    set_fault("error", count=2)

    assert [send(event()).status_code for _ in range(4)] == [500, 500, 200, 200]
    (fault,) = http.get("/_faults").json()["faults"]
    assert (fault["count"], fault["hits"], fault["active"]) == (0, 2, False)


def test_seconds_end_a_fault(send: Send, event: Make, set_fault: Make, clock: Any) -> None:
    fault = set_fault("error", seconds=90)
    assert fault["until"] == "2026-11-20T15:01:30Z"

    statuses = []
    for _ in range(4):
        statuses.append(send(event()).status_code)
        clock.move(seconds=30)

    assert statuses == [500, 500, 500, 200]


def test_share_strikes_the_same_requests_for_the_same_seed(
    http: httpx.Client, send: Send, event: Make, set_fault: Make
) -> None:
    runs = []
    for _ in range(2):
        http.post("/_reset")
        set_fault("error", share=0.5)
        runs.append([send(event()).status_code for _ in range(20)])

    dice = random.Random(0)
    assert runs[0] == [500 if dice.random() < 0.5 else 200 for _ in range(20)]
    assert runs[1] == runs[0]


def test_share_of_nothing_strikes_nothing(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("down", share=0)

    assert send(event()).status_code == 200


def test_first_fault_set_wins_and_slow_goes_with_it(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("error", status=503, count=1)
    set_fault("rate_limit")
    set_fault("slow", delay_seconds=0.03)
    started = time.monotonic()

    assert [send(event()).status_code for _ in range(2)] == [503, 400]

    assert time.monotonic() - started > 0.06


def test_fault_for_every_platform_strikes_each(send: Send, event: Make, set_fault: Make) -> None:
    set_fault("error", platform="*")

    assert send(event()).status_code == 500


def test_clearing_one_fault_leaves_the_others(http: httpx.Client, send: Send, event: Make, set_fault: Make) -> None:
    first = set_fault("error", status=500)
    set_fault("error", status=503)

    cleared = http.delete(f"/_faults/{first['id']}")

    assert (cleared.status_code, cleared.json()) == (200, {"cleared": 1})
    assert send(event()).status_code == 503
    assert http.delete(f"/_faults/{first['id']}").status_code == 404
    assert http.delete("/_faults").json() == {"cleared": 1}
    assert send(event()).status_code == 200
    assert http.get("/_faults").json() == {"faults": []}


def test_fault_is_shown_as_it_was_set(set_fault: Make, http: httpx.Client) -> None:
    fault = set_fault("rate_limit", share=0.25, count=3, retry_after=5)

    assert fault == {
        "id": 1,
        "platform": "meta",
        "kind": "rate_limit",
        "share": 0.25,
        "until": None,
        "count": 3,
        "retry_after": 5,
        "delay_seconds": 0.0,
        "status": 500,
        "event_ids": [],
        "hits": 0,
        "active": True,
    }
    assert http.get("/_faults").json() == {"faults": [fault]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"", "A fault is a JSON object of at most 1 MiB.", id="nothing"),
        pytest.param(b"{", "A fault is a JSON object of at most 1 MiB.", id="broken JSON"),
        pytest.param(b"[]", "A fault is a JSON object.", id="a list"),
        pytest.param(
            b"{}",
            "kind must be one of down, hang, slow, error, rate_limit, credentials, refuse, "
            "drop_after_accept, half_body.",
            id="no kind",
        ),
        pytest.param(
            b'{"kind": "down", "platform": "mata"}',
            f"platform must be * or one of {', '.join(PLATFORMS)}.",
            id="platform",
        ),
        pytest.param(
            b'{"kind": "down", "platform": []}',
            f"platform must be * or one of {', '.join(PLATFORMS)}.",
            id="platform list",
        ),
        pytest.param(b'{"kind": "down", "share": 1.5}', "share must be a number from 0 to 1.", id="share"),
        pytest.param(b'{"kind": "down", "share": true}', "share must be a number from 0 to 1.", id="share boolean"),
        pytest.param(
            b'{"kind": "down", "seconds": 0}',
            "seconds must be a number from 0.001 to 2.592e+06.",
            id="seconds",
        ),
        pytest.param(b'{"kind": "down", "count": 0}', "count must be a whole number from 1 to 1000000000.", id="count"),
        pytest.param(
            b'{"kind": "rate_limit", "retry_after": 1.5}',
            "retry_after must be a whole number from 0 to 2592000.",
            id="retry_after",
        ),
        pytest.param(
            b'{"kind": "error", "status": 200}', "status must be a whole number from 400 to 599.", id="status"
        ),
        pytest.param(
            b'{"kind": "refuse"}',
            "event_ids must be a list with one string at least.",
            id="refuse without ids",
        ),
        pytest.param(
            b'{"kind": "refuse", "event_ids": [1]}',
            "event_ids must be a list with one string at least.",
            id="refuse a number",
        ),
        pytest.param(
            b'{"kind": "slow", "delay": 1}',
            "There is no field delay; known are platform, kind, share, seconds, count, retry_after, "
            "delay_seconds, status, event_ids.",
            id="unknown field",
        ),
    ],
)
def test_fault_that_cannot_be_is_refused_in_one_sentence(http: httpx.Client, content: bytes, sentence: str) -> None:
    response = http.post("/_faults", content=content)

    assert response.status_code == 422
    assert response.json() == {"error": sentence}
    assert http.get("/_faults").json() == {"faults": []}


def wait_for(condition: Callable[[], object]) -> None:
    """For what another thread does within some milliseconds."""
    wait_until(lambda: bool(condition()), "another thread")
