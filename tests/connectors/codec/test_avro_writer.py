"""Tests of rows that a kernel writes as Avro: byte by byte what fastavro writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given

from connectors.codec.avro import Avro
from tests.connectors.codec.writing import Case, cases


@given(case=cases())
def test_rows_are_what_fastavro_makes_of_them(case: Case) -> None:
    names = {name: name.replace(" ", "_") for name in case.schema.columns}
    schema = replace(case.schema, columns={names[name]: type_ for name, type_ in case.schema.columns.items()})
    batch = replace(case.batch, columns={names[name]: column for name, column in case.batch.columns.items()})
    encoder: Any = Avro.model_validate({}).encoder(schema, "rows")
    assert encoder.encode(batch, case.devices).values() == encoder._by_document(batch, case.devices).values()
