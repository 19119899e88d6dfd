"""Sends to channels what waits for them: signed webhooks, and messages in Slack's form.

At least once: a message is leased with its channel, sent, and written down as sent; whoever dies in between leaves it to
another, who sends it again under the same id. One message of a channel at a time, two channels of a merchant, each for
ten seconds at most. A receiver that hangs holds up nobody else: a process sends four messages to one host at a time, and
four to all that did not take the last one, or whose host answered nobody; the other threads are for those that answer. What
is not taken with a 2xx is tried again, after 15 s, then twice as long each time up to half an hour, and given up when it
is a day old: that an alert is open not before it is over.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tracklayer.db import channels as db
from tracklayer.db.alerts import lock_alerts
from tracklayer.db.channels import ChannelRow, Passed, Taken
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.merchants import merchant_by_id
from tracklayer.domain.channel import ChannelKind
from tracklayer.domain.json_text import write_with_instants
from tracklayer.domain.node_id import node_id
from tracklayer.domain.retry import doubling
from tracklayer.runtime import Runtime, trusted_certificates
from tracklayer.sealing import SealError
from tracklayer.services.alone import tell_fault
from tracklayer.services.channels import Sealed, data_when_due, open_channel, tell_channel
from tracklayer.services.slack import slack_body, takes_blocks
from tracklayer.services.transport import USER_AGENT
from tracklayer.services.webhook import Answer, post

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(hours=24)
FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=30)
LEASE = timedelta(seconds=30)  # a message is over in ten
RUN = timedelta(seconds=20)  # what is left is taken up by the next run
AT_ONCE = 16  # messages of a process; each has a thread that mostly waits
TO_ONE_HOST = 4  # of them
TO_FAILING = AT_ONCE // 4  # of them: to channels that failed last time, or whose host is silent
SILENT_HOSTS = 256  # that a process remembers
LOOK_SECONDS = 0.2  # between two looks for more while something is in hand
TEST = "test"
OURS = "TrackLayer failed to write or send a message. Whoever runs it finds more in its log."
SEALED = "Its address was sealed with a key that is lost. Set the url anew."


@dataclass(frozen=True)
class Seat:
    """A message that is being sent. ``is_failing``: it is one of the few that may go to those that failed last time."""

    taken: Taken
    is_failing: bool


class InHand:
    """What a process is sending: how many threads do it, to whom, and how many messages they have begun in all."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taking = threading.Lock()
        self._threads = self._begun = self._failing = 0
        self._hosts = Counter[str]()
        self._silent: dict[str, None] = {}  # hosts that did not answer when they were asked last, in that order
        self._is_closed = False

    def take(self, runtime: Runtime) -> Seat | None:
        """The next message; None where nothing is due that may be sent beside what is in hand."""
        with self._taking:  # nobody else takes by what was counted before
            with self._changed:
                failing = self._failing >= TO_FAILING
                hosts = [host for host, count in self._hosts.items() if count >= TO_ONE_HOST]
                passed = Passed([*hosts, *self._silent] if failing else hosts, failing)
            with in_transaction():
                taken = db.take_next(runtime.clock.now(), LEASE, passed)
                if taken is None:
                    return None
                taken = data_when_due(runtime.settings.public_url, taken)
            with self._changed:
                self._begun += 1
                seat = Seat(taken, taken.channel.failures > 0 or taken.channel.host in self._silent)
                self._failing += seat.is_failing
                self._hosts[taken.channel.host] += 1
            return seat

    def end(self, seat: Seat, is_silent: bool | None) -> None:
        """``is_silent``: whether the host left it without an answer; None: it was not asked."""
        host = seat.taken.channel.host
        with self._changed:
            self._failing -= seat.is_failing
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]
            if is_silent is not None:
                self._silent.pop(host, None)
            if is_silent:
                self._silent[host] = None
                if len(self._silent) > SILENT_HOSTS:
                    del self._silent[next(iter(self._silent))]

    def enter(self) -> None:
        with self._changed:
            self._threads += 1

    def leave(self) -> None:
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    @property
    def threads(self) -> int:
        with self._changed:
            return self._threads

    @property
    def begun(self) -> int:
        with self._changed:
            return self._begun

    @property
    def is_closed(self) -> bool:
        with self._changed:
            return self._is_closed

    def wait(self, seconds: float) -> None:
        """Until a thread has ended, or that long."""
        with self._changed:
            if self._threads:
                self._changed.wait(seconds)

    def close(self, seconds: float) -> None:
        """Nothing more is begun; what is in hand gets that long. What is left then, others send again."""
        with self._changed:
            self._is_closed = True
            self._changed.wait_for(lambda: not self._threads, seconds)


def begin_due(runtime: Runtime, in_hand: InHand, budget: timedelta = RUN) -> None:
    """Begins to send what is due, and does not wait for it: the threads go on by themselves until nothing is.

    Any number of processes may call it at once.
    """
    ends = time.monotonic() + budget.total_seconds()
    while in_hand.threads < AT_ONCE and not in_hand.is_closed and time.monotonic() < ends:
        seat = in_hand.take(runtime)
        if seat is None:
            return
        _begin(runtime, seat, in_hand)


def _begin(runtime: Runtime, first: Seat, in_hand: InHand) -> None:
    def work() -> None:
        seat: Seat | None = first
        try:
            while seat is not None:
                is_silent = None
                try:
                    is_silent = _send(runtime, seat.taken)
                except DatabaseAwayError:
                    raise
                except Exception as error:  # noqa: BLE001 - told; it waits for the mended version, and the next one goes
                    tell_fault(runtime, f"sending to a channel of merchant {seat.taken.channel.merchant_id}", error)
                    _put_off(runtime, seat.taken, Answer(None, OURS, may_have_it=True))
                finally:
                    in_hand.end(seat, is_silent)
                seat = None if in_hand.is_closed else in_hand.take(runtime)
        except DatabaseAwayError:
            pass  # the lease ends, and it is sent again
        except Exception as error:  # noqa: BLE001 - told; the next run goes on
            tell_fault(runtime, "looking for what is due to a channel", error)
        finally:
            in_hand.leave()

    in_hand.enter()
    try:
        # A daemon: a process that ends does not wait for a receiver.
        threading.Thread(target=work, name="post", daemon=True).start()
    except BaseException:
        in_hand.end(first, None)
        in_hand.leave()
        raise


def _send(runtime: Runtime, taken: Taken) -> bool | None:
    """Sends one leased message and writes down what became of it; whether no answer came. None: it could not be sent."""
    channel = taken.channel
    is_silent = None
    try:
        sealed = open_channel(runtime.sealer, channel)
    except SealError:
        answer = Answer(None, SEALED)
    else:
        parts = Parts(
            taken.message.id,
            taken.message.type,
            taken.message.created_at,
            channel.merchant_id,
            taken.merchant_name,
            orjson.loads(taken.message.data),
        )
        answer = deliver(runtime, channel, sealed, parts)
        is_silent = answer.status is None
    if answer.error is None:
        with in_transaction():
            db.finish(taken, runtime.clock.now())
    else:
        _put_off(runtime, taken, answer)
    return is_silent


def _put_off(runtime: Runtime, taken: Taken, answer: Answer) -> None:
    """Writes down why a message was not taken, and when it is sent again."""
    channel, now = taken.channel, runtime.clock.now()
    pause = doubling(FIRST_PAUSE, LONGEST_PAUSE, max(channel.failures + 1, taken.message.attempts))
    until = now + max(pause, timedelta(seconds=answer.retry_after))
    with in_transaction():
        # One that would not be tried again within its day is given up now, and said so.
        rest_until = until if answer.retry_after else None
        given_up = db.put_off(
            taken, str(answer.error), until, until - GIVE_UP_AFTER, now, rest_until, is_refused=not answer.may_have_it
        )
    if given_up:
        log.warning(
            "%d messages for a channel of merchant %d (%s) are given up after a day: %s",
            given_up,
            channel.merchant_id,
            channel.host.partition("//")[2],
            answer.error,
        )


@dataclass(frozen=True)
class Parts:
    """What a message says. ``data``: what it tells, as it was when it was due."""

    id: str
    type: str
    created_at: datetime
    merchant_id: int
    merchant_name: str
    data: Mapping[str, Any]


def deliver(runtime: Runtime, channel: ChannelRow, sealed: Sealed, parts: Parts) -> Answer:
    """One POST in the channel's own form."""
    now = runtime.clock.now()
    headers = {"content-type": "application/json", "user-agent": USER_AGENT}
    if channel.kind == ChannelKind.SLACK:
        public_url, blocks = runtime.settings.public_url, takes_blocks(sealed.url)
        body = orjson.dumps(slack_body(parts.type, parts.merchant_name, parts.data, public_url, blocks=blocks))
    else:
        body = webhook_body(parts)
        keys = [sealed.secret]
        keys += [secret for secret, _ in sealed.signing(now, channel.former_until)]
        headers |= signed(parts.id, body, [key for key in keys if key], now)
    return post(
        sealed.url,
        body,
        headers,
        trusted_certificates(),
        allow_private=runtime.settings.allow_private_webhooks,
        allow_loopback=runtime.settings.is_trial,
    )


def webhook_body(parts: Parts) -> bytes:
    """The same bytes however often it is sent, as long as the merchant keeps its name."""
    return write_with_instants(
        {
            "id": parts.id,
            "type": parts.type,
            "created_at": parts.created_at,
            "merchant": {"id": node_id("Merchant", parts.merchant_id), "name": parts.merchant_name},
            "data": parts.data,
        }
    )


def signed(message_id: str, body: bytes, keys: list[str], now: datetime) -> dict[str, str]:
    """Headers as Standard Webhooks has them: github.com/standard-webhooks/standard-webhooks, specification 1.0.0."""
    stamp = str(int(now.timestamp()))
    content = f"{message_id}.{stamp}.".encode() + body
    signatures = [
        "v1," + b64encode(hmac.digest(b64decode(key.removeprefix("whsec_")), content, hashlib.sha256)).decode()
        for key in keys
    ]
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": " ".join(signatures)}


def try_channel(runtime: Runtime, merchant_id: int, channel_id: int) -> tuple[ChannelRow, Answer] | None:
    """Sends a test message now; (the channel after it, what the receiver made of it). None where there is no such channel.

    Where it is taken, what waits goes out at once, and what is open is told, as far as it is not known there.
    """
    with in_transaction():
        row = db.channel(merchant_id, channel_id)
        merchant = merchant_by_id(merchant_id)
    if row is None or merchant is None:
        return None
    now = runtime.clock.now()
    data = {"message": "This is a test. Alerts and events that this channel asks for arrive like this one."}
    parts = Parts(f"msg_test_{secrets.token_hex(12)}", TEST, now, merchant_id, merchant.name, data)
    try:
        answer = deliver(runtime, row, open_channel(runtime.sealer, row), parts)
    except SealError:
        answer = Answer(None, SEALED)
    with in_transaction():
        lock_alerts(merchant_id)
        locked = db.lock_channel(merchant_id, channel_id)
        if locked is None:
            return None
        if answer.error is None:
            db.retry_now(merchant_id, channel_id, runtime.clock.now())
            tell_channel(runtime, locked, runtime.clock.now())
        else:
            db.note_error(merchant_id, channel_id, answer.error)
        after = db.channel(merchant_id, channel_id)
    return (after, answer) if after is not None else None
