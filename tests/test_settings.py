"""Every setting is read as the contract says, every fault is named at once, and no secret is ever shown."""

from __future__ import annotations

import logging
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Secret

from tracklayer.settings import SETTINGS, Settings, SettingsError, injected_names, load_settings

KEY = "k" * 32
OLD_KEY = "o" * 40
PASSWORD = "pa55-w0rd-canary"
SECRET_URLS = {
    "TRACKLAYER_DATABASE_URL": f"postgresql://user:{PASSWORD}@db.example.com/name",
    "TRACKLAYER_REDIS_URL": f"redis://:{PASSWORD}@redis.example.com:6379/0",
    "TRACKLAYER_SMTP_URL": f"smtp://user:{PASSWORD}@mail.example.com:587?from=alerts@example.com",
    "TRACKLAYER_OPERATOR_WEBHOOK": f"https://hooks.example.com/{PASSWORD}",
    "TRACKLAYER_HEARTBEAT_URL": f"https://ping.example.com/{PASSWORD}",
}


def faults_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    assert str(raised.value) == "; ".join(raised.value.faults)
    return raised.value.faults


def test_without_a_word_the_defaults_are_those_of_the_contract() -> None:
    assert load_settings({}) == Settings(
        database_url=None,
        redis_url=None,
        data_dir=Path(".tracklayer"),
        secret_keys=(),
        host="127.0.0.1",
        port=8000,
        public_url="http://127.0.0.1:8000",
        sandbox_url=None,
        smtp_url=None,
        retry_base=timedelta(seconds=150),
        retry_window=timedelta(hours=24),
        monitor_interval=timedelta(seconds=15),
        log_format="text",
        operator_email=(),
        operator_webhook=None,
        heartbeat_url=None,
        allowed_origins=(),
        collector_hosts=(),
        read_cost_per_second=50_000.0,
        requests_per_second=200.0,
        drain=timedelta(seconds=2),
        allow_private_webhooks=False,
        allow_newer_database=False,
        read_database_url=None,
        read_lag=timedelta(seconds=0.5),
        metrics_port=None,
        metrics_token=None,
    )


def test_the_names_are_those_of_the_contract() -> None:
    assert [spec.name for spec in SETTINGS] == [
        "TRACKLAYER_DATABASE_URL",
        "TRACKLAYER_REDIS_URL",
        "TRACKLAYER_DATA_DIR",
        "TRACKLAYER_SECRET_KEY",
        "TRACKLAYER_HOST",
        "TRACKLAYER_PORT",
        "TRACKLAYER_PUBLIC_URL",
        "TRACKLAYER_SANDBOX_URL",
        "TRACKLAYER_SMTP_URL",
        "TRACKLAYER_RETRY_BASE_SECONDS",
        "TRACKLAYER_RETRY_WINDOW_SECONDS",
        "TRACKLAYER_MONITOR_INTERVAL_SECONDS",
        "TRACKLAYER_LOG_FORMAT",
        "TRACKLAYER_OPERATOR_EMAIL",
        "TRACKLAYER_OPERATOR_WEBHOOK",
        "TRACKLAYER_HEARTBEAT_URL",
        "TRACKLAYER_ALLOWED_ORIGINS",
        "TRACKLAYER_COLLECTOR_HOSTS",
        "TRACKLAYER_READ_COST_PER_SECOND",
        "TRACKLAYER_REQUESTS_PER_SECOND",
        "TRACKLAYER_DRAIN_SECONDS",
        "TRACKLAYER_ALLOW_PRIVATE_WEBHOOKS",
        "TRACKLAYER_ALLOW_NEWER_DATABASE",
        "TRACKLAYER_READ_DATABASE_URL",
        "TRACKLAYER_READ_LAG_SECONDS",
        "TRACKLAYER_METRICS_PORT",
        "TRACKLAYER_METRICS_TOKEN",
    ]


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        pytest.param("REDIS_URL", "redis://h:6379/0", "redis_url", "redis://h:6379/0", id="redis"),
        pytest.param("REDIS_URL", "rediss://h", "redis_url", "rediss://h", id="redis with TLS"),
        pytest.param("REDIS_URL", "unix:///run/redis.sock", "redis_url", "unix:///run/redis.sock", id="redis socket"),
        pytest.param("DATA_DIR", "/var/lib/tl", "data_dir", Path("/var/lib/tl"), id="data directory"),
        pytest.param("SECRET_KEY", KEY, "secret_keys", [KEY], id="one key"),
        pytest.param("SECRET_KEY", "k" * 8, "secret_keys", ["k" * 8], id="the shortest key"),
        pytest.param("SECRET_KEY", f"{KEY},{OLD_KEY}", "secret_keys", [KEY, OLD_KEY], id="two keys, newest first"),
        pytest.param("SECRET_KEY", f" {KEY} , {OLD_KEY} ,", "secret_keys", [KEY, OLD_KEY], id="blanks around keys"),
        pytest.param("HOST", "0.0.0.0", "host", "0.0.0.0", id="host"),
        pytest.param("PORT", "1", "port", 1, id="the first port"),
        pytest.param("PORT", "65535", "port", 65535, id="the last port"),
        pytest.param("PORT", " 8080 ", "port", 8080, id="blanks around a port"),
        pytest.param("PUBLIC_URL", "https://tl.example.com", "public_url", "https://tl.example.com", id="public url"),
        pytest.param("PUBLIC_URL", "https://tl.example.com/", "public_url", "https://tl.example.com", id="slash"),
        pytest.param(
            "COLLECTOR_HOSTS",
            "T.shop.example, *.t.example",
            "collector_hosts",
            ["t.shop.example", "*.t.example"],
            id="names",
        ),
        pytest.param("COLLECTOR_HOSTS", "*", "collector_hosts", ["*"], id="every name"),
        pytest.param("SANDBOX_URL", "http://127.0.0.1:9100/", "sandbox_url", "http://127.0.0.1:9100", id="sandbox"),
        pytest.param("SMTP_URL", "smtp://h:25?from=a@b.de", "smtp_url", "smtp://h:25?from=a@b.de", id="smtp"),
        pytest.param("SMTP_URL", "smtps://u:p@h", "smtp_url", "smtps://u:p@h", id="smtp with TLS"),
        pytest.param("RETRY_BASE_SECONDS", "1", "retry_base", timedelta(seconds=1), id="retry base"),
        pytest.param("RETRY_BASE_SECONDS", "0.25", "retry_base", timedelta(milliseconds=250), id="a quarter second"),
        pytest.param("RETRY_WINDOW_SECONDS", "3600", "retry_window", timedelta(hours=1), id="retry window"),
        pytest.param("RETRY_WINDOW_SECONDS", "31536000", "retry_window", timedelta(days=365), id="a year"),
        pytest.param("MONITOR_INTERVAL_SECONDS", "5", "monitor_interval", timedelta(seconds=5), id="monitors"),
        pytest.param("LOG_FORMAT", "json", "log_format", "json", id="log format"),
        pytest.param("LOG_FORMAT", "text", "log_format", "text", id="log format as it is"),
        pytest.param(
            "OPERATOR_WEBHOOK",
            "http://127.0.0.1:9/a/?t=x",
            "operator_webhook",
            "http://127.0.0.1:9/a/?t=x",
            id="webhook",
        ),
        pytest.param(
            "HEARTBEAT_URL", "https://ping.example.com/u/", "heartbeat_url", "https://ping.example.com/u/", id="ping"
        ),
    ],
)
def test_a_setting_is_read_into_its_field(name: str, text: str, field: str, value: Any) -> None:
    settings = load_settings({f"TRACKLAYER_{name}": text})
    read = getattr(settings, field)
    if isinstance(read, tuple):
        read = [str(key) for key in read]
    elif isinstance(read, Secret):
        read = str(read)
    assert read == value
    others = {found.name for found in fields(Settings)} - {field}
    if name in ("HOST", "PORT"):
        others.remove("public_url")
    assert {other: getattr(settings, other) for other in others} == {
        other: getattr(load_settings({}), other) for other in others
    }


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_database_is_named_with_a_key_of_its_own(scheme: str) -> None:
    url = f"{scheme}://user:x@db.example.com:5432/name?sslmode=require"
    settings = load_settings({"TRACKLAYER_DATABASE_URL": url, "TRACKLAYER_SECRET_KEY": KEY})
    assert (str(settings.database_url), [str(key) for key in settings.secret_keys]) == (url, [KEY])


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("127.0.0.1", "9000", "http://127.0.0.1:9000"),
        ("::1", "8000", "http://[::1]:8000"),
        ("tl.internal", "80", "http://tl.internal:80"),
    ],
)
def test_the_public_url_is_host_and_port_unless_it_is_set(host: str, port: str, url: str) -> None:
    assert load_settings({"TRACKLAYER_HOST": host, "TRACKLAYER_PORT": port}).public_url == url


@pytest.mark.parametrize("spec", SETTINGS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("empty", ["", "   "])
def test_an_empty_setting_is_one_that_is_not_set(spec: Any, empty: str) -> None:
    assert load_settings({spec.name: empty}) == load_settings({})


def test_other_names_of_the_environment_are_nobodys_business() -> None:
    assert load_settings({"PATH": "/bin", "TRACKLAYERX": "1", "tracklayer_port": "x"}) == load_settings({})


SECONDS = "must be a number of seconds above 0 and at most a year"
PORT = "must be a port number from 1 to 65535"
REDIS = "must be as `redis://host:6379/0`: a port from 1 to 65535, and the number of a database"
REDIS_OPTIONS = "must have nothing behind ? but what the Python client of Redis takes"
SITE = "must name a host, and no port or one from 1 to 65535, such as `https://tracklayer.example.com`"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        pytest.param("REDIS_URL", "http://h", "must be a URL that starts with redis:// or rediss:// or unix://", id="redis"),
        pytest.param("REDIS_URL", "redis://", "must be a URL that starts with redis:// or rediss:// or unix://", id="empty"),
        pytest.param("PUBLIC_URL", "tl.example.com", "must be a URL that starts with http:// or https://", id="public"),
        pytest.param("SANDBOX_URL", "ftp://h", "must be a URL that starts with http:// or https://", id="sandbox"),
        pytest.param("REDIS_URL", "redis://h:99999", REDIS, id="a port of Redis that is none"),
        pytest.param("REDIS_URL", "redis://h:6379/events", REDIS, id="a database of Redis by name"),
        pytest.param("REDIS_URL", "redis://h/0?colour=red", REDIS_OPTIONS, id="an option of Redis that is none"),
        pytest.param("PUBLIC_URL", "https://h:99999", SITE, id="a public port that is none"),
        pytest.param("PUBLIC_URL", "https:///x", SITE, id="no public host"),
        pytest.param("SANDBOX_URL", "http://h:abc", SITE, id="a sandbox's port as a word"),
        pytest.param("SMTP_URL", "mail.example.com", "must be a URL that starts with smtp:// or smtps://", id="smtp"),
        pytest.param("PORT", "0", PORT, id="port 0"),
        pytest.param("PORT", "65536", PORT, id="port 65536"),
        pytest.param("PORT", "-1", PORT, id="port below 0"),
        pytest.param("PORT", "http", PORT, id="port as a word"),
        pytest.param("PORT", "80.5", PORT, id="port with a fraction"),
        pytest.param("PORT", "８０", PORT, id="port in full-width digits"),
        pytest.param("RETRY_BASE_SECONDS", "0", SECONDS, id="no seconds"),
        pytest.param("RETRY_BASE_SECONDS", "-1", SECONDS, id="minus a second"),
        pytest.param("RETRY_BASE_SECONDS", "nan", SECONDS, id="NaN"),
        pytest.param("RETRY_BASE_SECONDS", "inf", SECONDS, id="infinity"),
        pytest.param("RETRY_BASE_SECONDS", "2m", SECONDS, id="a unit"),
        pytest.param("RETRY_WINDOW_SECONDS", "31536001", SECONDS, id="more than a year"),
        pytest.param("MONITOR_INTERVAL_SECONDS", "often", SECONDS, id="a word"),
        pytest.param("LOG_FORMAT", "xml", "must be text or json", id="log format"),
        pytest.param("LOG_FORMAT", "JSON", "must be text or json", id="log format in capitals"),
        pytest.param("OPERATOR_EMAIL", "ops", "must be one or more e-mail addresses, comma-separated", id="no address"),
        pytest.param("OPERATOR_EMAIL", "a@b c@d", "must be one or more e-mail addresses, comma-separated", id="a space"),
        pytest.param("OPERATOR_WEBHOOK", "ftp://h", "must be a URL that starts with http:// or https://", id="webhook"),
        pytest.param("HEARTBEAT_URL", "http://h:x/", "must be a URL that starts with http:// or https://", id="ping"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_what_it_must_be(name: str, text: str, fault: str) -> None:
    assert faults_of({f"TRACKLAYER_{name}": text}) == [f"TRACKLAYER_{name} {fault}"]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("postgresql://u:hunter2@h:99999/db", "must name no port, or one from 1 to 65535", id="a port"),
        pytest.param("postgresql://u:hunter2@a:1,b:x/db", "must name no port, or one from 1 to 65535", id="of several"),
        pytest.param("postgresql://u:hunter2%zz@h/db", "is no URL that PostgreSQL understands", id="a bare %"),
        pytest.param("postgresql://u:hunter2@h/db?colour=red", "is no URL that PostgreSQL understands", id="an option"),
    ],
)
def test_a_database_that_cannot_be_named_so_is_told_without_its_password(url: str, fault: str) -> None:
    for name in ("DATABASE_URL", "READ_DATABASE_URL"):
        given = {
            "TRACKLAYER_DATABASE_URL": "postgresql://h/db",
            f"TRACKLAYER_{name}": url,
            "TRACKLAYER_SECRET_KEY": KEY,
        }
        (told,) = faults_of(given)
        assert told.startswith(f"TRACKLAYER_{name} {fault}")
        assert "hunter2" not in told


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://u:p%40@a:5432,b/db?target_session_attrs=read-write"),
        ("DATABASE_URL", "postgresql:///db?host=/run/postgresql"),
        ("REDIS_URL", "rediss://user:password@h:6380/3?ssl_cert_reqs=none"),
        ("REDIS_URL", "redis://[::1]:6379"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("PUBLIC_URL", "https://[::1]:8443/below"),
    ],
)
def test_urls_are_taken_as_their_libraries_take_them(name: str, url: str) -> None:
    load_settings({f"TRACKLAYER_{name}": url, "TRACKLAYER_SECRET_KEY": KEY})


@pytest.mark.parametrize("keys", ["short", "k" * 7, f"{KEY},short", " , "])
def test_a_key_that_is_too_short_is_refused_with_how_to_make_one(keys: str) -> None:
    assert faults_of({"TRACKLAYER_SECRET_KEY": keys}) == [
        "TRACKLAYER_SECRET_KEY must be one or more keys of at least 8 characters, comma-separated, newest first: "
        "make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'`"
    ]


REQUIRED = (
    "TRACKLAYER_SECRET_KEY is required when TRACKLAYER_DATABASE_URL is set: make one with "
    "`python3 -c 'import secrets; print(secrets.token_urlsafe(32))'` and give every process the same"
)


def test_a_database_without_a_key_is_refused() -> None:
    assert faults_of({"TRACKLAYER_DATABASE_URL": "postgresql://h/n"}) == [REQUIRED]


def test_a_missing_key_is_named_beside_a_wrong_database() -> None:
    assert faults_of({"TRACKLAYER_DATABASE_URL": "mysql://h/n"}) == [
        "TRACKLAYER_DATABASE_URL must be a URL that starts with postgresql:// or postgres://",
        REQUIRED,
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("TRACKLAYER_DATABSE_URL", "is not a setting, did you mean TRACKLAYER_DATABASE_URL?"),
        ("TRACKLAYER_RETRY_SECONDS", "is not a setting, did you mean TRACKLAYER_RETRY_BASE_SECONDS?"),
        ("TRACKLAYER_SECRET_KEYS", "is not a setting, did you mean TRACKLAYER_SECRET_KEY?"),
        ("TRACKLAYER_SMTP", "is not a setting, did you mean TRACKLAYER_SMTP_URL?"),
        ("TRACKLAYER_FOO", "is not a setting"),
        ("TRACKLAYER_Port", "is not a setting, did you mean TRACKLAYER_PORT?"),
    ],
)
def test_an_unknown_name_is_a_fault_that_suggests_the_nearest(name: str, fault: str) -> None:
    assert faults_of({name: "anything"}) == [f"{name} {fault}"]


def test_addresses_of_the_operator_are_read_with_the_server_that_sends_to_them() -> None:
    smtp = {"TRACKLAYER_SMTP_URL": "smtp://h"}
    read = load_settings({"TRACKLAYER_OPERATOR_EMAIL": "ops@example.com, it@example.com,ops@example.com", **smtp})
    assert read.operator_email == ("ops@example.com", "it@example.com")
    assert faults_of({"TRACKLAYER_OPERATOR_EMAIL": "ops@example.com"}) == [
        "TRACKLAYER_OPERATOR_EMAIL needs TRACKLAYER_SMTP_URL: no mail goes out without it"
    ]


def test_a_standby_needs_a_primary_and_shows_no_password() -> None:
    environ = {"TRACKLAYER_READ_DATABASE_URL": "postgresql://reader:hunter2@b/name", "TRACKLAYER_READ_LAG_SECONDS": "2"}
    assert faults_of(environ) == [
        "TRACKLAYER_READ_DATABASE_URL needs TRACKLAYER_DATABASE_URL: the embedded PostgreSQL has no standby"
    ]
    read = load_settings({**environ, "TRACKLAYER_DATABASE_URL": "postgresql://h/n", "TRACKLAYER_SECRET_KEY": "s" * 40})
    assert str(read.read_database_url) == "postgresql://reader:hunter2@b/name"
    assert read.read_lag == timedelta(seconds=2)
    assert "hunter2" not in repr(read)


def test_every_fault_is_named_at_once() -> None:
    faults = faults_of(
        {
            "TRACKLAYER_DATABASE_URL": "postgresql://h/n",
            "TRACKLAYER_REDIS_URL": "h",
            "TRACKLAYER_PORT": "x",
            "TRACKLAYER_PUBLIC_URL": "x",
            "TRACKLAYER_RETRY_BASE_SECONDS": "x",
            "TRACKLAYER_LOG_FORMAT": "x",
            "TRACKLAYER_DATADIR": "x",
        }
    )
    assert [fault.split()[0] for fault in faults] == [
        "TRACKLAYER_DATADIR",
        "TRACKLAYER_REDIS_URL",
        "TRACKLAYER_PORT",
        "TRACKLAYER_PUBLIC_URL",
        "TRACKLAYER_RETRY_BASE_SECONDS",
        "TRACKLAYER_LOG_FORMAT",
        "TRACKLAYER_SECRET_KEY",
    ]


def test_no_secret_is_shown_by_settings() -> None:
    settings = load_settings({**SECRET_URLS, "TRACKLAYER_SECRET_KEY": f"{KEY},{OLD_KEY}"})
    assert PASSWORD in str(settings.database_url)  # the value itself is there, for those who ask for it
    for shown in (
        repr(settings),
        str(settings),
        f"{settings!s} {settings!r}",
        logging.Formatter().format(_record(settings)),
    ):
        assert not [secret for secret in (PASSWORD, KEY, OLD_KEY) if secret in shown]  # fmt: skip


def _record(settings: Settings) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, __file__, 1, "started with %s", (settings,), None)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"TRACKLAYER_DATABASE_URL": f"mysql://user:{PASSWORD}@h/n"}, id="another database"),
        pytest.param({"TRACKLAYER_DATABASE_URL": f"postgresql://user:{PASSWORD}@[h/n"}, id="half a bracket"),
        pytest.param({"TRACKLAYER_DATABASE_URL": f"postgresql://user:[{PASSWORD}]@h/n"}, id="a password in brackets"),
        pytest.param({"TRACKLAYER_DATABASE_URL": f"postgresql://user:{PASSWORD}℀@h/n"}, id="a letter that is no letter"),
        pytest.param({"TRACKLAYER_REDIS_URL": f"http://:{PASSWORD}@h"}, id="no redis"),
        pytest.param({"TRACKLAYER_SMTP_URL": f"mailto://user:{PASSWORD}@h"}, id="no smtp"),
        pytest.param({"TRACKLAYER_SMTP_URL": f"smtp://user:[{PASSWORD}]@h"}, id="an smtp password in brackets"),
        pytest.param({"TRACKLAYER_SECRET_KEY": f"{PASSWORD},x"}, id="beside a short key"),
        pytest.param({"TRACKLAYER_PORT": PASSWORD}, id="in the wrong place"),
        pytest.param({"TRACKLAYER_LOG_FORMAT": PASSWORD}, id="in another wrong place"),
        pytest.param({"TRACKLAYER_SECRET": PASSWORD}, id="under a wrong name"),
    ],
)  # fmt: skip
def test_no_secret_is_shown_by_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    for shown in (str(raised.value), repr(raised.value), *raised.value.faults):
        assert PASSWORD not in shown


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting() -> None:
    injected = {
        "TRACKLAYER_PORT": "tcp://10.0.0.1:8000",
        "TRACKLAYER_SERVICE_HOST": "10.0.0.1",
        "TRACKLAYER_SERVICE_PORT": "8000",
        "TRACKLAYER_SERVICE_PORT_HTTP": "8000",
        "TRACKLAYER_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "TRACKLAYER_PORT_8000_TCP_ADDR": "10.0.0.1",
        "TRACKLAYER_PORT_8000_TCP_PORT": "8000",
        "TRACKLAYER_PORT_8000_TCP_PROTO": "tcp",
        "TRACKLAYER_API_SERVICE_HOST": "fd00:10:96::1",
        "TRACKLAYER_API_PORT": "tcp://[fd00:10:96::1]:8000",
    }
    assert injected_names(injected) == sorted(injected)
    assert load_settings(injected) == load_settings({})
    assert load_settings({**injected, "TRACKLAYER_PORT": "9000"}).port == 9000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACKLAYER_PORT", "http://10.0.0.1:8000"),
        ("TRACKLAYER_PORT", "8000x"),
        ("TRACKLAYER_SERVICE_HOST", "db.example.com"),
        ("TRACKLAYER_PORTS", "tcp://10.0.0.1:8000"),
        ("TRACKLAYER_PORT_8000_TCP", "8000"),
    ],
)
def test_what_only_looks_like_it_stays_a_fault(name: str, value: str) -> None:
    (fault,) = faults_of({name: value})
    assert fault.startswith(name)
