"""What the browser looks at: a running ``tracklayer up --sandbox``, its API and the platforms' faults."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.servers import Process, free_port, running, wait_for_api, wait_until
from tracklayer.cli.bench.ground import clean_environ
from tracklayer.cli.process import runtime_of
from tracklayer.mappers import mapper_for
from tracklayer.services.destinations import example_settings
from tracklayer.services.merchants import create_merchant
from tracklayer.settings import load_settings

# Seconds: what monitors see is told at once, while a failed delivery stays as it is until somebody sends it again.
ENVIRON = {"TRACKLAYER_MONITOR_INTERVAL_SECONDS": "1", "TRACKLAYER_RETRY_BASE_SECONDS": "3600"}

START_SECONDS = 120  # beside two other groups of tests that start everything, too

INGEST = """
mutation($inputs: [IngestEventInput!]!) { ingestEvents(inputs: $inputs) { accepted rejected results { userErrors { code } } } }
"""
SET = "mutation($input: SetDestinationInput!) { setDestination(input: $input) { userErrors { message } } }"
STATUS = "query($eventId: String!) { event(eventId: $eventId) { deliveries { platform status } } }"


@dataclass(frozen=True)
class Shop:
    """A merchant of the installation, with one of its keys."""

    address: str
    key: str

    def ask(self, query: str, /, **variables: Any) -> Any:
        """``data`` of an answer without errors."""
        answer = httpx.post(
            f"{self.address}/graphql",
            json={"query": query, "variables": variables},
            headers={"authorization": f"Bearer {self.key}"},
            timeout=30,
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def send(self, *event_ids: str, **changes: Any) -> None:
        """Ingests a purchase of this moment for each id; ``changes`` replace top-level fields."""
        self.ingest(*(purchase(event_id, **changes) for event_id in event_ids))

    def ingest(self, *events: Mapping[str, Any]) -> None:
        """In one call; none may be refused."""
        taken = self.ask(INGEST, inputs=events)["ingestEvents"]
        assert taken["rejected"] == 0, taken

    def set_destination(self, platform: str, **settings: str) -> None:
        """``settings`` replace invented ones."""
        told = {"platform": platform.upper(), "settings": {**example_settings(mapper_for(platform)), **settings}}
        assert self.ask(SET, input=told)["setDestination"]["userErrors"] == []

    def new_key(self, name: str, *scopes: str) -> tuple[str, str]:
        """(id, key)."""
        made = self.ask(
            "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } userErrors { message } } }",
            input={"name": name, "scopes": scopes},
        )["createApiKey"]
        assert made["userErrors"] == []
        return made["apiKey"]["id"], made["key"]

    def wait_for(self, event_id: str, platform: str, status: str) -> None:
        """Until the event's delivery to a platform has a status."""

        def found() -> bool:
            deliveries = self.ask(STATUS, eventId=event_id)["event"]["deliveries"]
            return {"platform": platform, "status": status} in deliveries

        wait_until(found, f"{event_id} to be {status} on {platform}")


@dataclass(frozen=True)
class Installation:
    """``shop``: the merchant ``default``, with a destination everywhere. ``welcome``: what was printed at the start."""

    address: str
    sandbox: str
    welcome: str
    shop: Shop
    environ: Mapping[str, str]
    process: Process

    @property
    def link(self) -> str:
        """Signs in once."""
        return _first(r"(http\S+/#code=\S+)", self.welcome)

    def tracklayer(self, *command: str) -> str:
        """What one of our commands says."""
        environ = {**clean_environ(), **self.environ}
        done = subprocess.run(
            [sys.executable, "-m", "tracklayer", *command], env=environ, capture_output=True, text=True, check=True
        )
        return done.stdout

    def new_shop(self, name: str, *platforms: str) -> Shop:
        """A merchant without events. ``platforms``: where it has a destination, by key."""
        # As `merchant create` makes one, without starting Python for it: most tests want one of their own.
        with runtime_of(load_settings(self.environ)) as runtime:
            made = create_merchant(runtime, name)
        assert not isinstance(made, list), made
        shop = Shop(self.address, made[1])
        for platform in platforms:
            shop.set_destination(platform)
        return shop

    def fault(self, platform: str, kind: str, **settings: Any) -> None:
        """What a platform does from now on; ``cli sandbox`` says which kinds there are."""
        fault = {"platform": platform, "kind": kind, **settings}
        httpx.post(f"{self.sandbox}/_faults", json=fault).raise_for_status()

    def mend(self) -> None:
        """No platform has a fault any more."""
        httpx.delete(f"{self.sandbox}/_faults").raise_for_status()

    def accepted(self, platform: str, event_id: str) -> int:
        """How often a platform took an event."""
        query = {"platform": platform, "event_id": event_id}
        received: int = httpx.get(f"{self.sandbox}/_accepted", params=query).json()["received"]
        return received


@contextmanager
def installation() -> Iterator[Installation]:
    """Everything on a port and in a folder of its own, until the end."""
    folder = Path(tempfile.mkdtemp(prefix="tl"))
    folder.chmod(0o755)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environ = {**ENVIRON, "TRACKLAYER_DATA_DIR": str(folder / "data"), "TRACKLAYER_PORT": str(port)}
    try:
        with running("up", "--sandbox", environ=environ) as process:
            begun = "Ctrl-C stops everything"
            wait_until(lambda: begun in process.output() or not process.is_running(), "the welcome", START_SECONDS)
            said = process.output()
            assert begun in said, said
            wait_for_api(process, address)
            yield Installation(
                address=address,
                sandbox=_first(r"Sandbox +(\S+)", said),
                welcome=said,
                shop=Shop(address, _first(r"API key +(tl_\S+)", said)),
                environ=environ,
                process=process,
            )
            assert process.stop() == 0, process.output()
            assert "Traceback" not in process.output(), process.output()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def purchase(event_id: str, /, **changes: Any) -> dict[str, Any]:
    """An event that every platform takes."""
    return {
        "eventName": "Purchase",
        "eventId": event_id,
        "occurredAt": datetime.now(UTC).isoformat(),
        "eventSourceUrl": "https://shop.example.com/thank-you",
        "userData": {
            "email": "jane@example.com",
            "clientIp": "203.0.113.42",
            "clientUserAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
            "gaClientId": "1234567890.1713877200",
        },
        "customData": {"value": "129.90", "currency": "EUR", "orderId": event_id},
        **changes,
    }


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]
