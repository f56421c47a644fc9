"""A shift of level: the recent mean of a value has left its long-run mean, by more than the device's own history allows.

Each row compares two exponentially weighted means of the device's values, a fast and a slow one, in units of the
device's usual deviation from the slow one. How odd a difference is, the device's own history says: a decayed histogram
of its earlier differences gives the share of rows that differed at least as much, and `score` is minus the decimal
logarithm of that share. Beyond the largest differences on record the share is extrapolated as a power law. So one
threshold fits every device, and a device that wanders always is allowed to wander.

Up to `warmup` values of a device `score` is 0. A missing value, or one beyond 1e150, scores 0 and changes nothing. Rows
count, not time: irregular sampling is taken as it comes.

Take `zscore` instead for single values that stand out, and for an answer after 20 values of a device; `range` where fixed
limits are known.

References:
    The means: S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1(3), 1959.

Example:
    steps:
      - detect: {level_shift: {field: humidity}}
      - alert: {raise: score > 3, clear: score < 1}
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Inputs, Snapshot
from operators.batch import Batch
from operators.clock import FORGET
from operators.detect.base import HIGH, LOW, NO_SIDE, Detector, DetectorState, Scores
from operators.detect.record import AGING, LARGEST, fade, place, surprise
from operators.kernel import kernel

BINS = 96
LOWEST = -12.0
"""log2 of the lower edge of the first bin; the last bin ends at 2**12 usual deviations."""


class LevelShift(Detector):
    """Score how far the recent mean has left the long-run mean, by the device's own history.

    `expected` is the long-run mean before this row; `side` says where the recent mean is.
    """

    fast: float = Field(6, gt=0, description="Half-life of the recent mean, in values.")
    slow: float = Field(400, gt=0, description="Half-life of the long-run mean and of the usual deviation, in values.")
    history: float = Field(5000, gt=0, description="Half-life of the record of differences, in values.")
    warmup: int = Field(400, ge=20, description="Values of a device before it is scored.")

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # rows say it all
        """Make a state that knows no device, or go on from a snapshot."""
        return _State(self, resume)


class _State(DetectorState):
    """By slot `levels`: number of values, fast mean, slow mean, usual deviation, weight of the record; and `record`."""

    def __init__(self, spec: LevelShift, resume: Snapshot | None) -> None:
        super().__init__(spec, resume, {"levels": np.empty((0, 5)), "record": np.empty((0, BINS), np.float32)})
        half = np.log(0.5)
        self._rates = np.array(
            [-np.expm1(half / spec.fast), -np.expm1(half / spec.slow), np.exp(half * AGING / spec.history), spec.warmup]
        )

    def score(self, batch: Batch, values: NDArray[np.float64], found: Scores) -> None:
        _score(batch.device, batch.watermark, values, self._rates, self.slots["levels"], self.slots["record"], *found)


@kernel
def _score(device, watermark, values, rates, levels, record, score, expected, side):  # type: ignore[no-untyped-def]  # compiled
    """Score every row against its device's record, then put it on the record."""
    fast_rate, slow_rate, keep, warmup = rates
    for row in range(len(values)):
        slot = device[row]
        if watermark[row] >= FORGET:
            levels[slot] = 0
            record[slot] = 0
        value = values[row]
        if not abs(value) <= LARGEST:  # NaN too
            continue
        n, fast, slow, deviation, weight = levels[slot]
        if n == 0:
            fast = slow = value
        n += 1
        # Plain means until there are enough values for the exponential ones.
        slow_share = max(slow_rate, 1 / n)
        fast += max(fast_rate, 1 / n) * (value - fast)
        difference = fast - slow
        usual = max(deviation, 1e-9 * abs(slow))
        position = 0.0
        if difference != 0:
            position = place(abs(difference) / usual, LOWEST, BINS) if usual > 0 else float(BINS)
        if n > warmup:
            score[row] = max(surprise(record[slot], weight, position), 0.0)
            expected[row] = slow
            side[row] = HIGH if difference > 0 else (LOW if difference < 0 else NO_SIDE)
        record[slot, min(int(position), BINS - 1)] += 1
        weight += 1
        if n % AGING == 0:
            fade(record[slot], keep)
            weight *= keep
        # An anomaly must not make the deviation so large that the next one hides behind it.
        off = abs(value - slow)
        if n > 20:
            off = min(off, 8 * max(deviation, 1e-9 * abs(slow)))
        deviation += slow_share * (off - deviation)
        slow += slow_share * (value - slow)
        levels[slot] = (n, fast, slow, deviation, weight)
