"""Rounds over all merchants: one that fails does so alone, and a round that is cut short goes on where it stopped."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from tracklayer.db import merchants as db_merchants
from tracklayer.db import schedule as db
from tracklayer.db.connection import DatabaseAwayError, in_transaction, is_broken
from tracklayer.db.sessions import is_in_the_way
from tracklayer.runtime import Runtime

log = logging.getLogger(__name__)

MOST_ALIKE = 20  # of the same class and place, of one merchant or another: of more the log says nothing
MOST_FAULTS = 1000  # remembered by a process: what comes then is told anew
TELL_AGAIN_SECONDS = 3600
DELAY_AGAIN_SECONDS = 60
_IDS = ("merchant_id", "event_id", "platform")  # of a delivery, or of a lease


@contextmanager
def alone(runtime: Runtime, what: str) -> Iterator[None]:
    """What is raised in the block stays there, and is told. Raises DatabaseAwayError where it is everybody's.

    Statements in the block need a transaction of the block's own, also within another: one that reaches into it from outside
    is broken by what failed, nothing more can be asked in it, and so the error goes on to whoever opened it.
    """
    try:
        yield
    except Exception as error:
        if is_everybodys(error) or is_broken():
            raise
        tell_fault(runtime, what, error)


def is_everybodys(error: Exception) -> bool:
    """Whether the database is not there, for anybody; a row that is locked, or a statement that took too long, is not that."""
    return isinstance(error, DatabaseAwayError) and not is_in_the_way(error)


def tell_fault(runtime: Runtime, what: str, error: Exception, example: object = None) -> None:
    """Writes a fault to the log: its class and where it arose. Its words may quote what is private.

    The same one again is told after an hour, with how often it happened meanwhile. ``example``: what it befell this time.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    fault, now = (what, type(error).__name__, place), time.monotonic()
    with runtime.faults_lock:
        told_at, untold = runtime.faults.get(fault, (-math.inf, 0))
        if now - told_at < TELL_AGAIN_SECONDS:
            runtime.faults[fault] = (told_at, untold + 1)
            return
        for known, (at, _) in list(runtime.faults.items()):
            if now - at >= TELL_AGAIN_SECONDS:
                del runtime.faults[known]
        alike = sum(known[1:] == fault[1:] for known in runtime.faults)
        if alike >= MOST_ALIKE or len(runtime.faults) >= MOST_FAULTS:
            return
        runtime.faults[fault] = (now, 0)
    befell = f" for {example}" if example is not None else ""
    before = f", and {untold} times more since it was told last" if untold else ""
    more = "; of more alike nothing is said for an hour" if alike == MOST_ALIKE - 1 else ""
    ids = {name: found for name in _IDS if (found := getattr(example, name, None)) is not None}
    trace = "".join(traceback.format_tb(error.__traceback__))
    told = {"kind": "failed", "error": type(error).__name__, "alike": fault[1:], "trace": trace, **ids}
    log.error("%s failed%s%s: %s; the others go on%s", what, befell, before, type(error).__name__, more, extra=told)


def tell_delay(runtime: Runtime, what: str, waits: timedelta) -> None:
    """Writes to the log that rows which somebody holds keep something waiting, of the same one once a minute: it is no fault."""
    delay, now = (what, "waits", ""), time.monotonic()
    with runtime.faults_lock:
        told_at, _ = runtime.faults.get(delay, (-math.inf, 0))
        if now - told_at < DELAY_AGAIN_SECONDS or (delay not in runtime.faults and len(runtime.faults) >= MOST_FAULTS):
            return
        runtime.faults[delay] = (now, 0)
    log.info(
        "%s: waiting for rows that somebody holds, or that take too long; tried again every %.0f s",
        what,
        waits.total_seconds(),
    )


def tell_want(runtime: Runtime, what: str, lacks: str) -> None:
    """Writes to the log what this process lacks for something, once a minute."""
    with runtime.faults_lock:
        want, now = ("wants", lacks, ""), time.monotonic()
        if now - runtime.faults.get(want, (-math.inf, 0))[0] < DELAY_AGAIN_SECONDS:
            return
        runtime.faults[want] = (now, 0)
    log.error("%s: %s; it is tried again", what, lacks, extra={"kind": "no_files", "alike": lacks})


def pages_of_merchants(name: str, size: int) -> Iterator[list[tuple[int, int]]]:
    """(merchant id, retention days) of all merchants once, page by page, from behind where the last round stopped.

    ``name``: of the round. A page counts as done when it is given, so that one that ends a process is not the first of
    the next round, too. Whoever stops within a page says where with ``stop_at``.
    """
    with in_transaction():
        start = int(db.place_of(name) or 0)
    after = start
    for last in (None, start) if start else (None,):
        if last is not None:
            after = 0
        while True:
            with in_transaction():
                page = db_merchants.page_of_merchants(after, size)
                is_full = len(page) == size
                if last is not None:
                    page = [found for found in page if found[0] <= last]
                    is_full = is_full and len(page) == size
                if page and (is_full or start):  # those who have few merchants need no note of it
                    db.set_place(name, str(page[-1][0]))
            if page:
                yield page
                after = page[-1][0]
            if not is_full:
                break


def stop_at(name: str, merchant_id: int) -> None:
    """The next round of this name begins behind a merchant."""
    with in_transaction():
        db.set_place(name, str(merchant_id))
