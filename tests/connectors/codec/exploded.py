"""What records that hold a list of readings should become, written slowly and obviously."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from connectors.codec.base import Decoded, Decoder, Reading, Records
from connectors.codec.documents import Documents
from tests.connectors.codec.agreement import told

Load = Callable[[Records], tuple[Sequence[Any], dict[int, str]]]


def readings(document: Any, each: Sequence[str]) -> list[Any]:
    """Give a document for each item of the list at a path: a copy, with the item in the list's place."""
    if not each:
        assert isinstance(document, list)
        return document
    return [{**document, each[0]: inner} for inner in readings(document[each[0]], each[1:])]


def expected(records: Records, reading: Reading, load: Load) -> dict[str, Any]:
    """Tell what `Decoder.decode` should give, record by record; `told` of no rows where all are dead."""
    rows: list[dict[str, Any]] = []
    dead = []
    plain = replace(reading, each=())
    for place in range(len(records)):
        record = records.take(np.array([place]))
        documents = Documents(*load(record))
        lists = documents.items(reading.each)
        if documents.bad:
            dead.append((place, documents.bad[0]))
            continue
        made = [Documents([doc], {}).columns(record, plain) for doc in readings(documents.docs[0], reading.each)]
        assert len(made) == len(lists[0])
        bad = [f"reading {number}: {one.dead[0].reason}" for number, one in enumerate(made) if one.dead]
        if bad:
            dead.append((place, bad[0]))
        else:
            rows += map(told, made)
    none = Documents([], {}).columns(records.take(slice(0)), plain)
    found = {name: [value for row in rows for value in row[name]] for name in told(none)}
    return {**found, "dead": dead}


def agree(decoder: Decoder, records: Records, reading: Reading, load: Load) -> Decoded:
    """Hold what a decoder gives against what it should."""
    decoded = decoder.decode(records)
    assert told(decoded) == expected(records, reading, load)
    return decoded
