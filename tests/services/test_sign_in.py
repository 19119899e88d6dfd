"""Who signs in while the merchant's keys are changed waits for that, and is judged by what it made of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import Merchant
from tests.servers import wait_until
from tests.sessions import is_waited_for, other_session
from tracklayer.db.connection import in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services.sign_in import LINKS_KEY, Person, make_code, sign_in_with_code, sign_in_with_key

LOCK = "SELECT 1 FROM merchants WHERE merchant_id = %s FOR NO KEY UPDATE"
REVOKE = "UPDATE api_keys SET revoked_at = now() WHERE merchant_id = %s AND revoked_at IS NULL"
ADD = (
    "INSERT INTO api_keys (merchant_id, name, scopes, prefix, key_hash, created_at) "
    "SELECT merchant_id, %s, scopes, 'tl_x', decode(repeat('ab', 32), 'hex'), now() FROM api_keys "
    "WHERE merchant_id = %s LIMIT 1"
)


def meanwhile(
    runtime: Runtime, merchant: Merchant, sign_in: Callable[[], tuple[str, Person] | None], sql: str, *values: object
) -> tuple[str, Person] | None:
    """What a sign-in comes to that began while somebody who holds the merchant changes its keys, and has not committed."""
    with other_session(runtime.database_url) as other, ThreadPoolExecutor(1) as threads:
        with other.cursor() as cursor:
            cursor.execute(LOCK, (merchant.merchant_id,))
            cursor.execute(sql, values)
        begun = threads.submit(sign_in)
        wait_until(lambda: begun.done() or is_waited_for(other), "it to wait, or to be done")
        was_done = begun.done()
        other.commit()
        found = begun.result()
    assert not was_done, "it did not wait for the merchant"
    return found


def test_a_key_that_is_revoked_in_that_moment_begins_no_session(runtime: Runtime, merchant: Merchant) -> None:
    def sign_in() -> tuple[str, Person] | None:
        return sign_in_with_key(runtime, merchant.key)

    assert meanwhile(runtime, merchant, sign_in, REVOKE, merchant.merchant_id) is None


@pytest.mark.parametrize("is_made_meanwhile", [False, True])
def test_links_used_at_once_share_one_key(runtime: Runtime, merchant: Merchant, is_made_meanwhile: bool) -> None:
    code = make_code(runtime, merchant.merchant_id)
    sql, values = (ADD, (LINKS_KEY, merchant.merchant_id)) if is_made_meanwhile else ("SELECT 1", ())

    def sign_in() -> tuple[str, Person] | None:
        return sign_in_with_code(runtime, code)

    found = meanwhile(runtime, merchant, sign_in, sql, *values)
    assert found is not None
    assert found[1].merchant_id == merchant.merchant_id
    with in_transaction():
        assert rows("SELECT count(*) FROM api_keys WHERE name = %s", (LINKS_KEY,)) == [(1,)]
