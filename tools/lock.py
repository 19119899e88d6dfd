"""Writes requirements.lock: exact versions with the hashes of every machine's wheels, and no addresses.

First what TrackLayer runs with, then, below the line ``# test``, what only its tests and its optional parts need besides.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
HEAD = "# Made by `make lock`. Installed with --require-hashes by `make up` and `make test`."


def resolve(*extras: str, constraints: str = "") -> dict[str, str]:
    """Package name -> its lines, for pyproject.toml with these extras."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text(constraints)
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        command += [
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--no-emit-index-url",
            "--constraint",
            str(pins),
        ]
        command += [f"--extra={extra}" for extra in extras]
        found = subprocess.run([*command, "pyproject.toml"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    blocks = re.split(r"\n(?=[a-z0-9])", found.stdout.strip())
    return {re.split(r"[=\s\[]", block, maxsplit=1)[0]: block for block in blocks}


def main() -> None:
    run = resolve("build")
    pins = "\n".join(block.split(" \\")[0] for block in run.values())
    everything = resolve("build", "test", "parquet", "tracing", constraints=pins)
    only_tests = [block for name, block in everything.items() if name not in run]
    LOCK.write_text("\n".join([HEAD, *run.values(), "# test", *only_tests, ""]))


if __name__ == "__main__":
    main()
