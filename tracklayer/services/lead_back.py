"""Keeps nothing waiting for a clock that has been set back: what was put off by it goes on now.

Each instant that makes something wait is written as now and a while more, which has a longest. So whatever lies further ahead
was written by a clock that was ahead. All such instants are listed here, with how far ahead they may lie; a test holds the list
to the tables. Two are judged where they are read, as whoever would lead them back waits by them himself: whose turn a job
(``db/schedule.py``) and a look of the operator's watch (``db/operator_alerts.py``) is. Those of alerts are, too
(``domain/alert.py``).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from tracklayer.clock import UNBELIEVABLE
from tracklayer.db import ahead as db
from tracklayer.db import heartbeats as db_beats
from tracklayer.db import schedule as db_schedule
from tracklayer.db.ahead import OF_PAGE, Longest, Waits
from tracklayer.db.connection import in_transaction
from tracklayer.db.leases import LEASE, wait_briefly
from tracklayer.domain.health import LONGEST_PROBE, LONGEST_WISH
from tracklayer.domain.retry import MAX_ATTEMPTS
from tracklayer.runtime import Runtime
from tracklayer.services import erase_jobs, notify, post, redeliver, tell_operator
from tracklayer.services.alone import alone
from tracklayer.services.channels import TELL_AGAIN_AFTER
from tracklayer.services.drops import SETTLED_AFTER
from tracklayer.services.erase import ON_ITS_WAY
from tracklayer.services.mail import ANSWER_SECONDS
from tracklayer.services.merchants import STITCHED_AFTER
from tracklayer.services.platform_requests import retry_policy
from tracklayer.services.watches import silence

log = logging.getLogger(__name__)

EVERY = timedelta(minutes=1)
PAGE = 1000  # destinations, of one sweep
MOST = 5000  # rows of one table, led back by one sweep
LOOK = "what lies ahead of now"

NOW = Longest()  # it tells when something was: nobody writes what is to come
WISH = Longest(LONGEST_WISH)
PAUSE = Longest(max(post.LONGEST_PAUSE, LONGEST_WISH))  # of a webhook, whose receiver may wish one, too
AGAIN = Longest(TELL_AGAIN_AFTER)
RELEASED = timedelta(minutes=5)  # a million destinations are released within less

_NOT_SNOOZED = """t.status = 'waiting' AND t.next_attempt_at > coalesce((
    SELECT snoozed_until FROM alerts a WHERE a.merchant_id = t.merchant_id AND a.alert_id = t.alert_id), '-infinity')"""
_HAS_DUE = """EXISTS (
    SELECT FROM channel_messages m WHERE m.merchant_id = t.merchant_id AND m.channel_id = t.channel_id
    AND m.status = 'waiting' AND m.next_attempt_at <= %(now)s)"""
# What was dropped since the clock was set back is told; a look and the wait for what is not committed are over meanwhile.
_TOLD = Longest(to=-(EVERY + 2 * SETTLED_AFTER))

OF_ALL = (
    Waits(
        "platform_health",
        {
            "failing_since": NOW,
            "opened_at": NOW,
            "resume_at": Longest(LONGEST_PROBE),
            "recovering_since": NOW,
            "released_to": Longest(RELEASED),
        },
    ),
    # A worker that lives has its whole time.
    Waits("claims", {"lease_ends_at": Longest(LEASE, to=LEASE)}),
    Waits("alert_mails", {"next_attempt_at": Longest(notify.LONGEST_PAUSE), "due_at": AGAIN}, _NOT_SNOOZED),
    Waits("alert_mails", {"failing_since": NOW}, "t.status = 'waiting'"),
    # The lease of one that the server has begins when its answer must be there.
    Waits("alert_mails", {"leased_at": Longest(timedelta(seconds=ANSWER_SECONDS))}, "t.status = 'sending'"),
    Waits("alert_mails", {"finished_at": NOW}, "t.status IN ('failed', 'unknown')"),
    Waits("channel_messages", {"next_attempt_at": PAUSE, "due_at": AGAIN}, _NOT_SNOOZED),
    Waits("alert_channels", {"rest_until": WISH}),
    Waits("alert_channels", {"leased_until": Longest(post.LEASE, to=post.LEASE)}),
    Waits("alert_channels", {"told_until": _TOLD}),
    Waits("alert_channels", {"next_at": PAUSE}, _HAS_DUE),  # behind the messages: a snooze ends when it ends
    Waits(
        "redeliveries",
        {"next_page_at": Longest(redeliver.AFTER_ERROR), "last_page_at": NOW},
        "t.finished_at IS NULL",
        also=", booked = '{}'",  # until when destinations have enough to do, by that clock
    ),
    # Behind those events that were on their way when it was asked for.
    Waits(
        "erasures",
        {"next_at": Longest(erase_jobs.NEXT_PAGE / 60, to=ON_ITS_WAY), "failing_since": NOW},
        "t.finished_at IS NULL",
    ),
    Waits("erasures", {"staged_at": NOW}, "t.finished_at IS NULL AND t.stage = 'traces'"),
    Waits("erasure_walks", {"next_at": Longest(erase_jobs.AFTER_ERROR, to=ON_ITS_WAY)}),
    Waits("looks", {"silence_at": Longest(silence.LONGEST_REST)}),
    Waits("baselines", {"learned_until": Longest(timedelta(hours=1))}, "t.platform = ''"),  # the end of an hour
    Waits("advice", {"last_seen_at": NOW}),
)
OF_DESTINATIONS = (
    Waits(
        "destinations",
        {
            "failing_since": NOW,
            "resume_at": WISH,
            "recovering_since": WISH,
            "turn_ends_at": Longest(LEASE, to=LEASE),
        },
        OF_PAGE,
    ),
    Waits("merchants", {"stitched_since": Longest(STITCHED_AFTER)}, "t.merchant_id = ANY(%(merchants)s::bigint[])"),
)
# A hold of which its platform wished nothing; that it did its row does not tell. So this is for the round in which the clock was set
# back, and for the next: each process looks at the clock every few seconds only, and may have held something by the old one since.
HELD = Waits("destinations", {"resume_at": Longest(LONGEST_PROBE)}, f"t.state = 'held' AND {OF_PAGE}")
OF_THE_OPERATOR = (
    Waits("heartbeats", {"started_at": NOW, "beat_at": NOW, "ended_at": NOW}),
    Waits("operator_alerts", {"seen_at": NOW}),
    Waits("operator_messages", {"next_attempt_at": Longest(tell_operator.LONGEST_PAUSE)}, "t.told_at IS NULL"),
    Waits("operator_messages", {"leased_until": Longest(tell_operator.SENDING, to=tell_operator.SENDING)}),
    Waits("periodic_jobs", {"begun_at": NOW}),
)


@dataclass
class _Round:
    """``looked_at``: when it began. ``set_back``: 2 where the clock was set back since the one before, by more than clocks differ,
    and 1 in the next one. ``after``: the destination it stands behind, None: it is through.
    """

    looked_at: datetime
    set_back: int
    after: db.Key | None


def lead_back(runtime: Runtime, now: datetime) -> None:
    """A sweep's part: once a minute all that waits is looked at, destinations a page at a time."""
    with in_transaction():
        round_ = _begun(_read(), now)
    if round_ is None or round_.after is None:
        return
    led, is_full = Counter[str](), False
    page: list[db.Key] = []
    waits: Iterable[Waits] = OF_DESTINATIONS
    if round_.after == BEGINNING:
        waits = (*OF_ALL, *waits)
    if round_.set_back:
        waits = (*waits, HELD)
    with in_transaction():
        page = db.page_of_destinations(round_.after, PAGE)
    for one in waits:
        with alone(runtime, f"looking for what lies ahead in {one.table}"), in_transaction():
            wait_briefly()
            count = db.lead_back(one, now, UNBELIEVABLE, MOST, page)
            led[one.table] += count
            is_full = is_full or count == MOST
    with alone(runtime, "looking for what lies ahead in deliveries"), in_transaction():
        wait_briefly()
        count = _lead_deliveries_back(runtime, page, now)
        led["deliveries"] += count
        is_full = is_full or count == MOST
    if not is_full:  # else there may be more
        round_.after = page[-1] if len(page) == PAGE else None
    with in_transaction():
        _write(round_)
    if +led:
        those = ", ".join(f"{table} {count}" for table, count in (+led).items())
        log.warning("the clock was set back: what waited for the time before goes on (%s)", those)


BEGINNING: db.Key = (0, "")


def _begun(last: _Round | None, now: datetime) -> _Round | None:
    """The round that goes on, or the one that begins now; None where it is not time for one."""
    if last is None:
        return _Round(now, 0, BEGINNING)
    since = now - last.looked_at
    if since < -UNBELIEVABLE:
        return _Round(now, 2, BEGINNING)
    if last.after is not None:
        return last
    return _Round(now, max(0, last.set_back - 1), BEGINNING) if since >= EVERY else None


def _read() -> _Round | None:
    place = db_schedule.place_of(LOOK)
    if place is None:
        return None
    looked_at, set_back, after = orjson.loads(place)
    return _Round(datetime.fromisoformat(looked_at), int(set_back), tuple(after) if after else None)


def _write(round_: _Round) -> None:
    place = [round_.looked_at.isoformat(), round_.set_back, round_.after]
    db_schedule.set_place(LOOK, orjson.dumps(place).decode())


def _lead_deliveries_back(runtime: Runtime, page: list[db.Key], now: datetime) -> int:
    """What never failed is due when it is queued, or a few seconds later where it is redelivered."""
    longest = max(retry_policy(runtime).delay(MAX_ATTEMPTS - 1, 1.0), LONGEST_WISH)
    return db.lead_deliveries_back(page, now, now + UNBELIEVABLE, now + longest + UNBELIEVABLE, MOST)


def lead_watch_back() -> None:
    """The same of what the operator's watch goes by, by PostgreSQL's own clock, as it writes that: no worker may be there."""
    with in_transaction():
        now = db.own_time()
        for one in OF_THE_OPERATOR:
            db.lead_back(one, now, UNBELIEVABLE, MOST)
        db_beats.forget_coming_away(now + UNBELIEVABLE)
