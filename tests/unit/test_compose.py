"""compose.yaml and what it mounts, as far as they can be judged without the images."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from services.common.settings import Settings
from services.embedded.access import READER_LIMITS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()
DOCKERFILE = (ROOT / "services" / "Dockerfile").read_text()
SECRETS = {
    "STACK_WRITER_PASSWORD": "a-writer-password",
    "STACK_READER_PASSWORD": "a-reader-password",
    "STACK_NOTIFIER_PASSWORD": "a-notifier-password",
}


@cache
def compose_command() -> list[str]:
    """The compose client, as docker's plugin or alone; skips the test where there is none."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            version = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if version.returncode == 0 and not version.stdout.startswith("1."):
                return command
    pytest.skip("no docker compose (v2) on this machine")


def config(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`docker compose config` with all profiles, and no `.env` but the given environment."""
    command = [*compose_command(), "--env-file", os.devnull, "-f", str(ROOT / "compose.yaml"), "--profile", "*"]
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [*command, "config", "--format", "json"], env=clean | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    result = config(SECRETS)
    assert result.returncode == 0, result.stderr
    found: dict[str, dict[str, Any]] = json.loads(result.stdout)["services"]
    return found


def test_nothing_starts_without_passwords() -> None:
    for missing in SECRETS:
        result = config({name: value for name, value in SECRETS.items() if name != missing})
        assert result.returncode != 0
        assert "run make init first" in result.stderr


def test_every_port_is_published_on_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = {name: port for name, service in services.items() for port in service.get("ports", [])}
    assert {"dashboard", "clickhouse", "console"} == set(ports)
    assert {port["host_ip"] for port in ports.values()} == {"127.0.0.1"}


def test_every_container_is_hardened_and_bounded(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert {"mem_limit", "cpus", "pids_limit"} <= service.keys(), name
        assert service["logging"]["options"]["max-size"], name
        assert "privileged" not in service, name


def test_every_lasting_service_tells_its_health(services: dict[str, dict[str, Any]]) -> None:
    # Console's image has no shell and no client to ask with; migrate and tools end by themselves
    silent = {name for name, service in services.items() if "healthcheck" not in service}
    assert silent == {"migrate", "tools", "console"}


def test_the_stack_fits_a_laptop_of_8_gb(services: dict[str, dict[str, Any]]) -> None:
    assert sum(int(s["mem_limit"]) for s in services.values() if not s.get("profiles")) <= 6.25 * 2**30


def test_each_service_knows_only_the_secrets_it_needs(services: dict[str, dict[str, Any]]) -> None:
    def knowing(secret: str) -> set[str]:
        return {name for name, service in services.items() if secret in (service.get("environment") or {}).values()}

    assert knowing("a-writer-password") == {"clickhouse", "migrate", "worker", "tools"}
    assert knowing("a-reader-password") == {"clickhouse", "producer", "dashboard", "tools"}
    assert knowing("a-notifier-password") == {"clickhouse", "notifier"}


def test_only_producer_and_notifier_have_a_way_out() -> None:
    compose_command()
    plan = json.loads(config(SECRETS).stdout)
    translating = {
        name
        for name, network in plan["networks"].items()
        if not network.get("internal")
        and network.get("driver_opts", {}).get("com.docker.network.bridge.enable_ip_masquerade") != "false"
    }
    assert {name for name, service in plan["services"].items() if translating & set(service["networks"])} == {
        "producer",
        "notifier",
    }


MANAGED = {
    "KAFKA_BOOTSTRAP_SERVERS": "broker.example:9092",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "key",
    "KAFKA_SASL_PASSWORD": "a-brokers-password",
    "KAFKA_SSL_CA_LOCATION": "./broker-ca.pem",
    "KAFKA_REPLICATION_FACTOR": "3",
    "CLICKHOUSE_HOST": "clickhouse.example",
    "CLICKHOUSE_PORT": "8443",
    "CLICKHOUSE_SECURE": "true",
    "CLICKHOUSE_CA_LOCATION": "./clickhouse-ca.pem",
    "STACK_REDPANDA": "0",
    "STACK_CLICKHOUSE": "0",
}


def test_managed_parts_are_a_change_of_env_alone() -> None:
    compose_command()
    result = config(SECRETS | MANAGED)
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert {name for name, service in plan["services"].items() if service.get("scale") == 0} == {
        "redpanda",
        "clickhouse",
    }
    passed_on = {name: value for name, value in MANAGED.items() if name.startswith(("KAFKA_", "CLICKHOUSE_"))}
    # the container sees the machine's file where it is mounted
    passed_on |= {"KAFKA_SSL_CA_LOCATION": "/run/secrets/kafka_ca"}
    passed_on |= {"CLICKHOUSE_CA_LOCATION": "/run/secrets/clickhouse_ca"}
    files = {name: Path(secret["file"]).name for name, secret in plan["secrets"].items()}
    assert files == {"kafka_ca": "broker-ca.pem", "clickhouse_ca": "clickhouse-ca.pem"}
    for name in ("migrate", "producer", "worker", "tools", "notifier", "dashboard"):
        service = plan["services"][name]
        ours = {
            key: value
            for key, value in passed_on.items()
            if name not in ("notifier", "dashboard") or "KAFKA" not in key
        }
        assert service["environment"].items() >= ours.items(), name
        assert {secret["source"] for secret in service["secrets"]} == set(files), name
        # a way out, to what is elsewhere
        inner = {key for key, network in plan["networks"].items() if network.get("internal")}
        assert not {"broker", "storage"} & set(service["networks"]), name
        assert set(service["networks"]) - inner, name


def test_with_parts_of_its_own_no_ca_is_set(services: dict[str, dict[str, Any]]) -> None:
    for name in ("migrate", "producer", "worker", "tools"):
        environment = services[name]["environment"]
        assert (environment["KAFKA_SSL_CA_LOCATION"], environment["CLICKHOUSE_CA_LOCATION"]) == ("", ""), name
    # a bind mount asks for a file that is there
    assert (ROOT / "deploy" / "no-ca.pem").is_file()


def test_the_template_of_env_names_what_compose_reads() -> None:
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    settings = {name.upper() for name in Settings.model_fields}
    assert named - settings == {*SECRETS, "STACK_REDPANDA", "STACK_CLICKHOUSE"}
    assert set(MANAGED) <= named


def test_images_are_pinned() -> None:
    images = set(re.findall(r"^\s+image: (\S+)", COMPOSE, re.MULTILINE)) - {"wiki-battlefield"}
    assert len(images) == 3
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+(\.\d+)?$", image), image


def test_redpanda_writes_to_the_disk_before_it_acknowledges() -> None:
    command = COMPOSE[COMPOSE.index("  redpanda:\n") : COMPOSE.index("  clickhouse:\n")]
    assert not re.search(r"^\s+- .*(dev-container|bypass-fsync|write_caching)", command, re.MULTILINE)


def test_clickhouse_accounts() -> None:
    users = ElementTree.parse(ROOT / "clickhouse" / "users.d" / "battlefield.xml").getroot().find("users")  # noqa: S314 - our own file
    assert users is not None
    accounts = {account.tag: account for account in users}
    assert accounts.pop("default").get("remove"), "the image's passwordless account must go"
    assert set(accounts) == {"writer", "reader", "notifier"}
    for name, account in accounts.items():
        password = account.find("password")
        assert password is not None
        assert (password.get("from_env"), password.text) == (f"CLICKHOUSE_{name.upper()}_PASSWORD", None)
        grants = [grant.text or "" for grant in account.findall("grants/query")]
        assert grants
        assert all(re.search(r" ON battlefield\.(\*|announcements)$", grant) for grant in grants)
    assert [grant.text for grant in accounts["reader"].findall("grants/query")] == [
        "GRANT SHOW, SELECT ON battlefield.*"
    ]
    assert [grant.text for grant in accounts["notifier"].findall("grants/query")] == [
        "GRANT SELECT ON battlefield.*",
        "GRANT INSERT ON battlefield.announcements",
    ]


def test_the_grants_for_a_managed_clickhouse_are_the_same() -> None:
    users = ElementTree.parse(ROOT / "clickhouse" / "users.d" / "battlefield.xml").getroot()  # noqa: S314 - our own file
    page = (ROOT / "docs" / "operations.md").read_text()
    for account in ("writer", "reader"):
        for grant in users.findall(f"users/{account}/grants/query"):
            assert f"{grant.text} TO {account};" in page


def test_the_reader_has_the_limits_of_the_embedded_endpoint() -> None:
    root = ElementTree.parse(ROOT / "clickhouse" / "users.d" / "battlefield.xml").getroot()  # noqa: S314 - our own file
    for name, limit in READER_LIMITS.items():
        assert root.findtext(f"profiles/reader/{name}") == str(limit)
        # it may lower a limit, and neither raise it nor take it away (0)
        assert root.findtext(f"profiles/reader/constraints/{name}/min") == "1"
        assert root.findtext(f"profiles/reader/constraints/{name}/max") == str(limit)


def test_clickhouse_configuration_is_well_formed() -> None:
    for path in (ROOT / "clickhouse").glob("*.d/*.xml"):
        assert ElementTree.parse(path).getroot().tag == "clickhouse"  # noqa: S314 - our own file


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    # such a line makes the build fetch a frontend from a registry first
    assert "# syntax" not in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


def test_the_build_sees_only_what_is_named() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    named = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in named)
    assert not {name for name in named if name.startswith(".")}
