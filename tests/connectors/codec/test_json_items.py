"""Where the items of a list stand in records of JSON."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codec.json_items import JsonItems
from operators.binary import Binary


def items(path: Sequence[str], values: Sequence[bytes | None]) -> list[list[bytes] | None]:
    """Give the items of the list in each record, None where it wasn't found."""
    binary = Binary.of(values)
    found = JsonItems(path).find(binary)
    data = binary.data.tobytes()
    texts = iter([data[begin:end] for begin, end in zip(found.begin.tolist(), found.end.tolist(), strict=True)])
    made = [None if count < 0 else [next(texts) for _ in range(count)] for count in found.count.tolist()]
    assert next(texts, None) is None
    for row, (begin, end) in enumerate(found.lists.tolist()):
        if made[row] is not None:
            assert data[begin : begin + 1] + data[end - 1 : end] == b"[]"
    return made


def test_items_are_what_stands_between_the_commas() -> None:
    value = b'{"a":"[","r":[1, {"x":[1,2]} ,"]\\"," , [[],{}],null]}'
    assert items(["r"], [value, None, b"", b'{"r": [ ]}']) == [
        [b"1", b' {"x":[1,2]} ', b'"]\\"," ', b" [[],{}]", b"null"],
        None,
        None,
        [],
    ]  # fmt: skip


def test_a_list_is_found_by_its_path_alone() -> None:
    values = [
        b'{"x":{"r":[1]},"r":[2]}', b'{"o":{"x":[{"r":[1]}],"r":[2]}}', b'{"rr":[1],"":[1],"o":{"r":[3]}}', b'{"o":{"r":{}}}', b'{"o":[{"r":[1]}]}',
        b'{"\\u006f":{"r":[1]}}', b"[1]", b'{"o":{"r":[1', b'{"o":{"r":[1}]}',
    ]  # fmt: skip
    assert items(["o", "r"], values) == [None, [b"2"], [b"3"], None, None, None, None, None, None]
    assert items(["r"], values)[0] == [b"2"]
    assert items([], [b' [1,"a"] ', b"{}", b"[]"]) == [[b"1", b'"a"'], None, []]


_VALUE = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(st.sampled_from('a"\\,[]{}: é'), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(
    st.lists(st.lists(_VALUE, max_size=5), min_size=1, max_size=4),
    st.dictionaries(st.text(max_size=3), _VALUE, max_size=3),
)
def test_items_are_those_that_the_library_finds(lists: list[list[object]], beside: dict[str, object]) -> None:
    beside.pop("the list", None)
    values = [orjson.dumps({**beside, "the list": list_, "behind": beside}) for list_ in lists]
    found = items(["the list"], values)
    if any("\\" in orjson.dumps(key).decode() for key in beside):
        assert found == [None] * len(lists), "a key with escapes may be any"
    else:
        assert [None if made is None else list(map(orjson.loads, made)) for made in found] == lists


@pytest.mark.parametrize("count", [1, 100, 3_000])
def test_there_is_room_for_as_many_items_as_there_are(count: int) -> None:
    values = [b'{"r":[' + b",".join([b"1"] * count) + b"]}"] * 3 + [b'{"r":[' + b"," * count]
    assert [None if made is None else len(made) for made in items(["r"], values)] == [count, count, count, None]
