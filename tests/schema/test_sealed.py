"""What is kept sealed is seen by nobody, whatever field one reads and whatever a platform makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from graphql import GraphQLInterfaceType, GraphQLList, GraphQLNonNull, GraphQLObjectType, is_leaf_type

from tests.factories import AGENT, Api, Merchant, camel, draft, new_merchant
from tests.platform_server import Platform, answered
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.events import EventRow, events_by_id
from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.normalise import sha256_hex
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import Mapped
from tracklayer.runtime import Runtime
from tracklayer.schema import schema
from tracklayer.services.alert import settle_findings
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, example_settings, set_destination
from tracklayer.services.ingest import ingest_events
from tracklayer.services.payload import payload_of, without_sealed
from tracklayer.services.persist import SEALED_FIELDS, to_event

HIDDEN = "••••"
# Well-formed, so that platforms take them; free text that they can only hash or drop; and hashed by the merchant.
PEOPLE: dict[str, dict[str, str]] = {
    "order_1": {
        "first_name": "Canarina",
        "last_name": "O'Canary-Finch",
        "date_of_birth": "1957-09-13",
        "gender": "Female",
        "street": "77 Canary Wharf",
        "job_title": "Canary Keeper",
        "company_name": "Canary Works",
        "city": "Saint Canary",
        "state": "VT",
        "zip": "05483-7719",
    },
    "order_2": {
        "first_name": "Canarillo",
        "last_name": "Canaropoulos",
        "date_of_birth": "13.09.1957",
        "gender": "canarish",
        "street": "Canary Row",
        "job_title": "Canary Singer",
        "company_name": "Canary Choir",
        "city": "Canarytown",
        "state": "Canarashire",
        "zip": "CNR 4471",
    },
}
PEOPLE["order_3"] = {name: sha256_hex(value.lower()) for name, value in PEOPLE["order_1"].items()}
# An alternative to each, to see which parts of a body come from it: nothing of them is known to the service.
OTHERS = {
    "first_name": "Wilhelmina",
    "last_name": "Quist",
    "date_of_birth": "2001-05-30",
    "gender": "male",
    "street": "4 Elm Street",
    "job_title": "Baker",
    "company_name": "Elm Bakery",
    "city": "Tulsa",
    "state": "OK",
    "zip": "74103",
}
OPEN = {
    "email": "jane@example.com",
    "phone": "+1 650 555 0123",
    "country": "US",
    "external_id": "customer-42",
    "client_ip": "203.0.113.42",
    "client_user_agent": AGENT,
    "fbclid": "IwAR0AbCdEf_GhI-jKl",
    "ttclid": "E.C.P.abc123",
    "gclid": "Cj0KCQiA-abc_123",
    "ga_client_id": "1234567890.1713877200",
    "epik": "dj0yJnU9abc",
    "sc_click_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
    "li_fat_id": "0dc7a3e4-8bd5-4b2e-9d4f-1b3a5c7e9f01",
    "rdt_cid": "4783925710582634112",
    "msclkid": "0123456789abcdef0123456789abcdef",
    "twclid": "26l6412g5p4iyj65a2oic2ayg2",
}


def order(event_id: str, **open_fields: Any) -> dict[str, Any]:
    user_data = {**OPEN, **open_fields, **PEOPLE[event_id]}
    granted = {"ad_user_data": "granted", "ad_personalization": "granted"}
    given = {name: value for name, value in user_data.items() if value is not None}
    custom_data = {"value": 129.99, "currency": "USD", "order_id": event_id}
    return draft(event_id, user_data=given, custom_data=custom_data, consent=granted)


def settings_of(platform: str) -> dict[str, Any]:
    """As many as possible: what they allow to be sent is sent."""
    examples = {s.name: s.example for s in mapper_for(platform).settings if s.example is not None}
    return examples if platform != "google_ads" else example_settings(mapper_for(platform))


def everywhere(runtime: Runtime, merchant: Merchant) -> None:
    for platform in PLATFORMS:
        changed = set_destination(runtime, merchant.merchant_id, platform, settings_of(platform), None)
        assert isinstance(changed, Changed), changed


def stored(merchant: Merchant, event_id: str) -> EventRow:
    with in_transaction():
        return events_by_id(merchant.merchant_id, [event_id])[event_id]


def leaves(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from leaves(value, (*path, key))
    elif isinstance(found, list | tuple):
        for place, value in enumerate(found):
            yield from leaves(value, (*path, place))
    else:
        yield path, found


def body_of(runtime: Runtime, platform: str, event: Any) -> Any:
    """What the platform is sent."""
    mapper, settings = mapper_for(platform), settings_of(platform)
    mapped = mapper.map_event(event, settings, runtime.clock.now())
    assert isinstance(mapped, Mapped), mapped
    return mapper.build_request(mapped.group, [mapped.item], settings).body


def sealed_leaves(runtime: Runtime, platform: str, row: EventRow, event_id: str) -> dict[tuple[Any, ...], Any]:
    """Path -> value of what a platform is sent of sealed fields, found by sending it another person's."""
    event = to_event(row, runtime.sealer)
    others = {n: sha256_hex(OTHERS[n]) if event_id == "order_3" else OTHERS[n] for n in SEALED_FIELDS}
    other = replace(event, user_data=replace(event.user_data, **others))  # type: ignore[arg-type]
    theirs = dict(leaves(body_of(runtime, platform, other)))
    return {p: v for p, v in leaves(body_of(runtime, platform, event)) if theirs.get(p, object()) != v}


def canaries(runtime: Runtime, merchant: Merchant) -> set[str]:
    """Every spelling in which a sealed value could be met: as sent, in lower case, squeezed, hashed, as platforms do."""
    found = set()
    for event_id, person in PEOPLE.items():
        row = stored(merchant, event_id)
        for name, value in person.items():
            squeezed = "".join(c for c in value if c.isalnum())
            spelt = {value, value.lower(), value.upper(), squeezed, squeezed.lower()}
            for platform in PLATFORMS:
                rule = mapper_for(platform).normalise.get(name)
                out = rule(value, settings_of(platform)) if rule is not None else None
                spelt |= {out} if out else set()
            found |= spelt | {sha256_hex(text) for text in spelt}
        for platform in PLATFORMS:
            found |= {str(value) for value in sealed_leaves(runtime, platform, row, event_id).values()}
    # "f", "vt" and parts of a date stand in anything: those are held against each place by the other test.
    return {text for text in found if len(text) > 4}


ARGUMENTS: dict[str, str] = {
    "Query.node(id)": "$id",
    "Query.nodes(ids)": "[$id]",
    "Query.alertChart(id)": "$id",
    "Query.event(eventId)": '"order_1"',
    "Query.ledger(since)": '"2026-11-20T14:00:00Z"',
    "Query.ledger(until)": '"2026-11-20T16:00:00Z"',
    "Query.coverage(since)": '"2026-11-20T14:00:00Z"',
    "Query.coverage(until)": '"2026-11-20T16:00:00Z"',
    "Query.rejections(since)": '"2026-11-20T14:00:00Z"',
    "Query.rejections(until)": '"2026-11-20T16:00:00Z"',
    "Query.preview(input)": "$input",
    "Query.preview(platform)": "META",
    "Mutation.ingestEvent(input)": "$input",
    "Merchant.retentionPreview(retentionDays)": "DAYS_30",
    "Event.preview(platform)": "META",
}


def documents() -> Iterator[tuple[str, str]]:
    """(root field, a document with every field below it); one for each kind of node where there are several.

    A field that is added later is read by itself; one with a required argument asks for a line above.
    """
    queries, mutations = schema._schema.query_type, schema._schema.mutation_type
    assert queries is not None
    assert mutations is not None
    for operation, root, name in (
        *(("query", queries, name) for name in queries.fields),
        ("mutation", mutations, "ingestEvent"),
    ):
        type_ = _bare(root.fields[name].type)
        if isinstance(type_, GraphQLInterfaceType):
            kinds = schema._schema.get_possible_types(type_)
            bodies = [f"{{ ... on {kind.name} {selection(kind, (root.name,))} }}" for kind in kinds]
        else:
            bodies = [selection(type_, (root.name,))]
        for body in bodies:
            text = f"{name}{arguments(root, name)} {body}"
            declared = ", ".join(
                f"${n}: {t}" for n, t in (("id", "ID!"), ("input", "IngestEventInput!")) if f"${n}" in text
            )
            yield name, f"{operation}{f'({declared})' if declared else ''} {{ {text} }}"


def selection(type_: Any, path: tuple[str, ...]) -> str:
    """Every field of a type, and below them whatever is not on the way to it already."""
    if is_leaf_type(type_):
        return ""
    assert isinstance(type_, GraphQLObjectType)
    parts = ["__typename"]
    for name, found in type_.fields.items():
        inner = _bare(found.type)
        if name == "nodes":  # the very objects of the edges: all of both at once would be too costly
            parts.append("nodes { __typename }")
        elif name == "preview" and ("Alert" in path or len(path) > 3):
            continue  # dear; of an event, and of its deliveries, they are read
        elif name in ("openAlerts", "answers") and "Merchant" in path:
            # So with those of all destinations; of one they are read.
            parts.append(f"{name}{arguments(type_, name)} {{ __typename }}")
        elif inner.name not in path:
            parts.append(f"{name}{arguments(type_, name)} {selection(inner, (*path, type_.name))}")
    return "{ " + " ".join(parts) + " }"


def arguments(parent: GraphQLObjectType, name: str) -> str:
    taken = parent.fields[name].args
    given = [
        f"{key}: {ARGUMENTS[f'{parent.name}.{name}({key})']}"
        for key, argument in taken.items()
        if isinstance(argument.type, GraphQLNonNull)
    ]
    given += ["first: 3"] if "first" in taken else []
    return f"({', '.join(given)})" if given else ""


def _bare(type_: Any) -> Any:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return type_


async def read_everything(api: Api, repeat: dict[str, Any]) -> dict[str, str]:
    """Root field -> what was answered, as text."""
    answers: dict[str, str] = {}
    nodes = await _nodes(api)
    for name, document in documents():
        variables: dict[str, Any] = {"input": camel(repeat)} if "$input" in document else {}
        for given in [{"id": node} for node in nodes] if "$id" in document else [{}]:
            answers[name] = answers.get(name, "") + orjson.dumps(await api(document, **variables, **given)).decode()
    return answers


async def _nodes(api: Api) -> list[str]:
    found = await api(
        """{ events { edges { node { id deliveries { id } } } } alerts { edges { node { id } } }
             merchant { id destinations { id } apiKeys { id } } }"""
    )
    nodes = [edge["node"] for edge in (*found["events"]["edges"], *found["alerts"]["edges"])]
    nodes += [delivery for node in nodes for delivery in node.get("deliveries", ())]
    nodes += [found["merchant"], *found["merchant"]["destinations"], *found["merchant"]["apiKeys"]]
    return [node["id"] for node in nodes]


@pytest.fixture
def unlimited(runtime: Runtime) -> None:
    """An API, asked for after this, of which one may read all there is at once."""
    runtime.settings = replace(runtime.settings, read_cost_per_second=0)


async def test_no_field_of_the_schema_shows_what_is_sealed(
    unlimited: None,
    api: Api,
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    everywhere(runtime, merchant)
    ingest_events(runtime, merchant.holder, [order(event_id) for event_id in PEOPLE])
    details = Finding(AlertKind.PLATFORM_DOWN, "meta", Severity.CRITICAL, "Down", "It is.", clock.now(), {})
    settle_findings(runtime, merchant.merchant_id, [details], [], clock.now())
    for platform in PLATFORMS:
        while deliver_due(runtime, worker, merchant.merchant_id, platform):
            pass
    # A repeat with nobody's data: what is answered about it is of the event that is stored.
    answers = await read_everything(api, draft("order_1", user_data={"email": "jane@example.com"}))
    assert '"payload":null' not in answers["events"]
    assert answers["events"].count('"payload":') > len(PLATFORMS) * len(PEOPLE)
    assert answers["ingestEvent"].count(HIDDEN) > len(PLATFORMS)
    searched = canaries(runtime, merchant)
    assert len(searched) > 100
    seen = {name: {text for text in searched if text in answer} for name, answer in answers.items()}
    assert {name: found for name, found in seen.items() if found} == {}
    assert [text for text in searched if text in caplog.text] == []


@pytest.mark.parametrize("event_id", PEOPLE)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("is_known", [True, False], ids=["known by address too", "known by name alone"])
def test_of_a_payload_only_what_is_sealed_is_covered(
    runtime: Runtime, merchant: Merchant, platform: str, event_id: str, is_known: bool
) -> None:
    everywhere(runtime, merchant)
    unknown = {} if is_known else dict.fromkeys(OPEN.keys() - {"country"})
    ingest_events(runtime, merchant.holder, [order(event_id, **unknown)])
    row = stored(merchant, event_id)
    mapper, settings, now = mapper_for(platform), settings_of(platform), runtime.clock.now()
    mapped = mapper.map_event(to_event(row, runtime.sealer), settings, now)
    shown = payload_of(row, mapper, settings, now, runtime.sealer)
    if not isinstance(mapped, Mapped):
        assert shown is None
        assert not is_known
        return
    sent = dict(leaves(body_of(runtime, platform, to_event(row, runtime.sealer))))
    covered = {path for path, value in leaves(shown) if value == HIDDEN}
    assert {path: value for path, value in leaves(shown) if path not in covered} == {
        path: value for path, value in sent.items() if path not in covered
    }
    sealed = sealed_leaves(runtime, platform, row, event_id)
    assert sealed.keys() <= covered
    # Beyond it only what is sent beside a name or address, and would not be without one.
    beside = {sent[path] for path in covered - sealed.keys()}
    assert beside <= {"US", "us", sha256_hex("us")}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_with_hashing_off_nothing_is_sealed_and_all_is_shown(runtime: Runtime, platform: str) -> None:
    merchant = new_merchant(runtime, hashing=False)
    everywhere(runtime, merchant)
    ingest_events(runtime, merchant.holder, [order("order_1")])
    row = stored(merchant, "order_1")
    shown = payload_of(row, mapper_for(platform), settings_of(platform), runtime.clock.now(), runtime.sealer)
    assert shown == body_of(runtime, platform, to_event(row, runtime.sealer))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platforms_words_are_told_without_what_they_quote(
    runtime: Runtime, merchant: Merchant, platform: str
) -> None:
    everywhere(runtime, merchant)
    ingest_events(runtime, merchant.holder, [order("order_1"), order("order_2")])
    mapper, settings, now = mapper_for(platform), settings_of(platform), runtime.clock.now()
    sent: list[Any] = []
    quotable: set[str] = set()
    for event_id in ("order_1", "order_2"):
        row = stored(merchant, event_id)
        mapped = mapper.map_event(to_event(row, runtime.sealer), settings, now)
        assert isinstance(mapped, Mapped)
        sent.append((row, mapped.item))
        quotable |= {str(value) for value in sealed_leaves(runtime, platform, row, event_id).values()}
    for text in quotable:
        for spelt in {text, text.upper() if len(text) > 3 else text}:
            words = f"Invalid value '{spelt}' of Purchase in USD"
            told = without_sealed(words, sent, mapper, settings, now, runtime.sealer)
            assert told == "Invalid value '…' of Purchase in USD"
    assert without_sealed("Purchase in USD", sent, mapper, settings, now, runtime.sealer) == "Purchase in USD"


def test_an_answer_that_quotes_names_is_stored_and_logged_without_them(
    runtime: Runtime, merchant: Merchant, worker: int, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Platform()
    runtime.settings = replace(runtime.settings, sandbox_url=platform.url)
    try:
        set_destination(runtime, merchant.merchant_id, "tiktok", settings_of("tiktok"))
        city = "saintcanary"
        platform.answer = answered(200, orjson.dumps({"code": 40002, "message": f"city '{city}' in USD is unknown"}))
        ingest_events(runtime, merchant.holder, [order("order_1")])
        deliver_due(runtime, worker, merchant.merchant_id, "tiktok")
    finally:
        platform.close()
    assert city in platform.received[0].body.decode()
    with in_transaction():
        ((error, log),) = rows(
            "SELECT last_error, attempt_log::text FROM deliveries WHERE platform = 'tiktok' AND last_error IS NOT NULL"
        )
    assert error == "200 city '…' in USD is unknown"
    assert city not in log
    assert city not in caplog.text
