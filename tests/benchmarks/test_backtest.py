"""Tests of the benchmark of backtests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.backtest import FORMATS, main


def test_it_measures_every_format_and_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    main(["--rows", "5000", "--json", str(file)])
    figures = json.loads(file.read_text())
    assert [row["format"] for row in figures["results"]] == list(FORMATS)
    assert all(row["rows_per_second"] > 0 for row in figures["results"])
    assert "motes.yaml over 5,000 rows" in capsys.readouterr().out
