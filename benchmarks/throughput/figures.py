"""From the lines that processes print to the figures: CPU and wall time of the steady part, by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """What one system costs; the medians of its runs.

    Attributes:
        system: its name.
        allocator: under it.
        version: of it.
        messages: that it was given.
        devices: that sent them.
        events_per_s: messages a second of wall time.
        cpu_ns_per_event: CPU of all its threads by message.
        peak_rss_mb: the most memory that it held.
        rows_checked: rows held against brute force, in each run; 0 where it writes none.
        runs: the lines as they were printed.
    """

    system: str
    allocator: str
    version: str
    messages: int
    devices: int
    events_per_s: float
    cpu_ns_per_event: float
    peak_rss_mb: float
    rows_checked: int
    runs: Sequence[Mapping[str, Any]]


def figures(
    system: str, allocator: str, devices: int, lines: Sequence[Mapping[str, Any]], rows_checked: int
) -> Figures:
    """Compute the figures of a system from the lines of its runs."""
    return Figures(
        system,
        allocator,
        lines[0]["version"],
        lines[0]["messages"],
        devices,
        median(line["steady"] / line["wall_s"] for line in lines),
        median(line["cpu_s"] / line["steady"] * 1e9 for line in lines),
        median(line["peak_rss_mb"] for line in lines),
        rows_checked,
        lines,
    )
