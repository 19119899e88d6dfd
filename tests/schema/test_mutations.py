"""The mutations as a merchant's backend calls them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import INGEST, INGEST_MANY, PURCHASE, Api, Merchant, camel, draft, new_merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.merchants import MAX_API_KEYS
from tracklayer.domain.event_fields import MAX_UNKNOWN
from tracklayer.mappers import mapper_for
from tracklayer.runtime import Runtime
from tracklayer.schema.ids import encode
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import example_settings, remove_destination, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.redeliver import continue_redeliveries


async def test_an_event_is_accepted_then_coalesced_and_its_destination_woken(
    api: Api, merchant: Merchant, woken: list[tuple[int, str]]
) -> None:
    first = await api.ingest(draft())
    assert (first["outcome"], first["event"]["timesReceived"], first["userErrors"]) == ("ACCEPTED", 1, [])
    assert woken == [(merchant.merchant_id, "meta")]
    again = await api.ingest(draft())
    assert (again["outcome"], again["event"]) == ("COALESCED", {**first["event"], "timesReceived": 2})
    assert len(woken) == 1


async def test_a_mistake_is_data_with_a_path_in_the_spelling_of_graphql(api: Api) -> None:
    answer = await api.ingest(
        draft(
            occurred_at="2026-11-20 14:59",
            custom_data={"value": "ten", "contents": [{"id": "a", "item_price": "x"}], "currency": "EURO"},
        )
    )
    assert (answer["outcome"], answer["event"]) == ("REJECTED", None)
    assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [
        ("INVALID_TIME", ["occurredAt"]),
        ("INVALID_NUMBER", ["customData", "value"]),
        ("INVALID_CURRENCY", ["customData", "currency"]),
        ("INVALID_NUMBER", ["customData", "contents", "0", "itemPrice"]),
    ]


async def test_a_bad_cookie_is_a_warning_beside_accepted(api: Api, clock: FrozenClock) -> None:
    answer = await api.ingest(PURCHASE)
    assert answer["outcome"] == "ACCEPTED"
    assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [
        ("IDENTIFIER_MALFORMED", ["userData", "fbp"]),
        ("IDENTIFIER_MALFORMED", ["userData", "fbc"]),
    ]


async def test_a_batch_judges_each_event_on_its_own(api: Api) -> None:
    events = [draft("a"), draft("b", occurred_at="never"), draft("a"), draft("c", event_name="")]
    answer = (await api(INGEST_MANY, inputs=camel(events)))["ingestEvents"]
    assert (answer["accepted"], answer["coalesced"], answer["rejected"]) == (1, 1, 2)
    assert [result["outcome"] for result in answer["results"]] == ["ACCEPTED", "REJECTED", "COALESCED", "REJECTED"]


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_one_to_a_thousand_events(api: Api, count: int) -> None:
    answer = (await api.post(INGEST_MANY, {"inputs": camel([draft(str(n)) for n in range(count)])})).json()
    assert answer["errors"][0]["message"] == "inputs must hold 1 to 1000 events."
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0,)]


async def test_a_thousand_events_are_taken_at_once(api: Api) -> None:
    answer = (await api(INGEST_MANY, inputs=camel([draft(str(n)) for n in range(1000)])))["ingestEvents"]
    assert answer["accepted"] == 1000


async def test_a_value_of_the_wrong_type_is_named_and_never_quoted(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary@example.com"
    event = camel(draft())
    event["userData"] = {"email": canary, "fbclid": {"nested": canary}, "unknown": canary}
    answer = await api.post(INGEST, {"input": event})
    assert answer.status_code == 200
    told = [(error["field"], error["code"]) for error in answer.json()["data"]["ingestEvent"]["userErrors"]]
    assert told == [(["userData", "unknown"], "UNKNOWN_FIELD")]
    assert canary not in answer.text
    assert canary not in caplog.text


@pytest.mark.parametrize(
    ("event", "near"),
    [
        pytest.param({"userData": {"emial": "x"}}, "email", id="of user_data"),
        pytest.param({"evenName": "Purchase"}, "eventName", id="of the event"),
        pytest.param({"customData": {"contents": [{"sku": "A"}]}}, "id", id="of a line"),
    ],
)
async def test_an_unknown_field_is_answered_with_the_nearest_one(api: Api, event: dict[str, Any], near: str) -> None:
    (error,) = (await api(INGEST, input={**camel(draft()), **event}))["ingestEvent"]["userErrors"]
    assert error["message"].endswith(f"did you mean {near}?")


SET = """
mutation($input: SetDestinationInput!) {
  setDestination(input: $input) {
    destination { id platform state stateReason eventNames settings waiting } userErrors { field code message }
  }
}"""


async def test_a_destination_is_created_and_its_secret_never_shown(api: Api) -> None:
    token = "EAAB-this-is-a-long-access-token-9876"
    answer = (await api(SET, input={"platform": "META", "settings": {"pixel_id": "99999", "access_token": token}}))[
        "setDestination"
    ]
    assert answer["userErrors"] == []
    assert answer["destination"]["settings"] == {"pixel_id": "99999", "access_token": "••••9876"}
    changed = (
        await api(SET, input={"platform": "META", "settings": {"pixel_id": "88888"}, "eventNames": ["Purchase"]})
    )["setDestination"]
    assert changed["destination"]["settings"] == {"pixel_id": "88888", "access_token": "••••9876"}
    assert changed["destination"]["eventNames"] == ["Purchase"]
    as_shown = (
        await api(SET, input={"platform": "META", "settings": {"pixel_id": "77777", "access_token": "••••9876"}})
    )["setDestination"]
    assert as_shown["destination"]["settings"] == {"pixel_id": "77777", "access_token": "••••9876"}


async def set_meta(api: Api, **changes: Any) -> Any:
    """The destination after a change that must succeed."""
    answer = (await api(SET, input={"platform": "META", **changes}))["setDestination"]
    assert answer["userErrors"] == []
    return answer["destination"]


async def test_what_a_change_of_a_destination_leaves_out_stays(api: Api) -> None:
    settings = {"pixel_id": "99999", "access_token": "EAAB-a-long-token-1111", "default_country": "US", "ldu_state": 0}
    await set_meta(api, settings=settings, eventNames=["Purchase", "Lead"])
    token_alone = await set_meta(api, settings={"access_token": "EAAB-a-long-token-2222"})
    assert token_alone["settings"] == {**settings, "access_token": "••••2222"}
    assert token_alone["eventNames"] == ["Purchase", "Lead"]
    names_alone = await set_meta(api, eventNames=["Purchase"])
    assert (names_alone["settings"], names_alone["eventNames"]) == (token_alone["settings"], ["Purchase"])
    assert await set_meta(api) == names_alone
    assert await set_meta(api, settings={}) == names_alone
    variable = (
        "mutation($n: [String!]) { setDestination(input: {platform: META, eventNames: $n}) { userErrors { code } } }"
    )
    assert (await api(variable))["setDestination"]["userErrors"] == []  # one that is not given is left out
    assert await set_meta(api) == names_alone


async def test_null_removes_a_setting_and_takes_every_event_again(api: Api) -> None:
    settings = {"pixel_id": "99999", "access_token": "EAAB-a-long-token-1111", "default_country": "US"}
    await set_meta(api, settings={**settings, "test_event_code": "TEST123"}, eventNames=["Lead"])
    emptied = await set_meta(api, settings={"default_country": None, "test_event_code": ""}, eventNames=None)
    assert emptied["settings"] == {"pixel_id": "99999", "access_token": "••••1111"}
    assert emptied["eventNames"] is None
    for wrong, field in (
        ({"settings": {"pixel_id": None}}, ["settings", "pixel_id"]),
        ({"settings": {"access_token": None}}, ["settings", "access_token"]),
        ({"settings": None}, ["settings"]),
    ):
        answer = (await api(SET, input={"platform": "META", "eventNames": ["Lead"], **wrong}))["setDestination"]
        assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [("REQUIRED", field)]
        assert answer["destination"] is None
    unknown = (await api(SET, input={"platform": "META", "settings": {"pixelid": None}}))["setDestination"]
    assert [error["code"] for error in unknown["userErrors"]] == ["UNKNOWN_FIELD"]
    assert await set_meta(api) == emptied


async def test_of_a_new_destination_what_is_left_out_is_missing(api: Api) -> None:
    answer = (await api(SET, input={"platform": "TIKTOK"}))["setDestination"]
    assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [
        ("REQUIRED", ["settings", "pixel_code"]),
        ("REQUIRED", ["settings", "access_token"]),
    ]
    await set_meta(api, settings={"default_country": "US"}, eventNames=["Lead"])
    await api("mutation { removeDestination(platform: META) { userErrors { code } } }")
    again = (await api(SET, input={"platform": "META"}))["setDestination"]  # one that was removed begins anew
    assert {error["code"] for error in again["userErrors"]} == {"REQUIRED"}
    fresh = await set_meta(api, settings={"pixel_id": "99999", "access_token": "EAAB-a-long-token-1111"})
    assert (fresh["settings"], fresh["eventNames"]) == ({"pixel_id": "99999", "access_token": "••••1111"}, None)


@pytest.mark.parametrize("is_there", [True, False])
async def test_of_changes_at_once_none_is_lost(api: Api, runtime: Runtime, merchant: Merchant, is_there: bool) -> None:
    needed: dict[str, Any] = {"pixel_code": "C1234567890", "access_token": "a-long-token-1111"}
    changes: list[dict[str, Any]] = [{"default_country": "US"}, {"test_event_code": "T1"}, {"max_age_days": 3}]
    if is_there:
        set_destination(runtime, merchant.merchant_id, "tiktok", needed)
    answers = await asyncio.gather(
        *(api(SET, input={"platform": "TIKTOK", "settings": needed | change}) for change in changes)
    )
    assert [answer["setDestination"]["userErrors"] for answer in answers] == [[]] * 3
    found = (await api(SET, input={"platform": "TIKTOK"}))["setDestination"]["destination"]["settings"]
    assert found == {
        **needed,
        "access_token": "••••1111",
        "default_country": "US",
        "test_event_code": "T1",
        "max_age_days": 3,
    }


async def test_wrong_settings_are_all_named_and_nothing_changes(api: Api) -> None:
    answer = (
        await api(SET, input={"platform": "META", "settings": {"pixel_id": "abc", "acess_token": "x", "ldu_state": 5}})
    )["setDestination"]
    assert answer["destination"] is None
    assert [(error["code"], error["field"]) for error in answer["userErrors"]] == [
        ("UNKNOWN_FIELD", ["settings", "acess_token"]),
        ("INVALID_SETTING", ["settings", "pixel_id"]),
        ("INVALID_SETTING", ["settings", "ldu_state"]),
    ]
    assert "did you mean access_token?" in answer["userErrors"][0]["message"]
    with in_transaction():
        assert rows("SELECT settings ->> 'pixel_id' FROM destinations") == [("8234567890123456",)]


async def test_a_destination_is_paused_resumed_and_removed(api: Api) -> None:
    for mutation, state in (("pauseDestination", "PAUSED"), ("resumeDestination", "ACTIVE")):
        query = f"mutation {{ {mutation}(platform: META) {{ destination {{ state }} userErrors {{ code }} }} }}"
        assert (await api(query))[mutation] == {"destination": {"state": state}, "userErrors": []}
    remove = "mutation { removeDestination(platform: META) { destination { platform } userErrors { code } } }"
    assert (await api(remove))["removeDestination"]["destination"] == {"platform": "META"}
    assert (await api(remove))["removeDestination"] == {"destination": None, "userErrors": [{"code": "NOT_FOUND"}]}


async def test_a_merchant_changes_its_settings(api: Api) -> None:
    query = """mutation($input: UpdateMerchantInput!) { updateMerchant(input: $input) {
      merchant { name retentionDays hashUserData alertEmails } userErrors { field code } } }"""
    answer = (await api(query, input={"retentionDays": "DAYS_30", "alertEmails": ["ops@example.com"]}))[
        "updateMerchant"
    ]
    assert answer["merchant"] == {
        "name": "Shop",
        "retentionDays": "DAYS_30",
        "hashUserData": True,
        "alertEmails": ["ops@example.com"],
    }
    null = (await api(query, input={"name": None, "hashUserData": None, "retentionDays": None}))["updateMerchant"]
    assert [(error["code"], error["field"]) for error in null["userErrors"]] == [
        ("REQUIRED", ["name"]),
        ("REQUIRED", ["retentionDays"]),
        ("REQUIRED", ["hashUserData"]),
    ]
    emptied = (await api(query, input={"alertEmails": None}))["updateMerchant"]
    assert emptied["merchant"] == {**answer["merchant"], "alertEmails": []}
    refused = (await api(query, input={"alertEmails": ["not an address"], "name": " "}))["updateMerchant"]
    assert refused["merchant"] is None
    assert [error["field"] for error in refused["userErrors"]] == [["name"], ["alertEmails", "0"]]


async def test_what_a_merchant_sets_for_all_platforms_is_filled_in_and_a_destinations_own_wins(api: Api) -> None:
    change = """mutation($input: UpdateMerchantInput!) { updateMerchant(input: $input) {
      merchant { defaultCurrency defaultPageUrl requireConsent } userErrors { field code } } }"""
    preview = """query($input: IngestEventInput!, $platform: Platform!) { preview(input: $input, platform: $platform) {
      request wouldSend verdicts { rule ok field } } }"""
    event = camel(draft("defaults", custom_data={"value": 5}))
    del event["eventSourceUrl"]

    async def item(platform: str = "META") -> dict[str, Any]:
        found = (await api(preview, input=event, platform=platform))["preview"]["request"]
        return found["body"]["data"][0] if found else {}

    assert "currency" not in (await item()).get("custom_data", {})
    given = {"defaultCurrency": "EUR", "defaultPageUrl": "https://shop.example.com/", "requireConsent": "ALWAYS"}
    answer = (await api(change, input=given))["updateMerchant"]
    assert answer == {"merchant": given, "userErrors": []}
    assert await item() == {}
    assert (await api(change, input={"requireConsent": "NEVER"}))["updateMerchant"]["userErrors"] == []
    sent = await item()
    assert (sent["custom_data"]["currency"], sent["event_source_url"]) == ("EUR", "https://shop.example.com/")
    own = """mutation { setDestination(input: {platform: META, settings: {default_currency: "USD"}}) {
      destination { settings } userErrors { code } } }"""
    settings = (await api(own))["setDestination"]["destination"]["settings"]
    assert {name for name in settings if name.startswith("default_")} == {"default_currency"}
    assert (await item())["custom_data"]["currency"] == "USD"
    emptied = (await api(change, input={"defaultCurrency": None, "defaultPageUrl": ""}))["updateMerchant"]
    assert emptied["merchant"] == {"defaultCurrency": None, "defaultPageUrl": None, "requireConsent": "NEVER"}
    wrong = {"defaultCurrency": "eur", "defaultPageUrl": "shop", "requireConsent": None}
    refused = (await api(change, input=wrong))["updateMerchant"]
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [("REQUIRED", ["requireConsent"])]
    del wrong["requireConsent"]
    refused = (await api(change, input=wrong))["updateMerchant"]
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [
        ("INVALID_VALUE", ["defaultCurrency"]),
        ("INVALID_VALUE", ["defaultPageUrl"]),
    ]


async def test_a_key_is_shown_once_stored_as_a_hash_and_revoked_at_once(api: Api) -> None:
    create = """mutation { createApiKey(input: {name: "shop backend", scopes: [INGEST]}) {
      key apiKey { id name scopes prefix } userErrors { code } } }"""
    made = (await api(create))["createApiKey"]
    assert made["apiKey"]["scopes"] == ["INGEST"]
    assert made["key"].startswith(made["apiKey"]["prefix"])
    with in_transaction():
        assert all(made["key"] not in str(row) for row in rows("SELECT k.* FROM api_keys k"))
    other = Api(api.client, made["key"])
    assert (await other.ingest(draft()))["outcome"] == "ACCEPTED"
    revoke = "mutation($id: ID!) { revokeApiKey(id: $id) { apiKey { revokedAt } userErrors { code } } }"
    assert (await api(revoke, id=made["apiKey"]["id"]))["revokeApiKey"]["userErrors"] == []
    assert (await other.post(INGEST, {"input": camel(draft("b"))})).status_code == 401


async def test_no_key_is_made_that_is_not_listed(api: Api, merchant: Merchant) -> None:
    """Those in force are all listed, before revoked ones, the newest first; one too many is refused."""
    with in_transaction():
        for state, count in (("now()", 600), ("NULL", MAX_API_KEYS - 2)):
            rows(
                "INSERT INTO api_keys (merchant_id, name, scopes, prefix, key_hash, created_at, revoked_at) "
                "SELECT %s, 'key ' || n, '{ingest}', 'tl_' || n, sha256(gen_random_uuid()::text::bytea), now(), "
                f"{state} FROM generate_series(1, %s) AS n RETURNING 1",
                (merchant.merchant_id, count),
            )
    create = """mutation { createApiKey(input: {name: "the last", scopes: [ADMIN]}) {
      key userErrors { field code message } } }"""
    assert (await api(create))["createApiKey"]["userErrors"] == []
    listed = (await api("{ merchant { apiKeys { name revokedAt } } }"))["merchant"]["apiKeys"]
    in_force = [key["name"] for key in listed if key["revokedAt"] is None]
    assert (in_force[0], in_force[-1], len(in_force)) == ("the last", "first key", MAX_API_KEYS)
    assert [key["name"] for key in listed[MAX_API_KEYS:]] == ["key 600"]
    refused = (await api(create))["createApiKey"]
    message = "A merchant may have 500 API keys in force. Revoke one first."
    assert refused == {"key": None, "userErrors": [{"field": None, "code": "TOO_LARGE", "message": message}]}
    with in_transaction():
        assert rows("SELECT count(*) FROM api_keys WHERE name = 'the last'") == [(1,)]


SCOPED = [
    ("mutation($i: IngestEventInput!) { ingestEvent(input: $i) { outcome } }", "INGEST"),
    ("{ merchant { name } }", "READ"),
    ("{ events { edges { cursor } } }", "READ"),
    ("{ deliveries { edges { cursor } } }", "READ"),
    ("{ alerts { edges { cursor } } }", "READ"),
    ('{ event(eventId: "x") { id } }', "READ"),
    ('{ node(id: "x") { id } }', "READ"),
    ("mutation { redeliver(filter: {}) { matched } }", "ADMIN"),
    ("mutation { deliverStored(platform: META, filter: {}) { matched } }", "ADMIN"),
    ("mutation { exportPerson(input: {}) { complete } }", "ADMIN"),
    ("mutation { pauseDestination(platform: META) { userErrors { code } } }", "ADMIN"),
    ("mutation { resumeDestination(platform: META) { userErrors { code } } }", "ADMIN"),
    ("mutation { removeDestination(platform: META) { userErrors { code } } }", "ADMIN"),
    ("mutation { updateMerchant(input: {}) { userErrors { code } } }", "ADMIN"),
    ('mutation { createApiKey(input: {name: "x", scopes: [READ]}) { userErrors { code } } }', "ADMIN"),
    ('mutation { revokeApiKey(id: "x") { userErrors { code } } }', "ADMIN"),
    ("mutation { testDestination(platform: META) { userErrors { code } } }", "ADMIN"),
    ("mutation { setDestination(input: {platform: META, settings: {}}) { userErrors { code } } }", "ADMIN"),
]


@pytest.mark.parametrize("scope", ["INGEST", "READ", "ADMIN"])
async def test_a_key_may_do_what_its_scope_says_and_nothing_else(api: Api, scope: str) -> None:
    create = 'mutation($s: [ApiKeyScope!]!) { createApiKey(input: {name: "k", scopes: $s}) { key } }'
    key = (await api(create, s=[scope]))["createApiKey"]["key"]
    for query, needed in SCOPED:
        variables = {"i": camel(draft(query[:20]))} if "$i" in query else {}
        answer = (await api.post(query, variables, key)).json()
        allowed = scope in (needed, "ADMIN")
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ([] if allowed else ["FORBIDDEN"]), query


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer tl_wrong", "Basic dXNlcjpwdw==", "tl_wrong"])
async def test_without_a_good_key_nothing_is_read_or_stored(api: Api, authorization: str) -> None:
    answer = await api.client.post(
        "/graphql",
        json={"query": INGEST, "variables": {"input": camel(draft())}},
        headers={"authorization": authorization},
    )
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    with in_transaction():
        assert rows("SELECT count(*) FROM events") == [(0,)]


async def test_redelivery_by_ids_reports_what_it_refused(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, woken: list[tuple[int, str]]
) -> None:
    await api.ingest(draft("refund", event_name="Refund"))
    await api.ingest(draft("fine"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    found = await api("{ deliveries { edges { node { id event { eventId } } } } }")
    by_event = {edge["node"]["event"]["eventId"]: edge["node"]["id"] for edge in found["deliveries"]["edges"]}
    clock.move(timedelta(minutes=1))
    woken.clear()
    query = """mutation($ids: [ID!]!) { redeliver(filter: {}, ids: $ids) {
      matched requeued refused { reason count } userErrors { code } } }"""
    answer = (await api(query, ids=[by_event["refund"], by_event["fine"], "nonsense"]))["redeliver"]
    assert (answer["matched"], answer["requeued"]) == (2, 1)
    assert answer["refused"] == [{"reason": "already delivered", "count": 1}, {"reason": "unknown id", "count": 1}]
    assert woken == [(merchant.merchant_id, "meta")]


async def test_a_big_redelivery_is_a_node_of_its_merchant(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    for start in range(0, 1001, 500):
        drafts = [draft(f"order_{n}", event_name="Refund") for n in range(start, min(start + 500, 1001))]
        ingest_events(runtime, merchant.holder, drafts)
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass
    clock.move(timedelta(minutes=1))
    fields = "id state requestedAt finishedAt matched requeued refused { reason count field exampleEventId }"
    query = f"mutation {{ redeliver(filter: {{}}, all: true) {{ matched requeued complete refused {{ reason }} job {{ {fields} }} }} }}"
    answer = (await api(query))["redeliver"]
    assert (answer["matched"], answer["requeued"], answer["refused"]) == (1000, 1000, [])
    assert answer["complete"] is False
    job = answer["job"]
    expected = {"state": "RUNNING", "requestedAt": "2026-11-20T15:01:00.000Z", "finishedAt": None}
    assert job == {"id": job["id"], **expected, "matched": 1000, "requeued": 1000, "refused": []}
    remove_destination(runtime, merchant.merchant_id, "meta")
    continue_redeliveries(runtime)
    node = f"query($id: ID!) {{ node(id: $id) {{ ... on Redelivery {{ {fields} }} }} }}"
    assert (await api(node, id=job["id"]))["node"] == {
        **job,
        "state": "FINISHED",
        "finishedAt": "2026-11-20T15:01:00.000Z",
        "matched": 1001,
        "refused": [{"reason": "its destination was removed", "count": 1, "field": None, "exampleEventId": "order_0"}],
    }
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    assert await other(node, id=job["id"]) == {"node": None}


REDELIVER = """
mutation($filter: DeliveryFilter!, $ids: [ID!], $all: Boolean, $dryRun: Boolean) {
  redeliver(filter: $filter, ids: $ids, all: $all, dryRun: $dryRun) {
    matched requeued complete duplicateRisk refused { reason count field exampleEventId } job { id } userErrors { field code }
  }
}"""


@pytest.mark.parametrize(
    ("arguments", "is_refused"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"ids": None, "all": None, "dryRun": None}, True, id="nulls"),
        pytest.param({"ids": []}, True, id="a list of no ids"),
        pytest.param({"filter": {"status": [], "dropReason": [], "errorContains": ""}}, True, id="empty filters"),
        pytest.param({"filter": {"platform": None, "status": None, "queuedSince": None}}, True, id="filters of null"),
        pytest.param({"dryRun": True}, True, id="a dry run of nothing"),
        pytest.param({"all": True}, False, id="all"),
        pytest.param({"filter": {"platform": "META"}}, False, id="a filter"),
        pytest.param({"filter": {"status": ["DROPPED"]}, "ids": None}, False, id="a filter and ids of null"),
        pytest.param({"filter": {"errorContains": "refund"}}, False, id="a text"),
    ],
)
async def test_a_redelivery_of_everything_must_be_meant(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, arguments: dict[str, Any], is_refused: bool
) -> None:
    await api.ingest(draft("refund", event_name="Refund"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    answer = (await api(REDELIVER, **{"filter": {}, **arguments}))["redeliver"]
    errors = [{"field": ["filter"], "code": "EMPTY_FILTER"}] if is_refused else []
    assert (answer["userErrors"], answer["requeued"]) == (errors, 0 if is_refused else 1)
    with in_transaction():
        assert rows("SELECT status FROM deliveries") == [("dropped" if is_refused else "queued",)]


async def test_of_a_list_of_no_ids_nothing_is_redelivered(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int
) -> None:
    await api.ingest(draft("refund", event_name="Refund"))
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    for arguments in ({"filter": {"platform": "META"}}, {"filter": {}, "all": True}):
        answer = (await api(REDELIVER, ids=[], **arguments))["redeliver"]
        assert (answer["matched"], answer["requeued"], answer["userErrors"]) == (0, 0, [])


async def test_a_dry_run_tells_and_changes_nothing(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, woken: list[tuple[int, str]]
) -> None:
    old = "2026-11-13T15:00:30Z"  # too old for Meta in a minute
    await api.ingest(draft("old", event_name="Refund", occurred_at=old))
    for event in (draft("refund", event_name="Refund"), draft("fine")):
        await api.ingest(event)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    with in_transaction():
        unanswered = '[{"number": 1, "at": "2026-11-20T15:00:00+00:00", "outcome": "unknown"}]'
        execute("UPDATE deliveries SET attempt_log = %s WHERE event_id <> 'fine'", (unanswered,))
    clock.move(timedelta(minutes=1))
    ids = [encode("Delivery", merchant.merchant_id, id, "meta") for id in ("old", "refund", "fine", "none")]
    woken.clear()
    before = state_of_deliveries()
    found = (await api(REDELIVER, filter={"platform": "META"}, dryRun=True))["redeliver"]
    too_old = {"reason": "too old for the platform", "count": 1, "field": "occurredAt", "exampleEventId": "old"}
    assert found == {
        "matched": 2,
        "requeued": 1,
        "complete": True,
        "duplicateRisk": 1,
        "refused": [too_old],
        "job": None,
        "userErrors": [],
    }
    by_ids = (await api(REDELIVER, filter={}, ids=[*ids, "nonsense"], dryRun=True))["redeliver"]
    assert (by_ids["matched"], by_ids["requeued"]) == (3, 1)
    assert by_ids["refused"] == [
        {"reason": "already delivered", "count": 1, "field": None, "exampleEventId": "fine"},
        too_old,
        {"reason": "unknown id", "count": 2, "field": None, "exampleEventId": "none"},
    ]
    assert (state_of_deliveries(), woken) == (before, [])
    # The redelivery itself does what was told.
    assert (await api(REDELIVER, filter={"platform": "META"}))["redeliver"] == found
    assert woken == [(merchant.merchant_id, "meta")]


def state_of_deliveries() -> list[tuple[Any, ...]]:
    with in_transaction():
        assert rows("SELECT count(*) FROM redeliveries") == [(0,)]
        return rows("SELECT xmin::text, d.* FROM deliveries d ORDER BY event_id")


DELIVER_STORED = """
mutation($filter: EventFilter!, $all: Boolean, $dryRun: Boolean) {
  deliverStored(platform: TIKTOK, filter: $filter, all: $all, dryRun: $dryRun) {
    matched requeued complete refused { reason count field exampleEventId } job { id } userErrors { field code }
  }
}"""


@pytest.mark.parametrize(
    ("given", "is_refused"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"all": None}, True, id="null"),
        pytest.param({"all": True}, False, id="all"),
        pytest.param({"eventIdPrefix": "", "platforms": [], "receivedSince": None}, True, id="empty filters"),
        pytest.param({"receivedSince": "2026-11-20T00:00:00Z"}, False, id="since when"),
        pytest.param({"platform": "META", "deliveryStatus": "QUEUED"}, False, id="what another platform has"),
    ],
)
async def test_stored_events_must_be_named_to_get_deliveries(
    api: Api, woken: list[tuple[int, str]], merchant: Merchant, given: dict[str, Any], is_refused: bool
) -> None:
    await api.ingest(draft())
    nowhere = (await api(DELIVER_STORED, filter={"eventName": "Purchase"}))["deliverStored"]
    assert nowhere["userErrors"] == [{"field": ["platform"], "code": "NOT_FOUND"}]
    await api(SET, input={"platform": "TIKTOK", "settings": example_settings(mapper_for("tiktok"))})
    woken.clear()
    arguments = {"filter": {name: value for name, value in given.items() if name != "all"}}
    if "all" in given:
        arguments["all"] = given["all"]
    for dry_run in (True, False):
        answer = (await api(DELIVER_STORED, **arguments, dryRun=dry_run))["deliverStored"]
        errors = [{"field": ["filter"], "code": "EMPTY_FILTER"}] if is_refused else []
        assert (answer["userErrors"], answer["requeued"], answer["complete"]) == (errors, int(not is_refused), True)
    assert woken == ([] if is_refused else [(merchant.merchant_id, "tiktok")])
    shown = (await api('{ event(eventId: "order_1") { deliveries { platform status } } }'))["event"]["deliveries"]
    there = [{"platform": "META", "status": "QUEUED"}]
    assert shown == (there if is_refused else [*there, {"platform": "TIKTOK", "status": "QUEUED"}])


async def test_a_destination_is_checked_against_the_last_events_when_it_is_set(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    query = """mutation($input: SetDestinationInput!) { setDestination(input: $input) {
      check { events wouldSend refused { reason count field exampleEventId } noPlace { field count }
        warnings { field code } }
      userErrors { code } } }"""
    settings = example_settings(mapper_for("microsoft_ads"))
    new = {"platform": "MICROSOFT_ADS", "settings": settings}
    first = (await api(query, input=new))["setDestination"]
    assert first == {
        "check": {"events": 0, "wouldSend": 0, "refused": [], "noPlace": [], "warnings": []},
        "userErrors": [],
    }
    for n in range(3):
        await api.ingest(draft(f"page_{n}", event_name="PageView", event_source_url=None))
    await api.ingest(draft("order", custom_data={"value": 1, "status": "paid"}))
    await api.ingest(draft("lead", event_name="Lead", user_data={}))
    clock.move(timedelta(days=6))  # and one that came in time is not too old now
    again = (await api(query, input={**new, "eventNames": ["PageView", "Purchase"]}))["setDestination"]
    lead = {"reason": "filtered by the destination's event names", "count": 1, "field": "eventName"}
    page = {"reason": "INVALID_FIELD", "count": 3, "field": "eventSourceUrl"}
    assert again["check"] == {
        "events": 5,
        "wouldSend": 1,
        "refused": [{**page, "exampleEventId": "page_2"}, {**lead, "exampleEventId": "lead"}],
        "noPlace": [{"field": "customData.status", "count": 1}],
        "warnings": [],
    }
    mended = {**settings, "default_page_url": "https://shop.example.com/"}
    found = (await api(query, input={"platform": "MICROSOFT_ADS", "settings": mended}))["setDestination"]["check"]
    assert (found["events"], found["wouldSend"]) == (5, 4)
    counted = {**mended, "event_names": {"order_refunded": "purchase"}}
    warned = (await api(query, input={**new, "settings": counted, "eventNames": None}))["setDestination"]
    assert warned["check"]["warnings"] == [{"field": ["settings", "event_names"], "code": "REFUND_COUNTED"}]
    assert warned["userErrors"] == []
    wrong = (await api(query, input={"platform": "MICROSOFT_ADS", "settings": {"nonsense": 1}}))["setDestination"]
    assert wrong == {"check": None, "userErrors": [{"code": "UNKNOWN_FIELD"}]}
    paused = await api("mutation { pauseDestination(platform: META) { check { events } destination { state } } }")
    assert paused["pauseDestination"] == {"check": None, "destination": {"state": "PAUSED"}}
    with in_transaction():
        assert rows("SELECT count(*) FROM deliveries WHERE platform = 'microsoft_ads' AND status <> 'queued'") == [(0,)]


async def test_another_merchants_ids_change_nothing(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    await api.ingest(draft("refund", event_name="Refund"))
    ids = await api("{ deliveries { edges { node { id } } } merchant { apiKeys { id } } }")
    delivery = ids["deliveries"]["edges"][0]["node"]["id"]
    key = ids["merchant"]["apiKeys"][0]["id"]
    tried = await other(
        """mutation($d: [ID!]!, $k: ID!) {
          redeliver(filter: {}, ids: $d) { matched requeued }
          revokeApiKey(id: $k) { apiKey { id } userErrors { code } } }""",
        d=[delivery],
        k=key,
    )
    assert tried["redeliver"] == {"matched": 0, "requeued": 0}
    assert tried["revokeApiKey"] == {"apiKey": None, "userErrors": [{"code": "NOT_FOUND"}]}
    assert (await api("{ merchant { name } }"))["merchant"]["name"] == "Shop"


async def test_a_destination_is_tried_over_the_api(api: Api) -> None:
    query = """mutation($platform: Platform!) { testDestination(platform: $platform) {
      attempt { outcome httpStatus } request explanation { summary } userErrors { code message } } }"""
    none = (await api(query, platform="TIKTOK"))["testDestination"]
    assert (none["attempt"], [error["code"] for error in none["userErrors"]]) == (None, ["NOT_FOUND"])
    missing = (await api(query, platform="META"))["testDestination"]
    assert [error["code"] for error in missing["userErrors"]] == ["TEST_SETTING_MISSING"]
    settings = {"pixel_id": "8234567890123456", "test_event_code": "TEST12345"}
    await api(SET, input={"platform": "META", "settings": settings})
    tried = (await api(query, platform="META"))["testDestination"]
    assert tried["attempt"] == {"outcome": "ACKNOWLEDGED", "httpStatus": 200}
    assert tried["request"]["body"]["test_event_code"] == "TEST12345"
    assert "token-of-the-tests" not in str(tried)


async def test_a_test_event_is_told_what_is_left_out_and_what_stands_in(api: Api) -> None:
    query = """mutation($input: IngestEventInput) { testDestination(platform: META, input: $input) {
      attempt { outcome } request explanation { code field nextStep } verdicts { rule ok field message }
      userErrors { field code message } } }"""
    settings = {"pixel_id": "8234567890123456", "test_event_code": "TEST12345", "default_currency": "EUR"}
    await api(SET, input={"platform": "META", "settings": settings})
    event = draft(occurred_at="2026-11-20T15:00:00Z", custom_data={"value": 5}, event_source_url=None)
    event["user_data"] |= {"street": "1 Main Street"}
    tried = (await api(query, input=camel(event)))["testDestination"]
    assert (tried["attempt"], tried["userErrors"]) == ({"outcome": "ACKNOWLEDGED"}, [])
    told = {verdict["rule"]: verdict for verdict in tried["verdicts"]}
    assert (told["currency"]["ok"], told["currency"]["field"]) == (True, "customData.currency")
    assert told["currency"]["message"] == "none given: EUR, the default, stands in"
    assert (told["event_source_url"]["ok"], told["event_source_url"]["field"]) == (False, "eventSourceUrl")
    assert told["no_place"] == {
        "rule": "no_place",
        "ok": False,
        "field": "userData.street",
        "message": "left out: Meta has no place for it",
    }
    of_ours = (await api(query))["testDestination"]  # of an invented event nobody misses a field
    assert [verdict for verdict in of_ours["verdicts"] if verdict["rule"] == "no_place"] == []

    refused = (await api(query, input=camel({**event, "custom_data": {}})))["testDestination"]
    assert (refused["attempt"], refused["request"]) == (None, None)
    (error,) = refused["userErrors"]
    assert (error["field"], error["code"]) == (["input", "customData", "value"], "INVALID_FIELD")
    assert "Meta refuses a Purchase without value" in error["message"]
    assert (refused["explanation"]["code"], refused["explanation"]["field"]) == ("INVALID_FIELD", "customData.value")
    assert refused["explanation"]["nextStep"]
    assert [verdict["rule"] for verdict in refused["verdicts"] if not verdict["ok"]][-1] == "value"
    ahead = (await api(query, input=camel({**event, "occurred_at": "2026-11-20T15:09:00Z"})))["testDestination"]
    assert ([error["code"] for error in ahead["userErrors"]], ahead["attempt"]) == (["TIME_IN_FUTURE"], None)


async def test_messages_spell_fields_and_choices_as_the_api_does(api: Api) -> None:
    wrong = camel(draft(user_data={"email": "a@b.example", "fbp": "x"}, custom_data={"value": "x", "numItems": "y"}))
    messages = [error["message"] for error in (await api(INGEST, input=wrong))["ingestEvent"]["userErrors"]]
    assert [message.split()[0] for message in messages] == ["customData.value", "customData.numItems"]

    malformed = await api.ingest(draft("order_2", user_data={"fbp": "x"}))
    assert malformed["userErrors"][0]["message"].startswith("userData.fbp ")

    misfit = {**camel(draft("order_3")), "actionSource": "website", "event_Name": 1}
    data = await api(INGEST_MANY.replace("field code", "field code message"), inputs=[misfit])
    told = {error["code"]: error for error in data["ingestEvents"]["results"][0]["userErrors"]}
    assert told["INVALID_VALUE"]["message"].startswith("actionSource must be one of WEBSITE, APP, ")
    assert told["UNKNOWN_FIELD"]["field"] == ["event_Name"]
    assert told["UNKNOWN_FIELD"]["message"] == "event_Name is not a field of an event, did you mean eventName?"

    conflict = await api.ingest(draft("order_2", event_name="Refund"))
    assert conflict["userErrors"][0]["message"].startswith("This eventId is stored already, ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"consent": []}, []),
        ({"device": []}, []),
        ({"userData": []}, []),
        ({"customData": []}, []),
        ({"customData": {"properties": []}}, []),
        ({"consent": {"adUserData": ""}}, []),
        ({"consent": {"adPersonalization": "\u200b", "limitedDataUse": " "}}, []),
        ({"actionSource": ""}, []),
        ({"actionSource": "\ufeffAPP"}, []),
        ({"occurredAt": "\ufeff2026-11-20T15:00:00Z"}, []),
        ({"customData": {"currency": "\u200eEUR", "value": "\u200e100"}}, []),
        ({"customData": {"contents": [None, {"id": "b"}]}}, [["customData", "contents", "0"]]),
        ({"customData": {"contents": [{"id": None, "quantity": -1}]}}, [["customData", "contents", "0", "id"]]),
        ({"customData": {"contents": [{"id": "b", "quantity": -1}]}}, [["customData", "contents", "0", "quantity"]]),
        ({"customData": {"contents": " "}}, []),
        ({"customData": ""}, []),
        ({"consent": "", "device": ""}, []),
    ],
    ids=str,
)
async def test_what_shops_write_for_nothing_refuses_no_event(api: Api, given: dict[str, Any], told: list[Any]) -> None:
    answer = (await api(INGEST, input={**camel(draft()), **given}))["ingestEvent"]
    assert (answer["outcome"], [error["field"] for error in answer["userErrors"]]) == ("ACCEPTED", told)


async def test_of_hundreds_of_unknown_fields_the_first_are_named(api: Api) -> None:
    """To find what is like a name takes time: it is taken for some, however many are sent."""
    many = {f"field{n}": n for n in range(2000)}
    data = await api(INGEST_MANY, inputs=[{**camel(draft()), "userData": many, **many}, camel(draft("order_2"))])
    refused, accepted = data["ingestEvents"]["results"]
    assert [error["code"] for error in refused["userErrors"]] == ["UNKNOWN_FIELD"] * 2 * MAX_UNKNOWN  # of each object
    assert accepted["outcome"] == "ACCEPTED"
