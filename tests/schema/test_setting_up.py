"""What a form for destinations and settings grows from, and what is told before something is changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import META, Api, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import remove_destination, set_destination
from tracklayer.services.fold import fold_counters
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import create_api_key
from tracklayer.services.privacy import purge_expired

RELEASE = """{ merchant { destinations { state windowSeconds
  release { waiting perSecond fullPerSecond fullAfterSeconds seconds } } } }"""
RETENTION = """query($days: RetentionDays!) {
  merchant { retentionPreview(retentionDays: $days) { before events oldest } } }"""


async def test_each_setting_says_what_kind_of_value_it_takes(api: Api) -> None:
    answer = await api("{ platforms { platform settings { name secret kind choices example keyLabel takesOthers } } }")
    found = {
        (platform["platform"], setting.pop("name")): setting
        for platform in answer["platforms"]
        for setting in platform["settings"]
    }
    nothing = {"secret": False, "choices": [], "keyLabel": None, "takesOthers": False}
    assert found["META", "pixel_id"] == {**nothing, "kind": "TEXT", "example": "1234567890123456"}
    assert found["META", "access_token"] == {**nothing, "secret": True, "kind": "TEXT", "example": None}
    assert found["META", "ldu_country"] == {**nothing, "kind": "NUMBER", "example": 1}
    assert found["GA4", "eu_endpoint"] == {**nothing, "kind": "FLAG", "example": False}
    assert found["X_ADS", "require_consent"] == {
        **nothing,
        "kind": "CHOICE",
        "choices": ["never", "eea", "always"],
        "example": "eea",
    }
    assert found["GOOGLE_ADS", "conversion_actions"] == {
        **nothing,
        "kind": "MAP",
        "example": {"Purchase": "7000000001", "*": "7000000002"},
        "keyLabel": "Event name",
        "takesOthers": True,
    }
    assert found["GOOGLE_ADS", "feed_label"]["keyLabel"] == "Currency"
    assert found["GOOGLE_ADS", "custom_variables"]["takesOthers"] is False
    assert found["GOOGLE_ADS", "tag_conversion_actions"]["kind"] == "LIST"
    assert found["GOOGLE_ADS", "service_account"] == {**nothing, "secret": True, "kind": "DOCUMENT", "example": None}


async def test_each_setting_says_whether_it_is_demanded_and_what_counts_without_it(api: Api) -> None:
    answer = await api("{ platforms { platform settings { name required demand unset } } }")
    found = {
        (platform["platform"], setting.pop("name")): setting
        for platform in answer["platforms"]
        for setting in platform["settings"]
    }
    assert found["SNAPCHAT", "pixel_id"]["demand"] == (
        "Set pixel_id for website and offline events, or snap_app_id and app_id for app events."
    )
    assert {key for key, setting in found.items() if setting["demand"]} == {
        ("SNAPCHAT", "pixel_id"),
        ("GA4", "measurement_id"),
        ("GOOGLE_ADS", "client_id"),
        ("X_ADS", "pixel_token"),
    }
    assert found["META", "require_consent"]["unset"] == "as Settings say for all platforms"
    assert [found["GA4", name]["unset"] for name in ("eu_endpoint", "send_ip")] == ["no", "yes"]
    assert found["META", "pixel_id"] == {"required": True, "demand": None, "unset": None}


async def test_a_destination_says_since_when_it_is_set_up(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """A change does not make it new; to remove it and set it up anew does."""

    async def since() -> str:
        (found,) = (await api("{ merchant { destinations { createdAt } } }"))["merchant"]["destinations"]
        return str(found["createdAt"])

    first = await since()
    clock.move(timedelta(days=1))
    set_destination(runtime, merchant.merchant_id, "meta", {**META, "pixel_id": "7777777777"})
    assert await since() == first
    remove_destination(runtime, merchant.merchant_id, "meta")
    clock.move(timedelta(days=1))
    set_destination(runtime, merchant.merchant_id, "meta", META)
    anew = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert await since() == anew
    clock.move(timedelta(days=1))
    set_destination(runtime, merchant.merchant_id, "meta", {**META, "pixel_id": "7777777777"})
    assert await since() == anew


async def test_each_platform_says_how_a_destination_there_is_tried(api: Api) -> None:
    answer = await api("{ platforms { platform supportsTestEvents testNeeds testEffect insteadOfTest } }")
    found = {platform.pop("platform"): platform for platform in answer["platforms"]}
    assert found["META"] == {
        "supportsTestEvents": True,
        "testNeeds": ["test_event_code"],
        "testEffect": "they count, and show up under Test events, where they hide what you test.",
        "insteadOfTest": None,
    }
    assert found["GA4"]["testNeeds"] == []
    assert found["LINKEDIN"]["testEffect"] is None
    assert all(one["supportsTestEvents"] or one["insteadOfTest"] for one in found.values())


async def test_what_waits_behind_a_pause_is_told_with_the_pace_of_its_release(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    (active,) = (await api(RELEASE))["merchant"]["destinations"]
    assert active == {"state": "ACTIVE", "windowSeconds": 86400, "release": None}
    ingest_events(runtime, merchant.holder, [draft(f"order_{number}") for number in range(3)])
    await api("mutation { pauseDestination(platform: META) { userErrors { code } } }")
    (paused,) = (await api(RELEASE))["merchant"]["destinations"]
    assert paused["release"] == {
        "waiting": 3,
        "perSecond": 100,
        "fullPerSecond": 3200,
        "fullAfterSeconds": 25,
        "seconds": 0.0,
    }
    with in_transaction():
        execute("UPDATE queues SET waiting = 2140 WHERE merchant_id = %s AND waiting > 0", (merchant.merchant_id,))
    (paused,) = (await api(RELEASE))["merchant"]["destinations"]
    assert (paused["release"]["waiting"], paused["release"]["seconds"]) == (2140, 9.9)


async def test_a_shorter_retention_says_how_much_it_would_delete(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    assert (await _retention(api, "DAYS_30")) == ("2026-10-21T15:00:00.000Z", 0, None)
    ingest_events(runtime, merchant.holder, [draft("first"), draft("second")])
    clock.move(timedelta(days=40))
    ingest_events(runtime, merchant.holder, [draft("third", occurred_at=clock.now().isoformat())])
    assert (await _retention(api, "DAYS_30")) == ("2026-11-30T15:00:00.000Z", 2, "2026-11-20T15:00:00.000Z")
    assert (await _retention(api, "DAYS_90"))[1] == 0
    assert (await _retention(api, "DAYS_365"))[1] == 0
    fold_counters(runtime)  # minutes of that age are hours from here on
    assert (await _retention(api, "DAYS_30"))[1] == 2


async def test_what_is_deleted_already_is_not_counted_again(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest_events(runtime, merchant.holder, [draft("first")])
    clock.move(timedelta(days=50))
    ingest_events(runtime, merchant.holder, [draft("second", occurred_at=clock.now().isoformat())])
    clock.move(timedelta(days=41))
    assert purge_expired(runtime) == 1
    assert (await _retention(api, "DAYS_30"))[1:] == (1, "2027-01-09T15:00:00.000Z")


async def _retention(api: Api, days: str) -> tuple[str, int, str | None]:
    found = (await api(RETENTION, days=days))["merchant"]["retentionPreview"]
    return found["before"], found["events"], found["oldest"]


async def test_a_preview_of_the_retention_counts_no_events(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    """The counters say how many, whatever became of the rows."""
    other = new_merchant(runtime, name="Other")
    ingest_events(runtime, other.holder, [draft("theirs")])
    ingest_events(runtime, merchant.holder, [draft("ours"), draft("gone")])
    with in_transaction():
        execute("DELETE FROM deliveries WHERE event_id = 'gone'")
        execute("DELETE FROM events WHERE event_id = 'gone'")
        assert rows("SELECT count(*) FROM events WHERE merchant_id = %s", (merchant.merchant_id,)) == [(1,)]
    clock.move(timedelta(days=40))
    assert (await _retention(api, "DAYS_30"))[1] == 2


@pytest.mark.parametrize("scope", ["read", "admin"])
async def test_the_key_that_asks_is_told_apart(api: Api, runtime: Runtime, merchant: Merchant, scope: str) -> None:
    created = create_api_key(runtime, merchant.merchant_id, "dashboard", [scope])
    assert isinstance(created, tuple)
    api.key = created[1]
    keys = (await api("{ merchant { apiKeys { name current } } }"))["merchant"]["apiKeys"]
    assert keys == [{"name": "dashboard", "current": True}, {"name": "first key", "current": False}]


async def test_settings_sealed_with_a_lost_key_are_shown_without_their_secrets(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    """Whoever has to type them anew must get as far as the form."""
    shown = "{ merchant { destinations { settings } } }"
    before = {"pixel_id": "8234567890123456", "access_token": "••••ests"}
    assert (await api(shown))["merchant"]["destinations"] == [{"settings": before}]
    runtime.sealer = Sealer(["another-secret-key-of-at-least-forty-characters"])
    after = {"pixel_id": "8234567890123456"}
    assert (await api(shown))["merchant"]["destinations"] == [{"settings": after}]


async def test_a_map_that_was_a_text_before_is_taken_as_before(runtime: Runtime, merchant: Merchant) -> None:
    """One feed label for all currencies, as destinations have it that were set before."""
    settings = {
        "customer_id": "1234567890",
        "conversion_actions": {"Purchase": "7000000001"},
        "client_id": "a",
        "client_secret": "b",
        "refresh_token": "c",
        "merchant_center_id": "5551234",
        "feed_label": "US",
        "feed_language": "en",
    }
    assert not isinstance(set_destination(runtime, merchant.merchant_id, "google_ads", settings, None), list)
    assert not isinstance(set_destination(runtime, merchant.merchant_id, "meta", META, None), list)


DRY_RUN = """query($platform: Platform!) { event(eventId: "order_1") {
  preview(platform: $platform) { wouldSend request verdicts { rule ok message field } } } }"""


async def test_a_stored_event_is_run_dry_against_a_platform_it_was_never_sent_to(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    await api.ingest(draft(user_data={"email": "jane@example.com", "first_name": "Jane", "city": "Springfield"}))
    shown = await _dry_run(api, "META")
    assert shown["wouldSend"] is True
    assert shown["request"]["url"] == "https://graph.facebook.com/v26.0/8234567890123456/events"
    assert "token-of-the-tests" not in str(shown)
    (sent,) = shown["request"]["body"]["data"]
    assert sent["user_data"]["fn"] == ["••••"]
    # No destination there: with invented settings, and a rule says so of each.
    shown = await _dry_run(api, "TIKTOK")
    assert shown["wouldSend"] is True
    assert [verdict["field"] for verdict in shown["verdicts"] if verdict["rule"] == "settings"] == [
        "settings.pixel_code"
    ]
    assert "Springfield" not in str(shown)
    # What the merchant sets for all platforms counts there too.
    await api("mutation { updateMerchant(input: {requireConsent: ALWAYS}) { userErrors { code } } }")
    refused = await _dry_run(api, "TIKTOK")
    assert (refused["wouldSend"], refused["request"]) == (False, None)
    assert refused["verdicts"][-1]["field"] == "consent.adUserData"
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    assert (await other(DRY_RUN, platform="META"))["event"] is None


async def _dry_run(api: Api, platform: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api(DRY_RUN, platform=platform))["event"]["preview"]
    return found


ANSWERS = """{ merchant { destinations { answers {
  attempt { at outcome httpStatus number } delivery { status event { eventId } } } } } }"""


async def _answers(api: Api) -> list[tuple[str, str, str]]:
    (destination,) = (await api(ANSWERS))["merchant"]["destinations"]
    return [
        (one["attempt"]["outcome"], one["delivery"]["event"]["eventId"], one["delivery"]["status"])
        for one in destination["answers"]
    ]


async def test_the_last_answers_are_told_whatever_became_of_their_deliveries(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    def fault(**what: Any) -> None:
        httpx.post(f"{sandbox.url}/_faults", json={"platform": "meta", **what}).raise_for_status()

    def send(event_id: str, **changes: Any) -> None:
        ingest_events(runtime, merchant.holder, [draft(event_id, occurred_at=clock.now().isoformat(), **changes)])
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
        clock.move(timedelta(minutes=2))

    assert await _answers(api) == []
    send("first")
    assert await _answers(api) == [("ACKNOWLEDGED", "first", "DELIVERED")]
    send("unsupported", event_name="Refund")  # was never sent
    assert await _answers(api) == [("ACKNOWLEDGED", "first", "DELIVERED")]
    # Refused itself: it waits for its next attempt, which is told of first.
    fault(kind="drop_after_accept", count=1)
    send("second")
    assert await _answers(api) == [("UNKNOWN", "second", "FAILED"), ("ACKNOWLEDGED", "first", "DELIVERED")]
    send("third")
    fault(kind="credentials")
    send("fourth")
    for number in range(3):  # they wait behind the hold, and were not tried
        ingest_events(runtime, merchant.holder, [draft(f"later_{number}", occurred_at=clock.now().isoformat())])
    found = await _answers(api)
    # The second was due again by then.
    assert {one[:2] for one in found[:2]} == {("CREDENTIALS_REFUSED", "second"), ("CREDENTIALS_REFUSED", "fourth")}
    assert ("ACKNOWLEDGED", "third", "DELIVERED") in found
    assert len(found) <= 5
    assert not any(event_id.startswith("later") for _, event_id, _ in found)


async def test_an_answer_that_ended_a_delivery_is_told(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    httpx.post(
        f"{sandbox.url}/_faults", json={"platform": "meta", "kind": "drop_after_accept", "count": 9}
    ).raise_for_status()
    ingest_events(runtime, merchant.holder, [draft("order_1")])
    for _ in range(5):
        deliver_due(runtime, worker, merchant.merchant_id, "meta")
        with in_transaction():
            execute("UPDATE destinations SET state = 'active', resume_at = NULL, failures = 0, failing_since = NULL")
        clock.move(timedelta(hours=4))
    assert await _answers(api) == [("UNKNOWN", "order_1", "DROPPED")] * 5
