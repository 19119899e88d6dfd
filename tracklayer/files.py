"""Whether this process may open another file: each connection is one. What fails for want of one says nothing about whoever it was
meant for.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

if sys.platform != "win32":
    import resource

NONE_LEFT = (
    "this process can open no more files, and so no connection: raise its limit (`ulimit -n`, `LimitNOFILE=` of a systemd unit, "
    "`fs.file-max` of the machine)"
)
MOST = 4_200  # that a process may want to have open
LEAST = 64  # of a limit: with fewer no role gets to its work
SPARE = 4  # that looking up a name may need at once
_WANT = (errno.EMFILE, errno.ENFILE)  # of this process, of its machine

_met_at: float | None = None  # when this process last wanted one in vain, on the monotonic clock


def limit() -> int | None:
    """How many files this process may have open, after that was raised as far as it goes and ``MOST`` wants; None: any number."""
    if sys.platform == "win32":  # it has no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MOST:
        soft = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return None if soft == resource.RLIM_INFINITY else soft


def were_wanting(error: BaseException) -> bool:
    """Whether it is known of something that failed that there was no file for it."""
    return any(code in _WANT for code in _codes(error))


def are_wanting(error: BaseException, *, is_vague: bool = False) -> bool:
    """Whether something failed as there was no file for it, by the errors that it was raised from; then that is remembered.

    ``is_vague``: these do not say what it was, as those of a name that was not found: then it is tried whether there are any.
    """
    global _met_at
    is_vague = is_vague or any(code < 0 for code in _codes(error))  # of getaddrinfo
    found = were_wanting(error) or (is_vague and not _can_open())
    if found:
        _met_at = time.monotonic()
    return found


def wanted_ago() -> float | None:
    """How many seconds ago this process last wanted one in vain."""
    return time.monotonic() - _met_at if _met_at is not None else None


def _codes(error: BaseException) -> Iterator[int]:
    """Of the system's errors that something was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            yield seen.errno
        original = getattr(seen, "orig", None)  # peewee's own errors name the driver's
        seen = original if isinstance(original, BaseException) else seen.__cause__ or seen.__context__


def _can_open() -> bool:
    with ExitStack() as opened:
        try:
            for _ in range(SPARE):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno not in _WANT
    return True
