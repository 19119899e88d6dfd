"""``tracklayer completion``: what makes a shell complete commands and options."""

from __future__ import annotations

import argparse

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
    print(load("shtab").complete(args.parser, args.shell))
    return 0
