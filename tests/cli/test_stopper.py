"""A signal ends the process, whatever it interrupts."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
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


WHERE_NOTHING_IS_LET_THROUGH = """
import os, signal, sys, time, weakref
from contextlib import suppress
from tracklayer.cli.serve import Stopped, Stopper

class Closing:
    def __del__(self):
        signal_it()

class Plain: pass

def signal_it(reference=None):
    os.kill(os.getpid(), signal.SIGTERM)

with Stopper() as stopper, suppress(Stopped):
    if sys.argv[1] == "finalizer":
        Closing()
    else:
        plain = Plain()
        reference = weakref.ref(plain, signal_it)
        del plain
    time.sleep(30)
    print("it was lost")
print(stopper.signals)
"""


@pytest.mark.parametrize("where", ["finalizer", "weak reference"])
def test_a_signal_that_comes_where_python_lets_nothing_through_ends_it_all_the_same(where: str) -> None:
    command = [sys.executable, "-c", WHERE_NOTHING_IS_LET_THROUGH, where]
    done = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("[15]\n", "", 0)


HELD_UP = """
import os
from tracklayer.cli import serve

serve.HELD_UP_SECONDS = 1
with serve.Stopper() as stopper:
    stopper.serving = True
    reader, writer = os.pipe()  # that nobody reads
    print("begins", flush=True)
    while True:
        os.write(writer, bytes(4096))
"""


def test_a_second_signal_ends_a_process_that_is_held_up() -> None:
    with subprocess.Popen([sys.executable, "-c", HELD_UP], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            for _ in range(600):
                process.send_signal(signal.SIGTERM)  # several at once may be one
                time.sleep(0.1)
                if process.poll() is not None:
                    break
            assert process.wait(60) == -signal.SIGALRM
        finally:
            process.kill()


SERVING = """
import os, signal, socket, sys, threading
from datetime import timedelta
from starlette.applications import Starlette
from tracklayer.cli.serve import Stopper, serve_http

number, when = signal.Signals(int(sys.argv[1])), sys.argv[2]
with Stopper() as stopper:
    if when == "before":  # between the instant from which on it is uvicorn that ends, and that at which it takes the signals
        stopper.serving = True
        os.kill(os.getpid(), number)
        assert stopper.event.is_set()
    else:
        threading.Timer(1, lambda: os.kill(os.getpid(), number)).start()
    serve_http(Starlette(), socket.create_server(("127.0.0.1", 0)), stopper, timedelta())
    assert stopper.signals == [number]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)  # as after a second one
print("ended")
"""


def as_from_a_terminal() -> None:
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_server_ends_by_a_signal_that_came_before_it_served_and_when_its_terminal_is_closed(
    number: signal.Signals, when: str
) -> None:
    command = [sys.executable, "-c", SERVING, str(int(number)), when]
    done = subprocess.run(
        command, timeout=60, check=False, capture_output=True, text=True, preexec_fn=as_from_a_terminal
    )
    assert (done.stdout, done.returncode) == ("ended\n", 0)


WAITING = """
import os, signal
from tracklayer.cli.serve import Stopper

others = [os.dup(0) for _ in range(1100)]
with Stopper() as stopper:
    stopper.serving = True
    print("waits", flush=True)
    stopper.event.wait()
print("ended")
"""


def with_the_signals() -> None:
    """In a child, before its program: SIGTERM blocked, SIGHUP ignored, and room for many descriptors."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_what_was_blocked_or_opened_by_whoever_started_it_keeps_no_process_from_ending() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True, preexec_fn=with_the_signals
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGHUP)  # as ``nohup`` has it, this is nothing
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60)[0] == "ended\n"
    finally:
        process.kill()
        process.wait()
