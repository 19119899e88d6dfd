"""Processes that share a port: one that dies is replaced, and takes the others along only where none could serve."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.servers import wait_until
from tracklayer.cli.process import WRONG_FOR_GOOD
from tracklayer.cli.serve import SETTLING_SECONDS, Stopper, supervise


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """While it is there, its content is the status with which children end at once."""
    return tmp_path / "flag"


@pytest.fixture
def supervised(flag: Path) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Gives the children of two that are kept running."""
    script = (
        f"import pathlib, sys, time; flag = pathlib.Path({str(flag)!r}); "
        "flag.with_name('starts').open('a').write('.'); "
        "sys.exit(int(flag.read_text())) if flag.exists() else time.sleep(600)"
    )
    stopper = Stopper()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        found: list[int] = []
        command = [sys.executable, "-c", script]
        thread = threading.Thread(target=lambda: found.append(supervise(command, 2, stopper, bound)), daemon=True)
        thread.start()

        def children() -> list[psutil.Process]:
            assert found == []
            own = psutil.Process().children()
            return [child for child in own if child.is_running() and str(flag) in " ".join(cmdline(child))]

        yield children
        stopper.event.set()
        thread.join()


def cmdline(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return found


@pytest.mark.parametrize("status", [1, WRONG_FOR_GOOD])
def test_a_child_that_cannot_start_leaves_one_that_serves_alone(
    flag: Path, supervised: Callable[[], list[psutil.Process]], status: int
) -> None:
    wait_until(lambda: len(supervised()) == 2, "two to run")
    first, second = supervised()
    wait_until(
        lambda: time.time() - max(first.create_time(), second.create_time()) > 1 + SETTLING_SECONDS, "both to serve"
    )
    flag.write_text(str(status))
    first.kill()
    starts = flag.with_name("starts")
    wait_until(lambda: len(starts.read_text()) >= 2 + 3, "three tries to replace it")
    assert second.is_running()
    flag.unlink()
    wait_until(lambda: len(supervised()) == 2, "two to run again")


def test_what_is_wrong_for_good_from_the_start_ends_all(flag: Path) -> None:
    command = [sys.executable, "-c", f"import sys; sys.exit({WRONG_FOR_GOOD})"]
    with socket.create_server(("127.0.0.1", 0)) as bound:
        assert supervise(command, 2, Stopper(), bound) == 1
