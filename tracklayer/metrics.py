"""What an operator's Prometheus reads: the instruments of this process, written for all that share its port.

Instruments alone: whoever counts calls one in a line, and judges nothing by it. A label has no more values than this code
names: platforms, outcomes, reasons, codes, kinds, roles; never a merchant, an event's name or an id.

One process keeps its numbers in memory. Those of ``api --processes N`` keep theirs in files that they map into memory,
each in a folder named by its place among them: whoever takes the place of one that died goes on with its counters, so that
no counter falls, no file is left behind and no process id is taken for another's.
"""

from __future__ import annotations

import os
import platform as machine
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FOLDER = "tracklayer-metrics-"  # how the folder that processes share begins: another program's variable is not ours
PLACE = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable: where a process that shares its port keeps its numbers
# Bytes of each file. Its room is taken at once: what is written through memory to a disk that is full ends the process.
FILES = {
    "counter": 256 * 1024,
    "histogram": 1024 * 1024,
    "gauge_livesum": 64 * 1024,
    "gauge_livemax": 64 * 1024,
    "gauge_livemostrecent": 64 * 1024,
}
SAMPLE_SECONDS = 5.0  # between two looks at what a process takes of its machine


# What the library has without types.
_read: Callable[[Path], Iterable[tuple[str, float, float, int]]] = MmapedDict.read_all_values_from_file
_values_at: Callable[[Callable[[], str]], Any] = values.MultiProcessValue
_merge: Callable[[list[str]], Iterable[Metric]] = MultiProcessCollector.merge
_leave_out_creation: Callable[[], None] = prometheus_client.disable_created_metrics


def _take_place(folder: str | None) -> tuple[Path | None, str | None]:
    """(this process's folder, None) where it shares its numbers, (None, why it does not) where it was to."""
    if folder is None or not Path(folder).parent.name.startswith(FOLDER):
        return None, None
    own = Path(folder)
    try:
        own.mkdir(exist_ok=True)
        for kind, size in FILES.items():
            path = own / f"{kind}_{own.name}.db"
            if kind.startswith("gauge") or not _is_sound(path, size):
                fresh = path.with_suffix(".new")
                fresh.write_bytes(bytes(size))
                fresh.replace(path)
    except OSError as error:
        return None, f"{folder}: {error.strerror}"
    return own, None


def _is_sound(path: Path, size: int) -> bool:
    """Whether a file can be gone on with: it is whole, and everything in it can be read."""
    try:
        return path.stat().st_size >= size and all(key for key, *_ in _read(path))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is better
        return False


def forget_gauges(place: Path) -> None:
    """What a process that ended said of itself; what it counted stays."""
    for path in place.glob("gauge_*.db"):
        path.unlink(missing_ok=True)


# Why this process's numbers are not among those of the others that share its port; None: they are, or there are none.
own_place, is_apart_because = _take_place(os.environ.get(PLACE))
values.ValueClass = values.MutexValue if own_place is None else _values_at(own_place.name.__str__)
_leave_out_creation()
REGISTRY = CollectorRegistry()


class Histogram(prometheus_client.Histogram):
    """The library's, to which many observations can be added at once."""

    def add(self, places: Iterable[tuple[int, int]], total: float) -> None:
        """``places``: of a bucket, counted from 0, how many fall to it. ``total``: the sum of all of them."""
        self._sum.inc(total)
        for place, count in places:
            self._buckets[place].inc(count)


class Described(NamedTuple):
    kind: str
    labels: tuple[str, ...]
    meaning: str


EXPORTED: dict[str, Described] = {}  # by name; a histogram's is that before ``_bucket``


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    EXPORTED[name] = Described("counter", labels, meaning)
    return Counter(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, bounds: Sequence[float], *labels: str) -> Histogram:
    EXPORTED[name] = Described("histogram", labels, meaning)
    return Histogram(name, meaning, labels, buckets=bounds, registry=REGISTRY)


def _gauge(name: str, meaning: str, mode: Any, *labels: str) -> Gauge:
    """``mode``: what several processes that share a port make of theirs."""
    EXPORTED[name] = Described("gauge", labels, meaning)
    return Gauge(name, meaning, labels, multiprocess_mode=mode, registry=REGISTRY)


QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds, next door
ANSWERS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # of ours
FAR = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # of a platform
RUNS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0)  # of a periodic job
SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000)
# As the ledger counts them: db/counters.py, in seconds.
LATENCIES = (
    0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0,
    3600.0, 7200.0, 14400.0, 43200.0, 86400.0,
)  # fmt: skip

# Taking in ------------------------------------------------------------------------------------------------------------

EVENTS = _counter("tracklayer_events_total", "Events by what became of them: accepted, coalesced, rejected.", "outcome")
ACCEPTED, COALESCED, REJECTED = (EVENTS.labels(outcome) for outcome in ("accepted", "coalesced", "rejected"))
EVENTS_REFUSED = _counter(
    "tracklayer_events_refused_total",
    "Rejected events by the code of the first thing that was wrong, or of what their whole request was refused with; "
    "SENT_AGAIN: it was refused within the last hours already.",
    "code",
)
EVENTS_WAITING = _gauge("tracklayer_events_waiting", "Events taken in that wait for their commit.", "livesum")
HTTP_REQUESTS = _counter("tracklayer_http_requests_total", "Requests by route and HTTP status.", "route", "status")
for _route in ("/graphql", "/t"):
    HTTP_REQUESTS.labels(_route, 503)
HTTP_SECONDS = _histogram(
    "tracklayer_http_request_duration_seconds", "From a request to the beginning of its answer.", ANSWERS, "route"
)
HTTP_IN_FLIGHT = _gauge("tracklayer_http_requests_in_flight", "Requests whose answer has not begun.", "livesum")
CONNECTIONS_REFUSED = _counter(
    "tracklayer_connections_refused_total",
    "Connections closed for being slow, too large, too many or unreadable, by HTTP status.",
    "status",
)
CONNECTIONS_CLOSED = _counter(
    "tracklayer_connections_closed_total",
    "Connections closed for new ones, as there were as many as a process may hold, by what they were in the midst of: nothing, body, "
    "answer.",
    "kind",
)
GRAPHQL_ERRORS = _counter(
    "tracklayer_graphql_errors_total", "Errors in answers by code: OVERLOADED, DATABASE_AWAY, RATE_LIMITED ...", "code"
)

# Delivering -----------------------------------------------------------------------------------------------------------

DELIVERIES = _counter(
    "tracklayer_deliveries_total",
    "Deliveries that came to an end, delivered or dropped, and those requeued by a redelivery.",
    "platform",
    "outcome",
)
DELIVERIES_DROPPED = _counter(
    "tracklayer_deliveries_dropped_total", "Dropped deliveries by reason.", "platform", "reason"
)
ATTEMPTS = _counter(
    "tracklayer_delivery_attempts_total",
    "Attempts by what the platform said: acknowledged, refused, rate_limited, credentials_refused, unreachable, "
    "unknown; unmappable: refused by its rules before anything was sent.",
    "platform",
    "outcome",
)
LATENCY = _histogram(
    "tracklayer_delivery_latency_seconds",
    "From an event's arrival to the platform's acknowledgement. The sum takes each for the middle of its bucket.",
    LATENCIES,
    "platform",
)
PLATFORM_REQUESTS = _counter(
    "tracklayer_platform_requests_total",
    "Requests to platforms by the class of their answer: 2xx ... 5xx, no_answer, not_sent, token_refused, fault.",
    "platform",
    "answer",
)
PLATFORM_SECONDS = _histogram(
    "tracklayer_platform_request_duration_seconds",
    "From sending a request to a platform to the end of its answer, tokens included.",
    FAR,
    "platform",
)
CLAIMED = _histogram(
    "tracklayer_claim_size_deliveries",
    "Deliveries of one claim; look: one destination's, or many at once.",
    SIZES,
    "look",
)
SWEPT = _counter(
    "tracklayer_swept_deliveries_total",
    "What sweeps found: taken_back from workers that are gone, dropped since their time was over.",
    "what",
)
QUEUE_OLDEST = _gauge(
    "tracklayer_queue_oldest_seconds",
    "How long the longest due delivery that may be sent has been due.",
    "livemostrecent",
    "platform",
)
QUEUE_DELIVERIES = _gauge(
    "tracklayer_queue_deliveries", "Deliveries that wait, held and not yet due ones too.", "livemostrecent", "platform"
)
QUEUE_DESTINATIONS = _gauge(
    "tracklayer_queue_destinations", "Destinations that have something waiting.", "livemostrecent", "platform"
)
DESTINATIONS_HELD = _gauge(
    "tracklayer_destinations_held",
    "Destinations held, for their platform or their credentials, that have something waiting.",
    "livemostrecent",
    "platform",
)
QUEUE_LOOKED_AT = _gauge(
    "tracklayer_queue_look_timestamp_seconds",
    "When the queues were looked at last; 45 s later they are left to the process that looked since.",
    "livemax",
)

# The installation -----------------------------------------------------------------------------------------------------

JOB_SECONDS = _histogram(
    "tracklayer_job_duration_seconds", "Runs of periodic jobs: sweep, monitor, purge ...", RUNS, "job_name"
)
JOB_FAILURES = _counter("tracklayer_job_failures_total", "Runs of periodic jobs that failed.", "job_name")
ALERTS = _counter("tracklayer_alerts_total", "Merchants' alerts opened and resolved.", "kind", "change")
OPERATOR_ALERTS = _counter(
    "tracklayer_operator_alerts_total", "The operator's own alerts opened and resolved.", "kind", "change"
)
OPERATOR_ALERT_OPEN = _gauge(
    "tracklayer_operator_alert_open", "1 while an alert of the operator's own is open.", "livemax", "kind"
)
PROCESSES_ALIVE = _gauge(
    "tracklayer_processes_alive",
    "Processes whose heartbeat is fresh, in the whole installation.",
    "livemostrecent",
    "role",
)
HEARTBEAT_AGE = _gauge(
    "tracklayer_heartbeat_age_seconds", "Age of the newest heartbeat of a role.", "livemostrecent", "role"
)
LOOKED_AT = _gauge(
    "tracklayer_look_timestamp_seconds",
    "When all heartbeats were looked at last; 20 s later they are left to the process that looked since.",
    "livemax",
)
DATABASE_SECONDS = _histogram(
    "tracklayer_database_call_duration_seconds",
    "Calls of the database: store a batch of events, claim, settle, read for an answer.",
    QUICK,
    "call",
)
STORE, CLAIM, SETTLE, READ = (DATABASE_SECONDS.labels(call) for call in ("store", "claim", "settle", "read"))
POOL_SECONDS = _histogram("tracklayer_database_pool_wait_seconds", "Waits for a session of the pool.", QUICK)
BROKER_SECONDS = _histogram("tracklayer_broker_send_duration_seconds", "Sending one wake-up to the broker.", QUICK)
BROKER_FAILURES = _counter("tracklayer_broker_failures_total", "Messages that the broker did not take or give.")
LOOP_LAG = _histogram(
    "tracklayer_event_loop_lag_seconds",
    "How late the event loop of an API process runs what is due, twice a second.",
    QUICK,
)
BUILD = _gauge(
    "tracklayer_build_info", "1, with the version of TrackLayer and of Python.", "livemax", "version", "python"
)

# What each program tells, under the names that all of them use. Of several processes that share a port, the sum.
CPU = _counter("process_cpu_seconds_total", "User and system time of the processor.")
MEMORY = _gauge("process_resident_memory_bytes", "Memory in use.", "livesum")
FILES_OPEN = _gauge("process_open_fds", "Open files and connections.", "livesum")
STARTED = _gauge(
    "process_start_time_seconds", "When the process started; of several, the one that started last.", "livemax"
)

# Of a look at the whole installation: what it found, and for how many seconds that is told. Whoever looks next, a few seconds
# later, may be another process, and of the two the newer is to be seen.
_SEEN: dict[Gauge, tuple[float, tuple[Gauge, ...]]] = {
    QUEUE_LOOKED_AT: (45.0, (QUEUE_OLDEST, QUEUE_DELIVERIES, QUEUE_DESTINATIONS, DESTINATIONS_HELD)),
    LOOKED_AT: (20.0, (PROCESSES_ALIVE, HEARTBEAT_AGE)),
}
_NAMES = {gauge: next(iter(gauge.describe())).name for at, (_, seen) in _SEEN.items() for gauge in (at, *seen)}
_ATTEMPTS = (
    "acknowledged",
    "refused",
    "rate_limited",
    "credentials_refused",
    "unreachable",
    "unknown",
    "unmappable",
)
_ENDS = ("delivered", "dropped", "requeued")
_MIDDLES = [(low + high) / 2 for low, high in zip((0.0, *LATENCIES), (*LATENCIES, LATENCIES[-1]), strict=True)]


def introduce(version: str) -> None:
    """Says once which program this is."""
    BUILD.labels(version, machine.python_version()).set(1)
    STARTED.set(time.time())


def begin_at_zero(platforms: Iterable[str], reasons: Sequence[str]) -> None:
    """Shows what a worker counts before there is any: only what grows from 0 is seen to grow."""
    for platform in platforms:
        for outcome in _ENDS:
            DELIVERIES.labels(platform, outcome)
        for outcome in _ATTEMPTS:
            ATTEMPTS.labels(platform, outcome)
        for reason in reasons:
            DELIVERIES_DROPPED.labels(platform, reason)


def count_changes(
    platform: str, counts: Mapping[str, int], reasons: Mapping[str, int], places: Mapping[int, int]
) -> None:
    """What a committed transaction did with a platform's deliveries, in the words of ``db/counters.py``.

    A counter never falls: what the ledger takes back, of a redelivery or of an answer that came late, stays counted.
    """
    for outcome in _ENDS:
        if counts.get(outcome, 0) > 0:
            DELIVERIES.labels(platform, outcome).inc(counts[outcome])
    for outcome in _ATTEMPTS:
        if counts.get(outcome, 0) > 0:
            ATTEMPTS.labels(platform, outcome).inc(counts[outcome])
    for reason, count in reasons.items():
        if count > 0:
            DELIVERIES_DROPPED.labels(platform, reason).inc(count)
    if places:
        LATENCY.labels(platform).add(places.items(), sum([count * _MIDDLES[place] for place, count in places.items()]))


class PlatformRequest:
    """Around one request to a platform. ``answer``: the class of its answer, once there is one."""

    __slots__ = ("_began", "_platform", "answer")

    def __init__(self, platform: str) -> None:
        self._platform, self.answer = platform, "fault"

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        PLATFORM_SECONDS.labels(self._platform).observe(time.perf_counter() - self._began)
        PLATFORM_REQUESTS.labels(self._platform, self.answer).inc()


@contextmanager
def job(name: str) -> Iterator[None]:
    """Around one run of a periodic job."""
    failures = JOB_FAILURES.labels(name)  # there from the first run on: only what grows from 0 is seen to grow
    with JOB_SECONDS.labels(name).time():
        try:
            yield
        except BaseException:
            failures.inc()
            raise


def see_queues(platform: str, oldest: float, deliveries: int, destinations: int, held: int) -> None:
    """What a look at the queues found of one platform; of each, so that what was there before is not told any more."""
    QUEUE_OLDEST.labels(platform).set(oldest)
    QUEUE_DELIVERIES.labels(platform).set(deliveries)
    QUEUE_DESTINATIONS.labels(platform).set(destinations)
    DESTINATIONS_HELD.labels(platform).set(held)
    QUEUE_LOOKED_AT.set_to_current_time()


def see_roles(alive: Mapping[str, int], ages: Mapping[str, float]) -> None:
    """What a look at all heartbeats found, by role."""
    for role, count in alive.items():
        PROCESSES_ALIVE.labels(role).set(count)
    for role, age in ages.items():
        HEARTBEAT_AGE.labels(role).set(age)
    LOOKED_AT.set_to_current_time()


_open_kinds: set[str] = set()


def see_troubles(kinds: Iterable[str]) -> None:
    """The kinds of the operator's alerts that are open now; what stands behind a colon is not told."""
    now = {kind.partition(":")[0] for kind in kinds}
    for kind in _open_kinds | now:
        OPERATOR_ALERT_OPEN.labels(kind).set(kind in now)
    _open_kinds.update(now)


# HTTP -----------------------------------------------------------------------------------------------------------------

_ROUTES = {
    path: path
    for path in ("/graphql", "/t", "/tl.js", "/session", "/schema.graphql", "/healthz", "/readyz", "/metrics")
}
_PREFIXES = ("/docs", "/static")


def _route_of(path: str) -> str:
    found = _ROUTES.get(path.rstrip("/"))
    if found is None:
        found = next((prefix for prefix in _PREFIXES if path.startswith(prefix)), "other")
    return found


class Gathered:
    """Of one event loop, thousands a second: gathered as plain numbers, until ``write``."""

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        self._histogram, self._bounds = histogram, bounds
        self._places, self._total = [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self._places[bisect_left(self._bounds, value)] += 1
        self._total += value

    def write(self) -> int:
        """Adds what was gathered to the instrument; how many that were."""
        met = [(place, count) for place, count in enumerate(self._places) if count]
        if met:
            self._histogram.add(met, self._total)
            self._places, self._total = [0] * (len(self._bounds) + 1), 0.0
        return sum([count for _, count in met])


STORES = Gathered(STORE, QUICK)


class Requests:
    """The requests of one event loop. Thousands come a second: they are gathered as plain numbers, until ``write``."""

    def __init__(self) -> None:
        self.in_flight = 0  # whose answer has not begun
        self._gathered: dict[tuple[str, int], Gathered] = {}

    def answered(self, path: str, began: float, status: int) -> None:
        """The answer to one of them begins. ``began``: when the request did, by ``time.perf_counter``."""
        self.in_flight -= 1
        key = (_ROUTES.get(path) or _route_of(path), status)
        gathered = self._gathered.get(key)
        if gathered is None:
            gathered = self._gathered[key] = Gathered(HTTP_SECONDS.labels(key[0]), ANSWERS)
        gathered.observe(time.perf_counter() - began)

    def write(self) -> None:
        """Adds what was gathered to the instruments. On the event loop, as all of it."""
        HTTP_IN_FLIGHT.set(self.in_flight)
        for (route, status), gathered in self._gathered.items():
            if count := gathered.write():
                HTTP_REQUESTS.labels(route, status).inc(count)


# What a process takes of its machine ----------------------------------------------------------------------------------

_sampling = threading.Lock()
_sampled = {"cpu": 0.0, "at": float("-inf")}


def sample() -> None:
    """Looks at what this process takes of its machine, where the last look was a while ago."""
    with _sampling:
        now = time.monotonic()
        if now - _sampled["at"] < SAMPLE_SECONDS:
            return
        _sampled["at"] = now
        used = time.process_time()
        CPU.inc(max(0.0, used - _sampled["cpu"]))
        _sampled["cpu"] = used
        if sys.platform == "linux":
            with suppress(OSError):  # it may have no file left to open
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                MEMORY.set(pages * os.sysconf("SC_PAGE_SIZE"))
                FILES_OPEN.set(sum(1 for _ in Path("/proc/self/fd").iterdir()))


# Reading --------------------------------------------------------------------------------------------------------------


class _Found(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


def exposition(shared: Path | None = None) -> bytes:
    """All that is known, in Prometheus' text format: of this process, or of all that share its port.

    ``shared``: their folder, for their parent, who has no numbers of its own.
    """
    if shared is None and own_place is not None:
        shared = own_place.parent
    if shared is None:
        sample()
        found = list(REGISTRY.collect())
    else:
        paths = sorted(str(path) for path in shared.glob("*/*.db"))
        found = list(_merge(paths))
    return prometheus_client.generate_latest(_Found(_without_old(found)))


def _without_old(found: list[Metric]) -> list[Metric]:
    at = {metric.name: max((sample.value for sample in metric.samples), default=0.0) for metric in found}
    old = {
        _NAMES[gauge]
        for looked_at, (seconds, seen) in _SEEN.items()
        if time.time() - at.get(_NAMES[looked_at], 0.0) > seconds
        for gauge in (looked_at, *seen)
    }
    return [metric for metric in found if metric.name not in old]
