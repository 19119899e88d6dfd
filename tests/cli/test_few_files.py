"""A process that may open hardly any files says so in a sentence."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.starving import starving
from tracklayer import files
from tracklayer.cli import main


def run(limit: int, *command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Its exit status and what it said, under that limit of open files."""
    nowhere = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "TRACKLAYER_DATABASE_URL": f"postgresql://somebody@{nowhere}/some",
        "TRACKLAYER_REDIS_URL": f"redis://{nowhere}/0",
        "TRACKLAYER_SECRET_KEY": "a-key-of-at-least-thirty-two-letters",
        "TRACKLAYER_DATA_DIR": str(home),
    }
    limited = ["sh", "-c", f'ulimit -n {limit} && exec "$0" -m tracklayer "$@"', sys.executable, *command]
    return subprocess.run(limited, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("role", ["up", "api", "worker", "scheduler"])
@pytest.mark.parametrize("limit", [8, 20, files.LEAST - 1])
def test_a_role_that_may_open_hardly_any_files_does_not_begin(role: str, limit: int, tmp_path: Path) -> None:
    ended = run(limit, role, home=tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr == (
        f"tracklayer: a process may open only {limit} files here, and needs 64 at the very least: raise that with `ulimit -n`, or with "
        "`LimitNOFILE=` of its systemd unit\n"
    )


@pytest.mark.parametrize("command", [["merchant", "list"], ["migrate"], ["doctor"]], ids=" ".join)
def test_a_command_without_a_free_file_says_so(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", "a-key-of-at-least-thirty-two-letters")
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", f"postgresql://somebody@127.0.0.1:{free_port()}/some")
    monkeypatch.setenv("TRACKLAYER_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main(command) == 1  # and loads what it needs
    assert files.NONE_LEFT not in str(capsys.readouterr())
    with starving():
        assert main(command) == 1
    assert files.NONE_LEFT in str(capsys.readouterr())


def test_a_role_may_open_as_many_files_as_it_wants_where_only_the_soft_limit_is_low() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files.MOST:
        pytest.skip(f"nobody may open {files.MOST} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert files.limit() == files.MOST
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
