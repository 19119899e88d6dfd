"""GraphQL over HTTP: bodies bounded, JSON only, statuses and media types by the specification.

An operation that has a plan is answered here, straight from the body to the bytes of the answer; any other request is
handed to Strawberry's view, with the body that was read. Both give the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import ExecutionResult as CompiledResult
from graphql import GraphQLError
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http import GraphQLHTTPResponse
from strawberry.types import ExecutionResult

from tracklayer.actors import Wake
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.runtime import Runtime
from tracklayer.schema import DATABASE_AWAY, OVERLOADED, masked, schema
from tracklayer.schema.compiled import Doubt, Plans
from tracklayer.schema.context import UNAUTHENTICATED, Context
from tracklayer.schema.fair import LONG_BODY, LongRequests
from tracklayer.schema.live import LiveDoor
from tracklayer.services.follow import AlertHub
from tracklayer.services.intake import Intake, OverloadedError

MAX_BODY = 4 * 1024 * 1024  # bytes
MAX_ADMIN_BODY = 32 * 1024 * 1024  # of a key with the scope ADMIN: hundreds of thousands of ids to redeliver
RETRY_AFTER_SECONDS = 2
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = b"text/event-stream"
JSON_TYPES = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")


class TooLargeError(Exception):
    """The body is over the limit; what was read of it is thrown away."""


class GraphQLDoor(LiveDoor):
    """Strawberry's ASGI view with our context, our limits, and errors that never quote what was sent.

    ``plans`` of None: nothing is compiled, and the view answers everything.
    """

    def __init__(
        self, runtime: Runtime, wake: Wake, hub: AlertHub, closing: asyncio.Event, plans: Plans | None
    ) -> None:
        super().__init__(schema, runtime.settings.public_url, closing)
        self._runtime = runtime
        self._intake = Intake(runtime, wake)
        self._wake = wake
        self._hub = hub
        self._plans = plans
        self._long = LongRequests()

    async def close(self) -> None:
        """Stores what was taken in, before the process ends."""
        self._long.close()
        await self._intake.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _first_of_each(scope["headers"])
        if not _is_short(headers):
            receive = self._bounded(scope, receive)
        try:
            if self._plans is not None and scope["type"] == "http" and scope["method"] == "POST":
                accept = headers.get(b"accept", b"")
                if headers.get(b"content-type") in JSON_TYPES and EVENT_STREAM not in accept:
                    messages = await _read(receive)
                    if _is_long(messages):
                        self._intake.home = asyncio.get_running_loop()
                        whose = await self._whose(scope)
                        answer = partial(self._answer, self._plans, scope, headers)
                        await self._long.answer(whose, messages, answer, receive, send)
                    else:
                        await self._answer(self._plans, scope, headers, messages, receive, send)
                    return
            await super().__call__(scope, receive, send)
        except TooLargeError:
            message = f"The body may have {MAX_BODY:,} bytes. Send fewer events at once."
            await _problem(413, message)(scope, receive, send)
        except OverloadedError as error:
            problem = {"errors": [masked(GraphQLError("overloaded", original_error=error)).formatted]}
            await JSONResponse(problem, *_status(problem, False))(scope, receive, send)
        except GraphQLError as error:  # before anything was executed: a stream without a key
            problem = {"errors": [masked(error).formatted]}
            status, more = _status(problem, False)
            await JSONResponse(problem, status, more)(scope, receive, send)

    async def _answer(
        self,
        plans: Plans,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        messages: list[Message],
        receive: Receive,
        send: Send,
    ) -> None:
        """Answers a request whose body was read: by its plan, else by the view."""
        strict = GRAPHQL_JSON.encode() in headers.get(b"accept", b"")
        answer = await self._compiled(plans, scope, headers, messages)
        if isinstance(answer, bytes):
            await _send_data(send, answer, strict=strict)
        elif answer is not None:
            media_type = GRAPHQL_JSON if strict else "application/json"
            await self._response(_worded(answer), media_type, strict=strict)(scope, receive, send)
        else:
            await super().__call__(scope, _again(messages, receive), send)

    async def _whose(self, scope: Scope) -> int:
        """The merchant whose turn a long request takes; 0 for whoever has no good key."""
        try:
            return (await self._context(HTTPConnection(scope), None).holder()).merchant_id
        except (GraphQLError, DatabaseAwayError):
            return 0

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Raises TooLargeError as soon as more was read than whoever sends it may send."""
        seen, most = 0, MAX_BODY

        async def counted() -> Message:
            nonlocal seen, most
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                if most == MAX_BODY and await self._is_admin(scope):
                    most = MAX_ADMIN_BODY
                if seen > most:
                    raise TooLargeError
            return message

        return counted if scope["type"] == "http" else receive

    async def _is_admin(self, scope: Scope) -> bool:
        try:
            await self._context(HTTPConnection(scope), None).caller("admin")
        except DatabaseAwayError as error:
            raise GraphQLError("the database is away", original_error=error) from error
        except GraphQLError:
            return False
        return True

    async def _compiled(
        self, plans: Plans, scope: Scope, headers: Mapping[bytes, bytes], messages: list[Message]
    ) -> bytes | CompiledResult | None:
        """The answer of an operation that has a plan: its body, or a result with errors. None: the view decides."""
        if messages[-1]["type"] != "http.request":
            return None
        body = messages[0]["body"] if len(messages) == 1 else b"".join(m.get("body", b"") for m in messages)
        try:
            sent = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        if type(sent) is not dict or sent.get("extensions") is not None:
            return None
        query, variables, name = sent.get("query"), sent.get("variables"), sent.get("operationName")
        if type(query) is not str or not isinstance(variables, dict | None) or not isinstance(name, str | None):
            return None
        plan = plans.find(query, name)
        if plan is None:
            return None
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        context = self._context(HTTPConnection(scope), None, authorization)
        try:
            found = await plan.run(variables or {}, context)
        except Doubt:
            return None
        return self.encode_json({"data": found}) if isinstance(found, dict) else found

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        return self._context(request, response if isinstance(response, Response) else None)

    def _context(self, request: HTTPConnection, response: Response | None, authorization: str | None = None) -> Context:
        return Context(self._runtime, self._intake, self._wake, self._hub, request, response, authorization)

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
        return _worded(result)  # type: ignore[return-value]

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        media_type = sub_response.headers.get("content-type", "application/json")
        return self._response(response_data, media_type, strict=media_type == GRAPHQL_JSON)

    def _response(self, answer: Any, media_type: str, *, strict: bool) -> Response:
        status, headers = _status(answer, strict)
        return Response(self.encode_json(answer), status, headers, f"{media_type}; charset=utf-8")


_DATA_TYPES = {
    strict: f"{media_type}; charset=utf-8".encode()
    for strict, media_type in ((False, "application/json"), (True, GRAPHQL_JSON))
}


async def _send_data(send: Send, body: bytes, *, strict: bool) -> None:
    """An answer without errors, as ``Response`` would send it."""
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", _DATA_TYPES[strict])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _worded(result: ExecutionResult | CompiledResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [masked(error).formatted for error in result.errors]
        if result.data is None and all(error.path is None for error in result.errors):
            del answer["data"]  # it was never executed
    return answer


def _status(answer: Any, strict: bool) -> tuple[int, dict[str, str]]:
    codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}
    if DATABASE_AWAY in codes or OVERLOADED in codes:
        return 503, {"retry-after": str(RETRY_AFTER_SECONDS)}
    if UNAUTHENTICATED in codes:
        return 401, {"www-authenticate": "Bearer"}
    if "data" not in answer and strict:
        return 400, {}
    return 200, {}


def _is_short(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the server, which reads as many bytes as were announced, reads no more than anyone may send."""
    length = headers.get(b"content-length", b"")
    return length.isdigit() and len(length) < 10 and int(length) <= MAX_BODY and b"transfer-encoding" not in headers


def _first_of_each(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found.setdefault(name, value)
    return found


async def _read(receive: Receive) -> list[Message]:
    """The messages of a body, to its end or to where the client went away."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages


def _is_long(messages: list[Message]) -> bool:
    if len(messages) == 1:
        return len(messages[0].get("body", b"")) > LONG_BODY
    return sum(len(message.get("body", b"")) for message in messages) > LONG_BODY


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Gives out what was read already, then what follows."""
    left = iter(messages)

    async def replayed() -> Message:
        message = next(left, None)
        return message if message is not None else await receive()

    return replayed


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"errors": [{"message": message}]}, status)
