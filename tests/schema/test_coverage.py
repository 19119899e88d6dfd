"""``coverage``: which share of events carries which identifier."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.factories import AGENT, Api, Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction
from tracklayer.db.identities import Shown, show
from tracklayer.domain.facts import IDENTIFIERS
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, example_settings, set_destination
from tracklayer.services.erase import Begun, Request, erase_person
from tracklayer.services.ingest import ingest_events

QUERY = """
query($since: DateTime!, $until: DateTime!, $name: String) {
  coverage(since: $since, until: $until, eventName: $name) {
    eventName platform events identifiers enriched anyStrong
  }
}"""


async def coverage(api: Api, clock: FrozenClock, name: str | None = None, hours: int = 2) -> list[dict[str, Any]]:
    since, until = clock.now() - timedelta(minutes=5), clock.now() + timedelta(hours=hours)
    found = await api(QUERY, since=since.isoformat(), until=until.isoformat(), name=name)
    rows: list[dict[str, Any]] = found["coverage"]
    return rows


async def test_shares_are_told_by_name_and_of_what_each_platform_uses(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    email, machine = {"email": "jane@example.com"}, {"client_ip": "203.0.113.42", "client_user_agent": AGENT}
    ingest_events(
        runtime,
        merchant.holder,
        [
            draft("a", user_data={**machine, **email}),
            draft("b", user_data={**machine, **email, "ttclid": "E.C.P.abcdef0123456789"}),
            draft("c", user_data={**machine, "ttclid": "E.C.P.abcdef0123456789"}),
            draft("d", user_data=machine),
            draft("denied", user_data={**machine, **email}, consent={"ad_user_data": "denied"}),
            draft("e", event_name="Lead", user_data=email),
        ],
    )
    lead, lead_of_meta, whole, of_meta = await coverage(api, clock)
    assert (lead["eventName"], lead["platform"], lead["events"]) == ("Lead", None, 1)
    assert (lead_of_meta["platform"], lead_of_meta["identifiers"]["email"]) == ("META", 1)
    assert (whole["eventName"], whole["platform"], whole["events"]) == ("Purchase", None, 4)
    assert len(whole["identifiers"]) == len(IDENTIFIERS)
    told = whole["identifiers"]
    assert (told["email"], told["ttclid"], told["clientIp"], told["phone"]) == (0.5, 0.5, 1, 0)
    assert (whole["anyStrong"], whole["enriched"]) == (0.75, {})
    assert (of_meta["platform"], of_meta["events"], of_meta["anyStrong"]) == ("META", 4, 0.5)
    assert len(of_meta["identifiers"]) == len(mapper_for("meta").identifiers)
    assert "ttclid" not in of_meta["identifiers"]
    assert [row["eventName"] for row in await coverage(api, clock, "Lead")] == ["Lead", "Lead"]
    assert await coverage(api, clock, "Refund") == []


async def test_what_is_malformed_is_missing_and_a_list_counts_as_well(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    machine = {"client_ip": "203.0.113.42", "client_user_agent": AGENT}
    ingest_events(
        runtime,
        merchant.holder,
        [
            draft("a", user_data={**machine, "email": "nonsense", "phone": "12345", "fbp": "abc"}),
            draft("b", user_data={**machine, "emails": ["jane@example.com"], "phones": ["+16505550177"]}),
        ],
    )
    whole, _ = await coverage(api, clock)
    told = whole["identifiers"]
    assert (whole["events"], whole["anyStrong"]) == (2, 0.5)
    assert (told["email"], told["phone"], told["fbp"], told["clientIp"]) == (0.5, 0.5, 0, 1)


async def test_who_is_left_alone_counts_for_nothing(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    machine = {"client_ip": "203.0.113.42", "client_user_agent": AGENT}
    erased = Request(email="jane@example.com")
    assert isinstance(erase_person(runtime, merchant.merchant_id, erased, {"operator": "test"}, suppress=True), Begun)
    clock.move(timedelta(minutes=1))
    ingest_events(
        runtime,
        merchant.holder,
        [
            draft("hers", user_data={**machine, "email": "jane@example.com"}),
            draft("his", user_data=machine),
        ],
    )
    whole, _ = await coverage(api, clock)
    assert (whole["events"], whole["anyStrong"], whole["identifiers"]["email"]) == (1, 0, 0)


async def test_a_range_is_bounded(api: Api, clock: FrozenClock) -> None:
    for hours in (-3, 24 * 91):
        until = (clock.now() + timedelta(hours=hours)).isoformat()
        answer = (await api.post(QUERY, {"since": clock.now().isoformat(), "until": until})).json()
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await coverage(api, clock, hours=24 * 89) == []


async def test_what_stitching_added_is_told_once_an_event_beside_what_events_brought(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock, worker: int
) -> None:
    machine = {"client_ip": "203.0.113.42", "client_user_agent": AGENT}
    shown, other = "browser_of_jane_000001", "browser_of_john_000001"
    settings = example_settings(mapper_for("tiktok"))
    assert isinstance(set_destination(runtime, merchant.merchant_id, "tiktok", settings), Changed)
    ingest_events(
        runtime, merchant.holder, [draft("first", user_data={"browser_id": shown, "email": "jane@example.com"})]
    )
    with in_transaction():
        show(merchant.merchant_id, [Shown(shown, "ttclid", "E.C.P.abcdef0123456789", clock.now())])
    clock.move(timedelta(minutes=1))
    ingest_events(
        runtime,
        merchant.holder,
        [
            draft("anonymous", user_data={**machine, "browser_id": shown}),
            draft("own click", user_data={**machine, "browser_id": shown, "ttclid": "E.C.P.0123456789abcdef"}),
            draft("unknown", user_data={**machine, "browser_id": other}),
            draft("denied", user_data={**machine, "browser_id": shown}, consent={"ad_user_data": "denied"}),
        ],
    )
    assert (await coverage(api, clock))[0]["enriched"] == {}  # nothing is decided before an event is first sent
    for platform in ("meta", "tiktok"):  # the second finds what was decided
        while deliver_due(runtime, worker, merchant.merchant_id, platform):
            pass
        whole, of_meta, of_tiktok = await coverage(api, clock)
        # Of four: the first got the click that its browser showed shortly after, the anonymous one the person as well.
        assert whole["enriched"] == {"email": 0.5, "ttclid": 0.5}
        assert of_meta["enriched"] == {"email": 0.5}
        assert of_tiktok["enriched"] == {"email": 0.5, "ttclid": 0.5}
        assert (whole["events"], whole["identifiers"]["email"], whole["identifiers"]["ttclid"]) == (4, 0.25, 0.25)
