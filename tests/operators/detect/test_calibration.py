"""What `score` promises of every detector: on steady noise of any shape, 3 is about once in 1,000 rows of a device.

A detector is put to the test as its docstring's example has it, with all its columns full of noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from operators.base import Inputs, kinds
from operators.batch import Batch, Schema, Type
from operators.binary import Binary
from operators.detect.base import Detector
from operators.devices import DeviceTable
from tests.operators.rows import SECOND
from tests.operators.test_contracts import example, read

DEVICES, ROWS, WARM = 25, 16_000, 8_000
"""Rows of each device, of which the first ones don't count."""

Noise = Callable[[Generator], NDArray[np.float64]]


def autoregressive(random: Generator) -> NDArray[np.float64]:
    made = random.normal(size=(ROWS, DEVICES))
    for at in range(1, ROWS):
        made[at] += 0.8 * made[at - 1]
    return made


NOISES: Mapping[str, Noise] = {
    "normal": lambda random: random.normal(20, 2, (ROWS, DEVICES)),
    "laplace": lambda random: random.laplace(20, 2, (ROWS, DEVICES)),
    "lognormal": lambda random: random.lognormal(0, 1, (ROWS, DEVICES)),
    "poisson": lambda random: random.poisson(6, (ROWS, DEVICES)).astype(np.float64),
    "rounded": lambda random: np.round(random.normal(50, 3, (ROWS, DEVICES))),
    "autoregressive": autoregressive,
}


def scores(kind: tuple[str, ...], noise: Noise) -> NDArray[np.float64]:
    """Score noise by the detector of an example; gives a row a time and a column a device."""
    (spec,) = [spec for key, spec in map(read, example(kind)) if key == kind]
    assert isinstance(spec, Detector)
    schema = Schema({"temperature": Type.FLOAT, "humidity": Type.FLOAT}, ("device",), "ts")
    devices = DeviceTable(schema.device)
    slots = devices.slots(Binary.of([b"%d" % number for number in range(DEVICES)]))
    at = np.arange(ROWS * DEVICES)
    ts = at // DEVICES * SECOND
    columns = {name: noise(np.random.default_rng([7, number])).ravel() for number, name in enumerate(schema.columns)}
    batch = Batch(np.tile(slots, ROWS), ts, ts, at, np.ones(len(at), np.bool_), columns)
    made = spec.build(Inputs(schema, devices)).on_batch(batch).main.columns[f"{spec.prefix}score"]
    return np.asarray(made).reshape(ROWS, DEVICES)


def of_detectors(*, calibrated: bool) -> list[tuple[str, ...]]:
    found = {kind: class_ for kind, class_ in kinds().items() if issubclass(class_, Detector)}
    return sorted(kind for kind, class_ in found.items() if class_.calibrated == calibrated)


def test_the_detectors_are_found() -> None:
    assert {("detect", "level_shift"), ("detect", "zscore")} <= set(of_detectors(calibrated=True))
    assert ("detect", "range") in of_detectors(calibrated=False)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("kind", of_detectors(calibrated=True), ids=".".join)
def test_three_is_once_in_a_thousand_rows_of_any_noise(kind: tuple[str, ...], noise: str) -> None:
    late = scores(kind, NOISES[noise])[WARM:]
    rate = (late > 3).mean() * 1000
    assert 0.5 < rate < 2, (
        f"a score above 3 comes {rate:.2f} times in 1,000 rows; a detector that isn't calibrated says so"
    )
    # And so on either side of it; ties make steps, on which a rate may stand still for some bins.
    assert 0.5 < (late > 2).mean() * 100 < 2
    assert (late > 4).mean() * 10_000 < 3
