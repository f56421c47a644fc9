"""The rows of a batch as arrays that an encoder's kernel goes through, a row at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.batch import Batch, Column, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable, split_ids

FLOAT, INT, BOOL, TEXT, ID = range(5)
"""What a cell is: a number, a text, or the part of a device's id."""
_FEW = 16
_KINDS = {Type.FLOAT: FLOAT, Type.INT: INT, Type.TIME: INT, Type.BOOL: BOOL}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as arrays.

    Attributes:
        plan: int64 (columns, 2): of each column in order its kind, and its place in the array of that kind.
        floats: float64 (columns, rows).
        ints: int64 (columns, rows).
        bools: int8 (columns, rows).
        data: uint8: all texts, in UTF-8, and ids as they are.
        begin: int64 (columns, rows): where each text begins.
        size: int64 (columns, rows): its length; -1 where it is missing, or a part of an id isn't known.
    """

    plan: NDArray[np.int64]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]
    bools: NDArray[np.int8]
    data: NDArray[np.uint8]
    begin: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        batch: Batch,
        devices: DeviceTable,
        schema: Schema,
        written: Callable[[str], bytes],
        time: Callable[[NDArray[np.int64]], NDArray[Any]],
    ) -> Rows:
        """Gather the rows of a batch: the device, the time, and the columns, in the order of the schema.

        Args:
            batch: live rows alone.
            devices: names their devices.
            schema: of the rows.
            written: gives the bytes of a text.
            time: gives of times (us) what is written of them, int64 or float64.
        """
        count = len(batch)
        plan: list[tuple[int, int]] = []
        arrays: dict[int, list[NDArray[Any]]] = {FLOAT: [], INT: [], BOOL: []}
        texts: list[Binary] = []

        def add(kind: int, array: NDArray[Any]) -> None:
            plan.append((kind, len(arrays[kind])))
            arrays[kind].append(array)

        for part in split_ids(devices.ids(batch.device).packed(), len(schema.device)):
            plan.append((ID, len(texts)))
            texts.append(part)
        times: Sequence[tuple[Column, Type]] = [] if schema.time is None else [(batch.ts, Type.TIME)]
        for column, type_ in [*times, *((batch.columns[name], type_) for name, type_ in schema.columns.items())]:
            if isinstance(column, Text):
                plan.append((TEXT, len(texts)))
                texts.append(_bytes_of(column, written))
            elif type_ is Type.TIME:
                made = time(column)
                add(FLOAT if made.dtype == np.float64 else INT, made)
            else:
                add(_KINDS[type_], column)
        whole = Binary.concat(texts)  # a row has a device
        return cls(
            np.array(plan, np.int64).reshape(-1, 2),
            np.array(arrays[FLOAT], np.float64).reshape(len(arrays[FLOAT]), count),
            np.array(arrays[INT], np.int64).reshape(len(arrays[INT]), count),
            np.array(arrays[BOOL], np.int8).reshape(len(arrays[BOOL]), count),
            whole.data,
            whole.begin.reshape(len(texts), count),
            whole.size.reshape(len(texts), count),
        )

    def bytes_of_texts(self) -> int:
        """Give how many bytes all texts have."""
        return int(np.maximum(self.size, 0).sum())


def _bytes_of(column: Text, written: Callable[[str], bytes]) -> Binary:
    # To find which texts are used costs more than to write a few that aren't.
    used = column if len(column.values) <= len(column) + _FEW else column.compact()
    table = Binary.of([*map(written, used.values), None])  # code -1 is the last
    return table.take(used.codes)
