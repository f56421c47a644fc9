"""Which member of its consumer group a worker is.

A member with a name of its own (`group.instance.id`) that comes back within the session timeout gets its shards back
at once. The name is the group, the host, and the lowest index that no other worker on this host holds: the index is
locked by a file, and the operating system gives the lock back however the worker ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import TextIO

_MOST = 1_000


class Instance:
    """A name in the consumer group, held until `release` or the end of the process.

    Attributes:
        name: the `group.instance.id`.
    """

    def __init__(self, group: str, name: str | None = None) -> None:
        """Take the name given, or the first free one on this host."""
        self._lock: TextIO | None = None
        if name is not None:
            self.name = name
            return
        folder = Path(tempfile.gettempdir()) / f"telemill-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        for index in range(_MOST):
            path = folder / f"{re.sub('[^A-Za-z0-9._-]', '_', group)}-{index}.lock"
            lock = path.open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self._lock = lock
            self.name = f"{group}-{socket.gethostname()}-{index}"
            return
        message = f"{_MOST} workers of {group} run on this host already"
        raise RuntimeError(message)

    def release(self) -> None:
        """Give the name back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
