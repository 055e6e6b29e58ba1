"""Connections to the Kafka-API broker, and the topics the project needs."""

import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from services.common.change import DEAD_LETTERS_TOPIC, EDITS_TOPIC, LEDGER_TOPIC, POSITIONS_TOPIC
from services.common.reach import Hindrance, NotConnected, hindrance
from services.common.settings import Settings

KEEP_MS = 7 * 86_400_000  # how long the broker keeps messages
DEFAULT_PORT = 9092
# Seconds that the first question to the broker may take, and the last ones: connecting goes on from one to the next,
# and an answer from another continent takes longer than a refusal from this machine.
FIRST_ATTEMPT, LONGEST_ATTEMPT = 0.25, 4.0

# What a broker answers to whom it knows and lets not do what we need, by what helps
_MAY_NOT = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
_OTHER_REPLICATION = {KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.POLICY_VIOLATION}


def kafka_config(settings: Settings) -> dict[str, Any]:
    """librdkafka's connection properties; the only place that knows them."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "wiki-battlefield",
        # librdkafka resolves `localhost` to ::1 first on many machines, where nothing of ours listens
        "broker.address.family": "v4" if settings.kafka_bootstrap_servers.startswith("127.") else "any",
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": mechanism(settings),
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": settings.kafka_sasl_password.get_secret_value(),
        }
    if settings.kafka_ssl_ca_location:
        config["ssl.ca.location"] = settings.kafka_ssl_ca_location
    return config


def wanted_topics(settings: Settings) -> list[NewTopic]:
    """Quix reads `retention.ms` of every topic, and the embedded broker only knows what was set: set it always."""
    replication = settings.kafka_replication_factor

    def topic(name: str, partitions: int, **config: str) -> NewTopic:
        return NewTopic(name, num_partitions=partitions, replication_factor=replication, config=config)

    keep = {"retention.ms": str(KEEP_MS), "retention.bytes": "-1", "cleanup.policy": "delete"}
    return [
        topic(EDITS_TOPIC, settings.kafka_partitions, **keep),
        topic(DEAD_LETTERS_TOPIC, 1, **keep),
        topic(LEDGER_TOPIC, 1, **keep),
        topic(POSITIONS_TOPIC, 1, **{"cleanup.policy": "compact", "retention.ms": "-1", "retention.bytes": "-1"}),
    ]


def connect(settings: Settings, timeout: float, *, patient: bool = True) -> AdminClient:
    """A client of the broker, once that has answered.

    Raises NotConnected after `timeout` seconds, and at once where waiting would not help: a refused password, a
    certificate that cannot be trusted, TLS where there is none or the other way round. Not `patient`: at once too
    where nobody listens, though somebody may soon.
    """
    told: list[KafkaError] = []
    # librdkafka writes every failed attempt to stderr, as often as it tries; we say it once
    quiet = {"log_level": 0, "error_cb": told.append}
    admin = AdminClient(kafka_config(settings) | quiet)
    deadline = time.monotonic() + timeout
    attempt = FIRST_ATTEMPT
    while True:
        try:
            admin.list_topics(timeout=min(attempt, timeout))
            return admin
        except KafkaException as error:
            admin.poll(0)  # hands over what librdkafka has to tell
            refusal = next((e for e in told if e.code() == KafkaError._AUTHENTICATION), None)
            if refusal is not None:
                raise NotConnected(refused(settings, refusal), is_lasting=True) from None
            found = _hindrance(settings)
            if found is not None and (found[1].is_lasting or not patient):
                raise NotConnected(_sentence(*found), is_lasting=found[1].is_lasting) from None
            if time.monotonic() > deadline:
                why = _silent(settings, error) if found is None else _sentence(*found)
                raise NotConnected(why, is_lasting=False) from None
            attempt = min(2 * attempt, LONGEST_ATTEMPT)


def refused(settings: Settings, error: KafkaError) -> str:
    """What to do about an _AUTHENTICATION error: user, password or mechanism are none that the broker knows."""
    return (
        f"The broker at {settings.kafka_bootstrap_servers} refuses {settings.kafka_sasl_username!r}: correct "
        f"KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD or KAFKA_SASL_MECHANISM ({mechanism(settings)} now). "
        f"It says: {error.str()}"
    )


def mechanism(settings: Settings) -> str:
    """How a user proves who he is."""
    return settings.kafka_sasl_mechanism or "PLAIN"


def _hindrance(settings: Settings) -> tuple[str, Hindrance] | None:
    """The first of the broker's addresses that cannot be connected to, and why."""
    tls = settings.kafka_security_protocol.endswith("SSL")
    for address in settings.kafka_bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        if not port.isdecimal():  # librdkafka's own default
            host, port = address.strip(), str(DEFAULT_PORT)
        found = hindrance(host.strip("[]"), int(port), tls=tls, ca_file=settings.kafka_ssl_ca_location)
        if found is not None:
            return f"The broker at {host}:{port}", found
    return None


def _sentence(server: str, found: Hindrance) -> str:
    return " ".join(
        found.advice(
            server,
            address="KAFKA_BOOTSTRAP_SERVERS",
            plain="KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
            tls="KAFKA_SECURITY_PROTOCOL=SASL_SSL (SSL where it asks for no password)",
            authority="KAFKA_SSL_CA_LOCATION",
        )
    )


def _silent(settings: Settings, error: KafkaException) -> str:
    """Connected, and yet no answer: a broker that waits for a password ends the connection without a word."""
    protocol = settings.kafka_security_protocol
    other = "" if protocol.startswith("SASL") else f" Where it asks for a password, set {_with_password(protocol)}."
    return (
        f"The broker at {settings.kafka_bootstrap_servers} takes connections and answers nothing to "
        f"KAFKA_SECURITY_PROTOCOL={protocol} ({error.args[0].str()}).{other} Else look into its log."
    )


def _with_password(protocol: str) -> str:
    return "KAFKA_SECURITY_PROTOCOL=" + ("SASL_SSL" if protocol == "SSL" else "SASL_PLAINTEXT")


def create_topics(settings: Settings, timeout: float = 30.0) -> None:
    """Create what is missing; leave what exists as it is.

    Raises NotConnected when the broker stays away for `timeout` seconds, or refuses.
    """
    admin = connect(settings, timeout)
    existing = admin.list_topics(timeout=timeout).topics
    missing = [topic for topic in wanted_topics(settings) if topic.topic not in existing]
    for name, future in admin.create_topics(missing, operation_timeout=timeout).items() if missing else ():
        try:
            future.result(timeout)
        except KafkaException as error:
            # two parts that start together both find a topic missing; the second to create it is told so
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise NotConnected(_not_made(settings, name, error.args[0]), is_lasting=True) from error


def _not_made(settings: Settings, topic: str, error: KafkaError) -> str:
    what = f"The broker at {settings.kafka_bootstrap_servers} does not make the topic {topic}: {error.str()}."
    if error.code() in _MAY_NOT:
        user = settings.kafka_sasl_username
        return f"{what} Let {user!r} create, describe, write and read topics and groups (docs/operations.md)."
    if error.code() in _OTHER_REPLICATION:
        return f"{what} Set KAFKA_REPLICATION_FACTOR to what the cluster asks for; 3 on most."
    return f"{what} Make it there yourself, or correct what it names and start again."
