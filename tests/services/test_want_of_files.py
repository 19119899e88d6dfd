"""A process without a free file connects to nobody: that is its own want, and neither a platform's fault nor PostgreSQL's."""

from __future__ import annotations

import logging
from datetime import timedelta

import httpx
import psycopg2
import pytest
import redis

from tests.factories import Merchant, draft
from tests.servers import free_port
from tests.services.test_deliver import accepted, ingest, row
from tests.starving import starving
from tracklayer import files
from tracklayer.actors.redis_broker import UNCONNECTED, what_is_wrong
from tracklayer.clock import FrozenClock
from tracklayer.db import connect_faults, sessions
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.outages import platforms_down
from tracklayer.db.workers import WorkerLock
from tracklayer.domain.delivery import BearerToken, NotSent, PlatformRequest, RefreshedToken
from tracklayer.runtime import Runtime, _certificates
from tracklayer.sandbox.server import SandboxServer
from tracklayer.services.deliver import deliver_due
from tracklayer.services.deliver_together import begin_together, deliver, take
from tracklayer.services.transport import send
from tracklayer.services.watch_operator import Own

STATES = "SELECT state, failures, turn_ends_at FROM destinations"


@pytest.mark.parametrize("is_first", [False, True])  # request of its process: then there are certificates to be read
@pytest.mark.parametrize("together", [False, True])
def test_a_delivery_that_could_not_be_sent_waits_a_moment_and_nobody_is_blamed(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    sandbox: SandboxServer,
    caplog: pytest.LogCaptureFixture,
    together: bool,
    is_first: bool,
) -> None:
    ingest(runtime, merchant, *(draft(name) for name in "abc"))
    _certificates.cache_clear()
    if not is_first:
        runtime.http()
    for _ in range(4):  # more failures than hold a destination
        with starving():
            if together:
                errands, alone = take(runtime, worker, [(merchant.merchant_id, "meta")])
                assert not alone
                begin_together(runtime, errands)
                assert [deliver(runtime, errand) for errand in errands] == [None]
            else:
                deliver_due(runtime, worker, merchant.merchant_id, "meta")
        for name in "abc":
            found = row(merchant, name)
            assert (found.status, found.attempts, found.attempt_log, found.error_code) == (
                "queued",
                0,
                [],
                "TRACKLAYER_ERROR",
            )
            assert found.next_retry_at == clock.now() + timedelta(seconds=15)
        clock.move(timedelta(seconds=15))
    with in_transaction():
        assert rows(STATES) == [("active", 0, None)]
        assert not platforms_down()
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert files.NONE_LEFT in told.getMessage()
    assert 0 <= Own(runtime, None, 60).says()["no_files"] < 60  # type: ignore[operator]
    assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is not None
    assert accepted(sandbox) == dict.fromkeys("abc", 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "platform.invalid"])
def test_a_call_says_that_it_was_not_the_platform(host: str) -> None:
    url = f"http://{host}:{free_port()}/"
    wanting = NotSent(files.NONE_LEFT, is_ours=True)
    with httpx.Client(trust_env=False) as http:
        blamed = send(http, "meta", PlatformRequest(url, {}, BearerToken("token")))
        assert blamed == NotSent("the connection failed")
        with starving():
            assert send(http, "meta", PlatformRequest(url, {}, BearerToken("token"))) == wanting
            assert send(http, "meta", PlatformRequest(url, {}, RefreshedToken(url, {}))) == wanting


@pytest.mark.parametrize("host", ["127.0.0.1", "postgres.invalid", "/tmp"])
def test_postgresql_is_not_said_to_be_away(host: str, database: str) -> None:
    url = f"postgresql://somebody@/some?host={host}&port={free_port()}"
    with pytest.raises(psycopg2.Error) as away:
        sessions.connect(url, "tracklayer", sessions.POOL)
    assert not files.were_wanting(away.value)
    lock = WorkerLock(url)
    with starving(), pytest.raises(sessions.DatabaseAwayError) as wanting:
        lock.number()
    assert connect_faults.sentence_of(wanting.value) == files.NONE_LEFT
    with starving(), pytest.raises(psycopg2.Error) as wanting_too:
        sessions.connect_async(url, "tracklayer")
    assert connect_faults.sentence_of(wanting_too.value) == files.NONE_LEFT


def test_redis_is_not_said_to_be_away() -> None:
    client = redis.Redis(port=free_port())
    with pytest.raises(redis.ConnectionError):
        client.ping()
    with starving(), pytest.raises(redis.ConnectionError) as wanting:
        client.ping()
    assert what_is_wrong(wanting.value) == UNCONNECTED
