"""A house of many merchants: what goes over all of them costs what happens, and not how many there are."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.conftest import NOW
from tests.factories import Merchant, draft, new_merchant
from tracklayer.actors.monitor import Monitor
from tracklayer.cli.bench.merchants import cost_of
from tracklayer.clock import FrozenClock
from tracklayer.db import looks
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.monitors.learn import Rhythm
from tracklayer.domain.monitors.spans import Memory
from tracklayer.domain.monitors.tracking_stopped import told_at_the_earliest
from tracklayer.runtime import Runtime
from tracklayer.services import fold, monitor
from tracklayer.services.deliver import deliver_due
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.monitor import Watch, learn_baselines
from tracklayer.services.privacy import purge_expired
from tracklayer.services.watches.memory import Remembered

MINUTE = timedelta(minutes=1)


def concerned(now: datetime) -> looks.Concerned:
    with in_transaction():
        return looks.concerned(now)


def idle_merchants(count: int) -> list[int]:
    """Ids of merchants with a destination, of whom nothing ever came."""
    with in_transaction():
        found = rows(
            "INSERT INTO merchants (name, created_at) SELECT 'idle', %s FROM generate_series(1, %s) RETURNING merchant_id",
            (NOW, count),
        )
        ids = [row[0] for row in found]
        execute(
            "INSERT INTO destinations (merchant_id, platform, settings, secrets, created_at) "
            "SELECT merchant_id, 'meta', '{}', '', %s FROM unnest(%s::bigint[]) AS x(merchant_id)",
            (NOW, ids),
        )
    return ids


def hold(merchant_ids: list[int]) -> None:
    """Their destinations refuse the credentials: the next look opens an alert about each."""
    with in_transaction():
        execute(
            "UPDATE destinations SET state = 'held', state_reason = 'credentials_refused', failing_since = %s, "
            "resume_at = %s WHERE merchant_id = ANY(%s)",
            (NOW - timedelta(minutes=10), NOW + timedelta(hours=1), merchant_ids),
        )


def open_alerts() -> list[tuple[int, str]]:
    with in_transaction():
        return [
            (row[0], row[1])
            for row in rows("SELECT merchant_id, kind FROM alerts WHERE resolved_at IS NULL ORDER BY 1")
        ]


# Whom a look is at ---------------------------------------------------------------------------------------------------


def test_a_merchant_is_looked_at_until_its_counters_have_not_changed_for_an_hour(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    assert concerned(clock.now()).merchants == set()
    ingest_events(runtime, merchant.holder, [draft()])
    assert concerned(clock.now()).merchants == {merchant.merchant_id}
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    for _ in range(66):
        assert concerned(clock.now()).merchants == {merchant.merchant_id}
        clock.move(MINUTE)
        fold_counters(runtime)
    clock.move(5 * MINUTE)
    assert concerned(clock.now()).merchants == set()


def test_whoever_waits_fails_or_is_told_of_is_looked_at_however_long_ago_anything_came(
    runtime: Runtime, clock: FrozenClock
) -> None:
    waiting = new_merchant(runtime)
    ingest_events(runtime, waiting.holder, [draft()])
    failing, told, silent, advised, _ = idle_merchants(5)
    hold([failing])
    with in_transaction():
        for merchant_id, kind in ((told, "value_lost"), (silent, "tracking_stopped")):
            execute(
                "INSERT INTO alerts (merchant_id, kind, severity, title, message, opened_at, last_seen_at) "
                "VALUES (%s, %s, 'warning', '', '', %s, %s)",
                (merchant_id, kind, NOW, NOW),
            )
        execute(
            "INSERT INTO advice (merchant_id, platform, code, event_name, sentence, next_step, count, since, last_seen_at, "
            "details) VALUES (%s, '', 'events_late', '', '', '', 1, %s, %s, '{}')",
            (advised, NOW, NOW),
        )
    clock.move(timedelta(hours=12))
    fold_counters(runtime)
    found = concerned(clock.now())
    assert found.merchants == {waiting.merchant_id, failing, told, advised}
    assert found.silent == {silent}


def test_a_look_costs_no_more_for_the_merchants_of_whom_nothing_changes(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MERCHANTS", 4)
    monkeypatch.setattr(monitor, "ROTATED", 2)
    hold(idle_merchants(3))
    watch = Watch(runtime)
    assert watch.look() == 3
    idle_merchants(5)
    watch.look()
    few = cost_of(watch.look)
    idle_merchants(60)
    many = cost_of(watch.look)
    assert many.statements == few.statements


def test_those_of_whom_nothing_changes_are_looked_at_in_turn(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no look finds by itself: counters from before there were looks, say."""
    monkeypatch.setattr(monitor, "ROTATED", 2)
    ids = idle_merchants(5)
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, refused, unmappable) "
            "SELECT merchant_id, 'meta', %s, 0, 90, 0 FROM unnest(%s::bigint[]) AS x(merchant_id)",
            (NOW.replace(second=0) - 5 * MINUTE, ids),
        )
    watch = Watch(runtime)
    assert [watch.look() for _ in range(4)] == [2, 2, 1, 0]
    assert open_alerts() == [(merchant_id, "platform_down") for merchant_id in ids]


# Silence -------------------------------------------------------------------------------------------------------------


@dataclass
class Shop:
    """Sends an event each five minutes, as it has for two weeks, and nothing else happens in the house."""

    runtime: Runtime
    clock: FrozenClock
    merchant: Merchant

    def learns(self) -> None:
        now = self.clock.now()
        with in_transaction():
            execute(
                "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', minute, 0, 1 "
                "FROM generate_series(%s, %s, interval '5 minutes') AS minute",
                (self.merchant.merchant_id, now - timedelta(days=14), now - 5 * MINUTE),
            )
        learn_baselines(self.runtime)

    def falls_silent(self, watch: Watch) -> timedelta:
        """After how long it is told, with a look each 15 seconds."""
        last = self.clock.now()
        while not open_alerts():
            self.clock.move(timedelta(seconds=15))
            watch.look()
            assert self.clock.now() - last < timedelta(hours=3)
        return self.clock.now() - last


@pytest.mark.parametrize("rotated", [1, 100])
def test_a_silence_is_told_as_soon_as_if_everybody_were_looked_at_each_time(
    runtime: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, rotated: int
) -> None:
    monkeypatch.setattr(monitor, "ROTATED", rotated)
    shop = Shop(runtime, clock, new_merchant(runtime, meta=False))
    idle_merchants(30)
    shop.learns()
    watch = Watch(runtime)
    assert concerned(clock.now()).silent == {shop.merchant.merchant_id}
    for _ in range(8):  # its own looks, and those of the others
        watch.look()
    assert concerned(clock.now()).silent == set()
    assert shop.falls_silent(watch) == timedelta(minutes=48)
    [(at,)] = _silence_at()
    assert at <= clock.now()


def _silence_at() -> list[tuple[datetime]]:
    with in_transaction():
        return rows("SELECT silence_at FROM looks WHERE silence_at IS NOT NULL")


def test_learning_anew_makes_the_next_look_judge_its_silence(
    runtime: Runtime, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has sent nothing since is learned anew once a day."""
    shop = Shop(runtime, clock, new_merchant(runtime, meta=False))
    shop.learns()
    watch = Watch(runtime)
    watch.look()
    assert concerned(clock.now()).silent == set()
    clock.move(timedelta(hours=7))
    with in_transaction():
        execute("UPDATE looks SET silence_at = %s", (clock.now() + timedelta(hours=6),))
    assert learn_baselines(runtime) == 0  # nothing came since
    ingest_events(runtime, shop.merchant.holder, [draft(occurred_at=clock.now().isoformat())])
    clock.move(timedelta(minutes=11))
    fold_counters(runtime)
    assert learn_baselines(runtime) == 1
    assert concerned(clock.now()).silent == {shop.merchant.merchant_id}
    learned = []
    for _ in range(6):
        clock.move(timedelta(hours=7))
        learned.append(learn_baselines(runtime))
    assert learned == [1, 0, 0, 0, 1, 0]  # what came shortly before the first one counts as since


@pytest.mark.parametrize("hour", [0, 5, 12])
def test_no_silence_is_told_before_the_instant_that_is_told_at_the_earliest(hour: int) -> None:
    rates = tuple(3.0 if place % 24 in (8, 9, 20) else 0.25 for place in range(168))
    rhythm, now = Rhythm(rates), NOW.replace(hour=hour)
    for silent in (timedelta(minutes=3), timedelta(hours=2), timedelta(hours=9)):
        last = now - silent
        at = told_at_the_earliest(rhythm, last, now, timedelta(days=3))
        assert now <= at < now + timedelta(days=3)
        need = 1.5 * rhythm.usual
        assert rhythm.expected(last, at) == pytest.approx(need) or (at == now and rhythm.expected(last, at) > need)
    assert told_at_the_earliest(rhythm, now, now, timedelta(minutes=5)) == now + timedelta(minutes=5)
    busy = Rhythm((60.0,) * 168)
    assert told_at_the_earliest(busy, now, now, timedelta(hours=6)) == now + timedelta(minutes=15)


# Several processes ---------------------------------------------------------------------------------------------------


def test_a_look_is_shared_out_and_each_merchant_is_looked_at_once(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MERCHANTS", 2)
    ids = idle_merchants(21)
    hold(ids)
    looked: list[int] = []
    found: list[int] = []
    helpers: list[threading.Thread] = []

    def help_out(watch: Watch) -> None:
        found.append(watch.join())

    def call(pages: int) -> None:
        assert pages == 10
        helpers.extend(threading.Thread(target=help_out, args=(Watch(runtime),)) for _ in range(2))
        for helper in helpers:
            helper.start()

    def note(self: Watch, page: looks.LookPage, own: Callable[..., int] = Watch._look_at_page) -> int:
        looked.extend(page.merchant_ids)
        return own(self, page)

    monkeypatch.setattr(Watch, "_look_at_page", note)
    found.append(Watch(runtime, call).look())
    for helper in helpers:
        helper.join()
    assert sum(found) == 21
    assert Counter(looked) == Counter(ids)
    assert open_alerts() == [(merchant_id, "platform_down") for merchant_id in ids]
    assert Watch(runtime).join() == 0


def test_a_look_that_nobody_can_be_called_to_is_one_processs_alone(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MERCHANTS", 2)
    ids = idle_merchants(5)
    hold(ids)
    told: list[int] = []

    def call() -> None:
        raise ConnectionError("the broker is away")

    Monitor(runtime, lambda: told.append(1), call)()
    assert told == [1]
    assert open_alerts() == [(merchant_id, "platform_down") for merchant_id in ids]


def test_what_a_look_did_not_come_to_is_the_next_ones_first(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MERCHANTS", 2)
    ids = idle_merchants(6)
    hold(ids)
    monkeypatch.setattr(monitor, "LOOK", timedelta(0))
    assert Watch(runtime).look() == 0
    with in_transaction():
        assert looks.take_page([]) == looks.LookPage(0, ids[:2], ids[:2])  # by a process that dies here
        assert looks.take_page([2]) == looks.LookPage(2, ids[4:], ids[4:])
    monkeypatch.setattr(monitor, "LOOK", timedelta(minutes=1))
    assert Watch(runtime, lambda pages: _check_first(ids[2:4])).look() == 6
    assert open_alerts() == [(merchant_id, "platform_down") for merchant_id in ids]


def _check_first(merchant_ids: list[int]) -> None:
    with in_transaction():
        assert rows("SELECT merchant_ids FROM look_pages WHERE place = 0") == [(merchant_ids,)]


# Memory --------------------------------------------------------------------------------------------------------------


def test_a_process_remembers_a_bounded_number_of_merchants() -> None:
    seen: Remembered[int, int] = Remembered(3)
    for n in (1, 2, 3, 1, 4):
        seen.note(n, n)
    assert list(seen) == [3, 1, 4]


def test_cuts_of_destinations_that_are_looked_at_no_more_are_forgotten() -> None:
    memory, now = Memory(), NOW + timedelta(seconds=20)
    counts = (1,) * 12
    for merchant_id in range(100):
        memory.note(merchant_id, "meta", [(NOW, counts)], now)
    assert len(memory) == 100
    later = now + 3 * MINUTE
    memory.note(0, "meta", [(NOW + 3 * MINUTE, counts)], later)
    assert len(memory) == 1
    assert memory.cuts(0, "meta") == [(later, counts)]


# Purge and folding ---------------------------------------------------------------------------------------------------


def test_a_purge_costs_no_more_for_the_merchants_of_whom_nothing_is_old(runtime: Runtime, clock: FrozenClock) -> None:
    merchant = new_merchant(runtime)
    clock.move(timedelta(days=10))
    for n in range(9):
        ingest_events(runtime, new_merchant(runtime).holder, [draft(f"order_{n}", occurred_at=clock.now().isoformat())])
    few = cost_of(lambda: purge_expired(runtime))
    for n in range(20):
        ingest_events(runtime, new_merchant(runtime).holder, [draft(f"order_{n}", occurred_at=clock.now().isoformat())])
    ingest_events(runtime, merchant.holder, [draft(occurred_at=clock.now().isoformat())])
    many = cost_of(lambda: purge_expired(runtime))
    assert (many.statements, many.did) == (few.statements, 0)
    clock.move(timedelta(days=91))
    assert purge_expired(runtime) == 30


def test_no_step_of_the_folding_waits_for_the_backlog_of_another(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "BUDGET_SECONDS", 0)
    now = clock.now()
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', minute, 1, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS minute",
            (merchant.merchant_id, now - timedelta(days=3), now - timedelta(days=1)),
        )
        execute(
            "INSERT INTO name_minutes (merchant_id, event_name, minute, events) VALUES (%s, 'Purchase', %s, 1)",
            (merchant.merchant_id, now - timedelta(days=40)),
        )
    assert fold_counters(runtime) == fold.PAGE // 8 + 5 + 2  # minutes, the hours that they are of, a name, and its list
    with in_transaction():
        assert rows("SELECT (SELECT count(*) FROM name_minutes), (SELECT count(*) FROM name_days)") == [(0, 0)]
    monkeypatch.setattr(fold, "BUDGET_SECONDS", 60)
    fold_counters(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM minutes WHERE slot <> 0") == [(0,)]


def test_minutes_become_hours_once_an_hour_and_are_not_read_again_each_minute(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    def minutes() -> list[tuple[int, int]]:
        with in_transaction():
            return rows("SELECT count(*)::int, sum(accepted)::int FROM counted")

    old = clock.now() - timedelta(days=35, hours=2)
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) SELECT %s, '', minute, 0, 1 "
            "FROM generate_series(%s, %s, interval '1 minute') AS minute",
            (merchant.merchant_id, old, old + timedelta(hours=4) - MINUTE),
        )
    first = cost_of(lambda: fold_counters(runtime))
    assert (first.did, minutes()) == (2 * 59 + 4, [(2 + 120, 240)])
    clock.move(MINUTE)
    again = cost_of(lambda: fold_counters(runtime))
    assert (again.did, again.statements) == (
        0,
        first.statements - 5 * 6,
    )  # of the transactions that look for them, and for lists
    clock.move(timedelta(hours=1))
    fold_counters(runtime)
    assert minutes() == [(3 + 60, 240)]
