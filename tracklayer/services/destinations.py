"""Destinations: set, paused, resumed, removed by the merchant."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any

from tracklayer.db import destinations as db
from tracklayer.db.connection import in_transaction
from tracklayer.db.destinations import Seen
from tracklayer.db.merchants import lock_merchant
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import DestinationState, Health
from tracklayer.domain.event import MAX_EVENT_NAME
from tracklayer.domain.health import release
from tracklayer.domain.problem import Problem, shown_name
from tracklayer.domain.text import is_storable_json, wrong_with_name
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import Mapper, Setting
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services.channels import note_state
from tracklayer.services.credentials import HIDDEN, open_settings, seal_secrets, split_settings
from tracklayer.services.merchants import holders_change

log = logging.getLogger(__name__)

MAX_SETTING = 16 * 1024  # characters: a service account's key fits


MAX_EVENT_NAMES = 500  # of a destination


@dataclass(frozen=True)
class Changed:
    """The row after the change; the caller wakes the destination."""

    row: DestinationRow


class Keep(Enum):
    """What a change leaves out."""

    KEEP = "keep"


KEEP = Keep.KEEP
NOT_FOUND = Problem(("platform",), "NOT_FOUND", "There is no destination on this platform: create it first.")


def set_destination(
    runtime: Runtime,
    merchant_id: int,
    platform: str,
    settings: Any | Keep = KEEP,
    event_names: Sequence[str] | Keep | None = KEEP,
) -> Changed | list[Problem]:
    """Creates or changes a destination; of a new one, what is left out is missing.

    A setting that is left out stays, and so does a secret that is sent as it is shown; null or empty text removes one.
    ``event_names`` of None: every event. Two changes at once are made one after the other, and neither is lost. A
    destination that was held is tried again at once; a paused one stays paused.
    """
    mapper = mapper_for(platform)
    if settings is None:
        message = "Leave settings out to keep them; they cannot be null. A single setting is removed by its null."
        return [Problem(("settings",), "REQUIRED", message)]
    if settings is not KEEP and not isinstance(settings, Mapping):
        return [Problem(("settings",), "INVALID_TYPE", "settings must be an object.")]
    now = runtime.clock.now()
    with holders_change(runtime, merchant_id), in_transaction():
        row = db.lock_destination(merchant_id, platform)
        if row is None:  # nothing to hold yet: two that create it at once take turns by their merchant
            lock_merchant(merchant_id)
            row = db.lock_destination(merchant_id, platform)
        if isinstance(event_names, Keep):
            event_names = row.event_names if row is not None else None
        kept = _kept(runtime, row)
        merged = _merged(mapper, kept, settings)
        problems = check_settings(mapper, merged) + _check_event_names(event_names)
        if problems:
            return problems
        plain, secret = split_settings(mapper, merged)
        paused = row is not None and row.state == DestinationState.PAUSED
        held = row is not None and row.state == DestinationState.HELD
        db.upsert_destination(
            merchant_id,
            platform,
            {
                "settings": plain,
                "secrets": seal_secrets(runtime.sealer, merchant_id, platform, secret),
                "setting_times": _setting_times(row, kept, merged, now),
                "default_country": plain.get("default_country"),
                "event_names": list(event_names) if event_names is not None else None,
                "state": "paused" if paused else "active",
                "state_reason": row.state_reason if paused and row is not None else None,
                "recovering_since": now if held else None,
            },
            now,
        )
        if held:
            note_state(merchant_id, platform, DestinationState.HELD, DestinationState.ACTIVE, "set anew", now)
        changed = Changed(_get(merchant_id, platform))
    if held:
        _tell(merchant_id, platform, DestinationState.ACTIVE)
    return changed


def _setting_times(
    row: DestinationRow | None, kept: Mapping[str, Any], merged: Mapping[str, Any], now: datetime
) -> dict[str, str]:
    """Since when each setting is as it is; what was set before that was noted stays without."""
    noted = row.setting_times if row is not None else {}
    times = {}
    for name, value in merged.items():
        if name not in kept or kept[name] != value:
            times[name] = now.isoformat()
        elif name in noted:
            times[name] = noted[name]
    return times


def _kept(runtime: Runtime, row: DestinationRow | None) -> dict[str, Any]:
    """The settings there are. Secrets that were sealed with a key that is lost are as good as missing."""
    if row is None:
        return {}
    try:
        return open_settings(runtime.sealer, row)
    except SealError:
        return dict(row.settings)


def _merged(mapper: Mapper, kept: Mapping[str, Any], given: Mapping[str, Any] | Keep) -> dict[str, Any]:
    """All settings after a change; a setting that is a map is given whole. Unknown names stay in, to be refused."""
    if isinstance(given, Keep):
        return dict(kept)
    known = {setting.name: setting for setting in mapper.settings}
    merged = dict(kept)
    for name, value in given.items():
        if name in known and (value is None or value == ""):
            merged.pop(name, None)
        elif name not in known or not known[name].secret or not str(value).startswith(HIDDEN):
            merged[name] = value
    return merged


def check_settings(mapper: Mapper, settings: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with settings, all of it; field = ("settings", name)."""
    known = {setting.name: setting for setting in mapper.settings}
    problems = []
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(str(name)[:64], known, n=1, cutoff=0.6)
            # What is like no setting may be a token in the place of its name, and such nearly always hold a digit.
            shown = shown_name(str(name), digits=3 if near else 0)
            hint = f", did you mean {near[0]}?" if near else f": it takes {', '.join(known)}."
            message = f"This is not a setting of {mapper.title}{hint}"
            problems.append(Problem(("settings", shown), "UNKNOWN_FIELD", message))
    for setting in mapper.settings:
        problem = _check(setting, settings.get(setting.name))
        if problem:
            problems.append(problem)
    if not problems and mapper.check_settings is not None:
        problems = [problem.under("settings") for problem in mapper.check_settings(settings)]
    return problems


def _check(setting: Setting, value: Any) -> Problem | None:
    path = ("settings", setting.name)
    if value is None or value == "":
        if setting.required:
            return Problem(path, "REQUIRED", f"{setting.label} ({setting.name}) is required. {setting.help}")
        return None
    if setting.check is not None:
        wrong = setting.check(value)
    else:
        fine = (
            isinstance(value, str) and value.strip() == value and 0 < len(value) <= MAX_SETTING and value.isprintable()
        )
        wrong = None if fine else "must be text without spaces around it"
    if wrong is None and not is_storable_json(value):
        wrong = "holds a character that cannot be stored"
    return Problem(path, "INVALID_SETTING", f"{setting.label} ({setting.name}) {wrong}.") if wrong else None


def _check_event_names(event_names: Sequence[str] | None) -> list[Problem]:
    if event_names is not None and not event_names:
        message = "Name one event at least; null takes every event, and a pause keeps back what comes."
        return [Problem(("event_names",), "REQUIRED", message)]
    if event_names is not None and len(event_names) > MAX_EVENT_NAMES:
        message = f"A destination may name {MAX_EVENT_NAMES} events; null takes every event."
        return [Problem(("event_names",), "TOO_LARGE", message)]
    return [
        Problem(("event_names", str(index)), "INVALID_VALUE", f"An event name {wrong}.")
        for index, name in enumerate(event_names or ())
        if (wrong := wrong_with_name(name, MAX_EVENT_NAME))
    ]


def pause_destination(runtime: Runtime, merchant_id: int, platform: str) -> Changed | list[Problem]:
    """Keeps its deliveries where they are until it is resumed, or their window ends."""
    health = Health(DestinationState.PAUSED, "paused by the merchant")
    return _set_state(merchant_id, platform, health, runtime.clock.now())


def resume_destination(runtime: Runtime, merchant_id: int, platform: str) -> Changed | list[Problem]:
    """Ends a pause or a hold: what waits goes out now, oldest first."""
    now = runtime.clock.now()
    return _set_state(merchant_id, platform, release(now), now)


def _set_state(merchant_id: int, platform: str, health: Health, now: datetime) -> Changed | list[Problem]:
    with in_transaction():
        row = db.lock_destination(merchant_id, platform)
        if row is None:
            return [NOT_FOUND]
        db.set_health(merchant_id, platform, health)
        note_state(merchant_id, platform, DestinationState(row.state), health.state, health.reason, now)
        changed = Changed(_get(merchant_id, platform))
    if health.state != row.state:
        _tell(merchant_id, platform, health.state)
    return changed


def end_holds(runtime: Runtime, reason: str) -> None:
    """Of all destinations that are held for a reason that is over: what waits goes out now."""
    now = runtime.clock.now()
    with in_transaction():
        held = db.held_because(reason)
    for merchant_id, platform in held:
        with in_transaction():
            row = db.lock_destination(merchant_id, platform)
            if row is None or (row.state, row.state_reason) != (DestinationState.HELD, reason):
                continue  # somebody was here meanwhile
            health = release(now)
            db.set_health(merchant_id, platform, health)
            note_state(merchant_id, platform, DestinationState.HELD, health.state, health.reason, now)
        more = {"kind": "destination_active", "merchant_id": merchant_id, "platform": platform}
        log.info("merchant %s, %s: active: what it was held for is over", merchant_id, platform, extra=more)


def _tell(merchant_id: int, platform: str, state: DestinationState) -> None:
    more = {"kind": f"destination_{state.value}", "merchant_id": merchant_id, "platform": platform}
    log.info("merchant %s, %s: %s by somebody", merchant_id, platform, state.value, extra=more)


def remove_destination(runtime: Runtime, merchant_id: int, platform: str) -> Changed | list[Problem]:
    """Takes no more events; what waits is dropped as DESTINATION_REMOVED by the next sweeps. The row, as it was.

    Its secrets are forgotten.
    """
    with holders_change(runtime, merchant_id), in_transaction():
        row = db.lock_destination(merchant_id, platform)
        if row is None:
            return [NOT_FOUND]
        db.remove_destination(merchant_id, platform, runtime.clock.now())
        return Changed(row)


def sandbox_destinations(runtime: Runtime, merchant_id: int, platforms: Sequence[str]) -> list[str]:
    """Gives a merchant a destination with invented settings on each platform where it has none; which those are."""
    created = []
    for platform in platforms:
        with in_transaction():
            missing = db.destination(merchant_id, platform) is None
        if missing:
            example = example_settings(mapper_for(platform))
            set_destination(runtime, merchant_id, platform, example, None)
            created.append(platform)
    return created


def example_settings(mapper: Mapper) -> dict[str, Any]:
    """Well-formed, invented settings: what is required, the default country, and whichever of alternatives is named."""
    examples = {setting.name: setting.example for setting in mapper.settings if setting.example is not None}
    chosen = {s.name: s.example for s in mapper.settings if s.required or s.name == "default_country"}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    for _ in examples:
        named = [problem.field[-1] for problem in check_settings(mapper, chosen)]
        missing = [name for name in named if name in examples and name not in chosen]
        if not missing:
            break
        chosen[missing[0]] = examples[missing[0]]
    return chosen


def is_invented(row: DestinationRow | Seen) -> bool:
    """Whether a destination still names an account that ``sandbox_destinations`` invented. Costs next to nothing."""
    return any(row.settings.get(name) == value for name, value in invented_settings(row.platform).items())


@cache
def invented_settings(platform: str) -> dict[str, Any]:
    """Of the settings that ``sandbox_destinations`` gives, those that name an account, which is nobody's."""
    mapper = mapper_for(platform)
    plain, _ = split_settings(mapper, example_settings(mapper))
    return {name: value for name, value in plain.items() if name != "default_country"}


def invented_destinations() -> int:
    """How many there are of any merchant, of those that were not removed. It looks at all of them."""
    with in_transaction():
        return db.count_with_any_setting({platform: invented_settings(platform) for platform in PLATFORMS})


@cache
def demands(platform: str) -> dict[str, str]:
    """What a platform demands besides what is required, as it may be left out where others stand in its place.

    Name of the setting -> the sentence that says so.
    """
    mapper = mapper_for(platform)
    required = {setting.name: setting.example for setting in mapper.settings if setting.required}
    # What it says of these very settings, behind the colon, is no part of the rule.
    return {
        problem.field[-1]: problem.message.partition(": ")[0].rstrip(".") + "."
        for problem in check_settings(mapper, required)
    }


def _get(merchant_id: int, platform: str) -> DestinationRow:
    row = db.destination(merchant_id, platform)
    assert row is not None
    return row
