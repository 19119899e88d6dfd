"""Small shops that fall silent for good, over real counters, with what is usual learned anew all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from random import Random

import pytest

from tests.factories import INGEST, Api, Merchant, camel, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.learn import USUAL_AT_LEAST
from tracklayer.domain.monitors.tracking_stopped import TIMES_USUAL, TIMES_USUAL_OF_A_NAME
from tracklayer.runtime import Runtime
from tracklayer.services.monitor import Watch, learn_baselines
from tracklayer.services.sweep import sweep
from tracklayer.services.turned_away import write_turned_away

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LOOK = timedelta(hours=6)  # from one to the next; as often is learned
A_DAY = (2, 3, 4, 5, 6, 60)
CHANCE = 1.5  # what chance makes of four weeks of a shop that sells twice a day

Alert = tuple[str | None, datetime, datetime | None, int]  # event name, opened, resolved, how many are missing


def evenly(a_day: float, since: datetime, until: datetime, seed: int) -> list[datetime]:
    """Sales that know nothing of one another, at any hour alike: their minutes, in order."""
    random, at, found = Random(seed), since, []
    while (at := at + DAY * random.expovariate(a_day)) < until:
        found.append(at.replace(second=0, microsecond=0))
    return found


def arrived(merchant_id: int, minutes: Iterable[datetime], name: str | None = None) -> None:
    """Counters of minutes with one event each, with their name where it is one of several."""
    given = sorted(set(minutes))
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, accepted) "
            "SELECT %s, '', minute, 1, 1 FROM unnest(%s::timestamptz[]) AS minute "
            "ON CONFLICT (merchant_id, platform, minute, slot) DO UPDATE SET accepted = minutes.accepted + 1",
            (merchant_id, given),
        )
        if name is not None:
            named = "minute FROM unnest(%s::timestamptz[]) AS minute"
            execute(
                f"INSERT INTO name_minutes SELECT %s, %s, minute, 1 FROM (SELECT {named}) AS given",
                (merchant_id, name, given),
            )
            execute(
                f"INSERT INTO coverage SELECT %s, %s, minute, 'website', '', 0, 0, 1 FROM (SELECT {named}) AS given",
                (merchant_id, name, given),
            )


def alerts(merchant_id: int) -> list[Alert]:
    with in_transaction():
        return [
            (row[0], row[1], row[2], row[3])
            for row in rows(
                "SELECT event_name, opened_at, resolved_at, (details ->> 'expected_events')::int FROM alerts "
                "WHERE merchant_id = %s AND kind = 'tracking_stopped' ORDER BY alert_id",
                (merchant_id,),
            )
        ]


def openings_and_ends(merchant_id: int) -> list[str]:
    with in_transaction():
        return [
            row[0]
            for row in rows("SELECT state FROM alert_changes WHERE merchant_id = %s ORDER BY change_id", (merchant_id,))
        ]


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(hours=12), 3 * DAY])
def test_a_silence_is_told_though_an_event_was_counted_by_a_clock_that_was_ahead(
    runtime: Runtime, clock: FrozenClock, ahead: timedelta
) -> None:
    now, hour = clock.now(), timedelta(hours=1)
    shop = new_merchant(runtime, meta=False).merchant_id
    arrived(shop, evenly(60, now - 30 * DAY, now, 60))
    watch = Watch(runtime)
    learn_baselines(runtime)
    watch.look()
    sweep(runtime)
    clock.move(ahead)
    arrived(shop, [clock.now() - MINUTE])
    watch.look()
    clock.move(2 * MINUTE - ahead)
    for _ in range(5):
        clock.move(hour)
        sweep(runtime)
        learn_baselines(runtime)
        watch.look()
    assert len(alerts(shop)) == 1


def is_about(found: int, a_day: float, silence: timedelta) -> bool:
    usual = a_day * (silence / DAY)
    return usual * 2 / 3 <= found <= usual * 4 / 3


def told_within(a_day: float, times: float) -> timedelta:
    """One and a half (of a name: two) of the longest usual gaps between evenly random sales, that of one in a thousand."""
    return DAY * (times * USUAL_AT_LEAST / a_day) * CHANCE


def pass_time(
    watch: Watch,
    clock: FrozenClock,
    merchant_id: int,
    span: timedelta,
    *names: str,
    after: Callable[[], object] = lambda: None,
) -> None:
    """So long, with an event of each of these names an hour. ``after``: each look."""
    for _ in range(span // LOOK):
        clock.move(LOOK)
        for name in names:
            arrived(merchant_id, [clock.now() - hours * LOOK / 6 - MINUTE for hours in range(6)], name)
        watch.look()
        after()


def test_a_small_shop_that_falls_silent_for_good_is_told_once_and_stays_told(
    runtime: Runtime, clock: FrozenClock
) -> None:
    now = clock.now()
    shops = {a_day: new_merchant(runtime, meta=False).merchant_id for a_day in A_DAY}
    last = {}
    for a_day, merchant_id in shops.items():
        sales = evenly(a_day, now - 30 * DAY, now, a_day)
        last[a_day] = sales[-1] + MINUTE
        arrived(merchant_id, sales)
    watch = Watch(runtime)
    for _ in range(40 * 4):
        learn_baselines(runtime)
        watch.look()
        if clock.now() == now + 21 * DAY:
            for a_day, merchant_id in shops.items():
                [(_, opened, resolved, missing)] = alerts(merchant_id)
                assert resolved is None, a_day
                assert opened - last[a_day] <= told_within(a_day, TIMES_USUAL) + 2 * LOOK, a_day
                assert is_about(missing, a_day, clock.now() - last[a_day]), (a_day, missing)
        clock.move(LOOK)
    for merchant_id in shops.values():
        assert openings_and_ends(merchant_id) == ["open"]
        arrived(merchant_id, [clock.now() - MINUTE])
    for _ in range(20):
        clock.move(timedelta(seconds=15))
        watch.look()
    for merchant_id in shops.values():
        assert openings_and_ends(merchant_id) == ["open", "resolved"]


def test_a_small_shop_that_goes_on_is_told_of_nothing(runtime: Runtime, clock: FrozenClock) -> None:
    now = clock.now()
    shops = {a_day: new_merchant(runtime, meta=False).merchant_id for a_day in A_DAY}
    sales = {a_day: evenly(a_day, now - 30 * DAY, now + 30 * DAY, 100 + a_day) for a_day in A_DAY}
    watch = Watch(runtime)
    before = now - 31 * DAY
    for _ in range(30 * 4):
        for a_day, merchant_id in shops.items():
            arrived(merchant_id, [minute for minute in sales[a_day] if before <= minute < clock.now()])
        before = clock.now()
        learn_baselines(runtime)
        watch.look()
        clock.move(LOOK)
    assert [alerts(merchant_id) for merchant_id in shops.values()] == [[]] * len(shops)


def test_a_rare_name_that_falls_silent_for_good_is_told_once_and_over_with_its_next_event_alone(
    runtime: Runtime, clock: FrozenClock
) -> None:
    now = clock.now()
    merchant_id = new_merchant(runtime, meta=False).merchant_id
    pages = evenly(48, now - 30 * DAY, now + 45 * DAY, 1)
    sales = evenly(3, now - 30 * DAY, now, 2)
    arrived(merchant_id, sales, "Purchase")
    arrived(merchant_id, [minute for minute in pages if minute < now], "PageView")
    watch = Watch(runtime)
    for _ in range(40 * 4):
        learn_baselines(runtime)
        watch.look()
        clock.move(LOOK)
        arrived(merchant_id, [at for at in pages if clock.now() - LOOK <= at < clock.now()], "PageView")
    [(name, opened, resolved, missing)] = alerts(merchant_id)
    last = sales[-1] + MINUTE
    assert (name, resolved) == ("Purchase", None)
    assert opened - last <= told_within(3, TIMES_USUAL_OF_A_NAME) + 2 * LOOK
    assert is_about(missing, 3, clock.now() - last), missing
    assert openings_and_ends(merchant_id) == ["open"]
    arrived(merchant_id, [clock.now() - MINUTE], "Purchase")
    for _ in range(20):
        clock.move(timedelta(seconds=15))
        watch.look()
    assert openings_and_ends(merchant_id) == ["open", "resolved"]


def test_names_that_fall_silent_together_stay_told_while_the_whole_shop_is_silent_too_and_are_over_with_their_events(
    runtime: Runtime, clock: FrozenClock
) -> None:
    now = clock.now()
    merchant_id = new_merchant(runtime, meta=False).merchant_id
    together = [f"Step{n}" for n in range(4)]
    for name in together:
        arrived(merchant_id, evenly(12, now - 30 * DAY, now, 1), name)
    arrived(merchant_id, evenly(24, now - 30 * DAY, now, 2), "PageView")
    learn_baselines(runtime)
    watch = Watch(runtime)

    passes = partial(pass_time, watch, clock, merchant_id, after=lambda: learn_baselines(runtime))

    def states() -> dict[str | None, bool]:
        return {name: resolved is None for name, _, resolved, _ in alerts(merchant_id)}

    passes(3 * DAY, "PageView")
    assert states() == {OTHERS: True}
    passes(2 * DAY)
    assert states() == {OTHERS: True, None: True}
    passes(40 * DAY, "PageView")
    assert states() == {OTHERS: True, None: False}
    assert openings_and_ends(merchant_id) == ["open", "open", "resolved"]
    passes(2 * LOOK, "PageView", *together)
    assert states() == {OTHERS: False, None: False}
    assert openings_and_ends(merchant_id) == ["open", "open", "resolved", "resolved"]


def test_a_name_of_which_nothing_is_usual_any_more_stays_told_until_its_next_event(
    runtime: Runtime, clock: FrozenClock
) -> None:
    now = clock.now()
    merchant_id = new_merchant(runtime, meta=False).merchant_id
    arrived(merchant_id, evenly(12, now - 30 * DAY, now, 1), "Purchase")
    arrived(merchant_id, evenly(24, now - 30 * DAY, now, 2), "PageView")
    learn_baselines(runtime)
    watch = Watch(runtime)

    passes = partial(pass_time, watch, clock, merchant_id)

    passes(3 * DAY, "PageView")
    with in_transaction():
        execute("DELETE FROM name_baselines WHERE event_name = 'Purchase'")
    passes(DAY, "PageView")
    assert [(name, resolved) for name, _, resolved, _ in alerts(merchant_id)] == [("Purchase", None)]
    passes(2 * LOOK, "PageView", "Purchase")
    assert openings_and_ends(merchant_id) == ["open", "resolved"]


def beats(clock: FrozenClock, *, ago: timedelta) -> None:
    """An API process said so long ago that it lives, and none has since."""
    with in_transaction():
        execute(
            "INSERT INTO heartbeats (instance, role, host, version, started_at, beat_at, says) VALUES ('i', 'api', 'h', 'v', "
            "clock_timestamp() - %(ago)s, clock_timestamp() - %(ago)s, '{}') ON CONFLICT (instance, role) "
            "DO UPDATE SET beat_at = excluded.beat_at",
            {"ago": ago},  # type: ignore[arg-type]
        )


def was_away(since: datetime, until: datetime) -> None:
    with in_transaction():
        execute("INSERT INTO api_away VALUES (%s, %s)", (since, until))


def test_shops_are_not_told_of_a_silence_in_which_tracklayer_itself_was_away(
    runtime: Runtime, clock: FrozenClock
) -> None:
    began = clock.now()
    shops = [new_merchant(runtime, meta=False).merchant_id for _ in range(5)]
    for place, shop in enumerate(shops):
        arrived(shop, evenly(500, began - 30 * DAY, began, place))
    learn_baselines(runtime)
    watch = Watch(runtime)
    for minutes in range(0, 120, 10):  # the monitors alone live
        clock.move(10 * MINUTE)
        beats(clock, ago=timedelta(minutes=minutes + 10))
        watch.look()
    beats(clock, ago=timedelta())  # an API is back
    was_away(began, clock.now())
    back = clock.now()
    for _ in range(3):
        clock.move(5 * MINUTE)
        watch.look()
    for place, shop in enumerate(shops[1:]):
        arrived(shop, evenly(500, back, back + timedelta(hours=4), place))
    for _ in range(24):
        clock.move(10 * MINUTE)
        watch.look()
    # The one that really sends no more is told, by what is missing since.
    assert [len(alerts(shop)) for shop in shops] == [1, 0, 0, 0, 0]
    [(_, opened, _, missing)] = alerts(shops[0])
    assert back + timedelta(minutes=15) < opened
    assert missing < 500 / 24 * 4.5
    with in_transaction():
        [(message,)] = rows("SELECT message FROM alerts WHERE merchant_id = %s", (shops[0],))
    assert " TrackLayer itself could take nothing in for 2 h of that: what is missing is counted without it." in message


def test_a_silence_that_is_told_already_goes_on_while_tracklayer_is_away(runtime: Runtime, clock: FrozenClock) -> None:
    began = clock.now()
    shop = new_merchant(runtime, meta=False).merchant_id
    arrived(shop, evenly(500, began - 30 * DAY, began, 1))
    learn_baselines(runtime)
    watch = Watch(runtime)
    beats(clock, ago=timedelta())
    for _ in range(12):
        clock.move(10 * MINUTE)
        watch.look()
    assert openings_and_ends(shop) == ["open"]
    for minutes in range(5, 60, 5):
        clock.move(5 * MINUTE)
        beats(clock, ago=timedelta(minutes=minutes))
        watch.look()
    assert openings_and_ends(shop) == ["open"]
    arrived(shop, [clock.now()])
    for _ in range(4):
        clock.move(2 * MINUTE)
        watch.look()
    assert openings_and_ends(shop) == ["open", "resolved"]


def test_an_api_that_comes_and_goes_does_not_keep_a_silence_from_being_told(
    runtime: Runtime, clock: FrozenClock
) -> None:
    began = clock.now()
    shop = new_merchant(runtime, meta=False).merchant_id
    arrived(shop, evenly(500, began - 30 * DAY, began, 1))
    learn_baselines(runtime)
    watch = Watch(runtime)
    for _ in range(20):
        clock.move(12 * MINUTE)
        was_away(clock.now() - 3 * MINUTE, clock.now())
        beats(clock, ago=timedelta())
        watch.look()
        clock.move(8 * MINUTE)
        watch.look()
    assert len(alerts(shop)) == 1


def test_spans_in_which_tracklayer_was_away_make_no_silence_usual(runtime: Runtime, clock: FrozenClock) -> None:
    now = clock.now()
    spans = [(now - days * DAY, now - days * DAY + timedelta(hours=6)) for days in (9, 20)]
    minutes = [at for at in evenly(2000, now - 30 * DAY, now, 5) if not any(a <= at < b for a, b in spans)]
    shops = []
    for is_known in (False, True):
        shop = new_merchant(runtime, meta=False).merchant_id
        arrived(shop, minutes)
        for span in spans if is_known else ():
            was_away(*span)
        learn_baselines(runtime)
        with in_transaction():
            [(usual,)] = rows("SELECT (learned ->> 'usual')::float FROM baselines WHERE merchant_id = %s", (shop,))
        shops.append(usual)
    assert shops[0] > 100
    assert shops[1] < 2 * USUAL_AT_LEAST


def test_two_outages_that_were_told_do_not_put_off_the_third(runtime: Runtime, clock: FrozenClock) -> None:
    start = clock.now()
    shop = new_merchant(runtime, meta=False).merchant_id
    arrived(shop, evenly(2000, start - 30 * DAY, start, 1))
    watch = Watch(runtime)
    told = []
    for outage in range(3):
        learn_baselines(runtime)
        began = clock.now()
        for _ in range(24):
            clock.move(15 * MINUTE)
            watch.look()
        told.append(alerts(shop)[outage][1] - began)
        back = clock.now()
        days = 6 if outage else 5  # at other hours of the week
        arrived(shop, evenly(2000, back, back + days * DAY, outage))
        clock.move(days * DAY)
        for _ in range(3):  # it is over
            watch.look()
            clock.move(MINUTE)
    assert told == [told[0]] * 3


def test_outages_of_names_that_were_told_alone_or_with_others_do_not_put_off_the_next(
    runtime: Runtime, clock: FrozenClock
) -> None:
    start = clock.now()
    shop = new_merchant(runtime, meta=False).merchant_id
    names = ["Purchase", "Lead", "AddToCart", "Search", "Subscribe"]
    arrived(shop, evenly(1500, start - 30 * DAY, start, 1), "PageView")
    for seed, name in enumerate(names):
        arrived(shop, evenly(300, start - 30 * DAY, start, 10 + seed), name)
    watch = Watch(runtime)
    for outage in range(4):
        learn_baselines(runtime)
        with in_transaction():
            usual = rows("SELECT event_name FROM name_baselines WHERE (rhythm ->> 'usual')::float > 20")
        assert usual == []
        began = clock.now()
        for _ in range(24):
            clock.move(15 * MINUTE)
            arrived(shop, evenly(1500, clock.now() - 15 * MINUTE, clock.now(), outage), "PageView")
            watch.look()
        with in_transaction():
            told = rows(
                "SELECT DISTINCT coalesce(one ->> 'event_name', event_name) FROM alerts "
                "LEFT JOIN LATERAL jsonb_array_elements(details -> 'alike') AS one ON true "
                "WHERE kind = 'tracking_stopped' AND opened_at > %s",
                (began,),
            )
        assert {name for (name,) in told} == set(names)
        back = clock.now()
        days = 6 if outage else 5  # at other hours of the week
        arrived(shop, evenly(1500, back, back + days * DAY, outage), "PageView")
        for seed, name in enumerate(names):
            arrived(shop, evenly(300, back, back + days * DAY, 50 + 10 * outage + seed), name)
        clock.move(days * DAY)
        for _ in range(6):  # it is over
            watch.look()
            clock.move(2 * MINUTE)


@pytest.mark.anyio
async def test_a_small_shop_all_of_whose_events_are_refused_is_silent_only_once_none_comes_any_more(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    began, shop = clock.now(), merchant.merchant_id
    arrived(shop, evenly(5, began - 30 * DAY, began, 1), "Purchase")
    learn_baselines(runtime)
    watch = Watch(runtime)
    with in_transaction():
        execute("UPDATE api_keys SET revoked_at = %s WHERE merchant_id = %s", (began, shop))
    sales = evenly(5, began, began + 4 * DAY, 7)
    for number, sale in enumerate(sales):
        while clock.now() < sale:
            clock.move(min(timedelta(hours=2), sale - clock.now()))
            watch.look()
        await api.post(INGEST, {"input": camel(draft(f"sale_{number}"))})
        write_turned_away(runtime)
        clock.move(MINUTE)
        watch.look()
    last = clock.now()
    with in_transaction():
        found = rows("SELECT kind, resolved_at IS NULL FROM alerts WHERE merchant_id = %s ORDER BY 1", (shop,))
    assert found == [("events_rejected", True)]
    while not alerts(shop) and clock.now() < last + 6 * DAY:
        clock.move(timedelta(hours=2))
        watch.look()
    [(_, opened, _, _)] = alerts(shop)
    assert opened > last + DAY
    with in_transaction():
        [(message,)] = rows("SELECT message FROM alerts WHERE merchant_id = %s AND kind = 'tracking_stopped'", (shop,))
    assert f"{len(sales)} events came since but were refused: the alert about that, or the answers to them" in message
    assert "bad fields" not in message
