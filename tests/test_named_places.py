"""What docstrings and comments name of ours is there: ``room.module.name``, ``module.name``, and files as ``room/file.py``.

A word of prose is no such name: it begins with a module of ours that is nothing else in the file that says it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracklayer

HOUSE = Path(tracklayer.__file__).parent
SOURCES = {path: path.read_text("utf-8") for path in sorted(HOUSE.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in SOURCES.items()}
MODULES = {path.relative_to(HOUSE).with_suffix("").parts: path for path in SOURCES if path.name != "__init__.py"}
ROOMS = sorted(path.parent.name for path in HOUSE.glob("*/__init__.py"))
DOTTED = re.compile(r"``([a-z_]\w*(?:\.\w+)+)(?:\(\))?``")
A_FILE = re.compile(rf"(?<![\w/])(?:{'|'.join(ROOMS)})(?:/\w+)+\.py\b")


def names_in(tree: ast.AST) -> Iterator[str]:
    """All that a module defines, at whatever depth: also members, parameters and what it imports."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.arg(arg=name)
            ):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.split(".")[0]


NAMES = {path: frozenset(names_in(tree)) for path, tree in TREES.items()}


def is_module(imported: ast.ImportFrom, alias: ast.alias) -> bool:
    """Whether an import brings a module of ours under its own name."""
    return alias.asname is None and (*(imported.module or "").split(".")[1:], alias.name) in MODULES


def of_modules(name: tuple[str, ...]) -> list[Path]:
    """The modules that a dotted name may mean, with their rooms or without."""
    return [path for module, path in MODULES.items() if module[-len(name) :] == name]


def lost_names(text: str, path: Path) -> list[str]:
    imports = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.ImportFrom)]
    modules = {alias.name for node in imports for alias in node.names if is_module(node, alias)}
    found = []
    for said in DOTTED.findall(text):
        parts = tuple(said.split("."))
        is_of_the_file = parts[0] in NAMES[path] - modules and parts[:2] not in MODULES
        if is_of_the_file or parts[-1] == "py" or of_modules(parts):
            continue
        for length in range(len(parts) - 1, 0, -1):
            meant = of_modules(parts[:length])
            if meant and (length > 1 or "_" in parts[1]):  # no ending of a file has one
                if not any(parts[length] in NAMES[there] for there in meant):
                    found.append(said)
                break
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_what_a_file_names_of_ours_is_there(path: Path) -> None:
    text = SOURCES[path]
    assert lost_names(text, path) == []
    assert [said for said in A_FILE.findall(text) if not (HOUSE / said).exists()] == []


def test_the_check_finds_a_name_that_is_gone_and_leaves_what_may_be_somebody_elses() -> None:
    path = HOUSE / "services" / "ingest.py"  # where ``db`` is a module under another name
    gone = "``db.alerts.keep_leading`` ``personal_data.no_such()`` ``domain.facts.NOT_ONE``"
    assert lost_names(gone, path) == ["db.alerts.keep_leading", "personal_data.no_such", "domain.facts.NOT_ONE"]
    there = "``domain.facts.IDENTIFIERS`` ``db.personal_data`` ``request.state.ending`` ``read_event.py`` ``postmaster.pid`` ``a.b``"
    assert lost_names(there, path) == []
