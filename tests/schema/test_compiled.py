"""Compiled operations answer as the stock executor does: the same data, the same errors, the same calls."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from types import FrameType
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, GraphQLError, GraphQLInputObjectType, GraphQLNonNull, parse, validate
from graphql.utilities import coerce_input_value
from hypothesis import given
from hypothesis import strategies as st
from strawberry import ID, Info
from strawberry.types.arguments import convert_argument

from tests.doors import DROPS_COROUTINES, doors
from tests.drawing import drawn
from tests.factories import INGEST, INGEST_MANY, Api, Merchant, camel, draft, new_merchant
from tests.operations import Writer
from tracklayer.runtime import Runtime
from tracklayer.schema import checked, schema
from tracklayer.schema.compiled.coercion import MOST_SHAPES, Drafted, Inputs, _judged_alone, by_shape, take_drafts
from tracklayer.schema.compiled.plans import MAX_SEEN, MAX_TEXT, SHARE, Checked, Plans
from tracklayer.schema.compiled.running import Plan
from tracklayer.schema.compiled.source import MISSING, Doubt, Source
from tracklayer.schema.cost import measure
from tracklayer.schema.inputs import IngestEventInput, to_draft
from tracklayer.schema.scalars import CONFIG, JSON

pytestmark = DROPS_COROUTINES


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.input
class PlainInner:
    name: str
    count: int | None = 1
    colour: Colour = Colour.BLUE


@strawberry.input
class Plain:
    """Without a draft."""

    text: str
    ident: ID | None = None
    number: int = 3
    ratio: float | None = None
    flag: bool | None = False
    must: bool = True
    colour: Colour | None = Colour.RED
    colours: list[Colour] | None = None
    words: list[str | None] | None = None
    matrix: list[list[int]] | None = None
    inner: PlainInner | None = None
    inners: list[PlainInner] | None = None
    anything: JSON | None = None
    bare: str | None
    unset: str | None = strawberry.UNSET


@strawberry.input
class Inner(PlainInner, Drafted):
    """The same with a draft."""


@strawberry.input
class Filter(Plain, Drafted):
    """The same with a draft."""

    inner: Inner | None = None
    inners: list[Inner] | None = None  # type: ignore[assignment]


@dataclass
class Seen:
    """The context: what was called, and how often."""

    calls: list[Any] = field(default_factory=list)


# Values of a `Leaf` by its number: what fits, what graphql-core converts, and what it refuses.
NUMBERS: list[Any] = [1, 2**31, True, "7", 2.0, 2.5, None, -5, ValueError("broken"), object()]
TEXTS: list[Any] = ["a", "", 5, True, None, ["a"], ValueError("broken"), 1.5, "ü"]
COLOURS: list[Any] = [Colour.RED, Colour.BLUE, None, "red", "green", 5]
LISTS: list[Any] = [["a"], [], ("a", "b"), None, "ab", 5, [None], ["a", 5], {"a"}]


@strawberry.interface
class Thing:
    ident: ID


@strawberry.type
class Stone(Thing):
    weight: float


@strawberry.type
class Leaf(Thing):
    seed: strawberry.Private[int]
    text: str
    maybe: str | None
    number: int
    flag: bool
    colour: Colour | None
    must_colour: Colour
    tags: list[str]
    maybe_tags: list[str | None] | None
    details: JSON

    @strawberry.field
    def child(self, info: Info, step: int = 1) -> Leaf | None:
        info.context.calls.append(("child", step))
        return leaf(self.seed + step) if self.seed % 3 else None

    @strawberry.field
    def oddity(self) -> str:
        found: str = TEXTS[self.seed % len(TEXTS)]
        return found

    @strawberry.field
    async def slow(self, info: Info, filter: Filter | None = None) -> Leaf | None:
        info.context.calls.append(("slow", to_draft(filter)))
        await asyncio.sleep(0)
        if self.seed % 7 == 6:
            raise ValueError("slow")
        return leaf(self.seed + 2)

    @strawberry.field
    async def slow_must(self, info: Info) -> Leaf:
        info.context.calls.append("slow_must")
        if self.seed % 5 == 4:
            raise GraphQLError("no", extensions={"code": "NO"})
        return leaf(self.seed + 3) if self.seed % 4 else None  # type: ignore[return-value]

    @strawberry.field
    async def several(self, info: Info, first: int = 2) -> list[Leaf]:
        info.context.calls.append(("several", first))
        return [leaf(self.seed + index) for index in range(first % 4)]

    @strawberry.field
    async def things(self) -> list[Thing | None]:
        found: list[Thing | None] = [leaf(self.seed + 1), None, Stone(ident=ID("s"), weight=1.5)]
        return found[: self.seed % 4]

    @strawberry.field
    async def grid(self) -> list[list[int]]:
        return [[1, 2], [], [NUMBERS[self.seed % len(NUMBERS)]]]


def leaf(seed: int) -> Leaf:
    """Whole in two cases of three; otherwise something is odd about it."""
    odd = seed % 3 == 2
    return Leaf(
        ident=ID(str(seed)),
        seed=seed,
        text=TEXTS[seed % len(TEXTS)] if odd else "text",
        maybe=TEXTS[(seed + 1) % len(TEXTS)] if odd else None,
        number=NUMBERS[seed % len(NUMBERS)] if odd else seed,
        flag=NUMBERS[(seed + 3) % len(NUMBERS)] if odd else seed % 2 == 0,
        colour=COLOURS[seed % len(COLOURS)] if odd else Colour.BLUE,
        must_colour=COLOURS[(seed + 2) % len(COLOURS)] if odd else Colour.RED,
        tags=LISTS[seed % len(LISTS)] if odd else ["x"],
        maybe_tags=LISTS[(seed + 4) % len(LISTS)] if odd else None,
        details=JSON({"a": [seed]} if seed % 4 else None),
    )


@strawberry.type
class Query:
    @strawberry.field
    async def leaf(self, info: Info, seed: int = 1) -> Leaf | None:
        info.context.calls.append(("leaf", seed))
        if seed % 11 == 10:
            raise ValueError("root")
        return leaf(seed) if seed % 6 != 5 else None

    @strawberry.field
    async def leaves(self, info: Info, filter: Filter, plain: Plain | None = None) -> list[Leaf]:
        info.context.calls.append(("leaves", to_draft(filter), repr(plain), to_draft(plain)))
        return [leaf(index) for index in range(abs(to_draft(filter).get("number", 3)) % 5)]

    @strawberry.field
    async def thing(self, info: Info, ident: ID, plains: list[Plain] | None = None) -> Thing | None:
        info.context.calls.append(("thing", ident, repr(plains)))
        return {"s": Stone(ident=ID("s"), weight=2.0), "l": leaf(1)}.get(ident)

    @strawberry.field
    async def echo(
        self, info: Info, colours: list[Colour] | None = None, name: str = "you", many: int | None = 2
    ) -> str:
        info.context.calls.append(("echo", colours, name, many))
        return f"{name} {many}"

    @strawberry.field
    def at_once(self, info: Info) -> str:
        info.context.calls.append("at_once")
        return "now"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def plant(self, info: Info, filter: Filter, seed: int = 1) -> Leaf:
        info.context.calls.append(("plant", seed, to_draft(filter)))
        return leaf(seed)

    @strawberry.mutation
    async def burn(self, info: Info) -> str:
        info.context.calls.append("burn")
        raise ValueError("burnt")


class Schema(strawberry.Schema):
    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Not logged: most operations here are meant to fail."""


SCHEMA = Schema(query=Query, mutation=Mutation, types=[Stone, Leaf], config=CONFIG)
take_drafts(SCHEMA)
GRAPHQL = SCHEMA._schema
WORDS: dict[str, list[Any]] = {
    "String": ["a", "jane@example.com", "", "ü\x00"],
    "ID": ["s", "l", "x"],
    "Int": [0, 1, 2, 3, 4, 5, 10, 2**31 - 1, -(2**31)],
    "Float": [1.5, 2.0, 3],
    "Boolean": [True, False],
    "JSON": [{"a": [1, None, {"b": 2}]}, [1], "x", 5, [], True],
}


def check(text: str, name: str | None) -> Checked | None:
    document = parse(text, no_location=True)
    return None if validate(GRAPHQL, document) else Checked(document, measure(GRAPHQL, document, name))


def plan_of(text: str, name: str | None = None) -> Plan | None:
    plans = Plans(SCHEMA, check)
    assert plans.find(1, text, name) is None
    return plans.find(1, text, name)


async def both(text: str, variables: dict[str, Any], name: str | None = None) -> str:
    """Which way it went: "stock" (no plan), "doubt", "plan", or "replay". Fails where the two differ."""
    stock_seen = Seen()
    stock = await SCHEMA.execute(text, variables, stock_seen, operation_name=name)
    plan = plan_of(text, name)
    if plan is None:
        return "stock"
    seen = Seen()
    try:
        found = await plan.run(variables, seen)
    except Doubt:
        assert seen.calls == []
        found = await plan.run_stock(variables, seen)
        assert _worded(found.data, found.errors) == _worded(stock.data, stock.errors), text
        return "doubt"
    if isinstance(found, ExecutionResult):
        assert _worded(found.data, found.errors) == _worded(stock.data, stock.errors), text
        roots = {"leaf", "leaves", "thing", "echo", "plant", "burn"}
        assert _names(seen.calls, roots) == _names(stock_seen.calls, roots), text
        return "replay"
    assert stock.errors is None, text
    assert repr(found) == repr(stock.data), text  # the order of the fields too, and True is not 1
    # Which of two neighbours is called first is nobody's promise.
    assert sorted(map(repr, seen.calls)) == sorted(map(repr, stock_seen.calls)), text
    return "plan"


def _worded(data: Any, errors: list[GraphQLError] | None) -> Any:
    return repr(data), sorted(repr(error.formatted) for error in errors or ())


def _names(calls: list[Any], wanted: set[str]) -> Counter[str]:
    names = [call if isinstance(call, str) else call[0] for call in calls]
    return Counter(name for name in names if name in wanted)


def test_more_than_a_thousand_operations_are_answered_as_the_stock_executor_does() -> None:
    ways: Counter[str] = Counter()

    @drawn(400)
    @given(seed=st.integers(0, 2**63))
    def hold(seed: int) -> None:
        asyncio.run(_hold_some(Random(seed), ways))

    hold()
    # An executor that always gave up would be the stock one, and this test would show nothing.
    assert ways["plan"] > 300
    assert ways["replay"] > 200
    assert ways["doubt"] > 50


async def _hold_some(random: Random, ways: Counter[str]) -> None:
    writer = Writer(GRAPHQL, random, WORDS)
    kind = random.choice(["query", "query", "mutation"])
    root = GRAPHQL.query_type if kind == "query" else GRAPHQL.mutation_type
    assert root is not None
    names = [name for name in root.fields if name != "atOnce"]
    operation = writer.operation(root, random.sample(names, random.choice([1, 1, 2]) if kind == "query" else 1), kind)
    for wrong in (0, 0, 0.1):
        ways[await both(operation.text, writer.values(operation, wrong))] += 1
    # graphql-core lets the neighbours of a field that failed run on behind its back.
    left = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*left, return_exceptions=True)


LEAVES = "query($f: Filter!) { leaves(filter: $f) { ident } }"


@pytest.mark.parametrize(
    ("given", "way"),
    [
        pytest.param({"text": "a"}, "plan", id="defaults"),
        pytest.param({"text": "a", "ident": None, "unset": None, "flag": None, "bare": None}, "plan", id="nulls"),
        pytest.param(
            {"text": "a", "inner": {"name": "x"}, "inners": [{"name": "y", "count": None}]}, "plan", id="nested"
        ),
        pytest.param({"text": "a", "colour": "BLUE", "colours": ["RED", "BLUE"]}, "plan", id="enums"),
        pytest.param(
            {"text": "a", "anything": [{"a": [1]}], "matrix": [[1], []], "words": [None, "x"]}, "plan", id="lists"
        ),
        pytest.param({"text": None}, "doubt", id="null for what is needed"),
        pytest.param({}, "doubt", id="without what is needed"),
        pytest.param({"text": "a", "must": None}, "doubt", id="null where there is a default"),
        pytest.param({"text": "a", "colour": "blue"}, "doubt", id="an enum in the wrong case"),
        pytest.param({"text": "a", "colours": "RED"}, "doubt", id="a list of one"),
        pytest.param({"text": "a", "number": 3.0}, "plan", id="3.0"),
        pytest.param({"text": "a", "number": 2**40}, "doubt", id="2^40"),
        pytest.param({"text": "a", "number": True}, "doubt", id="true for a number"),
        pytest.param({"text": "a", "ident": 5}, "doubt", id="a number for an ID"),
        pytest.param({"text": "a", "nobodyKnows": 1}, "doubt", id="an unknown field"),
        pytest.param({"text": "a", "inner": {"name": "x", "more": 1}}, "doubt", id="an unknown field further in"),
        pytest.param([{"text": "a"}], "doubt", id="a list for an object"),
    ],
)
async def test_what_needs_no_conversion_is_coerced_here_and_all_else_by_the_stock_executor(
    given: Any, way: str
) -> None:
    assert await both(LEAVES, {"f": given}) == way


@pytest.mark.parametrize(
    ("text", "variables", "way"),
    [
        pytest.param("{ a: leaf(seed: 1) { b: ident } __typename }", {}, "plan", id="aliases and __typename"),
        pytest.param('{ echo(name: "x", colours: [RED]) }', {}, "plan", id="literals"),
        pytest.param(
            'query($n: Int! = 4) { leaves(filter: {text: "x", number: $n}) { ident } }', {}, "plan", id="inside"
        ),
        pytest.param("query($n: Int) { leaf(seed: $n) { ident } }", {}, "plan", id="a variable that is not sent"),
        pytest.param("query($n: Int) { leaf(seed: $n) { ident } }", {"n": None}, "replay", id="null for a default"),
        pytest.param("{ leaf { ...F ... { flag } } } fragment F on Leaf { number flag }", {}, "plan", id="fragments"),
        pytest.param("query($s: Boolean!) { leaf { ident flag @skip(if: $s) } }", {"s": True}, "plan", id="@skip"),
        pytest.param('{ thing(ident: "s") { ident ... on Stone { weight } } }', {}, "plan", id="an interface"),
        pytest.param("{ leaf(seed: 10) { ident } echo }", {}, "replay", id="a root field that fails"),
        pytest.param("{ leaf(seed: 4) { slowMust { ident } ident } }", {}, "replay", id="null where none may be"),
        pytest.param("{ atOnce }", {}, "stock", id="a root field that is not asynchronous"),
        pytest.param("{ __schema { queryType { name } } }", {}, "stock", id="introspection"),
        pytest.param("mutation { a: burn b: burn }", {}, "stock", id="several mutations"),
    ],
)
async def test_every_form_of_an_operation_is_answered_alike(text: str, variables: Any, way: str) -> None:
    assert await both(text, variables) == way


async def test_wrong_variables_of_a_known_text_are_told_without_validating_it_again(api: Api) -> None:
    text = "mutation($i: IdentifyInput!) { identify(input: $i) { ok } }"
    first = await api.post(text, {"i": {"email": "jane@example.com"}})
    validations = 0

    def seen(frame: FrameType, event: str, called: Any) -> None:
        nonlocal validations
        validations += event == "call" and frame.f_code is validate.__code__

    await api.post(text, {"i": {"email": "jane@example.com"}})  # makes its plan
    sys.setprofile(seen)
    try:
        known = await api.post(text, {"i": {"email": "jane@example.com"}})
    finally:
        sys.setprofile(None)
    assert validations == 0
    assert (known.status_code, known.json()) == (first.status_code, first.json())
    assert known.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert "jane" not in known.text


async def test_a_mutation_that_fails_further_in_is_not_called_twice() -> None:
    plan = plan_of('mutation { plant(filter: {text: "x"}, seed: 4) { slowMust { ident } } }')
    assert plan is not None
    seen = Seen()
    found = await plan.run({}, seen)
    assert isinstance(found, ExecutionResult)
    assert found.errors is not None
    assert [error.path for error in found.errors] == [["plant", "slowMust"]]
    assert _names(seen.calls, {"plant"}) == {"plant": 1}


def test_a_plan_gives_what_was_sent_where_a_draft_is_asked_for_and_else_an_instance() -> None:
    plan = plan_of("query($f: Filter!, $p: Plain) { leaves(filter: $f, plain: $p) { ident } }")
    assert plan is not None
    draft, built = plan._coerce(
        {"f": {"inner": {"name": "x"}, "text": "a"}, "p": {"text": "a", "inner": {"name": "x"}}}
    )
    assert draft == to_draft(draft) == {"text": "a", "inner": {"name": "x"}}
    assert list(draft) == ["text", "inner"]
    plain = Plain(text="a", inner=PlainInner(name="x"), bare=None)
    assert built == plain
    assert vars(built) == vars(plain)


def test_a_draft_is_the_same_whether_its_shape_was_seen_before_or_not() -> None:
    type_, random = schema._schema.type_map["IngestEventInput"], Random(7)
    assert isinstance(type_, GraphQLInputObjectType)
    inputs = Inputs(schema)
    coerce = inputs.variables(Source(), [("i", GraphQLNonNull(type_), MISSING)])
    whole = camel(
        draft(
            user_data={"email": "jane@example.com", "emails": ["j@example.com"], "city": "Bonn", "gender": "f"},
            custom_data={
                "value": 1,
                "numItems": 2,
                "contents": [{"id": "a", "quantity": 1}, {"id": "b"}],
                "status": "x",
            },
            consent={"ad_user_data": "denied", "limited_data_use": True},
            action_source="app",
            event_source_url=None,
        )
    )
    odd: tuple[Any, ...] = (None, 1, 2.0, "", True, "GRANTED", [], {}, [None])

    def some(value: Any) -> Any:
        if isinstance(value, list):
            return [some(one) for one in value]
        if not isinstance(value, dict):
            return value
        names = random.sample(list(value), random.randint(0, len(value))) if random.random() < 0.5 else list(value)
        return {name: random.choice(odd) if random.random() < 0.04 else some(value[name]) for name in names}

    stock, shapes = _judged_alone(schema, type_, IngestEventInput), set[str]()
    for _ in range(1500):
        sent = some(whole)
        expected = repr(stock(sent))
        assert [repr(coerce({"i": sent})[0]) for _ in range(2)] == [expected, expected]
        shapes.add(str(expected.startswith("Misfit")))
    assert shapes == {"True", "False"}
    crowd = by_shape(lambda sent: dict(sent), [(str(place), str(place), None) for place in range(MOST_SHAPES + 9)])
    for place in range(MOST_SHAPES + 8):
        sent = {str(place): 1, str(place + 1): ""}
        assert crowd(sent) == crowd(sent) == sent


def test_events_are_drafts_for_the_stock_executor_too() -> None:
    """Strawberry's own conversion takes seconds for a basket of thousands of lines."""
    sent = camel(draft(custom_data={"contents": [{"id": "a", "quantity": 1}], "properties": {"list": [1]}}, consent={}))
    type_ = schema._schema.type_map["IngestEventInput"]
    assert isinstance(type_, GraphQLInputObjectType)
    registry = schema.schema_converter.scalar_registry
    found = convert_argument(coerce_input_value(sent, type_), IngestEventInput, registry, schema.config)
    assert type(found) is dict
    assert found["custom_data"] == {"contents": [{"id": "a", "quantity": 1}], "properties": {"list": [1]}}
    assert found["consent"] == {}
    assert list(found)[:4] == ["event_name", "event_id", "occurred_at", "event_source_url"]


def test_a_default_of_the_schema_is_no_part_of_a_draft_and_the_same_value_is_where_it_was_sent() -> None:
    """A basket of ten thousand lines is measured as it was sent."""
    said: dict[str, Any] = {
        "action_source": "website",
        "custom_data": {"contents": [{"id": "a", "quantity": 1}]},
        "consent": {"ad_user_data": "unspecified", "ad_personalization": "unspecified", "limited_data_use": False},
    }
    unsaid: dict[str, Any] = {"custom_data": {"contents": [{"id": "a"}]}, "consent": {}}
    type_ = schema._schema.type_map["IngestEventInput"]
    assert isinstance(type_, GraphQLInputObjectType)
    registry = schema.schema_converter.scalar_registry
    text = "mutation($input: IngestEventInput!) { ingestEvent(input: $input) { outcome } }"
    plans = Plans(schema, checked)
    plans.find(1, text, None)
    plan = plans.find(1, text, None)
    assert plan is not None
    for parts in (said, unsaid):
        sent = camel(draft(**parts))
        if parts is said:
            sent["actionSource"] = "WEBSITE"
            sent["consent"] |= {"adUserData": "UNSPECIFIED", "adPersonalization": "UNSPECIFIED"}
        stock: Any = convert_argument(coerce_input_value(sent, type_), IngestEventInput, registry, schema.config)
        (compiled,) = plan._coerce({"input": sent})
        assert {name: stock[name] for name in stock if name in said} == parts
        assert compiled == stock


def test_a_text_is_compiled_when_its_sender_sends_it_again() -> None:
    plans = Plans(SCHEMA, check)
    texts = [f"{{ a{index}: leaf {{ ident }} }}" for index in range(MAX_SEEN + 1)]
    assert [plans.find(1, text, None) for text in texts] == [None] * len(texts)
    assert len(plans) == 0
    assert plans.find(2, texts[-1], None) is None  # another saw it
    plan = plans.find(1, texts[-1], None)
    assert plan is not None
    assert plans.find(2, texts[-1], None) is plan  # a plan that is there is everybody's
    assert plans.find(1, texts[0], None) is None  # too long ago
    long = f"{{ leaf {{ ident }} }} #{'x' * MAX_TEXT}"
    assert [plans.find(1, long, None) for _ in range(3)] == [None] * 3
    size = plans.size
    assert [plans.find(1, texts[0], "x" * 4_000_000) for _ in range(3)] == [None] * 3
    assert plans.size == size


def _made(plans: Plans, owner: int, text: str) -> None:
    plans.find(owner, text, None)
    plans.find(owner, text, None)


def test_whoever_floods_the_plans_pushes_out_his_own_alone() -> None:
    one = Plans(SCHEMA, check)
    _made(one, 1, "{ a0: leaf { ident } }")
    room = one.size * 3 * SHARE  # about three plans an owner
    plans = Plans(SCHEMA, check, room)
    _made(plans, 1, "{ a0: leaf { ident } }")
    for index in range(1, 200):
        _made(plans, 2, f"{{ a{index}: leaf {{ ident }} }}")
        assert plans.size <= room
    assert len(plans) <= 1 + 3
    assert plans.find(1, "{ a0: leaf { ident } }", None) is not None
    for owner in range(3, 60):
        _made(plans, owner, f"{{ b{owner}: leaf {{ ident }} }}")
        assert plans.size <= room
    assert plans.find(59, "{ b59: leaf { ident } }", None) is not None


def _let_go_of_all(plans: Plans) -> None:
    while plans._owners[1].keys:
        plans._let_go_of_one(plans._owners[1])


def weigh() -> None:
    """Prints what is held with all plans in place, what they say that they weigh, and what each turn leaves behind."""
    fields = "ident text maybe number flag colour mustColour tags maybeTags details oddity"
    inner = f"{fields} child {{ {fields} slow {{ {fields} several {{ {fields} }} }} }}"
    plans = Plans(SCHEMA, check)
    gc.collect()
    tracemalloc.start()
    held, told, left = 0, 0, []
    for turn in range(3):  # what all plans share, and what Python remembers of names, is there after the first
        for index in range(30):
            text = f"query($f: Filter) {{ a{turn}_{index}: leaf {{ {inner} slow(filter: $f) {{ {fields} }} }} }}"
            _made(plans, 1, text)
        gc.collect()  # what graphql-core leaves of validating them
        gc.disable()  # an evicted plan must be gone by itself
        held, told = tracemalloc.get_traced_memory()[0], plans.size
        _let_go_of_all(plans)
        left.append(tracemalloc.get_traced_memory()[0])
        gc.enable()
    print(json.dumps([held, told, left]))


def test_a_plan_weighs_what_it_says_and_leaves_nothing_behind() -> None:
    # In a process of its own: what threads of earlier tests allocate and collect meanwhile would be measured with it.
    code = f"from {__name__} import weigh; weigh()"
    held, told, left = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert (held - left[-1]) / 2 < told < (held - left[-1]) * 2, (held, left, told)
    assert left[-1] - left[-2] < told / 10, (left, told)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ ", id="no document"),
        pytest.param("{ nope }", id="an unknown field"),
        pytest.param(
            "{ events { edges { node " + "{ deliveries { event " * 6 + "{ id }" + " } }" * 6 + " } } }", id="deep"
        ),
        pytest.param("{ " + " ".join(f"a{n}: platforms {{ title }}" for n in range(31)) + " }", id="aliases"),
        pytest.param("{ platforms { " + "title " * 5001 + "} }", id="tokens"),
    ],
)
def test_what_the_schema_refuses_has_no_plan(text: str) -> None:
    plans = Plans(schema, checked)
    assert [plans.find(1, text, None) for _ in range(3)] == [None] * 3


REQUESTS = [
    pytest.param(INGEST, {"input": camel(draft(custom_data={"value": 1, "currency": "EURO"}))}, id="rejected"),
    pytest.param(INGEST, {"input": {**camel(draft()), "userData": {"emial": "jane@example.com"}}}, id="unknown field"),
    pytest.param(INGEST, {"input": {**camel(draft()), "actionSource": "website"}}, id="wrong case"),
    pytest.param(INGEST_MANY, {"inputs": []}, id="an empty batch"),
    pytest.param(INGEST_MANY, {"inputs": camel([draft(occurred_at="never")])}, id="a batch"),
    pytest.param(
        "{ merchant { name destinations { platform state waiting } } platforms { title } }", {}, id="two roots"
    ),
    pytest.param(
        "{ events { edges { node { eventId deliveries { held alerts { id } event { id } } } } } }", {}, id="reads"
    ),
    pytest.param("query($n: Int) { events(first: $n) { edges { cursor } } }", {"n": 0}, id="a page of none"),
    pytest.param('{ events(after: "x") { edges { cursor } } }', {}, id="a bad cursor"),
    pytest.param("query($id: ID!) { node(id: $id) { id } }", {"id": "x"}, id="a node that is not there"),
]


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize("key", ["good", "wrong", "none"])
@pytest.mark.parametrize(("text", "variables"), REQUESTS)
async def test_the_door_answers_the_same_bytes_with_and_without_plans(
    runtime: Runtime,
    merchant: Merchant,
    caplog: pytest.LogCaptureFixture,
    text: str,
    variables: Any,
    key: str,
    accept: str,
) -> None:
    headers = {"accept": accept}
    if key != "none":
        headers["authorization"] = f"Bearer {merchant.key if key == 'good' else 'tl_wrong'}"
    answers = []
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled):
            for _ in range(3):
                caplog.clear()
                with caplog.at_level(logging.DEBUG, logger="peewee"):
                    answer = await client.post(
                        "/graphql", json={"query": text, "variables": variables}, headers=headers
                    )
                statements = [r for r in caplog.records if r.name == "peewee" and "SELECT 1" not in r.getMessage()]
            answers.append((answer.status_code, answer.headers.raw, answer.content, len(statements)))
    assert answers[0] == answers[1]
    assert (both.plans.find(merchant.merchant_id, text, None) is not None) == (key == "good")  # nothing of a stranger's
    assert b"jane@example.com" not in answers[1][2]


async def test_a_key_is_asked_for_once_a_second_and_a_change_of_its_merchant_counts_at_once(
    runtime: Runtime, merchant: Merchant, api: Api
) -> None:
    await api("{ merchant { name } }")
    assert len(runtime.keyring) == 1
    assert (await api.post("{ merchant { name } }", key="tl_wrong")).status_code == 401
    assert len(runtime.keyring) == 1
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    await other("{ merchant { name } }")
    await api("mutation { updateMerchant(input: {hashUserData: false}) { userErrors { code } } }")
    assert len(runtime.keyring) == 1  # the other merchant's
    begun = runtime.keyring.begin()
    holder = merchant.holder
    runtime.keyring.forget(merchant.merchant_id)
    runtime.keyring.keep(b"hash", holder, runtime.clock.now(), begun)  # read before the change: not kept
    assert runtime.keyring.find(b"hash", runtime.clock.now()) is None
