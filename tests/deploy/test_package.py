"""What pip installs, from the wheel and from the sdist, is what stands in the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deploy.kit import ROOT
from tests.servers import free_port, wait_until
from tracklayer import __version__
from tracklayer.cli.bench.roles import answers

MAKES = "import sys; from flit_core import buildapi; print(buildapi.build_{}(sys.argv[1]))"
BESIDES = ("__pycache__", ".pyc")


def ours() -> dict[str, bytes]:
    """Every file of the package, by its path in the repository."""
    found = [path for path in (ROOT / "tracklayer").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in found
        if not any(part.endswith(BESIDES) for part in path.parts)
    }


def make(kind: str, source: Path, folder: Path) -> Path:
    """The name of the file that flit makes of ``source``."""
    command = [sys.executable, "-c", MAKES.format(kind), str(folder)]
    found = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return folder / found.stdout.strip().splitlines()[-1]


def inside(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a fresh environment: the wheel, and beside it what it needs."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    (site,) = (venv / "lib").glob("python3*/site-packages")
    # What is named there is searched last, and its own `.pth`, by which the tests have the source, is not read.
    (own,) = (Path(sys.prefix) / "lib").glob("python3*/site-packages")
    (site / "needed.pth").write_text(f"{own}\n")
    return venv / "bin"


def run(installed: Path, *args: str) -> str:
    environ = {"PATH": os.environ["PATH"]}
    found = subprocess.run([installed / "tracklayer", *args], cwd="/", env=environ, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    found = {name: content for name, content in inside(wheel).items() if ".dist-info/" not in name}
    assert found == ours()


def test_a_wheel_made_of_the_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    sdist = make("sdist", ROOT, tmp_path)
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path, filter="data")
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    assert inside(make("wheel", source, tmp_path)) == inside(wheel)
    for name in ("requirements.lock", "CHANGELOG.md", "deploy/compose.yaml", "deploy/README.md", "tests/conftest.py"):
        assert (source / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_what_is_installed_is_the_wheel_and_says_what_the_source_says(installed: Path) -> None:
    where = subprocess.run(
        [installed / "python", "-c", "import tracklayer; print(tracklayer.__file__)"],
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    assert run(installed, "--version") == f"tracklayer {__version__}\n"
    assert run(installed, "schema") == (ROOT / "tracklayer" / "schema" / "schema.graphql").read_text()


@pytest.fixture
def up(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of an installation of the wheel: `tracklayer up --sandbox`."""
    port = free_port()
    environ = {"PATH": os.environ["PATH"], "TRACKLAYER_DATA_DIR": str(tmp_path / "data"), "TRACKLAYER_PORT": str(port)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [installed / "tracklayer", "up", "--sandbox"], cwd="/", env=environ, stdout=log, stderr=subprocess.STDOUT
        )
    try:

        def ready() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            return answers(f"http://127.0.0.1:{port}/readyz")

        wait_until(ready, "it to serve")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def test_what_is_installed_serves_everything(up: str, tmp_path: Path) -> None:
    with httpx.Client(base_url=up) as client:
        page = client.get("/")
        assert page.status_code == 200
        for path in {*re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text), "/docs/operations", "/docs/runbooks"}:
            assert client.get(path).status_code == 200, path
        schema = client.get("/schema.graphql").text
        assert schema == (ROOT / "tracklayer" / "schema" / "schema.graphql").read_text()
        said = (tmp_path / "log").read_text()
        (key,) = re.findall(r"API key +(\S+)", said)
        sends, asks = re.findall(r"-d '(.*)'", said)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        sent = client.post("/graphql", content=sends, headers=headers).json()["data"]["ingestEvent"]
        assert sent["outcome"] == "ACCEPTED"

        def delivered() -> bool:
            found = client.post("/graphql", content=asks, headers=headers).json()["data"]["event"]["deliveries"]
            return {delivery["status"] for delivery in found} == {"DELIVERED"}

        wait_until(delivered, "the event to be delivered everywhere")
