"""Somebody is erased: all that is theirs goes, nothing else does, and it does not come back."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.factories import AGENT, API_KEY_SECRET, META, Api, Merchant, camel, draft, new_merchant
from tests.sessions import other_session
from tracklayer import cli
from tracklayer.cli.erase import _would_go
from tracklayer.clock import FrozenClock
from tracklayer.db import enrichments, identities, personal_data
from tracklayer.db import erasures as db
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.delivery_search import DeliverySearch
from tracklayer.db.destinations import destination
from tracklayer.db.erasures import ErasureRow, WalkRow
from tracklayer.db.events import events_by_id
from tracklayer.db.identities import Link, Shown, barred
from tracklayer.db.lateness import begin_storing
from tracklayer.db.leases import claim_due
from tracklayer.db.storing import run_statement
from tracklayer.domain import normalise
from tracklayer.domain.person import TELLING, of_browser
from tracklayer.domain.stitching import Note, pair_of
from tracklayer.runtime import Runtime
from tracklayer.sandbox.server import SandboxServer
from tracklayer.sealing import Sealer
from tracklayer.services import erase, erase_jobs
from tracklayer.services.access_package import as_json, export_person
from tracklayer.services.check import check_destination
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, set_destination
from tracklayer.services.erase import (
    ON_ITS_WAY,
    Begun,
    Counted,
    Request,
    count_person,
    erase_person,
    purge_erasures,
    unsuppress_person,
)
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.identify import identify
from tracklayer.services.ingest import (
    LATE_SECONDS,
    Accepted,
    Coalesced,
    Forgotten,
    Rejected,
    ingest_events,
    judge,
    store,
)
from tracklayer.services.invariants import check_invariants
from tracklayer.services.marks import marker_of, of_event
from tracklayer.services.receipts import ReceiptError, read_keys, rotate_key, verify_receipt
from tracklayer.services.redeliver import redeliver_matching
from tracklayer.services.stitch import decisions

OPERATOR = {"operator": "test"}
EMAIL = "canary.jane@shop.example"
DIGEST = normalise.sha256_hex(EMAIL)


def begin(runtime: Runtime, merchant: Merchant, request: Request, *, suppress: bool = True) -> ErasureRow:
    found = erase_person(runtime, merchant.merchant_id, request, OPERATOR, suppress=suppress)
    assert isinstance(found, Begun)
    return found.erasure


def finish(runtime: Runtime, clock: FrozenClock, row: ErasureRow) -> ErasureRow:
    """As the job goes on, second by second."""
    for _ in range(120):
        continue_erasures(runtime, 30)
        now = state(row)
        if now.finished_at is not None:
            return now
        clock.move(timedelta(seconds=1))
    raise AssertionError(now)


def state(row: ErasureRow) -> ErasureRow:
    with in_transaction():
        found = db.erasure_by_id(row.merchant_id, row.erasure_id)
    assert found is not None
    return found


def stored(merchant: Merchant) -> list[str]:
    with in_transaction():
        found = rows("SELECT event_id FROM events WHERE merchant_id = %s ORDER BY event_id", (merchant.merchant_id,))
    return [row[0] for row in found]


def send(runtime: Runtime, merchant: Merchant, *drafts: dict[str, Any]) -> list[Any]:
    return ingest_events(runtime, merchant.holder, drafts).outcomes


def deliver(runtime: Runtime, worker: int, merchant: Merchant) -> None:
    while deliver_due(runtime, worker, merchant.merchant_id, "meta"):
        pass


def of(event_id: str, email: str | None = EMAIL, /, **user_data: Any) -> dict[str, Any]:
    given = {"client_ip": "203.0.113.42", "client_user_agent": AGENT, **user_data}
    return draft(event_id, user_data={**given, **({"email": email} if email else {})})


def dump(*without: str) -> str:
    """Every row of every table, as text."""
    found = []
    with in_transaction():
        for (table,) in rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"):
            if table not in without:
                found += [f"{table} {row[0]}" for row in rows(f"SELECT t::text FROM {table} t")]
    return "\n".join(found)


def sound(clock: FrozenClock) -> None:
    """But for what waits since the clock was moved."""
    assert [one for one in check_invariants(clock.now()) if one.kind != "overdue"] == []


def test_a_person_goes_and_a_neighbour_stays(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    send(runtime, merchant, of("hers-1"), of("his-1", "john@shop.example"), of("hers-2", " Canary.Jane@Shop.example "))
    send(runtime, merchant, of("hers-3", DIGEST), of("alias", "canaryjane@shop.example"), of("nobodys", None))
    send(runtime, other, of("hers-1"))
    looked = count_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert looked == Counted(events=3, deliveries=3, emails=1)
    assert len(stored(merchant)) == 6
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    done = finish(runtime, clock, row)
    assert stored(merchant) == ["alias", "his-1", "nobodys"]
    assert stored(other) == ["hers-1"]
    assert (done.counts["events"], done.counts["deliveries"]) == (3, 3)
    assert done.finished_at is not None
    assert done.wanted == b""
    with in_transaction():
        execute("DELETE FROM events WHERE merchant_id = %s", (other.merchant_id,))
        execute("DELETE FROM deliveries WHERE merchant_id = %s", (other.merchant_id,))
    assert DIGEST not in dump()
    assert "hers-1" not in dump()


def test_what_waits_is_dropped_as_erased_and_the_ledger_balances(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("sent"))
    deliver(runtime, worker, merchant)
    send(runtime, merchant, of("waits"), of("other", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert stored(merchant) == ["other"]
    assert done.platforms["meta"]["delivered"] == 1
    assert done.platforms["meta"]["deliveries"] == 2
    with in_transaction():
        ((dropped, purged, waiting, reasons),) = rows(
            "SELECT sum(dropped), sum(purged), sum(waiting), sum((drop_reasons ->> 'erased')::int) FROM minutes "
            "WHERE platform = 'meta'"
        )
    assert (dropped, purged, waiting, reasons) == (1, 2, 1, 1)
    sound(clock)


# As senders write a digest that platforms do not take: kept as the text that it is.
NO_DIGESTS = (f"sha256:{DIGEST}", f"0x{DIGEST.upper()}", b64encode(bytes.fromhex(DIGEST)).decode())


@pytest.mark.parametrize("hashing", [True, False])
def test_every_way_to_name_somebody_finds_them(runtime: Runtime, clock: FrozenClock, hashing: bool) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    cases: list[tuple[Request, dict[str, Any]]] = [
        (Request(phone="+49 151 23456789"), {"phone": "+4915123456789"}),
        (Request(phone=normalise.sha256_hex("4915123456789")), {"phone": "+49 151 2345 6789"}),
        (Request(phone="+49 151 23456789"), {"phones": ["+1 212 555 0123", "+4915123456789"]}),
        (Request(email="j.doe@gmail.com"), {"emails": ["jdoe+x@gmail.com"]}),
        (Request(email="j.doe@shop.example"), {"emails": ["a@shop.example", "J.Doe@shop.example"]}),
        (Request(external_id="customer-7"), {"external_id": normalise.sha256_hex("customer-7")}),
        (Request(browser_id="4f8a1c5e9b2d7f60a1b2c3"), {"browser_id": "4f8a1c5e9b2d7f60a1b2c3"}),
        (Request(browser_id="4f8a1c5e9b2d7f60a1b2c3"), {"browser_id": " 4f8a1c5e9b2d7f60a1b2c3 "}),
        (Request(email="janeroe77@gmail.com"), {"email": "jane.roe77@googlemail.com"}),
        (Request(email="ue@ex.example"), {"email": "ue%40ex.example"}),
        (Request(email="ue@ex.example"), {"external_id": "ue&#64;ex.example"}),
        (Request(email="ue@ex.example"), {"external_id": r"mail:ue\u0040ex.example"}),
        (Request(phone="0170 1234567"), {"phone": "0170 1234567"}),
        *((Request(email=asked), {"email": kept}) for asked in (EMAIL, DIGEST) for kept in NO_DIGESTS),
        (Request(email="janeroe@gmail.com"), {"email": f"0x{normalise.sha256_hex('janeroe@googlemail.com')}"}),
        (Request(email=EMAIL), {"email": '"Canary.Jane"@shop.example'}),
        (Request(email=EMAIL), {"emails": [hashlib.md5(EMAIL.encode()).hexdigest()]}),
        (Request(email=EMAIL), {"email": hashlib.sha1(EMAIL.encode()).hexdigest().upper()}),
        (Request(phone="+49 151 23456789"), {"phone": f"sha256:{normalise.sha256_hex('4915123456789')}"}),
        (
            Request(phone=normalise.sha256_hex("+4915123456789")),
            {"phone": f"0x{normalise.sha256_hex('+4915123456789')}"},
        ),
        (Request(event_ids=("hers",)), {}),
    ]
    for request, user_data in cases:
        send(runtime, merchant, of("hers", None, **user_data), of("his", "john@shop.example"))
        clock.move(timedelta(minutes=1))
        done = finish(runtime, clock, begin(runtime, merchant, request, suppress=False))
        assert stored(merchant) == ["his"], request
        assert len(done.identifiers) < 20
        with in_transaction():
            execute("DELETE FROM tombstones")


def in_base64(digest: str) -> list[str]:
    raw = bytes.fromhex(digest)
    padded = [encode(raw).decode() for encode in (b64encode, urlsafe_b64encode)]
    return [*padded, *(text.rstrip("=") for text in padded)]


@pytest.mark.parametrize("hashing", [True, False])
@pytest.mark.parametrize("asked", ["0151 23456789", "+49 151 23456789", "0049 151 23456789"])
def test_the_text_of_a_phones_digest_is_found_however_the_number_is_asked_for(
    runtime: Runtime, clock: FrozenClock, asked: str, hashing: bool
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    set_destination(runtime, merchant.merchant_id, "meta", {**META, "default_country": "DE"}, None)
    digests = [normalise.sha256_hex(number) for number in ("4915123456789", "+4915123456789")]
    texts = [text for one in digests for text in (f"sha256:{one}", f"0X{one.upper()}", *in_base64(one))]
    other = f"sha256:{normalise.sha256_hex('4915123456780')}"
    send(runtime, merchant, of("his", None, phone=other), *(of(f"hers{n}", None, phone=t) for n, t in enumerate(texts)))
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(phone=asked)))
    assert stored(merchant) == ["his"]
    assert len(done.identifiers) < 20
    # Nor does it come back.
    send(runtime, merchant, of("new", None, phone=other), *(of(f"new{n}", None, phone=t) for n, t in enumerate(texts)))
    with in_transaction():
        found = rows("SELECT event_id FROM events WHERE event_id LIKE 'new%%' AND user_data::text <> '{}'")
    assert found == [("new",)]


PHONE = "+49 151 23456789"
CONTACTS_AS_IDS = [
    (Request(email=EMAIL), " Canary.Jane@shop.example"),
    (Request(email=EMAIL), f"shop:{EMAIL}|7"),
    (Request(email=EMAIL), "canary.jane%40shop.example"),
    (Request(email=EMAIL), "Canary.Jane @ shop.example"),
    (Request(email=DIGEST), "user: canary.jane ＠ shop.example"),
    (Request(email=EMAIL), DIGEST),
    (Request(email=DIGEST), EMAIL),
    (Request(email="canaryroe@googlemail.com"), "canary.roe+x@gmail.com"),
    (Request(phone=PHONE), "+4915123456789"),
    (Request(phone=PHONE), "tel:+49 (0)151-23456789"),
    (Request(phone=PHONE), normalise.sha256_hex("4915123456789")),
    (Request(phone=PHONE), normalise.sha256_hex("+4915123456789")),
    (Request(phone=normalise.sha256_hex("4915123456789")), "+49 151 23456789"),
]


@pytest.mark.parametrize("hashing", [True, False])
@pytest.mark.parametrize(("request_", "external_id"), CONTACTS_AS_IDS)
def test_an_email_or_a_phone_that_is_the_external_id_finds_the_person(
    runtime: Runtime, clock: FrozenClock, request_: Request, external_id: str, hashing: bool
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    others = ["canary.john@shop.example", "+4915123456780", "customer-7", "+49", "a@b", normalise.sha256_hex("his")]
    send(
        runtime,
        merchant,
        of("hers", None, external_id=external_id),
        *(of(f"his{number}", None, external_id=other) for number, other in enumerate(others)),
    )
    his = [f"his{number}" for number in range(len(others))]
    package = orjson.loads(b"".join(as_json(export_person(runtime, merchant.merchant_id, request_))))
    assert [event["event_id"] for event in package["events"]] == ["hers"]
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, request_))
    assert (stored(merchant), done.counts.get("uncertain", 0)) == (his, 0)
    # Nor does it come back, or is linked.
    send(runtime, merchant, of("later", None, external_id=external_id), of("later-his", None, external_id=others[0]))
    with in_transaction():
        found = dict(rows("SELECT event_id, user_data::text FROM events WHERE event_id LIKE 'later%%'"))
    assert found["later"] == "{}"
    assert others[0] in found["later-his"]
    user_data = {"email": "new@shop.example", "external_id": external_id}
    assert not identify(runtime, merchant.holder, "b" * 32, user_data).is_linked
    assert links(merchant) == []


def test_an_external_id_is_found_whatever_nobody_sees_in_it(runtime: Runtime) -> None:
    merchant = new_merchant(runtime)
    send(runtime, merchant, of("hers", None, external_id="customer-\u200b9\ufeff"), of("his", None, external_id="9"))
    for asked in ("customer-9", "\ufeffcustomer\u200b-9"):
        package = orjson.loads(
            b"".join(as_json(export_person(runtime, merchant.merchant_id, Request(external_id=asked))))
        )
        assert [event["event_id"] for event in package["events"]] == ["hers"]


# The same mailbox, as one program writes it and as another does.
SPELLINGS = [
    ("jose\u0301@shop.example", "josé@shop.example"),
    ("josé@shop.example", "jose\u0301@shop.example"),
    ("j@münchen.example", "j@xn--mnchen-3ya.example"),
    ("j@xn--mnchen-3ya.example", "j@münchen.example"),
    ("j@mu\u0308nchen.example", "j@xn--mnchen-3ya.example"),
    ("jose\u0301@münchen.example", "josé@xn--mnchen-3ya.example"),
]


@pytest.mark.parametrize("hashing", [True, False])
def test_another_unicode_form_of_an_address_is_the_same_mailbox(
    runtime: Runtime, clock: FrozenClock, hashing: bool
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    for number, (kept, asked) in enumerate(SPELLINGS):
        send(runtime, merchant, of(f"hers{number}", kept), of("his", "john@shop.example"))
        clock.move(timedelta(minutes=1))
        finish(runtime, clock, begin(runtime, merchant, Request(email=asked)))
        assert f"hers{number}" not in stored(merchant), (kept, asked)
        send(runtime, merchant, of(f"later{number}", kept))
        with in_transaction():
            found = rows("SELECT user_data::text FROM events WHERE event_id = %s", (f"later{number}",))
            assert found == [("{}",)], (kept, asked)
            execute("DELETE FROM suppressions")
    assert "his" in stored(merchant)


@pytest.mark.parametrize("hashing", [True, False])
@pytest.mark.parametrize("asked", ["josé@münchen.example", "josé@xn--mnchen-3ya.example"])
def test_what_is_kept_as_a_text_is_found_in_every_form_of_an_address(
    runtime: Runtime, clock: FrozenClock, asked: str, hashing: bool
) -> None:
    merchant = new_merchant(runtime, hashing=hashing)
    texts = []
    for one in ("josé@münchen.example", "josé@xn--mnchen-3ya.example", "jose\u0301@mu\u0308nchen.example"):
        digests = [hashlib.new(name, one.encode()).hexdigest() for name in ("md5", "sha1")]
        texts += [*digests, one.replace("@", "%40"), quote(one), one.replace("@", '"@').replace("j", '"j', 1)]
    other = hashlib.md5("josé@munchen.example".encode()).hexdigest()
    send(runtime, merchant, of("his", other), *(of(f"hers{number}", text) for number, text in enumerate(texts)))
    assert len(stored(merchant)) == 16
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=asked)))
    assert stored(merchant) == ["his"]
    assert len(done.identifiers) < 20
    send(runtime, merchant, *(of(f"new{number}", text) for number, text in enumerate(texts)))
    with in_transaction():
        assert rows("SELECT event_id FROM events WHERE event_id LIKE 'new%%' AND user_data::text <> '{}'") == []


@pytest.mark.parametrize("hashing", [True, False])
@pytest.mark.parametrize("asked", ["canaryroe@gmail.com", "Canary.Roe+x@gmail.com", "canary.roe@GoogleMail.com"])
def test_what_is_kept_as_a_text_is_found_in_whatever_spelling_a_gmail_address_is_asked_for(
    runtime: Runtime, clock: FrozenClock, asked: str, hashing: bool
) -> None:
    merchant, texts = new_merchant(runtime, hashing=hashing), set[str]()
    as_asked = [asked.lower(), asked.lower().replace("+x", "")]
    for one in ("canaryroe@gmail.com", "canaryroe@googlemail.com", *as_asked):
        digest = normalise.sha256_hex(one)
        texts |= {hashlib.new(name, one.encode()).hexdigest() for name in ("md5", "sha1")}
        texts |= {digest, f"sha256:{digest}", f"0x{digest}", *in_base64(digest)}
        texts |= {one.replace("@", "%40"), quote(one, safe=""), '"{}"@{}'.format(*one.split("@"))}
    hers = {f"hers{number}": text for number, text in enumerate(sorted(texts))}
    neighbours = ["canaryroes@gmail.com", "canary.roe@shop.example", "canaryroe+x@shop.example"]
    his = {f"his{number}": text.replace("@", "%40") for number, text in enumerate(neighbours)}
    send(runtime, merchant, *(of(event_id, text) for event_id, text in {**hers, **his}.items()))
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=asked)))
    assert stored(merchant) == sorted(his)
    assert len(done.identifiers) < 20
    send(runtime, merchant, *(of(f"new-{event_id}", text) for event_id, text in {**hers, **his}.items()))
    with in_transaction():
        found = rows("SELECT event_id FROM events WHERE event_id LIKE 'new%%' AND user_data::text <> '{}' ORDER BY 1")
    assert [event_id for (event_id,) in found] == [f"new-{event_id}" for event_id in sorted(his)]


@pytest.mark.parametrize("old", ["jose\u0301@shop.example", "j@xn--mnchen-3ya.example", "j@münchen.example"])
@pytest.mark.parametrize("spelling", [0, 1])
def test_what_an_older_version_stored_of_an_address_is_found(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, old: str, spelling: int
) -> None:
    asked = next(pair for pair in SPELLINGS if old in pair)[spelling]
    send(runtime, merchant, of("hers", "x@shop.example"))
    digest = normalise.sha256_hex(old)
    with in_transaction():
        execute(
            "UPDATE events SET user_data = %s::jsonb, digests = %s::jsonb",
            (orjson.dumps({"email": digest}).decode(), orjson.dumps({"email": {"basic": digest}}).decode()),
        )
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=asked), suppress=False))
    assert stored(merchant) == []


def test_the_place_of_a_job_is_sealed_while_it_runs(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers-canary"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    assert state(row).finished_at is None
    assert stored(merchant) == []
    assert DIGEST not in dump()
    assert EMAIL not in dump()
    assert "hers-canary" not in dump()


def killed_through(runtime: Runtime, clock: FrozenClock, row: ErasureRow, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every second step ends as by a kill just before its commit; how many did."""
    real, kills = db.save_erasures, 0
    for attempt in range(400):
        if attempt % 2 == 0:

            def killed(some: Sequence[ErasureRow]) -> None:
                real(some)
                raise KeyboardInterrupt

            monkeypatch.setattr(db, "save_erasures", killed)
            try:
                continue_erasures(runtime, 0.001)
            except KeyboardInterrupt:
                kills += 1
            monkeypatch.setattr(db, "save_erasures", real)
        else:
            continue_erasures(runtime, 0.001)
        if state(row).finished_at is not None:
            break
        clock.move(timedelta(seconds=1))
    return kills


def test_killed_at_every_step_it_ends_the_same(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 7)
    monkeypatch.setattr(erase_jobs, "MOST", 2)
    for number in range(40):
        send(runtime, merchant, of(f"e{number:02}", EMAIL if number % 3 == 0 else f"p{number}@shop.example"))
        clock.move(timedelta(milliseconds=1))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    kills = killed_through(runtime, clock, row, monkeypatch)
    done = state(row)
    assert kills > 5
    assert done.counts["events"] == 14
    assert done.counts["deliveries"] == 14
    assert stored(merchant) == [f"e{number:02}" for number in range(40) if number % 3]
    with in_transaction():
        assert rows("SELECT count(*) FROM tombstones") == [(28,)]  # of the id alone, and with the name
    sound(clock)


def test_what_a_worker_has_in_its_hands_is_waited_for(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, between: Any
) -> None:
    send(runtime, merchant, of("hers"), of("hers-too"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(email=EMAIL))
    seen = []

    def meanwhile() -> None:
        continue_erasures(runtime, 30)
        clock.move(ON_ITS_WAY)
        continue_erasures(runtime, 30)
        seen.extend([state(row).stage, stored(merchant)])

    between(meanwhile)
    deliver_due(runtime, worker, merchant.merchant_id, "meta")
    assert seen == ["walk", ["hers", "hers-too", "his"]]
    done = finish(runtime, clock, row)
    assert stored(merchant) == ["his"]
    assert done.platforms["meta"]["delivered"] == 2
    sound(clock)


def test_what_comes_back_from_a_workers_hands_while_it_is_erased_is_counted(
    runtime: Runtime,
    merchant: Merchant,
    worker: int,
    clock: FrozenClock,
    migrated: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"))
    with in_transaction():
        assert claim_due(merchant.merchant_id, "meta", 10, clock.now(), worker) is not None
    with in_transaction():  # a look before: who has it in hand knows
        assert not personal_data.erase_events(merchant.merchant_id, ["hers"], clock.now()).events

    def run(sql: str, params: Any = ()) -> Any:
        found = rows(sql, params)
        if sql is personal_data.DROP:
            with other_session(migrated) as other, other.cursor() as cursor:  # its lease ends
                cursor.execute("DELETE FROM claims")
                other.commit()
        return found

    monkeypatch.setattr("tracklayer.db.personal_data.rows", run)
    with in_transaction():
        gone = personal_data.erase_events(merchant.merchant_id, ["hers"], clock.now())
    assert [*gone.events] == ["hers"]
    assert stored(merchant) == ["his"]
    sound(clock)


def test_two_at_once_each_end(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"), of("theirs", None))
    clock.move(timedelta(minutes=1))
    requests = (Request(email=EMAIL), Request(email=EMAIL, external_id="7"), Request(email="john@shop.example"))
    first, second, third = (begin(runtime, merchant, request) for request in requests)
    done = [finish(runtime, clock, row) for row in (first, second, third)]
    assert [row.counts["events"] for row in done if "events" in row.counts] == [1, 1]
    assert stored(merchant) == ["theirs"]


def test_alerts_and_messages_name_no_erased_event(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    from tracklayer.domain.node_id import node_id

    send(runtime, merchant, of("order-canary-1"), of("his", "john@shop.example"))
    details = {"example_event_id": "order-canary-1", "pair": ["order-canary-1", "his"]}
    node = node_id("Delivery", merchant.merchant_id, "order-canary-1", "meta")
    with in_transaction():
        execute(
            "INSERT INTO alerts (merchant_id, kind, severity, title, message, details, opened_at, last_seen_at) "
            "VALUES (%s, 'platform_down', 'warning', 'x', 'Event `order-canary-1` is an example, `his` none.', %s, %s, %s)",
            (merchant.merchant_id, orjson.dumps(details).decode(), clock.now(), clock.now()),
        )
        execute(
            "INSERT INTO alert_channels (merchant_id, kind, shown, secrets, topics, min_severity, created_at) "
            "VALUES (%s, 'webhook', 'x', '', '{}', 'warning', %s)",
            (merchant.merchant_id, clock.now()),
        )
        execute(
            "INSERT INTO channel_messages (merchant_id, channel_id, type, data, created_at, due_at, next_attempt_at) "
            "VALUES (%s, 1, 'delivery.dropped', %s, %s, %s, %s)",
            (merchant.merchant_id, orjson.dumps({"examples": [{"delivery": node}]}).decode(), *[clock.now()] * 3),
        )
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert done.counts["mentions"] == 2
    assert "order-canary-1" not in dump()
    assert node not in dump()
    with in_transaction():
        ((message, details),) = rows("SELECT message, details FROM alerts")
    assert message == "Event `erased` is an example, `his` none."
    assert details == {"example_event_id": "erased", "pair": ["erased", "his"]}


def minute_sums(merchant: Merchant, platform: str = "") -> tuple[int, ...]:
    with in_transaction():
        found = rows(
            "SELECT sum(accepted), sum(coalesced), sum(rejected), sum(routed), sum(dropped), sum(waiting), sum(purged) "
            "FROM minutes WHERE merchant_id = %s AND platform = %s",
            (merchant.merchant_id, platform),
        )
    return tuple(int(value or 0) for value in found[0])


async def test_what_was_erased_does_not_come_back(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL), suppress=False))
    accepted, coalesced, rejected, *_ = minute_sums(merchant)
    answer = await api.ingest(of("hers"))
    assert (answer["outcome"], answer["event"]) == ("COALESCED", None)
    assert [error["code"] for error in answer["userErrors"]] == ["EVENT_ERASED"]
    again = send(runtime, merchant, of("hers", "someone.else@shop.example"), of("hers"), of("his", "john@shop.example"))
    assert [type(one) for one in again] == [Forgotten, Forgotten, Coalesced]
    assert stored(merchant) == ["his"]
    assert minute_sums(merchant)[:3] == (accepted, coalesced + 4, rejected)
    # Without suppression, another event of hers is anybody's.
    assert [type(one) for one in send(runtime, merchant, of("hers-new"))] == [Accepted]
    sound(clock)


async def test_the_id_of_an_erased_event_under_another_name_is_a_conflict_as_anybodys_is(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"), of("long-ago"), of("his", "john@shop.example"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    with in_transaction():  # a version before kept no mark of the name
        mark = marker_of(runtime).mark(merchant.merchant_id, of_event("long-ago"))
        execute("DELETE FROM tombstones WHERE mark > %s AND substr(mark, 1, 32) = %s", (mark, mark))
        assert rows("SELECT count(*) FROM tombstones") == [(3,)]
    made = await api('mutation { createApiKey(input: {name: "till", scopes: [INGEST]}) { key } }')
    till = Api(api.client, made["createApiKey"]["key"])
    accepted, coalesced, rejected, *_ = minute_sums(merchant)
    told = []
    for event_id, email in (("hers", EMAIL), ("his", "john@shop.example")):
        found = (await till(SENT, input=camel({**of(event_id, email), "event_name": "Lead"})))["ingestEvent"]
        told.append((found["outcome"], found["event"], found["userErrors"]))
        assert (await till(SENT, input=camel(of(event_id, email))))["ingestEvent"]["outcome"] == "COALESCED"
    assert told == [("REJECTED", None, [{"code": "EVENT_ID_CONFLICT"}])] * 2
    assert minute_sums(merchant)[:3] == (accepted, coalesced + 2, rejected + 2)
    old = (await till(SENT, input=camel({**of("long-ago"), "event_name": "Lead"})))["ingestEvent"]
    assert (old["outcome"], old["userErrors"]) == ("COALESCED", [])
    # Who may read hears why. In one call, each is judged by its own name.
    both = send(runtime, merchant, {**of("hers"), "event_name": "Lead"}, of("hers"))
    assert [type(one) for one in both] == [Rejected, Forgotten]
    assert "was erased with its person" in both[0].problems[0].message
    assert stored(merchant) == ["his"]
    sound(clock)


async def test_who_is_suppressed_is_counted_and_left_alone(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    send(runtime, merchant, of("before"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    url = f"https://shop.example.com/p/canary.jane?gclid=canary-click&email={EMAIL}"
    event = {**of("after", EMAIL, first_name="Canarina", gclid="canary-click"), "event_source_url": url}
    event["custom_data"] |= {
        "properties": {"note": f"call {EMAIL}", "cust": "canary-customer"},
        "search_string": "canary jane",
        "content_name": "Gift for Canarina",
        "order_id": "canary-order",
        "contents": [
            {"id": "sku-1", "quantity": 2, "item_price": 9.5, "title": "Canarina's", "coupon": "canary-coupon"}
        ],
    }
    answer = await api.ingest(event)
    assert answer["outcome"] == "ACCEPTED"
    assert "PERSON_SUPPRESSED" in [error["code"] for error in answer["userErrors"]]
    other = send(runtime, merchant, of("by-digest", DIGEST), of("his", "john@shop.example"), event)
    assert [type(one) for one in other] == [Accepted, Accepted, Coalesced]
    assert stored(merchant) == ["after", "by-digest", "his"]
    with in_transaction():
        found = rows(
            "SELECT user_data, digests, sealed, custom_data, event_source_url FROM events WHERE event_id = 'after'"
        )
        deliveries = rows("SELECT event_id, status, drop_reason, due_at FROM deliveries ORDER BY 1")
    assert found[0][:3] == ({}, {}, None)
    assert found[0][3] == {
        "value": 129.99,
        "currency": "USD",
        "contents": [{"id": "sku-1", "quantity": 2, "item_price": 9.5}],
    }
    assert found[0][4] == "https://shop.example.com/"
    assert deliveries[:2] == [(one, "dropped", "suppressed", None) for one in ("after", "by-digest")]
    text = dump()
    assert not [one for one in (DIGEST, "canary", "Canarina") if one in text]
    deliver(runtime, worker, merchant)
    assert minute_sums(merchant, "meta")[3:6] == (4, 3, 0)
    sound(clock)
    # Neither by a redelivery nor as a stored event does it go out.
    search = DeliverySearch(status=("dropped",))
    assert redeliver_matching(runtime, merchant.merchant_id, search).refused == {"the person was erased": 2}
    # Nor is anybody linked with that person.
    holder = merchant.holder
    assert not identify(runtime, holder, "b" * 32, {"email": EMAIL}).is_linked
    assert not identify(runtime, holder, "b" * 32, {"email": DIGEST}).is_linked
    assert DIGEST not in dump()
    lifted = unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert lifted
    send(runtime, merchant, of("changed-her-mind"))
    with in_transaction():
        assert rows("SELECT status FROM deliveries WHERE event_id = 'changed-her-mind'") == [("queued",)]


async def test_who_is_left_alone_stays_so_for_a_destination_that_is_added_later(
    api: Api, runtime: Runtime, clock: FrozenClock
) -> None:
    """No delivery says so: there was none to drop. And who refused is somebody else, though nothing is known of either."""
    shop = new_merchant(runtime, meta=False)
    finish(runtime, clock, begin(runtime, shop, Request(email=EMAIL)))
    clock.move(timedelta(seconds=5))
    refusing = {"ad_user_data": "denied", "ad_personalization": "denied"}
    send(runtime, shop, of("hers"), {**draft("nobodys", user_data={}), "consent": refusing})
    asked = Api(api.client, shop.key)
    stored_ones = """{ hers: event(eventId: "hers") { suppressed preview(platform: META) { verdicts { rule } } }
        nobodys: event(eventId: "nobodys") { suppressed } }"""
    answer = await asked(stored_ones)
    assert [answer[one]["suppressed"] for one in ("hers", "nobodys")] == [True, False]
    assert answer["hers"]["preview"]["verdicts"] == [{"rule": "suppressed"}]
    assert isinstance(set_destination(runtime, shop.merchant_id, "meta", META, None), Changed)
    found = await asked(
        """mutation { deliverStored(platform: META, filter: {receivedSince: "2026-11-01T00:00:00Z"}) {
            matched requeued refused { reason count } userErrors { code } } }"""
    )
    refused = found["deliverStored"].pop("refused")
    assert found["deliverStored"] == {"matched": 2, "requeued": 0, "userErrors": []}
    assert sorted((one["reason"], one["count"]) for one in refused) == [("CONSENT_DENIED", 1), ("SUPPRESSED", 1)]
    with in_transaction():
        row = destination(shop.merchant_id, "meta")
    assert row is not None
    checked = check_destination(runtime, row)
    assert checked is not None
    assert sum(count for reason, count in checked.refused.items() if reason.startswith("SUPPRESSED")) == 1
    sound(clock)


def test_another_merchant_is_asked_nothing(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    other = new_merchant(runtime, name="Other")
    send(runtime, merchant, of("hers"))
    send(runtime, other, of("hers"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert merchant.holder.is_marked
    assert not other.holder.is_marked
    assert [type(one) for one in send(runtime, other, of("hers"), of("new"))] == [Coalesced, Accepted]
    with in_transaction():
        assert rows("SELECT user_data ->> 'email' FROM events WHERE event_id = 'new'") == [(DIGEST,)]


async def test_a_receipt_verifies_until_a_byte_changes(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, tmp_path: Path
) -> None:
    send(runtime, merchant, of("hers-canary"))
    deliver(runtime, worker, merchant)
    clock.move(timedelta(minutes=1))
    started = await api(ERASE, input={"email": EMAIL, "externalId": "customer-canary"})
    erasure = started["erasePerson"]["erasure"]
    assert erasure["state"] == "RUNNING"
    with in_transaction():
        row = db.page_of_erasures(merchant.merchant_id, None, 1)[0]
    finish(runtime, clock, row)
    node = (
        await api(
            "query($id: ID!) { node(id: $id) { ... on Erasure { state receipt eventsErased } } }", id=erasure["id"]
        )
    )["node"]
    assert (node["state"], node["eventsErased"]) == ("FINISHED", 1)
    listed = (await api("{ merchant { erasures(first: 5) { nodes { id state } } } }"))["merchant"]["erasures"]["nodes"]
    assert listed == [{"id": erasure["id"], "state": "FINISHED"}]
    answer = await api.client.get("/.well-known/tracklayer-erasure.json")
    keys = read_keys(answer.content)
    receipt = node["receipt"].encode()
    told = verify_receipt(receipt, keys)
    assert told["requested_by"]["api_key"]["name"] == "first key"
    assert told["deleted"] == {"deliveries": 1, "events": 1}
    assert [(one["platform"], one["acknowledged"]) for one in told["platforms"]] == [("meta", 1)]
    assert "No documented interface" in told["platforms"][0]["what_can_be_done"]
    assert not [one for one in (EMAIL, DIGEST, "hers-canary", "customer-canary") if one in node["receipt"]]
    for place in range(len(receipt)):
        for changed in {receipt[place] ^ 1, ord("A"), ord("0"), ord(" ")} - {receipt[place]}:
            with pytest.raises(ReceiptError):
                verify_receipt(receipt[:place] + bytes([changed]) + receipt[place + 1 :], keys)
    # Without a database, and with a key that was retired since.
    rotate_key(runtime)
    (tmp_path / "receipt.json").write_bytes(receipt + b"\n")
    (tmp_path / "keys.json").write_bytes((await api.client.get("/.well-known/tracklayer-erasure.json")).content)
    assert len(read_keys((tmp_path / "keys.json").read_bytes())) == 2
    verify = ["erase", "verify", str(tmp_path / "receipt.json"), "--keys", str(tmp_path / "keys.json")]
    assert cli.main(verify) == 0
    for changed in (
        receipt.replace(b'"events":1', b'"events":2'),
        b"[" * 100_000,
        receipt.replace(json.dumps(orjson.loads(receipt)["signature"]["key_id"]).encode(), b"[]"),
    ):
        (tmp_path / "receipt.json").write_bytes(changed)
        assert cli.main(verify) == 1
    (tmp_path / "keys.json").write_bytes(b"[" * 100_000)
    assert cli.main(verify) == 1


ERASE = """
mutation($input: ErasePersonInput!, $dryRun: Boolean) {
  erasePerson(input: $input, dryRun: $dryRun) {
    eventsErased deliveriesErased identitiesErased sharedIdentities eventsUncertain uncertainEventIds differentEmails
    differentExternalIds complete receipt erasure { id state } userErrors { field code message }
  }
}"""


async def test_a_request_that_means_nobody_is_refused(api: Api) -> None:
    for given, code in (
        ({}, "REQUIRED"),
        ({"email": "canary at shop"}, "INVALID_VALUE"),
        ({"phone": "0151 1"}, "INVALID_VALUE"),
        ({"externalId": "null"}, "INVALID_VALUE"),
        ({"email": normalise.sha256_hex("")}, "INVALID_VALUE"),
        ({"eventIds": ["x"] * 1001}, "TOO_LARGE"),
    ):
        found = (await api(ERASE, input=given))["erasePerson"]
        assert [error["code"] for error in found["userErrors"]] == [code], given
        assert found["erasure"] is None
    dry = (await api(ERASE, input={"email": EMAIL}, dryRun=True))["erasePerson"]
    assert (dry["eventsErased"], dry["complete"], dry["erasure"]) == (0, True, None)


def test_browsers_of_one_person_go_and_shared_ones_lose_the_link(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    now, john = clock.now(), normalise.sha256_hex("john@shop.example")
    with in_transaction():
        for browser in ("alone", "shared", "johns"):
            identities.show(merchant.merchant_id, [Shown(browser, "gclid", f"click-{browser}", now)])
        identities.link_people(
            merchant.merchant_id,
            [
                Link("alone", "email", DIGEST, {"basic": DIGEST}, now, pair_of(DIGEST, "f" * 64)),
                Link("alone", "phone", "f" * 64, {"digits": "f" * 64}, now),
                Link("shared", "email", DIGEST, {"basic": DIGEST}, now),
                Link("shared", "email", john, {"basic": john}, now),
                Link("johns", "email", john, {"basic": john}, now),
            ],
            now,
        )
    # Without a name: of a browser that is hers alone, of a shared one, and of his.
    send(runtime, merchant, *(of(f"on-{one}", None, browser_id=one) for one in ("alone", "shared", "johns")))
    send(runtime, merchant, of("his-on-alone", None, external_id="john", browser_id="alone"))
    looked = count_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert isinstance(looked, Counted)
    assert (looked.events, looked.browsers, looked.shared) == (1, 2, 1)
    package = list(export_person(runtime, merchant.merchant_id, Request(email=EMAIL)))
    assert [(kind, part.get("event_id") or part.get("browser_id")) for kind, part in package] == [
        ("event", "on-alone"),
        ("browser", "alone"),
        ("browser", "shared"),
    ]
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert stored(merchant) == ["his-on-alone", "on-johns", "on-shared"]
    assert done.counts["identities"] == 2
    with in_transaction():
        left = rows("SELECT browser_id, digest FROM browser_people WHERE digests::text <> '{}' ORDER BY 1")
        # That somebody else uses it stays known: else what she does there would become John's.
        nameless = rows("SELECT browser_id, kind, last_seen_at FROM browser_people WHERE digests::text = '{}'")
        signals = rows("SELECT browser_id FROM browser_signals ORDER BY 1")
    assert left == [("johns", john), ("shared", john)]
    assert nameless == [("shared", "email", now)]
    assert signals == [("johns",), ("shared",)]
    assert DIGEST not in dump()


def test_the_access_package_opens_what_is_sealed(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers", EMAIL, first_name="Jane"), of("his", "john@shop.example"))
    deliver(runtime, worker, merchant)
    found = orjson.loads(b"".join(as_json(export_person(runtime, merchant.merchant_id, Request(email=EMAIL)))))
    assert [event["event_id"] for event in found["events"]] == ["hers"]
    assert found["events"][0]["user_data"]["first_name"] == "Jane"
    assert found["events"][0]["deliveries"][0]["attempts"][0]["outcome"] == "acknowledged"
    assert found["browsers"] == []


def test_marks_outlive_a_rotation_of_the_secret_key(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    mark = marker_of(runtime).mark(1, "x")
    for keys in (
        ["another-secret-key-of-forty-characters-xx", API_KEY_SECRET],
        ["another-secret-key-of-forty-characters-xx"],
    ):
        runtime.sealer, runtime.marker = Sealer(keys), None
        assert marker_of(runtime).mark(1, "x") == mark


def test_thirty_people_leave_a_world_that_is_untouched_to_the_row(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dice = random.Random(20)
    people = [f"person{number}.canary@shop.example" for number in range(30)]
    phones = {email: f"+49151{23450000 + number}" for number, email in enumerate(people)}
    drafts, theirs = list[dict[str, Any]](), set[str]()
    for number in range(3000):
        event_id = f"w{number:05}-{dice.randrange(10**6):06}"
        if dice.random() < 0.06:
            email, theirs = dice.choice(people), theirs | {event_id}
            ways: list[dict[str, Any]] = [
                {"email": email.upper()},
                {"email": normalise.sha256_hex(email)},
                {"emails": ["other@shop.example", email]},
                {"phone": phones[email]},
                {"phone": normalise.sha256_hex(phones[email][1:]), "first_name": "Canarina"},
            ]
            drafts.append(of(event_id, None, **dice.choice(ways)))
        else:
            neighbour = dice.choice([f"n{number}@shop.example", "person1@shop.example", None])
            drafts.append(of(event_id, neighbour))
    for start in range(0, len(drafts), 500):
        send(runtime, merchant, *drafts[start : start + 500])
        if start % 1000 == 0:
            deliver(runtime, worker, merchant)
        clock.move(timedelta(seconds=1))
    clock.move(timedelta(minutes=1))
    with in_transaction():
        all_before = {row[0]: row[1:] for row in rows("SELECT event_id, e::text FROM events e")}
        sent_before = {row[0]: row[1:] for row in rows("SELECT event_id, d::text FROM deliveries d")}
    begun = [begin(runtime, merchant, Request(email=email, phone=phones[email])) for email in people]
    done = [finish(runtime, clock, row) for row in begun]
    assert sum(row.counts.get("events", 0) for row in done) == len(theirs)
    with in_transaction():
        assert {row[0]: row[1:] for row in rows("SELECT event_id, e::text FROM events e")} == {
            key: value for key, value in all_before.items() if key not in theirs
        }
        assert {row[0]: row[1:] for row in rows("SELECT event_id, d::text FROM deliveries d")} == {
            key: value for key, value in sent_before.items() if key not in theirs
        }
    canaries = {*people, *theirs, "Canarina", *phones.values(), *(phone[1:] for phone in phones.values())}
    canaries |= {normalise.sha256_hex(email) for email in people}
    canaries |= {normalise.sha256_hex(phone) for phone in phones.values()}
    canaries |= {normalise.sha256_hex(phone[1:]) for phone in phones.values()}
    # What we log. The database's own driver would tell every statement at this level, which no process of ours lets it.
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("tracklayer"))
    text = dump() + said
    assert [canary for canary in canaries if canary in text] == []
    # Sent again, and imported: nothing comes back, and nothing new is known of anybody.
    again = [draft for draft in drafts if draft["event_id"] in theirs]
    assert {type(one) for one in send(runtime, merchant, *again)} == {Forgotten}
    sound(clock)


def test_who_writes_an_address_alike_is_somebody_else(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """But at Gmail, which has one mailbox for all of them, on two domains."""
    plain = ("anna@firm.example", "jdoe@firm.example", "j.doe@firm.example")
    for number, email in enumerate(plain):
        send(runtime, merchant, of(f"plain-{number}", email), of(f"digest-{number}", normalise.sha256_hex(email)))
    for email in ("an-na@firm.example", "anna+x@firm.example", "j_doe@firm.example", "jdo.e@firm.example"):
        assert count_person(runtime, merchant.merchant_id, Request(email=email)) == Counted(), email
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email="J.Doe@firm.example")))
    assert stored(merchant) == ["digest-0", "digest-1", "plain-0", "plain-1"]
    assert [
        len(one.warnings) for one in send(runtime, merchant, of("n1", normalise.sha256_hex("jdoe@firm.example")))
    ] == [0]
    for number, email in enumerate(
        ("ro.e@googlemail.com", normalise.sha256_hex("roe@googlemail.com"), normalise.sha256_hex("r.oe@gmail.com"))
    ):
        send(runtime, merchant, of(f"roe-{number}", email))
    send(runtime, merchant, of("form", "r.oe%40gmail.com"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email="r.oe@gmail.com")))
    assert [one for one in stored(merchant) if one.startswith(("roe", "form"))] == []


def test_a_number_that_reads_in_two_ways_is_told_and_left(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for platform, settings in (
        ("tiktok", {"pixel_code": "C5H2A3B4D5E6F7G8H9I0", "access_token": "t", "default_country": "DE"}),
        ("meta", {"default_country": "GB"}),
    ):
        assert isinstance(set_destination(runtime, merchant.merchant_id, platform, settings, None), Changed)
    send(runtime, merchant, of("either", None, phone="07911 123456"), of("hers", None, phone="+44 7911 123456"))
    send(runtime, merchant, of("at-home", None, phone="07911 123456", country="GB"))
    for phone, count in (("+497911123456", 0), ("+447911123456", 2)):
        looked = count_person(runtime, merchant.merchant_id, Request(phone=phone))
        assert isinstance(looked, Counted)
        assert (looked.events, looked.uncertain, looked.uncertain_ids) == (count, 1, ["either"])
    refused = count_person(runtime, merchant.merchant_id, Request(phone="07911 123456"))
    assert isinstance(refused, list)
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(phone="+447911123456")))
    assert stored(merchant) == ["either"]
    assert done.counts["uncertain"] == 1
    # Neither is the other one left alone.
    assert send(runtime, merchant, of("his", None, phone="+497911123456"))[0].warnings == ()


@pytest.mark.parametrize("then", ["US", "GB", None])
def test_a_number_that_went_out_by_a_country_of_before_is_told_and_left(
    runtime: Runtime, worker: int, clock: FrozenClock, sandbox: SandboxServer, then: str | None
) -> None:
    """Kept in plain it is read as the destinations say now, and not as they said when it went out."""
    merchant = new_merchant(runtime, hashing=False)

    def read_in(country: str | None) -> None:
        changed = set_destination(runtime, merchant.merchant_id, "meta", {**META, "default_country": country}, None)
        assert isinstance(changed, Changed)

    def looked_for(phone: str) -> tuple[int, list[str]]:
        looked = count_person(runtime, merchant.merchant_id, Request(phone=phone))
        assert isinstance(looked, Counted)
        assert looked.uncertain == len(looked.uncertain_ids)
        return looked.events, sorted(looked.uncertain_ids)

    read_in("DE")
    send(
        runtime,
        merchant,
        of("hers", None, phone="0151 23456789"),
        of("beside", "a@shop.example", phones=["+1 212 555 0123", "0151/23456789"]),
        of("whole", None, phone="+49 151 23456789"),
        of("at-home", None, phone="0151 23456789", country="DE"),
        of("digest", None, phone=normalise.sha256_hex("4915123456780")),
        of("his", None, phone="0151 23456780"),
        of("short", None, phone="56789"),
    )
    assert looked_for(PHONE) == (4, [])
    deliver(runtime, worker, merchant)
    read_in(then)
    assert looked_for(PHONE) == (2, ["beside", "hers"])
    assert looked_for("0049 151 23456789") == (2, ["beside", "hers"])
    assert looked_for("+49 151 23456780") == (1, ["his"])
    assert looked_for("+49 151 23456781") == (0, [])
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(phone=PHONE)))
    assert done.counts["uncertain"] == 2
    assert stored(merchant) == ["beside", "digest", "hers", "his", "short"]
    assert [kind for kind, _ in done.identifiers] == ["phone"] * len(done.identifiers)
    assert unsuppress_person(runtime, merchant.merchant_id, Request(phone=PHONE))


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("8 (916) 123-45-67", "+7 916 123-45-67"),
        ("06 20 123 4567", "+36 20 123 4567"),
        ("1 650-555-0123", "+1 650 555 0123"),
        ("650-555-0123", "+1 650 555 0123"),
        ("02 1234 5678", "+39 02 1234 5678"),
        ("0151 23456789", "0151-23456789"),
    ],
)
def test_a_number_of_no_country_may_be_the_end_of_the_one_asked_for(runtime: Runtime, kept: str, asked: str) -> None:
    merchant = new_merchant(runtime, hashing=False)
    send(runtime, merchant, of("maybe", None, phone=kept), of("no", None, phone=f"{kept}1"))
    looked = count_person(runtime, merchant.merchant_id, Request(phone=asked))
    assert isinstance(looked, Counted)
    assert (looked.events, looked.uncertain_ids) == (0, ["maybe"])


@pytest.mark.parametrize("hashing", [True, False])
def test_a_number_that_is_not_guessed_is_found_as_before(runtime: Runtime, clock: FrozenClock, hashing: bool) -> None:
    """``555-0132`` is no number in the United States: in Germany, where the shop is, it is read, and not sent."""
    merchant = new_merchant(runtime, hashing=hashing)
    changed = set_destination(runtime, merchant.merchant_id, "meta", {**META, "default_country": "DE"}, None)
    assert isinstance(changed, Changed)
    accepted = send(runtime, merchant, of("hers", None, phone="555-0132", country="US"), of("no", None, phone="+12"))
    assert [".".join(warning.field) for warning in accepted[0].warnings] == ["user_data.phone"]
    for asked in ("555-0132", "5550132", "+49 555 0132"):
        looked = count_person(runtime, merchant.merchant_id, Request(phone=asked))
        assert isinstance(looked, Counted)
        assert (looked.events, looked.uncertain) == (1, 0)
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(phone="5550132")))
    assert stored(merchant) == ["no"]
    assert send(runtime, merchant, of("again", None, phone="555-0132", country="US"))[0].warnings != ()
    with in_transaction():
        assert rows("SELECT user_data::text FROM events WHERE event_id = 'again'", ()) == [("{}",)]


def seen(merchant: Merchant, clock: FrozenClock, browser: str, **people: str) -> None:
    """A browser that showed a click, and was seen with somebody in one call."""
    links = []
    for kind, value in people.items():
        digests = normalise.email_digests(value) if kind == "email" else normalise.phone_digests(value, frozenset())
        digest = digests["basic" if kind == "email" else "digits"]
        links.append(Link(browser, kind, digest, digests, clock.now()))
    if {link.kind for link in links} == {"email", "phone"}:
        email, phone = sorted(links, key=lambda link: link.kind)
        links = [replace(email, pair=pair_of(email.digest, phone.digest)), phone]
    with in_transaction():
        identities.show(merchant.merchant_id, [Shown(browser, "gclid", f"click-{browser}", clock.now())])
        identities.link_people(merchant.merchant_id, links, clock.now())
    clock.move(timedelta(seconds=1))


def links(merchant: Merchant) -> list[tuple[str, str]]:
    """(browser, kind) of those that name somebody."""
    with in_transaction():
        return rows(
            "SELECT browser_id, kind FROM browser_people WHERE merchant_id = %s AND digests::text <> '{}' ORDER BY 1, 2",
            (merchant.merchant_id,),
        )


LAPTOP = "1aptop0f" * 4


def test_an_asked_browser_that_others_use_gives_what_names_nobody(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    for email in ("bob@other.example", "carl@other.example"):
        seen(merchant, clock, LAPTOP, email=email)
    send(runtime, merchant, of("nobodys", None, browser_id=LAPTOP + " "), of("doras", "dora@new.example"))
    for name in ("bob", "carl"):
        send(runtime, merchant, of(f"{name}s", f"{name}@other.example", browser_id=LAPTOP))
    send(runtime, merchant, of("number-7s", None, external_id="7", browser_id=LAPTOP))
    for request, events in (
        (Request(browser_id=LAPTOP), ["nobodys"]),
        (Request(browser_id=LAPTOP, email="dora@new.example"), ["doras", "nobodys"]),
    ):
        looked = count_person(runtime, merchant.merchant_id, request)
        assert isinstance(looked, Counted)
        assert (looked.events, looked.browsers, looked.shared, looked.uncertain) == (len(events), 1, 1, 3)
        assert looked.uncertain_ids == ["bobs", "carls", "number-7s"]
        package = list(export_person(runtime, merchant.merchant_id, request))
        assert sorted(part["event_id"] for kind, part in package if kind == "event") == events
        assert [part for kind, part in package if kind == "browser"] == [
            {"browser_id": LAPTOP, "shared_with_others": True}
        ]
    clock.move(timedelta(minutes=1))
    assert not begin(runtime, merchant, Request(browser_id=LAPTOP)).suppress  # it would be whoever uses it
    done = finish(runtime, clock, begin(runtime, merchant, request))
    assert stored(merchant) == ["bobs", "carls", "number-7s"]
    assert links(merchant) == [(LAPTOP, "email")] * 2
    told = orjson.loads(done.receipt or "")["receipt"]
    assert told["browsers"] == {"forgotten": 0, "shared_and_kept": 1}
    assert told["events_kept_as_uncertain"] == 3
    # Nobody is left alone but Dora.
    after = send(runtime, merchant, of("x", None, browser_id=LAPTOP), of("b", "bob@other.example", browser_id=LAPTOP))
    assert [one.warnings for one in after] == [(), ()]


def test_an_asked_browser_of_one_person_goes_with_what_that_person_did_there(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    seen(merchant, clock, LAPTOP, email=EMAIL, phone="+4915123456789")
    send(runtime, merchant, of("hers", EMAIL, browser_id=LAPTOP), of("nobodys", None, browser_id=LAPTOP))
    send(runtime, merchant, of("elsewhere", EMAIL), of("johns", "john@shop.example", phone="+12125550123"))
    clock.move(timedelta(minutes=1))
    row = begin(runtime, merchant, Request(browser_id=LAPTOP))
    done = finish(runtime, clock, row)
    assert stored(merchant) == ["elsewhere", "johns"]
    assert (done.counts["identities"], links(merchant)) == (1, [])
    # What names only the browser is of the person who is left alone; what names somebody is not.
    anonymous, named = send(
        runtime, merchant, of("after", None, browser_id=LAPTOP), of("named", "john@shop.example", browser_id=LAPTOP)
    )
    assert [one.code for one in anonymous.warnings] == ["PERSON_SUPPRESSED"]
    assert named.warnings == ()


def test_what_a_person_is_known_by_through_erased_events_goes_too(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Asked for by a customer's number: the email and phone that came with it stay linked with no browser."""
    send(runtime, merchant, of("hers", EMAIL, phone="+4915123456789", external_id="eve-1", browser_id=LAPTOP))
    seen(merchant, clock, "4f8a1c5e9b-johns", email="john@shop.example")
    send(runtime, merchant, of("nobodys", None, browser_id=LAPTOP), of("johns", None, browser_id="4f8a1c5e9b-johns"))
    assert links(merchant) == [(LAPTOP, "email"), (LAPTOP, "phone"), ("4f8a1c5e9b-johns", "email")]
    looked = count_person(runtime, merchant.merchant_id, Request(external_id="eve-1"))
    assert isinstance(looked, Counted)
    assert (looked.events, looked.browsers, looked.shared) == (2, 1, 0)
    package = list(export_person(runtime, merchant.merchant_id, Request(external_id="eve-1")))
    assert [part.get("event_id") for _, part in package] == ["hers", "nobodys", None]
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(external_id="eve-1")))
    assert stored(merchant) == ["johns"]
    assert links(merchant) == [("4f8a1c5e9b-johns", "email")]
    assert [len(one.warnings) for one in send(runtime, merchant, of("later", None, browser_id=LAPTOP))] == [1]
    # By its id alone an event takes its links along, and nothing else.
    send(runtime, merchant, of("single", None, phone="+12125550123", browser_id="4f8a1c5e9b-johns"))
    row = begin(runtime, merchant, Request(event_ids=("single",)))
    done = finish(runtime, clock, row)
    assert links(merchant) == [("4f8a1c5e9b-johns", "email")]
    assert (orjson.loads(done.receipt or "")["receipt"]["suppressed"], stored(merchant)) == (False, ["johns", "later"])


def test_a_shared_browser_stays_shared(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    """Kim and Lee, and a lodger of whom only the phone is known: what Kim does next is nobody's, and her phone goes with her."""
    for browser in ("4f8a1c5e9b2d-lee", "4f8a1c5e9b2d-lodger"):
        seen(merchant, clock, browser, email="kim@home.example", phone="+4915199990001")
    seen(merchant, clock, "4f8a1c5e9b2d-lee", email="lee@home.example")
    seen(merchant, clock, "4f8a1c5e9b2d-lodger", phone="+4915199990002")
    clock.move(timedelta(minutes=1))
    begun = begin(runtime, merchant, Request(email="kim@home.example"))
    done = finish(runtime, clock, begun)
    assert done.counts["shared"] == 2
    assert links(merchant) == [("4f8a1c5e9b2d-lee", "email"), ("4f8a1c5e9b2d-lodger", "phone")]
    for browser in ("4f8a1c5e9b2d-lee", "4f8a1c5e9b2d-lodger"):
        send(runtime, merchant, of(f"after-{browser}", None, browser_id=browser))
    with in_transaction():
        found = list(
            events_by_id(merchant.merchant_id, ["after-4f8a1c5e9b2d-lee", "after-4f8a1c5e9b2d-lodger"]).values()
        )
    given = {
        key: [one.field for one in value.fields]
        for key, value in decisions(runtime, merchant.merchant_id, found).items()
    }
    assert given["after-4f8a1c5e9b2d-lee"] == ["gclid"]


def test_who_is_one_person_is_the_same_to_stitching_and_to_erasure(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    """An email and a phone that came at one instant by two calls are two people; those of one call are one, whenever they
    were first seen.
    """
    at_once, later = "4f8a1c5e9b2d-once", "4f8a1c5e9b2d-later"
    for said in ({"email": EMAIL}, {"phone": "+4915199990001"}):
        assert identify(runtime, merchant.holder, at_once, said).is_linked
        assert identify(runtime, merchant.holder, later, said).is_linked
    clock.move(timedelta(hours=2))
    assert identify(runtime, merchant.holder, later, {"email": EMAIL, "phone": "+4915199990001"}).is_linked
    for browser in (at_once, later):
        send(runtime, merchant, of(f"in-{browser}", None, browser_id=browser))
    deliver(runtime, worker, merchant)
    with in_transaction():
        decided = enrichments.decided(merchant.merchant_id, [f"in-{at_once}", f"in-{later}"])
    assert decided[f"in-{at_once}"].note is Note.SHARED_BROWSER
    assert {one.field for one in decided[f"in-{later}"].fields} >= {"email", "phone"}
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    assert (done.counts["identities"], done.counts["shared"]) == (2, 1)
    assert links(merchant) == [(at_once, "phone")]
    assert stored(merchant) == [f"in-{at_once}"]


def test_what_anothers_event_got_of_an_erased_browser_does_not_name_it(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    """Bob's order got a click of the browser that he and Jane use; then it is long ago that he was seen there."""
    john = "john@shop.example"
    seen(merchant, clock, LAPTOP, email=john)
    send(runtime, merchant, of("his", john))
    deliver(runtime, worker, merchant)
    with in_transaction():
        before = enrichments.decided(merchant.merchant_id, ["his"])["his"]
        execute("DELETE FROM browser_people")
        sent = rows("SELECT e::text FROM events e"), rows("SELECT d::text FROM deliveries d")
    assert {one.browser_id for one in before.fields} == {LAPTOP}
    seen(merchant, clock, LAPTOP, email=EMAIL)
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL), suppress=False))
    assert (done.counts["identities"], done.counts["mentions"]) == (1, 1)
    assert LAPTOP not in dump().replace(f"click-{LAPTOP}", "")  # the click is his
    with in_transaction():
        assert enrichments.decided(merchant.merchant_id, ["his"])["his"].fields == tuple(
            one._replace(browser_id=None) for one in before.fields
        )
        assert (rows("SELECT e::text FROM events e"), rows("SELECT d::text FROM deliveries d")) == sent


def test_a_link_of_another_gmail_spelling_is_found(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    seen(merchant, clock, LAPTOP, email="ja.ne.dot@gmail.com")
    send(runtime, merchant, of("nobodys", None, browser_id=LAPTOP))
    looked = count_person(runtime, merchant.merchant_id, Request(email="janedot@googlemail.com"))
    assert isinstance(looked, Counted)
    assert (looked.events, looked.browsers) == (1, 1)
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email="janedot@googlemail.com")))
    assert (stored(merchant), links(merchant), done.counts["identities"]) == ([], [], 1)


# By which digest somebody is asked for -> how a browser was told of them.
SAID_AS = {
    "basic": {"email": EMAIL},
    "google": {"email": "canary.jane@gmail.com"},
    "gmail": {"email": "canaryjane@googlemail.com"},
    "decomposed": {"email": "canaryjan\u00e9@shop.example"},
    "other_host": {"email": "canaryjane@m\u00fcnchen.example"},
    "digits": {"phone": "+49 151 23456789"},
    "e164": {"phone": "+49 151 23456789"},
}


def test_every_digest_that_tells_has_a_spelling() -> None:
    assert {rule for rules in TELLING.values() for rule in rules} == SAID_AS.keys()


@pytest.mark.parametrize("rule", SAID_AS)
def test_a_link_that_no_event_tells_of_goes_by_each_digest_that_tells_whose_an_event_is(
    rule: str, runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    ((kind, said),), browser = SAID_AS[rule].items(), "4f8a1c5e9b2d7f60a1b2c3d4e5f60718"
    digests = normalise.email_digests(said) if kind == "email" else normalise.phone_digests(said, frozenset())
    asked = Request(email=digests[rule]) if kind == "email" else Request(phone=digests[rule])
    assert identify(runtime, merchant.holder, browser, {kind: said}).is_linked
    send(runtime, merchant, of("hers", None, **{kind: said}))
    looked = count_person(runtime, merchant.merchant_id, asked)
    assert isinstance(looked, Counted)
    assert (looked.events, looked.browsers) == (1, 1)
    clock.move(timedelta(minutes=1))
    done = finish(runtime, clock, begin(runtime, merchant, asked))
    assert json.loads(done.receipt or "")["receipt"]["browsers"] == {"forgotten": 1, "shared_and_kept": 0}
    send(runtime, merchant, {**of("later", None, browser_id=browser), "occurred_at": clock.now()})
    assert not identify(runtime, merchant.holder, browser, {kind: said}).is_linked
    assert not identify(runtime, merchant.holder, f"another-{browser}", {kind: said}).is_linked
    deliver(runtime, worker, merchant)
    left = dump()
    assert all(digest not in left for digest in digests.values())
    with in_transaction():
        assert rows("SELECT event_id, drop_reason FROM deliveries") == [("later", "suppressed")]


def test_an_erased_browser_is_left_alone_until_the_person_is_let_back(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    seen(merchant, clock, LAPTOP, email=EMAIL)
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL, phone="+4915123456789")))
    assert [len(one.warnings) for one in send(runtime, merchant, of("after", None, browser_id=LAPTOP))] == [1]
    assert not identify(runtime, merchant.holder, LAPTOP, {"email": "john@shop.example"}).is_linked
    assert unsuppress_person(runtime, merchant.merchant_id, Request(email=EMAIL))
    assert [len(one.warnings) for one in send(runtime, merchant, of("again", None, browser_id=LAPTOP))] == [0]


def test_an_erased_browser_that_is_not_left_alone_comes_back_as_another(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    seen(merchant, clock, LAPTOP, email=EMAIL)
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL), suppress=False))
    (mark,) = marker_of(runtime).marks(merchant.merchant_id, [of_browser(LAPTOP)])
    with in_transaction():
        assert barred([(merchant.merchant_id, mark)]) == {(merchant.merchant_id, mark): False}
    assert [len(one.warnings) for one in send(runtime, merchant, of("after", None, browser_id=LAPTOP))] == [0]


def test_a_refusal_outlives_the_browser(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    with in_transaction():
        identities.show(merchant.merchant_id, [Shown(LAPTOP, None, None, clock.now(), "denied")])
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(browser_id=LAPTOP), suppress=False))
    assert LAPTOP not in dump()
    assert not identify(runtime, merchant.holder, LAPTOP, {"email": EMAIL}).is_linked


def test_what_was_on_its_way_for_long_is_found(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    call = judge(runtime, merchant.holder, [of("late")])  # by a process that then stood still
    row = begin(runtime, merchant, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    continue_erasures(runtime, 30)
    assert state(row).stage == "settling"
    with in_transaction(), suppress(StopIteration):
        steps = store([call], runtime.settings.retry_window, begin_storing(LATE_SECONDS))
        statement, arguments = next(steps)
        while True:
            statement, arguments = steps.send(run_statement(statement, arguments))
    assert stored(merchant) == ["late"]
    finish(runtime, clock, row)
    assert stored(merchant) == []


# What ``guest`` is to the search: events with it are found by each of these.
UNSEEN_GUESTS = (
    "\u200bguest",
    "guest\ufeff",
    " \u2060Guest\u00ad ",
    "\u200b",
    "\ufeff \u200b",
    "'guest'",
    "00000000-0000-0000-0000-000000000000",
    "5.67891E+12",
    *(normalise.sha256_hex(word) for word in ("guest", "Guest", "GUEST", "n/a", "N/A")),
    normalise.sha256_hex("guest").upper(),
    f"\u200b{normalise.sha256_hex('guest')}.AQ",
    f"\ufeff{normalise.sha256_hex('')}",
)


def test_the_digest_of_a_word_for_everybody_is_nobodys_email_or_phone(runtime: Runtime, merchant: Merchant) -> None:
    guest = normalise.sha256_hex("guest")
    send(runtime, merchant, of("hers", external_id=guest), of("his", "john@shop.example", external_id=guest))
    for request in (Request(email=guest), Request(phone=guest)):
        found = count_person(runtime, merchant.merchant_id, request)
        assert isinstance(found, list)
        assert [problem.code for problem in found] == ["INVALID_VALUE"]


async def test_a_dry_run_tells_what_may_be_many_people(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    seen(merchant, clock, LAPTOP, email="a@shop.example")
    for number in range(3):
        send(runtime, merchant, of(f"e{number}", f"p{number}@shop.example", external_id="1", browser_id=LAPTOP))
    send(runtime, merchant, of("ring", None, external_id="2", browser_id=LAPTOP))
    found = (await api(ERASE, input={"externalId": "1", "browserId": LAPTOP}, dryRun=True))["erasePerson"]
    assert (found["eventsErased"], found["differentEmails"], found["differentExternalIds"]) == (3, 3, 1)
    assert (found["eventsUncertain"], found["uncertainEventIds"], found["sharedIdentities"]) == (1, ["ring"], 1)
    for nobody in ("guest", "Unknown", " n/a ", "anonymous", *UNSEEN_GUESTS):
        refused = (await api(ERASE, input={"externalId": nobody}, dryRun=True))["erasePerson"]
        assert [error["code"] for error in refused["userErrors"]] == ["INVALID_VALUE"], ascii(nobody)
    counted = count_person(runtime, merchant.merchant_id, Request(external_id="1", browser_id=LAPTOP))
    assert isinstance(counted, Counted)
    said = _would_go(counted)
    assert "3 events with 3 deliveries would be erased, and 0 browsers forgotten." in said
    assert "1 browser that others were seen with too would stay" in said
    assert "3 emails, 1 external id, all different" in said
    assert "1 event would stay, as it may be somebody else's" in said
    assert said.endswith(": ring")


SENT = """
mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) { outcome event { eventId timesReceived deliveries { status } } userErrors { code } }
}"""
SENT_LATER = """
mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome event { receivedAt lastReceivedAt deliveries { id platform status queuedAt } } userErrors { code }
  }
}"""
PREVIEW = """
query($input: IngestEventInput!) { preview(input: $input, platform: META) { request wouldSend verdicts { rule } } }"""
IDENTIFY = """
mutation($browser: String!, $email: String!) {
  identify(input: {browserId: $browser, userData: {email: $email}}) { ok userErrors { code } }
}"""


async def test_who_may_only_send_is_not_told_who_was_erased(
    api: Api, runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, sandbox: SandboxServer
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL, external_id="customer-7")))
    made = await api('mutation { createApiKey(input: {name: "till", scopes: [INGEST]}) { key } }')
    till = Api(api.client, made["createApiKey"]["key"])
    with in_transaction():
        before = rows("SELECT count(*) FROM browser_people")
    for event_id, email in (("hers-new", EMAIL), ("johns", "john@shop.example")):
        found = (await till(SENT, input=camel(of(event_id, email))))["ingestEvent"]
        assert (found["outcome"], found["userErrors"]) == ("ACCEPTED", [])
        assert found["event"]["deliveries"] == [{"status": "QUEUED"}]
        found = await till(IDENTIFY, browser=LAPTOP[::-1], email=email)
        assert found["identify"] == {"ok": True, "userErrors": []}
    found = (await till(SENT, input=camel(of("hers"))))["ingestEvent"]
    assert (found["outcome"], found["userErrors"]) == ("COALESCED", [])
    assert (found["event"]["eventId"], found["event"]["timesReceived"]) == ("hers", 2)
    assert stored(merchant) == ["hers-new", "johns"]
    with in_transaction():  # John's alone
        assert rows("SELECT count(*) FROM browser_people") == [(before[0][0] + 1,)]
    # Nor later, by what became of the deliveries.
    clock.move(timedelta(seconds=5))
    deliver(runtime, worker, merchant)
    queued: dict[str, Any] = {}
    for event_id, email in (("hers-new", EMAIL), ("johns", "john@shop.example"), ("hers", EMAIL)):
        found = (await till(SENT_LATER, input=camel(of(event_id, email))))["ingestEvent"]
        assert (found["outcome"], found["userErrors"]) == ("COALESCED", [])
        (delivery,) = found["event"]["deliveries"]
        assert (delivery["platform"], delivery["status"]) == ("META", "QUEUED")
        assert delivery["queuedAt"] == found["event"]["receivedAt"]
        queued[event_id] = found["event"]["lastReceivedAt"]
    assert len(set(queued.values())) == 1
    stands = {
        event_id: (await api(f'{{ event(eventId: "{event_id}") {{ deliveries {{ status }} }} }}'))["event"][
            "deliveries"
        ]
        for event_id in ("hers-new", "johns")
    }
    assert stands == {"hers-new": [{"status": "DROPPED"}], "johns": [{"status": "DELIVERED"}]}
    # Who may read is told.
    found = (await api(IDENTIFY, browser=LAPTOP, email=EMAIL))["identify"]
    assert (found["ok"], [error["code"] for error in found["userErrors"]]) == (False, ["PERSON_SUPPRESSED"])
    user_data = {"email": "new@shop.example", "externalId": "customer-7"}
    both = await api(
        "mutation($input: IdentifyInput!) { identify(input: $input) { ok } }",
        input={"browserId": LAPTOP, "userData": user_data},
    )
    assert both["identify"] == {"ok": False}
    refused = {"wouldSend": False, "request": None, "verdicts": [{"rule": "suppressed"}]}
    assert (await api(PREVIEW, input=camel(of("p", EMAIL))))["preview"] == refused
    assert (await api(PREVIEW, input=camel(of("p", "john@shop.example"))))["preview"]["wouldSend"]
    event = await api(
        '{ event(eventId: "hers-new") { suppressed preview(platform: META) { wouldSend verdicts { rule } } '
        "deliveries { status dropReason preview { wouldSend } } } }"
    )
    assert event["event"] == {
        "suppressed": True,
        "preview": {"wouldSend": False, "verdicts": [{"rule": "suppressed"}]},
        "deliveries": [{"status": "DROPPED", "dropReason": "SUPPRESSED", "preview": {"wouldSend": False}}],
    }


def test_a_merchant_who_begins_many_keeps_nobody_waiting(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_merchant(runtime, name="Other")
    for number in range(20):
        begin(runtime, merchant, Request(email=f"p{number}@shop.example"))
    clock.move(timedelta(milliseconds=1))
    row = begin(runtime, other, Request(email=EMAIL))
    clock.move(ON_ITS_WAY)
    turns = []
    for _ in range(12):
        clock.move(timedelta(milliseconds=1))
        with in_transaction():
            taken = db.take_turn(clock.now())
            assert isinstance(taken, WalkRow)
            taken.next_at = clock.now()
            db.save_walk(taken)
        turns.append(taken.merchant_id)
    assert turns.count(other.merchant_id) == 6
    monkeypatch.setattr(erase, "MAX_OPEN", 20)
    found = erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), OPERATOR, suppress=True)
    assert isinstance(found, list)
    assert [one.code for one in found] == ["TOO_MANY_ERASURES"]
    assert finish(runtime, clock, row).finished_at is not None


def test_a_receipt_tells_the_first_attempt_of_all(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    deliver(runtime, worker, merchant)
    first = clock.now()
    with in_transaction():
        ((logged,),) = rows("SELECT attempt_log -> 0 ->> 'at' FROM deliveries")
    clock.move(timedelta(hours=1))
    with in_transaction():  # redelivered since
        execute("UPDATE deliveries SET last_attempt_at = %s, delivered_at = %s", (clock.now(), clock.now()))
    done = finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    given = done.platforms["meta"]
    assert datetime.fromisoformat(given["first_at"]) == datetime.fromisoformat(logged) <= first < clock.now()
    assert datetime.fromisoformat(given["last_at"]) > first


def test_an_erased_event_stays_away_when_events_are_kept_for_longer(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("hers"))
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    clock.move(timedelta(days=100))  # of a merchant who kept events for 90 days, and keeps them for a year now
    purge_erasures(runtime)
    again = {**of("hers"), "occurred_at": clock.now()}
    assert [type(one) for one in send(runtime, merchant, again)] == [Forgotten]
    clock.move(timedelta(days=266))
    purge_erasures(runtime)
    with in_transaction():
        assert rows("SELECT count(*) FROM tombstones") == [(0,)]


async def test_a_check_of_settings_tells_suppressed_from_refused(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    clock.move(timedelta(minutes=1))
    finish(runtime, clock, begin(runtime, merchant, Request(email=EMAIL)))
    send(runtime, merchant, of("hers"), of("johns", "john@shop.example"))
    with in_transaction():
        row = destination(merchant.merchant_id, "meta")
    assert row is not None
    found = check_destination(runtime, row)
    assert found is not None
    assert (found.would_send, found.refused) == (1, {"SUPPRESSED": 1})


def test_killed_at_every_step_browsers_that_events_tell_of_go_once(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_jobs, "PAGE", 5)
    monkeypatch.setattr(erase_jobs, "MOST", 2)
    for number in range(6):
        browser = f"{number}4f8a1c5e9b2d7f6" * 2
        whose = {"external_id": "eve-1"} if number % 2 == 0 else {}
        send(runtime, merchant, of(f"anonymous-{number}", None, browser_id=browser))
        send(runtime, merchant, of(f"named-{number}", f"p{number}@shop.example", browser_id=browser, **whose))
        clock.move(timedelta(milliseconds=1))
    clock.move(timedelta(minutes=1))
    looked = count_person(runtime, merchant.merchant_id, Request(external_id="eve-1"))
    assert isinstance(looked, Counted)
    row = begin(runtime, merchant, Request(external_id="eve-1"))
    kills = killed_through(runtime, clock, row, monkeypatch)
    done = state(row)
    assert kills > 5
    assert (done.counts["events"], done.counts["identities"]) == (looked.events, looked.browsers) == (6, 3)
    assert stored(merchant) == [f"{kind}-{number}" for kind in ("anonymous", "named") for number in (1, 3, 5)]
    assert [browser for browser, _ in links(merchant)] == [f"{number}4f8a1c5e9b2d7f6" * 2 for number in (1, 3, 5)]
    sound(clock)


def test_who_joins_by_a_clock_that_is_behind_makes_it_look_at_no_less(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    send(runtime, merchant, of("before"))
    clock.move(timedelta(seconds=3))
    send(runtime, merchant, of("between"))
    clock.move(timedelta(seconds=2))
    first = erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), {"key": "first"}, suppress=False)
    clock.move(timedelta(seconds=-3))
    second = erase_person(runtime, merchant.merchant_id, Request(email=EMAIL), {"key": "second"}, suppress=False)
    assert isinstance(first, Begun)
    assert isinstance(second, Begun)
    assert second.is_another
    clock.move(timedelta(seconds=3))
    finish(runtime, clock, first.erasure)
    assert stored(merchant) == []


def test_of_a_browser_of_very_many_the_latest_people_are_looked_at(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, worker: int
) -> None:
    """One call may link more than a browser keeps: their order by key must not decide whom it looks at."""
    now, browser = clock.now(), "0123456789abcdef0123456789abcdef"
    emails = sorted((f"person{n}@shop.example" for n in range(150)), key=normalise.sha256_hex)[:110]
    ages = [timedelta(days=35)] * 99 + [timedelta(hours=4)] + [timedelta(hours=3, minutes=-n) for n in range(10)]
    batch = [
        draft(f"e{n}", occurred_at=(now - age).isoformat(), user_data={"browser_id": browser, "email": email})
        for n, (email, age) in enumerate(zip(emails, ages, strict=True))
    ]
    send(runtime, merchant, *batch)
    clock.move(timedelta(minutes=1))
    who = {"browser_id": browser, "client_ip": "203.0.113.42", "client_user_agent": AGENT}
    send(runtime, merchant, draft("anonymous", occurred_at=clock.now().isoformat(), user_data=who))
    clock.move(timedelta(minutes=1))
    deliver(runtime, worker, merchant)
    with in_transaction():
        found = rows("SELECT fields::text FROM enrichments WHERE event_id = 'anonymous'")
    assert found == [("[]",)]
