"""The kernels of a pipeline, ready before its first record: it is rehearsed with records that are made up.

numba compiles a kernel when it is first called, or loads it if it was compiled before: a quarter of a minute or a tenth of a
second for a pipeline. A worker that did so with its first records would have taken its shards from others and not process
them all that time. So a few records go all the way, from their bytes to the bytes of the rows, before it joins the group.

What a kernel is compiled for are the types of its arguments, not their values. So any records do, and what a filter drops
goes on as punctuations, through the same kernels.

Where they have to be compiled, a second process helps. numba compiles one kernel at a time in a process, so it goes through
the pipeline from the other end; what it has compiled is loaded where the two meet. It is started anew: a fork would have
polars' locks, and none of the threads that give them back.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from connectors.codec.base import Decoded, Records, Unit
from operators.base import Inputs
from operators.batch import Batch, Schema, Type, missing
from operators.binary import Binary
from operators.clock import END
from operators.devices import DeviceTable, join_id
from operators.kernel import are_kept
from pipelines import config
from pipelines.compiling import compiling
from pipelines.plan import Pipeline, Sink, Source
from pipelines.shard import Shard

log = logging.getLogger("telemill")

_ROWS = 4
_VALUES: Mapping[Type, Any] = {Type.FLOAT: 1.5, Type.INT: 1, Type.BOOL: True, Type.TEXT: "a"}
_BACKWARDS = """
import sys
sys.path[:] = sys.argv[2:]
from pipelines.rehearsal import rehearse_backwards
rehearse_backwards(sys.argv[1])
"""
_ROOM = 1 << 30
"""Bytes of memory that two processes may need together."""


def rehearse(pipeline: Pipeline) -> None:
    """Load or compile what a run of this pipeline calls; say so where it takes long.

    Whatever goes wrong here isn't the run's: it would be told there.
    """
    began = time.monotonic()
    told = compiling().told
    try:
        _rehearse(pipeline)
    except Exception:  # as said
        log.debug("while rehearsing", exc_info=True)
    if compiling().told and not told:
        log.info("kernels are ready after %.0f s", time.monotonic() - began)


def rehearse_backwards(file: str) -> None:
    """Compile what a run of a pipeline calls, what it comes to last at first."""
    pipeline = config.read(Path(file))
    streams = pipeline.streams()
    devices = DeviceTable(pipeline.source.schema.device)
    devices.slots(_device(pipeline.source))
    for sink in pipeline.sinks:
        _encode(sink, None, devices)
    for step in reversed(pipeline.steps):
        state = step.spec.build(Inputs(streams[step.source], devices, pipeline.name, step.id))
        rows = _batch(streams[step.source])
        state.on_batch(rows)
        end = np.full(_ROWS, END)
        state.on_batch(Batch.punctuations(rows.device, end, rows.offset, streams[step.source].columns))


def _rehearse(pipeline: Pipeline) -> None:
    before = compiling().seconds()
    decoder = pipeline.source.offline().decoder()
    shard = Shard(pipeline, decoder, [sink.written for sink in pipeline.sinks])
    # The device table calls the first kernel. If that wasn't there, the others aren't.
    with _helper(pipeline, wanted=compiling().seconds() > before):
        records = _records(pipeline.source)
        decoded = decoder.decode(records)
        made = [shard.take(records, decoded if len(decoded.ts) else _decoded(pipeline.source))]
        made += [shard.on_idle(1), shard.close()]
        rows = {stream: batch for product in made for stream, batch in product.rows.items()}
        for sink in pipeline.sinks:
            _encode(sink, rows.get(sink.written), made[-1].devices)


@contextmanager
def _helper(pipeline: Pipeline, *, wanted: bool) -> Iterator[None]:
    """Let a second process compile the same from the other end for as long as the block runs, if that helps."""
    if not (wanted and are_kept() and _has_room()):
        yield
        return
    command = [sys.executable, "-c", _BACKWARDS, str(Path(pipeline.file).resolve()), *sys.path]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing) as process:  # noqa: S603  # ourselves
        try:
            yield
        finally:
            process.kill()


def _has_room() -> bool:
    """Say whether there are a core and memory for a second process, as far as the system and its control group tell."""
    cores, share, memory = _cores(), _limits("cpu.max"), _limits("memory.max")
    if share:
        cores = min(cores, int(share[0] / share[1]))
    return cores > 1 and (not memory or memory[0] >= _ROOM)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _limits(name: str, folder: Path = Path("/sys/fs/cgroup")) -> list[float]:
    """Read a limit of this process's control group (v2, as a container sees its own); empty where there is none."""
    try:
        return [float(word) for word in (folder / name).read_text().split()]
    except (OSError, ValueError):  # ValueError: `max` stands there
        return []


def _encode(sink: Sink, rows: Batch | None, devices: DeviceTable) -> None:
    """Write rows as a sink does, made up ones if there are none."""
    if sink.schema is not None:
        encoder = sink.format.encoder(sink.schema, sink.stream.replace(".", "_"))
        encoder.encode(_batch(sink.schema) if rows is None else rows, devices)


def _records(source: Source) -> Records:
    """Make records up; where the format can't write such, as where its schema has fields that aren't read, empty ones."""
    try:
        value = source.offline().format.sample(source.reading)(_document(source))
    except Exception:  # noqa: BLE001  # a codec raises many kinds
        value = b""
    rows = np.arange(_ROWS)
    made = Records.of(source.topics[0], 0, [value] * _ROWS, [b"a"] * _ROWS, rows * 0, rows)
    types = {field.header: field.type for field in source.reading.headers}
    headers = {
        name: Binary.of([str(_VALUES[types.get(name, Type.TEXT)]).lower().encode()] * _ROWS)
        for name in source.reading.header_names()
    }
    return replace(made, headers=headers)


def _document(source: Source) -> dict[str, Any]:
    """Make up what stands in a record."""
    reading = source.reading
    values = [(field.path, _VALUES[field.type]) for field in reading.fields]
    values += [(path, "a") for path in reading.device]
    if reading.time:
        values.append((reading.time, "1970-01-01T00:00:00Z" if reading.unit is Unit.ISO else 0))
    document: dict[str, Any] = {}
    for path, value in values:
        within = document
        for key in path[:-1]:
            within = within.setdefault(key, {})
        within[path[-1]] = value
    within = document
    for key in reading.each[:-1]:
        within = within[key]
    for key in reading.each[-1:]:
        within[key] = [within[key]]
    return document


def _device(source: Source) -> Binary:
    """Make up the id of a device, of as many parts as it has."""
    return Binary.of([join_id(["a"] * len(source.schema.device))])


def _decoded(source: Source) -> Decoded:
    """Make up what comes out of records, where these couldn't be made up."""
    batch = _batch(source.schema)
    return Decoded(_device(source).take(np.zeros(_ROWS, np.intp)), batch.ts, batch.offset, batch.columns, [])


def _batch(schema: Schema) -> Batch:
    """Make up rows of a stream, of one device."""
    ts = np.zeros(_ROWS, np.int64)
    columns = {name: missing(type_, _ROWS) for name, type_ in schema.columns.items()}
    return Batch(np.zeros(_ROWS, np.uint32), ts, ts, np.arange(_ROWS), np.ones(_ROWS, np.bool_), columns)
