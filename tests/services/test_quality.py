"""The watch over what events bring, over real events and counters: alerts, advice, and silence where all is well."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.factories import META, Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db import quality as db
from tracklayer.db.advice import advice_of
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.advice import Advice
from tracklayer.domain.facts import mask_of
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, remove_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import update_merchant
from tracklayer.services.monitor import Watch
from tracklayer.services.sweep import sweep

HOST = "shop.example.com"
SNAPCHAT = {"pixel_id": "11111111-2222-4333-8444-555555555555", "access_token": "token-of-the-tests"}


class Scene:
    """One merchant, its time, and a watch that looks every 15 seconds."""

    def __init__(self, runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
        self.runtime, self.merchant, self.clock = runtime, merchant, clock
        self.watch = Watch(runtime)
        self.sent = 0

    def sends(self, count: int, *, email: str | None = None, ago: timedelta = timedelta(0), **changes: Any) -> None:
        """Purchases of now, each by another person unless ``email`` says whose they are."""
        at = (self.clock.now() - ago).isoformat()
        drafts = []
        for n in range(self.sent, self.sent + count):
            user = {"email": email or f"person{n}@example.com", "client_ip": "203.0.113.42", "client_user_agent": "x/1"}
            drafts.append(draft(f"order_{n}", **{"occurred_at": at, "user_data": user, **changes}))
        self.sent += count
        ingest_events(self.runtime, self.merchant.holder, drafts)

    def passes(self, minutes: int, each_minute: int = 0, **changes: Any) -> None:
        for _ in range(minutes):
            self.clock.move(timedelta(seconds=30))
            if each_minute:
                self.sends(each_minute, **changes)
            for _ in range(2):
                self.clock.move(timedelta(seconds=15))
                self.watch.look()

    def month(self, name: str = "Purchase", per_hour: int = 60, facts: tuple[str, ...] = ("value", "currency")) -> None:
        """Counters of the four weeks before: every hour as many events that carry ``facts``."""
        until = self.clock.now().replace(minute=0, second=0, microsecond=0)
        with in_transaction():
            execute(
                "INSERT INTO coverage (merchant_id, event_name, minute, action_source, host, facts, slot, events) "
                "SELECT %s, %s, hour, 'website', %s, %s, 0, %s "
                "FROM generate_series(%s, %s - interval '1 hour', interval '1 hour') AS hour",
                (self.merchant.merchant_id, name, HOST, mask_of(facts), per_hour, until - timedelta(days=28), until),
            )

    def alerts(self) -> list[tuple[str, str | None, str, bool]]:
        """(kind, platform, event name, is it open) of every alert, in order."""
        with in_transaction():
            return [
                (row[0], row[1], row[2], row[3])
                for row in rows(
                    "SELECT kind, platform, event_name, resolved_at IS NULL FROM alerts WHERE merchant_id = %s "
                    "AND kind IN ('value_lost', 'likely_duplicates', 'event_name_unknown') ORDER BY alert_id",
                    (self.merchant.merchant_id,),
                )
            ]

    def words(self, kind: str) -> tuple[str, str]:
        with in_transaction():
            [(title, message)] = rows("SELECT title, message FROM alerts WHERE kind = %s", (kind,))
        return title, message

    def advice(self, platform: str = "") -> list[Advice]:
        with in_transaction():
            return advice_of([self.merchant.merchant_id]).get((self.merchant.merchant_id, platform), [])


@pytest.fixture
def scene(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> Scene:
    return Scene(runtime, merchant, clock)


def test_a_shop_that_is_well_is_told_nothing_and_advised_on_nothing(scene: Scene) -> None:
    scene.month()
    scene.passes(15, each_minute=4)
    assert scene.alerts() == []
    assert (scene.advice(), scene.advice("meta")) == ([], [])


def test_995_purchases_that_are_one_are_told_within_two_minutes_and_over_when_it_ends(scene: Scene) -> None:
    scene.sends(5)
    scene.sends(995, email="jane@example.com")
    scene.passes(2)
    assert scene.alerts() == [("likely_duplicates", None, "Purchase", True)]
    title, message = scene.words("likely_duplicates")
    assert title.endswith("of 500 Purchase events are probably copies")
    assert "USD" in message
    assert "jane" not in message
    scene.passes(20)
    assert scene.alerts() == [("likely_duplicates", None, "Purchase", False)]


def test_orders_of_a_small_shop_that_come_twice_are_told_though_they_come_apart(scene: Scene) -> None:
    for n in range(4):
        for _ in range(2):
            scene.sends(
                1, custom_data={"value": 20 + n, "currency": "EUR", "order_id": f"A-{n}"}, email="x@example.com"
            )
            scene.passes(6)
    assert scene.alerts() == [("likely_duplicates", None, "Purchase", True)]


def test_an_address_on_which_a_whole_office_buys_is_no_duplicate(scene: Scene) -> None:
    for n in range(40):
        custom = {"value": (49, 99, 199)[n * n % 3], "currency": "USD"}
        scene.passes(1, each_minute=1, email="office@example.com", custom_data=custom)
    scene.passes(1, each_minute=25, email="office@example.com", custom_data={"value": 49, "currency": "USD"})
    assert scene.alerts() == []


def test_values_that_are_lost_are_told_once_and_are_over_when_they_are_back(scene: Scene) -> None:
    scene.month()
    scene.passes(10, each_minute=4)
    scene.passes(8, each_minute=4, custom_data={"currency": "USD"})
    assert scene.alerts() == [("value_lost", None, "Purchase", True)]
    title, message = scene.words("value_lost")
    assert title == "Purchase events bring no value since 15:10 UTC"
    assert f"the checkout on {HOST}" in message
    scene.passes(10, each_minute=4, custom_data={"currency": "USD", "value": 0})
    scene.passes(20, each_minute=4)
    assert scene.alerts() == [("value_lost", None, "Purchase", False)]


def test_a_value_that_one_order_in_six_lost_stays_one_alert(scene: Scene) -> None:
    scene.month()
    scene.passes(5, each_minute=4)
    for n in range(40):
        if n % 10 < 7:  # stretches that look well are part of it
            scene.sends(1, custom_data={"value": 0, "currency": "USD"})
        scene.passes(1, each_minute=3)
    assert scene.alerts() == [("value_lost", None, "Purchase", True)]
    assert scene.words("value_lost")[0].startswith("Only 8")


def test_a_lost_currency_is_told_unless_there_is_a_default(scene: Scene) -> None:
    scene.month()
    update_merchant(scene.runtime, scene.merchant.merchant_id, {"default_currency": "USD"})
    scene.passes(8, each_minute=4, custom_data={"value": 5})
    assert scene.alerts() == []
    update_merchant(scene.runtime, scene.merchant.merchant_id, {"default_currency": None})
    scene.passes(4, each_minute=4, custom_data={"value": 5})
    assert scene.words("value_lost")[0].startswith("Purchase events bring no currency since 15:0")


def test_a_new_shop_without_values_is_advised_and_not_alarmed(scene: Scene) -> None:
    scene.sends(60, custom_data={"value": 0, "currency": "USD"})
    scene.passes(2)
    assert scene.alerts() == []
    [advice] = scene.advice()
    assert (advice.code, advice.event_name, advice.count) == ("value_always_zero", "Purchase", 60)
    assert advice.example_event_id in {f"order_{n}" for n in range(60)}


def test_a_name_that_a_destination_filters_for_its_spelling_is_told_until_it_is_right(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "snapchat", SNAPCHAT), Changed)
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase", "Lead"]), Changed)
    scene.passes(3, each_minute=4, event_name="purchase")
    told = [("event_name_unknown", platform, "purchase", True) for platform in ("meta", "snapchat")]
    assert sorted(scene.alerts(), key=str) == told
    names = ["Purchase", "Lead", "purchase"]
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=names), Changed)
    scene.passes(8, each_minute=4, event_name="purchase")
    # Whoever writes a name down means it: it is no misspelling anywhere.
    assert [row[3] for row in scene.alerts()] == [False, False]


def test_a_misspelt_name_is_not_mended_by_an_hour_in_which_nothing_comes(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase", "Lead"]), Changed)
    scene.passes(3, each_minute=4, event_name="purchase")
    for _ in range(2):
        scene.clock.move(timedelta(hours=11))
        scene.passes(8)
        assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]
        scene.passes(1, each_minute=2, event_name="purchase")
        assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]
    scene.clock.move(timedelta(hours=11))
    scene.passes(8, each_minute=1)
    assert scene.alerts() == [("event_name_unknown", "meta", "purchase", False)]


def test_a_misspelt_name_is_not_mended_by_one_right_event_after_an_hour_in_which_nothing_came(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase", "Lead"]), Changed)
    for _ in range(3):
        scene.passes(6, each_minute=4, event_name="purchase")
        assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]
        scene.clock.move(timedelta(hours=11))
        scene.passes(1, each_minute=1)  # an order by telephone
        scene.passes(8)
        assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]
        scene.clock.move(timedelta(hours=12))
    scene.passes(3, each_minute=1)
    scene.passes(6)
    assert scene.alerts() == [("event_name_unknown", "meta", "purchase", False)]


def test_a_name_that_some_servers_misspell_is_not_mended_by_what_another_sends_after_a_quiet_hour(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase", "Lead"]), Changed)

    def both(minutes: int) -> None:
        for _ in range(minutes):
            scene.passes(1, each_minute=3, event_name="purchase")
            scene.passes(1, each_minute=1)

    both(20)
    scene.clock.move(timedelta(minutes=65))
    scene.passes(1, each_minute=1)
    scene.passes(8)
    assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]
    both(5)
    assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]


def test_a_misspelt_name_that_nobody_sends_for_a_week_is_over(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase", "Lead"]), Changed)
    scene.passes(3, each_minute=4, event_name="purchase")
    scene.clock.move(timedelta(days=6))
    scene.sends(1, event_name="purchase")
    scene.clock.move(timedelta(days=6))
    scene.passes(8)
    assert scene.alerts() == [("event_name_unknown", "meta", "purchase", True)]
    scene.clock.move(timedelta(days=1))
    scene.passes(8)
    assert scene.alerts() == [("event_name_unknown", "meta", "purchase", False)]


def test_a_misspelt_name_is_told_until_event_names_and_conversion_actions_both_take_it(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    google: dict[str, Any] = {"customer_id": "1234567890", "refresh_token": "r" * 20}
    google |= {"client_id": "c" * 20, "client_secret": "s" * 20}
    of_purchase, of_both = {"Purchase": "7000000001"}, {"Purchase": "7000000001", "purchase": "7000000001"}

    def becomes(actions: dict[str, str], names: list[str]) -> None:
        settings = {**google, "conversion_actions": actions}
        changed = set_destination(scene.runtime, merchant_id, "google_ads", settings, event_names=names)
        assert isinstance(changed, Changed)
        scene.passes(8, each_minute=4, event_name="purchase")

    becomes(of_purchase, ["Purchase"])
    assert (
        "or add purchase to the destination's event names (`eventNames`) and to its settings with what Purchase has there,"
        " and send what was left out with `deliverStored`"
    ) in scene.words("event_name_unknown")[1]
    becomes(of_both, ["Purchase"])
    assert scene.alerts() == [("event_name_unknown", "google_ads", "purchase", True)]
    becomes(of_both, ["Purchase", "purchase"])
    assert scene.alerts() == [("event_name_unknown", "google_ads", "purchase", False)]


def test_filter_that_has_the_standard_name_in_another_spelling_is_what_is_to_be_mended(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["purchase"]), Changed)
    scene.passes(3, each_minute=2)
    assert scene.advice("meta")[0].next_step.startswith("Add Purchase to the destination's event names")
    scene.passes(3, each_minute=4)
    assert scene.alerts() == [("event_name_unknown", "meta", "Purchase", True)]
    title, message = scene.words("event_name_unknown")[:2]
    assert title == "Meta gets no Purchase: its event names have purchase instead"
    assert "Add Purchase to them now, then send what was left out with `deliverStored`" in message
    assert "must have it send purchase" not in message
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase"]), Changed)
    scene.passes(8, each_minute=4)
    assert scene.alerts() == [("event_name_unknown", "meta", "Purchase", False)]


def test_deliveries_that_a_removal_drops_are_told_of_for_a_day_or_until_it_is_there_again(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    scene.sends(24)
    assert isinstance(remove_destination(scene.runtime, merchant_id, "meta"), Changed)
    sweep(scene.runtime)
    scene.passes(12)
    [advice] = scene.advice()
    assert (advice.code, advice.count) == ("dropped_by_removal", 24)
    assert advice.sentence.startswith(
        "24 deliveries that had not gone out were dropped, as the destination was removed: Meta"
    )
    assert advice.platform is None
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", META), Changed)
    scene.clock.move(timedelta(hours=2))
    scene.passes(12)
    assert scene.advice() == []
    scene.sends(3)
    assert isinstance(remove_destination(scene.runtime, merchant_id, "meta"), Changed)
    sweep(scene.runtime)
    scene.clock.move(timedelta(hours=25))
    scene.passes(12)
    assert scene.advice() == []


def test_event_names_that_never_come_are_advised_on_after_an_hour(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Kauf"]), Changed)
    scene.passes(50, each_minute=1)
    assert scene.advice("meta") == []
    scene.passes(30, each_minute=1)
    assert scene.alerts() == []
    [advice] = scene.advice("meta")
    assert advice.code == "filter_takes_nothing"
    assert "Meta got none of " in advice.sentence
    assert (
        "its event names are Kauf, and no event has come under that name. What comes is Purchase (" in advice.sentence
    )
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Kauf", "Purchase"]), Changed)
    scene.passes(75, each_minute=1)
    assert scene.advice("meta") == []
    # A name that came once may be a rare one.
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Lead"]), Changed)
    scene.sends(1, event_name="Lead")
    scene.clock.move(timedelta(days=2))
    scene.passes(75, each_minute=1)
    assert scene.advice("meta") == []


def test_a_name_that_goes_out_as_another_one_is_advised_on(scene: Scene) -> None:
    scene.passes(2, each_minute=4, event_name="Purchse")
    assert scene.alerts() == []
    [advice] = scene.advice("meta")
    assert (advice.code, advice.event_name) == ("name_misspelt", "Purchse")
    assert "went to Meta as an event of that name, not as Purchase" in advice.sentence
    scene.passes(1, each_minute=30)
    scene.clock.move(timedelta(hours=2, minutes=5))
    scene.passes(1)
    assert scene.advice("meta") == []


def test_a_misspelt_name_of_which_a_few_come_a_day_is_advised_on(scene: Scene) -> None:
    set_destination(scene.runtime, scene.merchant.merchant_id, "meta", META, event_names=["Purchase", "Lead"])
    scene.sends(1)
    for _ in range(2):
        scene.clock.move(timedelta(hours=9))
        scene.passes(1, each_minute=1, event_name="purchase")
    scene.passes(11)
    [advice] = [one for one in scene.advice("meta") if one.code == "name_misspelt"]
    assert (advice.event_name, advice.details["meant"]) == ("purchase", "Purchase")
    assert advice.sentence.startswith("2 events of the last day named purchase did not go to Meta")
    scene.clock.move(timedelta(hours=26))
    scene.passes(11)
    assert scene.advice("meta") == []


def test_purchases_under_another_word_alone_are_advised_on(scene: Scene) -> None:
    scene.passes(2, each_minute=15, event_name="orders/create")
    assert scene.alerts() == []
    [advice] = scene.advice("meta")
    assert (advice.code, advice.event_name, advice.details["meant"]) == ("name_misspelt", "orders/create", "Purchase")


def test_another_word_beside_purchases_is_what_comes_before_them(scene: Scene) -> None:
    scene.sends(1)
    scene.passes(2, each_minute=15, event_name="orders/create")
    assert (scene.alerts(), scene.advice("meta")) == ([], [])


def test_another_word_for_a_purchase_that_is_filtered_out_is_advice_and_no_alert(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    assert isinstance(set_destination(scene.runtime, merchant_id, "meta", event_names=["Purchase"]), Changed)
    scene.passes(2, each_minute=15, event_name="charge.succeeded")
    assert scene.alerts() == []
    [advice] = [one for one in scene.advice("meta") if one.code == "name_misspelt"]
    assert "of the last hour named charge.succeeded did not go to Meta, which takes Purchase" in advice.sentence


def test_a_name_that_the_platform_itself_takes_is_not_advised_on(scene: Scene) -> None:
    merchant_id = scene.merchant.merchant_id
    settings = {"pixel_code": "C4ABCDEFGHIJKLMNOPQR", "access_token": "token-of-the-tests"}
    assert isinstance(set_destination(scene.runtime, merchant_id, "tiktok", settings), Changed)
    scene.passes(2, each_minute=15, event_name="CompletePayment")
    assert (scene.advice("tiktok"), [one.event_name for one in scene.advice("meta")]) == ([], ["CompletePayment"])


def test_a_name_for_which_no_conversion_action_is_set_is_told_unless_all_others_have_one(scene: Scene) -> None:
    """With one for all others, a purchase by another name goes to that of purchases: to that of all others where these have several."""
    merchant_id, google = scene.merchant.merchant_id, {"customer_id": "1234567890", "refresh_token": "r" * 20}
    google |= {"client_id": "c" * 20, "client_secret": "s" * 20}
    several = {"Purchase": "7000000001", "Order Completed": "7000000003", "*": "7000000002"}
    for actions, is_told in (
        ({"Purchase": "7000000001"}, True),
        ({"Purchase": "7000000001", "*": "7000000002"}, False),
        (several, False),
    ):
        settings = {**google, "conversion_actions": actions}
        assert isinstance(set_destination(scene.runtime, merchant_id, "google_ads", settings), Changed)
        scene.passes(8, each_minute=4, event_name="purchase")
        assert scene.alerts() == [("event_name_unknown", "google_ads", "purchase", is_told)]
    assert "or add purchase to the destination's settings" in scene.words("event_name_unknown")[1]
    [advice] = scene.advice("google_ads")
    assert advice.details["fate"] == "other"


@pytest.mark.parametrize("name", ["Newsletter", "Purchase_EU", "page_viewed_twice"])
def test_names_of_the_merchants_own_are_left_alone(scene: Scene, name: str) -> None:
    scene.passes(2, each_minute=15, event_name=name)
    assert (scene.alerts(), scene.advice("meta")) == ([], [])


def test_a_clock_that_is_ahead_is_told_with_how_much(scene: Scene) -> None:
    scene.sends(30, ago=timedelta(seconds=-12))
    scene.passes(2)
    [advice] = scene.advice()
    assert (advice.code, advice.count) == ("clock_ahead", 30)
    assert "happen about 12 s in the future" in advice.sentence


def test_an_event_id_that_all_orders_share_is_told_with_that_id(scene: Scene) -> None:
    scene.sends(2)
    orders = [draft("purchase", occurred_at=scene.clock.now().isoformat()) for _ in range(60)]
    ingest_events(scene.runtime, scene.merchant.holder, orders)
    scene.passes(2)
    [advice] = scene.advice()
    assert (advice.code, advice.count, advice.example_event_id) == ("event_ids_reused", 59, "purchase")
    assert advice.sentence.startswith("59 of the last 62 events repeat an event id that was sent before")
    assert scene.alerts() == []


def test_repeats_from_browser_and_server_are_as_they_should_be(scene: Scene) -> None:
    for n in range(30):
        both = [draft(f"both_{n}", occurred_at=scene.clock.now().isoformat()) for _ in range(3)]
        ingest_events(scene.runtime, scene.merchant.holder, both)
    scene.passes(2)
    assert scene.advice() == []


def test_events_that_are_too_old_for_a_platform_are_counted_with_an_example(scene: Scene, worker: int) -> None:
    scene.sends(5, ago=timedelta(days=20))
    while deliver_due(scene.runtime, worker, scene.merchant.merchant_id, "meta"):
        pass
    scene.passes(2)
    [advice] = scene.advice("meta")
    assert (advice.code, advice.count) == ("events_too_old", 5)
    assert advice.example_event_id in {f"order_{n}" for n in range(5)}
    assert "up to 7 d old" in advice.sentence


def test_the_sample_of_the_newest_reads_no_more_than_it_needs(scene: Scene) -> None:
    scene.sends(600)
    since: datetime = scene.clock.now() - timedelta(minutes=10)
    with in_transaction():
        assert len(db.newest_events(scene.merchant.merchant_id, since, ["Purchase"])) == db.MOST_SAMPLED
        assert db.newest_events(scene.merchant.merchant_id, since, ["Lead"]) == []
        execute("SET LOCAL enable_seqscan = off")  # there is less here than a page,
        execute("SET LOCAL enable_sort = off")  # and little to sort, whatever the statistics know
        params: Any = {"merchant": scene.merchant.merchant_id, "since": since, "names": ["Purchase"], "limit": 500}
        plan = str(rows(f"EXPLAIN {db.SAMPLE}", params))
        month: Any = {"merchant": scene.merchant.merchant_id, "name": "Purchase", "since": since, "until": since}
        of_name = str(rows(f"EXPLAIN {db.HOURS}", month))
        page: Any = {"merchants": [scene.merchant.merchant_id], "since": since, "until": since}
        repeated = str(rows(f"EXPLAIN {db.REPEATED}", (scene.merchant.merchant_id, since, since, 20)))
        received = str(rows(f"EXPLAIN {db.RECEIVED}", page | {"until": scene.clock.now()}))
        of_all = [str(rows(f"EXPLAIN {sql}", page)) for sql in (db.MINUTES, db.DAYS)]
    assert "events_received" in plan
    assert "events_received" in repeated
    assert "minutes_pkey" in received
    assert all("coverage_" in found and "Seq Scan on coverage" not in found for found in (of_name, *of_all))
