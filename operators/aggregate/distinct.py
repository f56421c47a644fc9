"""How many different values a column has. Missing values don't count; of no values it is 0.

0.0 and -0.0 are the same; texts are the same if they are so letter by letter.

Up to 64 different values the result is exact. Beyond that it is estimated by HyperLogLog (Flajolet, Fusy, Gandouet and
Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", AofA 2007) with 4,096 registers and
Ertl's improved estimator ("New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, 2017,
algorithm 6), which needs no correction for few values or for many. Its standard error is 1.04 / sqrt(4096) = 1.6 %:
of 100 results about 5 are more than 3.3 % off. The same values give the same result, in whatever order they come, and
however they were merged.

Values are told apart by a hash of 64 bits. Of numbers no two have the same (a finaliser of MurmurHash3's kind, Steele, Lea
and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014); of 64 texts, with a chance of 10**-16.

A pane takes 32 bytes; with 2 to 64 different values, 512 more; beyond that, 4,096 instead. What panes that are done with
took is used again.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from operators.aggregate.base import Aggregate, Arrays, Into, Of, Panes, Span, Times, Values
from operators.batch import Column, Type
from operators.kernel import kernel

_FEW = 64
"""How many values a pane tells apart exactly."""
_BITS = 12
_REGISTERS = 1 << _BITS
_RANKS = 64 - _BITS + 2
"""The values that a register can have: 0 where none has come, else the rank from 1 on."""
_LEAST = 16
"""How many pages or sets of registers there are at first."""


class Distinct(Aggregate):
    """Number of different values; int."""

    accepts: ClassVar[frozenset[Type]] = frozenset(Type)
    of_hashes: ClassVar[bool] = True
    result = Type.INT

    def __init__(self, column: Type | None, number: float | None = None) -> None:
        """Keep hashes, or registers."""
        super().__init__(column, number)
        self.fields = {
            "count": (np.int64, 0),  # of the different values; more than `_FEW` where there are registers
            "last": (np.uint64, 0),  # the hash that was new last: while it is the only one, it needs no page
            "used": (np.uint64, 0),  # a bit for each place in the page that is
            "page": (np.int32, -1),  # of hashes, or the set of registers
        }

    def heap(self) -> dict[str, NDArray[Any]]:
        """Give the pages of hashes and the sets of registers; and stacks of those that are free, behind how many are."""
        return {
            "hashes": np.empty((0, _FEW), np.uint64),
            "registers": np.empty((0, _REGISTERS), np.uint8),
            "free_hashes": np.zeros(1, np.int64),
            "free_registers": np.zeros(1, np.int64),
        }

    def update(self, arrays: Arrays, into: Into, of: Of, ts: Times, values: Values) -> None:  # noqa: ARG002  # the shape of every aggregate
        """Put in the values."""
        words = np.asarray(values)
        if words.dtype == np.float64:
            words = (words + 0.0).view(np.int64)  # makes 0.0 of -0.0
        done = 0
        while True:
            done = _update(
                done, into, of, words, arrays["count"], arrays["last"], arrays["used"], arrays["page"], arrays["hashes"],
                arrays["registers"], arrays["free_hashes"], arrays["free_registers"],
            )  # fmt: skip
            if done == len(into):
                return
            for name in ("hashes", "registers"):
                if arrays[f"free_{name}"][0] == 0:
                    _grow(arrays, name)

    def finish(self, arrays: Arrays, pane: Panes, span: Span) -> Column:  # noqa: ARG002  # as above
        """Give the numbers."""
        out = np.empty(len(pane), np.int64)
        _estimate(pane, arrays["count"], arrays["page"], arrays["registers"], np.empty(_RANKS, np.int64), out)
        return out

    def release(self, arrays: Arrays, pane: Panes) -> None:
        """Give back pages and registers."""
        _release(pane, arrays["count"], arrays["page"], arrays["free_hashes"], arrays["free_registers"])


def _grow(arrays: Arrays, name: str) -> None:
    """Make twice as many pages or sets of registers; the new ones are free."""
    known = len(arrays[name])
    more = max(known, _LEAST)
    arrays[name] = np.concatenate([arrays[name], np.zeros((more, arrays[name].shape[1]), arrays[name].dtype)])
    # No more can ever be given back than there are.
    arrays[f"free_{name}"] = np.concatenate(
        [[more], np.arange(known + more - 1, known - 1, -1), np.zeros(known, np.int64)]
    )


@kernel(inline="always")
def _mix(word):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Hash 64 bits to 64 bits, each to another: the output function of SplitMix64."""
    hash_ = np.uint64(word) + np.uint64(0x9E3779B97F4A7C15)
    hash_ = (hash_ ^ (hash_ >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hash_ = (hash_ ^ (hash_ >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hash_ ^ (hash_ >> np.uint64(31))


@kernel(inline="always")
def _register(hash_, page, registers):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Let a register keep the rank of the lowest bit that is set behind those that say which register it is."""
    at = hash_ & np.uint64(_REGISTERS - 1)
    rest = hash_ >> np.uint64(_BITS) | np.uint64(1 << 64 - _BITS)
    rank = registers[page, at]
    if rest & (np.uint64(1) << np.uint64(rank)) - np.uint64(1) == 0:  # so its rank is larger; seldom, once warm
        while rest >> np.uint64(rank) & np.uint64(1) == 0:
            rank += 1
        registers[page, at] = rank + 1


@kernel(inline="always")
def _place(hash_, page, used, hashes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the place of a hash in a page, or a free one for it; 64 where there is neither."""
    at = hash_ & np.uint64(_FEW - 1)
    tried = 0
    while tried < _FEW and used >> at & np.uint64(1) and hashes[page, at] != hash_:
        at = at + np.uint64(1) & np.uint64(_FEW - 1)
        tried += 1
    return at if tried < _FEW else np.uint64(_FEW)


@kernel
def _to_registers(pane, count, last, used, page, hashes, registers, free_hashes, free_registers):  # type: ignore[no-untyped-def]
    """Put the hashes that a pane has kept into registers, and give their page back."""
    new = free_registers[free_registers[0]]
    free_registers[0] -= 1
    registers[new] = 0
    old = page[pane]
    if old < 0 and count[pane] == 1:
        _register(last[pane], new, registers)
    if old >= 0:
        for at in range(_FEW):
            if used[pane] >> np.uint64(at) & np.uint64(1):
                _register(hashes[old, at], new, registers)
        free_hashes[0] += 1
        free_hashes[free_hashes[0]] = old
    page[pane] = new
    count[pane] = _FEW + 1


@kernel(inline="always")
def _known(pane, hash_, count, last, used, page, hashes):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Whether a hash is among those that a pane has kept."""
    if count[pane] == 0 or count[pane] > _FEW:
        return False
    if hash_ == last[pane]:
        return True
    if count[pane] == 1:
        return False
    at = _place(hash_, page[pane], used[pane], hashes)
    return at < np.uint64(_FEW) and used[pane] >> at & np.uint64(1) == 1


@kernel
def _enter(pane, hash_, count, last, used, page, hashes, registers, free_hashes, free_registers):  # type: ignore[no-untyped-def]
    """Put a hash that isn't known into a pane."""
    if count[pane] == 0:
        count[pane], last[pane] = 1, hash_
        return
    if count[pane] == 1:
        page[pane] = free_hashes[free_hashes[0]]
        free_hashes[0] -= 1
        at = last[pane] & np.uint64(_FEW - 1)
        hashes[page[pane], at] = last[pane]
        used[pane] = np.uint64(1) << at
    last[pane] = hash_
    if count[pane] <= _FEW:
        at = _place(hash_, page[pane], used[pane], hashes)
        if at < np.uint64(_FEW):
            hashes[page[pane], at] = hash_
            count[pane] += used[pane] >> at & np.uint64(1) == 0
            used[pane] |= np.uint64(1) << at
            return
        _to_registers(pane, count, last, used, page, hashes, registers, free_hashes, free_registers)
    _register(hash_, page[pane], registers)


@kernel
def _copy(source, target):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(source)):
        target[at] = source[at]


@kernel
def _merge(pane, other, count, last, used, page, hashes, registers, free_hashes, free_registers):  # type: ignore[no-untyped-def]
    """Put all that another pane holds into a pane."""
    if count[other] > _FEW:
        if count[pane] <= _FEW:
            _to_registers(pane, count, last, used, page, hashes, registers, free_hashes, free_registers)
        mine, theirs = registers[page[pane]], registers[page[other]]
        for at in range(_REGISTERS):
            mine[at] = max(mine[at], theirs[at])
        return
    if count[other] == 1:
        hash_ = last[other]
        if not _known(pane, hash_, count, last, used, page, hashes):
            _enter(pane, hash_, count, last, used, page, hashes, registers, free_hashes, free_registers)
        return
    if count[pane] == 0 and count[other] > 0:
        page[pane] = free_hashes[free_hashes[0]]
        free_hashes[0] -= 1
        _copy(hashes[page[other]], hashes[page[pane]])
        count[pane], last[pane], used[pane] = count[other], last[other], used[other]
        return
    left = used[other]
    place = np.uint64(0)
    while left:
        if left & np.uint64(1):
            hash_ = hashes[page[other], place]
            if not _known(pane, hash_, count, last, used, page, hashes):
                _enter(pane, hash_, count, last, used, page, hashes, registers, free_hashes, free_registers)
        left >>= np.uint64(1)
        place += np.uint64(1)


@kernel
def _update(  # type: ignore[no-untyped-def]  # compiled: numba infers
    done, into, of, words, count, last, used, page, hashes, registers, free_hashes, free_registers
):
    """Carry out operations; gives how many are done. It stops before one if there is no free page or no free registers."""
    for op in range(done, len(into)):
        pane, what = into[op], of[op]
        if pane < 0:
            continue
        if free_hashes[0] == 0 or free_registers[0] == 0:
            return op
        if what < 0:
            _merge(pane, ~what, count, last, used, page, hashes, registers, free_hashes, free_registers)
            continue
        hash_ = _mix(words[what])
        if count[pane] > _FEW:
            _register(hash_, page[pane], registers)
        elif not _known(pane, hash_, count, last, used, page, hashes):
            _enter(pane, hash_, count, last, used, page, hashes, registers, free_hashes, free_registers)
    return len(into)


@kernel
def _release(pane, count, page, free_hashes, free_registers):  # type: ignore[no-untyped-def]  # compiled: numba infers
    for at in range(len(pane)):
        own = pane[at]
        if page[own] >= 0:
            free = free_registers if count[own] > _FEW else free_hashes
            free[0] += 1
            free[free[0]] = page[own]


@kernel
def _sigma(share):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Ertl's sum for the registers into which nothing has come."""
    if share == 1:
        return np.inf
    factor, total, before = 1.0, share, -1.0
    while total != before:
        share *= share
        before = total
        total += share * factor
        factor += factor
    return total


@kernel
def _tau(share):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Ertl's sum for the registers that are at their end; of the share of those that aren't."""
    if share <= 0 or share >= 1:
        return 0.0
    factor, total, before = 1.0, 1 - share, -1.0
    while total != before:
        share = np.sqrt(share)
        before = total
        factor *= 0.5
        total -= (1 - share) ** 2 * factor
    return total / 3


@kernel
def _estimate(pane, count, page, registers, ranks, out):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Estimate how many different hashes have come into each pane."""
    for row in range(len(pane)):
        own = pane[row]
        if own < 0 or count[own] <= _FEW:
            out[row] = count[own]
            continue
        ranks[:] = 0
        for at in range(_REGISTERS):
            ranks[registers[page[own], at]] += 1
        total = _REGISTERS * _tau(1 - ranks[_RANKS - 1] / _REGISTERS)
        for rank in range(_RANKS - 2, 0, -1):
            total = 0.5 * (total + ranks[rank])
        total += _REGISTERS * _sigma(ranks[0] / _REGISTERS)
        out[row] = round(_REGISTERS**2 / (2 * np.log(2.0) * total))
