"""Counts events that are refused with the whole of their request, for their merchant's alerts: beside the answer.

Only of who sends with a key, also a revoked one: a stranger's requests count for nobody. What wants the same request again
(``DATABASE_AWAY``, ``OVERLOADED``, ``RATE_LIMITED``) is no refusal, as long as its client can hear so.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Container, Mapping
from enum import Enum
from hashlib import sha256
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    parse,
)
from starlette.types import Receive

from tracklayer.db.merchants import KeyHolder
from tracklayer.domain.monitors.refused_requests import CODES, WHOLE, of_key
from tracklayer.runtime import Runtime
from tracklayer.schema import errors
from tracklayer.schema.bodies import Bodies, ClientGoneError, DamagedBodyError, UnknownEncodingError
from tracklayer.schema.sent import TEXTS, Sent
from tracklayer.services.alone import tell_fault
from tracklayer.services.merchants import hash_of_key

_SENDS = b"ingestEvent"  # and ingestEvents
# Of a document that does not parse: a field, and the variable that an ``ingestEvents`` takes its list from, or where its list
# begins; the first group: it is no field.
_CALL = re.compile(
    r"(\b(?:mutation|query|subscription|fragment|on)\s++|\.\.\.\s*+|[$@])?"
    r"\bingestEvent(s?)\b(?!\s*:)(?:\s*\(\s*inputs\s*:\s*(?:\$(\w+)|(\[)))?"
)
_BRACKET = re.compile(r"[][{}]")
_LOOKED_AT = 64 * 1024  # characters of a document: no longer one is executed
_TOKENS = 1_000  # of a document that is parsed here, which takes 2 ms at most: the text tells of a longer one
MOST_OF_CALL = 1_000  # events of a call that are counted: no call takes more
MOST = 2_000  # and of a request
# What is read of requests with revoked keys, which nobody is served for.
LONGEST = 1024 * 1024  # bytes: a thousand events have about as many
A_SECOND, BYTES_A_SECOND, AT_ONCE = 100, 4 * LONGEST, 16
A_SECOND_OF_ONE, BYTES_A_SECOND_OF_ONE, AT_ONCE_OF_ONE = 50, LONGEST, 2  # merchant
READ_WITHIN = 5  # seconds: whoever sends slowly is answered all the same
MOST_KEYS = 1_000


def count_answer(
    runtime: Runtime, holder: KeyHolder | None, sent: Sent, answer: Mapping[str, Any], codes: Container[str] = CODES
) -> None:
    """An answer in objects: counted where the request, or what was to take its events in, was refused with one of ``codes``. Raises
    nothing.
    """
    if answer.get("data") is not None:
        return
    for error in answer.get("errors", ()):
        code, path = error.get("extensions", {}).get("code"), error.get("path")
        if code in codes and (
            path is None or len(path) == 1
        ):  # deeper: it was taken in, and its answer could not be told
            count_refused(runtime, holder, sent, code, codes)
            return


def count_refused(
    runtime: Runtime, holder: KeyHolder | None, sent: Sent | None, code: str, codes: Container[str] = CODES
) -> None:
    """A request that was refused, where it was with one of ``codes``. ``sent`` of None: its body was not read. Raises nothing: a
    fault in counting never keeps the answer from being sent.
    """
    if holder is None or holder.session is not None or code not in codes:
        return
    try:
        _count_refused(runtime, holder, sent, code)
    except Exception as error:  # noqa: BLE001
        tell_fault(runtime, "counting a refused request", error, f"merchant {holder.merchant_id}")


def _count_refused(runtime: Runtime, holder: KeyHolder, sent: Sent | None, code: str) -> None:
    count = _events_in(sent, code, may_send="ingest" in holder.scopes)
    if not count:
        return
    now = runtime.clock.now()
    counting, minute = runtime.counting, int(now.timestamp()) // 60
    if sent is not None and sent.body and _has_come(runtime, holder.merchant_id, sent.body, minute):
        counting.turned_away.add((holder.merchant_id, minute, None, None), count)
        return
    is_revoked = code == errors.UNAUTHENTICATED
    where = _of_revoked(runtime, holder.merchant_id, minute, holder.key_id) if is_revoked else WHOLE
    counting.turned_away.add((holder.merchant_id, minute, code, where), count)


def _of_revoked(runtime: Runtime, merchant_id: int, minute: int, key_id: int) -> str:
    """What stands in a field's place of a request whose key was revoked."""
    return of_key(key_id) if runtime.counting.turned_away.is_named(merchant_id, minute, key_id) else WHOLE


def _sender(runtime: Runtime, headers: Mapping[bytes, bytes]) -> tuple[int, int] | None:
    """The merchant and the key of a request whose key was revoked, and could send events."""
    key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")[2].strip()
    found = runtime.counting.turned_away.revoked(hash_of_key(key)) if key else None
    return found[:2] if found is not None and found[2] else None


class RevokedBodies:
    """The bodies that came with revoked keys, of one process: read within bounds, to know how many events are lost.

    Of whoever knows a key that never was, or could not send, nothing is read. Each merchant has a share of its own of the bounds. A
    body beyond them counts as the last one did that was read of its key; one that is too long, or does not come, or comes before
    any was read, an event. For the event loop alone.
    """

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._second = 0
        self._read_now = 0  # bodies of this second that are read
        self._requests, self._bytes = Counter[int](), Counter[int]()  # of this second, by merchant
        self._reading = Counter[int]()  # merchant id -> bodies that are being read
        self._last: OrderedDict[int, int] = OrderedDict()  # key id -> events in the last body that was read

    async def count(
        self, runtime: Runtime, headers: Mapping[bytes, bytes], receive: Receive, sent: Sent | None = None
    ) -> None:
        """A request with a key that is none any more: where it was revoked, and could send, its merchant is told. ``sent``: its
        body, where the key was revoked while that came.
        """
        found = _sender(runtime, headers)
        if found is None:
            return
        merchant_id, key_id = found
        body: bytes | _Unread
        if sent is not None:
            body = sent.body
        elif self._has_room(merchant_id):
            body = await self._read(merchant_id, headers, receive)
        else:
            body = await _passed_over(receive)
        self._count_safely(runtime, merchant_id, key_id, body)

    def count_unread(self, runtime: Runtime, headers: Mapping[bytes, bytes], sent: Sent | None) -> None:
        """The same of one that the server refused before it was whole: an event, or what its address brought."""
        found = _sender(runtime, headers)
        if found is not None:
            self._count_safely(runtime, *found, _Unread.AN_EVENT if sent is None else sent.body)

    def _count_safely(self, runtime: Runtime, merchant_id: int, key_id: int, body: bytes | _Unread) -> None:
        try:
            self._count(runtime, merchant_id, key_id, body)
        except Exception as error:  # noqa: BLE001 - it never keeps the answer from being sent
            tell_fault(runtime, "counting a request with a revoked key", error, f"merchant {merchant_id}")

    def _count(self, runtime: Runtime, merchant_id: int, key_id: int, body: bytes | _Unread) -> None:
        if isinstance(body, bytes):
            self._bytes[merchant_id] += len(body)
            sent = Sent(body)
            sent.glance()  # what that does not read counts as one
            count = _events_in(sent, errors.UNAUTHENTICATED, may_send=True) if body else 0
            self._last[key_id] = count
            self._last.move_to_end(key_id)
            if len(self._last) > MOST_KEYS:
                self._last.popitem(last=False)
        else:
            count = self._last.get(key_id, 1) if body is _Unread.LIKE_THE_LAST else 1
        if not count:
            return
        minute = int(runtime.clock.now().timestamp()) // 60
        if isinstance(body, bytes) and _has_come(runtime, merchant_id, body, minute):
            runtime.counting.turned_away.add((merchant_id, minute, None, None), count)
        else:
            where = _of_revoked(runtime, merchant_id, minute, key_id)
            runtime.counting.turned_away.add((merchant_id, minute, errors.UNAUTHENTICATED, where), count)

    def _has_room(self, merchant_id: int) -> bool:
        """Whoever sends the first in a second is no worse off for what others send, as long as there is a place."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._read_now = second, 0
            self._requests.clear()
            self._bytes.clear()
        self._requests[merchant_id] += 1
        own, all_bytes = self._bytes[merchant_id], self._bytes.total()
        has_room = (
            self._reading[merchant_id] < AT_ONCE_OF_ONE
            and self._reading.total() < AT_ONCE
            and self._requests[merchant_id] <= A_SECOND_OF_ONE
            and (self._requests[merchant_id] == 1 or self._read_now < A_SECOND)
            and (not own or (own < BYTES_A_SECOND_OF_ONE and all_bytes < BYTES_A_SECOND))
        )
        self._read_now += has_room
        return has_room

    async def _read(self, merchant_id: int, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | _Unread:
        self._reading[merchant_id] += 1
        try:
            async with asyncio.timeout(READ_WITHIN):
                with self._bodies.reader(merchant_id, LONGEST, headers) as reader:
                    return await reader.read(receive)
        except GraphQLError as error:
            is_long = (error.extensions or {}).get("code") == errors.TOO_LARGE
            return _Unread.AN_EVENT if is_long else _Unread.LIKE_THE_LAST
        except (DamagedBodyError, UnknownEncodingError):
            return _Unread.LIKE_THE_LAST
        except (ClientGoneError, TimeoutError):
            return _Unread.AN_EVENT
        finally:
            self._reading[merchant_id] -= 1
            self._reading += Counter()  # forgets those that have none


class _Unread(Enum):
    """What a body counts as that was not read."""

    LIKE_THE_LAST = "like the last one of its key"
    AN_EVENT = "an event"  # it does not come, or has no end


async def _passed_over(receive: Receive) -> _Unread:
    """A body that there is no room for: it is only looked at whether it comes."""
    size, more = 0, True
    try:
        async with asyncio.timeout(READ_WITHIN):
            while more and size <= LONGEST:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return _Unread.AN_EVENT
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return _Unread.AN_EVENT
    return _Unread.AN_EVENT if more else _Unread.LIKE_THE_LAST


def _has_come(runtime: Runtime, merchant_id: int, body: bytes, minute: int) -> bool:
    """Whether the same body came within the hour: counted as an event that is sent again."""
    known = f"request {sha256(body).hexdigest()}"
    return not runtime.counting.refused_ids.is_new(merchant_id, known, minute // 60)


def _events_in(sent: Sent | None, code: str, *, may_send: bool) -> int:
    """How many it was to bring, as far as it can be known; 0: it was to bring none.

    A key that may not send has no events to lose: its requests count, one each, so that its merchant is told.
    """
    if sent is None or not sent.body:
        return int(may_send)
    if _SENDS not in sent.body:
        return int(may_send and code == errors.BAD_REQUEST)
    request = sent.known
    query = request.get("query") if isinstance(request, dict) else None
    if not isinstance(query, str):
        return int(may_send)
    variables = request.get("variables")
    count = _brought_by(
        query[:_LOOKED_AT], request.get("operationName"), variables if isinstance(variables, dict) else {}
    )
    if not count:
        return int(may_send and code == errors.BAD_REQUEST)
    return min(count, MOST) if may_send else 1


def _brought_by(text: str, operation_name: Any, variables: Mapping[str, Any]) -> int:
    """How many events the calls of a document bring; 0: it has none, or only such as bring nothing."""
    try:
        document = parse(text, max_tokens=_TOKENS, no_location=True)
        return _Calls(document, variables).of(operation_name)
    except (GraphQLError, RecursionError):
        return _told_by(TEXTS.sub(" ", text), variables)


class _Calls:
    """The calls of a document that was parsed, however its rules are broken: on whatever level they stand."""

    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        nodes = document.definitions
        self._operations = [node for node in nodes if isinstance(node, OperationDefinitionNode)]
        self._fragments = {node.name.value: node for node in nodes if isinstance(node, FragmentDefinitionNode)}
        self._of_fragments: dict[str, int] = {}  # each is read once, however often it is spread
        self._variables = variables
        self._defaults: dict[str, ValueNode | None] = {}

    def of(self, operation_name: Any) -> int:
        """Of the operation that is named; of all where none is."""
        named = [node for node in self._operations if node.name and node.name.value == operation_name]
        count = 0
        for operation in named or self._operations:
            self._of_fragments.clear()
            self._defaults = {
                node.variable.name.value: node.default_value for node in operation.variable_definitions or ()
            }
            count += self._in(operation.selection_set)
        return count

    def _in(self, selected: SelectionSetNode | None) -> int:
        count = 0
        for node in selected.selections if selected is not None else ():
            if isinstance(node, FragmentSpreadNode):
                count += self._in_fragment(node.name.value)
            elif isinstance(node, FieldNode) and node.name.value in ("ingestEvent", "ingestEvents"):
                count += self._call(node)
            elif isinstance(node, FieldNode | InlineFragmentNode):
                count += self._in(node.selection_set)
        return count

    def _in_fragment(self, name: str) -> int:
        if name not in self._of_fragments and name in self._fragments:
            self._of_fragments[name] = 0  # for one that leads back to itself
            self._of_fragments[name] = min(self._in(self._fragments[name].selection_set), MOST)
        return self._of_fragments.get(name, 0)

    def _call(self, node: FieldNode) -> int:
        if node.name.value == "ingestEvent":
            return 1
        given = next((argument.value for argument in node.arguments or () if argument.name.value == "inputs"), None)
        if isinstance(given, VariableNode):
            name = given.name.value
            if name in self._variables:
                listed = self._variables[name]
                return _most_in(listed) if isinstance(listed, list) else 1
            given = self._defaults.get(name)
        if not isinstance(given, ListValueNode):
            return 1
        objects = sum(isinstance(value, ObjectValueNode | VariableNode) for value in given.values[:MOST_OF_CALL])
        return objects or bool(given.values)


def _told_by(text: str, variables: Mapping[str, Any]) -> int:
    """What the text tells of a document that does not parse, or is longer than is parsed here."""
    count = at = 0
    while call := _CALL.search(text, at):
        at = call.end()
        no_field, many, name, begins = call.groups()
        if no_field:
            continue
        if begins:
            objects, at = _objects(text, at)
            count += objects
        else:
            listed = variables.get(name) if many else None
            count += _most_in(listed) if isinstance(listed, list) else 1
    return count


def _objects(text: str, begin: int) -> tuple[int, int]:
    """Of a list whose first value is at ``begin``: how many objects are in it, and where it ends."""
    count = depth = 0
    for found in _BRACKET.finditer(text, begin):
        bracket = found[0]
        if bracket in "[{":
            count += bracket == "{" and not depth
            depth += 1
        elif depth:
            depth -= 1
        else:
            inside = text[begin : found.start()].strip(" \t\r\n,")
            return min(count, MOST_OF_CALL) or bool(inside), found.end()
    return min(count, MOST_OF_CALL) or 1, len(text)


def _most_in(listed: list[Any]) -> int:
    return sum(isinstance(event, dict) for event in listed[:MOST_OF_CALL]) or bool(listed)
