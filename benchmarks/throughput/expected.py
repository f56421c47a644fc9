"""What must come out, by brute force: every window from a sort of all readings."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.throughput.readings import MINUTE, Readings, Shape

STATISTICS = ("n", "total", "mean", "low", "high", "last")


def windows(readings: Readings, shape: Shape, size: int = MINUTE, slide: int = MINUTE) -> pl.DataFrame:
    """Compute the rows of all windows that close.

    Args:
        readings: no more out of order than the lateness allows, so that none is too late.
        shape: that they are of; windows with the closing readings in them are left out.
        size: of a window, ms.
        slide: from one window to the next, ms; divides the size.

    Returns:
        `device`, `window_start` (ms) and `STATISTICS`, in order of device and start.
    """
    real = slice(0, shape.events)
    device, ts, centi = readings.device[real].astype(np.int64), readings.ts[real], readings.centi[real]
    parts = [_tumbling(device, ts, centi, size, begin) for begin in range(0, size, slide)]
    return pl.concat(parts).sort("device", "window_start")


def _tumbling(
    device: NDArray[np.int64], ts: NDArray[np.int64], centi: NDArray[np.int64], size: int, begin: int
) -> pl.DataFrame:
    """Compute windows that don't overlap, `begin` behind full multiples of the size."""
    start = (ts - begin) // size * size + begin
    order = np.lexsort((ts, start, device))
    device, start, values = device[order], start[order], centi[order] / 100
    first = np.flatnonzero(np.r_[True, (device[1:] != device[:-1]) | (start[1:] != start[:-1])])
    n = np.diff(np.r_[first, len(values)])
    total = np.add.reduceat(centi[order], first) / 100
    return pl.DataFrame(
        {
            "device": device[first],
            "window_start": start[first],
            "n": n,
            "total": total,
            "mean": total / n,
            "low": np.minimum.reduceat(values, first),
            "high": np.maximum.reduceat(values, first),
            "last": values[first + n - 1],
        }
    )


def alerts(readings: Readings) -> pl.DataFrame:
    """Give the alerts that must be raised: one a spike, as `device` and `at` (ms), in order."""
    spike = readings.spike
    return pl.DataFrame({"device": readings.device[spike].astype(np.int64), "at": readings.ts[spike]}).sort(
        "device", "at"
    )


def differences(want: pl.DataFrame, got: pl.DataFrame, keys: Iterable[str]) -> str | None:
    """Hold rows against those that must come; gives what is wrong first, or None. Numbers may differ by 1 in 10^9."""
    names = list(keys)
    if len(want) != len(got):
        missing = want.join(got, on=names, how="anti").height
        extra = got.join(want, on=names, how="anti").height
        return f"{len(got):,} rows instead of {len(want):,}: {missing:,} are missing, {extra:,} should not be there"
    for name in want.columns:
        wanted, found = want[name].to_numpy().astype(np.float64), got[name].to_numpy().astype(np.float64)
        wrong = np.flatnonzero(~np.isclose(found, wanted, rtol=1e-9, atol=1e-9))
        if len(wrong):
            at = int(wrong[0])
            row = {key: want[key][at] for key in names}
            return f"{len(wrong):,} rows are wrong in {name}: {float(found[at])!r} instead of {float(wanted[at])!r} at {row}"
    return None


def blocks(readings: Readings, shape: Shape, size: int) -> pl.DataFrame:
    """Compute the statistics of each full block of a device's readings, in order.

    Returns:
        `device`, `window_start` (ms, of its first reading), `n`, `mean`, and `trend`, the least squares slope in W/s.
    """
    device, ts, centi = (column[: shape.events] for column in (readings.device, readings.ts, readings.centi))
    order = np.argsort(device, kind="stable")
    device, ts, watts = device[order].astype(np.int64), ts[order], centi[order] / 100
    place = np.arange(len(device)) - np.searchsorted(device, device)
    last = np.flatnonzero(place % size == size - 1)
    within = last[:, None] + np.arange(1 - size, 1)
    seconds = (ts[within] - ts[within][:, :1]) / 1000
    seconds -= seconds.mean(axis=1, keepdims=True)
    values = watts[within]
    mean = values.mean(axis=1)
    trend = (seconds * (values - mean[:, None])).sum(axis=1) / (seconds**2).sum(axis=1)
    return pl.DataFrame(
        {"device": device[last], "window_start": ts[within[:, 0]], "n": size, "mean": mean, "trend": trend}
    )
