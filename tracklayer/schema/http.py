"""GraphQL over HTTP: bodies bounded, JSON only, statuses and media types by the specification."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionResult

from tracklayer.actors import Wake
from tracklayer.runtime import Runtime
from tracklayer.schema import DATABASE_AWAY, masked, schema
from tracklayer.schema.context import UNAUTHENTICATED, Context
from tracklayer.schema.live import LiveDoor
from tracklayer.services.follow import AlertHub

MAX_BODY = 4 * 1024 * 1024  # bytes
RETRY_AFTER_SECONDS = 2
GRAPHQL_JSON = "application/graphql-response+json"


class TooLargeError(Exception):
    """The body is over the limit; what was read of it is thrown away."""


class GraphQLDoor(LiveDoor):
    """Strawberry's ASGI view with our context, our limits, and errors that never quote what was sent."""

    def __init__(self, runtime: Runtime, wake: Wake, hub: AlertHub, closing: asyncio.Event) -> None:
        super().__init__(schema, runtime.settings.public_url, closing)
        self._runtime = runtime
        self._wake = wake
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, _bounded(scope, receive), send)
        except TooLargeError:
            message = f"The body may have {MAX_BODY:,} bytes. Send fewer events at once."
            await _problem(413, message)(scope, receive, send)
        except GraphQLError as error:  # before anything was executed: a stream without a key
            answer = {"errors": [masked(error).formatted]}
            status, headers = _status(answer, False)
            await JSONResponse(answer, status, headers)(scope, receive, send)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        answer = response if isinstance(response, Response) else None
        return Context(self._runtime, self._wake, self._hub, request, answer)

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> Any:
        data: Any = await super().parse_http_body(request)
        if data.variables is not None and not isinstance(data.variables, dict):
            raise HTTPException(400, "variables must be an object")
        return data

    def decode_json(self, data: str | bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            # Its message ends with a position; its text would be kept in a trace.
            raise HTTPException(400, "The body is not JSON") from error

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = await super().get_sub_response(request)
        if GRAPHQL_JSON in request.headers.get("accept", ""):
            response.headers["content-type"] = GRAPHQL_JSON
        return response

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [masked(error).formatted for error in result.errors]
            if result.data is None and all(error.path is None for error in result.errors):
                del answer["data"]  # it was never executed
        return answer  # type: ignore[return-value]

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        status, headers = _status(response_data, sub_response.headers.get("content-type") == GRAPHQL_JSON)
        media_type = sub_response.headers.get("content-type", "application/json")
        return Response(self.encode_json(response_data), status, headers, f"{media_type}; charset=utf-8")


def _status(answer: Any, strict: bool) -> tuple[int, dict[str, str]]:
    codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}
    if DATABASE_AWAY in codes:
        return 503, {"retry-after": str(RETRY_AFTER_SECONDS)}
    if UNAUTHENTICATED in codes:
        return 401, {"www-authenticate": "Bearer"}
    if "data" not in answer and strict:
        return 400, {}
    return 200, {}


def _bounded(scope: Scope, receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise TooLargeError
        return message

    return counted if scope["type"] == "http" else receive


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status)
