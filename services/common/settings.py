"""Every setting of the project, typed and checked at start. docs/settings.md is made from this file.

A setting is read from the environment under its own name in capitals, else from `.env` in the working
directory. Compose and the embedded run differ in addresses only, so moving to managed parts is a change of `.env`.
"""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[2]
STACK_FILE = "stack.env"


class Settings(BaseSettings):
    """All settings with their defaults: a laptop without Docker."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    # Source
    source: str = Field(
        "auto",
        description="What `battlefield up` plays: `live`, `simulate`, a recording (.jsonl, .jsonl.gz) or the URL of a "
        "server like EventStreams; `auto` is live where that can be reached and a contact is set, else simulate.",
    )
    eventstreams_url: str = Field(
        "https://stream.wikimedia.org/v2/stream/recentchange",
        description="Where changes come from: Wikimedia's EventStreams, or the simulator.",
    )
    eventstreams_contact: str = Field(
        "",
        description="Your mail address or web page. Wikimedia refuses clients (403) whose User-Agent names no contact.",
    )
    eventstreams_since: str = Field(
        "",
        description="How far back the very first start fills in: `90m`, `6h`, `7d` (7 days at most); empty: from now.",
    )
    eventstreams_read_timeout: float = Field(
        60.0,
        gt=0,
        description="Seconds without one byte after which a connection counts as dead. Wikimedia sends no heartbeat, "
        "but never pauses this long.",
    )
    eventstreams_declared: Literal["auto", "off"] = Field(
        "auto",
        description="Whether `mediawiki.revision-create` is read too, where Wikimedia itself declares reverts: `auto` "
        "where the server has that stream, `off` never.",
    )
    eventstreams_declared_wait: float = Field(
        2.0,
        gt=0,
        le=30,
        description="Seconds that a change waits at most for what the second stream says of it; then its summary alone "
        "tells whether it is a revert.",
    )

    # Broker
    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="The Kafka-API broker, as host:port.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Managed brokers ask for `SASL_SSL`."
    )
    kafka_sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "",
        description="Used with a SASL protocol; empty: `PLAIN`, as on Confluent Cloud. Redpanda Cloud has the others.",
    )
    kafka_sasl_username: str = Field("", description="Used with a SASL protocol; on Confluent Cloud the API key.")
    kafka_sasl_password: SecretStr = Field(
        SecretStr(""), description="Used with a SASL protocol; on Confluent Cloud the API key's secret."
    )
    kafka_ssl_ca_location: str = Field(
        "", description="A file with the broker's CA (PEM); empty: the public ones that this machine knows."
    )
    kafka_partitions: int = Field(
        8, ge=1, le=32, description="Partitions of `wiki.edits` when it is created: the most workers that can share it."
    )
    kafka_replication_factor: int = Field(1, ge=1, description="Of topics when they are created; 3 on a cluster.")
    kafka_buffer_changes: int = Field(
        50_000, ge=1_000, description="Changes the producer holds unacknowledged before it stops reading the source."
    )
    embedded_broker_memory_mb: int = Field(
        512,
        ge=64,
        description="MiB that the embedded broker may hold. It frees nothing by itself, so it is replaced beyond them: "
        "a pause of some seconds, nothing is lost.",
    )

    # ClickHouse
    clickhouse_host: str = Field("127.0.0.1", description="ClickHouse's HTTP interface.")
    clickhouse_port: int = Field(8123, ge=1, le=65535, description="8443 on ClickHouse Cloud.")
    clickhouse_user: str = Field("", description="The writer's account (services); the embedded run makes its own.")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="The writer's password; there is no default.")
    clickhouse_reader_user: str = Field(
        "", description="The account of dashboard and API, SELECT only. Empty: the embedded endpoint's local reader."
    )
    clickhouse_reader_password: SecretStr = Field(SecretStr(""), description="The reader's password.")
    clickhouse_database: str = Field("battlefield", pattern=r"^[a-z_][a-z0-9_]*$", description="The database.")
    clickhouse_secure: bool = Field(False, description="TLS to ClickHouse.")
    clickhouse_ca_location: str = Field(
        "", description="A file with ClickHouse's CA (PEM); empty: the public ones that this machine knows."
    )
    embedded_memory_mb: int = Field(
        1000, ge=300, description="MiB that the embedded ClickHouse may use for queries, merges and caches."
    )

    # Retention
    retention_raw_days: int = Field(
        30,
        ge=3,
        le=3_650,
        description="Days that edits, ten-second windows, dead letters and the ledger are kept after they were stored; "
        "`battlefield migrate` applies it. Three at least: a worker that starts anew needs the last one.",
    )
    retention_long_days: int = Field(
        730,
        ge=3,
        le=36_500,
        description="The same for reverts, battles, alerts, hourly and daily figures.",
    )

    # Worker
    worker_group: str = Field(
        "battlefield-worker",
        description="The consumer group that workers share. The identity of ClickHouse's tables is added to it, so "
        "that workers over a database made anew begin at the oldest message.",
    )
    worker_skip_lost: bool = Field(
        False,
        description="Go on where the broker has deleted messages that no worker had read. The account then shows a "
        "gap; without this a worker ends there, and the gap can still be filled.",
    )
    worker_commit_interval: float = Field(
        3.0,
        gt=0,
        description="Seconds between checkpoints, at most what is worked off once more after a crash. Rows are written "
        "once in between; the ledger's only at checkpoints.",
    )
    worker_commit_messages: int = Field(
        800,
        ge=1,
        description="Messages after which a checkpoint comes early; it bounds a worker's memory when catching up.",
    )
    worker_changelog: bool = Field(
        True,
        description="Keep the worker's state in changelog topics. The embedded run turns it off: its broker keeps "
        "everything in memory, and the state is rebuilt from ClickHouse instead.",
    )
    window_grace: int = Field(
        3600,
        ge=60,
        le=7_000,  # the worker forgets a quiet page after a day and two hours; a change may come that late, not later
        description="Seconds of event time that a window stays open to late changes; later ones are counted as late.",
    )

    # Alerts
    alert_webhook_url: SecretStr = Field(
        SecretStr(""),
        description="A webhook that is told once of each battle that opens and each breach of the three-revert rule; "
        "empty: nobody is. Who has the address may post there, so it is never logged.",
    )
    alert_webhook_format: Literal["auto", "slack", "discord", "json"] = Field(
        "auto",
        description="What the receiver understands; `auto`: Slack and Discord are known by their hosts, all others get "
        "JSON with every field and a sentence in `text`.",
    )

    # Files, logs and the dashboard
    data_dir: Path = Field(Path("data"), description="Where state, heartbeats and the embedded parts keep files.")
    dashboard_port: int = Field(
        8501, ge=1, le=65535, description="The dashboard's address is http://127.0.0.1:DASHBOARD_PORT."
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Set by platforms such as Cloud Run, for each process its own. Dashboard and simulator listen "
        "there; producer, worker and notifier answer `GET /health` there, from their heartbeat. 0: those three open no "
        "port.",
    )
    health_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="In the place of PORT for those three, where a platform keeps that name for itself or has no port.",
    )
    listen_address: str = Field(
        "127.0.0.1",
        description="Where dashboard, simulator and health answers listen; `0.0.0.0` in a container on a platform.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")
    log_format: Literal["console", "json"] = Field("console", description="`json` in containers.")

    @field_validator("kafka_ssl_ca_location", "clickhouse_ca_location")
    @classmethod
    def _must_be_certificates(cls, value: str) -> str:
        """The file's absolute path: what a client would say of one that it cannot read names no setting."""
        if not value:
            return value
        path = Path(value).absolute()
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:  # ssl.SSLError is one
            unreadable = f"cannot be read: {error.strerror}"
            why = "holds no certificate (PEM)" if isinstance(error, ssl.SSLError) else unreadable
            raise ValueError(f"{path} {why}; name a file with the CA's certificate, or leave it empty") from None
        return str(path)

    @model_validator(mode="after")
    def _must_have_credentials(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password.get_secret_value()
        ):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD too"
            )
        return self

    def as_environment(self) -> dict[str, str]:
        """What was set, in the environment or `.env`, as variables for a child that runs in another directory."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name.upper(): _as_text(value) for name, value in given.items()}


class InvalidSettings(Exception):
    """A setting has a value that cannot be used; the message names it and says what is expected."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once. Raises InvalidSettings with one line per faulty setting."""
    return _checked(".env")


def running_settings() -> Settings:
    """The settings that lead to the stack which `battlefield up` runs here, for commands beside it.

    It leaves its ports and data directory in DATA_DIR/stack.env while it runs; without that file these are the
    settings of `get_settings`. What stands in the environment itself comes first in both.
    """
    return _checked(".env", str(get_settings().data_dir / STACK_FILE))


def _checked(*files: str) -> Settings:
    try:
        return Settings(_env_file=files)
    except ValidationError as error:
        lines = [_in_a_line(e) for e in error.errors()]
        raise InvalidSettings("Correct these settings (docs/settings.md):\n  " + "\n  ".join(lines)) from None


def _in_a_line(error: ErrorDetails) -> str:
    """What is wrong with a setting. Of what was given only the value of that one is told, and no secret."""
    text = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]
    if not error["loc"]:
        return text
    name = str(error["loc"][0])
    if error["type"] == "value_error" or Settings.model_fields[name.lower()].annotation is SecretStr:
        return f"{name.upper()}: {text}"
    return f"{name.upper()}: {text} (got {error['input']!r})"


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.absolute())
    return str(value).lower() if isinstance(value, bool) else str(value)
