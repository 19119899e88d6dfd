"""What the benchmark of a large store stands on."""

from __future__ import annotations

from tests.factories import Merchant, draft
from tracklayer.cli.bench.store import TABLES, bytes_a_row, scattered, without_indexes
from tracklayer.db.connection import in_transaction, rows, unlimited_session
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import ingest_events

INDEXES = """
SELECT indrelid::regclass::text, indexrelid::regclass::text, indisprimary, pg_get_indexdef(indexrelid)
FROM pg_index WHERE indrelid = ANY(%s::regclass[]) ORDER BY 1, 2
"""


def indexes() -> list[tuple[str, str, bool, str]]:
    with in_transaction():
        return rows(INDEXES, (list(TABLES),))


def test_what_is_loaded_has_the_indexes_that_were_there(runtime: Runtime, merchant: Merchant) -> None:
    ingest_events(runtime, merchant.holder, [draft()])
    before = indexes()
    with unlimited_session(), without_indexes():
        assert rows(INDEXES, (list(TABLES),)) == []
    assert indexes() == before
    assert {name for name, _, is_key, _ in before if is_key} == set(TABLES)
    assert all(row > 0 and index > 0 for row, index in bytes_a_row().values())


def test_ids_are_scattered_and_each_its_own() -> None:
    ids = [scattered(number) for number in range(1000)]
    assert len(set(ids)) == 1000
    assert ids != sorted(ids)
