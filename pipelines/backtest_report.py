"""What `telemill backtest` tells: what went in and came out, what is written where, and what looks wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from connectors.codec.base import Unit
from pipelines.backtest import Outcome
from pipelines.plan import DEAD, SOURCE
from pipelines.summary import asides

_PER_UNIT = {Unit.S: 1_000_000.0, Unit.MS: 1_000.0, Unit.US: 1.0, Unit.NS: 0.001}
_YEAR = 31_556_952_000_000
_EARLIEST, _PLAUSIBLE, _LATEST = 10 * _YEAR, 20 * _YEAR, 130 * _YEAR
"""The years 1980, 1990 and 2100: what is before the first or behind the last looks wrong; us since the epoch."""
_NO_TIME = re.compile(r"field `[^`]*`: expected a time as a number of .*, given a number: ([-+.0-9e]+)$")


def summary(outcome: Outcome, file: Path) -> Table:
    """Say in a table what went in and came out."""
    counts, seconds = outcome.counts, outcome.seconds()
    table = Table(title=f"{outcome.pipeline.name} over {file.name}", title_justify="left", show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_row("rows in", f"{counts.records:,}")
    if outcome.first is not None and outcome.last is not None:
        table.add_row("their first time", _at(outcome.first))
        table.add_row("their last time", _at(outcome.last))
    for stream, written in outcome.files.items():
        table.add_row(f"{stream} → {written}", f"{counts.dead if stream == DEAD else counts.rows[stream]:,}")
    for what, rows in asides(counts, outcome.files):
        table.add_row(what, f"{rows:,}")
    table.add_row("seconds", f"{seconds:,.2f}")
    for part in ("reading", "processing", "writing"):
        table.add_row(f"  {part}", f"{getattr(outcome, part):,.2f}")
    table.add_row("rows/s", f"{counts.records / max(seconds, 1e-9):,.0f}")
    return table


def by_device(outcome: Outcome) -> Table | None:
    """Say in a table how many rows each device had in each stream; None where there are many devices, or one."""
    if outcome.devices is None or len(outcome.devices) < 2:
        return None
    shown = [stream for stream in outcome.files if stream != DEAD]
    table = Table(title="rows by device", title_justify="left")
    table.add_column("device", overflow="fold")
    for name in ("in", *shown):
        table.add_column(name, justify="right", overflow="fold")
    for device, counts in outcome.devices.items():
        table.add_row(device, *(f"{counts[stream]:,}" for stream in (SOURCE, *shown)))
    return table


def tell(outcome: Outcome, file: Path, out: Console) -> None:
    """Say what came out, and which files hold it."""
    for table in (summary(outcome, file), by_device(outcome)):
        if table is not None:
            out.print(table)
    if outcome.replaced:
        names = ", ".join(path.name for path in outcome.replaced)
        out.print(f"written over in {outcome.options.output}: {names}", markup=False, highlight=False, soft_wrap=True)


def doubts(outcome: Outcome) -> Iterator[str]:
    """Say what looks wrong, and what would mend it."""
    if outcome.letters:
        rows = f"{len(outcome.letters):,} of {outcome.counts.records:,} rows are dead"
        number, reason = outcome.letters[0]
        yield f"{rows}; the first is row {number}: {reason}"
    yield from _unread_late(outcome)
    source = outcome.pipeline.source
    unit = source.reading.unit if source.reading.time else Unit.MS
    if unit in _PER_UNIT:
        yield from _wrong_unit(outcome, unit)
    first, last = outcome.first, outcome.last
    if first is not None and last is not None and (first < _EARLIEST or last >= _LATEST):
        where = f"the times of the rows go from {_at(first)} to {_at(last)}"
        yield f"{where}: is a clock not set, or the unit wrong? A `filter` on the time leaves rows out"


def _unread_late(outcome: Outcome) -> Iterator[str]:
    """Say where many rows came late, and nobody reads them."""
    counts = outcome.counts
    for stream, rows in counts.rows.items():
        if stream.endswith(".late") and stream not in outcome.files and rows > max(counts.records // 20, 2):
            fix = "is the file out of order? Try --sort, or a longer `lateness`"
            yield f"{rows:,} of {counts.records:,} rows came late to `{stream[: -len('.late')]}`, and no sink reads them: {fix}"


def _wrong_unit(outcome: Outcome, unit: Unit) -> Iterator[str]:
    """Say where times would be right in another unit."""
    numbers = [float(found[1]) for _, reason in outcome.letters[:1] if (found := _NO_TIME.match(reason))]
    if (
        outcome.first is not None
        and outcome.last is not None
        and (outcome.last < _EARLIEST or outcome.first >= _LATEST)
    ):
        numbers.append(outcome.last / _PER_UNIT[unit])
    for number in numbers[:1]:
        meant = next((other for other, per in _PER_UNIT.items() if _PLAUSIBLE <= number * per < _LATEST), unit)
        if meant is not unit:
            fix = f"write `unit: {meant.value}` under the source's `time`"
            yield f"times are read as numbers of {unit.value}, but {number:.0f} looks like {meant.value}: {fix}"


def _at(us: int) -> str:
    return str(np.datetime64(us, "us").astype("datetime64[s]")).replace("T", " ") + " UTC"
