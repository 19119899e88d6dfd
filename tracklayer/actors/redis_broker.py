"""Redis as the broker, which may be full, read-only, away or unwilling: then work is handed over inside this process.

Messages are wake-ups, so nothing is lost with them. Dramatiq's own consumer ends with each refusal and logs each; its
acknowledgements hold a worker's thread until Redis is back, or are given up with the message left in Redis for ever.
And where Redis is full of messages nobody can take one out, since taking writes first. Here the first failure turns
messages off, one thread tries once a second, and when they go again everything begins anew under a new name, so that
Dramatiq's maintenance gives back what the old one had in hand.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import redis
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from tracklayer import files, metrics

log = logging.getLogger(__name__)

NAMESPACE = "tracklayer"
TRY_SECONDS = 1.0
CALM_TRIES = 3  # that succeed, one after another, before messages are trusted again: at the edge of full, some go
FULL = "full"
READ_ONLY = "a read-only replica"
SILENT = "does not answer"
UNCONNECTED = "cannot be connected to for want of files"
STRANGER = "is not Redis"  # what listens at its address


def what_is_wrong(error: Exception) -> str:
    """``FULL``, ``READ_ONLY``, ``SILENT``, ``UNCONNECTED``, ``STRANGER``, or that it refuses and how that error is called; nothing of its words."""
    if files.are_wanting(error):
        return UNCONNECTED
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | ConnectionClosed | OSError):
        return SILENT
    if isinstance(error, redis.exceptions.InvalidResponse):
        return STRANGER
    words = str(error)  # of a script's error, which has no class of its own, the code is somewhere in the middle
    if isinstance(error, redis.exceptions.OutOfMemoryError) or "OOM" in words:
        return FULL
    if isinstance(error, redis.exceptions.ReadOnlyError) or "READONLY" in words:
        return READ_ONLY
    return f"refuses ({type(error).__name__})"


class Link:
    """Whether messages go, as far as this process knows. Tells when that changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trouble: str | None = None
        self._tried_at = 0.0
        self._since = 0.0
        self._calm = 0

    @property
    def trouble(self) -> str | None:
        """What is wrong; None while messages go."""
        return self._trouble

    @property
    def trouble_seconds(self) -> float:
        """For how long messages have not gone."""
        return time.monotonic() - self._since if self._trouble is not None else 0.0

    def may_try(self) -> bool:
        """True while messages go, and once a second otherwise."""
        with self._lock:
            if self._trouble is None:
                return True
            now = time.monotonic()
            if now - self._tried_at < TRY_SECONDS:
                return False
            self._tried_at = now
            return True

    def failed(self, error: Exception) -> None:
        wrong = what_is_wrong(error)
        metrics.BROKER_FAILURES.inc()
        with self._lock:
            was, self._trouble = self._trouble, wrong
            self._calm = 0
            if was is None:
                self._tried_at = self._since = time.monotonic()
        if was is None:
            more = {"kind": "broker_away"}
            log.warning("Redis takes no messages (%s): workers look into the database instead", wrong, extra=more)

    def went(self) -> bool:
        """One try succeeded; True where messages go again."""
        with self._lock:
            if self._trouble is None:
                return False
            self._calm += 1
            if self._calm < CALM_TRIES:
                return False
            self._trouble = None
        log.warning("messages go again through Redis", extra={"kind": "broker_back"})
        return True


class PatientBroker(RedisBroker):
    """Never raises for Redis' sake. What it does not take is handed to this process's own worker, if it has one."""

    def __init__(self, client: redis.Redis, **options: Any) -> None:
        super().__init__(client=client, namespace=NAMESPACE, **options)  # type: ignore[no-untyped-call]
        self.link = Link()
        self.generation = 0  # of consumers: an old one's messages are not its own any more
        self._has_worker = False
        self._lock = threading.Lock()
        self._here: dict[str, dict[tuple[str, tuple[Any, ...]], Message[Any]]] = {}

    def serve_worker(self) -> None:
        """From now on this process has a worker, and ``try_again`` is called every second."""
        self._has_worker = True

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        return _PatientConsumer(self, queue_name, prefetch, timeout)

    def consume_redis(self, queue_name: str, prefetch: int, timeout: int) -> Consumer:
        """Dramatiq's own consumer."""
        return super().consume(queue_name, prefetch, timeout)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        if self.link.trouble is None or (not self._has_worker and self.link.may_try()):
            try:
                sent = super().enqueue(message, delay=delay)
            except redis.RedisError as error:
                self.link.failed(error)
            else:
                self.link.went()
                return sent
        self.hand_over(message)
        return message

    def hand_over(self, message: Message[Any]) -> None:
        """Gives a message to the worker of this process, past Redis; one like it that still waits suffices."""
        if self._has_worker:
            with self._lock:
                self._here.setdefault(message.queue_name, {}).setdefault((message.actor_name, message.args), message)

    def take_over(self, queue_name: str) -> Message[Any] | None:
        """What was handed over longest ago."""
        with self._lock:
            waiting = self._here.get(queue_name)
            return waiting.pop(next(iter(waiting))) if waiting else None

    def try_again(self) -> bool:
        """Whether messages go; where they did not, tries whether they do now, and makes room for it."""
        if self.link.trouble is None:
            return True
        try:
            if self.link.trouble == FULL:
                self._make_room()
            self.do_qsize(next(iter(self.queues)))  # the script that all goes through writes first of all
        except redis.RedisError as error:
            self.link.failed(error)
            return False
        if self.link.went():
            self.broker_id = str(uuid4())
            self.generation += 1
            return True
        return False

    def probe(self) -> None:
        """One try whether messages go, for a process that sends none for long; where it has a worker, that tries anyway."""
        if self._has_worker and self.link.trouble is not None:
            return
        try:
            self.do_qsize(next(iter(self.queues)))
        except redis.RedisError as error:
            self.link.failed(error)
        else:
            self.link.went()

    def claim(self, name: str, seconds: int) -> bool:
        """Whether nobody else has claimed it for now. Where Redis does not say, everybody may."""
        if self.link.trouble is not None:
            return True
        try:
            return bool(self.client.set(f"{self.namespace}:{name}", "", nx=True, ex=seconds))
        except redis.RedisError:
            return True

    def put(self, name: str, value: str, seconds: int) -> None:
        """Whoever reads it within so long finds this value."""
        if self.link.trouble is None:
            with contextlib.suppress(redis.RedisError):
                self.client.set(f"{self.namespace}:{name}", value, ex=seconds)

    def put_first(self, name: str, value: str, seconds: int) -> str:
        """The value that is there: this one, unless somebody put another. Where Redis does not say, this one."""
        if self.link.trouble is not None:
            return value
        try:
            if self.client.set(f"{self.namespace}:{name}", value, nx=True, ex=seconds):
                return value
            return self.read(name)[0] or value
        except redis.RedisError:
            return value

    def read(self, *names: str) -> list[str | None]:
        """The values that are there. Where messages do not go, none: nobody waits for Redis here."""
        if self.link.trouble is None:
            with contextlib.suppress(redis.RedisError):
                found: Any = self.client.mget([f"{self.namespace}:{name}" for name in names])
                return [value.decode() if value is not None else None for value in found]
        return [None] * len(names)

    def drop(self, *names: str) -> None:
        if self.link.trouble is None:
            with contextlib.suppress(redis.RedisError):
                self.client.delete(*(f"{self.namespace}:{name}" for name in names))

    def _make_room(self) -> None:
        """Deletes all messages at once. Redis admits that when it is full, and the database knows what they said."""
        names = [f"{self.namespace}:{queue}" for queue in (*self.queues, *self.delay_queues)]
        self.client.delete(*(f"{name}{part}" for name in names for part in ("", ".msgs", ".XQ", ".XQ.msgs")))


class _PatientConsumer(Consumer):
    """Messages from Redis while they go, and what was handed over inside this process."""

    def __init__(self, broker: PatientBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self._broker, self._queue_name, self._prefetch, self._timeout = broker, queue_name, prefetch, timeout
        self._own: set[str] = set()  # ids of what was handed over and is in hand
        self._generation = broker.generation
        self._redis = broker.consume_redis(queue_name, prefetch, timeout)

    def __next__(self) -> MessageProxy | None:
        if len(self._own) < self._prefetch:
            message = self._broker.take_over(self._queue_name)
            if message is not None:
                self._own.add(message.message_id)
                return MessageProxy(message)
        if self._broker.link.trouble is not None:
            time.sleep(self._timeout / 1000)
            return None
        if self._generation != self._broker.generation:
            self._generation = self._broker.generation
            self._redis = self._broker.consume_redis(self._queue_name, self._prefetch, self._timeout)
        try:
            return next(self._redis)
        except (redis.RedisError, ConnectionClosed) as error:
            self._broker.link.failed(error)
            return None

    def ack(self, message: MessageProxy) -> None:
        self._done(message, self._redis.ack)

    def nack(self, message: MessageProxy) -> None:
        self._done(message, self._redis.nack)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        theirs = [message for message in messages if message.message_id not in self._own]
        if theirs and self._broker.link.trouble is None:
            try:
                self._redis.requeue(theirs)
            except (redis.RedisError, ConnectionClosed) as error:
                self._broker.link.failed(error)

    def _done(self, message: MessageProxy, tell: Any) -> None:
        if message.message_id in self._own:
            self._own.discard(message.message_id)
        elif self._broker.link.trouble is None:
            # Where it fails the message comes again: its second run finds nothing to do.
            try:
                tell(message)
            except (redis.RedisError, ConnectionClosed) as error:
                self._broker.link.failed(error)
