"""Somebody is erased: all that is theirs goes, nothing else does, and it does not come back."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.factories import AGENT, API_KEY_SECRET, Api, Merchant, draft, new_merchant
from tracklayer import cli
from tracklayer.clock import FrozenClock
from tracklayer.db import erasures as db
from tracklayer.db import identities
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.deliveries import DeliverySearch
from tracklayer.db.erasures import ErasureRow
from tracklayer.db.identities import Link, Shown
from tracklayer.domain import normalise
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services.access_package import as_json, export_person
from tracklayer.services.deliver import deliver_due
from tracklayer.services.erase import (
    SETTLE,
    Counted,
    Request,
    continue_erasures,
    count_person,
    erase_person,
    unsuppress_person,
)
from tracklayer.services.identify import identify
from tracklayer.services.ingest import Accepted, Coalesced, Forgotten, ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.marks import marker_of
from tracklayer.services.receipts import ReceiptError, read_keys, rotate_key, verify_receipt
from tracklayer.services.redeliver import redeliver_matching

OPERATOR = {"operator": "test"}
EMAIL = "canary.jane@shop.example"
DIGEST = normalise.sha256_hex(EMAIL)


def begin(runtime: Runtime, merchant: Merchant, request: Request, *, suppress: bool = True) -> ErasureRow:
    found = erase_person(runtime, merchant.merchant_id, request, OPERATOR, suppress=suppress)
    assert isinstance(found, ErasureRow)
    return found


def finish(runtime: Runtime, clock: FrozenClock, row: ErasureRow) -> ErasureRow:
    """As the job goes on, second by second."""
    for _ in range(60):
        continue_erasures(runtime, 30)
        now = state(row)
        if now.finished_at is not None:
            return now
        clock.move(timedelta(seconds=1))
    raise AssertionError(now)


def state(row: ErasureRow) -> ErasureRow:
    with in_transaction():
        found = db.erasure_by_id(row.merchant_id, row.erasure_id)
    assert found is not None
    return found


def stored(merchant: Merchant) -> list[str]:
    with in_transaction():
        found = rows("SELECT event_id FROM events WHERE merchant_id = %s ORDER BY event_id", (merchant.merchant_id,))
    return [row[0] for row in found]


def send(runtime: Runtime, merchant: Merchant, *drafts: dict[str, Any]) -> list[Any]:
    return ingest_events(runtime, merchant.holder, drafts).outcomes


def deliver(runtime: Runtime, worker: int, merchant: Merchant) -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass


def of(event_id: str, email: str | None = EMAIL, /, **user_data: Any) -> dict[str, Any]:
    given = {"client_ip": "203.0.113.42", "client_user_agent": AGENT, **user_data}
    return draft(event_id, user_data={**given, **({"email": email} if email else {})})


def dump(*without: str) -> str:
    """Every row of every table, as text."""
    found = []
    with in_transaction():
        for (table,) in rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"):
            if table not in without:
                found += [f"{table} {row[0]}" for row in rows(f"SELECT t::text FROM {table} t")]
    return "\n".join(found)


def sound(clock: FrozenClock) -> None:
    """But for what waits since the clock was moved."""
    assert [one for one in check_invariants(clock.now()) if one.kind != "overdue"] == []


def test_a_person_goes_and_a_neighbour_stays(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    send(runtime, merchant, of("hers-1"), of("his-1", "john@shop.example"), of("hers-2", " Canary.Jane@Shop.example "))
    send(runtime, merchant, of("hers-3", DIGEST), of("alias", "canaryjane@shop.example"), of("nobodys", None))
    send(runtime, other, of("hers-1"))
    looked = count_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert looked == Counted(events=3, deliveries=3)
    assert len(stored(merchant)) == 6
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    done = finish(runtime, clock, row)
    assert stored(merchant) == ["alias", "his-1", "nobodys"]
    assert stored(other) == ["hers-1"]
    assert (done.counts["events"], done.counts["deliveries"]) == (3, 3)
    assert done.finished_at is not None
    assert done.wanted == b""
    with in_transaction():
        execute("DELETE FROM events WHERE merchant_id = %s", (other.merchant_id,))
        execute("DELETE FROM deliveries WHERE merchant_id = %s", (other.merchant_id,))
    assert DIGEST not in dump()
    assert "hers-1" not in dump()


def test_what_waits_is_dropped_as_erased_and_the_ledger_balances(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("sent"))
    deliver(runtime, worker, merchant)
    send(runtime, merchant, of("waits"), of("other", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert stored(merchant) == ["other"]
    assert done.platforms["meta"]["delivered"] == 1
    assert done.platforms["meta"]["deliveries"] == 2
    with in_transaction():
        ((dropped, purged, waiting, reasons),) = rows(
            "SELECT sum(dropped), sum(purged), sum(waiting), sum((drop_reasons ->> 'erased')::int) FROM minutes "
            "WHERE platform = 'meta'"
        )
    assert (dropped, purged, waiting, reasons) == (1, 2, 1, 1)
    sound(clock)


@pytest.mark.parametrize("hashing", [True, False])
def test_every_way_to_name_somebody_finds_them(runtime: Runtime, clock: FrozenClock, hashing: bool) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    for request, user_data in (
        (Request(phone="+49 151 23456789"), {"phone": "+4915123456789"}),
        (Request(phone=normalise.sha256_hex("4915123456789")), {"phone": "+49 151 2345 6789"}),
        (Request(phone="+49 151 23456789"), {"phones": ["+1 212 555 0123", "+4915123456789"]}),
        (Request(email="j.doe@gmail.com"), {"emails": ["jdoe+x@gmail.com"]}),
        (Request(email="j.doe@shop.example"), {"emails": ["a@shop.example", "J.Doe@shop.example"]}),
        (Request(external_id="customer-7"), {"external_id": normalise.sha256_hex("customer-7")}),
        (Request(browser_id="b" * 22), {"browser_id": "b" * 22}),
        (Request(event_ids=("hers",)), {}),
    ):
        send(runtime, merchant, of("hers", None, **user_data), of("his", "john@shop.example"))
        clock.move(timedelta(minutes=1))
        finish(runtime, clock, begin(runtime, merchant, request, suppress=False))
        assert stored(merchant) == ["his"], request
        with in_transaction():
            execute("DELETE FROM tombstones")


def test_the_place_of_a_job_is_sealed_while_it_runs(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers-canary"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    continue_erasures(runtime, 30)
    assert state(row).finished_at is None
    assert stored(merchant) == []
    assert DIGEST not in dump()
    assert EMAIL not in dump()
    assert "hers-canary" not in dump()


def test_killed_at_every_step_it_ends_the_same(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracklayer.services import erase

    monkeypatch.setattr(erase, "PAGE", 7)
    monkeypatch.setattr(erase, "MOST", 2)
    for number in range(40):
        send(runtime, merchant, of(f"e{number:02}", EMAIL if number % 3 == 0 else f"p{number}@shop.example"))
        clock.move(timedelta(milliseconds=1))
    clock.move(timedelta(minutes=1))
    row, real, kills = begin(runtime, merchant, Request(email=EMAIL)), db.save_erasure, 0
    for attempt in range(400):
        if attempt % 2 == 0:

            def killed(row: ErasureRow) -> None:
                real(row)
                raise KeyboardInterrupt

            monkeypatch.setattr(db, "save_erasure", killed)
            try:
                continue_erasures(runtime, 0.001)
            except KeyboardInterrupt:
                kills += 1
            monkeypatch.setattr(db, "save_erasure", real)
        else:
            continue_erasures(runtime, 0.001)
        if state(row).finished_at is not None:
            break
        clock.move(timedelta(seconds=1))
    done = state(row)
    assert kills > 5
    assert done.counts["events"] == 14
    assert done.counts["deliveries"] == 14
    assert stored(merchant) == [f"e{number:02}" for number in range(40) if number % 3]
    with in_transaction():
        assert rows("SELECT count(*) FROM tombstones") == [(14,)]
    sound(clock)


def test_what_a_worker_has_in_its_hands_is_waited_for(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, between: Any
) -> None:
    send(runtime, merchant, of("hers"), of("hers-too"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    seen = []

    def meanwhile() -> None:
        continue_erasures(runtime, 30)
        clock.move(SETTLE)
        continue_erasures(runtime, 30)
        seen.extend([state(row).stage, stored(merchant)])

    between(meanwhile)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert seen == ["scan", ["hers", "hers-too", "his"]]
    done = finish(runtime, clock, row)
    assert stored(merchant) == ["his"]
    assert done.platforms["meta"]["delivered"] == 2
    sound(clock)


def test_two_at_once_each_end(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"), of("theirs", None))
    clock.move(timedelta(minutes=1))
    first, second, third = (
        begin(runtime, merchant, Request(email=email)) for email in (EMAIL, EMAIL, "john@shop.example")
    )
    done = [finish(runtime, clock, row) for row in (first, second, third)]
    assert [row.counts["events"] for row in done if "events" in row.counts] == [1, 1]
    assert stored(merchant) == ["theirs"]


def test_alerts_and_messages_name_no_erased_event(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    from tracklayer.domain.node_id import node_id

    send(runtime, merchant, of("order-canary-1"), of("his", "john@shop.example"))
    details = {"example_event_id": "order-canary-1", "pair": ["order-canary-1", "his"]}
    node = node_id("Delivery", merchant.merchant_id, "order-canary-1", "meta")
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, title, message, details, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'warning', 'x', 'Event `order-canary-1` is an example, `his` none.', %s, %s, %s)",
            (merchant.merchant_id, orjson.dumps(details).decode(), clock.now(), clock.now()),
        )
        execute(
            "INSERT INTO alert_channels (merchant_id, kind, shown, secrets, topics, min_severity, created_at) "
            "VALUES (%s, 'webhook', 'x', '', '{}', 'warning', %s)",
            (merchant.merchant_id, clock.now()),
        )
        execute(
            "INSERT INTO channel_messages (merchant_id, channel_id, type, data, created_at, due_at, next_attempt_at) "
            "VALUES (%s, 1, 'delivery.dropped', %s, %s, %s, %s)",
            (merchant.merchant_id, orjson.dumps({"examples": [{"delivery": node}]}).decode(), *[clock.now()] * 3),
        )
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert done.counts["mentions"] == 2
    assert "order-canary-1" not in dump()
    assert node not in dump()
    with in_transaction():
        ((message, details),) = rows("SELECT message, details FROM alerts")
    assert message == "Event `erased` is an example, `his` none."
    assert details == {"example_event_id": "erased", "pair": ["erased", "his"]}


def minute_sums(merchant: Merchant, platform: str = "") -> tuple[int, ...]:
    with in_transaction():
        found = rows(
            "SELECT sum(accepted), sum(coalesced), sum(rejected), sum(routed), sum(dropped), sum(waiting), sum(purged) "
            "FROM minutes WHERE merchant_id = %s AND platform = %s",
            (merchant.merchant_id, platform),
        )
    return tuple(int(value or 0) for value in found[0])


async def test_what_was_erased_does_not_come_back(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL), suppress=False))
    accepted, coalesced, rejected, *_ = minute_sums(merchant)
    answer = await api.ingest(of("hers"))
    assert (answer["outcome"], answer["event"]) == ("COALESCED", None)
    assert [error["code"] for error in answer["userErrors"]] == ["EVENT_ERASED"]
    again = send(runtime, merchant, of("hers", "someone.else@shop.example"), of("hers"), of("his", "john@shop.example"))
    assert [type(one) for one in again] == [Forgotten, Forgotten, Coalesced]
    assert stored(merchant) == ["his"]
    assert minute_sums(merchant)[:3] == (accepted, coalesced + 4, rejected)
    # Without suppression, another event of hers is anybody's.
    assert [type(one) for one in send(runtime, merchant, of("hers-new"))] == [Accepted]
    sound(clock)


async def test_who_is_suppressed_is_counted_and_left_alone(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    send(runtime, merchant, of("before"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    url = f"https://shop.example.com/thanks?gclid=canary-click&email={EMAIL}"
    event = {**of("after", EMAIL, first_name="Canarina", gclid="canary-click"), "event_source_url": url}
    event["custom_data"]["properties"] = {"note": f"call {EMAIL}", "size": "L"}
    answer = await api.ingest(event)
    assert answer["outcome"] == "ACCEPTED"
    assert "PERSON_SUPPRESSED" in [error["code"] for error in answer["userErrors"]]
    other = send(runtime, merchant, of("by-digest", DIGEST), of("his", "john@shop.example"), event)
    assert [type(one) for one in other] == [Accepted, Accepted, Coalesced]
    assert stored(merchant) == ["after", "by-digest", "his"]
    with in_transaction():
        found = rows(
            "SELECT user_data, digests, sealed, custom_data, event_source_url FROM events WHERE event_id = 'after'"
        )
        deliveries = rows("SELECT event_id, status, drop_reason, due_at FROM deliveries ORDER BY 1")
    assert found[0][:3] == ({}, None, None)
    assert found[0][3]["properties"] == {"size": "L"}
    assert found[0][3]["value"] == 129.99
    assert found[0][4] == "https://shop.example.com/thanks"
    assert deliveries[:2] == [(one, "dropped", "suppressed", None) for one in ("after", "by-digest")]
    text = dump()
    assert not [one for one in (DIGEST, EMAIL, "canary-click", "Canarina") if one in text]
    deliver(runtime, worker, merchant)
    assert minute_sums(merchant, "meta")[3:6] == (4, 3, 0)
    sound(clock)
    # Neither by a redelivery nor as a stored event does it go out.
    search = DeliverySearch(status=("dropped",))
    assert redeliver_matching(runtime, merchant.merchant_id, search).refused == {"the person was erased": 2}
    # Nor is anybody linked with that person.
    holder = merchant.holder
    assert not identify(runtime, holder, "b" * 32, {"email": EMAIL}).is_linked
    assert not identify(runtime, holder, "b" * 32, {"email": DIGEST}).is_linked
    assert DIGEST not in dump()
    lifted = unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert lifted
    send(runtime, merchant, of("changed-her-mind"))
    with in_transaction():
        assert rows("SELECT status FROM deliveries WHERE event_id = 'changed-her-mind'") == [("queued",)]


def test_another_merchant_is_asked_nothing(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    send(runtime, merchant, of("hers"))
    send(runtime, other, of("hers"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert merchant.holder.is_marked
    assert not other.holder.is_marked
    assert [type(one) for one in send(runtime, other, of("hers"), of("new"))] == [Coalesced, Accepted]
    with in_transaction():
        assert rows("SELECT user_data ->> 'email' FROM events WHERE event_id = 'new'") == [(DIGEST,)]


async def test_a_receipt_verifies_until_a_byte_changes(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, tmp_path: Path
) -> None:
    send(runtime, merchant, of("hers-canary"))
    deliver(runtime, worker, merchant)
    clock.move(timedelta(minutes=1))
    started = await api(ERASE, input={"email": EMAIL, "externalId": "customer-canary"})
    erasure = started["erasePerson"]["erasure"]
    assert erasure["state"] == "RUNNING"
    with in_transaction():
        row = db.page_of_erasures(merchant.merchant_id, None, 1)[0]
    finish(runtime, clock, row)
    node = (
        await api(
            "query($id: ID!) { node(id: $id) { ... on Erasure { state receipt eventsErased } } }", id=erasure["id"]
        )
    )["node"]
    assert (node["state"], node["eventsErased"]) == ("FINISHED", 1)
    listed = (await api("{ merchant { erasures(first: 5) { nodes { id state } } } }"))["merchant"]["erasures"]["nodes"]
    assert listed == [{"id": erasure["id"], "state": "FINISHED"}]
    answer = await api.client.get("/.well-known/tracklayer-erasure.json")
    keys = read_keys(answer.content)
    receipt = node["receipt"].encode()
    told = verify_receipt(receipt, keys)
    assert told["requested_by"]["api_key"]["name"] == "first key"
    assert told["deleted"] == {"deliveries": 1, "events": 1}
    assert [(one["platform"], one["acknowledged"]) for one in told["platforms"]] == [("meta", 1)]
    assert "No documented interface" in told["platforms"][0]["what_can_be_done"]
    assert not [one for one in (EMAIL, DIGEST, "hers-canary", "customer-canary") if one in node["receipt"]]
    for place in range(len(receipt)):
        for changed in {receipt[place] ^ 1, ord("A"), ord("0"), ord(" ")} - {receipt[place]}:
            with pytest.raises(ReceiptError):
                verify_receipt(receipt[:place] + bytes([changed]) + receipt[place + 1 :], keys)
    # Without a database, and with a key that was retired since.
    rotate_key(runtime)
    (tmp_path / "receipt.json").write_bytes(receipt + b"\n")
    (tmp_path / "keys.json").write_bytes((await api.client.get("/.well-known/tracklayer-erasure.json")).content)
    assert len(read_keys((tmp_path / "keys.json").read_bytes())) == 2
    verify = ["erase", "verify", str(tmp_path / "receipt.json"), "--keys", str(tmp_path / "keys.json")]
    assert cli.main(verify) == 0
    (tmp_path / "receipt.json").write_bytes(receipt.replace(b'"events":1', b'"events":2'))
    assert cli.main(verify) == 1


ERASE = """
mutation($input: ErasePersonInput!, $dryRun: Boolean) {
  erasePerson(input: $input, dryRun: $dryRun) {
    eventsErased deliveriesErased identitiesErased complete receipt erasure { id state } userErrors { field code message }
  }
}"""


async def test_a_request_that_means_nobody_is_refused(api: Api) -> None:
    for given, code in (
        ({}, "REQUIRED"),
        ({"email": "canary at shop"}, "INVALID_VALUE"),
        ({"phone": "0151 1"}, "INVALID_VALUE"),
        ({"externalId": "null"}, "INVALID_VALUE"),
        ({"email": normalise.sha256_hex("")}, "INVALID_VALUE"),
        ({"eventIds": ["x"] * 1001}, "TOO_LARGE"),
    ):
        found = (await api(ERASE, input=given))["erasePerson"]
        assert [error["code"] for error in found["userErrors"]] == [code], given
        assert found["erasure"] is None
    dry = (await api(ERASE, input={"email": EMAIL}, dryRun=True))["erasePerson"]
    assert (dry["eventsErased"], dry["complete"], dry["erasure"]) == (0, True, None)


def test_browsers_of_one_person_go_and_shared_ones_lose_the_link(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    now, john = clock.now(), normalise.sha256_hex("john@shop.example")
    with in_transaction():
        for browser in ("alone", "shared", "johns"):
            identities.show(merchant.merchant_id, [Shown(browser, "gclid", f"click-{browser}", now)])
        identities.link_people(
            merchant.merchant_id,
            [
                Link("alone", "email", DIGEST, {"basic": DIGEST}, now),
                Link("alone", "phone", "f" * 64, {"digits": "f" * 64}, now),
                Link("shared", "email", DIGEST, {"basic": DIGEST}, now),
                Link("shared", "email", john, {"basic": john}, now),
                Link("johns", "email", john, {"basic": john}, now),
            ],
            now,
        )
    # Without a name: of a browser that is hers alone, of a shared one, and of his.
    send(runtime, merchant, *(of(f"on-{one}", None, browser_id=one) for one in ("alone", "shared", "johns")))
    send(runtime, merchant, of("his-on-alone", None, external_id="john", browser_id="alone"))
    looked = count_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert isinstance(looked, Counted)
    assert (looked.events, looked.browsers, looked.shared) == (1, 2, 1)
    package = list(export_person(runtime, merchant.merchant_id, Request(email=EMAIL)))
    assert [(kind, part.get("event_id") or part.get("browser_id")) for kind, part in package] == [
        ("event", "on-alone"),
        ("browser", "alone"),
        ("browser", "shared"),
    ]
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert stored(merchant) == ["his-on-alone", "on-johns", "on-shared"]
    assert done.counts["identities"] == 2
    with in_transaction():
        left = rows("SELECT browser_id, digest FROM browser_people ORDER BY 1")
        signals = rows("SELECT browser_id FROM browser_signals ORDER BY 1")
    assert left == [("johns", john), ("shared", john)]
    assert signals == [("johns",), ("shared",)]
    assert DIGEST not in dump()


def test_the_access_package_opens_what_is_sealed(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers", EMAIL, first_name="Jane"), of("his", "john@shop.example"))
    deliver(runtime, worker, merchant)
    found = orjson.loads(b"".join(as_json(export_person(runtime, merchant.merchant_id, Request(email=EMAIL)))))
    assert [event["event_id"] for event in found["events"]] == ["hers"]
    assert found["events"][0]["user_data"]["first_name"] == "Jane"
    assert found["events"][0]["deliveries"][0]["attempts"][0]["outcome"] == "acknowledged"
    assert found["browsers"] == []


def test_marks_outlive_a_rotation_of_the_secret_key(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    mark = marker_of(runtime).mark(1, "x")
    for keys in (
        ["another-secret-key-of-forty-characters-xx", API_KEY_SECRET],
        ["another-secret-key-of-forty-characters-xx"],
    ):
        runtime.sealer, runtime.marker = Sealer(keys), None
        assert marker_of(runtime).mark(1, "x") == mark


def test_thirty_people_leave_a_world_that_is_untouched_to_the_row(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dice = random.Random(20)
    people = [f"person{number}.canary@shop.example" for number in range(30)]
    phones = {email: f"+49151{23450000 + number}" for number, email in enumerate(people)}
    drafts, theirs = list[dict[str, Any]](), set[str]()
    for number in range(3000):
        event_id = f"w{number:05}-{dice.randrange(10**6):06}"
        if dice.random() < 0.06:
            email, theirs = dice.choice(people), theirs | {event_id}
            ways: list[dict[str, Any]] = [
                {"email": email.upper()},
                {"email": normalise.sha256_hex(email)},
                {"emails": ["other@shop.example", email]},
                {"phone": phones[email]},
                {"phone": normalise.sha256_hex(phones[email][1:]), "first_name": "Canarina"},
            ]
            drafts.append(of(event_id, None, **dice.choice(ways)))
        else:
            neighbour = dice.choice([f"n{number}@shop.example", "person1@shop.example", None])
            drafts.append(of(event_id, neighbour))
    for start in range(0, len(drafts), 500):
        send(runtime, merchant, *drafts[start : start + 500])
        if start % 1000 == 0:
            deliver(runtime, worker, merchant)
        clock.move(timedelta(seconds=1))
    clock.move(timedelta(minutes=1))
    with in_transaction():
        all_before = {row[0]: row[1:] for row in rows("SELECT event_id, e::text FROM events e")}
        sent_before = {row[0]: row[1:] for row in rows("SELECT event_id, d::text FROM deliveries d")}
    begun = [begin(runtime, merchant, Request(email=email, phone=phones[email])) for email in people]
    done = [finish(runtime, clock, row) for row in begun]
    assert sum(row.counts.get("events", 0) for row in done) == len(theirs)
    with in_transaction():
        assert {row[0]: row[1:] for row in rows("SELECT event_id, e::text FROM events e")} == {
            key: value for key, value in all_before.items() if key not in theirs
        }
        assert {row[0]: row[1:] for row in rows("SELECT event_id, d::text FROM deliveries d")} == {
            key: value for key, value in sent_before.items() if key not in theirs
        }
    canaries = {*people, *theirs, "Canarina", *phones.values(), *(phone[1:] for phone in phones.values())}
    canaries |= {normalise.sha256_hex(email) for email in people}
    canaries |= {normalise.sha256_hex(phone) for phone in phones.values()}
    canaries |= {normalise.sha256_hex(phone[1:]) for phone in phones.values()}
    # What we log. The database's own driver would tell every statement at this level, which no process of ours lets it.
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("tracklayer"))
    text = dump() + said
    assert [canary for canary in canaries if canary in text] == []
    # Sent again, and imported: nothing comes back, and nothing new is known of anybody.
    again = [draft for draft in drafts if draft["event_id"] in theirs]
    assert {type(one) for one in send(runtime, merchant, *again)} == {Forgotten}
    sound(clock)
