"""The API behind two doors: one with plans, and one that leaves everything to the stock executor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest

from tracklayer.runtime import Runtime
from tracklayer.schema import checked, schema
from tracklayer.schema.compiled.plans import Plans
from tracklayer.schema.http import GraphQLDoor
from tracklayer.services.follow import AlertHub

# Of a module that executes operations which fail: graphql-core itself drops coroutines where a neighbour failed at once.
DROPS_COROUTINES = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("dropped_coroutines"),
]


@dataclass
class Doors:
    """``plain`` has no plans; ``compiled`` has those of ``plans``."""

    plans: Plans
    plain: httpx.AsyncClient
    compiled: httpx.AsyncClient


@asynccontextmanager
async def doors(runtime: Runtime) -> AsyncIterator[Doors]:
    # Generated operations ask for more than one may ask for in a time.
    runtime.settings = replace(runtime.settings, read_cost_per_second=0, requests_per_second=0)
    plans = Plans(schema, checked)
    hub, closing = AlertHub(runtime), asyncio.Event()
    made = [GraphQLDoor(runtime, lambda wake: None, hub, closing, given) for given in (None, plans)]
    plain, compiled = (
        httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://tracklayer") for door in made
    )
    async with plain, compiled:
        yield Doors(plans, plain, compiled)
    for door in made:
        await door.close()
