"""What strangers and holders of weak keys send over real HTTP costs hardly more than what everybody sends.

Time and memory are those of the server's own process, against a harmless request of the same run: bounds are wide, since
what they are held against is thousands of times above them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.factories import API_KEY_SECRET, INGEST, Merchant, camel, draft, new_merchant
from tests.servers import free_port, wait_until
from tracklayer.runtime import Runtime
from tracklayer.services.merchants import create_api_key

HARMLESS = "{ __typename }"
TIMES = 100  # as long as a harmless request, which takes a few milliseconds, may any other hold the process
MEGABYTES = 60  # that any attack may add to what the process holds


@dataclass
class Target:
    """A process of the API of its own: what it spends is its own."""

    url: str
    process: psutil.Process
    client: httpx.Client

    def cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def megabytes(self) -> float:
        return float(self.process.memory_info().rss / 2**20)

    def ask(self, query: str, key: str | None, variables: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key is not None else {}
        return self.client.post(self.url, json={"query": query, "variables": variables or {}}, headers=headers)


@pytest.fixture
def target(runtime: Runtime, redis_url: str, tmp_path: Path) -> Iterator[Target]:
    port = free_port()
    environ = {
        **os.environ,
        "TRACKLAYER_DATABASE_URL": runtime.database_url,
        "TRACKLAYER_REDIS_URL": redis_url,
        "TRACKLAYER_SECRET_KEY": API_KEY_SECRET,
        "TRACKLAYER_PORT": str(port),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "tracklayer", "api"], env=environ, stderr=log, stdout=log)
        try:
            with httpx.Client(timeout=60) as client:
                url = f"http://127.0.0.1:{port}"
                wait_until(lambda: _is_ready(client, url), "the API to serve")
                yield Target(f"{url}/graphql", psutil.Process(process.pid), client)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert "Traceback" not in (tmp_path / "log").read_text()


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def key_of(runtime: Runtime, merchant: Merchant, *scopes: str) -> str:
    found = create_api_key(runtime, merchant.merchant_id, "weak", scopes)
    assert isinstance(found, tuple)
    return found[1]


def doubling(levels: int, spread: str = "...f{0} ...f{0}", last: str = "__typename") -> str:
    parts = " ".join(f"fragment f{n} on Query {{ {spread.format(n + 1)} }}" for n in range(levels))
    return f"query {{ ...f0 }} {parts} fragment f{levels} on Query {{ {last} }}"


NESTED = "{ events(first: 100) { edges { node { " + "deliveries { event { " * 3 + "eventId" + " } }" * 3 + " } } } }"
NESTED_MORE = NESTED.replace("first: 100", "first: 500").replace("eventId", "deliveries { event { eventId } }")
FEW, MANY = range(200), range(1500)
ATTACKS = {
    "fragments that double": doubling(30),
    "fragments that double to the limit": doubling(39),
    "fragments that double under conditions": "query($a: Boolean = true) "
    + doubling(20, "...f{0} @include(if: $a) ...f{0} @skip(if: $a)").removeprefix("query "),
    "a chain of fragments": doubling(600, "...f{0}"),
    "lists within lists": NESTED,
    "more lists within lists": NESTED_MORE,
    "a comment that names subscriptions": "#subscription\n{ " + "a " * 200_000 + "}",
    "one field again and again": "{ " + "platforms { title } " * 900 + "}",
    "fields that do not exist": "{ " + " ".join(f"a{n}" for n in MANY) + " }",
    "fragments that must be compared": "{ "
    + " ".join(f"...f{n}" for n in FEW)
    + " } "
    + " ".join(f"fragment f{n} on Query {{ platforms {{ title }} }}" for n in FEW),
    "variables of unknown types": "query(" + " ".join(f"$a{n}: Nope{n}" for n in MANY) + ") { __typename }",
    "introspection within introspection": "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    "introspection side by side": "{ "
    + " ".join(f"a{n}: __schema {{ types {{ fields {{ type {{ fields {{ name }} }} }} }} }}" for n in range(29))
    + " }",
    "a deep document": "{ " + "... { " * 900 + "__typename" + " }" * 900 + " }",
    "pages of pages": "{ "
    + " ".join(
        f"a{n}: alerts(first: 500) {{ edges {{ node {{ deliveries(first: 500) {{ edges {{ cursor }} }} }} }} }}"
        for n in range(29)
    )
    + " }",
}


@pytest.mark.parametrize("who", ["a stranger", "a weak key"])
def test_no_document_costs_much_more_than_a_harmless_one(
    target: Target, runtime: Runtime, merchant: Merchant, who: str
) -> None:
    key = key_of(runtime, merchant, "ingest", "read") if who == "a weak key" else None
    for _ in range(10):
        assert target.ask(HARMLESS, key).status_code == 200
    before = target.cpu()
    for _ in range(10):
        target.ask(HARMLESS, key)
    harmless = max((target.cpu() - before) / 10, 0.005)
    memory = target.megabytes()
    for name, text in ATTACKS.items():
        began = target.cpu()
        for _ in range(3):  # the third finds a plan where there is one
            answer = target.ask(text, key)
            assert answer.status_code in (200, 413, 429), (name, answer.text)
            assert "INTERNAL" not in answer.text, name
        assert target.cpu() - began < 3 * TIMES * harmless, name
    assert target.megabytes() - memory < MEGABYTES


def test_others_are_answered_while_it_rains_attacks(target: Target, runtime: Runtime, merchant: Merchant) -> None:
    """In the same seconds: one after the other, so that each attack is in front of an everyday request."""
    key = key_of(runtime, merchant, "ingest", "read")
    shop = new_merchant(runtime, name="Shop of another")
    for n, text in enumerate(ATTACKS.values()):
        target.ask(text, key)
        answer = target.ask(INGEST, shop.key, {"input": camel(draft(f"order_{n}"))})
        assert answer.json()["data"]["ingestEvent"]["outcome"] == "ACCEPTED"


def test_junk_that_is_sent_twice_is_not_kept(target: Target, runtime: Runtime, merchant: Merchant) -> None:
    key = key_of(runtime, merchant, "ingest", "read")
    fields = "eventId eventName occurredAt receivedAt actionSource eventSourceUrl userData customData timesReceived"
    nodes = " ".join(f'a{n}: event(eventId: "x") {{ {fields} deliveries {{ id status }} }}' for n in range(20))
    memory = 0.0
    for n in range(150):
        for asking in (key, None):
            text = f"query q{n} {{ {nodes} }}"
            answers = [target.ask(text, asking) for _ in range(2)]
            assert {answer.status_code for answer in answers} <= {200, 401, 429}
        if n == 20:
            memory = target.megabytes()
    assert target.megabytes() - memory < MEGABYTES


def test_bodies_that_are_never_finished_hold_nothing(target: Target, runtime: Runtime, merchant: Merchant) -> None:
    host, port = "127.0.0.1", int(target.url.split(":")[2].split("/")[0])
    memory = target.megabytes()
    body = json.dumps({"query": HARMLESS, "variables": {"x": "y" * 4_000_000}}).encode()
    with ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(socket.create_connection((host, port), timeout=30))
            said = f"POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            try:
                client.sendall(said.encode() + body[:-1])
            except (BrokenPipeError, ConnectionResetError):
                continue  # refused already
        assert target.ask(HARMLESS, merchant.key).status_code == 200
        assert target.megabytes() - memory < MEGABYTES


def test_the_process_ends_when_it_is_asked_to_in_the_midst_of_an_attack(
    target: Target, runtime: Runtime, merchant: Merchant
) -> None:
    target.ask(ATTACKS["fragments that double to the limit"], None)
    target.process.terminate()
    target.process.wait(30)
