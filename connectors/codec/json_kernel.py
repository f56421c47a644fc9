"""The kernel that reads JSON: a walk over the bytes of each record, which puts the values that are read into arrays.

A record that has anything in it that the kernel doesn't take is said not to be read.
"""

from __future__ import annotations

import numpy as np

from connectors.codec.number import STRICT, read_number
from connectors.codec.put import FALSE, NO, NULL, STRING, TRUE, put_value
from operators.binary import copy_bytes, equal
from operators.kernel import kernel

DEEP, KEYS = 32, 64
"""How many levels of nesting are taken, and keys of one object."""
SHAPES, VALUES, BETWEEN = 4, 64, 2_048
"""How many shapes of records are kept, a power of two; and the values and the bytes between them of one, at most."""
# Where the kernel is in a record: behind `{`, behind `,` in an object, before a value, behind `[`, behind a value.
_FIRST_KEY, _KEY, _VALUE, _FIRST_VALUE, _BEHIND = range(5)
# What a level of nesting is, if not a node of the tree of fields: an object that nothing is read of, an array.
_SKIPPED, _ARRAY = -1, -2


@kernel
def scan(  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    data, begin, size, names, nodes, edges, puts, powers, fives, levels, keys, cuts, between, values, shapes,
    words, spans, counts, table, ok,
):  # fmt: skip
    """Read every record; `ok` says which were.

    Records of a topic are mostly alike: the same keys in the same order, other values. So what stands between the values
    of a record is kept as a shape, of `SHAPES` kinds at a time, and a record is held against these first. One that has the
    same bytes between its values is of the same grammar and has the same keys, so its values alone are read.

    `between` holds the bytes of each shape; `values` for each of its values how many of these bytes stand before it, what it
    is put into or -1, and whether it must be null, as an object is read there; `shapes` how many values and bytes each
    shape has, and behind the last one which shape was met last, and which is to be replaced next.
    """
    for row in range(len(begin)):
        first, last = begin[row], begin[row] + size[row]
        good = False
        for turn in range(SHAPES):
            shape = (shapes[SHAPES, 0] + turn) & (SHAPES - 1)
            if not good and shapes[shape, 1] > 0:
                good = _by_shape(
                    data, first, last, row, between[shape], values[shape], shapes[shape, 0], shapes[shape, 1], puts,
                    powers, fives, words, spans, counts, table,
                )  # fmt: skip
                if good:
                    shapes[SHAPES, 0] = shape
        if not good:
            cut = _record(
                data, first, last, row, names, nodes, edges, puts, powers, fives, levels, keys, cuts, words, spans, counts, table,
            )  # fmt: skip
            good = cut >= 0
            if good and cut <= VALUES:
                _learn(data, first, last, cuts, cut, between, values, shapes)
        ok[row] &= good


@kernel(forceinline=True)
def _by_shape(  # type: ignore[no-untyped-def]  # compiled: numba infers
    data, at, end, row, between, values, count, length, puts, powers, fives, words, spans, counts, table,
):  # fmt: skip
    """Read a record of a known shape; gives whether it is one."""
    place = 0
    for value in range(count):
        before, put = values[value, 0], values[value, 1]
        if at + before >= end or not equal(between, place, data, at, before):
            return False
        at += before
        place += before
        begin = at
        kind, at, whole, real = _scalar(data, at, end, powers, fives)
        if kind == NO or (values[value, 2] and kind != NULL):
            return False
        text = kind == STRING
        if put >= 0 and not put_value(
            data, begin + text, at - text, row, kind, whole, real, put, puts, words, spans, counts, table,
        ):  # fmt: skip
            return False
    return end - at == length - place and equal(between, place, data, at, length - place)


@kernel
def _learn(data, begin, end, cuts, count, between, values, shapes):  # type: ignore[no-untyped-def]  # compiled
    """Keep the shape of a record, whose values `cuts` tells, in the place of the one that was learnt longest ago."""
    shape, at, place = shapes[SHAPES, 1], begin, 0
    length = end - begin
    for value in range(count):
        length -= cuts[value, 1] - cuts[value, 0]
    if length > between.shape[1]:  # seen before anything is written: half of a shape would be one that was never read
        return
    for value in range(count + 1):
        until = cuts[value, 0] if value < count else end
        copy_bytes(data, at, until - at, between[shape], place)
        place += until - at
        if value < count:
            values[shape, value, 0] = until - at
            values[shape, value, 1], values[shape, value, 2] = cuts[value, 2], cuts[value, 3]
            at = cuts[value, 1]
    shapes[shape, 0], shapes[shape, 1] = count, place
    shapes[SHAPES, 0] = shape
    shapes[SHAPES, 1] = (shape + 1) & (SHAPES - 1)


@kernel(forceinline=True)
def _record(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0911, PLR0912, PLR0915  # a record is one walk
    data, at, end, row, names, nodes, edges, puts, powers, fives, levels, keys, cuts, words, spans, counts, table,
):  # fmt: skip
    """Read one record; gives how many values it has, or -1 where it couldn't be read.

    `cuts` gets of each value (of as many as there is room for) where it begins and ends, its put or -1, and whether it
    stands where an object is read.

    `levels` holds for each level of nesting its node, or what it is, and how many keys stood before it; `keys` holds of
    each key of the objects around this place where it begins, and a mark that is the same for keys that are.
    """
    at = skip_space(data, at, end)
    if at >= end or data[at] != 123:  # {
        return -1
    levels[0, 0], levels[0, 1] = 0, 0
    depth, known, edge, state, cut = 0, 0, -1, _FIRST_KEY, 0
    at += 1
    while True:
        at = skip_space(data, at, end)
        if at >= end:
            return -1
        letter = data[at]
        if (letter == 125 and (state in (_FIRST_KEY, _BEHIND))) or (
            letter == 93 and (state in (_FIRST_VALUE, _BEHIND))
        ):
            if (letter == 93) != (levels[depth, 0] == _ARRAY):  # ]
                return -1
            known = levels[depth, 1]
            depth -= 1
            at += 1
            if depth < 0:
                return cut if skip_space(data, at, end) == end else -1
            state = _BEHIND
        elif state == _BEHIND:
            if letter != 44:  # ,
                return -1
            at += 1
            edge = -1
            state = _VALUE if levels[depth, 0] == _ARRAY else _KEY
        elif state in (_FIRST_KEY, _KEY):
            if letter != 34:  # "
                return -1
            begin = at + 1
            at = _string(data, begin, end)
            if at < 0 or not _new(data, begin, at, levels[depth, 1], known, keys):
                return -1
            known += 1
            edge = _edge(data, begin, at, levels[depth, 0], names, nodes, edges)
            at = skip_space(data, at + 1, end)
            if at >= end or data[at] != 58:  # :
                return -1
            at += 1
            state = _VALUE
        elif letter in (123, 91):  # { [
            inner = _SKIPPED if letter == 123 else _ARRAY
            if edge >= 0:
                if edges[edge, 3] >= 0 or letter == 91:
                    return -1
                inner = edges[edge, 2]
            depth += 1
            if depth == len(levels):
                return -1
            levels[depth, 0], levels[depth, 1] = inner, known
            at += 1
            edge = -1
            state = _FIRST_KEY if letter == 123 else _FIRST_VALUE
        else:
            begin = at
            kind, at, whole, real = _scalar(data, at, end, powers, fives)
            if kind == NO:
                return -1
            if cut < len(cuts):
                cuts[cut, 0], cuts[cut, 1] = begin, at
                cuts[cut, 2] = edges[edge, 3] if edge >= 0 else -1
                cuts[cut, 3] = edge >= 0 and edges[edge, 2] >= 0
            cut += 1
            if edge >= 0:
                if edges[edge, 2] >= 0 and kind != NULL:
                    return -1
                if kind == STRING:
                    begin += 1
                if edges[edge, 3] >= 0 and not put_value(
                    data, begin, at - (kind == STRING), row, kind, whole, real, edges[edge, 3], puts,
                    words, spans, counts, table,
                ):  # fmt: skip
                    return -1
            state = _BEHIND


@kernel(forceinline=True)
def skip_space(data, at, end):  # type: ignore[no-untyped-def]  # noqa: ANN201  # compiled: numba infers
    """Pass over white space."""
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@kernel(forceinline=True)
def _string(data, at, end):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the end of a string of plain ASCII; -1 where it is none."""
    while at < end:
        letter = data[at]
        if letter == 34:
            return at
        if letter < 32 or letter == 92 or letter > 126:
            return -1
        at += 1
    return -1


@kernel(forceinline=True)
def _new(data, begin, end, first, known, keys):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Note a key of an object, whose keys stand from `first` on; False if it is there already, or there are too many."""
    if known == len(keys) or known - first == KEYS:
        return False
    length = end - begin
    # A hash that costs nothing: keys of one length that begin and end alike are held against each other.
    mark = length << 16
    if length > 0:
        mark |= np.int64(data[begin]) << 8 | np.int64(data[end - 1])
    for at in range(first, known):
        if keys[at, 1] == mark and equal(data, keys[at, 0], data, begin, length):
            return False
    keys[known, 0], keys[known, 1] = begin, mark
    return True


@kernel(forceinline=True)
def _edge(data, begin, end, node, names, nodes, edges):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the edge of a node that a key is; -1 if nothing is read there."""
    if node < 0:
        return -1
    for edge in range(nodes[node, 0], nodes[node, 0] + nodes[node, 1]):
        if edges[edge, 1] == end - begin:
            name, at = edges[edge, 0], 0
            while at < end - begin and names[name + at] == data[begin + at]:
                at += 1
            if at == end - begin:
                return edge
    return -1


@kernel(forceinline=True)
def _scalar(data, at, end, powers, fives):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Read a string, number or word.

    Gives what it is, the place behind it, an int and a float.
    """
    letter = data[at]
    if letter == 34:
        at = _string(data, at + 1, end)
        return (NO if at < 0 else STRING), at + 1, np.int64(0), 0.0
    if letter == 45 or 48 <= letter <= 57:
        return read_number(data, at, end, powers, fives, STRICT)
    if letter == 110 and at + 4 <= end and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108:
        return NULL, at + 4, np.int64(0), 0.0
    if letter == 116 and at + 4 <= end and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101:
        return TRUE, at + 4, np.int64(0), 0.0
    if (
        letter == 102 and at + 5 <= end and data[at + 1] == 97 and data[at + 2] == 108 and data[at + 3] == 115
        and data[at + 4] == 101
    ):  # fmt: skip
        return FALSE, at + 5, np.int64(0), 0.0
    return NO, at, np.int64(0), 0.0
