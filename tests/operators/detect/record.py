"""The record of a detector, written slowly and obviously: what the oracles of detectors hold `surprise` against."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass


def single(value: float) -> float:
    """Round to 32 bits: a record is kept so."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


@dataclass
class Record:
    """A device's earlier rows, by the bins in which they lay.

    Attributes:
        rows: in each bin.
        weight: of all rows, those that lie in no bin included.
    """

    rows: list[float]
    weight: float = 0.0

    @classmethod
    def of(cls, bins: int) -> Record:
        """Make one without rows."""
        return cls([0.0] * bins)

    def beyond(self, at: int) -> float:
        """Rows in bin `at` or further out."""
        return sum(self.rows[at:])

    def furthest(self, rows: float) -> int | None:
        """The last bin in or beyond which there are so many rows."""
        return next((at for at in reversed(range(len(self.rows))) if self.beyond(at) >= rows), None)

    def surprise(self, position: float) -> float:
        """Minus the decimal logarithm of the share of rows that lie at least as far out."""
        at = min(int(position), len(self.rows) - 1)
        # Whatever is in the last bin may be as far out: it has no end.
        part = 0.0 if at == len(self.rows) - 1 else position - at
        near = self.furthest(5)
        # Within a bin, straight in decades as long as enough rows lie beyond it.
        if near is not None and at < near:
            edges = [-math.log10(self.beyond(edge) / self.weight) for edge in (at, at + 1)]
            return edges[0] + part * (edges[1] - edges[0])
        # And the row that is scored counts too.
        counted = -math.log10((self.beyond(at) - self.rows[at] * part + 1) / (self.weight + 1))
        if near is None:
            return counted
        slope = 0.0
        further = self.furthest(50)
        if further is not None and near < len(self.rows) - 1:
            # The steeper of two lines: to the edge that has five rows behind it, and to the next, that hasn't.
            slopes = [math.log10(self.beyond(further) / 5) / (near + 1 - further), 0.02]
            if near > further:
                slopes.append(math.log10(self.beyond(further) / self.beyond(near)) / (near - further))
            slope = min(max(slopes), 1.0)
        extrapolated = -math.log10(self.beyond(near) / self.weight) + slope * max(position - near, 0.0)
        return max(counted, extrapolated)

    def add(self, position: float) -> None:
        """Put a row on record; one below 0 counts, and lies in no bin."""
        self.weight += 1
        if position >= 0:
            at = min(int(position), len(self.rows) - 1)
            self.rows[at] = single(self.rows[at] + 1)

    def fade(self, share: float) -> None:
        """Keep a share of every row."""
        self.weight *= share
        self.rows = [single(rows * share) for rows in self.rows]
