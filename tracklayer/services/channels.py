"""Channels: webhooks and Slack. Set, changed and removed by the merchant; and what is to be told there is written down.

A message is a row, written in the transaction of what it tells of; ``services/post.py`` sends it. Whoever was told of an
alert's opening is told of its end, whatever became of the channel's topics meanwhile.
"""

from __future__ import annotations

import difflib
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson

from tracklayer.db import channels as db
from tracklayer.db.alerts import alerts_by_id, lock_alerts, open_alerts
from tracklayer.db.channels import ChannelRow, Taken
from tracklayer.db.connection import in_transaction
from tracklayer.db.merchants import lock_merchant
from tracklayer.db.models import AlertRow, MerchantRow
from tracklayer.domain.alert import ABOUT, is_news
from tracklayer.domain.channel import ALL_ALERTS, TOPICS, ChannelKind, EventTopic, Hearers, wants_alert
from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.json_text import write_with_instants
from tracklayer.domain.node_id import node_id
from tracklayer.domain.problem import Problem
from tracklayer.mappers import title_of
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer, SealError
from tracklayer.services.credentials import HIDDEN
from tracklayer.services.webhook import MAX_URL, NoAddressError, Resolve, addresses_of, admitted

SECRET_BYTES = 32  # of 24 to 64, as Standard Webhooks has it
OVERLAP = timedelta(hours=24)  # in which both secrets sign, so that a receiver changes over when it suits
# Secrets that still sign beside the newest, since each makes a header longer: the oldest and the latest.
MOST_FORMER = 10
PORTS = range(1, 65536)
LOOK_UP_SECONDS = 5.0
# Whoever was told that it is over hears that it is back only when it stays, by mail too: a flapping platform fills no inbox.
TELL_AGAIN_AFTER = timedelta(minutes=5)
NOT_FOUND = Problem(("id",), "NOT_FOUND", "There is no such channel.")

NOT_SIGNED = Problem(
    ("rotate_secret",),
    "INVALID_VALUE",
    "Only a WEBHOOK is signed. What protects a SLACK channel is its address: set a new one.",
)

_ADDRESS = (
    "The address must be a whole URL that begins with https:// or http://, such as https://shop.example.com/hooks/alerts, "
    "without a user name and without spaces."
)
_PRIVATE = (
    "This address leads into a private network, which is refused. Give one that can be reached from the internet; whoever "
    "runs TrackLayer may allow private ones with TRACKLAYER_ALLOW_PRIVATE_WEBHOOKS."
)


@dataclass(frozen=True)
class Keep:
    """What a change leaves out."""


KEEP = Keep()


@dataclass(frozen=True)
class ChannelSet:
    """``secret``: what signs, where it is new: shown this once."""

    row: ChannelRow
    secret: str | None


@dataclass(frozen=True)
class Sealed:
    """What only a sender sees. ``former``: what signs beside ``secret`` until its overlap ends: secrets and the ends of each,
    the oldest first, with blanks between; of an older version one secret alone, which ends with the channel's ``former_until``.
    """

    # An older version takes all of ``former`` for one secret. It reads base64 up to the padding, which is the oldest one.
    url: str
    secret: str | None = None
    former: str | None = None

    def signing(self, now: datetime, former_until: datetime | None) -> list[tuple[str, datetime]]:
        """(a former secret, until when it signs), of those that still do."""
        words = (self.former or "").split()
        if len(words) == 1 and former_until is not None:
            words.append(former_until.isoformat())
        found = [(secret, datetime.fromisoformat(end)) for secret, end in zip(words[::2], words[1::2], strict=False)]
        return [(secret, end) for secret, end in found if now < end]


@dataclass(frozen=True)
class Wish:
    """What a change says; ``channel_id`` of None creates."""

    channel_id: int | None = None
    kind: str | None = None
    url: str | Keep = KEEP
    topics: Sequence[str] | Keep = KEEP
    min_severity: str | Keep = KEEP
    rotate_secret: bool = False


def set_channel(
    runtime: Runtime, merchant_id: int, wish: Wish, resolve: Resolve = addresses_of
) -> ChannelSet | list[Problem]:
    """Creates or changes a channel; what is left out stays. What waits for a channel that got another address goes there, what it does not
    want any more is taken back, and of what is open, it is told what it wants and does not know.

    A URL's name is looked up, for a few seconds at most; no transaction is open meanwhile.
    """
    problems = _check(runtime, wish, resolve)
    if problems:
        return problems
    now = runtime.clock.now()
    with in_transaction():
        lock_alerts(merchant_id)
        if wish.channel_id is None:
            lock_merchant(merchant_id)  # so that no two at once are the twentieth
            if db.count_channels(merchant_id) >= db.MAX_CHANNELS:
                message = f"A merchant may have {db.MAX_CHANNELS} channels. Remove one first."
                return [Problem((), "TOO_LARGE", message)]
            channel_id = db.insert_channel(merchant_id, str(wish.kind), now)
        else:
            channel_id = wish.channel_id
        row = db.lock_channel(merchant_id, channel_id)
        if row is None:
            return [NOT_FOUND]
        if wish.kind is not None and wish.kind != row.kind:
            message = "A channel keeps its kind. Create another one, and remove this one."
            return [Problem(("kind",), "INVALID_VALUE", message)]
        if wish.rotate_secret and row.kind != ChannelKind.WEBHOOK:
            return [NOT_SIGNED]
        changed, fresh = _changed(runtime.sealer, row, wish, is_new=wish.channel_id is None, now=now)
        if changed is None:
            message = "Its address was sealed with a key that is lost. Give the url anew."
            return [Problem(("url",), "REQUIRED", message)]
        db.update_channel(changed)
        if wish.url is not KEEP:
            if wish.channel_id is not None and _leads_elsewhere(runtime.sealer, row, changed):
                db.forget_heard(merchant_id, channel_id)
            db.retry_now(merchant_id, channel_id, now)
        saved = db.channel(merchant_id, channel_id)
        assert saved is not None
        if wish.channel_id is not None and not (wish.topics is KEEP and wish.min_severity is KEEP):
            _take_back(saved, now)
        tell_channel(runtime, saved, now)
        return ChannelSet(saved, fresh)


def _take_back(channel: ChannelRow, now: datetime) -> None:
    """What waits for a channel that wants no such messages any more."""
    waiting = db.openings_waiting(channel.merchant_id, channel.channel_id)
    rows = alerts_by_id(channel.merchant_id, waiting) if waiting else {}
    unwanted = [
        alert_id
        for alert_id, row in rows.items()
        if not wants_alert(channel.topics, channel.min_severity, row.kind, row.severity)
    ]
    others = [topic.value for topic in EventTopic if topic not in channel.topics]
    db.cancel_unwanted(channel.merchant_id, channel.channel_id, unwanted, others, now)
    if unwanted:
        db.cancel_ends_alone(channel.merchant_id, unwanted, now, channel.channel_id)


def remove_channel(merchant_id: int, channel_id: int) -> ChannelRow | None:
    """The channel as it was; what waits for it is gone with it. None where there is none."""
    with in_transaction():
        row = db.lock_channel(merchant_id, channel_id)
        if row is not None:
            db.delete_channel(merchant_id, channel_id)
    return row


def _check(runtime: Runtime, wish: Wish, resolve: Resolve) -> list[Problem]:
    problems = []
    if wish.channel_id is None:
        if wish.kind is None:
            problems.append(Problem(("kind",), "REQUIRED", "A new channel needs a kind: WEBHOOK or SLACK."))
        if isinstance(wish.url, Keep):
            problems.append(Problem(("url",), "REQUIRED", "A new channel needs the url that it sends to."))
        if wish.rotate_secret and wish.kind not in (None, ChannelKind.WEBHOOK):
            problems.append(NOT_SIGNED)
    if not isinstance(wish.topics, Keep):
        problems += _check_topics(wish.topics)
    if isinstance(wish.url, str):
        problems += check_url(runtime, wish.url, resolve)
    return problems


def _check_topics(topics: Sequence[str]) -> list[Problem]:
    if not topics:
        message = f"Name one topic at least: {', '.join(TOPICS)}. removeAlertChannel ends a channel."
        return [Problem(("topics",), "REQUIRED", message)]
    problems = []
    for index, topic in enumerate(topics):
        if topic not in TOPICS:
            near = difflib.get_close_matches(topic[:64].lower(), TOPICS, n=1, cutoff=0.6)
            hint = f"Did you mean {near[0]}?" if near else f"It takes {', '.join(TOPICS)}; * is all alerts."
            problems.append(Problem(("topics", str(index)), "INVALID_VALUE", f"There is no such topic. {hint}"))
    return problems


def check_url(runtime: Runtime, url: str, resolve: Resolve = addresses_of) -> list[Problem]:
    """What is wrong with an address to send to."""
    wrong = [Problem(("url",), "INVALID_VALUE", _ADDRESS)]
    if len(url) > MAX_URL:
        return [Problem(("url",), "TOO_LONG", f"An address may have {MAX_URL:,} characters.")]
    if not url.isprintable() or " " in url or "\\" in url:
        return wrong
    if not url.isascii():
        return [Problem(("url",), "INVALID_VALUE", _beyond_ascii(url))]
    try:
        target = httpx.URL(url)
        port = target.port or (443 if target.scheme == "https" else 80)
    except (httpx.InvalidURL, ValueError):
        return wrong
    if (
        target.scheme not in ("http", "https")
        or not target.raw_host
        or target.userinfo
        or (target.port is not None and target.port not in PORTS)
    ):
        return wrong
    ends = time.monotonic() + LOOK_UP_SECONDS
    try:
        admitted(
            target.raw_host.decode("ascii"),
            port,
            ends - time.monotonic(),
            allow_private=runtime.settings.allow_private_webhooks,
            allow_loopback=runtime.settings.is_trial,
            resolve=resolve,
        )
    except NoAddressError as error:
        if error.is_private:
            return [Problem(("url",), "PRIVATE_ADDRESS", _PRIVATE)]
        message = f"The address cannot be reached: {error.reason}. Check its spelling."
        return [Problem(("url",), "INVALID_VALUE", message)]
    return []


def _beyond_ascii(url: str) -> str:
    """What to write instead of an address that has letters of other scripts."""
    name = url.partition("//")[2].replace("?", "/").replace("#", "/").partition("/")[0]
    if name.isascii():
        return "The address holds a character that is not in ASCII: write it as %..., as browsers copy it."
    try:
        written = httpx.URL(f"//{name}").raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        written = "xn--..., as browsers send it"
    return f"Write the host's name in ASCII: {written}."


def _changed(
    sealer: Sealer, row: ChannelRow, wish: Wish, *, is_new: bool, now: datetime
) -> tuple[ChannelRow | None, str | None]:
    """(the row after the change, a secret that is new); (None, None) where what it keeps cannot be opened any more."""
    try:
        kept = Sealed("") if is_new else open_channel(sealer, row)
    except SealError:
        if isinstance(wish.url, Keep):
            return None, None
        kept = Sealed("")
    fresh = None
    signs = row.kind == ChannelKind.WEBHOOK
    former_until = row.former_until
    if signs and (kept.secret is None or wish.rotate_secret):
        fresh = new_secret()
        signing = kept.signing(now, former_until)
        if kept.secret is not None:
            signing = [*signing, (kept.secret, now + OVERLAP)]
            del signing[1 : max(1, 1 + len(signing) - MOST_FORMER)]
        kept = replace(
            kept, secret=fresh, former=" ".join(f"{secret} {end.isoformat()}" for secret, end in signing) or None
        )
        former_until = signing[-1][1] if signing else None
    if isinstance(wish.url, str):
        kept = replace(kept, url=wish.url)
    topics = list(dict.fromkeys(wish.topics)) if not isinstance(wish.topics, Keep) else row.topics or [ALL_ALERTS]
    listens = EventTopic.DROPPED in topics
    return (
        replace(
            row,
            shown=shown_url(kept.url),
            secrets=sealer.seal(orjson.dumps(vars(kept)), _context(row.merchant_id, row.channel_id)),
            former_until=former_until,
            topics=topics,
            min_severity=row.min_severity if isinstance(wish.min_severity, Keep) else wish.min_severity,
            told_until=(row.told_until or now) if listens else None,
        ),
        fresh,
    )


def _leads_elsewhere(sealer: Sealer, before: ChannelRow, after: ChannelRow) -> bool:
    try:
        return open_channel(sealer, before).url != open_channel(sealer, after).url
    except SealError:  # by a lost key: where it led before is not known
        return True


def open_channel(sealer: Sealer, row: ChannelRow) -> Sealed:
    """Raises SealError where this process lacks the key."""
    return Sealed(**orjson.loads(sealer.open(row.secrets, _context(row.merchant_id, row.channel_id))))


def shown_url(url: str) -> str:
    """The host, and dots for what may hold a secret."""
    target = httpx.URL(url)
    rest = HIDDEN if target.raw_path not in (b"", b"/") else ""
    return f"{target.scheme}://{target.netloc.decode('ascii')}/{rest}"


def new_secret() -> str:
    """As Standard Webhooks writes it: whsec_ and base64."""
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _context(merchant_id: int, channel_id: int) -> str:
    return f"alert-channel/{merchant_id}/{channel_id}"


# What is to be told.


def hearers(runtime: Runtime, merchant: MerchantRow) -> Hearers:
    """Who is told of alerts, as it is set now. Needs a transaction."""
    by_mail = bool(merchant.alert_emails) and runtime.settings.smtp_url is not None
    return Hearers(by_mail, [(row.topics, row.min_severity) for row in db.channels(merchant.merchant_id)])


def note_open(row: AlertRow, url: str, now: datetime) -> None:
    """Writes down that an alert opened, opened again, or became graver: whoever does not know that is told now, as by e-mail. While it is
    snoozed that waits until the snooze ends. Needs the transaction of that change, and ``lock_alerts``.
    """
    if db.has_channels(row.merchant_id):
        _note_open(row, url, db.lock_wanting(row.merchant_id), now)


@dataclass(frozen=True)
class End:
    """How the end of an alert is told to each hearer. ``over_at``: as of when it is over. ``beside``: the other alerts that tell,
    in place of it, what was lost, to those who hear them.

    ``as_told``: the alert as it is told to those who were told last of an end of it, before ``over_at``, at an instant, None: never; and
    who hear these others.
    """

    over_at: datetime
    beside: Collection[int]
    as_told: Callable[[datetime | None, Collection[int]], AlertRow]


def note_end(row: AlertRow, url: str, end: End, now: datetime) -> None:
    """Writes down that an alert is over, for those who were told of the opening, and with a loss for those as well who were told of its
    end before. Needs the transaction of that change, and ``lock_alerts``.
    """
    if not db.has_channels(row.merchant_id):
        return
    wanting = db.lock_wanting(row.merchant_id)
    db.cancel_openings(row.merchant_id, row.alert_id, now, due_after=now)
    told, knowing = db.told_open(row.merchant_id, row.alert_id), db.told_over(row.merchant_id, row.alert_id)
    for channel, over in _as_told(row, end, [one for one in wanting if one.channel_id in told | knowing], now):
        if channel.channel_id in told or has_lost(over):
            data = alert_data(over, url)
            db.insert_message(channel, "alert.resolved", data, now, alert=(row.alert_id, "resolved"))


def note_late(row: AlertRow, url: str, end: End, now: datetime, *, is_news: bool) -> None:
    """Writes down that an alert that is over has cost more since, for those who were told of its end; the rest as ``note_end``.

    ``is_news``: to all of them; else to those who do not hear it from another alert.
    """
    if not db.has_channels(row.merchant_id):
        return
    knowing = db.told_over(row.merchant_id, row.alert_id)
    wanting = [one for one in db.lock_wanting(row.merchant_id) if one.channel_id in knowing]
    for channel, over in _as_told(row, end, wanting, now):
        if is_news or has_lost_later(over):
            data = alert_data(over, url)
            db.insert_message(channel, "alert.resolved", data, now, alert=(row.alert_id, "resolved"))


def _as_told(
    row: AlertRow, end: End, wanting: Sequence[ChannelRow], now: datetime
) -> Iterator[tuple[ChannelRow, AlertRow]]:
    """An alert that is over as each of these channels is told that."""
    told_at = db.told_over_at(row.merchant_id, row.alert_id, end.over_at)
    hears = db.hears(row.merchant_id, end.beside, now) if end.beside else {}
    for channel in wanting:
        yield channel, end.as_told(told_at.get(channel.channel_id), hears.get(channel.channel_id, ()))


def tell_channel(runtime: Runtime, channel: ChannelRow, now: datetime) -> None:
    """Writes down that a channel that is new, or was changed or mended, is told of what is open. Needs ``lock_alerts``, and its row."""
    for row in open_alerts(channel.merchant_id):
        url = alert_url(runtime.settings.public_url, row.merchant_id, row.alert_id)
        _note_open(row, url, [channel], now)


def _note_open(row: AlertRow, url: str, wanting: Sequence[ChannelRow], now: datetime) -> None:
    """Writes down that an alert is open, or how bad it is, for those of these that want to know, do not, and are not to be told anyway."""
    if row.acknowledged_at is not None:
        return  # somebody is at it
    heard, waiting = db.heard(row.merchant_id, row.alert_id), db.about_to_hear(row.merchant_id, row.alert_id)
    data = alert_data(row, url)
    for channel in wanting:
        known = heard.get(channel.channel_id)
        if channel.channel_id in waiting or not is_news(known, row.severity):
            continue
        if wants_alert(channel.topics, channel.min_severity, row.kind, row.severity):
            is_back = known is not None and known.state == "resolved"
            kind = "alert.opened" if known is None or is_back else "alert.reminder"
            due_at = max(now + TELL_AGAIN_AFTER if is_back else now, row.snoozed_until or now)
            db.insert_message(channel, kind, data, now, due_at, (row.alert_id, "open"))


def note_snooze(row: AlertRow, url: str, remind_at: datetime | None, now: datetime) -> None:
    """Takes back what nobody needs now; ``remind_at``: when those who want to know are told of it again."""
    if not db.has_channels(row.merchant_id):
        return
    wanting = db.lock_wanting(row.merchant_id)
    db.cancel_openings(row.merchant_id, row.alert_id, now)
    db.cancel_ends_alone(row.merchant_id, [row.alert_id], now)
    if remind_at is None:
        return
    data, knowing = alert_data(row, url), db.knowing(row.merchant_id, row.alert_id)
    for channel in wanting:
        if wants_alert(channel.topics, channel.min_severity, row.kind, row.severity):
            kind = "alert.reminder" if channel.channel_id in knowing else "alert.opened"
            db.insert_message(channel, kind, data, now, remind_at, (row.alert_id, "open"))


def data_when_due(public_url: str, taken: Taken) -> Taken:
    """A message that tells that an alert is open, in the words of now, not in those of when it was written down. Needs the
    transaction in which it was taken; once it may have been sent, it stays as it is.
    """
    message = taken.message
    if message.attempts > 0 or message.alert_id is None or message.state != "open":
        return taken
    row = alerts_by_id(message.merchant_id, [message.alert_id]).get(message.alert_id)
    if row is None or row.resolved_at is not None:
        return taken
    data = alert_data(row, alert_url(public_url, row.merchant_id, row.alert_id))
    if data == message.data:
        return taken
    db.write_message(message, data)
    return replace(taken, message=replace(message, data=data))


def note_event(merchant_id: int, topic: EventTopic, data: Mapping[str, Any], now: datetime) -> None:
    """Writes down an event for the channels that name its topic. Needs a transaction: the one of what happened."""
    if not db.has_channels(merchant_id, [topic.value]):
        return
    text = as_text(data)
    for channel in db.lock_wanting(merchant_id):
        if topic in channel.topics:
            db.insert_message(channel, topic.value, text, now)


def note_state(
    merchant_id: int,
    platform: str,
    before: DestinationState,
    after: DestinationState,
    reason: str | None,
    now: datetime,
) -> None:
    """Writes down that a destination is held from now on, or no more. Needs the transaction in which that changes."""
    held = DestinationState.HELD
    if before is after or held not in (before, after):
        return
    title = title_of(platform)
    said = {
        DestinationState.HELD: f"{title} is held: its deliveries wait, and one at a time is tried, until one is taken.",
        DestinationState.ACTIVE: f"{title} is sent to again: what waited goes out now.",
        DestinationState.PAUSED: f"{title} was held and is paused now: its deliveries wait until it is resumed.",
    }
    data = {
        "message": said[after],
        "destination": node_id("Destination", merchant_id, platform),
        "platform": platform,
        "state": after.value,
        "reason": reason,
        "at": now,
    }
    note_event(merchant_id, EventTopic.HELD if after is held else EventTopic.RESUMED, data, now)


def alert_url(public_url: str, merchant_id: int, alert_id: int) -> str:
    """An alert's own page, which everything that tells of it links to."""
    return f"{public_url}/notifications/{node_id('Alert', merchant_id, alert_id)}"


def told_of(row: AlertRow) -> dict[str, Any]:
    """``severity``, ``title``, ``message`` and ``details`` of an alert: as it is now, and of one that is over as it was
    when it opened, became critical or lost something, behind what was lost until it was over. What is seen last is the little
    that is left of it.
    """
    if row.resolved_at is not None and row.told is not None:
        balance = row.told.get("balance")
        return {**row.told, "message": f"{balance} {ABOUT}{row.told['message']}"} if balance else dict(row.told)
    return {"severity": row.severity, "title": row.title, "message": row.message, "details": row.details}


def has_lost(row: AlertRow) -> bool:
    """Whether what tells that an alert is over tells of a loss: one that no earlier end of it told."""
    return row.told is not None and bool(row.told["details"].get("lost_deliveries"))


def has_lost_later(row: AlertRow) -> bool:
    """Whether it tells somebody in particular of what was lost since it was over."""
    return row.told is not None and bool(row.told.get("lost_later"))


def alert_data(row: AlertRow, url: str) -> str:
    """What is told of an alert: JSON text, in the words of the data model."""
    told = told_of(row)
    alert = {
        "id": node_id("Alert", row.merchant_id, row.alert_id),
        "url": url,
        "kind": row.kind,
        "severity": told["severity"],
        "state": "resolved" if row.resolved_at else "open",
        "platform": row.platform,
        "event_name": row.event_name,
        "title": told["title"],
        "message": told["message"],
        "details": told["details"],
        "note": row.note,
        "opened_at": row.opened_at,
        "acknowledged_at": row.acknowledged_at,
        "resolved_at": row.resolved_at,
    }
    return as_text({"alert": alert})


def as_text(data: Mapping[str, Any]) -> str:
    """JSON as messages have it: instants as GraphQL has them."""
    return write_with_instants(dict(data)).decode()
