"""Tests of the benchmark of the kernels: that it measures what there is, and writes what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.kernels import SCHEMA, batches, main, workloads
from operators.aggregate.base import aggregates
from operators.base import kinds


def test_it_measures_every_operator_and_aggregate_and_windows_of_six_statistics() -> None:
    names = [name for name, _, _ in workloads()]
    assert {f"{'.'.join(kind)} (its example)" for kind in kinds()} <= set(names)
    assert {f"{name} in tumbling 1m" for name in aggregates()} <= set(names)
    assert sum("six statistics" in name for name in names) == 3


def test_it_prints_a_table_and_writes_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    main(["--only", "tumbling 1m, six", "--devices", "10", "1000", "--minutes", "0.1", "--json", str(file)])
    figures = json.loads(file.read_text())
    assert [row["devices"] for row in figures["results"]] == [10, 1000]
    for row in figures["results"]:
        assert set(row) == {"workload", "devices", "ns_per_event", "bytes_per_device"}
        assert row["ns_per_event"] > 0
        assert row["bytes_per_device"] > 8
    assert "tumbling 1m, six statistics" in capsys.readouterr().out


def test_devices_send_as_often_as_they_are_said_to() -> None:
    made = batches(10, SCHEMA, 5, 1)
    first, second = next(made), next(made)
    for device in range(10):
        ts = np.concatenate([batch.ts[batch.device == device] for batch in (first, second)])
        assert set(np.diff(ts).tolist()) == {200_000}
