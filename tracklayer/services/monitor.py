"""A look at the merchants of whom something can have changed: verdicts on their counters, and alerts made of those."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import alerts as db_alerts
from tracklayer.db import looks as db_looks
from tracklayer.db import monitors as db
from tracklayer.db import names as db_names
from tracklayer.db.connection import LONG_SECONDS, in_transaction, statements_within
from tracklayer.db.heartbeats import api_away
from tracklayer.db.looks import LookPage
from tracklayer.domain.alert import AHEAD, REOPEN_WITHIN, AlertKind
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.learn import (
    LEARN_FROM,
    learn_arrivals,
    learn_success,
    learned_until,
)
from tracklayer.domain.monitors.tracking_stopped import LEAST_SILENCE
from tracklayer.domain.monitors.views import PAST
from tracklayer.runtime import Runtime
from tracklayer.services.alert import settle_findings
from tracklayer.services.alone import alone, is_everybodys, pages_of_merchants, tell_fault
from tracklayer.services.late_losses import tell_late_losses
from tracklayer.services.watches.destinations import Destinations
from tracklayer.services.watches.gathering import gather
from tracklayer.services.watches.match_quality import MatchQuality, learn_coverage
from tracklayer.services.watches.names import is_newer, learned_names_of, rhythm_json
from tracklayer.services.watches.notes import Notes
from tracklayer.services.watches.page import Look, Page
from tracklayer.services.watches.quality import Quality
from tracklayer.services.watches.rejections import Rejections
from tracklayer.services.watches.silence import look_at_silence
from tracklayer.services.watches.sources import Sources

MERCHANTS = 100  # of one page: one transaction of a few statements for each watch
ROTATED = 100  # of the merchants that nothing happens to: these, too, are looked at in turn, for what changes by itself
LOOK = timedelta(seconds=20)  # what is left is taken up by the next one
ROUND = "monitor"
PLACES = 16  # of which a process takes the same ones again: it knows these merchants
LEARN_EVERY = timedelta(hours=6)
LEARN_IDLE_EVERY = timedelta(days=1)  # of those who have sent nothing since
LEARN_MERCHANTS = 50  # by one call
LEARN = timedelta(seconds=20)


class Watch:
    """The looks of one process, by all watches. ``call``: asks so many others to ``join`` a look that has begun."""

    def __init__(self, runtime: Runtime, call: Callable[[int], object] = lambda pages: None) -> None:
        self._runtime, self._call = runtime, call
        self._looks: Sequence[Look] = (
            Destinations(),
            Rejections(),
            MatchQuality(),
            Quality(),
            Sources(),
            Notes(),
        )
        self._mine: deque[int] = deque(maxlen=PLACES)

    def look(self) -> int:
        """Judges everybody of whom something can have changed, once; how many alerts opened, opened again or resolved.

        What one process looks at is a page; of several, all that ``join`` take their part, and no merchant is taken twice.
        Safe with any number of processes at once, not with several threads of one.
        """
        pages = _pages(self._runtime.clock.now())
        if len(pages) == 1:
            return self._look_at_page(pages[0])
        self._call(len(pages) - 1)
        return self.join()

    def join(self) -> int:
        """Takes part in the look that goes on, if one does; as ``look``. What is left at the end the next look begins with."""
        changed, ends = 0, time.monotonic() + LOOK.total_seconds()
        while time.monotonic() < ends:
            with in_transaction():
                page = db_looks.take_page(self._mine)
            if page is None:
                break
            if page.place not in self._mine:
                self._mine.append(page.place)
            changed += self._look_at_page(page)
        return changed

    def _look_at_page(self, page: LookPage) -> int:
        changed = self._look_at(look_at_silence, page.silence_ids) if page.silence_ids else 0
        if page.merchant_ids:
            changed += sum(self._look_at(look, page.merchant_ids) for look in self._looks)
            tell_late_losses(self._runtime, page.merchant_ids)
        return changed

    def _look_at(self, look: Look, merchant_ids: Sequence[int]) -> int:
        """A page; where it fails, its halves, until whoever it fails for stands alone."""
        try:
            return _look_at(self._runtime, look, merchant_ids)
        except Exception as error:
            if is_everybodys(error):
                raise
            if len(merchant_ids) == 1:
                tell_fault(self._runtime, f"the monitors' look at merchant {merchant_ids[0]}", error)
                return 0
        middle = len(merchant_ids) // 2
        return self._look_at(look, merchant_ids[:middle]) + self._look_at(look, merchant_ids[middle:])


def _look_at(runtime: Runtime, look: Look, merchant_ids: Sequence[int]) -> int:
    now = runtime.clock.now()
    with in_transaction():
        lately = db_alerts.open_lately(merchant_ids, now - PAST, now + AHEAD)
        # What is gathered from several names is no name that a watch knows.
        by_name = {key: spans for key, spans in lately.items() if key[1].event_name != OTHERS}
        gathered = {
            (key[0], key[1].kind): opened
            for key, (opened, until) in lately.items()
            if key[1].event_name == OTHERS and until is None
        }
        known = Page(runtime, merchant_ids, now, lately)
        about_several = [
            one for one in merchant_ids if any(subject.event_name == OTHERS for subject in known.same(one))
        ]
        members = db_alerts.gathered_members(about_several, now - REOPEN_WITHIN) if about_several else {}
        verdicts = look(Page(runtime, merchant_ids, now, by_name, gathered))
    changed = 0
    for merchant_id, all_judged in verdicts.judged.items():
        open_now = known.open_subjects(merchant_id)
        parts = {
            kind: [name for name, one in those.items() if one.is_part(now)]
            for kind, those in members.get(merchant_id, {}).items()
        }
        ended = known.ended_subjects(merchant_id)
        findings, judged = gather(verdicts.findings.get(merchant_id, []), all_judged, open_now, parts, ended)
        if findings or not judged.isdisjoint(open_now):
            # By itself: a look that has memory does not find the same again for the others of the page.
            with alone(runtime, f"settling alerts of merchant {merchant_id}"):
                changed += len(settle_findings(runtime, merchant_id, findings, judged, now))
    return changed


def _pages(now: datetime) -> list[LookPage]:
    """Whom this look is at, in pages; where that is more than one, they are written down for all who take part.

    First come those that the last look did not come to. Who is looked at in any case, however often, is found by one
    look at what changed; the others, of whom only what is told can be over by itself, take turns.
    """
    rotated = [merchant_id for merchant_id, _ in next(pages_of_merchants(ROUND, ROTATED), [])]
    with in_transaction():
        concerned = db_looks.concerned(now)
        left = db_looks.left_over()
        merchants = _in_order([page.merchant_ids for page in left], {*concerned.merchants, *rotated})
        silent = _in_order([page.silence_ids for page in left], {*concerned.silent, *rotated})
        count = max(1, -(-max(len(merchants), len(silent)) // MERCHANTS))
        pages = [
            LookPage(place, merchants[place * MERCHANTS :][:MERCHANTS], silent[place * MERCHANTS :][:MERCHANTS])
            for place in range(count)
        ]
        if count > 1:
            db_looks.write_pages(pages)
    return pages


def _in_order(left: Sequence[Sequence[int]], concerned: set[int]) -> list[int]:
    """Those that are left of a look first, whether they are concerned now or not."""
    first = list(dict.fromkeys(merchant_id for page in left for merchant_id in page))
    return [*first, *sorted(concerned.difference(first))]


# Learning ------------------------------------------------------------------------------------------------------------


def learn_baselines(runtime: Runtime) -> int:
    """Learns anew what is normal for the merchants whose baselines are the oldest; of how many."""
    now = runtime.clock.now()
    until = now.replace(minute=0, second=0, microsecond=0)
    ends = time.monotonic() + LEARN.total_seconds()
    with in_transaction():
        merchant_ids = db.merchants_to_learn(now - LEARN_EVERY, now - LEARN_IDLE_EVERY, LEARN_MERCHANTS)
    count = 0
    for merchant_id in merchant_ids:
        if time.monotonic() > ends:
            break
        learned = False
        what = f"learning what is normal for merchant {merchant_id}"
        with alone(runtime, what):
            for learn in (_learn_arrivals, _learn_names, _learn_coverage):  # each a step of its own
                with in_transaction(), statements_within(LONG_SECONDS):
                    learn(merchant_id, until, now)
            learned = True
        count += learned
        if not learned:
            # What was learned before stays, and it is not the first again the next time.
            with alone(runtime, f"putting off merchant {merchant_id}"), in_transaction():
                db.write_baselines(merchant_id, {"": None}, now)
    return count


def _learn_arrivals(merchant_id: int, until: datetime, now: datetime) -> None:
    learned = learned_of(merchant_id, until, now)
    known = db.learned_rhythm(merchant_id)
    if known is not None and learned[""] is not None:
        is_told = None in db_alerts.open_names([merchant_id], AlertKind.TRACKING_STOPPED).get(merchant_id, ())
        if is_told or not is_newer(datetime.fromisoformat(learned[""]["until"]), known):
            learned[""] = None  # what is usual stays what it was before the silence
    db.write_baselines(merchant_id, learned, now)
    db_looks.look_for_silence(merchant_id, now)


def _learn_names(merchant_id: int, until: datetime, now: datetime) -> None:
    db_names.write_name_baselines(merchant_id, learned_names_of(merchant_id, until, now), now)
    db_looks.look_for_silence(merchant_id, now)


def _learn_coverage(merchant_id: int, until: datetime, now: datetime) -> None:
    learn_coverage(merchant_id, until)


def learned_of(merchant_id: int, until: datetime, now: datetime) -> dict[str, Any]:
    """What the four weeks before tell of a merchant ('') and of each destination, as JSON. Needs an open transaction."""
    since = until - LEARN_FROM
    hours = db.active_hours(merchant_id, since, until)
    learned: dict[str, Any] = {"": None}
    if hours:
        told, away = db_alerts.told_silences(merchant_id, since), api_away(since, now)
        gaps = db.longest_gaps(merchant_id, since, until, LEAST_SILENCE)
        rhythm = learn_arrivals(hours, gaps, max(since, min(hours)), until, away=away, told=told)
        if rhythm is not None:
            learned[""] = rhythm_json(rhythm, learned_until(hours))
    for platform, attempts in db.attempts_by_hour(merchant_id, since, until).items():
        success = learn_success(attempts)
        if success is not None:
            learned[platform] = {"share": success.share, "spread": success.spread, "attempts": success.attempts}
    return learned
