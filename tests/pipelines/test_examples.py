"""The examples are right, and the tests that stand in them pass."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipelines
from pipelines import config
from pipelines.testing import run_tests

EXAMPLES = sorted((Path(pipelines.__file__).parent / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert "motes.yaml" in [example.name for example in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_right_and_its_own_tests_pass(example: Path) -> None:
    pipeline = config.read(example, {})
    assert pipeline.tests, "an example shows what it does"
    assert {result.test.name: list(result.differences) for result in run_tests(pipeline) if result.differences} == {}
