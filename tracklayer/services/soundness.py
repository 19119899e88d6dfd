"""What runs, and yet loses events, sends them nowhere or shows them to others: told at every start, by ``doctor`` and by ``/readyz``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracklayer.db import destinations as db_destinations
from tracklayer.db import server
from tracklayer.db.connection import DatabaseAwayError, in_transaction, shares_sessions
from tracklayer.domain.monitors.words import counted
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.sealing import Sealer
from tracklayer.services.credentials import split_settings
from tracklayer.services.destinations import example_settings, invented_destinations
from tracklayer.services.keys import Keys, advice, advice_of_forgotten, look_at_keys

SESSIONS = 23  # that a process may have open: its pool's twenty, and three that last
ROLES = 3  # api, worker and scheduler: of each one process at least


# What may be done besides about a newer database, where it is a reason not to start.
GO_BACK = ", or, to go back to this version on purpose, set TRACKLAYER_ALLOW_NEWER_DATABASE=true"


@dataclass(frozen=True)
class Trouble:
    """``check``: the line of ``doctor`` that it belongs to. ``sentence``: what is wrong, and what to do."""

    check: str
    sentence: str


def troubles(sealer: Sealer | None, sandbox_url: str | None) -> list[Trouble]:
    """Everything of it, in the order of ``doctor``'s lines. ``sealer``: None leaves out ``slow_troubles``."""
    slow = slow_troubles(sealer) if sealer is not None else []
    found = [*slow, *durability_troubles(), log_trouble(), sandbox_trouble(sandbox_url)]
    return [trouble for trouble in found if trouble is not None]


def slow_troubles(sealer: Sealer, keys: Keys | None = None) -> list[Trouble]:
    """Those that take a look at all destinations, and a session more: not for whoever asks all the time. ``keys``: where they were
    looked at just now.
    """
    return [trouble for trouble in (keys_trouble(sealer, keys), pooling_trouble()) if trouble is not None]


def keys_trouble(sealer: Sealer, keys: Keys | None = None) -> Trouble | None:
    found = keys or look_at_keys(sealer)
    if not found.any_fits or found.lost:
        return Trouble("secret key", advice(sealer, found.closed, found.others))
    return Trouble("secret key", advice_of_forgotten(found.closed)) if found.closed else None


def version_trouble(missing: Sequence[str], newer: Sequence[str]) -> Trouble | None:
    """Which of the two is older. ``missing``: migrations that the database lacks; ``newer``: those that this version does."""
    if missing:
        lacks = counted(len(missing), "migration")
        sentence = f"the database is older than this version, and lacks {lacks}: run `tracklayer migrate`"
    elif newer:
        sentence = (
            f"this version is older than the database, which has {newer[-1]}: upgrade to the version that made it so"
        )
    else:
        return None
    return Trouble("migrations", sentence)


def durability_troubles() -> list[Trouble]:
    with in_transaction():
        found = server.durability()
    troubles = []
    if not found.fsync:
        troubles.append("fsync is off: a crash of PostgreSQL's machine can destroy the whole database; switch it on")
    if not found.full_page_writes:
        troubles.append("full_page_writes is off: a power cut can tear pages of the database; switch it on")
    if not found.synchronous_commit:
        troubles.append(
            "synchronous_commit is off: a crash of PostgreSQL loses events that were acknowledged; set it to on, also for "
            "this role and this database"
        )
    if found.read_only:
        troubles.append(
            "the database is read-only: it is a standby, or default_transaction_read_only is on, and no event can be "
            "stored; TRACKLAYER_DATABASE_URL must lead to the primary"
        )
    return [Trouble("durability", sentence) for sentence in troubles]


def log_trouble() -> Trouble | None:
    """Nothing is lost by it, but what was sent in confidence lies in a file that nobody thinks of."""
    with in_transaction():
        if not server.log_shows():
            return None
    return Trouble(
        "log",
        "PostgreSQL's log would hold events, with e-mail addresses and phones where these are not hashed, when a statement fails: "
        "TrackLayer's role may not switch that off; have a superuser run ALTER ROLE ... SET log_min_error_statement = 'panic' and "
        "ALTER ROLE ... SET log_error_verbosity = 'terse' for it, then restart TrackLayer",
    )


def sandbox_trouble(sandbox_url: str | None) -> Trouble | None:
    """A sandbox's address beside destinations that somebody gave settings of his own: nothing of theirs goes out."""
    real = real_destinations() if sandbox_url is not None else 0
    if not real:
        return None
    return Trouble(
        "sandbox",
        f"TRACKLAYER_SANDBOX_URL is set: what is meant for {real} destination{'s' if real > 1 else ''} goes to the emulator, "
        "and none of it to a platform; unset it in production",
    )


def real_destinations() -> int:
    """How many destinations somebody gave settings of his own, other than those of `up --sandbox`."""
    invented = {key: split_settings(mapper_for(key), example_settings(mapper_for(key)))[0] for key in PLATFORMS}
    with in_transaction():
        return db_destinations.count_with_other_settings(invented)


def invented_trouble(sandbox_url: str | None) -> Trouble | None:
    """Destinations that are left of a trial, and no sandbox. ``sandbox_url``: that this process sends to. It looks at all of them."""
    found = invented_destinations() if sandbox_url is None else 0
    if not found:
        return None
    one = found == 1
    return Trouble(
        "sandbox",
        f"{found} destination{'' if one else 's'} {'has' if one else 'have'} the invented settings of `tracklayer up --sandbox`, and "
        f"no sandbox is set: nothing is sent to {'it' if one else 'them'}; start with --sandbox, set TRACKLAYER_SANDBOX_URL, or "
        f"give {'it' if one else 'them'} real settings",
    )


def pooling_trouble() -> Trouble | None:
    """A proxy that gives a session to others after each transaction. None also where no second session can be had now."""
    try:
        if not shares_sessions():
            return None
    except DatabaseAwayError:
        return None
    return Trouble(
        "connections",
        "a proxy in front of PostgreSQL pools by transaction: workers are taken for dead, alerts are not heard, and events are "
        "refused; connect directly, or through PgBouncer with pool_mode = session",
    )


def places_trouble(*, alone: bool) -> Trouble | None:
    """Fewer connections than the roles may open. ``alone``: all of them are one process, as with ``up``."""
    with in_transaction():
        found = server.places()
    processes = 1 if alone else max(ROLES, found.apis + found.workers + 1)
    needed = processes * SESSIONS
    if found.most >= needed:
        return None
    return Trouble(
        "connections",
        f"{found.most} connections are there for us, and {processes} process{'es' if processes > 1 else ''} may open "
        f"{needed}: raise PostgreSQL's max_connections, or the CONNECTION LIMIT of the role or the database",
    )
