"""The guide of the command line names every command there is, and none that is not."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tracklayer import web
from tracklayer.cli import build_parser

GUIDE = (Path(web.__file__).parent / "docs" / "command-line.md").read_text()
SHOWN = [
    line.split("|")[-1].strip().removeprefix("$ ") for line in re.findall(r"^(\$ .*|.*\| tracklayer .*)$", GUIDE, re.M)
]


def commands(parser: argparse.ArgumentParser, *before: str) -> Iterator[tuple[str, ...]]:
    """Every command, and those below it; of the benchmarks only their name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                if before == ("bench",):
                    continue
                inner = list(commands(below, *before, name))
                if not inner or below._defaults.get("run") is not None:
                    yield (*before, name)
                yield from inner


ALL = [" ".join(command) for command in commands(build_parser())]


def test_every_command_is_shown_with_an_example() -> None:
    missing = [command for command in ALL if not any(re.match(rf"tracklayer {command}\b", line) for line in SHOWN)]
    # What the tables show without a prompt, and what is the same without its last word.
    assert missing == ["alerts list", "completion"]
    for command in ("alerts list", "tracklayer completion bash"):
        assert f"`{command}`" in GUIDE or f'"$({command})"' in GUIDE


def test_every_line_of_the_guide_is_one_that_the_commands_take() -> None:
    """Options that are not there, and values that are none, end with status 2."""
    parser = build_parser()
    for line in SHOWN:
        words = _words(line)
        assert words[0] == "tracklayer", line
        try:
            parser.parse_args(words[1:])
        except SystemExit as ended:
            raise AssertionError(line) from ended


def _words(line: str) -> list[str]:
    """As a shell splits them, up to where the output goes."""
    return shlex.split(line.split(" > ")[0])
