"""The rows that `alert` gives of what has happened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators import alert_machine as machine
from operators.alert_title import Title
from operators.base import Inputs
from operators.batch import MISSING_CODE, MISSING_INT, Batch, Column, Schema, Text, missing


class Rows:
    """Makes a row of each event.

    Args:
        inputs: what the operator is built on.
        schema: of the rows to make.
        severities: the levels, from low to high.
        title: of the rows, if they have one.
    """

    def __init__(self, inputs: Inputs, schema: Schema, severities: list[str], title: Title | None) -> None:
        """Note what is the same in every row."""
        self._devices = inputs.devices
        self._device = inputs.schema.device
        self._punctuated = inputs.punctuated
        self._types = inputs.schema.columns
        self._added = [name for name in schema.columns if name not in self._types]
        self._none = Batch.empty(schema.columns)  # what comes out of most small batches
        self._seed = f"{inputs.pipeline}\0{inputs.step}\0".encode().replace(b"%", b"%%") + b"%b\0%d\0%d\0%d"
        self._texts = {"pipeline": inputs.pipeline, "alert": inputs.step}
        self._severities = severities
        self._title = title

    def of(self, batch: Batch, events: NDArray[np.int64]) -> Batch:
        """Make the rows of a batch's events (see `operators.alert_machine`), in their order.

        Where punctuations are wanted, the other rows of the batch go on as such: a window behind must not wait for the next
        alert.
        """
        if not (self._punctuated or len(events)):
            return self._none
        rows = events[:, machine.ROW]
        place = np.arange(len(rows))
        if self._punctuated:
            again = np.diff(rows, prepend=-1) == 0  # a reading that ends a silence may raise an alert too
            place = rows + np.cumsum(again)
            if again.any():
                rows = np.sort(np.concatenate([np.arange(len(batch)), rows[again]]))
                batch = batch.take(rows)
        else:
            batch = batch.take(rows)
        live = np.zeros(len(batch), np.bool_)
        live[place] = True
        ts = batch.ts.copy()
        ts[place] = events[:, machine.AT]
        columns = self._blank(batch.columns, place[~batch.live[place]])
        out = Batch(
            batch.device, ts, batch.watermark, batch.offset, live, {**self._own(batch, events, place), **columns}
        )
        if self._title is None:
            return out
        titles = self._title.texts(self._named(out.take(place), self._title.columns), len(place))
        return out.adding({"title": Text(_spread(np.arange(len(place)), place, len(out), MISSING_CODE), titles)})

    def _named(self, rows: Batch, names: set[str]) -> dict[str, Column]:
        """Give what a title may name of rows."""
        parts = {name: part for part, name in enumerate(self._device)}
        own: dict[str, Column] = {"at": rows.ts}
        for name in names & set(parts):
            own[name] = Text(rows.device.astype(np.int32), self._devices.texts(parts[name]))
        return {name: own[name] if name in own else rows.columns[name] for name in names}

    def _blank(self, columns: Mapping[str, Column], rows: NDArray[np.int64]) -> Mapping[str, Column]:
        """Leave nothing in rows that were no readings."""
        if not len(rows):
            return columns
        blank: dict[str, Column] = {}
        for name, column in columns.items():
            absent = missing(self._types[name], len(rows))
            values = np.array(column.codes if isinstance(column, Text) else column)
            values[rows] = absent.codes if isinstance(absent, Text) else absent
            blank[name] = Text(values, column.values) if isinstance(column, Text) else values
        return blank

    def _own(self, batch: Batch, events: NDArray[np.int64], place: NDArray[np.int64]) -> dict[str, Column]:
        """Make the columns of the alerts themselves, with values at these places."""
        began = [events[:, at].tolist() for at in (machine.BEGAN, machine.FROM, machine.NUMBER)]
        named = map(self._seed.__mod__, zip(self._devices.ids(batch.device[place]).values(), *began, strict=True))
        ids = map(methodcaller("hexdigest"), map(partial(hashlib.blake2b, digest_size=8), named))

        def text(codes: NDArray[np.int64], values: list[str]) -> Text:
            return Text(_spread(codes, place, len(batch), MISSING_CODE), values)

        silent = events[:, machine.REASON] == machine.MISSING
        columns: dict[str, Column] = {
            "alert_id": text(np.arange(len(place)), list(ids)),
            "state": text(events[:, machine.STATE], machine.STATES),
            "severity": text(events[:, machine.LEVEL], self._severities),
            "reason": text(events[:, machine.REASON], machine.REASONS),
            "since": _spread(events[:, machine.BEGAN], place, len(batch), MISSING_INT),
            "count": _spread(
                np.where(silent, MISSING_INT, events[:, machine.READINGS]), place, len(batch), MISSING_INT
            ),
            **{name: text(np.zeros(len(place), np.int64), [value]) for name, value in self._texts.items()},
        }
        if "peak" in self._added:
            peak = np.full(len(batch), np.nan)
            peak[place] = np.where(silent, np.nan, events[:, machine.LARGEST].view(np.float64))
            columns["peak"] = peak
        return {name: columns[name] for name in self._added if name in columns}


def _spread(values: NDArray[np.int64], place: NDArray[np.int64], length: int, absent: int) -> NDArray[Any]:
    """Put values at their places in a longer column that is missing elsewhere: codes of texts, or int."""
    column = np.full(length, absent, np.int32 if absent == MISSING_CODE else np.int64)
    column[place] = values
    return column
