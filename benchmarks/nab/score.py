"""NAB's rules: what the detections in labelled series are worth, at every threshold.

A row is a detection where its score is at least the threshold. Only the best detection of a window counts, and the earlier
in the window it is the more it is worth: 1 at its first row, almost nothing at its last. One outside of windows costs 1,
less right behind a window; a window without any costs 1. A profile weighs the three. The first 15 % of the rows of a series
aren't scored, at most 750. All of that is summed over the corpus, and scaled: 0 is no detection at all, 100 the first row
of every window and nothing else.

What matters is the order of scores alone, so they need no scale. A missing one (NaN) is never a detection.

A window that ends within the part that isn't scored can't be detected, and counts in the 100 all the same: as in NAB, whose
corpus has none. NAB's own code can't take a window of one row; here all rows behind one are as far from it as can be.

References:
    A. Lavin, S. Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark", IEEE 14th
    International Conference on Machine Learning and Applications, 2015; as in nab/sweeper.py, nab/optimizer.py and
    nab/runner.py of https://github.com/numenta/NAB, version 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PROBATION = 0.15
"""The share of a series that isn't scored, as a detector learns there; of at most `LONG` rows."""
LONG = 5000
FAR = 3.0
"""Widths of a window behind which a detection is as wrong as anywhere."""

_MOST = np.finfo(np.float64).max


class Profile(NamedTuple):
    """What a user of alarms weighs: windows that are found, detections outside of any, windows that are missed."""

    found: float
    wrong: float
    missed: float


PROFILES = {"standard": Profile(1, 0.11, 1), "low_fp": Profile(1, 0.22, 1), "low_fn": Profile(1, 0.11, 2)}
"""NAB's own, config/profiles.json; it calls the last two reward_low_FP_rate and reward_low_FN_rate."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What a detection at each row of a series is worth, before a profile weighs it.

    Attributes:
        window: int64, the number of the window that a row is in; -1 outside.
        worth: float64, in a window 1 at the first row and falling towards 0; outside from 0 to -1.
        scored: the first row that is scored.
        windows: how many there are.
    """

    window: NDArray[np.int64]
    worth: NDArray[np.float64]
    scored: int
    windows: int

    @classmethod
    def of(cls, rows: int, windows: Sequence[tuple[int, int]]) -> Labels:
        """Make them of the number of rows, and the first and the last row of each window, in order.

        >>> Labels.of(8, [(2, 4)]).worth.round(2).tolist()
        [-1.0, -1.0, 1.0, 0.94, 0.69, -0.85, -0.99, -1.0]
        """
        window = np.full(rows, -1)
        worth = np.full(rows, -1.0)
        at = np.arange(rows)
        for number, (first, last) in enumerate(windows):
            width = last - first + 1
            window[first : last + 1] = number
            worth[first : last + 1] = _sigmoid((at[first : last + 1] - last - 1) / width) / _sigmoid(np.array([-1.0]))
            away = (at[last + 1 :] - last) / (width - 1) if width > 1 else np.full(rows - last - 1, np.inf)
            worth[last + 1 :] = np.where(away > FAR, -1.0, _sigmoid(np.minimum(away, FAR)))
        return cls(window, worth, min(math.floor(PROBATION * rows), int(PROBATION * LONG)), len(windows))


def _sigmoid(position: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 / (1 + np.exp(5 * position)) - 1


@dataclass(frozen=True, slots=True)
class Sweep:
    """What the detections come to at every threshold: at each, all rows are detections whose score is at least that.

    Attributes:
        thresholds: float64, falling: infinity, at which there is no detection, and then every score that there is.
        worth: float64, of the best detections of the windows together.
        found: int64, windows with a detection.
        cost: float64, of the detections outside of windows together, at most 0.
        wrong: int64, how many these are.
        windows: in all.
        open: windows of which a row is scored: those that can be found.
    """

    thresholds: NDArray[np.float64]
    worth: NDArray[np.float64]
    found: NDArray[np.int64]
    cost: NDArray[np.float64]
    wrong: NDArray[np.int64]
    windows: int
    open: int

    @classmethod
    def of(cls, series: Iterable[tuple[NDArray[np.float64], Labels]]) -> Sweep:
        """Sweep over several series with one threshold for all of them.

        Args:
            series: of each its scores, one a row, and its labels.
        """
        parts = [(np.empty(0), np.empty(0, np.int64), np.empty(0))]
        windows = 0
        for own, labels in series:
            if len(own) != len(labels.window):
                message = f"{len(own)} scores for a series of {len(labels.window)} rows"
                raise ValueError(message)
            window = np.where(labels.window < 0, -1, labels.window + windows)
            parts.append((own[labels.scored :], window[labels.scored :], labels.worth[labels.scored :]))
            windows += labels.windows
        score, window, worth = (np.concatenate(column) for column in zip(*parts, strict=True))
        reached = len(np.unique(window[window >= 0]))
        score = np.minimum(score, _MOST)  # infinity is the threshold at which there is no detection
        order = np.argsort(-score, kind="stable")[: len(score) - np.isnan(score).sum()]  # NaN is sorted to the end
        score, window, worth = score[order], window[order], worth[order]
        more, first = _best(window, worth)
        outside = window < 0
        ends = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])

        def summed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.concatenate([[0.0], np.cumsum(rows)[ends]])

        return cls(
            np.concatenate([[np.inf], score[ends]]),
            summed(more),
            summed(first).astype(np.int64),
            summed(np.where(outside, worth, 0.0)),
            summed(outside.astype(np.float64)).astype(np.int64),
            windows,
            reached,
        )

    def raw(self, profile: Profile) -> NDArray[np.float64]:
        """Give NAB's score at each threshold, before it is scaled."""
        missed = self.open - self.found
        return profile.found * self.worth + profile.wrong * self.cost - profile.missed * missed

    def best(self, profile: Profile) -> float:
        """Give the threshold with the highest score; of several the highest."""
        return float(self.thresholds[np.argmax(self.raw(profile))])

    def at(self, threshold: float) -> int:
        """Give the place in the arrays of a threshold, also of one that is no score here."""
        return int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1

    def score(self, threshold: float, profile: Profile) -> float:
        """Give the scaled score at a threshold; NaN where there is no window.

        >>> sweep = Sweep.of([(np.array([0.0, 0.0, 9.0, 5.0, 0.0, 1.0, 7.0, 0.0]), Labels.of(8, [(2, 4)]))])
        >>> sweep.best(PROFILES["standard"])
        9.0
        >>> round(sweep.score(7.0, PROFILES["standard"]), 1)
        94.6
        """
        return _scaled([(self, threshold)], profile)


def _best(window: NDArray[np.int64], worth: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Go through detections, the highest score first.

    Returns:
        Of each by how much it is worth more than the best of its window before it, and 1 where it is the first there.
    """
    more, first = np.zeros(len(window)), np.zeros(len(window))
    inside = np.flatnonzero(window >= 0)
    inside = inside[np.argsort(window[inside], kind="stable")]
    for own in np.split(inside, np.flatnonzero(np.diff(window[inside])) + 1):
        more[own] = np.diff(np.maximum.accumulate(worth[own]), prepend=0.0)
        first[own[:1]] = 1.0
    return more, first


def cross(one: Sweep, other: Sweep, profile: Profile) -> float:
    """Score each half of a corpus at the threshold that the other half chose.

    Returns:
        The scaled score of both together, to which each half counts by its windows.
    """
    return _scaled([(one, other.best(profile)), (other, one.best(profile))], profile)


def _scaled(parts: Sequence[tuple[Sweep, float]], profile: Profile) -> float:
    """Add up the scores of parts of a corpus, each at a threshold, so that no detection is 0 and perfect ones are 100."""
    raw = sum(float(sweep.raw(profile)[sweep.at(threshold)]) for sweep, threshold in parts)
    nothing = -profile.missed * sum(sweep.open for sweep, _ in parts)
    perfect = profile.found * sum(sweep.windows for sweep, _ in parts)
    return 100 * (raw - nothing) / (perfect - nothing) if perfect > nothing else math.nan
