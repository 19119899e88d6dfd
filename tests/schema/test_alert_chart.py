"""``Alert.chart``: what was seen against what is normal, drawn from the counters that are there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.factories import Api, Merchant, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db import alert_charts as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.alert_chart import ChartRange
from tracklayer.domain.facts import BITS
from tracklayer.domain.node_id import node_id
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import ingest_events

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CHART = """
query($id: ID!) { alertChart(id: $id) { title unit since stepSeconds times counts series { role label values } } }"""


@pytest.fixture
def now(clock: FrozenClock) -> datetime:
    return clock.now()


def alert(
    merchant: Merchant,
    kind: str,
    opened_at: datetime,
    platform: str | None = None,
    event_name: str | None = None,
    resolved_at: datetime | None = None,
    **details: Any,
) -> None:
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, platform, event_name, title, message, details, opened_at, "
            "last_seen_at, resolved_at) VALUES (%s, %s, 'critical', %s, %s, 'title', 'message', %s, %s, %s, %s)",
            (
                merchant.merchant_id,
                kind,
                platform,
                event_name,
                orjson.dumps(details).decode(),
                opened_at,
                opened_at,
                resolved_at,
            ),
        )


def minutes(merchant: Merchant, platform: str, start: datetime, *counted: dict[str, int]) -> None:
    """One row a minute."""
    with in_transaction():
        for place, counts in enumerate(counted):
            names = ", ".join(counts)
            execute(
                f"INSERT INTO minutes (merchant_id, platform, minute, slot, {names}) "
                f"VALUES (%s, %s, %s, 1, {', '.join(['%s'] * len(counts))})",
                (merchant.merchant_id, platform, start + place * MINUTE, *counts.values()),
            )


def covered(
    merchant: Merchant, name: str, minute: datetime, facts: int, events: int, host: str = "shop.example"
) -> None:
    with in_transaction():
        execute(
            "INSERT INTO coverage (merchant_id, event_name, minute, action_source, host, facts, slot, events) "
            "VALUES (%s, %s, %s, 'website', %s, %s, 7, %s)",
            (merchant.merchant_id, name, minute, host, facts, events),
        )


async def chart_of(api: Api) -> dict[str, Any]:
    """Of the alert that opened last."""
    (newest,) = (await api("{ alerts(first: 1) { nodes { id } } }"))["alerts"]["nodes"]
    found: dict[str, Any] = (await api(CHART, id=newest["id"]))["alertChart"]
    return found


def lines(chart: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Role -> time (HH:MM) -> value, of the times with one."""
    return {
        one["role"]: {
            at[11:16]: value for at, value in zip(chart["times"], one["values"], strict=True) if value is not None
        }
        for one in chart["series"]
    }


async def test_a_rate_that_fell_is_drawn_by_first_attempts_with_what_is_usual(
    api: Api, runtime: Runtime, merchant: Merchant, now: datetime
) -> None:
    start = now - 3 * MINUTE
    minutes(
        merchant,
        "meta",
        start,
        {"acknowledged": 97, "refused": 3},
        {"acknowledged": 50, "refused": 30, "unmappable": 20, "retries_failed": 10, "retries_acknowledged": 5},
    )
    minutes(new_merchant(runtime), "meta", start, {"acknowledged": 1})
    alert(
        merchant,
        "delivery_rate_drop",
        now - MINUTE,
        "meta",
        usual_success_rate=0.97,
        since=(now - 2 * MINUTE).isoformat(),
    )
    chart = await chart_of(api)
    assert (chart["title"], chart["unit"], chart["stepSeconds"]) == (
        "Meta: share of events accepted at the first attempt",
        "SHARE",
        60,
    )
    assert chart["since"] == "2026-11-20T14:58:00.000Z"
    found = lines(chart)
    assert found["SEEN"] == {"14:57": 0.97, "14:58": round(45 / 85, 4)}
    assert set(found["NORMAL"].values()) == {0.97}
    assert len(found["NORMAL"]) == len(chart["times"]) == len(chart["counts"])
    assert [count for count in chart["counts"] if count] == [100, 85]


async def test_what_is_normal_is_left_out_where_it_was_never_learned(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    minutes(merchant, "meta", now - 2 * MINUTE, {"acknowledged": 3, "unreachable": 1})
    alert(merchant, "platform_down", now - MINUTE, "meta", cause="away")
    chart = await chart_of(api)
    assert [one["role"] for one in chart["series"]] == ["SEEN"]
    assert lines(chart)["SEEN"] == {"14:58": 0.75}
    with in_transaction():
        execute(
            "INSERT INTO baselines VALUES (%s, 'meta', %s, %s)",
            (merchant.merchant_id, now, '{"share": 0.98, "spread": 0.01, "attempts": 5000}'),
        )
    chart = await chart_of(api)
    assert [one["label"] for one in chart["series"]] == ["accepted", "usual in the last four weeks"]
    assert set(lines(chart)["NORMAL"].values()) == {0.98}


async def test_a_new_destination_that_is_down_has_no_normal_though_one_was_learned_since(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    minutes(merchant, "meta", now - 2 * MINUTE, {"refused": 4})
    alert(merchant, "platform_down", now - MINUTE, "meta", usual_failure_share=None)
    with in_transaction():
        execute(
            "INSERT INTO baselines VALUES (%s, 'meta', %s, %s)",
            (merchant.merchant_id, now, '{"share": 0.98, "spread": 0.01, "attempts": 5000}'),
        )
    assert [one["role"] for one in (await chart_of(api))["series"]] == ["SEEN"]


async def test_a_backlog_is_drawn_as_what_came_in_and_what_was_done_with(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    minutes(merchant, "meta", now - 2 * MINUTE, {"routed": 600, "requeued": 20, "finished": 100}, {"finished": 40})
    minutes(merchant, "tiktok", now - 2 * MINUTE, {"routed": 60, "finished": 10})
    alert(merchant, "queue_backlog", now - MINUTE, None, platforms=["meta", "tiktok"], waiting=530)
    chart = await chart_of(api)
    assert (chart["unit"], chart["counts"]) == ("DELIVERIES", None)
    found = lines(chart)
    assert (found["SEEN"]["14:58"], found["COMPARED"]["14:58"]) == (110, 680)
    assert (found["SEEN"]["14:59"], found["COMPARED"]["14:59"]) == (40, 0)
    assert "15:00" not in found["SEEN"]  # the minute that runs


async def test_a_silence_is_drawn_against_the_hours_of_the_week(api: Api, merchant: Merchant, now: datetime) -> None:
    rhythm = {"rates": [30.0] * 168, "usual": 6.9, "events": 2.0}
    with in_transaction():
        execute(
            "INSERT INTO baselines VALUES (%s, '', %s, %s)", (merchant.merchant_id, now, orjson.dumps(rhythm).decode())
        )
    minutes(merchant, "", now - 3 * HOUR, {"accepted": 3, "coalesced": 1})
    alert(merchant, "tracking_stopped", now - HOUR, since=(now - 179 * MINUTE).isoformat())
    chart = await chart_of(api)
    assert (chart["title"], chart["unit"], chart["stepSeconds"]) == ("Events that arrived", "EVENTS", 300)
    found = lines(chart)
    assert {at: value for at, value in found["SEEN"].items() if value} == {"12:00": 4}
    assert set(found["NORMAL"].values()) == {5.0}


async def test_the_silence_of_one_name_is_drawn_of_its_own_events(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    ingest_events(runtime, merchant.holder, [draft("a"), draft("b"), draft("c", event_name="Lead"), draft("a")])
    clock.move(30 * MINUTE)
    alert(merchant, "tracking_stopped", clock.now(), event_name="Purchase")
    chart = await chart_of(api)
    assert chart["title"] == "Purchase events that arrived"
    assert sum(lines(chart)["SEEN"].values()) == 2
    assert [one["role"] for one in chart["series"]] == ["SEEN"]


async def test_what_is_refused_at_the_door_is_drawn_of_all_and_of_one_name(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    bad = {"custom_data": {"currency": "Euros"}}
    ingest_events(
        runtime, merchant.holder, [draft("a"), draft("b", **bad), draft("c", event_name="Lead"), draft("d", **bad)]
    )
    clock.move(5 * MINUTE)
    alert(merchant, "events_rejected", clock.now(), usual_refused_share=0.01)
    assert lines(await chart_of(api))["SEEN"] == {"15:00": 0.5}
    clock.move(MINUTE)
    alert(merchant, "events_rejected", clock.now(), event_name="Purchase", usual_refused_share=None)
    chart = await chart_of(api)
    assert (chart["title"], lines(chart)) == ("Share of Purchase events refused", {"SEEN": {"15:00": round(2 / 3, 4)}})


async def test_an_identifier_is_drawn_of_people_who_agree_where_it_fell(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    email, denied = BITS["email"], BITS["consent_denied"]
    at = now - 5 * MINUTE
    for facts, events, host in (
        (email, 8, "shop.example"),
        (0, 2, "shop.example"),
        (email | denied, 5, "shop.example"),
        (email, 90, "other.example"),
    ):
        covered(merchant, "Purchase", at, facts, events, host)
    fall = {"identifier": "email", "usual_share": 0.9, "scope": "stratum", "strata": [["website", "shop.example"]]}
    alert(merchant, "match_quality_drop", now, event_name="Purchase", identifiers=[fall])
    chart = await chart_of(api)
    assert chart["title"] == "Share of Purchase events at shop.example with the buyer's email"
    assert lines(chart)["SEEN"] == {"14:55": 0.8}
    assert set(lines(chart)["NORMAL"].values()) == {0.9}


async def test_refusals_of_consent_are_drawn_where_no_identifier_fell(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    covered(merchant, "Purchase", now - MINUTE, BITS["consent_denied"], 9)
    covered(merchant, "Purchase", now - MINUTE, 0, 1)
    alert(
        merchant,
        "match_quality_drop",
        now,
        event_name="Purchase",
        identifiers=[],
        denied_share=0.9,
        usual_denied_share=0.2,
    )
    chart = await chart_of(api)
    assert chart["title"] == "Share of people with Purchase events who refuse consent"
    assert lines(chart)["SEEN"] == {"14:59": 0.9}


async def test_a_value_is_drawn_of_the_places_that_usually_bring_one(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    covered(merchant, "Purchase", now - MINUTE, BITS["value"], 1)
    covered(merchant, "Purchase", now - MINUTE, BITS["zero_value"], 3)
    covered(merchant, "Purchase", now - MINUTE, 0, 40, "phone.example")
    strata = [["website", "shop.example"]]
    alert(merchant, "value_lost", now, event_name="Purchase", lost="value", usual_share=0.98, strata=strata)
    found = lines(await chart_of(api))
    assert found["SEEN"] == {"14:59": 0.25}
    assert set(found["NORMAL"].values()) == {0.98}


async def test_a_currency_is_missed_only_where_there_is_a_value(api: Api, merchant: Merchant, now: datetime) -> None:
    covered(merchant, "Purchase", now - MINUTE, BITS["value"] | BITS["currency"], 1)
    covered(merchant, "Purchase", now - MINUTE, BITS["zero_value"], 1)
    covered(merchant, "Purchase", now - MINUTE, 0, 40)
    alert(merchant, "value_lost", now, event_name="Purchase", lost="currency", usual_share=0.98)
    found = lines(await chart_of(api))
    assert found == {"SEEN": {"14:59": 0.5}}  # which places that figure was of is not known


async def test_copies_and_wrong_names_are_drawn_as_events(api: Api, merchant: Merchant, now: datetime) -> None:
    covered(merchant, "purchase", now - MINUTE, 0, 12)
    covered(merchant, "Purchase", now - MINUTE, 0, 3)
    alert(merchant, "event_name_unknown", now - MINUTE, "meta", "purchase", meant="Purchase")
    chart = await chart_of(api)
    assert [one["label"] for one in chart["series"]] == ["named purchase", "named Purchase"]
    found = lines(chart)
    assert (found["SEEN"]["14:59"], found["COMPARED"]["14:59"]) == (12, 3)
    alert(merchant, "likely_duplicates", now, event_name="Purchase", copies=2)
    chart = await chart_of(api)
    assert chart["title"] == "Purchase events that arrived, copies among them"
    assert sum(lines(chart)["SEEN"].values()) == 3


async def test_what_a_name_hides_is_shown_by_nobody(api: Api, merchant: Merchant, now: datetime) -> None:
    name = "jane@example.com\u202e<b>"
    covered(merchant, name, now - MINUTE, 0, 3)
    alert(merchant, "likely_duplicates", now, event_name=name)
    assert (await chart_of(api))["title"] == "… <b> events that arrived, copies among them"


async def test_an_old_one_is_drawn_by_the_hour_and_one_without_anything_left_is_not(
    api: Api, merchant: Merchant, now: datetime
) -> None:
    opened = now - 60 * DAY
    with in_transaction():  # as they are folded
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot, acknowledged, refused) VALUES (%s, 'meta', %s, 0, 90, 10)",
            (merchant.merchant_id, opened.replace(minute=0)),
        )
    alert(merchant, "delivery_rate_drop", opened, "meta", resolved_at=opened + 20 * MINUTE)
    chart = await chart_of(api)
    assert chart["stepSeconds"] == 3600
    assert lines(chart) == {"SEEN": {"15:00": 0.9}}
    alert(merchant, "delivery_rate_drop", now - 10 * DAY, "tiktok", resolved_at=now - 9 * DAY)
    assert await chart_of(api) is None


async def test_only_ones_own_alerts_have_a_chart(api: Api, runtime: Runtime, merchant: Merchant, now: datetime) -> None:
    other = new_merchant(runtime)
    for whose in (merchant, other):
        minutes(whose, "meta", now - MINUTE, {"acknowledged": 5})
        alert(whose, "platform_down", now, "meta")
    assert (await chart_of(api))["title"] == "Meta: share of attempts accepted"
    unknown = (
        node_id("Alert", other.merchant_id, 2),
        node_id("Alert", merchant.merchant_id, 2),
        node_id("Alert", merchant.merchant_id, 2**63),
        node_id("Alert", merchant.merchant_id, -1),
        node_id("Merchant", merchant.merchant_id),
        "nonsense",
    )
    for one in unknown:
        assert (await api(CHART, id=one))["alertChart"] is None


@pytest.mark.parametrize(
    ("kind", "platform", "name"),
    [
        ("platform_down", "meta", None),
        ("delivery_rate_drop", "meta", None),
        ("queue_backlog", None, None),
        ("queue_backlog", "meta", None),
        ("tracking_stopped", None, None),
        ("tracking_stopped", None, "Purchase"),
        ("events_rejected", None, None),
        ("events_rejected", None, "*"),
        ("match_quality_drop", None, "Purchase"),
        ("likely_duplicates", None, "Purchase"),
        ("value_lost", None, "Purchase"),
        ("event_name_unknown", "meta", "Purchase"),
    ],
)
@pytest.mark.parametrize(
    "details",
    [
        {},
        {"since": "x", "usual_success_rate": "0.5", "platforms": 7, "identifiers": [{}], "lost": "soul", "meant": 3},
        {
            "platforms": [None],
            "identifiers": {"email": 1},
            "usual_refused_share": 5,
            "strata": [["a"]],
            "lost": "value",
        },
        {
            "identifiers": [{"identifier": "email", "scope": "stratum", "strata": 7, "usual_share": None}],
            "meant": "Lead",
        },
    ],
)
async def test_figures_that_make_no_sense_are_left_out(
    api: Api, merchant: Merchant, now: datetime, kind: str, platform: str | None, name: str | None, details: Any
) -> None:
    for minute in range(1, 4):
        covered(merchant, "Purchase", now - minute * MINUTE, 0, 3)
    alert(merchant, kind, now, platform, name, **details)
    chart = await chart_of(api)
    assert chart is None or all(one["role"] != "NORMAL" for one in chart["series"])


def test_a_chart_reads_ranges_of_keys_however_much_there_is(database: str, now: datetime) -> None:
    since = now - 2 * DAY
    with in_transaction():
        execute(
            "INSERT INTO minutes (merchant_id, platform, minute, slot) SELECT m, p, %s + i * interval '1 minute', 0 "
            "FROM generate_series(1, 20) AS m, unnest(ARRAY['', 'meta', 'tiktok']) AS p, generate_series(1, 300) AS i",
            (since,),
        )
        execute(
            "INSERT INTO coverage SELECT m, 'name ' || n, %s + i * interval '1 minute', 'website', '', i, 0, 1 "
            "FROM generate_series(1, 20) AS m, generate_series(1, 5) AS n, generate_series(1, 300) AS i",
            (since,),
        )
        execute(
            "INSERT INTO name_minutes SELECT m, 'name ' || n, %s + i * interval '1 minute', 1 "
            "FROM generate_series(1, 20) AS m, generate_series(1, 5) AS n, generate_series(1, 300) AS i",
            (since,),
        )
        execute(
            "INSERT INTO rejections SELECT m, %s + i * interval '1 minute', 'name 1', 'REQUIRED', 'email', 0, 1 "
            "FROM generate_series(1, 20) AS m, generate_series(1, 300) AS i",
            (since,),
        )
        execute("ANALYZE minutes, ledger_hours, coverage, name_minutes, rejections")
        tables = ("minutes", "ledger_hours", "coverage", "name_minutes", "rejections")
        lists = ("name_days", "coverage_days", "rejection_days")
        keys = {f"{table}_pkey" for table in (*tables, *lists)}
        span = ChartRange(since, MINUTE, 120)
        params: dict[str, Any] = {
            "merchant": 3,
            "since": span.since,
            "until": span.until,
            "seconds": 60,
            "platforms": ["meta", "tiktok"],
            "names": ["name 1", "name 2"],
            "name": "name 1",
            "unfolded": since,
            "mask": 1,
            "denied": 2,
            "among": 0,
            "sources": ["website"],
            "hosts": ["*"],
        }
        for sql in (db.OUTCOMES, db.RECEIVED, db.REFUSED, db.EVENTS, db.OLD_EVENTS, db.CARRIED):
            (plan,) = rows(f"EXPLAIN (FORMAT JSON) {sql}", params)[0]  # type: ignore[arg-type]
            assert _scans(plan) <= keys, plan
        assert len(db.outcomes(3, span, ["meta"])) == 119
        assert db.carried(3, span, "name 1", 1, 2, [("website", "*")], 4)[5] == db.Carried(1, 1, 0, 1)


def _scans(plan: Sequence[dict[str, Any]]) -> set[str]:
    """The indexes that are read, and the tables that are read without one."""
    found: set[str] = set()
    todo = [plan[0]["Plan"]]
    while todo:
        node = todo.pop()
        todo += node.get("Plans", [])
        if "Index Name" in node or node["Node Type"] == "Seq Scan":
            found.add(node.get("Index Name") or node["Relation Name"])
    return found
