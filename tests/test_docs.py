"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from connectors.codec.base import formats, written
from operators.aggregate.base import aggregates
from operators.base import kinds
from pipelines import config
from pipelines.__main__ import app
from pipelines.located import ConfigError
from pipelines.testing import run_tests

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_pipeline_in_the_readme_is_right_and_passes_its_own_tests(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "readme.yaml"
    file.write_text(block)
    pipeline = config.read(file, {})
    results = run_tests(pipeline)
    assert len(results) == 2
    assert not any(result.differences for result in results)


def test_the_backtest_in_the_readme_runs_over_the_motes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (command,) = re.findall(r"`telemill (backtest .*?)`", README.partition("## The command line")[0])
    readings = pl.read_csv(ROOT / "pipelines/examples/data/motes.csv.gz")
    monkeypatch.chdir(tmp_path)
    Path("motes.yaml").write_text(block)
    readings.with_columns(ts=1_273_000_000_000 + pl.col("reading") * 5_000).write_csv("readings.csv")
    result = CliRunner().invoke(app, command.split())
    assert (result.exit_code, result.stderr) == (0, "")
    minutes = pl.read_parquet("backtest-motes/minute.parquet")
    assert minutes["n"].filter(minutes["final"]).sum() == len(readings)
    assert not minutes["final"].all()
    assert len(pl.read_parquet("backtest-motes/episode.motes.episodes.parquet")) == 2, "both times the kettle boiled"
    assert pl.read_parquet("backtest-motes/alarms.parquet")["state"].to_list() == ["raised", "cleared"] * 2
    assert {file.name for file in Path("backtest-motes").glob("*.png")} == {"1.png", "2.png", "3.png", "4.png"}


def test_the_mistake_in_the_readme_is_told_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = re.findall(r"```\n(my\.yaml:.*?)```", README, re.DOTALL)
    motes = (ROOT / "pipelines/examples/motes.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(motes.replace("      aggregate:\n", "      agregate:\n"))
    with pytest.raises(ConfigError) as caught:
        config.read(Path("my.yaml"), {})
    assert shown in f"{caught.value}\n"


def test_the_readme_names_every_format_where_it_tells_of_sources_and_sinks() -> None:
    source, sinks = (README.partition(f"**{part}")[2].partition("\n\n")[0] for part in ("Source.", "Sinks"))
    assert set(formats()) == set(re.findall(r"`\{?(\w+)", source.partition("`format` is")[2].partition(". Further")[0]))
    assert set(written()) == set(re.findall(r"`(\w+)`", sinks.partition("keyed by")[0]))


def test_the_readme_names_every_operator_and_aggregate() -> None:
    table = [line for line in README.splitlines() if line.startswith("| `")]
    for kind in kinds():
        assert any(all(part in line for part in kind) for line in table), kind
    (line,) = [line for line in README.splitlines() if line.startswith("Aggregates:")]
    for name in aggregates():
        assert f"`{name}" in line, name


def test_every_link_in_the_docs_leads_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
            assert target.startswith("https://") or (ROOT / target).exists(), target
