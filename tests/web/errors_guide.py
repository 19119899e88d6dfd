"""The tables of the guide to errors, made of the codes themselves: ``python -m tests.web.errors_guide`` renews them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tracklayer import web
from tracklayer.domain.problem import CODES
from tracklayer.schema.errors import codes

GUIDE = Path(web.__file__).parent / "docs" / "errors.md"


def tables() -> list[str]:
    """The guide's first tables, in its order: those of requests and of inputs."""
    requests = ((f"`{code.name}`", str(code.status or 200), code.meaning, code.what_to_do) for code in codes())
    inputs = (
        (f"`{name}`", "taken" if code.is_warning else "refused", code.meaning, code.what_to_do)
        for name, code in CODES.items()
    )
    return [
        table(("code", "status", "what happened", "what you do"), requests),
        table(("code", "the input was", "what is wrong", "what you do"), inputs),
    ]


def tables_in(text: str) -> list[str]:
    return re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)


def renewed(text: str, made: list[str]) -> str:
    """The guide with the tables of today, which are the first of it."""
    for old, new in zip(tables_in(text), made, strict=False):
        text = text.replace(old, new, 1)
    return text


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    GUIDE.write_text(renewed(GUIDE.read_text("utf-8"), tables()), "utf-8")
