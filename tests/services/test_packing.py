"""Counters of hours that are over are one row an hour and destination, and every reader finds in it what it found before."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import orjson
import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft, new_merchant
from tests.services.test_pages_read import rows_read
from tests.services.test_plans import all_scans
from tests.sessions import other_session
from tracklayer.cli.bench.merchants import cost_of
from tracklayer.clock import FrozenClock
from tracklayer.db import (
    ahead,
    alert_charts,
    answers,
    connection,
    counters,
    heartbeats,
    monitors,
    names,
    packing,
    quality,
    standing,
)
from tracklayer.db.connection import execute, in_transaction, rows, session
from tracklayer.db.counters import ACTIVITY, COHORT, LATENCY_BOUNDS, adding
from tracklayer.db.event_search import EventSearch, page_of_events
from tracklayer.db.folding import EVERYBODY, Whose, lock_folding
from tracklayer.db.ledger import events_accepted, ledger, ledger_as_one
from tracklayer.db.packing import Place
from tracklayer.domain.alert_chart import ChartRange
from tracklayer.runtime import Runtime
from tracklayer.services import fold
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import set_destination
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.privacy import purge_expired

MIGRATION = import_module("tracklayer.db.migrations.0061_packed_minutes")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLATFORMS = ("meta", "tiktok")
COUNTED = (*COHORT, *ACTIVITY)
ALL = f"""SELECT merchant_id, platform, minute, {", ".join(f"sum({name})::bigint" for name in COUNTED)},
    (SELECT jsonb_object_agg(key, value ORDER BY key) FROM jsonb_each_text(sum_counts(drop_reasons)))::text,
    nullif(sum_counts(latency), '{{}}') FROM counted GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


def count_some(merchant_id: int, dice: random.Random, times: int, within: timedelta, until: datetime) -> None:
    """Counts as several backends would, at any minutes before an instant, many of them close together."""
    columns = (*COUNTED, "drop_reasons", "latency")
    with in_transaction():
        for _ in range(times):
            minute = until - HOUR * dice.randrange(1 + within // HOUR) - MINUTE * dice.choice((0, 1, 2, 7, 30, 59))
            found: dict[str, Any] = {name: dice.choice((0, 0, 0, 1, 2, 90)) for name in COUNTED}
            found["waiting"] = dice.choice((-1, 0, 0, 1))
            found["drop_reasons"] = dice.choice(
                (None, None, '{"event_too_old": 2}', '{"consent_denied": 1, "expired": 3}')
            )
            latency = [dice.choice((0, 0, 5)) for _ in range(len(LATENCY_BOUNDS) + 1)]
            found["latency"] = dice.choice((None, latency))
            execute(
                f"INSERT INTO minutes (merchant_id, platform, minute, slot, {', '.join(columns)}) "
                f"VALUES (%s, %s, %s, %s, {', '.join(['%s'] * len(columns))}) {adding(COUNTED)}",
                (merchant_id, dice.choice(("", *PLATFORMS)), minute, dice.choice((7, 8)), *found.values()),
            )


def everything() -> list[tuple[Any, ...]]:
    """All that is counted, by the minute, wherever it lies."""
    with in_transaction():
        return rows(ALL)


def fold_all(runtime: Runtime) -> None:
    while fold_counters(runtime):
        pass


def readers(merchant_id: int, dice: random.Random, within: timedelta) -> list[Callable[[], Any]]:
    """Each asks what is counted in its own way, of some stretch of time."""
    found: list[Callable[[], Any]] = []
    for _ in range(6):
        since = NOW - MINUTE * dice.randrange(within // MINUTE)
        until = since + MINUTE * dice.choice((1, 30, 90, 60 * 7, 60 * 24 * 3, within // MINUTE))
        day = since.replace(hour=0, minute=0), until.replace(hour=0, minute=0) + DAY
        hour = since.replace(minute=0), until.replace(minute=0) + HOUR
        span = ChartRange(since, timedelta(minutes=dice.choice((1, 5, 60))), 48)
        found += [readers_of(merchant_id, since, until, hour, day, span)]
    return found


def readers_of(
    merchant_id: int,
    since: datetime,
    until: datetime,
    hour: tuple[datetime, datetime],
    day: tuple[datetime, datetime],
    span: ChartRange,
) -> Callable[[], Any]:
    keys = [(merchant_id, platform) for platform in PLATFORMS]

    def read() -> Any:
        return [
            sorted(ledger(merchant_id, since, until, "minute"), key=str),
            sorted(ledger(merchant_id, *hour, "hour"), key=str),
            sorted(ledger(merchant_id, *day, "day"), key=str),
            sorted(ledger_as_one(merchant_id, since, until), key=str),
            events_accepted(merchant_id, since, until),
            counters.filtered_in(merchant_id, "meta", [(since, until), (until, until + 2 * HOUR)]),
            monitors.recent_minutes([merchant_id], since, until),
            monitors.past_minutes(keys, since, until),
            monitors.last_events([merchant_id], since, until),
            monitors.minutes_with_events(merchant_id, [(since, until), (until, until + HOUR)]),
            monitors.active_minutes(merchant_id, since, until),
            monitors.rejected_since(merchant_id, since),
            monitors.active_hours(merchant_id, since, until),
            sorted(monitors.longest_gaps(merchant_id, since, until, 3 * MINUTE)),
            {key: sorted(one) for key, one in monitors.attempts_by_hour(merchant_id, since, until).items()},
            names.accepted_by_minute([merchant_id], since, until),
            names.received_by_hour(merchant_id, since, until),
            quality.received([merchant_id], since, until),
            quality.too_old_events(merchant_id, until, until - since),
            alert_charts.outcomes(merchant_id, span, PLATFORMS),
            alert_charts.received(merchant_id, span),
            standing.lately(merchant_id, PLATFORMS, since, until),
            rows(answers.LAST_ANSWERED, {"merchant": merchant_id, "platform": "meta", "oldest": since, "now": until}),  # type: ignore[arg-type]
        ]

    return read


def answers_of(asked: list[Callable[[], Any]]) -> list[Any]:
    with in_transaction():
        return [ask() for ask in asked]


def pack_some(limit: int) -> int:
    with in_transaction():
        assert lock_folding()
        return packing.pack(Place(NOW + DAY), limit, EVERYBODY)[0]


@pytest.fixture
def shop(runtime: Runtime, merchant: Merchant) -> Merchant:
    settings = {"pixel_code": "C4ABCDEFGHIJ1234", "access_token": "x" * 20}
    set_destination(runtime, merchant.merchant_id, "tiktok", settings, None)
    with in_transaction():
        execute(
            "INSERT INTO baselines (merchant_id, platform, learned_until, learned) VALUES (%s, '', %s, '{}')",
            (merchant.merchant_id, NOW),
        )
    return merchant


@pytest.mark.seeds(0, 1, 2, 3)
def test_every_reader_finds_the_same_packed_or_not(
    runtime: Runtime, shop: Merchant, clock: FrozenClock, seed: int
) -> None:
    dice = random.Random(seed)
    within = dice.choice((timedelta(hours=5), timedelta(days=2), timedelta(days=20)))
    asked = readers(shop.merchant_id, dice, within)
    packed = 0
    for _ in range(3):  # what comes later is of hours that are packed, too
        count_some(shop.merchant_id, dice, 150, within, NOW - MINUTE)
        before, all_of_it = answers_of(asked), everything()
        with in_transaction():
            execute(
                "INSERT INTO heartbeats VALUES ('old', 'api', 'a', '1', now(), now(), NULL, '{}') ON CONFLICT DO NOTHING"
            )
        fold_counters(runtime)  # of an upgrade: as ever
        assert answers_of(asked) == before
        for _ in range(3):
            packed += pack_some(dice.choice((1, 3, 40)))
            assert answers_of(asked) == before
        with in_transaction():
            execute("DELETE FROM heartbeats")
        fold_counters(runtime)
        assert answers_of(asked) == before
        assert everything() == all_of_it
    assert packed > 3
    over = (NOW - fold.SLOTS_AFTER).replace(minute=0)
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes WHERE minute < %s", (over,)) == [(0,)]
        assert rows("SELECT count(*) FROM ledger_hours WHERE loose AND hour < %s", (over,)) == [(0,)]


@pytest.mark.seeds(0, 1)
def test_what_is_old_becomes_the_same_sums_packed_or_not(
    runtime: Runtime, shop: Merchant, clock: FrozenClock, seed: int
) -> None:
    """Two merchants count the same; one is packed before its hours come of age, the other has rows until then."""
    other = new_merchant(runtime)
    within = timedelta(hours=20)
    for merchant in (shop, other):
        count_some(merchant.merchant_id, random.Random(seed), 150, within, NOW)
    clock.move(HOUR)
    with in_transaction():
        execute("INSERT INTO heartbeats VALUES ('old', 'api', 'a', '1', now(), now(), NULL, '{}')")
    fold_counters(runtime)
    with in_transaction():
        assert lock_folding()
        assert packing.pack(Place(NOW + DAY), 1000, Whose(only=(shop.merchant_id,)))[0] > 0
    clock.move(fold.HOURS_AFTER + within)
    fold_counters(runtime)
    with in_transaction():
        execute("DELETE FROM heartbeats")
    fold_counters(runtime)
    found: dict[int, list[tuple[Any, ...]]] = {}
    for row in everything():
        found.setdefault(row[0], []).append(row[1:])
    assert found[shop.merchant_id] == found[other.merchant_id]
    assert all(row[1].minute == 0 for row in found[shop.merchant_id])
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes") == [(0,)]
    clock.move(fold.FORGET_AFTER)
    fold_counters(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM ledger_hours") == [(0,)]


def test_real_events_keep_all_invariants_whatever_comes_late(
    runtime: Runtime, shop: Merchant, clock: FrozenClock, worker: int
) -> None:
    for n in range(5):
        ingest_events(runtime, shop.holder, [draft(f"order_{n}"), draft(f"nobody_{n}", user_data={})])
        if n != 2:
            deliver_due(runtime, worker, shop.merchant_id, "meta")
        clock.move(17 * MINUTE)
    clock.move(2 * HOUR)
    window = timedelta(days=7)

    def found() -> Any:
        with in_transaction():
            late = standing.longest_waiting(shop.merchant_id, PLATFORMS, window, clock.now())
            filtered = page_of_events(shop.merchant_id, EventSearch(filtered_at="meta"), 50)
        return {key: sorted(value) for key, value in late.items()}, filtered

    kinds = [one.kind for one in check_invariants(clock.now())]
    before = found()
    assert len(before[0]["tiktok"]) == 10
    fold_counters(runtime)
    assert found() == before
    assert [one.kind for one in check_invariants(clock.now())] == kinds
    deliver_due(runtime, worker, shop.merchant_id, "tiktok")
    deliver_due(runtime, worker, shop.merchant_id, "meta")
    assert check_invariants(clock.now()) == []
    clock.move(HOUR)
    fold_counters(runtime)
    assert check_invariants(clock.now()) == []
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 10
    clock.move(HOUR)
    fold_counters(runtime)
    fold_counters(runtime)
    assert check_invariants(clock.now()) == []


def test_nothing_is_packed_while_a_process_lives_that_reads_minutes_alone(
    runtime: Runtime, shop: Merchant, clock: FrozenClock
) -> None:
    def packed() -> int:
        fold_counters(runtime)
        with in_transaction():
            ((count,),) = rows("SELECT count(*) FROM ledger_hours WHERE parts IS NOT NULL")
        return int(count)

    count_some(shop.merchant_id, random.Random(1), 20, 5 * HOUR, NOW - 2 * HOUR)
    with in_transaction():
        heartbeats.beat("new", ["worker"], "a", "1", {})
        execute(
            "INSERT INTO heartbeats VALUES ('old', 'api', 'a', '1', now(), now() - interval '9 minutes', NULL, '{}')"
        )
    assert packed() == 0
    with in_transaction():
        execute("UPDATE heartbeats SET beat_at = now() - interval '11 minutes' WHERE instance = 'old'")
    assert packed() > 0


class KilledError(Exception):
    """What a process was doing is undone by the database."""


def test_what_is_undone_in_the_middle_is_packed_the_next_time(runtime: Runtime, shop: Merchant) -> None:
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', at, 0, 1 "
            "FROM generate_series(%s, %s, interval '7 minutes') AS at",
            (shop.merchant_id, NOW - 5 * HOUR, NOW - HOUR - MINUTE),
        )
    before = everything()

    def pack_and_die() -> None:
        with in_transaction():
            assert lock_folding()
            assert packing.pack(Place(NOW), 3, EVERYBODY)[0] == 3
            assert rows(ALL) == before
            raise KilledError

    for _ in range(2):
        with pytest.raises(KilledError):
            pack_and_die()
        assert everything() == before
    fold_counters(runtime)
    assert everything() == before


def fold_at_once(runtime: Runtime) -> None:
    """Four processes do, each as it comes to it."""
    folders = [threading.Thread(target=fold_counters, args=(runtime,)) for _ in range(4)]
    for thread in folders:
        thread.start()
    for thread in folders:
        thread.join()


def test_many_who_fold_at_once_lose_and_double_nothing(runtime: Runtime, shop: Merchant) -> None:
    dice = random.Random(5)
    count_some(shop.merchant_id, dice, 300, timedelta(days=3), NOW - 2 * HOUR)
    before = everything()
    fold_at_once(runtime)
    fold_counters(runtime)
    assert everything() == before
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes") == [(0,)]


def test_a_row_that_somebody_holds_is_packed_when_it_is_let_go(runtime: Runtime, shop: Merchant, database: str) -> None:
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', at, 0, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS at",
            (shop.merchant_id, NOW - 2 * HOUR, NOW - HOUR - MINUTE),
        )
    before = everything()
    with other_session(database) as holder:
        with holder.cursor() as cursor:
            cursor.execute("SELECT FROM minutes WHERE minute = %s FOR UPDATE", (NOW - 2 * HOUR,))
        fold_counters(runtime)
        assert everything() == before
        with in_transaction():
            assert rows("SELECT count(*) FROM minutes") == [(1,)]
            assert rows("SELECT loose FROM ledger_hours") == [(True,)]
    fold_counters(runtime)
    assert everything() == before
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes") == [(0,)]
        assert rows("SELECT loose FROM ledger_hours") == [(False,)]


def test_a_small_merchant_costs_a_row_an_hour_and_destination(
    runtime: Runtime, shop: Merchant, clock: FrozenClock
) -> None:
    """A day of one event a minute, delivered at once to two destinations."""
    since = NOW - DAY - HOUR
    sent = "routed = 1, delivered = 1, acknowledged = 1, finished = 1, latency = '{0,0,1}'"
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, platform, at, 7, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS at, unnest(%s) AS platform",
            (shop.merchant_id, since, since + DAY - MINUTE, ["", *PLATFORMS]),
        )
        execute(f"UPDATE minutes SET {sent} WHERE platform <> ''")
    fold_all(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes") == [(0,)]
        assert rows("SELECT count(*), sum(cardinality(parts)) FROM ledger_hours") == [(3 * 24, 3 * 24 * 60)]
        assert rows("SELECT count(*), sum(accepted) FROM counted") == [(3 * 24 * 60, 3 * 24 * 60)]
        ((most,),) = rows("SELECT max(pg_column_size(h.*)) FROM ledger_hours h")
    assert most < 2000  # bytes, and so no row has a part elsewhere


def test_a_round_reads_what_is_to_be_packed_and_no_more(runtime: Runtime, shop: Merchant, clock: FrozenClock) -> None:
    """However much lies packed, and however many minutes of the present hour there are."""
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT m, '', at, 0, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS at, generate_series(1, 20) AS m",
            (NOW - 8 * HOUR, NOW - MINUTE),
        )
    assert fold_counters(runtime) == 7 * 20
    with in_transaction():
        execute("ANALYZE")
    assert cost_of(lambda: fold_counters(runtime)).did == 0
    count_some(1, random.Random(1), 1, HOUR, NOW - 3 * HOUR)
    fold_counters(runtime)
    params: Any = {"hour": NOW - HOUR, "merchant": 0, "platform": "", "limit": 100, "only": None, "without": []}
    assert sum(rows_read(packing.PACK, params, ("minutes", "ledger_hours")).values()) <= 30


def test_one_late_count_does_not_unpack_its_hour(runtime: Runtime, shop: Merchant) -> None:
    def count(minutes: timedelta) -> None:
        with in_transaction():
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
                "SELECT %s, '', %s + i * interval '1 hour' + n * interval '1 minute', 0, 1 "
                "FROM generate_series(0, 9) AS i, generate_series(0, %s) AS n",
                (shop.merchant_id, NOW - 20 * HOUR, minutes // MINUTE - 1),
            )

    count(HOUR)
    fold_all(runtime)
    count(MINUTE)
    params: Any = {"hour": NOW, "merchant": 0, "platform": "", "limit": 100, "only": None, "without": []}
    with in_transaction():
        (plan,) = rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {packing.PACK}", params)[0]
    unpacked, todo = 0, [plan[0]["Plan"]]
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        unpacked += node["Actual Rows"] * node["Actual Loops"] if node["Node Type"] == "Function Scan" else 0
    assert unpacked == 0
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes") == [(0,)]


def test_however_much_comes_late_an_hour_keeps_few_parts(runtime: Runtime, shop: Merchant) -> None:
    most = 0
    for n in range(50):
        with in_transaction():
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, drop_reasons, latency) "
                "SELECT %s, '', %s + i * interval '1 minute', 0, 1, '{\"expired\": 1}', '{0,1}' FROM generate_series(0, %s) AS i",
                (shop.merchant_id, NOW - 3 * HOUR, 59 if n == 0 else 3),
            )
        before = everything()
        pack_some(10)
        assert everything() == before
        with in_transaction():
            ((parts,),) = rows("SELECT cardinality(parts) FROM ledger_hours")
        most = max(most, parts)
    assert 60 < most <= packing.MOST_PARTS
    assert len(before) == 60


def test_what_a_clock_that_was_ahead_counted_is_the_last_of_nothing(
    runtime: Runtime, shop: Merchant, clock: FrozenClock
) -> None:
    key, since = (shop.merchant_id, "meta"), NOW - DAY
    asked: Any = {"merchant": shop.merchant_id, "platform": "meta", "oldest": since, "now": NOW}

    def count(*instants: datetime) -> None:
        with in_transaction():
            for platform in ("", "meta"):
                execute(
                    "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, rejected, routed, acknowledged, refused) "
                    "SELECT %s, %s, at, 1, 1, 1, 1, 1, 1 FROM unnest(%s::timestamptz[]) AS at",
                    (shop.merchant_id, platform, [*instants]),
                )
            for table, facts in (("name_minutes", ""), ("coverage", "'website', '', 0, 0, ")):
                execute(
                    f"INSERT INTO {table} SELECT %s, 'Lead', at, {facts} 1 FROM unnest(%s::timestamptz[]) AS at",
                    (shop.merchant_id, [*instants]),
                )

    def read() -> list[Any]:
        with in_transaction():
            return [
                monitors.last_events([shop.merchant_id], since, NOW)[0][2],
                monitors.last_rejected(shop.merchant_id, since, NOW),
                rows(answers.LAST_ANSWERED, asked)[0][:2],
                standing.lately(shop.merchant_id, ["meta"], since, NOW),
                monitors.recent_minutes([shop.merchant_id], since, NOW),
                monitors.runs([key], since, NOW, NOW),
                [one.minute for one in names.quiet_names([shop.merchant_id], [], since, NOW)[0]],
            ]

    with in_transaction():
        execute("UPDATE baselines SET learned = '{}' WHERE merchant_id = %s", (shop.merchant_id,))
        execute("INSERT INTO name_baselines VALUES (%s, 'Lead', %s, '{}', 5, NULL)", (shop.merchant_id, NOW))
    last = (NOW - 2 * HOUR).replace(second=0, microsecond=0)
    count(last)
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, refused) VALUES (%s, 'meta', %s, 1, 3)",
            (shop.merchant_id, last + HOUR),
        )
    before = read()
    assert before[:2] == [last, last]
    count(NOW + 10 * MINUTE, NOW + 3 * HOUR, NOW + 3 * DAY)
    assert read() == before
    clock.move(4 * DAY)
    fold_all(runtime)
    assert read() == before


def test_a_stretch_of_minutes_reads_its_own_hours(runtime: Runtime, shop: Merchant) -> None:
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', at, 0, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS at",
            (shop.merchant_id, NOW - 20 * DAY, NOW - 2 * HOUR),
        )
    fold_all(runtime)
    with in_transaction():
        execute("ANALYZE")
    params: Any = {"merchants": [shop.merchant_id], "since": NOW - 3 * DAY, "until": NOW - 3 * DAY + 90 * MINUTE}
    read = rows_read(names.ACCEPTED, params, ("minutes", "ledger_hours"))
    assert sum(read.values()) <= 3, read
    since = {"merchants": [shop.merchant_id], "since": NOW - 20 * DAY, "now": NOW}
    read = rows_read(monitors.LAST_EVENTS, since, ("minutes", "ledger_hours"))
    assert sum(read.values()) <= 5, read


def test_whether_something_was_counted_in_time_to_come_is_known_without_reading_what_was_counted(
    runtime: Runtime, shop: Merchant
) -> None:
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, routed) SELECT %s, platform, at, 0, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS at, unnest(%s) AS platform",
            (shop.merchant_id, NOW - 10 * DAY, NOW - MINUTE, [*PLATFORMS]),
        )
    fold_all(runtime)
    with in_transaction():
        execute("ANALYZE")
    page: Any = {
        "merchants": [shop.merchant_id] * 2,
        "platforms": [*PLATFORMS],
        "first": NOW,
        "retry": NOW,
        "limit": 10,
    }
    read = rows_read(counters.LAST_AHEAD, {"merchant": shop.merchant_id, "now": NOW}, ("minutes", "ledger_hours"))
    assert sum(read.values()) <= 2, read
    read = rows_read(ahead.DELIVERIES, page | {"now": NOW}, ("minutes", "ledger_hours"))
    assert sum(read.values()) <= 2, read


def test_of_several_that_are_asked_for_at_once_each_reads_its_own_hours(runtime: Runtime, shop: Merchant) -> None:
    """However many hours of other merchants and of other times are packed."""
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, filtered) SELECT m, platform, at, 0, 1, 1 "
            "FROM generate_series(%s, %s, interval '1 hour') AS at, generate_series(1, 20) AS m, unnest(%s) AS platform",
            (NOW - 4 * DAY, NOW - 2 * HOUR, ["", "meta"]),
        )
    fold_all(runtime)
    with in_transaction():
        execute("ANALYZE")
    tables = ("minutes", "ledger_hours")
    params: Any = {"merchants": [shop.merchant_id, 7, 9], "since": NOW - 3 * HOUR, "until": NOW}
    read = rows_read(names.ACCEPTED, params, tables)
    assert sum(read.values()) == 3 * 2, read
    starts = [NOW - 3 * DAY, NOW - 3 * HOUR]
    params = {"merchant": shop.merchant_id, "platform": "meta", "since": starts, "until": [at + HOUR for at in starts]}
    read = rows_read(counters.FILTERED, params, tables)
    assert sum(read.values()) == 2, read
    params = {"after": 0, "last": 20, "old": 2 * MINUTE, "steps": 100}
    for table in tables:
        ((_, condition),) = all_scans(heartbeats._STALLED, params, [table])
        assert "merchant_id" in condition, (table, condition)


def test_every_process_says_in_its_heartbeat_that_it_reads_what_is_packed(database: str) -> None:
    with in_transaction():
        heartbeats.beat("new", ["worker", "api"], "a", "1", {"closed": 1})
        found = rows("SELECT says::text FROM heartbeats")
        assert heartbeats.all_say(heartbeats.READS_COUNTED)
        assert heartbeats.all_say(heartbeats.READS_LISTS)
    assert [orjson.loads(row[0]) for row in found] == [
        {"closed": 1, heartbeats.READS_COUNTED: True, heartbeats.READS_LISTS: True}
    ] * 2


def test_the_migration_may_be_done_again_while_much_is_packed(runtime: Runtime, shop: Merchant, database: str) -> None:
    count_some(shop.merchant_id, random.Random(9), 60, 5 * HOUR, NOW - MINUTE)
    fold_counters(runtime)
    before = everything()
    with session():
        MIGRATION.up(None, connection.database)
    assert everything() == before
    count_some(shop.merchant_id, random.Random(10), 20, 5 * HOUR, NOW - MINUTE)
    before = everything()
    fold_counters(runtime)
    assert everything() == before
