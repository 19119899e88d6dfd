"""Ctrl-C from the first moment on: while the program loads, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tracklayer

ROOT = Path(tracklayer.__file__).parent.parent
# Ctrl-C at the moment at which a module is looked for.
AT = """
import os, signal, sys
def look(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(look)
"""


def program() -> list[str]:
    """As the script that is installed calls it."""
    module, name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["tracklayer"].split(":")
    return ["-c", f"import sys; from {module} import {name}; sys.exit({name}())"]


def run(folder: Path, module: str, *command: str, handler: signal.Handlers = signal.SIG_DFL) -> tuple[int, str, str]:
    (folder / "sitecustomize.py").write_text(AT.format(module=module))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("how", [["-m", "tracklayer"], program()], ids=["module", "script"])
@pytest.mark.parametrize("module", ["tracklayer.cli", "tracklayer.domain.event", "tracklayer.actors.crew"])
def test_it_ends_by_the_signal_and_tells_nothing_of_what_it_was_loading(
    tmp_path: Path, how: list[str], module: str
) -> None:
    assert run(tmp_path, module, *how, "worker", "--help") == (-signal.SIGINT, "", "")


def test_where_it_is_ignored_it_still_is(tmp_path: Path) -> None:
    found = run(tmp_path, "tracklayer.cli", "-m", "tracklayer", "--version", handler=signal.SIG_IGN)
    assert found == (0, f"tracklayer {tracklayer.__version__}\n", "")


@pytest.mark.parametrize("how", [["-m", "tracklayer"], program()], ids=["module", "script"])
def test_a_command_that_runs_ends_in_its_own_way(tmp_path: Path, how: list[str]) -> None:
    event = tmp_path / "event.json"
    os.mkfifo(event)
    with (
        subprocess.Popen(
            [sys.executable, *how, "preview", "--platform", "meta", str(event)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        event.open("w"),
    ):  # it has opened the other end, and reads
        process.send_signal(signal.SIGINT)
        said = process.communicate()
    assert (process.returncode, said) == (130, ("", ""))


def test_nobody_looks_through_what_is_loaded_for_what_is_no_longer_needed_but_through_what_comes() -> None:
    told = "print(gc.isenabled(), gc.get_freeze_count() > 50_000)"
    code = f"import atexit, gc, sys\nfrom tracklayer.__main__ import main\natexit.register(lambda: {told})\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tracklayer {tracklayer.__version__}\nTrue True\n"
