"""Rows of any columns, to hold what a kernel writes against what the library does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from operators.batch import MISSING_BOOL, MISSING_INT, Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable, join_id
from tests.connectors.codec.numbers import any_float, edge_float, number

_FLOATS = (0.0, -0.0, 21.25, 0.1 + 0.2, 5e-324, 1e16, 1e-5, math.inf, math.nan)
_WHOLE = (0, -1, MISSING_INT, MISSING_INT + 1, -MISSING_INT - 1)
_TIMES = (0, 1, 999_999, -1, 951_782_399_999_999, 951_782_400_000_000, 1_767_225_600_000_000)
_NAMES = ("a/b", "50%", 'quo"te', "back\\slash", "grün", "tab\t", "/", "\x7f", "\u2028", "😀")
_LETTERS = (0x80, 0x800, 0xD800, 0x10F800)
"""Codes of letters of one byte in UTF-8, of up to two, three and four; without those of UTF-16's halves."""
_DTYPES: Mapping[Type, Any] = {Type.FLOAT: np.float64, Type.INT: np.int64, Type.BOOL: np.int8, Type.TIME: np.int64}


@dataclass(frozen=True)
class Case:
    """Rows, with what they look like and who names their devices."""

    schema: Schema
    batch: Batch
    devices: DeviceTable


class Cases:
    """Draws rows.

    Args:
        random_: draws.
        name: of the columns, with a number behind it.
        far: whether times are of all years from 1 to 9999, or within 200 years of 1970.
    """

    def __init__(self, random_: Random, name: str, *, far: bool) -> None:
        self._random = random_
        self._column = name
        self._years = (-62_135_596_800, 253_402_300_799) if far else (-(10**9), 8 * 10**9)
        self._of: Mapping[Type, Callable[[], Any]] = {
            Type.FLOAT: self._float,
            Type.INT: self._whole,
            Type.BOOL: lambda: random_.choice((0, 1, int(MISSING_BOOL))),
            Type.TEXT: lambda: None if random_.randrange(8) == 0 else self._text(),
            Type.TIME: lambda: MISSING_INT if random_.randrange(8) == 0 else self._time(),
        }

    def drawn(self, count: int) -> Case:
        """Draw so many rows."""
        random_ = self._random
        types = random_.choices(list(self._of), k=random_.randint(0, 5))
        parts = random_.randint(1, 2)
        schema = Schema(
            {f"{self._column}{at}": type_ for at, type_ in enumerate(types)},
            ("device", "site")[:parts],
            random_.choice(("ts", None)),
        )
        columns: dict[str, Column] = {}
        for name, type_ in schema.columns.items():
            values = [self._of[type_]() for _ in range(count)]
            columns[name] = Text.of(values) if type_ is Type.TEXT else np.array(values, _DTYPES[type_])
        ids = [join_id([self._name() for _ in range(parts)]) for _ in range(count)]
        if parts == 1 and random_.random() < 0.5:
            ids[0] = random_.randbytes(random_.randrange(5))  # the key of a record may be any bytes
        devices = DeviceTable(schema.device)
        at = np.array([self._time() for _ in range(count)], np.int64)
        slots = devices.slots(Binary.of(ids))
        return Case(schema, Batch(slots, at, at, np.arange(count), np.ones(count, np.bool_), columns), devices)

    def _float(self) -> float:
        kind = self._random.randrange(5)
        if kind == 4:
            return edge_float(self._random)
        if kind == 0:
            return any_float(self._random)
        if kind == 1:
            return self._random.choice(_FLOATS)
        return (
            float(number(self._random)) if kind == 2 else round(self._random.gauss(20, 50), self._random.randint(0, 9))
        )

    def _whole(self) -> int:
        if self._random.randrange(4) == 0:
            return self._random.choice(_WHOLE)
        return self._random.getrandbits(self._random.randint(1, 63)) * self._random.choice((1, -1))

    def _time(self) -> int:
        if self._random.randrange(4) == 0:
            return self._random.choice(_TIMES)
        return self._random.randint(*self._years) * 1_000_000 + self._random.choice((0, self._random.randrange(10**6)))

    def _text(self) -> str:
        codes = [self._random.randrange(self._random.choice(_LETTERS)) for _ in range(self._random.randrange(9))]
        return "".join(chr(code if code < 0xD800 else code + 0x800) for code in codes)  # none that is half of one

    def _name(self) -> str:
        if self._random.randrange(8) == 0:
            return self._random.choice(_NAMES)
        return "".join(self._random.choices("abc-019", k=self._random.randint(1, 6)))
