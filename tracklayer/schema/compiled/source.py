"""What generated code is made with: lines of Python, and the objects that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import strawberry

MISSING: Any = object()  # a variable or field that was not sent, where null means something else
DEFINITION = "strawberry-definition"  # where Strawberry keeps its own definition of a GraphQL type or field
CONSTANTS = (str, int, float, bool, type(None), type(strawberry.UNSET), Enum)  # what calls may share: unchangeable

MAX_WRITTEN = 64 * 1024  # characters of code: ten times what a dashboard's longest query takes


class Doubt(Exception):
    """The generated code cannot decide: the stock executor must."""


class NotCompiledError(Exception):
    """This operation has something that is not compiled."""


class Source:
    """Lines of Python and the objects that they name."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"Doubt": Doubt, "MISSING": MISSING, "new": object.__new__}
        self.written = 0  # characters of code
        self._count = 0

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def keep(self, prefix: str, value: Any) -> str:
        """A name for an object that the lines use."""
        name = self.fresh(prefix)
        self.names[name] = value
        return name

    def define(self, name: str, parameters: str, lines: Iterable[str]) -> Callable[..., Any]:
        """Compiles a function. Its lines hold names of GraphQL, quoted, and names from here: nothing else was sent.

        Raises NotCompiledError where all of it becomes longer than ``MAX_WRITTEN``: a short document may ask for the
        same long fragment in many places.
        """
        body = "\n".join(f"    {line}" for line in lines)
        self.written += len(body)
        if self.written > MAX_WRITTEN:
            raise NotCompiledError(f"more than {MAX_WRITTEN:,} characters of code")
        exec(compile(f"def {name}({parameters}):\n{body}", "<compiled operation>", "exec"), self.names)  # noqa: S102
        made: Callable[..., Any] = self.names[name]
        return made


def indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
