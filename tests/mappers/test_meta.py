"""Meta: worked examples, refusals, normalisation, cookies, answers and settings of its mapper."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import orjson
import pytest

from tests.mappers.helpers import Asked, reply
from tracklayer.domain import normalise
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    BodyToken,
    CredentialsRefused,
    DropReason,
    Outcome,
    PlatformReply,
    PlatformRequest,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.domain.event import ACTION_SOURCES
from tracklayer.domain.normalise import Matchable
from tracklayer.mappers.base import Mapped, Refused, RuleVerdict
from tracklayer.mappers.meta import MAPPER
from tracklayer.mappers.outgoing import map_event
from tracklayer.services.destinations import check_settings

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType({"pixel_id": "1234567890123456", "access_token": "secret-token"})
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
ANNA = "a3bf86238a1c59bd2f0a648af9293620f90d18dad133d8fe2341cf9664a5d6d0"  # anna@example.org
LONDON = "35e206e5dec4c89b9e8b71b8c32724a5bb518483ac5a20c6617d738375b3b823"  # 442079460958
MD5 = "0cc175b9c0f1b6a831c399e269772661"
SHA1 = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"


def draft(**changes: Any) -> dict[str, Any]:
    """A good Lead; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "event_name": "Lead",
        "event_id": "lead-552",
        "occurred_at": "2026-11-20T14:11:05Z",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/newsletter",
        "user_data": {"email": "ANNA@example.org"},
    }
    return {name: value for name, value in {**good, **deepcopy(changes)}.items() if value is not ...}


ASKED = Asked(MAPPER, SETTINGS, NOW)
read, mapped = ASKED.read, ASKED.mapped


def request(event: dict[str, Any], settings: Mapping[str, Any] = SETTINGS, now: datetime = NOW) -> PlatformRequest:
    found = mapped(event, settings, now)
    return MAPPER.build_request(found.group, [found.item], settings)


def user_data(settings: Mapping[str, Any] = SETTINGS, /, **given: str) -> dict[str, Any]:
    """``user_data`` as Meta gets it, of a person who has an e-mail besides; the e-mail's digest taken out."""
    found: dict[str, Any] = mapped(draft(user_data={"email": "ANNA@example.org", **given}), settings).item["user_data"]
    assert found.pop("em") == [ANNA]
    return found


def custom_data(**given: Any) -> dict[str, Any]:
    found: dict[str, Any] = mapped(draft(custom_data=given)).item.get("custom_data", {})
    return found


def left_out(found: Mapped) -> list[str | None]:
    return [verdict.field for verdict in found.verdicts if not verdict.ok]


def written(value: Any) -> str:
    """JSON text: unlike ``==`` it tells 50 from 50.0 and true from 1."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2).decode()


# The whole request --------------------------------------------------------------------------------------------------

EXAMPLES = [
    pytest.param(
        {
            "event_name": "Purchase",
            "event_id": "ord-10042",
            "occurred_at": "2026-11-20T14:03:12.345Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/thank-you?order=10042",
            "user_data": {
                "email": "  Jane.Doe+News@Gmail.com ",
                "phone": "+1 (650) 555-0123",
                "first_name": "Anne-Marie",
                "last_name": "O'Neil",
                "date_of_birth": "1990-02-16",
                "gender": "F",
                "city": "San Francisco",
                "state": "CA",
                "zip": "94107-1234",
                "country": "US",
                "external_id": "Cust-7781",
                "client_ip": "203.0.113.42",
                "client_user_agent": CHROME,
                "fbp": "fb.1.1794000000123.1098115397",
                "fbc": "fb.1.1795100000456.IwAR2F4dbP0l7Mn1IawQQGCINEz7PYXQvwjNwBqa2ofrHyiLjcbCRxTDMgk",
            },
            "custom_data": {
                "value": 129.9,
                "currency": "usd",
                "order_id": "10042",
                "contents": [
                    {"id": "SKU-1", "quantity": 2, "item_price": 39.95},
                    {"id": "SKU-2", "quantity": 1, "item_price": 50},
                ],
                "num_items": 3,
            },
        },
        {},
        {
            "data": [
                {
                    "event_name": "Purchase",
                    "event_time": 1795183392,
                    "event_id": "ord-10042",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/thank-you?order=10042",
                    "user_data": {
                        "em": ["f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a"],
                        "ph": ["26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec"],
                        "fn": ["67495eb5715de43c26f7c18b25cc7f62a7540236516bd59d5162a6f743598083"],
                        "ln": ["67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c"],
                        "db": ["119708f926e82760ac09bbc34a1c9208e18fcda59ca7e4757e2c7de335e2da30"],
                        "ge": ["252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"],
                        "ct": ["1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac"],
                        "st": ["6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"],
                        "zp": ["c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead"],
                        "country": ["79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"],
                        "external_id": ["005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4"],
                        "client_ip_address": "203.0.113.42",
                        "client_user_agent": CHROME,
                        "fbc": "fb.1.1795100000456.IwAR2F4dbP0l7Mn1IawQQGCINEz7PYXQvwjNwBqa2ofrHyiLjcbCRxTDMgk",
                        "fbp": "fb.1.1794000000123.1098115397",
                    },
                    "custom_data": {
                        "value": 129.9,
                        "currency": "USD",
                        "order_id": "10042",
                        "content_ids": ["SKU-1", "SKU-2"],
                        "contents": [
                            {"id": "SKU-1", "quantity": 2, "item_price": 39.95},
                            {"id": "SKU-2", "quantity": 1, "item_price": 50},
                        ],
                        "content_type": "product",
                        "num_items": 3,
                    },
                }
            ]
        },
        id="full purchase",
    ),
    pytest.param(
        {
            "event_name": "Lead",
            "event_id": "lead-551",
            "occurred_at": "2026-11-20T14:10:00+02:00",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/quote",
            "user_data": {
                "email": "62A14E44F765419D10FEA99367361A727C12365E2520F32218D505ED9AA0F62F",
                "phone": "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
                "client_ip": "2001:db8::1f",
                "client_user_agent": CHROME,
            },
            "custom_data": {"content_name": "Quote request"},
        },
        {},
        {
            "data": [
                {
                    "event_name": "Lead",
                    "event_time": 1795176600,
                    "event_id": "lead-551",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/quote",
                    "user_data": {
                        "em": ["62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"],
                        "ph": ["e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"],
                        "client_ip_address": "2001:db8::1f",
                        "client_user_agent": CHROME,
                    },
                    "custom_data": {"content_name": "Quote request"},
                }
            ]
        },
        id="digests are passed on",
    ),
    pytest.param(
        {
            "event_name": "Lead",
            "event_id": "lead-552",
            "occurred_at": "2026-11-20T14:11:05Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/newsletter",
            "user_data": {"email": "ANNA@example.org", "client_user_agent": CHROME},
        },
        {},
        {
            "data": [
                {
                    "event_name": "Lead",
                    "event_time": 1795183865,
                    "event_id": "lead-552",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/newsletter",
                    "user_data": {"em": [ANNA], "client_user_agent": CHROME},
                }
            ]
        },
        id="lead with few identifiers",
    ),
    pytest.param(
        {
            "event_name": "QuizFinished",
            "event_id": "quiz-9f2",
            "occurred_at": "2026-11-20T14:12:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/quiz",
            "user_data": {
                "external_id": "cust-7781",
                "client_ip": "203.0.113.42",
                "client_user_agent": CHROME,
                "fbp": "fb.1.1794000000123.1098115397",
            },
            "custom_data": {"properties": {"quiz_name": "Skin type", "score": 87}},
        },
        {},
        {
            "data": [
                {
                    "event_name": "QuizFinished",
                    "event_time": 1795183920,
                    "event_id": "quiz-9f2",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/quiz",
                    "user_data": {
                        "external_id": ["005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4"],
                        "client_ip_address": "203.0.113.42",
                        "client_user_agent": CHROME,
                        "fbp": "fb.1.1794000000123.1098115397",
                    },
                    "custom_data": {"quiz_name": "Skin type", "score": 87},
                }
            ]
        },
        id="custom event",
    ),
    pytest.param(
        {
            "event_name": "AddToCart",
            "event_id": "atc-77",
            "occurred_at": "2026-11-20T14:15:30.250Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/p/tee?fbclid=IwAR0AbCdEf_GhI-jKl",
            "user_data": {
                "phone": "0044 20 7946 0958",
                "city": "Saint-Étienne",
                "country": "FR",
                "client_ip": "198.51.100.7",
                "client_user_agent": CHROME,
                "fbp": "fb.1.1794000000123.1098115397",
            },
            "custom_data": {
                "value": 74.5,
                "currency": "EUR",
                "contents": [
                    {"id": "TEE-S", "quantity": 1, "item_price": 19.5, "title": "Tee S", "brand": "Acme"},
                    {"id": "TEE-M", "quantity": 2, "item_price": 20, "title": "Tee M", "brand": "Acme"},
                    {"id": "CAP", "quantity": 1, "item_price": 15, "title": "Cap", "category": "Hats"},
                ],
            },
        },
        {},
        {
            "data": [
                {
                    "event_name": "AddToCart",
                    "event_time": 1795184130,
                    "event_id": "atc-77",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/p/tee?fbclid=IwAR0AbCdEf_GhI-jKl",
                    "user_data": {
                        "ph": [LONDON],
                        "ct": ["bb35a91d6f2bd7ba807fdd240cc838bdd3b20fe1a6fdedba60d941fbe8d5c10f"],
                        "country": ["67ad8f41a7bb0a18c45f3efd8f6a32bdcd832bcf8f3f2eb44006c03d53076e18"],
                        "client_ip_address": "198.51.100.7",
                        "client_user_agent": CHROME,
                        "fbc": "fb.1.1795184130250.IwAR0AbCdEf_GhI-jKl",
                        "fbp": "fb.1.1794000000123.1098115397",
                    },
                    "custom_data": {
                        "value": 74.5,
                        "currency": "EUR",
                        "content_ids": ["TEE-S", "TEE-M", "CAP"],
                        "contents": [
                            {"id": "TEE-S", "quantity": 1, "item_price": 19.5, "title": "Tee S", "brand": "Acme"},
                            {"id": "TEE-M", "quantity": 2, "item_price": 20, "title": "Tee M", "brand": "Acme"},
                            {"id": "CAP", "quantity": 1, "item_price": 15, "title": "Cap", "category": "Hats"},
                        ],
                        "content_type": "product",
                    },
                }
            ]
        },
        id="cart with several products, fbc built from the URL",
    ),
    pytest.param(
        {
            "event_name": "ViewContent",
            "event_id": "vc-301",
            "occurred_at": "2026-11-20T14:20:00Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/p/cap",
            "user_data": {
                "email": "user.name+NYC@Example.com",
                "client_ip": "203.0.113.99",
                "client_user_agent": CHROME,
            },
            "custom_data": {"product_ids": ["CAP"], "value": 15, "currency": "USD"},
            "consent": {"limited_data_use": True},
        },
        {"ldu_country": 1, "ldu_state": 1000, "test_event_code": "TEST12345"},
        {
            "data": [
                {
                    "event_name": "ViewContent",
                    "event_time": 1795184400,
                    "event_id": "vc-301",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/p/cap",
                    "user_data": {
                        "em": ["f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac"],
                        "client_ip_address": "203.0.113.99",
                        "client_user_agent": CHROME,
                    },
                    "custom_data": {
                        "value": 15,
                        "currency": "USD",
                        "content_ids": ["CAP"],
                        "content_type": "product",
                    },
                    "data_processing_options": ["LDU"],
                    "data_processing_options_country": 1,
                    "data_processing_options_state": 1000,
                }
            ],
            "test_event_code": "TEST12345",
        },
        id="test event with limited data use",
    ),
]


@pytest.mark.parametrize(("event", "settings", "body"), EXAMPLES)
def test_worked_example_becomes_the_whole_body(
    event: dict[str, Any], settings: dict[str, Any], body: dict[str, Any]
) -> None:
    assert written(request(event, {**SETTINGS, **settings}).body) == written(body)


@pytest.mark.parametrize(("event", "settings", "body"), EXAMPLES)
def test_same_input_gives_the_same_output_and_stays_as_it_was(
    event: dict[str, Any], settings: dict[str, Any], body: dict[str, Any]
) -> None:
    given, used = read(event), {**SETTINGS, **settings}
    given_before, used_before = deepcopy(given), deepcopy(used)

    first = MAPPER.map_event(given, used, NOW)
    second = MAPPER.map_event(given, used, NOW)
    assert isinstance(first, Mapped)
    items = [first.item]
    items_before = deepcopy(items)
    requests = [MAPPER.build_request(first.group, items, used) for _ in range(2)]

    assert first == second
    assert requests[0] == requests[1]
    assert (given, used, items) == (given_before, used_before, items_before)


def test_the_token_is_none_of_the_url_the_body_and_the_repr() -> None:
    sent = request(draft())

    assert sent == PlatformRequest(
        "https://graph.facebook.com/v26.0/1234567890123456/events",
        {
            "data": [
                {
                    "event_name": "Lead",
                    "event_time": 1795183865,
                    "event_id": "lead-552",
                    "action_source": "website",
                    "event_source_url": "https://shop.example.com/newsletter",
                    "user_data": {"em": [ANNA]},
                }
            ]
        },
        BodyToken("access_token", "secret-token"),
    )
    assert (sent.method, sent.headers) == ("POST", {})
    assert repr(sent) == (
        "PlatformRequest(url='https://graph.facebook.com/v26.0/1234567890123456/events', "
        "auth=BodyToken(name='access_token'), method='POST', headers={})"
    )


def test_events_share_a_request_in_their_order() -> None:
    found = [mapped(draft(event_id=str(number))) for number in range(3)]

    assert [one.group for one in found] == ["", "", ""]
    body = MAPPER.build_request("", [one.item for one in found], SETTINGS).body
    assert body == {"data": [one.item for one in found]}
    assert [item["event_id"] for item in body["data"]] == ["0", "1", "2"]


def test_another_graph_version_is_a_setting() -> None:
    assert request(draft(), {**SETTINGS, "api_version": "v25.0"}).url == (
        "https://graph.facebook.com/v25.0/1234567890123456/events"
    )


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param({"test_event_code": "TEST12345"}, "TEST12345", id="set"),
        pytest.param({"test_event_code": ""}, ..., id="emptied"),
        pytest.param({}, ..., id="never set"),
    ],
)
def test_the_test_code_stands_at_the_root_and_never_in_an_event(settings: dict[str, Any], code: Any) -> None:
    body = request(draft(), {**SETTINGS, **settings}).body

    assert body.get("test_event_code", ...) == code
    assert "test_event_code" not in body["data"][0]


# What is refused ----------------------------------------------------------------------------------------------------

GOOD_PURCHASE = {"value": 10, "currency": "USD"}


@pytest.mark.parametrize(
    ("event", "reason", "field", "message"),
    [
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "ord-9001",
                "occurred_at": "2026-11-12T14:00:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you",
                "user_data": {"email": "a@example.com", "client_user_agent": CHROME},
                "custom_data": {"value": 10, "currency": "USD", "order_id": "9001"},
            },
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            "older than the 7 days that Meta takes",
            id="eight days old",
        ),
        pytest.param(
            {
                "event_name": "ViewContent",
                "event_id": "vc-302",
                "occurred_at": "2026-11-20T14:21:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/p/cap",
                "user_data": {"country": "US", "city": "Austin", "client_user_agent": CHROME},
            },
            DropReason.MISSING_IDENTIFIERS,
            "user_data",
            "too little customer information: Meta wants an email, phone, external id, fbp, fbc, or IP and user agent",
            id="too few identifiers",
        ),
        pytest.param(
            {
                "event_name": "Purchase",
                "event_id": "ord-10043",
                "occurred_at": "2026-11-20T14:22:00Z",
                "action_source": "website",
                "event_source_url": "https://shop.example.com/thank-you",
                "user_data": {"email": "a@example.com", "client_user_agent": CHROME},
                "custom_data": {"currency": "USD", "order_id": "10043"},
            },
            DropReason.INVALID_FIELD,
            "custom_data.value",
            "Meta refuses a Purchase without value",
            id="purchase without value",
        ),
        pytest.param(
            draft(event_name="Purchase", custom_data={"value": 10}),
            DropReason.INVALID_FIELD,
            "custom_data.currency",
            "Meta refuses a Purchase without currency",
            id="purchase without currency",
        ),
        pytest.param(
            draft(event_name="Refund", custom_data=GOOD_PURCHASE),
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            "Meta has no refund: as a custom event it would take nothing off the Purchase",
            id="refund",
        ),
        pytest.param(
            draft(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            "consent to use the data for ads is denied",
            id="consent denied",
        ),
        pytest.param(
            draft(event_name="Refund", occurred_at="2026-01-01T00:00:00Z", consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            "consent to use the data for ads is denied",
            id="consent comes before every other reason",
        ),
        pytest.param(
            draft(occurred_at="2026-11-13T14:59:59.999Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            "older than the 7 days that Meta takes",
            id="a millisecond more than 7 days old",
        ),
        pytest.param(
            draft(action_source="physical_store", occurred_at="2026-09-19T14:59:59.999Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            "older than the 62 days that Meta takes",
            id="a millisecond more than 62 days old, in a store",
        ),
    ],
)
def test_event_is_refused(event: dict[str, Any], reason: DropReason, field: str, message: str) -> None:
    found = MAPPER.map_event(read(event), SETTINGS, NOW)

    assert isinstance(found, Refused)
    assert (found.reason, found.field, found.message) == (reason, field, message)
    assert found.verdicts[-1] == RuleVerdict(found.verdicts[-1].rule, False, message, field)


def test_event_that_is_further_ahead_than_five_minutes_waits_until_its_time_has_come() -> None:
    ahead = read(draft(occurred_at="2026-11-20T15:05:00.001Z"), NOW + timedelta(seconds=1))
    at_the_edge = read(draft(occurred_at="2026-11-20T15:05:00Z"))

    waits, goes = (map_event(MAPPER, event, SETTINGS, NOW) for event in (ahead, at_the_edge))

    assert isinstance(waits, Mapped)
    assert isinstance(goes, Mapped)
    assert (waits.not_before, goes.not_before) == (ahead.occurred_at, None)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"occurred_at": "2026-11-13T15:00:00Z"}, id="exactly 7 days old"),
        pytest.param(
            {"occurred_at": "2026-09-19T15:00:00Z", "action_source": "physical_store"},
            id="exactly 62 days old, in a store",
        ),
        pytest.param({"occurred_at": "2026-11-20T15:05:00Z"}, id="exactly 5 minutes ahead"),
        pytest.param({"consent": {"ad_user_data": "granted"}}, id="consent granted"),
        pytest.param({"consent": {"ad_user_data": "unspecified"}}, id="consent unspecified"),
        pytest.param({"consent": {"ad_personalization": "denied"}}, id="only personalisation denied"),
        pytest.param({"event_name": "Purchase", "custom_data": {"value": 0, "currency": "USD"}}, id="purchase of 0"),
    ],
)
def test_event_at_the_edge_is_sent(changes: dict[str, Any]) -> None:
    assert left_out(mapped(draft(**changes))) == []


GROUPS = [
    ("city", "country", "state", "zip", "gender", "client_user_agent"),
    ("date_of_birth", "client_user_agent"),
    ("first_name", "gender"),
    ("last_name", "gender"),
]
PERSON = {
    "email": "ANNA@example.org",
    "phone": "+442079460958",
    "first_name": "Anna",
    "last_name": "Lind",
    "date_of_birth": "1990-02-16",
    "gender": "f",
    "city": "Austin",
    "state": "TX",
    "zip": "78701",
    "country": "US",
    "external_id": "cust-7781",
    "client_ip": "203.0.113.42",
    "client_user_agent": CHROME,
    "fbp": "fb.1.1794000000123.1098115397",
    "fbc": "fb.1.1795100000456.IwAR2F4dbP0l7Mn1Iaw",
    "fbclid": "IwAR2F4dbP0l7Mn1Iaw",
}


@pytest.mark.parametrize(
    "names",
    [
        *(pytest.param(names, id=" ".join(names)) for names in GROUPS),
        *(pytest.param((name,), id=name) for name in sorted({name for names in GROUPS for name in names})),
        pytest.param((), id="nobody"),
        pytest.param(("street", "ttclid", "gclid", "browser_id"), id="what Meta has no field for"),
    ],
)
def test_a_person_this_vague_is_refused(names: tuple[str, ...]) -> None:
    others = {"street": "1 Main St", "ttclid": "E.C.P.abc", "gclid": "Cj0KCQ", "browser_id": "0123456789abcdef"}
    event = read(draft(user_data={name: {**PERSON, **others}[name] for name in names}))
    found = MAPPER.map_event(event, SETTINGS, NOW)

    assert isinstance(found, Refused)
    assert (found.reason, found.field) == (DropReason.MISSING_IDENTIFIERS, "user_data")


@pytest.mark.parametrize(
    "names",
    [
        *(
            pytest.param((name,), id=name)
            for name in ("email", "phone", "external_id", "fbp", "fbc", "fbclid", "client_ip")
        ),
        pytest.param(("client_ip", "client_user_agent"), id="IP address and user agent"),
        pytest.param(("fbp", "client_user_agent"), id="fbp and user agent"),
        pytest.param(("first_name", "city"), id="keys of two groups"),
        pytest.param(("first_name", "last_name"), id="first and last name"),
        pytest.param(("date_of_birth", "gender"), id="date of birth and gender"),
    ],
)
def test_a_person_of_more_than_one_vague_group_is_sent(names: tuple[str, ...]) -> None:
    assert left_out(mapped(draft(user_data={name: PERSON[name] for name in names}))) == []


def test_identifiers_that_are_left_out_count_for_nothing() -> None:
    event = draft(user_data={"email": "anna at example.org", "phone": "020 7946 0958", "fbp": "fb.1.1"})
    found = MAPPER.map_event(read(event), SETTINGS, NOW)

    assert isinstance(found, Refused)
    assert (found.reason, found.field) == (DropReason.MISSING_IDENTIFIERS, "user_data")
    assert [verdict.field for verdict in found.verdicts if not verdict.ok] == [
        "user_data.email",
        "user_data.phone",
        "user_data.fbp",
        "user_data",
    ]


# Names, places, pages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("AddToCart", "InitiateCheckout", "AddPaymentInfo", "Lead", "CompleteRegistration", "ViewContent", "Search"),
        *("Subscribe", "StartTrial", "AddToWishlist", "Contact", "PageView", "CustomizeProduct", "Donate"),
        *("FindLocation", "Schedule", "SubmitApplication", "Purchase"),
    ],
)
def test_standard_event_keeps_its_name(name: str) -> None:
    found = mapped(draft(event_name=name, custom_data=GOOD_PURCHASE))

    assert found.item["event_name"] == name
    assert RuleVerdict("event_name", True, "a standard event of Meta", "event_name") in found.verdicts


@pytest.mark.parametrize("name", ["QuizFinished", "purchase", "LEAD", "Größe gewählt"])
def test_any_other_name_goes_out_as_a_custom_event(name: str) -> None:
    found = mapped(draft(event_name=name))

    assert found.item["event_name"] == name
    assert (
        RuleVerdict("event_name", True, "no standard event of Meta: goes out as a custom event", "event_name")
        in found.verdicts
    )


@pytest.mark.parametrize("source", ACTION_SOURCES)
def test_action_source_is_sent_as_it_is(source: str) -> None:
    assert mapped(draft(action_source=source)).item["action_source"] == source


@pytest.mark.parametrize(
    ("changes", "url", "fields"),
    [
        pytest.param({}, "https://shop.example.com/newsletter", [], id="good"),
        pytest.param({"event_source_url": ...}, ..., ["event_source_url"], id="none, on a website"),
        pytest.param({"event_source_url": ..., "action_source": "email"}, ..., [], id="none, in an e-mail"),
        pytest.param(
            {"event_source_url": "/newsletter", "action_source": "chat"}, ..., ["event_source_url"], id="no address"
        ),
        pytest.param(
            {"event_source_url": "/newsletter"},
            ...,
            ["event_source_url", "event_source_url"],
            id="no address, on a website",
        ),
    ],
)
def test_page_without_a_good_address_is_sent_without_it(
    changes: dict[str, Any], url: Any, fields: list[str | None]
) -> None:
    found = mapped(draft(**changes))

    assert found.item.get("event_source_url", ...) == url
    assert left_out(found) == fields


@pytest.mark.parametrize(
    ("source", "agent", "told"),
    [
        pytest.param("website", {}, True, id="website without one"),
        pytest.param("website", {"client_user_agent": CHROME}, False, id="website with one"),
        pytest.param("email", {}, False, id="e-mail without one"),
    ],
)
def test_website_event_without_a_user_agent_is_sent_and_told(source: str, agent: dict[str, str], told: bool) -> None:
    found = mapped(draft(action_source=source, user_data={"email": "ANNA@example.org", **agent}))

    assert ("client_user_agent" in [verdict.rule for verdict in found.verdicts]) is told
    assert left_out(found) == []


@pytest.mark.parametrize(
    ("occurred_at", "seconds"),
    [
        pytest.param("2026-11-20T14:11:05.999Z", 1795183865, id="fraction is cut off"),
        pytest.param("2026-11-20T14:11:05.999999Z", 1795183865, id="microseconds too"),
        pytest.param("2026-11-20T19:41:05+05:30", 1795183865, id="offset"),
    ],
)
def test_time_is_whole_seconds(occurred_at: str, seconds: int) -> None:
    assert mapped(draft(occurred_at=occurred_at)).item["event_time"] == seconds


# Normalisation ------------------------------------------------------------------------------------------------------

US = {"default_country": "US"}


@pytest.mark.parametrize(
    ("field", "value", "settings", "digest"),
    [
        pytest.param(field, value, settings, digest, id=f"{field} {value}")
        for field, value, settings, digest in [
            ("email", "John_Smith@gmail.com", {}, "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
            ("phone", "(650)555-1212", US, "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
            ("first_name", "Mary", {}, "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
            ("first_name", "정", {}, "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
            ("last_name", "Valéry", {}, "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
            ("date_of_birth", "2/16/1997", {}, "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"),
            ("country", "US", {}, "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
            ("email", "Jane.Doe+News@Gmail.com", {}, "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a"),
            ("phone", "+1 (650) 555-0123", {}, "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec"),
            ("phone", "0044 20 7946 0958", {}, LONDON),
            ("first_name", "Anne-Marie", {}, "67495eb5715de43c26f7c18b25cc7f62a7540236516bd59d5162a6f743598083"),
            ("last_name", "O'Neil", {}, "67a42a846e98e3c1a96cd6ba14883a5ea05990cd93964ce8b832aa9497ca785c"),
            ("date_of_birth", "1990-02-16", {}, "119708f926e82760ac09bbc34a1c9208e18fcda59ca7e4757e2c7de335e2da30"),
            ("gender", "F", {}, "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"),
            ("gender", "Female", {}, "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"),
            ("country", "USA", {}, "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
            ("country", " United States", {}, "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
            ("country", "France", {}, "67ad8f41a7bb0a18c45f3efd8f6a32bdcd832bcf8f3f2eb44006c03d53076e18"),
            ("state", "California", {}, "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"),
            ("city", "San Francisco", {}, "1a6bd4d9d79dc0a79b53795c70d3349fa9e38968a3fbefbfe8783efb1d2b6aac"),
            ("city", "Saint-Étienne", {}, "bb35a91d6f2bd7ba807fdd240cc838bdd3b20fe1a6fdedba60d941fbe8d5c10f"),
            ("state", "CA", {}, "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126"),
            ("zip", "94107-1234", {}, "c884a209ebe08750a7d13db63bd02233b375bd79786cbe329ab11586cc35dead"),
            ("country", "FR", {}, "67ad8f41a7bb0a18c45f3efd8f6a32bdcd832bcf8f3f2eb44006c03d53076e18"),
            ("external_id", "Cust-7781", {}, "005c594430c7533ecd1becd87a15a0659e8a03db096a058a5cc3b98107f822a4"),
            ("email", "ANNA@example.org", {}, ANNA),
            ("email", "user.name+NYC@Example.com", {}, "f109a2a632fbcea5fc82049f50beed3d8621bf9034399f437fb622222acccdac"),
        ]
    ],
)  # fmt: skip
def test_identifier_is_hashed_as_meta_publishes_it(
    field: str, value: str, settings: dict[str, Any], digest: str
) -> None:
    assert MAPPER.normalise[field](value, settings) == digest


@pytest.mark.parametrize(
    ("field", "value", "settings", "text"),
    [
        pytest.param("phone", "+44 (0)20 7946 0958", {}, "442079460958", id="trunk zero in brackets"),
        pytest.param("phone", "020 7946 0958", {"default_country": "GB"}, "442079460958", id="national number"),
        pytest.param("first_name", "  Anne Marie ", {}, "annemarie", id="inner space of a name"),
        pytest.param("first_name", "Zoe\u0308", {}, "zoë", id="accent written apart"),
        pytest.param("gender", "Mr.", {}, "m", id="gender as a title"),
        pytest.param("zip", "M1 1AE", {}, "m11ae", id="British postal code"),
        pytest.param("state", "Île-de-France", {}, "îledefrance", id="state outside the USA"),
        pytest.param("external_id", MD5.upper(), {}, MD5, id="external id that looks like MD5"),
    ],
)
def test_what_is_hashed(field: str, value: str, settings: dict[str, Any], text: str) -> None:
    assert MAPPER.normalise[field](value, settings) == normalise.sha256_hex(text)


@pytest.mark.parametrize(
    "field",
    [
        *("email", "phone", "first_name", "last_name", "date_of_birth", "gender", "city", "state", "zip", "country"),
        "external_id",
    ],
)
def test_a_digest_is_lower_cased_and_not_hashed_again(field: str) -> None:
    assert MAPPER.normalise[field](f" {ANNA.upper()} ", {}) == ANNA


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        pytest.param("client_ip", " 203.0.113.42 ", "203.0.113.42", id="IPv4"),
        pytest.param("client_ip", "2001:DB8:0::1F", "2001:db8::1f", id="IPv6"),
        pytest.param("client_ip", "::ffff:203.0.113.42", "203.0.113.42", id="IPv4 in IPv6"),
        pytest.param("client_ip", "203.0.113.42:51234", "203.0.113.42", id="IPv4 with a port"),
        pytest.param("client_ip", "[2001:db8::1f]:443", "2001:db8::1f", id="IPv6 in brackets with a port"),
        pytest.param("client_ip", "203.0.113.42.AQYCAQIB", "203.0.113.42", id="IPv4 with a builder's tail"),
        pytest.param("client_ip", "fe80::1%eth0", None, id="IPv6 with a zone"),
        pytest.param("client_ip", "203.0.113.420", None, id="no IP address"),
        pytest.param("client_user_agent", f" {CHROME} ", CHROME, id="user agent"),
        pytest.param("fbp", "fb.1.1596403881668.1116446470", "fb.1.1596403881668.1116446470", id="fbp"),
        pytest.param("fbp", " fb.1.1713877200.1234567890 ", "fb.1.1713877200.1234567890", id="fbp in seconds"),
        pytest.param(
            "fbp", "fb.3.1596403881668.1116446470", "fb.3.1596403881668.1116446470", id="fbp of a deep domain"
        ),
        pytest.param("fbp", "fb.1.1596403881668.7", "fb.1.1596403881668.7", id="fbp of one digit"),
        pytest.param("fbp", "fb.1.1596403881668", None, id="fbp without its number"),
        pytest.param("fbp", "fb.1.1596403881668.undefined", None, id="fbp of nothing"),
        pytest.param("fbp", "_fbp=fb.1.1596403881668.1116446470", None, id="fbp with its name"),
        pytest.param(
            "fbc", "fb.2.1554763741205.AbC_d-E.Bg", "fb.2.1554763741205.AbC_d-E.Bg", id="fbc with a tail of 2"
        ),
        pytest.param("fbc", "fb.0.1554763741205.AbC.AQIBAgMB", "fb.0.1554763741205.AbC.AQIBAgMB", id="fbc, tail of 8"),
        pytest.param("fbc", "fb.1.1554763741205.AbC.AQI", None, id="fbc with a tail of 3"),
        pytest.param("fbc", "fb.12.1554763741205.AbC", "fb.12.1554763741205.AbC", id="fbc of a very deep domain"),
        pytest.param("fbc", "fb.1.1554763741205.Ab+C/dE==", "fb.1.1554763741205.Ab+C/dE==", id="fbc in base64"),
        pytest.param("fbc", "fb.1.1554763741205.fb.1.1554763741205.AbC", None, id="fbc of an fbc"),
        pytest.param("fbc", "fb.1.1554763741205.{{fbclid}}", None, id="fbc of a template"),
        pytest.param("lead_id", " 525645896321548 ", "525645896321548", id="lead id"),
        pytest.param("lead_id", "urn:li:leadGenFormResponse:1", None, id="lead id of another platform"),
        pytest.param("lead_id", "1" * 20, None, id="lead id beyond 64 bits"),
        pytest.param("external_id", "undefined", None, id="external id that stands for none"),
        pytest.param("client_user_agent", "null", None, id="user agent that stands for none"),
        pytest.param("email", f"{ANNA}.AQYCAQIB", ANNA, id="digest of an e-mail with a builder's tail"),
        pytest.param("first_name", f"{ANNA.upper()}.Bg", ANNA, id="digest of a name with a builder's tail"),
        pytest.param("external_id", f"{ANNA}.AQYCAQIB", ANNA, id="digest of an id with a builder's tail"),
        pytest.param("city", normalise.sha256_hex(""), None, id="digest of nothing"),
        pytest.param("email", normalise.sha256_hex("null"), None, id="digest of null"),
        pytest.param("fbc", "fb.1.1554763741205.", None, id="fbc without a click"),
        pytest.param("email", "anna at example.org", None, id="no address"),
        pytest.param("email", MD5, None, id="MD5 of an e-mail"),
        pytest.param("phone", "020 7946 0958", None, id="national number, no default country"),
        pytest.param("phone", "482c811da5d5b4bc6d497ffa98491e38", None, id="MD5 that begins with digits"),
        pytest.param("phone", SHA1, None, id="SHA-1 of a phone"),
        pytest.param("first_name", MD5, None, id="MD5 of a name"),
        pytest.param("first_name", " - ", None, id="name of punctuation"),
        pytest.param("city", SHA1, None, id="SHA-1 of a city"),
        pytest.param("gender", "x", None, id="gender that is neither"),
        pytest.param("date_of_birth", "02/03/1997", None, id="date that reads two ways"),
        pytest.param("date_of_birth", "1990-02-30", None, id="day that never was"),
        pytest.param("country", "Atlantis", None, id="country that is none"),
    ],
)
def test_what_is_sent_plain_or_dropped(field: str, value: str, sent: str | None) -> None:
    assert MAPPER.normalise[field](value, {}) == sent


@pytest.mark.parametrize("field", ["fbclid", "ttp", "ttclid", "gclid", "street", "browser_id", "epik", "twclid"])
def test_meta_has_no_field_of_its_own_for(field: str) -> None:
    assert field not in MAPPER.normalise


@pytest.mark.parametrize(
    ("given", "key", "text"),
    [
        pytest.param({"state": "California", "country": "us"}, "st", "ca", id="American state by its name"),
        pytest.param({"state": "New South Wales", "country": "AU"}, "st", "newsouthwales", id="other state"),
        pytest.param({"zip": "941071234", "country": "US"}, "zp", "94107", id="ZIP+4 without dash"),
        pytest.param({"zip": "94107 1234", "country": "US"}, "zp", "94107", id="ZIP+4 with a space"),
        pytest.param({"zip": "10115", "country": "DE"}, "zp", "10115", id="German postal code"),
    ],
)
def test_state_and_zip_follow_the_country(given: dict[str, str], key: str, text: str) -> None:
    assert user_data(**given)[key] == [normalise.sha256_hex(text)]


def test_phone_is_read_in_the_default_country() -> None:
    assert user_data({**SETTINGS, "default_country": "GB"}, phone="020 7946 0958") == {"ph": [LONDON]}


def test_what_is_sent_plain_loses_its_outer_spaces() -> None:
    spaced = {name: f" {PERSON[name]} " for name in ("client_ip", "client_user_agent", "fbp", "fbc")}

    assert user_data(**spaced) == {
        "client_ip_address": "203.0.113.42",
        "client_user_agent": CHROME,
        "fbp": "fb.1.1794000000123.1098115397",
        "fbc": "fb.1.1795100000456.IwAR2F4dbP0l7Mn1Iaw",
    }


def test_malformed_identifiers_are_left_out_and_named() -> None:
    bad = {
        "phone": "020 7946 0958",
        "first_name": "!",
        "last_name": MD5,
        "date_of_birth": "16 Feb 1990",
        "gender": "unknown",
        "city": "12",
        "state": "?",
        "zip": "!",
        "country": "Atlantis",
        "client_ip": "localhost",
        "fbp": "1098115397",
        "fbc": "IwAR2F4dbP0l7Mn1Iaw",
        "lead_id": "lead-7",
    }
    found = mapped(draft(user_data={"email": "ANNA@example.org", **bad}))

    assert found.item["user_data"] == {"em": [ANNA]}
    assert sorted(str(field) for field in left_out(found)) == sorted(f"user_data.{name}" for name in bad)


def test_event_stored_as_digests_becomes_the_same_item() -> None:
    plain = read(draft(user_data={"email": "Jane.Doe+News@Gmail.com", "phone": "(650)555-1212"}))
    person = replace(
        plain.user_data,
        email=Matchable(digests=normalise.email_digests("Jane.Doe+News@Gmail.com")),
        phone=Matchable(digests=normalise.phone_digests("(650)555-1212", frozenset({"US", "FR"}))),
    )
    settings = {**SETTINGS, "default_country": "US"}
    found = MAPPER.map_event(plain, settings, NOW)

    assert isinstance(found, Mapped)
    assert found.item["user_data"] == {
        "em": ["f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a"],
        "ph": ["e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"],
    }
    assert MAPPER.map_event(replace(plain, user_data=person), settings, NOW) == found


# Cookies and click ids ----------------------------------------------------------------------------------------------


def test_the_data_model_example_is_delivered_with_its_cookies_in_seconds() -> None:
    event = {
        "event_name": "Purchase",
        "event_id": "order_12345",
        "occurred_at": "2026-04-23T14:12:33.000Z",
        "user_data": {
            "email": "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0",
            "phone": "a0e4aeb280283d343698dcbf9213bdb2e8e8e7abceb5f106874900ad3a7e1b41",
            "client_ip": "203.0.113.42",
            "client_user_agent": "Mozilla/5.0",
            "fbp": "fb.1.1713877200.1234567890",
            "fbc": "fb.1.1713877200.AQzXy1abcDEFghiJKlMNopQR",
        },
        "custom_data": {
            "value": 129.99,
            "currency": "USD",
            "order_id": "order_12345",
            "product_ids": ["sku_123", "sku_456"],
            "num_items": 2,
        },
    }
    now = datetime(2026, 4, 23, 14, 12, 34, tzinfo=UTC)
    found = mapped(event, now=now)

    assert written(request(event, now=now).body) == written(
        {
            "data": [
                {
                    "event_name": "Purchase",
                    "event_time": 1776953553,
                    "event_id": "order_12345",
                    "action_source": "website",
                    "user_data": {
                        "em": ["973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0"],
                        "ph": ["a0e4aeb280283d343698dcbf9213bdb2e8e8e7abceb5f106874900ad3a7e1b41"],
                        "client_ip_address": "203.0.113.42",
                        "client_user_agent": "Mozilla/5.0",
                        "fbc": "fb.1.1713877200.AQzXy1abcDEFghiJKlMNopQR",
                        "fbp": "fb.1.1713877200.1234567890",
                    },
                    "custom_data": {
                        "value": 129.99,
                        "currency": "USD",
                        "order_id": "order_12345",
                        "content_ids": ["sku_123", "sku_456"],
                        "content_type": "product",
                        "num_items": 2,
                    },
                }
            ]
        }
    )
    told = "its time is not in milliseconds, which have 13 digits: sent as it is"
    assert [verdict for verdict in found.verdicts if verdict.rule in ("fbp", "fbc")] == [
        RuleVerdict("fbc", True, told, "user_data.fbc"),
        RuleVerdict("fbp", True, told, "user_data.fbp"),
    ]
    assert left_out(found) == ["event_source_url"]


PAGE = "https://shop.example.com/p/tee"
COOKIE = "fb.2.1795100000456.IwAR2F4dbP0l7Mn1Iaw"


@pytest.mark.parametrize(
    ("given", "url", "fbc"),
    [
        pytest.param({}, PAGE, None, id="no click"),
        pytest.param({"fbc": COOKIE}, PAGE, COOKIE, id="cookie only"),
        pytest.param({"fbc": f" {COOKIE} "}, PAGE, COOKIE, id="cookie with spaces around it"),
        pytest.param({"fbclid": "IwAR0_new-Click"}, PAGE, "fb.1.1795183865250.IwAR0_new-Click", id="click id given"),
        pytest.param({}, f"{PAGE}?fbclid=IwAR0_new-Click", "fb.1.1795183865250.IwAR0_new-Click", id="click id in URL"),
        pytest.param(
            {"fbclid": "IwAR0_given"},
            f"{PAGE}?fbclid=IwAR0_page",
            "fb.1.1795183865250.IwAR0_given",
            id="given click id before the URL's",
        ),
        pytest.param(
            {"fbc": COOKIE},
            f"{PAGE}?utm=1&fbclid=IwAR0_new-Click#top",
            "fb.1.1795183865250.IwAR0_new-Click",
            id="cookie of an older click is replaced",
        ),
        pytest.param(
            {"fbc": COOKIE}, f"{PAGE}?fbclid=IwAR2F4dbP0l7Mn1Iaw", COOKIE, id="cookie of the same click stays"
        ),
        pytest.param(
            {"fbc": f"{COOKIE}.AQ"},
            f"{PAGE}?fbclid=IwAR2F4dbP0l7Mn1Iaw",
            f"{COOKIE}.AQ",
            id="cookie with a tail, same click",
        ),
        pytest.param(
            {"fbc": COOKIE},
            f"{PAGE}?fbclid=iwar2f4dbp0l7mn1iaw",
            "fb.1.1795183865250.iwar2f4dbp0l7mn1iaw",
            id="click ids differ by case",
        ),
        pytest.param(
            {"fbc": "fb.1.IwAR0_old", "fbclid": "IwAR0_new-Click"},
            PAGE,
            "fb.1.1795183865250.IwAR0_new-Click",
            id="malformed cookie is replaced",
        ),
        pytest.param(
            {}, f"{PAGE}?fbclid=IwAR0%5FAbC%2DdEf", "fb.1.1795183865250.IwAR0_AbC-dEf", id="percent-decoded once"
        ),
        pytest.param({}, "/p?fbclid=IwAR0_page", "fb.1.1795183865250.IwAR0_page", id="click id in a relative URL"),
        pytest.param(
            {"fbc": COOKIE},
            f"{PAGE}?fbclid=null&fbclid=IwAR0_page",
            "fb.1.1795183865250.IwAR0_page",
            id="the second is one",
        ),
        *(
            pytest.param({"fbc": COOKIE}, f"{PAGE}?fbclid={raw}", COOKIE, id=f"{raw} is no click id")
            for raw in ("a.b", "Iw%E2%80%8BAR", "Iw%00AR", "NONE", "(none)", "--", "%22null%22", "%257Bfbclid%257D")
        ),
        pytest.param({}, f"{PAGE}?fbclid=", None, id="empty click id"),
        pytest.param({}, f"{PAGE}?xfbclid=IwAR0", None, id="another parameter"),
        pytest.param({}, f"{PAGE}#fbclid=IwAR0", None, id="click id in the fragment"),
        pytest.param({"fbc": COOKIE}, f"{PAGE}?fbclid=not%20one", COOKIE, id="click id that is none"),
        *(
            pytest.param(
                {**given, **cookie}, url, cookie.get("fbc"), id=f"{word} {where}, {'a good' if cookie else 'no'} cookie"
            )
            for word in ("null", "undefined", "NaN", "None", "false", "0", "%7B%7Bfbclid%7D%7D", "%25%25fbclid%25%25")
            for cookie in ({}, {"fbc": COOKIE})
            for where, given, url in (
                ("given", {"fbclid": unquote(word)}, PAGE),
                ("in the URL", {}, f"{PAGE}?fbclid={word}"),
            )
        ),
        pytest.param(
            {"fbc": "fb.1.1795100000456.undefined"},
            f"{PAGE}?fbclid=IwAR0_new-Click",
            "fb.1.1795183865250.IwAR0_new-Click",
            id="cookie of nothing is replaced",
        ),
        pytest.param({"fbclid": "Ab+C/dE=="}, PAGE, "fb.1.1795183865250.Ab+C/dE==", id="click id with signs"),
        pytest.param(
            {"fbclid": " IwAR0_new-Click "},
            PAGE,
            "fb.1.1795183865250.IwAR0_new-Click",
            id="click id with spaces around it",
        ),
        pytest.param(
            {},
            "https://[shop.example.com/?fbclid=IwAR0_new-Click",
            None,
            id="URL that cannot be taken apart",
        ),
    ],
)
def test_fbc_is_the_cookie_or_built_from_the_click(given: dict[str, str], url: str, fbc: str | None) -> None:
    event = draft(
        user_data={"email": "ANNA@example.org", **given}, event_source_url=url, occurred_at="2026-11-20T14:11:05.250Z"
    )

    assert mapped(event).item["user_data"].get("fbc") == fbc


@pytest.mark.parametrize(
    ("given", "url", "fbc"),
    [
        pytest.param({}, PAGE, "fb.1.1795183865250.REF_aB", id="no click id elsewhere"),
        pytest.param({}, ..., "fb.1.1795183865250.REF_aB", id="no page"),
        pytest.param({}, f"{PAGE}?fbclid=undefined", "fb.1.1795183865250.REF_aB", id="none in the page's place"),
        pytest.param({}, f"{PAGE}?fbclid=IwAR0_page", "fb.1.1795183865250.IwAR0_page", id="the page's own goes first"),
        pytest.param({"fbclid": "IwAR0_given"}, PAGE, "fb.1.1795183865250.IwAR0_given", id="a given one goes first"),
        pytest.param({"fbc": COOKIE}, PAGE, "fb.1.1795183865250.REF_aB", id="a cookie of another click"),
        pytest.param({"fbc": "fb.1.1795100000456.REF_aB"}, PAGE, "fb.1.1795100000456.REF_aB", id="its own cookie"),
    ],
)
def test_fbc_is_built_from_the_referrers_click_where_the_page_has_none(
    given: dict[str, str], url: Any, fbc: str
) -> None:
    referrer = "https://ref.example.com/?fbclid=REF_aB&x=1"
    event = draft(
        user_data={"email": "ANNA@example.org", **given},
        event_source_url=url,
        occurred_at="2026-11-20T14:11:05.250Z",
        custom_data={"properties": {"referrer_url": referrer, "k": 1}},
    )
    item = mapped(event).item
    assert (item["user_data"]["fbc"], item["referrer_url"], item["custom_data"]) == (fbc, referrer, {"k": 1})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param("https://a.example/?email=jane@example.com&x=1", "https://a.example/?x=1", id="personal data"),
        pytest.param(" a.example/p?x=1", "https://a.example/p?x=1", id="no scheme"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_referrer_is_sent_beside_the_page(given: str, sent: str | None) -> None:
    found = map_event(MAPPER, read(draft(custom_data={"properties": {"referrer_url": given}})), SETTINGS, NOW)
    assert isinstance(found, Mapped)
    assert (found.item.get("referrer_url"), "custom_data" in found.item) == (sent, False)


@pytest.mark.parametrize("given", ["back", 5, True])
def test_a_referrer_that_is_no_address_is_left_out_and_named(given: Any) -> None:
    found = mapped(draft(custom_data={"properties": {"referrer_url": given}}))
    assert ("referrer_url" in found.item, "custom_data" in found.item) == (False, False)
    told = RuleVerdict(
        "referrer_url", False, "left out: not an absolute http(s) URL", "custom_data.properties.referrer_url"
    )
    assert told in found.verdicts


def test_a_built_fbc_is_named_in_the_verdicts() -> None:
    found = mapped(draft(user_data={"email": "ANNA@example.org", "fbclid": "IwAR0_new-Click"}))

    assert RuleVerdict("fbc", True, "built from the click id", "user_data.fbc") in found.verdicts
    assert left_out(found) == []


# Consent and limited data use ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "consent", "options"),
    [
        pytest.param({}, {"limited_data_use": True}, (["LDU"], 0, 0), id="Meta locates the person"),
        pytest.param({"ldu_country": 1, "ldu_state": 1005}, {"limited_data_use": True}, (["LDU"], 1, 1005), id="Texas"),
        pytest.param(
            {"ldu_country": "1", "ldu_state": "1013"}, {"limited_data_use": True}, (["LDU"], 1, 1013), id="as text"
        ),
        pytest.param({"ldu_country": 1, "ldu_state": 1000}, {"limited_data_use": False}, None, id="off"),
        pytest.param({"ldu_country": 1, "ldu_state": 1000}, {}, None, id="not said"),
        pytest.param(
            {"ldu_country": "", "ldu_state": None},
            {"limited_data_use": True},
            (["LDU"], 0, 0),
            id="emptied settings",
        ),
        pytest.param({"ldu_country": 1}, {"limited_data_use": True}, (["LDU"], 0, 0), id="country of old, no state"),
        pytest.param({"ldu_state": 1000}, {"limited_data_use": True}, (["LDU"], 0, 0), id="state of old, no country"),
    ],
)
def test_limited_data_use_stands_in_the_event(
    settings: dict[str, Any], consent: dict[str, Any], options: tuple[list[str], int, int] | None
) -> None:
    item = mapped(draft(consent=consent), {**SETTINGS, **settings}).item
    keys = ("data_processing_options", "data_processing_options_country", "data_processing_options_state")

    if options is None:
        assert [key for key in keys if key in item] == []
    else:
        assert tuple(item[key] for key in keys) == options


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        pytest.param({"ldu_country": 1}, "ldu_state", id="country alone"),
        pytest.param({"ldu_country": "1", "ldu_state": "0"}, "ldu_state", id="country with state 0"),
        pytest.param({"ldu_state": 1000}, "ldu_country", id="state alone"),
        pytest.param({"ldu_country": 0, "ldu_state": 1013}, "ldu_country", id="state with country 0"),
        pytest.param({}, None, id="neither"),
        pytest.param({"ldu_country": 0, "ldu_state": 0}, None, id="both 0"),
        pytest.param({"ldu_country": 0}, None, id="country 0 alone"),
        pytest.param({"ldu_country": 1, "ldu_state": 1005}, None, id="both"),
    ],
)
def test_a_place_that_meta_refuses_cannot_be_set(settings: dict[str, Any], field: str | None) -> None:
    found = check_settings(MAPPER, {**SETTINGS, **settings})

    expected = [] if field is None else [(("settings", field), "INVALID_SETTING")]
    assert [(problem.field, problem.code) for problem in found] == expected


def test_a_place_of_old_that_meta_refuses_is_named() -> None:
    found = mapped(draft(consent={"limited_data_use": True}), {**SETTINGS, "ldu_country": 1})

    assert [verdict.message for verdict in found.verdicts if verdict.rule == "limited_data_use"] == [
        "Meta refuses the place that is set: it is left to Meta to locate the person"
    ]


# Several of a kind, and lead ids --------------------------------------------------------------------------------------


def test_further_emails_and_phones_follow_the_first_each_once() -> None:
    person = {
        "email": "ANNA@example.org",
        "emails": ["John_Smith@gmail.com", "anna@example.org", f"{ANNA}.AQYCAQIB", "nobody"],
        "phones": ["+44 20 7946 0958", "020 7946 0958", "(650)555-1212"],
    }
    found = mapped(draft(user_data=person), {**SETTINGS, "default_country": "US"})

    assert found.item["user_data"] == {
        "em": [ANNA, "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"],
        "ph": [LONDON, "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"],
    }
    assert left_out(found) == ["user_data.emails.3", "user_data.phones.1"]


def test_a_further_email_alone_identifies() -> None:
    assert mapped(draft(user_data={"emails": ["anna@example.org"]})).item["user_data"] == {"em": [ANNA]}


def test_the_lead_of_a_form_is_a_number_and_identifies_alone() -> None:
    assert written(mapped(draft(user_data={"lead_id": "525645896321548"})).item["user_data"]) == written(
        {"lead_id": 525645896321548}
    )


# Events of apps -------------------------------------------------------------------------------------------------------

IPHONE = {
    "os": "iOS",
    "os_version": "19.1",
    "app_id": "com.example.shop",
    "app_name": "Shop",
    "app_version": "3.1",
    "model": "iPhone17,1",
    "locale": "en_US",
    "time_zone": "Europe/Berlin",
    "carrier": "Example Mobile",
    "screen_width": 1206,
    "screen_height": 2622,
    "advertising_id": "AEBE52E7-03EE-455A-B3C4-E57283966239",
    "vendor_id": "5CB9D4A7-2C4C-4B0C-8C3A-6B1B3B0E2F11",
    "tracking_allowed": True,
}


def app_event(device: dict[str, Any], **changes: Any) -> Mapped:
    shown = {name: value for name, value in device.items() if value is not ...}
    return mapped(draft(action_source="app", event_source_url=..., device=shown, **changes))


def test_event_of_an_app_carries_its_device_in_sixteen_places() -> None:
    found = app_event(IPHONE)

    assert written(found.item) == written(
        {
            "event_name": "Lead",
            "event_time": 1795183865,
            "event_id": "lead-552",
            "action_source": "app",
            "user_data": {"em": [ANNA], "madid": "AEBE52E7-03EE-455A-B3C4-E57283966239"},
            "app_data": {
                "advertiser_tracking_enabled": True,
                "application_tracking_enabled": True,
                "extinfo": [
                    *("i2", "com.example.shop", "3.1", "", "19.1", "iPhone17,1", "en_US", "", "Example Mobile"),
                    *("1206", "2622", "", "", "", "", "Europe/Berlin"),
                ],
            },
        }
    )
    assert (found.group, left_out(found)) == ("", [])


def test_what_the_device_does_not_say_is_an_empty_place() -> None:
    found = app_event({"os": "Android", "os_version": "16", "time_zone": "PDT"})

    assert found.item["app_data"]["extinfo"] == ["a2", "", "", "", "16", "", "", "PDT", *[""] * 7, "PDT"]


@pytest.mark.parametrize(
    ("allowed", "consent", "sent", "madid"),
    [
        pytest.param(True, {}, (True, True), True, id="allowed"),
        pytest.param(False, {}, (False, False), False, id="refused"),
        pytest.param(..., {}, (False, True), True, id="not asked"),
        pytest.param(True, {"ad_personalization": "denied"}, (True, False), True, id="refused in the app"),
    ],
)
def test_tracking_is_what_the_person_allowed(
    allowed: Any, consent: dict[str, Any], sent: tuple[bool, bool], madid: bool
) -> None:
    found = app_event({**IPHONE, "tracking_allowed": allowed}, consent=consent)
    app_data = found.item["app_data"]

    assert (app_data["advertiser_tracking_enabled"], app_data["application_tracking_enabled"]) == sent
    assert ("madid" in found.item["user_data"]) is madid
    assert left_out(found) == ([] if madid else ["device.advertising_id"])
    assert ("app_data" in [verdict.rule for verdict in found.verdicts]) is (allowed is ...)


@pytest.mark.parametrize(
    ("device", "field"),
    [
        pytest.param({}, "device.os", id="no device"),
        pytest.param({**IPHONE, "os": ...}, "device.os", id="no system"),
        pytest.param({**IPHONE, "os": "Windows"}, "device.os", id="another system"),
        pytest.param({**IPHONE, "os_version": ...}, "device.os_version", id="no version"),
    ],
)
def test_event_of_an_app_without_its_system_is_sent_apart_from_others(device: dict[str, Any], field: str) -> None:
    found = app_event(device)

    assert "app_data" not in found.item
    assert found.group not in ("", mapped(draft(action_source="website")).group)
    assert left_out(found) == [field]
    assert MAPPER.build_request(found.group, [found.item], SETTINGS) == MAPPER.build_request("", [found.item], SETTINGS)


@pytest.mark.parametrize("source", [source for source in ACTION_SOURCES if source != "app"])
def test_only_an_app_has_app_data(source: str) -> None:
    found = mapped(draft(action_source=source, device=IPHONE))

    assert "app_data" not in found.item
    assert (found.item["user_data"]["madid"], found.group) == (IPHONE["advertising_id"], "")


def test_an_advertising_id_that_is_none_is_left_out() -> None:
    found = app_event({**IPHONE, "advertising_id": "9774d56d682e549c"})

    assert found.item["user_data"] == {"em": [ANNA]}
    assert left_out(found) == ["device.advertising_id"]


def test_an_advertising_id_identifies_alone() -> None:
    assert list(app_event(IPHONE, user_data={}).item["user_data"]) == ["madid"]


# Business data ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param({"value": 129.9, "currency": " usd "}, {"value": 129.9, "currency": "USD"}, id="money"),
        pytest.param({"value": "129.90", "currency": "USD"}, {"value": 129.9, "currency": "USD"}, id="money as text"),
        pytest.param({"value": 50.0, "currency": "USD"}, {"value": 50, "currency": "USD"}, id="whole money"),
        pytest.param({"value": 0, "currency": "USD"}, {"value": 0, "currency": "USD"}, id="nothing paid"),
        pytest.param({"value": 5}, {"value": 5}, id="value alone, not on a Purchase"),
        pytest.param(
            {"product_ids": ["A", "B"], "contents": [{"id": "C"}]},
            {"content_ids": ["A", "B"], "contents": [{"id": "C", "quantity": 1}], "content_type": "product"},
            id="product ids before those of the contents",
        ),
        pytest.param(
            {"product_ids": ["A"], "content_type": "product_group"},
            {"content_ids": ["A"], "content_type": "product_group"},
            id="content type given",
        ),
        pytest.param({"content_type": "product"}, {"content_type": "product"}, id="content type without products"),
        pytest.param(
            {"contents": [{"id": "A", "quantity": 0, "item_price": "0.10"}]},
            {
                "content_ids": ["A"],
                "contents": [{"id": "A", "quantity": 0, "item_price": 0.1}],
                "content_type": "product",
            },
            id="none of a thing, ten cents each",
        ),
        pytest.param(
            {
                "order_id": "10042",
                "num_items": 0,
                "content_name": "Cap",
                "content_category": "Hats",
                "search_string": "red cap",
                "status": "completed",
                "predicted_ltv": "1200.50",
            },
            {
                "order_id": "10042",
                "num_items": 0,
                "content_name": "Cap",
                "content_category": "Hats",
                "search_string": "red cap",
                "status": "completed",
                "predicted_ltv": 1200.5,
            },
            id="the other fields",
        ),
        pytest.param(
            {"contents": [{"id": "A", "quantity": "2"}, {"id": "B", "quantity": 2.0}]},
            {
                "content_ids": ["A", "B"],
                "contents": [{"id": "A", "quantity": 2}, {"id": "B", "quantity": 2}],
                "content_type": "product",
            },
            id="whole quantities in other spellings",
        ),
        pytest.param(
            {"contents": [{"id": "A", "quantity": 1.85, "item_price": 3.2}, {"id": "B", "quantity": "0.2"}]},
            {
                "content_ids": ["A", "B"],
                "contents": [{"id": "A", "quantity": 2, "item_price": 3.2}, {"id": "B", "quantity": 1}],
                "content_type": "product",
            },
            id="goods by weight are counted in pieces",
        ),
        pytest.param(
            {"properties": {"delivery_category": "home_delivery", "net_revenue": 99.5}},
            {"delivery_category": "home_delivery", "net_revenue": 99.5},
            id="fields of Meta's from the properties",
        ),
        pytest.param(
            {"order_id": " ", "product_ids": [], "contents": [], "properties": {}}, {}, id="what is empty is not sent"
        ),
        pytest.param(
            {"properties": {"score": 87, "ratio": 0.5, "new": False, "note": "", "gift": None, "plan": "pro"}},
            {"score": 87, "ratio": 0.5, "new": False, "plan": "pro"},
            id="properties of the merchant",
        ),
    ],
)
def test_custom_data(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert written(custom_data(**given)) == written(sent)


@pytest.mark.parametrize(
    "name",
    [
        *("value", "currency", "order_id", "content_ids", "contents", "content_type", "content_name"),
        *("content_category", "num_items", "search_string", "status", "predicted_ltv"),
    ],
)
def test_a_property_never_stands_in_for_a_field_of_meta(name: str) -> None:
    found = mapped(draft(custom_data={"order_id": "10042", "properties": {name: "mine", "own": "mine"}}))

    assert found.item["custom_data"] == {"order_id": "10042", "own": "mine"}
    assert [verdict for verdict in found.verdicts if not verdict.ok] == [
        RuleVerdict("properties", False, "left out: the name is one of Meta's own", f"custom_data.properties.{name}")
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param(
            "delivery_category",
            "post",
            "left out: Meta knows in_store, curbside and home_delivery",
            id="delivery by post",
        ),
        pytest.param(
            "delivery_category", True, "left out: Meta knows in_store, curbside and home_delivery", id="a flag"
        ),
        pytest.param("net_revenue", "99.50", "left out: Meta takes a number", id="revenue as text"),
        pytest.param("net_revenue", True, "left out: Meta takes a number", id="revenue as a flag"),
    ],
)
def test_a_property_that_meta_would_refuse_is_left_out(name: str, value: Any, message: str) -> None:
    found = mapped(draft(custom_data={"order_id": "10042", "properties": {name: value}}))

    assert found.item["custom_data"] == {"order_id": "10042"}
    assert [verdict for verdict in found.verdicts if not verdict.ok] == [
        RuleVerdict("properties", False, message, f"custom_data.properties.{name}")
    ]


def test_quantities_that_are_rounded_are_told() -> None:
    whole, weighed = (
        mapped(draft(custom_data={"contents": [{"id": "A", "quantity": quantity}]})) for quantity in (2.0, 1.85)
    )

    assert [[v.field for v in found.verdicts if v.rule == "contents"] for found in (whole, weighed)] == [
        [],
        ["custom_data.contents"],
    ]


def test_a_value_beyond_64_bits_can_still_be_written() -> None:
    assert written(custom_data(value=2e19, currency="USD")) == written({"value": 2e19, "currency": "USD"})


# What Meta answers --------------------------------------------------------------------------------------------------


def error(code: Any, subcode: int | None = None, **more: Any) -> dict[str, Any]:
    """An error of the Graph API: ``type`` says OAuthException whatever is wrong."""
    found: dict[str, Any] = {"message": "(#100) Words", "type": "OAuthException", "code": code, "fbtrace_id": "A1b2"}
    if subcode is not None:
        found["error_subcode"] = subcode
    return {"error": {**found, "is_transient": False, **more}}


WORDS = "(#100) Words"
USAGE = (
    '{"1234567890123456":[{"type":"ads_management","call_count":100,"estimated_time_to_regain_access":7},'
    '{"type":"custom_audience","call_count":3,"estimated_time_to_regain_access":12}]}'
)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        *(
            pytest.param(
                reply(400, error(code, subcode)),
                RateLimited(None, f"{code}/{subcode}" if subcode else str(code), WORDS, 400),
                id=f"rate limit {code} {subcode or ''}",
            )
            for code, subcode in [
                *((4, None), (4, 1504022), (4, 1504039), (17, None), (17, 2446079), (32, None), (613, None)),
                *((613, 1487742), (613, 5044001), (80000, None), (80003, None), (80004, 2446079), (80014, None)),
            ]
        ),
        *(
            pytest.param(
                reply(401 if code == 190 else 400, error(code, subcode)),
                CredentialsRefused(f"{code}/{subcode}" if subcode else str(code), WORDS, 401 if code == 190 else 400),
                id=f"credentials {code} {subcode or ''}",
            )
            for code, subcode in [
                *((190, None), (190, 458), (190, 459), (190, 460), (190, 463), (190, 467), (102, None), (104, None)),
                *((3, None), (10, None), (200, None), (210, None), (294, None), (299, None), (100, 33)),
            ]
        ),
        *(
            pytest.param(reply(400, error(code)), Unreachable(WORDS, 400, None, code=str(code)), id=f"temporary {code}")
            for code in (1, 2, 341, 368)
        ),
        pytest.param(
            reply(400, error(100, 2804003, is_transient=True)),
            Unreachable(WORDS, 400, None, code="100/2804003"),
            id="is_transient",
        ),
        pytest.param(
            reply(400, error(999999, is_transient=True), retry_after="30"),
            Unreachable(WORDS, 400, 30.0, code="999999"),
            id="is_transient with Retry-After",
        ),
        pytest.param(
            reply(401, error(190, is_transient=True)),
            CredentialsRefused("190", WORDS, 401),
            id="is_transient mends no token",
        ),
        pytest.param(reply(500, error(100)), Unreachable(WORDS, 500, None, code="100"), id="500 with an error"),
        pytest.param(reply(503, error(0)), Unreachable(WORDS, 503, None, code="0"), id="503 with an error"),
        *(
            pytest.param(
                PlatformReply(status, None, text="<html>Sorry</html>"),
                Unreachable("the platform gave no reason", status, None, code=str(status)),
                id=f"{status} with HTML",
            )
            for status in (500, 502, 503, 504)
        ),
        pytest.param(
            reply(503, None, retry_after="120"),
            Unreachable("the platform gave no reason", 503, 120.0, code="503"),
            id="503 with Retry-After",
        ),
        pytest.param(
            PlatformReply(200, None, text="<html>Welcome</html>"),
            Unreachable(
                "a web page came back instead of the platform's answer, such as a proxy's",
                200,
                may_have_arrived=False,
                code="intercepted",
            ),
            id="200 with HTML",
        ),
        pytest.param(
            PlatformReply(200, None, text="OK"),
            Unreachable("the answer does not confirm every event", 200, code="unconfirmed"),
            id="200 with a word",
        ),
        *(
            pytest.param(
                PlatformReply(status, None, {"location": "https://portal.example.com/"}, "<html>Sign in</html>"),
                Unreachable(
                    "something in between answered, such as a proxy: the event has not reached the platform",
                    status,
                    may_have_arrived=False,
                    code="intercepted",
                ),
                id=f"{status} of a proxy",
            )
            for status in (301, 302, 307, 407)
        ),
        pytest.param(
            reply(200, {"events_received": 2, "messages": [], "fbtrace_id": "A1b2"}),
            Unreachable("the answer does not confirm every event", 200, code="unconfirmed"),
            id="200 with another count",
        ),
        pytest.param(
            reply(200, {"messages": []}),
            Unreachable("the answer does not confirm every event", 200, code="unconfirmed"),
            id="200 without a count",
        ),
        pytest.param(
            reply(200, [1]),
            Unreachable("the answer does not confirm every event", 200, code="unconfirmed"),
            id="200 with a list",
        ),
        pytest.param(
            reply(200, error(190)), CredentialsRefused("190", WORDS, 200), id="200 with an error inside is an error"
        ),
        pytest.param(
            reply(429, None, retry_after="9"),
            RateLimited(9.0, "429", "the platform gave no reason", 429),
            id="429 without JSON",
        ),
        pytest.param(
            reply(401, None),
            CredentialsRefused("401", "the platform gave no reason", 401),
            id="401 without JSON",
        ),
        pytest.param(reply(404, None), Rejected("404", "the platform gave no reason", 404), id="404 without JSON"),
    ],
)
def test_answer_that_every_event_shares(answer: PlatformReply, outcome: Outcome, count: int) -> None:
    assert MAPPER.read_reply(answer, count) == [outcome] * count


@pytest.mark.parametrize(
    ("answer", "rejected"),
    [
        *(
            pytest.param(
                reply(400, error(code, subcode)),
                Rejected(f"{code}/{subcode}" if subcode else str(code), WORDS, 400),
                id=f"{code} {subcode or ''}",
            )
            for code, subcode in [
                *((100, None), (100, 2804001), (100, 2804003), (100, 2804007), (100, 2804009), (100, 2804016)),
                *((100, 2804017), (100, 2804019), (100, 2804048), (100, 2804050), (105, None), (506, None)),
                *((803, None), (300, None), (79999, None), (80015, None)),
            ]
        ),
        pytest.param(reply(404, error(2500)), Rejected("2500", WORDS, 404), id="any other 4xx"),
        pytest.param(reply(200, error(100)), Rejected("100", WORDS, 200), id="refused with status 200"),
        pytest.param(
            reply(400, error(100, error_user_title="Titel", error_user_msg="Wert fehlt")),
            Rejected("100", "Wert fehlt", 400),
            id="the words for users come first",
        ),
        pytest.param(reply(400, error(100, message="")), Rejected("100", "no reason given", 400), id="no words"),
        pytest.param(reply(400, {"error": {}}), Rejected("0", "no reason given", 400), id="no code"),
    ],
)
def test_one_bad_event_fails_the_request_which_is_then_halved(answer: PlatformReply, rejected: Rejected) -> None:
    assert MAPPER.read_reply(answer, 1) == [rejected]
    assert MAPPER.read_reply(answer, 2) == BatchRejected(rejected)
    assert MAPPER.read_reply(answer, 1000) == BatchRejected(rejected)


@pytest.mark.parametrize("status", [400, 413])
def test_refusal_without_json_is_halved_too(status: int) -> None:
    answer = PlatformReply(status, None, text="<html>Bad Request</html>")

    assert MAPPER.read_reply(answer, 1) == [Rejected(str(status), "the platform gave no reason", status)]
    assert MAPPER.read_reply(answer, 2) == BatchRejected(
        Rejected(str(status), "the request was refused without a reason", status)
    )


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_success_confirms_every_event(count: int) -> None:
    answer = reply(200, {"events_received": count, "messages": ["a warning"], "fbtrace_id": "A1b2"})

    assert MAPPER.read_reply(answer, count) == [Acknowledged(200, "a warning", "noted")] * count


@pytest.mark.parametrize(
    ("messages", "note"),
    [
        pytest.param([], "", id="none"),
        pytest.param(None, "", id="null"),
        pytest.param(["one", "two", "one", ""], "one; two", id="each once"),
        pytest.param([{"message": "in an object"}, 7, {}, ["x"]], "in an object; 7", id="of another form"),
        pytest.param("alone", "alone", id="no list"),
        pytest.param(["w" * 30 + " "] * 2 + ["jane@example.com +43 660 1234567"], "w" * 30 + "; … …", id="masked"),
    ],
)
def test_messages_of_a_success_are_a_note(messages: object, note: str) -> None:
    answer = reply(200, {"events_received": 1, "messages": messages})

    assert MAPPER.read_reply(answer, 1) == [Acknowledged(200, note, "noted" if note else "")]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"x_business_use_case_usage": USAGE}, 720.0, id="longest of the minutes"),
        pytest.param({"x_business_use_case_usage": USAGE, "retry_after": "45"}, 45.0, id="Retry-After comes first"),
        pytest.param({"retry_after": "1.5"}, 1.5, id="part of a second"),
        pytest.param({"retry_after": "soon", "x_business_use_case_usage": USAGE}, 720.0, id="Retry-After that is none"),
        pytest.param(
            {"x_business_use_case_usage": '{"1":[{"estimated_time_to_regain_access":0}]}'}, None, id="no minutes left"
        ),
        pytest.param({"x_business_use_case_usage": "{}"}, None, id="usage without minutes"),
        pytest.param({"x_app_usage": '{"call_count":100}'}, None, id="usage of the app"),
        pytest.param({}, None, id="nothing said"),
    ],
)
def test_how_long_a_rate_limit_lasts(headers: dict[str, str], seconds: float | None) -> None:
    assert MAPPER.read_reply(reply(400, error(80004), **headers), 2) == [
        RateLimited(seconds, "80004", WORDS, 400),
        RateLimited(seconds, "80004", WORDS, 400),
    ]


def test_what_meta_repeats_of_an_event_does_not_pass() -> None:
    said = f"anna@example.org, +44 20 7946 0958, EAABsbCS1iHgBAKZ{'x' * 40} and {ANNA} are wrong"
    expected: Verdict = [Rejected("100", "… …, … and … are wrong", 400)]

    assert MAPPER.read_reply(reply(400, error(100, message=said)), 1) == expected


# Settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("pixel_id", "1234567890123456", None, id="dataset"),
        pytest.param("pixel_id", 1234567890123456, None, id="dataset as a number"),
        pytest.param("pixel_id", "act_1234567", "must be digits only, as Events Manager shows it", id="ad account"),
        pytest.param("pixel_id", "1234", "must be digits only, as Events Manager shows it", id="too short"),
        pytest.param("pixel_id", "123456/events", "must be digits only, as Events Manager shows it", id="a path"),
        pytest.param("ldu_country", 0, None, id="country 0"),
        pytest.param("ldu_country", "1", None, id="country 1 as text"),
        pytest.param("ldu_country", "US", "must be 0 or 1", id="country as letters"),
        pytest.param("ldu_country", True, "must be 0 or 1", id="country true"),
        pytest.param("ldu_state", 0, None, id="state 0"),
        pytest.param("ldu_state", "1000", None, id="California"),
        pytest.param("ldu_state", 1013, None, id="Rhode Island"),
        pytest.param("ldu_state", 1014, "must be 0 or 1000 to 1013", id="state after the last"),
        pytest.param("ldu_state", "CA", "must be 0 or 1000 to 1013", id="state as letters"),
        pytest.param("api_version", "v25.0", None, id="version"),
        pytest.param("api_version", "26.0", "must look like v26.0", id="version without v"),
        pytest.param("api_version", "v26.0/../v1", "must look like v26.0", id="version that leaves its place"),
        pytest.param("default_country", "DE", None, id="country of phones"),
        pytest.param(
            "default_country",
            "de",
            "must be a two-letter country code in capitals, such as US",
            id="country of phones in small letters",
        ),
    ],
)
def test_setting_is_checked(name: str, value: Any, wrong: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)

    assert setting.check is not None
    assert setting.check(value) == wrong


def test_settings_are_those_of_the_contract() -> None:
    assert [(setting.name, setting.required, setting.secret) for setting in MAPPER.settings] == [
        ("pixel_id", True, False),
        ("access_token", True, True),
        ("test_event_code", False, False),
        ("ldu_country", False, False),
        ("ldu_state", False, False),
        ("api_version", False, False),
        ("default_country", False, False),
        ("default_currency", False, False),
        ("default_page_url", False, False),
        ("require_consent", False, False),
    ]


def test_limits_are_those_of_meta() -> None:
    assert (MAPPER.batch_size, MAPPER.max_event_age) == (1000, timedelta(days=7))
    assert MAPPER.max_ahead == timedelta(minutes=5)
    assert MAPPER.supports_test_events is True


@pytest.mark.parametrize("code", ["100", "400"])
def test_where_meta_names_no_field_it_is_said_how_to_find_it(code: str) -> None:
    told = MAPPER.explanations[code].next_step
    assert "`preview`" in told
    assert "what only this one has, or lacks, is what to correct" in told
    assert "redeliver this one only where a setting of the destination was at fault" in told


@pytest.mark.parametrize("given", ["hotel", " flight ", "destination", "vehicle", "simple", "Hotel"])
def test_a_content_type_of_another_catalogue_goes_as_it_was_given(given: str) -> None:
    custom = {"value": 10, "currency": "USD", "content_type": given}
    for products in ({}, {"product_ids": ["A"]}, {"contents": [{"id": "A"}]}):
        result = mapped(draft(event_name="Purchase", custom_data={**custom, **products}))
        assert result.item["custom_data"]["content_type"] == given.strip()
        assert [(one.ok, one.field, one.message) for one in result.verdicts if one.rule == "content_type"] == [
            (True, "custom_data.content_type", "sent as given, though neither product nor product_group")
        ]


@pytest.mark.parametrize(
    ("given", "sent"), [("Product", "product"), (" product ", "product"), ("PRODUCT_GROUP", "product_group")]
)
def test_a_content_type_is_read_in_any_case(given: str, sent: str) -> None:
    result = mapped(draft(custom_data={"product_ids": ["A"], "content_type": given}))
    assert result.item["custom_data"]["content_type"] == sent
    assert [(one.ok, one.message) for one in result.verdicts if one.rule == "content_type"] == [
        (True, f"sent as {sent}")
    ]
