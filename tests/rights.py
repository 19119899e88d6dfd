"""Rights, for tests that run as root: to the superuser no file is closed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522  # of Linux's capabilities: 64 bits, in two halves
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2
_Halves = ctypes.c_uint32 * 6  # effective, permitted and inheritable of the low half, then of the high one


@contextmanager
def as_others_have_them() -> Iterator[None]:
    """For this thread, to the end of the block: files are as closed to us as their modes say."""
    if os.geteuid() != 0 or sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = (ctypes.c_uint32 * 2)(_VERSION_3, 0), _Halves()
    assert libc.capget(header, held) == 0, os.strerror(ctypes.get_errno())
    less = _Halves(*held)
    less[0] &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)
    assert libc.capset(header, less) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0, os.strerror(ctypes.get_errno())
