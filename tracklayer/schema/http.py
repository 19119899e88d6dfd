"""GraphQL over HTTP: who asks is known before a body is read; statuses and media types are the specification's.

An operation that has a plan is answered here, straight from the body to the bytes of the answer; any other request is
handed to Strawberry's view, with the body that was read. Both give the same answer.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from graphql import ExecutionResult as CompiledResult
from graphql import GraphQLError
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.types import ExecutionResult

from tracklayer.actors import Wake
from tracklayer.db.connection import DatabaseAwayError
from tracklayer.db.merchants import KeyHolder
from tracklayer.domain.json_text import ENDS_EARLY, read_json, write_json
from tracklayer.domain.wire import COUNTED, HOLDER, RETRY_AFTER_SECONDS, STRANGER_BODY, STREAM_BODY, query_to_api
from tracklayer.runtime import Runtime
from tracklayer.schema import errors, ids, schema
from tracklayer.schema.bodies import (
    MAX_ADMIN_BODY,
    MAX_BODY,
    ClientGoneError,
    DamagedBodyError,
    UnknownEncodingError,
    why_coded,
)
from tracklayer.schema.compiled.plans import Plans
from tracklayer.schema.context import Context, House, address_of, told_cost
from tracklayer.schema.errors import masked
from tracklayer.schema.fair import LONG_BODY, LongRequests, Renew, is_long
from tracklayer.schema.keys import Keys
from tracklayer.schema.known import ReadsError, answer_known
from tracklayer.schema.limits import build_limits
from tracklayer.schema.live import NO_QUERY, LiveDoor
from tracklayer.schema.sent import Sent, only_takes_in, refuse_many, room_of_open, takes_events_in
from tracklayer.schema.turned_away import RevokedBodies, count_answer, count_refused
from tracklayer.services.follow import AlertHub
from tracklayer.services.intake import Intake

BEING_ENDED = "This server is being ended; nothing of this request was acknowledged. Send it again."
NO_REQUEST = 'The body is no GraphQL request: send an object, {"query": ..., "variables": {...}}.'
NO_LIST = (
    "A body is one request, and no list of them: send each by itself. `ingestEvents` takes up to 1,000 events in one, and a document "
    "may hold several fields."
)
NOT_JSON = "Send JSON: Content-Type: application/json."
CUT = "Where more of it was sent, its Content-Length is too small: it counts bytes, and not characters."
UNKNOWN_ENCODING = "A body may be compressed with gzip or deflate, as its Content-Encoding says, or not at all."
DAMAGED = "The body is not what its Content-Encoding says, or ends too soon."
GRAPHQL_JSON = "application/graphql-response+json"
# What the view is done with hangs together in cycles, a body and all that was read of it. They are few objects however long
# it is, and Python's collector counts objects: after so many bytes of bodies it is called.
COLLECT_BYTES = 32 * 1024 * 1024
EVENT_STREAM = b"text/event-stream"
JSON_TYPES = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
TELL_COST = b"tracklayer-cost"  # the header that asks for extensions.cost
SENT = "tracklayer.sent"  # where a scope keeps the body that was read
CONTEXT = "tracklayer.context"  # and the context of an operation whose cost is asked for


AS_KNOWN = timedelta(seconds=1)  # for how long what was looked up of a caller stands
OF_MERCHANT = b"tracklayer-merchant"  # the header by which a page says whose data it shows
ANOTHER = "Another merchant has signed in in this browser: load the page again."


class _SlowError(Exception):
    """A long body that takes long to read: nobody is to wait for it on the event loop."""


class _Adapter(StarletteRequestAdapter):
    """Gives out the body as it was read already: no other reader than ``decode_json`` gets it."""

    async def get_body(self) -> Any:
        return self._request.scope.get(SENT) or await super().get_body()


class GraphQLDoor(LiveDoor):
    """Strawberry's ASGI view with our context, our limits, and errors that never quote what was sent.

    ``plans`` of None: nothing is compiled, and the view answers everything.
    """

    request_adapter_class = _Adapter

    def __init__(
        self, runtime: Runtime, wake: Wake, hub: AlertHub, closing: asyncio.Event, plans: Plans | None
    ) -> None:
        settings = runtime.settings
        super().__init__(schema, settings.public_url, settings.allowed_origins, closing)
        limits = build_limits(settings.read_cost_per_second, settings.requests_per_second)
        self.house = House(runtime, Intake(runtime, wake), wake, hub, Keys(runtime, limits), limits, self.bodies, plans)
        self._of_revoked = RevokedBodies(self.bodies)
        self._long = LongRequests()
        self._left_behind = 0  # bytes of bodies, since the last time that it was cleared away

    async def close(self) -> None:
        """Stores what was taken in, before the process ends."""
        self._long.close()
        await self.house.intake.close()
        if self.house.standby is not None:
            await self.house.standby.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        headers = _first_of_each(scope["headers"])
        try:
            await self._serve(scope, headers, receive, send)
        except asyncio.CancelledError:
            if not self._closing.is_set():
                raise
            ending = errors.refused(BEING_ENDED, errors.OVERLOADED, retryable=True)
            await self._refuse(ending, headers)(scope, receive, send)

    async def _serve(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        holder: KeyHolder | None = None
        sent: Sent | None = None
        try:
            holder = await self._holder(scope, headers)
            if holder is not None and holder.session is not None:
                send = _unstored(send)
            is_stream = EVENT_STREAM in headers.get(b"accept", b"")
            if scope["method"] != "POST" and not is_stream:
                await self._no_post(scope, headers, holder, receive, send)
                return
            with self.bodies.reader(holder and holder.merchant_id, _most(holder, is_stream), headers) as reader:
                if scope["method"] != "POST":
                    reader.hold(room_of_open(unquote_to_bytes(scope["query_string"]), None))
                    await self._no_post(scope, headers, holder, receive, send)
                    return
                clock = self.house.runtime.clock
                began = clock.now()
                sent = Sent(await reader.read(receive))
                if holder is not None and clock.now() - began > AS_KNOWN:
                    # What was known when it began to come may be so no more, such as that nobody was ever erased.
                    holder = await self._holder(scope, headers)
                if not is_stream:
                    await self._post(scope, headers, holder, sent, receive, send)
                    return
                sent.glance()
                reader.hold(room_of_open(sent.body, sent.known))
                await self._view(scope, receive, send, sent)
        except ClientGoneError:
            pass
        except (DamagedBodyError, UnknownEncodingError) as error:
            scope[COUNTED] = True
            count_refused(self.house.runtime, holder, None, errors.BAD_REQUEST)
            await _of_encoding(error)(scope, receive, send)
        except (GraphQLError, DatabaseAwayError) as error:  # before anything was executed
            if sent is None and scope["method"] != "POST":
                sent = _in_address(scope["query_string"])
            if COUNTED not in scope and (sent is not None or _has_body(scope["method"], headers)):
                scope[COUNTED] = True
                await self._count_refused(holder, sent, headers, receive, error)
            await self._refuse(error, headers)(scope, receive, send)

    async def _no_post(
        self, scope: Scope, headers: Mapping[bytes, bytes], holder: KeyHolder | None, receive: Receive, send: Send
    ) -> None:
        """A request by a method that takes nothing in: the events in its address, or in its body, count as refused."""
        sent = _in_address(scope["query_string"])
        if sent is None and _has_body(scope["method"], headers):
            with self.bodies.reader(holder and holder.merchant_id, _most(holder, is_stream=False), headers) as reader:
                sent = Sent(await reader.read(receive))
                sent.glance()
            if scope["method"] in _BODILESS and not takes_events_in(sent.body.decode("latin-1")):
                sent = None  # it reads, and nobody looks at its body
        await self._view(scope, receive, send, sent)

    async def _count_refused(
        self,
        holder: KeyHolder | None,
        sent: Sent | None,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        error: GraphQLError | DatabaseAwayError,
    ) -> None:
        """Of a request whose body was not read, or not to its end; or whose key was revoked meanwhile."""
        code = str((error.extensions or {}).get("code")) if isinstance(error, GraphQLError) else None
        if code == errors.UNAUTHENTICATED:
            await self._of_revoked.count(self.house.runtime, headers, receive, sent)
        elif holder is not None and code is not None:
            count_refused(self.house.runtime, holder, sent, code)

    async def count_unread(
        self, method: str, target: bytes, headers: Mapping[bytes, bytes], address: str, code: str
    ) -> None:
        """Counts a request that the server refused before it was whole, for whose key is among the headers that came.

        By a method that takes nothing in, as far as events stand in its address: of its body nothing is known.
        """
        query = query_to_api(target)
        sent = None if query is None or method == "POST" else _in_address(query)
        if query is None or (sent is None and method in _BODILESS):
            return
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        try:
            holder = await self.house.keys.holder(authorization, address)
        except DatabaseAwayError:  # nobody can tell whose
            return
        except GraphQLError as error:
            if (error.extensions or {}).get("code") == errors.UNAUTHENTICATED:
                self._of_revoked.count_unread(self.house.runtime, headers, sent)
            return
        count_refused(self.house.runtime, holder, sent, code)

    async def _holder(self, scope: Scope, headers: Mapping[bytes, bytes]) -> KeyHolder | None:
        """Whose key, or session, came with a request. Raises GraphQLError for a bad one, and for a stranger who asks too often."""
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        keys = self.house.keys
        holder = keys.at_hand(authorization)
        if holder is None:
            address = address_of(scope)
            holder = await keys.caller(authorization, scope["headers"], address)
            if holder is None:
                self.house.limits.admit_stranger(address)
            elif holder.session is not None:
                _refuse_another(holder, headers.get(OF_MERCHANT))
        scope[HOLDER] = holder
        return holder

    async def _post(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        holder: KeyHolder | None,
        sent: Sent,
        receive: Receive,
        send: Send,
    ) -> None:
        if holder is None:
            await self._view(scope, receive, send, sent)
            return
        if not self._may_wait(holder, sent):
            await self._answer(scope, headers, sent, receive, send)
            return
        answer = partial(self._answer, scope, headers, sent)
        renew = partial(self._holder, scope, headers)
        if len(sent.body) <= LONG_BODY:
            await self._in_turn(holder, answer, renew, receive, send)
            return
        limits = self.house.limits
        limits.admit_body(holder)
        size = len(sent.body)
        beyond = max(0, size - MAX_BODY)  # an ADMIN key's, which events do not need
        limits.count_body(holder, refuse_many(sent.body, may_have_many="admin" in holder.scopes), beyond)
        try:
            await self._in_turn(holder, answer, renew, receive, send)
        finally:
            if sent.is_read and not only_takes_in(sent.known):
                limits.count_body(holder, 0, size - beyond)

    def _may_wait(self, holder: KeyHolder, sent: Sent) -> bool:
        """Whether a request may take so long that somebody would have to wait behind it."""
        slow = self.house.intake.slow
        is_owing = slow.watched and slow.owes(holder.merchant_id)
        return bool(is_owing) or is_long(sent.body) or not sent.is_easy(LONG_BODY)

    async def _in_turn(self, holder: KeyHolder, answer: Any, renew: Renew, receive: Receive, send: Send) -> None:
        """Where nobody has to wait behind it."""
        merchant_id = holder.merchant_id
        try:
            if not self.house.intake.has_short_about and await self._long.answer_here(
                merchant_id, partial(answer, is_here=True), receive, send
            ):
                return
        except _SlowError:
            pass
        self.house.intake.home = asyncio.get_running_loop()
        try:
            await self._long.answer(merchant_id, partial(answer, takes_in=True), renew, receive, send)
            return
        except ReadsError:
            pass  # it waits for the database, not for the interpreter: it takes no place of those that take in
        await answer(receive, send)

    async def _answer(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        sent: Sent,
        receive: Receive,
        send: Send,
        *,
        takes_in: bool = False,
        is_here: bool = False,
    ) -> None:
        """By the operation's plan, else by the view. ``takes_in``: raises ReadsError for a plan that does not. ``is_here``:
        raises _SlowError for a body that takes long to read.
        """
        if is_here and not sent.is_easy(LONG_BODY):
            raise _SlowError
        asked = _asked_in(sent) if _is_json(headers.get(b"content-type", b"")) else None
        if asked is None:
            await self._view(scope, receive, send, sent)
            return
        context = Context(self.house, HTTPConnection(scope), None, scope[HOLDER])
        tells_cost = TELL_COST in headers
        try:
            found = await answer_known(context, *asked, takes_in=takes_in)
        except GraphQLError as error:
            found = CompiledResult(errors=[error])
            tells_cost = False
        strict = GRAPHQL_JSON.encode() in headers.get(b"accept", b"")
        if found is None:
            await self._view(scope, receive, send, sent)
        elif isinstance(found, dict):
            answer: dict[str, Any] = {"data": found}
            if tells_cost:
                answer["extensions"] = {"cost": told_cost(context)}
            await _send_data(send, write_json(answer), strict=strict)
        else:
            answer = _worded(found, context if tells_cost else None)
            count_answer(self.house.runtime, context.holder, sent, answer)
            media_type = GRAPHQL_JSON if strict else "application/json"
            await self._response(answer, media_type, strict=strict)(scope, receive, send)

    async def _view(self, scope: Scope, receive: Receive, send: Send, sent: Sent | None = None) -> None:
        """What Strawberry's view answers; an error of the request is JSON with a code, as any other is. ``sent``: its body."""
        if sent is not None:
            self._collect_after(len(sent.body))
        # Media types know no case; Strawberry's view does.
        lowered = [(name, value.lower() if name in _MEDIA_TYPES else value) for name, value in scope["headers"]]
        request = Request({**scope, "headers": lowered, SENT: sent}, receive)
        try:
            response = await self.run(request)
        except HTTPException as error:
            if sent is not None:
                count_refused(self.house.runtime, scope.get(HOLDER), sent, errors.BAD_REQUEST)
            coded = None
            if sent is not None and sent.body and sent.known is None:  # it is no JSON
                coded = why_coded(request.headers.get("transfer-encoding", "").encode("latin-1"))
            response = _problem(415, coded) if coded else _problem(error.status_code, error.reason)
            if error.status_code == 405:
                response.headers["allow"] = "GET, POST"
        await response(scope, receive, send)

    def _collect_after(self, size: int) -> None:
        """Counts the body of one more request, and clears away what those before it have left behind, where it is due."""
        self._left_behind += size
        if self._left_behind >= COLLECT_BYTES:
            self._left_behind = 0
            gc.collect()  # of all ages: what was in hand the last time has grown old by it

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        holder = request.scope.get(HOLDER)  # of a WebSocket it comes later, with its parameters
        context = Context(self.house, request, response if isinstance(response, Response) else None, holder)
        if TELL_COST.decode() in request.headers:
            request.scope[CONTEXT] = context
        return context

    def should_render_graphql_ide(self, request: object) -> bool:
        """Never: GraphiQL has a route of its own, and whoever else brings no query is told so."""
        return False

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> Any:
        # GraphQL over HTTP: a media type that is not supported, or none, is 415.
        if request.method == "POST" and JSON_TYPES[0].decode() not in (request.content_type or ""):
            raise HTTPException(415, NOT_JSON)
        data: Any = await super().parse_http_body(request)
        if not data.query:  # of a stream Strawberry would find that out too late to say so
            raise HTTPException(400, NO_QUERY)
        if data.variables is not None and not isinstance(data.variables, dict):
            raise HTTPException(400, "variables must be an object.")
        if not isinstance(data.operation_name, str | None):
            raise HTTPException(400, "operationName must be text.")
        return data

    def parse_query_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(params)
        for name in ("variables", "extensions"):
            if text := found.get(name):
                try:
                    found[name] = read_json(text)
                except ValueError as error:
                    raise HTTPException(400, f"`{name}` in the address is not JSON: {error}.") from error
        return found

    def decode_json(self, data: str | bytes | Sent) -> object:
        try:
            found = data.read() if isinstance(data, Sent) else read_json(data)
        except ValueError as error:
            hint = f" {CUT}" if str(error).endswith(ENDS_EARLY) else ""
            raise HTTPException(400, f"The body is not JSON: {error}.{hint}") from error
        if not isinstance(found, dict):
            raise HTTPException(400, NO_LIST if isinstance(found, list) else NO_REQUEST)
        return found

    async def execute_single(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: Response,
        context: Context,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> Any:
        """Of a body it was asked already whether it is known."""
        asked = request_data
        if request_adapter.method == "GET" and asked.query and asked.extensions is None:
            found = await answer_known(
                context, asked.query, asked.variables or {}, asked.operation_name, only_reads=True
            )
            if found is not None:
                return CompiledResult(data=found) if isinstance(found, dict) else found
        return await super().execute_single(request, request_adapter, sub_response, context, root_value, request_data)

    def encode_json(self, data: object) -> bytes:
        return write_json(data)

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = await super().get_sub_response(request)
        if GRAPHQL_JSON in request.headers.get("accept", ""):
            response.headers["content-type"] = GRAPHQL_JSON
        return response

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        answer = _worded(result, request.scope.get(CONTEXT))
        if "errors" in answer and (sent := request.scope.get(SENT)) is not None:
            count_answer(self.house.runtime, request.scope.get(HOLDER), sent, answer)
        return answer  # type: ignore[return-value]

    def create_response(self, response_data: Any, sub_response: Response) -> Response:
        media_type = sub_response.headers.get("content-type", "application/json")
        return self._response(response_data, media_type, strict=media_type == GRAPHQL_JSON)

    def _response(self, answer: Any, media_type: str, *, strict: bool) -> Response:
        status, headers = _status(answer, strict)
        return Response(self.encode_json(answer), status, headers, f"{media_type}; charset=utf-8")

    def _refuse(self, error: GraphQLError | DatabaseAwayError, headers: Mapping[bytes, bytes]) -> Response:
        """The answer to a request that is refused before it is looked at."""
        answer: dict[str, Any] = {}
        if isinstance(error, DatabaseAwayError):
            error = GraphQLError(str(error), original_error=error)
            answer["data"] = None  # as where the database goes away a moment later
        strict = GRAPHQL_JSON.encode() in headers.get(b"accept", b"")
        answer["errors"] = [masked(error).formatted]
        response = self._response(answer, GRAPHQL_JSON if strict else "application/json", strict=True)
        if response.status_code == 413:
            response.headers["connection"] = "close"  # the rest of the body is not read
        return response


_BODILESS = frozenset(("GET", "HEAD", "OPTIONS"))  # methods whose requests bring nothing but an address, if all is well
_MEDIA_TYPES = (b"content-type", b"accept")  # headers that hold them
_DATA_TYPES = {
    strict: f"{media_type}; charset=utf-8".encode()
    for strict, media_type in ((False, "application/json"), (True, GRAPHQL_JSON))
}


async def _send_data(send: Send, body: bytes, *, strict: bool) -> None:
    """An answer without errors, as ``Response`` would send it."""
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", _DATA_TYPES[strict])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _worded(result: ExecutionResult | CompiledResult, context: Context | None = None) -> dict[str, Any]:
    """``context`` of None: nobody asked for the cost."""
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [masked(error).formatted for error in result.errors]
        if result.data is None and all(error.path is None for error in result.errors):
            del answer["data"]  # it was never executed
    if context is not None and context.cost is not None:
        answer["extensions"] = {"cost": told_cost(context)}
    return answer


def _status(answer: Any, strict: bool) -> tuple[int, dict[str, str]]:
    """By the codes of its errors. 400 only where the answer's media type knows it: older clients read ``errors`` of 200."""
    found = [error.get("extensions", {}) for error in answer.get("errors", ())]
    statuses = {errors.status_of(extensions.get("code", "")) for extensions in found}
    for status in (503, 429, 401, 413):
        if status in statuses:
            return status, _headers_of(status, found)
    if "data" not in answer and (strict or errors.BAD_REQUEST in {given.get("code") for given in found}):
        return 400, {}
    return 200, {}


def _refuse_another(holder: KeyHolder, shown: bytes | None) -> None:
    """A browser has one cookie for all of its tabs: what one shows may be another merchant's than the one signed in by now."""
    if shown is not None and shown.decode("latin-1") != ids.encode("Merchant", holder.merchant_id):
        raise errors.refused(ANOTHER, errors.UNAUTHENTICATED)


def _has_body(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request may have one: by some methods only where it is announced."""
    return (
        method not in _BODILESS
        or headers.get(b"content-length", b"0") != b"0"
        or headers.get(b"transfer-encoding") is not None
    )


def _asked_in(sent: Sent) -> tuple[str, Mapping[str, Any], str | None] | None:
    """A document, its variables and the name of the operation that is meant; None: the view says what is wrong with them."""
    try:
        request = sent.read()
    except ValueError:
        return None
    if type(request) is not dict or request.get("extensions") is not None:
        return None
    query, variables, name = request.get("query"), request.get("variables"), request.get("operationName")
    if type(query) is not str or not isinstance(variables, dict | None) or not isinstance(name, str | None):
        return None
    return query, variables or {}, name


def _in_address(query_string: bytes) -> Sent | None:
    """What an address asks for that was to take events in; None: it was not."""
    asked = QueryParams(query_string)
    query = asked.get("query", "")
    if not takes_events_in(query):
        return None
    try:
        variables = read_json(asked.get("variables", "null"))
    except ValueError:
        variables = None
    return Sent.of({"query": query, "variables": variables})


def _is_json(content_type: bytes) -> bool:
    return content_type in JSON_TYPES or content_type.partition(b";")[0].strip().lower() == JSON_TYPES[0]


def _most(holder: KeyHolder | None, is_stream: bool) -> int:
    """Bytes of a body."""
    if holder is None:
        return STRANGER_BODY
    return STREAM_BODY if is_stream else MAX_ADMIN_BODY if "admin" in holder.scopes else MAX_BODY


def _headers_of(status: int, extensions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    if status == 503:
        return {"retry-after": str(RETRY_AFTER_SECONDS)}
    if status == 429:
        return {"retry-after": str(max(given.get("retryAfterSeconds", 1) for given in extensions))}
    return {"www-authenticate": "Bearer"} if status == 401 else {}


def _first_of_each(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """``accept`` in lower case: it is looked into for media types. Encodings in several lines are one list (RFC 9110, 5.3)."""
    found = dict(headers[::-1])
    if b"accept" in found:
        found[b"accept"] = found[b"accept"].lower()
    if b"content-encoding" in found:
        found[b"content-encoding"] = b", ".join(value for name, value in headers if name == b"content-encoding")
    return found


def _unstored(send: Send) -> Send:
    """Of what a browser gets for its session's sake nothing stays on its disk."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message.get("headers", ()) if header[0].lower() != b"cache-control"]
            message = {**message, "headers": [*kept, (b"cache-control", b"no-store")]}
        await send(message)

    return sent


def _of_encoding(error: DamagedBodyError | UnknownEncodingError) -> Response:
    if isinstance(error, DamagedBodyError):
        response = _problem(400, DAMAGED)
    else:
        response = _problem(415, UNKNOWN_ENCODING)
        response.headers["accept-encoding"] = "gzip, deflate"  # RFC 9110, 12.5.3
    response.headers["connection"] = "close"  # the rest of the body is not read
    return response


def _problem(status: int, message: str) -> Response:
    error = {"message": message, "extensions": {"code": errors.BAD_REQUEST}}
    return Response(orjson.dumps({"errors": [error]}), status, media_type="application/json")
