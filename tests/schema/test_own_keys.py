"""A key that a caller made may be a value in the wrong place: no door says it back, in a path or in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories import Api, camel, draft
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import SettingKind
from tracklayer.services.destinations import example_settings

KEYS = [
    "canary.jane@example.com",
    "card number of canary.jane@example.com",
    "+491701234567",
    "4111111111111111",
    "EAAGsecretTokenValue1234567890abcdef",
    "q7JxkQpTz_aWbYcRdVeUf-",  # a secret of GA4's form with a single digit
    "tl_5MmoBz0RP8_gbSs4g9S35tAAAAAAAAAA",
]
EVENT = """mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome userErrors { field code message } }
  testDestination(platform: META, input: $input) { userErrors { field code message } }
}"""
PREVIEW = """query($input: IngestEventInput!, $platform: Platform!) {
  preview(input: $input, platform: $platform) { verdicts { rule message field } }
}"""
SET = "mutation($input: SetDestinationInput!) { setDestination(input: $input) { userErrors { field code message } } }"
OTHERS = [
    ("mutation($a: IdentifyInput!) { identify(input: $a) { userErrors { field message } } }", {"userData": {"$": 1}}),
    ("mutation($a: UpdateMerchantInput!) { updateMerchant(input: $a) { userErrors { field message } } }", {"$": 1}),
    (
        "mutation($a: UpdateMerchantInput!) { updateMerchant(input: $a) { userErrors { field message } } }",
        {"collector": {"$": 1}},
    ),
    ("mutation($a: SetAlertChannelInput!) { setAlertChannel(input: $a) { userErrors { field message } } }", {"$": 1}),
    ("mutation($a: CreateApiKeyInput!) { createApiKey(input: $a) { userErrors { field message } } }", {"$": 1}),
    ("mutation($a: ErasePersonInput!) { erasePerson(input: $a) { userErrors { field message } } }", {"$": 1}),
    ("mutation($a: DeliveryFilter!) { redeliver(filter: $a) { userErrors { field message } } }", {"$": "$"}),
    ("query($a: DeliveryFilter!) { deliveries(filter: $a) { nodes { id } } }", {"$": 1}),
    ("query($a: EventFilter!) { events(filter: $a) { nodes { id } } }", {"$": 1}),
]


def keyed(value: Any, key: str) -> Any:
    """``value`` with ``key`` wherever ``$`` stands."""
    if isinstance(value, dict):
        return {keyed(name, key): keyed(one, key) for name, one in value.items()}
    return key if value == "$" else value


@pytest.mark.parametrize("key", KEYS)
async def test_no_answer_says_a_callers_own_key_back(api: Api, key: str) -> None:
    said: list[tuple[Any, str]] = []

    async def ask(what: Any, query: str, variables: dict[str, Any]) -> None:
        answer = await api.post(query, variables)
        assert answer.status_code in (200, 400)
        assert "INTERNAL" not in answer.text
        assert "VALIDATION_FAILED" not in answer.text
        said.append((what, answer.text))

    card = "4111 1111 1111 1112"
    changes: list[dict[str, Any]] = [
        {key: 1},
        *({part: {key: key}} for part in ("user_data", "custom_data", "device", "consent")),
        {"custom_data": {"contents": [{"id": "a", key: 1}]}},
        *(
            {"custom_data": {"value": 1, "currency": "EUR", "properties": {key: value}}}
            for value in (key, [key], {key: key}, {"cvv": "123"}, card, "jane@example.com", 10**30, "a\x00")
        ),
    ]
    for change in changes:
        event = camel({name: value for name, value in draft(**change).items() if name not in change})
        event |= {name if name == key else camel({name: 1}).popitem()[0]: value for name, value in change.items()}
        await ask(change, EVENT, {"input": event})
        for platform in ("META", "TIKTOK") if "properties" in change.get("custom_data", {}) else ():
            answer = (await api.post(PREVIEW, {"input": event, "platform": platform})).json()
            said.append((change, str(answer.get("errors") or answer["data"]["preview"]["verdicts"])))
    for platform in PLATFORMS:
        mapper = mapper_for(platform)
        for settings in (
            {key: "access_token"},
            {key: key},
            {**example_settings(mapper), key: 1},
            *(
                {**example_settings(mapper), one.name: value}
                for one in mapper.settings
                if one.kind in (SettingKind.MAP, SettingKind.LIST, SettingKind.DOCUMENT)
                for value in ({key: key}, {key: {key: 1}}, {"*": "", key: ""}, [key, {key: 1}], {key: "1\x00"})
            ),
        ):
            await ask(settings, SET, {"input": {"platform": platform.upper(), "settings": settings}})
    for query, variables in OTHERS:
        await ask(variables, query, {"a": keyed(variables, key)})
    assert [(what, text) for what, text in said if key in text] == []
