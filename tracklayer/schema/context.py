"""What a resolver gets: who asks, with what rights, and the loaders of this one operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.responses import Response
from strawberry import Info

from tracklayer.actors import Wake
from tracklayer.db.connection import bounded_read, run_in_db_thread
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.models import MerchantRow
from tracklayer.runtime import Runtime
from tracklayer.schema.loaders import Loaders
from tracklayer.services.intake import Intake
from tracklayer.services.merchants import authenticate, recently_authenticated

P = ParamSpec("P")
T = TypeVar("T")

UNAUTHENTICATED = "UNAUTHENTICATED"
FORBIDDEN = "FORBIDDEN"
_NO_KEY = "Send your API key: Authorization: Bearer tl_..."
_BAD_KEY = "This API key is unknown or was revoked."


class Context:
    """One HTTP request. The key is looked up when the first field asks who it is, and once."""

    def __init__(
        self, runtime: Runtime, intake: Intake, wake: Wake, request: HTTPConnection, response: Response | None
    ) -> None:
        self.runtime = runtime
        self.intake = intake
        self.wake = wake
        self.request = request
        self.response = response
        self.loaders = Loaders(runtime)
        self.now = runtime.clock.now()
        self._holder: KeyHolder | None = None
        self._lookup: asyncio.Task[KeyHolder | None] | None = None

    async def caller(self, scope: str) -> KeyHolder:
        """The merchant that asks. Raises a GraphQLError without a good key, or with one that lacks ``scope``."""
        holder = self._holder or await self._found()
        if scope not in holder.scopes and "admin" not in holder.scopes:
            message = f"This API key lacks the scope {scope.upper()}."
            raise GraphQLError(message, extensions={"code": FORBIDDEN})
        return holder

    async def merchant(self) -> MerchantRow:
        """The caller's own merchant, read once an operation."""
        return await self.loaders.merchant.load(self.loaders.merchant_id)

    async def retention(self) -> timedelta:
        return timedelta(days=(await self.merchant()).retention_days)

    async def _found(self) -> KeyHolder:
        kind, _, key = self.request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise GraphQLError(_NO_KEY, extensions={"code": UNAUTHENTICATED})
        holder = recently_authenticated(self.runtime, key.strip())
        if holder is None:
            if self._lookup is None:  # one look-up, however many fields ask at once
                self._lookup = asyncio.create_task(run_in_db_thread(authenticate, self.runtime, key.strip()))
            holder = await self._lookup
        if holder is None:
            raise GraphQLError(_BAD_KEY, extensions={"code": UNAUTHENTICATED})
        self._holder, self.loaders.merchant_id = holder, holder.merchant_id
        return holder


def context_of(info: Info) -> Context:
    found: Context = info.context
    return found


async def read(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A query in a thread, with an end: no filter may keep the database busy for longer than a few seconds."""

    def bounded() -> T:
        with bounded_read():
            return function(*args, **kwargs)

    return await run_in_db_thread(bounded)
