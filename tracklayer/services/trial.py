"""Sends one event to a destination in the platform's own test mode, and tells what came of it. Stores nothing.

A platform may take half a minute to answer, or not to: a trial has a thread of its own, and a connection to the database
only for as long as it reads.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tracklayer.db import destinations as db
from tracklayer.db.connection import session
from tracklayer.domain.delivery import BatchRejected, Claim, DeliveryKey, LoggedAttempt
from tracklayer.domain.problem import Problem
from tracklayer.domain.read_event import read_event
from tracklayer.domain.retry import judge_attempt
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped, Mapper, RuleVerdict
from tracklayer.mappers.outgoing import map_event, show_event
from tracklayer.runtime import Runtime
from tracklayer.services.credentials import settings_to_map
from tracklayer.services.destinations import NOT_FOUND, is_invented
from tracklayer.services.explain import Explained, explain
from tracklayer.services.platform_requests import read_verdict, retry_policy
from tracklayer.services.preview import as_json
from tracklayer.services.transport import send

T = TypeVar("T")
AT_ONCE = 8  # trials in a process,
OF_ONE = 2  # and of one merchant: whoever has a person wait for the answer asks for no more


INVENTED = (
    "{platform} has the invented settings of `tracklayer up --sandbox`, and this would go to the real platform: set real "
    "settings, or TRACKLAYER_SANDBOX_URL to the sandbox's address that `up` printed."
)


class TooManyTrialsError(Exception):
    """As many as may be are under way. Nothing was sent: ask again when one of them has ended."""


@dataclass(frozen=True)
class Tried:
    """``request``: as sent, without credentials. ``explanation``: of a refusal, or of a note. ``verdicts``: the rules it was held against.

    Where it was not sent at all, ``attempt`` and ``request`` are None, and ``problems`` say why.
    """

    attempt: LoggedAttempt | None
    request: dict[str, Any] | None
    explanation: Explained | None
    verdicts: tuple[RuleVerdict, ...]
    problems: tuple[Problem, ...] = ()


async def run_trial(runtime: Runtime, merchant_id: int, platform: str, draft: Any) -> Tried | list[Problem]:
    """``try_destination`` in a thread of its own. Raises TooManyTrialsError at once where there is no place for it."""
    return await run_beside(lambda: try_destination(runtime, merchant_id, platform, draft), merchant_id)


async def run_beside(function: Callable[[], T], merchant_id: int) -> T:
    """What waits for somebody outside, in a thread of its own. Raises TooManyTrialsError where there is no place for it."""
    _enter(merchant_id)
    tried: Future[T] = Future()

    def work() -> None:
        try:
            try:
                found = function()
            finally:
                _leave(merchant_id)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            tried.set_exception(error)
        else:
            tried.set_result(found)

    try:
        # A daemon: a process that ends does not wait for a platform.
        threading.Thread(target=work, name="trial", daemon=True).start()
    except BaseException:
        _leave(merchant_id)
        raise
    working = asyncio.wrap_future(tried)
    working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody may be there to hear of it
    # Whoever leaves does not end the request: its place is free when the thread is.
    return await asyncio.shield(working)


_lock = threading.Lock()
_under_way: Counter[int] = Counter()  # by merchant


def _enter(merchant_id: int) -> None:
    with _lock:
        if _under_way.total() >= AT_ONCE or _under_way[merchant_id] >= OF_ONE:
            raise TooManyTrialsError
        _under_way[merchant_id] += 1


def _leave(merchant_id: int) -> None:
    with _lock:
        _under_way[merchant_id] -= 1
        if not _under_way[merchant_id]:
            del _under_way[merchant_id]


def try_destination(runtime: Runtime, merchant_id: int, platform: str, draft: Any) -> Tried | list[Problem]:
    """One request in test mode with ``draft``, or with an invented event where it is None.

    Refuses where the platform has no test mode, where the destination lacks what that mode needs, and where its settings are
    invented and there is no sandbox. An event that would
    not be sent at all is told with its verdicts.
    """
    mapper = mapper_for(platform)
    with session():
        row = db.destination(merchant_id, platform)
    if row is None:
        return [NOT_FOUND]
    if runtime.settings.sandbox_url is None and is_invented(row):
        return [Problem(("platform",), "SETTINGS_INVENTED", INVENTED.format(platform=platform))]
    settings = _in_test_mode(mapper, settings_to_map(runtime.sealer, row))
    if isinstance(settings, Problem):
        return [settings]
    now = runtime.clock.now()
    country = settings.get("default_country")
    sample = draft if draft is not None else _sample(mapper, now.isoformat())
    read = read_event(sample, now, frozenset({country} if isinstance(country, str) else ()))
    if isinstance(read, list):
        return [problem.under("input") for problem in read]
    look = show_event if draft is not None else map_event  # of the invented one nobody misses anything
    mapped = look(mapper, read.event, settings, now)
    if not isinstance(mapped, Mapped):
        field = ("input", *mapped.field.split(".")) if mapped.field else ("input",)
        message = f"{mapper.title} would not get this event: {mapped.message}."
        problem = Problem(field, mapped.reason.name, message)
        explained = explain(platform, None, mapped.reason)
        if explained is not None and mapped.field is not None:
            explained = replace(explained, field=mapped.field)
        return Tried(None, None, explained, mapped.verdicts, (problem,))
    if mapped.not_before is not None and mapped.not_before > now:
        message = f"{mapper.title} would get this event when its time has come: send one that has happened."
        problem = Problem(("input", "occurred_at"), "TIME_IN_FUTURE", message)
        return Tried(None, None, None, mapped.verdicts, (problem,))
    request = mapper.build_request(mapped.group, [mapped.item], settings)
    with runtime.new_http() as http:
        reply = send(http, platform, request, runtime.settings.sandbox_url, runtime.tokens)
    verdict = read_verdict(mapper, reply, 1)
    outcome = verdict.rejected if isinstance(verdict, BatchRejected) else verdict[0]
    policy = retry_policy(runtime)
    claim = Claim(DeliveryKey(merchant_id, read.event.event_id, platform), 0, now, now, now + policy.window)
    ended = runtime.clock.now()
    health = db.health_of(row)
    settled = judge_attempt(claim, outcome, started_at=now, now=ended, policy=policy, jitter=0, health=health)
    assert settled.logged is not None
    return Tried(settled.logged, as_json(request), explain(platform, settled.logged.code), mapped.verdicts)


def _in_test_mode(mapper: Mapper, settings: Mapping[str, Any]) -> dict[str, Any] | Problem:
    if not mapper.supports_test_events:
        message = f"{mapper.title} has no test mode. {mapper.instead_of_test}"
        return Problem(("platform",), "NO_TEST_MODE", message.strip())
    for name, value in mapper.test_mode.items():
        if value is None and not settings.get(name):
            label = next(setting.label for setting in mapper.settings if setting.name == name)
            message = f"{label} ({name}) must be set on the destination first: {mapper.title} needs it for test events."
            return Problem(("platform",), "TEST_SETTING_MISSING", message)
    return {**settings, **{name: value for name, value in mapper.test_mode.items() if value is not None}}


def _sample(mapper: Mapper, now: str) -> dict[str, Any]:
    """An invented purchase, or the platform's first event, that any platform could match to somebody."""
    name = "Purchase" if "Purchase" in mapper.event_names or not mapper.event_names else next(iter(mapper.event_names))
    return {
        "event_name": name,
        "event_id": f"tracklayer_test_{secrets.token_hex(6)}",
        "occurred_at": now,
        "action_source": "website",
        "event_source_url": "https://www.example.com/tracklayer-test",
        "user_data": {
            "email": "tracklayer-test@example.com",
            "client_ip": "203.0.113.42",
            "client_user_agent": "Mozilla/5.0 (TrackLayer test event)",
            "ga_client_id": "1234567890.1713877200",
        },
        "custom_data": {"value": 1, "currency": "USD", "order_id": "tracklayer_test"},
    }
