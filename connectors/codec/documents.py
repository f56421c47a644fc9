"""From decoded documents (dicts, whatever the format) to columns.

Every field is taken as one list and checked by the set of types in it, so a column of good values costs a few calls
whatever its length; only a column with something wrong in it is looked at value by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import repeat
from operator import methodcaller
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from connectors.codec.base import Dead, Decoded, Reading, Records, Unit
from operators.batch import MISSING_BOOL, MISSING_INT, Column, Text, Type
from operators.binary import Binary
from operators.devices import join_id
from operators.duration import format_duration

YEAR_1 = -62_135_596_800_000_000
YEAR_10000 = 253_402_300_800_000_000
_PER_UNIT = {Unit.S: 1_000_000, Unit.MS: 1_000, Unit.US: 1}
_EXACT = 2.0**53
LONGEST_ID = 1_000
"""Characters of a device's name: it is the key of every row, and kept as long as the shard."""
_ADDRESS = re.compile(r" ?(?:from )?<[^<>]* at 0x[0-9a-f]+>")
"""An object as Python shows it: another one at each run."""
_SHOWN = 60
LONGEST_REASON = 500
"""Characters of what a library says: fastavro shows whole schemas."""
_NAMES = {dict: "an object", list: "a list", str: "text", bool: "a bool", int: "a number", float: "a number"}


class Documents:
    """The documents of a batch of records, and what is wrong with some of them.

    Attributes:
        docs: one a record; None where the record couldn't be decoded.
        bad: the row of each record that can't be processed to the first reason found.
    """

    def __init__(self, docs: Sequence[Any], bad: dict[int, str]) -> None:
        """Check that every document is an object."""
        self.docs = docs
        self.bad = bad
        if not set(map(type, docs)) <= {dict}:
            for row, doc in enumerate(docs):
                if type(doc) is not dict and row not in bad:
                    bad[row] = f"expected an object with fields, given {show(doc)}"
            self.docs = [doc if type(doc) is dict else {} for doc in docs]

    def columns(self, records: Records, reading: Reading) -> Decoded:
        """Read the fields; leave out the records for which that fails."""
        device = self._device(records, reading)
        ts = self._time(records, reading)
        columns = {field.name: self._column(".".join(field.path), field.path, field.type) for field in reading.fields}
        decoded = Decoded(Binary.of(device), ts, records.offset, columns, ())
        if not self.bad:
            return decoded
        good = np.ones(len(records), np.bool_)
        good[list(self.bad)] = False
        return replace(decoded.take(good), dead=[Dead(row, reason) for row, reason in sorted(self.bad.items())])

    def items(self, path: Sequence[str]) -> list[list[Any]]:
        """Give the list at a path of each document; an empty one where the record is refused, as it has none."""
        name, lists = ".".join(path), self._pick(path, Type.TEXT)
        for row, found in enumerate(lists):
            if type(found) is not list:
                self._refuse(row, name, "a list of readings", found)
        return [[] if row in self.bad else found for row, found in enumerate(lists)]

    def _pick(self, path: Sequence[str], type_: Type) -> list[Any]:
        """Give the value at a path of each document, None where it is missing.

        Args:
            path: of the value.
            type_: what it is read as, for documents whose values have no types of their own; a device is text.
        """
        del type_
        level = list(map(methodcaller("get", path[0]), self.docs))
        for depth, key in enumerate(path[1:], 1):
            kinds = set(map(type, level))
            if not kinds <= {dict, type(None)}:
                for row, value in enumerate(level):
                    if type(value) is not dict and value is not None:
                        self._refuse(row, ".".join(path[:depth]), "an object", value)
            if kinds != {dict}:
                level = [value if type(value) is dict else {} for value in level]
            level = list(map(methodcaller("get", key), level))
        return level

    def _refuse(self, row: int, name: str, expected: str, given: object) -> None:
        self.bad.setdefault(row, f"field `{name}`: expected {expected}, given {show(given)}")

    def _check(
        self, values: list[Any], name: str, expected: str, fits: Callable[[Any], bool], spare: object
    ) -> list[Any]:
        """Refuse the rows whose value doesn't fit, and put a spare value in its place."""
        checked = []
        for row, value in enumerate(values):
            ok = fits(value)
            if not ok:
                self._refuse(row, name, expected, value)
            checked.append(value if ok else spare)
        return checked

    def _column(self, name: str, path: Sequence[str], type_: Type) -> Column:
        values = self._pick(path, type_)
        kinds = set(map(type, values)) - {type(None)}
        if type_ is Type.FLOAT:
            if not kinds <= {float, int, Decimal} or not _fit_float(values):
                values = self._check(values, name, "a number", _is_float, None)
            return np.array(values, np.float64)
        if type_ is Type.TEXT:
            if not kinds <= {str}:
                values = self._check(values, name, "text", lambda value: value is None or type(value) is str, None)
            return Text.of(values)
        if type_ is Type.BOOL:
            if not kinds <= {bool}:
                values = self._check(
                    values, name, "true or false", lambda value: value is None or type(value) is bool, None
                )
            return np.fromiter(map({True: 1, False: 0, None: MISSING_BOOL}.__getitem__, values), np.int8, len(values))
        if not kinds <= {int} or not _fit_int(values):
            values = self._check(values, name, "a whole number of at most 64 bits", _is_int, None)
        if set(map(type, values)) != {int}:
            values = [MISSING_INT if value is None else int(value) for value in values]
        return np.array(values, np.int64)

    def _device(self, records: Records, reading: Reading) -> Sequence[bytes]:
        if not reading.device:
            keys = records.keys.to_list()
            if not all(keys):
                for row, key in enumerate(keys):
                    if not key:
                        self.bad.setdefault(row, "expected a key that names the device, given a record without a key")
                return [key or b"" for key in keys]
            return [key for key in keys if key]
        parts = [self._part(path) for path in reading.device]
        if len(parts) == 1:
            return list(map(str.encode, parts[0]))
        if any(mark in "".join(part) for part in parts for mark in "/%"):
            return list(map(join_id, zip(*parts, strict=True)))
        return list(map(str.encode, map("/".join, zip(*parts, strict=True))))

    def _part(self, path: tuple[str, ...]) -> list[str]:
        values = self._pick(path, Type.TEXT)
        kinds = set(map(type, values))
        if not kinds <= {str, int} or "" in values:
            expected = "text or a whole number that names the device"
            values = self._check(values, ".".join(path), expected, lambda v: type(v) in {str, int} and v != "", "")
        texts = values if kinds == {str} else list(map(str, values))
        if max(map(len, texts), default=0) > LONGEST_ID:
            expected = f"at most {LONGEST_ID} characters that name the device"
            texts = self._check(texts, ".".join(path), expected, lambda text: len(text) <= LONGEST_ID, "")
        return texts

    def _time(self, records: Records, reading: Reading) -> NDArray[np.int64]:
        if not reading.time:
            if (records.timestamp < 0).any():
                for row in np.flatnonzero(records.timestamp < 0).tolist():
                    self.bad.setdefault(row, "expected a record with a time of its own, given one without")
            return records.timestamp
        name = ".".join(reading.time)
        values = self._pick(reading.time, Type.TIME)
        ts = self._iso(values, name) if reading.unit is Unit.ISO else self._since_epoch(values, name, reading.unit)
        self._refuse_future(ts, values, name, records, reading)
        return ts

    def _since_epoch(self, values: list[Any], name: str, unit: Unit) -> NDArray[np.int64]:
        kinds = set(map(type, values))
        expected = f"a time as a number of {unit.value} since 1970, between the years 1 and 9999"
        low, high = (_in_unit(limit, unit) for limit in (YEAR_1, YEAR_10000))
        fits = kinds <= {int, float} and low <= min(values, default=0) and max(values, default=0) < high
        if not fits or (float in kinds and np.isnan(np.array(values, np.float64)).any()):
            values = self._check(values, name, expected, lambda v: type(v) in {int, float} and low <= v < high, 0)
            kinds = set(map(type, values))
        if kinds <= {int}:
            return _whole(values, unit)
        if kinds <= {float}:
            return _fraction(values, unit)
        # Each in its own way: a time must not depend on how others in the batch are written.
        is_float = np.array([type(value) is float for value in values])
        whole = _whole([0 if type(value) is float else value for value in values], unit)
        return np.where(is_float, _fraction([value if type(value) is float else 0.0 for value in values], unit), whole)

    def _iso(self, values: list[Any], name: str) -> NDArray[np.int64]:
        expected = "a time as in ISO 8601 with an offset, such as 2026-01-31T12:00:00Z"
        if not set(map(type, values)) <= {str}:
            values = self._check(values, name, expected, lambda value: type(value) is str, "")
        series = pl.Series(values, dtype=pl.String).str.strip_chars()
        parsed = series.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False).to_physical()
        us = parsed.fill_null(MISSING_INT).to_numpy()
        wrong = (us < YEAR_1) | (us >= YEAR_10000)
        for row in np.flatnonzero(wrong).tolist():
            self._refuse(row, name, expected, values[row])
        return np.where(wrong, 0, us)

    def _refuse_future(
        self, ts: NDArray[np.int64], values: list[Any], name: str, records: Records, reading: Reading
    ) -> None:
        ahead = ts - records.timestamp
        for row in np.flatnonzero((ahead > reading.future) & (records.timestamp >= 0)).tolist():
            us = int(ahead[row])
            far = format_duration(us - us % 1_000_000 if us >= 1_000_000 else us)
            most = format_duration(reading.future)
            reason = (
                f"field `{name}`: expected a time at most {most} ahead of the record's own, given {show(values[row])}"
            )
            self.bad.setdefault(row, f"{reason}, which is {far} ahead")


def decode_each(
    decode: Callable[..., Any],
    values: Sequence[bytes | None],
    *more: Any,  # passed on
) -> tuple[list[Any], dict[int, str]]:
    """Decode values with a library's function for one value; only if one fails are they tried one by one.

    Args:
        decode: gives a document or raises.
        values: of the records.
        more: further arguments for `decode`.

    Returns:
        The documents, None where there is none, and the reasons by row.
    """
    try:
        return list(map(decode, values, *map(repeat, more))), {}
    except Exception:  # noqa: BLE001  # a decoder may raise anything for hostile bytes; each is looked at below
        docs: list[Any] = []
        bad: dict[int, str] = {}
    for row, value in enumerate(values):
        try:
            docs.append(decode(value, *more))
        except Exception as error:  # noqa: BLE001  # as above
            docs.append({})
            bad[row] = f"can't be decoded: {_line(error)}"
            if not value:  # which Avro takes for a record that has nothing but nulls
                bad[row] = "the record has no value" if value is None else "the record's value is empty"
    return docs, bad


def _whole(values: Sequence[int], unit: Unit) -> NDArray[np.int64]:
    """Turn whole numbers into us, exactly; the years that are allowed hold more ns than 64 bits."""
    if unit is Unit.NS:
        return np.array([value // 1_000 for value in values], np.int64)
    return np.array(values, np.int64) * _PER_UNIT[unit]


def _fraction(values: Sequence[float], unit: Unit) -> NDArray[np.int64]:
    """Turn numbers with a fraction into us, to the nearest."""
    numbers = np.array(values, np.float64)
    return np.rint(numbers / 1_000 if unit is Unit.NS else numbers * _PER_UNIT[unit]).astype(np.int64)


def _line(error: Exception) -> str:
    text = _ADDRESS.sub("", str(error).strip().split("\n", 1)[0])
    return text[:LONGEST_REASON] or type(error).__name__


def _in_unit(us: int, unit: Unit) -> int:
    return us * 1_000 if unit is Unit.NS else us // _PER_UNIT[unit]


def _fit_float(values: list[Any]) -> bool:
    try:
        np.array(values, np.float64)
    except OverflowError:
        return False
    return True


def _is_float(value: object) -> bool:
    if value is None or type(value) in {float, Decimal}:
        return True
    return type(value) is int and abs(value) < 10**300


def _fit_int(values: list[Any]) -> bool:
    present = [value for value in values if value is not None] if None in values else values
    return not present or (min(present) > MISSING_INT and max(present) < -MISSING_INT)


def _is_int(value: object) -> bool:
    if value is None:
        return True
    if type(value) is float:
        return value.is_integer() and abs(value) < _EXACT
    return type(value) is int and abs(value) < -MISSING_INT


def show(value: object) -> str:
    """Tell a value and what it is, cut where it is long."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except RecursionError:
        text = "nested deeply"
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    kind = _NAMES.get(type(value), type(value).__name__)
    return f"{kind}: {text}"


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a test's row as a document, without what stands for the record's own (`Format.test_names`)."""
    return {name: value for name, value in row.items() if not name.startswith("$")}
