"""Advice by the API: test modes, credentials, and what a watch found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.domain.test_advice import token
from tests.factories import META, Api, Merchant
from tracklayer.clock import FrozenClock
from tracklayer.db.advice import advice_of, forget_advice, forget_of_removed, write_advice
from tracklayer.db.connection import execute, in_transaction
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.runtime import Runtime
from tracklayer.services.destinations import Changed, remove_destination, set_destination

ADVICE = """{ merchant { advice { code sentence nextStep since count eventName exampleEventId details }
  destinations { platform advice { code sentence nextStep since count eventName exampleEventId } } } }"""


def set_meta(runtime: Runtime, merchant: Merchant, **settings: Any) -> None:
    assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", settings), Changed)


async def of_only(api: Api) -> list[tuple[str, str]]:
    """(code, since) of the advice on the only destination."""
    [destination] = (await api(ADVICE))["merchant"]["destinations"]
    return [(advice["code"], advice["since"]) for advice in destination["advice"]]


async def test_a_test_code_that_was_forgotten_is_told_a_day_later(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    clock.move(timedelta(days=30))
    set_at = clock.now()
    set_meta(runtime, merchant, test_event_code="TEST12345")
    assert await of_only(api) == []
    clock.move(timedelta(hours=12))
    set_meta(runtime, merchant, test_event_code="TEST12345", ldu_country=0)
    clock.move(timedelta(hours=13))
    assert await of_only(api) == [("TEST_MODE_ON", f"{set_at:%Y-%m-%dT%H:%M:%S.000Z}")]
    set_meta(runtime, merchant, test_event_code=None)
    assert await of_only(api) == []


async def test_a_test_mode_that_an_older_version_set_is_told_too(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    set_meta(runtime, merchant, test_event_code="TEST12345")
    with in_transaction():
        execute("UPDATE destinations SET setting_times = '{}'")
    clock.move(timedelta(hours=25))
    assert [code for code, _ in await of_only(api)] == ["TEST_MODE_ON"]


async def test_a_code_that_marks_tests_is_told_where_no_trial_needs_it(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    remove_destination(runtime, merchant.merchant_id, "meta")
    settings = {"pixel_id": "1ec32188-754e-4be2-8e55-c949a984a39f", "access_token": "a-token-of-somebody"}
    changed = set_destination(runtime, merchant.merchant_id, "snapchat", {**settings, "test_event_code": "TEST12345"})
    assert isinstance(changed, Changed)
    clock.move(timedelta(hours=25))
    assert [code for code, _ in await of_only(api)] == ["TEST_MODE_ON"]
    set_destination(runtime, merchant.merchant_id, "snapchat", {"test_event_code": None})
    assert await of_only(api) == []


async def test_a_token_that_ends_in_five_days_is_told_without_the_token(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    secret = token({"exp": int((clock.now() + timedelta(days=19)).timestamp())})
    set_meta(runtime, merchant, access_token=secret)
    assert await of_only(api) == []
    clock.move(timedelta(days=14))
    answer = await api(ADVICE)
    [advice] = answer["merchant"]["destinations"][0]["advice"]
    assert advice["code"] == "CREDENTIALS_EXPIRE_SOON"
    assert "ends in 5 d" in advice["sentence"]
    assert secret[:10] not in str(answer)
    set_meta(runtime, merchant, access_token=META["access_token"])
    assert await of_only(api) == []


async def test_the_age_of_a_secret_counts_from_when_it_was_set_last(
    runtime: Runtime, merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    def set_linkedin(**settings: Any) -> None:
        assert isinstance(set_destination(runtime, merchant.merchant_id, "linkedin", settings), Changed)

    remove_destination(runtime, merchant.merchant_id, "meta")
    set_linkedin(access_token="first-token-of-somebody", conversion_rules={"*": 14488340})
    clock.move(timedelta(days=55))
    set_linkedin(access_token="first-token-of-somebody", conversion_rules={"*": 14488341})
    assert [code for code, _ in await of_only(api)] == ["CREDENTIALS_EXPIRE_SOON"]
    set_linkedin(access_token="second-token-of-somebody")
    assert await of_only(api) == []


def misspelt(merchant: Merchant, clock: FrozenClock, **changes: Any) -> Advice:
    given: dict[str, Any] = {"platform": "meta", "event_name": "purchase", "count": 12, "example_event_id": "order_1"}
    given |= changes
    return Advice(AdviceCode.NAME_MISSPELT, "A sentence.", "A step.", clock.now(), **given)


async def test_what_a_watch_found_stays_since_it_was_first_found_until_it_is_over_for_an_hour(
    merchant: Merchant, api: Api, clock: FrozenClock
) -> None:
    first = clock.now()
    of_merchant = Advice(AdviceCode.CLOCK_AHEAD, "Ahead.", "Set it.", first, count=7, details={"seconds": 9})

    def look(*found: Advice) -> None:
        judged = [("meta", AdviceCode.NAME_MISSPELT), ("", AdviceCode.CLOCK_AHEAD)]
        with in_transaction():
            write_advice({merchant.merchant_id: found}, clock.now())
            forget_advice({merchant.merchant_id: judged}, clock.now())

    look(misspelt(merchant, clock), of_merchant)
    clock.move(timedelta(minutes=10))
    look(misspelt(merchant, clock, count=40, example_event_id=None))
    answer = (await api(ADVICE))["merchant"]
    since = f"{first:%Y-%m-%dT%H:%M:%S.000Z}"
    assert answer["destinations"][0]["advice"] == [
        {
            "code": "NAME_MISSPELT",
            "sentence": "A sentence.",
            "nextStep": "A step.",
            "since": since,
            "count": 40,
            "eventName": "purchase",
            "exampleEventId": "order_1",
        }
    ]
    assert [(found["code"], found["count"], found["details"]) for found in answer["advice"]] == [
        ("CLOCK_AHEAD", 7, {"seconds": 9})
    ]
    clock.move(timedelta(minutes=55))
    look()
    answer = (await api(ADVICE))["merchant"]
    assert (answer["advice"], len(answer["destinations"][0]["advice"])) == ([], 1)
    clock.move(timedelta(minutes=10))
    look()
    assert await of_only(api) == []


def test_advice_on_a_destination_that_is_removed_goes_with_it(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    with in_transaction():
        write_advice({merchant.merchant_id: [misspelt(merchant, clock)]}, clock.now())
    remove_destination(runtime, merchant.merchant_id, "meta")
    with in_transaction():
        assert forget_of_removed([merchant.merchant_id]) == 1
        assert advice_of([merchant.merchant_id]) == {}
