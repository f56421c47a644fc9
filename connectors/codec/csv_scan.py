"""CSV read straight into columns: the cells that a pipeline reads, and the rest only looked through.

What the kernel takes, it takes as Python's `csv`, `float` and `int` do, to the last bit. What it doesn't take it leaves to
`connectors.codec.documents`, which says what is wrong, if anything is: quotes in quotes, ints of more than 18 digits,
floats of more than 19 or that are subnormal, `nan` and `inf`, a value of another type than the field's, too many cells or
too few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Decoded, Reading
from connectors.codec.csv_kernel import scan
from connectors.codec.csv_lines import Lines
from connectors.codec.number import FIVES, POWERS
from connectors.codec.puts import Puts


class CsvScan:
    """Reads lines of CSV into columns.

    Args:
        reading: what to read; a path is the name of a cell, with its dots.
        separator: between cells, ASCII.
        missing: texts that stand for a missing value, besides the empty one.
    """

    def __init__(self, reading: Reading, separator: str, missing: Sequence[str]) -> None:
        """Note the puts of cells by their names."""
        self._puts = Puts(reading)
        self._at = {".".join(path): put for path, put in self._puts.at.items()}
        self._separator = ord(separator)
        texts = [text.encode() for text in missing]
        self._gone = np.frombuffer(bytearray().join(texts), np.uint8)
        self._gone_ends = np.cumsum(list(map(len, texts)), dtype=np.int64)

    def scan(self, lines: Lines) -> tuple[Decoded, NDArray[np.intp]]:
        """Read lines.

        Returns:
            The rows that were read, and the places of the lines that weren't.
        """
        readings = lines.split.readings
        values, arrays = readings.values, self._puts.arrays(readings)
        cells = np.array([self._at.get(name, -1) for names in lines.names for name in names], np.int64)
        ends = np.cumsum([0, *map(len, lines.names)])
        for puts in self._puts.layers:
            scan(
                values.data, values.begin, values.size, lines.kind, ends, cells, self._separator, self._gone,
                self._gone_ends, POWERS, FIVES, puts, *arrays,
            )  # fmt: skip
        return self._puts.rows(readings, arrays)
