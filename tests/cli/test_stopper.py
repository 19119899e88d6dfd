"""A signal ends the process, whatever it interrupts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
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


def test_a_signal_that_another_thread_is_given_wakes_the_one_that_waits(stopper: Stopper) -> None:
    stopper.serving = True
    is_over = threading.Event()
    other = threading.Thread(target=is_over.wait, daemon=True)
    other.start()
    sender = threading.Timer(0.2, lambda: signal.pthread_kill(other.ident or 0, signal.SIGTERM))
    sender.start()
    woke = stopper.event.wait(20)
    sender.join()
    is_over.set()
    other.join()
    assert woke


AT_EVERY_STEP = """
import os, signal, sys
from tracklayer.cli.serve import Stopper

def wait(step):
    with Stopper() as stopper:
        stopper.serving = True
        seen = 0

        def look(frame, event, argument):
            nonlocal seen
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGTERM)

        sys.setprofile(look)
        stopper.event.wait(0.5)
        sys.setprofile(None)
        assert stopper.event.is_set() or seen < step, step
        return seen >= step

step = 1
while wait(step):
    step += 1
assert step > 5
"""


def test_a_signal_ends_the_wait_wherever_in_it_it_comes() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EVERY_STEP], timeout=60, check=False)
    assert done.returncode == 0
