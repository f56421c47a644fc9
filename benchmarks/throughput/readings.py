"""What the devices send: about a reading a second each, made from a seed, as columns of numpy.

    round 0                 round 1                     ...   the end
    d3 d1 d0 d2             d0 d3 d2 d1                       d0 d1 d2 d3
    |-- 1 s of event time --|                                 two minutes later: closes every window

Each round has every device once, in a new order, so no system finds the next device where the last one was. Watts are
whole hundredths, so sums are exact. Noise is normal and cut at 3 deviations; a spike is 50 deviations high, and far
above what any of the detectors takes for an alert, so the alerts that must come are the spikes and no others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEGIN = 1_700_000_040_000
"""Time of the first reading, ms: a full minute."""
MINUTE = 60_000
"""In ms."""
NOISE = 200
"""Standard deviation of a device's readings, in hundredths of a watt."""
WARM = 60
"""Readings of a device before a spike may come: detectors need some to know the device."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which readings to make.

    Attributes:
        devices: how many there are.
        events: readings, without the last one of each device, which closes the windows.
        seed: of values, order, delays and spikes.
        late: share of the readings that come up to `delay` later than their time says.
        delay: ms.
    """

    devices: int
    events: int
    seed: int = 1
    late: float = 0.0
    delay: int = 30_000

    @property
    def messages(self) -> int:
        """All readings, with the last one of each device."""
        return self.events + self.devices

    @property
    def closing(self) -> int:
        """The time of the readings that close the windows, ms; a full minute."""
        rounds = -(-self.events // self.devices)
        return BEGIN + -(-rounds * 1000 // MINUTE) * MINUTE + 2 * MINUTE


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings in the order in which they are sent.

    Attributes:
        device: number of the device; uint32.
        ts: event time, ms; int64.
        centi: hundredths of a watt; int64.
        spike: whether an alert must come of it.
    """

    device: NDArray[np.uint32]
    ts: NDArray[np.int64]
    centi: NDArray[np.int64]
    spike: NDArray[np.bool_]

    def __len__(self) -> int:
        """Give the number of readings."""
        return len(self.ts)


def make(shape: Shape) -> Readings:
    """Make the readings of a shape; the same ones each time."""
    random = np.random.default_rng(shape.seed)
    rounds = -(-shape.events // shape.devices)
    device = np.empty((rounds, shape.devices), np.uint32)
    for row in device:
        row[:] = random.permutation(shape.devices)
    sent = device.reshape(-1)[: shape.events]
    ts = BEGIN + (np.arange(shape.events, dtype=np.int64) * 1000) // shape.devices
    base = random.integers(10_000, 100_000, shape.devices)
    noise = np.clip(random.normal(0, NOISE, shape.events), -3 * NOISE, 3 * NOISE)
    centi = base[sent] + np.rint(noise).astype(np.int64)
    spike = _spikes(shape, sent, random)
    centi[spike] += 50 * NOISE
    if shape.late:
        behind = random.random(shape.events) < shape.late
        order = np.argsort(ts + behind * random.integers(0, shape.delay + 1, shape.events), kind="stable")
        sent, ts, centi, spike = sent[order], ts[order], centi[order], spike[order]
    every = np.arange(shape.devices, dtype=np.uint32)
    return Readings(
        np.concatenate([sent, every]),
        np.concatenate([ts, np.full(shape.devices, shape.closing)]),
        np.concatenate([centi, base]),
        np.concatenate([spike, np.zeros(shape.devices, np.bool_)]),
    )


def _spikes(shape: Shape, device: NDArray[np.uint32], random: np.random.Generator) -> NDArray[np.bool_]:
    """Choose the readings that are spikes: one in 100,000 or a few, none of a device twice."""
    spike = np.zeros(shape.events, np.bool_)
    first = WARM * shape.devices
    if shape.events > first:
        chosen = first + random.choice(shape.events - first, max(shape.events // 100_000, 3), replace=False)
        _, unique = np.unique(device[chosen], return_index=True)
        spike[chosen[unique]] = True
    return spike
