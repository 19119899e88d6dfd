"""What goes through while everything breaks: the senders' events, and the canaries that tell when all serves again."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import httpx

from tracklayer.cli.bench.ingest import INGEST_MANY, camel, purchase
from tracklayer.cli.bench.roles import Installation
from tracklayer.cli.process import CommandError
from tracklayer.db.connection import DatabaseAwayError, rows, session
from tracklayer.domain.values import write_instant

BATCH = 20  # events of one request
SENDERS = 4
RECOVERY_SECONDS = 90  # that everything may take to serve again after a trouble
CANARY_SECONDS = 3  # that one request waits for its answer meanwhile


class Senders:
    """Threads that send all events, each request again until it is acknowledged, as a merchant's backend would."""

    def __init__(self, apis: Sequence[str], key: str, events: int, now: Callable[[], str]) -> None:
        self._apis, self._key, self._events, self._now = apis, key, events, now
        self._lock = threading.Lock()
        self._next = 0
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.acknowledged: set[str] = set()
        self.repeated = 0
        self.error: str | None = None

    def start(self, seconds: float) -> None:
        """Over about so many seconds, unless it is over earlier."""
        pause = seconds * BATCH * SENDERS / self._events
        for number in range(SENDERS):
            thread = threading.Thread(target=self._send_all, args=(number, pause), daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """Sends the rest at once. Raises CommandError where a request got an answer that it must not get."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        if self.error is not None:
            raise CommandError(self.error)

    def _send_all(self, number: int, pause: float) -> None:
        random = Random(number)
        headers = {"authorization": f"Bearer {self._key}"}
        with httpx.Client(headers=headers, timeout=30) as client:
            while self.error is None and (event_ids := self._take()):
                inputs = [camel(_event(event_id, self._now())) for event_id in event_ids]
                body = {"query": INGEST_MANY, "variables": {"inputs": inputs}}
                while self.error is None and not self._is_taken(client, random.choice(self._apis), body, event_ids):
                    with self._lock:
                        self.repeated += 1
                    time.sleep(0.1)
                self._is_over.wait(pause * random.uniform(0.5, 1.5))

    def _take(self) -> list[str]:
        with self._lock:
            start, self._next = self._next, min(self._events, self._next + BATCH)
        return [f"storm_{n}" for n in range(start, self._next)]

    def _is_taken(self, client: httpx.Client, api: str, body: Any, event_ids: Sequence[str]) -> bool:
        try:
            answer = client.post(f"{api}/graphql", json=body)
        except httpx.TransportError:
            return False
        return answer.status_code != httpx.codes.SERVICE_UNAVAILABLE and self.takes(answer, event_ids)

    def takes(self, answer: httpx.Response, event_ids: Sequence[str]) -> bool:
        """Whether an answer acknowledges these; one that must not come is kept as the storm's error."""
        outcomes = _outcomes(answer)
        if len(outcomes) != len(event_ids) or set(outcomes) - {"ACCEPTED", "COALESCED"}:
            self.error = f"a good request was answered with {answer.status_code}: {answer.text[:300]}"
            return False
        with self._lock:
            self.acknowledged.update(event_ids)
        return True


def _outcomes(answer: httpx.Response) -> list[str]:
    try:
        return [result["outcome"] for result in answer.json()["data"]["ingestEvents"]["results"]]
    except (ValueError, LookupError, TypeError):
        return []


def _event(event_id: str, now: str) -> dict[str, Any]:
    event = purchase(now, event_id)
    event["custom_data"]["order_id"] = event_id
    return event


class Canary:
    """One event after another, to see when everything serves again."""

    def __init__(self, installed: Installation, key: str, senders: Senders) -> None:
        self._installed, self._senders = installed, senders
        self._headers = {"authorization": f"Bearer {key}"}
        self.sent = 0

    def seconds_until_all_serve(self, platform: str | None = None) -> float:
        """Until every API has acknowledged an event, and a worker has tried it, or with ``platform`` delivered it there.

        Raises CommandError where one never does.
        """
        started = time.monotonic()
        for api in self._installed.apis:
            event_id = self.send(api, started)
            while not self._is_through(event_id, platform):
                self._check(started, f"no worker delivers to {platform or 'any platform'} again")
                time.sleep(0.05)
        return round(time.monotonic() - started, 1)

    def send(self, api: str, since: float) -> str:
        """An event that this API has taken; its id. ``since``: on the monotonic clock. Raises CommandError as above."""
        self.sent += 1
        event_id = f"canary_{self.sent}"
        while not self._is_taken(api, event_id):
            self._check(since, "an API does not take events again")
            time.sleep(0.05)
        return event_id

    def _is_taken(self, api: str, event_id: str) -> bool:
        now = write_instant(self._installed.place.runtime.clock.now())
        body = {"query": INGEST_MANY, "variables": {"inputs": [camel(_event(event_id, now))]}}
        try:
            answer = httpx.post(f"{api}/graphql", json=body, headers=self._headers, timeout=CANARY_SECONDS)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and self._senders.takes(answer, [event_id])

    def _is_through(self, event_id: str, platform: str | None) -> bool:
        tried = "SELECT count(*) FROM deliveries WHERE event_id = %s AND last_attempt_at IS NOT NULL"
        delivered = "SELECT count(*) FROM deliveries WHERE event_id = %s AND platform = %s AND status = 'delivered'"
        with contextlib.suppress(DatabaseAwayError), session():
            found = rows(tried, (event_id,)) if platform is None else rows(delivered, (event_id, platform))
            return bool(found[0][0])
        return False

    def _check(self, started: float, what: str) -> None:
        if time.monotonic() - started > RECOVERY_SECONDS:
            raise CommandError(f"after {RECOVERY_SECONDS} s {what}")
        for role in self._installed.roles:
            role.check()
