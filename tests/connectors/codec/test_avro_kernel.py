"""The kernel that reads Avro: it goes on where the last byte stands and no further, and no index lies outside of an array."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import pytest

from connectors.codec.avro_kernel import DEEP
from connectors.codec.avro_scan import AvroScan
from connectors.codec.base import FieldPath, Reading, Unit
from operators.batch import Type
from tests.connectors.codec.agreement import agree_by, avro_decoder, records
from tests.connectors.codec.records import reading
from tests.connectors.codec.schemas import long

ROOT = Path(__file__).parents[3]
KEYED = Reading((), (), (), Unit.US, 0)


def record(type_: Any) -> Any:
    return {"type": "record", "name": "R", "fields": [{"name": "v", "type": type_}]}


def nested(depth: int) -> tuple[Any, bytes]:
    """Give a schema of arrays within each other, and a datum that goes to the bottom."""
    schema: Any = "int"
    value = long(5)
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
        value = long(1) + value + long(0)
    return record(schema), value


@pytest.mark.parametrize("depth", [1, DEEP - 1, DEEP, DEEP + 1])
def test_arrays_are_taken_as_deeply_nested_as_is_said(depth: int) -> None:
    schema, value = nested(depth)
    decoder = avro_decoder(schema, KEYED)
    values = [value] * 7
    _, left = decoder._scan.scan(records(values).take(slice(3, 4)))
    assert len(left) == (depth > DEEP)
    agree_by(decoder, values)


@pytest.mark.parametrize("count", [5, 6, 10**6, 2**61])
def test_a_claim_of_more_items_than_there_are_bytes_is_not_counted_through(count: int) -> None:
    decoder = avro_decoder(record({"type": "array", "items": "null"}), KEYED)
    value = long(count) + long(0)
    _, left = decoder._scan.scan(records([value] * 4).take(slice(3, 4)))
    assert len(left) == (count > len(value))


@pytest.mark.parametrize("field", ["string", "bytes", {"type": "fixed", "name": "F", "size": 2**40}])
@pytest.mark.parametrize("size", [-1, 3, 2**40, 2**61, -(2**61)])
def test_a_length_that_the_record_does_not_have_is_what_the_library_makes_of_it(field: Any, size: int) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "v", "type": field}, {"name": "n", "type": "int"}]}
    reading = Reading((FieldPath("n", ("n",), Type.INT),), (), (), Unit.US, 0)
    agree_by(avro_decoder(schema, reading), [long(size) + b"ab" + long(7)] * 7)


def test_the_kernel_never_looks_outside_of_its_arrays(tmp_path: Path) -> None:
    """Tests with hostile bytes once more, with every index checked by numba."""
    if "NUMBA_BOUNDSCHECK" in os.environ:
        pytest.skip("this is the run with the check")
    environ = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    here = [str(Path(__file__).with_name(name)) for name in ("test_avro_kernel.py", "test_avro_scan.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not page", *here]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout[-3_000:]


@pytest.mark.skipif(sys.platform != "linux", reason="pages are made unreadable by Linux's call")
def test_nothing_is_read_of_the_page_behind_the_last_byte() -> None:
    """JSON, Avro, CSV and devices, in a process of their own: it would end with a signal."""
    command = [sys.executable, "-m", "tests.connectors.codec.wall"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr[-3_000:]


def test_items_without_bytes_are_not_worth_more_than_the_bytes_of_the_datum() -> None:
    """An array of nulls may claim as many as it likes in each of its blocks: 60 kB took 4 s."""
    schema = {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "dev", "type": "string"},
            {"name": "ts", "type": "long"},
            {"name": "many", "type": {"type": "array", "items": "null"}},
        ],
    }
    scan = AvroScan(fastavro.parse_schema(schema), reading({}))
    head = b"\x02a\x02"
    _, left = scan.scan(records([head + b"\x0a\x06" + b"\0", head + b"\x10\x0e" * 3 + b"\0"]))
    assert left.tolist() == [0, 1]
    _, left = scan.scan(records([head + b"\x04\x02" + b"\0"]))
    assert left.tolist() == []
