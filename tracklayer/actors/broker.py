"""The broker: Redis for several processes or machines, a queue in this process where there is none."""

from __future__ import annotations

import dramatiq
import redis
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, ShutdownNotifications
from redis.backoff import NoBackoff
from redis.retry import Retry

from tracklayer.actors.redis_broker import PatientBroker

# Redis is next door or it is away: whoever sends must know within half a second, because a caller may be waiting.
CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 2.0
# A dead worker's messages are given to others after this long. Only speed depends on it: the sweep wakes them anyway.
HEARTBEAT_MS = 10_000
MAINTENANCE_CHANCE = 200_000  # of a million commands


def build_broker(redis_url: str | None) -> dramatiq.Broker:
    """A broker without retries: the row is the only retry engine, and losing every message loses nothing."""
    middleware: list[Middleware] = [ShutdownNotifications()]
    if redis_url is None:
        return StubBroker(middleware=middleware)
    client = redis.Redis.from_url(
        redis_url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return PatientBroker(
        client,
        middleware=middleware,
        heartbeat_timeout=HEARTBEAT_MS,
        maintenance_chance=MAINTENANCE_CHANCE,
    )
