"""What `telemill run` tells at its end: what went in, what came out, and what didn't."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from rich.table import Table

from pipelines.plan import DEAD
from pipelines.shard import Counts
from pipelines.worker import Run


def of_run(run: Run) -> Table:
    """Sum up a run in a table."""
    counts, seconds = run.total(), run.seconds()
    table = Table(
        title=f"{run.pipeline.name}: {seconds:,.1f} s from the first record to the last",
        title_justify="left",
        show_header=False,
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_row("records in", f"{counts.records:,}")
    for sink in run.pipeline.sinks:
        rows = counts.dead if sink.stream == DEAD else counts.rows[sink.written]
        table.add_row(f"{sink.written} → {sink.topic}", f"{rows:,}")
    for what, rows in asides(counts, {sink.stream for sink in run.pipeline.sinks}):
        table.add_row(what, f"{rows:,}")
    if run.delivery_errors:
        table.add_row("not delivered", f"{run.delivery_errors:,}")
    table.add_row("events/s", f"{counts.records / max(seconds, 1e-9):,.0f}")
    return table


def asides(counts: Counts, read: Collection[str]) -> Iterator[tuple[str, int]]:
    """Give what a summary says besides what went in and what the sinks wrote, each with its number.

    Args:
        counts: what is summed up.
        read: the streams that a sink reads.
    """
    for stream, rows in counts.rows.items():
        if stream.endswith(".late") and stream not in read and rows:
            yield f"{stream}, which no sink reads", rows
    for step, rows in counts.partly_late.items():
        yield f"{step}: late for some of their windows, not for all", rows
    if DEAD not in read:
        yield "dead, which no sink reads", counts.dead
    if counts.moved:
        yield "times that a silent device was moved on", counts.moved
    if counts.forgotten:
        yield "devices forgotten", counts.forgotten
