"""Raise an alert when a condition holds or a device is missing, and clear it when that is over.

           `raise` true             held for `for`, and `cooldown` over        `clear` true, and no longer flapping
    [ok] ----------------> [pending] ---------------------------------> [open] --------------------------------> [ok]
      ^                       |                                row: raised | ^                      row: cleared
      +-----------------------+                                            +-+ a higher level of `severity` is reached
           `raise` not true                                                    row: escalated

              silent for `missing`, and `cooldown` over                    heard again
    [heard] ----------------------------------------------> [missing] -----------------> [heard]
                                                 row: raised              row: cleared

The two go on beside each other: a device may be missing while an alert of its condition is open.

An alert follows the newest reading of its device: a row older than the newest one seen changes nothing and goes to the
side output `late`. An alert of a device that is forgotten is over, without a row.

`alert_id` is the same for all rows of an alert, and the same again on a replay: it is made from the pipeline, the step, the
device, and the time and offset of the record with which the condition began to hold, and how often it had begun to before
within that record, which may hold several readings; for a silence, from those of the last reading. `since` is when the
condition began to hold, or when the device was heard last. `count` says for how many readings `raise` has held since then, and
`peak` is the largest value of the column `score`, or of the one that `peak` names, in the readings since then; rows without
such a column have no `peak`. Where a low value is the bad one, name a column that `derive` has made of it: `-battery`.

`severity` is a text, or has levels from low to high. An alert is raised with the highest level whose condition holds, or
with the lowest if none does; while it is open a row `escalated` tells of each higher level that is reached. It never falls;
the row `cleared` has the highest that there was.

After an alert is cleared none is raised for the device for `cooldown`. One whose condition still holds at its end is
raised with the first reading then, with the `since` of its beginning.

With `flapping`, an alert that is raised when its condition has come on or gone off `changes` times `within` so long, itself
included, stands for all to come: it isn't cleared while that goes on, but by the first reading for which the condition doesn't
hold and at which it has changed less often than that. Changes in a `cooldown` count, though nothing was raised.

    changes: 4, within: 1m     0s on: raised   10s off: cleared   20s on: raised   30s off: cleared
                               40s on: raised, flapping    50s off    60s on    70s off       100s still off: cleared

With `missing`, a device that is silent for that long raises an alert at the time of its last reading plus `missing`. It is told
when the device's watermark has come that far, which takes `lateness` longer by the clock of its shard, and never less than the
source's `idle`; a device that the source has forgotten before isn't missed. Its next reading clears the alert, at the time of
the reading, or of the alert where the device first sends what it had kept. The row `raised` has no reading, so its columns
are missing, and of `peak` and `count` there is none in either row; the level is the lowest. A `cooldown` holds for silences and for the condition each by
itself. Readings that a `filter` has taken out aren't seen here. A gap that was over before a watermark told of it is none.

With `missing` or `flapping`, rows have a `reason`: `condition`, `missing` or `flapping`.

Example:
    steps:
      - alert:
          raise: temperature > 80
          clear: temperature < 75
          for: 10s
          severity: {warning: temperature > 80, critical: temperature > 100}
          cooldown: 5m
          missing: 10m
          title: "{device}: {temperature:.1f} degrees, at most {peak:.1f} since {since}"
          peak: temperature
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, model_validator
from typing_extensions import Self

from operators import alert_machine as machine
from operators.alert_rows import Rows
from operators.alert_title import Title
from operators.base import Inputs, Operator, Outputs, Problem, Reject, Snapshot, SpecError, unfit
from operators.batch import Batch, Schema, Type
from operators.clock import NEVER
from operators.duration import Duration, PositiveDuration
from operators.expression import Expression
from operators.number import numbers, problems_of_number


class Flapping(BaseModel):
    """When an alert flaps: how often its condition has come or gone, and within how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    changes: StrictInt = Field(
        ge=2, le=1_000, description="How often the condition has come on or gone off, such as `6`."
    )
    within: PositiveDuration = Field(description="Within how long, in event time, such as `10m`.")


def _as_severity(value: object) -> object:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, dict) and value and {*map(type, value), *map(type, value.values())} == {str}:
        return value
    expected = "a text such as `critical`, or levels from low to high, each with a SQL condition"
    raise unfit(expected, fix="`severity: {warning: score > 3, critical: score > 6}`")


def _as_title(value: object) -> object:
    if not isinstance(value, str | None):
        expected = "a text with columns in braces"
        raise unfit(expected, fix='quote it: `title: "{device}: {score:.1f} since {since}"`')
    return value


class Alert(Operator):
    """Raise an alert when a condition holds or a device is missing, clear it when that is over."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    whole: ClassVar[str | None] = None

    raise_: str | None = Field(
        None,
        alias="raise",
        description="SQL condition that raises the alert, such as `score > 3`; may be left out where `missing` is given.",
    )
    clear: str | None = Field(None, description="SQL condition that clears it; without one, `raise` not being true.")
    for_: Duration = Field(0, alias="for", description="How long, in event time, `raise` must hold first.")
    severity: Annotated[
        str | dict[str, str],
        BeforeValidator(_as_severity, json_schema_input_type=str | Annotated[dict[str, str], Field(min_length=1)]),
    ] = Field(
        "warning",
        description="Written into the alert's rows, such as `critical`; or levels from low to high, each with the SQL "
        "condition in which it is reached: `{warning: score > 3, critical: score > 6}`.",
    )
    cooldown: Duration = Field(
        0, description="How long, in event time, none is raised for the device after one is cleared."
    )
    missing: PositiveDuration | None = Field(
        None, description="How long, in event time, a device may be silent before an alert says that it is missing."
    )
    flapping: Flapping | None = Field(
        None,
        description="When one alert is to stand for many: `{changes: 6, within: 10m}` for a condition that has come or gone "
        "that often in that time.",
    )
    peak: str | None = Field(
        None, description="The number column whose largest value is written as `peak`; `score` if left out."
    )
    title: Annotated[str | None, BeforeValidator(_as_title, json_schema_input_type=str | None)] = Field(
        None,
        description="A text with columns in braces, such as `{device}: {score:.1f} since {since}`, written as `title`.",
    )

    @model_validator(mode="after")
    def _raised_by_something(self) -> Self:
        if self.raise_ is not None:
            return self
        if self.missing is None:
            expected = "a condition in `raise`, or in `missing` how long a device may be silent"
            raise unfit(expected, fix="`raise: score > 3`, or `missing: 5m`")
        needing = ("clear", "for_", "flapping", "peak")
        for name in (*needing, *(["severity"] if isinstance(self.severity, dict) else [])):
            if name in self.model_fields_set and getattr(self, name) is not None:
                expected = f"a `raise` beside `{name.rstrip('_')}`"
                raise unfit(expected, at=name.rstrip("_"), fix="`raise: score > 3`, or leave it out")
        return self

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Give a row for each alert raised, escalated or cleared: what it is, and the columns of the row that did it."""
        problems = self._problems(schema)
        added = self.added(schema)
        clash = sorted({*added, "at"} & {*schema.columns, *schema.device})
        if clash:
            expected = "no columns that the alert's rows have too"
            fix = "rename them in a `derive` step or in the source's fields"
            problems.append(Problem((), expected, ", ".join(f"`{name}`" for name in clash), fix))
        out = Schema({**added, **schema.columns}, schema.device, "at")
        if self.title is not None:
            try:
                self.titled(out)
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        return {"": out, "late": schema}

    def added(self, schema: Schema) -> dict[str, Type]:
        """Give the columns that the alert's rows have beside those that come in."""
        names = ["alert_id", "pipeline", "alert", "state", "severity"]
        names += ["reason"] if self.missing is not None or self.flapping is not None else []
        names += ["title"] if self.title is not None else []
        added = {**dict.fromkeys(names, Type.TEXT), "since": Type.TIME}
        if self.raise_ is None:
            return added
        if self.peak_of(schema) is not None:
            added["peak"] = Type.FLOAT
        return {**added, "count": Type.INT}

    def peak_of(self, schema: Schema) -> str | None:
        """Give the column whose largest value is the peak."""
        type_ = schema.columns.get("score")
        return self.peak or ("score" if type_ is not None and type_.is_number else None)

    def levels(self) -> dict[str, str]:
        """Give the levels of severity with their conditions, from low to high; nothing where there is one alone."""
        return self.severity if isinstance(self.severity, dict) else {}

    def titled(self, out: Schema) -> Title:
        """Read the title of the rows that come out."""
        return Title(self.title or "", {name: type_ for name, type_ in out.names().items() if name != "title"})

    def conditions(self) -> dict[tuple[str, ...], str]:
        """Give every condition that is there, by where it stands: `raise`, `clear`, and those of the levels."""
        found: dict[tuple[str, ...], str | None] = {("raise",): self.raise_, ("clear",): self.clear}
        found |= {("severity", name): text for name, text in self.levels().items()}
        return {at: text for at, text in found.items() if text is not None}

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> _State:
        """Make a state in which no alert is raised, or go on from a snapshot."""
        return _State(self, inputs, resume)

    def makes_rows(self) -> bool:
        """The row of a device that is missing stands for no record."""
        return self.missing is not None

    def reach(self) -> int:
        """A device is missing so long after its last reading, and told to be behind a cooldown."""
        return self.missing + self.cooldown if self.missing is not None else 0

    def grain(self) -> int:
        """A device may be missed at any time; a quarter of `missing` later is soon enough."""
        return max((self.missing or 0) // 4, 1) if self.missing is not None else 0

    def _problems(self, schema: Schema) -> list[Problem]:
        """Say what is wrong with the conditions and the peak."""
        problems: list[Problem] = []
        for at, text in self.conditions().items():
            try:
                Expression(text, schema, at, Type.BOOL)
            except SpecError as error:
                problems += error.problems
        if self.peak is not None:
            problems += [problem._replace(at=("peak",)) for problem in problems_of_number(self.peak, schema)]
        return problems


class _State:
    def __init__(self, spec: Alert, inputs: Inputs, resume: Snapshot | None) -> None:
        outputs = spec.outputs(inputs.schema)
        self._conditions = {at: Expression(text, inputs.schema, at) for at, text in spec.conditions().items()}
        self._peak = spec.peak_of(inputs.schema)
        self._types = inputs.schema.columns
        self._devices = inputs.devices
        title = spec.titled(outputs[""]) if spec.title is not None else None
        self._rows = Rows(inputs, outputs[""], list(spec.levels()) or [str(spec.severity)], title)
        self._no_late = Batch.empty(outputs["late"].columns)
        within = spec.flapping.within if spec.flapping is not None else 0
        self._options = np.array([spec.for_, spec.cooldown, spec.missing or 0, within])
        changes = spec.flapping.changes if spec.flapping is not None else 0
        self._new = {
            "heads": machine.NEW_HEAD,
            "slots": machine.NEW,
            "changes": np.array([0, *[NEVER] * changes] if changes else [], np.int64),
            "silences": machine.NEW_SILENCE if spec.missing is not None else np.empty(0, np.int64),
        }
        """By slot, of a device that was never seen: see `operators.alert_machine`; in `changes` where the next time goes, and the
        last times at which the condition changed, us."""
        resume = resume or {name: np.empty((0, len(new)), np.int64) for name, new in self._new.items()}
        self._arrays = {name: resume[name].copy() for name in self._new}

    def on_batch(self, batch: Batch) -> Outputs:
        self._grow(int(batch.device.max(initial=0)) + 1)
        found, failed = self._evaluate(batch)
        ok = batch.live
        if failed:
            ok = batch.live.copy()
            ok[list(failed)] = False
        raises = found.pop(("raise",)) if self._conditions else np.zeros(len(batch), np.bool_)
        clears = found.pop(("clear",), None)
        level = np.zeros(len(batch) if found else 0, np.int8)
        for at, holds in enumerate(found.values(), 1):
            level[holds] = at
        events = np.empty((2 * len(batch), 10), np.int64)
        late = np.empty(len(batch), np.int64)
        count, older = machine.follow(
            batch.device, batch.ts, batch.watermark, batch.offset, batch.live, ok, raises,
            ~raises if clears is None else clears, level, self._score(batch), self._options, *self._arrays.values(),
            events, late,
        )  # fmt: skip
        rejects = [Reject(int(batch.offset[row]), reason) for row, reason in failed.items()]
        aside = batch.take(late[:older]) if older else self._no_late
        return Outputs(self._rows.of(batch, events[:count]), {"late": aside}, rejects)

    def snapshot(self) -> Snapshot:
        return {name: array.copy() for name, array in self._arrays.items()}

    def _evaluate(self, batch: Batch) -> tuple[dict[tuple[str, ...], NDArray[np.bool_]], dict[int, str]]:
        """Say for which rows each condition is true, and which rows failed and why."""
        found: dict[tuple[str, ...], NDArray[np.bool_]] = {}
        failed: dict[int, str] = {}
        for at, condition in self._conditions.items():
            column, rows = condition.evaluate(batch, self._devices)
            found[at] = np.asarray(column) == 1
            failed |= dict(rows)
        return found, failed

    def _score(self, batch: Batch) -> NDArray[np.float64]:
        if self._peak is None:
            return np.empty(0)
        column = batch.columns[self._peak]
        return column if self._types[self._peak] is Type.FLOAT else numbers(batch, self._peak)  # type: ignore[return-value]  # a float column

    def _grow(self, devices: int) -> None:
        known = len(self._arrays["slots"])
        if devices > known:
            more = max(devices, 2 * known) - known
            for name, new in self._new.items():
                self._arrays[name] = np.concatenate([self._arrays[name], np.tile(new, (more, 1))])
