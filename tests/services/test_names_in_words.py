"""A platform's words about many events, or about a destination, name none of them: others read these, and they outlive an erasure."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft
from tests.platform_server import Platform, answered
from tests.services.test_erase import begin, dump, finish
from tests.services.test_notes import deliver, row, set_up
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services.access_package import as_json, export_person
from tracklayer.services.erase import Request
from tracklayer.services.ingest import ingest_events
from tracklayer.services.payload import Many, Names, without_names

HERS, JANE = "canary-order-001", "canary.jane@shop.example"
PAGE = "https://shop.example.com/orders/canarypage"
SAID = f"event {HERS} with order_id CANARYORD-1 at {PAGE}?id=1"
MASKED = "event … with order_id … at …"
BODIES: dict[str, tuple[int, dict[str, Any]]] = {
    "note": (200, {"events_received": 2, "messages": [SAID]}),
    "away": (503, {"error": {"message": SAID, "code": 2, "is_transient": True}}),
    "credentials": (401, {"error": {"message": SAID, "code": 190, "type": "OAuthException"}}),
}


def hers(event_id: str = HERS) -> dict[str, Any]:
    custom_data = {"value": 5, "currency": "USD", "order_id": "CANARYORD-1"}
    return draft(event_id, user_data={"email": JANE}, event_source_url=f"{PAGE}?id=1", custom_data=custom_data)


def his(event_id: str = "his-001") -> dict[str, Any]:
    return draft(event_id, user_data={"email": "john@shop.example"})


def name_nobody(text: str) -> bool:
    return not any(name in text.lower() for name in (HERS, "canaryord", "canarypage"))


@pytest.mark.parametrize("said", BODIES)
def test_what_is_said_of_many_names_none_of_them(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    platform: Platform,
    caplog: pytest.LogCaptureFixture,
    said: str,
) -> None:
    status, body = BODIES[said]
    platform.answer = answered(status, json.dumps(body).encode())
    ingest_events(runtime, merchant.holder, [hers(), his()])
    deliver(runtime, merchant, worker, "meta")
    for event_id in (HERS, "his-001"):
        found = row(merchant, event_id=event_id)
        logged = found.attempt_log[-1]
        assert (logged.get("note") or logged["error"]).removeprefix(f"{status} ") == MASKED
    with in_transaction():
        ((reason,),) = rows("SELECT state_reason FROM destinations WHERE platform = 'meta'")
    assert name_nobody(reason or "")
    assert reason is None or reason.endswith(MASKED)
    assert name_nobody(caplog.text)
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=JANE)))
    assert name_nobody(dump())
    package = b"".join(as_json(export_person(runtime, merchant.merchant_id, Request(email="john@shop.example"))))
    assert b"his-001" in package
    assert name_nobody(package.decode())


def test_what_is_said_of_one_event_names_that_one_alone(
    runtime: Runtime, merchant: Merchant, worker: int, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    set_up(runtime, merchant, "pinterest")
    words = ["as his-001 was", f"{SAID} has the page of his-001"]
    events = [{"status": "processed", "warning_message": one} for one in words]
    platform.answer = answered(
        200, json.dumps({"num_events_received": 2, "num_events_processed": 2, "events": events}).encode()
    )
    ingest_events(runtime, merchant.holder, [his(), hers()])
    deliver(runtime, merchant, worker, "pinterest")
    sent = [one["event_id"] for one in json.loads(platform.received[-1].body)["data"]]
    noted = {
        event_id: row(merchant, "pinterest", event_id).attempt_log[0]["note"].removeprefix(f"{event_id}: ")
        for event_id in sent
    }
    of_hers, of_his = noted[HERS], noted["his-001"]
    if sent[0] == "his-001":
        assert of_his == "as his-001 was"
        assert of_hers == f"event {HERS} with order_id … at … has the page of …"
    else:
        assert of_hers == "as … was"
        assert of_his == f"{MASKED} has the page of his-001"
    assert name_nobody(caplog.text)
    assert "his-001" not in caplog.text


def test_a_refusal_of_one_event_keeps_its_id_and_loses_its_order_and_page(
    runtime: Runtime, merchant: Merchant, worker: int, platform: Platform
) -> None:
    refused = {"error": {"message": "Invalid parameter", "code": 100, "error_user_msg": SAID, "type": "OAuthException"}}
    platform.answer = answered(400, json.dumps(refused).encode())
    ingest_events(runtime, merchant.holder, [hers(), his()])
    deliver(runtime, merchant, worker, "meta")
    assert row(merchant, event_id=HERS).last_error == f"400 event {HERS} with order_id … at …"


ONE, TWO, SHORT = (Names(one, others) for one, others in (("order-1", ()), ("order-12", ("W-7",)), ("17", ())))


@pytest.mark.parametrize(
    ("words", "own", "left"),
    [
        ("order-1 and ORDER-12", None, "… and …"),
        ("order-1 and order-12, w-7 and W-7", ONE, "order-1 and …, w-7 and …"),
        ("order-12 after order-1", TWO, "order-12 after …"),
        ("17 of 170 in v17.0", None, "… of 170 in v17.0"),
        ("nothing of them", TWO, "nothing of them"),
        (f"{'x' * 193} order-", None, f"{'x' * 193} …"),
        (f"{'x' * 193} order-", ONE, f"{'x' * 193} …"),
        ("it ends with order-", None, "it ends with order-"),
    ],
)
def test_names_are_taken_out_where_they_are_no_part_of_something_else(words: str, own: Names | None, left: str) -> None:
    assert without_names(words, Many([ONE, TWO, SHORT]), own) == left


def test_a_reason_from_before_that_names_an_event_is_cleaned(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest_events(runtime, merchant.holder, [hers(), his()])
    with in_transaction():
        execute("UPDATE destinations SET state_reason = %s", (f"unreachable: 503 Failed at {HERS}",))
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=JANE)))
    with in_transaction():
        assert rows("SELECT state_reason FROM destinations") == [("unreachable: 503 Failed at erased",)]
    assert json.loads(done.receipt or "")["receipt"]["mentions_removed"] == 1
