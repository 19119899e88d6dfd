"""What a platform says of what it took is kept with the attempt, shown, and told once; the delivery is delivered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Api, Merchant, draft, sweep_missed
from tests.platform_server import Platform, answered
from tests.services.test_late_answers import GONE, Sender, TogetherSender
from tracklayer.clock import FrozenClock
from tracklayer.db.advice import advice_of
from tracklayer.db.connection import in_transaction
from tracklayer.db.deliveries import DeliveryRow, deliveries_by_key
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.deliver_together import begin_together, take
from tracklayer.services.deliver_together import deliver as deliver_errand
from tracklayer.services.destinations import Changed, example_settings, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.monitor import Watch
from tracklayer.services.trial import try_destination

NOTES = """
query($id: String!) { event(eventId: $id) { deliveries {
  platform status lastError attemptLog { outcome httpStatus error note } explanation { code summary }
} } }"""
PARTIAL = {"code": 20001, "message": "partial success: 1 of 1 failed", "data": {"failed_events": [0], "why": "x@y.zz"}}
VERSION = "x-ad-api-version-warning: v26.0 ends soon"
SAID = 'partial success: 1 of 1 failed; data: {"failed_events":[0],"why":"…"}'
# Platform -> (its answer for one event, the note, its code)
ANSWERS: dict[str, tuple[dict[str, Any], Sequence[str], str, str]] = {
    "tiktok": (PARTIAL, (), SAID, "20001"),
    "meta": (
        {"events_received": 1, "messages": ["Field em is wrong, write to a@b.cc"], "fbtrace_id": "T"},
        ("facebook-api-version: v27.0", VERSION),
        "Field em is wrong, write to …; X-Ad-Api-Version-Warning: v26.0 ends soon; asked for v26.0 of the Graph API, "
        "answered by v27.0",
        "noted",
    ),
    "x_ads": (
        {"request": {}, "data": {"conversions_processed": 1, "debug_id": "DBG1"}},
        ("x-current-api-version: 13", "x-api-warn: deprecated"),
        "x-api-warn: deprecated; X's current version is 13; debug_id DBG1",
        "interface_version",
    ),
}


def set_up(runtime: Runtime, merchant: Merchant, key: str) -> None:
    assert isinstance(set_destination(runtime, merchant.merchant_id, key, example_settings(mapper_for(key))), Changed)


def deliver(runtime: Runtime, merchant: Merchant, worker: int, key: str) -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, key):
        pass


def row(merchant: Merchant, key: str = "meta", event_id: str = "order_1") -> DeliveryRow:
    with in_transaction():
        return deliveries_by_key(merchant.merchant_id, [(event_id, key)])[event_id, key]


def answer(body: dict[str, Any], *headers: str) -> Any:
    return answered(200, json.dumps(body).encode(), *headers)


@pytest.mark.parametrize("key", ANSWERS)
async def test_what_a_platform_said_of_what_it_took_is_with_the_attempt_and_explained(
    api: Api,
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    platform: Platform,
    caplog: pytest.LogCaptureFixture,
    key: str,
) -> None:
    body, headers, note, code = ANSWERS[key]
    set_up(runtime, merchant, key)
    platform.answer = answer(body, *headers)
    ingest_events(runtime, merchant.holder, [draft()])
    deliver(runtime, merchant, worker, key)
    (found,) = [
        one for one in (await api(NOTES, id="order_1"))["event"]["deliveries"] if one["platform"] == key.upper()
    ]
    assert found.pop("explanation")["code"] == code
    taken = {"outcome": "ACKNOWLEDGED", "httpStatus": 200, "error": None, "note": note}
    assert found == {"platform": key.upper(), "status": "DELIVERED", "lastError": None, "attemptLog": [taken]}
    told = [record.getMessage() for record in caplog.records if getattr(record, "kind", None) == "taken_with_a_note"]
    assert told == [f"merchant {merchant.merchant_id}, {key}: 1 of 1 taken with a note ({code}): {note}"]
    assert not check_invariants(clock.now())


async def test_what_was_taken_without_a_word_has_no_note_and_no_explanation(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, platform: Platform
) -> None:
    platform.answer = answer({"events_received": 1, "messages": []}, "facebook-api-version: v26.0")
    ingest_events(runtime, merchant.holder, [draft()])
    deliver(runtime, merchant, worker, "meta")
    (found,) = (await api(NOTES, id="order_1"))["event"]["deliveries"]
    assert (found["status"], found["explanation"], found["attemptLog"][0]["note"]) == ("DELIVERED", None, None)
    assert set(row(merchant).attempt_log[0]) == {"number", "at", "outcome", "http_status", "error", "duration_ms"}


def test_a_version_that_the_merchant_has_set_and_that_answers_is_no_note(
    runtime: Runtime, merchant: Merchant, worker: int, platform: Platform
) -> None:
    settings = {**example_settings(mapper_for("meta")), "api_version": "v25.0"}
    assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", settings), Changed)
    platform.answer = answer({"events_received": 1, "messages": []}, "facebook-api-version: v25.0")
    ingest_events(runtime, merchant.holder, [draft()])
    deliver(runtime, merchant, worker, "meta")
    assert "note" not in row(merchant).attempt_log[0]


@pytest.mark.parametrize("is_together", [False, True])
def test_a_note_quotes_nothing_that_is_kept_sealed(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    platform: Platform,
    caplog: pytest.LogCaptureFixture,
    is_together: bool,
) -> None:
    set_up(runtime, merchant, "tiktok")
    platform.answer = answer({"code": 20001, "message": "partial success: no city gothamtown"})
    person = {"email": "jane@example.com", "city": "Gotham Town"}
    ingest_events(runtime, merchant.holder, [draft(user_data=person)])
    if is_together:
        errands, _ = take(runtime, worker, [(merchant.merchant_id, "tiktok")])
        begin_together(runtime, errands)
        assert [deliver_errand(runtime, errand) for errand in errands] == [None]  # words are settled alone
    else:
        deliver(runtime, merchant, worker, "tiktok")
    found = row(merchant, "tiktok")
    assert (found.status, found.attempt_log[0]["note"]) == ("delivered", "partial success: no city …")
    assert "gothamtown" not in caplog.text


@pytest.mark.parametrize("way", ["together", "late", "late and again"])
def test_a_note_is_kept_on_every_way_to_the_row(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, platform: Platform, way: str
) -> None:
    platform.answer = answer({"events_received": 1, "messages": ["Mind the gap"]})
    ingest_events(runtime, merchant.holder, [draft()])
    if way == "together":
        both = TogetherSender(runtime, merchant, worker)
        both.go()
        both.settle()
    else:
        one, two = Sender(runtime, merchant, GONE), Sender(runtime, merchant, worker)
        one.go()
        clock.move(timedelta(seconds=2))
        assert sweep_missed(runtime).taken_back == 1
        if way == "late and again":
            two.go()
        one.settle()
        two.settle()
    found = row(merchant)
    notes = [(entry["outcome"], entry["note"], entry["code"]) for entry in found.attempt_log]
    times = 2 if way == "late and again" else 1
    assert (found.status, found.attempts, notes) == (
        "delivered",
        times,
        [("acknowledged", "Mind the gap", "noted")] * times,
    )
    assert not check_invariants(clock.now())


def test_of_one_request_each_event_has_its_own_note(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, platform: Platform
) -> None:
    set_up(runtime, merchant, "pinterest")
    said = [{"status": "processed", "warning_message": words} for words in (None, "no click_id")]
    platform.answer = answer({"num_events_received": 2, "num_events_processed": 2, "events": said})
    ingest_events(runtime, merchant.holder, [draft("order_1"), draft("order_2")])
    deliver(runtime, merchant, worker, "pinterest")
    found = [row(merchant, "pinterest", event_id) for event_id in ("order_1", "order_2")]
    assert [one.status for one in found] == ["delivered"] * 2
    assert sorted(str(one.attempt_log[0].get("note")) for one in found) == ["None", "no click_id"]


def advice(merchant: Merchant) -> list[Advice]:
    with in_transaction():
        found = advice_of([merchant.merchant_id])
    return [one for of_one in found.values() for one in of_one if one.code is AdviceCode.TAKEN_WITH_NOTES]


@pytest.mark.parametrize(("noted", "plain", "is_told"), [(9, 0, False), (10, 0, True), (10, 40, True), (10, 41, False)])
def test_of_many_notes_the_merchant_is_advised_until_they_end(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    platform: Platform,
    noted: int,
    plain: int,
    is_told: bool,
) -> None:
    set_up(runtime, merchant, "tiktok")
    watch = Watch(runtime)
    for body, count in (({"code": 0, "message": "OK"}, plain), (PARTIAL, noted)):
        platform.answer = answer(body)
        ingest_events(runtime, merchant.holder, [draft(f"{body['code']}_{n}") for n in range(count)])
        deliver(runtime, merchant, worker, "tiktok")
    watch.look()
    found = advice(merchant)
    assert bool(found) is is_told
    if not found:
        return
    (one,) = found
    assert (one.platform, one.count, one.details["code"]) == ("tiktok", noted, "20001")
    assert one.sentence == (
        f"Of the last {noted + plain} events that TikTok took within a day, {noted} came with a note, such as: {SAID}. They "
        "count as delivered."
    )
    assert one.next_step == mapper_for("tiktok").explanations["20001"].next_step
    assert (one.example_event_id or "").startswith("20001_")
    for hours in (25, 1, 1):
        clock.move(timedelta(hours=hours, minutes=1))
        watch.look()
    assert advice(merchant) == []


def test_a_trial_shows_the_note_and_explains_it(runtime: Runtime, merchant: Merchant, platform: Platform) -> None:
    settings = {**example_settings(mapper_for("tiktok")), "test_event_code": "TEST1"}
    assert isinstance(set_destination(runtime, merchant.merchant_id, "tiktok", settings), Changed)
    platform.answer = answer(PARTIAL)
    tried = try_destination(runtime, merchant.merchant_id, "tiktok", None)
    assert not isinstance(tried, list)
    assert tried.attempt is not None
    assert tried.explanation is not None
    assert (tried.attempt.note, tried.explanation.code) == (SAID, "20001")
