"""Whether a database can be had is told when it changes, once, and without who signs in."""

from __future__ import annotations

import psycopg2
import pytest

from tracklayer.db.sessions import Circuit, place_of


def test_a_database_that_was_there_and_is_away_is_a_line_and_its_return_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    circuit = Circuit("postgresql://user:hunter2@db.example.com:5433/name")
    circuit.failed(psycopg2.OperationalError("not there yet"))  # whoever starts says himself what he waits for
    circuit.worked()
    assert caplog.records == []
    for _ in range(3):
        circuit.failed(psycopg2.OperationalError("connection refused"))
    for _ in range(3):
        circuit.worked()
    assert [record.__dict__["kind"] for record in caplog.records] == ["database_away", "database_back"]
    assert caplog.records[0].getMessage().startswith("PostgreSQL at db.example.com:5433 is away: ")
    assert caplog.records[1].getMessage().startswith("PostgreSQL at db.example.com:5433 is back after ")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@a/x", "a:5432"),
        ("postgresql://u:p@a:1,b:2/x?target_session_attrs=read-write", "a:1,b:2"),
        ("postgresql://u:p@a,b/x", "a:5432,b:5432"),
        ("postgresql://u:p@/x?host=/run/postgresql", "/run/postgresql:5432"),
        ("postgresql:///x", "its default host:5432"),
    ],
)
def test_a_place_is_host_and_port(url: str, place: str) -> None:
    assert place_of(url) == place
