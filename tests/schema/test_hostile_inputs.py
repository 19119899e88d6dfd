"""Nothing that is sent is a bug of ours: every argument and input field of the schema, with every kind of hostile value."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from tests.doors import DROPS_COROUTINES, doors
from tests.factories import Merchant, events_among
from tests.live import LiveServer, ws_client
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.problem import CODES
from tracklayer.domain.text import wrong_with_name
from tracklayer.runtime import Runtime
from tracklayer.schema import errors, schema

pytestmark = DROPS_COROUTINES

GRAPHQL = schema._schema
REQUEST_CODES = {known.name for known in errors.codes()}
CANARY = "kanarie"  # in every hostile text: no error may hold it
SHARE = 7  # each place far down in an input gets one value of so many: several roads lead to it

NUL, HALF, ESCAPE, BIDI = "\x00", "\ud83d", "\x1b[31m", "\u202e"
TEXTS: list[Any] = [
    "",
    " \t ",
    NUL,
    f"{CANARY}{NUL}",
    f"{CANARY}\x01\x7f",
    f"{ESCAPE}{CANARY}",
    f"{BIDI}{CANARY}\u2066\u200f",
    f"{CANARY}\u2028\n",
    f"\ufeff{CANARY}\uffff",
    f"😀{CANARY}'; DROP TABLE events; --",
    f"%{CANARY}_\\",
    f"{CANARY}{{}}%s%(x)s",
    CANARY * 50,
    CANARY * 5000,
    5,
    2**70,
    1.5,
    True,
    [],
    [None],
    {"nobodyKnows": CANARY},
]
NUMBERS: list[Any] = [
    0,
    -1,
    1,
    501,
    2**31 - 1,
    -(2**31),
    2**31,
    2**63,
    2**64,
    10**400,
    0.5,
    2.0,
    1e300,
    "1",
    True,
    [],
    {},
    CANARY,
]
SCALARS: dict[str, list[Any]] = {
    "String": TEXTS,
    "Int": NUMBERS,
    "Float": NUMBERS,
    "Boolean": [0, 1, "true", CANARY, [], {}, None],
    "Decimal": [*NUMBERS, "NaN", "-Infinity", "1e99999", "1_0", "٣", f"1{NUL}", "9" * 5000, "0." + "1" * 70],
    "DateTime": [
        *TEXTS,
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999-14:00",
        "9999-12-31T23:59:59Z",
        "2026-11-20T14:00:00",
        "2026-02-30T00:00:00Z",
        "2026-W01-1",
        "infinity",
        f"2026-11-20T14:00:00Z{NUL}",
        "2026-11-20T14:00:00+99:99",
        1763647200,
    ],
    "JSON": [
        *TEXTS,
        None,
        1e300,
        10**400,
        {NUL: NUL},
        {"a": {"b": [{"c": CANARY}]}},
        {"pixel_id": NUL, "access_token": [CANARY]},
        {"pixel_id": {CANARY: 2**70}, "access_token": BIDI},
        {f"k{n}": n for n in range(2000)},
    ],
}
INSTANTS = [
    "2026-11-20T14:00:00+00:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-20",
    "x" + NUL,
]
ODD_PARTS: list[Any] = [
    NUL,
    CANARY * 5000,
    "",
    0,
    -1,
    2**31,
    2**63 - 1,
    2**63,
    2**64 - 1,
    10**40,
    -(2**63) - 1,
    1.0,
    1e300,
    True,
    None,
    [],
    [[CANARY]],
    {CANARY: 1},
    HALF,
]


def made_by_hand(*parts: Any) -> str:
    """What looks like an id of ours or a cursor, of anything that JSON can say."""
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def ids_made_by_hand(merchant_id: int) -> list[Any]:
    """Of every kind of node, of this merchant: so that only its parts are odd."""
    found: list[Any] = [
        made_by_hand(),
        made_by_hand(1),
        made_by_hand("Event"),
        made_by_hand("Nope", merchant_id),
        "é" * 9,
    ]
    found += [
        urlsafe_b64encode(text).decode() for text in (b"\xff", b"[" * 2000, b'["Event",' + b"9" * 500 + b"]", b"null")
    ]
    kinds = [kind.name for kind in GRAPHQL.get_possible_types(GRAPHQL.type_map["Node"])]  # type: ignore[arg-type]
    for kind in [*kinds, "AlertChange"]:
        found += [made_by_hand(kind, merchant_id, odd) for odd in ODD_PARTS]
        found += [made_by_hand(kind, odd, 1) for odd in (2**63, True, float(merchant_id))]
        found += [made_by_hand(kind, merchant_id, 1, 2), made_by_hand(kind, merchant_id, "order_1", NUL)]
    return found


def cursors_made_by_hand() -> list[Any]:
    found = []
    for kind, plain in (("Event", ["order_1"]), ("Delivery", ["order_1", "meta"]), ("Alert", [1])):
        found += [made_by_hand(f"{kind}Cursor", at, *plain) for at in [*INSTANTS, *ODD_PARTS]]
        found += [made_by_hand(f"{kind}Cursor", INSTANTS[0], odd, *plain[1:]) for odd in ODD_PARTS]
    return found


@dataclass(frozen=True)
class Place:
    """An argument or input field. ``path``: from the argument down; an item of a list is ``*``."""

    kind: str
    root: str
    path: tuple[str, ...]
    type_: Any


def places(kind: str, root: GraphQLObjectType) -> Iterator[Place]:
    """Every argument of every root field, and every field below it."""
    for name, field in root.fields.items():
        for argument, given in field.args.items():
            yield from _below(kind, name, (argument,), given.type)


def _below(kind: str, root: str, path: tuple[str, ...], type_: Any) -> Iterator[Place]:
    inner = _nullable(type_)
    if isinstance(inner, GraphQLList):
        yield Place(kind, root, path, inner)
        yield from _below(kind, root, (*path, "*"), inner.of_type)
    elif isinstance(inner, GraphQLInputObjectType):
        yield Place(kind, root, path, inner)
        for name, field in inner.fields.items():
            yield from _below(kind, root, (*path, name), field.type)
    else:
        yield Place(kind, root, path, inner)


def hostile(place: Place, merchant_id: int) -> list[Any]:
    if isinstance(place.type_, GraphQLList):
        return [None, [], {}, CANARY, [None], [[]], [{}] * 3, 7]
    if isinstance(place.type_, GraphQLInputObjectType):
        return [None, [], {}, CANARY, {"nobodyKnows": CANARY}, {NUL: 1}, [{}], 7]
    if isinstance(place.type_, GraphQLEnumType):
        return [None, "", CANARY, next(iter(place.type_.values)).lower(), 1, True, [], {}, NUL]
    if place.type_.name == "ID" or place.path == ("id",):
        return [*TEXTS, *ids_made_by_hand(merchant_id)[:: 1 if place.root == "node" else 3]]
    if place.path == ("after",):
        return [*TEXTS, *cursors_made_by_hand(), *ids_made_by_hand(merchant_id)[:9]]
    return SCALARS[place.type_.name]


def plain(type_: Any) -> Any:
    """A value that fits, with nothing that may be left out."""
    inner = _nullable(type_)
    if isinstance(inner, GraphQLList):
        return [plain(inner.of_type)]
    if isinstance(inner, GraphQLInputObjectType):
        return {name: plain(field.type) for name, field in inner.fields.items() if is_required_input_field(field)}
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    return PLAIN[inner.name]


PLAIN = {
    "String": "a",
    "ID": "a",
    "Int": 1,
    "Float": 1.5,
    "Boolean": True,
    "Decimal": 1,
    "DateTime": "2026-11-20T14:00:00Z",
    "JSON": {},
}


def variables_with(place: Place, value: Any, fresh: str) -> dict[str, Any]:
    """The arguments of a root field, with one value in its place and the others well-formed."""
    root = _root(place.kind).fields[place.root]
    found = {name: plain(given.type) for name, given in root.args.items() if is_required_argument(given)}
    argument, *path = place.path
    given = root.args[argument]
    found[argument] = _put(found.get(argument, plain(given.type)), given.type, path, value)
    for event in events_among(found):
        if event.get("eventId") == PLAIN["String"]:
            event["eventId"] = fresh  # one stored event would hide what becomes of the next
    return found


def _put(into: Any, type_: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    name, *rest = path
    inner: Any = _nullable(type_)
    if name == "*":
        return [_put(plain(inner.of_type), inner.of_type, rest, value)]
    field: GraphQLInputField = inner.fields[name]
    return {**into, name: _put(into.get(name, plain(field.type)), field.type, rest, value)}


def document(kind: str, name: str, field: Any) -> str:
    """An operation that selects all leaves of a root field's answer, two levels deep, with its arguments as variables."""
    declared = ", ".join(f"${argument}: {given.type}" for argument, given in field.args.items())
    given = ", ".join(f"{argument}: ${argument}" for argument in field.args)
    head = f"{kind}({declared})" if declared else kind
    arguments = f"({given})" if given else ""
    return f"{head} {{ {name}{arguments}{_selection(field.type, 2)} }}"


def _selection(type_: Any, depth: int) -> str:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    if is_leaf_type(type_):
        return ""
    parts = [
        f"{name}{_selection(field.type, depth - 1)}"
        for name, field in type_.fields.items()
        if not field.args and (depth > 1 or _is_leaf(field.type))
    ]
    return f" {{ __typename {' '.join(parts)} }}"


def _is_leaf(type_: Any) -> bool:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return is_leaf_type(type_)


def _nullable(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_


def _root(kind: str) -> GraphQLObjectType:
    roots = {"query": GRAPHQL.query_type, "mutation": GRAPHQL.mutation_type, "subscription": GRAPHQL.subscription_type}
    found = roots[kind]
    assert found is not None
    return found


def cases(kinds: tuple[str, ...], merchant_id: int) -> Iterator[tuple[Place, Any]]:
    """The same at every run."""
    turn = count()
    for kind in kinds:
        for place in places(kind, _root(kind)):
            for value in hostile(place, merchant_id):
                if len(place.path) < 3 or next(turn) % SHARE == 0:
                    yield place, value


def wrong_in(answer: httpx.Response) -> Iterator[str]:
    """What an answer has that none may have."""
    if answer.status_code >= 500:
        yield f"status {answer.status_code}"
    found = answer.json()
    for error in found.get("errors", ()):
        code = error["extensions"]["code"]
        if code not in REQUEST_CODES or code == errors.INTERNAL or CANARY in error["message"]:
            yield str(error)
    for error in _user_errors(found.get("data")):
        if error["code"] not in CODES or CANARY in json.dumps(error):
            yield str(error)


def _user_errors(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        yield from data.get("userErrors") or ()
        for inner in data.values():
            yield from _user_errors(inner)
    elif isinstance(data, list):
        for item in data:
            yield from _user_errors(item)


def _accepted(data: Any) -> int:
    """How many events an answer says are stored now."""
    if isinstance(data, list):
        return sum(map(_accepted, data))
    if not isinstance(data, dict):
        return 0
    return (data.get("outcome") == "ACCEPTED") + sum(map(_accepted, data.values()))


def _body(text: str, variables: Any) -> bytes:
    """As JSON can say it: half a character is an escape, a number may have any length."""
    return json.dumps({"query": text, "variables": variables}).encode()


async def test_no_value_of_any_argument_is_a_fault_of_ours(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    """In turn through the door that has plans and the one that has none. What is answered is what was stored."""
    headers = {"authorization": f"Bearer {merchant.key}", "content-type": "application/json"}
    faults: list[Any] = []
    reached: Counter[str] = Counter()
    stored = 0
    async with doors(runtime) as both:
        for number, (place, value) in enumerate(cases(("query", "mutation"), merchant.merchant_id)):
            text = document(place.kind, place.root, _root(place.kind).fields[place.root])
            both.plans.find(None, text, None)
            client = both.plain if number % SHARE == 0 else both.compiled
            body = _body(text, variables_with(place, value, f"fresh_{number}"))
            answer = await client.post("/graphql", content=body, headers=headers)
            faults += [(place, str(value)[:200], wrong) for wrong in wrong_in(answer)]
            reached[f"{place.kind} {place.root}"] += 1
            stored += _accepted(answer.json().get("data"))
        assert len(both.plans) > 10
    assert faults == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert reached.keys() == {
        f"{kind} {name}" for kind in ("query", "mutation") for name, field in _root(kind).fields.items() if field.args
    }
    with in_transaction():
        assert rows("SELECT count(*) FROM events")[0][0] == stored > 50
        shown = rows("SELECT name FROM merchants UNION ALL SELECT name FROM api_keys")
        shown += rows(
            "SELECT unnest(event_names) FROM destinations UNION ALL SELECT unnest(alert_emails) FROM merchants"
        )
    assert [name for (name,) in shown if wrong_with_name(name, 255)] == []


LITERALS = [
    '"\\u0000"',
    f'"{CANARY}\\u0000"',
    '"\\ud83d"',
    '"\\u{110000}"',
    f'"""{CANARY} {BIDI} \\n"""',
    "9" * 400,
    "-0",
    "1e400",
    f'{{nobodyKnows: "{CANARY}"}}',
    "[[[[]]]]",
    f"[{', '.join('1' * 500)}]",
    "NOBODY_KNOWS",
    "null",
    "[" * 2000 + "]" * 2000,
    "{a: " * 1000 + "1" + "}" * 1000,
]


async def test_no_value_that_is_written_out_is_a_fault_of_ours(runtime: Runtime, merchant: Merchant) -> None:
    headers = {"authorization": f"Bearer {merchant.key}", "content-type": "application/json"}
    faults = []
    async with doors(runtime) as both:
        for kind in ("query", "mutation"):
            for name, field in _root(kind).fields.items():
                text = document(kind, name, field)
                for argument, literal in product(field.args, LITERALS):
                    head, _, rest = text.partition("{")
                    written = f"{kind} {{{rest.replace(f'{argument}: ${argument}', f'{argument}: {literal}', 1)}"
                    others = [other for other in head[len(kind) + 1 : -2].split(", ") if f"${argument}:" not in other]
                    declared = f"{kind}({', '.join(others)})" if others else kind
                    variables = {other: plain(given.type) for other, given in field.args.items() if other != argument}
                    body = _body(written.replace(kind, declared, 1), variables)
                    answer = await both.plain.post("/graphql", content=body, headers=headers)
                    faults += [(name, argument, literal[:40], wrong) for wrong in wrong_in(answer)]
    assert faults == []


async def test_nothing_that_a_subscription_is_asked_for_is_a_fault_of_ours(
    runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is refused with a code, or follows what happens."""
    refused: dict[str, Any] = {}
    with LiveServer(runtime) as server:
        async with ws_client(server, merchant.key) as client:
            sent: dict[str, Any] = {}

            async def answered_but(most: int) -> None:
                """Until no more than so many are neither refused nor followed: a socket has room for a hundred."""
                while len(sent) - len(refused) - server.followers() > most:
                    try:
                        async with asyncio.timeout(0.1):
                            message = await client.next()
                    except TimeoutError:
                        continue
                    payload = message["payload"]
                    refused[message["id"]] = payload["errors"] if message["type"] == "next" else payload
                    if message["type"] == "next":
                        assert (await client.next()) == {"id": message["id"], "type": "complete"}

            for number, (place, value) in enumerate(cases(("subscription",), merchant.merchant_id)):
                text = document(place.kind, place.root, _root(place.kind).fields[place.root])
                body = {"query": text, "variables": variables_with(place, value, f"fresh_{number}")}
                await client.say("subscribe", id=str(number), payload=body)
                sent[str(number)] = (place.path, str(value)[:60])
                await answered_but(10)
            await answered_but(0)
    wrong = [
        (sent[id], error)
        for id, found in refused.items()
        for error in found
        if error["extensions"]["code"] not in ("BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED") or CANARY in error["message"]
    ]
    assert wrong == []
    assert len(refused) > 50
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
