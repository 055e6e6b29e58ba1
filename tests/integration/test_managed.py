"""Managed parts by settings alone: a broker and a ClickHouse that demand TLS and a password, right and wrong ones.

The broker is Apache Kafka; ClickHouse is the suite's own behind TLS.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from scripts.drill import WRONG_WINDOWS
from services.common import kafka
from services.common.clickhouse import wait_for_clickhouse, writer_credentials
from services.common.kafka import connect, create_topics
from services.common.queries import run_query
from services.common.reach import NotConnected
from services.common.settings import Settings
from services.embedded.ports import free_port
from tests.answers import answer
from tests.certificates import Authority, behind_tls
from tests.integration.conftest import Stack
from tests.kafka import PASSWORD, USER, NoKafka, SecureKafka, secure_kafka

WRONG = SecretStr("not-the-right-password")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
LONGEST = 120.0  # seconds; on a busy machine a start takes a while
PATIENCE = 20.0  # seconds; each of these must be told long before


@pytest.fixture(scope="module")
def secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    try:
        with secure_kafka(tmp_path_factory.mktemp("kafka")) as running:
            yield running
    except NoKafka as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that signed nothing here."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


class Secured(NamedTuple):
    """ClickHouse behind TLS."""

    port: int
    authority: Authority


@pytest.fixture(scope="module")
def secured(clickhouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    authority = Authority(tmp_path_factory.mktemp("clickhouse-ca"), "clickhouse-ca")
    with behind_tls(clickhouse.clickhouse_port, authority.server("127.0.0.1")) as port:
        yield Secured(port, authority)


@pytest.fixture
def over_kafka(secure_broker: SecureKafka, settings_factory: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings that lead to the broker, but for what is given."""
    right = {
        "kafka_bootstrap_servers": secure_broker.address,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "SCRAM-SHA-512",
        "kafka_sasl_username": USER,
        "kafka_sasl_password": SecretStr(PASSWORD),
        "kafka_ssl_ca_location": str(secure_broker.authority.path),
    }
    return lambda **wrong: settings_factory(**{**right, **wrong})


@pytest.fixture
def over_tls(clickhouse: Settings, secured: Secured) -> Settings:
    """Settings that lead to ClickHouse as the writer."""
    user, password = writer_credentials(clickhouse)
    return clickhouse.model_copy(
        update={
            "clickhouse_port": secured.port,
            "clickhouse_secure": True,
            "clickhouse_ca_location": str(secured.authority.path),
            "clickhouse_user": user,
            "clickhouse_password": SecretStr(password),
        }
    )


def test_everything_counts_over_tls_and_passwords_with_an_empty_disk_at_each_start(
    over_kafka: Callable[..., Settings], over_tls: Settings, database: Settings, tmp_path: Path
) -> None:
    broker = over_kafka()
    connection = {name: getattr(broker, name) for name in Settings.model_fields if name.startswith("kafka_")}
    own = {"clickhouse_database": database.clickhouse_database, "data_dir": tmp_path, "worker_changelog": True}
    stack = Stack(over_tls.model_copy(update={**connection, **own}), None)
    ports = {role: free_port() for role in ("simulator", "producer", "worker")}
    source = f"http://127.0.0.1:{ports['simulator']}/v2/stream/recentchange"

    def all_is_stored(events: int) -> bool:
        account = next(iter(run_query(stack.client, "accounting").named_results()))
        read, kept, refused = account["read"], account["kept"], account["refused"]
        return read == events and kept + refused == account["stored"] + account["duplicates"] + account["dead_letters"]

    try:
        # each by another mechanism
        migrate = stack.start("migrate", kafka_sasl_mechanism="PLAIN")
        assert migrate.wait(LONGEST) == 0, stack.words()
        for events in (1500, 3000):
            game = ("simulate", "--events", str(events), "--speed", "max")
            parts = [
                stack.start(*game, port=ports["simulator"]),
                stack.start("work", port=ports["worker"], kafka_sasl_mechanism="SCRAM-SHA-256"),
                stack.start("produce", port=ports["producer"], eventstreams_url=source),
            ]
            stack.wait_for(lambda events=events: all_is_stored(events), LONGEST)
            for role in ("producer", "worker"):
                stack.wait_for(lambda role=role: answer(ports[role], "/health") == 200, LONGEST)
            assert [stack.stop(part) for part in reversed(parts)] == [0, 0, 0]
            # what a platform keeps of a container's files when it starts it again
            for folder in ("state", "heartbeats"):
                shutil.rmtree(tmp_path / folder)
        assert stack.query(WRONG_WINDOWS) == [(0,)]
        numbered = stack.query("SELECT shard, count(), max(sequence) FROM edits FINAL GROUP BY shard")
        assert [row for row in numbered if row[1] != row[2]] == [], "the state came back from the changelog"
        assert "seeded" not in (tmp_path / "work.log").read_text()
        assert PASSWORD not in stack.words()
    finally:
        for process in stack.processes:
            process.kill()
            process.wait()


WRONG_BROKERS = {
    "another CA": ({"kafka_ssl_ca_location": "stranger"}, "Let KAFKA_SSL_CA_LOCATION name a file with its CA"),
    "the public CAs": ({"kafka_ssl_ca_location": ""}, "Let KAFKA_SSL_CA_LOCATION name a file with its CA"),
    "another name": ({"kafka_bootstrap_servers": "localhost:{secure}"}, "certificate for another name"),
    "no TLS": ({"kafka_security_protocol": "PLAINTEXT"}, "Set KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
    "a password without TLS": ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "Set KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
    "TLS where there is none": (
        {"kafka_bootstrap_servers": "127.0.0.1:{plain}"},
        "Set KAFKA_SECURITY_PROTOCOL=PLAINTEXT if it has none",
    ),
    **{
        f"another password, {mechanism}": (
            {"kafka_sasl_password": WRONG, "kafka_sasl_mechanism": mechanism},
            "refuses 'wiki': correct KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD or KAFKA_SASL_MECHANISM",
        )
        for mechanism in MECHANISMS
    },
}


@pytest.mark.parametrize("wrong", WRONG_BROKERS)
def test_what_is_wrong_with_the_broker_is_one_line_at_once(
    secure_broker: SecureKafka, stranger: Authority, over_kafka: Callable[..., Settings], wrong: str
) -> None:
    values, advice = WRONG_BROKERS[wrong]
    ports = {
        "secure": secure_broker.address.rpartition(":")[2],
        "plain": secure_broker.plain_address.rpartition(":")[2],
    }
    given = {name: text.format(**ports) if isinstance(text, str) else text for name, text in values.items()}
    if given.get("kafka_ssl_ca_location"):
        given["kafka_ssl_ca_location"] = str(stranger.path)
    with pytest.raises(NotConnected) as told:
        connect(over_kafka(**given), PATIENCE)
    assert told.value.is_lasting, "no need to wait for it"
    assert advice in str(told.value)
    assert "\n" not in str(told.value)
    assert WRONG.get_secret_value() not in str(told.value)


def test_a_broker_that_waits_for_a_password_is_told_from_one_that_is_away(over_kafka: Callable[..., Settings]) -> None:
    for values, advice in (
        ({"kafka_security_protocol": "SSL"}, "Where it asks for a password, set KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ({"kafka_bootstrap_servers": f"127.0.0.1:{free_port()}"}, "does not answer. Start it, or correct KAFKA_BOOT"),
        ({"kafka_bootstrap_servers": "nowhere.invalid:9092"}, "no host of that name is known"),
    ):
        with pytest.raises(NotConnected) as told:
            connect(over_kafka(**values), 0.5)
        assert not told.value.is_lasting, "it may come yet"
        assert advice in str(told.value)


def test_a_cluster_that_asks_for_other_replicas_is_told_by_the_setting(
    over_kafka: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "EDITS_TOPIC", "wiki.missing")
    with pytest.raises(NotConnected, match="Set KAFKA_REPLICATION_FACTOR to what the cluster asks for"):
        create_topics(over_kafka(kafka_replication_factor=3))


WRONG_CLICKHOUSES = {
    "another password": ({"clickhouse_password": WRONG}, "Correct CLICKHOUSE_USER and CLICKHOUSE_PASSWORD."),
    "another CA": ({"clickhouse_ca_location": "stranger"}, "Let CLICKHOUSE_CA_LOCATION name a file with its CA"),
    "the public CAs": ({"clickhouse_ca_location": ""}, "Let CLICKHOUSE_CA_LOCATION name a file with its CA"),
    "another name": ({"clickhouse_host": "localhost"}, "certificate for another name"),
    "no TLS": ({"clickhouse_secure": False}, "Set CLICKHOUSE_SECURE=true"),
    "TLS where there is none": ({"clickhouse_port": "plain"}, "Set CLICKHOUSE_SECURE=false if it has none"),
}


@pytest.mark.parametrize("wrong", WRONG_CLICKHOUSES)
def test_what_is_wrong_with_clickhouse_is_one_line_at_once(
    clickhouse: Settings, over_tls: Settings, stranger: Authority, wrong: str
) -> None:
    given, advice = WRONG_CLICKHOUSES[wrong]
    known = {"stranger": str(stranger.path), "plain": clickhouse.clickhouse_port}
    settings = over_tls.model_copy(update={name: known.get(str(value), value) for name, value in given.items()})
    with pytest.raises(NotConnected) as told:
        wait_for_clickhouse(settings, PATIENCE)
    assert told.value.is_lasting, "no need to wait for it"
    assert advice in str(told.value)
    assert "\n" not in str(told.value)
    assert WRONG.get_secret_value() not in str(told.value)


def test_each_part_ends_with_that_line_and_without_the_password(
    over_kafka: Callable[..., Settings], over_tls: Settings, tmp_path: Path
) -> None:
    """A restart after a second, as Docker does it, is no answer to a wrong password: the log must say what to do."""
    at_broker = over_kafka(kafka_sasl_password=WRONG)
    connection = {name: getattr(at_broker, name) for name in Settings.model_fields if name.startswith("kafka_")}
    stack = Stack(over_tls.model_copy(update={"data_dir": tmp_path}), None)
    refused_by_broker = {**connection, "kafka_sasl_password": WRONG}
    refused_by_clickhouse = {"clickhouse_password": WRONG, "alert_webhook_url": SecretStr("http://127.0.0.1:1/")}
    at_the_broker = {name: stack.start(name, **refused_by_broker) for name in ("produce", "work", "migrate", "status")}
    at_clickhouse = {"notify": stack.start("notify", **refused_by_clickhouse)}
    for name, process in {**at_the_broker, **at_clickhouse}.items():
        assert process.wait(LONGEST) == 1, name
        log = (tmp_path / f"{name}.log").read_text()
        told = [line for line in log.splitlines() if "refuses" in line and "orrect" in line]
        assert len(told) == 1, log
        assert ("KAFKA_SASL_PASSWORD" if name in at_the_broker else "CLICKHOUSE_PASSWORD") in told[0]
        assert "Traceback" not in log
        assert WRONG.get_secret_value() not in log
