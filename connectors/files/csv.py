"""CSV (RFC 4180), gzipped or not: the first line names the columns.

The separator is the one of `,` `;` tab and `|` that the first line has most of. A row with fewer or more cells than
the first line is dead, as is one that isn't UTF-8. Rows with cells that need their quotes
are read by Python's `csv`, all others by polars.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from connectors.codec.base import Decoded, Reading, Records
from connectors.files.base import FileError, Lines, find, in_file, not_blank, wanted
from connectors.files.columns import Columns
from operators.batch import Schema

_SEPARATORS = ",;\t|"
_LONGEST = 1_000
"""Lines that a quoted cell may go over."""
_BOM = b"\xef\xbb\xbf"


class Csv:
    """A CSV file of readings."""

    def __init__(self, file: Path, reading: Reading, schema: Schema) -> None:
        """Find the columns that the pipeline reads.

        Raises:
            FileError: if they aren't there, or there is no row.
        """
        self._file = file
        self.notes: Sequence[str] = ()
        own = in_file(reading, schema)
        self._columns = Columns(own, typed=False)
        with Lines(file) as lines:
            first = lines.first().removeprefix(_BOM)
            if not lines.first():
                message = f"{file}: has a first line but no rows" if first else f"{file}: is empty"
                raise FileError(message)
            self._lines = lines
        try:
            text = first.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            message = f"{file}: expected UTF-8; convert it, such as with `iconv -f latin1 -t utf-8`"
            raise FileError(message) from None
        self._separator = max(_SEPARATORS, key=text.count)
        cell = rf'(?:"[^"\r\n{self._separator}]*"|[^"\r\n{self._separator}]*)'
        self._needless = rf"^{cell}(?:[{self._separator}]{cell})*\r?\n?$"
        names = [name.strip() for name in next(csv.reader([text], delimiter=self._separator))]
        self._width = len(names)
        self._places = [names.index(name) for name in find(file, names, wanted(own, schema))]

    def progress(self) -> float:
        """Say how much of the file has been read, from 0 to 1."""
        return self._lines.progress()

    def batches(self, size: int) -> Iterator[tuple[Records, Decoded]]:
        """Read the rows."""
        first = 0
        with Lines(self._file) as self._lines:
            self._lines.first()
            while lines := self._lines.take(size):
                rows = not_blank(self._whole(lines) if b'"' in b"".join(lines) else lines)
                if not rows:
                    continue
                bad: dict[int, str] = {}
                frame = self._frame(rows, bad)
                records = Records.numbered(self._file.name, first, len(rows))
                yield records, self._columns.decode(frame, records, bad)
                first += len(rows)

    def _whole(self, lines: Sequence[bytes]) -> list[bytes]:
        """Put the lines together between which a quoted cell goes on."""
        rows = []
        rest = list(lines)[::-1]
        while rest:
            row = rest.pop()
            if row.count(b'"') % 2 and self._is_open(row):
                more: list[bytes] = []
                while len(more) < _LONGEST:
                    following = [rest.pop()] if rest else self._lines.take(1)
                    more += following
                    if not following or (b'"' in more[-1] and more[-1].count(b'"') % 2):
                        break
                if more and more[-1].count(b'"') % 2:
                    row = b"".join([row, *more])
                else:  # never closed: the row alone is dead, not what follows
                    self._lines.put_back([*more, *rest[::-1]])
                    rest = []
            rows.append(row)
        return rows

    def _is_open(self, row: bytes) -> bool:
        """Say whether a quoted cell isn't closed at the end of a row."""
        try:
            next(csv.reader([row.decode("utf-8", "replace")], delimiter=self._separator, strict=True))
        except csv.Error as error:
            return "unexpected end" in str(error)
        return False

    def _frame(self, rows: Sequence[bytes], bad: dict[int, str]) -> pl.DataFrame:
        """Cut rows into cells; those of a dead row are missing."""
        together = b"".join(rows)
        if not together.isascii():
            self._refuse_bytes(rows, bad)
        plain = np.ones(len(rows), np.bool_)
        cells = np.fromiter(map(bytes.count, rows, repeat(self._separator.encode())), np.int64, len(rows)) + 1
        quoted: list[int] = []
        read: list[list[str]] = []
        if b'"' in together:
            # A row whose quotes only stand around whole cells, with nothing in them that needs quotes, is as good as
            # one without.
            utf8 = [b'"' if row in bad else value for row, value in enumerate(rows)] if bad else rows
            texts = pl.Series(utf8, dtype=pl.Binary).cast(pl.String)
            plain = texts.str.contains(self._needless).to_numpy(writable=True)
            quoted = [row for row in np.flatnonzero(~plain).tolist() if row not in bad]
            read = self._read([rows[row].decode() for row in quoted], quoted, bad)
            cells[quoted] = list(map(len, read))
        for row in np.flatnonzero(cells != self._width).tolist():
            many = f"expected {self._width} cells as in the first line, given {cells[row]}"
            bad.setdefault(row, many)
        if bad:
            plain[list(bad)] = False
        if plain.all():
            return self._by_polars(together.replace(b'"', b""))
        return self._spread(rows, plain, quoted, read, bad)

    def _spread(
        self,
        rows: Sequence[bytes],
        plain: NDArray[np.bool_],
        quoted: Sequence[int],
        read: Sequence[Sequence[str]],
        bad: dict[int, str],
    ) -> pl.DataFrame:
        """Put together what was read in two ways; the cells of a dead row are text that fits nothing."""
        by_polars = np.flatnonzero(plain)
        good = [(row, cells) for row, cells in zip(quoted, read, strict=True) if row not in bad]
        columns = {str(index): [cells[place] for _, cells in good] for index, place in enumerate(self._places)}
        parts = [
            self._by_polars(b"".join(map(rows.__getitem__, by_polars.tolist())).replace(b'"', b"")),
            pl.DataFrame(columns, self._types()),
        ]
        parts[1] = parts[1].with_columns(pl.all().replace("", None))
        at = np.concatenate([by_polars, np.array([row for row, _ in good], np.int64)])
        order = np.full(len(rows), -1, np.int64)
        order[at] = np.arange(len(at))
        together = pl.concat(parts)
        return together.select(pl.all().gather(pl.Series(order).set(pl.Series(order < 0), None)))

    def _read(self, texts: Sequence[str], rows: Sequence[int], bad: dict[int, str]) -> list[list[str]]:
        """Cut rows with quotes into cells."""
        try:
            read = list(csv.reader(texts, delimiter=self._separator, strict=True))
        except csv.Error:
            read = []
        if len(read) == len(texts):
            return read
        read = []
        for row, text in zip(rows, texts, strict=True):
            try:
                read.append(next(csv.reader([text], delimiter=self._separator, strict=True)))
            except csv.Error as error:
                bad.setdefault(row, f"can't be decoded: {error}")
                read.append([""] * self._width)
        return read

    def _by_polars(self, rows: bytes) -> pl.DataFrame:
        """Cut rows without quotes into cells."""
        if not rows:
            return pl.DataFrame(schema=self._types())
        every = [str(index) for index in range(self._width)]
        frame = pl.read_csv(
            rows,
            has_header=False,
            schema=dict.fromkeys(every, pl.String),
            separator=self._separator,
            quote_char=None,
        )
        return frame.select(pl.col(every[place]).alias(str(index)) for index, place in enumerate(self._places))

    def _types(self) -> dict[str, type[pl.String]]:
        return {str(index): pl.String for index in range(len(self._places))}

    def _refuse_bytes(self, rows: Sequence[bytes], bad: dict[int, str]) -> None:
        for row, value in enumerate(rows):
            try:
                value.decode()
            except UnicodeDecodeError as error:
                bad[row] = f"can't be decoded: it isn't UTF-8 at byte {error.start + 1}"
