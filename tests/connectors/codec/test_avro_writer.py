"""Tests of rows that a kernel writes as Avro: byte by byte what fastavro writes."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from connectors.codec.avro import Avro
from tests.connectors.codec.agreement import compare_rows
from tests.connectors.codec.writing import Cases


@given(
    st.randoms(use_true_random=False), st.booleans(), st.integers(1, 6), st.sampled_from([{}, {"registry": "http://a"}])
)
def test_rows_are_what_fastavro_makes_of_them(random_: Random, far: bool, count: int, options: dict[str, str]) -> None:
    case = Cases(random_, "column_", far=far).drawn(count)
    assert not compare_rows(Avro.model_validate(options).encoder(case.schema, "rows"), case).differences
