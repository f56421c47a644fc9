"""The table in README.md: written by a run, between two comments, so that no number in it is anybody's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.throughput.figures import Figures
from benchmarks.throughput.report import named, notes, title

FILE = Path(__file__).parents[2] / "README.md"


class NoPlace(Exception):  # noqa: N818  # reads as what happened
    """The README has no place for the table; the message says which comments to put there."""


def markdown(
    about: Mapping[str, Any], found: Sequence[Figures], skipped: Mapping[str, str], allocator: str
) -> list[str]:
    """Give the lines of the table, with what it is of."""
    lines = [f"{title(about)}.", ""]
    lines += ["| system | events/s | CPU, ns/event | peak MB | events |", "| --- | ---: | ---: | ---: | ---: |"]
    for each in found:
        bold = "**" if (each.system, each.allocator) == ("telemill", allocator) else ""
        numbers = (each.events_per_s, each.cpu_ns_per_event, each.peak_rss_mb, each.messages)
        cells = " | ".join(f"{bold}{number:,.0f}{bold}" for number in numbers)
        lines.append(f"| {bold}{named(each)}{bold} | {cells} |")
    lines.append("")
    *told, command = notes(about, found, skipped)
    return [*lines, *(f"{note}  " for note in told), command.replace("Command: ", "Command: `") + "`"]


def rewritten(text: str, name: str, lines: Sequence[str]) -> str:
    """Put lines between the comments `<!-- benchmark NAME -->` and `<!-- end of benchmark NAME -->` of a text.

    Raises:
        NoPlace: if the comments aren't there.
    """
    begin, end = f"<!-- benchmark {name} -->", f"<!-- end of benchmark {name} -->"
    if begin not in text or end not in text:
        message = f"put a line `{begin}` and a line `{end}` where the table is to stand"
        raise NoPlace(message)
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}"
