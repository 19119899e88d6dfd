"""Whatever keeps us out of PostgreSQL is said in one sentence that names it, and quotes no secret."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.conftest import url_of
from tests.servers import free_port
from tracklayer.db import connection
from tracklayer.db.connect_faults import Fault, fault_of, sentence_of
from tracklayer.db.connection import DatabaseAwayError

PASSWORD = "pa55-w0rd-canary"


def connect_fault(url: str, **options: Any) -> Fault:
    with pytest.raises(psycopg2.Error) as raised:
        psycopg2.connect(url, connect_timeout=2, **options)
    fault = fault_of(raised.value)
    assert fault is not None
    assert PASSWORD not in fault.sentence
    return fault


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)


@pytest.fixture(scope="module")
def server(postgres: str) -> Iterator[str]:
    """The tests' server with roles and databases that do not let anybody in, each for its own reason."""
    roles = ("cf_limited", "cf_nologin", "cf_password", "cf_rejected", "cf_plain")
    execute(
        postgres,
        "CREATE ROLE cf_limited LOGIN CONNECTION LIMIT 0",
        "CREATE ROLE cf_nologin NOLOGIN",
        f"CREATE ROLE cf_password LOGIN PASSWORD '{PASSWORD}'",
        "CREATE ROLE cf_rejected LOGIN",
        "CREATE ROLE cf_plain LOGIN",
        "CREATE DATABASE cf_full CONNECTION LIMIT 0",
        "CREATE DATABASE cf_closed ALLOW_CONNECTIONS false",
    )
    with closing(psycopg2.connect(postgres)) as admin, admin.cursor() as cursor:
        cursor.execute("SHOW hba_file")
        rules = Path(cursor.fetchone()[0])  # type: ignore[index]
    before = rules.read_text()
    rules.write_text(f"local all cf_password scram-sha-256\nlocal all cf_rejected reject\n{before}")
    execute(postgres, "SELECT pg_reload_conf()")
    yield postgres
    rules.write_text(before)
    execute(
        postgres,
        "SELECT pg_reload_conf()",
        "DROP DATABASE cf_full",
        "DROP DATABASE cf_closed",
        *(f"DROP ROLE {role}" for role in roles),
    )


@pytest.mark.parametrize(
    ("user", "database", "says", "passing"),
    [
        pytest.param("postgres", "cf_missing", "this database does not exist", False, id="no such database"),
        pytest.param("cf_missing", "postgres", "the role does not exist", False, id="no such role"),
        pytest.param("cf_limited", "postgres", "the role is at its limit of connections", True, id="the role's limit"),
        pytest.param("cf_plain", "cf_full", "the database is at its limit of connections", True, id="the database's"),
        pytest.param("cf_plain", "cf_closed", "the database admits nobody at the moment", True, id="closed"),
        pytest.param("cf_nologin", "postgres", "the role may not log in", False, id="no login"),
        pytest.param("cf_password", "postgres", "the database refuses the password", False, id="wrong password"),
        pytest.param("cf_rejected", "postgres", "pg_hba.conf", False, id="not let in from here"),
    ],
)
def test_what_postgresql_refuses_is_named(server: str, user: str, database: str, says: str, passing: bool) -> None:
    fault = connect_fault(url_of(server, database), user=user, password="not the right one")
    assert says in fault.sentence
    assert fault.passing is passing


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param(f"postgresql://u:{PASSWORD}@no-such-host.invalid/x", "nobody knows its host's name", id="host"),
        pytest.param("postgresql:///x?host=/nonexistent", "there is no such socket", id="socket"),
        pytest.param(f"postgresql://u:{PASSWORD}%zz@h/x", "is no URL that PostgreSQL understands", id="not a URL"),
        pytest.param(f"postgresql://u:x@h:{PASSWORD}/x", "is no URL that PostgreSQL understands", id="a port"),
    ],
)
def test_what_the_url_leads_to_is_named(url: str, says: str) -> None:
    assert says in connect_fault(url).sentence


def test_a_port_where_nobody_listens_is_named() -> None:
    fault = connect_fault(f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/x")
    assert fault.sentence.startswith("the database cannot be reached: nobody listens there")
    assert fault.passing


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """A port that answers what a client says first with ``answer``, or never; N where TLS is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = []

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                kept.append(client)
                if answer is None:
                    continue
                try:
                    while client.recv(4096)[4:8] == struct.pack("!HH", 1234, 5679):
                        client.sendall(b"N")
                    client.sendall(answer)
                    client.close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in kept:
            client.close()


def refusal(words: str, state: str, severity: str = "FATAL") -> bytes:
    """ErrorResponse of PostgreSQL's protocol 3."""
    body = b"".join(f"{kind}{text}".encode() + b"\0" for kind, text in (("S", severity), ("C", state), ("M", words)))
    return b"E" + struct.pack("!I", len(body) + 5) + body + b"\0"


@pytest.mark.parametrize(
    ("words", "state", "says"),
    [
        pytest.param("the database system is starting up", "57P03", "PostgreSQL is starting up", id="starting"),
        pytest.param("sorry, too many clients already", "53300", "no connection left", id="full"),
        pytest.param("could not write init file: No space left on device", "53100", "PostgreSQL's disk is full", id="full disk"),
        pytest.param("unsupported startup parameter: options", "08P01", "ignore_startup_parameters", id="a pooler"),
        pytest.param(
            'no pg_hba.conf entry for host "192.0.2.1", user "u", database "x", no encryption', "28000",
            "takes encrypted connections only", id="TLS required",
        ),
        pytest.param("pgbouncer cannot connect to server", "08P01", "proxy in front of PostgreSQL does not", id="behind it"),
        pytest.param(
            "die maximale Zahl der Verbindungen ist erreicht", "53300",
            "(it says: die maximale Zahl der Verbindungen ist erreicht)", id="in another language",
        ),
    ],
)  # fmt: skip
def test_what_a_server_on_the_network_answers_is_named(words: str, state: str, says: str) -> None:
    with answering(refusal(words, state)) as port:
        fault = connect_fault(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x")
    assert says in fault.sentence


def test_a_server_without_tls_is_named() -> None:
    with answering(b"") as port:
        fault = connect_fault(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x?sslmode=require")
    assert "speaks no TLS" in fault.sentence


def test_a_web_server_is_not_taken_for_postgresql() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        fault = connect_fault(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x")
    assert "is not PostgreSQL" in fault.sentence


def test_a_server_that_never_answers_is_named() -> None:
    with answering(None) as port:
        fault = connect_fault(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x")
    assert "nobody answers there in time" in fault.sentence


def test_the_pools_own_error_is_explained_by_what_it_was_raised_from() -> None:
    port = free_port()
    connection.connect(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/x")
    try:
        with pytest.raises(DatabaseAwayError) as raised, connection.session():
            pass
    finally:
        connection.disconnect()
    assert "nobody listens there" in sentence_of(raised.value)


def test_a_statement_on_a_read_only_database_is_named(server: str) -> None:
    with (
        closing(psycopg2.connect(server, options="-c default_transaction_read_only=on")) as own,
        own.cursor() as cursor,
        pytest.raises(psycopg2.Error) as raised,
    ):
        cursor.execute("CREATE TABLE never (x int)")
    assert "the database is read-only" in sentence_of(raised.value)


def test_a_statement_that_is_wrong_is_nobodys_connection(server: str) -> None:
    with closing(psycopg2.connect(server)) as own, own.cursor() as cursor, pytest.raises(psycopg2.Error) as raised:
        cursor.execute("SELECT nonsense")
    assert fault_of(raised.value) is None


def test_a_bug_of_ours_is_nobodys_connection(server: str) -> None:
    with (
        closing(psycopg2.connect(server)) as own,
        own.cursor() as cursor,
        pytest.raises(psycopg2.ProgrammingError) as raised,
    ):
        cursor.execute("SELECT %s", (object(),))
    assert fault_of(raised.value) is None
