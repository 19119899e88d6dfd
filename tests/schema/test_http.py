"""GraphQL over HTTP: statuses, media types, limits, and what is never said."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from tests.factories import INGEST, INGEST_MANY, Api, Merchant, camel, draft
from tracklayer.app import build_app
from tracklayer.domain.alert import Severity
from tracklayer.domain.trouble import Trouble
from tracklayer.mappers import PLATFORMS
from tracklayer.runtime import Runtime
from tracklayer.schema.bodies import MAX_BODY
from tracklayer.services.merchants import create_api_key

GRAPHQL_JSON = "application/graphql-response+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"query": "{ platforms { title } }"}', 200, id="a query"),
        pytest.param(b'{"query": "{ nope }"}', 400, id="an unknown field"),
        pytest.param(b'{"query": "{ "}', 400, id="no document"),
        pytest.param(b"{", 400, id="no JSON"),
        pytest.param(b"[]", 400, id="a list of operations"),
        pytest.param(b'{"query": 5}', 400, id="a query that is a number"),
        pytest.param(b'{"query": "{ platforms { title } }", "variables": [1]}', 400, id="variables that are a list"),
        pytest.param(
            b'{"query": "{ __typename }", "operationName": 5}', 400, id="an operation's name that is a number"
        ),
        pytest.param(b'{"variables": {}}', 400, id="no query"),
        pytest.param(b"\xff\xfe", 400, id="no UTF-8"),
    ],
)
async def test_the_status_says_whether_it_was_executed(api: Api, body: bytes, status: int) -> None:
    answer = await api.client.post(
        "/graphql", content=body, headers={"content-type": "application/json", "accept": GRAPHQL_JSON}
    )
    assert answer.status_code == status
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"true", b"1.5", b" null "])
@pytest.mark.parametrize("accept", ["application/json", GRAPHQL_JSON, "text/event-stream"])
async def test_a_body_that_is_no_object_is_told_so(api: Api, body: bytes, accept: str) -> None:
    """By anybody: with a key and without, also where a stream is asked for."""
    for headers in ({}, {"authorization": f"Bearer {api.key}"}):
        headers |= {"content-type": "application/json", "accept": accept}
        answer = await api.client.post("/graphql", content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
        (error,) = answer.json()["errors"]
        assert error["extensions"] == {"code": "BAD_REQUEST"}
        assert error["message"].startswith("The body is no GraphQL request: send an object")


@pytest.mark.parametrize("body", [b"{}", b'{"query": null}', b'{"query": ""}'])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_body_without_a_query_is_told_so(api: Api, body: bytes, accept: str) -> None:
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json", "accept": accept}
    answer = await api.client.post("/graphql", content=body, headers=headers)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert "query" in error["message"]


@pytest.mark.parametrize(
    ("body", "place", "why"),
    [
        pytest.param(b'{"query":\n "{ x }", "variables":{"a":NaN}}', "line 2, column 28", "NaN and Infinity", id="NaN"),
        pytest.param(b'{"variables":{"a": -Infinity}}', "line 1, column 21", "NaN and Infinity", id="-Infinity"),
        pytest.param('{"é":\n"Caf\u00e9 jane"}'.encode("latin-1"), "line 1, column 3", "no UTF-8", id="Latin-1"),
        pytest.param(b'{"query":"jane\t"}', "line 1, column 15", "a tab as \\t", id="a tab"),
        pytest.param(b'{"query":"jane"', "line 1, column 16", "unexpected end", id="cut off"),
        pytest.param(b'{"query":"jane",}', "line 1, column 16", "trailing comma", id="a comma"),
        pytest.param(
            b'{"a":"\\ud83d","query":"jane",}', "line 1, column 30", "Expecting property name", id="half a pair"
        ),
        pytest.param(b"[" * 5_000, "", "lists within lists", id="deep"),
    ],
)
async def test_of_a_body_that_is_no_json_it_is_told_where_and_why(api: Api, body: bytes, place: str, why: str) -> None:
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json"}
    answer = await api.client.post("/graphql", content=body, headers=headers)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]) == (400, {"code": "BAD_REQUEST"})
    assert error["message"].startswith(f"The body is not JSON: {place}")
    assert why in error["message"]
    assert "jane" not in error["message"]


@pytest.mark.parametrize("name", ["variables", "extensions"])
async def test_a_parameter_of_an_address_that_is_no_json_is_named(api: Api, name: str) -> None:
    asked = {"query": "{ merchant { name } }", name: "{jane"}
    answer = await api.client.get("/graphql", params=asked, headers={"authorization": f"Bearer {api.key}"})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]) == (400, {"code": "BAD_REQUEST"})
    assert error["message"].startswith(f"`{name}` in the address is not JSON: line 1, column 2")
    assert "jane" not in error["message"]


@pytest.mark.parametrize("sign", "{}()[]:=|&!@")
async def test_a_sign_that_stands_in_the_wrong_place_is_named(api: Api, sign: str) -> None:
    (error,) = (await api.post(f"{{ merchant {{ {sign} }} }}")).json()["errors"]
    assert f"'{sign}'" in error["message"]
    assert "(a name)" not in error["message"]


async def test_a_list_of_requests_is_told_what_to_do_instead(api: Api) -> None:
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json"}
    answer = await api.client.post("/graphql", content=b'[{"query": "{ __typename }"}]', headers=headers)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]) == (400, {"code": "BAD_REQUEST"})
    assert "`ingestEvents` takes up to 1,000 events" in error["message"]


async def test_the_answer_has_the_media_type_that_was_asked_for(api: Api) -> None:
    plain = await api.post("{ platforms { title } }", accept="application/json")
    assert plain.headers["content-type"] == "application/json; charset=utf-8"
    strict = await api.post("{ platforms { title } }", accept=GRAPHQL_JSON)
    assert strict.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
    assert (await api.post("{ nope }", accept="application/json")).status_code == 200


async def test_a_form_cannot_send_an_operation(api: Api) -> None:
    """What a page of another origin can send without asking first is refused."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = await api.client.post(
            "/graphql", content=b'{"query": "{ platforms { title } }"}', headers={"content-type": kind}
        )
        assert answer.status_code == 415, kind
        message = "Send JSON: Content-Type: application/json."
        assert answer.json() == {"errors": [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]}


@pytest.mark.parametrize("accept", ["*/*", "application/json", GRAPHQL_JSON])
async def test_get_without_a_query_is_told_so(api: Api, accept: str) -> None:
    answer = await api.client.get("/graphql", headers={"accept": accept})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]) == (400, {"code": "BAD_REQUEST"})
    assert "query" in error["message"]


async def test_get_reads_and_never_changes(api: Api) -> None:
    read = await api.client.get("/graphql", params={"query": "{ platforms { title } }"})
    assert read.status_code == 200
    change = await api.client.get(
        "/graphql",
        params={"query": "mutation { pauseDestination(platform: META) { userErrors { code } } }"},
        headers={"authorization": f"Bearer {api.key}"},
    )
    assert change.status_code in (400, 405)
    assert (await api("{ merchant { destinations { state } } }"))["merchant"]["destinations"] == [{"state": "ACTIVE"}]


async def test_a_hundred_thousand_ids_to_redeliver_are_read_from_an_admins_key_alone(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    query = "mutation($ids: [ID!]) { redeliver(filter: {}, ids: $ids) { refused { reason count } } }"
    ids = [f"an id that is as long as those of deliveries are {n}" for n in range(100_000)]
    answer = await api(query, ids=ids)
    assert answer["redeliver"]["refused"] == [{"reason": "unknown id", "count": 100_000}]
    found = create_api_key(runtime, merchant.merchant_id, "shop", ["ingest", "read"])
    assert isinstance(found, tuple)
    assert (await api.post(query, {"ids": ids}, key=found[1])).status_code == 413
    assert (await api.post(query, {"ids": ids * 10})).status_code == 413


async def test_a_body_over_the_limit_is_refused_before_it_is_read_to_its_end(
    api: Api, runtime: Runtime, merchant: Merchant
) -> None:
    found = create_api_key(runtime, merchant.merchant_id, "shop", ["ingest", "read"])
    assert isinstance(found, tuple)
    headers = {"content-type": "application/json", "authorization": f"Bearer {found[1]}"}
    answer = await api.client.post("/graphql", content=b" " * (MAX_BODY + 1), headers=headers)
    assert answer.status_code == 413
    assert "4,194,304 bytes" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param(
            "{ events { edges { node " + "{ deliveries { event " * 6 + "{ id }" + " } }" * 6 + " } } }",
            "15 fields deep; 12 is the most",
            id="too deep",
        ),
        pytest.param(
            "{ " + " ".join(f"a{n}: platforms {{ title }}" for n in range(31)) + " }", "aliases", id="aliases"
        ),
        pytest.param("{ platforms { " + "title " * 5001 + "} }", "tokens", id="tokens"),
        pytest.param("{ events { ...Nowhere } }", "Unknown fragment 'Nowhere'.", id="an unknown fragment"),
    ],
)
async def test_an_operation_that_asks_for_too_much_is_refused(api: Api, query: str, message: str) -> None:
    answer = (await api.post(query)).json()
    assert any(message in error["message"] for error in answer["errors"]), answer


async def test_the_schema_may_be_asked_for(api: Api) -> None:
    answer = (await api.client.post("/graphql", json={"query": get_introspection_query()})).json()
    assert "errors" not in answer
    assert len(answer["data"]["__schema"]["types"]) > 50


async def test_both_spellings_of_the_path_answer(api: Api) -> None:
    for path in ("/graphql", "/graphql/"):
        assert (await api.client.post(path, json={"query": "{ platforms { title } }"})).status_code == 200


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"eventId": "a\x00b"}, id="NUL"),
        pytest.param({"eventName": " "}, id="blank name"),
        pytest.param({"customData": {"properties": {"a": {"b": 1}}}}, id="nested properties"),
        pytest.param({"customData": {"properties": [1]}}, id="properties that are a list"),
        pytest.param({"customData": {"value": "NaN"}}, id="not a number"),
        pytest.param({"customData": {"value": {"amount": 1}}}, id="an object for a number"),
        pytest.param({"occurredAt": 1795186740}, id="a number for a time"),
        pytest.param({"occurredAt": "0001-01-01T00:00:00+14:00"}, id="before all times"),
        pytest.param({"eventId": "x" * 256}, id="long id"),
        pytest.param({"userData": {"externalId": "x" * 300_000}}, id="large event"),
    ],
)
async def test_bad_input_is_rejected_and_nothing_is_stored(api: Api, event: dict[str, Any]) -> None:
    answer = await api.post(INGEST, {"input": {**camel(draft()), **event}})
    payload = answer.json()["data"]["ingestEvent"]
    assert (payload["outcome"], payload["event"]) == ("REJECTED", None)
    assert payload["userErrors"]
    assert (await api("{ events { edges { cursor } } }"))["events"]["edges"] == []


async def test_half_a_character_where_nobody_asks_for_it_is_no_fault(api: Api) -> None:
    """Of an event it is that event's refusal (``test_alone``); of a name that no operation has, nothing."""
    body = b'{"query": "{ platforms { title } }", "variables": {"a": "\\ud800"}}'
    answer = await api.client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert answer.json()["data"]["platforms"]


async def test_a_full_batch_fits_into_a_body(api: Api) -> None:
    events = [draft(f"{n:0255}", custom_data={"properties": {"note": "x" * 2500}}) for n in range(1000)]
    answer = await api.post(INGEST_MANY, {"inputs": camel(events)})
    assert answer.json()["data"]["ingestEvents"]["accepted"] == 1000


async def test_health_says_alive_and_ready(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracklayer.web.health.KEPT_SECONDS", 0)
    assert (await api.client.get("/healthz")).text == "ok\n"
    # It can serve; that nothing of it reaches a platform, because the emulator's address is set, is told all the same.
    ready = await api.client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    (warning,) = ready.json()["warnings"]
    assert warning.startswith("TRACKLAYER_SANDBOX_URL is set: what is meant for 1 destination goes to the emulator")
    await api("mutation { removeDestination(platform: META) { userErrors { code } } }")
    assert (await api.client.get("/readyz")).json() == {"ready": True}


async def test_readyz_stays_ready_and_says_what_is_wrong_elsewhere(runtime: Runtime) -> None:
    wrong = Trouble("clock_off", Severity.WARNING, "The clock of db-host-7 is wrong", "Set it.", runtime.clock.now())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(runtime, lambda keys: None, lambda: [wrong])), base_url="http://t"
    ) as client:
        ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "ready": True,
        "troubles": [{"kind": "clock_off", "severity": "warning"}],  # and no title: it names hosts
    }


async def test_readiness_is_looked_at_once_however_many_ask(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look() -> list[str]:
        looks.append(1)
        return []

    monkeypatch.setattr("tracklayer.web.health.KEPT_SECONDS", 60)
    monkeypatch.setattr("tracklayer.web.health.pending", look)
    answers = await asyncio.gather(*(api.client.get("/readyz") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ deliveries(filter: {platform: METTA}) { nodes { id } } }", {}),
        (
            "query($filter: DeliveryFilter!) { deliveries(filter: $filter) { nodes { id } } }",
            {"filter": {"platform": "METTA"}},
        ),
    ],
    ids=["in the document", "in a variable"],
)
async def test_a_value_that_an_enum_does_not_have_is_told_with_those_it_has(
    api: Api, query: str, variables: dict[str, Any]
) -> None:
    answer = await api.post(query, variables)
    (error,) = answer.json()["errors"]
    has = f"This value does not exist in 'Platform' enum, which has {', '.join(PLATFORMS).upper()}"
    assert has in error["message"]
    assert "METTA" not in error["message"]


async def test_an_argument_that_is_missing_is_named(api: Api) -> None:
    answer = (await api.post("mutation { ingestEvents { results { outcome } } }", {})).json()
    [error] = answer["errors"]
    assert "'Mutation.ingestEvents(inputs:)'" in error["message"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_another_method_is_told_which_there_are(api: Api, method: str) -> None:
    answer = await api.client.request(method, "/graphql")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
