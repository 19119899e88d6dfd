"""Whose key it is: asked before anything of a request is read but its headers."""

from __future__ import annotations

import asyncio
import re

from tracklayer.db.connection import ask_at_the_door
from tracklayer.db.merchants import KeyHolder
from tracklayer.runtime import Runtime
from tracklayer.schema import errors
from tracklayer.schema.limits import Limits
from tracklayer.services.merchants import authenticate, is_known_key, recently_authenticated

NO_KEY = "Send your API key: Authorization: Bearer tl_..."
BAD_KEY = "This API key is unknown or was revoked."
_KEY = re.compile(r"tl_[A-Za-z0-9_-]{16,128}")  # anything else is no key, and no question to the database


class Keys:
    """Of one process, on its event loop. One look-up of a key at a time, however many requests bring it."""

    def __init__(self, runtime: Runtime, limits: Limits) -> None:
        self._runtime = runtime
        self._limits = limits
        self._looking_up: dict[str, asyncio.Task[KeyHolder | None]] = {}

    def at_hand(self, authorization: str) -> KeyHolder | None:
        """Whose key it is, where it was looked up a moment ago."""
        kind, _, key = authorization.partition(" ")
        return recently_authenticated(self._runtime, key.strip()) if kind.lower() == "bearer" else None

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
            holder = await self._look_up(key, address)
        if holder is None:
            raise errors.refused(BAD_KEY, errors.UNAUTHENTICATED)
        return holder

    async def _look_up(self, key: str, address: str) -> KeyHolder | None:
        task = self._looking_up.get(key)
        if task is None:
            if not is_known_key(self._runtime, key):
                self._limits.admit_unknown_key(address)
            task = asyncio.create_task(ask_at_the_door(authenticate, self._runtime, key))
            self._looking_up[key] = task
            task.add_done_callback(lambda done: self._looking_up.pop(key, None))
        # Whoever leaves must not take the answer away from the others.
        return await asyncio.shield(task)
