"""Pictures: what is drawn, read back from the axes; and that thinning keeps what the eye would see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from typer.testing import CliRunner

from pipelines import config
from pipelines.__main__ import app
from pipelines.picture import _PIXELS, Picture, PictureError, _file_name, silences, steps, thin
from pipelines.shard import Shard
from tests.pipelines.motes import EXAMPLES, readings, records

MOTES = EXAMPLES / "motes.yaml"
MILL = """\
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: s, idle: 1m}
  fields: {t: float, on: bool, status: text}
steps:
  - id: w
    window: {tumbling: 10s, aggregate: {m: mean(t), n: count()}}
  - id: hot
    from: source
    alert: {raise: t > 30, clear: t < 20}
sinks: [{from: w, kafka: {topic: w}}, {from: hot, kafka: {topic: hot}}]
"""


def drawn(
    folder: Path, rows: list[dict[str, Any]], plots: list[str], devices: tuple[str, ...] = (), mill: str = MILL
) -> Picture:
    """Run the pipeline over rows and gather what is to be drawn."""
    file = folder / "mill.yaml"
    file.write_text(mill)
    pipeline = config.read(file, {})
    picture = Picture(pipeline, plots, devices)
    shard = Shard(pipeline, pipeline.source.format.decoder(pipeline.source.reading), picture.streams)
    for at, row in enumerate(rows):
        picture.take(shard.process(records([orjson.dumps(row)], at)))
    picture.take(shard.close())
    return picture


def lines(axis: Axes) -> dict[str, list[tuple[float, float]]]:
    """Give the lines that are named, in seconds since the epoch; NaN where one breaks."""
    found = {}
    for line in axis.get_lines():
        label = str(line.get_label())
        if not label.startswith("_"):
            x, y = line.get_data()
            seconds = np.asarray(x).astype("datetime64[us]").astype(np.int64) / 1_000_000
            found[label] = list(zip(seconds.tolist(), np.asarray(y).tolist(), strict=True))
    return found


def spans(axis: Axes) -> list[tuple[float, float]]:
    """Give the shaded spans, in days as matplotlib counts them."""
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axis.patches]  # type: ignore[attr-defined]  # they are rectangles


def days(*seconds: float) -> list[float]:
    """Give times as matplotlib counts them."""
    return [float(date2num(np.datetime64(round(second * 1_000_000), "us"))) for second in seconds]  # type: ignore[no-untyped-call]  # matplotlib has no types there


ROWS: list[dict[str, Any]] = [
    {"dev": "a", "ts": 0, "t": 10, "on": True},
    {"dev": "b", "ts": 1, "t": 35, "on": True},
    {"dev": "a", "ts": 5, "t": 14, "on": False},
    {"dev": "a", "ts": 12, "t": 40},
    {"dev": "a", "ts": 19, "t": None},
    {"dev": "a", "ts": 15, "t": 36},
    {"dev": "a", "ts": 20, "t": 10},
    {"dev": "a", "ts": 500, "t": 50},
]


def test_readings_are_a_line_by_time_that_breaks_where_the_device_was_silent(tmp_path: Path) -> None:
    axis = drawn(tmp_path, ROWS, ["t"]).figure("a").axes[0]
    line = lines(axis)["t"]
    assert line[:5] == [(0, 10), (5, 14), (12, 40), (15, 36), (20, 10)]
    assert np.isnan(line[5][1])
    assert line[6:] == [(500, 50)]
    assert axis.get_ylabel() == "t"
    assert axis.get_xlabel() == "event time (UTC)"


def test_windows_are_steps_from_their_start_to_their_end(tmp_path: Path) -> None:
    figure = drawn(tmp_path, ROWS, ["t, m", "n"]).figure("a")
    assert set(lines(figure.axes[0])) == {"t", "m (w)"}
    line = lines(figure.axes[0])["m (w)"]
    assert line[:6] == [(0, 12), (10, 12), (10, 38), (20, 38), (20, 10), (30, 10)]
    assert np.isnan(line[6][1])
    assert line[7:] == [(500, 50), (510, 50)]
    assert [axis.get_ylabel() for axis in figure.axes] == ["t, m", "n"]


def test_alerts_are_spans_from_raised_to_cleared_or_to_the_end(tmp_path: Path) -> None:
    figure = drawn(tmp_path, ROWS, ["t", "n"]).figure("a")
    end = figure.axes[0].get_xlim()[1]
    for axis in figure.axes:
        first, second = spans(axis)
        assert first == pytest.approx(days(12, 20))
        assert second == pytest.approx((*days(500), end))
        legend = axis.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()][-1] == "alert hot"
    assert end > days(509)[0]


def test_a_level_that_is_reached_ends_no_span_and_a_silence_is_a_span_of_its_own(tmp_path: Path) -> None:
    #  a     0s 40    10s 60: escalated                       90s 10
    #  b                                  0s, 30s ... 90s
    #        [------------------------------------------------)
    #                                     70s: missing [------)
    alert = "alert: {raise: t > 30, clear: t < 20, severity: {low: t > 30, high: t > 50}, missing: 1m}"
    rows = [{"dev": "a", "ts": at, "t": t} for at, t in ((0, 40.0), (10, 60.0))]
    rows += [{"dev": "b", "ts": at, "t": 0.0} for at in range(0, 91, 30)] + [{"dev": "a", "ts": 90, "t": 10.0}]
    picture = drawn(tmp_path, rows, ["t"], mill=MILL.replace("alert: {raise: t > 30, clear: t < 20}", alert))
    assert spans(picture.figure("a").axes[0]) == [pytest.approx(days(0, 90)), pytest.approx(days(70, 90))]


def test_the_alert_of_one_device_is_not_in_the_picture_of_another(tmp_path: Path) -> None:
    picture = drawn(tmp_path, ROWS, ["t"])
    assert picture.devices == ["a", "b"]
    assert spans(picture.figure("b").axes[0])[0] == pytest.approx((*days(1), picture.figure("b").axes[0].get_xlim()[1]))


def test_bools_are_drawn_and_a_column_of_a_stream_can_be_named(tmp_path: Path) -> None:
    axes = drawn(tmp_path, ROWS, ["on", "hot.t", "source.t"]).figure("a").axes
    assert lines(axes[0]) == {"on": [(0, 1), (5, 0)]}
    assert [point for point in lines(axes[1])["t (hot)"] if not np.isnan(point[1])] == [(12, 40), (20, 10), (500, 50)]
    assert len(lines(axes[2])["t"]) == 7


@pytest.mark.parametrize(
    ("plot", "says"),
    [
        ("tt", "no column `tt`; did you mean `t`? Columns that can be drawn: t, on, "),
        ("xyz", "no column `xyz`. Columns that can be drawn: t, on, m, n"),
        ("t,hto.t", "no column `hto.t`"),
        ("status", "`status` is text: numbers and bools can be drawn"),
        ("w.window_end", "`w.window_end` is time: numbers and bools can be drawn"),
    ],
)
def test_columns_that_cannot_be_drawn_are_told(plot: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(PictureError) as error:
        drawn(tmp_path, ROWS, [plot])
    assert says in str(error.value)


def test_only_the_first_devices_are_drawn_where_none_is_named(tmp_path: Path) -> None:
    rows = [{"dev": f"d{number}", "ts": number, "t": number} for number in range(9, -1, -1)]
    picture = drawn(tmp_path, rows, ["t"])
    files = picture.save(tmp_path)
    assert [file.name for file in files] == ["d9.png", "d8.png", "d7.png", "d6.png"]
    assert list(picture.left_out()) == [
        "the first 4 devices are drawn; name others with --device: d5, d4, d3, d2, d1, d0",
    ]


def test_devices_that_are_named_are_drawn_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    picture = drawn(tmp_path, ROWS, ["t"], ("b",))
    assert [file.name for file in picture.save(tmp_path)] == ["b.png"]
    assert list(picture.left_out()) == []
    both = drawn(tmp_path, ROWS, ["t"], ("c", "b"))
    (tmp_path / "b.png").unlink()
    with pytest.raises(PictureError, match=r"no row of the device c, so no picture of it; there are a, b$"):
        both.save(tmp_path)
    assert (tmp_path / "b.png").exists()


def test_device_without_any_value_is_an_empty_picture(tmp_path: Path) -> None:
    picture = drawn(tmp_path, [{"dev": "a", "ts": 5}], ["t,m"])
    assert picture.save(tmp_path)
    assert lines(picture.figure("a").axes[0])["t"] == []


@pytest.mark.parametrize(
    ("device", "name"),
    [("mote-1", "mote-1"), ("berlin/a", "berlin%2Fa"), ("../x", "..%2Fx"), ("a b", "a b"), ("é", "%C3%A9")],
)
def test_names_of_files_are_safe(device: str, name: str) -> None:
    assert _file_name(device) == name


def test_long_names_stay_apart() -> None:
    one, two = _file_name("x" * 1_000), _file_name("x" * 999 + "y")
    assert one != two
    assert len(one) < 120


def test_windows_that_overlap_are_drawn_behind_the_end_of_the_one_before() -> None:
    """Hopping by 5, of size 20: each step is over the last 5.

    0         10        20
    [------- 1 --------)
         [------- 2 --------)
              [------- 3 --------)
    """
    x, y, breaks = steps(np.array([0, 5, 10]), np.array([20, 25, 30]), np.array([1.0, 2.0, 3.0]))
    assert x.tolist() == [0, 20, 20, 25, 25, 30]
    assert y.tolist() == [1, 1, 2, 2, 3, 3]
    assert breaks.tolist() == []


def test_silence_is_both_long_and_unusual() -> None:
    minute = 60_000_000
    every_hour = np.arange(5) * 60 * minute
    assert silences(every_hour, minute).tolist() == []
    assert silences(np.array([0, 1, 2, 3 * minute, 3 * minute + 1]), minute).tolist() == [3]
    assert silences(np.array([0, 1, 2, 50]), minute).tolist() == []
    assert silences(np.array([5]), minute).tolist() == []


@given(st.integers(0, 2**32), st.integers(0, 5))
def test_thinning_keeps_the_outline_of_every_pixel(seed: int, cuts: int) -> None:
    random = np.random.default_rng(seed)
    count = 4 * _PIXELS + 2_000
    x = np.sort(random.integers(0, 50_000, count))
    y = random.normal(size=count)
    breaks = np.unique(random.integers(1, count, cuts))
    limits = (-500, 50_500)
    kept_x, kept_y, kept_breaks = thin(x, y, breaks, limits)
    assert len(kept_x) <= 4 * (_PIXELS + cuts)
    assert set(zip(kept_x.tolist(), kept_y.tolist(), strict=True)) <= set(zip(x.tolist(), y.tolist(), strict=True))
    for own_x, own_y, own_breaks in ((x, y, breaks), (kept_x, kept_y, kept_breaks)):
        assert len(own_breaks) == len(breaks)
        assert own_x[own_breaks].tolist() == x[breaks].tolist()
        del own_y
    pixel, kept_pixel = ((own - limits[0]) * _PIXELS // (limits[1] - limits[0]) for own in (x, kept_x))
    for at in np.unique(pixel).tolist():
        own, kept = y[pixel == at], kept_y[kept_pixel == at]
        assert (own.min(), own.max(), own[0], own[-1]) == (kept.min(), kept.max(), kept[0], kept[-1])


def test_few_points_stay_as_they_are() -> None:
    x, y = np.arange(4 * _PIXELS), np.zeros(4 * _PIXELS)
    assert thin(x, y, np.array([3]), (0, 4_000))[0] is x


def test_the_command_draws_the_kettle_of_a_mote(tmp_path: Path) -> None:
    file = tmp_path / "m.ndjson"
    file.write_bytes(b"\n".join(map(orjson.dumps, readings(10_500))))
    args = ["--plot", "humidity,h_mean", "--plot", "score", "--device", "mote-1", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["backtest", str(MOTES), str(file), *args])
    assert (result.exit_code, result.stderr) == (0, "")
    picture = tmp_path / "out" / "mote-1.png"
    assert f"picture: {picture}\n" in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    args[5] = "mote-9"
    result = CliRunner().invoke(app, ["backtest", str(MOTES), str(file), *args])
    assert result.exit_code == 1
    assert (
        result.stderr
        == "telemill: no row of the device mote-9, so no picture of it; there are mote-1, mote-2, mote-3, mote-4\n"
    )
