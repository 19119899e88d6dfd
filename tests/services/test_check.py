"""A destination is held against its merchant's last events when it is set: quickly, and whatever is wrong with one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import API_KEY_SECRET, META, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import database, execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.models import DestinationRow
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services.check import MOST, Checked, check_destination, check_redelivery, in_words
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, example_settings, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.pacing import PAGE, Again, Redelivered
from tracklayer.services.redeliver import count_ids, count_matching, redeliver_matching
from tracklayer.services.refusals import INTERNAL


def meta(runtime: Runtime, merchant: Merchant, **settings: Any) -> DestinationRow:
    changed = set_destination(runtime, merchant.merchant_id, "meta", {**META, **settings})
    assert isinstance(changed, Changed)
    return changed.row


def done(found: Checked | None) -> Checked:
    assert found is not None
    return found


def test_without_events_there_is_nothing_to_say(runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, new_merchant(runtime, name="Other").holder, [draft()])
    found = done(check_destination(runtime, meta(runtime, merchant)))
    assert found == Checked()
    assert in_words(found) == "There are no events of the last 7 days to check it against."


def test_rare_names_are_among_the_events_that_are_looked_at(runtime: Runtime, merchant: Merchant) -> None:
    for name, count in (("Purchase", 3), ("AddToCart", 300), ("PageView", 600)):
        for start in range(0, count, 300):
            drafts = [
                draft(f"{name}_{n}", event_name=name, custom_data={}) for n in range(start, min(start + 300, count))
            ]
            ingest_events(runtime, merchant.holder, drafts)
    found = done(check_destination(runtime, meta(runtime, merchant)))
    assert (found.events, found.would_send) == (MOST, MOST - 3)
    assert found.refused == {"INVALID_FIELD/custom_data.value": 3}
    (example,) = found.examples.values()
    assert in_words(found) == (
        f"Of the last 200 events it would get 197. Refused: 3 INVALID_FIELD (custom_data.value), such as {example}."
    )


def test_fields_that_the_platform_has_none_for_are_counted(runtime: Runtime, merchant: Merchant) -> None:
    street = {"user_data": {"email": "jane@example.com", "street": "1 Main Street"}}
    ingest_events(runtime, merchant.holder, [draft("one", **street), draft("two", **street), draft("three")])
    found = done(check_destination(runtime, meta(runtime, merchant)))
    assert (found.would_send, found.no_place) == (3, {"user_data.street": 2})
    assert in_words(found) == (
        "Of the last 3 events it would get 3. The platform has no place for user_data.street of 2."
    )


SALE = {"linkedin": 14488340, "x_ads": "tw-o8z6j-ol288", "google_ads": "7000000001"}


@pytest.mark.parametrize(
    ("platform", "setting", "given", "warned"),
    [
        pytest.param("linkedin", "conversion_rules", {"order_refunded": 14488340}, True, id="the rule of purchases"),
        pytest.param(
            "linkedin", "conversion_rules", {"Order Cancelled": 14488399}, True, id="a rule of its own counts"
        ),
        pytest.param("linkedin", "conversion_rules", {"Refund": 14488340}, False, id="Refund is refused all the same"),
        pytest.param("linkedin", "conversion_rules", {"refund_policy_read": 14488399}, False, id="no refund"),
        pytest.param("linkedin", "conversion_rules", {"*": 14488399}, False, id="* takes no refund"),
        pytest.param("x_ads", "event_ids", {"charge.refunded": "tw-o8z6j-ol288"}, True, id="a tag of X"),
        pytest.param("google_ads", "conversion_actions", {"Refund": "7000000001"}, False, id="Google restates"),
        pytest.param("google_ads", "conversion_actions", {"refunded": "7000000001"}, True, id="which it would not"),
        pytest.param("tiktok", "event_names", {"refunded": "CompletePayment"}, True, id="the old name of a purchase"),
        pytest.param("tiktok", "event_names", {"refunded": "Goodbye"}, False, id="a name that is no sale's"),
        pytest.param("tiktok", "event_names", {"Purchase": "Paid", "refunded": "Paid"}, True, id="a shop's own"),
        pytest.param("pinterest", "custom_event_names", {"refunded": "checkout"}, True, id="the platform's own"),
        pytest.param("snapchat", "custom_event_map", {"Refunded": "PURCHASE"}, True, id="in capitals"),
        pytest.param("snapchat", "custom_event_map", {"Refunded": "CUSTOM_EVENT_1"}, False, id="a custom event"),
        pytest.param("microsoft_ads", "event_names", {"refunded": "purchase"}, True, id="the action of a goal"),
        pytest.param("reddit", "custom_event_names", {"refunded": "Went back"}, False, id="another custom event"),
    ],
)
def test_a_refund_that_the_settings_would_have_counted_as_a_sale_is_warned_of(
    runtime: Runtime, merchant: Merchant, platform: str, setting: str, given: dict[str, Any], warned: bool
) -> None:
    names = {"Purchase": SALE[platform], **given} if platform in SALE else given
    settings = {**example_settings(mapper_for(platform)), setting: names}
    changed = set_destination(runtime, merchant.merchant_id, platform, settings, None)
    assert isinstance(changed, Changed)
    found = done(check_destination(runtime, changed.row))
    assert [(one.field, one.code) for one in found.warnings] == [(("settings", setting), "REFUND_COUNTED")] * warned
    label = next(one.label for one in mapper_for(platform).settings if one.name == setting)
    told = (
        f"{next(reversed(names))} tells of a refund, and {label} ({setting}) would have each count as one more sale: "
        "take it out there, unless it is none."
    )
    assert (told in in_words(found)) == warned


def test_a_name_that_the_destination_leaves_out_is_warned_of_no_more(runtime: Runtime, merchant: Merchant) -> None:
    settings = {**example_settings(mapper_for("linkedin")), "conversion_rules": {"Purchase": 1, "order_refunded": 1}}
    changed = set_destination(runtime, merchant.merchant_id, "linkedin", settings, ["Purchase"])
    assert isinstance(changed, Changed)
    assert done(check_destination(runtime, changed.row)).warnings == []


def test_a_name_with_an_address_in_it_is_warned_of_without_it(runtime: Runtime, merchant: Merchant) -> None:
    settings = {**example_settings(mapper_for("linkedin")), "conversion_rules": {"refund jane@example.com": 1}}
    changed = set_destination(runtime, merchant.merchant_id, "linkedin", settings, None)
    assert isinstance(changed, Changed)
    (warning,) = done(check_destination(runtime, changed.row)).warnings
    assert warning.message.startswith("A name tells of a refund")


def test_a_merchants_defaults_count_as_they_do_when_it_is_sent(runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [draft(custom_data={"value": 5})])
    found = done(check_destination(runtime, meta(runtime, merchant)))
    assert found.refused == {"INVALID_FIELD/custom_data.currency": 1}
    with in_transaction():
        execute("UPDATE merchants SET default_currency = 'EUR'")
    assert done(check_destination(runtime, meta(runtime, merchant))).would_send == 1


def test_an_event_is_as_old_as_it_was_when_it_arrived(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    old = (clock.now() - timedelta(days=8)).isoformat()
    ingest_events(runtime, merchant.holder, [draft("fresh"), draft("old", occurred_at=old)])
    clock.move(timedelta(days=7))
    found = done(check_destination(runtime, meta(runtime, merchant)))
    assert (found.events, found.would_send, found.refused) == (2, 1, {"EVENT_TOO_OLD/occurred_at": 1})
    clock.move(timedelta(seconds=1))  # what arrived longer ago says little of today
    assert done(check_destination(runtime, meta(runtime, merchant))) == Checked()


def test_a_fault_costs_its_event_alone(runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [draft("strange"), draft("fine")])
    with in_transaction():
        execute("""UPDATE events SET user_data = '{"newer": 1}' WHERE event_id = 'strange'""")
    found = done(check_destination(runtime, meta(runtime, merchant)))
    assert (found.events, found.would_send) == (2, 1)
    assert (found.refused, found.examples) == ({INTERNAL: 1}, {INTERNAL: "strange"})


def test_where_it_cannot_be_made_nothing_is_said_and_nothing_raised(runtime: Runtime, merchant: Merchant) -> None:
    row = meta(runtime, merchant)
    runtime.sealer = Sealer(["another-key-of-forty-characters-and-some-more"])
    assert check_destination(runtime, row) is None


def test_it_takes_no_more_than_its_time(runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    row = meta(runtime, merchant)
    assert check_destination(runtime, row, seconds=0) == Checked()


def test_no_transaction_is_open_while_events_are_mapped(runtime: Runtime, merchant: Merchant) -> None:
    person = {"email": "jane@example.com", "first_name": "Jane"}
    ingest_events(runtime, merchant.holder, [draft("a", user_data=person), draft("b", user_data=person)])
    row = meta(runtime, merchant)
    opened: list[bool] = []

    class Watching(Sealer):
        def open(self, sealed: Any, context: str) -> bytes:
            opened.append(database.in_transaction())
            return super().open(sealed, context)

    runtime.sealer = Watching([API_KEY_SECRET])
    assert done(check_destination(runtime, row)).would_send == 2
    assert opened == [False] * 3  # the destination's secrets, and two persons' names


def missing(runtime: Runtime, merchant: Merchant, worker: int) -> None:
    """Two that nobody could be matched by, of three that were dropped or failed."""
    meta(runtime, merchant)
    nobody = {"user_data": {}, "custom_data": {"value": 5, "currency": "EUR"}}
    ingest_events(runtime, merchant.holder, [draft("bare_1", **nobody), draft("bare_2", **nobody)])
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    ingest_events(runtime, merchant.holder, [draft("good")])
    with in_transaction():
        execute("UPDATE deliveries SET status = 'failed', attempts = 1 WHERE event_id = 'good'")


def test_a_redelivery_tells_what_is_refused_again_before_and_after(
    runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    missing(runtime, merchant, worker)
    ids = merchant.merchant_id
    dry = count_matching(runtime, ids, DeliverySearch())
    before = done(check_redelivery(runtime, ids, dry.due))
    assert (dry.requeued, before.events, before.would_send) == (3, 3, 1)
    assert before.refused == {"MISSING_IDENTIFIERS/user_data": 2}
    by_ids = count_ids(runtime, ids, [("bare_1", "meta")], DeliverySearch())
    assert done(check_redelivery(runtime, ids, by_ids.due)).would_send == 0

    result = redeliver_matching(runtime, ids, DeliverySearch())
    assert result.due == dry.due
    while deliver_due(runtime, worker, ids, "meta"):
        pass
    assert done(check_redelivery(runtime, ids, result.due)) == before
    with in_transaction():
        assert rows("SELECT count(*) FROM deliveries WHERE drop_reason = 'missing_identifiers'") == [(2,)]


def test_a_redelivery_is_held_against_the_settings_of_now_and_the_time_when_it_is_due(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    meta(runtime, merchant)
    ingest_events(runtime, merchant.holder, [draft("a", custom_data={"value": 5}), draft("b")])
    ids, now = merchant.merchant_id, clock.now()
    due = {("a", "meta"): now, ("b", "meta"): now, ("gone", "meta"): now, ("b", "tiktok"): now}
    found = done(check_redelivery(runtime, ids, due))
    assert (found.events, found.would_send, found.refused) == (2, 1, {"INVALID_FIELD/custom_data.currency": 1})
    set_destination(runtime, ids, "meta", {"default_currency": "EUR"}, ["Nothing else"])  # it was made, so it is sent
    assert done(check_redelivery(runtime, ids, due)).would_send == 2
    later = {key: now + timedelta(days=8) for key in due}
    assert done(check_redelivery(runtime, ids, later)).refused == {"EVENT_TOO_OLD/occurred_at": 2}
    assert done(check_redelivery(runtime, ids, due, seconds=0)) == Checked()


def test_no_more_than_a_page_of_a_redelivery_is_noted(runtime: Runtime, merchant: Merchant) -> None:
    found = Redelivered()
    for number in range(PAGE + 5):
        found.queue((f"order_{number}", "meta"), Again(runtime.clock.now(), may_be_doubled=False))
    assert (found.requeued, len(found.due)) == (PAGE + 5, PAGE)
