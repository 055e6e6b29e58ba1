"""Connections to the Kafka-API broker, and the topics the project needs."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from services.common.change import DEAD_LETTERS_TOPIC, EDITS_TOPIC, LEDGER_TOPIC, POSITIONS_TOPIC
from services.common.settings import Settings

KEEP_MS = 7 * 86_400_000  # how long the broker keeps messages


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
            "sasl.mechanism": settings.kafka_sasl_mechanism or "PLAIN",
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


def create_topics(settings: Settings, timeout: float = 30.0) -> None:
    """Create what is missing; leave what exists as it is. Raises KafkaException when the broker stays away."""
    admin = AdminClient(kafka_config(settings))
    existing = admin.list_topics(timeout=timeout).topics
    missing = [topic for topic in wanted_topics(settings) if topic.topic not in existing]
    for future in admin.create_topics(missing, operation_timeout=timeout).values() if missing else ():
        try:
            future.result(timeout)
        except KafkaException as error:
            # two parts that start together both find a topic missing; the second to create it is told so
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
