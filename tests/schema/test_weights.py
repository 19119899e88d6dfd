"""No value of an event is longer than what its weight pays for, whatever field a shop fills to the brim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type, parse

from tests.factories import INGEST_MANY, Api, camel, draft
from tracklayer.domain.event import MAX_EVENT
from tracklayer.domain.identifiers import MAX_IDENTIFIER
from tracklayer.domain.personal import MAX_URL
from tracklayer.schema import schema
from tracklayer.schema.access import OBJECT_LENGTH
from tracklayer.schema.cost import measure
from tracklayer.schema.types import MAX_CONTENTS

TYPES = schema._schema.type_map
LONG = "x" * (MAX_EVENT - 4096)
HEAD = 200  # characters of an answer around a value


def texts(name: str) -> list[str]:
    found = TYPES[name]
    assert isinstance(found, GraphQLInputObjectType)
    return [key for key, field in found.fields.items() if get_named_type(field.type).name in ("String", "ID")]


def leaves(name: str = "Event", depth: int = 0) -> Iterator[str]:
    """What can be selected of an event itself, each value by itself."""
    kind = TYPES[name]
    assert isinstance(kind, GraphQLObjectType)
    for key, field in kind.fields.items():
        below = get_named_type(field.type)
        if isinstance(below, GraphQLObjectType):
            if depth < 2 and not field.args and below.name in ("CustomData", "Content", "Consent", "EnrichedField"):
                yield from (f"{key} {{ {leaf} }}" for leaf in leaves(below.name, depth + 1))
        elif not field.args:
            yield key


def brimful() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"eventSourceUrl": "https://shop.example/" + "x" * (MAX_URL - 21)},
        {"userData": dict.fromkeys(texts("UserDataInput"), "x" * MAX_IDENTIFIER)},
        {"customData": {"productIds": ["x" * 1000] * 250}},
    ]
    events += [
        {"customData": {name: LONG}} for name in texts("CustomDataInput") if name not in ("currency", "productIds")
    ]
    each = "x" * (len(LONG) // MAX_CONTENTS - 200)
    for name in texts("ContentInput"):
        events.append({"customData": {"contents": [{"id": str(n), name: each} for n in range(MAX_CONTENTS)]}})
    base = camel(draft("order"))
    return [{**base, **one, "eventId": f"order_{n}"} for n, one in enumerate(events)]


async def test_no_value_of_an_event_is_longer_than_what_its_weight_pays_for(api: Api) -> None:
    events = brimful()
    for event in events:  # each by itself: together they are more than a body may be
        taken = (await api.post(INGEST_MANY, {"inputs": json.loads(json.dumps([event], default=str))})).json()
        assert taken["data"]["ingestEvents"]["accepted"] == 1, (event["eventId"], str(taken)[:500])
    longest = 0
    for leaf in leaves():
        one = f"{{ events(first: 1) {{ nodes {{ {leaf} }} }} }}"
        worth = measure(schema._schema, parse(one), None).cost.of({}) - 1
        for n in range(len(events)):
            found = await api.post(f"query($id: String!) {{ event(eventId: $id) {{ {leaf} }} }}", {"id": f"order_{n}"})
            assert "errors" not in found.json(), found.text[:500]
            assert len(found.content) <= worth * OBJECT_LENGTH + HEAD, (leaf, n)
            longest = max(longest, len(found.content))
    assert longest > MAX_EVENT * 0.9
