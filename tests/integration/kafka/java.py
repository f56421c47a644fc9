"""A broker that Java runs from Kafka's jars in a temporary folder: with no Docker, and the only one tests can break."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.integration.kafka.jars import find_jars, find_java
from tests.integration.kafka.leash import Leash
from tests.integration.kafka.ways import Broker, BrokerFailed, free_ports, wait_until_ready

SASL_USER = "telemill"
SASL_PASSWORD = "secret"  # of a broker on loopback that lives as long as a test

ONE_BROKER = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    "auto.create.topics.enable": "false",
    # One broker can't keep the copies that the defaults ask for, and needs no 50 partitions for its own records.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Tests don't wait: groups start at once, dead members are noticed soon, deleted topics free their files.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "log.segment.delete.delay.ms": "0",
    # A killed broker's registration lives until its session ends, and until then the restarted one isn't let in: with
    # the default of 9 s a restart takes 12.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "200",
    # Rows carry event time, and the tests' is years back.
    "log.retention.ms": "-1",
    "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl.plain.sasl.jaas.config": (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{SASL_USER}="{SASL_PASSWORD}";'
    ),
}
LISTENERS = {"CLIENT": "PLAINTEXT", "SASL": "SASL_PLAINTEXT", "CONTROLLER": "PLAINTEXT"}

# A broker of a test lives for seconds: the quick compiler and the simple collector start it sooner on few cores.
JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

FORMAT_SECONDS = 60.0
STOP_SECONDS = 30.0
PORT_TAKEN = "Address already in use"


class JavaBroker(Broker):
    """Apache Kafka in a Java process of its own, on loopback.

    Args:
        properties: Kafka's broker properties, over those above.
        listeners: more listeners, name -> security protocol; `addresses` then has name -> address. What such a
            listener needs else, goes into `properties`.

    Tests of faults use `kill()` (as a crash), `stop()` (in good order) and then `start()`, which brings it back on
    the same ports with the same data; `pid` is the Java process, for example to freeze it with SIGSTOP.

    """

    way = "Java, from Kafka's jars"

    def __init__(self, properties: Mapping[str, str] | None = None, listeners: Mapping[str, str] | None = None) -> None:
        self.addresses: dict[str, str] = {}
        self.folder: Path | None = None
        self._properties = dict(properties or {})
        self._protocols = {**LISTENERS, **(listeners or {})}
        self._leash: Leash | None = None
        self._java: list[str] = []

    @property
    def pid(self) -> int:
        """The Java process; raises BrokerFailed if it isn't running."""
        if not self._leash or self._leash.pid is None or self._leash.ended():
            message = "the Kafka broker is not running: call start() first"
            raise BrokerFailed(message)
        return self._leash.pid

    def start(self) -> None:
        """Start it, or bring it back after `stop()` or `kill()`, and wait until it answers."""
        if self.folder:
            self._launch(self.folder)
            return
        self._java = [find_java(), *JVM, "-cp", f"{find_jars()}/*"]
        for attempts_left in (2, 1, 0):
            self.folder = Path(tempfile.mkdtemp(prefix="telemill-kafka-"))
            try:
                self._format(self.folder)
                self._launch(self.folder)
            except BrokerFailed as error:
                # Between our look for free ports and Kafka's start another program can have taken one.
                if PORT_TAKEN not in str(error) or not attempts_left:
                    raise
                self.close()
            else:
                return

    def stop(self) -> None:
        """End it in good order (SIGTERM) and wait until it has ended."""
        if self._leash:
            self._leash.terminate()
            try:
                self._leash.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._leash = None

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would, and wait until it has ended."""
        if self._leash:
            self._leash.kill()
            self._leash.wait(STOP_SECONDS)
            self._leash = None

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()  # nobody needs the data any more, and an orderly end takes a second
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _format(self, folder: Path) -> None:
        """Choose ports, write server.properties and have Kafka lay out its data folder."""
        ports = dict(zip(self._protocols, free_ports(len(self._protocols)), strict=True))
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        self.servers = self.addresses["CLIENT"]
        self.sasl_servers = self.addresses["SASL"]
        properties = {
            **ONE_BROKER,
            "listeners": ",".join(f"{name}://{address}" for name, address in self.addresses.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in self._protocols.items()),
            "controller.quorum.voters": f"1@{self.addresses['CONTROLLER']}",
            "log.dirs": str(folder / "data"),
            **self._properties,
        }
        # In a Java properties file a backslash starts an escape.
        lines = [f"{key}={value}\n".replace("\\", "\\\\") for key, value in properties.items()]
        (folder / "server.properties").write_text("".join(lines), encoding="latin-1")
        # A cluster's id is a UUID in URL-safe base64 that does not begin with "-", as that reads as an option.
        cluster = "K" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        code = self._run(folder, "kafka.tools.StorageTool", "format", "-t", cluster, "-c").wait(FORMAT_SECONDS)
        self._leash = None
        if code:
            raise BrokerFailed(self._with_log(folder, "Kafka could not lay out its data folder"))

    def _launch(self, folder: Path) -> None:
        """Start the broker on a folder that is laid out."""
        if self._leash and not self._leash.ended():
            message = f"the Kafka broker at {self.servers} is running already"
            raise BrokerFailed(message)
        leash = self._run(folder, "kafka.Kafka")
        try:
            wait_until_ready(self.servers, ended=leash.ended)
        except BrokerFailed as error:
            raise BrokerFailed(self._with_log(folder, str(error))) from error

    def _run(self, folder: Path, *command: str) -> Leash:
        """Run a Java program that takes the path of server.properties last."""
        # Java keeps a file for its own monitoring tools in the system's temporary folder; a killed one leaves it.
        java = [*self._java, "-XX:-UsePerfData", f"-Djava.io.tmpdir={folder}"]
        self._leash = Leash([*java, *command, str(folder / "server.properties")], folder, folder / "broker.log")
        return self._leash

    @staticmethod
    def _with_log(folder: Path, message: str) -> str:
        """Add the last lines of the broker's log to a message."""
        lines = (folder / "broker.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([message, "The end of the broker's log:", *lines[-40:]])
