"""A real Apache Kafka (KRaft, one node) as a process of this machine, for as long as it is needed.

The embedded broker tells where a partition ends by its last batch's first record, and Spark's source believes it and
stops there; so peers are compared over this one.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.embedded.ports import LOOPBACK, free_port
from services.embedded.process import spawn

HEAP = "1g"
QUIET = """rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
"""


def properties(port: int, controller: int, folder: Path) -> str:
    """Kafka's configuration: this machine only, one node, what it keeps in `folder`. All else as Kafka has it."""
    listeners = f"PLAINTEXT://{LOOPBACK}:{port}"
    return "\n".join(
        (
            "process.roles=broker,controller",
            "node.id=0",
            f"controller.quorum.voters=0@{LOOPBACK}:{controller}",
            "controller.listener.names=CONTROLLER",
            f"listeners={listeners},CONTROLLER://{LOOPBACK}:{controller}",
            f"advertised.listeners={listeners}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=PLAINTEXT",
            f"log.dirs={folder / 'data'}",
            "auto.create.topics.enable=false",
            # one node has no others to copy to, and nobody to wait for
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=4",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            "",
        )
    )


@contextmanager
def running_kafka(jars: Path, folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Kafka out of its jars on 127.0.0.1:`port`, its files in `folder`. Raises SystemExit where it cannot be started.

    It listens some seconds later.
    """
    java = shutil.which("java")
    if java is None or not any(jars.glob("kafka_*.jar")):
        raise SystemExit(f"Kafka needs Java 17 and its jars in {jars}: `make bench-peers` fetches them with Maven.")
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    config = folder / "server.properties"
    config.write_text(properties(port, free_port(), folder))
    (folder / "log4j2.properties").write_text(QUIET)

    def command(heap: str, *words: str) -> list[str]:
        options = [f"-Xmx{heap}", f"-Djava.io.tmpdir={folder / 'tmp'}"]
        options.append(f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}")
        return [java, *options, "-cp", f"{jars.resolve()}/*", *words]

    with (folder / "kafka.log").open("ab") as log:
        named = ["kafka.tools.StorageTool", "format", "-t", "wiki-battlefield-bigg", "-c", str(config)]
        formatted = subprocess.run(command("128m", *named), stdout=log, stderr=log, check=False)
        if formatted.returncode != 0:
            raise SystemExit(f"Kafka could not be set up:\n{(folder / 'kafka.log').read_text()[-2000:]}")
        process = spawn(command(HEAP, "kafka.Kafka", str(config)), environment=os.environ, output=log, own_group=False)
    try:
        yield process
    finally:
        process.kill()  # what it holds is of no use afterwards
        process.wait()
