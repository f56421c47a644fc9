"""SenML read straight into columns: the records of packs as other JSON is, then base values, names and times for whole columns.

What it takes is what `connectors.codec.senml` makes of documents. It leaves packs that aren't valid, those in which `null` or
`_"` stands anywhere (a field may be null, or have to be understood), and all where a pipeline reads fields in other types than
they have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Decoded, FieldPath, Reading, Records, Unit
from connectors.codec.documents import LONGEST_ID, YEAR_1, YEAR_10000
from connectors.codec.json_items import JsonItems
from connectors.codec.json_kernel import skip_space
from connectors.codec.json_scan import JsonScan
from operators.batch import Column, Text, Type, take_rows
from operators.binary import Binary
from operators.devices import join_ids
from operators.kernel import kernel

VERSION = 10
"""Of RFC 8428."""
RELATIVE = 2.0**28
"""A resolved time below is relative, s."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
"""What a whole name may be."""
_NUMBERS = ("bt", "bv", "bs", "bver", "v", "s", "t", "ut")
_TEXTS = ("bn", "bu", "n", "u", "vs", "vd")
_TYPES = {**dict.fromkeys(_NUMBERS, Type.FLOAT), **dict.fromkeys(_TEXTS, Type.TEXT), "vb": Type.BOOL}
_READ = {name: _TYPES[name] for name in ("n", "bn", "u", "v", "vs", "vb", "vd", "s", "t", "ut")}
"""What a measurement has, of SenML's own."""
_DEVICE = {("n",), ("bn",), ("u",)}
_BASES = ("bn", "bt", "bu", "bv", "bs", "bver")
_KEY = Binary(np.zeros(1, np.uint8), np.zeros(1, np.int64), np.ones(1, np.int64))


class SenmlScan:
    """Reads packs of SenML into columns.

    Args:
        reading: what to read; it `fits`.
    """

    def __init__(self, reading: Reading) -> None:
        """Read all of SenML's fields, whatever is wanted of them, and the others that are."""
        self._reading = reading
        own = [FieldPath(f".{name}", (name,), type_) for name, type_ in _TYPES.items()]
        others = [field for field in reading.fields if field.path[0] not in _TYPES]
        self._items = JsonItems(())
        self._scan = JsonScan(Reading((*own, *others), (), (), Unit.US, 0))

    @staticmethod
    def fits(reading: Reading) -> bool:
        """Say whether fields, device and time are read as what they are."""
        own = [field for field in reading.fields if field.path[0] in _TYPES]
        return (
            all(_READ.get(field.path[0]) is field.type and len(field.path) == 1 for field in own)
            and set(reading.device) <= _DEVICE
            and (not reading.time or (reading.time == ("t",) and reading.unit is Unit.S))
        )

    def scan(self, records: Records) -> tuple[Decoded, NDArray[np.intp]]:
        """Read packs.

        Returns:
            The rows that were read, and the places of the packs that weren't; there are no rows of these.
        """
        values = records.values
        items = self._items.find(values)
        left = items.count < 0
        _note_odd(values.data, values.begin, values.size, items.lists, left)
        of = np.repeat(np.arange(len(records)), np.maximum(items.count, 0))
        spans = Binary(values.data, items.begin, items.end - items.begin)
        every = np.zeros(len(of), np.int64)
        decoded, wrong = self._scan.scan(
            replace(records.take(of), values=spans, keys=_KEY.take(every), timestamp=every)
        )
        left[of[wrong]] = True
        read = np.delete(np.arange(len(of)), wrong)
        rows = np.flatnonzero(~left[of[read]])
        columns = {name: take_rows(column, rows) for name, column in decoded.columns.items()}
        return self._rows(records, of[read[rows]], columns, spans.take(read[rows]), left)

    def _rows(
        self,
        records: Records,
        pack: NDArray[np.intp],
        columns: Mapping[str, Column],
        spans: Binary,
        left: NDArray[np.bool_],
    ) -> tuple[Decoded, NDArray[np.intp]]:
        """Make rows of what was read, each of a place in a pack; `left` says which packs aren't taken, and is added to."""
        now = records.timestamp[pack]
        pieces = _Pieces.of(columns, pack, now)
        good = pieces.valid(spans)
        ts, in_time = self._time(pieces.numbers["t"], now)
        whole = records.take(pack)
        device, named = whole.keys, whole.keys.size > 0
        if self._reading.device:
            parts = [pieces.texts[path[0]] for path in self._reading.device]
            device = join_ids([_ids(part) for part in parts])
            named = device.size > 0
        good &= ~pieces.measured | (in_time & named)
        left[pack[~good]] = True
        rows = np.flatnonzero(pieces.measured & ~left[pack])
        made: dict[str, Column] = {}
        for field in self._reading.fields:
            name = field.path[0]
            made[field.name] = take_rows(pieces.column(name) if name in _READ else columns[field.name], rows)
        return Decoded(device.take(rows), ts[rows], whole.offset[rows], made, ()), np.flatnonzero(left)

    def _time(
        self, seconds: NDArray[np.float64], now: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Give event times, us, and whether they may be."""
        if not self._reading.time:
            return now, now >= 0
        fits = (seconds >= YEAR_1 // 1_000_000) & (seconds < YEAR_10000 // 1_000_000)
        ts = np.rint(np.where(fits, seconds, 0) * 1_000_000).astype(np.int64)
        return ts, fits & ((now < 0) | (ts - now <= self._reading.future))


class _Pieces(NamedTuple):
    """Records of SenML, with base values resolved.

    Attributes:
        measured: bool, whether each has more than base values.
        sound: bool, whether one that is measured has a name, a value, and a time that isn't relative to nothing.
        bare: int64, how many base values each has.
        version: float64, NaN where it says none.
        numbers: float64, by name.
        texts: by name.
        bools: int8, by name.
    """

    measured: NDArray[np.bool_]
    sound: NDArray[np.bool_]
    bare: NDArray[np.int64]
    version: NDArray[np.float64]
    numbers: Mapping[str, NDArray[np.float64]]
    texts: Mapping[str, Text]
    bools: Mapping[str, NDArray[np.int8]]

    @classmethod
    def of(cls, columns: Mapping[str, Column], pack: NDArray[np.intp], now: NDArray[np.int64]) -> _Pieces:
        """Resolve records.

        Args:
            columns: what stands in each, by `.` and the name.
            pack: the pack that each is of, never falling.
            now: the time of its pack, us; negative where it has none.
        """
        number: dict[str, Any] = {name: columns[f".{name}"] for name in _NUMBERS}
        text: dict[str, Any] = {name: columns[f".{name}"] for name in _TEXTS}
        truth: Any = columns[".vb"]
        there = {name: ~np.isnan(column) for name, column in number.items()}
        there |= {name: column.codes >= 0 for name, column in text.items()}
        there["vb"] = truth >= 0
        measured = np.logical_or.reduce([there[name] for name in _TYPES if name not in _BASES])
        bare = np.sum([there[name] for name in _BASES], axis=0)
        bases = np.array([number[name] for name in ("bt", "bv", "bs")])
        codes = np.array([text[name].codes for name in ("bn", "bu")])
        _carry(pack, bases, codes)
        base_name, names, named = _names(Text(codes[0], text["bn"].values), text["n"])
        others = there["vs"].astype(np.int64) + there["vb"] + there["vd"]
        with np.errstate(over="ignore"):
            alone = ~np.isnan(bases[1]) & (others == 0)
            v = np.where(alone, bases[1] + _or_zero(number["v"]), number["v"])
            s = np.where(there["s"] | ~np.isnan(bases[2]), _or_zero(bases[2]) + _or_zero(number["s"]), np.nan)
            t = _or_zero(bases[0]) + _or_zero(number["t"])
            relative = t < RELATIVE
            t = np.where(relative, t + now / 1_000_000, t)
        count = others + (there["v"] | alone)
        sound = named & ((count == 1) | ((count == 0) & ~np.isnan(s))) & ~(relative & (now < 0))
        size = len(text["u"].values)
        unit = np.where(there["u"], text["u"].codes, np.where(codes[1] >= 0, codes[1] + size, -1))
        units = _text([*text["u"].values, *text["bu"].values], unit)
        texts = {"n": names, "bn": base_name, "u": units, "vs": text["vs"], "vd": text["vd"]}
        numbers = {"v": v, "s": s, "t": t, "ut": number["ut"]}
        return cls(measured, sound, bare, number["bver"], numbers, texts, {"vb": truth})

    def valid(self, spans: Binary) -> NDArray[np.bool_]:
        """Say of each whether it is valid, or has base values and nothing else; `spans` says where they stand."""
        good = self.sound & ~(self.version > VERSION)
        base = np.flatnonzero(~self.measured)
        keys = np.empty(len(base), np.int64)
        _count_keys(spans.data, spans.begin[base], spans.size[base], keys)
        good[base] = (keys == self.bare[base]) & (keys > 0) & ~(self.version[base] > VERSION)
        return good

    def column(self, name: str) -> Column:
        """Give what all have of a name."""
        return (
            self.texts[name] if name in self.texts else self.bools[name] if name in self.bools else self.numbers[name]
        )


def _names(base: Text, own: Text) -> tuple[Text, Text, NDArray[np.bool_]]:
    """Give base names, an empty one where there is none, and whole names, and whether these may be."""
    bases, owns = [*base.values, ""], [*own.values, ""]
    pairs = np.where(base.codes < 0, len(base.values), base.codes).astype(np.int64) * len(owns)
    pairs += np.where(own.codes < 0, len(own.values), own.codes)
    met, which = np.unique(pairs, return_inverse=True)
    parts = [(bases[pair // len(owns)], owns[pair % len(owns)]) for pair in met.tolist()]
    # One that is too long isn't made: there may be many, of a long base name.
    names = [base + own if len(base) + len(own) <= LONGEST_ID else "" for base, own in parts]
    good = np.array([NAME.fullmatch(name) is not None for name in names], np.bool_)
    return _text(bases, base.codes % len(bases)), _text(names, which), good[which]


def _text(values: Sequence[str], codes: NDArray[Any]) -> Text:
    """Make a column of codes of values, of which some may be the same; -1 where missing."""
    table: dict[str, int] = {}
    index = np.array([*(table.setdefault(value, len(table)) for value in values), -1], np.int32)
    return Text(index[codes], list(table))


def _ids(column: Text) -> Binary:
    """Give texts as parts of a device's id; missing where they can't be such."""
    texts = [text.encode() if 0 < len(text) <= LONGEST_ID else None for text in column.values]
    return Binary.of([*texts, None]).take(column.codes)


def _or_zero(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(numbers), 0.0, numbers)


@kernel
def _carry(pack, numbers, codes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Carry base values on to the records behind in the same pack."""
    for row in range(1, len(pack)):
        if pack[row] == pack[row - 1]:
            for which in range(len(numbers)):
                if np.isnan(numbers[which, row]):
                    numbers[which, row] = numbers[which, row - 1]
            for which in range(len(codes)):
                if codes[which, row] < 0:
                    codes[which, row] = codes[which, row - 1]


@kernel
def _note_odd(data, begin, size, lists, odd):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Note the packs with `null` or `_"` in them, or something behind the list."""
    for row in range(len(begin)):
        end = begin[row] + size[row]
        if odd[row]:
            continue
        found = skip_space(data, lists[row, 1], end) != end
        for at in range(begin[row] + 3, end):
            found |= (data[at] == 34) & (data[at - 1] == 95)
            found |= (data[at - 3] == 110) & (data[at - 2] == 117) & (data[at - 1] == 108) & (data[at] == 108)
        odd[row] = found


@kernel
def _count_keys(data, begin, size, keys):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Count the keys of objects, of those within them too: colons that aren't in strings."""
    for row in range(len(begin)):
        count, within = 0, False
        for at in range(begin[row], begin[row] + size[row]):
            within ^= data[at] == 34
            count += (data[at] == 58) & (not within)
        keys[row] = count
