"""A platform that is down is found out once, for all its merchants, by all processes together.

What each request came to is noted here, where it changes anything; whoever is about to look at destinations asks here first;
and the sweep holds those that have something to send to a platform that is down, has a few of them probe it, and releases
all of them once it serves. A process knows how platforms are doing as of a second ago, by one statement a second.

Locks: a platform's row, then destination rows. Nothing of this is part of a claim's or a settlement's transaction: what is
lost with a process that dies here is an observation, or a probe that the next round makes up for.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tracklayer.db import channels as db_channels
from tracklayer.db import outages as db
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.leases import wait_briefly
from tracklayer.db.models import DestinationRow
from tracklayer.db.sessions import is_in_the_way
from tracklayer.domain.delivery import Destination, DestinationState, Outcome
from tracklayer.domain.outage import (
    PROBES,
    SERVING,
    PlatformHealth,
    failure_of,
    is_answer,
    judge_answer,
    judge_failure,
    next_round,
    reason_of,
    release_slot,
    released_by,
)
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone, tell_fault
from tracklayer.services.channels import note_state

log = logging.getLogger(__name__)

PAGE = 1000  # destinations that one transaction holds or releases
SLOW = timedelta(seconds=1)  # a request that takes longer, where most of a platform's do, says that it may hang
# Destinations a second of a platform that may hang: what is in hand will tell, and more would only wait with it.
WAKE_IN_DOUBT = 20
NEW = timedelta(
    seconds=40
)  # of an outage: what had left before has come to its end by then, and the rests after it are over

Key = tuple[int, str]  # merchant id, platform


def _address(runtime: Runtime) -> str:
    return runtime.settings.sandbox_url or ""


def _platforms(runtime: Runtime) -> Mapping[str, PlatformHealth]:
    """As of a second ago. Raises DatabaseAwayError."""

    def read() -> Mapping[str, PlatformHealth]:
        try:
            with in_transaction():
                return db.platforms(_address(runtime))
        except DatabaseAwayError as error:
            if not is_in_the_way(error):
                raise
            tell_fault(runtime, "looking at platforms", error)
            return {}  # a table that somebody has locked must stop no delivery: each destination has its own health

    known: Mapping[str, PlatformHealth] = runtime.outages.get(read)
    return known


def to_wake(runtime: Runtime, destinations: Iterable[Key]) -> list[Key]:
    """Those that it is of use to wake: not where the platform is down, but for those that probe it. Never raises."""
    found = list(destinations)
    if not found:
        return found
    try:
        platforms = _platforms(runtime)
    except Exception as error:  # noqa: BLE001 - whoever is woken looks again
        if not isinstance(error, DatabaseAwayError):
            tell_fault(runtime, "looking at platforms", error)
        return found
    return [key for key in found if _may_look(platforms.get(key[1], SERVING), key[0])]


def _may_look(health: PlatformHealth, merchant_id: int) -> bool:
    return not health.is_down or merchant_id in health.probers


def may_claim(runtime: Runtime, merchant_id: int, platform: str) -> bool:
    """Whether its platform serves, or it was named for a probe: this uses up its turn. Raises DatabaseAwayError.

    Costs no statement but the one a second, and one for each probe.
    """
    health = _platforms(runtime).get(platform, SERVING)
    return not health.is_down or (_may_look(health, merchant_id) and _take_probe(runtime, merchant_id, platform))


def by_platform(runtime: Runtime, destinations: Iterable[Key]) -> tuple[list[Key], list[Key]]:
    """(those whose platform serves, those that probe one that is down); the others are not sent to. Uses up no turn.

    Raises DatabaseAwayError.
    """
    platforms = _platforms(runtime)
    serving: list[Key] = []
    probing: list[Key] = []
    for key in destinations:
        health = platforms.get(key[1], SERVING)
        if _may_look(health, key[0]):
            (probing if health.is_down else serving).append(key)
    return serving, probing


def _take_probe(runtime: Runtime, merchant_id: int, platform: str) -> bool:
    taken = False
    with alone(runtime, f"probing {platform}, which is down,"), in_transaction():
        wait_briefly()
        taken = db.take_probe(merchant_id, platform, _address(runtime))
    runtime.outages.forget()
    return taken


def as_shown(runtime: Runtime, rows: Sequence[DestinationRow]) -> list[DestinationRow]:
    """Destinations as their merchant sees them: one that may be sent to is held, too, while its platform is down.

    Its row says so only once it has something to send. Changes the rows in hand, which nobody writes back.
    """
    platforms = _platforms(runtime)
    for row in rows:
        health = platforms.get(row.platform, SERVING)
        if health.is_down and row.state == DestinationState.ACTIVE:
            row.state, row.state_reason, row.resume_at = (
                DestinationState.HELD.value,
                reason_of(health),
                health.resume_at,
            )
    return list(rows)


def note_outcomes(runtime: Runtime, destination: Destination, outcomes: Sequence[Outcome], sent_at: datetime) -> None:
    """What a request came to, as far as that says how its platform is doing for others. Never raises."""
    try:
        _note(runtime, destination, outcomes, sent_at)
    except DatabaseAwayError:
        pass  # the next one tells as much
    except Exception as error:  # noqa: BLE001 - told; the deliveries themselves are what counts
        tell_fault(runtime, f"noting how {destination.platform} is doing", error)


def _note(runtime: Runtime, destination: Destination, outcomes: Sequence[Outcome], sent_at: datetime) -> None:
    platform, now = destination.platform, runtime.clock.now()
    failure = failure_of(outcomes)

    def judge(health: PlatformHealth) -> PlatformHealth:
        if failure is None:
            return judge_answer(health, destination.merchant_id, sent_at, now) if is_answer(outcomes) else health
        return judge_failure(health, destination.merchant_id, failure, sent_at, now, destination.health.failing_since)

    known = _platforms(runtime).get(platform, SERVING)
    if judge(known) == known:
        return
    with in_transaction():
        wait_briefly()
        before = db.lock_platform(platform, _address(runtime))
        after = judge(before)
        if after != before:
            db.set_platform(platform, _address(runtime), after)
    runtime.outages.forget()
    if after.is_down and not before.is_down:
        more = {"kind": "platform_down", "platform": platform}
        log.warning("%s is down for every merchant (%s)", platform, after.reason, extra=more)
    elif before.is_down and not after.is_down:
        more = {"kind": "platform_back", "platform": platform}
        log.warning("%s answers again: its destinations are released", platform, extra=more)


def see_to_platforms(runtime: Runtime, due: Sequence[Key], now: datetime) -> list[Key]:
    """A sweep's part: holds, probes and releases. ``due``: destinations with work; those of them, and probers, to wake.

    Each part is bounded and alone. Any number may call it at once.
    """
    merchants: dict[str, list[int]] = {}
    for merchant_id, platform in due:
        merchants.setdefault(platform, []).append(merchant_id)
    with in_transaction():
        platforms = db.platforms(_address(runtime))
        in_hand = db.in_hand(now, SLOW)
        held = db.platforms_held()
    wake: list[Key] = []
    for platform, health in platforms.items():
        if health.is_down and platform in PLATFORMS:
            those = merchants.pop(platform, [])
            with alone(runtime, f"probing {platform}, which is down,"):
                health = _begin_round(runtime, platform, now)
                wake += [(merchant_id, platform) for merchant_id in health.probers]
            with alone(runtime, f"holding the destinations of {platform}, which is down,"):
                _hold(platform, health, those, now)
    for platform in sorted(held):
        if not platforms.get(platform, SERVING).is_down:
            with alone(runtime, f"releasing the destinations of {platform}"):
                _release(runtime, platform, now)
    for platform, those in merchants.items():
        most = len(those)
        if platforms.get(platform, SERVING).is_in_doubt or (platform in in_hand and in_hand[platform].most_hang):
            most = max(WAKE_IN_DOUBT, in_hand[platform].slow if platform in in_hand else 0)
        wake += [
            (merchant_id, platform) for merchant_id in (those if len(those) <= most else random.sample(those, most))
        ]
    return wake


def _begin_round(runtime: Runtime, platform: str, now: datetime) -> PlatformHealth:
    """The platform as it is now; with other probers where it is time for a round, and somebody has something to send."""
    with in_transaction():
        wait_briefly()
        health = db.lock_platform(platform, _address(runtime))
        if not health.is_down or health.resume_at is None or health.resume_at > now:
            return health
        probers = db.choose_probers(platform, list(health.failing), health.resume_at, now, PROBES)
        if not probers:
            return health
        health = next_round(health, probers, now)
        db.set_platform(platform, _address(runtime), health)
    runtime.outages.forget()
    return health


def _hold(platform: str, health: PlatformHealth, merchants: Sequence[int], now: datetime) -> None:
    if not health.is_down or health.resume_at is None or health.failing_since is None:
        return
    if health.opened_at is not None and now - health.opened_at < NEW:
        with in_transaction():
            merchants = [*merchants, *db.failing_with(platform, health.failing_since, PAGE)]
    those = sorted(set(merchants) - set(health.probers))
    reason = reason_of(health)
    for start in range(0, len(those), PAGE):
        with in_transaction():
            wait_briefly()
            page = those[start : start + PAGE]
            newly = db.hold_with_platform(platform, page, reason, health.failing_since, health.resume_at, now)
            _tell_channels(platform, newly, DestinationState.ACTIVE, DestinationState.HELD, reason, now)


def _release(runtime: Runtime, platform: str, now: datetime) -> None:
    """The next page of those that are held with a platform that serves: each with its place in what all of them share."""
    with in_transaction():
        wait_briefly()
        health = db.lock_platform(platform, _address(runtime))
        if health.is_down:
            return
        merchants = db.lock_held(platform, PAGE)
        since = health.recovering_since or now
        first = released_by(max(now, health.released_to or now) - since)
        places = [
            (merchant_id, max(now, since + release_slot(first + place))) for place, merchant_id in enumerate(merchants)
        ]
        if places:
            db.release_at(platform, places)
            db.set_platform(platform, _address(runtime), replace(health, released_to=places[-1][1]))
            _tell_channels(platform, merchants, DestinationState.HELD, DestinationState.ACTIVE, None, now)


def _tell_channels(
    platform: str,
    merchants: Sequence[int],
    before: DestinationState,
    after: DestinationState,
    reason: str | None,
    now: datetime,
) -> None:
    for merchant_id in db_channels.with_channels(merchants):
        note_state(merchant_id, platform, before, after, reason, now)
