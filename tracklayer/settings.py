"""What an operator sets through ``TRACKLAYER_*``. Reads an environment, nothing else.

``SETTINGS`` is the one list of what may be set: it is parsed from, shown by ``--help`` and held against the guide to settings by a
test. A field of ``Settings`` is called as its setting is, in lower case and without ``_SECONDS``.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn
from starlette.datastructures import Secret

from tracklayer.loading import load

PREFIX = "TRACKLAYER_"
_PORTS = "from 1 to 65535"
MIN_SECRET_LENGTH = 8  # characters: below it is no secret at all
GOOD_SECRET_LENGTH = 32  # characters: random ones cannot be guessed; `doctor` asks for as many
MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class SettingsError(Exception):
    """Every fault of the environment at once, one sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Settings:
    database_url: Secret | None
    redis_url: Secret | None
    data_dir: Path
    secret_keys: tuple[Secret, ...]
    host: str
    port: int
    public_url: str
    sandbox_url: str | None
    smtp_url: Secret | None
    retry_base: timedelta
    retry_window: timedelta
    monitor_interval: timedelta
    log_format: Literal["text", "json"]
    operator_email: tuple[str, ...]
    operator_webhook: Secret | None
    heartbeat_url: Secret | None
    allowed_origins: tuple[str, ...]
    collector_hosts: tuple[str, ...]
    read_cost_per_second: float
    requests_per_second: float
    drain: timedelta
    allow_private_webhooks: bool
    allow_newer_database: bool
    read_database_url: Secret | None
    read_lag: timedelta
    metrics_port: int | None
    metrics_token: Secret | None

    @property
    def is_trial(self) -> bool:
        """All platforms are a sandbox, so webhooks may lead to this machine, as the platforms' traffic does."""
        return self.sandbox_url is not None


@dataclass(frozen=True)
class SettingSpec:
    """One environment variable: ``default`` is the text a person would write, None where there is none."""

    name: str
    default: str | None
    help: str
    read: Callable[[str], Any]


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from ``environ``. Raises SettingsError naming every fault; an empty value counts as not set."""
    injected = set(injected_names(environ))
    environ = {name: value for name, value in environ.items() if name not in injected}
    faults = [_unknown(name) for name in sorted(environ) if name.startswith(PREFIX) and name not in _BY_NAME]
    values: dict[str, Any] = {}
    for spec in SETTINGS:
        text = environ.get(spec.name, "").strip() or spec.default
        try:
            values[spec.name.removeprefix(PREFIX).lower()] = None if text is None else spec.read(text)
        except ValueError as error:
            faults.append(f"{spec.name} {error}")
    has_database = bool(environ.get(f"{PREFIX}DATABASE_URL", "").strip())
    if has_database and values.get("secret_key", ...) is None:
        faults.append(
            f"{PREFIX}SECRET_KEY is required when {PREFIX}DATABASE_URL is set: make one with `{MAKE_ONE}` "
            "and give every process the same"
        )
    if values.get("read_database_url") is not None and not has_database:
        faults.append(f"{PREFIX}READ_DATABASE_URL needs {PREFIX}DATABASE_URL: the embedded PostgreSQL has no standby")
    if values.get("operator_email") and values.get("smtp_url", ...) is None:
        faults.append(f"{PREFIX}OPERATOR_EMAIL needs {PREFIX}SMTP_URL: no mail goes out without it")
    if faults:
        raise SettingsError(faults)
    values["secret_keys"] = values.pop("secret_key")
    values["public_url"] = values["public_url"] or f"http://{_in_url(values['host'])}:{values['port']}"
    for name in ("secret_keys", "operator_email", "allowed_origins", "collector_hosts"):
        values[name] = values[name] or ()
    return Settings(**{name.removesuffix("_seconds"): value for name, value in values.items()})


_HOST = re.compile(r"(?:\*\.)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*")

# What Kubernetes tells each container of every service in its namespace, in the form of Docker's links: of a service
# named tracklayer, or tracklayer-api, the names begin as our settings do.
_LINK = r"(tcp|udp|sctp)://(\d+\.\d+\.\d+\.\d+|\[?[0-9a-f:]+\]?):\d+"
_INJECTED = tuple(
    (re.compile(rf"{PREFIX}([A-Z0-9_]+_)?{name}"), re.compile(value, re.IGNORECASE))
    for name, value in (
        (r"PORT", _LINK),
        (r"PORT_\d+_(TCP|UDP|SCTP)", _LINK),
        (r"PORT_\d+_(TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
        (r"PORT_\d+_(TCP|UDP|SCTP)_PORT", r"\d+"),
        (r"PORT_\d+_(TCP|UDP|SCTP)_ADDR", r"[0-9a-f.:]+"),
        (r"SERVICE_HOST", r"[0-9a-f.:]+"),
        (r"SERVICE_PORT(_[A-Z0-9_]+)?", r"\d+"),
    )
)


def injected_names(environ: Mapping[str, str]) -> list[str]:
    """Variables that nobody set: Kubernetes made them of a service's name. They are no settings, and no faults."""
    return [
        name
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX)
        and any(of.fullmatch(name) and form.fullmatch(value.strip()) for of, form in _INJECTED)
    ]


def get_settings() -> Settings:
    """The process's own settings. Called by ``cli/`` only; below it, values arrive as arguments."""
    return load_settings(os.environ)


def wants_json(environ: Mapping[str, str]) -> bool:
    """Whether the log is to be JSON; known though the rest of the environment may be wrong."""
    return environ.get(f"{PREFIX}LOG_FORMAT", "").strip() == "json"


def _unknown(name: str) -> str:
    # What all of them begin with makes none of them alike.
    own = {known.removeprefix(PREFIX): known for known in _BY_NAME}
    near = difflib.get_close_matches(name.upper().removeprefix(PREFIX), own, n=1, cutoff=0.6)
    return f"{name} is not a setting" + (f", did you mean {own[near[0]]}?" if near else "")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            parts = urlsplit(text)
        except ValueError:  # its message quotes a part of the URL, which may be the password
            parts = urlsplit("")
        if parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/") or parts.query):
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)}")
        return text.rstrip("/")

    return read


def _port_is_fine(text: str) -> bool:
    """Whether a URL names no port, or one that there may be."""
    try:
        return urlsplit(text).port != 0
    except ValueError:
        return False


def _site(text: str) -> str:
    read = _url("http", "https")(text)
    if not urlsplit(read).hostname or not _port_is_fine(read) or read.split() != [read]:
        raise ValueError(f"must name a host, and no port or one {_PORTS}, such as `https://tracklayer.example.com`")
    return read


def _postgres_url(text: str) -> Secret:
    read = _url("postgresql", "postgres")(text)
    try:
        given = parse_dsn(read)
    except psycopg2.ProgrammingError:  # its message quotes the URL
        raise ValueError(
            "is no URL that PostgreSQL understands: in a user, password or name write @ / : % as %40 %2F %3A %25, and "
            "correct what follows ?"
        ) from None
    ports = [port for port in given.get("port", "").split(",") if port]
    if not all(port.isascii() and port.isdigit() and 0 < int(port) < 65536 for port in ports):
        raise ValueError(f"must name no port, or one {_PORTS}")
    return Secret(read)


def _redis_url(text: str) -> Secret:
    read = _url("redis", "rediss", "unix")(text)
    parts = urlsplit(read)
    if parts.scheme != "unix" and not (_port_is_fine(read) and re.fullmatch(r"(/[0-9]*)?", parts.path)):
        raise ValueError(f"must be as `redis://host:6379/0`: a port {_PORTS}, and the number of a database")
    redis = load("redis")  # a third of the start of a command that asks it for nothing
    try:
        redis.ConnectionPool.from_url(read).make_connection()  # connects to nobody yet
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError("must have nothing behind ? but what the Python client of Redis takes") from None
    return Secret(read)


def _smtp_url(text: str) -> Secret:
    read = _url("smtp", "smtps")(text)
    parts = urlsplit(read)
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    sender = parse_qs(parts.query).get("from", ["a@b"])[-1]
    if not parts.hostname or not port_is_fine or "@" not in sender or sender.split() != [sender]:
        raise ValueError(
            "must name a host, and may name a port and a sender: `smtp://host:587?from=alerts@example.com`"
        )
    return Secret(read)


def _addresses(text: str) -> tuple[str, ...]:
    addresses = tuple(dict.fromkeys(address.strip() for address in text.split(",") if address.strip()))
    if not addresses or not all(re.fullmatch(r"[^\s@<>\"]+@[^\s@<>\"]+", address) for address in addresses):
        raise ValueError("must be one or more e-mail addresses, comma-separated")
    return addresses


def _web_address(text: str) -> Secret:
    """As it stands: a path may end in a slash, and whoever knows the address may write to it."""
    try:
        parts = urlsplit(text)
        is_fine = bool(parts.hostname) and (parts.port is None or parts.port > 0) and text.split() == [text]
    except ValueError:
        is_fine = False
    _url("http", "https")(text if is_fine else "")
    return Secret(text)


def _seconds(text: str) -> timedelta:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 31_536_000:
        raise ValueError("must be a number of seconds above 0 and at most a year")
    return timedelta(seconds=seconds)


def _drain(text: str) -> timedelta:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 600:
        raise ValueError("must be a number of seconds from 0 to 600")
    return timedelta(seconds=seconds)


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1
    if not 0 <= rate <= 1e9:
        raise ValueError("must be a number a second, 0 or more")
    return rate


def _origins(text: str) -> tuple[str, ...]:
    origins = [origin.strip().rstrip("/") for origin in text.split(",") if origin.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        if (
            parts.scheme not in ("http", "https")
            or not parts.netloc
            or parts.path
            or parts.query
            or "@" in parts.netloc
        ):
            raise ValueError("must be origins such as `https://shop.example.com`, comma-separated, without a path")
    return tuple(origins)


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(dict.fromkeys(host.strip().lower() for host in text.split(",") if host.strip()))
    if not hosts or not all(host == "*" or _HOST.fullmatch(host) for host in hosts):
        raise ValueError("must be host names such as `t.shop.example.com`, `*.t.example.com` or `*`, comma-separated")
    return hosts


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError("must be a port number from 1 to 65535")
    return int(text)


def _token(text: str) -> Secret:
    """What a header can carry, and nobody can guess."""
    if not re.fullmatch(r"[!-~]{16,512}", text):
        raise ValueError(f"must have 16 to 512 letters, digits and signs, without spaces: make one with `{MAKE_ONE}`")
    return Secret(text)


def _secret_keys(text: str) -> tuple[Secret, ...]:
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if not keys or any(len(key) < MIN_SECRET_LENGTH for key in keys):
        raise ValueError(
            f"must be one or more keys of at least {MIN_SECRET_LENGTH} characters, comma-separated, newest first: "
            f"make one with `{MAKE_ONE}`"
        )
    return tuple(Secret(key) for key in keys)


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return text

    return read


SETTINGS = (
    SettingSpec(
        f"{PREFIX}DATABASE_URL",
        None,
        "`postgresql://user:password@host/name`; unset: an embedded PostgreSQL under the data directory",
        _postgres_url,
    ),
    SettingSpec(
        f"{PREFIX}REDIS_URL",
        None,
        "`redis://host:6379/0`, the message broker of several processes or machines; unset: in the process",
        _redis_url,
    ),
    SettingSpec(f"{PREFIX}DATA_DIR", ".tracklayer", "embedded database and generated secret key", Path),
    SettingSpec(
        f"{PREFIX}SECRET_KEY",
        None,
        "seals personal data and destinations' secrets; several keys, comma-separated, rotate: the first seals, all "
        "open; generated once into the data directory with the embedded database, required with one of your own",
        _secret_keys,
    ),
    SettingSpec(f"{PREFIX}HOST", "127.0.0.1", "address the API listens on", str),
    SettingSpec(f"{PREFIX}PORT", "8000", "port the API listens on", _port),
    SettingSpec(
        f"{PREFIX}PUBLIC_URL",
        None,
        "the address people use: links, and the name under which the dashboard answers, besides those of this machine; unset: `http://HOST:PORT`",
        _site,
    ),
    SettingSpec(
        f"{PREFIX}SANDBOX_URL",
        None,
        "sends every platform's traffic to `{url}/{platform}{path of the real API}` instead of the platform",
        _site,
    ),
    SettingSpec(
        f"{PREFIX}SMTP_URL",
        None,
        "`smtp://user:password@host:587?from=alerts@example.com`; unset: no e-mail",
        _smtp_url,
    ),
    SettingSpec(f"{PREFIX}RETRY_BASE_SECONDS", "150", "first retry delay; each next is 4 times longer", _seconds),
    SettingSpec(f"{PREFIX}RETRY_WINDOW_SECONDS", "86400", "a delivery not made within this time is dropped", _seconds),
    SettingSpec(f"{PREFIX}MONITOR_INTERVAL_SECONDS", "15", "how often the monitors look", _seconds),
    SettingSpec(f"{PREFIX}LOG_FORMAT", "text", "`text` or `json`", _one_of("text", "json")),
    SettingSpec(
        f"{PREFIX}OPERATOR_EMAIL",
        None,
        "where the operator's own alerts go, comma-separated; needs `TRACKLAYER_SMTP_URL`; unset: no e-mail",
        _addresses,
    ),
    SettingSpec(
        f"{PREFIX}OPERATOR_WEBHOOK",
        None,
        "`http(s)://…`, gets the operator's own alerts as JSON: `kind`, `title`, `message`, `state` and more; unset: none",
        _web_address,
    ),
    SettingSpec(
        f"{PREFIX}HEARTBEAT_URL",
        None,
        "`http(s)://…`, asked every minute while every role is well: a dead-man's switch; unset: none",
        _web_address,
    ),
    SettingSpec(
        f"{PREFIX}ALLOWED_ORIGINS",
        None,
        "web pages on other origins that may use the API, comma-separated: `https://shop.example.com`; unset: none",
        _origins,
    ),
    SettingSpec(
        f"{PREFIX}COLLECTOR_HOSTS",
        None,
        "host names that serve `/tl.js` and `/t` and nothing else, comma-separated: `t.shop.example.com`, `*.t.example.com`, "
        "or `*` for every name but the public URL's and this machine's own; unset: every name serves them beside the rest",
        _hosts,
    ),
    SettingSpec(
        f"{PREFIX}READ_COST_PER_SECOND",
        "50000",
        "objects that a merchant may read a second, ten times as many at once; 0: no limit; each API process counts for "
        "itself",
        _rate,
    ),
    SettingSpec(
        f"{PREFIX}REQUESTS_PER_SECOND",
        "200",
        "operations a second of one key, ten times as many at once, taking events in not counted; 0: no limit; each API "
        "process counts for itself",
        _rate,
    ),
    SettingSpec(
        f"{PREFIX}DRAIN_SECONDS",
        "2",
        "how long `api` serves on after SIGTERM, while `/readyz` says 503, so that proxies and load balancers turn to "
        "others first",
        _drain,
    ),
    SettingSpec(
        f"{PREFIX}ALLOW_PRIVATE_WEBHOOKS",
        "false",
        "`true`: merchants' webhooks may lead into private networks, this machine's own too; only where all merchants are "
        "trusted; with a sandbox, this machine's loopback addresses are taken anyway",
        _yes_or_no,
    ),
    SettingSpec(
        f"{PREFIX}ALLOW_NEWER_DATABASE",
        "false",
        "`true`: starts on a database that a newer version has migrated; to go back after an upgrade, and only for so long",
        _yes_or_no,
    ),
    SettingSpec(
        f"{PREFIX}READ_DATABASE_URL",
        None,
        "`postgresql://…` of a streaming standby, or of several, that serves the queries of `api`; unset: the primary does",
        _postgres_url,
    ),
    SettingSpec(
        f"{PREFIX}READ_LAG_SECONDS",
        "0.5",
        "how long a query waits until the standby has all that was acknowledged before it; beyond it the primary serves",
        _seconds,
    ),
    SettingSpec(
        f"{PREFIX}METRICS_PORT",
        None,
        "port on which each role serves `/metrics`, `/healthz` and `/readyz`, on `TRACKLAYER_HOST`: not for strangers; unset: "
        "only the API has them",
        _port,
    ),
    SettingSpec(
        f"{PREFIX}METRICS_TOKEN",
        None,
        "bearer token that `/metrics` asks for; unset: the API shows it to this machine alone, and to nobody where the public "
        "URL names another",
        _token,
    ),
)
_BY_NAME = {spec.name: spec for spec in SETTINGS}
