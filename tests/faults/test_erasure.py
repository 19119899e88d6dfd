"""People are erased while the processes that do it are killed: nothing of them is left, and nobody else has lost a row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis

from tests.factories import INGEST, Merchant, camel, new_merchant
from tests.faults.conftest import Installation
from tests.servers import Process, wait_until
from tests.services.test_erase import OPERATOR, dump, of, state, stored
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.erasures import ErasureRow
from tracklayer.domain import normalise
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.erase import Begun, Request, erase_person
from tracklayer.services.ingest import Forgotten, ingest_events

EVENTS, PEOPLE, KILLS = 5000, 50, 6


def rows_of(*tables: str) -> dict[tuple[str, str], Any]:
    """(table, event id) -> its row, as text."""
    with in_transaction():
        return {
            (table, key): text for table in tables for key, text in rows(f"SELECT event_id, t::text FROM {table} t")
        }


def scanned(begun: Sequence[ErasureRow]) -> int:
    return sum(state(row).scanned for row in begun)


def in_redis(url: str) -> str:
    """Every key, with what it holds."""
    client, found = redis.Redis.from_url(url), []
    for key in client.scan_iter():
        with suppress(redis.ResponseError):  # what was gone meanwhile
            found.append(repr((key, client.dump(key), client.type(key))))
    return "\n".join(found)


def test_fifty_people_leave_nothing_however_often_workers_are_killed(
    installation: Installation, runtime: Runtime, worker: int
) -> None:
    dice, merchant = random.Random(7), installation.merchant
    people = [f"canary{number:02}.person@shop.example" for number in range(PEOPLE)]
    phones = {email: f"+49151{23450000 + number}" for number, email in enumerate(people)}
    drafts, theirs = list[dict[str, Any]](), set[str]()
    for number in range(EVENTS):
        event_id, at = f"e{number:05}-{dice.randrange(10**6):06}", runtime.clock.now()
        if dice.random() < 0.08:
            email, theirs = dice.choice(people), theirs | {event_id}
            ways: list[dict[str, Any]] = [
                {"email": email.upper()},
                {"email": normalise.sha256_hex(email), "external_id": f"canary-{email[6:8]}"},
                {"emails": ["other@shop.example", email]},
                {"phone": phones[email], "first_name": "Canarina"},
            ]
            drafts.append({**of(event_id, None, **dice.choice(ways)), "occurred_at": at})
        else:
            drafts.append({**of(event_id, f"n{number}@shop.example"), "occurred_at": at})
    for start in range(0, EVENTS, 500):
        ingest_events(runtime, merchant.holder, drafts[start : start + 500])
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    before = rows_of("events", "deliveries")
    assert len(before) == 2 * EVENTS

    begun = []
    for email in people:
        found = erase_person(
            runtime, merchant.merchant_id, Request(email=email, phone=phones[email]), OPERATOR, suppress=True
        )
        assert isinstance(found, Begun)
        begun.append(found.erasure)
    installation.scheduler()
    killed: list[Process] = []
    while len(killed) < KILLS:
        looked = scanned(begun)
        killed.append(installation.worker())
        # In the middle of it, once it has done anything, as long as there is anything to look at.
        wait_until(
            lambda: scanned(begun) != looked or all(state(row).stage != "walk" for row in begun),  # noqa: B023
            "a page",
            60,
        )
        killed[-1].kill()
    last = installation.worker()
    wait_until(lambda: all(state(row).finished_at for row in begun), "the last receipt", 180)

    assert sum(state(row).counts.get("events", 0) for row in begun) == len(theirs)
    assert rows_of("events", "deliveries") == {key: text for key, text in before.items() if key[1] not in theirs}
    canaries = {*people, *theirs, "Canarina", "canary", *phones.values(), *(phone[1:] for phone in phones.values())}
    canaries |= {normalise.sha256_hex(one) for one in canaries}
    places = {
        "tables": dump(),
        "redis": in_redis(installation.redis.url),
        "logs": "".join(one.output() for one in [*killed, last]),
    }
    left = {name: [one for one in canaries if one in text] for name, text in places.items()}
    assert left == {"tables": [], "redis": [], "logs": []}
    again = [one for one in drafts if one["event_id"] in theirs]
    assert {type(one) for one in ingest_events(runtime, merchant.holder, again).outcomes} == {Forgotten}
    assert len(stored(merchant)) == EVENTS - len(theirs)


def test_a_repeat_is_a_repeat_before_while_and_after_its_event_is_erased(
    installation: Installation, runtime: Runtime
) -> None:
    """Of merchants of whom nobody was erased before, so that the API finds out while it knows their keys."""
    client = installation.client(installation.api())
    merchants = [installation.merchant, *(new_merchant(runtime, name=f"Shop {number}") for number in range(7))]
    installation.scheduler()
    workers = [installation.worker() for _ in range(2)]
    sent = {**camel(of("hers-1")), "occurredAt": runtime.clock.now().isoformat()}

    def send(merchant: Merchant) -> str:
        given = {"query": INGEST, "variables": {"input": {**sent, "eventId": f"hers-{merchant.merchant_id}"}}}
        answer = client.post("/graphql", json=given, headers={"authorization": f"Bearer {merchant.key}"})
        return str(answer.raise_for_status().json()["data"]["ingestEvent"]["outcome"])

    assert {send(one) for one in merchants} == {"ACCEPTED"}
    once = {f"hers-{one.merchant_id}": 1 for one in merchants}
    wait_until(lambda: installation.accepted() == once, "all to be sent", 60)
    begun, heard = list[ErasureRow](), set[str]()
    for one in merchants:
        heard.add(send(one))
        request = Request(event_ids=(f"hers-{one.merchant_id}",))
        found = erase_person(runtime, one.merchant_id, request, OPERATOR, suppress=False)
        assert isinstance(found, Begun)
        begun.append(found.erasure)

    def are_over() -> bool:
        heard.update(send(one) for one in merchants)
        return all(state(row).finished_at for row in begun)

    wait_until(are_over, "the last receipt", 180)
    assert heard == {"COALESCED"}
    assert ([stored(one) for one in merchants], installation.accepted()) == ([[]] * len(merchants), once)
    assert [state(row).counts["events"] for row in begun] == [1] * len(merchants)
    assert all(one.is_running() for one in workers)
