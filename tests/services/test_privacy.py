"""Personal data and secrets stay where they belong; what is past its retention goes."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import AGENT, INGEST, META, Api, Merchant, camel, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.leases import claim_due
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services import privacy
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import update_merchant
from tracklayer.services.privacy import purge_expired
from tracklayer.services.sweep import sweep

CANARIES = {
    "email": "canary.address@shop.example",
    "phone": "+49 151 2345 6789",
    "first_name": "Canarina",
    "last_name": "Canaropoulos",
    "date_of_birth": "1971-03-29",
    "gender": "f",
    "street": "Canary Wharf 77",
    "city": "Canarytown",
    "state": "Canarashire",
    "zip": "CNR 4471",
}
SEARCHED = [*(value for name, value in CANARIES.items() if name != "gender"), "4915123456789", "15123456789"]
TOKEN = "EAAB-canary-token-of-the-destination"


def dump() -> str:
    """Every row of every table, as text; sealed columns as hexadecimal digits and as bytes."""
    found = []
    with in_transaction():
        tables = rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in tables:
            found += [row[0] for row in rows(f"SELECT t::text FROM {table} t")]
    text = "\n".join(found)
    hexadecimal = [part for part in text.replace('"', " ").replace(",", " ").split() if part.startswith("\\\\x")]
    return text + "".join(bytes.fromhex(part[3:]).decode("latin-1") for part in hexadecimal)


async def test_canaries_reach_the_platform_as_digests_and_nothing_else(
    api: Api,
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    set_destination(runtime, merchant.merchant_id, "meta", {**META, "access_token": TOKEN}, None)
    replies = []

    async def say(query: str, variables: dict[str, Any]) -> None:
        replies.append((await api.post(query, variables)).text)

    event = draft("good", user_data={**CANARIES, "client_user_agent": AGENT})
    await say(INGEST, {"input": camel(event)})
    await say(INGEST, {"input": camel({**event, "user_data": {**event["user_data"], "city": "Elsewhere"}})})
    await say(INGEST, {"input": camel({**event, "event_id": "bad", "occurred_at": CANARIES["email"]})})
    await say(INGEST, {"input": {**camel(event), "userData": {"email": {"x": CANARIES["email"]}}}})
    await say(INGEST, {"input": {**camel(event), "actionSource": CANARIES["email"]}})
    malformed = {"email": "canary.address(at)shop.example", "phone": "0151 2345 6789"}
    await say(INGEST, {"input": camel(draft("malformed", user_data={**malformed, "external_id": "x"}))})
    # The platform repeats what it does not like: that must not be believed, stored or shown.
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    await say("{ events { edges { node { userData deliveries { payload lastError attemptLog { error } } } } } }", {})
    await say("{ merchant { destinations { settings } } }", {})
    stored, log, said = dump(), caplog.text, "\n".join(replies)
    for canary in [*SEARCHED, *malformed.values(), TOKEN, merchant.key]:
        assert canary not in stored, canary
        assert canary not in log, canary
        assert canary not in said, canary
    items = httpx.get(f"{sandbox.url}/_accepted").json()["items"]
    good = next(item["item"]["user_data"] for item in items if item["event_id"] == "good")
    assert sorted(good) == sorted(["em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "client_user_agent"])
    assert all(len(good[key][0]) == 64 for key in good if key != "client_user_agent")
    # A malformed address is kept as a digest only, and no platform gets it.
    bad = next(item["item"]["user_data"] for item in items if item["event_id"] == "malformed")
    assert sorted(bad) == ["external_id"]


def test_with_hashing_off_plain_values_are_kept_and_hashed_when_they_are_mapped(
    runtime: Runtime, worker: int, sandbox: SandboxServer
) -> None:
    shop = new_merchant(runtime, hashing=False)
    hashing = new_merchant(runtime, name="Hashing shop")
    event = draft(user_data={**CANARIES, "client_user_agent": AGENT})
    ingest_events(runtime, shop.holder, [event])
    with in_transaction():
        ((user_data, sealed),) = rows("SELECT user_data, sealed FROM events")
    assert user_data == {**CANARIES, "client_user_agent": AGENT}
    assert sealed is None
    ingest_events(runtime, hashing.holder, [{**event, "event_id": "hashed"}])
    for merchant in (shop, hashing):
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
    plain, digests = (item["item"] for item in httpx.get(f"{sandbox.url}/_accepted").json()["items"])
    assert plain["user_data"] == digests["user_data"]


def test_a_national_phone_is_read_in_the_destinations_country_at_ingest(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    set_destination(runtime, merchant.merchant_id, "meta", {**META, "default_country": "US"}, None)
    event = draft(user_data={"phone": "(650) 555-1212", "client_user_agent": AGENT})
    ingest_events(runtime, merchant.holder, [event])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    (item,) = httpx.get(f"{sandbox.url}/_accepted").json()["items"]
    assert item["item"]["user_data"]["ph"] == ["e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"]
    assert "6505551212" not in dump()
    assert "555-1212" not in dump()


def test_a_rotated_key_still_opens_and_the_new_one_seals(
    runtime: Runtime, merchant: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    event = draft(user_data={**CANARIES, "client_user_agent": AGENT})
    ingest_events(runtime, merchant.holder, [event])
    runtime.sealer = Sealer(["the-new-key-of-the-operator-1234567890", "a-secret-key-for-tests-of-forty-characters"])
    ingest_events(runtime, merchant.holder, [{**event, "event_id": "later"}])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert httpx.get(f"{sandbox.url}/_accepted").json()["unique"] == 2
    with in_transaction():
        sealed = [bytes(row[0]) for row in rows("SELECT sealed FROM events ORDER BY received_at, event_id")]
    assert len({value[1:5] for value in sealed}) == 2


@pytest.mark.parametrize("days", [30, 90, 180, 365])
def test_events_go_with_their_deliveries_when_their_retention_ends(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, days: int
) -> None:
    update_merchant(runtime, merchant.merchant_id, {"retention_days": days})
    ingest_events(runtime, merchant.holder, [draft("old")])
    clock.move(timedelta(hours=1))
    ingest_events(runtime, merchant.holder, [draft("young")])
    clock.move(timedelta(days=days) - timedelta(minutes=30))
    assert purge_expired(runtime) == 1
    with in_transaction():
        assert rows("SELECT event_id FROM events") == [("young",)]
        assert rows("SELECT event_id FROM deliveries") == [("young",)]
    assert purge_expired(runtime) == 0


def test_a_shorter_retention_applies_to_what_is_stored(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    other = new_merchant(runtime, name="Keeps for 90 days")
    for shop in (merchant, other):
        ingest_events(runtime, shop.holder, [draft(str(n)) for n in range(1200)])
    clock.move(timedelta(days=31))
    assert purge_expired(runtime) == 0
    update_merchant(runtime, merchant.merchant_id, {"retention_days": 30})
    assert purge_expired(runtime) == 1200
    with in_transaction():
        assert rows("SELECT DISTINCT merchant_id FROM events") == [(other.merchant_id,)]


def test_the_purge_passes_over_what_a_worker_has_in_its_hands(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    with in_transaction():
        claim_due(merchant.merchant_id, "meta", 1, clock.now(), worker)
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 0
    with in_transaction():
        execute("DELETE FROM claims")
    sweep(runtime)
    assert purge_expired(runtime) == 1


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_claim_that_is_not_committed_yet_keeps_what_it_takes_from_being_purged(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int, sandbox: SandboxServer, is_committed: bool
) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    with in_transaction():  # it began to wait anew, long after it came
        execute("UPDATE events SET received_at = received_at - interval '91 days'")
        execute("UPDATE deliveries SET received_at = received_at - interval '91 days'")
    with suppress(Undone), in_transaction():
        claim_due(merchant.merchant_id, "meta", 1, clock.now(), worker)
        with ThreadPoolExecutor(1) as another:
            assert another.submit(purge_expired, runtime).result() == 0
        if not is_committed:
            raise Undone
    with in_transaction():
        assert rows("SELECT event_id, status FROM deliveries") == [("order_1", "queued")]
        execute("DELETE FROM claims")
    assert purge_expired(runtime) == 1
    with in_transaction():
        assert rows("SELECT sum(dropped), sum(purged) FROM counted WHERE platform = 'meta'") == [(1, 1)]
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert httpx.get(f"{sandbox.url}/_accepted").json()["unique"] == 0


class Undone(Exception):
    pass


def test_whoever_has_much_to_be_purged_lets_the_others_have_their_turn(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = new_merchant(runtime, name="Has one event")
    ingest_events(runtime, merchant.holder, [draft(str(number)) for number in range(5)])
    ingest_events(runtime, small.holder, [draft()])
    clock.move(timedelta(days=91))
    for name, value in (("BATCH", 1), ("SMALLEST_BATCH", 1), ("TURN", 2)):
        monkeypatch.setattr(privacy, name, value)
    with in_transaction():
        execute("CREATE TABLE of_a_test (place bigint GENERATED ALWAYS AS IDENTITY, merchant_id bigint)")
        execute(
            "CREATE FUNCTION of_a_test() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO of_a_test (merchant_id) VALUES (OLD.merchant_id); RETURN OLD; END $$"
        )
        execute("CREATE TRIGGER of_a_test AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION of_a_test()")
    try:
        assert purge_expired(runtime, timedelta(hours=1)) == 6
        with in_transaction():
            gone = [row[0] for row in rows("SELECT merchant_id FROM of_a_test ORDER BY place")]
    finally:
        with in_transaction():
            execute("DROP TRIGGER of_a_test ON events")
            execute("DROP FUNCTION of_a_test()")
            execute("DROP TABLE of_a_test")
    large = merchant.merchant_id
    assert gone == [large, large, small.merchant_id, large, large, large]
