"""What commands share: the process's settings, log and runtime, and reading the files they are given."""

from __future__ import annotations

import logging
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import orjson

from tracklayer import logs
from tracklayer.db import connection
from tracklayer.db.connect_faults import fault_of, sentence_of
from tracklayer.db.embedded import COMMAND_SECONDS, EmbeddedPostgres, cannot
from tracklayer.db.migrate import migrate, pending, unknown
from tracklayer.db.sessions import DatabaseAwayError, place_of
from tracklayer.domain import ids, json_text
from tracklayer.domain.problem import Problem
from tracklayer.runtime import Runtime, build_runtime
from tracklayer.sealing import Sealer
from tracklayer.services.keys import WAYS_OUT, KeyLostError, confirm_keys, is_sealed
from tracklayer.services.soundness import GO_BACK, invented_trouble, troubles, version_trouble
from tracklayer.settings import Settings, get_settings, injected_names

log = logging.getLogger(__name__)

WRONG_FOR_GOOD = 78  # exit status of one of several processes that would end again, EX_CONFIG of sysexits.h
SAY_AGAIN_SECONDS = 30  # what a role that cannot start yet waits for


class CommandError(Exception):
    """One clear sentence for whoever typed the command."""

    status = 1


class UsageError(CommandError):
    """What was typed is wrong, or lacks something."""

    status = 2


_WRONG_VALUES = frozenset({"REQUIRED", "INVALID_VALUE", "TOO_LARGE"})


def refused(problems: Sequence[Problem], *, named: bool = False) -> CommandError:
    """What a service says of the arguments it was given, all of it in one line. ``named``: each after the field it is about."""
    is_usage = all(problem.code in _WRONG_VALUES for problem in problems)
    sentence = " ".join(told(problem) if named else problem.message for problem in problems)
    return UsageError(sentence) if is_usage else CommandError(sentence)


def wrong(problems: Sequence[Problem]) -> CommandError:
    """What is wrong in a file that was named, each after the field that it is about."""
    return CommandError(" ".join(told(problem) for problem in problems))


def told(problem: Problem) -> str:
    if problem.field == ("platform",):
        return problem.message  # it is the one that was typed, and not one of many fields
    return f"{'.'.join(problem.field)}: {problem.message}".removeprefix(": ")


@contextmanager
def runtime_of(
    settings: Settings,
    *,
    apply_migrations: bool = False,
    wait: bool = False,
    waits_for: Callable[[str], None] = lambda why: None,
    lacks: Callable[[str], None] = lambda what: None,
) -> Iterator[Runtime]:
    """A runtime on the operator's database, or on the embedded one; closed when the block ends.

    ``wait``: for a database that is not there yet, until a signal ends that; ``waits_for`` is told why, in a sentence.
    ``lacks`` is told what keeps it from starting, ``key`` or ``migrations``, while the database can be asked.
    ``apply_migrations``: brings it to this version, and makes the embedded one where there is none. Else raises
    EmbeddedPostgresError where there is none, and CommandError where it is older: an ``up`` of the version before may be
    running on it, and could not start again. Raises KeyLostError where it was sealed with a key that is not there.
    """
    embedded = None if settings.database_url is not None else EmbeddedPostgres(settings.data_dir)
    url = str(settings.database_url)

    def begin() -> Runtime:
        connection.connect(url)
        if apply_migrations:
            migrate()
        try:
            check_version(settings)
        except CommandError:
            lacks("migrations")
            raise
        try:
            runtime = build_runtime(settings, url, sealer_of(settings))
            confirm_keys(runtime.sealer, runtime.clock.now())
        except KeyLostError:
            lacks("key")
            raise
        return runtime

    try:
        if embedded is not None:
            url = embedded.start(COMMAND_SECONDS) if apply_migrations else embedded.find()
            if wait:
                embedded.keep_running()
        runtime = _patiently(begin, url, waits_for) if wait else begin()
        try:
            yield runtime
        finally:
            runtime.close()
    finally:
        connection.disconnect()
        if embedded is not None:
            embedded.stop()


def _patiently(begin: Callable[[], Runtime], url: str, waits_for: Callable[[str], None]) -> Runtime:
    """What ``begin`` gives once the database can be reached; says for what it waits, and again now and then."""
    says_at = began = time.monotonic()
    while True:
        try:
            runtime = begin()
        except DatabaseAwayError as error:
            fault = fault_of(error)
            if fault is not None and not fault.passing:
                raise
            why = sentence_of(error)
            waits_for(why)
            if time.monotonic() >= says_at:
                says_at = time.monotonic() + SAY_AGAIN_SECONDS
                log.warning(
                    "waiting for PostgreSQL at %s: %s", place_of(url), why, extra={"kind": "waiting", "alike": says_at}
                )
            time.sleep(random.uniform(0.5, 1))
            continue
        if says_at > began:
            log.warning("PostgreSQL is there after %.0f s", time.monotonic() - began)
        return runtime


def sealer_of(settings: Settings) -> Sealer:
    """With the operator's keys, or the one in the data directory. A database that is sealed already gets no new one.

    Raises KeyLostError. Needs a database that is at this version.
    """
    path = key_file(settings.data_dir)
    if not settings.secret_keys and not path.exists() and is_sealed():
        raise KeyLostError(f"{path} is gone, and with it the key that sealed what is in this database: {WAYS_OUT}")
    return own_sealer(settings)


def own_sealer(settings: Settings) -> Sealer:
    """As ``sealer_of``, without a look at the database."""
    if settings.secret_keys:
        return Sealer([str(key) for key in settings.secret_keys])
    path = key_file(settings.data_dir)
    return Sealer([generated_secret(settings.data_dir)], f"the file {path.name} in TRACKLAYER_DATA_DIR")


def warn_of_troubles(runtime: Runtime, settings: Settings) -> None:
    """A line of the log for each thing by which a role that runs would lose events, send them nowhere or show them to others.

    Where the database has gone away again meanwhile, none: the role starts, and waits for it as it does while it runs. Its
    watchman looks for the same.
    """
    try:
        found = troubles(runtime.sealer, settings.sandbox_url)
        invented = invented_trouble(runtime.settings.sandbox_url)
        found += [invented] if invented is not None else []
    except DatabaseAwayError as error:
        log.warning("could not look for what may be wrong with this installation: %s", sentence_of(error))
        return
    for trouble in found:
        log.warning("%s", trouble.sentence)


def check_version(settings: Settings) -> None:
    """Raises CommandError where the database lacks migrations, or is ahead of this version and that is not allowed."""
    missing, newer = pending(), unknown()
    trouble = version_trouble(missing, newer)
    if trouble is None:
        return
    if missing or not settings.allow_newer_database:
        raise CommandError(trouble.sentence if missing else trouble.sentence + GO_BACK)
    log.warning("%s; it starts all the same, since TRACKLAYER_ALLOW_NEWER_DATABASE is set", trouble.sentence)


def key_file(data_dir: Path) -> Path:
    """Where the embedded database's key is."""
    return data_dir.expanduser() / "secret_key"


def generated_secret(data_dir: Path) -> str:
    """The key in the data directory, made at the first start. Whoever loses it loses what it sealed. Raises KeyLostError."""
    path = key_file(data_dir)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _kept_secret(path)
    except OSError as error:
        raise CommandError(cannot("make", path, error)) from None
    key = secrets.token_urlsafe(32)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)  # a part of a key would be taken for one
        raise CommandError(cannot("write", path, error)) from None
    return key


def _kept_secret(path: Path) -> str:
    """Raises KeyLostError where the file holds no key any more."""
    try:
        key = path.read_text().strip()
    except PermissionError as error:
        raise CommandError(cannot("read", path, error)) from None
    except (OSError, UnicodeDecodeError):
        raise KeyLostError(f"{path} cannot be read as a key: {WAYS_OUT}") from None
    if not key:
        raise KeyLostError(f"{path} is empty, and the key that it held is gone: {WAYS_OUT}")
    return key


def give_up_spoilt_key(settings: Settings) -> None:
    """Where the file of the key holds none, it is renamed, so that a new one is made."""
    path = key_file(settings.data_dir)
    if settings.secret_keys or not path.exists():
        return
    try:
        _kept_secret(path)
    except KeyLostError:
        spoilt = path.with_name(f"{path.name}.spoilt")
        try:
            path.replace(spoilt)
        except OSError as error:
            raise CommandError(cannot("rename", path, error)) from None
        log.warning("%s held no key: it is %s now", path, spoilt.name)


MAX_DIGITS = 18  # of a merchant's id: what a bigint holds at least


def read_json(path: str, what: str) -> Any:
    """A file's JSON, ``-`` for standard input. Raises CommandError."""
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {what} {path}: {error.strerror}") from None
    try:
        return json_text.read_json(content)  # long numbers as they were written
    except ValueError as error:
        raise CommandError(f"{what} {path} is not JSON: {error}") from None


def print_json(value: Any) -> None:
    sys.stdout.write(json_text.write_with_instants(value, orjson.OPT_INDENT_2).decode() + "\n")


def print_no_more() -> None:
    """What is printed from now on leads nowhere. Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """In the block SIGTERM, and SIGHUP of a terminal that was closed, raise KeyboardInterrupt with their number. What ``nohup`` has
    ignored stays so.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


class UnprintedError(CommandError):
    """What was done is told nowhere but here: it could not be printed, and cannot be had again by saying it again."""

    def __init__(self, why: str, done: str, status: int) -> None:
        super().__init__(f"cannot write any further: {why}; {done}")
        self.status = status


@contextmanager
def printing(done: str, *, is_kept: bool = False) -> Iterator[None]:
    """For what a command prints of what it did, where to say it again would do it again. ``done``: what that was, and what to do
    now, for whoever cannot be shown it. ``is_kept``: whoever closes standard output wants none of it. Raises UnprintedError.
    """
    if sys.__stdout__ is None and not is_kept:
        raise UnprintedError("standard output is closed", done, 1)
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        print_no_more()
        has_left = isinstance(error, BrokenPipeError)
        raise UnprintedError(str(error.strerror), done, 128 + signal.SIGPIPE if has_left else 1) from None


def merchant_id_of(text: str) -> int:
    """A merchant's id as the commands print it, or as GraphQL shows it. Raises UsageError."""
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return int(text)
    parts = ids.parts_of(text, "Merchant", (int,))
    if parts is None:
        raise UsageError(f"{text!r} is not a merchant's id: `tracklayer merchant create` prints it")
    return int(parts[0])


def settings_with_log() -> Settings:
    """The process's settings, its log set up by them."""
    settings = get_settings()
    logs.configure(as_json=settings.log_format == "json")
    injected = injected_names(os.environ)
    if injected:
        log.info("%s: not settings, but what Kubernetes says of a service of this name; ignored", ", ".join(injected))
    return settings
