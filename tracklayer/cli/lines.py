"""The lines of a file of JSON, one value a line: plain or compressed, numbered, none of them too long, all of them UTF-8."""

from __future__ import annotations

import gzip
import io
import re
import shlex
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

MOST_BYTES = 4 * 1024 * 1024  # of a line: an event has 256 KiB of JSON, however it is written
_GZIP = b"\x1f\x8b"
FIRST_LINES = 10  # by which a file is known for one that is no text
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # no text has them, and JSON none of them as they are
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

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._file.read1(len(buffer)) if hasattr(self._file, "read1") else self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._has_read(len(piece))
        return len(piece)


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
