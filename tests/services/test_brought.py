"""Which links of a browser an erasure takes for the person's: those that their own events brought, and no others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.factories import draft
from tracklayer.domain.normalise import sha256_hex
from tracklayer.domain.person import people_of_event, tokens_of_email
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.sealing import Sealer
from tracklayer.services.erase import MOST_BROUGHT, Tale, Wanted
from tracklayer.services.persist import to_record

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
BROWSER_OF_TWO = "4f8a1c5e9b2d7f60" * 2


def told_of(**user_data: Any) -> Tale:
    read = read_event(draft(user_data={"browser_id": BROWSER_OF_TWO, **user_data}), NOW)
    assert isinstance(read, ReadEvent)
    record = to_record(read.event, 1, NOW, Sealer(["x" * 40]), True, frozenset())
    return Tale(BROWSER_OF_TWO, people_of_event(record["user_data"], record["digests"], frozenset()))


def test_of_several_addresses_in_an_event_of_a_person_only_their_own_is_theirs() -> None:
    """With the others went links of people whom nobody asked to have erased."""
    wanted = Wanted(frozenset(tokens_of_email("jane@example.com")))
    assert wanted.bring([told_of(emails=["jane@example.com", "john@example.com"], phone="+4915112345678")])
    assert {digest for _, digest in wanted.brought} >= {sha256_hex("jane@example.com")}
    assert sha256_hex("john@example.com") not in {digest for _, digest in wanted.brought}
    assert len(wanted.brought) == 2, "a number beside her address is hers: nothing says otherwise"
    assert not wanted.bring([told_of(emails=["jane@example.com", "john@example.com"])])


def test_what_events_of_a_person_bring_is_bounded() -> None:
    wanted = Wanted(frozenset(tokens_of_email("jane@example.com")))
    tales = [Tale(f"browser_{number}", [("email", sha256_hex("x"), set())]) for number in range(MOST_BROUGHT + 10)]
    assert wanted.bring(tales)
    assert len(wanted.brought) == MOST_BROUGHT == 5000
