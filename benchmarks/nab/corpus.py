"""The corpus of the Numenta Anomaly Benchmark: 58 series, and the windows in which each of them is anomalous."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

FOLDER = Path(os.environ.get("TELEMILL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "nab"
"""Where the corpus is looked for: `data` and `labels` of https://github.com/numenta/NAB."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series, in the order of its file.

    Attributes:
        name: of the file, with its category: `realTweets/Twitter_volume_AAPL.csv`.
        ts: int64, us since the epoch; a time may come twice, and one file steps back once.
        value: float64.
        windows: the first and the last row of each window, in order.
    """

    name: str
    ts: NDArray[np.int64]
    value: NDArray[np.float64]
    windows: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ts)

    @property
    def category(self) -> str:
        """What kind of series it is: the folder it is in."""
        return self.name.partition("/")[0]


def read(folder: Path) -> list[Series]:
    """Read the corpus: every series that `labels/combined_windows.json` names, in order of name.

    Raises:
        FileNotFoundError: if it isn't there; says what to do.
        ValueError: if a window doesn't begin and end at the time of one row each.
    """
    labels = folder / "labels" / "combined_windows.json"
    if not labels.exists():
        message = (
            f"the Numenta Anomaly Benchmark isn't at {folder}: clone https://github.com/numenta/NAB as `nab`, and set "
            "TELEMILL_DATA to the folder that it is in"
        )
        raise FileNotFoundError(message)
    named: Mapping[str, Sequence[Sequence[str]]] = json.loads(labels.read_text("utf-8"))
    return [_series(folder / "data" / name, name, named[name]) for name in sorted(named)]


def _series(file: Path, name: str, windows: Sequence[Sequence[str]]) -> Series:
    frame = pl.read_csv(file, schema={"timestamp": pl.String, "value": pl.Float64})
    ts = frame["timestamp"].str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us").to_physical().to_numpy()
    rows = [(_row(ts, begin, name), _row(ts, end, name)) for begin, end in windows]
    return Series(name, ts, frame["value"].to_numpy(), sorted(rows))


def _row(ts: NDArray[np.int64], text: str, name: str) -> int:
    found = np.flatnonzero(ts == np.datetime64(text, "us").astype(np.int64))
    if len(found) != 1:
        message = f"{name}: a window begins or ends at {text}, at which there are {len(found)} rows; expected one"
        raise ValueError(message)
    return int(found[0])
