"""Whole pipelines from Kafka to Kafka beside other systems: `python -m benchmarks.throughput`.

Each system reads the same readings from the same broker, with one worker, and writes a row for each minute of each
device and an alert for each spike. Systems run in turn, several times; the figures are medians. What is measured is
the steady part, from when a quarter of the readings is processed to the end, so starting up doesn't count. Before a
figure counts, every row is held against brute force.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from benchmarks import command
from benchmarks.throughput import allocators, readme
from benchmarks.throughput.bench import Bench, fitted
from benchmarks.throughput.figures import Figures, figures
from benchmarks.throughput.readings import Shape
from benchmarks.throughput.report import notes, summary, table
from benchmarks.throughput.systems import SYSTEMS, System, SystemFailed
from benchmarks.throughput.workloads import WORKLOADS


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command.parser(
        "benchmarks.throughput",
        "Measure whole pipelines from Kafka to Kafka beside other systems, on a real broker.",
        "Systems: " + "; ".join(f"{system.name}: {system.title}" for system in SYSTEMS) + ".",
    )
    names = [system.name for system in SYSTEMS]
    told = "; ".join(f"{name}: {workload.title.replace('%', '%%')}" for name, workload in WORKLOADS.items())
    parser.add_argument("--workload", choices=list(WORKLOADS), default="w2", help=f"{told}; w2 if left out")
    parser.add_argument("--format", choices=["json", "avro"], default="json", help="of the readings; json if left out")
    parser.add_argument("--systems", metavar="A,B", help="which to run; all that can run here if left out")
    parser.add_argument("--events", type=int, default=16_000_000, metavar="N", help="readings; 16,000,000 if left out")
    parser.add_argument("--devices", type=int, default=10_000, metavar="N", help="that send them; 10,000 if left out")
    parser.add_argument("--partitions", type=int, default=4, metavar="N", help="of the topic; 4 if left out")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each system; 3 if left out")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the readings; 1 if left out")
    allocators.add_option(parser, "telemill and the bare consumer, beside the system's own")
    parser.add_argument("--quick", action="store_true", help="few readings, once: to see that it works")
    parser.add_argument(
        "--readme", action="store_true", help="write the table into README.md, between its two comments"
    )
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.events, chosen.devices, chosen.repeat = min(chosen.events, 200_000), min(chosen.devices, 1_000), 1
    chosen.systems = chosen.systems.split(",") if chosen.systems else names
    if chosen.format not in WORKLOADS[chosen.workload].formats:
        parser.error(f"{chosen.workload} isn't in {chosen.format}")
    unknown = [name for name in chosen.systems if name not in names]
    if unknown:
        parser.error(f"no such system: {', '.join(unknown)}; there are {', '.join(names)}")
    return chosen


def runnable(chosen: argparse.Namespace) -> tuple[list[System], dict[str, str]]:
    """Sort the chosen systems into those that can run, and reasons why the others can't."""
    able, skipped = [], {}
    for system in SYSTEMS:
        if system.name not in chosen.systems:
            continue
        reason = system.missing()
        if chosen.workload not in system.workloads:
            reason = f"does not do {chosen.workload}"
        elif chosen.format not in system.formats:
            reason = f"does not read {chosen.format} here"
        if reason:
            skipped[system.name] = reason
        else:
            able.append(system)
    return able, skipped


def measure(
    bench: Bench, able: Sequence[System], shape: Shape, chosen: argparse.Namespace, out: Console
) -> tuple[list[Figures], dict[str, str]]:
    """Run the systems in turn, `--repeat` times; gives the figures, and what failed and why."""
    lines: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    checked: dict[str, int] = {}
    devices: dict[str, int] = {}
    failed: dict[str, str] = {}
    with out.status("measuring") as status:
        for repeat in range(chosen.repeat):
            for system in able:
                own = fitted(shape, 0 if chosen.quick else system.least, system.most)
                devices[system.name] = own.devices
                variants = [allocators.SYSTEM, chosen.allocator] if system.preload else [allocators.SYSTEM]
                for allocator in dict.fromkeys(variants):
                    if system.name in failed:
                        continue
                    status.update(f"{system.name} ({allocator}), run {repeat + 1} of {chosen.repeat}")
                    try:
                        line, checked[system.name] = bench.run(system, own, allocator)
                    except SystemFailed as failure:
                        failed[system.name] = str(failure)
                        out.print(f"{system.name}: {failure}", markup=False)
                        continue
                    lines[system.name, allocator].append(line)
    found = [
        figures(name, allocator, devices[name], own, checked[name])
        for system in able
        for (name, allocator), own in lines.items()
        if name == system.name and name not in failed
    ]
    return found, failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code."""
    chosen = options(arguments)
    out = command.console()
    shape = Shape(chosen.devices, chosen.events, chosen.seed)
    able, skipped = runnable(chosen)
    with (
        command.on_kafka() as (broker, folder),
        Bench(broker.servers, folder, WORKLOADS[chosen.workload], chosen.format, chosen.partitions) as bench,
    ):
        way = broker.way
        found, failed = measure(bench, able, shape, chosen, out)
    about = {
        **command.machine(),
        "cores": os.cpu_count(),
        "broker": way,
        "workload": chosen.workload,
        "format": chosen.format,
        "events": chosen.events,
        "devices": chosen.devices,
        "partitions": chosen.partitions,
        "repeat": chosen.repeat,
        "seed": chosen.seed,
        "command": command.called("benchmarks.throughput", arguments),
    }
    out.print(table(about, found, chosen.allocator))
    for note in notes(about, found, {**skipped, **failed}):
        out.print(note, markup=False, soft_wrap=True)
    if chosen.readme:
        lines = readme.markdown(about, found, {**skipped, **failed}, chosen.allocator)
        name = f"{chosen.workload} {chosen.format}"
        readme.FILE.write_text(readme.rewritten(readme.FILE.read_text("utf-8"), name, lines), "utf-8")
    written = {**about, **summary(found, chosen.allocator), "results": [asdict(each) for each in found]}
    command.write({**written, "skipped": skipped, "failed": failed}, chosen.json)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
