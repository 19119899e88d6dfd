"""Nothing that was acknowledged is lost, and nothing is stored twice, whatever process dies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psutil

from tests.factories import INGEST, INGEST_MANY, camel, draft, new_merchant
from tests.faults.conftest import Installation
from tests.servers import free_port, running, wait_for_api, wait_until
from tracklayer.cli.serve import SETTLING_SECONDS
from tracklayer.db.connection import in_transaction, rows
from tracklayer.runtime import Runtime


def select(sql: str) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql)


def post(client: httpx.Client, *events: dict[str, Any]) -> httpx.Response:
    return client.post("/graphql", json={"query": INGEST_MANY, "variables": {"inputs": camel(list(events))}})


def is_alive(process: psutil.Process) -> bool:
    """A dead one that nobody has asked about is still in the table."""
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def count(sql: str) -> int:
    return int(select(sql)[0][0])


async def test_a_hundred_sends_of_one_id_over_two_processes_are_one_row(
    installation: Installation, now: Callable[[], str]
) -> None:
    addresses = [installation.api(), installation.api()]
    body = {"query": INGEST, "variables": {"input": camel(draft(occurred_at=now()))}}
    headers = {"authorization": f"Bearer {installation.merchant.key}"}
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=60) as client:
        answers = await asyncio.gather(*(client.post(f"{addresses[n % 2]}/graphql", json=body) for n in range(100)))
    outcomes = Counter(answer.json()["data"]["ingestEvent"]["outcome"] for answer in answers)
    assert outcomes == {"ACCEPTED": 1, "COALESCED": 99}
    assert select("SELECT event_id, times_received FROM events") == [("order_1", 100)]
    assert count("SELECT count(*) FROM deliveries") == 1


async def test_overlapping_batches_in_opposite_order_do_not_block_each_other(
    installation: Installation, now: Callable[[], str]
) -> None:
    addresses = [installation.api(), installation.api()]
    events = [camel(draft(f"order_{n}", occurred_at=now())) for n in range(200)]
    headers = {"authorization": f"Bearer {installation.merchant.key}"}
    async with httpx.AsyncClient(headers=headers, timeout=60) as client:
        answers = await asyncio.gather(
            *(
                client.post(
                    f"{addresses[n % 2]}/graphql",
                    json={"query": INGEST_MANY, "variables": {"inputs": events if n % 2 else events[::-1]}},
                )
                for n in range(8)
            )
        )
    totals = [answer.json()["data"]["ingestEvents"] for answer in answers]
    assert sum(total["accepted"] for total in totals) == 200
    assert sum(total["coalesced"] for total in totals) == 1400
    assert select("SELECT count(*), min(times_received), max(times_received) FROM events") == [(200, 8, 8)]
    assert count("SELECT count(*) FROM deliveries") == 200


def test_a_worker_killed_between_the_platforms_answer_and_the_row_loses_nothing(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    # The platform takes the events at once and answers late: that is when the worker dies.
    installation.fault(kind="slow", delay_seconds=20, count=1)
    first = installation.worker()
    answer = post(client, *(draft(f"order_{n}", occurred_at=now()) for n in range(5)))
    assert answer.json()["data"]["ingestEvents"]["accepted"] == 5
    wait_until(lambda: len(installation.accepted()) == 5, "the platform to take the events")
    first.kill()
    assert select("SELECT cardinality(event_ids), cardinality(sending) FROM claims") == [(5, 5)]
    installation.scheduler()
    installation.worker()
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == 5, "all to be delivered")
    assert set(installation.accepted().values()) == {2}
    assert httpx.get(f"{installation.sandbox.url}/_accepted").json()["unique"] == 5
    logs = [row[0] for row in select("SELECT attempt_log FROM deliveries")]
    assert [[entry["outcome"] for entry in log] for log in logs] == [["unknown", "acknowledged"]] * 5


def test_a_worker_killed_while_events_of_many_merchants_are_on_their_way_loses_none(
    installation: Installation, now: Callable[[], str], runtime: Runtime
) -> None:
    api = installation.api()
    shops = [installation.merchant, *(new_merchant(runtime) for _ in range(19))]
    installation.fault(kind="slow", delay_seconds=20, count=10)
    first = installation.worker()
    for shop in shops:
        with httpx.Client(base_url=api, headers={"authorization": f"Bearer {shop.key}"}, timeout=30) as client:
            answer = post(client, draft(f"order_{shop.merchant_id}", occurred_at=now()))
            assert answer.json()["data"]["ingestEvents"]["accepted"] == 1
    # Ten are answered late, the others are written meanwhile: then the worker dies.
    wait_until(lambda: len(installation.accepted()) == 20, "the platform to take the events")
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == 10, "half to be written")
    first.kill()
    assert count("SELECT count(*) FROM claims WHERE cardinality(sending) = 1") == 10
    installation.scheduler()
    installation.worker()
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == 20, "all to be delivered")
    assert sorted(installation.accepted().values()) == [1] * 10 + [2] * 10
    logs = Counter(tuple(entry["outcome"] for entry in row[0]) for row in select("SELECT attempt_log FROM deliveries"))
    assert logs == {("acknowledged",): 10, ("unknown", "acknowledged"): 10}


def test_without_a_broker_events_are_acknowledged_and_go_out_when_it_is_back(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    installation.worker()
    installation.scheduler()
    installation.redis.stop()
    answer = post(client, draft(occurred_at=now()))
    assert answer.json()["data"]["ingestEvents"]["accepted"] == 1
    assert count("SELECT count(*) FROM deliveries WHERE status = 'queued'") == 1
    installation.redis.start()
    wait_until(lambda: installation.accepted() == {"order_1": 1}, "the event to go out")


def test_a_broker_that_forgot_everything_delays_and_loses_nothing(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    post(client, *(draft(f"order_{n}", occurred_at=now()) for n in range(20)))
    installation.redis.stop()
    installation.redis.start()
    installation.worker()
    installation.scheduler()
    wait_until(lambda: len(installation.accepted()) == 20, "all to go out")


def test_two_workers_and_two_schedulers_deliver_each_event_once(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    for _ in range(2):
        installation.worker()
        installation.scheduler()
    for batch in range(5):
        post(client, *(draft(f"order_{batch}_{n}", occurred_at=now()) for n in range(100)))
    wait_until(lambda: len(installation.accepted()) == 500, "all to go out")
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == 500, "all to be settled")
    assert set(installation.accepted().values()) == {1}


def test_a_worker_ends_cleanly_and_leaves_no_claim(installation: Installation, now: Callable[[], str]) -> None:
    client = installation.client(installation.api())
    worker = installation.worker()
    post(client, draft(occurred_at=now()))
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == 1, "the delivery")
    assert worker.stop() == 0
    assert count("SELECT count(*) FROM claims") == 0
    assert "work in hand" not in worker.output()


def test_what_an_ending_process_leaves_in_hand_is_told(installation: Installation, now: Callable[[], str]) -> None:
    installation.fault(kind="slow", delay_seconds=20, count=1)
    port = free_port()
    process = installation.stack.enter_context(running("up", "--port", str(port), environ=installation.environ))
    wait_for_api(process, f"http://127.0.0.1:{port}")
    post(installation.client(f"http://127.0.0.1:{port}"), draft(occurred_at=now()))
    wait_until(lambda: len(installation.accepted()) == 1, "the platform to take the event")
    assert process.stop() == 0
    assert (
        "ends after 2 s with work in hand that others take over: requests to 1 destination(s), 0 job(s)"
        in process.output()
    )


def test_a_worker_that_is_asked_to_end_waits_for_the_platforms_answer(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    installation.fault(kind="slow", delay_seconds=4, count=1)
    worker = installation.worker()
    post(client, draft(occurred_at=now()))
    wait_until(lambda: len(installation.accepted()) == 1, "the platform to take the event")
    assert worker.stop() == 0
    assert select("SELECT status, attempts, jsonb_array_length(attempt_log) FROM deliveries") == [("delivered", 1, 1)]
    assert count("SELECT count(*) FROM claims") == 0


def test_a_second_signal_ends_a_worker_at_once(installation: Installation, now: Callable[[], str]) -> None:
    client = installation.client(installation.api())
    installation.fault(kind="slow", delay_seconds=25, count=1)
    worker = installation.worker()
    post(client, draft(occurred_at=now()))
    wait_until(lambda: len(installation.accepted()) == 1, "the platform to take the event")
    worker.ask_to_end()
    wait_until(lambda: "finishing" in worker.output(), "the worker to say that it ends")
    assert worker.stop() == 0
    assert "with work in hand that others take over: requests to 1 destination(s), 0 job(s)" in worker.output()
    assert select("SELECT status, attempts FROM deliveries") == [("queued", 0)]
    # Nobody knows whether the platform took it: the next sweep finds its claim without an owner.
    installation.scheduler()
    installation.worker()
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'delivered'") == 1, "the delivery")
    assert select("SELECT attempt_log -> 0 ->> 'outcome' FROM deliveries") == [("unknown",)]


def test_api_processes_share_a_port_and_one_that_is_killed_is_replaced(
    installation: Installation, now: Callable[[], str]
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = installation.stack.enter_context(
        running("api", "--port", str(port), "--processes", "2", environ=installation.environ)
    )
    wait_for_api(process, address)
    parent = psutil.Process(process.pid)
    wait_until(lambda: len(parent.children()) == 2, "both processes to run")
    time.sleep(SETTLING_SECONDS)  # one that dies at once would say that none can serve
    first, second = parent.children()
    first.kill()
    client = installation.client(address)
    wait_until(lambda: len({child.pid for child in parent.children()} - {first.pid}) == 2, "a new one")
    answers = [post(client, draft(f"order_{n}", occurred_at=now())).status_code for n in range(20)]
    assert answers == [200] * 20
    assert count("SELECT count(*) FROM events") == 20
    last = parent.children()
    process.kill()
    children = [second, *last]
    wait_until(lambda: not any(map(is_alive, children)), "its processes to end with it")
