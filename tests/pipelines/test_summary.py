"""Tests of what a run tells at its end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from pipelines import config, summary
from pipelines.shard import Counts
from pipelines.worker import Options, Run

PIPELINE = """\
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms}
  fields: {n: int}
steps:
  - id: w
    window: {hopping: {size: 10s, slide: 5s}, aggregate: {n: count()}}
sinks:
  - {from: w, when: n > 1, kafka: {topic: busy}}
"""


def told(folder: Path, monkeypatch: pytest.MonkeyPatch, counts: Counts) -> list[list[str]]:
    """Give the cells of the table."""
    file = folder / "mill.yaml"
    file.write_text(PIPELINE)
    run = Run(config.read(file, {}), Options())
    monkeypatch.setattr(Run, "total", lambda _: counts)
    console = Console(width=120)
    with console.capture() as shown:
        console.print(summary.of_run(run))
    lines = [line for line in shown.get().splitlines() if "│" in line]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_it_says_what_went_in_what_came_out_and_what_did_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts(records=12_345, dead=4, moved=7, forgotten=3)
    counts.rows = Counter({"source": 12_341, "w": 50, "w when n > 1": 20, "w.late": 6})
    counts.partly_late = Counter({"w": 9})
    rows = told(tmp_path, monkeypatch, counts)
    assert rows[:-1] == [
        ["records in", "12,345"],
        ["w when n > 1 → busy", "20"],
        ["w.late, which no sink reads", "6"],
        ["w: late for some of their windows, not for all", "9"],
        ["dead, which no sink reads", "4"],
        ["times that a silent device was moved on", "7"],
        ["devices forgotten", "3"],
    ]
    assert rows[-1][0] == "events/s"


def test_of_what_did_not_happen_it_says_nothing_but_that_no_record_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name for name, _ in told(tmp_path, monkeypatch, Counts(records=5))]
    assert names == ["records in", "w when n > 1 → busy", "dead, which no sink reads", "events/s"]
