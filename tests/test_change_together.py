"""Places that must change together, and that nothing else holds together: whoever adds a word is told where else it belongs."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import tracklayer
from tracklayer.db import deliveries
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.deliveries import DeliveryRow
from tracklayer.db.queues import REQUEUE
from tracklayer.db.settling import SETTLE, _record
from tracklayer.db.traces import PLACES as MENTIONS
from tracklayer.domain.advice import AdviceCode
from tracklayer.domain.alert import QUIET, AlertKind, Severity
from tracklayer.domain.alert_chart import ChartUnit, SeriesRole
from tracklayer.domain.channel import ChannelKind, EventTopic
from tracklayer.domain.delivery import (
    AttemptOutcome,
    DeliveryKey,
    DeliveryStatus,
    DestinationState,
    DropReason,
    Settlement,
)
from tracklayer.domain.event import (
    AMOUNTS,
    CONTENT_FIELDS,
    CUSTOM_FIELDS,
    LINE_AMOUNTS,
    LINE_TEXTS,
    MATCHABLE_LISTS,
    TEXT_FIELDS,
    USER_FIELDS,
    Content,
    CustomData,
    Device,
    UserData,
)
from tracklayer.domain.event_contacts import PERSON_WITHOUT_CONTACT
from tracklayer.domain.facts import FACTS, NO_IDENTIFIERS
from tracklayer.domain.identifiers import WORDS
from tracklayer.domain.read_event import _CUSTOM_READERS
from tracklayer.domain.standing import GivenUpBy
from tracklayer.domain.stitching import Note
from tracklayer.schema import enums, inputs, types
from tracklayer.services import alert_chart
from tracklayer.services.merchants import RETENTION_DAYS
from tracklayer.services.payload import _OTHERS
from tracklayer.services.persist import _COMPARED_BY, SEALED_FIELDS
from tracklayer.services.watches.gathering import BY_NAME, WHOLE

HOUSE = Path(tracklayer.__file__).parent
ALERTS_GUIDE = (HOUSE / "web" / "docs" / "alerts.md").read_text("utf-8")
# What of a person is stored, and shown to whoever may read, as it was sent. A field that is new is either here, because it
# says nothing of who somebody is, or sealed (services/persist.py).
MAY_BE_PLAIN = {
    "country",
    "external_id",
    "client_ip",
    "client_user_agent",
    "browser_id",
    "fbp",
    "fbc",
    "fbclid",
    "ttp",
    "ttclid",
    "gclid",
    "gbraid",
    "wbraid",
    "ga_client_id",
    "ga_session_id",
    "epik",
    "sc_click_id",
    "sc_cookie1",
    "li_fat_id",
    "rdt_cid",
    "rdt_uuid",
    "msclkid",
    "twclid",
    "lead_id",
}
# Hashed before they leave, of a form that is checked, or looked at by themselves.
NO_PLACE_OF_A_CONTACT = {
    *(
        "first_name",
        "last_name",
        "date_of_birth",
        "gender",
        "street",
        "country",
        "client_ip",
        "browser_id",
        "external_id",
    ),
}
HASHED = {"email", "phone", "emails", "phones"}
# Places in stored numbers: one that moved would have all that was counted before say something else.
PLACES = (
    "email phone first_name last_name date_of_birth gender street city state zip country external_id client_ip "
    "client_user_agent browser_id fbp fbc fbclid ttp ttclid gclid gbraid wbraid ga_client_id ga_session_id epik sc_click_id "
    "sc_cookie1 li_fat_id rdt_cid rdt_uuid msclkid twclid lead_id job_title company_name event_source_url value currency "
    "contents order_id consent_denied ahead late zero_value"
).split()
# Gone with their event, or with the worker that has it in hand.
OF_AN_EVENT = {"events", "deliveries", "differing_repeats", "enrichments", "claims"}
# Words of ours, of a platform's key, and names that a merchant gives to kinds of events: of whatever table.
NO_ID_OF_AN_EVENT = set(
    "platform event_name status state severity min_severity kind stage code field drop_reasons".split()
)
# What else is text, or a list or an object with texts, and names no event. A column that may is put in db/traces.py.
NAMES_NO_EVENT = {
    "alert_channels": {"shown", "topics"},
    "alert_mails": {"recipient", "last_error"},  # kinds of errors, and codes of the server
    "api_keys": {"name", "prefix", "scopes"},
    "baselines": {"learned"},
    "browser_people": {"browser_id", "digest", "digests"},
    "browser_signals": {"browser_id", "value"},
    "browsers": {"browser_id", "consent"},
    "channel_messages": {"type", "uid"},
    "coverage": {"action_source", "host"},
    "coverage_baselines": {"glances", "learned"},
    "coverage_counted": {"action_source", "host"},
    "coverage_days": {"action_source", "host"},
    "destinations": {"default_country", "event_names", "setting_times", "settings"},
    "erasure_keys": {"key_id", "purpose"},
    "erasure_requests": {"requested_by"},
    "erasures": {"counts", "identifiers", "platforms", "receipt", "requested_by"},  # identifiers: keyed hashes, cut off
    "heartbeats": {"host", "instance", "role", "says", "version"},
    "merchants": {
        "alert_emails",
        "collector",
        "default_currency",
        "default_page_url",
        "name",
        "public_key",
        "require_consent",
    },
    "name_baselines": {"accepted", "rhythm"},
    "operator_alerts": {"alert_id", "message", "title"},  # figures of the installation
    "operator_messages": {"alert_id", "channel", "last_error"},
    "operator_turns": {"name"},
    "periodic_jobs": {"name"},
    "platform_health": {"address", "failing", "reason"},  # words for everybody: nothing that was said to one merchant
    "redeliveries": {"booked", "refused"},  # by platform, by reason
    "refused_worth": {"currency"},
    "rounds": {"name", "place"},  # merchants, platforms and instants
    "schema_migrations": {"name"},
}
# What of a delivery is asked for and written where it is judged, and shown to nobody.
IN_STATEMENTS_ALONE = {"drop_field", "had_outcome"}
# What a redelivery leaves as it was: what a delivery is of, when it came and waited, what the platform answered so far.
KEPT_BY_A_REDELIVERY = set(
    "merchant_id event_id platform received_at queued_at last_attempt_at delivered_at latency_ms attempt_log".split()
)


def test_a_persons_field_is_plain_hashed_or_sealed_and_each_is_written_down() -> None:
    sealed = set(SEALED_FIELDS)
    assert len(sealed) + len(MAY_BE_PLAIN) + len(HASHED) == len(USER_FIELDS)
    assert sealed | MAY_BE_PLAIN | HASHED == set(USER_FIELDS)


def test_what_is_sealed_is_compared_covered_and_read_as_a_persons_own_words() -> None:
    sealed = set(SEALED_FIELDS)
    assert set(_COMPARED_BY) == sealed
    first, second = _OTHERS
    assert set(first) == set(second) == sealed
    assert [name for name in sealed if first[name] == second[name]] == []
    assert sealed - {"zip"} == WORDS


def test_each_field_of_a_person_is_a_fact_and_no_stored_place_moves() -> None:
    assert list(FACTS[: len(PLACES)]) == PLACES
    assert set(FACTS) - NO_IDENTIFIERS == set(USER_FIELDS) - set(MATCHABLE_LISTS)
    assert set(FACTS) >= NO_IDENTIFIERS


def of_type(kind: type, *types: str) -> set[str]:
    return {one.name for one in fields(kind) if one.type in types}


def test_the_texts_and_the_amounts_of_an_event_are_all_that_it_has() -> None:
    assert set(TEXT_FIELDS) == of_type(CustomData, "str", "str | None") - {"currency"}
    assert set(LINE_TEXTS) == of_type(Content, "str", "str | None") - {"id"}
    assert set(AMOUNTS) == of_type(CustomData, "Decimal | None")
    assert set(LINE_AMOUNTS) == of_type(Content, "Decimal | None")


def test_each_field_of_custom_data_and_of_a_line_of_the_basket_is_read() -> None:
    assert set(_CUSTOM_READERS) == set(CUSTOM_FIELDS)
    assert {"id", "quantity", *LINE_AMOUNTS, *LINE_TEXTS} == set(CONTENT_FIELDS)


def test_in_each_text_of_a_person_that_leaves_in_plain_contacts_are_looked_for() -> None:
    assert set(PERSON_WITHOUT_CONTACT) == set(USER_FIELDS) - HASHED - NO_PLACE_OF_A_CONTACT


@pytest.mark.usefixtures("database")
def test_the_days_that_events_may_be_kept_for_are_the_same_for_services_the_api_and_the_table() -> None:
    with in_transaction():
        found = rows(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'merchants'::regclass AND contype = 'c' "
            "AND pg_get_constraintdef(oid) LIKE '%%retention_days%%'",
            (),
        )
    assert [sorted(map(int, re.findall(r"\d+", text))) for (text,) in found] == [sorted(RETENTION_DAYS)]
    assert [one.value for one in enums.RetentionDays] == list(RETENTION_DAYS)


def test_each_kind_of_alert_has_its_patience_its_chart_and_its_gathering() -> None:
    kinds = set(AlertKind)
    assert set(QUIET) == kinds
    assert set(alert_chart._DRAW) == kinds
    assert sorted((*BY_NAME, *WHOLE)) == sorted(kinds)


@pytest.mark.parametrize("heading", ["## The kinds", "## How it is judged"])
def test_each_kind_of_alert_has_its_line_in_the_tables_of_the_guide(heading: str) -> None:
    section = ALERTS_GUIDE.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    assert sorted(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)) == sorted(kind.name for kind in AlertKind)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        pytest.param("**Severity.**", "\n\n", id="when it is critical"),
        pytest.param("### What your own last days would have raised\n", "\n#", id="whether a backtest replays it"),
    ],
)
def test_the_guide_names_each_kind_of_alert_where_it_speaks_of_all(begins: str, ends: str) -> None:
    told = set(re.findall(r"`([A-Z_]+)`", ALERTS_GUIDE.partition(begins)[2].partition(ends)[0]))
    assert [kind.name for kind in AlertKind if kind.name not in told] == []


def test_the_guide_says_of_each_kind_of_alert_how_long_nothing_must_be_found_until_it_is_over() -> None:
    (sentence,) = re.findall(r"when nothing was found for a while: (.*?)\.\n", ALERTS_GUIDE, re.DOTALL)
    told = {kind: timedelta(minutes=1) for kind in AlertKind}
    for words, span in (("10 seconds", timedelta(seconds=10)), ("five minutes", timedelta(minutes=5))):
        (names,) = re.findall(rf"{words} for\s+((?:`[A-Z_]+`(?:,\s+|\s+and\s+)?)+)", sentence)
        told |= {AlertKind[name]: span for name in re.findall("[A-Z_]+", names)}
    assert sentence.endswith("a minute for the others")
    assert told == QUIET


@pytest.mark.parametrize(
    ("published", "ours", "besides"),
    [
        (inputs.UserDataInput, UserData, set()),
        (inputs.CustomDataInput, CustomData, set()),
        (inputs.ContentInput, Content, set()),
        (inputs.DeviceInput, Device, set()),
        (types.CustomDataNode, CustomData, {"properties"}),  # the merchant's own stand in Event.customData
        (types.ContentNode, Content, set()),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_an_event_has_can_be_given_and_read(published: type, ours: type, besides: set[str]) -> None:
    names = {one.name for one in published.__strawberry_definition__.fields}  # type: ignore[attr-defined]
    assert names == {one.name for one in fields(ours)} - besides


def test_what_is_read_of_an_event_is_what_is_stored_there() -> None:
    line = {one.name: f"a {one.name}" for one in fields(Content)}
    stored = {one.name: f"a {one.name}" for one in fields(CustomData)} | {"contents": [line]}
    node = vars(types.custom_data_node(stored))
    assert [vars(found) for found in node.pop("contents")] == [line]
    assert node == {name: value for name, value in stored.items() if name not in ("contents", "properties")}


@pytest.mark.parametrize(
    ("published", "ours"),
    [
        (enums.AlertKind, AlertKind),
        (enums.AlertSeverity, Severity),
        (enums.AlertChannelKind, ChannelKind),
        (enums.AlertChartUnit, ChartUnit),
        (enums.AlertSeriesRole, SeriesRole),
        (enums.AdviceCode, AdviceCode),
        (enums.AttemptOutcome, AttemptOutcome),
        (enums.DeliveryStatus, DeliveryStatus),
        (enums.DestinationState, DestinationState),
        (enums.DropReason, DropReason),
        (enums.EnrichmentNote, Note),
        (enums.GivenUpBy, GivenUpBy),
    ],
    ids=lambda kind: kind.__name__,
)
def test_an_enum_of_the_api_has_every_word_that_the_house_has(published: Any, ours: type[StrEnum]) -> None:
    assert {one.value for one in published} == {one.value for one in ours}


def test_a_channel_can_be_given_every_topic_in_the_dashboard() -> None:
    """Alerts' kinds are held to their type by the compiler; topics are plain text in the API."""
    form = (HOUSE / "web" / "ui" / "screens" / "settings" / "Channels.tsx").read_text()
    assert [topic for topic in EventTopic if f"'{topic.value}'" not in form] == []


@pytest.mark.usefixtures("database")
def test_each_text_that_is_stored_is_searched_for_ids_of_erased_events_or_names_none() -> None:
    with in_transaction():
        found = rows(
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public' "
            "AND udt_name IN ('text', '_text', 'varchar', 'json', 'jsonb')"
        )
    texts = {key for key in found if key[0] not in OF_AN_EVENT and key[1] not in NO_ID_OF_AN_EVENT}
    searched = {(place.table, column) for place in MENTIONS for column in place.columns}
    name_none = {(table, column) for table, columns in NAMES_NO_EVENT.items() for column in columns}
    assert sorted(texts) == sorted([*searched, *name_none])


def columns_of_deliveries() -> list[str]:
    with in_transaction():
        found = rows(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'deliveries'"
        )
    return sorted(name for (name,) in found)


@pytest.mark.usefixtures("database")
def test_each_column_of_a_delivery_is_read_with_its_row_or_in_statements_alone() -> None:
    """One that is new is a field of ``DeliveryRow``, or among those here."""
    assert columns_of_deliveries() == sorted([*(one.name for one in fields(DeliveryRow)), *IN_STATEMENTS_ALONE])


def test_each_field_of_a_settlement_is_written_by_the_statement_that_settles() -> None:
    recordset = SETTLE.partition(" AS x(")[2].partition(")\nWHERE")[0]
    typed = [column.split()[0] for column in recordset.split(",")]
    settlement = Settlement(DeliveryKey(1, "order_1", "meta"), DeliveryStatus.QUEUED, 0)
    assert sorted(typed) == sorted({"event_id", *(one.name for one in fields(Settlement))} - {"key"})
    assert sorted(typed) == sorted(_record(settlement))
    assert sorted(typed) == sorted(set(re.findall(r"\bx\.(\w+)", SETTLE)))


def test_the_head_of_the_deliveries_file_names_each_file_that_writes_them() -> None:
    writes = re.compile(r"\b(?:UPDATE|INSERT INTO|DELETE FROM) deliveries\b")
    files = {path for path in (HOUSE / "db").glob("*.py") if writes.search(path.read_text("utf-8"))}
    (said,) = re.findall(r"\nRows begin in .*", deliveries.__doc__ or "", re.DOTALL)
    assert {f"db/{path.name}" for path in files} == set(re.findall(r"db/\w+\.py", said))


@pytest.mark.usefixtures("database")
def test_a_redelivery_begins_each_column_of_a_delivery_anew_or_leaves_it_as_it_was() -> None:
    """One that is new is set by db/queues.py, or among those here that are kept."""
    begun_anew = REQUEUE.partition("\nSET ")[2].partition("\nFROM before")[0]
    written = set(re.findall(r"(?:\A|, |,\n\s+)([a-z_]+) = ", begun_anew))
    assert columns_of_deliveries() == sorted([*written, *KEPT_BY_A_REDELIVERY])
