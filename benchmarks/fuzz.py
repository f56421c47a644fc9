"""Whether the codecs' kernels make of records and rows what the libraries make of them: `python -m benchmarks.fuzz`.

Records are drawn, and most of them disturbed: bits flipped, parts cut off, written twice or put in, numbers swapped for
such as are hard to read. Those of JSON are held against orjson, those of Avro, of schemas that are drawn too, against fastavro,
numbers against Python's `float`, all of them to the last bit; rows of any columns are held against what the libraries write,
byte by byte. A record that a kernel doesn't take is left to the library; what counts is what becomes of it in the end.

A disagreement is printed with both results, and makes the exit code 1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import fastavro
import orjson
from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import command
from connectors.codec.avro import Avro
from connectors.codec.json import Json, TimeText
from tests.connectors.codec import objects, schemas
from tests.connectors.codec.agreement import READINGS, Comparison, avro_decoder, compare, compare_floats, compare_rows
from tests.connectors.codec.disturbing import disturbed
from tests.connectors.codec.numbers import hard_number, number
from tests.connectors.codec.writing import Cases

BATCH = 1_000
"""Records that are held against each other at once."""
SHOWN = 5
"""Disagreements of a part that are printed; all are counted."""


def numbers(random_: Random, count: int) -> Comparison:
    """Read numbers of JSON as floats."""
    return compare_floats([(number, hard_number)[at % 2](random_) for at in range(count)])


def json_records(random_: Random, count: int) -> Comparison:
    """Read records of JSON: new ones, ones that are alike but for their numbers, and disturbed ones."""
    reading = random_.choice(list(READINGS.values()))
    drawn = objects.Objects(random_, reading.unit)
    latest = [drawn.written()]
    values: list[bytes] = []
    while len(values) < count:
        kind, earlier = random_.randrange(4), random_.choice(latest)
        if kind == 0:
            values.append(disturbed(random_, earlier, objects.PIECES))
            continue
        values.append(drawn.alike(drawn.written() if kind == 1 else earlier))
        latest = [*latest[-7:], values[-1]]
    return compare(Json.model_validate({}).decoder(reading), values)


def avro_records(random_: Random, count: int) -> Comparison:
    """Read data of one schema: as it was written, and disturbed."""
    reading = random_.choice(list(schemas.READINGS.values()))
    schema = schemas.schema(random_, reading.unit)
    datum = schemas.Datum(random_, schema)
    values = [datum.written() for _ in range(count // 2)]
    values += [disturbed(random_, random_.choice(values), schemas.PIECES) for _ in range(count - len(values))]
    return compare(avro_decoder(schema, reading), values)


def json_rows(random_: Random, count: int) -> Comparison:
    """Write rows as JSON."""
    case = Cases(random_, 'a "column" ', far=random_.randrange(2) == 0).drawn(count)
    return compare_rows(Json(time=random_.choice(list(TimeText))).encoder(case.schema, "rows"), case)


def avro_rows(random_: Random, count: int) -> Comparison:
    """Write rows as Avro."""
    case = Cases(random_, "column_", far=True).drawn(count)
    return compare_rows(Avro.model_validate({}).encoder(case.schema, "rows"), case)


PARTS: Mapping[str, Callable[[Random, int], Comparison]] = {
    "number parsing": numbers,
    "JSON records": json_records,
    "Avro records": avro_records,
    "JSON rows": json_rows,
    "Avro rows": avro_rows,
}


def run(part: str, cases: int, seed: int) -> tuple[dict[str, Any], list[tuple[object, object, object]]]:
    """Draw cases of a part, batch by batch; each batch depends on the seed and its number alone.

    Returns:
        How many cases were taken by the kernel, left to the library, refused, and became something else than the library
        makes of them, and the seconds that it took; and those that became something else.
    """
    began = time.perf_counter()
    left, refused = 0, 0
    differences: list[tuple[object, object, object]] = []
    for first in range(0, cases, BATCH):
        made = PARTS[part](Random(f"{seed} {part} {first // BATCH}"), min(BATCH, cases - first))  # noqa: S311  # no secret
        left, refused = left + made.left, refused + made.refused
        differences += made.differences
    counts = {"cases": cases, "kernel": cases - left, "library": left, "refused": refused}
    return {**counts, "disagreements": len(differences), "seconds": time.perf_counter() - began}, differences


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; gives the exit code: 1 if anything became something else than the library makes of it."""
    parser = command.parser("benchmarks.fuzz", __doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2_000_000, metavar="N", help="of all parts; 2,000,000 if left out")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the cases; 1 if left out")
    parser.add_argument("--only", metavar="TEXT", default="", help="the parts that have this in their name")
    options = parser.parse_args(arguments)
    out = command.console()
    about = {**command.machine(), "orjson": orjson.__version__, "fastavro": fastavro.__version__}
    beside = f"orjson {about['orjson']}, fastavro {about['fastavro']}, Python {about['python']}"
    title = f"what kernels make of records and rows, beside {beside}; {about['machine']}; seed {options.seed}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("", "cases", "by the kernel", "by the library", "refused by both", "disagreements", "s"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    parts = [part for part in PARTS if options.only in part]
    if not parts:
        parser.error(f"--only: expected a part of {', '.join(PARTS)}, given {options.only!r}")
    results = []
    for part in parts:
        with out.status(part):
            made, differences = run(part, options.cases // len(parts), options.seed)
        results.append({"part": part, **made})
        for record, got, expected in differences[:SHOWN]:
            out.print(
                f"{part}: {record!r}\n  telemill:    {got!r}\n  the library: {expected!r}", markup=False, soft_wrap=True
            )
        numbers_ = [f"{made[name]:,.0f}" for name in ("cases", "kernel", "library", "refused", "disagreements")]
        table.add_row(part, *numbers_, f"{made['seconds']:.1f}")
    found, total = (sum(each[name] for each in results) for name in ("disagreements", "cases"))
    figures = {**about, "seed": options.seed, "cases": total, "disagreements": found, "results": results}
    figures |= {"command": command.called("benchmarks.fuzz", arguments)}
    command.finish(out, table, figures, options.json)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
