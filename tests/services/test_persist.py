"""What is kept of an event, and that a mapper cannot tell the stored event from the one that came in."""

from __future__ import annotations

import copy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from tests.conftest import NOW
from tests.factories import AGENT, PURCHASE, Merchant, draft
from tracklayer.db.connection import in_transaction
from tracklayer.db.events import EventRow, events_by_id
from tracklayer.db.storing import run_statement, to_store
from tracklayer.domain.event import Event
from tracklayer.domain.event_contacts import contacts_in
from tracklayer.domain.person import maybe, tokens_of_event, tokens_of_phone
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.domain.sha256 import sha256_hex
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Mapped, Refused
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer, SealError
from tracklayer.services.persist import SEALED_FIELDS, differences, to_event, to_record, without_person

SEALER = Sealer(["a secret key for tests, forty characters"])
US = frozenset({"US"})
HASHING = pytest.mark.parametrize("hashing", [True, False], ids=["hashing on", "hashing off"])

PERSON = {
    "email": "Jane.Doe+News@Gmail.com",
    "phone": "+1 (650) 555-0123",
    "first_name": "Jane-Canary",
    "last_name": "O'Neil-Canary",
    "date_of_birth": "1990-02-16",
    "gender": "F",
    "street": "123 Canary St.",
    "city": "San Canary",
    "state": "California",
    "zip": "94107-1234",
    "country": "US",
    "external_id": "Cust-7781",
    "client_ip": "203.0.113.42",
    "client_user_agent": AGENT,
    "fbp": "fb.1.1596403881668.1116446470",
    "fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890",
    "job_title": "Head of Canaries",
    "company_name": "Canary Works",
}
FURTHER = {"emails": ["News@Example.com", "A0" * 32], "phones": ["030 901820", "+44 20 7946 0958"], "country": "DE"}
DEVICE = {
    "os": "iOS",
    "screen_width": 1179,
    "tracking_allowed": False,
    "vendor_id": "6D92078A-8246-4BA4-AE5B-76104861E7DC",
}
BASKET = {
    "value": "129.90",
    "currency": "usd",
    "order_id": "order_1",
    "product_ids": ["sku_1", "sku_2"],
    "contents": [{"id": "sku_1", "quantity": 2, "item_price": 39.95, "title": "T"}, {"id": "sku_2"}],
    "num_items": 3,
    "predicted_ltv": 500,
    "properties": {"colour": "red", "score": 0.1, "member": True, "nothing": None},
}


def read(given: dict[str, Any]) -> Event:
    found = read_event(given, NOW, US)
    assert isinstance(found, ReadEvent), found
    return found.event


def changed(given: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a draft with another value at a dotted path; ``...`` takes the field away."""
    other = copy.deepcopy(given)
    *parents, last = path.split(".")
    at = other
    for parent in parents:
        at = at.setdefault(parent, {})
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return other


def record_of(event: Event, *, hashing: bool = True, countries: frozenset[str] = US) -> dict[str, Any]:
    return to_record(event, 1, NOW, SEALER, hashing, countries)


def row_of(event: Event, *, hashing: bool = True, countries: frozenset[str] = US) -> EventRow:
    """The row that a database makes of a record."""
    made = record_of(event, hashing=hashing, countries=countries)
    record: dict[str, Any] = orjson.loads(orjson.dumps(made))

    def text(name: str) -> str | None:
        return None if record[name] is None else orjson.dumps(record[name]).decode()

    return EventRow(
        merchant_id=record["merchant_id"],
        event_id=record["event_id"],
        event_name=record["event_name"],
        occurred_at=event.occurred_at,
        received_at=NOW,
        last_received_at=NOW,
        times_received=record["times_received"],
        action_source=record["action_source"],
        event_source_url=record["event_source_url"],
        user_data=text("user_data") or "",
        digests=text("digests"),
        sealed=bytes.fromhex(record["sealed"].removeprefix("\\x")) if record["sealed"] else None,
        custom_data=orjson.dumps(made["custom_data"]).decode(),
        consent=text("consent"),
        device=text("device") if "device" in record else None,
    )


def mapped(event: Event, **settings: Any) -> dict[str, Any]:
    """The item that Meta gets of an event."""
    found = mapper_for("meta").map_event(event, {"pixel_id": "1", "access_token": "x", **settings}, NOW)
    assert isinstance(found, Mapped), found
    return found.item


FULL = draft(user_data=PERSON, custom_data=BASKET, consent={"ad_user_data": "granted", "limited_data_use": True})
EVENTS = [
    pytest.param(FULL, id="everything"),
    pytest.param(draft(), id="the everyday one"),
    pytest.param({**PURCHASE, "occurred_at": "2026-11-20T14:59:00Z"}, id="the data model's own, hashed"),
    pytest.param(draft(user_data={"email": "jane@example.com"}), id="one digest for all"),
    pytest.param(draft(user_data={"email": "A0" * 32, "client_user_agent": AGENT}), id="hashed in capitals"),
    pytest.param(draft(user_data={"phone": "(650) 555-0123", "external_id": "x"}), id="a national phone"),
    pytest.param(draft(user_data={"phone": "0170 1234567 89012", "external_id": "x"}), id="a phone of nowhere"),
    pytest.param(draft(user_data={"email": "no address", "phone": "none", "external_id": "x"}), id="nothing usable"),
    pytest.param(draft(user_data={"email": "+x@example.com", "external_id": "x"}), id="an address some rules drop"),
    pytest.param(draft(user_data={"fbp": "fb.1.1713877200.1", "email": "a@b.de"}), id="a malformed cookie"),
    pytest.param(draft(user_data={"first_name": "a" * 64, "external_id": "b" * 64}), id="hashed names"),
    pytest.param(draft(custom_data={"value": "0.10", "currency": "EUR", "num_items": 0}), id="zeros"),
    pytest.param(draft(event_name="Lead", custom_data={}, consent={"ad_personalization": "denied"}), id="no basket"),
    pytest.param(
        draft(user_data={"email": "a@b.de", **FURTHER}, device=DEVICE), id="an app, several emails and phones"
    ),
    pytest.param(
        draft(
            custom_data={
                "value": 5,
                "currency": "EUR",
                "contents": [{"id": "a", "quantity": "1.85", "discount": "0.10", "variant": "ripe"}],
            }
        ),
        id="goods by weight",
    ),
]


# There and back ----------------------------------------------------------------------------------------------------


@HASHING
@pytest.mark.parametrize("given", EVENTS)
@pytest.mark.parametrize("country", ["US", "DE", None])
def test_the_stored_event_maps_to_the_same_item(given: dict[str, Any], hashing: bool, country: str | None) -> None:
    event = read(given)
    countries = frozenset({country}) if country else frozenset()
    stored = to_event(row_of(event, hashing=hashing, countries=countries), SEALER)
    settings = {"default_country": country} if country else {}
    assert mapped(stored, **settings) == mapped(event, **settings)


@HASHING
@pytest.mark.parametrize("given", EVENTS)
def test_all_but_email_and_phone_comes_back_as_it_was(given: dict[str, Any], hashing: bool) -> None:
    event = read(given)
    stored = to_event(row_of(event, hashing=hashing), SEALER)
    for name in ("event_name", "event_id", "occurred_at", "action_source", "event_source_url", "device", "consent"):
        assert getattr(stored, name) == getattr(event, name)
    for name in PERSON:
        if name not in ("email", "phone"):
            assert getattr(stored.user_data, name) == getattr(event.user_data, name)
    assert stored.custom_data == event.custom_data
    if not hashing:
        assert stored == event


def test_an_everyday_event_is_not_looked_through_for_contacts_at_each_destination() -> None:
    stored = to_event(row_of(read(draft(user_data=PERSON, custom_data=BASKET)), hashing=True), SEALER)
    assert stored.user_data.first_name is not None  # which is sealed, and dots stand in its place
    assert not stored.may_hold_contact
    for text in (
        "jane＠example.com", "jane﹫example.com", "＋16505550123", "a@b.de", "+16505550123", "a%40b.de", "a&#64;b.de",
        "a&amp;commat;b.de", r"a\u0040b.de", r"a\x40b.de", "&plus;16505550123",
    ):  # fmt: skip
        held = to_event(row_of(read(draft(custom_data={**BASKET, "content_name": text})), hashing=True), SEALER)
        assert held.may_hold_contact, text
        assert contacts_in(held) == [("custom_data", "content_name")]


@HASHING
@pytest.mark.parametrize("name", ["city", "state", "zip", "job_title", "company_name"])
@pytest.mark.parametrize("text", ["jane.roe@example.com", "+16505550123", "a%40b.de", "jane＠example.com"])
def test_a_contact_in_a_field_that_is_sealed_goes_nowhere(name: str, text: str, hashing: bool) -> None:
    event = read(draft(user_data={**PERSON, name: text}))
    stored = to_event(row_of(event, hashing=hashing), SEALER)
    assert stored.may_hold_contact
    assert contacts_in(stored) == contacts_in(event) == [("user_data", name)]


@HASHING
def test_the_database_gives_back_the_row_it_was_given(runtime: Runtime, merchant: Merchant, hashing: bool) -> None:
    event = read(FULL)
    record = to_record(event, merchant.merchant_id, NOW, runtime.sealer, hashing, US)
    with in_transaction():
        run_statement(*to_store([record], [], [], timedelta(hours=24)))
        row = events_by_id(merchant.merchant_id, [event.event_id])[event.event_id]
    assert mapped(to_event(row, runtime.sealer)) == mapped(event)
    assert differences(row, event, runtime.sealer, US) == []
    assert to_event(row, runtime.sealer).custom_data == event.custom_data


@pytest.mark.parametrize(
    "value",
    ["129.99", "0", "-5", "0.001", "12345678901234.56", "99999999999999999999", "0.1", "123456789012345678.91", "1E+3"],
)
def test_money_comes_back_exactly(value: str) -> None:
    event = read(
        draft(custom_data={"value": value, "predicted_ltv": value, "contents": [{"id": "a", "item_price": value}]})
    )
    custom_data = to_event(row_of(event), SEALER).custom_data
    assert (custom_data.value, custom_data.predicted_ltv) == (Decimal(value), Decimal(value))
    assert custom_data.contents[0].item_price == Decimal(value)  # fmt: skip


# What is kept ------------------------------------------------------------------------------------------------------


def test_with_hashing_on_email_and_phone_are_digests_and_names_are_sealed() -> None:
    record = record_of(read(FULL))
    assert record["user_data"] == {
        "email": "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a",
        "phone": "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec",
        **dict.fromkeys(SEALED_FIELDS, "••••"),
        "country": "US",
        "external_id": "Cust-7781",
        "client_ip": "203.0.113.42",
        "client_user_agent": AGENT,
        "fbp": PERSON["fbp"],
        "fbc": PERSON["fbc"],
    }
    assert record["digests"] == {
        "email": {
            "basic": "f41439c944a763c9812d700a779941cec169de13c9ccd13aaf9424ba5231620a",
            "google": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
            "without_alias": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
            "alphanumeric": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
        },
        "phone": {
            "digits": "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec",
            "e164": "4feaaadc0ff47808bdc09d5ed71dadd9ac8d92aeac7a56972c58e697a61c69f0",
        },
    }


def test_with_hashing_on_nothing_plain_is_left_in_the_record() -> None:
    made = record_of(read(FULL))
    sealed = bytes.fromhex(made.pop("sealed").removeprefix("\\x"))
    assert b"Canary" not in sealed  # short words are not looked for: random bytes, and digits of their hex, hold them
    record = orjson.dumps(made).decode().casefold()
    plain = ("jane", "news@", "gmail", "6505550123", "555-0123", "canary", "1990-02-16", "california", "94107")
    assert [word for word in plain if word in record] == []


PERSONAL = draft(
    event_source_url="https://shop.example.com/t?order=1&email=jane%40canary.example",
    custom_data={"value": 5, "properties": {"customer_email": "jane@canary.example", "colour": "red"}},
)


def test_with_hashing_on_personal_data_in_plain_text_is_not_kept_either() -> None:
    record = record_of(read(PERSONAL))
    assert record["event_source_url"] == "https://shop.example.com/t?order=1"
    assert orjson.loads(orjson.dumps(record["custom_data"]))["properties"] == {"colour": "red"}
    assert "canary" not in orjson.dumps(record).decode()
    assert record_of(read(PERSONAL), hashing=False)["event_source_url"] == PERSONAL["event_source_url"]


@pytest.mark.parametrize("at", ["&#64;", "&commat;", "&amp;#x40;", r"\u0040", "%26%2364%3B"])
def test_an_address_that_was_escaped_is_not_kept_either(at: str) -> None:
    address = f"jane{at}canary.example"
    found = read(
        draft(
            event_source_url=f"https://shop.example.com/t?order=1&e={address}",
            custom_data={"value": 5, "properties": {"note": address, "colour": "red"}},
        )
    )
    record = record_of(found)
    assert record["event_source_url"] == "https://shop.example.com/t?order=1"
    assert "canary" not in orjson.dumps(record).decode()


@HASHING
def test_a_repeat_with_personal_data_in_plain_text_is_the_same_content(hashing: bool) -> None:
    assert differing(PERSONAL, copy.deepcopy(PERSONAL), hashing=hashing) == []
    other = changed(PERSONAL, "custom_data.properties.colour", "blue")
    assert differing(PERSONAL, other, hashing=hashing) == ["custom_data.properties"]


def test_with_hashing_off_everything_is_plain() -> None:
    record = record_of(read(FULL), hashing=False)
    assert record["user_data"] == PERSON
    assert (record["digests"], record["sealed"]) == (None, None)


def test_a_digest_that_was_made_here_is_told_from_one_that_came() -> None:
    record = record_of(read(draft(user_data={"email": "jane@example.com"})))
    assert record["user_data"] == {"email": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"}
    digest = record["user_data"]["email"]
    assert (record["digests"], record["sealed"]) == ({"email": {"basic": digest}}, None)
    came = record_of(read(draft(user_data={"email": digest})))
    assert (came["user_data"], came["digests"]) == ({"email": digest}, None)


@HASHING
def test_a_digest_of_the_sender_is_kept_in_lower_case(hashing: bool) -> None:
    record = record_of(read(draft(user_data={"email": "A0" * 32, "phone": f" {'B1' * 32} "})), hashing=hashing)
    assert record["user_data"] == {"email": "a0" * 32, "phone": "b1" * 32}
    assert record["digests"] is None


def test_what_is_no_address_is_kept_as_its_digest_alone_and_given_to_nobody() -> None:
    event = read(draft(user_data={"email": "Jane at home", "phone": "my phone"}))
    record = record_of(event)
    assert record["user_data"] == {"email": sha256_hex("jane at home"), "phone": sha256_hex("my phone")}
    person = to_event(row_of(event), SEALER).user_data
    assert person.email is not None
    assert person.phone is not None
    assert [person.email.email_sha256(rule) for rule in ("basic", "google", "alphanumeric")] == [None, None, None]
    assert [person.phone.phone_sha256(rule, "US") for rule in ("digits", "e164")] == [None, None]


def test_further_emails_and_phones_are_kept_as_the_first_ones_are() -> None:
    event = read(draft(user_data=FURTHER))
    record = record_of(event, countries=frozenset())
    news, berlin, london = "news@example.com", "+4930901820", "+442079460958"
    assert record["user_data"]["emails"] == [sha256_hex(news), "a0" * 32]
    assert record["digests"]["emails"] == [{"basic": sha256_hex(news)}, None]
    assert record["user_data"]["phones"] == [sha256_hex(berlin[1:]), sha256_hex(london[1:])]
    stored = to_event(row_of(event, countries=frozenset()), SEALER).user_data
    assert [one.email_sha256("google") for one in stored.all_emails] == [sha256_hex(news), "a0" * 32]
    assert [one.phone_sha256("e164", None) for one in stored.all_phones] == [sha256_hex(berlin), sha256_hex(london)]
    assert record_of(event, hashing=False)["user_data"] == {**FURTHER, "emails": ["News@Example.com", "a0" * 32]}


def test_a_phone_that_is_none_in_the_persons_country_is_kept_and_not_sent() -> None:
    event, german = read(draft(user_data={"phone": "555-0132", "country": "US"})), frozenset({"DE"})
    record = record_of(event, countries=german)
    assert record["user_data"]["phone"] == sha256_hex("555-0132")
    assert set(record["digests"]["phone"]) == {"unsent_digits:DE", "unsent_e164:DE"}
    row = row_of(event, countries=german)
    phone = to_event(row, SEALER).user_data.phone
    assert phone is not None
    assert [phone.phone_sha256(rule, "DE") for rule in ("digits", "e164")] == [None, None]
    assert differences(row, event, SEALER, german) == []
    before = row_of(read(draft(user_data={"phone": "555-0132"})), countries=german)  # as versions read it that guessed
    again = read(draft(user_data={"phone": "555 0132", "country": "US"}))
    assert ("user_data", "phone") not in differences(before, again, SEALER, german)


@HASHING
def test_a_national_phone_beside_a_country_that_cannot_be_read_is_kept_and_not_sent(hashing: bool) -> None:
    event, german = read(draft(user_data={"phone": "0664 1234567", "country": "Atlantis"})), frozenset({"DE"})
    phone = to_event(row_of(event, hashing=hashing, countries=german), SEALER).user_data.phone
    assert phone is not None
    assert [phone.phone_sha256(rule, one) for rule in ("digits", "e164") for one in ("DE", None)] == [None] * 4
    asked = tokens_of_phone("+49 664 1234567", german)  # as which versions before sent it
    record = record_of(event, hashing=hashing, countries=german)
    assert tokens_of_event(record["user_data"], record["digests"], german) & (asked | maybe(asked))


def test_a_national_phone_is_kept_for_every_country_of_the_merchants_destinations() -> None:
    event = read(draft(user_data={"phone": "(650) 555-0123"}))
    record = record_of(event, countries=frozenset({"DE", "US"}))
    assert set(record["digests"]["phone"]) == {"digits:DE", "digits:US", "e164:DE", "e164:US"}
    phone = to_event(row_of(event, countries=frozenset({"DE", "US"})), SEALER).user_data.phone
    assert phone is not None
    assert phone.phone_sha256("digits", "US") == "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec"
    assert phone.phone_sha256("digits", "DE") == sha256_hex("496505550123")
    assert phone.phone_sha256("digits", None) is None


@pytest.mark.parametrize("name", SEALED_FIELDS)
def test_each_direct_identifier_is_sealed_and_opened_alone(name: str) -> None:
    event = read(draft(user_data={name: "Canary 7"}))
    record = record_of(event)
    assert record["user_data"] == {name: "••••"}
    assert "Canary" not in orjson.dumps(record).decode()
    assert getattr(to_event(row_of(event), SEALER).user_data, name) == "Canary 7"


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param({"event_id": "order_2"}, id="to another event"),
        pytest.param({"merchant_id": 2}, id="to another merchant"),
    ],
)
def test_sealed_identifiers_open_in_their_own_row_only(moved: dict[str, Any]) -> None:
    row = row_of(read(FULL))
    values = {name: getattr(row, name) for name in EventRow.__slots__}
    with pytest.raises(SealError):
        to_event(EventRow(**{**values, **moved}), SEALER)


def test_a_row_of_a_rotated_key_opens_and_of_a_lost_key_does_not() -> None:
    row = row_of(read(FULL))
    new = "a new secret key for tests, forty charact"
    rotated = Sealer([new, "a secret key for tests, forty characters"])
    assert mapped(to_event(row, rotated)) == mapped(read(FULL))
    with pytest.raises(SealError):
        to_event(row, Sealer([new]))


def test_consent_that_says_nothing_takes_no_room() -> None:
    assert record_of(read(draft()))["consent"] is None
    assert record_of(read(draft(consent={"ad_user_data": "unspecified"})))["consent"] is None
    assert record_of(read(draft(consent={"limited_data_use": True})))["consent"] == {
        "ad_user_data": "unspecified",
        "ad_personalization": "unspecified",
        "limited_data_use": True,
    }


def test_denied_consent_is_still_denied_after_storing() -> None:
    stored = to_event(row_of(read(draft(consent={"ad_user_data": "denied"}))), SEALER)
    assert isinstance(mapper_for("meta").map_event(stored, {"pixel_id": "1"}, NOW), Refused)


# Differences -------------------------------------------------------------------------------------------------------


def differing(first: dict[str, Any], repeat: dict[str, Any], *, hashing: bool = True) -> list[str]:
    row = row_of(read(first), hashing=hashing)
    return [".".join(path) for path in differences(row, read(repeat), SEALER, US)]


@HASHING
@pytest.mark.parametrize("given", EVENTS)
def test_the_same_event_again_differs_in_nothing(given: dict[str, Any], hashing: bool) -> None:
    assert differing(given, copy.deepcopy(given), hashing=hashing) == []


def test_a_time_that_was_read_back_to_the_millisecond_is_the_same_time() -> None:
    stored = changed(FULL, "occurred_at", "2026-11-20T10:00:00.393942Z")
    assert differing(stored, changed(FULL, "occurred_at", "2026-11-20T10:00:00.393Z")) == []
    assert differing(stored, changed(FULL, "occurred_at", "2026-11-20T10:00:00.394Z")) == ["occurred_at"]


HASHED = {
    "email": "F41439C944A763C9812D700A779941CEC169DE13C9CCD13AAF9424BA5231620A",
    "phone": "26cb4f0c031f8e3956a484b9af6e06210874c4f08470f03f4f8a4d411da745ec",
    "first_name": sha256_hex("janecanary"),
    "last_name": sha256_hex("oneilcanary").upper(),
    "date_of_birth": sha256_hex("19900216"),
    "gender": sha256_hex("f"),
    "street": sha256_hex("123 canary st."),
    "city": sha256_hex("sancanary"),
    "state": sha256_hex("ca"),
    "zip": sha256_hex("94107"),
}


@HASHING
@pytest.mark.parametrize("name", HASHED)
def test_a_plain_and_a_hashed_repeat_are_the_same_content(name: str, hashing: bool) -> None:
    repeat = changed(FULL, f"user_data.{name}", HASHED[name])
    assert differing(FULL, repeat, hashing=hashing) == []
    assert differing(repeat, FULL, hashing=hashing) == []


@HASHING
@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("user_data.email", " JANE.DOE+news@gmail.com", id="an email in capitals"),
        pytest.param(
            "user_data.email", sha256_hex("janedoe@gmail.com"), id="an email hashed by another platform's rule"
        ),
        pytest.param("user_data.phone", "001 650-555-0123", id="a phone with 00"),
        pytest.param("user_data.phone", "(650) 555 0123", id="a national phone"),
        pytest.param("user_data.phone", sha256_hex("+16505550123"), id="a phone hashed with its plus"),
        pytest.param("user_data.first_name", "jane canary", id="a name in lower case"),
        pytest.param("user_data.date_of_birth", "19900216", id="a date without hyphens"),
        pytest.param("user_data.city", "san-canary", id="a city with a hyphen"),
        pytest.param("user_data.zip", "94107", id="a zip of five digits"),
        pytest.param("user_data.gender", "f", id="a gender in lower case"),
        pytest.param("occurred_at", "2026-11-20T15:59:00.000+01:00", id="a time in another offset"),
        pytest.param("custom_data.currency", "USD", id="a currency in capitals"),
        pytest.param("custom_data.value", 129.9, id="money as a number"),
        pytest.param("custom_data.value", "129.900", id="money with zeros"),
        pytest.param("custom_data.predicted_ltv", "500.00", id="a whole number with zeros"),
        pytest.param("custom_data.predicted_ltv", "5E+2", id="a whole number with an exponent"),
        pytest.param("consent.ad_personalization", "unspecified", id="a consent that says nothing"),
        pytest.param("action_source", "website", id="a default said aloud"),
    ],
)
def test_another_spelling_is_the_same_content(path: str, value: Any, hashing: bool) -> None:
    assert differing(FULL, changed(FULL, path, value), hashing=hashing) == []


def test_ten_and_ten_point_nought_are_one_amount() -> None:
    spellings: list[Any] = [10, 10.0, "10", "10.0", "10.00", "1E+1", Decimal("10.000")]
    for first in spellings:
        for second in spellings:
            assert differing(draft(custom_data={"value": first}), draft(custom_data={"value": second})) == []


def test_the_order_of_keys_does_not_matter() -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert list(turned(FULL)) != list(FULL)
    assert differing(FULL, turned(FULL)) == []


@HASHING
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("occurred_at", "2026-11-20T14:58:59.999Z"),
        ("action_source", "app"),
        ("event_source_url", "https://shop.example.com/other"),
        ("event_source_url", ...),
        ("user_data.email", "somebody@else.example"),
        ("user_data.email", "b" * 64),
        ("user_data.email", ...),
        ("user_data.phone", "+44 20 7946 0958"),
        ("user_data.phone", ...),
        ("user_data.first_name", "John"),
        ("user_data.last_name", "c" * 64),
        ("user_data.date_of_birth", "1990-02-17"),
        ("user_data.gender", "m"),
        ("user_data.street", "124 Canary St."),
        ("user_data.city", "Oakland"),
        ("user_data.state", "Nevada"),
        ("user_data.zip", "94108"),
        ("user_data.zip", ...),
        ("user_data.country", "CA"),
        ("user_data.external_id", "Cust-7782"),
        ("user_data.client_ip", "203.0.113.43"),
        ("user_data.client_user_agent", "curl/8"),
        ("user_data.fbp", "fb.1.1596403881668.1116446471"),
        ("user_data.fbc", ...),
        ("user_data.gclid", "new"),
        ("custom_data.value", "129.91"),
        ("custom_data.value", ...),
        ("custom_data.currency", "EUR"),
        ("custom_data.order_id", "order_2"),
        ("custom_data.product_ids", ["sku_2", "sku_1"]),
        ("custom_data.contents", [{"id": "sku_1", "quantity": 3, "item_price": 39.95, "title": "T"}, {"id": "sku_2"}]),
        ("custom_data.num_items", 4),
        ("custom_data.content_name", "new"),
        ("custom_data.predicted_ltv", 501),
        ("custom_data.properties", {"colour": "blue", "score": 0.1, "member": True, "nothing": None}),
        ("consent.ad_user_data", "denied"),
        ("consent.ad_personalization", "denied"),
        ("consent.limited_data_use", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_field_that_differs_is_named(path: str, value: Any, hashing: bool) -> None:
    assert differing(FULL, changed(FULL, path, value), hashing=hashing) == [path]


def test_one_address_more_is_a_difference_and_not_an_error() -> None:
    given = draft(user_data={"emails": ["jane@shop.example"], "phones": ["+15550100001"]})
    more = {"emails": ["jane@shop.example", "john@shop.example"], "phones": ["+15550100001", "+15550100002"]}
    assert differing(given, draft(user_data=more)) == ["user_data.emails", "user_data.phones"]


def test_of_who_is_left_alone_no_id_of_a_device_is_kept_and_nothing_is_agreed_to() -> None:
    ids = {
        "advertising_id": "3f2b8c1d-9e7a-4f60-b5c2-d1e8a9f07b34",
        "vendor_id": "8f2b8c1d-9e7a-4f60-b5c2-d1e8a9f07b34",
    }
    event = read(
        {
            **draft(user_data={"email": "jane@shop.example"}),
            "action_source": "app",
            "device": {"os": "iOS", "os_version": "18.5", "app_id": "com.example.shop", "model": "iPhone17,1", **ids},
            "consent": {"ad_user_data": "granted", "ad_personalization": "granted"},
        }
    )
    record = record_of(event)
    assert ids.items() <= record["device"].items()
    kept = without_person(record, event)
    assert set(kept["device"]) == set(record["device"]) - set(ids)
    assert (kept["consent"]["ad_user_data"], kept["consent"]["ad_personalization"]) == ("denied", "denied")


def test_every_field_that_differs_is_named() -> None:
    repeat = draft(
        occurred_at="2026-11-20T14:00:00Z",
        user_data={**PERSON, "email": "x@y.de", "city": "Oakland", "client_ip": "203.0.113.1"},
        custom_data={**BASKET, "value": 1, "properties": {}},
    )
    assert sorted(differing(FULL, repeat)) == [
        "consent.ad_user_data",
        "consent.limited_data_use",
        "custom_data.properties",
        "custom_data.value",
        "occurred_at",
        "user_data.city",
        "user_data.client_ip",
        "user_data.email",
    ]


@HASHING
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("jane.doe@example.com", "janedoe@example.com"),
        ("jane@example.com", "jane+news@example.com"),
        ("+one@example.com", "...@other.example"),
    ],
)
def test_addresses_that_only_some_platform_reads_alike_are_two(first: str, second: str, hashing: bool) -> None:
    one, other = draft(user_data={"email": first}), draft(user_data={"email": second})
    assert differing(one, other, hashing=hashing) == ["user_data.email"]


@HASHING
def test_unusable_identifiers_are_compared_as_text(hashing: bool) -> None:
    first = draft(user_data={"email": "at home", "phone": "none", "zip": "--", "external_id": "x"})
    other = draft(user_data={"email": "at work", "phone": "some", "zip": "++", "external_id": "x"})
    assert differing(first, copy.deepcopy(first), hashing=hashing) == []
    assert differing(first, other, hashing=hashing) == ["user_data.email", "user_data.phone", "user_data.zip"]
