"""Records that hold several readings each: what a format splits them into, and how rows of readings become a record's again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Dead, Decoded, Records


class Split(NamedTuple):
    """Records taken apart.

    Attributes:
        readings: what each holds, in order, as records of their own: key, time and offset are those of the record.
        record: intp, never falling, the place of the record that each reading stands in. A record without readings has none.
        dead: places of records that couldn't be taken apart, and why. None of their readings is among the others.
    """

    readings: Records
    record: NDArray[np.intp]
    dead: Mapping[int, str]


def whole(decoded: Decoded, split: Split) -> Decoded:
    """Take the rows of readings as those of their records: one with a reading that can't be processed is dead as a whole.

    So a dead letter, which is the record as it came, can be mended and sent again without what was good in it being counted
    twice.

    Args:
        decoded: what was made of `split.readings`.
        split: the records taken apart.

    Returns:
        The rows; the dead are places of records.
    """
    dead = dict(split.dead)
    for row, reason in decoded.dead:
        record = split.record[row]
        first = int(np.searchsorted(split.record, record))
        dead.setdefault(int(record), f"reading {row - first}: {reason}")
    letters = [Dead(row, reason) for row, reason in sorted(dead.items())]
    if not decoded.dead:
        return replace(decoded, dead=letters)
    of_row = np.delete(split.record, [row for row, _ in decoded.dead])
    kept = np.flatnonzero(~np.isin(of_row, list(dead)))
    return replace(decoded.take(kept), dead=letters)


def beside(decoded: Decoded, kept: NDArray[np.bool_], left: NDArray[np.intp], rest: Decoded) -> Decoded:
    """Put rows together that two ways of decoding made of records of several readings, each record by one of them alone.

    Args:
        decoded: what the first way made, without dead records.
        kept: which of its rows are of records that it has read whole.
        left: the places of the others, in order.
        rest: what the second way made of these.
    """
    rows = Decoded.concat([decoded.take(kept), rest])
    dead = [Dead(int(left[row]), reason) for row, reason in rest.dead]
    return replace(rows.take(np.argsort(rows.offset, kind="stable")), dead=dead)
