"""A value that stands out: it is further from the device's recent mean than its usual deviation makes likely.

Each value is held against the exponentially weighted mean and variance of the device's values before it; z is its
distance from that mean in deviations, on either side. How odd a z is, the device's own history says: a decayed histogram
of its earlier ones gives the share of rows that were at least as far off, and `score` is minus the decimal logarithm of
that share. Beyond the largest on record the share is extrapolated as a power law. So 3 is about once in 1,000 rows,
whatever the shape of the noise. What is assumed is that it keeps its shape, around a level that moves little in a
`half_life`.

The record begins at 1.5 deviations. Below, and for a device that has no five rows on record, the score is that of normal
noise. Of a new device it goes over from that one to the record's within 500 rows:

    |z|       1      2      3      4      5      6
    score    0.5    1.3    2.6    4.2    6.2    8.7     of normal noise, after very many values; after few it is less

There it is taken into account that mean and deviation are estimates: the chance is Student's, for as many values as there
are. Where tails are heavier a score is too high until the record is believed: it is above 3 some ten times too often in
the first 200 rows of Laplace's noise. With `history: 0` there is no record, and the score stays that of normal noise: for
where it matters how far off a value is, and not how often one is.

What comes again is less odd each time: where every 50th value is far off, none scores much above 1.7 in the end. Take
`level_shift` for small changes that last, `range` where fixed limits are known; and this one for single values.

A value beyond 4 deviations is scored as it is and learnt from as if it were at 4, lest the next one hide behind it. Where
values stay away they are learnt all the same: with the `half_life` of 200 a shift of 10 deviations after some 40 values,
one of 100 after some 130. With `history: 0` they score above 3 until then; else only the first five or so do, and the
others about 2, for now the device has been there. It takes a `history` or two until such a value scores high again.

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
      - alert: {raise: score > 4, clear: score < 2}
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from operators.base import Inputs, Snapshot, unfit
from operators.batch import Batch
from operators.clock import FORGET
from operators.detect.base import HIGH, LOW, NO_SIDE, Detector, DetectorState, Scores
from operators.detect.record import AGING, ENOUGH, LARGEST, PER_OCTAVE, fade, surprise
from operators.kernel import kernel

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

BINS = 15
"""Of a record, from `NEAREST` deviations to 20; the last one holds what is further off too. With its weight a record is
64 bytes."""
NEAREST = 1.5
"""Deviations from which on a value is put on record: one in eight of normal noise, so that the record costs little."""
USUAL = -math.log10(math.erfc(NEAREST / math.sqrt(2)))
"""The score there, below which none further off may fall."""
BELIEVED = 500.0
"""Rows after which a record makes the score alone. With fewer, other noise than that of heavy tails would score too low
meanwhile: there are few rows yet to extrapolate from."""
SHORTEST, LONGEST = 100, 1_000_000
"""A history, in values: a shorter one never holds rows enough to extrapolate from, and of a longer one float32 loses count."""


class Zscore(Detector):
    """Score how far a value is from the device's recent mean, in its usual deviations, by the device's own history.

    `expected` is the mean before this row; `side` says where the value is.
    """

    half_life: float = Field(200, ge=5, allow_inf_nan=False, description="Half-life of mean and variance, in values.")
    history: float = Field(
        5000,
        ge=0,
        description="Half-life of the record, 100 to 1,000,000, or 0 to score without one as of normal noise, in values.",
    )
    warmup: int = Field(20, ge=FEWEST, description="Values of a device before it is scored.")

    @field_validator("history")
    @classmethod
    def _is_kept_well(cls, history: float) -> float:
        if history and not SHORTEST <= history <= LONGEST:
            expected = f"{SHORTEST} to {LONGEST:,} values, or 0 for none"
            raise unfit(expected)
        return history

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # rows say it all
        """Make a state that knows no device, or go on from a snapshot."""
        return _State(self, resume)


class _State(DetectorState):
    """By slot `learnt` (number of values, mean, variance, sum of the squared weights, 1 / n of n equal ones) and `record`.

    A row of `record` is the bins, and behind them the weight that it had when it was last faded.
    """

    def __init__(self, spec: Zscore, resume: Snapshot | None) -> None:
        columns = BINS + 1 if spec.history else 0
        super().__init__(spec, resume, {"learnt": np.empty((0, 4)), "record": np.empty((0, columns), np.float32)})
        half = np.log(0.5)
        fading = np.exp(AGING * half / spec.history) if spec.history else 0.0
        believed = min(BELIEVED, spec.history)
        self._rates = np.array([-np.expm1(half / spec.half_life), float(spec.warmup), fading, believed])

    def score(self, batch: Batch, values: NDArray[np.float64], found: Scores) -> None:
        learnt, record = self.slots["learnt"], self.slots["record"]
        _score(batch.device, batch.watermark, values, self._rates, _TAIL, learnt, record, *found)


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
def _by_record(record, rows, squared, believed, normal):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put a z on the record of its device, which has had so many rows; give its score, of which `normal` is a part at first."""
    weight = record[BINS] + rows % AGING
    position = PER_OCTAVE / 2 * math.log2(squared / (NEAREST * NEAREST))
    on_record = 0.0
    for at in range(BINS):
        on_record += record[at]
    made = normal
    if on_record >= ENOUGH:
        own = max(surprise(record[:BINS], weight, position), USUAL)
        made += min(weight / believed, 1.0) * (own - normal)
    record[min(int(position), BINS - 1)] += 1
    return made


@kernel
def _score(device, watermark, values, rates, tail, learnt, record, score, expected, side):  # type: ignore[no-untyped-def]  # compiled
    """Score every row against what is learnt of its device, then learn from it."""
    rate, warmup, fading, believed = rates
    for row in range(len(values)):
        slot = device[row]
        if watermark[row] >= FORGET:
            learnt[slot, 0] = learnt[slot, 1] = learnt[slot, 2] = learnt[slot, 3] = 0.0
            record[slot] = 0
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
                if fading > 0:
                    rows = int(n - warmup)
                    if z2 >= NEAREST * NEAREST:
                        score[row] = _by_record(record[slot], rows, z2, believed, score[row])
                    if (rows + 1) % AGING == 0:
                        record[slot, BINS] += AGING
                        fade(record[slot], fading)
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
