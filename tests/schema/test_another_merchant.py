"""A browser has one session for all of its tabs: what a tab shows may be another merchant's than the one signed in by now."""

from __future__ import annotations

import pytest

from tests.factories import Api, Merchant, new_merchant
from tracklayer.runtime import Runtime
from tracklayer.schema import ids
from tracklayer.services.sign_in import sign_in_with_key


@pytest.mark.parametrize("other", [False, True])
async def test_a_change_meant_for_one_merchant_never_lands_at_another(
    api: Api, runtime: Runtime, merchant: Merchant, other: bool
) -> None:
    begun = sign_in_with_key(runtime, merchant.key)
    assert begun is not None
    shown = new_merchant(runtime, name="Other").merchant_id if other else merchant.merchant_id
    headers = {
        "cookie": f"tracklayer-8000={begun[0]}",
        "sec-fetch-site": "same-origin",
        "host": "127.0.0.1:8000",
        "tracklayer-merchant": ids.encode("Merchant", shown),
    }
    query = {"query": 'mutation { updateMerchant(input: {name: "Renamed"}) { merchant { name } } }'}
    answer = await api.client.post("/graphql", json=query, headers=headers)
    if other:
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
        assert (await api("{ merchant { name } }"))["merchant"]["name"] != "Renamed"
    else:
        assert answer.json()["data"]["updateMerchant"]["merchant"]["name"] == "Renamed"
