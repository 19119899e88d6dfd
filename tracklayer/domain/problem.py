"""A caller's foreseeable mistake, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and what to do. ``field`` is a snake_case path; ``message`` never quotes a value."""

    field: tuple[str, ...]
    code: str
    message: str

    def under(self, *parents: str) -> Problem:
        return Problem((*parents, *self.field), self.code, self.message)
