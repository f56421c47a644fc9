"""A command on a leash ends when it is told to, and never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.kafka.leash import Leash
from tests.integration.test_broker import ROOT, SECONDS, eventually, is_gone

# A run in the background (`make test &`, nohup) has signals ignored, and its children inherit that.
HOLD_A_COMMAND = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
from tests.integration.kafka.leash import Leash
folder = Path(sys.argv[1])
print(Leash(["sleep", "600"], folder, folder / "log").pid, flush=True)
time.sleep(600)
"""


def test_it_ends_with_a_signal_when_told_to(tmp_path: Path) -> None:
    for order, expected in ((Leash.terminate, signal.SIGTERM), (Leash.kill, signal.SIGKILL)):
        leash = Leash(["sleep", "600"], tmp_path, tmp_path / "log")
        assert not leash.ended()
        order(leash)
        assert leash.wait(SECONDS) == -expected
        assert leash.ended()
    assert tmp_path.is_dir()


def test_its_exit_code_and_output_are_kept_when_it_ends_by_itself(tmp_path: Path) -> None:
    leash = Leash(["sh", "-c", "echo out; echo err >&2; exit 3"], tmp_path, tmp_path / "log")
    assert leash.wait(SECONDS) == 3
    leash.kill()  # too late, and no error
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_a_command_that_does_not_exist_has_no_pid_and_a_reason_in_the_log(tmp_path: Path) -> None:
    leash = Leash(["no-such-command"], tmp_path, tmp_path / "log")
    assert leash.pid is None
    assert leash.wait(SECONDS) != 0
    assert "no-such-command" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_the_command_and_its_folder_go_with_the_process_that_started_it(end: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    command = [sys.executable, "-c", HOLD_A_COMMAND, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert not is_gone(pid)
        child.send_signal(end)
        child.wait(SECONDS)
    assert eventually(lambda: is_gone(pid))
    assert eventually(lambda: not folder.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel ties a process to its parent")
def test_the_command_goes_even_when_its_holder_is_killed(tmp_path: Path) -> None:
    leash = Leash(["sleep", "600"], tmp_path, tmp_path / "log")
    assert leash.pid is not None
    status = Path(f"/proc/{leash.pid}/status").read_text()
    holder = int(status.split("PPid:")[1].split()[0])
    os.kill(holder, signal.SIGKILL)
    assert leash.wait(SECONDS) == -signal.SIGKILL
    pid = leash.pid
    assert eventually(lambda: is_gone(pid))
