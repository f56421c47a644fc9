"""How well detectors do in the Numenta Anomaly Benchmark: `python -m benchmarks.nab`.

Each of its 58 series goes through the detector as the stream of a device that it has never seen, with the same options for
all. Beside NAB's own score, for which the threshold is chosen on the series that it is then scored on, stands that of
each half of the series at the threshold that the other half chose (`split`): that of a user who can't know.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import command
from benchmarks.nab import corpus
from benchmarks.nab.run import detector, figures, measure, write_scores
from operators.base import kinds
from operators.detect.base import Detector

NAMES = sorted(kind[-1] for kind, spec in kinds().items() if issubclass(spec, Detector))
DEFAULT = "zscore"


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command.parser("benchmarks.nab", "How well detectors do in the Numenta Anomaly Benchmark.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--detector", choices=NAMES, default=DEFAULT, help=f"which; {DEFAULT} if left out")
    which.add_argument("--all", action="store_true", help="every detector, with its defaults")
    parser.add_argument("--options", metavar="JSON", help="of the detector, as in YAML: '{\"half_life\": 100}'")
    parser.add_argument("--scores", type=Path, metavar="DIR", help="write the score of every row there")
    chosen = parser.parse_args(arguments)
    if chosen.all and chosen.options:
        parser.error("--options are of one detector; give it with --detector in place of --all")
    try:
        chosen.options = json.loads(chosen.options or "{}")
    except json.JSONDecodeError as error:
        parser.error(f"--options aren't JSON: {error}")
    if not isinstance(chosen.options, dict):
        parser.error('--options aren\'t a mapping, as in {"half_life": 100}')
    chosen.specs, chosen.left_out = {}, {}
    for name in NAMES if chosen.all else [chosen.detector]:
        try:
            chosen.specs[name] = detector(name, chosen.options)
        except ValueError as mistakes:
            if not chosen.all:
                parser.error(f"{name}: {mistakes}")
            chosen.left_out[name] = str(mistakes)
    return chosen


def summary(results: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> Table:
    """Show a line a detector."""
    title = f"Numenta Anomaly Benchmark; {about['machine']}, Python {about['python']}"
    table = Table(title=title, title_justify="left")
    table.add_column("detector", no_wrap=True)
    for column in ("standard", "low FP", "low FN", "split", "ns/event", "bytes/device"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in results:
        scores = [f"{each[name]:.1f}" for name in ("standard", "low_fp", "low_fn", "standard_split")]
        table.add_row(each["detector"], *scores, f"{each['ns_per_event']:.0f}", f"{each['bytes_per_device']:,}")
    return table


def details(result: Mapping[str, Any]) -> Table:
    """Show a detector by category."""
    threshold = result["thresholds"]["standard"]
    told = "no threshold is better than no detection" if threshold is None else f"detected from {threshold:.4g} on"
    table = Table(title=f"{result['detector']}, standard profile: {told}", title_justify="left")
    table.add_column("category", no_wrap=True)
    for column in ("series", "windows", "found", "rows outside", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, each in result["by_category"].items():
        score = "" if each["standard"] is None else f"{each['standard']:.1f}"
        table.add_row(name, *(str(each[key]) for key in ("series", "windows", "found", "wrong")), score)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    chosen = parsed(arguments)
    out = command.console()
    try:
        series = corpus.read(corpus.FOLDER)
    except FileNotFoundError as missing:
        raise SystemExit(str(missing)) from None
    results: list[dict[str, Any]] = []
    with out.status("measuring") as status:
        for name, spec in chosen.specs.items():
            status.update(name)
            made = measure(spec, series)
            if chosen.scores:
                write_scores(chosen.scores, name, series, made.scores)
            costs = {"ns_per_event": made.ns_per_event, "bytes_per_device": made.bytes_per_device}
            results.append({"detector": name, "options": chosen.options, **figures(series, made.scores), **costs})
    for name, reason in chosen.left_out.items():
        out.print(f"{name} is left out: {reason}", markup=False, soft_wrap=True)
    about: dict[str, Any] = {**command.machine(), "command": command.called("benchmarks.nab", arguments)}
    if chosen.all:
        about |= {"results": results, "left_out": chosen.left_out}
    else:
        out.print(details(results[0]))
        about |= results[0]
    command.finish(out, summary(results, about), about, chosen.json)


if __name__ == "__main__":
    main()
