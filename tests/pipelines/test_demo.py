"""The demo, as a person runs it: real data, labelled anomalies, a picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import demo
from pipelines.demo import AFTERGLOW, Alert, Incident
from pipelines.plan import Pipeline
from pipelines.worker import Options, Run

ROOT = Path(__file__).parents[2]


def test_the_demo_finds_both_kettles_without_a_false_alert(tmp_path: Path) -> None:
    picture = tmp_path / "demo.png"
    command = [sys.executable, "-m", "pipelines", "demo", "--output", str(picture)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {" ".join(line.strip("│ ").split("│")).strip() for line in done.stdout.splitlines()}
    cells = {" ".join(line.split()) for line in lines}
    assert {
        "records in 18,914",
        "labelled anomalies found 2",
        "labelled anomalies missed 0",
        "false alerts 0",
        "rows out to motes.alerts 4",
        "dead 0",
    } <= cells
    assert done.stdout.count("raised ") == 2
    assert done.stdout.count("motes.yaml") == 3  # the three commands to try next
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    assert "\x1b[" not in done.stdout  # no colour where there is no terminal
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("alerts", "found", "missed", "false"),
    [
        ([], 0, 2, 0),
        ([Alert("a", 100.0)], 1, 1, 0),
        ([Alert("a", 150.0 + AFTERGLOW)], 1, 1, 0),
        ([Alert("a", 151.0 + AFTERGLOW)], 0, 2, 1),
        ([Alert("a", 99.0)], 0, 2, 1),
        ([Alert("b", 100.0), Alert("a", 120.0), Alert("a", 130.0)], 1, 1, 1),
        ([Alert("a", 120.0), Alert("b", 500.0)], 2, 0, 0),
    ],
)
def test_alerts_are_held_against_the_labels(alerts: list[Alert], found: int, missed: int, false: int) -> None:
    incidents = [Incident("a", 100.0, 150.0), Incident("b", 500.0, 500.0)]
    pipeline: Pipeline = None  # type: ignore[assignment]  # nothing of it is asked for
    outcome = demo._judge(Run(pipeline, Options()), incidents, alerts)
    assert (len(outcome.found), len(outcome.missed), len(outcome.false)) == (found, missed, false)


def test_a_picture_that_could_not_be_saved_is_told_before_the_demo_begins() -> None:
    command = [sys.executable, "-m", "pipelines", "demo", "--output", "nowhere/at/all.png"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "there is no folder" in done.stderr
    assert done.stdout == ""
