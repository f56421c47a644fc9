"""A detector over the corpus: each series is the stream of one device, to which the detector is new."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.nab.corpus import Series
from benchmarks.nab.score import PROFILES, Labels, Sweep, cross
from operators.base import Inputs
from operators.batch import Batch, Schema, Type
from operators.binary import Binary
from operators.clock import END, Clock
from operators.detect.base import Detector
from operators.devices import DeviceTable
from pipelines.located import Located, Mistake
from pipelines.steps import read_steps

SCHEMA = Schema({"value": Type.FLOAT}, ("device",), "ts")
PASSES = 3
"""Over the corpus, behind one that compiles the kernels: the cost of an event is the median of theirs."""


def detector(name: str, options: Mapping[str, Any]) -> Detector:
    """Make a detector on the values of a series, with options as in YAML.

    Raises:
        ValueError: if they are wrong; tells every mistake.
    """
    located = Located("")
    steps = read_steps(located, [{"detect": {name: {"field": "value", **options}}}], SCHEMA)
    if located.mistakes:
        raise ValueError("; ".join(map(_told, located.mistakes)))
    return cast(Detector, steps[0].spec)


def _told(mistake: Mistake) -> str:
    option = mistake.where.rpartition(".")[2]
    text = f"{option}: expected {mistake.expected}, given {mistake.given or 'nothing'}"
    return f"{text}; {mistake.fix}" if mistake.fix else text


@dataclass(frozen=True, slots=True)
class Measured:
    """What a detector made of the corpus.

    Attributes:
        scores: float64, of each series one a row.
        ns_per_event: CPU time of `on_batch`, kernels compiled.
        bytes_per_device: of what is kept at the end of a series, in all arrays together; of the series where it is most.
    """

    scores: list[NDArray[np.float64]]
    ns_per_event: float
    bytes_per_device: int


def measure(spec: Detector, corpus: Sequence[Series]) -> Measured:
    """Put every series through the detector, several times."""
    batches = [_batch(series) for series in corpus]
    scores, _, kept = _once(spec, batches)
    times = [_once(spec, batches)[1] for _ in range(PASSES)]
    return Measured(scores, median(times) / sum(map(len, corpus)), kept)


def _once(spec: Detector, batches: Sequence[Batch]) -> tuple[list[NDArray[np.float64]], int, int]:
    """Give the scores, the time (ns), and the most bytes that a state held."""
    scores, spent, kept = [], 0, 0
    for batch in batches:
        table = DeviceTable(SCHEMA.device)
        table.slots(Binary.of([b"device"]))
        state = spec.build(Inputs(SCHEMA, table))
        begin = time.process_time_ns()
        out = state.on_batch(batch)
        spent += time.process_time_ns() - begin
        scores.append(np.asarray(out.main.columns[f"{spec.prefix}score"]))
        kept = max(kept, sum(array.nbytes for array in state.snapshot().values()))
    return scores, spent, kept


def _batch(series: Series) -> Batch:
    """Make a batch of a series, in the order of its file, as a shard does."""
    rows = len(series)
    clock = Clock(lateness=0, idle=int(END), reach=0)
    device = np.zeros(rows, np.uint32)
    return clock.on_rows(device, series.ts, np.arange(rows), {"value": series.value}, SCHEMA.columns)


def figures(corpus: Sequence[Series], scores: Sequence[NDArray[np.float64]]) -> dict[str, Any]:
    """Score what a detector made of the corpus.

    Returns:
        By profile the scaled score, and under `thresholds` that at which it is (None: above all scores);
        `standard_split`: that of each half of the files at the threshold that the other half chose, the files in order of
        name going to the halves in turn; `by_category`, at the threshold of the standard profile: how many series and
        windows there are, how many windows were found, how many rows outside of them were detections, and the scaled score
        (None without windows).
    """
    labelled = [(own, Labels.of(len(own), series.windows)) for own, series in zip(scores, corpus, strict=True)]
    whole = Sweep.of(labelled)
    best = {name: whole.best(profile) for name, profile in PROFILES.items()}
    standard = PROFILES["standard"]
    categories: dict[str, Any] = {}
    for category in dict.fromkeys(series.category for series in corpus):
        own = [labels for labels, series in zip(labelled, corpus, strict=True) if series.category == category]
        part = Sweep.of(own)
        at = part.at(best["standard"])
        categories[category] = {
            "series": len(own),
            "windows": part.windows,
            "found": int(part.found[at]),
            "wrong": int(part.wrong[at]),
            "standard": part.score(best["standard"], standard) if part.windows else None,
        }
    return {
        **{name: whole.score(best[name], profile) for name, profile in PROFILES.items()},
        "standard_split": cross(Sweep.of(labelled[::2]), Sweep.of(labelled[1::2]), standard),
        "thresholds": {name: None if threshold == np.inf else threshold for name, threshold in best.items()},
        "by_category": categories,
    }


def write_scores(folder: Path, name: str, corpus: Sequence[Series], scores: Sequence[NDArray[np.float64]]) -> None:
    """Write `timestamp,score` of each series where NAB has its results: `NAME/CATEGORY/NAME_FILE.csv`."""
    for series, own in zip(corpus, scores, strict=True):
        file = folder / name / series.category / f"{name}_{Path(series.name).name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        frame = pl.DataFrame({"timestamp": pl.Series(series.ts, dtype=pl.Datetime("us")), "score": own})
        frame.write_csv(file, datetime_format="%Y-%m-%d %H:%M:%S")
