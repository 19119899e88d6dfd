"""Sends to channels what waits for them: signed webhooks, and messages in Slack's form.

At least once: a message is leased with its channel, sent, and written down as sent; whoever dies in between leaves it to
another, who sends it again under the same id. One message of a channel at a time, two channels of a merchant, each for
ten seconds at most, so that a receiver that hangs holds up nobody else. What is not taken with a 2xx is tried again, after
15 s, then twice as long each time up to half an hour, and given up when it is a day old.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tracklayer.db import channels as db
from tracklayer.db.channels import ChannelRow, Taken
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.merchants import merchant_by_id
from tracklayer.domain.channel import ChannelKind
from tracklayer.domain.node_id import node_id
from tracklayer.runtime import Runtime, trusted_certificates
from tracklayer.sealing import SealError
from tracklayer.services.alone import tell_fault
from tracklayer.services.channels import Sealed, open_channel
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
LOOK_SECONDS = 0.2  # between two looks for more while something is in hand
TEST = "test"
SEALED = "Its address was sealed with a key that is lost. Set the url anew."


class InHand:
    """What a process is sending: how many threads do it, and how many messages they have begun in all."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads = self._begun = 0
        self._is_closed = False

    def enter(self) -> None:
        with self._changed:
            self._threads += 1

    def leave(self) -> None:
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def begin(self) -> None:
        with self._changed:
            self._begun += 1

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
        taken = _take(runtime, in_hand)
        if taken is None:
            return
        _begin(runtime, taken, in_hand)


def post_due(runtime: Runtime, budget: timedelta = RUN) -> int:
    """Sends what is due, and what becomes due meanwhile, until nothing is in hand or the time is over; how many were begun."""
    in_hand = InHand()
    ends = time.monotonic() + budget.total_seconds()
    while time.monotonic() < ends:
        begin_due(runtime, in_hand)
        if not in_hand.threads:
            break
        in_hand.wait(LOOK_SECONDS)
    return in_hand.begun


def _take(runtime: Runtime, in_hand: InHand) -> Taken | None:
    with in_transaction():
        taken = db.take_next(runtime.clock.now(), LEASE)
    if taken is not None:
        in_hand.begin()
    return taken


def _begin(runtime: Runtime, first: Taken, in_hand: InHand) -> None:
    def work() -> None:
        taken: Taken | None = first
        try:
            while taken is not None:
                try:
                    _send(runtime, taken)
                except DatabaseAwayError:
                    raise
                except Exception as error:  # noqa: BLE001 - told; the lease ends, and it is tried again
                    tell_fault(runtime, f"sending to a channel of merchant {taken.channel.merchant_id}", error)
                taken = None if in_hand.is_closed else _take(runtime, in_hand)
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
        in_hand.leave()
        raise


def _send(runtime: Runtime, taken: Taken) -> None:
    """Sends one leased message and writes down what became of it."""
    channel = taken.channel
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
    now = runtime.clock.now()
    if answer.error is None:
        with in_transaction():
            db.finish(taken, now)
        return
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(max(channel.failures, taken.message.attempts - 1), 20))
    until = now + max(pause, timedelta(seconds=answer.retry_after))
    with in_transaction():
        # One that would not be tried again within its day is given up now, and said so.
        given_up = db.put_off(taken, answer.error, until, until - GIVE_UP_AFTER, now)
    if given_up:
        log.warning(
            "%d messages for a channel of merchant %d (%s) are given up after a day: %s",
            given_up,
            channel.merchant_id,
            channel.shown.partition("//")[2].partition("/")[0],
            answer.error,
        )


@dataclass(frozen=True)
class Parts:
    """What a message says. ``data``: what it tells, as it was then."""

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
        if sealed.former and channel.former_until is not None and now < channel.former_until:
            keys.append(sealed.former)
        headers |= signed(parts.id, body, [key for key in keys if key], now)
    return post(
        sealed.url, body, headers, trusted_certificates(), allow_private=runtime.settings.allow_private_webhooks
    )


def webhook_body(parts: Parts) -> bytes:
    """The same bytes however often it is sent, as long as the merchant keeps its name."""
    return orjson.dumps(
        {
            "id": parts.id,
            "type": parts.type,
            "created_at": parts.created_at.astimezone(UTC),
            "merchant": {"id": node_id("Merchant", parts.merchant_id), "name": parts.merchant_name},
            "data": parts.data,
        },
        option=orjson.OPT_UTC_Z,
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

    Where it is taken, what waits goes out at once.
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
        if db.lock_channel(merchant_id, channel_id) is None:
            return None
        if answer.error is None:
            db.retry_now(merchant_id, channel_id, runtime.clock.now())
        else:
            db.note_error(merchant_id, channel_id, answer.error)
        after = db.channel(merchant_id, channel_id)
    return (after, answer) if after is not None else None
