"""What a resolver gets: who asks, with what rights, and the loaders of this one operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

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
from tracklayer.services.follow import AlertHub
from tracklayer.services.intake import Intake
from tracklayer.services.merchants import authenticate, recently_authenticated

P = ParamSpec("P")
T = TypeVar("T")

UNAUTHENTICATED = "UNAUTHENTICATED"
FORBIDDEN = "FORBIDDEN"
NO_KEY = "Send your API key: Authorization: Bearer tl_..."
BAD_KEY = "This API key is unknown or was revoked."


class Context:
    """One operation. The key is looked up when the first field asks who it is, and once."""

    def __init__(
        self,
        runtime: Runtime,
        intake: Intake,
        wake: Wake,
        hub: AlertHub,
        request: HTTPConnection,
        response: Response | None,
        authorization: str | None = None,
    ) -> None:
        """``authorization``: the header, where whoever makes this has read it."""
        self.runtime = runtime
        self.intake = intake
        self.wake = wake
        self.hub = hub
        self.request = request
        self.response = response
        self._given_authorization = authorization
        self.connection_params: dict[str, Any] | None = None  # what came with connection_init on a WebSocket
        self.loaders = Loaders(runtime)
        self._now: datetime | None = None
        self._holder: KeyHolder | None = None
        self._lookup: asyncio.Task[KeyHolder | None] | None = None

    @property
    def now(self) -> datetime:
        """The same for every field of one answer."""
        if self._now is None:
            self._now = self.runtime.clock.now()
        return self._now

    def of_operation(self) -> Context:
        """This context for one of the many operations of a WebSocket: it asks anew who the caller is."""
        fresh = Context(self.runtime, self.intake, self.wake, self.hub, self.request, self.response)
        fresh.connection_params = self.connection_params
        return fresh

    def renew(self) -> None:
        """For the next event of a subscription: nothing that was read for the one before is kept."""
        merchant_id, self.loaders = self.loaders.merchant_id, Loaders(self.runtime)
        self.loaders.merchant_id = merchant_id
        self._now = None

    async def caller(self, scope: str) -> KeyHolder:
        """The merchant that asks. Raises a GraphQLError without a good key, or with one that lacks ``scope``."""
        holder = self._holder or await self.holder()
        if scope not in holder.scopes and "admin" not in holder.scopes:
            message = f"This API key lacks the scope {scope.upper()}."
            raise GraphQLError(message, extensions={"code": FORBIDDEN})
        return holder

    async def holder(self) -> KeyHolder:
        """Whose key it is, whatever it may do. Raises a GraphQLError without a good one."""
        kind, _, key = self._authorization().partition(" ")
        if kind.lower() != "bearer" or not key.strip():
            raise GraphQLError(NO_KEY, extensions={"code": UNAUTHENTICATED})
        holder = recently_authenticated(self.runtime, key.strip())
        if holder is None:
            if self._lookup is None:  # one look-up, however many fields ask at once
                self._lookup = asyncio.create_task(run_in_db_thread(authenticate, self.runtime, key.strip()))
            holder = await self._lookup
        if holder is None:
            raise GraphQLError(BAD_KEY, extensions={"code": UNAUTHENTICATED})
        self._holder, self.loaders.merchant_id = holder, holder.merchant_id
        return holder

    async def merchant(self) -> MerchantRow:
        """The caller's own merchant, read once an operation."""
        return await self.loaders.merchant.load(self.loaders.merchant_id)

    async def retention(self) -> timedelta:
        return timedelta(days=(await self.merchant()).retention_days)

    def _authorization(self) -> str:
        """As the connection's parameters say, else as the header does: a browser's WebSocket has no headers."""
        if self.connection_params:
            for name, value in self.connection_params.items():
                if name.lower() == "authorization" and isinstance(value, str):
                    return value
        if self._given_authorization is not None:
            return self._given_authorization
        return self.request.headers.get("authorization", "")


def context_of(info: Info) -> Context:
    found: Context = info.context
    return found


async def read(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A query in a thread, with an end: no filter may keep the database busy for longer than a few seconds."""

    def bounded() -> T:
        with bounded_read():
            return function(*args, **kwargs)

    return await run_in_db_thread(bounded)
