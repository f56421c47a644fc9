"""Whether bytes are UTF-8: as Python decodes them, and without a look at what stands behind them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.codec.utf8 import is_utf8
from operators.binary import Binary
from operators.kernel import kernel

_EDGES = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xEC, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF)  # fmt: skip
"""The bytes at which table 3-7 of the Unicode Standard changes."""


@kernel
def _check(data, begin, size, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for row in range(len(begin)):
        out[row] = is_utf8(data, begin[row], begin[row] + size[row])


def found(texts: list[bytes]) -> list[bool]:
    """Ask the kernel, with the texts behind each other: each stands before the first bytes of the next."""
    column = Binary.of(texts)
    out = np.empty(len(texts), np.bool_)
    _check(column.data, column.begin, column.size, out)
    return [bool(one) for one in out]


def decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def agree(texts: list[bytes]) -> None:
    wrong = [text for text, told in zip(texts, found(texts), strict=True) if told != decodes(text)]
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("length", [1, 2])
def test_every_text_of_one_or_two_bytes_is_what_python_makes_of_it(length: int) -> None:
    agree([bytes(letters) for letters in product(range(256), repeat=length)])


@pytest.mark.parametrize("length", [3, 4])
def test_texts_of_bytes_at_the_edges_are_what_python_makes_of_them(length: int) -> None:
    texts = [bytes(letters) for letters in product(_EDGES, repeat=length)]
    agree(texts)
    assert any(map(decodes, texts))


def test_every_letter_that_there_is_is_utf8_and_no_part_of_one_is() -> None:
    letters = [chr(code).encode() for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert all(found(letters))
    assert not any(found([letter[:-1] for letter in letters[128::97]]))


@pytest.mark.parametrize(
    "text",
    [
        b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",  # overlong
        b"\xed\xa0\x80", b"\xed\xbf\xbf",  # surrogates
        b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80",  # beyond U+10FFFF
        b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98",  # cut off
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 1, 7, 8, 9, 16])
def test_what_is_no_letter_is_refused_wherever_it_stands(text: bytes, before: int) -> None:
    assert found([b"a" * before + text, b"a" * before + text + b"b" * 9]) == [False, False]


@given(st.lists(st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)), min_size=1))
def test_any_bytes_are_what_python_makes_of_them(texts: list[bytes]) -> None:
    agree(texts)


@given(st.text(max_size=20).map(str.encode), st.binary(min_size=9, max_size=9))
def test_what_stands_behind_the_end_does_not_count(text: bytes, behind: bytes) -> None:
    cut = Binary(np.frombuffer(bytearray(text + behind), np.uint8), np.zeros(1, np.int64), np.array([len(text)]))
    out = np.empty(1, np.bool_)
    _check(cut.data, cut.begin, cut.size, out)
    assert out[0]


def test_a_letter_that_goes_on_behind_the_end_is_cut_off() -> None:
    euro = "€".encode()
    data = np.frombuffer(bytearray(euro), np.uint8)
    out = np.empty(4, np.bool_)
    _check(data, np.zeros(4, np.int64), np.arange(4), out)
    assert out.tolist() == [True, False, False, True]
