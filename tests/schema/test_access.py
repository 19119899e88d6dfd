"""Who may see what: every field of the schema is asked for with every kind of key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField, GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_leaf_type

from tests.conftest import NOW
from tests.factories import INGEST, INGEST_MANY, Api, Merchant, camel, draft
from tracklayer.db.connection import execute, in_transaction
from tracklayer.domain.identifiers import is_browser_id
from tracklayer.runtime import Runtime
from tracklayer.schema import schema
from tracklayer.schema.access import UndeclaredError, guard, scopes_of
from tracklayer.schema.scalars import CONFIG
from tracklayer.services.merchants import create_api_key

# What the sender of an event knows, or needs to know: the contract's words.
SENDER_SEES = {
    "Event": {
        "id",
        "eventId",
        "eventName",
        "occurredAt",
        "receivedAt",
        "timesReceived",
        "lastReceivedAt",
        "deliveries",
    },
    "Delivery": {"id", "platform", "status", "queuedAt"},
}
PUBLIC = {"Query.platforms"}
# What each operation asks for, written down here and read from nowhere. A mutation that is new, or asks for another scope,
# is a line of this table: whoever changes it says so where it is seen.
SCOPE = {
    "Query.node": "read",
    "Query.nodes": "read",
    "Query.merchant": "read",
    "Query.event": "read",
    "Query.events": "read",
    "Query.deliveries": "read",
    "Query.deliveryGroups": "read",
    "Query.redeliveries": "read",
    "Query.alerts": "read",
    "Query.alertChart": "read",
    "Query.ledger": "read",
    "Query.rejections": "read",
    "Query.coverage": "read",
    "Query.preview": "read",
    "Query.platforms": None,
    "Mutation.ingestEvent": "ingest",
    "Mutation.ingestEvents": "ingest",
    "Mutation.identify": "ingest",
    "Mutation.redeliver": "admin",
    "Mutation.deliverStored": "admin",
    "Mutation.erasePerson": "admin",
    "Mutation.unsuppressPerson": "admin",
    "Mutation.exportPerson": "admin",
    "Mutation.setDestination": "admin",
    "Mutation.pauseDestination": "admin",
    "Mutation.resumeDestination": "admin",
    "Mutation.removeDestination": "admin",
    "Mutation.testDestination": "admin",
    "Mutation.updateMerchant": "admin",
    "Mutation.acknowledgeAlert": "admin",
    "Mutation.snoozeAlert": "admin",
    "Mutation.setAlertChannel": "admin",
    "Mutation.testAlertChannel": "admin",
    "Mutation.removeAlertChannel": "admin",
    "Mutation.createApiKey": "admin",
    "Mutation.revokeApiKey": "admin",
    "Subscription.alerts": "read",
}
ROOTS = ("Query", "Mutation", "Subscription")
TYPES = {
    name: kind
    for name, kind in schema._schema.type_map.items()
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not name.startswith("__")
}


def key_of(runtime: Runtime, merchant: Merchant, *scopes: str) -> str:
    found = create_api_key(runtime, merchant.merchant_id, "a key", scopes)
    assert isinstance(found, tuple)
    return found[1]


def test_the_sender_of_an_event_sees_what_the_contract_says_and_nothing_else() -> None:
    for name, kind in TYPES.items():
        if name in SENDER_SEES:
            seen = {field for field, found in kind.fields.items() if "ingest" in scopes_of(found)}
            assert seen == SENDER_SEES[name], name


def test_each_operation_asks_for_the_scope_that_is_written_down_and_says_so() -> None:
    roots = {f"{kind}.{name}": field for kind in ROOTS for name, field in TYPES[kind].fields.items()}
    assert {name: sorted(scopes_of(field)) for name, field in roots.items()} == {
        name: [scope] if scope else [] for name, scope in SCOPE.items()
    }
    for name, field in roots.items():
        says = re.findall(r"Scope ([A-Z]+)\.", field.description or "")
        if name.startswith("Query."):  # they are for READ, as the guide says of all of them
            assert says == [], name
        else:
            assert says == [str(SCOPE[name]).upper()], name
            assert str(field.description).endswith(f" Scope {says[0]}."), name


def test_what_a_stranger_sees_holds_nothing_of_anybody() -> None:
    public = {
        f"{name}.{field}"
        for name, kind in TYPES.items()
        for field, found in kind.fields.items()
        if not scopes_of(found)
    }
    of_platforms = {f"{name}.{field}" for name in ("PlatformInfo", "PlatformSetting") for field in TYPES[name].fields}
    assert public == PUBLIC | of_platforms


def test_a_schema_with_a_field_that_does_not_say_who_may_see_it_is_not_built() -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def secret(self) -> str:
            return "x"

    with pytest.raises(UndeclaredError, match=r"Query\.secret does not say who may see it"):
        guard(strawberry.Schema(Query, config=CONFIG))


def asking(field: GraphQLField) -> str:
    """A selection of one field: of an object only its type's name, which is everybody's."""
    return "" if is_leaf_type(get_named_type(field.type)) else "{ __typename }"


def _paths(kind: Any, depth: int, seen: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path of fields, type that the last one belongs to) of everything below a type, each type once a path."""
    for name, field in kind.fields.items():
        yield (*seen, name), kind.name
        inner = get_named_type(field.type)
        if depth and isinstance(inner, GraphQLObjectType):
            yield from _paths(inner, depth - 1, (*seen, name))


def _query(path: tuple[str, ...], leaf: str) -> str:
    """A selection of a path below an event, with whatever its fields must be given."""
    kind: Any = TYPES["Event"]
    asked = []
    for name in path:
        field = kind.fields[name]
        needed = [f"{name}: {_some(arg.type)}" for name, arg in field.args.items() if str(arg.type).endswith("!")]
        asked.append(f"{name}({', '.join(needed)})" if needed else name)
        kind = get_named_type(field.type)
    return " { ".join(asked) + f" {leaf} " + "}" * (len(path) - 1)


@pytest.fixture
async def stored(api: Api, merchant: Merchant) -> None:
    await api.ingest(draft(user_data={"email": "jane@example.com", "first_name": "Jane", "city": "Paris"}))
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'critical', 'meta', 'Meta is down', 'It is.', %s, %s)",
            (merchant.merchant_id, NOW, NOW),
        )


@pytest.mark.usefixtures("stored")
async def test_every_field_below_an_event_is_refused_to_its_sender_or_meant_for_him(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    """Asked one by one, below lists too, through the answer to a made-up event with the id of a stored one."""
    sender = Api(api.client, key_of(runtime, merchant, "ingest"))
    made_up = camel(draft(user_data={"external_id": "x"}))
    event = TYPES["Event"]
    asked = refused = 0
    for path, owner in _paths(event, 2):
        allowed = all(name in SENDER_SEES.get(kind, ()) for name, kind in zip(path, _owners(event, path), strict=True))
        field = TYPES[owner].fields[path[-1]]
        text = f"mutation($input: IngestEventInput!) {{ ingestEvent(input: $input) {{ outcome event {{ {_query(path, asking(field))} }} }} }}"
        for _ in range(2):  # without a plan, and with one
            answer = (await sender.post(text, {"input": made_up})).json()
            asked += 1
            if allowed:
                assert "errors" not in answer, (path, answer)
                assert answer["data"]["ingestEvent"]["outcome"] == "COALESCED"
            else:
                refused += 1
                codes = {error["extensions"]["code"] for error in answer["errors"]}
                assert codes == {"FORBIDDEN"}, (path, answer)
                assert answer["errors"][0]["path"][:2] == ["ingestEvent", "event"]
                assert answer["data"] == {"ingestEvent": {"outcome": "COALESCED", "event": None}} or _is_null_at(answer)
    assert asked > 100
    assert refused > 80


def _owners(kind: Any, path: tuple[str, ...]) -> list[str]:
    owners = []
    for name in path:
        owners.append(kind.name)
        kind = get_named_type(kind.fields[name].type)
    return owners


def _is_null_at(answer: Any) -> bool:
    """Whether the place of the error, or the nearest one above it that may be null, is null."""
    value: Any = answer["data"]
    for part in answer["errors"][0]["path"]:
        if value is None:
            return True
        value = value[part]
    return value is None


async def test_every_root_field_asks_for_its_scope(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    keys = {scope: key_of(runtime, merchant, scope) for scope in ("ingest", "read")}
    for kind in ("Query", "Mutation"):
        for name, field in TYPES[kind].fields.items():
            arguments = ", ".join(
                f"{argument}: {_some(given.type)}"
                for argument, given in field.args.items()
                if str(given.type).endswith("!")
            )
            text = f"{kind.lower()} {{ {name}{f'({arguments})' if arguments else ''} {asking(field)} }}"
            needed = SCOPE[f"{kind}.{name}"]
            for scope, key in keys.items():
                answer = (await api.post(text, key=key)).json()
                codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
                assert ("FORBIDDEN" in codes) == bool(needed and scope != needed), (text, scope, answer)
            stranger = await api.client.post("/graphql", json={"query": text})
            told = {error["extensions"]["code"] for error in stranger.json().get("errors", ())}
            assert ("UNAUTHENTICATED" in told) == bool(needed) or stranger.status_code == 429, (text, stranger.text)


def _some(type_: Any) -> str:
    """A literal of a type, as short as it may be."""
    text = str(type_).rstrip("!")
    if text.startswith("["):
        return "[]"
    named = get_named_type(type_)
    if hasattr(named, "values"):
        return str(next(iter(named.values)))
    if hasattr(named, "fields"):
        needed = ((name, found.type) for name, found in named.fields.items() if str(found.type).endswith("!"))
        return "{" + ", ".join(f"{name}: {_some(kind)}" for name, kind in needed) + "}"
    return "{}" if text == "JSON" else '"2026-11-20T14:59:00Z"'


@pytest.mark.usefixtures("stored")
async def test_a_sender_cannot_find_out_a_stored_persons_data_by_made_up_repeats(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    sender = Api(api.client, key_of(runtime, merchant, "ingest"))
    answers = []
    for city in ("Paris", "Rome"):
        guess = camel(draft(user_data={"city": city, "email": "guess@example.com"}))
        answers.append((await sender(INGEST, input=guess))["ingestEvent"]["userErrors"])
    assert answers[0] == answers[1]
    assert [error["field"] for error in answers[0]] == [["eventId"]]
    reader = Api(api.client, key_of(runtime, merchant, "ingest", "read"))
    told = (await reader(INGEST, input=camel(draft(user_data={"city": "Rome"}))))["ingestEvent"]["userErrors"]
    assert ["userData", "city"] in [error["field"] for error in told]


async def test_a_batch_shows_its_sender_no_more_than_one_event_does(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    sender = Api(api.client, key_of(runtime, merchant, "ingest"))
    found = await sender(INGEST_MANY, inputs=camel([draft("a"), draft("b")]))
    assert found["ingestEvents"]["accepted"] == 2
    text = INGEST_MANY.replace("timesReceived }", "timesReceived customData }")
    answer = (await sender.post(text, {"inputs": camel([draft("a")])})).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert answer["errors"][0]["path"] == ["ingestEvents", "results", 0, "event", "customData"]
    assert answer["data"]["ingestEvents"]["results"][0]["event"] is None


async def test_who_may_only_read_sees_browsers_that_are_the_same_and_no_id(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    """With a browser's id, and the public key that every page shows, anybody could tell the collector of that browser."""
    laptop, phone = "4f8a1c5e9b2d7f60" * 2, "7f604f8a1c5e9b2d" * 2
    for event_id, browser in (("a", laptop), ("b", laptop), ("c", phone)):
        user_data = {"browser_id": browser, "email": "jane@example.com"}
        await api(INGEST, input=camel(draft(event_id, user_data=user_data)))
    everything = '{ a: event(eventId: "a") { userData } b: event(eventId: "b") { userData } c: event(eventId: "c") { userData } }'
    seen = {}
    for scopes in (("read",), ("read", "ingest"), ("admin",)):
        found = await Api(api.client, key_of(runtime, merchant, *scopes))(everything)
        seen[scopes] = [found[one]["userData"]["browser_id"] for one in ("a", "b", "c")]
    assert seen["admin",] == seen["read", "ingest"] == [laptop, laptop, phone]
    one, same, other = seen["read",]
    assert one == same != other
    assert {len(one), len(other)} == {len("sha256:") + 16}
    assert not any(is_browser_id(shown) for shown in (one, other))
    reader = Api(api.client, key_of(runtime, merchant, "read"))
    text = str(await reader('{ event(eventId: "a") { userData identifiers deliveries { preview { request } } } }'))
    assert laptop not in text
