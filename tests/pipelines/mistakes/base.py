"""A good pipeline file, and what a mistake in it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.located import Mistake

GOOD = """\
name: mill
source:
  kafka:
    topics: [raw]
  format: json
  device: dev
  time: {field: ts, unit: ms, lateness: 30s, idle: 5m}
  fields:
    temperature: float
    humidity: float
    status: text
steps:
  - id: clean
    filter: temperature > 0
  - id: odd
    detect: {range: {field: humidity, low: 0, high: 100}}
  - id: minute
    from: clean
    window:
      tumbling: 1m
      aggregate:
        t_mean: mean(temperature)
  - id: alarm
    from: odd
    alert: {raise: score > 3}
sinks:
  - from: minute
    kafka: {topic: out}
  - from: alarm
    kafka: {topic: alerts}
tests:
  - name: nothing comes of nothing
    at: minute
    input: []
    expect: []
"""
FILTER = "    filter: temperature > 0\n"
SOURCE_KAFKA = "    topics: [raw]\n"
TIME = "  time: {field: ts, unit: ms, lateness: 30s, idle: 5m}\n"
FIELD = "    temperature: float\n"
RANGE = "    detect: {range: {field: humidity, low: 0, high: 100}}\n"
WINDOW = "      tumbling: 1m\n      aggregate:\n        t_mean: mean(temperature)\n"
AGGREGATE = "        t_mean: mean(temperature)\n"
ALERT = "    alert: {raise: score > 3}\n"
SINKS = "sinks:\n"
ALERTS = "    kafka: {topic: alerts}\n"


@dataclass(frozen=True)
class Says:
    """One mistake as it should be told: where it stands, and words that must be in what is said of it."""

    where: str
    expected: str
    given: str
    fix: str = ""

    def fits(self, mistake: Mistake, line: int) -> bool:
        return (
            (mistake.line, mistake.where) == (line, self.where)
            and self.expected in mistake.expected
            and self.given in (mistake.given or "nothing")
            and self.fix in (mistake.fix or "")
        )


@dataclass(frozen=True)
class Case:
    """A mistake: `old` in the good file becomes `new`.

    The line that has to be named ends in `#!`; in `#!!` where two mistakes are to be told of it, and so on.
    """

    name: str
    old: str
    new: str
    says: Sequence[Says]

    @property
    def text(self) -> str:
        assert GOOD.count(self.old) == 1, self.old
        return GOOD.replace(self.old, self.new)


def case(name: str, old: str, new: str, *says: Says) -> Case:
    return Case(name, old, new, says)
