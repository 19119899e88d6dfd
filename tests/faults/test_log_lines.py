"""What an operator reads: a line at each start and end, a line a minute, a line where something changed; as JSON throughout."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.factories import INGEST, camel, draft
from tests.faults.conftest import Installation
from tests.servers import Process, free_port, running, wait_for_api, wait_until
from tracklayer import __version__
from tracklayer.cli.bench.ground import clean_environ
from tracklayer.db.connection import execute, in_transaction, rows

PERSON = "jane.canary@example.com"


def lines(process: Process) -> list[dict[str, Any]]:
    """Each line of its output, which nothing but objects are in."""
    return [json.loads(line) for line in process.output().splitlines()]


def of_kind(process: Process, kind: str) -> list[dict[str, Any]]:
    return [line for line in lines(process) if line.get("kind") == kind]


@pytest.fixture
def installation(installation: Installation) -> Installation:
    installation.environ["TRACKLAYER_LOG_FORMAT"] = "json"
    return installation


def test_each_role_says_what_it_is_what_it_did_and_that_it_ended(
    installation: Installation, now: Callable[[], str]
) -> None:
    port = free_port()
    api = installation.stack.enter_context(running("api", "--port", str(port), environ=installation.environ))
    worker, scheduler = installation.worker(), installation.scheduler()
    wait_for_api(api, f"http://127.0.0.1:{port}")
    client = installation.client(f"http://127.0.0.1:{port}")
    event = draft("the one", occurred_at=now(), user_data={"email": PERSON})
    for _ in range(2):
        answer = client.post("/graphql", json={"query": INGEST, "variables": {"input": camel(event)}})
        assert answer.status_code == 200
    bad = camel({**event, "event_name": ""})
    client.post("/graphql", json={"query": INGEST, "variables": {"input": bad}})
    wait_until(lambda: "the one" in installation.accepted(), "it to be delivered")
    wait_until(lambda: rows_of("delivered") == 1, "that to be written")
    for process in (api, worker, scheduler):
        assert process.stop() == 0
    for process, role in ((api, "api"), (worker, "worker"), (scheduler, "scheduler")):
        assert PERSON not in process.output()
        assert installation.merchant.key not in process.output()
        assert {(line["role"], line["pid"]) for line in lines(process)} == {(role, process.pid)}
        assert all(line["ts"] and line["level"] and line["message"] for line in lines(process))
        (started,) = of_kind(process, "started")
        assert started["version"] == __version__
        assert started["redis"] == installation.redis.url
        assert ("listens" in started) is (role == "api")
        assert len(of_kind(process, "ended")) == 1
    assert of_kind(api, "started")[0]["listens"] == f"http://127.0.0.1:{port}"
    (done,) = of_kind(api, "done")
    assert done["events"] == {"accepted": 1, "coalesced": 1, "rejected": 1}
    assert done["message"].endswith("s: events 1 accepted, 1 coalesced, 1 rejected")
    (done,) = of_kind(worker, "done")
    assert (done["deliveries"], done["claims"]) == ({"delivered": 1}, 1)
    assert of_kind(scheduler, "done") == []


def rows_of(status: str) -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM deliveries WHERE status = %s", (status,))[0][0])


def test_a_destination_that_is_held_and_sends_again_is_a_line_each(
    installation: Installation, now: Callable[[], str]
) -> None:
    client = installation.client(installation.api())
    worker = installation.worker()
    installation.scheduler()
    installation.fault(kind="credentials", count=1)
    client.post("/graphql", json={"query": INGEST, "variables": {"input": camel(draft("held", occurred_at=now()))}})
    wait_until(lambda: bool(of_kind(worker, "destination_held")), "it to be held")
    resume = "mutation { resumeDestination(platform: META) { userErrors { code } } }"
    assert client.post("/graphql", json={"query": resume}).json()["data"]["resumeDestination"]["userErrors"] == []
    wait_until(lambda: "held" in installation.accepted(), "it to be delivered")
    (held,) = of_kind(worker, "destination_held")
    assert (held["merchant_id"], held["platform"]) == (installation.merchant.merchant_id, "meta")


def test_each_of_several_processes_says_which_it_is(installation: Installation) -> None:
    port = free_port()
    args = ("api", "--port", str(port), "--processes", "2")
    api = installation.stack.enter_context(running(*args, environ=installation.environ))
    wait_until(lambda: len(of_kind(api, "started")) == 3, "both to start, and their parent")
    parent, *children = of_kind(api, "started")
    assert (parent["pid"], parent["processes"]) == (api.pid, 2)
    assert {line["listens"] for line in (parent, *children)} == {f"http://127.0.0.1:{port}"}
    os.kill(children[0]["pid"], signal.SIGKILL)
    wait_until(lambda: len(of_kind(api, "started")) == 4, "another to take its place")
    (ended,) = of_kind(api, "process_ended")
    assert (ended["pid"], ended["child"], ended["status"]) == (api.pid, children[0]["pid"], -signal.SIGKILL)
    assert api.stop() == 0
    # The one that took its place may not have got so far that it has an end to tell of.
    assert children[1]["pid"] in {line["pid"] for line in of_kind(api, "ended")}


def test_a_failure_is_found_by_the_id_that_the_caller_was_given(installation: Installation) -> None:
    port = free_port()
    api = installation.stack.enter_context(running("api", "--port", str(port), environ=installation.environ))
    wait_for_api(api, f"http://127.0.0.1:{port}")
    client = installation.client(f"http://127.0.0.1:{port}")
    with in_transaction():
        execute("ALTER TABLE merchants RENAME COLUMN name TO renamed")
    try:
        query = {"query": "{ merchant { name } }"}
        own = client.post("/graphql", json=query)
        given = client.post("/graphql", json=query, headers={"x-request-id": "their-own.1"})
    finally:
        with in_transaction():
            execute("ALTER TABLE merchants RENAME COLUMN renamed TO name")
    assert given.headers["x-request-id"] == "their-own.1"
    assert given.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "their-own.1"}
    failed = of_kind(api, "failed")
    assert [line["request_id"] for line in failed] == [own.headers["x-request-id"]]  # the other was like it
    assert "Traceback" in failed[0]["trace"]
    assert client.get("/healthz").headers["x-request-id"] != own.headers["x-request-id"]
    assert api.stop() == 0
    last = [line for line in lines(api) if "more" in line]
    assert [(line["more"], line["kind"]) for line in last] == [(1, "failed")]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_row_that_the_database_refuses_is_quoted_neither_in_the_log_nor_to_whoever_typed_a_command(
    installation: Installation, log_format: str
) -> None:
    installation.environ["TRACKLAYER_LOG_FORMAT"] = log_format
    port = free_port()
    api = installation.stack.enter_context(running("api", "--port", str(port), environ=installation.environ))
    wait_for_api(api, f"http://127.0.0.1:{port}")
    client = installation.client(f"http://127.0.0.1:{port}")
    change = f'mutation {{ updateMerchant(input: {{alertEmails: ["{PERSON}"]}}) {{ userErrors {{ code }} }} }}'
    create = [sys.executable, "-m", "tracklayer", "merchant", "create", "--name", "Shop", "--alert-email", PERSON]
    with in_transaction():
        execute("ALTER TABLE merchants ADD CONSTRAINT of_a_test CHECK (cardinality(alert_emails) = 0)")
    try:
        answer = client.post("/graphql", json={"query": change}).json()
        environ = {**clean_environ(), **installation.environ}
        typed = subprocess.run(create, env=environ, capture_output=True, text=True, timeout=60, check=False)
    finally:
        with in_transaction():
            execute("ALTER TABLE merchants DROP CONSTRAINT of_a_test")
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["INTERNAL"]
    assert api.stop() == 0
    assert typed.returncode == 1
    for told in (api.output(), typed.stderr):
        assert 'violates check constraint "of_a_test"' in told.replace('\\"', '"')
        assert PERSON not in told
    assert PERSON not in typed.stdout


@pytest.mark.parametrize(
    ("args", "environ", "status", "says"),
    [
        pytest.param(["worker"], {"TRACKLAYER_PROT": "1"}, 2, "did you mean TRACKLAYER_PORT", id="a wrong setting"),
        pytest.param(["scheduler"], {"TRACKLAYER_REDIS_URL": ""}, 2, "TRACKLAYER_REDIS_URL is required", id="none"),
        pytest.param(["api", "--nonsense"], {}, 2, "unrecognized arguments", id="wrong usage"),
        pytest.param(["api"], {"TRACKLAYER_PORT": "{taken}"}, 1, "cannot listen on", id="a port that is taken"),
        pytest.param(
            ["worker"],
            {"TRACKLAYER_SECRET_KEY": "another key, of another database"},
            1,
            "TRACKLAYER_SECRET_KEY lacks a key",
            id="a key that does not fit",
        ),
        pytest.param(
            ["migrate"],
            {"TRACKLAYER_DATABASE_URL": "postgresql://nobody:hunter2@127.0.0.1:1/none"},
            1,
            "the database cannot be reached",
            id="no database",
        ),
    ],
)
def test_a_fault_at_start_is_one_object(
    installation: Installation, args: list[str], environ: Mapping[str, str], status: int, says: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = {
            name: value.format(taken=taken.getsockname()[1])
            for name, value in {**clean_environ(), **installation.environ, **environ}.items()
        }
        ended = subprocess.run(
            [sys.executable, "-m", "tracklayer", *args],
            env=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == status
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["level"] for line in told] == ["error"]
    assert says in told[0]["message"]
    assert (told[0]["role"], "hunter2" in ended.stderr) == (args[0], False)


def test_what_nobody_foresaw_is_an_object_too() -> None:
    code = (
        "import threading, warnings, tracklayer.logs as logs; logs.begin('worker', as_json=True); "
        "logs.configure(as_json=True); warnings.warn('beware'); "
        "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join(); raise RuntimeError('the end')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["message"] for line in told][1:] == ["failed: ZeroDivisionError", "failed: RuntimeError"]
    assert "beware" in told[0]["message"]
    assert told[2]["trace"].endswith("RuntimeError: the end")
