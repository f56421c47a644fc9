"""The figures as a table on the screen, and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.throughput.allocators import SYSTEM
from benchmarks.throughput.figures import Figures
from benchmarks.throughput.systems import BASELINE, SYSTEMS

TITLES = {system.name: system.title for system in SYSTEMS}


def title(about: Mapping[str, Any]) -> str:
    """Say what was measured and where."""
    return (
        f"{about['workload']} in {about['format']}: {about['events']:,} readings of {about['devices']:,} devices, "
        f"{about['partitions']} partitions; medians of {about['repeat']} runs; {about['machine']}, {about['cores']} cores, Python {about['python']}, "
        f"seed {about['seed']}"
    )


def named(each: Figures) -> str:
    """Name a system, and the allocator where that is another than the system's own."""
    under = "" if each.allocator == SYSTEM else f", {each.allocator}"
    return f"{TITLES[each.system]}{under}"


def table(about: Mapping[str, Any], found: Iterable[Figures], allocator: str) -> Table:
    """Draw the figures of all systems; telemill's under the chosen allocator stand out."""
    made = Table(title=title(about), title_justify="left", box=SIMPLE_HEAD)
    made.add_column("system", no_wrap=True)
    for column in ("events/s", "CPU, ns/event", "peak MB", "events", "devices", "rows checked"):
        made.add_column(column, justify="right", no_wrap=True)
    for each in found:
        made.add_row(
            named(each),
            f"{each.events_per_s:,.0f}",
            f"{each.cpu_ns_per_event:,.0f}",
            f"{each.peak_rss_mb:,.0f}",
            f"{each.messages:,}",
            f"{each.devices:,}",
            f"{each.rows_checked:,}",
            style="bold" if (each.system, each.allocator) == ("telemill", allocator) else None,
        )
    return made


def notes(about: Mapping[str, Any], found: Iterable[Figures], skipped: Mapping[str, str]) -> list[str]:
    """Tell the versions, which systems weren't measured and why, and the command."""
    versions = dict.fromkeys(each.version for each in found)
    without = [f"{TITLES[name]}: not measured, {reason.splitlines()[0]}" for name, reason in skipped.items()]
    return [*without, f"Versions: {'; '.join(versions)}.", f"Command: {about['command']}"]


def summary(found: Iterable[Figures], allocator: str) -> dict[str, Any]:
    """Give telemill's figures under the chosen allocator, and the bare consumer's CPU beside them."""
    of = {(each.system, each.allocator): each for each in found}
    made: dict[str, Any] = {"allocator": allocator}
    telemill, consumer = of.get(("telemill", allocator)), of.get((BASELINE, allocator))
    if telemill is not None:
        made |= {
            "events_per_s": telemill.events_per_s,
            "cpu_ns_per_event": telemill.cpu_ns_per_event,
            "peak_rss_mb": telemill.peak_rss_mb,
            "rows_checked": telemill.rows_checked,
        }
    if consumer is not None:
        made["consumer_cpu_ns_per_event"] = consumer.cpu_ns_per_event
    return made
