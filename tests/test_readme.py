"""README is true: its commands exist, the guide's settings are the settings, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracklayer.cli import main
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.settings import SETTINGS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS_GUIDE = (ROOT / "tracklayer" / "web" / "docs" / "settings.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))


def test_the_first_two_commands_are_make_up_and_make_test() -> None:
    commands = [line for line in SHELL.splitlines() if line and not line.startswith("#")]
    assert commands[:2] == ["make up", "make test"]
    assert re.search(r"^up:", MAKEFILE, re.MULTILINE)
    assert re.search(r"^test:", MAKEFILE, re.MULTILINE)


def test_every_command_that_is_shown_exists(capsys: pytest.CaptureFixture[str]) -> None:
    shown = set(re.findall(r"(?:^|\s)tracklayer ([a-z][a-z-]*)(?: (create|set))?", SHELL, re.MULTILINE))
    assert shown
    for command, action in sorted(shown):
        with pytest.raises(SystemExit) as ended:
            main([command, *([action] if action else []), "--help"])
        assert ended.value.code == 0, command
    capsys.readouterr()


def test_every_option_that_is_shown_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for line in re.findall(r"(?:^|\s)(tracklayer [^\n]+)", SHELL, re.MULTILINE):
        words = line.split("#")[0].split()[1:]
        command = [word for word in words[:2] if re.fullmatch(r"[a-z][a-z-]*", word) and word not in ("events",)]
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        usage = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert option in usage, line


def test_the_settings_table_is_the_settings() -> None:
    rows = re.findall(r"^\| `(TRACKLAYER_[A-Z_]+)` \| ([^|]*) \| (.*) \|$", SETTINGS_GUIDE, re.MULTILINE)
    wanted = [(spec.name, f"`{spec.default}`" if spec.default else "none", spec.help) for spec in SETTINGS]
    assert rows == wanted


def test_the_platforms_table_is_the_platforms() -> None:
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| \[([^\]]+)\]\(([^)]+)\) \|", README, re.MULTILINE)
    assert rows == [(key, mapper_for(key).title, f"tracklayer/mappers/{key}.md") for key in PLATFORMS]


def test_every_link_leads_to_a_file() -> None:
    for name in ("README.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), target
