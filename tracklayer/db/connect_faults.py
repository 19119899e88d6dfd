"""Why PostgreSQL does not let us in, or does not let us write: one sentence, and what to do about it.

By SQLSTATE where there is one. A connection that fails has none: the driver keeps the words alone, its own in English and
the server's in the language that the server speaks. Words that are not known are passed on as they are, if they are the
server's: it never says a password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
from playhouse.pool import MaxConnectionsExceeded

from tracklayer import files

_AWAY = "the database cannot be reached: "
_URL = "check TRACKLAYER_DATABASE_URL"
UNKNOWN = f"{_AWAY}{_URL} and that PostgreSQL runs"
MAX_WORDS = 200  # characters of the server's own
_NOT_THERE = (
    "a table, a schema or a function of TrackLayer's is not there: was it renamed or dropped, or does the role or the "
    "database have another search_path?"
)


@dataclass(frozen=True)
class Fault:
    """``sentence``: without a full stop. ``passing``: it may end by itself, so whoever waits may hope."""

    sentence: str
    passing: bool


DISK_FULL = "53100"
_BY_STATE = {
    "28P01": Fault(f"the database refuses the password: {_URL}", False),
    "28000": Fault(
        "the database does not let this role in from here: check the role in TRACKLAYER_DATABASE_URL, and the entry for "
        "it in PostgreSQL's pg_hba.conf",
        False,
    ),
    "3D000": Fault(f"this database does not exist: create it with `createdb`, or {_URL}", False),
    "53300": Fault(
        "PostgreSQL has no connection left: raise its max_connections, or the role's or the database's CONNECTION LIMIT, "
        "or run fewer processes",
        True,
    ),
    "57P03": Fault(f"{_AWAY}PostgreSQL is starting up, recovering or shutting down; try again in a moment", True),
    "57P01": Fault(f"{_AWAY}PostgreSQL is shutting down; try again when it is back", True),
    "25006": Fault(
        "the database is read-only: it is a standby, or default_transaction_read_only is on; TRACKLAYER_DATABASE_URL must "
        "lead to the primary",
        True,
    ),
    "42501": Fault(
        "the role may not do this in the database: make it the owner of the database and of its tables", False
    ),
    DISK_FULL: Fault("PostgreSQL's disk is full: make room there", True),
    "42P01": Fault(_NOT_THERE, True),
    "3F000": Fault(_NOT_THERE, True),
    "42883": Fault(_NOT_THERE, True),
    "55P03": Fault("a table is locked by somebody else: try again when that is done", True),
}

_POOLER = Fault(
    "the proxy in front of PostgreSQL refuses a start-up parameter: add `ignore_startup_parameters = options` to PgBouncer's "
    "settings, or connect directly",
    False,
)
_NO_TLS = Fault(
    "the database takes encrypted connections only: add `?sslmode=require` to TRACKLAYER_DATABASE_URL", False
)
_NOT_POSTGRES = Fault(f"what listens there is not PostgreSQL: {_URL}, its host and its port", False)

# In this order: the narrower first. What they match are libpq's words, PostgreSQL's in English, and PgBouncer's.
_BY_WORDS = tuple(
    (re.compile(words, re.IGNORECASE), fault)
    for words, fault in (
        (r"no space left on device", _BY_STATE[DISK_FULL]),  # of a server that cannot write what a session needs
        (r"password authentication failed|no password supplied|auth(entication)? failed", _BY_STATE["28P01"]),
        (
            r"too many connections for role",
            Fault("the role is at its limit of connections: raise it with `ALTER ROLE ... CONNECTION LIMIT`", True),
        ),
        (
            r"too many connections for database",
            Fault(
                "the database is at its limit of connections: raise it with `ALTER DATABASE ... CONNECTION LIMIT`", True
            ),
        ),
        (r"too many clients|connection slots are reserved|no more connections allowed", _BY_STATE["53300"]),
        (
            r'role "[^"]*" does not exist|no such user',
            Fault(f"the role does not exist in PostgreSQL: create it, or {_URL}", False),
        ),
        (r"is not permitted to log ?in", Fault("the role may not log in: `ALTER ROLE ... LOGIN`", False)),
        (r'database "[^"]*" does not exist|no such database', _BY_STATE["3D000"]),
        (r"permission denied for database", _BY_STATE["42501"]),
        (r"unsupported startup parameter|unrecognized configuration parameter", _POOLER),
        (r"no pg_hba\.conf entry .*(no encryption|SSL off)", _NO_TLS),
        (r"SSL (connection )?is required|requires SSL", _NO_TLS),
        (r"no pg_hba\.conf entry|pg_hba\.conf rejects", _BY_STATE["28000"]),
        (
            r"server does not support SSL",
            Fault(
                "the database speaks no TLS, and TRACKLAYER_DATABASE_URL requires it: switch `ssl` on in PostgreSQL, or "
                "use `sslmode=prefer` where the network is safe",
                False,
            ),
        ),
        (
            r"certificate verify failed|does not match host name|root certificate|certificate file",
            Fault(
                "the certificate of the database is not trusted: check `sslrootcert` and the host's name in "
                "TRACKLAYER_DATABASE_URL",
                False,
            ),
        ),
        (
            r"could not translate host name|name or service not known",
            Fault(f"{_AWAY}nobody knows its host's name; {_URL} and DNS", True),
        ),
        (
            r"connection refused",
            Fault(f"{_AWAY}nobody listens there; check that PostgreSQL runs, and TRACKLAYER_DATABASE_URL", True),
        ),
        (
            r"no such file or directory",
            Fault(f"{_AWAY}there is no such socket; check that PostgreSQL runs, and TRACKLAYER_DATABASE_URL", True),
        ),
        (
            r"timeout expired|timed out",
            Fault(f"{_AWAY}nobody answers there in time; check host, port and the firewall between", True),
        ),
        (r"no route to host|network is unreachable", Fault(f"{_AWAY}no route leads to its host; {_URL}", True)),
        (r"not currently accepting connections", Fault(f"the database admits nobody at the moment; {_URL}", True)),
        (r"starting up|not yet accepting connections|in recovery mode|consistent recovery state", _BY_STATE["57P03"]),
        (r"shutting down|administrator command", _BY_STATE["57P01"]),
        (r"session is read-only|is in hot standby mode|read-only transaction", _BY_STATE["25006"]),
        (r"invalid response to SSL negotiation|expected authentication request", _NOT_POSTGRES),
        (
            r"pgbouncer cannot connect|server_login_retry|query_wait_timeout|server login has been failing",
            Fault(f"{_AWAY}the proxy in front of PostgreSQL does not reach it; look into the proxy's log", True),
        ),
        (
            r"server closed the connection|connection reset|terminating connection|EOF detected",
            Fault(f"{_AWAY}it hung up; look into PostgreSQL's log", True),
        ),
        (
            r"invalid (dsn|uri|connection option|port|integer value)",
            Fault("TRACKLAYER_DATABASE_URL is no URL that PostgreSQL understands: check how it is written", False),
        ),
    )
)

# What a server, or the system, answered: everything before is libpq's, and may quote the URL.
_FAILED = re.compile(r"^.*?(?:connection to server .*? failed|could not connect to server): ", re.DOTALL)
_SEVERITY = re.compile(r"^\w+: +")


def fault_of(error: BaseException) -> Fault | None:
    """What is wrong, of an error of psycopg2 or of whatever was raised from one; None where it is about something else."""
    if files.were_wanting(error):
        return Fault(files.NONE_LEFT, True)
    for cause in _causes(error):
        if isinstance(cause, MaxConnectionsExceeded):
            return Fault("every connection of this process to the database is busy: try again in a moment", True)
        if isinstance(cause, psycopg2.Error):
            if cause.pgcode is not None:
                return _BY_STATE.get(cause.pgcode) or _of_class(cause.pgcode)
            # Without a SQLSTATE it never reached the server: a connection that failed, or a bug of ours.
            return _by_words(str(cause)) or (_by_answer(str(cause)) if _is_about_connecting(cause) else None)
    return None


def is_disk_full(error: BaseException) -> bool:
    """Whether it is for a full disk: a statement is refused with its SQLSTATE then, a connection with words alone."""
    return fault_of(error) is _BY_STATE[DISK_FULL]


def sentence_of(error: BaseException) -> str:
    """As ``fault_of``, of an error that is known to be about the connection."""
    fault = fault_of(error)
    return fault.sentence if fault is not None else UNKNOWN


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        original = getattr(seen, "orig", None)  # peewee's own errors name the driver's
        seen = original if isinstance(original, BaseException) else seen.__cause__ or seen.__context__


def _of_class(state: str) -> Fault | None:
    if state.startswith("53"):
        return Fault("PostgreSQL has run out of something it needs: look into its log", True)
    return Fault(UNKNOWN, True) if state.startswith(("57P", "08")) else None


def _is_about_connecting(error: psycopg2.Error) -> bool:
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)


def _by_words(text: str) -> Fault | None:
    # Of several hosts, or of one with and without TLS, each has its line: the last try is what counts.
    for line in reversed(text.splitlines()):
        for words, fault in _BY_WORDS:
            if words.search(line):
                return fault
    return None


def _by_answer(text: str) -> Fault:
    answers = [_FAILED.sub("", line) for line in text.splitlines() if _FAILED.match(line)]
    said = _SEVERITY.sub("", answers[-1]).strip()[:MAX_WORDS] if answers else ""
    return Fault(f"{UNKNOWN} (it says: {said})" if said else UNKNOWN, True)
