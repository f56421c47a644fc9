"""What every operator is: a spec that a user writes, and a state that the shard keeps for it."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, TypeVar

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from operators.batch import Batch, Schema
from operators.devices import DeviceTable

Snapshot: TypeAlias = Mapping[str, NDArray[Any]]
"""Copies of a state's arrays, by name."""
_T = TypeVar("_T")


class Problem(NamedTuple):
    """One mistake in a spec.

    Attributes:
        at: where in the spec: keys and indices from its top.
        expected: what would be right there.
        given: what stands there, or None where something is absent.
        fix: the likely mend, or None.
    """

    at: tuple[str | int, ...]
    expected: str
    given: str | None = None
    fix: str | None = None


class SpecError(ValueError):
    """A spec that doesn't fit the rows that it is given. Carries every `Problem` at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems."""
        super().__init__("; ".join(f"expected {problem.expected}, given {problem.given}" for problem in problems))
        self.problems = list(problems)


def unfit(expected: str, *, fix: str | None = None, at: str | None = None) -> PydanticCustomError:
    """Make the error that a validator of a spec raises.

    Args:
        expected: what would be right.
        fix: the likely mend.
        at: the option that is wrong, where the error is raised for the whole spec.
    """
    context = {"expected": expected, "fix": fix, "at": at}
    return PydanticCustomError("unfit", "expected {expected}", {key: value for key, value in context.items() if value})


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an operator is built on.

    Attributes:
        schema: of the rows that it will be given.
        devices: the shard's device table.
        pipeline: the pipeline's name.
        step: the id of the step.
        punctuated: whether punctuations are wanted of it; nobody reads them where only a sink is behind.
    """

    schema: Schema
    devices: DeviceTable
    pipeline: str = "pipeline"
    step: str = "step"
    punctuated: bool = True


class Reject(NamedTuple):
    """A row that an operator can't process: its record goes to the dead letters with the reason."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a state made of a batch.

    Attributes:
        main: the rows for the next step.
        sides: rows put aside, by the name of the side output (`late`).
        rejects: rows that can't be processed.
        partly_late: how many rows came in time for some of their windows, and too late for others.
    """

    main: Batch
    sides: Mapping[str, Batch] = field(default_factory=dict)
    rejects: Sequence[Reject] = ()
    partly_late: int = 0


def did_you_mean(given: str, names: Iterable[str]) -> str | None:
    """Guess which of the names was meant.

    >>> did_you_mean("agregate", ["size", "aggregate"])
    'did you mean `aggregate`?'
    """
    near = difflib.get_close_matches(given, list(names), 1)
    return f"did you mean `{near[0]}`?" if near else None


class State(Protocol):
    """What a shard keeps for one step."""

    def on_batch(self, batch: Batch) -> Outputs:
        """Take in rows. Any cut of the same rows into batches gives the same rows out."""
        ...

    def snapshot(self) -> Snapshot:
        """Copy all that a new state needs to go on from here; empty for an operator that keeps nothing."""
        ...


class Operator(BaseModel):
    """The spec of an operator: its options in YAML, their documentation, and how a state is built from them.

    A subclass is the whole registration: `kinds` finds it by the name of its module.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary: ClassVar[str | None] = None
    """The option that a bare value stands for: `tumbling: 1m` means `tumbling: {size: 1m}`."""
    remembers: ClassVar[bool] = True
    """Whether a snapshot of its state holds what it has learnt from rows, if there is anything in it."""
    whole: ClassVar[str | None] = None
    """The option that the entire mapping under the operator's key stands for, where the keys are the user's own."""

    def outputs(self, schema: Schema) -> Mapping[str, Schema]:
        """Say what comes out for rows of this schema: the main output under "", side outputs by name.

        Raises:
            SpecError: if the spec doesn't fit the rows.
        """
        raise NotImplementedError

    def build(self, inputs: Inputs, resume: Snapshot | None = None) -> State:
        """Make an empty state, or one that goes on from a snapshot."""
        raise NotImplementedError

    def makes_rows(self) -> bool:
        """Say whether its main output has rows of its own making, that stand for no single record."""
        return False

    def reach(self) -> int:
        """Say for how long (us) after a device's last row its watermark still has work to do here."""
        return 0

    def grain(self) -> int:
        """Say at multiples of which time (us) a watermark has work to do here; 0 if nowhere."""
        return self.reach()


def classes_of(package: str, base: type[_T]) -> dict[tuple[str, ...], type[_T]]:
    """Find the classes that are registered by where they stand: `package/group/some_name.py` with `class SomeName`.

    Args:
        package: the name of the package to walk.
        base: what the classes are derived from.

    Returns:
        The path of the module below the package to its class.
    """
    root = importlib.import_module(package)
    found = {}
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        module = importlib.import_module(info.name)
        *_, name = info.name.split(".")
        value = getattr(module, name.title().replace("_", ""), None)
        if isinstance(value, type) and issubclass(value, base):
            found[tuple(info.name.split(".")[package.count(".") + 1 :])] = value
    return found


@cache
def kinds() -> dict[tuple[str, ...], type[Operator]]:
    """Find every operator by its place in the package, which is its name in YAML.

    >>> kinds()["window", "tumbling"].__name__
    'Tumbling'
    """
    return classes_of("operators", Operator)
