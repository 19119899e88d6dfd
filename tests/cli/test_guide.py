"""The guide of the command line names every command there is, and none that is not."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.factories import draft
from tracklayer import web
from tracklayer.cli import build_parser
from tracklayer.domain.health import CREDENTIALS_REFUSED
from tracklayer.domain.monitors.causes import Cause, Unanswered
from tracklayer.domain.read_event import ReadEvent, read_event
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Refused
from tracklayer.services.destinations import example_settings

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


def test_what_the_guide_says_that_commands_print_is_in_the_words_of_the_program() -> None:
    title = Unanswered(Cause.CREDENTIALS).title("TikTok", "access token")
    assert GUIDE.count(title) == 2
    assert Unanswered(Cause.CREDENTIALS).what_to_do("TikTok", "access token", 412) in GUIDE
    assert f"{CREDENTIALS_REFUSED}: 200 " in GUIDE
    mapper, now = mapper_for("tiktok"), datetime(2026, 11, 20, 15, tzinfo=UTC)
    read = read_event(draft(user_data={"country": "US"}), now)
    assert isinstance(read, ReadEvent)
    refused = mapper.map_event(read.event, example_settings(mapper), now)
    assert isinstance(refused, Refused)
    assert f"{refused.reason}: {refused.message}\n" in GUIDE


def test_the_keys_of_the_guide_stand_as_they_are_listed() -> None:
    _, _, listed = GUIDE.partition("$ tracklayer key list --merchant 2\n")
    ids = [int(row.split()[0]) for row in listed.split("\n\n")[0].splitlines()[1:]]
    assert ids == sorted(ids, reverse=True)


def _words(line: str) -> list[str]:
    """As a shell splits them, up to where the output goes."""
    return shlex.split(line.split(" > ")[0])
