"""The tables of the guide to limits, made of the code's own numbers: ``python -m tests.web.limits_guide`` renews them."""

from __future__ import annotations

from datetime import timedelta
from inspect import signature
from pathlib import Path

from strawberry.asgi import GraphQL

from tests.web.errors_guide import renewed, table
from tracklayer import web
from tracklayer.cli import connections as served
from tracklayer.cli.arguments import MOST_ROWS
from tracklayer.cli.lines import MOST_BYTES
from tracklayer.db import sign_ins
from tracklayer.db.channels import MAX_CHANNELS
from tracklayer.db.connection import READ_TIMEOUT_MS
from tracklayer.db.counters import KEPT_BY_MINUTE
from tracklayer.db.merchants import MAX_API_KEYS
from tracklayer.domain import collector as collected
from tracklayer.domain import event, event_fields, identifiers, personal, retry, wire
from tracklayer.domain.ledger import LONGEST
from tracklayer.domain.wire import RETRY_AFTER_SECONDS
from tracklayer.schema import (
    MAX_TOKENS,
    STRANGER_TOKENS,
    bodies,
    connections,
    context,
    cost,
    coverage,
    limits,
    live,
    payloads,
    queries,
)
from tracklayer.schema.compiled import plans
from tracklayer.schema.fair import LONG_BODY
from tracklayer.schema.known import MAX_TEXT
from tracklayer.schema.sent import (
    EVERYDAY_FIELDS,
    EVERYDAY_PART,
    MAX_FIELDS,
    MAX_PARTS,
    MAX_VALUES,
    STREAM_VALUES,
)
from tracklayer.services import (
    access_package,
    alert,
    check,
    collect,
    destinations,
    erase,
    ingest,
    intake,
    merchants,
    notify,
    pacing,
    post,
    privacy,
    sign_in,
    trial,
    webhook,
)
from tracklayer.settings import load_settings
from tracklayer.web import collector, session

GUIDE = Path(web.__file__).parent / "docs" / "limits.md"


def tables() -> list[str]:
    """The guide's tables, in its order."""
    settings = load_settings({})
    reads, asked = int(settings.read_cost_per_second), int(settings.requests_per_second)
    head = ("what", "limit", "beyond it")
    return [
        table(
            head,
            [
                ("events of one `ingestEvents`", f"{ingest.MAX_EVENTS:,}", "`BAD_USER_INPUT`"),
                ("an event, as JSON", _bytes(event.MAX_EVENT), "`TOO_LARGE`"),
                ("its `properties`, as JSON", _bytes(event.MAX_PROPERTIES), "`TOO_LARGE`"),
                ("`eventId`", f"{event.MAX_EVENT_ID} characters", "`TOO_LONG`"),
                ("`eventName`", f"{event.MAX_EVENT_NAME} characters", "`TOO_LONG`"),
                ("`eventSourceUrl`", f"{personal.MAX_URL:,} characters", "left out, with `IDENTIFIER_MALFORMED`"),
                (
                    "an identifier in `userData`",
                    f"{identifiers.MAX_IDENTIFIER:,} characters",
                    "left out, with `IDENTIFIER_MALFORMED`",
                ),
                (
                    "further `emails`, or `phones`, of a person",
                    f"{event.MAX_MORE}",
                    "the first ones count, with `IDENTIFIER_MALFORMED`",
                ),
                ("a text in `device`", f"{event.MAX_DEVICE_TEXT} characters", "`TOO_LONG`"),
                (
                    "`occurredAt` ahead of the clock",
                    f"{event.MAX_AHEAD // timedelta(minutes=1)} minutes",
                    "`TIME_IN_FUTURE`",
                ),
                (
                    "mistakes that are told of one input",
                    f"{payloads.MAX_USER_ERRORS}, and the first {event_fields.MAX_UNKNOWN} unknown fields of each object",
                    "the others are not told",
                ),
                (
                    "events that wait in one API process to be committed",
                    f"{intake.MAX_WAITING:,}",
                    f"503 `OVERLOADED`, `Retry-After: {RETRY_AFTER_SECONDS}`",
                ),
            ],
        ),
        table(
            head,
            [
                ("body of a request with a key", _bytes(bodies.MAX_BODY), "413 `TOO_LARGE`"),
                ("body with a key of scope `ADMIN`", _bytes(bodies.MAX_ADMIN_BODY), "413 `TOO_LARGE`"),
                ("values of a body", f"{MAX_VALUES:,}", "413 `TOO_LARGE`"),
                ("fields of a body, which are its colons", f"{MAX_FIELDS:,}", "413 `TOO_LARGE`"),
                (
                    "objects and lists of a body; with a key of scope `ADMIN` only its values count",
                    f"{MAX_PARTS:,}",
                    "413 `TOO_LARGE`",
                ),
                ("body without a key", _bytes(wire.STRANGER_BODY), "413 `TOO_LARGE`"),
                ("body of what is answered by an event stream", _bytes(wire.STREAM_BODY), "413 `TOO_LARGE`"),
                (
                    "a message of a WebSocket",
                    f"{_bytes(wire.STREAM_BODY)}; {_bytes(wire.STRANGER_BODY)} until its key is known",
                    "closed with 1009",
                ),
                (
                    "values of what is answered by a stream, and of a message of a WebSocket",
                    f"{STREAM_VALUES:,}",
                    "413 `TOO_LARGE`; over a WebSocket an `error` of that code",
                ),
                (
                    "all bodies that one process has in hand, what operations hold that are open on streams, and answers that are made and not read",
                    _bytes(bodies.ALL_BODIES),
                    "503 `OVERLOADED`",
                ),
                ("characters of a document", f"{MAX_TEXT:,}", "413 `TOO_LARGE`"),
                (
                    "tokens of a document",
                    f"{MAX_TOKENS:,}; {STRANGER_TOKENS} without a key",
                    "`GRAPHQL_PARSE_FAILED`",
                ),
                ("fields within fields", f"{cost.MAX_DEPTH}", "`TOO_DEEP`"),
                ("fragments within fragments", f"{cost.MAX_SPREADS}", "`TOO_DEEP`"),
                ("fields that stand twice in one selection", f"{cost.MAX_REPEATS}", "`TOO_COMPLEX`"),
                ("aliases of an operation", f"{cost.MAX_ALIASES}", "`TOO_MANY_ALIASES`"),
                ("fragments of a document", f"{cost.MAX_FRAGMENTS}", "`TOO_COMPLEX`"),
                ("inline fragments of an operation", f"{cost.MAX_INLINE}", "`TOO_COMPLEX`"),
                (
                    "pairs of fields that are compared: of one name in a selection, in fragments on one level",
                    f"{cost.MAX_CHECKS:,}",
                    "`TOO_COMPLEX`",
                ),
                ("objects that one operation may answer with", f"{cost.MAX_COST:,}", "`TOO_COSTLY`"),
                (
                    "rows of a page (`first`)",
                    f"1 to {connections.MAX_FIRST}; {connections.DEFAULT_FIRST} where it is left out",
                    "`BAD_USER_INPUT`",
                ),
                ("ids of one `nodes(ids)`", f"{queries.MOST_NODES}", "`BAD_USER_INPUT`"),
                (
                    "time that one `ledger` tells of",
                    f"{LONGEST['minute'].days} day by the minute, {LONGEST['hour'].days} days by the hour, "
                    f"{LONGEST['day'].days} days by the day",
                    "`BAD_USER_INPUT`",
                ),
                ("time that one `coverage` tells of", f"{coverage.LONGEST.days} days", "`BAD_USER_INPUT`"),
                ("time that a query reads", f"{READ_TIMEOUT_MS // 1000} s", "`READ_TIMEOUT`"),
                (
                    "subscriptions of one key in one process, and as many WebSockets",
                    f"{context.MAX_OF_A_KEY:,}",
                    "429 `RATE_LIMITED`; a WebSocket is closed with 1013",
                ),
                (
                    "operations that are open on one WebSocket",
                    f"{signature(GraphQL.__init__).parameters['max_subscriptions_per_connection'].default}",
                    "an `error` `RATE_LIMITED`",
                ),
                ("messages and pings that a WebSocket sends in a second", f"{served.MAX_FRAMES:,}", "closed with 1008"),
                ("frames that one message of a WebSocket is made of", f"{served.MAX_FRAGMENTS:,}", "closed with 1008"),
                (
                    "a WebSocket whose key is not known",
                    f"{live.INIT_TIMEOUT.seconds} s for `connection_init`, {served.ADMIT_SECONDS} s in all",
                    "closed with 4408, or without a word",
                ),
                (
                    "messages and pings of a WebSocket whose key is not known",
                    f"{served.STRANGER_FRAMES}",
                    "closed with 1008",
                ),
                (
                    "pings of a WebSocket whose answers it does not read",
                    f"{served.MAX_UNREAD_PINGS}",
                    "closed without a word",
                ),
                ("request line and headers", _bytes(served.MAX_HEAD), "431 `TOO_LARGE`"),
                (
                    "time from the beginning of a request to the end of its headers",
                    f"{served.HEAD_SECONDS} s",
                    "408 `TOO_SLOW`",
                ),
                (
                    "time for a body",
                    f"{served.BODY_SECONDS} s, and after {served.FIRST_SECONDS} of them no slower than "
                    f"{_bytes(served.SLOWEST)} a second",
                    "408 `TOO_SLOW`",
                ),
                ("time between two requests of a connection", f"{served.IDLE_SECONDS} s", "closed"),
                (
                    "requests of a connection that wait behind the one in hand",
                    f"{served.MAX_PIPELINED}",
                    "what comes behind them is read when they are answered",
                ),
                ("members of a body compressed with gzip", f"{bodies.MOST_MEMBERS:,}", "400 `BAD_REQUEST`"),
                (
                    "connections of one process, fewer where the system allows it fewer open files",
                    f"{served.MAX_CONNECTIONS:,}",
                    "503 `OVERLOADED`",
                ),
                (
                    "a connection behind a refusal",
                    f"{served.FAREWELL_SECONDS} s to read it, {served.MAX_REFUSED} of them at once",
                    "closed",
                ),
                ("connections at `TRACKLAYER_METRICS_PORT`", f"{served.MAX_ASIDE}", "503 `OVERLOADED`"),
            ],
        ),
        table(
            head,
            [
                ("taking events in", "none, with what varies in `variables`", ""),
                (
                    "objects read by a merchant",
                    f"{reads:,} a second, ten times as many at once (`TRACKLAYER_READ_COST_PER_SECOND`)",
                    "429 `RATE_LIMITED`",
                ),
                (
                    "documents that the process does not know, as objects read: those it has not seen twice",
                    f"each counts as {limits.TEXT_COST}, {limits.CHARACTER_COST} a character and {limits.CHECK_COST} a pair of "
                    "fields that is compared; as much again where it is refused",
                    "429 `RATE_LIMITED`",
                ),
                (
                    f"bodies of more than {_bytes(LONG_BODY)}, as objects in a budget as large, beside the one of reading",
                    f"of an operation that takes events in and uses all its variables nothing up to {_bytes(bodies.MAX_BODY)}; beyond "
                    f"that, and of any other operation, 1 for {limits.BYTES_OF_OBJECT} bytes; for {limits.PARTS_OF_OBJECT} objects or "
                    f"lists beyond one in {EVERYDAY_PART} bytes 1 more, and for {limits.PARTS_OF_OBJECT} fields beyond "
                    f"{EVERYDAY_FIELDS} of each object and list",
                    "429 `RATE_LIMITED`",
                ),
                (
                    "characters of a document that a process keeps a plan of",
                    f"{plans.MAX_TEXT:,}",
                    "it counts as one that the process does not know",
                ),
                (
                    "what a subscription selects beside the alert itself, as objects read",
                    "counted each time a change is told",
                    "the next change waits until it is paid for",
                ),
                (
                    "operations of one key",
                    f"{asked} a second, ten times as many at once (`TRACKLAYER_REQUESTS_PER_SECOND`)",
                    "429 `RATE_LIMITED`",
                ),
                (
                    "operations without a key, from one address (IPv6: one /64)",
                    f"{limits.STRANGERS} a second, {limits.STRANGERS_AT_ONCE} at once",
                    "429 `RATE_LIMITED`",
                ),
                (
                    "operations without a key, from all addresses",
                    f"{limits.ALL_STRANGERS} a second, {limits.ALL_STRANGERS_AT_ONCE} at once",
                    "429 `RATE_LIMITED`",
                ),
                (
                    "objects read by all who send no key",
                    f"{limits.STRANGERS_COST:,} a second, {limits.STRANGERS_COST_AT_ONCE:,} at once",
                    "429 `RATE_LIMITED`",
                ),
                (
                    "requests with an unknown key, from one address (IPv6: one /64)",
                    f"{limits.UNKNOWN_KEYS} a second, {limits.ALL_UNKNOWN_KEYS} from all addresses",
                    "429 `RATE_LIMITED`",
                ),
                ("sessions that one key begins", f"{session.BEGUN} a minute", "429 `RATE_LIMITED`"),
                (
                    "`testDestination`, `testAlertChannel` and `setAlertChannel` that still wait for an answer",
                    f"{trial.OF_ONE} of a merchant, {trial.AT_ONCE} in an API process",
                    "429 `RATE_LIMITED`",
                ),
                ("`POST /t` from one address", f"{collector.OF_ADDRESS} a minute", "429"),
                (
                    "`POST /t` of a merchant from one network (IPv4 /24, IPv6 /48)",
                    f"{collector.OF_NETWORK:,} a minute",
                    "429",
                ),
                (
                    "new browsers of a merchant",
                    f"{collector.NEW_OF_MERCHANT:,} a minute, {collector.NEW_AT_ONCE:,} at once",
                    "429",
                ),
                ("`POST /t` of all pages of a merchant", f"{collector.OF_MERCHANT:,} a second", "429"),
                ("`POST /t` that wait in one API process", f"{collect.MAX_WAITING:,}", "503"),
                ("body of `POST /t` and of `POST /session`", _bytes(collector.MAX_BODY), "413"),
            ],
        ),
        table(
            head,
            [
                ("name of a merchant or a key", f"{merchants.MAX_NAME} characters", "`INVALID_VALUE`"),
                ("API keys of a merchant that are in force", f"{MAX_API_KEYS}", "`TOO_LARGE`"),
                (
                    "days for which events are kept",
                    f"{', '.join(map(str, merchants.RETENTION_DAYS[:-1]))} or {merchants.RETENTION_DAYS[-1]}",
                    "`INVALID_VALUE`",
                ),
                ("an address for alerts", f"{merchants.MAX_ADDRESS} characters", "`INVALID_VALUE`"),
                ("addresses for alerts of a merchant", f"{merchants.MAX_ADDRESSES}", "`TOO_LARGE`"),
                ("alert channels of a merchant", f"{MAX_CHANNELS}", "`TOO_LARGE`"),
                ("address of a webhook", f"{webhook.MAX_URL:,} characters", "`TOO_LONG`"),
                ("note on an alert", f"{alert.MAX_NOTE:,} characters", "`TOO_LONG`"),
                ("snooze of an alert", f"{alert.LONGEST_SNOOZE.days} days", "`INVALID_VALUE`"),
                ("a setting of a destination", f"{destinations.MAX_SETTING:,} characters", "`INVALID_SETTING`"),
                ("event names of a destination", f"{destinations.MAX_EVENT_NAMES}", "`TOO_LARGE`"),
                ("origins of the collector", f"{collected.MAX_ORIGINS}", "`TOO_LARGE`"),
                ("stored events that `check` looks at", f"{check.MOST}", "the newest ones"),
                ("event ids of one `erasePerson`", f"{erase.MAX_IDS:,}", "`TOO_LARGE`"),
                ("an identifier of `erasePerson`", f"{erase.MAX_VALUE:,} characters", "`INVALID_VALUE`"),
                ("people of a merchant who are being erased", f"{erase.MAX_OPEN:,}", "`TOO_MANY_ERASURES`"),
                (
                    "`exportPerson`",
                    f"{access_package.MOST_BYTES // 10**6} MB",
                    "`complete` is false: use `tracklayer person export`",
                ),
                (
                    "a session of the dashboard",
                    f"{sign_ins.IDLE // timedelta(hours=1)} idle hours, {sign_ins.LONGEST.days} days",
                    "sign in again",
                ),
                (
                    "sessions that one key holds at once",
                    f"{sign_ins.MAX_SESSIONS}",
                    "the one that was not seen for longest ends",
                ),
                ("links to sign in of a merchant that wait to be used", f"{sign_ins.MAX_CODES}", "the oldest goes"),
                (
                    "a link to sign in",
                    f"once, {sign_in.CODE_LIFETIME // timedelta(minutes=1)} minutes",
                    "`tracklayer sign-in` prints another",
                ),
                ("rows that a command lists (`--limit`)", f"{MOST_ROWS:,}", "wrong usage; `--after` goes on"),
                ("a line of `tracklayer import`", _bytes(MOST_BYTES), "the line is refused"),
            ],
        ),
        table(
            ("what", "limit", "beyond it"),
            [
                ("attempts of a delivery", f"{retry.MAX_ATTEMPTS}", "dropped: `RETRIES_EXHAUSTED`"),
                (
                    "time in which a delivery is made",
                    f"{int(settings.retry_window.total_seconds()) // 3600} hours (`TRACKLAYER_RETRY_WINDOW_SECONDS`)",
                    "dropped: `WINDOW_EXPIRED`",
                ),
                (
                    "pauses between attempts",
                    f"{', '.join(_pauses(settings.retry_base))} (`TRACKLAYER_RETRY_BASE_SECONDS`), and up to {retry.JITTER:.0%} more",
                    "longer where the platform says so",
                ),
                (
                    "deliveries that one `redeliver` queues before it answers",
                    f"{pacing.PAGE:,}",
                    f"the rest is a `job`, at {timedelta(seconds=1) // pacing.APART:,} a second for each destination",
                ),
                (
                    "time in which a webhook is sent again",
                    f"{post.GIVE_UP_AFTER // timedelta(hours=1)} hours, with pauses of {post.FIRST_PAUSE.seconds} s to "
                    f"{post.LONGEST_PAUSE // timedelta(minutes=1)} min",
                    "given up",
                ),
                ("time that the receiver of a webhook has", f"{webhook.SECONDS:.0f} s", "sent again"),
                (
                    "time in which an alert's end is sent again by e-mail",
                    f"{notify.GIVE_UP_AFTER // timedelta(hours=1)} hours, with pauses of {notify.FIRST_PAUSE.seconds} s to "
                    f"{notify.LONGEST_PAUSE // timedelta(minutes=1)} min; that it is open: for as long as it is",
                    "given up",
                ),
                ("counters of a minute", f"{KEPT_BY_MINUTE.days} days", "kept by the hour"),
                (
                    "when an alert opened and was resolved",
                    f"{privacy.ALERT_HISTORY.days} days",
                    "forgotten; the alert itself stays",
                ),
                (
                    "a redelivery that is finished",
                    f"{privacy.REDELIVERIES.days} days",
                    "forgotten; what it queued stays",
                ),
            ],
        ),
    ]


def _bytes(count: int) -> str:
    mib = 1024 * 1024
    return f"{count // mib} MiB" if count % mib == 0 else f"{count // 1024} KiB"


def _pauses(first: timedelta) -> list[str]:
    """Between the attempts of a delivery, one after another."""
    seconds = [int(first.total_seconds()) * retry.BACKOFF**number for number in range(retry.MAX_ATTEMPTS - 1)]
    return [f"{pause // 60} min" if pause % 60 == 0 else f"{pause} s" for pause in seconds]


if __name__ == "__main__":
    GUIDE.write_text(renewed(GUIDE.read_text("utf-8"), tables()), "utf-8")
