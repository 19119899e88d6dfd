"""``tracklayer completion``: what makes a shell complete commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tracklayer.loading import load

SHELLS = ("bash", "zsh", "fish", "tcsh")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "completion",
        help="print what makes a shell complete commands and options",
        description='For bash, put `eval "$(tracklayer completion bash)"` into ~/.bashrc; the guide has the line of each shell.',
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    # Loaded for this command alone: all others start without it.
    shtab = load("shtab")
    for action in arguments_of(args.parser):
        kind = names_of_files(action)
        if kind is not None:
            action.complete = getattr(shtab, kind)  # type: ignore[attr-defined]  # shtab's own
    print(shtab.complete(args.parser, args.shell))
    return 0


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All that a command takes, and all that its commands take."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                yield from arguments_of(command)


def names_of_files(action: argparse.Action) -> str | None:
    """What stands there: ``FILE`` or ``DIRECTORY``, by what its help calls it; None: no name of a file."""
    called = action.metavar if isinstance(action.metavar, str) else ""
    if called.startswith(("FILE", "PATH")):
        return "FILE"
    return "DIRECTORY" if called.startswith("DIR") else None
