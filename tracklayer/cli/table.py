"""Tables for people: aligned, no wider than the terminal, coloured where there is one. A pipe gets plain text."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

_RED, _YELLOW, _GREEN = "31", "33", "32"
# A cell that is one of these words gets its colour.
_TONES = {
    **dict.fromkeys(("dropped", "held", "critical", "revoked", "no"), _RED),
    **dict.fromkeys(("failed", "paused", "warning", "queued, held", "failed, held"), _YELLOW),
    **dict.fromkeys(("delivered", "active", "acknowledged", "resolved"), _GREEN),
}
_GAP = "  "
_IN_TERMINAL, _IN_PIPE = 48, 300  # columns of a cell: the longest id fits into a pipe's
_QUOTED = 80  # of what was typed, in a sentence
_LEAST, _LEAST_OF_LAST = 12, 24  # that a narrow terminal leaves one, and the last one


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """The last column gets what the others leave; numbers stand on the right of theirs."""
    is_terminal, coloured = sys.stdout.isatty(), has_colours()
    cells = [[title.upper() for title in titles], *([text_of(cell) for cell in row] for row in rows)]
    numeric = [bool(rows) and all(type(row[place]) is int for row in rows) for place in range(len(titles))]
    widths = _widths(cells, shutil.get_terminal_size().columns if is_terminal else None)
    for number, row in enumerate(cells):
        line = []
        for cell, width, is_numeric in zip(row, widths, numeric, strict=True):
            text = shortened(cell, width)
            space = " " * (width - width_of(text))
            text = painted(text, cell) if coloured and number else text
            line.append(space + text if is_numeric else text + space)
        print(_GAP.join(line).rstrip())


def _widths(cells: Sequence[Sequence[str]], available: int | None) -> list[int]:
    """Of the columns. ``available``: columns of the terminal; None: a pipe, where nothing but the longest is cut."""
    widest = _IN_PIPE if available is None else _IN_TERMINAL
    *widths, last = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    widths = [min(width, widest) for width in widths]
    if available is None:
        return [*widths, min(last, _IN_PIPE)]
    left = available - 1 - len(_GAP) * len(widths) - min(last, _LEAST_OF_LAST)
    while widths and sum(widths) > left and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    return [*widths, min(last, max(_LEAST_OF_LAST, available - 1 - len(_GAP) * len(widths) - sum(widths)))]


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """One a line, its name before it; what is None is left out."""
    shown = [(name, text_of(value)) for name, value in fields if value is not None]
    widest = max((len(name) for name, _ in shown), default=0)
    coloured = has_colours()
    for name, text in shown:
        print(f"{name:<{widest}}{_GAP}{painted(text, text) if coloured else text}")


def has_colours() -> bool:
    """Only a terminal, and none where somebody set NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, word: str) -> str:
    tone = _TONES.get(word)
    return f"\x1b[{tone}m{text}\x1b[0m" if tone else text


def text_of(value: object) -> str:
    """On one line, without what a terminal would take for a command. Times are UTC."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def quoted(given: str) -> str:
    """What somebody typed, for a sentence: short, and on one line."""
    return shortened(text_of(given), _QUOTED)


def width_of(text: str) -> int:
    """Columns of a terminal: East Asian letters take two, marks on a letter none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def shortened(text: str, most: int) -> str:
    if width_of(text) <= most:
        return text
    kept, used = [], 1
    for sign in text:
        used += width_of(sign)
        if used > most:
            break
        kept.append(sign)
    return "".join(kept) + "…"
