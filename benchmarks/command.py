"""What the command lines of benchmarks have in common: how they are called, what they run on, and how they end."""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.integration.kafka.broker import Broker, Unavailable, running_broker


def parser(module: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Make what reads the options of a benchmark; each has `--json`."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description, epilog=epilog)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return made


def called(module: str, arguments: Sequence[str] | None) -> str:
    """Give the command as it was typed."""
    return shlex.join(["python", "-m", module, *(sys.argv[1:] if arguments is None else arguments)])


def console() -> Console:
    """Give what is printed to; a table that goes to a file isn't cut to the width of a terminal."""
    return Console(width=None if sys.stdout.isatty() else 120)


def machine() -> dict[str, str]:
    """Name the processor and the Python that figures are of."""
    processor = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    return {"machine": processor, "python": platform.python_version()}


@contextmanager
def on_kafka() -> Iterator[tuple[Broker, Path]]:
    """Give a broker and a folder for as long as the block runs.

    Raises:
        SystemExit: 1 where there is no Kafka to measure on; it says what is missing.
    """
    try:
        with running_broker() as broker, tempfile.TemporaryDirectory(prefix="telemill-bench-") as folder:
            yield broker, Path(folder)
    except Unavailable as reason:
        message = f"no Kafka to measure on: {reason}"
        raise SystemExit(message) from None


def finish(out: Console, table: Table, figures: Mapping[str, Any], file: Path | None) -> None:
    """Print the table and the command, which is one of the figures; write all of them where `--json` says."""
    out.print(table)
    out.print(f"Command: {figures['command']}", markup=False, soft_wrap=True)
    write(figures, file)


def write(figures: Mapping[str, Any], file: Path | None) -> None:
    """Write the figures where `--json` says."""
    if file is not None:
        file.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
