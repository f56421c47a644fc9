"""What reading a file has in common, whatever its format: finding the columns, and the lines of text files."""

from __future__ import annotations

import difflib
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Protocol

from typing_extensions import Self

from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from operators.batch import Schema

GZIP = b"\x1f\x8b"


class FileError(ValueError):
    """A file that can't be read as the pipeline wants it. Its text says what is wrong and what to do."""


class Table(Protocol):
    """A file of readings: a row each, numbered from 0 in the order of the file."""

    @property
    def notes(self) -> Sequence[str]:
        """Say what looks odd about the file, though it can be read."""
        ...

    def batches(self, size: int) -> Iterator[tuple[Records, Decoded]]:
        """Read the rows from the first to the last, about `size` at a time.

        Yields:
            The rows as records without values, so that each has an offset, its number; and what was decoded of them.

        Raises:
            FileError: if the file can't be read any further.
        """
        ...

    def progress(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        ...


def in_file(reading: Reading, schema: Schema) -> Reading:
    """Say what is read of a file's row, which has no key, no headers and no time of its own: all are columns.

    A number in place of the record's own time is in ms, as in Kafka.
    """
    fields = [*reading.fields, *(FieldPath(field.name, (field.name,), field.type) for field in reading.headers)]
    device = reading.device or tuple((name,) for name in schema.device)
    own = replace(reading, fields=tuple(fields), device=device, headers=(), device_header="")
    return own if own.time else replace(own, time=(schema.time or "ts",), unit=Unit.MS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column that the pipeline reads.

    Attributes:
        what: for the error.
        names: under which it may stand in the file; the first that is there counts.
    """

    what: str
    names: tuple[str, ...]


def wanted(reading: Reading, schema: Schema) -> list[Wanted]:
    """List the columns to find: the parts of the device, the time, then the fields.

    A column is named by the path of its field (`data.temp`), or as in the pipeline (`temp`).
    """
    found = [
        Wanted(f"the device, `{name}`", (".".join(path), name))
        for path, name in zip(reading.device, schema.device, strict=True)
    ]
    found.append(Wanted(f"the event time, `{schema.time}`", (".".join(reading.time), schema.time or "ts")))
    found += [Wanted(f"the field `{field.name}`", (".".join(field.path), field.name)) for field in reading.fields]
    return found


def find(file: Path, columns: Iterable[str], search: Iterable[Wanted]) -> list[str]:
    """Find the name in the file of every column that is wanted.

    Raises:
        FileError: that tells all that are missing, and the columns that there are.
    """
    columns = list(columns)
    found, missing = [], []
    for column in search:
        there = [name for name in column.names if name in columns]
        found += there[:1]
        if there and columns.count(there[0]) > 1:
            missing.append(f"    {column.what}: the column `{there[0]}` stands there more than once")
        if not there:
            names = " or ".join(f"`{name}`" for name in dict.fromkeys(column.names))
            missing.append(f"    {column.what}: no column {names}{_meant(column.names, columns)}")
    if missing:
        fix = "rename the columns in the file, or the fields in the pipeline's source"
        if any(map(_is_number, columns)):
            fix = "put the names of the columns into the first line; it looks like a row"
        lines = [*missing, f"    its columns: {_listed(columns)}", f"    fix: {fix}"]
        message = "\n".join([f"{file}: columns that the pipeline reads aren't there", *lines])
        raise FileError(message)
    return found


def _meant(names: Iterable[str], columns: Iterable[str]) -> str:
    lower: Mapping[str, str] = {column.lower(): column for column in columns}
    for name in names:
        close = difflib.get_close_matches(name.lower(), lower, 1)
        if close:
            return f"; did you mean `{lower[close[0]]}`?"
    return ""


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _listed(columns: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in columns[:40])
    return f"{shown} and {len(columns) - 40} more" if len(columns) > 40 else shown


class Lines:
    """The lines of a text file, gzipped or not, each with its line break."""

    def __init__(self, file: Path) -> None:
        """Open the file.

        Raises:
            FileError: if it can't be read, is empty, or isn't text.
        """
        self._file = file
        self._size = max(file.stat().st_size, 1)
        self._raw = file.open("rb")
        self._ahead: list[bytes] = []
        try:
            self._lines = self._unpacked()
        except FileError:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        """Use the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._raw.close()

    def _unpacked(self) -> IO[bytes]:
        file, head = self._file, self._raw.peek(4)[:4]
        if head.startswith(b"PAR1"):
            message = f"{file}: expected lines of text, given Parquet: name it .parquet"
            raise FileError(message)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = f"{file}: expected UTF-8, given UTF-16: save it as UTF-8"
            raise FileError(message)
        if head.startswith(GZIP):
            # Buffered once more: a line would else be a call of Python code.
            return io.BufferedReader(gzip.GzipFile(fileobj=self._raw), 1 << 16)
        return self._raw

    def progress(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return 1.0 if self._raw.closed else self._raw.tell() / self._size

    def take(self, count: int) -> list[bytes]:
        """Give the next lines, `count` of them or what there is.

        Raises:
            FileError: if the file can't be read any further.
        """
        found, self._ahead = self._ahead[:count], self._ahead[count:]
        try:
            found += islice(self._lines, count - len(found))
        except (OSError, EOFError, zlib.error) as error:
            message = f"{self._file}: can't be read to its end: {error}"
            raise FileError(message) from None
        return found

    def first(self) -> bytes:
        """Give the next line that isn't blank; nothing at the end."""
        while found := self.take(1):
            if found[0].strip():
                return found[0]
        return b""

    def put_back(self, lines: list[bytes]) -> None:
        """Give lines back that are to be taken again."""
        self._ahead = lines + self._ahead


def not_blank(lines: list[bytes]) -> list[bytes]:
    """Leave out blank lines, which stand for no row."""
    return lines if all(map(bytes.strip, lines)) else [line for line in lines if line.strip()]
