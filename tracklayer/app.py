"""The API process: mounts the GraphQL door and the health pages on one Starlette application.

What it answers before it has found its database is here, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial

from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tracklayer import metrics
from tracklayer.actors import Wake
from tracklayer.db.connection import DatabaseAwayError, run_in_db_thread
from tracklayer.domain.site import Site
from tracklayer.domain.trouble import Trouble
from tracklayer.domain.wire import API, API_PATHS, RETRY_AFTER_SECONDS
from tracklayer.request_id import HEADER, STATUS, identified
from tracklayer.runtime import Runtime, spare_collector
from tracklayer.schema import checked, schema
from tracklayer.schema.compiled.plans import Plans
from tracklayer.schema.errors import worded
from tracklayer.schema.http import TELL_COST, GraphQLDoor
from tracklayer.services.alone import tell_fault
from tracklayer.services.follow import AlertHub
from tracklayer.services.turned_away import write_turned_away
from tracklayer.settings import Settings
from tracklayer.tracing import BEGAN, EVENTS
from tracklayer.web.collector import CollectorDoor
from tracklayer.web.dashboard import dashboard_routes
from tracklayer.web.docs import docs_routes
from tracklayer.web.graphiql import WithGraphiQL, graphiql_routes
from tracklayer.web.health import Waiting, health_routes, waiting_routes
from tracklayer.web.hosts import is_collectors, is_loopback
from tracklayer.web.metrics import metrics_route
from tracklayer.web.session import session_routes
from tracklayer.web.well_known import well_known_routes

# Objects: requests in hand hold hardly a cycle, and what holds much is counted in bytes (``schema.http``, COLLECT_BYTES), so the
# collector need not look after every few hundred.
GC_THRESHOLD = 50_000
COLLECTED = ("/t", "/tl.js")
NOTHING_HERE = PlainTextResponse("Not found\n", 404, {"cache-control": "no-store"})
WRITE_SECONDS = 5.0  # between two times that refused requests are written down
MEASURE_SECONDS = 0.5  # between two looks at the event loop
PREFLIGHT_SECONDS = 600  # how long a browser may remember what another origin is allowed


class Application(Starlette):
    """Starlette, but the paths that are asked thousands of times a second go straight to their doors."""

    graphql: ASGIApp  # the door, and around it whatever stands before it
    door: GraphQLDoor
    collector: CollectorDoor
    collector_hosts: Sequence[str] = ()  # names under which nothing but the collector is served
    asked: metrics.Requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
        elif scope["type"] != "http":
            await self._serve(scope, receive, identified(scope, send))
        else:
            self.asked.in_flight += 1
            answered = partial(self.asked.answered, scope["path"], time.perf_counter())
            try:
                await self._serve(scope, receive, identified(scope, send, answered))
            finally:
                if STATUS not in scope:  # its client left before an answer began
                    self.asked.in_flight -= 1

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.collector_hosts and is_collectors(scope, self.collector_hosts, self.state.site):
            if scope["type"] == "http":
                is_known = scope["path"] in COLLECTED
                await (self.collector if is_known else NOTHING_HERE)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and scope["path"] == API and scope["method"] == "POST":
            tracer = self.door.house.runtime.tracer
            if tracer is None:
                await self.graphql(scope, receive, send)
            else:
                scope[BEGAN] = time.time_ns()
                await self.graphql(scope, receive, send)
                if EVENTS in scope:
                    tracer.answered(scope)
        elif scope["type"] == "http" and scope["path"] in COLLECTED and self._collects_here(scope):
            await self.collector(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def write_metrics(self) -> None:
        """Adds what was counted on the event loop to what the operator's Prometheus reads."""
        self.asked.write()
        metrics.EVENTS_WAITING.set(self.door.house.intake.events)
        metrics.STORES.write()
        metrics.sample()

    def _collects_here(self, scope: Scope) -> bool:
        """Under any name; where the collector has its own, only this machine's besides, for a trial."""
        return not self.collector_hosts or is_loopback(scope)


def build_app(runtime: Runtime, wake: Wake, troubles: Callable[[], Sequence[Trouble]] = tuple) -> Application:
    """The whole of what this process serves. ``wake`` is called after each commit that gives workers something. ``troubles``: what is
    wrong with the installation, as this process knows now.

    Whoever runs it sets ``app.state.ending`` when it is to end, so that proxies send nothing new, and the event
    ``app.state.closing`` before it waits for open connections to end.
    """

    hub, closing = AlertHub(runtime), asyncio.Event()
    door = GraphQLDoor(runtime, wake, hub, closing, Plans(schema, checked))

    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        spare_collector(GC_THRESHOLD)
        if door.house.standby is not None:
            door.house.standby.watch()
        measuring = asyncio.create_task(_measure(app))
        writing = asyncio.create_task(_write_turned_away(runtime))
        try:
            async with hub.running():
                yield
            await door.close()
            await _written(runtime)
        finally:
            measuring.cancel()
            writing.cancel()
            app.write_metrics()

    graphql: ASGIApp = door
    if runtime.settings.allowed_origins:
        graphql = CORSMiddleware(
            door,
            allow_origins=runtime.settings.allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "content-encoding", TELL_COST.decode(), HEADER.decode()],
            expose_headers=["retry-after", HEADER.decode()],
            max_age=PREFLIGHT_SECONDS,
        )

    browsed = WithGraphiQL(graphql)
    app = Application(
        routes=[
            WebSocketRoute(API, graphql, name="graphql live"),
            *(
                Route(path, browsed, name="graphql") for path in API_PATHS
            ),  # of any method: the door says which it takes
            Route("/schema.graphql", _sdl, methods=["GET"], name="schema"),
            *health_routes(runtime, lambda: door.house.intake.was_away, troubles, door.house.standby),
            metrics_route(runtime.settings.metrics_token, runtime.settings.public_url),
            *well_known_routes(runtime),
            *docs_routes(),
            *session_routes(runtime),
            *dashboard_routes(),
            *graphiql_routes(),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # Starlette sends to whatever host the request names
    app.router.default = partial(_without_slash, app.router.default, app.routes)
    app.collector, app.collector_hosts = CollectorDoor(runtime), runtime.settings.collector_hosts
    app.door, app.graphql, app.state.closing, app.state.hub = door, graphql, closing, hub
    app.asked = metrics.Requests()
    app.state.ending = False
    app.state.count_refused = door.count_unread  # whom the server asks that refuses what it cannot hand on
    app.state.keep_answer = door.bodies.keep_answer  # and tells what is not read of answers
    app.state.site = Site.at(runtime.settings.public_url)
    return app


async def _without_slash(
    default: ASGIApp, routes: Sequence[BaseRoute], scope: Scope, receive: Receive, send: Send
) -> None:
    """A path with a slash behind it is sent to the one without, where there is such: on the same host."""
    if scope["type"] == "http" and scope["path"].endswith("/"):
        path = scope["path"].rstrip("/")
        if path and not path.startswith("//"):  # which would be a host
            bare = {**scope, "path": path}
            if any(route.matches(bare)[0] is not Match.NONE for route in routes):
                query = scope["query_string"].decode("latin-1")
                await RedirectResponse(f"{path}?{query}" if query else path)(scope, receive, send)
                return
    await default(scope, receive, send)


async def _measure(app: Application) -> None:
    """Looks twice a second how late the event loop is, until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + MEASURE_SECONDS
        await asyncio.sleep(MEASURE_SECONDS)
        metrics.LOOP_LAG.observe(max(0.0, loop.time() - due))
        app.write_metrics()


async def _write_turned_away(runtime: Runtime) -> None:
    """Writes down once in a while what was refused with whole requests, until it is cancelled."""
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        await _written(runtime)


async def _written(runtime: Runtime) -> None:
    if not runtime.counting.turned_away.has_any:
        return
    try:
        await run_in_db_thread(write_turned_away, runtime)
    except DatabaseAwayError:
        pass  # what was counted waits for the next time
    except Exception as error:  # noqa: BLE001 - counting goes on, whatever is wrong with it
        tell_fault(runtime, "counting requests that were refused", error)


def build_waiting_app(waiting: Waiting, settings: Settings) -> Starlette:
    """What a process answers that has not found its database yet: that it is alive, and to all else to come again."""
    error = worded(GraphQLError("", original_error=DatabaseAwayError()))
    away = JSONResponse({"data": None, "errors": [error.formatted]}, 503, {"retry-after": str(RETRY_AFTER_SECONDS)})
    app = Starlette(
        routes=[*waiting_routes(waiting), metrics_route(settings.metrics_token, settings.public_url), Mount("/", away)]
    )
    app.state.ending = False
    return app


async def _sdl(request: Request) -> Response:
    """What `tracklayer schema` prints."""
    return PlainTextResponse(_printed())


@cache
def _printed() -> str:
    """Printing takes as long as taking in fifty events, and nobody needs a key to ask for it."""
    return schema.as_str() + "\n"
