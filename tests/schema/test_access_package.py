"""What is stored about somebody is given in one answer, or else not at all."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.factories import Api, Merchant, draft, new_merchant
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services import access_package
from tracklayer.services.access_package import Package, as_json, export_person, package_of
from tracklayer.services.erase import Request
from tracklayer.services.ingest import ingest_events

EMAIL = "canary.jane@shop.example"
EXPORT = """
mutation($input: ErasePersonInput!) {
  exportPerson(input: $input) { events browsers eventsUncertain complete json userErrors { field code message } }
}"""


def hers(event_id: str, /, **user_data: Any) -> dict[str, Any]:
    return draft(event_id, user_data={"email": EMAIL, "client_user_agent": "Mozilla/5.0", **user_data})


async def test_it_is_what_the_command_prints_and_of_nobody_else(
    api: Api, runtime: Runtime, merchant: Merchant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ingest_events(
        runtime, merchant.holder, [hers("hers", first_name="Jane"), draft("his", user_data={"phone": "+15550100"})]
    )
    ingest_events(runtime, new_merchant(runtime, name="Other").holder, [hers("elsewhere")])
    found = (await api(EXPORT, input={"email": EMAIL}))["exportPerson"]
    package = orjson.loads(found.pop("json"))
    assert found == {"events": 1, "browsers": 0, "eventsUncertain": 0, "complete": True, "userErrors": []}
    assert [event["event_id"] for event in package["events"]] == ["hers"]
    assert package["events"][0]["user_data"]["first_name"] == "Jane"
    printed = b"".join(as_json(export_person(runtime, merchant.merchant_id, Request(email=EMAIL))))
    assert package == orjson.loads(printed)
    assert not re.search("canary|Jane", caplog.text)

    nobody = (await api(EXPORT, input={"email": "nobody@shop.example"}))["exportPerson"]
    assert (nobody["events"], nobody["complete"]) == (0, True)
    refused = (await api(EXPORT, input={}))["exportPerson"]
    assert ([error["code"] for error in refused["userErrors"]], refused["json"]) == (["REQUIRED"], None)


async def test_what_may_be_somebody_elses_is_counted_as_in_the_dry_run_of_an_erasure(
    api: Api, runtime: Runtime
) -> None:
    merchant = new_merchant(runtime, hashing=False)
    api = replace(api, key=merchant.key)
    ingest_events(runtime, merchant.holder, [draft("either", user_data={"phone": "0151 23456789"})])
    asked, dry_run = {"phone": "+49 151 23456789"}, "erasePerson(input: $input, dryRun: true) { eventsUncertain }"
    found = await api(EXPORT.replace("exportPerson", f"{dry_run} exportPerson"), input=asked)
    assert found["erasePerson"] == {"eventsUncertain": 1}
    export = found["exportPerson"]
    assert (export["events"], export["browsers"], export["eventsUncertain"], export["complete"]) == (0, 0, 1, True)
    assert orjson.loads(export["json"]) == {"events": [], "browsers": []}
    named = (await api(EXPORT, input={**asked, "eventIds": ["either"]}))["exportPerson"]
    assert (named["events"], named["eventsUncertain"]) == (1, 0)


async def test_a_part_of_it_is_not_given(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [hers(f"order_{number}") for number in range(3)])
    asked, ids = Request(email=EMAIL), merchant.merchant_id
    whole = package_of(runtime, ids, asked)
    assert isinstance(whole, Package)
    assert whole.json is not None
    size = len(whole.json.encode())
    assert package_of(runtime, ids, asked, most=size) == whole
    assert package_of(runtime, ids, asked, most=size - 1) == Package(3, 0, None)
    assert package_of(runtime, ids, asked, seconds=-1) == Package(0, 0, None)
    assert access_package.MOST_BYTES < 10_000_000


async def test_what_does_not_open_is_told(api: Api, runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [hers("hers", first_name="Jane")])
    runtime.sealer = Sealer(["another-key-of-forty-characters-and-some-more"])
    found = (await api(EXPORT, input={"email": EMAIL}))["exportPerson"]
    assert ([error["code"] for error in found["userErrors"]], found["json"]) == (["SEALED"], None)
