"""Take the noise out of a value by a Kalman filter: the likeliest true value, given the device's values so far.

The filter supposes that the true value wanders: from one row of the device to the next it changes at random, by a
change of variance `q`; and that a reading is off from it at random, by an error of variance `r`, which is the square
of the standard deviation that a data sheet may tell. It begins with the first value. Each further one moves the
estimate towards it, by a share that is large at first and settles to what `q / r` makes best:

    q / r     share of a new value    noise that is left    behind a steady rise by
    1               62 %                    67 %                   0.6 rows
    0.1             27 %                    40 %                   2.7 rows
    0.01            10 %                    22 %                   9.5 rows        if left out
    0.001            3 %                    13 %                   31 rows

Only `q / r` matters to what comes out: with `r` left at 1, `q` is that ratio. Take it smaller for a smoother line, larger
for one that follows sooner; with `q: 0` the true value is supposed to be constant, and the mean of all values comes out.

Where a value is missing, so is the smoothed one: a smoother makes no readings up. (`fill` behind it repeats the last
one, for as long as you say.) But the true value has wandered on in the meantime, so the next value counts for more, after
a long gap nearly alone. A value that is infinite or beyond 1e150 is no measurement, and as good as missing. Rows count,
not time: put irregular readings through `resample` before.

An outlier moves the estimate by its share like any other value. Drop those that can't be by a `filter` before; the
median of a `window: trailing` ignores even those that could be.

References:
    R. E. Kalman, "A new approach to linear filtering and prediction problems", Journal of Basic Engineering 82(1),
    1960. The share it settles to: J. F. Muth, "Optimal properties of exponentially weighted forecasts", Journal of the
    American Statistical Association 55(290), 1960.

Example:
    steps:
      - smooth: {kalman: {field: temperature}}
      - derive: {noise: temperature - temperature_smooth}
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from operators.base import Inputs, Operator, Outputs, Problem, Snapshot, SpecError
from operators.batch import Batch, Schema, Type
from operators.clock import FORGET
from operators.kernel import kernel
from operators.number import numbers, problems_of_number

LARGEST = 1e150
"""Values beyond are no measurements; the estimate must stay finite."""


class Kalman(Operator):
    """Take the noise out of a value by a Kalman filter of a level that wanders."""

    field: str = Field(description="The number column to smooth.")
    into: str | None = Field(None, description="The column added; the name of `field` with `_smooth` if left out.")
    q: float = Field(
        0.01, ge=0, allow_inf_nan=False, description="Variance of the true value's change from one row to the next."
    )
    r: float = Field(1, gt=0, allow_inf_nan=False, description="Variance of a reading about the true value.")

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give the columns that came in, and the smoothed one (float)."""
        problems = problems_of_number(self.field, schema)
        if self.name in schema.names():
            fix = f"another name, such as `into: {self.field}_level`"
            expected = "a name that doesn't exist yet"
            problems.append(Problem(("into",), expected, f"`{self.name}` exists here already", fix))
        if problems:
            raise SpecError(problems)
        return {"": schema.adding({self.name: Type.FLOAT})}

    @property
    def name(self) -> str:
        """The column added."""
        return f"{self.field}_smooth" if self.into is None else self.into

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # rows say it all
        """Make a state that knows no device, or go on from a snapshot."""
        return _State(self, resume)


class _State:
    def __init__(self, spec: Kalman, resume: Snapshot | None) -> None:
        self._spec = spec
        self._ratio = min(spec.q / spec.r, 1e200)
        """Bounded, so that a quotient stays a number; at 1e17 already nothing but the last value counts."""
        self._estimates = (resume or {"estimates": np.empty((0, 2))})["estimates"].copy()
        """By slot: the estimate and its variance in units of `r`, which is 0 before the first value only."""

    def on_batch(self, batch: Batch) -> Outputs:
        self._grow(int(batch.device.max(initial=0)) + 1)
        values = numbers(batch, self._spec.field)
        _smooth(batch.device, batch.watermark, batch.live, self._ratio, self._estimates, values)
        return Outputs(batch.adding({self._spec.name: values}))

    def snapshot(self) -> Snapshot:
        return {"estimates": self._estimates.copy()}

    def _grow(self, devices: int) -> None:
        known = len(self._estimates)
        if devices > known:
            more = max(devices, 2 * known) - known
            self._estimates = np.concatenate([self._estimates, np.zeros((more, 2))])


@kernel
def _smooth(device, watermark, live, ratio, estimates, values):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Put the estimates in the place of the values."""
    for row in range(len(values)):
        slot = device[row]
        if watermark[row] >= FORGET:
            estimates[slot, 0] = estimates[slot, 1] = 0.0
        if not live[row]:
            continue
        value = values[row]
        variance = estimates[slot, 1]
        if not abs(value) <= LARGEST:  # NaN too
            values[row] = np.nan
            if variance > 0:
                estimates[slot, 1] = variance + ratio
            continue
        if variance == 0:
            estimates[slot, 0], estimates[slot, 1] = value, 1.0
            continue
        variance += ratio
        # In units of `r` the new variance, (1 - gain) * variance, is the gain itself: no difference that could cancel.
        gain = variance / (variance + 1)
        estimate = estimates[slot, 0]
        estimate += gain * (value - estimate)
        estimates[slot, 0], estimates[slot, 1] = estimate, gain
        values[row] = estimate
