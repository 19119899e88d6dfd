"""What an operation costs is known before anything else, whatever the document does to hide it."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError, get_introspection_query, parse

from tracklayer.schema import schema
from tracklayer.schema.cost import MAX_COST, Measured, measure

PLATFORMS = 10
EVERYDAY = """query($n: Int) { events(first: $n) { pageInfo { endCursor } edges { node {
  eventId deliveries { platform status explanation { summary } } } } } }"""


def measured(text: str, name: str | None = None) -> Measured:
    return measure(schema._schema, parse(text), name)


def cost(text: str, **variables: Any) -> int:
    return measured(text).cost.of(variables)


@pytest.mark.parametrize(
    ("text", "variables", "objects"),
    [
        pytest.param("{ __typename }", {}, 0, id="nothing"),
        pytest.param("{ merchant { name alertEmails } }", {}, 1, id="an object"),
        pytest.param("{ platforms { title } }", {}, PLATFORMS, id="a list"),
        pytest.param("{ events { pageInfo { endCursor } } }", {}, 2, id="a page without its rows"),
        pytest.param("{ events { edges { cursor } } }", {}, 1 + 50, id="a page by its default"),
        pytest.param("{ events(first: 7) { edges { node { id } } } }", {}, 1 + 7 * 2, id="a page of seven"),
        pytest.param("query($n: Int) { events(first: $n) { edges { cursor } } }", {"n": 3}, 1 + 3, id="a variable"),
        pytest.param(
            "query($n: Int) { events(first: $n) { edges { cursor } } }", {}, 1 + 50, id="one that is left out"
        ),
        pytest.param("query($n: Int) { events(first: $n) { edges { cursor } } }", {"n": None}, 1 + 50, id="null"),
        pytest.param("query($n: Int = 9) { events(first: $n) { edges { cursor } } }", {}, 1 + 50, id="its default"),
        pytest.param(
            "query($n: Int = 99) { events(first: $n) { edges { cursor } } }", {}, 1 + 99, id="a larger default"
        ),
        pytest.param("query($n: Int) { events(first: $n) { edges { cursor } } }", {"n": "x"}, 1 + 1000, id="no number"),
        pytest.param("{ events(first: 99999999999) { edges { cursor } } }", {}, 1 + 1000, id="out of bounds"),
        pytest.param(
            "{ events(first: 2) { edges { node { deliveries { event { eventId } } } } } }",
            {},
            1 + 2 * (2 + PLATFORMS * 2),
            id="lists in a page",
        ),
        pytest.param("{ ...a ...a } fragment a on Query { merchant { name } }", {}, 1, id="a fragment twice in a set"),
        pytest.param("{ a: merchant { name } b: merchant { name } }", {}, 2, id="aliases"),
        pytest.param(
            "mutation($i: [IngestEventInput!]!) { ingestEvents(inputs: $i) { results { outcome } } }",
            {"i": [{}] * 30},
            1 + 30,
            id="as many results as events",
        ),
        pytest.param(
            "mutation($i: [IngestEventInput!]! = [{}, {}, {}]) { ingestEvents(inputs: $i) { results { outcome } } }",
            {},
            1 + 3,
            id="as many as a list that is the default",
        ),
        pytest.param("{ event(id: 1) { customData userData } }", {}, 1 + 20 + 6, id="what may be large"),
        pytest.param("{ a: event(id: 1) { b: customData c: customData } }", {}, 1 + 40, id="and again by an alias"),
        pytest.param("{ event(id: 1) { deliveries { preview { wouldSend } } } }", {}, 1 + 10 * 502, id="previews"),
        pytest.param(
            "query($i: IngestEventInput!) { preview(input: $i, platform: META) { wouldSend } }",
            {"i": {"customData": {"contents": [{"id": "a", "quantity": 1}] * 5000}}},
            501,
            id="a large input",
        ),
        pytest.param(
            "query($i: IngestEventInput!) { a: preview(input: $i, platform: META) { wouldSend } "
            "b: preview(input: $i, platform: META) { wouldSend } }",
            {"i": {"customData": {"contents": [{"id": "a", "quantity": 1}] * 5000}}},
            2 * 501 + (2 + 5000 * 3 - 100) // 10,
            id="and again by an alias",
        ),
        pytest.param('{ ledger(since: "", until: "", bucket: DAY) { balanced } }', {}, 1001, id="a ledger of days"),
        pytest.param('{ ledger(since: "", until: "", bucket: MINUTE) { balanced } }', {}, 4001, id="and of minutes"),
        pytest.param('{ ledger(since: "", until: "") { balanced } }', {}, 4001, id="and of what is not said"),
        pytest.param(
            'query($b: LedgerBucket) { ledger(since: "", until: "", bucket: $b) { balanced } }',
            {"b": "HOUR"},
            2001,
            id="and of a variable",
        ),
        pytest.param(
            'query($b: LedgerBucket) { ledger(since: "", until: "", bucket: $b) { balanced } }',
            {"b": ["HOUR"]},
            4001,
            id="and of a variable that is none",
        ),
        pytest.param("{ nope { what(first: 5) { ever } } }", {}, 0, id="what does not exist"),
    ],
)
def test_the_cost_is_the_number_of_objects_at_most(text: str, variables: Any, objects: int) -> None:
    assert cost(text, **variables) == objects


def test_pages_of_the_dashboard_and_of_reports_stay_within_the_limit() -> None:
    """The largest page there is, of what people ask of many events."""
    for fields in (
        "eventId eventName receivedAt timesReceived identifiers custom { value currency } "
        "deliveries { id platform status dropReason held }",
        "eventId occurredAt eventSourceUrl custom { value currency orderId }",
        "eventId userData customData",
    ):
        assert cost(f"{{ events(first: 500) {{ nodes {{ {fields} }} }} }}") < MAX_COST / 2
    basket = "custom { value currency orderId contents { id quantity itemPrice title } }"
    assert cost(f"{{ events(first: 400) {{ nodes {{ eventId {basket} }} }} }}") < MAX_COST


def test_everyday_operations_stay_far_below_the_limit() -> None:
    assert cost(EVERYDAY, n=50) < MAX_COST / 20
    assert cost(get_introspection_query()) < MAX_COST
    everything = (
        "results { outcome index event { id deliveries { platform status } } userErrors { field code message } }"
    )
    ingest = f"mutation($i: [IngestEventInput!]!) {{ ingestEvents(inputs: $i) {{ accepted {everything} }} }}"
    assert cost(ingest, i=[{}] * 1000) < MAX_COST


def test_an_operation_that_costs_too_much_is_refused_with_the_field_that_makes_it() -> None:
    text = "{ events(first: 500) { edges { node { deliveries { attemptLog { at } event { deliveries { id } } } } } } }"
    with pytest.raises(GraphQLError) as raised:
        measured(text).refuse_above(MAX_COST, {})
    assert raised.value.extensions == {
        "code": "TOO_COSTLY",
        "cost": 1 + 500 * (2 + PLATFORMS * (1 + 20 + 1 + PLATFORMS)),
        "limit": MAX_COST,
        "field": "events.edges.node.deliveries.attemptLog",
    }
    assert "161,001 objects" in raised.value.message


ALIASES = range(30)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "query($i: IngestEventInput!) {"
            + " ".join(f"a{n}: preview(input: $i, platform: META) {{ wouldSend }}" for n in ALIASES)
            + "}",
            id="preview",
        ),
        pytest.param(
            "mutation($i: IngestEventInput!) {"
            + " ".join(f"a{n}: ingestEvent(input: $i) {{ outcome }}" for n in ALIASES)
            + "}",
            id="ingest",
        ),
        pytest.param(
            "mutation($i: CustomDataInput) {"
            + " ".join(f'a{n}: ingestEvent(input: {{eventName: "A", customData: $i}}) {{ outcome }}' for n in ALIASES)
            + "}",
            id="within an input that is written out",
        ),
        pytest.param(
            "mutation($i: IngestEventInput!) {"
            + " ".join(f"...f{n}" for n in ALIASES)
            + "}"
            + " ".join(f"fragment f{n} on Mutation {{ a{n}: ingestEvent(input: $i) {{ outcome }} }}" for n in ALIASES),
            id="in fragments",
        ),
    ],
)
def test_a_large_input_is_not_answered_again_and_again(text: str) -> None:
    lines = [{"id": "a", "quantity": 1, "itemPrice": 1}] * 6000
    for sent in ({"customData": {"contents": lines}}, {"contents": lines}):
        with pytest.raises(GraphQLError, match="objects"):
            measured(text).refuse_above(MAX_COST, {"i": sent})
    measured(text).refuse_above(MAX_COST, {"i": {"customData": {"contents": lines[:100]}}})


@pytest.mark.parametrize(
    "field",
    [
        'ledger(since: "", until: "", bucket: MINUTE) { balanced }',
        'ledger(since: "", until: "", bucket: HOUR) { balanced }',
    ],
)
def test_what_counts_for_long_is_not_asked_again_and_again(field: str) -> None:
    with pytest.raises(GraphQLError, match="objects"):
        measured("{ " + " ".join(f"a{n}: {field}" for n in ALIASES) + " }").refuse_above(MAX_COST, {})
    measured("{ " + " ".join(f"a{n}: {field}" for n in range(10)) + " }").refuse_above(MAX_COST, {})


def test_introspection_is_as_dear_as_it_takes_long() -> None:
    usual = get_introspection_query()
    assert MAX_COST / 2 < cost(usual) <= MAX_COST
    twice = usual.replace("{", "{ again: __schema { types { ...FullType } }", 1)
    with pytest.raises(GraphQLError, match="objects"):
        measured(twice).refuse_above(MAX_COST, {})


def doubling(levels: int, spread: str = "...f{0} ...f{0}") -> str:
    parts = [f"fragment f{n} on Query {{ {spread.format(n + 1)} }}" for n in range(levels)]
    return f"{{ ...f0 }} {' '.join(parts)} fragment f{levels} on Query {{ a: merchant {{ name }} }}"


def test_a_fragment_is_read_once_however_often_it_is_spread() -> None:
    """By steps, not by seconds: each level doubles what a walk of every spread would read."""
    inside = "b{0}: node(id: 1) {{ ... on Merchant {{ ...m{0} }} }} ...f{0}"
    for levels in (5, 10):
        merchants = " ".join(f"fragment m{n + 1} on Merchant {{ name }}" for n in range(levels))
        assert measured(f"{doubling(levels, inside)} {merchants}").cost.of({}) == levels + 1
    assert cost(doubling(35)) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(doubling(41), "TOO_DEEP", id="fragments within fragments"),
        pytest.param("{ " + "merchant { " * 13 + "name" + " }" * 13 + " }", "TOO_DEEP", id="fields within fields"),
        pytest.param(
            "{ " + " ".join(f"a{n}: merchant {{ name }}" for n in range(31)) + " }", "TOO_MANY_ALIASES", id="aliases"
        ),
        pytest.param("{ " + "__typename " * 102 + "}", "TOO_COMPLEX", id="one field again and again"),
        pytest.param(
            "{ " + "... { __typename } " * 50 + "... { id } " * 51 + "}", "TOO_COMPLEX", id="inline fragments"
        ),
        pytest.param(
            "{ "
            + " ".join(f"...f{n}" for n in range(61))
            + " } "
            + " ".join(f"fragment f{n} on Query {{ __typename }}" for n in range(61)),
            "TOO_COMPLEX",
            id="fragments",
        ),
        pytest.param(
            "query a { __typename } query b { __typename }", "OPERATION_RESOLUTION_FAILURE", id="two operations"
        ),
        pytest.param("fragment f on Query { __typename }", "OPERATION_RESOLUTION_FAILURE", id="no operation"),
    ],
)
def test_what_would_take_long_to_check_is_refused_unchecked(text: str, code: str) -> None:
    with pytest.raises(GraphQLError) as raised:
        measured(text)
    assert (raised.value.extensions or {})["code"] == code


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("{ merchant { id name } platforms { title } }", 0),
        ("{ merchant { id } merchant { id name } merchant { name } }", 1 * 3 + 2 * 2),
        ("{ merchant { id } ... { merchant { id name } ... { merchant { name } } } }", 1 * 3 + 2 * 2),
        ("{ ...a merchant { id } } fragment a on Query { merchant { name } }", 4 // 2),
        (
            "{ ...a ... { ...b } ...a } fragment a on Query { merchant { ...c } } fragment b on Query { merchant { ...c } } "
            "fragment c on Merchant { id name createdAt }",
            3 // 2 * 2 + 2 * (4 + 4) // 2,
        ),
    ],
)
def test_what_the_rules_compare_is_counted(text: str, checks: int) -> None:
    assert measured(text).checks == checks


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ " + "... { merchant { id name a b c d } } " * 90 + "}", id="inline fragments"),
        pytest.param("{ " + "merchant { id name a b c d } " * 90 + "}", id="fields of one name"),
        pytest.param(
            "{ "
            + " ".join(f"...f{n}" for n in range(60))
            + " } "
            + " ".join(f"fragment f{n} on Query {{ {' '.join(f'a{m}' for m in range(20))} }}" for n in range(60)),
            id="fragments on one level",
        ),
    ],
)
def test_what_has_too_much_to_compare_is_refused_uncompared(text: str) -> None:
    with pytest.raises(GraphQLError, match=r"pairs of fields .* 25,000 is the most"):
        measured(text)


def test_fragments_that_spread_each_other_are_read_once_and_named_by_their_rule() -> None:
    text = "{ ...a } fragment a on Query { ...b merchant { name } } fragment b on Query { ...a }"
    assert cost(text) == 1


def test_one_of_several_operations_is_measured_by_its_name() -> None:
    text = "query a { platforms { title } } query b { merchant { name } }"
    assert measured(text, "b").cost.of({}) == 1
    with pytest.raises(GraphQLError, match="no operation of the name"):
        measured(text, "c")


def test_the_cost_of_variables_is_known_in_as_many_steps_as_the_document_is_long() -> None:
    inner = "edges { node { event { alerts { deliveries(first: $n) { edges { cursor } } } } } }"
    short = f"query($n: Int) {{ deliveries(first: $n) {{ {inner} }} }}"
    assert cost(short, n=2) == 1 + 2 * (3 + 20 * (2 + 2))
    assert len(measured(short).cost.steps) < 20
