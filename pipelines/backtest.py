"""`telemill backtest`: the same shard as in a run, over a file and into files, without a broker.

The order of the file is the order of arrival. The event time of a row stands for its record's own time too, so nothing
is refused for being in the future. Nothing here reads a clock but to say how long it took: the same file gives the same
results.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from connectors.codec.base import Dead, Decoded, Records
from connectors.files.base import FileError, Table
from connectors.files.results import FileFormat, Results, write
from operators.batch import Text, join_columns
from operators.binary import Binary
from pipelines.plan import DEAD, SOURCE, Pipeline
from pipelines.shard import Counts, Product, Shard

_FEW = 8
"""Devices of which each is counted for itself."""

_Rows: TypeAlias = Iterator[tuple[Records, Decoded]]


class Watcher(Protocol):
    """Somebody who looks at what the shard puts out."""

    @property
    def streams(self) -> Sequence[str]:
        """The streams to be shown."""
        ...

    def take(self, product: Product) -> None:
        """Look at what was put out for a batch."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    Attributes:
        output: the folder for the results; made if it isn't there.
        format: of the results.
        sort: take the rows by event time, and not in the order of the file.
        keep_open: leave open at the end what is open.
        batch: rows that are taken in at a time; makes no difference but to speed.
    """

    output: Path
    format: FileFormat = FileFormat.PARQUET
    sort: bool = False
    keep_open: bool = False
    batch: int = 10_000

    def file(self, name: str) -> Path:
        """Say where the file of a name is."""
        return self.output / f"{name}.{self.format.value}"


@dataclass(slots=True)
class Outcome:
    """What a backtest came to.

    Attributes:
        counts: as of a shard on Kafka.
        files: what was written for each stream, or what the condition of a sink leaves of it.
        replaced: the files among them that were there before.
        first: the earliest event time, us since the epoch; None where no row could be decoded.
        last: the latest.
        devices: rows by device and stream; None where there are many devices.
        letters: the number of each dead row, from 1, and the reason.
        reading: seconds for reading and decoding.
        processing: seconds in the shard.
        writing: seconds for writing the results.
    """

    pipeline: Pipeline
    options: Options
    counts: Counts = field(default_factory=Counts)
    files: dict[str, Path] = field(default_factory=dict)
    replaced: list[Path] = field(default_factory=list)
    first: int | None = None
    last: int | None = None
    devices: dict[str, Counter[str]] | None = field(default_factory=dict)
    letters: list[tuple[int, str]] = field(default_factory=list)
    reading: float = 0.0
    processing: float = 0.0
    writing: float = 0.0

    def seconds(self) -> float:
        """Give how long it took in all."""
        return self.reading + self.processing + self.writing


def names(pipeline: Pipeline) -> dict[str, str]:
    """Name a file for each stream that a sink writes, by `Sink.written`, and one for the dead letters.

    It is called as the stream; `STREAM.TOPIC` where the sink has a condition.
    """
    whole = [sink.stream for sink in pipeline.sinks if sink.when is None and sink.stream != DEAD]
    found = {name: name for name in (*whole, DEAD)}
    for sink in pipeline.sinks:
        if sink.written not in found:
            name = f"{sink.stream}.{sink.topic}"
            taken = sum(other == name or other.startswith(f"{name}-") for other in found.values())
            found[sink.written] = f"{name}-{taken + 1}" if taken else name
    return {**{sink.written: found[sink.written] for sink in pipeline.sinks if sink.stream != DEAD}, DEAD: DEAD}


def prepare(pipeline: Pipeline, file: Path, options: Options) -> None:
    """Make the folder for the results, before anything is run.

    Raises:
        FileError: if it can't be made, or the results would be written over the file that is read.
    """
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{options.output}: can't be made a folder for the results: {error.strerror}"
        raise FileError(message) from None
    for name in names(pipeline).values():
        own = options.file(name)
        if own.exists() and own.samefile(file):
            message = (
                f"{own}: the results would be written over the file that is read; give another folder with --output"
            )
            raise FileError(message)


def backtest(
    pipeline: Pipeline, table: Table, options: Options, out: Console, watcher: Watcher | None = None
) -> Outcome:
    """Run a pipeline over a file, and write what comes out.

    Args:
        pipeline: what to run.
        table: the file's rows.
        options: how.
        out: where progress is shown, if it is a terminal.
        watcher: sees the streams that it asks for, as they come.

    Raises:
        FileError: if the file can't be read to its end.
        OSError: if the results can't be written.
    """
    outcome = Outcome(pipeline, options)
    results = {sink.written: Results(sink.schema) for sink in pipeline.sinks if sink.schema is not None}
    seen = [SOURCE, *results, *(watcher.streams if watcher else ())]
    shard = _shard(pipeline, seen)
    rows, numbers = _rows(table, outcome, out)
    share = table.progress if numbers is None else lambda: shard.position / len(numbers)
    for product in _products(shard, rows, share, outcome, out):
        for stream, batch in product.rows.items():
            if stream in results:
                results[stream].add(batch, product.devices)
        _note(outcome, product, results)
        for letter in product.letters:
            row = letter.offset if numbers is None else int(numbers[letter.offset])
            outcome.letters.append((row + 1, letter.reason))
        if watcher is not None:
            watcher.take(product)
    outcome.counts = shard.counts
    began = time.perf_counter()
    _write(outcome, results)
    outcome.writing = time.perf_counter() - began
    return outcome


def _shard(pipeline: Pipeline, watch: Sequence[str]) -> Shard:
    return Shard(pipeline, pipeline.source.decoder(), watch)


def _rows(table: Table, outcome: Outcome, out: Console) -> tuple[_Rows, NDArray[np.int64] | None]:
    """Give the rows in batches; and the number of each by its offset, where that isn't its offset."""
    size = outcome.options.batch
    rows = _timed(table.batches(size), outcome)
    if not outcome.options.sort:
        return rows, None
    read = []
    with _progress(out) as progress:
        task = progress.add_task("read", total=1.0, rows=0)
        for batch in rows:
            read.append(batch)
            progress.update(task, completed=table.progress(), rows=int(batch[0].offset[-1]) + 1)
    began = time.perf_counter()
    batches, numbers = _sorted(read, size)
    outcome.reading += time.perf_counter() - began
    return iter(batches), numbers


def _timed(rows: _Rows, outcome: Outcome) -> _Rows:
    """Pass rows on, and add up how long reading them took."""
    while True:
        began = time.perf_counter()
        batch = next(rows, None)
        outcome.reading += time.perf_counter() - began
        if batch is None:
            return
        yield batch


def _sorted(
    read: Sequence[tuple[Records, Decoded]], size: int
) -> tuple[list[tuple[Records, Decoded]], NDArray[np.int64]]:
    """Order rows by event time, those of one time as they are in the file. What is dead comes first."""
    topic, columns = read[0][0].topic, read[0][1].columns
    dead = [(records.offset[row], reason) for records, decoded in read for row, reason in decoded.dead]
    letters = [Dead(row, reason) for row, (_, reason) in enumerate(dead)]
    device = Binary.concat([decoded.device for _, decoded in read])
    ts = np.concatenate([decoded.ts for _, decoded in read])
    number = np.concatenate([decoded.offset for _, decoded in read])
    columns = {name: join_columns([decoded.columns[name] for _, decoded in read]) for name in columns}
    order = np.argsort(ts, kind="stable")

    def batch(records: Records, rows: NDArray[np.int64], dead: Sequence[Dead] = ()) -> tuple[Records, Decoded]:
        own = {name: cells.take(rows) if isinstance(cells, Text) else cells[rows] for name, cells in columns.items()}
        return records, Decoded(device.take(rows), ts[rows], records.offset[len(dead) :], own, dead)

    batches = [batch(Records.numbered(topic, 0, len(dead)), order[:0], letters)] if dead else []
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batches.append(batch(Records.numbered(topic, len(dead) + start, len(rows)), rows))
    return batches, np.concatenate([np.array([row for row, _ in dead], np.int64), number[order]])


def _products(
    shard: Shard, rows: _Rows, share: Callable[[], float], outcome: Outcome, out: Console
) -> Iterator[Product]:
    """Put the rows through the shard, and close what is open behind the last."""
    first = next(rows, None)
    if first is None:
        return
    with out.status("compiling the kernels; the first time takes some seconds"):
        warm = _shard(outcome.pipeline, [])
        warm.take(*first)
        warm.close()

    def timed(step: Callable[[], Product]) -> Product:
        began = time.perf_counter()
        product = step()
        outcome.processing += time.perf_counter() - began
        return product

    with _progress(out) as progress:
        task = progress.add_task("run", total=1.0, rows=0)
        for batch in chain([first], rows):
            yield timed(partial(shard.take, *batch))
            progress.update(task, completed=share(), rows=shard.position)
        if not outcome.options.keep_open:
            yield timed(shard.close)
        progress.update(task, completed=1.0)


def _note(outcome: Outcome, product: Product, written: Iterable[str]) -> None:
    """Note the range of time, and the rows by device while the devices are few."""
    if SOURCE in product.rows:
        ts = product.rows[SOURCE].ts
        low, high = int(ts.min()), int(ts.max())
        outcome.first = low if outcome.first is None else min(low, outcome.first)
        outcome.last = high if outcome.last is None else max(high, outcome.last)
    for stream in dict.fromkeys([SOURCE, *written]):
        if outcome.devices is None or stream not in product.rows:
            continue
        slots, counts = np.unique(product.rows[stream].device, return_counts=True)
        for device, count in zip(product.devices.ids(slots).values(), counts.tolist(), strict=True):
            outcome.devices.setdefault(device.decode("utf-8", "backslashreplace"), Counter())[stream] += count
        if len(outcome.devices) > _FEW:
            outcome.devices = None


def _write(outcome: Outcome, results: Mapping[str, Results]) -> None:
    outcome.letters.sort()
    known = names(outcome.pipeline)
    dead = pl.DataFrame(outcome.letters, {"row": pl.Int64, "reason": pl.String}, orient="row")
    for stream, frame in chain(((name, rows.frame()) for name, rows in results.items()), [(DEAD, dead)]):
        file = outcome.options.file(known[stream])
        if file.exists():
            outcome.replaced.append(file)
        write(frame, file, outcome.options.format)
        outcome.files[stream] = file


def _progress(out: Console) -> Progress:
    rows = TextColumn("{task.fields[rows]:,} rows")
    columns = (TextColumn("{task.description:4}"), BarColumn(), TaskProgressColumn(), rows, TimeElapsedColumn())
    return Progress(*columns, console=out, disable=not out.is_terminal)
