"""Fixed limits: a value outside them is an anomaly, whatever the device has done before.

For values that physics or a data sheet bounds. For values whose normal level differs from device to device, or drifts,
take `level_shift`.

Example:
    steps:
      - detect: {range: {field: temperature, low: -20, high: 60}}
      - alert: {raise: score > 3}
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from operators.base import Inputs, Outputs, Snapshot, unfit
from operators.batch import Batch
from operators.detect.base import HIGH, LOW, NO_SIDE, Detector
from operators.number import numbers

OUTSIDE = 6.0
"""The score of a value outside its limits: as odd as once in a million rows, above any usual threshold."""


class Range(Detector):
    """Score 6 outside fixed limits, 0 within; `expected` is the limit that was broken, missing within."""

    calibrated = False

    low: float | None = Field(None, strict=True, allow_inf_nan=False, description="Smallest value that is fine.")
    high: float | None = Field(None, strict=True, allow_inf_nan=False, description="Largest value that is fine.")

    @model_validator(mode="after")
    def _has_limits(self) -> Range:
        expected = None
        if self.low is None and self.high is None:
            expected = "`low`, `high` or both"
        elif self.low is not None and self.high is not None and self.low > self.high:
            expected = f"`low` at most `high` (here {self.low} and {self.high})"
        if expected:
            raise unfit(expected)
        return self

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:  # noqa: ARG002  # it keeps nothing
        """Make the state; it keeps nothing between batches."""
        return _State(self)


class _State:
    def __init__(self, spec: Range) -> None:
        self._spec = spec
        self._low: Any = -np.inf if spec.low is None else spec.low
        self._high: Any = np.inf if spec.high is None else spec.high

    def on_batch(self, batch: Batch) -> Outputs:
        values = numbers(batch, self._spec.field)
        side = np.where(values > self._high, HIGH, np.where(values < self._low, LOW, NO_SIDE)).astype(np.int32)
        expected = np.where(side == HIGH, self._high, np.where(side == LOW, self._low, np.nan))
        score = np.where(side == NO_SIDE, 0.0, OUTSIDE)
        return Outputs(batch.adding(self._spec.columns(score, expected, side)))

    def snapshot(self) -> Snapshot:
        return {}
