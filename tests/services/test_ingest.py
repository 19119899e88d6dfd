"""Events are stored once, with their deliveries, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import PURCHASE, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services import ingest as services
from tracklayer.services.destinations import remove_destination, set_destination
from tracklayer.services.ingest import (
    MAX_TOLD_REPEATS,
    Accepted,
    Coalesced,
    Ingested,
    Rejected,
    ingest_events,
    judge,
)


def ingest(runtime: Runtime, merchant: Merchant, *drafts: Any) -> list[Ingested]:
    return ingest_events(runtime, merchant.holder, drafts).outcomes


def select(sql: str) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(sql)


def codes(outcome: Ingested) -> list[tuple[str, str]]:
    problems = outcome.problems if isinstance(outcome, Rejected) else outcome.warnings
    return [(problem.code, ".".join(problem.field)) for problem in problems]


def test_an_event_is_stored_with_one_delivery_a_destination(runtime: Runtime, merchant: Merchant) -> None:
    result = ingest_events(runtime, merchant.holder, [draft()])
    assert [type(found) for found in result.outcomes] == [Accepted]
    assert result.wake == {(merchant.merchant_id, "meta")}
    now = runtime.clock.now()
    assert select("SELECT event_id, platform, status, attempts, queued_at, due_at, window_ends_at FROM deliveries") == [
        ("order_1", "meta", "queued", 0, now, now, now + timedelta(hours=24))
    ]


class Unreadable(dict[str, Any]):
    """Stands for an event that a fault of ours lies in wait for."""

    def keys(self) -> Any:
        raise ZeroDivisionError("jane@example.com")


def test_a_fault_in_one_event_takes_no_other_along_and_is_told_logged_and_counted(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = ingest(runtime, merchant, draft("a"), Unreadable(draft("b")), draft("c"))
    assert (type(first), type(third)) == (Accepted, Accepted)
    assert codes(second) == [("INTERNAL", "")]
    assert select("SELECT event_id FROM events ORDER BY 1") == [("a",), ("c",)]
    assert select("SELECT code, field, sum(events)::int FROM rejections GROUP BY 1, 2") == [("INTERNAL", "", 1)]
    assert "judging an event failed" in caplog.text
    assert "jane" not in caplog.text


@pytest.mark.parametrize("step", ["_record_of", "_take"])
def test_a_fault_in_a_later_step_takes_no_other_along_either(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    done = getattr(services, step)

    def fails_at_one(runtime: Runtime, call: Any, read: Any, *more: Any) -> Any:
        found = done(runtime, call, read, *more)
        if read.event.event_id == "order_70":
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(services, step, fails_at_one)
    sent = [draft(f"order_{place}") if place % 9 else {} for place in range(1, 101)]
    outcomes = ingest(runtime, merchant, *sent)
    assert [type(one) for one in outcomes] == [
        Accepted if one and one["event_id"] != "order_70" else Rejected for one in sent
    ]
    assert codes(outcomes[69]) == [("INTERNAL", "")]
    assert select("SELECT count(*)::int FROM events") == [(88,)]


def test_the_same_event_twice_is_one_row(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    first = clock.now()
    ingest(runtime, merchant, draft())
    again = clock.move(timedelta(seconds=5))
    result = ingest_events(runtime, merchant.holder, [draft()])
    (outcome,) = result.outcomes
    assert isinstance(outcome, Coalesced)
    assert (outcome.row.times_received, outcome.row.received_at, outcome.row.last_received_at) == (2, first, again)
    assert outcome.warnings == ()
    assert result.wake == set()
    assert select("SELECT count(*) FROM events") == [(1,)]
    assert select("SELECT count(*) FROM deliveries") == [(1,)]


def test_the_same_event_twice_in_one_call_is_one_row(runtime: Runtime, merchant: Merchant) -> None:
    outcomes = ingest(runtime, merchant, draft("a"), draft("b"), draft("a"), draft("a"))
    assert [type(found) for found in outcomes] == [Accepted, Accepted, Coalesced, Coalesced]
    assert select("SELECT event_id, times_received FROM events ORDER BY event_id") == [("a", 3), ("b", 1)]


def test_one_id_with_two_names_is_refused_and_quotes_neither(runtime: Runtime, merchant: Merchant) -> None:
    ingest(runtime, merchant, draft())
    (outcome,) = ingest(runtime, merchant, draft(event_name="Refund"))
    assert isinstance(outcome, Rejected)
    assert codes(outcome) == [("EVENT_ID_CONFLICT", "event_id")]
    assert not {"Purchase", "Refund"} & set(outcome.problems[0].message.replace(".", " ").split())
    assert select("SELECT event_name, times_received FROM events") == [("Purchase", 1)]


def test_names_in_one_call_are_judged_against_the_one_that_is_stored(runtime: Runtime, merchant: Merchant) -> None:
    ingest(runtime, merchant, draft())
    outcomes = ingest(runtime, merchant, draft(event_name="Refund"), draft(), draft(event_name="Refund"), draft())
    assert [type(found) for found in outcomes] == [Rejected, Coalesced, Rejected, Coalesced]
    assert select("SELECT event_name, times_received FROM events") == [("Purchase", 3)]


def test_other_content_is_coalesced_with_a_warning_and_the_first_stays(runtime: Runtime, merchant: Merchant) -> None:
    ingest(runtime, merchant, draft())
    other = draft(custom_data={"value": 5, "currency": "USD"}, occurred_at="2026-11-20T14:58:00Z")
    other["user_data"]["email"] = "somebody@else.example"
    (outcome,) = ingest(runtime, merchant, other)
    assert isinstance(outcome, Coalesced)
    assert codes(outcome) == [
        ("COALESCED_DIFFERENT_CONTENT", "occurred_at"),
        ("COALESCED_DIFFERENT_CONTENT", "user_data.email"),
        ("COALESCED_DIFFERENT_CONTENT", "custom_data.value"),
    ]
    assert select("SELECT custom_data ->> 'value' FROM events") == [("129.99",)]


def test_whoever_may_only_send_cannot_guess_what_is_stored(runtime: Runtime, merchant: Merchant) -> None:
    """Neither which field differs is told, nor, after some tries, whether any does."""
    holder = replace(merchant.holder, scopes=frozenset({"ingest"}))

    def sent(*drafts: Any) -> list[Ingested]:
        return ingest_events(runtime, holder, drafts).outcomes

    ingest(runtime, merchant, draft())
    other = draft(custom_data={"value": 5, "currency": "USD"}, occurred_at="2026-11-20T14:58:00Z")
    (outcome,) = sent(other)
    assert isinstance(outcome, Coalesced)
    assert codes(outcome) == [("COALESCED_DIFFERENT_CONTENT", "event_id")]
    assert "customData" not in outcome.warnings[0].message
    (same,) = sent(draft())
    assert isinstance(same, Coalesced)
    assert same.warnings == ()
    guesses = sent(*[other] * 200)
    told = [bool(found.warnings) for found in guesses if isinstance(found, Coalesced)]
    assert told == [True] * (MAX_TOLD_REPEATS - 3) + [False] * (200 - MAX_TOLD_REPEATS + 3)
    (reader,) = ingest(runtime, merchant, other)
    assert isinstance(reader, Coalesced)
    assert len(reader.warnings) == 2


def test_a_hashed_repeat_of_a_plain_event_is_the_same_content(runtime: Runtime, merchant: Merchant) -> None:
    ingest(runtime, merchant, draft())
    hashed = draft()
    hashed["user_data"]["email"] = "8C87B489CE35CF2E2F39F80E282CB2E804932A56A213983EEEB428407D43B52D"
    (outcome,) = ingest(runtime, merchant, hashed)
    assert isinstance(outcome, Coalesced)
    assert outcome.warnings == ()


def test_each_event_of_a_call_is_judged_on_its_own(runtime: Runtime, merchant: Merchant) -> None:
    outcomes = ingest(
        runtime,
        merchant,
        draft("good"),
        draft("bad time", occurred_at="yesterday"),
        draft("card", custom_data={"properties": {"note": "4111 1111 1111 1111"}}),
        "no object",
        draft("also good"),
    )
    assert [type(found) for found in outcomes] == [Accepted, Rejected, Rejected, Rejected, Accepted]
    assert select("SELECT event_id FROM events ORDER BY event_id") == [("also good",), ("good",)]
    assert select("SELECT event_id FROM deliveries ORDER BY event_id") == [("also good",), ("good",)]


def test_card_data_leaves_no_trace(runtime: Runtime, merchant: Merchant) -> None:
    (outcome,) = ingest(runtime, merchant, draft(custom_data={"properties": {"cvv": "123"}}))
    assert codes(outcome) == [("CARD_DATA", "custom_data.properties.cvv")]
    assert select("SELECT count(*) FROM events") == [(0,)]


def test_a_bad_cookie_is_kept_and_named_and_the_event_is_taken(runtime: Runtime, merchant: Merchant) -> None:
    (outcome,) = ingest(runtime, merchant, PURCHASE)
    assert isinstance(outcome, Accepted)
    assert codes(outcome) == [
        ("IDENTIFIER_MALFORMED", "user_data.fbp"),
        ("IDENTIFIER_MALFORMED", "user_data.fbc"),
    ]
    assert select("SELECT user_data ->> 'fbp' FROM events") == [("fb.1.1713877200.1234567890",)]


def test_only_events_that_a_destination_admits_are_routed_to_it(runtime: Runtime, merchant: Merchant) -> None:
    set_destination(runtime, merchant.merchant_id, "meta", {"pixel_id": "8234567890123456"}, ["Lead"])
    result = ingest_events(runtime, merchant.holder, [draft("a"), draft("b", event_name="Lead")])
    assert select("SELECT event_id FROM deliveries") == [("b",)]
    assert result.wake == {(merchant.merchant_id, "meta")}


def test_a_removed_destination_gets_nothing(runtime: Runtime, merchant: Merchant) -> None:
    remove_destination(runtime, merchant.merchant_id, "meta")
    assert ingest_events(runtime, merchant.holder, [draft()]).wake == set()
    assert select("SELECT count(*) FROM deliveries") == [(0,)]


def test_two_merchants_may_use_one_id(runtime: Runtime, merchant: Merchant) -> None:
    other = new_merchant(runtime, name="Other shop")
    assert isinstance(ingest(runtime, merchant, draft())[0], Accepted)
    assert isinstance(ingest(runtime, other, draft(event_name="Lead"))[0], Accepted)
    assert select("SELECT count(*) FROM events") == [(2,)]


def test_an_id_is_new_again_after_the_purge(runtime: Runtime, merchant: Merchant) -> None:
    ingest(runtime, merchant, draft())
    with in_transaction():
        execute("DELETE FROM deliveries")
        execute("DELETE FROM events")
    assert isinstance(ingest(runtime, merchant, draft(event_name="Refund"))[0], Accepted)


@pytest.mark.parametrize("value", ["129.990", 129.99, "129.99"])
def test_money_stays_exact(runtime: Runtime, merchant: Merchant, value: Any) -> None:
    ingest(runtime, merchant, draft(custom_data={"value": value, "currency": "usd"}))
    ((stored, currency),) = select("SELECT custom_data ->> 'value', custom_data ->> 'currency' FROM events")
    assert stored == str(value)
    assert currency == "USD"


def test_an_id_that_was_refused_and_comes_again_is_told_apart_from_one_that_is_new(
    runtime: Runtime, merchant: Merchant
) -> None:
    """An order that is retried all night is one order, and no door that refuses everything."""
    bad = {**draft("again"), "event_name": ""}
    first = judge(runtime, merchant.holder, [bad, bad, {**bad, "event_id": "other"}])
    (refusal,) = [one for one in first.refused if one[1] is not None]
    assert first.refused == {refusal: 2, ("", None, None): 1}
    assert judge(runtime, merchant.holder, [bad]).refused == {("", None, None): 1}
    assert [type(one) for one in first.outcomes] == [Rejected] * 3, "to its sender each is refused alike"
