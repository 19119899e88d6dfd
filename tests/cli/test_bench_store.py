"""What the benchmark of a large store stands on."""

from __future__ import annotations

import json

import pytest

from tests.factories import Merchant, draft
from tracklayer.cli.bench.read import by_text
from tracklayer.cli.bench.store import TABLES, bytes_a_row, scattered, without_indexes
from tracklayer.cli.process import print_json
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


def test_figures_by_the_number_of_rows_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"latency_ms": by_text({10_000: {"event by id": (1.0, 2.0)}})})
    assert json.loads(capsys.readouterr().out) == {"latency_ms": {"10000": {"event by id": [1.0, 2.0]}}}


def test_ids_are_scattered_and_each_its_own() -> None:
    ids = [scattered(number) for number in range(1000)]
    assert len(set(ids)) == 1000
    assert ids != sorted(ids)
