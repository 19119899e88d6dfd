"""A signal ends the process, whatever it interrupts."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator

import pytest

from tracklayer.cli.serve import Stopped, Stopper


class Interrupted:
    """A stream of a log during whose writing the second signal comes."""

    def write(self, text: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def stopper() -> Iterator[Stopper]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with Stopper() as stopper:
        yield stopper
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_signal_is_heeded_while_a_line_is_logged(stopper: Stopper) -> None:
    handler = logging.StreamHandler(Interrupted())
    stopper.serving = stopper.draining = True
    with pytest.raises(Stopped):
        handler.emit(logging.makeLogRecord({"msg": "finishing"}))
