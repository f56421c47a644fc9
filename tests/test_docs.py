"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from operators.aggregate.base import aggregates
from operators.base import kinds
from pipelines import config
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


def test_the_mistake_in_the_readme_is_told_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = re.findall(r"```\n(my\.yaml:.*?)```", README, re.DOTALL)
    motes = (ROOT / "pipelines/examples/motes.yaml").read_text()
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(motes.replace("      aggregate:\n", "      agregate:\n"))
    with pytest.raises(ConfigError) as caught:
        config.read(Path("my.yaml"), {})
    assert shown in f"{caught.value}\n"


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
