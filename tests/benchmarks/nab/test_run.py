"""Tests of the detectors over the corpus, on a small one that is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.nab import corpus
from benchmarks.nab.__main__ import NAMES, main
from benchmarks.nab.corpus import Series
from benchmarks.nab.run import SCHEMA, detector, figures, measure
from tests.operators.rows import NINE, SECOND, clocked, run

KNOWN = ["level_shift", "zscore"]


def made_up(number: int, rows: int = 600) -> Series:
    """Make a series of noise with a spike of ten rows, and a window that begins a little before it."""
    random = np.random.default_rng(number)
    value = random.normal(20, 1, rows)
    value[rows // 2 : rows // 2 + 10] += 50
    ts = NINE + np.arange(rows) * SECOND
    window = (rows // 2 - 10, rows // 2 + 40)
    return Series(f"{'ab'[number % 2]}/{number}.csv", ts, value, [window] if number % 3 else [])


CORPUS = [made_up(number) for number in range(8)]


@pytest.mark.parametrize("name", KNOWN)
def test_scores_are_those_of_the_operator_for_a_device_of_its_own(name: str) -> None:
    spec = detector(name, {"warmup": 100})
    for series, scores in zip(CORPUS, measure(spec, CORPUS).scores, strict=True):
        readings = [(b"x", int(ts), {"value": value}) for ts, value in zip(series.ts, series.value, strict=True)]
        assert scores.tolist() == [row["score"] for row in run(spec, clocked(readings), SCHEMA).main]
        assert scores.max() > 2


@pytest.mark.parametrize("name", KNOWN)
def test_what_comes_later_changes_no_score(name: str) -> None:
    spec = detector(name, {"warmup": 100})
    short = [replace(series, ts=series.ts[:305], value=series.value[:305]) for series in CORPUS]
    for whole, begun in zip(measure(spec, CORPUS).scores, measure(spec, short).scores, strict=True):
        assert whole[:305].tolist() == begun.tolist()


def test_time_that_steps_back_is_taken_in_the_order_of_the_file() -> None:
    series = made_up(1)
    series.ts[400] = series.ts[0]
    found = measure(detector("zscore", {}), [series, made_up(1)]).scores
    assert found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize(("name", "kept"), [("zscore", 4 * 8 + 16 * 4), ("level_shift", 5 * 8 + 96 * 4)])
def test_the_cost_is_that_of_an_event_and_of_a_device(name: str, kept: int) -> None:
    made = measure(detector(name, {}), CORPUS)
    assert made.bytes_per_device == kept
    assert 0 < made.ns_per_event < 100_000


def test_options_are_those_of_yaml_and_every_mistake_is_told() -> None:
    assert detector("zscore", {"half_life": 50}).model_dump()["half_life"] == 50
    scores = measure(detector("zscore", {"prefix": "z_"}), CORPUS[:1]).scores
    assert scores[0].tolist() == measure(detector("zscore", {}), CORPUS[:1]).scores[0].tolist()
    with pytest.raises(ValueError, match=r"half_lif: expected .*; did you mean `half_life`\?") as told:
        detector("zscore", {"half_lif": 3, "warmup": 2})
    assert "warmup: expected a number of at least 10, given 2" in str(told.value)


def test_figures_are_by_profile_by_halves_and_by_category() -> None:
    scores = [np.zeros(len(series)) for series in CORPUS]
    for number, score in {1: 9, 2: 8, 4: 3, 5: 4, 7: 7}.items():
        scores[number][CORPUS[number].windows[0][0]] = score
    scores[3][150] = 3.5
    found = figures(CORPUS, scores)
    # Every window is found at its first row, and there is one wrong detection.
    assert found["thresholds"] == {"standard": 3.0, "low_fp": 3.0, "low_fn": 3.0}
    assert found["standard"] == pytest.approx(100 * (10 - 0.11) / 10)
    assert found["low_fp"] == pytest.approx(100 * (10 - 0.22) / 10)
    assert found["low_fn"] == pytest.approx(100 * (15 - 0.11) / 15)
    # The halves are 0, 2, 4, 6 and 1, 3, 5, 7. The first chooses 3; the other chooses 4, at which number 4 is missed.
    assert found["standard_split"] == pytest.approx(100 * (8 - 0.11) / 10)
    assert found["by_category"] == {
        "a": {"series": 4, "windows": 2, "found": 2, "wrong": 0, "standard": pytest.approx(100)},
        "b": {"series": 4, "windows": 3, "found": 3, "wrong": 1, "standard": pytest.approx(100 * (6 - 0.11) / 6)},
    }
    without = figures([replace(series, windows=[]) for series in CORPUS[:2]], scores[:2])
    assert without["thresholds"]["standard"] is None
    assert without["by_category"]["a"]["standard"] is None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the corpus into files, where the benchmark finds it."""
    windows = {}
    for series in CORPUS:
        time = pl.Series("timestamp", series.ts, dtype=pl.Datetime("us"))
        text = time.dt.strftime("%Y-%m-%d %H:%M:%S")
        file = tmp_path / "data" / series.name
        file.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"timestamp": text, "value": series.value}).write_csv(file)
        windows[series.name] = [[f"{text[edge]}.000000" for edge in window] for window in series.windows]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    return tmp_path


def test_it_prints_what_it_writes_and_writes_every_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, scores = folder / "figures.json", folder / "scores"
    options = '{"half_life": 100}'
    main(["--detector", "zscore", "--options", options, "--json", str(file), "--scores", str(scores)])
    written = json.loads(file.read_text())
    read = corpus.read(folder)
    expected = measure(detector("zscore", {"half_life": 100}), read).scores
    assert {**written, **figures(read, expected)} == written
    assert (written["detector"], written["options"], written["bytes_per_device"]) == ("zscore", {"half_life": 100}, 96)
    assert written["ns_per_event"] > 0
    out = capsys.readouterr().out
    assert f"{written['standard']:.1f}" in out
    assert "zscore, standard profile: detected from" in out
    for series, own in zip(read, expected, strict=True):
        category, name = series.name.split("/")
        rows = pl.read_csv(scores / "zscore" / category / f"zscore_{name}")
        assert rows["score"].to_list() == own.tolist()
        assert rows["timestamp"][:2].to_list() == ["2023-03-16 09:00:00", "2023-03-16 09:00:01"]


def test_all_detectors_are_measured_and_it_is_said_which_need_options(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "figures.json"
    main(["--all", "--json", str(file)])
    written = json.loads(file.read_text())
    measured = [each["detector"] for each in written["results"]]
    assert sorted([*measured, *written["left_out"]]) == NAMES
    assert set(KNOWN) <= set(measured)
    out = capsys.readouterr().out
    assert "range is left out: detect: expected `low`, `high` or both" in out
    assert all(name in out for name in measured)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--detector", "zscor"], "invalid choice: 'zscor'"),
        (["--options", "{half_life: 1}"], "--options aren't JSON"),
        (["--options", "[]"], "--options aren't a mapping"),
        (["--detector", "zscore", "--options", '{"warmup": 1}'], "zscore: warmup: expected a number of at least 10"),
        (["--detector", "range"], "range: detect: expected `low`, `high` or both"),
        (["--all", "--options", "{}"], "--options are of one detector"),
    ],
)
def test_a_mistake_in_the_command_is_told(arguments: Any, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert told in capsys.readouterr().err


def test_without_the_corpus_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="the Numenta Anomaly Benchmark isn't at"):
        main(["--detector", "zscore"])
