"""What events tell of browsers and people, what later ones get of it, and that it is decided once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.factories import AGENT, Api, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import identities as db
from tracklayer.db import storing as db_storing
from tracklayer.db.connection import database as connections
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.enrichments import Wanted, look_up
from tracklayer.db.event_search import EventSearch
from tracklayer.db.identities import Link, Shown
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.shown import PARAMETERS
from tracklayer.domain.stitching import (
    LINK_GRAIN,
    MOST_BROWSERS,
    MOST_IN_A_BROWSER,
    MOST_PAIRS,
    MOST_PEOPLE,
    MOST_VALUES,
    pair_of,
)
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.check import check_destination
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, example_settings, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.invariants import check_invariants
from tracklayer.services.merchants import update_merchant
from tracklayer.services.pacing import Redelivered
from tracklayer.services.privacy import purge_expired
from tracklayer.services.redeliver import redeliver_ids
from tracklayer.services.stored import count_stored

BROWSER, OTHER = "browser_of_jane_000001", "browser_of_john_000001"
DEVICE: dict[str, Any] = {"client_user_agent": AGENT, "client_ip": "203.0.113.42"}
JANE = "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"
STITCHED = """
query($id: String!, $platform: Platform! = META) { event(eventId: $id) {
  enrichment { field value source seenAt } enrichmentNote userData
  preview(platform: $platform) { request } deliveries { platform payload }
} }"""
IDENTIFY = """
mutation($input: IdentifyInput!) { identify(input: $input) { ok userErrors { field code message } } }"""


def ingest(
    runtime: Runtime, merchant: Merchant, event_id: str, occurred: datetime | None = None, **user_data: Any
) -> None:
    given = {name: value for name, value in user_data.items() if value is not None}
    at = (occurred or runtime.clock.now()).isoformat()
    ingest_events(runtime, merchant.holder, [draft(event_id, occurred_at=at, user_data=given)])


def show(merchant: Merchant, at: datetime, browser: str = BROWSER, consent: str | None = None, **signals: str) -> None:
    with in_transaction():
        db.show(merchant.merchant_id, [Shown(browser, kind, value, at, consent) for kind, value in signals.items()])


def ask_for(runtime: Runtime, merchant: Merchant) -> None:
    with in_transaction():
        execute(
            "UPDATE merchants SET stitched_since = %s WHERE merchant_id = %s",
            (runtime.clock.now(), merchant.merchant_id),
        )


def links(merchant: Merchant) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(
            "SELECT browser_id, kind, digest, first_seen_at, last_seen_at FROM browser_people WHERE merchant_id = %s "
            "ORDER BY browser_id, kind, digest",
            (merchant.merchant_id,),
        )


def deliver(runtime: Runtime, merchant: Merchant, worker: int, platform: str = "meta") -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, platform):
        pass


def sent(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """The bodies of all requests, oldest first."""
    found = httpx.get(f"{sandbox.url}/_requests", params={"limit": 500}).json()["requests"]
    return [request["body"] for request in sorted(found, key=lambda request: request["seq"]) if request["body"]]


@pytest.mark.parametrize("hashing", [True, False])
@pytest.mark.parametrize(
    "person",
    [
        {"phone": "+11111111111"},
        {"phone": "+10000000000"},
        {"phone": "+490000000000"},
        {"phone": "+55 11 99999-9999"},
        {"phone": "11999999999", "country": "BR"},
        {"email": "null@null.com"},
        {"email": "Undefined@undefined.com"},
        {"email": "x@null.com"},
        {"email": "noemail@shop.example"},
        {"email": "no-email+7@shop.example"},
        {"email": "Shop <noreply@shop.example>"},
        {"email": "mailto:noreply@shop.example"},
        {"email": "noreply @shop.example"},
        {"email": "\ufeff'x@null.com'"},
    ],
)
def test_what_strangers_write_who_give_no_address_makes_them_not_one(
    runtime: Runtime, clock: FrozenClock, hashing: bool, person: dict[str, Any]
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    ingest(runtime, merchant, "a", browser_id=BROWSER, gclid="click-of-a-stranger", **person)
    ingest(runtime, merchant, "b", browser_id=OTHER, **person)
    assert links(merchant) == []
    ingest(runtime, merchant, "c", browser_id=BROWSER, phone="+491701234567", email="jane@example.com")
    assert [(row[0], row[1]) for row in links(merchant)] == [(BROWSER, "email"), (BROWSER, "phone")]


def test_an_address_that_goes_out_is_linked_however_it_is_written(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest(runtime, merchant, "wide", browser_id=BROWSER, email="jane＠example.com")
    assert [row[:3] for row in links(merchant)] == [(BROWSER, "email", JANE)]


def test_an_event_links_its_browser_with_its_email_and_phone_once(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    at = clock.now()
    ingest(runtime, merchant, "a", browser_id=BROWSER, email="Jane@Example.com ", phone="+16505550123")
    assert [(row[0], row[1], row[3], row[4]) for row in links(merchant)] == [
        (BROWSER, "email", at, at),
        (BROWSER, "phone", at, at),
    ]
    assert links(merchant)[0][2] == JANE
    before = links(merchant)
    clock.move(timedelta(minutes=20))
    ingest(runtime, merchant, "a", browser_id=BROWSER, email="other@example.com")  # a repeat
    ingest(runtime, merchant, "b", browser_id=BROWSER, email=JANE)  # seen a moment ago
    assert links(merchant) == before
    later = clock.move(LINK_GRAIN)
    ingest(runtime, merchant, "c", browser_id=BROWSER, email=JANE)
    assert [(row[1], row[3], row[4]) for row in links(merchant)] == [("email", at, later), ("phone", at, at)]


@pytest.mark.parametrize(
    "user_data",
    [
        {"email": "jane@example.com"},
        {"browser_id": BROWSER},
        {"browser_id": BROWSER, "email": "no-reply@shop.example"},
        {"browser_id": BROWSER, "email": "POS@shop.example"},
        {"browser_id": BROWSER, "phone": "0151 23456789"},
        {"browser_id": "short", "email": "jane@example.com"},
        {"browser_id": "anonymous", "email": "jane@example.com"},
        {"browser_id": "00000000-0000-0000-0000-000000000000", "email": "jane@example.com"},
    ],
)
def test_what_tells_of_nobody_links_nothing(runtime: Runtime, merchant: Merchant, user_data: dict[str, Any]) -> None:
    ingest(runtime, merchant, "a", **user_data, client_user_agent=AGENT)
    assert links(merchant) == []


async def test_a_rule_that_requires_consent_holds_back_what_is_sent_and_nothing_else(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    with in_transaction():
        execute("UPDATE merchants SET require_consent = 'always'")
    show(merchant, clock.now(), gclid="Cj0KCQ_x-1")
    clock.move(timedelta(minutes=1))
    ingest(runtime, merchant, "silent", browser_id=BROWSER, email="jane@example.com", **DEVICE)
    assert [(row[0], row[1]) for row in links(merchant)] == [(BROWSER, "email")]
    deliver(runtime, merchant, worker)
    found = (await api(STITCHED, id="silent"))["event"]
    assert [one["field"] for one in found["enrichment"]] == ["gclid"]
    with in_transaction():
        assert rows("SELECT drop_reason, error_code FROM deliveries") == [("invalid_field", "CONSENT_MISSING")]


def test_whoever_denied_consent_is_not_linked(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    person: dict[str, Any] = {"browser_id": BROWSER, "email": "jane@example.com"}
    ingest_events(runtime, merchant.holder, [draft("a", user_data=person, consent={"ad_user_data": "denied"})])
    show(merchant, clock.now(), consent="denied", gclid="g")
    ingest(runtime, merchant, "b", **person)
    assert links(merchant) == []


def test_events_without_browsers_run_the_statement_they_always_did(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []
    real = db_storing.run_statement

    def counted(name: str, arguments: Any) -> list[tuple[Any, ...]]:
        run.append(name)
        return real(name, arguments)

    monkeypatch.setattr(db_storing, "run_statement", counted)
    ingest(runtime, merchant, "a", email="jane@example.com")
    ingest(runtime, merchant, "b", browser_id=BROWSER)
    ingest(runtime, merchant, "c", browser_id=BROWSER, email="jane@example.com")
    ingest(runtime, merchant, "d", browser_id=BROWSER, email="jane@example.com")
    assert run == [
        "store_events",
        "store_events",
        "store_link_and_refuse",
        "store_and_link",
    ]  # the first asks to be stitched


def test_what_is_refused_is_counted_with_what_is_stored_and_linked(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_money = {"value": 1, "currency": "no"}
    person = {"browser_id": BROWSER, "email": "jane@example.com"}
    for number, user_data in enumerate(({}, person)):
        ingest_events(
            runtime,
            merchant.holder,
            [draft(f"e{number}", user_data=user_data), draft(f"x{number}", custom_data=no_money)],
        )
    assert len(links(merchant)) == 1
    with in_transaction():
        told = rows(
            "SELECT code, sum(events) FROM rejections WHERE merchant_id = %s GROUP BY code", (merchant.merchant_id,)
        )
        counted = rows(
            "SELECT sum(accepted), sum(rejected) FROM minutes WHERE merchant_id = %s AND platform = ''",
            (merchant.merchant_id,),
        )
    assert told == [("INVALID_CURRENCY", 2)]
    assert counted == [(2, 2)]


def test_a_browser_keeps_its_latest_people_and_a_mailbox_as_many_browsers_as_tell(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []
    real = db_storing.run_statement

    def counted(name: str, arguments: Any) -> list[tuple[Any, ...]]:
        run.append(name)
        return real(name, arguments)

    monkeypatch.setattr(db_storing, "run_statement", counted)
    for number in range(MOST_PEOPLE + 3):
        clock.move(timedelta(minutes=1))
        ingest(runtime, merchant, f"p{number}", browser_id=BROWSER, email=f"p{number}@example.com")
    assert run.count("forget_crowd") == 3  # only where there are too many
    with in_transaction():
        kept = rows("SELECT last_seen_at FROM browser_people ORDER BY last_seen_at")
    assert len(kept) == MOST_PEOPLE
    assert kept[-1][0] == clock.now()
    for number in range(MOST_BROWSERS + 8):
        clock.move(timedelta(minutes=1))
        ingest(runtime, merchant, f"b{number}", browser_id=f"browser_{number:04}", email="team@example.com")
    with in_transaction():
        (count,) = rows("SELECT count(*) FROM browser_people WHERE browser_id LIKE 'browser_0%%'")[0]
    assert count == MOST_BROWSERS + 1


def test_of_a_kind_a_browser_keeps_the_latest_values(merchant: Merchant, clock: FrozenClock) -> None:
    for number in range(MOST_VALUES + 2):
        show(merchant, clock.move(timedelta(minutes=1)), gclid=f"click_{number}")
    show(merchant, clock.move(timedelta(minutes=1)), gclid="click_2")  # the oldest that is left, once more
    with in_transaction():
        kept = {row[0] for row in rows("SELECT value FROM browser_signals")}
    assert kept == {"click_2", "click_3", "click_4"}


async def test_what_was_added_is_shown_and_sent_and_the_event_stays(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    first = clock.now()
    show(merchant, first, fbclid="AbC", fbp="fb.1.1700000000000.123")
    clock.move(timedelta(hours=3))
    known = draft("known", user_data={"browser_id": BROWSER, "email": "jane@example.com"})
    await api.ingest({**known, "occurred_at": clock.now().isoformat()})
    clock.move(timedelta(minutes=1))
    cart = draft("cart", event_name="AddToCart", user_data={"browser_id": BROWSER, "client_user_agent": AGENT})
    await api.ingest({**cart, "occurred_at": clock.now().isoformat()})
    fbc = f"fb.1.{int(first.timestamp() * 1000)}.AbC"
    expected = [
        {"field": "fbc", "value": fbc, "source": "cookie", "seenAt": "2026-11-20T15:00:00.000Z"},
        {"field": "fbp", "value": "fb.1.1700000000000.123", "source": "cookie", "seenAt": "2026-11-20T15:00:00.000Z"},
        {"field": "email", "value": JANE, "source": "cookie", "seenAt": "2026-11-20T18:00:00.000Z"},
    ]
    beforehand = (await api(STITCHED, id="cart"))["event"]
    with in_transaction():
        assert rows("SELECT count(*) FROM enrichments")[0][0] == 0  # looking decides nothing
    deliver(runtime, merchant, worker)
    found = (await api(STITCHED, id="cart"))["event"]
    for shown in (beforehand, found):
        assert shown["enrichment"] == expected
        assert shown["enrichmentNote"] is None
        assert shown["userData"] == {"browser_id": BROWSER, "client_user_agent": AGENT}
        for body in (shown["preview"]["request"]["body"], shown["deliveries"][0]["payload"]):
            person = body["data"][0]["user_data"]
            assert (person["fbc"], person["fbp"], person["em"]) == (fbc, "fb.1.1700000000000.123", [JANE])
    items = {item["event_id"]: item["user_data"] for body in sent(sandbox) for item in body["data"]}
    assert (items["cart"]["fbc"], items["cart"]["em"]) == (fbc, [JANE])
    assert items["known"]["fbp"] == "fb.1.1700000000000.123"


async def test_no_platform_gets_an_old_click_in_place_of_the_one_in_the_pages_address(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    old = {form.kind: "0" * 31 + "1" if name == "msclkid" else "OldClick1" for name, form in PARAMETERS.items()}
    new = {name: "2" * 32 if name == "msclkid" else "NewClick2" for name in PARAMETERS}
    kinds = {form.kind for form in PARAMETERS.values()}
    page = f"https://shop.example.com/x?{urlencode(new)}"
    for platform in PLATFORMS:
        changed = set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)))
        assert isinstance(changed, Changed)
    show(merchant, clock.now(), fbc="fb.1.1700000000000.OldClick1", **old)
    ask_for(runtime, merchant)
    clock.move(timedelta(minutes=1))
    ingest(runtime, merchant, "link", browser_id=BROWSER, email="jane@example.com")
    clock.move(timedelta(minutes=1))
    at = clock.now().isoformat()
    ways: dict[str, dict[str, Any]] = {"cookie": {"browser_id": BROWSER}, "email": {"email": "jane@example.com"}}
    for way, own in ways.items():
        for shown, url in (("new", page), ("old", "https://shop.example.com/x")):
            event_id = f"{way}_{shown}"
            given = draft(event_id, occurred_at=at, event_source_url=url, user_data={**own, **DEVICE})
            ingest_events(runtime, merchant.holder, [given])
    for platform in PLATFORMS:
        deliver(runtime, merchant, worker, platform)
    for way in ways:
        for shown in ("new", "old"):
            found = (await api(STITCHED, id=f"{way}_{shown}"))["event"]
            got = {}
            for delivery in found["deliveries"]:
                body = str(delivery["payload"]).replace(page, "")
                clicks = {"old": ("OldClick1", old["msclkid"]), "new": ("NewClick2", new["msclkid"])}
                got[delivery["platform"]] = {age for age, values in clicks.items() if any(v in body for v in values)}
            takes = {key: kinds & {*mapper_for(key).identifiers} for key in PLATFORMS}
            assert got == {key.upper(): {shown} if takes[key] else set() for key in PLATFORMS}, way


async def test_why_nothing_was_added_is_shown(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ask_for(runtime, merchant)
    show(merchant, clock.now(), gclid="g")
    show(merchant, clock.now(), "refused_browser_0001", "denied", gclid="g")
    for email in ("jane@example.com", "john@example.com"):
        ingest(runtime, merchant, email, browser_id=BROWSER, email=email)
    for number in range(MOST_BROWSERS + 1):
        ingest(runtime, merchant, f"team{number}", browser_id=f"browser_{number:04}", email="team@example.com")
    ingest(runtime, merchant, "shared", browser_id=BROWSER)
    ingest(runtime, merchant, "many", email="team@example.com")
    ingest(runtime, merchant, "many_in_a_browser", browser_id="browser_0003")
    ingest(runtime, merchant, "refused", browser_id="refused_browser_0001")
    ingest(runtime, merchant, "unknown", browser_id="unknown_browser_0001")
    ingest(runtime, merchant, "stranger", email="stranger@example.com")
    ingest(runtime, merchant, "nobody", client_user_agent=AGENT)
    notes = {
        "shared": "SHARED_BROWSER",
        "many": "MAILBOX_OF_MANY",
        "many_in_a_browser": "MAILBOX_OF_MANY",
        "refused": "CONSENT_DENIED",
        "unknown": "NO_BROWSER_KNOWN",
        "stranger": "NO_BROWSER_KNOWN",
        "nobody": None,
    }
    for _ in ("before it is mapped", "after"):
        for event_id, note in notes.items():
            found = (await api(STITCHED, id=event_id))["event"]
            assert found["enrichmentNote"] == note, event_id
            assert [one["field"] for one in found["enrichment"]] == (["gclid"] if event_id == "shared" else [])
        deliver(runtime, merchant, worker)


def test_a_mailbox_with_very_many_events_a_day_takes_nothing(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    show(merchant, clock.now(), gclid="g")
    ingest(runtime, merchant, "link", browser_id=BROWSER, email="till1@shop.example")
    for number in range(60):
        ingest(runtime, merchant, f"order_{number:02}", email="till1@shop.example")
        if number % 10 == 9:
            deliver(runtime, merchant, worker)
    with in_transaction():
        found = dict(rows("SELECT event_id, coalesce(note, fields::jsonb -> 0 ->> 'value') FROM enrichments"))
    # Counted by what was decided before a batch.
    assert found["order_49"] == "g"
    assert found["order_59"] == "mailbox_of_many"


def test_an_events_own_time_and_its_platforms_window_count(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ask_for(runtime, merchant)
    show(merchant, clock.now(), ttclid="t")
    window = timedelta(days=28)
    clicked = clock.now()
    clock.move(window + timedelta(minutes=1))
    ingest(runtime, merchant, "inside", clicked + window, browser_id=BROWSER)
    ingest(runtime, merchant, "outside", clicked + window + timedelta(seconds=1), browser_id=BROWSER)
    deliver(runtime, merchant, worker)
    with in_transaction():
        found = dict(rows("SELECT event_id, fields::jsonb -> 0 ->> 'value' FROM enrichments"))
    assert found == {"inside": "t", "outside": None}


def test_an_event_of_before_is_not_stitched_nor_one_that_a_platform_may_have_got_as_it_came(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    show(merchant, clock.now(), fbp="fb.1.1700000000000.123")
    ingest(runtime, merchant, "before", browser_id=BROWSER, **DEVICE)
    clock.move(timedelta(seconds=1))
    ask_for(runtime, merchant)
    ingest(runtime, merchant, "tried", browser_id=BROWSER, **DEVICE)
    with in_transaction():
        execute("UPDATE deliveries SET attempts = 1, status = 'failed' WHERE event_id = 'tried'")
    deliver(runtime, merchant, worker)
    (body,) = sent(sandbox)
    assert [item["user_data"].get("fbp") for item in body["data"]] == [None, None]


@pytest.mark.parametrize("linked_by", ["identify", "an event"])
async def test_a_link_asks_for_stitching_also_right_after_the_collector_was_switched_on(
    runtime: Runtime, api: Api, merchant: Merchant, worker: int, clock: FrozenClock, linked_by: str
) -> None:
    clock.instant = datetime.now(UTC)
    collector = {"enabled": True, "origins": ["https://www.shop.example.com"]}
    assert not isinstance(update_merchant(runtime, merchant.merchant_id, {"collector": collector}), list)
    show(merchant, clock.now(), gclid="g")
    if linked_by == "identify":
        said = await api(IDENTIFY, input={"browserId": BROWSER, "userData": {"email": "jane@example.com"}})
        assert said["identify"]["ok"]
    else:
        ingest(runtime, merchant, "linking", browser_id=BROWSER, email="jane@example.com")
    ingest(runtime, merchant, "order", email="jane@example.com")
    deliver(runtime, merchant, worker)
    assert added("order") == ({"gclid": "g"}, None)


def test_retried_and_redelivered_it_is_one_body(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    show(merchant, clock.now(), fbclid="first", fbp="fb.1.1700000000000.123")
    ingest(runtime, merchant, "link", browser_id=BROWSER, email="jane@example.com")
    deliver(runtime, merchant, worker)
    ingest(runtime, merchant, "order", browser_id=BROWSER, client_user_agent=AGENT)
    refuse = {"platform": "meta", "kind": "refuse", "event_ids": ["order"]}
    httpx.post(f"{sandbox.url}/_faults", json=refuse).raise_for_status()
    for number in range(5):
        deliver(runtime, merchant, worker)
        show(merchant, clock.now(), fbclid=f"later_{number}", fbp=f"fb.1.1800000000000.{number}")
        ingest(runtime, merchant, f"also_{number}", browser_id=BROWSER, email=f"p{number}@example.com")
        clock.move(timedelta(hours=3))
    httpx.delete(f"{sandbox.url}/_faults").raise_for_status()
    assert redeliver_ids(runtime, merchant.merchant_id, [("order", "meta")], DeliverySearch()).requeued == 1
    deliver(runtime, merchant, worker)
    alone = [body["data"] for body in sent(sandbox) if body["data"][-1]["event_id"] == "order"]
    bodies = [item for data in alone for item in data if item["event_id"] == "order"]
    assert len(bodies) >= 6
    assert all(one == bodies[0] for one in bodies)
    assert bodies[0]["user_data"]["em"] == [JANE]


def bodies_of(sandbox: SandboxServer, event_id: str) -> list[Any]:
    """What platforms were told of the person of an event, attempt by attempt."""
    items = [item for body in sent(sandbox) for item in body["data"]]
    return [item.get("user_data") or item["user"] for item in items if item["event_id"] == event_id]


@pytest.mark.parametrize("redelivered", [True, False])
def test_what_one_platform_got_as_it_came_goes_as_it_came_to_all(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, redelivered: bool
) -> None:
    """It was tried before anybody asked for stitching, by a link that was committed later and received before."""
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    show(merchant, clock.now(), fbp="fb.1.1700000000000.123", ttp="ttp_of_jane")
    ingest(runtime, merchant, "order", browser_id=BROWSER, **DEVICE)
    fault = {"kind": "refuse", "event_ids": ["order"]} if redelivered else {"kind": "error"}
    fault["platform"] = "meta"
    httpx.post(f"{sandbox.url}/_faults", json=fault).raise_for_status()
    deliver(runtime, merchant, worker)
    with in_transaction():
        of_jane = Link(BROWSER, "email", JANE, {"basic": JANE}, clock.now())
        db.link_people(merchant.merchant_id, [of_jane], clock.now())
    httpx.delete(f"{sandbox.url}/_faults").raise_for_status()
    if redelivered:
        assert redeliver_ids(runtime, merchant.merchant_id, [("order", "meta")], DeliverySearch()).requeued == 1
    else:
        deliver(runtime, merchant, worker, "tiktok")
        clock.move(timedelta(minutes=5))
    deliver(runtime, merchant, worker)
    with in_transaction():
        assert rows("SELECT fields FROM enrichments") == [([],)]
    told = bodies_of(sandbox, "order")
    assert len(told) == (2 if redelivered else 3)
    assert not any({"fbp", "ttp", "em", "email"} & one.keys() for one in told)


def test_what_is_on_its_way_as_it_came_goes_as_it_came_to_all(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer, between: Any
) -> None:
    """One platform has it in its hands when stitching is asked for, and another one takes it up."""
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    show(merchant, clock.now(), fbp="fb.1.1700000000000.123", ttp="ttp_of_jane")
    ingest(runtime, merchant, "order", browser_id=BROWSER, **DEVICE)

    def meanwhile() -> None:
        with in_transaction():
            of_jane = Link(BROWSER, "email", JANE, {"basic": JANE}, clock.now())
            db.link_people(merchant.merchant_id, [of_jane], clock.now())
        deliver(runtime, merchant, worker, "tiktok")

    between(meanwhile)
    deliver(runtime, merchant, worker)
    told = bodies_of(sandbox, "order")
    assert len(told) == 2
    assert not any({"fbp", "ttp", "em", "email"} & one.keys() for one in told)


def test_four_workers_and_signals_that_arrive_meanwhile_still_decide_once(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, database: str, sandbox: SandboxServer
) -> None:
    """Each worker has a platform of its own, all look at the same events, and what is known changes all the time."""
    platforms = ("meta", "tiktok", "pinterest", "snapchat")
    for platform in platforms[1:]:
        set_destination(runtime, merchant.merchant_id, platform, example_settings(mapper_for(platform)), None)
    ask_for(runtime, merchant)
    count = 60

    def show_all(at: datetime, number: int) -> None:
        with in_transaction():
            values = {
                "fbp": f"fb.1.1700000000000.{number}",
                "ttp": f"ttp_{number}",
                "epik": f"epik_{number}",
                "sc_cookie1": f"{number}",
            }
            shown = [
                Shown(f"browser_{browser:06}", kind, value, at)
                for browser in range(count)
                for kind, value in values.items()
            ]
            db.show(merchant.merchant_id, shown)

    show_all(clock.now(), 1)
    drafts = [
        draft(
            f"order_{number:03}",
            occurred_at=clock.now().isoformat(),
            user_data={"browser_id": f"browser_{number:06}", **DEVICE},
        )
        for number in range(count)
    ]
    ingest_events(runtime, merchant.holder, drafts)
    done, start = threading.Event(), threading.Barrier(len(platforms) + 1)

    def show_more() -> None:
        start.wait()
        number = 1
        while not done.is_set():
            number += 1
            show_all(clock.now() + timedelta(milliseconds=number), number)
        connections.close()

    def work(platform: str) -> None:
        lock = WorkerLock(database)
        start.wait()
        deliver(runtime, merchant, lock.number(), platform)
        lock.release()
        connections.close()

    threads = [threading.Thread(target=work, args=(platform,)) for platform in platforms]
    shower = threading.Thread(target=show_more)
    for thread in (*threads, shower):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    shower.join()
    with in_transaction():
        decided = {
            event_id: {one["field"]: one["value"] for one in fields}
            for event_id, fields in rows("SELECT event_id, fields FROM enrichments")
        }
    assert decided.keys() == {one["event_id"] for one in drafts}
    told: dict[str, set[str]] = {"fbp": set(), "ttp": set(), "click_id": set(), "sc_cookie1": set()}
    kinds = {"click_id": "epik"}
    for body in sent(sandbox):
        for item in body["data"]:
            person = item.get("user_data") or item["user"]
            for name in told.keys() & person.keys():
                assert person[name] == decided[item["event_id"]][kinds.get(name, name)]
                told[name].add(item["event_id"])
    assert {name: len(found) for name, found in told.items()} == dict.fromkeys(told, count)


def added(event_id: str) -> tuple[dict[str, Any], str | None]:
    with in_transaction():
        ((fields, note),) = rows("SELECT fields, note FROM enrichments WHERE event_id = %s", (event_id,))
    return {one["field"]: one["value"] for one in fields}, note


async def test_an_email_and_a_phone_that_no_call_said_together_are_two_people(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    async def say(browser_id: str, **user_data: str) -> None:
        said = await api(IDENTIFY, input={"browserId": browser_id, "userData": user_data})
        assert said["identify"]["ok"]

    await say(BROWSER, email="jane@example.com")
    await say(BROWSER, phone="+16505550123")
    ingest(runtime, merchant, "two", browser_id=BROWSER)
    deliver(runtime, merchant, worker)
    assert added("two") == ({}, "shared_browser")
    # Both were seen a moment ago: that they are one person's is news all the same.
    clock.move(timedelta(minutes=5))
    await say(BROWSER, email="jane@example.com", phone="+16505550123")
    ingest(runtime, merchant, "one", browser_id=BROWSER)
    deliver(runtime, merchant, worker)
    fields, note = added("one")
    assert (set(fields), note) == ({"email", "phone"}, None)
    assert fields["email"]["basic"] == JANE
    assert "pairs" not in fields["email"]
    # It is still known when each was seen alone since, and an order says it as well as a call.
    clock.move(timedelta(hours=2))
    await say(BROWSER, email="jane@example.com")
    ingest(runtime, merchant, "still", browser_id=BROWSER)
    ingest(runtime, merchant, "order", browser_id=OTHER, email="john@example.com", phone="+16505550199")
    deliver(runtime, merchant, worker)
    ingest(runtime, merchant, "johns", browser_id=OTHER)
    deliver(runtime, merchant, worker)
    for event_id in ("still", "johns"):
        assert added(event_id)[0].keys() == {"email", "phone"}


def test_of_an_email_the_latest_phones_that_came_with_it_are_remembered(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for number in range(MOST_PAIRS + 2):
        clock.move(timedelta(minutes=1))
        phone = f"+1650555{number:04}"
        ingest(runtime, merchant, f"o{number}", browser_id=BROWSER, email="jane@example.com", phone=phone)
    with in_transaction():
        ((pairs,),) = rows("SELECT digests ->> 'pairs' FROM browser_people WHERE kind = 'email'")
        phones = rows("SELECT digest FROM browser_people WHERE kind = 'phone' ORDER BY last_seen_at DESC")
    assert pairs.split() == [pair_of(JANE, digest) for (digest,) in phones[:MOST_PAIRS]]


def test_an_order_is_found_by_its_phone_or_another_email_where_its_email_was_seen_nowhere(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    show(merchant, clock.now(), gclid="g")
    show(merchant, clock.now(), OTHER, gclid="o")
    ingest(runtime, merchant, "a", browser_id=BROWSER, phone="+16505550123")
    ingest(runtime, merchant, "b", browser_id=OTHER, email="second@example.com")
    ingest(runtime, merchant, "phone", email="new@example.com", phone="+16505550123")
    ingest(runtime, merchant, "second", emails=["first@example.com", "second@example.com"])
    ingest(runtime, merchant, "email", email="second@example.com", phone="+16505550123")
    ingest(runtime, merchant, "placeholder", browser_id="anonymous", email="second@example.com")
    deliver(runtime, merchant, worker)
    found = {event_id: added(event_id)[0] for event_id in ("phone", "second", "email", "placeholder")}
    assert found == {
        "phone": {"gclid": "g"},
        "second": {"gclid": "o"},
        "email": {"gclid": "o"},
        "placeholder": {"gclid": "o"},
    }


def test_a_tills_phone_gives_nobody_the_click_of_a_customer(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    for number in range(3):
        browser = f"browser_of_buyer_{number:06}"
        show(merchant, clock.now(), browser, gclid=f"buyer-{number}", fbclid=f"IwAR-buyer-{number}")
        phone = "+16505550123" if number else "+1 (650) 555-0123"
        email = f"buyer.{number}@example.com"
        ingest(runtime, merchant, f"order{number}", browser_id=browser, email=email, phone=phone)
        deliver(runtime, merchant, worker)
    ingest(runtime, merchant, "at-the-till", phone="+16505550123")
    ingest(runtime, merchant, "with-a-name", phone="+16505550123", first_name="Otto")
    ingest(runtime, merchant, "new", phone="+16505550123", email="otto@example.com")
    ingest(runtime, merchant, "hers", phone="+16505550123", email="buyer.1@example.com")
    deliver(runtime, merchant, worker)
    for event_id in ("at-the-till", "with-a-name", "new"):
        assert added(event_id) == ({}, "shared_browser")
    assert added("hers")[0]["gclid"] == "buyer-1"


@pytest.mark.parametrize("hashing", [True, False])
def test_one_mailbox_at_gmail_is_one_person_in_whatever_spelling(
    runtime: Runtime, clock: FrozenClock, worker: int, hashing: bool
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    pairs = [
        ("jd@gmail.com", "jd@googlemail.com"),
        ("j.d@googlemail.com", "jd@googlemail.com"),
        ("j.d@googlemail.com", "jd@gmail.com"),
        ("jd@googlemail.com", "j.d@gmail.com"),
        ("j.d@gmail.com", "jd+shop@googlemail.com"),
        ("Jd@GMAIL.com", "jd@GoogleMail.com"),
    ]
    for number, spellings in enumerate(pairs):
        browser = f"browser_of_jd_{number:06}"
        for email in spellings:
            ingest(
                runtime, merchant, f"{number}-{email}", browser_id=browser, email=email.replace("d", f"d{number}", 1)
            )
        ingest(runtime, merchant, f"nobodys-{number}", browser_id=browser)
    ingest(runtime, merchant, "one", browser_id=BROWSER, email="jd@gmail.com")
    ingest(runtime, merchant, "another", browser_id=BROWSER, email="jd@googlemail.example")
    ingest(runtime, merchant, "of-two", browser_id=BROWSER)
    deliver(runtime, merchant, worker)
    assert {number: added(f"nobodys-{number}")[0].keys() for number in range(len(pairs))} == {
        number: {"email"} for number in range(len(pairs))
    }
    assert added("of-two") == ({}, "shared_browser")


async def test_a_browser_is_the_same_one_with_a_blank_behind_its_id(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    show(merchant, clock.now(), gclid="g")
    said = await api(IDENTIFY, input={"browserId": f"{BROWSER} ", "userData": {"email": "jane@example.com"}})
    assert said["identify"]["ok"]
    assert [row[:2] for row in links(merchant)] == [(BROWSER, "email")]
    ingest(runtime, merchant, "order", browser_id=f"{BROWSER} ")
    deliver(runtime, merchant, worker)
    assert added("order")[0].keys() == {"gclid", "email"}
    show(merchant, clock.now(), "refused_browser_0001", "denied", gclid="g")
    refused = {"browserId": " refused_browser_0001", "userData": {"email": "jane@example.com"}}
    said = await api(IDENTIFY, input=refused)
    assert [error["code"] for error in said["identify"]["userErrors"]] == ["CONSENT_DENIED"]


async def test_what_was_added_is_taken_back_where_the_browser_refuses_before_it_is_sent_again(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    show(merchant, clock.now(), fbclid="hers", fbp="fb.1.1700000000000.123")
    show(merchant, clock.now(), OTHER, ttclid="t")
    for browser in (BROWSER, OTHER):
        ingest(runtime, merchant, f"link_{browser}", browser_id=browser, email="jane@example.com")
    deliver(runtime, merchant, worker)
    refuse = {"platform": "meta", "kind": "refuse", "event_ids": ["cart", "phoned", "others", "bare"]}
    httpx.post(f"{sandbox.url}/_faults", json=refuse).raise_for_status()
    ingest(runtime, merchant, "cart", browser_id=BROWSER, **DEVICE)
    ingest(runtime, merchant, "bare", browser_id=BROWSER, client_user_agent=AGENT)
    ingest(runtime, merchant, "phoned", email="jane@example.com", **DEVICE)
    ingest(runtime, merchant, "others", browser_id=OTHER, **DEVICE)
    deliver(runtime, merchant, worker)
    assert added("cart")[0].keys() == {"fbc", "fbp", "email"}
    assert added("phoned")[0].keys() == {"fbc", "fbp", "ttclid"}
    with in_transaction():
        db.show(merchant.merchant_id, [Shown(BROWSER, None, None, clock.now(), "denied")])
        db.forget_signals(merchant.merchant_id, [BROWSER])
    expected: dict[str, tuple[set[str], str | None]] = {
        "cart": (set(), "CONSENT_DENIED"),
        "phoned": ({"ttclid"}, "CONSENT_DENIED"),
        "others": ({"ttclid", "email"}, None),
    }
    for event_id, (fields, note) in expected.items():  # at once, before it is sent again
        seen = (await api(STITCHED, id=event_id))["event"]
        assert ({one["field"] for one in seen["enrichment"]}, seen["enrichmentNote"]) == (fields, note)
    httpx.delete(f"{sandbox.url}/_faults").raise_for_status()
    ids = [(event_id, "meta") for event_id in (*expected, "bare")]
    assert redeliver_ids(runtime, merchant.merchant_id, ids, DeliverySearch()).requeued == 4
    deliver(runtime, merchant, worker)
    last = {item["event_id"]: item["user_data"] for body in sent(sandbox) for item in body["data"]}
    assert not {"fbc", "fbp", "em"} & last["cart"].keys()
    assert not {"fbc", "fbp"} & last["phoned"].keys()
    assert last["others"]["em"] == [JANE]
    with in_transaction():
        assert rows("SELECT event_id, drop_reason FROM deliveries WHERE status = 'dropped'") == [
            ("bare", "missing_identifiers")
        ]
    for event_id, (fields, note) in expected.items():
        kept, why = added(event_id)
        assert (set(kept), why) == (fields, note.lower() if note else None)


async def test_a_browser_of_many_gives_nobody_anything_and_says_so(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    show(merchant, clock.now(), gclid="the first one's")
    for number in range(MOST_IN_A_BROWSER + 3):
        clock.move(timedelta(minutes=1))
        own: dict[str, Any] = {"email": f"k{number}@example.com", "phone": f"+1650555{number:04}"}
        ingest(runtime, merchant, f"order_{number}", browser_id=BROWSER, **own)
        deliver(runtime, merchant, worker)
    clock.move(timedelta(minutes=1))
    ingest(runtime, merchant, "anonymous", browser_id=BROWSER)
    ingest(runtime, merchant, "phoned", email="k7@example.com")
    deliver(runtime, merchant, worker)
    for event_id in (f"order_{MOST_IN_A_BROWSER + 1}", f"order_{MOST_IN_A_BROWSER + 2}", "anonymous", "phoned"):
        found = (await api(STITCHED, id=event_id))["event"]
        assert (found["enrichment"], found["enrichmentNote"]) == ([], "BROWSER_OF_MANY")


async def test_identify_links_and_says_what_is_wrong(api: Api, merchant: Merchant, clock: FrozenClock) -> None:
    async def say(browser_id: str, **user_data: str) -> Any:
        return (await api(IDENTIFY, input={"browserId": browser_id, "userData": user_data}))["identify"]

    assert await say(BROWSER, email="jane@example.com") == {"ok": True, "userErrors": []}
    assert await say(BROWSER, email="jane@example.com") == {"ok": True, "userErrors": []}
    assert (await say(OTHER, phone="+16505550123"))["ok"]
    assert [row[:2] for row in links(merchant)] == [(OTHER, "phone"), (BROWSER, "email")] or [
        row[:2] for row in links(merchant)
    ] == [(BROWSER, "email"), (OTHER, "phone")]
    before = links(merchant)
    show(merchant, clock.now(), "refused_browser_0001", "denied", gclid="g")
    for browser_id, user_data, field, code in (
        (BROWSER, {}, "userData", "REQUIRED"),
        (BROWSER, {"firstName": "Jane"}, "userData", "REQUIRED"),
        (BROWSER, {"email": "noreply@shop.example"}, "userData", "NOT_LINKED"),
        (BROWSER, {"phone": "+11111111111"}, "userData", "NOT_LINKED"),
        ("short", {"email": "jane@example.com"}, "browserId", "INVALID_VALUE"),
        (BROWSER, {"email": "jane@example.com", "browserId": OTHER}, "userData.browserId", "INVALID_VALUE"),
        ("refused_browser_0001", {"email": "jane@example.com"}, "browserId", "CONSENT_DENIED"),
    ):
        found = await say(browser_id, **user_data)
        assert not found["ok"]
        error = found["userErrors"][0]
        assert (".".join(error["field"]) if isinstance(error["field"], list) else error["field"], error["code"]) == (
            field,
            code,
        )
        assert "jane@" not in str(found)
    short = (await say("short", email="jane@example.com"))["userErrors"][0]["message"]
    assert short.startswith("browserId must be the id that /tl.js gives a browser")
    assert short.endswith(".")
    national = await say(BROWSER, phone="0151 23456789")
    assert [error["code"] for error in national["userErrors"]] == ["NOT_LINKED", "IDENTIFIER_MALFORMED"]
    assert links(merchant) == before


def test_links_and_signals_die_at_last_seen_and_retention_and_enrichments_with_their_event(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    def count() -> dict[str, int]:
        with in_transaction():
            tables = ("browsers", "browser_signals", "browser_people", "enrichments", "events")
            return {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    other = new_merchant(runtime)
    for one in (merchant, other):
        show(one, clock.now(), gclid="g")
        ingest(runtime, one, "order", browser_id=BROWSER, email="jane@example.com")
        deliver(runtime, one, worker)
    update_merchant(runtime, other.merchant_id, {"retention_days": 365})
    clock.move(timedelta(days=60))
    show(merchant, clock.now(), OTHER, gclid="seen later")
    clock.move(timedelta(days=30))
    purge_expired(runtime)
    assert count() == {"browsers": 3, "browser_signals": 3, "browser_people": 2, "enrichments": 2, "events": 2}
    clock.move(timedelta(seconds=1))
    purge_expired(runtime)
    assert count() == {"browsers": 2, "browser_signals": 2, "browser_people": 1, "enrichments": 1, "events": 1}
    update_merchant(runtime, merchant.merchant_id, {"retention_days": 30})
    purge_expired(runtime)
    assert count() == {"browsers": 1, "browser_signals": 1, "browser_people": 1, "enrichments": 1, "events": 1}
    with in_transaction():
        assert rows("SELECT merchant_id FROM browsers") == [(other.merchant_id,)]


def test_a_shorter_retention_applies_at_once(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ask_for(runtime, merchant)
    show(merchant, clock.now(), gclid="g", fbp="fb.1.1700000000000.1")
    clock.move(timedelta(days=40))
    ingest(runtime, merchant, "before", browser_id=BROWSER)
    deliver(runtime, merchant, worker)
    update_merchant(runtime, merchant.merchant_id, {"retention_days": 30})
    ingest(runtime, merchant, "after", browser_id=BROWSER)  # nothing was purged yet
    deliver(runtime, merchant, worker)
    with in_transaction():
        found = dict(rows("SELECT event_id, json_array_length(fields) FROM enrichments"))
    assert found == {"before": 2, "after": 0}


def test_what_would_be_refused_is_told_with_what_would_be_added(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Google Ads takes no event without a click or a person."""
    settings = example_settings(mapper_for("google_ads"))
    changed = set_destination(runtime, merchant.merchant_id, "google_ads", settings, ["Lead"])
    ask_for(runtime, merchant)
    ingest(runtime, merchant, "order", browser_id=BROWSER, client_user_agent=AGENT)
    changed = set_destination(runtime, merchant.merchant_id, "google_ads", settings, None)
    assert isinstance(changed, Changed)
    sent_of = []
    for _ in range(2):
        checked = check_destination(runtime, changed.row)
        counted = count_stored(runtime, merchant.merchant_id, "google_ads", EventSearch())
        assert checked is not None
        assert isinstance(counted, Redelivered)
        sent_of.append((checked.would_send, counted.requeued))
        show(merchant, clock.now(), gclid="click")
    assert sent_of == [(0, 0), (1, 1)]


def test_nothing_breaks_an_invariant(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> None:
    show(merchant, clock.now(), gclid="g")
    for number in range(20):
        ingest(runtime, merchant, f"o{number}", browser_id=f"browser_{number:04}", email=f"p{number}@example.com")
    deliver(runtime, merchant, worker)
    clock.move(timedelta(minutes=2))
    assert check_invariants(clock.now()) == []


def all_at_once(steps: int, write: Callable[[int, int], None]) -> None:
    """Four threads, each with so many transactions: ``write(thread, step)``. None of them may fail."""
    start, failed = threading.Barrier(4), []

    def run(seed: int) -> None:
        try:
            start.wait()
            for step in range(steps):
                with in_transaction():
                    write(seed, step)
        except Exception as error:  # noqa: BLE001 - the test tells
            failed.append(error)
        finally:
            connections.close()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_signals_of_concurrent_calls_never_wait_crosswise(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    def show(seed: int, step: int) -> None:
        at = clock.now() + timedelta(seconds=4 * step + seed)
        values = [(browser, (seed + step + browser) % 8) for browser in range(6)]
        db.show(merchant.merchant_id, [Shown(f"browser_{b:04}", "gclid", f"click-{v}", at) for b, v in values])

    all_at_once(100, show)


def test_links_of_concurrent_calls_never_wait_crosswise(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    def link(seed: int, step: int) -> None:
        pairs = [(browser, person) for browser in range(6) for person in range(6)]
        chosen = pairs[(seed * 7 + step * 5) % 30 :][:6]
        at = clock.now() + timedelta(hours=2 * step, minutes=seed)
        db.link_people(
            merchant.merchant_id,
            [Link(f"browser_{b:04}", "email", f"{p:064}", {"basic": f"{p:064}"}, at) for b, p in chosen],
            clock.now(),
        )

    all_at_once(30, link)
    with in_transaction():
        counts = rows("SELECT count(*) FROM browser_people GROUP BY browser_id")
    assert max(row[0] for row in counts) <= 6


async def test_identify_speaks_of_no_event(api: Api) -> None:
    given = {"email": "jane@example.com", "fbp": "x", "gclid": "{gclid}", "zip": "N/A", "externalId": "j@example.com"}
    found = (await api(IDENTIFY, input={"browserId": BROWSER, "userData": given}))["identify"]
    assert found["ok"]
    assert [error["code"] for error in found["userErrors"]] == [
        "IDENTIFIER_PLACEHOLDER",
        "PERSONAL_DATA",
        "IDENTIFIER_MALFORMED",
        "IDENTIFIER_PLACEHOLDER",
    ]
    assert not [error["message"] for error in found["userErrors"] if "event" in error["message"].lower()]
    assert all(error["message"].endswith(".") for error in found["userErrors"])


def test_whom_a_browser_was_seen_with_is_looked_up_where_it_says_anything(
    merchant: Merchant, clock: FrozenClock
) -> None:
    now, many = clock.now(), MOST_IN_A_BROWSER + 1
    with in_transaction():
        for browser, count in ((BROWSER, MOST_IN_A_BROWSER), (OTHER, many)):
            people = [Link(browser, "email", f"{browser}{number}", {}, now) for number in range(count)]
            db.link_people(merchant.merchant_id, people, now)

    def known(*wanted: Wanted) -> dict[str, int]:
        with in_transaction():
            found = look_up(merchant.merchant_id, wanted, timedelta(days=90), now)
        return {browser_id: len(browser.people) for browser_id, browser in found.browsers.items()}

    assert known(Wanted("of_jane", BROWSER, is_anonymous=False), Wanted("of_john", OTHER, is_anonymous=False)) == {
        OTHER: many
    }
    assert known(Wanted("of_nobody", BROWSER)) == {BROWSER: MOST_IN_A_BROWSER}
    by_email = Wanted("of_her", None, (f"{BROWSER}0",), is_anonymous=False)
    assert known(by_email, Wanted("of_jane", BROWSER, is_anonymous=False)) == {BROWSER: MOST_IN_A_BROWSER}
