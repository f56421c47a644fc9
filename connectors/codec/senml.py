"""SenML in JSON (RFC 8428): a record is a pack, an array of measurements, each of which is a row.

Base values are resolved as in section 4.6 of the RFC, so every row has what counts for it:

- `n`: the whole name, base name and name; `bn`: the base name alone, which names the device where sensors share it.
- `v`, `vs`, `vb` or `vd`: the value: a number, text, a bool, or data in base64; `s`: the sum. Base value and sum are added, and
  count alone where a record has none of its own.
- `u`: the unit, else the base unit.
- `t`: the time, base time added, s since 1970, a float; a time below 2**28 is relative to the record's own. `ut`: the update
  time, s.

Fields beyond the RFC's are there as they stand. A pack is dead as a whole if one of its records isn't valid: without a name
or with one that isn't allowed, without a value, of a version above 10, or with a field that must be understood (its name ends
in `_`). Rows aren't written so.

In a pipeline's tests, an input row is a pack of one record, or one of several with `$pack: [{...}, {...}]`.

Example:
    source:
      format: senml
      device: bn
      time: {field: t, unit: s}
      fields: {n: text, v: float}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from connectors.codec.base import Decoded, Decoder, Format, Reading, Records, Unit
from connectors.codec.documents import LONGEST_ID, Documents, document, show
from connectors.codec.json import load
from connectors.codec.senml_scan import NAME, RELATIVE, VERSION, SenmlScan
from connectors.codec.split import Split, beside, whole
from operators.base import Problem

_NUMBER, _TEXT, _BOOL = (float, int), (str,), (bool,)
_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("bt", "bv", "bs", "bver", "v", "s", "t", "ut"), _NUMBER),
    **dict.fromkeys(("bn", "bu", "n", "u", "vs", "vd"), _TEXT),
    "vb": _BOOL,
}
_SAID: Mapping[tuple[type, ...], str] = {_NUMBER: "a number", _TEXT: "text", _BOOL: "true or false"}
_VALUES = ("v", "vs", "vb", "vd")
_BASES = ("bn", "bt", "bu", "bv", "bs", "bver")


class Senml(Format):
    """SenML packs in JSON (RFC 8428), a row for each measurement. It is read, and not written."""

    test_names: ClassVar[tuple[str, ...]] = (*Format.test_names, "$pack")

    def problems(self, reading: Reading) -> Sequence[Problem]:
        """Refuse times in another unit than SenML's."""
        if reading.time in {("t",), ("ut",)} and reading.unit is not Unit.S:
            return [Problem(("time",), "`unit: s`, in which SenML's times are", f"`unit: {reading.unit.value}`")]
        return ()

    def decoder(self, reading: Reading) -> Decoder:
        """Make a decoder."""
        return _Decoder(reading)

    def sample(self, reading: Reading) -> Callable[[Mapping[str, Any]], bytes]:  # noqa: ARG002  # any object may be in a pack
        """Write each document as a pack of one record, or its `$pack` as it stands."""
        return lambda row: json.dumps(row.get("$pack", [document(row)])).encode()


class _Decoder:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._scan = SenmlScan(reading) if SenmlScan.fits(reading) else None

    def decode(self, records: Records) -> Decoded:
        if self._scan is None:
            return self._by_document(records)
        decoded, left = self._scan.scan(records)
        if not len(left):
            return decoded
        return beside(decoded, np.ones(len(decoded.ts), np.bool_), left, self._by_document(records.take(left)))

    def _by_document(self, records: Records) -> Decoded:
        packs, bad = load(records)
        made: list[dict[str, Any]] = []
        record: list[int] = []
        for row, (pack, us) in enumerate(zip(packs, records.timestamp.tolist(), strict=True)):
            if row in bad:
                continue
            try:
                found = resolved(pack, us / 1_000_000 if us >= 0 else None)
            except ValueError as error:
                bad[row] = str(error)
                continue
            made += found
            record += [row] * len(found)
        split = Split(records.take(np.array(record, np.intp)), np.array(record, np.intp), bad)
        return whole(Documents(made, {}).columns(split.readings, self._reading), split)


def resolved(pack: Any, now: float | None) -> list[dict[str, Any]]:  # JSON
    """Resolve the base values of a pack.

    Args:
        pack: what stands in a record.
        now: the time of the record, to which times may be relative; s since the epoch, None where it has none.

    Returns:
        The measurements. A record of base values alone gives none.

    Raises:
        ValueError: if the pack isn't valid.

    >>> resolved([{"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1.32e9, "n": "voltage", "u": "V", "v": 120.1}], None)
    [{'n': 'urn:dev:ow:10e2073a01080063:voltage', 'u': 'V', 'v': 120.1, 'bn': 'urn:dev:ow:10e2073a01080063:', 't': 1320000000.0}]
    """
    if type(pack) is not list:
        message = f"expected a SenML pack, which is an array of records, given {show(pack)}"
        raise ValueError(message)
    bases: dict[str, Any] = {}
    made = []
    for number, record in enumerate(pack):
        try:
            _check(record)
            bases |= {name: record[name] for name in _BASES if name in record}
            own = {name: value for name, value in record.items() if name not in _BASES}
            if own or not record:
                made.append(_resolved(own, bases, now))
        except ValueError as error:
            message = f"reading {number}: {error}"
            raise ValueError(message) from None
    return made


def _resolved(record: dict[str, Any], bases: Mapping[str, Any], now: float | None) -> dict[str, Any]:
    """Resolve one record, in place."""
    base, name = bases.get("bn", ""), record.get("n", "")
    if len(base) + len(name) > LONGEST_ID:  # seen before names are made, of which a pack can have many
        message = (
            f"expected a name of at most {LONGEST_ID} characters, base name and `n` together, given {show(base + name)}"
        )
        raise ValueError(message)
    record["bn"], record["n"] = base, base + name
    if not NAME.fullmatch(record["n"]):
        expected = (
            "a name of letters, digits and - : . / _ that begins with a letter or digit, base name and `n` together"
        )
        message = f"expected {expected}, given {show(record['n'])}"
        raise ValueError(message)
    values = [name for name in _VALUES if name in record]
    if "s" in record or "bs" in bases:
        record["s"] = float(bases.get("bs", 0)) + float(record.get("s", 0))
    if "bv" in bases and values in ([], ["v"]):
        record["v"] = float(bases["bv"]) + float(record.get("v", 0))
        values = ["v"]
    if len(values) != 1 and (values or "s" not in record):
        given = " and ".join(f"`{name}`" for name in values) or "none"
        message = f"expected one value, `v`, `vs`, `vb` or `vd`, or a sum `s`, given {given}"
        raise ValueError(message)
    if "u" not in record and "bu" in bases:
        record["u"] = bases["bu"]
    time = float(bases.get("bt", 0)) + float(record.get("t", 0))
    if time < RELATIVE:
        if now is None:
            message = f"field `t`: expected a time since 1970, as the record has no time of its own, given {time:g} s from that"
            raise ValueError(message)
        time += now
    record["t"] = time
    return record


def _check(record: Any) -> None:
    """Refuse a record that isn't one, or has a field of another type, or one that must be understood."""
    if type(record) is not dict:
        message = f"expected a SenML record, given {show(record)}"
        raise ValueError(message)
    for name, value in record.items():
        types = _TYPES.get(name)
        if types is not None and type(value) not in types:
            message = f"field `{name}`: expected {_SAID[types]}, given {show(value)}"
            raise ValueError(message)
        if name.endswith("_"):
            message = f"field `{name}`: it must be understood, as its name ends in `_`, and isn't known"
            raise ValueError(message)
    if record.get("bver", VERSION) > VERSION:
        message = f"field `bver`: expected version {VERSION} at most, given {record['bver']}"
        raise ValueError(message)
