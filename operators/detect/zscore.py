"""A value that stands out: it is further from the device's recent mean than its usual deviation makes likely.

Each value is held against the exponentially weighted mean and variance of the device's values before it; z is its
distance from that mean in deviations, and `score` is minus the decimal logarithm of the chance that a value is as far
off on either side:

    |z|       1      2      3      4      5      6
    score    0.5    1.3    2.6    4.2    6.2    8.7     after very many values; after few it is less

It assumes that a device's noise is normal, around a level that moves little in a `half_life`. Where the noise has heavier
tails a score is too high: 3 comes oftener than once in 1,000 rows. `level_shift` assumes no such thing, for it asks the
device's own history how odd a difference is. Take that one for it, and for small changes that last; this one for single
values, and for an answer after `warmup` of them. Take `range` where fixed limits are known.

That mean and deviation are estimates is taken into account: the chance is Student's, for as many values as there are. So
3 is about once in 1,000 rows right after the warm-up too, and with a short `half_life`.

A value beyond 4 deviations is scored as it is and learnt from as if it were at 4, lest the next one hide behind it. Where
values stay away they are learnt all the same: with the `half_life` of 200 a shift of 10 deviations scores above 3 for
some 40 values, one of 100 for some 130. What comes again but seldom stays odd, however often it has come.

The deviation is never taken as less than a billionth of the mean. One that is less counts as unknown, as where a value
is constant: the first other one has a very high score, and is learnt from in full.

Up to `warmup` values of a device `score` is 0. A missing value, or one beyond 1e150, scores 0 and changes nothing. Rows
count, not time: irregular sampling is taken as it comes. The first ten values are learnt from in full, so a wild one
among them makes the device deaf to others until it has faded, by half in each `half_life`.

References:
    The variance: D. H. D. West, "Updating mean and variance estimates: an improved method", Communications of the ACM
    22(9), 1979; T. Finch, "Incremental calculation of weighted mean and variance", University of Cambridge, 2009.
    Student's tail by the normal one: D. L. Wallace, "Bounds on normal approximations to Student's and the chi-square
    distributions", Annals of Mathematical Statistics 30(4), 1959.

Example:
    steps:
      - detect: {zscore: {field: temperature}}
      - alert: {raise: score > 5, clear: score < 2}
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.base import Inputs, Snapshot
from operators.batch import Batch
from operators.clock import FORGET
from operators.detect.base import HIGH, LOW, NO_SIDE, Detector, DetectorState, Scores
from operators.kernel import kernel

LARGEST = 1e150
"""Values beyond are no measurements; the square of a difference of two could overflow."""
FURTHEST = 4.0
"""Deviations beyond which a value is learnt from as if it stood there."""
FEWEST = 10
"""Values that make a deviation: of fewer nothing is scored, and no value is held back."""
SMALLEST = 1e-300
"""The least variance, so that nothing is divided by zero where the mean is zero."""
TABLED = 16.0
"""Up to this z the tail is looked up, beyond it is made from its asymptotic series."""
PER_UNIT = 32
"""Places of the table in one unit of z. Between two the line is off by less than 2e-5 decades."""

_Z = np.arange(int(TABLED) * PER_UNIT + 2) / PER_UNIT
_TAIL = np.array([-math.log10(math.erfc(z / math.sqrt(2))) - z * z / math.log(100) for z in _Z])
"""Of z by steps: decades of the two-sided normal tail, less the parabola that most of it is. What is left is almost a
straight line, so a small table serves."""


class Zscore(Detector):
    """Score how far a value is from the device's recent mean, in its usual deviations, by the normal distribution.

    `expected` is the mean before this row; `side` says where the value is.
    """

    half_life: float = Field(200, ge=5, allow_inf_nan=False, description="Half-life of mean and variance, in values.")
    warmup: int = Field(20, ge=FEWEST, description="Values of a device before it is scored.")

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # rows say it all
        """Make a state that knows no device, or go on from a snapshot."""
        return _State(self, resume)


class _State(DetectorState):
    """By slot `learnt`: number of values, mean, variance, sum of the squared weights (1 / n of n equal ones)."""

    def __init__(self, spec: Zscore, resume: Snapshot | None) -> None:
        super().__init__(spec, resume, {"learnt": np.empty((0, 4))})
        self._rate = -np.expm1(np.log(0.5) / spec.half_life)
        self._warmup = float(spec.warmup)

    def score(self, batch: Batch, values: NDArray[np.float64], found: Scores) -> None:
        _score(batch.device, batch.watermark, values, self._rate, self._warmup, _TAIL, self.slots["learnt"], *found)


@kernel
def _surprise(squared, tail):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give -log10 of the normal chance of a value at least that far off on either side, to 2e-5; takes z squared."""
    z = math.sqrt(squared)
    if z < TABLED:
        place = z * PER_UNIT
        at = int(place)
        rest = tail[at] + (place - at) * (tail[at + 1] - tail[at])
    else:
        # log10(z sqrt(pi / 2)), and the next term of the series.
        rest = 0.5 * math.log10(squared * (math.pi / 2)) + 1 / squared / math.log(10)
    return squared / math.log(100) + rest


@kernel
def _score(device, watermark, values, rate, warmup, tail, learnt, score, expected, side):  # type: ignore[no-untyped-def]  # compiled
    """Score every row against what is learnt of its device, then learn from it."""
    for row in range(len(values)):
        slot = device[row]
        if watermark[row] >= FORGET:
            learnt[slot, 0] = learnt[slot, 1] = learnt[slot, 2] = learnt[slot, 3] = 0.0
        value = values[row]
        if not abs(value) <= LARGEST:  # NaN too
            continue
        n, mean, variance, squares = learnt[slot, 0], learnt[slot, 1], learnt[slot, 2], learnt[slot, 3]
        difference = value - mean
        if n >= FEWEST:
            off = difference * difference
            least = max(1e-18 * mean * mean, SMALLEST)
            known = variance > least
            variance = max(variance, least)
            if n >= warmup:
                # The variance of n values about their own mean is too small by (1 - 1/n), and a new value is off from
                # that mean by (1 + 1/n) times it; with weights their squares add up to what 1/n is here. With nu =
                # 1/squares - 1 degrees of freedom left, this is t squared / nu. Bounded, for a constant near zero.
                odds = min(off * squares / (variance * (1 + squares)), 1e300)
                # The z that is as unlikely as t (Wallace, 1959): a score comes out too low by at most 0.05 up to 5,
                # and by 6 % anywhere. The correction is (8 nu + 1) / (8 nu + 3).
                correction = (8 - 7 * squares) / (8 - 5 * squares)
                z2 = (1 / squares - 1) * math.log1p(odds) * correction * correction
                score[row] = _surprise(z2, tail)
                expected[row] = mean
                side[row] = HIGH if difference > 0 else (LOW if difference < 0 else NO_SIDE)
            if known and off > FURTHEST * FURTHEST * variance:
                difference = math.copysign(FURTHEST * math.sqrt(variance), difference)
        # Plain mean and variance until there are enough values for the exponential ones.
        n += 1
        share = max(rate, 1 / n)
        keep = 1 - share
        step = share * difference
        learnt[slot, 0] = n
        learnt[slot, 1] = mean + step
        learnt[slot, 2] = keep * (variance + difference * step)
        learnt[slot, 3] = keep * keep * squares + share * share
