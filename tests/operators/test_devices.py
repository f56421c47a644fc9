"""Tests of the device table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operators.binary import Binary
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
        slots = table.slots(Binary.of(ids))
        assert slots.dtype == np.uint32
        assert slots.tolist() == [seen[device] for device in ids]
        assert table.ids(slots).values() == ids
        assert len(table) == len(seen)
    assert table.texts(0) == [device.decode("utf-8", "backslashreplace") for device in seen]


@given(before=IDS, after=IDS)
def test_a_table_resumed_from_its_snapshot_gives_the_same_slots(before: list[bytes], after: list[bytes]) -> None:
    old = DeviceTable(("device",))
    old.slots(Binary.of(before))
    snapshot = old.snapshot()
    copies = {name: array.copy() for name, array in snapshot.items()}
    expected = old.slots(Binary.of(after)).tolist()
    for name, array in copies.items():
        np.testing.assert_array_equal(snapshot[name], array)
    new = DeviceTable(("device",), snapshot)
    assert len(new) == len(set(before))
    assert new.slots(Binary.of(after)).tolist() == expected
    assert new.texts(0) == old.texts(0)
    assert {name: array.dtype for name, array in snapshot.items()} == {
        "bytes": np.uint8,
        "lengths": np.int64,
        "free": np.int64,
    }


@given(st.lists(st.tuples(IDS, st.sets(st.integers(0, 20), max_size=4)), max_size=8), st.integers(0, 8))
def test_a_slot_belongs_to_one_device_until_it_is_forgotten(
    rounds: list[tuple[list[bytes], set[int]]], resumed_before: int
) -> None:
    table, known = DeviceTable(("device",)), dict[bytes, int]()
    most = 0
    for number, (ids, forgotten) in enumerate(rounds):
        if number == resumed_before:
            table = DeviceTable(("device",), table.snapshot())
        found = table.slots(Binary.of(ids)).tolist()
        for device, slot in zip(ids, found, strict=True):
            assert known.setdefault(device, slot) == slot
        assert len(set(known.values())) == len(known) == len(table), "no two devices share a slot"
        assert table.ids(np.array(list(known.values()), np.int64)).values() == list(known)
        most = max(most, len(known))
        assert all(slot < most for slot in known.values()), "freed slots are used before new ones are made"
        gone = [device for device, slot in known.items() if slot in forgotten]
        table.forget(np.array([known.pop(device) for device in gone], np.int64))


def test_rows_that_are_still_to_be_written_keep_their_names_when_slots_are_used_again() -> None:
    table = DeviceTable(("site", "sensor"))
    slots = table.slots(Binary.of([b"a/1", b"a/2"]))
    before, texts = table.view(), table.texts(1)
    table.forget(np.array([0], np.int64))
    assert table.slots(Binary.of([b"b/9"])).tolist() == [0]
    assert before.ids(slots).values() == [b"a/1", b"a/2"]
    assert before.texts(1) is texts
    assert texts == ["1", "2"]
    assert table.ids(slots).values() == [b"b/9", b"a/2"]
    assert table.texts(1) == ["9", "2"]


def test_a_device_may_have_any_bytes_for_an_id() -> None:
    table = DeviceTable(("device",))
    ids = [b"", b"\x00", b"\xff\xfe", "grün".encode(), b"a/b%2F", b"x" * 10_000]
    resumed = DeviceTable(("device",), (table.slots(Binary.of(ids)), table.snapshot())[1])
    assert resumed.ids(np.arange(len(ids))).values() == ids
    assert resumed.texts(0)[:5] == ["", "\x00", "\\xff\\xfe", "grün", "a/b%2F"]


def test_a_table_grows_to_many_devices() -> None:
    table = DeviceTable(("device",))
    ids = [b"%d" % number for number in range(100_000)]
    assert table.slots(Binary.of(ids[:7])).tolist() == list(range(7))
    assert table.slots(Binary.of(ids)).tolist() == list(range(100_000))
    assert table.slots(Binary.of(ids[::-1])).tolist() == list(range(100_000))[::-1]
    assert len(table) == 100_000


def test_looking_up_nothing_gives_nothing() -> None:
    table = DeviceTable(("device",))
    assert table.slots(Binary.of([])).tolist() == []
    assert len(DeviceTable(("device",), table.snapshot())) == 0


def test_a_device_of_several_fields_has_a_text_for_each() -> None:
    table = DeviceTable(("site", "sensor"))
    table.slots(Binary.of([join_id(["berlin", "a/b"]), join_id(["", "100%"])]))
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


def test_texts_that_a_view_asks_for_are_not_those_of_the_table() -> None:
    table = DeviceTable(("device",))
    table.slots(Binary.of([b"a", b"b", b"c"]))
    view = table.view()
    table.forget(np.array([1]))
    table.slots(Binary.of([b"NEW"]))
    assert view.texts(0) == ["a", "b", "c"]
    assert table.texts(0) == ["a", "NEW", "c"]
