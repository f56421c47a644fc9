"""Records made of one record and each of its items."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.codec.items import GROWTH, ROOM, Items, splice
from connectors.codec.json_items import JsonItems
from tests.connectors.codec.records import records

VALUES: list[bytes | None] = [b'{"a":1,"r":[10,{"x":2}],"b":3}', None, b'{"r":[]}', b'{"r":[5]}', b'{"r":[6,7]}']


@pytest.mark.parametrize(("space", "between"), [(0, b""), (1, b" ")])
def test_an_item_stands_in_the_place_of_the_list(space: int, between: bytes) -> None:
    whole = records(VALUES, keys=[b"k0", None, None, b"k3", b"k4"], first=40)
    some = np.array([True, False, True, False, True])
    made, record = splice(whole, JsonItems(["r"]).find(whole.values), some, space)
    assert made.values.to_list() == [
        b'{"a":1,"r":10' + between + b',"b":3}',
        b'{"a":1,"r":{"x":2}' + between + b',"b":3}',
        b'{"r":6' + between + b"}",
        b'{"r":7' + between + b"}",
    ]
    assert record.tolist() == [0, 0, 4, 4]
    assert made.offset.tolist() == [40, 40, 44, 44]
    assert made.keys.to_list() == [b"k0", b"k0", b"k4", b"k4"]


def test_nothing_is_made_of_no_items() -> None:
    whole = records([None, b'{"r":[]}'])
    made, record = splice(whole, JsonItems(["r"]).find(whole.values), np.array([False, True]), 1)
    assert (len(made), len(record)) == (0, 0)


@pytest.mark.parametrize("beside", [10, 1_000, 100_000])
@pytest.mark.parametrize("count", [1, 10, 1_000])
def test_a_record_fits_if_what_is_made_of_it_is_no_more_than_so_many_times_its_size(beside: int, count: int) -> None:
    value = b'{"z":"' + b"z" * beside + b'","r":[' + b",".join([b"1"] * count) + b"]}"
    whole = records([value])
    items = JsonItems(["r"]).find(whole.values)
    made, _ = splice(whole, items, np.ones(1, np.bool_), 1)
    (fits,) = items.fitting(whole.values).tolist()
    bytes_made = int(made.values.size.sum())
    most = GROWTH * len(value) + ROOM
    assert bytes_made <= most if fits else bytes_made + len(value) > most


def test_a_record_without_items_that_were_found_fits() -> None:
    none = np.empty(0, np.int64)
    items = Items(np.array([-1, 0]), np.zeros((2, 2), np.int64), none, none)
    assert items.fitting(records([None, b"x" * 10_000]).values).tolist() == [True, True]
