"""``tracklayer doctor``: looks at everything this installation needs, and says what to do about each fault."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import peewee
import redis

from tracklayer import files
from tracklayer.actors.redis_broker import FULL, NAMESPACE, READ_ONLY, SILENT, STRANGER, UNCONNECTED, what_is_wrong
from tracklayer.actors.schedule import periodic
from tracklayer.cli.process import CommandError, key_file, print_json, sealer_of
from tracklayer.db import connection
from tracklayer.db.advice import advice_counts
from tracklayer.db.alert_mails import mail_trouble, overdue
from tracklayer.db.connect_faults import fault_of, sentence_of
from tracklayer.db.connection import DatabaseAwayError, ReadTimeoutError
from tracklayer.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tracklayer.db.erasures import failing_erasures
from tracklayer.db.merchants import merchants_with_addresses
from tracklayer.db.migrate import pending, unknown
from tracklayer.db.operator_alerts import untold
from tracklayer.db.standby import left_out, standby_trouble
from tracklayer.domain.installation import ROLES, has_run
from tracklayer.domain.monitors.words import counted
from tracklayer.domain.trouble import (
    BROKER_KIND,
    CLOCK_OFF,
    DATABASE_FULL,
    DATABASE_READ_ONLY,
    JOBS_LATE,
    MAILS_FAIL,
    MIGRATIONS,
    NO_FILES,
    NO_ROLE,
    NO_SANDBOX,
    OLD_QUEUE,
    PLATFORM_DOWN,
    SANDBOX,
    WEBHOOKS_FAIL,
    WRONG_KEY,
    Trouble,
)
from tracklayer.domain.watch import judge
from tracklayer.runtime import WARN_ABOUT_SKEW, clock_skew
from tracklayer.services.collect import fits
from tracklayer.services.invariants import check_invariants
from tracklayer.services.keys import KeyLostError, is_sealed
from tracklayer.services.mail import Mailer, NotSentError, SmtpServer
from tracklayer.services.soundness import (
    GO_BACK,
    durability_troubles,
    invented_trouble,
    keys_trouble,
    log_trouble,
    places_trouble,
    pooling_trouble,
    sandbox_trouble,
    version_trouble,
)
from tracklayer.services.watch_operator import LATE as OPERATOR_LATE
from tracklayer.services.watch_operator import facts_now
from tracklayer.settings import GOOD_SECRET_LENGTH, MAKE_ONE, Settings, SettingsError, get_settings

MOST_COLLECTORS = 20  # whose names are looked up
MOST_ERASURES = 5  # that are named
FAILING = timedelta(minutes=5)  # that a step of one has failed for: less may be rows that somebody held
MAIL_SECONDS = 5  # for each step of a session
MAIL_WHOLE_SECONDS = 15.0  # for all of them
LATE_MAIL = timedelta(minutes=2)  # one that is due goes out within seconds
LOST_MAIL = timedelta(days=1)  # what was lost before is no news


@dataclass(frozen=True)
class Finding:
    check: str
    ok: bool
    message: str


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor", help="check settings, key, database, migrations, durability, Redis, mail and clock"
    )
    parser.add_argument(
        "--invariants",
        action="store_true",
        help="also recount all events and deliveries: nothing overdue, nothing lost, the ledger adds up",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    findings = list(examine(invariants=args.invariants))
    if args.json:
        print_json({"ok": all(found.ok for found in findings), "findings": [asdict(found) for found in findings]})
    else:
        for found in findings:
            print(f"{'ok   ' if found.ok else 'FAULT'}  {found.check:<11} {found.message}")
    return 0 if all(found.ok for found in findings) else 1


def examine(*, invariants: bool = False) -> Iterator[Finding]:
    """One finding a check; what depends on a faulty one is not looked at."""
    try:
        settings = get_settings()
    except SettingsError as error:
        yield from (Finding("settings", False, fault) for fault in error.faults)
        return
    yield Finding("settings", True, "all understood")
    if any(len(str(key)) < GOOD_SECRET_LENGTH for key in settings.secret_keys):
        advice = f"make a longer one with `{MAKE_ONE}`, put it in front, and keep the old one behind it"
        yield Finding("secret key", True, f"shorter than {GOOD_SECRET_LENGTH} characters: {advice}")
    yield from _database(settings, invariants)
    yield _redis(settings)
    yield _mail(settings)


def _standby(url: str, lag: timedelta) -> Finding:
    trouble = standby_trouble(url, lag)
    if trouble is not None:
        return Finding("standby", False, trouble)
    out = "".join(f"; {host} {why}, and the others serve" for host, why in sorted(left_out(url, lag).items()))
    return Finding("standby", True, f"serves queries, and has all that the primary has{out}")


def _database(settings: Settings, invariants: bool) -> Iterator[Finding]:
    embedded = None if settings.database_url is not None else EmbeddedPostgres(settings.data_dir)
    try:
        connection.connect(embedded.find() if embedded is not None else str(settings.database_url))
        with connection.session():
            version = connection.server_version()
            only_reads = connection.reads_only()
        yield Finding("database", True, f"PostgreSQL {version}{' (embedded)' if embedded is not None else ''}")
        if only_reads:
            yield Finding("database", False, "only reads, so nothing can be stored: a standby, or set to read only")
        if settings.read_database_url is not None:
            yield _standby(str(settings.read_database_url), settings.read_lag)
        missing = pending()
        version_fault = version_trouble(missing, unknown())
        is_allowed = version_fault is not None and not missing and settings.allow_newer_database
        if version_fault is None or is_allowed:
            allowed = f"{version_fault.sentence}; TRACKLAYER_ALLOW_NEWER_DATABASE is set" if version_fault else None
            yield Finding("migrations", True, allowed or "the database is at this version")
            yield from _soundness(settings, alone=embedded is not None)
            yield from _roles(settings)
        else:
            invariants = False
            sentence = version_fault.sentence if missing else version_fault.sentence + GO_BACK
            yield Finding(version_fault.check, False, sentence)
        if not missing:
            yield from _mails() if settings.smtp_url is not None else _without_mail()
            yield from _operators_messages()
        if not missing:
            yield from _erasures()
            yield from _advice()
            yield from _collectors(settings)
        skew = clock_skew().total_seconds()
        fine = abs(skew) <= WARN_ABOUT_SKEW.total_seconds()
        advice = "" if fine else ": set up NTP on both machines"
        yield Finding("clock", fine, f"{abs(skew):.1f} s from PostgreSQL's{advice}")
        if invariants:
            yield from _invariants()
    except DatabaseAwayError as error:
        yield Finding("database", False, sentence_of(error))
    except peewee.DatabaseError as error:
        fault = fault_of(error)
        if fault is None:
            raise
        yield Finding("database", False, fault.sentence)
    except EmbeddedPostgresError as error:
        yield Finding("database", False, str(error))
    finally:
        connection.disconnect()
        if embedded is not None:
            embedded.stop()


def _soundness(settings: Settings, *, alone: bool) -> Iterator[Finding]:
    """The key, whether a commit lasts, what PostgreSQL's log shows, and how many connections there are."""
    if settings.secret_keys or key_file(settings.data_dir).exists() or is_sealed():
        try:
            sealer = sealer_of(settings)
        except (KeyLostError, CommandError) as error:
            yield Finding("secret key", False, str(error))
        else:
            keys = keys_trouble(sealer)
            fits = "opens what is sealed in this database"
            yield Finding("secret key", keys is None, keys.sentence if keys is not None else fits)
    durable = durability_troubles()
    yield from (Finding(trouble.check, False, trouble.sentence) for trouble in durable)
    if not durable:
        yield Finding("durability", True, "what is acknowledged survives a crash of PostgreSQL")
    shown = log_trouble()
    kept = "PostgreSQL's shows nothing of what was sent"
    yield Finding("log", shown is None, shown.sentence if shown is not None else kept)
    connections = [trouble for trouble in (pooling_trouble(), places_trouble(alone=alone)) if trouble is not None]
    yield from (Finding(trouble.check, False, trouble.sentence) for trouble in connections)
    if not connections:
        yield Finding("connections", True, "enough for every role")


_CHECKS = {
    BROKER_KIND: "redis",
    OLD_QUEUE: "queue",
    JOBS_LATE: "jobs",
    WRONG_KEY: "secret key",
    MIGRATIONS: "migrations",
    DATABASE_FULL: "database",
    DATABASE_READ_ONLY: "database",
    CLOCK_OFF: "clocks",
    NO_FILES: "files",
    MAILS_FAIL: "e-mails",
    WEBHOOKS_FAIL: "webhooks",
    PLATFORM_DOWN: "platforms",
}
_SANDBOX = (SANDBOX, NO_SANDBOX)


def _roles(settings: Settings) -> Iterator[Finding]:
    """Whether every role lives, and what the processes that live say."""
    facts = facts_now(periodic(settings), datetime.now(UTC), with_queue=True)
    if not has_run(facts):
        if facts.beats and facts.queued:
            waits = counted(facts.queued, "delivery waits", "deliveries wait")
            yield Finding("roles", False, f"none is running, and {waits}: start them, or `tracklayer up`")
        else:
            yield Finding("roles", True, "none is running, and nothing is meant to: none was ever, or all were stopped")
        yield from _sandbox(settings, None)
        return
    found = judge(facts)
    if not any(trouble.kind in NO_ROLE.values() for trouble in found):
        alive = ", ".join(f"{len(facts.living(role))} {role}" for role in ROLES if facts.living(role))
        yield Finding("roles", True, f"alive: {alive}")
    yield from _sandbox(settings, [trouble for trouble in found if trouble.kind in _SANDBOX])
    for trouble in found:
        if trouble.kind not in _SANDBOX and trouble.kind != MAILS_FAIL:  # of those `_mails` says more
            yield Finding(_CHECKS.get(trouble.kind.split(":")[0], "roles"), not trouble.is_critical, _sentence(trouble))


def _sandbox(settings: Settings, told: list[Trouble] | None) -> Iterator[Finding]:
    """Where the traffic goes, in one finding. ``told``: by the processes that run, whatever is set here; None where none does."""
    own = sandbox_trouble(settings.sandbox_url)
    if told:
        is_fault = own is not None or any(trouble.kind == SANDBOX for trouble in told)
        yield Finding("sandbox", not is_fault, ". ".join(_sentence(trouble) for trouble in told))
    elif own is not None:
        yield Finding(own.check, False, own.sentence)
    elif settings.sandbox_url is not None:
        yield Finding("sandbox", True, "the platforms' traffic goes to the emulator; no destination is a real one")
    elif told is None and (invented := invented_trouble(None)) is not None:  # of those that run, each says so itself
        yield Finding(invented.check, True, invented.sentence)


def _sentence(trouble: Trouble) -> str:
    return f"{trouble.title}. {trouble.message}".removesuffix(".")


def _invariants() -> Iterator[Finding]:
    try:
        violations = check_invariants(datetime.now(UTC) + clock_skew())
    except ReadTimeoutError:
        yield Finding("invariants", False, "the recount took too long and was ended: try again at a quieter hour")
        return
    for found in violations:
        example = f" (event {found.event_id})" if found.event_id else ""
        yield Finding("invariants", False, f"{found.kind}: {found.message}{example}")
    if not violations:
        yield Finding("invariants", True, "nothing is overdue or lost, and the ledger adds up")


def _without_mail() -> Iterator[Finding]:
    with connection.session():
        waiting = merchants_with_addresses()
    if waiting:
        have = f"{counted(waiting, 'merchant has', 'merchants have')} addresses for alerts"
        yield Finding("e-mails", False, f"{have}, and no mail server is set: nobody gets one. Set TRACKLAYER_SMTP_URL")


def _mails() -> Iterator[Finding]:
    yield _waiting_mails()


def _waiting_mails() -> Finding:
    with connection.session():
        trouble = mail_trouble(datetime.now(UTC) - LOST_MAIL)
        late, since_late = overdue(datetime.now(UTC) - LATE_MAIL)
    if trouble.failing:
        since = f"{trouble.since:%Y-%m-%d %H:%M} UTC"
        why = f"{trouble.failing} wait because the server does not take them since {since} ({trouble.last_error})"
        return Finding("e-mails", False, f"{why}: check TRACKLAYER_SMTP_URL and the mail server's log")
    if late:
        why = f"{counted(late, 'is', 'are')} due since {since_late:%Y-%m-%d %H:%M} UTC or later and not sent"
        return Finding("e-mails", False, f"{why}: no worker sends them, or the mail server takes too long for each")
    if trouble.lost:
        lost = f"{trouble.lost} of the last day were given up, or nobody knows their fate ({trouble.lost_error})"
        return Finding("e-mails", False, f"{lost}: the mail server's log says why")
    return Finding("e-mails", True, "none is waiting longer than it should")


def _operators_messages() -> Iterator[Finding]:
    """Those that the operator's own channels do not take."""
    with connection.session():
        waiting = untold(OPERATOR_LATE)
    for channel, count, error in waiting:
        messages = counted(count, "message waits", "messages wait")
        what = f"{messages} because the {channel.split(':')[0]} does not take them, or may not have ({error})"
        yield Finding("operator", False, f"{what}: check the settings of the operator's alerts")


def _advice() -> Iterator[Finding]:
    """What merchants are advised on: theirs to mend, and no fault of the installation."""
    with connection.session():
        counts = advice_counts()
    if counts:
        codes = ", ".join(f"{code.upper()} to {merchants:,}" for code, merchants in counts.items())
        yield Finding(
            "advice", True, f"given to merchants: {codes}; `advice` of a merchant and its destinations says more"
        )


def _erasures() -> Iterator[Finding]:
    """Those whose step fails again and again: they would never end."""
    with connection.session():
        failing = failing_erasures(datetime.now(UTC) - FAILING, MOST_ERASURES + 1)
    if not failing:
        return
    some = ", ".join(
        f"{erasure_id} of merchant {merchant_id} since {since:%Y-%m-%d %H:%M} UTC"
        for merchant_id, erasure_id, since in failing[:MOST_ERASURES]
    )
    more = " and more" if len(failing) > MOST_ERASURES else ""
    yield Finding("erasures", False, f"a step fails again and again of {some}{more}: the workers' log has the trace")


def _collectors(settings: Settings) -> Iterator[Finding]:
    """How long Safari lets their cookies live: theirs to mend, and no fault of the installation."""
    with connection.session():
        found = fits(settings.collector_hosts, settings.public_url, MOST_COLLECTORS, _addresses_of)
    if not found:
        return
    if not settings.collector_hosts:
        yield Finding("collector", True, "set TRACKLAYER_COLLECTOR_HOSTS, so that its names serve nothing else")
    for fit in found:
        if fit.shares_half is None:
            say = f"{fit.host} or {fit.page} is not found from here, so nobody can say whether Safari keeps its cookie"
        elif fit.shares_half:
            say = f"{fit.host} shares the first half of an address with {fit.page}: Safari keeps its cookie"
        else:
            say = (
                f"{fit.host} shares no first half of an address with {fit.page}, so Safari ends its cookie after 7 days: "
                "have the shop's own server or CDN pass /tl.js and /t on"
            )
        yield Finding("collector", True, say)


def _addresses_of(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]


def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding("redis", True, "not set: `up` needs none; api, worker and scheduler do")
    try:
        with closing(
            redis.Redis.from_url(str(settings.redis_url), socket_connect_timeout=3, socket_timeout=3)
        ) as client:
            client.set(f"{NAMESPACE}:doctor", "", px=5000)
            client.delete(f"{NAMESPACE}:doctor")
            client.eval("return 1", 0)  # messages are moved by scripts
    except (redis.RedisError, OSError, ValueError) as error:
        kind = type(error).__name__
        wrong = SILENT if isinstance(error, ValueError) else what_is_wrong(error)
        advice = {
            FULL: "is full and takes no messages: raise its maxmemory, or take away what else is kept there",
            READ_ONLY: "is a read-only replica: let TRACKLAYER_REDIS_URL name its primary",
            SILENT: f"does not answer ({kind}): check TRACKLAYER_REDIS_URL and that Redis runs",
        }
        advice[UNCONNECTED] = files.NONE_LEFT
        advice[STRANGER] = "what listens there is not Redis: check the host and the port in TRACKLAYER_REDIS_URL"
        refused = f"refuses what messages need ({kind}): allow SET, DEL, EVAL, EVALSHA and SCRIPT on {NAMESPACE}:*"
        return Finding("redis", False, advice.get(wrong, refused))
    return Finding("redis", True, "answers and takes messages")


def _mail(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        return Finding("mail", True, "not set: alerts are not sent by e-mail")
    server = SmtpServer.from_url(str(settings.smtp_url), "")
    try:
        with Mailer(server, MAIL_SECONDS, MAIL_WHOLE_SECONDS) as mailer:
            mailer.open()
    except NotSentError as error:
        return Finding("mail", False, f"{server.host} takes no mail ({error.reason}): check TRACKLAYER_SMTP_URL")
    return Finding("mail", True, f"{server.host} answers{' and knows us' if server.user else ''}")
