"""The files of ``deploy/`` are what their tools take, name what exists, and give away no right that is not needed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.kit import DEPLOY, ENV, KITS, PROGRAM, ROLES, ROOT, compose, fill_in, manifests, pods, units
from tests.servers import free_port, wait_until
from tracklayer import __version__
from tracklayer.cli import main
from tracklayer.cli.connections import BODY_SECONDS, HEAD_SECONDS
from tracklayer.cli.serve import BACKLOG_SECONDS, DRAIN_SECONDS, GRACE_SECONDS, config_of
from tracklayer.settings import SETTINGS, load_settings

BIN = Path(sys.executable).parent
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
STAGES = re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE)[1:]
SITES = compose()["services"]["proxy"]["environment"]["SITES"]
SHOPS = "t.shop.example.com, t.other.example.com"
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


def run(*command: str | Path) -> None:
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_compose_takes_its_file() -> None:
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_kubernetes_takes_its_manifests() -> None:
    files = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.name != "kustomization.yaml"]
    run(BIN / "kubernetes-validate", "--strict", "--quiet", *files)


def test_the_kustomization_has_every_manifest_but_the_secret() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(kustomization["resources"]) == there - {"kustomization.yaml", "secret.example.yaml"}


def test_systemd_takes_its_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on PATH")
    for path in sorted((DEPLOY / "systemd").glob("*")):
        if path.suffix in (".service", ".target"):
            (tmp_path / path.name).write_text(path.read_text().replace(PROGRAM, "/bin/true"))
    for path in sorted(tmp_path.iterdir()):
        found = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
        assert (found.returncode, found.stderr) == (0, ""), path.name


def test_caddy_takes_its_file(tmp_path: Path) -> None:
    if shutil.which("caddy") is None:
        pytest.skip("no caddy on PATH")
    found = subprocess.run(
        ["caddy", "validate", "--config", DEPLOY / "Caddyfile", "--adapter", "caddyfile"],
        env={"SITES": fill_in(SITES, {**ENV, "COLLECTOR_HOSTS": SHOPS}), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def upstream(port: int) -> Iterator[None]:
    """Something that answers 200 there."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_behind_nginx_nobody_notices_that_one_process_after_the_other_is_restarted(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx on PATH")
    door, first, second = free_port(), free_port(), free_port()
    ours = (DEPLOY / "nginx.conf").read_text()
    for old, new in {
        "listen 443 ssl;": f"listen 127.0.0.1:{door};",
        "127.0.0.1:8000": f"127.0.0.1:{first}",
        "127.0.0.1:8001": f"127.0.0.1:{second}",
    }.items():
        assert ours.count(old) == 1
        ours = ours.replace(old, new)
    ours = re.sub(r"\tssl_certificate.*\n", "", ours)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    whole = f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}} http {{ access_log off; {paths}\n{ours} }}"
    (tmp_path / "whole.conf").write_text(whole)

    def statuses() -> set[int]:
        return {httpx.post(f"http://127.0.0.1:{door}/graphql", json={}).status_code for _ in range(4)}

    with subprocess.Popen([nginx, "-c", tmp_path / "whole.conf", "-e", tmp_path / "log"]) as running:
        try:
            wait_until(lambda: running.poll() is not None or is_open(door), "nginx to listen")
            found = []
            for port in (second, first, second):  # the other one is being restarted
                with upstream(port):
                    found.append(statuses())
        finally:
            running.terminate()
    assert found == [{200}, {200}, {200}]


def test_the_names_of_shops_are_those_of_the_proxy_and_of_the_api() -> None:
    # Caddy wants a space after the comma.
    assert fill_in(SITES, ENV) == ENV["PUBLIC_HOST"]
    assert fill_in(SITES, {**ENV, "COLLECTOR_HOSTS": SHOPS}) == f"{ENV['PUBLIC_HOST']}, {SHOPS}"
    assert load_settings({"TRACKLAYER_COLLECTOR_HOSTS": SHOPS}).collector_hosts == tuple(SHOPS.split(", "))
    assert f"between: {SHOPS}" in (DEPLOY / ".env.example").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_setting_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bTRACKLAYER_[A-Z_]+\b", path.read_text()))
    # Kubernetes' own, of a service of our name.
    assert named - {"TRACKLAYER_PORT"} <= {spec.name for spec in SETTINGS}


@pytest.mark.parametrize("kit", KITS)
def test_the_settings_that_a_kit_gives_are_taken(kit: str) -> None:
    starts = list(KITS[kit]())
    assert [start.role for start in starts] == list(ROLES)
    for start in starts:
        settings = load_settings(start.environ)
        assert settings.database_url is not None
        assert settings.redis_url is not None
        assert settings.public_url == "https://tracklayer.example.com"


@pytest.mark.parametrize("kit", KITS)
def test_a_process_has_the_time_to_end_that_it_needs(kit: str) -> None:
    for start in KITS[kit]():
        drain = load_settings(start.environ).drain.total_seconds()
        needed = {"api": drain + 2 * GRACE_SECONDS + BACKLOG_SECONDS, "worker": DRAIN_SECONDS, "scheduler": 5}
        if start.role == "migrate":
            assert start.grace is None
        else:
            assert start.grace is not None
            assert start.grace >= needed[start.role] + 2, start


def test_a_pod_is_taken_out_of_its_service_before_its_drain_is_over() -> None:
    probe = pods()["api"]["containers"][0]["readinessProbe"]
    (api,) = [start for start in KITS["kubernetes"]() if start.role == "api"]
    notices = probe["periodSeconds"] * probe["failureThreshold"]
    assert load_settings(api.environ).drain.total_seconds() > notices


def test_what_a_container_may_do_is_nothing() -> None:
    services = compose()["services"]
    for name in ROLES:
        service = services[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "ports" not in service, name
    assert [name for name in services if "ports" in services[name]] == ["proxy"]
    assert set(pods()) == set(ROLES)
    for name, spec in pods().items():
        assert spec["enableServiceLinks"] is False, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"], name
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
    for name, unit in units().items():
        for key, value in (
            ("DynamicUser", "yes"),
            ("ProtectSystem", "strict"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
        ):
            assert unit[key] == [value], (name, key)


def test_every_role_is_asked_whether_it_lives() -> None:
    for name in ("worker", "scheduler"):
        (start,) = [found for found in KITS["compose"]() if found.role == name]
        port = start.environ["TRACKLAYER_METRICS_PORT"]
        assert f"http://127.0.0.1:{port}/healthz" in compose()["services"][name]["healthcheck"]["test"][-1]
        (pod,) = pods()[name]["containers"]
        (start,) = [found for found in KITS["kubernetes"]() if found.role == name]
        probe = pod["livenessProbe"]["httpGet"]
        assert (probe["path"], probe["port"]) == ("/healthz", "metrics")
        assert {"name": "metrics", "containerPort": int(start.environ["TRACKLAYER_METRICS_PORT"])} in pod["ports"]


def test_what_ends_is_started_again_for_ever() -> None:
    services = compose()["services"]
    for name in ROLES[1:]:
        assert services[name]["restart"] == "unless-stopped"
        needs = services[name]["depends_on"]
        assert needs["migrate"] == {"condition": "service_completed_successfully"}
    for name, unit in units().items():
        if "migrate" in name:
            assert unit["Type"] == ["oneshot"]
        else:
            assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["always"], ["0"]), name


async def test_the_proxies_that_are_named_are_those_whose_word_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the kits say by FORWARDED_ALLOW_IPS, the server that we set up heeds it."""
    for kit in ("compose", "kubernetes"):
        (api,) = [start for start in KITS[kit]() if start.role == "api"]
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", api.environ["FORWARDED_ALLOW_IPS"])
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any, seen: list[Any] = seen) -> None:
            seen.append((scope["client"][0], scope["scheme"]))

        config = config_of(app)
        config.load()
        headers = [(b"x-forwarded-for", b"198.51.100.9, 203.0.113.42"), (b"x-forwarded-proto", b"https")]
        for caller in ("10.1.2.3", "192.0.2.1"):
            scope: Any = {"type": "http", "client": (caller, 1), "scheme": "http", "headers": headers}
            await config.loaded_app(scope, None, None)
        # The last hop that is no proxy of ours; what was before it anybody may have written.
        assert seen == [("203.0.113.42", "https"), ("192.0.2.1", "http")]


def test_compose_passes_on_what_the_runbooks_have_set() -> None:
    """`.env` alone reaches no container."""
    guide = (ROOT / "tracklayer/web/docs/runbooks.md").read_text()
    told = {name for name in re.findall(r"TRACKLAYER_[A-Z_]+", guide) if not name.endswith(("_HOST", "SANDBOX_URL"))}
    assert "TRACKLAYER_ALLOW_NEWER_DATABASE" in told
    for start in KITS["compose"]():
        assert told <= set(start.environ), start.role
    assert "restart worker" not in guide  # the same container once more, with the settings that it had


def test_redis_refuses_when_it_is_full() -> None:
    command = compose()["services"]["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_every_budget_and_service_finds_its_pods() -> None:
    labels = {
        tuple(found["spec"]["template"]["metadata"]["labels"].items())
        for found in manifests()
        if "template" in found.get("spec", {})
    }
    for found in manifests():
        selector: Any = found.get("spec", {}).get("selector")
        if selector is not None:
            assert tuple(selector.get("matchLabels", selector).items()) in labels, found["metadata"]["name"]
    budgets = [found["metadata"]["name"] for found in manifests() if found["kind"] == "PodDisruptionBudget"]
    assert sorted(budgets) == ["tracklayer-api", "tracklayer-scheduler", "tracklayer-worker"]


def test_the_image_has_a_numbered_user_and_no_tools() -> None:
    final = STAGES[-1]
    (user,) = re.findall(r"^USER (.*)$", final, re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    ids = [int(number) for number in user.split(":")]
    for spec in pods().values():
        assert [spec["securityContext"][key] for key in ("runAsUser", "runAsGroup")] == ids
    assert "pip uninstall --yes --root-user-action ignore pip" in final
    assert not re.search(r"apt-get|pip install", final)
    assert "--require-hashes --no-deps --only-binary :all: -r run.lock" in STAGES[0]
    assert re.search(r'^ENTRYPOINT \["tracklayer"\]$', final, re.MULTILINE)
    assert re.search(r'^ +CMD \["python", "-c", "[^"]*"\]$', final, re.MULTILINE)  # of HEALTHCHECK: no shell
    assert "\nSTOPSIGNAL SIGTERM\n" in final


def test_the_containerfile_copies_what_is_there_and_not_ignored() -> None:
    admitted = {
        line[1:] for line in (DEPLOY / "Containerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        word
        for words in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE)
        for word in words.split()[:-1]
    }
    assert copied == admitted
    assert all((ROOT / name).exists() for name in copied)


def test_images_are_names_and_no_hosts() -> None:
    named = [str(service["image"]) for service in compose()["services"].values()]
    named += [container["image"] for spec in pods().values() for container in spec["containers"]]
    named += re.findall(r"^ARG PYTHON=(.*)$", CONTAINERFILE, re.MULTILINE)
    assert not [name for name in named if "/" in name or "." in name.split(":")[0]]


def test_versions_are_this_one() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert kustomization["images"] == [{"name": "tracklayer", "newTag": __version__}]
    assert f"tracklayer:{__version__}}}" in compose()["x-role"]["image"]


def test_every_command_is_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    for start in (start for kit in KITS.values() for start in kit()):
        with pytest.raises(SystemExit) as ended:
            main([*start.args, "--help"])
        assert ended.value.code == 0
    capsys.readouterr()


def test_the_proxy_waits_for_a_request_as_long_as_the_server_does() -> None:
    """Else its caller would never hear what the server says of a body that stalls."""
    found = dict(re.findall(r"(read_header|read_body|idle) ([0-9]+)(?:s|m)\n", (DEPLOY / "Caddyfile").read_text()))
    assert found == {"read_header": str(HEAD_SECONDS), "read_body": str(BODY_SECONDS), "idle": "2"}
