"""Tests of the device table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operators.devices import DeviceTable, join_id, split_id

IDS = st.lists(
    st.one_of(st.binary(max_size=4), st.sampled_from([b"", b"\x00", b"\x00\x00", b"\xff", b"a", b"a/b"])), max_size=30
)


@given(pieces=st.lists(IDS, max_size=5))
def test_slots_are_given_out_in_the_order_in_which_devices_are_first_seen(pieces: list[list[bytes]]) -> None:
    table = DeviceTable(("device",))
    seen: dict[bytes, int] = {}
    for ids in pieces:
        for device in ids:
            seen.setdefault(device, len(seen))
        slots = table.slots(ids)
        assert slots.dtype == np.uint32
        assert slots.tolist() == [seen[device] for device in ids]
        assert table.ids(slots) == ids
        assert len(table) == len(seen)
    assert table.texts(0) == [device.decode("utf-8", "backslashreplace") for device in seen]


@given(before=IDS, after=IDS)
def test_a_table_resumed_from_its_snapshot_gives_the_same_slots(before: list[bytes], after: list[bytes]) -> None:
    old = DeviceTable(("device",))
    old.slots(before)
    snapshot = old.snapshot()
    copies = {name: array.copy() for name, array in snapshot.items()}
    expected = old.slots(after).tolist()
    for name, array in copies.items():
        np.testing.assert_array_equal(snapshot[name], array)
    new = DeviceTable(("device",), snapshot)
    assert len(new) == len(set(before))
    assert new.slots(after).tolist() == expected
    assert new.texts(0) == old.texts(0)
    assert {name: array.dtype for name, array in snapshot.items()} == {"bytes": np.uint8, "lengths": np.int64}


def test_a_device_may_have_any_bytes_for_an_id() -> None:
    table = DeviceTable(("device",))
    ids = [b"", b"\x00", b"\xff\xfe", "grün".encode(), b"a/b%2F", b"x" * 10_000]
    resumed = DeviceTable(("device",), (table.slots(ids), table.snapshot())[1])
    assert resumed.ids(np.arange(len(ids))) == ids
    assert resumed.texts(0)[:5] == ["", "\x00", "\\xff\\xfe", "grün", "a/b%2F"]


def test_a_table_grows_to_many_devices() -> None:
    table = DeviceTable(("device",))
    ids = [b"%d" % number for number in range(100_000)]
    assert table.slots(ids[:7]).tolist() == list(range(7))
    assert table.slots(ids).tolist() == list(range(100_000))
    assert table.slots(ids[::-1]).tolist() == list(range(100_000))[::-1]
    assert len(table) == 100_000


def test_looking_up_nothing_gives_nothing() -> None:
    table = DeviceTable(("device",))
    assert table.slots([]).tolist() == []
    assert len(DeviceTable(("device",), table.snapshot())) == 0


def test_a_device_of_several_fields_has_a_text_for_each() -> None:
    table = DeviceTable(("site", "sensor"))
    table.slots([join_id(["berlin", "a/b"]), join_id(["", "100%"])])
    assert table.texts(0) == ["berlin", ""]
    assert table.texts(1) == ["a/b", "100%"]


PARTS = st.text(st.one_of(st.sampled_from("/%2F5aé"), st.characters(exclude_categories=["Cs"])), max_size=6)


@given(parts=st.lists(PARTS, min_size=1, max_size=4))
@example(["/"])
@example(["", ""])
@example(["%2F", "/"])
@example(["ü/ü", "%C3%BC"])
def test_splitting_undoes_joining(parts: list[str]) -> None:
    assert split_id(join_id(parts), len(parts)) == parts


@given(st.lists(st.lists(PARTS, min_size=2, max_size=2), min_size=2, max_size=2))
def test_different_devices_never_share_an_id(devices: list[list[str]]) -> None:
    one, other = devices
    assert (join_id(one) == join_id(other)) == (one == other)


@pytest.mark.parametrize("text", ["a/b", "100%", "", "%2F"])
def test_the_id_of_a_single_field_is_its_text(text: str) -> None:
    assert join_id([text]) == text.encode()
    assert split_id(text.encode(), 1) == [text]
