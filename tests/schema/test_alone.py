"""An event of the wrong shape is that event's refusal, alone or among others, which are taken; with a plan and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.doors import DROPS_COROUTINES, doors
from tests.factories import Api, Merchant, camel, draft, new_merchant
from tracklayer.domain.json_text import read_json
from tracklayer.runtime import Runtime
from tracklayer.schema.inputs import IngestEventInput
from tracklayer.services.ingest import Accepted, ingest_events

pytestmark = DROPS_COROUTINES

INGEST_ALL = """
mutation($inputs: [IngestEventInput!]!) {
  ingestEvents(inputs: $inputs) {
    accepted coalesced rejected results { outcome index eventId event { eventId } userErrors { field code message } }
  }
}"""


def changed(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda event: {**event, **fields}


def without(*names: str) -> Callable[[dict[str, Any]], Any]:
    return lambda event: {name: value for name, value in event.items() if name not in names}


WRONG = [
    pytest.param(
        changed(customData={"status": 12345}), [(["customData", "status"], "INVALID_TYPE")], id="a number for text"
    ),
    pytest.param(
        changed(userData={"emial": "jane@example.com"}),
        [(["userData", "emial"], "UNKNOWN_FIELD")],
        id="a misspelt field",
    ),
    pytest.param(changed(evntName="Purchase"), [(["evntName"], "UNKNOWN_FIELD")], id="an unknown field"),
    pytest.param(without("occurredAt"), [(["occurredAt"], "REQUIRED")], id="no time"),
    pytest.param(without("userData"), [(["userData"], "REQUIRED")], id="no person"),
    pytest.param(
        changed(customData={"contents": [{"id": "a", "quantity": "many"}]}),
        [(["customData", "contents", "0", "quantity"], "INVALID_NUMBER")],
        id="a word for a quantity",
    ),
    pytest.param(
        changed(actionSource="website"), [(["actionSource"], "INVALID_VALUE")], id="an enum in the wrong case"
    ),
    pytest.param(
        changed(consent={"limitedDataUse": "yes"}),
        [(["consent", "limitedDataUse"], "INVALID_TYPE")],
        id="text for a flag",
    ),
    pytest.param(changed(userData=[1]), [(["userData"], "INVALID_TYPE")], id="a list for an object"),
    pytest.param(
        changed(customData={"contents": [{"id": "a"}, 5]}),
        [(["customData", "contents", "1"], "INVALID_TYPE")],
        id="a number for a line of the basket",
    ),
    pytest.param(lambda event: None, [(None, "INVALID_TYPE")], id="null"),
    pytest.param(lambda event: 5, [(None, "INVALID_TYPE")], id="a number"),
    pytest.param(lambda event: [event], [(None, "INVALID_TYPE")], id="a list"),
    pytest.param(
        lambda event: {
            **event,
            "userData": {"emial": "x", "phone": 5},
            "customData": {"status": 5},
            "occurredAt": None,
            "more": 1,
        },
        [
            (["more"], "UNKNOWN_FIELD"),
            (["occurredAt"], "REQUIRED"),
            (["userData", "emial"], "UNKNOWN_FIELD"),
            (["customData", "status"], "INVALID_TYPE"),
        ],
        id="everything at once",
    ),
    pytest.param(
        changed(userData={"emial": 1, "email": "4111111111111111"}), [(["userData", "email"], "CARD_DATA")], id="a card"
    ),
]


@pytest.mark.parametrize(("spoil", "errors"), WRONG)
async def test_one_wrong_event_costs_the_others_nothing(
    runtime: Runtime, spoil: Callable[[dict[str, Any]], Any], errors: list[tuple[list[str] | None, str]]
) -> None:
    answers = []
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            api = Api(client, new_merchant(runtime).key)
            events = [camel(draft("first")), spoil(camel(draft("wrong"))), camel(draft("last"))]
            for _ in range(2):  # the second time with a plan, where there are plans
                answer = (await api.post(INGEST_ALL, {"inputs": events})).json()
                assert "errors" not in answer, answer
            found = answer["data"]["ingestEvents"]
            assert (found["accepted"], found["coalesced"], found["rejected"]) == (0, 2, 1)
            answers.append(found)
            stored = (await api("{ events { edges { node { eventId timesReceived } } } }"))["events"]["edges"]
            assert sorted((edge["node"]["eventId"], edge["node"]["timesReceived"]) for edge in stored) == [
                ("first", 2),
                ("last", 2),
            ]
    assert answers[0] == answers[1] == answers[2]
    first, wrong, last = answers[0]["results"]
    assert [first["index"], wrong["index"], last["index"]] == [0, 1, 2]
    assert (wrong["outcome"], wrong["event"]) == ("REJECTED", None)
    assert [(error["field"], error["code"]) for error in wrong["userErrors"]] == errors
    assert "jane@example.com" not in str(wrong)
    is_object = isinstance(spoil({"eventId": "wrong"}), dict)
    assert wrong["eventId"] == ("wrong" if is_object else None)


ONE = """mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome index eventId event { eventId } userErrors { field code message } }
}"""
COUNTED = """{
  ledger(since: "2026-11-20T14:00:00Z", until: "2026-11-20T16:00:00Z") { whole { eventsAccepted eventsRejected } }
  rejections(since: "2026-11-20T14:00:00Z", until: "2026-11-20T16:00:00Z") { eventName code field count }
  events { edges { node { eventId } } }
}"""


@pytest.mark.parametrize(("spoil", "errors"), WRONG)
async def test_one_wrong_event_by_itself_is_refused_and_counted_as_in_a_list(
    runtime: Runtime, spoil: Callable[[dict[str, Any]], Any], errors: list[tuple[list[str] | None, str]]
) -> None:
    events = [spoil(camel(draft(f"wrong{n}"))) for n in range(3)]
    listed = new_merchant(runtime, meta=False)
    told, counted = [], []
    async with doors(runtime) as both:
        api = Api(both.compiled, listed.key)
        in_list = [(await api(INGEST_ALL, inputs=[event]))["ingestEvents"]["results"][0] for event in events]
        counted.append(await api(COUNTED))
        for client in (both.plain, both.compiled):
            api = Api(client, new_merchant(runtime, meta=False).key)
            answers = [(await api.post(ONE, {"input": event})).json() for event in events]
            assert [answer for answer in answers if "errors" in answer] == []
            told.append([answer["data"]["ingestEvent"] for answer in answers])
            counted.append(await api(COUNTED))
    assert told == [in_list, in_list]
    assert [(error["field"], error["code"]) for error in in_list[0]["userErrors"]] == errors
    assert counted[0] == counted[1] == counted[2]
    assert counted[0]["ledger"]["whole"] == [{"eventsAccepted": 0, "eventsRejected": 3}]
    assert counted[0]["events"]["edges"] == []
    assert [(row["code"], row["count"]) for row in counted[0]["rejections"]] == [(errors[0][1], 3)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"eventId": 5.5}, ["eventId"], id="id"),
        pytest.param({"customData": {"contents": [{"id": True}]}}, ["customData", "contents", "0", "id"], id="product"),
        pytest.param({"customData": {"productIds": [-5]}}, ["customData", "productIds", "0"], id="products"),
        pytest.param({"customData": {"currency": 840}}, ["customData", "currency"], id="currency"),
        pytest.param({"customData": {"orderID": "x"}}, ["customData", "orderID"], id="renamed"),
        pytest.param({"consent": "granted"}, ["consent"], id="consent"),
    ],
)
async def test_what_a_deployment_breaks_is_refused_and_named_by_every_field_that_takes_an_event(
    runtime: Runtime, changes: dict[str, Any], field: list[str]
) -> None:
    preview = """query($input: IngestEventInput!) { preview(input: $input, platform: META) {
      wouldSend request verdicts { rule ok message field } } }"""
    trial = """mutation($input: IngestEventInput) { testDestination(platform: META, input: $input) {
      attempt { outcome } userErrors { field code message } } }"""
    set_up = """mutation { setDestination(input: {platform: META, settings:
      {pixel_id: "8234567890123456", access_token: "token", test_event_code: "TEST12345"}}) { userErrors { code } } }"""
    event = {**camel(draft("wrong")), **changes}
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            api = Api(client, new_merchant(runtime, meta=False).key)
            for _ in range(2):
                found = (await api(ONE, input=event))["ingestEvent"]
                (error,) = found["userErrors"]
                assert (found["outcome"], error["field"]) == ("REJECTED", field)
                previewed = (await api(preview, input=event))["preview"]
                assert (previewed["wouldSend"], previewed["request"]) == (False, None)
                told = {
                    "rule": error["code"].lower(),
                    "ok": False,
                    "message": error["message"],
                    "field": ".".join(field),
                }
                assert told in previewed["verdicts"]
            assert (await api(set_up))["setDestination"]["userErrors"] == []
            for _ in range(2):
                tried = (await api(trial, input=event))["testDestination"]
                assert tried["attempt"] is None
                assert [(one["field"], one["code"]) for one in tried["userErrors"]] == [
                    (["input", *field], error["code"])
                ]


async def test_a_request_without_an_event_is_wrong_itself(runtime: Runtime) -> None:
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            api = Api(client, new_merchant(runtime, meta=False).key)
            answer = (await api.post(ONE, {})).json()
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
            assert (await api(COUNTED))["ledger"]["whole"] == []


@pytest.mark.parametrize("line", [{"id": None}, {"id": ""}, {"title": "Tip"}], ids=repr)
async def test_a_line_of_the_basket_without_an_id_costs_the_line_and_not_the_order(
    api: Api, line: dict[str, Any]
) -> None:
    event = camel(draft("tip", custom_data={"contents": [{"id": "a"}]}))
    event["customData"]["contents"].append(line)
    found = (await api(INGEST_ALL, inputs=[event]))["ingestEvents"]["results"][0]
    assert found["outcome"] == "ACCEPTED"
    assert [(error["field"], error["code"]) for error in found["userErrors"]] == [
        (["customData", "contents", "1", "id"], "IDENTIFIER_PLACEHOLDER")
    ]
    stored = (await api('{ event(eventId: "tip") { customData } }'))["event"]["customData"]
    assert [one["id"] for one in stored["contents"]] == ["a"]


async def test_a_basket_is_read_as_php_writes_it_and_with_other_names_it_is_refused(runtime: Runtime) -> None:
    """By every door alike."""
    one, two = {"id": "a", "quantity": 2, "itemPrice": "49.99"}, {"id": "b", "itemPrice": "30.01"}
    lists = {"contents": {"1": two, "0": one}, "productIds": {"0": "a"}}
    emails = {"email": "a@example.com", "emails": {"0": "b@example.com"}, "phones": {}}
    wrong = {
        "misnamed": ([{"sku": "x", "price": 3}], ["contents.0.sku", "contents.0.price"]),
        "without id": ([one, {"id": "null", "productId": "x", "quantity": 1}], ["contents.1.productId"]),
        "gaps": ({"1": one, "2": two}, ["contents"]),
    }  # fmt: skip
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled):
            api = Api(client, new_merchant(runtime).key)
            php = {**camel(draft("php")), "customData": lists, "userData": emails}
            for outcome in ("ACCEPTED", "COALESCED"):
                found = (await api(INGEST_ONE, input=php))["ingestEvent"]
                assert (found["outcome"], found["userErrors"]) == (outcome, [])
            stored = found["event"]["customData"]
            assert [line["id"] for line in stored["contents"]] == ["a", "b"]
            assert stored["product_ids"] == ["a"]
            for name, (contents, paths) in wrong.items():
                event = {**camel(draft(name)), "customData": {"contents": contents}}
                (refused,) = (await api(INGEST_ALL, inputs=[event]))["ingestEvents"]["results"]
                assert refused["outcome"] == "REJECTED"
                assert [".".join(error["field"]) for error in refused["userErrors"]] == [
                    f"customData.{path}" for path in paths
                ]


async def test_what_is_written_as_graphql_takes_it_is_taken_however_odd(api: Api) -> None:
    """2.0 is a whole number, one id is a list of one: the schema says so."""
    event = camel(draft("odd", custom_data={"contents": [{"id": "a", "quantity": 2.0}], "product_ids": "one"}))
    for _ in range(3):
        found = (await api(INGEST_ALL, inputs=[event]))["ingestEvents"]["results"][0]
    assert (found["outcome"], found["userErrors"]) == ("COALESCED", [])
    stored = (await api('{ event(eventId: "odd") { customData } }'))["event"]["customData"]
    assert stored == {"contents": [{"id": "a", "quantity": 2}], "product_ids": ["one"]}


INGEST_ONE = """
mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome event { customData device } userErrors { field code } }
}"""
BY_WEIGHT = {
    "customData": {
        "contents": [{"id": "a", "quantity": 1.85}, {"id": "b", "quantity": "2"}, {"id": "c", "quantity": 3}]
    }
}


async def test_a_quantity_that_an_int_cannot_say_is_taken_by_every_road(runtime: Runtime) -> None:
    kept = [{"id": "a", "quantity": 1.85}, {"id": "b", "quantity": 2}, {"id": "c", "quantity": 3}]
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            api = Api(client, new_merchant(runtime).key)
            for n in range(2):
                one = (await api(INGEST_ONE, input={**camel(draft(f"one{n}")), **BY_WEIGHT}))["ingestEvent"]
                assert (one["outcome"], one["userErrors"]) == ("ACCEPTED", [])
                assert one["event"]["customData"] == {"contents": kept}
            events = [camel(draft("plain")), {**camel(draft("two")), **BY_WEIGHT}]
            for _ in range(2):
                found = (await api(INGEST_ALL, inputs=events))["ingestEvents"]
            assert (found["coalesced"], found["rejected"]) == (2, 0)
            wrong = {"customData": {"contents": [{"id": "a", "quantity": "many"}]}}
            refused = (await api(INGEST_ONE, input={**camel(draft("wrong")), **wrong}))["ingestEvent"]
            assert refused["userErrors"] == [
                {"field": ["customData", "contents", "0", "quantity"], "code": "INVALID_NUMBER"}
            ]
            odd = {**camel(draft("x")), **BY_WEIGHT, "eventSourceUrl": 5}
            refused = (await api(INGEST_ONE, input=odd))["ingestEvent"]
            assert (refused["outcome"], refused["event"]) == ("REJECTED", None)
            # and nothing of quantities, which are taken
            assert refused["userErrors"] == [{"field": ["eventSourceUrl"], "code": "INVALID_TYPE"}]


async def test_what_the_schema_cannot_say_and_the_data_model_takes_is_taken_by_every_road(runtime: Runtime) -> None:
    """Numbers as text or with a fraction, and null in a list of texts: no order is lost for them."""
    odd = {
        "userData": {"emails": ["a@example.com", None]},
        "customData": {"numItems": "3", "productIds": ["a", None, "b"]},
        "device": {"os": "iOS", "screenWidth": "", "screenHeight": 844.4},
    }
    more = {"customData": {"numItems": 2.5}, "device": {"screenWidth": "390"}}
    kept = [
        ({"num_items": 3, "product_ids": ["a", "b"]}, {"os": "iOS", "screen_height": 844}),
        ({"num_items": 2}, {"screen_width": 390}),
    ]
    text = '{ a: event(eventId: "a") { customData device } b: event(eventId: "b") { customData device } }'
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled):
            for in_list in (False, True):
                api = Api(client, new_merchant(runtime).key)
                events = [{**camel(draft("a")), **odd}, {**camel(draft("b")), **more}]
                for outcome in ("ACCEPTED", "COALESCED"):  # the second time with a plan, where there are plans
                    if in_list:
                        results = (await api(INGEST_ALL, inputs=events))["ingestEvents"]["results"]
                    else:
                        results = [(await api(INGEST_ONE, input=event))["ingestEvent"] for event in events]
                    assert [(found["outcome"], found["userErrors"]) for found in results] == [(outcome, [])] * 2
                stored = await api(text)
                assert [(stored[name]["customData"], stored[name]["device"]) for name in "ab"] == kept


async def test_a_device_comes_back_as_it_was_sent(api: Api) -> None:
    device = {"os": "iOS", "osVersion": "18.5", "screenWidth": 1179, "trackingAllowed": False}
    event = {**camel(draft("app")), "actionSource": "APP", "device": device}
    for n in range(3):
        found = (await api(INGEST_ONE, input={**event, "eventId": f"app{n}"}))["ingestEvent"]
        assert found["userErrors"] == []
        assert found["event"]["device"] == {
            "os": "iOS",
            "os_version": "18.5",
            "screen_width": 1179,
            "tracking_allowed": False,
        }
    wrong = {**event, "eventId": "x", "device": {"screenWidth": -1}}
    refused = (await api(INGEST_ONE, input=wrong))["ingestEvent"]
    assert refused["userErrors"] == [{"field": ["device", "screenWidth"], "code": "INVALID_NUMBER"}]


@pytest.mark.parametrize(
    ("person", "warned", "kept"),
    [
        ({"externalId": 5, "zip": 10115}, ["zip"], {"external_id": "5", "zip": "10115"}),
        ({"phones": [16505550123, None], "gclid": ["x"]}, ["phones.0", "gclid"], {"phones": ["16505550123"]}),
        ({"email": {"a": 1}, "fbclid": True}, ["email", "fbclid"], {}),
    ],
)
async def test_an_identifier_that_is_no_text_costs_no_event(
    runtime: Runtime, person: dict[str, Any], warned: list[str], kept: dict[str, Any]
) -> None:
    answers = []
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            merchant = new_merchant(runtime, hashing=False)
            api = Api(client, merchant.key)
            events = [{**camel(draft("odd")), "userData": person}, camel(draft("last"))]
            answer = (await api.post(INGEST_ALL, {"inputs": events})).json()
            assert "errors" not in answer, answer
            found = answer["data"]["ingestEvents"]
            assert (found["accepted"], found["rejected"]) == (2, 0)
            answers.append(found)
            stored = await api('{ event(eventId: "odd") { userData } }')
            assert stored["event"]["userData"] == kept
    assert answers[0] == answers[1] == answers[2]
    errors = answers[0]["results"][0]["userErrors"]
    odd = [".".join(error["field"][1:]) for error in errors if error["code"] == "IDENTIFIER_MALFORMED"]
    assert set(warned) <= set(odd)


async def test_ids_of_the_merchants_own_may_be_numbers(runtime: Runtime) -> None:
    big = 2**64 + 1
    numbers = {
        **camel(draft()),
        "eventId": 77,
        "userData": {"externalId": 991},
        "customData": {"orderId": big, "productIds": [1, "2"], "contents": [{"id": 4711, "quantity": 2}]},
    }
    custom = {"orderId": str(big), "productIds": ["1", "2"], "contents": [{"id": "4711", "quantity": 2}]}
    texts = {**numbers, "eventId": "77", "userData": {"externalId": "991"}, "customData": custom}
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled):
            for in_list in (False, True):
                api = Api(client, new_merchant(runtime).key)
                outcomes = []
                for event in (texts, numbers, texts, numbers):  # with a plan, where there are plans
                    if in_list:
                        (found,) = (await api(INGEST_ALL, inputs=[event]))["ingestEvents"]["results"]
                        assert found["event"]["eventId"] == "77"
                    else:
                        found = (await api(INGEST_ONE, input=event))["ingestEvent"]
                    assert found["userErrors"] == []
                    outcomes.append(found["outcome"])
                assert outcomes == ["ACCEPTED", "COALESCED", "COALESCED", "COALESCED"]
                await api(INGEST_ALL, inputs=[{**numbers, "eventId": 78}])
                stored = await api(
                    '{ a: event(eventId: "77") { customData } b: event(eventId: "78") { customData userData } }'
                )
                kept = {"order_id": str(big), "product_ids": ["1", "2"], "contents": [{"id": "4711", "quantity": 2}]}
                assert stored["a"]["customData"] == stored["b"]["customData"] == kept
                assert stored["b"]["userData"]["external_id"] == "991"


async def test_events_in_variables_of_their_own_are_judged_alone_too(api: Api, merchant: Merchant) -> None:
    text = """mutation($a: IngestEventInput!, $b: IngestEventInput!) { ingestEvents(inputs: [$a, $b]) {
      accepted rejected results { outcome eventId userErrors { field code } } } }"""
    for n in range(3):
        wrong = {**camel(draft(f"b{n}")), "customData": {"orderId": 5.5}}
        found = (await api(text, a=camel(draft(f"a{n}")), b=wrong))["ingestEvents"]
        assert (found["accepted"], found["rejected"]) == (1, 1)
        assert found["results"][1] == {
            "outcome": "REJECTED",
            "eventId": f"b{n}",
            "userErrors": [{"field": ["customData", "orderId"], "code": "INVALID_TYPE"}],
        }


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        pytest.param({"inputs": None}, "BAD_USER_INPUT", id="null for the list"),
        pytest.param({}, "BAD_USER_INPUT", id="no list"),
        pytest.param({"inputs": []}, "BAD_USER_INPUT", id="an empty list"),
    ],
)
async def test_a_request_that_is_wrong_as_a_whole_says_so_with_a_code(api: Api, variables: Any, code: str) -> None:
    for _ in range(3):
        answer = (await api.post(INGEST_ALL, variables)).json()
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_errors_of_requests_carry_a_code(api: Api) -> None:
    wrong = [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ ", "GRAPHQL_PARSE_FAILED"),
        ("query a { __typename } query b { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription { alerts { id } }", "BAD_REQUEST"),
        ("query($n: Int) { events(first: $n) { edges { cursor } } }", "BAD_USER_INPUT"),
    ]
    for text, code in wrong:
        answer = (await api.post(text, {"n": "many"})).json()
        assert {error["extensions"]["code"] for error in answer["errors"]} == {code}, answer
    for body in (b"{", b"[]", b'{"query": 5}', b'{"variables": {}}'):
        headers = {"content-type": "application/json", "authorization": f"Bearer {api.key}"}
        found = await api.client.post("/graphql", content=body, headers=headers)
        assert found.status_code == 400
        assert found.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_basket_of_wrong_lines_is_told_once_and_again_and_not_a_thousand_times(api: Api) -> None:
    lines = [{"id": f"sku_{n}", "quantity": "x"} for n in range(900)]
    event = camel(draft("long", custom_data={"contents": lines}))
    for _ in range(3):
        (found,) = (await api(INGEST_ALL, inputs=[event]))["ingestEvents"]["results"]
        assert [error["code"] for error in found["userErrors"]] == ["INVALID_NUMBER"] * 20
        assert found["userErrors"][19]["field"] == ["customData", "contents", "19", "quantity"]


async def test_a_basket_is_as_large_as_it_was_sent(runtime: Runtime) -> None:
    """What the schema adds where nothing was sent (``quantity: 1``) is twice as much, and nobody's."""
    text = "mutation($input: IngestEventInput!) { ingestEvent(input: $input) { outcome userErrors { code message } } }"
    fits = camel(draft("fits", custom_data={"contents": [{"id": "n"}] * 10_000}))
    too_large = camel(draft("large", custom_data={"contents": [{"id": "n"}] * 30_000}))
    told = len(json.dumps(draft("large", custom_data={"contents": [{"id": "n"}] * 30_000}), separators=(",", ":")))
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled):
            api = Api(client, new_merchant(runtime).key)
            for outcome in ("ACCEPTED", "COALESCED", "COALESCED"):
                taken = (await api(text, input=fits))["ingestEvent"]
                assert (taken["outcome"], taken["userErrors"]) == (outcome, [])
            refused = (await api(text, input=too_large))["ingestEvent"]
            message = f"An event may have 262,144 bytes of JSON; this one has {told:,}."
            assert refused["userErrors"] == [{"code": "TOO_LARGE", "message": message}]
            (in_list,) = (await api(INGEST_ALL, inputs=[too_large]))["ingestEvents"]["results"]
            assert [error["message"] for error in in_list["userErrors"]] == [message]


@pytest.mark.parametrize(
    ("odd", "code", "field"),
    [
        pytest.param(r'"contentName": "Mug \ud83d"', "INVALID_CHARACTER", "contentName", id="half an emoji"),
        pytest.param('"value": 1e400', "INVALID_NUMBER", "value", id="a number beyond all bounds"),
        pytest.param(f'"value": {"9" * 400}', "INVALID_NUMBER", "value", id="a number of 400 digits"),
    ],
)
async def test_json_that_few_programs_write_is_one_events_mistake(api: Api, odd: str, code: str, field: str) -> None:
    good = [json.dumps(camel(draft(event_id))) for event_id in ("first", "last")]
    wrong = json.dumps(camel(draft("wrong"))).replace('"customData": {', f'"customData": {{{odd}, ')
    wrong = wrong.replace('"value": 129.99, ', "") if field == "value" else wrong
    body = f'{{"query": {json.dumps(INGEST_ALL)}, "variables": {{"inputs": [{good[0]}, {wrong}, {good[1]}]}}}}'
    headers = {"content-type": "application/json", "authorization": f"Bearer {api.key}"}
    for n in range(3):
        answer = (await api.client.post("/graphql", content=body, headers=headers)).json()
        found = answer["data"]["ingestEvents"]
        assert (found["accepted"], found["coalesced"], found["rejected"]) == ((2, 0, 1) if n == 0 else (0, 2, 1))
        assert [(error["field"], error["code"]) for error in found["results"][1]["userErrors"]] == [
            (["customData", field], code)
        ]


@pytest.mark.parametrize("body", [b'{"query": "{ __typename }", "variables": {"a": NaN}}', b"{'a': 1}", b"[" * 5000])
async def test_what_is_no_json_is_refused_as_a_whole(api: Api, body: bytes) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {api.key}"}
    answer = await api.client.post("/graphql", content=body, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


SECRETS = [
    "4111111111111111",
    "4111-1111-1111-1111",
    "jane@example.com",
    "+4915112345678",
    'Jane\'s "x"',
    "it'd be 'x'",
]


@pytest.mark.parametrize("secret", SECRETS)
async def test_a_value_in_the_wrong_place_is_never_quoted(api: Api, secret: str) -> None:
    event = camel(draft())
    single = "mutation($input: IngestEventInput!) { ingestEvent(input: $input) { outcome } }"
    literal = (
        f"mutation {{ ingestEvent(input: {{eventName: {json.dumps(secret)} {json.dumps(secret)}}}) {{ outcome }} }}"
    )
    requests: list[tuple[str, Any]] = [
        (single, {"input": {**event, secret: 1}}),
        (single, {"input": {**event, "userData": {secret: 1}}}),
        (single, {"input": {**event, "eventName": {secret: secret}}}),
        (INGEST_ALL, {"inputs": [{**event, secret: 1, "userData": {secret: secret}}]}),
        (literal, {}),
        (f"{{ events(after: {json.dumps(secret)}) {{ nodes {{ id }} }} }}", {}),
        ("{ card4111111111111111 }", {}),
    ]
    for text, variables in requests:
        answer = await api.post(text, variables)
        assert answer.json().get("errors") or "REJECTED" in answer.text, answer.text
        assert secret not in answer.text
        assert json.dumps(secret)[1:-1] not in answer.text
        assert "4111111111111111" not in answer.text


async def test_amounts_come_back_digit_by_digit(api: Api) -> None:
    amounts = ["99999999999999999999", "12345678901234.567", "0.1000000000000000055", "129.990"]
    for amount in amounts:
        await api.ingest(draft(f"order_{amount}", custom_data={"value": amount, "currency": "EUR"}))
        text = f'{{ event(eventId: "order_{amount}") {{ customData custom {{ value }} }} }}'
        for _ in range(3):
            answer = (await api.post(text)).text
            assert answer.count(amount) == 2, answer


async def test_amounts_that_no_double_holds_are_stored_as_they_were_written(runtime: Runtime) -> None:
    """As numbers of the variables and of the document, alone and in a list, and by import."""
    amounts = [
        "99999999999999.99",
        "123456789012345678901",
        "12345678901234.567",
        "0.1000000000000000055",
        "389.96999999999997",
    ]
    headers = {"content-type": "application/json"}
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            merchant = new_merchant(runtime)
            api = Api(client, merchant.key)
            sent = {}
            for number, amount in enumerate(amounts):
                for door, text, variables in (
                    ("one", INGEST_ONE, '{"input": EVENT}'),
                    ("all", INGEST_ALL, '{"inputs": [EVENT]}'),
                ):
                    event = camel(draft(f"{door}{number}", custom_data={"value": "AMOUNT", "currency": "EUR"}))
                    event["customData"]["contents"] = [{"id": "a", "itemPrice": "AMOUNT"}]
                    written = variables.replace("EVENT", json.dumps(event)).replace('"AMOUNT"', amount)
                    body = f'{{"query": {json.dumps(text)}, "variables": {written}}}'
                    bearer = {**headers, "authorization": f"Bearer {api.key}"}
                    answer = (await client.post("/graphql", content=body, headers=bearer)).json()
                    assert "REJECTED" not in str(answer), answer
                    assert "errors" not in answer, answer
                    sent[f"{door}{number}"] = amount
                literal = f"""mutation {{ ingestEvent(input: {{eventName: "Purchase", eventId: "lit{number}", userData: {{email: "a@b.de"}},
                    occurredAt: "2026-11-20T14:59:00Z", customData: {{value: {amount}, currency: "EUR",
                    contents: [{{id: "a", itemPrice: {amount}}}]}}}}) {{ outcome }} }}"""
                assert (await api(literal))["ingestEvent"]["outcome"] == "ACCEPTED"
                sent[f"lit{number}"] = amount
                line = json.dumps(draft(f"file{number}", custom_data={"value": "AMOUNT", "currency": "EUR"}))
                line = line.replace('"AMOUNT"', amount).replace(
                    "}}", f', "contents": [{{"id": "a", "item_price": {amount}}}]}}}}'
                )
                (imported,) = ingest_events(runtime, merchant.holder, [read_json(line)]).outcomes
                assert isinstance(imported, Accepted)
                sent[f"file{number}"] = amount
            for event_id, amount in sent.items():
                answer_text = (await api.post(f'{{ event(eventId: "{event_id}") {{ customData }} }}')).text
                assert answer_text.count(f":{amount}") == 2, (event_id, answer_text)


async def test_a_property_that_no_double_holds_is_the_nearest_one(api: Api) -> None:
    event = json.dumps(camel(draft("a", custom_data={"properties": {"weight": "LONG"}})))
    body = f'{{"query": {json.dumps(INGEST_ONE)}, "variables": {{"input": {event}}}}}'.replace(
        '"LONG"', "0.1000000000000000055"
    )
    headers = {"content-type": "application/json", "authorization": f"Bearer {api.key}"}
    for outcome in ("ACCEPTED", "COALESCED", "COALESCED"):
        found = (await api.client.post("/graphql", content=body, headers=headers)).json()["data"]["ingestEvent"]
        assert (found["outcome"], found["userErrors"]) == (outcome, [])
        assert found["event"]["customData"]["properties"] == {"weight": 0.1}


@pytest.mark.parametrize("item", [{}, 1, None, {"eventId": "a"}])
async def test_a_list_that_is_far_too_long_is_not_worked_through(
    runtime: Runtime, merchant: Merchant, item: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    misfit = IngestEventInput.misfit

    def counted(sent: Any) -> Any:
        looked_at.append(1)
        return misfit(sent)

    monkeypatch.setattr(IngestEventInput, "misfit", staticmethod(counted))
    text = "mutation($inputs: [IngestEventInput!]!) { ingestEvents(inputs: $inputs) { accepted } }"
    async with doors(runtime) as both:
        for client in (both.plain, both.compiled, both.compiled):
            looked_at.clear()
            answer = (await Api(client, merchant.key).post(text, {"inputs": [item] * 20_000})).json()
            assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
            assert "1 to 1000" in answer["errors"][0]["message"]
            assert len(looked_at) <= 2 * 1_001  # with a plan, and then without


async def test_no_ids_are_none_and_no_names_are_a_mistake(api: Api) -> None:
    redeliver = "mutation($ids: [ID!]) { redeliver(filter: {}, ids: $ids) { matched userErrors { code } } }"
    nothing: list[str] | None
    for nothing in ([], None):
        assert (await api(redeliver, ids=nothing))["redeliver"]["userErrors"] == [{"code": "EMPTY_FILTER"}]
    of_meta = redeliver.replace("filter: {}", "filter: {platform: META}")
    assert (await api(of_meta, ids=[]))["redeliver"] == {"matched": 0, "userErrors": []}
    change = "mutation { setDestination(input: {platform: META, eventNames: []}) { userErrors { field code } } }"
    assert (await api(change))["setDestination"]["userErrors"] == [{"field": ["eventNames"], "code": "REQUIRED"}]


async def test_media_types_know_no_case(api: Api) -> None:
    headers = {"content-type": "Application/JSON", "authorization": f"Bearer {api.key}"}
    answer = await api.client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert answer.json() == {"data": {"__typename": "Query"}}
