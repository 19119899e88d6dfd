"""What runs at every batch is a look-up by key, also for a merchant whom the planner's statistics do not know yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import (
    ahead,
    alerts,
    channels,
    delivery_search,
    enrichments,
    identities,
    monitors,
    notes,
    personal_data,
    sources,
    together,
)
from tracklayer.db import deliveries as db
from tracklayer.db import destinations as db_destinations
from tracklayer.db import leases as db_leases
from tracklayer.db import queues as db_queues
from tracklayer.db import settling as db_settling
from tracklayer.db.answers import LAST_ANSWERED, LATELY_ANSWERED, WITHIN
from tracklayer.db.answers import LOOKED as LOOKED_AT
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.counters import LATENCY_BOUNDS
from tracklayer.db.event_search import EventSearch, page_query, troubled_query
from tracklayer.db.events import LOOKED, NEWEST_OF_EACH_NAME, OLDEST_RECEIVED, PURGE
from tracklayer.db.json_literal import JsonLiteral
from tracklayer.db.ledger import EVENTS_ACCEPTED
from tracklayer.db.storing import HOLD_EVENTS, STORE_AND_LINK, STORE_UNLESS_ERASED
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.ingest import ingest_events

KNOWN, COUNT = 3000, 500


@pytest.fixture
def stranger(runtime: Runtime, merchant: Merchant, worker: int) -> Merchant:
    """A merchant with deliveries that are due, who came after the statistics were taken."""
    for start in range(0, KNOWN, COUNT):
        ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(start, start + COUNT)])
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    with in_transaction():
        execute("ANALYZE")
    found = new_merchant(runtime)
    ingest_events(runtime, found.holder, [draft(f"order_{n}") for n in range(COUNT)])
    return found


def scans(
    sql: str, params: Mapping[str, Any] | Sequence[Any], relations: Sequence[str] = ("events", "deliveries")
) -> dict[str, str]:
    """Index -> what is looked up in it, of each scan of ``relations`` in a statement's plan."""
    return dict(all_scans(sql, params, relations))


def all_scans(sql: str, params: Mapping[str, Any] | Sequence[Any], relations: Sequence[str]) -> list[tuple[str, str]]:
    """``scans``, with those of the same index one by one."""
    with in_transaction():
        (plan,) = rows(f"EXPLAIN (FORMAT JSON) {sql}", params)[0]  # type: ignore[arg-type]
    found: list[tuple[str, str]] = []
    todo = [plan[0]["Plan"]]
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if node.get("Relation Name") in relations and "Scan" in node["Node Type"]:
            found.append((node.get("Index Name", "none"), node.get("Index Cond", "")))
    return found


def test_a_claim_reads_what_is_due_of_its_own_queue_and_events_by_id(
    runtime: Runtime, stranger: Merchant, clock: FrozenClock
) -> None:
    params = {"merchant": stranger.merchant_id, "platform": "meta", "now": clock.now(), "limit": 100, "worker": 1}
    spared = {
        "spared": db_leases.SPARED_ATTEMPTS,
        "rested": clock.now(),
        "coming": clock.now(),
        "last_call": clock.now(),
        "since": clock.now(),
    }
    found = scans(db_leases.CLAIM_DUE, {**params, **spared, "lease": clock.now()})
    assert found.keys() == {"deliveries_due", "events_pkey"}
    assert "due_at >=" in found["deliveries_due"]
    assert "merchant_id" in found["deliveries_due"]
    assert "platform" in found["deliveries_due"]
    assert "event_id" in found["events_pkey"]


def test_settlements_go_by_event_id(runtime: Runtime, stranger: Merchant, clock: FrozenClock) -> None:
    merchant, ids, now = stranger.merchant_id, [f"order_{n}" for n in range(100)], clock.now()
    queue: dict[str, Any] = {"merchant": merchant, "platform": "meta", "ids": ids, "now": now, "log": db.LOG_LENGTH}
    acknowledged = {
        "started": now,
        "logged": "[{}]",
        "status": 200,
        "duration": 1,
        "said": "{}",
        "bounds": list(LATENCY_BOUNDS),
        "left_alone": ["erased", "suppressed"],
    }
    for sql, params in (
        (db_settling.SETTLE_DELIVERED, {**queue, **acknowledged}),
        (db_settling.SETTLE, {**queue, "settlements": "[]"}),
        (db_settling.SETTLE_LATE, {**queue, **acknowledged}),
        (db_leases.IN_FLIGHT, (merchant, "meta", ids)),
        (db_leases.ARE_DELIVERED, (merchant, "meta", ids)),
        (db_settling.NOTE_REPEATS, {**queue, "repeats": "[]"}),
    ):
        found = scans(sql, params)
        assert found.keys() == {"deliveries_pkey"}
        assert "event_id" in found["deliveries_pkey"]
    with in_transaction():
        execute("SET LOCAL enable_seqscan = off")  # of leases there are few here
        assert all_scans(db_settling.LEASES_WITH, queue, ("claims",)) == [("claims_pkey", ANY)]


def test_many_destinations_are_looked_at_claimed_and_settled_by_their_keys(
    runtime: Runtime, stranger: Merchant, clock: FrozenClock
) -> None:
    now, many = clock.now(), range(100)
    queues: dict[str, Any] = {"merchants": [stranger.merchant_id for _ in many], "platforms": ["meta" for _ in many]}
    claim = {**queues, "now": now, "limit": 10, "worker": 1, "lease": now}
    assert scans(together.CLAIM, claim).keys() == {"deliveries_due", "events_pkey"}
    leases = {**queues, "claims": list(many), "now": now, "lease": now}
    done = [
        {
            "merchant": stranger.merchant_id,
            "name": "meta",
            "event": f"order_{n}",
            "started": now,
            "logged": [{}],
        }
        for n in many
    ]
    settled = {"done": JsonLiteral(done), "now": now, "log": db.LOG_LENGTH, "bounds": list(LATENCY_BOUNDS)}
    with in_transaction():
        execute(together.BY_KEY, ("50",))
        for sql in (together.START, together.END):
            assert all_scans(sql, leases, ("claims",)) == [("claims_pkey", ANY)]
        (found,) = all_scans(together.SETTLE, settled, ("deliveries",))
    assert found[0] == "deliveries_pkey"
    assert "event_id" in found[1]
    look = {**queues, "now": now, "most": 50, "class": 1}
    with in_transaction():
        execute("SET LOCAL enable_seqscan = off")  # of these tables there are few rows here
        found_in = {
            index for index, _ in all_scans(db_destinations.LOOK, look, ("destinations", "merchants", "claims"))
        }
    assert found_in == {"destinations_pkey", "merchants_pkey", "claims_pkey"}


def test_deliveries_of_stored_events_are_made_by_event_id(stranger: Merchant, clock: FrozenClock) -> None:
    ids = [f"order_{n}" for n in range(100)]
    given: dict[str, Any] = {"merchant": stranger.merchant_id, "platform": "tiktok", "ids": ids, "now": clock.now()}
    found = scans(db_queues.INSERT_STORED, {**given, "given": "[]", "window": timedelta(hours=24)})
    assert found.keys() == {"events_pkey"}
    assert "event_id" in found["events_pkey"]


def test_the_newest_events_of_each_name_are_among_the_newest_of_all(stranger: Merchant, clock: FrozenClock) -> None:
    given = {"merchant": stranger.merchant_id, "since": clock.now() - timedelta(days=7), "looked": LOOKED, "limit": 200}
    found = scans(NEWEST_OF_EACH_NAME, given)
    assert found.keys() == {"events_received", "events_pkey"}
    assert "received_at >=" in found["events_received"]
    assert "event_id" in found["events_pkey"]


def test_the_last_answers_are_found_by_the_queue_and_by_when_deliveries_were_queued_and_ended(
    stranger: Merchant, clock: FrozenClock
) -> None:
    now = clock.now()
    spans = {"now": now, "until": now, "acknowledged": now, "begun": now - timedelta(days=1), "oldest": now - WITHIN}
    params = {"merchant": stranger.merchant_id, "platform": "meta", **spans, "looked": LOOKED_AT, "few": 5}
    found = scans(LATELY_ANSWERED, params)
    assert found.keys() <= {"deliveries_due", "deliveries_queued", "deliveries_dropped"}
    assert "platform" in found["deliveries_due"]
    assert scans(LAST_ANSWERED, params).keys() == {"deliveries_due"}


def test_what_a_shorter_retention_deletes_is_told_without_reading_events(
    stranger: Merchant, clock: FrozenClock
) -> None:
    assert scans(OLDEST_RECEIVED, (stranger.merchant_id,)).keys() == {"events_received"}
    since, until = clock.now() - timedelta(days=365), clock.now() - timedelta(days=30)
    asked = {"merchant": stranger.merchant_id, "since": since, "until": until}
    assert scans(EVENTS_ACCEPTED, asked) == {}


def test_ids_that_begin_alike_are_looked_up_as_such(stranger: Merchant, merchant: Merchant) -> None:
    found = scans(*page_query(merchant.merchant_id, EventSearch(event_id_prefix="order_299"), 50))
    assert found.keys() == {"events_pkey"}
    assert "event_id" in found["events_pkey"]


def test_when_events_happened_is_looked_up_by_when_they_were_received(stranger: Merchant, clock: FrozenClock) -> None:
    since, until = clock.now() - timedelta(days=9), clock.now() - timedelta(days=8)
    found = scans(*page_query(stranger.merchant_id, EventSearch(occurred_since=since), 50))
    assert found.keys() == {"events_received"}
    assert "received_at >=" in found["events_received"]

    found = scans(*page_query(stranger.merchant_id, EventSearch(occurred_since=since, occurred_until=until), 50))
    assert found.keys() == {"events_received", "events_late"}
    assert "received_at <" in found["events_received"]
    assert "received_at >=" in found["events_late"]


def test_the_rows_of_a_figure_of_the_ledger_are_read_hour_by_hour(stranger: Merchant, clock: FrozenClock) -> None:
    since, until = clock.now() - timedelta(days=30), clock.now() + timedelta(hours=1)
    for deliveries in (
        delivery_search.DeliverySearch(platform="meta", received_since=since, received_until=until),
        delivery_search.DeliverySearch(platform="meta", queued_since=since),
        delivery_search.DeliverySearch(platform="meta"),
        delivery_search.DeliverySearch(platform="meta", status=("delivered",)),
    ):
        found = scans(*delivery_search.page_query(stranger.merchant_id, deliveries, 50))
        assert found.keys() == {"deliveries_queued", "deliveries_stored_first"}
        assert "hour" in found["deliveries_queued"]
    filtered = EventSearch(filtered_at="meta", received_since=since, received_until=until)
    found = scans(*page_query(stranger.merchant_id, filtered, 50))
    assert "hour" in found["events_received"]
    for statuses in ((), ("delivered",)):
        found = scans(
            *page_query(stranger.merchant_id, EventSearch(platforms=("tiktok",), delivery_statuses=statuses), 50)
        )
        assert "hour" in found["events_received"]


def test_what_ran_out_of_time_is_read_in_its_order(runtime: Runtime, stranger: Merchant, clock: FrozenClock) -> None:
    found = scans(
        db_queues.EXPIRED_QUEUES, {"now": clock.now(), "after": clock.now() - timedelta(days=1), "limit": 100}
    )
    assert found.keys() == {"deliveries_window"}


def test_who_has_work_is_read_in_the_order_of_what_is_due(
    runtime: Runtime, stranger: Merchant, clock: FrozenClock
) -> None:
    for after in (0, stranger.merchant_id - 1):
        given = {"now": clock.now(), "merchant": after, "platform": "meta", "hops": 100, "since": None}
        found = scans(db_destinations.WAITING_DESTINATIONS, given)
        assert found.keys() == {"deliveries_due"}
        assert "merchant_id" in found["deliveries_due"]
    assert scans(db_destinations.LAST_WAITING, ()).keys() == {"deliveries_due"}


def test_what_was_dropped_in_a_minute_is_read_and_nothing_else(stranger: Merchant, clock: FrozenClock) -> None:
    span = (stranger.merchant_id, clock.now() - timedelta(minutes=1), clock.now())
    for sql, params in ((channels.DROPPED, span), (channels.EXAMPLES, (*span, 20))):
        found = scans(sql, params)
        assert found.keys() <= {
            "deliveries_dropped",
            "deliveries_reasons",
        }  # either reads what was dropped, and nothing else


def test_what_became_of_what_had_failed_is_looked_at_by_the_alerts_that_wait_for_it(stranger: Merchant) -> None:
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, title, message, details, opened_at, last_seen_at, resolved_at) "
            "SELECT %s, 'queue_backlog', 'warning', '', '', '{}', at, at, at "
            "FROM generate_series(%s::timestamptz - interval '2000 days', %s, interval '1 day') AS at",
            (stranger.merchant_id, NOW, NOW),
        )
        execute("ANALYZE alerts")
    found = scans(alerts.TO_LOOK_AT, ([stranger.merchant_id], NOW, 20), ["alerts"])
    assert found.keys() == {"alerts_to_look_at"}
    assert "merchant_id" in found["alerts_to_look_at"]


def test_a_group_of_failed_or_dropped_ones_is_paged_alone(stranger: Merchant, clock: FrozenClock) -> None:
    after = (clock.now(), "order_7", "meta")
    for search in (
        delivery_search.DeliverySearch("meta", ("failed",), error_code="190", after=after),
        delivery_search.DeliverySearch("meta", ("dropped",), ("retries_exhausted",), error_code="", after=after),
        delivery_search.DeliverySearch(error_code="190", after=after),
    ):
        found = scans(*delivery_search.page_query(stranger.merchant_id, search, 51))
        assert found.keys() == {"deliveries_grouped"}
        for part in ("platform", "COALESCE(drop_reason, status) =", "COALESCE(error_code", "queued_at"):
            assert part in found["deliveries_grouped"]


def test_what_a_platform_dropped_is_paged_by_its_reasons_whenever_it_was_stored(
    stranger: Merchant, clock: FrozenClock
) -> None:
    for statuses in (("dropped",), ("delivered", "dropped")):
        sql, params = delivery_search.page_query(
            stranger.merchant_id, delivery_search.DeliverySearch("meta", statuses), 51
        )
        found = scans(sql, params)
        assert "deliveries_reasons" in found
        assert not found.keys() & {"deliveries_troubled", "deliveries_dropped"}


def test_where_events_come_from_is_looked_up_by_their_ids(stranger: Merchant, clock: FrozenClock) -> None:
    since = clock.now() - timedelta(days=1)
    newest = {"merchants": [stranger.merchant_id], "since": since, "newest": sources.NEWEST}
    found = scans(sources.DROPPED, newest)
    assert found.keys() == {"deliveries_dropped", "events_pkey"}
    assert "finished_at" in found["deliveries_dropped"]
    assert "event_id" in found["events_pkey"]
    names = {"merchant": stranger.merchant_id, "platform": "meta", "names": ["Purchase"]}
    found = scans(monitors.DELIVERED_SOURCES, names)
    assert found.keys() == {"deliveries_queued", "events_pkey"}
    assert "event_id" in found["events_pkey"]


def test_what_was_said_of_the_newest_deliveries_is_read_in_their_order(stranger: Merchant, clock: FrozenClock) -> None:
    newest = {"merchants": [stranger.merchant_id], "since": clock.now() - timedelta(days=1), "newest": notes.NEWEST}
    found = scans(notes.TAKEN, newest)
    assert found.keys() == {"deliveries_queued"}
    assert "queued_at" in found["deliveries_queued"]


def test_events_that_went_wrong_are_found_by_their_deliveries(stranger: Merchant, merchant: Merchant) -> None:
    for owner in (stranger, merchant):
        search = EventSearch(delivery_status="dropped")
        found = scans(*troubled_query(owner.merchant_id, search, 50))
        assert found.keys() == {"deliveries_troubled", "deliveries_troubled_late", "events_pkey"}
        assert "event_id" in found["events_pkey"]
        assert "merchant_id" in found["deliveries_troubled"]


IDENTITIES = ("browsers", "browser_signals", "browser_people", "enrichments")


@pytest.fixture
def many_browsers(stranger: Merchant, merchant: Merchant, clock: FrozenClock) -> Merchant:
    """A merchant with many browsers, and statistics that know of another one's alone."""
    for one, count in ((merchant, 20_000), (stranger, 3_000)):
        of = {"merchant": one.merchant_id, "now": clock.now(), "count": count}
        with in_transaction():
            for sql in (
                "INSERT INTO browsers SELECT %(merchant)s, 'browser_' || n, %(now)s, %(now)s FROM generate_series(1, %(count)s) n",
                "INSERT INTO browser_signals SELECT %(merchant)s, 'browser_' || n, k, 'v', %(now)s, %(now)s "
                "FROM generate_series(1, %(count)s) n, unnest(ARRAY['gclid', 'fbp', 'fbc']) k",
                "INSERT INTO browser_people SELECT %(merchant)s, lpad((n / 3)::text, 64, '0'), 'browser_' || n, 'email', '{}', "
                "%(now)s, %(now)s FROM generate_series(1, %(count)s) n",
                "INSERT INTO enrichments SELECT %(merchant)s, 'order_' || n, '[]', lpad((n / 3)::text, 64, '0'), %(now)s "
                "FROM generate_series(1, %(count)s) n",
            ):
                execute(sql, of)  # type: ignore[arg-type]
            if one is merchant:
                execute("ANALYZE browsers, browser_signals, browser_people, enrichments")
    return stranger


def test_what_is_known_of_events_is_looked_up_by_key_however_many_browsers_there_are(
    many_browsers: Merchant, merchant: Merchant, clock: FrozenClock
) -> None:
    wanted = [enrichments.Wanted(f"new_{n}", f"browser_{n}") for n in range(250)]
    wanted += [enrichments.Wanted(f"mail_{n}", None, (f"{n:064}",)) for n in range(250)]
    for one in (many_browsers, merchant):
        params = enrichments.look_up_arguments(one.merchant_id, wanted, timedelta(days=90), clock.now())
        found = all_scans(enrichments.LOOK_UP, params, IDENTITIES)
        expected = {"browsers_pkey", "browser_signals_pkey", "browser_people_pkey", "browser_people_of"}
        assert {index for index, _ in found} == {*expected, "enrichments_pkey", "enrichments_of"}
        for index, what in found:
            assert "merchant" in what
            key = {"browser_people_pkey": "digest", "enrichments_pkey": "event_id", "enrichments_of": "person"}
            assert key.get(index, "browser_id") in what
        assert "event_id" in scans(enrichments.LOOK_UP, params, ("deliveries",))["deliveries_pkey"]


def test_a_link_is_stored_by_key_however_many_browsers_there_are(
    runtime: Runtime, many_browsers: Merchant, clock: FrozenClock
) -> None:
    now = clock.now()
    given = identities.link_record(many_browsers.merchant_id, "new", "browser_7", "email", f"{1:064}", {}, None)
    found = scans(identities.LINK, (JsonLiteral([given]),), (*IDENTITIES, "merchants"))
    assert found.keys() <= {"browser_people_pkey", "browser_people_of", "browsers_pkey", "merchants_pkey", "none"}
    assert "none" not in found or merchants_are_few()
    sql = STORE_AND_LINK
    for place, kind in enumerate(("json", "timestamptz", "interval", "json"), 1):
        sql = sql.replace(f"${place}", f"%s::{kind}")
    given_event = {"merchant_id": many_browsers.merchant_id, "event_id": "new", "event_name": "Purchase"}
    until = now + timedelta(days=3650)
    params = (JsonLiteral([given_event]), until, timedelta(hours=24), JsonLiteral([given]))
    found = scans(sql, params, IDENTITIES)
    assert found.keys() == {"browser_people_pkey", "browser_people_of", "browsers_pkey"}


def merchants_are_few() -> bool:
    """So few that the planner reads them all."""
    with in_transaction():
        return int(rows("SELECT count(*) FROM merchants")[0][0]) < 10


def test_what_of_browsers_is_past_its_time_is_read_in_its_order(many_browsers: Merchant, clock: FrozenClock) -> None:
    params = {"merchant": many_browsers.merchant_id, "before": clock.now() - timedelta(days=90), "limit": 500}
    found = scans(identities.PURGE_IDENTITIES, params, IDENTITIES)
    assert found.keys() >= {"browsers_age", "browser_signals_age", "browser_people_age"}
    assert "none" not in found


def test_what_goes_of_browsers_is_looked_up_by_key(many_browsers: Merchant, merchant: Merchant) -> None:
    for one in (many_browsers, merchant):
        given = identities.pairs(one.merchant_id, ["browser_1", "browser_2"])
        statements: list[tuple[str, str, Mapping[str, Any] | Sequence[Any]]] = [
            ("browsers", identities.HOLD_BROWSERS, given),
            ("browser_people", personal_data.LINKS_OF_BROWSERS, given),
            ("browser_people", personal_data.ERASE_LINKS, (*given, [f"{0:064}", f"{0:064}"])),
            *((table, sql, (*given, None)) for table, sql in identities.FORGET.items()),
            ("browser_people", identities.FORGET_LATE, {"since": NOW, "until": NOW, "limit": 500}),
        ]
        for table, sql, params in statements:
            found = all_scans(sql, params, (table,))
            assert found
            assert all("browser_id" in what and "merchant_id" in what for _, what in found)


def test_browsers_of_a_person_are_looked_up_by_each_digest_that_tells(
    many_browsers: Merchant, merchant: Merchant
) -> None:
    forms = {
        "browser_people_pkey": "digest",
        "browser_people_gmail": "(digests ->> 'google'::text)",
        "browser_people_decomposed": "(digests ->> 'decomposed'::text)",
        "browser_people_other_host": "(digests ->> 'other_host'::text)",
        "browser_people_googlemail": "(digests ->> 'gmail'::text)",
        "browser_people_e164": "(digests ->> 'e164'::text)",
    }
    assert len(personal_data.LINK_FORMS) == len(forms)
    for one in (many_browsers, merchant):
        params: Any = {"merchant": one.merchant_id, "digests": [f"{n:064}" for n in range(40)], "limit": 2000}
        with in_transaction():
            plan = "\n".join(row[0] for row in rows(f"EXPLAIN {personal_data.BROWSERS_WITH}", params))
        assert "Seq Scan" not in plan
        for index, form in forms.items():
            assert re.search(
                rf"{index} .*\n +Index Cond: \(\({re.escape(form)} = x\w*\.digest\) AND \(merchant_id = {one.merchant_id}\)",
                plan,
            ), (index, plan)


HANGING_ON_EVENTS = ("deliveries", "enrichments", "differing_repeats")


def test_what_hangs_on_events_is_looked_up_by_their_ids(
    many_browsers: Merchant, merchant: Merchant, clock: FrozenClock
) -> None:
    now = clock.now()
    with in_transaction():
        execute(
            "INSERT INTO differing_repeats SELECT merchant_id, event_id, decided_at, '{}' FROM enrichments WHERE merchant_id = %s",
            (merchant.merchant_id,),
        )
        execute("ANALYZE differing_repeats")
    erase = {"ids": ["order_1", "order_2"], "now": now, "reason": "erased"}
    page = {"since": now - timedelta(days=1), "id": "", "until": now + timedelta(days=1), "last": "", "limit": 100}
    for one in (many_browsers, merchant):
        of = {"merchant": one.merchant_id}
        assert "event_id" in scans(personal_data.PAGE, {**of, **page}, ("enrichments",))["enrichments_pkey"]
        for sql, params in ((personal_data.ERASE, erase), (PURGE, {"before": now + timedelta(days=1), "limit": 5})):
            found = all_scans(sql, {**of, **params}, HANGING_ON_EVENTS)
            assert {index for index, _ in found} == {f"{table}_pkey" for table in HANGING_ON_EVENTS}
            assert all("event_id" in what for _, what in found)


def test_what_comes_while_an_erasure_goes_on_is_looked_for_by_key(
    runtime: Runtime, stranger: Merchant, clock: FrozenClock
) -> None:
    merchant_id, now = stranger.merchant_id, clock.now()
    with in_transaction():
        execute(
            "INSERT INTO tombstones (merchant_id, mark, expires_at) "
            "SELECT %s, sha256(n::text::bytea), %s FROM generate_series(1, 5000) AS n",
            (merchant_id, now),
        )
        execute("ANALYZE tombstones")
    found = scans(
        HOLD_EVENTS.replace("$1", "%s::json"), (JsonLiteral([{"merchant_id": merchant_id, "event_id": "a"}]),)
    )
    assert found.keys() == {"events_pkey"}
    assert "event_id" in found["events_pkey"]
    sql = STORE_UNLESS_ERASED
    for place, kind in enumerate(("json", "timestamptz", "json", "interval", "json"), 1):
        sql = sql.replace(f"${place}", f"%s::{kind}")
    event = {"merchant_id": merchant_id, "event_id": "new", "event_name": "Purchase", "tombstone": "\\x00"}
    nothing = JsonLiteral([])
    params = (JsonLiteral([event]), now + timedelta(days=3650), nothing, timedelta(hours=24), nothing)
    found = scans(sql, params, ("tombstones",))
    assert found.keys() == {"tombstones_pkey"}
    assert "mark" in found["tombstones_pkey"]


def test_ids_of_events_are_compared_by_their_bytes_wherever_they_are_a_key(database: str) -> None:
    with in_transaction():
        found = rows(
            "SELECT i.indexrelid::regclass::text, c.collname FROM pg_index i "
            "JOIN pg_class t ON t.oid = i.indrelid AND t.relnamespace = 'public'::regnamespace "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'event_id' AND a.attnum = ANY(i.indkey) "
            "JOIN pg_collation c ON c.oid = a.attcollation"
        )
    assert {"enrichments_pkey", "differing_repeats_pkey", "deliveries_pkey", "events_pkey"} <= {
        name for name, _ in found
    }
    assert {collation for _, collation in found} == {"C"}


def test_deliveries_that_lie_ahead_are_found_by_the_index_that_they_are_claimed_by(
    stranger: Merchant, clock: FrozenClock
) -> None:
    now = clock.now()
    params = {"merchants": [stranger.merchant_id], "platforms": ["meta"], "now": now, "limit": 10}
    found = scans(ahead.DELIVERIES, {**params, "first": now + timedelta(hours=1), "retry": now + timedelta(hours=1)})
    assert set(found) == {"deliveries_due", "events_pkey", "none"}  # and what was found, by its place
    assert "due_at >" in found["deliveries_due"]
    assert found["events_pkey"].count("=") == found["deliveries_due"].count("= ") == 2
