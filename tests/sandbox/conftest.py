"""A running sandbox whose clock the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.helpers import Clock
from tracklayer.sandbox import SandboxServer

EVENTS = "/meta/v26.0/1234567890/events"


@pytest.fixture(scope="session")
def session_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def server(session_clock: Clock) -> Iterator[SandboxServer]:
    with SandboxServer(clock=session_clock.now) as server:
        yield server


@pytest.fixture
def clock(session_clock: Clock, request: pytest.FixtureRequest) -> Clock:
    session_clock.instant = getattr(request.module, "STARTS_AT", session_clock.start)
    return session_clock


@pytest.fixture(scope="session")
def session_client(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def http(session_client: httpx.Client, clock: Clock) -> httpx.Client:
    """A client of an empty sandbox without faults."""
    session_client.post("/_reset").raise_for_status()
    return session_client


@pytest.fixture
def send(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Sends events to Meta with a good token."""

    def send(*events: Any, **root: Any) -> httpx.Response:
        return http.post(EVENTS, json={"data": list(events), "access_token": "good", **root})

    return send


@pytest.fixture
def set_fault(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    def set_fault(kind: str, **fields: Any) -> dict[str, Any]:
        response = http.post("/_faults", json={"platform": "meta", "kind": kind, **fields})
        assert response.status_code == 201
        fault: dict[str, Any] = response.json()
        return fault

    return set_fault


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """A good event; named fields replace its own, those that are ``...`` are left out."""

    def event(event_id: str = "lead-1", **fields: Any) -> dict[str, Any]:
        good = {
            "event_name": "Lead",
            "event_time": 1795183865,
            "event_id": event_id,
            "action_source": "website",
            "event_source_url": "https://shop.example.com/newsletter",
            "user_data": {"em": ["a3bf86238a1c59bd2f0a648af9293620f90d18dad133d8fe2341cf9664a5d6d0"]},
        }
        return {key: value for key, value in {**good, **fields}.items() if value is not ...}

    return event


@pytest.fixture
def accepted(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    def accepted(**query: Any) -> dict[str, Any]:
        answer: dict[str, Any] = http.get("/_accepted", params={"platform": "meta", **query}).json()
        return answer

    return accepted
