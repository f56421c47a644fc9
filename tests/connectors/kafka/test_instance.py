"""Which member of its group a worker is: the lowest free index on this host, given back however the worker ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from connectors.kafka.instance import Instance

HOST = socket.gethostname()


@pytest.fixture(autouse=True)
def _locks_of_this_test_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_the_lowest_free_index_is_taken() -> None:
    workers = [Instance("mill") for _ in range(3)]
    assert [worker.name for worker in workers] == [f"mill-{HOST}-{index}" for index in range(3)]
    workers[1].release()
    workers[0].release()
    again = Instance("mill")
    assert again.name == f"mill-{HOST}-0"
    other = Instance("mill")
    assert other.name == f"mill-{HOST}-1"
    for worker in (*workers, again, other):
        worker.release()  # once more does no harm


def test_groups_count_each_for_itself() -> None:
    held = [Instance("one"), Instance("two"), Instance("a/b c")]
    assert [worker.name for worker in held] == [f"one-{HOST}-0", f"two-{HOST}-0", f"a/b c-{HOST}-0"]
    for worker in held:
        worker.release()


def test_groups_whose_names_look_alike_to_a_file_system_do_not_take_each_others_index() -> None:
    held = [Instance("a/b"), Instance("a b")]
    assert len({worker.name for worker in held}) == 2
    for worker in held:
        worker.release()


def test_a_name_that_is_given_is_taken_as_it_is() -> None:
    assert Instance("mill", "west-7").name == "west-7"
    free = Instance("mill")
    assert free.name == f"mill-{HOST}-0", "a given name holds no index"
    free.release()


HOLD = "from connectors.kafka.instance import Instance; held = Instance('mill'); print(held.name, flush=True); input()"


def test_a_name_is_free_again_when_its_process_is_killed() -> None:
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"mill-{HOST}-0\n"
        second = Instance("mill")
        assert second.name == f"mill-{HOST}-1", "two processes hold two names"
        os.kill(process.pid, signal.SIGKILL)
    first = Instance("mill")
    assert first.name == f"mill-{HOST}-0"
    first.release()
    second.release()
