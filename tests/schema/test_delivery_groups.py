"""Deliveries by what befell them: which groups there are, what is said of each, and that nothing is counted to its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.factories import Api, Merchant, draft, new_merchant
from tests.redelivering import go_on, select
from tracklayer.clock import FrozenClock
from tracklayer.db import delivery_groups as db
from tracklayer.db import redeliveries
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, pause_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.redeliver import continue_redeliveries

GROUPS = """
query($filter: DeliveryFilter) { deliveryGroups(filter: $filter) {
  platform status held dropReason code count isExact newestQueuedAt oldestQueuedAt exampleEventId exampleError
  whatToDo mayRedeliver explanation { code summary nextStep docsUrl } } }"""
DELIVERIES = (
    "query($filter: DeliveryFilter) { deliveries(filter: $filter) { nodes { event { eventId } windowEndsAt } } }"
)
ENDED = "due_at = NULL, next_retry_at = NULL, finished_at = queued_at, status = 'dropped'"


def put(merchant: Merchant, event_id: str, changes: str, platform: str = "meta") -> None:
    """Makes of a delivery that waits what became of it."""
    with in_transaction():
        where = "merchant_id = %s AND event_id = %s AND platform = %s"
        assert (
            execute(f"UPDATE deliveries SET {changes} WHERE {where}", (merchant.merchant_id, event_id, platform)) == 1
        )


def refused(code: str, words: str = "400 Not so") -> str:
    return f"status = 'failed', attempts = 1, error_code = '{code}', last_error = '{words}'"


@pytest.fixture
def troubled(runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock) -> Merchant:
    """A merchant with something of each kind, an hour between one event and the next; what Pinterest gets is held back."""
    for n in range(8):
        ingest_events(runtime, merchant.holder, [draft(f"order_{n}", event_name="Refund" if n == 0 else "Purchase")])
        if n == 0:
            deliver_due(runtime, worker, merchant.merchant_id, "meta")
        clock.move(timedelta(hours=1))
    put(merchant, "order_1", refused("2804019"))
    put(merchant, "order_2", refused("2804019"))
    put(merchant, "order_3", refused("190", "400 Odd words"))
    put(merchant, "order_4", "status = 'failed', attempts = 1, last_error = 'no answer in time'")
    put(merchant, "order_5", f"{ENDED}, drop_reason = 'retries_exhausted', error_code = '2804019', attempts = 5")
    put(merchant, "order_6", f"{ENDED}, drop_reason = 'consent_denied', error_code = 'CONSENT_DENIED'")
    set_destination(runtime, merchant.merchant_id, "pinterest", example_settings(mapper_for("pinterest")), None)
    pause_destination(runtime, merchant.merchant_id, "pinterest")
    ingest_events(runtime, merchant.holder, [draft("order_8")])
    return merchant


async def groups(api: Api, **given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api(GROUPS, filter=given))["deliveryGroups"]
    return found


def key(group: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(group[name] for name in ("platform", "status", "held", "dropReason", "code", "count"))


async def test_what_befell_deliveries_is_told_the_worst_first(api: Api, troubled: Merchant) -> None:
    found = await groups(api)
    assert [key(group) for group in found] == [
        ("PINTEREST", "QUEUED", True, None, None, 1),
        ("META", "DROPPED", False, "RETRIES_EXHAUSTED", "2804019", 1),
        ("META", "FAILED", False, None, "2804019", 2),
        ("META", "FAILED", False, None, None, 1),
        ("META", "FAILED", False, None, "190", 1),
        ("META", "DROPPED", False, "UNSUPPORTED_EVENT", "NO_REFUND", 1),
        ("META", "DROPPED", False, "CONSENT_DENIED", "CONSENT_DENIED", 1),
        ("META", "QUEUED", False, None, None, 2),
    ]
    assert {group["isExact"] for group in found} == {True}
    assert [group["mayRedeliver"] for group in found] == [False, True, True, True, True, True, False, False]
    assert [group for group in found if not group["whatToDo"].endswith((".", "them along."))] == []
    twice = found[2]
    assert twice["explanation"]["code"] == "2804019"
    assert {name: twice[name] for name in ("newestQueuedAt", "oldestQueuedAt", "exampleEventId", "exampleError")} == {
        "newestQueuedAt": "2026-11-20T17:00:00.000Z",
        "oldestQueuedAt": "2026-11-20T16:00:00.000Z",
        "exampleEventId": "order_2",
        "exampleError": "400 Not so",
    }
    assert found[3]["explanation"] is None


async def test_a_refund_that_was_dropped_is_to_be_left_out_and_not_to_be_mapped(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    settings = {**example_settings(mapper_for("linkedin")), "conversion_rules": {"Purchase": 14488340}}
    set_destination(runtime, merchant.merchant_id, "linkedin", settings, None)
    names = ("Refund", "order_refunded", "Partial Refund", "Lead")
    ingest_events(runtime, merchant.holder, [draft(f"id_{n}", event_name=name) for n, name in enumerate(names)])
    while deliver_due(runtime, worker, merchant.merchant_id, "linkedin"):
        pass
    found = {group["code"]: group for group in await groups(api, platform="LINKEDIN")}
    told = {code: (one["count"], one["dropReason"], one["whatToDo"]) for code, one in found.items()}
    assert told == {
        "NO_REFUND": (
            2,
            "UNSUPPORTED_EVENT",
            "Leave the name out of the destination's event names, and map it nowhere: each refund would count as one more sale.",
        ),
        "MAYBE_REFUND": (
            1,
            "UNSUPPORTED_EVENT",
            "Where these are refunds, leave the name out of the destination's event names; only where they are none, map it in the "
            "settings and redeliver them.",
        ),
        "UNSUPPORTED_EVENT": (
            1,
            "UNSUPPORTED_EVENT",
            "Leave the name out of the destination's event names; or, where it is no refund's, map it in the settings and redeliver "
            "them.",
        ),
    }
    assert found["NO_REFUND"]["explanation"]["nextStep"] == (
        "Leave the name out with the destination's event names. Do not map it in the settings: each refund would count as one more "
        "sale."
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"platform": "PINTEREST"}, [("PINTEREST", None)], id="a platform"),
        pytest.param({"platform": "TIKTOK"}, [], id="one that has none"),
        pytest.param(
            {"status": ["FAILED"]}, [("META", "2804019"), ("META", None), ("META", "190")], id="what is tried again"
        ),
        pytest.param({"status": ["DELIVERED"]}, [], id="what was delivered"),
        pytest.param({"dropReason": ["CONSENT_DENIED"]}, [("META", "CONSENT_DENIED")], id="a reason"),
        pytest.param({"errorCode": "2804019"}, [("META", "2804019"), ("META", "2804019")], id="a code"),
        pytest.param({"errorCode": "", "platform": "META"}, [("META", None)], id="no code"),
        pytest.param({"errorContains": "ODD"}, [("META", "190")], id="words"),
        pytest.param({"queuedUntil": "2026-11-20T16:00:00Z"}, [("META", "NO_REFUND")], id="until when"),
        pytest.param({"queuedSince": "2026-11-20T23:00:00Z"}, [("PINTEREST", None), ("META", None)], id="since when"),
        pytest.param({"held": True}, [("PINTEREST", None)], id="what is held"),
        pytest.param({"held": False, "status": ["QUEUED"]}, [("META", None)], id="what is not"),
        pytest.param(
            {"receivedSince": "2026-11-20T16:30:00Z", "receivedUntil": "2026-11-20T18:30:00Z"},
            [("META", "190"), ("META", "2804019")],
            id="of events that arrived in a time",
        ),
    ],
)
async def test_a_filter_narrows_groups_as_it_narrows_rows(
    api: Api, troubled: Merchant, given: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    found = await groups(api, **given)
    assert [(group["platform"], group["code"]) for group in found] == expected


async def test_each_group_leads_to_its_rows(api: Api, troubled: Merchant) -> None:
    for group in await groups(api):
        of_group: dict[str, Any] = {
            "platform": group["platform"],
            "status": [group["status"]],
            "errorCode": group["code"] or "",
        }
        if group["dropReason"]:
            of_group["dropReason"] = [group["dropReason"]]
        nodes = (await api(DELIVERIES, filter=of_group))["deliveries"]["nodes"]
        assert (len(nodes), nodes[0]["event"]["eventId"]) == (group["count"], group["exampleEventId"])
        assert all((node["windowEndsAt"] is None) == (group["status"] == "DROPPED") for node in nodes)


async def test_what_was_queued_long_after_it_arrived_makes_a_count_of_arrivals_no_less_honest(
    api: Api, troubled: Merchant
) -> None:
    until = "2026-11-20T17:00:00Z"
    (before,) = await groups(api, status=["FAILED"], receivedUntil=until)
    assert (before["count"], before["isExact"]) == (1, True)
    with in_transaction():
        execute("UPDATE deliveries SET queued_at = queued_at + interval '1 day' WHERE event_id = 'order_2'")
    (after,) = await groups(api, status=["FAILED"], receivedUntil="2026-11-20T17:30:00Z")
    assert (after["count"], after["isExact"]) == (1, False)
    (both,) = await groups(api, status=["FAILED"], errorCode="2804019", receivedSince="2026-11-20T16:00:00Z")
    assert (both["count"], both["isExact"]) == (2, True)


async def test_a_code_is_one_of_a_refusal_that_still_stands(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest_events(runtime, merchant.holder, [draft("order_1"), draft("order_2")])
    put(merchant, "order_1", refused("190"))
    put(merchant, "order_2", "status = 'delivered', delivered_at = queued_at, due_at = NULL, error_code = '190'")
    for given in ({"errorCode": "190"}, {"errorCode": "190", "status": ["DELIVERED", "FAILED"]}):
        nodes = (await api(DELIVERIES, filter=given))["deliveries"]["nodes"]
        assert [node["event"]["eventId"] for node in nodes] == ["order_1"]
    delivered = {"errorCode": "190", "status": ["DELIVERED"]}
    assert (await api(DELIVERIES, filter=delivered))["deliveries"]["nodes"] == []


async def test_a_code_that_is_no_text_is_refused(api: Api) -> None:
    answer = (await api.post(GROUPS, {"filter": {"errorCode": "nul\x00"}})).json()
    assert answer["errors"][0]["message"] == "filter.errorCode must be plain text of at most 1,000 characters."


async def test_nobody_sees_anothers_groups(api: Api, runtime: Runtime, troubled: Merchant) -> None:
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    assert await groups(other) == []


MANY = """
INSERT INTO deliveries (merchant_id, event_id, platform, status, attempts, received_at, queued_at, window_ends_at, due_at,
    delivered_at, finished_at, drop_reason, error_code, last_error)
SELECT %(merchant)s, %(name)s || n, %(platform)s, %(status)s, 1, x.at, x.at, x.at + interval '1 day',
    CASE WHEN %(status)s IN ('queued', 'failed') THEN x.at END, CASE WHEN %(status)s = 'delivered' THEN x.at END,
    CASE WHEN %(status)s IN ('delivered', 'dropped') THEN x.at END, %(reason)s, %(code)s, 'words'
FROM generate_series(1, %(count)s) AS n, LATERAL (SELECT %(now)s::timestamptz - n * interval '1 s' AS at) AS x
"""


def many(merchant: Merchant, clock: FrozenClock, name: str, status: str, count: int, **given: Any) -> None:
    params: Any = {"reason": None, "code": None, "platform": "meta", **given}
    params |= {"merchant": merchant.merchant_id, "name": name, "status": status, "count": count, "now": clock.now()}
    with in_transaction():
        execute(MANY, params)


def rows_read(sql: str, params: Any) -> dict[str, int]:
    """Index -> how many rows all scans of deliveries by it gave, as the statement is run."""
    with in_transaction():
        rows(db.IN_ORDER)
        (plan,) = rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)[0]
    found: dict[str, int] = {}
    todo = [plan[0]["Plan"]]
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if node.get("Relation Name") == "deliveries" and "Scan" in node["Node Type"]:
            assert "Rows Removed by Filter" not in node, node
            index = node.get("Index Name", "none")
            found[index] = found.get(index, 0) + round(node["Actual Rows"] * node["Actual Loops"])
    return found


@pytest.mark.parametrize("is_known", [True, False], ids=["with statistics", "with statistics of somebody else"])
async def test_of_many_a_thousand_are_looked_at_and_that_is_said(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, is_known: bool
) -> None:
    other = new_merchant(runtime, name="Other")
    many(other, clock, "a", "delivered", 10_000)
    many(other, clock, "b", "dropped", 2_000, reason="invalid_field", code="INVALID_FIELD")
    if not is_known:
        with in_transaction():
            execute("ANALYZE deliveries")
    most = db.MOST_LOOKED_AT
    many(merchant, clock, "a", "delivered", 20_000)
    many(merchant, clock, "b", "dropped", 5_000, reason="consent_denied", code="CONSENT_DENIED")
    many(merchant, clock, "c", "dropped", most, reason="retries_exhausted", code="190")
    many(merchant, clock, "d", "failed", most + 1)
    many(merchant, clock, "e", "queued", 4_000, platform="tiktok")
    with in_transaction():
        execute("ANALYZE deliveries" if is_known else "SELECT 1")
    found = await groups(api)
    assert [(group["status"], group["dropReason"], group["count"], group["isExact"]) for group in found] == [
        ("DROPPED", "RETRIES_EXHAUSTED", most, True),
        ("FAILED", None, most, False),
        ("DROPPED", "CONSENT_DENIED", most, False),
        ("QUEUED", None, most, False),
    ]
    instants = [(clock.now() - timedelta(seconds=n)).isoformat(timespec="milliseconds")[:-6] + "Z" for n in (1, 5000)]
    assert [found[2][name] for name in ("newestQueuedAt", "oldestQueuedAt")] == instants
    with in_transaction():
        execute("UPDATE deliveries SET last_error = 'Odd' WHERE event_id IN ('b7', 'b4000')")
    (odd,) = await groups(api, errorContains="odd")
    assert (odd["count"], odd["isExact"], odd["exampleEventId"]) == (1, False, "b7")

    params: Any = {"merchant": merchant.merchant_id, "platforms": list(PLATFORMS), "code": "190"}
    read = rows_read(db.GROUPS, {**params, "kinds": list(db.KINDS)})
    assert read == {"deliveries_grouped": 3}
    read = rows_read(db.GROUPS_OF_CODE, {**params, "kinds": list(db.KINDS)})
    assert read == {"deliveries_grouped": 1}
    times = {"most": most, "since": "-infinity", "until": "infinity", "narrowed": False, "words": None}
    of_three = {"kinds": ["failed", "consent_denied", "retries_exhausted"], "codes": ["", "CONSENT_DENIED", "190"]}
    read = rows_read(db.LOOK.format(matches="true"), {**params, **times, **of_three, "platforms": ["meta"] * 3})
    assert read == {"deliveries_grouped": 3 * most + 2 + 2 + 3}
    read = rows_read(db.WAITING.format(matches="true"), {**params, **times})
    assert read == {"deliveries_due": 2 * (most + 1)}


async def test_very_many_groups_are_told_of_up_to_a_bound(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for n in range(db.MOST_CODES + 5):
        many(merchant, clock, f"a{n}_", "failed", 2, code=f"code {n:03}")
    found = await groups(api)
    assert sorted(group["code"] for group in found) == [f"code {n:03}" for n in range(db.MOST_CODES)]
    with in_transaction():
        of_meta = db.delivery_groups(merchant.merchant_id, DeliverySearch(platform="tiktok"), ["meta"])
    assert of_meta == []
    assert [group["code"] for group in await groups(api, errorCode="code 044")] == ["code 044"]


async def test_what_was_lost_is_told_of_beside_any_number_of_codes(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for n in range(db.MOST_CODES + 5):
        many(merchant, clock, f"a{n}_", "failed", 1, code=f"code {n:03}")
        many(merchant, clock, f"b{n}_", "dropped", 1, code=f"code {n:03}", reason="retries_exhausted")
    many(merchant, clock, "c", "dropped", 3, reason="window_expired")
    found = await groups(api)
    assert len(found) == db.MOST_CODES
    lost = [group for group in found if group["dropReason"] == "WINDOW_EXPIRED"]
    assert [(group["code"], group["count"]) for group in lost] == [(None, 3)]
    failed = [group["code"] for group in found if group["status"] == "FAILED"]
    assert sorted(failed) == [f"code {n:03}" for n in range(len(failed))]
    dropped = await groups(api, status=["DROPPED"])
    assert {group["dropReason"] for group in dropped} == {"WINDOW_EXPIRED", "RETRIES_EXHAUSTED"}
    assert len(dropped) == db.MOST_CODES


REDELIVER = """
mutation($filter: DeliveryFilter!, $dryRun: Boolean) { redeliver(filter: $filter, dryRun: $dryRun) {
  matched requeued complete job { id } } }"""
JOBS = """
query($after: String, $first: Int) { redeliveries(first: $first, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes { id state ofStoredEvents byIds platform filter matched requeued refused { reason count } } } }"""


async def test_a_group_is_redelivered_alone_and_its_job_is_found_again(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    drafts = [draft(f"b{n}") for n in range(1, 1206)]
    for start in range(0, len(drafts), 500):
        ingest_events(runtime, merchant.holder, drafts[start : start + 500])
    with in_transaction():
        execute(f"UPDATE deliveries SET {ENDED}, drop_reason = 'retries_exhausted', error_code = '190'")
        execute("UPDATE deliveries SET error_code = '200' WHERE event_id IN ('b1', 'b700', 'b1205')")
    clock.move(timedelta(minutes=1))
    of_group = {"platform": "META", "dropReason": ["RETRIES_EXHAUSTED"], "errorCode": "190"}
    dry = (await api(REDELIVER, filter=of_group, dryRun=True))["redeliver"]
    assert dry == {"matched": 1202, "requeued": 1202, "complete": True, "job": None}
    job = (await api(REDELIVER, filter=of_group))["redeliver"]["job"]
    # A worker of a version that knows no codes finds no search in it, and must not take the others for matching.
    assert select("SELECT search ? 'platform', search ? 'search' FROM redeliveries") == [(False, True)]
    continue_redeliveries(runtime)
    clock.move(timedelta(minutes=1))
    go_on(runtime)
    left = select("SELECT event_id FROM deliveries WHERE status = 'dropped' ORDER BY event_id")
    assert left == [("b1",), ("b1205",), ("b700",)]

    (found,) = (await api(JOBS))["redeliveries"]["nodes"]
    expected = {"platform": "META", "status": ["FAILED", "DROPPED"], "dropReason": ["RETRIES_EXHAUSTED"]}
    assert found == {
        "id": job["id"],
        "state": "FINISHED",
        "ofStoredEvents": False,
        "byIds": False,
        "platform": "META",
        "filter": {**expected, "errorCode": "190"},
        "matched": 1202,
        "requeued": 1202,
        "refused": [],
    }


CHECK = """
mutation($dryRun: Boolean) { redeliver(filter: { platform: META }, dryRun: $dryRun) {
  requeued check { deliveries wouldSend refused { reason field count exampleEventId } } } }"""


async def test_what_is_refused_again_is_told_before_and_after(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [draft("good"), draft("bare", user_data={})])
    with in_transaction():
        execute(f"UPDATE deliveries SET {ENDED}, drop_reason = 'missing_identifiers'")
    group = {"reason": "MISSING_IDENTIFIERS", "field": "userData", "count": 1, "exampleEventId": "bare"}
    expected = {"requeued": 2, "check": {"deliveries": 2, "wouldSend": 1, "refused": [group]}}
    for is_dry in (True, False):
        assert (await api(CHECK, dryRun=is_dry))["redeliver"] == expected
    stored = await api(
        "mutation($filter: EventFilter!) { deliverStored(platform: META, filter: $filter) { matched check { deliveries } } }",
        filter={"eventName": "Purchase"},
    )
    assert stored["deliverStored"] == {"matched": 2, "check": None}  # what it refuses, it does not make


async def test_a_delivery_tells_whether_a_redelivery_could_help(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    reasons = ("retries_exhausted", "missing_identifiers", "event_too_old", "consent_denied", "erased", "suppressed")
    ingest_events(runtime, merchant.holder, [draft(reason) for reason in (*reasons, "queued", "delivered")])
    with in_transaction():
        execute(f"UPDATE deliveries SET {ENDED}, drop_reason = event_id WHERE event_id = ANY(%s)", (list(reasons),))
        execute(
            "UPDATE deliveries SET status = 'delivered', due_at = NULL, delivered_at = queued_at, finished_at = queued_at "
            "WHERE event_id = 'delivered'"
        )
    found = await api("{ deliveries(first: 20) { nodes { mayRedeliver event { eventId } } } }")
    helped = {one["event"]["eventId"] for one in found["deliveries"]["nodes"] if one["mayRedeliver"]}
    assert helped == {"retries_exhausted", "missing_identifiers"}


async def test_redeliveries_are_paged_newest_first_and_are_their_merchants_own(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for start in range(0, 1001, 500):
        drafts = [draft(f"order_{n}") for n in range(start, min(start + 500, 1001))]
        ingest_events(runtime, merchant.holder, drafts)
    set_destination(runtime, merchant.merchant_id, "tiktok", example_settings(mapper_for("tiktok")), None)
    stored = """mutation { deliverStored(platform: TIKTOK, filter: {eventName: "Purchase"}) { job { id } } }"""
    last = (await api(stored))["deliverStored"]["job"]["id"]
    with in_transaction():
        execute(
            "INSERT INTO redeliveries (merchant_id, search, by_ids, requested_at, last_page_at, next_page_at) "
            """SELECT %s, '{"platform": null, "status": [], "drop_reason": [], "queued_since": null, "queued_until": null, """
            """"error_contains": "odd", "untouched_since": null}', false, %s, %s, %s FROM generate_series(1, 4)""",
            (merchant.merchant_id, *[clock.now()] * 3),
        )
    seen, after = [], None
    while True:
        page = (await api(JOBS, first=2, after=after))["redeliveries"]
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [job["filter"] for job in seen] == [*[{"errorContains": "odd"}] * 4, {"eventName": "Purchase"}]
    assert (seen[-1]["id"], seen[-1]["platform"], seen[-1]["ofStoredEvents"]) == (last, "TIKTOK", True)
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    assert (await other(JOBS))["redeliveries"]["nodes"] == []


def test_a_page_of_redeliveries_is_read_in_the_order_of_their_key(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    now, other = clock.now(), new_merchant(runtime, name="Other")
    with in_transaction():
        for one in (merchant, other):
            execute(
                "INSERT INTO redeliveries (merchant_id, search, by_ids, requested_at, last_page_at, next_page_at, finished_at) "
                "SELECT %s, '{}', false, %s, %s, %s, %s FROM generate_series(1, 3000)",
                (one.merchant_id, *[now] * 4),
            )
        execute("ANALYZE redeliveries")
        params: Any = {"merchant": merchant.merchant_id, "before": 2000, "limit": 21}
        plan = "\n".join(row[0] for row in rows(f"EXPLAIN {redeliveries.OF_MERCHANT}", params))
    assert "redeliveries_pkey" in plan
    assert "(redelivery_id < 2000)" in plan
    assert "Sort" not in plan
