"""A broker that Docker runs, as docker-compose.kafka.yml describes it, under a name and on a port of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.integration.kafka.ways import Broker, Unavailable, free_ports, wait_until_ready

COMPOSE_FILE = Path(__file__).parents[3] / "docker-compose.kafka.yml"
ANSWER_SECONDS = 10
DOWN_SECONDS = 60

# Up, then wait until stdin is closed, then down. The shell has a session of its own and outlives this process, even
# when that is killed: the kernel closes stdin then, and the containers go. One shell does both, so that `down` can't
# overtake an `up` that is still at work. The closing of stdout must not end it (SIGPIPE) before it has cleaned up.
UP_AND_DOWN = """
trap '' PIPE
docker compose -p "$1" -f "$2" up -d --wait kafka >&2
echo $?
cat >/dev/null
docker compose -p "$1" -f "$2" down -v --remove-orphans >&2
"""


class ComposeBroker(Broker):
    """Apache Kafka in a container."""

    way = "Docker, from docker-compose.kafka.yml"

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the container and wait until it answers; raises Unavailable if Docker can't."""
        docker = shutil.which("docker")
        if not docker:
            message = "no docker on the PATH"
            raise Unavailable(message)
        ask = [docker, "info", "--format", "{{.ServerVersion}}"]
        try:
            answer = subprocess.run(ask, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            message = f"its daemon has not answered for {ANSWER_SECONDS} s"
            raise Unavailable(message) from error
        # Some versions of the client exit with 0 although no daemon answered.
        if answer.returncode or not answer.stdout.strip():
            message = "its daemon does not answer"
            raise Unavailable(message)
        for attempts_left in (2, 1, 0):
            problem = self._up()
            if not problem:
                break
            self.close()
            # Only a port that was taken meanwhile is worth another try.
            port_taken = "port is already allocated" in problem or "address already in use" in problem
            if not port_taken or not attempts_left:
                message = f"docker compose up failed: {problem.splitlines()[-1]}"
                raise Unavailable(message)
        wait_until_ready(self.servers)

    def close(self) -> None:
        """Remove the container and its data."""
        if self._shell and self._shell.stdin and self._shell.stdout:
            self._shell.stdin.close()
            self._shell.wait(DOWN_SECONDS)
            self._shell.stdout.close()
            self._shell = None

    def _up(self) -> str:
        """Start the container; what Docker said if it failed, else an empty string."""
        (port,) = free_ports(1)
        self.servers = f"127.0.0.1:{port}"
        with tempfile.TemporaryFile() as output:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", UP_AND_DOWN, "sh", f"telemill-test-{uuid.uuid4().hex[:8]}", str(COMPOSE_FILE)],
                bufsize=0,
                env={**os.environ, "KAFKA_PORT": str(port)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
            code = self._shell.stdout.readline() if self._shell.stdout else b""
            if code.strip() == b"0":
                return ""
            output.seek(0)
            return output.read().decode(errors="replace").strip() or "no message"
