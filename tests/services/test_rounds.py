"""Whatever goes over all merchants is bounded, goes on where it stopped, and is stopped by none of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import peewee
import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft, new_merchant, sweep_missed
from tests.schema.test_delivery_groups import many
from tests.sessions import other_session
from tracklayer.actors.purge import purge
from tracklayer.clock import FrozenClock
from tracklayer.db.alert_mails import Mail
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.destinations import entries_of_queues_read, waiting_destinations
from tracklayer.db.leases import claim_due
from tracklayer.db.merchants import merchant_by_id
from tracklayer.db.models import AlertRow
from tracklayer.db.redeliveries import insert_redelivery, redelivery_by_id, save_redelivery, take_redelivery
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services import monitor, privacy
from tracklayer.services import sweep as rescue
from tracklayer.services.alone import MOST_ALIKE, alone, pages_of_merchants, stop_at, tell_fault
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import remove_destination, sandbox_destinations, set_destination
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import update_merchant
from tracklayer.services.monitor import Watch, learn_baselines
from tracklayer.services.notify import compose
from tracklayer.services.privacy import purge_expired
from tracklayer.services.redeliver import redeliver_matching
from tracklayer.services.sweep import some_with_work, sweep

NEWER = "platform_of_a_newer_version"
assert NEWER not in PLATFORMS


@pytest.fixture
def breaks(database: str) -> Iterator[Callable[[str, str, str], None]]:
    """``breaks(table, operation, of which rows)``: PostgreSQL refuses it from now on, until the test ends."""
    broken: list[str] = []

    def refuse(table: str, operation: str, which: str) -> None:
        broken.append(table)
        row = "OLD" if operation == "DELETE" else "NEW"
        with in_transaction():
            execute(
                f"CREATE OR REPLACE FUNCTION break_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {row}.{which} THEN RAISE 'jane@example.com'; END IF; RETURN {row}; END $$"
            )
            execute(
                f"CREATE TRIGGER break_{table} BEFORE {operation} ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION break_{table}()"
            )

    yield refuse
    with in_transaction():
        for table in broken:
            execute(f"DROP TRIGGER break_{table} ON {table}")
            execute(f"DROP FUNCTION break_{table}")


def insert_destination_of_a_newer_version(merchant_id: int) -> None:
    with in_transaction():
        execute(
            "INSERT INTO destinations (merchant_id, platform, settings, secrets, created_at) VALUES (%s, %s, '{}', '', %s)",
            (merchant_id, NEWER, NOW),
        )


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The first line of what was logged; none of it holds what the fault quoted."""
    assert "jane@example.com" not in caplog.text
    return [record.getMessage().splitlines()[0] for record in caplog.records if record.levelno >= logging.WARNING]


def events_of() -> dict[int, int]:
    with in_transaction():
        return dict(rows("SELECT merchant_id, count(*) FROM events GROUP BY merchant_id"))


# Rounds --------------------------------------------------------------------------------------------------------------


def test_a_round_that_is_cut_short_goes_on_where_it_stopped(runtime: Runtime) -> None:
    ids = [new_merchant(runtime, meta=False).merchant_id for _ in range(5)]

    def round_(pages: int = 9) -> list[list[int]]:
        found = []
        for page in pages_of_merchants("test", 2):
            found.append([ids.index(merchant_id) for merchant_id, _ in page])
            if len(found) == pages:
                break
        return found

    assert round_() == [[0, 1], [2, 3], [4]]
    stop_at("test", ids[1])
    assert round_() == [[2, 3], [4], [0, 1]]
    stop_at("test", ids[1])
    assert round_(pages=1) == [[2, 3]]
    assert round_(pages=1) == [[4]]
    assert round_(pages=1) == [[0, 1]]
    assert round_(pages=2) == [[2, 3], [4]]
    assert sorted(place for page in round_() for place in page) == [0, 1, 2, 3, 4]


# Purge ---------------------------------------------------------------------------------------------------------------


def test_a_large_backlog_to_purge_leaves_the_others_their_turn(runtime: Runtime, clock: FrozenClock) -> None:
    shops = [new_merchant(runtime, meta=False) for _ in range(3)]
    ingest_events(runtime, shops[0].holder, [draft(str(n)) for n in range(privacy.TURN + 600)])
    for shop in shops[1:]:
        ingest_events(runtime, shop.holder, [draft("only one")])
    clock.move(timedelta(days=31))
    for shop in shops:
        update_merchant(runtime, shop.merchant_id, {"retention_days": 30})
    # The time is over after the first batch: each run is the next one's.
    nothing = timedelta(0)
    purged = [purge_expired(runtime, nothing) for _ in range(4)]
    assert purged == [privacy.BATCH, 1, 1, privacy.BATCH]
    assert events_of() == {shops[0].merchant_id: privacy.TURN + 600 - 2 * privacy.BATCH}
    assert purge_expired(runtime) == privacy.TURN + 600 - 2 * privacy.BATCH
    assert events_of() == {}


def test_with_time_for_all_each_merchant_is_purged_before_a_second_turn(runtime: Runtime, clock: FrozenClock) -> None:
    shops = [new_merchant(runtime, meta=False) for _ in range(2)]
    count = privacy.TURN + 1
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft(str(n)) for n in range(count)])
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 2 * count
    assert events_of() == {}


def test_a_merchant_that_cannot_be_purged_is_told_once_and_the_others_are(
    runtime: Runtime, clock: FrozenClock, breaks: Callable[[str, str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    shops = [new_merchant(runtime, meta=False) for _ in range(3)]
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft(str(n)) for n in range(3)])
    breaks("events", "DELETE", f"merchant_id = {shops[0].merchant_id}")
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 6
    assert events_of() == {shops[0].merchant_id: 3}
    assert purge_expired(runtime) == 0
    assert told(caplog) == [f"purging merchant {shops[0].merchant_id} failed: InternalError; the others go on"]


def test_the_purge_of_one_kind_does_not_depend_on_the_others(
    runtime: Runtime, merchant: Merchant, breaks: Callable[[str, str, str], None], clock: FrozenClock
) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    with in_transaction():
        execute(
            "INSERT INTO redeliveries (merchant_id, search, by_ids, requested_at, last_page_at, next_page_at, finished_at) "
            "VALUES (%(m)s, '{}', true, %(now)s, %(now)s, %(now)s, %(now)s)",
            {"m": merchant.merchant_id, "now": clock.now()},  # type: ignore[arg-type]
        )
    breaks("events", "DELETE", f"merchant_id = {merchant.merchant_id}")
    clock.move(timedelta(days=91))
    purge(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM redeliveries") == [(0,)]


def test_a_fault_is_told_once_an_hour_with_how_often_it_came(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        tell_fault(runtime, "mapping", ValueError("jane@example.com"), number)
    monkeypatch.setattr("tracklayer.services.alone.TELL_AGAIN_SECONDS", 0)  # the hour is over
    for number in range(3, 5):
        tell_fault(runtime, "mapping", ValueError("jane@example.com"), number)
    assert told(caplog) == [
        "mapping failed for 0: ValueError; the others go on",
        "mapping failed for 3, and 2 times more since it was told last: ValueError; the others go on",
        "mapping failed for 4: ValueError; the others go on",
    ]


# Monitors ------------------------------------------------------------------------------------------------------------


def failing_destination(merchant_id: int) -> None:
    """One that refuses its credentials: the next look opens an alert."""
    with in_transaction():
        execute(
            "UPDATE destinations SET state = 'held', state_reason = 'credentials_refused', failing_since = %s, "
            "resume_at = %s WHERE merchant_id = %s AND platform = 'meta'",
            (NOW - timedelta(minutes=10), NOW + timedelta(hours=1), merchant_id),
        )


def alerts_of() -> dict[int, list[str]]:
    with in_transaction():
        found = rows("SELECT merchant_id, kind FROM alerts WHERE resolved_at IS NULL ORDER BY 1, 2")
    alerts: dict[int, list[str]] = {}
    for merchant_id, kind in found:
        alerts.setdefault(merchant_id, []).append(kind)
    return alerts


def test_what_fails_alone_in_anothers_transaction_is_not_kept_from_it(runtime: Runtime) -> None:
    with pytest.raises(peewee.DataError), in_transaction(), alone(runtime, "dividing"):
        rows("SELECT 1 / 0")
    with in_transaction():
        with alone(runtime, "dividing"), in_transaction():
            rows("SELECT 1 / 0")
        assert rows("SELECT 1") == [(1,)]
    with alone(runtime, "dividing"), in_transaction():
        rows("SELECT 1 / 0")


def test_a_destination_of_a_newer_version_stops_no_look(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    shops = [new_merchant(runtime) for _ in range(2)]
    insert_destination_of_a_newer_version(shops[0].merchant_id)
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, opened_at, last_seen_at) "
            "VALUES (%s, 'queue_backlog', 'warning', %s, '', '', %s, %s)",
            (shops[0].merchant_id, NEWER, NOW, NOW - timedelta(days=1)),
        )
    for shop in shops:
        failing_destination(shop.merchant_id)
    watch = Watch(runtime)
    assert watch.look() == 2
    for _ in range(3):
        watch.look()
    # What the newer version has found of its platform stays as it is.
    assert alerts_of() == {
        shops[0].merchant_id: ["platform_down", "queue_backlog"],
        shops[1].merchant_id: ["platform_down"],
    }
    assert told(caplog) == []


def test_a_merchant_whose_rows_make_no_sense_is_told_once_and_all_else_is_judged(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    shops = [new_merchant(runtime) for _ in range(5)]
    with in_transaction():
        for shop in shops[:2]:
            execute(
                "INSERT INTO baselines (merchant_id, platform, learned_until, learned) VALUES (%s, '', %s, '{}')",
                (shop.merchant_id, NOW),
            )
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
                "VALUES (%s, '', date_trunc('minute', %s::timestamptz), 0, 1)",
                (shop.merchant_id, NOW),
            )
    for shop in shops:
        failing_destination(shop.merchant_id)
    watch = Watch(runtime)
    watch.look()
    watch.look()
    assert list(alerts_of()) == [shop.merchant_id for shop in shops]  # another watch has its own look
    assert told(caplog) == [
        f"the monitors' look at merchant {shop.merchant_id} failed: KeyError; the others go on" for shop in shops[:2]
    ]


def test_a_destination_whose_facts_make_no_sense_does_not_hide_its_neighbours(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    set_destination(
        runtime, merchant.merchant_id, "tiktok", {"pixel_code": "C4ABCDEFGHIJ1234", "access_token": "x" * 20}, None
    )
    with in_transaction():
        execute(
            "INSERT INTO baselines (merchant_id, platform, learned_until, learned) VALUES (%s, 'tiktok', %s, %s)",
            (merchant.merchant_id, NOW, '{"of a newer version": 1}'),
        )
    failing_destination(merchant.merchant_id)
    Watch(runtime).look()
    assert alerts_of() == {merchant.merchant_id: ["platform_down"]}
    assert told(caplog) == [
        f"the monitors' look at merchant {merchant.merchant_id}, tiktok, failed: TypeError; the others go on"
    ]


def test_a_merchant_that_nothing_can_be_learned_of_does_not_come_first_for_ever(
    runtime: Runtime, breaks: Callable[[str, str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    shops = [new_merchant(runtime, meta=False) for _ in range(monitor.LEARN_MERCHANTS + 1)]
    with in_transaction():
        for shop in shops:
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
                "SELECT %s, '', %s - n * interval '1 minute', 0, 1 FROM generate_series(60, 20000, 7) AS n",
                (shop.merchant_id, NOW),
            )
    breaks("baselines", "INSERT", f"learned <> 'null' AND NEW.merchant_id < {shops[-1].merchant_id}")
    assert learn_baselines(runtime) == 0
    assert len(told(caplog)) == MOST_ALIKE
    assert learn_baselines(runtime) == 1
    assert learn_baselines(runtime) == 0
    assert len(told(caplog)) == MOST_ALIKE


# Folding -------------------------------------------------------------------------------------------------------------


def test_counters_that_cannot_be_added_up_keep_no_others_from_it(
    runtime: Runtime, clock: FrozenClock, breaks: Callable[[str, str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    shops = [new_merchant(runtime) for _ in range(3)]
    with in_transaction():
        for shop in shops:
            for minute in (clock.now() - timedelta(hours=1), clock.now() - timedelta(days=36, minutes=7)):
                execute(
                    "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
                    "SELECT %s, '', %s, slot, 1 FROM generate_series(1, 2) AS slot",
                    (shop.merchant_id, minute),
                )
    breaks("minutes", "DELETE", f"merchant_id = {shops[0].merchant_id}")
    fold_counters(runtime)
    fold_counters(runtime)
    with in_transaction():
        found = rows("SELECT merchant_id, count(*), sum(accepted)::bigint FROM counted GROUP BY merchant_id ORDER BY 1")
    assert found == [
        (shops[0].merchant_id, 4, 4),
        (shops[1].merchant_id, 2, 4),
        (shops[2].merchant_id, 2, 4),
    ]
    assert told(caplog) == [
        "folding counters failed: InternalError; the others go on",
        f"folding counters of merchant {shops[0].merchant_id} failed: InternalError; the others go on",
    ]


# Deliveries ----------------------------------------------------------------------------------------------------------


def test_a_queue_that_nothing_can_be_dropped_from_keeps_no_other_from_it(
    runtime: Runtime, clock: FrozenClock, breaks: Callable[[str, str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    shops = [new_merchant(runtime) for _ in range(2)]
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft()])
        clock.move(timedelta(seconds=1))
    breaks("deliveries", "UPDATE", f"merchant_id = {shops[0].merchant_id}")
    clock.move(timedelta(days=1))
    assert [sweep(runtime).dropped for _ in range(3)] == [1, 0, 0]
    with in_transaction():
        assert rows("SELECT merchant_id FROM deliveries WHERE status = 'dropped'") == [(shops[1].merchant_id,)]
    merchant_id = shops[0].merchant_id
    assert told(caplog) == [
        f"dropping from the queue of merchant {merchant_id}, meta, failed: InternalError; the others go on"
    ]


def test_a_lost_claim_that_cannot_be_taken_back_keeps_no_other_from_it(
    runtime: Runtime, clock: FrozenClock, breaks: Callable[[str, str, str], None]
) -> None:
    dead = 2_000_000_000  # the number of a worker that is no more
    shops = [new_merchant(runtime) for _ in range(3)]
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft()])
        with in_transaction():
            assert claim_due(shop.merchant_id, "meta", 1, clock.now(), dead) is not None
        clock.move(timedelta(seconds=1))
    breaks("claims", "DELETE", f"merchant_id = {shops[0].merchant_id}")
    sweep_missed(runtime)
    with in_transaction():
        assert rows("SELECT merchant_id FROM claims") == [(shops[0].merchant_id,)]


def test_what_ran_out_of_time_is_looked_at_page_by_page(
    runtime: Runtime, clock: FrozenClock, breaks: Callable[[str, str, str], None]
) -> None:
    """More rows than a page in a queue that nothing can be dropped from; behind them another queue."""
    stuck, other = new_merchant(runtime), new_merchant(runtime)
    for start in range(0, 2000, 500):
        ingest_events(runtime, stuck.holder, [draft(f"order_{start + n}") for n in range(500)])
        clock.move(timedelta(seconds=1))
    ingest_events(runtime, other.holder, [draft()])
    breaks("deliveries", "UPDATE", f"merchant_id = {stuck.merchant_id}")
    clock.move(timedelta(days=1))
    assert [sweep(runtime).dropped for _ in range(4)] == [0, 1, 0, 0]


def test_a_sweep_passes_over_what_is_done_once_in_five_seconds(
    runtime: Runtime, clock: FrozenClock, database: str
) -> None:
    """While a dump reads, PostgreSQL keeps the entries of all that is done meanwhile in the index of queues."""
    busy, other, third = (new_merchant(runtime) for _ in range(3))
    many(busy, clock, "done", "queued", rescue.DEAR + 2000)
    third_event = draft()
    with other_session(database) as dump:
        with dump.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1 FROM deliveries LIMIT 1")
        with in_transaction():
            execute(
                "UPDATE deliveries SET status = 'delivered', delivered_at = %s, finished_at = %s, due_at = NULL",
                (NOW, NOW),
            )
        ingest_events(runtime, other.holder, [draft()])

        def passed() -> tuple[list[tuple[int, str]], int]:
            with in_transaction():  # in one: PostgreSQL forgets these figures between two
                before = entries_of_queues_read()
                found = sweep(runtime).wake
                return found, entries_of_queues_read() - before

        clock.move(timedelta(seconds=2))
        found, entries = passed()
        assert found == [(other.merchant_id, "meta")]
        assert entries > rescue.DEAR
        ingest_events(runtime, third.holder, [third_event])
        for _ in range(3):
            clock.move(timedelta(seconds=1))
            found, entries = passed()
            assert found == [(third.merchant_id, "meta")]
            assert entries < 100
        clock.move(timedelta(seconds=2))
        assert passed()[0] == [(other.merchant_id, "meta"), (third.merchant_id, "meta")]


def test_what_is_due_is_found_from_anywhere_on(runtime: Runtime, clock: FrozenClock) -> None:
    shops = [new_merchant(runtime) for _ in range(4)]
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft()])
    ids = [shop.merchant_id for shop in shops]
    with in_transaction():
        found = [
            [key[0] for key, is_due in waiting_destinations(clock.now(), 3, (after, "meta")) if is_due]
            for after in (0, ids[1], ids[3], ids[3] + 9)
        ]
    assert found == [ids[:3], [ids[2], ids[3], ids[0]], ids[:3], ids[:3]]
    assert sorted(some_with_work(runtime, 9)) == [(merchant_id, "meta") for merchant_id in ids]
    assert len(some_with_work(runtime, 2)) == 2


def test_each_destination_that_is_due_is_woken_once_a_round(
    runtime: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that stands where a sweep stops: with three destinations each, that is in the middle of a merchant."""
    shops = [new_merchant(runtime) for _ in range(7)]
    for shop in shops:
        sandbox_destinations(runtime, shop.merchant_id, ("reddit", "snapchat"))
        ingest_events(runtime, shop.holder, [draft()])
    everybody = [(shop.merchant_id, platform) for shop in shops for platform in ("meta", "reddit", "snapchat")]
    monkeypatch.setattr(rescue, "DUE_DESTINATIONS", 4)
    woken = [sweep(runtime).wake for _ in range(21)]
    assert [sorted(keys) for keys in woken[:2]] == [everybody[:4], everybody[4:8]]
    assert Counter(key for keys in woken for key in keys) == dict.fromkeys(everybody, 4)
    monkeypatch.setattr(rescue, "DUE_DESTINATIONS", 20)  # all but one
    woken = [sweep(runtime).wake for _ in range(21)]
    assert Counter(key for keys in woken for key in keys) == dict.fromkeys(everybody, 20)


def test_what_waits_for_a_platform_that_is_away_costs_a_sweep_no_more_than_its_share(
    runtime: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [new_merchant(runtime) for _ in range(9)]
    for shop in shops:
        ingest_events(runtime, shop.holder, [draft()])
        if shop is not shops[-1]:
            failing_destination(shop.merchant_id)
    monkeypatch.setattr(rescue, "DUE_DESTINATIONS", 3)
    last = [(shops[-1].merchant_id, "meta")]
    assert [sweep(runtime).wake for _ in range(6)] == [[], [], last, [], [], last]


def test_removed_destinations_are_looked_at_page_by_page(
    runtime: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [new_merchant(runtime) for _ in range(5)]
    for shop in shops:
        if shop is shops[-1]:
            ingest_events(runtime, shop.holder, [draft()])
        remove_destination(runtime, shop.merchant_id, "meta")
    monkeypatch.setattr(rescue, "REMOVED", 2)
    assert [sweep(runtime).dropped for _ in range(3)] == [0, 0, 1]


def test_what_waits_for_a_platform_of_a_newer_version_is_left_to_it(
    runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    insert_destination_of_a_newer_version(merchant.merchant_id)
    ingest_events(runtime, merchant.holder, [draft()])
    assert (merchant.merchant_id, NEWER) in sweep(runtime).wake
    assert deliver_due(runtime, worker, merchant.merchant_id, NEWER) is False
    with in_transaction():
        assert rows("SELECT status, attempts FROM deliveries WHERE platform = %s", (NEWER,)) == [("queued", 0)]
        assert rows("SELECT count(*) FROM claims") == [(0,)]


def test_a_redelivery_takes_a_platform_of_a_newer_version_with_it(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    insert_destination_of_a_newer_version(merchant.merchant_id)
    ingest_events(runtime, merchant.holder, [draft()])
    clock.move(timedelta(days=2))
    sweep(runtime)
    result = redeliver_matching(runtime, merchant.merchant_id, DeliverySearch())
    assert (result.matched, result.requeued) == (2, 2)


def test_merchants_take_turns_with_their_redeliveries(runtime: Runtime, clock: FrozenClock) -> None:
    many, one = new_merchant(runtime).merchant_id, new_merchant(runtime).merchant_id
    with in_transaction():
        for merchant_id in (many, many, many, one):
            insert_redelivery(merchant_id, DeliverySearch(), False, clock.now())
            clock.move(timedelta(seconds=1))
    taken = []
    for _ in range(4):
        with in_transaction():
            found = take_redelivery(clock.move(timedelta(seconds=1)))
            assert found is not None
            row = redelivery_by_id(*found)
            assert row is not None
            row.last_page_at = row.next_page_at = clock.now()
            save_redelivery(row)
            taken.append(row.merchant_id)
    assert taken == [many, one, many, one]


# E-mails -------------------------------------------------------------------------------------------------------------


def test_an_alert_of_a_newer_version_is_told_by_e_mail(runtime: Runtime, merchant: Merchant) -> None:
    mail = Mail(merchant.merchant_id, 1, 1, 1, "open", "ops@example.com", NOW, 1)
    alert = AlertRow(kind="quota_used_up", platform=NEWER, title="Too much", message="Less, please.", opened_at=NOW)
    with in_transaction():
        shop = merchant_by_id(merchant.merchant_id)
    assert shop is not None
    message = compose(runtime, mail, alert, shop, "alerts@tracklayer.example")
    assert message["Subject"] == "Too much - Shop"
