"""Apache Kafka as a process of its own that demands TLS and a password, as managed brokers do.

Its jars come from Maven Central once, into build/kafka: those of the stand-in for Redpanda. Without Java and Maven the
tests over it are skipped, and say so.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.common.kafka import connect
from services.common.reach import NotConnected
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import free_port
from tests.certificates import Authority

POM = PROJECT_ROOT / "tests/standins/redpanda/pom.xml"
USER, PASSWORD = "wiki", "correct-horse-battery"
FETCH_TIMEOUT = 300  # seconds
START_TIMEOUT = 120  # seconds; a start takes about five, on a busy machine more


@dataclass(frozen=True)
class SecureKafka:
    """Two doors to one broker."""

    address: str  # SASL_SSL: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 with USER and PASSWORD
    plain_address: str  # PLAINTEXT, no password
    authority: Authority  # signed its certificate


class NoKafka(Exception):
    """It cannot run on this machine; the message says why."""


def jars() -> Path:
    """The folder of Kafka's jars, fetched where it is not there. Raises NoKafka."""
    folder = PROJECT_ROOT / "build" / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    if not shutil.which("java"):
        raise NoKafka("no Java on this machine: nothing ran over a broker that demands TLS and a password")
    if not folder.exists():
        if not shutil.which("mvn"):
            raise NoKafka("no Maven on this machine to fetch Apache Kafka: nothing ran over a broker that demands TLS")
        aside = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(aside, ignore_errors=True)
        command = ["mvn", "--batch-mode", "--quiet", "-f", str(POM), "dependency:copy-dependencies"]
        fetched = subprocess.run(
            [*command, f"-DoutputDirectory={aside}", "-DincludeScope=runtime"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT,
            check=False,
        )
        if fetched.returncode != 0:
            raise NoKafka(f"Maven could not fetch Apache Kafka: {fetched.stdout.strip()[:300]}")
        aside.rename(folder)
    return folder


def _java(jars: Path, folder: Path, *command: str) -> list[str]:
    log4j = PROJECT_ROOT / "tests/standins/redpanda/log4j2.properties"
    return [
        *("java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
        *(f"-Djava.io.tmpdir={folder}", f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{jars}/*", *command),
    ]


@contextmanager
def secure_kafka(folder: Path, host: str = "127.0.0.1") -> Iterator[SecureKafka]:
    """Start it with its files in `folder`, its secure door at `host`; it ends with the context. Raises NoKafka."""
    where = jars()
    authority = Authority(folder, "kafka-ca")
    ports = [free_port() for _ in range(3)]
    secure = f"{host}:{ports[0]}"
    plain, control = (f"127.0.0.1:{port}" for port in ports[1:])
    modules = "org.apache.kafka.common.security"
    listener = "listener.name.secure"
    config = folder / "server.properties"
    config.write_text(
        f"""
process.roles=broker,controller
node.id=0
controller.quorum.voters=0@{control}
controller.listener.names=CONTROLLER
listeners=SECURE://{secure},PLAIN://{plain},CONTROLLER://{control}
advertised.listeners=SECURE://{secure},PLAIN://{plain}
listener.security.protocol.map=SECURE:SASL_SSL,PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
{listener}.ssl.keystore.type=PEM
{listener}.ssl.keystore.location={authority.server(host)}
{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
{listener}.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
{listener}.scram-sha-256.sasl.jaas.config={modules}.scram.ScramLoginModule required;
{listener}.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
"""
    )
    scram = [f"--add-scram=SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]" for bits in (256, 512)]
    command = ("kafka.tools.StorageTool", "format", "-t", "wiki-battlefield-test", "-c", str(config), *scram)
    subprocess.run(_java(where, folder, *command), check=True, capture_output=True)
    with (folder / "kafka.log").open("wb") as log:
        process = subprocess.Popen(_java(where, folder, "kafka.Kafka", str(config)), stdout=log, stderr=log)
    try:
        connect(Settings(_env_file=None, kafka_bootstrap_servers=plain), START_TIMEOUT)
        yield SecureKafka(secure, plain, authority)
    except NotConnected as error:
        raise AssertionError(f"{error}\n{(folder / 'kafka.log').read_text()[-2000:]}") from error
    finally:
        process.kill()
        process.wait()
