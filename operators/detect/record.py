"""How odd a value of a statistic is for a device: the share of its own recent rows that had one at least as large.

A device's record is a histogram of the statistic in quarters of an octave, one row of an array of float32 (devices, bins).
Within a bin the share falls as a power of the statistic does; beyond the largest values on record it is extrapolated by
such a power, so that a value may be odder than any seen. A power law falls more slowly than most tails do: where it is
wrong a score is too low.

References:
    The tail: B. M. Hill, "A simple general approach to inference about the tail of a distribution", Annals of
    Statistics 3(5), 1975, here with two points of a histogram in place of order statistics.
    One more row: V. Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", 2005: the p-value of a
    conformal predictor.
"""

from __future__ import annotations

import math

from operators.kernel import kernel

LARGEST = 1e150
"""Values beyond are no measurements: a difference of two, or its square, could overflow, and be kept for ever."""
PER_OCTAVE = 4
AGING = 64
"""Rows after which a record fades: its newest rows weigh 1."""
ENOUGH = 5.0
"""Rows that a tail must hold to be believed; beyond, it is extrapolated."""
FLATTEST, STEEPEST = 0.02, 1.0
"""Decades of a tail in a bin, so that one crowded bin doesn't make it flat or upright."""


@kernel(forceinline=True)
def place(ratio, lowest, bins):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Give where a statistic stands in a record, in bins: 0 at 2**lowest and below, `bins` at most."""
    if ratio <= 0:
        return 0.0
    return min(max((math.log2(ratio) - lowest) * PER_OCTAVE, 0.0), float(bins))


@kernel
def fade(record, share):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Let the rows on record weigh less, each by the same share."""
    for at in range(len(record)):
        record[at] *= share


@kernel
def surprise(record, weight, position):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Give -log10 of the share of a device's rows that lie at `position` or beyond.

    Args:
        record: the device's, (bins,).
        weight: the rows on it, as they are weighted now.
        position: in bins.
    """
    bin_ = min(int(position), len(record) - 1)
    # The last bin has no end: all that is in it may be as far off.
    part = position - bin_ if bin_ < len(record) - 1 else 0.0
    near = further = -1
    tail = near_tail = further_tail = beyond = within = 0.0
    for k in range(len(record) - 1, -1, -1):
        if k == bin_:
            beyond, within = tail, record[k]
        tail += record[k]
        if near < 0 and tail >= ENOUGH:
            near, near_tail = k, tail
        if further < 0 and tail >= 10 * ENOUGH:
            further, further_tail = k, tail
        if k <= bin_ and further >= 0:
            break
    if near > bin_:
        tail = beyond + within
        return -(math.log2(tail / weight) + part * math.log2(beyond / tail)) * math.log10(2)
    # The row itself counts as one more, so that no record makes it impossible.
    counted = -math.log10((beyond + within * (1 - part) + 1) / (weight + 1))
    if near < 0:
        return counted
    slope = 0.0
    if further >= 0 and near < len(record) - 1:
        # At the upper edge of the nearer one's bin there are fewer than enough; where both share a bin, that is all that
        # is known.
        slope = math.log10(further_tail / ENOUGH) / (near + 1 - further)
        if near > further:
            slope = max(slope, math.log10(further_tail / near_tail) / (near - further))
        slope = min(max(slope, FLATTEST), STEEPEST)
    return max(counted, -math.log10(near_tail / weight) + slope * max(position - near, 0.0))
