"""Who holds which key is told at once, or that nobody can tell: whoever holds which rows or tables."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.factories import INGEST, Api, Merchant, camel, draft, new_merchant
from tests.sessions import other_session
from tracklayer.db.connection import DatabaseAwayError, ask_at_the_door, in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services.merchants import authenticate

WRITERS = {
    "its row": "SELECT FROM api_keys WHERE merchant_id = {} FOR UPDATE",
    "the table, for all who write": "LOCK TABLE api_keys IN SHARE MODE",
}
USED = "SELECT last_used_at FROM api_keys WHERE merchant_id = %s"


@pytest.mark.parametrize("what", WRITERS)
async def test_a_key_is_known_while_its_use_cannot_be_noted(
    api: Api, runtime: Runtime, merchant: Merchant, database: str, what: str
) -> None:
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(WRITERS[what].format(merchant.merchant_id))
        answer = await api.post(INGEST, {"input": camel(draft("a"))})
        assert answer.json()["data"]["ingestEvent"]["outcome"] == "ACCEPTED"
        with in_transaction():
            assert rows(USED, (merchant.merchant_id,)) == [(None,)]
    assert await ask_at_the_door(authenticate, runtime, merchant.key) is not None
    with in_transaction():
        assert rows(USED, (merchant.merchant_id,)) == [(runtime.clock.now(),)]


@pytest.mark.parametrize("table", ["merchants", "destinations", "api_keys"])
async def test_whoever_stands_behind_a_key_that_cannot_be_looked_up_is_told_with_it(
    api: Api, runtime: Runtime, database: str, table: str
) -> None:
    shops = [new_merchant(runtime, name=f"Shop {number}") for number in range(120)]

    def post(shop: Merchant) -> Any:
        return Api(api.client, shop.key).post(INGEST, {"input": camel(draft("a"))})

    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(90):  # two at a time it would take 108; together they take two, on a quick machine
            answers = await asyncio.gather(*(post(shop) for shop in shops))
        assert {answer.status_code for answer in answers} == {503}
    async with asyncio.timeout(300):  # a machine that is slow enough tells some of them once more to come again
        while shops:
            found = await asyncio.gather(*(post(shop) for shop in shops))
            assert {answer.status_code for answer in found} <= {200, 503}
            shops = [shop for shop, answer in zip(shops, found, strict=True) if answer.status_code != 200]


async def test_one_question_in_vain_answers_all_behind_it(runtime: Runtime, merchant: Merchant, database: str) -> None:
    asked = []

    def ask(number: int) -> Any:
        asked.append(number)
        return rows("SELECT FROM merchants")

    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE merchants IN ACCESS EXCLUSIVE MODE")
        found = await asyncio.gather(*(ask_at_the_door(ask, number) for number in range(12)), return_exceptions=True)
    assert {type(one) for one in found} == {DatabaseAwayError}
    assert sorted(asked) == [0, 1]
    assert await ask_at_the_door(ask, 2) == [()]


async def test_one_question_in_vain_costs_nobody_anything_where_others_are_answered(
    runtime: Runtime, merchant: Merchant, database: str
) -> None:
    with other_session(database) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE merchants IN ACCESS EXCLUSIVE MODE")
        vain = asyncio.ensure_future(ask_at_the_door(rows, "SELECT FROM merchants"))
        while not vain.done():
            asking = (ask_at_the_door(rows, "SELECT 1") for _ in range(8))
            assert await asyncio.gather(*asking) == [[(1,)]] * 8
    assert isinstance(vain.exception(), DatabaseAwayError)
