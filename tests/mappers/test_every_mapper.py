"""What every platform of ``PLATFORMS`` must keep to, whatever else it does. A new platform needs no line here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer import mappers
from tracklayer.domain.delivery import MAYBE_REFUND, NO_REFUND, BatchRejected, DropReason, Outcome, PlatformReply
from tracklayer.domain.event import ACTION_SOURCES, CONSENT_STATES, MATCHABLE_LISTS, USER_FIELDS, Event
from tracklayer.domain.normalise import is_one_for_all
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import Mapped, Mapper, Refused, Setting, SettingKind
from tracklayer.services.destinations import check_settings, example_settings
from tracklayer.services.explain import explain
from tracklayer.services.preview import normalise_value, prepare, preview

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
PAGES = Path(mappers.__file__).parent
TABLES = Path(__file__).parent
NAMES = (
    *("Purchase", "AddToCart", "InitiateCheckout", "AddPaymentInfo", "Lead", "CompleteRegistration", "ViewContent"),
    *("Search", "Subscribe", "StartTrial", "AddToWishlist", "Contact", "PageView", "Refund"),
    *("QuizFinished", "purchase", "Größe gewählt", "a name with spaces", "*"),
)

every_platform = pytest.mark.parametrize("platform", PLATFORMS)
a_hundred_times = drawn(100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
# Answers cost next to nothing to read.
three_hundred_times = drawn(300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


# What a platform declares -------------------------------------------------------------------------------------------


@every_platform
def test_there_is_a_page_and_a_table_of_examples(platform: str) -> None:
    assert (PAGES / f"{platform}.md").read_text("utf-8").startswith("# ")
    assert (TABLES / f"test_{platform}.py").is_file()


@every_platform
def test_the_page_names_every_setting(platform: str) -> None:
    page = (PAGES / f"{platform}.md").read_text("utf-8")

    assert [setting.name for setting in mapper_for(platform).settings if f"`{setting.name}`" not in page] == []


@every_platform
def test_every_setting_says_what_it_is(platform: str) -> None:
    declared = mapper_for(platform).settings

    assert [setting.name for setting in declared if not setting.label.strip() or not setting.help.strip()] == []
    assert [setting.name for setting in declared if setting.required and setting.example is None] == []
    assert len({setting.name for setting in declared}) == len(declared)
    chosen = [s for s in declared if not s.required and s.kind in (SettingKind.CHOICE, SettingKind.FLAG)]
    assert [setting.name for setting in chosen if not setting.unset] == []


@every_platform
def test_example_settings_are_good_settings(platform: str) -> None:
    mapper = mapper_for(platform)
    examples = example_settings(mapper)

    assert check_settings(mapper, examples) == []
    assert [s.name for s in mapper.settings if s.example is not None and s.check and s.check(s.example)] == []
    assert [s.name for s in mapper.settings if s.required and s.name not in examples] == []


@every_platform
def test_a_form_can_grow_from_the_settings(platform: str) -> None:
    """What a field of each kind yields is what the check takes, and nothing else is."""
    for setting in mapper_for(platform).settings:
        right = {
            SettingKind.TEXT: [],
            SettingKind.NUMBER: [setting.example],
            SettingKind.FLAG: [True, False],
            SettingKind.CHOICE: list(setting.choices),
            SettingKind.MAP: [{"Purchase": "7000000001"}]
            if setting.name == "conversion_actions"
            else [setting.example],
            SettingKind.LIST: [setting.example],
            SettingKind.DOCUMENT: [orjson.dumps(setting.example).decode()],
        }[setting.kind]
        wrong: dict[SettingKind, list[Any]] = {
            SettingKind.FLAG: ["perhaps"],
            SettingKind.CHOICE: ["no such choice"],
            SettingKind.MAP: ["no map", []],
        }
        assert setting.check is not None or setting.kind is SettingKind.TEXT, setting.name
        if setting.check is not None:
            assert [value for value in right if setting.check(value)] == [], setting.name
            assert [value for value in wrong.get(setting.kind, ()) if not setting.check(value)] == [], setting.name
        assert not (setting.choices and setting.example not in setting.choices), setting.name
        assert setting.others == ("*" in setting.help) or setting.kind is not SettingKind.MAP, setting.name


@every_platform
def test_a_platform_without_a_test_mode_says_how_else_to_try_a_destination(platform: str) -> None:
    mapper = mapper_for(platform)

    assert mapper.supports_test_events or re.fullmatch(r"[A-Z].{20,}\.", mapper.instead_of_test)


@every_platform
def test_each_required_setting_that_is_missing_is_named(platform: str) -> None:
    mapper = mapper_for(platform)
    named = [problem.field for problem in check_settings(mapper, {}) if problem.code == "REQUIRED"]

    assert [s.name for s in mapper.settings if s.required and ("settings", s.name) not in named] == []


@every_platform
def test_every_explanation_says_what_it_means_and_what_to_do(platform: str) -> None:
    explanations = mapper_for(platform).explanations

    assert explanations
    assert [
        code for code, found in explanations.items() if not found.summary.strip() or not found.next_step.strip()
    ] == []


@every_platform
def test_limits_are_ones_that_can_be_kept(platform: str) -> None:
    mapper = mapper_for(platform)

    assert mapper.title.strip() == mapper.title != ""
    assert mapper.batch_size >= 1
    assert mapper.max_batch_bytes is None or mapper.max_batch_bytes >= 1
    assert mapper.max_event_age is None or mapper.max_event_age > timedelta(0)


@every_platform
@pytest.mark.parametrize("source", ACTION_SOURCES)
def test_the_age_that_is_declared_is_the_one_that_is_kept(platform: str, source: str) -> None:
    mapper = mapper_for(platform)
    used = example_settings(mapper)
    limit = mapper.oldest_age(source, used)

    def reason(age: timedelta) -> DropReason | None:
        event = read({**PURCHASE, "occurred_at": (NOW - age).isoformat(), "action_source": source}, used)
        found = mapper.map_event(event, used, NOW)
        return found.reason if isinstance(found, Refused) else None

    if reason(timedelta(0)) is None:
        longest = limit if limit is not None else timedelta(days=300)
        beyond = None if limit is None else DropReason.EVENT_TOO_OLD
        assert (reason(longest), reason(longest + timedelta.resolution)) == (None, beyond)


@every_platform
def test_the_page_says_which_copies_are_recognised(platform: str) -> None:
    mapper = mapper_for(platform)
    page = (PAGES / f"{platform}.md").read_text("utf-8")
    section = page.split("## Deduplication")[1].split("\n## ")[0]

    assert mapper.deduplication in section
    assert mapper.deduplication.endswith(".")


@every_platform
def test_normalise_knows_only_fields_of_an_event(platform: str) -> None:
    assert set(mapper_for(platform).normalise) <= set(USER_FIELDS)


# Events of every kind -----------------------------------------------------------------------------------------------

PURCHASE: dict[str, Any] = {
    "event_name": "Purchase",
    "event_id": "order_12345",
    "occurred_at": "2026-11-20T14:59:00Z",
    "event_source_url": "https://shop.example.com/thanks",
    "user_data": {
        "email": "hiddenperson@mail.example.com",
        "client_ip": "203.0.113.42",
        "client_user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
    },
    "custom_data": {"value": 129.99, "currency": "USD", "order_id": "order_12345"},
}

# What must never leave as it is: no other value below contains these texts.
EMAIL_MARKS = ("hiddenperson", "hidden.person")
PHONE_MARKS = ("6505550177", "(650) 555-0177", "650.555.0177", "650-555-0177")
EMAILS = (
    "hiddenperson@mail.example.com",
    "  HiddenPerson+News@Gmail.com ",
    "Hidden.Person@googlemail.com",
    "hiddenperson@localhost",
    "hiddenperson at mail.example.com",
    "HiddenPerson",
)
PHONES = (
    "+16505550177",
    " +1 (650) 555-0177 ",
    "0016505550177",
    "(650) 555-0177",
    "650.555.0177",
    "1-650-555-0177",
    "+1 650-555-0177 ext. 9",
    "650-555-0177-650-555-0177",
)
DIGEST = "973dfe463ec85785f5f95af5ba3906e64c23a8bce2d4b2b88f8ef90d2640d1b0"
DIGESTS = (
    DIGEST,
    f" {DIGEST.upper()} ",
    "0cc175b9c0f1b6a831c399e269772661",
    "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
)
UUID = "b4f1a1c2-6f0e-4a39-9d9d-2a7f0b0c1d2e"
CLICKS = ("CjwKCAiA-xyz_0123", "abc.def~ghi", "has a space", "=%2F&?#", "é", "x" * 600)
SAMPLES: dict[str, tuple[str, ...]] = {
    "email": (*EMAILS, *DIGESTS),
    "phone": (*PHONES, *DIGESTS),
    "first_name": ("Anne-Marie", "정", "Vale\u0301ry", "-", *DIGESTS),
    "last_name": ("O'Neil", "Αθηνά", "ßharp", "3", *DIGESTS),
    "date_of_birth": ("1990-02-16", "19900216", "2/16/1997", "02/03/1997", "1990-02-30", "0001-01-01", *DIGESTS),
    "gender": ("F", "m", "female", "other", *DIGESTS),
    "street": ("1 Main St.", "Straße des 17. Juni 135", *DIGESTS),
    "city": ("Saint-Étienne", "New York", "12", *DIGESTS),
    "state": ("CA", "California", "Île-de-France", "?", *DIGESTS),
    "zip": ("94107-1234", "941071234", "M1 1AE", "10115", "-", *DIGESTS),
    "country": ("US", "gb", " de ", "UK", "Atlantis", *DIGESTS),
    "external_id": ("Cust-7781", "7781", *DIGESTS),
    "client_ip": ("203.0.113.42", "2001:db8::1f", "fe80::1%eth0", "::ffff:203.0.113.42", "203.0.113.420", "localhost"),
    "client_user_agent": ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", " curl/8 ", "дом"),
    "browser_id": (UUID, "short", "x" * 200),
    "fbp": ("fb.1.1794000000123.1098115397", "fb.1.1713877200.1234567890", "fb.1.1794000000123", *CLICKS),
    "fbc": ("fb.1.1794000000123.IwAR2F4d", "fb.1.1713877200.AQzXy1", "fb.1.1794000000123.IwAR.AQ", *CLICKS),
    "fbclid": CLICKS,
    "ttp": ("94e2a4j9-h3ss-k5o5-8e46-a1b8d3e1f2c3", *CLICKS),
    "ttclid": ("E.C.P.CrkBPdYS4s8l5mX9", *CLICKS),
    "gclid": CLICKS,
    "gbraid": CLICKS,
    "wbraid": CLICKS,
    "ga_client_id": ("1234567890.1713877200", "GA1.1.1234567890.1713877200", "no", *CLICKS),
    "ga_session_id": ("1713877200", "GS1.1.x", "-1"),
    "epik": ("dj0yJnU9b2JDcFFHekV4SHJNcmVrbFBkUEdqakh0akdUT1VjVVUm", *CLICKS),
    "sc_click_id": (UUID, *CLICKS),
    "sc_cookie1": (UUID, *CLICKS),
    "li_fat_id": (UUID, *CLICKS),
    "rdt_cid": CLICKS,
    "rdt_uuid": (f"1794000000123.{UUID}", UUID, "no"),
    "msclkid": (UUID.replace("-", ""), f"_uet{UUID.replace('-', '')}", "no"),
    "twclid": ("2-4kj2h34kj23h4", *CLICKS),
    "lead_id": ("525645896321548", "lead-7", *CLICKS),
    "job_title": ("Gardener", "null", *DIGESTS),
    "company_name": ("Alder Works", "-", *DIGESTS),
}
CLICK_NAMES = "fbclid ttclid gclid gbraid wbraid epik ScCid li_fat_id rdt_cid msclkid twclid".split()
URLS = (
    "https://shop.example.com/p/tee",
    "http://bücher.example/größe?farbe=rot#oben",
    "https://shop.example.com:8443/?" + "&".join(f"{name}=AbC_-{name}" for name in CLICK_NAMES),
    "https://shop.example.com/?" + "&".join(f"{name}=%20%C3%28&{name}=" for name in CLICK_NAMES),
    "https://shop.example.com/?&&=&" + "&".join(CLICK_NAMES),
    "shop.example.com/p/tee?" + "&".join(f"{name}=AbC" for name in CLICK_NAMES),
    "/p/tee",
    "ftp://shop.example.com/p",
    "https://",
    "android-app://com.example.shop",
)
# Twelve characters hold no card number, which an event would be refused for.
texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
event_ids = texts.filter(lambda text: text.strip() and not is_one_for_all(text))  # what stands for no id is refused
money = st.one_of(
    st.integers(-(10**9), 10**9),
    st.decimals(-(10**6), 10**6, places=3).map(float),
    st.decimals(0, 10**6, places=2).map(str),
)
counts = st.integers(0, 10**6)
property_names = st.one_of(
    st.sampled_from(
        ("plan", "score", "value", "currency", "event_id", "user_data", "id", "$set", "a.b", "größe", " x")
    ),
    st.text(st.sampled_from("äßждом世界_- "), min_size=1, max_size=9).filter(str.strip),
)
property_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.decimals(-(10**6), 10**6, places=4).map(float), texts
)
contents = st.fixed_dictionaries(
    {"id": st.one_of(st.sampled_from(("SKU-1", "SKU-2")), texts.filter(str.strip))},
    optional={"quantity": counts, "item_price": money, "title": texts, "brand": texts, "category": texts},
)
custom_data = st.fixed_dictionaries(
    {},
    optional={
        "value": money,
        "currency": st.sampled_from(("USD", "eur", " JPY ", "KWD", "XAU", "CLF")),
        "order_id": texts,
        "product_ids": st.lists(texts, max_size=4),
        "contents": st.lists(contents, max_size=4),
        "num_items": counts,
        "content_name": texts,
        "content_category": texts,
        "content_type": st.one_of(st.sampled_from(("product", "product_group")), texts),
        "search_string": texts,
        "status": texts,
        "predicted_ltv": money,
        "properties": st.dictionaries(property_names, property_values, max_size=6),
    },
)
consent = st.fixed_dictionaries(
    {},
    optional={
        "ad_user_data": st.sampled_from(CONSENT_STATES),
        "ad_personalization": st.sampled_from(CONSENT_STATES),
        "limited_data_use": st.booleans(),
    },
)
user_data = st.fixed_dictionaries(
    {},
    optional={
        # An e-mail or phone of any text at all could stand elsewhere in the event by chance: marked ones only.
        name: st.sampled_from(samples) if name in ("email", "phone") else st.one_of(st.sampled_from(samples), texts)
        for name, samples in SAMPLES.items()
    }
    | {
        "emails": st.lists(st.sampled_from(SAMPLES["email"]), max_size=3),
        "phones": st.lists(st.sampled_from(SAMPLES["phone"]), max_size=3),
    },
)
devices = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("os_version", "app_id", "app_name", "app_version", "model", "locale", "carrier"), texts),
        "os": st.sampled_from(("iOS", "iPadOS 19", "android", "Windows")),
        "time_zone": st.sampled_from(("Europe/Berlin", "PDT", "+02:00")),
        **dict.fromkeys(("screen_width", "screen_height"), st.integers(0, 10000)),
        **dict.fromkeys(
            ("advertising_id", "vendor_id"), st.sampled_from((UUID, UUID.upper(), UUID.replace("-", ""), "no"))
        ),
        "tracking_allowed": st.booleans(),
    },
)
instants = st.builds(
    lambda age, hours: (NOW - age).astimezone(timezone(timedelta(hours=hours))).isoformat(),
    # Most platforms take 7 days: half of the ages are within that.
    st.one_of(
        st.timedeltas(timedelta(0), timedelta(days=7)),
        st.timedeltas(timedelta(0), timedelta(days=100)),
    ),
    st.sampled_from((0, 2, -8, 5.5)),
)
drafts = st.fixed_dictionaries(
    {
        "event_name": st.one_of(st.sampled_from(NAMES), texts.filter(str.strip)),
        "event_id": st.one_of(st.sampled_from(("order_12345", UUID)), event_ids),
        "occurred_at": instants,
        "user_data": user_data,
    },
    optional={
        "action_source": st.sampled_from(ACTION_SOURCES),
        "event_source_url": st.sampled_from(URLS),
        "custom_data": custom_data,
        "consent": consent,
        "device": devices,
    },
)
# As wild, but with all that platforms demand: most of these are sent.
sendable = st.builds(
    lambda wild, name: {
        **wild,
        **{key: PURCHASE[key] for key in ("occurred_at", "event_source_url")},
        "event_name": name,
        "action_source": "website",
        "user_data": {**wild["user_data"], **PURCHASE["user_data"]},
        "custom_data": {**wild.get("custom_data", {}), "value": 129.99, "currency": "USD"},
        "consent": {"limited_data_use": bool(wild.get("consent", {}).get("limited_data_use"))},
    },
    drafts,
    st.sampled_from(NAMES),
)


def test_the_samples_leave_no_identifier_out() -> None:
    assert {*SAMPLES, *MATCHABLE_LISTS} == set(USER_FIELDS)


@st.composite
def settings_of(draw: st.DrawFn, mapper: Mapper) -> dict[str, Any]:
    """Good settings: what is required, and some of what is not where the two go together."""
    chosen = example_settings(mapper)
    for setting in mapper.settings:
        if setting.example is not None and draw(st.booleans()):
            chosen[setting.name] = setting.example
    return chosen if check_settings(mapper, chosen) == [] else example_settings(mapper)


def read(draft: dict[str, Any], used: Mapping[str, Any]) -> Event:
    country = used.get("default_country")
    found = read_event(draft, NOW, frozenset({country} if country else ()))
    assert isinstance(found, ReadEvent), found
    return found.event


def written(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def secret_texts(setting: Setting, value: Any) -> list[str]:
    """Every text of a secret that is long enough to be recognised, the parts of a key file too."""
    if not setting.secret:
        return []
    parts = value.values() if isinstance(value, Mapping) else [value]
    return [part for part in parts if isinstance(part, str) and len(part) >= 8 and not part.startswith("https://")]


@every_platform
@a_hundred_times
@given(data=st.data())
def test_any_event_becomes_a_request_or_a_refusal_that_gives_nothing_away(platform: str, data: st.DataObject) -> None:
    mapper = mapper_for(platform)
    used = data.draw(settings_of(mapper), "settings")
    draft = data.draw(st.one_of(drafts, sendable), "draft")
    event = read(draft, used)
    before = deepcopy((event, used))

    found = mapper.map_event(event, used, NOW)
    again = mapper.map_event(read(deepcopy(draft), used), dict(used), NOW)

    assert (event, used) == before
    assert found == again
    assert is_silent(repr(found.verdicts))
    if isinstance(found, Refused):
        assert found.verdicts[-1].ok is False
        assert found.verdicts[-1].field == found.field
        assert is_silent(found.message)
        return
    items = [found.item, found.item]
    kept = deepcopy(items)
    sent = mapper.build_request(found.group, items, used)
    assert sent == mapper.build_request(found.group, deepcopy(kept), dict(used))
    assert items == kept
    assert (sent.method, sent.url.split("://")[0]) == ("POST", "https")
    # The transport writes the body with orjson: what it cannot write would never leave.
    body = written(sent.body)
    assert [text for text in (sent.url, str(sent.headers), repr(sent), body) if not is_silent(text)] == []
    secrets = [text for setting in mapper.settings for text in secret_texts(setting, used.get(setting.name))]
    assert [s for s in secrets if s in sent.url or s in str(sent.headers) or s in repr(sent) or s in body] == []


@pytest.mark.parametrize("platform", [key for key in PLATFORMS if "Refund" not in mapper_for(key).event_names])
@pytest.mark.parametrize("name", ["Refund", "refund", "order_refunded"])
def test_a_refund_is_never_one_more_conversion(platform: str, name: str) -> None:
    settings = example_settings(mapper_for(platform))
    found = mapper_for(platform).map_event(read(PURCHASE | {"event_name": name}, settings), settings, NOW)
    assert isinstance(found, Refused), found
    assert found.reason in (DropReason.UNSUPPORTED_EVENT, DropReason.INVALID_FIELD)


def is_silent(text: str) -> bool:
    """True where neither the e-mail nor the phone of the samples can be read."""
    lower = text.lower()
    return not any(mark in lower for mark in (*EMAIL_MARKS, *PHONE_MARKS))


@every_platform
@pytest.mark.parametrize("source", ["website", "physical_store"])
def test_every_event_name_is_mapped_or_refused(platform: str, source: str) -> None:
    mapper = mapper_for(platform)
    used = example_settings(mapper)
    for name in sorted({*NAMES, *mapper.event_names}):
        event = read({**PURCHASE, "event_name": name, "action_source": source}, used)
        found = mapper.map_event(event, used, NOW)
        if isinstance(found, Mapped):
            assert mapper.build_request(found.group, [found.item], used).url.startswith("https://"), name
        else:
            assert found.message.strip(), name


# Answers of every kind ----------------------------------------------------------------------------------------------

WORDS = (
    *("error", "errors", "code", "error_subcode", "is_transient", "message", "messages", "events_received", "status"),
    *("data", "details", "request_id", "num_events_received", "num_events_processed", "events", "elements", "results"),
    *("partialFailureError", "location", "fieldPathElements", "index", "reason", "error_records", "record_indexes"),
    *("invalid_events", "error_type", "exception_type", "conversions_processed", "debug_id", "title", "type"),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.integers(0, 25),
    st.sampled_from((0, 100, 190, 200, 400, 40001, 80004, "0", "OK", "SUCCESS", "VALID", "INVALID", "error", "failed")),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
bodies = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=8)), inner, max_size=5),
    ),
    max_leaves=15,
)
# Where platforms keep what went wrong: among bodies of any shape these would be rare.
faults = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("code", "error_subcode", "is_transient", "message", "status", "reason", "index"), scalars),
)
envelopes = st.builds(
    lambda outer, word, inner: {**outer, word: inner},
    st.fixed_dictionaries({}, optional=dict.fromkeys(("code", "status", "message"), scalars)),
    st.one_of(st.sampled_from(("error", "errors", "data", "results")), st.sampled_from(WORDS)),
    st.one_of(faults, st.lists(st.one_of(faults, scalars), max_size=3), scalars),
)
answers = st.builds(
    PlatformReply,
    st.one_of(
        st.sampled_from((200, 201, 204, 207, 400, 401, 403, 404, 413, 422, 429, 500, 503)), st.integers(100, 599)
    ),
    st.one_of(bodies, envelopes),
    st.dictionaries(
        st.sampled_from(("retry-after", "date", "x-business-use-case-usage", "x-rate-limit-reset", "content-type")),
        st.one_of(
            st.sampled_from(("120", "-1", "1e9", "Sat, 21 Nov 2026 14:00:30 GMT", "Sat, 99 Nov 2026", "٣", "{}")),
            st.text(max_size=20),
        ),
    ),
    st.text(max_size=20),
)


@every_platform
@three_hundred_times
@given(answer=answers, count=st.one_of(st.just(1), st.integers(1, 25)))
def test_any_answer_gives_every_event_one_outcome(platform: str, answer: PlatformReply, count: int) -> None:
    mapper = mapper_for(platform)
    before = deepcopy(answer)

    verdict = mapper.read_reply(answer, count)

    assert answer == before
    assert verdict == mapper.read_reply(answer, count)
    if isinstance(verdict, BatchRejected):
        assert count > 1
    else:
        assert len(verdict) == count
        assert [outcome for outcome in verdict if not isinstance(outcome, get_args(Outcome))] == []


@every_platform
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413, 429, 500, 503])
def test_an_answer_without_words_is_read_too(platform: str, status: int) -> None:
    bare: tuple[Any, ...] = (None, {}, [], "", 0, {"error": {}}, {"error": "x"}, {"errors": [{}]}, {"code": 50000})
    for body in bare:
        for count in (1, 2, 25):
            verdict = mapper_for(platform).read_reply(PlatformReply(status, body), count)

            assert len(verdict) == count if not isinstance(verdict, BatchRejected) else count > 1, body


# Preview ------------------------------------------------------------------------------------------------------------


@every_platform
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("event_name", "event_id", "occurred_at", "user_data"), id="minimal"),
        pytest.param(tuple(PURCHASE), id="usual"),
    ],
)
def test_preview_shows_a_request_or_a_reason(platform: str, names: tuple[str, ...]) -> None:
    found = preview({name: PURCHASE[name] for name in names}, prepare(platform, {}), NOW)

    if found.request is None:
        assert found.refused is not None
        assert [verdict.message for verdict in found.verdicts if not verdict.ok] != []
    else:
        assert found.refused is None
        assert list(found.request) == ["method", "url", "headers", "body"]
        assert is_silent(written(found.request))


@every_platform
@pytest.mark.parametrize(
    "value", ["null", "undefined", " NaN ", "None", "false", "0", "{gclid}", "[object Object]", "%%ID%%"]
)
def test_what_only_stands_for_a_value_is_none(platform: str, value: str) -> None:
    fields = mapper_for(platform).normalise

    assert [field for field in fields if normalise_value(platform, field, value, {}) is not None] == []


_OF_OTHERS = [
    (platform, setting.name, next(iter(setting.example.values())))
    for platform in PLATFORMS
    for setting in mapper_for(platform).settings
    if setting.kind is SettingKind.MAP and setting.others and setting.keys == "Event name"
]


@pytest.mark.parametrize(("platform", "setting", "place"), _OF_OTHERS)
def test_what_may_be_a_refund_goes_to_no_place_that_was_made_for_all_other_events(
    platform: str, setting: str, place: Any
) -> None:
    mapper = mapper_for(platform)

    def found(name: str, *names: str) -> Mapped | Refused:
        settings = {**example_settings(mapper), setting: dict.fromkeys(names, place)}
        return mapper.map_event(read({**PURCHASE, "event_name": name}, settings), settings, NOW)

    refused = found("store/order/refund/created", "*")
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.field) == (DropReason.UNSUPPORTED_EVENT, "event_name")
    assert refused.message == (
        f"its name may be a refund's, which * does not take: send Refund, or name it in {setting} where it is none"
    )
    assert isinstance(found("refund_policy_read", "*"), Mapped)
    assert isinstance(found("store/order/refund/created", "*", "store/order/refund/created"), Mapped)
    certain = found("order_refunded", "*")
    assert isinstance(certain, Refused)
    assert "may be a refund" not in certain.message


@every_platform
@pytest.mark.parametrize("name", ["Refund", "order_refunded", "charge.refunded", "Partial Refund", "orders/cancelled"])
def test_nobody_is_told_to_give_a_refund_a_place_where_it_would_count(platform: str, name: str) -> None:
    mapper = mapper_for(platform)
    maps = [s.name for s in mapper.settings if s.kind is SettingKind.MAP and s.keys == "Event name"]
    places: tuple[dict[str, str], ...] = ({}, {"Lead": "7000000001"}, {"*": "7000000001"})
    for settings in ({**example_settings(mapper), **dict.fromkeys(maps, place)} for place in places):
        found = mapper.map_event(read({**PURCHASE, "event_name": name}, settings), settings, NOW)
        if isinstance(found, Mapped) or found.reason is not DropReason.UNSUPPORTED_EVENT:
            continue
        is_certain = name in ("Refund", "order_refunded", "charge.refunded")
        assert found.code == (NO_REFUND if is_certain else MAYBE_REFUND)
        assert ": map it" not in found.message
        told = explain(platform, found.as_refusal().code, found.reason)
        assert told is not None
        assert "eave the name out with the destination's event names" in told.next_step
        assert "one more sale" in told.next_step or "only where it is none" in told.next_step


def test_what_is_no_refund_and_has_no_place_keeps_its_plain_reason() -> None:
    settings = {**example_settings(mapper_for("linkedin")), "conversion_rules": {"Purchase": 1}}
    found = mapper_for("linkedin").map_event(read({**PURCHASE, "event_name": "Lead"}, settings), settings, NOW)
    assert isinstance(found, Refused)
    assert (found.reason, found.code) == (DropReason.UNSUPPORTED_EVENT, None)
    told = explain("linkedin", None, found.reason)
    assert told is not None
    assert "a refund never" in told.next_step  # of what was dropped before there were codes of its own


@every_platform
@pytest.mark.parametrize("given", ["zyx987", " "])
def test_a_property_of_ones_own_is_sent_or_said_to_be_left_out_unless_it_says_nothing(
    platform: str, given: str
) -> None:
    mapper = mapper_for(platform)
    settings = {**example_settings(mapper), "conversion_actions": {"*": "7000000002"}}
    custom_data = {**PURCHASE["custom_data"], "properties": {"my_own": given}}
    person = {**PURCHASE["user_data"], "ga_client_id": "1234567890.1713877200"}
    event = read({**PURCHASE, "user_data": person, "custom_data": custom_data}, settings)
    found = mapper.map_event(event, settings, NOW)
    assert isinstance(found, Mapped), found
    is_told = any(not one.ok and one.rule == "properties" for one in found.verdicts)
    assert is_told == (given.strip() not in str(found.item))
