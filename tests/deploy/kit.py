"""What the files of ``deploy/`` say: which commands they start, with what around them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
ROLES = ("migrate", "api", "worker", "scheduler")
PROGRAM = "/opt/tracklayer/bin/tracklayer"
# What an operator puts into `.env` beside compose.yaml.
ENV = {
    "POSTGRES_PASSWORD": "a-password-of-the-tests",
    "TRACKLAYER_SECRET_KEY": "a-secret-key-for-tests-of-forty-characters",
    "PUBLIC_HOST": "tracklayer.example.com",
}
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?+])([^}]*))?\}")


@dataclass(frozen=True)
class Start:
    """A process as a file starts it. ``grace``: seconds until it is killed after its signal to end; None: not ended."""

    args: tuple[str, ...]
    environ: Mapping[str, str]
    grace: float | None

    @property
    def role(self) -> str:
        return self.args[0]


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def manifests() -> list[Any]:
    return [
        document
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text())
    ]


def pods() -> dict[str, Any]:
    """The spec of each pod, by its container's name."""
    specs = [found["spec"]["template"]["spec"] for found in manifests() if "template" in found.get("spec", {})]
    return {spec["containers"][0]["name"]: spec for spec in specs}


def units() -> dict[str, dict[str, list[str]]]:
    """Of each unit of systemd, by its file's name: every value of every key, over all sections."""
    found = {}
    for path in sorted((DEPLOY / "systemd").glob("*.service")):
        pairs = [line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and line[0] not in "#["]
        found[path.name] = {key: [value for name, value in pairs if name == key] for key, _ in pairs}
    return found


@cache
def image() -> dict[str, str]:
    """The environment of the image, as the Containerfile's last stage sets it."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ").rsplit("\nFROM ", 1)[1]
    pairs = [pair for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for pair in shlex.split(line)]
    return dict(pair.split("=", 1) for pair in pairs if not pair.startswith("PATH="))


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}`` and ``${NAME:+other}``, as compose has them."""

    def value(match: re.Match[str]) -> str:
        name, how, other = match.groups()
        given = values.get(name, "")
        if how == ":+":
            return str(other) if given else ""
        if not given and how == ":?":
            raise AssertionError(f"{name}: {other}")
        return given or (str(other) if how == ":-" else "")

    return _VARIABLE.sub(value, text)


def of_compose() -> Iterator[Start]:
    for name in ROLES:
        service = compose()["services"][name]
        given = {key: fill_in(str(value), ENV) for key, value in service["environment"].items()}
        grace = service.get("stop_grace_period")
        yield Start(tuple(service["command"]), {**image(), **given}, float(grace.removesuffix("s")) if grace else None)


def of_kubernetes() -> Iterator[Start]:
    given = {
        key: str(value)
        for found in manifests()
        if found["kind"] in ("ConfigMap", "Secret")
        for key, value in {**found.get("data", {}), **found.get("stringData", {})}.items()
    }
    for name in ROLES:
        spec = pods()[name]
        grace = spec.get("terminationGracePeriodSeconds", 30)
        environ = {**image(), **given, "TRACKLAYER_SECRET_KEY": ENV["TRACKLAYER_SECRET_KEY"]}
        yield Start(tuple(spec["containers"][0]["args"]), environ, float(grace) if name != "migrate" else None)


def of_systemd() -> Iterator[Start]:
    lines = (DEPLOY / "systemd" / "tracklayer.env.example").read_text().splitlines()
    file = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for name in ROLES:
        (unit,) = [found for file_name, found in units().items() if file_name.startswith(f"tracklayer-{name}")]
        program, *args = shlex.split(unit["ExecStart"][0])
        assert program == PROGRAM
        own = dict(pair.split("=", 1) for value in unit["Environment"] for pair in shlex.split(value))
        environ = {**own, **file, "TRACKLAYER_SECRET_KEY": ENV["TRACKLAYER_SECRET_KEY"]}
        grace = unit.get("TimeoutStopSec")
        yield Start(tuple(args), environ, float(grace[0]) if grace else None)


KITS = {"compose": of_compose, "kubernetes": of_kubernetes, "systemd": of_systemd}
