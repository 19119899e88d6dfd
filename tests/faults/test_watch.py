"""Real processes: whoever still lives tells the operator what does not, once."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.faults.conftest import Installation
from tests.operator_receiver import Receiver
from tests.servers import free_port, running, wait_until

PATIENCE = 300  # a minute is the promise, of a machine that has nothing else to do


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def kinds_at(address: str) -> list[str]:
    answer = httpx.get(f"{address}/readyz")
    assert answer.status_code == 200  # this door takes events, whatever is wrong behind it
    return [trouble["kind"] for trouble in answer.json().get("troubles", [])]


def test_the_worker_is_killed_and_of_two_apis_one_tells_it(installation: Installation, receiver: Receiver) -> None:
    del installation.environ["TRACKLAYER_SANDBOX_URL"]  # which would be a trouble of its own
    installation.environ["TRACKLAYER_OPERATOR_WEBHOOK"] = receiver.url
    installation.scheduler()
    addresses = installation.api(), installation.api()
    installation.worker().kill()
    wait_until(lambda: bool(receiver.bodies), "it to be told", PATIENCE)
    for address in addresses:
        wait_until(lambda address=address: kinds_at(address) == ["no_worker"], "each API to say so")  # type: ignore[misc]
    assert [(body["kind"], body["state"]) for body in receiver.bodies] == [("no_worker", "open")]


def test_a_process_that_waits_for_its_database_tells_that_it_is_away(receiver: Receiver) -> None:
    environ = {
        "TRACKLAYER_DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/gone",
        "TRACKLAYER_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "TRACKLAYER_SECRET_KEY": "a-secret-key-for-tests-of-forty-characters",
        "TRACKLAYER_OPERATOR_WEBHOOK": receiver.url,
    }
    with running("scheduler", environ=environ) as process:
        wait_until(lambda: bool(receiver.bodies), "it to be told", PATIENCE)
        assert (receiver.bodies[0]["kind"], receiver.bodies[0]["state"]) == ("database_away", "open")
        assert process.stop() == 0
