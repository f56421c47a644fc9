"""The pages in docs are true: one is written from the operators, and the examples of the other run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from operators.base import kinds
from pipelines import config
from pipelines.manual import page
from pipelines.reference import entries
from pipelines.schema import schema
from pipelines.testing import run_tests

DOCS = Path(__file__).parents[1] / "docs"
TIME = (DOCS / "time.md").read_text("utf-8")
HEAD, *BLOCKS = re.findall(r"```yaml\n(.*?)```", TIME, re.DOTALL)


def test_the_page_of_operators_says_what_they_are() -> None:
    fresh = (DOCS / "operators.md").read_text("utf-8") == page(entries())
    assert fresh, "docs/operators.md is stale: an operator or aggregate has changed. Run `make docs`"


@pytest.mark.parametrize("block", BLOCKS, ids=[re.findall("name: (.*)", block)[0] for block in BLOCKS])
def test_what_the_page_on_time_shows_is_so(block: str, tmp_path: Path) -> None:
    file = tmp_path / "time.yaml"
    file.write_text(HEAD + block)
    results = run_tests(config.read(file, {}))
    assert {result.test.name: list(result.differences) for result in results if result.differences} == {}
    assert len(results) == block.count("- name: ")


def test_the_page_on_time_shows_every_kind_of_window_with_a_timeline_and_an_example() -> None:
    chapter = TIME.partition("\n## Windows\n")[2].partition("\n## ")[0]
    sections = {section.partition(":")[0].lower(): section for section in chapter.split("\n### ")[1:]}
    assert sorted(sections) == sorted(name for group, *names in kinds() if group == "window" for name in names)
    for name, section in sections.items():
        assert "```text" in section, name
        assert f"window: {{{name}: " in section, name


def test_the_defaults_on_the_page_on_time_are_those_of_the_source() -> None:
    said = dict(re.findall(r"`(\w+)`\s+\((\w+)\s+if\s+left\s+out\)", TIME))
    time = schema()["$defs"]["TimeSpec"]["properties"]
    defaults = {name: option["default"] for name, option in time.items() if "default" in option}
    assert said == defaults


@pytest.mark.parametrize("name", ["time.md", "operators.md"])
def test_every_link_on_the_page_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (DOCS / name).read_text("utf-8")):
        assert target.startswith("https://") or (DOCS / target).exists(), target
