"""The stairs only go down: who may import whom, and who may know a platform by name.

This table is the rule. A room that is not in it fails until it is: where a new one stands is decided once, here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracklayer
from tracklayer.mappers import PLATFORMS

ROOT = Path(tracklayer.__file__).parent
FILES = {
    ".".join(("tracklayer", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}

# room -> what of ours it may import: a room, or one module of a room. The empty name is the package itself.
_DOORS = frozenset({"services", "db", "actors", "runtime", "mappers", "domain", "sealing", "metrics"})
STAIRS: dict[str, frozenset[str]] = {
    "": frozenset(),
    "domain": frozenset({"domain"}),
    "clock": frozenset(),
    "files": frozenset(),
    "loading": frozenset(),
    "settings": frozenset({"loading"}),
    "sealing": frozenset(),
    "tokens": frozenset({"clock"}),
    "platform_client": frozenset(),
    "kept": frozenset(),
    "recent": frozenset(),
    "keyring": frozenset({"clock"}),
    "buckets": frozenset(),
    "counting": frozenset({"domain"}),
    "turns": frozenset(),
    "metrics": frozenset(),
    "tally": frozenset(),
    "request_id": frozenset(),
    "logs": frozenset({"request_id"}),
    "tracing": frozenset({"request_id"}),
    "otel": frozenset({"tracing"}),
    "sandbox": frozenset({"sandbox"}),
    "mappers": frozenset({"mappers", "domain"}),
    "db": frozenset({"db", "domain", "metrics", "loading", "clock", "files"}),
    "runtime": frozenset(
        {
            "settings",
            "clock",
            "sealing",
            "tokens",
            "platform_client",
            "kept",
            "keyring",
            "counting",
            "turns",
            "recent",
            "tally",
            "tracing",
            "db.connection",
        }
    ),
    "services": _DOORS - {"actors"} | {"settings", "clock", "files", "tokens", "turns", "tracing", "tally"},
    "actors": frozenset(
        {
            "actors",
            "services",
            "files",
            "runtime",
            "kept",
            "metrics",
            "settings",
            "db.connection",
            "db.workers",
            "db.schedule",
            "domain.trouble",
        }
    ),
    "schema": _DOORS | {"clock", "schema", "buckets", "request_id", "tracing"},
    "web": _DOORS | {"clock", "files", "web", "buckets"},
    "apart": frozenset({"web", "settings"}),
}
STAIRS["app"] = frozenset(STAIRS)
STAIRS["cli"] = frozenset({*STAIRS, "cli"})
STAIRS["__main__"] = frozenset({"cli"})

SPEAK_SQL = ("db", "sandbox")
MEASURE_SQL = "tracklayer.cli.bench"
_STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT INTO|UPDATE|DELETE FROM)\b\s+\S")
OF_EXTRAS = frozenset({"tracklayer.otel"})  # imported where they are wanted, and nowhere else
KNOW_PLATFORMS = ("mappers", "sandbox")
LOAD_COMMANDS = ("tracklayer.cli", "tracklayer.cli.bench")  # those that are typed, by their names
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def violations(source: str, module: str, modules: frozenset[str], *, is_package: bool = False) -> list[str]:
    """What is wrong in one module's source, a line each. ``modules``: the names of all modules there are."""
    tree = ast.parse(source)
    room = _room(module)
    if room not in STAIRS:
        return [f"{module}: the room {room!r} has no row in STAIRS"]
    found = []
    for line, target in _imports(tree, module, modules, is_package):
        place = target.removeprefix("tracklayer").removeprefix(".")
        if not any(place == open_to or (open_to and place.startswith(f"{open_to}.")) for open_to in STAIRS[room]):
            found.append((line, f"{room or 'the package'} must not import {target}"))
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            inside = (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))
            found.extend((node.lineno, "imports inside a function") for node in inside if not _is_of_extra(node))
    if room not in KNOW_PLATFORMS:
        keys = (node for node in _literals(tree) if str(node.value).casefold() in PLATFORMS)
        found.extend((node.lineno, f"knows the platform {node.value!r} by name") for node in keys)
    if room not in SPEAK_SQL and not module.startswith(MEASURE_SQL):
        statements = (node for node in _literals(tree) if _STATEMENT.match(str(node.value)))
        found.extend((node.lineno, "has a statement of SQL in it") for node in statements)
    if room not in KNOW_PLATFORMS and module not in LOAD_COMMANDS:
        found.extend((node.lineno, "imports by a name made up at run time") for node in _hidden_imports(tree))
    return [f"{module}:{line}: {what}" for line, what in sorted(set(found))]


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imports(tree: ast.AST, module: str, modules: frozenset[str], is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, module of ours) of every import, also of one that is only made for the type checker."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                names = module.split(".")
                above = names[: len(names) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in modules else base for name in inner]
        else:
            continue
        for target in targets:
            if target.split(".")[0] == "tracklayer":
                yield node.lineno, target


def _is_of_extra(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether what is imported needs an extra, which may not be installed."""
    base = [node.module] if isinstance(node, ast.ImportFrom) and node.module != "tracklayer" else []
    prefix = "tracklayer." if isinstance(node, ast.ImportFrom) and not base else ""
    names = base or [f"{prefix}{alias.name}" for alias in node.names]
    return all(name in OF_EXTRAS for name in names)


def _literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """String literals; docstrings and the parts of a longer, formatted string are prose."""
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            prose.update(id(part) for part in node.values)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose.add(id(node.value))  # a docstring
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node


def _hidden_imports(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            if name in ("import_module", "__import__"):
                yield node


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_what_lies_below_it(module: str) -> None:
    path = FILES[module]
    is_package = path.name == "__init__.py"
    assert violations(path.read_text(), module, frozenset(FILES), is_package=is_package) == []


def test_the_table_names_no_room_that_is_gone() -> None:
    rooms = {_room(module) for module in FILES}
    assert set(STAIRS) == rooms
    single = {target for row in STAIRS.values() for target in row if "." in target}
    assert {f"tracklayer.{target}" for target in single} <= set(FILES)


def test_no_two_rooms_are_above_each_other() -> None:
    def below(room: str) -> set[str]:
        direct = {target.split(".")[0] for target in STAIRS[room]} - {room}
        return direct.union(*(below(target) for target in direct))

    assert not [room for room in STAIRS if room in below(room)]


# The checker itself ------------------------------------------------------------------------------------------------

HOUSE = frozenset(
    f"tracklayer.{name}"
    for name in "domain.event mappers mappers.base db db.connection db.events services.deliver actors.sweep runtime "
    "settings clock app cli cli.up schema schema.types sandbox sandbox.app otel".split()
) | {"tracklayer"}


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        pytest.param(
            "domain.event", "import tracklayer.db.events", ["1: domain must not import tracklayer.db.events"], id="import"
        ),
        pytest.param(
            "domain.event", "import orjson, tracklayer.db as db", ["1: domain must not import tracklayer.db"], id="as"
        ),
        pytest.param(
            "domain.event", "import re\nfrom tracklayer.clock import Clock",
            ["2: domain must not import tracklayer.clock"], id="from",
        ),
        pytest.param(
            "mappers.meta", "from tracklayer.db.events import EventRow",
            ["1: mappers must not import tracklayer.db.events"], id="mappers and db never each other",
        ),
        pytest.param(
            "db.events", "from tracklayer.mappers import mapper_for",
            ["1: db must not import tracklayer.mappers"], id="db and mappers never each other",
        ),
        pytest.param(
            "services.deliver", "from tracklayer.actors import sweep",
            ["1: services must not import tracklayer.actors.sweep"], id="services never actors",
        ),
        pytest.param(
            "services.deliver", "from tracklayer import db, cli",
            ["1: services must not import tracklayer.cli"], id="one of two",
        ),
        pytest.param(
            "runtime", "from tracklayer.db import connection, events",
            ["1: runtime must not import tracklayer.db.events"], id="one module of a room",
        ),
        pytest.param(
            "actors.sweep", "from tracklayer.db.events import EventRow",
            ["1: actors must not import tracklayer.db.events"], id="actors and rows",
        ),
        pytest.param(
            "sandbox.app", "from tracklayer.mappers.base import Mapper",
            ["1: sandbox must not import tracklayer.mappers.base"], id="the emulator and a mapper",
        ),
        pytest.param("app", "import tracklayer.cli.up", ["1: app must not import tracklayer.cli.up"], id="app and cli"),
        pytest.param(
            "db.events", "from ..services import deliver",
            ["1: db must not import tracklayer.services.deliver"], id="relative",
        ),
        pytest.param(
            "db.events", "from ..mappers.base import x", ["1: db must not import tracklayer.mappers.base"],
            id="relative, deeper",
        ),
        pytest.param(
            "domain.event", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tracklayer.db",
            ["3: domain must not import tracklayer.db"], id="for the type checker only",
        ),
        pytest.param(
            "services.deliver", "def f():\n    import json\n", ["2: imports inside a function"], id="in a function"
        ),
        pytest.param(
            "services.deliver", "class A:\n    async def f(self):\n        if 1:\n            from tracklayer import db\n",
            ["4: imports inside a function"], id="in a method",
        ),
        pytest.param(
            "domain.event", "def f():\n    from tracklayer import db\n",
            ["2: domain must not import tracklayer.db", "2: imports inside a function"], id="in a function and upward",
        ),
        pytest.param(
            "services.deliver", "import importlib\nimportlib.import_module('tracklayer.actors')",
            ["2: imports by a name made up at run time"], id="in disguise",
        ),
        pytest.param(
            "cli.up", "importlib.import_module('tracklayer.app')", ["1: imports by a name made up at run time"],
            id="one command and another",
        ),
        pytest.param(
            "services.deliver", "if platform == 'meta':\n    pass", ["1: knows the platform 'meta' by name"], id="if"
        ),
        pytest.param(
            "cli.up", "match x:\n    case 'meta':\n        pass", ["2: knows the platform 'meta' by name"], id="case"
        ),
        pytest.param("web.pages", "NAMES = {'META': 1}", ["1: knows the platform 'META' by name"], id="capitals"),
        pytest.param("web.pages", "x = f'meta'", ["1: knows the platform 'meta' by name"], id="formatted alone"),
        pytest.param("schema.types", "x: Literal['meta']", ["1: knows the platform 'meta' by name"], id="a type"),
        pytest.param(
            "services.stitch", "x = 'SELECT a FROM b'", ["1: has a statement of SQL in it"], id="a statement"
        ),
        pytest.param("attic.box", "", ["the room 'attic' has no row in STAIRS"], id="a room nobody placed"),
    ],
)  # fmt: skip
def test_the_checker_catches_a_step_upward(module: str, source: str, expected: list[str]) -> None:
    module = f"tracklayer.{module}"
    separator = ": " if "attic" in module else ":"
    assert violations(source, module, HOUSE) == [f"{module}{separator}{line}" for line in expected]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("domain.event", "import orjson\nfrom tracklayer.domain import normalise", id="its own room"),
        pytest.param("mappers.base", "from tracklayer.domain.event import Event", id="a room below"),
        pytest.param("runtime", "from tracklayer.db import connection", id="the one module"),
        pytest.param("runtime", "from tracklayer.db.connection import connect", id="out of the one module"),
        pytest.param("services.deliver", "from tracklayer.db import events as db", id="under another name"),
        pytest.param("services.stitch", "x = 'Select one of these'", id="words that are no statement"),
        pytest.param("db.events", "x = 'SELECT a FROM b'", id="a statement where they belong"),
        pytest.param("db.events", "from . import connection\nfrom .connection import rows", id="relative"),
        pytest.param("cli.up", "from tracklayer import __version__, app, sandbox", id="the top of the stairs"),
        pytest.param("cli.life", "def f():\n    from tracklayer import otel", id="what needs an extra"),
        pytest.param("web.pages", '"""Of meta."""\ndef f():\n    """meta"""\n    return f"{f}meta"', id="prose"),
        pytest.param("web.pages", "x = 'a pixel of meta'\ny = '/meta'", id="the word in longer strings"),
        pytest.param("mappers.meta", "x = 'meta'", id="a mapper knows its platform"),
        pytest.param("sandbox.app", "x = 'meta'", id="so does the emulator"),
        pytest.param("mappers", "import importlib\nimportlib.import_module('x')", id="mappers are loaded by key"),
        pytest.param("cli", "import importlib\nimportlib.import_module('x')", id="commands are loaded by name"),
        pytest.param("domain.event", "import tracklayerx\nfrom tracklayer_other import db", id="not of ours"),
    ],
)
def test_the_checker_leaves_a_step_downward_alone(module: str, source: str) -> None:
    assert violations(source, f"tracklayer.{module}", HOUSE) == []


def test_a_package_reads_its_relative_imports_from_itself() -> None:
    source = "from .connection import rows\nfrom ..services import deliver"
    assert violations(source, "tracklayer.db", HOUSE, is_package=True) == [
        "tracklayer.db:2: db must not import tracklayer.services.deliver"
    ]
