"""The corpus where it is there, and what NAB published of detectors on it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from benchmarks.nab import corpus
from benchmarks.nab.corpus import Series
from benchmarks.nab.score import Labels

PUBLISHED = Path(__file__).parent / "published"
RESULTS: Mapping[str, Mapping[str, float]] = json.loads((PUBLISHED / "results.json").read_text("utf-8"))
"""By detector and profile the final score."""


def series() -> list[Series]:
    """Read the corpus, or skip the test."""
    try:
        return corpus.read(corpus.FOLDER)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@dataclass(frozen=True)
class Shape:
    """What scoring needs to know of a series."""

    rows: int
    windows: list[tuple[int, int]]

    def labels(self) -> Labels:
        """Label its rows."""
        return Labels.of(self.rows, self.windows)


@cache
def shapes() -> dict[str, Shape]:
    """Give every series of the corpus by name."""
    found = json.loads((PUBLISHED / "series.json").read_text("utf-8"))
    return {
        name: Shape(each["rows"], [(first, last) for first, last in each["windows"]]) for name, each in found.items()
    }


@cache
def table(name: str) -> pl.DataFrame:
    """Read one of the published tables."""
    return pl.read_csv(gzip.decompress((PUBLISHED / name).read_bytes()), infer_schema_length=None)


@cache
def scores(detector: str) -> dict[str, NDArray[np.float64]]:
    """Give a detector's scores of every series: the high ones; the others are missing."""
    found = {name: np.full(shape.rows, np.nan) for name, shape in shapes().items()}
    for (name,), rows in table("detections.csv.gz").filter(detector=detector).group_by("file"):
        found[str(name)][rows["row"].to_numpy()] = rows["score"].to_numpy()
    return found
