"""What is counted is what happened: once, after the commit, and of nobody by name."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.factories import INGEST_MANY, Api, Merchant, camel, draft
from tests.services.test_deliver import fault
from tracklayer import metrics
from tracklayer.app import build_app
from tracklayer.clock import FrozenClock
from tracklayer.db import heartbeats as db_beats
from tracklayer.db.connection import after_commit, execute, in_transaction, rows
from tracklayer.db.counters import LATENCY_BOUNDS
from tracklayer.domain.alert import AlertKind, Finding, Severity, Subject
from tracklayer.domain.installation import OLD
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.schema.bodies import MAX_ADMIN_BODY
from tracklayer.services.alert import settle_findings
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import pause_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import create_api_key, revoke_api_key
from tracklayer.services.turned_away import write_turned_away

LABELS = {
    "outcome",
    "code",
    "route",
    "status",
    "platform",
    "reason",
    "answer",
    "look",
    "what",
    "job",
    "kind",
    "change",
} | {
    "role",
    "call",
    "version",
    "python",
    "le",
}
UNITS = ("_seconds", "_bytes", "_total", "_info", "_deliveries", "_destinations", "_fds")
COUNTS = {  # of things that are there now, named by what they are
    "tracklayer_events_waiting",
    "tracklayer_http_requests_in_flight",
    "tracklayer_destinations_held",
    "tracklayer_operator_alert_open",
    "tracklayer_processes_alive",
}


def samples() -> dict[str, float]:
    """``name{label="value"}`` -> value, of all that is exported."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


@pytest.fixture
def grown() -> Callable[[], dict[str, float]]:
    """What has grown since the test began; of counters and histograms' counts alone."""
    metrics.STORES.write()  # what tests before it gathered
    before = samples()

    def since() -> dict[str, float]:
        grown = {key: value - before.get(key, 0.0) for key, value in samples().items()}
        counts = re.compile(r"tracklayer_\w+(_total|_count)\{")
        return {key: value for key, value in grown.items() if value and counts.match(key)}

    return since


def test_names_and_labels_follow_prometheus_conventions() -> None:
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert re.fullmatch(r"(tracklayer|process)(_[a-z]+)+", name), name
        assert name.endswith(UNITS) or name in COUNTS, name
        assert family.documentation.endswith("."), name
        assert {label for sample in family.samples for label in sample.labels} <= LABELS, name


def test_the_bounds_of_the_latency_are_those_of_the_ledger() -> None:
    assert [round(bound * 1000) for bound in metrics.LATENCIES] == list(LATENCY_BOUNDS)


async def test_events_are_counted_by_what_became_of_them(
    api: Api, grown: Callable[[], dict[str, float]], clock: FrozenClock
) -> None:
    wrong = draft("order_3", custom_data={"value": 1, "currency": "XXZ"})
    many = [draft("order_1"), draft("order_1"), draft("order_2"), wrong, draft("order_1", event_name="Lead")]
    answer = await api(INGEST_MANY, inputs=[camel(one) for one in many])
    assert [answer["ingestEvents"][name] for name in ("accepted", "coalesced", "rejected")] == [2, 1, 2]
    await api.ingest(wrong)
    metrics.STORES.write()
    found = grown()
    assert {key: value for key, value in found.items() if key.startswith("tracklayer_events")} == {
        'tracklayer_events_total{outcome="accepted"}': 2,
        'tracklayer_events_total{outcome="coalesced"}': 1,
        'tracklayer_events_total{outcome="rejected"}': 3,
        'tracklayer_events_refused_total{code="INVALID_CURRENCY"}': 1,
        'tracklayer_events_refused_total{code="EVENT_ID_CONFLICT"}': 1,
        'tracklayer_events_refused_total{code="SENT_AGAIN"}': 1,
    }
    # One commit for the call, one more for what was found out there, and one for the last.
    assert found['tracklayer_database_call_duration_seconds_count{call="store"}'] == 3


async def test_metrics_log_and_ledger_tell_the_same_of_what_was_refused_however_it_was(
    api: Api, runtime: Runtime, merchant: Merchant, grown: Callable[[], dict[str, float]]
) -> None:
    def keys() -> tuple[str, str]:
        reading, sending = (create_api_key(runtime, merchant.merchant_id, "shop", [one]) for one in ("read", "ingest"))
        assert isinstance(reading, tuple)
        assert isinstance(sending, tuple)
        revoke_api_key(runtime, merchant.merchant_id, sending[0].key_id)
        return reading[1], sending[1]

    read_key, revoked_key = await anyio.to_thread.run_sync(keys)
    await api.ingest(draft("order_1"))
    wrong = [draft(f"wrong_{n}", custom_data={"value": 1, "currency": "XXZ"}) for n in range(3)]
    conflict = draft("order_1", event_name="Lead")
    await api.ingest(wrong[0])
    await api(INGEST_MANY, inputs=[camel(one) for one in (*wrong, conflict, conflict)])
    literal = "mutation { ingestEvents(inputs: [{a: 1}, {a: 2}, {a: 3}]) { accepted } }"
    for _ in range(2):  # the second counts as sent again
        await api.post(literal)
    inputs = {"inputs": [camel(draft("order_2")), camel(draft("order_3"))]}
    await api.post(INGEST_MANY, {"input": inputs["inputs"]})
    await api.post(INGEST_MANY, inputs, key=read_key)
    await api.post(INGEST_MANY, inputs, key=revoked_key)  # the body that was refused with the other key
    await api.post(INGEST_MANY, inputs | {"more": 1}, key=revoked_key)
    await api.client.post(
        "/graphql", content=b" " * (MAX_ADMIN_BODY + 1), headers={"authorization": f"Bearer {api.key}"}
    )
    await api.client.post("/graphql", content=b"{", headers={"authorization": f"Bearer {api.key}"})
    await anyio.to_thread.run_sync(write_turned_away, runtime)

    def stored() -> tuple[int, dict[str, int]]:
        with in_transaction():
            [(rejected,)] = rows(
                "SELECT sum(rejected)::int FROM minutes WHERE merchant_id = %s", (merchant.merchant_id,)
            )
            by_code = "SELECT code, sum(events)::int FROM rejections_counted WHERE merchant_id = %s GROUP BY 1"
            return rejected, dict(rows(by_code, (merchant.merchant_id,)))

    rejected, by_code = await anyio.to_thread.run_sync(stored)
    metrics.STORES.write()
    found = grown()
    told = {
        key.partition('"')[2].removesuffix('"}'): value
        for key, value in found.items()
        if key.startswith("tracklayer_events_refused_total")
    }
    again = told.pop("SENT_AGAIN")
    assert (told, sum(told.values()) + again) == (by_code, rejected)
    assert found['tracklayer_events_total{outcome="rejected"}'] == rejected
    done = runtime.tally.take()
    assert done is not None
    assert done.counts["events"]["rejected"] == rejected
    assert told == {
        "INVALID_CURRENCY": 3,
        "EVENT_ID_CONFLICT": 2,
        "GRAPHQL_VALIDATION_FAILED": 3,
        "BAD_USER_INPUT": 1,
        "FORBIDDEN": 1,
        "UNAUTHENTICATED": 2,
        "TOO_LARGE": 1,
        "BAD_REQUEST": 1,
    }


async def test_requests_are_counted_by_route_and_status_when_their_answer_begins(
    runtime: Runtime, merchant: Merchant, grown: Callable[[], dict[str, float]]
) -> None:
    app = build_app(runtime, lambda destinations: None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracklayer") as client:
        api = Api(client, merchant.key)
        await api.ingest(draft())
        await api.post("{ nonsense }")
        await api.post("{ merchant { name } }", key="tl_wrong")
        for path in ("/docs/quickstart", "/docs/api", "/healthz", "/nobody/knows/1", "/nobody/knows/2"):
            await client.get(path)
    assert not [key for key in grown() if key.startswith("tracklayer_http")]
    app.write_metrics()
    app.write_metrics()  # nothing is counted twice
    found = {key: value for key, value in grown().items() if key.startswith("tracklayer_http_requests")}
    assert found == {
        'tracklayer_http_requests_total{route="/graphql",status="200"}': 2,
        'tracklayer_http_requests_total{route="/graphql",status="401"}': 1,
        'tracklayer_http_requests_total{route="/docs",status="200"}': 2,
        'tracklayer_http_requests_total{route="/healthz",status="200"}': 1,
        'tracklayer_http_requests_total{route="other",status="404"}': 2,
    }
    assert grown()['tracklayer_http_request_duration_seconds_count{route="/graphql"}'] == 3
    assert grown()['tracklayer_graphql_errors_total{code="UNAUTHENTICATED"}'] == 1
    assert samples()["tracklayer_http_requests_in_flight{}"] == 0


async def test_whoever_leaves_before_an_answer_begins_is_in_flight_no_more(
    runtime: Runtime, merchant: Merchant
) -> None:
    app = build_app(runtime, lambda destinations: None)
    during = []

    async def leaves() -> dict[str, str]:
        during.append(app.asked.in_flight)
        return {"type": "http.disconnect"}

    async def unheard(message: MutableMapping[str, Any]) -> None:
        pytest.fail(f"{message} is an answer to nobody")

    key = b"Bearer " + merchant.key.encode()
    scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": [(b"authorization", key)]}
    await app(scope, leaves, unheard)
    assert during == [1]
    assert app.asked.in_flight == 0


def test_deliveries_are_counted_by_platform_and_outcome(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    sandbox: SandboxServer,
    clock: FrozenClock,
    grown: Callable[[], dict[str, float]],
) -> None:
    ingest_events(runtime, merchant.holder, [draft(f"order_{number}") for number in range(3)])
    late = draft("order_late", occurred_at="2026-11-01T14:59:00Z")
    ingest_events(runtime, merchant.holder, [late])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    found = grown()
    assert found['tracklayer_deliveries_total{outcome="delivered",platform="meta"}'] == 3
    assert found['tracklayer_deliveries_total{outcome="dropped",platform="meta"}'] == 1
    assert found['tracklayer_deliveries_dropped_total{platform="meta",reason="event_too_old"}'] == 1
    assert found['tracklayer_delivery_attempts_total{outcome="acknowledged",platform="meta"}'] == 3
    assert found['tracklayer_delivery_attempts_total{outcome="unmappable",platform="meta"}'] == 1
    assert found['tracklayer_delivery_latency_seconds_count{platform="meta"}'] == 3
    assert found['tracklayer_platform_requests_total{answer="2xx",platform="meta"}'] == 1
    assert found['tracklayer_platform_request_duration_seconds_count{platform="meta"}'] == 1
    assert found['tracklayer_claim_size_deliveries_count{look="one"}'] == 2  # the second finds nothing
    before = samples()
    fault(sandbox, kind="error", status=503)
    ingest_events(runtime, merchant.holder, [draft("order_9")])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    key = 'tracklayer_platform_requests_total{answer="5xx",platform="meta"}'
    assert samples()[key] - before.get(key, 0) == 1


def test_what_is_undone_is_not_counted(database: str) -> None:
    told: list[str] = []

    class UndoneError(Exception):
        pass

    def do(what: str, undone: bool = False) -> None:
        with in_transaction():
            after_commit(lambda: told.append(what))
            if undone:
                raise UndoneError

    do("a")
    with pytest.raises(UndoneError):
        do("b", undone=True)
    with in_transaction():
        do("c")
        with pytest.raises(UndoneError):
            do("d", undone=True)
        assert told == ["a"]
        do("e")
    assert told == ["a", "c", "e"]
    after_commit(lambda: told.append("f"))
    assert told == ["a", "c", "e", "f"]


def test_alerts_are_counted_as_they_open_and_resolve(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, grown: Callable[[], dict[str, float]]
) -> None:
    subject = Subject(AlertKind.PLATFORM_DOWN, "meta")
    finding = Finding(
        subject.kind, subject.platform, Severity.CRITICAL, "Meta is down", "It does not answer.", clock.now()
    )
    settle_findings(runtime, merchant.merchant_id, [finding], [subject], clock.now())
    settle_findings(runtime, merchant.merchant_id, [finding], [subject], clock.now())
    for _ in range(3):
        clock.move(timedelta(minutes=10))
        settle_findings(runtime, merchant.merchant_id, [], [subject], clock.now())
    assert {key: value for key, value in grown().items() if "alerts" in key} == {
        'tracklayer_alerts_total{change="opened",kind="platform_down"}': 1,
        'tracklayer_alerts_total{change="resolved",kind="platform_down"}': 1,
    }


def test_a_look_at_the_queues_tells_what_waits_for_each_platform(runtime: Runtime, merchant: Merchant) -> None:
    """By the rows that the look reads anyway: one for each destination, however many deliveries wait."""
    ingest_events(runtime, merchant.holder, [draft(f"order_{number}") for number in range(7)])
    with in_transaction():
        execute("UPDATE deliveries SET due_at = clock_timestamp() - interval '90 seconds'")
        found = db_beats.waiting(OLD)
    assert (found.destinations, found.oldest, list(found.queues)) == (
        0,
        timedelta(),
        ["meta"],
    )  # nobody is told of it yet
    queues = found.queues["meta"]
    assert (queues.destinations, queues.held, queues.deliveries) == (1, 0, 7)
    assert queues.oldest >= timedelta(seconds=90)
    with in_transaction():
        execute("UPDATE destinations SET state = 'held', state_reason = 'away', resume_at = clock_timestamp()")
        queues = db_beats.waiting(OLD).queues["meta"]
    assert (queues.destinations, queues.held, queues.deliveries, queues.oldest) == (1, 1, 7, timedelta())
    pause_destination(runtime, merchant.merchant_id, "meta")
    with in_transaction():
        queues = db_beats.waiting(OLD).queues["meta"]
    assert (queues.destinations, queues.held, queues.deliveries, queues.oldest) == (1, 0, 7, timedelta())


def test_a_kind_of_the_operators_alerts_is_told_without_its_platform_until_none_is_open() -> None:
    def told() -> float:
        return samples()['tracklayer_operator_alert_open{kind="platform_down"}']

    metrics.see_troubles(["platform_down:meta", "platform_down:tiktok"])
    assert told() == 1
    metrics.see_troubles(["platform_down:tiktok"])
    assert told() == 1
    metrics.see_troubles([])
    assert told() == 0


def test_what_was_seen_a_while_ago_is_left_to_who_sees_it_now() -> None:
    metrics.see_roles({"worker": 2}, {"worker": 1.0})
    assert samples()['tracklayer_processes_alive{role="worker"}'] == 2
    metrics.LOOKED_AT.set(1.0)
    assert not [key for key in samples() if key.startswith(("tracklayer_processes_alive", "tracklayer_look"))]


def test_a_full_folder_has_room_for_every_number_there_can_be(tmp_path: Path) -> None:
    """Files that grow would be written beyond what the disk has set aside."""
    sizes = dict.fromkeys(metrics.FILES, 8)
    for metric in metrics.REGISTRY.collect():
        labels = _values_of(metric.name)
        kind = metric.type if metric.type != "gauge" else "gauge_livemostrecent"
        each = 2 * len(metric.name) + len(metric.documentation) + 160
        buckets = 1 + max(len(metrics.LATENCIES), len(metrics.ANSWERS)) + 1 if metric.type == "histogram" else 1
        sizes[kind] += labels * buckets * each
    assert {kind for kind, size in sizes.items() if size > metrics.FILES[kind]} == set()


def _values_of(name: str) -> int:
    """How many combinations of labels there may be, generously."""
    generous = {"deliveries_dropped": 100, "delivery_attempts": 70, "platform_requests": 80, "graphql_errors": 20}
    generous |= {"http_requests": 150, "events_refused": 60, "deliveries": 30}
    return next((most for part, most in generous.items() if name == f"tracklayer_{part}"), 12)
