"""The everyday commands: what they print, what they refuse in one sentence, and that they do what the API does."""

from __future__ import annotations

import io
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.factories import META, Api, Merchant, draft, new_merchant
from tests.servers import handlers_kept
from tracklayer.cli import COMMANDS, alerts, build_parser, main, table
from tracklayer.cli.completion import arguments_of, names_of_files
from tracklayer.clock import FrozenClock, SystemClock
from tracklayer.db import connection, delivery_search, walks
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain import ids
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.alert import settle_findings
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, remove_destination, sandbox_destinations, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.merchants import authenticate, create_merchant

ODD_IDS = ["-x", "a b", "ü/ö?&%", "日本語", "'\"$(ls)", "--json", "x" * 255]


@pytest.fixture
def say(environ: str, runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Types a command that must succeed; what it printed."""

    def typed(*words: str, status: int = 0) -> str:
        assert main(list(words)) == status, capsys.readouterr().err
        connection.connect(environ)  # a command closes what it opened
        return capsys.readouterr().out

    return typed


@pytest.fixture
def ask(say: Callable[..., str]) -> Callable[..., Any]:
    """The same, as JSON."""

    def typed(*words: str, status: int = 0) -> Any:
        return orjson.loads(say(*words, "--json", status=status))

    return typed


@pytest.fixture
def refused(environ: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Types a command that must fail; its one sentence."""

    def typed(*words: str, status: int = 1) -> str:
        assert main(list(words)) == status
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("tracklayer: ")
        assert told.err.count("\n") == 1
        connection.connect(environ)
        return told.err.removeprefix("tracklayer: ").rstrip("\n")

    return typed


def test_the_only_merchant_needs_no_name(
    environ: str, say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime
) -> None:
    assert refused("key", "list") == "there is no merchant yet: make one with `tracklayer merchant create --name NAME`"
    new_merchant(runtime)
    assert len(ask("key", "list")["api_keys"]) == 1
    second = new_merchant(runtime)
    several = "there are several merchants: say which with --merchant ID; `tracklayer merchant list` shows them"
    commands = (
        "key list,destination list,deliveries,alerts,event show x,redeliver --all,export events --to x,import -,"
        "destination set --platform meta"
    )
    for command in commands.split(","):
        assert refused(*command.split(), status=2) == several
    assert ask("destination", "list", "--merchant", str(second.merchant_id))["destinations"][0]["platform"] == "meta"
    assert refused("alerts", "--merchant", "abc", status=2) == (
        "'abc' is not a merchant's id: `tracklayer merchant create` prints it"
    )
    assert refused("alerts", "--merchant", "99") == "there is no merchant 99"


def test_merchants_are_listed_page_by_page_the_worst_first(
    say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime
) -> None:
    merchants = [new_merchant(runtime, name=f"Shop {n}", meta=n == 2) for n in range(3)]
    open_alert(runtime, merchants[2].merchant_id, Severity.CRITICAL)
    first = ask("merchant", "list", "--limit", "2")
    assert [one["name"] for one in first["nodes"]] == ["Shop 0", "Shop 1"]
    assert first["page_info"] == {"has_next_page": True, "end_cursor": str(merchants[1].merchant_id)}
    rest = ask("merchant", "list", "--limit", "2", "--after", first["page_info"]["end_cursor"])
    (third,) = rest["nodes"]
    assert rest["page_info"]["has_next_page"] is False
    expected = {"merchant_id": str(merchants[2].merchant_id), "id": ids.encode("Merchant", merchants[2].merchant_id)}
    assert {name: third[name] for name in expected} == expected
    counts = {name: third[name] for name in third if name.startswith(("destinations", "open_alerts"))}
    assert counts == {
        "destinations": 1,
        "destinations_not_active": 0,
        "open_alerts": 1,
        "open_alerts_critical": 1,
    }
    lines = say("merchant", "list").splitlines()
    assert lines[0].split()[0] == "ID"
    assert [line.split("  ")[-1].strip() for line in lines[1:]] == ["Shop 2", "Shop 0", "Shop 1"]
    assert ask("merchant", "show", expected["id"]) == third
    assert "Shop 1" in say("merchant", "show", str(merchants[1].merchant_id))
    assert refused("merchant", "show", "77") == "there is no merchant 77"


def test_all_keys_are_listed_page_by_page_whatever_is_revoked_meanwhile(
    say: Callable[..., str],
    ask: Callable[..., Any],
    refused: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    merchant: Merchant,
) -> None:
    with in_transaction():
        for state, count in (("now()", 600), ("NULL", 3)):
            execute(
                "INSERT INTO api_keys (merchant_id, name, scopes, prefix, key_hash, created_at, revoked_at) "
                "SELECT %s, 'key ' || n, '{ingest}', 'tl_' || n, sha256(gen_random_uuid()::text::bytea), now(), "
                f"{state} FROM generate_series(1, %s) AS n",
                (merchant.merchant_id, count),
            )
    whole = ask("key", "list")
    assert (len(whole["api_keys"]), whole["page_info"]["has_next_page"]) == (501, True)
    rest = ask("key", "list", "--after", whole["page_info"]["end_cursor"])
    listed = [one["name"] for one in whole["api_keys"] + rest["api_keys"]]
    in_force = ["key 3", "key 2", "key 1", "first key"]
    assert listed == [*in_force, *(f"key {n}" for n in range(600, 0, -1))]
    assert rest["page_info"]["has_next_page"] is False
    two = ask("key", "list", "--limit", "2")
    ask("key", "revoke", two["api_keys"][1]["id"])
    third = ask("key", "list", "--limit", "1", "--after", two["page_info"]["end_cursor"])
    assert [one["name"] for one in third["api_keys"]] == ["key 1"]
    capsys.readouterr()
    assert main(["key", "list", "--limit", "2"]) == 0
    assert capsys.readouterr().err.startswith("There is more: --after ")
    assert "--after is not a place of this list" in refused("key", "list", "--after", "x")


def test_a_key_is_shown_once_and_worth_nothing_once_revoked(
    say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    made = ask("key", "create", "--name", "Server", "--scope", "INGEST", "--scope", "read")
    assert set(made) == {"api_key", "key"}
    assert (made["api_key"]["name"], made["api_key"]["scopes"]) == ("Server", ["ingest", "read"])
    holder = authenticate(runtime, made["key"])
    assert holder is not None
    assert holder.scopes == {"ingest", "read"}
    listed = ask("key", "list")["api_keys"]
    assert [one["name"] for one in listed] == ["Server", "first key"]
    assert listed[0] == {**made["api_key"], "last_used_at": listed[0]["last_used_at"]}
    table_of_keys = say("key", "list")
    assert made["key"] not in table_of_keys
    number = next(line.split()[0] for line in table_of_keys.splitlines() if "Server" in line)
    assert "is revoked" in say("key", "revoke", number)
    assert ask("key", "revoke", made["api_key"]["id"])["api_key"]["revoked_at"]  # twice is as good as once
    runtime.keyring.forget(merchant.merchant_id)
    assert authenticate(runtime, made["key"]) is None
    for odd in ("0", "x", "9" * 30, ids.encode("ApiKey", merchant.merchant_id + 1, int(number))):
        assert "has no key" in refused("key", "revoke", odd)
    assert (
        refused("key", "create", "--name", " ", "--scope", "read", status=2)
        == "The name must have 1 to 200 characters."
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param(
            "key create --name x --scope read",
            "key 2 was made and cannot be shown: revoke it by `tracklayer key revoke --merchant 1 2`, then create another",
            id="a key",
        ),
        pytest.param(
            "merchant create --name x --json",
            "merchant 2 was made, and its key cannot be shown: create another by `tracklayer key create --merchant 2 --name NAME "
            "--scope admin`, and revoke “first key”, which `tracklayer key list --merchant 2` shows",
            id="a merchant",
        ),
        pytest.param("sign-in", "the link that was made cannot be shown: say it again for another", id="a link"),
        pytest.param("redeliver --all --yes", "0 of 1 deliveries are queued again", id="a redelivery"),
        pytest.param("import FILE", "the file is imported: 0 accepted, 0 coalesced, 1 rejected", id="an import"),
        pytest.param(
            "destination set --platform meta --event-name Purchase",
            "meta is set for merchant 1: there is no need to say it again",
            id="a destination",
        ),
        pytest.param("destination pause --platform meta --json", "meta is paused for merchant 1.", id="a pause"),
        pytest.param("destination resume --platform meta", "meta is active for merchant 1.", id="a resumption"),
        pytest.param("destination remove --platform meta", "meta is removed for merchant 1.", id="a removal"),
        pytest.param("key revoke 1", "the key 1 is revoked", id="a revocation"),
        pytest.param(
            "merchant collector --no-enabled",
            "the collector of merchant 1 is set; `tracklayer merchant collector --merchant 1` shows it",
            id="a collector",
        ),
        pytest.param("alerts acknowledge 1", "the alert is acknowledged", id="an acknowledgement"),
        pytest.param("alerts snooze 1 --for 1h", "the alert is snoozed", id="a snooze"),
    ],
)
def test_what_was_done_is_told_where_it_cannot_be_printed(
    environ: str,
    runtime: Runtime,
    merchant: Merchant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    told: str,
) -> None:
    sandbox_destinations(runtime, merchant.merchant_id, ["meta"])
    ingest_events(runtime, merchant.holder, [draft("order")])
    drop("order")
    open_alert(runtime, merchant.merchant_id)
    file = tmp_path / "events.jsonl"
    file.write_text("{}")
    with open("/dev/full", "w") as full:  # noqa: PTH123 - as a shell would
        monkeypatch.setattr(sys, "stdout", full)
        assert main([str(file) if word == "FILE" else word for word in command.split()]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"tracklayer: cannot write any further: No space left on device; {told}"


@pytest.mark.parametrize(
    ("shell", "status"),
    [
        pytest.param('"$@" >&-', 1, id="closed"),
        pytest.param('exec > >(exit); wait $!; "$@"', 141, id="whoever reads has ended"),
    ],
)
def test_a_key_that_nobody_reads_is_told_too(environ: str, merchant: Merchant, shell: str, status: int) -> None:
    command = f"{sys.executable} -m tracklayer key create --name x --scope read".split()
    done = subprocess.run(["bash", "-c", shell, "bash", *command], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "; key 2 was made and cannot be shown: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_destination_is_paused_resumed_and_removed(
    say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    ingest_events(runtime, merchant.holder, [draft("order_1"), draft("order_2")])
    paused = say("destination", "pause", "--platform", "meta")
    assert "meta is paused" in paused
    assert "2 deliveries wait there" in paused
    (shown,) = ask("destination", "list")["destinations"]
    assert (shown["state"], shown["state_reason"], shown["waiting"]) == ("paused", "paused by the merchant", 2)
    assert shown["settings"] == {**META, "access_token": "••••ests"}
    assert ask("destination", "resume", "--platform", "meta")["destination"]["state"] == "active"
    assert "is removed" in say("destination", "remove", "--platform", "meta")
    assert ask("destination", "list") == {"destinations": []}
    other = new_merchant(runtime)
    ingest_events(runtime, other.holder, [draft("order_3")])
    again = f"tracklayer redeliver --merchant {other.merchant_id} --platform meta --reason destination_removed"
    told = f"1 delivery waits there, and is dropped now. Set it again to redeliver it: `{again}`."
    assert told in say("destination", "remove", "--platform", "meta", "--merchant", str(other.merchant_id))
    for action in ("pause", "resume", "remove", "test"):
        assert refused("destination", action, "--platform", "meta", "--merchant", str(merchant.merchant_id)).startswith(
            "There is no destination"
        )


def test_the_list_of_destinations_begins_with_the_worst(
    say: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    set_destination(
        runtime, merchant.merchant_id, "tiktok", {"pixel_code": "C4ABCDEFGH1234567890", "access_token": "x"}
    )
    set_destination(
        runtime, merchant.merchant_id, "reddit", {"pixel_id": "a2_abcdefgh", "access_token": "token-of-reddit"}
    )
    with in_transaction():
        execute(
            "UPDATE destinations SET state = 'held', state_reason = 'away', resume_at = '2026-11-20T16:00:00Z' "
            "WHERE platform = 'tiktok'"
        )
        execute("UPDATE destinations SET state = 'paused' WHERE platform = 'meta'")
    lines = say("destination", "list").splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["tiktok", "held"], ["meta", "paused"], ["reddit", "active"]]


def test_a_destination_is_tested_in_the_platforms_own_test_mode(
    environ: str,
    say: Callable[..., str],
    ask: Callable[..., Any],
    refused: Callable[..., str],
    runtime: Runtime,
    merchant: Merchant,
    sandbox: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACKLAYER_SANDBOX_URL", sandbox.url)
    assert "test_event_code" in refused("destination", "test", "--platform", "meta")
    set_destination(runtime, merchant.merchant_id, "meta", {"test_event_code": "TEST123"})
    assert say("destination", "test", "--platform", "meta").startswith("meta took the test event.")
    found = ask("destination", "test", "--platform", "meta")
    assert (found["attempt"]["outcome"], found["attempt"]["http_status"]) == ("acknowledged", 200)
    assert found["request"]["body"]["test_event_code"] == "TEST123"
    assert META["access_token"] not in orjson.dumps(found).decode()
    event = tmp_path / "event.json"
    event.write_bytes(orjson.dumps(draft("old", occurred_at="2020-01-01T00:00:00Z")))
    found = ask("destination", "test", "--platform", "meta", "--event", str(event), status=1)
    assert found["attempt"] is None
    assert [one["code"] for one in found["user_errors"]] == ["EVENT_TOO_OLD"]
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0,)]


def test_snapchat_is_tested_where_it_records_nothing_with_a_code_and_without(
    environ: str,
    ask: Callable[..., Any],
    runtime: Runtime,
    merchant: Merchant,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRACKLAYER_SANDBOX_URL", sandbox.url)
    pixel = "1ec32188-754e-4be2-8e55-c949a984a39f"
    settings: dict[str, Any] = {"pixel_id": pixel, "access_token": "token"}
    for code in ({}, {"test_event_code": "TEST123"}):
        set_destination(runtime, merchant.merchant_id, "snapchat", settings | code)
        found = ask("destination", "test", "--platform", "snapchat")
        assert (found["attempt"]["outcome"], found["attempt"]["http_status"]) == ("acknowledged", 200)
        assert found["request"]["url"].endswith(f"/v3/{pixel}/events/validate")
        assert found["request"]["body"]["data"][0].get("test_event_code") == code.get("test_event_code")
    seen = httpx.get(f"{sandbox.url}/_accepted", params={"platform": "snapchat"}).json()
    assert seen["received"] == 0


def test_what_the_sandbox_invented_is_not_sent_to_a_real_platform(
    refused: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    sandbox_destinations(runtime, merchant.merchant_id, ["tiktok"])
    told = refused("destination", "test", "--platform", "tiktok")
    assert told.startswith("tiktok has the invented settings of `tracklayer up --sandbox`")


@pytest.mark.parametrize("event_id", ODD_IDS)
def test_an_event_of_any_id_is_shown(
    say: Callable[..., str], runtime: Runtime, merchant: Merchant, event_id: str
) -> None:
    ingest_events(runtime, merchant.holder, [draft(event_id)])
    shown = orjson.loads(say("event", "show", "--json", "--", event_id))
    assert shown["event_id"] == event_id
    assert [one["platform"] for one in shown["deliveries"]] == ["meta"]
    assert event_id in say("event", "show", "--", event_id)


def test_an_event_is_shown_with_what_became_of_it(
    say: Callable[..., str],
    ask: Callable[..., Any],
    refused: Callable[..., str],
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
) -> None:
    person = {"email": "jane@example.com", "first_name": "Jane", "client_ip": "203.0.113.42"}
    ingest_events(runtime, merchant.holder, [draft("order_1", user_data=person)])
    ingest_events(runtime, merchant.holder, [draft("order_1", user_data=person, custom_data={"value": 5})])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    shown = ask("event", "show", "order_1")
    assert (shown["times_received"], shown["user_data"]["first_name"]) == (2, "••••")
    assert set(shown["last_difference"]["fields"]) == {"custom_data.value", "custom_data.currency"}
    (delivery,) = shown["deliveries"]
    assert (delivery["status"], delivery["held"], delivery["next_retry_at"]) == ("delivered", False, None)
    assert [entry["outcome"] for entry in delivery["attempt_log"]] == ["acknowledged"]
    text = say("event", "show", "order_1")
    assert "acknowledged" in text
    assert "jane@example.com" not in text
    for odd in ("order_2", "a\x00b", "caf\udce9", "x" * 100_000):
        assert refused("event", "show", odd[:200_000]).startswith(f"merchant {merchant.merchant_id} has no event ")


def test_deliveries_are_narrowed_and_paged_as_in_the_api(
    say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    ingest_events(runtime, merchant.holder, [draft(f"order_{n:04}") for n in range(1, 1203)])
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = 'invalid_field', due_at = NULL, last_error = 'a' "
            "WHERE event_id = 'order_0007'"
        )
    seen: list[str] = []
    place: list[str] = []
    while True:
        page = ask("deliveries", "--limit", "600", *place)
        seen += [one["event_id"] for one in page["nodes"]]
        if not page["page_info"]["has_next_page"]:
            break
        place = ["--after", page["page_info"]["end_cursor"]]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 1202
    assert [one["event_id"] for one in ask("deliveries", "--status", "DROPPED")["nodes"]] == ["order_0007"]
    assert [one["drop_reason"] for one in ask("deliveries", "--reason", "invalid_field")["nodes"]] == ["invalid_field"]
    assert ask("deliveries", "--platform", "reddit") == {
        "nodes": [],
        "page_info": {"has_next_page": False, "end_cursor": None},
    }
    assert ask("deliveries", "--since", "2026-11-21")["nodes"] == []
    assert len(ask("deliveries", "--since", "2026-11-20", "--until", "2026-11-21T00:00:00Z")["nodes"]) == 50
    assert ask("deliveries", "--held")["nodes"] == []
    lines = say("deliveries", "--limit", "1202").splitlines()
    assert len(lines) == 1203
    assert lines[1].split()[:3] == ["order_0007", "meta", "dropped"]
    assert "--after" in refused("deliveries", "--after", "nonsense")
    assert "--error-contains" in refused("deliveries", "--error-contains", "a\x00b")


async def test_a_place_of_the_api_is_a_place_of_the_command(
    ask: Callable[..., Any], runtime: Runtime, api: Api, merchant: Merchant
) -> None:
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(3)])
    query = "{ deliveries(first: 1) { nodes { id } pageInfo { endCursor hasNextPage } } }"
    told = (await api(query))["deliveries"]
    page = ask("deliveries", "--limit", "1")
    assert page["nodes"][0]["id"] == told["nodes"][0]["id"]
    assert page["page_info"] == {"has_next_page": True, "end_cursor": told["pageInfo"]["endCursor"]}


def drop(*event_ids: str, reason: str = "window_expired") -> None:
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'dropped', drop_reason = %s, due_at = NULL, finished_at = queued_at "
            "WHERE event_id = ANY(%s)",
            (reason, list(event_ids)),
        )
        execute("UPDATE queues SET waiting = waiting - %s", (len(event_ids),))


def test_redeliver_says_what_it_would_do_and_does_it_when_told_to(
    say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    runtime.clock = SystemClock()
    now = runtime.clock.now().isoformat()
    names = [*(f"order_{n}" for n in range(4)), "old"]
    ingest_events(runtime, merchant.holder, [draft(name, occurred_at=now) for name in names])
    drop("order_0", "order_1", "old")
    with in_transaction():
        execute("UPDATE events SET occurred_at = '2026-10-01' WHERE event_id = 'old'")
        unanswered = f'[{{"number": 1, "at": "{now}", "outcome": "unknown"}}]'
        execute("UPDATE deliveries SET attempt_log = %s WHERE event_id = 'order_0'", (unanswered,))
    found = ask("redeliver", "--reason", "window_expired")
    too_old = {"reason": "too old for the platform", "count": 1, "field": "occurred_at", "example_event_id": "old"}
    check = {"deliveries": 2, "would_send": 2, "refused": []}
    expected = {
        "dry_run": True,
        "matched": 3,
        "requeued": 2,
        "refused": [too_old],
        "complete": True,
        "duplicate_risk": 1,
        "job": None,
        "check": check,
    }
    assert found == expected
    told = say("redeliver", "--all")
    assert told.startswith("2 of 3 deliveries would be queued again.")
    assert "\n1 of these 2 may be counted twice: an attempt got no answer" in told
    assert "too old for the platform" in told
    assert waiting() == 2
    assert ask("redeliver", "--event-id", "order_0", "--event-id", "none", "--yes") == {
        **expected,
        "dry_run": False,
        "matched": 1,
        "requeued": 1,
        "refused": [{"reason": "unknown id", "count": 1, "field": None, "example_event_id": None}],
        "check": {**check, "deliveries": 1, "would_send": 1},
    }
    assert waiting() == 3
    merchant_id = merchant.merchant_id
    assert refused("redeliver", "--event-id", "none", "--yes") == f"merchant {merchant_id} has no delivery of none"
    several = f"merchant {merchant_id} has no delivery of any of these 2 events, such as none"
    assert refused("redeliver", "--event-id", "none", "--event-id", "x") == several
    unknown = ask("redeliver", "--event-id", "none", "--yes", status=1)["refused"]
    assert [(one["reason"], one["count"]) for one in unknown] == [("unknown id", 1)]
    assert ask("redeliver", "--all", "--yes")["requeued"] == 1
    assert ask("redeliver", "--all", "--yes")["requeued"] == 0
    assert waiting() == 4


def test_redeliver_says_what_would_be_dropped_again(
    say: Callable[..., str], ask: Callable[..., Any], runtime: Runtime, merchant: Merchant
) -> None:
    runtime.clock = SystemClock()
    now = runtime.clock.now().isoformat()
    ingest_events(
        runtime, merchant.holder, [draft("whole", occurred_at=now), draft("nobody", occurred_at=now, user_data={})]
    )
    drop("whole", "nobody")
    missing = {"reason": "MISSING_IDENTIFIERS", "count": 1, "field": "user_data", "example_event_id": "nobody"}
    assert ask("redeliver", "--all")["check"] == {"deliveries": 2, "would_send": 1, "refused": [missing]}
    told = say("redeliver", "--all")
    assert "1 would be dropped again: 1 MISSING_IDENTIFIERS (user_data), such as nobody." in told


def waiting() -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL")[0][0])


def open_alert(
    runtime: Runtime, merchant_id: int, severity: Severity = Severity.WARNING, kind: AlertKind = AlertKind.QUEUE_BACKLOG
) -> int:
    finding = Finding(
        kind, None, severity, f"A {severity} one", "What is at risk.", runtime.clock.now(), {"waiting": 7}
    )
    (alert_id,) = settle_findings(runtime, merchant_id, [finding], [finding.subject], runtime.clock.now())
    return alert_id


@pytest.mark.parametrize(
    "command",
    ["deliveries", "deliveries --received", "redeliver --yes", "alerts", "export events --to DIR"],
)
def test_a_time_that_ends_before_it_begins_is_refused(
    environ: str, merchant: Merchant, refused: Callable[..., str], tmp_path: Path, command: str
) -> None:
    command, name = command.replace(" --received", ""), "--received-" if "--received" in command else "--"
    words = [str(tmp_path / "to") if word == "DIR" else word for word in command.split()]
    told = refused(*words, f"{name}since", "2026-11-20", f"{name}until", "2026-11-19", status=2)
    said = f"nothing lies between {name}since and {name}until: "
    assert told == f"{said}2026-11-20 00:00:00 UTC is not before 2026-11-19 00:00:00 UTC"
    assert refused(*words, f"{name}since", "1h", f"{name}until", "2h", status=2).startswith(said)
    assert refused(*words, f"{name}since", "2026-11-20", f"{name}until", "2026-11-20", status=2).startswith(said)
    assert not list((tmp_path / "to").glob("*.json")), "no export that were complete"


def test_alerts_are_listed_acknowledged_and_snoozed(
    say: Callable[..., str], ask: Callable[..., Any], refused: Callable[..., str], runtime: Runtime, merchant: Merchant
) -> None:
    critical = open_alert(runtime, merchant.merchant_id, Severity.CRITICAL, AlertKind.TRACKING_STOPPED)
    warning = open_alert(runtime, merchant.merchant_id)
    page = ask("alerts")
    assert [one["severity"] for one in page["nodes"]] == ["warning", "critical"]
    assert ask("alerts", "list") == page
    assert ask("alerts", "--limit", "1")["page_info"]["has_next_page"] is True
    behind = ask("alerts", "list", "--after", ask("alerts", "--limit", "1")["page_info"]["end_cursor"])
    assert [one["severity"] for one in behind["nodes"]] == ["critical"]
    assert [line.split()[0] for line in say("alerts").splitlines()[1:]] == [str(critical), str(warning)]
    assert ask("alerts", "--kind", "tracking_stopped")["nodes"] == [page["nodes"][1]]
    assert ask("alerts", "--state", "resolved")["nodes"] == []
    assert ask("alerts", "show", str(warning)) == {"alert": page["nodes"][0]}
    assert "What is at risk." in say("alerts", "show", page["nodes"][0]["id"])
    noted = ask("alerts", "acknowledge", str(warning), "--note", "We know.")["alert"]
    assert (noted["note"], noted["state"]) == ("We know.", "open")
    assert noted["acknowledged_at"] is not None
    assert ask("alerts", "snooze", str(critical), "--for", "4h")["alert"]["snoozed_until"] is not None
    assert ask("alerts", "snooze", str(critical), "--wake")["alert"]["snoozed_until"] is None
    assert refused("alerts", "snooze", str(critical), "--for", "91d").startswith("snooze it until an instant")
    assert refused("alerts", "snooze", str(critical), "--until", "2020-01-01").endswith("`--wake` ends a snooze")
    assert "1,000 characters" in refused("alerts", "acknowledge", str(critical), "--note", "x" * 1001)
    other = create_merchant(runtime, "Other")
    assert isinstance(other, tuple)
    own = str(merchant.merchant_id)
    assert ask("alerts", "--merchant", own, "show", str(warning)) == ask(
        "alerts", "show", str(warning), "--merchant", own
    )
    for odd in ("0", "99", "x", ids.encode("Alert", other[0], critical)):
        assert refused("alerts", "show", odd, "--merchant", own).startswith(f"merchant {own} has no alert ")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        pytest.param("up --port 99999", "must be a port number from 1 to 65535", id="up at no port"),
        pytest.param("api --port 0", "must be a port number from 1 to 65535", id="api at no port"),
        pytest.param("sandbox --port -1", "must be a port number from 1 to 65535", id="sandbox at no port"),
        pytest.param("deliveries --platform myspace", "invalid choice: 'myspace'", id="an unknown platform"),
        pytest.param("deliveries --limit 0", "must be a whole number from 1 to 10,000", id="no rows"),
        pytest.param(
            "deliveries --limit 99999999999999999999", "must be a whole number", id="more rows than there are"
        ),
        pytest.param("deliveries --since yesterday", "must be a time such as", id="a time in words"),
        pytest.param(
            "alerts snooze 1", "one of the arguments --for --until --wake is required", id="no end of a snooze"
        ),
        pytest.param("alerts snooze 1 --for ever", "must be a time span such as 30m", id="a span that is none"),
        pytest.param("key create --name x --scope write", "invalid choice: 'write'", id="an unknown scope"),
        pytest.param("export people --to x", "invalid choice: 'people'", id="an export of what is not there"),
        pytest.param("redeliver", "say which: --platform, --reason", id="a redelivery of nothing said"),
        pytest.param(
            "erase --email jane@example.com", "say whose customer it was: --merchant ID", id="nobody's customer"
        ),
        pytest.param(
            "preview --platform meta --now today x.json",
            "argument --now: must be a date and time of RFC 3339",
            id="no instant",
        ),
        pytest.param("monitors backtest --days x", "choose 1 to", id="a number of days in words"),
        pytest.param("api --processes 0", "must be a whole number from 1 to 256", id="no process"),
        pytest.param("worker --threads many", "must be a whole number from 1 to 1,000", id="threads in words"),
        pytest.param("completion cmd", "invalid choice: 'cmd'", id="an unknown shell"),
    ],
)
def test_wrong_usage_names_what_is_wrong(args: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(args.split())
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["up", "sandbox"])
def test_a_port_that_is_taken_is_one_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with handlers_kept():
            assert main([command, "--port", port]) == 1
    said = capsys.readouterr().err
    another = "--port or TRACKLAYER_PORT" if command == "up" else "--port"
    told = f"tracklayer: cannot listen on 127.0.0.1:{port}: Address already in use; choose another with {another}\n"
    assert told in said
    assert "Traceback" not in said


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1"])
def test_a_host_that_is_not_ours_names_the_setting_that_mends_it(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACKLAYER_HOST", host)
    with handlers_kept():
        assert main(["up"]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(
        rf"tracklayer: cannot listen on {host}:8000: .*; choose an address of this machine with TRACKLAYER_HOST\n", said
    )


def test_a_command_whose_reader_has_had_enough_ends_as_other_programs_do() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tracklayer", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


EVERYDAY = (
    "merchant list,merchant show,key create --name x --scope read,key list,key revoke 1,destination list,"
    "destination test --platform meta,destination pause --platform meta,destination resume --platform meta,"
    "destination remove --platform meta,event show x,deliveries,redeliver --all,alerts,alerts show 1,"
    "alerts acknowledge 1,alerts snooze 1 --wake,export events --to DIR,import -"
).split(",")


@pytest.mark.parametrize("command", EVERYDAY)
def test_a_database_that_is_away_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", "a-secret-key-for-tests-of-forty-characters")
    assert main([str(tmp_path) if word == "DIR" else word for word in command.split()]) == 1
    said = capsys.readouterr().err
    assert said.startswith("tracklayer: the database cannot be reached")
    assert said.count("\n") == 1
    assert "hunter2" not in said


@pytest.mark.parametrize("command", [*EVERYDAY, "doctor", "sign-in"])
def test_another_directory_gets_no_database_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([str(tmp_path / "out") if word == "DIR" else word for word in command.split()]) == 1
    said = capsys.readouterr()
    assert f"there is no installation in {tmp_path / '.tracklayer'}: set TRACKLAYER_DATA_DIR" in said.err + said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_a_shell_gets_what_completes_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "redeliver" in script
    assert "rows-per-file" in script


@pytest.mark.parametrize(
    ("shell", "files", "directories"),
    [
        pytest.param("bash", "_shtab_compgen_files", "_shtab_compgen_dirs", id="bash"),
        pytest.param("zsh", ":_files", ":_files -/", id="zsh"),
        pytest.param("fish", "__fish_complete_path", "__fish_complete_directories", id="fish"),
    ],
)
def test_a_shell_completes_names_of_files_and_directories(
    shell: str, files: str, directories: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert files in script
    assert directories in script


def test_what_takes_the_name_of_a_file_says_so() -> None:
    """By what its help calls it, which is what completion goes by."""
    found = {
        (action.option_strings or [action.dest])[0]: kind
        for action in arguments_of(build_parser())
        if (kind := names_of_files(action)) is not None
    }
    assert found == {
        "--settings": "FILE",
        "file": "FILE",
        "--to": "DIRECTORY",
        "--profile": "FILE",
        "--sdk-python": "FILE",
    }


COSTLY = ("shtab", "pyarrow", "redis", "dramatiq", "uvicorn", "strawberry", "tracklayer.cli.bench")


@pytest.mark.parametrize(
    ("command", "loaded"),
    [
        ("merchant", []),
        ("worker", ["redis", "dramatiq", "uvicorn"]),
        ("api", ["redis", "dramatiq", "uvicorn", "strawberry"]),
    ],
)
def test_a_command_loads_nothing_that_others_alone_need(command: str, loaded: list[str]) -> None:
    looks = f"import sys, tracklayer.cli as c; c.build_parser({command!r}); print([n for n in {COSTLY} if n in sys.modules])"
    told = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True).stdout
    assert told == f"{loaded}\n"


def test_every_command_is_found_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    listed = [line.split()[0] for line in told.splitlines() if re.match(r" {4}[a-z]", line)]
    assert listed == list(COMMANDS)
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: tracklayer {command}")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_and_no_longer_lines_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    titles, found = ("id", "status", "reason"), [("a", "dropped", "x" * 100), ("日本", "delivered", "a\x1b[31m\nb")]

    def printed(stream: io.StringIO) -> str:
        monkeypatch.setattr(sys, "stdout", stream)
        table.print_table(titles, found)
        return stream.getvalue()

    assert printed(Terminal()).splitlines() == [
        "ID    STATUS     REASON",
        "a     \x1b[31mdropped\x1b[0m    " + "x" * 41 + "…",
        "日本  \x1b[32mdelivered\x1b[0m  a [31m b",
    ]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(Terminal())
    monkeypatch.delenv("NO_COLOR")
    assert printed(io.StringIO()).splitlines()[1] == "a     dropped    " + "x" * 100


def test_what_takes_too_long_to_find_is_said_in_a_sentence(
    refused: Callable[..., str], runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_merchant(runtime)
    monkeypatch.setattr(connection, "READ_TIMEOUT_MS", 50)
    monkeypatch.setattr(alerts, "page_of_alerts", lambda *_: rows("SELECT pg_sleep(5)"))
    assert refused("alerts") == (
        "this takes too long to find: narrow it, by --since say, or try again at a quieter hour"
    )


def test_words_are_looked_for_among_so_many_deliveries_at_once(
    ask: Callable[..., Any], runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the API does: else one statement would look at all there are."""
    merchant = new_merchant(runtime)
    ingest_events(runtime, merchant.holder, [draft(f"e{number}") for number in range(7)])
    with in_transaction():
        execute(
            "UPDATE deliveries SET status = 'failed', queued_at = queued_at + substring(event_id FROM 2)::int * interval '1 s', "
            "last_error = CASE WHEN event_id IN ('e1', 'e6') THEN 'Says THIS' ELSE 'no' END"
        )
    looked = []
    real = delivery_search.place_query

    def place_query(*args: Any) -> Any:
        looked.append(args)
        return real(*args)

    monkeypatch.setattr(walks, "MOST_LOOKED", 2)
    monkeypatch.setattr(delivery_search, "place_query", place_query)
    assert [one["event_id"] for one in ask("deliveries", "--error-contains", "says this")["nodes"]] == ["e6", "e1"]
    assert len(looked) == 3
    assert [one["event_id"] for one in ask("deliveries", "--error-contains", "says this", "--limit", "1")["nodes"]] == [
        "e6"
    ]


async def test_since_when_a_destination_is_there_is_told_as_in_the_api(
    ask: Callable[..., Any], api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Also of one that was removed and set up anew."""
    assert isinstance(remove_destination(runtime, merchant.merchant_id, "meta"), Changed)
    clock.move(timedelta(days=3))
    assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", META, None), Changed)
    (told,) = (await api("{ merchant { destinations { createdAt } } }"))["merchant"]["destinations"]
    (listed,) = ask("destination", "list")["destinations"]
    assert datetime.fromisoformat(listed["created_at"]) == datetime.fromisoformat(told["createdAt"]) == clock.now()


def test_an_export_of_a_person_tells_of_what_may_be_somebody_elses(
    environ: str, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    merchant = new_merchant(runtime, hashing=False)
    ingest_events(runtime, merchant.holder, [draft("either", user_data={"phone": "0151 23456789"})])
    capsys.readouterr()
    assert main(["person", "export", "--merchant", str(merchant.merchant_id), "--phone", "+49 151 23456789"]) == 0
    connection.connect(environ)
    out, err = capsys.readouterr()
    assert orjson.loads(out) == {"events": [], "browsers": []}
    assert err == (
        "1 event may be somebody else's, and is not in it: tracklayer erase --dry-run tells which; name with --event-id what "
        "is this person's.\n"
    )


async def test_times_are_written_as_in_the_api(
    ask: Callable[..., Any],
    say: Callable[..., str],
    api: Api,
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
) -> None:
    clock.move(timedelta(microseconds=72_729))
    ingest_events(runtime, merchant.holder, [draft()])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    open_alert(runtime, merchant.merchant_id, Severity.CRITICAL)
    commands = "merchant show,key list,destination list,event show order_1,deliveries,alerts,sign-in".split(",")
    said = [json for command in commands for json in instants(ask(*command.split()))]
    said += instants(orjson.loads(say("person", "export", "--merchant", "1", "--email", "jane@example.com")))
    assert len(said) > 10
    assert [text for text in said if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)] == []
    (told,) = (await api("{ merchant { destinations { createdAt } } }"))["merchant"]["destinations"]
    (listed,) = ask("destination", "list")["destinations"]
    assert listed["created_at"] == told["createdAt"]


def instants(value: Any) -> list[str]:
    """Every text that begins as an instant does."""
    if isinstance(value, dict):
        return [text for name, one in value.items() if name != "details" for text in instants(one)]
    if isinstance(value, list):
        return [text for one in value for text in instants(one)]
    return [value] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else []
