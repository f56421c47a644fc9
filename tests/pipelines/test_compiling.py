"""What is said while kernels are compiled, and when."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from numba import njit
from numba.core import event

from pipelines import compiling
from pipelines.compiling import Compiling


class Watch:
    """A clock that the test moves, and a listener that goes by it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.listener = Compiling()
        self.about: Any = event.Event("numba:compile", event.EventStatus.START)  # type: ignore[no-untyped-call]

    def compiles(self, seconds: float) -> None:
        """Compile a kernel."""
        self.listener.on_start(self.about)
        self.now += seconds
        self.listener.on_end(self.about)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Watch:
    caplog.set_level(logging.INFO, "telemill")
    return Watch(monkeypatch)


def test_nothing_is_said_of_a_kernel_or_two(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watch.compiles(0.4)
    watch.now += 3_600
    watch.compiles(0.4)
    assert caplog.messages == []
    assert watch.listener.seconds() == pytest.approx(0.8)


def test_after_a_second_of_compiling_it_is_said_once_that_it_happens_once(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        watch.compiles(0.4)
    assert caplog.messages == ["compiling kernels, once; the next start is quick"]


def test_it_is_said_while_a_large_kernel_is_still_compiled(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watch.listener.on_start(watch.about)
    watch.now += 3
    assert caplog.messages == []
    watch.compiles(0.1)  # one that it calls
    assert caplog.messages == ["compiling kernels, once; the next start is quick"]
    watch.now += 3
    watch.listener.on_end(watch.about)
    assert watch.listener.seconds() == pytest.approx(6.1)


def test_where_kernels_cannot_be_kept_it_is_said_what_to_set(
    watch: Watch, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "are_kept", lambda: False)
    watch.compiles(2)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "as at every start" in record.getMessage()
    assert "set NUMBA_CACHE_DIR" in record.getMessage()


def test_what_numba_compiles_is_heard() -> None:
    seven: Any = njit(lambda: 7)
    before = compiling.compiling().seconds()
    assert seven() == 7
    assert compiling.compiling().seconds() > before


def test_numba_is_left_in_the_middle_of_a_kernel_once_it_is_asked_to() -> None:
    stopping = threading.Event()

    class Asked(event.Listener):
        """Asks in the middle."""

        passes = 0

        def on_start(self, event: event.Event) -> None:
            del event
            self.passes += 1
            if self.passes == 3:
                stopping.set()

        def on_end(self, event: event.Event) -> None:
            del event

    asked = Asked()
    with (
        event.install_listener("numba:run_pass", asked),
        pytest.raises(SystemExit) as ended,
        compiling.ending(stopping),
    ):
        njit(lambda x: x + 1)(1)
    assert ended.value.code == 0
    assert asked.passes in {3, 4}, "no further pass was made"


def test_nothing_is_left_before_it_is_asked_to() -> None:
    stopping = threading.Event()
    with compiling.ending(stopping):
        assert njit(lambda x: x + 1)(1) == 2
    with pytest.raises(SystemExit), compiling.ending(stopping):
        stopping.set()
