"""README is true: its commands exist, the guide's settings are the settings, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.browser.installation import installation
from tests.servers import wait_until
from tracklayer.cli import main
from tracklayer.cli.bench.ground import clean_environ
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.settings import SETTINGS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS_GUIDE = (ROOT / "tracklayer" / "web" / "docs" / "settings.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
SHELL = "\n".join(BLOCKS)
# `source` and `export` are of the terminal of whoever reads: here there is another installation, on another port.
TERMINAL = """
set -euo pipefail
make() { :; }
source() { :; }
export() { :; }
tracklayer() { if [ "$1" != up ]; then "$PYTHON" -m tracklayer "$@"; fi; }
"""


def test_it_is_short_and_begins_with_make_up() -> None:
    assert len(README.splitlines()) < 200
    assert BLOCKS[0] == "make up\n"
    assert BLOCKS[-1] == "make test\n"
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


def test_no_line_that_is_pasted_ends_in_a_comment() -> None:
    """Interactive zsh knows no comments: it would hand the words of one over to the command, or run them."""
    pages = [
        *ROOT.glob("*.md"),
        *ROOT.glob("examples/*.md"),
        *ROOT.glob("deploy/*.md"),
        *ROOT.glob("tracklayer/web/docs/*.md"),
    ]
    found = {
        (page.name, line)
        for page in pages
        for block in re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text(), re.M | re.S)
        for line in block.splitlines()
        if re.search(r"(?:^|\s)#", line)
    }
    assert found == set()
    assert len(pages) > 20


def test_every_link_leads_to_a_file() -> None:
    for name in ("README.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), target


def test_whoever_pastes_it_all_has_an_event_delivered_everywhere_and_a_shop_of_their_own(tmp_path: Path) -> None:
    with installation() as up:
        environ = {**clean_environ(), **up.environ, "PYTHON": sys.executable, "API_KEY": up.shop.key}

        def paste(block: str) -> str:
            script = block.replace("http://127.0.0.1:8000", up.address).replace("http://127.0.0.1:9100", up.sandbox)
            command = ["bash", "-c", TERMINAL + script]
            done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (block, done.stderr)
            return done.stdout

        def delivered() -> bool:
            deliveries = orjson.loads(paste(ask))["data"]["event"]["deliveries"]
            return [delivery["status"] for delivery in deliveries] == ["DELIVERED"] * len(PLATFORMS)

        begin, prepare, send, ask, live, own, break_it, _ = BLOCKS
        assert paste(begin) + paste(prepare) + paste(live) == ""
        assert orjson.loads(paste(send))["data"]["ingestEvent"]["outcome"] == "ACCEPTED"
        wait_until(delivered, "every platform to have the event")
        assert orjson.loads(paste(send))["data"]["ingestEvent"]["outcome"] == "COALESCED"
        said = paste(own)
        assert re.search(r'"merchant_id": "?2\b', said), said
        assert re.search(r"http\S+/#code=\S+", said), said
        assert '"event_id":"order_12345"' in paste(break_it)
