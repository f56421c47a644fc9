"""Bytes that end where memory does: the page behind them can't be read, so one byte too many ends the process.

Run as a module, it decodes records and looks devices up there.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import fastavro
import numpy as np
from numpy.typing import NDArray

from connectors.codec.avro import Avro
from connectors.codec.base import FieldPath, Reading, Records, Unit
from connectors.codec.csv import Csv
from connectors.codec.json import Json
from connectors.codec.senml import Senml
from operators.batch import Type
from operators.binary import Binary
from operators.devices import DeviceTable, join_ids, split_ids
from tests.connectors.codec.agreement import avro_decoder

_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
_held: list[mmap.mmap] = []
"""What stays mapped until the process ends."""


def before_a_wall(data: bytes) -> NDArray[np.uint8]:
    """Give a copy of bytes that ends at a page that can't be read."""
    pages = -(-len(data) // mmap.PAGESIZE)
    held = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE, prot=_READ_WRITE)
    _held.append(held)
    start = ctypes.addressof(ctypes.c_char.from_buffer(held))
    library = ctypes.CDLL(None, use_errno=True)
    wall = ctypes.c_void_p(start + pages * mmap.PAGESIZE)
    if library.mprotect(wall, ctypes.c_size_t(mmap.PAGESIZE), 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    whole = np.frombuffer(held, np.uint8, pages * mmap.PAGESIZE)
    kept = whole[len(whole) - len(data) :]
    kept[:] = np.frombuffer(data, np.uint8)
    return kept


def column(values: list[bytes]) -> Binary:
    """Give values of which the last ends at the wall."""
    made = Binary.of(values)
    return Binary(before_a_wall(made.data.tobytes()), made.begin, made.size)


def decode(decoder: Any, value: bytes) -> None:
    """Decode a record, and every beginning of it, each in front of a wall."""
    for end in range(len(value) + 1):
        keys = column([b"key"])
        records = Records("raw", 0, column([value[:end]]), keys, np.zeros(1, np.int64), np.zeros(1, np.int64))
        decoded = decoder.decode(records)
        assert len(decoded.dead) == (end < len(value)), value[:end]


def read_json() -> None:
    fields = (
        FieldPath("x", ("x",), Type.FLOAT),
        FieldPath("text", ("text",), Type.TEXT),
        FieldPath("ok", ("o", "ok"), Type.BOOL),
    )
    record = b'{"dev":"a/b","ts":"2026-01-31T12:00:00.25+01:00","x":-12.5e-3,"text":"on","no":null,"o":{"ok":true,"l":[false]}}'
    for device in ((("dev",),), (("dev",), ("text",)), ()):
        decode(Json.model_validate({}).decoder(Reading(fields, device, ("ts",), Unit.ISO, 10**18)), record)


def read_lists_of_json() -> None:
    fields = (FieldPath("x", ("o", "r", "x"), Type.FLOAT), FieldPath("text", ("text",), Type.TEXT))
    reading = Reading(fields, (("dev",), ("o", "r", "id")), (), Unit.US, 0, ("o", "r"))
    items = b'[{"id":"a","x":1},{"id":"b"} , {"id":7,"x":-2.5e1}]'
    for record in (
        b'{"dev":"g","text":"\\"on]","o":{"z":[[],"]"],"r":' + items + b',"s":"[\\\\"}}',
        b'{"dev":"g","o":{"r":' + items + b"}}",
        b'{"dev":"g","text":"on","o":{"r":[]}}',
    ):
        decode(Json.model_validate({}).decoder(reading), record)


def read_senml() -> None:
    fields = (FieldPath("v", ("v",), Type.FLOAT), FieldPath("u", ("u",), Type.TEXT))
    reading = Reading(fields, (("bn",), ("n",)), ("t",), Unit.S, 10**18)
    for pack in (
        b'[{"bn":"a:","bt":1.7e9,"n":"b","v":1},{"bn":"c"} , {"u":"nul","n":"b","v":-2.5e1}]',
        b'[{"bn":"a:","n":"b","v":1}]',
        b"[]",
    ):
        decode(Senml.model_validate({}).decoder(reading), pack)


def read_lists_of_avro() -> None:
    item = {
        "type": "record",
        "name": "I",
        "fields": [{"name": "id", "type": "string"}, {"name": "x", "type": "double"}],
    }
    many = {"type": "array", "items": item}
    fields = [
        {"name": "dev", "type": "string"},
        {"name": "r", "type": ["null", many]},
        {"name": "raw", "type": "bytes"},
    ]
    avro = Avro.model_validate({})
    avro._parsed = fastavro.parse_schema({"type": "record", "name": "R", "fields": fields})
    reading = Reading((FieldPath("x", ("r", "x"), Type.FLOAT),), (("dev",), ("r", "id")), (), Unit.US, 0, ("r",))
    one = b"\x02a" + bytes(8)
    for blocks in (b"\x04" + one + one + b"\1\x14" + one + b"\0", b"\0"):
        decode(avro.decoder(reading), b"\x02g\x02" + blocks + b"\x04ab")


def read_avro() -> None:
    types: list[tuple[str, Any, bytes]] = [
        ("ok", "boolean", b"\1"),
        ("n", "long", b"\x82\1"),
        ("e", "float", bytes(4)),
        ("x", "double", bytes(8)),
        ("raw", "bytes", b"\4ab"),
        ("text", "string", b"\x1aabcdefgh\xc3\xa9\xe2\x82\xac"),
        ("mode", {"type": "enum", "name": "Mode", "symbols": ["A", "B"]}, b"\2"),
        ("hash", {"type": "fixed", "name": "Hash", "size": 9}, bytes(9)),
        ("some", ["null", "string"], b"\2\2a"),
        ("list", {"type": "array", "items": "long"}, b"\3\4\2\4\0"),
        ("map", {"type": "map", "values": "boolean"}, b"\2\2a\1\0"),
    ]
    read = {"ok": Type.BOOL, "n": Type.INT, "e": Type.FLOAT, "x": Type.FLOAT, "text": Type.TEXT, "some": Type.TEXT}
    for name, type_, value in types:
        # Each type comes last in turn, and the first of them as the only one: nothing else is copied with it.
        schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": type_}]}
        only = (FieldPath(name, (name,), read[name]),) if name in read else ()
        decode(avro_decoder(schema, Reading(only, (), (), Unit.US, 0)), value)
    schema = {"type": "record", "name": "R", "fields": [{"name": name, "type": type_} for name, type_, _ in types]}
    fields = tuple(FieldPath(name, (name,), type_) for name, type_ in read.items())
    whole = b"".join(value for _, _, value in types)
    decode(avro_decoder(schema, Reading(fields, (("text",),), (), Unit.US, 0)), whole)
    decode(avro_decoder(schema, Reading(fields, (("mode",), ("n",)), (), Unit.US, 0)), whole)


def read_csv() -> None:
    fields = (
        FieldPath("x", ("x",), Type.FLOAT),
        FieldPath("ok", ("ok",), Type.BOOL),
        FieldPath("on", ("on",), Type.TEXT),
    )
    reading = Reading(fields, (("dev",),), ("ts",), Unit.ISO, 10**18)
    head, line = b"dev,ts,on,ok,x", b'a,"2026-01-31T12:00:00.25Z","on, off",FALSE,-12.5e-3'
    formats = [
        (Csv(columns=head.decode().split(","), missing=["off", "-12"]), line),
        (Csv(header=True), head + b"\r\n" + line),
    ]
    for format_, value in formats:
        decoder, good = format_.decoder(reading), []
        for end in range(len(value) + 1):
            keys = column([b"key"])
            records = Records("raw", 0, column([value[:end]]), keys, np.zeros(1, np.int64), np.zeros(1, np.int64))
            good += [value[:end].rpartition(b",")[2]] * len(decoder.decode(records).ts)
        assert good == [b"", b"-1", b"-12", b"-12.", b"-12.5", b"-12.5e-3"]


def look_devices_up() -> None:
    devices = DeviceTable(("id",))
    for _ in range(2):
        for length in range(1, 40):
            assert devices.slots(column([b"x" * 7, b"d" * length])).tolist() == [0, length]
    for length in range(1, 40):
        parts = [column([b"p" * length]), column([b"/" * length])]
        ids = join_ids(parts).packed()
        assert split_ids(Binary(before_a_wall(ids.data.tobytes()), ids.begin, ids.size), 2)[0][0] is None
        assert column([b"x", b"y" * length]).packed().to_list() == [b"x", b"y" * length]


if __name__ == "__main__":
    read_json()
    read_lists_of_json()
    read_senml()
    read_lists_of_avro()
    read_avro()
    read_csv()
    look_devices_up()
