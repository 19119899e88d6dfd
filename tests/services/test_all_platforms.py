"""Every platform at once: a thousand mixed events reach the emulators, each delivery delivered or dropped with a reason."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.factories import AGENT, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.destinations import destination
from tracklayer.db.events import events_by_id
from tracklayer.domain.normalise import sha256_hex
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.credentials import settings_to_map
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, example_settings, sandbox_destinations, set_destination
from tracklayer.services.ingest import Accepted, ingest_events
from tracklayer.services.payload import payload_of
from tracklayer.services.preview import prepare, preview
from tracklayer.services.sweep import sweep
from tracklayer.services.trial import Tried, try_destination

NAMES = (
    "Purchase",
    "Lead",
    "AddToCart",
    "CompleteRegistration",
    "ViewContent",
    "Search",
    "PageView",
    "QuizFinished",
    "Refund",
)
SOURCES = ("website", "website", "website", "app", "physical_store", "phone_call", "other")
CURRENCIES = ("USD", "EUR", "JPY", "GBP")


@pytest.fixture
def everywhere(runtime: Runtime) -> Merchant:
    """A merchant with a destination on every platform."""
    made = new_merchant(runtime, meta=False)
    assert sandbox_destinations(runtime, made.merchant_id, PLATFORMS) == list(PLATFORMS)
    return made


def mixed(number: int, chance: random.Random) -> dict[str, Any]:
    """An event as a shop of many kinds might send it: some rich, some poor, some with faults in optional fields."""

    def maybe(value: Any, share: float = 0.5) -> Any:
        return value if chance.random() < share else None

    person = {
        "email": maybe(f"Jane.Doe+{number}@Gmail.com", 0.7),
        "phone": maybe("+1 (650) 555-0123"),
        "first_name": maybe("Anne-Marie"),
        "last_name": maybe("O'Neil"),
        "city": maybe("San Francisco"),
        "state": maybe("CA"),
        "zip": maybe("94107-1234"),
        "country": maybe("US"),
        "date_of_birth": maybe("1990-02-16"),
        "gender": maybe("f"),
        "external_id": maybe(f"cust-{number}"),
        "client_ip": maybe(chance.choice(["203.0.113.42", "2001:db8::1f", "999.1.1.1"]), 0.8),
        "client_user_agent": maybe(AGENT, 0.8),
        "fbp": maybe(chance.choice(["fb.1.1794000000123.1098115397", "fb.1.1713877200.1234567890"])),
        "fbclid": maybe("IwAR0AbCdEf_GhI-jKl"),
        "ttclid": maybe("E.C.P.abc123"),
        "gclid": maybe("Cj0KCQiA-abc_123"),
        "ga_client_id": maybe("1234567890.1713877200"),
        "epik": maybe("dj0yJnU9abc"),
        "sc_click_id": maybe("a1b2c3d4-e5f6-7890-abcd-ef1234567890"),
        "li_fat_id": maybe("0dc7a3e4-8bd5-4b2e-9d4f-1b3a5c7e9f01"),
        "rdt_cid": maybe("4783925710582634112"),
        "msclkid": maybe("0123456789abcdef0123456789abcdef"),
        "twclid": maybe("26l6412g5p4iyj65a2oic2ayg2"),
    }
    items = [
        {"id": f"SKU-{n}", "quantity": n + 1, "item_price": 19.95, "title": "Tee"} for n in range(chance.randrange(3))
    ]
    custom = {
        "value": maybe(chance.choice([10, 129.99, 0.5]), 0.8),
        "currency": maybe(chance.choice(CURRENCIES), 0.9),
        "order_id": maybe(f"order-{number}"),
        "contents": items or None,
        "product_ids": maybe(["SKU-1", "SKU-2"], 0.3),
        "num_items": maybe(3),
        "search_string": maybe("blue shoes", 0.2),
        "properties": maybe({"coupon": "WELCOME", "points": 12}, 0.3),
    }
    return draft(
        f"event_{number}",
        event_name=chance.choice(NAMES),
        occurred_at=f"2026-11-{chance.choice(['20T14', '19T03', '14T10', '01T00'])}:{chance.randrange(60):02}:00Z",
        action_source=chance.choice(SOURCES),
        event_source_url=maybe("https://shop.example.com/thanks?a=1", 0.8),
        user_data={name: value for name, value in person.items() if value is not None},
        custom_data={name: value for name, value in custom.items() if value is not None},
        consent={
            "ad_user_data": chance.choice(["granted", "unspecified", "unspecified", "denied"]),
            "limited_data_use": chance.random() < 0.1,
        },
    )


def test_a_thousand_mixed_events_are_delivered_or_dropped_with_a_reason_on_every_platform(
    runtime: Runtime, everywhere: Merchant, worker: int, sandbox: SandboxServer
) -> None:
    chance = random.Random(20261120)
    outcomes = ingest_events(runtime, everywhere.holder, [mixed(n, chance) for n in range(1000)]).outcomes
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    for merchant_id, platform in sweep(runtime).wake:
        while deliver_due(runtime, worker, merchant_id, platform):
            pass
    with in_transaction():
        found = rows("SELECT platform, status, drop_reason, count(*) FROM deliveries GROUP BY 1, 2, 3")
        errors = rows("SELECT platform, last_error FROM deliveries WHERE status = 'failed' LIMIT 5")
    assert errors == []
    statuses: Counter[str] = Counter()
    delivered: Counter[str] = Counter()
    for platform, status, reason, count in found:
        statuses[status] += count
        assert (reason is None) == (status == "delivered"), (platform, status, reason)
        if status == "delivered":
            delivered[platform] += count
    assert set(statuses) == {"delivered", "dropped"}
    assert statuses.total() == 1000 * len(PLATFORMS)
    assert set(delivered) == set(PLATFORMS)
    for platform in PLATFORMS:
        seen = httpx.get(f"{sandbox.url}/_accepted", params={"platform": platform}).json()
        assert seen["received"] == delivered[platform], platform


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_destination_is_tried_in_test_mode_or_says_what_to_do_instead(
    runtime: Runtime, everywhere: Merchant, sandbox: SandboxServer, platform: str
) -> None:
    mapper = mapper_for(platform)
    if not mapper.supports_test_events:
        problems = try_destination(runtime, everywhere.merchant_id, platform, None)
        assert isinstance(problems, list)
        assert [problem.code for problem in problems] == ["NO_TEST_MODE"]
        assert len(problems[0].message) > len(f"{mapper.title} has no test mode.") + 20
        return
    examples = {setting.name: setting.example for setting in mapper.settings}
    needed = {name: examples[name] for name, value in mapper.test_mode.items() if value is None}
    if needed:
        refused = try_destination(runtime, everywhere.merchant_id, platform, None)
        assert isinstance(refused, list)
        assert [problem.code for problem in refused] == ["TEST_SETTING_MISSING"]
    changed = set_destination(runtime, everywhere.merchant_id, platform, {**example_settings(mapper), **needed}, None)
    assert isinstance(changed, Changed)
    tried = try_destination(runtime, everywhere.merchant_id, platform, None)
    assert isinstance(tried, Tried), tried
    assert tried.attempt is not None
    assert (tried.attempt.outcome, tried.explanation) == ("acknowledged", None)
    secrets = [str(examples[setting.name]) for setting in mapper.settings if setting.secret and setting.example]
    assert not any(secret in str(tried.request) for secret in secrets)
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0,)]
    refusal = {"platform": platform, "kind": "credentials"}
    httpx.post(f"{sandbox.url}/_faults", json=refusal).raise_for_status()
    failed = try_destination(runtime, everywhere.merchant_id, platform, None)
    assert isinstance(failed, Tried)
    assert failed.attempt is not None
    assert failed.attempt.outcome == "credentials_refused"
    assert failed.explanation is not None
    assert failed.explanation.next_step


@pytest.mark.parametrize("hashing", [True, False])
def test_an_event_id_that_names_somebody_is_the_same_digest_at_every_attempt_with_hashing_on(
    runtime: Runtime, worker: int, sandbox: SandboxServer, clock: FrozenClock, hashing: bool
) -> None:
    made = new_merchant(runtime, meta=False, hashing=hashing)
    assert sandbox_destinations(runtime, made.merchant_id, PLATFORMS) == list(PLATFORMS)
    event_id = "lead_canary@shop.example"
    person = {"email": "jane@example.com", "client_ip": "203.0.113.42", "client_user_agent": AGENT, "gclid": "Cj0abc"}
    (outcome,) = ingest_events(runtime, made.holder, [draft(event_id, user_data=person)]).outcomes
    assert isinstance(outcome, Accepted)
    assert [(one.code, one.field) for one in outcome.warnings] == [("PERSONAL_DATA", ("event_id",))]

    def deliver() -> None:
        for merchant_id, platform in sweep(runtime).wake:
            while deliver_due(runtime, worker, merchant_id, platform):
                pass

    lost = {"platform": "meta", "kind": "drop_after_accept", "count": 1}
    httpx.post(f"{sandbox.url}/_faults", json=lost).raise_for_status()
    deliver()
    clock.move(timedelta(seconds=150))
    deliver_due(runtime, worker, made.merchant_id, "meta")
    sent = sha256_hex(event_id) if hashing else event_id
    for platform in PLATFORMS:
        items = httpx.get(f"{sandbox.url}/_accepted", params={"platform": platform}).json()["items"]
        assert items or platform in ("ga4",), platform
        assert ("canary" in str(items)) is (not hashing and bool(items)), platform
    seen = httpx.get(f"{sandbox.url}/_accepted", params={"platform": "meta"}).json()["items"]
    assert [(item["event_id"], item["times"]) for item in seen] == [(sent, 2)]
    with in_transaction():
        row = events_by_id(made.merchant_id, [event_id])[event_id]
        shown = destination(made.merchant_id, "meta")
    assert shown is not None
    settings = settings_to_map(runtime.sealer, shown)
    body = payload_of(row, mapper_for("meta"), settings, runtime.clock.now(), runtime.sealer)
    assert body["data"][0]["event_id"] == sent
    tried = preview(draft(event_id), prepare("meta", settings), runtime.clock.now())
    assert tried.request is not None
    assert tried.request["body"]["data"][0]["event_id"] == sent
