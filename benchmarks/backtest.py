"""How fast `telemill backtest` is, from a file to files: `python -m benchmarks.backtest`.

A made-up file of sensors that send a temperature and a humidity once a second, in each format, through
pipelines/examples/motes.yaml. What is timed is what the summary of a backtest tells: reading and decoding, the shard, and
writing the results; not the start of Python.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from benchmarks import command
from connectors.files.table import open_table
from pipelines import backtest, config

PIPELINE = Path(__file__).parents[1] / "pipelines" / "examples" / "motes.yaml"
DEVICES = 50
FORMATS = ("csv", "ndjson", "parquet")


def readings(rows: int, seed: int) -> pl.DataFrame:
    """Make readings of `DEVICES` sensors, one after the other once a second each."""
    random = np.random.default_rng(seed)
    at = np.arange(rows)
    return pl.DataFrame(
        {
            "mote_id": at % DEVICES,
            "ts": 1_700_000_000_000 + at // DEVICES * 1_000,
            "temperature": random.normal(20, 2, rows).round(2),
            "humidity": random.normal(50, 3, rows).round(2),
        }
    )


def measure(file: Path, folder: Path) -> dict[str, float]:
    """Run the pipeline over a file; gives the seconds of each part, and rows a second."""
    pipeline = config.read(PIPELINE, {})
    options = backtest.Options(folder)
    backtest.prepare(pipeline, file, options)
    table = open_table(file, pipeline.source.reading, pipeline.source.schema)
    outcome = backtest.backtest(pipeline, table, options, Console(quiet=True))
    parts = {part: float(getattr(outcome, part)) for part in ("reading", "processing", "writing")}
    return {**parts, "rows_per_second": outcome.counts.records / outcome.seconds()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = command.parser("benchmarks.backtest", "How fast a backtest is.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the file; a million if left out")
    parser.add_argument("--seed", type=int, default=1, help="of the values")
    options = parser.parse_args(arguments)
    table = Table(title=f"{PIPELINE.name} over {options.rows:,} rows", title_justify="left")
    for column in ("format", "reading, s", "processing, s", "writing, s", "rows/s"):
        table.add_column(column, justify="left" if column == "format" else "right")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        frame = readings(options.rows, options.seed)
        for name in FORMATS:
            file = Path(folder) / f"readings.{name}"
            getattr(frame, f"write_{name}")(file)
            made = measure(file, Path(folder) / name)
            results.append({"format": name, "rows": options.rows, **made})
            parts = (f"{made[part]:.2f}" for part in ("reading", "processing", "writing"))
            table.add_row(name, *parts, f"{made['rows_per_second']:,.0f}")
    figures = {**command.machine(), "seed": options.seed, "command": command.called("benchmarks.backtest", arguments)}
    command.finish(command.console(), table, {**figures, "results": results}, options.json)


if __name__ == "__main__":
    main()
