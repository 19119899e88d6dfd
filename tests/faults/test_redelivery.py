"""A big redelivery goes on, whatever process is killed in the middle of it: nothing is skipped, nothing begins twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from tests.factories import INGEST_MANY, camel, draft
from tests.faults.conftest import Installation
from tests.servers import wait_until
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.services.pacing import PAGE

COUNT = 6 * PAGE + 7
REDELIVER = """mutation { redeliver(filter: {}, all: true) {
  matched requeued refused { reason } userErrors { code } job { id state matched requeued finishedAt } } }"""
JOB = """query($id: ID!) { node(id: $id) { ... on Redelivery {
  state matched requeued refused { reason count } requestedAt finishedAt } } }"""


def ask(client: httpx.Client, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]


def count(sql: str) -> int:
    with in_transaction():
        return int(rows(sql)[0][0])


DELIVER_STORED = """mutation { deliverStored(platform: META, filter: {eventName: "Lead"}) {
  matched requeued refused { reason } userErrors { code } job { id } } }"""
SET_NAMES = """mutation($names: [String!]) { setDestination(input: {platform: META, eventNames: $names}) {
  check { events wouldSend } userErrors { code } } }"""


def test_deliveries_of_stored_events_survive_the_kill_of_every_worker_in_the_middle_of_it(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    installation.scheduler()
    first = installation.worker()
    ask(client, SET_NAMES, names=["Purchase"])
    instant = now()
    for start in range(0, COUNT, 500):
        drafts = [
            draft(f"lead_{n}", event_name="Lead", occurred_at=instant) for n in range(start, min(start + 500, COUNT))
        ]
        ask(client, INGEST_MANY, inputs=camel(drafts))
    assert count("SELECT count(*) FROM deliveries") == 0
    assert ask(client, SET_NAMES, names=None)["setDestination"]["check"]["events"] > 0

    answer = ask(client, DELIVER_STORED)["deliverStored"]
    assert (answer["matched"], answer["requeued"], answer["refused"]) == (PAGE, PAGE, [])
    job = answer["job"]["id"]

    def has_done(pages: int) -> bool:
        return bool(ask(client, JOB, id=job)["node"]["requeued"] >= pages * PAGE)

    for pages in (2, 4):
        wait_until(partial(has_done, pages), "it to go on", 300)
        first.kill()
        first = installation.worker()

    wait_until(lambda: ask(client, JOB, id=job)["node"]["state"] == "FINISHED", "it to finish", 300)
    found = ask(client, JOB, id=job)["node"]
    assert (found["matched"], found["requeued"], found["refused"]) == (COUNT, COUNT, [])
    delivered = "SELECT count(*) FROM deliveries WHERE status = 'delivered'"
    wait_until(lambda: count(delivered) == COUNT, "all to be delivered", 300)
    with in_transaction():
        assert rows("SELECT sum(routed), sum(filtered) FROM minutes WHERE platform = 'meta'") == [(COUNT, 0)]
    assert httpx.get(f"{installation.sandbox.url}/_accepted").json()["unique"] == COUNT


def test_a_redelivery_survives_the_kill_of_every_worker_in_the_middle_of_it(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    installation.scheduler()
    first = installation.worker()
    instant = now()
    for start in range(0, COUNT, 500):
        drafts = [
            draft(f"order_{n}", event_name="Refund", occurred_at=instant) for n in range(start, min(start + 500, COUNT))
        ]
        ask(client, INGEST_MANY, inputs=camel(drafts))
    wait_until(lambda: count("SELECT count(*) FROM deliveries WHERE status = 'dropped'") == COUNT, "all to be dropped")
    with in_transaction():
        execute("UPDATE events SET event_name = 'Lead'")

    answer = ask(client, REDELIVER)["redeliver"]
    assert (answer["matched"], answer["requeued"], answer["refused"]) == (PAGE, PAGE, [])
    job = answer["job"]["id"]

    def has_done(pages: int) -> bool:
        return bool(ask(client, JOB, id=job)["node"]["requeued"] >= pages * PAGE)

    for pages in (2, 4):
        wait_until(partial(has_done, pages), "it to go on")
        first.kill()
        first = installation.worker()

    wait_until(lambda: ask(client, JOB, id=job)["node"]["state"] == "FINISHED", "it to finish")
    found = ask(client, JOB, id=job)["node"]
    assert (found["matched"], found["requeued"], found["refused"]) == (COUNT, COUNT, [])
    delivered = "SELECT count(*) FROM deliveries WHERE status = 'delivered'"
    wait_until(lambda: count(delivered) == COUNT, "all to be delivered", 300)
    # Each began anew once: it had waited once before.
    with in_transaction():
        assert rows("SELECT DISTINCT jsonb_array_length(former_waits) FROM deliveries") == [(1,)]
        assert rows("SELECT sum(requeued) FROM minutes") == [(COUNT,)]
    assert httpx.get(f"{installation.sandbox.url}/_accepted").json()["unique"] == COUNT
