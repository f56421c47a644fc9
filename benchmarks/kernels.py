"""What an event costs in each operator and aggregate, on one core: `python -m benchmarks.kernels`.

Devices send ten readings a second each (`--rate`), in turn, as 10,000 rows a batch. What is timed is an operator's
`on_batch`, in CPU time, after a warm-up; the figure is the median over batches, so that what else runs on the machine
counts less. `bytes_per_device` is what the operator's state holds at the end.

The workloads are what the docstrings show, so a new operator or aggregate is measured without an edit here; and some
windows of six statistics.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import command
from operators.aggregate.base import aggregates
from operators.base import Inputs, Operator, State
from operators.batch import Batch, Schema, Text, Type
from operators.binary import Binary
from operators.devices import DeviceTable
from operators.window.hopping import Hopping
from operators.window.session import Session
from operators.window.tumbling import Tumbling
from pipelines.reference import entries, read_example

ROWS = 10_000
LATENESS = 5_000_000
SEED = 1
SIX = {
    "n": "count()",
    "total": "sum(temperature)",
    "mean": "mean(temperature)",
    "low": "min(temperature)",
    "high": "max(temperature)",
    "last": "last(temperature)",
}
SCHEMA = Schema(
    {
        "temperature": Type.FLOAT,
        "humidity": Type.FLOAT,
        "power": Type.FLOAT,
        "energy": Type.FLOAT,
        "pressure": Type.FLOAT,
        "score": Type.FLOAT,
        "seq": Type.INT,
        "ok": Type.BOOL,
        "open": Type.BOOL,
        "status": Type.TEXT,
    },
    ("device",),
    "ts",
)


def workloads() -> Iterator[tuple[str, Operator, Schema]]:
    """Give what is measured: its name, the operator, and the rows that it takes."""
    yield "tumbling 1m, six statistics", Tumbling.model_validate({"size": "1m", "aggregate": SIX}), SCHEMA
    sliding = {"size": "1m", "slide": "5s", "aggregate": SIX}
    yield "hopping 1m / 5s, six statistics", Hopping.model_validate(sliding), SCHEMA
    yield "session 30s, six statistics", Session.model_validate({"gap": "30s", "aggregate": SIX}), SCHEMA
    with_percentile = {**SIX, "last": "p95(temperature)"}
    yield "tumbling 1m, five and p95", Tumbling.model_validate({"size": "1m", "aggregate": with_percentile}), SCHEMA
    for entry in entries():
        if entry.name in aggregates():
            column = next(name for name, type_ in SCHEMA.columns.items() if type_ in aggregates()[entry.name].accepts)
            number = ", 95" if aggregates()[entry.name].number else ""
            call = {"result": f"{entry.name}({column}{number})"}
            yield f"{entry.name} in tumbling 1m", Tumbling.model_validate({"size": "1m", "aggregate": call}), SCHEMA
            continue
        schema = SCHEMA
        for step in read_example(entry.example)[0]:
            # The columns that the example's own rows lack, as a detector's score, stay out of the way.
            if ".".join(step.kind) == entry.name:
                yield f"{entry.name} (its example)", step.spec, schema
                break
            schema = step.spec.outputs(schema)[""]


def batches(devices: int, schema: Schema, rate: int, seed: int) -> Iterator[Batch]:
    """Make batches without end: `rate` readings a second of each device, the devices one after the other."""
    random = np.random.default_rng(seed)
    values: dict[Type, Any] = {
        Type.FLOAT: random.normal(20, 2, 7 * ROWS),
        Type.BOOL: random.integers(0, 2, 7 * ROWS).astype(np.int8),
        Type.TEXT: random.integers(0, 4, 7 * ROWS).astype(np.int32),
    }
    first = 0
    while True:
        at = np.arange(first, first + ROWS)
        ts = at // devices * (1_000_000 // rate) + at % devices * (1_000_000 // rate) // devices
        cut = slice(first % (6 * ROWS), first % (6 * ROWS) + ROWS)
        columns: dict[str, Any] = {}
        for name, type_ in schema.columns.items():
            if type_ is Type.TEXT:
                columns[name] = Text(values[Type.TEXT][cut], ["on", "off", "error", "idle"])
            else:
                columns[name] = at.copy() if type_ in {Type.INT, Type.TIME} else values[type_][cut]
        yield Batch((at % devices).astype(np.uint32), ts, ts - LATENESS, at, np.ones(ROWS, np.bool_), columns)
        first += ROWS


def measure(
    spec: Operator, schema: Schema, devices: int, minutes: float, rate: int, seed: int = SEED
) -> dict[str, float]:
    """Put rows through an operator.

    Args:
        spec: the operator.
        schema: of its rows.
        devices: how many there are.
        minutes: of event time; at least 300 batches are put through.
        rate: readings a second of each device.
        seed: of the values.

    Returns:
        `ns_per_event` (CPU, median over the batches of the last two thirds) and `bytes_per_device`.
    """
    table = DeviceTable(schema.device)
    table.slots(Binary.of([b"device-%d" % number for number in range(devices)]))
    state: State = spec.build(Inputs(schema, table))
    count = max(int(minutes * 60 * rate * devices / ROWS), 300)
    costs = []
    for number, batch in enumerate(batches(devices, schema, rate, seed)):
        if number == count:
            break
        begin = time.process_time_ns()
        state.on_batch(batch)
        costs.append(time.process_time_ns() - begin)
    kept = sum(array.nbytes for array in state.snapshot().values())
    # Over stretches of batches, for what happens once in a while (windows that close together) counts too.
    late = np.array(costs[count // 3 :], np.float64)
    stretches = [part.mean() for part in np.array_split(late, 5)]
    return {"ns_per_event": float(np.median(stretches)) / ROWS, "bytes_per_device": kept / devices}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = command.parser("benchmarks.kernels", "CPU per event of the kernels.")
    parser.add_argument("--only", metavar="TEXT", default="", help="measure what has this in its name")
    parser.add_argument("--devices", type=int, nargs="+", default=[10, 100_000], metavar="N")
    parser.add_argument("--minutes", type=float, default=1.5, help="of event time; 1.5 if left out")
    parser.add_argument("--rate", type=int, default=10, help="readings a second of each device; 10 if left out")
    options = parser.parse_args(arguments)
    out = command.console()
    title = f"CPU of one core per event, and memory per device; {options.rate} readings a second of each device"
    table = Table(title=title, title_justify="left")
    table.add_column("workload", no_wrap=True)
    for devices in options.devices:
        table.add_column(f"ns, {devices:,} devices", justify="right", max_width=15)
        table.add_column("bytes", justify="right")
    results = []
    with out.status("measuring") as status:
        for name, spec, schema in workloads():
            if options.only not in name:
                continue
            cells = []
            for devices in options.devices:
                status.update(f"{name}, {devices:,} devices")
                made = measure(spec, schema, devices, options.minutes, options.rate)
                results.append({"workload": name, "devices": devices, **made})
                cells += [f"{made['ns_per_event']:.0f}", f"{made['bytes_per_device']:,.0f}"]
            table.add_row(name, *cells)
    figures = {**command.machine(), "rate": options.rate, "seed": SEED}
    figures |= {"command": command.called("benchmarks.kernels", arguments), "results": results}
    command.finish(out, table, figures, options.json)


if __name__ == "__main__":
    main()
