"""What a field may hold is the same whichever way an event comes: ingestEvent, ingestEvents with a plan and without, import."""

from __future__ import annotations

import dataclasses
import json
from random import Random
from typing import Any

from tests.doors import DROPS_COROUTINES, doors
from tests.factories import Api, Merchant, camel, draft, new_merchant
from tracklayer.db.connection import in_transaction, rows
from tracklayer.domain.event import Consent, Content, CustomData, Device, Event, UserData
from tracklayer.domain.json_text import read_json
from tracklayer.runtime import Runtime
from tracklayer.schema.inputs import dotted_path
from tracklayer.services.ingest import Rejected, ingest_events

pytestmark = DROPS_COROUTINES

ONE = """mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome userErrors { field code message } }
}"""
MANY = """mutation($inputs: [IngestEventInput!]!) {
  ingestEvents(inputs: $inputs) { results { outcome userErrors { field code message } } }
}"""
VALUES: list[Any] = [
    5, 2.0, 2.5, -1, 10**12, 1e300, "5", "2.5", " 3 ", "", " ", "text", True, None, [], ["a"], [""], ["a", None],
    [None], [5], [[]], {}, {"id": "a"}, [{"id": "a"}, None], [{"id": "a", "quantity": "2"}], [{"id": "a", "brand": None}],
]  # fmt: skip
PARTS: dict[str, type] = {"user_data": UserData, "custom_data": CustomData, "device": Device, "consent": Consent}
PLACES: list[tuple[str, ...]] = [
    *((field.name,) for field in dataclasses.fields(Event)),
    *((part, field.name) for part, kind in PARTS.items() for field in dataclasses.fields(kind)),
    *(("custom_data", "contents", field.name) for field in dataclasses.fields(Content)),
]
Told = tuple[bool, list[tuple[str, str]]]  # whether it is taken, and (dotted path, code) of what is wrong with it


def spoilt(number: int, place: tuple[str, ...], value: Any) -> dict[str, Any]:
    event = draft(f"order_{number}", device={"os": "iOS"}, consent={})
    event["custom_data"]["contents"] = [{"id": "sku_1", "title": "Lamp"}]
    if place[:2] == ("custom_data", "contents") and len(place) == 3:
        event["custom_data"]["contents"][0][place[2]] = value
    else:
        within = event
        for part in place[:-1]:
            within = within[part]
        within[place[-1]] = value
    return event


def _told(result: dict[str, Any]) -> Told:
    errors = [(".".join(error["field"] or ()), error["code"]) for error in result["userErrors"]]
    return result["outcome"] != "REJECTED", errors


def _stored(merchant: Merchant) -> dict[str, Any]:
    statement = """SELECT event_id, event_name, action_source, event_source_url, user_data, digests, custom_data, device, consent
        FROM events WHERE merchant_id = %s"""
    with in_transaction():
        return {row[0]: row[1:] for row in rows(statement, [merchant.merchant_id])}


def _imported(runtime: Runtime, merchant: Merchant, drafts: list[dict[str, Any]]) -> list[Told]:
    lines = [read_json(json.dumps(one)) for one in drafts]
    found = []
    for start in range(0, len(lines), 500):
        for outcome in ingest_events(runtime, merchant.holder, lines[start : start + 500]).outcomes:
            is_taken = not isinstance(outcome, Rejected)
            said = outcome.problems if isinstance(outcome, Rejected) else outcome.warnings
            found.append((is_taken, [(dotted_path(problem.field), problem.code) for problem in said]))
    return found


async def _in_lists(api: Api, events: list[Any]) -> list[Told]:
    found = []
    for start in range(0, len(events), 300):
        answer = await api(MANY, inputs=events[start : start + 300])
        found += list(map(_told, answer["ingestEvents"]["results"]))
    return found


async def _one_by_one(api: Api, events: list[Any]) -> list[Told]:
    return [_told((await api(ONE, input=event))["ingestEvent"]) for event in events]


async def _by_every_door(
    runtime: Runtime, drafts: list[Any]
) -> tuple[list[Merchant], list[Told], list[Told], list[Told]]:
    """(a merchant for each door, what ``import``, a list and one by one were told). Both executors tell lists the same."""
    events = [camel(one) for one in drafts]
    by_import, in_lists, in_lists_compiled, alone = those = [new_merchant(runtime, meta=False) for _ in range(4)]
    imported = _imported(runtime, by_import, drafts)
    async with doors(runtime) as both:
        listed = await _in_lists(Api(both.plain, in_lists.key), events)
        compiled = await _in_lists(Api(both.compiled, in_lists_compiled.key), events)
        single = await _one_by_one(Api(both.compiled, alone.key), events)
    assert compiled == listed
    return those, imported, listed, single


async def test_every_field_takes_the_same_by_every_door(runtime: Runtime) -> None:
    cases = [(place, value) for place in PLACES for value in VALUES]
    drafts = [spoilt(number, place, value) for number, (place, value) in enumerate(cases)]
    merchants, imported, listed, single = await _by_every_door(runtime, drafts)
    by_import, in_lists, in_lists_compiled, alone = merchants
    asked = [(".".join(place), value) for place, value in cases]
    assert [found for found in zip(asked, imported, listed, strict=True) if found[1] != found[2]] == []
    assert [found for found in zip(asked, listed, single, strict=True) if found[1] != found[2]] == []
    stored = _stored(by_import)
    # The event ids 5 and "5" are one.
    assert len(stored) == sum(is_taken for is_taken, _ in imported) - 1 > 500
    for merchant in (in_lists, in_lists_compiled, alone):
        found = _stored(merchant)
        assert {name: (row, found.get(name)) for name, row in stored.items() if found.get(name) != row} == {}
        assert found.keys() == stored.keys()


WORDS: list[Any] = [
    None, True, False, 0, 1, -1, 2.5, 3.0, -0.0, 2**31, 2**63, 2**64, 10**25, 1e300, "", "  ", "x", "2", "2.5", "null", " sku ",
    "jane@example.com", "①" * 14, "XXX", "usd", "12345678901234.5678", "-0", "1e5", "NaN", "{{id}}",
]  # fmt: skip


def _anything(chance: Random, depth: int = 2) -> Any:
    kind = chance.randrange(10) if depth else 0
    if kind < 7:
        return chance.choice(WORDS)
    if kind == 7:
        return [_anything(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = ("id", "quantity", "item_price", "brand", "size")
    found = {name: _anything(chance, depth - 1) for name in names if chance.random() < 0.3}
    return found if kind == 8 else {"id": "a", **found}


def _strange(number: int, chance: Random) -> dict[str, Any]:
    """An event with something odd in one to three places."""
    event = draft(f"order_{number}", device={}, consent={})
    for _ in range(chance.randrange(1, 4)):
        place = chance.choice(PLACES)
        if len(place) == 1:
            if place[0] != "event_id":
                event[place[0]] = _anything(chance)
        elif isinstance(part := event.get(place[0]), dict):
            if len(place) == 2:
                part[chance.choice((place[1], place[1], place[1], "colour"))] = _anything(chance)
            elif isinstance(lines := part.setdefault("contents", []), list):
                lines.append({"id": "a", place[2]: _anything(chance)})
    return event


async def test_events_that_are_odd_in_several_places_are_judged_alike_by_every_door(runtime: Runtime) -> None:
    chance = Random(1129)
    drafts = [_strange(number, chance) for number in range(1200)]
    merchants, imported, listed, single = await _by_every_door(runtime, drafts)
    by_import, in_lists, in_lists_compiled, alone = merchants
    # Of several lines, the API names unknown fields first.
    different = [
        found
        for found in zip(drafts, imported, listed, strict=True)
        if (found[1][0], sorted(found[1][1])) != (found[2][0], sorted(found[2][1]))
    ]
    assert different == []
    assert [found for found in zip(drafts, listed, single, strict=True) if found[1] != found[2]] == []
    stored = _stored(by_import)
    assert len(stored) == sum(is_taken for is_taken, _ in imported) > 100
    assert _stored(in_lists) == _stored(in_lists_compiled) == _stored(alone) == stored


async def test_null_for_a_choice_is_nothing_where_something_else_is_written_otherwise(runtime: Runtime) -> None:
    event = camel(draft(action_source=None, consent={"ad_user_data": None}, custom_data={"num_items": "3"}))
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled):
            api = Api(client, new_merchant(runtime, meta=False).key)
            assert await _in_lists(api, [event]) == await _one_by_one(api, [event]) == [(True, [])]
