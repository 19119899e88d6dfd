"""The API process: mounts the GraphQL door and the health pages on one Starlette application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from tracklayer.actors import Wake
from tracklayer.runtime import Runtime, spare_collector
from tracklayer.schema import checked, schema
from tracklayer.schema.compiled.plans import Plans
from tracklayer.schema.http import GraphQLDoor
from tracklayer.services.follow import AlertHub
from tracklayer.web.docs import docs_routes
from tracklayer.web.health import health_routes
from tracklayer.web.start import start_routes

# Objects: requests in hand hold hardly a cycle, so the collector need not look after every few hundred.
GC_THRESHOLD = 50_000


class Application(Starlette):
    """Starlette, but the one path that is asked thousands of times a second goes straight to its door."""

    door: GraphQLDoor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/graphql" and scope["method"] == "POST":
            await self.door(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build_app(runtime: Runtime, wake: Wake) -> Application:
    """The whole of what this process serves. ``wake`` is called after each commit that gives workers something.

    Whoever runs it sets the event ``app.state.closing`` before it waits for open connections to end.
    """

    hub, closing = AlertHub(runtime), asyncio.Event()
    door = GraphQLDoor(runtime, wake, hub, closing, Plans(schema, checked))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        spare_collector(GC_THRESHOLD)
        async with hub.running():
            yield
        await door.close()

    app = Application(
        routes=[
            WebSocketRoute("/graphql", door, name="graphql live"),
            Route("/graphql", door, methods=["GET", "POST"], name="graphql"),
            Route("/graphql/", door, methods=["GET", "POST"], include_in_schema=False),
            *health_routes(runtime),
            *docs_routes(),
            *start_routes(runtime),
        ],
        lifespan=lifespan,
    )
    app.door, app.state.closing, app.state.hub = door, closing, hub
    return app
