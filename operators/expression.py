"""SQL expressions over the columns of a batch, compiled and run by polars.

An expression sees one row at a time: aggregates, window functions (`LAG`, `OVER`), sub-queries and the time of day are
refused before the run, because their result would depend on how the records are cut into batches, or on the moment.

A missing value is NULL, also in float columns; so a comparison with it is NULL, which `filter` takes as false.
"""

from __future__ import annotations

import difflib
import io
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from operators.base import Problem, SpecError
from operators.batch import (
    MISSING_BOOL,
    MISSING_INT,
    Batch,
    Column,
    Schema,
    Text,
    Type,
    is_missing,
    join_columns,
    missing,
)
from operators.devices import DeviceTable
from operators.plain_expression import plain

_TO_POLARS: Mapping[Type, pl.DataType] = {
    Type.FLOAT: pl.Float64(),
    Type.INT: pl.Int64(),
    Type.BOOL: pl.Boolean(),
    Type.TEXT: pl.String(),
    Type.TIME: pl.Datetime("us"),  # UTC, and without saying so: a literal `TIMESTAMP '...'` has no time zone either
}
_NODES = {"Column", "Literal", "BinaryExpr", "Cast", "Ternary", "Function", "Alias"}
"""The kinds of polars expressions that can work on one row alone; functions are tried out besides."""
_ARITHMETIC = {"Plus", "Minus", "Multiply", "Divide", "RustDivide", "TrueDivide", "FloorDivide", "Modulus"}
_SCALING = {"Mul", "Div"}
"""By what a duration may be made longer or shorter."""
_CLOCKS = re.compile(
    r"\b(now\s*\(|today\s*\(|(current_date|current_time|current_timestamp|localtime|localtimestamp)\b)", re.IGNORECASE
)
_OWN_ROW = "an expression that needs nothing but its own row"
_ROWS = re.compile(r" for \d+ out of \d+ values")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_TEXTS = re.compile(r"'(?:[^']|'')*'")
_SAMPLE: Mapping[Type, Sequence[Any]] = {
    Type.FLOAT: [3.5, 1.25, None, -2.0, 3.5, 40.75, 0.0],
    Type.INT: [3, 1, None, -2, 3, 40, 0],
    Type.BOOL: [True, False, None, False, True, True, False],
    Type.TEXT: ["3", "word", "2026-01-31", "2026-01-31T12:00:00", "true", "12:00:00", "0"],
    Type.TIME: [3_600_000_000, 1, None, -7, 3_600_000_000, 86_400_000_000, 0],
}


class Expression:
    """One expression, checked against the rows it will see.

    Attributes:
        text: as the user wrote it.
        type: of its result.
        columns: the names that it uses.

    >>> schema = Schema({"t": Type.FLOAT}, ("device",), "ts")
    >>> hot = Expression("t BETWEEN 20 AND 30", schema)
    >>> str(hot.type), sorted(hot.columns)
    ('bool', ['t'])
    """

    def __init__(self, text: str, schema: Schema, at: tuple[str | int, ...] = (), want: Type | None = None) -> None:
        """Compile the expression.

        Args:
            text: the SQL.
            schema: of the rows.
            at: where it stands in the operator's spec, for the error.
            want: the type that the result must have.

        Raises:
            SpecError: if it can't be parsed, names something that isn't there, doesn't fit the types, or depends on
                more than one row.
        """
        self.text = text
        self._names = schema.names()
        self._device = schema.device
        self._time = schema.time
        self._expr = _parse(text, at)
        self.columns = set(self._expr.meta.root_names())
        _refuse_unknown(self.columns, self._names, text, at)
        self._schema = {name: _TO_POLARS[self._names[name]] for name in sorted(self.columns)}
        _refuse_times_as_numbers(self._expr, self._schema, text, at)
        self._expr = _null_for_nan(self._expr, self._schema)
        self.type = self._resolve(at)
        if want is not None and self.type is not want:
            raise SpecError([Problem(at, f"an expression that gives {want}", f"`{text}`, which gives {self.type}")])
        self._refuse_more_than_a_row(at)
        types = {name: type_ for name, type_ in self._names.items() if name in schema.columns}
        self._plain = plain(_tree(self._expr), types) if self.type is Type.BOOL else None

    def evaluate(self, batch: Batch, devices: DeviceTable) -> tuple[Column, list[tuple[int, str]]]:
        """Compute the expression for the live rows.

        Returns:
            The column, missing in punctuations and in rows that failed; and the failed rows, each with the reason
            (a text that isn't a number can't be cast).
        """
        if self._plain is not None:
            return np.where(batch.live, self._plain(batch.columns), MISSING_BOOL), []
        rows = np.flatnonzero(batch.live)
        parts, failed = [], []
        todo = [rows] if len(rows) else []
        while todo:
            cut = todo.pop()
            try:
                parts.append(self._compute(batch if len(cut) == len(batch) else batch.take(cut), devices))
            except pl.exceptions.PolarsError as error:
                if len(cut) > 1:
                    todo += [cut[len(cut) // 2 :], cut[: len(cut) // 2]]
                    continue
                reason = _ROWS.sub("", _first_line(error))
                failed.append((int(cut[0]), f"`{self.text}`: {reason}"))
                parts.append(missing(self.type, 1))
        if not parts:
            return missing(self.type, len(batch)), []
        column = parts[0] if len(parts) == 1 else join_columns(parts)
        return column if len(rows) == len(batch) else _spread(column, rows, len(batch), self.type), failed

    def _compute(self, batch: Batch, devices: DeviceTable) -> Column:
        """Compute every row, or raise a PolarsError if any fails."""
        if not self.columns:
            return _from_polars(pl.select(self._expr.alias("")).to_series().new_from_index(0, len(batch)), self.type)
        if len(batch) == 1:
            # polars divides a longer column by a constant as a product with its reciprocal, and a single value
            # exactly: the last bit of a row must not depend on whether it came alone.
            return _first(self._compute(batch.take(np.zeros(2, np.intp)), devices))
        frame = pl.DataFrame({name: self._series(name, batch, devices) for name in sorted(self.columns)})
        return _from_polars(frame.select(self._expr.alias("")).to_series(), self.type)

    def _series(self, name: str, batch: Batch, devices: DeviceTable) -> pl.Series:
        if name in batch.columns:
            return _to_polars(batch.columns[name], self._names[name])
        if name == self._time:
            return _to_polars(batch.ts, Type.TIME)
        part = self._device.index(name)
        return _to_polars(Text(batch.device.astype(np.int32), devices.texts(part)), Type.TEXT)

    def _resolve(self, at: tuple[str | int, ...]) -> Type:
        try:
            dtype = _dtype(self._expr, self._schema)
        except pl.exceptions.PolarsError as error:
            types = ", ".join(f"{name} is {self._names[name]}" for name in sorted(self.columns))
            expected = f"an expression whose types fit ({_first_line(error)}; {types})"
            raise SpecError([Problem(at, expected, f"`{self.text}`", _fix_of(error))]) from None
        type_ = _type_of(dtype)
        if type_ is None:
            expected = "an expression that gives a number, a bool, a text or a time"
            raise SpecError([Problem(at, expected, f"`{self.text}`, which gives {dtype}")])
        return type_

    def _refuse_more_than_a_row(self, at: tuple[str | int, ...]) -> None:
        """Refuse what looks at other rows: by the kind of its nodes, and by trying it out whole and row by row."""
        if not (_nodes(self._expr) <= _NODES and self._try_out(at)):
            raise SpecError([Problem(at, _OWN_ROW, f"`{self.text}`", "aggregate in a `window` step")])

    def _try_out(self, at: tuple[str | int, ...]) -> bool:
        """Say whether sample rows give the same alone as together; raise a SpecError if every one of them fails."""
        sample = {
            name: pl.Series(list(_SAMPLE[self._names[name]]), dtype=_plain(self._names[name])) for name in self._schema
        }
        if not sample:
            return True
        frame = pl.DataFrame([series.cast(self._schema[name]).alias(name) for name, series in sample.items()])
        expr = self._expr.alias("")
        alone, errors = [], []
        for row in range(len(frame)):
            try:
                alone.append(frame[[row, row]].select(expr).to_series()[:1])  # each row twice: see `_compute`
            except pl.exceptions.PolarsError as error:
                errors.append(error)
        if not alone:
            types = ", ".join(f"{name} is {self._names[name]}" for name in sorted(self.columns))
            expected = f"an expression whose types fit ({_first_line(errors[0])}; {types})"
            raise SpecError([Problem(at, expected, f"`{self.text}`")])
        if errors:
            return True  # it fails on some values, as a cast may: whole and alone can't be compared
        return frame.select(expr).to_series().equals(pl.concat(alone), null_equal=True)


def _first(column: Column) -> Column:
    """Give the first row alone."""
    return column.take(np.zeros(1, np.intp)) if isinstance(column, Text) else column[:1]


def _spread(column: Column, rows: NDArray[np.intp], length: int, type_: Type) -> Column:
    """Put values into the given rows of a longer column that is missing elsewhere."""
    whole = missing(type_, length)
    if isinstance(whole, Text) and isinstance(column, Text):
        whole.codes[rows] = column.codes
        return Text(whole.codes, column.values)
    np.asarray(whole)[rows] = column
    return whole


def _parse(text: str, at: tuple[str | int, ...]) -> pl.Expr:
    if _CLOCKS.search(_QUOTED.sub("", text)):
        fix = "event time is a column of the rows; use that"
        raise SpecError([Problem(at, _OWN_ROW, f"`{text}`", fix)])
    try:
        expr = pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        expected = f"a SQL expression ({_first_line(error)})"
        raise SpecError([Problem(at, expected, f"`{text}`", _fix_of(error))]) from None
    if expr.meta.has_multiple_outputs():
        raise SpecError([Problem(at, "an expression with one result", f"`{text}`")])
    return expr


def _refuse_unknown(used: set[str], names: Mapping[str, Type], text: str, at: tuple[str | int, ...]) -> None:
    problems = []
    for name in sorted(used - set(names)):
        near = difflib.get_close_matches(name, names, 1)
        fix = f"did you mean `{near[0]}`?" if near else None
        if f'"{name}"' in _TEXTS.sub("", text):
            fix = f"{fix} " if fix else ""
            fix += f"Double quotes name a column; a text is written `'{name}'`"
        problems.append(Problem(at, f"a column that exists here: {', '.join(names)}", f"`{name}` in `{text}`", fix))
    if problems:
        raise SpecError(problems)


def _refuse_times_as_numbers(
    expr: pl.Expr, schema: Mapping[str, pl.DataType], text: str, at: tuple[str | int, ...]
) -> None:
    """Refuse a time beside a number: polars would take the number for microseconds since the epoch, in silence."""
    for node in _walk(_tree(expr)):
        kind, body = next(iter(node.items())) if isinstance(node, dict) else ("", {})
        parts = _children(kind, body)[1 if kind == "Ternary" else 0 :]  # of CASE the values, and not the condition
        try:
            types = [_dtype(_expr_of(part), schema) for part in parts]
            if len(types) != 2 or _dtype(_expr_of(node), schema) == pl.String:
                continue
        except pl.exceptions.PolarsError:
            continue  # it doesn't fit; the whole expression is refused for it
        scaled = kind == "Function" and any(f"'{op}'" in str(body["function"]) for op in _SCALING)
        times = [type_.is_temporal() and not (scaled and type_ == pl.Duration) for type_ in types]
        if any(times) and any(type_.is_numeric() for type_ in types):
            expected = "a time beside a time, and not beside a number"
            fix = "write a time as `'2026-01-31T12:00:00'::timestamp` (UTC), a duration as `INTERVAL '5 minutes'`"
            raise SpecError([Problem(at, expected, f"`{text}`, which takes a time for a number", fix)])


def _fix_of(error: Exception) -> str | None:
    """Give the mend of what polars says in words of its own."""
    if "PGOverlap" in str(error):
        return "write AND for &&"
    if "'date/datetime/time' to a string" in str(error):
        return "write a time as `'2026-01-31T12:00:00'::timestamp` (UTC)"
    return None


def _nodes(expr: pl.Expr) -> set[str]:
    """Collect the kinds of nodes of a polars expression."""
    return {node if isinstance(node, str) else next(iter(node)) for node in _walk(_tree(expr))}


def _tree(expr: pl.Expr) -> Any:  # JSON
    """Give the nodes of a polars expression."""
    with warnings.catch_warnings():
        # polars promises the JSON's shape for one version only; constraints.txt pins it and a test reads it.
        warnings.simplefilter("ignore")
        return json.loads(expr.meta.serialize(format="json"))


def _walk(tree: Any) -> Iterator[Any]:  # JSON
    """Go through a node and all below it: each a text, or its kind and what it is made of."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, str):
            ((kind, body),) = node.items()
            todo += _children(kind, body)


def _children(kind: str, body: Any) -> list[Any]:  # JSON
    if kind == "BinaryExpr":
        return [body["left"], body["right"]]
    if kind == "Ternary":
        return [body["predicate"], body["truthy"], body["falsy"]]
    if kind == "Function":
        return list(body["input"])
    if kind == "Cast":
        return [body["expr"]]
    return [body[0]] if kind == "Alias" else []


def _dtype(expr: pl.Expr, schema: Mapping[str, pl.DataType]) -> pl.DataType:
    """Give the type of an expression's result over columns of these types."""
    return pl.LazyFrame(schema=schema).select(expr.alias("")).collect_schema()[""]


def _null_for_nan(expr: pl.Expr, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Make NaN a NULL wherever a computed number leaves arithmetic.

    A missing value comes in as NULL, but `LN(-1)` and `0.0 / 0` give NaN within the expression, and polars holds NaN to
    be larger than any number: `LN(x) > 3` would be true. NaN goes through arithmetic as NaN, so there it may stay.
    """
    tree = _tree(expr)
    guarded = _guard(tree, schema, inside=True)
    return expr if guarded == tree else _expr_of(guarded)


def _guard(node: Any, schema: Mapping[str, pl.DataType], *, inside: bool) -> Any:
    """Rebuild a node so; `inside` says that what is around it passes NaN on."""
    if not isinstance(node, dict):
        return node
    ((kind, body),) = node.items()
    if kind in {"Column", "Literal"}:
        return node
    arithmetic = (kind == "BinaryExpr" and body["op"] in _ARITHMETIC) or (
        kind == "Function" and isinstance(body["function"], dict) and "Binary" in str(body["function"].get("Sql"))
    )
    names = {"BinaryExpr": ("left", "right"), "Ternary": ("predicate", "truthy", "falsy"), "Cast": ("expr",)}
    rebuilt = body
    if kind == "Function":
        rebuilt = {**body, "input": [_guard(child, schema, inside=arithmetic) for child in body["input"]]}
    elif kind in names:
        rebuilt = {**body, **{name: _guard(body[name], schema, inside=arithmetic) for name in names[kind]}}
    made = {kind: rebuilt}
    if inside:
        return made
    inner = _expr_of(made)
    try:
        is_float = _dtype(inner, schema).is_float()
    except pl.exceptions.PolarsError:
        return made  # it doesn't fit; the whole expression is refused for it
    if not is_float:
        return made
    return _tree(pl.when(inner.is_not_nan()).then(inner))


def _expr_of(tree: Any) -> pl.Expr:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see `_tree`
        return pl.Expr.deserialize(io.BytesIO(json.dumps(tree).encode()), format="json")


def _plain(type_: Type) -> pl.DataType:
    """Give the type in which a sample of the type is written down."""
    return pl.Int64() if type_ is Type.TIME else _TO_POLARS[type_]


def _type_of(dtype: pl.DataType) -> Type | None:
    if dtype.is_float() or dtype.is_decimal():
        return Type.FLOAT
    if dtype.is_integer():
        return Type.INT
    if dtype.is_(pl.Datetime) or isinstance(dtype, pl.Datetime | pl.Date):
        return Type.TIME
    return {pl.Boolean(): Type.BOOL, pl.String(): Type.TEXT, pl.Null(): Type.FLOAT}.get(dtype)


def _to_polars(column: Column, type_: Type) -> pl.Series:
    if isinstance(column, Text):
        text = column.compact()
        values = pl.Series([*text.values, None], dtype=pl.String)
        gathered: pl.Series = values.gather(np.where(text.codes < 0, len(text.values), text.codes))
        return gathered
    series = pl.Series(column != 0 if type_ is Type.BOOL else column, nan_to_null=True)
    if type_ is not Type.FLOAT:
        gone = is_missing(column)
        if gone.any():
            series = series.set(pl.Series(gone), None)
    typed: pl.Series = series.cast(_TO_POLARS[type_])
    return typed


def _from_polars(series: pl.Series, type_: Type) -> Column:
    if type_ is Type.TEXT:
        values = series.drop_nulls().unique(maintain_order=True)
        codes = series.cast(pl.Enum(values)).to_physical().cast(pl.Int32).fill_null(-1)
        return Text(codes.to_numpy(), values.to_list())
    if type_ is Type.FLOAT:
        filled = series.cast(pl.Float64).fill_null(np.nan)
    elif type_ is Type.BOOL:
        filled = series.cast(pl.Int8).fill_null(int(MISSING_BOOL))
    else:
        times = series.cast(pl.Datetime("us")) if type_ is Type.TIME else series
        filled = times.cast(pl.Int64).fill_null(MISSING_INT)
    column: NDArray[Any] = filled.to_numpy()
    return column


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
