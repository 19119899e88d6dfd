"""Until when something that is on its way may still be stored: what hung for longer is not, and its sender is told.

An erasure counts on it: after ``services.erase.ON_ITS_WAY`` nothing comes in any more that nobody has held against its marks.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tracklayer.clock import elapsed
from tracklayer.db.connection import database, rows
from tracklayer.db.sessions import CLOCK_SECONDS, Session

# What is known of a merchant is asked anew after this long. Where something is judged by what was asked longer ago, as its process
# stood still or had too much to do, it counts as come then: it may know nothing of an erasure that began meanwhile.
KNOWN_SECONDS = 2.0


def arrival(asked_at: float) -> float:
    """When what comes now counts as come, by ``clock.elapsed``; ``asked_at``: when its merchant's rows were asked."""
    return min(elapsed(), asked_at + KNOWN_SECONDS)


def begin_storing(seconds: float) -> datetime:
    """Until when the open transaction may store, by the server's clock. A commit that hangs on its way for long is none.

    The time that this question and its answer take is part of ``seconds``.
    """
    ends = elapsed() + seconds
    limit = "SELECT clock_timestamp(), set_config('idle_in_transaction_session_timeout', '5000', true)"
    found: datetime = rows(limit)[0][0]
    return found + timedelta(seconds=ends - elapsed())


def end_storing(until: datetime) -> None:
    """Raises DatabaseAwayError where it is too late."""
    rows("SELECT in_time(%s)", (until,))


def server_time(at: float, *, anew: bool = False) -> datetime:
    """What the server's clock shows when ``clock.elapsed`` of this host is ``at``: never later than that, and earlier by what
    its last answer was on its way. One more way to the server every few seconds. Needs a session.
    """
    own: Session = database.connection()
    if anew or own.clock is None or elapsed() - own.clock[1] > CLOCK_SECONDS:
        shown = rows("SELECT clock_timestamp()")[0][0]
        own.clock = shown, elapsed()
    shown, then = own.clock
    found: datetime = shown + timedelta(seconds=at - then)
    return found
