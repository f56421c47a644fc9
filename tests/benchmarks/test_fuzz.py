"""Tests of the fuzzing of the codecs: that it finds nothing where nothing is wrong, and finds and tells what is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.fuzz import PARTS, main
from connectors.codec import avro
from connectors.codec import json as json_codec
from connectors.codec.avro_scan import AvroScan
from connectors.codec.base import Decoded, Records
from connectors.codec.json_scan import JsonScan
from operators.binary import Binary


def test_some_thousand_cases_become_what_the_libraries_make_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert main(["--cases", "10000", "--seed", "7", "--json", str(file)]) == 0, capsys.readouterr().out
    figures = json.loads(file.read_text())
    assert (figures["cases"], figures["disagreements"], figures["seed"]) == (10_000, 0, 7)
    assert [row["part"] for row in figures["results"]] == list(PARTS)
    for row in figures["results"]:
        assert row["cases"] == row["kernel"] + row["library"] == 2_000
        assert row["kernel"] > 100, "kernels are tried"
        assert row["refused"] <= row["library"], "a kernel takes nothing that the library refuses"
        assert row["refused"] or "rows" in row["part"], "so are bad records"
    assert "JSON records" in capsys.readouterr().out


@pytest.mark.parametrize("part", PARTS)
def test_cases_are_the_same_for_a_seed_and_others_for_another(part: str) -> None:
    made = [PARTS[part](Random(seed), 300) for seed in ("1", "1", "2")]
    assert made[0] == made[1] != made[2]


def skewed(scan: Callable[[Any, Records], tuple[Decoded, NDArray[np.intp]]]) -> Any:
    """Make a kernel that is wrong by 1 us in one row of a batch."""

    def wrong(self: Any, records: Records) -> tuple[Decoded, NDArray[np.intp]]:
        decoded, left = scan(self, records)
        decoded.ts[-1:] += 1
        return decoded, left

    return wrong


def cut(write: Callable[..., tuple[Binary, NDArray[np.intp]]]) -> Any:
    """Make a kernel that leaves the last byte of a row out."""

    def wrong(*arguments: Any) -> tuple[Binary, NDArray[np.intp]]:
        made, left = write(*arguments)
        made.size[5] -= 1
        return made, left

    return wrong


@pytest.mark.parametrize(
    ("part", "where", "name", "broken"),
    [
        ("JSON records", JsonScan, "scan", skewed),
        ("Avro records", AvroScan, "scan", skewed),
        ("JSON rows", json_codec, "write_rows", cut),
        ("Avro rows", avro, "write_rows", cut),
    ],
)
def test_what_a_kernel_gets_wrong_is_found_and_told(
    part: str,
    where: Any,
    name: str,
    broken: Callable[[Any], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(where, name, broken(getattr(where, name)))
    file = tmp_path / "figures.json"
    assert main(["--cases", "5000", "--only", part, "--json", str(file)]) == 1
    found = json.loads(file.read_text())["disagreements"]
    assert 1 <= found <= 5, "one a batch at most"
    said = capsys.readouterr().out
    assert said.count("  telemill: ") == said.count("  the library: ") == found


def test_a_number_that_is_read_wrong_is_found_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(self: JsonScan, records: Records, scan: Any = JsonScan.scan) -> tuple[Decoded, NDArray[np.intp]]:
        decoded, left = scan(self, records)
        column = decoded.columns["x"]
        assert isinstance(column, np.ndarray)
        column[0] = np.nextafter(column[0], np.inf)
        return decoded, left

    monkeypatch.setattr(JsonScan, "scan", wrong)
    assert main(["--cases", "1000", "--only", "number"]) == 1
    assert capsys.readouterr().out.count("  the library: ") == 1
