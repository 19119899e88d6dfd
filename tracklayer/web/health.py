"""``/healthz``: this process is alive. ``/readyz``: it could store what is sent now, in a database that is ours.

Before a process has found its database, ``waiting_routes`` answer: it is alive, and says what it waits for.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tracklayer import files
from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door, reads_only
from tracklayer.db.migrate import pending, unknown
from tracklayer.db.standby import Standby
from tracklayer.domain.trouble import Trouble
from tracklayer.runtime import Runtime
from tracklayer.services.keys import advice, has_a_key, look_at_keys
from tracklayer.services.soundness import invented_trouble, slow_troubles, troubles, version_trouble

LOOK_SECONDS = 2.0  # whoever asks waits no longer
SLOW_SECONDS = 10.0  # between two looks at what takes longer
KEPT_SECONDS = 0.25  # what was found, for those who ask right afterwards


def health_routes(
    runtime: Runtime,
    was_away: Callable[[], bool],
    troubles: Callable[[], Sequence[Trouble]] = tuple,
    standby: Standby | None = None,
) -> list[Route]:
    """``was_away``: whether what was to be stored a moment ago could not be. ``troubles``: of the whole installation."""
    readyz = _Readiness(runtime, was_away, troubles, standby).readyz
    return [Route("/healthz", healthz, name="healthz"), Route("/readyz", readyz, name="readyz")]


@dataclass
class Waiting:
    """``why``: one sentence, what a process waits for before it can serve."""

    why: str = "this process is starting"
    _ready: _Readiness | None = field(default=None, repr=False)

    def waits_for(self, what: str) -> None:
        self.why = f"waiting: {what}"

    def is_over(self, runtime: Runtime, troubles: Callable[[], Sequence[Trouble]]) -> None:
        """From now on what is asked is the database, for a role that takes in nothing."""
        self._ready = _Readiness(runtime, lambda: False, troubles)

    async def unready(self, request: Request) -> Response:
        return _unready(self.why)

    async def readyz(self, request: Request) -> Response:
        return await (self.unready if self._ready is None else self._ready.readyz)(request)


def waiting_routes(waiting: Waiting) -> list[Route]:
    """Of who serves the API's port meanwhile: it is never ready, as whoever it told so would send events to it."""
    return [Route("/healthz", healthz), Route("/readyz", waiting.unready)]


def role_routes(waiting: Waiting) -> list[Route]:
    """Of a role's own port, beside whatever it does."""
    return [Route("/healthz", healthz), Route("/readyz", waiting.readyz)]


async def healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _unready(why: str, **more: object) -> Response:
    return JSONResponse({"ready": False, "why": why, **more}, 503, {"retry-after": "5"})


@dataclass(frozen=True)
class _Found:
    why: str | None = None
    warnings: list[str] = field(default_factory=list)
    more: dict[str, object] = field(default_factory=dict)


@dataclass
class _Readiness:
    """One look at a time, whoever asks and however often: it needs no key, and takes a thread that others wait for."""

    runtime: Runtime
    was_away: Callable[[], bool]
    amiss: Callable[[], Sequence[Trouble]]
    standby: Standby | None = None
    _looking: asyncio.Future[_Found] | None = None
    _looked_at: float = -math.inf
    _slow: list[str] = field(default_factory=list)
    _slow_due: float = -math.inf
    _lacks: str | None = None

    async def readyz(self, request: Request) -> Response:
        """503 with ``why``, or 200; ``warnings`` are then what may lose events although it serves, and a standby that does not
        serve.

        ``troubles`` are what is wrong elsewhere: with no worker alive this door still takes events, and
        whoever took it out of a load balancer for that would lose some.
        """
        if request.app.state.ending:
            return _unready("this process is being ended")
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await self._found()
        except TimeoutError:
            return _unready("the database does not answer")
        except DatabaseAwayError as error:
            return _unready(files.NONE_LEFT if files.were_wanting(error) else "the database is away")
        if found.why is not None:
            return _unready(found.why, **found.more)
        if self.was_away():
            return _unready("the database could not store what was sent a moment ago")
        answer: dict[str, object] = {"ready": True}
        warnings = list(found.warnings)
        if self.standby is not None and self.standby.trouble is not None:
            warnings.append(self.standby.trouble)
        if warnings:
            answer["warnings"] = warnings
        amiss = self.amiss()
        if amiss:
            # No titles: whoever comes by may ask, and they name hosts and count merchants' destinations.
            answer["troubles"] = [{"kind": trouble.kind, "severity": trouble.severity.value} for trouble in amiss]
        return JSONResponse(answer)

    async def _found(self) -> _Found:
        now = asyncio.get_running_loop().time()
        if self._looking is None or (self._looking.done() and now - self._looked_at > KEPT_SECONDS):
            self._looking, self._looked_at = asyncio.ensure_future(ask_at_the_door(self._look)), now
            self._looking.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(self._looking)

    def _look(self) -> _Found:
        missing = pending()
        behind = version_trouble(missing, ())
        if behind is not None:
            return _Found(behind.sentence, more={"pending": missing})
        if reads_only():
            return _Found("the database only reads: it is a standby, or was set to read only")
        if not has_a_key(self.runtime.sealer):
            return _Found(advice(self.runtime.sealer))
        warnings = self._seen_now_and_then()
        if self._lacks is not None:
            return _Found(self._lacks)
        # A newer database is served all the same: while an upgrade goes on, old processes run on the new tables.
        newer = version_trouble((), unknown())
        found = [*([newer] if newer else []), *troubles(None, self.runtime.settings.sandbox_url)]
        return _Found(warnings=[*warnings, *(trouble.sentence for trouble in found)])

    def _seen_now_and_then(self) -> list[str]:
        """Whether this process lacks a key, or destinations wait for one that was lost, or for a sandbox, or a proxy gives its sessions away."""
        if time.monotonic() > self._slow_due:
            keys = look_at_keys(self.runtime.sealer)
            self._lacks = advice(self.runtime.sealer, others=keys.others) if keys.lost else None
            invented = invented_trouble(self.runtime.settings.sandbox_url)
            found = [*slow_troubles(self.runtime.sealer, keys), *([invented] if invented is not None else [])]
            self._slow = [trouble.sentence for trouble in found]
            self._slow_due = time.monotonic() + SLOW_SECONDS
        return self._slow
