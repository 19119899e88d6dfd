"""Generated operations on our own schema, through the door with plans and the door without: the same answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from tests.doors import DROPS_COROUTINES, Doors, doors
from tests.factories import Api, Merchant, camel, draft, events_among, new_merchant
from tests.operations import Writer
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction
from tracklayer.runtime import Runtime
from tracklayer.schema import ids, schema
from tracklayer.services.deliver import deliver_due
from tracklayer.services.ingest import ingest_events

pytestmark = DROPS_COROUTINES

GRAPHQL = schema._schema
QUERIES, INGESTS = 500, 400
TEXTS = [
    "order_1",
    "order_2",
    "Purchase",
    "jane@example.com",
    " Jane@Gmail.com ",
    "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0",
    "+1 650 555 0123",
    "USD",
    "https://shop.example.com/ü",
    "",
    "  ",
    "nul\x00",
    "4111 1111 1111 1111",
    "129.99",
    "x" * 300,
]
WORDS: dict[str, list[Any]] = {
    "String": TEXTS,
    "ID": ["x", ids.encode("Event", 1, "order_1"), ids.encode("Delivery", 1, "order_1", "meta"), ids.encode("Nope", 1)],
    "Int": [0, 1, 2, 50, 1000, -1, 2**31 - 1],
    "Float": [1.5, 2.0, 3],
    "Boolean": [True, False],
    "DateTime": [
        "2026-11-20T14:00:00Z",
        "2026-11-20t15:00:00+01:00",
        "2026-11-20T14:00:00",
        "never",
        "2026-11-21T15:00:00Z",
    ],
    "Decimal": [1, 129.99, "129.99", "1e400", "NaN", True],
    "JSON": [{"a": 1, "b": "x"}, {"cvv": "123"}, {"a": [1]}, "x", 5, [], {}],
}


def _generated(kind: str, count: int, pick: Callable[[Random], Sequence[str]]) -> Iterator[tuple[int, str, Any]]:
    """(seed, text, variables) of operations on the root fields that ``pick`` names."""
    root = GRAPHQL.query_type if kind == "query" else GRAPHQL.mutation_type
    assert root is not None
    for seed in range(count):
        random = Random(seed)
        writer = Writer(GRAPHQL, random, WORDS)
        operation = writer.operation(root, pick(random), kind)
        yield seed, operation.text, writer.values(operation, random.choice([0, 0, 0.1]))


async def _ask(both: Doors, text: str, variables: Any, keys: tuple[str, str]) -> tuple[Any, Any]:
    """Statuses and answers, the first by the plain door. The other has a plan already, where there can be one."""
    for _ in range(2):
        both.plans.find(None, text, None)
    found = []
    for client, key in zip((both.plain, both.compiled), keys, strict=True):
        answer = await Api(client, key).post(text, variables)
        found.append((answer.status_code, _sorted(answer.json())))
    return found[0], found[1]


def _sorted(answer: Any) -> Any:
    """Which of several errors comes first is nobody's promise; the order of the fields is."""
    errors = sorted(json.dumps(error) for error in answer.get("errors", ()))
    if answer.get("data", "none") is None and all("path" in error for error in answer["errors"]):
        # Any of the fields that failed takes the whole answer with it, and which is told is nobody's promise either.
        errors = [str(error["extensions"]["code"]) for error in answer["errors"][:1]]
    return json.dumps(answer.get("data", "none")), errors


async def test_generated_queries_are_answered_alike(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(1, 6)])
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}", event_name="Lead") for n in range(6, 9)])
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, platform, title, message, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'critical', 'meta', 'Meta is down', 'It is.', %s, %s)",
            (merchant.merchant_id, clock.now(), clock.now()),
        )
    ways: Counter[str] = Counter()
    fields = list(GRAPHQL.query_type.fields)  # type: ignore[union-attr]
    async with doors(runtime) as both:
        for seed, text, variables in _generated("query", QUERIES, lambda r: r.sample(fields, r.choice([1, 1, 2]))):
            plain, compiled = await _ask(both, text, variables, (merchant.key, merchant.key))
            assert compiled == plain, (seed, text, variables)
            ways[_way(both, text, plain)] += 1
    assert ways["plan"] > QUERIES / 4, ways
    assert ways["plan with errors"] > QUERIES / 10, ways


async def test_generated_events_are_taken_in_alike(runtime: Runtime) -> None:
    """Of two merchants, one at each door, to whom the same things happen; repeats and conflicts among them."""
    left, right = new_merchant(runtime), new_merchant(runtime)
    ways: Counter[str] = Counter()
    async with doors(runtime) as both:
        for seed, text, variables in _generated(
            "mutation", INGESTS, lambda r: [r.choice(["ingestEvent", "ingestEvents"])]
        ):
            random = Random(seed)
            for given in events_among(variables):
                if random.random() < 0.7:  # a good one but for a field or two: hardly another would be taken
                    odd = random.sample(list(given.items()), min(len(given), random.choice([0, 1, 2])))
                    given.clear()
                    given.update({**camel(draft()), **dict(odd)})
                given["eventId"] = random.choice(["order_1", "order_2", f"order_{seed}"])
            plain, compiled = await _ask(both, text, variables, (left.key, right.key))
            assert _anyones(compiled) == _anyones(plain), (seed, text, variables)
            ways[_way(both, text, plain)] += 1
            ways.update(word for word in ("ACCEPTED", "COALESCED", "REJECTED") if word in plain[1][0])
    assert ways["plan"] > INGESTS / 4, ways
    assert min(ways["ACCEPTED"], ways["COALESCED"], ways["REJECTED"]) > 10, ways


def _way(both: Doors, text: str, answer: Any) -> str:
    if both.plans.find(None, text, None) is None:
        return "no plan"
    return "plan with errors" if answer[1][1] else "plan"


def _anyones(answer: Any) -> Any:
    """An answer without what tells two merchants apart."""
    status, (data, errors) = answer
    return status, _strip(json.loads(data)), errors


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _strip(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [_strip(item) for item in value]
    found = ids.decode(value) if isinstance(value, str) and value else None
    return value if found is None else ("id", found[0], found[1][1:])
