"""Whose key or session it is: asked before anything of a request is read but its headers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tracklayer.db.connection import ask_at_the_door
from tracklayer.db.merchants import KeyHolder
from tracklayer.domain.site import Headers, Site
from tracklayer.runtime import Runtime
from tracklayer.schema import errors
from tracklayer.schema.limits import Limits
from tracklayer.services.merchants import authenticate, is_known_key, recently_authenticated
from tracklayer.services.sign_in import is_known_session, likeliest, recently_signed_in, session_holder

NO_KEY = "Send your API key: Authorization: Bearer tl_..."
BAD_KEY = "This API key is unknown or was revoked."
BAD_SESSION = "You are signed out: sign in again."
_KEY = re.compile(r"tl_[A-Za-z0-9_-]{16,128}")  # anything else is no key, and no question to the database


Find = Callable[[Runtime, str], KeyHolder | None]


class Keys:
    """Of one process, on its event loop. One look-up of a key at a time, however many requests bring it."""

    def __init__(self, runtime: Runtime, limits: Limits) -> None:
        self._runtime = runtime
        self._limits = limits
        self._site = Site.at(runtime.settings.public_url)
        self._looking_up: dict[tuple[Find, str], asyncio.Task[KeyHolder | None]] = {}

    def at_hand(self, authorization: str) -> KeyHolder | None:
        """Whose key it is, where it was looked up a moment ago."""
        kind, _, key = authorization.partition(" ")
        return recently_authenticated(self._runtime, key.strip()) if kind.lower() == "bearer" else None

    async def caller(self, authorization: str, headers: Headers, address: str) -> KeyHolder | None:
        """Whose key came, or else who is signed in by a cookie that counts (``domain.site``); None where neither came.

        Raises as ``holder`` does.
        """
        # A proxy that asks for a password has the browser send it along with everything: that is no key of ours.
        is_key = authorization.partition(" ")[0].lower() == "bearer"
        sessions = [] if is_key else self._site.sessions_in(headers)
        if not sessions:
            return await self.holder(authorization, address)
        living = []
        for session in likeliest(self._runtime, sessions):
            found = recently_signed_in(self._runtime, session)
            if found is None:
                is_known = is_known_session(self._runtime, session)
                found = await self._look_up(session_holder, session, is_known, address)
            if found is not None:
                living.append(found)
        if len(living) != 1:  # of two that live, one may be somebody else's, set so that one works for him
            raise errors.refused(BAD_SESSION, errors.UNAUTHENTICATED)
        return living[0]

    async def holder(self, authorization: str, address: str) -> KeyHolder | None:
        """Whose key came from ``address``; None where none came.

        Raises GraphQLError for one that is unknown or revoked, DatabaseAwayError where nobody can tell.
        """
        kind, _, key = authorization.partition(" ")
        key = key.strip()
        if not authorization.strip():
            return None
        if kind.lower() != "bearer" or not key:
            raise errors.refused(NO_KEY, errors.UNAUTHENTICATED)
        if not _KEY.fullmatch(key):
            raise errors.refused(BAD_KEY, errors.UNAUTHENTICATED)
        holder = recently_authenticated(self._runtime, key)
        if holder is None:
            holder = await self._look_up(authenticate, key, is_known_key(self._runtime, key), address)
        if holder is None:
            raise errors.refused(BAD_KEY, errors.UNAUTHENTICATED)
        return holder

    async def _look_up(self, find: Find, sent: str, is_known: bool, address: str) -> KeyHolder | None:
        task = self._looking_up.get((find, sent))
        if task is None:
            if not is_known:
                self._limits.admit_unknown_key(address)
            task = asyncio.create_task(ask_at_the_door(find, self._runtime, sent))
            self._looking_up[find, sent] = task
            task.add_done_callback(lambda done: self._looking_up.pop((find, sent), None))
        # Whoever leaves must not take the answer away from the others.
        return await asyncio.shield(task)
