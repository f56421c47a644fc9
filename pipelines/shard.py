"""A shard: one partition of the source, with the state that every step keeps for its devices.

Knows neither Bytewax nor Kafka: a test, `telemill test` and a run on Kafka go through the same `process`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd

import numpy as np

from connectors.codec.base import Decoded, Decoder, Records
from connectors.codec.documents import LONGEST_REASON
from operators.base import Inputs, Reject, State
from operators.batch import Batch
from operators.clock import END, FORGET, Clock
from operators.devices import DeviceTable
from pipelines.plan import DEAD, SOURCE, Pipeline


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that couldn't be processed, as it came, and why; of its headers those that are read.

    Where a row that a step made couldn't be (`of_made`), such as a window's, key and value are None: the record that closed
    the window is innocent.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str
    of_made: bool = False
    headers: Mapping[str, bytes | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Product:
    """What a shard made of some records.

    Attributes:
        records: how many records there were.
        rows: the live rows of what is watched, by its name; none is empty.
        letters: the dead letters, in order of offset.
        devices: names the devices of the rows.
    """

    records: int
    rows: Mapping[str, Batch]
    letters: Sequence[Letter]
    devices: DeviceTable


@dataclass(slots=True)
class Counts:
    """What went through a shard so far.

    Attributes:
        records: records taken in.
        rows: rows put out, by stream; late ones under `ID.late`, those that a sink with a condition writes under
            `Sink.written`.
        dead: records that couldn't be processed.
        moved: how often a silent device was moved on by the clock of the others, or of the wall.
        forgotten: devices that were forgotten.
        partly_late: by step, rows that came in time for some of their windows and too late for others.
    """

    records: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    dead: int = 0
    moved: int = 0
    forgotten: int = 0
    partly_late: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Add another shard's counts."""
        self.records += other.records
        self.rows += other.rows
        self.dead += other.dead
        self.moved += other.moved
        self.forgotten += other.forgotten
        self.partly_late += other.partly_late


class Shard:
    """The state of one partition: its device table, its clock, and a state for every step.

    Attributes:
        position: the offset of the next record to process.
        counts: what went through so far.
        stateful: the steps that remember something of the rows that went through.
    """

    def __init__(self, pipeline: Pipeline, decoder: Decoder, watch: Sequence[str], position: int = 0) -> None:
        """Make an empty shard.

        Args:
            pipeline: what to run.
            decoder: of the source's format.
            watch: the streams whose rows `process` gives, or what a sink writes of them (`Sink.written`).
            position: the offset to begin at.
        """
        source = pipeline.source
        self.position = position
        self.counts = Counts()
        self._place = ("", 0)
        self._decoder = decoder
        self._watch = [stream for stream in dict.fromkeys(watch) if stream != DEAD]
        self._types = dict(source.schema.columns)
        self._devices = DeviceTable(source.schema.device)
        reaches = [step.spec.reach() for step in pipeline.steps]
        grain = gcd(*(step.spec.grain() for step in pipeline.steps)) or 1
        self._clock = Clock(source.lateness, source.idle, sum(reaches), grain, source.forget)
        streams = self._streams = pipeline.streams()
        self._read = {step.source for step in pipeline.steps}
        self._steps: list[tuple[str, str, bool, State]] = []
        made: set[str] = set()
        """Streams whose rows a step has made, so that no single record stands behind one."""
        for step in pipeline.steps:
            inputs = Inputs(streams[step.source], self._devices, pipeline.name, step.id, step.id in self._read)
            if step.source in made:
                made |= {step.id, *(f"{step.id}.{side}" for side in step.schemas)}
            elif step.spec.makes_rows():
                made.add(step.id)
            self._steps.append((step.id, step.source, step.source in made, step.spec.build(inputs)))
        # The condition of a sink is a filter behind its stream; several sinks may share one.
        for sink in {sink.written: sink for sink in pipeline.sinks}.values():
            if sink.when is not None:
                inputs = Inputs(streams[sink.stream], self._devices, pipeline.name, sink.written, punctuated=False)
                self._steps.append((sink.written, sink.stream, sink.stream in made, sink.when.build(inputs)))
        remembering = {step.id for step in pipeline.steps if step.spec.remembers}
        self.stateful = tuple(name for name, _, _, state in self._steps if name in remembering and state.snapshot())

    def process(self, records: Records) -> Product:
        """Take in records of this partition, in order of offset."""
        return self.take(records, self._decoder.decode(records))

    def take(self, records: Records, decoded: Decoded) -> Product:
        """Take in records that are decoded already, such as the rows of a file."""
        device = self._devices.slots(decoded.device)
        batch = self._clock.on_rows(device, decoded.ts, decoded.offset, decoded.columns, self._types)
        self._place = (records.topic, records.partition)
        rows, rejects, of_made = self._run(batch)
        letters = [(dead.row, dead.reason) for dead in decoded.dead]
        letters += [(int(np.searchsorted(records.offset, reject.offset)), reject.reason) for reject in rejects]
        self.position = int(records.offset[-1]) + 1
        reasons = dict(sorted(letters, reverse=True))  # one letter a record, though two branches may refuse it
        mine = [_letter(records, row, reasons[row]) for row in sorted(reasons)]
        return self._product(len(records), rows, [*mine, *of_made])

    def on_idle(self, elapsed: int) -> Product:
        """Say that no record has come for `elapsed` us of wall time, though there was none left to read."""
        return self._punctuate(self._clock.on_idle(elapsed, self.position - 1, self._types))

    def close(self) -> Product:
        """Close all windows that are open. For the end of a finite run."""
        return self._punctuate(self._clock.close(self.position - 1, self._types))

    def _punctuate(self, batch: Batch) -> Product:
        rows, _, of_made = self._run(batch)  # a punctuation has no record that could be rejected, but closes windows
        return self._product(0, rows, of_made)

    def _run(self, batch: Batch) -> tuple[dict[str, Batch], list[Reject], list[Letter]]:
        """Put a batch through every step; gives the streams, which records were rejected, and which rows that steps made."""
        self.counts.moved += int(np.count_nonzero(~batch.live & (batch.watermark < END)))
        streams = {SOURCE: batch}
        rejects: list[Reject] = []
        of_made: list[Letter] = []
        for name, source, made, state in self._steps if len(batch) else ():
            out = state.on_batch(streams[source])
            streams[name] = out.main
            if out.partly_late:
                self.counts.partly_late[name] += out.partly_late
            for side, rows in out.sides.items():
                stream = f"{name}.{side}"
                streams[stream] = self._with_ends(stream, rows, streams[source])
            if made:
                for reject in out.rejects:
                    reason = f"a row of `{source}` in step `{name}`: {reject.reason}"[:LONGEST_REASON]
                    of_made.append(Letter(*self._place, reject.offset, None, None, reason, of_made=True))
            else:
                rejects += out.rejects
        self._forget(batch)
        return streams, rejects, of_made

    def _with_ends(self, stream: str, side: Batch, source: Batch) -> Batch:
        """Put the ends of time into a side output that a step reads: what is open there has to close too."""
        if stream not in self._read or not (source.watermark >= END).any():
            return side
        ends = source.take(source.watermark >= END)
        types = self._streams[stream].columns
        both = Batch.concat([side, Batch.punctuations(ends.device, ends.watermark, ends.offset, types)])
        return both.take(np.argsort(both.offset, kind="stable"))

    def _forget(self, batch: Batch) -> None:
        """Free the slots of devices that were forgotten within a batch and didn't come again."""
        ends = batch.watermark >= FORGET
        if not ends.any():
            return
        gone = np.unique(batch.device[ends])
        gone = gone[~self._clock.knows(gone)]
        self._devices.forget(gone)
        self.counts.forgotten += len(gone)

    def _product(self, records: int, streams: Mapping[str, Batch], letters: list[Letter]) -> Product:
        for name, rows in streams.items():
            self.counts.rows[name] += int(np.count_nonzero(rows.live))
        self.counts.records += records
        self.counts.dead += len(letters)
        watched = {name: streams[name].data() for name in self._watch if name in streams}
        live = {name: rows for name, rows in watched.items() if len(rows)}
        return Product(records, live, letters, self._devices.view() if live else self._devices)


def _letter(records: Records, row: int, reason: str) -> Letter:
    key, value = records.keys[row], records.values[row]
    headers = {name: column[row] for name, column in records.headers.items()}
    place = records.topic, records.partition, int(records.offset[row])
    return Letter(*place, key, value, reason[:LONGEST_REASON], headers=headers)
