"""A process remembers which browsers and people it has stored together, as long as nobody may have deleted that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.factories import Merchant, draft
from tracklayer.clock import FrozenClock
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.merchants import KeyHolder, merchant_holder
from tracklayer.domain.event import Event, UserData
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import LINK_GRAIN
from tracklayer.runtime import Runtime
from tracklayer.services.erase import Begun, Request, erase_person
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.ingest import ingest_events
from tracklayer.services.intake import Intake
from tracklayer.services.linking import PROMPT_SECONDS, KnownLinks, Together

BROWSER = "browser_of_jane_000001"
PEOPLE: dict[str, Any] = {"browser_id": BROWSER, "email": "jane@example.com", "phone": "+16505550123"}


def of(event_id: str, at: datetime, **user_data: Any) -> dict[str, Any]:
    return draft(event_id, occurred_at=at.isoformat(), user_data=PEOPLE | user_data)


def links(merchant: Merchant) -> list[tuple[Any, ...]]:
    with in_transaction():
        return rows(
            "SELECT kind, last_seen_at FROM browser_people WHERE merchant_id = %s ORDER BY kind",
            (merchant.merchant_id,),
        )


def forget(merchant: Merchant) -> None:
    """So that it shows whether a link is written, or looked for."""
    with in_transaction():
        execute("DELETE FROM browser_people WHERE merchant_id = %s", (merchant.merchant_id,))


def holder_of(merchant: Merchant) -> KeyHolder:
    with in_transaction():
        found = merchant_holder(merchant.merchant_id)
    assert found is not None
    return replace(found, scopes=merchant.holder.scopes)


async def test_who_was_linked_within_the_hour_is_not_looked_for(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    intake, began = Intake(runtime, lambda _: None), clock.now()
    await intake.ingest(merchant.holder, [of("a", clock.now())])
    assert links(merchant) == [("email", began), ("phone", began)]
    forget(merchant)
    clock.move(LINK_GRAIN)
    await intake.ingest(merchant.holder, [of("b", clock.now())])
    await intake.ingest(merchant.holder, [of(f"many_{n}", clock.now()) for n in range(60)])  # by the other connection
    assert links(merchant) == []
    another = of("c", clock.now(), phone="+16505550124")  # with another phone, it says that both are one person's
    await intake.ingest(merchant.holder, [another])
    assert len(links(merchant)) == 2
    forget(merchant)
    later = clock.move(timedelta(milliseconds=1))
    await intake.ingest(merchant.holder, [of("d", later)])
    assert links(merchant) == [("email", later), ("phone", later)]
    await intake.close()


async def test_what_another_process_wrote_is_known_since_it_was_written(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Else what is stored of a person who comes all the time would lag behind by more than an hour."""
    intake, began = Intake(runtime, lambda _: None), clock.now()
    ingest_events(runtime, merchant.holder, [of("a", began)])
    clock.move(timedelta(minutes=50))
    await intake.ingest(merchant.holder, [of("b", clock.now())])
    assert links(merchant) == [("email", began), ("phone", began)]
    clock.move(timedelta(minutes=10))
    await intake.ingest(merchant.holder, [of("c", clock.now())])
    assert links(merchant) == [("email", began), ("phone", began)]
    later = clock.move(timedelta(minutes=1))
    await intake.ingest(merchant.holder, [of("d", later)])
    assert links(merchant) == [("email", later), ("phone", later)]
    await intake.close()


async def test_a_repeat_makes_nothing_known(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    intake = Intake(runtime, lambda _: None)
    ingest_events(runtime, merchant.holder, [draft("a", user_data={"email": "jane@example.com"})])
    await intake.ingest(merchant.holder, [of("a", clock.now())])
    assert links(merchant) == []
    await intake.ingest(merchant.holder, [of("b", clock.now())])
    assert len(links(merchant)) == 2
    await intake.close()


def erase(runtime: Runtime, merchant: Merchant, email: str) -> None:
    found = erase_person(runtime, merchant.merchant_id, Request(email=email), {"operator": "test"}, suppress=False)
    assert isinstance(found, Begun)


def go_on(runtime: Runtime, clock: FrozenClock) -> None:
    for _ in range(120):
        clock.move(timedelta(seconds=1))
        continue_erasures(runtime, 30)


@pytest.mark.parametrize("was_marked", [False, True])
async def test_an_erasure_ends_what_was_known(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock, was_marked: bool
) -> None:
    intake = Intake(runtime, lambda _: None)
    if was_marked:
        erase(runtime, merchant, "someone@example.com")
        go_on(runtime, clock)
    await intake.ingest(holder_of(merchant), [of("a", clock.now())])
    forget(merchant)
    await intake.ingest(holder_of(merchant), [of("b", clock.now())])
    assert links(merchant) == []  # it is known, also where somebody was erased long ago
    clock.move(timedelta(seconds=1))
    erase(runtime, merchant, "jane@example.com")
    clock.move(timedelta(seconds=1))
    await intake.ingest(holder_of(merchant), [of("c", clock.now())])
    assert len(links(merchant)) == 2  # while it goes on, nothing is taken to be known
    go_on(runtime, clock)
    assert len(links(merchant)) == 2  # of what came after it was asked for
    forget(merchant)
    await intake.ingest(holder_of(merchant), [of("d", clock.now())])
    assert len(links(merchant)) == 2
    forget(merchant)
    await intake.ingest(holder_of(merchant), [of("e", clock.now())])
    assert links(merchant) == []
    await intake.close()


def together(number: int, arrived: float) -> Together:
    at = datetime(2026, 11, 29, tzinfo=UTC)
    event = Event("Lead", "a", at, user_data=UserData(browser_id=f"browser_{number}", email=Matchable.read("e@x.org")))
    return Together(event, {"merchant_id": 1, "user_data": {"email": "e"}, "digests": None}, at, arrived)


def test_of_what_waited_for_long_nothing_is_known_and_of_very_many_the_latest_are() -> None:
    known, soon = KnownLinks(most=100), float("inf")
    for number in range(350):
        one = together(number, soon)
        assert not known.has(one, 0)
        known.note(one, 0, {})
    assert known.has(together(349, soon), 0)
    assert not known.has(together(349, soon), 1)
    assert not known.has(together(349, -PROMPT_SECONDS), 0)
    assert sum(known.has(together(number, soon), 0) for number in range(350)) == 150
    assert not known.has(together(0, soon), 0)
