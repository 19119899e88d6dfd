"""The lines of a file of JSON, one value a line: plain or compressed, numbered, none of them too long, all of them UTF-8."""

from __future__ import annotations

import gzip
import io
import os
import re
import select
import shlex
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, cast

from tracklayer.domain import json_text

MOST_BYTES = 4 * 1024 * 1024  # of a line: an event has 256 KiB of JSON, however it is written
_GZIP = b"\x1f\x8b"
LOOK_MS = 200  # between two looks whether something can be read
FIRST_LINES = 10  # by which a file is known for one that is no text
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # no text has them, and JSON none of them as they are
_NAME = rb'"?[A-Za-z_][\w .-]*"?'
_TITLES = re.compile(rb"%s(?:,%s)+|%s(?:;%s)+|%s(?:\t%s)+" % ((_NAME,) * 6))  # the first line of a table
_BOM = b"\xef\xbb\xbf"
_WIDE = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """``problem``: why it cannot be read, as a sentence."""

    number: int
    content: bytes
    problem: str | None = None

    @property
    def is_blank(self) -> bool:
        return self.problem is None and not self.content.strip()


class NotTextError(Exception):
    """The whole file is in another encoding; in none that is known, where ``encoding`` is None."""

    def __init__(self, number: int, encoding: str | None) -> None:
        super().__init__(encoding)
        self.number = number
        self.encoding = encoding

    def how_to_mend(self, name: str) -> str:
        """A sentence for whoever gave the file of that name."""
        if self.encoding is None:
            return f"line {self.number} is no text: {'what was given' if name == '-' else name} is not a file of JSON lines"
        command = f"iconv -f {self.encoding} -t UTF-8"
        command += " |" if name == "-" else f" {shlex.quote(name)} > utf8.jsonl"
        return f"line {self.number} is {self.encoding}, and JSON is UTF-8: convert it first, by `{command}`"


class NotLinesError(Exception):
    """The file is readable, and in another format than one JSON object a line: ``kind`` says which."""

    def __init__(self, number: int, kind: str, program: str | None) -> None:
        super().__init__(kind)
        self._number = number
        self._kind = kind
        self._program = program

    def how_to_mend(self, name: str) -> str:
        """A sentence for whoever gave the file of that name."""
        said = f"line {self._number}: this is {self._kind}, and JSONL is wanted, one JSON object a line"
        if self._program is None:
            return said
        command = f"{self._program} |" if name == "-" else f"{self._program} {shlex.quote(name)} > events.jsonl"
        return f"{said}: convert it first, by `{command}`"


def of_objects(lines: Iterator[Line]) -> Iterator[Line]:
    """The lines of a file, from its first, as they are. Where that is no JSON object, the first ten show whether another is.

    Raises NotLinesError where none is, and they are known for another format; what is not known is somebody's broken JSONL.
    """
    for first in lines:
        if first.is_blank:
            continue
        if not isinstance(_json_of(first.content), dict):
            looked_at = [first, *islice(lines, FIRST_LINES - 1)]
            _refuse_another_format([line for line in looked_at if not line.is_blank])
            yield from looked_at
        else:
            yield first
        break
    yield from lines


def read_line(content: bytes) -> Any:
    """The JSON of a line. Raises ValueError, which says in which column it is none, and why, and quotes nothing of it."""
    try:
        return json_text.read_json(content.rstrip())  # long numbers as they were written
    except ValueError as error:
        raise ValueError(str(error).removeprefix("line 1, ").removeprefix("line 1: ")) from None


def _json_of(content: bytes) -> Any:
    try:
        return read_line(content)
    except ValueError:
        return None


def _refuse_another_format(lines: Sequence[Line]) -> None:
    """``lines``: those that are not blank, of which the first is no object."""
    number, found = lines[0].number, [line.content.strip(b" \r\n") for line in lines]
    first = found[0]
    if first != b"[" and first != b"{" and any(isinstance(_json_of(one), dict) for one in found):
        return
    if first.startswith(b"["):
        raise NotLinesError(number, "a JSON array", "jq -c '.[]'")
    if first == b"{" or (first.startswith(b"{") and first[-1:] in b"{[,:" and len(found) > 1):
        raise NotLinesError(number, "JSON over several lines", "jq -c .")
    if _TITLES.fullmatch(first) or any(_is_table(found, separator) for separator in b",;\t"):
        raise NotLinesError(number, "CSV", None)


def _is_table(found: Sequence[bytes], separator: int) -> bool:
    """Whether several lines have as many of a separator, and none of them anything of JSON."""
    counts = {one.count(separator) for one in found}
    return len(found) > 1 and len(counts) == 1 and 0 not in counts and not any(b"{" in one for one in found)


def lines_of(file: BinaryIO, has_read: Callable[[int], object] = lambda size: None) -> Iterator[Line]:
    """``has_read`` is told of each piece of the file, in bytes as they lie there.

    Raises NotTextError; OSError or EOFError where compressed content is damaged or ends too soon.
    """
    counted = _Counted(file, has_read)
    source: io.BufferedIOBase = io.BufferedReader(counted, 256 * 1024)
    if cast(io.BufferedReader, source).peek(2)[:2] == _GZIP:
        source = gzip.GzipFile(fileobj=cast(BinaryIO, source))
    number = 0
    while True:
        try:
            content = source.readline(MOST_BYTES + 1)
        except zlib.error as error:
            raise OSError(f"its compressed content is damaged ({error})") from None
        if not content:
            return
        number += 1
        if len(content) > MOST_BYTES:
            while content and not content.endswith(b"\n"):
                content = source.readline(MOST_BYTES)
            yield Line(number, b"", f"This line has more than {MOST_BYTES:,} bytes.")
            continue
        yield _checked(number, content)


class _Counted(io.RawIOBase):
    """The file, and how much of it was read."""

    def __init__(self, file: BinaryIO, has_read: Callable[[int], object]) -> None:
        self._file = file
        self._has_read = has_read
        self._looking = _looking_at(file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        # A signal that comes right before a read is heeded when that has ended: a read is begun where it ends at once.
        while self._looking is not None and not self._looking.poll(LOOK_MS):
            pass
        piece = self._file.read1(len(buffer)) if hasattr(self._file, "read1") else self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._has_read(len(piece))
        return len(piece)


def _looking_at(file: BinaryIO) -> Any:
    """Of a pipe or a terminal, what tells that something can be read; None of what always can."""
    try:
        descriptor = file.fileno()
    except (AttributeError, OSError):  # in memory
        return None
    if not hasattr(select, "poll") or stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    looking = select.poll()
    looking.register(descriptor, select.POLLIN)
    return looking


def _checked(number: int, content: bytes) -> Line:
    """A line that is UTF-8, without the byte order mark that some programs begin a file, or each part of it, with."""
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
    if number == 1:
        for mark, encoding in _WIDE:
            if content.startswith(mark):
                raise NotTextError(number, encoding)
        zeros = content[:4].count(0)  # JSON begins with ASCII, of which UTF-16 makes every other byte zero
        if zeros:
            big = content[:1] == b"\0"
            raise NotTextError(number, f"UTF-{32 if zeros == 3 else 16}{'BE' if big else 'LE'}")
    if content.isascii():
        return Line(number, content)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        if number <= FIRST_LINES and _CONTROL.search(content):
            raise NotTextError(number, None) from None
        where = f"byte 0x{content[error.start]:02X} at {error.start + 1:,}"
        sentence = (
            f"This line is not UTF-8 ({where}), but Latin-1 or Windows-1252, it seems: convert the file first, by "
            "`iconv -f WINDOWS-1252 -t UTF-8`."
        )
        return Line(number, b"", sentence)
    return Line(number, content)
