"""What LinkedIn gets, what it never gets, and how its answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from tests.mappers.helpers import Asked, reply
from tracklayer.domain.delivery import (
    Acknowledged,
    BatchRejected,
    BearerToken,
    CredentialsRefused,
    DropReason,
    PlatformReply,
    RateLimited,
    Rejected,
    Unreachable,
    Verdict,
)
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.mappers.linkedin import MAPPER
from tracklayer.mappers.outgoing import map_event

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "access_token": "sandbox-access-token",
        "conversion_rules": {
            "Purchase": 14488340,
            "Lead": 14488341,
            "CompleteRegistration": 14488342,
            "QuoteRequested": 14488377,
        },
    }
)
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
SAM = "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16"  # sam@example.com
SHA1 = "0123456789abcdef0123456789abcdef01234567"
DEVICE = "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"

PLACEHOLDERS = ("null", "undefined", "NaN", "None", "false", "0", "-", "{gclid}", "[object Object]", "%%ID%%", " null ")
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the digest of an empty text
IPHONE: dict[str, Any] = {
    "os": "iOS",
    "advertising_id": "6D92078A-8246-4BA4-AE5B-76104861E7DC",
    "tracking_allowed": True,
}
ANDROID: dict[str, Any] = {"os": "Android", "advertising_id": "7a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"}


def draft(**changes: Any) -> dict[str, Any]:
    """A good event; a named field replaces its own, one that is ``...`` is left out."""
    good: dict[str, Any] = {
        "event_name": "Lead",
        "event_id": "evt-1",
        "occurred_at": "2026-11-21T13:00:00Z",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/p/1",
        "user_data": {"email": "sam@example.com"},
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


ASKED = Asked(MAPPER, SETTINGS, NOW, frozenset({"US"}))
read, mapped, left_out = ASKED.read, ASKED.mapped, ASKED.fields_left_out


def user(user_data: dict[str, Any], **changes: Any) -> Any:
    return mapped(draft(user_data=user_data, **changes)).item["user"]


EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "full purchase": (
        {
            "event_name": "Purchase",
            "event_id": "evt-10045",
            "occurred_at": "2026-11-20T14:30:05.250Z",
            "action_source": "website",
            "event_source_url": "https://shop.example.com/thank-you?order=10045",
            "user_data": {
                "email": "  Jane.Doe+News@Example.COM ",
                "phone": "+1 (415) 555-0132",
                "first_name": " Jane",
                "last_name": "O'Neil",
                "city": "San Francisco",
                "state": "CA",
                "zip": "94107",
                "country": "US",
                "external_id": "cust-8841",
                "client_ip": "203.0.113.24",
                "client_user_agent": USER_AGENT,
                "li_fat_id": "f5c2a1d0-8b7e-4c3d-9a21-0e6b5d4c3b2a",
            },
            "custom_data": {
                "value": 149.9,
                "currency": "USD",
                "order_id": "10045",
                "num_items": 3,
                "contents": [
                    {
                        "id": "SKU-RED-M",
                        "quantity": 2,
                        "item_price": 49.95,
                        "category": "Shirts",
                        "brand": "Acme",
                        "title": "Red shirt",
                    },
                    {
                        "id": "SKU-CAP",
                        "quantity": 1,
                        "item_price": 50.0,
                        "category": "Hats",
                        "brand": "Acme",
                        "title": "Cap",
                    },
                ],
            },
            "consent": {"ad_user_data": "granted"},
        },
        {
            "conversion": "urn:lla:llaPartnerConversion:14488340",
            "conversionHappenedAt": 1795185005250,
            "conversionValue": {"currencyCode": "USD", "amount": "149.90"},
            "eventId": "evt-10045",
            "user": {
                "userIds": [
                    {
                        "idType": "SHA256_EMAIL",
                        "idValue": "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
                    },
                    {
                        "idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID",
                        "idValue": "f5c2a1d0-8b7e-4c3d-9a21-0e6b5d4c3b2a",
                    },
                    {"idType": "PLAINTEXT_IP_ADDRESS", "idValue": "203.0.113.24"},
                ],
                "userInfo": {"firstName": "Jane", "lastName": "O'Neil", "countryCode": "US"},
                "externalIds": ["cust-8841"],
            },
        },
    ),
    "hashed e-mail, IPv6 address": (
        {
            "event_name": "CompleteRegistration",
            "event_id": "evt-20001",
            "occurred_at": "2026-11-21T09:00:00Z",
            "action_source": "website",
            "user_data": {
                "email": "8C87B489CE35CF2E2F39F80E282CB2E804932A56A213983EEEB428407D43B52D",
                "phone": "9e1919ad78a34fd67a84bfbcf2fea14074065517bea32e92924771c3f92e5462",
                "client_ip": "2001:db8::7",
            },
            "custom_data": {},
        },
        {
            "conversion": "urn:lla:llaPartnerConversion:14488342",
            "conversionHappenedAt": 1795251600000,
            "eventId": "evt-20001",
            "user": {
                "userIds": [
                    {
                        "idType": "SHA256_EMAIL",
                        "idValue": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
                    }
                ]
            },
        },
    ),
    "lead with a name only": (
        {
            "event_name": "Lead",
            "event_id": "evt-30001",
            "occurred_at": "2026-11-21T10:15:30Z",
            "action_source": "website",
            "user_data": {"first_name": "Mike", "last_name": "Smith", "country": "us"},
            "custom_data": {},
        },
        {
            "conversion": "urn:lla:llaPartnerConversion:14488341",
            "conversionHappenedAt": 1795256130000,
            "eventId": "evt-30001",
            "user": {
                "userIds": [],
                "userInfo": {"firstName": "Mike", "lastName": "Smith", "countryCode": "US"},
            },
        },
    ),
    "custom event in yen": (
        {
            "event_name": "QuoteRequested",
            "event_id": "evt-40001",
            "occurred_at": "2026-11-21T11:00:00Z",
            "action_source": "website",
            "user_data": {"email": "sam@example.com"},
            "custom_data": {"value": 1500, "currency": "JPY"},
        },
        {
            "conversion": "urn:lla:llaPartnerConversion:14488377",
            "conversionHappenedAt": 1795258800000,
            "conversionValue": {"currencyCode": "JPY", "amount": "1500"},
            "eventId": "evt-40001",
            "user": {
                "userIds": [
                    {
                        "idType": "SHA256_EMAIL",
                        "idValue": "cd25a6171969f2a3c6e35c7667e3908ef1bd2424241db04411a0eec454ca6c16",
                    }
                ]
            },
        },
    ),
}


@pytest.mark.parametrize(("event", "body"), [pytest.param(*parts, id=title) for title, parts in EXAMPLES.items()])
def test_single_event_becomes_exactly_the_documented_body(event: dict[str, Any], body: dict[str, Any]) -> None:
    request = MAPPER.build_request("", [mapped(event).item], SETTINGS)

    assert request.body == body
    assert request.headers == {"LinkedIn-Version": "202608", "X-Restli-Protocol-Version": "2.0.0"}


def test_several_events_become_elements_of_a_batch_in_their_order() -> None:
    events = [EXAMPLES[title] for title in ("hashed e-mail, IPv6 address", "custom event in yen")]
    items = [mapped(event).item for event, _ in events]

    request = MAPPER.build_request("", items, SETTINGS)

    assert request.body == {"elements": [body for _, body in events]}
    assert request.headers == {
        "LinkedIn-Version": "202608",
        "X-Restli-Protocol-Version": "2.0.0",
        "X-RestLi-Method": "BATCH_CREATE",
    }


def test_request_goes_to_the_conversions_endpoint_with_a_bearer_token() -> None:
    settings = {**SETTINGS, "api_version": "202611"}

    request = MAPPER.build_request("", [{}], settings)

    assert (request.method, request.url) == ("POST", "https://api.linkedin.com/rest/conversionEvents")
    assert request.auth == BearerToken("sandbox-access-token")
    assert request.headers["LinkedIn-Version"] == "202611"
    assert "sandbox-access-token" not in f"{request}{request.headers}{request.body}"


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        pytest.param(
            draft(occurred_at="2026-08-10T08:00:00Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="103 days old",
        ),
        pytest.param(
            draft(occurred_at="2026-08-23T13:59:59.999Z"),
            DropReason.EVENT_TOO_OLD,
            "occurred_at",
            id="just too old",
        ),
        pytest.param(
            draft(event_name="AddToCart"),
            DropReason.UNSUPPORTED_EVENT,
            "event_name",
            id="standard name without a rule",
        ),
        pytest.param(draft(event_name="lead"), DropReason.UNSUPPORTED_EVENT, "event_name", id="name in other capitals"),
        pytest.param(draft(event_name="Refund"), DropReason.UNSUPPORTED_EVENT, "event_name", id="refund"),
        pytest.param(
            draft(consent={"ad_user_data": "denied"}),
            DropReason.CONSENT_DENIED,
            "consent.ad_user_data",
            id="consent denied",
        ),
        pytest.param(
            draft(consent={"limited_data_use": True}),
            DropReason.CONSENT_DENIED,
            "consent.limited_data_use",
            id="limited data use",
        ),
        *(
            pytest.param(draft(user_data=data), DropReason.MISSING_IDENTIFIERS, "user_data", id=title)
            for title, data in {
                "phone and user agent only": {"phone": "+14155550132", "client_user_agent": USER_AGENT},
                "IPv6 address only": {"client_ip": "2001:db8::7"},
                "first name only": {"first_name": "Mike", "country": "US"},
                "hashed names only": {"first_name": SAM, "last_name": SAM},
                "hashed by SHA-1": {"email": SHA1},
                "nothing": {},
            }.items()
        ),
    ],
)
def test_event_is_refused_before_it_is_sent(event: dict[str, Any], reason: DropReason, field: str) -> None:
    found = MAPPER.map_event(read(event), SETTINGS, NOW)

    assert isinstance(found, Refused)
    assert (found.reason, found.field) == (reason, field)
    assert (found.verdicts[-1].ok, found.verdicts[-1].message) == (False, found.message)


def test_refund_is_refused_even_where_a_rule_is_set_for_it() -> None:
    settings = {**SETTINGS, "conversion_rules": {"Refund": 1, "*": 2}}

    found = MAPPER.map_event(read(draft(event_name="Refund")), settings, NOW)

    assert isinstance(found, Refused)
    assert found.reason is DropReason.UNSUPPORTED_EVENT


@pytest.mark.parametrize(
    "occurred_at",
    [
        pytest.param("2026-08-23T14:00:00Z", id="90 days old to the second"),
    ],
)
def test_event_at_the_edge_of_the_time_window_is_sent(occurred_at: str) -> None:
    assert mapped(draft(occurred_at=occurred_at)).item["eventId"] == "evt-1"


@pytest.mark.parametrize(
    ("ahead", "waits"),
    [
        pytest.param(timedelta(seconds=5), False, id="as much as clocks differ"),
        pytest.param(timedelta(seconds=5, milliseconds=1), True, id="a little more"),
        pytest.param(timedelta(minutes=5), True, id="all that is taken in"),
    ],
)
def test_event_ahead_of_the_clock_waits_and_is_not_lost(ahead: timedelta, *, waits: bool) -> None:
    event = read(draft(occurred_at=(NOW + ahead).isoformat()))

    found = map_event(MAPPER, event, SETTINGS, NOW)

    assert isinstance(found, Mapped)
    assert found.item["conversionHappenedAt"] == 1795269600000 + ahead // timedelta(milliseconds=1)
    assert found.not_before == (NOW + ahead if waits else None)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param("Lead", "urn:lla:llaPartnerConversion:14488341", id="its own rule"),
        pytest.param("Search", "urn:lla:llaPartnerConversion:77", id="every other name"),
    ],
)
def test_star_stands_for_every_other_event_name(name: str, rule: str) -> None:
    settings = {**SETTINGS, "conversion_rules": {"Lead": "14488341", "*": 77}}

    assert mapped(draft(event_name=name), settings).item["conversion"] == rule


@pytest.mark.parametrize(
    ("custom_data", "value"),
    [
        pytest.param({"value": 149.9, "currency": "USD"}, {"currencyCode": "USD", "amount": "149.90"}, id="cents"),
        pytest.param(
            {"value": 1500, "currency": "USD"},
            {"currencyCode": "USD", "amount": "1500.00"},
            id="whole dollars",
        ),
        pytest.param({"value": "1500.00", "currency": "JPY"}, {"currencyCode": "JPY", "amount": "1500"}, id="yen"),
        pytest.param(
            {"value": "1.5", "currency": "KWD"},
            {"currencyCode": "KWD", "amount": "1.500"},
            id="three decimals",
        ),
        pytest.param(
            {"value": "0.005", "currency": "EUR"},
            {"currencyCode": "EUR", "amount": "0.005"},
            id="not rounded",
        ),
        pytest.param({"value": "1e3", "currency": "EUR"}, {"currencyCode": "EUR", "amount": "1000.00"}, id="exponent"),
        pytest.param({"value": 0, "currency": "EUR"}, {"currencyCode": "EUR", "amount": "0.00"}, id="nothing"),
        pytest.param({"value": 10}, None, id="no currency"),
        pytest.param({"currency": "EUR"}, None, id="no value"),
    ],
)
def test_value_is_decimal_text_and_goes_with_its_currency_only(custom_data: dict[str, Any], value: object) -> None:
    item = mapped(draft(custom_data=custom_data)).item

    assert item.get("conversionValue") == value


def test_value_without_a_currency_is_named_as_left_out() -> None:
    assert left_out(draft(custom_data={"value": 10})) == ["custom_data.value"]


@pytest.mark.parametrize(
    ("user_data", "ids"),
    [
        pytest.param(
            {"li_fat_id": " f5c2a1d0 "},
            [{"idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": "f5c2a1d0"}],
            id="click id trimmed",
        ),
        pytest.param(
            {"client_ip": " 203.0.113.24"},
            [{"idType": "PLAINTEXT_IP_ADDRESS", "idValue": "203.0.113.24"}],
            id="IPv4 address alone",
        ),
        pytest.param(
            {"email": "sam@example.com", "li_fat_id": "a b", "client_ip": "::1"},
            [{"idType": "SHA256_EMAIL", "idValue": SAM}],
            id="malformed ones left out",
        ),
    ],
)
def test_user_ids_hold_what_is_well_formed(user_data: dict[str, Any], ids: object) -> None:
    assert user(user_data) == {"userIds": ids}


def test_click_id_is_taken_from_the_url_where_the_event_has_none() -> None:
    url = "https://shop.example.com/?a=1&li_fat_id=f5c2%2Da1d0#x"
    name = "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID"

    assert user({}, event_source_url=url) == {"userIds": [{"idType": name, "idValue": "f5c2-a1d0"}]}
    assert user({"li_fat_id": "own"}, event_source_url=url) == {"userIds": [{"idType": name, "idValue": "own"}]}


def test_malformed_identifiers_are_named_and_the_event_goes_without_them() -> None:
    event = draft(
        user_data={
            "email": "sam@example.com",
            "li_fat_id": "a b",
            "client_ip": "2001:db8::7",
            "first_name": "Mike",
            "last_name": "Smith",
            "country": "Utopia",
            "external_id": "mike@example.com",
        },
        custom_data={"properties": {"gaid": "00000000-0000-0000-0000-000000000000", "lead_urn": "lead 7"}},
    )

    assert left_out(event) == [
        "user_data.li_fat_id",
        "user_data.client_ip",
        "custom_data.properties.gaid",
        "user_data.country",
        "user_data.external_id",
        "custom_data.properties.lead_urn",
    ]
    assert mapped(event).item["user"] == {
        "userIds": [{"idType": "SHA256_EMAIL", "idValue": SAM}],
        "userInfo": {"firstName": "Mike", "lastName": "Smith"},
    }


@pytest.mark.parametrize(
    ("user_data", "info"),
    [
        pytest.param(
            {"job_title": " Head of Growth ", "company_name": "Müller & Söhne"},
            {"companyName": "Müller & Söhne", "title": "Head of Growth"},
            id="both, case and signs kept",
        ),
        pytest.param({"job_title": "Buyer"}, {"title": "Buyer"}, id="title only"),
        pytest.param({"job_title": "null", "company_name": SAM}, {}, id="no title, a company that is a digest"),
    ],
)
def test_title_and_company_go_with_the_names(user_data: dict[str, str], info: dict[str, str]) -> None:
    found = user({"first_name": "Mike", "last_name": "Smith", **user_data})

    assert found["userInfo"] == {"firstName": "Mike", "lastName": "Smith", **info}


def test_field_of_the_person_goes_before_the_property_of_that_name() -> None:
    names = {"first_name": "Mike", "last_name": "Smith", "job_title": "Buyer"}

    found = user(names, custom_data={"properties": {"job_title": "old", "company_name": "Acme"}})

    assert (found["userInfo"]["title"], found["userInfo"]["companyName"]) == ("Buyer", "Acme")


def test_title_and_company_of_nobody_are_named_as_left_out() -> None:
    assert left_out(draft(user_data={"email": "sam@example.com", "company_name": "Acme", "job_title": "x"})) == [
        "user_data.company_name"
    ]
    assert left_out(draft(user_data={"email": "sam@example.com", "job_title": "Buyer"})) == ["user_data.job_title"]
    hashed = {"first_name": "Mike", "last_name": "Smith", "company_name": SAM}
    assert left_out(draft(user_data=hashed)) == ["user_data.company_name"]


@pytest.mark.parametrize(
    ("device", "ids", "left"),
    [
        pytest.param(ANDROID, [{"idType": "GOOGLE_AID", "idValue": DEVICE}], [], id="Android"),
        pytest.param({**ANDROID, "tracking_allowed": False}, [], ["device.advertising_id"], id="tracking not allowed"),
        pytest.param(IPHONE, [], ["device.advertising_id"], id="Apple's has no place"),
        pytest.param({**ANDROID, "os": ...}, [], ["device.advertising_id"], id="nobody says whose"),
        pytest.param({**ANDROID, "advertising_id": "abc"}, [], ["device.advertising_id"], id="not a UUID"),
        pytest.param({**ANDROID, "advertising_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12}, [], [], id="all zero"),
        pytest.param({"os": "Android", "app_id": "com.example.shop", "model": "Pixel 8"}, [], [], id="no id"),
    ],
)
def test_advertising_id_of_an_android_device_is_sent(
    device: dict[str, Any], ids: list[dict[str, str]], left: list[str]
) -> None:
    device = {name: value for name, value in device.items() if value is not ...}
    event = draft(action_source="app", device=device)

    assert mapped(event).item["user"] == {"userIds": [{"idType": "SHA256_EMAIL", "idValue": SAM}, *ids]}
    assert left_out(event) == left


def test_property_with_a_device_is_not_sent_where_tracking_is_not_allowed() -> None:
    event = draft(custom_data={"properties": {"gaid": DEVICE}}, device={"tracking_allowed": False})

    assert mapped(event).item["user"] == {"userIds": [{"idType": "SHA256_EMAIL", "idValue": SAM}]}
    assert left_out(event) == ["custom_data.properties.gaid"]


@pytest.mark.parametrize(
    ("user_data", "digest"),
    [
        pytest.param({"emails": ["sam@example.com"]}, SAM, id="one, in the list"),
        pytest.param({"email": "sam@example.com", "emails": ["jane@example.com"]}, SAM, id="the main one"),
        pytest.param({"email": "no address", "emails": ["x", "sam@example.com"]}, SAM, id="the first that is one"),
        pytest.param({"email": NOTHING, "emails": ["sam@example.com"]}, SAM, id="not the digest of nothing"),
    ],
)
def test_one_email_of_several_is_sent(user_data: dict[str, Any], digest: str) -> None:
    assert user(user_data) == {"userIds": [{"idType": "SHA256_EMAIL", "idValue": digest}]}


def test_further_emails_are_named_as_left_out() -> None:
    assert left_out(draft(user_data={"email": "sam@example.com", "emails": ["jane@example.com"]})) == [
        "user_data.emails"
    ]


@pytest.mark.parametrize(
    ("lead_id", "lead"),
    [
        pytest.param("urn:li:leadGenFormResponse:7", "urn:li:leadGenFormResponse:7", id="LinkedIn's"),
        pytest.param("1234567890123456", None, id="another platform's"),
    ],
)
def test_lead_is_named_by_its_urn(lead_id: str, lead: str | None) -> None:
    event = draft(user_data={"email": "sam@example.com", "lead_id": lead_id})

    assert mapped(event).item["user"].get("lead") == lead
    assert left_out(event) == []


def test_properties_carry_what_no_field_of_an_event_does() -> None:
    properties = {
        "gaid": DEVICE,
        "acxiom_id": " XY7 ",
        "company_name": "Acme",
        "job_title": "Buyer",
        "lead_urn": "urn:li:leadGenFormResponse:7",
        "colour": "red",
    }

    found = user({"first_name": "Mike", "last_name": "Smith"}, custom_data={"properties": properties})

    assert found == {
        "userIds": [{"idType": "GOOGLE_AID", "idValue": DEVICE}, {"idType": "ACXIOM_ID", "idValue": "XY7"}],
        "userInfo": {"firstName": "Mike", "lastName": "Smith", "companyName": "Acme", "title": "Buyer"},
        "lead": "urn:li:leadGenFormResponse:7",
    }


@pytest.mark.parametrize(
    "user_data",
    [
        pytest.param({"first_name": "Mike", "country": "US"}, id="no last name"),
        pytest.param({"last_name": "Smith"}, id="no first name"),
        pytest.param({"first_name": SAM, "last_name": "Smith"}, id="hashed first name"),
        pytest.param({"first_name": "Mike", "last_name": SHA1}, id="last name hashed by SHA-1"),
        pytest.param({"country": "US"}, id="country only"),
    ],
)
def test_user_info_needs_both_names_in_plain_text(user_data: dict[str, Any]) -> None:
    assert "userInfo" not in user({"email": "sam@example.com", **user_data})


@pytest.mark.parametrize(
    ("send_names", "consent", "is_sent"),
    [
        pytest.param(None, "unspecified", True, id="left out, consent not told"),
        pytest.param("unless_denied", "unspecified", True, id="unless denied, not told"),
        pytest.param("granted", "unspecified", False, id="granted only, not told"),
        pytest.param("granted", "granted", True, id="granted only, granted"),
        pytest.param("never", "granted", False, id="never"),
    ],
)
def test_names_are_sent_as_the_merchant_decides(send_names: str | None, consent: str, is_sent: bool) -> None:
    event = draft(
        user_data={"email": "sam@example.com", "first_name": "Mike", "last_name": "Smith"},
        consent={"ad_user_data": consent},
    )
    settings = {**SETTINGS, "send_names": send_names}

    assert ("userInfo" in mapped(event, settings).item["user"]) is is_sent
    assert left_out(event, settings) == ([] if is_sent else ["user_data.first_name"])


@pytest.mark.parametrize(
    ("field", "value", "out"),
    [
        pytest.param(
            "email",
            "  Jane.Doe+News@Example.COM ",
            "dbf1912b4cad4df9823f627874244e64b50a6ac550b9cb33b17df671a26679db",
            id="e-mail trimmed and lower-cased",
        ),
        pytest.param(
            "email",
            "jane @example.com",
            "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
            id="e-mail with white space inside",
        ),
        pytest.param("email", "sam@example.com", SAM, id="e-mail"),
        pytest.param("email", SAM.upper(), SAM, id="e-mail hashed already"),
        pytest.param("email", SHA1, None, id="e-mail hashed by SHA-1"),
        pytest.param("first_name", " Jane", "Jane", id="first name"),
        pytest.param("last_name", "O'Neil ", "O'Neil", id="last name"),
        pytest.param("last_name", SAM, None, id="hashed name"),
        pytest.param("country", " us", "US", id="country"),
        pytest.param("country", "USA", "US", id="country of three letters"),
        pytest.param("country", "Germany", "DE", id="country by its name"),
        pytest.param("country", "Utopia", None, id="no country"),
        pytest.param("external_id", " Cust-8841 ", "Cust-8841", id="external id"),
        pytest.param("client_ip", " 203.0.113.24 ", "203.0.113.24", id="IPv4 address"),
        pytest.param("client_ip", "2001:db8::7", None, id="IPv6 address"),
        pytest.param("client_ip", "::ffff:203.0.113.24", "203.0.113.24", id="IPv4 address in an IPv6 one"),
        pytest.param("client_ip", "203.0.113.24:51234", "203.0.113.24", id="address with its port"),
        pytest.param("client_ip", "203.0.113.24, 10.0.0.1", "203.0.113.24", id="the first of some proxies"),
        pytest.param("email", f"{SAM}.AQYCAQIB", SAM, id="digest with a builder's tail"),
        pytest.param("external_id", f"{SAM}.AQYCAQIB", SAM, id="external id with a builder's tail"),
        pytest.param("external_id", SAM.upper(), SAM.upper(), id="external id that is a digest"),
        pytest.param("external_id", NOTHING, None, id="external id of nothing"),
        pytest.param("email", NOTHING, None, id="digest of nothing"),
        pytest.param("job_title", " Buyer ", "Buyer", id="job title"),
        pytest.param("company_name", SAM, None, id="hashed company"),
        *(
            pytest.param(field, value, None, id=f"{field} {value!r}")
            for field in ("li_fat_id", "external_id", "first_name", "client_ip", "country", "email", "job_title")
            for value in PLACEHOLDERS
        ),
        pytest.param("li_fat_id", " f5c2a1d0 ", "f5c2a1d0", id="click id"),
        pytest.param("li_fat_id", "f5 c2", None, id="click id with a space"),
    ],
)
def test_value_is_normalised_for_linkedin(field: str, value: str, out: str | None) -> None:
    assert MAPPER.normalise[field](value, {}) == out


def test_fields_linkedin_does_not_take_have_no_rule() -> None:
    assert set(MAPPER.normalise) == {
        "email",
        "first_name",
        "last_name",
        "country",
        "external_id",
        "client_ip",
        "li_fat_id",
        "job_title",
        "company_name",
    }


WEB_PAGE = "a web page came back instead of the platform's answer, such as a proxy's"
IN_BETWEEN = "something in between answered, such as a proxy: the event has not reached the platform"
UNCONFIRMED = "the answer does not confirm every event"
WRONG_FIELD = "Index: 1, ERROR :: /conversionHappenedAt :: field is required but not found"


@pytest.mark.parametrize(
    ("answer", "count", "verdict"),
    [
        pytest.param(reply(201), 1, [Acknowledged(201)], id="one event"),
        pytest.param(
            reply(200, {"elements": [{"status": 201}, {"status": 201}]}),
            2,
            [Acknowledged(201)] * 2,
            id="a batch",
        ),
        pytest.param(
            reply(
                200,
                {
                    "elements": [
                        {"status": 201},
                        {"status": 422, "error": {"status": 422, "message": "conversion is not enabled"}},
                        {"status": 429},
                        {"status": 500},
                        {},
                    ]
                },
                retry_after="9",
            ),
            5,
            [
                Acknowledged(201),
                Rejected("422", "conversion is not enabled", 422),
                RateLimited(9.0, "429", "LinkedIn gave no reason", 429),
                Rejected("500", "LinkedIn gave no reason", 500),
                Unreachable(UNCONFIRMED, 200, code="unconfirmed"),
            ],
            id="each element its own verdict",
        ),
        pytest.param(
            reply(200, {"elements": [{"status": 201}]}),
            2,
            [Unreachable(UNCONFIRMED, 200, code="unconfirmed")] * 2,
            id="an element is missing",
        ),
        pytest.param(
            reply(200, None, "<html>"),
            1,
            [Unreachable(WEB_PAGE, 200, may_have_arrived=False, code="intercepted")],
            id="a page of a proxy",
        ),
        pytest.param(reply(200), 1, [Unreachable(UNCONFIRMED, 200, code="unconfirmed")], id="nothing"),
        *(
            pytest.param(
                reply(status),
                2,
                [Unreachable(IN_BETWEEN, status, may_have_arrived=False, code="intercepted")] * 2,
                id=f"{status}",
            )
            for status in (301, 302, 407)
        ),
        pytest.param(
            reply(200, {"status": 400, "message": "no"}),
            1,
            [Rejected("400", "no", 400)],
            id="an error inside a 200",
        ),
        pytest.param(
            reply(
                400,
                {
                    "status": 400,
                    "code": "BAD_REQUEST",
                    "message": "not CONVERSIONS_API, indices [1] (0-indexed)",
                },
            ),
            2,
            BatchRejected(Rejected("400/BAD_REQUEST", "not CONVERSIONS_API, indices [1] (0-indexed)", 400)),
            id="wrong rule in a batch",
        ),
        pytest.param(
            reply(422, {"status": 422, "message": WRONG_FIELD}),
            2,
            BatchRejected(Rejected("422", WRONG_FIELD, 422)),
            id="wrong field in a batch",
        ),
        pytest.param(
            reply(422, {"status": 422, "message": WRONG_FIELD}),
            1,
            [Rejected("422", WRONG_FIELD, 422)],
            id="wrong field",
        ),
        pytest.param(
            reply(404),
            2,
            BatchRejected(Rejected("404", "LinkedIn gave no reason", 404)),
            id="unknown rule in a batch",
        ),
        pytest.param(
            reply(413),
            2,
            BatchRejected(Rejected("413", "LinkedIn gave no reason", 413)),
            id="too large a batch",
        ),
        *(
            pytest.param(
                reply(401, {"status": 401, **error, "message": "no"}),
                2,
                [CredentialsRefused(code, "no", 401)] * 2,
                id=title,
            )
            for title, error, code in (
                (
                    "token wrong",
                    {"code": "INVALID_ACCESS_TOKEN", "serviceErrorCode": 65600},
                    "INVALID_ACCESS_TOKEN",
                ),
                ("token wrong by number", {"serviceErrorCode": 65600}, "INVALID_ACCESS_TOKEN"),
                ("token revoked", {"code": "REVOKED_ACCESS_TOKEN"}, "REVOKED_ACCESS_TOKEN"),
                ("token revoked by number", {"serviceErrorCode": 65601}, "REVOKED_ACCESS_TOKEN"),
                ("token expired by number", {"serviceErrorCode": 65602}, "EXPIRED_ACCESS_TOKEN"),
                ("token empty", {"code": "EMPTY_ACCESS_TOKEN"}, "EMPTY_ACCESS_TOKEN"),
                ("token, no code", {}, "401"),
            )
        ),
        pytest.param(
            reply(403, {"code": "ACCESS_DENIED", "message": "no"}),
            1,
            [CredentialsRefused("403/ACCESS_DENIED", "no", 403)],
            id="no role",
        ),
        pytest.param(
            reply(426, {"code": "NONEXISTENT_VERSION", "message": "no"}),
            2,
            [CredentialsRefused("426/NONEXISTENT_VERSION", "no", 426)] * 2,
            id="version retired",
        ),
        pytest.param(
            reply(429, retry_after="30"),
            2,
            [RateLimited(30.0, "429", "LinkedIn gave no reason", 429)] * 2,
            id="too many requests",
        ),
        *(
            pytest.param(
                reply(status, retry_after="7"),
                2,
                [Unreachable("LinkedIn gave no reason", status, 7.0, code=str(status))] * 2,
                id=f"passing fault {status}",
            )
            for status in (408, 423, 500, 502, 503, 504)
        ),
        pytest.param(reply(501), 2, [Rejected("501", "LinkedIn gave no reason", 501)] * 2, id="not implemented"),
        pytest.param(reply(405), 1, [Rejected("405", "LinkedIn gave no reason", 405)], id="another status"),
    ],
)
def test_answer_is_read_for_each_event(answer: PlatformReply, count: int, verdict: Verdict) -> None:
    assert MAPPER.read_reply(answer, count) == verdict


def test_message_repeats_nothing_that_was_sent() -> None:
    said = f'value "Jane O\'Neil" of jane@example.com, {SAM}, 203.0.113.24, +1 415 555 0132, {DEVICE} is wrong'

    verdict = MAPPER.read_reply(reply(422, {"message": said}), 1)

    assert verdict == [Rejected("422", "value … of … …, …, …, … is wrong", 422)]


@pytest.mark.parametrize(
    "code",
    "INVALID_ACCESS_TOKEN EXPIRED_ACCESS_TOKEN EMPTY_ACCESS_TOKEN REVOKED_ACCESS_TOKEN 400 401 403 404 408 413 422 423 "
    "426 429 500 501 502 503 504".split(),
)
def test_every_documented_code_is_explained(code: str) -> None:
    assert MAPPER.explanations[code].next_step


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        pytest.param("conversion_rules", {"Purchase": 14488340, "*": "7"}, None, id="rules"),
        pytest.param(
            "conversion_rules",
            {},
            'must be an object of event name and rule id, such as {"Purchase": 14488340}',
            id="no rule",
        ),
        pytest.param(
            "conversion_rules",
            "14488340",
            'must be an object of event name and rule id, such as {"Purchase": 14488340}',
            id="one id",
        ),
        pytest.param("conversion_rules", {" ": 1}, "must have event names as keys", id="blank name"),
        *(
            pytest.param(
                "conversion_rules",
                {"Lead": rule},
                "must have the rules' ids as values, digits only, as Campaign Manager shows them",
                id=f"rule {rule!r}",
            )
            for rule in ("urn:lla:llaPartnerConversion:1", 0, -1, 1.5, True, None, "")
        ),
        pytest.param("api_version", "202608", None, id="version"),
        pytest.param("api_version", "202613", "must be a year and a month, such as 202608", id="month 13"),
        pytest.param("ad_account_id", 507404993, None, id="account as a number"),
        pytest.param(
            "ad_account_id",
            "urn:li:sponsoredAccount:5",
            "must be digits only, as Campaign Manager shows it",
            id="account as URN",
        ),
        pytest.param("send_names", "never", None, id="names never"),
        pytest.param("send_names", True, "must be one of unless_denied, granted, never", id="names true"),
    ],
)
def test_setting_is_checked(name: str, value: object, wrong: str | None) -> None:
    setting = next(setting for setting in MAPPER.settings if setting.name == name)

    assert setting.check is not None
    assert setting.check(value) == wrong


def test_what_is_secret_and_what_is_required_is_declared() -> None:
    assert [s.name for s in MAPPER.settings if s.secret] == ["access_token"]
    assert [s.name for s in MAPPER.settings if s.required] == ["conversion_rules", "access_token"]


def test_limits_are_those_of_linkedin() -> None:
    assert (MAPPER.batch_size, MAPPER.max_batch_bytes, MAPPER.max_event_age) == (
        5000,
        None,
        timedelta(days=90),
    )
    assert MAPPER.max_ahead == timedelta(seconds=5)
    assert (MAPPER.supports_test_events, MAPPER.event_names.get("Refund")) == (False, None)
