"""How an aggregate is called: `mean(temperature)`, `p95(latency)`, `time_in(pressure > 4)`.

What an aggregate is of may be a column, the rows' own time, or a SQL expression over them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from operators.aggregate.base import Aggregate, aggregates
from operators.base import Problem, SpecError, did_you_mean
from operators.batch import Schema, Type
from operators.expression import Expression

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", re.DOTALL)
_NUMBER = re.compile(r"(.*),\s*([-+\d.eE]+)\s*", re.DOTALL)
_NAME = re.compile(r"\w+")

_ELSEWHERE = {
    "avg": "mean",
    "average": "mean",
    "stddev": "std",
    "stdev": "std",
    "variance": "var",
    "nunique": "distinct",
}
"""What aggregates are called in SQL and elsewhere."""

At = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an aggregate.

    Attributes:
        aggregate: what is called.
        argument: the column or expression that it is of, as written; None in `count()`.
        expression: the argument where it is an expression.
    """

    aggregate: Aggregate
    argument: str | None
    expression: Expression | None = None


def parse_calls(texts: Mapping[str, str], schema: Schema, taken: set[str], at: At) -> dict[str, Call]:
    """Read the calls of a step; report all that are wrong at once.

    Args:
        texts: the name of the output column to the call.
        schema: of the rows that the step takes.
        taken: names that an output column can't have.
        at: where they stand in the operator's spec.

    Raises:
        SpecError: with all that is wrong.
    """
    found: dict[str, Call] = {}
    problems: list[Problem] = []
    for name, text in texts.items():
        if name in taken:
            problems.append(Problem((*at, name), f"a name other than {', '.join(sorted(taken))}", f"`{name}`"))
            continue
        try:
            found[name] = parse_call(text, schema, (*at, name))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return found


def parse_call(text: str, schema: Schema, at: At) -> Call:
    """Read a call such as `mean(temperature)`.

    Args:
        text: the call.
        schema: of the rows that it is of.
        at: where it stands in the operator's spec, for the error.

    Raises:
        SpecError: if it isn't a call, or the aggregate, the argument or its type don't fit.
    """
    name, argument = _split(text, schema, at)
    found, number = _find(name, at)
    if found.number is not None and number is None:
        parts = _NUMBER.fullmatch(argument)
        if parts is None:
            expected = f"{found.number} behind the column, as in `{name}({argument or 'x'}, 99.9)`"
            raise SpecError([Problem(at, expected, f"`{text}`")])
        argument = parts[1].strip()
        number = _to_float(parts[2], found.number, at)
    if argument == "*" and not found.needs_column:
        raise SpecError([Problem(at, f"`{name}()`, or `{name}` of a column", f"`{text}`", f"`{name}()`")])
    if not argument:
        if found.needs_column:
            raise SpecError([Problem(at, f"a column in `{name}(...)`", f"`{text}`")])
        return Call(found(None), None)
    expression = None
    if _NAME.fullmatch(argument) and not argument.isdigit():
        type_ = _column(argument, text, schema, at)
    else:
        expression = Expression(argument, schema, at)
        type_ = expression.type
    if type_ not in found.accepts:
        kinds = ", ".join(str(kind) for kind in Type if kind in found.accepts)
        fix = "`count` takes any column" if name != "count" else None
        if found.accepts == {Type.BOOL} and type_.is_number:
            fix = f"a condition, such as `{name}({argument} > 0)`"
        what = "an expression" if expression else "a column"
        raise SpecError([Problem(at, f"{what} of type {kinds} in `{name}`", f"`{argument}`, which is {type_}", fix)])
    try:
        return Call(found(type_, number), argument, expression)
    except ValueError as error:
        raise SpecError([Problem(at, str(error), f"`{text}`")]) from None


def _split(text: str, schema: Schema, at: At) -> tuple[str, str]:
    """Give the name and the argument of a call."""
    match = _CALL.fullmatch(text)
    if match is None or not _balanced(match[2]):
        known = aggregates().get(text.strip())
        columns = [name for name, type_ in schema.columns.items() if known and type_ in known.accepts]
        fix = f"`{text.strip()}({columns[0] if known and known.needs_column else ''})`" if columns else None
        if match is not None:
            fix = "one aggregate a column; compute with their results in a `derive` behind the window"
        raise SpecError([Problem(at, "an aggregate of a column, such as mean(temperature)", f"`{text}`", fix)])
    return match[1], match[2].strip()


def _find(name: str, at: At) -> tuple[type[Aggregate], float | None]:
    """Find an aggregate by its name, or by a short form that has the number in it."""
    known = aggregates()
    if name in known:
        return known[name], None
    for found in known.values():
        match = found.short.fullmatch(name) if found.short else None
        if match:
            return found, float(".".join(group for group in match.groups() if group))
    fix = did_you_mean(_ELSEWHERE.get(name.lower(), name.lower()), known)
    raise SpecError([Problem(at, f"an aggregate: {', '.join(known)}", f"`{name}`", fix)])


def _column(name: str, text: str, schema: Schema, at: At) -> Type:
    """Give the type of a column; a device's own names are no columns of its windows."""
    names = {name: type_ for name, type_ in schema.names().items() if name not in schema.device}
    if name not in names:
        expected = f"a column that exists here: {', '.join(names)}"
        raise SpecError([Problem(at, expected, f"`{name}` in `{text}`", did_you_mean(name, names))])
    return names[name]


def _to_float(text: str, what: str, at: At) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError([Problem(at, what, f"`{text}`")]) from None


def _balanced(text: str) -> bool:
    """Whether the parentheses of a call's argument close in it: not so in `mean(a)(b)` or `mean(a) + max(b)`."""
    depth = 0
    for letter in re.sub(r"'(?:[^']|'')*'", "", text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0
