"""The two protocols of a subscription: graphql-transport-ws on a WebSocket, graphql-sse on a streamed answer.

Both end without a word of farewell when the process does: a ``complete`` would tell clients not to come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cross_web import AsyncHTTPRequestAdapter
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLRequestData
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.types.unset import UNSET, UnsetType

from tracklayer.db.connection import DatabaseAwayError
from tracklayer.domain.json_text import read_json, write_json
from tracklayer.domain.monitors.refused_requests import UNHEARD
from tracklayer.domain.wire import ADMITTED, BEHIND, REFUSED, TAKEN
from tracklayer.schema import errors
from tracklayer.schema.bodies import Bodies
from tracklayer.schema.context import MAX_OF_A_KEY, Context, address_of
from tracklayer.schema.errors import masked
from tracklayer.schema.sent import Sent, is_subscription, room_of_open, takes_events_in
from tracklayer.schema.turned_away import count_answer, count_refused
from tracklayer.services.ingest import LATE_SECONDS

log = logging.getLogger(__name__)

INIT_TIMEOUT = timedelta(seconds=10)  # for connection_init, then the socket is closed with 4408
TRY_AGAIN_LATER = 1013  # the closing code that tells a client to come back
TOO_BIG = 1009  # that of a message that is too long
_ANSWERS = frozenset({"next", "error", "complete"})  # of an operation that is no subscription there is one
NOTHING_TO_SAY: UnsetType = UNSET  # beside the acknowledgement of a connection
_KINDS = ("connection_init", "ping", "pong", "subscribe", "complete")  # of messages that a client sends
NO_QUERY = "No GraphQL query found in the request"
REASON_BYTES = 123  # what a closing frame can hold


class Socket(ASGIWebSocketAdapter):
    """Text frames, as the protocol demands them; closing twice is closing once. ``room``: that the last operation wants, in
    bytes, or why it gets none. ``unread``: a message that is no JSON, and why. ``before_end``: what is to be done first, whoever
    closes it. ``closed_for``: the code of a message that the server did not take.
    """

    room: int | GraphQLError = 0
    unread: tuple[Sent, str] | None = None
    before_end: Callable[[], Awaitable[None]] | None = None
    closed_for: str | None = None
    _is_closed = False  # from this side

    @property
    def is_left(self) -> bool:
        """Whether its client hears no more."""
        return self.ws.application_state is WebSocketState.DISCONNECTED and not self._is_closed

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        try:
            while not self._is_closed:  # of a client that has left, too: what it said before is behind this
                message = await self.ws.receive()
                if message["type"] == "websocket.disconnect":
                    if self.before_end is not None:
                        await self.before_end()
                    return
                if REFUSED in message:
                    self.closed_for = _code_of(message)
                    await self.close(*message[REFUSED])
                    return
                # Without a name: until the next one comes, nothing of it is kept.
                yield self._read(message.pop("text"))
        except KeyError:
            raise NonTextMessageReceived from None

    def _read(self, text: str) -> object:
        try:
            message = read_json(text)
        except ValueError as error:
            self.unread = Sent(text.encode("utf-8", "surrogatepass")), f"The message is not JSON: {error}"
            raise NonJsonMessageReceived from None
        if isinstance(message, dict) and message.get("type") == "subscribe":
            try:
                self.room = room_of_open(text.encode("utf-8", "surrogatepass"), message.get("payload"))
            except GraphQLError as error:
                self.room = error
        return message

    async def send_json(self, message: Mapping[str, object]) -> None:
        try:
            await self.ws.send_text(write_json(message).decode())
        except (WebSocketDisconnect, RuntimeError) as error:  # gone, or closed from our side
            raise WebSocketDisconnected from error

    async def left_over(self) -> AsyncIterator[Message]:
        """What had come already behind the message that this was closed for."""
        while self.ws.client_state is WebSocketState.CONNECTED:
            yield await self.ws.receive()

    async def close(self, code: int, reason: str) -> None:
        if self.before_end is not None:
            await self.before_end()
        self._is_closed = True
        if self.ws.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):  # gone, or closed from our side
                await self.ws.close(code, reason.encode()[:REASON_BYTES].decode(errors="ignore"))


class _Ended(str):
    """The id of an operation whose client has ended it: equal to no other, so that the client may give it to another operation."""

    __slots__ = ()
    __eq__, __hash__ = object.__eq__, object.__hash__


class Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """Strawberry's, with messages of a wrong shape answered by 4400 instead of a trace. Events that are refused with the whole of
    their operation, or of their message, count for their merchant, as over HTTP; where the client does not hear the answer, because
    it has left or ended the operation, also with one that asks for them again. So do those behind a message that closes the
    socket; those before it are answered first.
    """

    view: LiveDoor
    websocket: Socket
    _sending: dict[str, Mapping[str, Any]]  # operation's id -> what was asked, where it takes events in
    _is_closing = False  # from this side, for what was said by whoever is known

    async def handle(self) -> None:
        self._sending = {}
        self.websocket.before_end = self._answer_in_hand
        try:
            try:
                await super().handle()
            finally:
                await self._count_left_over()
        finally:
            holder = self.context.holder
            if holder is not None:
                self.context.house.sockets.leave((holder.merchant_id, holder.key_id))

    async def _count_left_over(self) -> None:
        """However the closing went: it may have been cut off while it waited for the client to read."""
        if self.websocket.closed_for is not None:
            self._count_unread(None, self.websocket.closed_for)
        if self._is_closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(LATE_SECONDS):
                    async for message in self.websocket.left_over():
                        self._count_behind(message)

    async def handle_message(self, message: Any) -> None:
        fault = _fault_of(message)
        if fault is not None:
            given = message.get("payload") if isinstance(message, dict) else None
            self.websocket.unread = Sent.of(given if isinstance(given, dict) else {"message": message}), fault
            await self.handle_invalid_message(fault)
            return
        if self.websocket.is_left and not _takes_events_in(message):
            return
        if self.context.holder is not None:
            await self.context.hub.turns.take(self.context.holder.merchant_id)
        try:
            await super().handle_message(message)
        except WebSocketDisconnected:
            if not self.websocket.is_left:
                raise
        message.clear()  # whoever called this holds it until the next one comes

    async def handle_invalid_message(self, error_message: str) -> None:
        """Closes with 4400, as what came cannot be answered."""
        sent, why = self.websocket.unread or (None, error_message)
        self._count_unread(sent, errors.BAD_REQUEST)
        await super().handle_invalid_message(why)

    def _count_unread(self, sent: Sent | None, code: str) -> None:
        count_refused(self.context.house.runtime, self.context.holder, sent, code)

    async def _answer_in_hand(self) -> None:
        """The end of a socket cancels what is in hand: what takes events in is waited for, as it may be stored already."""
        if self.context.holder is None:
            return
        self._is_closing = True
        self.websocket.ws.scope.get(BEHIND, lambda count: None)(self._count_behind)
        in_hand = [found.task for number, found in self.operations.items() if number in self._sending and found.task]
        if in_hand:
            await asyncio.wait(in_hand, timeout=LATE_SECONDS)

    def _count_behind(self, message: Mapping[str, Any]) -> None:
        """Of a message that is not taken up, as the one before it closes the socket."""
        if REFUSED in message:
            self._count_unread(None, _code_of(message))
            return
        text = message.get("text") or ""
        if not takes_events_in(text):
            return
        try:
            given = read_json(text)["payload"]
            brings = takes_events_in(given["query"])
        except (ValueError, LookupError, TypeError):
            self._count_unread(Sent(text.encode("utf-8", "surrogatepass")), errors.BAD_REQUEST)
            return
        if brings:
            self._count_unread(Sent.of(given), errors.BAD_REQUEST)

    async def handle_connection_init(self, message: Any) -> None:
        message["payload"] = _only_the_key(message.get("payload"))  # it stays as long as the socket does
        await super().handle_connection_init(message)

    async def handle_subscribe(self, message: Any) -> None:
        number = message["id"]
        holder = self.context.holder
        if holder is None or not self.connection_acknowledged or number in self.operations:
            if takes_events_in(str(message["payload"].get("query"))):
                self._count_unread(Sent.of(message["payload"]), errors.BAD_REQUEST)
            await super().handle_subscribe(message)  # which closes the socket
            return
        fault = _fault_of_request(message["payload"])
        if fault is not None:
            self._count_unread(Sent.of(message["payload"]), errors.BAD_REQUEST)
            error = errors.refused(fault, errors.BAD_REQUEST)
            await self.send_message({"id": number, "type": "error", "payload": [masked(error).formatted]})
            return
        query, name = message["payload"]["query"], message["payload"].get("operationName")
        if takes_events_in(query) and not is_subscription(query, name):
            self._sending[number] = message["payload"]
        most = self.max_subscriptions_per_connection
        if most is not None and len(self.operations) >= most:
            told = f"This socket has {most} operations open: wait for an answer, or end a subscription, first."
            error = errors.refused(told, errors.RATE_LIMITED)
            await self.send_message({"id": number, "type": "error", "payload": [error.formatted]})
            return
        room = self.websocket.room
        taken = self.websocket.ws.scope.get(TAKEN)
        if taken is not None:
            await taken()  # what is begun now would wait with its answer
        try:
            if isinstance(room, GraphQLError):
                raise room
            self.view.bodies.take(holder.merchant_id, room)
        except GraphQLError as error:
            await self.send_message({"id": number, "type": "error", "payload": [masked(error).formatted]})
            return
        try:
            await super().handle_subscribe(message)
        finally:
            operation = self.operations.get(number)
            if operation is None or operation.task is None:
                self.view.bodies.give_back(holder.merchant_id, room)
            else:
                operation.task.add_done_callback(lambda _: self.view.bodies.give_back(holder.merchant_id, room))

    async def handle_complete(self, message: Any) -> None:
        """What takes events in runs to its end all the same, as they may be stored already; its answer is not sent."""
        operation = self.operations.get(message["id"])
        if operation is None or operation.id not in self._sending:
            await super().handle_complete(message)
            return
        ended = _Ended(message["id"])
        self._sending[ended] = self._sending.pop(operation.id)
        self.operations[ended] = self.operations.pop(operation.id)
        operation.id = ended

    async def send_message(self, message: Any) -> None:
        kind, number = message["type"], message.get("id")
        given = self._sending.pop(number, None) if self._sending and kind in _ANSWERS else None
        answer = {"errors": message["payload"]} if kind == "error" else message.get("payload", {})
        if given is None or "errors" not in answer:
            if not isinstance(number, _Ended):
                await super().send_message(message)
            return
        count = partial(count_answer, self.context.house.runtime, self.context.holder, Sent.of(given), answer)
        count()
        if isinstance(number, _Ended):
            count(UNHEARD)
            return
        try:
            await super().send_message(message)
        except (WebSocketDisconnected, asyncio.CancelledError):
            count(UNHEARD)
            raise

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(error, WebSocketDisconnected):  # the client is free to leave in the middle of a word
            await super().handle_task_exception(error)


def _takes_events_in(message: Mapping[str, Any]) -> bool:
    return message["type"] == "subscribe" and takes_events_in(str(message["payload"].get("query")))


def _code_of(message: Mapping[str, Any]) -> str:
    """Of one that the server did not take."""
    return errors.TOO_LARGE if message[REFUSED][0] == TOO_BIG else errors.BAD_REQUEST


def _only_the_key(given: dict[str, Any] | None) -> dict[str, Any]:
    """Of what came with a connection, all that is looked at."""
    for name, value in (given or {}).items():
        if name.lower() == "authorization" and isinstance(value, str):
            return {name: value}
    return {}


def _fault_of(message: Any) -> str | None:
    """What is wrong with a message that cannot be answered: with what is none of the protocol, or has no id to answer."""
    if not isinstance(message, dict):
        return "A message is an object."
    kind, given = message.get("type"), message.get("payload")
    if kind not in _KINDS:
        return f"The type of a message is one of {', '.join(_KINDS)}."
    if kind in ("subscribe", "complete") and not isinstance(message.get("id"), str):
        return f"The id of {kind} must be text."
    if kind == "subscribe" and not isinstance(given, dict):
        return "The payload of subscribe must be an object, with a query."
    if kind == "connection_init" and not isinstance(given, dict | None):
        return "The payload of connection_init must be an object."
    return None


def _fault_of_request(given: Mapping[str, Any]) -> str | None:
    """As over POST."""
    query = given.get("query")
    if not isinstance(query, str):
        return "query must be text."
    if not query:
        return NO_QUERY
    if not isinstance(given.get("variables"), dict | None):
        return "variables must be an object."
    return None if isinstance(given.get("operationName"), str | None) else "operationName must be text."


class EventStream(StreamingResponse):
    """Ends when the stream does or the client leaves; when the process ends, without the event ``complete``."""

    def __init__(self, closing: asyncio.Event, stream: AsyncIterator[str], headers: Mapping[str, str]) -> None:
        super().__init__(stream, headers=headers)
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_until_closing() -> Message:
            message = await first_of(receive(), self._closing.wait())
            return {"type": "http.disconnect"} if isinstance(message, bool) else message

        await super().__call__(scope, receive_until_closing, send)
        if self._closing.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def first_of(*awaitables: Awaitable[Any]) -> Any:
    """The result of whichever is done first; the others are cancelled."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


class LiveDoor(GraphQL[Context, None]):
    """The half of the GraphQL door that stays open. ``closing`` is set when this process is about to end."""

    websocket_adapter_class = Socket
    graphql_transport_ws_handler_class = Handler

    def __init__(self, schema: Any, public_url: str, origins: Sequence[str], closing: asyncio.Event) -> None:
        origin = urlsplit(public_url)
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=True,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=INIT_TIMEOUT,
            allowed_origins=(f"{origin.scheme}://{origin.netloc}", *origins),
        )
        self._closing = closing
        self.bodies = Bodies()

    def is_websocket_origin_allowed(self, request: Any, origin: str) -> bool:
        """Of a page on another origin; whoever is refused is told of in the log, and nothing of what was sent."""
        is_allowed: bool = super().is_websocket_origin_allowed(request, origin)
        if not is_allowed:
            log.warning(
                "a WebSocket was refused (403): the Origin that came with it is neither that of TRACKLAYER_PUBLIC_URL nor named in "
                "TRACKLAYER_ALLOWED_ORIGINS; add it there if a page of yours is to connect"
            )
        return is_allowed

    async def on_ws_connect(self, context: Context) -> UnsetType:
        """Refuses a connection without a good key or session: closing code 4403."""
        try:
            headers, address = context.request.headers.raw, address_of(context.request.scope)
            holder = await context.house.keys.caller(context.authorization(), headers, address)
            if holder is None:
                raise ConnectionRejectionError
            if not context.house.sockets.enter((holder.merchant_id, holder.key_id)):
                if isinstance(context.request, WebSocket):
                    await context.request.close(TRY_AGAIN_LATER, f"This key has {MAX_OF_A_KEY:,} sockets open")
                raise ConnectionRejectionError
            context.holder = holder
            admitted = context.request.scope.get(ADMITTED)
            if admitted is not None:
                admitted(holder.merchant_id)
        except GraphQLError:
            raise ConnectionRejectionError from None
        except DatabaseAwayError:
            if isinstance(context.request, WebSocket):
                await context.request.close(TRY_AGAIN_LATER, "The database is away")
            raise ConnectionRejectionError from None
        return NOTHING_TO_SAY

    async def execute_operation(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        request_data: GraphQLRequestData | list[GraphQLRequestData],
        context: Context,
        root_value: None,
        sub_response: Response,
    ) -> Any:
        """A stream begins only for a good key: its status is sent before anything else is known."""
        if isinstance(request_data, GraphQLRequestData) and request_data.protocol == "sse":
            context.caller  # noqa: B018 - it raises without a key
        return await super().execute_operation(
            request, request_adapter, request_data, context, root_value, sub_response
        )

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        return EventStream(self._closing, stream(), headers)
