"""What a page is made of is one instant, however many statements it takes."""

from __future__ import annotations

import pytest

from tests.factories import Merchant
from tests.sessions import other_session
from tracklayer.db.connection import DatabaseAwayError, bounded_read, execute, in_transaction, rows

NAME = "SELECT name FROM merchants WHERE merchant_id = %s"
RENAME = "UPDATE merchants SET name = 'Changed' WHERE merchant_id = %s"


def test_what_changes_between_two_statements_is_seen_by_neither(merchant: Merchant, database: str) -> None:
    mine = (merchant.merchant_id,)
    with bounded_read():
        before = rows(NAME, mine)
        with other_session(database) as other, other.cursor() as cursor:
            cursor.execute(RENAME, mine)
            other.commit()
        assert rows(NAME, mine) == before
    with bounded_read():
        assert rows(NAME, mine) == [("Changed",)]


def test_who_reads_writes_nothing(merchant: Merchant) -> None:
    with pytest.raises(DatabaseAwayError) as raised, bounded_read():  # as of a server that takes no writes
        execute(RENAME, (merchant.merchant_id,))
    assert "read-only" in str(raised.value.__cause__)
    with in_transaction():
        assert execute(RENAME, (merchant.merchant_id,)) == 1
