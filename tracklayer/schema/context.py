"""What a resolver gets: who asks, with what rights, and the loaders of this one operation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope
from strawberry import Info

from tracklayer.actors import Wake
from tracklayer.db.connection import bounded_read, run_for_merchant
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.models import MerchantRow
from tracklayer.db.standby import Standby, read_for_merchant, reading_from
from tracklayer.domain.address import caller_at
from tracklayer.runtime import Runtime
from tracklayer.schema import errors
from tracklayer.schema.access import Scopes
from tracklayer.schema.bodies import Bodies
from tracklayer.schema.compiled.plans import Plans
from tracklayer.schema.cost import MAX_COST, Measured
from tracklayer.schema.keys import NO_KEY, Keys
from tracklayer.schema.limits import Limits
from tracklayer.schema.loaders import Loaders
from tracklayer.services.follow import AlertHub
from tracklayer.services.intake import Intake

P = ParamSpec("P")
T = TypeVar("T")

_SENDERS = frozenset({"ingest"})
_AS_EVER = nullcontext()
MAX_OF_A_KEY = 2_000  # sockets of one key in this process, and as many subscriptions


class Present:
    """How many are there at a time, by key."""

    def __init__(self, most: int = MAX_OF_A_KEY) -> None:
        self._most = most
        self._there: Counter[Hashable] = Counter()

    def enter(self, key: Hashable) -> bool:
        """False where there are as many as there may be; otherwise whoever entered leaves."""
        if self._there[key] >= self._most:
            return False
        self._there[key] += 1
        return True

    def leave(self, key: Hashable) -> None:
        self._there[key] -= 1
        if not self._there[key]:
            del self._there[key]


class House:
    """What all operations of a process share. ``plans`` of None: nothing is compiled."""

    __slots__ = (
        "bodies",
        "hub",
        "intake",
        "keys",
        "limits",
        "plans",
        "runtime",
        "sockets",
        "standby",
        "subscriptions",
        "wake",
    )

    def __init__(
        self,
        runtime: Runtime,
        intake: Intake,
        wake: Wake,
        hub: AlertHub,
        keys: Keys,
        limits: Limits,
        bodies: Bodies,
        plans: Plans | None,
    ) -> None:
        self.runtime = runtime
        self.intake = intake
        self.wake = wake
        self.hub = hub
        self.keys = keys
        self.limits = limits
        self.bodies = bodies
        self.plans = plans
        url = runtime.settings.read_database_url
        self.standby = Standby(str(url), runtime.settings.read_lag) if url is not None else None
        self.sockets = Present()
        self.subscriptions = Present()

    def admit(self, holder: KeyHolder, cost: int) -> None:
        """Counts an operation that does more than take events in. Raises GraphQLError where it has to wait."""
        self.bodies.admit_answer(holder.merchant_id)
        self.limits.admit(holder, cost)


class Context:
    """One operation. ``holder``: whose key came with it; None for a stranger."""

    def __init__(
        self, house: House, request: HTTPConnection, response: Response | None, holder: KeyHolder | None
    ) -> None:
        self.house = house
        self.runtime = house.runtime
        self.intake = house.intake
        self.wake = house.wake
        self.hub = house.hub
        self.request = request
        self.response = response
        self.holder = holder
        self.connection_params: dict[str, Any] | None = None  # what came with connection_init on a WebSocket
        self.loaders = Loaders(house.runtime)
        if holder is not None:
            self.loaders.merchant_id = holder.merchant_id
        self.is_stream = False  # whether more than one answer can follow
        self.cost: int | None = None  # of the operation, once it is measured
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The same for every field of one answer."""
        if self._now is None:
            self._now = self.runtime.clock.now()
        return self._now

    @property
    def caller(self) -> KeyHolder:
        """The merchant that asks. Raises GraphQLError for a stranger."""
        if self.holder is None:
            raise errors.refused(NO_KEY, errors.UNAUTHENTICATED)
        return self.holder

    def require(self, scopes: Scopes) -> None:
        """Raises GraphQLError unless the caller has one of the scopes; ADMIN has them all."""
        if not scopes:
            return
        held = self.caller.scopes
        if not (held & scopes or "admin" in held):
            told = " or ".join(sorted(scope.upper() for scope in scopes))
            raise errors.refused(f"This API key lacks the scope {told}.", errors.FORBIDDEN)

    def admit(self, measured: Measured, variables: Mapping[str, Any]) -> None:
        """Before an operation is validated. Raises GraphQLError where it costs too much, or comes too often."""
        self.cost = measured.refuse_above(MAX_COST, variables)
        if self.holder is None:
            self.house.limits.admit_cost_of_stranger(self.cost)
        elif not is_free(measured.scopes):
            self.house.admit(self.holder, self.cost)

    async def of_operation(self) -> Context:
        """This context for one of the many operations of a stream: it asks anew who the caller is."""
        holder = await self.house.keys.caller(
            self.authorization(), self.request.headers.raw, address_of(self.request.scope)
        )
        fresh = Context(self.house, self.request, self.response, holder)
        fresh.connection_params = self.connection_params
        fresh.is_stream = True
        return fresh

    def reading(self, *, only_reads: bool) -> AbstractContextManager[None]:
        """Around an operation: a query reads from the standby, where there is one; of a stream, where the primary tells more
        with every answer, none does. Nothing more is read once too much that was made is not read.
        """
        if not only_reads or self.holder is None:
            return _AS_EVER
        admit = partial(self.house.bodies.admit_answer, self.holder.merchant_id)
        return reading_from(None if self.is_stream else self.house.standby, admit)

    async def paid_for(self) -> bool:
        """Before a change is told: counts what is read for it besides the alert itself, once that of those before it is paid for.
        Whether that had to be waited for.
        """
        has_waited = False
        if (beside := (self.cost or 0) - 1) > 0:
            limits, holder = self.house.limits, self.caller
            wait = limits.seconds_owed(holder)
            while wait:  # until it is over, others may have read more
                await asyncio.sleep(wait)
                has_waited = True
                wait = limits.seconds_owed(holder)
            limits.count_read(holder, beside)
        return has_waited

    def renew(self) -> None:
        """For the next event of a subscription: nothing that was read for the one before is kept."""
        merchant_id, self.loaders = self.loaders.merchant_id, Loaders(self.runtime)
        self.loaders.merchant_id = merchant_id
        self._now = None

    async def merchant(self) -> MerchantRow:
        """The caller's own merchant, read once an operation."""
        return await self.loaders.merchant.load(self.loaders.merchant_id)

    async def retention(self) -> timedelta:
        return timedelta(days=(await self.merchant()).retention_days)

    def authorization(self) -> str:
        """As the connection's parameters say, else as the header does: a browser's WebSocket has no headers."""
        if self.connection_params:
            for name, value in self.connection_params.items():
                if name.lower() == "authorization" and isinstance(value, str):
                    return value
        return self.request.headers.get("authorization", "")


def address_of(scope: Scope) -> str:
    """Where a request came from, as its requests are counted; the address of a proxy that tells no better."""
    client = scope.get("client")
    return caller_at(client[0]) if client else ""


def is_free(scopes: tuple[Scopes, ...]) -> bool:
    """Whether an operation takes events in and reads nothing but what their sender may see."""
    return _SENDERS in scopes and all(not needed or "ingest" in needed for needed in scopes)


def may(holder: KeyHolder, scopes: tuple[Scopes, ...]) -> bool:
    """Whether a key may see all that an operation asks for."""
    held = holder.scopes
    return "admin" in held or all(not needed or held & needed for needed in scopes)


def context_of(info: Info) -> Context:
    found: Context = info.context
    return found


async def read(function: Callable[Concatenate[int, P], T], merchant_id: int, *args: P.args, **kwargs: P.kwargs) -> T:
    """A query of a merchant in a thread, with an end: no filter may keep the database busy for more than some seconds."""

    def bounded(merchant_id: int) -> T:
        with bounded_read():
            return function(merchant_id, *args, **kwargs)

    return await read_for_merchant(bounded, merchant_id)


async def work(context: Context, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What keeps the interpreter busy for long, in a thread: of one merchant a few at a time, and nobody waits behind it."""

    def done(merchant_id: int) -> T:
        return function(*args, **kwargs)

    return await run_for_merchant(done, context.caller.merchant_id)


def told_cost(context: Context) -> dict[str, Any]:
    """What ``extensions.cost`` says of an operation, in objects."""
    limits = context.house.limits
    told: dict[str, Any] = {"cost": context.cost, "limit": MAX_COST}
    if context.holder is not None and limits.reads.rate:
        told["available"] = int(limits.reads.left(context.holder.merchant_id, limits.now()))
        told["restoredPerSecond"] = int(limits.reads.rate)
    return told
