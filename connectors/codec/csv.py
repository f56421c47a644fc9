"""CSV (RFC 4180), one or several lines a record, each a reading: read by a kernel, and by Python's `csv` where that leaves a line.

`columns` names the cells in order; with `header: true` the first line of each record does. A line has a cell for each
name. An empty cell is a missing value, quoted or not. Numbers are those that Python's `float` and `int` read, in decimal
notation (`7`, `+7`, `007`, `.5`, `1.`, `1e5`, no `1_000` or `0x1F`); a float may be `nan`, which is missing, or `inf`. A
bool is `true`, `false`, `1` or `0`, in any case. Blanks around these are passed over; text and devices are taken as they
stand.

Lines end with LF, CR LF or CR, and empty ones stand for nothing. A record with a bad line is dead as a whole.

Example:
    format: {csv: {columns: [id, ts, watts, note], separator: ";"}}
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, StrictStr, field_validator, model_validator

from connectors.codec.base import Decoded, Decoder, Format, Reading, Records, merge
from connectors.codec.csv_lines import Lines, cells_of, lines_of
from connectors.codec.csv_scan import CsvScan
from connectors.codec.documents import Documents, decode_each, document
from connectors.codec.split import whole
from operators.base import Problem, unfit
from operators.batch import Type

_SEPARATOR = r"[\t !#$%&()*,/:;<=>?@\[\\\]^`{|}~]"
"""ASCII that stands in no number, word or quotes."""
_Name = Annotated[StrictStr, Field(json_schema_extra={"pattern": r"\S"})]
_BLANKS = " \t"
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NO_DIGITS = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_LONGEST_INT = 40
"""Digits of a number that is looked at as an int; 64 bits have 19."""
_FEW = 8
"""Lines of a record that are read before it is seen whether one of them is bad; then times as many."""
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class Csv(Format):
    """CSV, one or several lines a record, each a reading. It is read, and not written."""

    columns: list[_Name] | None = Field(
        default=None,
        min_length=1,
        json_schema_extra={"uniqueItems": True},
        description="Names of the cells of a line, in order; left out with `header: true`.",
    )
    header: StrictBool = Field(
        default=False, description="Whether each record begins with a line that names its cells."
    )
    separator: StrictStr = Field(
        default=",",
        json_schema_extra={"pattern": f"^{_SEPARATOR}$"},
        description='The character between cells, such as ";" or "\\t".',
    )
    missing: list[StrictStr] = Field(
        default=[], description="Texts that stand for a missing value besides an empty cell."
    )

    @field_validator("columns")
    @classmethod
    def _once(cls, columns: list[str] | None) -> list[str] | None:
        twice = sorted({name for name in columns or () if (columns or []).count(name) > 1})
        if twice:
            expected = f"different names; `{twice[0]}` stands there more than once"
            raise unfit(expected)
        if columns is not None and not all(name.strip() for name in columns):
            expected = "a name for every cell, also for those that aren't read"
            raise unfit(expected)
        return columns

    @field_validator("separator")
    @classmethod
    def _separates(cls, separator: str) -> str:
        if not re.fullmatch(_SEPARATOR, separator):
            expected = "one ASCII character that stands in no number, name or quotes, such as , ; | or a tab"
            raise unfit(expected, fix='write "\\t", in double quotes' if separator in {"\\t", "tab", "TAB"} else None)
        return separator

    @model_validator(mode="after")
    def _one_of_two(self) -> Csv:
        if self.header and self.columns is not None:
            expected = "no `columns` with `header: true`: the header line names them, in any order"
            raise unfit(expected, at="columns", fix="leave one of the two out")
        return self

    def problems(self, reading: Reading) -> Sequence[Problem]:
        """Hold the fields against the columns."""
        columns = self.columns
        if self.header:
            return ()
        if columns is None:
            expected = "`format: {csv: {columns: [NAME, ...]}}`, the names of the cells in order, or `header: true`"
            return [Problem(("format",), expected, "csv without columns")]
        problems = []
        for at, path in reading.places():
            name = ".".join(path)
            if name not in columns:
                close = difflib.get_close_matches(name, columns, 1)
                fix = f"did you mean `{close[0]}`?" if close else None
                if len(path) > 1 and not close:
                    fix = "CSV has no fields in fields: give the name of a column"
                problems.append(Problem(at, f"one of the columns {', '.join(columns)}", f"`{name}`", fix))
        return problems

    def decoder(self, reading: Reading) -> Decoder:
        """Make a decoder."""
        return _Decoder(self, reading)

    def sample(self, reading: Reading) -> Callable[[Mapping[str, Any]], bytes]:
        """Write documents as lines, each with a header line where there is one."""
        read = [".".join(path) for _, path in reading.places()]

        def write(row: Mapping[str, Any]) -> bytes:
            cells = _flat(document(row))
            columns = self.columns or list(dict.fromkeys([*read, *cells]))
            unknown = [name for name in cells if name not in columns]
            if unknown:
                message = f"`{unknown[0]}` isn't one of the columns {', '.join(columns)}"
                raise ValueError(message)
            text = io.StringIO()
            writer = csv.writer(text, delimiter=self.separator)
            if self.header:
                writer.writerow(columns)
            writer.writerow([_cell(name, cells.get(name)) for name in columns])
            return text.getvalue().encode()

        return write


class _Decoder:
    def __init__(self, format_: Csv, reading: Reading) -> None:
        self._reading = reading
        self._separator, self._columns = format_.separator, format_.columns
        self._read = list(dict.fromkeys(".".join(path) for _, path in reading.places()))
        self._missing = frozenset({"", *format_.missing})
        self._scan = CsvScan(reading, format_.separator, format_.missing)

    def decode(self, records: Records) -> Decoded:
        lines = self._lines(records)
        decoded, left = self._scan.scan(lines)
        if len(left):
            needed = self._needed(lines, left)
            left = (np.cumsum(needed) - 1)[left[needed[left]]]
            lines = lines.take(np.flatnonzero(needed))
            decoded = merge(decoded, left, self._of_lines(lines, left))
        return whole(decoded, lines.split)

    def _lines(self, records: Records) -> Lines:
        return lines_of(records, self._separator, self._columns, self._read)

    def _by_document(self, records: Records) -> Decoded:
        lines = self._lines(records)
        return whole(self._of_lines(lines, np.arange(len(lines.kind))), lines.split)

    def _needed(self, lines: Lines, left: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Say which lines to read: of those that the kernel left, in a record that is dead, none far behind a bad one.

        A record may have half a million lines, and to tell what is wrong with each took seconds.
        """
        record = lines.split.record[left]
        nth = np.arange(len(left)) - np.searchsorted(record, record)
        read, few = np.ones(len(left), np.bool_), _FEW
        while nth[read].max() >= few:
            first = np.flatnonzero(read & (nth < few))
            bad = [row for row, _ in self._of_lines(lines, left[first]).dead]
            read &= (nth < few) | ~np.isin(record, record[first[np.array(bad, np.intp)]])
            few *= _FEW
        needed = np.ones(len(lines.kind), np.bool_)
        needed[left[~read]] = False
        return needed

    def _of_lines(self, lines: Lines, rows: NDArray[np.intp]) -> Decoded:
        readings = lines.split.readings.take(rows)
        names = [lines.names[kind] for kind in lines.kind[rows].tolist()]
        cells, bad = decode_each(cells_of, readings.values.to_list(), self._separator)
        for row, (found, wanted) in enumerate(zip(cells, names, strict=True)):
            if len(found) != len(wanted):
                many = f"expected {len(wanted)} cells with {self._separator!r} between them, given {len(found)}"
                bad.setdefault(row, many)
        docs = [dict(zip(wanted, found, strict=False)) for found, wanted in zip(cells, names, strict=True)]
        return _Cells(docs, bad, self._missing).columns(readings, self._reading)


class _Cells(Documents):
    """Documents whose values are all text, and become what they are read as."""

    def __init__(self, docs: Sequence[Any], bad: dict[int, str], missing: frozenset[str]) -> None:
        super().__init__(docs, bad)
        self._missing = missing

    def _pick(self, path: Sequence[str], type_: Type) -> list[Any]:
        values = super()._pick([".".join(path)], type_)
        if type_ is not Type.TEXT:
            values = [None if value is None else value.strip(_BLANKS) for value in values]
        read = _READ[type_]
        return [None if value is None or value in self._missing else read(value) for value in values]


def _float(text: str) -> float | str:
    """Read a number, or give the text that is none."""
    if _NO_DIGITS.fullmatch(text):
        return float(text)
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return text if math.isinf(value) else value


def _number(text: str) -> float | str:
    """Read a whole number as an int, another one as a float."""
    if _WHOLE.fullmatch(text):
        digits = text.lstrip("+-").lstrip("0") or "0"
        if len(digits) <= _LONGEST_INT:
            return -int(digits) if text[0] == "-" else int(digits)
    return _float(text) if _NUMBER.fullmatch(text) else text


def _truth(text: str) -> bool | str:
    """Read a bool, or give the text that is none."""
    return _TRUTHS.get(text.lower(), text)


_READ: Mapping[Type, Callable[[str], Any]] = {
    Type.FLOAT: _float,
    Type.INT: _number,
    Type.TIME: _number,
    Type.BOOL: _truth,
    Type.TEXT: str,
}


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Name values by their paths."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": cell for inner, cell in _flat(value).items()}
        else:
            found[name] = value
    return found


def _cell(name: str, value: object) -> str:
    """Write a value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    message = f"`{name}`: a cell of CSV is text, a number or a bool"
    raise ValueError(message)
