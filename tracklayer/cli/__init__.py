"""The commands: parse, call one service or role, print. One file each.

Exit status: 0 done, 1 failed, 2 wrong usage. A foreseeable mistake is one sentence on stderr, never a traceback.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import peewee

from tracklayer import __version__, files, logs
from tracklayer.cli.process import WRONG_FOR_GOOD, CommandError, print_no_more
from tracklayer.db.connect_faults import UNKNOWN, Fault, fault_of
from tracklayer.db.connection import DatabaseAwayError, ReadTimeoutError
from tracklayer.db.embedded import EmbeddedPostgresError
from tracklayer.db.migrate import MigrationLockError
from tracklayer.sealing import SealError
from tracklayer.services.keys import KeyLostError
from tracklayer.settings import SettingsError, wants_json

# Each command, in the order in which `--help` lists them, and the module of this package that has it. Only that of the one
# that is typed is loaded: all of them together take longer than most commands.
COMMANDS = {
    "up": "up",
    "api": "api",
    "worker": "roles",
    "scheduler": "roles",
    "migrate": "migrate",
    "merchant": "merchant",
    "key": "key",
    "sign-in": "sign_in",
    "destination": "destination",
    "event": "event",
    "deliveries": "deliveries",
    "redeliver": "redeliver",
    "alerts": "alerts",
    "import": "import_events",
    "export": "export",
    "erase": "erase",
    "person": "person",
    "preview": "preview",
    "normalize": "normalize",
    "sandbox": "sandbox",
    "schema": "schema",
    "doctor": "doctor",
    "monitors": "monitors",
    "completion": "completion",
    "bench": "bench",
}
VERSION = "--version"
NEED_ALL = frozenset({"completion"})  # prints what all of them take

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
ROLES = frozenset({"up", "api", "worker", "scheduler"})
UNATTENDED = ROLES | {"migrate"}  # their faults are read by programs, too


class Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        """argparse's own swallows that help could not be written."""
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Nothing is left for the parser above, whose help is not the one that is needed."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        told = f"{message}; see `{self.prog} --help`"
        if logs.Log.is_json:
            logs.fault(told)
            self.exit(2)
        self.exit(2, f"{self.prog}: {told}\n")


def build_parser(typed: str | None = None) -> Parser:
    """``typed``: the first word of a command line. Where that tells which command it is, the parser knows no other."""
    parser = Parser(prog="tracklayer", description="Delivers conversion events to ad platforms.")
    parser.add_argument(VERSION, action="version", version=f"tracklayer {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    with _uncollected():
        for module in _modules(typed):
            import_module(f"{__name__}.{module}").add(commands)
    return parser


@contextmanager
def _uncollected() -> Iterator[None]:
    """What is loaded stays: nobody looks through it for what is no longer needed, not even when the process ends."""
    begins = not gc.isenabled()  # see __main__; whoever calls ``main`` otherwise has more in hand than what is loaded
    gc.disable()
    try:
        yield
    finally:
        if begins:
            gc.freeze()
        gc.enable()


def _modules(typed: str | None) -> Iterable[str]:
    if typed == VERSION:
        return ()
    if typed in COMMANDS and typed not in NEED_ALL:
        return (COMMANDS[typed],)
    return dict.fromkeys(COMMANDS.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status."""
    _open_streams()
    argv = sys.argv[1:] if argv is None else argv
    try:
        parser = build_parser(next(iter(argv), None))
    except OSError as error:
        raise SystemExit(_unprinted(error)) from None
    role = next(iter(argv), logs.OURS)
    logs.begin(role, as_json=role in UNATTENDED and wants_json(os.environ))
    try:
        args = parser.parse_args(argv, argparse.Namespace(parser=parser))  # `completion` prints what it takes
    except SystemExit:
        try:
            sys.stdout.flush()  # `--help`, and what else is answered at once
        except OSError as error:
            raise SystemExit(_unprinted(error)) from None
        raise
    except OSError as error:
        raise SystemExit(_unprinted(error)) from None
    # One of several processes tells its parent whether it is worth another try.
    for_good = WRONG_FOR_GOOD if getattr(args, "parent", None) else 1
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see __main__
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if args.command in ROLES:
            _make_room()
        status = int(args.run(args))
        sys.stdout.flush()  # what cannot be written is told here, and not by Python behind our back
        return status
    except SettingsError as error:
        message = "\n".join(["the environment is not right:", *(f"  {fault}" for fault in error.faults)])
        return _failed(message, 2 if for_good == 1 else for_good)
    except CommandError as error:
        return _failed(str(error), error.status if for_good == 1 else for_good)
    except KeyLostError as error:
        return _failed(str(error), for_good)
    except (DatabaseAwayError, peewee.DatabaseError) as error:
        fault = fault_of(error)
        if fault is None and not isinstance(error, DatabaseAwayError):
            raise
        fault = fault or Fault(UNKNOWN, True)
        return _failed(fault.sentence, 1 if fault.passing else for_good)
    except (EmbeddedPostgresError, MigrationLockError, SealError) as error:
        return _failed(str(error))
    except ReadTimeoutError:
        return _failed("this takes too long to find: narrow it, by --since say, or try again at a quieter hour")
    except OSError as error:
        return _unprinted(error)
    except KeyboardInterrupt as error:
        return 128 + (error.args[0] if error.args else signal.SIGINT)  # see ``ended_as_by_ctrl_c``
    finally:
        logs.tell_alike(is_end=True)


def _make_room() -> None:
    """Lets a role open as many files as it may want, each connection being one. Raises CommandError where it may not even begin."""
    most = files.limit()
    if most is not None and most < files.LEAST:
        raise CommandError(
            f"a process may open only {most} files here, and needs {files.LEAST} at the very least: raise that with `ulimit -n`, or "
            "with `LimitNOFILE=` of its systemd unit"
        )


def _unprinted(error: OSError) -> int:
    """The exit status where what is printed could not be written, or a file is not ours to use, or to be had. Any other error goes on."""
    if files.were_wanting(error):
        return _failed(files.NONE_LEFT)
    if isinstance(error, BrokenPipeError):
        # Whoever read us has had enough: as any other program ends then, and no failure.
        print_no_more()
        return 128 + signal.SIGPIPE
    # Of files that they were given commands tell themselves; this is of any that they need besides.
    if error.filename is not None and (error.errno in _FULL or isinstance(error, PermissionError)):
        return _failed(f"cannot use {error.filename}: {error.strerror}")
    if error.errno not in _FULL or error.filename is not None:
        raise error
    print_no_more()
    return _failed(f"cannot write any further: {error.strerror}")


def _open_streams() -> None:
    """Those that whoever started us has closed lead nowhere; JSON for a program is UTF-8, whatever the terminal's letters are."""
    nowhere = Path(os.devnull)
    sys.stdin = sys.stdin or nowhere.open()
    sys.stdout = sys.stdout or nowhere.open("w")
    sys.stderr = sys.stderr or nowhere.open("w")
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="backslashreplace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def _failed(message: str, status: int = 1) -> int:
    logs.fault(message)
    return status
